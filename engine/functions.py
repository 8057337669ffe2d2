"""The functions of the rule language: their meaning here, their types in engine/signatures.py. All are exact and pure."""

from __future__ import annotations

import calendar
import functools
import re
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

import chinese_calendar

from engine.errors import EvaluationError
from engine.patterns import bad_pattern
from engine.types import ROUNDING, SHANGHAI


def _quantum(places: int) -> Decimal:
    return Decimal(1).scaleb(-places)


def round_half_up(x: Decimal | int, places: int) -> Decimal:
    """Half up, away from zero for negatives."""
    found = Decimal(x).quantize(_quantum(places), ROUND_HALF_UP, ROUNDING)
    return found or abs(found)  # never -0.00


def floor(x: Decimal | int) -> int:
    return int(Decimal(x).to_integral_value(ROUND_FLOOR))


def ceil(x: Decimal | int) -> int:
    return int(Decimal(x).to_integral_value(ROUND_CEILING))


def divide(a: Decimal | int, b: Decimal | int, places: int) -> Decimal:
    """a / b with so many places, half up, away from zero for negatives; one rounding only."""
    if b == 0:
        raise EvaluationError("division-by-zero", "a division by zero")
    scaled = Fraction(a) / Fraction(b) * 10**places
    whole, rest = divmod(abs(scaled.numerator), scaled.denominator)
    if 2 * rest >= scaled.denominator:
        whole += 1
    return Decimal(whole if scaled >= 0 else -whole).scaleb(-places, ROUNDING)


def to_date(moment: datetime) -> date:
    """The business day of an instant."""
    return moment.astimezone(SHANGHAI).date()


def start_of_day(day: date) -> datetime:
    return datetime.combine(day, time(), SHANGHAI)


#: Longer texts are not compared with a pattern: the time grows with the square of their length.
MAX_MATCHED = 2_000


def _moved(day: date, days: int) -> date:
    try:
        return day + timedelta(days=int(days))
    except OverflowError:
        raise EvaluationError("date-out-of-range", f"{day.isoformat()} moved by {days} days is no date") from None


def add_days(day: Any, days: int) -> Any:
    return _moved(day, days)


def add_months(day: Any, months: int) -> Any:
    """Calendar months; the day is clamped to the end of a shorter month."""
    index = day.year * 12 + day.month - 1 + int(months)
    year, month = divmod(index, 12)
    if not 1 <= year <= 9999:
        raise EvaluationError("date-out-of-range", f"{day.isoformat()} moved by {months} months is no date")
    if day.day <= 28:
        return day.replace(year=year, month=month + 1)
    return day.replace(year=year, month=month + 1, day=min(day.day, calendar.monthrange(year, month + 1)[1]))


@functools.lru_cache(maxsize=16_384)
def _working(day: date) -> bool:
    """Is it a working day of the Chinese official calendar, make-up days included?"""
    try:
        return bool(chinese_calendar.is_workday(day))
    except NotImplementedError:
        message = f"the working-day calendar does not know the year {day.year}"
        raise EvaluationError("calendar-year-unknown", message) from None


def is_working_day(day: date) -> bool:
    return _working(to_date(day) if isinstance(day, datetime) else day)


def add_working_days(day: Any, days: int) -> Any:
    """The n-th working day after (before, if negative) a day; a datetime keeps its clock time."""
    if isinstance(day, datetime):
        local = day.astimezone(SHANGHAI)
        return datetime.combine(add_working_days(local.date(), days), local.timetz())
    days = int(days)
    if abs(days) > 10_000:
        raise EvaluationError("date-out-of-range", f"{days} working days are more than the limit of 10000")
    step = 1 if days >= 0 else -1
    left = abs(days)
    while left:
        day = _moved(day, step)
        left -= _working(day)
    return day


def working_days_between(start: date, end: date) -> int:
    """Working days after `start` up to and including `end`; negative if `end` is before `start`."""
    if end < start:
        return -working_days_between(end, start)
    if (end - start).days > 20_000:
        raise EvaluationError("date-out-of-range", "more than 20000 days between two dates")
    return sum(_working(start + timedelta(days=i)) for i in range(1, (end - start).days + 1))


def days_between(start: date, end: date) -> int:
    return (end - start).days


def minutes_between(start: datetime, end: datetime) -> int:
    """Full minutes from start to end; negative if end is before start."""
    seconds = Fraction((end - start) // timedelta(microseconds=1), 60_000_000)
    return int(seconds)


@functools.lru_cache(maxsize=512)
def _pattern(pattern: str) -> re.Pattern[str]:
    why = bad_pattern(pattern)  # a what-if may bring any text
    if why is not None:
        raise EvaluationError("bad-pattern", f"the pattern `{pattern[:80]}` is refused: {why}")
    return re.compile(pattern)


def matches(text: str, pattern: str) -> bool:
    """Does the whole text match the pattern?"""
    if len(text) > MAX_MATCHED:
        raise EvaluationError("text-too-long", f"a text of {len(text)} characters is not compared with a pattern, at most {MAX_MATCHED}")
    return _pattern(pattern).fullmatch(text) is not None


def index_of(items: tuple[Any, ...], item: Any) -> int | None:
    return items.index(item) if item in items else None


def only(items: tuple[Any, ...]) -> Any:
    """The one item of a list; null if there are none or several."""
    return items[0] if len(items) == 1 else None


def distinct(items: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(items))


def subset(a: Iterable[Any], b: Iterable[Any]) -> bool:
    return set(a) <= set(b)


def intersects(a: Iterable[Any], b: Iterable[Any]) -> bool:
    return not set(a).isdisjoint(b)


#: Every function that gives a value from known, non-null arguments.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "round_half_up": round_half_up,
    "floor": floor,
    "ceil": ceil,
    "divide": divide,
    "abs": abs,
    "min": min,
    "max": max,
    "date": to_date,
    "start_of_day": start_of_day,
    "add_days": add_days,
    "add_months": add_months,
    "add_working_days": add_working_days,
    "working_days_between": working_days_between,
    "is_working_day": is_working_day,
    "days_between": days_between,
    "minutes_between": minutes_between,
    "year": lambda d: d.year,
    "month": lambda d: d.month,
    "day": lambda d: d.day,
    "length": len,
    "upper": str.upper,
    "lower": str.lower,
    "matches": matches,
    "empty": lambda items: not items,
    "count": len,
    "index_of": index_of,
    "only": only,
    "distinct": distinct,
    "subset": subset,
    "intersects": intersects,
}
