"""What falls into the regions in which two versions differ: cases of a population, and their money."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ibis

from engine.decide import Program
from engine.library import Library
from engine.policy import Policy
from engine.types import EXACT
from engine.unknown import Unknown
from proofs.difference import Difference
from proofs.lowering import Reading
from proofs.parts import comparable
from proofs.symbols import World
from proofs.witness import Point
from simulations.population.columns import CASE_ID, facts_of, quoted
from simulations.reading import query
from simulations.reading.stages import sql_of
from simulations.runs.database import never, quiet
from simulations.runs.order import Order
from simulations.runs.panel import POPULATION, Panel
from simulations.runs.run import opened
from simulations.runs.task import task

#: So many changed cases are placed in the regions, one by one; of more, a seeded sample.
PLACED = 5_000


def weighed(found: Difference, world: World, order: Order, loaded: Library, placed: int = PLACED) -> dict[str, Any]:
    """The cases that both versions answer differently, by region. `world`: of the difference. A case may lie in several regions.

    A case with facts left out, or with lists longer than those of the world, is outside of what the difference speaks of, and told apart.
    Raises PolicyError for a population that cannot be used.
    """
    wanted = task(order, loaded)
    with TemporaryDirectory() as folder, opened(wanted, Path(folder), quiet, never) as (panel, told):
        changed = _changed(panel, Reading(wanted.before, world), Reading(wanted.after, world))
        names = [m.name for m in wanted.measures]
        [[count]] = panel.database.rows(f"SELECT count(*) FROM ({changed})")
        order_by = f"md5('{order.seed}:' || {CASE_ID}), {CASE_ID}"
        rows = panel.database.dicts(f"SELECT * FROM ({changed}) ORDER BY {order_by} LIMIT {placed}")
        cases = {row[CASE_ID]: row for row in panel.cases([row[CASE_ID] for row in rows])}
        regions = [_Sum(names) for _ in found.regions]
        outside = {"unknown": 0, "longer": 0, "elsewhere": 0}
        points = _Points(wanted.before, wanted.after, world)
        for row in rows:
            facts = points.facts(cases[row[CASE_ID]])
            if facts is None:
                outside["unknown"] += 1
                continue
            try:
                point = Point.of(points.both, world, facts, panel.instant(cases[row[CASE_ID]]))
            except ValueError:
                outside["longer"] += 1
                continue
            inside = [s for s, region in zip(regions, found.regions, strict=True) if point.holds(region.term)]
            outside["elsewhere"] += not inside
            for s in inside:
                s.take(row)
        return {"rows": told.used, "changed": count, "looked_at": len(rows), "regions": [s.as_json() for s in regions], "outside": outside}


class _Sum:
    """Cases and money of one region: each amount before and after, over the cases in which both versions determine it."""

    def __init__(self, names: list[str]) -> None:
        self.cases = 0
        self.money = {name: (0, Decimal(0), Decimal(0)) for name in names}

    def take(self, row: Mapping[str, Any]) -> None:
        self.cases += 1
        for i, (name, (cases, before, after)) in enumerate(self.money.items()):
            if row[f"b{i}"] is not None and row[f"a{i}"] is not None:
                self.money[name] = (cases + 1, EXACT.add(before, row[f"b{i}"]), EXACT.add(after, row[f"a{i}"]))

    def as_json(self) -> dict[str, Any]:
        money = {}
        for name, (cases, before, after) in self.money.items():
            money[name] = {"cases": cases, "before": f"{before:f}", "after": f"{after:f}", "change": f"{EXACT.subtract(after, before):+f}"}
        return {"cases": self.cases, "money": money}


class _Points:
    """The facts of a row, as the types of both versions have them."""

    def __init__(self, before: Policy, after: Policy, world: World) -> None:
        self.programs = (Program(before), Program(after))
        self.both = replace(after, facts={**before.facts, **after.facts})
        self.world = world

    def facts(self, row: Mapping[str, Any]) -> dict[str, Any] | None:
        """None if one is unknown."""
        found: dict[str, Any] = {}
        for program in self.programs:
            slots = program.reader.slots(facts_of(row, program.policy))
            for name, value in zip(program.policy.facts, slots, strict=True):
                if type(value) is Unknown:
                    return None
                found[name] = value
        return found


def _changed(panel: Panel, before: Reading, after: Reading) -> str:
    """The query of the cases that are answered differently: case_id, and the amounts of the measures as b0, a0, …"""
    policies = {"base": before.policy, "new": after.policy}
    wanted = query.Wanted(codes=True)
    asked = sql_of(query.read(ibis.table(panel.schema(), name=POPULATION), policies, panel.profile, panel.task.as_of, panel.task.uses, wanted))
    differs = []
    effects = [{r.code: r.effect for r in query.told_rules(p) if r.effect in ("deny", "review", "warn")} for p in policies.values()]
    for code in dict.fromkeys([*effects[0], *effects[1]]):
        fired = [f"coalesce({quoted(f'{side}:rule:{code}')} = 'violated', false)" if code in e else "false" for side, e in zip(policies, effects, strict=True)]
        differs.append(f"{fired[0]} <> {fired[1]}")
        if effects[0].get(code, "") != effects[1].get(code, ""):
            differs.append(f"({fired[0]} AND {fired[1]})")
    for name in before.outputs:
        if name in after.outputs and comparable(before, after, name):
            differs.append(f"{quoted(f'base:out:{name}')} IS DISTINCT FROM {quoted(f'new:out:{name}')}")
    outcomes = [quoted(f"{side}:outcome") for side in policies]
    answered = f"{outcomes[0]} <> 'error' AND {outcomes[1]} <> 'error'"
    amounts = [
        f"{panel.amount(side, policies[side], m)} AS {letter}{i}" for i, m in enumerate(panel.task.measures) for side, letter in (("base", "b"), ("new", "a"))
    ]
    where = f"{outcomes[0]} <> {outcomes[1]} OR ({answered} AND ({' OR '.join(differs) or 'false'}))"
    return f"SELECT {', '.join([quoted(CASE_ID), *amounts])} FROM ({asked}) WHERE {where}"
