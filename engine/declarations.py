"""Typing the declarations of a rule file: facts and where they come from, parameters, tables, scales; and the names that expressions may use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from engine import syntax as s
from engine.blocks import BlockFault
from engine.checking import Checking
from engine.conditions import TooLarge, WrittenOut
from engine.literals import LiteralFault, literal, type_of
from engine.policy import FactDef, FromPolicy, ParameterDef, ScaleDef
from engine.scope import Named, Scope
from engine.source import KeyPath
from engine.tables import check_table
from engine.types import EnumType, NumberType, SetType, decimal


def declare(checking: Checking, formula: Callable[[str], Named]) -> None:
    """Type all that the expressions of the file may name, and set its scope. `formula` gives the type of a formula or output."""
    model = checking.model
    for name in model.facts:
        _fact(checking, name)
    for name in model.parameters:
        _parameter(checking, name)
    for name in model.tables:
        table = check_table(name, model.tables[name], checking.source, checking.faults)
        if table is not None:
            checking.tables[name] = table
        else:
            checking.broken.add(f"tables.{name}")
    for name in model.scales:
        _scale(checking, name)
    checking.scope = _scope(checking, formula)


def _scope(checking: Checking, formula: Callable[[str], Named]) -> Scope:
    model, machine = checking.model, checking.model.machine
    states: tuple[str, ...] = ()
    if machine and machine.state in checking.facts:
        kind = checking.facts[machine.state].type
        states = kind.values if isinstance(kind, EnumType) else ()
    return Scope(
        facts={n: Named(f.type, f.nullable) for n, f in checking.facts.items()},
        parameters={n: Named(p.type) for n, p in checking.parameters.items()},
        tables={n: ({column: Named(kind, True) for column, kind in t.inputs}, Named(t.result)) for n, t in checking.tables.items()},
        scales=frozenset(checking.scales),
        formula_names=frozenset([*model.formulas, *model.outputs]),
        formula=formula,
        codes=frozenset(r.code for r in model.requirements),
        transitions=tuple(t.code for t in machine.transitions) if machine else (),
        states=states,
        broken=frozenset(checking.broken),
        patterns={n: p.value for n, p in checking.parameters.items() if isinstance(p.value, str)},
    )


def _fact(checking: Checking, name: str) -> None:
    fact, path = checking.model.facts[name], ("facts", name)
    try:
        kind = type_of(fact)
    except LiteralFault as fault:
        checking.fault((*path, *fault.at), str(fault), fault.help)
        checking.broken.add(name)
        kind = SetType(None)
    place = checking.source.place(path, key=True)
    checking.facts[name] = FactDef(name, kind, fact.nullable, place, fact.zh, fact.note, fact.unit, fact.values_zh, fact.sensitive)


def origins(checking: Checking) -> None:
    """Type the bindings of the facts that other policies give. They may name values of the other policy, which only that knows."""
    for name, fact in checking.model.facts.items():
        if fact.from_ is None:
            continue
        path: KeyPath = ("facts", name, "from", "with")
        bindings = []
        for target, text in fact.from_.with_.items():
            node = checking.attempt(checking.blocks.expression, text, (*path, target), replace(checking.scope, free_values=True))
            if node is not None:
                bindings.append((target, checking.attempt(_written_out, checking, node, (*path, target)) or node))
        if fact.from_.policy == checking.model.policy:
            checking.fault(("facts", name, "from"), "a policy cannot take a fact from itself", "name another policy")
        origin = FromPolicy(fact.from_.policy, fact.from_.output, tuple(bindings))
        checking.facts[name] = replace(checking.facts[name], origin=origin)


def _written_out(checking: Checking, node: s.Node, path: KeyPath) -> s.Node:
    try:
        return WrittenOut(checking.values).node(node)
    except TooLarge:
        raise BlockFault(path, 0, "too much rests on the formulas named here", "let fewer formulas use each other") from None


def _parameter(checking: Checking, name: str) -> None:
    parameter, path = checking.model.parameters[name], ("parameters", name)
    place = checking.source.place(path, key=True)
    try:
        kind = type_of(parameter)
    except LiteralFault as fault:
        checking.fault((*path, *fault.at), str(fault), fault.help)
        checking.broken.add(f"parameters.{name}")
        return
    value = None
    if parameter.unset == ("value" in parameter.model_fields_set):
        checking.fault(path, "a parameter has either a `value` or `unset: true`", None, key=True)
    elif not parameter.unset:
        try:
            value = literal(parameter.value, kind)
        except LiteralFault as fault:
            checking.fault((*path, "value"), str(fault), fault.help)
    checking.parameters[name] = ParameterDef(name, kind, value, parameter.unset, place, parameter.unit)


def _scale(checking: Checking, name: str) -> None:
    scale, brackets = checking.model.scales[name], []
    for i, bracket in enumerate(scale.brackets):
        path: KeyPath = ("scales", name, "brackets", i)
        key = "from"
        try:
            start = literal(bracket.from_, decimal(None))
            key = "rate"
            brackets.append((start, literal(bracket.rate, NumberType("ratio", None, None, True))))
        except LiteralFault as fault:
            checking.fault((*path, key), str(fault), fault.help)
            continue
        if len(brackets) > 1 and brackets[-2][0] >= start:
            checking.fault(path, "the brackets must rise", "each `from` is above the one before")
    checking.scales[name] = ScaleDef(name, scale.mode, tuple(brackets))
