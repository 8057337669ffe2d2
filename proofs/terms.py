"""Values of the rule language as terms: null, waiting for something, or a value whose parts are as in proofs/folding.py.

bool: bool or BoolRef; numbers: Fraction or real ArithRef; text and enum: int or ArithRef, the number of the text in `Texts`; date: int or ArithRef,
its ordinal; datetime: `Moment`; set and list: `Items`; record: tuple of `Term`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from proofs.folding import Moment, Truth, add, and_, choose, equal, identical, implies, not_, or_


@dataclass(frozen=True, slots=True)
class Waits:
    """Why a value may be open though it stands in the term: an unknown fact, an unset parameter, an error. All False: it is determined."""

    fact: Truth = False
    unset: Truth = False
    error: Truth = False

    @property
    def any(self) -> Truth:
        return or_(self.fact, self.unset, self.error)

    def only_if(self, condition: Truth) -> Waits:
        if self is SURE or condition is True:
            return self
        return Waits(and_(condition, self.fact), and_(condition, self.unset), and_(condition, self.error))


SURE = Waits()


def merged(items: Iterable[Waits]) -> Waits:
    found = [w for w in items if w is not SURE]
    if not found:
        return SURE
    return Waits(or_(*(w.fact for w in found)), or_(*(w.unset for w in found)), or_(*(w.error for w in found)))


@dataclass(frozen=True, slots=True)
class Items:
    """A list or set: candidates in order, each with the condition under which it is there."""

    entries: tuple[tuple[Truth, Term], ...]


@dataclass(frozen=True, slots=True)
class Term:
    """One value. `null`: is it none? `waits`: is it open? Where either holds, `value` says nothing."""

    value: Any
    null: Truth = False
    waits: Waits = SURE

    def but(self, waits: Waits) -> Term:
        return Term(self.value, self.null, merged((self.waits, waits)))


NULL = Term(None, True)


def chosen(condition: Truth, a: Term, b: Term) -> Term:
    """`a` if the condition holds, else `b`, parts of lists and records too."""
    if condition is True or a is b:
        return a
    if condition is False:
        return b
    waits = SURE
    if a.waits is not SURE or b.waits is not SURE:
        waits = merged((a.waits.only_if(condition), b.waits.only_if(not_(condition))))
    return Term(_chosen_value(condition, a.value, b.value), choose(condition, a.null, b.null), waits)


def _chosen_value(condition: Truth, a: Any, b: Any) -> Any:
    if a is None or b is None:
        return b if a is None else a
    if isinstance(a, Moment):
        return Moment(choose(condition, a.day, b.day), choose(condition, a.clock, b.clock))
    if isinstance(a, tuple):
        return tuple(chosen(condition, x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, Items):
        size = max(len(a.entries), len(b.entries))
        left, right = _padded(a, b, size), _padded(b, a, size)
        return Items(tuple((choose(condition, g, h), chosen(condition, x, y)) for (g, x), (h, y) in zip(left, right, strict=True)))
    return choose(condition, a, b)


def _padded(items: Items, other: Items, size: int) -> list[tuple[Truth, Term]]:
    return [*items.entries, *((False, x) for _, x in other.entries[len(items.entries) :])][:size]


def same(a: Term, b: Term, as_set: bool = False) -> Truth:
    """Are two determined values equal? null equals null."""
    if a.null is True or b.null is True:
        return and_(a.null, b.null)
    if as_set:
        held = and_(subset(a.value, b.value), subset(b.value, a.value))
    else:
        held = same_value(a.value, b.value)
    return or_(and_(a.null, b.null), and_(not_(a.null), not_(b.null), held))


def same_value(a: Any, b: Any) -> Truth:
    if isinstance(a, Moment):
        return and_(equal(a.day, b.day), equal(a.clock, b.clock))
    if isinstance(a, tuple):
        return and_(*(same(x, y) for x, y in zip(a, b, strict=True)))
    if isinstance(a, Items):
        return _same_lists(a, b)
    return equal(a, b)


def _same_lists(a: Items, b: Items) -> Truth:
    pairs = list(zip(a.entries, b.entries, strict=False))
    if len(a.entries) == len(b.entries) and all(identical(g, h) for (g, _), (h, _) in pairs):
        return and_(*(implies(g, same(x, y)) for (g, x), (_, y) in pairs))
    tests = [equal(count(a), count(b))]
    before_a = Fraction(0)
    for g, x in a.entries:
        before_b = Fraction(0)
        for h, y in b.entries:
            tests.append(implies(and_(g, h, equal(before_a, before_b)), same(x, y)))
            before_b = add(before_b, choose(h, Fraction(1), Fraction(0)))
        before_a = add(before_a, choose(g, Fraction(1), Fraction(0)))
    return and_(*tests)


def count(items: Items) -> Any:
    total: Any = Fraction(0)
    for g, _ in items.entries:
        total = add(total, choose(g, Fraction(1), Fraction(0)))
    return total


def contains(items: Items, item: Term) -> Truth:
    """Is a value that is not null among the items?"""
    return or_(*(and_(g, same(x, item)) for g, x in items.entries))


def subset(a: Items, b: Items) -> Truth:
    return and_(*(implies(g, contains(b, x)) for g, x in a.entries))


def deep_waits(term: Term) -> Waits:
    """What a value and its parts wait for."""
    if isinstance(term.value, Items):
        inner = [deep_waits(x).only_if(g) for g, x in term.value.entries]
    elif isinstance(term.value, tuple):
        inner = [deep_waits(x) for x in term.value]
    else:
        return term.waits
    return merged((term.waits, *(w.only_if(not_(term.null)) for w in inner)))


def truth(term: Term) -> Truth:
    """A condition that is determined and holds."""
    return and_(not_(term.waits.any), not_(term.null), term.value)


def falsity(term: Term) -> Truth:
    return and_(not_(term.waits.any), not_(term.null), not_(term.value))


def k_not(a: Term) -> Term:
    return Term(not_(a.value), a.null, a.waits)


def k_and(items: Iterable[Term]) -> Term:
    """Kleene's and: false where one is false, whatever the others wait for."""
    items = list(items)
    value = and_(*(i.value for i in items))
    if all(i.waits is SURE for i in items):
        return Term(value)
    refuted = or_(*(falsity(i) for i in items))
    return Term(and_(value, not_(refuted)), False, merged(i.waits for i in items).only_if(not_(refuted)))


def k_or(items: Iterable[Term]) -> Term:
    return k_not(k_and(k_not(i) for i in items))


def k_if(condition: Term, a: Term, b: Term) -> Term:
    """What a known condition chooses; with an open one, known only where both are known and the same."""
    result = chosen(condition.value, a, b)
    if condition.waits is SURE:
        return result
    either = merged((condition.waits, deep_waits(a), deep_waits(b)))
    agree = and_(not_(deep_waits(a).any), not_(deep_waits(b).any), same(a, b))
    is_open = and_(condition.waits.any, not_(agree))
    return Term(result.value, result.null, merged((result.waits.only_if(not_(condition.waits.any)), either.only_if(is_open))))
