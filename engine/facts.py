"""The facts of a request: held against their types, all misfits reported at once, the good ones turned into typed values.

Unknown (absent) facts become Unknown values that know their own name; a fact in a list is named `staff[0].certificates[1].level`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache, partial
from typing import Any

from engine.clock import calendar_day, zoned
from engine.errors import BadFact, FactsError, did_you_mean
from engine.policy import FactDef
from engine.types import (
    ROUNDING,
    SHANGHAI,
    BoolType,
    DateTimeType,
    DateType,
    EnumType,
    ListType,
    NumberType,
    RecordType,
    SetType,
    TextType,
    Type,
)
from engine.unknown import Unknown

MAX_ITEMS = 10_000
MAX_TEXT = 10_000
MAX_DIGITS = 30
MAX_INTEGER = 10**18
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_MISSING = object()


class Exponent(str):
    """The text of a JSON number that was written with an exponent: no number of a request is, and no text either."""

    __slots__ = ()


class _Bad(Exception):
    def __init__(self, message: str, help: str | None = None) -> None:
        self.message, self.help = message, help


def as_number(raw: Any, t: NumberType) -> int | Decimal:
    """A number of a request: a JSON number or text, taken as its decimal text. Exact, or refused."""
    if isinstance(raw, bool) or not isinstance(raw, (int, str, Decimal)):
        raise _Bad(f"expected {t}, got {_shown(raw)}", "write a number, or its decimal text in quotes")
    text = number_text(raw) if isinstance(raw, Decimal) else str(raw)
    if text is None:
        raise _Bad(f"a number of more than {MAX_DIGITS} digits")
    return number_reader(t)(text)


def json_number(text: str) -> Decimal | Exponent:
    """The exact decimal of a JSON number; one with an exponent is left to the facts' types, which refuse it with its place."""
    return Exponent(text) if "e" in text or "E" in text else Decimal(text)


def _is_text(raw: Any) -> bool:
    return isinstance(raw, str) and not isinstance(raw, Exponent)


def number_text(number: Decimal) -> str | None:
    """The decimal text of a JSON number. Decimal writes 0.0000001 with an exponent, which it never had; None if it has more than MAX_DIGITS digits."""
    text = str(number)
    if "E-" not in text:
        return text
    return format(number, "f") if number.adjusted() >= -MAX_DIGITS else None


@lru_cache(maxsize=512)
def number_reader(t: NumberType) -> Callable[[str], int | Decimal]:
    """Reads the decimal text of one type; texts read before are remembered (bounded)."""
    return lru_cache(maxsize=4096)(partial(_number, t))


def _number(t: NumberType, text: str) -> int | Decimal:
    if not _NUMBER.fullmatch(text):
        hint = "write it without exponent, sign +, spaces or separators"
        raise _Bad(f"expected {t}, got `{text[:40]}`", hint)
    if sum(c.isdigit() for c in text) > MAX_DIGITS:
        raise _Bad(f"a number of more than {MAX_DIGITS} digits")
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise _Bad(f"expected {t}, got `{text[:40]}`") from None
    places = -int(value.as_tuple().exponent)
    if t.places is not None and places > t.places:
        if t.places == 0:
            raise _Bad(f"expected a whole number, got `{text}`")
        raise _Bad(f"`{text}` has {places} decimals, at most {t.places} are allowed", "round it by your own rule first; nothing is rounded in silence")
    if value < 0 and not t.signed:
        raise _Bad(f"`{text}` is below 0", "amounts and counts here are 0 or more")
    if t.name == "integer":
        if abs(value) > MAX_INTEGER:
            raise _Bad(f"`{text}` is beyond {MAX_INTEGER}")
        return int(value)
    if t.places is not None:
        return value.quantize(Decimal(1).scaleb(-t.places), context=ROUNDING) + 0
    return value.normalize(ROUNDING) + 0


@lru_cache(maxsize=4096)
def _date(text: str) -> date:
    try:
        return calendar_day(text)
    except ValueError:
        raise _Bad(f"`{text[:40]}` is no date", "write it as 2025-01-16") from None


@lru_cache(maxsize=4096)
def _datetime(text: str) -> datetime:
    try:
        moment = zoned(text)
    except ValueError:
        raise _Bad(f"`{text[:40]}` is no date and time", "write it as 2025-01-16T09:00:00+08:00") from None
    if moment.tzinfo is None:
        raise _Bad(f"`{text[:40]}` has no time zone", "add it: 2025-01-16T09:00:00+08:00")
    try:
        return moment.astimezone(SHANGHAI)
    except (OverflowError, ValueError):
        raise _Bad(f"`{text[:40]}` is out of range") from None


def _shown(raw: Any) -> str:
    if raw is None:
        return "null"
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, dict):
        return "an object"
    if isinstance(raw, list):
        return "a list"
    text = number_text(raw) if isinstance(raw, Decimal) else None
    return f"`{(text or str(raw))[:40]}`"


class FactReader:
    """Reads requests for one policy. `slots` gives the typed values in the order of the rule file."""

    def __init__(self, facts: Mapping[str, FactDef]) -> None:
        self.facts = facts
        self.unknowns = {name: Unknown(frozenset([name]), low=_low(f.type), blank=_blank(f.type)) for name, f in facts.items()}
        self.parents = {n.rsplit(".", k)[0] for n in facts for k in range(1, n.count(".") + 1)}

    def slots(self, raw: Any, also: Iterable[str] = ()) -> tuple[Any, ...]:
        """The typed value of every fact, Unknown where it is absent. `also` names facts of other policies that may stand in the same request.

        Raises FactsError with every bad fact.
        """
        bad: list[BadFact] = []
        if not isinstance(raw, dict):
            raise FactsError([BadFact("", f"facts must be an object, got {_shown(raw)}")])
        given: dict[str, Any] = {}
        self._flatten(raw, "", given, bad, frozenset(also))
        values = []
        for name, fact in self.facts.items():
            if name not in given:
                values.append(self.unknowns[name])
                continue
            values.append(self._value(given[name], fact.type, fact.nullable, name, bad))
        if bad:
            raise FactsError(bad)
        return tuple(values)

    def _flatten(self, raw: dict[str, Any], prefix: str, given: dict[str, Any], bad: list[BadFact], also: frozenset[str]) -> None:
        for key, value in raw.items():
            name = f"{prefix}{key}"
            if name in self.facts:
                if name in given:
                    bad.append(BadFact(name, "given twice, once dotted and once nested"))
                given[name] = value
            elif isinstance(value, dict) and (name in self.parents or any(a.startswith(f"{name}.") for a in also)):
                self._flatten(value, f"{name}.", given, bad, also)
            elif name in self.parents:
                bad.append(BadFact(name, f"expected an object, got {_shown(value)}", f"it holds facts such as `{self._below(name)}`"))
            elif name not in also:
                known = did_you_mean(name, self.facts, "GET the schema of this version for all its facts")
                bad.append(BadFact(name, "unknown fact", known))

    def _below(self, name: str) -> str:
        return next(f for f in self.facts if f.startswith(f"{name}."))

    def _value(self, raw: Any, t: Type, nullable: bool, path: str, bad: list[BadFact]) -> Any:
        try:
            if raw is None or (isinstance(t, (TextType, EnumType)) and isinstance(raw, str) and not raw.strip()):
                if nullable:
                    return None
                said = "null" if raw is None else "blank text, which counts as null,"
                raise _Bad(f"{said} is not allowed here", "leave the fact out if it is unknown")
            return self._present(raw, t, path, bad)
        except _Bad as error:
            bad.append(BadFact(path, error.message, error.help))
            return None

    def _present(self, raw: Any, t: Type, path: str, bad: list[BadFact]) -> Any:
        if isinstance(t, BoolType):
            if isinstance(raw, bool):
                return raw
            raise _Bad(f"expected true or false, got {_shown(raw)}")
        if isinstance(t, NumberType):
            return as_number(raw, t)
        if isinstance(t, EnumType):
            if _is_text(raw) and raw in t.values:
                return raw
            hint = did_you_mean(raw, t.values) if _is_text(raw) else None
            raise _Bad(f"{_shown(raw)} is not one of {', '.join(t.values)}", hint)
        if isinstance(t, TextType):
            if not _is_text(raw):
                raise _Bad(f"expected text, got {_shown(raw)}")
            if len(raw) > MAX_TEXT:
                raise _Bad(f"more than {MAX_TEXT} characters")
            return raw
        if isinstance(t, (DateType, DateTimeType)):
            if not isinstance(raw, str):
                raise _Bad(f"expected a {t} as text, got {_shown(raw)}")
            return _date(raw) if isinstance(t, DateType) else _datetime(raw)
        if not isinstance(raw, list):
            raise _Bad(f"expected a list, got {_shown(raw)}")
        if len(raw) > MAX_ITEMS:
            raise _Bad(f"{len(raw)} items, more than the limit of {MAX_ITEMS}")
        if isinstance(t, SetType):
            inner: Type = TextType() if t.values is None else EnumType(t.values)
            items = tuple(self._value(item, inner, False, f"{path}[{i}]", bad) for i, item in enumerate(raw))
            if len(set(items)) != len(items) and None not in items:
                raise _Bad("a value stands twice in this set")
            rank = {value: i for i, value in enumerate(t.values or ())}
            return items if t.values is None else tuple(sorted(items, key=lambda v: rank.get(v, -1)))
        assert isinstance(t, ListType)
        if isinstance(t.item, RecordType):
            return tuple(self._record(item, t.item, f"{path}[{i}]", bad) for i, item in enumerate(raw))
        return tuple(self._value(item, t.item, False, f"{path}[{i}]", bad) for i, item in enumerate(raw))

    def _record(self, raw: Any, t: RecordType, path: str, bad: list[BadFact]) -> tuple[Any, ...]:
        if not isinstance(raw, dict):
            bad.append(BadFact(path, f"expected an object, got {_shown(raw)}"))
            return ()
        given: dict[str, Any] = {}
        names = {f.name for f in t.fields}
        self._record_fields(raw, "", names, path, given, bad)
        values = []
        for f in t.fields:
            if f.name in given:
                values.append(self._value(given[f.name], f.type, f.nullable, f"{path}.{f.name}", bad))
            else:
                values.append(Unknown(frozenset([f"{path}.{f.name}"]), low=_low(f.type), blank=_blank(f.type)))
        return tuple(values)

    def _record_fields(self, raw: dict[str, Any], prefix: str, names: set[str], path: str, given: dict[str, Any], bad: list[BadFact]) -> None:
        for key, value in raw.items():
            name = f"{prefix}{key}"
            if name in names:
                given[name] = value
            elif isinstance(value, dict) and any(n.startswith(f"{name}.") for n in names):
                self._record_fields(value, f"{name}.", names, path, given, bad)
            else:
                bad.append(BadFact(f"{path}.{name}", "unknown field", did_you_mean(name, names, "fields: " + ", ".join(sorted(names)))))


def _low(t: Type) -> Any:
    """The lowest value that an unknown fact of this type can have."""
    return 0 if isinstance(t, NumberType) and not t.signed else None


def _blank(t: Type) -> Any:
    """An item of an unknown list: nothing of it is known."""
    if not isinstance(t, (ListType, SetType)):
        return None
    if isinstance(t, ListType) and isinstance(t.item, RecordType):
        return tuple(Unknown(low=_low(f.type), blank=_blank(f.type)) for f in t.item.fields)
    return Unknown()
