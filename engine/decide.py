"""One decision: facts and an instant go in, an answer with its receipt comes out. Pure."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal, getcontext, setcontext
from functools import cached_property
from typing import Any, Protocol

from engine import chain, tracing
from engine import syntax as s
from engine.conditions import read_by
from engine.emit import Emitter, Run
from engine.errors import BadFact, EvaluationError, FactsError, did_you_mean
from engine.explain import Words
from engine.facts import FactReader, number_text
from engine.functions import to_date
from engine.literals import LiteralFault, literal
from engine.patterns import bad_pattern
from engine.plan import plan
from engine.policy import Machine, Policy
from engine.readers import reader_of
from engine.result import Result
from engine.tables import TableIndex
from engine.types import EXACT
from engine.unknown import Unknown, holds_unknown, unknown_parts


class Resolver(Protocol):
    """Finds other policies at the instant of a question."""

    def __call__(self, policy: str, /) -> Program | None:
        """The program in force; None where there is none."""

    def facts(self, policy: str, /) -> set[str]:
        """The facts that any version of the policy asks for, with those of the policies that it uses."""


class Program:
    """A checked policy made ready to decide. Thread-safe; nothing of a request stays in it."""

    def __init__(self, policy: Policy, overrides: Mapping[str, Any] | None = None) -> None:
        self.policy = policy if not overrides else with_parameters(policy, overrides)
        self.overrides = {name: _exact(raw) for name, raw in (overrides or {}).items()}
        self.plan = plan(self.policy)
        self.tables = {name: TableIndex(table) for name, table in self.policy.tables.items()}
        self.reader = FactReader(self.policy.facts)
        self.read = reader_of(self.reader)
        self.words = Words(self.policy, self.plan)
        self.needs_open = any(self.policy.parameters[name].unset for kind, name in read_by(self.policy) if kind == "parameter")
        self.fact_index = {name: i for i, name in enumerate(self.policy.facts)}
        self.value_index = {name: i for i, name in enumerate(self.plan.values)}
        self.origins = [f for f in self.policy.facts.values() if f.origin is not None]
        self.chain = chain.network(self.origins)
        self._known: Run | None = None
        self._open: Run | None = None
        self._building = threading.RLock()

    def known(self) -> Run:
        if self._known is None:
            with self._building:
                self._known = self._known or Emitter(self.policy, self.plan, self.tables, known=True).function()
        return self._known

    def open(self) -> Run:
        if self._open is None:
            with self._building:
                self._open = self._open or Emitter(self.policy, self.plan, self.tables, known=False).function()
        return self._open

    @cached_property
    def bindings(self) -> dict[str, chain.Bindings]:
        """For each fact that another policy gives: the facts that its question sets there, as functions of the slots."""
        emitter = Emitter(self.policy, self.plan, self.tables, known=False)
        return {f.name: [(n, emitter.expression(node), node.type) for n, node in f.origin.bindings] for f in self.origins if f.origin is not None}

    # -- asking --------------------------------------------------------------------------------------------------------------------

    def check(self, facts: Any, as_of: datetime, resolve: Resolver | None = None, trace: bool = False) -> dict[str, Any]:
        """The answer to one case. Raises FactsError, EvaluationError."""
        result = self.result(facts, as_of, resolve)
        answer = self.words.answer(result, self.overrides)
        if trace:
            answer["trace"] = tracing.trace(self.policy, self.plan, self.tables, result)
        return answer

    def compute(self, facts: Any, as_of: datetime, resolve: Resolver | None = None, trace: bool = False) -> dict[str, Any]:
        """As check, but a machine answers with the events that are open in its state."""
        if self.policy.machine is None:
            return self.check(facts, as_of, resolve, trace)
        return self._open_events(self.policy.machine, facts, as_of, resolve)

    def _open_events(self, machine: Machine, facts: Any, as_of: datetime, resolve: Resolver | None) -> dict[str, Any]:
        """Each event is asked as a check of its own: `outputs.open_events` holds, sorted, those that would not be denied with the same facts."""
        slots, _, used = self.slots(facts, as_of, resolve)
        state, event = self.fact_index[machine.state], self.fact_index[machine.event]
        missing: set[str] = set()
        found: list[str] = []
        for name in sorted(machine.events):
            tried = (*slots[:event], name, *slots[event + 1 :])
            result = self.run(tried, not any(type(v) is Unknown or holds_unknown(v) for v in tried), as_of)
            if result.outcome != "denied":
                found.append(name)
                if type(result.outcome) is Unknown:
                    missing |= result.outcome.paths
        events = None if found and type(slots[state]) is Unknown else found
        unasked = self.run((*slots[:event], self.reader.unknowns[machine.event], *slots[event + 1 :]), False, as_of, used)
        outputs, waiting = self.words.outputs.told(unasked)
        missing |= {path for u in waiting if machine.event not in u.paths for path in u.paths}
        outputs |= {"next_state": None, "open_events": events}
        outcome = "allowed" if events is not None else "undetermined"
        unset = sorted({name for u in waiting for name in u.unset})
        return self.words.sealed(unasked, outcome, [], [], sorted(missing - {machine.event}), outputs, unset, self.overrides)

    def result(self, facts: Any, as_of: datetime, resolve: Resolver | None = None) -> Result:
        slots, known, used = self.slots(facts, as_of, resolve)
        return self.run(slots, known, as_of, used)

    def run(self, slots: tuple[Any, ...], known: bool, as_of: datetime, used: tuple[str, ...] = ()) -> Result:
        """Evaluate typed facts; the quick way where everything is known."""
        today = to_date(as_of)
        if known and not self.needs_open:
            try:
                rules, outcome, values = self.known()(slots, as_of, today)
                if type(outcome) is not Unknown:
                    return Result(slots, rules, outcome, values, as_of, True, used)
            except (EvaluationError, TypeError, ArithmeticError):
                pass
        try:
            rules, outcome, values = self.open()(slots, as_of, today)
        except ArithmeticError:
            raise EvaluationError("too-many-digits", f"a number of `{self.policy.name}` would have more than {EXACT.prec} digits") from None
        machine = self.policy.machine
        if machine is not None and outcome in ("allowed", "review"):
            target = values[self.value_index["next_state"]]
            if type(target) is Unknown:
                outcome = target
        self._fail_if_it_matters(outcome, values)
        return Result(slots, rules, outcome, values, as_of, False, used)

    def _fail_if_it_matters(self, outcome: Any, values: tuple[Any, ...]) -> None:
        waiting = [outcome] if type(outcome) is Unknown else []
        for name in self.policy.outputs:
            if name in self.value_index:
                part = unknown_parts(values[self.value_index[name]])
                if part is not None:
                    waiting.append(part)
        for u in waiting:
            if u.error is not None and not u.paths:
                raise u.error

    # -- facts, also those that other policies give --------------------------------------------------------------------------------

    def slots(self, facts: Any, as_of: datetime, resolve: Resolver | None) -> tuple[tuple[Any, ...], bool, tuple[str, ...]]:
        """The typed facts, whether all are known, and the digests of the policies that gave some. From here on arithmetic is exact."""
        if getcontext() is not EXACT:
            setcontext(EXACT)
        try:
            slots, known = self.read(facts)
            if known or not self.origins:
                return slots, known, ()
        except FactsError:
            raise
        except Exception:  # the generated reader cannot judge: whatever stopped it, the judge says what is wrong
            pass
        slots = self.reader.slots(facts, self.also(resolve) - set(self.reader.facts))
        used: tuple[str, ...] = ()
        if self.origins and resolve is not None:
            slots, used = self._derived(slots, facts, as_of, resolve)
        known = not any(type(v) is Unknown or holds_unknown(v) for v in slots)
        return slots, known, used

    def _derived(self, slots: tuple[Any, ...], raw: Any, as_of: datetime, resolve: Resolver) -> tuple[tuple[Any, ...], tuple[str, ...]]:
        """Fill the unknown facts that other policies can give. Gives the slots and the digests of the policies that were asked."""
        values = list(slots)
        used: list[str] = []
        answers: dict[Any, Result] = {}
        own = self.reader.facts.keys()
        others = {p: found for p in (f.origin.policy for f in self.origins if f.origin is not None) if (found := resolve(p)) is not None}
        also = {policy: other.also(resolve) for policy, other in others.items()}
        fed = {policy: chain.feeds(raw, other.reader.facts.keys() | also[policy], own) for policy, other in others.items()}
        bound = {n: chain.bound_facts(b, slots, as_of) for n, b in self.bindings.items() if type(slots[self.fact_index[n]]) is Unknown}
        for fact, fires in zip(self.origins, self.chain.fire(chain.signature(self.origins, bound, fed)), strict=True):
            if not fires:
                continue
            assert fact.origin is not None
            policy, index = fact.origin.policy, self.fact_index[fact.name]
            other = others[policy]
            key = (policy, repr(sorted(bound[fact.name].items())))
            if key not in answers:
                answers[key] = other.result(chain.facts_for(other.reader, also[policy], own, raw, bound[fact.name]), as_of, resolve)
                used.append(other.policy.digest)
            given = chain.given(other.words.outputs, answers[key], fact.origin.output)
            if type(given) is not Unknown:
                values[index] = chain.fitting(given, fact)
            elif given.paths and not given.error and fed[policy]:
                values[index] = Unknown(given.paths - {n for n, _ in fact.origin.bindings} or frozenset([fact.name]), given.unset, None, values[index].low)
        return tuple(values), tuple(dict.fromkeys(used))

    def also(self, resolve: Resolver | None) -> set[str]:
        """The names of facts of all policies that this one uses."""
        return set() if resolve is None else {n for policy in self.policy.uses for n in resolve.facts(policy)}


def with_parameters(policy: Policy, overrides: Mapping[str, Any]) -> Policy:
    """The policy with some parameters changed (a what-if). Raises FactsError that names the parameters that do not fit."""
    parameters, bad = dict(policy.parameters), []
    patterns = patterns_of(policy)
    for name, raw in overrides.items():
        old = parameters.get(name)
        if old is None:
            bad.append(BadFact(f"parameters.{name}", "unknown parameter", did_you_mean(name, parameters)))
            continue
        try:
            if name in patterns and isinstance(raw, str) and (why := bad_pattern(raw)):
                raise LiteralFault(why)
            raw = _exact(raw)
            parameters[name] = replace(old, value=literal(str(raw) if not isinstance(raw, (bool, list, dict, int)) else raw, old.type), unset=False)
        except LiteralFault as fault:
            bad.append(BadFact(f"parameters.{name}", str(fault)))
    if bad:
        raise FactsError(bad)
    return replace(policy, parameters=parameters)


def _exact(raw: Any) -> Any:
    """A parameter of a question as a rule file writes it: decimals, also those of a map, as their text."""
    if isinstance(raw, dict):
        return {key: _exact(value) for key, value in raw.items()}
    return (number_text(raw) or str(raw)) if isinstance(raw, Decimal) else raw


def patterns_of(policy: Policy) -> set[str]:
    """The parameters that are used as text patterns."""
    roots = [v.node for v in policy.values.values()] + [n for r in policy.requirements for n in (r.when, r.require) if n is not None]
    calls = [n for root in roots for n in s.walk(root) if isinstance(n, s.Call) and n.function == "matches"]
    return {c.arguments[1].name for c in calls if isinstance(c.arguments[1], s.Parameter)}
