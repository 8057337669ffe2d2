"""The `each` block at run time: items are filtered, ordered, given their `let` values, and turned into records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from engine.bounds import k_arithmetic
from engine.kleene import k_and, k_if
from engine.unknown import Unknown, unknown_of, unknown_parts

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


def each_known(source: Any, plan: Plan) -> tuple[Any, ...]:
    """The list of records where everything is known."""
    items = source if plan.where is None else [item for item in source if plan.where(item)]
    for key, descending in reversed(plan.order):
        items = sorted(items, key=key, reverse=descending)
    sums: list[Any] = [0] * len(plan.preceding)
    records: list[Any] = []
    for item in items:
        values: list[Any] = []
        for step in plan.lets:
            values.append(step(item, values, sums))
        after = [total + step(item, values, sums) for total, step in zip(sums, plan.preceding, strict=True)] if sums else sums
        if plan.keep is None or plan.keep(item, values, after):
            for when, fields in plan.rows:
                if when is None or when(item, values, after):
                    records.append(tuple([f(item, values, after) for f in fields]))
        sums = after
    return tuple(records)


def each(source: Any, plan: Plan) -> Any:
    """The list of records; unknown if it is unknown which items are kept or in which order. A record may hold unknown fields.

    What an unknown list waits for: all that decides which items are kept, their order, and the fields of every record that may be in it.
    """
    kept_items, doubts = _kept(source, plan)
    if type(source) is Unknown and not kept_items:
        return () if not doubts else unknown_of(*doubts)
    held_of = {id(item): held for item, held in kept_items}
    before = len(doubts)
    items = _ordered([item for item, _ in kept_items], plan, doubts)
    sums: list[Any] = [unknown_of(*doubts[before:]) if doubts[before:] else 0] * len(plan.preceding)
    records: list[tuple[Any, ...]] = []
    for item in items:
        values: list[Any] = []
        for step in plan.lets:
            values.append(step(item, values, sums))
        growth = [step(item, values, sums) for step in plan.preceding]
        sums = [k_arithmetic("+", total, _if_kept(held_of[id(item)], g)) for total, g in zip(sums, growth, strict=True)]
        kept = True if plan.keep is None else plan.keep(item, values, sums)
        if kept is False:
            continue
        for when, fields in plan.rows:
            held = kept if when is None else k_and(*(_constant(part) for part in (kept, when(item, values, sums))))
            if type(held) is Unknown:
                doubts.append(held)
            if held is not False:
                records.append(tuple(f(item, values, sums) for f in fields))
    result = tuple(records)
    open_ = unknown_parts(result) if doubts or plan.whole else None
    if not doubts and open_ is None:
        return result
    merged = unknown_of(*doubts, *([open_] if open_ is not None else []))
    return Unknown(merged.paths, merged.unset, merged.error, blank=tuple(Unknown() for _ in plan.rows[0][1]))


def _constant(value: Any) -> Callable[[], Any]:
    return lambda: value


def _if_kept(held: Any, amount: Any) -> Any:
    """What a running sum grows by: nothing if the item turns out not to be kept."""
    return amount if held is True else k_if(held, lambda: amount, lambda: 0)


def _kept(source: Any, plan: Plan) -> tuple[list[tuple[Any, Any]], list[Any]]:
    """The items that are, or may be, kept, with what that waits for. An unknown list is one item of which nothing is known."""
    if type(source) is Unknown:
        if source.blank is None:
            return [], [source]
        held = True if plan.where is None else plan.where(source.blank)
        return ([], []) if held is False else ([(source.blank, unknown_of(source, held))], [source, *([held] if type(held) is Unknown else [])])
    items, doubts = [], []
    for item in source:
        held = True if plan.where is None else plan.where(item)
        if type(held) is Unknown:
            doubts.append(held)
        if held is not False:
            items.append((item, held))
    return items, doubts


def _ordered(items: list[Any], plan: Plan, doubts: list[Any]) -> list[Any]:
    for key, descending in reversed(plan.order):
        if len(items) < 2:
            break
        keys = [key(item) for item in items]
        found = [k for k in keys if type(k) is Unknown]
        doubts += found
        if not found:
            ranked = sorted(range(len(items)), key=keys.__getitem__, reverse=descending)
            items = [items[i] for i in ranked]
    return items
