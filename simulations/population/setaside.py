"""The rows of a source that do not fit: listed one by one in set-aside.parquet, and grouped by reason. None is dropped in silence."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from simulations.population import staging
from simulations.population.binding import Binding
from simulations.population.columns import CASE_ID
from simulations.population.scan import ROW
from simulations.population.sources import REJECTS
from simulations.population.spelling import literal

_NO_CSV = {
    "MISSING COLUMNS": ("too few columns", "列数过少"),
    "TOO MANY COLUMNS": ("too many columns", "列数过多"),
    "INVALID ENCODING": ("not UTF-8", "不是 UTF-8 编码"),
}
_OTHER = ("no CSV: a quote that does not close, or a line that is too long", "不是有效的 CSV：引号未闭合或行过长")
_IDS = "population_twice"
_TWICE = ("the id stands twice", "编号重复")


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason, in both languages, and how many rows were set aside for it in one column. A row may have several."""

    column: str
    reason: str
    zh: str
    rows: int


def clear(connection: duckdb.DuckDBPyConnection) -> None:
    """Drop the temporary tables of a reading."""
    for table in (_IDS, REJECTS, f"{REJECTS}_scan"):
        connection.execute(f"DROP TABLE IF EXISTS temp.{table}")


class SetAside:
    """What was set aside. `rows` are all of them, `unparsed` those among them that are no CSV. `bad`: SQL, whether a row of the scan is among them."""

    def __init__(self, binding: Binding, bad: bool, ids_twice: bool, folder: Path, connection: duckdb.DuckDBPyConnection) -> None:
        self.binding, self.connection = binding, connection
        self.listing = folder / "set-aside.parquet"
        self._found = binding.checks if bad else []
        self._twice = ids_twice and self._note_twice()
        rejects = self._rejects()
        staging.write(self._listed(rejects), self.listing, connection)
        table = staging.table(self.listing)
        counted = connection.execute(f'SELECT "column", reason, count(*) FROM {table} GROUP BY ALL ORDER BY 3 DESC, 1, 2').fetchall()
        chinese = {**binding.chinese, **dict([*_NO_CSV.values(), _OTHER, _TWICE])}
        self.reasons = tuple(Refusal(column, reason, chinese[reason], rows) for column, reason, rows in counted)
        row = connection.execute(f"SELECT count(DISTINCT row) FILTER (NOT unparsed), count(*) FILTER (unparsed) FROM {table}").fetchone()
        assert row is not None
        self.unparsed = row[1]
        self.rows = row[0] + row[1]

    @property
    def good(self) -> str:
        """SQL that holds for the rows of the scan that are used."""
        conditions = [f"({check.reason}) IS NULL" for check in self._found]
        if self._twice:
            conditions.append(f"{self.binding.plain[CASE_ID]} NOT IN (SELECT id FROM {_IDS})")
        return " AND ".join(conditions)

    def told(self, most: int) -> str:
        """The most frequent reasons, one a line, each with the first value that has it."""
        table = staging.table(self.listing)
        query = f'SELECT "column", reason, count(*), arg_min(value, row), min(row) FROM {table} GROUP BY ALL ORDER BY 3 DESC, 1, 2'
        found = self.connection.execute(f"{query} LIMIT {most + 1}").fetchall()
        lines = []
        for column, reason, rows, value, row in found[:most]:
            first = f"`{value}` in row {row}" if value is not None else f"row {row}"
            lines.append(f"{rows} × {f'column `{column}`: ' if column else ''}{reason} (first: {first})")
        return "\n    ".join([*lines, *(["…"] if len(found) > most else [])])

    def _note_twice(self) -> bool:
        """Ids that stand twice: nobody can say which of the rows is right, so all of them go."""
        case_id = self.binding.plain[CASE_ID]
        several = self.binding.scan.sql(f"{case_id} AS id", f"WHERE {case_id} IS NOT NULL GROUP BY ALL HAVING count(*) > 1")
        self.connection.execute(f"CREATE OR REPLACE TEMP TABLE {_IDS} AS {several}")
        row = self.connection.execute(f"SELECT count(*) FROM {_IDS}").fetchone()
        return row is not None and row[0] > 0

    def _listed(self, rejects: str) -> str:
        """A query of all bad values, in the order of the rows."""
        checks = [(check.label, check.reason, check.shown) for check in self._found]
        case_id = self.binding.plain[CASE_ID]
        if self._twice:
            checks.append((self._id_label(), f"CASE WHEN {case_id} IN (SELECT id FROM {_IDS}) THEN {literal(_TWICE[0])} END", "NULL"))
        parts = [rejects] if rejects else []
        if checks:
            structs = ", ".join(
                f"{{'n': {i}, 'column': {literal(label)}, 'reason': {reason}, 'value': CAST({shown} AS VARCHAR)}}"
                for i, (label, reason, shown) in enumerate(checks)
            )
            inner = self.binding.scan.sql(f"{case_id} AS case_id, {ROW} AS row, [{structs}] AS found", row=True)
            each = f"SELECT case_id, row, unnest(list_filter(found, lambda c: c.reason IS NOT NULL)) AS c FROM ({inner})"
            parts.append(f'SELECT case_id, row, c.n, c."column", c.reason, c.value, false AS unparsed FROM ({each})')
        if not parts:
            parts.append(
                "SELECT NULL::VARCHAR AS case_id, 0::BIGINT AS row, 0 AS n, NULL::VARCHAR AS \"column\", NULL::VARCHAR AS reason, NULL::VARCHAR AS value, "
                "false AS unparsed WHERE false"
            )
        order = "ORDER BY unparsed DESC, row, n, case_id"
        return f'SELECT case_id, row::BIGINT AS row, "column", reason, value, unparsed FROM ({" UNION ALL ".join(parts)}) {order}'

    def _id_label(self) -> str:
        return self.binding.mapping.model.id or CASE_ID

    def _rejects(self) -> str:
        """A query of the lines that are no CSV, each once; empty where there can be none."""
        row = self.connection.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = $1 AND temporary", [REJECTS]).fetchone()
        if row is None or not row[0]:
            return ""
        kinds = " ".join(f"WHEN {literal(kind)} THEN {literal(texts[0])}" for kind, texts in _NO_CSV.items())
        kind = f"CASE min(error_type::VARCHAR) {kinds} ELSE {literal(_OTHER[0])} END"
        return (
            f"SELECT NULL::VARCHAR AS case_id, line AS row, 0 AS n, '' AS \"column\", {kind} AS reason, NULL::VARCHAR AS value, true AS unparsed "
            f"FROM {REJECTS} GROUP BY file_id, line"
        )
