"""The least value of a cost under conditions, by asking for less and less; exact, or said to be undecided."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from proofs.folding import Truth, lifted
from proofs.solver import Asker
from proofs.witness import Point


@dataclass(frozen=True, slots=True)
class Least:
    """`point` holds the least `cost` if `proved`, else one that was found; None: there is none (proved), or none was found."""

    cost: Fraction | None
    point: Point | None
    proved: bool
    reason: str | None = None


def least(asker: Asker, conditions: Sequence[Truth], cost: Any, deadline: float) -> Least:
    """Ask for any, then halve the way to nothing; every model says how low its cost is, and the last answer proves that there is no lower."""

    def left() -> float:
        return deadline - time.monotonic()

    found = asker.ask(*conditions, seconds=max(0.05, left()))
    if not found.possible:
        return Least(None, None, found.impossible, found.reason)
    point = Point.of_model(asker.world, found.model)
    high, low = Fraction(point.value(cost)), Fraction(0)
    while left() > 0:
        below = asker.ask(*conditions, lifted(cost) < lifted(high), seconds=max(0.05, left()))
        if below.impossible:
            return Least(high, point, True)
        if not below.possible:
            return Least(high, point, False, below.reason)
        point = Point.of_model(asker.world, below.model)
        high = Fraction(point.value(cost))
        for _ in range(4):
            middle = (low + high) / 2
            half = asker.ask(*conditions, lifted(cost) <= lifted(middle), seconds=max(0.05, left()))
            if half.possible:
                point = Point.of_model(asker.world, half.model)
                high = Fraction(point.value(cost))
            elif half.impossible:
                low = middle
            else:
                break
    return Least(high, point, False, f"undecided within {asker.seconds:g} s")


def settled(asker: Asker, conditions: Sequence[Truth], choices: Sequence[Truth], deadline: float) -> Point | None:
    """Of all points that meet the conditions, the one with as few of the last choices as there is; so that equal costs give one answer."""
    fixed: list[Truth] = list(conditions)
    point = None
    for choice in [*reversed(choices)]:
        without: Truth = lifted(choice) == lifted(False)
        if point is not None and point.holds(without):
            fixed.append(without)
            continue
        found = asker.ask(*fixed, without, seconds=max(0.05, deadline - time.monotonic()))
        if found.possible:
            point = Point.of_model(asker.world, found.model)
        fixed.append(without if found.possible else choice)
    return point
