"""A value that is not known yet, and what it waits for. What each operation makes of it: engine/kleene.py, bounds.py, aggregates.py, lookups.py."""

from __future__ import annotations

from typing import Any

from engine.errors import EvaluationError

_NONE: frozenset[str] = frozenset()


class Unknown:
    """A value that is not known yet: the facts it waits for, the unset parameters, an error if it cannot be computed.

    `low` and `high` are its bounds if it is a number that has any; `blank` is an item of which nothing is known, if it is a list.
    """

    __slots__ = ("blank", "error", "high", "low", "paths", "unset")

    def __init__(
        self, paths: frozenset[str] = _NONE, unset: frozenset[str] = _NONE, error: EvaluationError | None = None,
        low: Any = None, high: Any = None, blank: Any = None,
    ) -> None:  # fmt: skip
        self.paths, self.unset, self.error, self.low, self.high, self.blank = paths, unset, error, low, high, blank

    def __repr__(self) -> str:
        return f"Unknown({', '.join(sorted(self.paths | self.unset))})"


def unknown_of(*values: Any) -> Unknown:
    """One unknown that waits for all that the unknown ones among the values wait for."""
    found = [v for v in values if type(v) is Unknown]
    if len(found) == 1 and found[0].low is None and found[0].high is None and found[0].blank is None:
        return found[0]
    paths, unset, error = _NONE, _NONE, None
    for u in found:
        paths, unset, error = paths | u.paths, unset | u.unset, error or u.error
    return Unknown(paths, unset, error)


def unknowns(value: Any) -> list[Any]:
    """The unknown parts of a value, also inside lists and records."""
    if type(value) is Unknown:
        return [value]
    if isinstance(value, tuple):
        return [u for item in value for u in unknowns(item)]
    return []


def holds_unknown(value: Any) -> bool:
    """Is the value a list or record with unknown parts?"""
    return isinstance(value, tuple) and bool(unknowns(value))


def unknown_parts(value: Any) -> Unknown | None:
    """All that the unknown parts of a value wait for, or None if it is wholly known."""
    found = unknowns(value)
    return unknown_of(*found) if found else None


def known_part(value: Any) -> Any:
    """A value with null for its unknown parts."""
    if type(value) is Unknown:
        return None
    if isinstance(value, tuple):
        return tuple(known_part(v) for v in value)
    return value
