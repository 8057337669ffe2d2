"""What the population reading says of requests, beside what the engine says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

import duckdb
import ibis
import pyarrow as pa
from ibis.backends.sql.datatypes import DuckDBType

from engine.errors import EvaluationError, FactsError
from engine.facts import FactReader
from engine.policy import FactDef, Policy
from engine.types import SHANGHAI, DateTimeType, ListType, RecordType, Type, plain
from engine.unknown import Unknown
from simulations.population.columns import Profile
from simulations.reading.dates import CALENDAR_TABLE, calendar_arrays
from simulations.reading.facts import Periods
from simulations.reading.query import read
from simulations.reading.stages import sql_of
from tests.generate import Request
from tests.rows import table_of
from tests.test_plain import Subject, library

#: Runs a query over a table that it names `population`; gives the rows.
Run = Callable[[ibis.Table, pa.Table], list[dict[str, Any]]]


def uses(policy: str) -> Periods:
    """The versions of a shipped policy by the days on which each is in force."""
    found = library()
    return [(p.start, p.end, found.version(policy, p.version).policy) for p in found.periods(policy, None)]


def facts_with_used(policy: Policy) -> dict[str, FactDef]:
    """The facts of a policy and of those that it uses."""
    found = dict(policy.facts)
    for name in policy.uses:
        for _, _, other in uses(name):
            found = {**facts_with_used(other), **found}
    return found


class Readings:
    """The legal ones of some requests to one version, as one table."""

    def __init__(self, subject: Subject, requests: Sequence[Request]) -> None:
        self.subject = subject
        facts = facts_with_used(subject.policy)
        reader = FactReader(facts)
        self.requests: list[Request] = []
        rows: list[tuple[dict[str, Any], datetime]] = []
        for request in requests:
            with suppress(FactsError):
                rows.append((dict(zip(reader.facts, reader.slots(request.facts), strict=True)), request.as_of))
                self.requests.append(replace(request, compute=False))
        self.table, self.profile = table_of(facts, rows)

    def query(self) -> ibis.Table:
        return query_of(self.subject.policy, self.table, self.profile)

    def differences(self, run: Run) -> list[str]:
        """Where the reading and the engine differ, the first few, with their requests."""
        answers = {row["case_id"]: row for row in run(self.query(), self.table)}
        found = []
        for i, request in enumerate(self.requests):
            different = self._compared(self.subject.by_engine(request), self._states(request), answers[str(i)])
            if different:
                found.append("\n  ".join([f"{request.facts} as_of {request.as_of.isoformat()}", *different]))
        return found[:5]

    def _states(self, request: Request) -> dict[str, str]:
        """Of every rule that can be named, transitions that ask for a review too: violated, silent or unknown."""
        program = self.subject.program
        with suppress(EvaluationError):
            found = zip(program.plan.rules, program.result(request.facts, request.as_of, library().resolver(request.as_of, None)).rules, strict=True)
            return {r.code: "unknown" if isinstance(s, Unknown) else "violated" if s else "silent" for r, s in found if r.effect != "transition"}
        return {}

    def _compared(self, engine: dict[str, Any], states: dict[str, str], row: dict[str, Any]) -> list[str]:
        if "error" in engine:
            same = row["v:outcome"] == "error" and row["v:error"] == engine["error"]
            return [] if same else [f"error: engine {engine['error']}, reading {row['v:outcome']} {row['v:error']}"]
        found = [] if engine["outcome"] == row["v:outcome"] else [f"outcome: engine {engine['outcome']}, reading {row['v:outcome']} {row['v:error']}"]
        assert set(engine["reasons"]) | set(engine["warnings"]) | set(engine["rules"]) <= set(states)
        for code, state in states.items():
            said = row[f"v:rule:{code}"]
            if state != ("silent" if said in ("satisfied", "not-applicable") else said):
                found.append(f"rule {code}: engine {state}, reading {said}")
        for name in self.subject.policy.outputs:
            if name != "open_events":
                wanted = engine["outputs"]
                for part in name.split("."):
                    wanted = wanted[part]
                said = _shown(row[f"v:out:{name}"], self.subject.program.words.outputs.types[name])
                if said != wanted:
                    found.append(f"output {name}: engine {wanted}, reading {said}")
        return found


def schema_of(table: pa.Table) -> ibis.Schema:
    """The columns of an Arrow table as DuckDB has them."""
    with duckdb.connect() as connection:
        connection.register("population", table)
        described = connection.execute("DESCRIBE population").fetchall()
    return ibis.schema({name: DuckDBType.from_string(kind) for name, kind, *_ in described})


def query_of(policy: Policy, table: pa.Table, profile: Profile) -> ibis.Table:
    """The reading of one version over an Arrow table, under the prefix `v`."""
    population = ibis.table(schema_of(table), name="population")
    return read(population, {"v": policy}, profile, None, uses)


def by_duckdb(query: ibis.Table, table: pa.Table) -> list[dict[str, Any]]:
    """Run a query in DuckDB."""
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE {CALENDAR_TABLE} AS SELECT ?::INTEGER[] AS working_counts, ?::DATE[] AS working_days", list(calendar_arrays()))
        connection.register("population", table)
        found: list[dict[str, Any]] = connection.sql(sql_of(query)).to_arrow_table().to_pylist()
        return found


def _shown(value: Any, t: Type) -> Any:
    """A value of a row as JSON data."""
    if value is None:
        return None
    if isinstance(t, DateTimeType):
        value = value.replace(tzinfo=SHANGHAI)
    if isinstance(t, ListType) and isinstance(t.item, RecordType):
        value = [tuple(_wall(item[f.name], f.type) for f in t.item.fields) for item in value]
    return plain(value, t)


def _wall(value: Any, t: Type) -> Any:
    return value.replace(tzinfo=SHANGHAI) if value is not None and isinstance(t, DateTimeType) else value
