"""`policy simulate`, `sweep`, `seek`, `backtest` and `settle`: a policy over many cases at once."""

from __future__ import annotations

import argparse
import hashlib
import json
import signal
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cli import figures
from cli.common import as_instant, find, load, now, say, split
from cli.paint import console
from engine.errors import EvaluationError, FactsError, NotFound, PolicyError, RuleFileError
from engine.library import Library

if TYPE_CHECKING:
    from simulations.runs.database import Progress
    from simulations.runs.order import Strict

# simulations are imported where they are used: the tools under them are large, and every command would wait for them

ROWS = 100_000
M = TypeVar("M", bound="Strict")
Run = Callable[["Progress", Callable[[], bool]], dict[str, Any]]


def add(commands: Any) -> None:
    simulate = _command(commands, "simulate", run_simulate, "what changes in a population: a changed parameter or another version against the one in force")
    simulate.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter that the candidate changes")
    simulate.add_argument("--base-set", action="append", default=[], metavar="NAME=VALUE", help="a parameter that the baseline changes")
    simulate.add_argument("--to", "--candidate", type=int, metavar="VERSION", help="the candidate (default: the version of the baseline)")
    simulate.add_argument("--from", type=int, dest="base", metavar="VERSION", help="the baseline (default: the version named, or the one in force)")
    simulate.add_argument("--segments", "--segment", action="append", default=[], metavar="NAMES", help="group by these, comma separated")
    simulate.add_argument("--measures", "--measure", action="append", default=[], metavar="NAMES", help="the amounts to count, comma separated")
    simulate.add_argument("--examples", type=int, default=3, metavar="N", help="cases shown for each kind of flip (default: 3)")
    simulate.add_argument("--on", choices=("duckdb", "spark"), default="duckdb", help="what asks the cases: DuckDB here (default), or Spark")
    simulate.add_argument("--open", action="store_true", help="open the report in the browser")
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
    settle.add_argument("--paid", default="allowed", metavar="OUTCOMES", help="outcomes that pay: allowed, or allowed,review (default: allowed)")
    settle.add_argument("--log", metavar="FILE", help="ask a decision log again, instead of a population")
    settle.add_argument("--partner", metavar="FACT", help="with --log: the fact that says whose case it is")
    _population(settle)


def _command(commands: Any, name: str, run: Callable[[argparse.Namespace], int], help: str) -> Any:
    command = commands.add_parser(name, help=help)
    command.add_argument("policy", metavar="POLICY[@VERSION]", help="a policy; the version in force if none is named")
    command.add_argument("--as-of", metavar="DATE", help="the instant of all cases (default: today for a generated population, else that of each row)")
    command.add_argument("--out", type=Path, metavar="DIR", help="the folder of the results; it may not be there yet")
    command.add_argument("--memory", metavar="SIZE", help="memory of the database, for example 4GB (default: most of the machine)")
    command.add_argument("--json", action="store_true", help="print the result as JSON")
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
    from simulations.runs.order import read_order, task
    from simulations.runs.run import REPORT, simulate

    name, number, loaded = _asked(options)
    base = options.base or number
    sides = {"baseline": (base, options.base_set), "candidate": (options.to or base, options.set)}
    data: dict[str, Any] = {"policy": name, "population": _source(options), "as_of": options.as_of, "examples": options.examples}
    data |= {"seed": options.seed, "on": options.on}
    data |= {side: {"version": version, "parameters": _parameters(pairs)} for side, (version, pairs) in sides.items()}
    data |= {"segments": _names(options.segments), "measures": _names(options.measures)}
    with _called():
        order = settled(read_order(data), loaded, now())
        wanted = task(order, loaded)
    if (wanted.before.version, wanted.before.parameters) == (wanted.after.version, wanted.after.parameters):
        raise ValueError("nothing is changed: name a parameter (--set NAME=VALUE) or another version (--to VERSION)")
    folder = options.out or _folder("simulation", name, [*order.model_dump(mode="json").items(), wanted.before.digest, wanted.after.digest])
    found = _run(options, lambda told, stop: simulate(order, loaded, folder, told, stop, options.memory))
    report = (folder / REPORT).resolve()
    if not options.json:
        figures.simulation(found)
        console.print(f"\n[bold]report[/] {folder / REPORT}", soft_wrap=True)
    if options.open and not webbrowser.open(report.as_uri()):
        print(f"no browser could be started; open {report} yourself", file=sys.stderr)
    return 0


def run_sweep(options: argparse.Namespace) -> int:
    from simulations.runs.sweep import SweepOrder, sweep, vary

    name, number, loaded = _asked(options)
    with _called():
        order = _fit(
            SweepOrder, policy=name, base=_side(options, loaded, name, number, options.set), vary=[vary(text) for text in options.vary],
            population=_source(options), as_of=_as_of(options), measures=_names(options.measures),
        )  # fmt: skip
    folder = options.out or _folder("sweep", name, order.model_dump(mode="json"))
    found = _run(options, lambda told, stop: sweep(order, loaded, folder, told, stop, options.memory))
    return _told(options, folder, found, figures.sweep)


def run_seek(options: argparse.Namespace) -> int:
    from simulations.runs.seek import SeekOrder, seek

    name, number, loaded = _asked(options)
    parameter, separator, span = options.vary.partition("=")
    low, dots, rest = span.partition("..")
    high, _, step = rest.partition(":")
    if not (separator and dots and parameter and low and high):
        raise ValueError(f"--vary: `{options.vary}`: write NAME=LOW..HIGH or NAME=LOW..HIGH:STEP, for example rate=0.05..0.30:0.01")
    with _called():
        order = _fit(
            SeekOrder, policy=name, base=_side(options, loaded, name, number, options.set), goal=options.goal, parameter=parameter, low=low, high=high,
            step=step or None, population=_source(options), as_of=_as_of(options),
        )  # fmt: skip
    folder = options.out or _folder("seek", name, order.model_dump(mode="json"))
    found = _run(options, lambda told, stop: seek(order, loaded, folder, told, stop, options.memory))
    _told(options, folder, found, figures.seek)
    return 0 if found["status"] != "unreachable" else 1


def run_backtest(options: argparse.Namespace) -> int:
    from simulations.runs.backtest import BacktestOrder, backtest

    name, number, loaded = _asked(options)
    _exists(options.log, "--log")
    with _called():
        order = _fit(
            BacktestOrder, policy=name, log=options.log, candidate={"version": number, "parameters": _parameters(options.set)},
            measures=_names(options.measures),
        )  # fmt: skip
    folder = options.out or _folder("backtest", name, order.model_dump(mode="json"))
    found = _run(options, lambda told, stop: backtest(order, loaded, folder, told, stop, options.memory))
    return _told(options, folder, found, figures.backtest)


def run_settle(options: argparse.Namespace) -> int:
    from simulations.runs.settlement import SettlementOrder, settle

    name, number, loaded = _asked(options)
    if options.log is not None:
        _exists(options.log, "--log")
        if options.population or options.mapping or options.rows:
            raise ValueError("--log: a decision log holds its own cases; leave --population, --mapping and --rows out")
    wrong = _side(options, loaded, name, options.wrong or number, [])
    with _called():
        order = _fit(
            SettlementOrder, policy=name, wrong=wrong, corrected={"version": options.corrected or wrong["version"], "parameters": _parameters(options.set)},
            measure=options.measure, paid=tuple(options.paid.split(",")), population=None if options.log else _source(options), log=options.log,
            partner=options.partner, as_of=_as_of(options) if options.log is None else options.as_of,
        )  # fmt: skip
    folder = options.out or _folder("settlement", name, order.model_dump(mode="json"))
    found = _run(options, lambda told, stop: settle(order, loaded, folder, told, stop, options.memory))
    return _told(options, folder, found, figures.settlement)


# -- what they share -------------------------------------------------------------------------------------------------------------------


def _asked(options: argparse.Namespace) -> tuple[str, int | None, Library]:
    name, number = split(options.policy)
    return name, number, load(options)


def _as_of(options: argparse.Namespace) -> str | None:
    """The instant of a run: today for a generated population, else that of each row, if nothing is said."""
    return options.as_of or (None if options.population else now().date().isoformat())


def _side(options: argparse.Namespace, loaded: Library, name: str, number: int | None, pairs: Iterable[str]) -> dict[str, Any]:
    """A version with changed parameters, pinned."""
    return {"version": find(loaded, name, number, as_instant(options.as_of)).policy.version, "parameters": _parameters(pairs)}


def _source(options: argparse.Namespace) -> dict[str, Any]:
    if options.population is None:
        if options.mapping is not None:
            raise ValueError("--mapping goes with --population")
        seed = options.seed if options.population_seed is None else options.population_seed
        return {"generate": {"rows": ROWS if options.rows is None else options.rows, "seed": seed}}
    if options.rows is not None:
        raise ValueError("--rows is for a generated population; leave it out, or leave --population out")
    return {"source": options.population, "mapping": options.mapping}


def _parameters(pairs: Iterable[str]) -> dict[str, Any]:
    """NAME=VALUE: a whole number, a list or a truth value as JSON has it; all else, decimals too, stays text."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, separator, text = pair.partition("=")
        if not separator or not name:
            raise ValueError(f"`{pair}`: write a parameter as NAME=VALUE")
        try:
            found[name] = json.loads(text, parse_float=str, parse_constant=str)
        except json.JSONDecodeError:
            found[name] = text
    return found


def _names(texts: Iterable[str]) -> list[str] | None:
    found = [name.strip() for text in texts for name in text.split(",") if name.strip()]
    return found or None


def _exists(file: str, option: str) -> None:
    if not Path(file).is_file():
        raise ValueError(f"{option}: there is no file `{file}`")


def _folder(kind: str, policy: str, data: Any) -> Path:
    """A folder that is named after what is asked; the same once more gets a number."""
    digest = hashlib.sha256(json.dumps(data, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:8]
    found = Path(f"{kind}-{policy}-{digest}")
    number = 1
    while found.exists():
        number += 1
        found = Path(f"{kind}-{policy}-{digest}-{number}")
    return found


@contextmanager
def _called() -> Any:
    """An order that does not fit is a wrong call (2); rule files with faults, and what is not there, keep their own code."""
    try:
        yield
    except (NotFound, RuleFileError, EvaluationError, FactsError):
        raise
    except PolicyError as error:
        raise ValueError(str(error)) from None


def _fit(model: type[M], **parts: Any) -> M:
    """An order of the parts, in words for those that do not fit. Raises ValueError."""
    from pydantic import ValidationError

    try:
        return model(**parts)
    except ValidationError as error:
        raise ValueError("\n".join(f"{'.'.join(map(str, f['loc']))}: {f['msg'].removeprefix('Value error, ')}" for f in error.errors())) from None


def _run(options: argparse.Namespace, work: Run) -> dict[str, Any]:
    """Do the work in a thread, so that Ctrl-C is heard while a query runs; with a bar on a terminal. Raises what the work raises."""
    from simulations.population.misfits import PopulationError

    stop = threading.Event()
    ended: dict[str, Any] = {}

    def inner(told: Progress) -> None:
        try:
            ended["found"] = work(told, stop.is_set)
        except BaseException as error:
            ended["error"] = error

    with figures.bar(sys.stderr.isatty() and not options.json) as told, _heard(stop):
        thread = threading.Thread(target=inner, args=(told,), name="run")
        thread.start()
        while thread.is_alive():
            thread.join(0.1)
    error = ended.get("error")
    if isinstance(error, PopulationError):
        raise ValueError(str(error))
    if error is not None:
        raise error
    found: dict[str, Any] = ended["found"]
    if options.json:
        say(found)
    return found


@contextmanager
def _heard(stop: threading.Event) -> Any:
    """Ctrl-C, or the end that the system asks for, cancels the run."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _told(options: argparse.Namespace, folder: Path, found: dict[str, Any], show: Callable[[dict[str, Any]], None]) -> int:
    if not options.json:
        show(found)
        console.print(f"\n[bold]results[/] {folder}", soft_wrap=True)
    return 0


