"""An order held against the library: two versions of a policy, an instant, and names that exist."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import zip_longest
from typing import Any

from engine.clock import instant
from engine.decide import with_parameters
from engine.errors import FactsError, PolicyError, RuleFileError
from engine.library import Library
from engine.policy import FactDef, Policy
from engine.types import BoolType, EnumType
from simulations.population.columns import AS_OF, PARTNER, SEGMENT
from simulations.runs.hybrid import common_facts
from simulations.runs.measures import Measure, chosen_measures, measures
from simulations.runs.order import MAX_SEGMENTS, Misfit, Order, OrderError, Side, hint


@dataclass(frozen=True, slots=True)
class Task:
    """An order whose names exist: both versions with their parameters, ready to be asked and to be read over a population."""

    order: Order
    library: Library
    before: Policy
    after: Policy
    both: Policy
    as_of: datetime | None
    measures: tuple[Measure, ...]

    @property
    def unchanged(self) -> bool:
        """Both sides are the same: there is nothing to find."""
        return (self.before.version, self.before.parameters) == (self.after.version, self.after.parameters)

    def uses(self, policy: str) -> list[tuple[date | None, date | None, Policy]]:
        """The versions of a used policy with the days on which each is in force; of one that has only drafts, those."""
        periods = self.library.periods(policy, None)
        versions = self.library.versions.get(policy, {})
        if periods:
            return [(p.start, p.end, versions[p.version].policy) for p in periods if p.version in versions]
        drafts = sorted((v.policy for v in versions.values()), key=lambda p: p.effective_from)
        return [(p.effective_from, after.effective_from if after else None, p) for p, after in zip_longest(drafts, drafts[1:])]

    def wide(self, policy: Policy) -> Policy:
        """A version with the facts of the policies that it uses: what a case may hold for it."""
        return replace(policy, facts=self._facts(policy, frozenset()))

    def _facts(self, policy: Policy, seen: frozenset[str]) -> dict[str, FactDef]:
        found = dict(policy.facts)
        for name in sorted(policy.uses - seen):
            for _, _, other in self.uses(name):
                found = self._facts(other, seen | {name}) | found
        return found


def task(order: Order, library: Library, names: tuple[str, str] = ("baseline", "candidate")) -> Task:
    """Hold an order against the library; `names` are what the two sides are called in messages. Raises PolicyError; nothing is written yet."""
    as_of = None
    if order.as_of is not None:
        try:
            as_of = instant(order.as_of)
        except ValueError as error:
            raise OrderError(Misfit(("as_of",), str(error))) from None
    before, after = (version_of(library, order.policy, side, as_of, name) for side, name in zip((order.baseline, order.candidate), names, strict=True))
    known = measures(before, after)
    return Task(order, library, before, after, common_facts(before, after), as_of, chosen_measures(order.measures, known))


def version_of(library: Library, policy: str, side: Side, as_of: datetime | None, name: str) -> Policy:
    """One side: its version with its parameters. Raises OrderError, NotFound, RuleFileError."""
    if side.version is None:
        if as_of is None:
            raise OrderError(Misfit((name,), "no version is named and no instant given", "pin a version, or give as_of"))
        found = library.in_force(policy, as_of, None).policy
    else:
        _refuse_broken(library, policy, side.version)
        found = library.version(policy, side.version).policy
    if not side.parameters:
        return found
    try:
        return with_parameters(found, side.parameters)
    except FactsError as error:
        raise OrderError(*(Misfit((name, *b.path.split(".", 1)), b.message, b.help) for b in error.bad)) from None


def _refuse_broken(library: Library, policy: str, version: int) -> None:
    """A version whose file has faults is told with them, not as one that there is not."""
    for file, faults in library.faults.items():
        broken = [f for f in faults if f.kind != "warning"]
        if broken and file.endswith(f"/{policy}/v{version}.yaml"):
            raise RuleFileError(broken)


def groups(wanted: list[str] | None, columns: Mapping[str, Any], policy: Policy) -> dict[str, str]:
    """What rows are grouped by: name to column. Segments of the population by default, else its first two facts of few values.

    Raises PolicyError for a name that is neither a segment nor a fact of few values.
    """
    found = {c.removeprefix(SEGMENT): c for c in columns if c.startswith(SEGMENT)}
    if wanted is None and found:
        return dict(list(found.items())[:MAX_SEGMENTS])
    facts = {f.name: f.name for f in policy.facts.values() if isinstance(f.type, (BoolType, EnumType)) and f.name in columns}
    if wanted is None:
        return dict(list({n: c for n, c in facts.items() if isinstance(policy.facts[n].type, EnumType)}.items())[:2])
    known = facts | found | ({PARTNER: PARTNER} if PARTNER in columns else {})
    for name in wanted:
        if name not in known:
            raise OrderError(Misfit(("segments",), f"`{name}` is neither a segment of the population nor a fact of few values", hint(name, known)))
    return {name: known[name] for name in dict.fromkeys(wanted)}


def need_instant(task: Task, columns: Iterable[str]) -> None:
    """A run needs an instant: its own, or one in every row. Raises PolicyError."""
    if task.as_of is None and AS_OF not in set(columns):
        raise PolicyError("no instant: the population has no column `as_of`, and the run gives none; give as_of")
