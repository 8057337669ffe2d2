"""The facts of a request as typed values for the plain reading, also those that another policy gives. Only legal requests are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from engine.policy import FactDef, Policy
from engine.types import SHANGHAI, DateTimeType, DateType, EnumType, ListType, NumberType, RecordType, SetType, TextType, Type, plain
from tests.plain import Answer, Plain
from tests.unknown import Unknown, known, waiting

Find = Callable[[str], "Policy | None"]


def asked(policy: Policy, raw: Mapping[str, Any], as_of: datetime, find: Find, compute: bool = False) -> Answer:
    """The plain answer to a request in JSON."""
    question = Plain(policy, typed_facts(policy, raw, as_of, find), as_of)
    return question.compute() if compute else question.check()


def typed_facts(policy: Policy, raw: Mapping[str, Any], as_of: datetime, find: Find) -> dict[str, Any]:
    """Every fact of a policy: from the request, else from the policy that gives it, else unknown."""
    names = {n for p in [policy, *used_by(policy, find)] for n in p.facts}
    sent = _by_name(raw, "", names)
    facts = {n: typed(sent[n], f.type, n) if n in sent else absent(f.type, n) for n, f in policy.facts.items()}
    for name, fact in policy.facts.items():
        if name not in sent and fact.origin is not None and (other := find(fact.origin.policy)) is not None:
            facts[name] = _given(Plain(policy, facts, as_of), fact, other, sent, find)
    return facts


def absent(t: Type, *path: str) -> Unknown:
    """A value of which only the type is known."""
    fields = t.item.fields if isinstance(t, ListType) and isinstance(t.item, RecordType) else ()
    low = 0 if isinstance(t, NumberType) and not t.signed else None
    return Unknown(frozenset(path), low=low, item=tuple(absent(f.type) for f in fields) or None)


def typed(raw: Any, t: Type, path: str) -> Any:
    """One legal JSON value as a value of its type."""
    if raw is None or (isinstance(raw, str) and isinstance(t, (TextType, EnumType)) and not raw.strip()):
        return None
    if isinstance(t, NumberType):
        return int(raw) if t.name == "integer" else Decimal(str(raw))
    if isinstance(t, DateType):
        return date.fromisoformat(raw)
    if isinstance(t, DateTimeType):
        return datetime.fromisoformat(raw).astimezone(SHANGHAI)
    if isinstance(t, SetType):
        return tuple(raw) if t.values is None else tuple(v for v in t.values if v in raw)
    if isinstance(t, ListType):
        return tuple(typed(item, t.item, f"{path}[{i}]") for i, item in enumerate(raw))
    if isinstance(t, RecordType):
        sent = _by_name(raw, "", {f.name for f in t.fields})
        return tuple(typed(sent[f.name], f.type, f"{path}.{f.name}") if f.name in sent else absent(f.type, f"{path}.{f.name}") for f in t.fields)
    return raw


def _by_name(raw: Mapping[str, Any], prefix: str, names: set[str]) -> dict[str, Any]:
    """Nested objects by dotted name."""
    found: dict[str, Any] = {}
    for key, value in raw.items():
        name = prefix + key
        found |= {name: value} if name in names or not isinstance(value, Mapping) else _by_name(value, f"{name}.", names)
    return found


def used_by(policy: Policy, find: Find) -> list[Policy]:
    """The policies that this one takes facts from, and those that they use."""
    direct = [p for name in sorted(policy.uses) if (p := find(name)) is not None]
    return [*direct, *(q for p in direct for q in used_by(p, find))]


def _given(question: Plain, fact: FactDef, other: Policy, sent: Mapping[str, Any], find: Find) -> Any:
    """What another policy says of a fact. It is asked if `with` sets something for it, or the request holds a fact that only it asks for."""
    origin = fact.origin
    assert origin is not None
    theirs = {n for p in [other, *used_by(other, find)] for n in p.facts}
    sent_for = bool((theirs - set(question.policy.facts)) & set(sent))
    bound = {name: (question.walk(node, {}), node.type) for name, node in origin.bindings}
    if not sent_for and not any(known(v) and v is not None for v, _ in bound.values()):
        return question.facts[fact.name]
    own = {n: v for n, v in sent.items() if n in theirs}
    own |= {n: plain(v, t) for n, (v, t) in bound.items() if known(v) and v is not None}
    own = {n: v for n, v in own.items() if n not in other.facts or _legal(v, other.facts[n])}
    found = _part(Plain(other, typed_facts(other, own, question.as_of, find), question.as_of), origin.output)
    if known(found):
        return found
    waits = waiting([found])
    if not sent_for or waits.error is not None or not waits.paths:
        return question.facts[fact.name]
    paths = waits.paths - set(bound) or {fact.name}
    return Unknown(frozenset(paths), waits.unset, None, question.facts[fact.name].low)


def _part(question: Plain, output: str) -> Any:
    question.check()
    name, _, field = output.partition("[].")
    if output == "outcome":
        return question.outcome()
    value = question.output(name)
    if not field or isinstance(value, Unknown):
        return value
    kind: Any = question.policy.values[name].type
    shared = {record[kind.item.index(field)] for record in value or ()}
    return shared.pop() if len(shared) == 1 else Unknown()


def _legal(value: Any, fact: FactDef) -> bool:
    if value is None:
        return fact.nullable
    return not isinstance(fact.type, EnumType) or value in fact.type.values
