"""The process of one simulation, started by simulations/runner.py: `python -m simulations.worker`.

Its first line of input is what to do: {"root", "order", "folder", "memory"}. It stops as soon as its input ends: because it was cancelled, or because
whoever started it is gone, however that came about. On its output one line of JSON for each step, and a last one with how it ended.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from engine.errors import NotFound, PolicyError, RuleFileError

#: Seconds from the end of the input to the end of the process, whatever it is doing.
GRACE = 10.0
#: How often progress is told at most, in seconds.
OFTEN = 0.2
#: Decisions are asked on the same machine; they go first.
NICE = 10


class Told:
    """The output, shared by the threads of a run."""

    def __init__(self, output: BinaryIO, stop: threading.Event) -> None:
        self.output, self.stop = output, stop
        self._lock = threading.Lock()
        self._last, self._phase = 0.0, ""

    def line(self, data: dict[str, Any]) -> None:
        with self._lock:
            try:
                self.output.write(msgspec.json.encode(data) + b"\n")
                self.output.flush()
            except OSError:
                self.stop.set()

    def progress(self, phase: str, done: float) -> None:
        if phase != self._phase or time.monotonic() - self._last >= OFTEN:
            self._phase, self._last = phase, time.monotonic()
            self.line({"phase": phase, "percent": int(done * 100)})


def problem_of(error: BaseException) -> dict[str, Any]:
    """How a run ended that did not succeed, for its caller."""
    found: dict[str, Any] = {"kind": "refused", "status": 409, "title": "The simulation was refused", "detail": str(error)}
    if isinstance(error, RuleFileError):
        return {**found, "kind": "rule-file", "status": 422, "title": "The rule file has faults", "faults": [f.as_json() for f in error.faults]}
    if isinstance(error, NotFound):
        return {**found, "kind": f"unknown-{error.kind}", "status": 404, "title": "There is no such " + error.kind, "exists": error.exists}
    if isinstance(error, PolicyError):
        return found
    if isinstance(error, MemoryError):
        detail = "the simulation needs more memory than there is; ask for fewer rows, or give it more"
        return {**found, "kind": "out-of-memory", "status": 507, "title": "Out of memory", "detail": detail}
    detail = "the simulation failed by a fault of this product; the log of the service has the details"
    return {**found, "kind": "internal", "status": 500, "title": "Something went wrong here", "detail": detail}


def main() -> int:
    told = Told(os.fdopen(os.dup(1), "wb"), threading.Event())
    os.dup2(2, 1)  # what libraries print is no answer
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")  # if memory runs out, this process goes, not the service
    os.nice(NICE)
    task = msgspec.json.decode(sys.stdin.buffer.readline())
    threading.Thread(target=_watch, args=(told.stop,), name="input", daemon=True).start()
    from engine import library
    from simulations.runs.database import Cancelled
    from simulations.runs.order import read_order
    from simulations.runs.run import simulate

    try:
        told.progress("loading the policies", 0.0)
        loaded = library.load(Path(task["root"]))
        simulate(read_order(task["order"]), loaded, Path(task["folder"]), told.progress, told.stop.is_set, task["memory"])
    except Cancelled:
        told.line({"end": "cancelled"})
    except BaseException as error:
        if not isinstance(error, PolicyError):
            import traceback

            traceback.print_exc()
        told.line({"end": "failed", "problem": problem_of(error)})
    else:
        told.line({"end": "done"})
    return 0


def _watch(stop: threading.Event) -> None:
    """Wait for the end of the input."""
    sys.stdin.buffer.read()
    stop.set()
    time.sleep(GRACE)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
