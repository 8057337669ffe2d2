"""The `each` block at run time: items are filtered, ordered, given their `let` values, and turned into records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from engine.kleene import Unknown, k_arithmetic, unknown_of, unknown_parts

#: A function of the item, the `let` values so far, and the running sums of the `preceding` values.
Step = Callable[[Any, list[Any], list[Any]], Any]


class Plan:
    """The compiled parts of one `each` block. `preceding` gives what each running sum grows by after an item."""

    def __init__(
        self, where: Callable[[Any], Any] | None, order: Sequence[tuple[Callable[[Any], Any], bool]], lets: Sequence[Step],
        preceding: Sequence[Step], keep: Step | None, rows: Sequence[tuple[Step | None, Sequence[Step]]], whole: bool,
    ) -> None:  # fmt: skip
        self.where, self.order, self.lets, self.preceding, self.keep, self.rows, self.whole = (
            where, order, lets, preceding, keep, rows, whole,
        )  # fmt: skip


def each(source: Any, plan: Plan) -> Any:
    """The list of records; unknown if it is unknown which items are kept or in which order. A record may hold unknown fields."""
    if type(source) is Unknown:
        return source
    items = []
    for item in source:
        held = True if plan.where is None else plan.where(item)
        if type(held) is Unknown:
            return held
        if held:
            items.append(item)
    for key, descending in reversed(plan.order):
        keys = [key(item) for item in items]
        found = [k for k in keys if type(k) is Unknown]
        if found and len(items) > 1:
            return unknown_of(*found)
        if len(items) > 1:
            ranked = sorted(range(len(items)), key=keys.__getitem__, reverse=descending)
            items = [items[i] for i in ranked]
    sums: list[Any] = [0] * len(plan.preceding)
    records: list[Any] = []
    for item in items:
        values: list[Any] = []
        for step in plan.lets:
            values.append(step(item, values, sums))
        sums = [k_arithmetic("+", total, step(item, values, sums)) for total, step in zip(sums, plan.preceding, strict=True)]
        kept = True if plan.keep is None else plan.keep(item, values, sums)
        if type(kept) is Unknown:
            return kept
        if not kept:
            continue
        for when, fields in plan.rows:
            held = True if when is None else when(item, values, sums)
            if type(held) is Unknown:
                return held
            if held:
                records.append(tuple(f(item, values, sums) for f in fields))
    if plan.whole and (open_ := unknown_parts(tuple(records))) is not None:
        return open_
    return tuple(records)
