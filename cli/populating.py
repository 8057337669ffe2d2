"""`policy population` and `policy sql`: cases made up, and a policy as a query for a warehouse that has cases of its own."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from cli.common import as_instant, find, load, now, split
from cli.paint import console

ROWS = 100_000


def add(commands: Any) -> None:
    population = commands.add_parser("population", help="make a population up, from what is declared beside the policy")
    population.add_argument("policy", nargs="?", metavar="POLICY[@VERSION]")
    population.add_argument("--rows", type=int, default=ROWS, help=f"how many cases (default: {ROWS})")
    population.add_argument("--seed", type=int, default=1, help="another seed gives other cases (default: 1)")
    population.add_argument("--as-of", metavar="DATE", help="the day that dates lie around (default: today)")
    population.add_argument("--partner-centre", type=Path, metavar="DIR", help="related tables of partners, staff … in this folder")
    population.add_argument("--partners", type=int, default=2000, metavar="N", help="with --partner-centre: how many partners (default: 2000)")
    population.add_argument("--out", type=Path, metavar="FILE", help="the Parquet file (default: POLICY.parquet)")
    population.set_defaults(run=run_population)

    sql = commands.add_parser("sql", help="the query that asks a policy in a data warehouse")
    sql.add_argument("policy", nargs="?", metavar="POLICY[@VERSION]")
    sql.add_argument("--dialect", default="duckdb", metavar="NAME", help="bigquery, clickhouse, databricks, duckdb, postgres, spark, trino (default: duckdb)")
    sql.add_argument("--complete", action="store_true", help="every fact is known in every row: far shorter")
    sql.add_argument("--as-of", metavar="DATE", help="one instant for all rows (default: the column as_of)")
    sql.add_argument("--calendar", action="store_true", help="the statement that makes the table of working days, instead")
    sql.set_defaults(run=run_sql)


def run_population(options: argparse.Namespace) -> int:
    import duckdb

    from simulations.runs.supply import declared
    from simulations.synthetic import partner_centre, synthetic

    centre: Path | None = options.partner_centre
    if centre is None and options.policy is None:
        raise ValueError("name a policy, or a folder for a made-up partner centre (--partner-centre DIR)")
    at = as_instant(options.as_of)
    version = None
    loaded = load(options)
    if options.policy is not None:
        name, number = split(options.policy)
        version = find(loaded, name, number, at)
    out: Path = options.out or Path(f"{version.policy.id if version else ''}.parquet")
    if version is not None and not out.parent.is_dir():
        raise ValueError(f"no folder `{out.parent}` to write into; make it first")
    with duckdb.connect(":memory:") as connection:
        if centre is not None and not (centre / "partners.parquet").is_file():
            partner_centre.generate(options.seed, options.partners, connection, centre, at.date())
            console.print(f"tables of {options.partners} partners in {centre}", soft_wrap=True)
        if version is not None:
            if centre is not None:
                partner_centre.population(centre, version.policy, connection, out)
            else:
                synthetic.generate(version.policy, options.rows, options.seed, connection, out, declared(loaded, version.policy), at.date())
            console.print(f"cases of {version.policy.name} in {out}", soft_wrap=True)
    return 0


def run_sql(options: argparse.Namespace) -> int:
    from simulations.warehouse import DIALECTS, calendar, statement

    if options.dialect not in DIALECTS:
        raise ValueError(f"--dialect: no dialect `{options.dialect}`; there are {', '.join(DIALECTS)}")
    if options.calendar:
        sys.stdout.write(calendar(options.dialect))
        return 0
    if options.policy is None:
        raise ValueError("name a policy; `policy list` shows them")
    name, number = split(options.policy)
    at = as_instant(options.as_of) if options.as_of else None
    policy = find(load(options), name, number, at or now()).policy
    sys.stdout.write(statement(policy, options.dialect, options.complete, at))
    return 0
