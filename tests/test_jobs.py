"""Jobs: a queue that several processes share, one process a run, and nothing lost or left behind, however a run or the service ends."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from engine import library
from engine.errors import NotFound, PolicyError
from engine.types import SHANGHAI
from simulations.jobs import Job, QueueFull, Store, StoreError, settled
from simulations.runner import Runner, born
from simulations.runs.order import read_order

POLICY = "credit-request"
#: Rows that take a worker far longer than a test waits.
ENDLESS = 500_000_000
LONG = 90.0


def order(rows: int = 500, limit: str = "3000.00", **more: Any) -> dict[str, Any]:
    sides = {"baseline": {"version": 1}, "candidate": {"version": 1, "parameters": {"limit": limit}}}
    return {"policy": POLICY, **sides, "population": {"generate": {"rows": rows}}, "as_of": "2025-08-01", **more}


def submit(store: Store, **more: Any) -> Job:
    asked = order(**more)
    return store.submit(POLICY, asked, asked)


def until(test: Callable[[], Any]) -> Any:
    end = time.monotonic() + LONG
    while not (found := test()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return found


def over(store: Store, job: Job) -> Job:
    """The job when it is over."""

    def look() -> Job | None:
        found = store.find(job.id)
        assert found is not None
        return found if found.over else None

    found: Job = until(look)
    return found


def working(store: Store, job: Job) -> Job:
    """The job when its process has got as far as the population."""

    def look() -> Job | None:
        found = store.find(job.id)
        assert found is not None
        assert not found.over, found.problem
        return found if found.process and found.phase == "reading the population" else None

    found: Job = until(look)
    return found


def gone(process: int | None) -> bool:
    assert process is not None
    return born(process) is None


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = Store(tmp_path / "data", queue=3, kept=2, kept_bytes=1000)
    yield found
    found.close()


@pytest.fixture
def runner(tmp_path: Path, root: Path) -> Iterator[Runner]:
    found = Runner(Store(tmp_path / "data"), root, "500MB")
    found.start()
    yield found
    found.close()


# -- the list ----------------------------------------------------------------------------------------------------------------------------


def test_jobs_wait_in_their_order(store: Store) -> None:
    names = [submit(store).id for _ in range(3)]
    assert [(j.id, j.place) for j in store.listed()] == [(names[2], 3), (names[1], 2), (names[0], 1)]
    first = store.claim()
    assert first is not None
    assert (first.id, first.state, first.place, first.percent) == (names[0], "running", None, 0)
    assert [store.find(n).place for n in names] == [None, 1, 2]  # type: ignore[union-attr]
    assert store.counts() == {"queued": 2, "running": 1, "done": 0, "failed": 0, "cancelled": 0}


def test_a_full_queue_takes_no_more(store: Store) -> None:
    for _ in range(3):
        submit(store)
    with pytest.raises(QueueFull, match="3 simulations are waiting already, at most 3 may"):
        submit(store)
    store.claim()
    submit(store)


def test_a_queued_job_is_cancelled_at_once_and_a_running_one_is_asked_to_stop(store: Store) -> None:
    first, second = submit(store), submit(store)
    store.claim()
    found = store.cancel(second.id)
    assert found is not None
    assert found.state == "cancelled"
    found = store.cancel(first.id)
    assert found is not None
    assert (found.state, found.cancel) == ("running", True)
    assert store.claim() is None


def test_a_job_that_is_over_is_removed_with_its_results(store: Store) -> None:
    job = submit(store)
    store.claim()
    (store.place(job.id)).mkdir()
    (store.place(job.id) / "report.html").write_text("x")
    store.finish(job.id, "done")
    assert store.find(job.id).bytes == 1  # type: ignore[union-attr]
    assert store.cancel(job.id) is None
    assert store.find(job.id) is None
    assert not store.place(job.id).exists()


def test_results_that_are_not_whole_go_when_a_job_fails(store: Store) -> None:
    job = submit(store)
    store.claim()
    half = store.results / f"{job.id}.partial"
    half.mkdir()
    store.finish(job.id, "failed", {"kind": "refused", "detail": "no"})
    assert not half.exists()
    assert store.find(job.id).problem == {"kind": "refused", "detail": "no"}  # type: ignore[union-attr]


@pytest.mark.parametrize(("sizes", "left"), [([1, 1, 1, 1], 2), ([1, 600, 500], 1), ([600, 500, 1], 2), ([2000], 1), ([1, 2000], 1)])
def test_the_oldest_results_go_first(store: Store, sizes: list[int], left: int) -> None:
    """At most two are kept here, and at most 1,000 bytes; the newest stays in any case. `sizes`: the oldest first."""
    names = []
    for size in sizes:
        job = submit(store)
        names.append(job.id)
        store.claim()
        store.place(job.id).mkdir()
        (store.place(job.id) / "x").write_bytes(b"x" * size)
        store.finish(job.id, "done")
    store.prune()
    assert sorted(p.name for p in store.results.iterdir()) == sorted(names[-left:])
    assert [j.id for j in store.listed()] == names[-left:][::-1]


def test_folders_of_no_job_are_swept(store: Store) -> None:
    (store.results / "sstray.partial").mkdir()
    store.sweep()
    assert list(store.results.iterdir()) == []


def test_what_is_no_list_is_told(tmp_path: Path) -> None:
    (tmp_path / "jobs.sqlite").write_text("this is no database, but long enough to be taken for one" * 20)
    with pytest.raises(StoreError, match="look at the disk and at the rights"):
        Store(tmp_path)


def test_an_order_is_settled_when_it_is_taken(root: Path) -> None:
    """A queued job means the same whenever it runs: its day and its versions are those of when it was asked for."""
    loaded = library.load(root)
    now = datetime(2025, 8, 1, 23, 30, tzinfo=SHANGHAI)
    ask = {"policy": POLICY, "candidate": {"version": 1}, "population": {"generate": {"rows": 10}}}
    found = settled(read_order(ask), loaded, now)
    assert (found.as_of, found.baseline.version, found.candidate.version) == ("2025-08-01", 3, 1)
    named = settled(read_order({**ask, "population": {"source": "x.parquet"}}), loaded, now)
    assert (named.as_of, named.baseline.version) == (None, 3)
    with pytest.raises(PolicyError, match="as_of: "):
        settled(read_order({**ask, "as_of": "yesterday"}), loaded, now)
    with pytest.raises(NotFound):
        settled(read_order({**ask, "as_of": "1999-01-01"}), loaded, now)


# -- runs --------------------------------------------------------------------------------------------------------------------------------


def test_a_job_is_done_and_its_results_are_whole(runner: Runner) -> None:
    found = over(runner.store, submit(runner.store))
    assert (found.state, found.problem, found.phase) == ("done", None, None)
    names = {p.name for p in runner.store.place(found.id).iterdir()}
    assert {"manifest.json", "summary.json", "report.html", "changed.parquet"} <= names
    assert found.bytes > 0
    assert [p.name for p in runner.store.results.iterdir()] == [found.id]


def test_a_job_that_is_refused_says_why_and_the_next_one_runs(runner: Runner) -> None:
    bad, good = submit(runner.store, rows=1), submit(runner.store)
    found = over(runner.store, bad)
    assert found.state == "failed"
    assert found.problem is not None
    assert found.problem["kind"] == "refused"
    assert "boundary values" in found.problem["detail"]
    assert over(runner.store, good).state == "done"
    assert [p.name for p in runner.store.results.iterdir()] == [good.id]


def test_a_running_job_is_cancelled(runner: Runner) -> None:
    job = working(runner.store, submit(runner.store, rows=ENDLESS))
    runner.store.cancel(job.id)
    found = over(runner.store, job)
    assert (found.state, found.problem) == ("cancelled", None)
    assert gone(job.process)
    assert list(runner.store.results.iterdir()) == []


def test_a_killed_process_fails_its_job_and_nothing_else(runner: Runner) -> None:
    job = working(runner.store, submit(runner.store, rows=ENDLESS))
    assert job.process is not None
    os.kill(job.process, signal.SIGKILL)
    found = over(runner.store, job)
    assert found.problem is not None
    assert (found.state, found.problem["kind"]) == ("failed", "crashed")
    assert "ran out of memory" in found.problem["detail"]
    assert list(runner.store.results.iterdir()) == []
    assert over(runner.store, submit(runner.store)).state == "done"


def test_a_full_disk_fails_a_job_and_leaves_nothing(runner: Runner) -> None:
    """Files may not grow beyond a limit, which is what a process sees of a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, before[1]))
    try:
        found = over(runner.store, submit(runner.store, rows=300_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert found.problem is not None
    assert (found.state, found.problem["kind"]) == ("failed", "refused")
    assert "written" in found.problem["detail"] or "free some space" in found.problem["detail"]
    assert list(runner.store.results.iterdir()) == []


def test_the_end_of_the_service_ends_its_runs_and_keeps_the_queue(tmp_path: Path, root: Path) -> None:
    first = Runner(Store(tmp_path / "data"), root, "500MB")
    first.start()
    job = working(first.store, submit(first.store, rows=ENDLESS))
    waiting = submit(first.store)
    first.close()
    assert gone(job.process)
    second = Runner(Store(tmp_path / "data"), root, "500MB")
    try:
        ended = second.store.find(job.id)
        assert ended is not None
        assert ended.problem is not None
        assert (ended.state, ended.problem["kind"]) == ("failed", "restarted")
        second.start()
        assert over(second.store, waiting).state == "done"
    finally:
        second.close()


SERVICE = """
import sys, time
from pathlib import Path
from simulations.jobs import Store
from simulations.runner import Runner
Runner(Store(Path(sys.argv[1])), Path(sys.argv[2]), "500MB").start()
time.sleep(600)
"""


def test_a_killed_service_loses_no_job(tmp_path: Path, root: Path) -> None:
    """kill -9: the job that ran is told as failed, its process and its half-written results are gone; the one that waited is done after all."""
    folder = tmp_path / "data"
    store = Store(folder)
    job, waiting = submit(store, rows=ENDLESS), submit(store)
    service = subprocess.Popen([sys.executable, "-c", SERVICE, str(folder), str(root)], cwd=Path(__file__).parents[1])
    job = working(store, job)
    service.kill()
    service.wait()
    runner = Runner(Store(folder), root, "500MB")
    runner.start()
    try:
        found = over(store, job)
        assert found.problem is not None
        assert (found.state, found.problem["kind"]) == ("failed", "restarted")
        until(lambda: gone(job.process))
        assert over(store, waiting).state == "done"
        assert [p.name for p in store.results.iterdir()] == [waiting.id]
    finally:
        runner.close()
        store.close()


def test_a_process_ends_with_its_service(tmp_path: Path, root: Path) -> None:
    """Even if nobody starts the service again."""
    store = Store(tmp_path / "data")
    service = subprocess.Popen([sys.executable, "-c", SERVICE, str(store.folder), str(root)], cwd=Path(__file__).parents[1])
    job = working(store, submit(store, rows=ENDLESS))
    service.kill()
    service.wait()
    until(lambda: gone(job.process))
    assert list(store.results.iterdir()) == []
    store.close()


def test_one_of_several_processes_runs_jobs(tmp_path: Path, root: Path) -> None:
    """Each has its list open; the one without the lock takes over when the other ends."""
    first, second = (Runner(Store(tmp_path / "data"), root, "500MB") for _ in range(2))
    try:
        assert first._lead()
        assert not second._lead()
        job = submit(second.store)
        first.start()
        assert over(second.store, job).state == "done"
    finally:
        first.close()
    try:
        second.start()
        assert over(second.store, submit(second.store)).state == "done"
    finally:
        second.close()
