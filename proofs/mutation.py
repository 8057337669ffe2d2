"""How strong are the cases of a version: which of its mutants do they notice, and with which request would the others be noticed.

A mutant is killed by a case whose expectation it no longer meets, as engine/cases.py judges it. A mutant that the proof finds equal to the
original does not count. One that differs somewhere, or for which neither a difference nor a proof was found, has survived.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from engine.cases import Case, case_file, load_cases, run_case
from engine.decide import Program, Resolver
from engine.errors import EvaluationError, FactsError, PolicyError
from engine.library import Library
from engine.policy import Policy
from engine.source import read
from engine.version import Version
from proofs.equivalence import Verdict
from proofs.mutants import Mutant, mutants
from proofs.pieces import Pieced, Question
from proofs.requests import MISSING, Request, Requests

#: So many requests are tried on what the cases miss, before the proof and, where that cannot tell, after it.
REQUESTS = 800
MORE_REQUESTS = 3000
#: So many requests that tell a survivor apart are compared, and the plainest taken.
COMPARED = 12
#: What the solver says of a version and its mutant.
Proof = Callable[[Pieced, Pieced], Verdict]


class CasesFail(PolicyError):
    """There are no cases, or they do not pass on the original, so they say nothing about mutants."""


@dataclass(slots=True)
class Survivor:
    """A mutant that no case notices, and a request that would, where one was found."""

    mutant: Mutant
    request: Request | None = None


@dataclass(slots=True)
class Strength:
    """What the cases of one version are worth."""

    name: str
    cases: int
    mutants: int
    killed: int = 0
    equivalent: list[Mutant] = field(default_factory=list)
    survivors: list[Survivor] = field(default_factory=list)

    @property
    def counted(self) -> int:
        return self.mutants - len(self.equivalent)

    @property
    def score(self) -> Decimal:
        return percent(self.killed, self.counted)


def percent(killed: int, counted: int) -> Decimal:
    """The share of mutants that is killed, in percent with one place, never rounded up."""
    return Decimal(1000 * killed // counted) / 10 if counted else Decimal(100)


@dataclass(slots=True)
class _Asked:
    """A case, or a request made from one, that was put to the original."""

    facts: dict[str, Any]
    as_of: datetime
    ask: str
    resolve: Resolver
    questions: list[Question]
    answer: dict[str, Any]
    case: Case


class Examined:
    """One version with its cases, ready for mutants."""

    def __init__(self, loaded: Library, version: Version) -> None:
        """Raises CasesFail, RuleFileError."""
        self.loaded, self.version, self.policy = loaded, version, version.policy
        self.base = Pieced(self.policy, version.program)
        path = case_file(version.path)
        if not path.exists():
            raise CasesFail(f"{self.policy.name} has no cases; write {path.name} beside it")
        self.cases = load_cases(path)
        self.shown = [("value", n) for n in self.policy.outputs if n in self.base.plan.values]
        self.shown += [("value", "next_state")] if self.policy.machine is not None else []
        self.asked: list[_Asked] = []
        failing = []
        for case in self.cases:
            resolve = loaded.resolver(case.as_of, None)
            self.base.asked = []
            if not run_case(case, self.base, resolve).passed:
                failing.append(case.name)
            questions = self.base.asked
            answer = self._answer(self.base, case.facts, case.as_of, case.ask, resolve)
            self.asked.append(_Asked(case.facts, case.as_of, case.ask, resolve, questions, answer, case))
        if failing:
            raise CasesFail(f"{len(failing)} cases of {self.policy.name} fail: {'; '.join(failing[:5])}; `policy test {self.policy.id}` shows why")
        self.requests: list[_Asked] = []
        self.tried = 0
        self.generator = Requests(self.policy, self.cases, self._used)

    # -- killing -------------------------------------------------------------------------------------------------------------------

    def killer(self, mutant: Pieced, part: str) -> Case | None:
        """The first case that notices the mutant; a case that did goes to the front."""
        for i, asked in enumerate(self.asked):
            if self._may_differ(mutant, asked, part) and not run_case(asked.case, mutant, asked.resolve).passed:
                self.asked.insert(0, self.asked.pop(i))
                return asked.case
        return None

    def _may_differ(self, mutant: Pieced, asked: _Asked, part: str) -> bool:
        return part == "fact" or any(mutant.differs(question, self.shown) for question in asked.questions)

    def difference(self, mutant: Pieced, part: str, requests: int) -> Request | None:
        """A case or one of so many requests that the mutant answers otherwise: of the first few the plainest."""
        found: list[tuple[int, int, _Asked]] = []
        for i, asked in enumerate([*self.asked, *self._generated(requests)]):
            if self._may_differ(mutant, asked, part):
                other = self._answer(mutant, asked.facts, asked.as_of, asked.ask, asked.resolve)
                if other != asked.answer:
                    found.append((_oddness(asked, other), i, asked))
                    if len(found) == COMPARED:
                        break
        if not found:
            return None
        plainest = min(found, key=lambda f: f[:2])[2]
        return Request(plainest.facts, plainest.as_of, plainest.ask, plainest.case)

    def told_apart(self, mutant: Pieced, request: Request) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The two answers to a request, of the original and of the mutant; None where they are the same, or the request is no legal one."""
        resolve = self.loaded.resolver(request.as_of, None)
        original, changed = (self._answer(p, request.facts, request.as_of, request.ask, resolve) for p in (self.base, mutant))
        return None if original == changed or _illegal(original) else (original, changed)

    def _generated(self, count: int) -> list[_Asked]:
        """Random legal requests, put to the original once; fewer where most that are made are not legal."""
        while len(self.requests) < count and self.tried < 2 * count:
            self.tried += 1
            asked = self._put(self.generator.request())
            if asked is not None:
                self.requests.append(asked)
        return self.requests[:count]

    def _put(self, request: Request) -> _Asked | None:
        resolve = self.loaded.resolver(request.as_of, None)
        self.base.asked = []
        answer = self._answer(self.base, request.facts, request.as_of, request.ask, resolve)
        return None if _illegal(answer) else _Asked(request.facts, request.as_of, request.ask, resolve, self.base.asked, answer, request.case)

    def _used(self, as_of: datetime) -> list[Policy]:
        resolve = self.loaded.resolver(as_of, None)

        def used(policy: Policy) -> Iterator[Policy]:
            for name in sorted(policy.uses):
                program = resolve(name)
                if program is not None:
                    yield program.policy
                    yield from used(program.policy)

        return list(used(self.policy))

    def _answer(self, program: Program, facts: dict[str, Any], as_of: datetime, ask: str, resolve: Resolver) -> dict[str, Any]:
        """What a case can see of an answer."""
        program.asked = []  # type: ignore[attr-defined]
        try:
            answer = (program.compute if ask == "compute" else program.check)(facts, as_of, resolve)
        except FactsError as error:
            return {"error": f"facts: {error}"}
        except EvaluationError as error:
            return {"error": error.kind}
        told = {k: answer[k] for k in ("outcome", "missing", "outputs")}
        return told | {k: [r["code"] for r in answer[k]] for k in ("reasons", "warnings")}

    # -- the whole version ---------------------------------------------------------------------------------------------------------

    def strength(self, prove: Proof) -> Strength:
        """Every mutant against every case; survivors against requests, and what no request tells apart against the proof."""
        found = mutants(self.policy, read(self.version.path, self.policy.file))
        result = Strength(self.policy.name, len(self.cases), len(found))
        for mutant in found:
            pieced = Pieced(mutant.policy, self.base)
            if self.killer(pieced, mutant.part[0]) is not None:
                result.killed += 1
                continue
            request = self.difference(pieced, mutant.part[0], REQUESTS)
            if request is None and mutant.part[0] != "fact":  # the solver does not ask other policies
                verdict = prove(self.base, pieced)
                if verdict.equal:
                    result.equivalent.append(mutant)
                    continue
                request = self._witness(pieced, verdict)
            result.survivors.append(Survivor(mutant, request or self.difference(pieced, mutant.part[0], MORE_REQUESTS)))
        return result

    def _witness(self, mutant: Pieced, verdict: Verdict) -> Request | None:
        """The solver's request, if the two are really answered differently."""
        if verdict.facts is None or verdict.as_of is None:
            return None
        request = Request(verdict.facts, verdict.as_of, "check", self.cases[0])
        return request if self.told_apart(mutant, request) is not None else None


def _oddness(asked: _Asked, other: dict[str, Any]) -> int:
    """How far a request is from what a person would write as a case: things asked otherwise, facts left out, a difference only in what is missing."""
    case = asked.case
    changed: int = sum(asked.facts.get(n, MISSING) != case.facts.get(n, MISSING) for n in {*asked.facts, *case.facts})
    gone: int = sum(n not in asked.facts for n in case.facts)
    same_outcome = bool(asked.answer.get("outcome") == other.get("outcome"))
    return changed + 4 * gone + 3 * int(asked.as_of != case.as_of) + 4 * int(asked.ask == "compute") + 3 * same_outcome + 6 * bool(other.get("missing"))


def _illegal(answer: dict[str, Any]) -> bool:
    return str(answer.get("error", "")).startswith("facts")
