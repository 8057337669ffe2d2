"""A look-up in a decision table where inputs may be unknown: what every possible look-up agrees on is known."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from engine.errors import EvaluationError
from engine.tables import TableIndex
from engine.types import BoolType, EnumType
from engine.unknown import Unknown, unknown_of

#: So many look-ups are tried for unknown inputs of a table.
MAX_TRIED = 256


def k_table(index: TableIndex, values: tuple[Any, ...]) -> Any:
    """A look-up; with unknown inputs, each output that every possible look-up agrees on is known."""
    try:
        if not any(type(v) is Unknown for v in values):
            return index.look_up(values)
        waiting = unknown_of(*values)
        results = _possible(index, values)
        if not results or not isinstance(results[0], tuple) or index.table.hit == "collect":
            return results[0] if results and all(r == results[0] for r in results) else waiting
        return tuple(column[0] if all(c == column[0] for c in column) else waiting for column in zip(*results, strict=True))
    except EvaluationError as error:
        return Unknown(error=error)


def _tried(index: TableIndex, inputs: Iterable[tuple[Any, ...]]) -> list[Any]:
    """The results of several look-ups; none if only some of them give one. Raises EvaluationError if none does."""
    results, errors = [], []
    for values in inputs:
        try:
            results.append(index.look_up(values))
        except EvaluationError as error:
            errors.append(error)
    if errors and not results:
        raise errors[0]
    return [] if errors else results


def _possible(index: TableIndex, values: tuple[Any, ...]) -> list[Any]:
    """What the look-up may give: tried out for unknown inputs of few values, else one result for each row that may match."""
    domains: list[Any] = []
    size = 1
    for (_, kind), value in zip(index.table.inputs, values, strict=True):
        known = (False, True) if isinstance(kind, BoolType) else kind.values if isinstance(kind, EnumType) else None
        domains.append((value,) if type(value) is not Unknown else known)
        size *= len(domains[-1]) if domains[-1] is not None else MAX_TRIED + 1
    if size <= MAX_TRIED:
        return _tried(index, itertools.product(*domains))
    if index.table.hit not in ("unique", "first", "any"):
        return []
    results = []
    for row in index.table.rows:
        cells = list(zip(row.cells, values, strict=True))
        if all(c.accepts(v) for c, v in cells if type(v) is not Unknown):
            results.append(row.outputs)
            if all(c.kind == "any" for c, v in cells if type(v) is Unknown):
                return results
    return results if index.table.default is None else [*results, index.table.default]
