"""Decision tables: their columns and rows are checked here, and a look-up is answered by an index, not by the Rete network.

Hit policies after DMN: unique, first, priority, any, collect, sum, min, max, count.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from engine.errors import EvaluationError, Fault, did_you_mean
from engine.literals import LiteralFault, cell, literal, type_of
from engine.model import TableModel
from engine.policy import Cell, ScaleDef, TableDef, TableRow
from engine.source import KeyPath, Source
from engine.types import COUNT, Field, ListType, NumberType, RecordType, Type

#: A range column whose masks would take more bits than this is tested cell by cell instead.
MASK_BITS = 400_000_000


def check_table(name: str, raw: TableModel, source: Source, faults: list[Fault]) -> TableDef | None:
    """Type one table; its faults are added to `faults`."""
    base: KeyPath = ("tables", name)
    before = len(faults)

    def fault(path: KeyPath, message: str, help: str | None = None, key: bool = False) -> None:
        faults.append(Fault(source.place((*base, *path), key=key), message, help))

    columns: dict[str, dict[str, Type]] = {"inputs": {}, "outputs": {}}
    for part, specs in (("inputs", raw.inputs), ("outputs", raw.outputs)):
        for column, spec in specs.items():
            try:
                columns[part][column] = type_of(spec)
            except LiteralFault as error:
                fault((part, column, *error.at), str(error), error.help)
    inputs, outputs = columns["inputs"], columns["outputs"]
    for column in set(inputs) & set(outputs):
        fault(("outputs", column), f"`{column}` is an input too", "rename the output", key=True)
    if faults[before:]:
        return None
    rows = []
    for i, row in enumerate(raw.rows):
        for key in row:
            if key not in inputs and key not in outputs:
                fault(("rows", i, key), f"row {i + 1}: unknown column `{key}`", did_you_mean(key, [*inputs, *outputs]), key=True)
        cells, values = [], []
        for column, kind in inputs.items():
            try:
                cells.append(cell(row.get(column, "any"), kind))
            except LiteralFault as error:
                fault(("rows", i, column), f"row {i + 1}: {error}", error.help)
        for column, kind in outputs.items():
            if column not in row:
                fault(("rows", i), f"row {i + 1} has no `{column}`", "every row gives every output; `null` says none")
                continue
            values.append(_output(row[column], kind, lambda m, h, i=i, column=column: fault(("rows", i, column), f"row {i + 1}: {m}", h)))
        rows.append(TableRow(i + 1, tuple(cells), tuple(values)))
    default = None
    if raw.default is not None:
        if set(raw.default) != set(outputs):
            fault(("default",), "the default needs every output: " + ", ".join(outputs))
        else:
            default = tuple(_output(raw.default[c], k, lambda m, h, c=c: fault(("default", c), m, h)) for c, k in outputs.items())
    priority = None
    if (raw.hit == "priority") != (raw.priority is not None):
        fault((), "`hit: priority` and `priority: {output: [best, …]}` go together")
    elif raw.priority is not None:
        column, order = next(iter(raw.priority.items()))
        if len(raw.priority) != 1 or column not in outputs:
            fault(("priority",), "one output is named, with its values from best to worst")
        else:
            priority = (column, tuple(order))
            known = [r.outputs[list(outputs).index(column)] for r in rows if len(r.outputs) == len(outputs)]
            for value in dict.fromkeys(v for v in known if v not in order):
                fault(("priority", column), f"`{value}` is missing in the order", "name every value of the column, best first")
            allowed = getattr(outputs[column], "values", None)
            for i, value in enumerate(order):
                if allowed is not None and value not in allowed:
                    fault(("priority", column, i), f"`{value}` is not among the values", did_you_mean(value, allowed))
    if raw.hit in ("sum", "min", "max"):
        for column, kind in outputs.items():
            if not isinstance(kind, NumberType):
                fault(("outputs", column), f"`hit: {raw.hit}` needs numbers, `{column}` is {kind}")
    if faults[before:]:
        return None
    refs = tuple(raw.source.refs) if raw.source else ()
    codes = (*([raw.code] if raw.code else []), *raw.codes)
    record = RecordType(tuple(Field(n, k, _may_be_null(i, rows, default, raw.hit)) for i, (n, k) in enumerate(outputs.items())))
    result: Type = COUNT if raw.hit == "count" else ListType(record) if raw.hit == "collect" else record
    return TableDef(
        name, raw.hit, tuple(inputs.items()), tuple(outputs.items()), tuple(rows), default, priority, result, source.place(base, key=True), codes, refs
    )  # fmt: skip


def _output(raw: Any, kind: Type, fault: Any) -> Any:
    if raw is None:
        return None
    try:
        return literal(raw, kind)
    except LiteralFault as error:
        fault(str(error), error.help)
        return None


def _may_be_null(i: int, rows: Sequence[TableRow], default: tuple[Any, ...] | None, hit: str) -> bool:
    return any(r.outputs[i] is None for r in rows) or (default is not None and default[i] is None) or hit in ("min", "max")


class _Column:
    """Which rows accept a value of one input, as a bit mask: bit r is set if row r does."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self.anything = self.null = 0
        self.values: dict[Any, int] = {}
        self.cuts: list[Any] = []
        self.segments: list[int] = []
        ranges: list[tuple[int, Cell]] = []
        for r, c in enumerate(cells):
            bit = 1 << r
            if c.kind == "any":
                self.anything |= bit
            elif c.kind == "range":
                ranges.append((bit, c))
            for value in c.values:
                self.values[value] = self.values.get(value, 0) | bit
            if c.accepts(None):
                self.null |= bit
        if ranges:
            self._sweep(ranges)

    def _sweep(self, ranges: list[tuple[int, Cell]]) -> None:
        """One mask for each point where a range begins or ends, and for each stretch between two such points."""
        self.cuts = sorted({b for _, c in ranges for b in (c.low, c.high) if b is not None})
        changes = [0] * (2 * len(self.cuts) + 2)
        for bit, c in ranges:
            start = 0 if c.low is None else 2 * bisect_left(self.cuts, c.low) + 1 + c.low_open
            stop = 2 * len(self.cuts) if c.high is None else 2 * bisect_left(self.cuts, c.high) + 1 - c.high_open
            changes[start] ^= bit
            changes[stop + 1] ^= bit
        mask = 0
        for change in changes[:-1]:
            mask ^= change
            self.segments.append(mask)

    def accepting(self, value: Any) -> int:
        if value is None:
            return self.null
        mask = self.anything | self.values.get(value, 0)
        if self.segments:
            k = bisect_left(self.cuts, value)
            mask |= self.segments[2 * k + 1 if k < len(self.cuts) and self.cuts[k] == value else 2 * k]
        return mask


class TableIndex:
    """Answers look-ups in one table: the masks of its columns are joined, so the number of rows hardly matters."""

    def __init__(self, table: TableDef) -> None:
        self.table = table
        self.columns: list[_Column] = []
        self.tested: list[int] = []
        for i in range(len(table.inputs)):
            cells = [row.cells[i] for row in table.rows]
            bounds = {b for c in cells for b in (c.low, c.high) if b is not None}
            if len(bounds) * len(cells) > MASK_BITS:
                self.tested.append(i)
                continue
            self.columns.append(_Column(cells))
        self.indexed = [i for i in range(len(table.inputs)) if i not in self.tested]
        self.all = (1 << len(table.rows)) - 1

    def rows(self, values: Sequence[Any]) -> list[TableRow]:
        """The rows that match, in the order of the table; under `first` only the first."""
        mask = self.all
        for i, column in zip(self.indexed, self.columns, strict=True):
            mask &= column.accepting(values[i])
            if not mask:
                return []
        found = []
        first = self.table.hit == "first"
        while mask:
            row = self.table.rows[(mask & -mask).bit_length() - 1]
            mask &= mask - 1
            if self.tested and not all(row.cells[i].accepts(values[i]) for i in self.tested):
                continue
            found.append(row)
            if first:
                break
        return found

    def look_up(self, values: Sequence[Any]) -> Any:
        """The result under the hit policy. Raises EvaluationError with the row numbers."""
        return resolve(self.table, self.rows(values), values)


def resolve(table: TableDef, rows: Sequence[TableRow], values: Sequence[Any]) -> Any:
    """What the hit policy makes of the rows that match."""
    hit = table.hit
    if hit == "count":
        return len(rows)
    if hit == "collect":
        return tuple(r.outputs for r in rows)
    if not rows:
        if table.default is not None:
            return table.default
        if hit == "sum":
            return tuple(Decimal(0) if k.places else 0 for _, k in table.outputs if isinstance(k, NumberType))
        shown = ", ".join(f"{n}={v}" for (n, _), v in zip(table.inputs, values, strict=True))
        raise EvaluationError("no-row-matched", f"table `{table.name}`: no row matches {shown}", table.place)
    if len(rows) > 1 and (hit == "unique" or (hit == "any" and len({r.outputs for r in rows}) > 1)):
        numbers = " and ".join(str(r.number) for r in rows)
        kind = "several-rows-matched" if hit == "unique" else "rows-disagree"
        raise EvaluationError(kind, f"table `{table.name}`: rows {numbers} match under `hit: {hit}`", table.place)
    if hit == "priority":
        assert table.priority is not None
        column = [n for n, _ in table.outputs].index(table.priority[0])
        order = table.priority[1]
        return min(rows, key=lambda r: order.index(r.outputs[column])).outputs
    if hit in ("sum", "min", "max"):
        merge: Any = {"sum": sum, "min": min, "max": max}[hit]
        columns = [[v for v in column if v is not None] for column in zip(*(r.outputs for r in rows), strict=True)]
        return tuple(merge(column) if column or hit == "sum" else None for column in columns)
    return rows[0].outputs


def scale_amount(scale: ScaleDef, amount: Any) -> Any:
    """The rated amount: each slice by its own rate (marginal), or the whole by the bracket that it reaches (whole)."""
    total = Decimal(0)
    for i, (start, rate) in enumerate(scale.brackets):
        if amount < start:
            break
        if scale.mode == "whole":
            total = amount * rate
        else:
            end = scale.brackets[i + 1][0] if i + 1 < len(scale.brackets) else amount
            total += (min(amount, end) - start) * rate
    return total
