"""The typed tree of a policy as SQL expressions: the population reading of one version over one table of cases.

What a node means is what the engine makes of it when something may be unknown (engine/kleene.py); each kind of node has its method here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import ibis.expr.types as ir

from engine import syntax as s
from engine.plan import Rule, plan
from engine.policy import Policy
from engine.types import BOOL, TEXT, ListType, MapType, SetType
from simulations.reading import calls, each, lists, logic, lookups, numbers
from simulations.reading.aggregates import Items, all_of, any_of, count, outermost, total
from simulations.reading.arrays import bind_inside
from simulations.reading.dates import Dates
from simulations.reading.items import Body
from simulations.reading.lowered import UNSET, Lowered, choose, condition, constant, never, truth
from simulations.reading.outcomes import Decision, decided, with_target
from simulations.reading.scopes import ROW, Scope, block
from simulations.reading.stages import FOR, Stages

_GROWING = (s.Arithmetic, s.Call, s.If, s.First, s.Aggregate, s.Negative)


def called(rule: Rule) -> str:
    """What a rule is called where a query is explained: by its code; a line of a `first` as `class#2`."""
    if rule.effect != "transition":
        return f"rule {rule.code}"
    code = rule.code.removeprefix("→")
    return f"line {code}" if "#" in code else f"transition {code}"


class Lowering:
    """One policy over one table. `facts` by name, those that the table has not are unknown in every row."""

    def __init__(self, policy: Policy, facts: Mapping[str, Lowered], as_of: Lowered, stages: Stages, dates: Dates) -> None:
        self.policy, self.facts, self.as_of, self.stages, self.dates = policy, facts, as_of, stages, dates
        self.plan = plan(policy)
        self.rules: dict[str, Rule] = {r.code: r for r in self.plan.rules}
        self._values: dict[str, Lowered] = {}
        self._fired: dict[str, Lowered] = {}
        self._decision: Decision | None = None

    # -- named parts ---------------------------------------------------------------------------------------------------------------

    def value(self, name: str) -> Lowered:
        """A formula or output."""
        if name not in self._values:
            made = f"{'output' if name in self.policy.outputs else 'formula'} {name}"
            self._values[name] = self._part(made, lambda: self.node(self.plan.values[name], ROW))
        return self._values[name]

    def fired(self, code: str) -> Lowered:
        """Is a requirement violated, or does a transition (code with an arrow) apply?"""
        if code not in self._fired:
            rule = self.rules[code]
            self._fired[code] = self._part(called(rule), lambda: self._fires(rule))
        return self._fired[code]

    def _fires(self, rule: Rule) -> Lowered:
        found = self.node(rule.condition, ROW)
        if rule.fires_on_unset and found.maybe and found.kinds & UNSET:
            leaning = self._leaning(rule.condition, True)
            unset = (found.why & UNSET) != 0
            value = choose([(unset, leaning.value)], found.value)
            found = truth(value, found, leaning)
        return found

    def _part(self, text: str, made: Callable[[], Lowered]) -> Lowered:
        """A part of the rules, bound; the steps say what they are for."""
        with self.stages.part(FOR + text):
            found = self.bound(made())
        self.stages.tell(found.value, text)
        self.stages.tell(found.flag, f"{text}: is it unknown?")
        self.stages.tell(found.mask, f"{text}: what it waits for")
        return found

    def _leaning(self, node: s.Node, to: bool) -> Lowered:
        """A condition in which whatever an unset parameter leaves open counts as one truth value."""
        if isinstance(node, s.And):
            return logic.conjunction([self._leaning(i, to) for i in node.items])
        if isinstance(node, s.Or):
            return logic.disjunction([self._leaning(i, to) for i in node.items])
        if isinstance(node, s.Not):
            return logic.inverse(self._leaning(node.item, not to))
        found = self.node(node, ROW)
        if not found.maybe or not found.kinds & UNSET:
            return found
        value = choose([((found.why & UNSET) != 0, constant(to, BOOL).value)], found.value)
        return truth(value, found)

    def outcome(self) -> Lowered:
        """allowed, review or denied; unknown while it is undetermined."""
        return self._decided().outcome

    def code(self) -> ir.Value:
        """The outcome as its place in OUTCOMES."""
        return self._decided().code

    def _decided(self) -> Decision:
        if self._decision is not None:
            return self._decision
        with self.stages.part("outcome"):
            by_effect = {e: [self.fired(r.code) for r in self.plan.rules if r.effect == e] for e in ("deny", "undetermined", "review")}
            found = self._bound(decided(*(logic.disjunction(fired) for fired in by_effect.values())))
            if self.policy.machine is not None and (target := self.value("next_state")).maybe:
                found = self._bound(with_target(found, target))
            self._decision = found
        return found

    def _bound(self, decision: Decision) -> Decision:
        return replace(decision, outcome=self.bound(decision.outcome))

    def output(self, name: str) -> Lowered:
        """The value of an output; the next state of a machine only where the event is not denied."""
        if name != "next_state" or self.policy.machine is None:
            return self.value(name)
        target, outcome = self.value(name), self.outcome()
        going = outcome.value.isin(["allowed", "review"]).fill_null(False)
        value = choose([(going, target.value)], never(TEXT, 0).value)
        return Lowered(target.type, value, outcome.maybe, outcome.kinds, condition(outcome.unknown), outcome.mask, True)

    def bound(self, a: Lowered, scope: Scope = ROW) -> Lowered:
        """The value with its companions as columns of an earlier step (inside a lambda: named around it)."""
        if a.is_static or a.fields is not None:
            return a
        bind = self.bind(scope)
        low, high = (None if b is None else b if b.is_static else replace(b, value=bind(b.value)) for b in (a.low, a.high))
        flag = None if a.flag is None else bind(a.flag)
        return replace(a, value=bind(a.value), flag=flag, mask=None if a.mask is None else bind(a.mask), low=low, high=high)

    # -- nodes ---------------------------------------------------------------------------------------------------------------------

    def node(self, node: s.Node, scope: Scope) -> Lowered:
        method: Callable[[Any, Scope], Lowered] = getattr(self, f"_{type(node).__name__.lower()}")
        found = method(node, scope)
        # what may be unknown has bounds, which repeat their parts: they must not grow with every step
        return self.bound(found, scope) if found.maybe and isinstance(node, _GROWING) else found

    def bind(self, scope: Scope) -> Callable[[ir.Value], ir.Value]:
        """Gives a value that is used several times a name: a column of an earlier step, or inside a lambda a name around its body."""
        return bind_inside if scope.inner else self.stages.bind

    def all(self, nodes: Any, scope: Scope) -> list[Lowered]:
        return [self.node(n, scope) for n in nodes]

    def _const(self, node: s.Const, scope: Scope) -> Lowered:
        return constant(node.value, node.type)

    def _fact(self, node: s.Fact, scope: Scope) -> Lowered:
        return self.facts[node.name]

    def _parameter(self, node: s.Parameter, scope: Scope) -> Lowered:
        parameter = self.policy.parameters[node.name]
        if parameter.unset:
            t = node.type
            return never(t, UNSET, shape=constant((), t).shape if isinstance(t, (ListType, SetType)) else None)
        if node.key is None:
            return constant(parameter.value, parameter.type)
        assert isinstance(parameter.type, MapType)
        return lookups.entry(parameter.value, parameter.type, self.node(node.key, scope), self.bind(scope))

    def _formula(self, node: s.Formula, scope: Scope) -> Lowered:
        return self.value(node.name)

    def _variable(self, node: s.Variable, scope: Scope) -> Lowered:
        return scope.variables[node.name]

    def _fieldof(self, node: s.FieldOf, scope: Scope) -> Lowered:
        return lookups.field_of(self.node(node.record, scope), node.name)

    def _asof(self, node: s.AsOf, scope: Scope) -> Lowered:
        return self.as_of

    def _not(self, node: s.Not, scope: Scope) -> Lowered:
        return logic.inverse(self.node(node.item, scope))

    def _and(self, node: s.And, scope: Scope) -> Lowered:
        return logic.conjunction(self.all(node.items, scope))

    def _or(self, node: s.Or, scope: Scope) -> Lowered:
        return logic.disjunction(self.all(node.items, scope))

    def _if(self, node: s.If, scope: Scope) -> Lowered:
        lines, otherwise = [(node.condition, node.then)], node.otherwise
        while isinstance(otherwise, s.If):
            lines.append((otherwise.condition, otherwise.then))
            otherwise = otherwise.otherwise
        return self._choice(lines, otherwise, node, scope)

    def _first(self, node: s.First, scope: Scope) -> Lowered:
        lines = [(line.when, line.then) for line in node.lines if line.when is not None]
        return self._choice(lines, node.lines[-1].then, node, scope)

    def _choice(self, lines: list[tuple[s.Node, s.Node]], otherwise: s.Node, node: s.Node, scope: Scope) -> Lowered:
        found = [(self.node(when, scope), self.node(then, scope)) for when, then in lines]
        return logic.chosen(found, self.node(otherwise, scope), node.type, self.bind(scope))

    def _compare(self, node: s.Compare, scope: Scope) -> Lowered:
        left, right = self.node(node.left, scope), self.node(node.right, scope)
        if SetType in (type(node.left.type), type(node.right.type)):
            return lists.same_set(left, right, node.op)
        return logic.compared(node.op, left, right, node.order, (node.left.nullable, node.right.nullable))

    def _in(self, node: s.In, scope: Scope) -> Lowered:
        item = self.node(node.item, scope)
        if isinstance(node.collection, s.Formula) and isinstance(made := self.plan.values[node.collection.name], s.SetOf) and item.is_static:
            found = self._member_of_set(item.static, made)
            if found is not None:
                return found
        return lists.member(item, self.node(node.collection, scope), node.type, self.bind(scope))

    def _member_of_set(self, value: Any, made: s.SetOf) -> Lowered | None:
        """Is a fixed value in a set written out? Its conditions tell, where none of the set can be unknown."""
        tests = [(v, self.node(test, ROW)) for v, test in made.members]
        if any(test.maybe for _, test in tests):
            return None
        return logic.disjunction([test for v, test in tests if v == value])

    def _isnull(self, node: s.IsNull, scope: Scope) -> Lowered:
        if isinstance(node.item, (s.Const, s.ListOf)):
            return constant(isinstance(node.item, s.Const) and node.item.value is None, BOOL)
        return logic.is_null(self.node(node.item, scope))

    def _arithmetic(self, node: s.Arithmetic, scope: Scope) -> Lowered:
        return numbers.arithmetic(node.op, self.node(node.left, scope), self.node(node.right, scope), node.type)

    def _negative(self, node: s.Negative, scope: Scope) -> Lowered:
        return numbers.negation(self.node(node.item, scope), node.type)

    def _call(self, node: s.Call, scope: Scope) -> Lowered:
        return calls.call(node.function, self.all(node.arguments, scope), node.type, self.dates, self.bind(scope))

    # -- lists ---------------------------------------------------------------------------------------------------------------------

    def _body(self, variable: str, node: s.Node | None, scope: Scope) -> Body | None:
        return None if node is None else lambda item: self.node(node, scope.having(variable, item))

    def _aggregate(self, node: s.Aggregate, scope: Scope) -> Lowered:
        source = self.node(node.source, scope)
        test, value = self._body(node.variable, node.condition, scope), self._body(node.variable, node.value, scope)
        if node.function == "all":
            assert value is not None
            return all_of(source, node.variable, test, value, self.bind(scope))
        items = Items(source, node.variable, test, value, self.bind(scope))
        if node.function == "count":
            return count(items, node.type)
        if node.function == "any":
            return any_of(items)
        if node.function == "sum":
            return total(items, node.type)
        return outermost(node.function == "max", items, node.type)

    def _select(self, node: s.Select, scope: Scope) -> Lowered:
        source = self.node(node.source, scope)
        test, value = self._body(node.variable, node.condition, scope), self._body(node.variable, node.value, scope)
        return lists.select(Items(source, node.variable, test, value, self.bind(scope)), node.type)

    def _listof(self, node: s.ListOf, scope: Scope) -> Lowered:
        return lists.list_of(self.all(node.items, scope), node.type) if node.items else constant((), node.type)

    def _setof(self, node: s.SetOf, scope: Scope) -> Lowered:
        return lists.set_of([(value, self.node(test, scope)) for value, test in node.members], node.type)

    def _each(self, node: s.Each, scope: Scope) -> Lowered:
        assert isinstance(node.type, ListType)
        parts = block(node, scope, self.node)
        return each.Each(self.node(node.source, scope), node.variable, parts, node.type, self.bind(scope)).lowered()

    def _preceding(self, node: s.Preceding, scope: Scope) -> Lowered:
        return scope.preceding[node]

    # -- look-ups and rules --------------------------------------------------------------------------------------------------------

    def _tablecall(self, node: s.TableCall, scope: Scope) -> Lowered:
        arguments = [self.node(a, scope) for _, a in node.arguments]
        with self.stages.through(f"table {node.table}"):
            return lookups.look_up(self.policy.tables[node.table], arguments, self.bind(scope))

    def _scalecall(self, node: s.ScaleCall, scope: Scope) -> Lowered:
        amount = self.node(node.amount, scope)
        with self.stages.through(f"scale {node.scale}"):
            return lookups.scaled(self.policy.scales[node.scale], amount, node.type, self.bind(scope))

    def _violated(self, node: s.Violated, scope: Scope) -> Lowered:
        return self.fired(node.code)

    def _applies(self, node: s.Applies, scope: Scope) -> Lowered:
        return self.fired(f"→{node.code}")

    def _outcome(self, node: s.Outcome, scope: Scope) -> Lowered:
        return self.outcome()
