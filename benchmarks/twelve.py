"""The policy that everything is measured with: twelve requirements, written for the service; facts for it; and what they must lead to, in plain Python."""

from __future__ import annotations

import calendar
import random
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from engine.types import SHANGHAI

POLICY = "relation-switch"
AS_OF = "2025-06-17"
TODAY = date(2025, 6, 17)
MOMENT = datetime(2025, 6, 17, tzinfo=SHANGHAI)
MODES = ("resale", "consulting_sales", "referral")
KINDS = ("reseller", "distributor", "solution_provider")
ROLES = ("cloud", "software", "service", "training")
UNUSED = ("vouchers", "coupons", "quota")
COOLDOWN, TERM = 3, 24
FLOOR, CEILING, CREDIT = Decimal("100.00"), Decimal("500000.00"), Decimal("50000.00")

CODES = (
    "partner-not-verified", "partner-frozen", "mode-not-open", "kind-not-for-resale", "unused-benefits-left", "resale-arrears",
    "request-cooldown", "contract-ended", "level-expired", "amount-below-floor", "amount-above-ceiling", "seats-out-of-range",
)  # fmt: skip

_RULES: tuple[tuple[str | None, str], ...] = (
    (None, "partner.verified"),
    (None, "not partner.frozen"),
    (None, "relation.mode in [resale, consulting_sales]"),
    ("relation.mode == resale", "partner.kind != solution_provider"),
    (None, "empty(customer.unused)"),
    ("relation.mode == resale", "customer.arrears_amount == 0"),
    (None, "customer.last_request_on is null or date(as_of) >= add_months(customer.last_request_on, parameters.cooldown)"),
    (None, "date(as_of) < add_months(contract.signed_on, parameters.term)"),
    (None, "partner.level_until >= date(as_of)"),
    (None, "order.amount >= parameters.floor"),
    ("not (cloud in partner.roles)", "order.amount <= parameters.ceiling"),
    (None, "1 <= order.seats <= 500 and order.amount - customer.arrears_amount <= parameters.ceiling + parameters.credit"),
)

_HEAD = f"""\
policy: {POLICY}
version: 1
title: {{en: Switch a customer relation, zh: 切换客户关联}}
family: relations
form: check
question: {{en: May this partner switch its relation with this customer now?, zh: 伙伴现在可以切换与该客户的关联吗？}}
effective: {{from: 2025-01-16}}
source: {{document: benchmark, section: "1"}}
parameters:
  cooldown: {{type: integer, value: {COOLDOWN}}}
  term: {{type: integer, value: {TERM}}}
  floor: {{type: money, value: "{FLOOR}"}}
  ceiling: {{type: money, value: "{CEILING}"}}
  credit: {{type: money, value: "{CREDIT}"}}
facts:
  relation.mode: {{type: enum, values: [{", ".join(MODES)}]}}
  partner.kind: {{type: enum, values: [{", ".join(KINDS)}]}}
  partner.verified: {{type: bool}}
  partner.frozen: {{type: bool}}
  partner.roles: {{type: set of enum, values: [{", ".join(ROLES)}]}}
  partner.level_until: {{type: date}}
  customer.arrears_amount: {{type: money}}
  customer.unused: {{type: set of enum, values: [{", ".join(UNUSED)}]}}
  customer.last_request_on: {{type: date, nullable: true}}
  contract.signed_on: {{type: date}}
  order.amount: {{type: money}}
  order.seats: {{type: integer}}
requirements:
"""


def requirement(code: str, when: str | None, require: str) -> str:
    """One requirement as the rule file has it, with texts of the usual length and a placeholder."""
    guard = f"    when: {when}\n" if when else ""
    return (
        f"  - code: {code}\n{guard}    require: {require}\n    effect: deny\n"
        "    reason:\n"
        "      en: 'The relation of mode {relation.mode} cannot be switched: a condition is not met.'\n"
        "      zh: '{relation.mode} 模式的关联不能切换：有条件未满足。'\n"
        "    remedy: {en: Settle it in the partner centre and ask again., zh: 请在伙伴中心处理后重新申请。}\n"
        '    source: {section: "10.4.1.5"}\n'
    )


def rule_file() -> str:
    """The policy of twelve requirements."""
    return _HEAD + "".join(requirement(code, when, require) for code, (when, require) in zip(CODES, _RULES, strict=True))


def long_rule_file(count: int) -> str:
    """The same facts under `count` requirements, no two alike."""
    lines = [_HEAD]
    for i in range(count):
        when, require = _RULES[i % len(_RULES)]
        turn = i // len(_RULES)
        if turn:
            require = f"({require}) or order.seats == {1000 + i}"
        lines.append(requirement(f"{CODES[i % len(CODES)]}-{turn}", when, require))
    return "".join(lines)


def write(root: Path, text: str | None = None) -> Path:
    """Put the policy into a folder of rule files."""
    path = root / "relations" / POLICY / "v1.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text or rule_file(), encoding="utf-8")
    return path


@dataclass(frozen=True, slots=True)
class Facts:
    """One case: as JSON sends it (`nested`), and which requirements it must violate."""

    nested: dict[str, dict[str, Any]]
    violated: tuple[str, ...]

    @property
    def outcome(self) -> str:
        return "denied" if self.violated else "allowed"


def add_months(day: date, months: int) -> date:
    """Calendar months, clamped to the month's end."""
    turn = day.year * 12 + day.month - 1 + months
    year, month = turn // 12, turn % 12 + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def judge(facts: dict[str, dict[str, Any]]) -> tuple[str, ...]:
    """The codes that these facts violate."""
    partner, customer, order = facts["partner"], facts["customer"], facts["order"]
    resale = facts["relation"]["mode"] == "resale"
    amount, arrears = Decimal(order["amount"]), Decimal(customer["arrears_amount"])
    asked = customer["last_request_on"]
    violated = (
        not partner["verified"],
        partner["frozen"],
        facts["relation"]["mode"] == "referral",
        resale and partner["kind"] == "solution_provider",
        bool(customer["unused"]),
        resale and arrears != 0,
        asked is not None and add_months(date.fromisoformat(asked), COOLDOWN) > TODAY,
        add_months(date.fromisoformat(facts["contract"]["signed_on"]), TERM) <= TODAY,
        date.fromisoformat(partner["level_until"]) < TODAY,
        amount < FLOOR,
        "cloud" not in partner["roles"] and amount > CEILING,
        not 1 <= order["seats"] <= 500 or amount - arrears > CEILING + CREDIT,
    )
    return tuple(code for code, hit in zip(CODES, violated, strict=True) if hit)


def passing(chance: random.Random) -> Facts:
    """Facts that violate nothing; amounts, dates, seats, roles and modes vary."""
    mode = chance.choice(MODES[:2])
    facts: dict[str, dict[str, Any]] = {
        "relation": {"mode": mode},
        "partner": {
            "kind": chance.choice(KINDS[:2]), "verified": True, "frozen": False, "roles": chance.sample(ROLES, chance.randint(0, 4)),
            "level_until": _day(chance, 0, 700),
        },
        "customer": {
            "arrears_amount": "0.00" if mode == "resale" else _amount(chance, 0, 9_000_00), "unused": [],
            "last_request_on": None if chance.random() < 0.3 else _day(chance, -700, -100),
        },
        "contract": {"signed_on": _day(chance, -700, -1)},
        "order": {"amount": _amount(chance, 100_00, 500_000_00), "seats": chance.randint(1, 500)},
    }  # fmt: skip
    return _judged(facts, 0)


#: What makes one requirement fail, where it does not touch another.
_BREAK: dict[str, tuple[str, str, Any]] = {
    "partner-not-verified": ("partner", "verified", False),
    "partner-frozen": ("partner", "frozen", True),
    "unused-benefits-left": ("customer", "unused", ["coupons", "quota"]),
    "request-cooldown": ("customer", "last_request_on", "2025-03-18"),
    "contract-ended": ("contract", "signed_on", "2023-06-17"),
    "level-expired": ("partner", "level_until", "2025-06-16"),
    "amount-below-floor": ("order", "amount", "99.99"),
    "seats-out-of-range": ("order", "seats", 501),
}


def violating(chance: random.Random, count: int = 3) -> Facts:
    """Facts that violate `count` requirements, ever different ones."""
    facts = passing(chance).nested
    for code in chance.sample(sorted(_BREAK), count):
        group, name, value = _BREAK[code]
        facts[group][name] = value
    return _judged(facts, count)


def anything(chance: random.Random) -> Facts:
    """Facts of every kind, boundaries included."""
    facts = passing(chance).nested
    days = ["2025-03-17", "2025-03-18", "2023-06-17", "2023-06-18", "2025-06-16", "2025-06-17", "2025-02-28", "2024-02-29", "2024-12-31", "2023-01-31"]
    amounts = ["0.00", "99.99", "100.00", "500000.00", "500000.01", "550000.00", "550000.01", "0.01"]
    changes: list[tuple[str, str, Any]] = [
        ("relation", "mode", chance.choice(MODES)), ("partner", "kind", chance.choice(KINDS)), ("partner", "verified", chance.random() < 0.7),
        ("partner", "frozen", chance.random() < 0.3), ("partner", "level_until", chance.choice(days)), ("customer", "arrears_amount", chance.choice(amounts)),
        ("customer", "unused", chance.sample(UNUSED, chance.randint(0, 3))), ("customer", "last_request_on", chance.choice([None, *days])),
        ("contract", "signed_on", chance.choice(days)), ("order", "amount", chance.choice(amounts)), ("order", "seats", chance.choice([0, 1, 500, 501])),
    ]  # fmt: skip
    for group, name, value in chance.sample(changes, chance.randint(0, 4)):
        facts[group][name] = value
    return Facts(facts, judge(facts))


#: Three facts taken away: an amount, a date, an enum that guards other rules.
ABSENT = (("order", "amount"), ("contract", "signed_on"), ("relation", "mode"))


def without_three(facts: Facts) -> dict[str, dict[str, Any]]:
    """The facts without an amount, a date and the enum that guards two rules."""
    nested = {group: dict(inner) for group, inner in facts.nested.items()}
    for group, name in ABSENT:
        del nested[group][name]
    return nested


def _judged(facts: dict[str, dict[str, Any]], count: int) -> Facts:
    violated = judge(facts)
    assert len(violated) == count, (violated, facts)
    return Facts(facts, violated)


def _amount(chance: random.Random, low: int, high: int) -> str:
    fen = chance.randint(low, high)
    return f"{fen // 100}.{fen % 100:02d}"


def _day(chance: random.Random, low: int, high: int) -> str:
    return (TODAY + timedelta(days=chance.randint(low, high))).isoformat()
