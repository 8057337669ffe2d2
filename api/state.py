"""What the service holds: the library in use, swapped whole when rule files change, and what it has noticed about them."""

from __future__ import annotations

import gc
import logging
import threading
from pathlib import Path
from typing import Any

from cachetools import LRUCache

from api import metrics
from engine import library
from engine.decide import Program
from engine.errors import Fault
from engine.library import Library
from engine.version import Version

log = logging.getLogger("policy.service")
#: Programs with changed parameters that are kept ready for what-ifs.
WHAT_IFS = 64


class State:
    """The library in use. Readers take `state.library` once and keep it for the whole request."""

    def __init__(self, root: Path) -> None:
        self.root = root
        gc.disable()  # what is loaded stays: collecting in between only costs time
        self.library = library.load(root)
        gc.enable()
        gc.freeze()
        self._changed: LRUCache[Any, Program] = LRUCache(WHAT_IFS)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._watcher: threading.Thread | None = None
        self._tell(self.library, "start")

    def reload(self) -> bool:
        """Read what changed and put the new library in place at once. True if anything changed."""
        old = self.library
        if library.stamps_of(self.root) == old.stamps:
            return False
        new = library.load(self.root, old)
        for version in new.all():
            if version._program is None and version.release is not None:
                version.program  # noqa: B018  made ready before anybody asks
        self.library = new
        self._tell(new, "reload")
        return True

    def watch(self, seconds: float = 0.5) -> None:
        """Look for changed files in the background until `close`."""

        def look() -> None:
            while not self._stop.wait(seconds):
                try:
                    self.reload()
                except Exception:
                    metrics.RELOADS.labels("failed").inc()
                    log.exception("reload failed; the library in use stays")

        self._watcher = threading.Thread(target=look, name="rule-file-watcher", daemon=True)
        self._watcher.start()

    def close(self) -> None:
        self._stop.set()
        if self._watcher is not None:
            self._watcher.join(timeout=5)

    def changed(self, version: Version, parameters: dict[str, Any]) -> Program:
        """The program of a version with some parameters changed. Raises FactsError for parameters that do not fit."""
        key = (version.policy.digest, repr(sorted(parameters.items(), key=lambda p: p[0])))
        with self._lock:
            program = self._changed.get(key)
        if program is None:
            program = Program(version.policy, parameters)
            with self._lock:
                self._changed[key] = program
        return program

    def faults(self) -> list[Fault]:
        return [f for found in self.library.faults.values() for f in found if f.kind != "warning"]

    def readiness(self) -> tuple[bool, dict[str, Any]]:
        """Is every released version served, and what is wrong with rule files."""
        faults = [f.as_json() for f in self.faults()]
        ready = not self.library.unserved and bool(self.library.versions)
        status = "ready" if ready and not faults else "degraded" if ready else "not ready"
        served = sum(len(v) for v in self.library.versions.values())
        return ready, {"status": status, "policies": len(self.library.versions), "versions": served, "not_served": self.library.unserved, "faults": faults}

    def _tell(self, loaded: Library, event: str) -> None:
        bad = [str(f) for f in self.faults()]
        metrics.RELOADS.labels("broken" if bad else "clean").inc()
        metrics.FAULTS.set(len(bad))
        metrics.VERSIONS.set(sum(len(v) for v in loaded.versions.values()))
        metrics.NOT_SERVED.set(len(loaded.unserved))
        log.log(logging.WARNING if bad else logging.INFO, event, extra={"data": {"versions": sum(map(len, loaded.versions.values())), "faults": bad}})
