"""Holding a file against its model: every key known, every value of its kind. Misfits are told in the words of docs/error-style.md."""

from __future__ import annotations

import re
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from engine.errors import Fault, RuleFileError, did_you_mean
from engine.model import CODE_PATTERN, NAME_PATTERN, PolicyModel
from engine.source import KeyPath, Source

M = TypeVar("M", bound=BaseModel)
_TAGS = {"text", "first", "set", "each", "passing", "full", "plain"}
_KINDS = {
    "string_type": "a text", "int_type": "a whole number", "bool_type": "true or false", "list_type": "a list", "dict_type": "keys and values",
    "model_type": "keys and values", "model_attributes_type": "keys and values",
}  # fmt: skip
_KEYS = [
    "code", "when", "require", "effect", "reason", "remedy", "source", "value", "type", "values", "nullable", "signed", "note", "zh", "unit",
    *PolicyModel.model_fields, "first", "set", "each", "where", "order", "let", "keep", "record", "rows", "passing", "from",
]  # fmt: skip


def shape(source: Source, model: type[M]) -> M:
    """Hold a file against its pydantic model; every misfit becomes a fault with its place."""
    try:
        return model.model_validate(source.data)
    except ValidationError as error:
        raise RuleFileError(_faults(source, error.errors())) from None


def _faults(source: Source, errors: list[Any]) -> list[Fault]:
    """One fault for each place, though a value that may be of several kinds is refused once for each of them."""
    found: list[Fault] = []
    unfit: dict[KeyPath, list[Any]] = {}
    told: list[KeyPath] = []
    for error in errors:
        path = _path(source, error["loc"])
        if error["type"] in _KINDS or error["type"] == "literal_error":
            unfit.setdefault(path, []).append(error)
        else:
            found.append(_fault(source, path, error))
            told += [path] if error["type"] == "too_short" else []
    for path, group in unfit.items():
        if path not in told and not any(len(other) > len(path) and other[: len(path)] == path for other in unfit):
            found.append(_unfit(source, path, group))
    return found


def _path(source: Source, loc: tuple[str | int, ...]) -> KeyPath:
    """The path in the file of a path in the models: without the names of their variants."""
    path: KeyPath = tuple(p for p in loc if p != "[key]")
    while path and path not in source.places and path not in source.key_places:
        shorter = tuple(p for p in path if p not in _TAGS)
        path = shorter if shorter != path and (shorter in source.places or len(shorter) < len(path)) else path[:-1]
    return path


def _unfit(source: Source, path: KeyPath, group: list[Any]) -> Fault:
    """A value that is of no kind that may stand there."""
    value = group[0]["input"]
    expected = " ".join(error["ctx"]["expected"] for error in group if error["type"] == "literal_error")
    choices = list(dict.fromkeys(re.findall(r"'([^']*)'", expected)))
    kinds = list(dict.fromkeys(_KINDS[e["type"]] for e in group if e["type"] in _KINDS))
    place = source.place(path)
    if len(choices) > 1 and not isinstance(value, (list, dict, type(None))):
        return Fault(place, f"{shown(value)} is not one of " + ", ".join(f"`{c}`" for c in choices), did_you_mean(str(value), choices))
    if "a text" in kinds:
        kinds = ["a text"]
    wanted = [*kinds, *(["one of " + ", ".join(f"`{c}`" for c in choices)] if len(choices) > 1 else [f"`{c}`" for c in choices])]
    help = None if path else "`policy new` writes a first version"
    return Fault(place, f"expected {' or '.join(wanted)}, got {shown(value)}", help)


def _fault(source: Source, path: KeyPath, error: Any) -> Fault:
    kind, loc, value = error["type"], error["loc"], error.get("input")
    context = error.get("ctx", {})
    place = source.place(path, key="[key]" in loc[-1:])
    if kind == "extra_forbidden":
        help = "docs/authoring.md lists the keys of each part"
        if loc[-1] not in _KEYS:
            help = did_you_mean(str(loc[-1]), _KEYS, help) or help
        return Fault(source.place(path, key=True), f"unknown key `{loc[-1]}`", help)
    if kind == "missing":
        return Fault(place, f"the key `{loc[-1]}` is missing", "add it; docs/authoring.md shows each part")
    if kind == "string_pattern_mismatch":
        if context["pattern"] == CODE_PATTERN:
            return Fault(place, f"`{value}` is no code", "lower case letters and digits, joined by single hyphens: `amount-too-high`")
        dots = ", its parts joined by dots: `customer.level`" if context["pattern"] == NAME_PATTERN else ": `total_amount`"
        return Fault(place, f"`{value}` is no name", f"lower case letters, digits and underscores, a letter first{dots}")
    if kind == "string_too_short":
        return Fault(place, "the text is empty")
    if kind == "string_too_long":
        return Fault(place, f"more than {context['max_length']} characters")
    if kind == "greater_than_equal":
        return Fault(place, f"expected at least {context['ge']}, got {shown(value)}")
    if kind == "less_than_equal":
        return Fault(place, f"expected at most {context['le']}, got {shown(value)}")
    if kind == "too_short":
        return Fault(place, "nothing stands here, at least one is expected")
    if kind == "too_long":
        return Fault(place, f"expected at most {context['max_length']}, got {context['actual_length']}")
    return Fault(place, error["msg"][0].lower() + error["msg"][1:])


def shown(value: Any) -> str:
    """A value of a file, in a message."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "`true`" if value else "`false`"
    if isinstance(value, dict):
        return "keys and values"
    return "a list" if isinstance(value, list) else f"`{str(value)[:60]}`"
