"""The operators of the rule language on terms: comparisons, membership, arithmetic."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from engine import syntax as s
from engine.types import SetType
from proofs.constants import Texts
from proofs.folding import Truth, add, and_, choose, equal, less, negative, not_, times
from proofs.terms import SURE, Items, Term, contains, deep_waits, k_and, k_or, merged, same, truth

ZERO = Fraction(0)


def compared(node: s.Compare, a: Term, b: Term, texts: Texts) -> Term:
    """A comparison. null equals null; one by order says nothing of nulls."""
    waits = SURE if a.waits is SURE and b.waits is SURE else merged((a.waits, b.waits))
    if isinstance(node.left.type, SetType) or isinstance(node.right.type, SetType):
        held = same(a, b, as_set=True)
        waits = merged((deep_waits(a), deep_waits(b)))
        return Term(held if node.op == "==" else not_(held), False, waits)
    if node.op in ("==", "!="):
        for side, kind in ((a, node.right), (b, node.left)):
            if waits is not SURE and side.null is True and not kind.nullable and side.waits is SURE:
                return Term(node.op == "!=")
        held = same(a, b)
        return Term(held if node.op == "==" else not_(held), False, waits)
    left, right = a.value, b.value
    if node.order is not None:
        left, right = rank(node.order, left, texts), rank(node.order, right, texts)
    if node.op in (">", ">="):
        left, right = right, left
    return Term(less(left, right, or_equal=node.op in ("<=", ">=")), False, waits)


def rank(order: tuple[str, ...], text: Any, texts: Texts) -> Any:
    """The place of a text in an order of texts; of any other text the last."""
    found: Any = len(order) - 1
    for i, value in reversed(list(enumerate(order[:-1]))):
        found = choose(equal(text, texts.number(value)), i, found)
    return found


def member(item: Term, collection: Term) -> Term:
    """Is a value among the items of a list or set? A null never is."""
    tests = [k_and([Term(g), Term(same(x, item), False, merged((x.waits, item.waits)))]) for g, x in collection.value.entries]
    held = k_or(tests) if tests else Term(False)
    value = k_and([Term(not_(item.null), False, item.waits), held]) if item.null is not False else held
    return value if collection.waits is SURE else value.but(collection.waits)


def set_of(members: list[tuple[Term, Term]]) -> Term:
    """A set of texts, each with the condition under which it is in."""
    entries: list[tuple[Truth, Term]] = []
    for text, held in members:
        entries.append((and_(truth(held), not_(contains(Items(tuple(entries)), text))), text))
    return Term(Items(tuple(entries)), False, merged(held.waits for _, held in members))


def calculated(op: str, a: Term, b: Term) -> Term:
    """The sum, difference or product of two numbers."""
    waits = SURE if a.waits is SURE and b.waits is SURE else merged((a.waits, b.waits))
    if op == "*":
        value = times(a.value, b.value)
        for one, other in ((a, b), (b, a)):
            if other.waits is not SURE:  # nothing times an unknown is nothing
                waits = waits.only_if(not_(and_(not_(one.waits.any), equal(one.value, ZERO))))
        return Term(value, False, waits)
    return Term(add(a.value, b.value if op == "+" else negative(b.value)), False, waits)
