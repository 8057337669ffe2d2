"""The static checker: a rule file becomes a typed policy, or a list of every fault in it."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from engine import syntax as s
from engine.blocks import BlockFault, Blocks
from engine.errors import Fault, Place, RuleFileError, did_you_mean
from engine.literals import LiteralFault, literal, type_of
from engine.model import Block, FactModel, FormulaModel, OutputModel, PassingModel, PolicyModel, Texts
from engine.policy import FactDef, FromPolicy, Machine, ParameterDef, Policy, RequirementDef, ScaleDef, TableDef, TransitionDef, ValueDef
from engine.scope import Named, Scope, not_null_if
from engine.source import KeyPath, Source, read
from engine.tables import check_table
from engine.types import EnumType, NumberType, SetType, Type, decimal

M = TypeVar("M", bound=BaseModel)
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
MACHINE_CODES = ("wrong-actor", "not-open-in-state")


def load_policy(path: Path, name: str | None = None) -> Policy:
    """Read and check one rule file. Raises RuleFileError with every fault found."""
    return check_policy(read(path, name))


def check_policy(source: Source) -> Policy:
    """Check a rule file that was read. Raises RuleFileError with every fault found."""
    checker = Checker(source, shape(source, PolicyModel))
    policy = checker.policy()
    if checker.faults:
        raise RuleFileError(checker.faults)
    return policy


def shape(source: Source, model: type[M]) -> M:
    """Hold a file against its pydantic model; every misfit becomes a fault with its place."""
    try:
        return model.model_validate(source.data)
    except ValidationError as error:
        raise RuleFileError([_shape_fault(source, e) for e in error.errors()]) from None


_TAGS = {"text", "first", "set", "each", "passing", "full", "plain"}


def _shape_fault(source: Source, error: Any) -> Fault:
    path: KeyPath = tuple(p for p in error["loc"] if p != "[key]")
    while path and path not in source.places and path not in source.key_places:
        shorter = tuple(p for p in path if p not in _TAGS)
        path = shorter if shorter != path and (shorter in source.places or len(shorter) < len(path)) else path[:-1]
    kind, last = error["type"], error["loc"][-1] if error["loc"] else ""
    if kind == "extra_forbidden":
        known = ["code", "when", "require", "effect", "reason", "remedy", "source", "value", "type", "values", "nullable", "signed", "note", "zh", "unit"]
        known += list(PolicyModel.model_fields) + ["first", "set", "each", "where", "order", "let", "keep", "record", "rows", "passing", "from"]
        return Fault(source.place(path, key=True), f"unknown key `{last}`", did_you_mean(str(last), known, "docs/authoring.md lists the keys"))
    if kind == "missing":
        return Fault(source.place(path), f"the key `{last}` is missing", "add it; docs/authoring.md shows each part")
    return Fault(source.place(path), error["msg"][0].lower() + error["msg"][1:], None)


class Checker:
    """Types one rule file, part by part; faults are collected, not raised, so that an author sees all of them at once."""

    def __init__(self, source: Source, model: PolicyModel) -> None:
        self.source, self.model = source, model
        self.faults: list[Fault] = []
        self.blocks = Blocks(source.place_inside)
        self.facts: dict[str, FactDef] = {}
        self.parameters: dict[str, ParameterDef] = {}
        self.tables: dict[str, TableDef] = {}
        self.scales: dict[str, ScaleDef] = {}
        self.values: dict[str, ValueDef] = {}
        self.typing: list[str] = []
        self.requirements: tuple[RequirementDef, ...] = ()
        self.machine: Machine | None = None
        self.scope: Scope

    def fault(self, path: KeyPath, message: str, help: str | None = None, key: bool = False) -> None:
        self.faults.append(Fault(self.source.place(path, key=key), message, help))

    def attempt(self, work: Any, *arguments: Any) -> Any:
        """Run one step; a fault in it is noted and gives None."""
        try:
            return work(*arguments)
        except BlockFault as fault:
            self.faults.append(Fault(self.source.place_inside(fault.path, fault.offset), fault.message, fault.help))
        return None

    # -- the whole file ------------------------------------------------------------------------------------------------------------

    def policy(self) -> Policy:
        model = self.model
        for name, fact in model.facts.items():
            self._fact(name, fact)
        for name, parameter in model.parameters.items():
            self._parameter(name)
        for name in model.tables:
            table = check_table(name, model.tables[name], self.source, self.faults)
            if table is not None:
                self.tables[name] = table
        for name, scale in model.scales.items():
            self._scale(name)
        self._names_once()
        self.scope = self._scope()
        for name in (*model.formulas, *model.outputs):
            self.attempt(self._value, name)
        self._origins()
        self.machine = self._machine()
        self.requirements = tuple(r for i in range(len(model.requirements)) if (r := self.attempt(self._requirement, i)) is not None)
        self._codes_once()
        self._passing_outputs()
        self._texts()
        effective = self._effective()
        return Policy(
            id=model.policy, version=model.version, digest=self.source.digest, file=self.source.file, model=model,
            effective_from=effective[0], effective_until=effective[1], facts=self.facts, parameters=self.parameters, values=self.values,
            tables=self.tables, scales=self.scales, requirements=self.requirements, machine=self.machine, outputs=self._output_names(),
            uses=frozenset(f.origin.policy for f in self.facts.values() if f.origin),
        )  # fmt: skip

    def _scope(self) -> Scope:
        machine = self.model.machine
        states: tuple[str, ...] = ()
        if machine and machine.state in self.facts:
            kind = self.facts[machine.state].type
            states = kind.values if isinstance(kind, EnumType) else ()
        return Scope(
            facts={n: Named(f.type, f.nullable) for n, f in self.facts.items()},
            parameters={n: Named(p.type) for n, p in self.parameters.items()},
            tables={n: (_table_inputs(t), Named(t.result)) for n, t in self.tables.items()},
            scales=frozenset(self.scales),
            formula_names=frozenset([*self.model.formulas, *self.model.outputs]),
            formula=self._named,
            codes=frozenset(r.code for r in self.model.requirements),
            transitions=tuple(t.code for t in machine.transitions) if machine else (),
            states=states,
        )

    def _output_names(self) -> tuple[str, ...]:
        own = (("next_state", "open_events") if self.model.machine else ()) + tuple(self.model.outputs)
        return tuple(dict.fromkeys(own))

    # -- facts, parameters, scales -------------------------------------------------------------------------------------------------

    def _fact(self, name: str, fact: FactModel) -> None:
        path: KeyPath = ("facts", name)
        try:
            kind = type_of(fact)
        except LiteralFault as fault:
            self.fault(path, str(fault))
            kind = SetType(None)
        if fact.type == "map":
            self.fault((*path, "type"), "a fact cannot be a map", "a list of record holds pairs")
        self.facts[name] = FactDef(
            name, kind, fact.nullable, self.source.place(path, key=True), fact.zh, fact.note, fact.unit, fact.values_zh, fact.sensitive
        )  # fmt: skip

    def _origins(self) -> None:
        for name, fact in self.model.facts.items():
            if fact.from_ is None:
                continue
            path: KeyPath = ("facts", name, "from", "with")
            bindings = []
            for target, text in fact.from_.with_.items():
                node = self.attempt(self.blocks.expression, text, (*path, target), replace(self.scope, free_values=True))
                if node is not None:
                    bindings.append((target, inlined(node, self.values)))
            if fact.from_.policy == self.model.policy:
                self.fault(("facts", name, "from"), "a policy cannot take a fact from itself", "name another policy")
            origin = FromPolicy(fact.from_.policy, fact.from_.output, tuple(bindings))
            old = self.facts[name]
            self.facts[name] = FactDef(
                old.name, old.type, old.nullable, old.place, old.zh, old.note, old.unit, old.values_zh, old.sensitive, origin
            )  # fmt: skip

    def _parameter(self, name: str) -> None:
        parameter, path = self.model.parameters[name], ("parameters", name)
        place = self.source.place(path, key=True)
        try:
            kind = type_of(parameter)
            value = None
            if parameter.unset == ("value" in parameter.model_fields_set):
                self.fault(path, "a parameter has either a `value` or `unset: true`", None, key=True)
            elif not parameter.unset:
                value = literal(parameter.value, kind)
        except LiteralFault as fault:
            self.fault((*path, "value"), str(fault))
            return
        self.parameters[name] = ParameterDef(name, kind, value, parameter.unset, place, parameter.unit)

    def _scale(self, name: str) -> None:
        scale, brackets = self.model.scales[name], []
        for i, bracket in enumerate(scale.brackets):
            path: KeyPath = ("scales", name, "brackets", i)
            try:
                start = literal(bracket.from_, decimal(None))
                brackets.append((start, literal(bracket.rate, NumberType("ratio", None, None, True))))
            except LiteralFault as fault:
                self.fault(path, str(fault))
                continue
            if len(brackets) > 1 and brackets[-2][0] >= start:
                self.fault(path, "the brackets must rise", "each `from` is above the one before")
        self.scales[name] = ScaleDef(name, scale.mode, tuple(brackets))

    # -- formulas and outputs ------------------------------------------------------------------------------------------------------

    def _named(self, name: str) -> Named:
        output = self.model.outputs.get(name)
        if output is not None and isinstance(output.value, PassingModel):
            return Named(self._output_type(name, output), False)
        value = self.values.get(name) or self._value(name)
        return Named(value.type, value.nullable)

    def _output_type(self, name: str, output: OutputModel) -> Type:
        try:
            return type_of(output)
        except LiteralFault as fault:
            raise BlockFault(("outputs", name), 0, str(fault)) from None

    def _value(self, name: str) -> ValueDef:
        if name in self.values:
            return self.values[name]
        formula, output = self.model.formulas.get(name), self.model.outputs.get(name)
        base: KeyPath = ("outputs", name) if output else ("formulas", name)
        if name in self.typing:
            circle = " → ".join([*self.typing[self.typing.index(name) :], name])
            raise BlockFault(base, 0, f"these values depend on each other in a circle: {circle}", "break the circle")
        self.typing.append(name)
        try:
            full = output or (formula if isinstance(formula, FormulaModel) else None)
            raw, path = (full.value, (*base, "value")) if full else (formula, base)
            expect = self._output_type(name, output) if output else None
            if isinstance(raw, PassingModel):
                if output is None:
                    raise BlockFault(base, 0, "`passing` stands under `outputs`", None)
                node: s.Node = s.SetOf(members=(), type=expect or SetType(None), place=self.source.place(path))
            else:
                node = self.blocks.value(raw, path, self.scope, expect)
        finally:
            self.typing.pop()
        carriers = [c for c in (full, raw) if isinstance(c, (FormulaModel, OutputModel, Block))]
        codes = tuple(code for c in carriers for code in ([c.code] if c.code else []) + c.codes)
        refs = tuple(ref for c in carriers if c.source for ref in c.source.refs)
        place = self.source.place(base, key=True)
        value = ValueDef(name, node, expect or node.type, node.nullable, output is not None, codes, refs, place)
        self.values[name] = value
        return value

    def _passing_outputs(self) -> None:
        for name, output in self.model.outputs.items():
            if isinstance(output.value, PassingModel) and name in self.values:
                node = self.attempt(self._passing, name, output.value)
                if node is not None:
                    old = self.values[name]
                    self.values[name] = ValueDef(name, node, old.type, False, True, old.codes, old.refs, old.place)

    def _passing(self, name: str, passing: PassingModel) -> s.Node:
        """The values of a fact with which no deny requirement fires: the requirements with the fact replaced by each value."""
        path: KeyPath = ("outputs", name, "value", "passing")
        if passing.passing not in self.facts:
            raise BlockFault(path, 0, f"unknown fact `{passing.passing}`", did_you_mean(passing.passing, self.facts))
        fact = self.facts[passing.passing]
        values = getattr(fact.type, "values", None)
        if values is None:
            raise BlockFault(path, 0, "`passing` needs a fact of enum, or set of enum, with listed values")
        rules = [r for r in self.requirements if (r.code in passing.codes if passing.codes is not None else r.effect == "deny")]
        members = []
        for value in values:
            chosen: s.Node = s.Const(value=value, type=EnumType((value,)))
            if isinstance(fact.type, SetType):
                chosen = s.ListOf(items=(chosen,), type=SetType((value,)))
            tests = [s.Not(item=replaced(fired(r), passing.passing, chosen, self.values)) for r in rules]
            members.append((value, s.And(items=tuple(tests), place=self.source.place(path))))
        return s.SetOf(members=tuple(members), type=SetType(tuple(values)), place=self.source.place(path))

    # -- requirements and machine --------------------------------------------------------------------------------------------------

    def _requirement(self, i: int) -> RequirementDef:
        raw, path = self.model.requirements[i], ("requirements", i)
        by_engine = self.model.machine is not None and raw.code in MACHINE_CODES
        when = require = None
        scope = self.scope
        if "when" in raw.model_fields_set:
            when = self.blocks.condition(raw.when, (*path, "when"), scope)
            scope = scope.knowing(not_null_if(when, True))
        if "require" in raw.model_fields_set:
            require = self.blocks.condition(raw.require, (*path, "require"), scope)
        if by_engine and (when or require):
            self.fault(path, f"`{raw.code}` of a machine has no `when` and no `require`", "the engine knows when it fires")
        if raw.effect in ("deny", "review") and (raw.reason is None or raw.remedy is None):
            self.fault(path, f"`{raw.code}` needs `reason` and `remedy`, each in en and zh", "tell the asker what is wrong and what to do")
        if raw.effect == "warn" and raw.reason is None:
            self.fault(path, f"`{raw.code}` needs a `reason` in en and zh", None)
        return RequirementDef(
            raw.code, when, require, raw.effect, raw.on_unset == "fire", raw.reason, raw.remedy, raw.source, self.source.place(path)
        )  # fmt: skip

    def _machine(self) -> Machine | None:
        raw, path = self.model.machine, ("machine",)
        if (raw is not None) != ("machine" in (self.model.form if isinstance(self.model.form, list) else [self.model.form])):
            self.fault(("form",), "the form `machine` and the part `machine` go together")
        if raw is None:
            return None
        listed: dict[str, tuple[str, ...]] = {}
        for part in ("state", "event", "actor"):
            name = getattr(raw, part)
            kind = self.facts[name].type if name in self.facts else None
            if name is not None and not isinstance(kind, EnumType):
                self.fault((*path, part), f"`{name}` is no enum fact", did_you_mean(name, self.facts))
            listed[part] = kind.values if isinstance(kind, EnumType) else ()
        for code in MACHINE_CODES:
            if code not in {r.code for r in self.model.requirements}:
                self.fault(("requirements",), f"a machine needs the requirement `{code}`", "with reason, remedy and source, without `when` and `require`")
        arrows = [self.attempt(self._transition, i, listed) for i in range(len(raw.transitions))]
        return Machine(raw.state, raw.event, raw.actor, listed["state"], listed["event"], tuple(a for a in arrows if a))

    def _transition(self, i: int, listed: dict[str, tuple[str, ...]]) -> TransitionDef:
        assert self.model.machine is not None
        raw, path = self.model.machine.transitions[i], ("machine", "transitions", i)
        states = (raw.from_,) if isinstance(raw.from_, str) else tuple(raw.from_)
        checks = (("event", "event", (raw.event,)), ("from", "state", states), ("to", "state", (raw.to,)), ("actor", "actor", tuple(raw.actor or ())))
        for key, part, values in checks:
            for value in values:
                if value is not None and listed[part] and value not in listed[part]:
                    self.fault((*path, key), f"`{value}` is not among the values of the {part}", did_you_mean(value, listed[part]))
        when = None if raw.when is None else self.blocks.condition(raw.when, (*path, "when"), self.scope)
        if raw.effect == "review" and (raw.reason is None or raw.remedy is None):
            self.fault(path, f"`{raw.code}` needs `reason` and `remedy`: it asks for a review")
        actors = None if raw.actor is None else tuple(raw.actor)
        return TransitionDef(
            raw.code, raw.event, states, raw.to, actors, when, raw.effect == "review", raw.reason, raw.remedy, raw.source, self.source.place(path)
        )  # fmt: skip

    # -- the file as a whole -------------------------------------------------------------------------------------------------------

    def _names_once(self) -> None:
        for name in self.model.formulas:
            if name in self.facts or name in self.model.outputs:
                self.fault(("formulas", name), f"`{name}` is also a {'fact' if name in self.facts else 'output'}", "rename one of them", key=True)
        for name in self.model.outputs:
            if name in self.facts:
                self.fault(("outputs", name), f"`{name}` is also a fact", "rename one of them", key=True)

    def _codes_once(self) -> None:
        seen: dict[str, Place] = {}
        transitions = self.model.machine.transitions if self.model.machine else []
        codes = [(r.code, ("requirements", i, "code")) for i, r in enumerate(self.model.requirements)]
        codes += [(t.code, ("machine", "transitions", i, "code")) for i, t in enumerate(transitions)]
        for code, path in codes:
            if code in seen:
                self.fault(path, f"the code `{code}` stands twice", f"the first one is on line {seen[code].line}")
            seen.setdefault(code, self.source.place(path))

    def _texts(self) -> None:
        """Both languages hold the same placeholders, and each names something that there is."""
        items = [(("requirements", i), r.reason, r.remedy) for i, r in enumerate(self.model.requirements)]
        if self.model.machine:
            items += [(("machine", "transitions", i), t.reason, t.remedy) for i, t in enumerate(self.model.machine.transitions)]
        for path, reason, remedy in items:
            for key, text in (("reason", reason), ("remedy", remedy)):
                if text is not None:
                    self._text((*path, key), text)

    def _text(self, path: KeyPath, text: Texts) -> None:
        en, zh = PLACEHOLDER.findall(text.en), PLACEHOLDER.findall(text.zh)
        if sorted(set(en)) != sorted(set(zh)):
            odd = sorted(set(en) ^ set(zh))
            self.fault(path, "the languages have different placeholders: " + ", ".join(f"{{{o}}}" for o in odd), "use the same ones in en and zh")
        known = [*self.facts, *self.values, *(f"parameters.{p}" for p in self.parameters)]
        for name in sorted(set(en + zh)):
            if name not in known:
                self.fault(path, f"unknown placeholder `{{{name}}}`", did_you_mean(name, known, "facts, formulas, outputs and parameters.… can stand there"))

    def _effective(self) -> tuple[date, date | None]:
        found: list[date | None] = []
        for key, text in (("from", self.model.effective.from_), ("until", self.model.effective.until)):
            try:
                found.append(None if text is None else date.fromisoformat(text))
            except ValueError:
                self.fault(("effective", key), f"`{text}` is no date", "write it as 2025-01-16")
                found.append(date.max)
        start, end = found[0] or date.min, found[1]
        if end is not None and end <= start:
            self.fault(("effective", "until"), "the period ends before it begins", "`until` is the first day no longer in force")
        return start, end


def warnings_of(policy: Policy) -> list[Fault]:
    """Facts and parameters that no rule reads; unset parameters that rules wait for; states without an arrow."""
    read = read_by(policy)
    said = " ".join(t for r in policy.requirements for p in (r.reason, r.remedy) if p for t in (p.en, p.zh))
    found = []

    def warn(place: Place, message: str, help: str) -> None:
        found.append(Fault(place, message, help, "warning"))

    for name, fact in policy.facts.items():
        if ("fact", name) not in read and f"{{{name}}}" not in said and not fact.note:
            warn(fact.place, f"the fact `{name}` is read by no rule", "use it, take it out, or say in its `note` why it is asked for")
    for name, parameter in policy.parameters.items():
        if ("parameter", name) in read or f"{{parameters.{name}}}" in said:
            if parameter.unset:
                warn(parameter.place, f"the parameter `{name}` is unset: what needs it stays undetermined", "its owner sets it in a version")
        elif not parameter.unset and not policy.model.parameters[name].note:
            warn(parameter.place, f"the parameter `{name}` is read by no rule", "use it, or take it out")
    machine = policy.machine
    for state in machine.states[1:] if machine else ():
        assert machine is not None
        if not any(t.to == state or state in t.states for t in machine.transitions):
            warn(policy.facts[machine.state].place, f"no transition leads to or from the state `{state}`", "every event is refused there")
    return found


def fired(r: RequirementDef) -> s.Node:
    """The condition under which a requirement fires."""
    if r.when is None and r.require is None:
        return s.Const(value=True)
    if r.require is None:
        assert r.when is not None
        return r.when
    broken = s.Not(item=r.require, place=r.require.place)
    return broken if r.when is None else s.And(items=(r.when, broken), place=r.when.place)


def replaced(node: s.Node, fact: str, value: s.Node, values: dict[str, ValueDef]) -> s.Node:
    """The node with one fact replaced by a value; formulas that rest on the fact are written out."""
    if isinstance(node, s.Fact) and node.name == fact:
        return value
    if isinstance(node, s.Formula) and node.name in values and rests_on(values[node.name].node, fact, values):
        return replaced(values[node.name].node, fact, value, values)

    def inside(part: Any) -> Any:
        if isinstance(part, s.Node):
            return replaced(part, fact, value, values)
        return tuple(inside(p) for p in part) if isinstance(part, tuple) else part

    changed = {f.name: inside(getattr(node, f.name)) for f in fields(node) if f.name not in ("type", "place", "nullable")}
    return replace(node, **changed)


def inlined(node: s.Node, values: dict[str, ValueDef]) -> s.Node:
    """The node with every formula written out."""

    def inside(part: Any) -> Any:
        if isinstance(part, s.Formula) and part.name in values:
            return inlined(values[part.name].node, values)
        if isinstance(part, s.Node):
            return inlined(part, values)
        return tuple(inside(p) for p in part) if isinstance(part, tuple) else part

    if isinstance(node, s.Formula):
        return inside(node)  # type: ignore[no-any-return]
    return replace(node, **{f.name: inside(getattr(node, f.name)) for f in fields(node) if f.name not in ("type", "place", "nullable")})


def rests_on(node: s.Node, fact: str, values: dict[str, ValueDef]) -> bool:
    """Does the node read the fact, itself or through formulas?"""
    return any(
        (isinstance(n, s.Fact) and n.name == fact) or (isinstance(n, s.Formula) and n.name in values and rests_on(values[n.name].node, fact, values))
        for n in s.walk(node)
    )


def read_by(policy: Policy) -> set[tuple[str, str]]:
    """("fact" | "parameter", name) of all that any expression of the policy reads."""
    roots = [v.node for v in policy.values.values()]
    roots += [n for r in policy.requirements for n in (r.when, r.require) if n is not None]
    roots += [n for f in policy.facts.values() if f.origin for _, n in f.origin.bindings]
    found: set[tuple[str, str]] = set()
    if policy.machine:
        roots += [t.when for t in policy.machine.transitions if t.when is not None]
        found |= {("fact", n) for n in (policy.machine.state, policy.machine.event, policy.machine.actor) if n}
    for root in roots:
        for node in s.walk(root):
            if isinstance(node, s.Fact):
                found.add(("fact", node.name))
            elif isinstance(node, s.Parameter):
                found.add(("parameter", node.name))
    return found


def _table_inputs(table: TableDef) -> dict[str, Named]:
    return {name: Named(kind, True) for name, kind in table.inputs}


