"""Does a changed expression still test for null what may be null? The tree remembers where the author's tests made a value safe."""

from __future__ import annotations

from collections.abc import Iterator

from engine import syntax as s
from engine.policy import Policy
from engine.scope import Key, key_of, not_null_if


class Nullable:
    """Which values of a policy may be null, by the keys of engine/scope.py."""

    def __init__(self, policy: Policy) -> None:
        self.named = {("Fact", n) for n, f in policy.facts.items() if f.nullable}
        self.named |= {("Formula", n) for n, v in policy.values.items() if v.nullable}
        eaches = [n for v in policy.values.values() for n in s.walk(v.node) if isinstance(n, s.Each)]
        self.named |= {("Variable", name) for each in eaches for name, let in each.lets if let.nullable}
        if policy.machine is not None:
            self.named |= {("Formula", "transition"), ("Formula", "next_state")}

    def untested(self, node: s.Node | None, known: frozenset[Key] = frozenset()) -> Iterator[Key]:
        """The values that are taken as present where, with this tree, they may be null."""
        match node:
            case None:
                return
            case s.And(items=items) | s.Or(items=items):
                for item in items:
                    yield from self.untested(item, known)
                    known |= not_null_if(item, isinstance(node, s.And))
            case s.If(condition=condition, then=then, otherwise=otherwise):
                yield from self.untested(condition, known)
                yield from self.untested(then, known | not_null_if(condition, True))
                yield from self.untested(otherwise, known | not_null_if(condition, False))
            case s.First(lines=lines):
                for line in lines:
                    yield from self.untested(line.when, known)
                    yield from self.untested(line.then, known if line.when is None else known | not_null_if(line.when, True))
                    known = known if line.when is None else known | not_null_if(line.when, False)
            case s.Aggregate(source=source, condition=condition, value=value) | s.Select(source=source, condition=condition, value=value):
                yield from self.untested(source, known)
                yield from self.untested(condition, known)
                yield from self.untested(value, known if condition is None else known | not_null_if(condition, True))
            case s.Each():
                yield from self._each(node, known)
            case s.Fact() | s.Formula() | s.Variable() | s.FieldOf():
                key = key_of(node)
                if not node.nullable and key is not None and key not in known and self._may_be_null(node):
                    yield key
                if isinstance(node, s.FieldOf):
                    yield from self.untested(node.record, known)
            case _:
                for child in s.children(node):
                    yield from self.untested(child, known)

    def _each(self, node: s.Each, known: frozenset[Key]) -> Iterator[Key]:
        yield from self.untested(node.source, known)
        yield from self.untested(node.where, known)
        known = known if node.where is None else known | not_null_if(node.where, True)
        for part in (*(key for key, _ in node.order), *(let for _, let in node.lets), node.keep):
            yield from self.untested(part, known)
        known = known if node.keep is None else known | not_null_if(node.keep, True)
        for row in node.rows:
            yield from self.untested(row.when, known)
            inner = known if row.when is None else known | not_null_if(row.when, True)
            for value in row.values:
                yield from self.untested(value, inner)

    def _may_be_null(self, node: s.Fact | s.Formula | s.Variable | s.FieldOf) -> bool:
        if isinstance(node, s.FieldOf):
            return node.record.type.field(node.name).nullable  # type: ignore[attr-defined,no-any-return]
        return (type(node).__name__, node.name) in self.named
