"""Typed values out of a rule file: parameters, table cells, scales. Facts of a request are read by engine/facts.py."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any

from engine.clock import business_moment, calendar_day
from engine.errors import EvaluationError, did_you_mean
from engine.model import FactModel, ParameterModel, TypeSpec
from engine.policy import Cell
from engine.types import (
    BOOL,
    DATE,
    DATETIME,
    TEXT,
    BoolType,
    DateTimeType,
    DateType,
    EnumType,
    Field,
    ListType,
    MapType,
    NumberType,
    RecordType,
    SetType,
    TextType,
    Type,
    decimal,
    money,
)

_DECIMAL = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,20})?")
_INTERVAL = re.compile(r"([\[(])\s*(.+?)\s*\.\.\s*(.+?)\s*([\])])")
_ONE_SIDED = re.compile(r"(>=|>|<=|<)\s*(.+)")


_CELL_HELP = "a cell holds a value, a list of values, `any`, `none`, or a range: `[0..100)`, `>= 5`"


class LiteralFault(Exception):
    """A type or value of a rule file that does not fit. `at` leads from the part that is read to the key that is wrong."""

    def __init__(self, message: str, help: str | None = None, at: tuple[str | int, ...] = ()) -> None:
        self.help, self.at = help, at
        super().__init__(message)


class Entries(dict[str, Any]):
    """The value of a map parameter. A key that it has not is an error with a name, not a crash."""

    def __missing__(self, key: str) -> Any:
        raise EvaluationError("no-such-key", f"a map with the keys {', '.join(self)} has no `{key}`")


def type_of(spec: TypeSpec | ParameterModel | FactModel) -> Type:
    """The type that a rule file declares. Raises LiteralFault."""
    name, values = spec.type, spec.values
    if name == "enum":
        if values == "open":
            return TEXT
        if not values:
            raise LiteralFault("an enum needs `values`")
        for i, value in enumerate(values):
            if value in values[:i]:
                raise LiteralFault(f"`{value}` stands twice in `values`", at=("values",))
        return EnumType(tuple(values), spec.ordered)
    if name == "set of enum":
        return SetType(None if values in (None, "open") else tuple(values))
    if name == "integer":
        return NumberType("integer", 0, spec.unit, spec.signed)
    if name == "money":
        return money(spec.signed)
    if name == "decimal":
        return decimal(spec.places, spec.unit, spec.signed)
    if name == "ratio":
        return NumberType("ratio", spec.places, spec.unit, spec.signed)
    if name == "list of record":
        fields = getattr(spec, "fields", None)
        if not fields:
            raise LiteralFault("a list of record needs `fields`")
        return ListType(RecordType(tuple(Field(n, _field_type(n, f), f.nullable) for n, f in fields.items())))
    if name == "map":
        if not isinstance(spec, ParameterModel):
            said = "a fact cannot be a map" if isinstance(spec, FactModel) else "only a parameter can be a map"
            raise LiteralFault(said, "a list of record holds pairs", ("type",))
        if not spec.keys or spec.of is None:
            raise LiteralFault("a map is a parameter with `keys` and `of`")
        return MapType(tuple(spec.keys), type_of(spec.of))
    simple: dict[str, Type] = {"bool": BOOL, "text": TEXT, "date": DATE, "datetime": DATETIME, "list of text": ListType(TEXT)}
    return simple[name]


def _field_type(name: str, spec: TypeSpec) -> Type:
    try:
        return type_of(spec)
    except LiteralFault as fault:
        raise LiteralFault(str(fault), fault.help, ("fields", name, *fault.at)) from None


def literal(raw: Any, t: Type) -> Any:
    """A value of a rule file as a value of its type. Raises LiteralFault with what was expected."""
    if isinstance(t, BoolType):
        if isinstance(raw, bool):
            return raw
        raise LiteralFault(f"expected true or false, got `{raw}`")
    if isinstance(t, NumberType):
        return _number(raw, t)
    if isinstance(t, EnumType):
        if raw in t.values:
            return raw
        raise LiteralFault(f"`{raw}` is not among the values " + ", ".join(t.values), did_you_mean(str(raw), t.values))
    if isinstance(t, TextType):
        if isinstance(raw, str):
            return raw
        raise LiteralFault(f"expected a text, got `{raw}`")
    if isinstance(t, (DateType, DateTimeType)):
        return _moment(raw, t)
    if isinstance(t, (SetType, ListType)):
        if not isinstance(raw, list):
            raise LiteralFault(f"expected a list, got `{raw}`")
        inner: Type = t.item if isinstance(t, ListType) else TEXT if t.values is None else EnumType(t.values)
        return tuple(literal(item, inner) for item in raw)
    if isinstance(t, MapType):
        if not isinstance(raw, dict) or set(raw) != set(t.keys):
            raise LiteralFault("expected one value for each of " + ", ".join(t.keys))
        return Entries({key: literal(value, t.of) for key, value in raw.items()})
    raise LiteralFault(f"a value of {t} cannot be written here")


def _number(raw: Any, t: NumberType) -> Any:
    if isinstance(raw, bool) or not isinstance(raw, (int, str)) or not _DECIMAL.fullmatch(str(raw)):
        raise LiteralFault(f"expected {t}, got `{raw}`")
    try:
        value = Decimal(str(raw))
    except InvalidOperation:
        raise LiteralFault(f"expected {t}, got `{raw}`") from None
    places = max(0, -int(value.as_tuple().exponent))
    if t.places is not None and places > t.places:
        raise LiteralFault(f"`{raw}` has {places} decimals, {t} has {t.places}")
    if value < 0 and not t.signed:
        raise LiteralFault(f"`{raw}` is below 0", "write `signed: true` if it may be")
    return int(value) if t.name == "integer" else value


def _moment(raw: Any, t: Type) -> Any:
    try:
        if isinstance(t, DateType):
            return calendar_day(str(raw))
        return business_moment(str(raw))
    except ValueError:
        help = "write it as 2025-01-16" if isinstance(t, DateType) else "write it as 2025-01-16T09:00:00+08:00"
        raise LiteralFault(f"expected {t}, got `{raw}`", help) from None


def cell(raw: Any, t: Type) -> Cell:
    """One condition of a table row: a value, a list of values, any, none, or a range."""
    if raw == "any":
        return Cell("any")
    if raw is None or (raw == "none" and not (isinstance(t, EnumType) and "none" in t.values)):
        return Cell("none")
    if isinstance(raw, list):
        if not raw:
            raise LiteralFault("the list is empty, no value fits it", "`any` fits every value")
        return Cell("values", frozenset(None if r is None else literal(r, t) for r in raw))
    if isinstance(raw, str) and isinstance(t, (NumberType, DateType, DateTimeType)):
        if found := _INTERVAL.fullmatch(raw):
            low, high = literal(found[2], t), literal(found[3], t)
            low_open, high_open = found[1] == "(", found[4] == ")"
            if low > high or (low == high and (low_open or high_open)):
                raise LiteralFault(f"the range `{raw}` is empty")
            return Cell("range", low=low, high=high, low_open=low_open, high_open=high_open)
        if found := _ONE_SIDED.fullmatch(raw):
            bound = literal(found[2], t)
            if found[1][0] == ">":
                return Cell("range", low=bound, low_open=found[1] == ">")
            return Cell("range", high=bound, high_open=found[1] == "<")
    try:
        return Cell("values", frozenset([literal(raw, t)]))
    except LiteralFault as fault:
        raise LiteralFault(str(fault), fault.help if isinstance(t, EnumType) else _CELL_HELP) from None
