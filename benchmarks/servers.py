"""Servers on 127.0.0.1, each on one core: this service, and the Go policy server beside it. Whatever is started here is stopped here, by its process id."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks.twelve import AS_OF, COOLDOWN, TERM, Facts

REPOSITORY = Path(__file__).resolve().parent.parent
GO_SERVER = Path(__file__).parent / ".peers/node_modules/@cerbos/cerbos-linux-x64/cerbos-linux-x64"
CORES = sorted(os.sched_getaffinity(0))
#: Servers get one core, the load another one; with a single core they share it.
SERVER_CORE, LOAD_CORE = CORES[0], CORES[-1]


class NotStartedError(Exception):
    """A server did not answer in time."""


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Processes started in here run on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def running(command: Sequence[str], port: int, log: Path, seconds: float = 20, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server process, from its first open port to the end of the block."""
    with log.open("wb") as out, on_core(SERVER_CORE):
        process = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, cwd=REPOSITORY, env={**os.environ, **environment})
    try:
        wait(process, port, seconds, log)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


def wait(process: subprocess.Popen[bytes], port: int, seconds: float, log: Path) -> None:
    """Until the port is open."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise NotStartedError(f"it ended with {process.returncode}: {log.read_text(errors='replace')[-300:]}")
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.003)
    raise NotStartedError(f"no open port within {seconds} s")


def post(port: int, path: str, body: bytes) -> Any:
    """One request. Raises for any answer but 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", path, body, {"content-type": "application/json"})
        response = connection.getresponse()
        answer = response.read()
        if response.status != 200:
            raise RuntimeError(f"{path} answered {response.status}: {answer[:300]!r}")
        return json.loads(answer)
    finally:
        connection.close()


def service(root: Path, port: int, *options: str) -> list[str]:
    """The command that starts this service with one worker."""
    return [sys.executable, "-m", "cli.main", "--root", str(root), "serve", "--port", str(port), "--no-reload", *options]


# -- the Go policy server ------------------------------------------------------------------------------------------------------------

GO_PATH = "/api/check/resources"
GO_BATCH = 500


def _months(moment: str, count: int) -> str:
    """CEL has no calendar months: is `as_of` on or after `moment` plus months, clamped to the month's end?"""
    apart = f"((V.as_of.getFullYear() - {moment}.getFullYear()) * 12 + V.as_of.getMonth() - {moment}.getMonth())"
    last_day = '(V.as_of + duration("24h")).getDayOfMonth() == 1'
    return f"({apart} > {count} || ({apart} == {count} && (V.as_of.getDayOfMonth() >= {moment}.getDayOfMonth() || {last_day})))"


GO_CONDITIONS = (
    "R.attr.verified",
    "!R.attr.frozen",
    'R.attr.mode in ["resale", "consulting_sales"]',
    'R.attr.mode != "resale" || R.attr.kind != "solution_provider"',
    "size(R.attr.unused) == 0",
    'R.attr.mode != "resale" || R.attr.arrears_amount == 0.0',
    f"R.attr.last_request_on == null || {_months('timestamp(R.attr.last_request_on)', COOLDOWN)}",
    f"!{_months('timestamp(R.attr.signed_on)', TERM)}",
    "timestamp(R.attr.level_until) >= V.as_of",
    "R.attr.amount >= 100.0",
    '"cloud" in R.attr.roles || R.attr.amount <= 500000.0',
    "R.attr.seats >= 1.0 && R.attr.seats <= 500.0 && R.attr.amount - R.attr.arrears_amount <= 550000.0",
)


def go_server(folder: Path, port: int) -> list[str]:
    """Write the policy and the configuration of the Go policy server; the command that starts it."""
    store = folder / "go-policies"
    store.mkdir(parents=True, exist_ok=True)
    policy = {
        "apiVersion": "api.cerbos.dev/v1",
        "resourcePolicy": {
            "resource": "relation",
            "version": "default",
            "variables": {"local": {"as_of": "timestamp(R.attr.as_of)"}},
            "rules": [{
                "actions": ["switch"], "effect": "EFFECT_ALLOW", "roles": ["partner"],
                "condition": {"match": {"all": {"of": [{"expr": c} for c in GO_CONDITIONS]}}},
            }],
        },
    }  # fmt: skip
    (store / "relation.yaml").write_text(json.dumps(policy), encoding="utf-8")
    settings = {
        "server": {
            "httpListenAddr": f"127.0.0.1:{port}", "grpcListenAddr": f"127.0.0.1:{free_port()}",
            "requestLimits": {"maxResourcesPerRequest": GO_BATCH},
        },
        "telemetry": {"disabled": True},
        "audit": {"enabled": False},
        "storage": {"driver": "disk", "disk": {"directory": str(store), "watchForChanges": False}},
    }  # fmt: skip
    path = folder / "go-server.yaml"
    path.write_text(json.dumps(settings), encoding="utf-8")
    return [str(GO_SERVER), "server", "--config", str(path), "--log-level", "error"]


def go_resource(facts: Facts, name: str = "1") -> dict[str, Any]:
    """The same facts as the Go policy server takes them: numbers, and instants for dates."""
    partner, customer, order = facts.nested["partner"], facts.nested["customer"], facts.nested["order"]

    def instant(text: str | None) -> str | None:
        return None if text is None else f"{text}T00:00:00Z"

    attributes = {
        "verified": partner["verified"], "frozen": partner["frozen"], "kind": partner["kind"], "roles": partner["roles"],
        "level_until": instant(partner["level_until"]), "mode": facts.nested["relation"]["mode"], "unused": customer["unused"],
        "arrears_amount": float(customer["arrears_amount"]), "last_request_on": instant(customer["last_request_on"]),
        "signed_on": instant(facts.nested["contract"]["signed_on"]), "amount": float(order["amount"]), "seats": order["seats"], "as_of": instant(AS_OF),
    }  # fmt: skip
    return {"actions": ["switch"], "resource": {"kind": "relation", "id": name, "attr": attributes}}


def go_body(cases: Sequence[Facts]) -> bytes:
    """One request of the Go policy server for one case or several."""
    resources = [go_resource(facts, str(i)) for i, facts in enumerate(cases)]
    return json.dumps({"requestId": "1", "principal": {"id": "p", "roles": ["partner"], "attr": {}}, "resources": resources}).encode()


def go_outcomes(answer: Any) -> list[str]:
    return ["allowed" if r["actions"]["switch"] == "EFFECT_ALLOW" else "denied" for r in answer["results"]]
