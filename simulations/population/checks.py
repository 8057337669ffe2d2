"""What is known of a raw column of a source, and of a fact read from it: SQL of its value, and for each row why it does not fit.

The rules are those of engine/facts.py; tests/test_population.py holds the two against each other. A raw column is `typed` (Parquet, a table),
`text` (CSV, and text columns of the others) or `json` (JSON lines), where numbers are texts with MARK before them, so that none passes through a double.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from engine.policy import FactDef
from engine.types import Field
from simulations.population.documents import unmarked
from simulations.population.spelling import Why


@dataclass(frozen=True, slots=True)
class Raw:
    """A column or field of a source: its SQL, and what the mapping says about it. `let` keeps an expression that is used several times."""

    sql: str
    kind: Literal["typed", "text", "json"]
    label: str
    type: Any = None
    let: Callable[[str], str] = field(default=lambda sql: f"({sql})")
    companion: str | None = None
    pairs: dict[str, str | bool] = field(default_factory=dict)
    pattern: str | None = None
    fen: bool = False
    in_list: bool = False
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """Why a row does not fit (SQL, NULL where it does), and the text of the value; `label` names the column, a field as `items[].amount`."""

    label: str
    reason: str
    shown: str


@dataclass(frozen=True, slots=True)
class Reading:
    """A fact or field read from a raw column. All texts are SQL; `plain` stands for `value` where `differs` holds in no row, None if never.

    `digits` is the absolute value of a number, `places` how many places it needs. `fields` are the readings inside a record, over `variable`,
    which is an element of `items`.
    """

    of: FactDef | Field
    value: str
    checks: tuple[Check, ...]
    unknown: str
    null: str = "false"
    digits: str | None = None
    places: str = "0"
    plain: str | None = None
    differs: str = "false"
    items: str = ""
    variable: str = ""
    fields: dict[str, Reading] | None = None


class Unfit(Exception):
    """A column whose type can never be read as the fact."""

    def __init__(self, message: str, help: str) -> None:
        self.message, self.help = message, help


def case(lines: list[str], otherwise: str = "NULL") -> str:
    return f"CASE {' '.join(lines)} ELSE {otherwise} END" if lines else otherwise


def absent(raw: Raw, of: FactDef | Field, why: Why) -> list[str]:
    """The first lines of a reason: nothing is there, which may be right."""
    refused = why("null is not allowed here", "不允许为空（null）")
    if raw.kind != "json":
        return [f"WHEN {raw.sql} IS NULL THEN {refused if raw.in_list else 'NULL'}"]
    return [f"WHEN {raw.sql} IS NULL THEN NULL", f"WHEN {is_null(raw)} THEN {'NULL' if of.nullable else refused}"]


def is_null(raw: Raw) -> str:
    """Whether a value is none, for a fact that may be."""
    return f"{json_text(raw)} = 'null'" if raw.kind == "json" else f"{raw.sql} IS NULL"


def json_text(raw: Raw) -> str:
    return raw.let(f"CAST({raw.sql} AS VARCHAR)")


def unknown(raw: Raw, of: FactDef | Field) -> str:
    """Whether a fact is unknown in a row."""
    if raw.kind == "json" or not of.nullable:
        return f"({raw.sql} IS NULL)"
    return f"coalesce({raw.companion}, false)" if raw.companion else "false"


def contradiction(raw: Raw, of: FactDef | Field, why: Why) -> list[str]:
    """A value beside a companion that says it is unknown."""
    if raw.companion is None or not of.nullable:
        return []
    said = why("a value, and yet said to be unknown", "已有取值，却又标记为未知")
    return [f"WHEN {raw.companion} THEN {said}"]


def shown(raw: Raw) -> str:
    """The value as text, for the list of rows that were set aside."""
    if raw.hidden:
        return "'***'"
    if raw.kind != "json":
        return f"left(CAST({raw.sql} AS VARCHAR), 40)"
    text = f"json_extract_string({raw.sql}, '$')"
    return f"left({unmarked(text)}, 40)"
