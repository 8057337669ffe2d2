"""Mutants of a version: the checked policy with one thing changed, as an author could have got it wrong.

A mutant that equals the original, or that the checks of rule files would refuse, is not made.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from engine import syntax as s
from engine.conditions import WrittenOut, fired
from engine.errors import Place
from engine.model import PassingModel
from engine.policy import Cell, FactDef, Policy, RequirementDef, ScaleDef, TableDef, TableRow, TransitionDef, ValueDef
from engine.scope import not_null_if
from engine.source import KeyPath, Source
from engine.types import EnumType, ListType, SetType, Type
from proofs.narrowing import Nullable
from proofs.steps import places_of, steps, value_text
from proofs.variants import Variant, condition_variants, shown, variants

#: ("requirement" | "value" | "transition" | "table" | "scale" | "parameter" | "fact", name): the definition that was changed.
Part = tuple[str, str]
#: The effects that may stand for each other; a stronger one needs a remedy.
_EFFECTS = ("deny", "review", "warn", "undetermined")
_ORDERED = ("first", "collect")


@dataclass(frozen=True, slots=True)
class Mutant:
    """A policy with one change. `kind` groups changes; `text` says in English what stands for what."""

    policy: Policy
    part: Part
    kind: str
    place: Place
    text: str

    def __str__(self) -> str:
        return f"line {self.place.line}: {self.text}"


def mutants(policy: Policy, source: Source | None = None, only: str | None = None) -> list[Mutant]:
    """Every mutant of a version, by the parts of the file. `source` gives the places of cells and brackets, without it the table's own; `only`: one part."""
    maker = _Maker(policy, source)
    makers = {
        "parameter": maker.parameters, "fact": maker.facts, "table": maker.tables, "scale": maker.scales,
        "value": maker.values, "requirement": maker.requirements, "transition": maker.transitions,
    }  # fmt: skip
    return [m for part, make in makers.items() if only in (None, part) for m in make()]


class _Maker:
    def __init__(self, policy: Policy, source: Source | None) -> None:
        self.policy, self.source = policy, source
        self.nullable = Nullable(policy)
        self.passing = {n: o.value for n, o in policy.model.outputs.items() if isinstance(o.value, PassingModel)}

    def at(self, path: KeyPath, otherwise: Place) -> Place:
        return self.source.place(path) if self.source is not None else otherwise

    # -- parameters, facts of other policies ---------------------------------------------------------------------------------------

    def parameters(self) -> Iterator[Mutant]:
        for name, parameter in self.policy.parameters.items():
            if parameter.unset or parameter.value is None:
                continue
            for value in steps(parameter.value, parameter.type, _items(parameter.type)):
                changed = replace(self.policy, parameters={**self.policy.parameters, name: replace(parameter, value=value)})
                text = f"`parameters.{name}` {value_text(value)} for {value_text(parameter.value)}"
                yield Mutant(changed, ("parameter", name), "parameter", self.at(("parameters", name, "value"), parameter.place), text)

    def facts(self) -> Iterator[Mutant]:
        for name, fact in self.policy.facts.items():
            origin = fact.origin
            for i, (target, node) in enumerate(origin.bindings if origin is not None else ()):
                assert origin is not None
                for found in variants(node):
                    bindings = (*origin.bindings[:i], (target, found.node), *origin.bindings[i + 1 :])
                    changed: FactDef = replace(fact, origin=replace(origin, bindings=bindings))
                    yield self._mutant(replace(self.policy, facts={**self.policy.facts, name: changed}), ("fact", name), found, fact.place)

    # -- tables and scales ---------------------------------------------------------------------------------------------------------

    def tables(self) -> Iterator[Mutant]:
        for name, table in self.policy.tables.items():
            for changed, kind, path, text in _table_changes(table):
                policy = replace(self.policy, tables={**self.policy.tables, name: changed})
                yield Mutant(policy, ("table", name), kind, self.at(("tables", name, *path), table.place), f"table `{name}` {text}")

    def scales(self) -> Iterator[Mutant]:
        for name, scale in self.policy.scales.items():
            for changed, path, text in _scale_changes(scale):
                policy = replace(self.policy, scales={**self.policy.scales, name: changed})
                place = self.at(("scales", name, *path), Place(self.policy.file, 1, 1))
                yield Mutant(policy, ("scale", name), "scale", place, f"scale `{name}` {text}")

    # -- values, requirements, transitions -----------------------------------------------------------------------------------------

    def values(self) -> Iterator[Mutant]:
        for name, value in self.policy.values.items():
            if name in self.passing:
                continue
            known = set(self.nullable.untested(value.node))
            for found in variants(value.node, value.type if value.is_output else None):
                if found.node != value.node and set(self.nullable.untested(found.node)) <= known:
                    changed: ValueDef = replace(value, node=found.node)
                    policy = self._again_passing(replace(self.policy, values={**self.policy.values, name: changed}))
                    yield self._mutant(policy, ("value", name), found, value.place)

    def requirements(self) -> Iterator[Mutant]:
        for i, r in enumerate(self.policy.requirements):
            known = self._untested(r)
            for changed, kind, place, text in _requirement_changes(r):
                if changed != r and self._untested(changed) <= known:
                    everything = (*self.policy.requirements[:i], changed, *self.policy.requirements[i + 1 :])
                    policy = self._again_passing(replace(self.policy, requirements=everything))
                    yield Mutant(policy, ("requirement", r.code), kind, place if place.line else r.place, f"`{r.code}`: {text}")

    def _untested(self, r: RequirementDef) -> set[Any]:
        known = frozenset() if r.when is None else not_null_if(r.when, True)
        return {*self.nullable.untested(r.when), *self.nullable.untested(r.require, known)}

    def transitions(self) -> Iterator[Mutant]:
        machine = self.policy.machine
        for i, t in enumerate(machine.transitions if machine is not None else ()):
            assert machine is not None
            known = set(self.nullable.untested(t.when))
            for new, kind, place, text in self._transition_changes(i, t, machine.transitions, machine.states):
                if all(set(self.nullable.untested(n.when)) <= known for n in new if n.code == t.code):
                    policy = replace(self.policy, machine=replace(machine, transitions=new))
                    yield Mutant(policy, ("transition", t.code), kind, place if place.line else t.place, f"`{t.code}`: {text}")

    def _transition_changes(
        self, i: int, t: TransitionDef, all_: tuple[TransitionDef, ...], states: tuple[str, ...]
    ) -> Iterator[tuple[tuple[TransitionDef, ...], str, Place, str]]:
        def put(*new: TransitionDef, over: int = 1) -> tuple[TransitionDef, ...]:
            return (*all_[:i], *new, *all_[i + over :])

        yield put(), "transition", t.place, "the transition removed"
        for following in all_[i + 1 : i + 2]:
            if following.event == t.event and set(following.states) & set(t.states) and (t.when, following.when) != (None, None):
                yield put(following, t, over=2), "transition", t.place, f"after `{following.code}`"
        target = next(state for state in (*states[states.index(t.to) + 1 :], *states) if state != t.to) if t.to is not None else states[0]
        yield put(replace(t, to=target)), "transition", t.place, f"leads to `{target}` for `{t.to or 'the same state'}`"
        for state in t.states if len(t.states) > 1 else ():
            yield put(replace(t, states=tuple(other for other in t.states if other != state))), "transition", t.place, f"not from the state `{state}`"
        machine = self.policy.machine
        assert machine is not None
        if machine.actor is not None and t.actors is not None:
            for actor in t.actors if len(t.actors) > 1 else ():
                yield put(replace(t, actors=tuple(a for a in t.actors if a != actor))), "transition", t.place, f"not for the role `{actor}`"
            roles = getattr(self.policy.facts[machine.actor].type, "values", ())
            for role in [r for r in roles if r not in t.actors][:1]:
                yield put(replace(t, actors=(*t.actors, role))), "transition", t.place, f"also for the role `{role}`"
        if t.review:
            yield put(replace(t, review=False)), "effect", t.place, "no review"
        elif t.reason is not None and t.remedy is not None:
            yield put(replace(t, review=True)), "effect", t.place, "only after a review"
        if t.when is not None:
            yield put(replace(t, when=None)), "guard", t.when.place, f"`when: {shown(t.when)}` dropped"
            for found in condition_variants(t.when):
                yield put(replace(t, when=found.node)), found.kind, found.place, found.text

    # -- put together -------------------------------------------------------------------------------------------------------------------

    def _mutant(self, policy: Policy, part: Part, found: Variant, otherwise: Place) -> Mutant:
        return Mutant(policy, part, found.kind, found.place if found.place.line else otherwise, f"`{part[1]}`: {found.text}")

    def _again_passing(self, policy: Policy) -> Policy:
        """Outputs that try the values of a fact rest on the requirements as they are written."""
        if not self.passing:
            return policy
        values = dict(policy.values)
        for name, passing in self.passing.items():
            fact = policy.facts[passing.passing]
            rules = [r for r in policy.requirements if (r.code in passing.codes if passing.codes is not None else r.effect == "deny")]
            members = tuple((v, _passes(policy, fact, v, rules)) for v in getattr(fact.type, "values", ()))
            values[name] = replace(values[name], node=replace(values[name].node, members=members))  # type: ignore[call-arg]
        return replace(policy, values=values)


def _passes(policy: Policy, fact: FactDef, value: str, rules: list[RequirementDef]) -> s.Node:
    chosen: s.Node = s.Const(value=value, type=EnumType((value,)))
    if isinstance(fact.type, SetType):
        chosen = s.ListOf(items=(chosen,), type=SetType((value,)))
    written = WrittenOut(policy.values, fact.name, chosen)
    return s.And(items=tuple(s.Not(item=written.node(fired(r))) for r in rules))


def _items(t: Type) -> Type:
    return t.item if isinstance(t, ListType) else t


def _requirement_changes(r: RequirementDef) -> Iterator[tuple[RequirementDef, str, Place, str]]:
    for effect in _EFFECTS:
        told = r.reason is not None and (r.remedy is not None or effect == "warn")
        if effect != r.effect and (told or effect == "undetermined"):
            yield replace(r, effect=effect), "effect", r.place, f"effect {effect} for {r.effect}"
    if r.when is not None:
        yield replace(r, when=None), "guard", r.when.place, f"`when: {shown(r.when)}` dropped"
    if r.fires_on_unset:
        yield replace(r, fires_on_unset=False), "effect", r.place, "does not fire while a parameter is unset"
    for name in ("when", "require"):
        node = getattr(r, name)
        for found in condition_variants(node) if node is not None else ():
            part: dict[str, Any] = {name: found.node}
            yield replace(r, **part), found.kind, found.place, found.text


def _table_changes(table: TableDef) -> Iterator[tuple[TableDef, str, KeyPath, str]]:
    """The table with one change, its kind, where in the table it is, and in words."""
    rows = table.rows

    def with_rows(new: tuple[TableRow, ...]) -> TableDef:
        return replace(table, rows=new)

    for i, row in enumerate(rows):
        if len(rows) > 1:
            yield with_rows((*rows[:i], *rows[i + 1 :])), "row", ("rows", i), f"row {row.number} removed"
        if table.hit in _ORDERED and i + 1 < len(rows):
            yield with_rows((*rows[:i], rows[i + 1], row, *rows[i + 2 :])), "row", ("rows", i), f"row {row.number} after row {rows[i + 1].number}"
        for c, (column, kind) in enumerate(table.inputs):
            for cell, text in _cell_changes(row.cells[c], kind):
                new = replace(row, cells=(*row.cells[:c], cell, *row.cells[c + 1 :]))
                yield with_rows((*rows[:i], new, *rows[i + 1 :])), "cell", ("rows", i, column), f"row {row.number}, `{column}`: {text}"
        if table.hit == "count":
            continue
        for c, (column, kind) in enumerate(table.outputs):
            for value in steps(row.outputs[c], kind, kind) if row.outputs[c] is not None else ():
                new = replace(row, outputs=(*row.outputs[:c], value, *row.outputs[c + 1 :]))
                text = f"row {row.number}, `{column}`: {value_text(value)} for {value_text(row.outputs[c])}"
                yield with_rows((*rows[:i], new, *rows[i + 1 :])), "row", ("rows", i, column), text
    for c, (column, kind) in enumerate(table.outputs if table.default is not None else ()):
        assert table.default is not None
        for value in steps(table.default[c], kind, kind) if table.default[c] is not None else ():
            changed = replace(table, default=(*table.default[:c], value, *table.default[c + 1 :]))
            yield changed, "row", ("default", column), f"default `{column}`: {value_text(value)} for {value_text(table.default[c])}"


def _cell_changes(cell: Cell, kind: Type) -> Iterator[tuple[Cell, str]]:
    if cell.kind != "any":
        yield Cell("any"), "any for its condition"
    if cell.kind == "values":
        for value in sorted(cell.values, key=str) if len(cell.values) > 1 else ():
            yield replace(cell, values=cell.values - {value}), f"without {value_text(value)}"
        if len(cell.values) == 1 and None not in cell.values:
            (value,) = cell.values
            for other in steps(value, kind, kind):
                yield replace(cell, values=frozenset([other])), f"{value_text(other)} for {value_text(value)}"
    for name, side in (("low", "from"), ("high", "to")) if cell.kind == "range" else ():
        bound = getattr(cell, name)
        if bound is None:
            continue
        opened = getattr(cell, f"{name}_open")
        turned: dict[str, Any] = {f"{name}_open": not opened}
        yield replace(cell, **turned), f"{side} {value_text(bound)} {'included' if opened else 'excluded'}"
        for other in steps(bound, kind, kind):
            moved = replace(cell, **{name: other})
            if moved.low is None or moved.high is None or moved.low <= moved.high:
                yield moved, f"{side} {value_text(other)} for {value_text(bound)}"


def _scale_changes(scale: ScaleDef) -> Iterator[tuple[ScaleDef, KeyPath, str]]:
    brackets = scale.brackets
    other = "whole" if scale.mode == "marginal" else "marginal"
    if len(brackets) > 1:
        yield replace(scale, mode=other), ("mode",), f"mode {other} for {scale.mode}"
    for i, (start, rate) in enumerate(brackets):
        for step in (1, -1):
            moved = Decimal(start) + step * Decimal(1).scaleb(-max(places_of(start), 2))
            changed = (*brackets[:i], (moved, rate), *brackets[i + 1 :])
            if all(a[0] < b[0] for a, b in itertools.pairwise(changed)):
                yield replace(scale, brackets=changed), ("brackets", i, "from"), f"from {value_text(moved)} for {value_text(start)}"
            rated = Decimal(rate) + step * Decimal(1).scaleb(-places_of(rate))
            changed = (*brackets[:i], (start, rated), *brackets[i + 1 :])
            yield replace(scale, brackets=changed), ("brackets", i, "rate"), f"rate {value_text(rated)} for {value_text(rate)}"
        if len(brackets) > 1:
            yield replace(scale, brackets=(*brackets[:i], *brackets[i + 1 :])), ("brackets", i), f"the bracket from {value_text(start)} removed"
