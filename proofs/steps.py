"""The values beside a value, and values in words."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from engine.types import NumberType, TextType, Type, decimal_text


def steps(value: Any, t: Type, expect: Type | None = None) -> list[Any]:
    """The values beside one: a number or date one step up and down, the other truth value, the next value of an enum, a longer text."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, (int, Decimal)):
        places = max(places_of(value), places_in(t) or 0, places_in(expect) or 0)
        if places == 0 and not isinstance(value, Decimal):
            return [value + 1, value - 1]
        step = Decimal(1).scaleb(-places)
        return [Decimal(value) + step, Decimal(value) - step]
    if isinstance(value, datetime):
        return [value + timedelta(minutes=1), value - timedelta(minutes=1)]
    if isinstance(value, date):
        return [value + timedelta(days=1), value - timedelta(days=1)]
    if isinstance(value, str):
        values = getattr(expect, "values", None) or getattr(t, "values", None) or ()
        others = [v for v in (*values[values.index(value) + 1 :], *values) if v != value] if value in values else []
        return others[:1] or ([f"{value}x"] if isinstance(expect or t, TextType) else [])
    if isinstance(value, tuple):
        return [value[:i] + value[i + 1 :] for i in range(len(value))] if len(value) > 1 else []
    if isinstance(value, dict):
        of = getattr(t, "of", None)
        return [value | {k: other} for k, v in value.items() for other in (steps(v, of) if of is not None else [])]
    return []


def places_in(t: Type | None) -> int | None:
    return t.places if isinstance(t, NumberType) else None


def places_of(value: Any) -> int:
    """The digits after the point that a number is written with."""
    return max(0, -int(value.as_tuple().exponent)) if isinstance(value, Decimal) else 0


def value_text(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(value_text, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {value_text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return decimal_text(value, None) if isinstance(value, Decimal) else value.isoformat() if hasattr(value, "isoformat") else str(value)
