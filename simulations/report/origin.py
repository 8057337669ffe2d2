"""Where the numbers of a page come from: the version with its changes, the population or the log, and what of them was not used."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from simulations.report.figures import Both, count, same
from simulations.report.words import OUTCOMES, named, say

#: Reasons that a page lists.
MAX_REASONS = 20
#: What a decision log is told of its lines (simulations/runs/decisions.py), with the Chinese.
LINES = {
    re.compile(english): chinese
    for english, chinese in {
        "the line is too long": "该行过长",
        "no JSON; the line may have been cut off": "不是 JSON，该行可能被截断",
        "no decision: it names no policy": "不是决定：未写明政策",
        "it holds no facts; only a decision log that keeps them can be asked again": "不含事实；只有保留事实的决定日志才能重新判定",
        "no decision: (.*) (?:is|are) missing or of a wrong kind": "不是决定：缺少 {}，或其类型不对",
        "the decision (.*) stands in the log twice": "决定 {} 在日志中重复",
    }.items()
}


def version(number: int, changed: Mapping[str, str]) -> Both:
    """A version with the parameters that the run changed in it."""
    told = ", ".join(f"{n} = {v}" for n, v in changed.items())
    return say("version-with", n=str(number), changed=told) if changed else say("version-of", n=str(number))


def paid(outcomes: Sequence[str]) -> Both:
    """The outcomes under which an amount counts."""
    names = [named(OUTCOMES, o) for o in outcomes]
    return Both(" or ".join(n.en for n in names), "或".join(n.zh for n in names))


def aside(population: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The table of rows set aside, if there are any."""
    reasons = population["reasons"]
    rows = [{"name": r["column"], "reason": Both(r["reason"], r.get("zh") or r["reason"]), "rows": count(r["rows"])} for r in reasons[:MAX_REASONS]]
    return [{"caption": "aside-caption", "first": "column", "rows": rows, "more": len(reasons) - len(rows)}] if rows else []


def lines(log: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The tables of lines that could not be used, and of decisions that could not be asked again."""
    return [t for t in (_lines("log-bad", log["bad"], log["set_aside"]), _lines("log-refused", log["refused"], log["not_asked"])) if t["rows"]]


def _lines(caption: str, found: Sequence[Mapping[str, Any]], all_of_them: int) -> dict[str, Any]:
    rows = [{"name": str(x["line"]), "reason": _reason(str(x["reason"])), "rows": None} for x in found[:MAX_REASONS]]
    return {"caption": caption, "first": "line", "rows": rows, "more": all_of_them - len(rows)}


def _reason(text: str) -> Both:
    """Why a line cannot be used, in both languages; what a rule file says about a fact stands as it is."""
    for english, chinese in LINES.items():
        match = english.fullmatch(text)
        if match:
            return Both(text, chinese.format(*match.groups()))
    return same(text)


def log_rows(log: Mapping[str, Any]) -> list[tuple[str, Both | str]]:
    """What was read from a decision log, as rows of the last section: a word and its value."""
    versions = [say("log-version", n=n, rows=count(rows)) for n, rows in log["versions"].items()]
    counted = [("log-bad", "set_aside"), ("log-refused", "not_asked"), ("log-masked", "masked"), ("log-other", "other_lines")]
    return [
        ("log-read", count(log["decisions"] - log["not_asked"])),
        ("log-versions", Both("; ".join(v.en for v in versions), "；".join(v.zh for v in versions))),
        *((word, count(log[key])) for word, key in counted),
    ]
