"""Functions of texts as SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ibis

from engine.functions import FUNCTIONS, MAX_MATCHED
from engine.types import Type
from simulations.reading.lowered import ERROR_BIT, Lowered, NotLowered, both, cast, choose, condition, constant, mask_of, negated


def call(function: str, arguments: Sequence[Lowered], t: Type) -> Lowered:
    first = arguments[0]
    if all(a.is_static and a.static is not None for a in arguments):
        return constant(FUNCTIONS[function](*(a.static for a in arguments)), t)
    text: Any = first.value
    if function == "length":
        return Lowered(t, cast(text.length(), "int64"), first.maybe, first.kinds, first.flag, first.mask, digits=5)
    if function in ("upper", "lower"):
        return Lowered(t, text.upper() if function == "upper" else text.lower(), first.maybe, first.kinds, first.flag, first.mask)
    return _matches(first, arguments[1], t)


def _matches(text: Lowered, pattern: Lowered, t: Type) -> Lowered:
    """Does the whole text match a pattern? A very long text is an error, as in the engine."""
    if not pattern.is_static:
        if pattern.maybe and not pattern.null and pattern.kinds.bit_count() <= 1:
            return Lowered(t, ibis.null("boolean"), True, pattern.kinds | (text.kinds if text.maybe else 0))
        raise NotLowered("a text pattern that is not fixed cannot be told to a database")
    subject: Any = text.value
    found = subject.re_search(rf"\A(?:{_portable(pattern.static)})\z")
    long = (subject.length() > MAX_MATCHED).fill_null(False)
    error = Lowered(t, subject, True, ERROR_BIT["text-too-long"], condition(both(negated(text.unknown), long)))
    value = choose([(long, ibis.null("boolean"))], found)
    kinds, mask = mask_of(value.isnull(), text, error)
    return Lowered(t, value, True, kinds, None, mask)


def _portable(pattern: str) -> str:
    r"""`\d` and its like mean all scripts in the engine, Latin only in most databases; `.` never matches a line break."""
    for short, long in ((r"\d", r"\p{Nd}"), (r"\D", r"\P{Nd}")):
        pattern = pattern.replace(short, long)
    return pattern
