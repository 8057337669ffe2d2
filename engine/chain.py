"""Policies that use other policies: a fact that the request leaves out is taken from the outcome or an output of the policy that gives it.

Forward chaining: each such fact is a rule of its own network (durable_rules), which fires where the fact is unknown and the request feeds the
policy that gives it; what it gives is a fact for the rules of this policy. The other policy does the same for the policies that it uses.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from engine.errors import EvaluationError, FactsError
from engine.functions import to_date
from engine.kleene import Unknown, holds_unknown, unknown_of
from engine.network import Network
from engine.policy import FactDef
from engine.types import ListType, RecordType, Type, plain

if TYPE_CHECKING:
    from engine.decide import Program, Resolver

#: Facts set for the other policy: name there, function of the slots, the instant and the day, and type.
Bindings = list[tuple[str, Callable[[tuple[Any, ...], Any, Any], Any], Type]]


def derive(
    program: Program, slots: tuple[Any, ...], raw: Any, as_of: datetime, resolve: Resolver, others: dict[str, Program]
) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    """Fill the unknown facts that other policies can give. Gives the slots and the digests of the policies that were asked."""
    values = list(slots)
    used: list[str] = []
    answers: dict[Any, Any] = {}
    fed = {name: _sent_for(other, program, raw, resolve) for name, other in others.items()}
    bindings = {f.name: _bound(program, f.name, slots, as_of) for f in program.origins if type(slots[program.fact_index[f.name]]) is Unknown}
    for fact, fires in zip(program.origins, program.chain.fire(_signature(program, bindings, fed)), strict=True):
        if not fires:
            continue
        index = program.fact_index[fact.name]
        assert fact.origin is not None
        other, bound = others[fact.origin.policy], bindings[fact.name]
        own = _facts_of(other, raw, program, bound, resolve)
        key = (fact.origin.policy, repr(sorted(bound.items())))
        if key not in answers:
            answers[key] = other.result(own, as_of, resolve)
            used.append(other.policy.digest)
        given = _given(other, answers[key], fact.origin.output)
        if type(given) is not Unknown:
            values[index] = _fitting(given, fact)
        elif given.paths and not given.error and fed[fact.origin.policy]:
            values[index] = Unknown(given.paths - {n for n, _ in fact.origin.bindings} or frozenset([fact.name]), given.unset, None, values[index].low)
    return tuple(values), tuple(dict.fromkeys(used))


def _signature(program: Program, bindings: dict[str, dict[str, Any]], fed: dict[str, bool]) -> tuple[int, ...]:
    """For the network: is each fact unknown, and does the request feed the policy that gives it (or does the question set facts there)?"""
    found = []
    for fact in program.origins:
        assert fact.origin is not None
        found += [int(fact.name in bindings), int(fact.origin.policy in fed and (bool(bindings.get(fact.name)) or fed[fact.origin.policy]))]
    return tuple(found)


def network(facts: list[FactDef]) -> Network:
    """One rule for each fact: it is unknown, and its policy can be asked."""
    return Network([[{2 * i: 1, 2 * i + 1: 1}] for i in range(len(facts))])


def _bound(program: Program, fact: str, slots: tuple[Any, ...], as_of: datetime) -> dict[str, Any]:
    """The facts that the question sets for the other policy, as JSON data; what is unknown is left out."""
    values = [(name, function(slots, as_of, to_date(as_of)), kind) for name, function, kind in program.bindings[fact]]
    return {name: plain(value, kind) for name, value, kind in values if type(value) is not Unknown and value is not None}


def _sent_for(other: Program, program: Program, raw: dict[str, Any], resolve: Resolver) -> bool:
    """Does the request hold a fact that only the other policy (or one that it uses) asks for?"""
    theirs = (set(other.reader.facts) | other.also(resolve)) - set(program.reader.facts)
    return any(name in theirs for name, _ in _flat(raw, "", theirs | set(program.reader.facts)))


def _facts_of(other: Program, raw: dict[str, Any], program: Program, bound: dict[str, Any], resolve: Resolver) -> dict[str, Any]:
    """The facts of the request that are the other policy's, with the bound ones."""
    also = other.also(resolve)
    mine = dict(_flat(raw, "", set(other.reader.facts) | also | set(program.reader.facts)))
    own = {n: v for n, v in mine.items() if n in other.reader.facts or n in also} | bound
    for name in [n for n in own if n in other.policy.facts]:
        try:
            other.reader.slots({name: own[name]})
        except FactsError:
            if name in bound or name in program.reader.facts:
                del own[name]  # a value that the other policy's fact does not know stays unknown there
    return own


def _flat(raw: Any, prefix: str, names: set[str]) -> list[tuple[str, Any]]:
    found = []
    for key, value in raw.items():
        name = f"{prefix}{key}"
        if name in names or not isinstance(value, dict):
            found.append((name, value))
        else:
            found += _flat(value, f"{name}.", names)
    return found


def _given(other: Program, result: Any, output: str) -> Any:
    if output == "outcome":
        return result.outcome
    name, _, field = output.partition("[].")
    value = other.output(result, name)
    if not field or type(value) is Unknown:
        return value if not holds_unknown(value) else unknown_of(*value)
    kind = other.words.output_types[name]
    assert isinstance(kind, ListType)
    assert isinstance(kind.item, RecordType)
    found = {record[kind.item.index(field)] for record in value or ()}
    return found.pop() if len(found) == 1 else Unknown()


def _fitting(value: Any, fact: FactDef) -> Any:
    values = getattr(fact.type, "values", None)
    if isinstance(value, str) and values is not None and value not in values:
        raise EvaluationError("value-not-known", f"`{value}` from policy `{fact.origin.policy if fact.origin else ''}` is no value of `{fact.name}`")
    return value
