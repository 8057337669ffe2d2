"""Typing an expression: a whitelist of Python's expression syntax, typed against the names of the policy.

Nothing of the text is ever run. Every fault names its place, what was expected, and the nearest known name.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from engine import calls
from engine import syntax as s
from engine.clock import business_moment, calendar_day
from engine.errors import Place, did_you_mean, nearest
from engine.parsing import MAX_LENGTH, MAX_NESTING, ExpressionFault, parsed
from engine.scope import Scope, key_of, not_null_if
from engine.types import (
    BOOL,
    COUNT,
    DATE,
    DATETIME,
    INTEGER,
    NULL,
    BoolType,
    DateTimeType,
    DateType,
    EnumType,
    ListType,
    MapType,
    NullType,
    NumberType,
    RecordType,
    SetType,
    Type,
    decimal,
    join,
)

__all__ = ["MAX_LENGTH", "MAX_NESTING", "ExpressionFault", "Typer", "parse"]

_LANGUAGE = "docs/authoring.md lists what there is"
_COMPARISONS: dict[type[ast.cmpop], str] = {ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
_OPERATORS: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*"}


def parse(text: str, scope: Scope, expect: Type | None, place: Callable[[int], Place]) -> s.Node:
    """Type one expression. Raises ExpressionFault."""
    tree, plain, start = parsed(text)
    return Typer(plain, start, place).typed(tree, scope, expect)


class Typer:
    """Types one parsed expression. One method for each kind of syntax."""

    def __init__(self, text: str, start: int, place: Callable[[int], Place]) -> None:
        self.text, self.start = text, start
        self.at = place

    # -- helpers -------------------------------------------------------------------------------------------------------------------

    def offset(self, tree: ast.AST) -> int:
        return self.start + int(getattr(tree, "col_offset", 0))

    def fault(self, tree: ast.AST, message: str, help: str | None = None) -> ExpressionFault:
        return ExpressionFault(self.offset(tree), message, help)

    def refused(self, tree: ast.AST, shown: str) -> ExpressionFault:
        return self.fault(tree, f"`{shown}` is not part of the rule language", _LANGUAGE)

    def place(self, tree: ast.AST) -> Place:
        return self.at(self.offset(tree))

    def typed(self, tree: ast.expr, scope: Scope, expect: Type | None = None) -> s.Node:
        method = getattr(self, f"_{type(tree).__name__.lower()}", None)
        if method is None:
            raise self.refused(tree, ast.unparse(tree)[:60])
        node: s.Node = method(tree, scope, expect)
        return node

    def condition(self, tree: ast.expr, scope: Scope) -> s.Node:
        node = self.typed(tree, scope, BOOL)
        if not isinstance(node.type, BoolType):
            raise self.fault(tree, f"expected a condition, got {node.type}", "compare it with something")
        return self.present(tree, node)

    def present(self, tree: ast.expr, node: s.Node) -> s.Node:
        if node.nullable or isinstance(node.type, NullType):
            shown = ast.unparse(tree)
            raise self.fault(tree, f"`{shown}` may be null here", f"test `{shown} is not null` first, or use `coalesce({shown}, …)`")
        return node

    def narrowed(self, node: s.Node, scope: Scope) -> s.Node:
        return replace(node, nullable=False) if node.nullable and key_of(node) in scope.known else node

    # -- names and literals --------------------------------------------------------------------------------------------------------

    def _constant(self, tree: ast.Constant, scope: Scope, expect: Type | None) -> s.Node:
        value, place = tree.value, self.place(tree)
        if isinstance(value, bool):
            raise self.fault(tree, f"`{value}` is not part of the rule language", "write `true` or `false`")
        if isinstance(value, str):
            return self._text_literal(tree, value, expect)
        segment = self.text[tree.col_offset : tree.end_col_offset].replace("_", "")
        if not isinstance(value, (int, float)):
            raise self.refused(tree, segment)
        if segment.isdigit():
            if len(segment) > 30:
                raise self.fault(tree, "a number of more than 30 digits")
            return s.Const(value=int(segment), type=COUNT, place=place)
        if not re.fullmatch(r"\d{0,30}\.\d{1,20}|\d{1,30}\.", segment):
            raise self.fault(tree, f"`{segment}` is not a plain decimal number", "write it in digits, without exponent")
        exact = Decimal(segment)
        places = -int(exact.as_tuple().exponent)
        return s.Const(value=exact, type=decimal(places, signed=False), place=place)

    def _text_literal(self, tree: ast.expr, value: str, expect: Type | None) -> s.Node:
        place = self.place(tree)
        if isinstance(expect, DateType):
            try:
                return s.Const(value=calendar_day(value), type=DATE, place=place)
            except ValueError:
                raise self.fault(tree, f"`{value}` is no date", "write it as 2025-01-16") from None
        if isinstance(expect, DateTimeType):
            try:
                return s.Const(value=business_moment(value), type=DATETIME, place=place)
            except ValueError:
                raise self.fault(tree, f"`{value}` is no date and time", "write it as 2025-01-16T09:00:00+08:00") from None
        if isinstance(expect, NumberType):
            raise self.fault(tree, f"expected {expect}, got the text `{value}`", "write numbers without quotes")
        if isinstance(expect, EnumType) and value not in expect.values:
            raise self.fault(tree, f"`{value}` is not among the values", did_you_mean(value, expect.values, "values: " + ", ".join(expect.values)))
        return s.Const(value=value, type=EnumType((value,)), place=place)

    def _name(self, tree: ast.Name, scope: Scope, expect: Type | None) -> s.Node:
        return self._dotted(tree, tree.id, scope, expect)

    def _attribute(self, tree: ast.Attribute, scope: Scope, expect: Type | None) -> s.Node:
        path = self.path(tree)
        if path is not None:
            return self._dotted(tree, path, scope, expect)
        return self._field(tree, self.typed(tree.value, scope), tree.attr, scope)

    def path(self, tree: ast.expr) -> str | None:
        """The dotted name that a tree is, or None."""
        if isinstance(tree, ast.Name):
            return tree.id
        if isinstance(tree, ast.Attribute):
            head = self.path(tree.value)
            return None if head is None else f"{head}.{tree.attr}"
        return None

    def _dotted(self, tree: ast.expr, path: str, scope: Scope, expect: Type | None) -> s.Node:
        place = self.place(tree)
        head, _, rest = path.partition(".")
        if head in scope.variables:
            unique, named = scope.variables[head]
            node: s.Node = s.Variable(name=unique, type=named.type, nullable=named.nullable, place=place)
            return self._field(tree, node, rest, scope) if rest else self.narrowed(node, scope)
        if isinstance(expect, EnumType) and path in expect.values and path not in ("true", "false", "null"):
            if path in scope.facts and join(scope.facts[path].type, expect) is not None:
                raise self.fault(tree, f"`{path}` is both a fact and a value here", f'write "{path}" for the value')
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
            return self.narrowed(s.Formula(name="next_state", type=EnumType(scope.states), nullable=True, place=place), scope)
        if head == "parameters" and rest in scope.parameters:
            named = scope.parameters[rest]
            if isinstance(named.type, MapType):
                raise self.fault(tree, f"`{path}` is a map", f"name the key: `{path}[…]`")
            return self.narrowed(s.Parameter(name=rest, type=named.type, nullable=named.nullable, place=place), scope)
        if path in scope.facts:
            named = scope.facts[path]
            return self.narrowed(s.Fact(name=path, type=named.type, nullable=named.nullable, place=place), scope)
        if path in scope.formula_names:
            named = scope.formula(path)
            return self.narrowed(s.Formula(name=path, type=named.type, nullable=named.nullable, place=place), scope)
        if scope.free_values and "." not in path:
            return s.Const(value=path, type=EnumType((path,)), place=place)
        owner = path.rpartition(".")[0]
        while owner:
            if scope.has(owner):
                return self._field(tree, self._dotted(tree, owner, scope, None), path[len(owner) + 1 :], scope)
            owner = owner.rpartition(".")[0]
        raise self.unknown(tree, path, scope, expect)

    def unknown(self, tree: ast.expr, path: str, scope: Scope, expect: Type | None = None) -> ExpressionFault:
        values = expect.values if isinstance(expect, EnumType) else ()
        hint = "values: " + ", ".join(values[:12]) if values else "facts, parameters.… and formulas can be used"
        return self.fault(tree, f"unknown name `{path}`", did_you_mean(path, [*scope.names(), *values], hint))

    def _field(self, tree: ast.expr, node: s.Node, name: str, scope: Scope) -> s.Node:
        if not isinstance(node.type, RecordType):
            raise self.fault(tree, f"`{name}` asked of {node.type}, which has no fields", "only records have fields; over a list use `for`")
        self.present(tree, node)
        names = [f.name for f in node.type.fields]
        if name not in names:
            raise self.fault(tree, f"unknown field `{name}`", did_you_mean(name, names, "fields: " + ", ".join(names)))
        found = node.type.field(name)
        return self.narrowed(s.FieldOf(record=node, name=name, type=found.type, nullable=found.nullable, place=self.place(tree)), scope)

    # -- logic and comparison ------------------------------------------------------------------------------------------------------

    def _boolop(self, tree: ast.BoolOp, scope: Scope, expect: Type | None) -> s.Node:
        is_and = isinstance(tree.op, ast.And)
        items: list[s.Node] = []
        for value in tree.values:
            item = self.condition(value, scope)
            items.append(item)
            scope = scope.knowing(not_null_if(item, is_and))
        kind = s.And if is_and else s.Or
        return kind(items=tuple(items), place=self.place(tree))

    def _unaryop(self, tree: ast.UnaryOp, scope: Scope, expect: Type | None) -> s.Node:
        if isinstance(tree.op, ast.Not):
            return s.Not(item=self.condition(tree.operand, scope), place=self.place(tree))
        if isinstance(tree.op, ast.USub):
            item = self.number(tree.operand, scope)
            assert isinstance(item.type, NumberType)
            if isinstance(item, s.Const):
                return replace(item, value=-item.value, type=replace(item.type, signed=True))
            return s.Negative(item=item, type=replace(item.type, signed=True), place=self.place(tree))
        raise self.fault(tree, "only `not` and `-` may stand before a value")

    def _ifexp(self, tree: ast.IfExp, scope: Scope, expect: Type | None) -> s.Node:
        condition = self.condition(tree.test, scope)
        then = self.typed(tree.body, scope.knowing(not_null_if(condition, True)), expect)
        otherwise = self.typed(tree.orelse, scope.knowing(not_null_if(condition, False)), expect)
        both = join(then.type, otherwise.type)
        if both is None:
            raise self.fault(tree, f"the two values do not go together: {then.type} and {otherwise.type}")
        return s.If(
            condition=condition, then=then, otherwise=otherwise, type=both, nullable=then.nullable or otherwise.nullable, place=self.place(tree)
        )

    def _compare(self, tree: ast.Compare, scope: Scope, expect: Type | None) -> s.Node:
        parts: list[s.Node] = []
        left = tree.left
        for op, right in zip(tree.ops, tree.comparators, strict=True):
            parts.append(self._pair(tree, left, op, right, scope))
            left = right
        return parts[0] if len(parts) == 1 else s.And(items=tuple(parts), place=self.place(tree))

    def _pair(self, tree: ast.Compare, left: ast.expr, op: ast.cmpop, right: ast.expr, scope: Scope) -> s.Node:
        place = self.place(left)
        if isinstance(op, (ast.Is, ast.IsNot)):
            if not (isinstance(right, ast.Name) and right.id == "null"):
                raise self.fault(right, "`is` only tests for null", "write `x is null` or `x is not null`; `==` compares")
            item = self.typed(left, scope)
            if not item.nullable and key_of(item) not in scope.known:
                raise self.fault(left, f"`{ast.unparse(left)}` can never be null", "remove the test, or make it `nullable: true`")
            test = s.IsNull(item=item, place=place)
            return test if isinstance(op, ast.Is) else s.Not(item=test, place=place)
        if isinstance(op, (ast.In, ast.NotIn)):
            found = self._membership(left, right, scope)
            return found if isinstance(op, ast.In) else s.Not(item=found, place=place)
        symbol = _COMPARISONS[type(op)]
        a, b = self._both(left, right, scope)
        if join(a.type, b.type) is None or (isinstance(a.type, NullType) or isinstance(b.type, NullType)):
            if isinstance(a.type, NullType) or isinstance(b.type, NullType):
                raise self.fault(tree, f"`{symbol} null` is not how null is tested", "write `is null` or `is not null`")
            raise self.fault(tree, f"{a.type} cannot be compared with {b.type}", _compare_help(a.type, b.type))
        if isinstance(a.type, EnumType) and isinstance(b.type, EnumType) and not set(a.type.values) & set(b.type.values):
            raise self.fault(tree, "the two sides have no value in common", f"left: {a.type}; right: {b.type}")
        if symbol in ("==", "!="):
            return s.Compare(op=symbol, left=a, right=b, place=place)
        self.present(left, a)
        self.present(right, b)
        order = None
        if isinstance(a.type, EnumType) or isinstance(b.type, EnumType):
            ordered = next((t for t in (a.type, b.type) if isinstance(t, EnumType) and t.ordered), None)
            if ordered is None:
                raise self.fault(tree, f"`{symbol}` needs an order, and {a.type} has none", "declare the enum with `ordered: true`")
            order = ordered.values
        elif not isinstance(a.type, (NumberType, DateType, DateTimeType)):
            raise self.fault(tree, f"`{symbol}` needs numbers or dates, got {a.type}")
        return s.Compare(op=symbol, left=a, right=b, order=order, place=place)

    def _both(self, left: ast.expr, right: ast.expr, scope: Scope) -> tuple[s.Node, s.Node]:
        """Type two sides; each may give the other what it expects (an enum value, a date)."""
        odd = [(tree, path) for tree in (left, right) if (path := self._unknown_path(tree, scope)) is not None]
        if len(odd) == 2 and not scope.free_values:
            tree, path = next((o for o in odd if nearest(o[1], scope.names())), odd[0])
            raise self.unknown(tree, path, scope)
        literal = isinstance(left, ast.Constant) or (isinstance(left, ast.Name) and left.id not in scope.names())
        if literal and not isinstance(right, ast.Constant):
            b = self.typed(right, scope)
            return self.typed(left, scope, b.type), b
        a = self.typed(left, scope)
        return a, self.typed(right, scope, a.type)

    def _unknown_path(self, tree: ast.expr, scope: Scope) -> str | None:
        """The dotted name that `tree` is, if it stands for nothing."""
        path = self.path(tree)
        heads = () if path is None else (path[: i or None] for i in (*(i for i, c in enumerate(path) if c == "."), 0))
        return None if path is None or any(scope.has(head) for head in heads) else path

    def _membership(self, left: ast.expr, right: ast.expr, scope: Scope) -> s.Node:
        place = self.place(left)
        if isinstance(right, ast.List):
            item = self.typed(left, scope)
            collection = calls.listed(self, right, scope, SetType(item.type.values) if isinstance(item.type, EnumType) else ListType(item.type))
        else:
            if isinstance(right, ast.Name) and self._unknown_path(right, scope):
                raise self._no_collection(left, right, scope)
            collection = self.present(right, self.typed(right, scope))
            inner = calls.item_type(collection.type)
            if inner is None:
                raise self.fault(right, f"expected a list or a set, got {collection.type}")
            item = self.typed(left, scope, inner)
        inner = calls.item_type(collection.type)
        if inner is not None and not isinstance(inner, NullType) and join(item.type, inner) is None:
            raise self.fault(left, f"{item.type} cannot be in {collection.type}")
        return s.In(item=item, collection=collection, place=place)

    def _no_collection(self, left: ast.expr, right: ast.Name, scope: Scope) -> ExpressionFault:
        item = self.typed(left, scope)
        if isinstance(item.type, EnumType) and right.id in item.type.values:
            return self.fault(right, f"unknown name `{right.id}`", f"a list stands in brackets: `in [{right.id}]`")
        return self.unknown(right, right.id, scope)

    # -- arithmetic ----------------------------------------------------------------------------------------------------------------

    def number(self, tree: ast.expr, scope: Scope) -> s.Node:
        node = self.present(tree, self.typed(tree, scope))
        if not isinstance(node.type, NumberType):
            raise self.fault(tree, f"expected a number, got {node.type}", "use `add_days`, `days_between` for dates")
        return node

    def _binop(self, tree: ast.BinOp, scope: Scope, expect: Type | None) -> s.Node:
        if type(tree.op) not in _OPERATORS:
            if isinstance(tree.op, ast.Div):
                raise self.fault(tree, "`/` is not part of the rule language", "`divide(a, b, places)` divides and rounds half up")
            raise self.refused(tree, ast.unparse(tree)[:40])
        a, b = self.number(tree.left, scope), self.number(tree.right, scope)
        assert isinstance(a.type, NumberType)
        assert isinstance(b.type, NumberType)
        op = _OPERATORS[type(tree.op)]
        if op == "*":
            if a.type.unit and b.type.unit:
                raise self.fault(tree, f"{a.type} times {b.type} has no meaning", "one of them must be without unit")
            places = None if a.type.places is None or b.type.places is None else a.type.places + b.type.places
        else:
            if a.type.unit != b.type.unit and not isinstance(a, s.Const) and not isinstance(b, s.Const):
                raise self.fault(tree, f"`{op}` between {a.type} and {b.type}", "both sides need the same unit")
            places = None if a.type.places is None or b.type.places is None else max(a.type.places, b.type.places)
        signed = op == "-" or a.type.signed or b.type.signed
        return s.Arithmetic(op=op, left=a, right=b, type=_number(places, a.type.unit or b.type.unit, signed), place=self.place(tree))

    # -- lists, calls, keys --------------------------------------------------------------------------------------------------------

    def _list(self, tree: ast.List, scope: Scope, expect: Type | None) -> s.Node:
        return calls.listed(self, tree, scope, expect)

    def _listcomp(self, tree: ast.ListComp, scope: Scope, expect: Type | None) -> s.Node:
        return calls.selected(self, tree, scope, expect)

    def _call(self, tree: ast.Call, scope: Scope, expect: Type | None) -> s.Node:
        return calls.called(self, tree, scope, expect)

    def _subscript(self, tree: ast.Subscript, scope: Scope, expect: Type | None) -> s.Node:
        path = self.path(tree.value) or ""
        name = path.removeprefix("parameters.")
        kind = scope.parameters[name].type if path != name and name in scope.parameters else None
        if not isinstance(kind, MapType):
            self.typed(tree.value, scope)
            raise self.fault(tree, "only a map parameter takes a key in brackets")
        key = self.present(tree.slice, self.typed(tree.slice, scope, EnumType(kind.keys)))
        if not isinstance(key.type, EnumType) or not set(key.type.values) & set(kind.keys):
            raise self.fault(tree.slice, f"{key.type} is no key of `{path}`", "keys: " + ", ".join(kind.keys))
        return s.Parameter(name=name, key=key, type=kind.of, place=self.place(tree))


def _number(places: int | None, unit: str | None, signed: bool) -> NumberType:
    if unit == "CNY" and places == 2:
        return NumberType("money", 2, "CNY", signed)
    if places == 0:
        return NumberType("integer", 0, unit, signed) if unit else (INTEGER if signed else COUNT)
    return NumberType("decimal", places, unit, signed)


def _compare_help(a: Type, b: Type) -> str | None:
    if {type(a), type(b)} == {DateType, DateTimeType}:
        return "`date(x)` gives the day of a date and time"
    if isinstance(a, NumberType) and isinstance(b, NumberType):
        return "both sides need the same unit"
    return None
