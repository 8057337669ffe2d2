"""Two parameters as a table of coloured cells: what one quantity comes to at every pair of values."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, Decimal
from typing import Any

from simulations.report.figures import steps
from simulations.report.quantities import Axis, Quantity, unit
from simulations.report.words import OUTCOMES, code, say

#: Amounts longer than this are shortened in their cells; the table of all numbers has them whole.
MAX_DIGITS = 12
LEVELS = 3


def table(q: Quantity, i: int, axes: tuple[Axis, Axis], keys: Sequence[tuple[str, ...]]) -> dict[str, Any]:
    """The cells of one quantity; the parameter with more values goes down. `i`: the number of the quantity, `keys`: the pairs of values of the points."""
    turned = len(axes[1].values) > len(axes[0].values)
    down, across = (axes[1], axes[0]) if turned else axes
    values = dict(zip(keys, q.values, strict=True))
    most = max(abs(v - q.base) for v in q.values)
    short = any(len(q.text(v)) > MAX_DIGITS for v in q.values)
    rows = []
    for a in ordered(down):
        cells = []
        for b in ordered(across):
            value = values[(b, a) if turned else (a, b)]
            change = value - q.base
            cells.append({
                "text": steps([value])[0] if short else q.text(value), "title": q.text(value) if short else None,
                "change": q.text(change, True) if change else "", "level": _level(change, most), "base": (a, b) == (down.base, across.base),
            })  # fmt: skip
        rows.append({"value": a, "base": a == down.base, "cells": cells})
    name = say("heat-money", name=code(q.name), unit=unit()) if q.is_money else say("heat-cases", outcome=OUTCOMES[q.name])
    alike = all(v == q.base for v in q.values)
    caption = say("heat-alike", what=name, value=q.text(q.base)) if alike else say("heat-caption", what=name, rows=code(down.name), columns=code(across.name))
    columns = [{"value": b, "base": b == across.base} for b in ordered(across)]
    return {
        "id": f"heat-{i}", "of": q.name, "money": q.is_money, "alike": alike, "caption": caption, "down": down.name, "across": across.name,
        "columns": columns, "rows": rows,
    }  # fmt: skip


def ordered(axis: Axis) -> list[str]:
    """Numbers from the least on; other values as they were given."""
    return sorted(axis.values, key=Decimal) if axis.numeric else list(axis.values)


def _level(change: Decimal, most: Decimal) -> str:
    """The class of a cell: how far it lies above or below the base, in thirds of the greatest distance."""
    if not change:
        return "level"
    third = int((abs(change) * LEVELS / most).to_integral_value(ROUND_CEILING))
    return f"{'heat' if change > 0 else 'warm'}{third}"
