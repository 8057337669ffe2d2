"""Which part of a change comes from which unit: Shapley values, exact, and rounded so that they add up to the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import combinations
from math import factorial
from typing import Any

from simulations.reading.lowered import TooWide
from simulations.reading.outcomes import OUTCOMES
from simulations.reading.query import NotCovered
from simulations.runs.hybrid import TRIED, Mixture
from simulations.runs.panel import Panel
from simulations.runs.points import Point, points

Taken = frozenset[str]
#: What versions change that differ in no unit: the types of their facts, or where these come from.
OTHER = "other"
#: What a mixture comes to: the number of cases of each outcome (places 0), in their order, then amounts.
Worth = Sequence[Decimal]


def shapley(units: Sequence[str], worth: Callable[[Taken], Fraction]) -> dict[str, Fraction]:
    """What each unit adds, on average over all orders in which they could be taken. The values add up to worth(all) - worth(none)."""
    n = len(units)
    found = {}
    for unit in units:
        others = [u for u in units if u != unit]
        total = Fraction(0)
        for size in range(n):
            weight = Fraction(factorial(size) * factorial(n - size - 1), factorial(n))
            total += weight * sum((worth(frozenset({*c, unit})) - worth(frozenset(c)) for c in combinations(others, size)), Fraction(0))
        found[unit] = total
    return found


def in_sequence(units: Sequence[str], worth: Callable[[Taken], Fraction]) -> dict[str, Fraction]:
    """What each unit adds when they are taken one after the other, in the order given."""
    return {u: worth(frozenset(units[: i + 1])) - worth(frozenset(units[:i])) for i, u in enumerate(units)}


def rounded(shares: Mapping[str, Fraction], places: int) -> dict[str, Decimal]:
    """The shares cut to so many places; what is left of their sum goes, one step each, to those that were cut most (the first of equals).

    Raises ValueError if the sum itself has more places.
    """
    scale = 10**places
    steps = {u: (share * scale).__floor__() for u, share in shares.items()}
    left = sum(shares.values(), Fraction(0)) * scale - sum(steps.values())
    if left.denominator != 1:
        raise ValueError("the sum of the shares has more places than they are rounded to")
    by_rest = sorted(shares, key=lambda u: steps[u] - shares[u] * scale)
    for unit in by_rest[: int(left)]:
        steps[unit] += 1
    return {u: Decimal(n).scaleb(-places) for u, n in steps.items()}


def attribution(panel: Panel, mixture: Mixture, ends: tuple[Worth, Worth] | None = None) -> dict[str, Any]:
    """The part of each unit in the change of every outcome's cases and of every amount, as `attribution` of the summary. Raises PolicyError, Cancelled.

    `ends`: what baseline and candidate come to, where that is counted already. Units of which a mixture cannot be read over a population are told as one.
    """
    first, last = ends or _ends(panel, mixture)
    units = [u.name for u in mixture.units] or ([OTHER] if first != last else [])
    method, sets = ("shapley", list(subsets(units))) if len(units) <= TRIED else ("sequence", [frozenset(units[:i]) for i in range(len(units) + 1)])
    try:
        worths = _worths(panel, mixture, [taken for taken in sets if 0 < len(taken) < len(units)])
    except (NotCovered, TooWide):
        units, method, worths = [" + ".join(units)], "shapley", {}
    worths |= {frozenset(): first, frozenset(units): last}
    split = shapley if method == "shapley" else in_sequence
    measures = panel.task.measures
    parts = []
    for i, places in enumerate([*(2 for _ in OUTCOMES), *(m.places for m in measures)]):
        shares = split(units, lambda taken, i=i: Fraction(worths[taken][i]))  # type: ignore[misc]
        parts.append(rounded(shares, places))
    cases, money = parts[: len(OUTCOMES)], parts[len(OUTCOMES) :]
    return {
        "method": method,
        "units": [
            {
                "unit": u, "outcomes": {o: plain_number(part[u]) for o, part in zip(OUTCOMES, cases, strict=True)},
                "changes": {m.name: f"{part[u]:f}" for m, part in zip(measures, money, strict=True)},
            }
            for u in units
        ],
        "outcomes_total": {o: int(sum(part.values())) for o, part in zip(OUTCOMES, cases, strict=True)},
        "changes_total": {m.name: f"{_total(part, m.places):f}" for m, part in zip(measures, money, strict=True)},
    }  # fmt: skip


def _ends(panel: Panel, mixture: Mixture) -> tuple[Worth, Worth]:
    """What baseline and candidate come to."""
    before, after = points(panel, [mixture.before, mixture.after])
    return _worth(before), _worth(after)


def _worth(point: Point) -> Worth:
    return [*(Decimal(point.outcomes[o]) for o in OUTCOMES), *point.amounts]


def _total(parts: Mapping[str, Decimal], places: int) -> Decimal:
    return sum(parts.values(), Decimal(0).scaleb(-places))


def subsets(units: Sequence[str]) -> Iterator[Taken]:
    """All subsets, the empty one first."""
    return (frozenset(c) for n in range(len(units) + 1) for c in combinations(units, n))


def plain_number(value: Decimal) -> str:
    """A decimal without places that are zero."""
    return f"{value:f}".rstrip("0").rstrip(".") if "." in f"{value:f}" else f"{value:f}"


def _worths(panel: Panel, mixture: Mixture, sets: Sequence[Taken]) -> dict[Taken, Worth]:
    """What each mixture comes to."""
    found = points(panel, [mixture.policy(taken) for taken in sets])
    return {taken: _worth(point) for taken, point in zip(sets, found, strict=True)}
