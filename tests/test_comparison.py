"""Two answers side by side."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from simulations.report.comparison import Comparison, compare, shown
from simulations.report.figures import Both
from tests import sample_summary


@pytest.fixture(scope="module")
def denied() -> dict[str, Any]:
    """A case that the longer waiting time denies."""
    return next(e for e in sample_summary.relation()["examples"] if (e["from"], e["to"]) == ("allowed", "denied"))


@pytest.fixture(scope="module")
def found(denied: dict[str, Any]) -> Comparison:
    return compare(denied)


def test_the_rule_that_decides_is_the_difference(found: Comparison) -> None:
    rules = [s for s in found.rules if s.head.differs]
    assert [s.head.name for s in rules] == ["customer-request-cooldown"]
    assert (rules[0].head.before, rules[0].head.after) == (Both("satisfied", "满足"), Both("violated", "违反"))
    assert [r.code for r in found.reasons if r.differs] == ["customer-request-cooldown"]
    assert found.reasons[0].before is None
    assert "6 months" in found.reasons[0].after.en  # type: ignore[union-attr]


def test_changed_parameters_stand_first_and_others_are_left_out(found: Comparison) -> None:
    assert [(p.name, p.before, p.after) for p in found.parameters] == [("cooldown_months", "3", "6"), ("window_months", "3", "4")]


def test_the_facts_behind_the_change_are_marked(found: Comparison, denied: dict[str, Any]) -> None:
    assert [f.name for f in found.facts if f.decisive] == ["customer.last_dissociation_request_on"]
    assert {f.name for f in found.facts} == set(denied["facts"])


def test_a_condition_shows_its_parts_with_both_values(found: Comparison) -> None:
    rule = next(s for s in found.rules if s.head.name == "customer-request-cooldown")
    line = next(p for p in rule.lines if p.name == "date(as_of) >= free_after_request")
    assert (line.before, line.after, line.differs, line.depth) == (Both("yes", "是"), Both("no", "否"), True, 0)
    inner = next(p for p in rule.lines if p.name == "free_after_request" and p.depth == 1 and p.differs)
    assert str(inner.before) < str(inner.after), "a later day"


def test_every_rule_and_value_of_both_traces_is_there_once(found: Comparison, denied: dict[str, Any]) -> None:
    for part, key, steps in (("rules", "code", found.rules), ("values", "name", found.values)):
        assert [s.head.name for s in steps] == [e[key] for e in denied["baseline"]["trace"][part]]


def test_without_the_whole_only_the_differences_keep_their_parts(denied: dict[str, Any]) -> None:
    brief = compare(denied, whole=False)
    assert all(s.lines for s in brief.rules if s.head.differs)
    assert not any(s.lines for s in brief.rules if not s.told)


def test_conditions_that_changed_stand_on_their_own_side(denied: dict[str, Any]) -> None:
    changed = copy.deepcopy(denied)
    rule = next(r for r in changed["candidate"]["trace"]["rules"] if r["code"] == "admin-only")
    rule["parts"] = [{"text": "actor.role in [partner_admin, operator]", "value": True}]
    lines = next(s for s in compare(changed).rules if s.head.name == "admin-only").lines
    assert [(p.name, p.before is None, p.after is None) for p in lines if p.depth == 0] == [
        ("actor.role == partner_admin", False, True), ("actor.role in [partner_admin, operator]", True, False),
    ]  # fmt: skip


def test_a_rule_of_one_version_only_is_told_as_such(denied: dict[str, Any]) -> None:
    changed = copy.deepcopy(denied)
    changed["baseline"]["trace"]["rules"] = [r for r in changed["baseline"]["trace"]["rules"] if r["code"] != "admin-only"]
    head = next(s for s in compare(changed).rules if s.head.name == "admin-only").head
    assert head.before is None
    assert head.after is not None
    assert head.differs


def test_an_answer_that_is_an_error_is_shown(denied: dict[str, Any]) -> None:
    broken = denied | {"candidate": {"outcome": "error", "error": {"kind": "no-row-matched", "message": "table `t`: no row matches"}}}
    found = compare(broken)
    assert found.error is not None
    assert (found.error.before, found.error.after) == (None, "table `t`: no row matches")


def test_missing_facts_stand_on_their_side() -> None:
    example = next(e for e in sample_summary.relation()["examples"] if e["from"] == "undetermined")
    found = compare(example)
    assert found.missing is not None
    assert "customer.last_dissociation_request_on" in str(found.missing.before) or "partner.last_application_on" in str(found.missing.before)


def test_a_list_of_records_becomes_a_table() -> None:
    example = sample_summary.rebate()["examples"][0]
    fact = next(f for f in compare(example).facts if f.name == "items")
    assert fact.columns == ["performance_id", "performance_amount", "rebate_ratio", "product.earns_rebate", "customer_voucher_used"]
    assert len(fact.records) == len(example["facts"]["items"])


def test_a_field_that_one_record_lacks_is_unknown_there() -> None:
    example = copy.deepcopy(sample_summary.rebate()["examples"][0])
    example["facts"]["items"] = [{"a": 1, "b": None}, {"a": 2}] + [{"a": 3, "b": 4}] * 30
    fact = next(f for f in compare(example).facts if f.name == "items")
    assert fact.records[:2] == [["1", Both("none", "无")], ["2", Both("unknown", "未知")]]
    assert (len(fact.records), fact.cut) == (20, 12)


def test_of_lists_of_records_only_the_fields_that_differ_are_told(denied: dict[str, Any]) -> None:
    changed = copy.deepcopy(denied)
    changed["baseline"]["outputs"]["items"] = [{"id": "a", "n": {"x": "1"}}, {"id": "b", "n": {"x": "2"}}]
    changed["candidate"]["outputs"]["items"] = [{"id": "a", "n": {"x": "1"}}, {"id": "b", "n": {"x": "3"}}, {"id": "c"}]
    found = [p for p in compare(changed).outputs if p.name == "items" or p.depth]
    assert [(p.name, p.before, p.after) for p in found] == [
        ("items", Both("2 items", "2 项"), Both("3 items", "3 项")), ("[1].n.x", "2", "3"), ("[2].id", None, "c"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, Both("none", "无")), (True, Both("yes", "是")), ("0.00", "0.00"), (3, "3"), ([], Both("none", "无")), (["a", "b"], "a, b"),
        ({"unknown": ["x", "y"]}, Both("unknown: x, y", "未知：x, y")), ({"unknown": []}, Both("unknown", "未知")),
        ([{"id": "P1", "amount": None}], "id P1, amount –"), ("x" * 300, "x" * 239 + "…"),
    ],
)  # fmt: skip
def test_values_are_shown_as_they_are_read(value: Any, expected: Any) -> None:
    assert shown(value) == expected
