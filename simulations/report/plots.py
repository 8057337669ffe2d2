"""Quantities over the values of a parameter: lines in a drawing, stacked bars for values that are no numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import pairwise

from markupsafe import Markup

from simulations.report.charts import both, frame, grid, linear, percentage, place, tick
from simulations.report.figures import MINUS, Both, count, round_step, same, steps, ticks

#: Values whose spots are drawn; of more only the lines are seen, the spots appear below the pointer.
MAX_SPOTS = 30
#: Values that the axis names one by one, and how far apart they must lie, in percent.
MAX_NAMED, APART = 6, 15
HALF = Decimal(50)
ROW = 18  # pixels for a label above the drawing


@dataclass(frozen=True, slots=True)
class Spot:
    """One value `x` of the parameter and what it comes to. `kind` is the sign that is drawn and the class that paints it, `told` what it says."""

    x: Decimal
    y: Decimal
    kind: str
    told: str


@dataclass(frozen=True, slots=True)
class Line:
    """One quantity, its spots from left to right."""

    kind: str
    spots: Sequence[Spot]


@dataclass(frozen=True, slots=True)
class Mark:
    """A value or an amount that stands out: a line across the drawing with its name."""

    at: Decimal
    kind: str
    label: Both


def plot(lines: Sequence[Line], label: str, whole: bool = False, across: Sequence[Mark] = (), level: Mark | None = None, height: int = 220) -> Markup:
    """Lines over one axis of values. `whole`: quantities are counts. `across`: values that stand out, `level`: an amount. `label` is the id of the caption."""
    spots = [spot for line in lines for spot in line.spots]
    if not spots:
        return Markup("")
    xs = sorted({spot.x for spot in spots})
    heights = scale([*(spot.y for spot in spots), *([level.at] if level else [])], whole)
    up = linear(heights[0], heights[-1])
    within = [mark for mark in across if xs[0] <= mark.at <= xs[-1]]

    def at(x: Decimal) -> Decimal:
        return percentage(x - xs[0], xs[-1] - xs[0]) if xs[0] < xs[-1] else HALF

    def y(value: Decimal) -> Decimal:
        return height - up(value) * height / 100

    parts = [grid(y(h)) for h in heights]
    if heights[0] < 0 < heights[-1]:
        parts.append(Markup('<line class="zero" x1="0" x2="100%" y1="{0}" y2="{0}"/>').format(place(y(Decimal(0)))))
    parts += [
        Markup('<text class="tick" x="-10" y="{}" text-anchor="end">{}</text>').format(place(y(h) + 4), both(text))
        for h, text in zip(heights, labels(heights), strict=True)
    ]
    marks = _named(xs, [at(x) for x in xs])
    parts += [tick(at(m), height, text) for m, text in zip(marks, labels(marks), strict=True)]
    parts += [_across(mark, at(mark.at), i, height) for i, mark in enumerate(within)]
    if level is not None:
        ends = [abs(edge(spots, key=lambda s: s.x).y - level.at) for edge in (min, max)]
        parts.append(_level(level, y(level.at), ends[0] > ends[1]))
    parts.append(_paths(lines, [[(at(s.x), y(s.y)) for s in line.spots] for line in lines], height))
    shape = '<use class="spot {0}" href="#m-{0}" x="{1}%" y="{2}"><title>{3}</title></use>'
    parts += [Markup(shape).format(s.kind, place(at(s.x)), place(y(s.y)), s.told) for s in spots]
    return frame("plot dense" if len(xs) > MAX_SPOTS else "plot", label, height + 24, parts, 10 + ROW * len(within))


def scale(values: Sequence[Decimal], whole: bool) -> list[Decimal]:
    """Round amounts from below the least value to above the greatest; from 0 on unless the values lie close together."""
    low, high = min(values), max(values)
    if low >= 0 and (low * 2 <= high or low == high):
        low = Decimal(0)
    elif high <= 0 and high * 2 >= low:
        high = Decimal(0)
    if low == high:
        high = low + 1
    step = round_step(low, high, 4)
    if whole:
        step = max(step, Decimal(1))
    first, last = ((end / step).to_integral_value(rounding) for end, rounding in ((low, ROUND_FLOOR), (high, ROUND_CEILING)))
    return [step * n for n in range(int(first), int(last) + 1)]


def labels(values: Sequence[Decimal]) -> list[Both]:
    """Short labels of an axis; the whole numbers where short ones would be alike."""
    short = steps(list(values)) if max(map(abs, values), default=Decimal(0)) >= 10_000 else []
    return short if len(set(short)) == len(values) else [same(number(v)) for v in values]


def number(value: Decimal) -> str:
    """A value of a parameter as it is read: `1,000`, `0.05`."""
    text = f"{value:,f}".replace("-", MINUS)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _named(xs: Sequence[Decimal], places: Sequence[Decimal]) -> list[Decimal]:
    """The values that the axis names: all where there is room, else round ones."""
    if len(xs) <= MAX_NAMED and all(b - a >= APART for a, b in pairwise(places)):
        return list(xs)
    return ticks(xs[0], xs[-1], 5)


def _across(mark: Mark, x: Decimal, i: int, height: int) -> Markup:
    side = "start" if x < 20 else "end" if x > 80 else "middle"
    line = Markup('<line class="across {0}" x1="{1}%" x2="{1}%" y1="{2}" y2="{3}"/>').format(mark.kind, place(x), -8 - ROW * i, height)
    text = '<text class="said {}" x="{}%" y="{}" text-anchor="{}">{}</text>'
    return line + Markup(text).format(mark.kind, place(x), -12 - ROW * i, side, both(mark.label))


def _level(mark: Mark, y: Decimal, left: bool) -> Markup:
    """An amount that stands out, with its name at the end where the quantity is further away."""
    line = Markup('<line class="across {0}" x1="0" x2="100%" y1="{1}" y2="{1}"/>').format(mark.kind, place(y))
    x, side = ("0", "start") if left else ("100%", "end")
    text = '<text class="said {}" x="{}" y="{}" text-anchor="{}">{}</text>'
    return line + Markup(text).format(mark.kind, x, place(y - 6 if y > 20 else y + 16), side, both(mark.label))


def _paths(lines: Sequence[Line], places: Sequence[Sequence[tuple[Decimal, Decimal]]], height: int) -> Markup:
    drawn = [
        Markup('<path class="path {}" vector-effect="non-scaling-stroke" d="M{}"/>').format(line.kind, "L".join(f"{place(x)} {place(y)}" for x, y in found))
        for line, found in zip(lines, places, strict=True)
        if len(found) > 1
    ]
    inner = '<svg x="0" y="0" width="100%" height="{0}" viewBox="0 0 100 {0}" preserveAspectRatio="none" overflow="visible">{1}</svg>'
    return Markup(inner).format(height, Markup("").join(drawn))


def stack(rows: Mapping[str, int], names: Mapping[str, Both]) -> Markup:
    """The cases of each outcome side by side in one bar, for a row of a table that has the numbers too."""
    total, left, parts = Decimal(sum(rows.values())), Decimal(0), []
    for outcome, n in rows.items():
        if n:
            width = percentage(Decimal(n), total)
            shape = '<rect class="block {}" x="{}%" width="{}%" y="15%" height="70%"><title>{}</title></rect>'
            parts.append(Markup(shape).format(outcome, place(left), place(width), f"{names[outcome].en}, {names[outcome].zh}: {count(n)}"))
            left += width
    return Markup('<svg class="bar stack" width="100%" height="32" aria-hidden="true">{}</svg>').format(Markup("").join(parts))
