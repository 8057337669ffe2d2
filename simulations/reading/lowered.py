"""One value of a rule as SQL: an Ibis expression, with what is known about it before any row is seen.

Unknown, none and false are told apart as in the engine. The expression is NULL wherever the value is unknown, and also where it is none. So a value
that may be both carries a flag that says which; for all others NULL alone means unknown, and Kleene's logic is what SQL does with NULL.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeAlias

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import ibis.expr.types as ir

from engine.errors import PolicyError
from engine.types import BOOL, TEXT, BoolType, DateTimeType, DateType, ListType, NumberType, RecordType, SetType, Type
from simulations.reading.exact import LONG_DIGITS

#: Why a value is unknown, as bits: facts that are missing, parameters that are not set, or one of the errors of the engine.
PATHS, UNSET = 1, 2
ERRORS = (
    "no-row-matched", "several-rows-matched", "rows-disagree", "calendar-year-unknown", "date-out-of-range", "division-by-zero",
    "no-such-key", "text-too-long", "value-not-known",
)  # fmt: skip
ERROR_BIT = {kind: 4 << i for i, kind in enumerate(ERRORS)}
ANY_ERROR = sum(ERROR_BIT.values())
#: SQL has no wider decimals.
MAX_DIGITS = 38

Flag: TypeAlias = "bool | ir.BooleanValue"


class TooWide(PolicyError):
    """A number of a policy could have more digits than SQL's decimals hold."""


class NotLowered(PolicyError):
    """A part of a rule that cannot be told to a database."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How one value is kept inside an item of a list: as a field, with companions where it needs them."""

    type: Type
    null: bool = False
    maybe: bool = False
    kinds: int = 0
    low: Any = None
    high: Any = None
    digits: int = 0
    places: int = 0
    item: Shape | None = None
    fields: tuple[tuple[str, Shape], ...] | None = None

    @property
    def flagged(self) -> bool:
        """Is there a companion that says whether the value is unknown?"""
        return self.maybe and self.null

    @property
    def masked(self) -> bool:
        return self.maybe and self.kinds.bit_count() > 1


@dataclass(frozen=True, slots=True, eq=False)
class Lowered:
    """A value as SQL. `maybe`: it is unknown in some rows; `kinds`: bits of what that may be for; `null`: it is none in some rows.

    `low`, `high`: bounds of a number where it is unknown, themselves never unknown (NULL: no bound in this row). `digits`, `places` of a number.
    `static`: its value where all rows have the same. `shape`: of the items of a list. `blank`: an item of which nothing is known, for lists that may
    be unknown. `fields`: of a record.
    """

    type: Type
    value: ir.Value
    maybe: bool = False
    kinds: int = 0
    flag: ir.BooleanValue | None = None
    mask: ir.IntegerValue | None = None
    null: bool = False
    low: Lowered | None = None
    high: Lowered | None = None
    digits: int = 0
    places: int = 0
    static: Any = field(default=...)
    shape: Shape | None = None
    blank: Lowered | None = None
    fields: Mapping[str, Lowered] | None = None

    @property
    def unknown(self) -> Flag:
        """Is it unknown? False where it never is, else a condition that is never NULL."""
        if not self.maybe:
            return False
        unknown: Flag = self.flag if self.flag is not None else self.value.isnull()
        return unknown

    @property
    def why(self) -> ir.IntegerValue:
        """The bits of what it waits for; 0 where it is known."""
        if not self.maybe:
            return number(0)
        if self.mask is not None:
            return self.mask
        return choose([(self.unknown, number(self.kinds))], number(0))

    @property
    def is_static(self) -> bool:
        return self.static is not ...

    def part(self, name: str) -> Lowered:
        """A field of a record."""
        assert self.fields is not None
        return self.fields[name]


# -- small parts of SQL ---------------------------------------------------------------------------------------------------------------------


def number(value: int) -> ir.IntegerValue:
    return ibis.literal(value, type="int64")


def cast(value: ir.Value, to: dt.DataType | str) -> ir.Value:
    """A cast that is always written: what Ibis takes a decimal or a moved date for is not what each database makes of it."""
    return ops.Cast(value, dt.dtype(to)).to_expr()


def choose(cases: list[tuple[Flag, ir.Value]], otherwise: ir.Value | None) -> ir.Value:
    """CASE WHEN …; conditions that are plainly false or true are not written."""
    kept: list[tuple[ir.Value, ir.Value]] = []
    for when, then in cases:
        if when is False:
            continue
        if when is True:
            otherwise = then
            break
        kept.append((when, then))
    if not kept:
        assert otherwise is not None
        return otherwise
    if otherwise is None:
        otherwise = ibis.null(kept[0][1].type())
    return ibis.cases(*kept, else_=otherwise)


def both(*flags: Flag) -> Flag:
    """AND of conditions that are never NULL."""
    kept = [f for f in flags if f is not True]
    if any(f is False for f in kept):
        return False
    result: Any = True
    for f in kept:
        result = f if result is True else result & f
    return result


def either(*flags: Flag) -> Flag:
    """OR of conditions that are never NULL."""
    kept = [f for f in flags if f is not False]
    if any(f is True for f in kept):
        return True
    result: Any = False
    for f in kept:
        result = f if result is False else result | f
    return result


def negated(flag: Flag) -> Flag:
    return (not flag) if isinstance(flag, bool) else ~flag


def surely(a: Lowered) -> Flag:
    """Is a condition known to be true?"""
    return bool(a.static) if a.is_static else a.value.fill_null(False)


def surely_not(a: Lowered) -> Flag:
    """Is a condition known to be false?"""
    return not a.static if a.is_static else (~a.value).fill_null(False)


def condition(flag: Flag) -> ir.BooleanValue:
    return ibis.literal(flag) if isinstance(flag, bool) else flag


def null_of(t: Type, digits: int = 0, places: int = 0) -> ir.Value:
    # not a literal: Ibis takes a comparison with a literal NULL for IS NULL
    return cast(ibis.null("string"), sql_type(t, digits, places))


def decimal_type(digits: int, places: int) -> dt.DataType:
    """A number of so many digits before and after the point. Raises TooWide."""
    if places == 0 and digits <= LONG_DIGITS:
        return dt.int64
    if digits + places > MAX_DIGITS:
        raise TooWide(
            f"a number could have {digits} digits before and {places} after the point, SQL's decimals hold {MAX_DIGITS}"
            "\n  help: give the population narrower columns, or round earlier in the rule"
        )
    return dt.Decimal(digits + places, places)


def sql_type(t: Type, digits: int = 0, places: int = 0) -> dt.DataType:
    """The SQL type of a value that is no list of records."""
    if isinstance(t, BoolType):
        return dt.boolean
    if isinstance(t, NumberType):
        return decimal_type(digits, places)
    if isinstance(t, DateType):
        return dt.date
    if isinstance(t, DateTimeType):
        return dt.timestamp
    if isinstance(t, SetType):
        return dt.Array(dt.string)
    if isinstance(t, ListType) and not isinstance(t.item, RecordType):
        return dt.Array(sql_type(t.item, digits, places))
    return dt.string


def digits_of(value: int | Decimal) -> tuple[int, int]:
    """Digits before and after the point of one number."""
    _, digits, exponent = Decimal(value).as_tuple()
    places = max(0, -int(exponent))
    return max(1, len(digits) + int(exponent)), places


def literal(value: Any, t: Type) -> ir.Value:
    """A known value as SQL; decimals exactly as wide as they are."""
    if value is None:
        return null_of(t, 1, 0)
    if isinstance(t, NumberType):
        return ibis.literal(value if isinstance(value, int) else Decimal(value), type=decimal_type(*digits_of(value)))
    if isinstance(t, DateTimeType):
        return ibis.literal(value.replace(tzinfo=None), type=dt.timestamp)
    if isinstance(t, (SetType, ListType)):
        inner: Any = t.item if isinstance(t, ListType) else None
        items = [literal(v, inner) if inner is not None else ibis.literal(v, type="string") for v in value]
        return ibis.array(items) if items else empty_array(dt.string if inner is None or isinstance(inner, RecordType) else sql_type(inner, 1, 0))
    return ibis.literal(value, type=sql_type(t))


def empty_array(of: dt.DataType) -> ir.Value:
    return ibis.literal([], type=dt.Array(of))


def constant(value: Any, t: Type) -> Lowered:
    """The same known value in every row."""
    if isinstance(t, NumberType) and value is not None:
        digits, places = digits_of(value)
        return Lowered(t, literal(value, t), digits=digits, places=places, static=value)
    shape = None
    if isinstance(t, SetType):
        shape = Shape(TEXT)
    elif isinstance(t, ListType):
        known = [digits_of(v) for v in value or () if isinstance(v, (int, Decimal)) and not isinstance(v, bool)]
        shape = Shape(t.item, digits=max((d for d, _ in known), default=0), places=max((p for _, p in known), default=0))
    return Lowered(t, literal(value, t), null=value is None, static=value, shape=shape)


def never(t: Type, kinds: int, **more: Any) -> Lowered:
    """A value that is unknown in every row."""
    digits, places = more.pop("digits", 1), more.pop("places", 0)
    return Lowered(t, null_of(t, digits, places), True, kinds, ibis.literal(True), digits=digits, places=places, **more)


def mask_of(unknown: Flag, *parts: Lowered) -> tuple[int, ir.IntegerValue | None]:
    """What a value that is unknown under a condition waits for: all that its parts wait for. Gives the bits that may be set and, where it
    is not always the same, the column."""
    kinds = 0
    for part in parts:
        kinds |= part.kinds if part.maybe else 0
    if kinds.bit_count() <= 1:
        return kinds, None
    mask: Any = None
    for part in parts:
        if part.maybe:
            mask = part.why if mask is None else mask | part.why
    return kinds, choose([(unknown, mask)], number(0))


def truth(value: ir.BooleanValue | bool, *parts: Lowered) -> Lowered:
    """A condition made of others: NULL where it is unknown."""
    if isinstance(value, bool):
        return constant(value, BOOL)
    maybe = any(p.maybe for p in parts)
    kinds, mask = mask_of(value.isnull(), *parts) if maybe else (0, None)
    return Lowered(BOOL, value, maybe, kinds, None, mask)
