"""What the tests of the service and of the command line share: small rule files, a library with a ledger, and a caller over ASGI."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.app import create
from api.fast import Decisions
from api.keys import Keys
from engine.cases import case_file
from engine.check import load_policy
from engine.clock import instant
from engine.releases import Release, append
from engine.source import digest_of

SHIPPED = Path(__file__).parents[1] / "policies"

#: Money, records, an enum, a date, a sensitive text; LIMIT, FROM and VERSION are filled in.
CREDIT = """\
policy: credit-request
version: VERSION
family: samples
form: [check, compute]
title: {en: Asking for credit, zh: 申请额度}
question: {en: May the customer have this credit?, zh: 客户可以申请该额度吗？}
effective: {from: FROM}
source: {document: sample guide, section: "1"}

parameters:
  limit: {type: money, value: "LIMIT"}
  signature_from: {type: money, value: "100.00"}
  rate: {type: ratio, value: "0.1"}

facts:
  request.amount:  {type: money, unit: CNY, zh: 申请金额}
  customer.level:  {type: enum, values: [basic, gold], zh: 等级}
  customer.signed: {type: bool}
  customer.since:  {type: date, nullable: true, note: asked for by the contract; no rule reads it}
  customer.mobile: {type: text, nullable: true, sensitive: true}
  customer.staff:  {type: integer}
  items:
    type: list of record
    fields:
      name:   {type: text}
      amount: {type: money, unit: CNY}

requirements:
  - code: over-limit
    require: request.amount <= parameters.limit
    effect: deny
    reason: {en: "{request.amount} is above the limit of {parameters.limit}.", zh: "{request.amount} 超过上限 {parameters.limit}。"}
    remedy: {en: Ask for less., zh: 请降低金额。}
    source: {section: "1.1", refs: [S-001]}
  - code: not-signed
    when: request.amount > parameters.signature_from
    require: customer.signed
    effect: deny
    reason: {en: The contract is not signed., zh: 合同未签署。}
    remedy: {en: Sign it first., zh: 请先签署。}
    source: {section: "1.2", refs: [S-002]}
  - code: basic-level
    require: customer.level == gold
    effect: review
    reason: {en: "The level is {customer.level}.", zh: "等级为 {customer.level}。"}
    remedy: {en: Wait for the review., zh: 请等待审核。}
    source: {section: "1.3", refs: [S-003]}
  - code: no-mobile
    require: customer.mobile is not null
    effect: warn
    reason: {en: No mobile number is known., zh: 没有手机号码。}
    source: {section: "1.4", refs: [S-004]}

outputs:
  rest:       {type: money, signed: true, value: parameters.limit - request.amount}
  total:      {type: money, value: sum(i.amount for i in items)}
  fee:        {type: money, value: "round_half_up(request.amount * parameters.rate, 2)"}
  per_head:   {type: money, value: "divide(request.amount, customer.staff, 2)"}
"""
CREDIT_CASES = """\
policy: credit-request
version: VERSION
as_of: FROM
base: {request.amount: "50.00", customer.level: gold, customer.signed: true, customer.since: null, customer.mobile: "13800000000", customer.staff: 5, items: []}
cases:
  - name: a small amount is allowed
    expect: {outcome: allowed, outputs: {fee: "5.00"}}
  - name: without a signature a large one is refused
    facts: {request.amount: "100.01", customer.signed: false}
    expect: {outcome: denied, reasons: [not-signed]}
  - name: the basic level is reviewed
    facts: {customer.level: basic}
    expect: {outcome: review, reasons: [basic-level]}
"""
DOOR = """\
policy: door-lifecycle
version: 1
family: samples
form: machine
title: {en: States of a door, zh: 门的状态}
question: {en: "May this event happen now, and where does it lead?", zh: 现在可以发生这一事件吗？结果如何？}
effective: {from: 2025-01-01}
source: {document: sample guide, section: "2"}

facts:
  state:      {type: enum, values: [open, closed, locked]}
  event:      {type: enum, values: [close, open, lock, unlock]}
  actor.role: {type: enum, values: [guest, owner]}

machine:
  state: state
  event: event
  actor: actor.role
  transitions:
    - {code: close-it, event: close, from: open, to: closed, source: {section: "2.1"}}
    - {code: open-it, event: open, from: closed, to: open, source: {section: "2.2"}}
    - {code: lock-it, event: lock, from: closed, to: locked, actor: [owner], source: {section: "2.3"}}
    - {code: unlock-it, event: unlock, from: locked, to: closed, actor: [owner], source: {section: "2.4"}}

requirements:
  - code: wrong-actor
    effect: deny
    reason: {en: This role may not do this., zh: 该角色无权执行此操作。}
    remedy: {en: Ask the owner., zh: 请由所有者操作。}
    source: {section: "2"}
  - code: not-open-in-state
    effect: deny
    reason: {en: "The event {event} is not open in the state {state}.", zh: "状态 {state} 下不能执行 {event}。"}
    remedy: {en: Look up which events are open., zh: 请先查询当前可执行的操作。}
    source: {section: "2"}
"""
DOOR_CASES = """\
policy: door-lifecycle
version: 1
as_of: 2025-01-01
base: {state: closed, event: lock, actor.role: owner}
cases:
  - name: the owner locks
    expect: {outcome: allowed, outputs: {next_state: locked}}
  - name: a guest does not lock
    facts: {actor.role: guest}
    expect: {outcome: denied, reasons: [wrong-actor]}
  - name: an open door is not locked
    facts: {state: open}
    expect: {outcome: denied, reasons: [not-open-in-state]}
"""
#: A table with a gap: no row for counts of 10 and more.
LEVEL = """\
policy: level-table
version: 1
family: samples
form: classify
title: {en: Level by count, zh: 按数量定级}
question: {en: Which level is it?, zh: 属于哪个等级？}
effective: {from: 2025-01-01, until: 2026-01-01}
source: {document: sample guide, section: "3"}

facts:
  count: {type: integer}

tables:
  levels:
    hit: unique
    inputs:
      count: {type: integer}
    outputs:
      level: {type: enum, values: [low, high]}
    rows:
      - {count: "[0..5)", level: low}
      - {count: "[5..10)", level: high}
    source: {section: "3"}

outputs:
  level: {type: enum, values: [low, high], value: tables.levels(count=count).level}
"""
LEVEL_CASES = """\
policy: level-table
version: 1
as_of: 2025-01-01
base: {count: 1}
cases:
  - name: one is low
    expect: {outcome: allowed, outputs: {level: low}}
  - name: five is high
    facts: {count: 5}
    expect: {outcome: allowed, outputs: {level: high}}
"""
#: Uses credit-request for a fact that the request leaves out.
ORDER = """\
policy: order-with-credit
version: 1
family: samples
form: check
title: {en: Ordering on credit, zh: 赊购}
question: {en: May the customer order on credit?, zh: 客户可以赊购吗？}
effective: {from: 2025-01-01}
source: {document: sample guide, section: "4"}

facts:
  credit.outcome:
    type: enum
    values: [allowed, review, denied]
    from: {policy: credit-request, output: outcome}
  order.blocked: {type: bool}

requirements:
  - code: no-credit
    require: credit.outcome == allowed
    effect: deny
    reason: {en: "The credit is {credit.outcome}.", zh: "额度结果为 {credit.outcome}。"}
    remedy: {en: Ask for the credit first., zh: 请先申请额度。}
    source: {section: "4.1"}
  - code: order-blocked
    require: not order.blocked
    effect: deny
    reason: {en: The order is blocked., zh: 订单已冻结。}
    remedy: {en: Ask the owner., zh: 请联系负责人。}
    source: {section: "4.2"}
"""
ORDER_CASES = """\
policy: order-with-credit
version: 1
as_of: 2025-01-01
base: {credit.outcome: allowed, order.blocked: false}
cases:
  - name: with credit it is allowed
    expect: {outcome: allowed}
  - name: without credit it is refused
    facts: {credit.outcome: denied}
    expect: {outcome: denied, reasons: [no-credit]}
"""

#: Facts of credit-request that every version allows.
GOOD: dict[str, Any] = {
    "request": {"amount": "50.00"}, "items": [{"name": "a", "amount": "0.10"}, {"name": "b", "amount": "0.20"}],
    "customer": {"level": "gold", "signed": True, "since": "2024-02-29", "mobile": "13800000000", "staff": 3},
}  # fmt: skip


def put(root: Path, policy: str, version: int, text: str, cases: str) -> Path:
    """Write one version with its cases."""
    folder = root / "samples" / policy
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"v{version}.yaml"
    path.write_text(text, encoding="utf-8")
    case_file(path).write_text(cases, encoding="utf-8")
    return path


def credit(version: int, start: str, limit: str) -> tuple[str, str]:
    """One version of credit-request: its rules and its cases."""
    rules, cases = (t.replace("VERSION", str(version)).replace("FROM", start) for t in (CREDIT, CREDIT_CASES))
    return rules.replace("LIMIT", limit), cases


def release(root: Path, path: Path, at: str, supersedes: int | None = None, note: str = "") -> Release:
    """Put a version into the ledger as it is."""
    policy = load_policy(path)
    entry = Release(
        policy.id, policy.version, policy.digest, digest_of(case_file(path).read_bytes()), policy.effective_from, policy.effective_until,
        instant(at), "owner", note, supersedes, "",
    )  # fmt: skip
    return append(root, entry)


def samples(root: Path) -> Path:
    """A small library. credit-request: v1 from January, v2 from July, v3 corrects v2 from 1 September on, v4 a draft."""
    root.mkdir(parents=True, exist_ok=True)
    door = put(root, "door-lifecycle", 1, DOOR, DOOR_CASES)
    level = put(root, "level-table", 1, LEVEL, LEVEL_CASES)
    order = put(root, "order-with-credit", 1, ORDER, ORDER_CASES)
    parts = [(1, "2025-01-01", "1000.00"), (2, "2025-07-01", "2000.00"), (3, "2025-07-01", "2500.00"), (4, "2026-01-01", "4000.00")]
    paths = [put(root, "credit-request", n, *credit(n, start, limit)) for n, start, limit in parts]
    for path in (door, level, order, paths[0]):
        release(root, path, "2024-12-01")
    release(root, paths[1], "2025-06-01")
    release(root, paths[2], "2025-09-01", supersedes=2)
    return root


class Caller:
    """Calls an application in process, as a client would over HTTP."""

    def __init__(self, app: Decisions, headers: dict[str, str] | None = None) -> None:
        self.app, self.state = app, app.state
        self._runner = asyncio.Runner()
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers)

    def run(self, coroutine: Any) -> Any:
        return self._runner.run(coroutine)

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.request("GET", path, **more)

    def post(self, path: str, body: Any, **more: Any) -> httpx.Response:
        """Send JSON; bytes and text go as they are."""
        content = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        return self.request("POST", path, content=content, **{"headers": {"content-type": "application/json"}, **more})

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        response: httpx.Response = self.run(self.client.request(method, path, **more))
        return response

    def check(self, policy: str, facts: Any, as_of: str = "2025-08-01", kind: str = "check", **more: Any) -> dict[str, Any]:
        """The answer to a question that is expected to be answered."""
        response = self.post(f"/v1/policies/{policy}/{kind}", {"facts": facts, "as_of": as_of, **more})
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def close(self) -> None:
        self.run(self.client.aclose())
        self._runner.close()
        self.state.close()
        if self.app.log is not None:
            self.app.log.close()


def problem(response: httpx.Response, status: int) -> dict[str, Any]:
    """A problem document (RFC 9457) with this status, or the test fails."""
    assert response.status_code == status, f"{response.status_code}: {response.text[:500]}"
    assert response.headers["content-type"].split(";")[0] == "application/problem+json", response.headers["content-type"]
    document: dict[str, Any] = response.json()
    assert document["status"] == status
    assert document["type"]
    for part in ("title", "detail"):
        assert isinstance(document[part], str)
        assert document[part]
    assert "Traceback" not in response.text
    return document


def changed(base: dict[str, Any], **values: Any) -> dict[str, Any]:
    """A copy of nested facts with some changed; `customer__level="basic"`."""
    found: dict[str, Any] = json.loads(json.dumps(base))
    for name, value in values.items():
        *parents, last = name.split("__")
        target = found
        for parent in parents:
            target = target.setdefault(parent, {})
        target[last] = value
    return found


def undated(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer without its id, which no two answers share."""
    return {k: v for k, v in answer.items() if k != "decision_id"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small library that a test may change."""
    return samples(tmp_path / "policies")


@pytest.fixture
def caller(root: Path) -> Iterator[Caller]:
    """The service over a library that the test may change; it does not watch the files."""
    found = Caller(create(root, watch=False))
    yield found
    found.close()


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    """The service over the small library, for tests that change nothing."""
    found = Caller(create(samples(tmp_path_factory.mktemp("samples") / "policies"), watch=False))
    yield found
    found.close()


@pytest.fixture(scope="session")
def shipped() -> Iterator[Caller]:
    """The service over the shipped policies."""
    found = Caller(create(SHIPPED, watch=False))
    yield found
    found.close()


@pytest.fixture
def logged(root: Path, tmp_path: Path) -> Iterator[tuple[Caller, Path]]:
    """The service with a decision log, and the file of the log."""
    path = tmp_path / "decisions.jsonl"
    found = Caller(create(root, watch=False, decision_log=path))
    yield found, path
    found.close()


def with_keys(root: Path, roles: dict[str, int]) -> Caller:
    return Caller(create(root, Keys(roles), watch=False))


def at(text: str) -> datetime:
    return instant(text)


def with_release(entry: Release, **values: Any) -> Release:
    return replace(entry, **values)
