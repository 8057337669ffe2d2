"""Dates, times and working days as SQL. Times are Shanghai wall clocks without a zone, so a day is a date and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from functools import cache

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from engine.errors import EvaluationError
from engine.functions import FUNCTIONS, is_working_day
from engine.types import BOOL, DATE, DATETIME, INTEGER, DateTimeType, Type
from simulations.reading.arrays import Bind, at
from simulations.reading.exact import microseconds
from simulations.reading.lowered import ERROR_BIT, Flag, Lowered, both, cast, choose, condition, constant, either, mask_of, negated, never, number

LAST_DAY = date(9999, 12, 31)
FIRST_DAY = date(1, 1, 1)
CALENDAR_UNKNOWN, OUT_OF_RANGE = ERROR_BIT["calendar-year-unknown"], ERROR_BIT["date-out-of-range"]
#: Most working days that may be added, as in the engine.
MAX_WORKING_DAYS = 10_000


#: The working days that are known, as arrays in one row that is joined to every case: how many there are up to each day, and the days.
CALENDAR_TABLE = "working_calendar"
CALENDAR_SCHEMA = {"working_counts": "array<int32>", "working_days": "array<date>"}


def calendar_arrays() -> tuple[list[int], list[date]]:
    """The one row of the calendar table."""
    _, _, counts, days = _calendar()
    return list(counts), list(days)


@cache
def _calendar() -> tuple[date, date, tuple[int, ...], tuple[date, ...]]:
    """First and last day that the calendar knows; for the day before the first and every day from it the count so far; the working days."""
    first = _edge(date(2010, 1, 1), -1)
    last = _edge(date(2010, 1, 1), 1)
    counts, days = [0], []
    day = first
    while day <= last:
        if is_working_day(day):
            days.append(day)
        counts.append(len(days))
        day += timedelta(days=1)
    return first, last, tuple(counts), tuple(days)


def _edge(day: date, step: int) -> date:
    """The last day, going by years, that the calendar knows."""
    year = day.year
    while True:
        try:
            is_working_day(date(year + step, 6, 1))
        except EvaluationError:
            return date(year, 1, 1) if step < 0 else date(year, 12, 31)
        year += step


class Dates:
    """The date functions over one query, with its calendar columns."""

    def __init__(self, counts: ir.ArrayValue | None, days: ir.ArrayValue | None) -> None:
        self.counts, self.days = counts, days
        self.bind: Bind = lambda value: value
        self.first, self.last, self._known, self._all = _calendar()

    def call(self, function: str, arguments: list[Lowered], t: Type, bind: Bind) -> Lowered:
        """One of the date functions of the rule language."""
        self.bind = bind
        if all(a.is_static and a.static is not None for a in arguments):
            try:
                return constant(FUNCTIONS[function](*(a.static for a in arguments)), t)
            except EvaluationError as error:
                return never(t, ERROR_BIT[error.kind])
        method: Callable[..., Lowered] = getattr(self, f"_{function}")
        return method(*arguments)

    # -- parts ---------------------------------------------------------------------------------------------------------------------

    def _date(self, moment: Lowered) -> Lowered:
        return _made(DATE, cast(moment.value, dt.date), moment)

    def _start_of_day(self, day: Lowered) -> Lowered:
        return _made(DATETIME, cast(day.value, dt.timestamp), day)

    def _year(self, day: Lowered) -> Lowered:
        return _made(INTEGER, cast(day.value.year(), dt.int64), day, digits=4)

    def _month(self, day: Lowered) -> Lowered:
        return _made(INTEGER, cast(day.value.month(), dt.int64), day, digits=2)

    def _day(self, day: Lowered) -> Lowered:
        return _made(INTEGER, cast(day.value.day(), dt.int64), day, digits=2)

    def _days_between(self, start: Lowered, end: Lowered) -> Lowered:
        return _made(INTEGER, cast(end.value.delta(start.value, unit="day"), dt.int64), start, end, digits=7)

    def _minutes_between(self, start: Lowered, end: Lowered) -> Lowered:
        """Full minutes, cut off towards zero."""
        apart = microseconds(end.value) - microseconds(start.value)
        size = cast(((apart.abs() - apart.abs() % number(60_000_000)) / number(60_000_000)).round(), dt.int64)
        return _made(INTEGER, choose([(apart < 0, -size)], size), start, end, digits=10)

    # -- moved ---------------------------------------------------------------------------------------------------------------------

    def _add_days(self, day: Lowered, days: Lowered) -> Lowered:
        return _moved(day, days, "days")

    def _add_months(self, day: Lowered, months: Lowered) -> Lowered:
        return _moved(day, months, "months")

    # -- working days --------------------------------------------------------------------------------------------------------------

    def _is_working_day(self, day: Lowered) -> Lowered:
        today = cast(day.value, dt.date)
        value = self._count(today) > self._count(today - ibis.interval(days=1))
        outside = ((today < self.first) | (today > self.last)).fill_null(False)
        return _failing(BOOL, value, CALENDAR_UNKNOWN, outside, day)

    def _working_days_between(self, start: Lowered, end: Lowered) -> Lowered:
        """After the first up to and including the second; negative the other way round."""
        forward = end.value >= start.value
        low, high = choose([(forward, start.value)], end.value), choose([(forward, end.value)], start.value)
        size = self._count(high) - self._count(low)
        before = self.first - timedelta(days=1)
        same = (start.value == end.value).fill_null(False)
        outside = both(negated(same), ((low < before) | (high > self.last)).fill_null(False))
        value = choose([(same, number(0)), (forward, size)], -size)
        return _failing(INTEGER, value, CALENDAR_UNKNOWN, outside, start, end, digits=6)

    def _add_working_days(self, day: Lowered, days: Lowered) -> Lowered:
        """The n-th working day after a day, or before it; a time of day is kept."""
        timed = isinstance(day.type, DateTimeType)
        start = self.bind(cast(day.value, dt.date) if timed else day.value)
        n = self.bind(cast(days.value, dt.int64))
        # numbers of working days begin at 1; going back counts from the day before
        from_here = choose([(n > 0, start)], start - ibis.interval(days=1))
        position = self.bind(self._count(from_here) + n + choose([(n > 0, number(0))], number(1)))
        inside = both((position >= 1).fill_null(False), (position <= len(self._all)).fill_null(False))
        assert self.days is not None
        found = cast(at(self.days, choose([(inside, position)], number(1)) - 1), dt.date)
        found = self.bind(choose([(n == 0, start)], found))
        at_edge = choose([(n > 0, start < self.first - timedelta(days=1))], start > self.last + timedelta(days=1)).fill_null(False)
        outside = both((n != 0).fill_null(False), either(negated(inside), at_edge))
        if timed:
            found = cast(cast(found, dt.timestamp) + (day.value - cast(start, dt.timestamp)), dt.timestamp)
        far = (n.abs() > MAX_WORKING_DAYS).fill_null(False)
        near = _failing(day.type, found, CALENDAR_UNKNOWN, both(outside, negated(far)), day, days)
        return _failing(day.type, near.value, OUT_OF_RANGE, far, near)

    def _count(self, day: ir.Value) -> ir.Value:
        """Working days up to a day; for days outside the calendar that of its edge."""
        offset = self.bind(cast(day.delta(ibis.literal(self.first, type="date"), unit="day"), dt.int64) + 1)
        offset = choose([(offset < 0, number(0)), (offset > len(self._known) - 1, number(len(self._known) - 1))], offset)
        assert self.counts is not None
        return cast(at(self.counts, offset), dt.int64)


def _made(t: Type, value: ir.Value, *parts: Lowered, digits: int = 0) -> Lowered:
    """A value that is unknown where one of its parts is."""
    kinds, mask = mask_of(value.isnull(), *parts)
    return Lowered(t, value, any(p.maybe for p in parts), kinds, None, mask, digits=digits)


def _failing(t: Type, value: ir.Value, kind: int, fails: Flag, *parts: Lowered, digits: int = 0) -> Lowered:
    """A value that cannot be computed under a condition, if its parts are known."""
    if fails is False:
        return _made(t, value, *parts, digits=digits)
    known = negated(either(*(p.unknown for p in parts)))
    error = Lowered(t, value, True, kind, condition(both(known, fails)))
    value = choose([(either(fails, *(p.unknown for p in parts)), ibis.null(value.type()))], value)
    kinds, mask = mask_of(value.isnull(), *parts, error)
    return Lowered(t, value, True, kinds, None, mask, digits=digits)


def _moved(day: Lowered, steps: Lowered, unit: str) -> Lowered:
    """A day or moment moved by calendar days or months; the day is cut to the end of a shorter month."""
    kind = dt.timestamp if isinstance(day.type, DateTimeType) else dt.date
    if steps.is_static:
        interval = ibis.interval(days=abs(steps.static)) if unit == "days" else ibis.interval(months=abs(steps.static))
        moved = day.value + interval if steps.static >= 0 else day.value - interval
        value = cast(moved, kind)
        edge = value > LAST_DAY if steps.static >= 0 else value < FIRST_DAY
    else:
        value = cast(day.value + cast(steps.value, dt.int32).as_interval("D" if unit == "days" else "M"), kind)
        edge = (value > LAST_DAY) | (value < FIRST_DAY)
    return _failing(day.type, value, OUT_OF_RANGE, edge.fill_null(False), day, steps)
