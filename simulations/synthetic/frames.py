"""The columns of a synthetic population, put into an order in which each can name those that it hangs on, and written as layers of SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from engine.errors import did_you_mean
from engine.literals import LiteralFault
from engine.policy import FactDef
from engine.types import TEXT, Field, NumberType, RecordType, Type
from simulations.population.columns import NARROW, UNKNOWN, Column, quoted, record_of, sql_type
from simulations.synthetic import distributions
from simulations.synthetic.declaration import Declaration, Distribution, Form
from simulations.synthetic.defaults import Surroundings, distribution, record
from simulations.synthetic.draws import FULL, draw, item, skewed
from simulations.synthetic.encoding import Known, Target, cut, text
from simulations.synthetic.overrides import Overrides, places_of, rows_in

#: A segment is named so in conditions.
SEGMENTS = "segments."
Named = FactDef | Field


@dataclass(frozen=True, slots=True)
class Level:
    """Where values are made: in a row, or in an item of a list.

    `path` leads to it (`staff[].`), `where` is its condition among the boundary rows, `item` the item's name in SQL; further draws are made from
    `source`, and `own` is a text that no other row or item has.
    """

    path: str
    where: str
    item: str
    source: str
    own: str
    resolve: Callable[[str], Known]


class Frame:
    """Writes the SELECT of a population. Raises LiteralFault whose `at` leads to what does not fit in the declaration."""

    def __init__(
        self,
        facts: dict[str, FactDef],
        declaration: Declaration | None,
        around: Surroundings,
        seed: int | str,
        as_of: date,
        rows: int,
        given: Mapping[str, Type] | None = None,
    ) -> None:
        """`given`: columns that the source has besides `row`; values may hang on them."""
        self.declaration = declaration or Declaration(policy="none")
        self.facts, self.around, self.seed, self.as_of = facts, around, seed, as_of
        partner = self.declaration.partner
        self.partners = 0 if partner is None else max(1, rows // partner.cases)
        self.given = dict(given or {})
        self.segments = {SEGMENTS + name: Field(SEGMENTS + name, TEXT, True) for name in self.declaration.segments}
        self.named: dict[str, Named] = {**self.segments, **facts}
        self.forms = {SEGMENTS + name: form for name, form in self.declaration.segments.items()}
        self.forms |= {name: self.declaration.facts.get(name) or distribution(f.type, f.nullable, around, name) for name, f in facts.items()}
        self.rank = {c.between[1]: (c.between[0], str(c.rank)) for c in self.declaration.correlations}
        self.places: dict[str, int] = {}
        self.unknown: set[str] = set()
        for name, fact in facts.items():
            self._survey(fact, name, name, self.forms[name], everything=declaration is None)
        self.overrides = Overrides()

    def _survey(self, of: Named, path: str, key: str, form: Distribution, everything: bool) -> None:
        """Notes the places of every number, and what may be unknown."""
        self.places[path] = places_of(of.type, self.around.at(key), form.model_dump(exclude_unset=True))
        if everything or any(cut(f.unknown, "unknown") for f in (form, *form.when)):
            self.unknown.add(path)
        wanted = record_of(of.type)
        if wanted is not None:
            given = {n: d for f in _forms(form) for n, d in (f.fields or {}).items()}
            for name, inner in record(wanted.fields, self.around, given).items():
                self._survey(wanted.field(name), f"{path}[].{name}", f".{name}", inner, everything)

    # -- rows ----------------------------------------------------------------------------------------------------------------------

    def select(self, source: str, overrides: Overrides, kind: str) -> str:
        """The SELECT over `source`, a SELECT of one UBIGINT column `row`; the case ids begin with `kind`."""
        self.overrides = overrides
        sql = self.made(source)
        head = [f"'{kind}-' || lpad((\"row\" + 1)::VARCHAR, 9, '0') AS case_id", *(["partner"] if self.partners else [])]
        head += [f"{quoted(name)} AS {quoted('segment:' + name.removeprefix(SEGMENTS))}" for name in self.segments]
        return f"SELECT {', '.join([*head, *(quoted(c) for c in self.columns())])} FROM ({sql})"

    def made(self, source: str) -> str:
        """A SELECT of all that the source has, every value, and what was needed on the way."""
        sql = source
        if self.partners:
            number = skewed(draw(self.seed, "partner", '"row"'), self.partners)
            sql = f"SELECT *, 'P' || lpad((\"partner#\" + 1)::VARCHAR, 6, '0') AS partner FROM (SELECT *, {number}::UBIGINT AS \"partner#\" FROM ({sql}))"
        drawn = ", ".join(f"{self._forced(name, self._draw(name), '')} AS {quoted('u:' + name)}" for name in self.forms)
        sql = f"SELECT *, {drawn} FROM ({sql})"
        for layer in self._layers():
            made = [f"{value} AS {quoted(column)}" for name in layer for column, value in self._made(name)]
            sql = f"SELECT *, {', '.join(made)} FROM ({sql})"
        return sql

    def columns(self) -> list[str]:
        """The fact columns in the order of the rule file, each with its companion where it has one."""
        return [c for name, fact in self.facts.items() for c in ([name, UNKNOWN + name] if fact.nullable and name in self.unknown else [name])]

    def _made(self, name: str) -> list[tuple[str, str]]:
        form = self.forms[name]
        source = '"partner#"' if form.per == "partner" else '"row"'
        level = Level("", "", "", source, f"{source}::VARCHAR", self._known)
        try:
            return self._value(self.named[name], name, form, level, quoted(f"u:{name}"))
        except LiteralFault as fault:
            raise _under(fault, *self.at(name)) from None

    def _known(self, name: str) -> Known:
        """A fact, a segment, or the partner's id, as another value names it."""
        if name == "partner" and self.partners:
            return Known("partner", TEXT, False)
        if name in self.given:
            return Known(quoted(name), self.given[name], True)
        if name not in self.named:
            raise LiteralFault(f"unknown fact `{name}`", did_you_mean(name, self.named, "facts of the rule file, or segments.<name>"))
        return Known(quoted(name), self.named[name].type, self.named[name].nullable)

    def _draw(self, name: str) -> str:
        """The draw of a fact; another's where the two are correlated."""
        per = self.forms[name].per == "partner"
        if per and not self.partners:
            raise LiteralFault("`per: partner` needs a partner", "an example: partner: {cases: 12}", (*self.at(name), "per"))
        source = '"partner#"' if per else '"row"'
        own = f"{draw(self.seed, name, source)}::BIGINT"
        if name not in self.rank:
            return own
        other, rank = self.rank[name]
        theirs = self._draw(other)
        theirs = f"({FULL - 1} - {theirs})" if rank.startswith("-") else theirs
        return f"CASE WHEN {draw(self.seed, f'{other}~{name}', source)} < {cut(rank.removeprefix('-'), 'rank')} THEN {theirs} ELSE {own} END"

    def _layers(self) -> Iterator[list[str]]:
        wanted = {name: distributions.names(form) & set(self.forms) for name, form in self.forms.items()}
        return _layers(wanted, self.at)

    def at(self, name: str) -> tuple[str, ...]:
        """Where the declaration says how a fact or segment is distributed."""
        return ("segments", name.removeprefix(SEGMENTS)) if name in self.segments else ("facts", name)

    # -- values --------------------------------------------------------------------------------------------------------------------

    def _value(self, of: Named, path: str, form: Distribution, level: Level, drawn: str) -> list[tuple[str, str]]:
        """The columns of one value: itself, and whether it is unknown where that is a column of its own."""
        places = self.places.get(path, 0)
        own = level.own

        def items(f: Form, length: str) -> str:
            wanted = record_of(of.type)
            assert wanted is not None
            return self._items(wanted, path, f, length, level)

        target = Target(of.type, of.nullable, places, self.seed, path, self.as_of, drawn, level.source, own, level.resolve, items)
        sql = self.overrides.value(path, distributions.value(form, target), level.where)
        found = [(of.name, sql if record_of(of.type) else f"({sql})::{sql_type(of.type, _column(of, places))}")]
        if of.nullable and path in self.unknown:
            flag = self.overrides.flag(path, distributions.unknown(form, target), level.where)
            found.append((UNKNOWN + of.name, flag or "FALSE"))
        return found

    def _items(self, wanted: RecordType, path: str, form: Form, length: str, above: Level) -> str:
        """The list of records of one row or item."""
        given = form.fields or {}
        for name in given:
            if name not in {f.name for f in wanted.fields}:
                names = [f.name for f in wanted.fields]
                raise LiteralFault(f"unknown field `{name}`", did_you_mean(name, names, "fields: " + ", ".join(names)), (name,))
        depth = path.count("[]")
        it, at = f"e{depth}", f"i{depth}"
        forms = record(wanted.fields, self.around, given)
        seed = draw(self.seed, f"{path}[]", above.source)
        where = f"{above.where} AND {it}['j'] = 0"

        def resolve(name: str) -> Known:
            if name in forms:
                return Known(f"{it}[{text(name)}]", wanted.field(name).type, wanted.field(name).nullable)
            return above.resolve(name)

        level = Level(f"{path}[].", where, it, f"{it}['r']", f"{above.own} || '-' || ({it}['j'] + 1)::VARCHAR", resolve)
        size = self.overrides.value(f"{path}[]", length, above.where)
        sql = f"list_transform(range({size}), lambda {at}: {{'j': {at}, 'r': {item(seed, at)}}})"
        held = ["j", "r"]
        drawn = [(f"u:{n}", self._forced(f"{path}[].{n}", f"{draw(self.seed, f'{path}[].{n}', level.source)}::BIGINT", where)) for n in forms]
        sql = f"list_transform({sql}, lambda {it}: {_struct(it, held, drawn)})"
        held += [name for name, _ in drawn]
        for layer in _layers({n: distributions.names(f) & set(forms) for n, f in forms.items()}, lambda n: (n,)):
            made = []
            for name in layer:
                try:
                    made += self._value(wanted.field(name), f"{path}[].{name}", forms[name], level, f"{it}[{text('u:' + name)}]")
                except LiteralFault as fault:
                    raise _under(fault, name) from None
            sql = f"list_transform({sql}, lambda {it}: {_struct(it, held, made)})"
            held += [name for name, _ in made]
        kept = [n for f in wanted.fields for n in (f.name, UNKNOWN + f.name) if n in held]
        return f"list_transform({sql}, lambda {it}: {_struct(it, kept, [])})"

    def _forced(self, path: str, sql: str, where: str) -> str:
        """In the boundary rows of what is inside a list there is one: the last piece of its distribution."""
        rows = self.overrides.lists.get(path)
        return f"CASE WHEN {rows_in(rows)}{where} THEN {FULL - 1} ELSE {sql} END" if rows else sql


def _forms(form: Distribution) -> list[Form]:
    """A distribution, its branches and the parts of its mixes."""
    return [part for f in (form, *form.when) for part in (f, *(f.mix or []))]


def _column(of: Named, places: int) -> Column:
    """What the SQL type of a made-up value needs to know."""
    return Column(True, of.nullable, NARROW - places if isinstance(of.type, NumberType) else 0, places)


def _struct(it: str, held: list[str], made: list[tuple[str, str]]) -> str:
    parts = [f"{text(n)}: {it}[{text(n)}]" for n in held] + [f"{text(n)}: {sql}" for n, sql in made]
    return f"{{{', '.join(parts)}}}"


def _layers(wanted: dict[str, set[str]], at: Callable[[str], tuple[str, ...]]) -> Iterator[list[str]]:
    """Names in layers: each hangs only on names of layers before. Raises LiteralFault for a circle."""
    done: set[str] = set()
    while len(done) < len(wanted):
        layer = [n for n, others in wanted.items() if n not in done and others <= done]
        if not layer:
            name = next(n for n in wanted if n not in done)
            raise LiteralFault(f"`{name}` hangs on itself, by way of `{min(wanted[name] - done)}`", "take one condition out", at(name))
        yield layer
        done |= set(layer)


def _under(fault: LiteralFault, *path: str) -> LiteralFault:
    return LiteralFault(str(fault), fault.help, (*path, *fault.at))
