"""Sweeps and goal seek: every point as the engine says, answers checked on both sides, and what cannot be reached is said."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from engine.decide import with_parameters
from engine.errors import PolicyError
from engine.library import Library, load
from simulations.runs.points import Point
from simulations.runs.replay import payable
from simulations.runs.seek import Goal, Search, SeekOrder, goal, seek
from simulations.runs.sweep import SweepOrder, Vary, sweep, values_of, vary
from tests.conftest import put
from tests.simulated import AS_OF, answers, files, order, panel_of, rows_of, shipped

POPULATION = {"generate": {"rows": 400, "seed": 7}}

#: Allowed only where the amount is near the parameter: neither more nor less of it is better.
WINDOW = """\
policy: window
version: 1
family: samples
form: check
title: {en: Window, zh: 窗口}
question: {en: Is it near?, zh: 是否接近？}
effective: {from: 2025-01-01}
source: {document: sample guide, section: "1"}
parameters:
  middle: {type: integer, value: 50}
facts:
  number: {type: integer}
requirements:
  - code: far
    require: abs(number - parameters.middle) <= 10
    effect: deny
    reason: {en: Too far., zh: 太远。}
    remedy: {en: Come nearer., zh: 请靠近。}
    source: {section: "1"}
"""


@pytest.fixture
def windows(tmp_path: Path) -> tuple[Library, str]:
    """A policy that is not monotone in its parameter, and a population of the numbers 0 to 99."""
    root = tmp_path / "policies"
    put(root, "window", 1, WINDOW, "policy: window\nversion: 1\nas_of: 2025-01-01\ncases: []\n")
    source = tmp_path / "numbers.csv"
    source.write_text("case_id,number\n" + "".join(f"c{n:03},{n}\n" for n in range(100)))
    return load(root), str(source)


def test_every_point_of_a_sweep_is_what_the_engine_says(tmp_path: Path) -> None:
    asked = SweepOrder(
        policy="performance-credit", vary=[vary("ratio_joint_operation=0.30..0.40:0.05"), Vary(parameter="ratio_self_service", values=["1.00", "0.8"])],
        population=POPULATION, as_of=AS_OF,
    )  # fmt: skip
    told = sweep(asked, shipped(), tmp_path / "run")
    assert [v["values"] for v in told["vary"]] == [["0.3", "0.35", "0.4"], ["1", "0.8"]]
    assert [tuple(p["values"].values()) for p in told["points"]] == [(a, b) for a in ("0.3", "0.35", "0.4") for b in ("1", "0.8")]
    with panel_of(order("performance-credit", 400), tmp_path) as panel:
        rows = rows_of(panel)
        [measure] = panel.task.measures
        for point in [{"values": {}, **told["base"]}, *told["points"]]:
            found = answers(panel, with_parameters(panel.task.before, point["values"]), rows)
            assert {k: n for k, n in point["outcomes"].items() if n} == Counter(a["outcome"] for a in found)
            total = sum((payable(a, measure, ("allowed",)) or Decimal(0) for a in found), Decimal(0))
            assert point["measures"] == {"performance": f"{total:f}"}
    assert len({p["measures"]["performance"] for p in told["points"]}) == 6
    assert json.loads(files(tmp_path / "run")["sweep.json"]) == told


def test_a_sweep_gives_the_same_bytes_again(tmp_path: Path) -> None:
    asked = SweepOrder(policy="relation-change", vary=[vary("cooldown_months=1..12")], population=POPULATION, as_of=AS_OF)
    for name in ("a", "b"):
        sweep(asked, shipped(), tmp_path / name)
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert set(files(tmp_path / "a")) == {"manifest.json", "report.html", "sweep.json", "set-aside.parquet"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cooldown_months", "write PARAMETER=FROM..TO"),
        ("cooldown_month=1..3", "did you mean `cooldown_months`?"),
        ("cooldown_months=1..900", "has 900 values, at most 200 are tried; take a wider step, as in 1..900:10"),
        ("cooldown_months=5..1", "has no values"),
        ("cooldown_months=1.5..3.5", "parameters.cooldown_months: "),
        ("cooldown_months=soon", "parameters.cooldown_months: "),
    ],
)
def test_a_sweep_that_does_not_fit(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(PolicyError) as caught:
        sweep(SweepOrder(policy="relation-change", vary=[vary(text)], population=POPULATION, as_of=AS_OF), shipped(), tmp_path / "run")
    assert said in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_range_goes_with_a_number() -> None:
    policy = shipped().version("rebate-calculation", 1).policy
    with pytest.raises(PolicyError, match="`period_pattern` is text, a range goes with a number"):
        values_of(Vary(parameter="period_pattern", values="1..3"), policy)


def test_what_is_to_be_doubted_is_said(windows: tuple[Library, str], tmp_path: Path) -> None:
    """Few cases, rows that do not fit, parameters without a value; a parameter that the sweep gives a value is not among them."""
    found, source = windows
    Path(source).write_text(Path(source).read_text().splitlines()[0] + "\na,1\nb,much\n")
    asked = SweepOrder(policy="window", base={"version": 1}, vary=[vary("middle=1..3")], population={"source": source}, as_of=AS_OF)
    told = sweep(asked, found, tmp_path / "run")
    assert [w["kind"] for w in told["warnings"]] == ["small-sample", "set-aside"]
    assert "These numbers rest on 1 case;" in told["warnings"][0]["en"]
    [reason] = told["population"]["reasons"]
    assert (reason["column"], reason["rows"]) == ("number", 1)
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert all(w[language] in page for w in told["warnings"] for language in ("en", "zh"))


# -- goal seek ---------------------------------------------------------------------------------------------------------------------------


def seeking(**more: Any) -> SeekOrder:
    asked = {"policy": "relation-change", "parameter": "cooldown_months", "low": "0", "high": "60", "population": POPULATION, "as_of": AS_OF}
    return SeekOrder.model_validate(asked | more)


def test_the_answer_is_the_last_value_that_meets_the_goal(tmp_path: Path) -> None:
    told = seek(seeking(goal="denied <= 130"), shipped(), tmp_path / "run")
    with panel_of(order("relation-change", 400), tmp_path) as panel:
        rows = rows_of(panel)
        denied = {
            n: sum(a["outcome"] == "denied" for a in answers(panel, with_parameters(panel.task.before, {"cooldown_months": n}), rows))
            for n in (int(told["found"]), int(told["beyond"]))
        }
    assert told["status"] == "found"
    assert told["monotone"]
    assert int(told["beyond"]) - int(told["found"]) == 1
    assert denied[int(told["found"])] <= 130 < denied[int(told["beyond"])]
    assert {p["value"]: int(p["quantity"]) for p in told["points"]}[told["found"]] == denied[int(told["found"])]
    assert all(p["meets"] == (int(p["quantity"]) <= 130) for p in told["points"])
    assert "meets the goal" in told["sentence"]["en"]


def test_a_goal_of_money_with_the_steps_of_its_parameter(tmp_path: Path) -> None:
    asked = seeking(policy="performance-credit", parameter="ratio_joint_operation", low="0", high="1", step="0.0001", goal="performance <= 5000000")
    everything = seek(asked, shipped(), tmp_path / "first")
    totals = sorted(Decimal(p["quantity"]) for p in everything["points"])
    limit = (totals[0] + totals[-1]) / 2
    told = seek(asked.model_copy(update={"goal": f"performance <= {limit}"}), shipped(), tmp_path / "run")
    at = {p["value"]: Decimal(p["quantity"]) for p in told["points"]}
    assert told["status"] == "found"
    assert Decimal(told["beyond"]) - Decimal(told["found"]) == Decimal("0.0001")
    assert at[told["found"]] <= limit < at[told["beyond"]]
    assert len(told["points"]) < 60


def test_a_seek_gives_the_same_bytes_again(tmp_path: Path) -> None:
    for name in ("a", "b"):
        seek(seeking(goal="denied <= 130"), shipped(), tmp_path / name)
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert set(files(tmp_path / "a")) == {"manifest.json", "report.html", "seek.json", "set-aside.parquet"}


@pytest.mark.parametrize(("text", "status"), [("denied <= 0", "unreachable"), ("allowed >= 0.5%", "always"), ("allowed > 100%", "unreachable")])
def test_goals_that_all_values_or_none_meet(text: str, status: str, tmp_path: Path) -> None:
    told = seek(seeking(goal=text), shipped(), tmp_path / "run")
    assert (told["status"], told["found"], told["beyond"]) == (status, None, None)
    assert {p["value"] for p in told["points"]} >= {"0", "60"}


def test_what_is_not_monotone_is_said(windows: tuple[Library, str], tmp_path: Path) -> None:
    found, source = windows
    asked = seeking(policy="window", base={"version": 1}, goal="allowed >= 15", parameter="middle", high="99", population={"source": source})
    told = seek(asked, found, tmp_path / "run")
    assert told["status"] == "found"
    assert not told["monotone"]
    assert (told["found"], told["beyond"]) == ("4", "3")
    assert "other values may do as well" in told["sentence"]["en"]
    assert "not-monotone" in [w["kind"] for w in told["warnings"]]
    assert [int(p["quantity"]) for p in told["points"] if p["value"] in ("3", "4")] == [14, 15]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"goal": "denied = 3"}, "is no goal; write for example `denied <= 200`"),
        ({"goal": "denid <= 3"}, "did you mean `denied`?"),
        ({"goal": "denied <= 3", "parameter": "cooldown"}, "did you mean `cooldown_months`?"),
        ({"goal": "denied <= 3", "high": "0"}, "there is nothing between 0 and 0"),
        ({"goal": "denied <= 3", "low": "x"}, "low: `x` is no number"),
        ({"goal": "denied <= 3", "step": "0.5"}, "parameters.cooldown_months: "),
        ({"policy": "performance-credit", "parameter": "ratio_general", "goal": "performance <= 3%"}, "is an amount, a share goes with an outcome"),
        ({"policy": "performance-credit", "parameter": "ratio_general", "goal": "performance <= 3"}, "say how fine to look"),
    ],
)
def test_a_seek_that_does_not_fit(more: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(PolicyError) as caught:
        seek(seeking(**more), shipped(), tmp_path / "run")
    assert said in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("op", ["<=", ">=", "<", ">"])
@pytest.mark.parametrize("last", [1, 7, 8, 1000, 10**9])
def test_the_search_ends_at_neighbours(op: str, last: int) -> None:
    """Over a quantity that grows by one a step; the border is put everywhere that matters."""
    for border in {0, 1, last // 3, last - 1, last}:
        queries = []

        def ask(values: Any, queries: list[int] = queries) -> list[Point]:
            queries.append(len(values))
            return [Point({"denied": int(v)}, (), ()) for v in values]

        search = Search(Decimal(0), Decimal(1), last, ask, Goal("denied", op, Decimal(border), False, None))
        found = search.run()
        alike = {"<=": border == last, "<": border == 0, ">=": border == 0, ">": border == last}[op]
        assert (found is None) == alike
        if found is not None:
            inside, outside = found
            assert abs(inside - outside) == 1
            assert search.goal.met(search.tried[inside])
            assert not search.goal.met(search.tried[outside])
        assert search.monotone()
        assert len(queries) <= 13
        assert all(a < b for a, b in pairwise(sorted(search.tried)))


def test_a_share_is_compared_exactly() -> None:
    aim = goal("allowed >= 33.3333%", ())
    assert aim.met(Point({"allowed": 1, "denied": 2}, (), ()))
    assert not goal("allowed >= 33.3334%", ()).met(Point({"allowed": 1, "denied": 2}, (), ()))
