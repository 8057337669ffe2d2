"""The proof reading against the engine: generated facts put into the terms give the engine's outcome, fired rules and outputs."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from engine.cases import Case, case_file, load_cases
from engine.check import load_policy
from engine.decide import Program
from engine.errors import FactsError
from engine.library import Library, load, rule_files
from engine.policy import Policy
from engine.types import plain
from proofs.lowering import Reading
from proofs.symbols import World
from proofs.witness import Witness, asked, predicted
from tests.generate import Generator, Request

ROOT = Path(__file__).parent.parent / "policies"
EVERYTHING = Path(__file__).with_name("everything.yaml")
EXAMPLES = int(os.environ.get("POLICY_PROOF_EXAMPLES", "12"))
#: Lists of the readings have at most so many items.
ITEMS = 5
VERSIONS = [EVERYTHING.stem] + [str(p.relative_to(ROOT).with_suffix("")) for p in rule_files(ROOT)]


@cache
def library() -> Library:
    return load(ROOT)


def subject(name: str) -> tuple[Policy, list[Case]]:
    path = EVERYTHING if name == EVERYTHING.stem else ROOT / f"{name}.yaml"
    return load_policy(path), load_cases(case_file(path))


def complete(made: Generator, program: Program, request: Request) -> Witness | None:
    """The request with every fact known, its own facts only; None if it is illegal."""
    try:
        request = made.filled(request, made.absent(request))
        slots = program.reader.slots({n: v for n, v in request.facts.items() if n in program.policy.facts})
    except FactsError:
        return None
    facts = {n: plain(v, f.type) for (n, f), v in zip(program.policy.facts.items(), slots, strict=True)}
    return Witness(facts, request.as_of)


@pytest.mark.parametrize("name", VERSIONS)
def test_terms_say_what_the_engine_says(name: str) -> None:
    policy, cases = subject(name)
    program = Program(policy)
    reading = Reading(policy, World(items=ITEMS))
    made = Generator(policy, [c for c in cases if c.expect.error is None], lambda _: [], 7)
    compared = 0
    for turn in range(3 * EXAMPLES):
        request = Request(dict(cases[turn].facts), cases[turn].as_of) if turn < min(len(cases), EXAMPLES // 2) else made.request()
        made.defs = dict(policy.facts)
        request.facts = {n: v for n, v in request.facts.items() if n in policy.facts}
        witness = complete(made, program, request)
        if witness is None:
            continue
        try:
            said = predicted(reading, program, witness)
        except ValueError:
            continue  # a list that is longer than those of the reading
        engine = asked(program, witness)
        shown = (engine.outcome, engine.reasons, engine.warnings, engine.outputs)
        assert (said.outcome, said.reasons, said.warnings) == shown[:3], witness
        assert {n: (v, engine.outputs[n]) for n, v in said.outputs.items() if v != engine.outputs[n]} == {}, witness
        compared += 1
        if compared >= EXAMPLES:
            break
    assert compared >= min(3, EXAMPLES)


@pytest.mark.parametrize("name", VERSIONS)
def test_what_the_terms_determine_without_some_facts_the_engine_says_too(name: str) -> None:
    """The reading may leave more open than the engine (it does not know the bounds of absent numbers), but never says anything else."""
    policy, cases = subject(name)
    program = Program(policy)
    reading = Reading(policy, World(items=4), unknown=True)
    made = Generator(policy, [c for c in cases if c.expect.error is None], lambda _: [], 11)
    compared = determined = 0
    for _ in range(3 * EXAMPLES):
        request = made.request()
        made.defs = dict(policy.facts)
        request.facts = {n: v for n, v in request.facts.items() if n in policy.facts}
        witness = complete(made, program, request)
        if witness is None:
            continue
        for gone in made.random.sample(sorted(witness.facts), min(len(witness.facts), made.random.randrange(1, 4))):
            del witness.facts[gone]
        try:
            said = predicted(reading, program, witness)
        except ValueError:
            continue
        engine = asked(program, witness)
        if said.outcome != "undetermined":
            assert said.outcome == engine.outcome, witness
            determined += 1
        if engine.outcome != "error":
            assert set(said.reasons) <= set(engine.reasons), witness
            assert {n: (v, engine.outputs[n]) for n, v in said.outputs.items() if not holds(v, engine.outputs[n])} == {}, witness
        compared += 1
        if compared >= EXAMPLES:
            break
    assert compared >= min(3, EXAMPLES)
    assert determined


@pytest.mark.parametrize("name", VERSIONS)
def test_a_fact_may_be_fixed_to_none(name: str) -> None:
    """It alone, and with all other facts fixed as well: conditions fold, and what is built on a null must not stop them."""
    policy, cases = subject(name)
    program = Program(policy)
    made = Generator(policy, [c for c in cases if c.expect.error is None], lambda _: [], 13)
    nullable = [n for n, f in policy.facts.items() if f.nullable]
    if not nullable:
        pytest.skip("no fact may be none")

    def drawn(fact: str) -> Witness | None:
        request = made.request()
        made.defs = dict(policy.facts)
        request.facts = {n: v for n, v in request.facts.items() if n in policy.facts} | {fact: None}
        found = complete(made, program, request)
        return found if found is not None and all(len(v) <= ITEMS for v in found.facts.values() if isinstance(v, list)) else None

    for fact in nullable:
        witness = next(w for _ in range(100) if (w := drawn(fact)) is not None)
        slots = dict(zip(policy.facts, program.reader.slots(witness.facts), strict=True))
        assert slots[fact] is None
        engine = asked(program, witness)
        for given in ({fact: None}, slots):
            said = predicted(Reading(policy, World(items=ITEMS), given=given), program, witness)
            assert (said.outcome, said.reasons, said.warnings) == (engine.outcome, engine.reasons, engine.warnings), (fact, witness)
            assert said.outputs == engine.outputs, (fact, witness)


def holds(part: Any, whole: Any) -> bool:
    """Is the second value the first with nulls filled in?"""
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(holds(value, whole[key]) for key, value in part.items())
    if isinstance(part, list) and isinstance(whole, list):
        return len(part) == len(whole) and all(holds(a, b) for a, b in zip(part, whole, strict=True))
    return part is None or bool(part == whole)
