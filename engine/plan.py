"""The order of a decision: which values come first, which rules are matched together, and what each rule asks of its atoms.

A policy is cut into layers. The rules of one layer are matched by one network in one step; what they find (fired, applies, outcome) may feed
values and rules of later layers: forward chaining.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from engine import syntax as s
from engine.conditions import fired
from engine.errors import Fault, Place, RuleFileError
from engine.network import Conjunction
from engine.ordering import circle_text, in_order
from engine.policy import Machine, Policy, TransitionDef
from engine.types import BOOL, EnumType, SetType

#: More conjunctions than this and a condition is judged as one atom instead.
MAX_CONJUNCTIONS = 24
#: ("rule", code), ("value", name) or ("outcome", "").
Key = tuple[str, str]
DECISIVE = ("deny", "review", "undetermined")


@dataclass(frozen=True, slots=True)
class Rule:
    """What a network matches: a requirement that fires, or a transition that applies."""

    code: str
    condition: s.Node
    guard: s.Node | None
    require: s.Node | None
    effect: str  # deny, review, warn, undetermined, or transition
    fires_on_unset: bool
    place: Place


@dataclass(slots=True)
class Layer:
    """Rules that are matched in one step, and the atoms that they ask about."""

    rules: list[Rule]
    atoms: list[s.Node] = field(default_factory=list)
    fires: list[list[Conjunction]] = field(default_factory=list)
    silent: list[list[Conjunction]] = field(default_factory=list)
    shapes: list[s.Node] = field(default_factory=list)


@dataclass(slots=True)
class Plan:
    """Steps in order: ("value", name), ("layer", Layer), ("outcome", "")."""

    steps: list[tuple[str, object]]
    rules: list[Rule]
    values: dict[str, s.Node]


def plan(policy: Policy) -> Plan:
    """Order a policy. Raises RuleFileError if values and rules depend on each other in a circle."""
    rules, values = _parts(policy)
    needs = _all_needs(rules, values)
    order = _ordered(policy, rules, needs)
    level: dict[Key, int] = {}
    for key in order:
        # a rule stands after every rule that it needs, a value beside the last that it needs
        level[key] = max((level[need] + (need[0] == "rule") for need in needs[key]), default=0)
    steps: list[tuple[str, object]] = []
    for n in range(max(level.values(), default=0) + 1):
        at = [k for k in order if level[k] == n]
        steps += [k for k in at if k[0] != "rule"]
        matched = [rules[k] for k in at if k[0] == "rule"]
        if matched:
            steps.append(("layer", layer(matched)))
    return Plan(steps, list(rules.values()), values)


def _parts(policy: Policy) -> tuple[dict[Key, Rule], dict[str, s.Node]]:
    """The rules that networks match, and the values.

    In a policy that classifies, the lines of a `first` are rules too: the first that applies gives the class.
    """
    rules = rules_of(policy)
    values: dict[str, s.Node] = {n: v.node for n, v in policy.values.items()}
    for name, node in values.items() if "classify" in policy.forms else ():
        if isinstance(node, s.First):
            lines = []
            for number, line in enumerate(node.lines, 1):
                if line.when is not None:
                    code = f"{name}#{number}"
                    rules.append(Rule(f"→{code}", line.when, None, None, "transition", False, line.place))
                    line = replace(line, when=s.Applies(code=code, place=line.when.place))
                lines.append(line)
            values[name] = replace(node, lines=tuple(lines))
    values |= machine_values(policy.machine)
    return {("rule", r.code): r for r in rules}, values


def check_order(policy: Policy) -> None:
    """Raises RuleFileError if values and rules depend on each other in a circle."""
    rules, values = _parts(policy)
    _ordered(policy, rules, _all_needs(rules, values))


def _all_needs(rules: dict[Key, Rule], values: dict[str, s.Node]) -> dict[Key, list[Key]]:
    needs = {key: _needs([rule.condition], values) for key, rule in rules.items()}
    needs |= {("value", name): _needs([node], values) for name, node in values.items()}
    needs["outcome", ""] = {k for k, r in rules.items() if r.effect in DECISIVE}
    return {key: sorted(found) for key, found in needs.items()}


def _ordered(policy: Policy, rules: dict[Key, Rule], needs: dict[Key, list[Key]]) -> list[Key]:
    """Every rule and value, each after those that it needs. Raises RuleFileError for a circle, told from its first value in the file."""
    order, circle = in_order(needs)
    if circle is None:
        return order
    places = {("value", n): v.place for n, v in policy.values.items()} | {k: r.place for k, r in rules.items()}
    start = min(circle, key=lambda k: (k not in places, k[0] != "value", places[k].line if k in places else 0))
    circle = [*circle[circle.index(start) : -1], *circle[: circle.index(start)], start]
    shown = circle_text([name.lstrip("→") or "outcome" for _, name in circle])
    place = places.get(start, Place(policy.file, 1, 1))
    raise RuleFileError([Fault(place, f"rules and values depend on each other in a circle: {shown}", "break the circle")])


def rules_of(policy: Policy) -> list[Rule]:
    """Requirements in the order of the file (those that the engine knows for machines filled in), then transitions."""
    machine = policy.machine
    found = []
    denies = [r.code for r in policy.requirements if r.effect == "deny" and r.code != "not-open-in-state"]
    for r in policy.requirements:
        when, require, condition = r.when, r.require, fired(r)
        if machine and r.code == "wrong-actor":
            condition = require = s.Not(item=_right_actor(machine, policy))
            require = None
        elif machine and r.code == "not-open-in-state":
            silent: list[s.Node] = [s.Not(item=s.Applies(code=t.code)) for t in machine.transitions]
            silent += [s.Not(item=s.Violated(code=c)) for c in denies]
            condition = s.And(items=tuple(silent))
            when = require = None
        found.append(Rule(r.code, condition, when, require, r.effect, r.fires_on_unset, r.place))
    for t in machine.transitions if machine else ():
        found.append(Rule(f"→{t.code}", _applies(machine, policy, t), None, None, "transition", False, t.place))  # type: ignore[arg-type]
        if t.review:
            found.append(Rule(t.code, s.Applies(code=t.code), None, None, "review", False, t.place))
    return found


def _applies(machine: Machine, policy: Policy, t: TransitionDef) -> s.Node:
    event = s.Compare(op="==", left=s.Fact(name=machine.event, type=policy.facts[machine.event].type), right=s.Const(value=t.event, type=EnumType((t.event,))))
    state = s.Fact(name=machine.state, type=policy.facts[machine.state].type)
    states = s.ListOf(items=tuple(s.Const(value=v, type=EnumType((v,))) for v in t.states), type=SetType(t.states))
    parts: list[s.Node] = [event, s.In(item=state, collection=states)]
    return s.And(items=(*parts, t.when) if t.when is not None else tuple(parts))


def _right_actor(machine: Machine, policy: Policy) -> s.Node:
    """For every transition that applies, the actor is on its list."""
    tests: list[s.Node] = []
    for t in machine.transitions:
        if t.actors is not None and machine.actor is not None:
            actor = s.Fact(name=machine.actor, type=policy.facts[machine.actor].type)
            listed = s.ListOf(items=tuple(s.Const(value=a, type=EnumType((a,))) for a in t.actors), type=SetType(t.actors))
            tests.append(s.Or(items=(s.Not(item=s.Applies(code=t.code)), s.In(item=actor, collection=listed))))
    return s.And(items=tuple(tests))


def machine_values(machine: Machine | None) -> dict[str, s.Node]:
    """`transition` and `next_state`: what the first transition that applies says."""
    if machine is None:
        return {}
    null = s.Const(value=None, nullable=True)
    state = s.Fact(name=machine.state, type=EnumType(machine.states))
    codes, states = [], []
    for t in machine.transitions:
        to: s.Node = state if t.to is None else s.Const(value=t.to, type=EnumType((t.to,)))
        codes.append(s.Line(when=s.Applies(code=t.code), then=s.Const(value=t.code, type=EnumType((t.code,)))))
        states.append(s.Line(when=s.Applies(code=t.code), then=to))
    return {
        "transition": s.First(lines=(*codes, s.Line(when=None, then=null)), type=EnumType(tuple(t.code for t in machine.transitions)), nullable=True),
        "next_state": s.First(lines=(*states, s.Line(when=None, then=null)), type=EnumType(machine.states), nullable=True),
    }


def _needs(nodes: list[s.Node], values: dict[str, s.Node]) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for root in nodes:
        for node in s.walk(root):
            if isinstance(node, s.Formula) and node.name in values:
                found.add(("value", node.name))
            elif isinstance(node, s.Violated):
                found.add(("rule", node.code))
            elif isinstance(node, s.Applies):
                found.add(("rule", f"→{node.code}"))
            elif isinstance(node, s.Outcome):
                found.add(("outcome", ""))
    return found


# -- conditions as conjunctions of atoms ---------------------------------------------------------------------------------------------------


class _TooWide(Exception):
    pass


def layer(rules: list[Rule]) -> Layer:
    """Cut the conditions of some rules into atoms, and say for each rule which conjunctions of atoms make it fire, and which silence it."""
    result = Layer(rules)
    index: dict[s.Node, int] = {}

    def atom(node: s.Node) -> int:
        if node not in index:
            index[node] = len(result.atoms)
            result.atoms.append(node)
        return index[node]

    for rule in rules:
        try:
            shape = rule.condition
            fires, silent = _conjunctions(shape, True, atom), _conjunctions(shape, False, atom)
        except _TooWide:
            shape = _coarse(rule)
            fires, silent = _conjunctions(shape, True, atom), _conjunctions(shape, False, atom)
        result.fires.append(fires)
        result.silent.append(silent)
        result.shapes.append(shape)
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole(s.Node):
    """A condition that is judged as one atom, because its conjunctions would be too many."""

    item: s.Node


def _coarse(rule: Rule) -> s.Node:
    if rule.guard is None or rule.require is None:
        return Whole(item=rule.condition)
    return s.And(items=(Whole(item=rule.guard), s.Not(item=Whole(item=rule.require))))


def _conjunctions(node: s.Node, truth: bool, atom) -> list[Conjunction]:  # type: ignore[no-untyped-def]
    """Disjunctive normal form of `node` being true (or false): Kleene's truth and falsity of a formula over three-valued atoms."""
    if isinstance(node, s.Const) and node.type == BOOL:
        return [{}] if node.value == truth else []
    if isinstance(node, s.Not):
        return _conjunctions(node.item, not truth, atom)
    if isinstance(node, (s.And, s.Or)):
        parts = [_conjunctions(item, truth, atom) for item in node.items]
        if isinstance(node, s.And) != truth:
            joined = [c for part in parts for c in part]
            if len(joined) > MAX_CONJUNCTIONS and len(parts) < MAX_CONJUNCTIONS:
                raise _TooWide
            return joined
        product: list[Conjunction] = [{}]
        for part in parts:
            merged = []
            for left in product:
                for right in part:
                    if all(left.get(a, v) == v for a, v in right.items()):
                        merged.append(left | right)
            product = merged
            if len(product) > MAX_CONJUNCTIONS:
                raise _TooWide
        return product
    return [{atom(node): int(truth)}]
