"""What the rules of a policy would like each fact to be: most real cases are in order, so a population without a declaration leans that way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine import syntax as s
from engine.policy import Policy

#: A wish: the fact (a field as `.name`), whether the values are wanted or not, and the values. An empty tuple among them stands for an empty list.
Wish = tuple[str, bool, frozenset[Any]]


def leanings(policy: Policy) -> dict[str, Wish]:
    """One wish a fact: the values that no requirement refuses, as far as plain conditions tell. Facts that two rules want otherwise have none."""
    good: dict[str, frozenset[Any]] = {}
    bad: dict[str, frozenset[Any]] = {}
    for r in policy.requirements:
        if r.effect == "warn":
            continue
        node, positive = (r.require, True) if r.require is not None else (r.when, False)
        for name, wanted, values in _wishes(node, positive, policy) if node is not None else ():
            if wanted:
                good[name] = good[name] & values if name in good else values
            else:
                bad[name] = bad.get(name, frozenset()) | values
    found: dict[str, Wish] = {name: (name, False, values) for name, values in bad.items()}
    found |= {name: (name, True, values - bad.get(name, frozenset())) for name, values in good.items()}
    return {name: wish for name, wish in found.items() if wish[2]}


def _wishes(node: s.Node, positive: bool, policy: Policy) -> Iterator[Wish]:
    """What makes a condition hold (or, not positive, fail)."""
    if isinstance(node, s.Not):
        yield from _wishes(node.item, not positive, policy)
    elif (isinstance(node, s.And) and positive) or (isinstance(node, s.Or) and not positive):
        for item in node.items:
            yield from _wishes(item, positive, policy)
    elif isinstance(node, s.Formula) and node.name in policy.values:
        yield from _wishes(policy.values[node.name].node, positive, policy)
    elif isinstance(node, s.Aggregate) and node.function == ("all" if positive else "any") and node.value is not None:
        yield from _wishes(node.value, positive, policy)
    elif isinstance(node, s.IsNull) and (name := _name(node.item)):
        yield name, positive, frozenset([None])
    elif isinstance(node, (s.Fact, s.FieldOf)) and (name := _name(node)):
        yield name, True, frozenset([positive])
    elif isinstance(node, s.Call) and node.function in ("empty", "intersects") and (name := _name(node.arguments[0])):
        if positive == (node.function == "empty"):
            yield name, True, frozenset([()])
    elif isinstance(node, s.In) and (name := _name(node.item)) and (fixed := _fixed(node.collection, policy)):
        yield name, positive, frozenset(fixed)
    elif isinstance(node, s.Compare) and (name := _name(node.left)) and isinstance(node.right, s.Const):
        if node.op in ("==", "!="):
            yield name, positive == (node.op == "=="), frozenset([node.right.value])
        elif node.op == ">" and not positive and node.right.value == 0:
            yield name, True, frozenset([0])


def _name(node: s.Node) -> str | None:
    if isinstance(node, s.Fact):
        return node.name
    return f".{node.name}" if isinstance(node, s.FieldOf) else None


def _fixed(node: s.Node, policy: Policy) -> tuple[Any, ...]:
    """The values of a set that is written out, or of a parameter."""
    if isinstance(node, s.ListOf):
        return tuple(i.value for i in node.items if isinstance(i, s.Const))
    value = node.value if isinstance(node, s.Const) else policy.parameters[node.name].value if isinstance(node, s.Parameter) else ()
    return value if isinstance(value, tuple) else ()
