"""Lists and sets as SQL: lists made by rules (`each`, list expressions, sets written out) and the functions of lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import ibis
import ibis.expr.types as ir

from engine.functions import FUNCTIONS
from engine.types import BOOL, TEXT, ListType, NumberType, SetType, Type
from simulations.reading.aggregates import MORE_DIGITS, Items
from simulations.reading.arrays import ITEM, Bind, at, filtered, mapped_array, places, size, some, struct
from simulations.reading.items import empty_blank, item_of, packed, shape_for
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
    literal,
    mask_of,
    negated,
    number,
    surely_not,
    truth,
)

# -- made by rules --------------------------------------------------------------------------------------------------------------------------


def set_of(members: Sequence[tuple[str, Lowered]], t: Type) -> Lowered:
    """The values whose condition holds, in the order written, each once; unknown while any condition is."""
    parts = []
    for value, test in members:
        held = test.static if test.is_static else test.value.fill_null(False)
        parts.append(choose([(held, ibis.literal(value, type="string"))], ibis.null("string")))
    array: ir.Value = filtered(ibis.array(parts), "m", lambda x: x.notnull()) if parts else literal((), t)
    if len({value for value, _ in members}) < len(members):
        array = distinct_array(array)
    if not any(test.maybe for _, test in members):
        return Lowered(t, array, shape=Shape(TEXT))
    unknown = either(*(test.unknown for _, test in members))
    kinds, mask = mask_of(unknown, *(test for _, test in members))
    return Lowered(t, choose([(unknown, ibis.null(array.type()))], array), True, kinds, condition(unknown), mask, shape=Shape(TEXT))


def list_of(items: Sequence[Lowered], t: Type) -> Lowered:
    """A list written out."""
    if all(i.is_static for i in items):
        return constant(tuple(i.static for i in items), t)
    inner = t.item if isinstance(t, ListType) else TEXT
    digits, places = max(i.digits for i in items), max(i.places for i in items)
    kind = decimal_type(digits, places) if isinstance(inner, NumberType) else None
    array: ir.Value = ibis.array([cast(i.value, kind) if kind is not None else i.value for i in items])
    shape = Shape(inner, digits=digits, places=places)
    if not any(i.maybe for i in items):
        return Lowered(t, array, shape=shape)
    unknown = either(*(i.unknown for i in items))
    kinds, mask = mask_of(unknown, *items)
    return Lowered(t, choose([(unknown, ibis.null(array.type()))], array), True, kinds, condition(unknown), mask, shape=shape)


def select(items: Items, t: Type) -> Lowered:
    """A value of each item that counts. A set of them is unknown while one of them is; a list then holds what is unknown."""
    assert items.value is not None
    assert items.sample is not None
    value = items.value
    once = isinstance(t, SetType)
    sure = items.bind(items.sure)
    array: ir.Value
    if items.sample.fields is not None:
        shape, array = _of_records(items, sure)
    elif items.sample.maybe and not once:
        shape = shape_for(items.sample)
        array = mapped_array(sure, items.variable, lambda x: struct(packed(ITEM, value(item_of(x, items.shape)), shape)))
    else:
        shape = replace(shape_for(items.sample), maybe=False)
        array = mapped_array(sure, items.variable, lambda x: packed(ITEM, value(item_of(x, items.shape)), shape)[ITEM])
    if once:
        array = distinct_array(array)
    holes: Flag = False
    if once and items.sample.maybe:
        holes = some(sure, items.variable, items.of(lambda item: condition(value(item).unknown)))
    if not items.source.maybe and not items.doubtful and holes is False:
        return Lowered(t, array, shape=shape)
    held = items.blank()
    closed = surely_not(held)
    open_ = either(items.any_doubt(), holes)
    unknown = either(both(items.source.unknown, negated(closed)), both(negated(items.source.unknown), open_))
    array = choose([(unknown, ibis.null(array.type())), (items.source.unknown, empty_array(array.type().value_type))], array)
    kinds, mask = items.why(unknown, *([items.test] if items.test else []), value)
    return Lowered(t, array, True, kinds, condition(unknown), mask, shape=shape, blank=empty_blank(shape))


def _of_records(items: Items, sure: ir.Value) -> tuple[Shape, ir.Value]:
    """A list of whole records."""
    assert items.value is not None
    assert items.sample is not None
    value, names = items.value, tuple(items.sample.fields or ())
    shapes = {n: shape_for(items.sample.part(n)) for n in names}

    def record(x: ir.Value) -> ir.Value:
        fields: dict[str, ir.Value] = {}
        for n in names:
            fields |= packed(n, value(item_of(x, items.shape)).part(n), shapes[n])
        return struct(fields)

    return Shape(items.sample.type, fields=tuple(shapes.items())), mapped_array(sure, items.variable, record)


# -- functions ------------------------------------------------------------------------------------------------------------------------------


def holes_in(a: Lowered) -> Flag:
    """Does a known list hold items that are unknown?"""
    if a.shape is None or not a.shape.maybe or a.is_static:
        return False
    shape = a.shape
    return some(a.value, "h", lambda x: condition(item_of(x, shape).unknown))


def plain_array(a: Lowered) -> Any:
    """The array of the values of the items."""
    if a.shape is None or not a.shape.maybe or a.is_static:
        return a.value
    return mapped_array(a.value, "h", lambda x: x[ITEM])


def member(item: Lowered, collection: Lowered, t: Type, bind: Bind) -> Lowered:
    """Is a value in a list or set? None is in no list."""
    if collection.is_static:
        values = collection.static or ()
        if item.is_static:
            return constant(item.static in values, BOOL)
        if not values:
            return constant(False, BOOL)
        inner = collection.shape.type if collection.shape is not None else TEXT
        found: Any = item.value.isin([literal(v, inner) for v in values])
        if item.null:
            found = choose([(both(negated(item.unknown), item.value.isnull()), ibis.literal(False))], found)
        return truth(found, item)
    array = bind(plain_array(collection))
    holes = holes_in(collection)
    found = array.contains(item.value)
    if not item.maybe and not collection.maybe and holes is False:
        return Lowered(BOOL, found.fill_null(False) if item.null else found)
    none_: Flag = both(negated(item.unknown), item.value.isnull()) if item.null else False
    open_ = either(collection.unknown, item.unknown, holes)
    null = ibis.null("boolean")
    value = choose(
        [
            (none_, ibis.literal(False)),
            (collection.unknown, null),
            ((size(array) == 0).fill_null(False), ibis.literal(False)),
            (both(negated(item.unknown), found.fill_null(False)), ibis.literal(True)),
            (open_, null),
        ],
        ibis.literal(False),
    )
    kinds, mask = mask_of(value.isnull(), item, collection)
    kinds |= collection.shape.kinds if collection.shape is not None and collection.shape.maybe else 0
    return Lowered(BOOL, value, True, kinds, None, mask)


def same_set(a: Lowered, b: Lowered, op: str) -> Lowered:
    """Do two sets have the same members?"""
    x, y = a.value, b.value
    same: Any = both(_within(x, y), _within(y, x))
    nulls = [v.value.isnull() for v in (a, b) if v.null]
    if nulls:
        same = choose([(a.value.isnull() & b.value.isnull(), ibis.literal(True)), (either(*nulls), ibis.literal(False))], same)
    unknown = either(a.unknown, b.unknown)
    value = choose([(unknown, ibis.null("boolean"))], same if op == "==" else negated(same))
    return truth(value, a, b)


def _within(x: Any, y: Any) -> ir.BooleanValue:
    return negated(some(x, "s", lambda item: negated(y.contains(item))))


def distinct_array(array: Any) -> ir.Value:
    """Each value once, where it stands first."""
    return mapped_array(filtered(places(array), "u", lambda i: array.index(at(array, i)) == i), "u", lambda i: at(array, i))


def call(function: str, arguments: Sequence[Lowered], t: Type, bind: Bind) -> Lowered:
    """A function of lists."""
    first = arguments[0]
    if all(a.is_static for a in arguments):
        return constant(FUNCTIONS[function](*(a.static for a in arguments)), t)
    if function in ("count", "empty"):
        length = size(first.value)
        if function == "empty":
            return truth(length == 0, first)
        low = constant(0, t) if first.maybe else None
        return Lowered(t, length, first.maybe, first.kinds, None, first.mask, low=low, digits=MORE_DIGITS)
    arrays = [bind(plain_array(a)) for a in arguments if isinstance(a.type, (ListType, SetType))]
    holes = either(*(holes_in(a) for a in arguments))
    unknown = either(*(a.unknown for a in arguments), holes)
    shape, digits, places, null = None, MORE_DIGITS, 0, False
    value: Any
    if function == "subset":
        value = _within(arrays[0], arrays[1])
    elif function == "intersects":
        value = some(arrays[0], "s", arrays[1].contains)
    elif function == "index_of":
        place = arrays[0].index(arguments[1].value)
        value, null = choose([((place >= 0).fill_null(False), cast(place, "int64"))], ibis.null("int64")), True
    elif function == "only":
        assert first.shape is not None
        one = at(arrays[0], number(0))
        value, null = choose([((size(arrays[0]) == 1).fill_null(False), one)], ibis.null(one.type())), True
        digits, places = first.shape.digits, first.shape.places
    else:
        value, shape = distinct_array(arrays[0]), first.shape
    if unknown is False:
        return Lowered(t, value, null=null, digits=digits, places=places, shape=shape)
    value = choose([(unknown, ibis.null(value.type()))], value)
    kinds, mask = mask_of(unknown, *arguments)
    for a in arguments:
        kinds |= a.shape.kinds if a.shape is not None and a.shape.maybe else 0
    flag = condition(unknown) if null or shape is not None else None
    return Lowered(t, value, True, kinds, flag, mask, null, digits=digits, places=places, shape=shape)

