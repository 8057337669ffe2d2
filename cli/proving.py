"""`policy prove` and `policy remedy`: what holds for all facts of a version, and the smallest change that makes one case pass."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from cli import paint
from cli.asking import read_facts
from cli.common import as_instant, find, load, now, say, split
from engine.clock import instant
from engine.library import Library
from engine.version import Version

if TYPE_CHECKING:
    from proofs.cliffs import Cliffs
    from proofs.properties import Shown, Statement
    from proofs.remedy import Remedies

# the proof reading is imported where it is used: the solver is large, and every command would wait for it


def add(commands: Any) -> None:
    prove = commands.add_parser("prove", help="the declared properties of a version proved or refuted, and the cliffs of its amounts")
    prove.add_argument("what", nargs="*", metavar="POLICY[@VERSION]", help="all versions of a policy, or one; none for the whole library")
    prove.add_argument("--seconds", type=float, default=5.0, help="the limit of each statement (default: 5)")
    prove.add_argument("--json", action="store_true")
    prove.set_defaults(run=run_prove)
    remedy = commands.add_parser("remedy", help="the smallest change that makes a case pass")
    remedy.add_argument("policy", metavar="POLICY[@VERSION]", help="a policy, the version in force if none is pinned")
    remedy.add_argument("--facts", metavar="FILE", help="facts as JSON or YAML; - reads standard input")
    remedy.add_argument("--fact", action="append", default=[], metavar="NAME=VALUE", help="one fact; VALUE is JSON, or text if it is none")
    remedy.add_argument("--as-of", metavar="DATE", help="the instant of the question (default: now)")
    remedy.add_argument("--known-at", metavar="DATE", help="only versions released by then")
    remedy.add_argument("--limit", type=int, default=3, metavar="N", help="at most so many alternatives (default: 3)")
    remedy.add_argument("--seconds", type=float, default=5.0, help="the limit of the search (default: 5)")
    remedy.add_argument("--language", choices=paint.LANGUAGES, help="one language only (default: both)")
    remedy.add_argument("--json", action="store_true")
    remedy.set_defaults(run=run_remedy)


# -- prove ---------------------------------------------------------------------------------------------------------------------------------


def run_prove(options: argparse.Namespace) -> int:
    """1 if a property is refuted or undecided, or a cliff is not explained."""
    from proofs.cliffs import version_cliffs
    from proofs.properties import proved

    loaded = load(options)
    reports, bad = [], False
    for version in _versions(options, loaded):
        statements = proved(version.policy, version.path, options.seconds)
        steep = version_cliffs(version.policy, version.path, options.seconds)
        bad |= any(s.status != "proved" for s in statements) or any(c.because is None for c in steep.found)
        if options.json:
            reports.append({"version": version.policy.name, "properties": [s.as_json() for s in statements], **steep.as_json()})
        else:
            _tell(version, statements, steep)
    if options.json:
        say(reports)
    return 1 if bad else 0


def _versions(options: argparse.Namespace, loaded: Library) -> list[Version]:
    if not options.what:
        return list(loaded.all())
    found: list[Version] = []
    for what in options.what:
        name, number = split(what)
        if number is None and name in loaded.versions:
            found += [loaded.versions[name][n] for n in sorted(loaded.versions[name])]
        else:
            found.append(loaded.version(name, number or 1))
    return found


def _tell(version: Version, statements: list[Statement], steep: Cliffs) -> None:
    print(f"{version.policy.name}: {len(statements)} properties, {len(steep.found)} cliffs")
    for s in statements:
        assumed = f" ({'; '.join(t.en for t in s.assumed)})" if s.assumed else ""
        print(f"  {s.status}: {s.property.says.en} {s.property.says.zh} [{s.property.name}]{assumed}")
        if s.reason:
            print(f"    {s.reason}{'; left free: ' + ', '.join(s.free) if s.free else ''}")
        for shown in s.shown:
            print(f"    {_line(shown)}")
    for cliff in steep.found:
        print(f"  cliff: {cliff.says.en} {cliff.says.zh}")
        if cliff.because is not None:
            print(f"    meant: {cliff.because.en} {cliff.because.zh}")
    for output, fact, reason in steep.undecided:
        print(f"  undecided: cliffs of `{output}` along `{fact}`: {reason}")
    for output, fact, place in steep.unused:
        print(f"  {place}: no cliff of `{output}` along `{fact}` is found; take the entry out")


def _line(shown: Shown) -> str:
    facts = ", ".join(f"{n}={v}" for n, v in shown.witness.facts.items())
    outputs = ", ".join(f"{n}={v}" for n, v in shown.as_json()["outputs"].items())
    return f"{shown.witness.as_of.date()} {facts} -> {shown.said.outcome} {outputs}".rstrip()


# -- remedy --------------------------------------------------------------------------------------------------------------------------------


def run_remedy(options: argparse.Namespace) -> int:
    """1 if nothing is found that makes the case pass."""
    from proofs.influence import influence
    from proofs.remedy import remedy

    name, number = split(options.policy)
    as_of = as_instant(options.as_of)
    known_at = instant(options.known_at) if options.known_at else now()
    loaded = load(options)
    version = find(loaded, name, number, as_of, known_at)
    elsewhere = {f for other in loaded.versions[version.policy.id].values() for f in other.policy.facts}
    known = influence(version.policy, version.path, elsewhere)
    if known is None:
        raise ValueError(f"{version.path.with_name('influence.yaml')} is missing: it says what a partner can change, and at what cost")
    if options.limit < 1:
        raise ValueError("--limit is at least 1")
    found = remedy(version.program, read_facts(options), as_of, known, options.limit, options.seconds, loaded.resolver(as_of, known_at))
    if options.json:
        say(found.as_json())
    else:
        _advise(found, paint.languages(options.language))
    return 0 if found.status in ("passes", "possible") else 1


def _advise(found: Remedies, languages: tuple[str, ...]) -> None:
    said = {"en": ("or: ", "note: "), "zh": ("或：", "另外：")}
    for language in languages:
        print(getattr(found.says, language))
        for other in found.alternatives[1:]:
            print(f"  {said[language][0]}{getattr(other.says, language)}")
        for gain in found.gains:
            print(f"  {said[language][1]}{getattr(gain.says, language)}")
    if found.reason:
        print(found.reason)
