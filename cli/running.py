"""A run over a population on a terminal: done in a thread, told when it is over, its page opened."""

from __future__ import annotations

import argparse
import hashlib
import json
import signal
import sys
import threading
import webbrowser
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli import figures
from cli.common import say
from cli.paint import console

if TYPE_CHECKING:
    from simulations.runs.database import Progress

Run = Callable[["Progress", Callable[[], bool]], dict[str, Any]]


def folder_of(kind: str, policy: str, data: Any) -> Path:
    """A folder that is named after what is asked; the same once more gets a number."""
    digest = hashlib.sha256(json.dumps(data, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:8]
    found = Path(f"{kind}-{policy}-{digest}")
    number = 1
    while found.exists():
        number += 1
        found = Path(f"{kind}-{policy}-{digest}-{number}")
    return found


def run(options: argparse.Namespace, work: Run) -> dict[str, Any]:
    """Do the work in a thread, so that Ctrl-C is heard while a query runs; with a bar on a terminal. Raises what it raises; KeyboardInterrupt if cancelled."""
    from simulations.population.misfits import PopulationError
    from simulations.runs.database import Cancelled

    stop = threading.Event()
    ended: dict[str, Any] = {}

    def inner(told: Progress) -> None:
        try:
            ended["found"] = work(told, stop.is_set)
        except BaseException as error:
            ended["error"] = error

    with figures.bar(sys.stderr.isatty() and not options.json) as told, _heard(stop):
        thread = threading.Thread(target=inner, args=(told,), name="run")
        thread.start()
        while thread.is_alive():
            thread.join(0.1)
    error = ended.get("error")
    if isinstance(error, Cancelled):
        raise KeyboardInterrupt(str(error))
    if isinstance(error, PopulationError):
        raise ValueError(str(error))
    if error is not None:
        raise error
    found: dict[str, Any] = ended["found"]
    if options.json:
        say(found)
    return found


@contextmanager
def _heard(stop: threading.Event) -> Any:
    """Ctrl-C, or the end that the system asks for, cancels the run."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def tell(options: argparse.Namespace, folder: Path, found: dict[str, Any], show: Callable[[dict[str, Any]], None]) -> int:
    """What was found, where its page is, and the page itself in the browser if that is wanted."""
    from simulations.runs.run import REPORT

    if not options.json:
        show(found)
        console.print(f"\n[bold]report[/] {folder / REPORT}", soft_wrap=True)
    page = (folder / REPORT).resolve()
    if options.open and not webbrowser.open(page.as_uri()):
        print(f"no browser could be started; open {page} yourself", file=sys.stderr)
    return 0
