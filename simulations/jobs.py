"""Simulations as jobs: a list in SQLite that several processes share and that outlives them, and a folder of results.

A job is queued, then running, then done, failed or cancelled. Whoever runs jobs (simulations/runner.py) is one process at a time.
"""

from __future__ import annotations

import json
import secrets
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.clock import instant
from engine.errors import PolicyError
from engine.types import SHANGHAI

if TYPE_CHECKING:
    from engine.library import Library
    from simulations.runs.order import Order, Side

STATES = ("queued", "running", "done", "failed", "cancelled")
QUEUE = 20
KEPT = 100
KEPT_BYTES = 20_000_000_000
#: Another process may hold the file for so many seconds.
PATIENCE = 10
_TABLE = """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, policy TEXT NOT NULL, state TEXT NOT NULL, cancel INTEGER NOT NULL DEFAULT 0,
    asked TEXT NOT NULL, run TEXT NOT NULL, created TEXT NOT NULL, started TEXT, finished TEXT, phase TEXT, percent INTEGER, problem TEXT,
    process INTEGER, born TEXT, bytes INTEGER NOT NULL DEFAULT 0
)
"""


class StoreError(PolicyError):
    """The list of jobs cannot be read or written."""


class QueueFull(PolicyError):
    """There are as many jobs waiting as may wait."""


@dataclass(frozen=True, slots=True)
class Job:
    """One job. `asked`: the order as its caller wrote it; `run`: with versions, instant and source filled in. `place`: from 1 while it is queued.

    `process` and `born` (simulations/runner.py) name the process that works on it. `problem`: kind, status, title, detail.
    """

    number: int
    id: str
    policy: str
    state: str
    cancel: bool
    asked: dict[str, Any]
    run: dict[str, Any]
    created: str
    started: str | None
    finished: str | None
    phase: str | None
    percent: int | None
    problem: dict[str, Any] | None
    process: int | None
    born: str | None
    bytes: int
    place: int | None = None

    @property
    def over(self) -> bool:
        return self.state in ("done", "failed", "cancelled")


class Store:
    """The jobs of a data folder: `jobs.sqlite`, and `results/<id>/` for each that is done. Raises StoreError."""

    def __init__(self, folder: Path, queue: int = QUEUE, kept: int = KEPT, kept_bytes: int = KEPT_BYTES) -> None:
        self.folder, self.queue, self.kept, self.kept_bytes = folder, queue, kept, kept_bytes
        self.results = folder / "results"
        self.results.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        with _told():
            self._connection = sqlite3.connect(folder / "jobs.sqlite", timeout=PATIENCE, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute(_TABLE)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    # -- asked by callers ----------------------------------------------------------------------------------------------------------

    def submit(self, policy: str, asked: dict[str, Any], run: dict[str, Any]) -> Job:
        """Put a job at the end of the queue. Raises QueueFull."""
        name = f"s{secrets.token_hex(8)}"
        with self._writing():
            [(waiting,)] = self._rows("SELECT count(*) FROM jobs WHERE state = 'queued'")
            if waiting >= self.queue:
                raise QueueFull(f"{waiting} simulations are waiting already, at most {self.queue} may; come back later, or cancel one")
            values = (name, policy, json.dumps(asked, ensure_ascii=False), json.dumps(run, ensure_ascii=False), _now())
            self._rows("INSERT INTO jobs (id, policy, state, asked, run, created) VALUES (?, ?, 'queued', ?, ?, ?)", values)
        found = self.find(name)
        assert found is not None
        return found

    def find(self, name: str) -> Job | None:
        found = self._jobs("id = ?", (name,))
        return found[0] if found else None

    def listed(self) -> list[Job]:
        """All jobs, the newest first."""
        return self._jobs("true")[::-1]

    def cancel(self, name: str) -> Job | None:
        """Take a queued job out, ask for the end of a running one, remove one that is over (then None). Whoever runs it stops it."""
        with self._writing():
            self._rows("UPDATE jobs SET state = 'cancelled', finished = ? WHERE id = ? AND state = 'queued' RETURNING id", (_now(), name))
            fresh = self._rows("SELECT changes()")[0][0]
            self._rows("UPDATE jobs SET cancel = 1 WHERE id = ? AND state = 'running'", (name,))
            if not fresh:
                gone = self._rows("DELETE FROM jobs WHERE id = ? AND state IN ('done', 'failed', 'cancelled') RETURNING id", (name,))
        if not fresh and gone:
            self.discard(name)
        return self.find(name)

    def counts(self) -> dict[str, int]:
        """How many jobs are in each state."""
        with self._lock, _told():
            found = dict(self._rows("SELECT state, count(*) FROM jobs GROUP BY state"))
        return {state: int(found.get(state, 0)) for state in STATES}

    # -- asked by the runner -------------------------------------------------------------------------------------------------------

    def claim(self) -> Job | None:
        """The job that has waited longest, now running; None if none waits."""
        with self._writing():
            first = "SELECT number FROM jobs WHERE state = 'queued' ORDER BY number LIMIT 1"
            found = self._rows(f"UPDATE jobs SET state = 'running', started = ?, percent = 0 WHERE number = ({first}) RETURNING id", (_now(),))
        return self.find(found[0][0]) if found else None

    def running(self) -> list[Job]:
        return self._jobs("state = 'running'")

    def works(self, name: str, process: int, born: str) -> None:
        """Note which process works on a job."""
        with self._writing():
            self._rows("UPDATE jobs SET process = ?, born = ? WHERE id = ?", (process, born, name))

    def tell(self, name: str, phase: str, percent: int) -> None:
        with self._writing():
            self._rows("UPDATE jobs SET phase = ?, percent = ? WHERE id = ? AND state = 'running'", (phase, percent, name))

    def finish(self, name: str, state: str, problem: dict[str, Any] | None = None) -> None:
        """A running job is over. What there is of a result that is not whole goes."""
        if state != "done":
            self.discard(name)
        size = sum(p.stat().st_size for p in self.place(name).rglob("*") if p.is_file())
        told = json.dumps(problem, ensure_ascii=False) if problem else None
        with self._writing():
            ended = "state = ?, finished = ?, problem = ?, bytes = ?, phase = NULL, percent = NULL, process = NULL"
            self._rows(f"UPDATE jobs SET {ended} WHERE id = ? AND state = 'running'", (state, _now(), told, size, name))

    def prune(self) -> None:
        """Remove the oldest jobs that are over, beyond the number and the size that are kept."""
        over = [job for job in self.listed() if job.over]
        size = 0
        for i, job in enumerate(over):
            size += job.bytes
            if i and (i >= self.kept or size > self.kept_bytes):
                self.cancel(job.id)

    def sweep(self) -> None:
        """Remove folders that belong to no job. Only for whoever runs jobs, while none runs."""
        known = {job.id for job in self.listed() if job.state == "done"}
        for folder in self.results.iterdir():
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)

    # -- folders -------------------------------------------------------------------------------------------------------------------

    def place(self, name: str) -> Path:
        """The folder of a job's results."""
        return self.results / name

    def discard(self, name: str) -> None:
        for folder in (self.place(name), self.results / f"{name}.partial"):
            shutil.rmtree(folder, ignore_errors=True)

    # -- SQLite --------------------------------------------------------------------------------------------------------------------

    def _rows(self, statement: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        return self._connection.execute(statement, values).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction, alone among all processes."""
        with self._lock, _told():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _jobs(self, test: str, values: tuple[Any, ...] = ()) -> list[Job]:
        names = "number, id, policy, state, cancel, asked, run, created, started, finished, phase, percent, problem, process, born, bytes"
        place = "CASE state WHEN 'queued' THEN (SELECT count(*) FROM jobs q WHERE q.state = 'queued' AND q.number <= jobs.number) END"
        with self._lock, _told():
            rows = self._rows(f"SELECT {names}, {place} FROM jobs WHERE {test} ORDER BY number", values)
        return [_job(row) for row in rows]


def _job(row: tuple[Any, ...]) -> Job:
    number, name, policy, state, cancel, asked, run, created, started, finished, phase, percent, problem, process, born, size, place = row
    return Job(
        number, name, policy, state, bool(cancel), json.loads(asked), json.loads(run), created, started, finished, phase, percent,
        json.loads(problem) if problem else None, process, born, size, place,
    )  # fmt: skip


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(f"the list of simulations cannot be used ({error}); look at the disk and at the rights of the data folder") from None


def _now() -> str:
    return datetime.now(SHANGHAI).isoformat(timespec="seconds")


def settled(order: Order, library: Library, now: datetime) -> Order:
    """The order with its versions, and its instant where the population is generated, filled in: it means the same whenever it is run.

    Raises OrderError, NotFound.
    """
    from simulations.runs.order import Misfit, OrderError

    as_of = order.as_of or (now.date().isoformat() if order.population.generate else None)
    try:
        at = instant(as_of) if as_of else now
    except ValueError as error:
        raise OrderError(Misfit(("as_of",), str(error))) from None

    def side(of: Side) -> Side:
        return of if of.version else of.model_copy(update={"version": library.in_force(order.policy, at, None).policy.version})

    return order.model_copy(update={"as_of": as_of, "baseline": side(order.baseline), "candidate": side(order.candidate)})
