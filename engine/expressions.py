"""Reading an expression: Python's expression syntax, a whitelist of it, typed against the names of the policy.

The text is parsed with `ast` and nothing of it is ever run. Every fault names its place, what was expected, and the nearest known name.
"""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from engine import syntax as s
from engine.errors import Place, did_you_mean
from engine.signatures import SIGNATURES, bad_pattern
from engine.types import (
    BOOL,
    COUNT,
    DATE,
    DATETIME,
    INTEGER,
    NULL,
    SHANGHAI,
    TEXT,
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
    is_text,
    join,
)

MAX_LENGTH = 4_000
MAX_NESTING = 60
_KEYWORD_FIELD = re.compile(r"\.(" + "|".join(k for k in keyword.kwlist if k.islower()) + r")\b")
_DISGUISED = {k[:-1] + "_": k for k in keyword.kwlist if k.islower()}
_COMPARISONS: dict[type[ast.cmpop], str] = {ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
_OPERATORS: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*"}

Key = tuple[Any, ...]


class ExpressionFault(Exception):
    """One fault inside an expression, with the offset of the character where it stands."""

    def __init__(self, offset: int, message: str, help: str | None = None) -> None:
        self.offset, self.message, self.help = offset, message, help
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Named:
    """What a name stands for: its type and whether it may be null."""

    type: Type
    nullable: bool = False


@dataclass
class Scope:
    """The names that an expression may use. `formula` gives the type of a formula or output by name, typing it first where needed."""

    facts: dict[str, Named]
    parameters: dict[str, Named]
    tables: dict[str, tuple[dict[str, Named], Named]]
    scales: frozenset[str]
    formula_names: frozenset[str]
    formula: Callable[[str], Named]
    codes: frozenset[str]
    transitions: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    variables: dict[str, tuple[str, Named]] = field(default_factory=dict)
    known: frozenset[Key] = frozenset()
    in_each: bool = False
    free_values: bool = False

    def names(self) -> list[str]:
        extra = ["as_of", "outcome"] + (["transition", "next_state"] if self.transitions else [])
        parameters = [f"parameters.{p}" for p in self.parameters]
        return [*self.facts, *parameters, *self.formula_names, *self.variables, *extra]

    def knowing(self, keys: Iterable[Key]) -> Scope:
        return replace(self, known=self.known | frozenset(keys))


def parse(text: str, scope: Scope, expect: Type | None, place: Callable[[int], Place]) -> s.Node:
    """Type one expression. Raises ExpressionFault."""
    if len(text) > MAX_LENGTH:
        raise ExpressionFault(0, f"the expression has {len(text)} characters, more than the limit of {MAX_LENGTH}", "split it into formulas")
    flat = _KEYWORD_FIELD.sub(lambda m: m.group(0)[:-1] + "_", text.replace("\n", " "))
    depth = deepest = 0
    for char in flat:
        depth += (char in "([{") - (char in ")]}")
        deepest = max(deepest, depth)
    if deepest > MAX_NESTING or flat.count("not ") > 100 or "- - -" in flat or "---" in flat:
        raise ExpressionFault(0, f"the expression is nested deeper than {MAX_NESTING} levels", "split it into formulas")
    try:
        tree = ast.parse(f"({flat})", mode="eval").body
    except SyntaxError as error:
        raise ExpressionFault(max(0, (error.offset or 2) - 2), f"this is no expression: {error.msg}", _syntax_help(flat)) from None
    except (ValueError, RecursionError, MemoryError):
        raise ExpressionFault(0, "the expression is too deep or holds a character that cannot stand there", "split it into formulas") from None
    return _Typer(flat, place).typed(tree, scope, expect)


def _syntax_help(text: str) -> str | None:
    if re.search(r"(?<![=<>!])=(?!=)", text):
        return "`==` compares"
    if "&&" in text or "||" in text:
        return "write `and`, `or`"
    return None


def key_of(node: s.Node) -> Key | None:
    """The identity of a value that a null test can be about."""
    if isinstance(node, (s.Fact, s.Formula, s.Variable, s.Parameter)):
        return (type(node).__name__, node.name)
    if isinstance(node, s.FieldOf):
        inner = key_of(node.record)
        return None if inner is None else ("FieldOf", inner, node.name)
    return None


def not_null_if(node: s.Node, truth: bool) -> frozenset[Key]:
    """The values that are known not to be null where `node` is true (or false)."""
    if isinstance(node, s.Not):
        return not_null_if(node.item, not truth)
    if isinstance(node, (s.And, s.Or)):
        sets = [not_null_if(item, truth) for item in node.items]
        every = isinstance(node, s.And) == truth
        return frozenset().union(*sets) if every else frozenset.intersection(*sets)
    if isinstance(node, s.IsNull) and not truth:
        key = key_of(node.item)
        return frozenset([key]) if key else frozenset()
    if isinstance(node, s.Compare) and ((node.op == "==") == truth) and node.op in ("==", "!="):
        keys = [key_of(a) for a, b in ((node.left, node.right), (node.right, node.left)) if not b.nullable and not isinstance(b.type, NullType)]
        return frozenset(k for k in keys if k)
    if isinstance(node, s.In) and truth:
        key = key_of(node.item)
        return frozenset([key]) if key else frozenset()
    return frozenset()


class _Typer:
    """Types one parsed expression. One method for each kind of syntax."""

    def __init__(self, text: str, place: Callable[[int], Place]) -> None:
        self.text = text
        self.at = place

    # -- helpers -------------------------------------------------------------------------------------------------------------------

    def offset(self, tree: ast.AST) -> int:
        column = getattr(tree, "col_offset", 1)
        return max(0, len(f"({self.text}".encode()[:column].decode(errors="ignore")) - 1)

    def fault(self, tree: ast.AST, message: str, help: str | None = None) -> ExpressionFault:
        return ExpressionFault(self.offset(tree), message, help)

    def place(self, tree: ast.AST) -> Place:
        return self.at(self.offset(tree))

    def typed(self, tree: ast.expr, scope: Scope, expect: Type | None = None) -> s.Node:
        method = getattr(self, f"_{type(tree).__name__.lower()}", None)
        if method is None:
            raise self.fault(tree, f"`{ast.unparse(tree)[:60]}` is not part of the rule language", "docs/authoring.md lists what there is")
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
        if isinstance(value, (int, float)):
            segment = (ast.get_source_segment(f"({self.text})", tree) or str(value)).replace("_", "")
            if isinstance(value, int) and not isinstance(value, bool) and segment.isdigit():
                if len(segment) > 30:
                    raise self.fault(tree, "a number of more than 30 digits")
                return s.Const(value=value, type=COUNT, place=place)
            if not re.fullmatch(r"\d{0,30}\.\d{1,20}|\d{1,30}\.", segment):
                raise self.fault(tree, f"`{segment}` is not a plain decimal number", "write it without exponent")
            exact = Decimal(segment)
            places = -int(exact.as_tuple().exponent)
            return s.Const(value=exact, type=decimal(places, signed=False), place=place)
        if isinstance(value, str):
            return self._text_literal(tree, value, expect)
        raise self.fault(tree, f"`{value!r}` is not part of the rule language")

    def _text_literal(self, tree: ast.expr, value: str, expect: Type | None) -> s.Node:
        place = self.place(tree)
        if isinstance(expect, DateType):
            try:
                return s.Const(value=date.fromisoformat(value), type=DATE, place=place)
            except ValueError:
                raise self.fault(tree, f"`{value}` is no date", "write it as 2025-01-16") from None
        if isinstance(expect, DateTimeType):
            try:
                moment = datetime.fromisoformat(value)
            except ValueError:
                raise self.fault(tree, f"`{value}` is no date and time", "write it as 2025-01-16T09:00:00+08:00") from None
            return s.Const(value=moment if moment.tzinfo else moment.replace(tzinfo=SHANGHAI), type=DATETIME, place=place)
        if isinstance(expect, NumberType):
            raise self.fault(tree, f"expected {expect}, got the text `{value}`", "write numbers without quotes")
        if isinstance(expect, EnumType) and value not in expect.values:
            raise self.fault(tree, f"`{value}` is not among the values", did_you_mean(value, expect.values, "values: " + ", ".join(expect.values)))
        return s.Const(value=value, type=EnumType((value,)), place=place)

    def _name(self, tree: ast.Name, scope: Scope, expect: Type | None) -> s.Node:
        return self._dotted(tree, tree.id, scope, expect)

    def _attribute(self, tree: ast.Attribute, scope: Scope, expect: Type | None) -> s.Node:
        path = self._path(tree)
        if path is not None:
            return self._dotted(tree, path, scope, expect)
        return self._field(tree, self.typed(tree.value, scope), _DISGUISED.get(tree.attr, tree.attr), scope)

    def _path(self, tree: ast.expr) -> str | None:
        if isinstance(tree, ast.Name):
            return tree.id
        if isinstance(tree, ast.Attribute):
            head = self._path(tree.value)
            return None if head is None else f"{head}.{_DISGUISED.get(tree.attr, tree.attr)}"
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
            return self.narrowed(s.Parameter(name=rest, type=named.type, nullable=named.nullable, place=place), scope)
        if path in scope.facts:
            named = scope.facts[path]
            return self.narrowed(s.Fact(name=path, type=named.type, nullable=named.nullable, place=place), scope)
        if path in scope.formula_names:
            named = scope.formula(path)
            return self.narrowed(s.Formula(name=path, type=named.type, nullable=named.nullable, place=place), scope)
        if head in scope.formula_names and rest:
            named = scope.formula(head)
            return self._field(tree, s.Formula(name=head, type=named.type, nullable=named.nullable, place=place), rest, scope)
        if scope.free_values and "." not in path:
            return s.Const(value=path, type=EnumType((path,)), place=place)
        known = [*scope.names(), *(expect.values if isinstance(expect, EnumType) else ())]
        hint = "values: " + ", ".join(expect.values[:12]) if isinstance(expect, EnumType) else "facts, parameters.… and formulas can be used"
        raise self.fault(tree, f"unknown name `{path}`", did_you_mean(path, known, hint))

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
        literal = isinstance(left, ast.Constant) or (isinstance(left, ast.Name) and left.id not in scope.names())
        if literal and not isinstance(right, ast.Constant):
            b = self.typed(right, scope)
            return self.typed(left, scope, b.type), b
        a = self.typed(left, scope)
        return a, self.typed(right, scope, a.type)

    def _membership(self, left: ast.expr, right: ast.expr, scope: Scope) -> s.Node:
        place = self.place(left)
        if isinstance(right, ast.List):
            item = self.typed(left, scope)
            collection = self._list(right, scope, SetType(item.type.values) if isinstance(item.type, EnumType) else ListType(item.type))
        else:
            collection = self.present(right, self.typed(right, scope))
            inner = _item_type(collection.type)
            if inner is None:
                raise self.fault(right, f"expected a list or a set, got {collection.type}")
            item = self.typed(left, scope, inner)
        inner = _item_type(collection.type)
        if inner is not None and not isinstance(inner, NullType) and join(item.type, inner) is None:
            raise self.fault(left, f"{item.type} cannot be in {collection.type}")
        return s.In(item=item, collection=collection, place=place)

    # -- arithmetic ----------------------------------------------------------------------------------------------------------------

    def number(self, tree: ast.expr, scope: Scope) -> s.Node:
        node = self.present(tree, self.typed(tree, scope))
        if not isinstance(node.type, NumberType):
            raise self.fault(tree, f"expected a number, got {node.type}", "use `add_days`, `days_between` for dates")
        return node

    def _binop(self, tree: ast.BinOp, scope: Scope, expect: Type | None) -> s.Node:
        if type(tree.op) not in _OPERATORS:
            shown = "/" if isinstance(tree.op, ast.Div) else ast.unparse(tree)[:40]
            raise self.fault(tree, f"`{shown}` is not part of the rule language", "`divide(a, b, places)` divides and rounds half up")
        a, b = self.number(tree.left, scope), self.number(tree.right, scope)
        assert isinstance(a.type, NumberType) and isinstance(b.type, NumberType)
        op = _OPERATORS[type(tree.op)]
        if op == "*":
            if a.type.unit and b.type.unit:
                raise self.fault(tree, f"{a.type} times {b.type} has no meaning", "one of them must be without unit")
            places = None if a.type.places is None or b.type.places is None else a.type.places + b.type.places
        else:
            if a.type.unit != b.type.unit and not _unitless_literal(a) and not _unitless_literal(b):
                raise self.fault(tree, f"`{op}` between {a.type} and {b.type}", "both sides need the same unit")
            places = None if a.type.places is None or b.type.places is None else max(a.type.places, b.type.places)
        signed = op == "-" or a.type.signed or b.type.signed
        return s.Arithmetic(op=op, left=a, right=b, type=_number(places, a.type.unit or b.type.unit, signed), place=self.place(tree))

    # -- lists, aggregates, calls --------------------------------------------------------------------------------------------------

    def _list(self, tree: ast.List, scope: Scope, expect: Type | None) -> s.Node:
        inner = _item_type(expect) if expect else None
        items = tuple(self.present(e, self.typed(e, scope, inner)) for e in tree.elts)
        kind: Type = inner or NULL
        if items:
            kind = items[0].type
            for tree_item, item in zip(tree.elts, items, strict=True):
                both = join(kind, item.type)
                if both is None:
                    raise self.fault(tree_item, f"a list of {kind} cannot hold {item.type}")
                kind = both
        as_set = isinstance(kind, EnumType) and not isinstance(expect, ListType)
        if not items:
            result: Type = expect if isinstance(expect, (SetType, ListType)) else ListType(NULL)
        else:
            result = SetType(kind.values) if as_set and isinstance(kind, EnumType) else ListType(kind)
        return s.ListOf(items=items, type=result, place=self.place(tree))

    def _comprehension(self, tree: ast.GeneratorExp | ast.ListComp, scope: Scope) -> tuple[str, s.Node, s.Node | None, Scope]:
        if len(tree.generators) != 1:
            raise self.fault(tree, "one `for` at a time", "use a formula with `each` for the inner list")
        generator = tree.generators[0]
        if not isinstance(generator.target, ast.Name) or generator.is_async:
            raise self.fault(tree, "the variable after `for` must be one plain name")
        source = self.present(generator.iter, self.typed(generator.iter, scope))
        item = _item_type(source.type)
        if item is None:
            raise self.fault(generator.iter, f"expected a list or a set, got {source.type}")
        unique, inner = bind(scope, generator.target.id, Named(item))
        conditions: list[s.Node] = []
        for test in generator.ifs:
            conditions.append(self.condition(test, inner))
            inner = inner.knowing(not_null_if(conditions[-1], True))
        condition = None if not conditions else conditions[0] if len(conditions) == 1 else s.And(items=tuple(conditions), place=self.place(tree))
        return unique, source, condition, inner

    def _listcomp(self, tree: ast.ListComp, scope: Scope, expect: Type | None) -> s.Node:
        variable, source, condition, inner = self._comprehension(tree, scope)
        value = self.present(tree.elt, self.typed(tree.elt, inner, _item_type(expect) if expect else None))
        kind: Type = SetType(value.type.values) if isinstance(value.type, EnumType) else ListType(value.type)
        return s.Select(variable=variable, source=source, condition=condition, value=value, type=kind, place=self.place(tree))

    def _call(self, tree: ast.Call, scope: Scope, expect: Type | None) -> s.Node:
        name = self._path(tree.func)
        if name is None:
            raise self.fault(tree, "this cannot be called")
        kind, _, rest = name.partition(".")
        if kind == "tables" and rest:
            return self._table(tree, rest, scope)
        if tree.keywords:
            raise self.fault(tree, "only tables take named arguments")
        if kind == "scales" and rest:
            if rest not in scope.scales or len(tree.args) != 1:
                raise self.fault(tree, f"`scales.{rest}` with one amount expected", did_you_mean(rest, scope.scales))
            amount = self.number(tree.args[0], scope)
            unit = amount.type.unit if isinstance(amount.type, NumberType) else None
            return s.ScaleCall(scale=rest, amount=amount, type=decimal(None, unit, False), place=self.place(tree))
        if len(tree.args) == 1 and isinstance(tree.args[0], ast.GeneratorExp):
            return self._aggregate(tree, name, tree.args[0], scope)
        if name == "violated":
            return self._violated(tree, scope)
        if name == "preceding":
            if not scope.in_each or len(tree.args) != 1:
                raise self.fault(tree, "`preceding(value)` stands in a `let` of an `each` block")
            value = self.number(tree.args[0], scope)
            assert isinstance(value.type, NumberType)
            return s.Preceding(value=value, type=value.type, place=self.place(tree))
        if name == "coalesce":
            return self._coalesce(tree, scope, expect)
        return self._function(tree, name, scope)

    def _function(self, tree: ast.Call, name: str, scope: Scope) -> s.Node:
        if name not in SIGNATURES:
            known = [*SIGNATURES, "sum", "any", "all", "coalesce", "violated", "preceding"]
            raise self.fault(tree, f"unknown function `{name}`", did_you_mean(name, known, "functions: " + ", ".join(known)))
        arguments: list[s.Node] = []
        for argument in tree.args:
            wanted = arguments[0].type if arguments and name in ("min", "max", "days_between", "working_days_between") else None
            if name in ("subset", "intersects") and arguments:
                wanted = arguments[0].type
            if name == "index_of" and arguments:
                wanted = _item_type(arguments[0].type)
            arguments.append(self.present(argument, self.typed(argument, scope, wanted)))
        result = SIGNATURES[name](arguments)
        if isinstance(result, str):
            raise self.fault(tree, f"`{name}`: {result}")
        if name == "matches" and isinstance(arguments[1], s.Const) and (why := bad_pattern(arguments[1].value)):
            raise self.fault(tree, why)
        return s.Call(function=name, arguments=tuple(arguments), type=result[0], nullable=result[1], place=self.place(tree))

    def _aggregate(self, tree: ast.Call, name: str, inner_tree: ast.GeneratorExp, scope: Scope) -> s.Node:
        if name not in ("count", "sum", "any", "all", "min", "max"):
            raise self.fault(tree, f"`{name}` does not take a list expression", "count, sum, any, all, min and max do")
        variable, source, condition, inner = self._comprehension(inner_tree, scope)
        place = self.place(tree)
        if name == "count":
            return s.Aggregate(function=name, variable=variable, source=source, condition=condition, value=None, type=COUNT, place=place)
        if name in ("any", "all"):
            value = self.condition(inner_tree.elt, inner)
            return s.Aggregate(function=name, variable=variable, source=source, condition=condition, value=value, place=place)
        value = self.present(inner_tree.elt, self.typed(inner_tree.elt, inner))
        kind = value.type
        if name == "sum" and not isinstance(kind, NumberType):
            raise self.fault(inner_tree.elt, f"`sum` needs numbers, got {kind}")
        if not isinstance(kind, (NumberType, DateType, DateTimeType)):
            raise self.fault(inner_tree.elt, f"`{name}` needs numbers or dates, got {kind}")
        return s.Aggregate(
            function=name, variable=variable, source=source, condition=condition, value=value, type=kind, nullable=name != "sum", place=place
        )

    def _violated(self, tree: ast.Call, scope: Scope) -> s.Node:
        code = tree.args[0].value if len(tree.args) == 1 and isinstance(tree.args[0], ast.Constant) else None
        if not isinstance(code, str):
            raise self.fault(tree, "`violated` takes one code in quotes", 'violated("some-code")')
        if code not in scope.codes:
            raise self.fault(tree, f"unknown code `{code}`", did_you_mean(code, scope.codes, "it names a requirement of this file"))
        return s.Violated(code=code, place=self.place(tree))

    def _coalesce(self, tree: ast.Call, scope: Scope, expect: Type | None) -> s.Node:
        if len(tree.args) != 2:
            raise self.fault(tree, "`coalesce(x, default)` takes two values")
        value = self.typed(tree.args[0], scope, expect)
        default = self.typed(tree.args[1], scope, value.type)
        both = join(value.type, default.type)
        if both is None:
            raise self.fault(tree, f"{value.type} and {default.type} do not go together")
        test = s.IsNull(item=value, place=value.place)
        present = replace(value, nullable=False)
        return s.If(condition=test, then=default, otherwise=present, type=both, nullable=default.nullable, place=self.place(tree))

    def _table(self, tree: ast.Call, name: str, scope: Scope) -> s.Node:
        if name not in scope.tables:
            raise self.fault(tree, f"unknown table `{name}`", did_you_mean(name, scope.tables))
        inputs, result = scope.tables[name]
        given = {k.arg: k.value for k in tree.keywords if k.arg}
        if tree.args or set(given) != set(inputs):
            wanted = ", ".join(f"{i}=…" for i in inputs)
            raise self.fault(tree, f"table `{name}` takes other inputs", f"write `tables.{name}({wanted})`")
        arguments = []
        for key, named in inputs.items():
            node = self.typed(given[key], scope, named.type)
            if join(node.type, named.type) is None:
                raise self.fault(given[key], f"`{key}` expects {named.type}, got {node.type}")
            arguments.append((key, node))
        return s.TableCall(table=name, arguments=tuple(arguments), type=result.type, nullable=result.nullable, place=self.place(tree))

    def _subscript(self, tree: ast.Subscript, scope: Scope, expect: Type | None) -> s.Node:
        node = self.typed(tree.value, scope)
        if not isinstance(node, s.Parameter) or not isinstance(node.type, MapType):
            raise self.fault(tree, "only a map parameter takes a key in brackets")
        key = self.present(tree.slice, self.typed(tree.slice, scope, EnumType(node.type.keys)))
        if not is_text(key.type):
            raise self.fault(tree.slice, f"expected one of {', '.join(node.type.keys)}, got {key.type}")
        return s.Parameter(name=node.name, key=key, type=node.type.of, place=self.place(tree))


def bind(scope: Scope, name: str, named: Named) -> tuple[str, Scope]:
    """A scope in which `name` is a variable; its unique name."""
    unique = f"{name}_{len(scope.variables)}"
    return unique, replace(scope, variables={**scope.variables, name: (unique, named)})


def _item_type(t: Type) -> Type | None:
    if isinstance(t, ListType):
        return t.item
    if isinstance(t, SetType):
        return TEXT if t.values is None else EnumType(t.values)
    return None


def _number(places: int | None, unit: str | None, signed: bool) -> NumberType:
    if unit == "CNY" and places == 2:
        return NumberType("money", 2, "CNY", signed)
    if places == 0:
        return NumberType("integer", 0, unit, signed) if unit else (INTEGER if signed else COUNT)
    return NumberType("decimal", places, unit, signed)


def _unitless_literal(node: s.Node) -> bool:
    return isinstance(node, s.Const)


def _compare_help(a: Type, b: Type) -> str | None:
    if {type(a), type(b)} == {DateType, DateTimeType}:
        return "`date(x)` gives the day of a date and time"
    if isinstance(a, NumberType) and isinstance(b, NumberType):
        return "both sides need the same unit"
    return None
