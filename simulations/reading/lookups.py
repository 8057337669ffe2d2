"""Decision tables, scales and map parameters as SQL."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import ibis
import ibis.expr.types as ir

from engine.lookups import k_table
from engine.policy import ScaleDef, TableDef
from engine.tables import TableIndex, scale_amount
from engine.types import BOOL, BoolType, EnumType, ListType, MapType, RecordType, Type
from engine.unknown import Unknown
from simulations.reading.arrays import Bind
from simulations.reading.bounds import either_of
from simulations.reading.items import item_of
from simulations.reading.logic import chosen, compared
from simulations.reading.lowered import (
    ERROR_BIT,
    Flag,
    Lowered,
    both,
    choose,
    condition,
    constant,
    either,
    literal,
    mask_of,
    negated,
    never,
    number,
    surely,
    surely_not,
)
from simulations.reading.numbers import arithmetic, extreme
from simulations.reading.rows import by_rows, records

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
        return records(t, [[constant(v, f.type) for f, v in zip(t.item.fields, record, strict=True)] for record in found], None)
    return constant(found, t)


# -- some inputs tried out ------------------------------------------------------------------------------------------------------------------


def _with_trials(table: TableDef, arguments: Sequence[Lowered], domains: Sequence[list[Any] | None], bind: Bind) -> Lowered:
    """Row by row; but where all unknown inputs have few values, each of these is tried, and what all give is known."""
    found = by_rows(table, arguments, bind)
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
                tried.append(by_rows(table, with_them, bind))
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

