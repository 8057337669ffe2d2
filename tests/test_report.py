"""The report as a file: whole, safe, readable without a network or a script, in both languages, whatever the summary holds."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import re
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from simulations.report import report
from tests import sample_summary
from tests.pages import EVIL, Page, spoiled

OUTCOMES = ("allowed", "review", "denied", "undetermined", "error")


def made(**values: Any) -> dict[str, Any]:
    """The rebate summary with some parts replaced."""
    return copy.deepcopy(sample_summary.rebate()) | values


@pytest.fixture(scope="module")
def rebate() -> Page:
    return Page(report.html(sample_summary.rebate()))


@pytest.fixture(scope="module")
def relation() -> Page:
    return Page(report.html(sample_summary.relation()))


# -- the file -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["relation", "rebate"])
def test_one_small_file_that_loads_nothing(name: str) -> None:
    text = report.html(getattr(sample_summary, name)())
    page = Page(text)
    assert len(text.encode()) < 400_000
    assert not re.search(r"https?://", text)
    assert not [t for t, _ in page.tags if t in ("link", "img", "iframe", "object", "base", "form")]
    assert not [a for _, a in page.tags for k in a if k in ("src", "style", "srcset") or k.startswith("on")]
    assert all(href.startswith("#") for href in page.attributes("href"))


def test_the_policy_of_the_page_allows_its_own_style_and_script_and_nothing_else(rebate: Page) -> None:
    text = report.html(sample_summary.rebate())
    policy = next(a["content"] for t, a in rebate.tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy")
    style, script = (re.search(rf"<{t}>(.*?)</{t}>", text, re.DOTALL).group(1) for t in ("style", "script"))  # type: ignore[union-attr]
    style_hash, script_hash = (base64.b64encode(hashlib.sha256(x.encode()).digest()).decode() for x in (style, script))
    assert policy == f"default-src 'none'; style-src 'sha256-{style_hash}'; script-src 'sha256-{script_hash}'; base-uri 'none'; form-action 'none'"
    assert text.index("Content-Security-Policy") < text.index("<style>")


def test_equal_summaries_give_equal_bytes() -> None:
    assert report.html(made()) == report.html(json.loads(json.dumps(sample_summary.rebate())))


def test_another_format_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected a summary of format 1, got 2"):
        report.html(made(format=2))


def test_it_does_not_matter_that_cases_were_decided_before() -> None:
    """The engine leaves a decimal context behind that refuses to round."""
    sample_summary.rebate()
    assert "1.6%" in report.html(sample_summary.rebate())


# -- structure ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["relation", "rebate"])
def test_links_and_captions_lead_somewhere_and_ids_are_unique(name: str) -> None:
    page = Page(report.html(getattr(sample_summary, name)()))
    ids = page.attributes("id")
    assert len(ids) == len(set(ids))
    assert {h[1:] for h in page.attributes("href")} <= set(ids)
    assert set(page.attributes("aria-labelledby")) | set(page.attributes("for")) <= set(ids)


def test_headings_descend_without_gaps(relation: Page) -> None:
    levels = [int(t[1]) for t, _ in relation.tags if re.fullmatch("h[1-6]", t)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))


def test_every_drawing_is_named_or_hidden(rebate: Page) -> None:
    drawings = [a for t, a in rebate.tags if t == "svg"]
    inner = [a for a in drawings if a.get("preserveaspectratio") or a.get("overflow")]
    assert all(a in inner or a.get("aria-hidden") == "true" or (a.get("role") == "img" and a.get("aria-labelledby")) for a in drawings)
    assert sum(a.get("role") == "img" for a in drawings) == 3


def test_every_example_has_a_page_and_a_link_to_it(relation: Page) -> None:
    examples = sample_summary.relation()["examples"]
    assert [i for i in relation.attributes("id") if re.fullmatch(r"example-\d+", i)] == [f"example-{i + 1}" for i in range(len(examples))]
    assert all(f"#example-{i + 1}" in relation.attributes("href") for i in range(len(examples)))


def test_the_order_is_that_of_the_questions(rebate: Page) -> None:
    sections = [
        i
        for i in rebate.attributes("id")
        if i in ("headline", "h-warnings", "changes", "flips", "money", "segments", "causes", "rules", "open", "examples", "made")
    ]
    assert sections == ["headline", "h-warnings", "changes", "flips", "money", "segments", "causes", "rules", "open", "examples", "made"]


# -- what it says -------------------------------------------------------------------------------------------------------------------------


def test_the_headline_says_what_changed_how_many_and_how_much() -> None:
    one = copy.deepcopy(sample_summary.relation())
    one["changes"] = one["changes"][:1]
    page = Page(report.html(one))
    assert "With cooldown_months 3 → 6, 153 of 1,200 cases get a different outcome." in page.text()
    assert "将 cooldown_months 由 3 改为 6 后，1,200 个案例中有 153 个的结论会改变。" in page.text("zh")
    assert "149 from allowed to denied, 3 from undetermined to denied, 1 from review to denied." in page.text()


def test_several_changes_are_told_by_their_versions(rebate: Page) -> None:
    assert "With version 2 instead of version 1, 14 of 900 cases get a different outcome." in rebate.text()
    m = sample_summary.rebate()["measures"][0]
    before, after, less = (f"{abs(Decimal(m[k])):,}" for k in ("before", "after", "change"))
    assert f"bill_total in total: ¥{before} → ¥{after}, ¥{less} less (−13.4%)." in rebate.text()
    assert f"bill_total 合计：{before} 元 → {after} 元，减少 {less} 元（−13.4%）。" in rebate.text("zh")


def test_every_flip_stands_in_the_matrix() -> None:
    cells = [{"from": a, "to": b, "rows": 1000 * i + 10 * j + 7} for i, a in enumerate(OUTCOMES) for j, b in enumerate(OUTCOMES)]
    changed = sum(c["rows"] for c in cells if c["from"] != c["to"])
    text = report.html(made(flips={"cells": cells, "changed": changed, "share": "0.8"}))
    body = text[text.index('class="matrix"') :]
    body = body[: body.index("</table>")]
    found = re.findall(r'<td class="heat(\d)( stays)?( none)?">([\d,]+)<small>([^<]+)</small>', body)
    assert [int(rows.replace(",", "")) for *_, rows, _ in found] == [c["rows"] for c in cells]
    assert [bool(stays) for _, stays, _, _, _ in found] == [c["from"] == c["to"] for c in cells]
    assert {level for level, stays, *_ in found if stays} == {"0"}


def test_the_causes_add_up_before_the_reader(rebate: Page) -> None:
    text = report.html(sample_summary.rebate())
    table = text[text.index('id="cause-money"') :]
    table = table[: table.index("</table>")]
    before, *parts, after, total = (Decimal(n.replace(",", "").replace("−", "-")) for n in re.findall(r'<td class="num[^"]*">([−+\d,.]+)</td>', table))
    assert len(parts) == 3
    assert sum(parts) == total == after - before
    assert total == Decimal(sample_summary.rebate()["measures"][0]["change"])


def test_rows_set_aside_are_told_at_the_top(relation: Page) -> None:
    text = relation.text()
    assert text.index("17 rows did not fit and were set aside.") < text.index("What was changed")
    assert text.index("`12.345` has 3 decimals") < text.index("What was changed")


def test_the_text_of_a_rule_shows_both_values_of_its_parameter(relation: Page) -> None:
    assert "within the last 3 → 6 months; the partner is free to apply from free_after_request." in relation.text()


def test_groups_have_their_chinese_names() -> None:
    summary = made()
    segment = min(summary["segments"], key=lambda x: len(x["groups"]))
    by, value = segment["by"], next(g["value"] for g in segment["groups"] if g["value"] is not None)
    page = Page(report.html(summary | {"labels": {by: {"en": None, "zh": "某字段", "values": {value: "某一组"}}}}))
    assert "某字段" in page.text("zh")
    assert "某一组" in page.text("zh")
    assert "某一组" not in page.text()
    assert value in page.text()


def test_small_groups_are_marked() -> None:
    summary = made()
    summary["segments"][0]["groups"][0]["rows"] = 29
    assert Page(report.html(summary)).text().count("few cases") == 1
    assert Page(report.html(made())).text().count("few cases") == 0


def test_names_are_explained_where_the_rule_file_does() -> None:
    page = Page(report.html(made(labels={"period": {"en": None, "zh": "对账期次"}, "bill_total": {"en": "the total", "zh": None}})))
    assert "对账期次" in page.text("zh")
    assert "对账期次" not in page.text()
    assert "the total" in page.text()


def test_the_way_to_repeat_it_is_told() -> None:
    page = Page(report.html(made(made={"product": "0.1.0", "duckdb": "2.0.0", "command": "policy simulate rebate-calculation --seed 7"})))
    assert "policy simulate rebate-calculation --seed 7" in page.text()
    assert "DuckDB 2.0.0" in page.text()
    assert sample_summary.rebate()["candidate"]["digest"] in page.text()


# -- whatever the summary holds -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["relation", "rebate"])
def test_no_text_of_a_summary_becomes_markup(name: str) -> None:
    summary = copy.deepcopy(getattr(sample_summary, name)())
    clean, page = Page(report.html(summary)), Page(report.html(spoiled(summary)))
    assert sum(t == "script" for t, _ in page.tags) == 1
    assert not [t for t, _ in page.tags if t == "img"]
    assert not [k for _, a in page.tags for k in a if k.startswith("on")]
    assert {t for t, _ in page.tags} <= {t for t, _ in clean.tags}
    assert "onerror=alert(1)" in page.text(), "it is shown as text"
    assert "{{ 7 * 7 }}" in page.text()


def test_names_of_facts_and_cases_are_text() -> None:
    summary = copy.deepcopy(sample_summary.relation())
    for e in summary["examples"]:
        e["case_id"] = EVIL
        e["facts"] = {EVIL: EVIL, "list": [{EVIL: EVIL}]}
    page = Page(report.html(summary))
    assert not [t for t, _ in page.tags if t == "img"]
    assert page.text().count("onerror=alert(1)") >= 5 * len(summary["examples"])


def test_no_change_at_all() -> None:
    summary = made(
        changes=[], examples=[], segments=[], missing=[], warnings=[], attribution={"method": "shapley", "units": [], "outcomes_total": {}, "changes_total": {}}
    )
    summary["flips"] = {"cells": [{"from": "allowed", "to": "allowed", "rows": 900}], "changed": 0, "share": "0.0000"}
    m = summary["measures"][0]
    none = {"rows": 0, "amount": "0.00"}
    m.update(after=m["before"], change="0.00", gain=none, loss=none, gainers=[], losers=[], histogram={"change": [], "before": [], "after": []})
    for rule in summary["rules"]:
        rule.update(newly=0, no_longer=0)
    text = Page(report.html(summary)).text()
    assert "none of 900 cases gets a different outcome." in text
    assert "bill_total in total stays at" in text
    told = ["Nothing was changed", "No rule is violated in other cases", "No case waits for a fact", "No case changes", "No case gains"]
    for said in [*told, "no columns to group by"]:
        assert said in text


def test_no_case_at_all() -> None:
    summary = made(measures=[], examples=[], segments=[], rules=[], flips={"cells": [], "changed": 0, "share": "0.0000"})
    summary["population"]["used"] = 0
    page = Page(report.html(summary))
    assert "no case could be decided." in page.text()
    assert "#money" not in page.attributes("href")


def test_one_case() -> None:
    summary = copy.deepcopy(sample_summary.relation())
    summary["flips"] = {"cells": [{"from": "allowed", "to": "denied", "rows": 1}], "changed": 1, "share": "1.0000"}
    summary["population"]["used"] = 1
    assert "1 of 1 case gets a different outcome." in Page(report.html(summary)).text()


def test_thousands_of_groups_stay_small_and_add_up() -> None:
    summary = made()
    group = summary["segments"][0]["groups"][0]
    groups = [group | {"value": f"伙伴 {i}", "change": f"{i - 2000}.25", "rows": 40, "changed": 1} for i in range(5000)]
    summary["segments"] = [{"by": "partner", "groups": groups, "others": 12}]
    text = report.html(summary)
    assert len(text.encode()) < 400_000
    page = Page(text)
    assert "4,980 more groups together" in page.text()
    assert "12 more groups are in the data only." in page.text()
    table = text[text.index('id="segment-0"') :]
    table = table[: table.index("</table>")]
    changes = [Decimal(n.replace(",", "").replace("−", "-")) for n in re.findall(r'<td class="num strong \w+"[^>]*>([−+\d,.]+)</td>', table)]
    assert len(changes) == 21
    assert sum(changes) == sum(Decimal(g["change"]) for g in groups)


def test_several_amounts_each_have_their_drawings() -> None:
    summary = made()
    summary["measures"].append(summary["measures"][0] | {"name": "item_incentives[].incentive"})
    page = Page(report.html(summary))
    assert len(page.attributes("id")) == len(set(page.attributes("id")))
    assert {"measure-0", "measure-1", "change-caption-1", "level-caption-1"} <= set(page.attributes("id"))


def test_an_amount_that_stays_has_its_line_and_no_drawing() -> None:
    summary = made()
    first = summary["measures"][0]
    none = {"rows": 0, "amount": "0.00"}
    summary["measures"].append(first | {"name": "quiet_one", "after": first["before"], "change": "0.00", "gain": none, "loss": none})
    page = Page(report.html(summary))
    assert "measure-1" not in page.attributes("id")
    assert "quiet_one" in page.text()


# -- colours ------------------------------------------------------------------------------------------------------------------------------


def luminance(colour: str) -> float:
    full = colour if len(colour) == 7 else "#" + "".join(c * 2 for c in colour[1:])
    parts = [int(full[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def weak(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Pairs of colours that a text and its ground may not have (WCAG AA)."""
    return [(a, b) for a, b in pairs if contrast(a, b) < 4.5]


def contrast(a: str, b: str) -> float:
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1, 2], ids=["light", "dark", "print"])
def test_every_text_stands_out_from_its_ground(scheme: int) -> None:
    css = (Path(report.__file__).parent / "templates" / "report.css").read_text(encoding="utf-8")
    colours = dict(re.findall(r"--([\w-]+): (#\w+)", re.findall(r":root {(.*?)}", css, re.DOTALL)[scheme]))
    texts = ("ink", "soft", "faint", "accent", "down", "allowed", "review", "denied", "undetermined", "error")
    pairs = [(t, ground) for t in texts for ground in ("paper", "raised", "accent-soft")] + [("ink", "note"), ("soft", "note"), ("faint", "note")]
    pairs += [
        ("ink", "heat1"),
        ("ink", "heat2"),
        ("ink", "warm1"),
        ("ink", "warm2"),
        *(("paper", o) for o in ("allowed", "review", "denied", "undetermined", "error")),
    ]
    assert [(t, g) for t, g in pairs if weak([(colours[t], colours[g])])] == []
    light, dark = ("#ffffff", "#0c1d44") if scheme != 1 else ("#0d1526", "#ffffff")
    assert weak([(dark, colours["heat3"]), (dark, colours["warm3"]), (light, colours["heat4"]), (light, colours["heat5"])]) == []
