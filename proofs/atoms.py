"""The conditions that a policy is made of, each as a term and in words of both languages, so that a region of facts can be told in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from engine import syntax as s
from engine.types import BOOL, BoolType, EnumType, ListType, RecordType, SetType
from engine.unparse import text
from proofs.folding import Truth, and_, identical, is_term, not_
from proofs.lowering import Reading
from proofs.rewriting import bare, compared, negated, said_with, single
from proofs.terms import Term, falsity, truth
from proofs.wording import Wording

#: The values of an enum with more than so many are not told one by one.
MAX_VALUES = 20


@dataclass(frozen=True, slots=True)
class Literal:
    """A condition that holds in a region: its term, and how people read it.

    `fact` and `value` are set where it says that a fact has one of a few values; then several can be told as one.
    """

    condition: Truth
    en: str
    zh: str
    fact: str | None = None
    values: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Atom:
    """One condition: when it holds, when it does not (neither: it reads a null, or an item that is not there), and both in words.

    `own`: it stands in a rule; else it was made from the values that a fact can have.
    """

    holds: Literal
    fails: Literal
    own: bool = True


@dataclass(frozen=True, slots=True)
class _Scope:
    """Names inside lists: their terms, what they stand for in words, and under which condition the item is there.

    `hidden`: names of items of lists that the other version makes in another way.
    """

    env: dict[Any, Term]
    shown: dict[str, s.Node]
    lets: dict[str, s.Node]
    there: Truth = True
    hidden: frozenset[str] = frozenset()


class Atoms:
    """Collects the atoms of expressions of one version. `other`, `label`: the version that it is compared with, and how to say whose a number is."""

    def __init__(self, reading: Reading, other: Reading, label: str) -> None:
        self.reading = reading
        self.wording = Wording(reading, other, label)
        self.found: list[Atom] = []
        self.seen: set[Any] = set()
        self.own = True

    def of_rule(self, code: str) -> None:
        if ("rule", code) not in self.seen and code in self.reading.rules:
            self.seen.add(("rule", code))
            self._visit(self.reading.rules[code].condition, _Scope({}, {}, {}))

    def of_value(self, name: str) -> None:
        if ("value", name) in self.seen:
            return
        self.seen.add(("value", name))
        machine = self.reading.policy.machine
        if machine is not None and name in ("transition", "next_state"):
            for t in machine.transitions:
                self.of_rule(f"→{t.code}")
        elif name in self.reading.policy.values:
            self._visit(self.reading.policy.values[name].node, _Scope({}, {}, {}))

    def _visit(self, node: s.Node, scope: _Scope) -> None:
        match node:
            case s.Formula(name=name):
                self.of_value(name)
            case s.Variable(name=name) if name in scope.lets:
                self._visit(scope.lets[name], scope)
            case s.Violated(code=code):
                self.of_rule(code)
            case s.Applies(code=code):
                self.of_rule(f"→{code}")
            case s.Outcome():
                for rule in self.reading.rules.values():
                    if rule.effect in ("deny", "review", "undetermined"):
                        self.of_rule(rule.code)
            case s.Each() | s.Aggregate() | s.Select():
                self._atom(node, scope)
                self._inside(node, scope)
            case s.Not() | s.And() | s.Or() | s.If() | s.First() | s.Line():
                for child in s.children(node):
                    self._visit(child, scope)
            case _:
                for child in s.children(node):
                    self._visit(child, scope)
                self._atom(node, scope)

    def _inside(self, node: s.Each | s.Aggregate | s.Select, scope: _Scope) -> None:
        """The conditions on each item of a list."""
        self._visit(node.source, scope)
        try:
            source = self.reading.walk(node.source, scope.env)
        except KeyError:
            return  # it stands on a running sum
        if source.value is None:
            return
        name = text(bare(node.source))
        hidden = scope.hidden | ({node.variable} if self._other_meaning(node.source) else frozenset())
        for i, (guard, item) in enumerate(source.value.entries):
            shown = {**scope.shown, node.variable: s.Fact(name=f"{name}[{i}]", type=BOOL)}
            unsaid = hidden | self._unsaid(node, hidden)
            inner = _Scope({**scope.env, node.variable: item}, shown, dict(scope.lets), and_(scope.there, guard), unsaid)
            if isinstance(node, s.Each):
                for let, value in node.lets:
                    inner.lets[let] = value
                    inner.shown[let] = said_with(value, dict(inner.shown))
                    try:
                        inner.env[let] = self.reading.walk(value, inner.env)
                    except KeyError:
                        continue
            for child in s.children(node):
                if child is not node.source:
                    self._visit(child, inner)

    def _unsaid(self, node: s.Node, hidden: frozenset[str]) -> frozenset[str]:
        """The `let` names that are not put into words: long ones, and those that rest on hidden names."""
        found = set(hidden)
        for name, value in node.lets if isinstance(node, s.Each) else ():
            inside = list(s.walk(value))
            if self._other_meaning(value) or any(isinstance(n, (s.First, s.Each)) or (isinstance(n, s.Variable) and n.name in found) for n in inside):
                found.add(name)
        return frozenset(found)

    def _atom(self, node: s.Node, scope: _Scope, own: bool | None = None) -> None:
        if not isinstance(node.type, BoolType) or isinstance(node, (s.Const, s.Row, s.Formula, s.Variable)):
            return
        names = {n.name for n in s.walk(node) if isinstance(n, (s.Formula, s.Variable))}
        if names & (scope.hidden | {"transition", "next_state"}):
            return  # the same words would say two things
        if names & self.wording.changed:  # told with the version that it is of, where nothing plainer is found
            own = False
        try:
            term = self.reading.walk(node, scope.env)
        except KeyError:
            return
        if not is_term(term.value) or any(identical(term.value, known) for known in self.seen if is_term(known)):
            return
        self.seen.add(term.value)
        inside = any(isinstance(n, s.Variable) for n in s.walk(node))
        there = and_(scope.there if inside else True, *(self._not_null(n, scope) for n in compared(node)))
        holds, fails = self._literal(and_(there, truth(term)), node, scope), self._literal(and_(there, falsity(term)), negated(node), scope)
        self.found.append(Atom(self._of_values(holds, single(node)), fails, self.own if own is None else own))

    def of_facts(self, names: Iterable[str]) -> None:
        """The values of facts that have only a few."""
        self.own = False
        for name in names:
            fact = self.reading.policy.facts[name]
            self._few(s.Fact(name=name, type=fact.type, nullable=fact.nullable), _Scope({}, {}, {}))
            self.of_items(name)

    def of_items(self, name: str) -> None:
        """How many items a list of the request has, and the fields of each that have only a few values."""
        fact = self.reading.policy.facts[name]
        value = self.reading.facts[name].value
        if not isinstance(fact.type, ListType) or value is None:
            return
        for i, (guard, item) in enumerate(value.entries):
            if is_term(guard):
                more, most = f"count({name}) > {i}", f"count({name}) <= {i}"
                label = fact.zh or name
                self.found.append(Atom(Literal(guard, more, more.replace(name, label)), Literal(not_(guard), most, most.replace(name, label))))
            if isinstance(fact.type.item, RecordType):
                shown = s.Fact(name=f"{name}[{i}]", type=fact.type.item)
                variable = s.Variable(name=f"{name}#{i}", type=fact.type.item)
                scope = _Scope({variable.name: item}, {variable.name: shown}, {}, guard)
                for f in fact.type.item.fields:
                    self._few(s.FieldOf(record=variable, name=f.name, type=f.type, nullable=f.nullable), scope)

    def _few(self, node: s.Node, scope: _Scope) -> None:
        """The atoms of a fact or field that has only a few values."""
        if node.nullable:
            self._atom(s.IsNull(item=node), scope, own=True)
        if isinstance(node.type, BoolType):
            self._atom(node, scope)
        elif isinstance(node.type, EnumType) and len(node.type.values) <= MAX_VALUES:
            for value in node.type.values:
                self._atom(s.Compare(op="==", left=node, right=s.Const(value=value, type=EnumType((value,)))), scope)
        elif isinstance(node.type, SetType) and node.type.values is not None:
            for value in node.type.values:
                self._atom(s.In(item=s.Const(value=value, type=EnumType((value,))), collection=node), scope)

    def _other_meaning(self, node: s.Node) -> bool:
        return any(isinstance(n, s.Formula) and n.name in self.wording.changed for n in s.walk(node))

    def _of_values(self, literal: Literal, node: s.Node) -> Literal:
        """The literal, marked if it says that an enum fact has a certain value."""
        if not (isinstance(node, s.Compare) and node.op == "==" and isinstance(node.left, s.Fact) and isinstance(node.right, s.Const)):
            return literal
        fact = self.reading.policy.facts.get(node.left.name)
        if fact is None or not isinstance(fact.type, EnumType) or not isinstance(node.right.value, str):
            return literal
        value = node.right.value
        return replace(literal, fact=node.left.name, values=((value, (fact.values_zh or {}).get(value, value)),))

    def _not_null(self, node: s.Node, scope: _Scope) -> Truth:
        try:
            return not_(self.reading.walk(node, scope.env).null)
        except KeyError:
            return True

    def _literal(self, condition: Truth, node: s.Node, scope: _Scope) -> Literal:
        node = single(node)
        return Literal(condition, self.wording.of(node, scope.shown, chinese=False), self.wording.of(node, scope.shown, chinese=True))
