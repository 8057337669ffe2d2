"""Two versions over many cases: the population reading, the same by hand in SQL, the same in OpenFisca. Each in a process of its own, in turn."""

from __future__ import annotations

import importlib.util
import json
import os
import pickle
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from benchmarks import rebate
from benchmarks.report import NOT, Part, Row, micro
from benchmarks.servers import REPOSITORY

SIZES = (100_000, 1_000_000, 10_000_000, 100_000_000)
#: All are compared at this size; quickly at the smaller one.
COMPARED, QUICKLY = 10_000_000, 1_000_000
#: How often a process asks again, after a first time that is not counted.
AGAIN = 3
#: Parquet takes about 7 bytes a case; working files of the check come on top.
BYTES_A_CASE = 20
PATIENCE = 900
READING, MEMORY, CHECKED, SQL, OPENFISCA, RUN = "reading", "memory", "checked", "sql", "openfisca", "run"
#: The smallest question, over columns that lie in memory: what both versions come to.
TOTALS, SQL_TOTALS, OPENFISCA_TOTALS = "totals", "sql-totals", "openfisca-totals"
UNITS = (("clock", "clock"), ("core time", "core"))
BUILT = "with its simulations"
#: What OpenFisca's time is made of, the name it is told under, and what of ours begins where it does.
STAGES = (
    ("calculated", ("calculate",), MEMORY),
    (BUILT, ("build", "calculate"), MEMORY),
    ("from the file", ("load", "build", "calculate"), READING),
)


def measure(quick: bool) -> Part:
    part = Part("Two versions over a population")
    loads = [os.getloadavg()[0]]
    size, rounds = (QUICKLY, 1) if quick else (COMPARED, 5)
    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for rows in SIZES[:2] if quick else SIZES:
            path = Path(folder) / f"{rows}.parquet"
            if shutil.disk_usage(folder).free < rows * BYTES_A_CASE:
                part.rows.append(Row(f"{rows:,} cases", f"{NOT}: needs {rows * BYTES_A_CASE / 1e9:.1f} GB of disk"))
                continue
            rebate.write(rows, path)
            files[rows] = path
            if rows == size:
                _compare(part, path, rows, rounds)
            loads.append(os.getloadavg()[0])
            _grow(part, path, rows, 1 if rows > COMPARED else 3)
            loads.append(os.getloadavg()[0])
            path.unlink()
    part.notes = [
        "The policy is `benchmarks/policies/measured/sales-rebate`: three conditions, a ratio in three steps, rounding half up to the fen, a cap, two "
        "requirements; version 2 changes a threshold, a ratio and a condition. Cases are made by `range` and `hash` (benchmarks/rebate.py) and lie in Parquet; "
        "no fact is unknown.",
        "Asked of all: flips from outcome to outcome, money before and after, number and amount of gains and losses, in one query. The population reading "
        "and the SQL by hand run on the same DuckDB with the same outer query, and gave the same numbers to the fen.",
        f"DuckDB has {rebate.THREADS} threads, OpenFisca computes in one. Every measurement is a new process; the processes take turns, {rounds} round(s), "
        f"a query {AGAIN} times each after a first time that is not counted, OpenFisca once; medians. Peak memory is the highest resident set of that process.",
        "Clock is what one waits; core time is what all threads used together: it can be compared when other work runs on the machine. So the SQL is judged "
        "by core time (both have the same threads), OpenFisca by the clock, on the same question, from columns in memory to the answer. "
        f"Load of the machine meanwhile: {min(loads):.1f} to {max(loads):.1f} on {os.cpu_count()} cores, the work of these processes among it.",
        "The reading needs to know its data (digits, places, unknowns). `check` is the pass that finds that out, holds every row against the facts' types and "
        "every id against the others (its memory grows with them); it runs once a population, hand-written SQL does without it. Other rows are without it.",
        "OpenFisca holds amounts as float32. Its rows say which part they count: `calculated` only over arrays that lie in memory, `with its simulations` "
        "also what it takes to make two simulations of the arrays, `from the file` also reading Parquet into arrays (by DuckDB). The reading stands beside "
        "them from a table in memory, or from the file. In memory each has its columns as it likes them: words as a place in an enumeration, numbers in 32 "
        "bits, integers and decimals here, integers and float32 there. The totals alone (two sums, no flips) are the smallest question one can ask.",
    ]
    return part


def _compare(part: Part, path: Path, rows: int, rounds: int) -> None:
    """All candidates at one size, in turn."""
    kinds = [CHECKED, READING, SQL, MEMORY, TOTALS, SQL_TOTALS]
    if importlib.util.find_spec("openfisca_core") is None:
        part.rows.append(Row("OpenFisca-core", f"{NOT}: not installed (benchmarks/requirements.txt)"))
    else:
        kinds += [OPENFISCA, OPENFISCA_TOTALS]
    seen: dict[str, list[dict[str, Any]]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind in kinds:
            seen[kind].append(_apart(kind, path, rows))
    exact = seen[SQL][0]["found"]
    for kind in (CHECKED, READING, MEMORY):
        if seen[kind][0]["found"] != exact:
            raise RuntimeError(f"{kind} says {seen[kind][0]['found']}, the SQL by hand {exact}")
    what = f"two versions, {rows:,} cases"
    for name, key in UNITS:
        here, there = (_middle(seen[kind], key) for kind in (READING, SQL))
        ratio = there / here
        row = Row(f"{what}, {name}", micro(here), "SQL by hand", micro(there), ratio)
        if key == "core":
            row.wanted, row.reached = "at most 1.5 × the time", ratio >= 1 / 1.5
        part.rows.append(row)
    part.rows.append(Row(f"{what}, peak memory", _peaks(seen, READING), "SQL by hand", _peaks(seen, SQL)))
    part.rows.append(Row(f"{what}, query made of rule files", micro(_middle(seen[READING], "made"))))
    part.rows.append(Row(f"{what}, check of the population before", micro(_middle(seen[CHECKED], "check")), "peak memory", _peaks(seen, CHECKED)))
    if OPENFISCA in seen:
        _totals(part, rows, seen)
        _beside_openfisca(part, what, seen, exact)


def _totals(part: Part, rows: int, seen: dict[str, list[dict[str, Any]]]) -> None:
    """The money of both versions and nothing else: from columns in memory to two sums. OpenFisca makes its simulations of the arrays first."""
    if seen[TOTALS][0]["found"] != seen[SQL_TOTALS][0]["found"]:
        raise RuntimeError(f"the reading says {seen[TOTALS][0]['found']}, the SQL by hand {seen[SQL_TOTALS][0]['found']}")
    what = f"totals of two versions, {rows:,} cases, in memory"
    for name, key in UNITS:
        here, sql, other = (_middle(seen[kind], key) for kind in (TOTALS, SQL_TOTALS, OPENFISCA_TOTALS))
        part.rows.append(Row(f"{what}, {name}", micro(here), "SQL by hand", micro(sql), sql / here))
        part.rows.append(Row(f"{what}, {name}", micro(here), f"OpenFisca-core, {BUILT}", micro(other), other / here))


def _beside_openfisca(part: Part, what: str, seen: dict[str, list[dict[str, Any]]], exact: dict[str, Any]) -> None:
    for name, stages, kind in STAGES:
        for i, (unit, key) in enumerate(UNITS):
            here = _middle(seen[kind], key)
            other = statistics.median(sum(r[stage][i] for stage in stages) for r in seen[OPENFISCA])
            label = f"{what}, {'in memory' if kind == MEMORY else 'from the file'}, {unit}"
            row = Row(label, micro(here), f"OpenFisca-core, {name}", micro(other), other / here)
            if (name, key) == (BUILT, "clock"):
                row.wanted, row.reached = "10 × ahead", other / here >= 10
            part.rows.append(row)
    part.rows.append(Row(f"{what}, from the file, peak memory", _peaks(seen, READING), "OpenFisca-core", _peaks(seen, OPENFISCA)))
    found = seen[OPENFISCA][0]
    for side in ("before", "after"):
        off = abs(Decimal(f"{found['found'][side]:.2f}") - Decimal(exact[side]))
        shown = f"{off:,.2f} CNY of {Decimal(exact[side]):,.2f} off"
        part.rows.append(Row(f"{what}, total {side}", "exact", "OpenFisca-core", shown, wanted="exact", reached=True))
    same = "the same flips" if found["found"]["flips"] == exact["flips"] else f"other flips: {found['found']['flips']} in place of {exact['flips']}"
    part.rows.append(Row(f"{what}, single rebates not right to the fen", "0", "OpenFisca-core", f"{found['wrong']:,}; {same}"))


def _grow(part: Part, path: Path, rows: int, rounds: int) -> None:
    """One size, the reading and the SQL in turn, then the check and, up to the compared size, a whole run."""
    seen: dict[str, list[dict[str, Any]]] = {CHECKED: [_apart(CHECKED, path, rows)], READING: [], SQL: []}
    for _ in range(rounds):
        for kind in (READING, SQL):
            seen[kind].append(_apart(kind, path, rows))
    here, there = (_middle(seen[kind], "clock") for kind in (READING, SQL))
    part.rows.append(Row(f"growth: {rows:,} cases", micro(here), "SQL by hand", micro(there), there / here, itself=True))
    part.rows.append(Row(f"growth: {rows:,} cases: peak memory of the query", _peaks(seen, READING), "SQL by hand", _peaks(seen, SQL)))
    part.rows.append(Row(f"growth: {rows:,} cases: check of the population", micro(seen[CHECKED][0]["check"][0]), "peak memory", _peaks(seen, CHECKED)))
    if rows <= COMPARED:
        run = _apart(RUN, path, rows)
        shown = f"{micro(run['clock'][0])}, {run['peak'][0]:.0f} MB"
        part.rows.append(Row(f"growth: {rows:,} cases: a whole run with check, causes, list of changed cases, report", shown))


def _middle(seen: list[dict[str, Any]], key: str) -> float:
    return float(statistics.median(value for r in seen for value in r[key]))


def _peaks(seen: dict[str, list[dict[str, Any]]], kind: str) -> str:
    return f"{_middle(seen[kind], 'peak'):,.0f} MB"


def _apart(kind: str, path: Path, rows: int) -> dict[str, Any]:
    """One measurement in a new process. Raises RuntimeError with what it said last."""
    command = [sys.executable, "-m", "benchmarks.simulation", kind, str(path), str(rows)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, cwd=REPOSITORY, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if "Error" in line or "Exception" in line]
        raise RuntimeError(f"{kind}, {rows:,} cases: {said[-1][:120] if said else f'ended with {done.returncode}'}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


# -- in the process that is measured ---------------------------------------------------------------------------------------------------


def asked(kind: str, path: Path) -> dict[str, Any]:
    """One candidate over one file: times in ns, peak memory in MB, what it found (rebate.told)."""
    how = {CHECKED: _checked, OPENFISCA: _openfisca, OPENFISCA_TOTALS: _openfisca_totals, RUN: _run, TOTALS: _by_totals, SQL_TOTALS: _by_totals}
    return how.get(kind, _by_query)(kind, path)


def _by_query(kind: str, path: Path) -> dict[str, Any]:
    con = rebate.connection()
    rebate.open_population(path, con, in_memory=kind == MEMORY)
    started = time.perf_counter_ns()
    text = rebate.by_hand() if kind == SQL else rebate.by_reading(con, pickle.loads(_profile(path).read_bytes()))
    made = time.perf_counter_ns() - started
    clock, core = [], []
    for turn in range(AGAIN + 1):
        times, found = _timed(lambda: con.execute(text).fetchall())
        if turn:
            clock.append(times[0])
            core.append(times[1])
    return {"clock": clock, "core": core, "made": [made], "peak": [_peak()], "found": rebate.told(found)}


def _by_totals(kind: str, path: Path) -> dict[str, Any]:
    con = rebate.connection()
    rebate.open_population(path, con, in_memory=True)
    text = rebate.totals_by_hand() if kind == SQL_TOTALS else rebate.totals_by_reading(con, pickle.loads(_profile(path).read_bytes()))
    clock, core = [], []
    for turn in range(AGAIN + 1):
        times, found = _timed(lambda: con.execute(text).fetchone())
        if turn:
            clock.append(times[0])
            core.append(times[1])
    return {"clock": clock, "core": core, "peak": [_peak()], "found": [str(value) for value in found]}


def _openfisca_totals(_: str, path: Path) -> dict[str, Any]:
    from benchmarks import reform

    con = rebate.connection()
    rebate.open_population(path, con)
    arrays = con.execute(reform.ARRAYS).fetchnumpy()
    clock, core = [], []
    for turn in range(AGAIN):
        times, found = _timed(lambda: reform.totals(reform.simulations(arrays)))
        if turn:
            clock.append(times[0])
            core.append(times[1])
    return {"clock": clock, "core": core, "peak": [_peak()], "found": found}


def _checked(_: str, path: Path) -> dict[str, Any]:
    """The check of the population as a run does it; leaves what it found out for those that come after."""
    from simulations.population import population

    con = rebate.connection()
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        con.execute(f"SET temp_directory = '{folder}/spill'")
        check, read = _timed(lambda: population.read(str(path), rebate.versions()[1], None, con, Path(folder)))
        _profile(path).write_bytes(pickle.dumps(read.profile))
        text = rebate.by_reading(con, read.profile)
        times, found = _timed(lambda: con.execute(text).fetchall())
    return {"clock": [times[0]], "core": [times[1]], "check": [check[0]], "peak": [_peak()], "found": rebate.told(found)}


def _openfisca(_: str, path: Path) -> dict[str, Any]:
    import numpy

    from benchmarks import reform

    con = rebate.connection()
    rebate.open_population(path, con)
    load, arrays = _timed(lambda: con.execute(reform.ARRAYS).fetchnumpy())
    build, both = _timed(lambda: reform.simulations(arrays))
    calculate, found = _timed(lambda: reform.calculated(both))
    peak = _peak()
    wrong = 0
    fen = con.execute(f"SELECT CAST(b0 * 100 AS BIGINT) AS before, CAST(a0 * 100 AS BIGINT) AS after FROM ({rebate.BY_HAND})").fetchnumpy()
    for simulation, side in zip(both, ("before", "after"), strict=True):
        rebates = simulation.calculate("rebate", reform.PERIOD).astype(numpy.float64)
        wrong += int((numpy.rint(rebates * 100) != fen[side]).sum())
    return {"load": load, "build": build, "calculate": calculate, "peak": [peak], "found": found, "wrong": wrong}


def _run(_: str, path: Path) -> dict[str, Any]:
    from simulations.runs.order import read_order
    from simulations.runs.run import simulate

    wanted = read_order({
        "policy": rebate.POLICY, "baseline": {"version": 1}, "candidate": {"version": 2}, "population": {"source": str(path)}, "as_of": rebate.DAY,
        "segments": ["partner.kind"],
    })  # fmt: skip
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        times, _found = _timed(lambda: simulate(wanted, rebate.library(), Path(folder) / "run", threads=rebate.THREADS))
    return {"clock": [times[0]], "core": [times[1]], "peak": [_peak()]}


def _profile(path: Path) -> Path:
    return path.with_suffix(".profile")


def _timed(function: Callable[[], Any]) -> tuple[tuple[int, int], Any]:
    """Clock and core time in ns, and what it gave."""
    clock, core = time.perf_counter_ns(), time.process_time_ns()
    found = function()
    return (time.perf_counter_ns() - clock, time.process_time_ns() - core), found


def _peak() -> float:
    """The highest resident set of this process in MB. Not by getrusage: that also counts the process that this one was started from."""
    line = next(x for x in Path("/proc/self/status").read_text(encoding="utf-8").splitlines() if x.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    print(json.dumps(asked(sys.argv[1], Path(sys.argv[2]))))
