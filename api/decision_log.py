"""The decision log: every decision as one JSON line, with what a replay needs. Sensitive facts are masked.

Lines are handed to a writer thread, so that a slow disk does not slow a decision; a full queue makes the caller wait rather than lose a line.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from api import metrics
from api.requests import Ask
from engine.cases import flat
from engine.library import Library
from engine.types import SHANGHAI

_encode = msgspec.json.Encoder().encode
QUEUE = 10_000
log = logging.getLogger("policy.service")


class DecisionLog:
    """Appends decisions to a file."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=1 << 16)
        self._queue: queue.Queue[tuple[Library, str, Ask, dict[str, Any]] | None] = queue.Queue(QUEUE)
        self._thread = threading.Thread(target=self._run, name="decision-log", daemon=True)
        self._thread.start()

    def write(self, library: Library, kind: str, ask: Ask, answer: dict[str, Any]) -> None:
        """`known_at` is written as it was taken, so that a later release does not change the replay."""
        taken = ask if ask.known_at else msgspec.structs.replace(ask, known_at=datetime.now(SHANGHAI).isoformat(timespec="seconds"))
        self._queue.put((library, kind, taken, answer))

    def _run(self) -> None:
        while True:
            entry = self._queue.get()
            if entry is None:
                break
            try:
                self._file.write(line(*entry) + b"\n")
                if self._queue.empty():
                    self._file.flush()
            except OSError as error:
                metrics.LOG_LOST.inc()
                log.error("a decision could not be logged", extra={"data": {"decision_id": entry[3]["decision_id"], "error": str(error)}})

    def close(self) -> None:
        """Write what is waiting and close the file."""
        self._queue.put(None)
        self._thread.join(timeout=10)
        with contextlib.suppress(OSError):
            self._file.close()


def line(library: Library, kind: str, ask: Ask, answer: dict[str, Any]) -> bytes:
    """One decision: id, policy, version, digest, instants, facts (sensitive ones masked), outcome, codes, receipt."""
    version = library.versions.get(answer["policy"], {}).get(answer["version"])
    facts: Any = ask.facts
    if version is not None:
        asked = [version, *(v for used in version.policy.uses for v in library.versions.get(used, {}).values())]
        hidden = {n for v in asked for n, f in v.policy.facts.items() if f.sensitive}
        if hidden:
            facts = {n: "***" if n in hidden else v for n, v in flat(facts).items()}
    return _encode({
        "decision_id": answer["decision_id"], "ask": kind, "policy": answer["policy"], "version": answer["version"], "digest": answer["digest"],
        "as_of": answer["as_of"], "known_at": ask.known_at, "facts": _written(facts), "outcome": answer["outcome"],
        "reasons": [r["code"] for r in answer["reasons"]], "warnings": [w["code"] for w in answer["warnings"]], "missing": answer["missing"],
        "outputs": answer["outputs"], "receipt": answer["receipt"],
    })  # fmt: skip


def _written(value: Any) -> Any:
    """Facts as JSON data: exact numbers as the text they were sent as, which a replay reads again."""
    if isinstance(value, dict):
        return {name: _written(v) for name, v in value.items()}
    if isinstance(value, list):
        return [_written(v) for v in value]
    return format(value, "f") if isinstance(value, Decimal) else value
