"""Values that are not known, in Kleene's logic: what they wait for, and what operations make of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from engine.errors import EvaluationError

NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Unknown:
    """A value that waits for facts and unset parameters, or cannot be computed.

    Numbers and dates may lie between two bounds; `item` stands for any item of a list that is a fact.
    """

    paths: frozenset[str] = NOTHING
    unset: frozenset[str] = NOTHING
    error: EvaluationError | None = None
    low: Any = None
    high: Any = None
    item: Any = None


def unknown_parts(*values: Any) -> Iterator[Unknown]:
    """Every unknown among the values, also inside lists and records."""
    for value in values:
        if isinstance(value, Unknown):
            yield value
        elif isinstance(value, tuple):
            yield from unknown_parts(*value)


def waiting(values: Iterable[Any], low: Any = None, high: Any = None) -> Any:
    """One unknown for all that the values wait for; where its bounds meet, it is known after all."""
    parts = list(unknown_parts(*values))
    error = next((p.error for p in parts if p.error is not None), None)
    if low is not None and low == high and error is None:
        return low
    return Unknown(frozenset().union(*(p.paths for p in parts)), frozenset().union(*(p.unset for p in parts)), error, low, high)


def known(*values: Any) -> bool:
    return not any(True for _ in unknown_parts(*values))


def bounds(value: Any) -> tuple[Any, Any]:
    if isinstance(value, Unknown):
        return value.low, value.high
    return (value, value) if isinstance(value, (int, Decimal, date)) and not isinstance(value, bool) else (None, None)


def negated(value: Any) -> Any:
    return waiting([value]) if isinstance(value, Unknown) else not value


def conjunction(values: Iterable[Any]) -> Any:
    """False as soon as one is false, else unknown if one is unknown."""
    still = []
    for value in values:
        if isinstance(value, Unknown):
            still.append(value)
        elif not value:
            return False
    return waiting(still) if still else True


def disjunction(values: Iterable[Any]) -> Any:
    return negated(conjunction(negated(v) for v in values))


def compared(op: str, a: Any, b: Any) -> Any:
    """A comparison; bounds may decide it though a side is unknown."""
    if not isinstance(a, Unknown) and not isinstance(b, Unknown):
        return {"==": lambda: a == b, "!=": lambda: a != b, "<": lambda: a < b, "<=": lambda: a <= b, ">": lambda: a > b, ">=": lambda: a >= b}[op]()
    (low_a, high_a), (low_b, high_b) = bounds(a), bounds(b)
    below = high_a is not None and low_b is not None and high_a < low_b
    above = low_a is not None and high_b is not None and low_a > high_b
    not_below = low_a is not None and high_b is not None and low_a >= high_b
    not_above = high_a is not None and low_b is not None and high_a <= low_b
    yes = {"==": False, "!=": below or above, "<": below, "<=": not_above, ">": above, ">=": not_below}[op]
    no = {"==": below or above, "!=": False, "<": not_below, "<=": above, ">": not_above, ">=": below}[op]
    return True if yes else False if no else waiting([a, b])


def calculated(op: str, a: Any, b: Any) -> Any:
    if not isinstance(a, Unknown) and not isinstance(b, Unknown):
        return a + b if op == "+" else a - b if op == "-" else a * b
    (low_a, high_a), (low_b, high_b) = bounds(a), bounds(b)
    if op == "*":
        return waiting([a, b], *_product(low_a, high_a, low_b, high_b))
    if op == "-":
        low_b, high_b = None if high_b is None else -high_b, None if low_b is None else -low_b
    return waiting([a, b], None if low_a is None or low_b is None else low_a + low_b, None if high_a is None or high_b is None else high_a + high_b)


def _product(low_a: Any, high_a: Any, low_b: Any, high_b: Any) -> tuple[Any, Any]:
    if low_b is not None and low_b == high_b:
        low_a, high_a, low_b, high_b = low_b, high_b, low_a, high_a
    if low_a is not None and low_a == high_a:
        ends = [None if x is None else low_a * x for x in (low_b, high_b)]
        return (low_a, low_a) if low_a == 0 else (ends[0], ends[1]) if low_a > 0 else (ends[1], ends[0])
    if low_a is not None and low_b is not None and low_a >= 0 and low_b >= 0:
        return low_a * low_b, None if high_a is None or high_b is None else high_a * high_b
    return None, None


def extreme(name: str, values: list[Any]) -> Any:
    """min or max of some values."""
    pick: Any = max if name == "max" else min
    if known(*values):
        return pick(values)
    lows, highs = ([e for e in ends if e is not None] for ends in zip(*map(bounds, values), strict=True))
    low = pick(lows) if lows and (name == "max" or len(lows) == len(values)) else None
    high = pick(highs) if highs and (name == "min" or len(highs) == len(values)) else None
    return waiting(values, low, high)
