"""Texts that stand for a text of which the solver knows only its length and which patterns it matches."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from random import Random
from re import _constants as c  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

#: So many texts are tried.
TRIES = 200
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def sample(number: int, length: int | None, patterns: Mapping[str, bool]) -> str:
    """A text of this length that matches the patterns that it should and no other, if one is found; else any. Another number, another text."""
    random = Random(number)
    first = ""
    for text in _candidates(number, length, patterns, random):
        first = first or text
        if (length is None or len(text) == length) and all(bool(re.fullmatch(p, text)) == held for p, held in patterns.items()):
            return text
    return first


def _candidates(number: int, length: int | None, patterns: Mapping[str, bool], random: Random) -> Iterator[str]:
    wanted = [p for p, held in patterns.items() if held]
    if not wanted:
        yield _plain(number, length)
    for _ in range(TRIES):
        for pattern in wanted or list(patterns):
            text = "".join(_drawn(_parser.parse(pattern), random))
            if text.strip():
                yield text
    yield _plain(number, length)


def _plain(number: int, length: int | None) -> str:
    shown = ""
    rest = number
    while rest or not shown:
        rest, digit = divmod(rest, 26)
        shown = _LETTERS[digit] + shown
    if length is None:
        return f"text {shown}"
    return shown.rjust(length, "a") if len(shown) <= length else chr(0x4E00 + number % 20_000) * length


def _drawn(parts: Any, random: Random) -> Iterator[str]:
    for kind, value in parts:
        if kind == c.LITERAL:
            yield chr(value)
        elif kind == c.NOT_LITERAL:
            yield "b" if chr(value) == "a" else "a"
        elif kind == c.ANY:
            yield random.choice(_LETTERS + "0123456789 -")
        elif kind == c.IN:
            yield _one_of(value, random)
        elif kind in (c.MAX_REPEAT, c.MIN_REPEAT):
            low, high, inner = value
            for _ in range(random.randint(low, min(high, low + 4))):
                yield from _drawn(inner, random)
        elif kind == c.SUBPATTERN:
            yield from _drawn(value[3], random)
        elif kind == c.BRANCH:
            yield from _drawn(random.choice(value[1]), random)


def _one_of(items: Any, random: Random) -> str:
    negated = any(kind == c.NEGATE for kind, _ in items)
    if negated:
        return next((x for x in random.sample(_LETTERS + "0123456789 -_.", 40) if not _among(items, x)), "a")
    kind, value = random.choice([i for i in items if i[0] != c.NEGATE])
    if kind == c.RANGE:
        return chr(random.randint(*value))
    if kind == c.CATEGORY:
        return random.choice({c.CATEGORY_DIGIT: "0123456789", c.CATEGORY_SPACE: " "}.get(value, _LETTERS))
    return chr(value)


def _among(items: Any, x: str) -> bool:
    return any((k == c.LITERAL and ord(x) == v) or (k == c.RANGE and v[0] <= ord(x) <= v[1]) for k, v in items)
