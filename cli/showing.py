"""`policy show`, `list` and `diff`: versions as a person or a program reads them."""

from __future__ import annotations

import argparse
from typing import Any

from cli import paint
from cli.common import as_instant, find, load, say, split
from engine.diff import case_changes, diff
from engine.library import Library, Version
from engine.schema import facts_schema


def add(commands: Any) -> None:
    show = commands.add_parser("show", help="a readable page of one version")
    show.add_argument("policy", metavar="POLICY[@VERSION]")
    show.add_argument("--as-of", metavar="DATE")
    show.add_argument("--facts-schema", action="store_true", help="the JSON Schema of its facts instead")
    show.add_argument("--json", action="store_true")
    show.set_defaults(run=run_show)
    listing = commands.add_parser("list", help="all policies with their versions")
    listing.add_argument("--json", action="store_true")
    listing.set_defaults(run=run_list)
    compare = commands.add_parser("diff", help="what changed between two versions: parameters, rules, texts, cases")
    compare.add_argument("policy", metavar="POLICY")
    compare.add_argument("before", type=int, metavar="FROM")
    compare.add_argument("after", type=int, metavar="TO")
    compare.add_argument("--json", action="store_true")
    compare.set_defaults(run=run_diff)


def run_show(options: argparse.Namespace) -> int:
    name, number = split(options.policy)
    loaded = load(options)
    version = find(loaded, name, number, as_instant(options.as_of))
    if options.facts_schema:
        say(facts_schema(version.policy))
    elif options.json:
        say({**summary(loaded, version), "rules": version.policy.model.model_dump(by_alias=True, exclude_unset=True, mode="json")})
    else:
        paint.page(version.policy, version.status, _period(loaded, version))
    return 0


def summary(loaded: Library, version: Version) -> dict[str, Any]:
    policy = version.policy
    return {"policy": policy.id, "version": policy.version, "digest": policy.digest, "status": version.status, "in_force": _period(loaded, version)}


def _period(loaded: Library, version: Version) -> str:
    for period in loaded.periods(version.policy.id, None):
        if period.version == version.policy.version:
            return f"from {period.start}" + (f" until {period.end}" if period.end else "")
    if version.release is not None:
        by = next((r.version for r in loaded.ledger if r.policy == version.policy.id and r.supersedes == version.policy.version), None)
        return f"no more, superseded by version {by}"
    return f"from {version.policy.effective_from} once released"


def run_list(options: argparse.Namespace) -> int:
    loaded = load(options)
    if options.json:
        say([summary(loaded, v) | {"title": v.policy.model.title.model_dump(), "forms": v.policy.forms} for v in loaded.all()])
        return 0
    for version in loaded.all():
        title = version.policy.model.title
        paint.console.print(f"{version.policy.id}@{version.policy.version}  [dim]{version.status}, {_period(loaded, version)}[/]  {title.en}  {title.zh}")
    return 0


def run_diff(options: argparse.Namespace) -> int:
    loaded = load(options)
    before, after = (loaded.version(options.policy, n) for n in (options.before, options.after))
    found, cases = diff(before.policy.model, after.policy.model), case_changes(before.path, after.path)
    if options.json:
        say({**found, "cases": cases})
    else:
        paint.differences(found, cases)
    return 0
