"""Decision tables and scales, read row by row."""

from __future__ import annotations

import itertools
from datetime import timedelta
from decimal import Decimal
from typing import Any

from engine.errors import EvaluationError
from engine.policy import ScaleDef, TableDef, TableRow
from engine.types import BoolType, DateTimeType, DateType, EnumType, NumberType
from tests.unknown import Unknown, waiting


def looked_up(table: TableDef, given: list[tuple[Any, bool]]) -> Any:
    """A look-up; with unknown inputs, what all possible look-ups agree on."""
    columns = [_possible(table, i, value, nullable) for i, (value, nullable) in enumerate(given)]
    found, errors = [], []
    for values in itertools.product(*columns):
        try:
            found.append(by_hit_policy(table, [r for r in table.rows if all(c.accepts(v) for c, v in zip(r.cells, values, strict=True))]))
        except EvaluationError as error:
            errors.append(error)
    doubt = waiting(value for value, _ in given)
    if errors:
        return Unknown(doubt.paths, doubt.unset, errors[0])
    if all(f == found[0] for f in found):
        return found[0]
    if table.hit in ("collect", "count"):
        return doubt
    return tuple(column[0] if all(c == column[0] for c in column) else doubt for column in zip(*found, strict=True))


def _possible(table: TableDef, column: int, value: Any, nullable: bool) -> list[Any]:
    """Values that stand for all that an input may be: each that a cell names, one between any two, one beyond each end."""
    if not isinstance(value, Unknown):
        return [value]
    kind = table.inputs[column][1]
    null = [None] if nullable else []
    if isinstance(kind, BoolType):
        return [False, True, *null]
    if isinstance(kind, EnumType):
        return [*kind.values, *null]
    named = {v for r in table.rows for v in (*r.cells[column].values, r.cells[column].low, r.cells[column].high) if v is not None}
    if isinstance(kind, (DateType, DateTimeType)):
        return [*{v + timedelta(days=d) for v in named for d in (-1, 0, 1)}, *null]
    if not isinstance(kind, NumberType):
        return [*named, "", *null]
    ends = sorted(named) or [Decimal(0)]
    between = [(a + b) / Decimal(2) for a, b in itertools.pairwise(ends)]
    every = [ends[0] - 1, *ends, *between, ends[-1] + 1]
    return [x for x in every if (value.low is None or x >= value.low) and (value.high is None or x <= value.high)] + null


def by_hit_policy(table: TableDef, rows: list[TableRow]) -> Any:
    hit = table.hit
    if hit == "count":
        return len(rows)
    if hit == "collect":
        return tuple(r.outputs for r in rows)
    if not rows:
        if table.default is not None:
            return table.default
        if hit == "sum":
            return tuple(Decimal(0) for _ in table.outputs)
        raise EvaluationError("no-row-matched", f"table `{table.name}`: no row matches", table.place)
    if hit == "unique" and len(rows) > 1:
        raise EvaluationError("several-rows-matched", f"table `{table.name}`: several rows match", table.place)
    if hit == "any" and any(r.outputs != rows[0].outputs for r in rows):
        raise EvaluationError("rows-disagree", f"table `{table.name}`: rows disagree", table.place)
    if hit == "priority":
        assert table.priority is not None
        names = [name for name, _ in table.outputs]
        best_first, column = table.priority[1], names.index(table.priority[0])
        return next(r.outputs for value in best_first for r in rows if r.outputs[column] == value)
    if hit in ("sum", "min", "max"):
        merge: Any = {"sum": sum, "min": min, "max": max}[hit]
        return tuple(merge([v for v in values if v is not None]) for values in zip(*(r.outputs for r in rows), strict=True))
    return rows[0].outputs


def rated(scale: ScaleDef, amount: Any) -> Any:
    """marginal: each slice by its own rate; whole: all of it by the bracket that it reaches."""
    reached = [(start, rate) for start, rate in scale.brackets if amount >= start]
    if not reached:
        return Decimal(0)
    if scale.mode == "whole":
        return amount * reached[-1][1]
    ends = [start for start, _ in reached[1:]] + [amount]
    return sum(((end - start) * rate for (start, rate), end in zip(reached, ends, strict=True)), Decimal(0))
