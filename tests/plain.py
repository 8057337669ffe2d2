"""A second, plain reading of the syntax tree: a recursive walk in Kleene's logic, written from docs/authoring.md, to hold the engine against.

Nothing is compiled; a named value is worked out once for a question.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from engine import syntax as s
from engine.errors import EvaluationError
from engine.functions import FUNCTIONS
from engine.policy import Policy, RequirementDef, TransitionDef
from engine.types import ListType, RecordType, SetType, Type
from tests.lookup import looked_up, rated
from tests.unknown import Unknown, bounds, calculated, compared, conjunction, disjunction, extreme, known, negated, waiting

Env = dict[Any, Any]


@dataclass(frozen=True)
class Answer:
    """What the plain reading says. `states`: of every requirement; `outputs`: typed, with unknown parts."""

    outcome: str
    reasons: list[str]
    warnings: list[str]
    missing: list[str]
    unset: list[str]
    outputs: dict[str, Any]
    states: dict[str, str]


class Plain:
    """One question: a policy, its typed facts (Unknown where absent), an instant."""

    def __init__(self, policy: Policy, facts: Mapping[str, Any], as_of: datetime) -> None:
        self.policy, self.facts, self.as_of = policy, facts, as_of
        self.named: dict[Any, Any] = {}

    # -- the answer ----------------------------------------------------------------------------------------------------------------

    def check(self) -> Answer:
        outcome = self.outcome()
        outputs = {name: self.output(name) for name in self.policy.outputs if name != "open_events"}
        waits = [waiting([v]) for v in (outcome, *outputs.values()) if not known(v)]
        for u in waits:
            if u.error is not None and not u.paths:
                raise u.error
        found = [r.code for r in self.policy.requirements if r.effect in ("deny", "review") and self.fired(r) is True]
        found += [t.code for t in self._transitions() if t.review and self.applies(t) is True]
        warned = [r.code for r in self.policy.requirements if r.effect == "warn" and self.fired(r) is True]
        missing, unset = ({x for u in waits for x in getattr(u, part)} for part in ("paths", "unset"))
        shown = "undetermined" if isinstance(outcome, Unknown) else outcome
        states = {r.code: self.state(r) for r in self.policy.requirements}
        return Answer(shown, found, warned, sorted(missing), sorted(unset), outputs, states)

    def compute(self) -> Answer:
        """A machine: the events whose check with the same facts would not be denied."""
        machine = self.policy.machine
        if machine is None:
            return self.check()
        asked = {e: Plain(self.policy, {**self.facts, machine.event: e}, self.as_of) for e in sorted(machine.events)}
        answers = {e: question.check() for e, question in asked.items()}
        blank = Plain(self.policy, {**self.facts, machine.event: Unknown(frozenset([machine.event]))}, self.as_of)
        outputs = {name: blank.output(name) for name in self.policy.outputs if name not in ("open_events", "next_state")}
        doubts = [q.outcome() for q in asked.values() if isinstance(q.outcome(), Unknown)]
        waits = doubts + [u for v in outputs.values() if not known(v) and machine.event not in (u := waiting([v])).paths]
        missing = {path for u in waits for path in u.paths}
        opened: Any = tuple(e for e, answer in answers.items() if answer.outcome != "denied")
        if isinstance(self.facts[machine.state], Unknown) and doubts:
            opened = waiting(doubts)
        outputs = {"next_state": None, "open_events": opened, **outputs}
        shown = "undetermined" if isinstance(opened, Unknown) else "allowed"
        return Answer(shown, [], [], sorted(missing - {machine.event}), [], outputs, {})

    def outcome(self) -> Any:
        """A violated deny; else what could still deny or stop; else a review; else what could still ask for one; else allowed."""
        if "outcome" not in self.named:
            self.named["outcome"] = self._outcome()
        return self.named["outcome"]

    def _outcome(self) -> Any:
        fired = {effect: [self.fired(r) for r in self.policy.requirements if r.effect == effect] for effect in ("deny", "undetermined", "review")}
        fired["review"] += [self.applies(t) for t in self._transitions() if t.review]
        if True in fired["deny"]:
            return "denied"
        still = {effect: [f for f in found if isinstance(f, Unknown)] for effect, found in fired.items()}
        if True in fired["undetermined"]:
            return waiting(still["deny"])
        reviewed = True in fired["review"]
        if still["deny"] or still["undetermined"]:
            return waiting(still["deny"] + still["undetermined"] + ([] if reviewed else still["review"]))
        if still["review"] and not reviewed:
            return waiting(still["review"])
        if self.policy.machine is not None and isinstance(target := self._first_that_applies(target=True), Unknown):
            return target
        return "review" if reviewed else "allowed"

    def output(self, name: str) -> Any:
        """The typed value of an output; an unknown item leaves a list unknown, an unknown field of a record only the field."""
        if name == "next_state" and self.policy.machine is not None:
            outcome = self.outcome()
            return outcome if isinstance(outcome, Unknown) else None if outcome == "denied" else self._first_that_applies(target=True)
        return _settled(self.value(name), self.policy.values[name].type)

    def value(self, name: str) -> Any:
        """A formula or output by name."""
        if name in ("transition", "next_state") and self.policy.machine is not None:
            return self._first_that_applies(target=name == "next_state")
        if name not in self.named:
            self.named[name] = self.walk(self.policy.values[name].node, {})
        return self.named[name]

    # -- requirements and transitions ----------------------------------------------------------------------------------------------

    def state(self, r: RequirementDef) -> str:
        fired = self.fired(r)
        if isinstance(fired, Unknown):
            return "unknown"
        silent = r.when is not None and self.walk(r.when, {}) is False
        return "violated" if fired else "not applicable" if silent else "satisfied"

    def fired(self, r: RequirementDef) -> Any:
        """Is the requirement violated? True, false or unknown."""
        key = ("fired", r.code)
        if key not in self.named:
            self.named[key] = self._fired(r)
        return self.named[key]

    def _fired(self, r: RequirementDef) -> Any:
        if self.policy.machine is not None and r.code == "wrong-actor":
            actor = self.facts[self.policy.machine.actor] if self.policy.machine.actor else None
            return disjunction(conjunction((self.applies(t), negated(self._among(actor, t.actors)))) for t in self._transitions() if t.actors is not None)
        if self.policy.machine is not None and r.code == "not-open-in-state":
            others = [q for q in self.policy.requirements if q.effect == "deny" and q.code != r.code]
            return negated(disjunction([*map(self.applies, self._transitions()), *map(self.fired, others)]))
        require = s.Const(value=False) if r.require is None else r.require
        condition = s.Not(item=require) if r.when is None else s.And(items=(r.when, s.Not(item=require)))
        found = self.walk(condition, {})
        return self._leaning(condition, True) if r.fires_on_unset and isinstance(found, Unknown) and found.unset else found

    def _leaning(self, node: s.Node, to: bool) -> Any:
        """A condition in which whatever an unset parameter leaves open leans to one side."""
        match node:
            case s.And(items=items):
                return conjunction(self._leaning(i, to) for i in items)
            case s.Or(items=items):
                return disjunction(self._leaning(i, to) for i in items)
            case s.Not(item=item):
                return negated(self._leaning(item, not to))
            case s.Formula(name=name) if name in self.policy.values:
                return self._leaning(self.policy.values[name].node, to)
        found = self.walk(node, {})
        return to if isinstance(found, Unknown) and found.unset else found

    def _transitions(self) -> tuple[TransitionDef, ...]:
        return () if self.policy.machine is None else self.policy.machine.transitions

    def applies(self, t: TransitionDef) -> Any:
        machine = self.policy.machine
        assert machine is not None
        tests = (compared("==", self.facts[machine.event], t.event), self._among(self.facts[machine.state], t.states))
        return conjunction(itertools.chain(tests, () if t.when is None else (self.walk(w, {}) for w in [t.when])))

    def _among(self, item: Any, values: Iterable[str] | None) -> Any:
        return item if isinstance(item, Unknown) else item in (values or ())

    def _first_that_applies(self, target: bool) -> Any:
        machine = self.policy.machine
        assert machine is not None
        found: Any = None
        for t in reversed(self._transitions()):
            to = t.code if not target else self.facts[machine.state] if t.to is None else t.to
            found = self._chosen(self.applies(t), to, found)
        return found

    # -- expressions ---------------------------------------------------------------------------------------------------------------

    def walk(self, node: s.Node, env: Env) -> Any:
        """The value of a node. `env` holds the variables and, inside `each`, the running sums."""
        match node:
            case s.Const(value=value):
                return value
            case s.Fact(name=name):
                return self.facts[name]
            case s.Parameter(name=name, key=key):
                parameter = self.policy.parameters[name]
                if parameter.unset:
                    return Unknown(unset=frozenset([name]))
                entry = None if key is None else self.walk(key, env)
                return parameter.value if key is None else entry if isinstance(entry, Unknown) else parameter.value[entry]
            case s.Formula(name=name):
                return self.value(name)
            case s.Variable(name=name):
                return env[name]
            case s.FieldOf(record=inner, name=name):
                record = self.walk(inner, env)
                return record if isinstance(record, Unknown) else record[inner.type.index(name)]  # type: ignore[attr-defined]
            case s.AsOf():
                return self.as_of
            case s.Not(item=item):
                return negated(self.walk(item, env))
            case s.And(items=items):
                return conjunction(self.walk(i, env) for i in items)
            case s.Or(items=items):
                return disjunction(self.walk(i, env) for i in items)
            case s.If(condition=condition, then=then, otherwise=otherwise):
                return self._branch(self.walk(condition, env), then, otherwise, env)
            case s.First(lines=lines):
                return self._lines(list(lines), env)
            case s.Compare():
                return self._comparison(node, env)
            case s.In(item=item, collection=collection):
                return self._membership(self.walk(item, env), self.walk(collection, env))
            case s.IsNull(item=item):
                found = self.walk(item, env)
                return (waiting([found]) if item.nullable else False) if isinstance(found, Unknown) else found is None
            case s.Arithmetic(op=op, left=left, right=right):
                return calculated(op, self.walk(left, env), self.walk(right, env))
            case s.Negative(item=item):
                return calculated("-", 0, self.walk(item, env))
            case s.Call(function=function, arguments=arguments):
                return self._call(function, [self.walk(a, env) for a in arguments])
            case s.Aggregate():
                return self._aggregate(node, env)
            case s.Select():
                return self._select(node, env)
            case s.ListOf(items=items):
                return tuple(self.walk(i, env) for i in items)
            case s.SetOf(members=members):
                held = [(value, self.walk(test, env)) for value, test in members]
                return waiting(h for _, h in held) if not known(*(h for _, h in held)) else tuple(dict.fromkeys(v for v, h in held if h))
            case s.TableCall(table=table, arguments=arguments):
                return looked_up(self.policy.tables[table], [(self.walk(a, env), a.nullable) for _, a in arguments])
            case s.ScaleCall(scale=scale, amount=amount):
                found = self.walk(amount, env)
                return waiting([found]) if isinstance(found, Unknown) else rated(self.policy.scales[scale], found)
            case s.Violated(code=code):
                return self.fired(next(r for r in self.policy.requirements if r.code == code))
            case s.Applies(code=code):
                return self.applies(next(t for t in self._transitions() if t.code == code))
            case s.Outcome():
                return self.outcome()
            case s.Preceding():
                return env[node]
            case s.Each():
                return self._each(node, env)
        raise AssertionError(node)

    def _branch(self, condition: Any, then: s.Node, otherwise: s.Node, env: Env) -> Any:
        if not isinstance(condition, Unknown):
            return self.walk(then if condition else otherwise, env)
        return self._chosen(condition, self.walk(then, env), self.walk(otherwise, env))

    def _chosen(self, condition: Any, a: Any, b: Any) -> Any:
        """`a` if the condition holds, else `b`; known in spite of an unknown condition where both are the same."""
        if not isinstance(condition, Unknown):
            return a if condition else b
        if known(a, b) and a == b:
            return a
        item = a.item if isinstance(a, Unknown) and b == () else b.item if isinstance(b, Unknown) and a == () else None
        if item is not None:
            return replace(waiting([condition, a, b]), item=item)
        (low_a, high_a), (low_b, high_b) = bounds(a), bounds(b)
        return waiting(
            [condition, a, b], None if low_a is None or low_b is None else min(low_a, low_b), None if high_a is None or high_b is None else max(high_a, high_b)
        )

    def _lines(self, lines: list[s.Line], env: Env) -> Any:
        head, *rest = lines
        if head.when is None:
            return self.walk(head.then, env)
        held = self.walk(head.when, env)
        if not isinstance(held, Unknown):
            return self.walk(head.then, env) if held else self._lines(rest, env)
        return self._chosen(held, self.walk(head.then, env), self._lines(rest, env))

    def _comparison(self, node: s.Compare, env: Env) -> Any:
        a, b = self.walk(node.left, env), self.walk(node.right, env)
        if isinstance(node.left.type, SetType) or isinstance(node.right.type, SetType):
            if not known(a, b):
                return waiting([a, b])
            same = a is b if a is None or b is None else set(a) == set(b)
            return same == (node.op == "==")
        if node.order is not None:
            a, b = (x if isinstance(x, Unknown) else node.order.index(x) for x in (a, b))
        for side, other, kind in ((a, b, node.right), (b, a, node.left)):
            if side is None and isinstance(other, Unknown) and not kind.nullable:
                return node.op == "!="
        return compared(node.op, a, b)

    def _membership(self, item: Any, collection: Any) -> Any:
        if isinstance(collection, Unknown):
            return waiting([item, collection])
        return disjunction(compared("==", item, c) for c in collection)

    def _call(self, function: str, arguments: list[Any]) -> Any:
        first = arguments[0]
        if function in ("min", "max"):
            return extreme(function, arguments)
        if isinstance(first, tuple) and function in ("count", "empty", "only") and not (function == "only" and len(first) == 1 and not known(first)):
            return FUNCTIONS[function](first)
        if not known(*arguments):
            low = high = None
            if function in ("round_half_up", "floor", "ceil") and known(*arguments[1:]):
                low, high = (None if b is None else FUNCTIONS[function](b, *arguments[1:]) for b in bounds(first))
            return waiting(arguments, 0 if function in ("count", "length") else low, high)
        try:
            return FUNCTIONS[function](*arguments)
        except EvaluationError as error:
            return Unknown(error=error)

    # -- lists ---------------------------------------------------------------------------------------------------------------------

    def _items(self, node: s.Node, variable: str, env: Env) -> tuple[Unknown | None, list[Env]]:
        """Each item of a list as an environment. A list that is unknown stands for one item of which nothing is known."""
        source = self.walk(node, env)
        if not isinstance(source, Unknown):
            return None, [{**env, variable: item} for item in source]
        t = node.type
        fields = len(t.item.fields) if isinstance(t, ListType) and isinstance(t.item, RecordType) else None
        item = source.item if source.item is not None else Unknown() if fields is None else (Unknown(),) * fields
        return source, [{**env, variable: item}]

    def _aggregate(self, node: s.Aggregate, env: Env) -> Any:
        name, value = node.function, node.value
        source, inner = self._items(node.source, node.variable, env)
        held = [(e, True if node.condition is None else self.walk(node.condition, e)) for e in inner]
        if source is not None:
            held = [(e, conjunction([source, h])) for e, h in held]
        if name == "count" and source is not None:
            return waiting([h for _, h in held], 0) if held[0][1] is not False else 0
        if name == "count":
            sure, maybe = sum(h is True for _, h in held), [h for _, h in held if isinstance(h, Unknown)]
            return waiting(maybe, sure, sure + len(maybe)) if maybe else sure
        assert value is not None
        if name in ("any", "all"):
            tests = (conjunction(itertools.chain([h], (self.walk(v, e) if name == "any" else negated(self.walk(v, e)) for v in [value]))) for e, h in held)
            return disjunction(tests) if name == "any" else negated(disjunction(tests))
        values = [(h, self.walk(value, e)) for e, h in held if h is not False]
        if name == "sum" and source is not None:
            low, high = bounds(values[0][1]) if values else (0, 0)
            return waiting(values, 0 if low is not None and low >= 0 else None, 0 if high is not None and high <= 0 else None)
        if name == "sum":
            total: Any = 0
            for h, amount in values:
                total = calculated("+", total, self._chosen(h, amount, 0))
            return total
        if not known(*values):
            return waiting(values)
        return extreme(name, [v for _, v in values]) if values else None

    def _select(self, node: s.Select, env: Env) -> Any:
        source, inner = self._items(node.source, node.variable, env)
        held = [(e, True if node.condition is None else self.walk(node.condition, e)) for e in inner]
        if source is not None:
            held = [(e, conjunction([source, h])) for e, h in held]
        values = [(h, self.walk(node.value, e)) for e, h in held if h is not False]
        if not known(*(h for h, _ in values)):
            return waiting(values)
        found = tuple(v for _, v in values)
        if isinstance(node.type, SetType):
            return tuple(dict.fromkeys(found)) if known(found) else waiting(found)
        return found

    def _each(self, node: s.Each, env: Env) -> Any:
        source, inner = self._items(node.source, node.variable, env)
        kept = [(e, True if node.where is None else self.walk(node.where, e)) for e in inner]
        kept = [(e, h if source is None else conjunction([source, h])) for e, h in kept if h is not False]
        keys = [tuple(self.walk(key, e) for key, _ in node.order) for e, _ in kept]
        several = len(kept) > 1 or source is not None
        doubts: list[Any] = [h for _, h in kept] + ([k for key in keys for k in key] if several else [])
        ranked = source is None and (known(*keys) or not several)
        for i in reversed(range(len(node.order))) if ranked and several else ():
            pairs = sorted(zip(keys, kept, strict=True), key=lambda pair: pair[0][i], reverse=node.order[i][1])
            keys, kept = [k for k, _ in pairs], [x for _, x in pairs]
        sums = dict.fromkeys(_own_sums(node), 0) if ranked else self._sums_in_any_order(node, [e for e, _ in kept], source is None)
        records: list[Any] = []
        for e, included in kept:
            e.update(sums)
            for name, let in node.lets:
                e[name] = self.walk(let, e)
            grown = {p: self.walk(p.value, e) for p in sums}
            doubts += [] if ranked else [g for g in grown.values() if not known(g)]
            if ranked:
                sums = {p: calculated("+", total, self._chosen(included, grown[p], 0)) for p, total in sums.items()}
            keep = True if node.keep is None else self.walk(node.keep, e)
            if keep is False:
                continue
            doubts.append(keep)
            for row in node.rows:
                held = True if row.when is None else self.walk(row.when, e)
                if held is not False:
                    doubts.append(held)
                    records.append(tuple(self.walk(v, e) for v in row.values))
        if not known(*doubts) or (node.whole and not known(*records)):
            return waiting([*doubts, *records])
        return tuple(records)

    def _sums_in_any_order(self, node: s.Each, inner: list[Env], all_there: bool) -> Env:
        """What may come before an item where the order, or even the list, is not known: each of the others, or not."""
        grown: dict[s.Preceding, list[Any]] = {p: [] for p in _own_sums(node)}
        for e in ({**e, **dict.fromkeys(grown, Unknown())} for e in inner):
            for name, let in node.lets:
                e[name] = self.walk(let, e)
            for p, found in grown.items():
                found.append(self.walk(p.value, e))
        sums: Env = {}
        for p, found in grown.items():
            ends = [(None if low is None else min(low, 0), None if high is None else max(high, 0)) for low, high in map(bounds, found)]
            low, high = (None if any(e is None for e in side) else sum(side) for side in zip(*ends, strict=True))
            sums[p] = waiting(found, low if all_there or low == 0 else None, high if all_there or high == 0 else None)
        return sums


def _own_sums(node: s.Each) -> list[s.Preceding]:
    """The running sums of an `each`, without those of one inside it."""

    def visit(part: s.Node) -> Iterator[s.Preceding]:
        if isinstance(part, s.Preceding):
            yield part
        elif not isinstance(part, s.Each):
            for child in s.children(part):
                yield from visit(child)

    return [p for _, let in node.lets for p in visit(let)]


def _settled(value: Any, t: Type) -> Any:
    """A list of plain values is unknown as a whole if one of them is."""
    if isinstance(value, tuple) and isinstance(t, RecordType):
        return tuple(_settled(v, f.type) for v, f in zip(value, t.fields, strict=True))
    if isinstance(value, tuple) and isinstance(t, ListType) and isinstance(t.item, RecordType):
        return tuple(_settled(v, t.item) for v in value)
    return waiting([value]) if isinstance(value, tuple) and not known(value) else value
