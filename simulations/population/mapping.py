"""The mapping file: which columns of a source hold the facts of a policy, where their names or their values differ.

    id: order_no                                  # instead of `case_id`
    as_of: decided_on                             # the instant of each case; optional
    partner: partner_code                         # who is settled; optional
    segments: {region: region_name}               # what rows are grouped by
    facts: {customer.arrears: debt, relation.mode: mode, customer.since: since}
    values: {relation.mode: {顾问销售: consulting_sales}}
    dates: {customer.since: "%d.%m.%Y"}           # a datetime by a format without zone is the wall clock of Shanghai
    fen: [customer.arrears]                       # money in whole fen

A fact that is not named under `facts` is taken from the column with its own name, as for a source without a mapping.
"""

from __future__ import annotations

from collections.abc import Mapping as Map
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import duckdb
from pydantic import Field

from engine import source as yaml_source
from engine.errors import Fault, Place, RuleFileError, did_you_mean
from engine.model import Identifier, Strict
from engine.policy import FactDef
from engine.shape import shape
from engine.source import KeyPath, Source
from engine.types import BoolType, DateTimeType, DateType, EnumType, NumberType, SetType

ColumnName = Annotated[str, Field(min_length=1, max_length=500)]


class MappingModel(Strict):
    """The shape of a mapping file."""

    id: ColumnName | None = None
    as_of: ColumnName | None = None
    partner: ColumnName | None = None
    segments: dict[Identifier, ColumnName] = Field(default_factory=dict)
    facts: dict[str, ColumnName] = Field(default_factory=dict)
    values: dict[str, dict[str, str | bool]] = Field(default_factory=dict)
    dates: dict[str, ColumnName] = Field(default_factory=dict)
    fen: list[str] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapping that fits the facts of a policy. `source` is the file with the places of its parts; None for the empty mapping."""

    model: MappingModel = field(default_factory=MappingModel)
    source: Source | None = None

    def place(self, *path: str | int) -> str:
        """Where a part of the file stands, as `file:line:column`."""
        return str(self.source.place(path)) if self.source is not None else "mapping"


def read(path: Path, facts: Map[str, FactDef]) -> Mapping:
    """Read a mapping file for a policy with these facts. Raises RuleFileError with the place of every fault."""
    if not path.is_file():
        raise RuleFileError([Fault(Place(str(path), 1, 1), "there is no such mapping file", "docs/simulation.md shows one")])
    return parse(path.read_bytes(), str(path), facts)


def parse(raw: bytes, file: str, facts: Map[str, FactDef]) -> Mapping:
    """As read, of the bytes of a file."""
    source = yaml_source.parse(raw, file)
    if not isinstance(source.data, dict):
        raise RuleFileError([Fault(source.place(()), "expected keys and values", "keys: " + ", ".join(MappingModel.model_fields))])
    unknown = [key for key in source.data if key not in MappingModel.model_fields]
    if unknown:
        keys = list(MappingModel.model_fields)
        raise RuleFileError(
            Fault(source.place((key,), key=True), f"unknown key `{key}`", did_you_mean(key, keys, "keys: " + ", ".join(keys))) for key in unknown
        )
    model = shape(source, MappingModel)
    faults = [*_names(source, model, facts), *_values(source, model, facts), *_dates(source, model, facts), *_fen(source, model, facts)]
    if faults:
        raise RuleFileError(faults)
    return Mapping(model, source)


def _names(source: Source, model: MappingModel, facts: Map[str, FactDef]) -> list[Fault]:
    """Names that are no fact of the policy."""
    named: list[tuple[str, KeyPath, bool]] = [(name, ("facts", name), True) for name in model.facts]
    named += [(name, ("values", name), True) for name in model.values]
    named += [(name, ("dates", name), True) for name in model.dates]
    named += [(name, ("fen", i), False) for i, name in enumerate(model.fen)]
    help = "facts: " + ", ".join(list(facts)[:12]) + (", …" if len(facts) > 12 else "")
    return [
        Fault(source.place(path, key=is_key), f"the policy has no fact `{name}`", did_you_mean(name, facts, help))
        for name, path, is_key in named if name not in facts
    ]  # fmt: skip


def _values(source: Source, model: MappingModel, facts: Map[str, FactDef]) -> list[Fault]:
    """Translations of facts that have no named values, or into values that they have not."""
    found = []
    for name, pairs in model.values.items():
        t = facts[name].type if name in facts else None
        if t is None:
            continue
        known: tuple[Any, ...] | None = (True, False) if isinstance(t, BoolType) else t.values if isinstance(t, (EnumType, SetType)) else None
        if known is None:
            place = source.place(("values", name), key=True)
            found.append(Fault(place, f"`{name}` is {t}, its values are not translated", "those of an enum, a set of enum or a bool are"))
            continue
        for key, value in pairs.items():
            if value not in known:
                texts = [str(k).lower() if isinstance(k, bool) else k for k in known]
                help = did_you_mean(str(value), texts, "values: " + ", ".join(texts))
                found.append(Fault(source.place(("values", name, key)), f"`{value}` is no value of `{name}`", help))
    return found


def _dates(source: Source, model: MappingModel, facts: Map[str, FactDef]) -> list[Fault]:
    found = []
    for name, pattern in model.dates.items():
        place = source.place(("dates", name))
        if name in facts and not isinstance(facts[name].type, (DateType, DateTimeType)):
            found.append(Fault(place, f"`{name}` is {facts[name].type}, no date", None))
        elif not _is_format(pattern):
            found.append(Fault(place, f"`{pattern}` is no format of a date", 'write the parts as %Y, %m, %d, %H, %M, %S, %z: "%d.%m.%Y"'))
    return found


def _is_format(pattern: str) -> bool:
    if "%" not in pattern:
        return False
    try:
        duckdb.execute("SELECT typeof(try_strptime('', $1))", [pattern])
    except duckdb.Error:
        return False
    return True


def _fen(source: Source, model: MappingModel, facts: Map[str, FactDef]) -> list[Fault]:
    found = []
    for i, name in enumerate(model.fen):
        t = facts[name].type if name in facts else None
        if t is not None and not (isinstance(t, NumberType) and t.name == "money"):
            found.append(Fault(source.place(("fen", i)), f"`{name}` is {t}, only money is counted in fen", None))
    return found
