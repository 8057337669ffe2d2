"""Policies with some units from one version and some from the other; units that do not fit together apart are taken together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from engine.errors import PolicyError, RuleFileError, did_you_mean
from engine.plan import check_order
from engine.policy import FactDef, Policy
from engine.types import EnumType, Type, assignable
from simulations.runs.units import MACHINE, Change, Key, changes, definitions, named, nodes

#: So many units are told apart by trying every mixture of them.
TRIED = 6


@dataclass(frozen=True, slots=True)
class Unit:
    """What is taken from one version or the other as one: `name` is `kind:name`, several joined by ` + `."""

    name: str
    keys: frozenset[Key]


class Mixture:
    """Two versions of a policy, and the units that may be exchanged between them."""

    def __init__(self, before: Policy, after: Policy) -> None:
        self.before, self.after = before, after
        self.changes: list[Change] = changes(before, after)
        self._a, self._b = definitions(before), definitions(after)
        self._joined: dict[Key, Key] = {}
        for owner in self._differing():
            for side, other in ((self._a, self._b), (self._b, self._a)):
                for key in self._misfits(owner, side, other):
                    self._join(owner, key)
        for key in self._codes_twice():
            self._join(MACHINE, key)
        self.units = self._units()
        while (circle := self._circle()) is not None:
            for key in circle:
                self._join(circle[0], key)
            self.units = self._units()

    def policy(self, taken: Iterable[str]) -> Policy:
        """The policy with these units from `after` and all others from `before`. Raises PolicyError for a unit that there is not."""
        wanted = set(taken)
        names = [u.name for u in self.units]
        for name in sorted(wanted - set(names)):
            hint = did_you_mean(name, names, "there are: " + (", ".join(names) or "none"))
            raise PolicyError(f"`{name}` is no unit in which {self.before.name} and {self.after.name} differ; {hint}")
        if not wanted:
            return self.before
        if wanted == set(names):
            return self.after
        return self._mixed({key for u in self.units if u.name in wanted for key in u.keys})

    # -- which units there are ---------------------------------------------------------------------------------------------------

    def _differing(self) -> list[Key]:
        """The definitions of both versions that are not the same, those too that differ only in the types of what they name."""
        keys = [k for k in {**self._b, **self._a} if k[0] != "fact"]
        return [k for k in keys if self._a.get(k) != self._b.get(k)]

    def _units(self) -> list[Unit]:
        effective = {c.key: c.unit for c in self.changes if c.effect}
        groups: dict[Key, list[Key]] = {}
        for key in dict.fromkeys([*effective, *self._joined]):
            groups.setdefault(self._root(key), []).append(key)
        found = []
        for keys in groups.values():
            names = [effective[k] for k in keys if k in effective]
            if names:
                found.append(Unit(" + ".join(names), frozenset(keys)))
        return found

    def _misfits(self, owner: Key, side: dict[Key, Any], other: dict[Key, Any]) -> Iterator[Key]:
        """What a definition names that the other version has not, or has with another type."""
        if owner not in side:
            return
        for key in _named(owner, side, other):
            absent = key not in other and (key[0] in ("requirement", "machine") or getattr(side[key], "is_output", False))
            if absent or (key in other and _face(side[key]) != _face(other[key])):
                yield key

    def _codes_twice(self) -> Iterator[Key]:
        """The requirements of one version whose code is that of a transition in the other: no policy can have both."""
        for side, other in ((self._a, self._b), (self._b, self._a)):
            arrows = other[MACHINE].transitions if MACHINE in other else ()
            yield from (key for t in arrows if (key := ("requirement", t.code)) in side)

    def _circle(self) -> list[Key] | None:
        """The units of a mixture in which values and rules need each other in a circle, of those that can be tried."""
        names = [u.name for u in self.units]
        sizes = range(1, len(names)) if len(names) <= TRIED else ()
        tried = [c for n in sizes for c in combinations(names, n)] or [tuple(names[:n]) for n in range(1, len(names))]
        for taken in tried:
            try:
                check_order(self.policy(taken))
            except RuleFileError:
                return [next(iter(sorted(u.keys))) for u in self.units if u.name.startswith(("formula:", "output:", "requirement:"))]
        return None

    def _root(self, key: Key) -> Key:
        while (above := self._joined.get(key, key)) != key:
            key = above
        return key

    def _join(self, a: Key, b: Key) -> None:
        self._joined.setdefault(a, a)
        self._joined.setdefault(b, b)
        self._joined[self._root(b)] = self._root(a)

    # -- putting one together ----------------------------------------------------------------------------------------------------

    def _mixed(self, taken: set[Key]) -> Policy:
        parts: dict[Key, Any] = {}
        for key in {**self._b, **self._a}:
            if key[0] == "fact":
                parts[key] = self._b.get(key, self._a.get(key))
            elif key in taken or (key in self._b and key not in self._a and key[0] in _AS_NEEDED and not self._is_unit(key)):
                if key in self._b:
                    parts[key] = self._b[key]
            elif key in self._a:
                parts[key] = self._a[key]
        parts = self._needed(parts)
        ordered = [k[1] for k in {**self._b, **self._a} if k in parts and k[0] == "requirement"]
        values = {n: v for (kind, n), v in parts.items() if kind == "value"}
        outputs = tuple(n for n in dict.fromkeys((*self.after.outputs, *self.before.outputs)) if n in values and values[n].is_output)
        return replace(
            self.after,
            facts={n: d for (kind, n), d in parts.items() if kind == "fact"},
            parameters={n: d for (kind, n), d in parts.items() if kind == "parameter"},
            values=values,
            tables={n: d for (kind, n), d in parts.items() if kind == "table"},
            scales={n: d for (kind, n), d in parts.items() if kind == "scale"},
            requirements=tuple(parts["requirement", code] for code in ordered),
            outputs=outputs,
            machine=parts.get(MACHINE),
            uses=self.before.uses | self.after.uses,
        )

    def _is_unit(self, key: Key) -> bool:
        return any(key in u.keys for u in self.units)

    def _needed(self, parts: dict[Key, Any]) -> dict[Key, Any]:
        """Without the definitions that only one version has and that nothing here uses."""
        roots = [k for k, d in parts.items() if k[0] in ("requirement", "machine") or (k in self._a and k in self._b) or getattr(d, "is_output", False)]
        seen: set[Key] = set()
        while roots:
            key = roots.pop()
            if key not in seen and key in parts:
                seen.add(key)
                roots += _references(parts[key])
        return {k: d for k, d in parts.items() if k in seen or k[0] == "fact"}


#: Definitions that are there where something uses them.
_AS_NEEDED = ("parameter", "value", "table", "scale")


def hybrid(before: Policy, after: Policy, taken: frozenset[str]) -> Policy:
    """The policy that takes these units (`kind:name`, as `Mixture.units` names them) from `after`, all others from `before`."""
    return Mixture(before, after).policy(taken)


def common_facts(before: Policy, after: Policy) -> Policy:
    """The later version with the facts of both, each of a type that both take: what a population for the two is held against.

    Raises PolicyError for a fact that no value fits in both.
    """
    facts: dict[str, FactDef] = dict(after.facts)
    for name, old in before.facts.items():
        new = facts.get(name)
        if new is None:
            facts[name] = old
            continue
        both = _narrower(old.type, new.type)
        if both is None:
            raise PolicyError(f"the fact `{name}` is {old.type} in {before.name} and {new.type} in {after.name}; no population fits both")
        facts[name] = replace(new, type=both, nullable=old.nullable and new.nullable, sensitive=old.sensitive or new.sensitive)
    return replace(after, facts=facts)


def _narrower(a: Type, b: Type) -> Type | None:
    if assignable(a, b):
        return a
    if assignable(b, a):
        return b
    if isinstance(a, EnumType) and isinstance(b, EnumType):
        shared = tuple(v for v in b.values if v in a.values)
        return EnumType(shared, b.ordered) if shared else None
    return None


def _references(part: Any) -> list[Key]:
    """The definitions that a definition names, facts left out."""
    return [key for node in nodes(part) if (key := named(node)) is not None and key[0] != "fact"]


def _named(owner: Key, side: dict[Key, Any], other: dict[Key, Any]) -> list[Key]:
    """What a definition names, through those that only its own version has."""
    found: list[Key] = []
    waiting = _references(side[owner])
    while waiting:
        key = waiting.pop()
        if key in side and key not in found and key != owner:
            found.append(key)
            if key not in other and key[0] in _AS_NEEDED:
                waiting += _references(side[key])
    return found


def _face(part: Any) -> Any:
    """What others rely on when they name a definition."""
    if hasattr(part, "hit"):
        return (part.inputs, part.outputs, part.result)
    if hasattr(part, "effect"):
        return "requirement"
    return (getattr(part, "type", None), getattr(part, "nullable", False))
