"""The semantic difference of two versions as a person reads it: each region with its conditions, both answers, a case, and what falls in it."""

from __future__ import annotations

import json
import re
from typing import Any

from rich.markup import escape

from cli.paint import COLOURS, console
from engine.cases import flat

STATUS = {
    "equivalent": {
        "en": "equivalent (proved): the same outcome, reasons, warnings and outputs whatever the facts are",
        "zh": "等价（已证明）：无论事实如何，结论、原因、提醒与输出都相同",
    },
    "different": {"en": "different in {n}; outside, both give the same answer (proved)", "zh": "{n}内不同；除此之外两者答案相同（已证明）"},
    "structure": {"en": "the same answer wherever both versions take the facts (proved)", "zh": "凡两个版本都接受的事实，答案均相同（已证明）"},
    "undecided": {"en": "{reason}; a difference {elsewhere} is not excluded", "zh": "{reason}；不排除{elsewhere}还有差异"},
}
ELSEWHERE = {"en": ("somewhere", "outside the regions below"), "zh": ("", "以下区域之外")}
#: Parts of reasons, which are told in English.
REASONS = (
    (re.compile(r"^undecided within ([0-9.e-]+) s"), r"在 \1 秒内未能判定"),
    (re.compile(r"^undecided"), "未能判定"),
    (re.compile(r"^a difference outside the regions is possible"), "区域之外可能还有差异"),
    (re.compile(r"parts left free"), "未限定的部分"),
)
WORDS = {
    "where": {"en": "where", "zh": "当"},
    "and": {"en": "and", "zh": "且"},
    "or": {"en": "or where", "zh": "或当"},
    "partly": {"en": " (in a part of it)", "zh": "（部分情形）"},
    "assumed": {"en": "looked at: ", "zh": "考察范围："},
    "example": {"en": "for example", "zh": "例如"},
    "no example": {"en": "no example that the engine confirms was found", "zh": "未找到经引擎确认的例子"},
}
CHANGES = {
    ("reason", "gained"): {"en": "{name} fires in {after} only", "zh": "仅 {after} 触发 {name}"},
    ("reason", "lost"): {"en": "{name} fires in {before} only", "zh": "仅 {before} 触发 {name}"},
    ("reason", "changed"): {"en": "{name} has another effect", "zh": "{name} 的效力不同"},
    ("output", "changed"): {"en": "{name} is another value", "zh": "{name} 的值不同"},
}


def show(found: dict[str, Any], languages: tuple[str, ...]) -> None:
    """`found` as Difference.as_json gives it; with `population` as weighing gives it, if there is one."""
    before, after = (found[side].rpartition(" ")[2] for side in ("before", "after"))
    labels = {"before": before, "after": after} if before != after else {"before": "before", "after": "after"}
    console.print(f"[bold]{escape(found['before'])} → {escape(after)}[/]")
    for language in languages:
        console.print(_status(found, language), soft_wrap=True)
        for said in found["structure"]:
            console.print(f"  [cyan]![/] {escape(said[language])}", soft_wrap=True)
        scope = ("; " if language == "en" else "；").join(said[language] for said in found["assumed"])
        console.print(f"[dim]{WORDS['assumed'][language]}{escape(scope)}[/]", soft_wrap=True)
    for i, region in enumerate(found["regions"]):
        console.print()
        for language in languages:
            _conditions(i + 1, region["conditions"][language], language)
        for language in languages if any(c["kind"] != "outcome" for c in region["changes"]) else ():
            console.print("   " + escape(_changes(region, labels, language)), soft_wrap=True)
        _outcomes(region)
        _example(region["example"], labels, languages[0])
        if "population" in found:
            _weight(found["population"]["regions"][i], languages)
    if "population" in found:
        _population(found["population"], languages)


def _status(found: dict[str, Any], language: str) -> str:
    count = len(found["regions"])
    key = "structure" if found["status"] == "different" and not count else found["status"]
    regions = f"{count} region" + ("s" if count > 1 else "") if language == "en" else f"在 {count} 个区域"
    colour = {"equivalent": "green", "structure": "green", "undecided": "magenta"}.get(key, "yellow")
    said = STATUS[key][language].format(n=regions, reason=_reason(found["reason"] or "", language), elsewhere=ELSEWHERE[language][count > 0])
    return f"[{colour}]{escape(said)}[/]"


def _reason(reason: str, language: str) -> str:
    said = reason if reason.startswith("undecided") else f"undecided: {reason}"
    if language == "zh":
        said = reason
        for pattern, text in REASONS:
            said = pattern.sub(text, said)
    return said


def _conditions(number: int, cubes: list[list[str]], language: str) -> None:
    lead = f"{number}. {WORDS['where'][language]}"
    for i, cube in enumerate(cubes):
        head = lead if i == 0 else f"   {WORDS['or'][language]}"
        for j, condition in enumerate(cube or ["…"]):
            console.print(f"[bold]{head if j == 0 else '      ' + WORDS['and'][language]}[/] {escape(condition)}", soft_wrap=True)


def _changes(region: dict[str, Any], labels: dict[str, str], language: str) -> str:
    said = []
    for change in region["changes"]:
        if change["kind"] != "outcome":
            kind = "output" if change["kind"] == "output" else "reason"
            text = CHANGES[(kind, change["how"])][language].format(name=change["name"], **labels)
            said.append(text + ("" if change["always"] else WORDS["partly"][language]))
    return ("; " if language == "en" else "；").join(said)


def _outcomes(region: dict[str, Any]) -> None:
    shown = [" → ".join(f"[{COLOURS.get(o[side], 'red')}]{o[side]}[/]" for side in ("before", "after")) for o in region["outcomes"]]
    console.print(f"   {', '.join(shown)}", soft_wrap=True)


def _example(example: dict[str, Any] | None, labels: dict[str, str], language: str) -> None:
    if example is None:
        console.print(f"   [dim]{WORDS['no example'][language]}[/]")
        return
    facts = ", ".join(f"{name} = {short(value)}" for name, value in flat(example["facts"]).items())
    console.print(f"   [dim]{WORDS['example'][language]} (as of {example['as_of'][:10]}) {escape(facts)}[/]", soft_wrap=True)
    for side, other in (("before", "after"), ("after", "before")):
        said = example[side]
        codes = ", ".join([*said["reasons"], *said["warnings"]])
        outputs = {n: v for n, v in said["outputs"].items() if example[other]["outputs"].get(n) != v}
        parts = [*([f"({codes})"] if codes else []), *(f"{n} = {short(v)}" for n, v in outputs.items())]
        colour = COLOURS.get(said["outcome"], "red")
        console.print(f"     {labels[side]}: [{colour}]{said['outcome']}[/] {escape(' '.join(parts))}".rstrip(), soft_wrap=True)


def short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# -- a population --------------------------------------------------------------------------------------------------------------------------


def _weight(region: dict[str, Any], languages: tuple[str, ...]) -> None:
    """How many of the cases and how much of the money falls in a region."""
    for language in languages:
        cases = f"{region['cases']:,} 例" if language == "zh" else f"{region['cases']:,} case" + ("" if region["cases"] == 1 else "s")
        console.print(f"   [cyan]{cases}[/]{_money(region['money'], language)}", soft_wrap=True)


def _money(money: dict[str, Any], language: str) -> str:
    said = "".join(f", {name} {amount['before']} → {amount['after']} ({amount['change']})" for name, amount in money.items() if amount["cases"])
    return escape(said if language == "en" else said.replace(", ", "，"))


def _population(population: dict[str, Any], languages: tuple[str, ...]) -> None:
    rows, changed, looked, outside = (population[k] for k in ("rows", "changed", "looked_at", "outside"))
    console.print()
    for language in languages:
        if language == "en":
            text = f"population: {rows:,} cases, {changed:,} answered differently"
            text += f"; a sample of {looked:,} of them was placed in the regions" if looked < changed else ""
            text += f"; {outside['unknown']:,} with facts left out: the statement is about known facts" if outside["unknown"] else ""
            text += f"; {outside['longer']:,} with lists longer than those looked at" if outside["longer"] else ""
            text += f"; {outside['elsewhere']:,} in no region" if outside["elsewhere"] else ""
        else:
            text = f"案例集：{rows:,} 例，其中 {changed:,} 例答案不同"
            text += f"；对其中 {looked:,} 例抽样归入各区域" if looked < changed else ""
            text += f"；{outside['unknown']:,} 例缺少事实（结论只针对事实已知的情形）" if outside["unknown"] else ""
            text += f"；{outside['longer']:,} 例的列表超出考察长度" if outside["longer"] else ""
            text += f"；{outside['elsewhere']:,} 例不在任何区域" if outside["elsewhere"] else ""
        console.print(text, soft_wrap=True)
