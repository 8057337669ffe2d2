"""The full trace of a decision: every rule and value with the conditions it was made of, their values, and where they stand in the rule file."""

from __future__ import annotations

from typing import Any

from engine import syntax as s
from engine.emit import Emitter
from engine.functions import to_date
from engine.plan import Plan
from engine.policy import Policy
from engine.result import Result
from engine.tables import TableIndex
from engine.types import RecordType, plain
from engine.unknown import Unknown, unknown_parts
from engine.unparse import text

MAX_ITEMS = 50


def trace(policy: Policy, plan: Plan, tables: dict[str, TableIndex], result: Result) -> dict[str, Any]:
    """The decision once more, with every part of every condition written down: `rules` in the order of the file, then `values`."""
    emitter = Emitter(policy, plan, tables, known=False, traced=True)
    run = emitter.function()
    seen: dict[int, Any] = {}

    def note(number: int, value: Any) -> Any:
        seen[number] = value
        return value

    rules, outcome, values = run(result.slots, result.moment, to_date(result.moment), note)
    found: dict[s.Node, Any] = {}
    for number, value in seen.items():
        found.setdefault(emitter.traced_nodes[number], value)
    told = []
    for rule, state in zip(plan.rules, rules, strict=True):
        entry: dict[str, Any] = {"code": rule.code, "effect": rule.effect, "state": _state(rule, state, found), "line": rule.place.line}
        entry["parts"] = [_part(n, found) for n in (rule.guard, rule.require) if n is not None] or [_part(rule.condition, found)]
        told.append(entry)
    given = []
    for (name, node), value in zip(plan.values.items(), values, strict=True):
        entry = {"name": name, "value": _shown(value, node), "line": node.place.line}
        if isinstance(node, s.First):
            entry["matched"] = _matched(node, found)
        else:
            entry["parts"] = [_part(child, found) for child in s.children(node) if not isinstance(node, (s.Each, s.SetOf))]
        given.append(entry)
    used = {n.name: p for root in _roots(plan) for n in s.walk(root) if isinstance(n, s.Parameter) and (p := policy.parameters[n.name])}
    parameters = {name: None if p.unset else (p.value if isinstance(p.value, dict) else plain(p.value, p.type)) for name, p in sorted(used.items())}
    return {"outcome": "undetermined" if type(outcome) is Unknown else outcome, "rules": told, "values": given, "parameters": parameters}


def _roots(plan: Plan) -> list[s.Node]:
    return [*(r.condition for r in plan.rules), *plan.values.values()]


def _state(rule: Any, state: Any, found: dict[s.Node, Any]) -> str:
    if type(state) is Unknown:
        return "unknown"
    if rule.effect == "transition":
        return "applies" if state else "does not apply"
    if state:
        return "violated"
    if rule.guard is not None and _value(rule.guard, found) is False:
        return "not applicable"
    return "satisfied"


def _value(node: s.Node, found: dict[s.Node, Any]) -> Any:
    """The value of a condition: traced itself, or put together from its traced parts."""
    if node in found:
        return found[node]
    if isinstance(node, s.Const):
        return node.value
    if isinstance(node, s.Not):
        inner = _value(node.item, found)
        return inner if type(inner) is Unknown or inner is None else not inner
    if isinstance(node, (s.And, s.Or)):
        parts = [_value(i, found) for i in node.items]
        decisive = isinstance(node, s.Or)
        if decisive in parts:
            return decisive
        open_ = [p for p in parts if type(p) is Unknown]
        return open_[0] if open_ else not decisive
    return None


def _part(node: s.Node, found: dict[s.Node, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = {"text": text(node), "value": _shown(_value(node, found), node)}
    if isinstance(node, (s.And, s.Or, s.Not, s.Compare, s.If, s.Arithmetic, s.Call, s.In)):
        parts = [_part(c, found) for c in s.children(node) if not isinstance(c, (s.Const, s.ListOf))]
        if parts:
            entry["parts"] = parts
    return entry


def _matched(node: s.First, found: dict[s.Node, Any]) -> Any:
    """Which line gave the value: its codes and the line of the rule file."""
    for line in node.lines:
        held = True if line.when is None else _value(line.when, found)
        if held is True:
            return {"codes": list(line.codes), "line": line.place.line}
        if type(held) is Unknown:
            return {"undecided at line": line.place.line}
    return None


def _shown(value: Any, node: s.Node) -> Any:
    part = unknown_parts(value)
    if part is not None:
        return {"unknown": sorted(part.paths | {f"parameters.{u}" for u in part.unset})}
    if isinstance(value, tuple) and len(value) > MAX_ITEMS:
        return f"{len(value)} items"
    if isinstance(node.type, RecordType) or not isinstance(value, tuple):
        try:
            return plain(value, node.type)
        except (TypeError, ValueError, AttributeError):
            return str(value)
    return plain(value, node.type)
