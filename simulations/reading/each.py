"""The `each` block as SQL: items filtered, ordered, given their `let` values and turned into records, all inside arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import ibis
import ibis.expr.types as ir

from engine.types import BOOL, ListType, RecordType
from simulations.reading.aggregates import MORE_DIGITS, Items
from simulations.reading.arrays import Bind, at, filtered, mapped_array, placed, size, some, struct
from simulations.reading.items import array_type, empty_blank, item_of, packed, shape_for, unpacked
from simulations.reading.lowered import (
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
    empty_array,
    negated,
    number,
    surely_not,
)

#: A value of one item, given the item and the `let` values before it.
Step = Callable[[Lowered, Mapping[str, Lowered]], Lowered]
RECORD, PLACE, KEY = "item", "place", "key"


@dataclass(slots=True)
class Block:
    """The parts of an `each` block. `lets` in order; `sums`: for a let, what the items before it are summed of."""

    where: Callable[[Lowered], Lowered] | None
    order: Sequence[tuple[Callable[[Lowered], Lowered], bool]]
    lets: Sequence[tuple[str, Callable[[Lowered, Mapping[str, Lowered], Mapping[Any, Lowered]], Lowered], Mapping[Any, Step]]]
    keep: Step | None
    rows: Sequence[tuple[Step | None, Sequence[Step]]]
    whole: bool


class Each:
    """One `each` block over one list: the items with their `let` values are carried along as structs."""

    def __init__(self, source: Lowered, variable: str, block: Block, t: ListType, bind: Bind) -> None:
        assert source.shape is not None
        assert isinstance(t.item, RecordType)
        self.record: RecordType = t.item
        self.source, self.variable, self.block, self.t, self.bind = source, variable, block, t, bind
        self.items = source.shape
        self.lets: dict[str, Shape] = {}
        self.doubts: list[tuple[Flag, int, Any]] = []  # what leaves the list unknown: a condition, bits, a mask
        self.closed: Flag = False

    def lowered(self) -> Lowered:
        array = self._kept()
        array = self._ordered(array)
        array = self.bind(mapped_array(array, self.variable, lambda x: struct({RECORD: x})))
        for name, step, sums in self.block.lets:
            array = self._with_let(array, name, step, sums)
        if self.block.keep is not None:
            array = self._filtered(array, self.block.keep)
        return self._finished(*self._rows(array))

    # -- which items, in which order -----------------------------------------------------------------------------------------------

    def _kept(self) -> ir.Value:
        array: Any = self.bind(self.source.value)
        items = Items(self.source, self.variable, self.block.where, None, self.bind)
        if self.source.maybe:
            held = items.blank() if self.source.blank is not None else constant(True, BOOL)
            self.closed = both(self.source.unknown, surely_not(held))
            self.doubts.append((both(self.source.unknown, negated(self.closed)), self.source.kinds | (held.kinds if held.maybe else 0), self.source.why))
        if self.block.where is None:
            return array
        if items.doubtful:
            assert items.condition is not None
            self.doubts.append((items.any_doubt(), items.condition.kinds, None))
        return self.bind(items.sure)

    def _ordered(self, array: ir.Value) -> ir.Value:
        """Sorted by each key in turn, the last first; equal items stay in their order, also when a key descends."""
        for key, descending in reversed(self.block.order):
            sample = self._sample(array, _of_item(key, self.items))
            if sample.maybe:
                several = size(array) > 1
                holes = some(array, self.variable, _is_open(key, self.items))
                self.doubts.append((both(several.fill_null(False), holes), sample.kinds, None))
            keys = self.bind(placed(array, self.variable, _keyed(key, self.items, descending)))
            array = self.bind(_in_places(array, self.bind(keys.sort()), f"{self.variable}_o", descending))
        return array

    # -- values of an item ---------------------------------------------------------------------------------------------------------

    def _open(self, x: Any) -> tuple[Lowered, dict[str, Lowered]]:
        """The item and its `let` values, out of what is carried along."""
        return item_of(x[RECORD], self.items), {name: unpacked(x, name, shape) for name, shape in self.lets.items()}

    def _opened(self, step: Step) -> Callable[[ir.Value], Lowered]:
        return lambda x: step(*self._open(x))

    def _sample(self, array: ir.Value, body: Callable[[ir.Value], Lowered]) -> Lowered:
        found: list[Lowered] = []

        def keep(x: ir.Value) -> ir.Value:
            found.append(body(x))
            return ibis.literal(True)

        filtered(array, self.variable, keep)
        return found[0]

    def _with_let(self, array: ir.Value, name: str, step: Any, sums: Mapping[Any, Step]) -> ir.Value:
        """The items with one more value; what it needs of the items before is put beside them first."""
        named = {key: f"{name} {n}" for n, key in enumerate(sums)}
        for key, grows in sums.items():
            before = self._preceding(array, grows)
            array = self._with_field(array, named[key], _at_place(before))

        def value(x: ir.Value, _: ir.Value) -> Lowered:
            item, lets = self._open(x)
            made: Lowered = step(item, lets, {key: lets[field] for key, field in named.items()})
            return made

        return self._with_field(array, name, value)

    def _with_field(self, array: ir.Value, name: str, value: Callable[[ir.Value, ir.Value], Lowered]) -> ir.Value:
        shape = shape_for(self._sample(array, lambda x: value(x, number(0))))
        carried = dict(self.lets)

        def grown(x: Any, i: ir.Value) -> ir.Value:
            fields = {RECORD: x[RECORD]}
            for known, s in carried.items():
                fields |= {n: x[n] for n in _names(known, s)}
            return struct(fields | packed(name, value(x, i), shape))

        result = self.bind(placed(array, self.variable, grown))
        self.lets[name] = shape
        return result

    def _preceding(self, array: ir.Value, grows: Step) -> Callable[[ir.Value], Lowered]:
        """The sum over the items before a place."""
        sample = self._sample(array, lambda x: grows(*self._open(x)))
        digits, places = sample.digits + MORE_DIGITS, sample.places
        kind = decimal_type(digits, places)

        def column(get: Callable[[Lowered], ir.Value]) -> Any:
            return self.bind(mapped_array(array, self.variable, lambda x: cast(get(grows(*self._open(x))), kind)))

        values = column(lambda v: v.value)
        lows = column(lambda v: _bound_of(v, v.low)) if sample.maybe else None
        highs = column(lambda v: _bound_of(v, v.high)) if sample.maybe else None
        t = sample.type

        def summed(of: Any, i: ir.Value) -> ir.Value:
            part = of[ibis.literal(0, type="int32") : cast(i, "int32")]
            open_ = size(filtered(part, f"{self.variable}_p", lambda x: x.isnull())) > 0
            total = cast(part.sums().fill_null(cast(number(0), kind)), kind)
            return choose([(open_, ibis.null(kind))], total) if sample.maybe else total

        def before(i: ir.Value) -> Lowered:
            if not sample.maybe:
                return Lowered(t, summed(values, i), digits=digits, places=places)
            low, high = (Lowered(t, summed(of, i), digits=digits, places=places) for of in (lows, highs))
            return Lowered(t, summed(values, i), True, sample.kinds, low=low, high=high, digits=digits, places=places)

        return before

    def _filtered(self, array: ir.Value, keep: Step) -> ir.Value:
        sample = self._sample(array, lambda x: keep(*self._open(x)))
        if sample.maybe:
            self.doubts.append((some(array, self.variable, lambda x: keep(*self._open(x)).value.isnull()), sample.kinds, None))
        return self.bind(filtered(array, self.variable, lambda x: keep(*self._open(x)).value))

    # -- the records ---------------------------------------------------------------------------------------------------------------

    def _rows(self, array: ir.Value) -> tuple[ir.Value, Shape]:
        names = [f.name for f in self.record.fields]
        samples: list[list[Lowered]] = []
        for _, values in self.block.rows:
            samples.append([self._sample(array, self._opened(v)) for v in values])
        shapes = [replace(shape_for(*column), type=f.type) for f, column in zip(self.record.fields, zip(*samples, strict=True), strict=True)]
        shape = Shape(self.t.item, fields=tuple(zip(names, shapes, strict=True)))

        def record(x: ir.Value, values: Sequence[Step]) -> ir.Value:
            opened = self._open(x)
            fields: dict[str, ir.Value] = {}
            for name, s, value in zip(names, shapes, values, strict=True):
                fields |= packed(name, value(*opened), s)
            return struct(fields)

        if len(self.block.rows) == 1:
            when, values = self.block.rows[0]
            if when is not None:
                array = self._filtered(array, when)
            return mapped_array(array, self.variable, lambda x: record(x, values)), shape
        parts = []
        for when, values in self.block.rows:
            if when is not None:
                sample = self._sample(array, self._opened(when))
                if sample.maybe:
                    self.doubts.append((some(array, self.variable, _is_null(self._opened(when))), sample.kinds, None))
            parts.append((when, values))

        def records(x: ir.Value) -> ir.Value:
            found = []
            for when, values in parts:
                held: Flag = True if when is None else when(*self._open(x)).value.fill_null(False)
                one = record(x, values)
                found.append(choose([(held, one)], ibis.null(one.type())))
            return ibis.array(found)

        made = mapped_array(array, self.variable, records)
        flat = choose([((size(array) > 0).fill_null(False), made.flatten())], empty_array(made.type().value_type.value_type))
        return filtered(flat, f"{self.variable}_r", lambda x: x.notnull()), shape

    def _finished(self, array: ir.Value, shape: Shape) -> Lowered:
        if self.block.whole:
            assert shape.fields is not None
            for name, s in shape.fields:
                if s.maybe:
                    open_ = some(array, f"{self.variable}_w", _part_open(shape, name))
                    self.doubts.append((open_, s.kinds, None))
        if not self.doubts:
            return Lowered(self.t, array, shape=shape)
        unknown = either(*(d for d, _, _ in self.doubts))
        cases: list[tuple[Flag, ir.Value]] = [(unknown, ibis.null(array.type()))]
        if self.closed is not False:
            cases.append((self.closed, empty_array(array.type().value_type)))
        kinds = 0
        for _, bits, _ in self.doubts:
            kinds |= bits
        mask: Any = None
        if kinds.bit_count() > 1:
            mask = number(0)
            for doubt, bits, given in self.doubts:
                mask = mask | choose([(doubt, given if given is not None else number(bits))], number(0))
        return Lowered(self.t, choose(cases, array), True, kinds, condition(unknown), mask, shape=shape, blank=empty_blank(shape))


def _of_item(key: Callable[[Lowered], Lowered], shape: Shape) -> Callable[[ir.Value], Lowered]:
    return lambda x: key(item_of(x, shape))


def _at_place(before: Callable[[ir.Value], Lowered]) -> Callable[[ir.Value, ir.Value], Lowered]:
    return lambda _, i: before(i)


def _is_null(of: Callable[[ir.Value], Lowered]) -> Callable[[ir.Value], ir.Value]:
    return lambda x: of(x).value.isnull()


def _part_open(shape: Shape, name: str) -> Callable[[ir.Value], ir.Value]:
    return lambda x: condition(item_of(x, shape).part(name).unknown)


def _keyed(key: Callable[[Lowered], Lowered], shape: Shape, descending: bool) -> Callable[[ir.Value, ir.Value], ir.Value]:
    """What an item is sorted by: its key, and its place so that equal items stay in their order."""
    return lambda x, i: struct({KEY: key(item_of(x, shape)).value, PLACE: -i if descending else i})


def _is_open(key: Callable[[Lowered], Lowered], shape: Shape) -> Callable[[ir.Value], ir.Value]:
    return lambda x: condition(key(item_of(x, shape)).unknown)


def _in_places(array: Any, order: Any, variable: str, backwards: bool) -> ir.Value:
    """The items in the order of sorted places; descending keys are read from the end."""
    if not backwards:
        return mapped_array(order, variable, lambda p: at(array, p[PLACE]))
    last = size(order) - 1
    return placed(order, variable, lambda _, i: at(array, -at(order, last - i)[PLACE]))


def _bound_of(v: Lowered, bound: Lowered | None) -> ir.Value:
    """A bound of one item: its value where it is known, NULL where nothing is."""
    if bound is None or not v.maybe:
        return v.value
    kind = decimal_type(max(v.digits, bound.digits), max(v.places, bound.places))
    return choose([(v.unknown, cast(bound.value, kind))], cast(v.value, kind))


def _names(name: str, shape: Shape) -> list[str]:
    """The fields of a struct that hold a value of a shape."""
    return list(array_type(Shape(shape.type, fields=((name, shape),))).value_type.names)
