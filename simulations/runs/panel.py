"""A population in the database, and versions of a policy read over it: the text of the queries that everything else counts with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import ibis

from engine.errors import PolicyError
from engine.policy import Policy
from engine.types import SHANGHAI
from simulations.population.columns import AS_OF, CASE_ID, PARTNER, Profile, quoted
from simulations.reading import query as reading
from simulations.reading.outcomes import OUTCOMES
from simulations.reading.stages import sql_of
from simulations.runs.cluster import Cluster
from simulations.runs.database import Database
from simulations.runs.measures import Measure
from simulations.runs.task import Task

#: The name of the population in the database.
POPULATION = "population"


@dataclass(frozen=True, slots=True)
class Panel:
    """The table `population` of a database with what is known about it. `groups`: what rows are grouped by, name to column.

    `cluster`: where versions are asked, if not in the database itself.
    """

    database: Database
    task: Task
    profile: Profile
    columns: dict[str, str]
    groups: dict[str, str]
    cluster: Cluster | None = None

    @property
    def has_partner(self) -> bool:
        return PARTNER in self.columns

    def read(self, versions: Mapping[str, Policy], rules: bool = False) -> str:
        """The query that asks every case under some versions, as reading.read names its columns: outcomes, what the measures need, rules if asked.

        Raises NotCovered.
        """
        table = ibis.table(self.schema(), name=POPULATION)
        wanted = reading.Wanted(rules, tuple(dict.fromkeys(m.output for m in self.task.measures)), codes=True)
        answers = reading.read(table, dict(versions), self.profile, self.task.as_of, self.task.uses, wanted)
        if self.cluster is None:
            return sql_of(answers)
        told = [c for c in answers.columns if c.split(":")[0] in versions]
        kept = [CASE_ID, *([PARTNER] if self.has_partner else []), *self.groups.values()]
        return self.cluster.answers(answers.select(*dict.fromkeys(kept), *told))

    def pair(self) -> str:
        """Baseline and candidate of every case: case_id, partner, the groups by their columns, `from`, `to` (as codes: `f`, `t`), the amounts `b0`, `a0`, …,
        states of rules."""
        kept = [CASE_ID, *([PARTNER] if self.has_partner else []), *(c for c in self.groups.values() if c != PARTNER)]
        parts = [quoted(c) for c in dict.fromkeys(kept)]
        parts += ['"base:outcome" AS "from"', '"new:outcome" AS "to"', '"base:code" AS f', '"new:code" AS t', '"base:error"', '"new:error"']
        for i, m in enumerate(self.task.measures):
            parts += [f"{self.amount('base', self.task.before, m)} AS b{i}", f"{self.amount('new', self.task.after, m)} AS a{i}"]
        for side, policy in (("base", self.task.before), ("new", self.task.after)):
            parts += [quoted(f"{side}:rule:{r.code}") for r in reading.told_rules(policy)]
        return f"SELECT {', '.join(parts)} FROM ({self.read({'base': self.task.before, 'new': self.task.after}, rules=True)})"

    def amount(self, side: str, policy: Policy, measure: Measure) -> str:
        """What a measure pays under one version: its amount under the outcomes that pay, 0 under another, NULL where it is not determined.

        As replay.payable has it of one answer.
        """
        code, nothing = quoted(f"{side}:code"), f"{Decimal(0).scaleb(-measure.places):f}"
        paid = ", ".join(str(OUTCOMES.index(outcome)) for outcome in self.task.order.paid)
        return f"CASE WHEN {code} IN ({paid}) THEN {_computed(side, policy, measure)} WHEN {code} <= {OUTCOMES.index('denied')} THEN {nothing} END"

    def cases(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """The rows of some cases, in the order of their ids."""
        found = self.database.dicts(f"SELECT * FROM {POPULATION} WHERE {CASE_ID} IN (SELECT unnest(?))", [list(ids)]) if ids else []
        return sorted(found, key=lambda row: str(row[CASE_ID]))

    def instant(self, row: Mapping[str, Any]) -> datetime:
        """The instant of one case: that of the run, else its own. Raises PolicyError where there is none."""
        if self.task.as_of is not None:
            return self.task.as_of
        own = row.get(AS_OF)
        if own is None:
            raise PolicyError(f"the case `{row[CASE_ID]}` has no instant; give as_of for the run")
        return own.replace(tzinfo=SHANGHAI)  # type: ignore[no-any-return]

    def schema(self) -> ibis.Schema:
        """The columns of the population, as Ibis types."""
        return ibis.schema({name: ibis.backends.sql.datatypes.DuckDBType.from_string(t) for name, t in self.columns.items()})


def _computed(side: str, policy: Policy, measure: Measure) -> str:
    """The amount of a measure, whatever the outcome; NULL where it is not determined, or where the version does not put it out."""
    if measure.output not in policy.outputs:
        return f"CAST(NULL AS DECIMAL(18,{measure.places}))"
    column = quoted(f"{side}:out:{measure.output}")
    if measure.field is None:
        return column
    items = f"list_transform({column}, lambda x: x.{quoted(measure.field)})"
    return f"CASE WHEN {column} IS NOT NULL THEN coalesce(list_sum({items}), 0) END"
