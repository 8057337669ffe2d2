"""The typer of one expression: it hands each part to the kind of syntax that it is, tells faults with their places, and keeps null from where it may not be."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from engine import syntax as s
from engine.errors import Place
from engine.parsing import LANGUAGE, ExpressionFault
from engine.scope import Scope, key_of
from engine.types import BOOL, BoolType, NullType, NumberType, Type


class Typer:
    """Types one parsed expression. `kinds` says for each kind of syntax how it is typed: from the tree, the names, and the type that is expected."""

    def __init__(self, text: str, start: int, place: Callable[[int], Place], kinds: Kinds) -> None:
        """`start`: the offset of the text in its scalar; `place` gives the place of an offset."""
        self.text, self.start = text, start
        self.at, self.kinds = place, kinds

    # -- faults and places ---------------------------------------------------------------------------------------------------------

    def offset(self, tree: ast.AST) -> int:
        return self.start + int(getattr(tree, "col_offset", 0))

    def fault(self, tree: ast.AST, message: str, help: str | None = None) -> ExpressionFault:
        return ExpressionFault(self.offset(tree), message, help)

    def refused(self, tree: ast.AST, shown: str) -> ExpressionFault:
        return self.fault(tree, f"`{shown}` is not part of the rule language", LANGUAGE)

    def place(self, tree: ast.AST) -> Place:
        return self.at(self.offset(tree))

    # -- parts ---------------------------------------------------------------------------------------------------------------------

    def typed(self, tree: ast.expr, scope: Scope, expect: Type | None = None) -> s.Node:
        """A part of any type; `expect` helps to read it and is not enforced. Raises ExpressionFault."""
        kind = self.kinds.get(type(tree))
        if kind is None:
            raise self.refused(tree, ast.unparse(tree)[:60])
        return kind(self, tree, scope, expect)

    def condition(self, tree: ast.expr, scope: Scope) -> s.Node:
        node = self.typed(tree, scope, BOOL)
        if not isinstance(node.type, BoolType):
            raise self.fault(tree, f"expected a condition, got {node.type}", "compare it with something")
        return self.present(tree, node)

    def number(self, tree: ast.expr, scope: Scope) -> s.Node:
        node = self.present(tree, self.typed(tree, scope))
        if not isinstance(node.type, NumberType):
            raise self.fault(tree, f"expected a number, got {node.type}", "use `add_days`, `days_between` for dates")
        return node

    def present(self, tree: ast.expr, node: s.Node) -> s.Node:
        """The node, which may not be null where it stands."""
        if node.nullable or isinstance(node.type, NullType):
            shown = ast.unparse(tree)
            raise self.fault(tree, f"`{shown}` may be null here", f"test `{shown} is not null` first, or use `coalesce({shown}, …)`")
        return node

    def narrowed(self, node: s.Node, scope: Scope) -> s.Node:
        """The node, without its null where that is known not to be."""
        return replace(node, nullable=False) if node.nullable and key_of(node) in scope.known else node


#: How each kind of syntax is typed.
Kinds = Mapping[type[ast.expr], Callable[[Typer, Any, Scope, Type | None], s.Node]]


def dotted(tree: ast.expr) -> str | None:
    """The dotted name that a tree is, or None."""
    if isinstance(tree, ast.Name):
        return tree.id
    if isinstance(tree, ast.Attribute):
        head = dotted(tree.value)
        return None if head is None else f"{head}.{tree.attr}"
    return None
