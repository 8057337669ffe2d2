"""Which column of a source is what: the case's id, its instant, what it is grouped by, and the facts of a policy."""

from __future__ import annotations

from dataclasses import replace

import duckdb

from engine.errors import did_you_mean
from engine.policy import FactDef, Policy
from engine.types import DATETIME, Field
from simulations.population import checks, records, spelling
from simulations.population.checks import Check, Raw, Reading, Unfit
from simulations.population.columns import AS_OF, CASE_ID, PARTNER, SEGMENT
from simulations.population.mapping import Mapping
from simulations.population.misfits import Misfit, PopulationError
from simulations.population.scan import Scan
from simulations.population.sources import Source
from simulations.population.spelling import literal

_NESTED = ("list", "struct", "map", "array", "union")


class Binding:
    """The columns of a source bound to a policy. `plain` gives the SQL of the columns that are no facts, `facts` the reading of each fact that may be there.

    `checks` are all reasons why a row may not fit; `chinese` has each of them in Chinese. Raises PopulationError with every column that does not fit.
    """

    def __init__(self, source: Source, policy: Policy, mapping: Mapping) -> None:
        self.source, self.policy, self.mapping = source, policy, mapping
        self.scan = Scan(source, mapping)
        self.chinese: dict[str, str] = {}
        self.plain: dict[str, str] = {}
        self.facts: dict[str, Reading] = {}
        self.raws: dict[str, Raw] = {}
        self.checks: list[Check] = []
        self._misfits: list[Misfit] = []
        self._bind()
        if self._misfits:
            raise PopulationError(self._misfits)

    def why(self, english: str, chinese: str) -> str:
        """A reason as an SQL literal, its Chinese kept."""
        self.chinese[english] = chinese
        return literal(english)

    def _bind(self) -> None:
        model = self.mapping.model
        self._case_id(model.id)
        instant = self._column(AS_OF, model.as_of, ("as_of",))
        if instant is not None:
            self._as_of(instant)
        partner = self._column(PARTNER, model.partner, ("partner",))
        if partner is not None:
            self._label(PARTNER, partner)
        segments = {name.removeprefix(SEGMENT): None for name in self.source.columns if name.startswith(SEGMENT)}
        for name, column in {**segments, **model.segments}.items():
            found = self._column(SEGMENT + name, column, ("segments", name))
            if found is not None:
                self._label(SEGMENT + name, found)
        for name, fact in self.policy.facts.items():
            self._fact(name, fact)
        if not self.facts and not self._misfits:
            self._misfit(self.source.name, f"no column is a fact of `{self.policy.id}`", self.no_fact())
        self.checks = [*self.scan.row_checks(self.why), *self.checks]

    def no_fact(self) -> str:
        """What to do where nothing of a source is a fact."""
        near = (did_you_mean(name, self.policy.facts) for name in self.scan.unused())
        facts = ", ".join(list(self.policy.facts)[:6])
        return next((help for help in near if help), f"name the columns of the facts in a mapping file; facts: {facts}")

    def _misfit(self, place: str, message: str, help: str | None) -> None:
        self._misfits.append(Misfit(place, message, help))

    def _column(self, own: str, mapped: str | None, place: tuple[str, ...]) -> Raw | None:
        """The column that the mapping names, which must be there, or the one with its own name. JSON lines have what their first lines have."""
        if self.source.kind == "json" and mapped is None and own not in (CASE_ID, *self.policy.facts) and not self._has_label(own):
            return None
        found = self.scan.column(mapped or own)
        if found is None and mapped is not None:
            self._misfit(self.mapping.place(*place), f"`{self.source.name}` has no column `{mapped}`", self.scan.nearest(mapped))
        return found

    def _has_label(self, name: str) -> bool:
        """Whether the first JSON lines have a key that is more than the object which holds facts (`partner`, with `id` and `kind` in it)."""
        holds_facts = any(fact.startswith(f"{name}.") for fact in self.policy.facts)
        return name in self.source.columns and not (holds_facts and isinstance(self.source.columns[name], dict))

    def _case_id(self, mapped: str | None) -> None:
        raw = self._column(CASE_ID, mapped, ("id",))
        if raw is None:
            if mapped is None:
                self._misfit(self.source.name, f"there is no column `{CASE_ID}`", "name the column of the case's id in a mapping file: `id: order_no`")
            return
        self._label(CASE_ID, raw)
        text = self.plain.get(CASE_ID, "NULL")
        no_id = self.why("no id", "没有编号")
        self.checks.append(Check(raw.label, f"CASE WHEN coalesce({spelling.blank(text)}, true) THEN {no_id} END", "NULL"))

    def _label(self, name: str, raw: Raw) -> None:
        """Any single value as text, for ids, partners and groups."""
        self.scan.labels.add(raw.label)
        if raw.kind == "json":
            single = f"left({checks.json_text(raw)}, 1) NOT IN ('[', '{{', 'n')"
            self.plain[name] = self.scan.let(f"CASE WHEN {single} THEN ltrim(json_extract_string({raw.sql}, '$'), chr(1)) END")
        elif raw.kind == "typed" and (raw.type.id in _NESTED or (name == CASE_ID and raw.type.id in ("float", "double"))):
            self._misfit(self.source.name, f"column `{raw.label}` is {raw.type}, a text or a whole number is expected", "store it as text")
        else:
            self.plain[name] = raw.sql if raw.kind == "text" or raw.type.id == "varchar" else f"CAST({raw.sql} AS VARCHAR)"

    def _as_of(self, raw: Raw) -> None:
        """An instant with its zone, or a day: its 00:00."""
        if raw.kind == "typed" and raw.type.id == "date":
            raw = replace(raw, sql=f"CAST({raw.sql} AS TIMESTAMP)", type=duckdb.type("TIMESTAMP"))
        try:
            found = records.reading(Field(AS_OF, DATETIME), raw, self.why)
        except Unfit as unfit:
            self._misfit(self.source.name, unfit.message, "store it as a date, as a timestamp with its zone, or as text")
            return
        value, reason = found.value, found.checks[0].reason
        if raw.kind != "typed" or raw.type.id == "varchar":
            s = self.scan.let(f"json_extract_string({raw.sql}, '$')") if raw.kind == "json" else raw.sql
            value = f"CASE WHEN {spelling.is_day(s)} THEN CAST(try_cast({s} AS DATE) AS TIMESTAMP) ELSE {value} END"
            reason = f"CASE WHEN {spelling.is_day(s)} THEN NULL ELSE {reason} END"
        self.plain[AS_OF] = value
        none = self.why("no instant", "没有时点")
        self.checks.append(Check(raw.label, f"CASE WHEN {raw.sql} IS NULL THEN {none} ELSE {reason} END", checks.shown(raw)))

    def _fact(self, name: str, fact: FactDef) -> None:
        mapped = self.mapping.model.facts.get(name)
        raw = self._column(name, mapped, ("facts", name))
        if raw is None:
            return
        raw = self.scan.fact(fact, raw)
        try:
            self.facts[name] = records.reading(fact, raw, self.why)
        except Unfit as unfit:
            place = self.mapping.place("facts", name) if mapped else self.source.name
            self._misfit(place, unfit.message, unfit.help)
            return
        self.raws[name] = raw
        self.checks += self.facts[name].checks

    def without(self, absent: set[str]) -> None:
        """Forget columns that no row has, as JSON lines may. Raises PopulationError where the mapping names one, or no fact is left."""
        model, missing = self.mapping.model, []
        for name in absent & set(self.facts):
            if name in model.facts:
                place = self.mapping.place("facts", name)
                missing.append(Misfit(place, f"no row of `{self.source.name}` has `{model.facts[name]}`", self.scan.nearest(model.facts[name])))
            del self.facts[name], self.raws[name]
        if not self.facts:
            missing.append(Misfit(self.source.name, f"no column is a fact of `{self.policy.id}`", self.no_fact()))
        if missing:
            raise PopulationError(sorted(missing, key=lambda m: m.place))
