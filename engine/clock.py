"""Reading the instant of a question: `as_of` and `known_at` of requests, dates of case files. No clock is read here."""

from __future__ import annotations

from datetime import date, datetime, time

from engine.types import SHANGHAI


def instant(text: str) -> datetime:
    """A date (00:00 of that day in Shanghai) or a date and time with zone. Raises ValueError with what was expected."""
    try:
        if len(text) == 10:
            return datetime.combine(date.fromisoformat(text), time(), SHANGHAI)
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError("no zone")
        return moment.astimezone(SHANGHAI)
    except (ValueError, OverflowError):
        raise ValueError(f"`{text[:40]}` is neither a date (2025-01-16) nor a date and time with zone (2025-01-16T09:00:00+08:00)") from None
