"""What moves, as the tables and drawings of a report: outcomes, money, groups, and the causes of it all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from simulations.report import charts
from simulations.report.charts import Bin, Series
from simulations.report.figures import Both, amount, count, percent, same, share
from simulations.report.words import KINDS, OUTCOMES, absent, cases, code, cut, named, say

MAX_GROUPS = 20
MAX_CASES = 10
MAX_NAME = 60
MAX_VALUE = 16
FEW = 30
#: Shares of all cases from which on a cell of the flip matrix is darker.
HEAT = (Decimal("0.001"), Decimal("0.01"), Decimal("0.05"), Decimal("0.15"))


def undetermined(cells: Mapping[tuple[str, str], int], side: int) -> str:
    return count(sum(n for flip, n in cells.items() if flip[side] == "undetermined"))


def present(cells: Mapping[tuple[str, str], int]) -> list[str]:
    """The outcomes that occur, and always the three that a policy may give."""
    found = {o for flip, n in cells.items() if n for o in flip}
    return [o for o in OUTCOMES if o in found or o in ("allowed", "denied")]


def matrix(cells: Mapping[tuple[str, str], int]) -> dict[str, Any]:
    order, total = present(cells), sum(cells.values())
    rows = []
    for a in order:
        row = []
        for b in order:
            rows_of = cells.get((a, b), 0)
            ratio = Decimal(rows_of) / total if total else Decimal(0)
            level = 0 if not rows_of or a == b else 1 + sum(ratio >= step for step in HEAT)
            row.append({"rows": count(rows_of), "share": share(rows_of, total), "level": level, "same": a == b, "none": not rows_of})
        rows.append({"outcome": a, "cells": row, "total": count(sum(cells.get((a, b), 0) for b in order))})
    return {"order": order, "rows": rows, "totals": [count(sum(cells.get((a, b), 0) for a in order)) for b in order], "total": count(total)}


def balance(cells: Mapping[tuple[str, str], int]) -> list[dict[str, Any]]:
    """The cases of each outcome, before and after."""
    total, found = sum(cells.values()), []
    for o in present(cells):
        before, after = (sum(n for flip, n in cells.items() if flip[side] == o) for side in (0, 1))
        found.append(
            {
                "outcome": o, "before": count(before), "before_share": share(before, total), "after": count(after), "after_share": share(after, total),
                "change": count(after - before, True),
            }
        )  # fmt: skip
    return found


def totals(m: Mapping[str, Any], number: int) -> dict[str, Any]:
    """One amount: totals, who moves, the cases that move most."""
    name, unit = code(m["name"]), _unit(m["unit"])
    gain, loss = int(m["gain"]["rows"]), int(m["loss"]["rows"])
    before, after, change = (Decimal(m[k]) for k in ("before", "after", "change"))
    more, less = abs(Decimal(m["gain"]["amount"])), -abs(Decimal(m["loss"]["amount"]))
    other = change - more - less
    return {
        "id": f"measure-{number}",
        "name": name,
        "unit": unit,
        "before": amount(before),
        "after": amount(after),
        "change": amount(change, True),
        "ratio": percent(change / abs(before), True) if before else None,
        "tone": tone(change),
        "moved": gain + loss > 0 or change != 0,
        "other": amount(other, True) if other else None,
        "gain": {"cases": cases(gain), "amount": amount(more, True)},
        "loss": {"cases": cases(loss), "amount": amount(less, True)},
        "determined": (count(int(m["determined_before"])), count(int(m["determined_after"]))),
        "gainers": [mover(x) for x in m["gainers"][:MAX_CASES]],
        "losers": [mover(x) for x in m["losers"][:MAX_CASES]],
    }


def measure(m: Mapping[str, Any], number: int) -> dict[str, Any]:
    """The same with two drawings and their tables."""
    name = code(m["name"])
    drawn = {kind: _bins(m["histogram"][kind]) for kind in ("change", "before", "after")}
    moved = [b for b in drawn["change"] if not b.low == b.high == 0]
    return totals(m, number) | {
        "change_chart": charts.histogram([Series("change", moved)], f"change-caption-{number}"),
        "change_caption": say("change-caption", name=name),
        "change_uneven": _uneven(moved),
        "change_rows": [(_range(b), (count(b.rows),)) for b in moved if b.rows],
        "level_chart": charts.histogram([Series("before", drawn["before"]), Series("after", drawn["after"])], f"level-caption-{number}"),
        "level_caption": say("level-caption", name=name),
        "level_uneven": _uneven([*drawn["before"], *drawn["after"]]),
        "level_rows": _levels(drawn["before"], drawn["after"]),
    }


def _unit(unit: str) -> Both:
    return Both("CNY", "元") if unit == "CNY" else same(unit)


def tone(value: Decimal) -> str:
    """The class of a change: more, less, or neither."""
    return "up" if value > 0 else "down" if value < 0 else "same"


def _bins(found: Sequence[Mapping[str, Any]]) -> list[Bin]:
    return [Bin(Decimal(b["low"]), Decimal(b["high"]), int(b["rows"])) for b in found]


def _uneven(bins: Sequence[Bin]) -> bool:
    return len({b.high - b.low for b in bins}) > 1


def _range(found: Bin) -> str:
    return f"{amount(found.low)} … {amount(found.high)}"


def _levels(before: Sequence[Bin], after: Sequence[Bin]) -> list[tuple[str, tuple[str, str]]]:
    counts = [{(b.low, b.high): b.rows for b in side} for side in (before, after)]
    return [
        (_range(Bin(low, high, 0)), (count(counts[0].get((low, high), 0)), count(counts[1].get((low, high), 0))))
        for low, high in sorted(counts[0] | counts[1])
        if counts[0].get((low, high)) or counts[1].get((low, high))
    ]


def mover(x: Mapping[str, Any]) -> dict[str, Any]:
    """A case that gains or loses, with both amounts and both outcomes."""
    change = Decimal(x["change"])
    return {
        "case_id": cut(str(x["case_id"]), MAX_NAME), "partner": x["partner"] and cut(str(x["partner"]), MAX_NAME),
        "before": amount(Decimal(x["before"])), "after": amount(Decimal(x["after"])),
        "change": amount(change, True), "tone": tone(change), "from": x["from"], "to": x["to"],
    }  # fmt: skip


def segment(segment: Mapping[str, Any], number: int, measures: Sequence[Mapping[str, Any]], labels: Mapping[str, Any]) -> dict[str, Any]:
    """The groups that move most, each with its bar; the others in one row, so that the column still adds up. `labels` may hold Chinese names of the groups."""
    chinese = labels.get(segment["by"], {}).get("values", {})
    paid = any(int(m[side]["rows"]) for m in measures[:1] for side in ("gain", "loss"))
    groups = sorted(segment["groups"], key=lambda g: (-abs(Decimal(g["change"] or 0)) if paid else -g["changed"], -g["rows"], str(g["value"])))
    told, rest = groups[:MAX_GROUPS], groups[MAX_GROUPS:]
    if len(rest) == 1:
        told, rest = groups, []
    if paid:
        ends = [Decimal(g["change"] or 0) for g in told]
        caption = say("segment-money", name=code(measures[0]["name"]), by=segment["by"])
    else:
        ends = [Decimal(n) for g in told for n in (-g["less_allowed"], g["more_allowed"])]
        caption = say("segment-count", by=segment["by"])
    low, high = min([*ends, Decimal(0)]), max([*ends, Decimal(0)])
    rows = [_group(g, paid, low, high, chinese) for g in told]
    return {
        "id": f"segment-{number}", "by": segment["by"], "paid": paid, "caption": caption, "unit": _unit(measures[0]["unit"]) if paid else None, "rows": rows,
        "rest": _group(_together(rest, paid), paid, None, None, {}) if rest else None, "rest_name": say("more-groups", n=count(len(rest))),
        "others": int(segment["others"]), "few": any(r["few"] for r in rows),
    }  # fmt: skip


def _together(groups: Sequence[Mapping[str, Any]], paid: bool) -> dict[str, Any]:
    summed: dict[str, Any] = {k: sum(int(g[k]) for g in groups) for k in ("rows", "changed", "more_allowed", "less_allowed")}
    return summed | {"value": None} | {k: str(sum(Decimal(g[k] or 0) for g in groups)) if paid else None for k in ("before", "after", "change")}


def _group(g: Mapping[str, Any], paid: bool, low: Decimal | None, high: Decimal | None, chinese: Mapping[str, str]) -> dict[str, Any]:
    change = Decimal(g["change"] or 0)
    spans_of = [(Decimal(0), change)] if paid else [(Decimal(0), Decimal(-g["less_allowed"])), (Decimal(0), Decimal(g["more_allowed"]))]
    return {
        "value": None if g["value"] is None else Both(g["value"], chinese.get(g["value"], g["value"])),
        "rows": count(g["rows"]), "few": 0 < g["rows"] < FEW, "changed": count(g["changed"]), "share": share(g["changed"], g["rows"]),
        "more": count(g["more_allowed"]), "less": count(g["less_allowed"]),
        "before": amount(Decimal(g["before"] or 0)) if paid else None, "after": amount(Decimal(g["after"] or 0)) if paid else None,
        "change": amount(change, True) if paid else count(g["more_allowed"] - g["less_allowed"], True),
        "tone": tone(change if paid else Decimal(g["more_allowed"] - g["less_allowed"])),
        "bar": "" if low is None or high is None else charts.bar(spans_of, low, high),
    }  # fmt: skip


def waterfalls(summary: Mapping[str, Any], cells: Mapping[tuple[str, str], int]) -> list[dict[str, Any]]:
    """Money first, then the cases of each outcome that gets more or fewer; each from the total before over every cause to the total after.

    An outcome that only loses what one told before it wins is left out.
    """
    units = summary["attribution"]["units"]
    told, shown = [], set()
    for m in summary["measures"][:1] if units else ():
        parts = [(u["unit"], Decimal(u["changes"][m["name"]])) for u in units]
        caption = say("causes-money", name=code(m["name"]), unit=_unit(m["unit"]))
        told.append(_waterfall("cause-money", caption, Decimal(m["before"]), Decimal(m["after"]), parts, summary["changes"], amount))
    for outcome in OUTCOMES:
        shares = tuple(Decimal(u["outcomes"][outcome]) for u in units)
        if not any(shares) or tuple(-s for s in shares) in shown:
            continue
        shown.add(shares)
        ends = [Decimal(sum(n for flip, n in cells.items() if flip[side] == outcome)) for side in (0, 1)]
        parts = [(u["unit"], share) for u, share in zip(units, shares, strict=True)]
        caption = say("causes-count", outcome=OUTCOMES[outcome])
        told.append(_waterfall(f"cause-{outcome}", caption, ends[0], ends[1], parts, summary["changes"], _number))
    return told


def _number(value: Decimal, sign: bool = False) -> str:
    return count(int(value), sign) if value == int(value) else amount(value, sign)


def _waterfall(
    name: str,
    caption: Both,
    before: Decimal,
    after: Decimal,
    parts: Sequence[tuple[str, Decimal]],
    changes: Sequence[Mapping[str, Any]],
    told: Callable[..., str],
) -> dict[str, Any]:
    """Bars of the change alone: a total may be a thousand times what moves."""
    at, points = Decimal(0), [Decimal(0)]
    for _, part in parts:
        at += part
        points.append(at)
    low, high = min(points), max(points)
    known = {c["unit"]: c for c in changes}
    rows = [
        {
            "kind": _kind(unit), "name": _name(unit), "told": _values(known.get(unit)), "change": told(part, True),
            "tone": tone(part), "bar": charts.bar([(points[i], points[i + 1])], low, high, joins=True),
        }
        for i, (unit, part) in enumerate(parts)
    ]  # fmt: skip
    return {
        "id": name, "caption": caption, "before": told(before), "after": told(after), "rows": rows, "total": told(at, True), "tone": tone(at),
        "bar": charts.bar([(Decimal(0), at)], low, high, kind="sum"),
    }  # fmt: skip


def _kind(unit: str) -> Both | None:
    kind, colon, _ = unit.partition(":")
    return named(KINDS, kind) if colon else None


def _name(unit: str) -> str:
    return unit.partition(":")[2] or unit


def _values(change: Mapping[str, Any] | None) -> Both | None:
    """`3 → 6`, where both are short."""
    if change is None or len(str(change["before"])) > MAX_VALUE or len(str(change["after"])) > MAX_VALUE:
        return None
    before, after = absent(change["before"]), absent(change["after"])
    return Both(f"{before.en} → {after.en}", f"{before.zh} → {after.zh}")
