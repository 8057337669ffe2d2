"""What no case of a version touches: rules, guards, rows, lines, boundaries, transitions, parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from engine import syntax as s
from engine.cases import run_case
from engine.errors import Place
from engine.source import Source, read
from engine.types import DateType, NumberType, Type
from engine.unknown import Unknown
from proofs.mutants import mutants
from proofs.mutation import Examined
from proofs.pieces import Pieced, Question
from proofs.steps import places_of, value_text
from proofs.variants import shown
from proofs.watching import Notes, watched

_ORDERED = ("<", "<=", ">", ">=")
#: A ratio of any places is looked at with so many.
_ANY_PLACES = 4
_SIDES = ("at", "just below", "just above")


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that no case touches. `kind`: requirement, guard, row, line, boundary, transition, parameter."""

    kind: str
    place: Place
    text: str

    def __str__(self) -> str:
        return f"line {self.place.line}: {self.text}"


def gaps(examined: Examined) -> list[Gap]:
    """Everything that the cases of a version leave out, in the order of the file."""
    pieced, notes = watched(examined.base)
    questions: list[Question] = []
    for case in examined.cases:
        pieced.asked = []
        run_case(case, pieced, examined.loaded.resolver(case.as_of, None))
        questions += pieced.asked
    source = read(examined.version.path, examined.policy.file)
    found = [
        *_rules(pieced, questions), *_transitions(pieced, questions), *_lines(pieced, notes), *_comparisons(pieced, notes),
        *_tables(pieced, notes, source), *_scales(pieced, notes, source), *_parameters(examined, source),
    ]  # fmt: skip
    return sorted(set(found), key=lambda g: (g.place.line, g.place.column, g.kind, g.text))


def _rules(pieced: Pieced, questions: list[Question]) -> Iterator[Gap]:
    for r in pieced.policy.requirements:
        states = [q.state["rule", r.code] for q in questions]
        guard = None if r.when is None else pieced.condition(r.when)
        held = [True if guard is None else guard(q.slots, q.as_of, q.today, q.state) for q in questions]
        if r.when is not None and True not in held:
            yield Gap("guard", r.when.place, f"`{r.code}`: its guard `{shown(r.when)}` is never true")
        if True not in states:
            yield Gap("requirement", r.place, f"`{r.code}` is never violated")
        if not any(state is False and h is True for state, h in zip(states, held, strict=True)) and (r.require is not None or r.when is None):
            yield Gap("requirement", r.place, f"`{r.code}` is never satisfied")
        if not any(type(state) is Unknown for state in states) and _can_be_unknown(pieced, ("rule", r.code), set()):
            yield Gap("requirement", r.place, f"`{r.code}` is never unknown")


def _can_be_unknown(pieced: Pieced, key: tuple[str, str], seen: set[tuple[str, str]]) -> bool:
    """Does a rule rest on any fact?"""
    seen.add(key)
    if any(isinstance(n, s.Fact) for root in pieced.roots(key) for n in s.walk(root)):
        return True
    return any(_can_be_unknown(pieced, k, seen) for k in pieced.needs[key] if k not in seen)


def _transitions(pieced: Pieced, questions: list[Question]) -> Iterator[Gap]:
    machine = pieced.policy.machine
    for t in machine.transitions if machine is not None else ():
        applied = [q for q in questions if q.state["rule", f"→{t.code}"] is True]
        if not any(q.state["outcome", ""] in ("allowed", "review") for q in applied):
            yield Gap("transition", t.place, f"the transition `{t.code}` is never taken")
        if t.when is not None:
            guard = pieced.condition(t.when)
            if not any(guard(q.slots, q.as_of, q.today, q.state) is True for q in questions):
                yield Gap("guard", t.when.place, f"`{t.code}`: its guard `{shown(t.when)}` is never true")


def _lines(pieced: Pieced, notes: Notes) -> Iterator[Gap]:
    for name, value in pieced.policy.values.items():
        planned = [n for n in s.walk(pieced.plan.values[name]) if isinstance(n, s.First)]
        for node, seen in zip((n for n in s.walk(value.node) if isinstance(n, s.First)), planned, strict=True):
            taken = notes.taken.get((seen.place, seen), set())
            for i, line in enumerate(node.lines):
                if i not in taken:
                    what = "the last line" if line.when is None else f"the line `when: {shown(line.when)}`"
                    yield Gap("line", line.place if line.place.line else node.place, f"`{name}`: {what} is never taken")


# -- boundaries ----------------------------------------------------------------------------------------------------------------------------


def _comparisons(pieced: Pieced, notes: Notes) -> Iterator[Gap]:
    for node in _thresholds(pieced):
        pairs = notes.compared.get((node.place, node), set())
        step = _step(node.left.type, node.right.type) if node.order is None else 1
        met = {side for a, b in pairs for side in _side(a, b, step, node)}
        missing = [side for side in _SIDES if side not in met]
        if missing:
            yield Gap("boundary", node.place, f"no case {_listed(missing)} the boundary of `{shown(node)}`")


def _thresholds(pieced: Pieced) -> Iterator[s.Compare]:
    """The comparisons by order, other than tests of constants."""
    policy = pieced.policy
    roots = [v.node for n, v in policy.values.items()] + [n for r in policy.requirements for n in (r.when, r.require) if n is not None]
    roots += [t.when for t in policy.machine.transitions if t.when is not None] if policy.machine is not None else []
    for root in roots:
        for node in s.walk(root):
            constant = isinstance(node, s.Compare) and all(isinstance(x, (s.Const, s.Parameter)) for x in (node.left, node.right))
            if isinstance(node, s.Compare) and node.op in _ORDERED and node.place.line and not constant:
                yield node


def _side(a: Any, b: Any, step: Any, node: s.Compare) -> Iterator[str]:
    if a == b:
        yield "at"
        if b == 0 and isinstance(node.left.type, NumberType) and not node.left.type.signed:
            yield "just below"  # nothing is below zero where numbers are not signed
    elif abs(b - a) <= step:
        yield "just below" if a < b else "just above"


def _step(*types: Type) -> Any:
    """The smallest distance that counts between two values of these types; a minute between instants."""
    if any(isinstance(t, DateType) for t in types):
        return timedelta(days=1)
    places = [_ANY_PLACES if t.places is None else t.places for t in types if isinstance(t, NumberType)]
    return Decimal(1).scaleb(-max(places)) if places else timedelta(minutes=1)


def _listed(sides: list[str]) -> str:
    return sides[0] if len(sides) == 1 else f"{', '.join(sides[:-1])} or {sides[-1]}"


def _tables(pieced: Pieced, notes: Notes, source: Source) -> Iterator[Gap]:
    for name, table in pieced.policy.tables.items():
        met = notes.looked_up.get(name, set())
        index = pieced.tables[name]
        hit = {row.number for values in met for row in index.rows(values)}
        for i, row in enumerate(table.rows):
            if row.number not in hit:
                yield Gap("row", source.place(("tables", name, "rows", i)), f"table `{name}`: row {row.number} is never hit")
        for c, (column, kind) in enumerate(table.inputs):
            bounds = {b: i for i, row in reversed(list(enumerate(table.rows))) for b in (row.cells[c].low, row.cells[c].high) if b is not None}
            values = {v[c] for v in met if v[c] is not None}
            for bound, i in sorted(bounds.items()):
                missing = _unmet(values, bound, kind)
                if missing:
                    place = source.place(("tables", name, "rows", i, column))
                    yield Gap("boundary", place, f"table `{name}`: no case {_listed(missing)} {value_text(bound)} of `{column}`")


def _unmet(values: Iterable[Any], bound: Any, kind: Type) -> list[str]:
    step: Any = timedelta(minutes=1) if isinstance(bound, datetime) else timedelta(days=1) if isinstance(bound, date) else _step(kind)
    sides = {"at": False, "just below": isinstance(kind, NumberType) and not kind.signed and bound == 0, "just above": False}
    for value in values:
        sides["at"] |= value == bound
        sides["just below"] |= bool(value < bound and bound - value <= step)
        sides["just above"] |= bool(value > bound and value - bound <= step)
    return [side for side in _SIDES if not sides[side]]


def _scales(pieced: Pieced, notes: Notes, source: Source) -> Iterator[Gap]:
    for name, scale in pieced.policy.scales.items():
        amounts = notes.rated.get(name, set())
        places = max([places_of(a) for a in amounts if isinstance(a, Decimal)], default=2)
        kind = NumberType("decimal", places)
        for i, (start, _) in enumerate(scale.brackets):
            missing = _unmet(amounts, start, kind)
            if missing:
                yield Gap("boundary", source.place(("scales", name, "brackets", i)), f"scale `{name}`: no case {_listed(missing)} {value_text(start)}")


def _parameters(examined: Examined, source: Source) -> Iterator[Gap]:
    """A parameter is decisive if some case would fail with another value."""
    decisive: dict[str, bool] = {}
    for mutant in mutants(examined.policy, only="parameter"):
        name = mutant.part[1]
        if not decisive.get(name):
            decisive[name] = examined.killer(Pieced(mutant.policy, examined.base), "parameter") is not None
    for name, killed in decisive.items():
        if not killed:
            yield Gap("parameter", source.place(("parameters", name), key=True), f"`parameters.{name}` is never decisive")
