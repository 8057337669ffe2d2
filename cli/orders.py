"""The arguments of runs over a population, as the parts of an order."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cli.common import as_instant, find, load, now, split
from engine.check import load_policy
from engine.errors import EvaluationError, FactsError, NotFound, PolicyError, RuleFileError
from engine.library import Library
from engine.version import Version

if TYPE_CHECKING:
    from simulations.runs.order import Strict

#: Of a generated population, if nothing is said.
ROWS = 100_000
M = TypeVar("M", bound="Strict")


def asked(options: argparse.Namespace) -> tuple[str, int | None, Library]:
    name, number = split(options.policy)
    return name, number, load(options)


def as_of(options: argparse.Namespace) -> str | None:
    """The instant of a run: today for a generated population, else that of each row, if nothing is said."""
    return options.as_of or (None if options.population else now().date().isoformat())


def version(loaded: Library, name: str, text: str | None) -> tuple[int | None, Library]:
    """A version by its number, or a rule file: read as a draft of the policy, and a version of the library that comes back.

    Raises ValueError for what is neither or no such draft, RuleFileError.
    """
    if text is None or (text.isascii() and text.isdigit()):
        return (int(text) if text else None), loaded
    path = Path(text)
    if not path.is_file():
        raise ValueError(f"`{text}` is neither a version nor a rule file; write a number, or the path of a file that there is")
    policy = load_policy(path)
    if policy.id != name:
        raise ValueError(f"`{text}` is a rule file of `{policy.id}`, not of `{name}`")
    versions = loaded.versions.get(name, {})
    known = versions.get(policy.version)
    if known is not None and known.policy.digest != policy.digest:
        raise ValueError(f"`{text}` is another version {policy.version} than the one in {known.path}; write `version: {max(versions) + 1}` into it")
    if known is not None:
        return policy.version, loaded
    faults = {file: found for file, found in loaded.faults.items() if not file.endswith(f"/{name}/v{policy.version}.yaml")}
    drafts = loaded.versions | {name: versions | {policy.version: Version(policy, path, (0, 0), None)}}
    return policy.version, replace(loaded, versions=drafts, faults=faults)


def side(options: argparse.Namespace, loaded: Library, name: str, number: int | None, pairs: Iterable[str]) -> dict[str, Any]:
    """A version with changed parameters, pinned."""
    return {"version": find(loaded, name, number, as_instant(options.as_of)).policy.version, "parameters": parameters(pairs)}


def source(options: argparse.Namespace) -> dict[str, Any]:
    if options.population is None:
        if options.mapping is not None:
            raise ValueError("--mapping goes with --population")
        seed = options.seed if options.population_seed is None else options.population_seed
        return {"generate": {"rows": ROWS if options.rows is None else options.rows, "seed": seed}}
    if options.rows is not None:
        raise ValueError("--rows is for a generated population; leave it out, or leave --population out")
    return {"source": options.population, "mapping": options.mapping}


def parameters(pairs: Iterable[str]) -> dict[str, Any]:
    """NAME=VALUE: a whole number, a list or a truth value as JSON has it; all else, decimals too, stays text."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, separator, text = pair.partition("=")
        if not separator or not name:
            raise ValueError(f"`{pair}`: write a parameter as NAME=VALUE")
        try:
            found[name] = json.loads(text, parse_float=str, parse_constant=str)
        except json.JSONDecodeError:
            found[name] = text
    return found


def names(texts: Iterable[str]) -> list[str] | None:
    found = [name.strip() for text in texts for name in text.split(",") if name.strip()]
    return found or None


def exists(file: str, option: str) -> None:
    if not Path(file).is_file():
        raise ValueError(f"{option}: there is no file `{file}`")


@contextmanager
def called() -> Any:
    """An order that does not fit is a wrong call (2); rule files with faults, and what is not there, keep their own code."""
    try:
        yield
    except (NotFound, RuleFileError, EvaluationError, FactsError):
        raise
    except PolicyError as error:
        raise ValueError(str(error)) from None


def fit(model: type[M], **parts: Any) -> M:
    """An order of the parts, in words for those that do not fit. Raises ValueError."""
    from pydantic import ValidationError

    try:
        return model(**parts)
    except ValidationError as error:
        raise ValueError("\n".join(f"{'.'.join(map(str, f['loc']))}: {f['msg'].removeprefix('Value error, ')}" for f in error.errors())) from None
