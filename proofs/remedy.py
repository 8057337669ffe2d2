"""The smallest change that passes: for a case that is not allowed, the cheapest sets of changes a partner can bring about that make it allowed.

Each set is confirmed by the engine. Where there is none, the rules that stand in the way are named.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from engine.cases import flat
from engine.decide import Program, Resolver
from engine.errors import EvaluationError
from engine.model import Texts
from engine.types import decimal_text, nested
from proofs.advice import LANGUAGES, listed, sentence
from proofs.completing import completed
from proofs.folding import Truth, and_, is_term, lifted, not_
from proofs.influence import Influence
from proofs.least import least, settled
from proofs.levers import Case, Lever, spoken
from proofs.solver import Asker
from proofs.terms import falsity
from proofs.tiers import Gain, gains
from proofs.witness import Point

DEFAULT_LIMIT, MAX_LIMIT = 3, 10
PASSES, POSSIBLE, IMPOSSIBLE, UNDECIDED = "passes", "possible", "impossible", "undecided"


@dataclass(frozen=True, slots=True)
class Step:
    """One change of a set: of a fact, or of the day (`as_of`). `kind`: change, state (the request left the fact out) or wait."""

    kind: str
    path: str
    says: Texts

    def as_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "fact": self.path, "says": self.says.model_dump()}


@dataclass(frozen=True, slots=True)
class Remedy:
    """One set of changes. `facts` by dotted name as JSON data: what the request must say now; `as_of` when it passes. `days`: the longest lead time."""

    steps: tuple[Step, ...]
    facts: dict[str, Any]
    as_of: datetime
    waits: bool
    cost: Fraction
    days: int
    says: Texts
    warnings: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "says": self.says.model_dump(), "steps": [s.as_json() for s in self.steps], "facts": nested(self.facts.items()), "as_of": self.as_of.isoformat(),
            "waits_until": self.as_of.date().isoformat() if self.waits else None, "cost": _cost_text(self.cost), "days": self.days,
            "warnings": list(self.warnings),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A rule that nothing within the partner's influence gets out of the way."""

    code: str
    says: Texts

    def as_json(self) -> dict[str, Any]:
        return {"code": self.code, "says": self.says.model_dump()}


@dataclass(frozen=True, slots=True)
class Remedies:
    """`status`: passes (nothing to do), possible, impossible (proved), undecided (`reason`). `complete`: there are no further alternatives.

    `cheapest`: the first alternative is proved to be the cheapest. `gains`: how far the next tiers of amounts are, and what they are worth.
    """

    policy: str
    version: int
    digest: str
    as_of: datetime
    outcome: str
    status: str
    alternatives: tuple[Remedy, ...]
    complete: bool
    cheapest: bool
    obstacles: tuple[Obstacle, ...]
    gains: tuple[Gain, ...]
    says: Texts
    reason: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "policy": self.policy, "version": self.version, "digest": self.digest, "as_of": self.as_of.isoformat(), "outcome": self.outcome,
            "status": self.status, "says": self.says.model_dump(), "alternatives": [a.as_json() for a in self.alternatives], "complete": self.complete,
            "cheapest": self.cheapest, "obstacles": [o.as_json() for o in self.obstacles], "gains": [g.as_json() for g in self.gains], "reason": self.reason,
        }  # fmt: skip


def remedy(
    program: Program, facts: dict[str, Any], as_of: datetime, influence: Influence, limit: int = DEFAULT_LIMIT,
    seconds: float = 5.0, resolve: Resolver | None = None,
) -> Remedies:  # fmt: skip
    """What makes this case pass. `seconds` limits the whole. Raises FactsError, EvaluationError as a check does."""
    return _Search(program, facts, as_of, influence, min(limit, MAX_LIMIT), seconds, resolve).result()


class _Search:
    def __init__(
        self, program: Program, facts: dict[str, Any], as_of: datetime, influence: Influence, limit: int, seconds: float, resolve: Resolver | None
    ) -> None:  # fmt: skip
        self.program, self.resolve = program, resolve
        self.raw, self.as_of, self.limit, self.seconds = flat(facts), as_of, limit, seconds
        self.deadline = time.monotonic() + seconds
        self.answer = program.check(self.raw, as_of, resolve)
        slots, _, _ = program.slots(self.raw, as_of, resolve)
        self.case = Case(program, slots, as_of, influence)
        self.known = completed(program, self.raw, as_of, resolve)
        self.cost = self.case.cost()
        self.asker = Asker([self.case], seconds)
        self.allowed = self.case.is_outcome("allowed")
        self.blocked: list[Truth] = []
        self.unsure: str | None = None
        self.unconfirmed = 0

    def left(self) -> float:
        return self.deadline - time.monotonic()

    def result(self) -> Remedies:
        if self.answer["outcome"] == "allowed":
            return self._remedies(PASSES, (), True, True)
        found: list[Remedy] = []
        sets: list[set[int]] = []
        done, cheapest = False, True
        while len(found) < self.limit:
            status, point, sure = self._cheapest()
            if status == IMPOSSIBLE:
                done = True
                break
            if point is None:
                break
            pulled = [lever for lever in self.case.levers if point.holds(lever.pulled)]
            self.blocked.append(not_(and_(*(lever.pulled for lever in pulled))))
            one = self._confirmed(point, pulled)
            if one is None:
                self.unconfirmed += 1
                if self.unconfirmed > MAX_LIMIT:
                    break
                continue
            cheapest &= (sure and not self.unconfirmed) or bool(found)
            levers = {i for i, lever in enumerate(self.case.levers) if point.holds(lever.pulled)}
            if not any(levers < other for other in sets):
                found.append(one)
                sets.append(levers)
        if found:
            return self._remedies(POSSIBLE, tuple(found), done and not self.unconfirmed, cheapest)
        lists = sorted(self.case.bounded(self.allowed))
        if done and lists:  # a list that the request leaves out may be longer than those looked at
            self.unsure = f"only lists of at most {self.case.world.items} items were looked at: {', '.join(lists)}"
        elif done and not self.unconfirmed:
            return self._remedies(IMPOSSIBLE, (), True, True)
        return self._remedies(UNDECIDED, (), False, False)

    # -- one set of changes --------------------------------------------------------------------------------------------------------

    def _cheapest(self) -> tuple[str, Point | None, bool]:
        """The cheapest way that is not blocked; whether it is proved to be that."""
        conditions = [self.allowed, *self.blocked]
        found = least(self.asker, conditions, self.cost, self.deadline)
        if found.point is None:
            self.unsure = found.reason or self.unsure
            return IMPOSSIBLE if found.proved else UNDECIDED, None, found.proved
        if not found.proved:
            self.unsure = found.reason or f"undecided within {self.seconds:g} s"
            return POSSIBLE, found.point, False
        one = settled(self.asker, [*conditions, self.cost <= lifted(found.cost)], [lever.pulled for lever in self.case.levers], self.deadline)
        return POSSIBLE, one or found.point, True

    def _confirmed(self, point: Point, pulled: list[Lever]) -> Remedy | None:
        """The changes of a point, if the engine allows the case with them."""
        delta, moment = self.case.changed(point), self.case.moment(point)
        answers = []
        try:
            answers.append(self.program.check(self.known | delta, moment))
            if self.resolve is not None:
                answers.append(self.program.check(self.raw | delta, moment, self.resolve))
        except EvaluationError:
            return None
        if any(a["outcome"] != "allowed" for a in answers):
            return None
        order = {"change": 0, "wait": 1, "state": 2}
        pulled = sorted(pulled, key=lambda lever: order[lever.kind])
        words = spoken(pulled, point)
        steps = tuple(Step(lever.kind, lever.path, Texts(en=words["en"][i], zh=words["zh"][i])) for i, lever in enumerate(pulled))
        cost = sum((Fraction(point.value(lever.cost)) for lever in pulled if lever.kind != "state"), Fraction(0))
        days = max((lever.days for lever in pulled), default=0)
        warnings = tuple(w["code"] for w in answers[-1]["warnings"])
        return Remedy(steps, delta, moment, any(lever.kind == "wait" for lever in pulled), cost, days, _advice(steps, days), warnings)

    # -- why there is none ---------------------------------------------------------------------------------------------------------

    def _obstacles(self) -> tuple[Obstacle, ...]:
        """A small set of rules that cannot all be got out of the way."""
        rules = [r for r in self.case.rules.values() if r.effect in ("deny", "review", "undetermined")]
        clear = [falsity(self.case.fired(r.code)) for r in rules]
        always = [r.code for r, c in zip(rules, clear, strict=True) if c is False]
        if always:
            return tuple(self._obstacle(c) for c in always)
        held = [(r, c) for r, c in zip(rules, clear, strict=True) if is_term(c)]
        core = self.asker.core([c for _, c in held], seconds=max(0.05, self.left()))
        if core:
            return tuple(self._obstacle(held[i][0].code) for i in core)
        return tuple(self._obstacle(r["code"]) for r in self.answer["reasons"])

    def _obstacle(self, code: str) -> Obstacle:
        for reason in self.answer["reasons"]:
            if reason["code"] == code and reason["message"]:
                return Obstacle(code, Texts(**reason["message"]))
        reason = next((r.reason for r in self.program.policy.requirements if r.code == code and r.reason is not None), None)
        if reason is not None and "{" not in reason.en + reason.zh:
            return Obstacle(code, reason)
        unset = ", ".join(f"`{p}`" for p in self.answer.get("unset_parameters", ()))
        why = (f" ({unset} is not set)", f"（参数 {unset} 尚未设定）") if unset and is_unset(self.case, code) else ("", "")
        return Obstacle(code, Texts(en=f"The rule {code} would stand in the way{why[0]}.", zh=f"规则 {code} 仍会阻止{why[1]}。"))

    # -- the result ----------------------------------------------------------------------------------------------------------------

    def _remedies(self, status: str, found: tuple[Remedy, ...], complete: bool, cheapest: bool) -> Remedies:
        policy = self.program.policy
        obstacles = self._obstacles() if status == IMPOSSIBLE else ()
        more = gains(self.program, self.known, self.as_of, self.case.influence, max(0.5, self.left())) if status in (PASSES, POSSIBLE) else ()
        reason = self.unsure or ("the engine does not confirm what the solver found" if self.unconfirmed else None)
        reason = reason if status == UNDECIDED or not cheapest else None
        return Remedies(
            policy.id, policy.version, policy.digest, self.as_of, self.answer["outcome"], status, found, complete, cheapest, obstacles, more,
            _summary(status, found, obstacles, cheapest, self.seconds), reason,
        )  # fmt: skip


def is_unset(case: Case, code: str) -> bool:
    return case.fired(code).waits.unset is not False


def _advice(steps: tuple[Step, ...], days: int) -> Texts:
    """A set of changes as advice."""
    said = {}
    for language in LANGUAGES:
        do = [getattr(s.says, language) for s in steps if s.kind != "state"]
        given = [getattr(s.says, language) for s in steps if s.kind == "state"]
        parts = [listed(do, language)] if do else []
        if given:
            start = "with these facts: " if language == "en" else "须符合以下情况："
            whole = ("it passes" if language == "en" else "可以通过") if not do else ""
            parts = [p for p in [*parts, whole] if p]
            parts = [(", " if language == "en" else "，").join([*parts, start + ("; " if language == "en" else "；").join(given)])]
        text = sentence(parts, language)
        if days:
            unit = "day" if days == 1 else "days"
            text += f" This takes about {days} {unit}." if language == "en" else f"约需 {days} 天。"
        said[language] = text
    return Texts(**said)


def _summary(status: str, found: tuple[Remedy, ...], obstacles: tuple[Obstacle, ...], cheapest: bool, seconds: float) -> Texts:
    if status == PASSES:
        return Texts(en="It passes as it is.", zh="按现状即可通过。")
    if status == POSSIBLE:
        en, zh = found[0].says.en, found[0].says.zh
        if not cheapest:
            return Texts(en=f"{en} Whether there is a cheaper way is undecided within {seconds:g} s.", zh=f"{zh}是否有更省的办法，{seconds:g} 秒内未能判定。")
        return Texts(en=en, zh=zh)
    if status == IMPOSSIBLE:
        en, zh = (" ".join(getattr(o.says, language) for o in obstacles) for language in LANGUAGES)
        return Texts(en=f"It cannot be made to pass by anything the partner can influence. {en}".strip(), zh=f"凭伙伴自己能改变的事项无法通过。{zh}")
    return Texts(en=f"Whether it can be made to pass is undecided within {seconds:g} s.", zh=f"能否通过，{seconds:g} 秒内未能判定。")


def _cost_text(cost: Fraction) -> str:
    """Up to 3 decimals."""
    thousandths = round(cost * 1000)
    return decimal_text(Decimal(thousandths).scaleb(-3), None)
