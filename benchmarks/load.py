"""Load from the other core over keep-alive connections: `wrk` where it is installed, else a small asyncio client (`python -m benchmarks.load`)."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.servers import LOAD_CORE, REPOSITORY, on_core

WRK = shutil.which("wrk")
CONNECTIONS = 16


@dataclass(slots=True)
class Load:
    """What one spell of load saw; latencies and `core`, the core time of the server for one request, in µs."""

    a_second: float
    p50: float
    p99: float
    core: float


@dataclass(slots=True)
class Target:
    """Where load goes, the process that answers, and a file with one body a line."""

    process: int
    port: int
    path: str
    bodies: Path
    connections: int = CONNECTIONS


def generator() -> str:
    return "`wrk`" if WRK else "a small asyncio client (`wrk` is not installed; it takes more of its core than wrk does, so rates are lower bounds)"


def bodies(path: Path, made: Sequence[bytes]) -> Path:
    path.write_bytes(b"".join(body + b"\n" for body in made))
    return path


def send(target: Target, seconds: int) -> Load:
    """Load for some seconds. Raises if any answer was not 200."""
    if WRK:
        url, script = f"http://127.0.0.1:{target.port}{target.path}", Path(__file__).with_name("load.lua")
        command = [WRK, "-t", "1", "-c", str(target.connections), "-d", f"{seconds}s", "-s", str(script), url, "--", str(target.bodies)]
    else:
        command = [sys.executable, "-m", "benchmarks.load", str(target.port), target.path, str(target.bodies), str(seconds), str(target.connections)]
    before = _core_seconds(target.process)
    with on_core(LOAD_CORE):
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 20, cwd=REPOSITORY, check=False)
    line = next((x for x in done.stdout.splitlines() if x.startswith("RESULT ")), None)
    if line is None:
        raise RuntimeError(f"the load generator failed: {done.stdout[-300:]} {done.stderr[-300:]}")
    seen = json.loads(line.removeprefix("RESULT "))
    if seen["bad"]:
        raise RuntimeError(f"{seen['bad']} of {seen['requests']} requests failed")
    spent = _core_seconds(target.process) - before
    return Load(seen["requests"] / seen["seconds"], seen["p50"], seen["p99"], spent / seen["requests"] * 1e6)


def _core_seconds(process: int) -> float:
    """The core time that a process has used so far, in user and system mode."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / float(os.sysconf("SC_CLK_TCK"))


class Seen:
    """The spells of each target in the order of the rounds."""

    def __init__(self) -> None:
        self.spells: dict[str, list[Load]] = {}

    def median(self, name: str, part: str) -> float:
        return float(statistics.median(getattr(x, part) for x in self.spells[name]))

    def ratio(self, name: str, other: str, part: str) -> float:
        """The median over the rounds of one by the other, so that noise of a round meets both."""
        pairs = zip(self.spells[name], self.spells[other], strict=True)
        return float(statistics.median(getattr(x, part) / getattr(y, part) for x, y in pairs))


def in_turn(targets: dict[str, Target], rounds: int, seconds: int, warm: bool) -> Seen:
    """Several rounds, each target in each round; before them one second for each to get warm."""
    seen = Seen()
    if warm:
        for target in targets.values():
            send(target, 1)
    for _ in range(rounds):
        for name, target in targets.items():
            seen.spells.setdefault(name, []).append(send(target, seconds))
    return seen


# -- without wrk ---------------------------------------------------------------------------------------------------------------------


async def _connection(target: Target, requests: list[bytes], start: int, end: float, times: list[float]) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
    at, bad = start, 0
    while time.perf_counter() < end:
        started = time.perf_counter()
        writer.write(requests[at % len(requests)])
        at += target.connections
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        bad += b" 200 " not in head.split(b"\r\n", 1)[0]
        if b"content-length:" in head:
            await reader.readexactly(int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0]))
        else:  # chunked
            while (size := int(await reader.readline(), 16)) > 0:
                await reader.readexactly(size + 2)
            await reader.readline()
        times.append(time.perf_counter() - started)
    writer.close()
    return bad


async def _client(target: Target, seconds: float) -> dict[str, Any]:
    head = f"POST {target.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: "
    requests = [f"{head}{len(b)}\r\n\r\n".encode() + b for b in target.bodies.read_bytes().splitlines()]
    times: list[float] = []
    started = time.perf_counter()
    bad = await asyncio.gather(*(_connection(target, requests, i, started + seconds, times) for i in range(target.connections)))
    spent = time.perf_counter() - started
    times.sort()
    return {"requests": len(times), "seconds": spent, "p50": times[len(times) // 2] * 1e6, "p99": times[len(times) * 99 // 100] * 1e6, "bad": sum(bad)}


if __name__ == "__main__":
    port, path, file, spell, connections = sys.argv[1:]
    print("RESULT " + json.dumps(asyncio.run(_client(Target(0, int(port), path, Path(file), int(connections)), float(spell)))))
