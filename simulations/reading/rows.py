"""Decision tables row by row: which rows match, and what the hit policy makes of them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import ibis
import ibis.expr.types as ir

from engine.policy import Cell, TableDef, TableRow
from engine.types import BOOL, ListType, NumberType, RecordType, Type
from simulations.reading.arrays import Bind, filtered, struct
from simulations.reading.bounds import either_of
from simulations.reading.items import array_type, packed, shape_for
from simulations.reading.logic import chosen, compared, conjunction, disjunction
from simulations.reading.lowered import (
    ERROR_BIT,
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
    never,
    number,
)
from simulations.reading.numbers import arithmetic, extreme


def by_rows(table: TableDef, arguments: Sequence[Lowered], bind: Bind) -> Lowered:
    whens = [_matches(row, table, arguments) for row in table.rows]
    hit = table.hit
    if hit == "count":
        return _count(whens, table.result)
    if hit == "collect":
        assert isinstance(table.result, ListType)
        rows = [[constant(v, k) for v, (_, k) in zip(row.outputs, table.outputs, strict=True)] for row in table.rows]
        return records(table.result, rows, whens)
    assert isinstance(table.result, RecordType)
    if hit in ("sum", "min", "max"):
        fields = {f.name: _merged(table, i, whens, f.type, bind) for i, f in enumerate(table.result.fields)}
        return Lowered(table.result, ibis.null("string"), fields=fields)
    rows_and_whens = list(zip(table.rows, whens, strict=True))
    if hit == "priority":
        assert table.priority is not None
        column, order = [n for n, _ in table.outputs].index(table.priority[0]), table.priority[1]
        rows_and_whens.sort(key=lambda pair: order.index(pair[0].outputs[column]))
    fields = {f.name: _one(table, i, rows_and_whens, arguments, f.type, bind) for i, f in enumerate(table.result.fields)}
    return Lowered(table.result, ibis.null("string"), fields=fields)


def _matches(row: TableRow, table: TableDef, arguments: Sequence[Lowered]) -> Lowered:
    """Does a row match? Unknown where an unknown input could decide it."""
    tests = [_accepts(c, a, kind) for c, a, (_, kind) in zip(row.cells, arguments, table.inputs, strict=True)]
    return conjunction(tests)


def _accepts(c: Cell, a: Lowered, kind: Type) -> Lowered:
    if c.kind == "any":
        return constant(True, BOOL)
    if a.is_static:
        return constant(c.accepts(a.static), BOOL)
    null_fits = c.accepts(None)
    if c.kind == "none":
        value: Any = a.value.isnull() if a.null else ibis.literal(False)
        return Lowered(BOOL, choose([(a.unknown, ibis.null("boolean"))], value), a.maybe, a.kinds, None, a.mask)
    if c.kind == "values":
        values = sorted((v for v in c.values if v is not None), key=repr)
        value = a.value.isin([literal(v, kind) for v in values]) if values else choose([(a.value.isnull(), ibis.null("boolean"))], ibis.literal(False))
    else:
        bounds = [(c.low, ">" if c.low_open else ">="), (c.high, "<" if c.high_open else "<=")]
        plain = Lowered(a.type, a.value, digits=a.digits, places=a.places)
        parts = [compared(op, plain, constant(bound, kind), None, (False, False)) for bound, op in bounds if bound is not None]
        value = conjunction(parts).value
    if a.null:
        value = choose([(both(negated(a.unknown), a.value.isnull()), ibis.literal(null_fits))], value)
    return Lowered(BOOL, value, a.maybe, a.kinds, None, a.mask)


def _one(
    table: TableDef, column: int, rows: Sequence[tuple[TableRow, Lowered]], arguments: Sequence[Lowered], t: Type, bind: Bind
) -> Lowered:
    """An output of the row that is taken; known in spite of unknown inputs where all rows that may be taken give the same."""
    several = None
    if table.hit == "unique" and not _disjoint([r for r, _ in rows]):
        several = "several-rows-matched"
    elif table.hit == "any":
        several = "rows-disagree"
    if table.default is not None:
        otherwise = constant(table.default[column], t)
    else:
        otherwise = never(t, ERROR_BIT["no-row-matched"])
    lines = [(when, constant(row.outputs[column], t)) for row, when in rows]
    if several is not None:
        sure = [(row.outputs, w.value.fill_null(False) if not w.is_static else ibis.literal(w.static)) for row, w in rows]
        clash: Flag = False
        for (out_a, a), (out_b, b) in itertools.combinations(sure, 2):
            if table.hit == "unique" or out_a != out_b:
                clash = either(clash, both(a, b))
        if clash is not False:
            lines.insert(0, (Lowered(BOOL, condition(clash)), never(t, ERROR_BIT[several])))
    if table.hit == "priority" and any(a.maybe for a in arguments):
        # what outranks what is not tried out for unknown inputs, as in the engine
        open_ = either(*(a.unknown for a in arguments))
        kinds, _ = mask_of(open_, *arguments)
        lines.insert(0, (Lowered(BOOL, condition(open_)), never(t, kinds)))
    return chosen(lines, otherwise, t, bind)


def _disjoint(rows: Sequence[TableRow]) -> bool:
    """Can no two rows match together?"""
    return all(any(_apart(a, b) for a, b in zip(x.cells, y.cells, strict=True)) for x, y in itertools.combinations(rows, 2))


def _apart(a: Cell, b: Cell) -> bool:
    if "any" in (a.kind, b.kind):
        return False
    if a.kind == "range" and b.kind == "range":
        return _before(a, b) or _before(b, a)
    if a.kind == "range" or b.kind == "range":
        cell, other = (a, b) if a.kind == "range" else (b, a)
        values = other.values if other.kind == "values" else {None}
        return not any(cell.accepts(v) for v in values)
    values_a, values_b = (c.values if c.kind == "values" else frozenset([None]) for c in (a, b))
    return values_a.isdisjoint(values_b)


def _before(a: Cell, b: Cell) -> bool:
    """Does a range end before another begins?"""
    if a.high is None or b.low is None:
        return False
    return bool(a.high < b.low or (a.high == b.low and (a.high_open or b.low_open)))


def _count(whens: Sequence[Lowered], t: Type) -> Lowered:
    value: Any = number(0)
    for w in whens:
        value = value + choose([(w.value.fill_null(False) if not w.is_static else bool(w.static), number(1))], number(0))
    unknown = either(*(w.unknown for w in whens))
    if unknown is False:
        return Lowered(t, value, digits=6)
    kinds, mask = mask_of(unknown, *whens)
    return Lowered(t, choose([(unknown, ibis.null("int64"))], value), True, kinds, None, mask, digits=6)


def _merged(table: TableDef, column: int, whens: Sequence[Lowered], t: Type, bind: Bind) -> Lowered:
    """sum, min or max of the rows that match. No row: the default, 0 for a sum, else an error."""
    assert isinstance(t, NumberType)
    some = disjunction(list(whens))
    values = [(w, row.outputs[column]) for row, w in zip(table.rows, whens, strict=True) if row.outputs[column] is not None]
    result: Lowered | None = None
    for w, v in values:
        found = constant(v, t)
        held = w.value.fill_null(False) if not w.is_static else ibis.literal(w.static)
        if table.hit == "sum":
            part = either_of(held, found, constant(0, t))
            result = part if result is None else arithmetic("+", result, part, t)
        else:
            part = Lowered(t, choose([(held, found.value)], ibis.null(found.value.type())), digits=found.digits, places=found.places, null=True)
            result = part if result is None else _outer(table.hit == "max", result, part, t)
    if result is None:
        result = constant(0 if table.hit == "sum" else None, t)
    if table.default is not None:
        otherwise = constant(table.default[column], t)
    else:
        otherwise = constant(0, t) if table.hit == "sum" else never(t, ERROR_BIT["no-row-matched"])
    if any(w.maybe for w in whens):
        unknown = either(*(w.unknown for w in whens))
        kinds, mask = mask_of(unknown, *whens)
        result = Lowered(
            t, choose([(unknown, ibis.null(result.value.type()))], result.value), True, kinds, condition(unknown), mask, True,
            digits=result.digits, places=result.places,
        )  # fmt: skip
    return chosen([(some, result)], otherwise, t, bind)


def _outer(largest: bool, a: Lowered, b: Lowered, t: Type) -> Lowered:
    """The larger or smaller of two numbers that may be none."""
    both_there = extreme(largest, [a, b], t)
    kind = decimal_type(both_there.digits, both_there.places)
    x, y = cast(a.value, kind), cast(b.value, kind)
    return Lowered(t, choose([(x.isnull(), y), (y.isnull(), x)], both_there.value), null=True, digits=both_there.digits, places=both_there.places)


def records(t: ListType, rows: Sequence[Sequence[Lowered]], whens: Sequence[Lowered] | None) -> Lowered:
    """A list of the rows that match; unknown while any row may match."""
    assert isinstance(t.item, RecordType)
    shapes = [shape_for(*column) for column in zip(*rows, strict=True)]
    shape = Shape(t.item, fields=tuple((f.name, s) for f, s in zip(t.item.fields, shapes, strict=True)))
    structs = []
    for i, row in enumerate(rows):
        fields: dict[str, ir.Value] = {}
        for f, value, s in zip(t.item.fields, row, shapes, strict=True):
            fields |= packed(f.name, value, s)
        one = struct(fields)
        if whens is not None:
            w = whens[i]
            one = choose([(w.value.fill_null(False) if not w.is_static else bool(w.static), one)], ibis.null(one.type()))
        structs.append(one)
    if not structs:
        return Lowered(t, empty_array(array_type(shape).value_type), shape=shape)
    array: ir.Value = ibis.array(structs)
    if whens is None:
        return Lowered(t, array, shape=shape)
    array = filtered(array, "row", lambda x: x.notnull())
    unknown = either(*(w.unknown for w in whens))
    if unknown is False:
        return Lowered(t, array, shape=shape)
    kinds, mask = mask_of(unknown, *whens)
    return Lowered(t, choose([(unknown, ibis.null(array.type()))], array), True, kinds, condition(unknown), mask, shape=shape)
