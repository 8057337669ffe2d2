"""The proofs on the command line: what lint finds, the semantic difference of two versions, and what a release asks for."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cli.differing import canonical
from cli.main import main
from engine import library
from engine.clock import instant
from engine.decide import Program
from engine.releases import LEDGER, read_ledger
from engine.source import digest_of
from simulations.population.columns import facts_of
from tests.conftest import LEVEL, LEVEL_CASES, put


@dataclass
class Done:
    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Done]
PILOT = "pilots/pilot-one/"


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """pilot-one with a limit of 1000.00 in v1 and of 2000.00 in v2, from 2027 on; both drafts."""
    root = tmp_path / "desk"
    assert main(["--root", str(root), "new", "pilots/pilot-one"]) == 0
    assert main(["--root", str(root), "new", "pilots/pilot-one"]) == 0
    for version, start in (("v1", "2025-01-01"), ("v2", "2026-01-01")):
        rules, cases = root / PILOT / f"{version}.yaml", root / PILOT / f"{version}.cases.yaml"
        text = rules.read_text(encoding="utf-8")
        begin = text.index("effective: {from: ") + len("effective: {from: ")
        rules.write_text(text[:begin] + start + text[begin + 10 :], encoding="utf-8")
        if version == "v2":
            replaced(rules, '"1000.00"', '"2000.00"')
            replaced(cases, '"1000.0', '"2000.0')
            replaced(cases, '"900.00"', '"1900.00"')
    return root


@pytest.fixture
def run(desk: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def go(*arguments: str, at: Path = desk) -> Done:
        capsys.readouterr()
        try:
            code = main(["--root", str(at), *arguments])
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 2
        caught = capsys.readouterr()
        return Done(code, caught.out, caught.err)

    return go


def replaced(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


# -- lint ----------------------------------------------------------------------------------------------------------------------------------

EXPLAINED = """\
policy: level-table
version: 1
explained:
  - lint: table-gap
    at: levels
    because: {en: Counts from ten on are not asked., zh: 不会询问十及以上的数量。}
"""


@pytest.fixture
def gap(tmp_path: Path) -> Path:
    """A table that ends at 10."""
    put(tmp_path / "gap", "level-table", 1, LEVEL, LEVEL_CASES)
    return tmp_path / "gap"


def test_lint_tells_what_is_proved_with_a_witness(run: Run, gap: Path) -> None:
    found = run("lint", at=gap)
    assert found.code == 1
    assert found.out == "1 rule files, 0 faults, 0 warnings; proofs: 1 findings\n"
    assert "v1.yaml:14:3: table `levels`: no row matches count 10 [table-gap]" in found.err
    assert 'shown by: {"facts": {"count": 10}' in found.err
    [finding] = run("lint", "--json", at=gap).data["findings"]
    assert (finding["lint"], finding["at"], finding["status"], finding["because"]) == ("table-gap", "levels", "proved", None)


def test_lint_without_proofs_is_as_it_was(run: Run, gap: Path) -> None:
    found = run("lint", "--no-proofs", at=gap)
    assert (found.code, found.out, found.err) == (0, "1 rule files, 0 faults, 0 warnings\n", "")
    assert set(run("lint", "--no-proofs", "--json", at=gap).data) == {"files", "faults"}


def test_what_is_explained_is_counted_and_shown_when_asked_for(run: Run, gap: Path) -> None:
    file = gap / "samples/level-table/v1.lints.yaml"
    file.write_text(EXPLAINED, encoding="utf-8")
    found = run("lint", at=gap)
    assert (found.code, found.err) == (0, "")
    assert found.out == "1 rule files, 0 faults, 0 warnings; proofs: 0 findings, 1 explained (--all shows them)\n"
    shown = run("lint", "--all", at=gap)
    assert "explained: " in shown.err
    assert "because: Counts from ten on are not asked. 不会询问十及以上的数量。" in shown.err
    assert run("lint", "--json", at=gap).data["findings"][0]["because"]["en"] == "Counts from ten on are not asked."
    replaced(file, "lint: table-gap", "lint: table-overlap")
    unused = run("lint", at=gap)
    assert unused.code == 1
    assert "[explanation-unused]" in unused.err
    replaced(file, "lint: table-overlap", "lint: table-gaps")
    broken = run("lint", at=gap)
    assert broken.code == 1
    assert "v1.lints.yaml:4:" in broken.err
    assert "unknown lint `table-gaps`" in broken.err


def test_lint_proves_the_declared_properties(run: Run, desk: Path) -> None:
    file = desk / PILOT / "v1.properties.yaml"
    text = "policy: pilot-one\nversion: 1\nproperties:\n  - {name: at-most, says: {en: Never above LIMIT., zh: 不超过 LIMIT。}, always: rest <= LIMIT}\n"
    file.write_text(text.replace("LIMIT", "1000.00"), encoding="utf-8")
    assert run("lint", "pilot-one").out.endswith("1 of 1 properties hold\n")
    file.write_text(text.replace("LIMIT", "999.99"), encoding="utf-8")
    found = run("lint", "pilot-one")
    assert found.code == 1
    assert "v1.properties.yaml:4:" in found.err
    assert "refuted: Never above 999.99. 不超过 999.99。 [at-most]" in found.err
    assert '"rest": "1000.00"' in found.err
    assert run("lint", "--json", "pilot-one").data["properties"][0]["status"] == "refuted"


def test_faults_of_types_come_first_and_such_a_file_is_not_proved(run: Run, desk: Path) -> None:
    replaced(desk / PILOT / "v1.yaml", "request.amount <= parameters.amount_max", "request.amount <= parameters.amount")
    found = run("lint")
    assert found.code == 1
    assert found.out == "2 rule files, 1 faults, 0 warnings; proofs: 0 findings\n"


# -- diff --prove --------------------------------------------------------------------------------------------------------------------------


def test_the_difference_of_two_versions_is_told_in_both_languages(run: Run) -> None:
    found = run("diff", "pilot-one", "1", "2", "--prove")
    assert (found.code, found.err) == (0, "")
    for text in (
        "pilot-one v1 → v2", "different in 1 region; outside, both give the same answer (proved)", "在 1 个区域内不同；除此之外两者答案相同（已证明）",
        "rest is another value", "rest 的值不同", "amount-over-limit fires in v1 only (in a part of it)", "denied → allowed", "for example",
    ):  # fmt: skip
        assert text in found.out, text
    english, chinese = (run("diff", "pilot-one", "1", "2", "--prove", "--lang", language).out for language in ("en", "zh"))
    assert "已证明" not in english
    assert "proved" not in chinese
    data = run("diff", "pilot-one", "1", "2", "--prove", "--json").data
    assert data["status"] == "different"
    example = data["regions"][0]["example"]
    assert example["before"]["outputs"]["rest"] != example["after"]["outputs"]["rest"]


def test_equal_versions_are_proved_equivalent(run: Run, desk: Path) -> None:
    replaced(desk / PILOT / "v2.yaml", '"2000.00"', '"1000.00"')
    replaced(desk / PILOT / "v2.yaml", "request.amount <= parameters.amount_max", "not parameters.amount_max < request.amount")
    found = run("diff", "pilot-one", "1", "2", "--prove")
    assert found.code == 0
    assert "equivalent (proved)" in found.out
    assert "等价（已证明）" in found.out
    assert run("diff", "pilot-one", "1", "2", "--prove", "--json").data["regions"] == []


def test_what_is_not_decided_in_time_is_said_so(run: Run) -> None:
    found = run("diff", "pilot-one", "1", "2", "--prove", "--seconds", "0")
    assert found.code == 1
    assert "\nundecided within 0 s; a difference somewhere is not excluded\n" in found.out
    assert "\n在 0 秒内未能判定；不排除还有差异\n" in found.out
    assert "proved" not in found.out


def test_a_population_is_counted_by_region_as_the_engine_answers(run: Run, desk: Path, tmp_path: Path) -> None:
    file = tmp_path / "cases.parquet"
    assert run("population", "pilot-one@1", "--rows", "300", "--as-of", "2025-06-01", "--out", str(file)).code == 0
    data = run("diff", "pilot-one", "1", "2", "--prove", "--json", "--population", str(file), "--as-of", "2025-06-01").data["population"]
    loaded = library.load(desk)
    programs = [Program(loaded.version("pilot-one", n).policy) for n in (1, 2)]
    differ, unknown, rest = 0, 0, [Decimal(0), Decimal(0)]
    with duckdb.connect() as connection:
        rows = connection.sql(f"SELECT * FROM '{file}'")
        for values in rows.fetchall():
            row = dict(zip(rows.columns, values, strict=True))
            answers = [p.check(facts_of(row, p.policy), instant("2025-06-01")) for p in programs]
            same = all(answers[0][part] == answers[1][part] for part in ("outcome", "outputs"))
            differ += not same
            unknown += answers[0]["outcome"] == "undetermined" and not same
            for i, answer in enumerate(answers):
                rest[i] += Decimal(answer["outputs"]["rest"] or 0) if answer["outcome"] == "allowed" and not same else 0
    assert differ > 200
    assert (data["rows"], data["changed"], data["looked_at"]) == (300, differ, differ)
    assert data["outside"] == {"unknown": unknown, "longer": 0, "elsewhere": 0}
    [region] = data["regions"]
    assert region["cases"] == differ - unknown
    money = region["money"]["rest"]
    assert (money["cases"], Decimal(money["change"])) == (region["cases"], rest[1] - rest[0])
    assert [Decimal(money[side]) for side in ("before", "after")] == rest
    assert 0 < rest[0] < rest[1]
    shown = run("diff", "pilot-one", "1", "2", "--prove", "--population", str(file), "--as-of", "2025-06-01")
    assert f"population: 300 cases, {differ} answered differently" in shown.out
    assert f"案例集：300 例，其中 {differ} 例答案不同" in shown.out


def test_a_population_can_be_generated(run: Run) -> None:
    arguments = ("diff", "pilot-one", "1", "2", "--prove", "--json", "--population", "generated", "--rows", "200", "--seed", "7", "--as-of", "2025-06-01")
    first, second = run(*arguments), run(*arguments)
    assert (first.code, first.out) == (0, second.out)
    assert first.data["population"]["rows"] == 200


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--population", "generated"], "--prove"),
        (["--prove", "--population", "nothing.parquet"], "nothing.parquet"),
        (["--prove", "--items", "0"], "--items"),
        (["--prove", "--lang", "fr"], "fr"),
    ],
)
def test_a_difference_that_cannot_be_asked_for(run: Run, arguments: list[str], said: str) -> None:
    found = run("diff", "pilot-one", "1", "2", *arguments)
    assert found.code == 2
    assert said in found.err


# -- release -------------------------------------------------------------------------------------------------------------------------------

FIRST = ("release", "pilot-one@1", "--by", "owner", "--at", "2024-12-01")
SECOND = ("release", "pilot-one@2", "--by", "owner", "--at", "2025-12-01")


def test_a_release_holds_its_score_and_its_difference(run: Run, desk: Path) -> None:
    first = run(*FIRST, "--json")
    assert first.code == 0, first.err
    assert (first.data["score"], first.data["semantic"]) == ("100.0", None)
    assert "difference" not in first.data
    file = desk / PILOT / "v2.difference.json"
    dry = run(*SECOND, "--dry-run")
    assert dry.code == 0
    assert not file.exists()
    found = run(*SECOND)
    assert found.code == 0, found.err
    for text in ("pilot-one v1 → v2", "different in 1 region", "pilot-one v2 released by owner", "mutation score 100.0 %"):
        assert text in found.out, text
    entry = read_ledger(desk)[-1]
    assert (entry.score, entry.without_score) == ("100.0", None)
    assert entry.difference == digest_of(file.read_bytes())
    stored = json.loads(file.read_bytes())
    assert canonical(stored) == file.read_bytes()
    assert stored == run("diff", "pilot-one", "1", "2", "--prove", "--json").data
    assert library.load(desk).faults == {}


def test_a_difference_that_was_changed_is_told_and_its_version_served(run: Run, desk: Path) -> None:
    assert run(*FIRST).code == run(*SECOND).code == 0
    file = desk / PILOT / "v2.difference.json"
    whole = file.read_bytes()
    before = library.load(desk)
    file.write_bytes(whole.replace(b"denied", b"review"))
    assert library.stamps_of(desk) != before.stamps
    for loaded in (library.load(desk), library.load(desk, before)):
        [fault] = loaded.faults[PILOT + "v2.difference.json"]
        assert (fault.kind, fault.message) == ("edited-after-release", "the difference that was released with pilot-one v2 was edited")
        assert loaded.version("pilot-one", 2).status == "released"
        assert loaded.unserved == []
    assert "v2.difference.json:1:1" in run("lint").err
    file.unlink()
    [fault] = library.load(desk).faults[PILOT + "v2.difference.json"]
    assert "is gone" in fault.message
    file.write_bytes(whole)
    assert library.load(desk).faults == {}


def test_a_correction_is_compared_with_what_it_corrects(run: Run, desk: Path) -> None:
    assert run(*FIRST).code == 0
    replaced(desk / PILOT / "v2.yaml", "from: 2026-01-01", "from: 2025-01-01")
    found = run(*SECOND, "--supersedes", "1", "--json")
    assert found.code == 0, found.err
    assert (found.data["semantic"]["before"], found.data["semantic"]["after"]) == ("pilot-one v1", "pilot-one v2")


def test_weak_cases_are_no_release(run: Run, desk: Path) -> None:
    cases = desk / PILOT / "v1.cases.yaml"
    text = cases.read_text(encoding="utf-8")
    cases.write_text(text[: text.index("  - name: exactly the limit")], encoding="utf-8")
    refused = run(*FIRST)
    assert (refused.code, refused.out) == (1, "")
    for said in ("95 % are needed", "policy mutate pilot-one@1", "--without-score REASON"):
        assert said in refused.err, said
    assert not (desk / LEDGER).exists()
    assert run(*FIRST, "--without-score", " ").code == 2
    assert run(*FIRST, "--min-score", "101").code == 2
    low = run(*FIRST, "--min-score", "0", "--dry-run", "--json")
    assert (low.code, float(low.data["score"]) < 95) == (0, True)
    waived = run(*FIRST, "--without-score", "the pilot starts tomorrow")
    assert waived.code == 0
    assert "without a mutation score: the pilot starts tomorrow" in waived.out
    [entry] = read_ledger(desk)
    assert (entry.score, entry.without_score) == (None, "the pilot starts tomorrow")


def test_what_is_proved_against_a_version_is_no_release(run: Run, gap: Path) -> None:
    arguments = ("release", "level-table@1", "--by", "owner", "--at", "2024-12-01", "--without-score", "a sample")
    refused = run(*arguments, at=gap)
    assert refused.code == 1
    assert "1 findings of level-table v1 are neither mended nor explained; `policy lint level-table` shows them" in refused.err
    (gap / "samples/level-table/v1.lints.yaml").write_text(EXPLAINED, encoding="utf-8")
    assert run(*arguments, at=gap).code == 0
