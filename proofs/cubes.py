"""Conjunctions of conditions (cubes) that together cover a region: which of their conditions are worth most, and which cubes can be told as one."""

from __future__ import annotations

import re
from typing import Any

from proofs.atoms import Literal
from proofs.folding import Truth, and_, or_

#: Conditions that hold together.
Cube = tuple[Literal, ...]


def conjunction(cube: Cube) -> Truth:
    return and_(*(x.condition for x in cube))


def worth(literal: Literal) -> tuple[bool, int]:
    """What is dropped first: what says no, and what is long."""
    return (not says_no(literal), -len(literal.en))


def says_no(literal: Literal) -> bool:
    return literal.en.startswith("not ") or " != " in literal.en or " not in " in literal.en


def joined(cubes: list[Cube]) -> list[Cube]:
    """Conjunctions that differ in the value of one fact only, told as one: `x in [a, b]`."""
    cubes = list(cubes)
    for i, a in enumerate(cubes):
        for j in range(i + 1, len(cubes)):
            b = cubes[j]
            left, right = ([x for x in c if x.en not in {y.en for y in d}] for c, d in ((a, b), (b, a)))
            if len(left) == len(right) == 1 and left[0].fact is not None and left[0].fact == right[0].fact:
                both = tuple(_either(x, right[0]) if x is left[0] else x for x in a)
                return joined([*cubes[:i], both, *cubes[i + 1 : j], *cubes[j + 1 :]])
    return cubes


def _either(a: Literal, b: Literal) -> Literal:
    values = sorted({*a.values, *b.values})
    english, chinese = (", ".join(v[i] for v in values) for i in (0, 1))
    label = a.zh.split(" ")[0]
    return Literal(or_(a.condition, b.condition), f"{a.fact} in [{english}]", f"{label} 属于 [{chinese}]", a.fact, tuple(values))


def grouped(cubes: list[Cube]) -> list[list[Cube]]:
    """Conjunctions that say the same of different items of a list are one region."""
    groups: dict[Any, list[Cube]] = {}
    for cube in cubes:
        groups.setdefault(frozenset(re.sub(r"\[\d+\]", "[]", x.en) for x in cube), []).append(cube)
    ordered = [sorted(group, key=lambda c: [x.en for x in c]) for group in groups.values()]
    return sorted(ordered, key=lambda group: [x.en for x in group[0]])
