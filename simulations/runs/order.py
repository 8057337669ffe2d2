"""What a run is asked for, and the same held against the library: two versions of a policy, an instant, and names that exist."""

from __future__ import annotations

import glob
import json
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import zip_longest
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

    @property
    def unchanged(self) -> bool:
        """Both sides are the same: there is nothing to find."""
        return (self.before.version, self.before.parameters) == (self.after.version, self.after.parameters)

    def uses(self, policy: str) -> list[tuple[date | None, date | None, Policy]]:
        """The versions of a used policy with the days on which each is in force; of one that has only drafts, those."""
        periods = self.library.periods(policy, None)
        versions = self.library.versions.get(policy, {})
        if periods:
            return [(p.start, p.end, versions[p.version].policy) for p in periods if p.version in versions]
        drafts = sorted((v.policy for v in versions.values()), key=lambda p: p.effective_from)
        return [(p.effective_from, after.effective_from if after else None, p) for p, after in zip_longest(drafts, drafts[1:])]

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
            raise OrderError(Misfit(("as_of",), str(error))) from None
    before, after = (version_of(library, order.policy, side, as_of, name) for side, name in zip((order.baseline, order.candidate), names, strict=True))
    known = measures(before, after)
    return Task(order, library, before, after, common_facts(before, after), as_of, chosen_measures(order.measures, known))


def version_of(library: Library, policy: str, side: Side, as_of: datetime | None, name: str) -> Policy:
    """One side: its version with its parameters. Raises OrderError, NotFound, RuleFileError."""
    if side.version is None:
        if as_of is None:
            raise OrderError(Misfit((name,), "no version is named and no instant given", "pin a version, or give as_of"))
        found = library.in_force(policy, as_of, None).policy
    else:
        _refuse_broken(library, policy, side.version)
        found = library.version(policy, side.version).policy
    if not side.parameters:
        return found
    try:
        return with_parameters(found, side.parameters)
    except FactsError as error:
        raise OrderError(*(Misfit((name, *b.path.split(".", 1)), b.message, b.help) for b in error.bad)) from None


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
            raise OrderError(Misfit(("measures",), f"the policy puts out no amount `{name}`", _hint(name, by_name)))
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
            raise OrderError(Misfit(("segments",), f"`{name}` is neither a segment of the population nor a fact of few values", _hint(name, known)))
    return {name: known[name] for name in dict.fromkeys(wanted)}


def _hint(name: str, known: Iterable[str]) -> str:
    names = list(known)
    return did_you_mean(name, names, "there are: " + ", ".join(names) if names else "there are none") or ""


def need_instant(task: Task, columns: Iterable[str]) -> None:
    """A run needs an instant: its own, or one in every row. Raises PolicyError."""
    if task.as_of is None and AS_OF not in set(columns):
        raise PolicyError("no instant: the population has no column `as_of`, and the run gives none; give as_of")


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
