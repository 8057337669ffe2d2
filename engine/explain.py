"""An answer in words: reasons in both languages with the facts that caused them, what is missing, and the receipt."""

from __future__ import annotations

import hashlib
import operator
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from engine import syntax as s
from engine.model import SourceRef, Texts, TypeSpec
from engine.plan import Plan, Rule
from engine.policy import Policy
from engine.result import Outputs, Result
from engine.types import DateTimeType, EnumType, ListType, RecordType, SetType, TextType, Type, plain, plainer
from engine.unknown import Unknown, unknown_parts

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_canonical = msgspec.json.Encoder(order="sorted", decimal_format="string")
MAX_SHOWN_ITEMS = 20
REMEMBERED_TEXTS = 256


class Words:
    """The texts of one policy, prepared once."""

    def __init__(self, policy: Policy, plan: Plan) -> None:
        self.policy = policy
        self.plan = plan
        self.outputs = Outputs(policy, plan)
        self.value_types: dict[str, Type] = {n: v.type for n, v in policy.values.items()} | self.outputs.types
        told = {r.code: (r.reason, r.remedy, r.source) for r in policy.requirements}
        if policy.machine is not None:
            told |= {t.code: (t.reason, t.remedy, t.source) for t in policy.machine.transitions}
        self.entries = [self._entry(i, r, told) for i, r in enumerate(plan.rules)]
        self.told_rules = [(i, e) for i, e in enumerate(self.entries) if e is not None]
        self.facts_in_order: Callable[[tuple[Any, ...]], Any] = _getter(sorted(range(len(policy.facts)), key=list(policy.facts).__getitem__))
        self.last_moment: tuple[datetime | None, str] = (None, "")
        self.base = {"policy": policy.id, "version": policy.version, "digest": policy.digest}

    def _entry(self, i: int, rule: Rule, told: dict[str, tuple[Texts | None, Texts | None, SourceRef]]) -> _Entry | None:
        if rule.effect not in ("deny", "review", "warn"):
            return None
        reason, remedy, source = told[rule.code]
        document = source.model_dump(exclude_none=True, exclude_defaults=True)
        if "document" not in document and self.policy.model.source.document:
            document = {"document": self.policy.model.source.document, **document}
        return _Entry(i, rule, reason, remedy, document, facts_read(rule.condition, self.plan, self.policy), self)

    def moment_text(self, moment: datetime) -> str:
        """The ISO text of an instant; the last one is kept, since callers ask many questions about the same day."""
        last = self.last_moment
        if last[0] is not moment:
            last = self.last_moment = (moment, moment.isoformat())
        return last[1]

    def getter(self, name: str) -> tuple[Callable[[Result], Any], Type, dict[str, str]]:
        """How a placeholder finds its value; its type; the Chinese names of its values."""
        if name.startswith("parameters."):
            parameter = self.policy.parameters[name.removeprefix("parameters.")]
            value = Unknown() if parameter.unset else parameter.value
            return (lambda result: value), parameter.type, _labels(self.policy, parameter.type)
        if name in self.policy.facts:
            fact, index = self.policy.facts[name], list(self.policy.facts).index(name)
            return (lambda result: result.slots[index]), fact.type, fact.values_zh or {}
        position, kind = self.outputs.position[name], self.value_types[name]
        return (lambda result: result.values[position]), kind, _labels(self.policy, kind)

    def answer(self, result: Result, overrides: Mapping[str, Any]) -> dict[str, Any]:
        """The answer, sealed with its receipt. `overrides`: the parameters that were changed for this question."""
        reasons: list[Any] = []
        warnings: list[Any] = []
        if True in result.rules:
            for i, entry in self.told_rules:
                if result.rules[i] == 1:
                    (warnings if entry.rule.effect == "warn" else reasons).append(entry.told(result))
        outputs, waiting = self.outputs.told(result)
        outcome = result.outcome
        if type(outcome) is Unknown:
            waiting.append(outcome)
            outcome = "undetermined"
        missing: list[str] = []
        unset: list[str] = []
        if waiting:
            missing = sorted({path for u in waiting for path in u.paths})
            unset = sorted({name for u in waiting for name in u.unset})
        return self.sealed(result, outcome, reasons, warnings, missing, outputs, unset, overrides)

    def sealed(
        self, result: Result, outcome: str, reasons: list[Any], warnings: list[Any], missing: list[str], outputs: dict[str, Any], unset: list[str],
        overrides: Mapping[str, Any],
    ) -> dict[str, Any]:  # fmt: skip
        """Put the answer together and seal it: SHA-256 over the digests of the rules used, the facts, as_of and the answer, as canonical JSON."""
        answer: dict[str, Any] = {
            **self.base,
            "as_of": self.moment_text(result.moment),
            "outcome": outcome,
            "reasons": reasons,
            "warnings": warnings,
            "missing": missing,
            "outputs": outputs,
        }
        if unset:
            answer["unset_parameters"] = unset
        if overrides:
            answer["parameters"] = overrides
        facts: Any = self.facts_in_order(result.slots)
        if not result.known:
            facts = [_without_unknowns(v) for v in facts]
        seal = hashlib.sha256(_canonical.encode((result.used, facts, answer)))
        answer["receipt"] = "sha256:" + seal.hexdigest()
        return answer


def _labels(policy: Policy, kind: Type) -> dict[str, str]:
    """The Chinese names of the values of a parameter or output: those that the facts of the policy give them."""
    if not isinstance(kind, (EnumType, SetType, TextType)):
        return {}
    specs: list[TypeSpec] = list(policy.model.facts.values())
    for spec in specs:  # grows by the fields of lists while it is read
        specs += (spec.fields or {}).values()
    return {value: zh for spec in specs for value, zh in (spec.values_zh or {}).items()}


class _Entry:
    """One rule that can stand among the reasons or warnings."""

    def __init__(self, index: int, rule: Rule, reason: Texts | None, remedy: Texts | None, source: dict[str, Any], facts: list[str], words: Words) -> None:
        self.index, self.rule, self.source = index, rule, source
        self.reason = None if reason is None else _Template(reason, words)
        self.remedy = None if remedy is None else _Template(remedy, words)
        positions = {n: i for i, n in enumerate(words.policy.facts)}
        self.facts = [(n, positions[n], _shower(words.policy.facts[n].type)) for n in facts]

    def told(self, result: Result) -> dict[str, Any]:
        return {
            "code": self.rule.code,
            "effect": self.rule.effect,
            "message": self.reason and self.reason.filled(result),
            "remedy": self.remedy and self.remedy.filled(result),
            "source": self.source,
            "facts": {n: v if show is None else show(v) for n, i, show in self.facts if type(v := result.slots[i]) is not Unknown},
        }


def _shower(t: Type) -> Callable[[Any], Any] | None:
    """How a reason shows a fact of this type; None: as it is. Of a list only the number of items is told."""
    if isinstance(t, ListType):
        return lambda value: None if value is None else f"{len(value)} item{'s' * (len(value) != 1)}"
    return plainer(t)


class _Template:
    """A text in both languages, cut at its placeholders once."""

    def __init__(self, texts: Texts, words: Words) -> None:
        self.fixed = {"en": texts.en, "zh": texts.zh}
        self.names = sorted({n for text in self.fixed.values() for n in _PLACEHOLDER.findall(text)})
        self.pieces = {language: _PLACEHOLDER.split(text) for language, text in self.fixed.items()}
        self.getters = [(n, *words.getter(n)) for n in self.names]
        self._filled: dict[tuple[Any, ...], dict[str, str]] = {}

    def filled(self, result: Result) -> dict[str, str]:
        """Both texts with the values in their places; texts filled before are remembered (bounded)."""
        if not self.names:
            return self.fixed
        key = tuple([get(result) for _, get, _, _ in self.getters])
        texts = self._filled.get(key)
        if texts is None:
            if len(self._filled) >= REMEMBERED_TEXTS:
                self._filled.clear()
            texts = self._filled[key] = self._fill(key)
        return texts

    def _fill(self, raw: tuple[Any, ...]) -> dict[str, str]:
        values = {n: _both(value, kind, labels) for value, (n, _, kind, labels) in zip(raw, self.getters, strict=True)}
        return {
            language: "".join([values[piece][i] if k % 2 else piece for k, piece in enumerate(self.pieces[language])])
            for i, language in enumerate(("en", "zh"))
        }


def _both(raw: Any, kind: Type, labels: dict[str, str]) -> tuple[str, str]:
    """A value in English and in Chinese."""
    if unknown_parts(raw) is not None:
        return "unknown", "未知"
    if raw is None:
        return "none", "无"
    if isinstance(raw, bool):
        return ("yes", "是") if raw else ("no", "否")
    if isinstance(kind, DateTimeType):
        text = raw.strftime("%Y-%m-%d %H:%M")
        return text, text
    shown = plain(raw, kind)
    if isinstance(kind, (SetType, ListType)):
        if isinstance(kind, ListType) and isinstance(kind.item, RecordType):
            return str(len(raw)), str(len(raw))
        items = [str(v) for v in shown[:MAX_SHOWN_ITEMS]]
        return ", ".join(items), "、".join([labels.get(v, v) for v in items])
    text = str(shown)
    return text, labels.get(text, text)


def _getter(order: list[int]) -> Callable[[tuple[Any, ...]], Any]:
    """The slots in the order of the fact names."""
    if len(order) == 1:
        return lambda slots: (slots[order[0]],)
    return operator.itemgetter(*order)


def _without_unknowns(value: Any) -> Any:
    """Canonical facts: what is unknown is marked as such, so that it is told from null."""
    if isinstance(value, tuple):
        return [_without_unknowns(v) for v in value]
    return {"unknown": True} if type(value) is Unknown else value


def facts_read(node: s.Node, plan: Plan, policy: Policy) -> list[str]:
    """The facts that a condition rests on, also through formulas and other rules, in the order of the rule file."""
    conditions = {r.code: r.condition for r in plan.rules}
    seen: set[s.Node] = set()
    found: set[str] = set()

    def visit(root: s.Node) -> None:
        if root in seen:
            return
        seen.add(root)
        for n in s.walk(root):
            if isinstance(n, s.Fact):
                found.add(n.name)
            elif isinstance(n, s.Formula) and n.name in plan.values:
                visit(plan.values[n.name])
            elif isinstance(n, s.Applies):
                visit(conditions[f"→{n.code}"])
            elif isinstance(n, s.Violated):
                visit(conditions[n.code])

    visit(node)
    return [name for name in policy.facts if name in found]
