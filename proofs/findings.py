"""What the lints find: a statement about one version, its place in the rule file, and how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.decide import Program
from engine.errors import Place
from engine.policy import Policy
from proofs.folding import Truth
from proofs.lowering import Reading
from proofs.solver import Asker, Confirmed, Found, confirmed
from proofs.symbols import World

PROVED, UNDECIDED = "proved", "undecided"


@dataclass(frozen=True, slots=True)
class Finding:
    """`lint` is a stable code; `at` names the requirement, table, value or state; `rows` are row numbers of a table.

    `witness` is a request that shows it, confirmed by the engine, where there is one. `because` is the author's explanation (en, zh), if he has given one.
    """

    lint: str
    at: str
    place: Place
    message: str
    help: str | None = None
    rows: tuple[int, ...] = ()
    witness: dict[str, Any] | None = None
    status: str = PROVED
    because: dict[str, str] | None = None

    def __str__(self) -> str:
        text = f"{self.place}: {self.message} [{self.lint}]"
        return f"{text}\n  help: {self.help}" if self.help else text

    def as_json(self) -> dict[str, Any]:
        return {
            "lint": self.lint, "at": self.at, "file": self.place.file, "line": self.place.line, "column": self.place.column, "message": self.message,
            "help": self.help, "rows": list(self.rows), "witness": self.witness, "status": self.status, "because": self.because,
        }  # fmt: skip


@dataclass(slots=True)
class Subject:
    """One version under the lints. `seen`: codes that its own cases show to fire, so that nothing about long lists is guessed."""

    policy: Policy
    program: Program
    seen: frozenset[str] = frozenset()
    seconds: float = 2.0
    world: World = field(default_factory=World)
    reading: Reading = field(init=False)
    asker: Asker = field(init=False)

    def __post_init__(self) -> None:
        self.reading = Reading(self.policy, self.world)
        self.asker = Asker([self.reading], self.seconds)

    def ask(self, *conditions: Truth, nice: bool = False) -> Found:
        return self.asker.ask(*conditions, nice=nice)

    def shown(self, found: Found) -> Confirmed | None:
        """The model of an answer, confirmed by the engine."""
        return confirmed(self.asker, [self.program], found.model) if found.possible else None

    def limits(self, found: Found, *conditions: Truth) -> str | None:
        """Why a statement that something is impossible is not proved for all facts; None if it is."""
        if found.status == UNDECIDED:
            return found.reason
        lists = sorted(self.reading.bounded(*conditions))
        if lists:
            return f"only lists of at most {self.world.items} items were looked at ({', '.join(f'`{n}`' for n in lists)})"
        return None


def impossible(
    subject: Subject, lint: str, at: str, place: Place, message: str, found: Found, conditions: Sequence[Truth], help: str | None = None
) -> list[Finding]:
    """The finding that something cannot happen, if it cannot, or if that is not decided."""
    if found.possible:
        return []
    limit = subject.limits(found, *conditions)
    if limit is None:
        return [Finding(lint, at, place, message, help)]
    return [Finding(lint, at, place, f"{message}; undecided: {limit}", help, status=UNDECIDED)]
