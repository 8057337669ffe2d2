"""Lines and stacked bars, read back from their SVG."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from decimal import Decimal

import pytest

from simulations.report.figures import Both, same
from simulations.report.plots import Line, Mark, Spot, labels, number, plot, scale, stack
from simulations.report.words import OUTCOMES

D = Decimal


def line(*points: tuple[int | str, int | str], kind: str = "allowed") -> Line:
    return Line(kind, [Spot(D(x), D(y), kind, f"{x}: {y}") for x, y in points])


def drawn(text: str) -> ET.Element:
    return ET.fromstring(text)


def places(text: str) -> list[tuple[Decimal, Decimal]]:
    return [(D(u.attrib["x"].rstrip("%")), D(u.attrib["y"])) for u in drawn(text).iter("use")]


def words(text: str, kind: str = "tick") -> list[str | None]:
    return [t.text for t in drawn(text).iter("text") if t.attrib["class"].split()[0] == kind]


def test_spots_stand_where_their_values_and_amounts_are() -> None:
    assert places(plot([line((0, 0), (5, 50), (20, 100))], "c", height=200)) == [(D(0), D(200)), (D(25), D(100)), (D(100), D(0))]


def test_one_value_stands_in_the_middle() -> None:
    text = plot([line((7, 10))], "c")
    assert [x for x, _ in places(text)] == [D(50)]
    assert not list(drawn(text).iter("path"))


def test_nothing_is_drawn_of_nothing() -> None:
    assert plot([], "c") == ""
    assert plot([Line("allowed", [])], "c") == ""


@pytest.mark.parametrize(
    ("values", "whole", "expected"),
    [
        ([0, 100], False, [0, 50, 100]),
        ([14335, 97], True, [0, 5000, 10000, 15000]),
        ([-403, 414], True, [-500, 0, 500]),
        ([990, 1000], False, [990, 995, 1000]),
        ([-1000, -990], False, [-1000, -995, -990]),
        ([0, 1], True, [0, 1]),
        ([0, 0], True, [0, 1]),
        ([7, 7], True, [0, 2, 4, 6, 8]),
        ([-7, -7], True, [-7, -6]),
    ],
)
def test_the_axis_has_round_amounts_around_all_values(values: list[int], whole: bool, expected: list[int]) -> None:
    found = scale([D(v) for v in values], whole)
    assert found[0] <= min(values) <= max(values) <= found[-1]
    assert [int(f) for f in found] == expected


def test_labels_are_never_alike() -> None:
    close = [D("12345678.01"), D("12345678.02")]
    assert labels(close) == [same("12,345,678.01"), same("12,345,678.02")]
    assert labels([D(0), D(50_000)]) == [Both("0", "0"), Both("50k", "5万")]
    assert labels([]) == []


def test_values_are_written_without_zeros_at_their_end() -> None:
    assert [number(D(v)) for v in ("0.50", "1000", "0E+2", "-3.0", "2000.00")] == ["0.5", "1,000", "0", "−3", "2,000"]


def test_few_values_are_named_one_by_one_and_many_by_round_ones() -> None:
    assert words(plot([line((1, 1), (3, 1), (7, 1))], "c"))[-3:] == ["1", "3", "7"]
    many = words(plot([line(*((i, 1) for i in range(13)))], "c"))
    assert many[-3:] == ["0", "5", "10"]


def test_what_stands_out_has_a_line_and_a_name() -> None:
    text = plot(
        [line((0, 0), (10, 10))],
        "c",
        across=[Mark(D(5), "base", same("base 5")), Mark(D(11), "base", same("outside"))],
        level=Mark(D(20), "goal", same("goal")),
    )
    lines = {x.attrib["class"]: x.attrib for x in drawn(text).iter("line") if "across" in x.attrib["class"]}
    assert lines["across base"]["x1"] == "50%"
    assert lines["across goal"]["y1"] == "0", "the axis reaches up to the goal"
    assert words(text, "said") == ["base 5", "goal"]


def test_the_name_of_an_amount_stands_where_the_quantity_is_further_away() -> None:
    for points, side in ((((0, 90), (10, 0)), "end"), (((0, 0), (10, 90)), "start")):
        found = drawn(plot([line(*points)], "c", level=Mark(D(100), "goal", same("goal"))))
        assert [t.attrib["text-anchor"] for t in found.iter("text") if "said" in t.attrib["class"]] == [side]


def test_of_many_values_the_spots_are_hidden() -> None:
    assert "dense" in drawn(plot([line(*((i, i) for i in range(40)))], "c")).attrib["class"]
    assert "dense" not in drawn(plot([line(*((i, i) for i in range(20)))], "c")).attrib["class"]


def test_texts_are_escaped_and_nothing_carries_a_style() -> None:
    evil = Spot(D(1), D(1), "allowed", '"><script>x</script>')
    text = plot([Line("allowed", [evil])], 'c"><b>', across=[Mark(D(1), "base", same("<i>"))])
    drawn(text)
    assert "<script>" not in text
    assert "<b>" not in text
    assert "<i>" not in text
    assert "style=" not in text
    assert drawn(text).attrib["role"] == "img"


def test_a_stack_shows_every_outcome_in_proportion() -> None:
    found = drawn(stack({"allowed": 60, "review": 0, "denied": 40}, OUTCOMES))
    assert [(r.attrib["class"], r.attrib["x"], r.attrib["width"]) for r in found.iter("rect")] == [
        ("block allowed", "0%", "60%"),
        ("block denied", "60%", "40%"),
    ]
    assert not list(drawn(stack({"allowed": 0}, OUTCOMES)).iter("rect"))
