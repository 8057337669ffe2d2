"""Typing the machine of a rule file: the facts that hold state, event and actor, and the transitions."""

from __future__ import annotations

from engine.checking import Checking
from engine.errors import did_you_mean
from engine.policy import Machine, TransitionDef
from engine.types import EnumType

MACHINE_CODES = ("wrong-actor", "not-open-in-state")


def machine_of(checking: Checking) -> Machine | None:
    """The machine of a rule file, typed; its faults are noted."""
    raw, path = checking.model.machine, ("machine",)
    if (raw is not None) != ("machine" in (checking.model.form if isinstance(checking.model.form, list) else [checking.model.form])):
        checking.fault(("form",), "the form `machine` and the part `machine` go together")
    if raw is None:
        return None
    listed: dict[str, tuple[str, ...]] = {}
    for part in ("state", "event", "actor"):
        name = getattr(raw, part)
        kind = checking.facts[name].type if name in checking.facts else None
        if name is not None and name not in checking.broken and not isinstance(kind, EnumType):
            checking.fault((*path, part), f"`{name}` is no enum fact", did_you_mean(name, checking.facts))
        listed[part] = kind.values if isinstance(kind, EnumType) else ()
    for code in MACHINE_CODES:
        if code not in {r.code for r in checking.model.requirements}:
            checking.fault(("requirements",), f"a machine needs the requirement `{code}`", "with reason, remedy and source, without `when` and `require`")
    arrows = [checking.attempt(_transition, checking, i, listed) for i in range(len(raw.transitions))]
    return Machine(raw.state, raw.event, raw.actor, listed["state"], listed["event"], tuple(a for a in arrows if a))


def _transition(checking: Checking, i: int, listed: dict[str, tuple[str, ...]]) -> TransitionDef:
    assert checking.model.machine is not None
    raw, path = checking.model.machine.transitions[i], ("machine", "transitions", i)
    states = (raw.from_,) if isinstance(raw.from_, str) else tuple(raw.from_)
    checks = (("event", "event", (raw.event,)), ("from", "state", states), ("to", "state", (raw.to,)), ("actor", "actor", tuple(raw.actor or ())))
    for key, part, values in checks:
        for n, value in enumerate(values):
            if value is not None and listed[part] and value not in listed[part]:
                checking.fault((*path, key, n), f"`{value}` is not among the values of the {part}", did_you_mean(value, listed[part]))
    when = None if raw.when is None else checking.blocks.condition(raw.when, (*path, "when"), checking.scope)
    if raw.effect == "review" and (raw.reason is None or raw.remedy is None):
        checking.fault(path, f"`{raw.code}` needs `reason` and `remedy`: it asks for a review")
    actors = None if raw.actor is None else tuple(raw.actor)
    return TransitionDef(
        raw.code, raw.event, states, raw.to, actors, when, raw.effect == "review", raw.reason, raw.remedy, raw.source, checking.source.place(path)
    )  # fmt: skip
