"""The typed tree as Python source, in two modes that give the same answers.

`known`: every fact is there, operations are Python's own. `open`: something may be unknown, operations are those of engine/kleene.py; in this
mode every condition can also be traced. The generated function takes the fact slots and the instant, and gives the state of every rule, the
outcome, and every value.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from engine import kleene, lists
from engine import syntax as s
from engine.functions import FUNCTIONS, distinct
from engine.network import Network
from engine.plan import DECISIVE, Layer, Plan, Whole
from engine.policy import Policy
from engine.tables import TableIndex, scale_amount
from engine.types import NumberType, SetType

Run = Callable[..., tuple[tuple[Any, ...], Any, tuple[Any, ...]]]

#: A longer `first` is written as a list of lines: Python's parser has a limit of nesting.
MAX_CHAIN = 50
_FAST_COMPARE = {"==": "==", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


class Emitter:
    """Writes the function of one policy in one mode."""

    def __init__(self, policy: Policy, plan: Plan, tables: dict[str, TableIndex], known: bool, traced: bool = False) -> None:
        self.policy, self.plan, self.tables, self.known, self.traced = policy, plan, tables, known, traced
        self.slots = {name: f"f{i}" for i, name in enumerate(policy.facts)}
        self.value_names = {name: f"v{i}" for i, name in enumerate(plan.values)}
        self.rule_names = {r.code: f"r{i}" for i, r in enumerate(plan.rules)}
        self.globals: dict[str, Any] = {name: getattr(kleene, name) for name in dir(kleene) if name.startswith("k_")}
        self.globals |= {"Unknown": kleene.Unknown, "unknown_of": kleene.unknown_of, "scale_amount": scale_amount}
        self.globals |= {"each": lists.each, "each_known": lists.each_known, "make_plan": lists.Plan}
        self.globals |= {f"fn_{name}": function for name, function in FUNCTIONS.items()} | {"distinct": distinct, "mul": operator.mul}
        self.constants: dict[Any, str] = {}
        self.atoms: dict[s.Node, str] = {}
        self._preceding_now: dict[s.Preceding, str] = {}
        self.traced_nodes: list[s.Node] = []

    # -- the function --------------------------------------------------------------------------------------------------------------

    def function(self) -> Run:
        lines = ["def run(F, as_of, today, T=None):"]
        if self.slots:
            lines.append(f"    ({', '.join(self.slots.values())},) = F")
        for kind, part in self.plan.steps:
            if kind == "value":
                assert isinstance(part, str)
                lines.append(f"    {self.value_names[part]} = {self.emit(self.plan.values[part], {})}")
            elif kind == "outcome":
                lines += [f"    {line}" for line in self.outcome()]
            else:
                assert isinstance(part, Layer)
                lines += [f"    {line}" for line in self.layer(part)]
        if not any(kind == "outcome" for kind, _ in self.plan.steps):
            lines += [f"    {line}" for line in self.outcome()]
        rules = "".join(f"{name}, " for name in self.rule_names.values())
        values = "".join(f"{name}, " for name in self.value_names.values())
        lines.append(f"    return ({rules}), outcome, ({values})")
        source = "\n".join(lines)
        exec(compile(source, f"<{self.policy.name} {'known' if self.known else 'open'}>", "exec"), self.globals)
        run: Run = self.globals["run"]
        return run

    def expression(self, node: s.Node) -> Callable[[tuple[Any, ...], Any, Any], Any]:
        """The function of one expression over the fact slots, the instant and the day."""
        slots = f"    ({', '.join(self.slots.values())},) = F\n" if self.slots else ""
        exec(f"def expression(F, as_of, today):\n{slots}    return {self.emit(node, {})}", self.globals)
        function: Callable[[tuple[Any, ...], Any, Any], Any] = self.globals["expression"]
        return function

    def layer(self, layer: Layer) -> list[str]:
        lines = []
        number = len([k for k in self.globals if k.startswith("net")])
        network = Network(layer.fires, None if self.known else layer.silent)
        self.globals[f"net{number}"] = network.fire
        self.atoms = {}
        for i, node in enumerate(layer.atoms):
            lines.append(f"a{i} = {self.atom(node)}")
            self.atoms[node] = f"a{i}"
        names = [self.rule_names[r.code] for r in layer.rules]
        if self.known:
            lines.append(f"{''.join(f'{n}, ' for n in names)} = net{number}(({''.join(f'{a}, ' for a in self.atoms.values())}))")
            return lines
        signature = "".join(f"2 if type({a}) is Unknown else 1 if {a} else 0, " for a in self.atoms.values())
        lines.append(f"m = net{number}(({signature}))")
        for i, (rule, name) in enumerate(zip(layer.rules, names, strict=True)):
            lines.append(f"{name} = m[{i}] == 1 if m[{i}] != 2 else {self.shape(layer.shapes[i])}")
            if rule.fires_on_unset:
                lines.append(f"if type({name}) is Unknown and {name}.unset: {name} = {self.shape(layer.shapes[i], True)}")
        return lines

    def shape(self, node: s.Node, firing: bool | None = None) -> str:
        """The condition of a rule over the atoms that are already computed.

        With `firing` what an unset parameter leaves open counts as that truth value: for a rule that fires while its parameter is unset.
        """
        if node in self.atoms:
            return self.atoms[node] if firing is None else f"k_violating({self.atoms[node]}, {firing})"
        if isinstance(node, s.Const):
            return repr(bool(node.value))
        if isinstance(node, s.Not):
            return f"k_not({self.shape(node.item, None if firing is None else not firing)})"
        assert isinstance(node, (s.And, s.Or)), node
        name = "k_and" if isinstance(node, s.And) else "k_or"
        return f"{name}({', '.join(f'lambda: {self.shape(i, firing)}' for i in node.items)})"

    def atom(self, node: s.Node) -> str:
        """An atom is computed even where its guard is false, so a value that the guard keeps from being null is tested here."""
        code = self.emit(node.item if isinstance(node, Whole) else node, {})
        guarded = self.guarded(node)
        if not guarded:
            return code
        return f"False if {' or '.join(f'{g} is None' for g in guarded)} else {code}"

    def guarded(self, node: s.Node) -> list[str]:
        tested = {n.item.name for n in s.walk(node) if isinstance(n, s.IsNull) and isinstance(n.item, (s.Fact, s.Formula))}
        found = []
        for n in s.walk(node):
            if isinstance(n, s.Fact) and not n.nullable and n.name not in tested and self.policy.facts[n.name].nullable:
                found.append(self.slots[n.name])
            elif isinstance(n, s.Formula) and not n.nullable and n.name not in tested and self.plan.values[n.name].nullable:
                found.append(self.value_names[n.name])
        return sorted(set(found))

    def outcome(self) -> list[str]:
        by_effect = {e: [self.rule_names[r.code] for r in self.plan.rules if r.effect == e] for e in DECISIVE}
        self.globals["decide"] = _decide
        if self.known:
            tests = [
                (" or ".join(by_effect["deny"]), '"denied"'),
                (" or ".join(by_effect["undetermined"]), "STOPPED"),
                (" or ".join(by_effect["review"]), '"review"'),
            ]
            self.globals["STOPPED"] = kleene.Unknown()
            shown = "".join(f"{value} if {test} else " for test, value in tests if test)
            return [f'outcome = {shown}"allowed"']
        groups = ", ".join(f"({''.join(f'{n}, ' for n in by_effect[e])})" for e in ("deny", "undetermined", "review"))
        return [f"outcome = decide({groups})"]

    # -- expressions ---------------------------------------------------------------------------------------------------------------

    def emit(self, node: s.Node, env: dict[str, str]) -> str:
        code: str = getattr(self, f"_{type(node).__name__.lower()}")(node, env)
        if self.traced and not env and _worth_tracing(node):
            self.traced_nodes.append(node)
            return f"T({len(self.traced_nodes) - 1}, {code})"
        return code

    def thunk(self, node: s.Node, env: dict[str, str]) -> str:
        return f"lambda: {self.emit(node, env)}"

    def constant(self, value: Any) -> str:
        if value is None or isinstance(value, (bool, int, str)):
            return repr(value)
        key = (type(value), repr(value))
        if key not in self.constants:
            self.constants[key] = f"c{len(self.constants)}"
            self.globals[self.constants[key]] = value
        return self.constants[key]

    def _const(self, node: s.Const, env: dict[str, str]) -> str:
        return self.constant(node.value)

    def _fact(self, node: s.Fact, env: dict[str, str]) -> str:
        return self.slots[node.name]

    def _parameter(self, node: s.Parameter, env: dict[str, str]) -> str:
        parameter = self.policy.parameters[node.name]
        if parameter.unset:
            unknown = f"u_{node.name.replace('.', '__')}"
            self.globals[unknown] = kleene.Unknown(unset=frozenset([node.name]))
            return unknown
        if node.key is None:
            return self.constant(parameter.value)
        name = f"p_{node.name.replace('.', '__')}"
        self.globals[name] = parameter.value
        key = self.emit(node.key, env)
        return f"{name}[{key}]" if self.known else f"k_call({name}.__getitem__, {key})"

    def _formula(self, node: s.Formula, env: dict[str, str]) -> str:
        return self.value_names[node.name]

    def _variable(self, node: s.Variable, env: dict[str, str]) -> str:
        return env[node.name]

    def _fieldof(self, node: s.FieldOf, env: dict[str, str]) -> str:
        index = node.record.type.index(node.name)  # type: ignore[attr-defined]
        record = self.emit(node.record, env)
        return f"{record}[{index}]" if self.known else f"k_field({record}, {index})"

    def _asof(self, node: s.AsOf, env: dict[str, str]) -> str:
        return "as_of"

    def _not(self, node: s.Not, env: dict[str, str]) -> str:
        inner = self.emit(node.item, env)
        return f"(not {inner})" if self.known else f"k_not({inner})"

    def _and(self, node: s.And, env: dict[str, str]) -> str:
        if not node.items:
            return "True"
        if self.known:
            return f"({' and '.join(self.emit(i, env) for i in node.items)})"
        return f"k_and({', '.join(self.thunk(i, env) for i in node.items)})"

    def _or(self, node: s.Or, env: dict[str, str]) -> str:
        if self.known:
            return f"({' or '.join(self.emit(i, env) for i in node.items)})"
        return f"k_or({', '.join(self.thunk(i, env) for i in node.items)})"

    def _if(self, node: s.If, env: dict[str, str]) -> str:
        condition = self.emit(node.condition, env)
        if self.known:
            return f"({self.emit(node.then, env)} if {condition} else {self.emit(node.otherwise, env)})"
        return f"k_if({condition}, {self.thunk(node.then, env)}, {self.thunk(node.otherwise, env)})"

    def _compare(self, node: s.Compare, env: dict[str, str]) -> str:
        left, right = self.emit(node.left, env), self.emit(node.right, env)
        if SetType in (type(node.left.type), type(node.right.type)):
            same = f"k_same_set({left}, {right})"
            return same if node.op == "==" else (f"(not {same})" if self.known else f"k_not({same})")
        if node.order is not None:
            rank = self.constant({v: i for i, v in enumerate(node.order)})
            left, right = (f"{rank}[{x}]" if self.known else f"k_call({rank}.__getitem__, {x})" for x in (left, right))
        if self.known:
            return f"({left} {_FAST_COMPARE[node.op]} {right})"
        one_may_be_null = node.op in ("==", "!=") and node.left.nullable != node.right.nullable
        return f"k_compare({node.op!r}, {left}, {right}{', True' if one_may_be_null else ''})"

    def _in(self, node: s.In, env: dict[str, str]) -> str:
        item, collection = self.emit(node.item, env), self.emit(node.collection, env)
        return f"({item} in {collection})" if self.known else f"k_in({item}, {collection})"

    def _isnull(self, node: s.IsNull, env: dict[str, str]) -> str:
        if isinstance(node.item, (s.Const, s.ListOf)):
            return repr(isinstance(node.item, s.Const) and node.item.value is None)
        item = self.emit(node.item, env)
        return f"({item} is None)" if self.known else f"k_is_null({item})"

    def _arithmetic(self, node: s.Arithmetic, env: dict[str, str]) -> str:
        left, right = self.emit(node.left, env), self.emit(node.right, env)
        return f"({left} {node.op} {right})" if self.known else f"k_arithmetic({node.op!r}, {left}, {right})"

    def _negative(self, node: s.Negative, env: dict[str, str]) -> str:
        item = self.emit(node.item, env)
        return f"(-{item})" if self.known else f"k_negative({item})"

    def _call(self, node: s.Call, env: dict[str, str]) -> str:
        if node.function == "date" and isinstance(node.arguments[0], s.AsOf):
            return "today"
        arguments = ", ".join(self.emit(a, env) for a in node.arguments)
        if self.known:
            return f"fn_{node.function}({arguments})"
        if node.function in ("min", "max"):
            return f"k_choose({node.function == 'max'}, {arguments})"
        return f"k_call(fn_{node.function}, {arguments})"

    def _aggregate(self, node: s.Aggregate, env: dict[str, str]) -> str:
        source = self.emit(node.source, env)
        inner = {**env, node.variable: node.variable}
        condition = None if node.condition is None else self.emit(node.condition, inner)
        value = None if node.value is None else self.emit(node.value, inner)
        if not self.known:
            test = "None" if condition is None else f"lambda {node.variable}: {condition}"
            if node.function == "count":
                return f"k_count({source}, {test})"
            get = f"lambda {node.variable}: {value}"
            if node.function in ("min", "max"):
                return f"k_extreme({node.function == 'max'}, {source}, {test}, {get})"
            return f"k_{node.function}({source}, {test}, {get})"
        loop = f"for {node.variable} in {source}" + (f" if {condition}" if condition else "")
        if node.function == "count":
            return f"sum([1 {loop}])"
        if node.function == "sum":
            return f"sum([{value} {loop}])"
        if node.function in ("any", "all"):
            return f"{node.function}({value} {loop})"
        return f"{node.function}([{value} {loop}], default=None)"

    def _select(self, node: s.Select, env: dict[str, str]) -> str:
        source = self.emit(node.source, env)
        inner = {**env, node.variable: node.variable}
        condition = None if node.condition is None else self.emit(node.condition, inner)
        value = self.emit(node.value, inner)
        once = isinstance(node.type, SetType)
        if not self.known:
            test = "None" if condition is None else f"lambda {node.variable}: {condition}"
            return f"k_select({source}, {test}, lambda {node.variable}: {value}, {once})"
        loop = f"[{value} for {node.variable} in {source}{f' if {condition}' if condition else ''}]"
        return f"distinct({loop})" if once else f"tuple({loop})"

    def _listof(self, node: s.ListOf, env: dict[str, str]) -> str:
        items = [self.emit(i, env) for i in node.items]
        if self.known or all(isinstance(i, s.Const) for i in node.items):
            return f"({''.join(f'{i}, ' for i in items)})"
        return f"k_list({', '.join(items)})"

    def _tablecall(self, node: s.TableCall, env: dict[str, str]) -> str:
        table = f"t_{node.table}"
        self.globals[table] = self.tables[node.table].look_up if self.known else self.tables[node.table]
        values = f"({''.join(f'{self.emit(a, env)}, ' for _, a in node.arguments)})"
        return f"{table}({values})" if self.known else f"k_table({table}, {values})"

    def _scalecall(self, node: s.ScaleCall, env: dict[str, str]) -> str:
        scale = f"s_{node.scale}"
        self.globals[scale] = self.policy.scales[node.scale]
        amount = self.emit(node.amount, env)
        return f"scale_amount({scale}, {amount})" if self.known else f"k_call(scale_amount, {scale}, {amount})"

    def _violated(self, node: s.Violated, env: dict[str, str]) -> str:
        return f"({self.rule_names[node.code]} == 1)" if self.known else self.rule_names[node.code]

    def _applies(self, node: s.Applies, env: dict[str, str]) -> str:
        return f"({self.rule_names[f'→{node.code}']} == 1)" if self.known else self.rule_names[f"→{node.code}"]

    def _outcome(self, node: s.Outcome, env: dict[str, str]) -> str:
        return "outcome"

    def _first(self, node: s.First, env: dict[str, str]) -> str:
        otherwise = self.emit(node.lines[-1].then, env)
        lines = [(self.emit(line.when, env), self.emit(line.then, env)) for line in node.lines if line.when is not None]
        if self.known and len(lines) <= MAX_CHAIN:
            return f"({''.join(f'{then} if {when} else ' for when, then in lines)}{otherwise})"
        return f"k_first(({''.join(f'(lambda: {when}, lambda: {then}), ' for when, then in lines)}), lambda: {otherwise})"

    def _setof(self, node: s.SetOf, env: dict[str, str]) -> str:
        members = "".join(f"({value!r}, {self.emit(test, env)}), " for value, test in node.members)
        return f"distinct([v for v, h in ({members}) if h])" if self.known else f"k_set(({members}))"

    def _each(self, node: s.Each, env: dict[str, str]) -> str:
        depth = len(env)
        item, values, sums = node.variable, f"L{depth}", f"A{depth}"
        inner = {**env, item: item}
        head = f"lambda {item}: "
        step = f"lambda {item}, {values}, {sums}: "
        where = "None" if node.where is None else head + self.emit(node.where, inner)
        order = "".join(f"({head}{self.emit(key, inner)}, {descending}), " for key, descending in node.order)
        preceding: list[s.Preceding] = []
        lets = []
        for i, (name, value) in enumerate(node.lets):
            for p in s.walk(value):
                if isinstance(p, s.Preceding) and p not in preceding:
                    preceding.append(p)
            self._preceding_now = {p: f"{sums}[{j}]" for j, p in enumerate(preceding)}
            lets.append(step + self.emit(value, inner))
            inner[name] = f"{values}[{i}]"
        growth = "".join(f"{step}{self.emit(p.value, inner)}, " for p in preceding)
        keep = "None" if node.keep is None else step + self.emit(node.keep, inner)
        rows = ""
        for row in node.rows:
            when = "None" if row.when is None else step + self.emit(row.when, inner)
            rows += f"({when}, ({''.join(f'{step}{self.emit(v, inner)}, ' for v in row.values)})), "
        source = self.emit(node.source, env)
        run = "each_known" if self.known else "each"
        return f"{run}({source}, make_plan({where}, ({order}), ({''.join(f'{x}, ' for x in lets)}), ({growth}), {keep}, ({rows}), {node.whole}))"

    def _preceding(self, node: s.Preceding, env: dict[str, str]) -> str:
        return self._preceding_now[node]


def _decide(denies: tuple[Any, ...], stops: tuple[Any, ...], reviews: tuple[Any, ...]) -> Any:
    """The outcome by design: a violated deny, else what is still unknown, else a review."""
    if any(r is True for r in denies):
        return "denied"
    open_denies = [r for r in denies if type(r) is kleene.Unknown]
    open_reviews = [r for r in reviews if type(r) is kleene.Unknown]
    reviewed = any(r is True for r in reviews)
    if any(r is True for r in stops):
        return kleene.unknown_of(*open_denies) if open_denies else kleene.Unknown()
    waiting = open_denies + [r for r in stops if type(r) is kleene.Unknown]
    if waiting:
        return kleene.unknown_of(*waiting, *([] if reviewed else open_reviews))
    if reviewed:
        return "review"
    return kleene.unknown_of(*open_reviews) if open_reviews else "allowed"


def _worth_tracing(node: s.Node) -> bool:
    return not isinstance(node, (s.Const, s.ListOf)) and not (isinstance(node.type, NumberType) and isinstance(node, s.Const))
