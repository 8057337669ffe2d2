"""Two answers to one case side by side: facts, reasons, outputs and traces as rows of a page, each with what differs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

from simulations.report.figures import Both, same
from simulations.report.words import EFFECTS, STATES, cut, named, say

MAX_TEXT = 240
MAX_LINES = 80
MAX_RECORDS = 20
TOLD = {"violated", "unknown", "applies"}
SILENT = {"as_of", "null"}  # parts of a trace that carry no value of their own


@dataclass(frozen=True, slots=True)
class Pair:
    """One row: a name, what it is before and after (None: not there), and whether that differs."""

    name: str
    before: Any
    after: Any
    differs: bool
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """A rule or a calculated value of both traces with the parts that it was made of."""

    head: Pair
    effect: Both | None
    lines: list[Pair]
    cut: int
    told: bool


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact as it is shown; a list of records has a table instead of a text."""

    name: str
    value: Any
    decisive: bool
    columns: list[str] = field(default_factory=list)
    records: list[list[Any]] = field(default_factory=list)
    cut: int = 0


@dataclass(frozen=True, slots=True)
class Reason:
    """A rule that objects or warns, on one side or on both."""

    code: str
    effect: Both
    before: Both | None
    after: Both | None
    differs: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """All of one example."""

    facts: list[Fact]
    reasons: list[Reason]
    missing: Pair | None
    outputs: list[Pair]
    parameters: list[Pair]
    rules: list[Step]
    values: list[Step]
    error: Pair | None


def compare(example: Mapping[str, Any], whole: bool = True) -> Comparison:
    """The two answers of an example of the summary; unless `whole`, the parts of rules and values that are the same on both sides are left out."""
    a, b = example["baseline"], example["candidate"]
    reasons = _reasons(a, b)
    decisive = {name for code in {r.code for r in reasons if r.differs} for side in (a, b) for name in _read_by(side, code)}
    traces = [side.get("trace") or {} for side in (a, b)]
    return Comparison(
        facts=[_fact(name, value, name in decisive) for name, value in _flat(example["facts"])],
        reasons=reasons,
        missing=_optional("missing", *(", ".join(side.get("missing") or []) for side in (a, b))),
        outputs=_pairs(*(dict(_flat(side.get("outputs") or {})) for side in (a, b))),
        parameters=[p for p in _pairs(*(t.get("parameters") or {} for t in traces)) if p.differs],
        rules=_steps(traces[0].get("rules") or [], traces[1].get("rules") or [], "code", "state", whole),
        values=_steps(traces[0].get("values") or [], traces[1].get("values") or [], "name", "value", whole),
        error=_optional("error", *(_error(side) for side in (a, b))),
    )


def shown(value: Any) -> Both | str:
    """A value of an answer or a trace as text: yes and no in both languages, lists as they are read, at most 240 characters."""
    if isinstance(value, Both):
        return value
    if value is None:
        return say("nothing")
    if isinstance(value, bool):
        return Both("yes", "是") if value else Both("no", "否")
    if isinstance(value, dict) and set(value) == {"unknown"} and isinstance(value["unknown"], list):
        return say("unknown-of", names=_cut(", ".join(map(str, value["unknown"])))) if value["unknown"] else say("unknown")
    if isinstance(value, list) and all(isinstance(v, (str, int)) for v in value):
        return _cut(", ".join(map(str, value))) if value else say("nothing")
    if _records(value):
        return _cut("; ".join(", ".join(f"{k} {'–' if x is None else x}" for k, x in _flat(v)) for v in value))
    if isinstance(value, (dict, list)):
        return _cut(json.dumps(value, ensure_ascii=False, default=str))
    return _cut(str(value))


def _cut(text: str) -> str:
    return cut(text, MAX_TEXT)


def _flat(tree: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Nested objects as dotted names."""
    for name, value in tree.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{before}{name}.")
        else:
            yield before + str(name), value


def _fact(name: str, value: Any, decisive: bool) -> Fact:
    if not value or not _records(value):
        return Fact(name, shown(value), decisive)
    records = [dict(_flat(v)) for v in value[:MAX_RECORDS]]
    columns = list(dict.fromkeys(c for record in records for c in record))
    table = [[shown(record[c]) if c in record else say("unknown") for c in columns] for record in records]
    return Fact(name, None, decisive, columns, table, len(value) - len(records))


def _read_by(answer: Mapping[str, Any], code: str) -> list[str]:
    """The facts that the rule of a reason rests on."""
    return [name for part in ("reasons", "warnings") for r in answer.get(part) or [] if r["code"] == code for name in r.get("facts") or {}]


def _reasons(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Reason]:
    sides = [{r["code"]: r for part in ("reasons", "warnings") for r in side.get(part) or []} for side in (a, b)]
    found = []
    for code in dict.fromkeys([*sides[0], *sides[1]]):
        before, after = (side.get(code) for side in sides)
        told = before or after or {}
        messages = [None if r is None else _message(r) for r in (before, after)]
        found.append(Reason(code, named(EFFECTS, str(told.get("effect", ""))), messages[0], messages[1], messages[0] != messages[1]))
    return sorted(found, key=lambda r: not r.differs)


def _message(reason: Mapping[str, Any]) -> Both:
    told = reason.get("message")
    return Both(str(told["en"]), str(told["zh"])) if told else same(str(reason["code"]))


def _error(answer: Mapping[str, Any]) -> str:
    error = answer.get("error")
    return "" if not error else str(error.get("message") or error.get("kind") or "") if isinstance(error, dict) else str(error)


def _optional(name: str, before: str, after: str) -> Pair | None:
    return Pair(name, before or None, after or None, before != after) if before or after else None


def _pairs(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Pair]:
    """Two sets of named values as rows, in the order of the first; lists of records that differ are followed by the fields that do."""
    rows = []
    for n in dict.fromkeys([*a, *b]):
        fields = _fields(a.get(n), b.get(n))
        words = [None if n not in side else _number(side[n]) if fields else shown(side[n]) for side in (a, b)]
        rows.append(Pair(n, words[0], words[1], (n in a, a.get(n)) != (n in b, b.get(n))))
        rows += fields
    return rows


def _fields(before: Any, after: Any) -> list[Pair]:
    """The fields that differ between two lists of records, record by record."""
    if before == after or not (_records(before) and _records(after)):
        return []
    sides = [{f"[{i}].{n}": v for i, record in enumerate(side) for n, v in _flat(record)} for side in (before, after)]
    names = [n for n in dict.fromkeys([*sides[0], *sides[1]]) if (n in sides[0], sides[0].get(n)) != (n in sides[1], sides[1].get(n))]
    told = [[shown(side[n]) if n in side else None for n in names[:MAX_RECORDS]] for side in sides]
    return [Pair(n, a, b, True, 1) for n, a, b in zip(names, *told, strict=False)]


def _records(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, dict) for v in value)


def _number(records: list[Any]) -> Both:
    return say("items", n=str(len(records)))


def _steps(a: list[dict[str, Any]], b: list[dict[str, Any]], key: str, value: str, whole: bool) -> list[Step]:
    """The entries of two traces by name; what differs and what is violated or unknown first told."""
    sides = [{str(e[key]): e for e in side} for side in (a, b)]
    found = []
    for name in dict.fromkeys([*sides[0], *sides[1]]):
        before, after = (side.get(name) for side in sides)
        states = [None if e is None else e.get(value) for e in (before, after)]
        fields = [] if value == "state" else _fields(*states)
        words = [None if e is None else _word(s, value == "state", bool(fields)) for e, s in zip((before, after), states, strict=True)]
        head = Pair(name, words[0], words[1], (before is None, states[0]) != (after is None, states[1]))
        effect = next((e["effect"] for e in (before, after) if e and "effect" in e), None)
        told = head.differs or (value == "state" and bool(TOLD & {str(s) for s in states}))
        lines = fields + (_aligned(list(_lines(before)), list(_lines(after))) if whole or told else [])
        found.append(Step(head, None if effect is None else named(EFFECTS, effect), lines[:MAX_LINES], max(len(lines) - MAX_LINES, 0), told))
    return found


def _word(found: Any, state: bool, unfolded: bool) -> Both | str:
    """What an entry came to: the state of a rule, or a value; of records that are told one by one their number."""
    return named(STATES, str(found)) if state else _number(found) if unfolded else shown(found)


def _lines(entry: Mapping[str, Any] | None, depth: int = 0) -> Iterator[tuple[int, str, Any]]:
    """The conditions of an entry from the outside in: how deep, the text, the value."""
    if entry is None:
        return
    matched = entry.get("matched")
    if matched:
        yield depth, "→", _row(matched)
    for part in entry.get("parts") or []:
        name, value = str(part.get("text", "")), part.get("value")
        if value is not None or name not in SILENT:
            yield depth, name, value
        yield from _lines(part, depth + 1)


def _row(matched: Mapping[str, Any]) -> Both:
    """Which line of the rule file gave the value, with its codes."""
    codes = "".join(f"{code}, " for code in matched.get("codes") or [])
    line = matched.get("line") or matched.get("undecided at line")
    open_ = Both("", "") if "line" in matched else Both(" (undecided)", "（未定）")
    return Both(f"{codes}line {line}{open_.en}", f"{codes}第 {line} 行{open_.zh}")


def _aligned(a: list[tuple[int, str, Any]], b: list[tuple[int, str, Any]]) -> list[Pair]:
    """The lines of both sides in one list; lines of the same text and depth become one row."""
    keys = [[(depth, text) for depth, text, _ in side] for side in (a, b)]
    rows = []
    for kind, i, j, k, m in SequenceMatcher(None, keys[0], keys[1], autojunk=False).get_opcodes():
        if kind == "equal":
            rows += [Pair(_cut(x[1]), shown(x[2]), shown(y[2]), x[2] != y[2], x[0]) for x, y in zip(a[i:j], b[k:m], strict=True)]
        else:
            rows += [Pair(_cut(x[1]), shown(x[2]), None, True, x[0]) for x in a[i:j]]
            rows += [Pair(_cut(y[1]), None, shown(y[2]), True, y[0]) for y in b[k:m]]
    return rows
