"""The semantic difference: exactly the cases that differ lie in its regions; every example is what the engine says."""

from __future__ import annotations

import itertools
import re
from functools import cache
from pathlib import Path
from random import Random

import pytest

from engine.decide import Program, with_parameters
from engine.library import Library, load
from engine.policy import Policy
from proofs.difference import Difference, difference
from proofs.symbols import World
from proofs.witness import Point
from tests.small import AS_OF, answers, made, rules_text

ROOT = Path(__file__).parent.parent / "policies"


@cache
def library() -> Library:
    return load(ROOT)


def pairs() -> list[tuple[str, int, int]]:
    versions = {p: sorted(v) for p, v in library().versions.items()}
    return [(p, a, b) for p, found in versions.items() for a, b in itertools.pairwise(found)]


def changed(text: str, random: Random) -> str:
    """The same policy with one thing in it changed."""
    spots = list(re.finditer(r"== [abc]\b|\[a, b\]|[<>]=? \d|effect: deny|then: \d", text))
    spot = random.choice(spots)
    old = spot.group()
    new = {"[a, b]": "[b, c]", "effect: deny": "effect: review"}.get(old)
    if new is None:
        new = f"{old[:-1]}{'bca'['abc'.index(old[-1])] if old[-1] in 'abc' else (int(old[-1]) + 1) % 6}"
    return (text[: spot.start()] + new + text[spot.end() :]).replace("version: 1", "version: 2", 1)


def compared(before: Policy, after: Policy) -> tuple[Difference, World]:
    world = World()
    return difference(before, after, seconds=60, world=world), world


@pytest.mark.parametrize("seed", range(30))
def test_exactly_the_cases_that_differ_lie_in_the_regions(seed: int) -> None:
    random = Random(seed)
    text = rules_text(random)
    before, after = made(text), made(changed(text, random))
    found, world = compared(before, after)
    told = []
    for (facts, a), (_, b) in zip(answers(before), answers(after), strict=True):
        slots = dict(zip(before.facts, Program(before).slots(facts, AS_OF, None)[0], strict=True))
        inside = any(Point.of(before, world, slots, AS_OF).holds(region.term) for region in found.regions)
        assert inside == (a != b), facts
        told.append(inside)
    assert found.status == ("different" if any(told) else "equivalent")
    assert all(region.example is not None for region in found.regions)


@pytest.mark.parametrize("seed", range(15))
def test_the_conditions_in_words_are_the_conditions(seed: int) -> None:
    """Each literal, read back as an expression of the rule language, is true of its example."""
    random = Random(100 + seed)
    text = rules_text(random)
    before, after = made(text), made(changed(text, random))
    found, _ = compared(before, after)
    for region in found.regions:
        assert region.example is not None
        for facts in [region.example.witness.facts]:
            held = []
            for cube in region.conditions:
                lines = [f"  f{i}: {_whole(literal.en)}" for i, literal in enumerate(cube)]
                if any("differs" in x.en or "violated" in x.en for x in cube):
                    held.append(True)
                    continue
                checked = made(text.replace("requirements:", "formulas:\n" + "\n".join(lines) + "\nrequirements:", 1))
                program = Program(checked)
                result = program.result(facts, AS_OF)
                held.append(all(result.values[program.value_index[f"f{i}"]] is True for i in range(len(cube))))
            assert any(held)


def _whole(condition: str) -> str:
    """A comparison by order means that the fact is not null."""
    return f"n is not null and ({condition})" if re.search(r"\bn [<>]", condition) else condition


def test_a_version_is_equivalent_to_itself_and_to_another_wording() -> None:
    text = rules_text(Random(3))
    found, _ = compared(made(text), made(text.replace("coalesce(n, 1) * 2", "2 * coalesce(n, 1)").replace("version: 1", "version: 2")))
    assert (found.status, found.regions, found.structure) == ("equivalent", (), ())


def test_facts_and_outputs_of_one_version_only_are_told() -> None:
    text = rules_text(Random(3))
    more = text.replace("  flag:", "  more: {type: bool, note: not read}\n  flag:").replace("version: 1", "version: 2")
    found, _ = compared(made(text), made(more))
    assert found.status == "different"
    assert [s["en"] for s in found.structure] == ["the fact more is known to v2 only"]


@pytest.mark.parametrize(("policy", "a", "b"), pairs())
def test_the_difference_of_released_versions_is_complete(policy: str, a: int, b: int) -> None:
    before, after = library().version(policy, a), library().version(policy, b)
    found = difference(before.policy, after.policy, seconds=60, programs=(before.program, after.program))
    assert found.status == "different"
    assert 1 <= len(found.regions) <= 8
    for region in found.regions:
        assert region.outcomes
        assert any(change.always for change in region.changes)
        assert region.example is not None
        said = region.example.said
        assert said[0] != said[1]
        facts = {n: v for n, v in region.example.witness.facts.items() if n in after.policy.facts}
        answer = after.program.check(facts, region.example.witness.as_of) if said[1].outcome != "error" else {"outcome": "error"}
        assert answer["outcome"] == said[1].outcome
        assert all(literal.en and literal.zh for cube in region.conditions for literal in cube)
    assert not [x.en for r in found.regions for cube in r.conditions for x in cube if "differs between" in x.en or "violated in" in x.en]


def test_the_difference_that_a_changed_parameter_makes() -> None:
    version = library().version("withdrawable-amount", 1)
    found = difference(version.policy, with_parameters(version.policy, {"floor": "5.00"}), seconds=60)
    assert found.status == "different"
    shown = " ".join(x.en for r in found.regions for cube in r.conditions for x in cube)
    assert "5.00 (parameters.floor, after)" in shown


def test_a_limit_that_is_too_short_is_said() -> None:
    version = library().versions["voucher-issue"]
    found = difference(version[1].policy, version[6].policy, seconds=0.0)
    assert found.status == "undecided"
    assert found.reason is not None
    assert "undecided within" in found.reason
