"""Questions to the solver: proved, refuted with a model that the engine confirms, or undecided and why."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
import z3

from engine.check import check_text
from engine.decide import Program
from engine.policy import Policy
from proofs.folding import and_, not_
from proofs.lowering import Reading
from proofs.solver import Asker, confirmed
from proofs.symbols import World
from proofs.terms import truth

TEXT = """\
policy: asked
version: 1
family: incentives
form: [compute, check]
title: {en: Asked, zh: 问}
question: {en: What?, zh: 什么？}
effective: {from: 2025-01-16}
source: {document: made up, section: "1", refs: [A-001]}
parameters:
  months: {type: integer, value: 3}
  open:   {type: money, unset: true}
facts:
  since:  {type: date}
  until:  {type: date}
  amount: {type: money, unit: CNY}
  share:  {type: ratio}
  name:   {type: text, nullable: true}
  sold:
    type: list of record
    fields:
      price: {type: money, unit: CNY}
      good:  {type: bool}
requirements:
  - code: too-late
    require: date(as_of) <= add_months(since, parameters.months)
    effect: deny
    reason: {en: Late., zh: 晚。}
    remedy: {en: Hurry., zh: 请加快。}
    source: {refs: [A-001]}
  - code: working
    require: add_working_days(since, 5) <= until
    effect: review
    reason: {en: Too soon., zh: 太早。}
    remedy: {en: Wait., zh: 请等待。}
    source: {refs: [A-001]}
  - code: no-mail
    when: name is not null
    require: matches(name, "[a-z]+@[a-z]+") and length(name) <= 9
    effect: warn
    reason: {en: No address., zh: 不是邮箱。}
    source: {refs: [A-001]}
  - code: below-open
    require: amount >= parameters.open
    effect: warn
    reason: {en: Low., zh: 低。}
    source: {refs: [A-001]}
outputs:
  total: {type: money, unit: CNY, value: sum(s.price for s in sold if s.good), source: {refs: [A-001]}}
"""


@pytest.fixture(scope="module")
def policy() -> Policy:
    return check_text(TEXT)


def test_three_months_are_no_less_than_89_days(policy: Policy) -> None:
    reading = Reading(policy)
    asker = Asker([reading], 60)
    since, today = reading.facts["since"].value, z3.Int("as_of")
    assert asker.ask(reading.violated("too-late"), today <= since + 88).impossible
    assert asker.ask(reading.violated("too-late"), today == since + 92).possible
    assert asker.ask(not_(reading.violated("too-late")), today == since + 93).impossible


def test_days_of_functions_are_exact_in_a_model(policy: Policy) -> None:
    """Around the Chinese New Year of 2025 five working days take sixteen days."""
    reading = Reading(policy)
    asker = Asker([reading], 60)
    since, until = reading.facts["since"].value, reading.facts["until"].value
    found = asker.ask(since == date(2025, 1, 24).toordinal(), not_(reading.violated("working")), until <= since + 12)
    assert found.impossible
    found = asker.ask(not_(reading.violated("working")), until == since + 13, since > date(2025, 1, 1).toordinal())
    program = Program(policy)
    shown = confirmed(asker, [program], found.model)
    assert shown is not None
    assert "working" not in shown.said[0].reasons


@pytest.mark.parametrize("violated", [False, True])
@pytest.mark.parametrize("code", ["too-late", "working", "no-mail"])
def test_witnesses_are_confirmed(policy: Policy, code: str, violated: bool) -> None:
    reading, program = Reading(policy), Program(policy)
    asker = Asker([reading], 60)
    fired = reading.violated(code)
    found = asker.ask(fired if violated else and_(truth(reading.guard(code)), not_(fired)), nice=True)
    assert found.possible
    shown = confirmed(asker, [program], found.model)
    assert shown is not None
    assert (code in (*shown.said[0].reasons, *shown.said[0].warnings)) == violated


def test_what_is_left_free_is_told(policy: Policy) -> None:
    reading = Reading(policy)
    assert reading.free(reading.violated("no-mail")) == {"text patterns", "length of texts"}
    assert reading.free(reading.violated("too-late")) == frozenset()
    assert reading.bounded(reading.output("total").value) == {"sold"}
    assert reading.bounded(reading.violated("working")) == frozenset()


def test_an_unset_parameter_leaves_a_rule_open(policy: Policy) -> None:
    reading = Reading(policy)
    asker = Asker([reading], 60)
    assert reading.fired("below-open").waits.unset is True
    assert asker.ask(reading.violated("below-open")).impossible


@pytest.mark.parametrize(
    ("kind", "condition"),
    [
        ("bool", "not parameters.open"),
        ("date", "since <= parameters.open"),
        ("datetime", "as_of < parameters.open"),
        ("enum, values: [a, b]", "parameters.open != 'a'"),
        ("set of enum, values: [a, b]", "('a' in parameters.open)"),
    ],
)
def test_an_unset_parameter_may_be_of_any_type(kind: str, condition: str) -> None:
    text = TEXT.replace("{type: money, unset: true}", f"{{type: {kind}, unset: true}}").replace("amount >= parameters.open", condition)
    reading = Reading(check_text(text))
    assert reading.fired("below-open").waits.unset is True
    assert Asker([reading], 60).ask(reading.violated("below-open")).impossible


def test_a_parameter_may_be_a_variable(policy: Policy) -> None:
    reading = Reading(policy, symbolic=("months", "open"))
    asker = Asker([reading], 60)
    months = z3.Int("parameters.months")
    assert asker.ask(reading.violated("too-late"), months >= 400).impossible
    assert asker.ask(reading.violated("too-late"), months >= 2).possible
    assert asker.ask(reading.violated("below-open")).possible


def test_an_unknown_fact_leaves_its_rules_open(policy: Policy) -> None:
    reading = Reading(policy, unknown=True)
    asker = Asker([reading], 60)
    known = {n: z3.Bool(f"known:{n}") for n in policy.facts}
    assert asker.ask(reading.violated("too-late"), z3.Not(known["since"])).impossible
    others = [known[n] for n in known if n != "since"]
    assert asker.ask(reading.is_outcome("undetermined"), z3.Not(known["since"]), *others).possible
    assert asker.ask(reading.is_outcome("allowed"), z3.Not(known["since"])).impossible
    assert asker.ask(reading.is_outcome("undetermined"), *known.values()).impossible


def test_facts_may_be_fixed(policy: Policy) -> None:
    reading = Reading(policy, given={"since": date(2025, 1, 31), "amount": Decimal("5.00")})
    asker = Asker([reading], 60)
    assert asker.ask(reading.violated("too-late"), z3.Int("as_of") == date(2025, 4, 30).toordinal()).impossible
    assert asker.ask(not_(reading.violated("too-late")), z3.Int("as_of") == date(2025, 5, 1).toordinal()).impossible


def test_sums_over_lists(policy: Policy) -> None:
    reading, program = Reading(policy, World(items=3)), Program(policy)
    asker = Asker([reading], 60)
    total = reading.output("total").value
    found = asker.ask(total == 30, z3.Int("count:sold") == 3, nice=True)
    shown = confirmed(asker, [program], found.model)
    assert shown is not None
    assert shown.said[0].outputs["total"] == "30.00"
    assert asker.ask(total > 0, z3.Int("count:sold") == 0).impossible


def test_the_limit_is_said(policy: Policy) -> None:
    reading = Reading(policy)
    found = Asker([reading], 0.0).ask(reading.violated("no-mail"))
    assert (found.status, found.reason) == ("undecided", "undecided within 0 s")
    assert found.free == {"text patterns", "length of texts"}


def test_a_core_names_what_excludes(policy: Policy) -> None:
    reading = Reading(policy)
    amount = reading.facts["amount"].value
    asker = Asker([reading], 60)
    assert asker.core([amount > 3, reading.facts["share"].value > 1, amount < 2], True) == [0, 2]
    assert asker.core([amount > 3], True) is None
