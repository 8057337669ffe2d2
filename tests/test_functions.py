"""The functions of the rule language: exact, and right at the ends."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import functions as f
from engine.check import check_text
from engine.clock import instant
from engine.decide import Program
from engine.errors import EvaluationError
from engine.patterns import bad_pattern
from engine.signatures import SIGNATURES
from engine.types import SHANGHAI

DECIMALS = st.decimals(min_value=-(10**12), max_value=10**12, allow_nan=False, allow_infinity=False, places=8)
DATES = st.dates(min_value=date(2004, 1, 1), max_value=date(2026, 12, 31))


def test_every_function_has_a_type_and_a_meaning() -> None:
    assert set(f.FUNCTIONS) == set(SIGNATURES)


# -- numbers -------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "places", "result"),
    [
        ("0.005", 2, "0.01"),
        ("0.0049999", 2, "0.00"),
        ("1.005", 2, "1.01"),
        ("2.675", 2, "2.68"),
        ("2.5", 0, "3"),
        ("3.5", 0, "4"),
        ("0.5", 0, "1"),
        ("-0.005", 2, "-0.01"),
        ("-2.5", 0, "-3"),
        ("-0.0049", 2, "0.00"),
        ("9.999", 2, "10.00"),
        ("7", 2, "7.00"),
        ("0", 2, "0.00"),
        ("999999999999999999999999999.995", 2, "1000000000000000000000000000.00"),
    ],
)
def test_round_half_up_goes_away_from_zero(x: str, places: int, result: str) -> None:
    found = f.round_half_up(Decimal(x), places)
    assert found == Decimal(result)
    assert found.as_tuple().exponent == -places


def half_up(x: Fraction, places: int) -> Fraction:
    """Half up, away from zero, worked out in whole numbers."""
    scaled = abs(x) * 10**places
    whole = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    return Fraction(whole if x >= 0 else -whole, 10**places)


@given(DECIMALS, st.integers(0, 12))
def test_round_half_up_agrees_with_whole_numbers(x: Decimal, places: int) -> None:
    assert Fraction(f.round_half_up(x, places)) == half_up(Fraction(x), places)


@given(DECIMALS, DECIMALS.filter(bool), st.integers(0, 12))
def test_divide_is_exact_and_rounds_once(a: Decimal, b: Decimal, places: int) -> None:
    found = f.divide(a, b, places)
    assert Fraction(found) == half_up(Fraction(a) / Fraction(b), places)
    assert found.as_tuple().exponent == -places


@pytest.mark.parametrize(
    ("a", "b", "places", "result"),
    [
        ("1", "3", 2, "0.33"),
        ("2", "3", 2, "0.67"),
        ("1", "8", 2, "0.13"),
        ("-1", "8", 2, "-0.13"),
        ("1", "-8", 2, "-0.13"),
        ("0", "7", 2, "0.00"),
        ("100", "0.03", 2, "3333.33"),
        ("9007199254740993", "2", 1, "4503599627370496.5"),
    ],
)
def test_divide(a: str, b: str, places: int, result: str) -> None:
    assert f.divide(Decimal(a), Decimal(b), places) == Decimal(result)


@pytest.mark.parametrize("zero", [0, Decimal(0), Decimal("0.00")])
def test_division_by_zero_is_an_error(zero: Decimal) -> None:
    with pytest.raises(EvaluationError) as caught:
        f.divide(Decimal(1), zero, 2)
    assert caught.value.kind == "division-by-zero"


@pytest.mark.parametrize(("x", "below", "above"), [("1.5", 1, 2), ("-1.5", -2, -1), ("2", 2, 2), ("-0.1", -1, 0), ("0.1", 0, 1)])
def test_floor_and_ceil(x: str, below: int, above: int) -> None:
    assert (f.floor(Decimal(x)), f.ceil(Decimal(x))) == (below, above)
    assert type(f.floor(Decimal(x))) is int


# -- dates ---------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "months", "result"),
    [
        ("2025-01-31", 1, "2025-02-28"),
        ("2024-01-31", 1, "2024-02-29"),
        ("2024-02-29", 12, "2025-02-28"),
        ("2024-02-29", -12, "2023-02-28"),
        ("2024-02-29", 48, "2028-02-29"),
        ("2025-03-31", -1, "2025-02-28"),
        ("2025-12-31", 2, "2026-02-28"),
        ("2025-05-31", 1, "2025-06-30"),
        ("2025-06-30", 1, "2025-07-30"),
        ("2025-06-15", 0, "2025-06-15"),
        ("1900-01-31", 1, "1900-02-28"),
        ("2000-01-31", 1, "2000-02-29"),
        ("2025-01-16", -1, "2024-12-16"),
        ("9999-11-30", 1, "9999-12-30"),
        ("0001-02-01", -1, "0001-01-01"),
    ],
)
def test_months_are_clamped_to_the_end_of_the_month(day: str, months: int, result: str) -> None:
    assert f.add_months(date.fromisoformat(day), months) == date.fromisoformat(result)


def test_months_of_an_instant_keep_its_clock_time() -> None:
    assert f.add_months(datetime(2025, 1, 31, 9, 30, tzinfo=SHANGHAI), 1) == datetime(2025, 2, 28, 9, 30, tzinfo=SHANGHAI)


@given(st.dates(min_value=date(1000, 1, 1), max_value=date(9000, 1, 1)), st.integers(-600, 600))
def test_months_move_month_by_month(day: date, months: int) -> None:
    moved = f.add_months(day, months)
    assert (moved.year - day.year) * 12 + moved.month - day.month == months
    assert moved.day == day.day or (moved.day < day.day and (moved + timedelta(days=1)).day == 1)


@pytest.mark.parametrize(
    ("move", "day", "n"),
    [
        (f.add_days, date.max, 1),
        (f.add_days, date.min, -1),
        (f.add_days, date(2025, 1, 1), 10**15),
        (f.add_months, date.max, 1),
        (f.add_months, date.min, -1),
        (f.add_months, date(2025, 1, 1), -(10**15)),
        (f.add_days, datetime.max.replace(tzinfo=SHANGHAI), 1),
        (f.add_working_days, date(2025, 1, 1), 10_001),
    ],
)
def test_moving_past_the_last_date_is_an_error(move: object, day: object, n: int) -> None:
    with pytest.raises(EvaluationError) as caught:
        move(day, n)  # type: ignore[operator]
    assert caught.value.kind == "date-out-of-range"


def test_the_ends_themselves_are_dates() -> None:
    assert f.add_days(date.max, 0) == date.max
    assert f.add_days(date.min, (date.max - date.min).days) == date.max
    assert f.days_between(date.min, date.max) == 3652058


@given(DATES, DATES)
def test_days_between_is_b_minus_a(a: date, b: date) -> None:
    assert f.add_days(a, f.days_between(a, b)) == b


@pytest.mark.parametrize(("seconds", "minutes"), [(0, 0), (59, 0), (60, 1), (61, 1), (-59, 0), (-60, -1), (-61, -1), (3600, 60), (86400, 1440), (60 - 1e-6, 0)])
def test_minutes_between_counts_full_minutes(seconds: float, minutes: int) -> None:
    start = datetime(2025, 3, 1, 23, 59, 30, tzinfo=SHANGHAI)
    assert f.minutes_between(start, start + timedelta(seconds=seconds)) == minutes


def test_minutes_between_instants_of_different_zones() -> None:
    assert f.minutes_between(datetime(2025, 3, 1, 8, tzinfo=SHANGHAI), datetime(2025, 3, 1, 1, tzinfo=UTC)) == 60


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (datetime(2025, 3, 1, 0, 0, tzinfo=SHANGHAI), date(2025, 3, 1)),
        (datetime(2025, 2, 28, 15, 59, 59, 999999, tzinfo=UTC), date(2025, 2, 28)),
        (datetime(2025, 2, 28, 16, 0, tzinfo=UTC), date(2025, 3, 1)),
    ],
)
def test_the_day_of_an_instant_is_the_day_in_shanghai(moment: datetime, day: date) -> None:
    assert f.to_date(moment) == day
    assert f.to_date(f.start_of_day(day)) == day


# -- working days (the State Council's arrangement for the years 2024 to 2026) ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "working"),
    [
        ("2025-01-01", False),  # new year's day, a Wednesday
        ("2025-01-26", True),  # a Sunday made up for spring festival
        ("2025-01-28", False),
        ("2025-02-04", False),
        ("2025-02-05", True),
        ("2025-02-08", True),  # a Saturday made up
        ("2025-04-04", False),
        ("2025-04-27", True),
        ("2025-05-01", False),
        ("2025-05-05", False),
        ("2025-06-02", False),
        ("2025-09-28", True),
        ("2025-10-01", False),
        ("2025-10-08", False),
        ("2025-10-09", True),
        ("2025-10-11", True),
        ("2025-10-12", False),
        ("2025-10-18", False),
        ("2024-02-04", True),
        ("2024-10-12", True),
    ],
)
def test_working_days_follow_the_official_calendar(day: str, working: bool) -> None:
    assert f.is_working_day(date.fromisoformat(day)) is working


@pytest.mark.parametrize(
    ("day", "n", "result"),
    [
        ("2025-09-26", 1, "2025-09-28"),  # Friday, then the made-up Sunday
        ("2025-09-26", 3, "2025-09-30"),
        ("2025-09-26", 4, "2025-10-09"),
        ("2025-09-30", 1, "2025-10-09"),
        ("2025-10-09", -1, "2025-09-30"),
        ("2025-10-10", 1, "2025-10-11"),
        ("2025-10-11", 1, "2025-10-13"),
        ("2025-10-04", 0, "2025-10-04"),
        ("2025-10-04", 1, "2025-10-09"),
        ("2025-10-04", -1, "2025-09-30"),
        ("2025-12-31", 1, "2026-01-04"),  # 1 to 3 January 2026 are off, Sunday the 4th is made up
    ],
)
def test_add_working_days(day: str, n: int, result: str) -> None:
    assert f.add_working_days(date.fromisoformat(day), n) == date.fromisoformat(result)


def test_working_days_of_an_instant_keep_its_clock_time_in_shanghai() -> None:
    assert f.add_working_days(datetime(2025, 9, 30, 17, 45, tzinfo=SHANGHAI), 1) == datetime(2025, 10, 9, 17, 45, tzinfo=SHANGHAI)
    # 20:00 UTC on the 29th is 04:00 on the 30th in Shanghai
    assert f.add_working_days(datetime(2025, 9, 29, 20, 0, tzinfo=UTC), 1) == datetime(2025, 10, 9, 4, 0, tzinfo=SHANGHAI)


@pytest.mark.parametrize(
    ("start", "end", "days"),
    [
        ("2025-09-26", "2025-10-11", 6),
        ("2025-10-11", "2025-09-26", -6),
        ("2025-10-01", "2025-10-08", 0),
        ("2025-09-28", "2025-09-28", 0),
        ("2025-09-27", "2025-09-28", 1),
        ("2025-09-28", "2025-09-29", 1),
    ],
)
def test_working_days_between_counts_the_days_after_the_first_up_to_the_last(start: str, end: str, days: int) -> None:
    assert f.working_days_between(date.fromisoformat(start), date.fromisoformat(end)) == days


@given(st.dates(min_value=date(2010, 1, 1), max_value=date(2020, 12, 31)), st.integers(1, 60))
def test_the_nth_working_day_is_n_working_days_away(day: date, n: int) -> None:
    later = f.add_working_days(day, n)
    assert f.is_working_day(later)
    assert f.working_days_between(day, later) == n


@pytest.mark.parametrize("year", [1999, 2003, 9999])
def test_a_year_that_the_calendar_does_not_know_is_an_error(year: int) -> None:
    with pytest.raises(EvaluationError, match=str(year)) as caught:
        f.is_working_day(date(year, 6, 1))
    assert caught.value.kind == "calendar-year-unknown"


def test_counting_into_an_unknown_year_is_an_error() -> None:
    with pytest.raises(EvaluationError) as caught:
        f.add_working_days(date(2004, 1, 2), -20)
    assert caught.value.kind == "calendar-year-unknown"
    with pytest.raises(EvaluationError):
        f.working_days_between(date(2003, 12, 1), date(2004, 2, 1))


def test_the_last_date_has_no_next_working_day() -> None:
    with pytest.raises(EvaluationError):
        f.add_working_days(date.max, 1)


# -- texts and lists -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "pattern", "found"),
    [("abc", "[a-c]+", True), ("abcd", "[a-c]+", False), ("xabc", "[a-c]+", False), ("abc\n", "abc", False), ("", "a*", True), ("经销商", "...", True)],
)
def test_matches_asks_for_the_whole_text(text: str, pattern: str, found: bool) -> None:
    assert f.matches(text, pattern) is found


@pytest.mark.parametrize(
    "pattern", ["(a+)+b", "(a*)*", "(a|a)*b", "((a)+)+", "(a{1,9}){1,9}", "(?:a+)+", r"(a)\1", "(?=a)", "(?<!a)b", "([a-z]+)*x", "((ab)*c|d)*", "(a?){40}a{40}"]
)
def test_dangerous_patterns_are_refused(pattern: str) -> None:
    assert bad_pattern(pattern)


@pytest.mark.parametrize(
    "pattern", ["[A-Za-z0-9_.]+@[A-Za-z0-9_.]+", r"\d{4}-\d{2}", "abc|def", "(ab)?c", "[(+)]+", r"\(\d+\)", "1[3-9][0-9]{9}", "(ab|cd)x+", "[*+]{2}"]
)
def test_plain_patterns_are_allowed(pattern: str) -> None:
    assert bad_pattern(pattern) is None


def test_lists() -> None:
    assert f.index_of(("a", "b", "a"), "a") == 0
    assert f.index_of(("a", "b"), "c") is None
    assert f.only(("a",)) == "a"
    assert f.only(()) is None
    assert f.only(("a", "a")) is None
    assert f.distinct(("b", "a", "b")) == ("b", "a")
    assert f.subset((), ("a",))
    assert f.subset(("a", "a"), ("a",))
    assert not f.subset(("a", "b"), ("a",))
    assert f.intersects(("a", "b"), ("b",))
    assert not f.intersects((), ("b",))


# -- in a policy: the value of an output ---------------------------------------------------------------------------------------------------


def value_of(expression: str, type_: str, facts: dict[str, object], parameters: str = "") -> object:
    text = f"""\
policy: sample
version: 1
family: samples
form: compute
title: {{en: Sample, zh: 样例}}
question: {{en: How much?, zh: 多少？}}
effective: {{from: 2025-01-16}}
source: {{document: guide}}
parameters: {{{parameters}}}
facts:
  amount: {{type: money, signed: true}}
  count: {{type: integer}}
  day: {{type: date}}
  moment: {{type: datetime}}
outputs:
  found:
    {type_}
    value: {expression}
"""
    answer = Program(check_text(text)).check(facts, instant("2025-06-01"))
    return answer["outputs"]["found"]


@pytest.mark.parametrize(
    ("expression", "facts", "value"),
    [
        ("divide(amount, 3, 2)", {"amount": "-10.00"}, "-3.33"),
        ("divide(amount, 8, 2)", {"amount": "-1.00"}, "-0.13"),
        ("round_half_up(amount * 0.125, 2)", {"amount": "0.36"}, "0.05"),
        ("-amount", {"amount": "0.00"}, "0.00"),
        ("amount * -1", {"amount": "0.00"}, "0.00"),
        ("round_half_up(amount * 0.1, 2)", {"amount": "-0.01"}, "0.00"),
        ("divide(amount, 100, 2)", {"amount": "-0.01"}, "0.00"),
        ("max(amount, 0)", {"amount": "-5"}, "0.00"),
        ("amount", {"amount": "-0"}, "0.00"),
    ],
)
def test_an_amount_is_told_exactly_and_never_as_minus_zero(expression: str, facts: dict[str, object], value: str) -> None:
    assert value_of(expression, "type: money\n    signed: true", facts) == value


@pytest.mark.parametrize(
    ("expression", "facts", "value"),
    [
        ("add_days(day, divide(count, 2, 0))", {"day": "2025-01-01", "count": 3}, "2025-01-03"),
        ("add_days(day, round_half_up(amount, 0))", {"day": "2025-01-01", "amount": "1.50"}, "2025-01-03"),
        ("add_months(day, divide(count, 2, 0))", {"day": "2025-01-31", "count": 2}, "2025-02-28"),
        ("add_working_days(day, divide(count, 1, 0))", {"day": "2025-09-30", "count": 1}, "2025-10-09"),
    ],
)
def test_a_whole_number_that_was_rounded_is_a_number_of_days(expression: str, facts: dict[str, object], value: str) -> None:
    assert value_of(expression, "type: date", facts) == value


def test_the_parts_of_an_instant_are_those_in_shanghai() -> None:
    moment = {"moment": "2024-12-31T20:00:00+00:00"}
    assert value_of("year(moment)", "type: integer", moment) == 2025
    assert value_of("day(moment)", "type: integer", moment) == 1
    start = "start: {type: datetime, value: '2024-12-31T20:00:00+00:00'}"
    assert value_of("year(parameters.start)", "type: integer", {}, start) == 2025
    assert value_of("is_working_day(parameters.start)", "type: bool", {}, start) is False


def test_a_date_out_of_range_is_an_error_that_says_so() -> None:
    with pytest.raises(EvaluationError, match="9999-12-31"):
        value_of("add_days(day, count)", "type: date", {"day": "9999-12-31", "count": 1})
    with pytest.raises(EvaluationError, match="2002"):
        value_of("add_working_days(day, count)", "type: date", {"day": "2002-12-30", "count": 1})
