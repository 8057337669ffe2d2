"""Values of a synthetic population on their way: whole numbers in SQL, and the typed values that they become.

Numbers count units of their last place, dates days from the day of the question, date-times seconds from its midnight. So no value is ever a float,
and one kind of arithmetic serves them all. Booleans and texts are written as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any

from engine.literals import LiteralFault, literal
from engine.types import SHANGHAI, BoolType, DateTimeType, DateType, ListType, NumberType, RecordType, SetType, TextType, Type
from simulations.population.columns import NARROW
from simulations.synthetic.declaration import Form
from simulations.synthetic.draws import FULL

#: The largest whole number on the way: it fits DECIMAL(18) and leaves room in 64 bits.
LARGEST = 10**17
#: Money and other numbers of so few places are made without wide arithmetic.
FEW = 4
#: For points of a distribution, which are rounded to units in the end.
WORK = Context(prec=40, rounding=ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class Known:
    """Another value that a distribution may hang on: its SQL and its type."""

    sql: str
    type: Type
    nullable: bool


@dataclass(frozen=True, slots=True)
class Target:
    """What a value is made for. `draw` and `source` are SQL: the draw itself, and what further draws are made from; `own` a text of its own.

    `places`: of a number's DECIMAL. `resolve` finds another fact or field; `items` writes the list of records of a form with `fields`, given its length.
    """

    type: Type
    nullable: bool
    places: int
    seed: int | str
    label: str
    as_of: date
    draw: str
    source: str
    own: str
    resolve: Callable[[str], Known]
    items: Callable[[Form, str], str]
    factor: int = 0  # units of a whole where the type does not say it

    @property
    def coded(self) -> bool:
        return isinstance(self.type, (NumberType, DateType, DateTimeType))

    @property
    def units(self) -> int:
        return self.factor or 10**self.places


def decoded(sql: str, t: Type, places: int, as_of: date) -> str:
    """The typed value of a whole number in units of its type."""
    if isinstance(t, DateType):
        return f"(DATE '{as_of.isoformat()}' + ({sql})::INTEGER)"
    if isinstance(t, DateTimeType):
        return f"make_timestamp({midnight(as_of) * 1_000_000} + ({sql}) * 1000000)"
    assert isinstance(t, NumberType)
    if t.name == "integer":
        return f"({sql})::BIGINT"
    if places == 0:
        return f"({sql})::DECIMAL(18,0)"
    width = NARROW - places if places <= FEW else NARROW  # a product within 18 digits stays a machine word
    return f"(({sql})::DECIMAL({width},0) * '{Decimal(1).scaleb(-places):f}'::DECIMAL({places},{places}))"


def written(found: Any, t: Type, places: int) -> str:
    """A typed value as an SQL literal."""
    if found is None:
        return "NULL"
    if isinstance(t, BoolType):
        return "TRUE" if found else "FALSE"
    if isinstance(t, NumberType):
        return f"{int(found)}::BIGINT" if t.name == "integer" else f"'{Decimal(found):f}'::DECIMAL(18,{places})"
    if isinstance(t, DateType):
        return f"DATE '{found.isoformat()}'"
    if isinstance(t, DateTimeType):
        return f"TIMESTAMP '{found.astimezone(SHANGHAI).replace(tzinfo=None).isoformat(sep=' ')}'"
    if isinstance(t, (SetType, ListType)):
        return f"[{', '.join(text(v) for v in found)}]::VARCHAR[]"
    return text(found)


def text(found: str) -> str:
    """A text as an SQL literal."""
    return "'" + found.replace("'", "''") + "'"


def midnight(day: date) -> int:
    """Seconds from 1970-01-01T00:00 to the midnight that a day begins with, both on the wall."""
    return (day - date(1970, 1, 1)).days * 86_400


def code(raw: Any, target: Target) -> str:
    """A written value in SQL, on its way. Raises LiteralFault."""
    t = target.type
    if raw is None:
        if not target.nullable:
            raise LiteralFault("this may not be none", "write a value; `unknown` is a share of its own")
        return "NULL"
    if isinstance(t, ListType) and isinstance(t.item, RecordType):
        raise LiteralFault(f"expected {t}", "write `length` and `fields`; `length: {constant: 0}` makes an empty list")
    if isinstance(raw, str) and not raw.strip() and not isinstance(t, (SetType, ListType)):
        raise LiteralFault("the text is blank", "a blank text counts as none: write null")
    found = literal(str(raw) if isinstance(t, TextType) and isinstance(raw, int) else raw, t)
    if isinstance(t, SetType) and t.values is not None:
        found = tuple(sorted(found, key=t.values.index))
    if isinstance(t, NumberType):
        return str(unit(Decimal(found), target))
    if isinstance(t, DateType):
        return str((found - target.as_of).days)
    if isinstance(t, DateTimeType):
        local: datetime = found.astimezone(SHANGHAI).replace(tzinfo=None)
        return str(int((local - datetime.combine(target.as_of, time())).total_seconds()))
    return written(found, t, target.places)


def number(raw: Any, target: Target) -> Decimal:
    """A number of a distribution. Raises LiteralFault."""
    if not isinstance(target.type, NumberType):
        raise LiteralFault(f"this distributes numbers, and the value is {target.type}", "dates: {days: {uniform: {low: -30, high: 0}}}; others: `choice`")
    found = Decimal(literal(raw, target.type))
    unit(found, target)
    return found


def point(raw: Any, target: Target) -> int:
    """A number of a distribution in units."""
    return unit(number(raw, target), target)


def unit(found: Decimal, target: Target) -> int:
    """A number in units, rounded; 0 where it is below and may not be. Raises LiteralFault where it is too large."""
    units = int(WORK.multiply(found, Decimal(target.units)).to_integral_value(ROUND_HALF_UP))
    few = 1 <= target.places <= FEW and not target.factor
    if abs(units) > (LARGEST // 10**target.places if few else LARGEST):
        raise LiteralFault(f"`{found:f}` is too large for a synthetic population", "18 digits are held, the places among them")
    return units if not isinstance(target.type, NumberType) or target.type.signed else max(0, units)


def share(raw: Any, shown: str) -> Decimal:
    """A share from 0 to 1. Raises LiteralFault."""
    try:
        found = Decimal(str(raw))
    except InvalidOperation:
        found = Decimal(-1)
    if isinstance(raw, bool) or not found.is_finite() or not 0 <= found <= 1:
        raise LiteralFault(f"`{shown}` is no share", 'a share lies between 0 and 1: "0.05"')
    return found


def cut(raw: Any, shown: str) -> int:
    """The draws below this are a share of all."""
    return int(share(raw, f"{shown}: {raw}") * FULL)


def clock(raw: str) -> int:
    """Seconds from midnight of a time such as 23:59:59. Raises LiteralFault."""
    try:
        found = time.fromisoformat(raw)
    except ValueError:
        raise LiteralFault(f"`{raw}` is no time of the day", "write it as 09:30:00", ("at",)) from None
    return found.hour * 3600 + found.minute * 60 + found.second


def as_number(other: Known, target: Target) -> str:
    """Another number in the units of the target."""
    if not isinstance(other.type, NumberType):
        raise LiteralFault(f"that is {other.type}, no number")
    if other.type.places is not None and other.type.places > target.places:
        raise LiteralFault(f"that has {other.type.places} decimals, this has {target.places}")
    return f"CAST({other.sql} * {10**target.places} AS BIGINT)"


def as_moment(other: Known, target: Target) -> str:
    """Another date or date-time in the units of the target; the day of the question where it is none."""
    days = isinstance(target.type, DateType)
    if isinstance(other.type, DateType):
        return f"coalesce({other.sql} - DATE '{target.as_of.isoformat()}', 0)" + ("" if days else " * 86400")
    if isinstance(other.type, DateTimeType) and not days:
        return f"coalesce(epoch_us({other.sql}) // 1000000 - {midnight(target.as_of)}, 0)"
    raise LiteralFault(f"that is {other.type}, this is {target.type}")
