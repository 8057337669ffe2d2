"""Random requests near the rules of a version: its cases with a few facts changed to values around the constants that they are compared with."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from engine import syntax as s
from engine.cases import Case
from engine.errors import EvaluationError
from engine.functions import add_months, add_working_days
from engine.policy import FactDef, Policy
from engine.types import ROUNDING, SHANGHAI, BoolType, DateTimeType, DateType, EnumType, Field, ListType, NumberType, RecordType, SetType, Type

MISSING = object()
_WORDS = ("a", "B2", "C1")
_LONGEST = 3000
_LIST = 4


@dataclass(slots=True)
class Request:
    """Facts by dotted name, the instant, what is asked, and the case that it was made from."""

    facts: dict[str, Any]
    as_of: datetime
    ask: str
    case: Case


class Requests:
    """Requests for one policy. The same seed gives the same requests."""

    def __init__(self, policy: Policy, cases: Sequence[Case], used: Callable[[datetime], list[Policy]], seed: int = 0) -> None:
        """`cases` are legal requests; `used` gives the policies that this one takes facts from at an instant."""
        self.policy, self.cases, self.used, self.random = policy, cases, used, Random(f"{policy.name} {seed}")
        self.defs: dict[str, FactDef] = dict(policy.facts)
        self.constants = constants(policy)
        everything = [v for found in self.constants.values() for v in found] + [p.value for p in policy.parameters.values()]
        self.steps = sorted({v for v in everything if isinstance(v, int) and not isinstance(v, bool) and 0 < v < _LONGEST})
        self.days = sorted({v for v in everything if type(v) is date})

    def request(self) -> Request:
        """A case with one to five facts changed."""
        r = self.random
        case = r.choice(self.cases)
        as_of = case.as_of if r.random() < 0.75 else self.instant(case.as_of, "as_of")
        self.defs = {n: f for p in reversed([self.policy, *self.used(as_of)]) for n, f in p.facts.items()}
        request = Request(copy.deepcopy(case.facts), as_of, case.ask, case)
        for _ in range(r.choice((1, 1, 1, 2, 2, 3, 4, 5))):
            self.change(request)
        return request

    def change(self, request: Request) -> None:
        """One fact gets another value, or goes; a list of records may change inside."""
        r, facts = self.random, request.facts
        own, others = list(self.policy.facts), [n for n in self.defs if n not in self.policy.facts and n in facts]
        name = r.choice(others if others and r.random() < 0.2 else own)
        fact = self.defs[name]
        present = facts.get(name)
        if isinstance(present, list) and present and _record(fact.type) is not None and r.random() < 0.75:
            self.change_list(present, fact.type, request)
        elif r.random() < 0.12:
            facts.pop(name, None)
        else:
            facts[name] = self.value(fact, name, request)

    def change_list(self, items: list[Any], t: Type, request: Request) -> None:
        r, record = self.random, _record(t)
        assert record is not None
        i = r.randrange(len(items))
        match r.choice(("field", "field", "field", "field", "drop", "twice", "less", "more", "shuffle")):
            case "field":
                f = r.choice(record.fields)
                inner = _get(items[i], f.name)
                if isinstance(inner, list) and inner and _record(f.type) is not None and r.random() < 0.8:
                    self.change_list(inner, f.type, request)
                else:
                    _set(items[i], f.name, self.value(f, f".{f.name}", request))
            case "drop":
                _set(items[i], r.choice(record.fields).name, MISSING)
            case "twice" if len(items) < _LIST:
                items.insert(r.randrange(len(items) + 1), copy.deepcopy(items[i]))
            case "less":
                del items[i]
            case "more" if len(items) < _LIST:
                items.append(self.record(record, request))
            case _:
                r.shuffle(items)

    # -- values --------------------------------------------------------------------------------------------------------------------

    def value(self, of: FactDef | Field, key: str, request: Request) -> Any:
        """A legal JSON value of a fact or field."""
        r, t = self.random, of.type
        if of.nullable and r.random() < 0.2:
            return None
        if isinstance(t, BoolType):
            return r.random() < 0.5
        if isinstance(t, EnumType):
            return r.choice(t.values)
        if isinstance(t, NumberType):
            return self.number(t, key, request.facts)
        if isinstance(t, DateType):
            return self.day(request.as_of.date(), key).isoformat()
        if isinstance(t, DateTimeType):
            return self.instant(request.as_of, key).isoformat()
        if isinstance(t, SetType):
            values = list(t.values or self.texts(key))
            return r.sample(values, r.randrange(min(len(values), _LIST) + 1))
        if isinstance(t, ListType):
            count = r.choice((0, 1, 1, 2, 2, 3))
            if isinstance(t.item, RecordType):
                return [self.record(t.item, request) for _ in range(count)]
            return [self.value(Field("", t.item), key, request) for _ in range(count)]
        return r.choice(self.texts(key))

    def record(self, t: RecordType, request: Request) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for f in t.fields:
            if self.random.random() < 0.97:
                _set(found, f.name, self.value(f, f".{f.name}", request))
        return found

    def number(self, t: NumberType, key: str, facts: Mapping[str, Any]) -> Any:
        r = self.random
        step = Decimal(1).scaleb(-(t.places if t.places is not None else 4))
        near = [Decimal(v) for v in self.constants[key] if isinstance(v, (int, Decimal)) and not isinstance(v, bool)]
        like = {n for n, f in self.defs.items() if isinstance(f.type, NumberType) and f.type.unit == t.unit}
        same = [Decimal(str(v)) for n, v in facts.items() if n in like and v is not None]
        base = r.choice([*near, *near, *near, *same, Decimal(0), Decimal(1), Decimal(r.randrange(0, 60)), Decimal(r.randrange(10**6))])
        if same and r.random() < 0.2:
            base = r.choice((base + r.choice(same), abs(base - r.choice(same))))
        found = base + r.choice((0, 0, step, -step))
        if t.signed and r.random() < 0.1:
            found = -found
        found = min(found if t.signed else max(found, Decimal(0)), Decimal(10) ** 12).quantize(step, context=ROUNDING)
        return int(found) if t.name == "integer" else format(found, "f")

    def day(self, today: date, key: str) -> date:
        """Around today, around steps of days, months and working days from it, around dates that the rules name; ends of months."""
        r = self.random
        fixed = [v for v in self.constants[key] if type(v) is date]
        base = r.choice([today, today, *fixed, *fixed, *self.days[:6]])
        step = r.choice([0, 1, *self.steps[:40]]) * r.choice((1, -1))
        try:
            match r.choice(("none", "days", "months", "working")):
                case "days":
                    base += timedelta(days=step)
                case "months" if abs(step) < 600:
                    base = add_months(base, step)
                case "working" if abs(step) < 400:
                    base = add_working_days(base, step)
        except EvaluationError:
            pass
        base += timedelta(days=r.choice((0, 0, 0, 1, -1, 2)))
        return base.replace(day=1) - timedelta(days=1) if r.random() < 0.1 else base

    def instant(self, now: datetime, key: str) -> datetime:
        r = self.random
        clock = r.choice((0, 0, 60, 35_999, 36_000, 43_200, 86_399, now.hour * 3600 + now.minute * 60))
        clock = max(0, min(86_399, clock + r.choice((0, 0, 1, -1, 60, -60))))
        return datetime.combine(self.day(now.date(), key), datetime.min.time(), SHANGHAI) + timedelta(seconds=clock)

    def texts(self, key: str) -> list[str]:
        """The texts that a fact is compared with, some of the lengths that matter, and those that the cases use."""
        found = self.constants[key]
        named = [v for v in found if isinstance(v, str) and v.strip()]
        long = ["x" * n for v in found if isinstance(v, int) and 0 < v < _LONGEST for n in (v, v + 1)]
        told = [v for c in self.cases[:40] for v in _told(c.facts, key)]
        return [*named, *named, *long, *told, *_WORDS]


def _told(facts: Mapping[str, Any], key: str) -> Iterator[str]:
    """The texts that facts give for a fact, or for a field of any list (`.name`)."""
    for name, value in facts.items():
        if isinstance(value, str) and key in (name, f".{name}") and value.strip():
            yield value
        elif isinstance(value, list):
            for item in value:
                if isinstance(item, dict):
                    yield from _told(item, key)
                elif isinstance(item, str) and key == name:
                    yield item


def _record(t: Type) -> RecordType | None:
    return t.item if isinstance(t, ListType) and isinstance(t.item, RecordType) else None


def _get(item: Mapping[str, Any], name: str) -> Any:
    if name in item:
        return item[name]
    head, _, rest = name.partition(".")
    return _get(item[head], rest) if rest and isinstance(item.get(head), Mapping) else MISSING


def _set(item: dict[str, Any], name: str, value: Any) -> None:
    head, _, rest = name.partition(".")
    if name not in item and rest and isinstance(item.get(head), dict):
        _set(item[head], rest, value)
    elif value is MISSING:
        item.pop(name, None)
    else:
        item[name] = value


def constants(policy: Policy) -> dict[str, list[Any]]:
    """For each fact (fields of records as `.name`): the constants that stand in a comparison, membership, call or table cell with it."""
    found: dict[str, list[Any]] = defaultdict(list)
    for node in (n for root in roots(policy) for n in s.walk(root)):
        if not isinstance(node, (s.Compare, s.In, s.Call, s.TableCall)):
            continue
        inside = list(_read(node, policy, set()))
        values: list[Any] = []
        for n in inside:
            if isinstance(n, s.Const):
                values.append(n.value)
            elif isinstance(n, s.Parameter):
                values += _flat(policy.parameters[n.name].value)
            elif isinstance(n, s.TableCall):
                values += [v for row in policy.tables[n.table].rows for c in row.cells for v in (*c.values, c.low, c.high) if v is not None]
        for n in inside:
            if isinstance(n, (s.Fact, s.FieldOf, s.AsOf)):
                name = n.name if isinstance(n, s.Fact) else f".{n.name}" if isinstance(n, s.FieldOf) else "as_of"
                found[name] += [v for v in values if v not in found[name]]
    return found


def roots(policy: Policy) -> list[s.Node]:
    """Every expression of a policy."""
    found = [v.node for v in policy.values.values()] + [n for r in policy.requirements for n in (r.when, r.require) if n is not None]
    return found + ([t.when for t in policy.machine.transitions if t.when is not None] if policy.machine is not None else [])


def _read(node: s.Node, policy: Policy, seen: set[str]) -> Iterator[s.Node]:
    """What stands in an expression, also in the formulas that it names."""
    for n in s.walk(node):
        yield n
        if isinstance(n, s.Formula) and n.name in policy.values and n.name not in seen:
            seen.add(n.name)
            yield from _read(policy.values[n.name].node, policy, seen)


def _flat(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, tuple) else [] if value is None else [value]
