"""A small run of each kind with a page, made when it is first asked for; and how its page is read back."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from simulations.report import backtest as backtest_page
from simulations.report import seek as seek_page
from simulations.report import settlement as settlement_page
from simulations.report import sweep as sweep_page
from simulations.runs.backtest import BacktestOrder, backtest
from simulations.runs.seek import SeekOrder, seek
from simulations.runs.settlement import SettlementOrder, settle
from simulations.runs.sweep import SweepOrder, Vary, sweep, vary
from tests.pages import Page
from tests.simulated import AS_OF, Asker, order, panel_of, rows_of, shipped

HTML: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "sweep": sweep_page.html, "seek": seek_page.html, "backtest": backtest_page.html, "settlement": settlement_page.html,
}  # fmt: skip
POPULATION = {"generate": {"rows": 400, "seed": 7}}
RATIOS = {"ratio_joint_operation": "0.4", "ratio_self_service": "1.1"}
CREDIT: dict[str, Any] = {"policy": "performance-credit", "population": POPULATION, "as_of": AS_OF}
RELATION: dict[str, Any] = {"policy": "relation-change", "population": POPULATION, "as_of": AS_OF}
MODES = {"policy": "voucher-issue", "population": POPULATION, "as_of": AS_OF}
COOLDOWN = RELATION | {"parameter": "cooldown_months", "low": "0", "high": "60"}
#: Each run by its name: what writes it into a folder.
MADE: dict[str, Callable[[Path], dict[str, Any]]] = {
    "sweep": lambda folder: sweep(SweepOrder(**CREDIT, vary=[vary("ratio_joint_operation=0.30..0.60:0.05")]), shipped(), folder),
    "pair": lambda folder: sweep(
        SweepOrder(**RELATION, vary=[vary("cooldown_months=1..5"), Vary(parameter="window_months", values=[6, 3])]), shipped(), folder
    ),
    "kinds": lambda folder: sweep(SweepOrder(**MODES, vary=[vary("quota_issuer_for_reseller=huawei_cloud,distributor")]), shipped(), folder),
    "seek": lambda folder: seek(SeekOrder(**COOLDOWN, goal="denied <= 32%"), shipped(), folder),
    "unreachable": lambda folder: seek(SeekOrder(**COOLDOWN, goal="denied <= 0"), shipped(), folder),
    "backtest": lambda folder: backtest(
        BacktestOrder(policy="performance-credit", log=recorded(folder.parent), candidate={"version": 1, "parameters": RATIOS}), shipped(), folder
    ),
    "settlement": lambda folder: settle(settling(population={"generate": {"rows": 1500, "seed": 7}}, as_of=AS_OF), shipped(), folder),
    "of-log": lambda folder: settle(settling(log=recorded(folder.parent), partner="partner.id"), shipped(), folder),
}
_made: dict[str, dict[str, Any]] = {}


def run(name: str) -> dict[str, Any]:
    """The JSON data of a run. Its page in the directory is held against them."""
    if name not in _made:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "run"
            told = MADE[name](folder)
            assert json.loads((folder / f"{told['kind']}.json").read_bytes()) == told
            assert (folder / "report.html").read_text(encoding="utf-8") == html(told), "the page is that of the JSON beside it"
            assert "report.html" in json.loads((folder / "manifest.json").read_bytes())["files"]
            _made[name] = told
    return _made[name]


def settling(**more: Any) -> SettlementOrder:
    return SettlementOrder.model_validate({"policy": "performance-credit", "wrong": {"version": 1}, "corrected": {"version": 1, "parameters": RATIOS}} | more)


def recorded(folder: Path) -> str:
    """A decision log of generated cases, with a line that was cut off."""
    path = folder / "decisions.jsonl"
    with panel_of(order("performance-credit", 400), folder) as panel, path.open("w", encoding="utf-8") as file:
        asker = Asker(panel, panel.task.before)
        for row in rows_of(panel):
            answer, as_of = asker.ask(row), panel.instant(row).isoformat()
            line = {"decision_id": row["case_id"], "ask": "check", "facts": asker.facts(row), "policy": "performance-credit", "version": 1, "as_of": as_of}
            file.write(json.dumps(line | {k: answer[k] for k in ("outcome", "outputs", "receipt")}, default=str) + "\n")
        file.write('{"policy": "performance-cre\n')
    return str(path)


def page(told: Mapping[str, Any]) -> Page:
    return Page(html(told))


def html(told: Mapping[str, Any]) -> str:
    return HTML[told["kind"]](told)


def tight(found: Page) -> str:
    """What a page says, without spaces: texts of neighbouring elements run into each other."""
    return found.text().replace(" ", "")


def number(text: str) -> Decimal:
    return Decimal(text.replace(",", "").replace("−", "-").replace("+", ""))


def part(text: str, start: str, end: str = "</table>") -> str:
    """What stands between two pieces of a page."""
    return text[text.index(start) :].partition(end)[0]


def spots(text: str, kind: str, drawing: str) -> list[tuple[Decimal, Decimal, str]]:
    found = re.findall(
        rf'<use class="spot {kind}" href="#m-{kind}" x="([\d.]+)%" y="([\d.]+)"><title>([^<]*)</title>', part(text, f'aria-labelledby="{drawing}"', "</figure>")
    )
    return [(Decimal(x), Decimal(y), said) for x, y, said in found]
