"""Lowest and highest values of numbers that are unknown: a bound is a number that is never unknown itself; NULL is no bound in this row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import ibis

from engine.types import NumberType, Type
from simulations.reading.lowered import Flag, Lowered, both, cast, choose, decimal_type, negated

Bound = Lowered | None


def lower(a: Lowered) -> Bound:
    """The lowest that a number can be: itself where it is known. Dates have no bounds while they are unknown."""
    return _limit(a, a.low)


def upper(a: Lowered) -> Bound:
    return _limit(a, a.high)


def _limit(a: Lowered, bound: Bound) -> Bound:
    if a.is_static and a.static is None:
        return None
    if not a.maybe:
        return replace(a, low=None, high=None)
    if isinstance(a.type, NumberType) and bound is not None:
        return either_of(a.unknown, bound, a)
    return Lowered(a.type, a.value, digits=a.digits, places=a.places)


def either_of(when: Flag, then: Lowered, otherwise: Lowered) -> Lowered:
    """One of two numbers that are not unknown."""
    digits, places = max(then.digits, otherwise.digits), max(then.places, otherwise.places)
    kind = decimal_type(digits, places)
    return Lowered(then.type, choose([(when, cast(then.value, kind))], cast(otherwise.value, kind)), digits=digits, places=places)


def mapped(bound: Bound, function: Callable[[Lowered], Lowered]) -> Bound:
    return None if bound is None else replace(function(bound), maybe=False, low=None, high=None, mask=None, flag=None)


def least_of_all(bounds: Sequence[Bound], t: Type) -> Bound:
    """The smallest; none if one of them is none."""
    return None if any(b is None for b in bounds) else _folded([b for b in bounds if b is not None], t, False, True)


def greatest_of_all(bounds: Sequence[Bound], t: Type) -> Bound:
    return None if any(b is None for b in bounds) else _folded([b for b in bounds if b is not None], t, True, True)


def least_of_any(bounds: Sequence[Bound], t: Type) -> Bound:
    """The smallest of those that there are."""
    return _folded([b for b in bounds if b is not None], t, False, False)


def greatest_of_any(bounds: Sequence[Bound], t: Type) -> Bound:
    return _folded([b for b in bounds if b is not None], t, True, False)


def _folded(bounds: Sequence[Lowered], t: Type, largest: bool, strict: bool) -> Bound:
    if not bounds:
        return None
    result = bounds[0]
    for other in bounds[1:]:
        result = _of_two(result, other, t, largest, strict)
    return result


def _of_two(a: Lowered, b: Lowered, t: Type, largest: bool, strict: bool) -> Lowered:
    if a.is_static and b.is_static:
        return a if (a.static >= b.static) == largest else b
    digits, places = max(a.digits, b.digits), max(a.places, b.places)
    kind = decimal_type(digits, places) if isinstance(t, NumberType) else None
    x, y = (v.value if kind is None else cast(v.value, kind) for v in (a, b))
    cases: list[tuple[Flag, Any]] = [(x >= y if largest else x <= y, x), (x < y if largest else x > y, y)]
    if not strict:
        cases += [(x.isnull(), y), (y.isnull(), x)]
    return Lowered(t, choose(cases, ibis.null(x.type())), digits=digits, places=places)


def settled(a: Lowered) -> Lowered:
    """An unknown number whose bounds meet is known after all."""
    if not a.maybe or a.low is None or a.high is None:
        return a
    kind = decimal_type(a.digits, a.places)
    if a.low.is_static and a.high.is_static:
        if a.low.static != a.high.static:
            return a
        return replace(a, value=a.value.coalesce(cast(a.low.value, kind)), maybe=False, kinds=0, flag=None, mask=None, low=None, high=None)
    value = a.value.coalesce(choose([(a.low.value == a.high.value, cast(a.low.value, kind))], ibis.null(kind)))
    mask = None if a.mask is None else choose([(value.isnull(), a.mask)], a.mask * 0)
    return replace(a, value=value, mask=mask)


def surely(op: str, a: Lowered, b: Lowered) -> Flag | None:
    """Is a comparison of bounds true? None where one of them does not exist; never NULL."""
    if a.is_static and b.is_static:
        return bool({"<": a.static < b.static, "<=": a.static <= b.static, ">": a.static > b.static, ">=": a.static >= b.static}[op])
    x, y = a.value, b.value
    found = x < y if op == "<" else x <= y if op == "<=" else x > y if op == ">" else x >= y
    return found.fill_null(False)


def decided(op: str, a: Lowered, b: Lowered) -> list[tuple[Flag, Any]]:
    """Cases in which a comparison can be decided though a side is unknown, by the bounds of that side."""
    if not bounded(a, b):
        return []
    low_a, high_a, low_b, high_b = lower(a), upper(a), lower(b), upper(b)
    cases: list[tuple[Flag, Any]] = []

    def case(compare: str, x: Bound, y: Bound, result: bool) -> None:
        if x is not None and y is not None:
            held = surely(compare, x, y)
            if held is not None and held is not False:
                cases.append((held, ibis.literal(result)))

    if op in ("<", ">="):
        case("<", high_a, low_b, op == "<")
        case(">=", low_a, high_b, op == ">=")
    elif op in ("<=", ">"):
        case("<=", high_a, low_b, op == "<=")
        case(">", low_a, high_b, op == ">")
    else:
        case("<", high_a, low_b, op == "!=")
        case(">", low_a, high_b, op == "!=")
    return cases


def bounded(*values: Lowered) -> bool:
    """Has one of them bounds where it is unknown?"""
    return any(a.maybe and (a.low is not None or a.high is not None) for a in values)


def known_zero(a: Lowered) -> Flag:
    """Is it known to be 0?"""
    if a.is_static:
        return bool(a.static == 0)
    return both(negated(a.unknown), (a.value == 0).fill_null(False))
