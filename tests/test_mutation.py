"""Mutation: the piecewise evaluation judges as the engine does, mutants are killed and survive as they should, proofs and proposals hold."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli import strength
from engine import library
from engine.cases import case_file, load_cases, run_case
from engine.decide import Program
from engine.errors import RuleFileError
from engine.library import Library
from engine.types import SHANGHAI
from engine.unknown import Unknown
from engine.version import Version
from proofs.equivalence import compared
from proofs.mutants import mutants
from proofs.mutation import CasesFail, Examined, Strength, percent
from proofs.pieces import Pieced, alike
from proofs.requests import Request, Requests
from proofs.scores import Score, page, score, scores
from proofs.survivors import proposals, written
from tests.conftest import DOOR, DOOR_CASES, SHIPPED, put
from tests.test_mutants import LOAN, LOAN_CASES

#: Small domains, so that every request can be tried; a rule that says the same twice, and one that can never fire.
GATE = """\
policy: gate-pass
version: 1
family: samples
form: check
title: {en: Passing the gate, zh: 通行}
question: {en: May this car pass?, zh: 可以通行吗？}
effective: {from: 2025-01-01}
source: {document: sample guide, section: "1"}

parameters:
  seats: {type: integer, value: 3}

facts:
  persons: {type: integer}
  colour:  {type: enum, values: [red, green, blue]}
  paid:    {type: bool}

requirements:
  - code: too-many
    require: persons <= parameters.seats
    effect: deny
    reason: {en: Too many., zh: 太多。}
    remedy: {en: Fewer., zh: 减少。}
    source: {section: "1.1"}
  - code: not-paid
    when: colour != green or colour == red
    require: paid
    effect: review
    reason: {en: Not paid., zh: 未付。}
    remedy: {en: Pay., zh: 付款。}
    source: {section: "1.2"}
  - code: nobody
    when: persons < 0
    effect: warn
    reason: {en: Nobody., zh: 无人。}
    source: {section: "1.3"}

outputs:
  free: {type: integer, signed: true, value: parameters.seats - persons}
"""
WEAK = """\
policy: gate-pass
version: 1
as_of: 2025-01-01
base: {persons: 2, colour: red, paid: true}
cases:
  - name: an ordinary car
    expect: {outcome: allowed, warnings: [], outputs: {free: 1}}
  - name: many persons
    facts: {persons: 7}
    expect: {outcome: denied, reasons: [too-many]}
  - name: not paid
    facts: {paid: false}
    expect: {outcome: review, reasons: [not-paid]}
"""
STRONG = (
    WEAK
    + """\
  - name: as many as there are seats
    facts: {persons: 3}
    expect: {outcome: allowed}
  - name: one more
    facts: {persons: 4}
    expect: {outcome: denied, reasons: [too-many], outputs: {free: -1}}
  - name: a green car need not pay
    facts: {colour: green, paid: false}
    expect: {outcome: allowed}
  - name: a blue car pays
    facts: {colour: blue, paid: false}
    expect: {outcome: review, reasons: [not-paid]}
  - name: nobody inside
    facts: {persons: 0}
    expect: {outcome: allowed, warnings: []}
"""
)
EVENTS = """\
  - name: what a guest may do
    ask: compute
    unknown: [event]
    facts: {actor.role: guest}
    expect: {outcome: allowed, outputs: {open_events: [open]}}
"""
NOW = datetime(2025, 1, 1, tzinfo=SHANGHAI)


@pytest.fixture(scope="module")
def shipped() -> Library:
    return library.load(SHIPPED)


def gate(root: Path, cases: str) -> tuple[Library, Version]:
    put(root, "gate-pass", 1, GATE, cases)
    loaded = library.load(root)
    return loaded, loaded.version("gate-pass", 1)


def every_request() -> Iterator[dict[str, Any]]:
    """All facts over small domains; None stands for a fact that is left out."""
    for persons, colour, paid in itertools.product((None, 0, 1, 2, 3, 4, 5), (None, "red", "green", "blue"), (None, True, False)):
        facts = {"persons": persons, "colour": colour, "paid": paid}
        yield {n: v for n, v in facts.items() if v is not None}


def seen(program: Program, facts: dict[str, Any]) -> dict[str, Any]:
    answer = program.check(facts, NOW)
    return {k: answer[k] for k in ("outcome", "missing", "outputs")} | {k: [r["code"] for r in answer[k]] for k in ("reasons", "warnings")}


# -- the piecewise evaluation --------------------------------------------------------------------------------------------------------------


def test_pieces_judge_every_shipped_case_as_the_engine_does(shipped: Library) -> None:
    judged = 0
    for version in shipped.all():
        pieced = Pieced(version.policy, version.program)
        for case in load_cases(case_file(version.path)):
            resolve = shipped.resolver(case.as_of, None)
            mine, theirs = run_case(case, pieced, resolve), run_case(case, version.program, resolve)
            assert mine.differences == theirs.differences == []
            if mine.answer is not None and theirs.answer is not None:
                assert {**mine.answer, "receipt": None} == {**theirs.answer, "receipt": None}, (version.policy.name, case.name)
            judged += 1
    assert judged > 2900


def test_a_mutant_of_pieces_answers_as_its_program(tmp_path: Path) -> None:
    _, version = gate(tmp_path, WEAK)
    base = Pieced(version.policy, version.program)
    found = mutants(version.policy)
    for mutant in found:
        pieced, program = Pieced(mutant.policy, base), Program(mutant.policy)
        for facts in every_request():
            assert seen(pieced, facts) == seen(program, facts), (str(mutant), facts)


@pytest.mark.parametrize("name", ["invoice-type-and-medium", "withdrawal-route", "mdf-use-application"])
def test_shipped_mutants_of_pieces_answer_as_their_programs(shipped: Library, name: str) -> None:
    """Classification, lists and tables; a few mutants of each part, on the cases."""
    version = shipped.version(name, 1)
    examined = Examined(shipped, version)
    for mutant in mutants(version.policy)[::9]:
        pieced, program = Pieced(mutant.policy, examined.base), Program(mutant.policy)
        for case in examined.cases[::4]:
            resolve = shipped.resolver(case.as_of, None)
            assert run_case(case, pieced, resolve).differences == run_case(case, program, resolve).differences, (str(mutant), case.name)


def test_what_does_not_differ_by_pieces_does_not_differ(tmp_path: Path) -> None:
    loaded, version = gate(tmp_path, WEAK)
    examined = Examined(loaded, version)
    for mutant in mutants(version.policy):
        pieced = Pieced(mutant.policy, examined.base)
        for facts in every_request():
            examined.base.asked = []
            before = seen(examined.base, facts)
            (question,) = examined.base.asked
            if not pieced.differs(question, examined.shown):
                assert seen(pieced, facts) == before, (str(mutant), facts)


def test_alike() -> None:
    a, b = Unknown(frozenset("a")), Unknown(frozenset("b"))
    assert alike(a, Unknown(frozenset("a")))
    assert not alike(a, b)
    assert not alike(a, 1)
    assert not alike(Unknown(frozenset("a"), low=0), a)
    assert alike((1, Decimal("1.0")), (1, Decimal("1.00")))
    assert not alike((1, 2), (1, 2, 3))
    assert not alike(True, 1)


# -- killed and survived -------------------------------------------------------------------------------------------------------------------


def missed(found: Strength) -> set[str]:
    return {s.mutant.text for s in found.survivors}


def test_weak_cases_miss_the_boundary(tmp_path: Path) -> None:
    found = Examined(*gate(tmp_path, WEAK)).strength(compared)
    assert "`too-many`: `<` for `<=` in `persons <= parameters.seats`" in missed(found)
    assert "`not-paid`: `when: colour != green or colour == red` dropped" in missed(found)
    assert found.score < 80
    assert all(s.request is not None for s in found.survivors)


def test_strong_cases_kill_all_that_can_be_killed(tmp_path: Path) -> None:
    found = Examined(*gate(tmp_path, STRONG)).strength(compared)
    assert missed(found) == set()
    assert found.score == 100
    assert "`not-paid`: `colour == red` dropped from `colour != green or colour == red`" in {m.text for m in found.equivalent}


def test_proved_equal_means_equal_on_every_request_with_known_facts(tmp_path: Path) -> None:
    """Brute force over small domains: the proof never calls two different policies equal, and finds what is equal."""
    _, version = gate(tmp_path, WEAK)
    base = Pieced(version.policy, version.program)
    original = Program(version.policy)
    known = [facts for facts in every_request() if len(facts) == 3]
    equal = 0
    for mutant in mutants(version.policy):
        program = Program(mutant.policy)
        same = all(seen(original, facts) == seen(program, facts) for facts in known)
        verdict = compared(base, Pieced(mutant.policy, base))
        assert verdict.equal == same, str(mutant)
        if verdict.facts is not None and verdict.as_of is not None:
            assert seen(original, verdict.facts) != seen(program, verdict.facts), str(mutant)
        equal += same
    assert equal == 3


def test_lists_tables_and_dates_are_compared_rightly(tmp_path: Path) -> None:
    """What is proved equal answers every generated request alike; a request of the solver is answered differently."""
    put(tmp_path, "loan-request", 1, LOAN, LOAN_CASES)
    loaded = library.load(tmp_path)
    examined = Examined(loaded, loaded.version("loan-request", 1))
    generator = Requests(examined.policy, examined.cases, lambda as_of: [])
    made = [generator.request() for _ in range(150)]
    requests = [r for r in made if set(r.facts) == set(examined.policy.facts) and all(len(i) == 2 for i in r.facts["items"])]
    assert len(requests) > 60
    equal = different = 0
    for mutant in mutants(examined.policy):
        pieced = Pieced(mutant.policy, examined.base)
        verdict = compared(examined.base, pieced)
        equal += verdict.equal
        if verdict.equal:
            assert [r.facts for r in requests if examined.told_apart(pieced, r) is not None] == [], str(mutant)
        elif verdict.facts is not None and verdict.as_of is not None:
            different += 1
            assert examined.told_apart(pieced, Request(verdict.facts, verdict.as_of, "check", examined.cases[0])) is not None, str(mutant)
    assert (equal, different) > (2, 80)


def test_failing_cases_say_nothing(tmp_path: Path) -> None:
    loaded, version = gate(tmp_path, WEAK.replace("free: 1", "free: 2"))
    with pytest.raises(CasesFail, match="1 cases of gate-pass v1 fail: an ordinary car"):
        Examined(loaded, version)
    case_file(version.path).rename(tmp_path / "gone.yaml")
    with pytest.raises(CasesFail, match=r"gate-pass v1 has no cases; write v1.cases.yaml beside it"):
        Examined(loaded, version)
    (tmp_path / "gone.yaml").rename(case_file(version.path))
    assert score(loaded, version).fault == "1 cases of gate-pass v1 fail: an ordinary car; `policy test gate-pass` shows why"


def test_a_machine_and_its_open_events(tmp_path: Path) -> None:
    put(tmp_path, "door-lifecycle", 1, DOOR, DOOR_CASES)
    loaded = library.load(tmp_path)
    version = loaded.version("door-lifecycle", 1)
    weak = Examined(loaded, version).strength(compared)
    assert "`unlock-it`: the transition removed" in missed(weak)
    put(tmp_path, "door-lifecycle", 1, DOOR, DOOR_CASES + EVENTS)
    loaded = library.load(tmp_path)
    found = Examined(loaded, loaded.version("door-lifecycle", 1)).strength(compared)
    assert "`open-it`: the transition removed" not in missed(found)
    assert found.killed > weak.killed


def test_facts_of_other_policies_are_mutated_and_never_proved(shipped: Library) -> None:
    version = shipped.version("service-path-certification", 1)
    found = mutants(version.policy, only="fact")
    assert {m.part[1] for m in found} >= {"headcount.hccda", "headcount.hccdp"}
    examined = Examined(shipped, version)
    killed = [m for m in found if examined.killer(Pieced(m.policy, examined.base), "fact") is not None]
    assert killed


# -- requests and proposals ----------------------------------------------------------------------------------------------------------------


def test_requests_are_legal_and_repeat_themselves(shipped: Library) -> None:
    version = shipped.version("withdrawable-amount", 1)
    cases = load_cases(case_file(version.path))
    first, again = (Requests(version.policy, cases, lambda as_of: []) for _ in range(2))
    for _ in range(150):
        request = first.request()
        assert request.facts == again.request().facts
        version.program.check(request.facts, request.as_of)


def test_proposals_are_small_and_kill(tmp_path: Path) -> None:
    loaded, version = gate(tmp_path, WEAK)
    examined = Examined(loaded, version)
    found = examined.strength(compared)
    proposed = proposals(examined, found.survivors)
    assert sum(len(p.survivors) for p in proposed) == len(found.survivors)
    for proposal in proposed:
        for survivor in proposal.survivors:
            told = examined.told_apart(Pieced(survivor.mutant.policy, examined.base), proposal.request)
            assert told is not None
            assert told[0] == proposal.original
        changed = {n for n in ("persons", "colour", "paid") if proposal.request.facts.get(n) != {"persons": 2, "colour": "red", "paid": True}[n]}
        assert len(changed) <= 2


def test_a_written_proposal_waits_for_a_person(tmp_path: Path) -> None:
    loaded, version = gate(tmp_path, WEAK)
    examined = Examined(loaded, version)
    found = examined.strength(compared)
    text = written(examined, proposals(examined, found.survivors), [s for s in found.survivors if s.request is None])
    path = case_file(version.path)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RuleFileError, match="expect"):
        load_cases(path)
    confirmed = yaml.safe_load(text)
    for case in confirmed["cases"]:
        facts = {n: v for n, v in (confirmed["base"] | case.get("facts", {})).items() if n not in case.get("unknown", [])}
        answer = seen(version.program, facts)  # stands for the person who looks the answer up
        case["expect"] = {k: answer[k] for k in ("outcome", "reasons", "warnings", "missing", "outputs")}
    confirmed["cases"] += yaml.safe_load(WEAK)["cases"]
    path.write_text(yaml.safe_dump(confirmed, sort_keys=False), encoding="utf-8")
    assert Examined(loaded, version).strength(compared).score == 100


# -- scores and commands -------------------------------------------------------------------------------------------------------------------


def run(root: Path, *arguments: str) -> int:
    top = argparse.ArgumentParser()
    top.add_argument("--root", type=Path, default=root)
    strength.add(top.add_subparsers(required=True))
    options = top.parse_args(arguments)
    code: int = options.run(options)
    return code


def test_the_command_tells_the_survivors_and_their_cases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gate(tmp_path, WEAK)
    assert run(tmp_path, "mutate", "gate-pass@1") == 0
    told = capsys.readouterr().out
    assert "`too-many`: `<` for `<=` in `persons <= parameters.seats`" in told
    assert "expect: TODO" in told
    assert run(tmp_path, "mutate", "gate-pass", "--write") == 0
    assert (tmp_path / "samples" / "gate-pass" / "v1.survivors.yaml").read_text(encoding="utf-8").endswith("expect: TODO\n")
    assert len(library.load(tmp_path).versions["gate-pass"]) == 1


def test_the_score_may_be_too_low(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gate(tmp_path, WEAK)
    assert run(tmp_path, "mutate", "--score", "--min", "95", "--page", str(tmp_path / "scores.md")) == 1
    assert "1 of 1 versions are too weak: gate-pass@1" in capsys.readouterr().err
    assert "| gate-pass | 1 | 3 |" in (tmp_path / "scores.md").read_text(encoding="utf-8")
    gate(tmp_path, STRONG)
    assert run(tmp_path, "mutate", "--score", "--min", "95", "--json") == 0
    assert '"percent": "100.0"' in capsys.readouterr().out
    with pytest.raises(ValueError, match="name a version"):
        run(tmp_path, "mutate")


def test_several_workers_give_the_same(tmp_path: Path) -> None:
    gate(tmp_path, WEAK)
    put(tmp_path, "door-lifecycle", 1, DOOR, DOOR_CASES)
    loaded = library.load(tmp_path)
    versions = list(loaded.all())
    assert list(scores(loaded, versions, workers=2)) == [score(loaded, v) for v in versions]


def test_a_score_is_never_rounded_up() -> None:
    assert percent(9499, 10000) == Decimal("94.9")
    assert percent(19, 20) == 95
    assert percent(0, 0) == 100
    with pytest.raises(SystemExit):
        run(Path(), "mutate", "--score", "--min", "much")


def test_the_page() -> None:
    found = [Score("a", 1, 10, 100, 90, 5, ("line 1: x",)), Score("b", 2, fault="1 cases of b v2 fail")]
    text = page(found)
    assert "| a | 1 | 10 | 100 | 5 | 90 | 1 | 94.7 % |" in text
    assert "| b | 2 | 0 | 0 | 0 | 0 | 0 | 1 cases of b v2 fail |" in text
    assert "**a v1**\n\n- line 1: x\n" in text
