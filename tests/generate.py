"""Random requests for any policy, near its rules: mutated cases, and the values around every constant that a fact is compared with."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
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
WORDS = ("a", "B2", "x@y.cn", "13800000000", "C1", "undetermined", "长")


@dataclass
class Request:
    """Facts by dotted name, the instant, and whether a machine is asked for its open events."""

    facts: dict[str, Any]
    as_of: datetime
    compute: bool = False


class Generator:
    """Requests for one policy, from its cases. The same seed gives the same requests."""

    def __init__(self, policy: Policy, cases: list[Case], used: Callable[[datetime], list[Policy]], seed: int) -> None:
        """`cases` are legal requests; `used` gives the policies that this one uses at an instant."""
        self.policy, self.cases, self.used, self.random = policy, cases, used, Random(f"{policy.name} {seed}")
        self.defs: dict[str, FactDef] = {}
        self.constants = constants(policy)
        self.steps = sorted({v for found in self.constants.values() for v in found if isinstance(v, int) and not isinstance(v, bool) and 0 < v < 4000})
        self.steps += [p.value for p in policy.parameters.values() if isinstance(p.value, int) and not isinstance(p.value, bool) and 0 < p.value < 4000]

    def request(self) -> Request:
        """A case with one to five facts changed; now and then one made up from nothing."""
        r = self.random
        case = r.choice(self.cases)
        made_up = r.random() < 0.08
        as_of = case.as_of if r.random() < 0.7 else self.instant(case.as_of)
        facts = {} if made_up else copy.deepcopy(case.facts)
        if made_up:
            facts = {n: self.value(f, n, Request({}, as_of)) for n, f in self.policy.facts.items() if r.random() < 0.85}
        self.defs = {n: f for p in reversed([self.policy, *self.used(as_of)]) for n, f in p.facts.items()}
        facts = {n: v for n, v in facts.items() if n in self.defs}
        request = Request(facts, as_of, self.policy.machine is not None and (case.ask == "compute" or r.random() < 0.15))
        for _ in range(r.choice((0, 1, 1, 2, 2, 3, 4, 5))):
            self.change(request)
        return request

    def change(self, request: Request) -> None:
        """One fact gets another value, or goes; a list of records may change inside."""
        r, facts = self.random, request.facts
        own, others = list(self.policy.facts), [n for n in self.defs if n not in self.policy.facts]
        name = r.choice(others if others and r.random() < 0.15 else own)
        fact = self.defs[name]
        present = facts.get(name)
        if isinstance(present, list) and present and isinstance(fact.type, ListType) and isinstance(fact.type.item, RecordType) and r.random() < 0.75:
            self.change_list(present, fact.type.item, request)
        elif r.random() < 0.25:
            facts.pop(name, None)
        else:
            facts[name] = self.value(fact, name, request)

    def change_list(self, items: list[Any], record: RecordType, request: Request) -> None:
        r = self.random
        i = r.randrange(len(items))
        match r.choice(("field", "field", "field", "drop", "twice", "less", "more", "shuffle")):
            case "field":
                f = r.choice(record.fields)
                inner = _get(items[i], f.name)
                if isinstance(inner, list) and inner and isinstance(f.type, ListType) and isinstance(f.type.item, RecordType) and r.random() < 0.8:
                    self.change_list(inner, f.type.item, request)
                else:
                    _set(items[i], f.name, self.value(f, "." + f.name, request))
            case "drop":
                _set(items[i], r.choice(record.fields).name, MISSING)
            case "twice" if len(items) < 5:
                items.insert(r.randrange(len(items) + 1), copy.deepcopy(items[i]))
            case "less":
                del items[i]
            case "more" if len(items) < 5:
                items.append(self.record(record, request, 0.9))
            case _:
                r.shuffle(items)

    # -- values --------------------------------------------------------------------------------------------------------------------

    def value(self, of: FactDef | Field, key: str, request: Request, whole: bool = False) -> Any:
        """A legal JSON value of a fact or field; `whole`: no field of a record is left out."""
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
            return self.instant(request.as_of).isoformat()
        if isinstance(t, SetType):
            values = t.values or self.texts(key)
            return r.sample(list(values), r.randrange(min(len(values), 4) + 1))
        if isinstance(t, ListType):
            count = r.choice((0, 1, 1, 2, 2, 3, 4))
            if isinstance(t.item, RecordType):
                return [self.record(t.item, request, 1.0 if whole else 0.93) for _ in range(count)]
            return [self.value(Field("", t.item), key, request) for _ in range(count)]
        return r.choice(self.texts(key))

    def record(self, t: RecordType, request: Request, share: float) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for f in t.fields:
            if self.random.random() < share:
                _set(found, f.name, self.value(f, "." + f.name, request, share == 1.0))
        return found

    def number(self, t: NumberType, key: str, facts: Mapping[str, Any]) -> Any:
        r = self.random
        step = Decimal(1).scaleb(-(t.places if t.places is not None else 4))
        near = [Decimal(v) for v in self.constants[key] if isinstance(v, (int, Decimal)) and not isinstance(v, bool)]
        alike = {n for n, f in self.defs.items() if isinstance(f.type, NumberType) and f.type.unit == t.unit}
        same = [Decimal(str(v)) for n, v in facts.items() if n in alike and v is not None]
        pool = [*near, *near, *same, Decimal(0), Decimal(1), Decimal(r.randrange(0, 60)), Decimal(r.randrange(10**6))]
        base = r.choice(pool)
        if same and r.random() < 0.15:
            base = r.choice((base + r.choice(same), abs(base - r.choice(same))))
        found = base + r.choice((0, 0, step, -step))
        if t.signed and r.random() < 0.1:
            found = -found
        if not t.signed and found < 0:
            found = Decimal(0)
        found = min(found, Decimal(10) ** 12).quantize(step, context=ROUNDING)
        return int(found) if t.name == "integer" else format(found, "f")

    def day(self, today: date, key: str) -> date:
        """Around today, around steps of days, months and working days from it, around dates that the rules name; ends of months."""
        r = self.random
        fixed = [v for v in self.constants[key] if type(v) is date]
        base = r.choice([today, today, *fixed, *fixed])
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
        if r.random() < 0.1:
            base = base.replace(day=1) - timedelta(days=1)
        return base

    def instant(self, now: datetime) -> datetime:
        r = self.random
        clock = timedelta(seconds=r.choice((0, 0, 1, 35999, 36000, 43200, 86399, now.hour * 3600 + now.minute * 60)))
        return datetime.combine(self.day(now.date(), "as_of"), datetime.min.time(), SHANGHAI) + clock

    def texts(self, key: str) -> list[str]:
        """The texts that a fact is compared with, and some of the lengths that matter."""
        named = [v for v in self.constants[key] if isinstance(v, str) and v.strip()]
        long = ["x" * n for v in self.constants[key] if isinstance(v, int) and 0 < v < 3000 for n in (v, v + 1)]
        return [*named, *named, *long, *WORDS]

    # -- what is missing -----------------------------------------------------------------------------------------------------------

    def filled(self, request: Request, paths: list[str]) -> Request:
        """The request with a random legal value for each of the paths."""
        found = Request(copy.deepcopy(request.facts), request.as_of, request.compute)
        for path in paths:
            head, *rest = _parts(path)
            of: FactDef | Field = self.defs[head]
            if not rest:
                found.facts[head] = self.value(of, head, found, whole=True)
            target = found.facts[head]
            while rest:
                index, name, *rest = rest
                item = target[int(index)]
                of = _fields(of.type)[name]
                if not rest:
                    _set(item, name, self.value(of, "." + name, found, whole=True))
                target = _get(item, name)
        return found

    def absent(self, request: Request) -> list[str]:
        """All that the policy's own facts leave unknown."""
        found: list[str] = []
        for name, fact in self.policy.facts.items():
            found += _absent(request.facts.get(name, MISSING), fact.type, name)
        return found


def _absent(value: Any, t: Type, path: str) -> Iterator[str]:
    if value is MISSING:
        yield path
    elif isinstance(value, list) and isinstance(t, ListType) and isinstance(t.item, RecordType):
        for i, item in enumerate(value):
            for f in t.item.fields:
                yield from _absent(_get(item, f.name), f.type, f"{path}[{i}].{f.name}")


def _fields(t: Type) -> dict[str, Field]:
    """The fields of the records of a list."""
    return {f.name: f for f in t.item.fields} if isinstance(t, ListType) and isinstance(t.item, RecordType) else {}


def _parts(path: str) -> list[str]:
    """`staff[0].certificates[1].level` → staff, 0, certificates, 1, level."""
    head, *rest = path.split("[")
    return [head, *(part for piece in rest for part in piece.split("].", 1))]


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
    roots = [v.node for v in policy.values.values()] + [n for r in policy.requirements for n in (r.when, r.require) if n is not None]
    roots += [t.when for t in policy.machine.transitions if t.when is not None] if policy.machine else []
    for node in (n for root in roots for n in s.walk(root)):
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


def _read(node: s.Node, policy: Policy, seen: set[str]) -> Iterator[s.Node]:
    for n in s.walk(node):
        yield n
        if isinstance(n, s.Formula) and n.name in policy.values and n.name not in seen:
            seen.add(n.name)
            yield from _read(policy.values[n.name].node, policy, seen)


def _flat(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, tuple) else [] if value is None else [value]
