"""The page of a sweep: what one or two parameters come to over their values, as drawings and as exact numbers beside the base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, localcontext
from typing import Any

from engine.types import ROUNDING
from simulations.report import charts, heat, movement, origin, page, plots
from simulations.report.figures import Both, count, money, rounded, same
from simulations.report.plots import Line, Mark, Spot
from simulations.report.quantities import MAX_VALUE, UNIT, Axis, Quantity, unit
from simulations.report.words import OUTCOMES, cases, code, cut, say

#: Values that are named where several come to the same.
MAX_SAME = 3
#: Words for the least, the greatest and the base of an amount, and of a number of cases.
TILES = {True: ("tile-least-money", "tile-most-money", "tile-base-money"), False: ("tile-least-cases", "tile-most-cases", "tile-base-cases")}


def html(found: Mapping[str, Any]) -> str:
    """The page of a sweep's JSON data. Equal data give equal bytes. Raises ValueError for another format."""
    page.check_format(found, "sweep")
    with localcontext(ROUNDING):
        return page.render("sweep.html", "sweep", found, _view(found))


def _view(found: Mapping[str, Any]) -> dict[str, Any]:
    axes = [Axis(v["parameter"], v["numeric"], list(dict.fromkeys(v["values"])), found["parameters"][v["parameter"]]) for v in found["vary"]]
    points = {tuple(p["values"][a.name] for a in axes): p for p in found["points"]}  # values that come to the same text are one
    quantities = _quantities(found, list(points.values()))
    outcomes, sums = [q for q in quantities if not q.is_money], [q for q in quantities if q.is_money]
    base, lead = tuple(a.base for a in axes), _lead(quantities)
    told = [f"{a.name} = {cut(a.base, MAX_VALUE)}" for a in axes]
    view: dict[str, Any] = {
        "headline": _headline(found, axes, lead),
        "lede": _lede(found, quantities, lead, list(points), ", ".join(told)),
        "tiles": _tiles(lead, list(points), ", ".join(told)),
        "aside": origin.aside(found["population"]),
        "version_label": origin.version(found["version"], found["changed"]),
        "axes": [{"name": a.name, "told": say("varied-line", n=count(len(a.values)), base=cut(a.base, MAX_VALUE))} for a in axes],
        "outcomes": [q.name for q in outcomes],
        "sums": [q.name for q in sums],
        "plots": [], "heats": [], "bars_of": None, "change_none": False, "base_note": None,
        "rows": _rows(quantities, points, base),
    }  # fmt: skip
    if len(axes) == 2:
        view["heats"] = [heat.table(q, i, (axes[0], axes[1]), list(points)) for i, q in enumerate(quantities)]
        view["base_note"] = say("heat-base") if base in points else say("heat-no-base", values=", ".join(told))
    elif axes[0].numeric:
        view["plots"] = _plots(axes[0], outcomes, sums, [Decimal(key[0]) for key in points])
        view["change_none"] = all(v == q.base for q in outcomes for v in q.values)
        numbers = [Decimal(v) for v in axes[0].values]
        own = axes[0].base_number
        if own is None:
            view["base_note"] = say("base-unset", name=code(axes[0].name))
        elif not min(numbers) <= own <= max(numbers):
            view["base_note"] = say("base-outside", value=axes[0].base)
    else:
        view["bars_of"] = _bars(axes[0], outcomes, sums)
        if axes[0].base not in axes[0].values:
            view["base_note"] = say("heat-no-base", values=told[0])
    return view


def _quantities(found: Mapping[str, Any], points: Sequence[Mapping[str, Any]]) -> list[Quantity]:
    """The outcomes that occur, allowed always, then the measures."""
    seen = [o for o in OUTCOMES if o == "allowed" or any(p["outcomes"].get(o) for p in [found["base"], *points])]
    counts = [Quantity(o, False, Decimal(found["base"]["outcomes"].get(o, 0)), [Decimal(p["outcomes"].get(o, 0)) for p in points]) for o in seen]
    return counts + [Quantity(m, True, Decimal(found["base"]["measures"][m]), [Decimal(p["measures"][m]) for p in points]) for m in found["measures"]]


# -- in words ------------------------------------------------------------------------------------------------------------------------------


def _lead(quantities: Sequence[Quantity]) -> Quantity:
    """What the top of the page is about: allowed cases if they vary, else an amount that does, else another outcome."""
    allowed, *others = quantities
    varied = [q for q in [allowed, *sorted(others, key=lambda q: not q.is_money)] if q.low < q.high]
    return varied[0] if varied else allowed


def _headline(found: Mapping[str, Any], axes: Sequence[Axis], q: Quantity) -> Both:
    what = axes[0].span() if len(axes) == 1 else say("and", a=axes[0].span(), b=axes[1].span())
    if q.is_money:
        return say("sweep-sum", what=what, name=code(q.name), low=money(q.low, UNIT), high=money(q.high, UNIT))
    told = {"what": what, "low": count(q.low), "total": cases(found["population"]["used"])}
    if q.low == q.high:
        return say("sweep-alike" if len(q.values) == 1 else "sweep-alike-all", **told)
    if q.name == "allowed":
        return say("sweep-between", **told, high=count(q.high))
    return say("sweep-other", **told, high=count(q.high), outcome=OUTCOMES[q.name])


def _lede(found: Mapping[str, Any], quantities: Sequence[Quantity], lead: Quantity, keys: Sequence[tuple[str, ...]], base: str) -> list[Both]:
    """The base beside the headline, and every amount."""
    allowed = quantities[0]
    if lead is allowed or allowed.low < allowed.high or allowed.base != allowed.low:
        first = say("sweep-base", values=base, n=count(allowed.base))
    else:
        first = say("sweep-allowed", n=count(allowed.low), total=cases(found["population"]["used"]))
    return [first, *(_money_line(q, keys) for q in quantities if q.is_money)]


def _money_line(q: Quantity, keys: Sequence[tuple[str, ...]]) -> Both:
    told = {"name": code(q.name), "low": money(q.low, UNIT), "base": money(q.base, UNIT)}
    if q.low == q.high:
        return say("sweep-money-alike", **told)
    return say("sweep-money", **told, high=money(q.high, UNIT), at_low=_where(q, q.low, keys), at_high=_where(q, q.high, keys))


def _where(q: Quantity, value: Decimal, keys: Sequence[tuple[str, ...]]) -> Both:
    """The values at which a quantity comes to an amount."""
    at = [" / ".join(cut(v, MAX_VALUE) for v in key) for key, found in zip(keys, q.values, strict=True) if found == value]
    told = same(", ".join(at[:MAX_SAME]))
    return say("at-and-more", values=told, n=count(len(at) - MAX_SAME)) if len(at) > MAX_SAME else told


def _tiles(q: Quantity, keys: Sequence[tuple[str, ...]], base: str) -> list[dict[str, Any]]:
    least, most, own = TILES[q.is_money]
    what = code(q.name) if q.is_money else OUTCOMES[q.name]
    ends = [(least, q.low), (most, q.high)] if q.low < q.high else []
    found: list[dict[str, Any]] = [
        {"name": say(word, what=what), "figure": _figure(q, value), "below": say("at-value", value=_where(q, value, keys))} for word, value in ends
    ]
    return [*found, {"name": say(own, what=what), "figure": _figure(q, q.base), "below": same(base)}]


def _figure(q: Quantity, value: Decimal) -> Both:
    return rounded(value, UNIT) if q.is_money else same(count(value))


# -- drawings of numbers -------------------------------------------------------------------------------------------------------------------


def _plots(axis: Axis, outcomes: Sequence[Quantity], sums: Sequence[Quantity], xs: Sequence[Decimal]) -> list[dict[str, Any]]:
    """The cases of every outcome, the same as a difference to the base, and one drawing for each measure."""
    own = axis.base_number
    marks = [] if own is None else [Mark(own, "base", say("base-value", value=plots.number(own)))]
    within = own is not None and min(xs) <= own <= max(xs)

    def line(q: Quantity, less: Decimal = Decimal(0), sign: bool = False) -> Line:
        at = dict(zip(xs, q.values, strict=True)) | ({own: q.base} if own is not None and within else {})
        kind, name = ("money", same(q.name)) if q.is_money else (q.name, OUTCOMES[q.name])
        told = f"{name.en}, {name.zh}" if name.en != name.zh else name.en
        return Line(kind, [Spot(x, at[x] - less, kind, f"{axis.name} = {plots.number(x)}: {q.text(at[x] - less, sign)} {told}") for x in sorted(at)])

    def drawn(name: str, caption: Both, lines: Sequence[Line], whole: bool, legend: Sequence[str], of: str | None = None) -> dict[str, Any]:
        values = [spot.y for line in lines for spot in line.spots]
        is_cut = plots.scale(values, whole)[0] > 0
        return {"id": name, "of": of, "caption": caption, "svg": plots.plot(lines, name, whole, marks), "cut": is_cut, "legend": legend}

    names = [q.name for q in outcomes]
    found = [drawn("plot-cases", say("cases-plot", name=code(axis.name)), [line(q) for q in outcomes], True, names)]
    if any(v != q.base for q in outcomes for v in q.values):
        found.append(drawn("plot-change", say("change-plot"), [line(q, q.base, True) for q in outcomes], True, names))
    for i, q in enumerate(sums):
        caption = say("money-plot", name=code(q.name), by=code(axis.name), unit=unit())
        found.append(drawn(f"plot-money-{i}", caption, [line(q)], False, [], q.name))
    return found


# -- values that are no numbers ------------------------------------------------------------------------------------------------------------


def _bars(axis: Axis, outcomes: Sequence[Quantity], sums: Sequence[Quantity]) -> dict[str, Any]:
    """A bar of the outcomes for each value, and one of each measure; the base first where it is not among them."""
    own = [(v, i) for i, v in enumerate(axis.values)]
    rows = own if axis.base in axis.values else [(axis.base, None), *own]

    def value(q: Quantity, i: int | None) -> Decimal:
        return q.base if i is None else q.values[i]

    drawn = []
    for k, q in enumerate(sums):
        low, high = min([q.base, *q.values, Decimal(0)]), max([q.base, *q.values, Decimal(0)])
        bars = [{"value": v, "base": v == axis.base, "bar": charts.bar([(Decimal(0), value(q, i))], low, high), "text": q.text(value(q, i))} for v, i in rows]
        caption = say("categories-money", name=code(q.name), by=code(axis.name), unit=unit())
        drawn.append({"id": f"bars-money-{k}", "of": q.name, "caption": caption, "rows": bars})
    stacks = [{"value": v, "base": v == axis.base, "bar": plots.stack({q.name: int(value(q, i)) for q in outcomes}, OUTCOMES)} for v, i in rows]
    return {"caption": say("categories-cases", name=code(axis.name)), "rows": stacks, "sums": drawn}


# -- every number --------------------------------------------------------------------------------------------------------------------------


def _rows(quantities: Sequence[Quantity], points: Mapping[tuple[str, ...], Any], base: tuple[str, ...]) -> list[dict[str, Any]]:
    """A row for the base, then one for every point."""
    first = {"values": base, "kind": "base", "cells": [{"text": q.text(q.base), "change": None, "tone": "same"} for q in quantities]}
    rows = [first]
    for i, key in enumerate(points):
        cells = [
            {"text": q.text(q.values[i]), "change": q.text(q.values[i] - q.base, True), "tone": movement.tone(q.values[i] - q.base)} for q in quantities
        ]  # fmt: skip
        rows.append({"values": key, "kind": "same" if key == base else "", "cells": cells})
    return rows
