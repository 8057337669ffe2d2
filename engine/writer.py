"""Expressions of the typed tree as Python source, in two modes that give the same answers.

`known`: every fact is there, operations are Python's own. `open`: something may be unknown, operations are those of engine/kleene.py, bounds.py,
aggregates.py and lookups.py; in this mode every condition can also be traced.
"""

from __future__ import annotations

from typing import Any

from engine import aggregates, bounds, kleene, lists, lookups
from engine import syntax as s
from engine.functions import FUNCTIONS, distinct
from engine.plan import Plan
from engine.policy import Policy
from engine.tables import TableIndex, scale_amount
from engine.types import SetType
from engine.unknown import Unknown

#: A longer `first` is written as a list of lines: Python's parser has a limit of nesting.
MAX_CHAIN = 50
_FAST_COMPARE = {"==": "==", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
#: The operations on values that may be unknown, by name.
_OPEN = {name: found for module in (kleene, bounds, aggregates, lookups) for name, found in vars(module).items() if name.startswith("k_")}


class Writer:
    """Writes the expressions of one policy in one mode. What the source names is in `globals`; facts, values and rules have names of their own.

    `traced`: what every expression outside of loops gives goes through `T(number, value)`, the expressions are kept in `traced_nodes`.
    """

    def __init__(self, policy: Policy, plan: Plan, tables: dict[str, TableIndex], known: bool, traced: bool = False) -> None:
        self.policy, self.plan, self.tables, self.known, self.traced = policy, plan, tables, known, traced
        self.slots = {name: f"f{i}" for i, name in enumerate(policy.facts)}
        self.value_names = {name: f"v{i}" for i, name in enumerate(plan.values)}
        self.rule_names = {r.code: f"r{i}" for i, r in enumerate(plan.rules)}
        self.globals: dict[str, Any] = {**_OPEN, "Unknown": Unknown, "scale_amount": scale_amount, "distinct": distinct}
        self.globals |= {"each": lists.each, "each_known": lists.each_known, "make_plan": lists.Plan}
        self.globals |= {f"fn_{name}": function for name, function in FUNCTIONS.items()}
        self.constants: dict[Any, str] = {}
        self.traced_nodes: list[s.Node] = []
        self._preceding_now: dict[s.Preceding, str] = {}

    def emit(self, node: s.Node, env: dict[str, str]) -> str:
        """The source of an expression; `env` gives the source of each variable that it may use."""
        code: str = getattr(self, f"_{type(node).__name__.lower()}")(node, env)
        if self.traced and not env and not isinstance(node, (s.Const, s.ListOf)):
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
            self.globals[unknown] = Unknown(unset=frozenset([node.name]))
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
