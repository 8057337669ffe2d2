"""Random draws as SQL: exact whole numbers that hang on nothing but a seed, a label and a row number.

No library function that may change between versions is used, so the same seed gives the same bytes everywhere. A draw is five rounds of
add-shift and multiply over 32 bits (with three, some neighbours drew alike); every part fits into UBIGINT, and the row number stands in it only once,
so it can be written out anywhere.
"""

from __future__ import annotations

import hashlib

#: A draw is at least 0 and below this.
FULL = 1 << 32
_MASK = FULL - 1
_FACTORS = (0x7FEB352D, 0x46CA68B5, 0x5BD1E995, 0x2C1B3C6D, 0x6C8E9CF5)
#: Spreads the number of an item over 32 bits.
_ITEM = 0x9E3779B1


def draw(seed: int | str, label: str, source: str) -> str:
    """A UBIGINT in [0, 2**32) for each value of `source`, a UBIGINT below 2**32. Another seed or label gives independent draws."""
    digest = hashlib.sha256(f"{seed}\n{label}".encode()).digest()
    keys = [int.from_bytes(digest[4 * i : 4 * i + 4], "big") for i in range(6)]
    found = source
    for factor, key in zip(_FACTORS, keys, strict=False):
        found = f"(((xor({found}, {_big(key)}) * {_big(65537)}) >> {_big(16)}) * {_big(factor)}) & {_big(_MASK)}"
    return f"(((xor({found}, {_big(keys[5])}) * {_big(65537)}) >> {_big(16)}) & {_big(_MASK)})"


def item(source: str, position: str) -> str:
    """A source for the item at `position` (BIGINT from 0) of a list whose own draw is `source`."""
    return f"xor({source}, (({position})::UBIGINT * {_big(_ITEM)}) & {_big(_MASK)})"


def skewed(source: str, size: int) -> str:
    """A BIGINT in [0, size) from a draw; small numbers come up far more often than large ones, as big partners have more cases."""
    return f"((((({source}) * ({source})) >> {_big(32)}) * {_big(size)}) >> {_big(32)})::BIGINT"


def even(source: str, size: int) -> str:
    """A BIGINT in [0, size) from a draw, all alike."""
    return f"((({source}) * {_big(size)}) >> {_big(32)})::BIGINT"


def _big(value: int) -> str:
    return f"{value}::UBIGINT"
