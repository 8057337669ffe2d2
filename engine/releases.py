"""The release ledger: `policies/releases.jsonl`, append-only. Which versions were released, when, by whom, with which digest.

Each line carries the digest of the line before it, so a changed or removed line is found when the ledger is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from engine.clock import instant
from engine.errors import ReleaseError

LEDGER = "releases.jsonl"
#: Keys that a line may leave out: it is then as it was before there were such keys.
OPTIONAL = ("score", "without_score", "difference")


@dataclass(frozen=True, slots=True)
class Release:
    """One released version. `supersedes`: the version that this one corrects, from `released_at` on, for the same period.

    `score`: the percentage of mutants that its cases notice; `without_score`: why it was released without one. `difference`: the digest of the
    semantic difference to the version before, beside the rule file.
    """

    policy: str
    version: int
    digest: str
    cases_digest: str
    effective_from: date
    effective_until: date | None
    released_at: datetime
    released_by: str
    note: str
    supersedes: int | None
    previous: str
    score: str | None = None
    without_score: str | None = None
    difference: str | None = None

    def as_json(self) -> dict[str, Any]:
        data = {k: v for k, v in asdict(self).items() if v is not None or k not in OPTIONAL}
        data["effective_from"] = self.effective_from.isoformat()
        data["effective_until"] = self.effective_until.isoformat() if self.effective_until else None
        data["released_at"] = self.released_at.isoformat()
        return data


@dataclass(frozen=True, slots=True)
class Period:
    """When a released version is in force: from a day up to, but not including, another."""

    version: int
    start: date
    end: date | None

    def holds(self, day: date) -> bool:
        return self.start <= day and (self.end is None or day < self.end)

    def as_json(self) -> dict[str, Any]:
        return {"version": self.version, "from": self.start.isoformat(), "until": self.end.isoformat() if self.end else None}


def line_digest(line: str) -> str:
    return "sha256:" + hashlib.sha256(line.encode()).hexdigest()


def read_ledger(root: Path) -> list[Release]:
    """All releases in order. Raises ReleaseError if a line is broken or the chain of digests does not hold."""
    path = root / LEDGER
    if not path.exists():
        return []
    releases: list[Release] = []
    previous = ""
    for number, line in enumerate(_lines(path), 1):
        try:
            data = json.loads(line)
            release = Release(
                data["policy"], int(data["version"]), data["digest"], data["cases_digest"], date.fromisoformat(data["effective_from"]),
                date.fromisoformat(data["effective_until"]) if data["effective_until"] else None, instant(data["released_at"]), data["released_by"],
                data["note"], data["supersedes"], data["previous"], *(_text(data, key) for key in OPTIONAL),
            )  # fmt: skip
        except (ValueError, KeyError, TypeError) as error:
            raise ReleaseError(f"{path}:{number}: this is no release: {error}") from None
        if release.previous != previous:
            raise ReleaseError(f"{path}:{number}: the line before it was changed or removed; the ledger is append-only")
        previous = line_digest(line)
        releases.append(release)
    return releases


def difference_file(rule_file: Path) -> Path:
    """Where the semantic difference to the version before stands: `vN.difference.json`."""
    return rule_file.with_name(f"{rule_file.stem}.difference.json")


def _text(data: dict[str, Any], key: str) -> str | None:
    found = data.get(key)
    if found is not None and not isinstance(found, str):
        raise TypeError(f"`{key}` is no text")
    return found


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ReleaseError(f"{path}: the ledger is not UTF-8 at byte {error.start}") from None
    if text and not text.endswith("\n"):
        raise ReleaseError(f"{path}: the last line has no end, as after a write that was cut off")
    return text.split("\n")[:-1]


def append(root: Path, release: Release) -> Release:
    """Write one release at the end of the ledger, chained to the line before it. Raises ReleaseError if the ledger is not whole; nothing is written then."""
    path = root / LEDGER
    read_ledger(root)
    lines = _lines(path) if path.exists() else []
    data = release.as_json() | {"previous": line_digest(lines[-1]) if lines else ""}
    with path.open("a", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(data, ensure_ascii=False) + "\n")
    return read_ledger(root)[-1]


def known(releases: Iterable[Release], policy: str, known_at: datetime | None) -> list[Release]:
    """The releases of a policy that were known at an instant, without those that a correction known by then had replaced."""
    seen = [r for r in releases if r.policy == policy and (known_at is None or r.released_at <= known_at)]
    replaced = {r.supersedes for r in seen if r.supersedes is not None}
    return [r for r in seen if r.version not in replaced]


def periods(releases: Sequence[Release]) -> list[Period]:
    """When each of these releases of one policy is in force: up to its own end, or the start of its successor."""
    ordered = sorted(releases, key=lambda r: r.effective_from)
    result = []
    for i, r in enumerate(ordered):
        following = ordered[i + 1].effective_from if i + 1 < len(ordered) else None
        ends = [e for e in (r.effective_until, following) if e is not None]
        result.append(Period(r.version, r.effective_from, min(ends) if ends else None))
    return result


def refuse_overlap(existing: Sequence[Release], start: date, end: date | None, supersedes: int | None) -> None:
    """A new version must begin after every released one, or fill a time that none covers. Raises ReleaseError."""
    others = [r for r in existing if r.version != supersedes]
    if supersedes is not None:
        corrected = next((r for r in existing if r.version == supersedes), None)
        if corrected is None:
            raise ReleaseError(f"version {supersedes} is not released, so it cannot be superseded")
        if corrected.effective_from != start:
            raise ReleaseError(f"a correction has the same first day as version {supersedes}: {corrected.effective_from}")
    following = min((o.effective_from for o in others if o.effective_from > start), default=date.max)
    new_end = following if end is None else end
    for period in periods(others):
        if period.end is None and period.start < start:
            continue  # the open end of the last version: the new one is its successor
        if start < (period.end or date.max) and period.start < new_end:
            shown = f"{period.start} to {period.end or 'now on'}"
            raise ReleaseError(
                f"the period from {start} overlaps version {period.version} ({shown}); "
                f"let it begin later, or release it as a correction with `--supersedes {period.version}`"
            )
