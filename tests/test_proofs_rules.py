"""Lints on requirements and lines: what is counted out over every case is what is found."""

from __future__ import annotations

from random import Random

import pytest

from engine.decide import Program
from engine.policy import Policy
from proofs.findings import Subject
from proofs.rules import rule_lints
from tests.plain import Plain
from tests.small import AS_OF, answers, everything, made, rules_text


def fired(policy: Policy) -> list[frozenset[str]]:
    return [frozenset(code for code, _ in (*said[1], *said[2])) for _, said in answers(policy)]


def applied(policy: Policy, code: str) -> list[bool]:
    """In which case is the guard of a requirement true? Asked of the engine's trace."""
    program = Program(policy)
    index = next(i for i, r in enumerate(program.plan.rules) if r.code == code)
    found = []
    for facts in everything():
        slots, _, _ = program.slots(facts, AS_OF, None)
        rule = program.plan.rules[index]
        if rule.guard is None:
            found.append(True)
            continue
        found.append(Plain(policy, dict(zip(policy.facts, slots, strict=True)), AS_OF).walk(rule.guard, {}) is True)
    return found


def counted(policy: Policy) -> set[tuple[str, str]]:
    """The same lints, from all cases."""
    states = fired(policy)
    guards = {r.code: applied(policy, r.code) for r in policy.requirements}
    effects = {r.code: r.effect for r in policy.requirements}
    found = set()
    live = [r.code for r in policy.requirements if any(r.code in s for s in states)]
    for code in effects:
        if code not in live:
            found.add(("never-violated" if any(guards[code]) else "guard-never-true", code))
    stronger = {"deny": ("deny",), "review": ("deny", "review"), "warn": ("warn",)}
    for a in live:
        for b in live:
            if a != b and effects[b] in stronger[effects[a]] and all(b in s for s in states if a in s) and ("implied", f"{b} by {a}") not in found:
                found.add(("implied", f"{a} by {b}"))
    tested = []
    for code in live:
        if effects[code] == "warn":
            continue
        if all(code in s for s, g in zip(states, guards[code], strict=True) if g):
            found.add(("never-met", code))
        else:
            tested.append(code)
    for i, a in enumerate(tested):
        for b in tested[i + 1 :]:
            both = [s for s, g, h in zip(states, guards[a], guards[b], strict=True) if g and h]
            if both and all(a in s or b in s for s in both):
                found.add(("never-both-hold", f"{a} and {b}"))
    if set(effects.values()) & {"deny", "review"} and all(said[0] != "allowed" for _, said in answers(policy)):
        found.add(("never-allowed", "small"))
    return found


@pytest.mark.parametrize("seed", range(25))
def test_what_is_counted_out_is_found(seed: int) -> None:
    policy = made(rules_text(Random(seed)))
    findings = list(rule_lints(Subject(policy, Program(policy))))
    found = {(f.lint, f.at) for f in findings if f.lint != "dead-line"}
    assert found == counted(policy)
    assert all(f.status == "proved" for f in findings)


@pytest.mark.parametrize("seed", range(25))
def test_dead_lines_are_those_that_no_case_takes(seed: int) -> None:
    text = rules_text(Random(seed))
    policy = made(text)
    found = {f.at for f in rule_lints(Subject(policy, Program(policy))) if f.lint == "dead-line"}
    # each line gives a number of its own, so that the answers tell which line was taken
    numbered = text
    for i in (1, 2):
        head, sep, tail = numbered.rpartition("{when: '") if i == 2 else _first_line(numbered)
        numbered = head + sep + tail.replace(tail[tail.index("then: ") : tail.index("}")], f"then: {i}", 1)
    taken = {dict(said[3])["level"] for _, said in answers(made(numbered))}
    assert found == {f"level line {i}" for i in (1, 2) if i not in taken}


def _first_line(text: str) -> tuple[str, str, str]:
    head, sep, tail = text.partition("      first:\n        - {when: '")
    return head, sep, tail


def test_a_witness_of_an_implied_requirement_violates_both() -> None:
    for seed in range(25):
        policy = made(rules_text(Random(seed)))
        program = Program(policy)
        for f in rule_lints(Subject(policy, program)):
            if f.lint == "implied" and f.witness is not None:
                answer = program.check(f.witness["facts"], AS_OF)
                codes = {entry["code"] for part in ("reasons", "warnings") for entry in answer[part]}
                assert set(f.at.split(" by ")) <= codes
