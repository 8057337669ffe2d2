"""Typing of lists, list expressions, functions, tables and scales: whatever stands in brackets or has arguments."""

from __future__ import annotations

import ast
from dataclasses import replace

from engine import syntax as s
from engine.errors import did_you_mean
from engine.patterns import bad_pattern
from engine.scope import Named, Scope, bind, not_null_if
from engine.signatures import SIGNATURES
from engine.typer import Typer, dotted
from engine.types import (
    COUNT,
    DATE,
    DATETIME,
    NULL,
    TEXT,
    DateTimeType,
    DateType,
    EnumType,
    ListType,
    NumberType,
    SetType,
    Type,
    decimal,
    join,
)

MAX_COALESCE = 5
MAX_LOOPS = 4
_AGGREGATES = ("count", "sum", "any", "all", "min", "max")
_KNOWN = [*SIGNATURES, "sum", "any", "all", "coalesce", "violated", "preceding"]
#: What a text in quotes is read as, where the function wants a date.
_DATES: dict[str, Type] = {
    "days_between": DATE, "working_days_between": DATE, "is_working_day": DATE, "start_of_day": DATE, "minutes_between": DATETIME, "date": DATETIME,
}  # fmt: skip


def item_type(t: Type | None) -> Type | None:
    """The type of the items of a list or set; None for anything else."""
    if isinstance(t, ListType):
        return t.item
    if isinstance(t, SetType):
        return TEXT if t.values is None else EnumType(t.values)
    return None


def listed(typer: Typer, tree: ast.List, scope: Scope, expect: Type | None) -> s.Node:
    """A list or set written out."""
    inner = item_type(expect)
    items = tuple(typer.present(e, typer.typed(e, scope, inner)) for e in tree.elts)
    kind: Type = inner or NULL
    if items:
        kind = items[0].type
        for tree_item, item in zip(tree.elts, items, strict=True):
            both = join(kind, item.type)
            if both is None:
                raise typer.fault(tree_item, f"a list of {kind} cannot hold {item.type}")
            kind = both
    as_set = isinstance(kind, EnumType) and not isinstance(expect, ListType)
    if not items:
        result: Type = expect if isinstance(expect, (SetType, ListType)) else ListType(NULL)
    else:
        result = SetType(kind.values) if as_set and isinstance(kind, EnumType) else ListType(kind)
    return s.ListOf(items=items, type=result, place=typer.place(tree))


def _loop(typer: Typer, tree: ast.GeneratorExp | ast.ListComp, scope: Scope) -> tuple[str, s.Node, s.Node | None, Scope]:
    """`for x in list if …`: the variable, the list, the condition, and the scope inside."""
    if len(tree.generators) != 1:
        raise typer.fault(tree, "one `for` at a time", "use a formula with `each` for the inner list")
    generator = tree.generators[0]
    if not isinstance(generator.target, ast.Name) or generator.is_async:
        raise typer.fault(tree, "the variable after `for` must be one plain name")
    source = typer.present(generator.iter, typer.typed(generator.iter, scope))
    item = item_type(source.type)
    if item is None:
        raise typer.fault(generator.iter, f"expected a list or a set, got {source.type}")
    if scope.loops >= MAX_LOOPS:
        raise typer.fault(tree, f"more than {MAX_LOOPS} `for` inside one another", "split the expression into formulas")
    unique, inner = bind(replace(scope, loops=scope.loops + 1), generator.target.id, Named(item))
    conditions: list[s.Node] = []
    for test in generator.ifs:
        conditions.append(typer.condition(test, inner))
        inner = inner.knowing(not_null_if(conditions[-1], True))
    condition = None if not conditions else conditions[0] if len(conditions) == 1 else s.And(items=tuple(conditions), place=typer.place(tree))
    return unique, source, condition, inner


def selected(typer: Typer, tree: ast.ListComp, scope: Scope, expect: Type | None) -> s.Node:
    """`[value for x in list if …]`."""
    variable, source, condition, inner = _loop(typer, tree, scope)
    value = typer.present(tree.elt, typer.typed(tree.elt, inner, item_type(expect)))
    kind: Type = SetType(value.type.values) if isinstance(value.type, EnumType) else ListType(value.type)
    return s.Select(variable=variable, source=source, condition=condition, value=value, type=kind, place=typer.place(tree))


def called(typer: Typer, tree: ast.Call, scope: Scope, expect: Type | None) -> s.Node:
    """Anything with arguments in parentheses."""
    name = dotted(tree.func)
    if name is None:
        raise typer.fault(tree, "this cannot be called")
    kind, _, rest = name.partition(".")
    if kind == "tables" and rest:
        return _table(typer, tree, rest, scope)
    if tree.keywords:
        raise typer.fault(tree, "only tables take named arguments")
    if kind == "scales" and rest:
        return _scale(typer, tree, rest, scope)
    if len(tree.args) == 1 and isinstance(tree.args[0], ast.GeneratorExp):
        return _aggregate(typer, tree, name, tree.args[0], scope)
    if name == "violated":
        return _violated(typer, tree, scope)
    if name == "preceding":
        if not scope.in_each or len(tree.args) != 1:
            raise typer.fault(tree, "`preceding(value)` stands in a `let` of an `each` block")
        value = typer.number(tree.args[0], scope)
        return s.Preceding(value=value, type=value.type, place=typer.place(tree))
    if name == "coalesce":
        return _coalesce(typer, tree, scope, expect)
    return _function(typer, tree, name, scope)


def _function(typer: Typer, tree: ast.Call, name: str, scope: Scope) -> s.Node:
    if name in _AGGREGATES and name not in SIGNATURES:
        raise typer.fault(tree, f"`{name}` takes a list expression", f"for example `{name}(… for x in list)`")
    if name not in SIGNATURES:
        raise typer.fault(tree, f"unknown function `{name}`", did_you_mean(name, _KNOWN, "functions: " + ", ".join(_KNOWN)))
    arguments: list[s.Node] = []
    for argument in tree.args:
        wanted = _DATES.get(name)
        if arguments and name in ("min", "max", "subset", "intersects"):
            wanted = arguments[0].type
        elif arguments and name == "index_of":
            wanted = item_type(arguments[0].type)
        arguments.append(typer.present(argument, typer.typed(argument, scope, wanted)))
    result = SIGNATURES[name](arguments)
    if isinstance(result, str):
        raise typer.fault(tree, f"`{name}`: {result}")
    if name == "matches":
        _check_pattern(typer, tree, arguments[1], scope)
    return s.Call(function=name, arguments=tuple(arguments), type=result[0], nullable=result[1], place=typer.place(tree))


def _check_pattern(typer: Typer, tree: ast.Call, pattern: s.Node, scope: Scope) -> None:
    if isinstance(pattern, s.Const):
        why = bad_pattern(pattern.value)
    elif isinstance(pattern, s.Parameter) and pattern.key is None:
        why = bad_pattern(scope.patterns[pattern.name]) if pattern.name in scope.patterns else None
    else:
        raise typer.fault(tree, "the pattern must be written out", "write it in quotes, or as a parameter")
    if why:
        raise typer.fault(tree, why)


def _aggregate(typer: Typer, tree: ast.Call, name: str, inner_tree: ast.GeneratorExp, scope: Scope) -> s.Node:
    if name not in _AGGREGATES:
        raise typer.fault(tree, f"`{name}` does not take a list expression", "count, sum, any, all, min and max do")
    variable, source, condition, inner = _loop(typer, inner_tree, scope)
    place = typer.place(tree)
    if name == "count":
        return s.Aggregate(function=name, variable=variable, source=source, condition=condition, value=None, type=COUNT, place=place)
    if name in ("any", "all"):
        value = typer.condition(inner_tree.elt, inner)
        return s.Aggregate(function=name, variable=variable, source=source, condition=condition, value=value, place=place)
    value = typer.present(inner_tree.elt, typer.typed(inner_tree.elt, inner))
    kind = value.type
    if name == "sum" and not isinstance(kind, NumberType):
        raise typer.fault(inner_tree.elt, f"`sum` needs numbers, got {kind}")
    if not isinstance(kind, (NumberType, DateType, DateTimeType)):
        raise typer.fault(inner_tree.elt, f"`{name}` needs numbers or dates, got {kind}")
    return s.Aggregate(function=name, variable=variable, source=source, condition=condition, value=value, type=kind, nullable=name != "sum", place=place)


def _violated(typer: Typer, tree: ast.Call, scope: Scope) -> s.Node:
    code = tree.args[0].value if len(tree.args) == 1 and isinstance(tree.args[0], ast.Constant) else None
    if not isinstance(code, str):
        raise typer.fault(tree, "`violated` takes one code in quotes", 'violated("some-code")')
    if code not in scope.codes:
        raise typer.fault(tree, f"unknown code `{code}`", did_you_mean(code, scope.codes, "it names a requirement of this file"))
    return s.Violated(code=code, place=typer.place(tree))


def _coalesce(typer: Typer, tree: ast.Call, scope: Scope, expect: Type | None) -> s.Node:
    if len(tree.args) != 2:
        raise typer.fault(tree, "`coalesce(x, default)` takes two values")
    inside = sum(isinstance(n, ast.Call) and dotted(n.func) == "coalesce" for n in ast.walk(tree.args[0]))
    if inside > MAX_COALESCE:  # each is written twice
        raise typer.fault(tree, f"more than {MAX_COALESCE} `coalesce` inside one another", "split the expression into formulas")
    value = typer.typed(tree.args[0], scope, expect)
    default = typer.typed(tree.args[1], scope, value.type)
    both = join(value.type, default.type)
    if both is None:
        raise typer.fault(tree, f"{value.type} and {default.type} do not go together")
    test = s.IsNull(item=value, place=value.place)
    present = replace(value, nullable=False)
    return s.If(condition=test, then=default, otherwise=present, type=both, nullable=default.nullable, place=typer.place(tree))


def _table(typer: Typer, tree: ast.Call, name: str, scope: Scope) -> s.Node:
    if name not in scope.tables:
        raise typer.fault(tree, f"unknown table `{name}`", did_you_mean(name, scope.tables))
    inputs, result = scope.tables[name]
    form = f"write `tables.{name}({', '.join(f'{i}=…' for i in inputs)})`"
    given: dict[str, ast.expr] = {}
    for word in tree.keywords:
        if word.arg in given:
            raise typer.fault(tree, f"`{word.arg}` is given twice", form)
        given[word.arg or "**"] = word.value
    if tree.args or set(given) != set(inputs):
        raise typer.fault(tree, f"table `{name}` takes other inputs", form)
    arguments = []
    for key, named in inputs.items():
        node = typer.typed(given[key], scope, named.type)
        if join(node.type, named.type) is None:
            raise typer.fault(given[key], f"`{key}` expects {named.type}, got {node.type}")
        arguments.append((key, node))
    return s.TableCall(table=name, arguments=tuple(arguments), type=result.type, nullable=result.nullable, place=typer.place(tree))


def _scale(typer: Typer, tree: ast.Call, name: str, scope: Scope) -> s.Node:
    if name not in scope.scales:
        raise typer.fault(tree, f"unknown scale `{name}`", did_you_mean(name, scope.scales))
    if len(tree.args) != 1:
        raise typer.fault(tree, f"`scales.{name}` takes one amount")
    amount = typer.number(tree.args[0], scope)
    unit = amount.type.unit if isinstance(amount.type, NumberType) else None
    return s.ScaleCall(scale=name, amount=amount, type=decimal(None, unit, False), place=typer.place(tree))
