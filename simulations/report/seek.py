"""The page of a goal seek: the goal, the answer, and what was found at every value that was tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, localcontext
from typing import Any

from engine.types import ROUNDING
from simulations.report import origin, page, plots
from simulations.report.figures import Both, amount, count, money, same, share
from simulations.report.plots import Line, Mark, Spot
from simulations.report.quantities import UNIT, unit
from simulations.report.words import OUTCOMES, WORDS, code, named, say, texts

#: The found value is drawn once more with so many values on each side, if they lie within this part of all.
NEAR, CLOSE = 4, 5


def html(found: Mapping[str, Any]) -> str:
    """The page of a seek's JSON data. Equal data give equal bytes. Raises ValueError for another format."""
    page.check_format(found, "seek")
    with localcontext(ROUNDING):
        return page.render("seek.html", "seek", found, _view(found))


def _view(found: Mapping[str, Any]) -> dict[str, Any]:
    target, name = found["target"], code(found["parameter"])
    base = None if found["base"] == "unset" else Decimal(found["base"])
    wanted = say("goal-wanted", goal=code(found["goal"]), name=name, low=_value(found["low"]), high=_value(found["high"]), step=found["step"])
    return {
        "headline": texts(found["sentence"]),
        "lede": [wanted, *([] if base is None else [say("goal-base", name=name, value=plots.number(base))])],
        "tiles": _tiles(found),
        "aside": origin.aside(found["population"]),
        "version_label": origin.version(found["version"], found["changed"]),
        "plots": _plots(found, base, say("seek-plot", name=_quantity(target), by=name)),
        "span": say("seek-span", low=_value(found["low"]), high=_value(found["high"]), step=found["step"]),
        "quantity": _quantity(target),
        "unit": unit() if target["amount"] else None,
        "rows": [_row(p, found) for p in found["points"]],
    }


def _quantity(target: Mapping[str, Any]) -> Both:
    """What the goal looks at, in words: cases of an outcome, or the total of an amount."""
    return same(code(target["name"])) if target["amount"] else say("heat-cases", outcome=named(OUTCOMES, target["name"]))


def _limit(found: Mapping[str, Any]) -> Decimal:
    """The goal as an amount or a number of cases: of a share, that share of all cases."""
    limit = Decimal(found["target"]["limit"])
    return limit * int(found["points"][0]["rows"]) / 100 if found["target"]["percent"] else limit


def _text(value: Decimal, is_amount: bool, sign: bool = False) -> str:
    return amount(value, sign) if is_amount or value != value.to_integral_value() else count(value.to_integral_value(), sign)


def _value(text: str) -> str:
    return plots.number(Decimal(text))


def _tiles(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    is_amount, points, limit = found["target"]["amount"], found["points"], _limit(found)
    quantity = _quantity(found["target"])
    possible = int((Decimal(found["high"]) - Decimal(found["low"])) / Decimal(found["step"])) + 1
    if found["found"] is None:
        told = {"figure": WORDS["found-none"], "below": WORDS["every-value" if found["status"] == "always" else "no-value-meets"]}
        nearest = min(points, key=lambda p: abs(Decimal(p["quantity"]) - limit))
        word = "tile-nearest"
    else:
        told = {"figure": same(_value(found["found"])), "below": say("beyond", value=_value(found["beyond"]))}
        nearest = next(p for p in points if p["value"] == found["found"])
        word = "tile-quantity"
    there = Decimal(nearest["quantity"])
    figure = money(there, UNIT) if is_amount else same(_text(there, False))  # never rounded: it may lie close to the goal
    return [
        {"name": say("found"), **told},
        {"name": say(word, name=quantity), "figure": figure, "below": say("at-value", value=_value(nearest["value"]))},
        {"name": say("tile-tried"), "figure": count(len(points)), "below": say("of-steps", n=count(possible))},
    ]


def _plots(found: Mapping[str, Any], base: Decimal | None, caption: Both) -> list[dict[str, Any]]:
    """Everything that was tried; and, where most of that lies close to the found value, the same around it."""
    points = found["points"]
    drawn = [_plot(found, points, base, "seek-plot", caption)]
    at = next((i for i, p in enumerate(points) if p["value"] == found["found"]), None)
    if at is not None:
        near = points[max(at - NEAR, 0) : at + NEAR + 1]
        ends, whole = ([Decimal(some[i]["value"]) for i in (0, -1)] for some in (near, points))
        if (ends[1] - ends[0]) * CLOSE < whole[1] - whole[0]:
            drawn.append(_plot(found, near, base, "seek-near", say("seek-near")))
    return drawn


def _plot(found: Mapping[str, Any], points: Sequence[Mapping[str, Any]], base: Decimal | None, name: str, caption: Both) -> dict[str, Any]:
    is_amount, limit = found["target"]["amount"], _limit(found)
    spots = [_spot(p, found["parameter"], is_amount) for p in points]
    marks = [] if found["found"] is None else [Mark(Decimal(found["found"]), "found", say("found-value", value=_value(found["found"])))]
    if base is not None:
        marks.append(Mark(base, "base", say("base-value", value=plots.number(base))))
    svg = plots.plot([Line("quantity", spots)], name, not is_amount, marks, Mark(limit, "goal", say("goal-line", limit=found["goal"])), 260)
    return {"id": name, "caption": caption, "svg": svg, "cut": plots.scale([*(s.y for s in spots), limit], not is_amount)[0] > 0}


def _spot(p: Mapping[str, Any], parameter: str, is_amount: bool) -> Spot:
    word = WORDS["meets" if p["meets"] else "misses"]
    told = f"{parameter} = {_value(p['value'])}: {_text(Decimal(p['quantity']), is_amount)} ({word.en}, {word.zh})"
    return Spot(Decimal(p["value"]), Decimal(p["quantity"]), "met" if p["meets"] else "missed", told)


def _row(p: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    is_amount, quantity = found["target"]["amount"], Decimal(p["quantity"])
    kind = "found" if p["value"] == found["found"] else "beyond" if p["value"] == found["beyond"] else ""
    away = quantity - _limit(found)
    return {
        "value": _value(p["value"]), "quantity": _text(quantity, is_amount), "share": None if is_amount else share(int(quantity), p["rows"]),
        "away": _text(away, is_amount, True), "meets": p["meets"], "kind": kind,
    }  # fmt: skip
