"""The types of the rule language. A value is a plain Python object; nothing is ever a float.

bool: bool; integer: int; decimal, money, ratio: Decimal; text, enum: str; set of enum, list: tuple; record: tuple of its fields in order;
date: datetime.date; datetime: an aware datetime.datetime; none: None.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta, timezone
from decimal import ROUND_HALF_UP, Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow
from typing import Any

#: The business time zone. China has one offset and no summer time since 1991.
SHANGHAI = timezone(timedelta(hours=8))

#: The one place of the arithmetic context: exact or an error, never rounded in silence.
EXACT = Context(prec=200, rounding=ROUND_HALF_UP, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
#: For the functions that round on purpose.
ROUNDING = Context(prec=200, rounding=ROUND_HALF_UP, traps=[InvalidOperation, DivisionByZero, Overflow])


@dataclass(frozen=True, slots=True)
class Type:
    """Base of all types."""

    def __str__(self) -> str:
        return type(self).__name__.removesuffix("Type").lower()


@dataclass(frozen=True, slots=True)
class BoolType(Type):
    pass


@dataclass(frozen=True, slots=True)
class NumberType(Type):
    """integer (places 0), money (places 2, unit CNY), decimal(n), ratio (places None: any)."""

    name: str
    places: int | None
    unit: str | None = None
    signed: bool = False

    def __str__(self) -> str:
        shown = f"decimal({self.places})" if self.name == "decimal" and self.places is not None else self.name
        return f"{shown} in {self.unit}" if self.unit and self.name != "money" else shown


@dataclass(frozen=True, slots=True)
class TextType(Type):
    pass


@dataclass(frozen=True, slots=True)
class EnumType(Type):
    values: tuple[str, ...]
    ordered: bool = False

    def __str__(self) -> str:
        return "enum of " + ", ".join(self.values[:6]) + (", …" if len(self.values) > 6 else "")


@dataclass(frozen=True, slots=True)
class DateType(Type):
    pass


@dataclass(frozen=True, slots=True)
class DateTimeType(Type):
    pass


@dataclass(frozen=True, slots=True)
class NullType(Type):
    pass


@dataclass(frozen=True, slots=True)
class SetType(Type):
    """An ordered set of enum values; `values` None: of any text."""

    values: tuple[str, ...] | None

    def __str__(self) -> str:
        return "set of enum"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record; its name may be dotted."""

    name: str
    type: Type
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class RecordType(Type):
    fields: tuple[Field, ...]

    def index(self, name: str) -> int:
        for i, f in enumerate(self.fields):
            if f.name == name:
                return i
        raise KeyError(name)

    def field(self, name: str) -> Field:
        return self.fields[self.index(name)]

    def __str__(self) -> str:
        return "record of " + ", ".join(f.name for f in self.fields)


@dataclass(frozen=True, slots=True)
class ListType(Type):
    item: Type

    def __str__(self) -> str:
        return f"list of {'record' if isinstance(self.item, RecordType) else self.item}"


@dataclass(frozen=True, slots=True)
class MapType(Type):
    keys: tuple[str, ...]
    of: Type


BOOL = BoolType()
TEXT = TextType()
DATE = DateType()
DATETIME = DateTimeType()
NULL = NullType()
INTEGER = NumberType("integer", 0, signed=True)
COUNT = NumberType("integer", 0)
RATIO = NumberType("ratio", None)


def decimal(places: int | None, unit: str | None = None, signed: bool = True) -> NumberType:
    """The type of an exact number with so many places (None: any)."""
    return NumberType("decimal", places, unit, signed)


def money(signed: bool = False) -> NumberType:
    return NumberType("money", 2, "CNY", signed)


def is_text(t: Type) -> bool:
    """Text or an enum: both are text values."""
    return isinstance(t, (TextType, EnumType))


def assignable(given: Type, wanted: Type) -> bool:
    """May a value of type `given` stand where `wanted` is declared? No silent rounding: places may only grow."""
    if isinstance(given, NullType) or given == wanted:
        return True
    if isinstance(wanted, NumberType) and isinstance(given, NumberType):
        fits = wanted.places is None or (given.places is not None and given.places <= wanted.places)
        return fits and (given.unit is None or wanted.unit is None or given.unit == wanted.unit)
    if isinstance(wanted, EnumType) and isinstance(given, EnumType):
        return set(given.values) <= set(wanted.values)
    if isinstance(wanted, TextType):
        return is_text(given)
    if isinstance(wanted, SetType):
        if isinstance(given, ListType):
            return is_text(given.item) and (wanted.values is None or _within(given.item, wanted.values))
        return isinstance(given, SetType) and (wanted.values is None or (given.values is not None and set(given.values) <= set(wanted.values)))
    if isinstance(wanted, ListType):
        if isinstance(given, SetType):
            return isinstance(wanted.item, TextType)
        return isinstance(given, ListType) and assignable(given.item, wanted.item)
    if isinstance(wanted, RecordType) and isinstance(given, RecordType):
        names = {f.name: f for f in given.fields}
        return set(names) == {f.name for f in wanted.fields} and all(
            assignable(names[f.name].type, f.type) and (f.nullable or not names[f.name].nullable) for f in wanted.fields
        )
    return False


def _within(t: Type, values: tuple[str, ...]) -> bool:
    return isinstance(t, EnumType) and set(t.values) <= set(values)


def join(a: Type, b: Type) -> Type | None:
    """The narrowest type that holds values of both, or None if they do not go together."""
    if isinstance(a, NullType):
        return b
    if isinstance(b, NullType) or a == b:
        return a
    if isinstance(a, NumberType) and isinstance(b, NumberType):
        if a.unit and b.unit and a.unit != b.unit:
            return None
        places = None if a.places is None or b.places is None else max(a.places, b.places)
        wide = a if a.places == places and (a.unit or not b.unit) else b
        name = a.name if a.name == b.name else ("integer" if places == 0 else wide.name if wide.name == "money" else "decimal")
        if name == "integer" and places != 0:
            name = "decimal"
        return NumberType(name, places, a.unit or b.unit, a.signed or b.signed)
    if isinstance(a, EnumType) and isinstance(b, EnumType):
        return EnumType(tuple(dict.fromkeys(a.values + b.values)), a.ordered and b.ordered)
    if is_text(a) and is_text(b):
        return TEXT
    if isinstance(a, SetType) and isinstance(b, SetType):
        both = None if a.values is None or b.values is None else tuple(dict.fromkeys(a.values + b.values))
        return SetType(both)
    if assignable(a, b):
        return b
    if assignable(b, a):
        return a
    return None


def plain(value: Any, t: Type) -> Any:
    """A value as JSON data: decimals as text with their stated places, dates in ISO form, records as nested objects."""
    if value is None:
        return None
    if isinstance(t, NumberType):
        if t.name == "integer":
            return int(value)
        return decimal_text(Decimal(value), t.places)
    if isinstance(t, (DateType, DateTimeType)):
        return value.isoformat()
    if isinstance(t, RecordType):
        return nested((f.name, plain(v, f.type)) for f, v in zip(t.fields, value, strict=True))
    if isinstance(t, ListType):
        return [plain(v, t.item) for v in value]
    if isinstance(t, SetType):
        return list(value)
    return value


def plainer(t: Type) -> Callable[[Any], Any] | None:
    """`plain` for one type, made once; None where a known value is its own JSON data."""
    if isinstance(t, (BoolType, TextType, EnumType)):
        return None
    if isinstance(t, NumberType) and t.name == "integer":
        return lambda value: None if value is None else int(value)
    return lambda value: plain(value, t)


_QUANTA = [Decimal(1).scaleb(-n) for n in range(21)]


def decimal_text(value: Decimal, places: int | None) -> str:
    """The canonical text of a decimal: so many places, or as few as it needs."""
    if places is not None:
        rounded = value.quantize(_QUANTA[places], context=ROUNDING)
        return format(rounded if rounded else rounded.copy_abs(), "f")
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def nested(items: Any) -> dict[str, Any]:
    """Dotted names to nested objects."""
    result: dict[str, Any] = {}
    for name, value in items:
        *parents, last = name.split(".")
        target = result
        for parent in parents:
            target = target.setdefault(parent, {})
        target[last] = value
    return result


def signed(t: NumberType) -> NumberType:
    return replace(t, signed=True)
