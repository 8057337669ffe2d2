"""Mutants: what is changed and what is not, on a small policy that uses every part of a rule file."""

from __future__ import annotations

from itertools import combinations

import pytest

from engine import library
from engine import syntax as s
from engine.check import check_text
from engine.policy import Policy
from engine.source import parse
from engine.unparse import text
from proofs.mutants import Mutant, mutants
from proofs.narrowing import Nullable
from tests.conftest import DOOR, SHIPPED

LOAN = """\
policy: loan-request
version: 1
family: samples
form: [check, compute]
title: {en: Asking for a loan, zh: 申请贷款}
question: {en: May this loan be given?, zh: 可以贷款吗？}
effective: {from: 2025-01-01}
source: {document: sample guide, section: "1"}

parameters:
  limit:    {type: money, value: "1000.00"}
  begins:   {type: date, value: 2025-03-01}
  partners: {type: set of enum, value: [gold, silver]}
  later:    {type: integer, unset: true}

facts:
  amount:  {type: money, unit: CNY}
  level:   {type: enum, values: [basic, silver, gold]}
  signed:  {type: bool}
  months:  {type: integer, nullable: true}
  medium:  {type: enum, values: [paper, digital]}
  items:
    type: list of record
    fields:
      price: {type: money, unit: CNY}
      used:  {type: bool}

tables:
  fees:
    hit: first
    inputs:
      level:  {type: enum, values: [basic, silver, gold]}
      amount: {type: money}
    outputs:
      fee: {type: money}
    rows:
      - {level: [silver, gold], amount: "[0.00..500.00)", fee: "1.00"}
      - {level: gold, amount: ">= 500.00", fee: "2.00"}
      - {level: any, amount: any, fee: "5.00"}
scales:
  rate: {mode: marginal, brackets: [{from: "0", rate: "0.01"}, {from: "100", rate: "0.02"}]}

requirements:
  - code: over-limit
    require: amount <= parameters.limit
    effect: deny
    reason: {en: Too much., zh: 太多。}
    remedy: {en: Ask for less., zh: 请降低金额。}
    source: {section: "1.1"}
  - code: not-signed
    when: level in parameters.partners and amount > 100
    require: signed
    effect: review
    reason: {en: Not signed., zh: 未签署。}
    remedy: {en: Sign it., zh: 请签署。}
    source: {section: "1.2"}
  - code: too-long
    when: months is not null
    require: months < 12 or level == gold
    effect: deny
    reason: {en: Too long., zh: 太长。}
    remedy: {en: Ask for fewer months., zh: 请缩短期限。}
    source: {section: "1.3"}
  - code: paper-only
    when: date(as_of) >= parameters.begins
    require: medium == paper
    effect: warn
    reason: {en: Paper only., zh: 仅限纸质。}
    source: {section: "1.4"}

formulas:
  spent: sum(i.price for i in items if i.used)
  long: months is not null and months > 6

outputs:
  rest:
    type: money
    value:
      first:
        - {when: amount > spent, then: amount - spent}
        - {when: long, then: "1.00"}
        - {else: "0.00"}
  fee:   {type: money, value: "tables.fees(level=level, amount=amount).fee"}
  share: {type: money, value: "round_half_up(scales.rate(amount), 2)"}
  media: {type: set of enum, values: [paper, digital], value: {passing: medium, codes: [paper-only]}}
"""

#: Touches a part of the loan policy only.
LOAN_CASES = """\
policy: loan-request
version: 1
as_of: 2025-02-01
base: {amount: "100.00", level: gold, signed: true, months: null, medium: paper, items: []}
cases:
  - name: an ordinary loan
    expect: {outcome: allowed, outputs: {fee: "1.00"}}
  - name: the limit
    facts: {amount: "1000.00"}
    expect: {outcome: allowed, outputs: {fee: "2.00"}}
  - name: a fen more
    facts: {amount: "1000.01"}
    expect: {outcome: denied, reasons: [over-limit]}
"""


@pytest.fixture(scope="module")
def loan() -> Policy:
    return check_text(LOAN, "loan.yaml")


@pytest.fixture(scope="module")
def made(loan: Policy) -> list[Mutant]:
    return mutants(loan, parse(LOAN.encode(), "loan.yaml"))


def told(found: list[Mutant], *part: str) -> list[str]:
    return [m.text for m in found if not part or m.part == part]


def test_a_requirement_is_changed_in_every_way(made: list[Mutant]) -> None:
    assert told(made, "requirement", "over-limit") == [
        "`over-limit`: effect review for deny",
        "`over-limit`: effect warn for deny",
        "`over-limit`: effect undetermined for deny",
        "`over-limit`: `<` for `<=` in `amount <= parameters.limit`",
        "`over-limit`: `amount <= parameters.limit` negated",
    ]
    guarded = told(made, "requirement", "not-signed")
    for wanted in (
        "`when: level in parameters.partners and amount > 100` dropped",
        "`level in parameters.partners and amount > 100` negated",
        "`or` for `and` in `level in parameters.partners and amount > 100`",
        "`amount > 100` dropped from `level in parameters.partners and amount > 100`",
        "`>=` for `>` in `amount > 100`",
        "`100.01` for `100`",
        "`99.99` for `100`",
        "`level in parameters.partners` negated",
        "`signed` negated",
    ):
        assert f"`not-signed`: {wanted}" in guarded


def test_a_test_for_null_is_not_dropped_where_the_value_is_used(made: list[Mutant]) -> None:
    found = told(made, "requirement", "too-long") + told(made, "value", "long")
    assert "`too-long`: `when: months is not null` dropped" not in found
    assert not [t for t in found if "`months is not null` dropped" in t or "`or` for `and` in `months is not null" in t]
    assert "`too-long`: `level == gold` dropped from `months < 12 or level == gold`" in found
    assert "`too-long`: `basic` for `gold`" in found
    assert "`long`: `7` for `6`" in found


def test_parameters_take_one_step(made: list[Mutant]) -> None:
    assert told(made, "parameter", "limit") == ["`parameters.limit` 1000.01 for 1000", "`parameters.limit` 999.99 for 1000"]
    assert told(made, "parameter", "begins") == ["`parameters.begins` 2025-03-02 for 2025-03-01", "`parameters.begins` 2025-02-28 for 2025-03-01"]
    assert told(made, "parameter", "partners") == ["`parameters.partners` [silver] for [gold, silver]", "`parameters.partners` [gold] for [gold, silver]"]
    assert told(made, "parameter", "later") == []


def test_tables_and_scales(made: list[Mutant]) -> None:
    found = told(made, "table", "fees")
    for wanted in (
        "row 1 removed", "row 1 after row 2", "row 1, `level`: any for its condition", "row 1, `level`: without gold", "row 2, `level`: basic for gold",
        "row 1, `amount`: to 500 included", "row 1, `amount`: to 500.01 for 500", "row 2, `amount`: from 499.99 for 500", "row 3, `fee`: 5.01 for 5",
    ):  # fmt: skip
        assert f"table `fees` {wanted}" in found
    assert "table `fees` row 3 after row 4" not in found
    scale = told(made, "scale", "rate")
    for wanted in ("mode whole for marginal", "from 100.01 for 100", "rate 0.03 for 0.02", "the bracket from 0 removed"):
        assert f"scale `rate` {wanted}" in scale


def test_values(made: list[Mutant]) -> None:
    found = told(made, "value", "rest")
    for wanted in (
        "the line `when: amount > spent` removed", "the line `when: amount > spent` after the next one", "`+` for `-` in `amount - spent`",
        "`1.01` for `1`", "`-0.01` for `0`",
    ):  # fmt: skip
        assert f"`rest`: {wanted}" in found
    assert "`spent`: `if i.used` dropped from `sum(i.price for i in items if i.used)`" in told(made, "value", "spent")
    assert "`share`: 1 places for 2 in `round_half_up(scales.rate(amount), 2)`" in told(made, "value", "share")
    assert told(made, "value", "media") == []


def test_outputs_that_try_values_follow_the_requirements(loan: Policy, made: list[Mutant]) -> None:
    changed = next(m for m in made if m.text == "`paper-only`: `!=` for `==` in `medium == paper`")
    assert changed.policy.values["media"].node != loan.values["media"].node
    assert [v for v, _ in changed.policy.values["media"].node.members] == ["paper", "digital"]  # type: ignore[attr-defined]
    untouched = next(m for m in made if m.part == ("requirement", "over-limit"))
    assert untouched.policy.values["media"].node == loan.values["media"].node


def test_every_mutant_differs_from_the_original_and_from_the_others(loan: Policy, made: list[Mutant]) -> None:
    for mutant in made:
        assert mutant.policy != loan
        assert mutant.policy.model is loan.model
    for a, b in combinations(made, 2):
        assert (a.part, a.text) != (b.part, b.text) or a.place != b.place


def test_places_lead_to_the_text(made: list[Mutant]) -> None:
    lines = LOAN.splitlines()
    for mutant in made:
        assert mutant.place.file == "loan.yaml"
        assert 1 <= mutant.place.line <= len(lines)
    cell = next(m for m in made if m.text == "table `fees` row 2, `amount`: from 500.01 for 500")
    assert lines[cell.place.line - 1].strip() == '- {level: gold, amount: ">= 500.00", fee: "2.00"}'
    assert str(cell) == f"line {cell.place.line}: {cell.text}"


def test_mutants_of_requirements_pass_the_checks_of_rule_files(loan: Policy, made: list[Mutant]) -> None:
    """Written back as text, each is a legal rule file that gives the same tree."""
    for mutant in (m for m in made if m.part[0] == "requirement" and m.kind != "effect"):
        before, after = (next(r for r in p.requirements if r.code == mutant.part[1]) for p in (loan, mutant.policy))
        rules = LOAN
        for key in ("when", "require"):
            old, new = getattr(before, key), getattr(after, key)
            if old != new:
                line = f"    {key}: {text(old)}\n"
                assert line in rules
                rules = rules.replace(line, "" if new is None else f"    {key}: {text(new)}\n")
        (found,) = [r for r in check_text(rules, "loan.yaml").requirements if r.code == mutant.part[1]]
        for wanted, got in ((after.when, found.when), (after.require, found.require)):
            assert (wanted and text(wanted)) == (got and text(got))


def test_a_machine() -> None:
    door = check_text(DOOR, "door.yaml")
    found = mutants(door)
    assert {m.part[0] for m in found} == {"transition", "requirement"}
    assert told(found, "transition", "lock-it") == [
        "`lock-it`: the transition removed",
        "`lock-it`: leads to `open` for `locked`",
        "`lock-it`: also for the role `guest`",
    ]
    removed = next(m for m in found if m.text == "`lock-it`: the transition removed")
    assert removed.policy.machine is not None
    assert [t.code for t in removed.policy.machine.transitions] == ["close-it", "open-it", "unlock-it"]


def test_every_kind_is_there(made: list[Mutant]) -> None:
    kinds = {m.kind for m in made}
    assert {"operator", "constant", "guard", "effect", "logic", "row", "cell", "scale", "parameter", "line", "negation", "rounding"} <= kinds


def test_only_one_part(loan: Policy) -> None:
    assert {m.part[0] for m in mutants(loan, only="parameter")} == {"parameter"}


def test_narrowing_finds_what_is_not_tested(loan: Policy) -> None:
    nullable = Nullable(loan)
    when = next(r for r in loan.requirements if r.code == "too-long")
    assert when.require is not None
    assert set(nullable.untested(when.require)) == {("Fact", "months")}
    assert list(nullable.untested(loan.values["long"].node)) == []


@pytest.mark.parametrize("name", ["withdrawal-route", "staff-certificate-count", "relation-change", "invoice-type-and-medium"])
def test_shipped_policies_have_no_mutant_without_a_place_or_with_an_open_null(name: str) -> None:
    loaded = library.load(SHIPPED)
    policy = loaded.version(name, 1).policy
    nullable = Nullable(policy)
    assert all(not set(nullable.untested(v.node)) for v in policy.values.values() if not isinstance(v.node, s.SetOf))
    found = mutants(policy)
    assert len(found) > 50
    assert all(m.place.line > 0 for m in found if m.part[0] != "scale")
