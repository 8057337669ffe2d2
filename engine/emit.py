"""A policy as one Python function. It takes the fact slots and the instant, and gives the state of every rule, the outcome, and every value.

The expressions in it are those of engine/writer.py, in the same two modes; the rules of a layer are matched by its network.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine import syntax as s
from engine.network import Network
from engine.plan import DECISIVE, Layer, Plan, Whole
from engine.policy import Policy
from engine.tables import TableIndex
from engine.unknown import Unknown, unknown_of
from engine.writer import Writer

Run = Callable[..., tuple[tuple[Any, ...], Any, tuple[Any, ...]]]


class Emitter(Writer):
    """Writes the function of one policy in one mode."""

    def __init__(self, policy: Policy, plan: Plan, tables: dict[str, TableIndex], known: bool, traced: bool = False) -> None:
        super().__init__(policy, plan, tables, known, traced)
        self.atoms: dict[s.Node, str] = {}

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
            self.globals["STOPPED"] = Unknown()
            shown = "".join(f"{value} if {test} else " for test, value in tests if test)
            return [f'outcome = {shown}"allowed"']
        groups = ", ".join(f"({''.join(f'{n}, ' for n in by_effect[e])})" for e in ("deny", "undetermined", "review"))
        return [f"outcome = decide({groups})"]


def _decide(denies: tuple[Any, ...], stops: tuple[Any, ...], reviews: tuple[Any, ...]) -> Any:
    """The outcome by design: a violated deny, else what is still unknown, else a review."""
    if any(r is True for r in denies):
        return "denied"
    open_denies = [r for r in denies if type(r) is Unknown]
    open_reviews = [r for r in reviews if type(r) is Unknown]
    reviewed = any(r is True for r in reviews)
    if any(r is True for r in stops):
        return unknown_of(*open_denies) if open_denies else Unknown()
    waiting = open_denies + [r for r in stops if type(r) is Unknown]
    if waiting:
        return unknown_of(*waiting, *([] if reviewed else open_reviews))
    if reviewed:
        return "review"
    return unknown_of(*open_reviews) if open_reviews else "allowed"
