"""The names, codes and placeholders of a rule file: each stands once, can be written, and means something."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Iterator

from engine.errors import Fault, Place, did_you_mean
from engine.model import PolicyModel, Texts, TypeSpec
from engine.source import KeyPath, Source

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
#: Heads of dotted names that an expression reads as something else, and whole names that it does.
_HEADS = {*keyword.kwlist, "parameters", "tables", "scales"}
_WORDS = {"true", "false", "null", "as_of", "outcome"}
_MACHINE_WORDS = {"transition", "next_state", "open_events"}


def reserved(name: str, machine: bool = False) -> str | None:
    """The word of the rule language that hides this name, or None."""
    head = name.split(".", maxsplit=1)[0]
    if head in _HEADS:
        return head
    return name if name in _WORDS or (machine and name in _MACHINE_WORDS) else None


def name_faults(model: PolicyModel, source: Source) -> list[Fault]:
    """Names that hide each other, and codes that stand twice."""
    return [*_words(model, source), *_below(model, source), *_twice(model, source), *_codes(model, source)]


def _words(model: PolicyModel, source: Source) -> Iterator[Fault]:
    given: dict[str, list[str]] = {"facts": [*model.facts], "formulas": [*model.formulas], "outputs": [*model.outputs]}
    for part, names in given.items():
        for name in names:
            word = reserved(name, machine=model.machine is not None and part != "outputs")
            if word is not None:
                yield Fault(source.place((part, name), key=True), f"`{word}` is a word of the rule language", "rename it")
    for table, raw in model.tables.items():
        for name in raw.inputs:
            if keyword.iskeyword(name):
                yield Fault(source.place(("tables", table, "inputs", name), key=True), f"`{name}` is a word of the rule language", "rename it")


def _below(model: PolicyModel, source: Source) -> Iterator[Fault]:
    """A name below another: in JSON one would be both a value and an object."""
    yield from _below_among(model.facts, ("facts",), "fact", source)
    yield from _below_among(model.outputs, ("outputs",), "output", source)
    for part, specs in (("facts", model.facts), ("outputs", model.outputs)):
        for name, spec in specs.items():
            yield from _fields_below(spec, (part, name), source)


def _fields_below(spec: TypeSpec, path: KeyPath, source: Source) -> Iterator[Fault]:
    inner = (*path, "fields")
    yield from _below_among(spec.fields or {}, inner, "field", source)
    for name, below in (spec.fields or {}).items():
        yield from _fields_below(below, (*inner, name), source)


def _below_among(names: Iterable[str], path: KeyPath, what: str, source: Source) -> Iterator[Fault]:
    known = set(names)
    for name in names:
        parts = name.split(".")
        above = next((a for i in range(1, len(parts)) if (a := ".".join(parts[:i])) in known), None)
        if above is not None:
            yield Fault(source.place((*path, name), key=True), f"`{name}` stands below the {what} `{above}`", "rename one of them")


def _twice(model: PolicyModel, source: Source) -> Iterator[Fault]:
    for name in model.formulas:
        if name in model.facts or name in model.outputs:
            what = "fact" if name in model.facts else "output"
            yield Fault(source.place(("formulas", name), key=True), f"`{name}` is also a {what}", "rename one of them")
    for name in model.outputs:
        if name in model.facts:
            yield Fault(source.place(("outputs", name), key=True), f"`{name}` is also a fact", "rename one of them")


def _codes(model: PolicyModel, source: Source) -> Iterator[Fault]:
    seen: dict[str, Place] = {}
    paths: list[tuple[str, KeyPath]] = [(r.code, ("requirements", i, "code")) for i, r in enumerate(model.requirements)]
    if model.machine:
        paths += [(t.code, ("machine", "transitions", i, "code")) for i, t in enumerate(model.machine.transitions)]
    for code, path in paths:
        if code in seen:
            yield Fault(source.place(path), f"the code `{code}` stands twice", f"the first one is on line {seen[code].line}")
        seen.setdefault(code, source.place(path))


def text_faults(model: PolicyModel, known: list[str], source: Source) -> Iterator[Fault]:
    """Both languages hold the same placeholders, and each names something that there is."""
    items: list[tuple[KeyPath, Texts | None, Texts | None]] = [(("requirements", i), r.reason, r.remedy) for i, r in enumerate(model.requirements)]
    if model.machine:
        items += [(("machine", "transitions", i), t.reason, t.remedy) for i, t in enumerate(model.machine.transitions)]
    for path, reason, remedy in items:
        for key, text in (("reason", reason), ("remedy", remedy)):
            if text is not None:
                yield from _text(text, source.place((*path, key)), known)


def _text(text: Texts, place: Place, known: list[str]) -> Iterator[Fault]:
    en, zh = set(_PLACEHOLDER.findall(text.en)), set(_PLACEHOLDER.findall(text.zh))
    if en != zh:
        odd = ", ".join(f"{{{o}}}" for o in sorted(en ^ zh))
        yield Fault(place, f"the languages have different placeholders: {odd}", "use the same ones in en and zh")
    for name in sorted(en | zh):
        if name not in known:
            yield Fault(place, f"unknown placeholder `{{{name}}}`", did_you_mean(name, known, "facts, formulas, outputs and parameters.… can stand there"))
