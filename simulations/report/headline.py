"""The top of a report: what was changed, how many cases change, and the money, in plain words and a few numbers."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from markupsafe import Markup

from simulations.report.figures import Both, amount, count, money, percent, rounded, same, share
from simulations.report.words import OUTCOMES, WORDS, absent, cases, code, listed, named, say, texts

MAX_VALUES = 60
MAX_FLIPS = 3
MAX_PARAMETERS = 3


def headline(summary: Mapping[str, Any]) -> Both:
    """What was changed, and how many cases get another outcome; if none does, what changes else."""
    start = _start(summary)
    used, changed = int(summary["population"]["used"]), int(summary["flips"]["changed"])
    if used == 0:
        end = say("no-cases")
    elif changed == 0:
        end = _same_outcomes(summary, used)
    else:
        end = say("one-change" if changed == 1 else "some-change", n=Markup("<em>{}</em>").format(count(changed)), total=cases(used))
    return Both(*(Markup("{}{}").format(a, b) for a, b in zip(start, end, strict=True)))


def _start(summary: Mapping[str, Any]) -> Both:
    """A few parameters with both values, or else the two sides."""
    changes = summary["changes"]
    width = sum(len(str(c["before"]) + str(c["after"])) for c in changes)
    if 0 < len(changes) <= MAX_PARAMETERS and all(c["kind"] == "parameter" for c in changes) and width <= MAX_VALUES:
        told = [say("parameter-changed", name=code(c["name"]), before=absent(c["before"]), after=absent(c["after"])) for c in changes]
        return say("with-parameters", changed=Both(Markup(" and ").join(t.en for t in told), Markup("、").join(t.zh for t in told)))
    sides = {"before": texts(summary["baseline"]["label"]), "after": texts(summary["candidate"]["label"])}
    plain = not (summary["baseline"]["changed"] or summary["candidate"]["changed"])
    return say("with-version" if plain else "under-version", **sides)


def _same_outcomes(summary: Mapping[str, Any], used: int) -> Both:
    """No outcome changes: the first amount that does, or else the rules."""
    for m in summary["measures"]:
        moved, change = int(m["gain"]["rows"]) + int(m["loss"]["rows"]), Decimal(m["change"])
        if moved:
            told = money(change, str(m["unit"]), True) if change else say("in-sum-same")
            n = Markup("<em>{}</em>").format(count(moved))
            return say("amount-changes" if moved == 1 else "amounts-change", n=n, total=cases(used), name=code(m["name"]), change=told)
    if any(int(r["newly"]) or int(r["no_longer"]) for r in summary["rules"]):
        return say("reasons-change", total=cases(used))
    return say("none-change", total=cases(used))


def lede(summary: Mapping[str, Any], cells: Mapping[tuple[str, str], int]) -> list[Both]:
    """The most frequent flips in words, and the money."""
    lines = []
    flips = sorted(((n, a, b) for (a, b), n in cells.items() if a != b and n), key=lambda f: (-f[0], f[1:]))
    if flips:
        told = [say("go", n=count(n), a=named(OUTCOMES, a), b=named(OUTCOMES, b)) for n, a, b in flips[:MAX_FLIPS]]
        if len(flips) > MAX_FLIPS:
            told.append(say("and-others", n=count(sum(n for n, _, _ in flips[MAX_FLIPS:]))))
        lines.append(listed(told))
    return lines + [line for m in summary["measures"][:1] for line in _money(m)]


def _money(m: Mapping[str, Any]) -> list[Both]:
    """The total before and after, and how many cases get more and less."""
    unit, name = str(m["unit"]), code(m["name"])
    before, after, change = (Decimal(m[k]) for k in ("before", "after", "change"))
    sides = [(key, abs(Decimal(m[side]["amount"])), int(m[side]["rows"])) for key, side in (("more-for", "gain"), ("less-for", "loss"))]
    moved = [say(key, amount=money(total, unit), cases=cases(rows)) for key, total, rows in sides if rows]
    if not change and not moved:
        return [say("money-same", name=name, before=money(before, unit))]
    told = say("more" if change > 0 else "less", amount=money(abs(change), unit)) if change else say("in-sum-same")
    if before and change:
        told = say("with-percent", told=told, percent=percent(change / abs(before), True))
    line = say("money-line", name=name, before=money(before, unit), after=money(after, unit), change=told)
    return [line, listed(moved)] if moved else [line]


def tiles(summary: Mapping[str, Any], cells: Mapping[tuple[str, str], int]) -> list[dict[str, Any]]:
    """The few numbers to remember: a name, the number, and what stands below it."""
    used = sum(cells.values())
    changed = int(summary["flips"]["changed"])
    allowed = [sum(n for flip, n in cells.items() if flip[side] == "allowed") for side in (0, 1)]
    found: list[dict[str, Any]] = [
        {
            "name": WORDS["tile-changed"],
            "figure": share(changed, used),
            "below": Both(f"{count(changed)} of {count(used)}", f"{count(used)} 个中的 {count(changed)} 个"),
        },
        {"name": WORDS["tile-allowed"], "figure": count(allowed[1] - allowed[0], True), "below": same(f"{count(allowed[0])} → {count(allowed[1])}")},
    ]
    for m in summary["measures"][:1]:
        change = Decimal(m["change"])
        below = same(f"{amount(Decimal(m['before']))} → {amount(Decimal(m['after']))}")
        figure = rounded(change, m["unit"], True)
        found.append({"name": say("tile-money", name=code(m["name"])), "figure": figure, "below": below})
    return found
