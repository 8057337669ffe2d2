"""Single cases asked before and after: one row for each, with the money, written to Parquet while it is made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from engine.types import EXACT
from simulations.runs.database import Database, told
from simulations.runs.decisions import at_path
from simulations.runs.measures import Measure

#: Rows that are kept in memory before they are written.
BATCH = 10_000


def amount_of(answer: dict[str, Any], measure: Measure) -> Decimal | None:
    """The amount of a measure in one answer of the engine; None where it is not determined."""
    value = at_path(answer.get("outputs") or {}, measure.output)
    if value is None:
        return None
    quantum = Decimal(1).scaleb(-measure.places)
    if measure.field is None:
        return Decimal(str(value)).quantize(quantum, context=EXACT)
    items = [at_path(item, measure.field) for item in value]
    return sum((Decimal(str(v)) for v in items if v is not None), Decimal(0)).quantize(quantum, context=EXACT)


def payable(answer: dict[str, Any], measure: Measure, paid: Sequence[str]) -> Decimal | None:
    """What one answer pays out; None where it is open: undetermined, an error, or paid with an amount that is not known."""
    if answer["outcome"] in ("undetermined", "error"):
        return None
    return amount_of(answer, measure) if answer["outcome"] in paid else Decimal(0).scaleb(-measure.places)


def write_rows(path: Path, schema: pa.Schema, rows: Iterator[dict[str, Any]], database: Database) -> int:
    """Write rows as Parquet, a batch at a time; gives their number. Raises PolicyError, Cancelled."""
    count = 0
    with told(), pq.ParquetWriter(path, schema, compression="zstd") as writer:
        batch: list[dict[str, Any]] = []
        for row in rows:
            batch.append(row)
            if len(batch) == BATCH:
                count += _flush(writer, schema, batch, database)
        count += _flush(writer, schema, batch, database)
    return count


def _flush(writer: pq.ParquetWriter, schema: pa.Schema, batch: list[dict[str, Any]], database: Database) -> int:
    database.stop_if_cancelled()
    writer.write_table(pa.Table.from_pylist(batch, schema=schema))
    count = len(batch)
    batch.clear()
    return count


def text(name: str) -> tuple[str, pa.DataType]:
    return name, pa.string()


def money(names: Sequence[str], places: int) -> list[tuple[str, pa.DataType]]:
    """Columns of amounts with so many places."""
    return [(name, pa.decimal128(38, places)) for name in names]
