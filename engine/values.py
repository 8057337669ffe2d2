"""Typing formulas and outputs: each after those that it names, and circles among them told."""

from __future__ import annotations

from typing import Any

from engine import syntax as s
from engine.blocks import BlockFault, Told
from engine.checking import Checking
from engine.literals import LiteralFault, type_of
from engine.model import Block, FormulaModel, OutputModel, PassingModel
from engine.ordering import circle_text, in_order
from engine.policy import ValueDef
from engine.scope import Named, words
from engine.source import KeyPath
from engine.types import SetType, Type

MAX_TYPING = 20


class Values:
    """Types the formulas and outputs of one rule file, in any order: one that is named is typed first."""

    def __init__(self, checking: Checking) -> None:
        self.checking, self.model = checking, checking.model
        self.typing: list[str] = []
        self.faulty: set[str] = set()
        self.circle: list[str] = []

    def type_all(self) -> None:
        """Every value is typed, in the order of the file; faults are noted."""
        for name in self._in_order():
            self.checking.attempt(self._value, name)
        typed = self.checking.values
        self.checking.values = {name: typed[name] for name in (*self.model.formulas, *self.model.outputs) if name in typed}

    def named(self, name: str) -> Named:
        """The type of a formula or output. Raises BlockFault, Told."""
        output = self.model.outputs.get(name)
        if output is not None and isinstance(output.value, PassingModel):
            return Named(self._output_type(name, output), False)
        value = self.checking.values.get(name) or self._value(name)
        return Named(value.type, value.nullable)

    def _in_order(self) -> list[str]:
        """Formulas and outputs, each after those whose names stand in its text, so that a long chain of them needs no deep recursion."""
        names = [*self.model.formulas, *self.model.outputs]
        known, data = set(names), self.checking.source.data
        needs = {n: [w for w in _words(data["outputs" if n in self.model.outputs else "formulas"][n]) if w in known and w != n] for n in names}
        order, circle = in_order(needs)
        self.circle = circle[:-1] if circle else []
        return order

    def _output_type(self, name: str, output: OutputModel) -> Type:
        try:
            return type_of(output)
        except LiteralFault as fault:
            raise BlockFault(("outputs", name, *fault.at), 0, str(fault), fault.help) from None

    def _value(self, name: str) -> ValueDef:
        checking = self.checking
        if name in checking.values:
            return checking.values[name]
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
                node: s.Node = s.SetOf(members=(), type=expect or SetType(None), place=checking.source.place(path))
            else:
                node = checking.blocks.value(raw, path, checking.scope, expect)
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
        place = checking.source.place(base, key=True)
        value = ValueDef(name, node, expect or node.type, node.nullable, output is not None, codes, refs, place)
        checking.values[name] = value
        return value


def _words(raw: Any) -> list[str]:
    """The names in the texts of a formula, dotted ones also by their beginnings."""
    if isinstance(raw, dict):
        return [word for value in raw.values() for word in _words(value)]
    if isinstance(raw, list):
        return [word for value in raw for word in _words(value)]
    return words(raw) if isinstance(raw, str) else []
