"""Small changes to expressions before they are put into words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any

from engine import syntax as s

_OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}


def single(node: s.Node) -> s.Node:
    """`x in [a]` as `x == a`."""
    if isinstance(node, s.Not) and isinstance(node.item, s.In):
        inner = single(node.item)
        return negated(inner) if isinstance(inner, s.Compare) else node
    if isinstance(node, s.In) and isinstance(node.collection, s.ListOf) and len(node.collection.items) == 1:
        return s.Compare(op="==", left=node.item, right=node.collection.items[0])
    return node


def negated(node: s.Node) -> s.Node:
    """The opposite, said without `not` where there is a word for it."""
    if isinstance(node, s.Compare):
        return replace(node, op=_OPPOSITE[node.op])
    return s.Not(item=node)


def rebuilt(node: s.Node, change: Callable[[s.Node], s.Node | None]) -> s.Node:
    """The tree with parts exchanged, from the top."""
    changed = change(node)
    if changed is not None:
        return changed

    def inside(part: Any) -> Any:
        if isinstance(part, s.Node):
            return rebuilt(part, change)
        return tuple(inside(p) for p in part) if isinstance(part, tuple) else part

    return replace(node, **{f.name: inside(getattr(node, f.name)) for f in fields(node) if f.name not in ("type", "place", "nullable")})


def said_with(node: s.Node, shown: dict[str, s.Node]) -> s.Node:
    """The tree with names inside lists exchanged for what they stand for."""
    return rebuilt(node, lambda n: shown.get(n.name) if isinstance(n, s.Variable) else None)


def compared(node: s.Node) -> Iterator[s.Node]:
    """What must not be null for a comparison by order (or of a calculation) to say anything."""
    if isinstance(node, s.Compare) and node.op in ("==", "!=") and not isinstance(node.left, s.Arithmetic):
        return
    if isinstance(node, (s.Compare, s.Call)):
        for part in s.walk(node):
            if isinstance(part, (s.Aggregate, s.Select, s.Each)):
                return
            if isinstance(part, (s.Fact, s.FieldOf, s.Formula)) and part.nullable:
                yield part


def bare(node: s.Node) -> s.Node:
    """The list itself of `coalesce(list, [])`."""
    if isinstance(node, s.If):
        return next((n for n in (node.then, node.otherwise) if not isinstance(n, s.ListOf)), node)
    return node
