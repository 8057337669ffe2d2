"""A point in the space of facts: a model of the solver as a request in JSON, or a request as values of the variables; and what the engine says there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, setcontext
from fractions import Fraction
from typing import Any

import z3

from engine.decide import Program
from engine.errors import EvaluationError, PolicyError
from engine.policy import Policy
from engine.types import (
    EXACT,
    ROUNDING,
    SHANGHAI,
    BoolType,
    DateTimeType,
    DateType,
    ListType,
    NumberType,
    RecordType,
    SetType,
    Type,
    nested,
    plain,
)  # fmt: skip
from engine.unknown import Unknown
from proofs.constants import constant
from proofs.folding import Moment, is_term, lifted
from proofs.lowering import Reading
from proofs.oracle import evaluated
from proofs.symbols import AS_OF_CLOCK, AS_OF_DAY, EMPTY_TEXT, World, bindings
from proofs.terms import Items, Term

#: What stands for a part that is not determined.
OPEN = "?"


@dataclass(frozen=True, slots=True)
class Witness:
    """A request: facts by dotted name as JSON data, and the instant."""

    facts: dict[str, Any]
    as_of: datetime

    def as_json(self) -> dict[str, Any]:
        return {"facts": nested(self.facts.items()), "as_of": self.as_of.isoformat()}


@dataclass(frozen=True, slots=True)
class Said:
    """An answer of the engine, cut down to what the readings say too. `outputs` as JSON data; `error` is the kind of an error."""

    outcome: str
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    outputs: dict[str, Any]
    error: str | None = None


class Point:
    """Values for the variables: those given, what the functions give for them, and 0 or false for the rest."""

    def __init__(self, world: World, pairs: Iterable[tuple[Any, Any]]) -> None:
        self.world = world
        self.model = z3.Model()
        self.applied = 0
        for variable, value in pairs:
            self.model.update_value(variable, value)

    @classmethod
    def of_model(cls, world: World, model: Any) -> Point:
        """The point of an exact model."""
        point = cls(world, ())
        point.model = model
        return point

    def _apply(self) -> None:
        """Give values to the functions that readings have asked for since."""
        while self.applied < len(self.world.applications):
            a = list(self.world.applications.values())[self.applied]
            self.applied += 1
            arguments = tuple(self._read(x) for x in a.arguments)
            try:
                result, error = evaluated(self.world, a.kind, arguments)
            except (LookupError, TypeError, ValueError, OverflowError):
                continue  # a value that is null: nothing reads it
            self.model.update_value(a.result, lifted(result))
            if a.error is not False:
                self.model.update_value(a.error, lifted(error))

    @classmethod
    def of(cls, policy: Policy, world: World, facts: Mapping[str, Any], as_of: datetime) -> Point:
        """The point of typed facts; those left out are unknown. Raises ValueError for a list that is longer than those of the world."""
        pairs: list[tuple[Any, Any]] = []
        for name, fact in policy.facts.items():
            pairs.append((z3.Bool(f"known:{name}"), z3.BoolVal(name in facts)))
            if name in facts:
                pairs += bindings(name, facts[name], fact.type, fact.nullable, world)
        now = constant(as_of, world.texts).value
        return cls(world, [*pairs, (AS_OF_DAY, lifted(now.day)), (AS_OF_CLOCK, lifted(now.clock))])

    def value(self, x: Any) -> Any:
        """The value of a raw term: bool, int or Fraction."""
        self._apply()
        return self._read(x)

    def _read(self, x: Any) -> Any:
        if not is_term(x):
            return x
        value = constant_of(self.model.eval(x, model_completion=True))
        assert value is not None, x
        return value

    def holds(self, x: Any) -> bool:
        return bool(self.value(x))

    def term(self, term: Term, t: Type) -> Any:
        """The value of a term as a typed value of the engine, OPEN where it is not determined."""
        if self.holds(term.waits.any):
            return OPEN
        if term.value is None or self.holds(term.null):
            return None
        v = term.value
        if isinstance(v, Items):
            item = t.item if isinstance(t, ListType) else EMPTY_TEXT
            found = tuple(self.term(x, item) for g, x in v.entries if self.holds(g))
            return OPEN if any(x is OPEN for x in found) else found
        if isinstance(v, tuple):
            assert isinstance(t, RecordType)
            return tuple(self.term(x, f.type) for x, f in zip(v, t.fields, strict=True))
        if isinstance(v, Moment):
            return _moment(self.value(v.day), self.value(v.clock))
        found = self.value(v)
        if isinstance(t, BoolType):
            return found
        if isinstance(t, NumberType):
            return decimal(found)
        return date.fromordinal(found) if isinstance(t, DateType) else self.world.texts.text(found)


def constant_of(x: Any) -> Any:
    """The Python value of a Z3 value; None if it is none."""
    if z3.is_true(x) or z3.is_false(x):
        return z3.is_true(x)
    if z3.is_int_value(x):
        return x.as_long()
    return Fraction(x.numerator_as_long(), x.denominator_as_long()) if z3.is_rational_value(x) else None


def decimal(value: Any) -> Decimal:
    """A number of the solver as a decimal. One without a finite expansion is cut: no request can hold it."""
    number = Fraction(value)
    return ROUNDING.divide(Decimal(number.numerator), Decimal(number.denominator))


def _moment(day: int, clock: int) -> datetime:
    return datetime.combine(date.fromordinal(day), datetime.min.time(), SHANGHAI) + timedelta(microseconds=clock)


# -- a model as a request ------------------------------------------------------------------------------------------------------------------


def request(policies: Iterable[Policy], world: World, model: Any) -> Witness:
    """The request that a model stands for, with the facts of some versions. Texts that nobody named must have been given names (`solver`)."""
    draw = _Draw(world, model)
    facts: dict[str, Any] = {}
    for policy in policies:
        for name, fact in policy.facts.items():
            if not draw.bit(f"known:{name}", True):
                continue
            value = draw.nullable(name, fact.type, fact.nullable)
            facts[name] = plain(value, fact.type)
    return Witness(facts, _moment(draw.read(AS_OF_DAY), draw.read(AS_OF_CLOCK)))


class _Draw:
    def __init__(self, world: World, model: Any) -> None:
        self.world, self.model = world, model

    def read(self, variable: Any) -> Any:
        return constant_of(self.model.eval(variable, model_completion=True))

    def bit(self, name: str, otherwise: bool = False) -> bool:
        found = constant_of(self.model.eval(z3.Bool(name)))
        return otherwise if found is None else bool(found)

    def nullable(self, name: str, t: Type, nullable: bool) -> Any:
        return None if nullable and self.bit(f"null:{name}") else self.value(name, t)

    def value(self, name: str, t: Type) -> Any:
        if isinstance(t, BoolType):
            return self.bit(name)
        if isinstance(t, NumberType):
            if t.places is None:
                return decimal(self.read(z3.Real(name)))
            value = Decimal(self.read(z3.Int(name))).scaleb(-t.places, ROUNDING)
            return int(value) if t.places == 0 else value
        if isinstance(t, DateType):
            return date.fromordinal(self.read(z3.Int(name)))
        if isinstance(t, DateTimeType):
            return _moment(self.read(z3.Int(name)), self.read(z3.Int(f"{name}.clock")))
        if isinstance(t, SetType) and t.values is not None:
            return tuple(v for v in t.values if self.bit(f"{name}[{v}]"))
        if isinstance(t, (ListType, SetType)):
            item = t.item if isinstance(t, ListType) else EMPTY_TEXT
            return tuple(self._item(f"{name}[{i}]", item) for i in range(self.read(z3.Int(f"count:{name}"))))
        number = self.read(z3.Int(name))
        return self.world.texts.text(number) or f"text {number}"

    def _item(self, path: str, item: Type) -> Any:
        if isinstance(item, RecordType):
            return tuple(self.nullable(f"{path}.{f.name}", f.type, f.nullable) for f in item.fields)
        return self.value(path, item)


# -- what the engine says ------------------------------------------------------------------------------------------------------------------


def asked(program: Program, witness: Witness) -> Said:
    """The engine's answer to a request, with the facts of this version only. Other policies are not asked: their facts stand in the request."""
    facts = {n: v for n, v in witness.facts.items() if n in program.policy.facts}
    try:
        answer = program.check(facts, witness.as_of)
    except EvaluationError as error:
        return Said("error", (), (), {}, error.kind)
    except PolicyError as error:
        return Said("refused", (), (), {}, str(error))
    codes = {part: tuple(entry["code"] for entry in answer[part]) for part in ("reasons", "warnings")}
    outputs = {n: v for n, v in answer["outputs"].items() if n != "open_events"}
    return Said(answer["outcome"], codes["reasons"], codes["warnings"], outputs)


def predicted(reading: Reading, program: Program, witness: Witness) -> Said:
    """What the reading says of the same request: it must be what the engine says."""
    setcontext(EXACT)
    facts = {n: v for n, v in witness.facts.items() if n in program.policy.facts}
    slots = program.reader.slots(facts)
    known = {n: v for n, v in zip(program.policy.facts, slots, strict=True) if type(v) is not Unknown}
    return at(reading, Point.of(program.policy, reading.world, known, witness.as_of), program)


def at(reading: Reading, point: Point, program: Program) -> Said:
    """What a reading says at a point."""
    outcome = next(o for o in ("error", "undetermined", "denied", "review", "allowed") if point.holds(reading.is_outcome(o)))
    if outcome == "error":
        return Said("error", (), (), {})
    fired = [r for r in reading.rules.values() if r.effect in ("deny", "review", "warn") and point.holds(reading.violated(r.code))]
    order = {r.code: i for i, r in enumerate(program.policy.requirements)}
    fired.sort(key=lambda r: order.get(r.code, len(order)))
    reasons = tuple(r.code for r in fired if r.effect != "warn")
    types = program.words.outputs.types
    outputs = nested((n, _shown(point, reading.output(n), types[n])) for n in reading.outputs)
    return Said(outcome, reasons, tuple(r.code for r in fired if r.effect == "warn"), outputs)


def _shown(point: Point, term: Term, t: Type) -> Any:
    return plain(_without_open(point.term(term, t)), t)


def _without_open(value: Any) -> Any:
    if isinstance(value, str) and value is OPEN:
        return None
    return tuple(_without_open(v) for v in value) if isinstance(value, tuple) else value
