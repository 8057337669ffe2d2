"""All lints on a version, with the author's explanations from `vN.lints.yaml` beside the rule file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.cases import case_file, load_cases
from engine.decide import Program
from engine.errors import Fault, Place, RuleFileError, did_you_mean
from engine.library import Library
from engine.policy import Policy
from engine.source import Source, read
from engine.version import Version
from proofs.findings import UNDECIDED, Finding, Subject
from proofs.machines import dead_ends, machine_lints
from proofs.rules import rule_lints
from proofs.symbols import World
from proofs.tables import table_lints

#: Lists are looked at with two items, and with so many where that leaves something undecided.
MORE_ITEMS = 4
LINTS = (
    "table-gap", "table-overlap", "table-row-masked", "table-row-unreachable", "never-violated", "guard-never-true", "implied", "never-met",
    "never-both-hold", "never-allowed", "dead-line", "transition-dead", "state-unreachable", "state-without-exit", "event-for-nobody", "dead-end",
    "explanation-unused",
)  # fmt: skip


def lints(policy: Policy, program: Program | None = None, library: Library | None = None, rule_file: Path | None = None, seconds: float = 2.0) -> list[Finding]:
    """What can be said against a version, in the order of its file. `library`: for dead ends between policies. `rule_file`: for cases and explanations.

    `seconds` limits each single question. A finding that is explained carries its `because`; one that is not decided says so in its status.
    """
    program = program or Program(policy)
    found = _found(Subject(policy, program, _seen(rule_file), seconds), library)
    if any(f.status == UNDECIDED for f in found):  # lists that are too short to say may do when they are longer
        found = _found(Subject(policy, program, _seen(rule_file), seconds, World(items=MORE_ITEMS)), library)
    if rule_file is not None:
        found = explained(found, rule_file, policy)
    return sorted(found, key=lambda f: (f.place.line, f.place.column, f.lint, f.at))


def _found(subject: Subject, library: Library | None) -> list[Finding]:
    found = [*table_lints(subject), *rule_lints(subject), *machine_lints(subject)]
    return found if library is None else [*found, *dead_ends(subject, library)]


def library_lints(library: Library, seconds: float = 2.0) -> dict[str, list[Finding]]:
    """The findings of every version, by name, as `policy v1`."""
    return {v.policy.name: version_lints(v, library, seconds) for v in library.all()}


def version_lints(version: Version, library: Library | None, seconds: float = 2.0) -> list[Finding]:
    return lints(version.policy, version.program, library, version.path, seconds)


def _seen(rule_file: Path | None) -> frozenset[str]:
    """The codes that the cases of a version show to occur."""
    if rule_file is None or not case_file(rule_file).exists():
        return frozenset()
    with suppress(RuleFileError):
        return frozenset(code for case in load_cases(case_file(rule_file)) for code in [*(case.expect.reasons or ()), *(case.expect.warnings or ())])
    return frozenset()


# -- explanations --------------------------------------------------------------------------------------------------------------------------


def explanation_file(rule_file: Path) -> Path:
    return rule_file.with_name(f"{rule_file.stem}.lints.yaml")


def explained(found: Iterable[Finding], rule_file: Path, policy: Policy) -> list[Finding]:
    """The findings, with the explanations that the author gives. One that explains nothing is a finding of its own. Raises RuleFileError."""
    path = explanation_file(rule_file)
    found = list(found)
    if not path.exists():
        return found
    name = policy.file.removesuffix(".yaml") + ".lints.yaml"
    source = read(path, name)
    reasons, places = _explanations(source, policy)
    used = {(f.lint, f.at) for f in found} & set(reasons)
    result = [replace(f, because=reasons.get((f.lint, f.at))) for f in found]
    for key in reasons.keys() - used:
        lint, at = key
        close = did_you_mean(at, [f.at for f in found if f.lint == lint])
        message = f"nothing is found that `{lint}` at `{at}` explains"
        result.append(Finding("explanation-unused", f"{lint} at {at}", places[key], message, close or "take the entry out"))
    return result


def _explanations(source: Source, policy: Policy) -> tuple[dict[tuple[str, str], dict[str, str]], dict[tuple[str, str], Place]]:
    """(lint, at) to the texts, and to the place of the entry."""
    data = source.data
    faults: list[Fault] = []
    reasons: dict[tuple[str, str], dict[str, str]] = {}
    places: dict[tuple[str, str], Place] = {}
    if not isinstance(data, dict) or set(data) != {"policy", "version", "explained"} or not isinstance(data["explained"], list):
        raise RuleFileError([Fault(source.place(()), "expected the keys `policy`, `version` and `explained`, a list", None)])
    if (data["policy"], data["version"]) != (policy.id, policy.version):
        faults.append(Fault(source.place(("policy",)), f"this stands beside {policy.name}", "name that policy and version"))
    for i, entry in enumerate(data["explained"]):
        message = _bad(entry)
        if message is not None:
            faults.append(Fault(source.place(("explained", i)), message, "write {lint: …, at: …, because: {en: …, zh: …}}"))
            continue
        key = (entry["lint"], entry["at"])
        reasons[key], places[key] = dict(entry["because"]), source.place(("explained", i))
    if faults:
        raise RuleFileError(faults)
    return reasons, places


def _bad(entry: Any) -> str | None:
    """What is wrong with one entry, if anything."""
    if not isinstance(entry, Mapping) or set(entry) != {"lint", "at", "because"}:
        return "expected the keys `lint`, `at` and `because`"
    if entry["lint"] not in LINTS:
        return f"unknown lint `{entry['lint']}`"
    texts = entry["because"]
    if not isinstance(entry["at"], str) or not isinstance(texts, Mapping) or set(texts) != {"en", "zh"} or not all(isinstance(v, str) for v in texts.values()):
        return "`because` needs the texts `en` and `zh`"
    return None
