"""The drawings of a report, read back from their SVG."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from decimal import Decimal

import pytest

from simulations.report.charts import Bin, Series, bar, flow, histogram, icon
from simulations.report.figures import Both
from simulations.report.words import OUTCOMES

D = Decimal


def bins(edges: list[int], rows: list[int]) -> list[Bin]:
    return [Bin(D(a), D(b), n) for a, b, n in zip(edges, edges[1:], rows, strict=False)]


def parsed(text: str) -> ET.Element:
    return ET.fromstring(text)


def rectangles(text: str, kind: str) -> list[tuple[Decimal, Decimal, Decimal, Decimal]]:
    """x, width, y and height of the rectangles of a class."""
    found = [r for r in parsed(text).iter("rect") if kind in r.attrib["class"].split()]
    return [tuple(D(r.attrib[k].rstrip("%")) for k in ("x", "width", "y", "height")) for r in found]  # type: ignore[misc]


def test_bars_are_as_high_as_their_counts() -> None:
    drawn = rectangles(histogram([Series("change", bins([-20, -10, 0, 10], [5, 10, 20]))], "c", 200), "change")
    assert [h for _, _, _, h in drawn] == [D(50), D(100), D(200)]
    assert all(y + h == 200 for _, _, y, h in drawn)


def test_bins_of_equal_width_stand_where_their_amounts_are() -> None:
    drawn = rectangles(histogram([Series("change", bins([0, 25, 50, 75, 100], [1, 1, 0, 1]))], "c"), "change")
    assert [x for x, _, _, _ in drawn] == [D(1), D(26), D(76)]
    assert {w for _, w, _, _ in drawn} == {D(23)}


def test_bins_of_unequal_width_become_equal_slots() -> None:
    drawn = rectangles(histogram([Series("change", bins([0, 1, 10, 1000, 10**9], [1, 1, 1, 1]))], "c"), "change")
    assert {w for _, w, _, _ in drawn} == {D(23)}


def test_less_and_more_differ_by_more_than_place() -> None:
    drawn = histogram([Series("change", bins([-10, 0, 10], [1, 1]))], "c")
    assert len(rectangles(drawn, "down")) == len(rectangles(drawn, "up")) == 1
    assert 'class="zero"' in drawn


def test_two_series_share_one_scale() -> None:
    drawn = histogram([Series("before", bins([0, 1, 2], [10, 5])), Series("after", bins([0, 1, 2], [0, 20]))], "c", 100)
    assert [h for *_, h in rectangles(drawn, "before")] == [D(50), D(25)]
    assert [h for *_, h in rectangles(drawn, "after")] == [D(100)]


def test_the_axis_is_labelled_in_both_languages_with_round_numbers() -> None:
    drawn = parsed(histogram([Series("change", bins([0, 250_000, 500_000], [1, 1]))], "c"))
    labels = {(t.attrib.get("lang"), t.text) for t in drawn.iter("tspan")}
    assert {("en", "0.2M"), ("zh", "20万")} <= labels or {("en", "200k"), ("zh", "20万")} <= labels


@pytest.mark.parametrize("empty", [[], bins([0, 1], [0])])
def test_nothing_is_drawn_of_nothing(empty: list[Bin]) -> None:
    assert histogram([Series("change", empty)], "c") == ""


def test_one_bin_alone_can_be_drawn() -> None:
    assert rectangles(histogram([Series("change", bins([0, 100], [3]))], "c"), "change") == [(D(4), D(92), D(0), D(180))]
    assert rectangles(histogram([Series("change", [Bin(D(5), D(5), 3)])], "c"), "change")


def test_a_bar_reaches_from_its_start_to_its_end() -> None:
    down = bar([(D(0), D(-30))], D(-40), D(10))
    assert rectangles(down, "down") == [(D(20), D(60), D(20), D(60))]
    assert parsed(down).attrib["aria-hidden"] == "true"
    assert rectangles(bar([(D(-30), D(10))], D(-40), D(10)), "up")[0][:2] == (D(20), D(80))


def test_a_waterfall_row_joins_the_next_one_where_it_ends() -> None:
    drawn = parsed(bar([(D(0), D(-30))], D(-40), D(0), joins=True))
    assert [x.attrib["x1"] for x in drawn.iter("line") if x.attrib["class"] == "join"] == ["25%"]


def test_a_bar_of_nothing_has_only_its_zero_line() -> None:
    drawn = parsed(bar([(D(0), D(0))], D(0), D(0)))
    assert not list(drawn.iter("rect"))
    assert len(list(drawn.iter("line"))) == 1


def test_the_flow_shows_every_outcome_in_proportion_before_and_after() -> None:
    cells = {("allowed", "allowed"): 60, ("allowed", "denied"): 15, ("denied", "denied"): 25}
    drawn = flow(cells, ["allowed", "denied"], OUTCOMES, "c")
    assert [(x, w, y) for x, w, y, _ in rectangles(drawn, "block")] == [
        (D(0), D(75), D(0)),
        (D(75), D(25), D(0)),
        (D(0), D(60), D(126)),
        (D(60), D(40), D(126)),
    ]
    bands = [p.attrib for p in parsed(drawn).iter("path")]
    assert [b["class"] for b in bands] == ["stayed allowed", "stayed denied", "moved denied"], "what changes lies on top"
    assert bands[2]["d"].startswith("M60 0C60 50 60 50 60 100H75")


def test_names_are_written_only_where_they_fit_on_a_phone() -> None:
    drawn = flow({("allowed", "allowed"): 95, ("undetermined", "undetermined"): 5}, ["allowed", "undetermined"], OUTCOMES, "c")
    names = {t.text for t in parsed(drawn).iter("tspan")}
    assert "allowed" in names
    assert "undetermined" not in names


def test_every_drawing_names_its_caption_and_carries_no_style() -> None:
    for drawn in (
        histogram([Series("change", bins([0, 1, 2], [1, 2]))], "the-caption"),
        flow({("allowed", "denied"): 1}, ["allowed", "denied"], OUTCOMES, "the-caption"),
    ):
        assert parsed(drawn).attrib["role"] == "img"
        assert parsed(drawn).attrib["aria-labelledby"] == "the-caption"
        assert "style=" not in drawn
        assert " on" not in drawn


def test_texts_in_drawings_are_escaped() -> None:
    names = {"allowed": Both("<b>a</b>", "&"), "denied": Both("d", "d")}
    drawn = flow({("allowed", "allowed"): 1}, ["allowed", "denied"], names, 'x"><script>')
    assert "<b>" not in drawn
    assert "<script>" not in drawn
    parsed(drawn)


def test_an_outcome_has_a_sign_besides_its_colour() -> None:
    signs = {icon(o) for o in OUTCOMES}
    assert len(signs) == len(OUTCOMES)
