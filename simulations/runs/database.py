"""The DuckDB of one run: its memory and its temporary files, progress while a query runs, and how it is stopped."""

from __future__ import annotations

import contextlib
import errno
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb

from engine.errors import PolicyError
from simulations.population.columns import quoted
from simulations.reading.dates import CALENDAR_TABLE, calendar_arrays

#: (what is being done, how far the whole run is: 0 to 1)
Progress = Callable[[str, float], None]
#: How often a running query is asked how far it is, in seconds.
LOOK = 0.1
#: Below the folder of a run while it is made.
SPILL = "spill"


class Cancelled(PolicyError):
    """The run was asked to stop; nothing of it is left."""

    def __init__(self) -> None:
        super().__init__("the run was cancelled; nothing of it is kept")


def quiet(what: str, done: float) -> None:
    """Progress that nobody looks at."""


def never() -> bool:
    """A run that nobody cancels."""
    return False


class Database:
    """One connection. Queries are told to `progress` in phases, and stop as soon as `cancelled` says so."""

    def __init__(
        self, folder: Path, progress: Progress = quiet, cancelled: Callable[[], bool] = never, memory: str | None = None, threads: int | None = None
    ) -> None:
        (folder / SPILL).mkdir(parents=True, exist_ok=True)
        settings: dict[str, Any] = {"temp_directory": str(folder / SPILL), "autoinstall_known_extensions": False}
        if memory:
            settings["memory_limit"] = memory
        if threads:
            settings["threads"] = threads
        try:
            self.connection = duckdb.connect(":memory:", config=settings)
        except duckdb.Error as error:
            raise PolicyError(f"memory, threads: {_first(error)}; write memory as 4GB, threads as a whole number") from None
        with told():
            self.connection.execute("SET enable_progress_bar = true; SET enable_progress_bar_print = false; SET TimeZone = 'Asia/Shanghai'")
            working = list(calendar_arrays())
            self.connection.execute(f"CREATE TABLE {CALENDAR_TABLE} AS SELECT ?::INTEGER[] AS working_counts, ?::DATE[] AS working_days", working)
        self._progress, self._cancelled = progress, cancelled
        self._from, self._to, self._what = 0.0, 0.0, ""

    def phase(self, what: str, begin: float, end: float) -> None:
        """What follows is `what`, and takes the run from share `begin` to share `end`."""
        self._what, self._from, self._to = what, begin, end
        self.stop_if_cancelled()
        self._progress(what, begin)

    def at(self, share: float) -> None:
        """Work that is no query: so much of the phase is done. Raises Cancelled."""
        self.stop_if_cancelled()
        self._progress(self._what, self._from + (self._to - self._from) * share)

    def stop_if_cancelled(self) -> None:
        """Raises Cancelled if the run was asked to stop."""
        if self._cancelled():
            raise Cancelled

    def rows(self, query: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
        """The rows of a query. Raises PolicyError, Cancelled."""
        with self.watched():
            return self.connection.execute(query, parameters).fetchall()

    def dicts(self, query: str, parameters: list[Any] | None = None) -> list[dict[str, Any]]:
        """The rows of a query by column. Raises PolicyError, Cancelled."""
        with self.watched():
            found = self.connection.execute(query, parameters)
            names = [d[0] for d in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def stream(self, query: str, size: int) -> Iterator[dict[str, Any]]:
        """The rows of a query by column, so many in memory at a time. No other query may run meanwhile. Raises PolicyError, Cancelled."""
        with self.watched():
            found = self.connection.execute(query)
            names = [d[0] for d in found.description or ()]
        while True:
            self.stop_if_cancelled()
            with told():
                rows = found.fetchmany(size)
            if not rows:
                return
            for row in rows:
                yield dict(zip(names, row, strict=True))

    def run(self, statement: str) -> None:
        """A statement without a result. Raises PolicyError, Cancelled."""
        with self.watched():
            self.connection.execute(statement)

    def columns(self, relation: str) -> dict[str, str]:
        """The columns of a table or view with their DuckDB types."""
        return {str(row[0]): str(row[1]) for row in self.rows(f"DESCRIBE {quoted(relation)}")}

    def close(self) -> None:
        self.connection.close()

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Tell how far the query is and stop it when asked, from a thread of its own."""
        self.stop_if_cancelled()
        done = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(done,), name="run-progress", daemon=True)
        watcher.start()
        try:
            with told():
                yield
        except duckdb.InterruptException:
            raise Cancelled from None
        finally:
            done.set()
            watcher.join()
        self.stop_if_cancelled()

    def _watch(self, done: threading.Event) -> None:
        while not done.wait(LOOK):
            if self._cancelled():
                self.connection.interrupt()
                continue
            share = self.connection.query_progress()
            if share > 0:
                self._progress(self._what, self._from + (self._to - self._from) * min(share, 100.0) / 100)


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Errors of DuckDB and of the disk as errors that say what to do."""
    try:
        yield
    except duckdb.InterruptException:
        raise
    except duckdb.OutOfMemoryException as error:
        raise PolicyError(f"the run needs more memory or temporary space than it has ({_first(error)}); give it more, or fewer rows") from None
    except (duckdb.OutOfRangeException, duckdb.ConversionException) as error:
        raise PolicyError(f"a number grew beyond 38 digits in the run ({_first(error)}); check the population for amounts that cannot be") from None
    except duckdb.IOException as error:
        raise PolicyError(f"the run cannot read or write its files ({_first(error)}); free some space, or choose another folder") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
            raise PolicyError(f"the disk is full ({error.strerror}); free some space, or choose another folder") from None
        raise PolicyError(f"{error.filename or 'a file'}: {error.strerror or error}; check the folder and its rights") from None


def _first(error: Exception) -> str:
    """The first line of what DuckDB says."""
    line = str(error).split("\n", 1)[0]
    return line if len(line) <= 200 else line[:199] + "…"
