"""What needs what, in order; without recursion, so that a chain may be long."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

MAX_SHOWN = 8
K = TypeVar("K", bound=Hashable)


def in_order(needs: Mapping[K, Iterable[K]]) -> tuple[list[K], list[K] | None]:
    """All keys, each after those that it needs; and the first circle met, if there is one, with its first key again at its end."""
    done: dict[K, None] = {}
    circle: list[K] | None = None
    for root in needs:
        path: dict[K, Iterator[K]] = {} if root in done else {root: iter(needs[root])}
        while path:
            key, rest = next(reversed(path.items()))
            for need in rest:
                if need in path:
                    if circle is None:
                        keys = list(path)
                        circle = [*keys[keys.index(need) :], need]
                elif need not in done:
                    path[need] = iter(needs.get(need, ()))
                    break
            else:
                path.popitem()
                done[key] = None
    return list(done), circle


def circle_text(names: Sequence[str]) -> str:
    """A circle as it is told; the middle of a long one is left out."""
    parts = list(names) if len(names) <= MAX_SHOWN else [*names[:4], "…", *names[-3:]]
    return " → ".join(parts)
