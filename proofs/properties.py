"""Declared properties, proved for all facts, or refuted with requests that the engine confirms."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import z3

from engine import syntax as s
from engine.decide import Program
from engine.model import Texts
from engine.policy import Policy
from engine.types import BoolType
from proofs.declared import CONDITION, Declared, Property, asking_also, declared
from proofs.folding import Truth, and_, implies, is_term, less, not_
from proofs.lowering import Reading
from proofs.neighbours import Grown
from proofs.solver import Asker, Found
from proofs.symbols import World
from proofs.terms import falsity, truth
from proofs.witness import Said, Witness, asked, predicted, request

GUARD = "declared_guard"
#: So many roundings of a statement are held against each other.
MAX_ROUNDINGS = 16
PROVED, REFUTED, UNDECIDED = "proved", "refuted", "undecided"


@dataclass(frozen=True, slots=True)
class Shown:
    """A request that shows something, and the engine's answer to it."""

    witness: Witness
    said: Said

    def as_json(self) -> dict[str, Any]:
        outputs = {n: v for n, v in self.said.outputs.items() if n not in (CONDITION, GUARD)}
        return {**self.witness.as_json(), "outcome": self.said.outcome, "reasons": self.said.reasons, "outputs": outputs}


@dataclass(frozen=True, slots=True)
class Statement:
    """A property and what became of it. `shown`: the requests that refute it (two for a monotone one). `assumed`: under which limits it is proved.

    `free`: what was left free, so that nothing could be decided.
    """

    property: Property
    status: str
    shown: tuple[Shown, ...] = ()
    assumed: tuple[Texts, ...] = ()
    reason: str | None = None
    free: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        p = self.property
        return {
            "name": p.name, "kind": p.kind, "says": p.says.model_dump(), "status": self.status, "file": p.place.file, "line": p.place.line,
            "witnesses": [x.as_json() for x in self.shown], "assumed": [t.model_dump() for t in self.assumed], "reason": self.reason, "free": list(self.free),
        }  # fmt: skip


def proved(policy: Policy, rule_file: Path, seconds: float = 5.0, items: int = 2) -> list[Statement]:
    """What becomes of every property declared beside a rule file. Raises RuleFileError for a file that does not fit."""
    return statements(policy, declared(policy, rule_file), seconds, items)


def statements(policy: Policy, found: Declared, seconds: float = 5.0, items: int = 2) -> list[Statement]:
    """`seconds` limits each property; lists are looked at with at most `items` items."""
    return [_monotone(policy, p, seconds, items) if p.kind == "monotone" else _bound(policy, p, seconds, items) for p in found.properties]


def _bound(policy: Policy, p: Property, seconds: float, items: int) -> Statement:
    """A condition that always holds, wherever the facts determine it."""
    assert p.condition is not None
    also: dict[str, s.Node] = {CONDITION: p.condition} | ({GUARD: p.when} if p.when is not None else {})
    wider = asking_also(policy, also)
    reading = Reading(wider, World(items=items))
    asker = Asker([reading], seconds)
    broken = and_(falsity(reading.value(CONDITION)), truth(reading.value(GUARD)) if p.when is not None else True, not_(reading.is_outcome("error")))
    found = asker.ask(broken, nice=True)
    if not found.possible:
        return _not_refuted(p, found, reading, asker, [broken])
    shown = _shown(reading, Program(wider), found.model, asker)
    return _refuted(p, [shown])


def _monotone(policy: Policy, p: Property, seconds: float, items: int) -> Statement:
    """Two requests that differ in one fact."""
    assert p.more is not None
    also: dict[str, s.Node] = {GUARD: p.when} if p.when is not None else {}
    if p.value is not None and p.value not in policy.outputs:
        also[p.value] = policy.values[p.value].node
    wider = asking_also(policy, also)
    world = World(items=items)
    before = Reading(wider, world)
    after = Grown(wider, world, p.more)
    asker = Asker([before, after], seconds)
    broken = and_(after.grows, not_(before.is_outcome("error")), not_(after.is_outcome("error")), _breaks(before, after, p))
    if p.when is not None:
        broken = and_(broken, truth(before.value(GUARD)), truth(after.value(GUARD)))
    found = asker.ask(broken, *_roundings(broken), nice=True)
    if not found.possible:
        return _not_refuted(p, found, before, asker, [broken])
    program = Program(wider)
    return _refuted(p, [_shown(before, program, found.model, asker), _shown(before, program, after.second(found.model), asker)])


def _roundings(condition: Truth) -> list[Truth]:
    """What the solver is slow to see: of two numbers rounded down the lower one is not the higher one afterwards."""
    found: dict[int, Any] = {}
    seen: set[int] = set()
    todo = [condition] if is_term(condition) else []
    while todo:
        at = todo.pop()
        if at.get_id() not in seen:
            seen.add(at.get_id())
            todo += at.children()
            if z3.is_app_of(at, z3.Z3_OP_TO_INT):
                found[at.get_id()] = at
    terms = list(found.values())[:MAX_ROUNDINGS]
    return [implies(a.arg(0) <= b.arg(0), a <= b) for a in terms for b in terms if a is not b]


def _breaks(before: Reading, after: Reading, p: Property) -> Truth:
    if p.value is None:
        turns = ("allowed", "denied") if p.how == "deny" else ("denied", "allowed")
        return and_(before.is_outcome(turns[0]), after.is_outcome(turns[1]))
    a, b = before.output(p.value), after.output(p.value)
    if a.value is None or b.value is None:
        return False
    low, high = (b.value, a.value) if p.how == "lowers" else (a.value, b.value)
    falls = and_(not_(low), high) if isinstance(before.policy.values[p.value].type, BoolType) else less(low, high)
    return and_(not_(a.waits.any), not_(b.waits.any), not_(a.null), not_(b.null), falls)


def _shown(reading: Reading, program: Program, model: Any, asker: Asker) -> Shown | None:
    """The request of a model, if the engine answers it as the reading says."""
    witness = request([program.policy], asker.world, model)
    answer = asked(program, witness)
    if answer.outcome in ("refused", "error"):
        return None
    return Shown(witness, answer) if answer == predicted(reading, program, witness) else None


def _refuted(p: Property, shown: Iterable[Shown | None]) -> Statement:
    found = [x for x in shown if x is not None]
    if len(found) < (2 if p.kind == "monotone" else 1):
        return Statement(p, UNDECIDED, reason="the engine does not confirm what the solver found against it")
    return Statement(p, REFUTED, tuple(found))


def _not_refuted(p: Property, found: Found, reading: Reading, asker: Asker, conditions: list[Truth]) -> Statement:
    if not found.impossible:
        return Statement(p, UNDECIDED, (), (), found.reason, tuple(sorted(found.free)))
    return Statement(p, PROVED, (), tuple(limits(reading, asker, conditions)))


def limits(reading: Reading, asker: Asker, conditions: Iterable[Truth]) -> list[Texts]:
    """What a proof about all facts leaves out."""
    names = asker.reaches(*conditions)
    found = []
    lists = sorted(n.removeprefix("count:") for n in names if n.startswith("count:") and "more:" not in n)
    if lists:
        shown, n = ", ".join(f"`{x}`" for x in lists), reading.world.items
        found.append(Texts(en=f"lists of at most {n} items: {shown}", zh=f"列表最多 {n} 项：{shown}"))
    if names & {"as_of", "as_of.clock"}:
        first, last = reading.world.days
        found.append(Texts(en=f"questions asked from {first} to {last}", zh=f"询问日期在 {first} 至 {last} 之间"))
    return found
