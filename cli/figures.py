"""What a run over a population found, on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from markupsafe import Markup
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from cli.paint import console

if TYPE_CHECKING:
    from simulations.runs.database import Progress as Told

OUTCOMES = ("allowed", "review", "denied", "undetermined", "error")
#: Lines of a table that can be long.
MOST = 12


@contextmanager
def bar(shown: bool) -> Iterator[Told]:
    """What a run tells of its progress, as a bar on standard error; not at all if it is not shown."""
    if not shown:
        yield lambda what, done: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeElapsedColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as progress:
        task = progress.add_task("starting", total=1.0)
        yield lambda what, done: progress.update(task, description=what, completed=done)


def simulation(found: Mapping[str, Any]) -> None:
    """The headline, the flips, the money, what causes it, the warnings."""
    from simulations.report.headline import headline

    for text in headline(found):
        console.print(f"[bold]{escape(Markup(text).striptags())}[/]")
    population = found["population"]
    console.print(f"[dim]{_population(population)}[/]\n")
    _flips(found["flips"]["cells"])
    for m in found["measures"]:
        _money(m)
    causes = found["attribution"]
    if len(causes["units"]) > 0:
        table = Table("caused by", title="what the change comes from", title_justify="left", box=None, pad_edge=False)
        moved = [o for o in OUTCOMES if any(Decimal(u["outcomes"][o]) for u in causes["units"])] or ["allowed"]
        paid = [m["name"] for m in found["measures"][:1]]
        for name in [*moved, *paid]:
            table.add_column(escape(name), justify="right")
        for u in causes["units"][:MOST]:
            table.add_row(escape(u["unit"]), *(_signed(u["outcomes"][o]) for o in moved), *(_signed(u["changes"][n]) for n in paid))
        whole = [*(causes["outcomes_total"][o] for o in moved), *(causes["changes_total"][n] for n in paid)]
        table.add_row("[bold]together[/]", *(_signed(x) for x in whole))
        console.print(table)
    _warnings(found)


def _warnings(found: Mapping[str, Any]) -> None:
    for warning in found["warnings"]:
        console.print(f"[yellow]{escape(warning['en'])}[/]")


def _population(population: Mapping[str, Any]) -> str:
    aside = f", {count(population['set_aside'])} set aside" if population["set_aside"] else ""
    seed = f", seed {population['seed']}" if population.get("seed") is not None else ""
    return escape(f"{count(population['used'])} cases, {population['source']}{seed}{aside}")


def _flips(cells: list[dict[str, Any]]) -> None:
    rows = {(c["from"], c["to"]): int(c["rows"]) for c in cells}
    after = [o for o in OUTCOMES if any(b == o for _, b in rows)]
    table = Table("before \\ after", *(f"[bold]{o}[/]" for o in after), box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for a in OUTCOMES:
        if any(x == a for x, _ in rows):
            table.add_row(a, *(_cell(a, b, rows.get((a, b), 0)) for b in after))
    console.print(table)
    console.print()


def _cell(a: str, b: str, rows: int) -> str:
    return "[dim]·[/]" if not rows else f"[dim]{count(rows)}[/]" if a == b else f"[bold]{count(rows)}[/]"


def _money(m: Mapping[str, Any]) -> None:
    moved = f"{money(m['before'])} → {money(m['after'])} CNY, [bold]{_signed(m['change'])}[/]"
    gain, loss = m["gain"], m["loss"]
    console.print(f"{escape(m['name'])}: {moved}")
    sides = [("more", gain["rows"], gain["amount"]), ("less", loss["rows"], _minus(loss["amount"]))]
    told = [f"{word} in {count(rows)} case{'' if rows == 1 else 's'} ({_signed(amount)})" for word, rows, amount in sides if rows]
    console.print(f"  {', '.join(told)}\n" if told else "")


def _minus(amount: str) -> str:
    return amount if amount.startswith("-") or not Decimal(amount) else f"-{amount}"


def sweep(found: Mapping[str, Any]) -> None:
    names = [v["parameter"] for v in found["vary"]]
    seen = [o for o in OUTCOMES if any(p["outcomes"].get(o) for p in [found["base"], *found["points"]])]
    table = Table(*names, *seen, *found["measures"], box=None, pad_edge=False)
    for column in table.columns:
        column.justify = "right"
    base = [found["parameters"][n] for n in names]
    table.add_row(*(f"[dim]{escape(v)}[/]" for v in base), *_point(found["base"], seen, found["measures"]), style="dim")
    for p in found["points"]:
        table.add_row(*(escape(p["values"][n]) for n in names), *_point(p, seen, found["measures"]))
    console.print(f"[dim]{_population(found['population'])}; the first line is the version as it is[/]\n")
    console.print(table)
    _warnings(found)


def _point(point: Mapping[str, Any], outcomes: list[str], measures: list[str]) -> list[str]:
    return [*(count(point["outcomes"].get(o, 0)) for o in outcomes), *(money(point["measures"][m]) for m in measures)]


def seek(found: Mapping[str, Any]) -> None:
    for language in ("en", "zh"):
        console.print(f"[bold]{escape(found['sentence'][language])}[/]")
    table = Table(found["parameter"], found["goal"], "", box=None, pad_edge=False)
    for column in table.columns[:2]:
        column.justify = "right"
    for p in found["points"]:
        table.add_row(p["value"], money(p["quantity"]), "[green]✓[/]" if p["meets"] else "[red]✗[/]")
    console.print(table)
    _warnings(found)


def backtest(found: Mapping[str, Any]) -> None:
    log = found["log"]
    console.print(f"[bold]{count(log['decisions'])} recorded decisions, {count(found['flips']['changed'])} would come out differently[/]")
    _warnings(found)
    if log["set_aside"]:
        console.print("[dim]which lines, and why: `log` in backtest.json[/]")
    console.print()
    _flips(found["flips"]["cells"])
    for m in found["measures"]:
        _money(m)


def settlement(found: Mapping[str, Any]) -> None:
    total = found["total"]
    over, under = total["over_paid"], total["under_paid"]
    console.print(f"[bold]{escape(found['measure'])}: {count(found['cases_asked'])} cases asked again[/]")
    told = f"paid too much in {count(over['cases'])} cases ({money(over['amount'])} CNY)"
    console.print(f"  {told}, too little in {count(under['cases'])} (+{money(under['amount'])} CNY)")
    console.print(f"  in sum {_signed(total['net'])} CNY to {count(found['partners'])} partners; {count(total['open'])} cases are open\n")
    table = Table("partner", "too much", "too little", "in sum", "open", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for p in found["by_partner"][:MOST]:
        name = "[dim]without a partner[/]" if p["partner"] is None else escape(p["partner"])
        table.add_row(name, money(p["over_paid"]["amount"]), money(p["under_paid"]["amount"]), _signed(p["net"]), count(p["open"]))
    if found["by_partner"]:
        console.print(table)
    _warnings(found)


def count(number: int) -> str:
    return f"{int(number):,}"


def money(text: str) -> str:
    return f"{Decimal(text):,f}"


def _signed(text: Any) -> str:
    return f"{Decimal(str(text)):+,f}" if Decimal(str(text)) else "0"
