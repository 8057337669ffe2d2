"""The drawings of a report as inline SVG. Widths are percentages and texts keep their size, so that one drawing fits a desk and a phone.

Colours come from the classes of the style sheet; nothing carries a style of its own, which the report's security policy would refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from markupsafe import Markup, escape

from engine.types import ROUNDING
from simulations.report.figures import Both, count, steps, ticks

HUNDRED = Decimal(100)
ICON = 14
PHONE = 320  # pixels that a drawing has at least


@dataclass(frozen=True, slots=True)
class Bin:
    """The cases from `low` (included) to `high`."""

    low: Decimal
    high: Decimal
    rows: int


@dataclass(frozen=True, slots=True)
class Series:
    """One histogram of a drawing; `kind` is the class that paints it."""

    kind: str
    bins: Sequence[Bin]


def both(text: Both) -> Markup:
    """The labels inside a text element, one of which the style sheet shows."""
    if text.en == text.zh:
        return escape(text.en)
    return Markup('<tspan lang="en">{}</tspan><tspan lang="zh">{}</tspan>').format(*text)


# -- histograms ---------------------------------------------------------------------------------------------------------------------


def histogram(series: Sequence[Series], label: str, height: int = 180) -> Markup:
    """Bars over one axis of amounts. Bins of unequal width become equal slots, their edges written below. `label` is the id of the caption."""
    edges = sorted({e for s in series for b in s.bins for e in (b.low, b.high)})
    most = max((b.rows for s in series for b in s.bins), default=0)
    if not edges or most == 0:
        return Markup("")
    even = len({b.high - b.low for s in series for b in s.bins}) == 1
    at = linear(edges[0], edges[-1]) if even and edges[0] < edges[-1] else _slots(edges)
    levels = [t for t in ticks(Decimal(0), Decimal(most), 5) if t == int(t)]
    up = linear(Decimal(0), max(Decimal(most), levels[-1]))
    heights = [height - up(t) * height / HUNDRED for t in levels]
    parts = [grid(y) for y in heights]
    for s in series:
        parts += [_bar(s.kind, b, at, up(Decimal(b.rows)) * height / HUNDRED, height, len(series) > 1) for b in s.bins if b.rows]
    parts += [_height(y, text) for y, text in zip(heights[1:], steps(levels)[1:], strict=True)]
    if edges[0] < 0 < edges[-1]:
        parts.append(Markup('<line class="zero" x1="{0}%" x2="{0}%" y1="0" y2="{1}"/>').format(place(at(Decimal(0))), height))
    if even and edges[0] < edges[-1]:
        marks = ticks(edges[0], edges[-1], 4)
        labels = steps(marks)
    else:  # amounts of any size side by side: each in its own unit
        marks = _some(edges, 6)
        labels = [steps([m])[0] for m in marks]
    parts += [tick(at(m), height, text) for m, text in zip(marks, labels, strict=True)]
    return frame("histogram", label, height + 24, parts, 16)


def _bar(kind: str, found: Bin, at: Callable[[Decimal], Decimal], high: Decimal, height: int, paired: bool) -> Markup:
    left, right = at(found.low), at(found.high)
    inset = (right - left) * Decimal("0.04")
    tone = "" if paired else (" up" if found.low >= 0 else " down" if found.high <= 0 else "")
    told = f"{_edge(found.low)} … {_edge(found.high)}: {count(found.rows)}"
    return Markup('<rect class="{}{}" x="{}%" width="{}%" y="{}" height="{}"><title>{}</title></rect>').format(
        kind, tone, place(left + inset), place(right - left - 2 * inset), place(height - high), place(max(high, Decimal(1))), told
    )


def grid(y: Decimal) -> Markup:
    """A line across the drawing."""
    return Markup('<line class="grid" x1="0" x2="100%" y1="{0}" y2="{0}"/>').format(place(y))


def _height(y: Decimal, label: Both) -> Markup:
    return Markup('<text class="tick" x="0" y="{}">{}</text>').format(place(y - 4), both(label))


def tick(x: Decimal, height: int, label: Both) -> Markup:
    """A place on the axis below the drawing, in percent, with its label."""
    side = "start" if x < 6 else "end" if x > 94 else "middle"
    text = '<text class="tick" x="{}%" y="{}" text-anchor="{}">{}</text>'
    return Markup('<line class="grid" x1="{0}%" x2="{0}%" y1="{1}" y2="{2}"/>').format(place(x), height, height + 5) + Markup(text).format(
        place(x), height + 19, side, both(label)
    )


# -- bars inside the rows of a table --------------------------------------------------------------------------------------------------


def bar(spans: Sequence[tuple[Decimal, Decimal]], low: Decimal, high: Decimal, kind: str = "", joins: bool = False) -> Markup:
    """Bars from one amount to another on the axis from `low` to `high`, with its zero line; `joins` draws the step on to the next row of a waterfall."""
    at = linear(low, high) if low < high else linear(Decimal(-1), Decimal(1))
    parts = [Markup('<line class="zero" x1="{0}%" x2="{0}%" y1="0" y2="100%"/>').format(place(at(Decimal(0))))]
    for start, end in spans:
        left, right = sorted((at(start), at(end)))
        if joins:
            parts.append(Markup('<line class="join" x1="{0}%" x2="{0}%" y1="50%" y2="100%"/>').format(place(at(end))))
        if start != end:
            shape = '<rect class="{}" x="{}%" width="{}%" y="20%" height="60%"/>'
            parts.append(Markup(shape).format(kind or ("up" if end > start else "down"), place(left), place(max(right - left, Decimal("0.4")))))
    return Markup('<svg class="bar" width="100%" height="32" aria-hidden="true">{}</svg>').format(Markup("").join(parts))


# -- from the outcomes before to the outcomes after ------------------------------------------------------------------------------------


def flow(cells: Mapping[tuple[str, str], int], order: Sequence[str], names: Mapping[str, Both], label: str) -> Markup:
    """Two stacked bars, before above after, and bands from one to the other: pale where nothing changed."""
    total = Decimal(sum(cells.values()))
    if not total:
        return Markup("")
    top = {o: sum(n for (a, _), n in cells.items() if a == o) for o in order}
    bottom = {o: sum(n for (_, b), n in cells.items() if b == o) for o in order}

    def share(rows: int) -> Decimal:
        return percentage(Decimal(rows), total)

    above, below = _starts(top, order, share), _starts(bottom, order, share)
    starts, ends = dict(above), dict(below)
    bands: list[tuple[bool, Markup]] = []
    for a in order:
        for b in order:
            rows = cells.get((a, b), 0)
            if not rows:
                continue
            width = share(rows)
            bands.append((a != b, _band(starts[a], ends[b], width, b, a != b, f"{names[a].en} → {names[b].en}, {names[a].zh} → {names[b].zh}: {count(rows)}")))
            starts[a] += width
            ends[b] += width
    drawn = Markup("").join(shape for _, shape in sorted(bands, key=lambda band: band[0]))
    parts = [
        Markup('<svg x="0" y="34" width="100%" height="92" viewBox="0 0 100 100" preserveAspectRatio="none">{}</svg>').format(drawn),
        *_stack(top, above, order, share, names, 0),
        *_stack(bottom, below, order, share, names, 126),
    ]
    return frame("flow", label, 160, parts)


def _starts(sizes: Mapping[str, int], order: Sequence[str], share: Callable[[int], Decimal]) -> dict[str, Decimal]:
    found, at = {}, Decimal(0)
    for o in order:
        found[o] = at
        at += share(sizes[o])
    return found


def _band(a: Decimal, b: Decimal, width: Decimal, kind: str, moved: bool, told: str) -> Markup:
    path = f"M{place(a)} 0C{place(a)} 50 {place(b)} 50 {place(b)} 100H{place(b + width)}C{place(b + width)} 50 {place(a + width)} 50 {place(a + width)} 0Z"
    return Markup('<path class="{} {}" d="{}"><title>{}</title></path>').format("moved" if moved else "stayed", kind, path, told)


def _stack(
    sizes: Mapping[str, int], at: Mapping[str, Decimal], order: Sequence[str], share: Callable[[int], Decimal], names: Mapping[str, Both], y: int
) -> list[Markup]:
    parts = []
    for o in order:
        width = share(sizes[o])
        if not width:
            continue
        told = f"{names[o].en}, {names[o].zh}: {count(sizes[o])}"
        block = '<rect class="block {}" x="{}%" width="{}%" y="{}" height="34"><title>{}</title></rect>'
        parts.append(Markup(block).format(o, place(at[o]), place(width), y, told))
        if width * PHONE / HUNDRED >= len(names[o].en) * 8 + 8:
            text = '<text class="name" x="{}%" y="{}" text-anchor="middle">{}</text>'
            parts.append(Markup(text).format(place(at[o] + width / 2), y + 22, both(names[o])))
    return parts


# -- small parts ------------------------------------------------------------------------------------------------------------------------


def icon(outcome: str) -> Markup:
    """The sign of an outcome, so that colour is never the only one."""
    return Markup('<svg class="icon {0}" width="{1}" height="{1}" aria-hidden="true"><use href="#i-{0}"/></svg>').format(outcome, ICON)


def frame(kind: str, label: str, height: int, parts: Sequence[Markup], top: int = 0) -> Markup:
    """A drawing as wide as there is room, with its parts `top` pixels below its upper edge; `label` is the id of its caption."""
    inner = Markup("").join(parts)
    if top:
        inner = Markup('<svg x="0" y="{}" width="100%" height="{}" overflow="visible">{}</svg>').format(top, height, inner)
    opening = '<svg class="chart {}" width="100%" height="{}" role="img" aria-labelledby="{}">{}</svg>'
    return Markup(opening).format(kind, height + top, label, inner)


def percentage(part: Decimal, whole: Decimal) -> Decimal:
    """A coordinate, to 4 places whatever the context of the thread rounds."""
    return ROUNDING.divide(part * HUNDRED, whole).quantize(Decimal("0.0001"), context=ROUNDING)


def linear(low: Decimal, high: Decimal) -> Callable[[Decimal], Decimal]:
    """From an amount to a percentage of the axis."""
    return lambda value: percentage(value - low, high - low)


def _slots(edges: Sequence[Decimal]) -> Callable[[Decimal], Decimal]:
    """Each edge one slot further, whatever lies between."""
    places = {e: percentage(Decimal(i), Decimal(max(len(edges) - 1, 1))) for i, e in enumerate(edges)}
    return lambda value: places[value]


def _some(edges: Sequence[Decimal], most: int) -> list[Decimal]:
    """The first and the last edge, 0, and some between, evenly."""
    every = -(-(len(edges) - 1) // (most - 1)) or 1
    zero = edges.index(Decimal(0)) if Decimal(0) in edges else 0
    chosen = {i for i in range(len(edges)) if (i - zero) % every == 0}
    return [edges[i] for i in sorted(chosen)]


def _edge(value: Decimal) -> str:
    return steps([value])[0].en


def place(value: Decimal | int) -> str:
    """A coordinate as text, with at most 2 places."""
    text = f"{Decimal(value).quantize(Decimal('0.01'), context=ROUNDING):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
