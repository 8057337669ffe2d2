"""One query over a source: its raw columns by name, expressions that are kept because several others use them, and the checks of the rows themselves."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as Map
from dataclasses import replace
from typing import Any

from engine.errors import did_you_mean
from engine.policy import FactDef
from simulations.population import documents, records
from simulations.population.checks import Check, Raw
from simulations.population.columns import UNKNOWN, quoted
from simulations.population.mapping import Mapping
from simulations.population.sources import Source
from simulations.population.spelling import Why, literal

ROW = '":row"'
_LINE, _JSON, _VALUES, _KEYS, _TYPES = '":line"', '":json"', '":values"', '":keys"', '":types"'


class Scan:
    """Collects what a query over one source needs. `column` may only be called before `sql`."""

    def __init__(self, source: Source, mapping: Mapping) -> None:
        self.source, self.mapping = source, mapping
        self.lets: dict[str, str] = {}
        self.places: list[documents.Keys] = []
        self.names: list[str] = []
        self.used: set[str] = set()
        self.labels: set[str] = set()

    def let(self, sql: str) -> str:
        """A name for an expression, computed once a row."""
        return self.lets.setdefault(sql, f'":{len(self.lets)}"')

    def column(self, name: str) -> Raw | None:
        """The raw column of a name, None if the source has none. JSON lines may have any name: a row without it has NULL."""
        if self.source.kind == "json":
            places = documents.spellings(name)
            first = len(self.places)
            self.places += places
            self.names.append(name)
            values = [f"{_VALUES}[{first + i + 1}]" for i in range(len(places))]
            sql = values[0] if len(values) == 1 else f"coalesce({', '.join(values)})"
            return Raw(self.let(sql), "json", name, let=self.let)
        found = records.inside(self.source.columns, name)
        if found is None:
            return None
        sql, t = found
        own = sql.startswith(quoted(name)) and name in self.source.columns
        label = name if own else sql.replace('"', "")
        self.used.add(sql)
        return Raw(sql, "text" if self.source.kind == "csv" else "typed", label, t, let=self.let)

    def fact(self, of: FactDef, found: Raw) -> Raw:
        """A raw column with what the mapping, the policy and a column `unknown:<fact>` say about it."""
        model = self.mapping.model
        companion = None
        if self.source.kind != "json" and of.nullable and UNKNOWN + of.name in self.source.columns:
            self.used.add(quoted(UNKNOWN + of.name))
            companion = f"try_cast({quoted(UNKNOWN + of.name)} AS BOOLEAN)"
        pairs, pattern = dict(model.values.get(of.name, {})), model.dates.get(of.name)
        return replace(found, companion=companion, pairs=pairs, pattern=pattern, fen=of.name in model.fen, hidden=of.sensitive)

    def row_checks(self, why: Why) -> list[Check]:
        """Why a line is no row at all: no JSON object, an object with a key twice, a fact written in two ways."""
        if self.source.kind != "json":
            return []
        no_line = why("no JSON object", "不是 JSON 对象")
        found = [Check("", f"CASE WHEN {_JSON} IS NULL THEN {no_line} END", f"left({_LINE}, 40)")]
        no_object, twice = why("no object", "不是对象"), why("a key stands twice", "键重复")
        for i, keys in enumerate(documents.objects(self.names), 1):
            wrong = "= 'ARRAY'" if keys[:1] == keys and self.labels.intersection(keys) else "<> 'OBJECT'"  # an id, beside facts that begin with its name
            kind = "" if not keys else f"WHEN {_TYPES}[{i}] {wrong} THEN {no_object} "
            lines = f"CASE {kind}WHEN len({_KEYS}[{i}]) <> list_unique({_KEYS}[{i}]) THEN {twice} END"
            text = f"json_extract_string({_JSON}, {literal(documents.path(keys))})"
            found.append(Check(".".join(keys), lines, f"left({documents.unmarked(text)}, 40)" if keys else f"left({_LINE}, 40)"))
        again = why("given twice, once dotted and once nested", "以点号和嵌套两种写法重复给出")
        at = 0
        for name in self.names:
            count = len(documents.spellings(name))
            if count > 1:
                values = ", ".join(f"{_VALUES}[{at + i + 1}]" for i in range(count))
                found.append(Check(name, f"CASE WHEN list_count([{values}]) > 1 THEN {again} END", "NULL"))
            at += count
        return found

    def sql(self, select: str, rest: str = "", row: bool = False, collect: bool = False) -> str:
        """A query over the rows. `row`: with the number of each, from 1, as ROW; `collect`: it leaves the lines that are no CSV in a table."""
        number = f"row_number() OVER () AS {ROW}, " if row else ""
        if self.source.kind == "json":
            parsed = f"CASE WHEN json_type(json) = 'OBJECT' THEN try_cast({documents.marked('json')} AS JSON) END"
            objects = documents.paths(documents.objects(self.names))
            inner = f"SELECT {number}json AS {_LINE}, {parsed} AS {_JSON} FROM {self.source.table}"
            values = f"json_extract({_JSON}, {documents.paths(self.places)}) AS {_VALUES}"
            shape = f"json_keys({_JSON}, {objects}) AS {_KEYS}, json_type({_JSON}, {objects}) AS {_TYPES}"
            base = f"SELECT *, {values}, {shape} FROM ({inner})"
        else:
            base = f"SELECT {number}* FROM {self.source.collecting if collect and self.source.collecting else self.source.table}"
        return f"SELECT {select} FROM ({self._kept(base)}) {rest}"

    def _kept(self, base: str) -> str:
        """The query with the kept expressions as columns; one that uses another stands in a layer above it."""
        levels: dict[str, int] = {}
        for sql, name in self.lets.items():
            levels[name] = 1 + max((levels[other] for other in levels if other in sql), default=0)
        for level in range(1, max(levels.values(), default=0) + 1):
            kept = ", ".join(f"{sql} AS {name}" for sql, name in self.lets.items() if levels[name] == level)
            base = f"SELECT *, {kept} FROM ({base})"
        return base

    def unused(self) -> tuple[str, ...]:
        """The columns of a source that nothing is taken from; fields of a struct or object, of which only a part is taken, by their dotted names."""
        columns = self.source.columns
        if self.source.kind == "json":
            return tuple(_strange((), columns, documents.objects(self.names)))
        return tuple(name for column, t in columns.items() for name in self._untaken(column, quoted(column), t))

    def _untaken(self, name: str, sql: str, t: Any) -> Iterator[str]:
        if any(used.startswith(f"{sql}.") for used in self.used):
            for child, inner in t.children:
                yield from self._untaken(f"{name}.{child}", f"{sql}.{quoted(child)}", inner)
        elif sql not in self.used:
            yield name

    def nearest(self, name: str) -> str | None:
        """A help line for a column that is not there."""
        columns: dict[str, Any] = self.source.columns
        return did_you_mean(name, columns, "columns: " + ", ".join(list(columns)[:20]) + (", …" if len(columns) > 20 else ""))


def _strange(place: documents.Keys, found: Map[str, Any], known: Map[documents.Keys, set[str]]) -> Iterator[str]:
    """The keys of objects that no wanted name has, as dotted names."""
    for key, inside in found.items():
        here = (*place, key)
        if key not in known[place]:
            yield ".".join(here)
        elif isinstance(inside, dict) and here in known:
            yield from _strange(here, inside, known)
