"""Decision tables: their columns and rows are checked here, and a look-up is answered by an index, not by the Rete network.

Hit policies after DMN: unique, first, priority, any, collect, sum, min, max, count.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from engine.errors import EvaluationError, Fault, did_you_mean
from engine.literals import LiteralFault, cell, literal, type_of
from engine.model import TableModel
from engine.policy import Cell, ScaleDef, TableDef, TableRow
from engine.source import KeyPath, Source
from engine.types import COUNT, Field, ListType, NumberType, RecordType, Type


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
                fault((part, column), str(error))
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
                cells.append(cell(row[column] if column in row else "any", kind))
            except LiteralFault as error:
                fault(("rows", i, column), f"row {i + 1}: {error}")
        for column, kind in outputs.items():
            if column not in row:
                fault(("rows", i), f"row {i + 1} has no `{column}`", "every row gives every output; `null` says none")
                continue
            values.append(_output(row[column], kind, lambda m, i=i, column=column: fault(("rows", i, column), f"row {i + 1}: {m}")))
        rows.append(TableRow(i + 1, tuple(cells), tuple(values)))
    default = None
    if raw.default is not None:
        if set(raw.default) != set(outputs):
            fault(("default",), "the default needs every output: " + ", ".join(outputs))
        else:
            default = tuple(_output(raw.default[c], k, lambda m, c=c: fault(("default", c), m)) for c, k in outputs.items())
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
        fault(str(error))
        return None


def _may_be_null(i: int, rows: Sequence[TableRow], default: tuple[Any, ...] | None, hit: str) -> bool:
    return any(r.outputs[i] is None for r in rows) or (default is not None and default[i] is None) or hit in ("min", "max")


class TableIndex:
    """Answers look-ups in one table.

    Rows are bucketed by the exact values of one column, or cut into segments by the bounds of one range column, whichever leaves the fewest
    rows to test; the rest of a row is tested cell by cell. 5,000 rows take microseconds.
    """

    def __init__(self, table: TableDef) -> None:
        self.table = table
        self.column: int | None = None
        self.buckets: dict[Any, list[TableRow]] = {}
        self.others: list[TableRow] = list(table.rows)
        self.cuts: list[Any] = []
        self.segments: list[list[TableRow]] = []
        best = len(table.rows)
        for i in range(len(table.inputs)):
            worst = self._try_buckets(i)
            if worst < best:
                best, self.column = worst, i
        if self.column is not None:
            self._bucket(self.column)
        self.range_column = None
        if best > 16:
            self._try_segments(best)

    def _try_buckets(self, i: int) -> int:
        sizes: dict[Any, int] = defaultdict(int)
        others = 0
        for row in self.table.rows:
            if row.cells[i].kind == "values":
                for value in row.cells[i].values:
                    sizes[value] += 1
            else:
                others += 1
        return others + max(sizes.values(), default=0)

    def _bucket(self, i: int) -> None:
        self.buckets, self.others = defaultdict(list), []
        keys = {v for row in self.table.rows if row.cells[i].kind == "values" for v in row.cells[i].values}
        for row in self.table.rows:
            if row.cells[i].kind == "values":
                for value in row.cells[i].values:
                    self.buckets[value].append(row)
            else:
                self.others.append(row)
                for key in keys:
                    if row.cells[i].accepts(key):
                        self.buckets[key].append(row)

    def _try_segments(self, best: int) -> None:
        for i in range(len(self.table.inputs)):
            cells = [row.cells[i] for row in self.table.rows]
            if not all(c.kind == "range" or c.kind == "any" for c in cells):
                continue
            cuts = sorted({b for c in cells for b in (c.low, c.high) if b is not None})
            if not cuts or len(cuts) * 4 > 200_000:
                continue
            # segment 2k+1 is the point cuts[k], segment 2k the open interval below it
            segments: list[list[TableRow]] = [[] for _ in range(2 * len(cuts) + 1)]
            for row in self.table.rows:
                start, stop = _span(row.cells[i], cuts)
                for k in range(start, stop + 1):
                    segments[k].append(row)
            if max(len(s) for s in segments) < best:
                best = max(len(s) for s in segments)
                self.cuts, self.segments, self.range_column = cuts, segments, i

    def candidates(self, values: Sequence[Any]) -> list[TableRow]:
        if self.range_column is not None:
            value = values[self.range_column]
            if value is None:
                return list(self.table.rows)
            k = bisect_left(self.cuts, value)
            return self.segments[2 * k + 1 if k < len(self.cuts) and self.cuts[k] == value else 2 * k]
        if self.column is not None:
            return self.buckets.get(values[self.column], self.others)
        return self.others

    def rows(self, values: Sequence[Any]) -> list[TableRow]:
        """The rows that match, in the order of the table; under `first` only the first."""
        found = []
        first = self.table.hit == "first"
        for row in self.candidates(values):
            if all(c.accepts(v) for c, v in zip(row.cells, values, strict=True)):
                found.append(row)
                if first:
                    break
        return found

    def look_up(self, values: Sequence[Any]) -> Any:
        """The result under the hit policy. Raises EvaluationError with the row numbers."""
        return resolve(self.table, self.rows(values), values)


def _span(c: Cell, cuts: list[Any]) -> tuple[int, int]:
    start = 0 if c.low is None else 2 * bisect_left(cuts, c.low) + 1 + c.low_open
    stop = 2 * len(cuts) if c.high is None else 2 * (bisect_right(cuts, c.high) - 1) + 1 - c.high_open
    return start, stop


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
