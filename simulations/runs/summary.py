"""The one structure behind the report: what a run found, as plain JSON data. Money is decimal text, counts are integers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from engine.conditions import read_by
from engine.policy import Policy
from simulations.reading.outcomes import OUTCOMES
from simulations.reading.query import told_rules
from simulations.runs import attribution
from simulations.runs.examples import examples, missing
from simulations.runs.hybrid import Mixture
from simulations.runs.order import Side, parameters_text
from simulations.runs.panel import Panel
from simulations.runs.tally import EDGES, Tally, amount, bars, tally

FORMAT = 1
#: Fewer cases than this in a population, or in a group of it, and a count can be chance.
FEW_CASES, FEW_IN_GROUP = 100, 30
#: From this share of undetermined cases on a warning is given.
MANY_UNDETERMINED = Fraction(1, 10)
#: A warning names at most so many columns or facts.
MOST_NAMES = 8


@dataclass(frozen=True, slots=True)
class Told:
    """What the run knows about its population besides the table: as `population` of the summary, and a file's worth of reasons.

    `unused`: columns that are no fact, each as `column` and `near`, the fact that may be meant; `absent`: facts without a column.
    """

    source: str
    digest: str
    rows: int
    used: int
    set_aside: int
    seed: int | None
    reasons: tuple[dict[str, Any], ...]
    listing: Path
    unused: tuple[dict[str, str | None], ...] = ()
    absent: tuple[str, ...] = ()


def summary(panel: Panel, told: Told, changed: Path) -> dict[str, Any]:
    """Count everything. Writes `changed`, every case that changed. Raises PolicyError, Cancelled."""
    database, task = panel.database, panel.task
    mixture = Mixture(task.before, task.after)
    counted = tally(panel, mixture)
    database.phase("counting outcomes and amounts", 0.2, 0.45)
    totals = counted.totals()
    database.phase("writing the cases that changed", 0.45, 0.65)
    counted.write_changed(changed)
    database.phase("counting by segment", 0.65, 0.75)
    segments = counted.segments()
    database.phase("finding causes", 0.75, 0.9)
    flips = _flips(totals)
    causes = attribution.attribution(panel, mixture, (_worth(counted, totals, flips, "from", "b"), _worth(counted, totals, flips, "to", "a")))
    database.phase("asking single cases", 0.9, 0.97)
    undetermined, failed = (_cases_with(flips, word) for word in ("undetermined", "error"))
    waiting, sampled = missing(counted, undetermined)
    found = {
        "format": FORMAT, "policy": task.after.id, "title": task.after.model.title.model_dump(), "question": task.after.model.question.model_dump(),
        "baseline": _side(task.before, task.order.baseline), "candidate": _side(task.after, task.order.candidate),
        "changes": [c.as_json() for c in mixture.changes],
        "population": {
            "source": told.source, "digest": told.digest, "rows": told.rows, "used": told.used, "set_aside": told.set_aside,
            "as_of": task.as_of.isoformat() if task.as_of else None, "seed": told.seed, "reasons": list(told.reasons),
            "unused_columns": list(told.unused), "facts_without_column": list(told.absent),
        },
        "flips": flips, "paid": list(task.order.paid),
        "measures": [_measure(counted, totals, i, changed) for i in range(len(task.measures))],
        "segments": segments, "attribution": causes,
        "rules": _rules(counted, totals), "unknown_rules": _unknown_rules(counted, totals),
        "missing": waiting, "missing_sampled": sampled,
        "errors": counted.errors() if failed else [],
        "examples": examples(counted, changed), "labels": labels(task.before, task.after),
    }  # fmt: skip
    return found | {"warnings": warnings(found, task.before, task.after)}


def _side(policy: Policy, side: Side) -> dict[str, Any]:
    parameters = parameters_text(policy)
    changed = {n: parameters[n] for n in sorted(side.parameters)}
    told = ", ".join(f"{n} = {v}" for n, v in changed.items())
    label = {
        "en": f"version {policy.version}" + (f" with {told}" if told else ""),
        "zh": f"版本 {policy.version}" + (f"（{told}）" if told else ""),
    }
    return {"version": policy.version, "digest": policy.digest, "parameters": parameters, "changed": changed, "label": label}


def _flips(totals: Mapping[str, Any]) -> dict[str, Any]:
    found = {(a, b): int(totals[f"flip:{a}:{b}"]) for a in OUTCOMES for b in OUTCOMES}
    cells = [{"from": a, "to": b, "rows": n} for (a, b), n in found.items() if n]
    changed = sum(n for (a, b), n in found.items() if a != b)
    return {"cells": cells, "changed": changed, "share": share(changed, int(totals["rows"]))}


def _worth(counted: Tally, totals: Mapping[str, Any], flips: Mapping[str, Any], key: str, side: str) -> list[Decimal]:
    """What one side comes to: the cases of every outcome, and the total of every measure."""
    cases = [Decimal(sum(int(c["rows"]) for c in flips["cells"] if c[key] == outcome)) for outcome in OUTCOMES]
    return [*cases, *(amount(totals[f"{side}{i}:sum"], m.places) for i, m in enumerate(counted.panel.task.measures))]


def _cases_with(flips: Mapping[str, Any], outcome: str) -> int:
    """Cases with an outcome on either side."""
    return sum(int(c["rows"]) for c in flips["cells"] if outcome in (c["from"], c["to"]))


def share(part: int, whole: int) -> str:
    """A share as text with 4 places, rounded half up."""
    steps = (Fraction(part, whole) if whole else Fraction(0)) * 10_000 + Fraction(1, 2)
    return f"{Decimal(steps.__floor__()).scaleb(-4):f}"


def _measure(counted: Tally, totals: Mapping[str, Any], i: int, changed: Path) -> dict[str, Any]:
    m = counted.panel.task.measures[i]
    before, after, gain, loss = (amount(totals[f"{key}:sum"], m.places) for key in (f"b{i}", f"a{i}", f"gain{i}", f"loss{i}"))
    moved = counted.movers(changed, i)
    levels = bars([([int(totals[f"{side}{i}<{edge}"]) for edge in EDGES], int(totals[f"{side}{i}:count"])) for side in "ba"])
    return {
        "name": m.name, "unit": "CNY", "before": f"{before:f}", "after": f"{after:f}", "change": f"{after - before:f}",
        "determined_before": int(totals[f"b{i}:count"]), "determined_after": int(totals[f"a{i}:count"]),
        "gain": {"rows": int(totals[f"gain{i}:rows"]), "amount": f"{gain:f}"}, "loss": {"rows": int(totals[f"loss{i}:rows"]), "amount": f"{loss:f}"},
        "histogram": {"change": moved["change"], "before": levels[0], "after": levels[1]}, "gainers": moved["gainers"], "losers": moved["losers"],
    }  # fmt: skip


def _rules(counted: Tally, totals: Mapping[str, Any]) -> list[dict[str, Any]]:
    task = counted.panel.task
    policies = (task.before, task.after)
    effects = {r.code: r.effect for p in policies for r in told_rules(p)}
    reasons = {t.code: t.reason for p in policies if p.machine for t in p.machine.transitions}
    reasons |= {r.code: r.reason for p in policies for r in p.requirements}
    found = []
    for code in counted.codes:
        reason = reasons[code]
        counts = {k: int(totals.get(f"{k}:violated:{code}") or 0) for k in ("before", "after")}
        turned = {k: int(totals.get(f"{k}:{code}") or 0) for k in ("newly", "no_longer")}
        found.append({"code": code, "effect": effects[code], **counts, **turned, "reason": reason and reason.model_dump()})
    return found


def _unknown_rules(counted: Tally, totals: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = [{"code": c, **{k: int(totals.get(f"{k}:unknown:{c}") or 0) for k in ("before", "after")}} for c in counted.codes]
    return [r for r in found if r["before"] or r["after"]]


def labels(*policies: Policy) -> dict[str, dict[str, Any]]:
    """What rule files say about their facts, parameters and outputs, for people who do not know the names; `values`: the Chinese names of a fact's values."""
    found: dict[str, dict[str, Any]] = {}
    for policy in policies:
        for part in (policy.model.facts, policy.model.parameters, policy.model.outputs):
            for name, spec in part.items():
                if spec.zh or spec.note:
                    found[name] = {"en": spec.note, "zh": spec.zh}
        for name, fact in policy.model.facts.items():
            if fact.values_zh:
                found.setdefault(name, {"en": None, "zh": None})["values"] = fact.values_zh
    return found


# -- warnings --------------------------------------------------------------------------------------------------------------------------


def warnings(found: Mapping[str, Any], before: Policy, after: Policy) -> list[dict[str, Any]]:
    """What a reader must know before trusting the numbers, what weighs most first."""
    return [{"kind": kind, "en": en, "zh": zh} for kind, en, zh in _warnings(found, before, after)]


def _warnings(found: Mapping[str, Any], before: Policy, after: Policy) -> Iterator[tuple[str, str, str]]:
    used, aside, cells = found["population"]["used"], found["population"]["set_aside"], found["flips"]["cells"]
    if aside:
        en = f"{many(aside, 'row')} did not fit and had to be set aside; none of them is in these numbers."
        yield "set-aside", en, f"{aside:,} 行不符合要求，已搁置，不在这些数字之内。"
    yield from of_columns(found["population"])
    failed = sum(c["rows"] for c in cells if "error" in (c["from"], c["to"]))
    if failed:
        en = f"For {many(failed, 'case')} the rules give no value (no row matched, division by zero …)."
        yield "errors", en, f"有 {failed:,} 个案例规则给不出值（无匹配行、除以零等）。"
    if used < FEW_CASES:
        en = f"These numbers rest on {many(used, 'case')}; with fewer than {FEW_CASES} a count can be chance."
        yield "small-sample", en, f"只用了 {used:,} 个案例；少于 {FEW_CASES} 个时，数字可能出于偶然。"
    for key, side, side_zh in (("from", "before", "变更前"), ("to", "after", "变更后")):
        waiting = sum(c["rows"] for c in cells if c[key] == "undetermined")
        if waiting and Fraction(waiting, used) >= MANY_UNDETERMINED:
            en = f"{waiting:,} of {many(used, 'case')} are undetermined {side} the change."
            yield "undetermined", en, f"{side_zh}，{used:,} 个案例中有 {waiting:,} 个没有结论。"
    unset = sorted({n for p in (before, after) for kind, n in read_by(p) if kind == "parameter" and p.parameters[n].unset})
    if unset:
        names = ", ".join(unset)
        yield "unset-parameter", f"Parameters without a value: {names}. Rules that need them stay open.", f"没有取值的参数：{names}。需要它们的规则没有结论。"
    made_up = found["population"]["seed"] is not None  # its boundary cases belong to no segment
    small = [(s["by"], g["value"]) for s in found["segments"] for g in s["groups"] if g["rows"] < FEW_IN_GROUP and not (made_up and g["value"] is None)]
    if small:
        more = " …" if len(small) > 5 else ""
        en, zh = (", ".join(f"{by} {none if value is None else value}" for by, value in small[:5]) + more for none in ("(no value)", "（无取值）"))
        yield "small-segment", f"Groups with fewer than {FEW_IN_GROUP} cases: {en}.", f"案例少于 {FEW_IN_GROUP} 个的分组：{zh}。"
    if found["missing_sampled"]:
        n = found["missing_sampled"]
        en = f"Missing facts are those of {many(n, 'undetermined case')}, drawn by the seed."
        yield "sampled", en, f"缺少的事实只统计了按种子抽取的 {n:,} 个没有结论的案例。"


def of_columns(population: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Columns of a source that are no fact, which may be misspelt; facts that no column gives."""
    unused = sorted(population.get("unused_columns", ()), key=lambda c: c["near"] is None)
    if unused:
        en = [c["column"] + (f" (did you mean {c['near']}?)" if c["near"] else "") for c in unused]
        zh = [c["column"] + (f"（是否应为 {c['near']}？）" if c["near"] else "") for c in unused]
        yield "unused-column", f"Columns that are no fact of this policy were not used: {_few(en)}.", f"以下列不是该政策的事实，未被使用：{_few(zh, '、')}。"
    absent = population.get("facts_without_column", ())
    if absent:
        yield "no-column", f"No column for: {_few(absent)}. Unknown in every case.", f"没有对应列的事实：{_few(absent, '、')}。在所有案例中均为未知。"


def _few(names: Sequence[str], comma: str = ", ") -> str:
    return comma.join(names[:MOST_NAMES]) + (f" … ({len(names)})" if len(names) > MOST_NAMES else "")


def many(n: int, what: str) -> str:
    """`1 case`, `2 cases`."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"
