"""The boundary rows that a population begins with: which value replaces the drawn one, in which row."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from engine.policy import FactDef
from engine.types import Field, ListType, NumberType, RecordType, Type
from simulations.synthetic import boundaries
from simulations.synthetic.boundaries import Near
from simulations.synthetic.encoding import written

#: Combinations of two facts are added until the boundary rows are this many, or a fifth of the population.
MOST = 3_000


@dataclass(slots=True)
class Overrides:
    """By path (`fact`, `fact[]` for the length of a list, `fact[].field` for its first item): the SQL value and its rows."""

    rows: int = 0
    values: dict[str, dict[str, list[int]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    unknown: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    lists: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def value(self, path: str, sql: str, where: str) -> str:
        """`sql`, but in the rows of a boundary the value there; `where` is a further condition, or empty."""
        lines = "".join(f" WHEN {rows_in(rows)}{where} THEN {value}" for value, rows in self.values.get(path, {}).items())
        if path in self.unknown:
            lines += f" WHEN {rows_in(self.unknown[path])}{where} THEN NULL"
        return f"CASE{lines} ELSE {sql} END" if lines else sql

    def flag(self, path: str, sql: str | None, where: str) -> str | None:
        """Whether the value is unknown, of a nullable fact; None: never."""
        if path not in self.unknown and path not in self.values:
            return sql
        here = f"({rows_in(self.unknown[path])}{where})" if path in self.unknown else None
        if sql is None:
            return here
        set_rows = [r for rows in self.values.get(path, {}).values() for r in rows]
        free = f"CASE WHEN {rows_in(set_rows)}{where} THEN FALSE ELSE {sql} END" if set_rows else sql
        return f"({here} OR {free})" if here else free


def rows_in(rows: list[int]) -> str:
    return f'"row" IN ({", ".join(map(str, sorted(set(rows))))})'


class Planner:
    """Lays out the boundary rows of a policy: one value a row, the rest as usual."""

    def __init__(self, near: dict[str, Near], as_of: date, places: dict[str, int], unknown: set[str] | None) -> None:
        """`places` by path; `unknown`: the paths that are unknown in a row of their own, None for all."""
        self.near, self.as_of, self.places, self.unknown = near, as_of, places, unknown
        self.found = Overrides()

    def singles(self, facts: dict[str, FactDef]) -> None:
        for name, fact in facts.items():
            self._of(fact, name, name, [])

    def combinations(self, facts: dict[str, FactDef], most: int) -> None:
        """Two facts of a bool or an enum at once, in at most so many rows."""
        for both in boundaries.pairs({name: fact.type for name, fact in facts.items()}, max(0, most)):
            for name, value in both:
                self.found.values[name][written(value, facts[name].type, 0)].append(self.found.rows)
            self.found.rows += 1

    def _of(self, of: FactDef | Field, path: str, key: str, above: list[str]) -> None:
        here = self.near.get(key, Near())
        places = self.places.get(path, 0)
        for value in boundaries.values(of.type, here, self.as_of, places):
            self._put(path, written(value, of.type, places), above)
        if of.nullable:
            self._put(path, "NULL", above)
        if self.unknown is None or path in self.unknown:
            self._row(above)
            self.found.unknown[path].append(self.found.rows - 1)
        record = _record(of.type)
        if record is not None:
            for length in boundaries.lengths(here):
                self._put(f"{path}[]", f"{length}::BIGINT", above)
                self.found.lists[path].append(self.found.rows - 1)
            for f in record.fields:
                self._of(f, f"{path}[].{f.name}", f".{f.name}", [*above, path])

    def _put(self, path: str, value: str, above: list[str]) -> None:
        self._row(above)
        self.found.values[path][value].append(self.found.rows - 1)

    def _row(self, above: list[str]) -> None:
        """A new row; every list above the value has one item in it."""
        for path in above:
            self.found.values[f"{path}[]"]["1::BIGINT"].append(self.found.rows)
            self.found.lists[path].append(self.found.rows)
        self.found.rows += 1


def _record(t: Type) -> RecordType | None:
    return t.item if isinstance(t, ListType) and isinstance(t.item, RecordType) else None


def places_of(t: Type, near: Near, raw: Any) -> int:
    """The places of a number: those of its type; where it takes any, as many as the rules and the declaration write, at least 4."""
    if not isinstance(t, NumberType):
        return 0
    if t.places is not None:
        return t.places
    seen = [-int(n.as_tuple().exponent) for n in near.numbers() if isinstance(n.as_tuple().exponent, int)]
    seen += [len(text.partition(".")[2]) for text in _texts(raw)]
    return min(12, max(4, *seen, 0))


def _texts(raw: Any) -> list[str]:
    if isinstance(raw, dict):
        return [t for key, value in raw.items() for t in [*_texts(key), *_texts(value)]]
    if isinstance(raw, list):
        return [t for value in raw for t in _texts(value)]
    return [raw] if isinstance(raw, str) and raw.replace(".", "", 1).isdigit() else []
