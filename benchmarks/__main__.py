"""`python -m benchmarks`: measure everything, print one table, write it to benchmarks/results.md. `--quick` is a look, and writes nothing without `--out`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from benchmarks import decision, growth, http, report, simulation, start, table

PARTS = {
    "decision": decision.measure, "http": http.measure, "table": table.measure, "start": start.measure, "growth": growth.measure,
    "simulation": simulation.measure,
}  # fmt: skip
RESULTS = Path(__file__).with_name("results.md")


def method(load: tuple[float, float, float]) -> list[str]:
    return [
        "Everything in one run on one machine; what is compared is measured in turn, in short rounds, so that noise meets both; medians of calls or rounds.",
        "Decisions and look-ups are timed by the clock, call by call; what takes many milliseconds (reading, building, loading, reloading) by the core time of "
        "the process, so that other work does not stretch it; cold start and latency by the clock.",
        "Nothing here is a test: no build fails over a number.",
        f"Load of the machine when the run began: {load[0]:.1f} on {os.cpu_count()} cores"
        + (": it was not idle, which shows most in tails (p99) and in whatever takes more than a millisecond." if load[0] > 0.3 else "."),
        "The policy is generated (benchmarks/twelve.py): twelve requirements over twelve facts: flags, enums, sets, amounts, dates moved by calendar months, "
        "three guards. Texts have the usual length and one placeholder each.",
        "Not measured here: more than one worker, TLS, keys, a network between client and server, semantic difference.",
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a look in about a minute: fewer rounds and sizes")
    parser.add_argument("--only", choices=PARTS, action="append", help="only these parts; prints, writes nothing")
    parser.add_argument("--out", type=Path, help=f"where the Markdown goes (default: {RESULTS.name} beside this package, for a full run)")
    options = parser.parse_args()
    started = time.monotonic()
    load = os.getloadavg()
    parts: list[report.Part] = []
    failures: list[str] = []
    for name in options.only or PARTS:
        print(f"{name} …", file=sys.stderr, flush=True)
        parts.append(report.run(name, lambda name=name: PARTS[name](options.quick), failures))  # type: ignore[misc]
    seconds = time.monotonic() - started
    print(report.text(parts))
    for line in ["", *report.short(parts), *failures]:
        print(line)
    out = options.out or (None if options.quick or options.only else RESULTS)
    if out is not None:
        out.write_text(report.markdown(parts, method(load), options.quick, seconds), encoding="utf-8")
        print(f"written to {out}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
