"""A synthetic population of a policy, written by DuckDB: the boundary rows of its rules, then rows drawn from the declaration beside it.

Every value is a function of the seed, its column and its row number. So the same seed gives the same bytes, whatever the number of threads, and the
rows stream: no more than a few row groups are in memory.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import duckdb
from duckdb import DuckDBPyConnection

from engine.errors import Fault, PolicyError, RuleFileError, did_you_mean
from engine.literals import LiteralFault
from engine.policy import Policy
from engine.source import Source
from engine.types import DateTimeType, DateType, NumberType
from simulations.population import staging
from simulations.population.columns import AS_OF, quoted
from simulations.synthetic import declaration as declarations
from simulations.synthetic.declaration import Declaration
from simulations.synthetic.defaults import Surroundings, surroundings
from simulations.synthetic.draws import FULL
from simulations.synthetic.encoding import cut, text
from simulations.synthetic.frames import Frame
from simulations.synthetic.overrides import MOST, Overrides, Planner

#: One row of the table of blocks stands for so many rows; a table, unlike a counter, is read by all threads.
BLOCK = 16
ROW_GROUP = 122_880


def declared(policy: Policy, path: Path, name: str | None = None) -> Declaration:
    """The declaration in a file, held against the facts of a policy. Raises RuleFileError with places."""
    found, source = declarations.load(path, name)
    check(found, policy, source)
    return found


def check(declaration: Declaration, policy: Policy, source: Source) -> None:
    """Hold a declaration against the facts of a policy. Raises RuleFileError with every misfit."""
    faults = list(_misfits(declaration, policy, source))
    if faults:
        raise RuleFileError(faults)


def generate(
    policy: Policy, rows: int, seed: int, connection: DuckDBPyConnection, path: Path, declaration: Declaration | None, as_of: date, dated: bool = False
) -> None:
    """Write a population of so many rows as Parquet. The dates in it lie around `as_of`, which stands in the file's metadata with seed and policy.

    `dated`: it is the instant of every row, too, as the column `as_of`; for a file that is asked later. The declaration is one that fits (`declared`).
    Raises PolicyError if there are fewer rows than boundary values (`least` says how many there are), if a value has too many digits, or if the file
    cannot be written.
    """
    frame = Frame(policy.facts, declaration, surroundings(policy), seed, as_of, rows)
    plan = _planner(frame)
    plan.singles(policy.facts)
    if rows < plan.found.rows:
        raise PolicyError(f"{rows} rows cannot hold the {plan.found.rows} boundary values of `{policy.id}`; ask for at least {plan.found.rows}")
    if rows >= FULL:
        raise PolicyError(f"a population has fewer than {FULL} rows, not {rows}")
    plan.combinations(policy.facts, min(MOST, rows // 5) - plan.found.rows)
    bounds = plan.found
    about = {"policy": policy.id, "digest": policy.digest, "seed": seed, "rows": rows, "boundary_rows": bounds.rows, "as_of": as_of.isoformat()}
    with _blocks(connection, bounds.rows, rows) as (first, rest):
        query = f"{frame.select(first, bounds, 'boundary')} UNION ALL {frame.select(rest, Overrides(), 'case')}"
        write(connection, at(query, as_of) if dated else query, path, {"population": json.dumps(about)})


def at(query: str, as_of: date) -> str:
    """The rows of a query, each with the beginning of a day as its instant."""
    return f"SELECT *, DATE '{as_of.isoformat()}' AS {AS_OF} FROM ({query})"


def least(policy: Policy, declaration: Declaration | None, as_of: date) -> int:
    """The fewest rows that a population may have: one for each boundary value."""
    plan = _planner(Frame(policy.facts, declaration, surroundings(policy), 0, as_of, 1))
    plan.singles(policy.facts)
    return plan.found.rows


def _planner(frame: Frame) -> Planner:
    return Planner(frame.around.near, frame.as_of, frame.places, frame.unknown)


def write(connection: DuckDBPyConnection, query: str, path: Path, metadata: dict[str, str]) -> None:
    """Write a query as Parquet, in order; the file appears when it is whole."""
    partial = path.with_name(path.name + ".partial")
    held = ", ".join(f"{quoted(key)}: {text(value)}" for key, value in metadata.items())
    options = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP}, KV_METADATA {{{held}}}"
    with _in_order(connection):
        try:
            connection.execute(f"COPY ({query}) TO {text(str(partial))} ({options})")
            os.replace(partial, path)
        except (duckdb.ConversionException, duckdb.OutOfRangeException) as error:
            raise PolicyError("a value of the population has more digits than its column holds; declare smaller amounts, spreads or shares") from error
        except (duckdb.IOException, OSError) as error:
            if staging.is_full(error):
                raise PolicyError(f"{staging.FULL}; {staging.FREE}") from error
            raise PolicyError(f"`{path}` cannot be written: {str(error).splitlines()[0]}") from error
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def _blocks(connection: DuckDBPyConnection, first: int, rows: int) -> Iterator[tuple[str, str]]:
    """Two SELECTs of row numbers: the first so many, and the rest."""
    table = "temp.population_blocks"
    blocks = -(-(rows - first) // BLOCK)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE population_blocks AS SELECT range::UINTEGER AS block FROM range({blocks})")
    try:
        every = f"SELECT {first}::UBIGINT + block::UBIGINT * {BLOCK} + unnest(range({BLOCK}))::UBIGINT AS \"row\" FROM {table}"
        yield f'SELECT range::UBIGINT AS "row" FROM range({first})', f'SELECT "row" FROM ({every}) WHERE "row" < {rows}'
    finally:
        connection.execute(f"DROP TABLE IF EXISTS {table}")


@contextmanager
def _in_order(connection: DuckDBPyConnection) -> Iterator[None]:
    """Rows are written in their order, whatever the connection is set to."""
    before = connection.execute("SELECT current_setting('preserve_insertion_order')").fetchall()[0][0]
    connection.execute("SET preserve_insertion_order = true")
    try:
        yield
    finally:
        connection.execute(f"SET preserve_insertion_order = {'true' if before else 'false'}")


def _misfits(declaration: Declaration, policy: Policy, source: Source) -> Iterator[Fault]:
    """Every fact by itself, so that each misfit is told; then all together, for circles."""
    if declaration.policy != policy.id:
        yield Fault(source.place(("policy",)), f"this file is about `{declaration.policy}`, the policy is `{policy.id}`", None)
    for name in declaration.facts:
        if name not in policy.facts:
            yield Fault(source.place(("facts", name), key=True), f"unknown fact `{name}`", did_you_mean(name, policy.facts, "it is not in the rule file"))
    seen: set[str] = set()
    for i, pair in enumerate(declaration.correlations):
        yield from (Fault(source.place(("correlations", i, *at)), said, help) for said, help, at in _uncorrelated(pair, policy, seen))
        seen |= set(pair.between)
    known = {name: form for name, form in declaration.facts.items() if name in policy.facts}
    around = surroundings(policy)
    found: list[Fault] = []
    for name, form in [*known.items(), *((f"segments.{n}", s) for n, s in declaration.segments.items())]:
        alone = {"facts": {name: form} if name in known else {}, "segments": declaration.segments, "correlations": []}
        found += _tried(declaration.model_copy(update=alone), policy, around, source)
    yield from found or _tried(declaration.model_copy(update={"facts": known, "correlations": []}), policy, around, source)


def _tried(declaration: Declaration, policy: Policy, around: Surroundings, source: Source) -> list[Fault]:
    try:
        frame = Frame(policy.facts, declaration, around, 0, date(2025, 1, 1), 1)
        frame.select('SELECT 0::UBIGINT AS "row"', Overrides(), "case")
    except LiteralFault as fault:
        return [Fault(source.place(fault.at), str(fault), fault.help)]
    return []


def _uncorrelated(pair: declarations.Correlation, policy: Policy, seen: set[str]) -> Iterator[tuple[str, str | None, tuple[str | int, ...]]]:
    """What is wrong with one correlation: what, the remedy, and where in it. `seen`: the facts of those above."""
    follower = pair.between[1]
    if follower in seen or follower == pair.between[0]:
        yield f"`{follower}` already stands in a correlation", "the second fact follows the first; it can follow only one", ("between", 1)
    for i, name in enumerate(pair.between):
        if name not in policy.facts:
            yield f"unknown fact `{name}`", did_you_mean(name, policy.facts), ("between", i)
        elif not isinstance(policy.facts[name].type, (NumberType, DateType, DateTimeType)):
            yield f"`{name}` is {policy.facts[name].type}", "only numbers and dates are correlated", ("between", i)
    try:
        cut(str(pair.rank).removeprefix("-"), "rank")
    except LiteralFault:
        yield f"`{pair.rank}` is no rank correlation", "it lies between -1 and 1", ("rank",)
