"""The typed syntax tree of a policy. Immutable, and bound to no reading: the Rete reading, the plain interpreter of the tests, and the
population and proof readings all start from it.

Every node knows its `type`, whether it may be null (`nullable`), and its `place` in the rule file (for messages; not part of equality).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any

from engine.errors import Place
from engine.types import BOOL, Type

_NOWHERE = Place("", 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Base of all expressions."""

    type: Type = BOOL
    nullable: bool = False
    place: Place = field(default=_NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Const(Node):
    """A literal: a value of its type, or None for null."""

    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact(Node):
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter(Node):
    """A parameter; `key` picks one entry of a map parameter."""

    name: str
    key: Node | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Formula(Node):
    """A named formula or output of this policy."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable(Node):
    """The variable of a list expression, or a `let` of an `each` block. `name` is unique in the policy."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldOf(Node):
    """A field of a record."""

    record: Node
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AsOf(Node):
    """The instant that the question is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Not(Node):
    item: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class And(Node):
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Or(Node):
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class If(Node):
    condition: Node
    then: Node
    otherwise: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Compare(Node):
    """`op` is one of == != < <= > >=. Ordered enums are compared by their place in `order`."""

    op: str
    left: Node
    right: Node
    order: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class In(Node):
    """Is the item in the set or list?"""

    item: Node
    collection: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class IsNull(Node):
    item: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Arithmetic(Node):
    """`op` is one of + - *; exact."""

    op: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Negative(Node):
    item: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Node):
    """A function of engine/functions.py."""

    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate(Node):
    """count, sum, any, all, min, max over a list: `value` for each item that meets `condition`.

    An empty list gives 0 for count and sum, false for any, true for all, null for min and max.
    """

    function: str
    variable: str
    source: Node
    condition: Node | None
    value: Node | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Select(Node):
    """A list of `value` for each item of `source` that meets `condition`, in the order of the source."""

    variable: str
    source: Node
    condition: Node | None
    value: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOf(Node):
    """A list or set written out."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableCall(Node):
    """One look-up in a decision table; gives a record, a list of records or an integer, as the hit policy says."""

    table: str
    arguments: tuple[tuple[str, Node], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleCall(Node):
    scale: str
    amount: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Violated(Node):
    """Has the requirement with this code fired?"""

    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Applies(Node):
    """Does the transition with this code match state, event and guard?"""

    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Node):
    """allowed, review or denied; unknown while undetermined."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line(Node):
    """One line of a `first` block; `when` is None for the last, `else`."""

    when: Node | None
    then: Node
    codes: tuple[str, ...] = ()
    refs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class First(Node):
    """The value of the first line whose condition holds. The last line is always an `else`."""

    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetOf(Node):
    """The values whose condition holds, in the order written, each once."""

    members: tuple[tuple[str, Node], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preceding(Node):
    """Inside `each`: the sum of `value` over the items before this one, in the order of the block."""

    value: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Row(Node):
    """One record that an `each` block may give for an item."""

    when: Node | None
    values: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Each(Node):
    """A list of records: for each item of `source` that meets `where`, in `order` (key, descending), the rows whose `when` holds.

    `lets` are named values of one item, `keep` a condition on them. `whole`: one unknown field leaves the whole list unknown.
    """

    variable: str
    source: Node
    where: Node | None
    order: tuple[tuple[Node, bool], ...]
    lets: tuple[tuple[str, Node], ...]
    keep: Node | None
    rows: tuple[Row, ...]
    whole: bool = False


def children(node: Node) -> Iterator[Node]:
    """The expressions directly inside a node."""
    for f in fields(node):
        if f.name not in ("type", "place"):
            yield from _nodes(getattr(node, f.name))


def _nodes(value: Any) -> Iterator[Node]:
    if isinstance(value, Node):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _nodes(item)


def walk(node: Node) -> Iterator[Node]:
    """The node and everything inside it."""
    yield node
    for child in children(node):
        yield from walk(child)
