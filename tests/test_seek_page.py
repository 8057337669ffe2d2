"""The page of a goal seek: the answer, what was tried, the goal and the found value in the drawing."""

from __future__ import annotations

import copy
import re
from decimal import Decimal

import pytest

from tests.page_runs import html, number, page, part, run, spots, tight


def test_the_answer_of_a_seek_is_its_headline() -> None:
    told = run("seek")
    found = page(told)
    assert f"cooldown_months = {told['found']} meets the goal, {told['beyond']} does not." in found.text()
    assert f"cooldown_months = {told['found']} 达到目标" in found.text("zh")
    assert "Wanted: denied <= 32%, by moving cooldown_months between 0 and 60 in steps of 1." in found.text()
    assert "The version as it is has cooldown_months = 3." in found.text()
    assert f"Valuestried{len(told['points'])}of61possible" in tight(found)


def test_everything_that_was_tried_stands_in_drawing_and_table() -> None:
    told = run("seek")
    text = html(told)
    body = part(text, 'aria-labelledby="all-tried"').partition("<tbody>")[2]
    rows = [re.findall(r'class="num">([^<]+)<', row) for row in body.split("</tr>")[:-1]]
    assert [(r[0], number(r[1])) for r in rows] == [(p["value"], Decimal(p["quantity"])) for p in told["points"]]
    assert [number(r[3]) for r in rows] == [Decimal(p["quantity"]) - Decimal("0.32") * 400 for p in told["points"]]
    assert body.count('class="met"') == sum(p["meets"] for p in told["points"])
    [found] = re.findall(r'<tr class="base"><th scope="row" class="num">(\d+)', body)
    assert found == told["found"]
    for kind, meets in (("met", True), ("missed", False)):
        assert len(spots(text, kind, "seek-plot")) == sum(p["meets"] == meets for p in told["points"])


def test_the_goal_and_the_found_value_are_lines() -> None:
    told = run("seek")
    drawing = part(html(told), 'aria-labelledby="seek-plot"', "</figure>")
    [y] = re.findall(r'<line class="across goal" x1="0" x2="100%" y1="([\d.]+)"', drawing)
    heights = {said.split(": ")[1].split(" ")[0]: h for kind in ("met", "missed") for _, h, said in spots(html(told), kind, "seek-plot")}
    assert all((h >= Decimal(y)) == (int(n) <= 128) for n, h in heights.items()), "what meets the goal lies below its line"
    [x] = re.findall(r'<line class="across found" x1="([\d.]+)%"', drawing)
    assert float(x) == pytest.approx(int(told["found"]) * 100 / 60, abs=0.01)
    assert re.findall(r'<line class="across base" x1="([\d.]+)%"', drawing) == ["5"]
    assert "goal denied &lt;= 32%" in drawing


def test_a_goal_that_no_value_meets() -> None:
    found = page(run("unreachable"))
    nearest = min(int(p["quantity"]) for p in run("unreachable")["points"])
    assert "No value tried from 0 to 60 meets the goal." in found.text()
    assert f"Foundnovaluenovaluetriedmeetsit Caseswiththeanswer“denied”atitsnearest{nearest}".replace(" ", "") in tight(found)
    assert "across found" not in html(run("unreachable")).partition("</style>")[2]


def test_what_was_tried_close_to_the_answer_is_drawn_again() -> None:
    told = copy.deepcopy(run("seek"))
    told |= {"found": "50", "beyond": "51", "high": "1000"}
    told["points"] = [{"value": str(v), "quantity": str(v), "rows": 400, "meets": v <= 50} for v in (0, 48, 49, 50, 51, 52, 53, 54, 55, 1000)]
    assert {"seek-plot", "seek-near"} <= set(page(told).attributes("id"))
    assert "seek-near" not in page(run("seek") | {"points": told["points"][:1], "found": "0"}).attributes("id")


def test_an_amount_that_is_sought_is_exact_in_the_table() -> None:
    told = copy.deepcopy(run("seek"))
    told["target"] = {"name": "bill", "op": "<=", "limit": "8000000", "percent": False, "amount": True}
    for i, p in enumerate(told["points"]):
        p["quantity"] = f"{7_999_999 + i}.05"
    text = page(told).text()
    assert "7,999,999.05−0.95" in text.replace(" ", "")
    there = next(p["quantity"] for p in told["points"] if p["value"] == told["found"])
    assert f"billthere¥{Decimal(there):,}" in text.replace(" ", ""), "the tile is exact too"
