"""The OpenAPI document: its examples are valid and reproduce, and what the service answers to made-up requests is what the document says.

Requests are made up for one policy of each form (FUZZED), for the batch and for the whole catalogue; the examples of all policies are tried.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.app import create
from tests.conftest import SHIPPED, Caller, problem, undated

load_all_checks()

#: One policy of each form; the check of a policy that uses others; amounts, records, dates and texts among the facts.
FUZZED = {
    "check": "withdrawal-request", "compute": "staff-certificate-count", "classify": "withdrawal-route", "machine": "invoice-request-lifecycle",
    "validate": "customer-registration-form",
}  # fmt: skip
EXAMPLES = 6
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance, response_headers_conformance]
FUZZ = settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck)
)  # fmt: skip


@pytest.fixture(scope="module")
def document(shipped: Caller) -> dict[str, Any]:
    response = shipped.get("/openapi.json")
    assert response.status_code == 200
    found: dict[str, Any] = response.json()
    return found


@pytest.fixture(scope="module")
def described() -> Iterator[Any]:
    app = create(SHIPPED, watch=False)
    yield schemathesis.openapi.from_asgi("/openapi.json", app)
    app.state.close()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def judge(document: dict[str, Any], schema: dict[str, Any]) -> Any:
    """A validator of a schema of the document, with its components at hand."""
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "components": document["components"]}
    return jsonschema_rs.validator_for(whole, validate_formats=True)


def resolved(document: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in part:
        found: Any = document
        for key in part["$ref"].removeprefix("#/").split("/"):
            found = found[key]
        part = found
    return part


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


# -- the document --------------------------------------------------------------------------------------------------------------------------


def test_every_policy_and_every_endpoint_is_described(document: dict[str, Any], shipped: Caller) -> None:
    assert document["openapi"].startswith("3.1")
    paths = set(document["paths"])
    for name in shipped.state.library.policies():
        for kind in ("check", "compute", "what-if"):
            assert f"/v1/policies/{name}/{kind}" in paths
    assert {"/v1/decisions", "/v1/policies", "/healthz", "/readyz", "/metrics"} <= paths
    assert {
        "/v1/policies/{policy}",
        "/v1/policies/{policy}/versions/{number}",
        "/v1/policies/{policy}/versions/{number}/schema",
        "/v1/policies/{policy}/diff",
    } <= paths


def test_the_document_holds_together(document: dict[str, Any]) -> None:
    for reference in set(references(document)):
        assert reference.startswith("#/")
        assert resolved(document, {"$ref": reference}) is not None
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))
    for path, _, operation in operations(document):
        assert operation["summary"], path
        for content in [
            operation.get("requestBody", {}).get("content", {}),
            *(resolved(document, r).get("content", {}) for r in operation["responses"].values()),
        ]:
            for media in content.values():
                jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **media.get("schema", {})})


def test_every_operation_names_problem_documents(document: dict[str, Any]) -> None:
    for path, _, operation in operations(document):
        shown = [resolved(document, r) for status, r in operation["responses"].items() if status == "default" or status.startswith(("4", "5"))]
        assert any("application/problem+json" in s.get("content", {}) for s in shown), path


def test_questions_are_shown_in_both_languages(document: dict[str, Any], shipped: Caller) -> None:
    for name, versions in shipped.state.library.versions.items():
        text = document["paths"][f"/v1/policies/{name}/check"]["post"]["description"]
        model = versions[max(versions)].policy.model
        assert model.question.en in text or any(v.policy.model.question.en in text for v in versions.values())
        assert any("一" <= c <= "鿿" for c in text)


def test_the_document_is_the_same_each_time(document: dict[str, Any], shipped: Caller) -> None:
    assert shipped.get("/openapi.json").json() == document


# -- its examples --------------------------------------------------------------------------------------------------------------------------


def examples(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    for path, _, operation in operations(document):
        media = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        for name, example in media.get("examples", {}).items():
            yield path, name, example, operation


def test_every_policy_has_a_worked_example(document: dict[str, Any], shipped: Caller) -> None:
    """Design, section 4: OpenAPI carries a worked example of each policy."""
    worked = {path for path, *_ in examples(document)}
    missing = [n for n in shipped.state.library.policies() if f"/v1/policies/{n}/check" not in worked]
    assert missing == []


def test_examples_fit_their_schemas(document: dict[str, Any]) -> None:
    misfits = []
    for path, name, example, operation in examples(document):
        asked = operation["requestBody"]["content"]["application/json"]["schema"]
        misfits += [f"{path} {name}: {e.message[:200]}" for e in judge(document, asked).iter_errors(example["value"])]
        media = operation["responses"]["200"]["content"]["application/json"]
        if name in media["examples"]:
            misfits += [f"{path} {name} answer: {e.message[:200]}" for e in judge(document, media["schema"]).iter_errors(media["examples"][name]["value"])]
    assert misfits == []


def test_examples_reproduce(document: dict[str, Any], shipped: Caller) -> None:
    """The request of an example gives its answer, with the outcome that it is named after."""
    wrong, tried = [], 0
    for path, name, example, operation in examples(document):
        if not path.endswith("/check"):
            continue
        response = shipped.post(path, example["value"])
        if response.status_code != 200:
            wrong.append(f"{path} {name}: {response.text[:200]}")
            continue
        answer = response.json()
        shown = operation["responses"]["200"]["content"]["application/json"]["examples"].get(name)
        if answer["outcome"] != name:
            wrong.append(f"{path} {name}: outcome {answer['outcome']}")
        if shown is None or undated(answer) != undated(shown["value"]):
            wrong.append(f"{path} {name}: another answer than shown")
        tried += 1
    assert wrong == []
    assert tried >= len(shipped.state.library.policies())


def test_examples_of_compute_reproduce(document: dict[str, Any], shipped: Caller) -> None:
    wrong = []
    for path, name, example, operation in examples(document):
        if not path.endswith("/compute"):
            continue
        response = shipped.post(path, example["value"])
        shown = operation["responses"]["200"]["content"]["application/json"]["examples"].get(name)
        if response.status_code != 200 or shown is None or undated(response.json()) != undated(shown["value"]):
            wrong.append(f"{path} {name}")
    assert wrong == []


# -- made-up requests ----------------------------------------------------------------------------------------------------------------------


def whole(value: Any) -> Any:
    """1.0 as 1: to a JSON Schema both are integers, the service asks for one without a point."""
    if isinstance(value, dict):
        return {k: whole(v) for k, v in value.items()}
    if isinstance(value, list):
        return [whole(v) for v in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def tried(operation: Any, checks: list[Any], positive: bool = True, pin: int | None = None) -> list[int]:
    """Ask what the document allows (or, if not positive, what it forbids); every answer is judged by the checks."""

    seen: list[int] = []
    mode = GenerationMode.POSITIVE if positive else GenerationMode.NEGATIVE

    @FUZZ
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        if positive:
            case.body = whole(case.body)
            if pin is not None:
                case.body["version"] = pin
        response = case.call()
        case.validate_response(response, checks=checks)
        if response.status_code >= 400:
            found = json.loads(response.content)
            assert found["status"] == response.status_code
            assert response.headers["content-type"][0].startswith("application/problem+json")
            if positive and response.status_code in (400, 422):
                assert not found["type"].endswith((":facts", ":request")), f"refused, though it fits the document: {found} for {case.body}"
        seen.append(response.status_code)

    ask()
    return seen


@pytest.mark.parametrize("kind", ["check", "compute", "what-if"])
@pytest.mark.parametrize("form", FUZZED)
def test_made_up_questions_are_answered_as_described(described: Any, shipped: Caller, form: str, kind: str) -> None:
    """Pinned to the version that the document shows, else most would ask for versions that do not exist."""
    operation = described[f"/v1/policies/{FUZZED[form]}/{kind}"]["POST"]
    versions = shipped.state.library.versions[FUZZED[form]]
    released = [n for n, v in versions.items() if v.release is not None]
    seen = tried(operation, CHECKS, pin=max(released or versions))
    assert 200 in seen
    assert 404 not in seen


@pytest.mark.parametrize("form", FUZZED)
def test_made_up_nonsense_is_refused_as_described(described: Any, form: str) -> None:
    operation = described[f"/v1/policies/{FUZZED[form]}/check"]["POST"]
    assert tried(operation, [*CHECKS, negative_data_rejection], positive=False)


def test_made_up_batches_are_answered_as_described(described: Any) -> None:
    assert tried(described["/v1/decisions"]["POST"], CHECKS)
    assert tried(described["/v1/decisions"]["POST"], CHECKS, positive=False)


CATALOGUE = [
    "/v1/policies", "/v1/policies/{policy}", "/v1/policies/{policy}/versions/{number}", "/v1/policies/{policy}/versions/{number}/schema",
    "/v1/policies/{policy}/diff", "/healthz", "/readyz", "/metrics",
]  # fmt: skip


@pytest.mark.parametrize("path", CATALOGUE)
def test_the_catalogue_answers_as_described(described: Any, path: str) -> None:
    operation = described[path]["GET"]

    @FUZZ
    @given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        response = case.call()
        case.validate_response(response, checks=CHECKS)

    ask()


def test_forms_are_those_of_the_policies(shipped: Caller) -> None:
    """FUZZED names one policy of each form."""
    for form, name in FUZZED.items():
        versions = shipped.state.library.versions[name]
        assert form in versions[max(versions)].policy.forms, name
    assert {f for v in shipped.state.library.all() for f in v.policy.forms} == set(FUZZED)


def test_the_catalogue_answers_what_it_describes_for_known_policies(document: dict[str, Any], shipped: Caller) -> None:
    for name in FUZZED.values():
        for path in ("/v1/policies/{policy}", "/v1/policies/{policy}/versions/{number}", "/v1/policies/{policy}/versions/{number}/schema"):
            response = shipped.get(path.format(policy=name, number=1))
            assert response.status_code == 200
            schema = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
            assert [e.message for e in judge(document, schema).iter_errors(response.json())] == []


@pytest.mark.parametrize("name", ["withdrawal-request", "mdf-use-application", "customer-registration-form"])
def test_what_if_answers_as_described(document: dict[str, Any], shipped: Caller, name: str) -> None:
    """The answer of a what-if has a schema, as those of check and compute have."""
    operation = document["paths"][f"/v1/policies/{name}/what-if"]["post"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema != {"type": "object"}, "base, changes, answer and differs are not described"
    example = next(e for p, _, e, _ in examples(document) if p == f"/v1/policies/{name}/check")["value"]
    response = shipped.post(f"/v1/policies/{name}/what-if", {**example, "changes": [{}, {"unknown": ["none.such"]}]})
    assert [e.message for e in judge(document, schema).iter_errors(response.json())] == []


def test_a_problem_fits_its_schema(document: dict[str, Any], shipped: Caller) -> None:
    schema = document["components"]["schemas"]["Problem"]
    for body, status in (({"facts": {"none": 1}, "version": 1}, 422), ({"facts": {}, "version": 99}, 404), ({}, 422), ("{", 400)):
        found = problem(shipped.post("/v1/policies/withdrawal-request/check", body), status)
        assert [e.message for e in judge(document, schema).iter_errors(found)] == []


def test_the_document_names_the_keys(document: dict[str, Any]) -> None:
    """Where keys are configured they are needed: the document says so at the operations, not only among the components."""
    schemes = document["components"]["securitySchemes"]
    named = {name for need in document.get("security", []) for name in need}
    named |= {name for _, _, operation in operations(document) for need in operation.get("security", []) for name in need}
    assert set(schemes) == named
    assert all(scheme["scheme"] == "bearer" for scheme in schemes.values())


def test_an_answer_is_made_of_nothing_else(document: dict[str, Any], shipped: Caller) -> None:
    """Every part of the answers of all examples is described."""
    described = set(document["components"]["schemas"]["Answer"]["properties"])
    reasons = set(document["components"]["schemas"]["Reason"]["properties"])
    for path, _, example, _ in examples(document):
        answer = shipped.post(path, {**example["value"], "trace": True})
        if answer.status_code == 200:
            assert set(answer.json()) <= described
            for reason in [*answer.json()["reasons"], *answer.json()["warnings"]]:
                assert set(reason) <= reasons
