"""The outcome of a policy from the rules that fire, as SQL: in words, and as the code that is counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from engine.types import EnumType
from simulations.reading.lowered import Flag, Lowered, choose, condition, constant, mask_of, never

#: Outcomes by their code.
OUTCOMES = ("allowed", "review", "denied", "undetermined", "error")
_DECIDED = EnumType(("allowed", "review", "denied"))


@dataclass(frozen=True, slots=True)
class Decision:
    """allowed, review or denied, unknown while it is undetermined. `code`: its place in OUTCOMES, which is quicker to count than a word."""

    outcome: Lowered
    code: ir.Value


def decided(denied: Lowered, stopped: Lowered, reviewed: Lowered) -> Decision:
    """What follows if some rule denies, leaves it undetermined, or asks for a review."""
    rules = {"denied": denied, "stopped": stopped, "reviewed": reviewed}
    holds = {name: sure(f) for name, f in rules.items()}
    open_ = {name: condition(f.unknown) if f.maybe else False for name, f in rules.items()}

    def chosen(says: Callable[[str], ir.Value]) -> ir.Value:
        waiting = says("undetermined")
        lines = [(holds["denied"], says("denied")), (holds["stopped"], waiting), (open_["denied"], waiting), (open_["stopped"], waiting)]
        return choose([*lines, (holds["reviewed"], says("review")), (open_["reviewed"], waiting)], says("allowed"))

    value = chosen(lambda word: (constant(word, _DECIDED) if word in _DECIDED.values else never(_DECIDED, 0)).value)
    code = chosen(lambda word: small(OUTCOMES.index(word)))
    parts = [f for f in rules.values() if f.maybe]
    maybe = bool(parts) or not (stopped.is_static and not stopped.static)
    kinds, mask = mask_of(value.isnull(), *parts)
    return Decision(Lowered(_DECIDED, value, maybe, kinds, None, mask), code)


def with_target(decision: Decision, target: Lowered) -> Decision:
    """The decision on an event of a machine: one that goes on is undetermined while its next state is unknown."""
    outcome = decision.outcome
    waiting = outcome.value.isin(["allowed", "review"]).fill_null(False) & condition(target.unknown)
    value = choose([(waiting, never(_DECIDED, 0).value)], outcome.value)
    code = choose([(waiting, small(OUTCOMES.index("undetermined")))], decision.code)
    kinds, mask = mask_of(value.isnull(), outcome, target)
    return Decision(Lowered(_DECIDED, value, True, kinds, None, mask), code)


def small(code: int) -> ir.Value:
    return ibis.literal(code, type="int8")


def sure(fired: Lowered) -> Flag:
    """Does a rule surely fire? A rule as a whole is never none, so only one that may be unknown needs a second look."""
    if fired.is_static:
        return bool(fired.static)
    return fired.value.fill_null(False) if fired.maybe else fired.value
