"""The OpenAPI document: FastAPI's for the catalogue, the decision endpoints added here, with a worked example of each policy.

Examples are the first allowed and the first denied case of the newest version, answered by the engine when the document is asked for.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.state import State
from engine.cases import Case, case_file, load_cases
from engine.errors import PolicyError
from engine.library import Library
from engine.schema import facts_schema
from engine.types import nested
from engine.version import Version

_TEXTS = {"type": "object", "properties": {"en": {"type": "string"}, "zh": {"type": "string"}}, "required": ["en", "zh"]}
_INSTANT = {
    "anyOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}, {"type": "null"}],
    "description": "a date (00:00 in Shanghai) or a date and time with zone; now if left out",
}
_VERSION = {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 100000}, {"type": "null"}], "description": "pin a version, draft or released"}

_WHAT_IF: dict[str, Any] = {
    "type": "object",
    "required": ["base", "changes"],
    "properties": {
        "base": {"$ref": "#/components/schemas/Answer"},
        "changes": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "index"],
                "properties": {
                    "name": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                    "index": {"type": "integer"},
                    "answer": {"$ref": "#/components/schemas/Answer"},
                    "differs": {"type": "object", "description": "outcome, reasons, warnings, missing and outputs that differ from the base"},
                    "problem": {"$ref": "#/components/schemas/Problem"},
                },
            },
        },
    },
}

SCHEMAS: dict[str, Any] = {
    "Reason": {
        "type": "object",
        "required": ["code", "effect", "message", "remedy", "source", "facts"],
        "properties": {
            "code": {"type": "string"},
            "effect": {"enum": ["deny", "review", "warn"]},
            "message": {"anyOf": [_TEXTS, {"type": "null"}]},
            "remedy": {"anyOf": [_TEXTS, {"type": "null"}]},
            "source": {"type": "object", "description": "where in the guide the rule stands"},
            "facts": {"type": "object", "description": "the known facts that the rule rests on, by dotted name"},
        },
    },
    "Answer": {
        "type": "object",
        "required": ["decision_id", "policy", "version", "digest", "as_of", "outcome", "reasons", "warnings", "missing", "outputs", "receipt"],
        "properties": {
            "decision_id": {"type": "string"},
            "policy": {"type": "string"},
            "version": {"type": "integer"},
            "digest": {"type": "string", "description": "SHA-256 of the rule file"},
            "as_of": {"type": "string", "format": "date-time"},
            "outcome": {"enum": ["allowed", "review", "denied", "undetermined"]},
            "reasons": {"type": "array", "items": {"$ref": "#/components/schemas/Reason"}},
            "warnings": {"type": "array", "items": {"$ref": "#/components/schemas/Reason"}},
            "missing": {"type": "array", "items": {"type": "string"}, "description": "unknown facts that could still change the outcome or an output"},
            "outputs": {"type": "object"},
            "unset_parameters": {"type": "array", "items": {"type": "string"}},
            "parameters": {"type": "object", "description": "what a what-if changed"},
            "trace": {"type": "object"},
            "receipt": {"type": "string"},
        },
    },
    "Problem": {
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "errors": {"type": "array", "items": {"type": "object"}},
            "exists": {"type": "array"},
        },
    },
}


def document(app: FastAPI, state: State) -> dict[str, Any]:
    """The whole document, for the library as it is now."""
    library = state.library
    found = get_openapi(title=app.title, version=app.version, routes=app.routes)
    found["components"].setdefault("schemas", {}).update(SCHEMAS)
    for name in library.policies():
        found["paths"].update(_policy_paths(library, name))
    found["paths"]["/v1/decisions"] = _batch_path(library)
    for path in found["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = {"$ref": "#/components/responses/Problem"}
    found["components"]["responses"] = {
        "Problem": {"description": "a problem document", "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    }
    found["security"] = [{}, {"key": []}]
    found["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer", "description": "needed where keys are configured"}}
    return found


def _policy_paths(library: Library, name: str) -> dict[str, Any]:
    version = _shown_version(library, name)
    model = version.policy.model
    facts = {k: v for k, v in facts_schema(version.policy).items() if not k.startswith("$")}
    asked = {"facts": facts, "as_of": _INSTANT, "known_at": _INSTANT, "version": _VERSION, "trace": {"type": "boolean"}}
    body = {"type": "object", "required": ["facts"], "additionalProperties": False, "properties": asked}
    paths = {}
    for kind in ("check", "compute"):
        examples, answers = _examples(library, version, kind)
        ask = {"required": True, "content": {"application/json": {"schema": body, "examples": examples}}}
        shape = {"schema": {"$ref": "#/components/schemas/Answer"}, "examples": answers}
        answer = {"200": {"description": "the answer", "content": {"application/json": shape}}}
        text = f"{model.question.en}\n\n{model.question.zh}"
        paths[f"/v1/policies/{name}/{kind}"] = {
            "post": {
                "tags": [model.family], "operationId": f"{kind}-{name}", "summary": f"{model.title.en} ({kind})", "description": text,
                "requestBody": ask, "responses": dict(answer),
            }
        }  # fmt: skip
    change = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "name": {"anyOf": [{"type": "string"}, {"type": "null"}]}, "facts": {"type": "object"}, "unknown": {"type": "array", "items": {"type": "string"}},
            "parameters": {"type": "object"}, "version": _VERSION,
        },
    }  # fmt: skip
    changes = {"type": "array", "items": change, "maxItems": 100}
    what_if = {**body, "required": ["facts", "changes"], "properties": {**asked, "changes": changes, "ask": {"enum": ["check", "compute"]}}}
    paths[f"/v1/policies/{name}/what-if"] = {
        "post": {
            "tags": [model.family], "operationId": f"what-if-{name}", "summary": f"{model.title.en} (what-if)",
            "requestBody": {"required": True, "content": {"application/json": {"schema": what_if}}},
            "responses": {"200": {"description": "the base and each change", "content": {"application/json": {"schema": _WHAT_IF}}}},
        }
    }  # fmt: skip
    return paths


def _batch_path(library: Library) -> dict[str, Any]:
    asked = {
        "policy": {"type": "string", "examples": library.policies()[:3]}, "ask": {"enum": ["check", "compute"]}, "facts": {"type": "object"},
        "as_of": _INSTANT, "known_at": _INSTANT, "version": _VERSION, "trace": {"type": "boolean"},
    }  # fmt: skip
    item = {"type": "object", "required": ["policy", "facts"], "additionalProperties": False, "properties": asked}
    body = {
        "type": "object", "required": ["decisions"], "additionalProperties": False,
        "properties": {"decisions": {"type": "array", "items": item, "maxItems": 5000}},
    }  # fmt: skip
    one = {"anyOf": [{"$ref": "#/components/schemas/Answer"}, {"type": "object", "properties": {"problem": {"$ref": "#/components/schemas/Problem"}}}]}
    answer = {"type": "object", "properties": {"decisions": {"type": "array", "items": one}}}
    return {
        "post": {
            "tags": ["batch"], "operationId": "decisions", "summary": "Many decisions in one call; answers in order, one bad item does not fail the rest",
            "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
            "responses": {"200": {"description": "the answers", "content": {"application/json": {"schema": answer}}}},
        }
    }  # fmt: skip


def _shown_version(library: Library, name: str) -> Version:
    versions = library.versions[name]
    released = [n for n, v in versions.items() if v.release is not None]
    return versions[max(released or versions)]


def _nested(facts: Any) -> Any:
    """Facts of a case as callers send them: nested objects, inside lists too."""
    if isinstance(facts, dict):
        return nested((name, _nested(value)) for name, value in facts.items())
    return [_nested(item) for item in facts] if isinstance(facts, list) else facts


def _examples(library: Library, version: Version, kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
    asks: dict[str, Any] = {}
    answers: dict[str, Any] = {}
    try:
        cases = load_cases(case_file(version.path))
    except (OSError, PolicyError):
        return asks, answers
    wanted = kind if version.policy.machine is not None else "check"
    for outcome in ("allowed", "denied", "review"):
        case = next((c for c in cases if c.expect.outcome == outcome and c.ask == wanted), None)
        if case is None:
            continue
        value = {"facts": _nested(case.facts), "as_of": case.as_of.date().isoformat(), "version": version.policy.version}
        asks[outcome] = {"summary": case.name, "value": value}
        answer = _answer(library, version, case)
        if answer is not None:
            answers[outcome] = {"summary": case.name, "value": {"decision_id": "example", **answer}}
    return asks, answers


def _answer(library: Library, version: Version, case: Case) -> dict[str, Any] | None:
    ask = version.program.compute if case.ask == "compute" else version.program.check
    try:
        return ask(case.facts, case.as_of, library.resolver(case.as_of, None))
    except PolicyError:
        return None
