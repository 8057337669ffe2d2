"""Recorded decisions: the lines of a decision log (api/decision_log.py) for one policy, ready to be asked again."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from engine.cases import flat
from engine.clock import instant
from engine.errors import PolicyError

#: What the log writes for a sensitive fact.
MASKED = "***"
MAX_LINE = 8_000_000
_decode = msgspec.json.Decoder(float_hook=Decimal).decode


@dataclass(frozen=True, slots=True)
class Decision:
    """One recorded decision. `facts` by dotted name; `masked` are those whose values were not recorded: they are unknown to whoever asks again."""

    id: str
    line: int
    version: int
    as_of: datetime
    known_at: datetime | None
    facts: dict[str, Any]
    masked: tuple[str, ...]
    outcome: str
    outputs: dict[str, Any]
    receipt: str | None


@dataclass(slots=True)
class Log:
    """A file of decisions. What its lines were is counted while they are read: `others` are about other policies or ask for events of a machine."""

    path: Path
    policy: str
    read: int = 0
    others: int = 0
    masked: int = 0
    passed: int = 0
    size: int = 0
    versions: Counter[int] = field(default_factory=Counter)
    bad: list[dict[str, Any]] = field(default_factory=list)

    def decisions(self) -> Iterator[Decision]:
        """The decisions of the policy in the order of the file; a line that cannot be used is put among `bad`. Raises PolicyError."""
        seen: set[str] = set()
        try:
            with self.path.open("rb") as file:
                self.size = os.fstat(file.fileno()).st_size
                for number, raw in enumerate(file, 1):
                    self.passed += len(raw)
                    if not raw.strip():
                        continue
                    try:
                        found = self._decision(number, raw)
                    except ValueError as error:
                        self.bad.append({"line": number, "reason": str(error)})
                        continue
                    if found is None:
                        self.others += 1
                    elif found.id in seen:
                        self.bad.append({"line": number, "reason": f"the decision `{found.id}` stands in the log twice"})
                    else:
                        seen.add(found.id)
                        self.read += 1
                        self.masked += bool(found.masked)
                        self.versions[found.version] += 1
                        yield found
        except OSError as error:
            raise PolicyError(f"`{self.path}` cannot be read: {error.strerror}; name the file that the service was started with as its decision log") from None

    def _decision(self, number: int, raw: bytes) -> Decision | None:
        if len(raw) > MAX_LINE:
            raise ValueError("the line is too long")
        try:
            data = _decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ValueError("no JSON; the line may have been cut off") from None
        if not isinstance(data, dict) or not isinstance(data.get("policy"), str):
            raise ValueError("no decision: it names no policy")
        if data["policy"] != self.policy or (data.get("ask") == "compute" and "open_events" in (data.get("outputs") or {})):
            return None
        facts = data.get("facts")
        if not isinstance(facts, dict):
            raise ValueError("it holds no facts; only a decision log that keeps them can be asked again")
        wrong = [k for k, kind in (("decision_id", str), ("version", int), ("as_of", str), ("outcome", str)) if not isinstance(data.get(k), kind)]
        if wrong:
            raise ValueError("no decision: " + ", ".join(f"`{k}`" for k in wrong) + " is missing or of a wrong kind")
        known = flat(facts)
        masked = tuple(sorted(n for n, v in known.items() if v == MASKED))
        at = instant(data["known_at"]) if isinstance(data.get("known_at"), str) else None
        return Decision(
            data["decision_id"], number, data["version"], instant(data["as_of"]), at, {n: v for n, v in known.items() if n not in masked}, masked,
            data["outcome"], data.get("outputs") or {}, data.get("receipt"),
        )  # fmt: skip

    @property
    def share(self) -> float:
        """How much of the file is read."""
        return min(self.passed / self.size, 1.0) if self.size else 0.0

    def as_json(self) -> dict[str, Any]:
        """What was read, for a result: at most 100 bad lines."""
        return {
            "decisions": self.read, "other_lines": self.others, "masked": self.masked, "set_aside": len(self.bad), "bad": self.bad[:100],
            "versions": {str(v): n for v, n in sorted(self.versions.items())},
        }  # fmt: skip


def at_path(outputs: dict[str, Any], name: str) -> Any:
    """An output of an answer by its dotted name; None where it is not there."""
    found: Any = outputs
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found
