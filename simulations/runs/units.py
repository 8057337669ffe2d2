"""The units in which two versions of a policy differ: a parameter, a requirement, a formula, an output, a table, a scale.

Facts and effective dates that differ are told too, but carry no effect of their own: it is the rules that read them which change an answer.
A definition that only one version has (a parameter, formula, table or scale) is told and carries none either: the rule that uses it does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

import yaml
from pydantic import BaseModel

from engine import syntax as s
from engine.plan import DECISIVE, machine_values, rules_of
from engine.policy import Machine, Policy, RequirementDef, TableDef, TransitionDef, ValueDef
from engine.types import Type, plain
from engine.unparse import text

#: ("parameter" | "value" | "table" | "scale" | "requirement" | "fact" | "machine", name)
Key = tuple[str, str]
#: Rows of a changed table that are told on each side.
SHOWN_ROWS = 5


@dataclass(frozen=True, slots=True)
class Change:
    """One unit that differs, with both sides as text; None where a side does not have it."""

    key: Key
    kind: str
    before: str | None
    after: str | None
    effect: bool

    @property
    def unit(self) -> str:
        return f"{self.kind}:{self.key[1]}"

    def as_json(self) -> dict[str, Any]:
        return {"unit": self.unit, "kind": self.kind, "name": self.key[1], "before": self.before, "after": self.after}


def changes(before: Policy, after: Policy) -> list[Change]:
    """Every unit that differs, in the order of the file: what the later version has, then what only the earlier one had."""
    a, b = definitions(before), definitions(after)
    found = []
    for key in sorted({**b, **a}, key=lambda k: PARTS.index(k[0])):
        if content(a.get(key)) == content(b.get(key)):
            continue
        both = key in a and key in b
        effect = key[0] != "fact" and (both or key[0] == "requirement" or _is_output(before, after, key))
        told = _without_common(_shown(before, a, b, key), _shown(after, b, a, key))
        found.append(Change(key, _kind(before, after, key), *told, effect))
    dates = [f"from {p.effective_from}" + (f" until {p.effective_until}" if p.effective_until else "") for p in (before, after)]
    if dates[0] != dates[1]:
        found.append(Change(("effective", "dates"), "effective", dates[0], dates[1], False))
    return found


PARTS = ("parameter", "fact", "value", "table", "scale", "requirement", "machine")
#: The transitions of a machine are one unit.
MACHINE: Key = ("machine", "transitions")


def definitions(policy: Policy) -> dict[Key, Any]:
    """Every definition of a policy by its key."""
    found: dict[Key, Any] = {("parameter", n): p for n, p in policy.parameters.items()}
    found |= {("fact", n): f for n, f in policy.facts.items()}
    found |= {("value", n): v for n, v in policy.values.items()}
    found |= {("table", n): t for n, t in policy.tables.items()}
    found |= {("scale", n): c for n, c in policy.scales.items()}
    found |= {("requirement", r.code): r for r in policy.requirements}
    return found | ({MACHINE: policy.machine} if policy.machine else {})


#: Parts of a definition that no answer rests on.
_WORDS = {"place", "codes", "refs", "reason", "remedy", "source", "zh", "note", "values_zh", "sensitive"}


def content(part: Any) -> Any:
    """What a definition says, as data to compare: without places, words, and the types that its expressions take over from what they name."""
    if part is None or isinstance(part, s.Node):
        return part and shape(part)
    if isinstance(part, Machine):
        return (part.state, part.event, part.actor, part.states, part.events, tuple(map(_arrow, part.transitions)))
    found = []
    for f in fields(part):
        value = getattr(part, f.name)
        if f.name not in _WORDS:
            found.append(shape(value) if isinstance(value, s.Node) else value)
    if isinstance(part, TableDef):
        found = [v for v, f in zip(found, [f for f in fields(part) if f.name not in _WORDS], strict=True) if f.name != "result"]
    return (type(part).__name__, tuple(map(repr, found)))


def _arrow(t: TransitionDef) -> Any:
    return (t.code, t.event, t.states, t.to, t.actors, t.when and shape(t.when), t.review)


def shape(node: s.Node) -> Any:
    """An expression as nested tuples, without types and places; the variables of lists are numbered in the order in which they are met."""
    return _shape(node, {})


def _shape(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, s.Each):
        for name, _ in value.lets:
            names.setdefault(name, f"#{len(names)}")
    if isinstance(value, (s.Aggregate, s.Select, s.Each, s.Variable)):
        bound = value.name if isinstance(value, s.Variable) else value.variable
        names.setdefault(bound, f"#{len(names)}")
    if isinstance(value, s.Node):
        own = (f.name for f in fields(value) if f.name not in ("type", "nullable", "place"))
        inner = (_named(getattr(value, n), names) if n in ("variable", "lets") or isinstance(value, s.Variable) else getattr(value, n) for n in own)
        return (type(value).__name__, *(_shape(v, names) for v in inner))
    if isinstance(value, tuple):
        return tuple(_shape(v, names) for v in value)
    return (type(value).__name__, value)


def _named(value: Any, names: dict[str, str]) -> Any:
    """A bound name, or pairs that begin with one, as its number."""
    if isinstance(value, str):
        return names.get(value, value)
    return tuple((names.get(name, name), node) for name, node in value)


def nodes(part: Any) -> Iterator[s.Node]:
    """The expressions of a definition, with everything inside them."""
    roots: tuple[s.Node | None, ...] = (getattr(part, "node", None),)
    if isinstance(part, RequirementDef):
        roots = (part.when, part.require)
    elif isinstance(part, Machine):
        roots = tuple(t.when for t in part.transitions)
    for root in roots:
        if root is not None:
            yield from s.walk(root)


def reached(before: Policy, after: Policy) -> set[Key]:
    """The values and rules that can come out differently: those that differ, and those that rest on something that does.

    A transition that asks for a review counts as a requirement of its code.
    """
    seeds = {c.key for c in changes(before, after)}
    return seeds | _reached(before, seeds) | _reached(after, seeds)


def _reached(policy: Policy, seeds: set[Key]) -> set[Key]:
    found = set(seeds)
    parts = {k: list(nodes(d)) for k, d in definitions(policy).items() if k[0] in ("value", "machine")}
    parts |= {("value", name): list(s.walk(node)) for name, node in machine_values(policy.machine).items()}
    rules = [r for r in rules_of(policy) if r.effect != "transition"]
    # as the engine matches them: `not-open-in-state` rests on the requirements that deny, a transition that asks for a review on the machine
    parts |= {("requirement", r.code): list(s.walk(r.condition)) for r in rules}
    decisive: set[Key] = {("requirement", r.code) for r in rules if r.effect in DECISIVE} | ({MACHINE} if policy.machine else set())
    grown = True
    while grown:
        more = {key for key, inside in parts.items() if key not in found and any(_rests(node, found, decisive) for node in inside)}
        found |= more
        grown = bool(more)
    return found


#: Nodes that name a definition, with the kind of definition and the field that holds its name.
_NAMES: dict[type, tuple[str, str]] = {
    s.Fact: ("fact", "name"), s.Formula: ("value", "name"), s.Parameter: ("parameter", "name"), s.TableCall: ("table", "table"),
    s.ScaleCall: ("scale", "scale"), s.Violated: ("requirement", "code"),
}  # fmt: skip


def named(node: s.Node) -> Key | None:
    """The definition that an expression names, if it is one that names."""
    found = _NAMES.get(type(node))
    if isinstance(node, s.Applies):
        return MACHINE
    return (found[0], getattr(node, found[1])) if found else None


def _rests(node: s.Node, found: set[Key], decisive: set[Key]) -> bool:
    return bool(found & decisive) if isinstance(node, s.Outcome) else named(node) in found


def _is_output(before: Policy, after: Policy, key: Key) -> bool:
    return key[0] == "value" and any(key[1] in p.values and p.values[key[1]].is_output for p in (before, after))


def _kind(before: Policy, after: Policy, key: Key) -> str:
    if key[0] != "value":
        return key[0]
    return "output" if _is_output(before, after, key) else "formula"


# -- as text -------------------------------------------------------------------------------------------------------------------------


def _shown(policy: Policy, own: dict[Key, Any], other: dict[Key, Any], key: Key) -> str | None:
    part = own.get(key)
    if part is None:
        return None
    kind = key[0]
    if kind == "parameter":
        return "unset" if part.unset else value_text(part.value, part.type)
    if kind == "fact":
        return f"{part.type}{', nullable' if part.nullable else ''}"
    if kind == "value":
        return _value(policy, part)
    if kind == "requirement":
        said = [f"when {text(part.when)}" if part.when is not None else "", f"require {text(part.require)}" if part.require is not None else ""]
        return "; ".join([*filter(None, said), f"effect {part.effect}"])
    if kind == "machine":
        same = {_arrow(t) for t in other[key].transitions} if key in other else set()
        arrows = [t for t in part.transitions if _arrow(t) not in same]
        return "; ".join(f"{t.code}: {t.event} from {', '.join(t.states)} to {t.to or 'the same state'}" for t in arrows)
    if kind == "scale":
        return f"{part.mode}: " + ", ".join(f"from {low}: {rate}" for low, rate in part.brackets)
    return _table(part, other.get(key))


def _value(policy: Policy, value: ValueDef) -> str:
    """A formula or output as an author would write it; of a block, whose lines do not fit into one, the blocks' own lines."""
    if not any(isinstance(n, (s.Each, s.SetOf)) for n in s.walk(value.node)):
        return text(value.node)
    model = {**policy.model.formulas, **policy.model.outputs}[value.name]
    written = model.model_dump(by_alias=True, exclude_unset=True, mode="json") if isinstance(model, BaseModel) else model
    lines = yaml.safe_dump(written.get("value", written) if isinstance(written, dict) else written, allow_unicode=True, sort_keys=False, width=1000)
    return str(lines).strip()


def _table(table: TableDef, other: TableDef | None) -> str:
    """A table in a line: its hit policy, and the rows that the other side does not have."""
    elsewhere = {(r.cells, r.outputs) for r in other.rows} if other else set()
    own = [r for r in table.rows if (r.cells, r.outputs) not in elsewhere]
    rows = [f"row {r.number}: {', '.join([*map(_cell, r.cells)])} → {', '.join(map(str, r.outputs))}" for r in own[:SHOWN_ROWS]]
    more = [f"and {len(own) - SHOWN_ROWS} more rows"] if len(own) > SHOWN_ROWS else []
    return "; ".join([f"hit {table.hit}, {len(table.rows)} rows", *rows, *more])


def _without_common(before: str | None, after: str | None) -> tuple[str | None, str | None]:
    """Two texts of many lines, without the lines that both have."""
    if before is None or after is None or not ("\n" in before and "\n" in after):
        return before, after
    a, b = before.split("\n"), after.split("\n")
    return "\n".join(t for t in a if t not in b), "\n".join(t for t in b if t not in a)


def _cell(cell: Any) -> str:
    if cell.kind in ("any", "none"):
        return str(cell.kind)
    if cell.kind == "values":
        return " | ".join(sorted(map(str, cell.values)))
    low, high = ("" if v is None else str(v) for v in (cell.low, cell.high))
    return f"{'(' if cell.low_open or not low else '['}{low}..{high}{')' if cell.high_open or not high else ']'}"


def value_text(value: Any, t: Type) -> str:
    """The value of a parameter as it is told."""
    if isinstance(value, dict):
        of = getattr(t, "of", t)
        return ", ".join(f"{k}: {value_text(v, of)}" for k, v in value.items())
    shown = value.isoformat() if isinstance(value, date) else plain(value, t)
    if isinstance(shown, list):
        return ", ".join(map(str, shown))
    return str(shown).lower() if isinstance(shown, bool) else str(shown)
