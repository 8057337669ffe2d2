"""Lambdas over arrays. SQL cannot name a value inside one; here it can be done all the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

import ibis
import ibis.expr.datashape as ds
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import ibis.expr.types as ir

from simulations.reading.lowered import (
    cast,
    choose,
    number,
)

Bind = Callable[[ir.Value], ir.Value]
#: The field of an item that is no record, or of one that has named values beside it.
ITEM = "value"


def struct(fields: Mapping[str, ir.Value]) -> ir.StructValue:
    return ops.StructColumn(names=tuple(fields), values=tuple(fields.values())).to_expr()


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
