"""What a run is asked for, and the same held against the library: two versions of a policy, an instant, and names that exist."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from engine.clock import instant
from engine.decide import with_parameters
from engine.errors import FactsError, PolicyError, RuleFileError, did_you_mean
from engine.library import Library
from engine.policy import FactDef, Policy
from engine.types import BoolType, EnumType, ListType, NumberType, RecordType
from simulations.population import sources
from simulations.population.columns import AS_OF, PARTNER, SEGMENT
from simulations.runs.hybrid import common_facts
from simulations.runs.units import reached, value_text

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


class Order(Strict):
    """A run: baseline against candidate over a population."""

    policy: str
    baseline: Side = Side()
    candidate: Side = Side()
    population: Source
    as_of: str | None = None
    segments: Annotated[list[str], Field(max_length=MAX_SEGMENTS)] | None = None
    measures: Annotated[list[str], Field(max_length=MAX_MEASURES)] | None = None
    examples: Annotated[int, Field(ge=0, le=MAX_EXAMPLES)] = 3
    on: Literal["duckdb", "spark"] = "duckdb"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1


def read_order(data: Mapping[str, Any]) -> Order:
    """An order given as JSON data. Raises PolicyError that names every field that does not fit, with the nearest known name."""
    try:
        return Order.model_validate(data)
    except ValidationError as error:
        said = []
        for fault in error.errors():
            path = ".".join(map(str, fault["loc"])) or "the order"
            hint = did_you_mean(str(fault["loc"][-1]), _known(fault["loc"])) if fault["type"] == "extra_forbidden" else None
            message = "unknown field" if fault["type"] == "extra_forbidden" else fault["msg"].removeprefix("Value error, ")
            said.append(f"{path}: {message[:1].lower()}{message[1:]}" + (f"; {hint}" if hint else ""))
        raise PolicyError("\n".join(said)) from None


def _known(path: tuple[int | str, ...]) -> Iterable[str]:
    inner: dict[str, type[BaseModel]] = {"baseline": Side, "candidate": Side, "population": Source, "generate": Generate}
    model = next((inner[str(p)] for p in reversed(path[:-1]) if str(p) in inner), Order)
    return model.model_fields


# -- held against the library ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Measure:
    """An amount of money of one case: an output, or the sum of a field over the records of an output (`output[].field`). `places` of the fen's kind."""

    name: str
    output: str
    field: str | None
    places: int


@dataclass(frozen=True, slots=True)
class Task:
    """An order whose names exist: both versions with their parameters, ready to be asked and to be read over a population."""

    order: Order
    library: Library
    before: Policy
    after: Policy
    both: Policy
    as_of: datetime | None
    measures: tuple[Measure, ...]

    def uses(self, policy: str) -> list[tuple[date | None, date | None, Policy]]:
        """The versions of a used policy with the days on which each is in force; of one that has only drafts, those."""
        periods = self.library.periods(policy, None)
        versions = self.library.versions.get(policy, {})
        if periods:
            return [(p.start, p.end, versions[p.version].policy) for p in periods if p.version in versions]
        drafts = sorted((v.policy for v in versions.values()), key=lambda p: p.effective_from)
        ends = [*(p.effective_from for p in drafts[1:]), None]
        return [(p.effective_from, end, p) for p, end in zip(drafts, ends, strict=True)]

    def wide(self, policy: Policy) -> Policy:
        """A version with the facts of the policies that it uses: what a case may hold for it."""
        return replace(policy, facts=self._facts(policy, frozenset()))

    def _facts(self, policy: Policy, seen: frozenset[str]) -> dict[str, FactDef]:
        found = dict(policy.facts)
        for name in sorted(policy.uses - seen):
            for _, _, other in self.uses(name):
                found = self._facts(other, seen | {name}) | found
        return found


def task(order: Order, library: Library, names: tuple[str, str] = ("baseline", "candidate")) -> Task:
    """Hold an order against the library; `names` are what the two sides are called in messages. Raises PolicyError; nothing is written yet."""
    as_of = None
    if order.as_of is not None:
        try:
            as_of = instant(order.as_of)
        except ValueError as error:
            raise PolicyError(f"as_of: {error}") from None
    before, after = (version_of(library, order.policy, side, as_of, name) for side, name in zip((order.baseline, order.candidate), names, strict=True))
    known = measures(before, after)
    return Task(order, library, before, after, common_facts(before, after), as_of, chosen_measures(order.measures, known))


def version_of(library: Library, policy: str, side: Side, as_of: datetime | None, name: str) -> Policy:
    """One side: its version with its parameters."""
    if side.version is None:
        if as_of is None:
            raise PolicyError(f"{name}: no version is named and no instant given; pin a version, or give as_of")
        found = library.in_force(policy, as_of, None).policy
    else:
        _refuse_broken(library, policy, side.version)
        found = library.version(policy, side.version).policy
    if not side.parameters:
        return found
    try:
        return with_parameters(found, side.parameters)
    except FactsError as error:
        said = [f"{name}: {b.path}: {b.message}" + (f"; {b.help}" if b.help else "") for b in error.bad]
        raise PolicyError("\n".join(said)) from None


def _refuse_broken(library: Library, policy: str, version: int) -> None:
    """A version whose file has faults is told with them, not as one that there is not."""
    for file, faults in library.faults.items():
        broken = [f for f in faults if f.kind != "warning"]
        if broken and file.endswith(f"/{policy}/v{version}.yaml"):
            raise RuleFileError(broken)


def measures(*versions: Policy) -> tuple[Measure, ...]:
    """The amounts of money that some versions put out: first those that the differences of first and last reach; single amounts by the file, then sums."""
    single: dict[str, Measure] = {}
    listed: dict[str, Measure] = {}
    for policy in reversed(versions):
        for output in policy.outputs:
            value = policy.values.get(output)
            if value is None:
                continue
            t = value.type
            if _is_money(t):
                single.setdefault(output, Measure(output, output, None, t.places))  # type: ignore[attr-defined]
            elif isinstance(t, ListType) and isinstance(t.item, RecordType):
                for f in t.item.fields:
                    if _is_money(f.type):
                        name = f"{output}[].{f.name}"
                        listed.setdefault(name, Measure(name, output, f.name, f.type.places))  # type: ignore[attr-defined]
    everything = [*single.values(), *listed.values()]
    differing = reached(versions[0], versions[-1]) if versions else set()
    return tuple(sorted(everything, key=lambda m: ("value", m.output) not in differing))


def _is_money(t: Any) -> bool:
    return isinstance(t, NumberType) and t.unit == "CNY" and t.places is not None


def chosen_measures(wanted: list[str] | None, known: tuple[Measure, ...]) -> tuple[Measure, ...]:
    if wanted is None:
        return known
    by_name = {m.name: m for m in known}
    for name in wanted:
        if name not in by_name:
            raise PolicyError(f"measures: the policy puts out no amount `{name}`; {_hint(name, by_name)}")
    return tuple(by_name[name] for name in dict.fromkeys(wanted))


def groups(wanted: list[str] | None, columns: Mapping[str, Any], policy: Policy) -> dict[str, str]:
    """What rows are grouped by: name to column. Segments of the population by default, else its first two facts of few values.

    Raises PolicyError for a name that is neither a segment nor a fact of few values.
    """
    found = {c.removeprefix(SEGMENT): c for c in columns if c.startswith(SEGMENT)}
    if wanted is None and found:
        return dict(list(found.items())[:MAX_SEGMENTS])
    facts = {f.name: f.name for f in policy.facts.values() if isinstance(f.type, (BoolType, EnumType)) and f.name in columns}
    if wanted is None:
        return dict(list({n: c for n, c in facts.items() if isinstance(policy.facts[n].type, EnumType)}.items())[:2])
    known = facts | found | ({PARTNER: PARTNER} if PARTNER in columns else {})
    for name in wanted:
        if name not in known:
            raise PolicyError(f"segments: `{name}` is neither a segment of the population nor a fact of few values; {_hint(name, known)}")
    return {name: known[name] for name in dict.fromkeys(wanted)}


def _hint(name: str, known: Iterable[str]) -> str:
    names = list(known)
    return did_you_mean(name, names, "there are: " + ", ".join(names) if names else "there are none") or ""


def need_instant(task: Task, columns: Iterable[str]) -> None:
    """A run needs an instant: its own, or one in every row. Raises PolicyError."""
    if task.as_of is None and AS_OF not in set(columns):
        raise PolicyError("no instant: the population has no column `as_of`, and the run gives none; give as_of")


def source_name(source: str) -> str:
    """A source as results tell it: a file without its folder, a database without its password."""
    return sources.shown(source) if "://" in source else Path(source).name


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


def command(order: Order) -> str:
    """The command line that asks for the same run, with the names of files, without their folders."""
    base, new, population = order.baseline, order.candidate, order.population
    parts = ["policy", "simulate", order.policy + (f"@{base.version}" if base.version else "")]
    parts += ["--candidate", str(new.version)] if new.version else []
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
    parts += ["--on", order.on] if order.on != "duckdb" else []
    return shlex.join([*parts, "--seed", str(order.seed)])


def parameters_text(policy: Policy) -> dict[str, str]:
    """Every parameter of a version as it is told."""
    return {name: "unset" if p.unset else value_text(p.value, p.type) for name, p in policy.parameters.items()}
