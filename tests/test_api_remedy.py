"""`POST /v1/policies/{policy}/remedy`: answers, refusals, limits, and that neither the solver nor a hanging search gets in the way of decisions."""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api import limits, remedies
from api.app import create
from api.problems import Problem
from engine.cases import case_file, flat, load_cases
from engine.clock import instant
from engine.library import load
from proofs.working import Job
from tests.conftest import GOOD, SHIPPED, Caller, problem, samples, with_keys

RELATION = "/v1/policies/relation-change/remedy"


@pytest.fixture(scope="module")
def caller() -> Iterator[Caller]:
    found = Caller(create(SHIPPED, watch=False))
    yield found
    found.close()


def denied() -> dict[str, Any]:
    case = next(c for c in load_cases(case_file(SHIPPED / "relations" / "relation-change" / "v1.yaml")) if c.expect.outcome == "denied")
    return {"facts": case.facts, "as_of": "2025-06-16"}


def test_a_remedy_is_told_and_passes(caller: Caller) -> None:
    response = caller.post(RELATION, denied())
    assert response.status_code == 200, response.text
    found = response.json()
    assert (found["outcome"], found["status"], found["cheapest"]) == ("denied", "possible", True)
    first = found["alternatives"][0]
    assert set(first["says"]) == {"en", "zh"}
    again = caller.check("relation-change", denied()["facts"] | flat(first["facts"]), first["as_of"])
    assert again["outcome"] == "allowed"


def test_answers_are_the_same_each_time(caller: Caller) -> None:
    assert caller.post(RELATION, denied()).content == caller.post(RELATION, denied()).content


def test_the_answer_fits_the_document(caller: Caller) -> None:
    document = caller.get("/openapi.json").json()
    operation = document["paths"]["/v1/policies/{policy}/remedy"]["post"]
    assert operation["responses"]["default"]
    shape = document["components"]["schemas"]["Remedies"]["properties"]
    assert set(caller.post(RELATION, denied()).json()) == set(shape)


def test_a_limit_of_alternatives(caller: Caller) -> None:
    facts = denied()["facts"] | {"actor.role": "partner_admin", "relation.mode": "consulting_sales", "action": "switch", "customer.cash_balance": "5.00",
                                 "customer.balance_needs_special_handling": True}  # fmt: skip
    counts = [len(caller.post(RELATION, {"facts": facts, "as_of": "2025-06-16", "limit": n}).json()["alternatives"]) for n in (1, 2)]
    assert counts == [1, 2]


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({}, 422, "request"), ({"facts": {}, "limit": 0}, 422, "request"), ({"facts": {}, "limit": 11}, 422, "request"),
        ({"facts": {"none": 1}}, 422, "facts"), ({"facts": {}, "version": 99}, 404, "unknown-version"), ({"facts": {}, "trace": True}, 422, "request"),
        ({"facts": {}, "as_of": "soon"}, 422, "request"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(caller: Caller, body: dict[str, Any], status: int, kind: str) -> None:
    assert problem(caller.post(RELATION, body), status)["type"].endswith(f":{kind}")


def test_bodies_are_read_as_those_of_a_check(caller: Caller) -> None:
    assert problem(caller.post(RELATION, '{"facts": {}, "facts": {}}'), 400)["detail"] == "the key `facts` stands twice in one object"
    problem(caller.post(RELATION, "{"), 400)
    problem(caller.post(RELATION, b'{"facts": "' + b"x" * limits.BODY_BYTES + b'"}'), 413)


def test_without_a_declaration_nothing_is_said(caller: Caller) -> None:
    assert problem(caller.post("/v1/policies/invoiceable-amount/remedy", {"facts": {}}), 404)["type"].endswith(":no-influence")
    assert problem(caller.post("/v1/policies/none-such/remedy", {"facts": {}}), 404)["type"].endswith(":unknown-policy")


def test_a_key_is_needed_where_keys_are(tmp_path: Path) -> None:
    found = with_keys(samples(tmp_path / "policies"), {hashlib.sha256(b"secret").hexdigest(): 0})
    problem(found.post("/v1/policies/credit-request/remedy", {"facts": GOOD}), 401)
    found.close()


def test_facts_of_other_policies_are_filled_in(caller: Caller) -> None:
    case = next(
        c for c in load_cases(case_file(SHIPPED / "certification" / "service-path-certification" / "v1.yaml"))
        if c.expect.outcome == "allowed" and c.facts["target"] == "role_certified"
    )  # fmt: skip
    facts = {n: v for n, v in case.facts.items() if not n.startswith("headcount.")} | {"staff": []}
    found = caller.post("/v1/policies/service-path-certification/remedy", {"facts": facts, "as_of": case.as_of.isoformat()}).json()
    assert found["alternatives"][0]["facts"] == {"headcount": {"hccda": 2, "hccdp": 2}}
    assert found["says"]["en"] == "Have 2 more members certified HCCDA and have 2 more members certified HCCDP. This takes about 45 days."


# -- the solver and the service ------------------------------------------------------------------------------------------------------------


def test_the_service_starts_without_the_solver() -> None:
    code = "import sys; from pathlib import Path; from api.app import create; create(Path('policies'), watch=False); assert 'z3' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=SHIPPED.parent, timeout=60)


def job() -> Job:
    library = load(SHIPPED)
    version = library.version("relation-change", 1)
    known = remedies.influenced(library, version)
    assert known is not None
    return Job(version.policy, denied()["facts"], instant("2025-06-16"), known, 1, 5.0)


def test_too_many_questions_are_turned_away() -> None:
    async def ask() -> list[Any]:
        solver = remedies.Solver(waiting=2)
        found = await asyncio.gather(*(solver.ask(job()) for _ in range(3)), return_exceptions=True)
        solver.close()
        return found

    first, second, third = asyncio.run(ask())
    assert first == second
    assert isinstance(third, Problem)
    assert third.status == 429


def test_a_search_that_hangs_is_ended_and_the_next_one_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop goes on meanwhile, and the process is a new one afterwards."""
    monkeypatch.setattr(limits, "SOLVER_START_SECONDS", 0.2)

    async def ask() -> tuple[Any, int, dict[str, Any]]:
        solver = remedies.Solver(seconds=0.1)
        solver.process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        hanging = solver.process
        question = asyncio.create_task(solver.ask(job()))
        turns = 0
        while not question.done():
            await asyncio.sleep(0.01)
            turns += 1
        assert hanging.poll() is not None
        monkeypatch.setattr(limits, "SOLVER_START_SECONDS", 30.0)
        found = await solver.ask(job())
        solver.close()
        return question.exception(), turns, found

    error, turns, found = asyncio.run(ask())
    assert isinstance(error, Problem)
    assert (error.status, error.kind) == (503, "too-slow")
    assert turns > 5
    assert found["status"] == "possible"


def test_a_fault_in_the_search_is_ours(caplog: pytest.LogCaptureFixture) -> None:
    async def ask() -> Any:
        solver = remedies.Solver()
        broken = replace(job(), facts={"none": 1})
        try:
            return await asyncio.gather(solver.ask(broken), return_exceptions=True)
        finally:
            solver.close()

    (error,) = asyncio.run(ask())
    assert error.status == 500
    assert "FactsError" in json.dumps([r.__dict__.get("data") for r in caplog.records])


def test_decisions_are_answered_while_a_search_runs(caller: Caller) -> None:
    async def both() -> bool:
        search = asyncio.create_task(caller.client.post(RELATION, json=denied()))
        await asyncio.sleep(0)
        answer = await caller.client.post("/v1/policies/relation-change/check", json=denied())
        assert answer.status_code == 200
        first = not search.done()
        await search
        return first

    assert caller.run(both())
