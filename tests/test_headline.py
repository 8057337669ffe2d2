"""What a report of a simulation says first: its headline in English and Chinese, and its warnings in their order."""

from __future__ import annotations

import copy
from typing import Any

from markupsafe import Markup

from simulations.report import report
from simulations.report.headline import headline
from simulations.runs.summary import warnings
from tests import sample_summary
from tests.pages import Page
from tests.test_plain import library


def parameter(name: str, before: str, after: str) -> dict[str, Any]:
    return {"unit": f"parameter:{name}", "kind": "parameter", "name": name, "before": before, "after": after}


def said(summary: dict[str, Any]) -> list[str]:
    return [Markup(text).striptags() for text in headline(summary)]


def same_outcomes(**more: Any) -> dict[str, Any]:
    summary = copy.deepcopy(sample_summary.rebate())
    summary["flips"] = {"cells": [{"from": "allowed", "to": "allowed", "rows": 900}], "changed": 0, "share": "0.0000"}
    return summary | {"changes": [parameter("rate", "0.5", "0.6")]} | more


def test_two_parameters_with_both_values() -> None:
    summary = same_outcomes(changes=[parameter("quota", "60", "90"), parameter("age", "7", "30")])
    english, chinese = said(summary)
    assert english.startswith("With quota 60 → 90 and age 7 → 30, ")
    assert chinese.startswith("将 quota 由 60 改为 90、age 由 7 改为 30 后，")


def test_sides_with_changed_parameters_are_compared() -> None:
    """Too many to be told one by one: no `with … with … instead of`."""
    summary = same_outcomes(changes=[parameter(f"p{i}", "1", "2") for i in range(4)])
    summary["candidate"] |= {"changed": {"p0": "2"}, "label": {"en": "version 1 with p0 = 2", "zh": "版本 1（p0 = 2）"}}
    english, chinese = said(summary)
    assert english.startswith("Under version 1 with p0 = 2, compared with version 1, ")
    assert chinese.startswith("按版本 1（p0 = 2），与版本 1 相比，")


def test_amounts_that_change_without_outcomes() -> None:
    summary = same_outcomes()
    m = summary["measures"][0]
    m |= {"change": "1234.50", "gain": {"rows": 2000, "amount": "1300.00"}, "loss": {"rows": 1, "amount": "-65.50"}}
    total = f"{summary['population']['used']:,}"
    english, chinese = said(summary)
    assert english == f"With rate 0.5 → 0.6, no outcome changes; 2,001 of {total} cases get another {m['name']} (+¥1,234.50)."
    assert chinese == f"将 rate 由 0.5 改为 0.6 后，结论都不变；{total} 个案例中有 2,001 个的 {m['name']} 有变动（+1,234.50 元）。"


def test_reasons_that_change_without_outcomes() -> None:
    summary = same_outcomes(measures=[])
    summary["rules"][0] |= {"newly": 3, "no_longer": 0}
    assert said(summary)[0].endswith("no outcome changes in 900 cases; rules behind some of them do.")
    for rule in summary["rules"]:
        rule |= {"newly": 0, "no_longer": 0}
    assert said(summary)[0].endswith("none of 900 cases gets a different outcome.")


def test_dates_are_no_cause() -> None:
    dates = {"unit": "dates", "kind": "effective", "name": "dates", "before": "from 2018-02-24", "after": "from 2025-01-16"}
    assert "separate changes" not in Page(report.html(same_outcomes(changes=[dates, parameter("rate", "0.5", "0.6")]))).text()
    both = [dates, parameter("rate", "0.5", "0.6"), parameter("quota", "1", "2")]
    assert "2 separate changes; each is one cause below." in Page(report.html(same_outcomes(changes=both))).text()


def warned(used: int, aside: int, seed: int | None, groups: list[dict[str, Any]]) -> list[dict[str, str]]:
    policy = library().versions["relation-change"][1].policy
    found = {
        "population": {"used": used, "set_aside": aside, "seed": seed}, "flips": {"cells": [{"from": "error", "to": "allowed", "rows": 1}]},
        "segments": [{"by": "state", "groups": groups}], "missing_sampled": None,
    }  # fmt: skip
    return warnings(found, policy, policy)


def test_what_weighs_most_stands_first() -> None:
    found = warned(1, 1_000_000, None, [{"value": None, "rows": 1}, {"value": "open", "rows": 2}])
    assert [w["kind"] for w in found][:3] == ["set-aside", "errors", "small-sample"]
    assert found[0]["en"].startswith("1,000,000 rows did not fit")
    assert "For 1 case the rules" in found[1]["en"]
    assert "rest on 1 case;" in found[2]["en"]
    assert "state (no value), state open." in found[-1]["en"]
    assert "state （无取值）" in found[-1]["zh"]


def test_boundary_cases_alone_are_no_small_group() -> None:
    """They belong to no segment of a made-up population."""
    assert "small-segment" not in [w["kind"] for w in warned(5000, 0, 1, [{"value": None, "rows": 1}, {"value": "open", "rows": 4999}])]
