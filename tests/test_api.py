"""The HTTP contract (design, section 4): decisions, catalogue, problem documents, limits, keys, receipts and the decision log."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest

from api import limits
from api import serve as serving
from api.keys import Keys, load, refuse_open
from engine.cases import case_file, flat, load_cases
from engine.decide import Program
from engine.errors import FactsError, PolicyError
from engine.types import SHANGHAI, nested
from tests.conftest import GOOD, Caller, changed, problem, release, undated, with_keys

CREDIT = "/v1/policies/credit-request"
ENDPOINTS = (f"{CREDIT}/check", f"{CREDIT}/compute", f"{CREDIT}/what-if", "/v1/decisions")
ANSWER = {"decision_id", "policy", "version", "digest", "as_of", "outcome", "reasons", "warnings", "missing", "outputs", "receipt"}


def codes(answer: dict[str, Any], part: str = "reasons") -> list[str]:
    return [r["code"] for r in answer[part]]


def pointers(document: dict[str, Any]) -> list[str]:
    return sorted(e["pointer"] for e in document["errors"])


def refused(response: httpx.Response, endpoint: str, status: int) -> dict[str, Any]:
    """The problem of a request; of its only item where a batch could be read as such."""
    if endpoint == "/v1/decisions" and response.status_code == 200:
        (item,) = response.json()["decisions"]
        assert set(item) == {"problem"}, item
        assert item["problem"]["status"] == status, item
        document: dict[str, Any] = item["problem"]
        return document
    return problem(response, status)


def body_for(endpoint: str, facts: str, more: str = "") -> str:
    """A body for one of the endpoints, as text, with facts written out."""
    if endpoint == "/v1/decisions":
        return f'{{"decisions": [{{"policy": "credit-request", "facts": {facts}, "as_of": "2025-08-01"{more}}}]}}'
    changes = ', "changes": []' if endpoint.endswith("what-if") else ""
    return f'{{"facts": {facts}, "as_of": "2025-08-01"{changes}{more}}}'


# -- one question --------------------------------------------------------------------------------------------------------------------------


def test_an_answer_has_the_parts_of_the_contract(api: Caller) -> None:
    answer = api.check("credit-request", GOOD)
    assert set(answer) >= ANSWER
    assert answer["policy"] == "credit-request"
    assert answer["version"] == 3
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", answer["digest"])
    assert answer["as_of"] == "2025-08-01T00:00:00+08:00"
    assert (answer["outcome"], answer["reasons"], answer["warnings"], answer["missing"]) == ("allowed", [], [], [])
    assert answer["outputs"] == {"rest": "2450.00", "total": "0.30", "fee": "5.00", "per_head": "16.67"}
    assert answer["receipt"]


def test_a_refusal_gives_every_reason_in_both_languages_with_source_and_facts(api: Caller) -> None:
    facts = changed(GOOD, request__amount="2500.01", customer__signed=False, customer__level="basic", customer__mobile=None)
    answer = api.check("credit-request", facts)
    assert answer["outcome"] == "denied"
    assert codes(answer) == ["over-limit", "not-signed", "basic-level"]
    assert codes(answer, "warnings") == ["no-mobile"]
    first, second, third = answer["reasons"]
    assert (first["effect"], second["effect"], third["effect"]) == ("deny", "deny", "review")
    assert first["message"] == {"en": "2500.01 is above the limit of 2500.00.", "zh": "2500.01 超过上限 2500.00。"}
    assert first["remedy"] == {"en": "Ask for less.", "zh": "请降低金额。"}
    assert first["source"]["section"] == "1.1"
    assert first["source"]["refs"] == ["S-001"]
    assert first["facts"] == {"request.amount": "2500.01"}
    assert second["facts"] == {"request.amount": "2500.01", "customer.signed": False}
    assert third["message"] == {"en": "The level is basic.", "zh": "等级为 basic。"}
    assert answer["warnings"][0]["effect"] == "warn"
    assert answer["warnings"][0]["message"]["zh"] == "没有手机号码。"
    assert answer["outputs"]["rest"] == "-0.01"


def test_unknown_facts_leave_open_only_what_they_could_change(api: Caller) -> None:
    facts = changed(GOOD)
    del facts["customer"]["signed"]
    answer = api.check("credit-request", facts)
    assert (answer["outcome"], answer["missing"]) == ("allowed", []), "a small amount needs no signature"
    facts["request"]["amount"] = "100.01"
    answer = api.check("credit-request", facts)
    assert (answer["outcome"], answer["missing"]) == ("undetermined", ["customer.signed"])
    facts["request"]["amount"] = "9000.00"
    answer = api.check("credit-request", facts)
    assert (answer["outcome"], codes(answer), answer["missing"]) == ("denied", ["over-limit"], []), "a violated deny stands, whatever is unknown"
    del facts["items"][1]["amount"]
    answer = api.check("credit-request", facts)
    assert answer["outputs"]["total"] is None
    assert answer["missing"] == ["items[1].amount"]


def test_no_facts_at_all(api: Caller) -> None:
    answer = api.check("credit-request", {})
    assert answer["outcome"] == "undetermined"
    assert set(answer["missing"]) == {"request.amount", "customer.signed", "customer.level", "items", "customer.staff"}
    assert set(answer["outputs"].values()) == {None}


def test_check_and_compute_answer_alike_where_there_is_no_machine(api: Caller) -> None:
    assert undated(api.check("credit-request", GOOD)) == undated(api.check("credit-request", GOOD, kind="compute"))


def test_a_machine_tells_the_next_state_and_the_open_events(api: Caller) -> None:
    facts = {"state": "closed", "event": "lock", "actor": {"role": "owner"}}
    answer = api.check("door-lifecycle", facts)
    assert (answer["outcome"], answer["outputs"]["next_state"]) == ("allowed", "locked")
    answer = api.check("door-lifecycle", changed(facts, actor__role="guest"))
    assert (answer["outcome"], codes(answer), answer["outputs"]["next_state"]) == ("denied", ["wrong-actor"], None)
    answer = api.check("door-lifecycle", changed(facts, state="open"))
    assert codes(answer) == ["not-open-in-state"]
    assert answer["reasons"][0]["message"] == {"en": "The event lock is not open in the state open.", "zh": "状态 open 下不能执行 lock。"}
    computed = api.check("door-lifecycle", {"state": "closed", "actor": {"role": "owner"}}, kind="compute")
    assert (computed["outcome"], computed["outputs"]["open_events"]) == ("allowed", ["lock", "open"])
    computed = api.check("door-lifecycle", {"state": "closed", "actor": {"role": "guest"}}, kind="compute")
    assert computed["outputs"]["open_events"] == ["open"]
    computed = api.check("door-lifecycle", {"actor": {"role": "guest"}}, kind="compute")
    assert (computed["outcome"], computed["outputs"]["open_events"], computed["missing"]) == ("undetermined", None, ["state"])


def test_a_fact_comes_from_the_policy_that_gives_it(api: Caller) -> None:
    facts = {"order": {"blocked": False}}
    answer = api.check("order-with-credit", {**GOOD, **facts})
    assert (answer["outcome"], answer["missing"]) == ("allowed", [])
    answer = api.check("order-with-credit", {**changed(GOOD, request__amount="2600.00"), **facts})
    assert (answer["outcome"], codes(answer)) == ("denied", ["no-credit"])
    assert answer["reasons"][0]["message"]["zh"] == "额度结果为 denied。"
    answer = api.check("order-with-credit", {**changed(GOOD, request__amount="2600.00"), **facts, "credit": {"outcome": "allowed"}})
    assert answer["outcome"] == "allowed", "a fact of the request goes first"
    answer = api.check("order-with-credit", facts)
    assert (answer["outcome"], answer["missing"]) == ("undetermined", ["credit.outcome"])


def test_a_trace_is_given_when_asked_for(api: Caller) -> None:
    assert "trace" not in api.check("credit-request", GOOD)
    traced = api.check("credit-request", GOOD, trace=True)
    assert traced["trace"]
    assert traced["receipt"] == api.check("credit-request", GOOD)["receipt"]
    machine = {"state": "closed", "actor": {"role": "owner"}}
    assert api.check("door-lifecycle", machine, kind="compute", trace=True)["outputs"] == api.check("door-lifecycle", machine, kind="compute")["outputs"]


def test_no_row_is_an_error_that_names_the_table(api: Caller) -> None:
    document = problem(api.post("/v1/policies/level-table/check", {"facts": {"count": 10}, "as_of": "2025-08-01"}), 422)
    assert "levels" in document["detail"]
    assert document["place"]["file"].endswith("level-table/v1.yaml")
    assert api.check("level-table", {"count": 9})["outputs"] == {"level": "high"}


def test_facts_may_be_dotted_or_nested_but_not_both(api: Caller) -> None:
    dotted = {"request.amount": "50.00", "customer": GOOD["customer"], "items": GOOD["items"]}
    assert undated(api.check("credit-request", dotted)) == undated(api.check("credit-request", GOOD))
    document = problem(api.post(f"{CREDIT}/check", {"facts": {**GOOD, "request.amount": "60.00"}}), 422)
    assert pointers(document) == ["/facts/request/amount"]


def test_a_blank_text_is_null(api: Caller) -> None:
    blank = api.check("credit-request", changed(GOOD, customer__mobile=" "))
    assert codes(blank, "warnings") == ["no-mobile"]
    assert undated(blank) == undated(api.check("credit-request", changed(GOOD, customer__mobile=None)))


# -- which version -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("as_of", "known_at", "version"),
    [
        ("2025-01-01", None, 1), ("2025-06-30", None, 1), ("2025-06-30T23:59:59+08:00", None, 1), ("2025-06-30T16:00:00Z", None, 3),
        ("2025-07-01", None, 3), ("2030-01-01", None, 3), ("2025-07-01", "2025-08-31", 2), ("2025-07-01", "2025-09-01", 3),
        ("2025-07-01", "2025-08-31T23:59:59+08:00", 2), ("2025-07-01", "2025-05-31", 1), ("2025-07-01", "2025-06-01", 2), ("2025-03-01", "2024-12-01", 1),
    ],
)  # fmt: skip
def test_dates_pick_the_version(api: Caller, as_of: str, known_at: str | None, version: int) -> None:
    answer = api.check("credit-request", GOOD, as_of, known_at=known_at)
    assert answer["version"] == version
    assert answer["outputs"]["rest"] == {1: "950.00", 2: "1950.00", 3: "2450.00"}[version]


def test_before_the_first_period_what_exists_is_listed(api: Caller) -> None:
    document = problem(api.post(f"{CREDIT}/check", {"facts": GOOD, "as_of": "2024-12-31"}), 404)
    assert document["exists"] == [{"version": 1, "from": "2025-01-01", "until": "2025-07-01"}, {"version": 3, "from": "2025-07-01", "until": None}]
    assert "2024-12-31" in document["detail"]
    document = problem(api.post(f"{CREDIT}/check", {"facts": GOOD, "as_of": "2025-08-01", "known_at": "2024-11-30"}), 404)
    assert document["exists"] == []
    document = problem(api.post("/v1/policies/level-table/check", {"facts": {}, "as_of": "2026-01-01"}), 404)
    assert document["exists"] == [{"version": 1, "from": "2025-01-01", "until": "2026-01-01"}]
    assert api.check("level-table", {"count": 1}, "2025-12-31T23:59:59+08:00")["version"] == 1


def test_a_draft_answers_only_when_it_is_pinned(api: Caller) -> None:
    assert api.check("credit-request", GOOD, "2026-03-01")["version"] == 3
    answer = api.check("credit-request", GOOD, "2026-03-01", version=4)
    assert (answer["version"], answer["outputs"]["rest"]) == (4, "3950.00")


def test_a_pin_goes_before_dates(api: Caller) -> None:
    for number in (1, 2, 3):
        assert api.check("credit-request", GOOD, "2020-01-01", version=number)["version"] == number


def test_unknown_policies_and_versions(api: Caller) -> None:
    for kind in ("check", "compute"):
        document = problem(api.post(f"/v1/policies/credit-requests/{kind}", {"facts": {}}), 404)
        assert "credit-request" in document["exists"]
        assert "`credit-requests`" in document["detail"]
        assert "did you mean `credit-request`?" in document["detail"]
    document = problem(api.post(f"{CREDIT}/check", {"facts": GOOD, "version": 9}), 404)
    assert document["exists"] == [1, 2, 3, 4]
    assert "9" in document["detail"]
    document = problem(api.post("/v1/policies/nothing-like-it/what-if", {"facts": {}, "changes": []}), 404)
    assert set(document["exists"]) == {"credit-request", "door-lifecycle", "level-table", "order-with-credit"}


@pytest.mark.parametrize(
    "bad", ["", "yesterday", "2025-02-30", "2025-13-01", "2025-08-01T00:00:00", "20250801", "2025-W01-1", "9999-99-99", "2025-08-01 ", "NaN"]
)
@pytest.mark.parametrize("field", ["as_of", "known_at"])
def test_an_instant_that_is_none(api: Caller, field: str, bad: str) -> None:
    for endpoint in ENDPOINTS[:3]:
        document = problem(api.post(endpoint, {"facts": GOOD, field: bad} | ({"changes": []} if endpoint.endswith("what-if") else {})), 422)
        assert pointers(document) == [f"/{field}"]
        assert "2025-01-16" in document["errors"][0]["message"]


@pytest.mark.parametrize("as_of", ["0001-01-01", "9999-12-31", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "1582-10-05"])
def test_instants_at_the_ends_of_the_calendar(api: Caller, shipped: Caller, as_of: str) -> None:
    """Answered or refused with a problem, for every shipped policy with no facts and with the facts of its first case."""
    assert api.post(f"{CREDIT}/check", {"facts": GOOD, "as_of": as_of, "version": 3}).status_code in (200, 422)
    for version in shipped.state.library.all():
        cases = load_cases(case_file(version.path))
        for facts in ({}, nested(cases[0].facts.items())):
            path = f"/v1/policies/{version.policy.id}/check"
            response = shipped.post(path, {"facts": facts, "as_of": as_of, "version": version.policy.version})
            assert response.status_code in (200, 422), f"{version.policy.name} at {as_of}: {response.text}"


# -- wrong facts ---------------------------------------------------------------------------------------------------------------------------


def test_wrong_facts_are_told_all_at_once_with_pointers(api: Caller) -> None:
    facts = {
        "request": {"amount": "1.234", "amonut": "1"}, "customer": {"level": "golden", "signed": "yes", "since": "2025-02-30", "staff": 1.5},
        "items": [{"name": "a", "amount": "-1"}, 7, {"name": None}],
    }  # fmt: skip
    document = problem(api.post(f"{CREDIT}/check", {"facts": facts}), 422)
    assert pointers(document) == sorted([
        "/facts/request/amount", "/facts/request/amonut", "/facts/customer/level", "/facts/customer/signed", "/facts/customer/since",
        "/facts/customer/staff", "/facts/items/0/amount", "/facts/items/1", "/facts/items/2/name",
    ])  # fmt: skip
    told = {e["pointer"]: e for e in document["errors"]}
    assert "2" in told["/facts/request/amount"]["message"]
    assert told["/facts/request/amonut"]["help"] == "did you mean `request.amount`?"
    assert told["/facts/customer/level"]["help"] == "did you mean `gold`?"
    assert "basic, gold" in told["/facts/customer/level"]["message"]
    assert told["/facts/items/0/amount"]["fact"] == "items[0].amount"
    assert all(e["message"] for e in document["errors"])


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("request__amount", None),
        ("request__amount", True),
        ("request__amount", "1e3"),
        ("request__amount", "+1"),
        ("request__amount", " 1"),
        ("request__amount", "1,000.00"),
        ("request__amount", "0x10"),
        ("request__amount", "١٢"),
        ("request__amount", "９"),
        ("request__amount", "-0.01"),
        ("request__amount", ""),
        ("request__amount", "1."),
        ("request__amount", ".5"),
        ("request__amount", "1_000"),
        ("request__amount", "1\n"),
        ("request__amount", []),
        ("request__amount", {"value": 1}),
        ("request__amount", "NaN"),
        ("request__amount", "Infinity"),
        ("request__amount", "9" * 100),
        ("request__amount", "0.001"),
        ("request__amount", 0.001),
        ("customer__staff", "1.0"),
        ("customer__staff", 2.5),
        ("customer__staff", -1),
        ("customer__staff", "three"),
        ("customer__level", "GOLD"),
        ("customer__level", ""),
        ("customer__level", 1),
        ("customer__level", ["gold"]),
        ("customer__signed", 1),
        ("customer__signed", "true"),
        ("customer__signed", None),
        ("customer__since", "2025-1-1"),
        ("customer__since", "2025-01-01T00:00:00+08:00"),
        ("customer__since", 20250101),
        ("customer__mobile", 13800000000),
        ("customer__mobile", "1" * 10_001),
        ("customer__mobile", ["x"]),
        ("items", {}),
        ("items", "none"),
        ("items", None),
        ("customer", "gold"),
        ("request", []),
        ("unknown", 1),
        ("items", [{}] * 10_001),
    ],
    ids=lambda v: repr(v)[:24],
)
def test_a_value_of_the_wrong_kind_is_refused_at_its_place(api: Caller, name: str, bad: Any) -> None:
    document = problem(api.post(f"{CREDIT}/check", {"facts": changed(GOOD, **{name: bad})}), 422)
    assert pointers(document) == ["/facts/" + name.replace("__", "/")]


def test_an_integer_may_not_be_larger_than_the_schema_says(api: Caller) -> None:
    schema = api.get(f"{CREDIT}/versions/3/schema").json()
    most = schema["properties"]["customer"]["properties"]["staff"]["maximum"]
    assert api.check("credit-request", changed(GOOD, customer__staff=most))["outputs"]["per_head"] == "0.00"
    document = problem(api.post(f"{CREDIT}/check", {"facts": changed(GOOD, customer__staff=most + 1)}), 422)
    assert pointers(document) == ["/facts/customer/staff"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "nan", "+1", "01", "1.", ".5", "0x10", "1e", "--1"])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_number_that_is_no_json_is_refused(api: Caller, endpoint: str, number: str) -> None:
    document = problem(api.post(endpoint, body_for(endpoint, f'{{"request": {{"amount": {number}}}}}')), 400)
    assert "JSON" in document["detail"]


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1E+400", "1e-400", "1e2", "1e99999999999", "1e999999999999999999999999", "0." + "1" * 400, "9" * 5000])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_an_absurd_number_is_refused(api: Caller, endpoint: str, number: str) -> None:
    response = api.post(endpoint, body_for(endpoint, f'{{"request": {{"amount": {number}}}}}'))
    if endpoint == "/v1/decisions" and response.status_code == 200:
        (item,) = response.json()["decisions"]
        assert item["problem"]["status"] == 422
        assert pointers(item["problem"]) in (["/facts/request/amount"], ["/facts"])
        return
    assert response.status_code in (400, 422)
    problem(response, response.status_code)


DUPLICATES = [
    '{"request": {"amount": "1.00", "amount": "2.00"}}',
    '{"request": {"amount": "1.00"}, "request": {"amount": "2.00"}}',
    '{"request": {"amount" : "1.00", "amount": "2.00"}}',
    '{"request": {"amount"\t:"1.00","amount"\t:"2.00"}}',
    '{"request": {"amount"\n:"1.00","amount"\n:"2.00"}}',
    '{"request": {"amount"\r:"1.00","amount"\r:"2.00"}}',
    '{"request": {"amount": "1.00", "\\u0061mount": "2.00"}}',
    '{"items": [{"name": "a", "amount": "1.00", "amount": "1.00"}]}',
    '{"items": [{"name": "\\":", "amount": "1.00", "amount": "1.00"}]}',
    '{"items": [{"name": "x\\"\\u003a", "amount": "1.00", "amount": "2.00"}]}',
    '{"items": [{"name": "x\\u0022:", "amount": "1.00", "amount": "2.00"}]}',
]


@pytest.mark.parametrize("facts", DUPLICATES)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_duplicate_keys_are_refused(api: Caller, endpoint: str, facts: str) -> None:
    document = refused(api.post(endpoint, body_for(endpoint, facts)), endpoint, 400)
    assert "twice" in document["detail"]
    assert "`request`" in document["detail"] or "`amount`" in document["detail"]


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_duplicate_keys_of_the_request_itself_are_refused(api: Caller, endpoint: str) -> None:
    for more in (', "version": 1, "version": 2', ', "version": 1, "versi\\u006fn": 2', ', "trace": true, "trace": false', ', "as_of": null'):
        document = refused(api.post(endpoint, body_for(endpoint, "{}", more)), endpoint, 400)
        assert "`version`" in document["detail"] or "`trace`" in document["detail"] or "`as_of`" in document["detail"]


def test_duplicate_keys_around_a_batch_and_in_a_change_are_refused(api: Caller) -> None:
    item = '{"policy": "level-table", "facts": {"count": 1}, "version": 1}'
    for again in ("decisions", "decisi\\u006fns"):
        assert "`decisions`" in problem(api.post("/v1/decisions", f'{{"decisions": [{item}], "{again}": []}}'), 400)["detail"]
    for change in (
        '{"version": 1, "version": 2}',
        '{"facts": {"count": 1, "count": 2}}',
        '{"parameters": {"a": 1, "a": 2}}',
        '{"name": "x\\"\\u003a", "facts": {}, "facts": {}}',
    ):
        document = problem(api.post("/v1/policies/level-table/what-if", f'{{"facts": {{}}, "version": 1, "changes": [{change}]}}'), 400)
        assert "twice" in document["detail"]


@pytest.mark.parametrize("depth", [limits.JSON_DEPTH + 2, 300, 900, 5000, 100_000])
@pytest.mark.parametrize("opening", ['{"a":', "["])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_nesting_deeper_than_the_limit_is_refused(api: Caller, endpoint: str, opening: str, depth: int) -> None:
    """limits.py: all limits are checked before anything is evaluated."""
    closing = "}" if opening == '{"a":' else "]"
    deep = opening * depth + "1" + closing * depth
    document = refused(api.post(endpoint, body_for(endpoint, f'{{"items": {deep}}}')), endpoint, 400)
    assert "deep" in document["detail"]


def test_deep_facts_of_a_change_are_refused(api: Caller) -> None:
    deep = '{"a":' * 900 + "1" + "}" * 900
    document = problem(api.post(f"{CREDIT}/what-if", f'{{"facts": {{}}, "changes": [{{"facts": {deep}}}]}}'), 400)
    assert "deep" in document["detail"]


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_body_that_is_too_large_is_refused(api: Caller, endpoint: str) -> None:
    limit = limits.BATCH_BYTES if endpoint == "/v1/decisions" else limits.BODY_BYTES
    document = problem(api.post(endpoint, b'{"facts":"' + b"x" * limit), 413)
    assert str(limit) in document["detail"]


def test_too_many_items_and_changes_are_refused(api: Caller) -> None:
    item = {"policy": "level-table", "facts": {"count": 1}, "as_of": "2025-08-01"}
    document = problem(api.post("/v1/decisions", {"decisions": [item] * (limits.BATCH_ITEMS + 1)}), 413)
    assert str(limits.BATCH_ITEMS) in document["detail"]
    document = problem(api.post(f"{CREDIT}/what-if", {"facts": {}, "changes": [{}] * (limits.WHAT_IF_CHANGES + 1)}), 413)
    assert str(limits.WHAT_IF_CHANGES) in document["detail"]
    answers = api.post("/v1/decisions", {"decisions": [item] * limits.BATCH_ITEMS}).json()["decisions"]
    assert len(answers) == limits.BATCH_ITEMS
    assert {a["outputs"]["level"] for a in answers} == {"low"}


@pytest.mark.parametrize(
    "body", [b"", b" ", b"{", b"facts", b"{'facts': {}}", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf{}", b"// x", b'{"facts"'], ids=repr,
)  # fmt: skip
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_what_is_not_json_is_refused(api: Caller, endpoint: str, body: bytes) -> None:
    assert "JSON" in problem(api.post(endpoint, body), 400)["detail"]


@pytest.mark.parametrize("facts", ['{"a": "\\ud800"}', '{"a": "\n"}', '{"a": 1,}', "{a: 1}", '{"a": tru}', '{"a": "\\x41"}', "{} x"], ids=repr)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_facts_that_are_not_json_are_refused(api: Caller, endpoint: str, facts: str) -> None:
    problem(api.post(endpoint, body_for(endpoint, facts)), 400)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_what_stands_before_or_after_the_json_is_refused(api: Caller, endpoint: str) -> None:
    body = body_for(endpoint, "{}").encode()
    for bad in (
        body[:-1],
        body + b"x",
        body + body,
        body + b"\x00",
        b"\xef\xbb\xbf" + body,
        body.replace(b"{}", b'{"a": "\xff"}'),
        body.decode().encode("utf-16"),
    ):
        refused(api.post(endpoint, bad), endpoint, 400)


@pytest.mark.parametrize(
    "body", ["null", "[]", "1", '"facts"', "true", "{}", '{"facts": null}', '{"facts": []}', '{"facts": {}, "fact": {}}', '{"decisions": {}}']
)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_json_of_another_shape_is_refused(api: Caller, endpoint: str, body: str) -> None:
    document = problem(api.post(endpoint, body), 422)
    assert document["errors"]


@pytest.mark.parametrize(
    ("field", "bad"),
    [("version", "1"), ("version", 1.5), ("version", True), ("as_of", 20250801), ("known_at", False), ("trace", "yes"), ("trace", 1), ("facts", "{}")],
)
def test_a_field_of_another_type_is_told_with_its_pointer(api: Caller, field: str, bad: Any) -> None:
    document = problem(api.post(f"{CREDIT}/check", {"facts": GOOD, field: bad}), 422)
    assert pointers(document) == [f"/{field}"]


@pytest.mark.parametrize("version", [0, -1, 10**20, 5])
def test_a_pin_that_is_no_version_lists_the_versions(api: Caller, version: int) -> None:
    response = api.post(f"{CREDIT}/check", {"facts": GOOD, "version": version})
    assert response.status_code in (404, 422)
    document = problem(response, response.status_code)
    assert document.get("exists") == [1, 2, 3, 4] or pointers(document) == ["/version"]


@pytest.mark.parametrize(
    ("path", "body", "status", "kind"),
    [
        (f"{CREDIT}/check", b"{", 400, "request"),
        (f"{CREDIT}/check", {"facts": 1}, 422, "request"),
        (f"{CREDIT}/check", {"facts": {}, "as_of": "soon"}, 422, "request"),
        (f"{CREDIT}/check", {"facts": {"x": 1}}, 422, "facts"),
        (f"{CREDIT}/check", {"facts": {}, "version": 9}, 404, "unknown-version"),
        (f"{CREDIT}/check", {"facts": {}, "as_of": "2020-01-01"}, 404, "unknown-version"),
        ("/v1/policies/none/check", {"facts": {}}, 404, "unknown-policy"),
        ("/v1/none", {}, 404, "unknown-path"),
        (f"{CREDIT}", {}, 405, "method"),
        (f"{CREDIT}/what-if", {"facts": {}, "changes": [{}] * 101}, 413, "too-many"),
        (f"{CREDIT}/check", b" " * (limits.BODY_BYTES + 1), 413, "too-large"),
        ("/v1/policies/level-table/check", {"facts": {"count": 10}, "version": 1}, 422, "no-row-matched"),
        (f"{CREDIT}/check", {"facts": {"customer": {"staff": 0}, "request": {"amount": 1}}, "version": 1}, 422, "division-by-zero"),
    ],
)
def test_the_type_of_a_problem_is_documented(api: Caller, path: str, body: Any, status: int, kind: str) -> None:
    """The table of docs/api.md."""
    assert problem(api.post(path, body), status)["type"] == f"urn:policy:problem:{kind}"


def test_an_unknown_key_of_the_request_is_named(api: Caller) -> None:
    document = problem(api.post(f"{CREDIT}/check", {"facts": GOOD, "asof": "2025-01-01"}), 422)
    assert "asof" in json.dumps(document["errors"])


def test_another_media_type_does_no_harm(api: Caller) -> None:
    """The body is judged by what it holds; a body that says it is a form is answered or refused, never a fault of the service."""
    response = api.post(f"{CREDIT}/check", {"facts": GOOD, "as_of": "2025-08-01"}, headers={"content-type": "text/plain"})
    assert response.status_code in (200, 415)
    response = api.post(f"{CREDIT}/check", b"facts=1", headers={"content-type": "application/x-www-form-urlencoded"})
    assert response.status_code in (400, 415)
    problem(response, response.status_code)


def test_facts_are_never_code(api: Caller) -> None:
    for text in ("__import__('os').system('x')", "{request.amount}", "${jndi:ldap://127.0.0.1}", "{{7*7}}", "{0.__class__}", "%s%n", "'; DROP TABLE x; --"):
        answer = api.check("credit-request", changed(GOOD, items=[{"name": text, "amount": "1.00"}], customer__mobile=text, customer__level="basic"))
        assert answer["outputs"]["total"] == "1.00"
        document = problem(api.post(f"{CREDIT}/check", {"facts": changed(GOOD, request__amount=text)}), 422)
        assert pointers(document) == ["/facts/request/amount"]


# -- paths and methods ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["/", "/v1", "/v2/policies", "/v1/policies/credit-request/nothing", "/v1/policies/credit-request/versions", "/favicon.ico", "/%00", "/v1/decisions/x"],
)
def test_an_unknown_path(api: Caller, path: str) -> None:
    document = problem(api.get(path), 404)
    assert document["type"].endswith("unknown-path")
    problem(api.post(path, {}), 404)


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_decisions_are_asked_with_post(api: Caller, path: str, method: str) -> None:
    response = api.request(method, path)
    problem(response, 405)
    assert "POST" in response.headers["allow"]


@pytest.mark.parametrize(
    "path", ["/v1/policies", CREDIT, f"{CREDIT}/versions/1", f"{CREDIT}/versions/1/schema", f"{CREDIT}/diff?from=1&to=2", "/healthz", "/readyz", "/metrics"]
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_the_catalogue_is_only_read(api: Caller, path: str, method: str) -> None:
    response = api.request(method, path)
    problem(response, 405)
    assert "GET" in response.headers["allow"]


@pytest.mark.parametrize(
    "name", ["..%2f..%2fetc", "%2e%2e", "credit-request%00", "Credit-Request", "credit_request", "a" * 3000, "%E4%BD%99%E9%A2%9D", "{policy}"]
)
def test_a_strange_policy_name_is_unknown(api: Caller, name: str) -> None:
    problem(api.post(f"/v1/policies/{name}/check", {"facts": {}}), 404)
    problem(api.get(f"/v1/policies/{name}"), 404)


# -- many at once --------------------------------------------------------------------------------------------------------------------------


def test_a_batch_answers_in_order_and_one_bad_item_does_not_fail_the_rest(api: Caller) -> None:
    items: list[Any] = [
        {"policy": "credit-request", "facts": GOOD, "as_of": "2025-08-01"},
        {"policy": "credit-request", "facts": {"request": {"amount": "x"}}, "as_of": "2025-08-01"},
        {"policy": "no-such", "facts": {}},
        {"policy": "credit-request", "facts": GOOD, "as_of": "2020-01-01"},
        {"policy": "credit-request", "facts": GOOD, "version": 77},
        {"policy": "level-table", "facts": {"count": 50}, "as_of": "2025-08-01"},
        {"facts": {}}, 7, None, [], {"policy": "credit-request", "facts": GOOD, "more": 1}, {"policy": "credit-request", "facts": GOOD, "ask": "delete"},
        {"policy": "credit-request", "facts": GOOD, "as_of": "tomorrow"},
        {"policy": "door-lifecycle", "ask": "compute", "facts": {"state": "open", "actor": {"role": "guest"}}, "as_of": "2025-08-01"},
        {"policy": "credit-request", "facts": GOOD, "as_of": "2025-03-01", "trace": True},
    ]  # fmt: skip
    answers = api.post("/v1/decisions", {"decisions": items}).json()["decisions"]
    assert len(answers) == len(items)
    assert undated(answers[0]) == undated(api.check("credit-request", GOOD))
    assert answers[13]["outputs"]["open_events"] == ["close"]
    assert answers[14]["version"] == 1
    assert answers[14]["trace"]
    statuses = [a["problem"]["status"] if "problem" in a else 200 for a in answers]
    assert statuses == [200, 422, 404, 404, 404, 422, 422, 422, 422, 422, 422, 422, 422, 200, 200]
    assert pointers(answers[1]["problem"]) == ["/facts/request/amount"]
    assert "credit-request" in answers[2]["problem"]["exists"]
    assert answers[4]["problem"]["exists"] == [1, 2, 3, 4]
    assert pointers(answers[11]["problem"]) == ["/ask"]
    assert pointers(answers[12]["problem"]) == ["/as_of"]
    assert len({a["decision_id"] for a in answers if "problem" not in a}) == 3


def test_an_empty_batch_has_no_answers(api: Caller) -> None:
    assert api.post("/v1/decisions", {"decisions": []}).json() == {"decisions": []}


def test_a_batch_says_what_single_questions_say(shipped: Caller) -> None:
    """The first three cases of every shipped version, in one call and one by one."""
    items = []
    for version in shipped.state.library.all():
        for case in load_cases(case_file(version.path))[:3]:
            question = {"policy": version.policy.id, "version": version.policy.version, "ask": case.ask, "as_of": case.as_of.isoformat()}
            items.append({**question, "facts": json.loads(json.dumps(nested(case.facts.items())))})
    together = shipped.post("/v1/decisions", {"decisions": items}).json()["decisions"]
    for item, answer in zip(items, together, strict=True):
        alone = shipped.post(f"/v1/policies/{item['policy']}/{item['ask']}", {k: item[k] for k in ("facts", "as_of", "version")})
        if "problem" in answer:
            assert problem(alone, answer["problem"]["status"]) == answer["problem"]
        else:
            assert undated(alone.json()) == undated(answer)


# -- what if -------------------------------------------------------------------------------------------------------------------------------


def test_what_if_tells_what_differs(api: Caller) -> None:
    changes: list[dict[str, Any]] = [
        {"name": "nothing"}, {"name": "more", "facts": {"request": {"amount": "2600.00"}}}, {"name": "dotted", "facts": {"customer.level": "basic"}},
        {"name": "no signature known", "facts": {"request.amount": "200.00"}, "unknown": ["customer.signed"]},
        {"name": "a lower limit", "parameters": {"limit": "40.00"}}, {"name": "the first version", "version": 1}, {"name": "the draft", "version": 4},
        {"name": "all at once", "version": 1, "facts": {"request": {"amount": "500.00"}}, "parameters": {"limit": "400.00"}, "unknown": ["customer.mobile"]},
    ]  # fmt: skip
    found = api.post(f"{CREDIT}/what-if", {"facts": GOOD, "as_of": "2025-08-01", "changes": changes}).json()
    assert undated(found["base"]) == undated(api.check("credit-request", GOOD))
    assert [c["name"] for c in found["changes"]] == [c["name"] for c in changes]
    assert [c["index"] for c in found["changes"]] == list(range(len(changes)))
    nothing, more, dotted, open_, lower, first, draft, both = (c["differs"] for c in found["changes"])
    assert nothing == {}
    assert more == {
        "outcome": {"base": "allowed", "changed": "denied"}, "reasons": {"gone": [], "new": ["over-limit"]},
        "outputs": {"rest": {"base": "2450.00", "changed": "-100.00"}, "fee": {"base": "5.00", "changed": "260.00"},
                    "per_head": {"base": "16.67", "changed": "866.67"}},
    }  # fmt: skip
    assert dotted == {"outcome": {"base": "allowed", "changed": "review"}, "reasons": {"gone": [], "new": ["basic-level"]}}
    assert open_["outcome"] == {"base": "allowed", "changed": "undetermined"}
    assert open_["missing"] == {"gone": [], "new": ["customer.signed"]}
    assert lower["reasons"] == {"gone": [], "new": ["over-limit"]}
    assert lower["outputs"] == {"rest": {"base": "2450.00", "changed": "-10.00"}}
    assert first == {"outputs": {"rest": {"base": "2450.00", "changed": "950.00"}}}
    assert draft == {"outputs": {"rest": {"base": "2450.00", "changed": "3950.00"}}}
    assert both["reasons"]["new"] == ["over-limit"]
    answers = [c["answer"] for c in found["changes"]]
    assert [a["version"] for a in answers] == [3, 3, 3, 3, 3, 1, 4, 1]
    assert answers[0]["receipt"] == found["base"]["receipt"]
    assert len({a["receipt"] for a in answers}) == len(answers), "a changed fact, parameter or version changes the receipt"
    assert answers[1]["reasons"][0]["message"]["en"] == "2600.00 is above the limit of 2500.00."
    assert answers[4]["reasons"][0]["message"]["zh"] == "50.00 超过上限 40.00。"


def test_what_if_answers_equal_questions_asked_alone(api: Caller) -> None:
    change = {"facts": {"request": {"amount": "2600.00"}, "customer": {"level": "basic"}}, "unknown": ["items"]}
    found = api.post(f"{CREDIT}/what-if", {"facts": GOOD, "as_of": "2025-08-01", "changes": [change, {"version": 2}]}).json()
    alone = changed(GOOD, request__amount="2600.00", customer__level="basic")
    del alone["items"]
    assert undated(found["changes"][0]["answer"]) == undated(api.check("credit-request", alone))
    assert undated(found["changes"][1]["answer"]) == undated(api.check("credit-request", GOOD, version=2))


def test_one_bad_change_does_not_fail_the_rest(api: Caller) -> None:
    changes: list[dict[str, Any]] = [
        {"facts": {"request": {"amount": "x"}}}, {"unknown": ["customer.nothing"]}, {"parameters": {"limti": "1.00"}}, {"parameters": {"limit": "1.234"}},
        {"parameters": {"limit": None}}, {"parameters": {"limit": [1]}}, {"version": 66}, {"facts": {"order": 1}}, {"parameters": {"rate": 1.5}},
    ]  # fmt: skip
    found = api.post(f"{CREDIT}/what-if", {"facts": GOOD, "as_of": "2025-08-01", "changes": changes}).json()["changes"]
    statuses = [c["problem"]["status"] if "problem" in c else 200 for c in found]
    assert statuses == [422, 404, 422, 422, 422, 422, 404, 422, 200]
    assert "customer.nothing" in found[1]["problem"]["detail"]
    assert found[2]["problem"]["errors"][0]["help"] == "did you mean `limit`?"
    assert [pointers(found[i]["problem"]) for i in (2, 3, 4, 5)] == [["/changes/2/parameters/limti"], *([f"/changes/{i}/parameters/limit"] for i in (3, 4, 5))]
    assert found[6]["problem"]["exists"] == [1, 2, 3, 4]
    assert found[8]["answer"]["outputs"]["fee"] == "75.00"


def test_the_base_of_a_what_if_is_judged_as_any_question(api: Caller) -> None:
    document = problem(api.post(f"{CREDIT}/what-if", {"facts": {"request": {"amount": "x"}}, "changes": [{}]}), 422)
    assert pointers(document) == ["/facts/request/amount"]
    document = problem(api.post(f"{CREDIT}/what-if", {"facts": GOOD, "as_of": "2020-01-01", "changes": []}), 404)
    assert document["exists"]


def test_what_if_of_a_machine_and_of_a_policy_that_uses_another(api: Caller) -> None:
    body: dict[str, Any] = {
        "facts": {"state": "closed", "actor": {"role": "guest"}},
        "as_of": "2025-08-01",
        "ask": "compute",
        "changes": [{"facts": {"actor.role": "owner"}}],
    }
    found = api.post("/v1/policies/door-lifecycle/what-if", body).json()
    assert found["changes"][0]["differs"]["outputs"]["open_events"] == {"base": ["open"], "changed": ["lock", "open"]}
    body = {"facts": {**GOOD, "order": {"blocked": False}}, "as_of": "2025-08-01", "changes": [{"facts": {"request": {"amount": "9000.00"}}}]}
    found = api.post("/v1/policies/order-with-credit/what-if", body).json()
    assert found["base"]["outcome"] == "allowed"
    assert found["changes"][0]["differs"]["reasons"] == {"gone": [], "new": ["no-credit"]}


def test_what_if_wants_a_known_question(api: Caller) -> None:
    for ask in ("delete", ""):
        document = problem(api.post(f"{CREDIT}/what-if", {"facts": GOOD, "as_of": "2025-08-01", "ask": ask, "changes": []}), 422)
        assert pointers(document) == ["/ask"]


def test_a_what_if_of_a_list_item(api: Caller) -> None:
    """Cases may leave out a field of a list item (`items[0].amount`), and answers name it so: a what-if takes the same name."""
    body = {"facts": GOOD, "as_of": "2025-08-01", "changes": [{"unknown": ["items[0].amount"]}]}
    (change,) = api.post(f"{CREDIT}/what-if", body).json()["changes"]
    assert change["answer"]["missing"] == ["items[0].amount"]
    assert change["differs"]["outputs"] == {"total": {"base": "0.30", "changed": None}}


# -- catalogue -----------------------------------------------------------------------------------------------------------------------------


def test_the_catalogue_lists_policies_and_versions(api: Caller) -> None:
    listed = api.get("/v1/policies").json()["policies"]
    assert [p["policy"] for p in listed] == ["credit-request", "door-lifecycle", "level-table", "order-with-credit"]
    credit = listed[0]
    assert credit["title"] == {"en": "Asking for credit", "zh": "申请额度"}
    assert credit["family"] == "samples"
    assert sorted(credit["forms"]) == ["check", "compute"]
    assert listed[3]["uses"] == ["credit-request"]
    assert [(v["version"], v["status"], v["supersedes"]) for v in credit["versions"]] == [
        (1, "released", None),
        (2, "released", None),
        (3, "released", 2),
        (4, "draft", None),
    ]
    assert credit["versions"][2]["released_at"].startswith("2025-09-01T00:00:00")
    assert credit["versions"][2]["released_by"] == "owner"
    assert credit["versions"][3]["released_at"] is None
    level = listed[2]["versions"][0]
    assert (level["effective_from"], level["effective_until"]) == ("2025-01-01", "2026-01-01")


def test_one_policy_shows_its_periods_as_they_were_known(api: Caller) -> None:
    found = api.get(CREDIT).json()
    first = {"version": 1, "from": "2025-01-01", "until": "2025-07-01"}
    assert found["in_force"] == [first, {"version": 3, "from": "2025-07-01", "until": None}]
    found = api.get(CREDIT, params={"known_at": "2025-08-01"}).json()
    assert found["in_force"] == [first, {"version": 2, "from": "2025-07-01", "until": None}]
    found = api.get(CREDIT, params={"known_at": "2025-01-01"}).json()
    assert found["in_force"] == [{"version": 1, "from": "2025-01-01", "until": None}]
    document = problem(api.get(CREDIT, params={"known_at": "soon"}), 422)
    assert "known_at" in document["errors"][0]["pointer"]


def test_a_version_is_shown_as_data(api: Caller) -> None:
    found = api.get(f"{CREDIT}/versions/2").json()
    assert (found["policy"], found["version"], found["status"]) == ("credit-request", 2, "released")
    assert found["rules"]["parameters"]["limit"]["value"] == "2000.00"
    assert [r["code"] for r in found["rules"]["requirements"]] == ["over-limit", "not-signed", "basic-level", "no-mobile"]
    assert found["digest"] == "sha256:" + hashlib.sha256((api.state.root / "samples/credit-request/v2.yaml").read_bytes()).hexdigest()
    document = problem(api.get(f"{CREDIT}/versions/7"), 404)
    assert document["exists"] == [1, 2, 3, 4]
    problem(api.get(f"{CREDIT}/versions/x"), 422)
    problem(api.get("/v1/policies/none/versions/1"), 404)
    problem(api.get(f"{CREDIT}/versions/-1"), 404)
    problem(api.get(f"{CREDIT}/versions/{10**30}"), 404)


def test_the_schema_of_the_facts(api: Caller) -> None:
    schema = api.get(f"{CREDIT}/versions/3/schema").json()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema_rs.meta.validate(schema)
    judge = jsonschema_rs.validator_for(schema)
    assert judge.is_valid(GOOD)
    assert judge.is_valid({}), "what is absent is unknown"
    for name, bad in (
        ("request__amount", "x"),
        ("request__amount", "1.234"),
        ("customer__level", "none"),
        ("items", {}),
        ("unknown", 1),
        ("customer__staff", -1),
    ):
        assert not judge.is_valid(changed(GOOD, **{name: bad})), name
    problem(api.get(f"{CREDIT}/versions/9/schema"), 404)


def test_the_facts_of_all_shipped_cases_fit_their_schemas(shipped: Caller) -> None:
    """With numbers written as the schema asks. Facts that are refused do not fit."""
    misfits = []
    for version in shipped.state.library.all():
        name = version.policy.name
        schema = shipped.get(f"/v1/policies/{version.policy.id}/versions/{version.policy.version}/schema").json()
        jsonschema_rs.meta.validate(schema)
        judge = jsonschema_rs.validator_for(schema)
        also = version.program.also(shipped.state.library.resolver(load_cases(case_file(version.path))[0].as_of, None)) - set(version.policy.facts)
        for case in load_cases(case_file(version.path)):
            own = {n: v for n, v in case.facts.items() if n not in also}
            refused = _refused(version.program, own)
            if judge.is_valid(_as_text(nested(own.items()), schema)) == refused:
                misfits.append(f"{name}: {case.name}: " + "; ".join(e.message[:100] for e in judge.iter_errors(nested(own.items()))))
    assert misfits == []


def _refused(program: Program, facts: dict[str, Any]) -> bool:
    try:
        program.reader.slots(nested(facts.items()))
    except FactsError:
        return True
    return False


def _as_text(value: Any, schema: dict[str, Any]) -> Any:
    """Numbers as decimal text where the schema asks for text with a pattern; blank texts as null."""
    for option in schema.get("anyOf", [schema]):
        if isinstance(value, dict) and "properties" in option:
            value = nested(flat(value).items())
            return {k: _as_text(v, option["properties"].get(k, {})) for k, v in value.items()}
        if isinstance(value, list) and "items" in option:
            return [_as_text(v, option["items"]) for v in value]
        if option.get("x-type") and isinstance(value, (int, Decimal)) and not isinstance(value, bool):
            return str(value)
        if option.get("type") == "integer" and isinstance(value, str) and value.isdigit():
            return int(value)
    if isinstance(value, str) and not value.strip() and any(o.get("type") == "null" for o in schema.get("anyOf", ())):
        return None
    return value


def test_the_difference_of_two_versions(api: Caller) -> None:
    found = api.get(f"{CREDIT}/diff", params={"from": 1, "to": 2}).json()
    assert (found["policy"], found["from"], found["to"]) == ("credit-request", 1, 2)
    (parameter,) = found["parameters"]
    assert (parameter["name"], parameter["change"]) == ("limit", "changed")
    assert (parameter["before"]["value"], parameter["after"]["value"]) == ("1000.00", "2000.00")
    assert found["effective"] == {"before": {"from": "2025-01-01"}, "after": {"from": "2025-07-01"}}
    for part in ("facts", "formulas", "tables", "scales", "outputs", "requirements", "transitions", "texts", "cases"):
        assert found[part] == [], part
    same = api.get(f"{CREDIT}/diff", params={"from": 2, "to": 2}).json()
    assert same["parameters"] == []
    document = problem(api.get(f"{CREDIT}/diff", params={"from": 1, "to": 9}), 404)
    assert document["exists"] == [1, 2, 3, 4]
    document = problem(api.get(f"{CREDIT}/diff"), 422)
    assert len(document["errors"]) == 2
    problem(api.get(f"{CREDIT}/diff", params={"from": "a", "to": "b"}), 422)
    problem(api.get("/v1/policies/none/diff", params={"from": 1, "to": 2}), 404)


def test_every_shipped_version_is_in_the_catalogue(shipped: Caller) -> None:
    listed = {(p["policy"], v["version"]): v for p in shipped.get("/v1/policies").json()["policies"] for v in p["versions"]}
    assert set(listed) == {(v.policy.id, v.policy.version) for v in shipped.state.library.all()}
    for policy, number in listed:
        found = shipped.get(f"/v1/policies/{policy}/versions/{number}")
        assert found.status_code == 200, found.text
        assert found.json()["rules"]["policy"] == policy
        if number > 1:
            compared = shipped.get(f"/v1/policies/{policy}/diff", params={"from": number - 1, "to": number})
            assert compared.status_code == 200, compared.text


# -- exact money ---------------------------------------------------------------------------------------------------------------------------


def test_a_tenth_and_two_tenths_are_three_tenths(api: Caller) -> None:
    for a, b in (("0.1", "0.2"), (0.1, 0.2), ("0.10", 0.2)):
        items = [{"name": "a", "amount": a}, {"name": "b", "amount": b}]
        assert api.check("credit-request", changed(GOOD, items=items))["outputs"]["total"] == "0.30"
    items = [{"name": str(i), "amount": "0.01"} for i in range(1000)]
    assert api.check("credit-request", changed(GOOD, items=items))["outputs"]["total"] == "10.00"


@pytest.mark.parametrize(
    "amount", ["9007199254740993.55", "9007199254740992.01", "999999999999999999.99", "0.01", "1.10", "1.1", "100", "0", "0.00", "33.33", "1.005"[:4]]
)
def test_json_numbers_and_texts_give_the_same_answer(api: Caller, amount: str) -> None:
    facts = json.dumps(changed(GOOD, request__amount="@"))
    ask = '{"facts": %s, "as_of": "2025-08-01"}'
    number, text = (api.post(f"{CREDIT}/check", ask % facts.replace('"@"', shown)) for shown in (amount, f'"{amount}"'))
    assert (number.status_code, text.status_code) == (200, 200), number.text
    assert undated(number.json()) == undated(text.json())
    assert number.json()["outputs"]["rest"] == str((Decimal("2500.00") - Decimal(amount)).quantize(Decimal("0.01")))
    if Decimal(amount) > 2500:
        assert number.json()["reasons"][0]["message"]["en"] == f"{Decimal(amount):.2f} is above the limit of 2500.00."


def test_amounts_written_otherwise_are_the_same_question(api: Caller) -> None:
    answers = [api.check("credit-request", changed(GOOD, request__amount=a)) for a in ("50", "50.0", "50.00", 50, 50.0, "050.00")]
    assert len({json.dumps(undated(a), sort_keys=True) for a in answers}) == 1


def test_rounding_is_half_up_where_the_rules_say_so(api: Caller) -> None:
    assert api.check("credit-request", changed(GOOD, request__amount="0.05"))["outputs"]["fee"] == "0.01"
    assert api.check("credit-request", changed(GOOD, request__amount="0.04"))["outputs"]["fee"] == "0.00"
    assert api.check("credit-request", changed(GOOD, request__amount="100.00", customer__staff=3))["outputs"]["per_head"] == "33.33"
    document = problem(api.post(f"{CREDIT}/check", {"facts": changed(GOOD, customer__staff=0), "as_of": "2025-08-01"}), 422)
    assert "zero" in document["detail"] or "by 0" in document["detail"]


# -- receipts ------------------------------------------------------------------------------------------------------------------------------


def test_equal_questions_have_equal_receipts_and_ids_of_their_own(api: Caller) -> None:
    a, b = api.check("credit-request", GOOD), api.check("credit-request", GOOD)
    assert undated(a) == undated(b)
    assert a["decision_id"] != b["decision_id"]
    other_order = {k: GOOD[k] for k in reversed(GOOD)}
    assert api.check("credit-request", other_order)["receipt"] == a["receipt"]
    assert api.check("credit-request", GOOD, version=3)["receipt"] == a["receipt"]
    assert api.check("credit-request", GOOD, "2025-08-01T00:00:00+08:00")["receipt"] == a["receipt"]
    assert api.check("credit-request", GOOD, "2025-07-31T16:00:00+00:00")["receipt"] == a["receipt"]


def test_a_changed_fact_instant_or_version_changes_the_receipt(api: Caller) -> None:
    asked: list[tuple[dict[str, Any], dict[str, Any]]] = [
        (GOOD, {}), (GOOD, {"as_of": "2025-08-02"}), (GOOD, {"as_of": "2025-08-01T00:00:01+08:00"}), (GOOD, {"version": 1}), (GOOD, {"version": 2}),
        (changed(GOOD, request__amount="50.01"), {}), (changed(GOOD, customer__since="2024-03-01"), {}), (changed(GOOD, customer__since=None), {}),
        (changed(GOOD, customer__mobile="13800000001"), {}), (changed(GOOD, items=[]), {}), (changed(GOOD, items=GOOD["items"][::-1]), {}),
        ({k: v for k, v in GOOD.items() if k != "items"}, {}), ({**GOOD, "customer": {k: v for k, v in GOOD["customer"].items() if k != "since"}}, {}),
    ]  # fmt: skip
    receipts = [api.check("credit-request", facts, **more)["receipt"] for facts, more in asked]
    assert len(set(receipts)) == len(receipts)


def test_a_receipt_can_be_made_without_the_service(api: Caller) -> None:
    """docs/api.md: the used digests, the facts in the order of their names, and the answer; unknown and null differ."""
    facts = changed(GOOD, customer__since=None, request__amount=50)
    del facts["customer"]["signed"]
    answer = api.check("credit-request", facts)
    read = ["gold", "13800000000", {"unknown": True}, None, 3, [["a", "0.10"], ["b", "0.20"]], "50.00"]
    sealed = {k: v for k, v in answer.items() if k not in ("decision_id", "trace", "receipt")}
    text = json.dumps([[], read, sealed], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert answer["receipt"] == "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def test_the_receipt_of_a_policy_that_uses_another_changes_with_it(root: Path, caller: Caller) -> None:
    facts = {**GOOD, "order": {"blocked": False}}
    before = caller.check("order-with-credit", facts, "2025-08-01", known_at="2025-08-31")
    after = caller.check("order-with-credit", facts, "2025-08-01", known_at="2025-09-01")
    assert (before["outcome"], after["outcome"]) == ("allowed", "allowed")
    assert before["receipt"] != after["receipt"], "another version of the used policy gave the answer"


def test_another_process_gives_the_same_receipt(api: Caller, caller: Caller) -> None:
    """The same rule bytes read by another service."""
    assert undated(api.check("credit-request", GOOD)) == undated(caller.check("credit-request", GOOD))


# -- the decision log ----------------------------------------------------------------------------------------------------------------------


def lines(path: Path, caller: Caller) -> list[dict[str, Any]]:
    """The lines of the log, once all are written."""
    assert caller.app.log is not None
    caller.app.log.close()
    caller.app.log = None
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def replay(caller: Caller, line: dict[str, Any]) -> dict[str, Any]:
    more = {k: line[k] for k in ("version", "known_at")}
    return caller.check(line["policy"], line["facts"], line["as_of"], kind=line["ask"], **more)


def test_every_decision_is_logged_and_replays_to_the_same_receipt(logged: tuple[Caller, Path]) -> None:
    caller, path = logged
    open_ = {**GOOD, "customer": {k: v for k, v in GOOD["customer"].items() if k not in ("mobile", "signed")}}
    answers = [
        caller.check("credit-request", open_),
        caller.check("credit-request", open_, known_at="2025-08-31"),
        caller.check("credit-request", open_, version=4),
        caller.check("credit-request", changed(open_, request__amount=9007199254740993)),
        caller.check("credit-request", changed(open_, request__amount=0.1)),
        caller.check("door-lifecycle", {"state": "closed", "actor": {"role": "owner"}}, kind="compute"),
        caller.check("order-with-credit", {**open_, "order.blocked": True}),
    ]
    now = caller.post(f"{CREDIT}/check", {"facts": open_}).json()
    batch = caller.post(
        "/v1/decisions", {"decisions": [{"policy": "level-table", "facts": {"count": 7}, "as_of": "2025-08-01"}, {"policy": "none", "facts": {}}]}
    )
    answers += [now, batch.json()["decisions"][0]]
    caller.post(f"{CREDIT}/check", {"facts": {"request": 1}})
    written = lines(path, caller)
    assert [w["decision_id"] for w in written] == [a["decision_id"] for a in answers], "each decision once, in order; problems are none"
    for line, answer in zip(written, answers, strict=True):
        assert line["receipt"] == answer["receipt"]
        assert (line["outcome"], line["reasons"], line["missing"], line["outputs"]) == (answer["outcome"], codes(answer), answer["missing"], answer["outputs"])
        assert line["digest"] == answer["digest"]
        again = replay(caller, line)
        assert undated(again) == undated(answer)


def test_the_log_masks_sensitive_facts(logged: tuple[Caller, Path]) -> None:
    caller, path = logged
    secret = "13912345678"
    caller.check("credit-request", changed(GOOD, customer__mobile=secret))
    caller.check("order-with-credit", {**changed(GOOD, customer__mobile=secret), "order": {"blocked": False}})
    caller.post("/v1/decisions", {"decisions": [{"policy": "credit-request", "facts": {**GOOD, "customer": {"mobile": secret}}, "as_of": "2025-08-01"}]})
    written = lines(path, caller)
    assert len(written) == 3
    assert secret not in path.read_text(encoding="utf-8"), "also where the fact is one of a policy that is used"
    assert all("50.00" in json.dumps(line["facts"]) for line in written), "the other facts are there"


def test_a_masked_fact_keeps_that_it_was_unknown_or_none(logged: tuple[Caller, Path]) -> None:
    caller, path = logged
    caller.check("credit-request", {"request": {"amount": "1.00"}})
    (line,) = lines(path, caller)
    assert "mobile" not in json.dumps(line["facts"])


def test_the_log_of_shipped_sensitive_facts(shipped: Caller) -> None:
    """Facts that the shipped policies mark as sensitive do not stand in a line of the log."""
    from api.decision_log import line
    from api.requests import Ask

    library, seen = shipped.state.library, 0
    for version in library.all():
        hidden = {n for n, f in version.policy.facts.items() if f.sensitive}
        for case in load_cases(case_file(version.path)):
            secrets = {v for n, v in case.facts.items() if n in hidden and isinstance(v, str) and len(v) > 4}
            if not secrets:
                continue
            try:
                answer = {"decision_id": "x", **version.program.check(case.facts, case.as_of, library.resolver(case.as_of, None))}
            except PolicyError:
                continue
            facts = json.dumps(json.loads(line(library, "check", Ask(nested(case.facts.items())), answer))["facts"], ensure_ascii=False)
            open_values = {str(v) for n, v in case.facts.items() if n not in hidden}
            assert [s for s in secrets if s in facts and not any(s in v for v in open_values)] == []
            seen += 1
    assert seen > 0


def test_a_replay_asks_the_used_policies_as_they_were_known(logged: tuple[Caller, Path], root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A question without known_at is asked with what is known now; the log keeps that instant, so that a later correction does not change the replay."""
    import time

    caller, path = logged
    known = {k: v for k, v in GOOD["customer"].items() if k != "mobile"}
    facts = {**GOOD, "customer": known, "request": {"amount": "3000.00"}, "order": {"blocked": False}}
    answer = caller.post("/v1/policies/order-with-credit/check", {"facts": facts, "as_of": "2026-02-01"}).json()
    assert codes(answer) == ["no-credit"]
    (line,) = lines(path, caller)
    real = time.time()
    release(root, root / "samples/credit-request/v4.yaml", _iso(real + 60))
    assert caller.state.reload()
    monkeypatch.setattr(time, "time", lambda: real + 3600)
    assert undated(replay(caller, line)) == undated(answer)
    later = caller.post("/v1/policies/order-with-credit/check", {"facts": facts, "as_of": "2026-02-01"}).json()
    assert later["receipt"] != answer["receipt"], "the correction is in force for new questions"


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, SHANGHAI).isoformat()


# -- keys ----------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def locked(root: Path) -> Iterator[Caller]:
    roles = {hashlib.sha256(f"{role}-key".encode()).hexdigest(): i for i, role in enumerate(("decide", "author", "admin"))}
    found = with_keys(root, roles)
    yield found
    found.close()


OPEN = [("GET", "/healthz"), ("GET", "/readyz")]
ASKED = [("POST", p) for p in ENDPOINTS] + [
    ("GET", p) for p in ("/v1/policies", CREDIT, f"{CREDIT}/versions/1", f"{CREDIT}/versions/1/schema", "/openapi.json")
]
AUTHORS = [("GET", f"{CREDIT}/diff?from=1&to=2")]
ADMINS = [("GET", "/metrics")]


def status(caller: Caller, method: str, path: str, header: str | None) -> int:
    headers = {"authorization": header} if header is not None else {}
    body = body_for(path.partition("?")[0], "{}").encode() if method == "POST" else None
    response = caller.request(method, path, content=body, headers=headers)
    if response.status_code >= 400:
        problem(response, response.status_code)
    return response.status_code


@pytest.mark.parametrize(("method", "path"), ASKED + AUTHORS + ADMINS)
def test_without_a_known_key_nothing_is_answered(locked: Caller, method: str, path: str) -> None:
    for header in (None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic decide-key", "decide-key", "Bearer decide-key2", "Bearer " + "x" * 5000):
        assert status(locked, method, path, header) == 401, header


def test_a_refused_key_is_told_how_to_ask(locked: Caller) -> None:
    response = locked.get("/v1/policies")
    assert "Bearer" in problem(response, 401)["detail"]
    assert response.headers.get("www-authenticate", "").startswith("Bearer"), "RFC 9110: a 401 names its scheme"
    response = locked.post(f"{CREDIT}/check", {"facts": {}})
    assert response.headers.get("www-authenticate", "").startswith("Bearer")


@pytest.mark.parametrize(("method", "path"), OPEN)
def test_health_needs_no_key(locked: Caller, method: str, path: str) -> None:
    assert status(locked, method, path, None) == 200


@pytest.mark.parametrize(("key", "allowed"), [("decide-key", ASKED), ("author-key", ASKED + AUTHORS), ("admin-key", ASKED + AUTHORS + ADMINS)])
def test_a_role_includes_those_before_it(locked: Caller, key: str, allowed: list[tuple[str, str]]) -> None:
    for method, path in ASKED + AUTHORS + ADMINS:
        wanted = 200 if (method, path) in allowed else 403
        assert status(locked, method, path, f"Bearer {key}") == wanted, path
    document = locked.get("/metrics", headers={"authorization": "Bearer decide-key"})
    assert "admin" in problem(document, 403)["detail"]


def test_the_key_is_asked_before_the_body_is_read(locked: Caller) -> None:
    problem(locked.post(f"{CREDIT}/check", b"not json"), 401)
    problem(locked.post("/v1/policies/none/check", {"facts": {}}), 401)
    problem(locked.get("/v1/policies/none"), 401)
    problem(locked.get("/nothing"), 401)


def test_keys_of_a_file_and_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POLICY_API_KEYS", raising=False)
    file = tmp_path / "keys.yaml"
    digest = hashlib.sha256(b"first").hexdigest()
    file.write_text(f"- {{name: one, role: decide, sha256: {digest}}}\n- {{name: two, role: admin, key: second}}\n", encoding="utf-8")
    keys = load(file)
    keys.demand(b"Bearer first", "decide")
    keys.demand(b"bearer second", "admin")
    monkeypatch.setenv("POLICY_API_KEYS", "three:author:third:with:colons")
    load(None).demand(b"Bearer third:with:colons", "author")
    assert not Keys()
    for bad in ("- {name: one, role: king, key: x}", "- {name: one, role: decide}", "one: two", "- one", "- {name: one, key: x}"):
        file.write_text(bad + "\n", encoding="utf-8")
        with pytest.raises(ValueError, match=r"role|list"):
            load(file)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "10.0.0.1", "example.org", "", "127.0.0.1.example.org", "169.254.0.1"])
def test_another_address_is_refused_without_keys(host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("POLICY_API_KEYS", raising=False)
    with pytest.raises(ValueError, match="keys"):
        refuse_open(host, Keys())
    refuse_open(host, Keys({"0" * 64: 0}))
    monkeypatch.setattr("api.serve.uvicorn.run", lambda *_, **__: pytest.fail("it was started"))
    assert serving.serve(tmp_path, host, 8000, 1, None, None, reload=False) == 2
    assert "--keys" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_loopback_needs_no_keys(host: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POLICY_API_KEYS", raising=False)
    refuse_open(host, Keys())
    started: list[str] = []
    monkeypatch.setattr("api.serve.uvicorn.run", lambda *_, **more: started.append(more["host"]))
    assert serving.serve(root, host, 8000, 1, None, None, reload=False) == 0
    assert started == [host]


# -- health --------------------------------------------------------------------------------------------------------------------------------


def test_health_readiness_and_metrics(caller: Caller) -> None:
    assert caller.get("/healthz").json() == {"status": "alive"}
    ready = caller.get("/readyz")
    assert ready.status_code == 200
    assert ready.json() == {"status": "ready", "policies": 4, "versions": 7, "not_served": [], "faults": []}
    caller.check("credit-request", GOOD)
    caller.post(f"{CREDIT}/check", {"facts": {"request": 1}})
    response = caller.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    text = response.text
    assert 'policy_decisions_total{outcome="allowed",policy="credit-request",version="3"}' in text
    assert 'policy_problems_total{kind="facts"}' in text
    for name in (
        "policy_request_seconds_count",
        "policy_rule_file_faults 0.0",
        "policy_versions 7.0",
        "policy_versions_not_served 0.0",
        "policy_reloads_total",
    ):
        assert name in text, name


def test_metrics_count_decisions_and_problems_of_every_endpoint(caller: Caller) -> None:
    def count(name: str) -> float:
        found = re.search(rf"^{re.escape(name)} (\S+)$", caller.get("/metrics").text, re.M)
        return float(found[1]) if found else 0.0

    denied, unknown = 'policy_decisions_total{outcome="denied",policy="credit-request",version="3"}', 'policy_problems_total{kind="unknown-policy"}'
    before = count(denied), count(unknown)
    refused = {"policy": "credit-request", "facts": changed(GOOD, request__amount="9000.00"), "as_of": "2025-08-01"}
    caller.post("/v1/decisions", {"decisions": [refused, refused, {"policy": "none", "facts": {}}]})
    caller.check("credit-request", refused["facts"])
    problem(caller.get("/v1/policies/none"), 404)
    assert (count(denied), count(unknown)) == (before[0] + 3, before[1] + 2)


def test_a_fault_of_the_service_is_a_problem_without_details(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    from api import decisions

    def broken(*_: Any) -> Any:
        raise KeyError("secret-of-the-inside")

    monkeypatch.setattr(decisions, "found", broken)
    for endpoint in ENDPOINTS:
        document = problem(caller.post(endpoint, body_for(endpoint, "{}")), 500)
        assert "secret" not in json.dumps(document)


def test_a_pattern_of_a_changed_parameter_is_judged_as_in_a_rule_file(root: Path) -> None:
    """A pattern with nested repetition is refused in rule files; a what-if may not bring it in."""
    from api.app import create
    from tests.conftest import LEVEL, LEVEL_CASES, put

    text = (
        LEVEL.replace("level-table", "code-check")
        .replace("form: classify", "form: check")
        .replace("  count: {type: integer}\n\ntables", "  code: {type: text}\n\ntables")
    )
    text = (
        text[: text.index("tables:")]
        + 'parameters:\n  shape: {type: text, value: "[a-z]+"}\nrequirements:\n  - code: bad-shape\n    require: matches(code, parameters.shape)\n'
    )
    text += '    effect: deny\n    reason: {en: Bad shape., zh: 格式错误。}\n    remedy: {en: Mend it., zh: 请修改。}\n    source: {section: "3"}\n'
    put(root, "code-check", 1, text, LEVEL_CASES.replace("level-table", "code-check"))
    caller = Caller(create(root, watch=False))
    try:
        body = {
            "facts": {"code": "a" * 20 + "!"},
            "version": 1,
            "as_of": "2025-08-01",
            "changes": [{"parameters": {"shape": "(a+)+"}}, {"parameters": {"shape": "["}}],
        }
        response = caller.post("/v1/policies/code-check/what-if", body)
        if response.status_code == 404:
            pytest.skip("patterns cannot be parameters")
        assert response.status_code == 200, response.text
        for change in response.json()["changes"]:
            assert change["problem"]["status"] == 422, change
            assert "shape" in json.dumps(change["problem"]["errors"])
    finally:
        caller.close()


def test_questions_at_the_same_time_do_not_mix(api: Caller) -> None:
    """Two hundred different questions at once: each gets its own answer."""

    async def all_at_once() -> list[Any]:
        calls = []
        for i in range(200):
            facts = changed(GOOD, request__amount=f"{i}.00")
            calls.append(api.client.post(f"{CREDIT}/check", json={"facts": facts, "as_of": "2025-08-01", "version": 1 + i % 4}))
        return await asyncio.gather(*calls)

    limit = {0: 1000, 1: 2000, 2: 2500, 3: 4000}
    for i, response in enumerate(api.run(all_at_once())):
        assert response.json()["outputs"]["rest"] == f"{limit[i % 4] - i}.00"
