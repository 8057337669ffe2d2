"""Lists of which items, or values of items, may be unknown: what counts, sums, searches and list expressions make of them.

`condition` and `value` are functions of an item; no condition takes every item.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.bounds import bounded, bounds_of, k_arithmetic
from engine.kleene import Thunk, k_and, k_not, k_or
from engine.unknown import Unknown, unknown_of, unknowns


def _picked(source: Any, condition: Callable[[Any], Any] | None) -> tuple[list[Any], list[tuple[Any, Any]]]:
    """The items that meet the condition, and those that may. An unknown list is one item of which nothing is known, and may be any number of them."""
    if type(source) is Unknown:
        held = True if condition is None or source.blank is None else condition(source.blank)
        return [], [] if held is False else [(source.blank, unknown_of(source, held))]
    if condition is None:
        return list(source), []
    sure, maybe = [], []
    for item in source:
        held = condition(item)
        if type(held) is Unknown:
            maybe.append((item, held))
        elif held:
            sure.append(item)
    return sure, maybe


def _of(value: Callable[[Any], Any], item: Any) -> Any:
    """A value of an item; of an item of which not even the fields are known, an unknown."""
    return Unknown() if item is None else value(item)


def k_count(source: Any, condition: Callable[[Any], Any] | None) -> Any:
    sure, maybe = _picked(source, condition)
    if not maybe:
        return len(sure)
    return bounded(unknown_of(*(m[1] for m in maybe)), len(sure), None if type(source) is Unknown else len(sure) + len(maybe))


def k_sum(source: Any, condition: Callable[[Any], Any] | None, value: Callable[[Any], Any]) -> Any:
    sure, maybe = _picked(source, condition)
    total: Any = 0
    for item in sure:
        total = k_arithmetic("+", total, value(item))
    if not maybe:
        return total
    found = [total] if type(total) is Unknown else []
    low, high = bounds_of(total)
    for item, held in maybe:
        amount = _of(value, item)
        found += [held, *unknowns(amount)]
        lowest, highest = bounds_of(amount)
        low = None if low is None or lowest is None else low + min(lowest, 0)
        high = None if high is None or highest is None else high + max(highest, 0)
    if type(source) is Unknown:
        low, high = (low if low == 0 else None), (high if high == 0 else None)
    return bounded(unknown_of(*found), low, high)


def k_any(source: Any, condition: Callable[[Any], Any] | None, value: Callable[[Any], Any]) -> Any:
    if type(source) is Unknown:
        held = k_and(*_parts(source.blank, condition, value)) if source.blank is not None else True
        return False if held is False else unknown_of(source, held)
    return k_or(*(lambda item=item: k_and(*_parts(item, condition, value)) for item in source))


def k_all(source: Any, condition: Callable[[Any], Any] | None, value: Callable[[Any], Any]) -> Any:
    return k_not(k_any(source, condition, lambda item: k_not(value(item))))


def _parts(item: Any, condition: Callable[[Any], Any] | None, value: Callable[[Any], Any]) -> list[Thunk]:
    parts: list[Thunk] = [] if condition is None else [lambda: condition(item)]
    return [*parts, lambda: value(item)]


def k_extreme(largest: bool, source: Any, condition: Callable[[Any], Any] | None, value: Callable[[Any], Any]) -> Any:
    sure, maybe = _picked(source, condition)
    values = [value(item) for item in sure]
    found = [v for v in values if type(v) is Unknown] + [u for item, held in maybe for u in (held, *unknowns(_of(value, item)))]
    if found:
        return unknown_of(*found)
    return (max(values) if largest else min(values)) if values else None


def k_select(source: Any, condition: Callable[[Any], Any] | None, value: Callable[[Any], Any], distinct: bool) -> Any:
    sure, maybe = _picked(source, condition)
    if maybe:
        doubtful = [u for item, held in maybe for u in (held, *unknowns(_of(value, item)))]
        merged = unknown_of(*doubtful, *(u for item in sure for u in unknowns(value(item))))
        sample = _of(value, maybe[0][0])
        if type(source) is not Unknown:
            sample = tuple(Unknown() for _ in sample) if isinstance(sample, tuple) else Unknown()
        return Unknown(merged.paths, merged.unset, merged.error, blank=sample)
    values = tuple(value(item) for item in sure)
    if not distinct:
        return values
    found = [v for v in values if type(v) is Unknown]
    return unknown_of(*found) if found else tuple(dict.fromkeys(values))
