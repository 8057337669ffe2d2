"""What a sweep is drawn from: the parameters that are varied, and the quantities that are asked at their values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from simulations.report import plots
from simulations.report.figures import Both, amount, count
from simulations.report.words import code, cut, say

UNIT = "CNY"
MAX_VALUE = 40


@dataclass(frozen=True, slots=True)
class Quantity:
    """What a point is asked for: the cases of an outcome, or the total of a measure. `values` of the points in their order, `base` of the version as it is."""

    name: str
    is_money: bool
    base: Decimal
    values: Sequence[Decimal]

    @property
    def low(self) -> Decimal:
        return min(self.values)

    @property
    def high(self) -> Decimal:
        return max(self.values)

    def text(self, value: Decimal, sign: bool = False) -> str:
        return amount(value, sign) if self.is_money else count(value, sign)


@dataclass(frozen=True, slots=True)
class Axis:
    """A varied parameter: its values as text in their order, and that of the base."""

    name: str
    numeric: bool
    values: Sequence[str]
    base: str

    @property
    def base_number(self) -> Decimal | None:
        """None where the base has no value, or none that is a number."""
        return Decimal(self.base) if self.numeric and self.base != "unset" else None

    def span(self) -> Both:
        """`cooldown from 1 to 12` in words."""
        name = code(self.name)
        if len(self.values) == 1:
            return say("sweep-one", name=name, value=cut(self.values[0], MAX_VALUE))
        if not self.numeric:
            return say("sweep-values", name=name, n=count(len(self.values)))
        numbers = sorted(map(Decimal, self.values))
        return say("sweep-range", name=name, low=plots.number(numbers[0]), high=plots.number(numbers[-1]))


def unit() -> Both:
    """The unit of every measure, in words."""
    return Both(UNIT, "元")
