"""Requirements and values: what can never be violated, is implied by another, excludes another; guards, codes and lines that never come to bear."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from engine import syntax as s
from engine.errors import Place
from engine.policy import RequirementDef
from proofs.findings import Finding, Subject, impossible
from proofs.folding import Truth, and_, not_
from proofs.terms import truth
from proofs.witness import Point

#: An effect that a code must at least have to make another one with this effect superfluous.
_STRONGER = {"deny": ("deny",), "review": ("deny", "review"), "warn": ("warn",), "undetermined": ("deny", "undetermined")}


def rule_lints(subject: Subject) -> Iterator[Finding]:
    rules = _Rules(subject)
    yield from rules.dead()
    yield from rules.implied()
    yield from rules.exclusive()
    yield from rules.lines()
    yield from rules.allowed()


class _Rules:
    """The requirements of one version. `points` are models found on the way: what one of them shows needs no question."""

    def __init__(self, subject: Subject) -> None:
        self.subject, self.reading = subject, subject.reading
        self.requirements = subject.policy.requirements
        self.points: list[Point] = []
        self.live: list[RequirementDef] = []
        self.fired: list[dict[str, bool]] = []

    def ask(self, *conditions: Truth, nice: bool = False) -> Any:
        found = self.subject.ask(*conditions, nice=nice)
        if found.possible:
            point = Point.of_model(self.subject.world, found.model)
            self.points.append(point)
            self.fired.append({r.code: point.holds(self.reading.violated(r.code)) for r in self.requirements})
        return found

    def dead(self) -> Iterator[Finding]:
        """Requirements that never fire; a guard that never holds is the reason where it is one."""
        for r in self.requirements:
            violated = self.reading.violated(r.code)
            if r.when is None and r.require is None and violated is True:
                self.live.append(r)
                continue
            if any(known[r.code] for known in self.fired) or self.ask(violated).possible:
                self.live.append(r)
                continue
            if r.code in self.subject.seen:
                continue
            guard = truth(self.reading.guard(r.code))
            found = self.ask(guard)
            if not found.possible:
                yield from impossible(
                    self.subject, "guard-never-true", r.code, r.when.place if r.when else r.place, f"the guard of `{r.code}` never holds", found, [guard],
                    "correct the guard, or take the requirement out",
                )  # fmt: skip
                continue
            found = self.subject.ask(violated)
            unset = self.reading.fired(r.code).waits.unset
            if unset is not False and self.subject.ask(unset).possible:
                continue  # it waits for a parameter that its owner has not set
            said = "never fires, so its reason cannot occur" if r.require is None else "is never violated, so its reason cannot occur"
            yield from impossible(self.subject, "never-violated", r.code, r.place, f"`{r.code}` {said}", found, [violated], "correct it, or take it out")

    def implied(self) -> Iterator[Finding]:
        """Pairs where one never fires without the other."""
        pairs: set[tuple[str, str]] = set()
        conditional = [r for r in self.live if r.when is not None or r.require is not None or self.subject.policy.machine is not None]
        for a in conditional:
            for b in conditional:
                if a is b or b.effect not in _STRONGER[a.effect] or (b.code, a.code) in pairs:
                    continue
                if any(known[a.code] and not known[b.code] for known in self.fired):
                    continue
                conditions = [self.reading.violated(a.code), not_(self.reading.violated(b.code))]
                found = self.ask(*conditions)
                if found.possible:
                    continue
                pairs.add((a.code, b.code))
                held = self.subject.shown(self.subject.ask(conditions[0], nice=True))
                for f in impossible(
                    self.subject, "implied", f"{a.code} by {b.code}", a.place, f"`{a.code}` is never violated without `{b.code}`", found, conditions,
                    "take it out, or narrow one of the two",
                ):  # fmt: skip
                    yield replace(f, witness=held.witness.as_json() if held else None)

    def exclusive(self) -> Iterator[Finding]:
        """Requirements that nobody meets where they apply; and pairs that can both apply, but never both hold."""
        tested = []
        for r in self.live:
            if r.require is None or r.effect not in ("deny", "review"):
                continue
            met = [truth(self.reading.guard(r.code)), not_(self.reading.violated(r.code))]
            found = self.ask(*met)
            unset = self.reading.condition(r.require).waits.unset
            if found.possible:
                tested.append(r)
            elif unset is False or self.subject.ask(unset).impossible:
                message = f"`{r.code}` is always violated where it applies"
                yield from impossible(self.subject, "never-met", r.code, r.place, message, found, met, "leave out its `require`, or correct it")
        for i, a in enumerate(tested):
            for b in tested[i + 1 :]:
                yield from self._pair(a, b)

    def _pair(self, a: RequirementDef, b: RequirementDef) -> Iterator[Finding]:
        guards = [truth(self.reading.guard(r.code)) for r in (a, b)]
        met = [not_(self.reading.violated(r.code)) for r in (a, b)]
        for point, known in zip(self.points, self.fired, strict=True):
            if not known[a.code] and not known[b.code] and all(point.holds(g) for g in guards):
                return
        found = self.ask(*guards, *met)
        both = self.ask(*guards, nice=True) if not found.possible else found
        if found.possible or both.impossible:
            return
        held = self.subject.shown(both)
        message = f"`{a.code}` and `{b.code}` never both hold where both apply"
        at, help = f"{a.code} and {b.code}", "correct one of the two, or let their guards exclude each other"
        for f in impossible(self.subject, "never-both-hold", at, b.place, message, found, [*guards, *met], help):
            yield replace(f, witness=held.witness.as_json() if held else None)

    def allowed(self) -> Iterator[Finding]:
        """Can anybody pass at all?"""
        if not any(r.effect in ("deny", "review", "undetermined") for r in self.requirements):
            return
        allowed = self.reading.is_outcome("allowed")
        found = self.ask(allowed)
        if found.impossible and self.subject.ask(self.reading.outcome().waits.unset).possible:
            return  # while a parameter is unset nothing can be allowed
        place = self.requirements[0].place
        yield from impossible(self.subject, "never-allowed", self.subject.policy.id, place, "no facts are ever allowed", found, [allowed])

    def lines(self) -> Iterator[Finding]:
        """Lines of a `first` that are never the first to hold. Those inside lists are not looked at; `else` is not, since the language asks for it."""
        for name, value in self.subject.policy.values.items():
            yield from self._lines(value.node, name, True)

    def _lines(self, node: s.Node, name: str, path: Truth) -> Iterator[Finding]:
        if isinstance(node, (s.Each, s.Select, s.Aggregate)):
            return
        if not isinstance(node, s.First):
            for child in s.children(node):
                yield from self._lines(child, name, path)
            return
        before = path
        for number, line in enumerate(node.lines, 1):
            if line.when is None:
                yield from self._lines(line.then, name, before)
                continue
            held = self.reading.condition(line.when)
            here = and_(before, truth(held))
            found = self.ask(here)
            if not found.possible and not (held.waits.unset is not False and self.subject.ask(held.waits.unset).possible):
                yield from impossible(
                    self.subject, "dead-line", f"{name} line {number}", _place(line), f"line {number} of `{name}` is never the first to hold", found, [here],
                    "move it up, correct its condition, or take it out",
                )  # fmt: skip
            yield from self._lines(line.then, name, here)
            before = and_(before, not_(truth(held)))


def _place(line: s.Line) -> Place:
    assert line.when is not None
    return line.when.place
