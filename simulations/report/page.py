"""The frame of every page: one HTML file in English and Chinese that needs nothing else, made from a template and what it shows."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from simulations.report import charts, origin
from simulations.report.figures import Both, count
from simulations.report.words import OUTCOMES, WORDS, named, say, spans, texts

FORMAT = 1
TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, kind: str, result: Mapping[str, Any], view: Mapping[str, Any]) -> str:
    """A page. `kind`: the word for what it tells. `result`: the JSON data, its title, labels, warnings. `view`: what the template shows besides.

    Equal data give equal bytes; every text is escaped.
    """
    style, script = (Markup((TEMPLATES / name).read_text(encoding="utf-8")) for name in ("report.css", "report.js"))
    frame = {
        "s": result,
        "kind": kind,
        "style": style,
        "script": script,
        "policy": f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'; form-action 'none'",
        "title": texts(result["title"]),
        "warnings": [texts(w) for w in result["warnings"]],
        "labels": {name: _label(told) for name, told in result.get("labels", {}).items()},
    }
    return _environment().get_template(template).render({**frame, **view})


def check_format(result: Mapping[str, Any], what: str) -> None:
    """Raises ValueError for data of another format than this version writes."""
    if result.get("format") != FORMAT:
        raise ValueError(f"expected a {what} of format {FORMAT}, got {result.get('format')!r}; make the run again with this version")


@cache
def _environment() -> Environment:
    made = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters |= {"spans": spans, "count": count, "comma": lambda n: f"{n:,}", "day": day, "paid": origin.paid}
    made.globals |= {
        "say": lambda key, **values: spans(say(key, **values)),
        "words": WORDS,
        "outcome": outcome,
    }
    return made


def outcome(name: str) -> Markup:
    """An outcome as a word with its sign."""
    icon = charts.icon(name) if name in OUTCOMES else ""
    return Markup('<span class="outcome {}">{}<span>{}</span></span>').format(name if name in OUTCOMES else "", icon, spans(named(OUTCOMES, name)))


def day(moment: Any) -> str:
    """A moment as it is read: the start of a day in Shanghai is the day."""
    return str(moment).removesuffix("T00:00:00+08:00")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _label(told: Mapping[str, Any]) -> Both:
    """What the rule file says about a name, in the languages in which it does."""
    return Both(str(told.get("en") or ""), str(told.get("zh") or ""))
