"""What Ibis does not write as it is meant: arithmetic of decimals of different places, and NOT in brackets.

Ibis has no type for the sum or product of decimals of different places; here the operator is written as it is, in any dialect, and cast to the type
that the caller has worked out. And it writes `(NOT a) IS NULL` as `NOT a IS NULL`, which is something else.
"""

from __future__ import annotations

from typing import Any

import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import ibis.expr.rules as rlz
import ibis.expr.types as ir
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


class Inverse(ops.Value):  # type: ignore[misc]
    """NOT, in brackets."""

    arg: ops.Value[dt.Boolean]

    shape = rlz.shape_like("arg")
    dtype = dt.boolean


def _visit_inverse(self: SQLGlotCompiler, op: Inverse, *, arg: Any) -> Any:
    return sge.paren(sge.Not(this=sge.paren(arg, copy=False)), copy=False)


# every dialect's compiler finds them here
SQLGlotCompiler.visit_ExactArithmetic = _visit
SQLGlotCompiler.visit_Inverse = _visit_inverse


def exact(operator: str, left: ir.Value, right: ir.Value, to: dt.DataType) -> ir.Value:
    """The sum, difference or product as a decimal wide enough for it."""
    return ExactArithmetic(left, right, operator, to).to_expr()


def inverted(value: ir.BooleanValue) -> ir.BooleanValue:
    """NOT value."""
    return Inverse(value).to_expr()
