"""The library: every version of every policy in a folder, with the ledger; finds the version in force, and reloads what changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from engine import releases
from engine.circles import refuse_circles
from engine.decide import Program, Resolver
from engine.errors import Fault, NotFound, Place, ReleaseError, RuleFileError, did_you_mean
from engine.functions import to_date
from engine.releases import Period, Release
from engine.source import digest_of
from engine.version import Version, version_of

#: So many answers to "which version is in force" are kept; they go with the snapshot at a reload.
REMEMBERED = 4096


@dataclass(slots=True)
class Library:
    """An immutable snapshot of a folder of rule files. `faults` tells the files that could not be used."""

    root: Path
    versions: dict[str, dict[int, Version]]
    ledger: list[Release]
    faults: dict[str, list[Fault]]
    stamps: dict[str, tuple[int, int]]
    unserved: list[str] = field(default_factory=list)
    _released: dict[str, list[Release]] = field(init=False, repr=False)
    _found: dict[tuple[str, date, datetime | None], Version] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._released = {}
        self._found = {}
        for r in self.ledger:
            self._released.setdefault(r.policy, []).append(r)

    # -- finding a version ---------------------------------------------------------------------------------------------------------

    def policies(self) -> list[str]:
        return sorted(self.versions)

    def version(self, policy: str, number: int) -> Version:
        """A version by number, draft or released. Raises NotFound that lists what there is."""
        versions = self._of(policy)
        if number not in versions:
            raise NotFound("version", f"policy `{policy}` has no version {number}", sorted(versions))
        return versions[number]

    def in_force(self, policy: str, as_of: datetime, known_at: datetime | None) -> Version:
        """The version in force on `as_of`, out of those released by `known_at` (None: all). Raises NotFound with the periods that exist."""
        day = to_date(as_of)
        last = self._released[policy][-1].released_at if policy in self._released else None
        if known_at is not None and last is not None and known_at >= last:
            known_at = None
        key = (policy, day, known_at)
        found = self._found.get(key)
        if found is None:
            found = self._in_force(policy, day, known_at)
            if len(self._found) >= REMEMBERED:
                self._found.clear()
            self._found[key] = found
        return found

    def _in_force(self, policy: str, day: date, known_at: datetime | None) -> Version:
        versions = self._of(policy)
        found = self.periods(policy, known_at)
        for period in found:
            if period.holds(day):
                if period.version in versions:
                    return versions[period.version]
                raise NotFound("version", f"version {period.version} of `{policy}` is in force but its file cannot be used", [p.as_json() for p in found])
        drafts = sorted(n for n, v in versions.items() if v.release is None)
        hint = f"; drafts can be pinned: {drafts}" if drafts else ""
        raise NotFound("version", f"no version of `{policy}` is in force on {day.isoformat()}{hint}", [p.as_json() for p in found])

    def periods(self, policy: str, known_at: datetime | None) -> list[Period]:
        return releases.periods(releases.known(self._released.get(policy, ()), policy, known_at))

    def resolver(self, as_of: datetime, known_at: datetime | None) -> Resolver:
        """Finds the policies that others use, in force at the same instants."""
        return _Resolver(self, as_of, known_at)

    def _of(self, policy: str) -> dict[int, Version]:
        if policy not in self.versions:
            hint = did_you_mean(policy, self.versions)
            raise NotFound("policy", f"unknown policy `{policy}`" + (f"; {hint}" if hint else ""), self.policies())
        return self.versions[policy]

    def all(self) -> Iterator[Version]:
        for policy in self.policies():
            yield from (self.versions[policy][n] for n in sorted(self.versions[policy]))


@dataclass(frozen=True, slots=True)
class _Resolver:
    """The policies in force at one instant, as known at another; a policy with drafts only is used in the draft that `as_of` falls to."""

    library: Library
    as_of: datetime
    known_at: datetime | None

    def __call__(self, policy: str) -> Program | None:
        try:
            return self.library.in_force(policy, self.as_of, self.known_at).program
        except NotFound:
            versions = self.library.versions.get(policy, {})
            if not versions or self.library.periods(policy, None):
                return None
            begun = [v for v in versions.values() if v.policy.effective_from <= to_date(self.as_of)]
            return max(begun, key=lambda v: v.policy.effective_from).program if begun else None

    def facts(self, policy: str) -> set[str]:
        """The facts of every version of a policy and of those that it uses: a request may hold them whether or not one is in force."""
        found: set[str] = set()
        for version in self.library.versions.get(policy, {}).values():
            found |= set(version.policy.facts)
            for used in version.policy.uses:
                found |= self.facts(used)
        return found


def rule_files(root: Path) -> list[Path]:
    """The rule files below a folder: `<family>/<policy>/v<N>.yaml`."""
    return sorted(p for p in root.glob("*/*/v*.yaml") if p.stem[1:].isdigit())


def stamps_of(root: Path) -> dict[str, tuple[int, int]]:
    """Time and size of every rule file, of the differences that were released with them, and of the ledger: equal stamps, equal library."""
    stamps = {}
    for path in [*rule_files(root), *sorted(root.glob("*/*/v*.difference.json")), root / releases.LEDGER]:
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue
        stamps[path.relative_to(root).as_posix()] = (stat.st_mtime_ns, stat.st_size)
    return stamps


def load(root: Path, before: Library | None = None) -> Library:
    """Read a folder. A file that is unchanged since `before` is taken over; one that is broken leaves the version that worked in its place."""
    faults: dict[str, list[Fault]] = {}
    lost = False
    try:
        ledger = releases.read_ledger(root)
        if before is not None and ledger[: len(before.ledger)] != before.ledger:
            raise ReleaseError("lines of the ledger that were in use are changed or gone; the ledger is append-only")
    except ReleaseError as error:
        faults[releases.LEDGER] = [Fault(Place(releases.LEDGER, 1, 1), str(error), "restore the ledger from version control")]
        ledger = before.ledger if before else []
        lost = before is None
    versions: dict[str, dict[int, Version]] = {}
    stamps = stamps_of(root)
    released = {(r.policy, r.version): r for r in ledger}
    for path in rule_files(root):
        name = path.relative_to(root).as_posix()
        if name not in stamps:
            continue
        old = _same_file(before, path)
        try:
            version = version_of(path, name, stamps[name], old, released)
        except RuleFileError as error:
            faults[name] = error.faults
            if old is None:
                continue
            version = Version(old.policy, path, old.stamp, old.release, old._program)
        versions.setdefault(version.policy.id, {})[version.policy.version] = version
    for name, found in refuse_circles(versions, before.versions if before else {}).items():
        faults.setdefault(name, []).extend(found)
    faults |= _differences(root, ledger, versions)
    unserved = ["every released version: the ledger cannot be read"] if lost else []
    unserved += sorted(f"{r.policy} v{r.version}" for r in ledger if r.version not in versions.get(r.policy, {}))
    if before is not None:
        _keep_lost(before, versions, unserved, faults)
    return Library(root, versions, ledger, faults, stamps, unserved)


def _differences(root: Path, ledger: list[Release], versions: dict[str, dict[int, Version]]) -> dict[str, list[Fault]]:
    """Differences that were released with a version and are not there any more as they were. No answer depends on them, so the version is served."""
    faults: dict[str, list[Fault]] = {}
    for r in ledger:
        version = versions.get(r.policy, {}).get(r.version)
        if r.difference is None or version is None:
            continue
        path = releases.difference_file(version.path)
        try:
            changed = "was edited" if digest_of(path.read_bytes()) != r.difference else None
        except OSError:
            changed = "is gone or cannot be read"
        if changed:
            name = path.relative_to(root).as_posix()
            message = f"the difference that was released with {r.policy} v{r.version} {changed}"
            faults[name] = [Fault(Place(name, 1, 1), message, "restore it from version control", "edited-after-release")]
    return faults


def _keep_lost(before: Library, versions: dict[str, dict[int, Version]], unserved: list[str], faults: dict[str, list[Fault]]) -> None:
    """A released version whose file was taken away goes on serving, and the loss is told."""
    for version in before.all():
        policy = version.policy
        if version.release is not None and policy.name in unserved:
            versions.setdefault(policy.id, {})[policy.version] = version
            unserved.remove(policy.name)
            faults[policy.file] = [Fault(Place(policy.file, 1, 1), "a released rule file is gone", "restore it from version control")]


def _same_file(before: Library | None, path: Path) -> Version | None:
    if before is None:
        return None
    number = int(path.stem[1:])
    old = before.versions.get(path.parent.name, {}).get(number)
    return old if old is not None and old.path == path else None
