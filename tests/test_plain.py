"""The engine against the plain reading: cases, generated requests, and what must hold between answers.

For every shipped version, and for one policy with every part of the language.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from decimal import setcontext
from functools import cache, cached_property
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from engine.cases import Case, case_file, load_cases
from engine.check import load_policy
from engine.decide import Program
from engine.errors import EvaluationError, FactsError
from engine.functions import to_date
from engine.library import Library, load, rule_files
from engine.policy import Policy
from engine.types import EXACT, nested, plain
from engine.unknown import Unknown as EngineUnknown
from engine.version import Version
from tests.generate import Generator, Request
from tests.plain import Answer
from tests.request import asked, used_by
from tests.unknown import Unknown

ROOT = Path(__file__).parent.parent / "policies"
EXAMPLES = int(os.environ.get("POLICY_EXAMPLES", "150"))
SEED = int(os.environ.get("POLICY_SEED", "1"))
#: A policy with every part of the language, also those that no shipped version uses.
EVERYTHING = Path(__file__).with_name("everything.yaml")
VERSIONS = [EVERYTHING.stem] + [str(p.relative_to(ROOT).with_suffix("")) for p in rule_files(ROOT)]
every_version = pytest.mark.parametrize("name", VERSIONS)


@pytest.fixture(autouse=True)
def _exact() -> None:
    setcontext(EXACT)


@cache
def library() -> Library:
    return load(ROOT)


@dataclass
class Subject:
    """One version, asked both ways."""

    version: Version
    cases: list[Case]

    @cached_property
    def legal(self) -> list[Case]:
        """The cases whose facts fit their types."""
        found = []
        for case in self.cases:
            with suppress(FactsError):
                self.by_engine(Request(case.facts, case.as_of))
                found.append(case)
        return found

    @property
    def program(self) -> Program:
        return self.version.program

    @property
    def policy(self) -> Policy:
        return self.version.policy

    def engine(self, request: Request) -> dict[str, Any]:
        ask = self.program.compute if request.compute else self.program.check
        return ask(request.facts, request.as_of, library().resolver(request.as_of, None))

    def plain(self, request: Request) -> Answer:
        return asked(self.policy, request.facts, request.as_of, self.find(request), request.compute)

    def find(self, request: Request) -> Callable[[str], Policy | None]:
        resolve = library().resolver(request.as_of, None)

        def find(policy: str) -> Policy | None:
            program = resolve(policy)
            return None if program is None else program.policy

        return find

    def by_engine(self, request: Request) -> dict[str, Any]:
        """What the engine says, cut down to what the plain reading says too."""
        try:
            answer = self.engine(request)
        except EvaluationError as error:
            return {"error": error.kind}
        codes = {part: [entry["code"] for entry in answer[part]] for part in ("reasons", "warnings")}
        states = {} if request.compute else self.rules(request)
        return {"outcome": answer["outcome"], **codes, "missing": answer["missing"], "outputs": answer["outputs"], "rules": states}

    def rules(self, request: Request) -> dict[str, str]:
        """Of each requirement: violated, silent or unknown."""
        resolve = library().resolver(request.as_of, None)
        found = zip(self.program.plan.rules, self.program.result(request.facts, request.as_of, resolve).rules, strict=True)
        states = {rule.code: "unknown" if isinstance(state, EngineUnknown) else "violated" if state else "silent" for rule, state in found}
        return {r.code: states[r.code] for r in self.policy.requirements}

    def by_plain(self, request: Request) -> dict[str, Any]:
        try:
            answer = self.plain(request)
        except EvaluationError as error:
            return {"error": error.kind}
        shown = nested((n, self.shown(n, v)) for n, v in answer.outputs.items())
        codes = {"reasons": answer.reasons, "warnings": answer.warnings}
        states = {code: state if state in ("unknown", "violated") else "silent" for code, state in answer.states.items()}
        return {"outcome": answer.outcome, **codes, "missing": answer.missing, "outputs": shown, "rules": states}

    def shown(self, output: str, value: Any) -> Any:
        if output == "open_events":
            return None if isinstance(value, Unknown) or value is None else list(value)
        return plain(_with_holes(value), self.program.words.outputs.types[output])

    def differences(self, request: Request) -> list[str]:
        engine, other = self.by_engine(request), self.by_plain(request)
        return [f"{part}: engine {_short(a, b)}, plain {_short(b, a)}" for part in {**engine, **other} if (a := engine.get(part)) != (b := other.get(part))]

    def smallest(self, request: Request) -> Request:
        """The request with every fact taken out that the difference does not need."""
        kept = dict(request.facts)
        for name in list(kept):
            less = {n: v for n, v in kept.items() if n != name}
            if self.differences(Request(less, request.as_of, request.compute)):
                kept = less
        return Request(kept, request.as_of, request.compute)


@cache
def subject(name: str) -> Subject:
    if name == EVERYTHING.stem:
        return Subject(Version(load_policy(EVERYTHING), EVERYTHING, (0, 0), None), load_cases(case_file(EVERYTHING)))
    policy, number = name.split("/")[1], int(name.rsplit("v", 1)[1])
    faults = [f for f in library().faults.get(f"{name}.yaml", []) if f.kind != "warning"]
    assert not faults, "\n".join(map(str, faults))
    version = library().version(policy, number)
    return Subject(version, load_cases(case_file(version.path)))


def generator(name: str, purpose: int) -> Generator:
    it = subject(name)
    return Generator(it.policy, it.legal, lambda as_of: used_by(it.policy, it.find(Request({}, as_of))), SEED * 100 + purpose)


def requests(name: str, purpose: int, share: int = 1) -> Iterator[tuple[Generator, Request]]:
    made = generator(name, purpose)
    for _ in range(max(1, EXAMPLES // share)):
        yield made, made.request()


def _with_holes(value: Any) -> Any:
    if isinstance(value, Unknown):
        return None
    return tuple(map(_with_holes, value)) if isinstance(value, tuple) else value


def _short(value: Any, other: Any) -> Any:
    """Of two objects only what differs."""
    if isinstance(value, dict) and isinstance(other, dict):
        return {k: v for k, v in value.items() if k not in other or other[k] != v}
    return value


def _told(name: str, request: Request, *said: str) -> str:
    asking = "compute" if request.compute else "check"
    return "\n".join([f"{name} {asking} as_of {request.as_of.isoformat()}", msgspec.json.encode(request.facts).decode(), *said])


# -- the two readings ----------------------------------------------------------------------------------------------------------------------


@every_version
def test_every_case_is_answered_the_same(name: str) -> None:
    it = subject(name)
    found = []
    for case in it.cases:
        request = Request(case.facts, case.as_of, case.ask == "compute")
        try:
            different = it.differences(request)
        except FactsError:
            assert case.expect.error is not None, case.name  # an illegal request: what reads facts has tests of its own
            continue
        if different:
            found.append("\n".join([f"line {case.line}: {case.name}", *different]))
    assert not found, "\n".join(found)


@every_version
def test_generated_requests_are_answered_the_same(name: str) -> None:
    it = subject(name)
    for _, request in requests(name, 0):
        if it.differences(request):
            small = it.smallest(request)
            pytest.fail(_told(name, small, *it.differences(small)))


@every_version
def test_both_modes_of_the_engine_agree(name: str) -> None:
    """Where every fact is known, the quick function and the three-valued one say the same."""
    it = subject(name)
    if it.program.needs_open:
        pytest.skip("rules that read unset parameters are always judged in three values")
    compared = 0
    for made, request in requests(name, 1, 3):
        request = made.filled(request, made.absent(request))
        slots, whole, _ = it.program.slots(request.facts, request.as_of, library().resolver(request.as_of, None))
        assert whole, _told(name, request)
        today = to_date(request.as_of)
        try:
            rules, outcome, values = it.program.known()(slots, request.as_of, today)
        except EvaluationError:
            continue
        open_rules, open_outcome, open_values = it.program.open()(slots, request.as_of, today)
        told = _told(name, request)
        assert list(map(bool, rules)) == [r is True for r in open_rules], told
        assert outcome == open_outcome or (isinstance(outcome, EngineUnknown) and isinstance(open_outcome, EngineUnknown)), told
        assert values == open_values or isinstance(outcome, EngineUnknown), told
        compared += 1
    assert compared


# -- what must hold between answers --------------------------------------------------------------------------------------------------------


@every_version
def test_a_fact_that_is_not_missing_changes_nothing(name: str) -> None:
    """Nothing that is said is taken back once any of the other facts becomes known."""
    it = subject(name)
    for made, request in requests(name, 2):
        derived = {n for n, f in it.policy.facts.items() if f.origin is not None}
        free = [p for p in made.absent(request) if p not in derived]
        before = it.by_engine(request)
        if "error" in before or not free:
            continue
        told = [p for p in free if p not in before["missing"]]
        if told:
            _holds(name, before, made.filled(request, [made.random.choice(told)]), all_known=False)
        _holds(name, before, made.filled(request, free), all_known=True)


def _holds(name: str, before: dict[str, Any], request: Request, all_known: bool) -> None:
    """What was said before holds for a request that knows more; with all known, the undetermined may be decided and what cannot be computed shows."""
    after, told = subject(name).by_engine(request), _told(name, request, f"before: {before}")
    if "error" in after:
        assert all_known, told
        assert before["missing"], told
        return
    if not all_known or before["outcome"] != "undetermined":
        assert after["outcome"] == before["outcome"], told
    assert set(before["reasons"]) <= set(after["reasons"]), told
    assert set(before["warnings"]) <= set(after["warnings"]), told
    for output, value in before["outputs"].items():
        if not (all_known and output == "open_events"):
            assert _contains(value, after["outputs"][output]), f"{output} is {after['outputs'][output]}\n{told}"


def _contains(part: Any, whole: Any) -> bool:
    """Is the second value the first with nulls filled in?"""
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(_contains(value, whole[key]) for key, value in part.items())
    if isinstance(part, list) and isinstance(whole, list):
        return len(part) == len(whole) and all(_contains(a, b) for a, b in zip(part, whole, strict=True))
    return part is None or bool(part == whole)


@every_version
def test_all_missing_facts_filled_decide(name: str) -> None:
    """`missing` is complete: with all of it the answer is determined, unless an unset parameter or a rule with effect undetermined stops it."""
    it = subject(name)
    for made, request in requests(name, 3):
        try:
            for _ in range(1 + 2 * bool(it.policy.uses)):
                request = made.filled(request, it.engine(request)["missing"])
            answer, states = it.engine(request), it.plain(request).states
        except EvaluationError:
            continue
        derived = {n for n in answer["missing"] if n in it.policy.facts and it.policy.facts[n].origin is not None}
        assert set(answer["missing"]) <= derived, _told(name, request, f"still missing {answer['missing']}")
        stopped = [r.code for r in it.policy.requirements if r.effect == "undetermined" and states.get(r.code) == "violated"]
        if not stopped and not answer.get("unset_parameters") and not derived:
            assert answer["outcome"] != "undetermined", _told(name, request, f"missing {answer['missing']}")


@every_version
def test_the_same_question_gets_the_same_bytes(name: str) -> None:
    it = subject(name)
    for _, request in requests(name, 4, 5):
        try:
            first = msgspec.json.encode(it.engine(request))
        except EvaluationError:
            continue
        again = msgspec.json.encode(it.engine(request))
        shuffled = msgspec.json.encode(it.engine(Request(_shuffled(request.facts), request.as_of, request.compute)))
        told = msgspec.json.encode(it.engine(Request(_shuffled(nested(request.facts.items())), request.as_of, request.compute)))
        assert first == again == shuffled == told, _told(name, request)


def _shuffled(value: Any) -> Any:
    if isinstance(value, dict):
        keys = sorted(value)
        Random(len(keys)).shuffle(keys)
        return {k: _shuffled(value[k]) for k in keys}
    return [_shuffled(v) for v in value] if isinstance(value, list) else value
