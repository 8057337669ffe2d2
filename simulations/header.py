"""The comments above a query for a data warehouse: what it asks, what its table holds, what its columns mean."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlglot import exp

from engine.policy import Policy
from engine.types import EnumType, SetType
from simulations.population.columns import AS_OF, CASE_ID, UNKNOWN, Profile, quoted
from simulations.population.spelling import literals
from simulations.reading.dates import CALENDAR_TABLE
from simulations.runs.order import parameters_text
from simulations.runs.panel import POPULATION

#: Digits before the point, those of a ratio, and places of a number that may have any: products of wider ones would not fit 38 digits.
DIGITS, RATIO_DIGITS, ANY_PLACES = 14, 3, 6


@dataclass(frozen=True, slots=True)
class Table:
    """What is known of the table that is asked. `source`: the population that was looked at, if any; `file`: the Parquet file that holds it as it is.

    `unfit`: rows of the source that do not fit and say nothing of the table.
    """

    profile: Profile
    source: str | None = None
    file: str | None = None
    unfit: int = 0


def header(policy: Policy, schema: Mapping[str, str], dialect: str, known: Table, as_of: datetime | None, changed: Collection[str], working: bool) -> str:
    """The comments. `schema`: the columns of the table with their DuckDB types; `changed`: parameters that are not those of the rule file;
    `working`: the query needs the table of working days."""
    title = policy.model.title
    lines = [
        f"{policy.id}, version {policy.version}: {title.en} {title.zh}", policy.digest, *_parameters(policy, changed), "",
        f"Asks every row of the table `{POPULATION}`. Its columns, one row a case:",
        *(f"  {name}  {_typed(t, dialect)}  {_note(name, policy, known)}" for name, t in schema.items()),
        "",
        "All of them are needed; others do no harm.", *([f"as_of of every row: {as_of.isoformat()}"] if as_of else []),
        *_null(policy, schema, known),
        f"Numbers have at most {DIGITS} digits before the point, ratios {RATIO_DIGITS}; a number that may have any places has at most {ANY_PLACES}.",
        "Products of wider ones would not fit SQL's 38 digits: hold the table against this before you trust the sums.",
        *_given(policy),
        *([f"Working days: make the table `{CALENDAR_TABLE}` first: policy sql --calendar --dialect {dialect}"] if working else []),
        *(_made(schema) if known.source is None and dialect == "duckdb" else []),
        "",
        "Columns of the answer: case_id; outcome: allowed, review, denied, undetermined or error; error: its kind; rule:<code>: violated, satisfied,",
        "not-applicable or unknown; out:<output>: NULL where it is not determined. Columns v0, v1 … are steps on the way: the end of the line says of what.",
    ]  # fmt: skip
    return "".join(f"-- {line}".rstrip() + "\n" for line in lines)


def _parameters(policy: Policy, changed: Collection[str]) -> Iterator[str]:
    if policy.parameters:
        yield "Parameters, written into the query:"
    for name, value in parameters_text(policy).items():
        yield f"  {name} = {value}{'  (changed; not that of the rule file)' if name in changed else ''}"


def _typed(duckdb: str, dialect: str) -> str:
    """A type as the dialect writes it."""
    return exp.DataType.build(duckdb, dialect="duckdb").sql(dialect=dialect)


def _note(name: str, policy: Policy, known: Table) -> str:
    if name == CASE_ID:
        return "NOT NULL, names a case once"
    if name == AS_OF:
        return "NOT NULL, the instant of the case, as the wall clock of Shanghai, without a zone"
    if name.startswith(UNKNOWN):
        return f"is `{name.removeprefix(UNKNOWN)}` unknown?"
    fact = policy.facts[name]
    values = fact.type.values if isinstance(fact.type, (EnumType, SetType)) else None
    told = f"{'set' if isinstance(fact.type, SetType) else 'one'} of {', '.join(values)}" if values else str(fact.type)
    sure = known.source is not None and not known.profile.columns[name].unknown
    return f"{told}{', or none' if fact.nullable else ''}{'; known in every row' if sure else ''}"


def _null(policy: Policy, schema: Mapping[str, str], known: Table) -> Iterator[str]:
    """What NULL means, and what to do about columns that are missing."""
    columns = known.profile.columns
    if known.source is not None:
        yield f"Written for {known.source}: the query relies on the facts that are known in every row to be so in every table that it asks."
        absent = [name for name in policy.facts if name not in columns]
        if absent:
            yield f"Not in it, so unknown in every row: {', '.join(absent)}."
        if known.unfit:
            yield f"{known.unfit} of its rows do not fit the types of the facts; leave them out of the table."
        if known.file is None:
            yield "It does not hold the columns in these types: make the table from it first."
    if not any(c.unknown for c in columns.values()):
        yield "Every fact is known in every row: NULL only means none, where a fact may be none."
        return
    yield "NULL means unknown; in a fact that may be none it means none."
    if any(UNKNOWN in f"{name} {kind}" for name, kind in schema.items()):
        yield f"There `{UNKNOWN}<fact>` is true where it is unknown instead; the same holds for fields of lists. NULL counts as false."
    if known.source is None:
        yield "What your table does not have can be added: a fact as NULL, `unknown:` columns as NULL or false (true for a fact that is added)."


def _given(policy: Policy) -> list[str]:
    others = sorted({f.origin.policy for f in policy.facts.values() if f.origin is not None})
    return [f"Facts that other policies give ({', '.join(others)}) stand in the table like all others: ask those policies first."] if others else []


def _made(schema: Mapping[str, str]) -> list[str]:
    """How the table comes from a Parquet file, in DuckDB."""
    rules = {CASE_ID: " NOT NULL", AS_OF: " NOT NULL"}
    shape = ", ".join(f"{quoted(n)} {t}{rules.get(n, ' DEFAULT false' if n.startswith(UNKNOWN) else '')}" for n, t in schema.items())
    return [
        "", "From a Parquet file, such as `policy population` writes, these two lines make the table; with --population FILE the query brings its own:",
        f"CREATE TABLE {POPULATION} ({shape});",
        f"INSERT INTO {POPULATION} BY NAME SELECT COLUMNS(lambda c: c IN ({literals(list(schema))})) FROM 'cases.parquet';",
    ]  # fmt: skip
