"""Reloading: a changed rule file is used at once, a broken one never replaces the one that works, and the ledger only grows."""

from __future__ import annotations

import asyncio
import json
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.app import create
from api.state import State
from engine.releases import LEDGER, line_digest
from tests.conftest import CREDIT_CASES, GOOD, ORDER, ORDER_CASES, Caller, changed, credit, problem, put, release, undated

RELEASED = "samples/credit-request/v3.yaml"
DRAFT = "samples/credit-request/v4.yaml"


def gauge(caller: Caller, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", caller.get("/metrics").text, re.M)
    return float(found[1]) if found else 0.0


def ready(caller: Caller, status: str) -> dict[str, Any]:
    response = caller.get("/readyz")
    found: dict[str, Any] = response.json()
    assert found["status"] == status, found
    assert response.status_code == (503 if status == "not ready" else 200)
    return found


def rest(caller: Caller, **more: Any) -> str:
    found: str = caller.check("credit-request", GOOD, **more)["outputs"]["rest"]
    return found


def later(path: Path) -> None:
    """Give a file another time, as a write at another moment does."""
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000))


def rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    later(path)


# -- what is right is used -----------------------------------------------------------------------------------------------------------------


def test_a_changed_draft_is_used_after_the_reload(caller: Caller, root: Path) -> None:
    before = caller.check("credit-request", GOOD, version=4)
    assert before["outputs"]["rest"] == "3950.00"
    rewrite(root / DRAFT, "4000.00", "4100.00")
    assert undated(caller.check("credit-request", GOOD, version=4)) == undated(before), "not before the reload"
    assert caller.state.reload()
    after = caller.check("credit-request", GOOD, version=4)
    assert after["outputs"]["rest"] == "4050.00"
    assert after["digest"] != before["digest"]
    assert after["receipt"] != before["receipt"]
    ready(caller, "ready")


def test_nothing_changed_is_no_reload(caller: Caller) -> None:
    library = caller.state.library
    assert caller.state.reload() is False
    assert caller.state.library is library


def test_a_new_version_a_new_policy_and_a_release_are_found(caller: Caller, root: Path) -> None:
    put(root, "credit-request", 5, *credit(5, "2027-01-01", "5000.00"))
    put(root, "order-again", 1, ORDER.replace("order-with-credit", "order-again"), ORDER_CASES.replace("order-with-credit", "order-again"))
    assert caller.state.reload()
    assert rest(caller, version=5) == "4950.00"
    assert caller.check("order-again", {"order": {"blocked": True}}, version=1)["outcome"] == "denied"
    release(root, root / DRAFT, "2025-12-01")
    assert caller.state.reload(), "a line of the ledger is a change"
    assert caller.check("credit-request", GOOD, "2026-02-01")["version"] == 4
    assert caller.check("credit-request", GOOD, "2026-02-01", known_at="2025-11-30")["version"] == 3


def test_a_deleted_draft_is_gone(caller: Caller, root: Path) -> None:
    (root / DRAFT).unlink()
    assert caller.state.reload()
    document = problem(caller.post("/v1/policies/credit-request/check", {"facts": GOOD, "version": 4}), 404)
    assert document["exists"] == [1, 2, 3]
    ready(caller, "ready")


def test_a_what_if_follows_a_reload(caller: Caller, root: Path) -> None:
    """Programs with changed parameters are kept: not past a change of the rules."""
    body = {"facts": GOOD, "as_of": "2025-08-01", "version": 4, "changes": [{"parameters": {"rate": "0.2"}}]}
    first = caller.post("/v1/policies/credit-request/what-if", body).json()
    rewrite(root / DRAFT, "4000.00", "4100.00")
    assert caller.state.reload()
    second = caller.post("/v1/policies/credit-request/what-if", body).json()
    assert [f["changes"][0]["answer"]["outputs"]["rest"] for f in (first, second)] == ["3950.00", "4050.00"]
    assert second["changes"][0]["answer"]["outputs"]["fee"] == "10.00"


def test_the_document_follows_a_reload(caller: Caller, root: Path) -> None:
    put(root, "order-again", 1, ORDER.replace("order-with-credit", "order-again"), ORDER_CASES.replace("order-with-credit", "order-again"))
    assert "/v1/policies/order-again/check" not in caller.get("/openapi.json").json()["paths"]
    assert caller.state.reload()
    assert "/v1/policies/order-again/check" in caller.get("/openapi.json").json()["paths"]


# -- what is wrong never replaces what works -----------------------------------------------------------------------------------------------

BROKEN: dict[str, Callable[[str], str]] = {
    "no YAML": lambda t: t + "\n{{{\n",
    "empty": lambda _: "",
    "cut": lambda t: t[: len(t) // 2],
    "unknown name": lambda t: t.replace("customer.signed\n", "customer.sigend\n"),
    "another policy": lambda t: t.replace("policy: credit-request", "policy: credit-requests"),
    "another version": lambda t: t.replace("version: 4", "version: 5"),
    "a key twice": lambda t: t + "\nform: check\n",
    "one language": lambda t: t.replace(", zh: 合同未签署。", ""),
    "not UTF-8": lambda t: t.replace("额度", "\udcff"),
    "code": lambda t: t.replace("customer.level == gold", "__import__('os').system('true')"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_draft_leaves_the_old_one_working(caller: Caller, root: Path, name: str) -> None:
    before = caller.check("credit-request", GOOD, version=4)
    path = root / DRAFT
    text = path.read_text(encoding="utf-8")
    path.write_bytes(BROKEN[name](text).encode("utf-8", "surrogateescape"))
    later(path)
    caller.state.reload()
    assert undated(caller.check("credit-request", GOOD, version=4)) == undated(before)
    found = ready(caller, "degraded")
    assert {f["file"] for f in found["faults"]} == {DRAFT}
    assert all(f["message"] and f["line"] >= 1 for f in found["faults"])
    assert gauge(caller, "policy_rule_file_faults") == len(found["faults"])
    assert gauge(caller, "policy_versions") == 7
    caller.state.reload()
    assert undated(caller.check("credit-request", GOOD, version=4)) == undated(before), "also after a second look"
    path.write_text(text.replace("4000.00", "4200.00"), encoding="utf-8")
    assert caller.state.reload()
    assert rest(caller, version=4) == "4150.00"
    ready(caller, "ready")
    assert gauge(caller, "policy_rule_file_faults") == 0


def test_broken_reloads_are_counted(caller: Caller, root: Path) -> None:
    before = gauge(caller, 'policy_reloads_total{result="broken"}')
    rewrite(root / DRAFT, "form:", "from:")
    assert caller.state.reload()
    assert gauge(caller, 'policy_reloads_total{result="broken"}') == before + 1


def test_another_fault_in_a_broken_file_is_told(caller: Caller, root: Path) -> None:
    rewrite(root / DRAFT, "customer.level == gold", "customer.levle == gold")
    caller.state.reload()
    (first,) = ready(caller, "degraded")["faults"]
    rewrite(root / DRAFT, "customer.levle == gold", "customer.level == golden")
    caller.state.reload()
    (second,) = ready(caller, "degraded")["faults"]
    assert "levle" in first["message"]
    assert "golden" in second["message"]


def test_a_file_that_was_put_back_as_it_was_is_no_fault(caller: Caller, root: Path) -> None:
    path = root / RELEASED
    stat, raw = path.stat(), path.read_bytes()
    path.write_bytes(raw[:100])
    later(path)
    caller.state.reload()
    ready(caller, "degraded")
    path.write_bytes(raw)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    caller.state.reload()
    ready(caller, "ready")
    assert rest(caller) == "2450.00"


def test_a_broken_new_draft_does_no_harm(caller: Caller, root: Path) -> None:
    put(root, "credit-request", 5, "policy: [", CREDIT_CASES)
    caller.state.reload()
    assert rest(caller) == "2450.00"
    assert ready(caller, "degraded")["faults"][0]["file"] == "samples/credit-request/v5.yaml"


@pytest.mark.parametrize("edit", [lambda t: t.replace("2500.00", "9999.00"), lambda t: t + "# a remark\n", lambda t: "policy: [" + t, lambda _: ""])
def test_an_edited_released_file_is_refused(caller: Caller, root: Path, edit: Callable[[str], str]) -> None:
    before = caller.check("credit-request", GOOD)
    path = root / RELEASED
    text = path.read_text(encoding="utf-8")
    path.write_text(edit(text), encoding="utf-8")
    later(path)
    caller.state.reload()
    assert undated(caller.check("credit-request", GOOD)) == undated(before)
    found = ready(caller, "degraded")
    (fault,) = found["faults"]
    assert (fault["file"], fault["kind"]) == (RELEASED, "edited-after-release")
    assert "2025-09-01" in fault["message"]
    assert "new version" in fault["help"]
    assert found["not_served"] == []
    path.write_text(text, encoding="utf-8")
    later(path)
    caller.state.reload()
    ready(caller, "ready")


def test_an_edited_released_file_is_not_served_at_a_start(root: Path) -> None:
    rewrite(root / RELEASED, "2500.00", "9999.00")
    caller = Caller(create(root, watch=False))
    try:
        found = ready(caller, "not ready")
        assert found["not_served"] == ["credit-request v3"]
        assert [f["kind"] for f in found["faults"]] == ["edited-after-release"]
        document = problem(caller.post("/v1/policies/credit-request/check", {"facts": GOOD, "as_of": "2025-08-01"}), 404)
        assert "cannot be used" in document["detail"]
        assert rest(caller, as_of="2025-06-01") == "950.00", "other versions answer"
        problem(caller.post("/v1/policies/credit-request/check", {"facts": GOOD, "version": 3}), 404)
        assert gauge(caller, "policy_versions_not_served") == 1
    finally:
        caller.close()


@pytest.mark.parametrize("whole_policy", [False, True])
def test_a_deleted_released_file_goes_on_serving_and_is_told(caller: Caller, root: Path, whole_policy: bool) -> None:
    before = caller.check("credit-request", GOOD), caller.check("door-lifecycle", {"state": "open"}, kind="compute")
    gone = [root / RELEASED] if not whole_policy else [root / "samples/door-lifecycle/v1.yaml", root / "samples/door-lifecycle/v1.cases.yaml"]
    for path in gone:
        path.unlink()
    if whole_policy:
        (root / "samples/door-lifecycle").rmdir()
    for _ in range(2):
        caller.state.reload()
        after = caller.check("credit-request", GOOD), caller.check("door-lifecycle", {"state": "open"}, kind="compute")
        assert list(map(undated, after)) == list(map(undated, before))
        (fault,) = ready(caller, "degraded")["faults"]
        assert "gone" in fault["message"]
        assert fault["file"] == gone[0].relative_to(root).as_posix()
    rewrite(root / DRAFT, "4000.00", "4100.00")
    caller.state.reload()
    assert undated(caller.check("credit-request", GOOD)) == undated(before[0]), "also after another change"
    started = Caller(create(root, watch=False))
    try:
        assert ready(started, "not ready")["not_served"] == ["credit-request v3" if not whole_policy else "door-lifecycle v1"]
    finally:
        started.close()


def test_a_file_cut_at_any_place_never_gives_a_wrong_answer(caller: Caller, root: Path) -> None:
    """A released file, half written while a reload runs: at every length the answer is the old one."""
    path = root / RELEASED
    raw = path.read_bytes()
    before = undated(caller.check("credit-request", GOOD))
    for length in range(0, len(raw), 97):
        path.write_bytes(raw[:length])
        later(path)
        caller.state.reload()
        assert undated(caller.check("credit-request", GOOD)) == before, length
        assert [f["kind"] for f in caller.state.readiness()[1]["faults"]] == ["edited-after-release"], length
    path.write_bytes(raw)
    later(path)
    caller.state.reload()
    ready(caller, "ready")


def test_a_draft_cut_at_any_place_is_whole_or_the_old_one(caller: Caller, root: Path) -> None:
    """A file that still reads after a cut has another digest and says so; a file that does not read leaves the old answer."""
    path = root / DRAFT
    raw = path.read_bytes()
    last = undated(caller.check("credit-request", GOOD, version=4))
    for length in [*range(len(raw) - 1, 0, -211), 0]:
        path.write_bytes(raw[:length])
        later(path)
        caller.state.reload()
        answer = undated(caller.check("credit-request", {"request": {"amount": "50.00"}}, version=4))
        if caller.state.faults():
            assert answer["digest"] == last["digest"]
        last = answer


def test_policies_that_come_to_use_each_other_in_a_circle_leave_what_worked(caller: Caller, root: Path) -> None:
    """Design, section 8: a rule file that fails to load never replaces the one that works."""
    facts = {**GOOD, "order": {"blocked": False}}
    before = caller.check("credit-request", GOOD), caller.check("credit-request", GOOD, version=4), caller.check("order-with-credit", facts)
    rewrite(
        root / DRAFT,
        "  customer.signed: {type: bool}",
        "  customer.signed: {type: bool}\n  order.outcome: {type: text, note: x, from: {policy: order-with-credit, output: outcome}}",
    )
    caller.state.reload()
    after = caller.check("credit-request", GOOD), caller.check("credit-request", GOOD, version=4), caller.check("order-with-credit", facts)
    assert list(map(undated, after)) == list(map(undated, before))
    faults = ready(caller, "degraded")["faults"]
    assert any("circle" in f["message"] for f in faults)
    assert not any("gone" in f["message"] for f in faults), "no file is gone"


def test_a_draft_that_makes_a_circle_does_not_stop_the_released_versions_at_a_start(root: Path) -> None:
    rewrite(
        root / DRAFT,
        "  customer.signed: {type: bool}",
        "  customer.signed: {type: bool}\n  order.outcome: {type: text, note: x, from: {policy: order-with-credit, output: outcome}}",
    )
    caller = Caller(create(root, watch=False))
    try:
        assert rest(caller) == "2450.00"
        assert any("circle" in f["message"] for f in ready(caller, "degraded")["faults"])
    finally:
        caller.close()


# -- the ledger ----------------------------------------------------------------------------------------------------------------------------


def edited(root: Path, change: Callable[[list[str]], list[str]]) -> None:
    path = root / LEDGER
    path.write_text("".join(line + "\n" for line in change(path.read_text(encoding="utf-8").splitlines())), encoding="utf-8")


def with_value(line: str, **values: Any) -> str:
    return json.dumps(json.loads(line) | values, ensure_ascii=False)


def rechained(lines: list[str]) -> list[str]:
    """A forged ledger whose chain holds."""
    found: list[str] = []
    for line in lines:
        found.append(with_value(line, previous=line_digest(found[-1]) if found else ""))
    return found


TAMPERED: dict[str, Callable[[list[str]], list[str]]] = {
    "first line changed": lambda n: [with_value(n[0], released_by="somebody"), *n[1:]],
    "middle line removed": lambda n: n[:2] + n[3:],
    "first line removed": lambda n: n[1:],
    "two lines swapped": lambda n: [n[1], n[0], *n[2:]],
    "a line twice": lambda n: [*n, n[-1]],
    "no JSON": lambda n: [*n, "released"],
    "cut": lambda n: [*n[:-1], n[-1][:50]],
    "an empty line": lambda n: [*n[:2], "", *n[2:]],
    "a list": lambda n: [*n, "[]"],
    "a key missing": lambda n: [*n, json.dumps({"policy": "x", "previous": line_digest(n[-1])})],
    "last line removed": lambda n: n[:-1],
    "last line changed": lambda n: [*n[:-1], with_value(n[-1], released_at="2025-07-01T00:00:00+08:00")],
    "last line of another period": lambda n: [*n[:-1], with_value(n[-1], effective_from="2025-01-01")],
    "emptied": lambda _: [],
    "forged whole": lambda n: rechained([with_value(x, released_by="somebody") for x in n]),
    "forged shorter": lambda n: rechained(n[:2] + n[3:]),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_a_changed_ledger_is_refused_while_the_old_one_goes_on(caller: Caller, root: Path, name: str) -> None:
    """Append-only: what a running service has read stays as it is."""
    asked: list[dict[str, Any]] = [{}, {"as_of": "2025-03-01"}, {"known_at": "2025-08-31"}, {"known_at": "2025-07-15"}]
    before = [undated(caller.check("credit-request", GOOD, **more)) for more in asked]
    edited(root, TAMPERED[name])
    for _ in range(2):
        caller.state.reload()
        assert [undated(caller.check("credit-request", GOOD, **more)) for more in asked] == before
        faults = ready(caller, "degraded")["faults"]
        assert LEDGER in {f["file"] for f in faults}
    assert gauge(caller, "policy_rule_file_faults") >= 1


def test_a_ledger_that_was_deleted_is_told_and_the_old_one_goes_on(caller: Caller, root: Path) -> None:
    (root / LEDGER).unlink()
    caller.state.reload()
    assert rest(caller) == "2450.00"
    assert LEDGER in {f["file"] for f in ready(caller, "degraded")["faults"]}


def test_a_ledger_that_is_no_text_is_refused_like_any_other(caller: Caller, root: Path) -> None:
    path = root / LEDGER
    path.write_bytes(path.read_bytes() + b"\xff\xfe\n")
    caller.state.reload()
    assert rest(caller) == "2450.00"
    assert LEDGER in {f["file"] for f in ready(caller, "degraded")["faults"]}


@pytest.mark.parametrize("name", ["first line changed", "middle line removed", "first line removed", "no JSON", "cut", "last line of another period"])
def test_a_changed_ledger_at_a_start_is_not_ready(root: Path, name: str) -> None:
    """Without a ledger that holds, nobody knows what is released: no draft passes for it, and the service says that it is not ready."""
    edited(root, TAMPERED[name])
    caller = Caller(create(root, watch=False))
    try:
        found = ready(caller, "not ready")
        assert found["faults"]
    finally:
        caller.close()


def test_a_mended_ledger_is_used_again(caller: Caller, root: Path) -> None:
    text = (root / LEDGER).read_text(encoding="utf-8")
    edited(root, TAMPERED["first line changed"])
    caller.state.reload()
    ready(caller, "degraded")
    (root / LEDGER).write_text(text, encoding="utf-8")
    release(root, root / DRAFT, "2025-12-01")
    assert caller.state.reload()
    ready(caller, "ready")
    assert caller.check("credit-request", GOOD, "2026-02-01")["version"] == 4


def test_an_edited_draft_that_is_then_released_with_its_old_digest_is_refused(caller: Caller, root: Path) -> None:
    release(root, root / DRAFT, "2025-12-01")
    rewrite(root / DRAFT, "4000.00", "4100.00")
    caller.state.reload()
    assert any(f["kind"] == "edited-after-release" for f in ready(caller, "degraded")["faults"])
    assert rest(caller, version=4) == "3950.00"


# -- while it is asked ---------------------------------------------------------------------------------------------------------------------


def test_questions_during_reloads_get_whole_answers_of_one_version(root: Path) -> None:
    """Four threads ask while the file changes between two forms, also by way of halves: each answer is of one of the two."""
    state = State(root)
    path = root / DRAFT
    text = path.read_text(encoding="utf-8")
    forms = [text, text.replace("4000.00", "4100.00")]
    from api import decisions
    from api.requests import Ask

    def answer() -> str:
        found = undated(decisions.decide(state.library, "credit-request", Ask(changed(GOOD), "2025-08-01", version=4), "check"))
        return json.dumps(found, sort_keys=True)

    known = set()
    for form in forms:
        path.write_text(form, encoding="utf-8")
        later(path)
        state.reload()
        known.add(answer())
    assert len(known) == 2
    stop, seen, errors = threading.Event(), set(), []

    def ask() -> None:
        while not stop.is_set():
            try:
                seen.add(answer())
            except Exception as error:
                errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for i in range(60):
        path.write_text("policy: [" + forms[i % 2] if i % 3 == 1 else forms[i % 2], encoding="utf-8")
        later(path)
        state.reload()
    stop.set()
    for thread in threads:
        thread.join()
    assert errors == []
    assert seen <= known
    state.close()


def test_a_batch_is_answered_by_one_library(caller: Caller, root: Path) -> None:
    """api/state.py: readers take the library once and keep it for the whole request."""
    path = root / DRAFT
    text = path.read_text(encoding="utf-8")
    items = [{"policy": "credit-request", "facts": GOOD, "as_of": "2025-08-01", "version": 4}] * 2000

    async def reload_often(done: asyncio.Event) -> int:
        count = 0
        while not done.is_set():
            count += 1
            path.write_text(text.replace("4000.00", f"{4000 + count}.00"), encoding="utf-8")
            later(path)
            caller.state.reload()
            await asyncio.sleep(0)
        return count

    async def both() -> tuple[Any, int]:
        done = asyncio.Event()
        reloads = asyncio.create_task(reload_often(done))
        await asyncio.sleep(0)
        response = await caller.client.post("/v1/decisions", json={"decisions": items})
        done.set()
        return response, await reloads

    response, reloads = caller.run(both())
    assert reloads > 1
    assert len({a["digest"] for a in response.json()["decisions"]}) == 1


def test_the_watcher_looks_by_itself_and_survives_what_it_finds(root: Path) -> None:
    state = State(root)
    looked = threading.Event()
    original = state.reload

    def reload() -> bool:
        found = original()
        looked.set()
        return found

    state.reload = reload  # type: ignore[method-assign]
    state.watch(0.01)
    try:
        rewrite(root / DRAFT, "4000.00", "4100.00")
        for _ in range(200):
            looked.clear()
            assert looked.wait(10)
            if state.library.version("credit-request", 4).policy.parameters["limit"].value != 4000:
                break
        assert str(state.library.version("credit-request", 4).policy.parameters["limit"].value) == "4100.00"
    finally:
        state.close()
    assert state._watcher is not None
    assert not state._watcher.is_alive()


def test_a_log_line_of_a_draft_that_vanished_is_still_masked(logged: tuple[Caller, Path], root: Path) -> None:
    """The log masks by the version that answered, also when a reload took it away in between."""
    caller, path = logged
    secret = "13912345678"
    write = caller.app.log.write if caller.app.log else None
    assert write is not None
    assert caller.app.log is not None

    def late(*entry: Any) -> None:
        (root / DRAFT).unlink()
        caller.state.reload()
        write(caller.state.library if entry[0] is caller.state.library else entry[0], *entry[1:])

    caller.app.log.write = late  # type: ignore[method-assign, assignment]
    caller.check("credit-request", changed(GOOD, customer__mobile=secret), version=4)
    caller.app.log.close()
    caller.app.log = None
    assert secret not in path.read_text(encoding="utf-8")
