"""Truth values, numbers and instants, each a constant or a Z3 term. What is constant stays a plain Python value and is folded, so that most of a policy never
reaches the solver.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import z3

#: A truth value: a Python bool where it is constant, else a z3.BoolRef.
Truth = Any


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant in Shanghai: ordinal of the day, and microseconds since its midnight."""

    day: Any
    clock: Any


def lifted(x: Any) -> Any:
    """A constant as a Z3 value; terms as they are."""
    if isinstance(x, bool):
        return z3.BoolVal(x)
    if isinstance(x, Fraction):
        return z3.RatVal(x.numerator, x.denominator)
    return z3.IntVal(x) if isinstance(x, int) else x


def not_(a: Truth) -> Truth:
    if isinstance(a, bool):
        return not a
    return a.arg(0) if z3.is_not(a) else z3.Not(a)


def and_(*items: Truth) -> Truth:
    if any(i is False for i in items):
        return False
    left = [i for i in items if i is not True]
    return True if not left else left[0] if len(left) == 1 else z3.And(*left)


def or_(*items: Truth) -> Truth:
    if any(i is True for i in items):
        return True
    left = [i for i in items if i is not False]
    return False if not left else left[0] if len(left) == 1 else z3.Or(*left)


def implies(a: Truth, b: Truth) -> Truth:
    return or_(not_(a), b)


def is_term(x: Any) -> bool:
    return isinstance(x, z3.AstRef)


def identical(a: Any, b: Any) -> bool:
    """The same constant, or the very same Z3 term."""
    if is_term(a) or is_term(b):
        return is_term(a) and is_term(b) and bool(a.eq(b))
    return type(a) is type(b) and bool(a == b)


def choose(condition: Truth, a: Any, b: Any) -> Any:
    """`a` if the condition holds, else `b`; for truth values, numbers, texts and dates."""
    if condition is True or identical(a, b):
        return a
    if condition is False:
        return b
    if isinstance(a, bool) or isinstance(b, bool):
        if isinstance(a, bool):
            return or_(condition, b) if a else and_(not_(condition), b)
        return or_(not_(condition), a) if b else and_(condition, a)
    return z3.If(condition, lifted(a), lifted(b))


def equal(a: Any, b: Any) -> Truth:
    if not is_term(a) and not is_term(b):
        return bool(a == b)
    if identical(a, b):
        return True
    if isinstance(a, bool) or isinstance(b, bool):
        constant, other = (a, b) if isinstance(a, bool) else (b, a)
        return other if constant else not_(other)
    return lifted(a) == lifted(b)


def less(a: Any, b: Any, or_equal: bool = False) -> Truth:
    """a < b, or a <= b; numbers, ordinals, ranks of texts, moments."""
    if isinstance(a, Moment) and isinstance(b, Moment):
        return or_(less(a.day, b.day), and_(equal(a.day, b.day), less(a.clock, b.clock, or_equal)))
    if not is_term(a) and not is_term(b):
        return bool(a <= b if or_equal else a < b)
    if identical(a, b):
        return or_equal
    return lifted(a) <= lifted(b) if or_equal else lifted(a) < lifted(b)


def add(a: Any, b: Any) -> Any:
    if not is_term(a) and not is_term(b):
        return a + b
    return b if not is_term(a) and a == 0 else a if not is_term(b) and b == 0 else lifted(a) + lifted(b)


def negative(a: Any) -> Any:
    return -a


def times(a: Any, b: Any) -> Any:
    """The product; pushed into a choice, so that constant times choice stays linear."""
    if not is_term(a) and not is_term(b):
        return a * b
    for constant, other in ((a, b), (b, a)):
        if not is_term(constant) and constant in (0, 1):
            return Fraction(0) if constant == 0 else other
    for choice, other in ((a, b), (b, a)):
        if choice_size(choice) is not None:
            return _scaled(choice, other)
    return lifted(a) * lifted(b)


def choice_size(a: Any) -> int | None:
    """How many constants a choice chooses among; None if it is no choice of constants alone, or of too many."""
    if z3.is_rational_value(a):
        return 1
    if not is_term(a) or not z3.is_app_of(a, z3.Z3_OP_ITE):
        return None
    left, right = choice_size(a.arg(1)), choice_size(a.arg(2))
    return None if left is None or right is None or left + right > 64 else left + right


def _scaled(choice: Any, other: Any) -> Any:
    if z3.is_rational_value(choice):
        return choice * lifted(other)
    return z3.If(choice.arg(0), _scaled(choice.arg(1), other), _scaled(choice.arg(2), other))


def whole(a: Any) -> Any:
    """A number as an integer term, rounded down."""
    if z3.is_rational_value(a):
        return a.numerator_as_long() // a.denominator_as_long()
    if is_term(a):
        return a.arg(0) if z3.is_to_real(a) else z3.ToInt(a)
    return a.numerator // a.denominator


def number(a: Any) -> Any:
    """An integer as a number."""
    return z3.ToReal(a) if is_term(a) else Fraction(a)
