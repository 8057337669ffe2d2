"""Facts, amounts and changes in words, in English and Chinese."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from engine.model import TypeSpec
from engine.policy import Policy
from engine.types import BoolType, EnumType, ListType, NumberType, SetType, Type, decimal_text

LANGUAGES = ("en", "zh")
_UNITS = {"en": {"CNY": "CNY"}, "zh": {"CNY": "元", "days": "天", "minutes": "分钟"}}


def spec_of(policy: Policy, path: str) -> TypeSpec | None:
    """What the rule file says of a fact, of a field of the items of a list (`items[].amount`), or of an output."""
    name, _, rest = re.sub(r"\[\d*\]", "[]", path).partition("[].")
    spec: TypeSpec | None = policy.model.facts.get(name) or policy.model.outputs.get(name)
    return spec if not rest or spec is None else (spec.fields or {}).get(rest)


def label(policy: Policy, path: str, language: str) -> str:
    """A fact or output as a person would name it: its Chinese name where the rule file has one, else its name in words."""
    spec = spec_of(policy, path)
    if language == "zh" and spec is not None and spec.zh:
        return spec.zh
    plain = re.sub(r"\[\d*\]", "", path)
    words = plain.replace("_", " ").replace(".", " ")
    return words if language == "en" else f"「{words}」"


def amount_text(policy: Policy, path: str, value: Decimal | int, language: str) -> str:
    """A number of a fact or output with its unit."""
    spec = spec_of(policy, path)
    if spec is None:
        return number_text(Decimal(value), None, None, language)
    places = 2 if spec.type == "money" else 0 if spec.type == "integer" else spec.places
    unit = spec.unit or ("CNY" if spec.type == "money" else None)
    return number_text(Decimal(value), places, unit, language)


def number_text(value: Decimal, places: int | None, unit: str | None, language: str) -> str:
    digits = decimal_text(value, places)
    whole, dot, rest = digits.partition(".")
    shown = f"{int(whole):,}{dot}{rest}" if whole not in ("-0",) else digits
    return f"{shown} {_UNITS[language].get(unit, unit)}" if unit else shown


def value_text(policy: Policy, path: str, value: Any, t: Type, language: str) -> str:
    """A typed value of a fact."""
    if value is None:
        return "nothing" if language == "en" else "空"
    if isinstance(t, BoolType):
        return {"en": ("no", "yes"), "zh": ("否", "是")}[language][value]
    if isinstance(t, NumberType):
        return amount_text(policy, path, value, language)
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(t, SetType):
        parts = [_coded(policy, path, v, language) for v in value]
        return ", ".join(parts) if language == "en" else "、".join(parts)
    if isinstance(t, EnumType):
        return _coded(policy, path, value, language)
    if isinstance(t, ListType):
        n = len(value)
        return (f"{n} item" if n == 1 else f"{n} items") if language == "en" else f"{n} 项"
    return f"“{value}”"


def stated_text(policy: Policy, path: str, name: str, value: Any, t: Type, language: str) -> str:
    """What a fact must be, as a clause: `the arrears are 0.00 CNY` has to agree in number, so it is told with a colon."""
    if value is None or value == ():
        return f"{name}: none" if language == "en" else f"{name}：无"
    shown = value_text(policy, path, value, t, language)
    return f"{name}: {shown}" if language == "en" else f"{name}：{shown}"


def _coded(policy: Policy, path: str, value: str, language: str) -> str:
    spec = spec_of(policy, path)
    if language == "zh" and spec is not None and spec.values_zh and value in spec.values_zh:
        return spec.values_zh[value]
    return value.replace("_", " ")


def filled(text: str, values: dict[str, str]) -> str:
    """A phrase with its placeholders."""
    return re.sub(r"\{(\w+)\}", lambda m: values.get(m.group(1), m.group()), text)


def listed(phrases: Sequence[str], language: str) -> str:
    """Phrases as one: a, b and c."""
    if language == "zh":
        return "；".join(phrases)
    return phrases[0] if len(phrases) == 1 else ", ".join(phrases[:-1]) + " and " + phrases[-1]


def sentence(parts: Iterable[str], language: str) -> str:
    """Parts of a sentence, closed."""
    text = (", " if language == "en" else "，").join(p for p in parts if p)
    if language == "zh":
        return text.rstrip("。") + "。"
    return text[:1].upper() + text[1:].rstrip(".") + "."
