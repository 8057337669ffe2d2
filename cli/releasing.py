"""`policy release`: put a version into the ledger, once nothing speaks against it."""

from __future__ import annotations

import argparse
from typing import Any

from cli.common import as_instant, load, say, split
from engine.cases import case_file, load_cases, run_case
from engine.errors import ReleaseError
from engine.library import Library, Version
from engine.releases import LEDGER, Release, append, known, refuse_overlap
from engine.source import digest_of


def add(commands: Any) -> None:
    release = commands.add_parser("release", help="release a version: from then on it is found by date, and its file may not change")
    release.add_argument("policy", metavar="POLICY@VERSION")
    release.add_argument("--by", required=True, metavar="WHO", help="who releases it (a role or an account)")
    release.add_argument("--at", metavar="INSTANT", help="when (default: now); not before the last release of the policy")
    release.add_argument("--note", default="", help="why")
    release.add_argument("--supersedes", type=int, metavar="VERSION", help="this version corrects that one, for the same period")
    release.add_argument("--dry-run", action="store_true", help="only say whether it could be released")
    release.add_argument("--json", action="store_true")
    release.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    name, number = split(options.policy)
    if number is None:
        raise ValueError("name the version to release: POLICY@VERSION")
    loaded = load(options)
    broken = [f for file, found in loaded.faults.items() if file.endswith(f"/{name}/v{number}.yaml") for f in found if f.kind != "warning"]
    if broken:
        raise ReleaseError(f"{name} v{number} has faults, so it is not released")
    version = loaded.version(name, number)
    entry = examine(loaded, version, options)
    if not options.dry_run:
        entry = append(options.root, entry)
    if options.json:
        say(entry.as_json() | {"released": not options.dry_run})
    else:
        until = f" until {entry.effective_until}" if entry.effective_until else ""
        done = "can be released" if options.dry_run else f"released by {entry.released_by} at {entry.released_at.isoformat(timespec='seconds')}"
        print(f"{name} v{number} {done}; in force from {entry.effective_from}{until}\n{entry.digest}")
    return 0


def examine(loaded: Library, version: Version, options: argparse.Namespace) -> Release:
    """The release as it would be written. Raises ReleaseError with all that speaks against it."""
    policy = version.policy
    if not options.by.strip():
        raise ValueError("--by says who releases it; it may not be blank")
    if LEDGER in loaded.faults:
        raise ReleaseError(loaded.faults[LEDGER][0].message)
    if version.release is not None:
        raise ReleaseError(f"{policy.name} was released at {version.release.released_at.isoformat()}; write the change as a new version")
    cases_path = case_file(version.path)
    if not cases_path.exists():
        raise ReleaseError(f"{policy.name} has no cases; write {cases_path.name} beside it")
    failing = [r for c in load_cases(cases_path) if not (r := run_case(c, version.program, loaded.resolver(c.as_of, None))).passed]
    if failing:
        names = "; ".join(r.case.name for r in failing[:5])
        raise ReleaseError(f"{len(failing)} cases of {policy.name} fail: {names}; `policy test {policy.id}` shows why")
    at = as_instant(options.at)
    existing = [r for r in loaded.ledger if r.policy == policy.id]
    if existing and at < existing[-1].released_at:
        raise ReleaseError(f"the ledger is append-only: {at.isoformat()} is before the last release at {existing[-1].released_at.isoformat()}")
    refuse_overlap(known(loaded.ledger, policy.id, None), policy.effective_from, policy.effective_until, options.supersedes)
    return Release(
        policy.id, policy.version, policy.digest, digest_of(cases_path.read_bytes()), policy.effective_from, policy.effective_until,
        at, options.by, options.note, options.supersedes, "",
    )  # fmt: skip
