"""The page of a sweep: every number, the base, one parameter and two, values that are no numbers."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from tests.page_runs import html, number, page, part, run, spots
from tests.pages import Page


def numbers(text: str) -> list[list[tuple[Decimal, Decimal | None]]]:
    """The rows of the table of all numbers: each number with its difference to the base."""
    body = part(text, '<table class="every"').partition("<tbody>")[2]
    cell = r'<td class="num">([^<]+)(?:<small class="\w+">([^<]+)</small>)?</td>'
    return [[(number(n), number(d) if d else None) for n, d in re.findall(cell, row)] for row in body.split("</tr>")[:-1]]


@pytest.mark.parametrize("name", ["sweep", "pair", "kinds"])
def test_every_number_is_that_of_the_json(name: str) -> None:
    told = run(name)
    seen = [
        o
        for o in ("allowed", "review", "denied", "undetermined", "error")
        if o == "allowed" or any(p["outcomes"].get(o) for p in [told["base"], *told["points"]])
    ]

    def row(point: Mapping[str, Any]) -> list[Decimal]:
        return [Decimal(point["outcomes"].get(o, 0)) for o in seen] + [Decimal(point["measures"][m]) for m in told["measures"]]

    first, *rest = numbers(html(told))
    assert first == [(n, None) for n in row(told["base"])]
    assert rest == [[(n, n - b) for n, b in zip(row(p), row(told["base"]), strict=True)] for p in told["points"]]


def test_the_drawing_of_a_sweep_shows_every_point() -> None:
    told = run("sweep")
    text = html(told)
    for drawn, values in (
        (spots(text, "allowed", "plot-cases"), [Decimal(p["outcomes"]["allowed"]) for p in told["points"]]),
        (spots(text, "money", "plot-money-0"), [Decimal(p["measures"]["performance"]) for p in told["points"]]),
    ):
        assert [number(re.search(r": (\S+) ", said)[1]) for *_, said in drawn] == values  # type: ignore[index]
        assert [said.split(":")[0] for *_, said in drawn] == [f"ratio_joint_operation = {p['values']['ratio_joint_operation']}" for p in told["points"]]
        assert [float(x) for x, *_ in drawn] == pytest.approx([100 * i / 6 for i in range(7)], abs=0.01)
        assert sorted(range(7), key=lambda i: -drawn[i][1]) == sorted(range(7), key=lambda i: values[i]), "the more, the higher"
    assert "plot-change" not in Page(text).attributes("id")
    assert "No answer differs from the base" in Page(text).text()


def test_the_base_is_marked() -> None:
    text = html(run("sweep"))
    assert run("sweep")["parameters"]["ratio_joint_operation"] == "0.5"
    assert re.findall(r'<line class="across base" x1="([\d.]+)%"', text) == ["66.67", "66.67"]
    assert text.count('<text class="said base"') == 2
    rows = re.findall(r'<tr class="(base|same)"><th scope="row" class="first">([^<]+) ', text)
    assert rows == [("base", "0.5"), ("same", "0.5")]


def test_a_base_outside_the_values_is_told() -> None:
    told = copy.deepcopy(run("sweep"))
    told["parameters"]["ratio_joint_operation"] = "0.9"
    text = html(told)
    assert "across base" not in text.partition("</style>")[2]
    assert "The base, 0.9, lies outside this range." in Page(text).text()
    told["parameters"]["ratio_joint_operation"] = "unset"
    assert "The version as it is gives ratio_joint_operation no value." in page(told).text()


def test_a_base_between_the_values_is_a_point_of_the_drawing() -> None:
    told = copy.deepcopy(run("sweep"))
    told["parameters"]["ratio_joint_operation"] = "0.47"
    drawn = spots(html(told), "money", "plot-money-0")
    assert len(drawn) == len(told["points"]) + 1
    assert number(re.search(r"= 0\.47: (\S+) ", " ".join(said for *_, said in drawn))[1]) == Decimal(told["base"]["measures"]["performance"])  # type: ignore[index]


def test_the_headline_of_a_sweep() -> None:
    money = [Decimal(p["measures"]["performance"]) for p in run("sweep")["points"]]
    found = page(run("sweep"))
    assert f"With ratio_joint_operation from 0.3 to 0.6, performance in total is between ¥{min(money):,} and ¥{max(money):,}." in found.text()
    assert f"performance 合计为 {min(money):,} 元至 {max(money):,} 元。" in found.text("zh")
    allowed = [p["outcomes"]["allowed"] for p in run("pair")["points"]]
    said = f"With cooldown_months from 1 to 5 and window_months from 3 to 6, between {min(allowed)} and {max(allowed)} of 400 cases are allowed."
    assert said in page(run("pair")).text()
    assert "With quota_issuer_for_reseller at 2 values, " in page(run("kinds")).text()


def test_two_parameters_are_a_table_of_cells() -> None:
    told = run("pair")
    text = html(told)
    table = part(text, 'class="matrix cells" aria-labelledby="heat-0"')
    assert re.findall(r'<th scope="col"(?: class="strong")?>(\d+)</th>', table) == ["3", "6"], "numbers from the least on"
    cells = re.findall(r'<td class="(\w+)( framed)?">([^<]+)<small>(.*?)</small></td>', table)
    expected = {tuple(p["values"].values()): p["outcomes"]["allowed"] for p in told["points"]}
    grid = [(str(a), b) for a in range(1, 6) for b in ("3", "6")]
    assert [int(n) for _, _, n, _ in cells] == [expected[pair] for pair in grid]
    base = told["base"]["outcomes"]["allowed"]
    for (kind, framed, n, change), pair in zip(cells, grid, strict=True):
        assert bool(framed) == (pair == ("3", "3"))
        assert kind[:4] == ("heat" if int(n) > base else "warm" if int(n) < base else "leve")
        assert framed or (number(change) if change else 0) == int(n) - base
    furthest = max(range(len(cells)), key=lambda i: abs(int(cells[i][2]) - base))
    assert cells[furthest][0][-1] == "3"
    assert "The framed cell is the base." in Page(text).text()


def test_a_quantity_that_stays_has_a_line_instead_of_cells() -> None:
    told = copy.deepcopy(run("pair"))
    for p in told["points"]:
        p["outcomes"]["review"] = told["base"]["outcomes"]["review"] = 4
    found = page(told)
    assert "Cases with the answer “review”: 4 at every pair of values, as at the base." in found.text()
    assert "heat-1" not in found.attributes("id")


def test_a_base_that_is_no_pair_of_the_values_is_told() -> None:
    told = copy.deepcopy(run("pair"))
    told["parameters"]["window_months"] = "4"
    text = html(told)
    assert " framed" not in text.partition("</style>")[2]
    assert "The base, cooldown_months = 3, window_months = 4, is not among these values." in Page(text).text()


def test_long_amounts_are_short_in_cells_and_whole_beside() -> None:
    told = copy.deepcopy(run("pair")) | {"measures": ["bill"]}
    for i, p in enumerate([told["base"], *told["points"]]):
        p["measures"] = {"bill": f"{123456789 + i * 1000}.25"}
    table = part(html(told), 'class="matrix cells" aria-labelledby="heat-4"')
    assert 'title="123,458,789.25"' in table
    assert '<span lang="en">123.4588M</span><span lang="zh">1.2346亿</span>' in table


def test_values_that_are_no_numbers_have_bars() -> None:
    told = run("kinds")
    table = part(html(told), 'class="bars fold values-table" aria-labelledby="bars-cases"')
    assert re.findall(r'<tr(?: class="(base)")?><th scope="row">(\w+)', table) == [("", "huawei_cloud"), ("base", "distributor")]
    counts = [[int(n) for n in re.findall(r": (\d+)</title>", row)] for row in table.split("</tr>")[1:-1]]
    assert counts == [[n for n in p["outcomes"].values() if n] for p in told["points"]]
    other = copy.deepcopy(told)
    other["parameters"]["quota_issuer_for_reseller"] = 'some<thing> "else"'
    again = part(html(other), 'class="bars fold values-table" aria-labelledby="bars-cases"')
    assert again.count("<tr") - 1 == 3, "a base that is not among the values has its own row"
    assert "some&lt;thing&gt; &#34;else&#34;" in again


def test_one_point() -> None:
    told = copy.deepcopy(run("sweep"))
    told["points"], told["vary"][0]["values"] = told["points"][:1], ["0.3"]
    text = html(told)
    assert f"With ratio_joint_operation = 0.3, {told['points'][0]['outcomes']['allowed']} of 400 cases are allowed." in Page(text).text()
    assert [x for x, *_ in spots(text, "money", "plot-money-0")] == [50]
    pair = copy.deepcopy(run("pair"))
    pair["points"] = pair["points"][:1]
    for v in pair["vary"]:
        v["values"] = [pair["points"][0]["values"][v["parameter"]]]
    assert page(pair).text()


def test_no_case_at_all() -> None:
    for name in ("sweep", "pair", "kinds", "seek"):
        told = copy.deepcopy(run(name))
        told["population"]["used"] = 0
        for p in [*told["points"], *([told["base"]] if name != "seek" else [])]:
            p |= {"rows": 0, "quantity": "0"} if name == "seek" else {"outcomes": {}, "measures": dict.fromkeys(told["measures"], "0.00")}
        assert page(told).text()


def test_many_values_have_lines_without_spots() -> None:
    told = copy.deepcopy(run("sweep"))
    point = told["points"][0]
    told["vary"][0]["values"] = [f"{i}" for i in range(200)]
    told["points"] = [copy.deepcopy(point) | {"values": {"ratio_joint_operation": f"{i}"}} for i in range(200)]
    text = html(told)
    assert 'class="chart plot dense"' in text
    assert len(text.encode()) < 400_000
