"""Attribution: units of two versions, mixtures of them, and shares that add up, exactly."""

from __future__ import annotations

import itertools
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.check import check_text
from engine.clock import instant
from engine.decide import Program, with_parameters
from engine.errors import PolicyError
from engine.plan import plan
from engine.policy import Policy
from simulations.reading.outcomes import OUTCOMES
from simulations.reading.query import NotCovered
from simulations.runs.attribution import attribution, in_sequence, rounded, shapley, subsets
from simulations.runs.hybrid import Mixture, common_facts, hybrid
from simulations.runs.order import Order
from simulations.runs.replay import payable
from simulations.runs.units import changes, reached
from tests.conftest import DOOR
from tests.simulated import answers, changed, order, panel_of, rows_of, shipped

AT = instant("2025-06-16")
BASE = """\
policy: sample
version: 1
family: samples
form: [check, compute]
title: {en: Sample, zh: 样例}
question: {en: May it be?, zh: 可以吗？}
effective: {from: 2025-01-01}
source: {document: sample guide, section: "1"}
parameters:
  limit: {type: money, value: "100.00"}
facts:
  amount: {type: money}
  kind:   {type: enum, values: [a, b]}
formulas:
  one: amount
  two: one + 1
requirements:
  - code: over
    require: two <= parameters.limit
    effect: deny
    reason: {en: Too much., zh: 过多。}
    remedy: {en: Ask for less., zh: 请减少。}
    source: {section: "1"}
outputs:
  fee: {type: money, signed: true, value: one}
"""


def policy(**replaced: str) -> Policy:
    """The sample with some lines written otherwise: name of the line to what stands behind its colon."""
    lines = []
    for line in BASE.splitlines():
        name = line.strip().split(":")[0].removeprefix("- ")
        lines.append(line.split(":")[0] + ": " + replaced[name] if name in replaced else line)
    return check_text("\n".join(lines))


# -- shares ------------------------------------------------------------------------------------------------------------------------------


@st.composite
def games(draw: Any) -> tuple[list[str], dict[frozenset[str], Fraction], int]:
    """Units, what each set of them is worth in whole steps of some places, and the places."""
    units = list("abcdef"[: draw(st.integers(1, 6))])
    places = draw(st.integers(0, 8))
    steps = draw(st.lists(st.integers(-(10**12), 10**12), min_size=2 ** len(units), max_size=2 ** len(units)))
    return units, {s: Fraction(n, 10**places) for s, n in zip(subsets(units), steps, strict=True)}, places


@settings(max_examples=150, deadline=None)
@given(games())
def test_shares_add_up_to_the_whole_change(game: tuple[list[str], dict[frozenset[str], Fraction], int]) -> None:
    units, worth, places = game
    whole = worth[frozenset(units)] - worth[frozenset()]
    for shares in (shapley(units, worth.__getitem__), in_sequence(units, worth.__getitem__)):
        assert sum(shares.values()) == whole
        told = rounded(shares, places)
        assert sum(told.values()) == Decimal(whole.numerator) / Decimal(whole.denominator)
        assert all(abs(Fraction(told[u]) - shares[u]) < Fraction(1, 10**places) for u in units)
        assert list(told) == units


@settings(max_examples=60, deadline=None)
@given(games())
def test_shapley_is_the_mean_over_all_orders(game: tuple[list[str], dict[frozenset[str], Fraction], int]) -> None:
    units, worth, _ = game
    units = units[:4]
    orders = list(itertools.permutations(units))
    mean = {u: sum((in_sequence(o, worth.__getitem__)[u] for o in orders), Fraction(0)) / len(orders) for u in units}
    assert shapley(units, worth.__getitem__) == mean


def test_what_is_left_goes_to_those_cut_most() -> None:
    third = Fraction(100, 3)
    assert rounded({"a": third, "b": third, "c": third}, 2) == {"a": Decimal("33.34"), "b": Decimal("33.33"), "c": Decimal("33.33")}
    assert rounded({"a": -third, "b": -third, "c": -third}, 0) == {"a": Decimal(-33), "b": Decimal(-33), "c": Decimal(-34)}
    with pytest.raises(ValueError, match="more places"):
        rounded({"a": Fraction(1, 3)}, 2)


# -- units and mixtures ------------------------------------------------------------------------------------------------------------------


def pairs() -> list[tuple[str, int, int]]:
    found = shipped()
    return [(p, a, b) for p in found.policies() for a, b in itertools.pairwise(sorted(found.versions[p]))]


@pytest.mark.parametrize(("name", "a", "b"), pairs())
def test_every_mixture_of_shipped_versions_fits_together(name: str, a: int, b: int) -> None:
    before, after = (shipped().version(name, n).policy for n in (a, b))
    mixture = Mixture(before, after)
    names = [u.name for u in mixture.units]
    assert mixture.policy([]) is before
    assert mixture.policy(names) is (after if names else before)
    for taken in subsets(names[:5]):
        mixed = mixture.policy(taken)
        plan(mixed)
        if len(taken) == 1:
            Program(mixed).open()
    assert {c.unit for c in mixture.changes if c.effect} == {part for n in names for part in n.split(" + ")}
    common_facts(before, after)


def test_units_are_told_with_both_sides() -> None:
    before, after = policy(), policy(limit='{type: money, value: "250.00"}', two="one + 2", kind="{type: enum, values: [a, b, c]}")
    told = {c.unit: (c.before, c.after, c.effect) for c in changes(before, after)}
    assert told == {
        "parameter:limit": ("100.00", "250.00", True),
        "formula:two": ("one + 1", "one + 2", True),
        "fact:kind": ("enum of a, b", "enum of a, b, c", False),
    }
    assert [str(f.type) for f in common_facts(before, after).facts.values()] == ["money", "enum of a, b"]
    assert changes(before, policy()) == []


def test_the_transitions_of_a_machine_are_one_unit() -> None:
    before = check_text(DOOR)
    after = check_text(DOOR.replace("event: lock, from: closed, to: locked", "event: lock, from: [closed, open], to: locked"))
    mixture = Mixture(before, after)
    assert [c.as_json() for c in mixture.changes] == [{
        "unit": "machine:transitions", "kind": "machine", "name": "transitions",
        "before": "lock-it: lock from closed to locked", "after": "lock-it: lock from closed, open to locked",
    }]  # fmt: skip
    assert {("requirement", "not-open-in-state"), ("requirement", "wrong-actor")} <= reached(before, after)
    assert [u.name for u in mixture.units] == ["machine:transitions"]


def test_a_mixture_takes_each_unit_from_its_side() -> None:
    before, after = policy(), policy(limit='{type: money, value: "250.00"}', two="one + 200", fee="{type: money, signed: true, value: -one}")
    facts = {"amount": "99.00", "kind": "a"}
    seen = {}
    for taken in subsets(["parameter:limit", "formula:two", "output:fee"]):
        answer = Program(hybrid(before, after, taken)).check(facts, AT)
        seen[taken] = (answer["outcome"], answer["outputs"]["fee"])
    for taken, (outcome, fee) in seen.items():
        limit, more = (250 if "parameter:limit" in taken else 100), (200 if "formula:two" in taken else 1)
        assert outcome == ("allowed" if 99 + more <= limit else "denied"), taken
        assert fee == ("-99.00" if "output:fee" in taken else "99.00"), taken
    with pytest.raises(PolicyError, match="did you mean `parameter:limit`"):
        hybrid(before, after, frozenset({"parameter:limits"}))


def test_units_that_do_not_fit_apart_are_one() -> None:
    """In one version `one` rests on `two`, in the other `two` on `one`: half of each would be a circle. A type that grows takes its users along."""
    circle = Mixture(policy(), policy(one="two - 1", two="amount + 1"))
    assert [u.name for u in circle.units] == ["formula:one + formula:two"]
    typed = Mixture(policy(), policy(limit='{type: decimal, places: 4, value: "100.0000"}'))
    assert [u.name for u in typed.units] == ["parameter:limit"]
    plan(typed.policy([]))
    used = Mixture(policy(), policy(two="'round_half_up(one * 1.5, 4)'", fee="{type: decimal, places: 4, signed: true, value: two}"))
    assert [u.name for u in used.units] == ["formula:two + output:fee"]


# -- real pairs over a population --------------------------------------------------------------------------------------------------------


def by_hand(wanted: Order, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The attribution of a run, and the same from answers of the engine under every mixture."""
    with panel_of(wanted, folder) as panel:
        mixture = Mixture(panel.task.before, panel.task.after)
        told = attribution(panel, mixture)
        rows = rows_of(panel)
        units = [u.name for u in mixture.units]
        worth = {}
        for taken in subsets(units):
            found = answers(panel, mixture.policy(taken), rows)
            sums = [sum((payable(a, m, ("allowed",)) or Decimal(0) for a in found), Decimal(0)) for m in panel.task.measures]
            counts = [sum(a["outcome"] == o for a in found) for o in OUTCOMES]
            worth[taken] = [*map(Fraction, counts), *map(Fraction, sums)]
        names = [m.name for m in panel.task.measures]
        expected = [rounded(shapley(units, lambda t, i=i: worth[t][i]), 2) for i in range(len(OUTCOMES) + len(names))]  # type: ignore[misc]
        whole = [worth[frozenset(units)][i] - worth[frozenset()][i] for i in range(len(OUTCOMES) + len(names))]
    assert [*told["outcomes_total"].values(), *map(Fraction, told["changes_total"].values())] == whole
    for k, name in enumerate(names, len(OUTCOMES)):
        assert sum(Fraction(u["changes"][name]) for u in told["units"]) == whole[k]
    return (
        {u["unit"]: [*(Decimal(u["outcomes"][o]) for o in OUTCOMES), *(Decimal(u["changes"][n]) for n in names)] for u in told["units"]},
        {u: [e[u] for e in expected] for u in units},
    )


@pytest.mark.parametrize(
    "wanted",
    [
        changed("relation-change", 500, cooldown_months=9, window_months=5, applications_per_window=2),
        changed("mdf-redeemable-amount", 300, ordinary_invoice_factor="1.03", special_invoice_factor="1.01"),
        order("voucher-issue", 400, baseline={"version": 4}, candidate={"version": 5, "parameters": {"max_recipients_per_issue": 2}}),
        order("withdrawal-route", 400, baseline={"version": 1}, candidate={"version": 2}),
    ],
    ids=lambda o: o.policy,
)
def test_the_attribution_of_a_run_is_that_of_single_decisions(wanted: Order, tmp_path: Path) -> None:
    told, expected = by_hand(wanted, tmp_path)
    assert told == expected
    assert len(told) > 1


def test_many_units_are_told_in_sequence(tmp_path: Path) -> None:
    before = shipped().version("relation-change", 1).policy
    after = with_parameters(before, {"cooldown_months": 9})
    edits = {r.code: r for r in before.requirements}
    dropped = [r for r in after.requirements if r.code not in list(edits)[:7]]
    mixture = Mixture(before, replace(after, requirements=tuple(dropped)))
    assert len(mixture.units) > 6
    with panel_of(order("relation-change", 500), tmp_path) as panel:
        told = attribution(panel, mixture)
    assert told["method"] == "sequence"
    for outcome, total in told["outcomes_total"].items():
        assert sum(Decimal(u["outcomes"][outcome]) for u in told["units"]) == total
    assert told["outcomes_total"]["allowed"] != 0


def nowhere() -> Any:
    """A panel that nothing may be asked of: what both ends come to is given."""
    return SimpleNamespace(task=SimpleNamespace(measures=()))


def cases(allowed: int, review: int) -> list[Decimal]:
    return [Decimal(allowed), Decimal(review), *[Decimal(0)] * (len(OUTCOMES) - 2)]


def named(allowed: int, review: int) -> dict[str, str]:
    return {o: f"{n:f}" for o, n in zip(OUTCOMES, cases(allowed, review), strict=True)}


def test_mixtures_that_cannot_be_read_are_told_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> Any:
        raise NotCovered("no such reading")

    monkeypatch.setattr("simulations.runs.attribution.points", refused)
    mixture = Mixture(policy(), policy(limit='{type: money, value: "250.00"}', two="one + 2"))
    told = attribution(nowhere(), mixture, (cases(10, 2), cases(7, 5)))
    assert told["units"] == [{"unit": "parameter:limit + formula:two", "outcomes": named(-3, 3), "changes": {}}]
    assert told["outcomes_total"] == {o: int(n) for o, n in named(-3, 3).items()}


def test_a_change_without_units_is_still_told() -> None:
    mixture = Mixture(policy(), policy(kind="{type: enum, values: [a, b, c]}"))
    told = attribution(nowhere(), mixture, (cases(10, 2), cases(12, 0)))
    assert told["units"] == [{"unit": "other", "outcomes": named(2, -2), "changes": {}}]
    assert attribution(nowhere(), mixture, (cases(10, 2), cases(10, 2)))["units"] == []
