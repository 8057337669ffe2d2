"""`policy population`: cases made up."""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.common import as_instant, find, load, split
from cli.paint import console

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ROWS, SEED, PARTNERS = 100_000, 1, 2000


def add(commands: Any) -> None:
    population = commands.add_parser("population", help="make a population up, from what is declared beside the policy")
    population.add_argument("policy", nargs="?", metavar="POLICY[@VERSION]")
    population.add_argument("--rows", type=int, help=f"how many cases (default: {ROWS})")
    population.add_argument("--seed", type=int, help=f"another seed gives other cases (default: {SEED})")
    population.add_argument("--as-of", metavar="DATE", help="the day that dates lie around, and the instant of every case (default: today)")
    population.add_argument("--partner-centre", type=Path, metavar="DIR", help="related tables of partners, staff … in this folder")
    population.add_argument("--partners", type=int, metavar="N", help=f"with --partner-centre: how many partners (default: {PARTNERS})")
    population.add_argument("--out", type=Path, metavar="FILE", help="the Parquet file (default: POLICY.parquet)")
    population.set_defaults(run=run_population)


def run_population(options: argparse.Namespace) -> int:
    import duckdb

    from simulations.runs.declared import declared
    from simulations.synthetic import partner_centre, synthetic

    centre: Path | None = options.partner_centre
    if centre is None and options.policy is None:
        raise ValueError("name a policy, or a folder for a made-up partner centre (--partner-centre DIR)")
    if centre is None and options.partners is not None:
        raise ValueError("--partners goes with --partner-centre")
    if centre is not None and options.rows is not None:
        raise ValueError("--rows: how many cases there are follows from the tables of the partner centre; leave it out, or give --partners")
    at = as_instant(options.as_of)
    version = None
    loaded = load(options)
    if options.policy is not None:
        name, number = split(options.policy)
        version = find(loaded, name, number, at)
        if centre is not None:
            partner_centre.view_of(version.policy)
    out: Path = options.out or Path(f"{version.policy.id if version else ''}.parquet")
    if version is not None and not out.parent.is_dir():
        raise ValueError(f"no folder `{out.parent}` to write into; make it first")
    with duckdb.connect(":memory:") as connection:
        if centre is not None:
            console.print(_tables(options, centre, at.date(), connection), soft_wrap=True)
        if version is not None:
            if centre is not None:
                partner_centre.population(centre, version.policy, connection, out)
            else:
                rows, seed = ROWS if options.rows is None else options.rows, SEED if options.seed is None else options.seed
                synthetic.generate(version.policy, rows, seed, connection, out, declared(loaded, version.policy), at.date(), dated=True)
            console.print(f"cases of {version.policy.name} in {out}", soft_wrap=True)
    return 0


def _tables(options: argparse.Namespace, centre: Path, day: date, connection: DuckDBPyConnection) -> str:
    """Make the tables of a partner centre, or take those that are there; says which. Raises ValueError where the options want others."""
    from simulations.synthetic import partner_centre

    if not (centre / "partners.parquet").is_file():
        partners = PARTNERS if options.partners is None else options.partners
        partner_centre.generate(SEED if options.seed is None else options.seed, partners, connection, centre, day)
        return f"tables of {partners} partners in {centre}"
    held = partner_centre.about(centre, connection)
    wanted = {"partners": options.partners, "seed": options.seed, "as_of": day.isoformat() if options.as_of else None}
    for name, value in wanted.items():
        if value is not None and value != held[name]:
            option = f"--{name.replace('_', '-')}"
            raise ValueError(f"{option} {value}: the tables that are in `{centre}` have {held[name]}; leave {option} out, or name another folder")
    return f"uses the tables in {centre}: {held['partners']} partners, seed {held['seed']}, {held['as_of']}"
