"""What a name in an expression stands for: a fact, parameter, formula or variable, a field of a record, a key of a map, or a value that is expected."""

from __future__ import annotations

import ast

from engine import syntax as s
from engine.errors import did_you_mean
from engine.parsing import ExpressionFault
from engine.scope import Scope
from engine.typer import Typer, dotted
from engine.types import BOOL, DATETIME, NULL, EnumType, MapType, RecordType, Type, join


def name(typer: Typer, tree: ast.Name, scope: Scope, expect: Type | None) -> s.Node:
    """A name of one word."""
    return _meant(typer, tree, tree.id, scope, expect)


def attribute(typer: Typer, tree: ast.Attribute, scope: Scope, expect: Type | None) -> s.Node:
    """A dotted name, or a field of something that is no name."""
    path = dotted(tree)
    if path is not None:
        return _meant(typer, tree, path, scope, expect)
    return _field(typer, tree, typer.typed(tree.value, scope), tree.attr, scope)


def subscript(typer: Typer, tree: ast.Subscript, scope: Scope, expect: Type | None) -> s.Node:
    """The value of a map parameter for a key."""
    path = dotted(tree.value) or ""
    parameter = path.removeprefix("parameters.")
    kind = scope.parameters[parameter].type if path != parameter and parameter in scope.parameters else None
    if not isinstance(kind, MapType):
        typer.typed(tree.value, scope)
        raise typer.fault(tree, "only a map parameter takes a key in brackets")
    key = typer.present(tree.slice, typer.typed(tree.slice, scope, EnumType(kind.keys)))
    if not isinstance(key.type, EnumType) or not set(key.type.values) & set(kind.keys):
        raise typer.fault(tree.slice, f"{key.type} is no key of `{path}`", "keys: " + ", ".join(kind.keys))
    return s.Parameter(name=parameter, key=key, type=kind.of, place=typer.place(tree))


def unknown_path(tree: ast.expr, scope: Scope) -> str | None:
    """The dotted name that `tree` is, if it stands for nothing."""
    path = dotted(tree)
    heads = () if path is None else (path[: i or None] for i in (*(i for i, c in enumerate(path) if c == "."), 0))
    return None if path is None or any(scope.has(head) for head in heads) else path


def unknown_name(typer: Typer, tree: ast.expr, path: str, scope: Scope, expect: Type | None = None) -> ExpressionFault:
    """The fault of a name that stands for nothing, with the nearest known one."""
    values = expect.values if isinstance(expect, EnumType) else ()
    hint = "values: " + ", ".join(values[:12]) if values else "facts, parameters.… and formulas can be used"
    return typer.fault(tree, f"unknown name `{path}`", did_you_mean(path, [*scope.names(), *values], hint))


def _meant(typer: Typer, tree: ast.expr, path: str, scope: Scope, expect: Type | None) -> s.Node:
    place = typer.place(tree)
    head, _, rest = path.partition(".")
    if head in scope.variables:
        unique, named = scope.variables[head]
        node: s.Node = s.Variable(name=unique, type=named.type, nullable=named.nullable, place=place)
        return _field(typer, tree, node, rest, scope) if rest else typer.narrowed(node, scope)
    if isinstance(expect, EnumType) and path in expect.values and path not in ("true", "false", "null"):
        if path in scope.facts and join(scope.facts[path].type, expect) is not None:
            raise typer.fault(tree, f"`{path}` is both a fact and a value here", f'write "{path}" for the value')
        return s.Const(value=path, type=EnumType((path,)), place=place)
    if path in ("true", "false"):
        return s.Const(value=path == "true", type=BOOL, place=place)
    if path == "null":
        return s.Const(value=None, type=NULL, nullable=True, place=place)
    if path == "as_of":
        return s.AsOf(type=DATETIME, place=place)
    if path == "outcome":
        return s.Outcome(type=EnumType(("allowed", "review", "denied")), place=place)
    if path == "transition" and scope.transitions:
        return s.Formula(name="transition", type=EnumType(scope.transitions), nullable=True, place=place)
    if path == "next_state" and scope.transitions:
        return typer.narrowed(s.Formula(name="next_state", type=EnumType(scope.states), nullable=True, place=place), scope)
    if head == "parameters" and rest in scope.parameters:
        named = scope.parameters[rest]
        if isinstance(named.type, MapType):
            raise typer.fault(tree, f"`{path}` is a map", f"name the key: `{path}[…]`")
        return typer.narrowed(s.Parameter(name=rest, type=named.type, nullable=named.nullable, place=place), scope)
    if path in scope.facts:
        named = scope.facts[path]
        return typer.narrowed(s.Fact(name=path, type=named.type, nullable=named.nullable, place=place), scope)
    if path in scope.formula_names:
        named = scope.formula(path)
        return typer.narrowed(s.Formula(name=path, type=named.type, nullable=named.nullable, place=place), scope)
    if scope.free_values and "." not in path:
        return s.Const(value=path, type=EnumType((path,)), place=place)
    owner = path.rpartition(".")[0]
    while owner:
        if scope.has(owner):
            return _field(typer, tree, _meant(typer, tree, owner, scope, None), path[len(owner) + 1 :], scope)
        owner = owner.rpartition(".")[0]
    raise unknown_name(typer, tree, path, scope, expect)


def _field(typer: Typer, tree: ast.expr, node: s.Node, field: str, scope: Scope) -> s.Node:
    if not isinstance(node.type, RecordType):
        raise typer.fault(tree, f"`{field}` asked of {node.type}, which has no fields", "only records have fields; over a list use `for`")
    typer.present(tree, node)
    names = [f.name for f in node.type.fields]
    if field not in names:
        raise typer.fault(tree, f"unknown field `{field}`", did_you_mean(field, names, "fields: " + ", ".join(names)))
    found = node.type.field(field)
    return typer.narrowed(s.FieldOf(record=node, name=field, type=found.type, nullable=found.nullable, place=typer.place(tree)), scope)
