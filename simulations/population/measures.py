"""What one pass over a source finds out: how many rows are there, which columns have bad values, and the profile of the good ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb

from engine.types import NumberType, Type
from simulations.population.binding import Binding
from simulations.population.checks import Reading
from simulations.population.columns import CASE_ID, Column, Profile
from simulations.population.records import any_of, most_of

Wrap = Callable[[str], str]


class Measures:
    """The aggregates of one query, and what they say. Rows that are set aside count for the profile too where they can; it then promises less."""

    def __init__(self, binding: Binding) -> None:
        self.binding = binding
        self._asked: dict[str, str] = {}
        self._found: dict[str, Any] = {}
        self._ask("count(*)")
        self._ask(self._ids())
        for check in binding.checks:
            self._ask(_bad(check.reason))
        for name, raw in binding.raws.items():
            self._ask(f"count({raw.sql})")
            self._fact(binding.facts[name], _same, _same)

    def run(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Ask the source. Raises duckdb.Error."""
        select = ", ".join(f"{sql} AS {name}" for sql, name in self._asked.items())
        row = connection.execute(self.binding.scan.sql(select, collect=True)).fetchall()[0]  # to its end: only then are all bad lines collected
        self._found = dict(zip(self._asked, row, strict=True))

    def _ask(self, sql: str) -> None:
        self._asked.setdefault(sql, f"m{len(self._asked)}")

    def _ids(self) -> str:
        case_id = self.binding.plain[CASE_ID]
        return f"count(DISTINCT hash({case_id})) FILTER (WHERE {case_id} IS NOT NULL) - count({case_id})"

    def _fact(self, r: Reading, any_item: Wrap, most_item: Wrap) -> None:
        for sql in (r.unknown, r.null, r.differs):
            self._ask(_some(any_item(sql)))
        if r.digits is not None:
            self._ask(_most(most_item(r.digits)))
            self._ask(_most(most_item(r.places)))
        for inner in (r.fields or {}).values():
            self._fact(inner, *_deeper(r, any_item, most_item))

    # -- what was found ------------------------------------------------------------------------------------------------------------

    @property
    def rows(self) -> int:
        return int(self._found["count(*)"])

    @property
    def ids_twice(self) -> bool:
        """Whether two rows may have the same id; a hash is compared, so they need not."""
        return bool(self._found[self._ids()])

    @property
    def bad(self) -> bool:
        """Whether some row has a reason to be set aside."""
        return any(self._found[_bad(check.reason)] for check in self.binding.checks)

    def absent(self) -> set[str]:
        """The facts that no row of JSON lines has."""
        return {name for name, raw in self.binding.raws.items() if raw.kind == "json" and not self._found[f"count({raw.sql})"]}

    def differs(self, r: Reading) -> bool:
        """Whether some row of a column is not canonical as it is."""
        return bool(self._found[_some(r.differs)])

    def profile(self, rows: int, has_as_of: bool) -> Profile:
        return Profile(rows, {name: self._column(r, _same, _same) for name, r in self.binding.facts.items()}, has_as_of)

    def _column(self, r: Reading, any_item: Wrap, most_item: Wrap) -> Column:
        unknown, null = (bool(self._found[_some(any_item(sql))]) for sql in (r.unknown, r.null))
        fields = None
        if r.fields is not None:
            fields = {name: self._column(inner, *_deeper(r, any_item, most_item)) for name, inner in r.fields.items()}
        t: Type = r.of.type
        if not isinstance(t, NumberType):
            return Column(unknown, null, 0, 0, fields)
        largest = self._found[_most(most_item(r.digits))] if r.digits is not None else None
        digits = len(str(int(largest))) if largest is not None and int(largest) else 0
        places = t.places if t.places is not None else int(self._found[_most(most_item(r.places))] or 0) if r.digits is not None else 0
        return Column(unknown, null, digits, places)


def _same(sql: str) -> str:
    return sql


def _deeper(r: Reading, any_item: Wrap, most_item: Wrap) -> tuple[Wrap, Wrap]:
    """How an expression over an item of a list is told for the whole row."""
    return lambda sql: any_item(any_of(r.items, r.variable, sql)), lambda sql: most_item(most_of(r.items, r.variable, sql))


def _some(sql: str) -> str:
    return "false" if sql == "false" else f"bool_or({sql})"


def _most(sql: str) -> str:
    return f"max({sql})"


def _bad(reason: str) -> str:
    return f"count({reason})"
