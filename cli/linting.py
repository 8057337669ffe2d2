"""`policy lint`: what is wrong with rule files: first their types and names, then what can be proved against them."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.common import rule_files, say
from engine import library
from engine.cases import case_file, load_cases
from engine.check import load_policy, warnings_of
from engine.decide import Program
from engine.errors import Fault, Place, RuleFileError
from engine.library import Library
from engine.policy import Policy

if TYPE_CHECKING:
    from proofs.findings import Finding
    from proofs.properties import Statement

# the proof reading is imported where it is used: the solver is large, and every command would wait for it


def add(commands: Any) -> None:
    lint = commands.add_parser("lint", help="check rule files and case files: types, names, texts, circles; then gaps, conflicts and dead rules by proof")
    lint.add_argument("what", nargs="*", metavar="FILE|FOLDER|POLICY")
    lint.add_argument("--no-proofs", action="store_true", help="the quick part only")
    lint.add_argument("--seconds", type=float, default=2.0, metavar="N", help="the limit of each question to the solver (default: 2)")
    lint.add_argument("--all", action="store_true", help="show the findings that are explained beside the rule file, too")
    lint.add_argument("--json", action="store_true")
    lint.add_argument("--strict", action="store_true", help="warnings, and what is undecided, count as faults")
    lint.set_defaults(run=run)


@dataclass(slots=True)
class Proofs:
    """What the proofs say of some versions. `faults`: files of explanations and properties that cannot be used."""

    findings: list[Finding] = field(default_factory=list)
    properties: list[Statement] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    @property
    def open(self) -> list[Finding | Statement]:
        """What is proved against a version and not explained."""
        return [*(f for f in self.findings if f.because is None and f.status == "proved"), *(s for s in self.properties if s.status == "refuted")]

    @property
    def undecided(self) -> list[Finding | Statement]:
        return [*(f for f in self.findings if f.because is None and f.status != "proved"), *(s for s in self.properties if s.status == "undecided")]

    @property
    def explained(self) -> list[Finding]:
        return [f for f in self.findings if f.because is not None]

    def as_json(self) -> dict[str, Any]:
        return {"findings": [f.as_json() for f in self.findings], "properties": [s.as_json() for s in self.properties]}


def examine(policy: Policy, program: Program, path: Path, loaded: Library, seconds: float) -> Proofs:
    """All lints and declared properties of one version."""
    from proofs.lints import lints
    from proofs.properties import proved

    found = Proofs()
    try:
        found.findings += lints(policy, program, loaded, path, seconds)
    except RuleFileError as error:
        found.faults += error.faults
    try:
        found.properties += proved(policy, path, seconds)
    except RuleFileError as error:
        found.faults += error.faults
    return found


def run(options: argparse.Namespace) -> int:
    files = rule_files(options)
    loaded = library.load(options.root)
    faults: list[Fault] = []
    sound: list[tuple[Path, Policy, Program]] = []
    for path in files:
        try:
            policy = load_policy(path)
            sound.append((path, policy, Program(policy)))
            faults += warnings_of(policy)
        except RuleFileError as error:
            faults += error.faults
        faults += _cases(path)
    if not options.what:
        faults += [f for found in loaded.faults.values() for f in found if f.kind != "rule-file"]
    if not options.json:
        _tell(faults)
    proofs = Proofs()
    for path, policy, program in () if options.no_proofs else sound:
        found = examine(policy, program, path, loaded, options.seconds)
        if not options.json:
            _tell(found.faults)
            _tell_proofs(found, options.all)
        proofs.findings += found.findings
        proofs.properties += found.properties
        faults += found.faults
    bad = [f for f in faults if f.kind != "warning" or options.strict]
    against = [*proofs.open, *(proofs.undecided if options.strict else ())]
    if options.json:
        say({"files": len(files), "faults": [f.as_json() for f in faults], **({} if options.no_proofs else proofs.as_json())})
    else:
        counted = f"{len(files)} rule files, {len(bad)} faults, {len(faults) - len(bad)} warnings"
        print(counted if options.no_proofs else f"{counted}; {_summary(proofs, options.all)}")
    return 1 if bad or against else 0


def _cases(path: Path) -> list[Fault]:
    """What is wrong with the cases beside a rule file."""
    file = case_file(path)
    if not file.exists():
        return [Fault(Place(str(path), 1, 1), "no cases beside this rule file", f"write {file.name}", "warning")]
    try:
        load_cases(file)
    except RuleFileError as error:
        return error.faults
    return []


def _summary(proofs: Proofs, everything: bool) -> str:
    parts = [f"proofs: {len(proofs.open)} findings"]
    if proofs.undecided:
        parts.append(f"{len(proofs.undecided)} undecided")
    if proofs.explained:
        parts.append(f"{len(proofs.explained)} explained" + ("" if everything else " (--all shows them)"))
    held = sum(s.status == "proved" for s in proofs.properties)
    if proofs.properties:
        parts.append(f"{held} of {len(proofs.properties)} properties hold")
    return ", ".join(parts)


def _tell(faults: list[Fault]) -> None:
    for fault in faults:
        print(f"{'warning: ' if fault.kind == 'warning' else ''}{fault}", file=sys.stderr)


def _tell_proofs(proofs: Proofs, everything: bool) -> None:
    for finding in proofs.findings:
        if finding.because is None or everything:
            word = "explained: " if finding.because is not None else "" if finding.status == "proved" else "undecided: "
            print(f"{word}{finding}", file=sys.stderr)
            if finding.witness is not None:
                print(f"  shown by: {_short(finding.witness)}", file=sys.stderr)
            if finding.because is not None:
                print(f"  because: {finding.because['en']} {finding.because['zh']}", file=sys.stderr)
    for statement in proofs.properties:
        if statement.status == "proved":
            continue
        p = statement.property
        print(f"{p.place}: {statement.status}: {p.says.en} {p.says.zh} [{p.name}]", file=sys.stderr)
        if statement.reason:
            print(f"  {statement.reason}", file=sys.stderr)
        for shown in statement.shown:
            print(f"  shown by: {_short(shown.as_json())}", file=sys.stderr)


def _short(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, default=list)
