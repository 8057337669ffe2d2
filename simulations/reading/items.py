"""Items of lists: how a value is packed into a field of a struct with its companions, and unpacked again; and lambdas over arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

import ibis
import ibis.expr.datashape as ds
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import ibis.expr.types as ir

from engine.types import TEXT, ListType, NumberType, RecordType, SetType, Type
from simulations.population.columns import Column
from simulations.reading.lowered import (
    PATHS,
    Lowered,
    Shape,
    cast,
    choose,
    condition,
    constant,
    decimal_type,
    literal,
    never,
    number,
    sql_type,
)

#: Companions of a field: is it unknown, what it waits for, its bounds.
UNKNOWN, WHY, LOW, HIGH = "unknown:", "why:", "low:", "high:"
#: The field of an item that is no record but may be unknown.
ITEM = "value"
Body = Callable[[Lowered], Lowered]
Bind = Callable[[ir.Value], ir.Value]


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


def blank_of(t: Type, first: bool = True) -> Lowered:
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


def shape_for(*values: Lowered, bounded: bool = True) -> Shape:
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
        bounds.append(None if not bounded or all(b is None for b in found) else one if exact else "column")
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


def struct(fields: Mapping[str, ir.Value]) -> ir.StructValue:
    return ops.StructColumn(names=tuple(fields), values=tuple(fields.values())).to_expr()


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


# -- arrays ---------------------------------------------------------------------------------------------------------------------------------


class Frame:
    """The values that are named inside one lambda. SQL cannot name a value there; so the items get them as fields, one step after the other."""

    def __init__(self, outer: Bind) -> None:
        self.outer = outer
        self.bound: dict[ops.Node, ops.Argument] = {}

    def bind(self, value: ir.Value) -> ir.Value:
        node = value.op()
        if isinstance(node, (ops.Field, ops.Literal, ops.Argument, ops.StructField)):
            return value
        if node not in self.bound:
            self.bound[node] = ops.Argument(name=f"let{len(_frames.get())}_{len(self.bound)}", shape=ds.columnar, dtype=node.dtype)
        return self.bound[node].to_expr()

    def staged(self, array: ir.Value, param: ops.Argument, body: ir.Value) -> tuple[ir.Value, ops.Argument, ir.Value, bool]:
        """Array, parameter and body once the named values that the body uses are fields of the items; and whether the items have become structs."""
        levels = self._levels(body.op())
        if not levels:
            return array, param, body, False
        here: dict[ops.Node, ops.Node] = {}
        carried: list[ops.Argument] = []
        for number_, level in enumerate(levels):
            step = ops.Argument(name=f"{param.name}_{number_}", shape=ds.columnar, dtype=array.type().value_type)
            here = _moved(step, param, carried, first=number_ == 0)
            fields = {ITEM: here[param].to_expr()} | {c.name: here[c].to_expr() for c in carried}
            fields |= {argument.name: node.replace(here, filter=ops.Value).to_expr() for node, argument in level}
            array = self.outer(ops.ArrayMap(array, body=struct(fields), param=step, index=None).to_expr())
            carried += [argument for _, argument in level]
        last = ops.Argument(name=f"{param.name}_{len(levels)}", shape=ds.columnar, dtype=array.type().value_type)
        return array, last, body.op().replace(_moved(last, param, carried, first=False), filter=ops.Value).to_expr(), True

    def _levels(self, body: ops.Node) -> list[list[tuple[ops.Node, ops.Argument]]]:
        """The named values that a body rests on, each after those that it rests on itself."""
        mine = {argument: node for node, argument in self.bound.items()}
        found: dict[ops.Argument, int] = {}

        def level(argument: ops.Argument) -> int:
            if argument not in found:
                found[argument] = max((level(a) + 1 for a in mine[argument].find(ops.Argument, filter=ops.Value) if a in mine), default=0)
            return found[argument]

        for argument in body.find(ops.Argument, filter=ops.Value):
            if argument in mine:
                level(argument)
        levels: list[list[tuple[ops.Node, ops.Argument]]] = [[] for _ in range(max(found.values(), default=-1) + 1)]
        for argument, node in mine.items():
            if argument in found:
                levels[found[argument]].append((node, argument))
        return levels


def _moved(step: ops.Argument, param: ops.Argument, carried: Sequence[ops.Argument], first: bool) -> dict[ops.Node, ops.Node]:
    """Where the item and the named values stand in the items of a step."""
    if first:
        return {param: step}
    return {param: ops.StructField(step, ITEM)} | {c: ops.StructField(step, c.name) for c in carried}


_frames: ContextVar[tuple[Frame, ...]] = ContextVar("frames", default=())
#: Names a value of the row; set while a reading is written.
row_bind: ContextVar[Bind] = ContextVar("row_bind")


def bind_inside(value: ir.Value) -> ir.Value:
    """Name a value inside the lambda that is being written."""
    frames = _frames.get()
    return frames[-1].bind(value) if frames else value


def _written(array: ir.Value, param: ops.Argument, body: Callable[[ir.Value], ir.Value]) -> tuple[ir.Value, ops.Argument, ir.Value, bool]:
    frames = _frames.get()
    frame = Frame(frames[-1].bind if frames else row_bind.get(lambda value: value))
    token = _frames.set((*frames, frame))
    try:
        made = body(param.to_expr())
    finally:
        _frames.reset(token)
    return frame.staged(array, param, made)


def mapped_array(array: ir.Value, variable: str, body: Callable[[ir.Value], ir.Value]) -> ir.ArrayValue:
    """An array of what a function makes of each item."""
    array, param, made, _ = _written(array, _parameter(array, variable), body)
    return ops.ArrayMap(array, body=made, param=param, index=None).to_expr()


def filtered(array: ir.Value, variable: str, body: Callable[[ir.Value], ir.Value]) -> ir.ArrayValue:
    """The items for which a condition is true; not those for which it is NULL."""
    array, param, made, staged = _written(array, _parameter(array, variable), body)
    kept = ops.ArrayFilter(array, body=made, param=param, index=None).to_expr()
    return mapped_array(kept, f"{variable}_k", lambda x: x[ITEM]) if staged else kept


def placed(array: Any, variable: str, body: Callable[[ir.Value, ir.Value], ir.Value]) -> ir.ArrayValue:
    """As mapped_array, with the place of each item, from 0."""
    return mapped_array(places(array), f"{variable}_at", lambda i: body(at(array, i), i))


def at(array: Any, place: ir.Value) -> ir.Value:
    """The item at a place, from 0."""
    return array[cast(place, dt.int32)]


def places(array: ir.Value) -> ir.ArrayValue:
    """0, 1, … for the items of an array."""
    return ibis.range(size(array))


def _parameter(array: ir.Value, variable: str) -> ops.Argument:
    # the same variable gives the same name, so that versions that share an expression share its computation
    name = "".join(c if c.isalnum() else "_" for c in variable)
    return ops.Argument(name=name, shape=ds.columnar, dtype=array.type().value_type)


def size(array: ir.Value) -> ir.Value:
    return cast(array.length(), dt.int64)


def some(array: ir.Value, variable: str, body: Callable[[ir.Value], ir.Value]) -> ir.BooleanValue:
    """Is a condition true for some item? Never NULL."""
    return (size(filtered(array, variable, body)) > 0).fill_null(False)


def bits_in(array: ir.Value, variable: str, kinds: int, body: Callable[[ir.Value], ir.Value]) -> ir.Value:
    """The bits that are set in some item."""
    found: Any = number(0)
    for i in range(kinds.bit_length()):
        bit = 1 << i
        if kinds & bit:
            found = found + choose([(some(array, variable, _has_bit(body, bit)), number(bit))], number(0))
    return found


def _has_bit(body: Callable[[ir.Value], ir.Value], bit: int) -> Callable[[ir.Value], ir.Value]:
    return lambda x: (body(x) & number(bit)) != 0


def listed(values: list[Any], t: Type) -> ir.ArrayValue:
    return literal(tuple(values), ListType(t))
