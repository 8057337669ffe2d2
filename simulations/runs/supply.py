"""The population of an order brought into the database of its run: read and checked, or made by the generator."""

from __future__ import annotations

import os
from pathlib import Path

from engine.errors import PolicyError, nearest
from engine.functions import to_date
from simulations.population import mapping, population
from simulations.runs.cluster import Cluster
from simulations.runs.database import Database, told
from simulations.runs.declared import declared
from simulations.runs.order import source_name
from simulations.runs.panel import POPULATION, Panel
from simulations.runs.summary import Told
from simulations.runs.task import Task, groups, need_instant
from simulations.synthetic import synthetic

GENERATED = "generated"
LISTING = "set-aside.parquet"


def staged(wanted: Task, database: Database, folder: Path) -> tuple[Panel, Told]:
    """The population as the table `population`. Working files go below `folder`. Raises PolicyError, Cancelled."""
    ask = wanted.order.population
    policy = wanted.wide(wanted.both)
    chosen = None
    if ask.generate is None:
        assert ask.source is not None
        source = ask.source
        chosen = mapping.read(Path(ask.mapping), policy.facts) if ask.mapping else None
    else:
        source = str(folder / f"{GENERATED}.parquet")
        generated(wanted, database, Path(source))
    with database.watched():
        found = population.read(source, policy, chosen, database.connection, folder, POPULATION)
    columns = database.columns(POPULATION)
    need_instant(wanted, columns)
    cluster = Cluster(folder, database) if wanted.order.on == "spark" else None
    if cluster is not None:
        cluster.take(POPULATION)
    panel = Panel(database, wanted, found.profile, columns, groups(wanted.order.segments, columns, wanted.both), cluster)
    reasons = tuple({"reason": r.reason, "zh": r.zh, "column": r.column, "rows": r.rows} for r in found.reasons)
    seed = ask.generate.seed if ask.generate else None
    name = GENERATED if ask.generate else source_name(source)
    unused = tuple({"column": c, "near": nearest(c.replace("__", "."), found.absent)} for c in found.unused)
    return panel, Told(name, found.digest, found.rows, found.used, found.set_aside, seed, reasons, found.listing, unused, found.absent)


def generated(wanted: Task, database: Database, path: Path) -> None:
    """Make the population that the order asks for. Raises PolicyError, Cancelled."""
    ask = wanted.order.population.generate
    assert ask is not None
    if wanted.as_of is None:
        raise PolicyError("a generated population needs an instant that its dates lie around; give as_of")
    found = declared(wanted.library, wanted.both)
    with database.watched():
        synthetic.generate(wanted.both, ask.rows, ask.seed, database.connection, path, found, to_date(wanted.as_of))


def keep_listing(told_: Told, path: Path) -> None:
    """Put the list of the rows that were set aside beside the results."""
    if told_.listing.is_file():
        with told():
            os.replace(told_.listing, path)
