"""Is a mutant the same policy in other words? Proved by the solver, or not at all.

First the changed pieces alone are compared, then those that use the ones that differ, step by step; at last the whole answer: the outcome, the
codes that fire, every output. All of it for requests with known facts, and lists of at most a few items.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine.plan import Key
from proofs.folding import Truth, and_, not_, or_
from proofs.lowering import Reading
from proofs.outcomes import OUTCOMES
from proofs.pieces import Pieced
from proofs.solver import Asker
from proofs.symbols import World
from proofs.terms import Term, deep_waits, same
from proofs.witness import request

#: Seconds for one question about a piece, and for the one about the whole answer.
PIECE_SECONDS = 2.0
SECONDS = 4.0
#: So far the users of a changed piece are followed, and so many of them are compared.
STEPS = 3
MOST = 30
_TOLD = {"deny": "reasons", "review": "reasons", "warn": "warnings"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """`equal`: proved. `facts` and `as_of`: a request that the solver thinks is answered differently; whoever shows it asks the engine first."""

    equal: bool
    facts: dict[str, Any] | None = None
    as_of: datetime | None = None


def compared(base: Pieced, mutant: Pieced) -> Verdict:
    """Are a version and its mutant equal?"""
    world = World()
    a, b = Reading(base.policy, world), Reading(mutant.policy, world)
    asker = Asker([a, b], seconds=PIECE_SECONDS)
    if not mutant.retold and set(mutant.order) == set(base.order) and _equal_from(base, mutant, a, b, asker):
        return Verdict(True)
    found = asker.ask(differ(a, b), seconds=SECONDS)
    if not found.possible:
        return Verdict(found.impossible)
    witness = request([base.policy], world, found.model)
    return Verdict(False, dict(witness.facts), witness.as_of)


def _equal_from(base: Pieced, mutant: Pieced, a: Reading, b: Reading, asker: Asker) -> bool:
    """Is every difference of the changed pieces gone before it can be seen?"""
    front, seen = set(mutant.changed), set(mutant.changed)
    for _ in range(STEPS):
        front = {key for key in sorted(front) if not _alike(a, b, key, asker)}
        if not front:
            return True
        users = {k for k in mutant.order if not front.isdisjoint(mutant.needs[k] | base.needs[k])} - seen
        outputs = {("value", n) for n in (*base.policy.outputs, "next_state")}
        if len(users) > MOST or not front.isdisjoint(outputs) or any(k[0] != "value" for k in front):
            return False
        seen |= users
        front = users
    return False


def _alike(a: Reading, b: Reading, key: Key, asker: Asker) -> bool:
    x, y = _term(a, key), _term(b, key)
    return x is not None and y is not None and asker.ask(_other_term(x, y)).impossible


def _term(reading: Reading, key: Key) -> Term | None:
    kind, name = key
    if kind == "value":
        return reading.value(name)
    if kind == "rule" and "#" in name:  # a line of a value that classifies
        return reading.value(name.removeprefix("→").partition("#")[0])
    return reading.fired(name) if kind == "rule" else None


def differ(a: Reading, b: Reading) -> Truth:
    """The condition under which two readings of one world answer differently."""
    tests = [_other(a.is_outcome(o), b.is_outcome(o)) for o in OUTCOMES]
    mine, theirs = _told(a), _told(b)
    for code in sorted({*mine, *theirs}):
        p, q = mine.get(code, {}), theirs.get(code, {})
        tests += [_other(p.get(part, False), q.get(part, False)) for part in ("reasons", "warnings")]
    tests += [_other_term(a.output(n), b.output(n)) for n in a.outputs]
    return or_(*tests)


def _told(reading: Reading) -> dict[str, dict[str, Truth]]:
    """Where each code that fires is told: among the reasons or the warnings."""
    return {code: {_TOLD[r.effect]: reading.violated(code)} for code, r in reading.rules.items() if r.effect in _TOLD}


def _other_term(x: Term, y: Term) -> Truth:
    """Determined otherwise, or open for another reason; the value of what is open on both sides is never told."""
    p, q = deep_waits(x), deep_waits(y)
    told = and_(not_(and_(x.waits.any, y.waits.any)), not_(same(x, y)))
    return or_(told, _other(p.fact, q.fact), _other(p.unset, q.unset), _other(p.error, q.error))


def _other(p: Truth, q: Truth) -> Truth:
    return or_(and_(p, not_(q)), and_(not_(p), q))
