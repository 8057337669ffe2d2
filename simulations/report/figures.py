"""Numbers as people read them, in English and Chinese. Decimals in, text out; nothing is a float, only the labels of axes are shortened."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import NamedTuple

from engine.types import ROUNDING

MINUS = "−"


class Both(NamedTuple):
    """A text in both languages."""

    en: str
    zh: str


def same(text: str) -> Both:
    return Both(text, text)


def count(number: int | Decimal, sign: bool = False) -> str:
    """A number with thousands separators: `1,234`; with `sign`, `+1,234` and `−1,234`."""
    return _signed(Decimal(number), f"{abs(number):,}", sign)


def amount(value: Decimal, sign: bool = False) -> str:
    """An amount without its unit, exact, at least 2 places: `1,234.50`."""
    return _signed(value, _digits(abs(value)), sign)


def money(value: Decimal, unit: str, sign: bool = False) -> Both:
    """An amount with its unit: `¥1,234.50`, `1,234.50 元`; of another unit than CNY its code stands behind."""
    text = amount(value, sign)
    if unit != "CNY":
        return same(f"{text} {unit}")
    mark = text[0] if text[0] in f"+{MINUS}" else ""
    return Both(f"{mark}¥{text.removeprefix(mark)}", f"{text} 元")


def rounded(value: Decimal, unit: str, sign: bool = False) -> Both:
    """An amount to be read out: from a million in millions, from 万 in 万 and 亿; a smaller one exact."""
    exact = money(value, unit, sign)
    name, tail = ("¥", "元") if unit == "CNY" else (f"{unit} ", unit)
    size, word = next(((s, w) for s, w in _ENGLISH_WORDS if abs(value) >= s), (None, ""))
    large, mass = next(((s, w) for s, w in _CHINESE if abs(value) >= s), (None, ""))
    return Both(
        exact.en if size is None else _signed(value, f"{name}{_plain(abs(value) / size, 2)} {word}", sign),
        exact.zh if large is None else _signed(value, f"{_plain(abs(value) / large, 2)} {mass}{tail}", sign),
    )


def share(part: Decimal | int, whole: Decimal | int) -> str:
    """`12.3%`. A part that is not nothing is never shown as 0.0 %, one that is not all never as 100 %."""
    return "–" if whole == 0 else percent(ROUNDING.divide(Decimal(part), Decimal(whole)))


def percent(ratio: Decimal, sign: bool = False) -> str:
    if 0 < abs(ratio) < Decimal("0.0005"):
        return f"{MINUS if ratio < 0 else ''}<0.1%"
    if Decimal("0.9995") <= ratio < 1 and not sign:
        return ">99.9%"
    return _signed(ratio, f"{(abs(ratio) * 100).quantize(Decimal('0.1'), context=ROUNDING):,f}%", sign)


def steps(values: list[Decimal]) -> list[Both]:
    """The labels of an axis, short and all in one unit: `0.5M`, `50万`."""
    most = max((abs(v) for v in values), default=Decimal(0))
    size, letter = next(((s, w) for s, w in _ENGLISH if most >= s), (Decimal(1), ""))
    large, mass = next(((s, w) for s, w in _CHINESE if most >= s), (Decimal(1), ""))
    return [Both(_step(v, size, letter), _step(v, large, mass)) for v in values]


def ticks(low: Decimal, high: Decimal, most: int = 5) -> list[Decimal]:
    """Round numbers from `low` to `high`, at most `most` + 1 of them, 0 among them where it lies between."""
    if high <= low:
        return [low]
    step = round_step(low, high, most)
    first, last = ((end / step).to_integral_value(rounding) for end, rounding in ((low, ROUND_CEILING), (high, ROUND_FLOOR)))
    return [step * n for n in range(int(first), int(last) + 1)]


def round_step(low: Decimal, high: Decimal, most: int) -> Decimal:
    """The least of 1, 2, 5, 10, 20 … that gets from `low` to `high` in at most so many steps."""
    rough = (high - low) / most
    power = Decimal(1).scaleb(rough.adjusted())
    return next(power * m for m in (1, 2, 5, 10) if power * m >= rough)


_ENGLISH = [(Decimal(10) ** 9, "bn"), (Decimal(10) ** 6, "M"), (Decimal(10) ** 4, "k")]
_ENGLISH_WORDS = [(Decimal(10) ** 9, "billion"), (Decimal(10) ** 6, "million")]
_CHINESE = [(Decimal(10) ** 8, "亿"), (Decimal(10) ** 4, "万")]


def _step(value: Decimal, size: Decimal, word: str) -> str:
    size = size if word != "k" else Decimal(1000)
    text = _plain(abs(value) / size, 4)
    return _signed(value, text + (word if value else ""), False)


def _plain(value: Decimal, places: int) -> str:
    """Rounded to at most so many places, without zeros at the end."""
    text = f"{value.quantize(Decimal(1).scaleb(-places), context=ROUNDING):,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _digits(value: Decimal) -> str:
    whole, _, rest = f"{value:,f}".partition(".")
    return f"{whole}.{rest.rstrip('0').ljust(2, '0')}"


def _signed(value: Decimal, text: str, sign: bool) -> str:
    if value < 0:
        return MINUS + text
    return "+" + text if sign and value > 0 else text
