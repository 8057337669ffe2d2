"""The HTTP check, one worker on one core, beside a policy server in Go on the same core; the decision log on and off; batches."""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks import servers, twelve
from benchmarks.load import CONNECTIONS, Seen, Target, bodies, generator, in_turn
from benchmarks.report import NOT, Part, Row, micro, rate
from benchmarks.servers import GO_BATCH, GO_PATH, GO_SERVER, free_port, go_body, go_outcomes, go_server, post, running, service

CHECK = f"/v1/policies/{twelve.POLICY}/check"
BATCH = 1000
VARIED = 4000
CHECKED = 200
GO = "policy server in Go (Cerbos 0.55)"


def body(facts: twelve.Facts) -> bytes:
    """A check; the version is pinned, since the generated policy is not released."""
    return json.dumps({"facts": facts.nested, "as_of": twelve.AS_OF, "version": 1}).encode()


def batch_body(cases: Sequence[twelve.Facts]) -> bytes:
    items = [{"policy": twelve.POLICY, "version": 1, "as_of": twelve.AS_OF, "facts": facts.nested} for facts in cases]
    return json.dumps({"decisions": items}).encode()


def measure(quick: bool) -> Part:
    part = Part("HTTP")
    chance = random.Random(160)
    rounds, seconds = (1, 1) if quick else (5, 2)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        twelve.write(folder / "policies")
        here, logged, there = free_port(), free_port(), free_port()
        plain = stack.enter_context(running(service(folder / "policies", here), here, folder / "here.log")).pid
        options = ("--log-decisions", str(folder / "decisions.jsonl"))
        logs = stack.enter_context(running(service(folder / "policies", logged, *options), logged, folder / "logged.log")).pid
        why, other = _start_go(stack, folder, there)
        _agree(here, None if why else there, chance)
        passing = [twelve.passing(chance) for _ in range(VARIED)]
        violating = [twelve.violating(chance) for _ in range(VARIED)]
        files = {
            "passing": bodies(folder / "a", [body(f) for f in passing]),
            "3 violated": bodies(folder / "b", [body(f) for f in violating]),
            "batch": bodies(folder / "c", [batch_body(passing[i : i + BATCH]) for i in range(0, VARIED, BATCH)]),
            "batch, 3 violated": bodies(folder / "d", [batch_body(violating[i : i + BATCH]) for i in range(0, VARIED, BATCH)]),
            "Go passing": bodies(folder / "e", [go_body([f]) for f in passing]),
            "Go 3 violated": bodies(folder / "f", [go_body([f]) for f in violating]),
            "Go batch": bodies(folder / "g", [go_body(passing[i : i + GO_BATCH]) for i in range(0, VARIED, GO_BATCH)]),
        }
        targets = {}
        for kind in ("passing", "3 violated"):
            targets[kind] = Target(plain, here, CHECK, files[kind])
            targets[f"logged {kind}"] = Target(logs, logged, CHECK, files[kind])
            targets[f"Go {kind}"] = Target(other, there, GO_PATH, files[f"Go {kind}"])
        targets["alone"] = Target(plain, here, CHECK, files["passing"], 1)
        targets["Go alone"] = Target(other, there, GO_PATH, files["Go passing"], 1)
        targets["batch"] = Target(plain, here, "/v1/decisions", files["batch"], 2)
        targets["Go batch"] = Target(other, there, GO_PATH, files["Go batch"], 2)
        targets["batch, 3 violated"] = Target(plain, here, "/v1/decisions", files["batch, 3 violated"], 2)
        found = in_turn({k: t for k, t in targets.items() if t.process}, rounds, seconds, not quick)
        size = (folder / "decisions.jsonl").stat().st_size
    part.rows = _rows(found, why)
    same = " (the same one!)" if servers.SERVER_CORE == servers.LOAD_CORE else ""
    busy = found.median("passing", "a_second") * found.median("passing", "core") / 1e6
    part.notes = [
        f"One uvicorn worker on core {servers.SERVER_CORE}, the load from core {servers.LOAD_CORE}{same} by {generator()}, {CONNECTIONS} keep-alive "
        f"connections, {VARIED:,} different bodies in turn, {rounds} round(s) of {seconds} s for each candidate in turn, only one under load at a time. "
        "Everything on 127.0.0.1. Ratios are medians of the ratios within a round.",
        "Core time is what the server process used by its own account (user and system). `A core-second` is a second divided by the core time of one "
        "request: what a core of its own would carry. Other work on these cores lowers the requests seen, and not alike for processes with different numbers "
        f"of threads, so what is wanted is judged by core time. The server got {busy:.0%} of its core in the passing check; near 100 % both say the same.",
        f"{GO}: plain HTTP, on the same one core with GOMAXPROCS=1, disk store, no audit log, no telemetry; the twelve conditions as CEL expressions that must "
        "all hold. It stops at the first one that fails and says yes or no; the answer here names every violated one with texts, facts and receipt. Its gRPC "
        f"interface was not measured. Both gave the expected outcome on {CHECKED} random fact sets first.",
        f"A batch here is {BATCH:,} decisions a call; there {GO_BATCH} (the most that its settings allow), over 2 connections each.",
        f"The decision log wrote {size / 1e6:,.0f} MB (one JSON line a decision) meanwhile, by a thread of the same process on the same core.",
    ]
    return part


def _start_go(stack: ExitStack, folder: Path, port: int) -> tuple[str | None, int]:
    """Start the Go policy server: why not, if it cannot be, and its process."""
    if not GO_SERVER.exists():
        return "its package is not installed (`make bench` does it where npm and the network are there)", 0
    try:
        process = stack.enter_context(running(go_server(folder, port), port, folder / "go.log", GOMAXPROCS="1", CERBOS_NO_TELEMETRY="1"))
    except (servers.NotStartedError, OSError) as error:
        return f"it did not start: {str(error)[:200]}", 0
    return None, process.pid


def _agree(here: int, there: int | None, chance: random.Random) -> None:
    """Both servers must give the expected outcome before anything is timed."""
    cases = [twelve.anything(chance) for _ in range(CHECKED)]
    wanted = [f.outcome for f in cases]
    said = [post(here, CHECK, body(f))["outcome"] for f in cases]
    batch = [d["outcome"] for d in post(here, "/v1/decisions", batch_body(cases))["decisions"]]
    if said != wanted or batch != wanted:
        raise RuntimeError("the service does not give the expected outcomes")
    if there is not None:
        for facts, outcome in zip(cases, go_outcomes(post(there, GO_PATH, go_body(cases))), strict=True):
            if outcome != facts.outcome:
                raise RuntimeError(f"the Go policy server says {outcome} for {facts.nested}, expected {facts.outcome}")


def _rows(found: Seen, why: str | None) -> list[Row]:
    rows = []

    def beside(row: Row, name: str, part: str, show: Callable[[float], str], times: int = 1) -> Row:
        """Fill in the Go server; of a rate more is better, of a time less."""
        if why is not None:
            row.there = f"{NOT}: {why}"
            return row
        other = f"Go {name}"
        row.there = show(found.median(other, part) * times)
        row.ratio = found.ratio(name, other, part) if part == "a_second" else 1 / found.ratio(name, other, part)
        return row

    for kind in ("passing", "3 violated"):
        rows.append(beside(Row(f"HTTP check, {kind}, seen", rate(found.median(kind, "a_second")), GO), kind, "a_second", rate))
        row = beside(Row(f"HTTP check, {kind}, a core-second", _full(found.median(kind, "core")), GO, wanted="5 × the Go server"), kind, "core", _full)
        row.reached = None if row.ratio is None else row.ratio >= 5
        rows.append(row)
    for kind, shown in (("passing", CONNECTIONS), ("alone", 1)):
        for part in ("p50", "p99"):
            row = Row(f"HTTP check, latency {part}, {shown} connection{'s' * (shown > 1)}", _us(found.median(kind, part)), GO)
            rows.append(beside(row, kind, part, _us))
    for kind in ("passing", "3 violated"):
        more = found.ratio(f"logged {kind}", kind, "core")
        on, off = (_us(found.median(name, "core")) for name in (f"logged {kind}", kind))
        rows.append(
            Row(f"HTTP check, {kind}, decision log on, core time", on, "decision log off", off, 1 / more, "below 1.3 × the time", more < 1.3, itself=True)
        )
    for kind in ("batch", "batch, 3 violated"):
        decisions = BATCH / found.median(kind, "core") * 1e6
        seen = Row(f"HTTP {kind}, {BATCH:,} a call, decisions seen", rate(found.median(kind, "a_second") * BATCH))
        full = Row(f"HTTP {kind}, {BATCH:,} a call, decisions a core-second", rate(decisions), wanted="30,000/s", reached=decisions >= 30_000)
        if kind == "batch":
            seen.beside = full.beside = f"{GO}, {GO_BATCH} a call"
            beside(seen, kind, "a_second", rate, GO_BATCH)
            beside(full, kind, "core", lambda core: rate(GO_BATCH / core * 1e6))
            for row in (seen, full):
                row.ratio = None if row.ratio is None else row.ratio * BATCH / GO_BATCH
        rows += [seen, full]
    return rows


def _us(value: float) -> str:
    return micro(value * 1000)


def _full(core: float) -> str:
    """Requests a second of a core of its own, from the core time of one in µs."""
    return rate(1e6 / core)
