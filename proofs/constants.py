"""Typed values of the engine as terms. A text is a number, the same in all readings that share their `Texts`."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from typing import Any

from engine.types import BoolType, DateTimeType, DateType, ListType, NullType, NumberType, RecordType, SetType, Type
from proofs.folding import Moment
from proofs.terms import NULL, Items, Term

DAY_MICROSECONDS = 86_400_000_000
#: The day of a `blank`: any that the calendar knows.
_DAY = date(2020, 1, 1).toordinal()


class Texts:
    """The texts that rules and requests name, each with its number."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.named: dict[int, str] = {}

    def number(self, text: str) -> int:
        if text not in self.numbers:
            free = len(self.named)
            while free in self.named:
                free += 1
            self.name(free, text)
        return self.numbers[text]

    def name(self, number: int, text: str) -> None:
        """From now on a number that nobody used stands for this text."""
        assert number not in self.named
        assert text not in self.numbers
        self.numbers[text] = number
        self.named[number] = text

    def text(self, number: int) -> str | None:
        """The text of a number; None if it is one that nobody named."""
        return self.named.get(number)


def constant(value: Any, texts: Texts) -> Term:
    """A typed value of the engine as a term."""
    return NULL if value is None else Term(_constant(value, texts))


def _constant(value: Any, texts: Texts) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return texts.number(value)
    if isinstance(value, tuple):
        return Items(tuple((True, constant(v, texts)) for v in value))
    if hasattr(value, "hour"):
        midnight = value.replace(hour=0, minute=0, second=0, microsecond=0)
        clock = value - midnight
        return Moment(value.toordinal(), clock.days * DAY_MICROSECONDS + clock.seconds * 1_000_000 + clock.microseconds)
    if isinstance(value, date):
        return value.toordinal()
    return Fraction(value)


def typed(value: Any, t: Type, texts: Texts) -> Term:
    """As `constant`, for a value that may hold records."""
    if value is None:
        return NULL
    if isinstance(t, RecordType):
        return Term(tuple(typed(v, f.type, texts) for v, f in zip(value, t.fields, strict=True)))
    if isinstance(t, ListType):
        return Term(Items(tuple((True, typed(v, t.item, texts)) for v in value)))
    return constant(value, texts)


def blank(t: Type, texts: Texts) -> Any:
    """A value of a type, to stand where nothing reads it: in a null, and where a parameter is unset. None for the type of a bare null."""
    if isinstance(t, BoolType):
        return False
    if isinstance(t, NumberType):
        return Fraction(0)
    if isinstance(t, (SetType, ListType)):
        return Items(())
    if isinstance(t, RecordType):
        return tuple(Term(blank(f.type, texts)) for f in t.fields)
    if isinstance(t, DateType):
        return _DAY
    if isinstance(t, DateTimeType):
        return Moment(_DAY, 0)
    return None if isinstance(t, NullType) else texts.number("")
