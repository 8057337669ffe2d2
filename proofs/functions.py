"""The functions of the rule language on terms: arithmetic and sets written out, days and texts through proofs/oracle.py."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import z3

from engine.functions import FUNCTIONS
from proofs.constants import DAY_MICROSECONDS
from proofs.folding import Moment, add, and_, choice_size, choose, equal, is_term, less, lifted, negative, not_, number, or_, times, whole
from proofs.oracle import apply
from proofs.symbols import World
from proofs.terms import SURE, Items, Term, Waits, chosen, contains, count, same, subset

ZERO, HALF, ONE = Fraction(0), Fraction(1, 2), Fraction(1)
MINUTE = 60_000_000


def call(world: World, function: str, arguments: list[Term]) -> Term:
    """A function of known, non-null arguments; it may fail, then the term waits for an error."""
    return _CALLS[function](world, *arguments)


def absolute(x: Any) -> Any:
    return choose(less(x, ZERO), negative(x), x)


def rounded(x: Any, places: Any) -> Any:
    """Half up, away from zero for negatives."""
    factor = _power(places)
    up = number(whole(add(times(absolute(x), factor), HALF)))
    return times(choose(less(x, ZERO), negative(up), up), ONE / factor)


def _power(places: Any) -> Fraction:
    if is_term(places):
        raise NotImplementedError("a number of places that is no constant")
    return Fraction(10) ** int(places)


def extreme(largest: bool, items: list[Term]) -> Term:
    """The largest or smallest of numbers, dates or moments."""
    best = items[0]
    for item in items[1:]:
        better = less(best.value, item.value) if largest else less(item.value, best.value)
        best = chosen(better, item, best)
    return best


def _divide(_: World, a: Term, b: Term, places: Term) -> Term:
    zero = equal(b.value, ZERO)
    if zero is True:
        return Term(ZERO, False, Waits(error=True))
    quotient = times(a.value, ONE / b.value) if isinstance(b.value, Fraction) else lifted(a.value) / lifted(b.value)
    return Term(rounded(quotient, places.value), False, SURE if zero is False else Waits(error=zero))


def _days(kind: str) -> Callable[..., Term]:
    """A function of a day (or the day of a moment, whose clock stays) and perhaps a number of days or months."""

    def made(world: World, day: Term, n: Term) -> Term:
        at = day.value.day if isinstance(day.value, Moment) else day.value
        moved = whole(n.value)
        result, error = (add(at, moved), False) if kind == "add_days" else _applied(world, kind, at, n.value)
        value = Moment(result, day.value.clock) if isinstance(day.value, Moment) else result
        return Term(value, False, _failing(error))

    return made


def _applied(world: World, kind: str, day: Any, n: Any) -> tuple[Any, Any]:
    """A choice of constants is decided first, so that each is a function of its own."""
    if choice_size(n) in (None, 1):
        return apply(world, kind, day, whole(n))
    if z3.is_app_of(n, z3.Z3_OP_ITE):
        left, right = _applied(world, kind, day, n.arg(1)), _applied(world, kind, day, n.arg(2))
        return choose(n.arg(0), left[0], right[0]), choose(n.arg(0), left[1], right[1])
    return apply(world, kind, day, whole(n))


def _failing(error: Any) -> Waits:
    return SURE if error is False else Waits(error=error)


def _part(kind: str) -> Callable[..., Term]:
    return lambda world, day: Term(number(apply(world, kind, day.value.day if isinstance(day.value, Moment) else day.value)[0]))


def _is_working_day(world: World, day: Term) -> Term:
    value, error = apply(world, "is_working_day", day.value.day if isinstance(day.value, Moment) else day.value)
    return Term(value, False, _failing(error))


def _working_days_between(world: World, a: Term, b: Term) -> Term:
    value, error = apply(world, "working_days_between", a.value, b.value)
    return Term(number(value), False, _failing(error))


def _minutes_between(_: World, a: Term, b: Term) -> Term:
    passed = add(times(number(add(b.value.day, negative(a.value.day))), Fraction(DAY_MICROSECONDS)), number(add(b.value.clock, negative(a.value.clock))))
    minutes = number(whole(times(absolute(passed), Fraction(1, MINUTE))))
    return Term(choose(less(passed, ZERO), negative(minutes), minutes))


def _matches(world: World, text: Term, pattern: Term) -> Term:
    named = world.texts.text(pattern.value) if isinstance(pattern.value, int) else None
    if named is None:
        raise NotImplementedError("a pattern that is no constant")
    return Term(apply(world, "matches", text.value, named)[0])


def position(items: Items, item: Term) -> Term:
    """The place of the first equal item, from 0; null if there is none."""
    found: Term = Term(ZERO, True)
    before: list[tuple[Any, Any]] = []
    place: Any = ZERO
    for g, x in items.entries:
        before.append((and_(g, same(x, item)), place))
        place = add(place, choose(g, ONE, ZERO))
    for hit, at in reversed(before):
        found = chosen(hit, Term(at), found)
    return found


def only(items: Items) -> Term:
    found: Term = Term(None, True)
    for g, x in reversed(items.entries):
        found = chosen(g, x, found)
    return Term(found.value, or_(found.null, not_(equal(count(items), ONE))), found.waits)


def distinct(items: Items) -> Items:
    kept: list[tuple[Any, Term]] = []
    for g, x in items.entries:
        kept.append((and_(g, not_(contains(Items(tuple(kept)), x))), x))
    return Items(tuple(kept))


_CALLS: dict[str, Callable[..., Term]] = {
    "round_half_up": lambda _, x, places: Term(rounded(x.value, places.value)),
    "floor": lambda _, x: Term(number(whole(x.value))),
    "ceil": lambda _, x: Term(negative(number(whole(negative(x.value))))),
    "divide": _divide,
    "abs": lambda _, x: Term(absolute(x.value)),
    "min": lambda _, *items: extreme(False, list(items)),
    "max": lambda _, *items: extreme(True, list(items)),
    "date": lambda _, moment: Term(moment.value.day),
    "start_of_day": lambda _, day: Term(Moment(day.value, 0)),
    "add_days": _days("add_days"),
    "add_months": _days("add_months"),
    "add_working_days": _days("add_working_days"),
    "working_days_between": _working_days_between,
    "is_working_day": _is_working_day,
    "days_between": lambda _, a, b: Term(number(add(b.value, negative(a.value)))),
    "minutes_between": _minutes_between,
    "year": _part("year"),
    "month": _part("month"),
    "day": _part("day"),
    "length": lambda world, text: Term(number(apply(world, "length", text.value)[0])),
    "upper": lambda world, text: Term(apply(world, "upper", text.value)[0]),
    "lower": lambda world, text: Term(apply(world, "lower", text.value)[0]),
    "matches": _matches,
    "empty": lambda _, items: Term(equal(count(items.value), ZERO)),
    "count": lambda _, items: Term(count(items.value)),
    "index_of": lambda _, items, item: position(items.value, item),
    "only": lambda _, items: only(items.value),
    "distinct": lambda _, items: Term(distinct(items.value)),
    "subset": lambda _, a, b: Term(subset(a.value, b.value)),
    "intersects": lambda _, a, b: Term(or_(*(and_(g, contains(b.value, x)) for g, x in a.value.entries))),
}
assert set(_CALLS) == set(FUNCTIONS)
