"""Expressions of one version put into words of both languages, beside another version with which it is compared."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from engine import syntax as s
from engine.types import plain
from engine.unparse import text
from proofs.lowering import Reading
from proofs.rewriting import rebuilt

_IN_CHINESE = (
    (" is not null", " 不为空"), (" is null", " 为空"), (" not in ", " 不属于 "), (r"(?<! for \w)(?<! for \w\w) in ", " 属于 "), (" and ", " 且 "),
    (" or ", " 或 "), (r"\bnot ", "非 "),
)  # fmt: skip


class Wording:
    """The words of one version. `changed`: the formulas that mean something else in the other; `label` says whose a number is."""

    def __init__(self, reading: Reading, other: Reading, label: str) -> None:
        self.reading, self.other, self.label = reading, other, label
        self.changed = _changed_values(reading, other)

    def of(self, node: s.Node, shown: dict[str, s.Node], chinese: bool) -> str:
        """An expression as people read it: parameters with their values; in Chinese with the labels that the rule file gives."""
        said = text(rebuilt(node, lambda n: self._named(n, shown, chinese)))
        if chinese:
            for english, word in _IN_CHINESE:
                said = re.sub(english, word, said)
        return said

    def _named(self, node: s.Node, shown: dict[str, s.Node], chinese: bool) -> s.Node | None:
        policy = self.reading.policy
        if isinstance(node, s.Variable) and node.name in shown:
            return shown[node.name]
        if isinstance(node, s.Parameter) and node.key is None:
            return s.Fact(name=self._parameter(node.name), type=node.type)
        if isinstance(node, s.Formula) and node.name in self.changed:
            return s.Fact(name=f"{node.name} ({self.label})", type=node.type)
        if not chinese:
            return None
        if isinstance(node, s.Fact) and node.name in policy.facts:
            label = policy.facts[node.name].zh
            return s.Fact(name=label, type=node.type) if label else None
        if isinstance(node, (s.Compare, s.In)):
            return self._with_labels(node, shown)
        return None

    def _with_labels(self, node: s.Compare | s.In, shown: dict[str, s.Node]) -> s.Node | None:
        """A comparison of an enum fact with values, the values by their labels."""
        parts = (node.left, node.right) if isinstance(node, s.Compare) else (node.item, node.collection)
        fact = next((p for p in parts if isinstance(p, s.Fact)), None)
        labels = self.reading.policy.facts[fact.name].values_zh if fact is not None and fact.name in self.reading.policy.facts else None
        if not labels:
            return None

        def label(n: s.Node) -> s.Node | None:
            if isinstance(n, s.Const) and isinstance(n.value, str) and n.value in labels:
                return s.Fact(name=labels[n.value], type=n.type)
            return None if isinstance(n, (s.Compare, s.In)) else self._named(n, shown, True)

        made = [rebuilt(p, label) for p in parts]
        if isinstance(node, s.Compare):
            return replace(node, left=made[0], right=made[1])
        return replace(node, item=made[0], collection=made[1])

    def _parameter(self, name: str) -> str:
        p = self.reading.policy.parameters[name]
        known = self.other.policy.parameters.get(name)
        whose = "" if known is not None and (known.value, known.unset) == (p.value, p.unset) else f", {self.label}"
        if p.unset:
            return f"parameters.{name}"
        value = plain(p.value, p.type)
        if isinstance(value, list):
            value = "[" + ", ".join(map(str, value)) + "]"
        return f"{value} (parameters.{name}{whose})"


def _changed_values(reading: Reading, other: Reading) -> set[str]:
    """The formulas that mean something else in the other version, or are not there."""

    def means(r: Reading, node: s.Node) -> Any:
        used = sorted({n.name for n in s.walk(node) if isinstance(n, s.Parameter)})
        return node, [(p, r.policy.parameters[p].value, r.policy.parameters[p].unset) for p in used]

    values, others = reading.policy.values, other.policy.values
    changed = {n for n, v in values.items() if n not in others or means(reading, v.node) != means(other, others[n].node)}
    while True:
        more = {n for n, v in values.items() if n not in changed and any(isinstance(x, s.Formula) and x.name in changed for x in s.walk(v.node))}
        if not more:
            return changed | {n for n in ("transition", "next_state") if reading.policy.machine is not None}
        changed |= more
