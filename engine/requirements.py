"""Typing the requirements of a rule file, and the outputs with `passing`, which list the values of a fact that pass them."""

from __future__ import annotations

from dataclasses import replace

from engine import syntax as s
from engine.blocks import BlockFault
from engine.checking import Checking
from engine.conditions import TooLarge, WrittenOut, fired
from engine.errors import did_you_mean
from engine.model import PassingModel
from engine.policy import RequirementDef
from engine.scope import not_null_if
from engine.source import KeyPath
from engine.transitions import MACHINE_CODES
from engine.types import EnumType, SetType


def requirements_of(checking: Checking) -> tuple[RequirementDef, ...]:
    """The requirements of a rule file, typed; one with a fault in an expression is left out."""
    found = [checking.attempt(_requirement, checking, i) for i in range(len(checking.model.requirements))]
    return tuple(r for r in found if r is not None)


def _requirement(checking: Checking, i: int) -> RequirementDef:
    raw, path = checking.model.requirements[i], ("requirements", i)
    by_engine = checking.model.machine is not None and raw.code in MACHINE_CODES
    when = require = None
    scope = checking.scope
    if "when" in raw.model_fields_set:
        when = checking.blocks.condition(raw.when, (*path, "when"), scope)
        scope = scope.knowing(not_null_if(when, True))
    if "require" in raw.model_fields_set:
        require = checking.blocks.condition(raw.require, (*path, "require"), scope)
    if by_engine and (when or require):
        checking.fault(path, f"`{raw.code}` of a machine has no `when` and no `require`", "the engine knows when it fires")
    if raw.effect in ("deny", "review") and (raw.reason is None or raw.remedy is None):
        checking.fault(path, f"`{raw.code}` needs `reason` and `remedy`, each in en and zh", "tell the asker what is wrong and what to do")
    if raw.effect == "warn" and raw.reason is None:
        checking.fault(path, f"`{raw.code}` needs a `reason` in en and zh", None)
    place = checking.source.place(path)
    return RequirementDef(raw.code, when, require, raw.effect, raw.on_unset == "fire", raw.reason, raw.remedy, raw.source, place)


def passing_outputs(checking: Checking, requirements: tuple[RequirementDef, ...]) -> None:
    """Fill in the outputs with `passing`, which rest on the requirements."""
    for name, output in checking.model.outputs.items():
        if isinstance(output.value, PassingModel) and name in checking.values:
            node = checking.attempt(_passing, checking, name, output.value, requirements)
            if node is not None:
                checking.values[name] = replace(checking.values[name], node=node)


def _passing(checking: Checking, name: str, passing: PassingModel, requirements: tuple[RequirementDef, ...]) -> s.Node:
    """The values of a fact with which no deny requirement fires: the requirements with the fact replaced by each value."""
    path: KeyPath = ("outputs", name, "value", "passing")
    if passing.passing not in checking.facts:
        raise BlockFault(path, 0, f"unknown fact `{passing.passing}`", did_you_mean(passing.passing, checking.facts))
    fact = checking.facts[passing.passing]
    values = getattr(fact.type, "values", None)
    if values is None:
        raise BlockFault(path, 0, "`passing` needs a fact of enum, or set of enum, with listed values")
    codes = [r.code for r in checking.model.requirements]
    for i, code in enumerate(passing.codes or ()):
        if code not in codes:
            raise BlockFault((*path[:-1], "codes", i), 0, f"unknown code `{code}`", did_you_mean(code, codes, "it names a requirement of this file"))
    rules = [r for r in requirements if (r.code in passing.codes if passing.codes is not None else r.effect == "deny")]
    place = checking.source.place(path)
    members = []
    for value in values:
        chosen: s.Node = s.Const(value=value, type=EnumType((value,)))
        if isinstance(fact.type, SetType):
            chosen = s.ListOf(items=(chosen,), type=SetType((value,)))
        try:
            written = WrittenOut(checking.values, passing.passing, chosen)
            tests = [s.Not(item=written.node(fired(r))) for r in rules]
        except TooLarge:
            raise BlockFault(path, 0, f"too much rests on `{passing.passing}` to try each of its values", "let fewer formulas rest on it") from None
        members.append((value, s.And(items=tuple(tests), place=place)))
    return s.SetOf(members=tuple(members), type=SetType(tuple(values)), place=place)
