"""Items of lists: how a value is packed into a field of a struct with its companions, and unpacked again; and lambdas over arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from engine.types import TEXT, ListType, NumberType, RecordType, SetType, Type
from simulations.population.columns import Column
from simulations.reading.arrays import ITEM, mapped_array, struct
from simulations.reading.lowered import (
    PATHS,
    Lowered,
    Shape,
    cast,
    condition,
    constant,
    decimal_type,
    never,
    sql_type,
)

#: Companions of a field: is it unknown, what it waits for, its bounds.
UNKNOWN, WHY, LOW, HIGH = "unknown:", "why:", "low:", "high:"
Body = Callable[[Lowered], Lowered]


class Fields(Mapping[str, Lowered]):
    """The fields of a record, unpacked when they are asked for."""

    def __init__(self, record: ir.StructValue, shapes: tuple[tuple[str, Shape], ...]) -> None:
        self.record, self.shapes = record, dict(shapes)

    def __getitem__(self, name: str) -> Lowered:
        return unpacked(self.record, name, self.shapes[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)


def shape_of(t: Type, column: Column | None, nullable: bool) -> Shape:
    """The shape of a field of a population."""
    maybe = column.unknown if column else False
    null = nullable and (column is None or column.null)
    digits, places = (column.digits, column.places) if column else (0, 0)
    low = 0 if isinstance(t, NumberType) and not t.signed else None
    item = None
    if isinstance(t, ListType) and isinstance(t.item, RecordType):
        fields = (column.fields or {}) if column else {}
        item = Shape(t.item, fields=tuple((f.name, shape_of(f.type, fields.get(f.name), f.nullable)) for f in t.item.fields))
    elif isinstance(t, ListType):
        item = Shape(t.item, digits=digits, places=places)
    elif isinstance(t, SetType):
        item = Shape(TEXT)
    return Shape(t, null, maybe, PATHS if maybe else 0, low if maybe else None, None, max(digits, 1), places, item)


def item_of(value: ir.Value, shape: Shape) -> Lowered:
    """An item of a list: a record, or a single value."""
    if shape.fields is not None:
        return Lowered(shape.type, value, fields=Fields(value, shape.fields))
    if shape.maybe:
        return unpacked(value, ITEM, shape)
    return Lowered(shape.type, value, null=shape.null, digits=shape.digits, places=shape.places, shape=shape.item)


def blank_of(t: Type) -> Lowered:
    """An item of an unknown list of a fact: nothing of it is known, but numbers that cannot be below 0 are not."""
    if isinstance(t, RecordType):
        return Lowered(t, ibis.null("string"), fields={f.name: blank_of(f.type) for f in t.fields})
    low = constant(0, t) if isinstance(t, NumberType) and not t.signed else None
    inner = None
    if isinstance(t, ListType):
        inner = blank_of(t.item) if isinstance(t.item, RecordType) else never(t.item, 0)
        shape = shape_of(t, None, False).item
        return Lowered(t, ibis.null(array_type(shape)), True, 0, condition(True), shape=shape, blank=inner)
    return never(t, 0, low=low)


def empty_blank(shape: Shape) -> Lowered:
    """An item of an unknown list that rules made: nothing at all is known of it."""
    if shape.fields is None:
        return never(shape.type, 0)
    fields = {}
    for name, f in shape.fields:
        value = never(f.type, 0) if f.item is None else Lowered(f.type, ibis.null(array_type(f.item)), True, 0, condition(True), shape=f.item)
        fields[name] = value
    return Lowered(shape.type, ibis.null("string"), fields=fields)


# -- structs --------------------------------------------------------------------------------------------------------------------------------


def packed(name: str, a: Lowered, shape: Shape) -> dict[str, ir.Value]:
    """The fields of a struct that hold a value, in a given shape."""
    value = cast(a.value, decimal_type(shape.digits, shape.places)) if isinstance(shape.type, NumberType) else a.value
    if a.is_static and a.static is None:
        value = ibis.null(field_type(shape))
    fields = {name: value}
    if shape.flagged:
        fields[UNKNOWN + name] = condition(a.unknown)
    if shape.masked:
        fields[WHY + name] = a.why
    for prefix, kind, bound in ((LOW, shape.low, a.low), (HIGH, shape.high, a.high)):
        if kind == "column":
            to = decimal_type(shape.digits, shape.places)
            known = constant(None, a.type) if bound is None else bound
            fields[prefix + name] = ibis.null(to) if bound is None else cast(known.value, to)
    return fields


def shape_for(*values: Lowered) -> Shape:
    """The shape that holds each of some values of one type."""
    first = next((v for v in values if not (v.is_static and v.static is None)), values[0])
    maybe = any(v.maybe for v in values)
    kinds = 0
    for v in values:
        kinds |= v.kinds if v.maybe else 0
    bounds = []
    for side in ("low", "high"):
        found = [getattr(v, side) for v in values if v.maybe]
        fixed = {b.static if b is not None and b.is_static else None for b in found}
        one = next(iter(fixed)) if len(fixed) == 1 else None
        exact = one is not None and all(b is not None and b.is_static for b in found)
        bounds.append(None if all(b is None for b in found) else one if exact else "column")
    deeper = [getattr(v, side) for v in values if v.maybe for side in ("low", "high") if getattr(v, side) is not None]
    digits = max(v.digits for v in (*values, *deeper)) if values else 0
    places = max(v.places for v in (*values, *deeper)) if values else 0
    null = any(v.null for v in values)
    return Shape(first.type, null, maybe, kinds, bounds[0], bounds[1], max(digits, 1), places, first.shape)


def unpacked(record: ir.StructValue, name: str, shape: Shape) -> Lowered:
    """The value in a field of a struct."""
    flag: Any = record[UNKNOWN + name] if shape.flagged else None
    mask: Any = record[WHY + name] if shape.masked else None
    bounds: list[Lowered | None] = []
    for prefix, kind in ((LOW, shape.low), (HIGH, shape.high)):
        if kind == "column":
            bounds.append(Lowered(shape.type, record[prefix + name], digits=shape.digits, places=shape.places))
        else:
            bounds.append(None if kind is None else constant(kind, shape.type))
    blank = None
    if shape.maybe and isinstance(shape.type, ListType) and shape.kinds == PATHS:
        blank = blank_of(shape.type.item)
    return Lowered(
        shape.type, record[name], shape.maybe, shape.kinds, flag, mask, shape.null, bounds[0], bounds[1], shape.digits, shape.places,
        shape=shape.item, blank=blank,
    )  # fmt: skip


def field_type(shape: Shape) -> dt.DataType:
    if shape.item is not None:
        return array_type(shape.item)
    return sql_type(shape.type, shape.digits, shape.places)


def array_type(shape: Shape | None) -> dt.DataType:
    """The type of an array of items of a shape."""
    if shape is None or (shape.fields is None and not shape.maybe):
        inner: dt.DataType = dt.string if shape is None else sql_type(shape.type, shape.digits, shape.places)
        return dt.Array(inner)
    found: dict[str, dt.DataType] = {}
    for name, f in shape.fields if shape.fields is not None else ((ITEM, shape),):
        kind = field_type(f)
        found[name] = kind
        if f.flagged:
            found[UNKNOWN + name] = dt.boolean
        if f.masked:
            found[WHY + name] = dt.int64
        for prefix, bound in ((LOW, f.low), (HIGH, f.high)):
            if bound == "column":
                found[prefix + name] = kind
    return dt.Array(dt.Struct(found))


def common_shape(shapes: Sequence[Shape]) -> Shape:
    """The shape that holds the items of several lists."""
    first = shapes[0]
    if all(s == first for s in shapes):
        return first
    kinds = 0
    for s in shapes:
        kinds |= s.kinds if s.maybe else 0
    bounds = [b if all(getattr(s, side) == b for s in shapes) else "column" for side in ("low", "high") for b in (getattr(first, side),)]
    fields = None
    if first.fields is not None:
        parts = [dict(s.fields or ()) for s in shapes]
        fields = tuple((name, common_shape([p[name] for p in parts])) for name, _ in first.fields)
    inner = [s.item for s in shapes if s.item is not None]
    return Shape(
        first.type, any(s.null for s in shapes), any(s.maybe for s in shapes), kinds, bounds[0], bounds[1],
        max(s.digits for s in shapes), max(s.places for s in shapes), common_shape(inner) if inner else None, fields,
    )  # fmt: skip


def reshaped(array: ir.Value, shape: Shape, to: Shape) -> ir.Value:
    """An array with its items packed in another shape."""
    if shape == to:
        return array

    def repacked(x: ir.Value) -> ir.Value:
        item = item_of(x, shape)
        if to.fields is None:
            return struct(packed(ITEM, item, to)) if to.maybe else packed(ITEM, item, to)[ITEM]
        assert item.fields is not None
        fields: dict[str, ir.Value] = {}
        for name, s in to.fields:
            inner = item.part(name)
            if inner.shape is not None and s.item is not None and inner.shape != s.item:
                inner = replace(inner, value=reshaped(inner.value, inner.shape, s.item), shape=s.item)
            fields |= packed(name, inner, s)
        return struct(fields)

    return mapped_array(array, "c", repacked)
