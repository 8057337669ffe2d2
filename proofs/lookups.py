"""Decision tables, scales and maps on terms: every row of a table is asked, the hit policy decides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from engine.policy import ScaleDef, TableDef, TableRow
from proofs.constants import constant
from proofs.folding import Truth, add, and_, choose, equal, less, negative, not_, or_, times
from proofs.symbols import World
from proofs.terms import SURE, Items, Term, Waits, chosen, merged, same

ZERO = Fraction(0)


def row_matches(world: World, row: TableRow, inputs: list[Term]) -> Truth:
    """Does a row accept some inputs?"""
    tests: list[Truth] = []
    for cell, given in zip(row.cells, inputs, strict=True):
        if cell.kind == "any":
            continue
        if cell.kind == "none":
            tests.append(given.null)
        elif cell.kind == "values":
            listed = or_(*(same(given, constant(v, world.texts)) for v in sorted(cell.values, key=repr)))
            tests.append(listed)
        elif given.null is True:
            tests.append(False)
        else:
            low, high = (None if end is None else constant(end, world.texts).value for end in (cell.low, cell.high))
            tests.append(not_(given.null))
            if low is not None:
                tests.append(less(low, given.value, or_equal=not cell.low_open))
            if high is not None:
                tests.append(less(given.value, high, or_equal=not cell.high_open))
    return and_(*tests)


def looked_up(world: World, table: TableDef, inputs: list[Term]) -> Term:
    waits = merged(i.waits for i in inputs)
    matching = [(row_matches(world, row, inputs), row) for row in table.rows]
    found = _by_hit_policy(world, table, matching)
    return found if waits is SURE else Term(found.value, found.null, merged((waits, found.waits.only_if(not_(waits.any)))))


def _by_hit_policy(world: World, table: TableDef, matching: list[tuple[Truth, TableRow]]) -> Term:
    def record(outputs: Iterable[Any]) -> Term:
        return Term(tuple(constant(v, world.texts) for v in outputs))

    none = not_(or_(*(m for m, _ in matching)))
    if table.hit == "count":
        total: Any = ZERO
        for m, _ in matching:
            total = add(total, choose(m, Fraction(1), ZERO))
        return Term(total)
    if table.hit == "collect":
        return Term(Items(tuple((m, record(r.outputs)) for m, r in matching)))
    if table.hit in ("sum", "min", "max"):
        found = Term(tuple(_column(table.hit, [(m, r.outputs[i]) for m, r in matching]) for i in range(len(table.outputs))))
    else:
        rows = matching
        if table.hit == "priority":
            assert table.priority is not None
            column = [n for n, _ in table.outputs].index(table.priority[0])
            rows = sorted(matching, key=lambda pair: table.priority[1].index(pair[1].outputs[column]))  # type: ignore[index]
        found = record(rows[-1][1].outputs)
        for m, row in reversed(rows[:-1]):
            found = chosen(m, record(row.outputs), found)
    error: Truth = False
    if table.hit in ("unique", "any"):
        error = or_(*(and_(m, n) for i, (m, a) in enumerate(matching) for n, b in matching[i + 1 :] if table.hit == "unique" or a.outputs != b.outputs))
    if table.default is not None:
        found = chosen(none, record(table.default), found)
    elif table.hit != "sum":
        error = or_(error, none)
    return Term(found.value, False, SURE if error is False else Waits(error=error))


def _column(hit: str, values: list[tuple[Truth, Any]]) -> Term:
    present = [(m, Fraction(v)) for m, v in values if v is not None]
    if hit == "sum":
        total: Any = ZERO
        for m, v in present:
            total = add(total, choose(m, v, ZERO))
        return Term(total)
    best: Term = Term(ZERO, True)
    for m, v in sorted(present, key=lambda pair: pair[1], reverse=hit == "min"):
        best = chosen(m, Term(v), best)
    return best


def rated(scale: ScaleDef, amount: Term) -> Term:
    total: Any = ZERO
    brackets = [(Fraction(start), Fraction(rate)) for start, rate in scale.brackets]
    for i, (start, rate) in enumerate(brackets):
        reached = less(start, amount.value, or_equal=True)
        if scale.mode == "whole":
            total = choose(reached, times(amount.value, rate), total)
            continue
        end = amount.value if i + 1 == len(brackets) else choose(less(amount.value, brackets[i + 1][0]), amount.value, brackets[i + 1][0])
        total = add(total, choose(reached, times(add(end, negative(start)), rate), ZERO))
    return Term(total, False, amount.waits)


def entry(world: World, values: Mapping[str, Any], key: Term) -> Term:
    """The entry of a map parameter."""
    first, *others = values.items()
    found = constant(first[1], world.texts)
    for name, value in others:
        found = chosen(equal(key.value, world.texts.number(name)), constant(value, world.texts), found)
    return found.but(key.waits)
