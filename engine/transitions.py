"""Typing the machine of a rule file: the facts that hold state, event and actor, and the transitions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import did_you_mean
from engine.policy import Machine, TransitionDef
from engine.types import EnumType

if TYPE_CHECKING:
    from engine.check import Checker

MACHINE_CODES = ("wrong-actor", "not-open-in-state")


def machine_of(checker: Checker) -> Machine | None:
    """The machine of a rule file, typed; faults go to the checker."""
    raw, path = checker.model.machine, ("machine",)
    if (raw is not None) != ("machine" in (checker.model.form if isinstance(checker.model.form, list) else [checker.model.form])):
        checker.fault(("form",), "the form `machine` and the part `machine` go together")
    if raw is None:
        return None
    listed: dict[str, tuple[str, ...]] = {}
    for part in ("state", "event", "actor"):
        name = getattr(raw, part)
        kind = checker.facts[name].type if name in checker.facts else None
        if name is not None and name not in checker.broken and not isinstance(kind, EnumType):
            checker.fault((*path, part), f"`{name}` is no enum fact", did_you_mean(name, checker.facts))
        listed[part] = kind.values if isinstance(kind, EnumType) else ()
    for code in MACHINE_CODES:
        if code not in {r.code for r in checker.model.requirements}:
            checker.fault(("requirements",), f"a machine needs the requirement `{code}`", "with reason, remedy and source, without `when` and `require`")
    arrows = [checker.attempt(_transition, checker, i, listed) for i in range(len(raw.transitions))]
    return Machine(raw.state, raw.event, raw.actor, listed["state"], listed["event"], tuple(a for a in arrows if a))


def _transition(checker: Checker, i: int, listed: dict[str, tuple[str, ...]]) -> TransitionDef:
    assert checker.model.machine is not None
    raw, path = checker.model.machine.transitions[i], ("machine", "transitions", i)
    states = (raw.from_,) if isinstance(raw.from_, str) else tuple(raw.from_)
    checks = (("event", "event", (raw.event,)), ("from", "state", states), ("to", "state", (raw.to,)), ("actor", "actor", tuple(raw.actor or ())))
    for key, part, values in checks:
        for n, value in enumerate(values):
            if value is not None and listed[part] and value not in listed[part]:
                checker.fault((*path, key, n), f"`{value}` is not among the values of the {part}", did_you_mean(value, listed[part]))
    when = None if raw.when is None else checker.blocks.condition(raw.when, (*path, "when"), checker.scope)
    if raw.effect == "review" and (raw.reason is None or raw.remedy is None):
        checker.fault(path, f"`{raw.code}` needs `reason` and `remedy`: it asks for a review")
    actors = None if raw.actor is None else tuple(raw.actor)
    return TransitionDef(
        raw.code, raw.event, states, raw.to, actors, when, raw.effect == "review", raw.reason, raw.remedy, raw.source, checker.source.place(path)
    )  # fmt: skip
