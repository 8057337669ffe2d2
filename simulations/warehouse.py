"""A policy as a query for a data warehouse: SQL over a table `population`, with comments that say what the table holds."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path

import duckdb
import ibis
import sqlglot
from ibis.backends.sql.datatypes import DuckDBType
from ibis.common.exceptions import IbisError

from engine.policy import Policy
from engine.types import NumberType, Type
from simulations.header import ANY_PLACES, DIGITS, RATIO_DIGITS, Table, header
from simulations.population import population
from simulations.population.columns import AS_OF, CASE_ID, UNKNOWN, Column, Profile, has_companion, quoted, record_of, sql_type
from simulations.population.spelling import literal
from simulations.reading.arrays import mapped_array, struct
from simulations.reading.dates import CALENDAR_TABLE, calendar_arrays
from simulations.reading.query import NotCovered, explained
from simulations.reading.stages import sql_of
from simulations.runs.panel import POPULATION

#: Names of warehouses to those of the compilers.
DIALECTS = {
    "bigquery": "bigquery", "clickhouse": "clickhouse", "databricks": "databricks", "duckdb": "duckdb", "postgres": "postgres", "spark": "pyspark",
    "trino": "trino",
}  # fmt: skip
#: The end of a line that computes a column of a step, as the dialects write its name; and a line that only takes one over.
_STEP = re.compile(r"^.*\bAS [\"`]?(v\d+)[\"`]?,?$", re.MULTILINE)
_TAKEN_OVER = re.compile(r"\s*[\"`]?t\d+[\"`]?\.[\"`]?(v\d+)[\"`]? AS [\"`]?\1[\"`]?,?")


def assumed(policy: Policy, complete: bool, has_as_of: bool) -> Table:
    """A table with every fact. `complete`: each is known in every row, else in none for sure; `has_as_of`: each row has its own instant."""
    return Table(Profile(0, {f.name: _column(f.type, f.nullable, complete) for f in policy.facts.values()}, has_as_of))


def profiled(policy: Policy, source: str, has_as_of: bool) -> Table:
    """A table as a population is, which is read whole to see which facts it has and which of them are known in every row. Raises PopulationError."""
    with duckdb.connect(":memory:") as connection, tempfile.TemporaryDirectory() as folder:
        found = population.read(source, policy, None, connection, Path(folder))
        as_it_is = Path(source).suffix in (".parquet", ".pq") and not (Path(folder) / "population.parquet").exists()
    wide = assumed(policy, True, has_as_of).profile.columns
    columns = {name: _wider(column, wide[name]) for name, column in found.profile.columns.items()}
    profile = Profile(found.rows, columns, has_as_of and found.profile.has_as_of)
    return Table(profile, found.source, source if as_it_is else None, found.set_aside)


def _wider(found: Column, wide: Column) -> Column:
    """What is unknown or none as it was found; numbers with room for those that are still to come."""
    fields = {n: _wider(f, (wide.fields or {})[n]) for n, f in found.fields.items()} if found.fields else None
    return Column(found.unknown, found.null, max(found.digits, wide.digits), max(found.places, wide.places), fields)


def statement(policy: Policy, dialect: str, known: Table, as_of: datetime | None, changed: Collection[str] = ()) -> str:
    """The query, after comments that describe its table. `as_of` None: each row has its own. `changed`: parameters that are not those of the rule file.

    Raises NotCovered, for the policy or for the dialect, and TooWide.
    """
    schema = {CASE_ID: "VARCHAR", **({AS_OF: "TIMESTAMP"} if as_of is None else {})}
    for name, column in known.profile.columns.items():
        fact = policy.facts[name]
        schema[name] = sql_type(fact.type, column)
        if has_companion(fact, column):
            schema[UNKNOWN + name] = "BOOLEAN"
    table = ibis.table(ibis.schema({name: DuckDBType.from_string(t) for name, t in schema.items()}), name=POPULATION)
    answers, steps = explained(_filled(table), {"answer": policy}, known.profile, as_of, keep=(CASE_ID,))
    kept = [CASE_ID, *(c for c in answers.columns if c.startswith("answer:"))]
    query = _compiled(answers.select(*[answers[c].name(c.removeprefix("answer:")) for c in kept]), policy, dialect)
    about = header(policy, schema, dialect, known, as_of, changed, CALENDAR_TABLE in query)
    view = _view(schema, known.file) if known.file is not None and dialect == "duckdb" else ""
    return f"{about}{view}{_commented(query, steps)};\n"


def _filled(table: ibis.Table) -> ibis.Table:
    """The table with `unknown:` columns and fields that are NULL counted as false."""
    found: dict[str, ibis.Value] = {}
    for name, kind in table.schema().items():
        if name.startswith(UNKNOWN):
            found[name] = table[name].fill_null(False)
        elif kind.is_array() and kind.value_type.is_struct() and any(f.startswith(UNKNOWN) for f in kind.value_type.names):
            found[name] = mapped_array(table[name], "row", lambda x: struct({f: x[f].fill_null(False) if f.startswith(UNKNOWN) else x[f] for f in x.names}))
    return table.mutate(**found) if found else table


def _view(schema: Mapping[str, str], file: str) -> str:
    """The statement that makes the table from a Parquet file that holds it as it is, for DuckDB."""
    parts = ", ".join(f"CAST({quoted(name)} AS {kind}) AS {quoted(name)}" for name, kind in schema.items())
    return f"CREATE OR REPLACE TEMP VIEW {POPULATION} AS SELECT {parts} FROM {literal(file)};\n"


def _commented(query: str, steps: Mapping[str, str]) -> str:
    """What each step computes, at the end of its line."""

    def told(found: re.Match[str]) -> str:
        return f"{found[0]} -- {steps[found[1]]}" if found[1] in steps and not _TAKEN_OVER.fullmatch(found[0]) else found[0]

    return _STEP.sub(told, query)


def calendar(dialect: str) -> str:
    """The statement that makes the table of working days."""
    counts, days = calendar_arrays()
    text = f"SELECT [{', '.join(map(str, counts))}]::INTEGER[] AS working_counts, [{', '.join(repr(d.isoformat()) for d in days)}]::DATE[] AS working_days"
    made = sqlglot.parse_one(f"CREATE TABLE {CALENDAR_TABLE} AS {text}", read="duckdb")
    return f"-- the working days that are known, {days[0]} to {days[-1]}, as one row; make it anew when a year is added\n{made.sql(dialect=dialect)};\n"


def _column(t: Type, nullable: bool, complete: bool) -> Column:
    record = record_of(t)
    fields = {f.name: _column(f.type, f.nullable, complete) for f in record.fields} if record else None
    if not isinstance(t, NumberType):
        return Column(not complete, nullable, 0, 0, fields)
    places = 0 if t.name == "integer" else ANY_PLACES if t.places is None else t.places
    return Column(not complete, nullable, RATIO_DIGITS if t.name == "ratio" else DIGITS, places)


def _compiled(answers: ibis.Table, policy: Policy, dialect: str) -> str:
    try:
        return sql_of(answers, DIALECTS[dialect], pretty=True)
    except (IbisError, NotImplementedError, sqlglot.errors.SqlglotError) as error:
        said = str(error).strip().split("\n", 1)[0] or type(error).__name__
        raise NotCovered(f"{policy.name} cannot be written in the SQL of {dialect}: {said}\n  help: another dialect may do, such as duckdb") from None
