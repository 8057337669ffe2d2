"""The facts of a question as Z3 variables, with what their types allow. A variable is named after its fact, so two versions of a policy share it.

Money, decimals and integers are scaled integers; ratios are reals; dates are ordinals. A text is a number: those that rules name have fixed numbers,
every other number is another text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import Any

import z3

from engine.facts import MAX_DIGITS, MAX_INTEGER
from engine.types import BoolType, DateTimeType, DateType, EnumType, ListType, NumberType, RecordType, SetType, Type
from proofs.constants import DAY_MICROSECONDS, Texts, constant
from proofs.folding import Moment, equal, implies, is_term, not_, number, or_
from proofs.terms import Items, Term, Waits

AS_OF_DAY, AS_OF_CLOCK = z3.Int("as_of"), z3.Int("as_of.clock")


@dataclass(frozen=True, slots=True)
class Application:
    """A function that is not written out for the solver: its result is a variable, about which facts are learned when a model gets it wrong.

    `reason` is set where some results stay free for good; it says of what.
    """

    kind: str
    arguments: tuple[Any, ...]
    result: Any
    error: Any
    reason: str | None


@dataclass(slots=True)
class World:
    """What several readings share: texts, functions that are learned about, and the assumptions.

    `days`: `as_of` lies between these; `dates`: so do dates of facts; `items`: lists have at most so many items.
    """

    items: int = 2
    days: tuple[date, date] = (date(2015, 1, 1), date(2026, 12, 31))
    dates: tuple[date, date] = (date(2005, 1, 1), date(2040, 12, 31))
    texts: Texts = field(default_factory=Texts)
    applications: dict[Any, Application] = field(default_factory=dict)
    by_variable: dict[str, Application] = field(default_factory=dict)
    axioms: list[Any] = field(default_factory=list)
    learned_at: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    def as_of(self) -> Term:
        return Term(Moment(AS_OF_DAY, AS_OF_CLOCK))

    def instant(self) -> list[Any]:
        """What `as_of` may be."""
        first, last = (d.toordinal() for d in self.days)
        return [first <= AS_OF_DAY, last >= AS_OF_DAY, *_clock(AS_OF_CLOCK)]


class Symbols:
    """The facts of one version. `unknown`: each fact may also be absent, then `known:<fact>` is false."""

    def __init__(self, world: World, unknown: bool = False) -> None:
        self.world, self.unknown = world, unknown

    def fact(self, name: str, t: Type, nullable: bool) -> tuple[Term, list[Any]]:
        """The term of a fact, and the constraints that its type puts on it."""
        domain: list[Any] = []
        term = self._nullable(name, t, nullable, domain)
        if self.unknown:
            term = term.but(Waits(fact=z3.Not(z3.Bool(f"known:{name}"))))
        return term, [c for c in domain if c is not True]

    def _nullable(self, name: str, t: Type, nullable: bool, domain: list[Any]) -> Term:
        value = self._value(name, t, domain)
        return Term(value, z3.Bool(f"null:{name}") if nullable else False)

    def _value(self, name: str, t: Type, domain: list[Any]) -> Any:
        if isinstance(t, BoolType):
            return z3.Bool(name)
        if isinstance(t, NumberType):
            return _number(name, t, domain)
        if isinstance(t, DateType):
            day = z3.Int(name)
            domain += [self.world.dates[0].toordinal() <= day, day <= self.world.dates[1].toordinal()]
            return day
        if isinstance(t, DateTimeType):
            day, clock = z3.Int(name), z3.Int(f"{name}.clock")
            domain += [self.world.dates[0].toordinal() <= day, day <= self.world.dates[1].toordinal(), *_clock(clock)]
            return Moment(day, clock)
        if isinstance(t, EnumType):
            code = z3.Int(name)
            domain.append(or_(*(code == self.world.texts.number(v) for v in t.values)))
            return code
        if isinstance(t, SetType) and t.values is not None:
            return Items(tuple((z3.Bool(f"{name}[{v}]"), Term(self.world.texts.number(v))) for v in t.values))
        if isinstance(t, SetType):
            items = self._list(name, EMPTY_TEXT, domain)
            for i, (_, a) in enumerate(items.entries):
                domain += [implies(g, not_(equal(a.value, b.value))) for g, b in items.entries[i + 1 :]]
            return items
        if isinstance(t, ListType):
            return self._list(name, t.item, domain)
        code = z3.Int(name)
        domain += [code >= 0, code != self.world.texts.number("")]
        return code

    def _list(self, name: str, item: Type, domain: list[Any]) -> Items:
        length = z3.Int(f"count:{name}")
        domain += [length >= 0, length <= self.world.items]
        entries = []
        for i in range(self.world.items):
            path = f"{name}[{i}]"
            if isinstance(item, RecordType):
                value: Any = tuple(self._nullable(f"{path}.{f.name}", f.type, f.nullable, domain) for f in item.fields)
            else:
                value = self._value(path, item, domain)
            entries.append((length > i, Term(value)))
        return Items(tuple(entries))


EMPTY_TEXT = Type()


def _clock(clock: Any) -> list[Any]:
    return [clock >= 0, clock < DAY_MICROSECONDS]


def _number(name: str, t: NumberType, domain: list[Any]) -> Any:
    if t.places is None:
        value: Any = z3.Real(name)
        most = 10 ** (MAX_DIGITS // 2)
        domain += [value <= most, value >= (-most if t.signed else 0)]
        return value
    scaled = z3.Int(name)
    most = MAX_INTEGER if t.name == "integer" else 10 ** (MAX_DIGITS - 1)
    domain += [scaled <= most, scaled >= (-most if t.signed else 0)]
    return number(scaled) if t.places == 0 else number(scaled) / z3.RatVal(10**t.places, 1)


def bindings(name: str, value: Any, t: Type, nullable: bool, world: World) -> list[tuple[Any, Any]]:
    """A typed value of a fact as (variable, Z3 value): what `Symbols.fact` declared, filled in. Raises ValueError for a list that is too long."""
    found: list[tuple[Any, Any]] = []
    if nullable:
        found.append((z3.Bool(f"null:{name}"), z3.BoolVal(value is None)))
    if value is None:
        return found
    if isinstance(t, BoolType):
        return [*found, (z3.Bool(name), z3.BoolVal(value))]
    if isinstance(t, NumberType):
        if t.places is None:
            return [*found, (z3.Real(name), z3.RatVal(*Fraction(value).as_integer_ratio()))]
        return [*found, (z3.Int(name), z3.IntVal(int(Fraction(value) * 10**t.places)))]
    if isinstance(t, SetType) and t.values is not None:
        return [*found, *((z3.Bool(f"{name}[{v}]"), z3.BoolVal(v in value)) for v in t.values)]
    if isinstance(t, (ListType, SetType)):
        if len(value) > world.items:
            raise ValueError(f"`{name}` has {len(value)} items")
        found.append((z3.Int(f"count:{name}"), z3.IntVal(len(value))))
        item = t.item if isinstance(t, ListType) else EMPTY_TEXT
        for i, v in enumerate(value):
            if isinstance(item, RecordType):
                for f, part in zip(item.fields, v, strict=True):
                    found += bindings(f"{name}[{i}].{f.name}", part, f.type, f.nullable, world)
            else:
                found += bindings(f"{name}[{i}]", v, item, False, world)
        return found
    made = constant(value, world.texts).value
    if isinstance(made, Moment):
        return [*found, (z3.Int(name), z3.IntVal(made.day)), (z3.Int(f"{name}.clock"), z3.IntVal(made.clock))]
    return [*found, (z3.Int(name), z3.IntVal(made))]


#: The variables of terms asked about before; each term is kept, so that its number stays its own.
_REMEMBERED: dict[int, tuple[Any, frozenset[str]]] = {}
MAX_REMEMBERED = 20_000


def variables(expression: Any) -> frozenset[str]:
    """The names of the variables in a term."""
    if not is_term(expression):
        return frozenset()
    known = _REMEMBERED.get(expression.get_id())
    if known is not None:
        return known[1]
    found: set[str] = set()
    seen: set[int] = set()
    stack = [expression]
    while stack:
        at = stack.pop()
        if at.get_id() in seen:
            continue
        seen.add(at.get_id())
        if z3.is_const(at) and at.decl().kind() == z3.Z3_OP_UNINTERPRETED:
            found.add(at.decl().name())
        stack.extend(at.children())
    if len(_REMEMBERED) >= MAX_REMEMBERED:
        _REMEMBERED.clear()
    _REMEMBERED[expression.get_id()] = (expression, frozenset(found))
    return _REMEMBERED[expression.get_id()][1]


def plain_values(name: str, t: Type, nullable: bool, used: bool, texts: Texts) -> list[Any]:
    """What one would rather see of a fact in a witness, the most wanted first: empty lists, midnight, small round numbers."""
    found: list[Any] = []
    if nullable and not used:
        found.append(z3.Bool(f"null:{name}"))
    if isinstance(t, BoolType):
        found.append(z3.Not(z3.Bool(name)))
    elif isinstance(t, NumberType):
        if t.places is None:
            found += [z3.Real(name) <= 1, z3.Or(*(z3.Real(name) == z3.Q(n, 10) for n in range(11)))]
        else:
            scaled = z3.Int(name)
            found += [scaled <= 1_000_000 * 10**t.places, scaled >= 0, scaled <= 1000 * 10**t.places, scaled == 0]
    elif isinstance(t, DateTimeType):
        found.append(z3.Int(f"{name}.clock") == 0)
    elif isinstance(t, DateType):
        found += [z3.Int(name) >= date(2024, 1, 1).toordinal(), z3.Int(name) <= date(2026, 12, 31).toordinal()]
    elif isinstance(t, SetType) and t.values is not None:
        found += [z3.Not(z3.Bool(f"{name}[{v}]")) for v in t.values]
    elif isinstance(t, (ListType, SetType)):
        found += [z3.Int(f"count:{name}") <= 1, z3.Int(f"count:{name}") == 0]
    elif isinstance(t, EnumType):
        found.append(z3.Int(name) == texts.number(t.values[0]))
    return found
