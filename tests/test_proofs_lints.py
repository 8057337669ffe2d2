"""Seeded faults are all found, clean files give nothing, and every finding on a shipped version is explained beside it."""

from __future__ import annotations

import re
from datetime import datetime
from functools import cache
from pathlib import Path

import pytest

from engine.check import check_text, load_policy
from engine.decide import Program
from engine.errors import EvaluationError, RuleFileError
from engine.library import Library, load
from proofs.findings import Subject
from proofs.lints import LINTS, explained, explanation_file, lints, version_lints
from proofs.machines import dead_ends

ROOT = Path(__file__).parent.parent / "policies"
SEEDED = sorted(Path(__file__).with_name("proofs").glob("*.yaml"))
OTHER = """\
policy: other
version: 1
family: incentives
form: check
title: {en: Other, zh: 另一个}
question: {en: May it?, zh: 可以吗？}
effective: {from: 2025-01-16}
source: {document: made up, section: "1", refs: [A-001]}
facts:
  size: {type: integer}
requirements:
  - code: too-big
    require: size <= 10
    effect: REPLACED
    reason: {en: Too big., zh: 太大。}
    remedy: {en: Shrink., zh: 请缩小。}
    source: {refs: [A-001]}
"""
USER = """\
policy: user
version: 1
family: incentives
form: check
title: {en: User, zh: 使用者}
question: {en: May it?, zh: 可以吗？}
effective: {from: 2025-01-16}
source: {document: made up, section: "1", refs: [A-001]}
facts:
  other.outcome: {type: enum, values: [allowed, review, denied], from: {policy: other, output: outcome}}
requirements:
  - code: needs-a-review
    require: other.outcome == review
    effect: deny
    reason: {en: No review., zh: 未评审。}
    remedy: {en: Get one., zh: 请评审。}
    source: {refs: [A-001]}
"""


@cache
def library() -> Library:
    return load(ROOT)


def name(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("path", SEEDED, ids=name)
def test_seeded_faults_are_found_and_nothing_else(path: Path) -> None:
    expected = {tuple(x.strip() for x in line.split("|")) for line in re.findall(r"^# finds: (.*)$", path.read_text(encoding="utf-8"), re.M)}
    found = lints(load_policy(path))
    assert {(f.lint, f.at) for f in found} == expected
    for f in found:
        assert f.status == "proved"
        assert f.place.line > 1
        assert not f.message.endswith(".")


@pytest.mark.parametrize(
    ("path", "error", "rows"),
    [("gap", "no-row-matched", ()), ("overlap", "several-rows-matched", (1, 2)), ("masked", None, (3, 1, 2))],
)
def test_the_witness_of_a_table_shows_the_fault(path: str, error: str | None, rows: tuple[int, ...]) -> None:
    policy = load_policy(Path(__file__).parent / "proofs" / f"{path}.yaml")
    (finding,) = lints(policy)
    assert finding.rows == rows
    assert finding.witness is not None
    program, as_of = Program(policy), datetime.fromisoformat(finding.witness["as_of"])
    if error is None:
        assert program.check(finding.witness["facts"], as_of)["outputs"]["rate"] in ("0.1", "0.2")
        return
    with pytest.raises(EvaluationError) as raised:
        program.check(finding.witness["facts"], as_of)
    assert raised.value.kind == error


@pytest.mark.parametrize("version", sorted(v.policy.name for v in library().all()))
def test_every_finding_on_a_shipped_version_is_explained(version: str) -> None:
    policy, _, number = version.rpartition(" v")
    found = version_lints(library().version(policy, int(number)), library(), seconds=20)
    assert [str(f) for f in found if f.because is None] == []
    assert [str(f) for f in found if f.status != "proved"] == []


def test_what_a_policy_needs_and_the_other_never_says_is_a_dead_end(tmp_path: Path) -> None:
    for effect, expected in (("deny", ["user"]), ("review", [])):
        for policy, text in (("other", OTHER.replace("REPLACED", effect)), ("user", USER)):
            folder = tmp_path / effect / "incentives" / policy
            folder.mkdir(parents=True)
            (folder / "v1.yaml").write_text(text, encoding="utf-8")
        loaded = load(tmp_path / effect)
        user = loaded.version("user", 1)
        assert [f.at for f in dead_ends(Subject(user.policy, user.program), loaded)] == expected


# -- explanations --------------------------------------------------------------------------------------------------------------------------


def beside(tmp_path: Path, entries: str) -> Path:
    rule = tmp_path / "v1.yaml"
    rule.write_text((Path(__file__).parent / "proofs" / "lines.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    explanation_file(rule).write_text(f"policy: lines\nversion: 1\nexplained:\n{entries}", encoding="utf-8")
    return rule


ENTRY = "  - {{lint: {lint}, at: {at}, because: {{en: Meant so., zh: 有意为之。}}}}\n"


def test_an_explanation_stands_with_its_finding(tmp_path: Path) -> None:
    rule = beside(tmp_path, ENTRY.format(lint="dead-line", at="level line 3"))
    policy = load_policy(rule)
    (found,) = lints(policy, rule_file=rule)
    assert found.because == {"en": "Meant so.", "zh": "有意为之。"}


def test_an_explanation_of_nothing_is_a_finding(tmp_path: Path) -> None:
    rule = beside(tmp_path, ENTRY.format(lint="dead-line", at="level line 3") + ENTRY.format(lint="dead-line", at="level line 2"))
    unused = [f for f in lints(load_policy(rule), rule_file=rule) if f.lint == "explanation-unused"]
    assert [f.at for f in unused] == ["dead-line at level line 2"]
    assert unused[0].place.line == 5


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ("  - {lint: dead-line, at: x}\n", "expected the keys"),
        (ENTRY.format(lint="deadline", at="x"), "unknown lint `deadline`"),
        ("  - {lint: dead-line, at: x, because: {en: only}}\n", "needs the texts"),
    ],
)
def test_a_bad_explanation_file_is_refused(tmp_path: Path, entries: str, said: str) -> None:
    rule = beside(tmp_path, entries)
    with pytest.raises(RuleFileError, match=said):
        explained([], rule, load_policy(rule))


def test_an_explanation_file_of_another_policy_is_refused(tmp_path: Path) -> None:
    rule = beside(tmp_path, ENTRY.format(lint="dead-line", at="level line 3"))
    with pytest.raises(RuleFileError, match="stands beside"):
        explained([], rule, check_text(OTHER.replace("REPLACED", "deny")))


def test_every_lint_that_can_be_explained_is_known() -> None:
    assert len(set(LINTS)) == len(LINTS)
