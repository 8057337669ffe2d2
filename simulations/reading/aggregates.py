"""Aggregates over lists as SQL. An item whose condition is unknown may or may not count; an unknown list may hold any number of items."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import ibis
import ibis.expr.types as ir

from engine.types import BOOL, NumberType, Type
from simulations.reading.arrays import Bind, bits_in, filtered, mapped_array, size, some, struct
from simulations.reading.bounds import settled
from simulations.reading.items import Body, item_of, packed, shape_for
from simulations.reading.logic import conjunction, inverse
from simulations.reading.lowered import Flag, Lowered, Shape, both, cast, choose, condition, constant, decimal_type, either, negated, number, surely_not

#: The fields of a prepared item: its value, and whether it counts.
VALUE, HELD = "value", "held"
#: Lists have at most 10,000 items: so many digits more has their sum.
MORE_DIGITS = 5


class Items:
    """One list with a condition on its items: what is sure to count, and what may."""

    def __init__(self, source: Lowered, variable: str, test: Body | None, value: Body | None, bind: Bind) -> None:
        assert source.shape is not None
        self.source, self.variable, self.shape, self.bind = source, variable, source.shape, bind
        self.test, self.value = test, value
        self.array: Any = bind(source.value)
        sample = self._sample()
        self.condition = None if test is None else test(sample)
        self.sample = None if value is None else value(sample)
        self.doubtful = self.condition is not None and self.condition.maybe
        if self.sample is not None and self.sample.fields is None and (self.doubtful or self.sample.maybe):
            self._prepare()

    def _prepare(self) -> None:
        """Condition and value of each item are worked out once and kept beside each other: sums and bounds read them several times."""
        test, value, inner = self.test, self.value, self.shape
        assert value is not None
        assert self.sample is not None
        fields = {VALUE: shape_for(self.sample)}
        if test is not None and self.condition is not None:
            fields[HELD] = shape_for(self.condition)

        def prepared(x: ir.Value) -> ir.Value:
            item = item_of(x, inner)
            found = packed(VALUE, value(item), fields[VALUE])
            return struct(found | (packed(HELD, test(item), fields[HELD]) if test is not None else {}))

        blank = self.source.blank
        if blank is not None:
            parts = {VALUE: value(blank)} | ({HELD: test(blank)} if test is not None else {})
            blank = Lowered(self.shape.type, self.source.value, fields=parts)
        self.array = self.bind(mapped_array(self.array, self.variable, prepared))
        self.source = replace(self.source, blank=blank)
        self.shape = Shape(self.shape.type, fields=tuple(fields.items()))
        self.value = lambda item: item.part(VALUE)
        if test is not None:
            self.test = lambda item: item.part(HELD)
        sample = self._sample()
        self.sample = self.value(sample)
        self.condition = None if self.test is None else self.test(sample)

    def _sample(self) -> Lowered:
        """An item in a lambda that is thrown away: tells what the condition and the value are like."""
        found: list[Lowered] = []

        def keep(x: ir.Value) -> ir.Value:
            found.append(item_of(x, self.shape))
            return ibis.literal(True)

        filtered(self.array, self.variable, keep)
        return found[0]

    def of(self, function: Callable[[Lowered], ir.Value]) -> Callable[[ir.Value], ir.Value]:
        return lambda x: function(item_of(x, self.shape))

    def holds(self, item: Lowered) -> ir.Value:
        return ibis.literal(True) if self.test is None else self.test(item).value

    @property
    def sure(self) -> ir.ArrayValue:
        """The items that are sure to count."""
        if self.test is None:
            return self.array
        return filtered(self.array, self.variable, lambda x: self.holds(item_of(x, self.shape)))

    @property
    def maybes(self) -> ir.ArrayValue:
        """The items that may count."""
        return filtered(self.array, self.variable, lambda x: self.holds(item_of(x, self.shape)).isnull())

    def any_doubt(self) -> Flag:
        if not self.doubtful:
            return False
        return some(self.array, self.variable, lambda x: self.holds(item_of(x, self.shape)).isnull())

    def blank(self) -> Lowered:
        """Does an item of which nothing is known count? True where not even its fields are known."""
        if self.source.blank is None or self.test is None:
            return constant(True, BOOL)
        return self.test(self.source.blank)

    def why(self, unknown: Flag, *bodies: Callable[[Lowered], Lowered]) -> tuple[int, Any]:
        """What an unknown result waits for: the list, the blank item, and what is unknown in the items."""
        held = self.blank() if self.source.maybe else constant(True, BOOL)
        parts = [p for p in (self.source, held) if p.maybe]
        sample = [body(self._sample()) for body in bodies]
        kinds = 0
        for p in (*parts, *sample):
            kinds |= p.kinds if p.maybe else 0
        if kinds.bit_count() <= 1:
            return kinds, None
        mask: Any = number(0)
        for p in parts:
            mask = mask | p.why
        for body, found in zip(bodies, sample, strict=True):
            if found.maybe:
                mask = mask | bits_in(self.array, self.variable, found.kinds, self.of(_why(body))).fill_null(0)
        return kinds, choose([(unknown, mask)], number(0))


def _why(body: Callable[[Lowered], Lowered]) -> Callable[[Lowered], ir.Value]:
    return lambda item: body(item).why


def count(items: Items, t: Type) -> Lowered:
    """How many items count; while some may, at least those that surely do."""
    sure = size(items.sure)
    if not items.doubtful and not items.source.maybe:
        return Lowered(t, sure, digits=MORE_DIGITS)
    doubt = items.any_doubt()
    closed = _surely_empty(items)
    value = choose([(items.source.unknown, choose([(closed, number(0))], ibis.null("int64"))), (doubt, ibis.null("int64"))], sure)
    low = Lowered(t, choose([(items.source.unknown, number(0))], sure), digits=MORE_DIGITS)
    high = Lowered(t, sure + size(items.maybes) if items.doubtful else choose([(items.source.unknown, ibis.null("int64"))], sure), digits=MORE_DIGITS)
    kinds, mask = items.why(value.isnull(), *([items.test] if items.test else []))
    return Lowered(t, value, True, kinds, None, mask, low=low, high=high, digits=MORE_DIGITS)


def _surely_empty(items: Items) -> Flag:
    """Of an unknown list: is it sure that no item counts?"""
    held = items.blank()
    return surely_not(held)


def total(items: Items, t: Type) -> Lowered:
    """The sum over the items that count, with bounds from the items that may and the values that are unknown."""
    assert isinstance(t, NumberType)
    assert items.value is not None
    assert items.sample is not None
    value, sample = items.value, items.sample
    digits, places = sample.digits + MORE_DIGITS, sample.places
    kind = decimal_type(digits, places)

    def summed(array: ir.Value, get: Callable[[Lowered], ir.Value]) -> ir.Value:
        parts = mapped_array(array, items.variable, lambda x: cast(get(item_of(x, items.shape)), decimal_type(sample.digits, places)))
        return cast(cast(parts, f"array<{kind}>").sums().fill_null(_zero(kind)), kind)

    sure = items.bind(items.sure)
    result = summed(sure, lambda item: value(item).value)
    if not items.source.maybe and not items.doubtful and not sample.maybe:
        return Lowered(t, result, digits=digits, places=places)
    holes: Flag = some(sure, items.variable, items.of(lambda item: condition(value(item).unknown))) if sample.maybe else False
    doubt = either(items.any_doubt(), holes)
    closed = _surely_empty(items)
    null = ibis.null(kind)
    result = choose([(items.source.unknown, choose([(closed, _zero(kind))], null)), (doubt, null)], result)
    low, high = (_limit(items, t, digits, places, sure, largest) for largest in (False, True))
    kinds, mask = items.why(result.isnull(), *([items.test] if items.test else []), value)
    return settled(Lowered(t, result, True, kinds, None, mask, low=low, high=high, digits=digits, places=places))


def _zero(kind: Any) -> ir.Value:
    return cast(number(0), kind)


def _limit(items: Items, t: Type, digits: int, places: int, sure: ir.Value, largest: bool) -> Lowered | None:
    """A bound of a sum: of every sure item its own, of every item that may count its own if that moves the sum."""
    assert items.value is not None
    value = items.value
    kind = decimal_type(digits, places)

    def bound_of(item: Lowered) -> Lowered | None:
        found = value(item)
        if not found.maybe:
            return found
        limit = found.high if largest else found.low
        known = Lowered(found.type, found.value, digits=found.digits, places=found.places)
        if limit is None:
            return known  # NULL where it is unknown: no bound
        wide = decimal_type(max(found.digits, limit.digits), max(found.places, limit.places))
        return Lowered(
            found.type, choose([(found.unknown, cast(limit.value, wide))], cast(found.value, wide)), digits=max(found.digits, limit.digits), places=places
        )

    def as_value(item: Lowered) -> ir.Value:
        found = bound_of(item)
        assert found is not None
        return cast(found.value, kind)

    def outer(item: Lowered) -> ir.Value:
        """Of an item that may count: only what lowers (raises) the sum."""
        found = as_value(item)
        return choose([(found.isnull(), found), ((found > 0) if largest else (found < 0), found)], _zero(kind))

    def summed(array: ir.Value, get: Callable[[Lowered], ir.Value]) -> tuple[ir.Value, Flag]:
        parts = mapped_array(array, items.variable, lambda x: get(item_of(x, items.shape)))
        open_ = some(array, items.variable, lambda x: get(item_of(x, items.shape)).isnull())
        return cast(parts.sums().fill_null(_zero(kind)), kind), open_

    result, open_ = summed(sure, as_value)
    if items.doubtful:
        more, also = summed(items.maybes, outer)
        result, open_ = cast(result + more, kind), either(open_, also)
    cases: list[tuple[Flag, ir.Value]] = [(open_, ibis.null(kind))]
    if items.source.maybe:
        # of an unknown list only the sign can be known: no item lowers (raises) the sum
        found = value(items.source.blank) if items.source.blank is not None else None
        limit = None if found is None else ((found.high if largest else found.low) if found.maybe else found)
        closed = _surely_empty(items)
        still = closed if limit is None else either(closed, _moves_not(limit, largest))
        cases.insert(0, (both(items.source.unknown, still), _zero(kind)))
        cases.insert(1, (items.source.unknown, ibis.null(kind)))
    return Lowered(t, choose(cases, result), digits=digits, places=places)


def _moves_not(limit: Lowered, largest: bool) -> Flag:
    if limit.is_static:
        return bool(limit.static <= 0 if largest else limit.static >= 0)
    return (limit.value <= 0 if largest else limit.value >= 0).fill_null(False)


def any_of(items: Items) -> Lowered:
    """Does the value hold for some item that counts?"""
    assert items.value is not None
    value = items.value

    def held(item: Lowered) -> Lowered:
        return value(item) if items.test is None else conjunction([items.test(item), value(item)])

    found: Any = some(items.array, items.variable, items.of(lambda item: held(item).value))
    sample = held(items._sample())
    if not sample.maybe and not items.source.maybe:
        return Lowered(BOOL, found)
    doubt: Flag = some(items.array, items.variable, items.of(lambda item: held(item).value.isnull())) if sample.maybe else False
    closed: Flag = False
    if items.source.maybe and items.source.blank is not None:
        blank = held(items.source.blank)
        closed = surely_not(blank)
    null = ibis.null("boolean")
    result = choose(
        [(items.source.unknown, choose([(closed, ibis.literal(False))], null)), (condition(found), ibis.literal(True)), (doubt, null)], ibis.literal(False)
    )
    kinds, mask = items.why(result.isnull(), held)
    return Lowered(BOOL, result, True, kinds, None, mask)


def all_of(source: Lowered, variable: str, test: Body | None, value: Body, bind: Bind) -> Lowered:
    return inverse(any_of(Items(source, variable, test, lambda item: inverse(value(item)), bind)))


def outermost(largest: bool, items: Items, t: Type) -> Lowered:
    """The smallest or largest value of the items that count; null for none. Unknown while any value or condition is."""
    assert items.value is not None
    assert items.sample is not None
    value, sample = items.value, items.sample
    sure = items.bind(items.sure)
    values = mapped_array(sure, items.variable, lambda x: value(item_of(x, items.shape)).value)
    result = values.maxs() if largest else values.mins()
    if isinstance(t, NumberType):
        result = cast(result, decimal_type(sample.digits, sample.places))
    if not items.source.maybe and not items.doubtful and not sample.maybe:
        return Lowered(t, result, null=True, digits=sample.digits, places=sample.places)
    holes: Flag = some(sure, items.variable, items.of(lambda item: condition(value(item).unknown))) if sample.maybe else False
    closed = _surely_empty(items)
    unknown = either(both(items.source.unknown, negated(closed)), both(negated(items.source.unknown), either(items.any_doubt(), holes)))
    result = choose([(either(items.source.unknown, unknown), ibis.null(result.type()))], result)
    kinds, mask = items.why(unknown, *([items.test] if items.test else []), value)
    return Lowered(t, result, True, kinds, condition(unknown), mask, True, digits=sample.digits, places=sample.places)
