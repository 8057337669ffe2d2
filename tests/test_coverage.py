"""Coverage: what no case touches is found, and cases that touch everything leave nothing to tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import library
from proofs.coverage import gaps
from proofs.mutation import Examined
from tests.conftest import DOOR, DOOR_CASES, SHIPPED, put
from tests.test_mutants import LOAN, LOAN_CASES
from tests.test_mutation import GATE, STRONG, WEAK, run


def found(root: Path, policy: str, rules: str, cases: str) -> list[str]:
    put(root, policy, 1, rules, cases)
    loaded = library.load(root)
    assert loaded.faults == {}
    return [f"{g.kind}: {g.text}" for g in gaps(Examined(loaded, loaded.version(policy, 1)))]


def test_everything_touched_leaves_no_gap(tmp_path: Path) -> None:
    more = """\
  - name: one person
    facts: {persons: 1}
    expect: {outcome: allowed, warnings: []}
  - name: the colour of a paid car need not be known
    unknown: [colour]
    expect: {outcome: allowed}
  - name: how many is not known
    unknown: [persons]
    expect: {outcome: undetermined, missing: [persons], outputs: {free: null}}
  - name: whether it is paid is not known
    unknown: [paid]
    expect: {outcome: undetermined, missing: [paid]}
"""
    rules = GATE.replace("    when: persons < 0\n", "    require: persons >= 1\n")
    cases = STRONG.replace("{outcome: allowed, warnings: []}", "{outcome: allowed, warnings: [nobody]}")
    assert found(tmp_path, "gate-pass", rules, cases + more) == []


def test_weak_cases_leave_gaps(tmp_path: Path) -> None:
    assert found(tmp_path, "gate-pass", GATE, WEAK) == [
        "requirement: `too-many` is never unknown",
        "boundary: no case at or just above the boundary of `persons <= parameters.seats`",
        "requirement: `not-paid` is never unknown",
        "requirement: `nobody` is never unknown",
        "requirement: `nobody` is never violated",
        "boundary: no case at, just below or just above the boundary of `persons < 0`",
        "guard: `nobody`: its guard `persons < 0` is never true",
    ]


def test_rows_lines_guards_and_parameters(tmp_path: Path) -> None:
    left = found(tmp_path, "loan-request", LOAN, LOAN_CASES)
    for wanted in (
        "row: table `fees`: row 3 is never hit",
        "line: `rest`: the line `when: long` is never taken",
        "line: `rest`: the last line is never taken",
        "guard: `too-long`: its guard `months is not null` is never true",
        "requirement: `too-long` is never violated",
        "requirement: `too-long` is never satisfied",
        "requirement: `not-signed` is never violated",
        "requirement: `over-limit` is never unknown",
        "parameter: `parameters.partners` is never decisive",
        "parameter: `parameters.begins` is never decisive",
        "boundary: no case at, just below or just above the boundary of `months > 6`",
        "boundary: table `fees`: no case at, just below or just above 500 of `amount`",
        "boundary: no case just below the boundary of `amount <= parameters.limit`",
        "boundary: no case just below or just above the boundary of `amount > 100`",
        "boundary: scale `rate`: no case just below or just above 100",
    ):
        assert wanted in left, wanted
    assert not [g for g in left if "row 1 " in g or "row 2 " in g or "`parameters.limit`" in g]


def test_dates_have_boundaries_too(tmp_path: Path) -> None:
    days = "".join(
        f"  - name: on {day}\n    as_of: {day}\n    facts: {{medium: digital}}\n    expect: {{outcome: allowed, warnings: {w}}}\n"
        for day, w in (("2025-02-28", "[]"), ("2025-03-01", "[paper-only]"), ("2025-03-02", "[paper-only]"))
    )
    left = found(tmp_path, "loan-request", LOAN, LOAN_CASES + days)
    assert not [g for g in left if "parameters.begins" in g]


def test_transitions(tmp_path: Path) -> None:
    left = found(tmp_path, "door-lifecycle", DOOR, DOOR_CASES)
    assert [g for g in left if g.startswith("transition")] == [
        "transition: the transition `close-it` is never taken",
        "transition: the transition `open-it` is never taken",
        "transition: the transition `unlock-it` is never taken",
    ]


def test_lines_of_a_classification_are_seen(tmp_path: Path) -> None:
    loaded = library.load(SHIPPED)
    left = gaps(Examined(loaded, loaded.version("incentive-payout-method", 1)))
    assert not [g for g in left if g.kind == "line"]


def test_every_shipped_version_can_be_looked_at() -> None:
    loaded = library.load(SHIPPED)
    for version in loaded.all():
        for gap in gaps(Examined(loaded, version)):
            assert gap.place.line > 0
            assert gap.kind in ("requirement", "guard", "row", "line", "boundary", "transition", "parameter")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path, "gate-pass", 1, GATE, WEAK)
    assert run(tmp_path, "cover", "gate-pass@1") == 0
    told = capsys.readouterr().out
    assert told.startswith("gate-pass v1: 7 gaps\n")
    assert "`nobody`: its guard `persons < 0` is never true" in told
    assert run(tmp_path, "cover", "gate-pass", "--json") == 0
    assert '"kind": "guard"' in capsys.readouterr().out
