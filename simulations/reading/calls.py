"""The functions of the rule language as SQL: which module answers which."""

from __future__ import annotations

from engine.types import Type
from simulations.reading import lists, numbers, texts
from simulations.reading.arrays import Bind
from simulations.reading.dates import Dates
from simulations.reading.lowered import Lowered, NotLowered

_DATES = {
    "date", "start_of_day", "add_days", "add_months", "add_working_days", "working_days_between", "is_working_day", "days_between", "minutes_between",
    "year", "month", "day",
}  # fmt: skip
_TEXTS = {"length", "upper", "lower", "matches"}
_ROUNDINGS = {"round_half_up", "floor", "ceil"}


def call(name: str, arguments: list[Lowered], t: Type, dates: Dates, bind: Bind) -> Lowered:
    """A function of some values. Raises NotLowered where SQL cannot say it."""
    if name in _DATES:
        return dates.call(name, arguments, t, bind)
    if name in _TEXTS:
        return texts.call(name, arguments, t)
    if name in _ROUNDINGS:
        places = arguments[1].static if len(arguments) > 1 else 0
        if places is ...:
            raise NotLowered("the number of places of a rounding is not fixed")
        return numbers.rounded(name, arguments[0], places, t)
    if name == "divide":
        return numbers.divided(arguments[0], arguments[1], arguments[2].static, t, bind)
    if name == "abs":
        return numbers.absolute(arguments[0], t)
    if name in ("min", "max"):
        return numbers.extreme(name == "max", arguments, t)
    return lists.call(name, arguments, t, bind)
