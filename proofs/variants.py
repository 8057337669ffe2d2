"""Small changes of one expression of the typed tree, each as an author could have written it by mistake."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from engine import syntax as s
from engine.errors import Place
from engine.types import BOOL, COUNT, BoolType, EnumType, ListType, NumberType, RecordType, Type
from engine.unparse import text
from proofs.steps import places_of, steps, value_text

_BOUNDARY = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}
_EXCHANGED = {
    "floor": "ceil", "ceil": "floor", "min": "max", "max": "min", "subset": "intersects", "intersects": "subset",
    "add_working_days": "add_days", "working_days_between": "days_between", "days_between": "working_days_between",
}  # fmt: skip
_ROUNDING = ("round_half_up", "divide")
_MOVING = ("add_days", "add_months", "add_working_days")
_AGGREGATES = {"any": "all", "all": "any", "min": "max", "max": "min"}
_SHOWN = 90


@dataclass(frozen=True, slots=True)
class Variant:
    """The whole expression with one thing changed: what kind of change, where, and in words."""

    node: s.Node
    kind: str
    place: Place
    text: str


def variants(node: s.Node, expect: Type | None = None) -> Iterator[Variant]:
    """Every variant of an expression. `expect`: the type that is wanted where it stands, which says the values that an enum may take."""
    yield from _own(node, expect)
    if isinstance(node, s.If) and _is_default(node):
        yield from _of_default(node, expect)
        return
    if isinstance(node, s.Call) and node.function in _ROUNDING:
        for changed, found in _changed(node.arguments[:-1], None):
            yield replace(found, node=replace(node, arguments=(*changed, node.arguments[-1])))
        return
    for name, wanted in _inside(node, expect):
        yield from _within(node, name, getattr(node, name), wanted)


def condition_variants(node: s.Node) -> Iterator[Variant]:
    """Every variant of a condition, also the whole of it negated."""
    if isinstance(node, (s.And, s.Or)):
        yield _negation(node)
    yield from variants(node, BOOL)


# -- walking into an expression ------------------------------------------------------------------------------------------------------------


def _inside(node: s.Node, expect: Type | None) -> Iterator[tuple[str, Type | None]]:
    """The fields that hold expressions, with the type that each is wanted to have."""
    match node:
        case s.Compare(left=left, right=right):
            yield from (("left", _wider(right.type, left.type)), ("right", _wider(left.type, right.type)))
        case s.In(item=item):
            yield from (("item", None), ("collection", item.type))
        case s.And() | s.Or():
            yield "items", BOOL
        case s.ListOf():
            yield "items", expect
        case s.If():
            yield from (("condition", BOOL), ("then", expect or node.type), ("otherwise", expect or node.type))
        case s.First():
            yield "lines", expect or node.type
        case s.Line(when=when):
            yield from ((("when", BOOL),) if when is not None else ())
            yield "then", expect
        case s.Arithmetic() | s.Negative():
            yield from ((name, node.type) for name in ("left", "right", "item") if hasattr(node, name))
        case s.Call():
            yield "arguments", next((a.type for a in node.arguments if not isinstance(a, s.Const)), None)
        case s.Aggregate() | s.Select():
            yield from (("source", None), ("condition", BOOL), ("value", None))
        case s.Each():
            yield from (("source", None), ("where", BOOL), ("order", None), ("lets", None), ("keep", BOOL), ("rows", expect))
        case s.Row():
            yield from (("when", BOOL), ("values", expect))
        case s.SetOf():
            yield "members", BOOL
        case s.Not() | s.IsNull():
            yield "item", None
        case s.FieldOf():
            yield "record", None
        case s.TableCall():
            yield "arguments", None
        case s.ScaleCall():
            yield "amount", None
        case s.Preceding():
            yield "value", None
        case s.Parameter():
            yield "key", None


def _within(node: s.Node, name: str, value: Any, wanted: Type | None) -> Iterator[Variant]:
    for changed, found in _changed(value, wanted, isinstance(node, s.Row) and name == "values"):
        yield replace(found, node=replace(node, **{name: changed}))


def _changed(value: Any, wanted: Type | None, fields: bool = False) -> Iterator[tuple[Any, Variant]]:
    """A field of a node with one expression inside it changed; fields of nodes may be expressions, or tuples that hold some."""
    if isinstance(value, s.Node):
        for found in variants(value, wanted):
            yield found.node, found
    elif isinstance(value, tuple):
        for i, part in enumerate(value):
            kind = _field_type(wanted, i) if fields else wanted
            for changed, found in _changed(part, kind):
                yield (*value[:i], changed, *value[i + 1 :]), found


def _field_type(wanted: Type | None, i: int) -> Type | None:
    record = wanted.item if isinstance(wanted, ListType) else None
    return record.fields[i].type if isinstance(record, RecordType) else None


def _wider(a: Type, b: Type) -> Type:
    """Of the types of two sides the one with more values."""
    return a if len(getattr(a, "values", None) or ()) >= len(getattr(b, "values", None) or ()) or not isinstance(b, EnumType) else b


def _is_default(node: s.If) -> bool:
    """Is this `coalesce`? Its value stands twice in the tree, once in the text."""
    return isinstance(node.condition, s.IsNull) and replace(node.otherwise, nullable=node.condition.item.nullable) == node.condition.item


def _of_default(node: s.If, expect: Type | None) -> Iterator[Variant]:
    assert isinstance(node.condition, s.IsNull)
    for found in variants(node.condition.item, expect):
        yield replace(found, node=replace(node, condition=replace(node.condition, item=found.node), otherwise=replace(found.node, nullable=False)))
    for found in variants(node.then, expect or node.type):
        yield replace(found, node=replace(node, then=found.node))


# -- changes of one node -------------------------------------------------------------------------------------------------------------------


def _own(node: s.Node, expect: Type | None) -> Iterator[Variant]:
    match node:
        case s.Const(value=value):
            yield from _constant(node, value, expect)
        case s.Compare(op=op):
            changed = replace(node, op=_BOUNDARY[op])
            yield Variant(changed, "operator", node.place, f"`{changed.op}` for `{op}` in `{shown(node)}`")
        case s.Not(item=item):
            yield Variant(item, "negation", node.place, f"`{shown(item)}` for `{shown(node)}`")
        case s.And(items=items) | s.Or(items=items) if len(items) > 1:
            yield from _junction(node, items)
        case s.Arithmetic(op=op) if op in "+-":
            other = "-" if op == "+" else "+"
            yield Variant(replace(node, op=other), "arithmetic", node.place, f"`{other}` for `{op}` in `{shown(node)}`")
        case s.Negative(item=item):
            yield Variant(item, "arithmetic", node.place, f"`{shown(item)}` for `{shown(node)}`")
        case s.Call():
            yield from _call(node)
        case s.Aggregate() | s.Select():
            yield from _loop(node)
        case s.First(lines=lines):
            yield from _lines(node, lines)
        case s.Each():
            yield from _each(node)
        case s.Row(when=when) if when is not None:
            yield Variant(replace(node, when=None), "guard", when.place, f"`when: {shown(when)}` of a row dropped")
        case s.ListOf(items=items) if len(items) > 1:
            for i, item in enumerate(items):
                yield Variant(replace(node, items=(*items[:i], *items[i + 1 :])), "list", item.place, f"`{shown(item)}` taken out of `{shown(node)}`")
    if isinstance(node.type, BoolType) and not _negated_already(node):
        yield _negation(node)


def _negation(node: s.Node) -> Variant:
    return Variant(s.Not(item=node, place=node.place), "negation", node.place, f"`{shown(node)}` negated")


def _negated_already(node: s.Node) -> bool:
    """Is the negation of this node no change of its own, or the same as another change of it?"""
    if isinstance(node, (s.Const, s.Not, s.And, s.Or, s.If, s.First, s.Row, s.Line)):
        return True
    return isinstance(node, s.Compare) and node.op in ("==", "!=")


def _constant(node: s.Const, value: Any, expect: Type | None) -> Iterator[Variant]:
    if value is None:
        return
    for other in steps(value, node.type, expect):
        kind: Type = EnumType((other,)) if isinstance(node.type, EnumType) else node.type
        if isinstance(kind, NumberType):
            kind = replace(kind, places=max(kind.places or 0, places_of(other)), signed=kind.signed or other < 0)
        name = "date" if isinstance(value, date) else "constant"
        yield Variant(replace(node, value=other, type=kind), name, node.place, f"`{value_text(other)}` for `{value_text(value)}`")


def _junction(node: s.And | s.Or, items: tuple[s.Node, ...]) -> Iterator[Variant]:
    other, word = (s.Or, "or") if isinstance(node, s.And) else (s.And, "and")
    yield Variant(other(items=items, place=node.place), "logic", node.place, f"`{word}` for `{'and' if word == 'or' else 'or'}` in `{shown(node)}`")
    for i, item in enumerate(items):
        rest = (*items[:i], *items[i + 1 :])
        yield Variant(rest[0] if len(rest) == 1 else replace(node, items=rest), "logic", item.place, f"`{shown(item)}` dropped from `{shown(node)}`")


def _call(node: s.Call) -> Iterator[Variant]:
    other = _EXCHANGED.get(node.function)
    if other is not None:
        yield Variant(replace(node, function=other), "function", node.place, f"`{other}` for `{node.function}` in `{shown(node)}`")
    if node.function in _ROUNDING:
        places = node.arguments[-1]
        assert isinstance(places, s.Const)
        if places.value > 0:
            changed = replace(node, arguments=(*node.arguments[:-1], replace(places, value=places.value - 1)))
            yield Variant(changed, "rounding", node.place, f"{places.value - 1} places for {places.value} in `{shown(node)}`")
    if node.function in _MOVING and not isinstance(node.arguments[1], (s.Const, s.Parameter)):
        for op in "+-":
            moved = s.Arithmetic(op=op, left=node.arguments[1], right=s.Const(value=1, type=COUNT), type=node.arguments[1].type, place=node.place)
            yield Variant(replace(node, arguments=(node.arguments[0], moved)), "date", node.place, f"`{op} 1` at the end of `{shown(node)}`")


def _loop(node: s.Aggregate | s.Select) -> Iterator[Variant]:
    if isinstance(node, s.Aggregate) and node.function in _AGGREGATES:
        other = _AGGREGATES[node.function]
        yield Variant(replace(node, function=other), "aggregate", node.place, f"`{other}` for `{node.function}` in `{shown(node)}`")
    if node.condition is not None:
        yield Variant(replace(node, condition=None), "aggregate", node.condition.place, f"`if {shown(node.condition)}` dropped from `{shown(node)}`")


def _lines(node: s.First, lines: tuple[s.Line, ...]) -> Iterator[Variant]:
    for i, line in enumerate(lines[:-1]):
        assert line.when is not None
        named = f"`when: {shown(line.when)}`"
        yield Variant(replace(node, lines=(*lines[:i], *lines[i + 1 :])), "line", line.place, f"the line {named} removed")
        if i + 2 < len(lines):
            swapped = (*lines[:i], lines[i + 1], line, *lines[i + 2 :])
            yield Variant(replace(node, lines=swapped), "line", line.place, f"the line {named} after the next one")


def _each(node: s.Each) -> Iterator[Variant]:
    for name in ("where", "keep"):
        test = getattr(node, name)
        if test is not None:
            without: dict[str, Any] = {name: None}
            yield Variant(replace(node, **without), "guard", test.place, f"`{name}: {shown(test)}` dropped")
    for i, (key, descending) in enumerate(node.order):
        turned = (*node.order[:i], (key, not descending), *node.order[i + 1 :])
        yield Variant(replace(node, order=turned), "order", key.place, f"the order by `{shown(key)}` turned round")
        yield Variant(replace(node, order=(*node.order[:i], *node.order[i + 1 :])), "order", key.place, f"the order by `{shown(key)}` dropped")
    if len(node.rows) > 1:
        for i, row in enumerate(node.rows):
            place = row.values[0].place if row.values else node.place
            yield Variant(replace(node, rows=(*node.rows[:i], *node.rows[i + 1 :])), "row", place, f"possible record {i + 1} removed")


def shown(node: s.Node) -> str:
    """An expression in words, cut if it is long."""
    found = text(node)
    return found if len(found) <= _SHOWN else found[: _SHOWN - 1] + "…"
