"""The report of a simulation: one HTML file in English and Chinese that needs nothing else, for a reader who owns the policy and does not program."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import localcontext
from typing import Any

from markupsafe import Markup, escape

from engine.types import ROUNDING
from simulations.report import charts, headline, movement, origin, page
from simulations.report.comparison import compare
from simulations.report.figures import Both, count
from simulations.report.words import EFFECTS, KINDS, OUTCOMES, named, say, texts

#: So many examples show their traces whole; further ones show what differs, to keep the page small.
MAX_WHOLE = 6
#: Kinds of change that move no answer by themselves: rules that read them do.
NO_EFFECT = ("effective", "fact")
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def html(summary: Mapping[str, Any]) -> str:
    """The page of a summary. Equal summaries give equal bytes; every text of the summary is escaped. Raises ValueError for another format."""
    page.check_format(summary, "summary")
    with localcontext(ROUNDING):  # whoever decided cases before has a context that refuses to round
        return page.render("report.html", "simulation", summary, _view(summary))


def _view(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that the template shows."""
    cells = {(c["from"], c["to"]): int(c["rows"]) for c in summary["flips"]["cells"]}
    return {
        "question": texts(summary["question"]),
        "sides": [_side(summary[key]) for key in ("baseline", "candidate")],
        "headline": headline.headline(summary),
        "lede": headline.lede(summary, cells),
        "tiles": headline.tiles(summary, cells),
        "aside": origin.aside(summary["population"]),
        "changes": [_change(c) for c in summary["changes"]],
        "effects": sum(c["kind"] not in NO_EFFECT for c in summary["changes"]),
        "matrix": movement.matrix(cells),
        "flow": charts.flow(cells, movement.present(cells), OUTCOMES, "flow-caption") if cells else "",
        "balance": movement.balance(cells),
        "measures": [movement.measure(m, i) for i, m in enumerate(summary["measures"])],
        "segments": [movement.segment(s, i, summary["measures"], summary["labels"]) for i, s in enumerate(summary["segments"])],
        "waterfalls": movement.waterfalls(summary, cells),
        "method": say("causes-shapley" if summary["attribution"]["method"] == "shapley" else "causes-sequence"),
        "rules": [_rule(r, summary) for r in sorted(summary["rules"], key=lambda r: -(r["newly"] + r["no_longer"])) if r["newly"] or r["no_longer"]],
        "undetermined": say("undetermined-line", before=movement.undetermined(cells, 0), after=movement.undetermined(cells, 1)),
        "same_rules": [_rule(r, summary) for r in summary["rules"] if not (r["newly"] or r["no_longer"])],
        "examples": [_example(e, i + 1) for i, e in enumerate(summary["examples"])],
        "parameters": _parameters(summary),
    }


def _side(side: Mapping[str, Any]) -> dict[str, Any]:
    return {"label": texts(side["label"]), "version": side["version"], "digest": side["digest"]}


def _change(change: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": named(KINDS, change["kind"]), "name": change["name"], "before": change["before"], "after": change["after"]}


# -- rules, parameters, examples ------------------------------------------------------------------------------------------------------------


def _rule(rule: Mapping[str, Any], summary: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "code": rule["code"], "effect": named(EFFECTS, rule["effect"]), "before": count(rule["before"]), "after": count(rule["after"]),
        "newly": count(rule["newly"]), "no_longer": count(rule["no_longer"]), "reason": _reason(rule["reason"], summary),
    }  # fmt: skip


def _reason(reason: Mapping[str, Any] | None, summary: Mapping[str, Any]) -> Both | None:
    """The text of a rule; a parameter in it stands with its values, another placeholder with its name."""
    if reason is None:
        return None
    values = [summary[side]["parameters"] for side in ("baseline", "candidate")]

    def piece(name: str) -> Markup:
        a, b = (side.get(name.removeprefix("parameters.")) for side in values)
        if not name.startswith("parameters.") or a is None:
            return Markup('<code class="blank">{}</code>').format(name.rpartition(".")[2])
        return Markup("<b>{}</b>").format(a if a == b or b is None else f"{a} → {b}")

    filled = []
    for language in ("en", "zh"):
        pieces = PLACEHOLDER.split(str(reason[language]))
        filled.append(Markup("").join(piece(p) if i % 2 else escape(p) for i, p in enumerate(pieces)))
    return Both(*filled)


def _parameters(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    a, b = (summary[side]["parameters"] for side in ("baseline", "candidate"))
    return [{"name": n, "before": a.get(n), "after": b.get(n), "differs": a.get(n) != b.get(n)} for n in dict.fromkeys([*a, *b])]


def _example(example: Mapping[str, Any], number: int) -> dict[str, Any]:
    return {
        "number": number, "id": f"example-{number}", "case_id": example["case_id"], "from": example["from"], "to": example["to"],
        "as_of": page.day(example["as_of"]), "found": compare(example, number <= MAX_WHOLE),
    }  # fmt: skip
