"""Small random policies over few facts, so that everything about them can be counted out."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import datetime
from random import Random
from typing import Any

from engine.check import check_text
from engine.decide import Program
from engine.errors import EvaluationError
from engine.policy import Policy
from engine.types import SHANGHAI

AS_OF = datetime(2025, 6, 2, tzinfo=SHANGHAI)
KINDS = ("a", "b", "c")
#: No rule names a number above 5, so nothing new happens beyond 7.
NUMBERS = range(8)
HEAD = """\
policy: small
version: {version}
family: incentives
form: [compute, check]
title: {{en: Small, zh: 小}}
question: {{en: What now?, zh: 怎么办？}}
effective: {{from: 2025-01-16}}
source: {{document: made up, section: "1", refs: [A-001]}}
facts:
  kind: {{type: enum, values: [a, b, c]}}
  flag: {{type: bool}}
  n:    {{type: integer, nullable: true}}
"""
RULE = """\
  - code: {code}
{when}    require: {require}
    effect: {effect}
    reason: {{en: Not so., zh: 不行。}}
    remedy: {{en: Change it., zh: 请修改。}}
    source: {{refs: [A-001]}}
"""


def condition(random: Random, depth: int = 2) -> str:
    """A condition on the facts, always with a test for null where it is needed."""
    if depth and random.random() < 0.6:
        parts = [condition(random, depth - 1) for _ in range(2)]
        return random.choice((f"({parts[0]} and {parts[1]})", f"({parts[0]} or {parts[1]})", f"not {parts[0]}"))
    number = random.randrange(6)
    return random.choice(
        (
            f"kind == {random.choice(KINDS)}",
            "kind in [a, b]",
            "flag",
            "n is null",
            f"(n is not null and n {random.choice(('<', '<=', '>', '>=', '=='))} {number})",
            f"coalesce(n, 1) * 2 < {number}",
        )
    )


def rules_text(random: Random, count: int = 4, version: int = 1) -> str:
    """A policy of some requirements and one output."""
    text = HEAD.format(version=version) + "requirements:\n"
    for i in range(count):
        when = f"    when: {condition(random)}\n" if random.random() < 0.5 else ""
        text += RULE.format(code=f"r{i}", when=when, require=condition(random), effect=random.choice(("deny", "deny", "review", "warn")))
    lines = "".join(f"        - {{when: '{condition(random)}', then: {random.randrange(3)}}}\n" for _ in range(2))
    return text + f"outputs:\n  level:\n    type: integer\n    value:\n      first:\n{lines}        - {{else: 9}}\n    source: {{refs: [A-001]}}\n"


def made(text: str) -> Policy:
    return check_text(text)


def everything() -> Iterator[dict[str, Any]]:
    """Every case of the facts that can make a difference."""
    for kind, flag, n in itertools.product(KINDS, (False, True), (None, *NUMBERS)):
        yield {"kind": kind, "flag": flag, "n": n}


def answers(policy: Policy) -> list[tuple[dict[str, Any], Any]]:
    """The engine's answer to each of them: outcome, reasons and warnings with their effects, outputs; or the kind of an error."""
    program = Program(policy)
    found: list[tuple[dict[str, Any], Any]] = []
    for facts in everything():
        try:
            answer = program.check(facts, AS_OF)
        except EvaluationError as error:
            found.append((facts, error.kind))
            continue
        codes = tuple(tuple((entry["code"], entry["effect"]) for entry in answer[part]) for part in ("reasons", "warnings"))
        found.append((facts, (answer["outcome"], *codes, tuple(sorted(answer["outputs"].items())))))
    return found
