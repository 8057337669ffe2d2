"""The names that an expression may use, and what is known not to be null where it stands."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from engine import syntax as s
from engine.types import NullType, Type

Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Named:
    """What a name stands for: its type and whether it may be null."""

    type: Type
    nullable: bool = False


@dataclass
class Scope:
    """The names that an expression may use. `formula` gives the type of a formula or output by name, typing it first where needed.

    `broken` are names whose own fault has been told, `patterns` the values of parameters that are texts.
    """

    facts: dict[str, Named]
    parameters: dict[str, Named]
    tables: dict[str, tuple[dict[str, Named], Named]]
    scales: frozenset[str]
    formula_names: frozenset[str]
    formula: Callable[[str], Named]
    codes: frozenset[str]
    transitions: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    broken: frozenset[str] = frozenset()
    patterns: dict[str, str] = field(default_factory=dict)
    variables: dict[str, tuple[str, Named]] = field(default_factory=dict)
    known: frozenset[Key] = frozenset()
    in_each: bool = False
    loops: int = 0
    free_values: bool = False

    def names(self) -> list[str]:
        """Every name that may stand alone."""
        extra = ["as_of", "outcome"] + (["transition", "next_state"] if self.transitions else [])
        parameters = [f"parameters.{p}" for p in self.parameters]
        return [*self.facts, *parameters, *self.formula_names, *self.variables, *extra]

    def has(self, path: str) -> bool:
        """Is this the whole name of something?"""
        head, _, rest = path.partition(".")
        words = ("true", "false", "null", "as_of", "outcome", *(("transition", "next_state") if self.transitions else ()))
        if path in self.variables or path in words or path in self.facts or path in self.formula_names:
            return True
        return head == "parameters" and rest in self.parameters

    def knowing(self, keys: Iterable[Key]) -> Scope:
        """The same scope where these values are known not to be null."""
        return replace(self, known=self.known | frozenset(keys))


def words(text: str) -> list[str]:
    """The names in a text, dotted ones also by their beginnings."""
    found = re.findall(r"[a-z][a-z0-9_]*(?:\.[a-z0-9_]+)*", text)
    return [".".join(parts[: i + 1]) for parts in (word.split(".") for word in found) for i in range(len(parts))]


def bind(scope: Scope, name: str, named: Named) -> tuple[str, Scope]:
    """A scope in which `name` is a variable; its unique name."""
    unique = f"{name}_{len(scope.variables)}"
    return unique, replace(scope, variables={**scope.variables, name: (unique, named)})


def key_of(node: s.Node) -> Key | None:
    """The identity of a value that a null test can be about."""
    if isinstance(node, (s.Fact, s.Formula, s.Variable, s.Parameter)):
        return (type(node).__name__, node.name)
    if isinstance(node, s.FieldOf):
        inner = key_of(node.record)
        return None if inner is None else ("FieldOf", inner, node.name)
    return None


def not_null_if(node: s.Node, truth: bool) -> frozenset[Key]:
    """The values that are known not to be null where `node` is true (or false)."""
    if isinstance(node, s.Not):
        return not_null_if(node.item, not truth)
    if isinstance(node, (s.And, s.Or)):
        sets = [not_null_if(item, truth) for item in node.items]
        every = isinstance(node, s.And) == truth
        return frozenset().union(*sets) if every else frozenset.intersection(*sets)
    if isinstance(node, s.IsNull) and not truth:
        key = key_of(node.item)
        return frozenset([key]) if key else frozenset()
    if isinstance(node, s.Compare) and ((node.op == "==") == truth) and node.op in ("==", "!="):
        keys = [key_of(a) for a, b in ((node.left, node.right), (node.right, node.left)) if not b.nullable and not isinstance(b.type, NullType)]
        return frozenset(k for k in keys if k)
    if isinstance(node, s.In) and truth:
        key = key_of(node.item)
        return frozenset([key]) if key else frozenset()
    return frozenset()
