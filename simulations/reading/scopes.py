"""Where an expression stands: the names around it. The parts of an `each` block stand in scopes of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine import syntax as s
from simulations.reading.each import Block, Step
from simulations.reading.items import Body
from simulations.reading.lowered import Lowered, NotLowered


@dataclass(frozen=True)
class Scope:
    """The variables of the lists around an expression, and the running sums of the `each` block around it."""

    variables: Mapping[str, Lowered] = field(default_factory=dict)
    preceding: Mapping[Any, Lowered] = field(default_factory=dict)

    @property
    def inner(self) -> bool:
        return bool(self.variables)

    def having(self, name: str, value: Lowered) -> Scope:
        return Scope({**self.variables, name: value}, self.preceding)


ROW = Scope()


def block(node: s.Each, scope: Scope, lower: Callable[[s.Node, Scope], Lowered]) -> Block:
    """The parts of an `each` block, lowered item by item. Raises NotLowered for a running sum that rests on itself."""

    def body(n: s.Node) -> Body:
        return lambda item: lower(n, scope.having(node.variable, item))

    def step(n: s.Node) -> Step:
        return lambda item, lets: lower(n, Scope({**scope.variables, node.variable: item, **lets}, scope.preceding))

    def let(n: s.Node) -> Callable[[Lowered, Mapping[str, Lowered], Mapping[Any, Lowered]], Lowered]:
        return lambda item, lets, sums: lower(n, Scope({**scope.variables, node.variable: item, **lets}, {**scope.preceding, **sums}))

    done: set[str] = set()
    made = []
    for name, value in node.lets:
        sums = {n: step(n.value) for n in s.walk(value) if isinstance(n, s.Preceding)}
        for n in sums:
            later = {v.name for v in s.walk(n.value) if isinstance(v, s.Variable)} & ({n for n, _ in node.lets} - done)
            if later:
                raise NotLowered(f"`preceding` of `{name}` rests on itself, which SQL cannot say without a loop")
        made.append((name, let(value), sums))
        done.add(name)
    return Block(
        where=None if node.where is None else body(node.where),
        order=[(body(key), descending) for key, descending in node.order],
        lets=made,
        keep=None if node.keep is None else step(node.keep),
        rows=[(None if row.when is None else step(row.when), [step(v) for v in row.values]) for row in node.rows],
        whole=node.whole,
    )
