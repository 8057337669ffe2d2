"""A policy as a query for a data warehouse: SQL over a table `population`, with comments that say what the table holds."""

from __future__ import annotations

from datetime import datetime

import ibis
import sqlglot
from ibis.backends.sql.datatypes import DuckDBType
from ibis.common.exceptions import IbisError
from sqlglot import exp

from engine.policy import Policy
from engine.types import EnumType, NumberType, SetType, Type
from simulations.population.columns import AS_OF, CASE_ID, UNKNOWN, Column, Profile, has_companion, record_of, sql_type
from simulations.reading.dates import CALENDAR_TABLE, calendar_arrays
from simulations.reading.query import NotCovered, read
from simulations.reading.stages import sql_of
from simulations.runs.panel import POPULATION

#: Names of warehouses to those of the compilers.
DIALECTS = {
    "bigquery": "bigquery", "clickhouse": "clickhouse", "databricks": "databricks", "duckdb": "duckdb", "postgres": "postgres", "spark": "pyspark",
    "trino": "trino",
}  # fmt: skip
#: Digits before the point, those of a ratio, and places of a number that may have any: products of wider ones would not fit 38 digits.
DIGITS, RATIO_DIGITS, ANY_PLACES = 14, 3, 6


def statement(policy: Policy, dialect: str, complete: bool, as_of: datetime | None) -> str:
    """The query, after comments that describe its table. `complete`: every fact is known in every row. `as_of` None: each row has its own.

    Raises NotCovered, for the policy or for the dialect.
    """
    profile = Profile(0, {f.name: _column(f.type, f.nullable, complete) for f in policy.facts.values()}, as_of is None)
    schema = {CASE_ID: "VARCHAR", **({AS_OF: "TIMESTAMP"} if as_of is None else {})}
    for fact in policy.facts.values():
        column = profile.columns[fact.name]
        schema[fact.name] = sql_type(fact.type, column)
        if has_companion(fact, column):
            schema[UNKNOWN + fact.name] = "BOOLEAN"
    table = ibis.table(ibis.schema({name: DuckDBType.from_string(t) for name, t in schema.items()}), name=POPULATION)
    answers = read(table, {"answer": policy}, profile, as_of)
    kept = [CASE_ID, *(c for c in answers.columns if c.startswith("answer:"))]
    query = _compiled(answers.select(*[answers[c].name(c.removeprefix("answer:")) for c in kept]), policy, dialect)
    return "\n".join([*_about(policy, schema, dialect, complete, as_of, CALENDAR_TABLE in query), query]) + ";\n"


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


def _about(policy: Policy, schema: dict[str, str], dialect: str, complete: bool, as_of: datetime | None, working: bool) -> list[str]:
    title = policy.model.title
    lines = [
        f"{policy.id}, version {policy.version}: {title.en} {title.zh}", policy.digest, "",
        f"Asks every row of the table `{POPULATION}`. Its columns, one row a case:",
        *(f"  {name}  {_typed(t, dialect)}{_note(name, policy)}" for name, t in schema.items()),
        "",
        f"as_of of every row: {as_of.isoformat()}" if as_of else "as_of: the instant of the case, as the wall clock of Shanghai, without a zone",
        *_unknown(schema, complete),
        f"Numbers have at most {DIGITS} digits before the point, ratios {RATIO_DIGITS}; a number that may have any places has at most {ANY_PLACES}.",
        "Products of wider ones would not fit SQL's 38 digits: hold the table against this before you trust the sums.",
        *_given(policy),
        *([f"Working days: make the table `{CALENDAR_TABLE}` first: policy sql --calendar --dialect {dialect}"] if working else []),
        "",
        "Columns of the answer: case_id; outcome: allowed, review, denied, undetermined or error; error: its kind; rule:<code>: violated, satisfied,",
        "not-applicable or unknown; out:<output>: NULL where it is not determined.",
    ]  # fmt: skip
    return [f"-- {line}".rstrip() for line in lines]


def _typed(duckdb: str, dialect: str) -> str:
    """A type as the dialect writes it."""
    return exp.DataType.build(duckdb, dialect="duckdb").sql(dialect=dialect)


def _note(name: str, policy: Policy) -> str:
    fact = policy.facts.get(name.removeprefix(UNKNOWN))
    if fact is None:
        return ""
    if name.startswith(UNKNOWN):
        return "  NOT NULL"
    values = fact.type.values if isinstance(fact.type, (EnumType, SetType)) else None
    told = f"{'set' if isinstance(fact.type, SetType) else 'one'} of {', '.join(values)}" if values else str(fact.type)
    return f"  {told}{', or none' if fact.nullable else ''}"


def _unknown(schema: dict[str, str], complete: bool) -> list[str]:
    if complete:
        return ["Every fact is known in every row: NULL only means none, where a fact may be none."]
    lines = ["NULL means unknown; in a fact that may be none it means none."]
    if any(name.startswith(UNKNOWN) for name in schema):
        lines.append(f"`{UNKNOWN}<fact>` is true where such a fact is unknown.")
    return lines


def _given(policy: Policy) -> list[str]:
    others = sorted({f.origin.policy for f in policy.facts.values() if f.origin is not None})
    return [f"Facts that other policies give ({', '.join(others)}) stand in the table like all others: ask those policies first."] if others else []
