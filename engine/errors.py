"""Every error that the engine raises, one class for each kind. How they are worded: docs/error-style.md."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a rule file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a rule file: where it is, what is wrong, and what to do about it."""

    place: Place
    message: str
    help: str | None = None
    kind: str = "rule-file"

    def __str__(self) -> str:
        text = f"{self.place}: {self.message}"
        return f"{text}\n  help: {self.help}" if self.help else text

    def as_json(self) -> dict[str, Any]:
        return {
            "file": self.place.file,
            "line": self.place.line,
            "column": self.place.column,
            "kind": self.kind,
            "message": self.message,
            "help": self.help,
        }


class PolicyError(Exception):
    """Base of all errors of this engine."""


class RuleFileError(PolicyError):
    """A rule file or a case file cannot be used; carries every fault found."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = sorted(set(faults), key=lambda f: (f.place.file, f.place.line, f.place.column, f.message))
        super().__init__("\n".join(str(f) for f in self.faults))


@dataclass(frozen=True, slots=True)
class BadFact:
    """One fact of a request that its type refuses. `path` is the dotted name, list items as `staff[0].id`."""

    path: str
    message: str
    help: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {"fact": self.path, "pointer": pointer(self.path), "message": self.message, "help": self.help}


class FactsError(PolicyError):
    """The facts of a request do not fit their types; carries every bad fact."""

    def __init__(self, bad: Iterable[BadFact]) -> None:
        self.bad = list(bad)
        super().__init__("; ".join(f"{b.path}: {b.message}" for b in self.bad))


class EvaluationError(PolicyError):
    """A rule cannot give a value for these facts: no row matched, two rows of a unique table, division by zero …"""

    def __init__(self, kind: str, message: str, place: Place | None = None) -> None:
        self.kind = kind
        self.place = place
        super().__init__(message)


@dataclass(slots=True)
class NotFound(PolicyError):
    """A policy or version that does not exist, or none in force; `exists` lists what there is."""

    kind: str
    message: str
    exists: list[Any] = field(default_factory=list)

    def __str__(self) -> str:
        return self.message


class ReleaseError(PolicyError):
    """A release is refused, or the ledger and a rule file disagree."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`, or None if none is close."""
    by_lower = {k.lower(): k for k in known}
    found = difflib.get_close_matches(name.lower(), list(by_lower), n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str], otherwise: str | None = None) -> str | None:
    """A help line with the nearest known name."""
    close = nearest(name, known)
    return f"did you mean `{close}`?" if close else otherwise


def pointer(path: str) -> str:
    """The JSON pointer (RFC 6901) into the request body of a dotted fact path."""
    parts = path.replace("[", ".").replace("]", "").split(".")
    return "/facts" + "".join("/" + p.replace("~", "~0").replace("/", "~1") for p in parts if p)
