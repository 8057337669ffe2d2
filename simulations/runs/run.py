"""A run: baseline against candidate over a population, from the order to a directory with the report."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from engine.library import Library
from simulations.report import report
from simulations.runs.database import SPILL, Database, Progress, never, quiet
from simulations.runs.directory import made
from simulations.runs.manifest import made_with, write_json, write_manifest
from simulations.runs.order import Order, command, stated
from simulations.runs.panel import Panel
from simulations.runs.summary import Told, summary
from simulations.runs.supply import keep_listing, staged
from simulations.runs.task import Task, task

CHANGED, SET_ASIDE, SUMMARY, REPORT = "changed.parquet", "set-aside.parquet", "summary.json", "report.html"


def simulate(
    order: Order, library: Library, folder: Path, progress: Progress = quiet, cancelled: Callable[[], bool] = never,
    memory: str | None = None, threads: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Ask every case of a population under two versions, and write what differs into `folder`. Gives the summary.

    Raises PolicyError for an order that does not fit (before anything is written), a population that cannot be used, a full disk; Cancelled.
    `progress` and `cancelled` are called from another thread. `memory` as DuckDB writes it, for example 4GB.
    """
    wanted = task(order, library)
    with made(folder) as partial:
        with opened(wanted, partial, progress, cancelled, memory, threads) as (panel, told):
            found = summary(panel, told, partial / CHANGED)
            panel.database.phase("writing the report", 0.97, 1.0)
        found["made"] = made_with() | {"command": command(order, library)}
        write_json(partial / SUMMARY, found)
        (partial / REPORT).write_text(report.html(found), encoding="utf-8")
        write_manifest(partial, "simulation", stated(order), {"baseline": wanted.before, "candidate": wanted.after}, about(told))
    progress("done", 1.0)
    return found


@contextlib.contextmanager
def opened(
    wanted: Task, partial: Path, progress: Progress, cancelled: Callable[[], bool], memory: str | None = None, threads: int | None = None
) -> Iterator[tuple[Panel, Told]]:
    """The population of an order in a database of its own; its temporary files go at the end. Rows set aside are written to the directory."""
    database = Database(partial, progress, cancelled, memory, threads)
    try:
        database.phase("reading the population", 0.0, 0.2)
        panel, told = staged(wanted, database, partial / SPILL)
        keep_listing(told, partial / SET_ASIDE)
        try:
            yield panel, told
        finally:
            if panel.cluster is not None:
                panel.cluster.close()
    finally:
        database.close()
        shutil.rmtree(partial / SPILL, ignore_errors=True)


def about(told: Told) -> dict[str, Any]:
    """The population as the manifest tells it."""
    return {
        "source": told.source, "digest": told.digest, "rows": told.rows, "used": told.used, "set_aside": told.set_aside, "seed": told.seed,
        "unused_columns": list(told.unused), "facts_without_column": list(told.absent),
    }  # fmt: skip
