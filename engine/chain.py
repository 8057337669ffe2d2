"""Policies that use other policies: a fact that the request leaves out is taken from the outcome or an output of the policy that gives it.

Forward chaining: each such fact is a rule of its own network (durable_rules), which fires where the fact is unknown and the request feeds the
policy that gives it; what it gives is a fact for the rules of this policy. The other policy does the same for the policies that it uses. Who asks
whom is in engine/decide.py; here is what is asked and what an answer gives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any

from engine.errors import EvaluationError, FactsError
from engine.facts import FactReader
from engine.functions import to_date
from engine.network import Network, Signature
from engine.policy import FactDef
from engine.result import Outputs, Result
from engine.types import ListType, RecordType, Type, plain
from engine.unknown import Unknown, holds_unknown, unknown_of

#: Facts set for the other policy: name there, function of the slots, the instant and the day, and type.
Bindings = list[tuple[str, Callable[[tuple[Any, ...], Any, Any], Any], Type]]


def network(facts: Sequence[FactDef]) -> Network:
    """One rule for each fact that another policy gives: it is unknown, and its policy can be asked."""
    return Network([[{2 * i: 1, 2 * i + 1: 1}] for i in range(len(facts))])


def signature(facts: Sequence[FactDef], bound: Mapping[str, dict[str, Any]], fed: Mapping[str, bool]) -> Signature:
    """For the network. `bound`: what the question of each unknown fact sets; `fed`: does the request feed the policies there are?

    A policy can be asked where the request feeds it, or the question sets facts there.
    """
    found = []
    for fact in facts:
        assert fact.origin is not None
        found += [int(fact.name in bound), int(fact.origin.policy in fed and (bool(bound.get(fact.name)) or fed[fact.origin.policy]))]
    return tuple(found)


def bound_facts(bindings: Bindings, slots: tuple[Any, ...], as_of: datetime) -> dict[str, Any]:
    """The facts that a question sets for the other policy, as JSON data; what is unknown is left out."""
    values = [(name, function(slots, as_of, to_date(as_of)), kind) for name, function, kind in bindings]
    return {name: plain(value, kind) for name, value, kind in values if type(value) is not Unknown and value is not None}


def feeds(raw: dict[str, Any], theirs: AbstractSet[str], own: AbstractSet[str]) -> bool:
    """Does a request hold a fact that only the other policy (or one that it uses) asks for?"""
    only_theirs = theirs - own
    return any(name in only_theirs for name, _ in _flat(raw, "", theirs | own))


def facts_for(other: FactReader, also: AbstractSet[str], own: AbstractSet[str], raw: dict[str, Any], bound: dict[str, Any]) -> dict[str, Any]:
    """The facts of a request that are the other policy's (`also`: of those that it uses), with the bound ones. `own`: the facts of the policy that asks."""
    sent = dict(_flat(raw, "", set(other.facts) | also | own))
    found = {n: v for n, v in sent.items() if n in other.facts or n in also} | bound
    for name in [n for n in found if n in other.facts]:
        try:
            other.slots({name: found[name]})
        except FactsError:
            if name in bound or name in own:
                del found[name]  # a value that the other policy's fact does not know stays unknown there
    return found


def given(outputs: Outputs, result: Result, output: str) -> Any:
    """What the other policy's result gives: its outcome, an output, or the one value that a field has in all records of an output (`rows[].name`)."""
    if output == "outcome":
        return result.outcome
    name, _, field = output.partition("[].")
    value = outputs.value(result, name)
    if not field or type(value) is Unknown:
        return value if not holds_unknown(value) else unknown_of(*value)
    kind = outputs.types[name]
    assert isinstance(kind, ListType)
    assert isinstance(kind.item, RecordType)
    found = {record[kind.item.index(field)] for record in value or ()}
    return found.pop() if len(found) == 1 else Unknown()


def fitting(value: Any, fact: FactDef) -> Any:
    """A value that another policy gave, if the fact knows it. Raises EvaluationError."""
    values = getattr(fact.type, "values", None)
    if isinstance(value, str) and values is not None and value not in values:
        raise EvaluationError("value-not-known", f"`{value}` from policy `{fact.origin.policy if fact.origin else ''}` is no value of `{fact.name}`")
    return value


def _flat(raw: Any, prefix: str, names: AbstractSet[str]) -> list[tuple[str, Any]]:
    found = []
    for key, value in raw.items():
        name = f"{prefix}{key}"
        if name in names or not isinstance(value, dict):
            found.append((name, value))
        else:
            found += _flat(value, f"{name}.", names)
    return found
