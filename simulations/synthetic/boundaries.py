"""The values around which a policy's answers change: what its rules compare each fact with, and the cases on, just below and just above it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import combinations, product
from typing import Any

from engine import syntax as s
from engine.errors import EvaluationError
from engine.functions import add_months, add_working_days
from engine.policy import Policy
from engine.types import SHANGHAI, BoolType, DateTimeType, DateType, EnumType, ListType, NumberType, RecordType, SetType, Type

#: A period of more days or months than this is none.
LONGEST = 4_000
#: A list is made at most so long, a text too.
LONGEST_LIST, LONGEST_TEXT = 200, 2_000
#: At most so many boundary dates a fact.
MOST_DATES = 60


@dataclass(slots=True)
class Near:
    """What stands in one comparison, call or look-up with a fact: constants, values of parameters, cells; and the functions around it."""

    values: list[Any] = field(default_factory=list)
    functions: set[str] = field(default_factory=set)

    def numbers(self) -> list[Decimal]:
        return [Decimal(v) for v in self.values if isinstance(v, (int, Decimal)) and not isinstance(v, bool)]

    def texts(self) -> list[str]:
        return [v for v in self.values if isinstance(v, str) and v.strip() and len(v) <= LONGEST_TEXT]

    def periods(self) -> list[int]:
        return sorted({int(v) for v in self.values if isinstance(v, int) and not isinstance(v, bool) and 0 < v <= LONGEST})


def near(policy: Policy) -> dict[str, Near]:
    """For each fact, and each field of a record as `.name`."""
    found: dict[str, Near] = defaultdict(Near)
    roots = [v.node for v in policy.values.values()] + [n for r in policy.requirements for n in (r.when, r.require) if n is not None]
    roots += [t.when for t in policy.machine.transitions if t.when is not None] if policy.machine else []
    for node in (n for root in roots for n in s.walk(root)):
        if isinstance(node, (s.Compare, s.In, s.Call, s.TableCall)):
            _meet(list(_expanded(node, policy, set())), policy, found)
    return found


def _meet(inside: list[s.Node], policy: Policy, found: dict[str, Near]) -> None:
    """The facts of one comparison meet its constants."""
    values = [v for n in inside for v in _constants(n, policy)]
    functions = {n.function for n in inside if isinstance(n, s.Call)}
    for n in inside:
        if isinstance(n, (s.Fact, s.FieldOf)):
            here = found[n.name if isinstance(n, s.Fact) else f".{n.name}"]
            here.functions |= functions
            here.values += [v for v in dict.fromkeys(values) if v not in here.values]


def _constants(node: s.Node, policy: Policy) -> Iterator[Any]:
    if isinstance(node, s.Const) and node.value is not None and not isinstance(node.value, tuple):
        yield node.value
    elif isinstance(node, s.Const) and isinstance(node.value, tuple):
        yield from (v for v in node.value if not isinstance(v, tuple))
    elif isinstance(node, s.Parameter):
        value = policy.parameters[node.name].value
        yield from value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else () if value is None else (value,)
    elif isinstance(node, s.TableCall):
        cells = [c for row in policy.tables[node.table].rows for c in row.cells]
        yield from (v for c in cells for v in (*sorted(c.values, key=str), c.low, c.high) if v is not None)
    elif isinstance(node, s.ScaleCall):
        yield from (start for start, _ in policy.scales[node.scale].brackets)


def _expanded(node: s.Node, policy: Policy, seen: set[str]) -> Iterator[s.Node]:
    """A node, all inside it, and the formulas that it names."""
    for n in s.walk(node):
        yield n
        if isinstance(n, s.Formula) and n.name in policy.values and n.name not in seen:
            seen.add(n.name)
            yield from _expanded(policy.values[n.name].node, policy, seen)


def values(t: Type, here: Near, as_of: date, places: int) -> list[Any]:
    """Typed values on and beside the constants near a fact; each value of an enum. For a list of record: none, its lengths are boundaries."""
    if isinstance(t, BoolType):
        return [False, True]
    if isinstance(t, EnumType):
        return list(t.values)
    if isinstance(t, NumberType):
        return _numbers(t, here, places)
    if isinstance(t, DateType):
        return _days(here, as_of)
    if isinstance(t, DateTimeType):
        return [moment + timedelta(seconds=n) for moment in _midnights(here, as_of) for n in (-1, 0, 1)]
    if isinstance(t, SetType) and t.values is not None:
        return [(), *((v,) for v in t.values), t.values]
    if isinstance(t, (SetType, ListType)):
        return [] if _is_records(t) else [(), *((v,) for v in here.texts()[:40])]
    long = ["x" * n for p in here.periods() if "length" in here.functions and p <= LONGEST_TEXT for n in (p - 1, p, p + 1) if n]
    return [*here.texts()[:40], *long]


def lengths(here: Near) -> list[int]:
    """How long a list may be so that its count stands on and beside a constant."""
    return sorted({n for p in here.periods() if p <= LONGEST_LIST for n in (p - 1, p, p + 1)} | {0, 1, 2})


def pairs(facts: dict[str, Type], most: int) -> list[tuple[tuple[str, Any], tuple[str, Any]]]:
    """Each two facts of a bool or an enum with each two of their values; evenly thinned out to `most`."""
    choices = {name: [False, True] if isinstance(t, BoolType) else list(t.values) for name, t in facts.items() if isinstance(t, (BoolType, EnumType))}
    every = [((a, x), (b, y)) for a, b in combinations(choices, 2) for x, y in product(choices[a], choices[b])]
    return every if len(every) <= most else [every[i * len(every) // most] for i in range(most)]


def _is_records(t: Type) -> bool:
    return isinstance(t, ListType) and isinstance(t.item, RecordType)


def _numbers(t: NumberType, here: Near, places: int) -> list[Any]:
    step = Decimal(1).scaleb(-places)
    largest = Decimal(10) ** (16 - places)
    points = sorted({Decimal(0), *(n for n in here.numbers() if abs(n) <= largest and -int(n.as_tuple().exponent) <= places)})
    found = sorted({p + d for p in points for d in (-step, Decimal(0), step)})
    found = [v for v in found if t.signed or v >= 0]
    return [int(v) for v in found] if t.name == "integer" else found


def _days(here: Near, as_of: date) -> list[date]:
    found = dict.fromkeys(day + timedelta(days=n) for day in _starts(here, as_of) for n in (-1, 0, 1))
    return list(found)[:MOST_DATES]


def _midnights(here: Near, as_of: date) -> list[datetime]:
    return [datetime.combine(day, time(), SHANGHAI) for day in _starts(here, as_of)][: MOST_DATES // 3]


def _starts(here: Near, as_of: date) -> list[date]:
    """The day of the question, days that the rules name, and days a period before and after."""
    named = [v.date() if isinstance(v, datetime) else v for v in here.values if isinstance(v, date)]
    found = [as_of, *named]
    for period in here.periods():
        for n in (-period, period):
            found += _moved(as_of, n, here.functions)
    return list(dict.fromkeys(found))


def _moved(day: date, n: int, functions: set[str]) -> Iterator[date]:
    """A day moved by n of the units that the rules count in: months, working days, else days."""
    months, working = "add_months" in functions, bool(functions & {"add_working_days", "working_days_between"})
    try:
        if months and abs(n) < 600:
            yield add_months(day, n)
        if working and abs(n) < 400:
            yield add_working_days(day, n)
        if not months and not working:
            yield day + timedelta(days=n)
    except (EvaluationError, OverflowError):
        return  # no such date, or a year that the calendar does not know: nothing to stand beside
