"""Small simulations of shipped policies, decided case by case by the engine: realistic summaries to show in a report."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

from engine.check import check_text
from engine.clock import instant
from engine.decide import Program
from engine.types import ROUNDING
from simulations.reading.outcomes import OUTCOMES

POLICIES = Path(__file__).parent.parent / "policies"
AS_OF = instant("2025-06-16")
COOLDOWN, WINDOW = "cooldown_months:         {type: integer, value:", "window_months:           {type: integer, value:"
BILL = "round_half_up(sum(coalesce(x.incentive, 0) for x in item_incentives), 2)"
PERIODS, MONTHS = "^[0-9]{4}(M([1-9]|1[0-2])|Q[1-4])$", "^[0-9]{4}M([1-9]|1[0-2])$"
Amounts = list[tuple[Decimal | None, Decimal | None]]


@dataclass(frozen=True)
class Edit:
    """One change of a rule file: the text that goes and the text that comes."""

    kind: str
    name: str
    before: str | None
    after: str | None
    texts: tuple[tuple[str, str], ...]

    @property
    def unit(self) -> str:
        return f"{self.kind}:{self.name}"


@dataclass(frozen=True)
class Row:
    """One case of a population."""

    case_id: str
    partner: str | None
    segments: dict[str, str | None]
    facts: dict[str, Any]


# -- two simulations ----------------------------------------------------------------------------------------------------------------


@cache
def relation(rows: int = 1200) -> dict[str, Any]:
    """relation-change with both waiting times longer: no money, three outcomes."""
    edits = [
        Edit("parameter", "cooldown_months", "3", "6", ((f"{COOLDOWN} 3", f"{COOLDOWN} 6"),)),
        Edit("parameter", "window_months", "3", "4", ((f"{WINDOW} 3", f"{WINDOW} 4"),)),
    ]
    found = [relation_row(random.Random(f"relation {i}"), i) for i in range(rows)]
    return simulated("relations/relation-change", edits, found, None, ["region", "kind"])


@cache
def rebate(rows: int = 900) -> dict[str, Any]:
    """rebate-calculation with a cap on the ratio, bills that never fall below zero, and quarters no longer accepted: money in every case."""
    cap = (
        ("  rebate_ratio_table:", '  ratio_cap: {type: ratio, value: "0.25"}\n  rebate_ratio_table:'),
        ("i.performance_amount * i.rebate_ratio", "i.performance_amount * min(i.rebate_ratio, parameters.ratio_cap)"),
    )
    edits = [
        Edit("parameter", "ratio_cap", None, "0.25", cap),
        Edit("output", "bill_total", BILL, f"max({BILL}, 0.00)", ((BILL, f"max({BILL}, 0.00)"),)),
        Edit("parameter", "period_pattern", PERIODS, MONTHS, ((f'"{PERIODS}"', f'"{MONTHS}"'),)),
    ]
    found = [rebate_row(random.Random(f"rebate {i}"), i) for i in range(rows)]
    return simulated("incentives/rebate-calculation", edits, found, "bill_total", ["region", "tier"])


def relation_row(chance: random.Random, i: int) -> Row:
    def some_day() -> str | None:
        return None if chance.random() < 0.35 else (date(2025, 6, 16) - timedelta(days=int(chance.expovariate(1 / 150)) + 1)).isoformat()

    def rare() -> bool:
        return chance.random() < 0.01

    facts: dict[str, Any] = {
        "partner.kind": chance.choice(["solution_provider", "solution_provider", "distributor", "cloud_reseller"]),
        "actor.role": "operator" if chance.random() < 0.05 else "partner_admin",
        "action": chance.choice(["dissociate", "switch"]),
        "application.step": "submit",
        "relation.mode": chance.choice(["consulting_sales", "resale"]),
        "customer.belongs_to": "self",
        "customer.last_dissociation_request_on": some_day(),
        "partner.last_application_on": some_day() if chance.random() < 0.4 else None,
        "customer.enterprise_role": "non_custody_sub" if rare() else "none",
        "customer.has_active_reserved_instance": rare(),
        "customer.has_support_plan_product": rare(),
        "customer.pending_partner_payment_orders": int(rare()),
        "customer.arrears_amount": f"{chance.randint(1, 90000) / 100:.2f}" if chance.random() < 0.06 else "0.00",
        "customer.unpaid_invoice_amount": "0.00",
        "customer.cash_balance": f"{chance.randint(1, 900000) / 100:.2f}" if chance.random() < 0.3 else "0.00",
        "customer.balance_needs_special_handling": chance.random() < 0.4,
        "customer.has_special_contract_in_force": rare(),
        "customer.unused_pickup_vouchers": int(rare()),
        "customer.has_framework_commercial_contract": rare(),
        "customer.has_credit_account": rare(),
        "customer.has_unused_stored_value_card": rare(),
        "customer.recharge_bonus_balance": "0.00",
        "customer.designated_contracts": ["offline_direct"] if rare() else [],
        "application.account_check_passed": True,
        "application.notice_accepted": True,
        "application.reason": "the contract has ended",
        "application.verification_code_ok": True,
        "partner.verification_enabled": chance.random() < 0.5,
    }
    for name in ("customer.last_dissociation_request_on", "partner.last_application_on"):
        if chance.random() < 0.03:
            del facts[name]
    partner, region = f"partner-{chance.randint(1, 60):02d}", chance.choice(["华北", "华东", "华南", "西南", "overseas"])
    return Row(f"R{i:05d}", partner, {"region": region, "kind": facts["partner.kind"]}, facts)


def rebate_row(chance: random.Random, i: int) -> Row:
    size = math.exp(chance.gauss(9, 1.3))
    items = []
    for n in range(chance.randint(1, 5)):
        amount = Decimal(int(size * chance.uniform(0.2, 1.2) * 100)) / 100 * (-1 if chance.random() < 0.08 else 1)
        ratio: str | None = chance.choice(["0.05", "0.10", "0.10", "0.15", "0.20", "0.30", "0.40"])
        if chance.random() < 0.01:
            ratio = None
        items.append({
            "performance_id": f"P{i}-{n}", "performance_amount": f"{amount:.2f}", "rebate_ratio": ratio,
            "product.earns_rebate": chance.random() < 0.9, "customer_voucher_used": "0.00" if chance.random() < 0.9 else "12.50",
        })  # fmt: skip
    period = f"2025M{chance.randint(1, 6)}" if chance.random() < 0.96 else chance.choice(["2025Q1", "2025M05"])
    facts: dict[str, Any] = {"partner.kind": "solution_provider", "period": period, "items": items, "estimate_only": False}
    if chance.random() < 0.01:
        del facts["period"]
    tier = "A" if size > 20000 else "B" if size > 6000 else "C"
    where = chance.choice(["华北", "华东", "华南", "西南", None])
    return Row(f"B{i:05d}", chance.choice(["蓝湖科技", "North Wind Ltd", "云启数据", "青石软件"]), {"region": where, "tier": tier}, facts)


# -- from single decisions to the summary --------------------------------------------------------------------------------------------


def simulated(path: str, edits: list[Edit], rows: list[Row], measure: str | None, by: list[str]) -> dict[str, Any]:
    """Decide every row under every combination of the edits and put the summary together."""
    text = (POLICIES / path / "v1.yaml").read_text(encoding="utf-8")
    programs: dict[frozenset[str], Program] = {}
    answers: dict[frozenset[str], list[dict[str, Any]]] = {}
    for n in range(len(edits) + 1):
        for chosen in itertools.combinations(edits, n):
            key = frozenset(e.unit for e in chosen)
            changed = text
            for old, new in (pair for e in chosen for pair in e.texts):
                assert old in changed, f"{path} has changed: {old} is gone"
                changed = changed.replace(old, new)
            programs[key] = Program(check_text(changed))
            answers[key] = [programs[key].check(r.facts, AS_OF) for r in rows]
    none, every = frozenset[str](), frozenset(e.unit for e in edits)
    before, after = answers[none], answers[every]
    amounts = [(_amount(a, measure), _amount(b, measure)) for a, b in zip(before, after, strict=True)]
    flips = Counter((a["outcome"], b["outcome"]) for a, b in zip(before, after, strict=True))
    changed_rows = sum(n for (a, b), n in flips.items() if a != b)
    policy = programs[none].policy
    sides = []
    for key, number, label in ((none, 1, ("version 1", "版本 1")), (every, 2, ("version 2", "版本 2"))):
        p = programs[key].policy
        parameters = {name: "unset" if q.unset else str(q.value) for name, q in p.parameters.items()}
        sides.append({"version": number, "digest": p.digest, "parameters": parameters, "changed": {}, "label": {"en": label[0], "zh": label[1]}})
    shares = {o: shapley(list(every), lambda key, o=o: Fraction(sum(a["outcome"] == o for a in answers[key]))) for o in OUTCOMES}  # type: ignore[misc]
    money_shares = shapley(list(every), lambda key: Fraction(sum((_amount(a, measure) or Decimal(0)) for a in answers[key]))) if measure else {}
    set_aside = [{"reason": "`12.345` has 3 decimals, at most 2 are allowed", "column": "customer.cash_balance", "rows": 17}] if measure is None else []
    return settled({
        "format": 1, "policy": policy.id, "title": policy.model.title.model_dump(), "question": policy.model.question.model_dump(),
        "baseline": sides[0], "candidate": sides[1],
        "changes": [{"unit": e.unit, "kind": e.kind, "name": e.name, "before": e.before, "after": e.after} for e in edits],
        "population": {
            "source": "generated", "digest": "sha256:" + "5e" * 32, "rows": len(rows) + (17 if set_aside else 0), "used": len(rows),
            "set_aside": 17 if set_aside else 0, "as_of": AS_OF.isoformat(), "seed": 7, "reasons": set_aside,
        },
        "flips": {
            "cells": [{"from": a, "to": b, "rows": n} for (a, b), n in sorted(flips.items())],
            "changed": changed_rows, "share": _exact(Fraction(changed_rows, len(rows)), "0.0001"),
        },
        "paid": ["allowed"],
        "measures": [money(measure, rows, before, after, amounts)] if measure else [],
        "segments": [segment(name, rows, before, after, amounts, measure is not None) for name in by],
        "attribution": {
            "method": "shapley",
            "units": [
                {
                    "unit": e.unit, "outcomes": {o: _exact(shares[o][e.unit], "0.01") for o in OUTCOMES},
                    "changes": {measure: _exact(money_shares[e.unit], "0.01")} if measure else {},
                }
                for e in edits
            ],
        },
        "rules": rule_counts(programs[every], before, after), "unknown_rules": [], "missing": missing(before, after), "missing_sampled": None, "errors": [],
        "examples": examples(programs[none], programs[every], rows, before, after),
        "labels": {n: {"en": f.note, "zh": f.zh} for n, f in policy.model.facts.items() if f.note or f.zh},
        "warnings": warnings(set_aside != [], len(rows)),
        "made": {"product": "0.1.0", "duckdb": "2.0.0", "command": f"policy simulate {policy.id} --to 2 --rows {len(rows)} --seed 7"},
    })  # fmt: skip


def settled(summary: dict[str, Any]) -> dict[str, Any]:
    """The rounded parts made to add up: the last unit takes the rest."""
    found, cells = summary["attribution"], summary["flips"]["cells"]
    units = found["units"]
    found["outcomes_total"] = {o: sum(c["rows"] * ((c["to"] == o) - (c["from"] == o)) for c in cells) for o in OUTCOMES}
    for o, net in found["outcomes_total"].items():
        units[-1]["outcomes"][o] = str(net - sum(Decimal(u["outcomes"][o]) for u in units[:-1]))
    found["changes_total"] = {m["name"]: m["change"] for m in summary["measures"]}
    for name, change in found["changes_total"].items():
        units[-1]["changes"][name] = str(Decimal(change) - sum(Decimal(u["changes"][name]) for u in units[:-1]))
    return summary


def shapley(units: list[str], worth: Callable[[frozenset[str]], Fraction]) -> dict[str, Fraction]:
    """The mean over all orders of what each unit adds."""
    orders = list(itertools.permutations(sorted(units)))
    found = dict.fromkeys(units, Fraction(0))
    for order in orders:
        for i, unit in enumerate(order):
            found[unit] += worth(frozenset(order[: i + 1])) - worth(frozenset(order[:i]))
    return {unit: total / len(orders) for unit, total in found.items()}


def money(name: str, rows: list[Row], before: list[Any], after: list[Any], amounts: Amounts) -> dict[str, Any]:
    paired = zip(rows, before, after, amounts, strict=True)
    moved = [(r, a, b, b - a, x["outcome"], y["outcome"]) for r, x, y, (a, b) in paired if a is not None and b is not None]

    def tell(m: tuple[Row, Decimal, Decimal, Decimal, str, str]) -> dict[str, Any]:
        row, a, b, change, was, now = m
        return {"case_id": row.case_id, "partner": row.partner, "before": str(a), "after": str(b), "change": str(change), "from": was, "to": now}

    ordered = sorted(moved, key=lambda m: (-m[3], m[0].case_id))
    gain, loss = [m[3] for m in moved if m[3] > 0], [m[3] for m in moved if m[3] < 0]
    edges = _edges([x for m in moved for x in (m[1], m[2])])
    return {
        "name": name, "unit": "CNY",
        "before": str(sum(a for a, _ in amounts if a is not None)), "after": str(sum(b for _, b in amounts if b is not None)),
        "change": str(sum((b or 0) - (a or 0) for a, b in amounts)),
        "determined_before": sum(a is not None for a, _ in amounts), "determined_after": sum(b is not None for _, b in amounts),
        "gain": {"rows": len(gain), "amount": str(sum(gain, Decimal("0.00")))}, "loss": {"rows": len(loss), "amount": str(sum(loss, Decimal("0.00")))},
        "histogram": {
            "change": _bins(_edges([*gain, *loss]), [*gain, *loss]),
            "before": _bins(edges, [m[1] for m in moved]), "after": _bins(edges, [m[2] for m in moved]),
        },
        "gainers": [tell(m) for m in ordered[:10] if m[3] > 0], "losers": [tell(m) for m in ordered[::-1][:10] if m[3] < 0],
    }  # fmt: skip


def segment(name: str, rows: list[Row], before: list[Any], after: list[Any], amounts: Amounts, paid: bool) -> dict[str, Any]:
    groups = []
    for value in sorted({r.segments[name] for r in rows}, key=str):
        inside = [i for i, r in enumerate(rows) if r.segments[name] == value]
        flips = [(before[i]["outcome"], after[i]["outcome"]) for i in inside]
        a, b = (sum((amounts[i][k] or Decimal("0.00") for i in inside), Decimal("0.00")) for k in (0, 1))
        groups.append({
            "value": value, "rows": len(inside), "changed": sum(x != y for x, y in flips),
            "more_allowed": sum(x != "allowed" == y for x, y in flips), "less_allowed": sum(x == "allowed" != y for x, y in flips),
            "before": str(a) if paid else None, "after": str(b) if paid else None, "change": str(b - a) if paid else None,
        })  # fmt: skip
    return {"by": name, "groups": groups, "others": 0}


def rule_counts(program: Program, before: list[Any], after: list[Any]) -> list[dict[str, Any]]:
    found = []
    for rule in program.policy.requirements:
        counted = Counter(tuple(_told(answer, rule.code) for answer in pair) for pair in zip(before, after, strict=True))
        found.append({
            "code": rule.code, "effect": rule.effect, "before": counted[True, True] + counted[True, False], "after": counted[True, True] + counted[False, True],
            "newly": counted[False, True], "no_longer": counted[True, False], "reason": rule.reason and rule.reason.model_dump(),
        })  # fmt: skip
    return found


def missing(before: list[Any], after: list[Any]) -> list[dict[str, Any]]:
    counts = [Counter(name for answer in answers if answer["outcome"] == "undetermined" for name in answer["missing"]) for answers in (before, after)]
    return [{"fact": name, "before": counts[0][name], "after": counts[1][name]} for name in sorted(counts[0] | counts[1])]


def examples(base: Program, new: Program, rows: list[Row], before: list[Any], after: list[Any]) -> list[dict[str, Any]]:
    """Two of each kind of flip."""
    found, seen = [], Counter[tuple[str, str]]()
    for row, a, b in zip(rows, before, after, strict=True):
        kind = (a["outcome"], b["outcome"])
        if kind[0] != kind[1] and seen[kind] < 2:
            seen[kind] += 1
            asked = [p.check(row.facts, AS_OF, trace=True) for p in (base, new)]
            case = {"from": kind[0], "to": kind[1], "case_id": row.case_id, "facts": row.facts, "as_of": AS_OF.isoformat()}
            found.append({**case, "baseline": asked[0], "candidate": asked[1]})
    return found


def warnings(set_aside: bool, rows: int) -> list[dict[str, Any]]:
    found = [{"kind": "small-sample", "en": f"Only {rows} cases were used.", "zh": f"只用了 {rows} 个案例。"}]
    if set_aside:
        found.append({"kind": "set-aside", "en": "17 rows did not fit and were set aside.", "zh": "17 行不符合要求，已搁置。"})
    return found


def _told(answer: dict[str, Any], code: str) -> bool:
    return any(r["code"] == code for r in [*answer["reasons"], *answer["warnings"]])


def _amount(answer: dict[str, Any], measure: str | None) -> Decimal | None:
    """What the answer pays: nothing where it is no, open where it is open."""
    if measure is None or answer["outcome"] == "undetermined":
        return None
    if answer["outcome"] != "allowed":
        return Decimal("0.00")
    return None if answer["outputs"][measure] is None else Decimal(answer["outputs"][measure])


def _exact(value: Fraction, place: str) -> str:
    with localcontext(ROUNDING):
        return str((Decimal(value.numerator) / Decimal(value.denominator)).quantize(Decimal(place)))


def _edges(values: list[Decimal]) -> list[Decimal]:
    """Edges of 5 or 6 uneven bins a side: 1, 2, 5, 10 … so that a long tail does not flatten the rest."""
    steps = [Decimal(f"{m}e{p}") for p in range(2, 7) for m in (1, 2, 5)]
    low, high = min(values, default=Decimal(0)), max(values, default=Decimal(0))
    down = [-s for i, s in enumerate(steps) if low < 0 and (i == 0 or -steps[i - 1] > low)]
    up = [s for i, s in enumerate(steps) if high > 0 and (i == 0 or steps[i - 1] < high)]
    return [*reversed(down), Decimal(0), *up]


def _bins(edges: list[Decimal], values: list[Decimal]) -> list[dict[str, Any]]:
    pairs = list(itertools.pairwise(edges))
    return [
        {"low": f"{a:f}", "high": f"{b:f}", "rows": sum(a <= v < b or (v == b == edges[-1]) for v in values)}
        for a, b in pairs
    ]  # fmt: skip
