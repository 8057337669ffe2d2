"""One version of a policy as Z3 terms: which requirements fire, the outcome, every formula and output, for all facts at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from fractions import Fraction
from typing import Any

from engine import syntax as s
from engine.plan import DECISIVE, Rule, rules_of
from engine.policy import Policy
from engine.types import MapType, RecordType, SetType
from proofs import lists
from proofs.constants import blank, constant, typed
from proofs.folding import Truth, and_, equal, is_term, not_, or_
from proofs.functions import call
from proofs.lookups import entry, looked_up, rated
from proofs.operators import calculated, compared, member, set_of
from proofs.outcomes import decided
from proofs.symbols import Symbols, World, variables
from proofs.terms import NULL, SURE, Items, Term, Waits, chosen, deep_waits, k_and, k_if, k_not, k_or, merged, truth

Env = dict[Any, Term]
ZERO = Fraction(0)


class Reading:
    """The terms of one version. Two readings of one `World` share their facts, so that they can be compared.

    `given`: facts that are fixed (typed values of the engine); the others are variables. `symbolic`: parameters that are variables, `parameters.<name>`.
    `unknown`: facts may also be absent. The bounds that the engine knows of absent numbers are not read here: what it decides by them stays open.
    """

    def __init__(self, policy: Policy, world: World | None = None, *, given: dict[str, Any] | None = None, symbolic: Iterable[str] = (), unknown: bool = False):
        self.policy, self.world = policy, world if world is not None else World()
        symbols = Symbols(self.world, unknown)
        self.facts: dict[str, Term] = {}
        self.domain: list[Any] = list(self.world.instant())
        self.domains: dict[str, list[Any]] = {}
        for name, fact in policy.facts.items():
            if given is not None and name in given:
                self.facts[name] = typed(given[name], fact.type, self.world.texts)
                continue
            self.facts[name], self.domains[name] = symbols.fact(name, fact.type, fact.nullable)
            self.domain += self.domains[name]
        self.parameters: dict[str, Term] = {}
        for name, p in policy.parameters.items():
            if name in symbolic and not isinstance(p.type, (MapType, SetType)):
                self.parameters[name], found = symbols.fact(f"parameters.{name}", p.type, False)
                self.domain += found
            elif p.unset:
                self.parameters[name] = Term(blank(p.type.of if isinstance(p.type, MapType) else p.type, self.world.texts), False, Waits(unset=True))
            elif not isinstance(p.type, MapType):
                self.parameters[name] = constant(p.value, self.world.texts)
        self.rules: dict[str, Rule] = {r.code: r for r in rules_of(policy)}
        self._named: dict[Any, Term] = {}

    # -- what others ask for -------------------------------------------------------------------------------------------------------

    @property
    def axioms(self) -> list[Any]:
        """The domain of the facts, and what is known of functions so far."""
        return [*self.domain, *self.world.axioms]

    def violated(self, code: str) -> Truth:
        """Does the requirement (or reviewed transition) fire for sure?"""
        return truth(self.fired(code))

    def applies(self, code: str) -> Truth:
        """Does the transition apply for sure?"""
        return truth(self.fired(f"→{code}"))

    def fired(self, code: str) -> Term:
        return self._once(("rule", code), lambda: self._fired(self.rules[code]))

    def guard(self, code: str) -> Term:
        """The `when` of a requirement; true where there is none."""
        guard = self.rules[code].guard
        return Term(True) if guard is None else self.walk(guard, {})

    def value(self, name: str) -> Term:
        """A formula or output by name."""
        return self._once(("value", name), lambda: self._value(name))

    def output(self, name: str) -> Term:
        """As `value`; `next_state` is null unless the outcome is allowed or review."""
        if name != "next_state" or self.policy.machine is None:
            return self.value(name)
        outcome, state = self.outcome(), self.value(name)
        go = not_(equal(outcome.value, self.world.texts.number("denied")))
        return Term(state.value, or_(not_(go), state.null), outcome.waits)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs of a check (the open events of a machine are no part of it)."""
        return tuple(n for n in self.policy.outputs if n != "open_events")

    def outcome(self) -> Term:
        """allowed, review or denied as text; open where it is undetermined."""
        return self._once("outcome", self._outcome)

    def is_outcome(self, name: str) -> Truth:
        """Is the answer this outcome? One of OUTCOMES; `error`: the engine answers with an error."""
        error = self._once("error", lambda: Term(self._error())).value
        if name == "error":
            return error
        found = self.outcome()
        if name == "undetermined":
            return and_(found.waits.any, not_(error))
        return and_(not_(found.waits.any), equal(found.value, self.world.texts.number(name)), not_(error))

    def _error(self) -> Truth:
        """The outcome or an output cannot be computed, whatever else becomes known."""
        waits = [self.outcome().waits, *(deep_waits(self.output(o)) for o in self.outputs)]
        return or_(*(and_(w.error, not_(w.fact)) for w in waits))

    def condition(self, node: s.Node) -> Term:
        """Any expression of the policy that stands outside lists."""
        return self.walk(node, {})

    def free(self, *expressions: Any) -> frozenset[str]:
        """What was left free in some terms: a model of them may not be one of the engine."""
        found: set[str] = set()
        for name in self.reaches(*expressions):
            application = self.world.by_variable.get(name)
            if application is not None and application.reason is not None:
                found.add(application.reason)
        return frozenset(found)

    def bounded(self, *expressions: Any) -> frozenset[str]:
        """The lists, of at most `world.items` items, that some terms rest on."""
        return frozenset(name.removeprefix("count:") for name in self.reaches(*expressions) if name.startswith("count:"))

    def reaches(self, *expressions: Any) -> set[str]:
        """The names of the variables of some terms, and of the arguments of functions in them."""
        found: set[str] = set()
        todo = [e for e in expressions if is_term(e)]
        while todo:
            for name in variables(todo.pop()) - found:
                found.add(name)
                if name in self.world.by_variable:
                    todo += [a for a in self.world.by_variable[name].arguments if is_term(a)]
        return found

    # -- rules ---------------------------------------------------------------------------------------------------------------------

    def _once(self, key: Any, make: Callable[[], Term]) -> Term:
        if key not in self._named:
            self._named[key] = make()
        return self._named[key]

    def _fired(self, rule: Rule) -> Term:
        found = self.walk(rule.condition, {})
        if not rule.fires_on_unset or found.waits.unset is False:
            return found
        return chosen(found.waits.unset, self._leaning(rule.condition, True), found)

    def _leaning(self, node: s.Node, to: bool) -> Term:
        """A condition in which whatever an unset parameter leaves open leans to one side."""
        match node:
            case s.And(items=items):
                return k_and(self._leaning(i, to) for i in items)
            case s.Or(items=items):
                return k_or(self._leaning(i, to) for i in items)
            case s.Not(item=item):
                return k_not(self._leaning(item, not to))
            case s.Formula(name=name) if name in self.policy.values:
                return self._leaning(self.policy.values[name].node, to)
        found = self.walk(node, {})
        return chosen(found.waits.unset, Term(to), found)

    def _outcome(self) -> Term:
        by_effect = {e: [self.fired(r.code) for r in self.rules.values() if r.effect == e] for e in DECISIVE}
        found = decided(by_effect, self.world.texts)
        if self.policy.machine is None:
            return found
        denied = or_(*(truth(f) for f in by_effect["deny"]))
        target = self.value("next_state").waits
        return found.but(target.only_if(and_(not_(denied), not_(found.waits.any))))

    def _value(self, name: str) -> Term:
        if self.policy.machine is not None and name in ("transition", "next_state"):
            return self._first_that_applies(name == "next_state")
        return self.walk(self.policy.values[name].node, {})

    def _first_that_applies(self, target: bool) -> Term:
        machine = self.policy.machine
        assert machine is not None
        found = NULL
        for t in reversed(machine.transitions):
            to = Term(self.world.texts.number(t.code)) if not target else self.facts[machine.state] if t.to is None else Term(self.world.texts.number(t.to))
            found = k_if(self.fired(f"→{t.code}"), to, found)
        return found

    # -- expressions ---------------------------------------------------------------------------------------------------------------

    def walk(self, node: s.Node, env: Env) -> Term:
        """The term of a node. `env` holds the variables and, inside `each`, the running sums.

        A null has a value of its type as well: it stands in conditions and calculations whose answer rests on something else.
        """
        found = self._term(node, env)
        return found if found.value is not None else replace(found, value=blank(node.type, self.world.texts))

    def _term(self, node: s.Node, env: Env) -> Term:
        match node:
            case s.Const(value=value):
                return constant(value, self.world.texts)
            case s.Fact(name=name):
                return self.facts[name]
            case s.Parameter():
                return self._parameter(node, env)
            case s.Formula(name=name):
                return self.value(name)
            case s.Variable(name=name):
                return env[name]
            case s.FieldOf(record=inner, name=name):
                record = self.walk(inner, env)
                kind = inner.type
                assert isinstance(kind, RecordType)
                part: Term = record.value[kind.index(name)]
                return part if record.waits is SURE else part.but(record.waits)
            case s.AsOf():
                return self.world.as_of()
            case s.Not(item=item):
                return k_not(self.walk(item, env))
            case s.And(items=items):
                return k_and(self.walk(i, env) for i in items)
            case s.Or(items=items):
                return k_or(self.walk(i, env) for i in items)
            case s.If(condition=condition, then=then, otherwise=otherwise):
                return k_if(self.walk(condition, env), self.walk(then, env), self.walk(otherwise, env))
            case s.First(lines=lines):
                found = self.walk(lines[-1].then, env)
                for line in reversed(lines[:-1]):
                    assert line.when is not None
                    found = k_if(self.walk(line.when, env), self.walk(line.then, env), found)
                return found
            case s.Compare():
                return compared(node, self.walk(node.left, env), self.walk(node.right, env), self.world.texts)
            case s.In(item=item, collection=collection):
                return member(self.walk(item, env), self.walk(collection, env))
            case s.IsNull(item=item):
                inner_term = self.walk(item, env)
                return Term(inner_term.null, False, inner_term.waits if item.nullable else SURE)
            case s.Arithmetic(op=op, left=left, right=right):
                return calculated(op, self.walk(left, env), self.walk(right, env))
            case s.Negative(item=item):
                return calculated("-", Term(ZERO), self.walk(item, env))
            case s.Call(function=function, arguments=arguments):
                return self._call(function, [self.walk(a, env) for a in arguments])
            case s.Aggregate(source=source):
                return self._listed(lists.aggregate, node, source, env)
            case s.Select(source=source):
                return self._listed(lists.select, node, source, env)
            case s.Each(source=source):
                return self._listed(lists.each, node, source, env)
            case s.ListOf(items=items):
                parts = [self.walk(i, env) for i in items]
                return Term(Items(tuple((True, p) for p in parts)), False, merged(p.waits for p in parts))
            case s.SetOf(members=members):
                return set_of([(Term(self.world.texts.number(value)), self.walk(test, env)) for value, test in members])
            case s.TableCall(table=table, arguments=arguments):
                return looked_up(self.world, self.policy.tables[table], [self.walk(a, env) for _, a in arguments])
            case s.ScaleCall(scale=scale, amount=amount):
                return rated(self.policy.scales[scale], self.walk(amount, env))
            case s.Violated(code=code):
                return self.fired(code)
            case s.Applies(code=code):
                return self.fired(f"→{code}")
            case s.Outcome():
                return self.outcome()
            case s.Preceding():
                return env[node]
        raise TypeError(f"no term for {type(node).__name__}")

    def _parameter(self, node: s.Parameter, env: Env) -> Term:
        p = self.policy.parameters[node.name]
        if node.key is None or p.unset:
            return self.parameters[node.name]
        return entry(self.world, p.value, self.walk(node.key, env))

    def _call(self, function: str, arguments: list[Term]) -> Term:
        waits = merged(deep_waits(a) if function not in ("count", "empty", "only") else a.waits for a in arguments)
        if any(a.null is True for a in arguments):
            return Term(None, True, waits)
        found = call(self.world, function, arguments)
        if waits is SURE:
            return found
        return Term(found.value, found.null, merged((waits, found.waits.only_if(not_(waits.any)))))

    def _listed(self, make: Callable[..., Term], node: s.Node, source: s.Node, env: Env) -> Term:
        return make(node, self.walk(source, env), env, self.walk, self.world)
