"""One case with what can be changed about it: each fact as a term that is fixed, or moved by levers that cost something."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import z3

from engine.decide import Program
from engine.functions import to_date
from engine.types import (
    DateType,
    EnumType,
    ListType,
    NumberType,
    RecordType,
    SetType,
    TextType,
    Type,
    nested,
    plain,
)  # fmt: skip
from engine.unknown import Unknown, holds_unknown
from proofs.advice import LANGUAGES, filled, label, number_text, stated_text, value_text
from proofs.constants import constant, typed
from proofs.folding import Moment, Truth, and_, not_, number
from proofs.influence import ANY, Influence, InfluenceModel, MoveModel, ShiftModel
from proofs.lowering import Reading
from proofs.symbols import AS_OF_CLOCK, AS_OF_DAY, Symbols, World
from proofs.terms import Items, Term, Waits, chosen
from proofs.witness import OPEN, Point, decimal

#: What it costs to state a fact that the request leaves out; waiting and changes cost what the author says.
STATING = Fraction(1, 1000)
RATIO_PLACES = 4


@dataclass(frozen=True, slots=True)
class Lever:
    """One way to change the case. `pulled` says whether it is used, `cost` is 0 where it is not. `kind`: change, state or wait."""

    kind: str
    path: str
    pulled: Truth
    cost: Any
    days: int
    says: Callable[[Point, str], str]


class Case(Reading):
    """The reading of one case. `levers` are all that may be changed; without any, everything is fixed."""

    def __init__(self, program: Program, slots: tuple[Any, ...], as_of: datetime, influence: Influence) -> None:
        self.program, self.asked_at = program, as_of
        self.day = to_date(as_of)
        self.influence = influence
        wait = influence.waiting.up_to_days if influence.waiting is not None else 0
        policy = program.policy
        world = World(days=(self.day, self.day + timedelta(days=wait)))
        super().__init__(policy, world, given={})
        self.given = dict(zip(policy.facts, slots, strict=True))
        self.levers: list[Lever] = []
        self.domain = list(world.instant())
        self.symbols = Symbols(world)
        for name, value in self.given.items():
            self.facts[name] = self._fact(name, value)
        self._waiting(constant(as_of, world.texts).value)

    def cost(self) -> Any:
        """What a set of changes costs."""
        return z3.Sum([lever.cost for lever in self.levers]) if self.levers else _q(Fraction(0))

    # -- the facts -----------------------------------------------------------------------------------------------------------------

    def _fact(self, name: str, value: Any) -> Term:
        fact = self.policy.facts[name]
        one = self.influence.facts.get(name)
        return self._open(name, value, fact.type, fact.nullable) if one is None else self._moved(name, value, fact.type, one, fact.nullable)

    def _open(self, path: str, value: Any, t: Type, nullable: bool) -> Term:
        """A value that nobody changes; what the request leaves out of it may be stated."""
        if type(value) is Unknown:
            return self._unknown(path, t, nullable)
        if not holds_unknown(value):
            return typed(value, t, self.world.texts)
        if isinstance(t, RecordType):
            return Term(tuple(self._open(f"{path}.{f.name}", v, f.type, f.nullable) for v, f in zip(value, t.fields, strict=True)))
        assert isinstance(t, ListType)
        return Term(Items(tuple((True, self._open(f"{path}[{i}]", v, t.item, False)) for i, v in enumerate(value))))

    def _unknown(self, path: str, t: Type, nullable: bool) -> Term:
        """A value that the request leaves out: it may be stated, as whatever it is."""
        term, domain = self.symbols.fact(path, t, nullable)
        self.domain += domain
        stated = z3.Bool(f"state:{path}")
        cost = _q(STATING)
        if isinstance(t, NumberType):  # the smallest number that does is as good as any
            cost = cost + (z3.If(term.value < 0, -term.value, term.value) if t.signed else term.value) * _q(Fraction(1, 10**9))
        if term.null is not False:  # none is the plainest
            cost = cost + z3.If(term.null, _q(Fraction(0)), _q(Fraction(1, 10**6)))
        self.levers.append(Lever("state", path, stated, z3.If(stated, cost, _q(Fraction(0))), 0, self._stating(path, t, term)))
        return term.but(Waits(fact=z3.Not(stated)))

    def _stating(self, path: str, t: Type, term: Term) -> Callable[[Point, str], str]:
        named = self.influence.names.get(re.sub(r"\[\d+\]", "[]", path))

        def says(point: Point, language: str) -> str:
            value = point.term(term, t)
            name = getattr(named, language) if named is not None else label(self.policy, path, language)
            return stated_text(self.policy, path, name, value, t, language)

        return says

    def _moved(self, path: str, value: Any, t: Type, one: InfluenceModel, nullable: bool, place: dict[str, str] | None = None) -> Term:
        """The term of a value that can be changed. `place`: what the texts may say of where it stands."""
        place = place or {}
        if type(value) is Unknown:
            return self._unknown(path, t, nullable)
        if isinstance(t, SetType):
            return self._set(path, value, t, one, place)
        if isinstance(t, ListType):
            return self._list(path, value, t, one)
        term = constant(value, self.world.texts)
        if isinstance(t, (NumberType, DateType)) and value is not None and (one.down or one.up):
            term = self._shifted(path, value, t, one, place)
        flags: list[Any] = []
        for to in one.becomes:
            if to.value == value or (to.from_ is not None and value not in to.from_):
                continue
            flag = z3.Bool(f"{path}:={to.value}")
            self.domain += [not_(and_(flag, other)) for other in flags]
            flags.append(flag)
            term = chosen(flag, constant(to.value, self.world.texts), term)
            self._lever(path, flag, _fixed(flag, to), to, self._texts(path, value, to.value, t, place))
        return term

    def _lever(self, path: str, pulled: Truth, cost: Any, move: MoveModel, values: Callable[[Point, str], dict[str, str]]) -> None:
        texts = move.says.model_dump()
        self.levers.append(Lever("change", path, pulled, cost, move.days, lambda point, language: filled(texts[language], values(point, language))))

    def _texts(self, path: str, before: Any, after: Any, t: Type, place: dict[str, str]) -> Callable[[Point, str], dict[str, str]]:
        def values(_: Point, language: str) -> dict[str, str]:
            return place | {"from": value_text(self.policy, path, before, t, language), "to": value_text(self.policy, path, after, t, language)}

        return values

    def _shifted(self, path: str, value: Any, t: NumberType | DateType, one: InfluenceModel, place: dict[str, str]) -> Term:
        places = 0 if isinstance(t, DateType) else RATIO_PLACES if t.places is None else t.places
        now = value.toordinal() if isinstance(t, DateType) else int(Fraction(value) * 10**places)
        to = z3.Int(f"{path}:to")
        lowest = 1 if isinstance(t, DateType) else None if t.signed else 0
        self.domain += [] if one.down else [to >= now]
        self.domain += [] if one.up else [to <= now]
        self.domain += [] if lowest is None else [to >= lowest]
        for move, pulled, units in ((one.down, to < now, now - to), (one.up, to > now, to - now)):
            if move is not None:
                self._lever(path, pulled, _per_unit(pulled, units, places, move), move, self._shift_texts(path, value, to, places, t, place))
        if isinstance(t, DateType):
            return Term(to)
        return Term(number(to) if places == 0 else number(to) / z3.RatVal(10**places, 1))

    def _shift_texts(self, path: str, value: Any, to: Any, places: int, t: Type, place: dict[str, str]) -> Callable[[Point, str], dict[str, str]]:
        def values(point: Point, language: str) -> dict[str, str]:
            n = point.value(to)
            if isinstance(t, DateType):
                days = number_text(Decimal(abs(n - value.toordinal())), 0, "days", language)
                return place | {"from": value.isoformat(), "to": date.fromordinal(n).isoformat(), "change": days, "s": _plural(abs(n - value.toordinal()))}
            after = decimal(Fraction(n, 10**places))
            numbers = {"from": value, "to": after, "change": abs(after - Decimal(value))}
            return place | {"s": _plural(numbers["change"])} | {k: value_text(self.policy, path, v, t, language) for k, v in numbers.items()}

        return values

    def _set(self, path: str, value: tuple[Any, ...], t: SetType, one: InfluenceModel, place: dict[str, str]) -> Term:
        entries: list[tuple[Truth, Term]] = []
        held = dict.fromkeys(value or ())
        inner: Type = EnumType(t.values) if t.values else TextType()
        for member in held:
            move = next((m for m in one.loses if m.value == member), None) or next((m for m in one.loses if m.value == ANY), None)
            flag: Truth = False
            if move is not None:
                flag = z3.Bool(f"{path}-{member}")
                self._lever(path, flag, _fixed(flag, move), move, self._member(path, member, inner, place))
            entries.append((not_(flag), Term(self.world.texts.number(member))))
        for move in one.gains:
            if move.value not in held:
                flag = z3.Bool(f"{path}+{move.value}")
                self._lever(path, flag, _fixed(flag, move), move, self._member(path, move.value, inner, place))
                entries.append((flag, Term(self.world.texts.number(str(move.value)))))
        return Term(Items(tuple(entries)), value is None)

    def _member(self, path: str, member: Any, t: Type, place: dict[str, str]) -> Callable[[Point, str], dict[str, str]]:
        return lambda _, language: place | {"value": value_text(self.policy, path, member, t, language)}

    def _list(self, path: str, value: Any, t: ListType, one: InfluenceModel) -> Term:
        if value is None or not isinstance(t.item, RecordType):
            return self._open(path, value, t, True)
        entries: list[tuple[Truth, Term]] = []
        for i, record in enumerate(value):
            parts = []
            for f, part in zip(t.item.fields, record, strict=True):
                inner, where = one.each.get(f.name), f"{path}[{i}].{f.name}"
                place = {"number": str(i + 1)}
                parts.append(self._open(where, part, f.type, f.nullable) if inner is None else self._moved(where, part, f.type, inner, f.nullable, place))
            entries.append((True, Term(tuple(parts))))
        if one.adds is not None:
            adds = one.adds
            record = self._record(path, adds.record)
            more = z3.Int(f"{path}:more")
            self.domain += [more >= 0, more <= adds.up_to]
            entries += [(more > i, typed(record, t.item, self.world.texts)) for i in range(adds.up_to)]
            cost = z3.If(more > 0, number(more) * _q(Fraction(adds.cost)), _q(Fraction(0)))
            day = self.day.isoformat()
            self._lever(path, more > 0, cost, adds, lambda point, _: {"count": str(n := point.value(more)), "s": _plural(n), "as_of": day})
        return Term(Items(tuple(entries)))

    def _record(self, path: str, raw: dict[str, Any]) -> Any:
        """A further record, typed as one of a request. Raises FactsError where it does not fit."""
        shown = {k: filled(v, {"as_of": self.day.isoformat()}) if isinstance(v, str) else v for k, v in raw.items()}
        slots = self.program.reader.slots({path: [shown]})
        return slots[list(self.policy.facts).index(path)][0]

    def _waiting(self, now: Moment) -> None:
        later = now.day < AS_OF_DAY
        self.domain.append(z3.If(later, AS_OF_CLOCK == 0, now.clock == AS_OF_CLOCK))
        waiting = self.influence.waiting
        if waiting is None:
            return
        cost = number(AS_OF_DAY - now.day) * _q(Fraction(waiting.per_day))

        def says(point: Point, language: str) -> str:
            day = date.fromordinal(point.value(AS_OF_DAY)).isoformat()
            return f"apply from {day} on" if language == "en" else f"自 {day} 起再申请"

        self.levers.append(Lever("wait", "as_of", later, cost, 0, says))

    # -- a set of changes as a request ---------------------------------------------------------------------------------------------

    def changed(self, point: Point) -> dict[str, Any]:
        """The facts that a point changes or states, as JSON data by dotted name."""
        paths = {lever.path.partition("[")[0] for lever in self.levers if lever.kind != "wait" and point.holds(lever.pulled)}
        found = {}
        for name in self.policy.facts:
            if name in paths:
                value = point.term(self.facts[name], self.policy.facts[name].type)
                assert not (isinstance(value, str) and value is OPEN)
                found[name] = _json(value, self.policy.facts[name].type)
        return found

    def moment(self, point: Point) -> datetime:
        """The instant of a point: as asked, or 00:00 of a later day."""
        day = date.fromordinal(point.value(AS_OF_DAY))
        return self.asked_at if day == self.day else datetime.combine(day, datetime.min.time(), self.asked_at.tzinfo)


def spoken(levers: Iterable[Lever], point: Point) -> dict[str, list[str]]:
    return {language: [lever.says(point, language) for lever in levers] for language in LANGUAGES}


def _fixed(flag: Any, move: MoveModel) -> Any:
    return z3.If(flag, _q(Fraction(move.cost)), _q(Fraction(0)))


def _per_unit(pulled: Any, units: Any, places: int, move: ShiftModel) -> Any:
    return z3.If(pulled, _q(Fraction(move.cost)) + number(units) * _q(Fraction(move.per_unit) / 10**places), _q(Fraction(0)))


def _q(value: Fraction) -> Any:
    return z3.RatVal(value.numerator, value.denominator)


def _plural(n: Any) -> str:
    """The `{s}` of English phrases."""
    return "" if n == 1 else "s"


def _json(value: Any, t: Type) -> Any:
    """As `plain`; what is still open in a record is left out of it."""
    if isinstance(value, tuple) and isinstance(t, RecordType):
        return nested((f.name, _json(v, f.type)) for f, v in zip(t.fields, value, strict=True) if not (isinstance(v, str) and v is OPEN))
    if isinstance(value, tuple) and isinstance(t, ListType):
        return [_json(v, t.item) for v in value]
    return plain(value, t)
