"""The pages of sweeps, goal seeks, backtests and settlements: whole, safe, in both languages, with the numbers of their JSON."""

from __future__ import annotations

import copy
import json
import re
from decimal import Decimal
from itertools import pairwise

import pytest

from tests.page_runs import HTML, MADE, html, number, page, part, run, tight
from tests.pages import EVIL, Page


@pytest.mark.parametrize("name", MADE)
def test_one_file_that_loads_nothing(name: str) -> None:
    text = html(run(name))
    found = Page(text)
    assert len(text.encode()) < 200_000
    assert not re.search(r"https?://", text)
    assert not [t for t, _ in found.tags if t in ("link", "img", "iframe", "object", "base", "form")]
    assert not [a for _, a in found.tags for k in a if k in ("src", "style", "srcset") or k.startswith("on")]
    assert all(href.startswith("#") for href in found.attributes("href"))
    assert text.index("Content-Security-Policy") < text.index("<style>")


@pytest.mark.parametrize("name", MADE)
def test_it_is_built_so_that_everybody_can_read_it(name: str) -> None:
    found = page(run(name))
    ids = found.attributes("id")
    assert len(ids) == len(set(ids))
    assert {h[1:] for h in found.attributes("href")} <= set(ids)
    assert set(found.attributes("aria-labelledby")) | set(found.attributes("for")) <= set(ids)
    levels = [int(t[1]) for t, _ in found.tags if re.fullmatch("h[1-6]", t)]
    assert levels.count(1) == levels[0] == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    drawings = [a for t, a in found.tags if t == "svg" and not (a.get("preserveaspectratio") or a.get("overflow"))]
    assert all(a.get("aria-hidden") == "true" or (a.get("role") == "img" and a.get("aria-labelledby")) for a in drawings)


@pytest.mark.parametrize("name", MADE)
def test_both_languages_say_everything(name: str) -> None:
    told = copy.deepcopy(run(name)) | {"labels": {}}
    text = html(told)
    inside = text.partition('<div class="page">')[2]
    pairs = re.findall(r'<(tspan|span) lang="en">(.*?)</\1><(?:tspan|span) lang="zh">(.*?)</\1>', inside, re.DOTALL)
    assert len(pairs) == inside.count('lang="zh">') == inside.count('lang="en">') > 20
    assert all(en.strip() and zh.strip() for _, en, zh in pairs)
    both = Page(re.sub("<title>.*?</title>", "", text))  # a drawing tells a spot in both
    assert not re.search("[一-鿿]", both.text("en").replace("中文", ""))
    assert re.search("[一-鿿]{3}", both.text("zh"))
    assert "How this was made" not in both.text("zh")


@pytest.mark.parametrize("name", MADE)
def test_it_says_what_was_run(name: str) -> None:
    told = run(name)
    text = page(told).text()
    digests = (
        [s["digest"] for s in told.get("candidate", [])] or [told.get(k, {}).get("digest") for k in ("wrong", "corrected") if k in told] or [told["digest"]]
    )
    assert all(d in text for d in digests)
    assert told["policy"] in text
    assert told["title"]["en"] in text
    if "log" in told:
        assert told["log"]["digest"] in text
        assert "no JSON; the line may have been cut off" in text
        assert "不是 JSON，该行可能被截断" in page(told).text("zh")
        assert "each decision on its own date" in text
    else:
        population = told["population"]
        assert population["digest"] in text
        assert f"Rowsused{population['used']:,}" in tight(page(told))
        assert f"Seed{population['seed']}" in tight(page(told))
        assert "Decidedasof2025-06-16" in tight(page(told))
    assert "Amountscountwhereacaseisallowed" in tight(page(told))
    for warning in told["warnings"]:
        assert warning["en"] in text


@pytest.mark.parametrize("name", MADE)
def test_equal_data_give_equal_bytes(name: str) -> None:
    assert html(run(name)) == html(json.loads(json.dumps(run(name))))


@pytest.mark.parametrize("kind", HTML)
def test_another_format_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match=f"expected a {kind} of format 1, got 2; make the run again"):
        HTML[kind]({"format": 2})


@pytest.mark.parametrize("name", MADE)
def test_no_text_becomes_markup(name: str) -> None:
    told = run(name)
    names = [v["parameter"] for v in told.get("vary", [])] + [told.get("parameter"), told.get("measure"), *told.get("measures", [])]
    names += [v for axis in told.get("vary", []) if not axis["numeric"] for v in axis["values"]] + [told["policy"], told["title"]["en"]]
    names += [p["partner"] for p in told.get("most_over_paid", [])] + [x["case_id"] for x in told.get("largest", {}).get("losers", [])]
    text = json.dumps(told, ensure_ascii=False)
    for known in sorted({n if isinstance(n, str) else n["name"] for n in names if n}, key=len, reverse=True):
        text = text.replace(json.dumps(known), json.dumps(EVIL + known))
    evil = json.loads(text)
    evil["warnings"] = [{"kind": "x", "en": EVIL, "zh": EVIL}]
    if "population" in evil:
        evil["population"] |= {"source": EVIL, "set_aside": 3, "reasons": [{"column": EVIL, "reason": EVIL, "zh": EVIL, "rows": 3}]}
    clean, found = page(told), page(evil)
    assert sum(t == "script" for t, _ in found.tags) == 1
    assert not [t for t, _ in found.tags if t == "img"]
    assert not [k for _, a in found.tags for k in a if k.startswith("on")]
    assert {t for t, _ in found.tags} - {t for t, _ in clean.tags} <= {"ul", "li", "p", "table", "caption", "code"}
    assert found.text().count("onerror=alert(1)") >= 3
    assert "{{ 7 * 7 }}" in found.text()


def test_rows_set_aside_stand_at_the_top() -> None:
    told = copy.deepcopy(run("sweep"))
    told["population"] |= {"set_aside": 17, "reasons": [{"column": "a.b", "reason": "`x` is no number", "zh": "`x` 不是数字", "rows": 17}]}
    found = page(told)
    assert re.search(r"Rows set aside, and why.*a\.b ?`x` is no number ?17.*Contents", found.text())
    assert "`x` 不是数字" in found.text("zh")
    assert "is no number" not in found.text("zh")


# -- backtest and settlement ---------------------------------------------------------------------------------------------------------------


def test_a_backtest_tells_both_totals_and_who_moves_most() -> None:
    told = run("backtest")
    [m] = told["measures"]
    text = page(told).text()
    asked = sum(c["rows"] for c in told["flips"]["cells"])
    assert f"none of {asked} recorded decisions would get another answer." in text
    before, after, less = (f"{abs(Decimal(m[k])):,}" for k in ("before", "after", "change"))
    assert f"performance in total: ¥{before} → ¥{after}, ¥{less} less" in text
    for x in [*m["gainers"], *m["losers"]]:
        assert x["case_id"] in text
        assert f"{abs(Decimal(x['change'])):,}" in text
    assert Decimal(m["gain"]["amount"]) + Decimal(m["loss"]["amount"]) == Decimal(m["change"])
    assert "changed.parquet" in text


def test_the_largest_changes_come_first() -> None:
    [m] = run("backtest")["measures"]
    for side, sign in (("gainers", 1), ("losers", -1)):
        changes = [sign * Decimal(x["change"]) for x in m[side]]
        assert changes == sorted(changes, reverse=True)
        assert changes[-1] > 0
        assert all(Decimal(x["after"]) - Decimal(x["before"]) == Decimal(x["change"]) for x in m[side])
        assert len(changes) == min(10, m["gain" if sign > 0 else "loss"]["rows"])


def test_answers_that_differ_stand_in_the_matrix() -> None:
    told = copy.deepcopy(run("backtest"))
    told["flips"] = {"cells": [{"from": "allowed", "to": "denied", "rows": 7}, {"from": "denied", "to": "denied", "rows": 2}], "changed": 7, "share": "0.7778"}
    text = html(told)
    found = re.findall(r'<td class="heat(\d)( stays)?( none)?">([\d,]+)', part(text, 'class="matrix"'))
    assert [int(n) for *_, n in found] == [0, 7, 0, 2]
    assert "7 of 9 recorded decisions would get another answer." in Page(text).text()
    assert "7 from allowed to denied." in Page(text).text()


@pytest.mark.parametrize("name", ["settlement", "of-log"])
def test_the_columns_of_the_partners_add_up(name: str) -> None:
    told = run(name)
    table = part(html(told), 'aria-labelledby="by-partner"').partition("<tbody>")[2]
    cells = [[number(n) for n in re.findall(r'data-zh="[^"]+">([^<]+)</td>', row)] for row in table.split("</tr>")[:-1]]
    total = told["total"]
    expected = [Decimal(total["net"]), Decimal(total["over_paid"]["amount"]), Decimal(total["under_paid"]["amount"]), Decimal(total["open"])]
    assert [sum(column) for column in zip(*cells, strict=True)] == expected
    assert all(net == over + under for net, over, under, _ in cells)
    named = [*told["most_over_paid"], *told["most_under_paid"]]
    assert [c[0] for c in cells[: len(named)]] == [Decimal(p["net"]) for p in named]
    assert table.count('class="bar"') == len(named)


def test_a_settlement_says_how_much_and_where_the_lists_are() -> None:
    told = run("settlement")
    total = told["total"]
    over, under = (
        f"¥{abs(Decimal(total[k]['amount'])):,} too {word} in {total[k]['cases']} cases" for k, word in (("over_paid", "much"), ("under_paid", "little"))
    )
    found = page(told)
    assert f"Version 1 paid {over} and {under}." in found.text()
    assert "asked again under version 1 with ratio_joint_operation = 0.4, ratio_self_service = 1.1" in found.text()
    assert "These cases are made up: nobody was paid these amounts." in found.text()
    for file in ("settlement.csv", "settlement.parquet", "partners.csv", "set-aside.parquet"):
        assert file in found.text()
    for x in [*told["largest"]["losers"], *told["largest"]["gainers"]]:
        assert x["case_id"] in found.text()
        assert f"{abs(Decimal(x['change'])):,}" in found.text()
    assert "set-aside.parquet" not in page(run("of-log")).text()


def test_a_settlement_without_anything_to_settle() -> None:
    told = copy.deepcopy(run("settlement"))
    none = {"cases": 0, "amount": "0.00"}
    told |= {"total": {"over_paid": none, "under_paid": none, "open": 0, "net": "0.00"}, "partners": 0, "by_partner": [], "differing": []}
    told |= {"most_over_paid": [], "most_under_paid": [], "largest": {"gainers": [], "losers": []}}
    text = page(told).text()
    assert "Version 1 paid nobody too much or too little." in text
    assert "No case is paid otherwise." in text
    assert "No case was paid too much." in text
    assert "#partners" not in page(told).attributes("href")


def test_cases_without_a_partner_and_open_ones_are_in_the_last_row() -> None:
    told = copy.deepcopy(run("settlement"))
    told["total"]["open"] += 5
    text = html(told)
    assert "all others together" in Page(text).text()
    told["most_over_paid"][0]["partner"] = None
    assert "(without a partner)" in page(told).text()
