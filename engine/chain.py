"""Policies that use other policies: a fact that the request leaves out is taken from the outcome or an output of the policy that gives it.

Forward chaining: each such fact is a rule of its own network (durable_rules), which fires where the fact is unknown and the request feeds the
policy that gives it; what it gives is a fact for the rules of this policy. The other policy does the same for the policies that it uses.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from engine.errors import EvaluationError, FactsError
from engine.functions import to_date
from engine.kleene import Unknown, holds_unknown, unknown_of
from engine.network import Network
from engine.policy import FactDef, FromPolicy
from engine.types import ListType, RecordType, plain

if TYPE_CHECKING:
    from engine.decide import Program, Resolver


def derive(
    program: Program, slots: tuple[Any, ...], raw: Any, as_of: datetime, resolve: Resolver, others: dict[str, Program]
) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    """Fill the unknown facts that other policies can give. Gives the slots and the digests of the policies that were asked."""
    values = list(slots)
    used: list[str] = []
    answers: dict[Any, Any] = {}
    bindings = {f.name: _bindings(program, f.origin, slots, as_of) for f in program.origins if f.origin is not None}
    for fact, fires in zip(program.origins, _fired(program, slots, raw, bindings, resolve, others), strict=True):
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
        elif given.paths and not given.error and _sent_for(other, program, raw, resolve):
            values[index] = Unknown(given.paths - {n for n, _ in fact.origin.bindings} or frozenset([fact.name]), given.unset, None, values[index].low)
    return tuple(values), tuple(dict.fromkeys(used))


def _fired(
    program: Program, slots: tuple[Any, ...], raw: Any, bindings: dict[str, dict[str, Any]], resolve: Resolver, others: dict[str, Program]
) -> tuple[int, ...]:
    """Which of the facts are to be taken from their policies: what the network of the policy says."""
    signature = []
    for fact in program.origins:
        assert fact.origin is not None
        other = others.get(fact.origin.policy)
        signature.append(int(type(slots[program.fact_index[fact.name]]) is Unknown))
        signature.append(int(other is not None and (bool(bindings[fact.name]) or _sent_for(other, program, raw, resolve))))
    return program.chain.fire(tuple(signature))


def network(facts: list[FactDef]) -> Network:
    """One rule for each fact: it is unknown, and its policy can be asked."""
    return Network([[{2 * i: 1, 2 * i + 1: 1}] for i in range(len(facts))])


def _bindings(program: Program, origin: FromPolicy, slots: tuple[Any, ...], as_of: datetime) -> dict[str, Any]:
    """The facts that the question sets for the other policy, as JSON data; what is unknown is left out."""
    from engine.emit import Emitter

    found = {}
    for name, node in origin.bindings:
        emitter = Emitter(program.policy, program.plan, program.tables, known=False)
        code = emitter.emit(node, {})
        names = "".join(f"{slot}, " for slot in emitter.slots.values())
        exec(f"def bound(F, as_of, today):\n    ({names}) = F\n    return {code}", emitter.globals)
        value = emitter.globals["bound"](slots, as_of, to_date(as_of))
        if type(value) is not Unknown and value is not None:
            found[name] = plain(value, node.type)
    return found


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
