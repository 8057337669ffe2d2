"""The numbers of a run by SQL: one pass over all cases for the totals, one for the segments, one that writes every case that changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

from engine.types import EXACT, ListType, NumberType, RecordType
from simulations.population.columns import CASE_ID, PARTNER, quoted
from simulations.reading.outcomes import OUTCOMES
from simulations.reading.query import told_rules
from simulations.runs.hybrid import Mixture
from simulations.runs.measures import Measure
from simulations.runs.panel import Panel
from simulations.runs.units import reached

#: Edges of bars on either side of 0: 1, 2, 5, 10 … so that a long tail does not flatten the rest.
STEPS = tuple(m * 10**e for e in range(12) for m in (1, 2, 5))
EDGES = (*(-s for s in reversed(STEPS)), 0, *STEPS)
#: So many edges lie below 0.
BELOW_ZERO = len(STEPS)
#: With ends that no amount passes.
BOUNDS = (-(10**36), *EDGES, 10**36)
#: So many bars are told on either side of 0; those nearest to it are put together.
BARS = 8
#: Groups of a segment that are told one by one, and cases that gain or lose most.
TOP_GROUPS, TOP_MOVERS = 20, 10


def literal(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts flips, amounts and rules of a panel. `codes`: every rule of both versions; `touched`: those that a difference can reach."""

    panel: Panel
    query: str
    codes: tuple[str, ...]
    touched: frozenset[str]

    # -- all cases ---------------------------------------------------------------------------------------------------------------

    def totals(self) -> dict[str, Any]:
        """One row: rows, `flip:a:b`, the sums of the measures, the counts of the rules, and the counts below every edge."""
        parts = ["count(*) AS rows", *self._flips()]
        unsigned = [i for i, m in enumerate(self.panel.task.measures) if not self._signed(m)]
        for i in range(len(self.panel.task.measures)):
            parts += [*_sums(i), *_below(i, EDGES[BELOW_ZERO:] if i in unsigned else EDGES)]
        for code in self.codes:
            parts += self._rule(code)
        found = {f"{side}{i}<{edge}": 0 for i in unsigned for side in "ba" for edge in EDGES[:BELOW_ZERO]} | self._row(parts)
        # the type of an output is no check of its value: where an amount is below 0 all the same, a second pass counts by how much
        late = [part for i in unsigned if found[f"b{i}<0"] or found[f"a{i}<0"] for part in _below(i, EDGES[:BELOW_ZERO])]
        return found | (self._row(late) if late else {})

    def _row(self, parts: list[str]) -> dict[str, Any]:
        [row] = self.panel.database.dicts(f"SELECT {', '.join(parts)} FROM ({self.query})")
        return {name: value if name.endswith(":sum") else int(value or 0) for name, value in row.items()}

    def _signed(self, measure: Measure) -> bool:
        """May the measure be below 0 by its type in either version?"""
        for policy in (self.panel.task.before, self.panel.task.after):
            t = policy.values[measure.output].type if measure.output in policy.values else None
            if isinstance(t, ListType) and isinstance(t.item, RecordType):
                t = next((f.type for f in t.item.fields if f.name == measure.field), None)
            if isinstance(t, NumberType) and t.signed:
                return True
        return False

    def _flips(self) -> Iterator[str]:
        for i, a in enumerate(OUTCOMES):
            for j, b in enumerate(OUTCOMES):
                yield f'count_if(f = {i} AND t = {j}) AS "flip:{a}:{b}"'

    def _rule(self, code: str) -> list[str]:
        sides = [self.state(side, code) for side in ("base", "new")]
        parts = []
        for name, state in zip(("before", "after"), sides, strict=True):
            parts += [f"count_if({state} = '{word}') AS {quoted(f'{name}:{word}:{code}')}" for word in ("violated", "unknown")] if state else []
        if code in self.touched:
            parts += [f"count_if({test}) AS {quoted(f'{name}:{code}')}" for name, test in zip(("newly", "no_longer"), self._turned(code), strict=True)]
        return parts

    def state(self, side: str, code: str) -> str | None:
        """The column of a rule's state in one version; None where it does not have the rule."""
        policy = self.panel.task.before if side == "base" else self.panel.task.after
        return quoted(f"{side}:rule:{code}") if any(r.code == code for r in told_rules(policy)) else None

    def _turned(self, code: str) -> tuple[str, str]:
        """The conditions under which a rule is violated in the candidate only, and in the baseline only."""
        a, b = (f"{state} = 'violated'" if (state := self.state(side, code)) else "false" for side in ("base", "new"))
        return f"{b} AND NOT {a}", f"{a} AND NOT {b}"

    def errors(self) -> list[dict[str, Any]]:
        """How many cases ended in which error of the rules."""
        sides = [f'SELECT "{side}:error" AS kind, \'{side}\' AS side FROM ({self.query}) WHERE "{side}:error" IS NOT NULL' for side in ("base", "new")]
        text = f"SELECT kind, count_if(side = 'base') AS before, count_if(side = 'new') AS after FROM ({' UNION ALL '.join(sides)}) GROUP BY kind ORDER BY kind"
        return self.panel.database.dicts(text)

    # -- by segment --------------------------------------------------------------------------------------------------------------

    def segments(self) -> list[dict[str, Any]]:
        """Every segment with its largest groups; the money is that of the first measure."""
        names = list(self.panel.groups)
        if not names:
            return []
        columns = [quoted(self.panel.groups[n]) for n in names]
        paid = bool(self.panel.task.measures)
        counted = {
            "rows": "count(*)", "changed": "count_if(f <> t)",
            "more_allowed": "count_if(\"from\" <> 'allowed' AND \"to\" = 'allowed')", "less_allowed": "count_if(\"from\" = 'allowed' AND \"to\" <> 'allowed')",
        } | ({"before": "sum(b0)", "after": "sum(a0)"} if paid else {})  # fmt: skip
        fine = ", ".join([*(f"CAST({c} AS VARCHAR) AS g{i}" for i, c in enumerate(columns)), *(f"{x} AS {quoted(n)}" for n, x in counted.items())])
        groups = ", ".join(f"g{i}" for i in range(len(names)))
        sums = ", ".join(f"sum({quoted(n)}) AS {quoted(n)}" for n in counted)
        text = (
            f"WITH fine AS MATERIALIZED (SELECT {fine} FROM ({self.query}) GROUP BY {groups}) SELECT GROUPING({groups}) AS bits, {groups}, {sums} FROM fine"
            f" GROUP BY GROUPING SETS ({', '.join(f'(g{i})' for i in range(len(names)))})"
        )
        rows = self.panel.database.dicts(text)
        return [self._segment(name, i, len(names), rows) for i, name in enumerate(names)]

    def _segment(self, name: str, i: int, width: int, rows: list[dict[str, Any]]) -> dict[str, Any]:
        bits = (1 << width) - 1 - (1 << (width - 1 - i))
        own = sorted((r for r in rows if r["bits"] == bits), key=lambda r: (-r["rows"], r[f"g{i}"] is None, r[f"g{i}"] or ""))
        measures = self.panel.task.measures
        groups = []
        for r in own[:TOP_GROUPS]:
            money: dict[str, str | None] = dict.fromkeys(("before", "after", "change"))
            if measures:
                before, after = (amount(r[k], measures[0].places) for k in ("before", "after"))
                money = {"before": f"{before:f}", "after": f"{after:f}", "change": f"{after - before:f}"}
            groups.append({"value": r[f"g{i}"], **{k: int(r[k]) for k in ("rows", "changed", "more_allowed", "less_allowed")}, **money})
        return {"by": name, "groups": groups, "others": len(own) - len(groups)}

    # -- cases that changed ------------------------------------------------------------------------------------------------------

    def write_changed(self, path: Path) -> None:
        """Every case whose outcome, amounts or violated rules are not the same, as Parquet in the order of case_id."""
        measures = self.panel.task.measures
        keep = [CASE_ID, *([PARTNER] if self.panel.has_partner else []), *(c for c in self.panel.groups.values() if c != PARTNER)]
        parts = [*(quoted(c) for c in dict.fromkeys(keep)), '"from"', '"to"']
        tests = ['"from" <> "to"']
        for i, m in enumerate(measures):
            told = {"before": f"b{i}", "after": f"a{i}", "change": f"a{i} - b{i}"}
            parts += [f"CAST({x} AS DECIMAL(38,{m.places})) AS {quoted(f'{m.name}:{n}')}" for n, x in told.items()]
            tests.append(f"a{i} IS DISTINCT FROM b{i}")
        turned = {code: self._turned(code) for code in self.codes if code in self.touched}
        for n, name in enumerate(("newly_violated", "no_longer_violated")):
            listed = ", ".join(f"CASE WHEN {tests_of[n]} THEN {literal(code)} END" for code, tests_of in turned.items())
            parts.append(f"list_filter(CAST([{listed}] AS VARCHAR[]), lambda c: c IS NOT NULL) AS {name}")
        tests += [f"({test})" for pair in turned.values() for test in pair]
        query = f"SELECT {', '.join(parts)} FROM ({self.query}) WHERE {' OR '.join(tests)} ORDER BY {CASE_ID}"
        self.panel.database.run(f"COPY ({query}) TO {literal(str(path))} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)")

    def movers(self, path: Path, i: int) -> dict[str, Any]:
        """Of one measure: who gains and loses most, and how large the changes are. Reads what write_changed wrote."""
        m = self.panel.task.measures[i]
        before, after, change = (quoted(f"{m.name}:{part}") for part in ("before", "after", "change"))
        source = f"read_parquet({literal(str(path))})"
        partner = PARTNER if self.panel.has_partner else "NULL"
        told = f'SELECT {CASE_ID}, {partner} AS partner, {before} AS before, {after} AS after, {change} AS change, "from", "to" FROM {source}'
        found: dict[str, Any] = {}
        for name, sign, order in (("gainers", ">", "DESC"), ("losers", "<", "ASC")):
            rows = self.panel.database.dicts(f"{told} WHERE {change} {sign} 0 ORDER BY {change} {order}, {CASE_ID} LIMIT {TOP_MOVERS}")
            found[name] = [{k: f"{v:f}" if isinstance(v, Decimal) else v for k, v in row.items()} for row in rows]
        counts = [f"count_if({change} < {edge}.00)" for edge in EDGES]
        [row] = self.panel.database.rows(f"SELECT count({change}), {', '.join(counts)} FROM {source} WHERE {change} <> 0")
        found["change"] = bars([([int(n or 0) for n in row[1:]], int(row[0]))])[0]
        return found


def tally(panel: Panel, mixture: Mixture) -> Tally:
    """What counts the baseline against the candidate of a panel."""
    codes = dict.fromkeys(r.code for p in (panel.task.after, panel.task.before) for r in told_rules(p))
    touched = {name for kind, name in reached(mixture.before, mixture.after) if kind == "requirement"}
    return Tally(panel, panel.pair(), tuple(codes), frozenset(touched))


# -- sums and bars ---------------------------------------------------------------------------------------------------------------------


def _sums(i: int) -> Iterator[str]:
    b, a = f"b{i}", f"a{i}"
    yield f'sum({b}) AS "{b}:sum"'
    yield f'sum({a}) AS "{a}:sum"'
    yield f'count({b}) AS "{b}:count"'
    yield f'count({a}) AS "{a}:count"'
    for name, test in (("gain", f"{a} > {b}"), ("loss", f"{a} < {b}")):
        yield f'count_if({test}) AS "{name}{i}:rows"'
        yield f'sum(CASE WHEN {test} THEN {a} - {b} END) AS "{name}{i}:sum"'


def _below(i: int, edges: Sequence[int]) -> Iterator[str]:
    for side in "ba":
        for edge in edges:
            yield f'count_if({side}{i} < {edge}.00) AS "{side}{i}<{edge}"'


def amount(value: Any, places: int) -> Decimal:
    """A sum as a decimal of its places; that of no rows is 0."""
    return Decimal(value or 0).quantize(Decimal(1).scaleb(-places), context=EXACT)


def bars(columns: list[tuple[list[int], int]]) -> list[list[dict[str, Any]]]:
    """Bars over common edges. Each column gives how many values lie below every edge, and how many there are."""
    below = [[0, *counts, total] for counts, total in columns]
    used = [k for k in range(len(BOUNDS) - 1) if any(c[k + 1] > c[k] for c in below)]
    if not used:
        return [[] for _ in columns]
    edges = range(used[0], used[-1] + 2)
    zero = BOUNDS.index(0)
    kept = [*[k for k in edges if k < zero][:BARS], *[k for k in edges if k == zero], *[k for k in edges if k > zero][-BARS:]]
    return [[{"low": str(BOUNDS[a]), "high": str(BOUNDS[b]), "rows": c[b] - c[a]} for a, b in pairwise(kept)] for c in below]
