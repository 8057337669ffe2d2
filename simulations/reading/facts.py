"""The facts of a policy over a table: its columns, and what other policies give where the table leaves a fact unknown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from engine.policy import FactDef, Policy
from engine.types import SHANGHAI, EnumType, ListType, NumberType, RecordType
from simulations.population import columns
from simulations.population.columns import Profile
from simulations.reading.arrays import at, mapped_array, some
from simulations.reading.bounds import settled
from simulations.reading.dates import Dates
from simulations.reading.items import array_type, blank_of, item_of, shape_of
from simulations.reading.logic import chosen
from simulations.reading.lowered import (
    PATHS,
    Flag,
    Lowered,
    Shape,
    both,
    cast,
    choose,
    condition,
    constant,
    decimal_type,
    either,
    mask_of,
    negated,
    never,
    number,
)
from simulations.reading.lowering import Lowering
from simulations.reading.scopes import ROW
from simulations.reading.stages import Stages

#: The versions of a used policy by the business days on which each is in force: first day, first day after (None: open).
Periods = Sequence[tuple[date | None, date | None, Policy]]
Uses = Callable[[str], Periods]


class Facts:
    """The facts of one query: the same table, instant and used policies for every version that is read over it."""

    def __init__(self, source: ir.Table, profile: Profile, as_of: Lowered, stages: Stages, dates: Dates, uses: Uses) -> None:
        self.source, self.profile, self.as_of, self.stages, self.dates, self.uses = source, profile, as_of, stages, dates, uses

    def lowering(self, policy: Policy) -> Lowering:
        """A policy over the facts that the table and other policies give it."""
        return self._lowering(policy, {name: self.column(name, fact) for name, fact in policy.facts.items()}, ())

    def column(self, name: str, fact: FactDef) -> Lowered:
        """A fact as the table has it; unknown in every row where it has not."""
        column = self.profile.columns.get(name)
        if column is None or name not in self.source.columns:
            return absent(fact)
        shape = shape_of(fact.type, column, fact.nullable)
        flag: Any = self.source[columns.UNKNOWN + name] if shape.flagged and columns.UNKNOWN + name in self.source.columns else None
        if shape.flagged and flag is None:
            shape = replace(shape, maybe=False, kinds=0, low=None)
        low = None if shape.low is None else constant(shape.low, fact.type)
        blank = blank_of(fact.type.item) if shape.maybe and isinstance(fact.type, ListType) else None
        with self.stages.part(f"fact {name}"):
            value = self._narrowed(self.source[name], shape)
        return Lowered(
            fact.type, value, shape.maybe, shape.kinds, flag, None, shape.null, low, None, shape.digits, shape.places,
            shape=shape.item, blank=blank,
        )  # fmt: skip

    def _narrowed(self, value: ir.Value, shape: Shape) -> ir.Value:
        """A decimal column as wide as its values are: a DECIMAL(18,2) would make every product 128 bits wide."""
        kind = value.type()
        width = max(shape.digits, 1) + shape.places
        return self.stages.bind(cast(value, dt.Decimal(width, shape.places))) if kind.is_decimal() and kind.precision > width else value

    def _lowering(self, policy: Policy, facts: dict[str, Lowered], above: tuple[str, ...]) -> Lowering:
        """A policy over given facts; those that other policies give are put in where they are unknown."""
        lowering = Lowering(policy, facts, self.as_of, self.stages, self.dates)
        plain = dict(facts)
        given: dict[str, Lowered] = {}
        for name, fact in policy.facts.items():
            if fact.origin is not None and facts[name].maybe and fact.origin.policy not in above:
                given[name] = self._given(policy, lowering, fact, plain, (*above, policy.id))
        return Lowering(policy, {**facts, **given}, self.as_of, self.stages, self.dates) if given else lowering

    def _given(self, policy: Policy, lowering: Lowering, fact: FactDef, mine: dict[str, Lowered], above: tuple[str, ...]) -> Lowered:
        """What another policy says of a fact, where the table leaves it unknown and has what that policy asks for."""
        assert fact.origin is not None
        own = mine[fact.name]
        lines: list[tuple[Lowered, Lowered]] = []
        for start, end, other in self.uses(fact.origin.policy):
            here = lowering.bound(self._asked(policy, lowering, fact, other, mine, above))
            lines.append((self._in_force(start, end), here))
        # on a day on which no version is in force there is nobody to ask
        theirs = chosen(lines, absent(fact), fact.type, self.stages.bind)
        if not theirs.maybe:
            theirs = replace(theirs, kinds=0)
        return lowering.bound(self._filled(own, theirs, fact))

    def _in_force(self, start: date | None, end: date | None) -> Lowered:
        if self.as_of.is_static:
            day = self.as_of.static.astimezone(SHANGHAI).date()
            return constant((start is None or day >= start) and (end is None or day < end), EnumType(()))
        value: Any = self.as_of.value
        tests = [value >= datetime.combine(start, datetime.min.time())] if start else []
        tests += [value < datetime.combine(end, datetime.min.time())] if end else []
        return Lowered(EnumType(()), both(*tests) if tests else ibis.literal(True))

    def _filled(self, own: Lowered, theirs: Lowered, fact: FactDef) -> Lowered:
        """The value of the table where it is known, else what the other policy gives, else unknown."""
        digits, places = max(own.digits, theirs.digits), max(own.places, theirs.places)
        kind = decimal_type(digits, places) if isinstance(fact.type, NumberType) else own.value.type()
        value = choose([(negated(own.unknown), cast(own.value, kind))], cast(theirs.value, kind))
        unknown = both(own.unknown, theirs.unknown)
        # what the other policy waits for is missing here, whatever it is; its unset parameters are told by it
        kinds, mask = mask_of(unknown, replace(own, kinds=PATHS, mask=None) if own.maybe else own)
        flag = condition(unknown) if own.null or theirs.null or own.shape is not None else None
        return settled(
            Lowered(fact.type, value, unknown is not False, kinds, flag, mask, own.null or theirs.null, own.low, None, digits, places,
                    shape=theirs.shape if theirs.shape is not None else own.shape)
        )  # fmt: skip

    def _asked(self, policy: Policy, lowering: Lowering, fact: FactDef, other: Policy, mine: dict[str, Lowered], above: tuple[str, ...]) -> Lowered:
        """The other policy's answer, unknown where it is not asked: the row has nothing for it, and the question sets nothing."""
        assert fact.origin is not None
        names = self._facts_with_used(other)
        theirs = {n: f for n, f in names.items() if n not in policy.facts and n in self.profile.columns}
        fed = either(*(negated(self.column(n, f).unknown) for n, f in theirs.items()))
        bound = {n: lowering.node(node, ROW) for n, node in fact.origin.bindings}
        sets = either(*(both(negated(b.unknown), b.value.notnull()) if not b.is_static else b.static is not None for b in bound.values()))
        asked = either(fed, sets)
        if asked is False:
            return absent(fact)
        facts = {}
        for n, f in other.facts.items():
            raw = self._raw(n, f, mine)
            facts[n] = self._merged(bound[n], raw, f) if n in bound else raw
        answer = self._part(self._lowering(other, facts, above), fact.origin.output)
        value = choose([(asked, answer.value)], ibis.null(answer.value.type()))
        unknown = either(negated(asked), answer.unknown)
        return replace(
            answer, type=fact.type, value=value, maybe=unknown is not False, kinds=PATHS, flag=condition(unknown), mask=None, low=None, high=None
        )

    def _facts_with_used(self, policy: Policy) -> dict[str, FactDef]:
        found = dict(policy.facts)
        for name in policy.uses:
            for _, _, other in self.uses(name):
                found = self._facts_with_used(other) | found
        return found

    def _raw(self, name: str, fact: FactDef, mine: dict[str, Lowered]) -> Lowered:
        """A fact of another policy as the table has it."""
        if name in mine:
            return self._legal(mine[name], fact)
        return self.column(name, fact)

    def _legal(self, a: Lowered, fact: FactDef) -> Lowered:
        """A value that the other policy's fact does not know stays unknown there."""
        bad: Flag = False
        if isinstance(fact.type, EnumType) and not a.is_static:
            bad = both(a.value.notnull(), negated(a.value.isin(fact.type.values)))
        if a.null and not fact.nullable and not a.is_static:
            bad = either(bad, both(negated(a.unknown), a.value.isnull()))
        if bad is False:
            return replace(a, type=fact.type)
        value = choose([(bad, ibis.null(a.value.type()))], a.value)
        unknown = either(bad, a.unknown)
        flag = condition(unknown) if fact.nullable else None
        return replace(a, type=fact.type, value=value, maybe=True, kinds=a.kinds | PATHS, flag=flag, mask=None, null=fact.nullable)

    def _merged(self, bound: Lowered, raw: Lowered, fact: FactDef) -> Lowered:
        """What the question sets, unknown if the other policy's fact does not know it; where it sets nothing (unknown or none), what the table has."""
        if bound.is_static:
            return constant(bound.static, fact.type) if bound.static is not None else raw
        there = both(negated(bound.unknown), bound.value.notnull())
        legal = self._legal(bound, fact)
        value = choose([(there, legal.value)], raw.value)
        unknown = either(both(there, legal.unknown), both(negated(there), raw.unknown))
        maybe = unknown is not False
        return Lowered(fact.type, value, maybe, PATHS if maybe else 0, condition(unknown) if raw.null and maybe else None, None, raw.null, raw.low,
                       digits=max(bound.digits, raw.digits), places=max(bound.places, raw.places), shape=raw.shape)  # fmt: skip

    def _part(self, other: Lowering, output: str) -> Lowered:
        """The outcome or an output of another policy; `list[].field`: the one value that all records have."""
        if output == "outcome":
            return other.outcome()
        name, _, part = output.partition("[].")
        value = other.output(name)
        if not part:
            return value
        shape = value.shape
        assert shape is not None
        assert shape.fields is not None
        inner = dict(shape.fields)[part]
        array = self.stages.bind(mapped_array(value.value, "record", lambda x: item_of(x, shape).part(part).value))
        first: Any = at(array, number(0))
        same = negated(either(*[_some_other(array, first)]))
        one = both(negated(value.unknown), (array.length() > 0).fill_null(False), same)
        return Lowered(inner.type, choose([(one, first)], ibis.null(first.type())), True, PATHS, negated(one), digits=inner.digits, places=inner.places)


def _some_other(array: Any, first: Any) -> Flag:
    return some(array, "other", lambda x: negated(x.identical_to(first)))


def absent(fact: FactDef) -> Lowered:
    """A fact that no row has."""
    t = fact.type
    low = constant(0, t) if isinstance(t, NumberType) and not t.signed else None
    if isinstance(t, ListType) and isinstance(t.item, RecordType):
        shape = shape_of(t, None, fact.nullable).item
        return Lowered(t, ibis.null(array_type(shape)), True, PATHS, condition(True), null=False, shape=shape, blank=blank_of(t.item))
    shape = shape_of(t, None, fact.nullable).item
    blank = never(t.item, 0) if isinstance(t, ListType) else None
    return never(t, PATHS, low=low, shape=shape, blank=blank)
