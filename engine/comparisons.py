"""Comparisons of an expression: `==` to `>=`, `is null`, `in`. Each side may give the other what it expects, such as an enum or a date."""

from __future__ import annotations

import ast

from engine import calls
from engine import syntax as s
from engine.errors import nearest
from engine.parsing import ExpressionFault
from engine.references import unknown_name, unknown_path
from engine.scope import Scope, key_of
from engine.typer import Typer
from engine.types import DateTimeType, DateType, EnumType, ListType, NullType, NumberType, SetType, Type, join

_COMPARISONS: dict[type[ast.cmpop], str] = {ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}


def compare(typer: Typer, tree: ast.Compare, scope: Scope, expect: Type | None) -> s.Node:
    """One comparison, or several in a chain (`a < b < c`)."""
    parts: list[s.Node] = []
    left = tree.left
    for op, right in zip(tree.ops, tree.comparators, strict=True):
        parts.append(_pair(typer, tree, left, op, right, scope))
        left = right
    return parts[0] if len(parts) == 1 else s.And(items=tuple(parts), place=typer.place(tree))


def _pair(typer: Typer, tree: ast.Compare, left: ast.expr, op: ast.cmpop, right: ast.expr, scope: Scope) -> s.Node:
    place = typer.place(left)
    if isinstance(op, (ast.Is, ast.IsNot)):
        if not (isinstance(right, ast.Name) and right.id == "null"):
            raise typer.fault(right, "`is` only tests for null", "write `x is null` or `x is not null`; `==` compares")
        item = typer.typed(left, scope)
        if not item.nullable and key_of(item) not in scope.known:
            raise typer.fault(left, f"`{ast.unparse(left)}` can never be null", "remove the test, or make it `nullable: true`")
        test = s.IsNull(item=item, place=place)
        return test if isinstance(op, ast.Is) else s.Not(item=test, place=place)
    if isinstance(op, (ast.In, ast.NotIn)):
        found = _membership(typer, left, right, scope)
        return found if isinstance(op, ast.In) else s.Not(item=found, place=place)
    symbol = _COMPARISONS[type(op)]
    a, b = _both(typer, left, right, scope)
    if join(a.type, b.type) is None or (isinstance(a.type, NullType) or isinstance(b.type, NullType)):
        if isinstance(a.type, NullType) or isinstance(b.type, NullType):
            raise typer.fault(tree, f"`{symbol} null` is not how null is tested", "write `is null` or `is not null`")
        raise typer.fault(tree, f"{a.type} cannot be compared with {b.type}", _help(a.type, b.type))
    if isinstance(a.type, EnumType) and isinstance(b.type, EnumType) and not set(a.type.values) & set(b.type.values):
        raise typer.fault(tree, "the two sides have no value in common", f"left: {a.type}; right: {b.type}")
    if symbol in ("==", "!="):
        return s.Compare(op=symbol, left=a, right=b, place=place)
    typer.present(left, a)
    typer.present(right, b)
    order = None
    if isinstance(a.type, EnumType) or isinstance(b.type, EnumType):
        ordered = next((t for t in (a.type, b.type) if isinstance(t, EnumType) and t.ordered), None)
        if ordered is None:
            raise typer.fault(tree, f"`{symbol}` needs an order, and {a.type} has none", "declare the enum with `ordered: true`")
        order = ordered.values
    elif not isinstance(a.type, (NumberType, DateType, DateTimeType)):
        raise typer.fault(tree, f"`{symbol}` needs numbers or dates, got {a.type}")
    return s.Compare(op=symbol, left=a, right=b, order=order, place=place)


def _both(typer: Typer, left: ast.expr, right: ast.expr, scope: Scope) -> tuple[s.Node, s.Node]:
    """Type two sides; each may give the other what it expects (an enum value, a date)."""
    odd = [(tree, path) for tree in (left, right) if (path := unknown_path(tree, scope)) is not None]
    if len(odd) == 2 and not scope.free_values:
        tree, path = next((o for o in odd if nearest(o[1], scope.names())), odd[0])
        raise unknown_name(typer, tree, path, scope)
    literal = isinstance(left, ast.Constant) or (isinstance(left, ast.Name) and left.id not in scope.names())
    if literal and not isinstance(right, ast.Constant):
        b = typer.typed(right, scope)
        return typer.typed(left, scope, b.type), b
    a = typer.typed(left, scope)
    return a, typer.typed(right, scope, a.type)


def _membership(typer: Typer, left: ast.expr, right: ast.expr, scope: Scope) -> s.Node:
    place = typer.place(left)
    if isinstance(right, ast.List):
        item = typer.typed(left, scope)
        collection = calls.listed(typer, right, scope, SetType(item.type.values) if isinstance(item.type, EnumType) else ListType(item.type))
    else:
        if isinstance(right, ast.Name) and unknown_path(right, scope):
            raise _no_collection(typer, left, right, scope)
        collection = typer.present(right, typer.typed(right, scope))
        inner = calls.item_type(collection.type)
        if inner is None:
            raise typer.fault(right, f"expected a list or a set, got {collection.type}")
        item = typer.typed(left, scope, inner)
    inner = calls.item_type(collection.type)
    if inner is not None and not isinstance(inner, NullType) and join(item.type, inner) is None:
        raise typer.fault(left, f"{item.type} cannot be in {collection.type}")
    return s.In(item=item, collection=collection, place=place)


def _no_collection(typer: Typer, left: ast.expr, right: ast.Name, scope: Scope) -> ExpressionFault:
    item = typer.typed(left, scope)
    if isinstance(item.type, EnumType) and right.id in item.type.values:
        return typer.fault(right, f"unknown name `{right.id}`", f"a list stands in brackets: `in [{right.id}]`")
    return unknown_name(typer, right, right.id, scope)


def _help(a: Type, b: Type) -> str | None:
    if {type(a), type(b)} == {DateType, DateTimeType}:
        return "`date(x)` gives the day of a date and time"
    if isinstance(a, NumberType) and isinstance(b, NumberType):
        return "both sides need the same unit"
    return None
