"""Decision tables, scales and map parameters as SQL."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import ibis
import ibis.expr.types as ir

from engine.kleene import Unknown, k_table
from engine.policy import Cell, ScaleDef, TableDef, TableRow
from engine.tables import TableIndex, scale_amount
from engine.types import BOOL, BoolType, EnumType, ListType, MapType, NumberType, RecordType, Type
from simulations.reading.bounds import either_of
from simulations.reading.items import Bind, array_type, filtered, item_of, packed, shape_for, struct
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
    surely,
    surely_not,
)
from simulations.reading.numbers import arithmetic, extreme

#: So many combinations of the values of enum and bool inputs are looked up beforehand, one by one.
MAX_COMBINATIONS = 512
_OPEN = object()


def look_up(table: TableDef, arguments: Sequence[Lowered], bind: Bind) -> Lowered:
    """The result of one look-up under the hit policy: a record, a list of records, or a count."""
    if all(a.is_static for a in arguments):
        return _known(table, k_table(TableIndex(table), tuple(a.static for a in arguments)))
    domains = [_domain(kind, a) for (_, kind), a in zip(table.inputs, arguments, strict=True)]
    size = 1
    for d in domains:
        size *= len(d) if d is not None else MAX_COMBINATIONS + 1
    if size <= MAX_COMBINATIONS:
        return _enumerated(table, arguments, [d for d in domains if d is not None], bind)
    return _with_trials(table, arguments, domains, bind)


# -- every combination of inputs looked up beforehand -----------------------------------------------------------------------------------------


def _domain(kind: Type, a: Lowered) -> list[Any] | None:
    """The values that an input may have, and unknown, if they are few."""
    if a.is_static:
        return [a.static]
    values: tuple[Any, ...] | None = None
    if isinstance(kind, BoolType):
        values = (False, True)
    elif isinstance(kind, EnumType) and isinstance(a.type, EnumType):
        values = tuple(dict.fromkeys(kind.values + a.type.values))
    if values is None:
        return None
    return [*values, *([None] if a.null else []), *([_OPEN] if a.maybe else [])]


def _enumerated(table: TableDef, arguments: Sequence[Lowered], domains: Sequence[list[Any]], bind: Bind) -> Lowered:
    index = TableIndex(table)
    answers: list[tuple[Flag, Any]] = []
    for values in itertools.product(*domains):
        found = k_table(index, tuple(Unknown() if v is _OPEN else v for v in values))
        answers.append((both(*(_is(a, v, kind) for a, v, (_, kind) in zip(arguments, values, table.inputs, strict=True))), found))
    place = bind(choose([(when, number(i)) for i, (when, _) in enumerate(answers)], number(-1)))
    results = [found for _, found in answers]
    if isinstance(table.result, RecordType):
        fields = {}
        for column, f in enumerate(table.result.fields):
            fields[f.name] = _picked(place, [r if isinstance(r, Unknown) else r[column] for r in results], f.type, arguments, bind)
        return Lowered(table.result, ibis.null("string"), fields=fields)
    return _picked(place, results, table.result, arguments, bind)


def _is(a: Lowered, value: Any, kind: Type) -> Flag:
    if value is _OPEN:
        return a.unknown
    if a.is_static:
        return True
    if value is None:
        return both(negated(a.unknown), a.value.isnull())
    if isinstance(kind, BoolType):
        return surely(a) if value else surely_not(a)
    return (a.value == literal(value, kind)).fill_null(False)


def _picked(place: ir.Value, results: Sequence[Any], t: Type, arguments: Sequence[Lowered], bind: Bind) -> Lowered:
    """One output of the combinations: the same results share a line."""
    lines: dict[str, tuple[list[int], Lowered]] = {}
    for i, found in enumerate(results):
        made = _waiting(found, t, arguments) if isinstance(found, Unknown) else _known_value(t, found)
        lines.setdefault(repr(found) if not isinstance(found, Unknown) else f"?{found.error and found.error.kind}", ([], made))[0].append(i)
    cases = [(Lowered(BOOL, place.isin(numbers)), value) for numbers, value in lines.values()]
    return chosen(cases[:-1], cases[-1][1], t, bind)





def _waiting(found: Unknown, t: Type, arguments: Sequence[Lowered]) -> Lowered:
    if found.error is not None:
        return never(t, ERROR_BIT[found.error.kind])
    kinds = 0
    for a in arguments:
        kinds |= a.kinds if a.maybe else 0
    return never(t, kinds)


def _known(table: TableDef, found: Any) -> Lowered:
    """A look-up with fixed inputs."""
    if isinstance(found, Unknown):
        bits = ERROR_BIT[found.error.kind] if found.error is not None else 0
        if isinstance(table.result, RecordType):
            return Lowered(table.result, ibis.null("string"), fields={f.name: never(f.type, bits) for f in table.result.fields})
        return never(table.result, bits)
    return _known_value(table.result, found)


def _known_value(t: Type, found: Any) -> Lowered:
    if isinstance(t, RecordType):
        return Lowered(t, ibis.null("string"), fields={f.name: constant(v, f.type) for f, v in zip(t.fields, found, strict=True)})
    if isinstance(t, ListType) and isinstance(t.item, RecordType):
        return _records(t, [[constant(v, f.type) for f, v in zip(t.item.fields, record, strict=True)] for record in found], None)
    return constant(found, t)


# -- some inputs tried out ------------------------------------------------------------------------------------------------------------------


def _with_trials(table: TableDef, arguments: Sequence[Lowered], domains: Sequence[list[Any] | None], bind: Bind) -> Lowered:
    """Row by row; but where all unknown inputs have few values, each of these is tried, and what all give is known."""
    found = _by_rows(table, arguments, bind)
    few = [i for i, (a, d) in enumerate(zip(arguments, domains, strict=True)) if a.maybe and d is not None]
    if table.hit == "collect" or not few:
        return found
    for size in range(1, len(few) + 1):
        for open_ in itertools.combinations(few, size):
            here = both(*(a.unknown if i in open_ else negated(a.unknown) for i, a in enumerate(arguments)))
            tried = []
            for values in itertools.product(*([v for v in domains[i] or () if v is not _OPEN and v is not None] for i in open_)):
                given = dict(zip(open_, values, strict=True))
                with_them = [
                    constant(given[i], table.inputs[i][1]) if i in given else replace(a, maybe=False, kinds=0, flag=None, mask=None, low=None, high=None)
                    for i, a in enumerate(arguments)
                ]
                tried.append(_by_rows(table, with_them, bind))
            found = _agreed(here, tried, found, [arguments[i] for i in open_], bind)
    return found


def _agreed(here: Flag, tried: Sequence[Lowered], otherwise: Lowered, waiting: Sequence[Lowered], bind: Bind) -> Lowered:
    """Under a condition, what all trials give."""
    if otherwise.fields is not None:
        fields = {n: _agreed(here, [t.fields[n] for t in tried if t.fields is not None], f, waiting, bind) for n, f in otherwise.fields.items()}
        return replace(otherwise, fields=fields)
    first, *rest = tried
    failing = both(*(t.unknown for t in tried))
    same = both(*(negated(t.unknown) for t in tried), *(_same(first, t) for t in rest))
    kinds = 0
    for a in waiting:
        kinds |= a.kinds
    t = otherwise.type
    error = first if first.maybe else never(t, 0)
    lines = [
        (Lowered(BOOL, condition(both(here, same))), replace(first, maybe=False, kinds=0, flag=None, mask=None)),
        (Lowered(BOOL, condition(both(here, failing))), error),
        (Lowered(BOOL, condition(here)), never(t, kinds)),
    ]
    return chosen(lines, otherwise, t, bind)


def _same(a: Lowered, b: Lowered) -> Flag:
    return compared("==", replace(a, maybe=False), replace(b, maybe=False), None, (False, False)).value.fill_null(True)


# -- row by row -----------------------------------------------------------------------------------------------------------------------------


def _by_rows(table: TableDef, arguments: Sequence[Lowered], bind: Bind) -> Lowered:
    whens = [_matches(row, table, arguments) for row in table.rows]
    hit = table.hit
    if hit == "count":
        return _count(whens, table.result)
    if hit == "collect":
        assert isinstance(table.result, ListType)
        rows = [[constant(v, k) for v, (_, k) in zip(row.outputs, table.outputs, strict=True)] for row in table.rows]
        return _records(table.result, rows, whens)
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


def _records(t: ListType, rows: Sequence[Sequence[Lowered]], whens: Sequence[Lowered] | None) -> Lowered:
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


# -- scales and maps ------------------------------------------------------------------------------------------------------------------------


def scaled(scale: ScaleDef, amount: Lowered, t: Type, bind: Bind) -> Lowered:
    """The rated amount: each slice by its own rate (marginal), or the whole by the bracket that it reaches (whole)."""
    if amount.is_static:
        return constant(scale_amount(scale, amount.static), t)
    plain = Lowered(amount.type, bind(amount.value), digits=amount.digits, places=amount.places)
    total = constant(0, t)
    for i, (start, rate) in enumerate(scale.brackets):
        reached = compared(">=", plain, constant(start, amount.type), None, (False, False)).value.fill_null(False)
        if scale.mode == "whole":
            part = arithmetic("*", plain, constant(rate, t), t)
            total = either_of(reached, part, total)
            continue
        end = plain if i + 1 == len(scale.brackets) else extreme(False, [plain, constant(scale.brackets[i + 1][0], amount.type)], amount.type)
        part = arithmetic("*", arithmetic("-", end, constant(start, amount.type), amount.type), constant(rate, t), t)
        total = arithmetic("+", total, either_of(reached, part, constant(0, t)), t)
    if not amount.maybe:
        return total
    value = choose([(amount.unknown, ibis.null(total.value.type()))], total.value)
    return Lowered(t, value, True, amount.kinds, None, amount.mask, digits=total.digits, places=total.places)


def entry(values: dict[str, Any], t: MapType, key: Lowered, bind: Bind) -> Lowered:
    """One entry of a map parameter. A key that it has not is an error."""
    if key.is_static:
        return constant(values[key.static], t.of) if key.static in values else never(t.of, ERROR_BIT["no-such-key"])
    lines = [(compared("==", key, constant(k, key.type), None, (False, False)), constant(v, t.of)) for k, v in values.items()]
    found = chosen(lines, never(t.of, ERROR_BIT["no-such-key"]), t.of, bind)
    if not key.maybe:
        return found
    # an unknown key leaves the entry unknown, even where all entries are the same
    value = choose([(key.unknown, ibis.null(found.value.type()))], found.value)
    kinds, mask = mask_of(value.isnull(), key, found)
    return Lowered(t.of, value, True, kinds, condition(either(key.unknown, found.unknown)), mask, found.null, digits=found.digits, places=found.places)


def field_of(record: Lowered, name: str) -> Lowered:
    """A field of a record; of a record out of a list, or of a look-up."""
    if record.fields is not None:
        return record.fields[name]
    assert record.shape is not None
    item = item_of(record.value, record.shape)
    assert item.fields is not None
    return item.fields[name]

