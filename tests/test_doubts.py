"""What is to be doubted is said, once, in both languages, and only where there is something to doubt."""

from __future__ import annotations

import re
from typing import Any

from simulations.runs import doubts
from simulations.runs.points import Point
from tests.simulated import shipped

GOOD = {"used": 100, "set_aside": 0}
LOG = {"set_aside": 0, "not_asked": 0, "masked": 0}


def kinds(*found: Any) -> list[str]:
    return [d["kind"] for d in doubts.told(*found)]


def point(determined: int = 10, **outcomes: int) -> Point:
    return Point({"allowed": 0, "review": 0, "denied": 0, "undetermined": 0, "error": 0} | outcomes, (), (determined,))


def test_nothing_is_doubted_without_reason() -> None:
    assert kinds(doubts.of_population(GOOD), doubts.of_log(LOG), doubts.of_points([point(allowed=91, undetermined=9)])) == []


def test_few_cases_and_rows_that_do_not_fit() -> None:
    assert kinds(doubts.of_population({"used": 99, "set_aside": 1})) == ["small-sample", "set-aside"]


def test_open_cases_and_errors_at_any_value() -> None:
    points = [point(allowed=100), point(allowed=89, undetermined=10, error=1)]
    found = doubts.told(doubts.of_points(points))
    assert [d["kind"] for d in found] == ["undetermined", "errors"]
    assert "10 of 100 cases" in found[0]["en"]


def test_amounts_that_are_not_known_everywhere() -> None:
    assert kinds(doubts.of_points([point(10, allowed=20), point(9, allowed=20)])) == ["determined"]


def test_no_case_at_all() -> None:
    assert kinds(doubts.of_points([point(0), point(0)])) == []


def test_parameters_without_a_value_unless_the_run_gives_one() -> None:
    policy = shipped().version("distributor-joining", 1).policy
    [found] = doubts.told(doubts.of_policy(policy, []))
    assert "expansion_staff_min, technical_staff_min" in found["en"]
    [found] = doubts.told(doubts.of_policy(policy, ["technical_staff_min"]))
    assert "technical_staff_min" not in found["en"]


def test_a_log_with_holes() -> None:
    assert kinds(doubts.of_log({"set_aside": 1, "not_asked": 2, "masked": 3})) == ["set-aside", "not-asked", "masked"]


def test_both_languages_and_numbers_that_fit_their_words() -> None:
    found = doubts.told(doubts.of_population({"used": 1, "set_aside": 1}), doubts.of_log({"set_aside": 1, "not_asked": 1, "masked": 2000}))
    assert all(re.search("[一-鿿]", d["zh"]) and not re.search("[一-鿿]", d["en"]) for d in found)
    assert not [d for d in found if re.search(r"\b1 (cases|rows|lines|decisions)\b", d["en"])]
    assert "2,000 decisions" in found[-1]["en"]
