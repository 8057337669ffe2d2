"""Functions on terms against the engine's functions; what is said of days before anything is learned must be true, and so must what is learned."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any

import pytest
import z3

from engine import functions as f
from engine.errors import EvaluationError
from engine.types import SHANGHAI
from proofs.constants import constant
from proofs.folding import choose, lifted, times
from proofs.functions import call, rounded
from proofs.oracle import KINDS, apply, evaluated, learned
from proofs.samples import sample
from proofs.symbols import World
from proofs.terms import Items, Term
from proofs.witness import Point

DAYS = [date(2010, 1, 1) + timedelta(days=37 * i) for i in range(150)]
ENDS = [date(2024, 1, 31), date(2024, 2, 29), date(2023, 2, 28), date(2025, 12, 31), date(2020, 1, 23), date(2026, 12, 30), date(2004, 1, 2)]


@pytest.mark.parametrize("places", [0, 1, 2])
def test_rounding(places: int) -> None:
    x = z3.Real("x")
    for n in range(-260, 260, 7):
        value = Fraction(n, 100)
        expected = Fraction(f.round_half_up(Decimal(n) / 100, places))
        assert rounded(value, Fraction(places)) == expected
        assert Point(World(), [(x, lifted(value))]).value(rounded(x, Fraction(places))) == expected


def test_division_rounds_once_and_knows_zero() -> None:
    world, x, y = World(), z3.Real("x"), z3.Real("y")
    for a in range(-20, 20, 3):
        for b in (-7, -2, 1, 3, 8):
            point = Point(world, [(x, lifted(Fraction(a))), (y, lifted(Fraction(b)))])
            found = call(world, "divide", [Term(x), Term(y), Term(Fraction(2))])
            assert point.value(found.value) == Fraction(f.divide(a, b, 2))
            assert not point.holds(found.waits.any)
    zero = Point(world, [(x, lifted(Fraction(1))), (y, lifted(Fraction(0)))])
    assert zero.holds(call(world, "divide", [Term(x), Term(y), Term(Fraction(2))]).waits.error)


def test_a_choice_of_constants_stays_linear() -> None:
    x, chosen = z3.Real("x"), z3.Bool("b")
    product = times(choose(chosen, Fraction(1, 5), Fraction(1, 2)), x)
    solver = z3.Solver()
    solver.add(x > 0, product > x)
    assert solver.check() == z3.unsat
    assert "(* x " not in product.sexpr()


def test_minutes_and_days_between() -> None:
    world = World()
    random = Random(1)
    start = datetime(2024, 2, 28, 23, 59, 59, tzinfo=SHANGHAI)
    for _ in range(50):
        end = start + timedelta(seconds=random.randrange(-300_000, 300_000))
        terms = [constant(m, world.texts) for m in (start, end)]
        assert call(world, "minutes_between", terms).value == f.minutes_between(start, end)
        days = [constant(m.date(), world.texts) for m in (start, end)]
        assert call(world, "days_between", days).value == f.days_between(start.date(), end.date())


ARGUMENTS: dict[str, list[tuple[Any, ...]]] = {
    "add_months": [(1,), (3,), (-1,), (-13,), (0,)],
    "add_working_days": [(0,), (1,), (5,), (-3,), (20,)],
    "year": [()],
    "month": [()],
    "day": [()],
    "is_working_day": [()],
}


@pytest.mark.parametrize("kind", sorted(ARGUMENTS))
def test_what_is_said_of_days_is_true(kind: str) -> None:
    """The bounds that stand from the start, and the runs learned around a day, hold at every day tried."""
    for rest in ARGUMENTS[kind]:
        world, day = World(), z3.Int("day")
        apply(world, kind, day, *rest)
        (application,) = world.applications.values()
        facts = [*world.axioms, *learned(application, (date(2024, 9, 20).toordinal(), *rest), world)]
        for at in [*DAYS, *ENDS, *(date(2024, 9, 20) + timedelta(days=i) for i in range(-210, 211, 3))]:
            model = z3.Model()
            model.update_value(day, z3.IntVal(at.toordinal()))
            result, error = evaluated(world, kind, (at.toordinal(), *rest))
            if error:  # then the result says nothing: any value will do
                result = at.toordinal() + (rest[0] if rest else 0)
            model.update_value(application.result, lifted(bool(result) if KINDS[kind].truth else result))
            if application.error is not False:
                model.update_value(application.error, z3.BoolVal(error))
            wrong = [x for x in facts if not z3.is_true(model.eval(lifted(x), model_completion=True))]
            assert not wrong, (at, rest, wrong[:1])


def test_working_days_between_is_bounded() -> None:
    world, a, b = World(), z3.Int("a"), z3.Int("b")
    result, _ = apply(world, "working_days_between", a, b)
    for start, end in [(DAYS[i], DAYS[j]) for i in range(0, 150, 20) for j in range(0, 150, 30)]:
        value = f.working_days_between(start, end)
        model = z3.Model()
        for variable, number in ((a, start.toordinal()), (b, end.toordinal()), (result, value)):
            model.update_value(variable, z3.IntVal(number))
        assert all(z3.is_true(model.eval(x, model_completion=True)) for x in world.axioms)


def test_a_year_that_the_calendar_does_not_know_fails() -> None:
    world = World()
    assert apply(world, "is_working_day", date(2100, 1, 1).toordinal())[1] is True
    with pytest.raises(EvaluationError):
        f.is_working_day(date(2100, 1, 1))


def test_lists() -> None:
    world = World()
    p, q = z3.Bool("p"), z3.Bool("q")
    items = Items(((p, constant("a", world.texts)), (q, constant("b", world.texts)), (p, constant("a", world.texts))))
    for left in (False, True):
        for right in (False, True):
            known = tuple(v for v, there in (("a", left), ("b", right), ("a", left)) if there)
            point = Point(world, [(p, z3.BoolVal(left)), (q, z3.BoolVal(right))])
            b = constant("b", world.texts)
            assert point.value(call(world, "count", [Term(items)]).value) == len(known)
            assert point.holds(call(world, "empty", [Term(items)]).value) == (not known)
            only = call(world, "only", [Term(items)])
            assert (None if point.holds(only.null) else world.texts.text(point.value(only.value))) == f.only(known)
            place = call(world, "index_of", [Term(items), b])
            assert (None if point.holds(place.null) else point.value(place.value)) == f.index_of(known, "b")
            once = call(world, "distinct", [Term(items)]).value
            assert [world.texts.text(x.value) for g, x in once.entries if point.holds(g)] == list(f.distinct(known))
            for other in (("a",), ("a", "b"), ()):
                term = constant(other, world.texts)
                assert point.holds(call(world, "subset", [Term(items), term]).value) == f.subset(known, other)
                assert point.holds(call(world, "intersects", [Term(items), term]).value) == f.intersects(known, other)


@pytest.mark.parametrize("pattern", ["[a-z]{3}-[0-9]+", "[^0-9]+", "(ab|cd)x?", "[A-Za-z0-9_.]+@[A-Za-z0-9_.]+"])
def test_texts_for_patterns(pattern: str) -> None:
    assert f.matches(sample(1, None, {pattern: True}), pattern)
    assert not f.matches(sample(1, None, {pattern: False, ".*": True}), pattern)
    assert sample(1, 7, {}) != sample(2, 7, {})
    assert len(sample(5, 7, {})) == len(sample(40_000, 2, {})) + 5
