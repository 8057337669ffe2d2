"""Numbers that are not known but have bounds: what arithmetic, functions and comparisons make of them."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from engine.errors import EvaluationError
from engine.functions import FUNCTIONS
from engine.unknown import Unknown, unknown_of, unknowns

#: Functions that ask for the number of items only; and functions that never fall where their first argument rises, so that bounds go through them.
_LENGTH = (FUNCTIONS["count"], FUNCTIONS["empty"])
_RISING = (FUNCTIONS["round_half_up"], FUNCTIONS["floor"], FUNCTIONS["ceil"])


def bounded(u: Unknown, low: Any, high: Any) -> Any:
    """An unknown number with bounds; where they meet it is known."""
    return low if low is not None and low == high else Unknown(u.paths, u.unset, u.error, low, high)


def bounds_of(value: Any) -> tuple[Any, Any]:
    """The lowest and highest that a number can be; None where there is no bound, or it is no number."""
    if type(value) is Unknown:
        return value.low, value.high
    return (value, value) if isinstance(value, (int, Decimal)) and not isinstance(value, bool) else (None, None)


def by_bounds(op: str, a: Any, b: Any) -> bool | None:
    """Can the comparison be decided though a side is unknown, by the bounds of that side?"""
    low_a, high_a = (a.low, a.high) if type(a) is Unknown else (a, a)
    low_b, high_b = (b.low, b.high) if type(b) is Unknown else (b, b)
    if (low_a is None and high_a is None) or (low_b is None and high_b is None):
        return None
    below = high_a is not None and low_b is not None
    above = low_a is not None and high_b is not None
    if op in ("<", ">="):
        if below and high_a < low_b:
            return op == "<"
        if above and low_a >= high_b:
            return op == ">="
    elif op in ("<=", ">"):
        if below and high_a <= low_b:
            return op == "<="
        if above and low_a > high_b:
            return op == ">"
    elif (below and high_a < low_b) or (above and low_a > high_b):
        return op == "!="
    return None


def k_arithmetic(op: str, a: Any, b: Any) -> Any:
    if type(a) is not Unknown and type(b) is not Unknown:
        return a + b if op == "+" else a - b if op == "-" else a * b
    result = unknown_of(a, b)
    (low_a, high_a), (low_b, high_b) = bounds_of(a), bounds_of(b)
    if op == "*":
        if (type(a) is not Unknown and a == 0) or (type(b) is not Unknown and b == 0):
            return 0
        for factor, (low, high) in ((a, (low_b, high_b)), (b, (low_a, high_a))):
            if type(factor) is not Unknown:
                ends = (None if low is None else factor * low, None if high is None else factor * high)
                return bounded(result, *(ends if factor > 0 else ends[::-1]))
        if low_a is None or low_b is None or low_a < 0 or low_b < 0:
            return result
        return bounded(result, low_a * low_b, None if high_a is None or high_b is None else high_a * high_b)
    if op == "-":
        low_b, high_b = (None if high_b is None else -high_b), (None if low_b is None else -low_b)
    low = None if low_a is None or low_b is None else low_a + low_b
    high = None if high_a is None or high_b is None else high_a + high_b
    return bounded(result, low, high)


def k_negative(a: Any) -> Any:
    return unknown_of(a) if type(a) is Unknown else -a


def k_call(function: Callable[..., Any], *arguments: Any) -> Any:
    """A function of known arguments; unknown if one of them is, or if it cannot be computed (an error that counts only if it matters)."""
    found = [u for a in arguments for u in unknowns(a)]
    if found:
        if function in _LENGTH and type(arguments[0]) is not Unknown:
            return function(arguments[0])
        merged = unknown_of(*found)
        if function in _RISING and not any(unknowns(a) for a in arguments[1:]):
            low, high = (None if bound is None else function(bound, *arguments[1:]) for bound in bounds_of(arguments[0]))
            return bounded(merged, low, high)
        return bounded(merged, 0, None) if function is _LENGTH[0] else merged
    try:
        return function(*arguments)
    except EvaluationError as error:
        return Unknown(error=error)


def k_choose(largest: bool, *arguments: Any) -> Any:
    """min or max of several values; bounds are kept."""
    found = [a for a in arguments if type(a) is Unknown]
    if not found:
        return max(arguments) if largest else min(arguments)
    bounds = [bounds_of(a) for a in arguments]
    pick: Callable[[list[Any]], Any] = max if largest else min
    lows, highs = [b[0] for b in bounds if b[0] is not None], [b[1] for b in bounds if b[1] is not None]
    low = pick(lows) if lows and (largest or len(lows) == len(bounds)) else None
    high = pick(highs) if highs and (not largest or len(highs) == len(bounds)) else None
    return bounded(unknown_of(*found), low, high)
