"""JSON Schemas: of the facts of a version (for callers), and of rule files and case files (for editors)."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from engine.model import CasesModel, PolicyModel
from engine.policy import FactDef, Policy
from engine.types import BoolType, DateTimeType, DateType, EnumType, ListType, NumberType, RecordType, SetType, Type

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_SCHEMAS: dict[str, type[BaseModel]] = {"policy": PolicyModel, "cases": CasesModel}


def file_schema(kind: str) -> dict[str, Any]:
    """The schema of rule files (`policy`) or of case files (`cases`)."""
    model = _SCHEMAS[kind]
    return {"$schema": DIALECT, **model.model_json_schema(by_alias=True)}


def facts_schema(policy: Policy) -> dict[str, Any]:
    """The schema of the facts of one version. No fact is required: what is absent is unknown."""
    root = _object(policy.model.title.en)
    for fact in policy.facts.values():
        *parents, last = fact.name.split(".")
        target = root
        for parent in parents:
            target = target["properties"].setdefault(parent, _object(None))
        target["properties"][last] = _fact(fact)
    return {"$schema": DIALECT, "$id": f"urn:policy:{policy.id}:v{policy.version}:facts", **root}


def _object(title: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": {}}
    return {"title": title, **found} if title else found


def _fact(fact: FactDef) -> dict[str, Any]:
    schema = type_schema(fact.type, fact.nullable)
    said = [t for t in (fact.zh, fact.note) if t]
    if said:
        schema["description"] = "; ".join(said)
    if fact.unit:
        schema["x-unit"] = fact.unit
    if fact.origin:
        schema["x-from"] = {"policy": fact.origin.policy, "output": fact.origin.output}
    return schema


def type_schema(t: Type, nullable: bool) -> dict[str, Any]:
    """The JSON values of a type."""
    schema = _plain(t)
    return {"anyOf": [schema, {"type": "null"}]} if nullable else schema


def _plain(t: Type) -> dict[str, Any]:
    if isinstance(t, BoolType):
        return {"type": "boolean"}
    if isinstance(t, NumberType):
        return _number(t)
    if isinstance(t, EnumType):
        return {"type": "string", "enum": list(t.values)}
    if isinstance(t, DateType):
        return {"type": "string", "format": "date"}
    if isinstance(t, DateTimeType):
        return {"type": "string", "format": "date-time"}
    if isinstance(t, SetType):
        item = {"type": "string", "enum": list(t.values)} if t.values is not None else _text()
        return {"type": "array", "items": item, "uniqueItems": True}
    if isinstance(t, ListType):
        return {"type": "array", "items": _plain(t.item)}
    if isinstance(t, RecordType):
        schema = _object(None)
        for field in t.fields:
            *parents, last = field.name.split(".")
            target = schema
            for parent in parents:
                target = target["properties"].setdefault(parent, _object(None))
            target["properties"][last] = type_schema(field.type, field.nullable)
        return schema
    return _text()


def _text() -> dict[str, Any]:
    return {"type": "string", "maxLength": 10_000, "pattern": "\\S"}


def _number(t: NumberType) -> dict[str, Any]:
    if t.name == "integer":
        return {"type": "integer", "minimum": -(10**18)} if t.signed else {"type": "integer", "minimum": 0, "maximum": 10**18}
    sign = "-?" if t.signed else ""
    places = "(\\.[0-9]+)?" if t.places is None else f"(\\.[0-9]{{1,{t.places}}})?" if t.places else ""
    return {"type": "string", "pattern": f"^{sign}[0-9]{{1,18}}{places}$", "x-type": t.name}
