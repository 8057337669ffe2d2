"""What keeps a population from being read: every misfit with its place and its remedy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from engine.errors import PolicyError


@dataclass(frozen=True, slots=True)
class Misfit:
    """One thing that does not fit. `place`: a file, a table, or a line of a mapping file."""

    place: str
    message: str
    help: str | None = None

    def __str__(self) -> str:
        text = f"{self.place}: {self.message}"
        return f"{text}\n  help: {self.help}" if self.help else text


class PopulationError(PolicyError):
    """A population cannot be used as a whole; carries every misfit found. Single bad rows are set aside instead."""

    def __init__(self, misfits: Iterable[Misfit]) -> None:
        self.misfits = tuple(misfits)
        super().__init__("\n".join(str(m) for m in self.misfits))


def refuse(place: str, message: str, help: str | None = None) -> PopulationError:
    """The error with one misfit."""
    return PopulationError([Misfit(place, message, help)])
