"""The shipped policies: no version has a fault, every case passes, and what was released is what the ledger says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine import library
from engine.cases import case_file, load_cases, run_case
from engine.check import load_policy
from engine.decide import Program
from engine.errors import Fault, RuleFileError
from engine.library import Library
from engine.releases import LEDGER, Release, read_ledger
from engine.source import digest_of
from tests.conftest import SHIPPED, credit, put, release

FILES = library.rule_files(SHIPPED)
AT_LEAST = 15


def name_of(path: Path) -> str:
    return f"{path.parent.name}@{path.stem[1:]}"


@pytest.fixture(scope="module")
def loaded() -> Library:
    return library.load(SHIPPED)


def disagreements(root: Path) -> list[str]:
    """Where the ledger and the files of a library are not of one mind."""
    found = []
    for entry in read_ledger(root):
        matching = sorted(root.glob(f"*/{entry.policy}/v{entry.version}.yaml"))
        found += [f"{entry.policy} v{entry.version}: {said}" for said in _of_one(entry, matching)]
    return found


def _of_one(entry: Release, matching: list[Path]) -> list[str]:
    if len(matching) != 1:
        return [f"{len(matching)} rule files"]
    path = matching[0]
    found = []
    if digest_of(path.read_bytes()) != entry.digest:
        return ["the rule file is not the released one"]
    policy = load_policy(path)
    if (policy.effective_from, policy.effective_until) != (entry.effective_from, entry.effective_until):
        found.append("the ledger has another period")
    if not case_file(path).exists():
        found.append("no cases")
    return found


def test_there_are_policies() -> None:
    assert len(FILES) >= 46
    assert len({p.parent.name for p in FILES}) >= 27


def test_every_rule_file_has_cases_and_every_case_file_has_rules() -> None:
    assert [str(p) for p in FILES if not case_file(p).exists()] == []
    orphans = [str(p) for p in SHIPPED.rglob("*.cases.yaml") if not p.with_name(p.name.replace(".cases.yaml", ".yaml")).exists()]
    assert orphans == []


def test_the_library_has_no_faults(loaded: Library) -> None:
    faults = [str(f) for found in loaded.faults.values() for f in found]
    assert faults == []
    assert loaded.unserved == []
    assert sum(len(v) for v in loaded.versions.values()) == len(FILES)


def test_versions_are_numbered_without_gaps_and_begin_one_after_the_other(loaded: Library) -> None:
    for policy, versions in loaded.versions.items():
        assert sorted(versions) == list(range(1, len(versions) + 1)), policy
        corrections = {r.version for r in loaded.ledger if r.policy == policy and r.supersedes is not None}
        starts = [versions[n].policy.effective_from for n in sorted(versions) if n not in corrections]
        assert starts == sorted(set(starts)), policy


def test_no_policy_begins_before_the_guide_was_first_written(loaded: Library) -> None:
    starts = {policy: min(v.policy.effective_from for v in versions.values()) for policy, versions in loaded.versions.items()}
    assert {p: str(d) for p, d in starts.items() if d.year < 2017 or str(d) > "2025-12-31"} == {}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_version_lints(path: Path) -> None:
    try:
        policy = load_policy(path)
        Program(policy)
        load_cases(case_file(path))
    except RuleFileError as error:
        pytest.fail("\n".join(map(str, error.faults)))
    for texts in (policy.model.title, policy.model.question, *(r.reason for r in policy.requirements), *(r.remedy for r in policy.requirements)):
        assert texts is None or (texts.en.strip() and texts.zh.strip())
    for texts in (policy.model.title, policy.model.question):
        assert texts.en.isascii() or not any("一" <= c <= "鿿" for c in texts.en), "Chinese in the English text"
        assert any("一" <= c <= "鿿" for c in texts.zh), "no Chinese in the Chinese text"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_case_of_a_version_passes(path: Path, loaded: Library) -> None:
    program, cases = Program(load_policy(path)), load_cases(case_file(path))
    failing = []
    for case in cases:
        result = run_case(case, program, loaded.resolver(case.as_of, None))
        if not result.passed:
            failing.append(f"{case_file(path)}:{case.line}: {case.name}: " + "; ".join(result.differences))
    assert not failing, f"{len(failing)} of {len(cases)} cases fail\n" + "\n".join(failing)
    assert len(cases) >= AT_LEAST, f"{len(cases)} cases, at least {AT_LEAST} are wanted"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_requirement_of_a_version_is_violated_in_a_case(path: Path) -> None:
    """docs/authoring.md: at least each requirement violated; one that waits for an unset parameter cannot be."""
    policy, cases = load_policy(path), load_cases(case_file(path))
    seen = {code for c in cases for code in (*c.expect.reasons, *(c.expect.warnings or ()))}
    unset = {f"parameters.{n}" for n, p in policy.parameters.items() if p.unset}
    never = {r.code for r in policy.model.requirements if any(n in f"{r.when} {r.require}" for n in unset)}
    wanted = {r.code for r in policy.requirements if r.effect in ("deny", "review")} - never
    assert sorted(wanted - seen) == []


def test_the_ledger_agrees_with_the_shipped_files() -> None:
    assert disagreements(SHIPPED) == []


def test_every_released_version_is_served(loaded: Library) -> None:
    if not (SHIPPED / LEDGER).exists():
        pytest.skip("nothing is released yet")
    assert loaded.ledger
    for entry in loaded.ledger:
        version = loaded.version(entry.policy, entry.version)
        assert version.release == entry
        assert version.policy.digest == entry.digest


def test_the_comparison_with_the_ledger_finds_what_it_should(tmp_path: Path) -> None:
    path = put(tmp_path, "credit-request", 1, *credit(1, "2025-01-01", "1000.00"))
    release(tmp_path, path, "2024-12-01")
    assert disagreements(tmp_path) == []
    path.write_text(path.read_text(encoding="utf-8") + "# one more line\n", encoding="utf-8")
    assert disagreements(tmp_path) == ["credit-request v1: the rule file is not the released one"]
    path.unlink()
    assert disagreements(tmp_path) == ["credit-request v1: 0 rule files"]
    line = json.loads((tmp_path / LEDGER).read_text(encoding="utf-8"))
    put(tmp_path, "credit-request", 1, *credit(1, "2025-01-01", "1000.00"))
    (tmp_path / LEDGER).write_text(json.dumps(line | {"effective_from": "2025-02-01"}) + "\n", encoding="utf-8")
    assert disagreements(tmp_path) == ["credit-request v1: the ledger has another period"]


def test_a_missing_language_is_a_fault(tmp_path: Path) -> None:
    rules, cases = credit(1, "2025-01-01", "1000.00")
    path = put(tmp_path, "credit-request", 1, rules.replace("{en: The contract is not signed., zh: 合同未签署。}", "{en: The contract is not signed.}"), cases)
    with pytest.raises(RuleFileError) as caught:
        load_policy(path)
    (fault,) = caught.value.faults
    assert isinstance(fault, Fault)
    assert "zh" in fault.message
