"""Named steps of a query. A value that is used more than once becomes a column of an earlier step, so that it is written and computed once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir

#: Begins what is told of a column that is only on the way to a part.
FOR = "for "


class Stages:
    """Collects bound values; `table` puts them under the columns that are asked for, each as late as its parts allow.

    `told`: what each column of a step computes, as far as it is known.
    """

    def __init__(self, source: ir.Table) -> None:
        self.source = source
        self.bound: dict[ops.Node, ops.Field] = {}
        self.levels: list[dict[ops.Field, ops.Node]] = []
        self.level_of: dict[ops.Field, int] = {}
        self.told: dict[str, str] = {}
        self._part = ""

    def bind(self, value: ir.Value) -> ir.Value:
        """The value as a column of an earlier step. The same value is bound once, whoever asks."""
        node = value.op()
        if isinstance(node, (ops.Field, ops.Literal)):
            return value
        if node not in self.bound:
            level = self._level(node)
            name = f"v{len(self.bound)}"
            self.bound[node] = column = ibis.table({name: node.dtype}, name=f"step {name}")[name].op()
            while len(self.levels) <= level:
                self.levels.append({})
            self.levels[level][column] = node
            self.level_of[column] = level
            if self._part:
                self.told[name] = self._part
        return self.bound[node].to_expr()

    @contextmanager
    def part(self, text: str) -> Iterator[None]:
        """Whatever is bound meanwhile is for this part of the rules, or for a part inside it."""
        outer, self._part = self._part, text
        try:
            yield
        finally:
            self._part = outer

    @contextmanager
    def through(self, text: str) -> Iterator[None]:
        """What is bound meanwhile goes through a table or scale on the way to its part."""
        with self.part(f"{text}, {self._part}".removesuffix(", ")):
            yield

    def tell(self, value: ir.Value | None, text: str) -> None:
        """A bound value is this part itself, unless it is one that has been told before."""
        if value is None:
            return
        node = value.op()
        if node in self.level_of and self.told.get(node.name, "").startswith(FOR):
            self.told[node.name] = text

    def _level(self, node: ops.Node) -> int:
        return max((self.level_of[f] + 1 for f in _fields(node) if f in self.level_of), default=0)

    def table(self, results: Mapping[str, ir.Value], keep: tuple[str, ...]) -> ir.Table:
        """The results as columns, after the columns of the source that are kept. A step carries only what later steps read."""
        definitions = {column: node for level in self.levels for column, node in level.items()}
        needed = self._needed(results, definitions)
        steps = [{c: n for c, n in level.items() if c in needed} for level in self.levels]
        carried = set(keep) | {f.name for value in results.values() for f in _fields(value.op())}
        reads: list[set[str]] = []
        for step in reversed(steps):
            reads.insert(0, set(carried))
            carried |= {f.name for node in step.values() for f in _fields(node)}
        current = self.source
        for step, later in zip(steps, reads, strict=True):
            columns = {c.name: n for c, n in step.items()}
            if columns:
                current = _selected(self.source, current, columns, tuple(c for c in current.columns if c in later))
        return _selected(self.source, current, {name: value.op() for name, value in results.items()}, keep)

    def _needed(self, results: Mapping[str, ir.Value], definitions: Mapping[ops.Field, ops.Node]) -> set[ops.Field]:
        found: set[ops.Field] = set()
        waiting = [value.op() for value in results.values()]
        while waiting:
            for column in _fields(waiting.pop()):
                if column in definitions and column not in found:
                    found.add(column)
                    waiting.append(definitions[column])
        return found


def _fields(node: ops.Node) -> list[ops.Field]:
    """The columns that a value reads."""
    return list(node.find(ops.Field, filter=ops.Value))


def _selected(source: ir.Table, current: ir.Table, columns: Mapping[str, ops.Node], keep: tuple[str, ...]) -> ir.Table:
    """The next step: some columns kept, some computed from the columns of the step before."""
    here = current.op()
    parts = {c: _fields(n) for c, n in columns.items()}
    moved = {
        f: ops.Field(here, f.name) for found in parts.values() for f in found if f.rel is not here and (f.rel is source.op() or f.name in current.columns)
    }
    kept = {name: ops.Field(here, name) for name in keep}
    return ops.Project(here, kept | {name: n.replace(moved, filter=ops.Value) if moved else n for name, n in columns.items()}).to_expr()


def sql_of(expression: ir.Table, dialect: str = "duckdb", pretty: bool = False) -> str:
    """An expression as a database reads it. Its steps stay apart, so that what they share is computed once."""
    before = ibis.options.sql.fuse_selects
    ibis.options.sql.fuse_selects = False
    try:
        return str(ibis.to_sql(expression, dialect=dialect, pretty=pretty))
    finally:
        ibis.options.sql.fuse_selects = before
