"""The parts of an answer, when two versions differ in each, and what is not comparable at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.types import ListType, NumberType, RecordType, Type
from proofs.folding import Truth, and_, identical, implies, not_, or_
from proofs.lowering import Reading
from proofs.outcomes import OUTCOMES
from proofs.terms import Items, Term, deep_waits, same


@dataclass(frozen=True, slots=True)
class Change:
    """One part of the answers that differs: `kind` is reason, warning, output or outcome; `how` is gained, lost or changed.

    `always`: in the whole region; else only in a part of it.
    """

    kind: str
    name: str
    how: str
    always: bool

    def as_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.name, "how": self.how, "always": self.always}


def parts(a: Reading, b: Reading) -> list[tuple[Change, Truth]]:
    """Every part of the answers, with the condition under which it differs."""
    found: list[tuple[Change, Truth]] = []
    for code in dict.fromkeys([*a.rules, *b.rules]):
        effects = [r.rules[code].effect if code in r.rules else None for r in (a, b)]
        kind = "warning" if "warn" in effects else "reason"
        if not {*effects} & {"deny", "review", "warn"}:
            continue
        fired = [r.violated(code) if code in r.rules else False for r in (a, b)]
        found.append((Change(kind, code, "lost", True), and_(fired[0], not_(fired[1]))))
        found.append((Change(kind, code, "gained", True), and_(not_(fired[0]), fired[1])))
        if None not in effects and effects[0] != effects[1]:
            found.append((Change(kind, code, "changed", True), and_(*fired)))
    for name in a.outputs:
        if name in b.outputs and comparable(a, b, name):
            found.append((Change("output", name, "changed", True), not_(_shown_same(a.output(name), b.output(name)))))
    error = or_(a.is_outcome("error"), b.is_outcome("error"))
    found = [(change, and_(not_(error), condition)) for change, condition in found]
    outcome = or_(*(and_(a.is_outcome(o), not_(b.is_outcome(o))) for o in OUTCOMES))
    return [(c, t) for c, t in [*found, (Change("outcome", "outcome", "changed", True), outcome)] if t is not False]


def differ(a: Reading, b: Reading) -> Truth:
    """The condition under which two readings of one world answer differently."""
    return or_(*(condition for _, condition in parts(a, b)))


def comparable(a: Reading, b: Reading, output: str) -> bool:
    """Do both versions give values of one shape?"""
    return bool(_shape(_type(a, output)) == _shape(_type(b, output)))


def structure(a: Reading, b: Reading, labels: tuple[str, str]) -> list[dict[str, str]]:
    """Facts and outputs that one version does not know, or knows otherwise; in words (en, zh)."""
    found: list[dict[str, str]] = []

    def say(en: str, zh: str) -> None:
        found.append({"en": en, "zh": zh})

    for x, y, name in ((a, b, labels[0]), (b, a, labels[1])):
        for fact in x.policy.facts:
            if fact not in y.policy.facts:
                say(f"the fact {fact} is known to {name} only", f"只有 {name} 有事实 {fact}")
        for output in x.outputs:
            if output not in y.outputs:
                say(f"the output {output} is given by {name} only", f"只有 {name} 给出输出 {output}")
    for fact, of in a.policy.facts.items():
        other = b.policy.facts.get(fact)
        if other is not None and (of.type, of.nullable) != (other.type, other.nullable):
            say(f"the fact {fact} takes other values: compared where both versions take them", f"事实 {fact} 的取值不同：只在两个版本都接受的取值内比较")
    for output in a.outputs:
        if output in b.outputs and not comparable(a, b, output):
            say(f"the output {output} has another shape: not compared", f"输出 {output} 的结构不同：未比较")
    return found


def _type(reading: Reading, output: str) -> Type | None:
    return reading.policy.values[output].type if output in reading.policy.values else None


def _shape(t: Type | None) -> Any:
    if isinstance(t, ListType):
        return ("list", _shape(t.item))
    if isinstance(t, RecordType):
        return tuple((f.name, _shape(f.type)) for f in t.fields)
    return "number" if isinstance(t, NumberType) else type(t).__name__.replace("EnumType", "TextType")


def _shown_same(a: Term, b: Term) -> Truth:
    """Do two values show alike in an answer? What is open shows as null."""
    wait = [and_(t.waits.any) for t in (a, b)]
    if isinstance(a.value, tuple) and isinstance(b.value, tuple):
        inner = and_(*(_shown_same(x, y) for x, y in zip(a.value, b.value, strict=True)))
        held = or_(and_(a.null, b.null), and_(not_(a.null), not_(b.null), inner))
    elif isinstance(a.value, Items) and isinstance(b.value, Items):
        if len(a.value.entries) == len(b.value.entries) and all(identical(g, h) for (g, _), (h, _) in zip(a.value.entries, b.value.entries, strict=True)):
            inner = and_(*(implies(g, _shown_same(x, y)) for (g, x), (_, y) in zip(a.value.entries, b.value.entries, strict=True)))
            held = or_(and_(a.null, b.null), and_(not_(a.null), not_(b.null), inner))
        else:
            held = and_(same(a, b), _alike(deep_waits(a).any, deep_waits(b).any))
    else:
        held = same(a, b)
    return or_(and_(*wait), and_(not_(wait[0]), not_(wait[1]), held))


def _alike(a: Truth, b: Truth) -> Truth:
    return and_(implies(a, b), implies(b, a))
