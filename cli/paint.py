"""Answers, versions and differences as a person reads them in a terminal."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from engine.policy import Policy

COLOURS = {"allowed": "green", "denied": "red", "review": "yellow", "undetermined": "magenta", "deny": "red", "warn": "cyan"}
LANGUAGES = ("en", "zh")
console = Console(highlight=False)


def languages(chosen: str | None) -> tuple[str, ...]:
    """The languages that are shown: the one that was chosen, else both."""
    return (chosen,) if chosen else LANGUAGES


def answer(found: dict[str, Any]) -> None:
    """One answer: the outcome, each reason with its remedy, what is missing, the outputs, the receipt."""
    colour = COLOURS[found["outcome"]]
    console.print(f"[bold {colour}]{found['outcome']}[/]  {found['policy']} v{found['version']}  as of {found['as_of']}")
    for part, mark in (("reasons", "✗"), ("warnings", "!")):
        for reason in found[part]:
            shade = COLOURS.get(reason["effect"], "white")
            source = " ".join(str(v) for k, v in reason["source"].items() if k in ("section", "item"))
            console.print(f"\n[{shade}]{mark} {reason['code']}[/] [dim]{reason['effect']}, guide {escape(source)}[/]")
            for language in ("en", "zh"):
                if reason["message"]:
                    console.print(f"  {escape(reason['message'][language])}")
                if reason["remedy"]:
                    console.print(f"  [dim]→[/] {escape(reason['remedy'][language])}")
            if reason["facts"]:
                console.print("  [dim]" + escape(", ".join(f"{k} = {_short(v)}" for k, v in reason["facts"].items())) + "[/]")
    if found["missing"]:
        console.print(f"\n[magenta]missing[/] {', '.join(found['missing'])}")
    if found.get("unset_parameters"):
        console.print(f"[magenta]unset parameters[/] {', '.join(found['unset_parameters'])}")
    if found["outputs"]:
        console.print()
        for name, value in found["outputs"].items():
            console.print(f"  {name} = [bold]{escape(_short(value))}[/]")
    if "trace" in found:
        console.print()
        _trace(found["trace"])
    console.print(f"\n[dim]{found['receipt']}[/]")


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _trace(trace: dict[str, Any]) -> None:
    for part in ("rules", "values"):
        for entry in trace[part]:
            _trace_entry(entry, 0)


def _trace_entry(entry: dict[str, Any], depth: int) -> None:
    name = entry.get("code") or entry.get("name") or entry.get("text", "")
    shown = entry.get("state", entry.get("value"))
    extra = f"  [dim]{entry['matched']}[/]" if entry.get("matched") else ""
    console.print(f"{'  ' * depth}[dim]{escape(str(name))}[/] = {escape(_short(shown))}{extra}")
    for part in entry.get("parts", ()):
        _trace_entry(part, depth + 1)


def page(policy: Policy, status: str, periods: str) -> None:
    """One version as a readable page: question, parameters, facts, requirements, tables as tables, outputs."""
    model = policy.model
    console.print(f"[bold]{model.title.en}[/]  {model.title.zh}")
    console.print(f"{policy.id} v{policy.version}, {status}, {' + '.join(policy.forms)}; in force {periods}")
    console.print(f"[dim]{policy.digest}[/]\n\n{escape(model.question.en)}\n{escape(model.question.zh)}\n")
    if model.parameters:
        table = _table("parameters", "name", "type", "value")
        for name, p in model.parameters.items():
            table.add_row(name, p.type, "[magenta]unset[/]" if p.unset else escape(_short(p.value)))
        console.print(table)
    table = _table("facts", "name", "type", "values or unit", "")
    for fact_name, f in model.facts.items():
        values = "open" if f.values == "open" else ", ".join(f.values or []) or (f.unit or "")
        table.add_row(fact_name, f.type + (", null" if f.nullable else ""), escape(values), escape(f.zh or f.note or ""))
    console.print(table)
    if model.formulas:
        table = _table("formulas", "name", "value")
        for name, formula in model.formulas.items():
            table.add_row(name, escape(_value(formula)))
        console.print(table)
    if model.requirements:
        table = _table("requirements", "code", "effect", "when", "require", "remedy")
        for r in model.requirements:
            shade = COLOURS.get(r.effect, "white")
            remedy = r.remedy.en if r.remedy else ""
            table.add_row(f"[{shade}]{r.code}[/]", r.effect, escape(_text(r.when)), escape(_text(r.require)), escape(remedy))
        console.print(table)
    if model.machine:
        table = _table("transitions", "event", "from", "to", "actor", "when", "code")
        for t in model.machine.transitions:
            states = t.from_ if isinstance(t.from_, str) else ", ".join(t.from_)
            table.add_row(t.event, states, t.to or "(stays)", ", ".join(t.actor or ["anybody"]), escape(_text(t.when)), t.code)
        console.print(table)
    for name, decision in model.tables.items():
        columns = [*decision.inputs, *decision.outputs]
        table = _table(f"table {name} (hit policy {decision.hit})", "", *columns)
        for i, row in enumerate(decision.rows):
            table.add_row(str(i + 1), *(escape(_short(row.get(c, "any"))) for c in columns))
        console.print(table)
    if model.outputs:
        table = _table("outputs", "name", "type", "value")
        for name, o in model.outputs.items():
            table.add_row(name, o.type, escape(_value(o.value)))
        console.print(table)
    for reading in model.readings:
        console.print(f"[dim]•[/] {escape(reading)}")


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", show_lines=False, expand=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _value(value: Any) -> str:
    if hasattr(value, "model_dump"):
        value = value.model_dump(by_alias=True, exclude_unset=True, exclude={"source", "code", "codes", "note"})
        if set(value) == {"value"}:
            value = value["value"]
    return readable(value)


def readable(value: Any) -> str:
    """A value of a rule file as lines: blocks as an author would read them aloud, anything else as it stands."""
    if isinstance(value, dict):
        if "first" in value:
            return "\n".join(f"{_line(line)}" for line in value["first"])
        if "each" in value:
            return "\n".join(_each(value))
        if "set" in value:
            members = value["set"].items() if isinstance(value["set"], dict) else [m for line in value["set"] for m in line.items()]
            return "\n".join(f"{name} if {_short(test)}" for name, test in members)
        if "passing" in value:
            return f"values of {value['passing']} with which nothing is denied"
        return "\n".join(f"{key}: {readable(v)}" for key, v in value.items())
    if isinstance(value, list):
        return ", ".join(readable(v) for v in value)
    return _short(value)


def _line(line: dict[str, Any]) -> str:
    codes = ", ".join([*([line["code"]] if line.get("code") else []), *line.get("codes", [])])
    told = f"  [{codes}]" if codes else ""
    return f"else {_short(line['else'])}{told}" if "else" in line else f"{_short(line['then'])} if {_short(line['when'])}{told}"


def _each(block: dict[str, Any]) -> list[str]:
    lines = [f"for each {block['each']}" + (f" where {block['where']}" if "where" in block else "")]
    if "order" in block:
        lines.append("in order of " + ", ".join(block["order"]))
    lines += [f"  {name} = {readable(v).replace(chr(10), '; ')}" for name, v in block.get("let", {}).items()]
    if "keep" in block:
        lines.append(f"keep if {block['keep']}")
    rows = [{"record": block["record"]}] if "record" in block else block.get("rows", [])
    for row in rows:
        fields = ", ".join(f"{name}: {_short(v)}" for name, v in row["record"].items())
        lines.append(f"give {fields}" + (f" if {row['when']}" if "when" in row else ""))
    return lines


def differences(found: dict[str, Any], cases: list[dict[str, Any]]) -> None:
    """What changed between two versions."""
    console.print(f"[bold]{found['policy']}[/] v{found['from']} → v{found['to']}")
    period = found["effective"]
    console.print(f"in force from {period['before']['from']} → {period['after']['from']}")
    for part in ("parameters", "facts", "formulas", "tables", "scales", "requirements", "transitions", "outputs", "texts"):
        if found[part]:
            console.print(f"\n[bold]{part}[/]")
            for change in found[part]:
                _change(change)
    if cases:
        console.print("\n[bold]cases[/]")
        for change in cases:
            console.print(f"  {_mark(change['change'])} {escape(change['name'])}")


def _mark(change: str) -> str:
    return {"added": "[green]+[/]", "removed": "[red]-[/]", "changed": "[yellow]~[/]"}[change]


def _change(change: dict[str, Any]) -> None:
    console.print(f"  {_mark(change['change'])} {escape(change['name'])}")
    before, after = change["before"], change["after"]
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys([*before, *after]):
            if before.get(key) != after.get(key):
                _both(key, before.get(key), after.get(key))
    elif change["change"] == "changed":
        _both("", before, after)
    else:
        console.print(f"[dim]{escape(_indented(readable(after if after is not None else before)))}[/]")


def _both(key: str, before: Any, after: Any) -> None:
    if key:
        console.print(f"      {key}")
    for mark, colour, value in (("-", "red", before), ("+", "green", after)):
        if value is not None:
            console.print(f"[{colour}]{escape(_indented(readable(value), mark))}[/]")


def _indented(text: str, mark: str = "") -> str:
    return "\n".join(f"        {mark} {line}".rstrip() for line in text.splitlines())
