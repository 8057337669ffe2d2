"""What a reader of a sweep, a goal seek, a backtest or a settlement must know before trusting its numbers, in English and Chinese."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from engine.conditions import read_by
from engine.policy import Policy
from simulations.runs.points import Point
from simulations.runs.summary import FEW_CASES, MANY_UNDETERMINED, many, of_columns

Doubt = tuple[str, str, str]


def told(*doubts: Iterator[Doubt]) -> list[dict[str, str]]:
    """As `warnings` of a result."""
    return [{"kind": kind, "en": en, "zh": zh} for some in doubts for kind, en, zh in some]


def of_population(population: Mapping[str, Any]) -> Iterator[Doubt]:
    """Few cases, and rows and columns that were not used."""
    used, aside = population["used"], population["set_aside"]
    if used < FEW_CASES:
        en = f"These numbers rest on {many(used, 'case')}; with fewer than {FEW_CASES} a count can be chance."
        yield "small-sample", en, f"只用了 {used:,} 个案例；少于 {FEW_CASES} 个时，数字可能出于偶然。"
    if aside:
        en = f"{many(aside, 'row')} did not fit and had to be set aside; none of them is in these numbers."
        yield "set-aside", en, f"{aside:,} 行不符合要求，已搁置，不在这些数字之内。"
    yield from of_columns(population)


def of_policy(policy: Policy, given: Collection[str]) -> Iterator[Doubt]:
    """Parameters without a value; `given` are those that the run gives one."""
    unset = sorted({n for kind, n in read_by(policy) if kind == "parameter" and policy.parameters[n].unset} - set(given))
    if unset:
        names = ", ".join(unset)
        yield "unset-parameter", f"Parameters without a value: {names}. Rules that need them stay open.", f"没有取值的参数：{names}。需要它们的规则没有结论。"


def of_points(points: Sequence[Point]) -> Iterator[Doubt]:
    """Cases that are open, or end in an error, at some of the values; amounts that are not known for the same number of cases everywhere."""
    rows = points[0].rows
    most = max(p.outcomes.get("undetermined", 0) for p in points)
    if most and Fraction(most, rows) >= MANY_UNDETERMINED:
        yield "undetermined", f"Up to {most:,} of {rows:,} cases are undetermined.", f"{rows:,} 个案例中最多有 {most:,} 个没有结论。"
    failed = max(p.outcomes.get("error", 0) for p in points)
    if failed:
        en = f"For up to {failed:,} cases the rules give no value (no row matched, division by zero …)."
        yield "errors", en, f"最多有 {failed:,} 个案例规则给不出值（无匹配行、除以零等）。"
    if len({p.determined for p in points}) > 1:
        en = "An amount is not known for equally many cases at every value; totals count only cases in which it is known."
        yield "determined", en, "各取值下金额可确定的案例数不同；合计只计入金额可确定的案例。"


def of_log(log: Mapping[str, Any]) -> Iterator[Doubt]:
    """Lines of a decision log that could not be used or asked, and facts that it hides."""
    if log["set_aside"]:
        n = log["set_aside"]
        yield (
            "set-aside",
            f"{many(n, 'line')} of the log could not be used; none of them is in these numbers.",
            f"日志中有 {n:,} 行无法使用，不在这些数字之内。",
        )
    if log["not_asked"]:
        n = log["not_asked"]
        yield "not-asked", f"{many(n, 'decision')} could not be asked again; none of them is in these numbers.", f"{n:,} 个决定无法重新判定，不在这些数字之内。"
    if log["masked"]:
        n = log["masked"]
        en = f"The log hides facts of {many(n, 'decision')}; they count as unknown, so an answer may be open that was not."
        yield "masked", en, f"{n:,} 个决定含有日志中已隐去的事实，按未知处理，原有结论可能变为无法判定。"
