"""Reading days and instants: `as_of` and `known_at` of requests, dates of facts, rule files and case files. No clock is read here."""

from __future__ import annotations

import re
from datetime import date, datetime, time

from engine.types import SHANGHAI

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def calendar_day(text: str) -> date:
    """A date as 2025-01-16. Raises ValueError for anything else, other ISO forms of dates too."""
    if not _DAY.fullmatch(text):
        raise ValueError("no date")
    return date.fromisoformat(text)


def zoned(text: str) -> datetime:
    """A date and time as 2025-01-16T09:00:00+08:00; without a zone where none is written. Raises ValueError."""
    if not _DAY.match(text):
        raise ValueError("no date and time")
    return datetime.fromisoformat(text)


def business_moment(text: str) -> datetime:
    """A date and time in Shanghai: moved there from its own zone, taken as said there if it has none. Raises ValueError."""
    moment = zoned(text)
    try:
        return moment.astimezone(SHANGHAI) if moment.tzinfo else moment.replace(tzinfo=SHANGHAI)
    except OverflowError:
        raise ValueError("out of range") from None


def instant(text: str) -> datetime:
    """A date (00:00 of that day in Shanghai) or a date and time with zone. Raises ValueError with what was expected."""
    try:
        if len(text) == 10:
            return datetime.combine(calendar_day(text), time(), SHANGHAI)
        moment = zoned(text)
        if moment.tzinfo is None:
            raise ValueError("no zone")
        return moment.astimezone(SHANGHAI)
    except (ValueError, OverflowError):
        raise ValueError(f"`{text[:40]}` is neither a date (2025-01-16) nor a date and time with zone (2025-01-16T09:00:00+08:00)") from None
