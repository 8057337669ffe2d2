"""Questions to the solver, with a time limit. An answer is proved, refuted with a model, or undecided; a model is exact, or it is none."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import z3

from engine.decide import Program
from proofs.folding import Truth, is_term, lifted
from proofs.lowering import Reading
from proofs.oracle import OF_TEXTS, evaluated, learned
from proofs.samples import sample
from proofs.symbols import AS_OF_CLOCK, AS_OF_DAY, Application, World, plain_values
from proofs.witness import Point, Said, Witness, asked, constant_of, predicted, request

#: So many times the solver is told where it got a function of days or texts wrong.
ROUNDS = 60
DEFAULT_SECONDS = 5.0
#: The day on which the question of a plain model is put, where it can be.
PLAIN_DAY = date(2025, 6, 2)


@dataclass(frozen=True, slots=True)
class Found:
    """`status`: impossible (proved: no facts meet the conditions), possible (`model` holds facts that do), or undecided.

    `free`: what was left free in an undecided question; `reason` says why it is undecided.
    """

    status: str
    model: Any = None
    free: frozenset[str] = frozenset()
    reason: str | None = None

    @property
    def impossible(self) -> bool:
        return self.status == "impossible"

    @property
    def possible(self) -> bool:
        return self.status == "possible"


class Asker:
    """Asks about the facts of one or several readings of one world."""

    def __init__(self, readings: Sequence[Reading], seconds: float = DEFAULT_SECONDS, always: Iterable[Truth] = ()) -> None:
        """`seconds`: the limit of one question. `always`: conditions of every question."""
        self.readings, self.seconds = list(readings), seconds
        self.world: World = readings[0].world
        self.solver = z3.SimpleSolver()
        self.known = self.near = self._quick_known = 0
        self._cores: Any = None
        for reading in readings:
            self.solver.add(*(lifted(c) for c in reading.domain))
        self.always = list(always)
        self.solver.add(*(lifted(c) for c in self.always))

    def ask(self, *conditions: Truth, nice: bool = False, seconds: float | None = None) -> Found:
        """Are there facts that meet all conditions? `nice`: the model has plain facts (midnight, empty lists, small numbers) where it can."""
        if any(c is False for c in conditions):
            return Found("impossible")
        limit = seconds if seconds is not None else self.seconds
        deadline = time.monotonic() + limit
        self._learn()
        self.solver.push()
        try:
            self.solver.add(*(lifted(c) for c in conditions))
            for turn in range(ROUNDS):
                # where a function is known already a model is exact at once
                found = self._check(deadline, *self._near(conditions)) if turn else z3.unknown
                found = found if found == z3.sat else self._check(deadline)
                if found == z3.unsat:
                    return Found("impossible")
                if found != z3.sat:
                    return Found("undecided", None, self._free(conditions), f"undecided within {limit:g} s")
                model = self._preferred(conditions, deadline) if nice else self.solver.model()
                exact = self._exact(conditions, model)
                if exact is not None:
                    return Found("possible", exact)
                new = self._wrong(conditions, model)
                if not new:
                    return Found("undecided", None, self._free(conditions), "the solver's model does not meet the conditions")
                self.world.axioms += new
                self.solver.add(*new)
            return Found("undecided", None, self._free(conditions), "the functions of days and texts in it could not be pinned down")
        finally:
            self.solver.pop()

    def core(self, assumptions: Sequence[Any], *conditions: Truth, seconds: float | None = None) -> list[int] | None:
        """Which of some assumptions already exclude the conditions, by index; None if they do not, or it is not known in the limit.

        Sound: what it gives excludes them. Where functions of days are not pinned down yet it may give None too early.
        """
        solver = self._quick()
        solver.push()
        try:
            solver.add(*(lifted(c) for c in conditions))
            names = [z3.Bool(f"assume#{i}") for i in range(len(assumptions))]
            solver.add(*(z3.Implies(n, lifted(a)) for n, a in zip(names, assumptions, strict=True)))
            solver.set("timeout", max(1, int((seconds if seconds is not None else self.seconds) * 1000)))
            if _checked(solver, *names) != z3.unsat:
                return None
            index = {n.decl().name(): i for i, n in enumerate(names)}
            return sorted(index[a.decl().name()] for a in solver.unsat_core())
        finally:
            solver.pop()

    def _quick(self) -> Any:
        """A solver that takes products of facts for unknown numbers: what it excludes is excluded, and it never ponders over them."""
        if self._cores is None:
            self._cores = z3.SimpleSolver()
            self._cores.set("arith.nl", False)
            self._cores.add(*(lifted(c) for r in self.readings for c in r.domain), *(lifted(c) for c in self.always))
            self._quick_known = 0
        self._cores.add(*self.world.axioms[self._quick_known :])
        self._quick_known = len(self.world.axioms)
        return self._cores

    # -- inside --------------------------------------------------------------------------------------------------------------------

    def _learn(self) -> None:
        new = self.world.axioms[self.known :]
        self.known = len(self.world.axioms)
        self.solver.add(*new)

    def _check(self, deadline: float, *assumptions: Any) -> Any:
        left = int((deadline - time.monotonic()) * 1000)
        if left <= 0:
            return z3.unknown
        self.solver.set("timeout", left)
        return _checked(self.solver, *assumptions)

    def _free(self, conditions: Iterable[Truth]) -> frozenset[str]:
        return frozenset().union(*(r.free(*conditions) for r in self.readings))

    def _preferences(self, conditions: Iterable[Truth]) -> list[Any]:
        """What one would rather see in a model, the most wanted first."""
        used = self.reaches(*conditions)
        wanted = [AS_OF_CLOCK == 0, PLAIN_DAY.toordinal() == AS_OF_DAY]
        for reading in self.readings:
            for name, fact in reading.policy.facts.items():
                touched = name in used or any(u.startswith((f"{name}[", f"{name}.clock")) for u in used)
                wanted += plain_values(name, fact.type, fact.nullable, touched, self.world.texts)
        return list({w.get_id(): w for w in wanted}.values())

    def reaches(self, *conditions: Truth) -> set[str]:
        """The names of the variables that conditions rest on."""
        return set().union(*(r.reaches(*conditions) for r in self.readings))

    def _preferred(self, conditions: Iterable[Truth], deadline: float) -> Any:
        """A model with many of the preferences: those that the solver blames are given up, the least wanted first. The same at every run."""
        model = self.solver.model()
        wanted = self._preferences(conditions)
        names = [z3.Bool(f"prefer#{i}") for i in range(len(wanted))]
        self.solver.push()
        try:
            self.solver.add(*(z3.Implies(n, w) for n, w in zip(names, wanted, strict=True)))
            while names:
                found = self._check(deadline, *names)
                if found == z3.sat:
                    return self.solver.model()
                core = {a.decl().name() for a in self.solver.unsat_core()} if found == z3.unsat else set()
                blamed = [i for i, n in enumerate(names) if n.decl().name() in core]
                if not blamed:
                    return model
                for i in reversed(blamed[len(blamed) // 2 :]):
                    del names[i]
            return model
        finally:
            self.solver.pop()

    def _near(self, conditions: Iterable[Truth]) -> list[Any]:
        """An assumption: the days of functions lie where these have been learned about."""
        names = self.reaches(*conditions)
        tests = []
        for a in self.world.applications.values():
            learned_here = self.world.learned_at.get(a.result.decl().name())
            if learned_here and a.result.decl().name() in names:
                tests.append(z3.Or(*(z3.And(lifted(a.arguments[0]) >= low, lifted(a.arguments[0]) <= high) for low, high in learned_here)))
        if not tests:
            return []
        self.near += 1
        name = z3.Bool(f"near#{self.near}")
        self.solver.add(z3.Implies(name, z3.And(*tests)))
        return [name]

    def _exact(self, conditions: Iterable[Truth], model: Any) -> Any:
        """The model with what functions really give for its facts, if the conditions hold there; None if not.

        Texts that nobody named get names that fit the model, where there are such.
        """
        if not self.world.applications:
            return model
        self._name_texts(self._used(conditions), model)
        facts = [d for d in model.decls() if d.arity() == 0 and d.name() not in self.world.by_variable]
        point = Point(self.world, [(d(), model[d]) for d in facts])
        return point.model if all(point.holds(c) for c in [*conditions, *self.always]) else None

    def _used(self, conditions: Iterable[Truth]) -> list[Application]:
        names = self.reaches(*conditions)
        return [a for a in self.world.applications.values() if names & {a.result.decl().name(), a.error.decl().name() if is_term(a.error) else ""}]

    def _wrong(self, conditions: Iterable[Truth], model: Any) -> list[Any]:
        """The truth about functions that the model gets wrong."""
        new: list[Any] = []
        for a in self._used(conditions):
            arguments = tuple(_read(model, x) for x in a.arguments)
            try:
                result, error = evaluated(self.world, a.kind, arguments)
            except (LookupError, ValueError, OverflowError):
                continue  # the value of a fact that is null
            said = (_read(model, a.result), _read(model, a.error) if is_term(a.error) else False)
            if said[1] != error or (not error and said[0] != result):
                new += [lifted(x) for x in learned(a, arguments, self.world)]
        return new

    def _name_texts(self, used: list[Application], model: Any) -> None:
        of_texts = [a for a in used if a.kind in OF_TEXTS]
        for number in sorted({_read(model, x) for a in of_texts for x in a.arguments if not isinstance(x, str)}):
            if number < 0 or self.world.texts.text(number) is not None:
                continue
            here = [a for a in of_texts if _read(model, a.arguments[0]) == number]
            length = next((_read(model, a.result) for a in here if a.kind == "length"), None)
            patterns = {a.arguments[1]: bool(_read(model, a.result)) for a in here if a.kind == "matches"}
            text = sample(number, length, patterns)
            if text not in self.world.texts.numbers:
                self.world.texts.name(number, text)


def _checked(solver: Any, *assumptions: Any) -> Any:
    """The solver's answer. It takes Ctrl-C for itself while it works, and tells it as a reason only."""
    found = solver.check(*assumptions)
    if found == z3.unknown and solver.reason_unknown() == "interrupted from keyboard":
        raise KeyboardInterrupt
    return found


def _read(model: Any, x: Any) -> Any:
    return constant_of(model.eval(x, model_completion=True)) if is_term(x) else x


# -- statements with a witness -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A witness, and what the engine says of it under each version asked."""

    witness: Witness
    said: tuple[Said, ...]


def confirmed(asker: Asker, programs: Sequence[Program], model: Any) -> Confirmed | None:
    """The model as a request, if the engine answers it as the readings say; None if not: then it is no witness."""
    witness = request([p.policy for p in programs], asker.world, model)
    said = []
    for reading, program in zip(asker.readings, programs, strict=True):
        answer = asked(program, witness)
        if answer.outcome == "refused":
            return None
        expected = predicted(reading, program, witness)
        if (answer.outcome, answer.reasons, answer.warnings, answer.outputs) != (expected.outcome, expected.reasons, expected.warnings, expected.outputs):
            return None
        said.append(answer)
    return Confirmed(witness, tuple(said))
