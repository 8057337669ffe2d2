"""Cliffs: places where an amount of money drops because a fact has grown by its smallest step, found though nobody declared anything.

A drop is a cliff where it is larger than what the same step does just before and just behind it: an amount that falls evenly has none.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from engine.decide import Program
from engine.errors import Place
from engine.model import Texts
from engine.policy import Policy
from engine.types import ListType, NumberType, RecordType
from proofs.advice import amount_text, label
from proofs.declared import Declared, declared
from proofs.folding import Truth, add, and_, less, negative, not_, or_
from proofs.lowering import Reading
from proofs.neighbours import stepped
from proofs.properties import Shown
from proofs.solver import Asker
from proofs.symbols import World
from proofs.terms import Term
from proofs.witness import Point, Witness, asked, predicted, request

#: So many places of one output and one fact are told; beyond them the place moves with other facts.
MAX_PLACES = 12
#: Rounding may add so many of the smallest units of the output to what a step does.
ROUNDING_UNITS = 2
#: An example shows a drop of at least so much, where there is one.
TELLING = 100


@dataclass(frozen=True, slots=True)
class Cliff:
    """The output falls (or rises, where it is declared to fall) by `size` when the fact grows from `before` to `after`.

    `exact`: the place is the same whatever the other facts are; else it is one example. `fixed`: so is the size. `because`: why it is meant.
    """

    output: str
    fact: str
    before: Decimal
    after: Decimal
    size: Decimal
    exact: bool
    fixed: bool
    rises: bool
    place: Place
    shown: tuple[Shown, Shown]
    says: Texts
    because: Texts | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "output": self.output, "fact": self.fact, "from": str(self.before), "to": str(self.after), "size": str(self.size), "exact": self.exact,
            "fixed": self.fixed, "rises": self.rises, "file": self.place.file, "line": self.place.line, "says": self.says.model_dump(),
            "witnesses": [x.as_json() for x in self.shown], "because": self.because.model_dump() if self.because else None,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cliffs:
    """`undecided`: (output, fact, reason) where the solver could not say. `unused`: declared as meant, but nothing of the kind was found."""

    found: tuple[Cliff, ...]
    undecided: tuple[tuple[str, str, str], ...] = ()
    unused: tuple[tuple[str, str, Place], ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "cliffs": [c.as_json() for c in self.found], "undecided": [{"output": o, "fact": f, "reason": r} for o, f, r in self.undecided],
            "unused": [{"output": o, "fact": f, "file": p.file, "line": p.line} for o, f, p in self.unused],
        }  # fmt: skip


def version_cliffs(policy: Policy, rule_file: Path, seconds: float = 2.0) -> Cliffs:
    """The cliffs of a version, with what is declared beside it. Raises RuleFileError for a file that does not fit."""
    return cliffs(policy, seconds, declared(policy, rule_file))


def cliffs(policy: Policy, seconds: float = 2.0, stated: Declared | None = None, items: int = 2) -> Cliffs:
    """`seconds` limits each pair of an output and a fact."""
    stated = stated or Declared()
    found: list[Cliff] = []
    undecided: list[tuple[str, str, str]] = []
    world = World(items=items)
    reading, program = Reading(policy, world), Program(policy)
    for output in money_outputs(policy):
        term = reading.output(output)
        names = reading.reaches(*_parts(term))
        for path in growing(policy):
            if path not in names:
                continue
            new, reason = _Search(reading, program, output, path, stated, seconds).run()
            found += new
            undecided += [(output, path.replace("[0]", "[]"), reason)] if reason else []
    meant = {(o, f): t for o, f, t, _ in stated.meant}
    told = tuple(replace(c, because=meant.get((c.output, c.fact))) for c in found)
    unused = tuple((o, f, p) for o, f, _, p in stated.meant if (o, f) not in {(c.output, c.fact) for c in found})
    return Cliffs(told, tuple(undecided), unused)


def money_outputs(policy: Policy) -> list[str]:
    """The outputs that are amounts of money."""
    return [n for n in policy.outputs if n in policy.values and is_money(policy.values[n].type)]


def is_money(t: Any) -> bool:
    return isinstance(t, NumberType) and (t.name == "money" or t.unit == "CNY")


def growing(policy: Policy) -> list[str]:
    """The facts that are numbers, and those of the first item of lists (the items of a list are alike)."""
    found = [n for n, f in policy.facts.items() if isinstance(f.type, NumberType)]
    for name, fact in policy.facts.items():
        if isinstance(fact.type, ListType) and isinstance(fact.type.item, RecordType):
            found += [f"{name}[0].{f.name}" for f in fact.type.item.fields if isinstance(f.type, NumberType)]
    return found


def _parts(term: Term) -> list[Any]:
    return [term.value, term.null, term.waits.any]


class _Search:
    """The cliffs of one output along one fact."""

    def __init__(self, reading: Reading, program: Program, output: str, path: str, stated: Declared, seconds: float) -> None:
        self.reading, self.program, self.output, self.path = reading, program, output, path
        self.policy, self.world = reading.policy, reading.world
        self.fact = path.replace("[0]", "[]")
        self.deadline = time.monotonic() + seconds
        self.rises = stated.falling(output, self.fact)
        self.back, self.next, self.after = (stepped(self.policy, self.world, path, n) for n in (-1, 1, 2))
        self.asker = Asker([reading, self.next, self.back, self.after], seconds)
        self.here, self.there, self.type = self.next.moved[0]
        output_type = self.policy.values[output].type
        assert isinstance(output_type, NumberType)
        self.unit = Fraction(1, 10 ** (output_type.places if output_type.places is not None else 4))

    def left(self) -> float:
        return max(0.05, self.deadline - time.monotonic())

    def run(self) -> tuple[list[Cliff], str | None]:
        jump = self._jump()
        if jump is False:
            return [], None
        found: list[Cliff] = []
        passed: list[Truth] = []
        while True:
            answer = self.asker.ask(jump, *passed, self._large(), nice=True, seconds=self.left())
            if not answer.possible:
                answer = self.asker.ask(jump, *passed, nice=True, seconds=self.left())
            if not answer.possible:
                return found, None if answer.impossible else answer.reason
            cliff = self._cliff(answer.model, jump)
            if cliff is None:
                return found, "the engine does not confirm what the solver found"
            found.append(cliff)
            if len(found) == 1 and self._moves(jump, cliff):
                return [self._told(cliff.before, cliff.after, cliff.size, cliff.shown, exact=False, fixed=False)], None
            passed.append(not_(_equals(self.there.value, Fraction(cliff.after))))
            if len(found) == MAX_PLACES:
                return found, f"more than {MAX_PLACES} places"

    def _moves(self, jump: Truth, cliff: Cliff) -> bool:
        """Does the place move with other facts? Then the next step may be one too; tiers never stand so close."""
        beyond = Fraction(cliff.after) + Fraction(cliff.after - cliff.before)
        return self.asker.ask(jump, _equals(self.there.value, beyond), seconds=self.left()).possible

    def _value(self, reading: Reading) -> tuple[Any, Truth]:
        term = reading.output(self.output)
        return term.value, and_(not_(term.waits.any), not_(term.null), not_(reading.is_outcome("error")))

    def _jump(self) -> Truth:
        (a, a_known), (b, b_known), (c, c_known), (d, d_known) = (self._value(r) for r in (self.reading, self.next, self.back, self.after))
        if any(x is None for x in (a, b, c, d)):
            return False
        present = and_(not_(self.here.null), a_known, b_known)
        allowed = self.type.signed if isinstance(self.type, NumberType) else False
        lowest: Truth = False if allowed else less(self.back.moved[0][1].value, Fraction(0))
        step = add(b, negative(a))
        sign = 1 if not self.rises else -1
        tolerance = self.unit * ROUNDING_UNITS

        def beyond(slope: Any) -> Truth:
            return less(step * sign, add(slope * sign, -tolerance))

        drops = less(step * sign, Fraction(0))
        has_before = and_(not_(lowest), c_known)
        before = or_(not_(has_before), beyond(add(a, negative(c))))
        behind = or_(not_(d_known), beyond(add(d, negative(b))))
        return and_(present, drops, or_(has_before, d_known), before, behind)

    def _large(self) -> Truth:
        """A drop that is worth an example."""
        fall = add(self.reading.output(self.output).value, negative(self.next.output(self.output).value))
        return less(Fraction(TELLING), negative(fall) if self.rises else fall, or_equal=True)

    def _cliff(self, model: Any, jump: Truth) -> Cliff | None:
        point = Point.of_model(self.world, model)
        before, after = (_decimal(point.value(t.value)) for t in (self.here, self.there))
        a, b = (point.value(r.output(self.output).value) for r in (self.reading, self.next))
        shown = self._shown(model, after)
        if shown is None:
            return None
        size = add(self.reading.output(self.output).value, negative(self.next.output(self.output).value))
        other = self.asker.ask(jump, _equals(self.there.value, Fraction(after)), not_(_equals(size, Fraction(a) - Fraction(b))), seconds=self.left())
        return self._told(before, after, abs(_decimal(a) - _decimal(b)), shown, exact=True, fixed=other.impossible)

    def _shown(self, model: Any, after: Decimal) -> tuple[Shown, Shown] | None:
        first = request([self.policy], self.world, model)
        second = Witness(_with(first.facts, self.path, after, self.type), first.as_of)
        found = []
        for witness in (first, second):
            said = asked(self.program, witness)
            if said.outcome in ("refused", "error") or said != predicted(self.reading, self.program, witness):
                return None
            found.append(Shown(witness, said))
        return found[0], found[1]

    def _told(self, before: Decimal, after: Decimal, size: Decimal, shown: tuple[Shown, Shown], exact: bool, fixed: bool) -> Cliff:
        place = self.policy.values[self.output].place
        says = _says(self.policy, self.output, self.fact, (before, after, size), shown, exact and fixed, self.rises)
        return Cliff(self.output, self.fact, before, after, size, exact, fixed, self.rises, place, shown, says)


def _says(policy: Policy, output: str, fact: str, numbers: tuple[Decimal, Decimal, Decimal], shown: tuple[Shown, Shown], fixed: bool, rises: bool) -> Texts:
    texts = {}
    for language in ("en", "zh"):
        before, after = (amount_text(policy, fact, n, language) for n in numbers[:2])
        size = amount_text(policy, output, numbers[2], language)
        a, b = (amount_text(policy, output, Decimal(str(_at(x.said.outputs, output))), language) for x in shown)
        names = label(policy, output, language), label(policy, fact, language)
        if language == "en":
            example = "" if fixed else "for example, "
            verb = "rises" if rises else "falls"
            texts["en"] = f"{example}{names[0]} {verb} by {size} (from {a} to {b}) when {names[1]} grows from {before} to {after}"
        else:
            example = "" if fixed else "例如，"
            verb = "增加" if rises else "减少"
            texts["zh"] = f"{example}{names[1]}从 {before} 增加到 {after} 时，{names[0]}{verb} {size}（从 {a} 变为 {b}）"
    return Texts(en=texts["en"][0].upper() + texts["en"][1:] + ".", zh=texts["zh"] + "。")


def _at(outputs: dict[str, Any], name: str) -> Any:
    found: Any = outputs
    for part in name.split("."):
        found = found[part]
    return found


def _with(facts: dict[str, Any], path: str, value: Decimal, t: Any) -> dict[str, Any]:
    """The facts with one number changed, perhaps in the first item of a list."""
    shown: Any = int(value) if t.name == "integer" else format(value, "f")
    name, _, rest = path.partition("[0].")
    if not rest:
        return {**facts, name: shown}
    first: dict[str, Any] = dict(facts[name][0])
    inner = first
    *parents, last = rest.split(".")
    for parent in parents:
        inner[parent] = dict(inner[parent])
        inner = inner[parent]
    inner[last] = shown
    return {**facts, name: [first, *facts[name][1:]]}


def _equals(a: Any, b: Fraction) -> Truth:
    return and_(less(a, b, or_equal=True), less(b, a, or_equal=True))


def _decimal(value: Any) -> Decimal:
    number = Fraction(value)
    return Decimal(number.numerator) / Decimal(number.denominator)
