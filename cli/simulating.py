"""`policy simulate`, `sweep`, `seek`, `backtest` and `settle`: a policy over many cases at once."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cli import figures
from cli.common import now
from cli.orders import ROWS, as_of, asked, called, exists, fit, names, parameters, side, source, version
from cli.running import folder_of, run, tell

# simulations are imported where they are used: the tools under them are large, and every command would wait for them


def add(commands: Any) -> None:
    simulate = _command(commands, "simulate", run_simulate, "what changes in a population: a changed parameter or another version against the one in force")
    simulate.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter that the candidate changes")
    simulate.add_argument("--base-set", action="append", default=[], metavar="NAME=VALUE", help="a parameter that the baseline changes")
    simulate.add_argument("--to", "--candidate", metavar="VERSION", help="the candidate, or a rule file (default: the version of the baseline)")
    simulate.add_argument("--from", dest="base", metavar="VERSION", help="the baseline, or a rule file (default: the version named, or the one in force)")
    simulate.add_argument("--segments", "--segment", action="append", default=[], metavar="NAMES", help="group by these, comma separated")
    simulate.add_argument("--measures", "--measure", action="append", default=[], metavar="NAMES", help="the amounts to count, comma separated")
    simulate.add_argument("--examples", type=int, default=3, metavar="N", help="cases shown for each kind of flip (default: 3)")
    simulate.add_argument("--on", choices=("duckdb", "spark"), default="duckdb", help="what asks the cases: DuckDB here (default), or Spark")
    _population(simulate)

    sweep = _command(commands, "sweep", run_sweep, "one or two parameters over many values: how many cases, how much money at each")
    sweep.add_argument("--vary", action="append", required=True, metavar="NAME=FROM..TO[:STEP]", help="or NAME=VALUE,VALUE; once or twice")
    sweep.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter that is changed at every value")
    sweep.add_argument("--measures", "--measure", action="append", default=[], metavar="NAMES", help="the amounts to count, comma separated")
    _population(sweep)

    seek = _command(commands, "seek", run_seek, "which value of a parameter still meets a goal")
    seek.add_argument("--goal", required=True, help='for example "rebate <= 8000000", "denied <= 200", "allowed >= 95%%"')
    seek.add_argument("--vary", required=True, metavar="NAME=LOW..HIGH[:STEP]", help="the parameter that may move, and how far")
    seek.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter that is changed at every value")
    _population(seek)

    backtest = _command(commands, "backtest", run_backtest, "recorded decisions asked again under a candidate")
    backtest.add_argument("--log", required=True, metavar="FILE", help="a decision log, as `policy serve --log-decisions` writes it")
    backtest.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter that the candidate changes")
    backtest.add_argument("--measures", "--measure", action="append", default=[], metavar="NAMES", help="the amounts to count, comma separated")

    settle = _command(commands, "settle", run_settle, "a released version was wrong: who was paid too much or too little, by partner")
    settle.add_argument("--from", type=int, dest="wrong", metavar="VERSION", help="the version that was wrong (default: the one named, or the one in force)")
    settle.add_argument("--to", type=int, dest="corrected", metavar="VERSION", help="the version that corrects it (default: the same)")
    settle.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter that the correction changes")
    settle.add_argument("--measure", metavar="NAME", help="the amount that is paid out (default: the first of the policy)")
    settle.add_argument("--log", metavar="FILE", help="ask a decision log again, instead of a population")
    settle.add_argument("--partner", metavar="FACT", help="with --log: the fact that says whose case it is")
    _population(settle)


def _command(commands: Any, name: str, run: Callable[[argparse.Namespace], int], help: str) -> Any:
    command = commands.add_parser(name, help=help)
    command.add_argument("policy", metavar="POLICY[@VERSION]", help="a policy; the version in force if none is named")
    command.add_argument("--as-of", metavar="DATE", help="the instant of all cases (default: today for a generated population, else that of each row)")
    command.add_argument("--paid", default="allowed", metavar="OUTCOMES", help="outcomes that pay their amounts: allowed, or allowed,review (default: allowed)")
    command.add_argument("--out", type=Path, metavar="DIR", help="the folder of the results; it may not be there yet")
    command.add_argument("--memory", metavar="SIZE", help="memory of the database, for example 4GB (default: most of the machine)")
    command.add_argument("--json", action="store_true", help="print the result as JSON")
    command.add_argument("--open", action="store_true", help="open the report in the browser")
    command.set_defaults(run=run)
    return command


def _population(command: Any) -> None:
    command.add_argument("--population", metavar="SOURCE", help="a file, folder or pattern, duckdb:FILE#TABLE or postgresql://…#TABLE (default: generated)")
    command.add_argument("--mapping", metavar="FILE", help="which columns hold which facts")
    command.add_argument("--rows", "--generate", type=int, metavar="N", help=f"rows of a generated population (default: {ROWS})")
    command.add_argument("--seed", type=int, default=1, help="of the generated population, and of the choice of examples (default: 1)")
    command.add_argument("--population-seed", type=int, metavar="SEED", help="of the generated population, if it is another one")


# -- commands --------------------------------------------------------------------------------------------------------------------------


def run_simulate(options: argparse.Namespace) -> int:
    from simulations.jobs import settled
    from simulations.runs.order import read_order
    from simulations.runs.run import simulate
    from simulations.runs.task import task

    name, number, loaded = asked(options)
    base, loaded = version(loaded, name, options.base)
    other, loaded = version(loaded, name, options.to)
    base = base or number
    sides = {"baseline": (base, options.base_set), "candidate": (other or base, options.set)}
    data: dict[str, Any] = {"policy": name, "population": source(options), "as_of": options.as_of, "examples": options.examples}
    data |= {"seed": options.seed, "on": options.on, "paid": names([options.paid])}
    data |= {side: {"version": wanted, "parameters": parameters(pairs)} for side, (wanted, pairs) in sides.items()}
    data |= {"segments": names(options.segments), "measures": names(options.measures)}
    with called():
        order = settled(read_order(data), loaded, now())
        wanted = task(order, loaded)
    if wanted.unchanged:
        raise ValueError("nothing is changed: name a parameter (--set NAME=VALUE) or another version (--to VERSION)")
    folder = options.out or folder_of("simulation", name, [*order.model_dump(mode="json").items(), wanted.before.digest, wanted.after.digest])
    found = run(options, lambda told, stop: simulate(order, loaded, folder, told, stop, options.memory))
    return tell(options, folder, found, figures.simulation)


def run_sweep(options: argparse.Namespace) -> int:
    from simulations.runs.sweep import SweepOrder, sweep, vary

    name, number, loaded = asked(options)
    with called():
        order = fit(
            SweepOrder, policy=name, base=side(options, loaded, name, number, options.set), vary=[vary(text) for text in options.vary],
            population=source(options), as_of=as_of(options), measures=names(options.measures), paid=names([options.paid]),
        )  # fmt: skip
    folder = options.out or folder_of("sweep", name, order.model_dump(mode="json"))
    found = run(options, lambda told, stop: sweep(order, loaded, folder, told, stop, options.memory))
    return tell(options, folder, found, figures.sweep)


def run_seek(options: argparse.Namespace) -> int:
    from simulations.runs.seek import SeekOrder, seek

    name, number, loaded = asked(options)
    parameter, separator, span = options.vary.partition("=")
    low, dots, rest = span.partition("..")
    high, _, step = rest.partition(":")
    if not (separator and dots and parameter and low and high):
        raise ValueError(f"--vary: `{options.vary}`: write NAME=LOW..HIGH or NAME=LOW..HIGH:STEP, for example rate=0.05..0.30:0.01")
    with called():
        order = fit(
            SeekOrder, policy=name, base=side(options, loaded, name, number, options.set), goal=options.goal, parameter=parameter, low=low, high=high,
            step=step or None, population=source(options), as_of=as_of(options), paid=names([options.paid]),
        )  # fmt: skip
    folder = options.out or folder_of("seek", name, order.model_dump(mode="json"))
    found = run(options, lambda told, stop: seek(order, loaded, folder, told, stop, options.memory))
    tell(options, folder, found, figures.seek)
    return 0 if found["status"] != "unreachable" else 1


def run_backtest(options: argparse.Namespace) -> int:
    from simulations.runs.backtest import BacktestOrder, backtest

    name, number, loaded = asked(options)
    exists(options.log, "--log")
    with called():
        order = fit(
            BacktestOrder, policy=name, log=options.log, candidate={"version": number, "parameters": parameters(options.set)},
            measures=names(options.measures), paid=names([options.paid]),
        )  # fmt: skip
    folder = options.out or folder_of("backtest", name, order.model_dump(mode="json"))
    found = run(options, lambda told, stop: backtest(order, loaded, folder, told, stop, options.memory))
    return tell(options, folder, found, figures.backtest)


def run_settle(options: argparse.Namespace) -> int:
    from simulations.runs.settlement import SettlementOrder, settle

    name, number, loaded = asked(options)
    if options.log is not None:
        exists(options.log, "--log")
        if options.population or options.mapping or options.rows:
            raise ValueError("--log: a decision log holds its own cases; leave --population, --mapping and --rows out")
    wrong = side(options, loaded, name, options.wrong or number, [])
    with called():
        order = fit(
            SettlementOrder, policy=name, wrong=wrong, corrected={"version": options.corrected or wrong["version"], "parameters": parameters(options.set)},
            measure=options.measure, paid=names([options.paid]), population=None if options.log else source(options), log=options.log,
            partner=options.partner, as_of=as_of(options) if options.log is None else options.as_of,
        )  # fmt: skip
    folder = options.out or folder_of("settlement", name, order.model_dump(mode="json"))
    found = run(options, lambda told, stop: settle(order, loaded, folder, told, stop, options.memory))
    return tell(options, folder, found, figures.settlement)
