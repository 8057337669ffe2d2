"""A version that notes what its evaluation meets: the two sides of each comparison, the rows of tables, the lines of `first`, the brackets of scales."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from engine import syntax as s
from engine.bounds import k_call
from engine.emit import Emitter
from engine.errors import Place
from engine.kleene import k_compare, k_first
from engine.lookups import k_table
from engine.policy import ScaleDef
from engine.tables import TableIndex, scale_amount
from engine.types import SetType
from engine.unknown import Unknown
from proofs.pieces import Pieced

#: An expression as it stands in the file: the same text at another place is another one.
Spot = tuple[Place, s.Node]


class Notes:
    """What was met. Only known values count."""

    def __init__(self) -> None:
        self.compared: dict[Spot, set[tuple[Any, Any]]] = defaultdict(set)
        self.taken: dict[Spot, set[int]] = defaultdict(set)
        self.looked_up: dict[str, set[tuple[Any, ...]]] = defaultdict(set)
        self.rated: dict[str, set[Any]] = defaultdict(set)

    def compare(self, spot: Spot, op: str, a: Any, b: Any, never_null: bool = False) -> Any:
        if type(a) is not Unknown and type(b) is not Unknown and a is not None and b is not None:
            self.compared[spot].add((a, b))
        return k_compare(op, a, b, never_null)

    def first(self, spot: Spot, lines: Sequence[tuple[Callable[[], Any], Callable[[], Any]]], otherwise: Callable[[], Any]) -> Any:
        for i, (when, then) in enumerate(lines):
            held = when()
            if type(held) is Unknown:
                return k_first(lines, otherwise, i)
            if held:
                self.taken[spot].add(i)
                return then()
        self.taken[spot].add(len(lines))
        return otherwise()

    def table(self, index: TableIndex, values: tuple[Any, ...]) -> Any:
        if not any(type(v) is Unknown for v in values):
            self.looked_up[index.table.name].add(values)
        return k_table(index, values)

    def scale(self, scale: ScaleDef, amount: Any) -> Any:
        if type(amount) is not Unknown:
            self.rated[scale.name].add(amount)
        return k_call(scale_amount, scale, amount)


class _Noting(Emitter):
    """The engine's expressions, with the places where something is decided going through the notes."""

    notes: Notes

    def spot(self, node: s.Node) -> str:
        name = f"spot{len([k for k in self.globals if k.startswith('spot')])}"
        self.globals[name] = (node.place, node)
        return name

    def _compare(self, node: s.Compare, env: dict[str, str]) -> str:
        if SetType in (type(node.left.type), type(node.right.type)):
            return super()._compare(node, env)
        left, right = self.emit(node.left, env), self.emit(node.right, env)
        if node.order is not None:
            rank = self.constant({v: i for i, v in enumerate(node.order)})
            left, right = (f"k_call({rank}.__getitem__, {x})" for x in (left, right))
        one_may_be_null = node.op in ("==", "!=") and node.left.nullable != node.right.nullable
        self.globals["note_compare"] = self.notes.compare
        return f"note_compare({self.spot(node)}, {node.op!r}, {left}, {right}, {one_may_be_null})"

    def _first(self, node: s.First, env: dict[str, str]) -> str:
        lines = [(self.emit(line.when, env), self.emit(line.then, env)) for line in node.lines if line.when is not None]
        written = "".join(f"(lambda: {when}, lambda: {then}), " for when, then in lines)
        self.globals["note_first"] = self.notes.first
        return f"note_first({self.spot(node)}, ({written}), lambda: {self.emit(node.lines[-1].then, env)})"

    def _tablecall(self, node: s.TableCall, env: dict[str, str]) -> str:
        self.globals["k_table"] = self.notes.table
        return super()._tablecall(node, env)

    def _scalecall(self, node: s.ScaleCall, env: dict[str, str]) -> str:
        self.globals["note_scale"] = self.notes.scale
        self.globals[f"s_{node.scale}"] = self.policy.scales[node.scale]
        return f"note_scale(s_{node.scale}, {self.emit(node.amount, env)})"


def watched(base: Pieced) -> tuple[Pieced, Notes]:
    """The version with notes of what it meets from now on."""
    notes = Notes()

    class Noting(_Noting):
        pass

    class Watched(Pieced):
        writer = Noting

    Noting.notes = notes
    return Watched(base.policy, base.original), notes
