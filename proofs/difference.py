"""Where two versions of a policy answer differently: a small and complete set of regions of facts, or the proof that there is none.

Complete: outside the regions the solver has proved that both give the same outcome, reasons, warnings and outputs.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from engine.decide import Program
from engine.policy import Policy
from proofs.atoms import Atom, Atoms, Literal
from proofs.cubes import Cube, conjunction, grouped, joined, says_no, worth
from proofs.folding import Truth, and_, not_, or_
from proofs.lowering import Reading
from proofs.outcomes import OUTCOMES
from proofs.parts import Change, parts, structure
from proofs.solver import Asker, Confirmed, confirmed
from proofs.symbols import World
from proofs.witness import Point

#: So many conjunctions are looked for, in so many changes each; what is left is told as it is.
MAX_CUBES, MAX_TRIED = 30, 3
#: Pairs of outcomes, the most telling first.
_TELLING = [("allowed", "denied"), ("denied", "allowed"), ("allowed", "review"), ("review", "allowed"), ("review", "denied"), ("denied", "review")]


@dataclass(frozen=True, slots=True)
class Region:
    """Facts for which the answers differ: all that meet every one of the conditions (of at least one list, if there are several).

    `outcomes`: the pairs before → after that occur in it. `example` is confirmed by the engine; None if the engine did not confirm one.
    """

    conditions: tuple[Cube, ...]
    changes: tuple[Change, ...]
    outcomes: tuple[tuple[str, str], ...]
    example: Confirmed | None

    @property
    def term(self) -> Truth:
        return or_(*(conjunction(cube) for cube in self.conditions))

    def as_json(self) -> dict[str, Any]:
        shown = None
        if self.example is not None:
            before, after = ({"outcome": s.outcome, "reasons": s.reasons, "warnings": s.warnings, "outputs": s.outputs} for s in self.example.said)
            shown = {**self.example.witness.as_json(), "before": before, "after": after}
        return {
            "conditions": {language: [[getattr(x, language) for x in cube] for cube in self.conditions] for language in ("en", "zh")},
            "changes": [c.as_json() for c in self.changes], "outcomes": [{"before": a, "after": b} for a, b in self.outcomes], "example": shown,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Difference:
    """`status`: equivalent (proved), different (`regions` are complete), or undecided (`reason`; `regions` hold what was found).

    `structure`: what is not a matter of facts: facts, outputs and values that one version does not know. `assumed`: under which limits it is proved.
    """

    before: str
    after: str
    status: str
    regions: tuple[Region, ...]
    structure: tuple[dict[str, str], ...]
    assumed: tuple[dict[str, str], ...]
    reason: str | None = None
    seconds: float = field(default=0.0, compare=False)

    def as_json(self) -> dict[str, Any]:
        return {
            "before": self.before, "after": self.after, "status": self.status, "reason": self.reason, "regions": [r.as_json() for r in self.regions],
            "structure": list(self.structure), "assumed": list(self.assumed),
        }  # fmt: skip


def difference(before: Policy, after: Policy, seconds: float = 10.0, world: World | None = None, programs: tuple[Program, Program] | None = None) -> Difference:
    """Compare two versions (or one with changed parameters). `seconds` limits the whole; what is not decided by then is said so."""
    return _Comparison(before, after, seconds, world or World(), programs or (Program(before), Program(after))).result()


# -- the regions ---------------------------------------------------------------------------------------------------------------------------


class _Comparison:
    def __init__(self, before: Policy, after: Policy, seconds: float, world: World, programs: tuple[Program, Program]) -> None:
        self.started = time.monotonic()
        self.deadline, self.seconds = self.started + seconds, seconds
        self.programs = programs
        self.readings = (Reading(before, world), Reading(after, world))
        self.parts = parts(*self.readings)
        numbers = (f"v{before.version}", f"v{after.version}")
        self.labels = numbers if numbers[0] != numbers[1] else ("before", "after")
        self.asker = Asker(self.readings, seconds)
        self.undecided: str | None = None
        self.points: list[Point] = []

    def left(self) -> float:
        return max(0.0, self.deadline - time.monotonic())

    def result(self) -> Difference:
        self.live = [(change, condition) for change, condition in self.parts if not self.asker.ask(condition, seconds=self.left()).impossible]
        differing = or_(*(c for _, c in self.live))
        cubes = self._cubes(differing) if self.live else []
        regions = [self._region(group) for group in grouped(joined(self._needed(cubes)))]
        rest = self.asker.ask(or_(*(c for _, c in self.parts)), *(not_(r.term) for r in regions), seconds=self.left())
        unlike = structure(*self.readings, self.labels)
        if not rest.impossible:
            free = f" (parts left free: {', '.join(sorted(rest.free))})" if rest.free else ""
            late = f"undecided within {self.seconds:g} s"
            why = "a difference outside the regions is possible" if rest.possible else late if self.left() == 0 else self.undecided or rest.reason or late
            self.undecided = why + free
        else:
            self.undecided = None
        status = "undecided" if self.undecided else "different" if regions or unlike else "equivalent"
        names = [r.policy.name for r in self.readings]
        spent = time.monotonic() - self.started
        return Difference(names[0], names[1], status, tuple(regions), tuple(unlike), tuple(self._assumed()), self.undecided, spent)

    def _needed(self, cubes: list[Cube]) -> list[Cube]:
        """The conjunctions without those that lie inside the others."""
        kept = list(cubes)
        for cube in sorted(cubes, key=len, reverse=True):
            others = [c for c in kept if c is not cube]
            if self.asker.ask(conjunction(cube), *(not_(conjunction(c)) for c in others), seconds=self.left()).impossible:
                kept = others
        return kept

    def _cubes(self, differing: Truth) -> list[Cube]:
        """Conjunctions of atoms, each inside some change, that together cover all differences."""
        found: list[Cube] = []
        atoms = self._atoms()
        while True:
            answer = self.asker.ask(differing, *(not_(conjunction(c)) for c in found), seconds=self.left())
            if answer.impossible:
                return found
            if not answer.possible:
                self.undecided = answer.reason
                return found
            point = self._point(answer.model)
            held = [(change, condition) for change, condition in self.live if point.holds(condition)]
            if len(found) < MAX_CUBES:
                literals = [(atom.own, x) for atom in atoms for x in (atom.holds, atom.fails) if point.holds(x.condition)]
                plain = [x for own, x in literals if own or x.values]  # what a value is says more than what it is not
                wanted = [c for _, c in held[:MAX_TRIED]]
                cubes = [cube for condition in wanted if (cube := self._cube(condition, plain)) is not None]
                if not cubes:
                    wanted = [*wanted, differing]
                    cubes = [cube for condition in wanted if (cube := self._cube(condition, [x for _, x in literals])) is not None]
                if cubes:
                    found.append(min(cubes, key=lambda c: (len(c), sum(says_no(x) for x in c), sum(len(x.en) for x in c))))
                    continue
            change, condition = held[0]
            found.append((Literal(condition, *self._whole(change)),))

    def _cube(self, condition: Truth, literals: list[Literal]) -> Cube | None:
        """A few of the literals that imply the condition; None if they do not."""
        core = self.asker.core([x.condition for x in literals], not_(condition), seconds=min(1.0, self.left()))
        if core is None:
            return None
        kept = [literals[i] for i in core]
        for literal in sorted(kept, key=worth):
            if literal in kept:
                fewer = [x for x in kept if x is not literal]
                again = self.asker.core([x.condition for x in fewer], not_(condition), seconds=min(1.0, self.left()))
                kept = kept if again is None else [fewer[i] for i in again]
        return tuple(kept)

    def _atoms(self) -> list[Atom]:
        """The conditions that the changes are made of, in both versions."""
        found: list[Atom] = []
        for reading, other, label in zip(self.readings, self.readings[::-1], self.labels, strict=True):
            atoms = Atoms(reading, other, label)
            for change, _ in self.live:
                if change.kind == "output":
                    atoms.of_value(change.name)
                elif change.kind != "outcome":
                    atoms.of_rule(change.name)
            if all(change.kind == "outcome" for change, _ in self.live):
                for code in reading.rules:
                    atoms.of_rule(code)
            names = reading.reaches(*(c for x, c in self.live if x.kind != "outcome" or len(self.live) == 1))
            atoms.of_facts(n for n in reading.policy.facts if any(v in (n, f"null:{n}", f"count:{n}") or v.startswith(f"{n}[") for v in names))
            found += atoms.found
        for reading, label in zip(self.readings, self.labels, strict=True):
            error = reading.is_outcome("error")
            if error is not False:
                answers = Literal(not_(error), f"{label} gives an answer, no error", f"{label} 能给出答案")
                found.append(Atom(answers, Literal(error, f"{label} answers with an error", f"{label} 返回错误")))
        kept: list[Atom] = []
        seen: set[str] = set()
        for atom in found:
            key = str(atom.holds.condition.get_id()) if hasattr(atom.holds.condition, "get_id") else atom.holds.en
            if key not in seen and atom.holds.condition is not False and atom.fails.condition is not False:
                seen.add(key)
                kept.append(atom)
        return kept

    def _whole(self, change: Change) -> tuple[str, str]:
        """A change as a condition of its own, where the atoms do not say it."""
        a, b = self.labels
        if change.kind in ("output", "outcome"):
            return f"{change.name} differs between {a} and {b}", f"{change.name} 在 {a} 与 {b} 中不同"
        only = {"gained": b, "lost": a}.get(change.how)
        if only is None:
            return f"{change.name} is violated", f"违反 {change.name}"
        return f"{change.name} is violated in {only} only", f"仅在 {only} 中违反 {change.name}"

    def _region(self, cubes: list[Cube]) -> Region:
        inside = or_(*(conjunction(cube) for cube in cubes))
        pairs = self._outcomes(inside)
        points = [p for p in self.points if p.holds(inside)]
        changes = []
        for change, condition in self.live:
            held = [p.holds(condition) for p in points]
            if any(held) or self.asker.ask(inside, condition, seconds=self.left()).possible:
                always = all(held) and self.asker.ask(inside, not_(condition), seconds=self.left()).impossible
                changes.append(Change(change.kind, change.name, change.how, always))
        example = None
        differing = or_(*(c for _, c in self.live))
        for pair in sorted(pairs, key=lambda p: (_TELLING.index(p) if p in _TELLING else len(_TELLING), p)):
            found = self.asker.ask(inside, differing, self._pair(pair), nice=True, seconds=self.left())
            example = confirmed(self.asker, self.programs, found.model) if found.possible else None
            if example is not None:
                break
        return Region(tuple(cubes), tuple(changes), tuple(pairs), example)

    def _point(self, model: Any) -> Point:
        point = Point.of_model(self.asker.world, model)
        self.points.append(point)
        return point

    def _pair(self, pair: tuple[str, str]) -> Truth:
        return and_(self.readings[0].is_outcome(pair[0]), self.readings[1].is_outcome(pair[1]))

    def _outcomes(self, inside: Truth) -> list[tuple[str, str]]:
        """The pairs of outcomes that occur in a region."""
        found: list[tuple[str, str]] = []
        while len(found) < len(OUTCOMES) ** 2:
            answer = self.asker.ask(inside, *(not_(self._pair(p)) for p in found), seconds=self.left())
            if not answer.possible:
                break
            point = self._point(answer.model)
            before, after = (next(o for o in OUTCOMES if point.holds(r.is_outcome(o))) for r in self.readings)
            found.append((before, after))
        return sorted(found)

    def _assumed(self) -> Iterable[dict[str, str]]:
        world = self.asker.world
        first, last = (d.isoformat() for d in world.days)
        yield {"en": f"as_of from {first} to {last}", "zh": f"as_of 在 {first} 至 {last} 之间"}
        low, high = (d.isoformat() for d in world.dates)
        yield {"en": f"dates of facts from {low} to {high}", "zh": f"事实中的日期在 {low} 至 {high} 之间"}
        lists = sorted(set().union(*(r.bounded(*(c for _, c in self.parts)) for r in self.readings)))
        if lists:
            yield {
                "en": f"lists of at most {world.items} items: {', '.join(lists)}",
                "zh": f"列表最多 {world.items} 项：{'、'.join(lists)}",
            }
