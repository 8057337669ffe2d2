"""How numbers are spread: evenly, along quantiles, as a bell, or with a long tail. Exact tables, straight lines between their points."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

from engine.literals import LiteralFault
from simulations.synthetic.declaration import Form
from simulations.synthetic.encoding import WORK, Target, number, point, share, unit

#: The end of an interval of draws, and the value there in SQL.
Piece = tuple[int, str]
#: The standard normal distribution: share of values below, value.
_BELL = [
    (Decimal(part), Decimal(z))
    for part, z in (
        ("0", "-3.8000"), ("0.0005", "-3.2905"), ("0.005", "-2.5758"), ("0.025", "-1.9600"), ("0.05", "-1.6449"), ("0.1", "-1.2816"),
        ("0.1587", "-1"), ("0.2", "-0.8416"), ("0.3", "-0.5244"), ("0.4", "-0.2533"), ("0.5", "0"), ("0.6", "0.2533"), ("0.7", "0.5244"),
        ("0.8", "0.8416"), ("0.8413", "1"), ("0.9", "1.2816"), ("0.95", "1.6449"), ("0.975", "1.9600"), ("0.995", "2.5758"),
        ("0.9995", "3.2905"), ("1", "3.8000"),
    )
]  # fmt: skip


def uniform(form: Form, target: Target, low: int, high: int) -> list[Piece]:
    """Every value from low to high, by steps."""
    shape = form.uniform
    assert shape is not None
    first, last = point(shape.low, target), point(shape.high, target)
    step = 1 if shape.step is None else point(shape.step, target)
    if last < first or step < 1:
        raise LiteralFault(f"`{shape.high}` is below `{shape.low}`" if last < first else f"a step of `{shape.step}`", "write low, high, and a step above 0")
    part = _part(target.draw, low, high, (last - first) // step + 1)
    return [(high, f"({first} + {part}{f' * {step}' if step > 1 else ''})")]


def quantiles(form: Form, target: Target, low: int, high: int) -> list[Piece]:
    """Straight lines between declared points."""
    assert form.quantiles is not None
    points = [(share(part, part), point(raw, target)) for part, raw in form.quantiles.items()]
    if points[0][0] != 0 or points[-1][0] != 1 or any(a[0] >= b[0] or a[1] > b[1] for a, b in pairwise(points)):
        raise LiteralFault("quantiles rise from share 0 to share 1, their values too", 'an example: {"0": 0, "0.5": 10, "1": 500}')
    return _between(points, target, low, high)


def normal(form: Form, target: Target, low: int, high: int) -> list[Piece]:
    """A bell."""
    assert form.normal is not None
    mean, deviation = number(form.normal.mean, target), number(form.normal.deviation, target)
    return _between([(part, unit(WORK.add(mean, WORK.multiply(z, deviation)), target)) for part, z in _BELL], target, low, high)


def lognormal(form: Form, target: Target, low: int, high: int) -> list[Piece]:
    """A bell of the logarithm: powers of the spread around the median."""
    assert form.lognormal is not None
    median, spread = number(form.lognormal.median, target), number(form.lognormal.spread, target)
    if median <= 0 or spread < 1:
        raise LiteralFault("the median is above 0, the spread at least 1", "a spread of 3: two thirds lie between a third of the median and three times it")
    points = [(part, unit(WORK.multiply(median, WORK.power(spread, z)), target)) for part, z in _BELL]
    return _between(points, target, low, high)


def _between(points: list[tuple[Decimal, int]], target: Target, low: int, high: int) -> list[Piece]:
    """The straight lines between points (share of values below, value in units)."""
    found: list[Piece] = []
    start, before = low, points[0][1]
    for part, after in points[1:]:
        end = low + int(part * (high - low))
        if end > start:
            found.append((end, f"({before} + {_part(target.draw, start, end, after - before)})" if after > before else str(before)))
        start, before = max(start, end), after
    return found


def _part(source: str, low: int, high: int, size: int) -> str:
    """A whole number in [0, size) that rises with the draw from low to high. It is as fine as the draw, and stays within 64 bits."""
    shifted = f"({source} - {low})" if low else source
    spare = max(0, ((high - low) * size).bit_length() - 63)
    found = f"(({shifted} * {size >> spare}) // {high - low})"
    return f"({found} * {1 << spare})" if spare else found
