"""Kleene's logic: truth values, comparisons and choices where something may be unknown, with the facts that an unknown still waits for.

An operation of known values is what Python does; these functions are only called where something may be unknown.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from engine.bounds import bounded, bounds_of, by_bounds
from engine.unknown import Unknown, holds_unknown, unknown_of, unknowns

Thunk = Callable[[], Any]
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def k_not(a: Any) -> Any:
    return unknown_of(a) if type(a) is Unknown else not a


def k_and(*items: Thunk) -> Any:
    open_: list[Any] = []
    for item in items:
        value = item()
        if type(value) is Unknown:
            open_.append(value)
        elif not value:
            return False
    return unknown_of(*open_) if open_ else True


def k_or(*items: Thunk) -> Any:
    open_: list[Any] = []
    for item in items:
        value = item()
        if type(value) is Unknown:
            open_.append(value)
        elif value:
            return True
    return unknown_of(*open_) if open_ else False


def k_if(condition: Any, then: Thunk, otherwise: Thunk) -> Any:
    if type(condition) is not Unknown:
        return then() if condition else otherwise()
    a, b = then(), otherwise()
    if _same(a, b) and not holds_unknown(a) and not holds_unknown(b):
        return a
    merged = unknown_of(condition, *unknowns(a), *unknowns(b))
    (low_a, high_a), (low_b, high_b) = bounds_of(a), bounds_of(b)
    low = None if low_a is None or low_b is None else min(low_a, low_b)
    high = None if high_a is None or high_b is None else max(high_a, high_b)
    return merged if low is None and high is None else bounded(merged, low, high)


def _same(a: Any, b: Any) -> bool:
    """The same known value; numbers are compared by value."""
    if type(a) is Unknown or type(b) is Unknown or a != b:
        return False
    return type(a) is type(b) or (not isinstance(a, bool) and not isinstance(b, bool))


def k_first(lines: Sequence[tuple[Thunk, Thunk]], otherwise: Thunk, start: int = 0) -> Any:
    """The value of the first line whose condition holds."""
    for i in range(start, len(lines)):
        when, then = lines[i]
        held = when()
        if type(held) is Unknown:
            return k_if(held, then, partial(k_first, lines, otherwise, i + 1))
        if held:
            return then()
    return otherwise()


def k_violating(value: Any, truth: bool) -> Any:
    """What an unset parameter leaves open, taken as the truth value that makes its rule fire."""
    return truth if type(value) is Unknown and value.unset else value


def k_compare(op: str, a: Any, b: Any, never_null: bool = False) -> Any:
    """`never_null`: the side that is unknown cannot turn out to be null, so it differs from null."""
    if type(a) is not Unknown and type(b) is not Unknown:
        return _COMPARE[op](a, b)
    if never_null and (a is None or b is None):
        return op == "!="
    decided = by_bounds(op, a, b)
    return unknown_of(a, b) if decided is None else decided


def k_same_set(a: Any, b: Any) -> Any:
    found = [*unknowns(a), *unknowns(b)]
    if found:
        return unknown_of(*found)
    return a is b if a is None or b is None else set(a) == set(b)


def k_in(item: Any, collection: Any) -> Any:
    if item is None:
        return False
    if type(collection) is Unknown:
        return unknown_of(item, collection)
    if not collection:
        return False
    if type(item) is Unknown or holds_unknown(collection):
        if type(item) is not Unknown and any(type(c) is not Unknown and c == item for c in collection):
            return True
        return unknown_of(item, *unknowns(collection))
    return item in collection


def k_is_null(a: Any) -> Any:
    return unknown_of(a) if type(a) is Unknown else a is None


def k_field(record: Any, index: int) -> Any:
    return unknown_of(record) if type(record) is Unknown else record[index]


def k_list(*items: Any) -> Any:
    found = [i for i in items if type(i) is Unknown]
    return unknown_of(*found) if found else tuple(items)


def k_set(members: Sequence[tuple[str, Any]]) -> Any:
    found = [held for _, held in members if type(held) is Unknown]
    return unknown_of(*found) if found else tuple(dict.fromkeys(value for value, held in members if held))
