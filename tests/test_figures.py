"""Numbers as people read them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from simulations.report.figures import Both, amount, count, money, percent, rounded, share, steps, ticks


def D(text: str) -> Decimal:
    return Decimal(text)


@pytest.mark.parametrize(
    ("value", "plain", "signed"),
    [(0, "0", "0"), (7, "7", "+7"), (-1234567, "−1,234,567", "−1,234,567"), (Decimal(1000), "1,000", "+1,000")],
)
def test_counts_have_separators(value: int, plain: str, signed: str) -> None:
    assert (count(value), count(value, True)) == (plain, signed)


@pytest.mark.parametrize(
    ("value", "text"),
    [("0", "0.00"), ("1234.5", "1,234.50"), ("-0.01", "−0.01"), ("12345678901234567890.12", "12,345,678,901,234,567,890.12"), ("0.12345678", "0.12345678")],
)
def test_amounts_are_exact(value: str, text: str) -> None:
    assert amount(D(value)) == text


def test_money_has_its_unit_in_both_languages() -> None:
    assert money(D("1234.5"), "CNY") == Both("¥1,234.50", "1,234.50 元")
    assert money(D("-1234.5"), "CNY") == Both("−¥1,234.50", "−1,234.50 元")
    assert money(D("3"), "CNY", True) == Both("+¥3.00", "+3.00 元")
    assert money(D("3"), "USD") == Both("3.00 USD", "3.00 USD")


@pytest.mark.parametrize(
    ("value", "en", "zh"),
    [
        ("9999.99", "¥9,999.99", "9,999.99 元"),
        ("-738199.01", "−¥738,199.01", "−73.82 万元"),
        ("1234567.89", "¥1.23 million", "123.46 万元"),
        ("2500000000", "¥2.5 billion", "25 亿元"),
    ],
)
def test_large_amounts_are_read_out_in_the_words_of_the_language(value: str, en: str, zh: str) -> None:
    assert rounded(D(value), "CNY") == Both(en, zh)


def test_a_small_share_is_never_shown_as_nothing_and_a_large_one_never_as_all() -> None:
    assert [share(n, 100_000) for n in (0, 1, 49, 50, 12_345, 99_999, 100_000)] == ["0.0%", "<0.1%", "<0.1%", "0.1%", "12.3%", ">99.9%", "100.0%"]
    assert share(0, 0) == "–"
    assert [percent(D(x), True) for x in ("0.114", "-0.114", "7")] == ["+11.4%", "−11.4%", "+700.0%"]


def test_an_axis_has_one_unit() -> None:
    assert steps([D("0"), D("500000"), D("1000000")]) == [Both("0", "0"), Both("0.5M", "50万"), Both("1M", "100万")]
    assert steps([D("-20000"), D("5000")]) == [Both("−20k", "−2万"), Both("5k", "0.5万")]
    assert steps([D("250")]) == [Both("250", "250")]
    assert steps([D("200000000")]) == [Both("200M", "2亿")]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        ("0", "87", ["0", "20", "40", "60", "80"]),
        ("-37", "12", ["-30", "-20", "-10", "0", "10"]),
        ("3.2", "4.1", ["3.2", "3.4", "3.6", "3.8", "4.0"]),
        ("0", "1", ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        ("5", "5", ["5"]),
    ],
)
def test_ticks_are_round_numbers_inside_the_axis(low: str, high: str, expected: list[str]) -> None:
    assert ticks(D(low), D(high)) == [D(x) for x in expected]


@pytest.mark.parametrize("top", ["1", "9", "10", "99999", "123456789012", "0.07"])
def test_there_are_enough_ticks_and_not_too_many(top: str) -> None:
    found = ticks(D(0), D(top))
    assert found[0] == 0
    assert 3 <= len(found) <= 6
    assert all(0 <= t <= D(top) for t in found)
