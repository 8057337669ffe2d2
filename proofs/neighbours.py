"""A second request beside the first: the same facts, but one has grown. Both are readings of one world, so that they can be compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import z3

from engine import syntax as s
from engine.policy import Policy
from engine.types import BoolType, DateTimeType, EnumType, ListType, NumberType, RecordType, SetType, Type
from proofs.declared import AS_OF
from proofs.folding import Moment, Truth, add, and_, implies, is_term, less, not_, or_
from proofs.lowering import Env, Reading
from proofs.operators import rank
from proofs.symbols import Symbols, World
from proofs.terms import Items, Term

#: What the names of the variables of the second request begin with.
MORE = "more:"
#: A ratio has no smallest step; it is looked at in steps of this size.
RATIO_STEP = z3.Q(1, 10_000)
Change = Callable[[Term, Type, str], Term]


class Beside(Reading):
    """A reading in which a fact (a field of items of a list: `items[].amount`, of the first item: `items[0].amount`; or `as_of`) is another."""

    def __init__(self, policy: Policy, world: World, path: str, change: Change) -> None:
        super().__init__(policy, world)
        self._now: Term | None = None
        #: (before, after) of every changed value, with its type.
        self.moved: list[tuple[Term, Term, Type]] = []
        if path == AS_OF:
            self._now = self._changed(world.as_of(), DateTimeType(), AS_OF, change)
            return
        name, _, rest = path.partition("[")
        fact = policy.facts[name]
        if not rest:
            self.facts[name] = self._changed(self.facts[name], fact.type, name, change)
            return
        at, _, field = rest.partition("].")
        assert isinstance(fact.type, ListType)
        assert isinstance(fact.type.item, RecordType)
        index = fact.type.item.index(field)
        entries = []
        for i, (there, item) in enumerate(self.facts[name].value.entries):
            if at in ("", str(i)):
                parts = list(item.value)
                parts[index] = self._changed(parts[index], fact.type.item.fields[index].type, f"{name}[{i}].{field}", change)
                item = replace(item, value=tuple(parts))
            entries.append((there, item))
        self.facts[name] = replace(self.facts[name], value=Items(tuple(entries)))

    def _changed(self, before: Term, t: Type, name: str, change: Change) -> Term:
        after = change(before, t, name)
        self.moved.append((before, after, t))
        return after

    def walk(self, node: s.Node, env: Env) -> Term:
        if self._now is not None and isinstance(node, s.AsOf):
            return self._now
        return super().walk(node, env)


class Grown(Beside):
    """The fact is at least what it was, and of its type; `grows` says so."""

    def __init__(self, policy: Policy, world: World, path: str) -> None:
        self._symbols = Symbols(world)
        self._also: list[Any] = []
        super().__init__(policy, world, path, self._fresh)
        self.domain += self._also
        self.grows: Truth = and_(*(or_(and_(before.null, after.null), and_(not_(before.null), not_(after.null), self._above(before, after, t)))
                                   for before, after, t in self.moved))  # fmt: skip

    def _fresh(self, before: Term, t: Type, name: str) -> Term:
        term, domain = self._symbols.fact(f"{MORE}{name}", t, before.null is not False)
        self._also += domain
        if name == AS_OF:
            first, last = (d.toordinal() for d in self.world.days)
            self._also += [term.value.day >= first, term.value.day <= last]
        return term

    def _above(self, before: Term, after: Term, t: Type) -> Truth:
        if isinstance(t, BoolType):
            return implies(before.value, after.value)
        if isinstance(t, SetType):
            pairs = zip(before.value.entries, after.value.entries, strict=True)
            return and_(*(implies(g, h) for (g, _), (h, _) in pairs))
        if isinstance(t, EnumType):
            texts = self.world.texts
            return less(rank(t.values, before.value, texts), rank(t.values, after.value, texts), or_equal=True)
        return less(before.value, after.value, or_equal=True)

    def second(self, model: Any) -> Any:
        """A model of both requests as one of the second request alone."""
        found = z3.Model()
        for declaration in model.decls():
            if declaration.arity() == 0:
                found.update_value(declaration(), model[declaration])
        for variable in _fresh_variables(self.moved):
            name = variable.decl().name().replace(MORE, "", 1)
            found.update_value(z3.Const(name, variable.sort()), model.eval(variable, model_completion=True))
        return found


def _fresh_variables(moved: list[tuple[Term, Term, Type]]) -> list[Any]:
    found: dict[str, Any] = {}
    todo: list[Any] = [after for _, after, _ in moved]
    while todo:
        at = todo.pop()
        if isinstance(at, Term):
            todo += [at.value, at.null]
        elif isinstance(at, Moment):
            todo += [at.day, at.clock]
        elif isinstance(at, Items):
            todo += [part for entry in at.entries for part in entry]
        elif is_term(at):
            if z3.is_const(at) and at.decl().kind() == z3.Z3_OP_UNINTERPRETED and at.decl().name().startswith((MORE, f"null:{MORE}")):
                found[at.decl().name()] = at
            todo += at.children()
    return list(found.values())


def stepped(policy: Policy, world: World, path: str, steps: int) -> Beside:
    """The request in which a number has grown by so many of its smallest steps."""

    def change(before: Term, t: Type, name: str) -> Term:
        assert isinstance(t, NumberType)
        step = RATIO_STEP if t.places is None else z3.Q(1, 10**t.places)
        return replace(before, value=add(before.value, step * steps))

    return Beside(policy, world, path, change)
