"""The static checker: a rule file becomes a typed policy, or a list of every fault in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from engine import syntax as s
from engine.blocks import BlockFault, Blocks, Told
from engine.conditions import TooLarge, WrittenOut, fired, read_by
from engine.errors import Fault, Place, RuleFileError, did_you_mean
from engine.literals import LiteralFault, literal, type_of
from engine.model import Block, FactModel, FormulaModel, OutputModel, PassingModel, PolicyModel
from engine.naming import name_faults, text_faults
from engine.ordering import circle_text, in_order
from engine.plan import check_order
from engine.policy import FactDef, FromPolicy, Machine, ParameterDef, Policy, RequirementDef, ScaleDef, TableDef, ValueDef
from engine.scope import Named, Scope, not_null_if, words
from engine.shape import shape
from engine.source import KeyPath, Source, read
from engine.tables import check_table
from engine.transitions import MACHINE_CODES, machine_of
from engine.types import EnumType, NumberType, SetType, Type, decimal

MAX_TYPING = 20


def load_policy(path: Path, name: str | None = None) -> Policy:
    """Read and check one rule file. Raises RuleFileError with every fault found."""
    return check_policy(read(path, name))


def check_policy(source: Source) -> Policy:
    """Check a rule file that was read. Raises RuleFileError with every fault found."""
    try:
        checker = Checker(source, shape(source, PolicyModel))
        policy = checker.policy()
        if checker.faults:
            raise RuleFileError(checker.faults)
        check_order(policy)
    except RecursionError:
        fault = Fault(Place(source.file, 1, 1), "the rules are nested too deep", "split them into formulas, and long chains into tables")
        raise RuleFileError([fault]) from None
    return policy


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
        self.faulty: set[str] = set()
        self.broken: set[str] = set()
        self.circle: list[str] = []
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
            place = self.source.place(fault.path, key=True) if fault.key else self.source.place_inside(fault.path, fault.offset)
            self.faults.append(Fault(place, fault.message, fault.help))
        except Told:
            pass
        return None

    # -- the whole file ------------------------------------------------------------------------------------------------------------

    def policy(self) -> Policy:
        model = self.model
        for name, fact in model.facts.items():
            self._fact(name, fact)
        for name in model.parameters:
            self._parameter(name)
        for name in model.tables:
            table = check_table(name, model.tables[name], self.source, self.faults)
            if table is not None:
                self.tables[name] = table
            else:
                self.broken.add(f"tables.{name}")
        for name in model.scales:
            self._scale(name)
        self.faults += name_faults(model, self.source)
        self.scope = self._scope()
        for name in self._values_in_order():
            self.attempt(self._value, name)
        self.values = {name: self.values[name] for name in (*model.formulas, *model.outputs) if name in self.values}
        self._origins()
        self.machine = machine_of(self)
        self.requirements = tuple(r for i in range(len(model.requirements)) if (r := self.attempt(self._requirement, i)) is not None)
        self._passing_outputs()
        self.faults += text_faults(model, [*model.facts, *model.formulas, *model.outputs, *(f"parameters.{p}" for p in model.parameters)], self.source)
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
            broken=frozenset(self.broken),
            patterns={n: p.value for n, p in self.parameters.items() if isinstance(p.value, str)},
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
            self.fault((*path, *fault.at), str(fault), fault.help)
            self.broken.add(name)
            kind = SetType(None)
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
                    bindings.append((target, self.attempt(self._written_out, node, (*path, target)) or node))
            if fact.from_.policy == self.model.policy:
                self.fault(("facts", name, "from"), "a policy cannot take a fact from itself", "name another policy")
            origin = FromPolicy(fact.from_.policy, fact.from_.output, tuple(bindings))
            old = self.facts[name]
            self.facts[name] = FactDef(
                old.name, old.type, old.nullable, old.place, old.zh, old.note, old.unit, old.values_zh, old.sensitive, origin
            )  # fmt: skip

    def _written_out(self, node: s.Node, path: KeyPath) -> s.Node:
        try:
            return WrittenOut(self.values).node(node)
        except TooLarge:
            raise BlockFault(path, 0, "too much rests on the formulas named here", "let fewer formulas use each other") from None

    def _parameter(self, name: str) -> None:
        parameter, path = self.model.parameters[name], ("parameters", name)
        place = self.source.place(path, key=True)
        try:
            kind = type_of(parameter)
        except LiteralFault as fault:
            self.fault((*path, *fault.at), str(fault), fault.help)
            self.broken.add(f"parameters.{name}")
            return
        value = None
        if parameter.unset == ("value" in parameter.model_fields_set):
            self.fault(path, "a parameter has either a `value` or `unset: true`", None, key=True)
        elif not parameter.unset:
            try:
                value = literal(parameter.value, kind)
            except LiteralFault as fault:
                self.fault((*path, "value"), str(fault), fault.help)
        self.parameters[name] = ParameterDef(name, kind, value, parameter.unset, place, parameter.unit)

    def _scale(self, name: str) -> None:
        scale, brackets = self.model.scales[name], []
        for i, bracket in enumerate(scale.brackets):
            path: KeyPath = ("scales", name, "brackets", i)
            key = "from"
            try:
                start = literal(bracket.from_, decimal(None))
                key = "rate"
                brackets.append((start, literal(bracket.rate, NumberType("ratio", None, None, True))))
            except LiteralFault as fault:
                self.fault((*path, key), str(fault), fault.help)
                continue
            if len(brackets) > 1 and brackets[-2][0] >= start:
                self.fault(path, "the brackets must rise", "each `from` is above the one before")
        self.scales[name] = ScaleDef(name, scale.mode, tuple(brackets))

    # -- formulas and outputs ------------------------------------------------------------------------------------------------------

    def _values_in_order(self) -> list[str]:
        """Formulas and outputs, each after those whose names stand in its text, so that a long chain of them needs no deep recursion."""
        names = [*self.model.formulas, *self.model.outputs]
        known = set(names)
        needs = {n: [w for w in _words(self.source.data["outputs" if n in self.model.outputs else "formulas"][n]) if w in known and w != n] for n in names}
        order, circle = in_order(needs)
        self.circle = circle[:-1] if circle else []
        return order

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
            raise BlockFault(("outputs", name, *fault.at), 0, str(fault), fault.help) from None

    def _value(self, name: str) -> ValueDef:
        if name in self.values:
            return self.values[name]
        formula, output = self.model.formulas.get(name), self.model.outputs.get(name)
        base: KeyPath = ("outputs", name) if output else ("formulas", name)
        if name in self.faulty:
            raise Told
        if name in self.typing or len(self.typing) > MAX_TYPING:
            # the names in the texts gave the order: only a circle leads that deep
            circle = self.typing[self.typing.index(name) :] if name in self.typing else (self.circle or self.typing)
            first = min(circle, key=[*self.model.formulas, *self.model.outputs].index)
            circle = [*circle[circle.index(first) :], *circle[: circle.index(first)], first]
            base = ("outputs" if first in self.model.outputs else "formulas", first)
            raise BlockFault(base, 0, f"these values depend on each other in a circle: {circle_text(circle)}", "break the circle")
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
                if output is not None and node.nullable and not output.nullable:
                    raise BlockFault(path, 0, f"`{name}` may be null here", "declare the output with `nullable: true`, or give a value with `coalesce(x, …)`")
        except (BlockFault, Told):
            self.faulty.add(name)
            raise
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
        codes = [r.code for r in self.model.requirements]
        for i, code in enumerate(passing.codes or ()):
            if code not in codes:
                raise BlockFault((*path[:-1], "codes", i), 0, f"unknown code `{code}`", did_you_mean(code, codes, "it names a requirement of this file"))
        rules = [r for r in self.requirements if (r.code in passing.codes if passing.codes is not None else r.effect == "deny")]
        members = []
        for value in values:
            chosen: s.Node = s.Const(value=value, type=EnumType((value,)))
            if isinstance(fact.type, SetType):
                chosen = s.ListOf(items=(chosen,), type=SetType((value,)))
            try:
                written = WrittenOut(self.values, passing.passing, chosen)
                tests = [s.Not(item=written.node(fired(r))) for r in rules]
            except TooLarge:
                raise BlockFault(path, 0, f"too much rests on `{passing.passing}` to try each of its values", "let fewer formulas rest on it") from None
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

    # -- the file as a whole -------------------------------------------------------------------------------------------------------

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


def _table_inputs(table: TableDef) -> dict[str, Named]:
    return {name: Named(kind, True) for name, kind in table.inputs}


def _words(raw: Any) -> list[str]:
    """The names in the texts of a formula, dotted ones also by their beginnings."""
    if isinstance(raw, dict):
        return [word for value in raw.values() for word in _words(value)]
    if isinstance(raw, list):
        return [word for value in raw for word in _words(value)]
    return words(raw) if isinstance(raw, str) else []
