"""Goal seek: which value of a parameter still meets a goal. Bisection in few queries; the answer is checked on both sides."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

from engine.errors import PolicyError, did_you_mean
from engine.library import Library
from engine.policy import Policy
from engine.types import NumberType
from simulations.reading.outcomes import OUTCOMES
from simulations.report import seek as page
from simulations.runs import doubts
from simulations.runs.database import Progress, never, quiet
from simulations.runs.directory import made
from simulations.runs.manifest import write_json, write_manifest
from simulations.runs.measures import Measure
from simulations.runs.order import parameters_text, stated
from simulations.runs.panel import Panel
from simulations.runs.points import AT_ONCE, Point, points
from simulations.runs.run import REPORT, about, opened
from simulations.runs.sweep import Single, asked, changed, parameter_of, single

RESULT = "seek.json"
_GOAL = re.compile(r"\s*([^\s<>=]+)\s*(<=|>=|<|>)\s*(-?[0-9]+(?:\.[0-9]+)?)\s*(%?)\s*")
_MEETS: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "<=": lambda a, b: a <= b, ">=": lambda a, b: a >= b, "<": lambda a, b: a < b, ">": lambda a, b: a > b,
}  # fmt: skip


class SeekOrder(Single):
    """A goal such as `bill_total <= 8000000`, `denied <= 200` or `allowed >= 95%`, and the parameter that may move between two values."""

    goal: str
    parameter: str
    low: str
    high: str
    step: str | None = None


@dataclass(frozen=True, slots=True)
class Goal:
    """What is to hold of a version: an outcome's cases (or their share of all, in percent) or a measure's total, against a number."""

    name: str
    op: str
    limit: Decimal
    percent: bool
    measure: Measure | None

    def quantity(self, point: Point) -> Decimal:
        """What the goal looks at: an amount or a number of cases."""
        return point.amounts[0] if self.measure else Decimal(point.outcomes[self.name])

    def met(self, point: Point) -> bool:
        """Exact: a share is compared as cases times 100 against the limit times all cases."""
        value = self.quantity(point)
        return _MEETS[self.op](value * 100, self.limit * point.rows) if self.percent else _MEETS[self.op](value, self.limit)

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "op": self.op, "limit": f"{self.limit:f}", "percent": self.percent, "amount": self.measure is not None}


@dataclass(slots=True)
class Search:
    """The steps of a parameter between two ends, and what was found at those that were tried. `at(i)` is the i-th value."""

    low: Decimal
    step: Decimal
    last: int
    ask: Callable[[Sequence[Decimal]], list[Point]]
    goal: Goal
    tried: dict[int, Point] = field(default_factory=dict)

    def at(self, i: int) -> Decimal:
        return self.low + self.step * i

    def try_(self, places: Sequence[int]) -> None:
        new = [i for i in dict.fromkeys(places) if i not in self.tried]
        for i, point in zip(new, self.ask([self.at(i) for i in new]), strict=True):
            self.tried[i] = point

    def edges(self) -> list[tuple[int, int]]:
        """Neighbours among the values tried of which one meets the goal and the other does not."""
        return [(a, b) for a, b in pairwise(sorted(self.tried)) if self.goal.met(self.tried[a]) != self.goal.met(self.tried[b])]

    def run(self) -> tuple[int, int] | None:
        """The last value that meets the goal and its neighbour that does not, as steps; None where all values tried are alike."""
        self.try_(spread(0, self.last))
        edges = self.edges()
        if not edges:
            return None
        a, b = edges[0]
        while b - a > 1:
            self.try_(spread(a, b))
            a, b = next((c, d) for c, d in self.edges() if a <= c and d <= b)
        return (a, b) if self.goal.met(self.tried[a]) else (b, a)

    def monotone(self) -> bool:
        """Do the values tried go one way?"""
        found = [self.goal.quantity(self.tried[i]) for i in sorted(self.tried)]
        return all(a <= b for a, b in pairwise(found)) or all(a >= b for a, b in pairwise(found))


def spread(a: int, b: int) -> list[int]:
    """The two ends and evenly spread steps between them, as many as one query takes."""
    n = AT_ONCE - 1
    return sorted({a + (b - a) * i // n for i in range(n + 1)})


def goal(text: str, known: Sequence[Measure]) -> Goal:
    """Read a goal. Raises PolicyError."""
    match = _GOAL.fullmatch(text)
    if match is None:
        money = f" or `{known[0].name} <= 8000000`" if known else ""
        raise PolicyError(f"goal: `{text}` is no goal; write for example `denied <= 200`, `allowed >= 95%`{money}")
    name, op, limit, percent = match[1], match[2], Decimal(match[3]), bool(match[4])
    measures = {m.name: m for m in known}
    if name not in measures and name not in OUTCOMES:
        hint = did_you_mean(name, [*OUTCOMES, *measures], "there are: " + ", ".join([*OUTCOMES, *measures]))
        raise PolicyError(f"goal: `{name}` is neither an outcome nor an amount of the policy; {hint}")
    if percent and name in measures:
        raise PolicyError(f"goal: `{name}` is an amount, a share goes with an outcome; write it without %")
    return Goal(name, op, limit, percent, measures.get(name))


def seek(
    order: SeekOrder, library: Library, folder: Path, progress: Progress = quiet, cancelled: Callable[[], bool] = never,
    memory: str | None = None, threads: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Look for the value, and write what was tried into `folder`. Gives it too. Raises PolicyError, Cancelled."""
    wanted = single(order, None, library)
    aim = goal(order.goal, wanted.measures)
    wanted = single(order, [aim.measure.name] if aim.measure else [], library)
    low, step, last = steps(order, wanted.before)
    with made(folder) as partial:
        with opened(wanted, partial, progress, cancelled, memory, threads) as (panel, told):
            search = Search(low, step, last, _asker(panel, wanted.before, order.parameter), aim)
            panel.database.phase("trying values", 0.2, 1.0)
            found = search.run()
        result = {
            "format": 1, "kind": "seek", **asked(wanted, order.base, told), "goal": order.goal, "target": aim.as_json(),
            "parameter": order.parameter, "base": parameters_text(wanted.before)[order.parameter],
            "low": f"{search.at(0):f}", "high": f"{search.at(last):f}", "step": f"{step:f}", **_answer(search, found, order.parameter),
        }  # fmt: skip
        result["warnings"] = doubts.told(
            doubts.of_population(about(told)), doubts.of_policy(wanted.before, [order.parameter]), doubts.of_points(list(search.tried.values())),
            _one_way(result["monotone"]),
        )  # fmt: skip
        write_json(partial / RESULT, result)
        (partial / REPORT).write_text(page.html(result), encoding="utf-8")
        write_manifest(partial, "seek", stated(order), {"base": wanted.before}, about(told))
    progress("done", 1.0)
    return result


def _asker(panel: Panel, policy: Policy, name: str) -> Callable[[Sequence[Decimal]], list[Point]]:
    return lambda values: points(panel, [changed(policy, {name: f"{v:f}"}) for v in values])


def steps(order: SeekOrder, policy: Policy) -> tuple[Decimal, Decimal, int]:
    """The lowest value, the step, and the number of steps up to the highest. Raises PolicyError."""
    definition = parameter_of(policy, order.parameter)
    t = definition.type
    if not isinstance(t, NumberType):
        raise PolicyError(f"parameter: `{order.parameter}` is {t}; a goal is sought over a number")
    found = []
    for name, text in (("low", order.low), ("high", order.high), ("step", order.step)):
        if text is not None and not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text):
            raise PolicyError(f"{name}: `{text}` is no number")
        found.append(None if text is None else Decimal(text))
    low, high, step = found
    if step is None:
        if t.places is None:
            raise PolicyError(f"step: `{order.parameter}` may have any number of places; say how fine to look, for example 0.01")
        step = Decimal(1).scaleb(-t.places)
    assert low is not None
    assert high is not None
    if step <= 0 or high <= low:
        raise PolicyError(f"low, high: there is nothing between {low} and {high} in steps of {step}")
    for value in (low, low + step):
        changed(policy, {order.parameter: f"{value:f}"})
    return low, step, int((high - low) / step)


def _one_way(monotone: bool) -> Iterator[doubts.Doubt]:
    if not monotone:
        en = "The values tried do not go one way: a value between them that was not tried may meet the goal, or miss it, against what its neighbours say."
        yield "not-monotone", en, "试过的值不是单调变化：其间未试过的值可能与相邻值的结果不同。"


def _answer(search: Search, found: tuple[int, int] | None, name: str) -> dict[str, Any]:
    """What was found, with every value that was tried and a sentence in both languages."""
    places = sorted(search.tried)
    met = {i: search.goal.met(search.tried[i]) for i in places}
    monotone = search.monotone() and len(search.edges()) <= 1
    value, beyond = (None, None) if found is None else (f"{search.at(i):f}" for i in found)
    ends = f"{search.at(0):f}", f"{search.at(search.last):f}"
    if found is not None:
        status = "found"
        en = f"{name} = {value} meets the goal, {beyond} does not."
        zh = f"{name} = {value} 达到目标，{beyond} 达不到。"
    elif met[places[0]]:
        status, en, zh = "always", f"Every value tried from {ends[0]} to {ends[1]} meets the goal.", f"从 {ends[0]} 到 {ends[1]} 试过的值都达到目标。"
    else:
        status, en, zh = "unreachable", f"No value tried from {ends[0]} to {ends[1]} meets the goal.", f"从 {ends[0]} 到 {ends[1]} 试过的值都达不到目标。"
    if not monotone:
        en += " The values tried do not go one way, so other values may do as well."
        zh += " 试过的值不是单调变化，可能还有别的值达到目标。"
    return {
        "status": status, "found": value, "beyond": beyond, "monotone": monotone, "sentence": {"en": en, "zh": zh},
        "points": [
            {"value": f"{search.at(i):f}", "quantity": f"{search.goal.quantity(search.tried[i]):f}", "rows": search.tried[i].rows, "meets": met[i]}
            for i in places
        ],
    }  # fmt: skip
