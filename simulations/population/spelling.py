"""Values of a source that are texts, in DuckDB SQL: which texts engine/facts.py reads as a number, a day or an instant, and as what.

Each function takes SQL expressions and gives one. A cast alone would not do: DuckDB rounds, and takes dates that are written otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.facts import MAX_DIGITS
from engine.types import NumberType
from simulations.population.columns import MAX_PLACES, WIDE, places_of

_NUMBER = r"-?[0-9]+(\.[0-9]+)?"
_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
#: What str.strip takes away, as a class of the regular expressions of DuckDB.
_SPACE = r"\t\n\v\f\r\x1c-\x1f \x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}"
_ZONE = r"Z|([+-])([0-9]{2})(?::?([0-9]{2})(?::?([0-9]{2})(?:\.([0-9]+))?)?)?"
_CLOCK = r"([0-9]{2})(?::?([0-9]{2})(?::?([0-9]{2})(?:[.,]([0-9]+))?)?)?"
_INSTANT = rf"({_DAY})(?s:.){_CLOCK}({_ZONE})?"
#: A clock or an offset has a colon between all of its parts or between none.
_MIXED = ":[0-9]{3}|[0-9]{4}:"
_PARTS = ["day", "hour", "minute", "second", "fraction", "zone", "sign", "zone_hour", "zone_minute", "zone_second", "zone_fraction"]

#: The span of a Python datetime, which both the instant in UTC and its wall clock in Shanghai must keep to.
FIRST, LAST = "TIMESTAMP '0001-01-01 00:00:00'", "TIMESTAMP '9999-12-31 23:59:59.999999'"

#: Says in both languages why a value does not fit; gives the SQL literal of it.
Why = Callable[[str, str], str]


def literal(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def literals(texts: Sequence[str]) -> str:
    return ", ".join(literal(t) for t in texts)


def blank(s: str) -> str:
    """Whether a text has nothing but space."""
    return f"NOT regexp_matches({s}, '[^{_SPACE}]')"


def number_lines(s: str, t: NumberType, why: Why) -> list[str]:
    """The lines `WHEN … THEN …` of a CASE that say why a text is no number of this type. Their order is that of engine/facts.py."""
    point = f"strpos({s}, '.')"
    places = f"CASE WHEN {point} > 0 THEN strlen({s}) - {point} ELSE 0 END"
    too_many = f"{needed_places(s)} > {MAX_PLACES}" if t.places is None else f"{places} > {t.places}"
    digits = f"strlen(replace(replace({s}, '-', ''), '.', ''))"
    lines = [
        f"WHEN NOT regexp_full_match({s}, '{_NUMBER}') THEN {no_number(t, why)}",
        f"WHEN {digits} > {MAX_DIGITS} THEN {too_long(why)}",
        f"WHEN {too_many} THEN {too_many_places(t, why)}",
    ]
    if not t.signed:
        lines.append(f"WHEN starts_with({s}, '-') AND regexp_matches({s}, '[1-9]') THEN {below_zero(why)}")
    return lines


def number(s: str, t: NumberType) -> str:
    """The DECIMAL of a text, NULL for one that is none. Exact for texts that `number_lines` lets pass."""
    return f"try_cast({s} AS DECIMAL({WIDE},{places_of(t)}))"


def needed_places(s: str) -> str:
    """How many places the number of a text needs: zeros at its end do not count."""
    return f"CASE WHEN strpos({s}, '.') > 0 THEN strlen(rtrim({s}, '0')) - strpos({s}, '.') ELSE 0 END"


def no_number(t: NumberType, why: Why) -> str:
    english = {"integer": "whole number", "money": "amount of money"}.get(t.name, "number")
    chinese = {"integer": "整数", "money": "金额"}.get(t.name, "数字")
    return why(f"no {english} without exponent, sign +, spaces or separators", f"不是{chinese}，或带有指数、加号、空格或分隔符")


def too_long(why: Why) -> str:
    return why(f"a number of more than {MAX_DIGITS} digits", f"数字超过 {MAX_DIGITS} 位")


def too_many_places(t: NumberType, why: Why) -> str:
    if t.places == 0:
        return why("no whole number", "不是整数")
    places = places_of(t)
    return why(f"more than {places} decimals; nothing is rounded in silence", f"小数超过 {places} 位；不会自动舍入")


def below_zero(why: Why) -> str:
    return why("below 0", "小于 0")


def is_day(s: str) -> str:
    """Whether a text is a day as 2025-01-16."""
    return f"(regexp_full_match({s}, '{_DAY}') AND {s} >= '0001' AND try_cast({s} AS DATE) IS NOT NULL)"


def parts(s: str) -> str:
    """The parts of an instant as a STRUCT of texts, empty where it is none or a part is not there."""
    mixed = f"regexp_matches({s}, '{_MIXED}')"
    return f"regexp_extract(CASE WHEN {mixed} THEN '' ELSE {s} END, '^(?:{_INSTANT})$', [{literals(_PARTS)}])"


def clock(p: str) -> str:
    """The wall clock that an instant names in its own zone, from its parts; NULL where there is none."""
    hour, minute, second = (f"coalesce(nullif({p}.{name}, ''), '00')" for name in ("hour", "minute", "second"))
    text = f"{p}.day || ' ' || {hour} || ':' || {minute} || ':' || {second} || '.' || rpad(left({p}.fraction, 6), 6, '0')"
    legal = f"{p}.day >= '0001' AND {hour} < '24' AND {minute} < '60' AND {second} < '60'"
    return f"CASE WHEN {legal} THEN try_cast({text} AS TIMESTAMP) END"


def utc(p: str) -> str:
    """The instant in UTC, from its parts; NULL where there is no clock, no zone, or an offset of a day or more."""
    hour, minute, second = (f"coalesce(try_cast(nullif({p}.{name}, '') AS BIGINT), 0)" for name in ("zone_hour", "zone_minute", "zone_second"))
    micros = f"(({hour} * 60 + {minute}) * 60 + {second}) * 1000000 + try_cast(rpad(left({p}.zone_fraction, 6), 6, '0') AS BIGINT)"
    shift = f"to_microseconds(CASE WHEN {p}.sign = '-' THEN -({micros}) ELSE {micros} END)"
    return f"CASE WHEN {p}.zone <> '' AND {micros} < 86400000000 THEN ({clock(p)}) - {shift} END"


def shanghai(p: str) -> str:
    """The wall clock of Shanghai at an instant, from its parts; NULL for one that `instant_lines` refuses."""
    return f"({utc(p)}) + INTERVAL 8 HOUR"


def instant_lines(p: str, why: Why) -> list[str]:
    """The lines of a CASE that say why a text is no date and time with zone, from its parts."""
    in_utc = utc(p)
    no_zone = why("a date and time without zone; written as 2025-01-16T09:00:00+08:00", "日期时间没有时区；应写作 2025-01-16T09:00:00+08:00")
    return [
        f"WHEN ({clock(p)}) IS NULL THEN {no_instant(why)}",
        f"WHEN {p}.zone = '' THEN {no_zone}",
        f"WHEN ({in_utc}) IS NULL THEN {no_instant(why)}",
        f"WHEN ({in_utc}) NOT BETWEEN {FIRST} AND {LAST} - INTERVAL 8 HOUR THEN {out_of_range(why)}",
    ]


def no_instant(why: Why) -> str:
    return why("no date and time; written as 2025-01-16T09:00:00+08:00", "不是日期时间；应写作 2025-01-16T09:00:00+08:00")


def no_day(why: Why) -> str:
    return why("no date; written as 2025-01-16", "不是日期；应写作 2025-01-16")


def out_of_range(why: Why) -> str:
    return why("out of range", "超出范围")
