"""Numbers and texts that are written out in an expression; what a text in quotes is depends on the type that is expected."""

from __future__ import annotations

import ast
import re
from decimal import Decimal

from engine import syntax as s
from engine.clock import business_moment, calendar_day
from engine.errors import did_you_mean
from engine.scope import Scope
from engine.typer import Typer
from engine.types import COUNT, DATE, DATETIME, DateTimeType, DateType, EnumType, NumberType, Type, decimal


def constant(typer: Typer, tree: ast.Constant, scope: Scope, expect: Type | None) -> s.Node:
    """A number or a text. Numbers are exact: digits, never an exponent."""
    value, place = tree.value, typer.place(tree)
    if isinstance(value, bool):
        raise typer.fault(tree, f"`{value}` is not part of the rule language", "write `true` or `false`")
    if isinstance(value, str):
        return _text(typer, tree, value, expect)
    segment = typer.text[tree.col_offset : tree.end_col_offset].replace("_", "")
    if not isinstance(value, (int, float)):
        raise typer.refused(tree, segment)
    if segment.isdigit():
        if len(segment) > 30:
            raise typer.fault(tree, "a number of more than 30 digits")
        return s.Const(value=int(segment), type=COUNT, place=place)
    if not re.fullmatch(r"\d{0,30}\.\d{1,20}|\d{1,30}\.", segment):
        raise typer.fault(tree, f"`{segment}` is not a plain decimal number", "write it in digits, without exponent")
    exact = Decimal(segment)
    places = -int(exact.as_tuple().exponent)
    return s.Const(value=exact, type=decimal(places, signed=False), place=place)


def _text(typer: Typer, tree: ast.expr, value: str, expect: Type | None) -> s.Node:
    place = typer.place(tree)
    if isinstance(expect, DateType):
        try:
            return s.Const(value=calendar_day(value), type=DATE, place=place)
        except ValueError:
            raise typer.fault(tree, f"`{value}` is no date", "write it as 2025-01-16") from None
    if isinstance(expect, DateTimeType):
        try:
            return s.Const(value=business_moment(value), type=DATETIME, place=place)
        except ValueError:
            raise typer.fault(tree, f"`{value}` is no date and time", "write it as 2025-01-16T09:00:00+08:00") from None
    if isinstance(expect, NumberType):
        raise typer.fault(tree, f"expected {expect}, got the text `{value}`", "write numbers without quotes")
    if isinstance(expect, EnumType) and value not in expect.values:
        raise typer.fault(tree, f"`{value}` is not among the values", did_you_mean(value, expect.values, "values: " + ", ".join(expect.values)))
    return s.Const(value=value, type=EnumType((value,)), place=place)
