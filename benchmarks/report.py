"""One table of what was measured, printed and written as Markdown."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

NOT = "not measured"


@dataclass(slots=True)
class Row:
    """One measurement. `ratio` says how many times as fast this service is as what stands beside it; below 1 it is slower."""

    what: str
    here: str
    beside: str = ""
    there: str = ""
    ratio: float | None = None
    wanted: str = ""
    reached: bool | None = None
    itself: bool = False
    """What stands beside it is this service too."""

    def cells(self) -> list[str]:
        ratio = "" if self.ratio is None else f"{self.ratio:.2f} ×" if self.ratio < 10 else f"{self.ratio:,.0f} ×"
        return [self.what, self.here, self.beside, self.there, ratio, self.wanted, "" if self.reached is None else "yes" if self.reached else "**no**"]


@dataclass(slots=True)
class Part:
    """What one module measured, and what must be known to read it."""

    title: str
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


HEAD = ["measured", "here", "beside it", "there", "here is", "wanted", "reached"]


def micro(nanoseconds: float) -> str:
    """A time in µs, ms or s."""
    us = nanoseconds / 1000
    if us < 1000:
        return f"{us:.1f} µs"
    return f"{us / 1000:.1f} ms" if us < 1_000_000 else f"{us / 1_000_000:.2f} s"


def rate(a_second: float) -> str:
    return f"{a_second:,.0f}/s"


def table(parts: list[Part]) -> list[list[str]]:
    return [HEAD, *(row.cells() for part in parts for row in part.rows)]


def text(parts: list[Part]) -> str:
    """The table for a terminal."""
    lines = [[c.replace("**", "") for c in line] for line in table(parts)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    rows = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([rows[0], "-" * min(160, sum(widths) + 12), *rows[1:]])


def markdown(parts: list[Part], method: list[str], quick: bool, seconds: float) -> str:
    """The whole report."""
    head, *body = table(parts)
    lines = [
        "# What it costs",
        "",
        f"{datetime.now(UTC).date().isoformat()}; {machine()}; `python -m benchmarks{' --quick' if quick else ''}`, {seconds:.0f} s.",
        "Written by that command; do not edit. Numbers of other days and machines differ, the ratios less so.",
        "",
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
        *(f"| {' | '.join(c.replace('|', '/') for c in line)} |" for line in body),
        "",
        "## Where it falls short",
        "",
        *(short(parts) or ["Every number that was wanted and measured was reached."]),
        "",
        "## How it was measured",
        "",
        *(f"- {line}" for line in method),
    ]
    for part in parts:
        if part.notes:
            lines += ["", f"## {part.title}", "", *(f"- {note}" for note in part.notes)]
    return "\n".join(lines) + "\n"


def short(parts: list[Part]) -> list[str]:
    """What missed its number, and where something else is faster."""
    found = []
    for row in (r for part in parts for r in part.rows):
        share = "" if row.ratio is None else f", {row.ratio:.2f} ×"
        if row.reached is False:
            beside = f" ({row.there} with {row.beside}{share})" if row.there else ""
            found.append(f"- {row.what}: {row.here}{beside}, wanted {row.wanted}.")
        elif row.ratio is not None and row.ratio < 1 and not row.itself:
            found.append(f"- {row.what}: {row.beside} is faster, {row.there} against {row.here}.")
        elif row.here.startswith(NOT) or row.there.startswith(NOT):
            found.append(f"- {row.what}: {row.here if row.here.startswith(NOT) else row.there}.")
    return found


def machine() -> str:
    return f"{len(os.sched_getaffinity(0))} cores ({_processor()}), Linux {platform.release()}, Python {platform.python_version()}"


def _processor() -> str:
    names = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()


def run(title: str, measure: Callable[[], Part], failures: list[str]) -> Part:
    """One part; what breaks is told in the report and does not stop the rest."""
    try:
        return measure()
    except Exception as error:
        failures.append(f"{title}: {type(error).__name__}: {error}")
        return Part(title, [Row(title, f"{NOT}: {type(error).__name__}: {str(error)[:120]}")])
