"""Machines: states that nothing reaches or leaves, events for nobody, transitions that never apply; and dead ends between policies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engine.errors import Place
from engine.library import Library
from engine.policy import FactDef, Machine, TransitionDef
from engine.types import BoolType, EnumType
from proofs.findings import Finding, Subject, impossible
from proofs.folding import Truth, and_, equal, not_, or_
from proofs.lowering import Reading
from proofs.solver import Asker
from proofs.symbols import World
from proofs.terms import truth


def machine_lints(subject: Subject) -> Iterator[Finding]:
    machine = subject.policy.machine
    if machine is not None:
        yield from _Machine(subject, machine).findings()


class _Machine:
    """A transition is open if it is the first that applies, and the outcome is allowed or review."""

    def __init__(self, subject: Subject, machine: Machine) -> None:
        self.subject, self.machine, self.reading = subject, machine, subject.reading
        self.passes = or_(self.reading.is_outcome("allowed"), self.reading.is_outcome("review"))
        self.place = subject.policy.facts[machine.state].place

    def findings(self) -> Iterator[Finding]:
        arrows: list[TransitionDef] = []
        before: Truth = True
        for t in self.machine.transitions:
            applies = self.reading.applies(t.code)
            here = and_(before, applies, self.passes)
            found = self.subject.ask(here)
            if not found.impossible:
                arrows.append(t)
            if not found.possible:
                message = f"the transition `{t.code}` can never be made"
                yield from impossible(self.subject, "transition-dead", t.code, t.place, message, found, [here], "correct its guard, or take it out")
            before = and_(before, not_(applies))
        yield from self._states(arrows)
        for event in self.machine.events:
            if not any(t.event == event for t in arrows):
                message = f"no role may trigger the event `{event}` in any state"
                yield Finding("event-for-nobody", event, self.place, message, "add a transition, or take the event out")

    def _states(self, arrows: list[TransitionDef]) -> Iterator[Finding]:
        """The first state listed is where everything begins."""
        start = self.machine.states[0]
        reached, todo = {start}, [start]
        while todo:
            at = todo.pop()
            following = {t.to for t in arrows if at in t.states and t.to is not None} - reached
            reached |= following
            todo += sorted(following)
        for state in self.machine.states:
            if state not in reached:
                message = f"the state `{state}` is never reached from `{start}`"
                yield Finding("state-unreachable", state, self.place, message, "add a transition that leads there, or take the state out")
            if not any(state in t.states and t.to not in (None, state) for t in arrows):
                message = f"no transition leads out of the state `{state}`"
                yield Finding("state-without-exit", state, self.place, message, "add one, or say that it is an end")


# -- between policies ----------------------------------------------------------------------------------------------------------------------


def dead_ends(subject: Subject, library: Library) -> Iterator[Finding]:
    """What a policy needs of another and the other never says: its fact takes only the values that some version of the other can give."""
    given: dict[str, Truth] = {}
    for name, fact in subject.policy.facts.items():
        values = _given(fact, library, subject.seconds) if fact.origin is not None else None
        if values is None:
            continue
        term = subject.reading.facts[name]
        number = subject.world.texts.number
        given[name] = and_(not_(term.null), or_(*(equal(term.value, number(v) if isinstance(v, str) else v) for v in values)))
    if given:
        yield from _blocked(subject, given)


def _given(fact: FactDef, library: Library, seconds: float) -> list[str | bool] | None:
    """The values that the output of another policy can have, in any version; None where that cannot be said."""
    assert fact.origin is not None
    if not isinstance(fact.type, (EnumType, BoolType)) or "[]" in fact.origin.output:
        return None
    values: list[str | bool] = list(fact.type.values) if isinstance(fact.type, EnumType) else [False, True]
    found: list[str | bool] = []
    for version in library.versions.get(fact.origin.policy, {}).values():
        reading = Reading(version.policy, World())
        asker = Asker([reading], seconds)
        for value in values:
            if value not in found and not asker.ask(_says(reading, fact.origin.output, value)).impossible:
                found.append(value)
    return [v for v in values if v in found] if found else None


def _says(reading: Reading, output: str, value: str | bool) -> Truth:
    if output == "outcome":
        return reading.is_outcome(str(value))
    term = reading.output(output)
    wanted = reading.world.texts.number(value) if isinstance(value, str) else value
    return and_(not_(term.waits.any), not_(term.null), equal(term.value, wanted))


def _blocked(subject: Subject, given: Mapping[str, Truth]) -> Iterator[Finding]:
    """Ways through that exist, but not with what the other policies can say."""
    reading = subject.reading
    shown = ", ".join(f"`{n}`" for n in given)
    passes = or_(reading.is_outcome("allowed"), reading.is_outcome("review"))
    ways: list[tuple[str, Place, Truth]] = [(subject.policy.id, subject.policy.facts[next(iter(given))].place, passes)]
    ways += [(t.code, t.place, and_(reading.applies(t.code), passes)) for t in (subject.policy.machine.transitions if subject.policy.machine else ())]
    ways += [(r.code, r.place, truth(reading.guard(r.code))) for r in subject.policy.requirements if r.when is not None]
    for at, place, way in ways:
        if subject.ask(way, *given.values()).possible or not subject.ask(way).possible:
            continue
        found = subject.ask(way, *given.values())
        message = f"`{at}` needs what no version of the other policy says of {shown}"
        yield from impossible(subject, "dead-end", at, place, message, found, [way, *given.values()], "correct the condition, or the other policy")
