"""One checked version of a policy: typed definitions, bound to no reading of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any

from engine.errors import Place
from engine.model import PolicyModel, SourceRef, Texts
from engine.syntax import Node
from engine.types import Type


@dataclass(frozen=True, slots=True)
class FromPolicy:
    """A fact that another policy gives when the request does not: which output (or `outcome`), and facts set for the question."""

    policy: str
    output: str
    bindings: tuple[tuple[str, Node], ...]


@dataclass(frozen=True, slots=True)
class FactDef:
    """A typed input. `origin` is set where another policy can give it."""

    name: str
    type: Type
    nullable: bool
    place: Place
    zh: str | None = None
    note: str | None = None
    unit: str | None = None
    values_zh: dict[str, str] | None = None
    sensitive: bool = False
    origin: FromPolicy | None = None


@dataclass(frozen=True, slots=True)
class ParameterDef:
    """What a policy owner may change. `unset`: the guide gives no value, so a rule that needs one stays open."""

    name: str
    type: Type
    value: Any
    unset: bool
    place: Place
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class ValueDef:
    """A formula or an output: its expression, and the rules of the guide that it puts into effect."""

    name: str
    node: Node
    type: Type
    nullable: bool
    is_output: bool
    codes: tuple[str, ...]
    refs: tuple[str, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class RequirementDef:
    """A coded rule. It fires (is violated) where `when` holds and `require` does not; None stands for always / never."""

    code: str
    when: Node | None
    require: Node | None
    effect: str
    fires_on_unset: bool
    reason: Texts | None
    remedy: Texts | None
    source: SourceRef
    place: Place


@dataclass(frozen=True, slots=True)
class TransitionDef:
    """One arrow of a machine; `to` None keeps the state, `actors` None lets anybody trigger it."""

    code: str
    event: str
    states: tuple[str, ...]
    to: str | None
    actors: tuple[str, ...] | None
    when: Node | None
    review: bool
    reason: Texts | None
    remedy: Texts | None
    source: SourceRef
    place: Place


@dataclass(frozen=True, slots=True)
class Machine:
    """The facts that hold state, event and actor, and the arrows between the states."""

    state: str
    event: str
    actor: str | None
    states: tuple[str, ...]
    events: tuple[str, ...]
    transitions: tuple[TransitionDef, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """One condition of a table row on one input. `kind`: any, none, values, range (with `None` for an open end)."""

    kind: str
    values: frozenset[Any] = frozenset()
    low: Any = None
    high: Any = None
    low_open: bool = False
    high_open: bool = False

    def accepts(self, value: Any) -> bool:
        if self.kind == "any":
            return True
        if value is None:
            return self.kind == "none" or (self.kind == "values" and None in self.values)
        if self.kind == "values":
            return value in self.values
        if self.kind == "none":
            return False
        above = self.low is None or (value > self.low if self.low_open else value >= self.low)
        below = self.high is None or (value < self.high if self.high_open else value <= self.high)
        return above and below


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row: a cell for each input, a value for each output, and its number from 1 as people count it."""

    number: int
    cells: tuple[Cell, ...]
    outputs: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class TableDef:
    """A decision table (DMN): typed columns, rows, a hit policy."""

    name: str
    hit: str
    inputs: tuple[tuple[str, Type], ...]
    outputs: tuple[tuple[str, Type], ...]
    rows: tuple[TableRow, ...]
    default: tuple[Any, ...] | None
    priority: tuple[str, tuple[str, ...]] | None
    result: Type
    place: Place
    codes: tuple[str, ...] = ()
    refs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ScaleDef:
    """Brackets with a rate each: `marginal` rates each slice, `whole` rates the whole amount by the bracket it reaches."""

    name: str
    mode: str
    brackets: tuple[tuple[Any, Any], ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """One version of one policy, checked. `digest` names the exact bytes of its rule file."""

    id: str
    version: int
    digest: str
    file: str
    model: PolicyModel
    effective_from: date
    effective_until: date | None
    facts: dict[str, FactDef]
    parameters: dict[str, ParameterDef]
    values: dict[str, ValueDef]
    tables: dict[str, TableDef]
    scales: dict[str, ScaleDef]
    requirements: tuple[RequirementDef, ...]
    machine: Machine | None
    outputs: tuple[str, ...]
    uses: frozenset[str] = field(default=frozenset())

    @property
    def forms(self) -> tuple[str, ...]:
        form = self.model.form
        return (form,) if isinstance(form, str) else tuple(form)

    @property
    def name(self) -> str:
        return f"{self.id} v{self.version}"
