"""A population for a policy: every row of a source held against the facts' types, the good ones as the canonical table, the others set aside with reasons.

A Parquet source whose columns are already canonical becomes a view, without a copy; any other is copied to `population.parquet` in the given folder.
The rows that were set aside stand in `set-aside.parquet` there: case_id, row (from 1 in the source), column, reason, the value as text (`***` where
it is sensitive); `unparsed` says that a line is no CSV at all, and `row` is then its line in the file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from engine.policy import Policy
from simulations.population import sources, staging
from simulations.population.binding import Binding
from simulations.population.checks import Reading
from simulations.population.columns import AS_OF, CASE_ID, PARTNER, SEGMENT, UNKNOWN, Column, Profile, has_companion, quoted, record_of, sql_type
from simulations.population.mapping import Mapping
from simulations.population.measures import Measures
from simulations.population.misfits import refuse
from simulations.population.setaside import Refusal, SetAside, clear
from simulations.population.sources import Source
from simulations.population.spelling import literal

Step = Callable[[str], None]
_COPY = "population.parquet"
#: So many reasons are told where no row fits.
_TOLD = 10


@dataclass(frozen=True, slots=True)
class Population:
    """A population that was read. `table` is its view on the connection; `rows` counts those of the source, `used` those of the table.

    `digest` names the bytes of the files, or of the canonical rows of a table. `unused` are columns of the source that nothing was taken from,
    `absent` facts of the policy that no column gives.
    """

    table: str
    source: str
    digest: str
    rows: int
    used: int
    set_aside: int
    reasons: tuple[Refusal, ...]
    listing: Path
    profile: Profile
    has_partner: bool
    segments: tuple[str, ...]
    unused: tuple[str, ...]
    absent: tuple[str, ...]


def read(
    source: str,
    policy: Policy,
    mapping: Mapping | None,
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    table: str = "population",
    step: Step | None = None,
) -> Population:
    """Read a population for a policy. `folder` takes set-aside.parquet, and population.parquet where a copy is needed; `step` is told each part of the work.

    Raises PopulationError where the source cannot be used as a whole. `connection.interrupt()` from another thread stops it (duckdb.InterruptException).
    Whatever stops it, no half-written file stays.
    """
    say = step or (lambda _: None)
    name = sources.shown(source)
    if Path(source).resolve() == (folder / _COPY).resolve():
        raise refuse(name, "the source stands where its copy would be written", "give another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        say("open")
        with sources.opened(source, connection, folder) as found:
            return _read(found, policy, mapping or Mapping(), connection, folder, table, say)
    except duckdb.InterruptException:
        raise
    except (duckdb.Error, OSError) as error:
        raise sources.unreadable(name, error) from None


def _read(
    source: Source, policy: Policy, mapping: Mapping, connection: duckdb.DuckDBPyConnection, folder: Path, table: str, say: Step
) -> Population:  # fmt: skip
    binding = Binding(source, policy, mapping)
    measures = Measures(binding)
    try:
        say("check")
        measures.run(connection)
        say("set aside")
        aside = SetAside(binding, measures.bad, measures.ids_twice, folder, connection)
        rows = measures.rows + aside.unparsed
        if rows == 0:
            raise refuse(source.name, "there are no rows", "give a population with at least one row")
        binding.without(measures.absent())
        used = rows - aside.rows
        if used == 0:
            most = aside.reasons[0]
            column = f"column `{most.column}`: " if most.column else ""
            raise refuse(source.name, f"none of the {rows} rows fits; most often {column}{most.reason}", f"what keeps them out:\n    {aside.told(_TOLD)}")
        profile = measures.profile(used, AS_OF in binding.plain)
        say("take over")
        digest = _take_over(binding, measures, aside, profile, connection, folder, table)
    finally:
        clear(connection)
    segments = tuple(n.removeprefix(SEGMENT) for n in binding.plain if n.startswith(SEGMENT))
    absent = tuple(name for name in policy.facts if name not in binding.facts)
    return Population(
        table, source.name, digest, rows, used, aside.rows, aside.reasons, aside.listing, profile, PARTNER in binding.plain, segments, binding.scan.unused(),
        absent,
    )  # fmt: skip


def _take_over(
    binding: Binding, measures: Measures, aside: SetAside, profile: Profile, connection: duckdb.DuckDBPyConnection, folder: Path, table: str
) -> str:
    """Make the view: over the source where its columns are canonical, else over a copy. Gives the digest."""
    source, good = binding.source, aside.good
    as_it_is = source.kind == "parquet" and not good
    for r in binding.facts.values():
        as_it_is = as_it_is and r.plain is not None and not measures.differs(r)
    columns = [f"{sql} AS {quoted(name)}" for name, sql in binding.plain.items()]
    for name, r in binding.facts.items():
        column = profile.columns[name]
        value = r.plain if as_it_is and r.plain is not None else f"CAST({rendered(r, column)} AS {sql_type(r.of.type, column)})"
        columns.append(f"{value} AS {quoted(name)}")
        if has_companion(r.of, column):
            columns.append(f"{r.unknown} AS {quoted(UNKNOWN + name)}")
    query = binding.scan.sql(", ".join(columns), f"WHERE {good}" if good else "")
    path = folder / _COPY
    if not as_it_is:
        staging.write(f"{query} ORDER BY {quoted(CASE_ID)}" if source.kind == "table" else query, path, connection)
        query = f"SELECT * FROM {staging.table(path)}"
    connection.execute(f"CREATE OR REPLACE TEMP VIEW {quoted(table)} AS {query}")
    return source.digest or sources.digest([path])


def rendered(r: Reading, column: Column) -> str:
    """The SQL of a canonical value; records field by field."""
    if r.fields is None or column.fields is None:
        return r.value
    found = []
    for f in record_of(r.of.type).fields:  # type: ignore[union-attr]
        inner = r.fields[f.name]
        found.append(f"{literal(f.name)}: {rendered(inner, column.fields[f.name])}")
        if has_companion(f, column.fields[f.name]):
            found.append(f"{literal(UNKNOWN + f.name)}: {inner.unknown}")
    return f"list_transform({r.items}, lambda {r.variable}: {{{', '.join(found)}}})"
