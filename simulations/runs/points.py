"""What some versions come to over a population, a few versions in one query: cases by outcome, and the total of every measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from engine.policy import Policy
from simulations.reading.outcomes import OUTCOMES
from simulations.runs.panel import Panel
from simulations.runs.tally import amount

#: So many versions are read in one query.
AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Point:
    """What one version comes to: cases by outcome, the amounts of the measures in their order, and how many cases each is known for."""

    outcomes: dict[str, int]
    amounts: tuple[Decimal, ...]
    determined: tuple[int, ...]

    @property
    def rows(self) -> int:
        return sum(self.outcomes.values())

    def as_json(self, names: Sequence[str]) -> dict[str, Any]:
        """`names`: of the measures."""
        return {"outcomes": self.outcomes, "measures": {n: f"{a:f}" for n, a in zip(names, self.amounts, strict=True)}}


def points(panel: Panel, policies: Sequence[Policy]) -> list[Point]:
    """A point for each policy. Raises NotCovered, Cancelled."""
    found: list[Point] = []
    for at in range(0, len(policies), AT_ONCE):
        found += _some(panel, policies[at : at + AT_ONCE])
    return found


def _some(panel: Panel, policies: Sequence[Policy]) -> list[Point]:
    measures = panel.task.measures
    parts = []
    for i, policy in enumerate(policies):
        parts += [f"count_if(\"v{i}:outcome\" = '{outcome}')" for outcome in OUTCOMES]
        for m in measures:
            column = panel.amount(f"v{i}", policy, m)
            parts += [f"sum({column})", f"count({column})"]
    [row] = panel.database.rows(f"SELECT {', '.join(parts)} FROM ({panel.read({f'v{i}': p for i, p in enumerate(policies)})})")
    width = len(OUTCOMES) + 2 * len(measures)
    found = []
    for i in range(len(policies)):
        own = row[i * width : (i + 1) * width]
        counts, sums = own[: len(OUTCOMES)], own[len(OUTCOMES) :]
        amounts = tuple(amount(sums[2 * k], m.places) for k, m in enumerate(measures))
        found.append(Point({o: int(n or 0) for o, n in zip(OUTCOMES, counts, strict=True)}, amounts, tuple(int(n or 0) for n in sums[1::2])))
    return found
