"""`policy mutate` and `policy cover`: how strong the cases of a version are, and what they leave out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.common import load, percent, say, split
from engine.cases import case_file
from engine.library import Library
from engine.version import Version

if TYPE_CHECKING:
    from proofs.mutation import Strength

# the proof reading is imported where it is used: the solver is large, and every command would wait for it


def add(commands: Any) -> None:
    mutate = commands.add_parser("mutate", help="which changes of its rules would the cases of a version not notice?")
    mutate.add_argument("what", nargs="*", metavar="POLICY[@VERSION]", help="all versions of a policy, or one; with --score, none for the whole library")
    mutate.add_argument("--write", action="store_true", help="write proposed cases to vN.survivors.yaml beside the cases, for a person to confirm")
    mutate.add_argument("--score", action="store_true", help="only the score of each version")
    mutate.add_argument("--min", type=percent, metavar="PERCENT", help="the answer is no (1) if a score is below this")
    mutate.add_argument("--page", type=Path, metavar="FILE", help="write the scores as a page")
    mutate.add_argument("--workers", type=int, default=2, metavar="N", help="processes for several versions (default: 2)")
    mutate.add_argument("--json", action="store_true")
    mutate.set_defaults(run=run_mutate)
    cover = commands.add_parser("cover", help="rules, rows, lines and boundaries that no case of a version touches")
    cover.add_argument("what", nargs="+", metavar="POLICY[@VERSION]")
    cover.add_argument("--json", action="store_true")
    cover.set_defaults(run=run_cover)


def run_mutate(options: argparse.Namespace) -> int:
    from proofs.equivalence import compared
    from proofs.mutation import Examined
    from proofs.survivors import proposals, written

    loaded = load(options)
    if options.score or options.page is not None:
        return _scores(options, loaded, _versions(options, loaded) if options.what else list(loaded.all()))
    if not options.what:
        raise ValueError("name a version, POLICY@VERSION; with --score the whole library is scored")
    reports, low = [], False
    for version in _versions(options, loaded):
        examined = Examined(loaded, version)
        found = examined.strength(compared)
        low |= options.min is not None and found.score < options.min
        proposed = proposals(examined, found.survivors)
        text = written(examined, proposed, [s for s in found.survivors if s.request is None])
        if options.json:
            reports.append(_as_json(found))
        else:
            _tell(found)
        if found.survivors and options.write:
            path = case_file(version.path).with_name(f"{version.path.stem}.survivors.yaml")
            path.write_text(text, encoding="utf-8")
            print(f"{path}: {len(proposed)} proposed cases, to be confirmed", file=sys.stderr)
        elif found.survivors and not options.json:
            print(text)
    if options.json:
        say(reports)
    return 1 if low else 0


def _versions(options: argparse.Namespace, loaded: Library) -> list[Version]:
    found: list[Version] = []
    for what in options.what:
        name, number = split(what)
        if number is None and name in loaded.versions:
            found += [loaded.versions[name][n] for n in sorted(loaded.versions[name])]
        else:
            found.append(loaded.version(name, number or 1))
    return found


def _scores(options: argparse.Namespace, loaded: Library, versions: list[Version]) -> int:
    from proofs.scores import Score, page, scores

    found: list[Score] = []
    for s in scores(loaded, versions, options.workers):
        found.append(s)
        if not options.json:
            shown = s.fault or f"{s.percent:5.1f} %  {s.killed} killed, {len(s.survivors)} missed, {s.equivalent} proved equal, of {s.mutants}"
            print(f"{s.policy}@{s.version}  {shown}", flush=True)
    if options.json:
        say([s.as_json() for s in found])
    if options.page is not None:
        options.page.write_text(page(found), encoding="utf-8")
    low = [s for s in found if s.fault is not None or (options.min is not None and s.percent < options.min)]
    if low and not options.json:
        print(f"{len(low)} of {len(found)} versions are too weak: {', '.join(f'{s.policy}@{s.version}' for s in low)}", file=sys.stderr)
    return 1 if low else 0


def _tell(found: Strength) -> None:
    killed = f"{found.killed} of {found.counted} mutants killed by {found.cases} cases"
    print(f"{found.name}: {found.score:.1f} %; {killed}; {len(found.equivalent)} more proved equal")
    for survivor in found.survivors:
        print(f"  {survivor.mutant}{'' if survivor.request is not None else ' (no difference found)'}")


def _as_json(found: Strength) -> dict[str, Any]:
    def told(mutant: Any) -> dict[str, Any]:
        return {"line": mutant.place.line, "column": mutant.place.column, "kind": mutant.kind, "change": mutant.text}

    return {
        "version": found.name, "cases": found.cases, "mutants": found.mutants, "killed": found.killed, "score": f"{found.score:.1f}",
        "survivors": [told(s.mutant) | {"difference_found": s.request is not None} for s in found.survivors],
        "proved_equal": [told(m) for m in found.equivalent],
    }  # fmt: skip


def run_cover(options: argparse.Namespace) -> int:
    from proofs.coverage import gaps
    from proofs.mutation import Examined

    loaded = load(options)
    report = []
    for version in _versions(options, loaded):
        found = gaps(Examined(loaded, version))
        told = [{"kind": g.kind, "line": g.place.line, "column": g.place.column, "text": g.text} for g in found]
        report.append({"version": version.policy.name, "gaps": told})
        if not options.json:
            print(f"{version.policy.name}: {len(found)} gaps" if found else f"{version.policy.name}: every rule and boundary is touched")
            print("".join(f"  {g}\n" for g in found), end="")
    if options.json:
        say(report)
    return 0
