"""`policy release`: put a version into the ledger, once nothing speaks against it."""

from __future__ import annotations

import argparse
from dataclasses import replace
from decimal import Decimal
from typing import Any

from cli import linting, paint, regions
from cli.common import as_instant, load, percent, say, split
from cli.differing import canonical, fresh
from engine.cases import case_file, load_cases, run_case
from engine.errors import ReleaseError
from engine.library import Library
from engine.releases import LEDGER, Release, append, difference_file, known, periods, refuse_overlap
from engine.source import digest_of
from engine.version import Version

#: The share of changes to a version that its cases must notice, in percent.
MIN_SCORE = Decimal(95)


def add(commands: Any) -> None:
    release = commands.add_parser("release", help="release a version: from then on it is found by date, and its file may not change")
    release.add_argument("policy", metavar="POLICY@VERSION")
    release.add_argument("--by", required=True, metavar="WHO", help="who releases it (a role or an account)")
    release.add_argument("--at", metavar="INSTANT", help="when (default: now); not before the last release of the policy")
    release.add_argument("--note", default="", help="why")
    release.add_argument("--supersedes", type=int, metavar="VERSION", help="this version corrects that one, for the same period")
    release.add_argument("--min-score", type=percent, default=MIN_SCORE, metavar="PERCENT", help=f"the mutation score that it needs (default: {MIN_SCORE})")
    release.add_argument("--without-score", metavar="REASON", help="release it without a mutation score; the reason is written into the ledger")
    release.add_argument("--language", "--lang", choices=paint.LANGUAGES, help="of the difference shown (default: both)")
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
    earlier = before(loaded, version, options.supersedes)
    difference = fresh(earlier.path, version.path) if earlier is not None else None
    if difference is not None:
        entry = replace(entry, difference=digest_of(canonical(difference)))
    if not options.dry_run:
        if difference is not None:
            difference_file(version.path).write_bytes(canonical(difference))
        try:
            entry = append(options.root, entry)
        except ReleaseError:
            difference_file(version.path).unlink(missing_ok=True)
            raise
    if options.json:
        say(entry.as_json() | {"released": not options.dry_run, "semantic": difference})
        return 0
    if difference is not None:
        regions.show(difference, paint.languages(options.language))
        paint.console.print()
    until = f" until {entry.effective_until}" if entry.effective_until else ""
    done = "can be released" if options.dry_run else f"released by {entry.released_by} at {entry.released_at.isoformat(timespec='seconds')}"
    print(f"{name} v{number} {done}; in force from {entry.effective_from}{until}\n{entry.digest}")
    print(f"mutation score {entry.score} %" if entry.score else f"without a mutation score: {entry.without_score}")
    return 0


def before(loaded: Library, version: Version, supersedes: int | None) -> Version | None:
    """The version that a release follows: the one that it corrects, else the one in force before its first day. None for the first.

    Raises NotFound if its file cannot be used.
    """
    if supersedes is not None:
        return loaded.version(version.policy.id, supersedes)
    earlier = [p for p in periods(known(loaded.ledger, version.policy.id, None)) if p.start < version.policy.effective_from]
    return loaded.version(version.policy.id, earlier[-1].version) if earlier else None


def examine(loaded: Library, version: Version, options: argparse.Namespace) -> Release:
    """The release as it would be written. Raises ReleaseError with all that speaks against it."""
    policy = version.policy
    if not options.by.strip():
        raise ValueError("--by says who releases it; it may not be blank")
    if options.without_score is not None and not options.without_score.strip():
        raise ValueError("--without-score says why; it may not be blank")
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
    score = strong(loaded, version, options)
    return Release(
        policy.id, policy.version, policy.digest, digest_of(cases_path.read_bytes()), policy.effective_from, policy.effective_until,
        at, options.by, options.note, options.supersedes, "",
        score, options.without_score,
    )  # fmt: skip


def strong(loaded: Library, version: Version, options: argparse.Namespace) -> str | None:
    """The mutation score; None where it is waived. Raises ReleaseError if something is proved against the version, or its cases are too weak."""
    from proofs.scores import score

    policy = version.policy
    proofs = linting.examine(policy, version.program, version.path, loaded, seconds=2.0)
    against = [*proofs.faults, *proofs.open]
    if against:
        raise ReleaseError(f"{len(against)} findings of {policy.name} are neither mended nor explained; `policy lint {policy.id}` shows them")
    if options.without_score is not None:
        return None
    found = score(loaded, version)
    if found.fault is not None:
        raise ReleaseError(f"{policy.name} has no mutation score: {found.fault}")
    if found.percent < options.min_score:
        raise ReleaseError(
            f"the cases of {policy.name} notice {found.percent:.1f} % of the changes to its rules, {options.min_score} % are needed;\n"
            f"`policy mutate {policy.id}@{policy.version}` shows what they miss; `--without-score REASON` releases it nevertheless"
        )
    return f"{found.percent:.1f}"
