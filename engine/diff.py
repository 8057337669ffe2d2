"""What changed between two versions of a policy: parameters, facts, rules, formulas, tables, texts, cases. Read from the rule files, exact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.cases import case_file
from engine.errors import RuleFileError
from engine.model import CasesModel, PolicyModel
from engine.source import read

#: Keys of the entries of a part that hold words for people, not rules.
TEXT_KEYS = {"title", "question", "reason", "remedy", "note", "zh", "values_zh", "readings", "order"}


def diff(before: PolicyModel, after: PolicyModel) -> dict[str, Any]:
    """Changes by part; each a list of {name, change: added | removed | changed, before, after}. Changes of words stand under `texts`."""
    a, b = (m.model_dump(by_alias=True, exclude_unset=True, mode="json") for m in (before, after))
    result: dict[str, Any] = {"policy": after.policy, "from": before.version, "to": after.version}
    texts: list[dict[str, Any]] = []
    result["effective"] = {"before": a["effective"], "after": b["effective"]}
    for part in ("parameters", "facts", "formulas", "tables", "scales", "outputs"):
        result[part] = _entries(a.get(part, {}), b.get(part, {}), part, texts)
    result["requirements"] = _entries(_by_code(a.get("requirements", [])), _by_code(b.get("requirements", [])), "requirements", texts)
    machine_a, machine_b = a.get("machine") or {}, b.get("machine") or {}
    result["transitions"] = _entries(_by_code(machine_a.get("transitions", [])), _by_code(machine_b.get("transitions", [])), "transitions", texts)
    for key in ("form", "title", "question", "readings", "source", "note"):
        if a.get(key) != b.get(key):
            texts.append({"name": key, "change": "changed", "before": a.get(key), "after": b.get(key)})
    result["texts"] = texts
    return result


def case_changes(before: Path, after: Path) -> list[dict[str, Any]]:
    """Cases that were added, removed or changed, by name."""
    loaded: list[dict[str, Any]] = []
    for path in (case_file(before), case_file(after)):
        try:
            model = CasesModel.model_validate(read(path).data)
        except (OSError, ValueError, RuleFileError):
            loaded.append({})
            continue
        base = {"base": model.base, "as_of": model.as_of}
        loaded.append({c.name: base | c.model_dump(exclude_unset=True, mode="json") for c in model.cases})
    return [c for c in _entries(loaded[0], loaded[1], "cases", []) if c["change"] != "changed" or _own(c["before"]) != _own(c["after"])]


def _own(case: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in case.items() if k not in ("base", "as_of")}


def _by_code(entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {e["code"]: e for e in entries}


def _entries(a: dict[str, Any], b: dict[str, Any], part: str, texts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    changes = []
    for name in [*a, *(n for n in b if n not in a)]:
        if name not in b:
            changes.append({"name": name, "change": "removed", "before": a[name], "after": None})
        elif name not in a:
            changes.append({"name": name, "change": "added", "before": None, "after": b[name]})
        elif a[name] != b[name]:
            rule_a, rule_b = _without_words(a[name]), _without_words(b[name])
            change = {"name": name, "change": "changed", "before": a[name], "after": b[name]}
            if rule_a != rule_b:
                changes.append(change)
            else:
                texts.append({**change, "name": f"{part}.{name}"})
    return changes


def _without_words(entry: Any) -> Any:
    return {k: v for k, v in entry.items() if k not in TEXT_KEYS} if isinstance(entry, dict) else entry
