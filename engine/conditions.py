"""What a requirement fires on, what a policy reads, and expressions with their formulas written out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from engine import syntax as s
from engine.ordering import in_order
from engine.policy import Policy, RequirementDef, ValueDef

#: Limits of an expression with its formulas written out: formulas that use each other twice grow without bounds.
MAX_PARTS = 10_000
MAX_DEPTH = 150


class TooLarge(Exception):
    """An expression would grow beyond the limits when its formulas are written out."""


def fired(r: RequirementDef) -> s.Node:
    """The condition under which a requirement fires."""
    if r.when is None and r.require is None:
        return s.Const(value=True)
    if r.require is None:
        assert r.when is not None
        return r.when
    broken = s.Not(item=r.require, place=r.require.place)
    return broken if r.when is None else s.And(items=(r.when, broken), place=r.when.place)


class WrittenOut:
    """Writes formulas out into expressions: all of them, or, if a fact is given, those that rest on it, with the fact replaced by a value."""

    def __init__(self, values: Mapping[str, ValueDef], fact: str | None = None, value: s.Node | None = None) -> None:
        self.fact, self.value = fact, value
        self.formulas: dict[str, s.Node] = {}
        self.sizes: dict[str, tuple[int, int]] = {}
        order, _ = in_order({name: _formulas_in(v.node) for name, v in values.items()})
        for name in order:
            if name in values and (fact is None or self._rests(values[name].node)):
                self.formulas[name] = self.node(values[name].node)
                self.sizes[name] = self._size(values[name].node)

    def node(self, node: s.Node) -> s.Node:
        """The expression written out. Raises TooLarge."""
        parts, depth = self._size(node)
        if parts > MAX_PARTS or depth > MAX_DEPTH:
            raise TooLarge
        return self._rebuilt(node)

    def _rests(self, node: s.Node) -> bool:
        return any((isinstance(n, s.Fact) and n.name == self.fact) or (isinstance(n, s.Formula) and n.name in self.formulas) for n in s.walk(node))

    def _rebuilt(self, node: s.Node) -> s.Node:
        if isinstance(node, s.Fact) and node.name == self.fact and self.value is not None:
            return self.value
        if isinstance(node, s.Formula) and node.name in self.formulas:
            return self.formulas[node.name]
        return replace(node, **{f.name: self._inside(getattr(node, f.name)) for f in fields(node) if f.name not in ("type", "place", "nullable")})

    def _inside(self, part: Any) -> Any:
        if isinstance(part, s.Node):
            return self._rebuilt(part)
        return tuple(self._inside(p) for p in part) if isinstance(part, tuple) else part

    def _size(self, node: s.Node) -> tuple[int, int]:
        """How many parts, and how deep, the expression is when it is written out."""
        if isinstance(node, s.Formula) and node.name in self.sizes:
            return self.sizes[node.name]
        below = [self._size(child) for child in s.children(node)]
        return 1 + sum(parts for parts, _ in below), 1 + max((depth for _, depth in below), default=0)


def _formulas_in(node: s.Node) -> list[str]:
    return [n.name for n in s.walk(node) if isinstance(n, s.Formula)]


def read_by(policy: Policy) -> set[tuple[str, str]]:
    """("fact" | "parameter", name) of all that any expression of the policy reads."""
    roots = [v.node for v in policy.values.values()]
    roots += [n for r in policy.requirements for n in (r.when, r.require) if n is not None]
    roots += [n for f in policy.facts.values() if f.origin for _, n in f.origin.bindings]
    found: set[tuple[str, str]] = set()
    if policy.machine:
        roots += [t.when for t in policy.machine.transitions if t.when is not None]
        found |= {("fact", n) for n in (policy.machine.state, policy.machine.event, policy.machine.actor) if n}
    for root in roots:
        for node in s.walk(root):
            if isinstance(node, s.Fact):
                found.add(("fact", node.name))
            elif isinstance(node, s.Parameter):
                found.add(("parameter", node.name))
    return found
