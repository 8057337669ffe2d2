"""Decision tables: gaps, overlaps, masked rows and rows that nothing reaches, as the hit policy makes them a fault."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine import syntax as s
from engine.policy import TableDef, TableRow
from engine.types import plain
from proofs.findings import Finding, Subject, impossible
from proofs.folding import Truth, and_, not_, or_
from proofs.lookups import row_matches
from proofs.lowering import Reading
from proofs.solver import Found
from proofs.symbols import Symbols
from proofs.terms import Term
from proofs.witness import Point

#: Hit policies under which no matching row is an error, if there is no default; that take one row of several; that refuse several.
NEEDS_ROW = ("unique", "first", "priority", "any", "min", "max")
TAKES_ONE = ("first", "priority")


def table_lints(subject: Subject) -> Iterator[Finding]:
    for table in subject.policy.tables.values():
        yield from _Table(subject, table).findings()


class _Table:
    """One table, asked about inputs of its types, and about the inputs that the policy gives it where that can be said."""

    def __init__(self, subject: Subject, table: TableDef) -> None:
        self.subject, self.table, self.reading = subject, table, subject.reading
        self.calls, self.inside = calls_of(subject.reading, table.name)
        symbols = Symbols(subject.world)
        self.inputs: list[Term] = []
        self.domain: list[Any] = []
        for i, (name, kind) in enumerate(table.inputs):
            term, domain = symbols.fact(f"{table.name}.{name}", kind, self._may_be_null(i))
            self.inputs.append(term)
            self.domain += domain
        self.matches = [row_matches(subject.world, row, self.inputs) for row in table.rows]

    def _may_be_null(self, i: int) -> bool:
        """As its look-ups say; where these stand in lists, if a row asks for it."""
        if self.calls and not self.inside:
            return any(call[i].null is not False for call in self.calls)
        return any(row.cells[i].kind != "any" and row.cells[i].accepts(None) for row in self.table.rows)

    def findings(self) -> Iterator[Finding]:
        table = self.table
        if table.hit in NEEDS_ROW and table.default is None:
            yield from self._gap()
        if table.hit in ("unique", "any"):
            yield from self._overlaps()
        for i, row in enumerate(table.rows):
            yield from self._row(i, row)

    def ask(self, *conditions: Truth) -> Found:
        return self.subject.ask(*self.domain, *conditions, nice=True)

    def _gap(self) -> Iterator[Finding]:
        found = self.ask(not_(or_(*self.matches)))
        if found.impossible:
            return
        shown = self._shown(found)
        witness = None
        if self.calls and not self.inside:
            tests = [or_(*(row_matches(self.subject.world, row, given) for row in self.table.rows)) for given in self.calls]
            found = self.subject.ask(self.reading.is_outcome("error"), not_(and_(*tests)), nice=True)
            if found.impossible:
                return
            held = self.subject.shown(found)
            if held is not None and held.said[0].error == "no-row-matched":
                witness = held.witness.as_json()
                point = Point.of_model(self.subject.world, found.model)
                missed = next(given for given, test in zip(self.calls, tests, strict=True) if not point.holds(test))
                shown = self._values(point, missed)
        yield from self._finding("table-gap", found, f"table `{self.table.name}`: no row matches {shown}", "add a row for it, or a `default`", (), witness)

    def _overlaps(self) -> Iterator[Finding]:
        rows = self.table.rows
        for i, a in enumerate(rows):
            for j in range(i + 1, len(rows)):
                if self.table.hit == "any" and a.outputs == rows[j].outputs:
                    continue
                if not _may_meet(a, rows[j]):
                    continue
                found = self.ask(self.matches[i], self.matches[j])
                if found.impossible:
                    continue
                what = "both match" if self.table.hit == "unique" else "disagree where both match"
                message = f"table `{self.table.name}`: rows {a.number} and {rows[j].number} {what}, as for {self._shown(found)}"
                yield from self._finding(
                    "table-overlap", found, message, "make their cells exclude each other", (a.number, rows[j].number), self._facts(a, rows[j])
                )

    def _row(self, i: int, row: TableRow) -> Iterator[Finding]:
        place, name = self.table.place, self.table.name
        at = f"{name} row {row.number}"
        found = self.subject.ask(*self.domain, self.matches[i])
        if not found.possible:
            message = f"table `{name}`: row {row.number} matches nothing"
            yield from impossible(self.subject, "table-row-unreachable", at, place, message, found, [self.matches[i]], "correct its cells, or take it out")
            return
        before = self._before(i)
        if before and self.subject.ask(*self.domain, self.matches[i], *(not_(self.matches[j]) for j in before)).impossible:
            core = self.subject.asker.core([not_(self.matches[j]) for j in before], *self.domain, self.matches[i])
            masking = tuple(sorted(self.table.rows[before[k]].number for k in core or range(len(before))))
            shown = "row" if len(masking) == 1 else "rows"
            message = f"table `{name}`: row {row.number} is never taken: {shown} {', '.join(map(str, masking))} take all that it matches"
            yield Finding("table-row-masked", at, place, message, "move it up, or take it out", (row.number, *masking), self._facts(row))
            return
        if self.calls and not self.inside:
            reached = or_(*(row_matches(self.subject.world, row, given) for given in self.calls))
            found = self.subject.ask(reached)
            message = f"table `{name}`: no facts lead to row {row.number}"
            yield from impossible(self.subject, "table-row-unreachable", at, place, message, found, [reached], "take it out, or correct what is looked up")

    def _before(self, i: int) -> list[int]:
        """The rows that are preferred to one."""
        if self.table.hit == "first":
            return list(range(i))
        if self.table.priority is None:
            return []
        column = [n for n, _ in self.table.outputs].index(self.table.priority[0])
        rank = [(self.table.priority[1].index(r.outputs[column]), n) for n, r in enumerate(self.table.rows)]
        return [n for n in range(len(rank)) if rank[n] < rank[i]]

    def _finding(self, lint: str, found: Found, message: str, help: str, rows: tuple[int, ...], witness: dict[str, Any] | None) -> Iterator[Finding]:
        at = self.table.name + (f" rows {rows[0]} and {rows[1]}" if rows else "")
        if not found.possible:
            yield Finding(lint, at, self.table.place, f"{message}; {found.reason}", help, rows, None, "undecided")
            return
        yield Finding(lint, at, self.table.place, message, help, rows, witness)

    def _facts(self, *rows: TableRow) -> dict[str, Any] | None:
        """Facts with which some rows match in one look-up, confirmed by the engine."""
        if not self.calls or self.inside:
            return None
        reached = or_(*(and_(*(row_matches(self.subject.world, row, given) for row in rows)) for given in self.calls))
        held = self.subject.shown(self.subject.ask(reached, nice=True))
        return None if held is None else held.witness.as_json()

    def _shown(self, found: Found) -> str:
        return self._values(Point.of_model(self.subject.world, found.model), self.inputs) if found.possible else "some inputs"

    def _values(self, point: Point, inputs: list[Term]) -> str:
        shown = []
        for (name, kind), term in zip(self.table.inputs, inputs, strict=True):
            value = point.term(term, kind)
            said = "null" if value is None else str(value).lower() if isinstance(value, bool) else plain(value, kind)
            shown.append(f"{name} {said}")
        return ", ".join(shown)


def calls_of(reading: Reading, table: str) -> tuple[list[list[Term]], bool]:
    """The inputs of every look-up that stands outside lists; and whether others stand inside."""
    policy = reading.policy
    roots = [v.node for v in policy.values.values()] + [n for r in policy.requirements for n in (r.when, r.require) if n is not None]
    roots += [t.when for t in policy.machine.transitions if t.when is not None] if policy.machine else []
    found, inside = [], False
    for root in roots:
        for node in s.walk(root):
            if isinstance(node, s.TableCall) and node.table == table:
                if any(isinstance(n, (s.Variable, s.Preceding)) for _, a in node.arguments for n in s.walk(a)):
                    inside = True
                else:
                    found.append([reading.condition(a) for _, a in node.arguments])
    return found, inside


def _may_meet(a: TableRow, b: TableRow) -> bool:
    """A quick look: can the cells of two rows accept the same values?"""
    for x, y in zip(a.cells, b.cells, strict=True):
        if x.kind == "values" and y.kind == "values" and not x.values & y.values:
            return False
        if "none" in (x.kind, y.kind) and not (x.accepts(None) and y.accepts(None)):
            return False
    return True
