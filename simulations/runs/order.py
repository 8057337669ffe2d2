"""What a run is asked for, read strictly; and how results tell it, down to the command that asks for the same run."""

from __future__ import annotations

import glob
import json
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from engine.errors import PolicyError, did_you_mean
from engine.library import Library
from engine.policy import Policy
from simulations.population import sources
from simulations.runs.units import value_text

MAX_EXAMPLES = 20
MAX_SEGMENTS = 6
MAX_MEASURES = 12
MAX_GENERATED = 1_000_000_000


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Side(Strict):
    """One of the two: a version (None: the one in force on `as_of`), and parameters that are changed in it."""

    version: Annotated[int, Field(ge=1)] | None = None
    parameters: dict[str, Any] = {}


class Generate(Strict):
    """A population made from the policy's declared distributions."""

    rows: Annotated[int, Field(ge=1, le=MAX_GENERATED)]
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1


class Source(Strict):
    """Where the cases come from: a file or table with a mapping, or a generator. One of the two."""

    source: str | None = None
    mapping: str | None = None
    generate: Generate | None = None

    @model_validator(mode="after")
    def _one(self) -> Source:
        if (self.source is None) == (self.generate is None):
            raise ValueError("name a source, or ask for a generated population; one of the two")
        if self.mapping is not None and self.source is None:
            raise ValueError("a mapping goes with a source")
        return self


#: Outcomes under which an amount is paid. Denied pays nothing; undetermined and an error leave open what is paid.
Paid = Annotated[tuple[Literal["allowed", "review"], ...], Field(min_length=1)]


class Order(Strict):
    """A run: baseline against candidate over a population."""

    policy: str
    baseline: Side = Side()
    candidate: Side = Side()
    population: Source
    as_of: str | None = None
    segments: Annotated[list[str], Field(max_length=MAX_SEGMENTS)] | None = None
    measures: Annotated[list[str], Field(max_length=MAX_MEASURES)] | None = None
    paid: Paid = ("allowed",)
    examples: Annotated[int, Field(ge=0, le=MAX_EXAMPLES)] = 3
    on: Literal["duckdb", "spark"] = "duckdb"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1


@dataclass(frozen=True, slots=True)
class Misfit:
    """One part of an order that does not fit. `path`: the fields that lead to it; none for the order as a whole."""

    path: tuple[str, ...]
    message: str
    help: str | None = None

    def __str__(self) -> str:
        return f"{'.'.join(self.path) or 'the order'}: {self.message}" + (f"; {self.help}" if self.help else "")

    def as_json(self) -> dict[str, Any]:
        pointer = "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in self.path)
        return {"pointer": pointer, "message": self.message, "help": self.help}


class OrderError(PolicyError):
    """An order that does not fit; carries every misfit."""

    def __init__(self, *misfits: Misfit) -> None:
        self.misfits = misfits
        super().__init__("\n".join(map(str, misfits)))


def hint(name: str, known: Iterable[str]) -> str:
    """What to write instead of a name that is not known."""
    names = list(known)
    return did_you_mean(name, names, "there are: " + ", ".join(names) if names else "there are none") or ""


def read_order(data: Mapping[str, Any]) -> Order:
    """An order given as JSON data. Raises OrderError that names every field that does not fit, with the nearest known name."""
    try:
        return Order.model_validate(data)
    except ValidationError as error:
        misfits = []
        for fault in error.errors():
            path = tuple(map(str, fault["loc"]))
            unknown = fault["type"] == "extra_forbidden"
            message = "unknown field" if unknown else fault["msg"].removeprefix("Value error, ")
            misfits.append(Misfit(path, f"{message[:1].lower()}{message[1:]}", did_you_mean(path[-1], _known(fault["loc"])) if unknown else None))
        raise OrderError(*misfits) from None


def _known(path: tuple[int | str, ...]) -> Iterable[str]:
    inner: dict[str, type[BaseModel]] = {"baseline": Side, "candidate": Side, "population": Source, "generate": Generate}
    model = next((inner[str(p)] for p in reversed(path[:-1]) if str(p) in inner), Order)
    return model.model_fields


def source_name(source: str) -> str:
    """A source as results tell it: a file without its folder, a pattern with the last folder before it, a database without its password."""
    if "://" in source:
        return sources.shown(source)
    parts = Path(source).parts[1 if Path(source).is_absolute() else 0 :]
    first = next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    return "/".join(parts[max(first - 1, 0) :])


def stated(order: Strict) -> dict[str, Any]:
    """An order as manifests tell it: with the names of files, without their folders."""
    data = order.model_dump(mode="json")
    population = data.get("population") or {}
    if population.get("source"):
        population["source"] = source_name(population["source"])
        population["mapping"] = population["mapping"] and Path(population["mapping"]).name
    if data.get("log"):
        data["log"] = Path(data["log"]).name
    return data


def command(order: Order, library: Library) -> str:
    """The command line that asks for the same run, with the names of files, without their folders."""
    base, new, population = order.baseline, order.candidate, order.population
    first, second = (_version_text(library, order.policy, side.version) if side.version else None for side in (base, new))
    parts = ["policy", "simulate", order.policy if first is None or not first.isdigit() else f"{order.policy}@{first}"]
    parts += ["--from", first] if first and not first.isdigit() else []
    parts += ["--candidate", second] if second else []
    for option, side in (("--base-set", base), ("--set", new)):
        for name, value in side.parameters.items():
            parts += [option, f"{name}={value if isinstance(value, (str, int)) and not isinstance(value, bool) else json.dumps(value, ensure_ascii=False)}"]
    if population.generate:
        parts += ["--generate", str(population.generate.rows), "--population-seed", str(population.generate.seed)]
    else:
        parts += ["--population", source_name(str(population.source)), *(["--mapping", Path(population.mapping).name] if population.mapping else [])]
    parts += ["--as-of", order.as_of] if order.as_of else []
    for option, names in (("--segment", order.segments), ("--measure", order.measures)):
        for name in names or ():
            parts += [option, name]
    parts += ["--paid", ",".join(order.paid)] if order.paid != ("allowed",) else []
    parts += ["--on", order.on] if order.on != "duckdb" else []
    return shlex.join([*parts, "--seed", str(order.seed)])


def _version_text(library: Library, policy: str, number: int) -> str:
    """A version as the command line names it: by its number, or by its file if that lies outside the library."""
    path = library.version(policy, number).path
    return str(number) if path.is_relative_to(library.root) else path.name


def parameters_text(policy: Policy) -> dict[str, str]:
    """Every parameter of a version as it is told."""
    return {name: "unset" if p.unset else value_text(p.value, p.type) for name, p in policy.parameters.items()}
