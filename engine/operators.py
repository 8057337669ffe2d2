"""Logic and arithmetic of an expression: `and`, `or`, `not`, `a if c else b`, `+`, `-`, `*`, with what each side is then known to be."""

from __future__ import annotations

import ast
from dataclasses import replace

from engine import syntax as s
from engine.scope import Scope, not_null_if
from engine.typer import Typer
from engine.types import COUNT, INTEGER, NumberType, Type, join

_OPERATORS: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*"}


def logic(typer: Typer, tree: ast.BoolOp, scope: Scope, expect: Type | None) -> s.Node:
    """`and`, `or`. What one side tests for null is known in the next."""
    is_and = isinstance(tree.op, ast.And)
    items: list[s.Node] = []
    for value in tree.values:
        item = typer.condition(value, scope)
        items.append(item)
        scope = scope.knowing(not_null_if(item, is_and))
    kind = s.And if is_and else s.Or
    return kind(items=tuple(items), place=typer.place(tree))


def unary(typer: Typer, tree: ast.UnaryOp, scope: Scope, expect: Type | None) -> s.Node:
    """`not` and `-` before a value."""
    if isinstance(tree.op, ast.Not):
        return s.Not(item=typer.condition(tree.operand, scope), place=typer.place(tree))
    if isinstance(tree.op, ast.USub):
        item = typer.number(tree.operand, scope)
        assert isinstance(item.type, NumberType)
        if isinstance(item, s.Const):
            return replace(item, value=-item.value, type=replace(item.type, signed=True))
        return s.Negative(item=item, type=replace(item.type, signed=True), place=typer.place(tree))
    raise typer.fault(tree, "only `not` and `-` may stand before a value")


def choice(typer: Typer, tree: ast.IfExp, scope: Scope, expect: Type | None) -> s.Node:
    """`a if c else b`."""
    condition = typer.condition(tree.test, scope)
    then = typer.typed(tree.body, scope.knowing(not_null_if(condition, True)), expect)
    otherwise = typer.typed(tree.orelse, scope.knowing(not_null_if(condition, False)), expect)
    both = join(then.type, otherwise.type)
    if both is None:
        raise typer.fault(tree, f"the two values do not go together: {then.type} and {otherwise.type}")
    nullable = then.nullable or otherwise.nullable
    return s.If(condition=condition, then=then, otherwise=otherwise, type=both, nullable=nullable, place=typer.place(tree))


def arithmetic(typer: Typer, tree: ast.BinOp, scope: Scope, expect: Type | None) -> s.Node:
    """`+`, `-`, `*`. Units must go together; places grow as the exact result needs."""
    if type(tree.op) not in _OPERATORS:
        if isinstance(tree.op, ast.Div):
            raise typer.fault(tree, "`/` is not part of the rule language", "`divide(a, b, places)` divides and rounds half up")
        raise typer.refused(tree, ast.unparse(tree)[:40])
    a, b = typer.number(tree.left, scope), typer.number(tree.right, scope)
    assert isinstance(a.type, NumberType)
    assert isinstance(b.type, NumberType)
    op = _OPERATORS[type(tree.op)]
    if op == "*":
        if a.type.unit and b.type.unit:
            raise typer.fault(tree, f"{a.type} times {b.type} has no meaning", "one of them must be without unit")
        places = None if a.type.places is None or b.type.places is None else a.type.places + b.type.places
    else:
        if a.type.unit != b.type.unit and not isinstance(a, s.Const) and not isinstance(b, s.Const):
            raise typer.fault(tree, f"`{op}` between {a.type} and {b.type}", "both sides need the same unit")
        places = None if a.type.places is None or b.type.places is None else max(a.type.places, b.type.places)
    signed = op == "-" or a.type.signed or b.type.signed
    return s.Arithmetic(op=op, left=a, right=b, type=_number(places, a.type.unit or b.type.unit, signed), place=typer.place(tree))


def _number(places: int | None, unit: str | None, signed: bool) -> NumberType:
    if unit == "CNY" and places == 2:
        return NumberType("money", 2, "CNY", signed)
    if places == 0:
        return NumberType("integer", 0, unit, signed) if unit else (INTEGER if signed else COUNT)
    return NumberType("decimal", places, unit, signed)
