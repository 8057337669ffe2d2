"""The canonical columns of a population: their DuckDB types, what is known about them, and the way back from a row to the facts of a request.

A population has one row a case. Its columns: `case_id` VARCHAR; `as_of` TIMESTAMP (wall clock of Shanghai), optional; `partner` VARCHAR, optional;
`segment:<name>` VARCHAR; and one a fact, named like the fact. NULL is none for a nullable fact and unknown for any other; a nullable fact that is
unknown in some rows has a BOOLEAN column `unknown:<fact>` beside it. The same holds for the fields of the structs of a list of record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from engine.facts import MAX_DIGITS
from engine.policy import FactDef, Policy
from engine.types import SHANGHAI, BoolType, DateTimeType, DateType, Field, ListType, NumberType, RecordType, SetType, Type, plain

#: Begins the name of the column or field that says where a nullable fact is unknown.
UNKNOWN = "unknown:"
#: Begins the name of a column that rows are grouped by.
SEGMENT = "segment:"
CASE_ID, AS_OF, PARTNER = "case_id", "as_of", "partner"

#: A number of a population has at most MAX_DIGITS digits, its places among them; one of any places keeps at most so many.
MAX_PLACES = 12
#: The widest DECIMAL, and the widest that fits a machine word.
WIDE, NARROW = 38, 18
#: The largest integer, 10**18, has so many digits.
INTEGER_DIGITS = 19


@dataclass(frozen=True, slots=True)
class Column:
    """What is known about one fact of a population, or about one field of a record. A promise over all rows, not about a single one.

    `unknown`: some row may be unknown; `null`: some row may be none (nullable facts only); `digits`: for numbers, the most digits before the point;
    `places`: for numbers, the places of the column's DECIMAL, 0 for integers; `fields`: for a list of record, every field by name.
    """

    unknown: bool
    null: bool
    digits: int
    places: int
    fields: dict[str, Column] | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known about a population: its rows, and the facts that it has."""

    rows: int
    columns: dict[str, Column]
    has_as_of: bool


def widest(policy: Policy, has_as_of: bool = False) -> Profile:
    """The profile that promises nothing: every fact there, any of them unknown, null or as long as a population may hold it."""
    return Profile(0, {name: widest_column(fact.type, fact.nullable) for name, fact in policy.facts.items()}, has_as_of)


def widest_column(t: Type, nullable: bool) -> Column:
    record = record_of(t)
    fields = {f.name: widest_column(f.type, f.nullable) for f in record.fields} if record else None
    if not isinstance(t, NumberType):
        return Column(True, nullable, 0, 0, fields)
    if t.name == "integer":
        return Column(True, nullable, INTEGER_DIGITS, 0)
    return Column(True, nullable, most_digits(t), places_of(t))


def places_of(t: NumberType) -> int:
    """The places of a number's DECIMAL; the most that it may have where its type takes any."""
    return MAX_PLACES if t.places is None else t.places


def most_digits(t: NumberType) -> int:
    """The most digits before the point that a DECIMAL of a population may have."""
    return WIDE - MAX_PLACES if t.places is None else MAX_DIGITS - t.places


def record_of(t: Type) -> RecordType | None:
    """The record of a list of record; None for any other type."""
    return t.item if isinstance(t, ListType) and isinstance(t.item, RecordType) else None


def sql_type(t: Type, column: Column) -> str:
    """The DuckDB type of a fact with such a column. A file whose own DECIMAL is narrower keeps that."""
    if isinstance(t, BoolType):
        return "BOOLEAN"
    if isinstance(t, NumberType):
        return "BIGINT" if t.name == "integer" else decimal_type(column.digits, column.places)
    if isinstance(t, DateType):
        return "DATE"
    if isinstance(t, DateTimeType):
        return "TIMESTAMP"
    record = record_of(t)
    if record is not None:
        return f"STRUCT({', '.join(_fields(record, column))})[]"
    return "VARCHAR[]" if isinstance(t, (SetType, ListType)) else "VARCHAR"


def decimal_type(digits: int, places: int) -> str:
    """The DECIMAL for so many digits before the point and places after it."""
    return f"DECIMAL({NARROW if digits + places <= NARROW else WIDE},{places})"


def _fields(record: RecordType, column: Column) -> list[str]:
    found = []
    for f in record.fields:
        inner = (column.fields or {})[f.name]
        found.append(f"{quoted(f.name)} {sql_type(f.type, inner)}")
        if has_companion(f, inner):
            found.append(f"{quoted(UNKNOWN + f.name)} BOOLEAN")
    return found


def has_companion(of: FactDef | Field, column: Column) -> bool:
    """Whether `unknown:<name>` stands beside a fact or field: it may be none, and it may be unknown."""
    return of.nullable and column.unknown


def quoted(name: str) -> str:
    """A name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def facts_of(row: Mapping[str, Any], policy: Policy) -> dict[str, Any]:
    """A row of a population as facts of a request: JSON data by dotted name, unknown ones left out. `row` maps columns to Python values."""
    return _known(row, policy.facts.values())


def _known(row: Mapping[str, Any], wanted: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for of in wanted:
        value = row.get(of.name)
        if value is not None:
            found[of.name] = _json(value, of.type)
        elif of.nullable and of.name in row and not row.get(UNKNOWN + of.name):
            found[of.name] = None
    return found


def _json(value: Any, t: Type) -> Any:
    record = record_of(t)
    if record is not None:
        return [_known(item, record.fields) for item in value]
    if isinstance(t, (SetType, ListType)):
        return list(value)
    if isinstance(value, datetime):
        return value.replace(tzinfo=SHANGHAI).isoformat()
    return value.isoformat() if isinstance(value, date) else plain(value, t)
