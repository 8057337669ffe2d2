"""The page of a settlement: who was paid too much or too little, by how much, and where the lists are."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, localcontext
from typing import Any

from engine.types import ROUNDING
from simulations.report import charts, movement, origin, page
from simulations.report.figures import Both, amount, count, money, rounded
from simulations.report.quantities import unit
from simulations.report.words import WORDS, cases, code, cut, say

MAX_NAME = 60
#: Whether somebody was paid too much, and whether too little.
HEADLINES = {(True, True): "settle-both", (True, False): "settle-over", (False, True): "settle-under", (False, False): "settle-none"}
LISTS = [(("settlement.csv", "settlement.parquet"), "file-cases"), (("partners.csv", "partners.parquet"), "file-partners")]
REST = [(("settlement.json",), "file-json"), (("manifest.json",), "file-manifest")]


def html(found: Mapping[str, Any]) -> str:
    """The page of a settlement's JSON data. Equal data give equal bytes. Raises ValueError for another format."""
    page.check_format(found, "settlement")
    with localcontext(ROUNDING):
        return page.render("settlement.html", "settlement", found, _view(found))


def _view(found: Mapping[str, Any]) -> dict[str, Any]:
    cells = {(c["from"], c["to"]): int(c["rows"]) for c in found["differing"]}
    labels = {side: origin.version(found[side]["version"], found[side]["changed"]) for side in ("wrong", "corrected")}
    log = found.get("log")
    return {
        "headline": _headline(found, labels["wrong"]),
        "lede": _lede(found, labels["corrected"]),
        "tiles": _tiles(found),
        "aside": origin.lines(log) if log else origin.aside(found["population"]),
        "labels_of": labels,
        "log_rows": origin.log_rows(log) if log else [],
        "unit": unit(),
        "partners": _partners(found),
        "matrix": movement.matrix(cells) if cells else None,
        "over": [movement.mover(x) for x in found["largest"]["losers"]],
        "under": [movement.mover(x) for x in found["largest"]["gainers"]],
        "files": [*LISTS, *([] if log else [(("set-aside.parquet",), "file-aside")]), *REST],
    }


def _headline(found: Mapping[str, Any], wrong: Both) -> Both:
    """What was paid too much and too little."""
    over, under = (found["total"][side] for side in ("over_paid", "under_paid"))
    values = {
        "over": money(abs(Decimal(over["amount"])), found["unit"]), "over_cases": cases(over["cases"]),
        "under": money(abs(Decimal(under["amount"])), found["unit"]), "under_cases": cases(under["cases"]),
    }  # fmt: skip
    return say(HEADLINES[over["cases"] > 0, under["cases"] > 0], wrong=_begun(wrong), **values)


def _begun(text: Both) -> Both:
    """A text as the beginning of a sentence."""
    return Both(type(text.en)(text.en[:1].upper() + text.en[1:]), text.zh)


def _lede(found: Mapping[str, Any], corrected: Both) -> list[Both]:
    net, n = Decimal(found["total"]["net"]), found["partners"]
    told = say("net-more" if net > 0 else "net-less", amount=money(abs(net), found["unit"])) if net else WORDS["net-even"]
    partners = say("settle-unnamed", net=told) if not n else say("settle-partner", net=told) if n == 1 else say("settle-partners", n=count(n), net=told)
    return [say("settle-line", asked=cases(found["cases_asked"]), corrected=corrected, name=code(found["measure"]), paid=origin.paid(found["paid"])), partners]


def _tiles(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    total, of = found["total"], found["unit"]
    return [
        *(
            {"name": say(word), "figure": rounded(abs(Decimal(part["amount"])), of), "below": cases(part["cases"])}
            for word, part in (("over-paid", total["over_paid"]), ("under-paid", total["under_paid"]))
        ),
        {"name": say("net"), "figure": rounded(Decimal(total["net"]), of, True), "below": _concerned(found["partners"])},
        {"name": say("open-tile"), "figure": count(total["open"]), "below": say("open-below" if total["open"] else "open-none")},
    ]


def _concerned(partners: int) -> Both:
    return say("partners-one") if partners == 1 else say("partners-of", n=count(partners)) if partners else WORDS["no-partner"]


def _partners(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Those who were paid too much most, then those who were paid too little most, and all others in one row, so that every column adds up."""
    if not found["partners"]:
        return []
    named = [*found["most_over_paid"], *found["most_under_paid"]]
    ends = [Decimal(p["net"]) for p in named] + [Decimal(0)]
    low, high = min(ends), max(ends)
    rows = [_partner(p, charts.bar([(Decimal(0), Decimal(p["net"]))], low, high)) for p in named]
    rest = _without(found["total"], named)
    if rest["open"] or rest["over_paid"]["cases"] or rest["under_paid"]["cases"]:
        rows.append(_partner(rest, "") | {"rest": True})
    return rows


def _partner(p: Mapping[str, Any], bar: Any) -> dict[str, Any]:
    name, net = p.get("partner"), Decimal(p["net"])
    return {
        "name": None if name is None else cut(str(name), MAX_NAME), "rest": False, "bar": bar, "net": amount(net, True), "tone": movement.tone(net),
        "over": amount(Decimal(p["over_paid"]["amount"]), True), "under": amount(Decimal(p["under_paid"]["amount"]), True), "open": count(p["open"]),
    }  # fmt: skip


def _without(total: Mapping[str, Any], named: list[Mapping[str, Any]]) -> dict[str, Any]:
    """A total less some of its parts."""
    left: dict[str, Any] = {
        side: {
            "cases": total[side]["cases"] - sum(p[side]["cases"] for p in named),
            "amount": str(Decimal(total[side]["amount"]) - sum((Decimal(p[side]["amount"]) for p in named), Decimal(0))),
        }
        for side in ("over_paid", "under_paid")
    }
    net = Decimal(total["net"]) - sum((Decimal(p["net"]) for p in named), Decimal(0))
    return left | {"open": total["open"] - sum(p["open"] for p in named), "net": str(net)}
