"""What one would take instead, given the same twelve conditions: each in the quickest form that its own documentation offers.

What the caller of a peer must do with a JSON request (dates and amounts that the peer cannot read itself) is counted; looking up texts for reasons is not.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from benchmarks.twelve import AS_OF, CODES, COOLDOWN, TERM, add_months

Nested = dict[str, dict[str, Any]]


@dataclass(slots=True)
class Peer:
    """A peer in this process: `ask` takes what `given` makes of a request and gives the codes that are violated."""

    name: str
    given: Callable[[Nested], Any]
    ask: Callable[[Any], list[str]]


def in_process() -> tuple[list[Peer], list[str]]:
    """The peers that are installed, and a note for each that is not."""
    found, notes = [], []
    for package, make in (("zen", zen), ("rule_engine", rule_engine), ("durable", durable_rules)):
        if importlib.util.find_spec(package) is None:
            notes.append(f"`{package}` is not installed (benchmarks/requirements.txt): its rows are missing.")
        else:
            found += make()
    return found, notes


# -- zen-engine ----------------------------------------------------------------------------------------------------------------------

ZEN = (
    "partner.verified",
    "not partner.frozen",
    "relation.mode in ['resale', 'consulting_sales']",
    "relation.mode != 'resale' or partner.kind != 'solution_provider'",
    "len(customer.unused) == 0",
    "relation.mode != 'resale' or customer.arrears_amount == 0",
    f"customer.last_request_on == null or d(customer.last_request_on).add('{COOLDOWN}M') <= d(as_of)",
    f"d(as_of) < d(contract.signed_on).add('{TERM}M')",
    "d(partner.level_until) >= d(as_of)",
    "order.amount >= 100.00",
    "'cloud' in partner.roles or order.amount <= 500000.00",
    "order.seats >= 1 and order.seats <= 500 and order.amount - customer.arrears_amount <= 550000.00",
)


def as_numbers(nested: Nested) -> dict[str, Any]:
    """The request as a caller of zen-engine sends it: amounts are JSON numbers."""
    facts: dict[str, Any] = {group: dict(inner) for group, inner in nested.items()}
    for group, name in (("order", "amount"), ("customer", "arrears_amount")):
        if name in facts[group]:
            facts[group][name] = float(facts[group][name])
    facts["as_of"] = AS_OF
    return facts


def zen_graph(expressions: dict[str, str]) -> str:
    """A decision graph (JDM) with one expression node."""
    place = {"x": 0, "y": 0}
    content = {"expressions": [{"id": k, "key": k, "value": v} for k, v in expressions.items()], "passThrough": False}
    return json.dumps({
        "nodes": [
            {"id": "in", "name": "in", "type": "inputNode", "position": place},
            {"id": "rules", "name": "rules", "type": "expressionNode", "position": place, "content": content},
            {"id": "out", "name": "out", "type": "outputNode", "position": place},
        ],
        "edges": [{"id": "a", "sourceId": "in", "targetId": "rules"}, {"id": "b", "sourceId": "rules", "targetId": "out"}],
    })  # fmt: skip


def zen() -> list[Peer]:
    import zen as package

    keys = {code.replace("-", "_"): code for code in CODES}
    graph = package.ZenEngine().create_decision(package.ZenDecisionContent(zen_graph(dict(zip(keys, ZEN, strict=True)))))
    listed = package.compile_expression(f"[{', '.join(ZEN)}]")

    def ask_graph(facts: Any) -> list[str]:
        found = graph.evaluate(facts)["result"]
        return [code for key, code in keys.items() if not found[key]]

    def ask_list(facts: Any) -> list[str]:
        return [code for code, held in zip(CODES, listed.evaluate(facts), strict=True) if not held]

    return [Peer("zen-engine, decision graph", as_numbers, ask_graph), Peer("zen-engine, one compiled expression", as_numbers, ask_list)]


# -- rule-engine ---------------------------------------------------------------------------------------------------------------------

RULE_ENGINE = (
    "verified",
    "not frozen",
    "mode in ['resale', 'consulting_sales']",
    "mode != 'resale' or kind != 'solution_provider'",
    "unused.is_empty",
    "mode != 'resale' or arrears == 0",
    "cooldown_ends == null or cooldown_ends <= as_of",
    "as_of < contract_ends",
    "level_until >= as_of",
    "amount >= 100.00",
    "'cloud' in roles or amount <= 500000.00",
    "seats >= 1 and seats <= 500 and amount - arrears <= 550000.00",
)


def _midnight(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _months_on(text: str, months: int) -> datetime:
    moved = add_months(date.fromisoformat(text), months)
    return datetime(moved.year, moved.month, moved.day, tzinfo=UTC)


def rule_engine() -> list[Peer]:
    import rule_engine as package  # type: ignore[import-untyped]

    rules = [(code, package.Rule(text)) for code, text in zip(CODES, RULE_ENGINE, strict=True)]

    def ask(facts: Any) -> list[str]:
        partner, customer, order = facts["partner"], facts["customer"], facts["order"]
        asked = customer["last_request_on"]
        thing = {
            "verified": partner["verified"], "frozen": partner["frozen"], "mode": facts["relation"]["mode"], "kind": partner["kind"], "roles": partner["roles"],
            "unused": customer["unused"], "arrears": customer["arrears_amount"], "cooldown_ends": None if asked is None else _months_on(asked, COOLDOWN),
            "contract_ends": _months_on(facts["contract"]["signed_on"], TERM), "level_until": _midnight(partner["level_until"]), "amount": order["amount"],
            "seats": order["seats"], "as_of": _midnight(facts["as_of"]),
        }  # fmt: skip
        return [code for code, rule in rules if not rule.matches(thing)]

    return [Peer("rule-engine, 12 rules, flat facts", as_numbers, ask)]


# -- durable_rules as it comes -------------------------------------------------------------------------------------------------------


def durable_rules() -> list[Peer]:
    from durable.engine import Host  # type: ignore[import-untyped]

    class Quiet(Host):  # type: ignore[misc]
        """Without the timer threads of Host, which these rules do not need."""

        def _run(self) -> None:
            pass

    fired: set[str] = set()
    conditions: list[tuple[str, list[dict[str, Any]]]] = [
        (CODES[0], [{"verified": 0}]), (CODES[1], [{"frozen": 1}]), (CODES[2], [{"mode": "referral"}]),
        (CODES[3], [{"mode": "resale"}, {"kind": "solution_provider"}]), (CODES[4], [{"$gt": {"unused": 0}}]),
        (CODES[5], [{"mode": "resale"}, {"$gt": {"arrears": 0}}]), (CODES[6], [{"$gt": {"cooldown_left": 0}}]), (CODES[7], [{"$lte": {"contract_left": 0}}]),
        (CODES[8], [{"$lt": {"level_left": 0}}]), (CODES[9], [{"$lt": {"amount": 100_00}}]), (CODES[10], [{"cloud": 0}, {"$gt": {"amount": 500_000_00}}]),
        (CODES[11], [{"$lt": {"seats": 1}}]), (CODES[11], [{"$gt": {"seats": 500}}]), (CODES[11], [{"$gt": {"net": 550_000_00}}]),
    ]  # fmt: skip

    def rule(code: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
        return {"all": [{"m": {"$and": parts} if len(parts) > 1 else parts[0]}], "run": lambda _: fired.add(code)}

    host = Quiet({"twelve": {f"r{i}": rule(code, parts) for i, (code, parts) in enumerate(conditions)}})

    def ask(facts: Any) -> list[str]:
        fired.clear()
        fact: dict[str, Any] = {"sid": "0", "id": "1", **_as_integers(facts)}
        try:
            host.assert_fact("twelve", fact)
        except Exception as error:
            if "not handled" not in str(error).lower() and type(error).__name__ != "MessageNotHandledException":
                raise
        host.retract_fact("twelve", fact)
        return [code for code in CODES if code in fired]

    return [Peer("durable_rules through its Host", lambda nested: nested, ask)]


def _as_integers(facts: Nested) -> dict[str, Any]:
    """Exact facts for durable_rules: fen and days as integers; what is absent stays out."""
    today = date.fromisoformat(AS_OF)
    partner, customer, order = facts["partner"], facts["customer"], facts["order"]
    asked = customer["last_request_on"]
    arrears = int(customer["arrears_amount"].replace(".", ""))
    found = {
        "verified": int(partner["verified"]), "frozen": int(partner["frozen"]), "kind": partner["kind"], "cloud": int("cloud" in partner["roles"]),
        "level_left": (date.fromisoformat(partner["level_until"]) - today).days, "unused": len(customer["unused"]), "arrears": arrears,
        "cooldown_left": -1 if asked is None else (add_months(date.fromisoformat(asked), COOLDOWN) - today).days, "seats": order["seats"],
    }  # fmt: skip
    if "mode" in facts["relation"]:
        found["mode"] = facts["relation"]["mode"]
    if "signed_on" in facts["contract"]:
        found["contract_left"] = (add_months(date.fromisoformat(facts["contract"]["signed_on"]), TERM) - today).days
    if "amount" in order:
        amount = int(order["amount"].replace(".", ""))
        found |= {"amount": amount, "net": amount - arrears}
    return found


def says(peer: Peer, facts: Nested) -> str:
    """In a few words, what a peer makes of these facts."""
    try:
        codes = peer.ask(peer.given(facts))
    except KeyError:
        return "leaves that to its caller"
    except Exception as error:
        return f"raises {type(error).__name__}"
    return f"says denied ({', '.join(codes)})" if codes else "says allowed"
