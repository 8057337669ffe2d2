"""The page of a backtest: which recorded decisions would come out differently, and what money that moves."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import localcontext
from typing import Any

from markupsafe import Markup

from engine.types import ROUNDING
from simulations.report import charts, headline, movement, origin, page
from simulations.report.figures import Both, count
from simulations.report.words import OUTCOMES, WORDS, say

FILES = [(("changed.parquet",), "file-changed"), (("backtest.json",), "file-json"), (("manifest.json",), "file-manifest")]


def html(found: Mapping[str, Any]) -> str:
    """The page of a backtest's JSON data. Equal data give equal bytes. Raises ValueError for another format."""
    page.check_format(found, "backtest")
    with localcontext(ROUNDING):
        return page.render("backtest.html", "backtest", found, _view(found))


def _view(found: Mapping[str, Any]) -> dict[str, Any]:
    cells = {(c["from"], c["to"]): int(c["rows"]) for c in found["flips"]["cells"]}
    versions = [(origin.version(c["version"], found["changed"]), c["digest"]) for c in found["candidate"]]
    return {
        "headline": _headline(found, cells, versions[0][0] if len(versions) == 1 else WORDS["in-force"]),
        "lede": headline.lede(found, cells),
        "tiles": headline.tiles(found, cells),
        "aside": origin.lines(found["log"]),
        "versions": versions,
        "log_rows": origin.log_rows(found["log"]),
        "matrix": movement.matrix(cells),
        "flow": charts.flow(cells, movement.present(cells), OUTCOMES, "flow-caption"),
        "balance": movement.balance(cells),
        "measures": [movement.totals(m, i) for i, m in enumerate(found["measures"])],
        "files": FILES,
    }


def _headline(found: Mapping[str, Any], cells: Mapping[tuple[str, str], int], after: Both) -> Both:
    asked, changed = sum(cells.values()), int(found["flips"]["changed"])
    total = say("decisions") if asked == 1 else say("decisions-of", n=count(asked))
    return say("back-some", after=after, n=Markup("<em>{}</em>").format(count(changed)), total=total) if changed else say("back-none", after=after, total=total)
