"""Requests as a canonical population table (simulations/population/columns.py), with the profile that is true of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from engine.policy import FactDef
from engine.types import (
    SHANGHAI,
    BoolType,
    DateTimeType,
    DateType,
    Field,
    ListType,
    NumberType,
    RecordType,
    SetType,
    Type,
)
from engine.unknown import Unknown
from simulations.population.columns import UNKNOWN, Column, Profile

#: One request: typed values by fact name (Unknown where absent), and its instant.
Row = tuple[Mapping[str, Any], datetime]


def table_of(facts: Mapping[str, FactDef], rows: Sequence[Row]) -> tuple[pa.Table, Profile]:
    """The rows as an Arrow table. Facts that are unknown in every row have no column."""
    arrays: dict[str, pa.Array] = {
        "case_id": pa.array([str(i) for i in range(len(rows))]),
        "as_of": pa.array([_wall(moment) for _, moment in rows], pa.timestamp("us")),
    }
    columns: dict[str, Column] = {}
    for name, fact in facts.items():
        values = [row[name] for row, _ in rows]
        if all(isinstance(v, Unknown) for v in values):
            continue
        column = columns[name] = _column(values, fact.type, fact.nullable)
        arrays[name] = pa.array([_plain(v, fact.type, column) for v in values], _arrow(fact.type, column))
        if fact.nullable and column.unknown:
            arrays[UNKNOWN + name] = pa.array([isinstance(v, Unknown) for v in values])
    return pa.table(arrays), Profile(len(rows), columns, True)


def _wall(moment: datetime) -> datetime:
    return moment.astimezone(SHANGHAI).replace(tzinfo=None)


def _record(t: Type) -> RecordType | None:
    return t.item if isinstance(t, ListType) and isinstance(t.item, RecordType) else None


def _column(values: Sequence[Any], t: Type, nullable: bool) -> Column:
    known = [v for v in values if not isinstance(v, Unknown)]
    there = [v for v in known if v is not None]
    record = _record(t)
    fields = None
    if record is not None:
        fields = {f.name: _column([item[i] for v in there for item in v], f.type, f.nullable) for i, f in enumerate(record.fields)}
    digits = places = 0
    if isinstance(t, NumberType):
        digits = max((len(str(abs(int(v)))) for v in there), default=1)
        places = t.places if t.places is not None else max((max(0, -int(Decimal(v).as_tuple().exponent)) for v in there), default=0)
    return Column(len(known) < len(values), nullable and any(v is None for v in known), digits, places, fields)


def _arrow(t: Type, column: Column) -> pa.DataType:
    if isinstance(t, BoolType):
        return pa.bool_()
    if isinstance(t, NumberType):
        return pa.int64() if t.name == "integer" else pa.decimal128(max(column.digits, 1) + column.places, column.places)
    if isinstance(t, DateType):
        return pa.date32()
    if isinstance(t, DateTimeType):
        return pa.timestamp("us")
    record = _record(t)
    if record is not None:
        assert column.fields is not None
        parts = []
        for f in record.fields:
            inner = column.fields[f.name]
            parts.append(pa.field(f.name, _arrow(f.type, inner)))
            if f.nullable and inner.unknown:
                parts.append(pa.field(UNKNOWN + f.name, pa.bool_()))
        return pa.list_(pa.struct(parts))
    return pa.list_(pa.string()) if isinstance(t, (SetType, ListType)) else pa.string()


def _plain(value: Any, t: Type, column: Column) -> Any:
    if value is None or isinstance(value, Unknown):
        return None
    record = _record(t)
    if record is not None:
        return [_struct(item, record.fields, column) for item in value]
    if isinstance(value, tuple):
        return list(value)
    if isinstance(t, NumberType) and t.name != "integer":
        return Decimal(value).quantize(Decimal(1).scaleb(-column.places))
    return _wall(value) if isinstance(value, datetime) else value


def _struct(item: Sequence[Any], fields: Sequence[Field], column: Column) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for f, value in zip(fields, item, strict=True):
        assert column.fields is not None
        inner = column.fields[f.name]
        found[f.name] = _plain(value, f.type, inner)
        if f.nullable and inner.unknown:
            found[UNKNOWN + f.name] = isinstance(value, Unknown)
    return found
