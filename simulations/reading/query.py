"""The population reading: one or more versions of a policy as one query over a table of cases (simulations/population/columns.py says what such a table is).

    table = ibis.table(schema, name="population")
    answers = read(table, {"base": v3, "new": v4}, profile, as_of)

adds for each version `base:outcome`, `base:error`, `base:rule:<code>` and `base:out:<output>`. What versions have in common is computed once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import ibis
import ibis.expr.types as ir

from engine import syntax as s
from engine.errors import PolicyError
from engine.plan import Rule, rules_of
from engine.policy import Policy
from engine.types import DATETIME
from simulations.population import columns
from simulations.population.columns import Profile
from simulations.reading.arrays import bits_in, mapped_array, row_bind, some, struct
from simulations.reading.dates import CALENDAR_SCHEMA, CALENDAR_TABLE, Dates
from simulations.reading.facts import Facts, Periods, Uses
from simulations.reading.items import item_of
from simulations.reading.lowered import (
    ANY_ERROR,
    ERROR_BIT,
    PATHS,
    Flag,
    Lowered,
    NotLowered,
    Shape,
    choose,
    condition,
    constant,
    number,
    surely_not,
)
from simulations.reading.outcomes import OUTCOMES, small, sure
from simulations.reading.scopes import ROW
from simulations.reading.stages import FOR, Stages

WORKING_DAYS = {"add_working_days", "working_days_between", "is_working_day"}


class NotCovered(PolicyError):
    """A policy, or a part of it, that the population reading does not cover."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which answers are computed: all by default. `codes`: each outcome also as its place in OUTCOMES, as `<prefix>:code`."""

    rules: bool = True
    outputs: tuple[str, ...] | None = None
    codes: bool = False


def told_rules(policy: Policy) -> list[Rule]:
    """The rules that have a state of their own: requirements, then the transitions that ask for a review."""
    return [r for r in rules_of(policy) if r.effect != "transition"]


def nothing_used(policy: str) -> Periods:
    """For callers without a library: facts of other policies come from the table alone."""
    return ()


def read(
    table: ir.Table, versions: Mapping[str, Policy], profile: Profile, as_of: datetime | None, uses: Uses = nothing_used, wanted: Wanted = Wanted()
) -> ir.Table:
    """The columns of the table with the answers of each version beside them.

    `as_of`: the instant of all cases; None if the table has its own. Raises NotCovered, TooWide.
    """
    return explained(table, versions, profile, as_of, uses, wanted)[0]


def explained(
    table: ir.Table, versions: Mapping[str, Policy], profile: Profile, as_of: datetime | None, uses: Uses = nothing_used, wanted: Wanted = Wanted(),
    keep: Sequence[str] | None = None,
) -> tuple[ir.Table, dict[str, str]]:  # fmt: skip
    """As `read`, with what the columns of its steps (`v0`, `v1`, …) compute, for people: `rule too-late`, `for output total`.

    `keep`: the columns of the table that stand beside the answers; all if left out. Raises NotCovered, TooWide.
    """
    if as_of is None and not profile.has_as_of:
        raise NotCovered("the population has no column `as_of`\n  help: give one instant for all cases")
    if any(_uses_calendar(p, uses, set()) for p in versions.values()):
        joined = table.cross_join(ibis.table(CALENDAR_SCHEMA, name=CALENDAR_TABLE))
        source = joined.select(*joined.columns)
        dates = Dates(source.working_counts, source.working_days)
    else:
        source, dates = table, Dates(None, None)
    stages = Stages(source)
    moment = constant(as_of, DATETIME) if as_of is not None else Lowered(DATETIME, source[columns.AS_OF])
    facts = Facts(source, profile, moment, stages, dates, uses)
    results: dict[str, ir.Value] = {}
    token = row_bind.set(stages.bind)
    try:
        for prefix, policy in versions.items():
            reading = Reading(policy, facts, stages)
            results |= {f"{prefix}:{name}": value for name, value in reading.answers(wanted).items()}
    finally:
        row_bind.reset(token)
    return stages.table(results, tuple(table.columns if keep is None else keep)), stages.told


class Reading:
    """One version over the facts of a query."""

    def __init__(self, policy: Policy, facts: Facts, stages: Stages) -> None:
        self.policy, self.stages = policy, stages
        self.lowering = facts.lowering(policy)

    # -- answers -------------------------------------------------------------------------------------------------------------------

    def answers(self, wanted: Wanted) -> dict[str, ir.Value]:
        """outcome, error, rule:<code>, out:<name> as columns."""
        try:
            return self._answers(wanted)
        except NotLowered as error:
            raise NotCovered(f"{self.policy.name}: {error}") from None

    def _answers(self, wanted: Wanted) -> dict[str, ir.Value]:
        lowering, policy = self.lowering, self.policy
        outcome = lowering.outcome()
        outputs = {name: lowering.output(name) for name in policy.outputs if name != "open_events"}
        with self.stages.part("error"):
            error = self._error([outcome, *outputs.values()])
        failed: Flag = False if error is None else error.notnull()
        shown = outcome.value.fill_null("undetermined") if outcome.maybe else outcome.value
        found: dict[str, ir.Value] = {"outcome": choose([(failed, ibis.literal("error"))], shown)}
        if wanted.codes:
            found["code"] = choose([(failed, small(OUTCOMES.index("error")))], lowering.code())
        found["error"] = error if error is not None else ibis.null("string")
        if wanted.rules:
            for r in told_rules(policy):
                found[f"rule:{r.code}"] = self._state(r.code)
        for name in policy.outputs if wanted.outputs is None else wanted.outputs:
            if name in outputs:
                with self.stages.part(f"{FOR}output {name}"):
                    value = told(outputs[name])
                found[f"out:{name}"] = choose([(failed, ibis.null(value.type()))], value)
        return found

    def _state(self, code: str) -> ir.Value:
        """violated, satisfied, not-applicable (its guard is false, or it is a transition that does not apply) or unknown."""
        rule = self.lowering.rules[code]
        fired = self.lowering.fired(code)
        words = {w: ibis.literal(w) for w in ("violated", "unknown", "not-applicable", "satisfied")}
        if fired.is_static and fired.static:
            return words["violated"]
        silent = self._silent(rule, words)
        return silent if fired.is_static else choose([(sure(fired), words["violated"]), (condition(fired.unknown), words["unknown"])], silent)

    def _silent(self, rule: Rule, words: Mapping[str, ir.Value]) -> ir.Value:
        if isinstance(rule.condition, s.Applies):
            return words["not-applicable"]
        if rule.guard is None:
            return words["satisfied"]
        with self.stages.part(f"{FOR}rule {rule.code}: does it apply?"):
            when = self.lowering.node(rule.guard, ROW)
        return choose([(surely_not(when), words["not-applicable"])], words["satisfied"])

    def _error(self, parts: Sequence[Lowered]) -> ir.StringValue | None:
        """The kind of error where something that matters cannot be computed and no missing fact could change that."""
        found: list[tuple[Flag, ir.Value]] = []
        for part in parts:
            for kinds, bits, unknown in _waiting(part):
                if not kinds & ANY_ERROR:
                    continue
                if bits is None:
                    kind = next(k for k, bit in ERROR_BIT.items() if kinds & bit)
                    found.append((unknown, ibis.literal(kind)))
                    continue
                bits = self.stages.bind(bits)
                alone = (bits & number(PATHS)) == 0
                for kind, bit in ERROR_BIT.items():
                    if kinds & bit:
                        found.append(((alone & ((bits & number(bit)) != 0)).fill_null(False), ibis.literal(kind)))
        return choose(found, ibis.null("string")) if found else None


def _waiting(a: Lowered) -> list[tuple[int, Any, Flag]]:
    """What an output waits for, in itself and in the items of its list: bits that may be set, the bits (None: always the same), when."""
    found: list[tuple[int, Any, Flag]] = []
    if a.maybe:
        found.append((a.kinds, a.why if a.kinds.bit_count() > 1 else None, a.unknown))
    shape = a.shape
    if shape is not None and shape.fields is not None and not a.is_static:
        kinds = 0
        for _, f in shape.fields:
            kinds |= f.kinds if f.maybe else 0
        if kinds & ANY_ERROR:

            def bits(x: ir.Value, shape: Shape = shape) -> ir.Value:
                total: Any = number(0)
                for name, f in shape.fields or ():
                    if f.maybe:
                        total = total | item_of(x, shape).part(name).why
                return total

            found.append((kinds, bits_in(a.value, "w", kinds, bits), True))
    return found


def told(a: Lowered) -> ir.Value:
    """The value of an output without the companions of its items."""
    shape = a.shape
    if a.fields is not None:
        raise NotLowered("an output that is a record")
    if shape is None or a.is_static or not isinstance(a.value.type(), ibis.expr.datatypes.Array):
        return a.value
    if shape.fields is not None:
        names = [name for name, _ in shape.fields]
        return mapped_array(a.value, "o", lambda x: struct({n: told(item_of(x, shape).part(n)) for n in names}))
    if shape.maybe:
        # a list with an item that is unknown is not told at all
        values = mapped_array(a.value, "o", lambda x: item_of(x, shape).value)
        return choose([(some(a.value, "o", lambda x: condition(item_of(x, shape).unknown)), ibis.null(values.type()))], values)
    return a.value


def _uses_calendar(policy: Policy, uses: Uses, seen: set[str]) -> bool:
    """Does it, or a policy that it uses, count working days?"""
    if policy.name in seen:
        return False
    seen.add(policy.name)
    roots = [v.node for v in policy.values.values()] + [n for r in policy.requirements for n in (r.when, r.require) if n is not None]
    roots += [t.when for t in policy.machine.transitions if t.when is not None] if policy.machine else []
    if any(isinstance(n, s.Call) and n.function in WORKING_DAYS for root in roots for n in s.walk(root)):
        return True
    return any(_uses_calendar(other, uses, seen) for name in policy.uses for _, _, other in uses(name))
