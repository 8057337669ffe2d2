"""Which text patterns a rule may use: those that match in reasonable time whatever the text is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from re import _parser  # type: ignore[attr-defined]
from typing import Any

MAX_REPEATS, MAX_LONG_REPEATS, LONG = 12, 2, 50
_PLAIN = {"LITERAL", "NOT_LITERAL", "ANY", "IN", "AT"}
_REFUSED = "repetition inside a repeated group, alternatives in one, back references and look-around are not allowed"


def bad_pattern(pattern: str) -> str | None:
    """Why a text pattern is refused, or None: it must compile, and hold nothing that can take exponential time."""
    try:
        re.compile(pattern)
        found = _parser.parse(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        return f"this is no pattern: {error}" if isinstance(error, re.error) else "this is no pattern"
    if found.state.flags & ~re.UNICODE:
        return "flags such as `(?i)` are not allowed in a pattern"
    if not _plain(found, False):
        return _REFUSED
    repeats = list(_repeats(found))
    if len(repeats) > MAX_REPEATS or sum(most > LONG for most in repeats) > MAX_LONG_REPEATS:
        return f"more than {MAX_REPEATS} repetitions, or more than {MAX_LONG_REPEATS} without a small limit, take too long on long texts"
    return None


def _repeats(parts: Any) -> Iterator[int]:
    """The upper limit of every repetition in a parsed sequence."""
    for kind, value in parts:
        if str(kind) in ("MAX_REPEAT", "MIN_REPEAT"):
            yield int(value[1])
            yield from _repeats(value[2])
        elif str(kind) == "SUBPATTERN":
            yield from _repeats(value[3])
        elif str(kind) == "BRANCH":
            for way in value[1]:
                yield from _repeats(way)


def _plain(parts: Any, repeated: bool) -> bool:
    """Is a parsed sequence harmless, inside a repeated group or outside?"""
    return all(_part(str(kind), value, repeated) for kind, value in parts)


def _part(kind: str, value: Any, repeated: bool) -> bool:
    if kind in _PLAIN:
        return True
    if kind == "SUBPATTERN":
        _, add_flags, del_flags, inner = value
        return not add_flags and not del_flags and _plain(inner, repeated)
    if kind == "BRANCH":
        return not repeated and all(_plain(way, False) for way in value[1])
    if kind in ("MAX_REPEAT", "MIN_REPEAT"):
        _, most, inner = value
        return not repeated and _plain(inner, int(most) > 1)
    return False
