"""How far the next tier of an amount is, and what it is worth: the nearest value of a fact at which another line, bracket or row gives more."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import z3

from engine.cases import flat
from engine.decide import Program
from engine.errors import PolicyError
from engine.model import Texts
from engine.policy import Policy
from engine.types import NumberType
from proofs.advice import LANGUAGES, amount_text, label, sentence
from proofs.cliffs import money_outputs
from proofs.folding import Truth, and_, is_term, less, not_, or_
from proofs.influence import Influence, InfluenceModel
from proofs.least import least
from proofs.levers import Case
from proofs.solver import Asker
from proofs.symbols import variables
from proofs.witness import Point

_COMPARISONS = (z3.Z3_OP_LE, z3.Z3_OP_LT, z3.Z3_OP_GE, z3.Z3_OP_GT)


@dataclass(frozen=True, slots=True)
class Gain:
    """With `fact` at `to` in place of `before` the output is worth `gain` more. Amounts as decimal text."""

    output: str
    fact: str
    before: str
    to: str
    change: str
    gain: str
    says: Texts

    def as_json(self) -> dict[str, Any]:
        return {
            "output": self.output, "fact": self.fact, "before": self.before, "to": self.to, "change": self.change, "gain": self.gain,
            "says": self.says.model_dump(),
        }  # fmt: skip


def gains(program: Program, facts: dict[str, Any], as_of: datetime, influence: Influence, seconds: float = 5.0) -> tuple[Gain, ...]:
    """The next tier of every amount of money along every number that the partner can move, the most worth first."""
    deadline = time.monotonic() + seconds
    outputs = money_outputs(program.policy)
    found: list[Gain] = []
    if not outputs:
        return ()
    slots, _, _ = program.slots(facts, as_of, None)
    for name, one in influence.facts.items():
        for only in _alone(name, one):
            case = Case(program, slots, as_of, only)
            only.names.update(influence.names)
            for output in outputs:
                gain = _Tier(program, case, facts, output, deadline).found()
                if gain is not None:
                    found.append(gain)
    return tuple(sorted(found, key=lambda g: (-Fraction(g.gain), g.output, g.fact)))


def _alone(name: str, one: InfluenceModel) -> list[Influence]:
    """The parts of what can be said of a fact that move a number, each alone."""
    found = [Influence({name: InfluenceModel(**{key: move})}) for key in ("up", "down") if (move := getattr(one, key)) is not None]
    for field, inner in one.each.items():
        found += [Influence({name: InfluenceModel(each={field: only.facts[field]})}) for only in _alone(field, inner)]
    return found


class _Tier:
    def __init__(self, program: Program, case: Case, facts: dict[str, Any], output: str, deadline: float) -> None:
        self.program, self.case, self.facts, self.output, self.deadline = program, case, facts, output, deadline
        self.asker = Asker([case], max(0.05, deadline - time.monotonic()))

    def found(self) -> Gain | None:
        best: tuple[Fraction, Point] | None = None
        for lever in self.case.levers:
            if lever.kind == "change":
                self_only = and_(*(not_(other.pulled) for other in self.case.levers if other is not lever), lever.pulled)
                one = self._nearest(lever.cost, self_only)
                if one is not None and (best is None or one[0] < best[0]):
                    best = one
                    path = lever.path
        return None if best is None else self._gain(best[1], path)

    def _nearest(self, cost: Any, alone: Truth) -> tuple[Fraction, Point] | None:
        """The nearest value at which a comparison turns and the amount is higher."""
        term = self.case.output(self.output)
        if not is_term(term.value):
            return None
        known = and_(not_(term.waits.any), not_(term.null), not_(self.case.is_outcome("denied")), not_(self.case.is_outcome("error")))
        here = self._now()
        if here is None:
            return None
        turned = or_(*(self._turns_at(c) for c in _comparisons(term.value)))
        conditions = [alone, known, turned, less(here, term.value)]
        if turned is False:
            return None
        found = least(self.asker, conditions, cost, self.deadline)
        return None if found.point is None or found.cost is None or not found.proved else (found.cost, found.point)

    def _turns_at(self, comparison: Any) -> Truth:
        """Is it another one step before, on the way from where the case is?"""
        found = []
        for name in variables(comparison):
            if name.endswith(":to"):
                to = z3.Int(name)
                for lever in self.case.levers:
                    if is_term(lever.pulled) and name in variables(lever.pulled):
                        back = to - 1 if lever.pulled.decl().kind() == z3.Z3_OP_GT else to + 1
                        found.append(z3.And(lever.pulled, comparison != z3.substitute(comparison, (to, back))))
        return or_(*found)

    def _now(self) -> Fraction | None:
        value = self._value(self.facts)
        return None if value is None else Fraction(value)

    def _value(self, facts: dict[str, Any]) -> Decimal | None:
        try:
            answer = self.program.check(facts, self.case.asked_at)
        except PolicyError:
            return None
        found = flat(answer["outputs"]).get(self.output)
        return None if found is None else Decimal(found)

    def _gain(self, point: Point, path: str) -> Gain | None:
        """The place; where values just before it are worth as much (rounding, caps), the roundest of them."""
        delta = self.case.changed(point)
        before, now = self._at(self.facts, path), self._value(self.facts)
        to, worth = self._at(delta, path), self._value(self.facts | delta)
        if now is None or worth is None or worth <= now:
            return None
        to = self._roundest(path, before, to, worth)
        worth = self._value(self.facts | _put(self.facts, path, to)) or worth
        change, gain = abs(to - before), worth - now
        return Gain(self.output, path, str(before), str(to), str(change), str(gain), self._says(path, (before, to, change), worth, gain))

    def _roundest(self, path: str, before: Decimal, to: Decimal, worth: Decimal) -> Decimal:
        step = _step(self.case, path)
        sign = 1 if to > before else -1

        def as_good(n: int) -> bool:
            value = self._value(self.facts | _put(self.facts, path, to - sign * n * step))
            return value is not None and value >= worth

        most = int(abs(to - before) / step) - 1
        reach = 0
        while reach < most and as_good(min(most, reach * 2 + 1)):
            reach = min(most, reach * 2 + 1)
        nearest, farthest = sorted((to, to - sign * reach * step))
        for power in range(12, -12, -1):
            unit = Decimal(1).scaleb(power)
            rounded = (farthest // unit) * unit
            if rounded >= nearest:
                return rounded.quantize(step)
        return to

    def _at(self, facts: dict[str, Any], path: str) -> Decimal:
        name, _, rest = path.partition("[")
        if not rest:
            return Decimal(facts[name])
        index, _, field = rest.partition("].")
        return Decimal(flat(facts[name][int(index)])[field])

    def _says(self, path: str, numbers: tuple[Decimal, Decimal, Decimal], worth: Decimal, gain: Decimal) -> Texts:
        policy, said = self.program.policy, {}
        up = numbers[1] > numbers[0]
        for language in LANGUAGES:
            _, to, change = (amount_text(policy, path, n, language) for n in numbers)
            name, output = (_named(self.case.influence, policy, p, language) for p in (path, self.output))
            more, total = (amount_text(policy, self.output, n, language) for n in (gain, worth))
            if language == "en":
                text = f"{change} {'more' if up else 'less'} of {name} (then {to}) reaches the next tier: {output} rises by {more}, to {total}"
            else:
                text = f"{name}再{'增加' if up else '减少'} {change}（达到 {to}）即进入下一档：{output}增加 {more}，为 {total}"
            said[language] = sentence([text], language)
        return Texts(**said)


def _named(influence: Influence, policy: Policy, path: str, language: str) -> str:
    named = influence.names.get(re.sub(r"\[\d+\]", "[]", path))
    return label(policy, path, language) if named is None else str(getattr(named, language))


def _step(case: Case, path: str) -> Decimal:
    name, _, rest = path.partition("[")
    t: Any = case.policy.facts[name].type
    if rest:
        t = t.item.field(rest.partition("].")[2]).type
    assert isinstance(t, NumberType)
    return Decimal(1).scaleb(-(4 if t.places is None else t.places))


def _put(facts: dict[str, Any], path: str, value: Decimal) -> dict[str, Any]:
    """The fact of a path with this number in it."""
    name, _, rest = path.partition("[")
    shown: Any = int(value) if value == value.to_integral_value() and "." not in str(value) else format(value, "f")
    if not rest:
        return {name: shown}
    index, _, field = rest.partition("].")
    items = list(facts[name])
    items[int(index)] = flat(items[int(index)]) | {field: shown}
    return {name: items}


def _comparisons(term: Any) -> list[Any]:
    """The order comparisons of numbers in a term."""
    found: dict[int, Any] = {}
    seen: set[int] = set()
    todo = [term]
    while todo:
        at = todo.pop()
        if at.get_id() in seen:
            continue
        seen.add(at.get_id())
        if z3.is_app(at) and at.decl().kind() in _COMPARISONS and variables(at):
            found[at.get_id()] = at
        todo += at.children()
    return list(found.values())
