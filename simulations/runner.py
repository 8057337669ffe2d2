"""Who runs the jobs of a data folder: of all processes that share it, the one that holds a lock. Each job is a process of its own.

A job cannot take its service down: a crash, or the end by the kernel when memory is short, is that of its process only. A process whose service is gone
stops by itself (simulations/worker.py); whoever takes the lock next ends what is left, and says of those jobs that the service was restarted.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, Any

import msgspec

from simulations.jobs import Job, Store, StoreError

log = logging.getLogger("policy.service")
#: Seconds between two looks at the list: with work under way, without, and at the lock that another process holds.
BUSY, IDLE, WAITING = 0.1, 0.5, 1.0
#: Seconds that a cancelled process has to end by itself.
PATIENCE = 8.0
RESTARTED = {
    "kind": "restarted", "status": 503, "title": "The service was restarted",
    "detail": "the service was restarted while the simulation ran; nothing of it is kept; ask for it again",
}  # fmt: skip


class Runner:
    """Runs queued jobs, `parallel` at a time, each with so much memory for its database (as DuckDB writes it)."""

    def __init__(self, store: Store, root: Path, memory: str | None = None, parallel: int = 1) -> None:
        self.store, self.root, self.memory, self.parallel = store, root, memory, parallel
        self.active: dict[str, Work] = {}
        self._lock: IO[str] | None = None
        self._wake, self._stop = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._loop, name="simulations", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """There may be something to do."""
        self._wake.set()

    def close(self) -> None:
        """End what runs; it is told as ended by a restart. Queued jobs wait for the next start."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        self.store.close()

    def _loop(self) -> None:
        while not self._stop.is_set():
            try:
                if self._lock is None and not self._lead():
                    self._stop.wait(WAITING)
                    continue
                self.step()
            except (StoreError, OSError) as error:
                log.error("simulations cannot go on for now", extra={"data": {"reason": str(error)}})
                self._stop.wait(WAITING)
            self._wake.wait(BUSY if self.active else IDLE)
            self._wake.clear()
        self._end()

    def _lead(self) -> bool:
        """Take the lock, if nobody has it, and clear up after the one who had it."""
        lock = (self.store.folder / "runner.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        try:
            for job in self.store.running():
                if job.process is not None:
                    _kill(job.process, job.born)
                self.store.finish(job.id, "cancelled" if job.cancel else "failed", None if job.cancel else RESTARTED)
                log.warning("a simulation was ended by a restart", extra={"data": {"simulation": job.id}})
            self.store.sweep()
            self.store.prune()
        except BaseException:
            lock.close()
            raise
        self._lock = lock
        return True

    def step(self) -> None:
        """Look once: what ended, what is to be cancelled, what can begin."""
        for job in self.store.running():
            work = self.active.get(job.id)
            if work is None:
                continue
            if work.over:
                del self.active[job.id]
                self._settle(job, work)
                continue
            if job.cancel:
                work.cancel()
            if work.told != (job.phase, job.percent):
                self.store.tell(job.id, *work.told)
        while len(self.active) < self.parallel and (job_ := self.store.claim()) is not None:
            self._begin(job_)

    def _begin(self, job: Job) -> None:
        try:
            work = Work(self, job)
        except OSError as error:
            detail = f"no process could be started for the simulation: {error.strerror or error}; look at the limits of the machine, and ask again"
            self.store.finish(job.id, "failed", {"kind": "no-process", "status": 503, "title": "No process", "detail": detail})
            return
        self.active[job.id] = work
        self.store.works(job.id, work.process.pid, born(work.process.pid) or "")

    def _settle(self, job: Job, work: Work) -> None:
        state, problem = work.end()
        if state == "done" and not self.store.place(job.id).is_dir():
            state, problem = "failed", _crash(work.process.returncode)
        if state == "failed" and job.cancel:
            state, problem = "cancelled", None
        self.store.finish(job.id, state, problem)
        self.store.prune()
        log.info("a simulation is over", extra={"data": {"simulation": job.id, "policy": job.policy, "state": state}})

    def _end(self) -> None:
        for work in self.active.values():
            work.cancel()
        for name, work in self.active.items():
            work.wait(PATIENCE)
            state, problem = work.end()
            kept = state == "done" and self.store.place(name).is_dir()
            with contextlib.suppress(StoreError):
                self.store.finish(name, "done" if kept else "failed", None if kept else problem if state == "failed" else RESTARTED)
        self.active.clear()
        if self._lock is not None:
            self._lock.close()


class Work:
    """One process, and what it told."""

    def __init__(self, runner: Runner, job: Job) -> None:
        self.told: tuple[str, int] = ("starting", 0)
        self.last: dict[str, Any] = {}
        self._asked: float | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  closed when the process is over
        self.process = subprocess.Popen(
            [sys.executable, "-m", "simulations.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, start_new_session=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )  # fmt: skip
        task = {"root": str(runner.root.resolve()), "order": job.run, "folder": str(runner.store.place(job.id).resolve()), "memory": runner.memory}
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(msgspec.json.encode(task) + b"\n")
            self.process.stdin.flush()
        self._reader = threading.Thread(target=self._read, args=(runner,), name=f"simulation-{job.id}", daemon=True)
        self._reader.start()

    def _read(self, runner: Runner) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with contextlib.suppress(msgspec.DecodeError):
                self.last = msgspec.json.decode(line)
                if "phase" in self.last:
                    self.told = self.last["phase"], self.last["percent"]
        self.process.wait()
        runner.wake()

    @property
    def over(self) -> bool:
        return not self._reader.is_alive()

    def cancel(self) -> None:
        """Ask for the end; take it, if it was asked for long enough ago."""
        if self._asked is None:
            self._asked = time.monotonic()
            assert self.process.stdin is not None
            with contextlib.suppress(OSError):
                self.process.stdin.close()
        elif time.monotonic() - self._asked > PATIENCE:
            _kill(self.process.pid, None)

    def wait(self, seconds: float) -> None:
        self._reader.join(seconds)
        if self._reader.is_alive():
            _kill(self.process.pid, None)
            self._reader.join(seconds)

    def end(self) -> tuple[str, dict[str, Any] | None]:
        """How it ended, and why. What it wrote to standard error is told in the log, if it did not end as it should."""
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()
        state, problem = self.last.get("end"), self.last.get("problem")
        crashed = state is None or (problem or {}).get("kind") == "internal"
        if crashed:
            self._errors.seek(0)
            said = self._errors.read()[-4000:].decode(errors="replace")
            log.error("a simulation crashed", extra={"data": {"code": self.process.returncode, "said": said}})
        self._errors.close()
        return (state, problem) if state is not None else ("failed", _crash(self.process.returncode))


def _crash(code: int | None) -> dict[str, Any]:
    if code == -signal.SIGKILL:
        detail = "the process of the simulation was killed, most often because the machine ran out of memory; ask for fewer rows, or set less memory for it"
    elif code is not None and code < 0:
        detail = f"the process of the simulation crashed ({signal.Signals(-code).name}); the log of the service has the details"
    else:
        detail = f"the process of the simulation ended without a result (code {code}); the log of the service has the details"
    return {"kind": "crashed", "status": 500, "title": "The simulation crashed", "detail": detail}


def born(process: int) -> str | None:
    """When a process was started, in ticks since the machine was: with its number it names one process for good. None if there is none (or no /proc)."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


def _kill(process: int, known: str | None) -> None:
    """End a process and those that it started. `known`: only the one that was born then. Waits until it is gone."""
    if known is not None and born(process) != known:
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process, signal.SIGKILL)
    end = time.monotonic() + PATIENCE
    while known is not None and born(process) == known and time.monotonic() < end:
        time.sleep(0.02)

