"""The types of the functions of the rule language: what each takes and gives. Their meaning is in engine/functions.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.syntax import Const, Node
from engine.types import (
    BOOL,
    COUNT,
    DATE,
    DATETIME,
    INTEGER,
    TEXT,
    DateTimeType,
    DateType,
    EnumType,
    ListType,
    NumberType,
    SetType,
    Type,
    decimal,
    is_text,
    join,
)

#: A signature takes the typed arguments and gives (type, nullable), or a text that says what was expected.
Signature = Callable[[Sequence[Node]], "tuple[Type, bool] | str"]


def _number(n: Node) -> bool:
    return isinstance(n.type, NumberType)


def _integer(n: Node) -> bool:
    return isinstance(n.type, NumberType) and n.type.places == 0


def _day(n: Node) -> bool:
    return isinstance(n.type, DateType)


def _moment(n: Node) -> bool:
    return isinstance(n.type, DateTimeType)


def _day_or_moment(n: Node) -> bool:
    return isinstance(n.type, (DateType, DateTimeType))


def _text(n: Node) -> bool:
    return is_text(n.type)


def _many(n: Node) -> bool:
    return isinstance(n.type, (ListType, SetType))


def _fixed(result: Type, *wants: tuple[Callable[[Node], bool], str]) -> Signature:
    def check(arguments: Sequence[Node]) -> tuple[Type, bool] | str:
        if len(arguments) != len(wants):
            return f"takes {len(wants)} argument{'s' * (len(wants) != 1)}: " + ", ".join(w for _, w in wants)
        for n, (accepts, expected) in zip(arguments, wants, strict=True):
            if not accepts(n):
                return f"expected {expected}, got {n.type}"
        return result, False

    return check


def _places(n: Node) -> int | None:
    return n.value if isinstance(n, Const) and isinstance(n.value, int) and 0 <= n.value <= 12 else None


def _rounded(count: int) -> Signature:
    def check(arguments: Sequence[Node]) -> tuple[Type, bool] | str:
        if len(arguments) != count or not all(_number(a) for a in arguments):
            return f"takes {count - 1} number{'s' * (count > 2)} and a number of places"
        places = _places(arguments[-1])
        if places is None:
            return "the number of places must be written as a whole number from 0 to 12"
        first = arguments[0].type
        assert isinstance(first, NumberType)
        unit = first.unit
        if count == 3:
            divisor = arguments[1].type
            assert isinstance(divisor, NumberType)
            unit = None if divisor.unit == unit else unit
        return decimal(places, unit, first.signed), False

    return check


def _same_kind(arguments: Sequence[Node]) -> tuple[Type, bool] | str:
    if len(arguments) < 2:
        return "takes two or more values, or a list expression"
    result = arguments[0].type
    for n in arguments[1:]:
        both = join(result, n.type)
        if both is None or not (isinstance(both, NumberType) or _day_or_moment(n)):
            return f"expected numbers of one unit, or dates; got {result} and {n.type}"
        result = both
    return result, False


def _absolute(arguments: Sequence[Node]) -> tuple[Type, bool] | str:
    if len(arguments) != 1 or not _number(arguments[0]):
        return "takes one number"
    return arguments[0].type, False


def _moved(arguments: Sequence[Node]) -> tuple[Type, bool] | str:
    if len(arguments) != 2 or not _day_or_moment(arguments[0]) or not _integer(arguments[1]):
        return "takes a date (or date and time) and a whole number"
    return arguments[0].type, False


def _whole(arguments: Sequence[Node]) -> tuple[Type, bool] | str:
    if len(arguments) != 1 or not _number(arguments[0]):
        return "takes one number"
    kind = arguments[0].type
    assert isinstance(kind, NumberType)
    return NumberType("integer", 0, kind.unit, kind.signed), False


def _matches(arguments: Sequence[Node]) -> tuple[Type, bool] | str:
    if len(arguments) != 2 or not all(_text(a) for a in arguments):
        return "takes a text and a pattern"
    return BOOL, False


def _index(arguments: Sequence[Node]) -> tuple[Type, bool] | str:
    if len(arguments) != 2 or not _many(arguments[0]):
        return "takes a list and a value"
    return COUNT, True


def _only(arguments: Sequence[Node]) -> tuple[Type, bool] | str:
    if len(arguments) != 1:
        return "takes one list"
    kind = arguments[0].type
    if isinstance(kind, SetType):
        return (TEXT if kind.values is None else EnumType(kind.values)), True
    return (kind.item, True) if isinstance(kind, ListType) else "takes one list"


def _distinct(arguments: Sequence[Node]) -> tuple[Type, bool] | str:
    if len(arguments) != 1 or not _many(arguments[0]):
        return "takes one list"
    return arguments[0].type, False


_MANY = (_many, "a list or a set")
SIGNATURES: dict[str, Signature] = {
    "round_half_up": _rounded(2),
    "divide": _rounded(3),
    "floor": _whole,
    "ceil": _whole,
    "abs": _absolute,
    "min": _same_kind,
    "max": _same_kind,
    "date": _fixed(DATE, (_moment, "a date and time")),
    "start_of_day": _fixed(DATETIME, (_day, "a date")),
    "add_days": _moved,
    "add_months": _moved,
    "add_working_days": _moved,
    "working_days_between": _fixed(INTEGER, (_day, "a date"), (_day, "a date")),
    "is_working_day": _fixed(BOOL, (_day_or_moment, "a date")),
    "days_between": _fixed(INTEGER, (_day, "a date"), (_day, "a date")),
    "minutes_between": _fixed(INTEGER, (_moment, "a date and time"), (_moment, "a date and time")),
    "year": _fixed(COUNT, (_day_or_moment, "a date")),
    "month": _fixed(COUNT, (_day_or_moment, "a date")),
    "day": _fixed(COUNT, (_day_or_moment, "a date")),
    "length": _fixed(COUNT, (_text, "a text")),
    "upper": _fixed(TEXT, (_text, "a text")),
    "lower": _fixed(TEXT, (_text, "a text")),
    "matches": _matches,
    "empty": _fixed(BOOL, _MANY),
    "count": _fixed(COUNT, _MANY),
    "index_of": _index,
    "only": _only,
    "distinct": _distinct,
    "subset": _fixed(BOOL, _MANY, _MANY),
    "intersects": _fixed(BOOL, _MANY, _MANY),
}
