"""Functions of days and texts that are not written out for the solver: what is known of their results at once, and what is learned from a wrong model.

Each result is a variable with some bounds. Where a model gives it another value than the function has, the truth about the days around is added, and
the solver is asked again. So statements are exact without a table of every day.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any

import z3

from engine import functions as f
from engine.errors import EvaluationError
from proofs.folding import and_, implies, is_term, lifted
from proofs.symbols import Application, World

#: So many days around a day are learned at once, and looked at for the bounds of `add_months`.
AROUND = 200


@cache
def known_years() -> tuple[int, int]:
    """The first and last day that the working-day calendar knows, as ordinals."""
    found = []
    for year in range(1990, 2100):
        try:
            f.is_working_day(date(year, 1, 1))
            found.append(year)
        except EvaluationError:
            continue
    return date(found[0], 1, 1).toordinal(), date(found[-1], 12, 31).toordinal()


def _day(ordinal: int) -> date:
    return date.fromordinal(ordinal)


@dataclass(frozen=True, slots=True)
class Kind:
    """One function: its value for constants, whether it may fail, and whether a result moves with its first argument (a day)."""

    value: Callable[..., Any]
    fails: bool = False
    moves: bool = False
    reason: str | None = None
    truth: bool = False


KINDS = {
    "add_months": Kind(lambda d, n: f.add_months(_day(d), n).toordinal(), moves=True),
    "year": Kind(lambda d: _day(d).year),
    "month": Kind(lambda d: _day(d).month),
    "day": Kind(lambda d: _day(d).day),
    "add_working_days": Kind(lambda d, n: f.add_working_days(_day(d), n).toordinal(), fails=True, moves=True),
    "is_working_day": Kind(lambda d: f.is_working_day(_day(d)), fails=True, truth=True),
    "working_days_between": Kind(lambda a, b: f.working_days_between(_day(a), _day(b)), fails=True),
    "length": Kind(len, reason="length of texts"),
    "upper": Kind(str.upper, reason="upper and lower case"),
    "lower": Kind(str.lower, reason="upper and lower case"),
    "matches": Kind(f.matches, reason="text patterns", truth=True),
    "precedes": Kind(lambda a, b: a < b, reason="order of texts", truth=True),
}
_OF_DAYS = ("add_months", "year", "month", "day", "add_working_days", "is_working_day")
OF_TEXTS = ("length", "upper", "lower", "matches", "precedes")


def apply(world: World, kind: str, *arguments: Any) -> tuple[Any, Any]:
    """The result of a function, and whether it fails: constants where all arguments are, else variables."""
    if not any(is_term(a) for a in arguments):
        return evaluated(world, kind, arguments)
    key = (kind, *(a.get_id() if is_term(a) else ("constant", a) for a in arguments))
    if key not in world.applications:
        name = f"{kind}#{len(world.applications)}"
        made = KINDS[kind]
        result = z3.Bool(name) if made.truth else z3.Int(name)
        error = z3.Bool(f"{name}.fails") if made.fails else False
        application = Application(kind, arguments, result, error, made.reason)
        world.applications[key] = application
        world.by_variable[name] = application
        if made.fails:
            world.by_variable[f"{name}.fails"] = application
        world.axioms += [lifted(c) for c in _bounds(application) if c is not True]
    found = world.applications[key]
    return found.result, found.error


def evaluated(world: World, kind: str, arguments: tuple[Any, ...]) -> tuple[Any, Any]:
    """The value of a function for constants, texts by number, and whether it fails (then the value says nothing)."""
    made = KINDS[kind]
    given = [world.texts.text(a) if kind in OF_TEXTS and isinstance(a, int) else a for a in arguments]
    if None in given:
        raise LookupError("a text that nobody named")
    try:
        value = made.value(*given)
    except EvaluationError:
        return (False if made.truth else 0), True
    return (world.texts.number(value) if isinstance(value, str) else value), False


def _bounds(a: Application) -> list[Any]:
    """What holds of a result whatever the days are."""
    r, first = a.result, lifted(a.arguments[0])
    if a.kind == "add_months":
        n = a.arguments[1]
        if isinstance(n, int):
            low, high = _month_offsets(n)
            return [r >= first + low, r <= first + high]
        return [implies(n >= 0, and_(r >= first + 28 * n, r <= first + 31 * n)), implies(n <= 0, and_(r <= first + 28 * n, r >= first + 31 * n))]
    if a.kind in ("month", "day"):
        return [r >= 1, r <= (12 if a.kind == "month" else 31)]
    if a.kind == "year":
        return [first * 400 >= 146_097 * (r - 1) - 800, first * 400 <= 146_097 * r + 800]
    if a.kind == "add_working_days":
        return _working_bounds(a, first)
    if a.kind == "is_working_day":
        low, high = known_years()
        return [z3.And(first >= low, first <= high) == z3.Not(a.error)]
    if a.kind == "working_days_between":
        second = lifted(a.arguments[1])
        return [implies(first <= second, and_(r >= 0, r <= second - first)), implies(first > second, and_(r <= 0, r >= second - first))]
    return [r >= 1, r <= 10_000] if a.kind == "length" else [] if KINDS[a.kind].truth else [r >= 0]


def _working_bounds(a: Application, first: Any) -> list[Any]:
    n, (start, end) = a.arguments[1], known_years()
    if isinstance(n, int):
        low, high = _working_offsets(n)
        sure = and_(first + min(low, 0) - 1 > start, first + max(high, 0) < end)
        return [implies(z3.Not(a.error), and_(a.result >= first + low, a.result <= first + high)), implies(sure, z3.Not(a.error))]
    forward = and_(a.result >= first + n, a.result <= first + 2 * n + 12)
    back = and_(a.result <= first + n, a.result >= first + 2 * n - 12)
    return [implies(z3.Not(a.error), and_(implies(n >= 0, forward), implies(n < 0, back)))]


@cache
def _working_days() -> list[int]:
    """Every working day that the calendar knows, as ordinals."""
    start, end = known_years()
    return [d for d in range(start, end + 1) if f.is_working_day(_day(d))]


@cache
def _working_offsets(n: int) -> tuple[int, int]:
    """By how many days at least and at most a day moves with so many working days."""
    start, end = known_years()
    working = _working_days()
    moved = []
    for day in range(start, end + 1):
        at = bisect_right(working, day) + n - 1 if n > 0 else bisect_left(working, day) + n
        if n and 0 <= at < len(working):
            moved.append(working[at] - day)
    return (min(moved), max(moved)) if moved else (0, 0) if n == 0 else (2 * n - 12, 2 * n + 12)


@cache
def _month_offsets(n: int) -> tuple[int, int]:
    """By how many days at least and at most a day moves with so many months."""
    start = date(2000, 1, 1).toordinal()
    moved = [KINDS["add_months"].value(d, n) - d for d in range(start, start + 1461)]
    return min(moved) - 1, max(moved) + 1  # a day more for the missing leap day of 2100


def learned(a: Application, arguments: tuple[int, ...], world: World) -> list[Any]:
    """The truth about an application at constants of its arguments, and around if its first argument is a day."""
    others = and_(*(x == v for x, v in zip(a.arguments[1:], arguments[1:], strict=True) if is_term(x)))
    first = lifted(a.arguments[0])
    if a.kind not in _OF_DAYS:
        value, error = evaluated(world, a.kind, arguments)
        return [implies(and_(first == arguments[0], others), _is(a, value, error))]
    found = []
    runs = _runs(a.kind, arguments)
    if len(a.arguments) == 1 or not is_term(a.arguments[1]):
        world.learned_at.setdefault(a.result.decl().name(), []).append((runs[0][0], runs[-1][1]))
    for low, high, moved, fixed, error in runs:
        held = _is(a, first + moved if moved is not None else fixed, error)
        found.append(implies(and_(first >= low, first <= high, others), held))
    return found


def _is(a: Application, value: Any, error: bool) -> Any:
    if error:
        return lifted(a.error)
    return and_(lifted(a.result) == value, True if a.error is False else z3.Not(a.error))


def _runs(kind: str, arguments: tuple[int, ...]) -> list[tuple[int, int, int | None, Any, bool]]:
    """Days around one, cut into runs with the same result, or moved by the same number of days: (first, last, moved by, result, fails)."""
    centre, rest = arguments[0], arguments[1:]
    around = AROUND if not rest or abs(rest[0]) < 100 else 10
    found: list[tuple[int, int, int | None, Any, bool]] = []
    for day in range(max(1, centre - around), centre + around + 1):
        try:
            value, error = KINDS[kind].value(day, *rest), False
        except EvaluationError:
            value, error = 0, True
        moved = value - day if KINDS[kind].moves and not error else None
        shown = None if moved is not None else value
        if found and found[-1][2:] == (moved, shown, error):
            found[-1] = (found[-1][0], day, moved, shown, error)
        else:
            found.append((day, day, moved, shown, error))
    return found
