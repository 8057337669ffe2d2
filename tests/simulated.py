"""What the tests of runs share: orders over small generated populations, and the same cases asked one by one from the engine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine import library
from engine.library import Library
from engine.policy import Policy
from simulations.runs.database import never, quiet
from simulations.runs.examples import Asker
from simulations.runs.order import Order, read_order
from simulations.runs.panel import Panel
from simulations.runs.run import opened
from simulations.runs.task import task

SHIPPED = Path(__file__).parents[1] / "policies"
AS_OF = "2025-06-16"
_loaded: list[Library] = []


def shipped() -> Library:
    """The shipped policies, read once."""
    if not _loaded:
        _loaded.append(library.load(SHIPPED))
    return _loaded[0]


def order(policy: str, rows: int = 600, **more: Any) -> Order:
    """A run over a generated population."""
    return read_order({"policy": policy, "population": {"generate": {"rows": rows, "seed": 7}}, "as_of": AS_OF} | more)


def changed(policy: str, rows: int = 600, **parameters: Any) -> Order:
    """A run whose candidate has other parameters."""
    return order(policy, rows, candidate={"parameters": parameters})


@contextmanager
def panel_of(wanted: Order, folder: Path, found: Library | None = None) -> Iterator[Panel]:
    """The population of an order, to be asked by hand."""
    place = folder / "panel"
    place.mkdir(parents=True)
    with opened(task(wanted, found or shipped()), place, quiet, never, threads=2) as (panel, _):
        yield panel
    shutil.rmtree(place)


def rows_of(panel: Panel) -> list[dict[str, Any]]:
    return panel.database.dicts("SELECT * FROM population ORDER BY case_id")


def answers(panel: Panel, policy: Policy, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The engine's answer to each row."""
    asker = Asker(panel, policy)
    return [asker.ask(row) for row in rows]


def files(folder: Path) -> dict[str, bytes]:
    """Every file of a directory with its bytes."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
