"""Conditions and choices as SQL: Kleene's logic is what SQL does with NULL; what SQL does not say of unknown values is said here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from engine.types import BOOL, NumberType, Type
from simulations.reading.arrays import Bind
from simulations.reading.bounds import Bound, decided, greatest_of_all, least_of_all, lower, settled, upper
from simulations.reading.items import array_type, common_shape, reshaped
from simulations.reading.lowered import (
    Flag,
    Lowered,
    Shape,
    both,
    cast,
    choose,
    condition,
    constant,
    decimal_type,
    digits_of,
    either,
    literal,
    mask_of,
    negated,
    truth,
)


def inverse(a: Lowered) -> Lowered:
    if a.is_static:
        return constant(not a.static, BOOL)
    return Lowered(BOOL, ~a.value, a.maybe, a.kinds, None, a.mask)


def conjunction(items: Sequence[Lowered]) -> Lowered:
    return _joined(items, True)


def disjunction(items: Sequence[Lowered]) -> Lowered:
    return _joined(items, False)


def _joined(items: Sequence[Lowered], neutral: bool) -> Lowered:
    """AND (neutral: true) or OR (neutral: false). What an unknown result waits for is all that its unknown parts wait for."""
    kept = [i for i in items if not (i.is_static and i.static is neutral)]
    if any(i.is_static and i.static is (not neutral) for i in kept):
        return constant(not neutral, BOOL)
    if not kept:
        return constant(neutral, BOOL)
    if len(kept) == 1:
        return kept[0]
    value: Any = kept[0].value
    for i in kept[1:]:
        value = value & i.value if neutral else value | i.value
    return truth(value, *kept)


def is_null(a: Lowered) -> Lowered:
    if a.is_static:
        return constant(a.static is None, BOOL)
    if not a.null:
        if not a.maybe:
            return constant(False, BOOL)
        return Lowered(BOOL, choose([(a.value.notnull(), ibis.literal(False))], ibis.null("boolean")), True, a.kinds, None, a.mask)
    value = a.value.isnull()
    if a.maybe:
        value = choose([(a.unknown, ibis.null("boolean"))], value)
    return Lowered(BOOL, value, a.maybe, a.kinds, None, a.mask)


# -- comparisons ----------------------------------------------------------------------------------------------------------------------------


def compared(op: str, a: Lowered, b: Lowered, order: tuple[str, ...] | None, may_be_null: tuple[bool, bool]) -> Lowered:
    """`may_be_null`: by the types of both sides. Where only one may be, an unknown value of the other surely differs from null."""
    if order is not None:
        a, b = _ranked(a, order), _ranked(b, order)
    if a.is_static and b.is_static:
        return constant(_python(op, a.static, b.static), BOOL)
    left, right = _alike(a, b)
    if op in ("==", "!=") and (a.null or b.null):
        value = left.isnull() if b.is_static and b.static is None else right.isnull() if a.is_static and a.static is None else left.identical_to(right)
        value = value if op == "==" else ~value
        if a.maybe or b.maybe:
            value = choose([(either(a.unknown, b.unknown), ibis.null("boolean"))], value)
    else:
        value = {"==": left == right, "!=": left != right, "<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[op]
    if not a.maybe and not b.maybe:
        return Lowered(BOOL, value)
    cases: list[tuple[Flag, ir.Value]] = []
    if op in ("==", "!=") and may_be_null[0] != may_be_null[1]:
        known_null = either(*(both(negated(x.unknown), x.value.isnull()) for x in (a, b) if x.null))
        one_unknown = either(a.unknown, b.unknown)
        cases.append((both(one_unknown, known_null), ibis.literal(op == "!=")))
    if isinstance(a.type, NumberType) and isinstance(b.type, NumberType):
        cases += decided(op, a, b)
    if cases:
        value = choose([(value.notnull(), value), *cases], ibis.null("boolean"))
    return truth(value, a, b)


def _ranked(a: Lowered, order: tuple[str, ...]) -> Lowered:
    """An ordered enum as the place of its value."""
    t = NumberType("integer", 0)
    if a.is_static:
        return constant(order.index(a.static), t)
    value = choose([(a.value == v, literal(i, t)) for i, v in enumerate(order)], None)
    return Lowered(t, value, a.maybe, a.kinds, a.flag, a.mask, a.null, digits=2)


def _alike(a: Lowered, b: Lowered) -> tuple[ir.Value, ir.Value]:
    """Both sides of a comparison in the type of the column, so that the database need not widen the column."""
    if not isinstance(a.type, NumberType) or not isinstance(b.type, NumberType):
        return a.value, b.value
    if (a.is_static and a.static is None) or (b.is_static and b.static is None):
        return a.value, b.value
    if a.is_static != b.is_static:
        fixed, column = (a, b) if a.is_static else (b, a)
        kind = column.value.type()
        digits, places = digits_of(fixed.static)
        wide = kind.precision - kind.scale if kind.is_decimal() else 18
        if places <= (kind.scale if kind.is_decimal() else 0) and digits <= wide:
            value = ibis.literal(int(fixed.static) if kind.is_integer() else fixed.static, type=kind)
            return (value, b.value) if a.is_static else (a.value, value)
    if a.value.type() == b.value.type():
        return a.value, b.value
    kind = decimal_type(max(a.digits, b.digits), max(a.places, b.places))
    return cast(a.value, kind), cast(b.value, kind)


def _python(op: str, a: Any, b: Any) -> bool:
    if isinstance(a, tuple) and isinstance(b, tuple):
        same = set(a) == set(b)
        return same if op == "==" else not same
    if op in ("==", "!="):
        return bool((a == b) == (op == "=="))
    return bool(a < b if op == "<" else a <= b if op == "<=" else a > b if op == ">" else a >= b)


# -- choices --------------------------------------------------------------------------------------------------------------------------------


def chosen(lines: Sequence[tuple[Lowered, Lowered]], otherwise: Lowered, t: Type, bind: Bind) -> Lowered:
    """The value of the first line whose condition holds. An unknown condition does not matter where both ways give the same known value."""
    kept: list[tuple[Lowered, Lowered]] = []
    for when, then in lines:
        if when.is_static and when.static is True:
            otherwise = then
            break
        if not (when.is_static and when.static is False):
            kept.append((when, then))
    if not kept:
        return otherwise
    thens = [then for _, then in kept] + [otherwise]
    if all(v.is_static and v.static == otherwise.static for v in thens) and not isinstance(otherwise.static, bool):
        return otherwise
    whens = [when if not when.maybe else _bound(when, bind) for when, _ in kept]
    digits, places = max(v.digits for v in thens), max(v.places for v in thens)
    shapes = [v.shape for v in thens if v.shape is not None and not (v.is_static and not v.static)]
    shape = common_shape(shapes) if shapes else otherwise.shape
    kind = decimal_type(digits, places) if isinstance(t, NumberType) else _kind(thens, shape)
    values = [_fitting(v, kind, shape) for v in thens]
    value = choose([(w.value, v) for w, v in zip(whens, values, strict=False)], values[-1])
    null = any(v.null for v in thens)
    maybe = any(v.maybe for v in (*whens, *thens))
    blanks = {id(v.blank): v.blank for v in thens if v.maybe}
    blank = next(iter(blanks.values())) if len(blanks) == 1 and not any(w.maybe for w in whens) else None
    if not maybe:
        return Lowered(t, value, null=null, digits=digits, places=places, shape=shape)
    value = bind(value)
    unknown: Flag = choose([(w.value, condition(v.unknown)) for w, v in zip(whens, thens, strict=False)], condition(thens[-1].unknown))
    unknown = bind(condition(unknown)) if any(v.maybe for v in thens) else False
    doubt: Flag = False
    for when, then, as_value in reversed(list(zip(whens, thens, values, strict=False))):
        rest = both(negated((when.value).fill_null(False)), doubt)
        if not when.maybe:
            doubt = rest
            continue
        differs = either(then.unknown, unknown, _differs(as_value, value, null))
        doubt = either(both(when.value.isnull(), differs), rest)
    open_ = either(doubt, unknown)
    value = choose([(open_, ibis.null(value.type()))], value)
    flag = condition(open_) if null or shape is not None else None
    parts = [*whens, *thens]
    kinds, mask = _candidate_mask(condition(open_), whens, thens) if len({p.kinds for p in parts if p.maybe}) > 1 else mask_of(open_, *parts)
    low, high = _bounds(whens, thens, t, bind)
    return settled(Lowered(t, value, True, kinds, flag, mask, null, low, high, digits, places, shape=shape, blank=blank))


def _bound(a: Lowered, bind: Bind) -> Lowered:
    return Lowered(a.type, bind(a.value), a.maybe, a.kinds, None, a.mask)


def _kind(values: Sequence[Lowered], shape: Shape | None) -> dt.DataType:
    """The SQL type of a choice between values that are no numbers."""
    there = [v for v in values if not (v.is_static and not isinstance(v.static, (bool, str)) and not v.static)]
    if not there:
        return values[0].value.type()
    if shape is not None:
        return array_type(shape)
    return there[0].value.type()


def _fitting(a: Lowered, kind: dt.DataType, shape: Shape | None) -> ir.Value:
    """A value in the type of a choice; lists in a common shape."""
    if a.is_static and a.static is None:
        return ibis.null(kind)
    if a.shape is not None and shape is not None and not (a.is_static and not a.static):
        return reshaped(a.value, a.shape, shape)
    return a.value if a.value.type() == kind else cast(a.value, kind)


def _differs(a: ir.Value, b: ir.Value, null: bool) -> ir.BooleanValue:
    return ~a.identical_to(b) if null else (a != b).fill_null(True)


def _candidate_mask(open_: ir.BooleanValue, whens: Sequence[Lowered], thens: Sequence[Lowered]) -> tuple[int, Any]:
    """What the lines that may be the one wait for: those up to the first that surely holds."""
    kinds = 0
    for part in (*whens, *thens):
        kinds |= part.kinds if part.maybe else 0
    if kinds.bit_count() <= 1:
        return kinds, None
    zero = ibis.literal(0, type="int64")
    mask: Any = thens[-1].why
    for when, then in reversed(list(zip(whens, thens, strict=False))):
        if when.maybe:
            mask = choose([(when.value.isnull(), when.why | then.why | mask), (when.value, then.why)], mask)
        else:
            mask = choose([(when.value, then.why)], mask)
    return kinds, choose([(open_, mask)], zero)


def _bounds(whens: Sequence[Lowered], thens: Sequence[Lowered], t: Type, bind: Bind) -> tuple[Bound, Bound]:
    """The bounds of the lines that may be the one, taken together."""
    if not isinstance(t, NumberType):
        return None, None
    low: Bound = lower(thens[-1])
    high: Bound = upper(thens[-1])
    for when, then in reversed(list(zip(whens, thens, strict=False))):
        low = _merged(when, lower(then), low, t, False, bind)
        high = _merged(when, upper(then), high, t, True, bind)
    return low, high


def _merged(when: Lowered, here: Bound, rest: Bound, t: Type, largest: bool, bind: Bind) -> Bound:
    sure: list[tuple[Flag, Bound]] = [(when.value, here), (negated((when.value).fill_null(True)), rest)]
    if when.maybe:
        widest = greatest_of_all([here, rest], t) if largest else least_of_all([here, rest], t)
        sure.append((when.value.isnull(), widest))
    kept = [(w, b) for w, b in sure if b is not None]
    if not kept:
        return None
    digits, places = max(b.digits for _, b in kept), max(b.places for _, b in kept)
    kind = decimal_type(digits, places)
    return Lowered(t, bind(choose([(w, cast(b.value, kind)) for w, b in kept], ibis.null(kind))), digits=digits, places=places)
