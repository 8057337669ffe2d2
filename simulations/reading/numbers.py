"""Arithmetic as SQL, exact: every result is as wide as it can get, never a double, and rounding is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from engine.functions import ceil, divide, floor, round_half_up
from engine.types import NumberType, Type
from simulations.reading.arrays import Bind
from simulations.reading.bounds import (
    Bound,
    bounded,
    greatest_of_all,
    greatest_of_any,
    known_zero,
    least_of_all,
    least_of_any,
    lower,
    mapped,
    settled,
    upper,
)
from simulations.reading.exact import exact, half_up
from simulations.reading.lowered import (
    ERROR_BIT,
    MAX_DIGITS,
    Flag,
    Lowered,
    both,
    cast,
    choose,
    condition,
    constant,
    decimal_type,
    either,
    mask_of,
    negated,
    never,
    number,
)


def arithmetic(op: str, a: Lowered, b: Lowered, t: Type) -> Lowered:
    """a + b, a - b or a * b, with the bounds of what is unknown; a known zero makes a product known."""
    if a.is_static and b.is_static:
        return constant(a.static + b.static if op == "+" else a.static - b.static if op == "-" else a.static * b.static, t)
    if op == "*":
        digits, places = a.digits + b.digits, a.places + b.places
    else:
        digits, places = max(a.digits, b.digits) + 1, max(a.places, b.places)
    kind = decimal_type(digits, places)
    left, right = _as_operand(a, kind), _as_operand(b, kind)
    value = exact(op, left, right, kind)
    if not a.maybe and not b.maybe:
        return Lowered(t, value, digits=digits, places=places)
    low: Bound = None
    high: Bound = None
    if op == "*":
        zero = either(*(known_zero(x) for x, other in ((a, b), (b, a)) if other.maybe))
        value = choose([(zero, cast(number(0), kind))], value)
        low, high = _product(a, b, t)
    elif bounded(a, b):
        (low_b, high_b) = (lower(b), upper(b)) if op == "+" else (_negative(upper(b)), _negative(lower(b)))
        low, high = _sum(lower(a), low_b, t), _sum(upper(a), high_b, t)
    kinds, mask = mask_of(value.isnull(), a, b)
    return Lowered(t, value, True, kinds, None, mask, low=low, high=high, digits=digits, places=places)


def _sum(a: Bound, b: Bound, t: Type) -> Bound:
    return None if a is None or b is None else arithmetic("+", a, b, t)


def _negative(a: Bound) -> Bound:
    return mapped(a, lambda bound: negation(bound, bound.type))


def _as_operand(a: Lowered, result: dt.DataType) -> ir.Value:
    """A side in its own width, so that the database does not take it for a wider one."""
    kind = a.value.type()
    width = max(a.digits, 1) + a.places
    if kind.is_integer() and not result.is_decimal():
        return a.value
    if kind.is_decimal() and kind.precision == width:
        return a.value
    return cast(a.value, dt.Decimal(width, a.places))


def _product(a: Lowered, b: Lowered, t: Type) -> tuple[Bound, Bound]:
    """Bounds of an unknown product: by the sign of the side that is known; of two unknown sides only if neither can be below 0."""
    lows: list[tuple[Flag, Bound]] = []
    highs: list[tuple[Flag, Bound]] = []
    for known, other in ((a, b), (b, a)):
        if not other.maybe:
            continue
        factor = replace(known, maybe=False, low=None, high=None)
        low, high = (None if bound is None else arithmetic("*", factor, bound, t) for bound in (other.low, other.high))
        for positive, first, second in ((True, low, high), (False, high, low)):
            sign: Flag = (known.static > 0) == positive if known.is_static else (known.value > 0 if positive else known.value < 0).fill_null(False)
            here = both(negated(known.unknown), other.unknown, sign)
            lows.append((here, first))
            highs.append((here, second))
    if a.maybe and b.maybe and a.low is not None and b.low is not None:
        neither = both(a.unknown, b.unknown, _not_below_zero(a.low), _not_below_zero(b.low))
        lows.append((neither, arithmetic("*", a.low, b.low, t)))
        highs.append((neither, None if a.high is None or b.high is None else arithmetic("*", a.high, b.high, t)))
    return _one_of(lows, t), _one_of(highs, t)


def _not_below_zero(bound: Lowered) -> Flag:
    return bool(bound.static >= 0) if bound.is_static else (bound.value >= 0).fill_null(False)


def _one_of(cases: Sequence[tuple[Flag, Bound]], t: Type) -> Bound:
    kept = [(when, bound) for when, bound in cases if bound is not None and when is not False]
    if not kept:
        return None
    digits, places = max(b.digits for _, b in kept), max(b.places for _, b in kept)
    kind = decimal_type(digits, places)
    return Lowered(t, choose([(when, cast(b.value, kind)) for when, b in kept], ibis.null(kind)), digits=digits, places=places)


def negation(a: Lowered, t: Type) -> Lowered:
    """-a; nothing is said of the bounds of an unknown."""
    if a.is_static:
        return constant(-a.static, t)
    return Lowered(t, -a.value, a.maybe, a.kinds, a.flag, a.mask, digits=a.digits, places=a.places)


# -- functions ------------------------------------------------------------------------------------------------------------------------------


def rounded(function: str, a: Lowered, places: int, t: Type) -> Lowered:
    """round_half_up, floor or ceil. They never fall where their argument rises, so bounds go through them."""
    if a.is_static:
        return constant(round_half_up(a.static, places) if function == "round_half_up" else floor(a.static) if function == "floor" else ceil(a.static), t)
    digits = a.digits + 1 if a.places > places else a.digits
    value = _rounded(function, a.value, a.digits, a.places, places)
    if not a.maybe:
        return Lowered(t, value, digits=digits, places=places)
    low, high = (mapped(bound, lambda b: rounded(function, b, places, t)) for bound in (a.low, a.high))
    return settled(Lowered(t, value, True, a.kinds, None, a.mask, low=low, high=high, digits=digits, places=places))


def _rounded(function: str, value: ir.Value, digits: int, places: int, to: int) -> ir.Value:
    kind = decimal_type(digits + 1 if places > to else digits, to)
    if places <= to or places == 0:
        return cast(value, kind)
    if function == "round_half_up":
        return half_up(value, to, kind)
    return cast(value.floor() if function == "floor" else value.ceil(), kind)


def divided(a: Lowered, b: Lowered, places: int, t: Type, bind: Bind) -> Lowered:
    """a / b with so many places, half up, away from zero for negatives. A division by zero is an error.

    Databases divide decimals as doubles or round them twice. So the quotient of whole numbers is estimated and then put right by its exact rest.
    """
    zero = ERROR_BIT["division-by-zero"]
    digits = a.digits + b.places + 1
    if b.is_static and b.static == 0:
        return never(t, zero, digits=digits, places=places)
    if a.is_static and b.is_static:
        return constant(divide(a.static, b.static, places), t)
    shift = places + b.places - a.places
    size = decimal_type(max(a.digits + a.places + max(shift, 0), b.digits + b.places + max(-shift, 0)) + 2, 0)
    # (2 * |a| + |b|) / (2 * |b|) in whole numbers, rounded down, is |a / b| half up
    top = cast(_whole(a, max(shift, 0)), size)
    bottom = cast(_whole(b, max(-shift, 0)), size).nullif(0)
    doubled, by = bind(cast(top * number(2) + bottom, size)), bind(cast(bottom * number(2), size))
    quotient = bind(_estimate(doubled, by, size))
    for _ in range(2):
        # the estimate of the rest puts the quotient right to within one
        rest = cast(doubled - cast(quotient * by, size), size)
        quotient = bind(cast(quotient + _estimate(rest, by, size), size))
    rest = bind(cast(doubled - cast(quotient * by, size), size))
    quotient = quotient + choose([(rest < 0, number(-1)), (rest >= by, number(1))], number(0))
    signed = choose([((a.value < 0) != (b.value < 0), -quotient)], quotient)
    value = exact("*", cast(signed, dt.Decimal(digits + places, 0)), _literal(Decimal(1).scaleb(-places), places), decimal_type(digits, places))
    if b.is_static:
        return Lowered(t, value, a.maybe, a.kinds, None, a.mask, digits=digits, places=places)
    by_zero = Lowered(t, b.value, True, zero, condition(both(negated(either(a.unknown, b.unknown)), (b.value == 0).fill_null(False))))
    kinds, mask = mask_of(value.isnull(), a, b, by_zero)
    return Lowered(t, value, True, kinds, None, mask, digits=digits, places=places)


def _whole(a: Lowered, places: int) -> ir.Value:
    """The absolute value times a power of ten that leaves no places."""
    size = dt.Decimal(a.digits + a.places, a.places)
    power = _literal(Decimal(10) ** (a.places + places), 0)
    return exact("*", cast(a.value.abs(), size), power, dt.Decimal(min(MAX_DIGITS, a.digits + a.places + places + 1), 0))


def _estimate(top: ir.Value, bottom: ir.Value, size: dt.DataType) -> ir.Value:
    return cast(cast(top, dt.float64) / cast(bottom, dt.float64), size)


def _literal(value: Decimal, places: int) -> ir.Value:
    return ibis.literal(value, type=dt.Decimal(len(value.as_tuple().digits) + max(0, int(value.as_tuple().exponent)) + places, places))


def absolute(a: Lowered, t: Type) -> Lowered:
    if a.is_static:
        return constant(abs(a.static), t)
    return Lowered(t, a.value.abs(), a.maybe, a.kinds, a.flag, a.mask, digits=a.digits, places=a.places)


def extreme(largest: bool, items: Sequence[Lowered], t: Type) -> Lowered:
    """The smallest or largest of several values, numbers or dates; bounds are kept."""
    if all(i.is_static for i in items):
        return constant(max(i.static for i in items) if largest else min(i.static for i in items), t)
    numeric = isinstance(t, NumberType)
    digits, places = max(i.digits for i in items), max(i.places for i in items)
    kind = decimal_type(digits, places) if numeric else None
    values = [cast(i.value, kind) if kind is not None else i.value for i in items]
    value = ibis.greatest(*values) if largest else ibis.least(*values)
    if not any(i.maybe for i in items):
        return Lowered(t, value, digits=digits, places=places)
    unknown = either(*(i.unknown for i in items))
    kinds, mask = mask_of(unknown, *items)
    value = choose([(unknown, ibis.null(value.type()))], value)
    of_lows, of_highs = (greatest_of_any, greatest_of_all) if largest else (least_of_all, least_of_any)
    low, high = (of_lows([lower(i) for i in items], t), of_highs([upper(i) for i in items], t)) if numeric else (None, None)
    return settled(Lowered(t, value, True, kinds, None, mask, low=low, high=high, digits=digits, places=places))
