"""The scores of many versions at once, on several cores; and the page that lists them."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from engine import library
from engine.errors import PolicyError
from engine.library import Library
from engine.version import Version
from proofs.equivalence import compared
from proofs.mutation import Examined, percent

_loaded: list[Library] = []


@dataclass(frozen=True, slots=True)
class Score:
    """One version in numbers. `survivors`: what its cases miss, in words; `fault`: why there is no score."""

    policy: str
    version: int
    cases: int = 0
    mutants: int = 0
    killed: int = 0
    equivalent: int = 0
    survivors: tuple[str, ...] = ()
    fault: str | None = None

    @property
    def percent(self) -> Decimal:
        """Percent killed, of those that are not proved equal to the original; 0 where the cases fail."""
        return Decimal(0) if self.fault is not None else percent(self.killed, self.mutants - self.equivalent)

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"survivors": list(self.survivors), "percent": f"{self.percent:.1f}"}


def score(loaded: Library, version: Version) -> Score:
    """Raises nothing: a version whose cases fail says so."""
    policy = version.policy
    try:
        found = Examined(loaded, version).strength(compared)
    except PolicyError as error:
        return Score(policy.id, policy.version, fault=str(error))
    told = tuple(f"{s.mutant}{'' if s.request is not None else ' (no difference found)'}" for s in found.survivors)
    return Score(policy.id, policy.version, found.cases, found.mutants, found.killed, len(found.equivalent), told)


def scores(loaded: Library, versions: Sequence[Version], workers: int = 2) -> Iterator[Score]:
    """The score of every version, in the order given. Each worker reads the library itself."""
    if len(versions) < 2 or workers < 2:
        yield from (score(loaded, v) for v in versions)
        return
    names = [(v.policy.id, v.policy.version) for v in versions]
    with multiprocessing.get_context("spawn").Pool(workers, _begin, (loaded.root,)) as pool:
        yield from pool.imap(_scored, names)


def _begin(root: Path) -> None:
    _loaded.append(library.load(root))


def _scored(name: tuple[str, int]) -> Score:
    return score(_loaded[0], _loaded[0].version(*name))


def page(found: Sequence[Score]) -> str:
    """The page of docs/: one line for each version, then what is missed."""
    lines = [
        "# Mutation scores",
        "",
        "Written by `policy mutate --score --page docs/mutation-scores.md`. A mutant is a version with one thing changed; it is killed if a case of the",
        "version no longer passes. Mutants that the solver proves equal to the original (on requests with all facts known, lists of a few items) are not",
        "counted. The score is the share of the others that is killed.",
        "",
        "| policy | version | cases | mutants | proved equal | killed | missed | score |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for s in found:
        result = s.fault or f"{s.percent:.1f} %"
        lines.append(f"| {s.policy} | {s.version} | {s.cases} | {s.mutants} | {s.equivalent} | {s.killed} | {len(s.survivors)} | {result} |")
    missed = [s for s in found if s.survivors]
    if missed:
        lines += ["", "## What the cases miss", ""]
        for s in missed:
            lines += [f"**{s.policy} v{s.version}**", "", *(f"- {text}" for text in s.survivors), ""]
    return "\n".join(lines).rstrip() + "\n"
