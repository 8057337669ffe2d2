"""`policy sql`: a policy as a query for a data warehouse that has cases of its own."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from cli.common import as_instant, find, load, now, split
from cli.orders import called, parameters


def add(commands: Any) -> None:
    sql = commands.add_parser("sql", help="the query that asks a policy in a data warehouse")
    sql.add_argument("policy", nargs="?", metavar="POLICY[@VERSION]")
    sql.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="another value of a parameter, to print a candidate (repeatable)")
    sql.add_argument("--dialect", default="duckdb", metavar="NAME", help="bigquery, clickhouse, databricks, duckdb, postgres, spark, trino (default: duckdb)")
    known = sql.add_mutually_exclusive_group()
    known.add_argument("--complete", action="store_true", help="every fact is known in every row: far shorter")
    known.add_argument("--population", metavar="SOURCE", help="cases as of `policy simulate`: the query for the columns that they have")
    sql.add_argument("--as-of", metavar="DATE", help="one instant for all rows (default: the column as_of)")
    sql.add_argument("--calendar", action="store_true", help="the statement that makes the table of working days, instead")
    sql.set_defaults(run=run_sql)


def run_sql(options: argparse.Namespace) -> int:
    from engine.decide import with_parameters
    from simulations.warehouse import DIALECTS, assumed, calendar, profiled, statement

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
    changed = parameters(options.set)
    policy = with_parameters(policy, changed) if changed else policy
    if options.population is None:
        known = assumed(policy, options.complete, at is None)
    else:
        with called():
            known = profiled(policy, options.population, at is None)
    sys.stdout.write(statement(policy, options.dialect, known, at, changed))
    return 0
