"""What Ibis does not write as it is meant, for every dialect.

It has no type for the sum or product of decimals of different places: here the operator is written as it is and cast to the type that the caller has
worked out. It writes `(NOT a) IS NULL` and `(a IN (b)) IS NULL` without the brackets, which says something else or nothing at all. And it has no
microseconds since 1970 that all databases know.
"""

from __future__ import annotations

from typing import Any

import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import ibis.expr.rules as rlz
import ibis.expr.types as ir
import sqlglot as sg
import sqlglot.expressions as sge
from ibis.backends.sql.compilers.base import SQLGlotCompiler
from ibis.common.annotations import attribute

_OPERATORS = {"+": sge.Add, "-": sge.Sub, "*": sge.Mul}


class ExactArithmetic(ops.Value):  # type: ignore[misc]
    """`left operator right` as a value of a stated type."""

    left: ops.Value[dt.Numeric]
    right: ops.Value[dt.Numeric]
    operator: str
    to: dt.DataType

    @attribute  # type: ignore[untyped-decorator]
    def shape(self) -> Any:
        return rlz.highest_precedence_shape((self.left, self.right))

    @attribute  # type: ignore[untyped-decorator]
    def dtype(self) -> dt.DataType:
        return self.to


def _visit(self: SQLGlotCompiler, op: ExactArithmetic, *, left: Any, right: Any, operator: str, to: dt.DataType) -> Any:
    return self.cast(_OPERATORS[operator](this=sge.paren(left, copy=False), expression=sge.paren(right, copy=False)), to)


class HalfUp(ops.Value):  # type: ignore[misc]
    """A decimal rounded half up, away from zero, to a stated type."""

    arg: ops.Value[dt.Numeric]
    places: int
    to: dt.DataType

    shape = rlz.shape_like("arg")

    @attribute  # type: ignore[untyped-decorator]
    def dtype(self) -> dt.DataType:
        return self.to


def _visit_half_up(self: SQLGlotCompiler, op: HalfUp, *, arg: Any, places: int, to: dt.DataType) -> Any:
    # DuckDB's cast to fewer places rounds half up itself, in half the time of both
    return self.cast(arg if _dialect(self) == "duckdb" else self.f.round(arg, places), to)


class Microseconds(ops.Value):  # type: ignore[misc]
    """Microseconds from 1970 to a wall-clock time."""

    arg: ops.Value[dt.Timestamp]

    shape = rlz.shape_like("arg")
    dtype = dt.int64


def _visit_microseconds(self: SQLGlotCompiler, op: Microseconds, *, arg: Any) -> Any:
    dialect = _dialect(self)
    if "duckdb" in dialect:
        return self.f.anon.epoch_us(arg)
    if "spark" in dialect or "databricks" in dialect:
        return self.f.anon.unix_micros(self.cast(arg, dt.Timestamp(timezone="UTC")))
    if "trino" in dialect:
        return self.cast(self.f.anon.to_unixtime(arg) * 1_000_000, dt.int64)
    return self.cast(sge.Extract(this=sge.Var(this="EPOCH"), expression=arg) * 1_000_000, dt.int64)


def _dialect(compiler: SQLGlotCompiler) -> str:
    return compiler.dialect.__name__.lower() if isinstance(compiler.dialect, type) else str(compiler.dialect)


def _visit_is_null(self: SQLGlotCompiler, op: ops.IsNull, *, arg: Any) -> Any:
    return sge.paren(arg, copy=False).is_(sge.Null())


def _visit_not_null(self: SQLGlotCompiler, op: ops.NotNull, *, arg: Any) -> Any:
    return sge.paren(arg, copy=False).is_(sg.not_(sge.Null()))


def _visit_identical_to(self: SQLGlotCompiler, op: ops.IdenticalTo, *, left: Any, right: Any) -> Any:
    return sge.NullSafeEQ(this=sge.paren(left, copy=False), expression=sge.paren(right, copy=False))


_VISITS = {
    "visit_ExactArithmetic": _visit,
    "visit_HalfUp": _visit_half_up,
    "visit_Microseconds": _visit_microseconds,
    "visit_IsNull": _visit_is_null,
    "visit_NotNull": _visit_not_null,
    "visit_IdenticalTo": _visit_identical_to,
}


def _install(compiler: type[SQLGlotCompiler]) -> None:
    """Teach a dialect's compiler, and those that rest on it."""
    for name, visit in _VISITS.items():
        if compiler is SQLGlotCompiler or name in vars(compiler):
            setattr(compiler, name, visit)
    for narrower in compiler.__subclasses__():
        _install(narrower)


_install(SQLGlotCompiler)


#: Digits of a decimal that fits a 64 bit integer.
LONG_DIGITS = 18


def exact(operator: str, left: ir.Value, right: ir.Value, to: dt.DataType) -> ir.Value:
    """The sum, difference or product as a decimal wide enough for it.

    DuckDB keeps the result of two decimals that fit a 64 bit integer in one, and fails where it does not fit; a wider side tells it not to.
    """
    if to.is_decimal() and to.precision > LONG_DIGITS:
        left = _wider(left)
    return ExactArithmetic(left, right, operator, to).to_expr()


def _wider(value: ir.Value) -> ir.Value:
    kind = value.type()
    if kind.is_decimal() and kind.precision > LONG_DIGITS:
        return value
    return ops.Cast(value, dt.Decimal(LONG_DIGITS + 1, kind.scale if kind.is_decimal() else 0)).to_expr()


def half_up(value: ir.Value, places: int, to: dt.DataType) -> ir.Value:
    """A decimal of more places rounded half up, away from zero. `to` is wide enough for it."""
    return HalfUp(value, places, to).to_expr()


def microseconds(moment: ir.Value) -> ir.Value:
    """Microseconds from 1970 to a wall-clock time."""
    return Microseconds(moment).to_expr()
