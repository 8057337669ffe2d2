"""One version of a policy: its rule file, read and held against what was released."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

from engine.check import check_policy
from engine.decide import Program
from engine.errors import Fault, Place, RuleFileError
from engine.policy import Policy
from engine.releases import Release
from engine.source import digest_of, read


@dataclass(slots=True)
class Version:
    """One rule file that works. Its program is made when it is first asked."""

    policy: Policy
    path: Path
    stamp: tuple[int, int]
    release: Release | None
    _program: Program | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def program(self) -> Program:
        if self._program is None:
            with self._lock:
                self._program = self._program or Program(self.policy)
        return self._program

    @property
    def status(self) -> str:
        return "released" if self.release else "draft"


def version_of(path: Path, name: str, stamp: tuple[int, int], old: Version | None, released: dict[tuple[str, int], Release]) -> Version:
    """The version in a rule file; `old`, if the file is as it was. Raises RuleFileError, also where its release says something else."""
    release = released.get((path.parent.name, int(path.stem[1:])))
    if old is not None and old.stamp == stamp and (release is None or release.digest == old.policy.digest):
        return old if release == old.release else Version(old.policy, path, stamp, release, old._program)
    if release is not None and digest_of(path.read_bytes()) != release.digest:
        message = f"this file was edited after its release on {release.released_at.date()}"
        raise RuleFileError([Fault(Place(name, 1, 1), message, "restore it, and write the change as a new version", "edited-after-release")])
    source = read(path, name)
    policy = check_policy(source)
    if release is not None and (policy.effective_from, policy.effective_until) != (release.effective_from, release.effective_until):
        message = f"the ledger says that this version is in force from {release.effective_from}, the rule file says {policy.effective_from}"
        raise RuleFileError([Fault(Place(name, 1, 1), message, "restore the ledger from version control")])
    expected = (path.parent.parent.name, path.parent.name, path.stem)
    if (policy.model.family, policy.id, f"v{policy.version}") != expected:
        message = f"the file says {policy.model.family}/{policy.id}/v{policy.version}, its path {'/'.join(expected)}"
        raise RuleFileError([Fault(source.place(("policy",)), message, "make them the same")])
    return Version(policy, path, stamp, release)
