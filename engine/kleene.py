"""Unknown values, and what each operation makes of them: Kleene's logic, with the facts that an unknown still waits for.

An operation of known values is what Python does; these functions are only called where something may be unknown.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

from engine.errors import EvaluationError
from engine.functions import FUNCTIONS
from engine.tables import TableIndex
from engine.types import BoolType, EnumType

#: So many look-ups are tried for unknown inputs of a table.
MAX_TRIED = 256
_NONE: frozenset[str] = frozenset()


class Unknown:
    """A value that is not known yet: the facts it waits for, the unset parameters, an error if it cannot be computed.

    `low` and `high` are its bounds if it is a number that has any; `blank` is an item of which nothing is known, if it is a list.
    """

    __slots__ = ("blank", "error", "high", "low", "paths", "unset")

    def __init__(
        self, paths: frozenset[str] = _NONE, unset: frozenset[str] = _NONE, error: EvaluationError | None = None,
        low: Any = None, high: Any = None, blank: Any = None,
    ) -> None:  # fmt: skip
        self.paths, self.unset, self.error, self.low, self.high, self.blank = paths, unset, error, low, high, blank

    def __repr__(self) -> str:
        return f"Unknown({', '.join(sorted(self.paths | self.unset))})"


def unknown_of(*values: Any) -> Unknown:
    """One unknown that waits for all that the unknown ones among the values wait for."""
    found = [v for v in values if type(v) is Unknown]
    if len(found) == 1 and found[0].low is None and found[0].high is None and found[0].blank is None:
        return found[0]
    paths, unset, error = _NONE, _NONE, None
    for u in found:
        paths, unset, error = paths | u.paths, unset | u.unset, error or u.error
    return Unknown(paths, unset, error)


def bounded(u: Unknown, low: Any, high: Any) -> Any:
    """An unknown number with bounds; where they meet it is known."""
    return low if low is not None and low == high else Unknown(u.paths, u.unset, u.error, low, high)


Thunk = Callable[[], Any]


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
    merged = unknown_of(condition, *_unknowns(a), *_unknowns(b))
    (low_a, high_a), (low_b, high_b) = _bounds(a), _bounds(b)
    low = None if low_a is None or low_b is None else min(low_a, low_b)
    high = None if high_a is None or high_b is None else max(high_a, high_b)
    return merged if low is None and high is None else bounded(merged, low, high)


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


def _same(a: Any, b: Any) -> bool:
    """The same known value; numbers are compared by value."""
    if type(a) is Unknown or type(b) is Unknown or a != b:
        return False
    return type(a) is type(b) or (not isinstance(a, bool) and not isinstance(b, bool))


def _bounds(value: Any) -> tuple[Any, Any]:
    """The lowest and highest that a number can be; None where there is no bound, or it is no number."""
    if type(value) is Unknown:
        return value.low, value.high
    return (value, value) if isinstance(value, (int, Decimal)) and not isinstance(value, bool) else (None, None)


def _unknowns(value: Any) -> list[Any]:
    """The unknown parts of a value, also inside lists and records."""
    if type(value) is Unknown:
        return [value]
    if isinstance(value, tuple):
        return [u for item in value for u in _unknowns(item)]
    return []


def holds_unknown(value: Any) -> bool:
    return isinstance(value, tuple) and bool(_unknowns(value))


def unknown_parts(value: Any) -> Unknown | None:
    """All that the unknown parts of a value wait for, or None if it is wholly known."""
    found = _unknowns(value)
    return unknown_of(*found) if found else None


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def k_compare(op: str, a: Any, b: Any, never_null: bool = False) -> Any:
    """`never_null`: the side that is unknown cannot turn out to be null, so it differs from null."""
    if type(a) is not Unknown and type(b) is not Unknown:
        return _COMPARE[op](a, b)
    if never_null and (a is None or b is None):
        return op == "!="
    decided = _by_bounds(op, a, b)
    return unknown_of(a, b) if decided is None else decided


def _by_bounds(op: str, a: Any, b: Any) -> bool | None:
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


def k_same_set(a: Any, b: Any) -> Any:
    found = [*_unknowns(a), *_unknowns(b)]
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
        return unknown_of(item, *_unknowns(collection))
    return item in collection


def k_is_null(a: Any) -> Any:
    return unknown_of(a) if type(a) is Unknown else a is None


def k_arithmetic(op: str, a: Any, b: Any) -> Any:
    if type(a) is not Unknown and type(b) is not Unknown:
        return a + b if op == "+" else a - b if op == "-" else a * b
    result = unknown_of(a, b)
    (low_a, high_a), (low_b, high_b) = _bounds(a), _bounds(b)
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


def k_field(record: Any, index: int) -> Any:
    return unknown_of(record) if type(record) is Unknown else record[index]


#: Functions that ask for the number of items only; and functions that never fall where their first argument rises, so that bounds go through them.
_LENGTH = (FUNCTIONS["count"], FUNCTIONS["empty"])
_RISING = (FUNCTIONS["round_half_up"], FUNCTIONS["floor"], FUNCTIONS["ceil"])


def k_call(function: Callable[..., Any], *arguments: Any) -> Any:
    """A function of known arguments; unknown if one of them is, or if it cannot be computed (an error that counts only if it matters)."""
    found = [u for a in arguments for u in _unknowns(a)]
    if found:
        if function in _LENGTH and type(arguments[0]) is not Unknown:
            return function(arguments[0])
        merged = unknown_of(*found)
        if function in _RISING and not any(_unknowns(a) for a in arguments[1:]):
            low, high = (None if bound is None else function(bound, *arguments[1:]) for bound in _bounds(arguments[0]))
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
    bounds = [_bounds(a) for a in arguments]
    pick: Callable[[list[Any]], Any] = max if largest else min
    lows, highs = [b[0] for b in bounds if b[0] is not None], [b[1] for b in bounds if b[1] is not None]
    low = pick(lows) if lows and (largest or len(lows) == len(bounds)) else None
    high = pick(highs) if highs and (not largest or len(highs) == len(bounds)) else None
    return bounded(unknown_of(*found), low, high)


def k_list(*items: Any) -> Any:
    found = [i for i in items if type(i) is Unknown]
    return unknown_of(*found) if found else tuple(items)


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
    low, high = _bounds(total)
    for item, held in maybe:
        amount = _of(value, item)
        found += [held, *_unknowns(amount)]
        lowest, highest = _bounds(amount)
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
    found = [v for v in values if type(v) is Unknown] + [u for item, held in maybe for u in (held, *_unknowns(_of(value, item)))]
    if found:
        return unknown_of(*found)
    return (max(values) if largest else min(values)) if values else None


def k_select(source: Any, condition: Callable[[Any], Any] | None, value: Callable[[Any], Any], distinct: bool) -> Any:
    sure, maybe = _picked(source, condition)
    if maybe:
        doubtful = [u for item, held in maybe for u in (held, *_unknowns(_of(value, item)))]
        merged = unknown_of(*doubtful, *(u for item in sure for u in _unknowns(value(item))))
        sample = _of(value, maybe[0][0])
        if type(source) is not Unknown:
            sample = tuple(Unknown() for _ in sample) if isinstance(sample, tuple) else Unknown()
        return Unknown(merged.paths, merged.unset, merged.error, blank=sample)
    values = tuple(value(item) for item in sure)
    if not distinct:
        return values
    found = [v for v in values if type(v) is Unknown]
    return unknown_of(*found) if found else tuple(dict.fromkeys(values))


def k_set(members: Sequence[tuple[str, Any]]) -> Any:
    found = [held for _, held in members if type(held) is Unknown]
    return unknown_of(*found) if found else tuple(dict.fromkeys(value for value, held in members if held))


def k_table(index: TableIndex, values: tuple[Any, ...]) -> Any:
    """A look-up; with unknown inputs, each output that every possible look-up agrees on is known."""
    try:
        if not any(type(v) is Unknown for v in values):
            return index.look_up(values)
        waiting = unknown_of(*values)
        results = _possible(index, values)
        if not results or not isinstance(results[0], tuple) or index.table.hit == "collect":
            return results[0] if results and all(r == results[0] for r in results) else waiting
        return tuple(column[0] if all(c == column[0] for c in column) else waiting for column in zip(*results, strict=True))
    except EvaluationError as error:
        return Unknown(error=error)


def _tried(index: TableIndex, inputs: Iterable[tuple[Any, ...]]) -> list[Any]:
    """The results of several look-ups; none if only some of them give one. Raises EvaluationError if none does."""
    results, errors = [], []
    for values in inputs:
        try:
            results.append(index.look_up(values))
        except EvaluationError as error:
            errors.append(error)
    if errors and not results:
        raise errors[0]
    return [] if errors else results


def _possible(index: TableIndex, values: tuple[Any, ...]) -> list[Any]:
    """What the look-up may give: tried out for unknown inputs of few values, else one result for each row that may match."""
    domains: list[Any] = []
    size = 1
    for (_, kind), value in zip(index.table.inputs, values, strict=True):
        known = (False, True) if isinstance(kind, BoolType) else kind.values if isinstance(kind, EnumType) else None
        domains.append((value,) if type(value) is not Unknown else known)
        size *= len(domains[-1]) if domains[-1] is not None else MAX_TRIED + 1
    if size <= MAX_TRIED:
        return _tried(index, itertools.product(*domains))
    if index.table.hit not in ("unique", "first", "any"):
        return []
    results = []
    for row in index.table.rows:
        cells = list(zip(row.cells, values, strict=True))
        if all(c.accepts(v) for c, v in cells if type(v) is not Unknown):
            results.append(row.outputs)
            if all(c.kind == "any" for c, v in cells if type(v) is Unknown):
                return results
    return results if index.table.default is None else [*results, index.table.default]
