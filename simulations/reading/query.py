"""The population reading: one or more versions of a policy as one query over a table of cases (simulations/population/columns.py says what such a table is).

    table = ibis.table(schema, name="population")
    answers = read(table, {"base": v3, "new": v4}, profile, as_of)

adds for each version `base:outcome`, `base:error`, `base:rule:<code>` and `base:out:<output>`. What versions have in common is computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

import ibis
import ibis.expr.types as ir

from engine import syntax as s
from engine.errors import PolicyError
from engine.policy import FactDef, Policy
from engine.types import DATETIME, SHANGHAI, EnumType, ListType, NumberType, RecordType
from simulations.population import columns
from simulations.population.columns import Profile
from simulations.reading.bounds import settled
from simulations.reading.dates import CALENDAR_SCHEMA, CALENDAR_TABLE, Dates
from simulations.reading.items import array_type, at, bits_in, blank_of, item_of, mapped_array, row_bind, shape_of, some, struct
from simulations.reading.logic import chosen
from simulations.reading.lowered import (
    ANY_ERROR,
    ERROR_BIT,
    PATHS,
    Flag,
    Lowered,
    NotLowered,
    Shape,
    both,
    cast,
    choose,
    condition,
    constant,
    decimal_type,
    either,
    mask_of,
    negated,
    never,
    number,
    surely_not,
)
from simulations.reading.lowering import ROW, Lowering, sure
from simulations.reading.stages import Stages

#: The versions of a used policy by the business days on which each is in force: first day, first day after (None: open).
Periods = Sequence[tuple[date | None, date | None, Policy]]
Uses = Callable[[str], Periods]
WORKING_DAYS = {"add_working_days", "working_days_between", "is_working_day"}


class NotCovered(PolicyError):
    """A policy, or a part of it, that the population reading does not cover."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which answers are computed: all by default."""

    rules: bool = True
    outputs: tuple[str, ...] | None = None


def nothing_used(policy: str) -> Periods:
    """For callers without a library: facts of other policies come from the table alone."""
    return ()


def read(
    table: ir.Table, versions: Mapping[str, Policy], profile: Profile, as_of: datetime | None, uses: Uses = nothing_used, wanted: Wanted = Wanted()
) -> ir.Table:
    """The columns of the table with the answers of each version beside them.

    `as_of`: the instant of all cases; None if the table has its own. Raises NotCovered, TooWide.
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
    results: dict[str, ir.Value] = {}
    token = row_bind.set(stages.bind)
    try:
        for prefix, policy in versions.items():
            reading = Reading(policy, source, profile, moment, stages, dates, uses)
            results |= {f"{prefix}:{name}": value for name, value in reading.answers(wanted).items()}
    finally:
        row_bind.reset(token)
    return stages.table(results, tuple(table.columns))


class Reading:
    """One version over one source."""

    def __init__(self, policy: Policy, source: ir.Table, profile: Profile, as_of: Lowered, stages: Stages, dates: Dates, uses: Uses) -> None:
        self.policy, self.source, self.profile, self.as_of, self.stages, self.dates, self.uses = policy, source, profile, as_of, stages, dates, uses
        facts = {name: self.column(name, fact) for name, fact in policy.facts.items()}
        self.lowering = self._lowering(policy, facts, ())

    # -- facts ---------------------------------------------------------------------------------------------------------------------

    def column(self, name: str, fact: FactDef) -> Lowered:
        """A fact as the table has it; unknown in every row where it has not."""
        column = self.profile.columns.get(name)
        if column is None or name not in self.source.columns:
            return absent(fact)
        shape = shape_of(fact.type, column, fact.nullable)
        flag: Any = self.source[columns.UNKNOWN + name] if shape.flagged and columns.UNKNOWN + name in self.source.columns else None
        if shape.flagged and flag is None:
            shape = replace(shape, maybe=False, kinds=0, low=None)
        low = None if shape.low is None else constant(shape.low, fact.type)
        blank = blank_of(fact.type.item) if shape.maybe and isinstance(fact.type, ListType) else None
        return Lowered(
            fact.type, self.source[name], shape.maybe, shape.kinds, flag, None, shape.null, low, None, shape.digits, shape.places,
            shape=shape.item, blank=blank,
        )  # fmt: skip

    def _lowering(self, policy: Policy, facts: dict[str, Lowered], above: tuple[str, ...]) -> Lowering:
        """A policy over given facts; those that other policies give are put in where they are unknown."""
        lowering = Lowering(policy, facts, self.as_of, self.stages, self.dates)
        plain = dict(facts)
        given: dict[str, Lowered] = {}
        for name, fact in policy.facts.items():
            if fact.origin is not None and facts[name].maybe and fact.origin.policy not in above:
                given[name] = self._given(policy, lowering, fact, plain, (*above, policy.id))
        return Lowering(policy, {**facts, **given}, self.as_of, self.stages, self.dates) if given else lowering

    def _given(self, policy: Policy, lowering: Lowering, fact: FactDef, mine: dict[str, Lowered], above: tuple[str, ...]) -> Lowered:
        """What another policy says of a fact, where the table leaves it unknown and has what that policy asks for."""
        assert fact.origin is not None
        own = mine[fact.name]
        lines: list[tuple[Lowered, Lowered]] = []
        for start, end, other in self.uses(fact.origin.policy):
            here = lowering.bound(self._asked(policy, lowering, fact, other, mine, above))
            lines.append((self._in_force(start, end), here))
        # on a day on which no version is in force there is nobody to ask
        theirs = chosen(lines, absent(fact), fact.type, self.stages.bind)
        if not theirs.maybe:
            theirs = replace(theirs, kinds=0)
        return lowering.bound(self._filled(own, theirs, fact))

    def _in_force(self, start: date | None, end: date | None) -> Lowered:
        if self.as_of.is_static:
            day = self.as_of.static.astimezone(SHANGHAI).date()
            return constant((start is None or day >= start) and (end is None or day < end), EnumType(()))
        value: Any = self.as_of.value
        tests = [value >= datetime.combine(start, datetime.min.time())] if start else []
        tests += [value < datetime.combine(end, datetime.min.time())] if end else []
        return Lowered(EnumType(()), both(*tests) if tests else ibis.literal(True))

    def _filled(self, own: Lowered, theirs: Lowered, fact: FactDef) -> Lowered:
        """The value of the table where it is known, else what the other policy gives, else unknown."""
        digits, places = max(own.digits, theirs.digits), max(own.places, theirs.places)
        kind = decimal_type(digits, places) if isinstance(fact.type, NumberType) else own.value.type()
        value = choose([(negated(own.unknown), cast(own.value, kind))], cast(theirs.value, kind))
        unknown = both(own.unknown, theirs.unknown)
        # what the other policy waits for is missing here, whatever it is; its unset parameters are told by it
        kinds, mask = mask_of(unknown, replace(own, kinds=PATHS, mask=None) if own.maybe else own)
        flag = condition(unknown) if own.null or theirs.null or own.shape is not None else None
        return settled(
            Lowered(fact.type, value, unknown is not False, kinds, flag, mask, own.null or theirs.null, own.low, None, digits, places,
                    shape=theirs.shape if theirs.shape is not None else own.shape)
        )  # fmt: skip

    def _asked(self, policy: Policy, lowering: Lowering, fact: FactDef, other: Policy, mine: dict[str, Lowered], above: tuple[str, ...]) -> Lowered:
        """The other policy's answer, unknown where it is not asked: the row has nothing for it, and the question sets nothing."""
        assert fact.origin is not None
        names = self._facts_with_used(other)
        theirs = {n: f for n, f in names.items() if n not in policy.facts and n in self.profile.columns}
        fed = either(*(negated(self.column(n, f).unknown) for n, f in theirs.items()))
        bound = {n: lowering.node(node, ROW) for n, node in fact.origin.bindings}
        sets = either(*(both(negated(b.unknown), b.value.notnull()) if not b.is_static else b.static is not None for b in bound.values()))
        asked = either(fed, sets)
        if asked is False:
            return absent(fact)
        facts = {}
        for n, f in other.facts.items():
            if n in bound:
                raw = self._legal(replace(bound[n], null=True), f) if not bound[n].is_static else bound[n]
                there = self._merged(raw, self._raw(n, f, mine), f)
            else:
                there = self._raw(n, f, mine)
            facts[n] = there
        answer = self._part(self._lowering(other, facts, above), fact.origin.output)
        value = choose([(asked, answer.value)], ibis.null(answer.value.type()))
        unknown = either(negated(asked), answer.unknown)
        return replace(
            answer, type=fact.type, value=value, maybe=unknown is not False, kinds=PATHS, flag=condition(unknown), mask=None, low=None, high=None
        )

    def _facts_with_used(self, policy: Policy) -> dict[str, FactDef]:
        found = dict(policy.facts)
        for name in policy.uses:
            for _, _, other in self.uses(name):
                found = self._facts_with_used(other) | found
        return found

    def _raw(self, name: str, fact: FactDef, mine: dict[str, Lowered]) -> Lowered:
        """A fact of another policy as the table has it."""
        if name in mine:
            return self._legal(mine[name], fact)
        return self.column(name, fact)

    def _legal(self, a: Lowered, fact: FactDef) -> Lowered:
        """A value that the other policy's fact does not know stays unknown there."""
        bad: Flag = False
        if isinstance(fact.type, EnumType) and not a.is_static:
            bad = both(a.value.notnull(), negated(a.value.isin(fact.type.values)))
        if a.null and not fact.nullable and not a.is_static:
            bad = either(bad, both(negated(a.unknown), a.value.isnull()))
        if bad is False:
            return replace(a, type=fact.type)
        value = choose([(bad, ibis.null(a.value.type()))], a.value)
        unknown = either(bad, a.unknown)
        flag = condition(unknown) if fact.nullable else None
        return replace(a, type=fact.type, value=value, maybe=True, kinds=a.kinds | PATHS, flag=flag, mask=None, null=fact.nullable)

    def _merged(self, bound: Lowered, raw: Lowered, fact: FactDef) -> Lowered:
        """What the question sets; where it sets nothing (unknown or none), what the table has."""
        if bound.is_static:
            return constant(bound.static, fact.type) if bound.static is not None else raw
        there = both(negated(bound.unknown), bound.value.notnull())
        value = choose([(there, bound.value)], raw.value)
        unknown = both(negated(there), raw.unknown)
        maybe = unknown is not False
        return Lowered(fact.type, value, maybe, PATHS if maybe else 0, condition(unknown) if raw.null and maybe else None, None, raw.null, raw.low,
                       digits=max(bound.digits, raw.digits), places=max(bound.places, raw.places), shape=raw.shape)  # fmt: skip

    def _part(self, other: Lowering, output: str) -> Lowered:
        """The outcome or an output of another policy; `list[].field`: the one value that all records have."""
        if output == "outcome":
            return other.outcome()
        name, _, part = output.partition("[].")
        value = other.output(name)
        if not part:
            return value
        shape = value.shape
        assert shape is not None
        assert shape.fields is not None
        inner = dict(shape.fields)[part]
        array = self.stages.bind(mapped_array(value.value, "record", lambda x: item_of(x, shape).part(part).value))
        first: Any = at(array, number(0))
        same = negated(either(*[_some_other(array, first)]))
        one = both(negated(value.unknown), (array.length() > 0).fill_null(False), same)
        return Lowered(inner.type, choose([(one, first)], ibis.null(first.type())), True, PATHS, negated(one), digits=inner.digits, places=inner.places)

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
        error = self._error([outcome, *outputs.values()])
        failed: Flag = False if error is None else error.notnull()
        shown = outcome.value.fill_null("undetermined") if outcome.maybe else outcome.value
        found: dict[str, ir.Value] = {"outcome": choose([(failed, ibis.literal("error"))], shown)}
        found["error"] = error if error is not None else ibis.null("string")
        if wanted.rules:
            for r in policy.requirements:
                found[f"rule:{r.code}"] = self._state(r.code)
        for name in policy.outputs if wanted.outputs is None else wanted.outputs:
            if name in outputs:
                value = told(outputs[name])
                found[f"out:{name}"] = choose([(failed, ibis.null(value.type()))], value)
        return found

    def _state(self, code: str) -> ir.Value:
        """violated, satisfied, not-applicable (its guard is false) or unknown."""
        rule = self.lowering.rules[code]
        fired = self.lowering.fired(code)
        words = {w: ibis.literal(w) for w in ("violated", "unknown", "not-applicable", "satisfied")}
        if fired.is_static:
            return words["violated"] if fired.static else words["satisfied"] if rule.guard is None else self._silent(rule.guard, words)
        silent = words["satisfied"] if rule.guard is None else self._silent(rule.guard, words)
        return choose([(sure(fired), words["violated"]), (condition(fired.unknown), words["unknown"])], silent)

    def _silent(self, guard: s.Node, words: Mapping[str, ir.Value]) -> ir.Value:
        when = self.lowering.node(guard, ROW)
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


def _some_other(array: Any, first: Any) -> Flag:
    return some(array, "other", lambda x: negated(x.identical_to(first)))


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


def absent(fact: FactDef) -> Lowered:
    """A fact that no row has."""
    t = fact.type
    low = constant(0, t) if isinstance(t, NumberType) and not t.signed else None
    if isinstance(t, ListType) and isinstance(t.item, RecordType):
        shape = shape_of(t, None, fact.nullable).item
        return Lowered(t, ibis.null(array_type(shape)), True, PATHS, condition(True), null=False, shape=shape, blank=blank_of(t.item))
    shape = shape_of(t, None, fact.nullable).item
    blank = never(t.item, 0) if isinstance(t, ListType) else None
    return never(t, PATHS, low=low, shape=shape, blank=blank)


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
