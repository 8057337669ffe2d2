"""Typing an expression: a whitelist of Python's expression syntax, typed against the names of the policy.

Nothing of the text is ever run. Every fault names its place, what was expected, and the nearest known name. Each kind of syntax is typed in the
module of its name; what all of them share is the typer (engine/typer.py).
"""

from __future__ import annotations

import ast
from collections.abc import Callable

from engine import calls, comparisons, constants, operators, references
from engine import syntax as s
from engine.errors import Place
from engine.parsing import parsed
from engine.scope import Scope
from engine.typer import Kinds, Typer
from engine.types import Type

#: All that an expression may be made of. Whatever is not here is not part of the rule language.
SYNTAX: Kinds = {
    ast.Constant: constants.constant,
    ast.Name: references.name,
    ast.Attribute: references.attribute,
    ast.Subscript: references.subscript,
    ast.BoolOp: operators.logic,
    ast.UnaryOp: operators.unary,
    ast.IfExp: operators.choice,
    ast.BinOp: operators.arithmetic,
    ast.Compare: comparisons.compare,
    ast.List: calls.listed,
    ast.ListComp: calls.selected,
    ast.Call: calls.called,
}


def parse(text: str, scope: Scope, expect: Type | None, place: Callable[[int], Place]) -> s.Node:
    """Type one expression; `place` gives the place of an offset in its text. Raises ExpressionFault."""
    tree, plain, start = parsed(text)
    return Typer(plain, start, place, SYNTAX).typed(tree, scope, expect)
