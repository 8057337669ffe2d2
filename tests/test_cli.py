"""The command line `policy`: every command, its JSON, its exit codes (0 done, 1 the answer is no, 2 called wrongly), and what a release refuses."""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
import yaml

from cli.main import main
from engine.releases import LEDGER, read_ledger
from engine.source import parse
from tests.conftest import CREDIT_CASES, DOOR, DOOR_CASES, GOOD, Caller, changed, credit, problem, put, samples, undated

FORMS = ("check", "compute", "classify", "machine", "validate")
POLICY = str(Path(sys.executable).with_name("policy"))


@dataclass
class Done:
    """What one command did."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Done]


@pytest.fixture
def run(root: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `policy` over the small library; a library elsewhere with `at`."""

    def go(*arguments: str, at: Path = root) -> Done:
        capsys.readouterr()
        if arguments[:1] == ("release",) and "--help" not in arguments:
            arguments = (*arguments, "--without-score", "a sample")  # tests/test_cli_proofs.py has releases with a score
        try:
            code = main(["--root", str(at), *arguments])
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 2
        caught = capsys.readouterr()
        assert "Traceback" not in caught.err
        return Done(code, caught.out, caught.err)

    return go


@pytest.fixture
def facts(tmp_path: Path) -> str:
    path = tmp_path / "facts.json"
    path.write_text(json.dumps(GOOD), encoding="utf-8")
    return str(path)


def replaced(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


# -- new -----------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_a_new_policy_lints_and_passes_its_own_cases(run: Run, tmp_path: Path, form: str) -> None:
    empty = tmp_path / "empty"
    made = run("new", "pilots/pilot-one", "--form", form, at=empty)
    assert made.code == 0, made.err
    files = [empty / "pilots/pilot-one/v1.yaml", empty / "pilots/pilot-one/v1.cases.yaml"]
    assert made.out.split() == list(map(str, files))
    assert all(f.is_file() for f in files)
    rules = parse(files[0].read_bytes(), "v1.yaml").data
    assert (rules["policy"], rules["family"], rules["version"]) == ("pilot-one", "pilots", 1)
    assert form in (rules["form"] if isinstance(rules["form"], list) else [rules["form"]])
    linted = run("lint", "--strict", at=empty)
    assert (linted.code, linted.err) == (0, "")
    tested = run("test", "--json", at=empty)
    assert tested.code == 0
    assert tested.data["cases"] >= 4
    assert tested.data["failed"] == 0
    released = run("release", "pilot-one@1", "--by", "owner", at=empty)
    assert released.code == 0, released.err


def test_a_second_new_is_a_draft_of_the_next_version(run: Run, root: Path) -> None:
    before = {p.name: p.read_bytes() for p in (root / "samples/credit-request").iterdir()}
    made = run("new", "samples/credit-request")
    assert made.code == 0
    assert "v5.yaml" in made.out
    assert "effective.from" in made.out
    assert {p.name: p.read_bytes() for p in (root / "samples/credit-request").iterdir() if p.name in before} == before
    assert parse((root / "samples/credit-request/v5.yaml").read_bytes(), "v5.yaml").data["version"] == 5
    assert run("lint", "credit-request").code == 0
    assert run("test", "credit-request").code == 0


@pytest.mark.parametrize(
    "name", ["noslash", "/x", "x/", "a/b/c", "../x", "x/..", "./x", "Pilots/One", "pi lots/one", "pilots/one_two", "pilots/-one", "", "pilots/一"]
)
def test_a_name_that_is_none_is_refused_and_nothing_written(run: Run, tmp_path: Path, name: str) -> None:
    root = tmp_path / "new" / "policies"
    root.mkdir(parents=True)
    made = run("new", name, at=root)
    assert made.code == 2
    assert "FAMILY/POLICY" in made.err
    assert sorted(p.name for p in (tmp_path / "new").rglob("*")) == ["policies"]


def test_an_unknown_form_is_refused(run: Run) -> None:
    assert run("new", "pilots/one", "--form", "formula").code == 2


# -- lint ----------------------------------------------------------------------------------------------------------------------------------


def test_lint_of_files_folders_and_policies(run: Run, root: Path) -> None:
    assert run("lint", "--no-proofs").out == "7 rule files, 0 faults, 0 warnings\n"
    assert run("lint", "credit-request").out.startswith("4 rule files")
    assert run("lint", "--no-proofs", str(root / "samples")).out.startswith("7 rule files")
    for name in ("v2.yaml", "v2.cases.yaml"):
        assert run("lint", "--no-proofs", str(root / "samples/credit-request" / name)).out.startswith("1 rule files")
    assert run("lint", "--no-proofs", "credit-request", str(root / "samples/credit-request/v1.yaml")).out.startswith("4 rule files"), "each once"
    missing = run("lint", "credit-requests")
    assert missing.code == 2
    assert "credit-request" in missing.err


def test_lint_tells_every_fault_with_place_and_help(run: Run, root: Path) -> None:
    path = root / "samples/credit-request/v4.yaml"
    replaced(path, "customer.level == gold", "customer.levle == gold")
    replaced(path, "request.amount <= parameters.limit", "request.amount <= parameters.limti")
    found = run("lint", str(path), "--json")
    assert found.code == 1
    faults = found.data["faults"]
    assert found.data["files"] == 1
    assert [f["file"] for f in faults] == [str(path)] * 2
    assert ["did you mean" in f["help"] for f in faults] == [True, True]
    lines = path.read_text(encoding="utf-8").splitlines()
    assert ["limti" in lines[faults[0]["line"] - 1], "levle" in lines[faults[1]["line"] - 1]] == [True, True]
    shown = run("lint", str(path))
    assert shown.code == 1
    assert f"{path}:{faults[0]['line']}:{faults[0]['column']}: " in shown.err
    assert "1 rule files, 2 faults, 0 warnings" in shown.out


def test_lint_judges_case_files_too(run: Run, root: Path) -> None:
    cases = root / "samples/credit-request/v4.cases.yaml"
    replaced(cases, "cases:", "casse:")
    assert run("lint", "credit-request").code == 1
    cases.unlink()
    found = run("lint", "credit-request", "--json")
    assert (found.code, [f["kind"] for f in found.data["faults"]]) == (0, ["warning"])
    assert run("lint", "credit-request", "--strict").code == 1


def test_lint_tells_each_fault_once_and_an_edited_release(run: Run, root: Path) -> None:
    replaced(root / "samples/credit-request/v4.yaml", "customer.level == gold", "customer.levle == gold")
    assert len(run("lint", "--json").data["faults"]) == 1
    replaced(root / "samples/credit-request/v1.yaml", "1000.00", "1001.00")
    found = run("lint", "--json")
    assert found.code == 1
    assert {f["kind"] for f in found.data["faults"]} == {"rule-file", "edited-after-release"}


# -- test ----------------------------------------------------------------------------------------------------------------------------------


def test_test_runs_cases(run: Run, root: Path) -> None:
    assert run("test").code == 0
    report = run("test", "credit-request", "--json").data
    assert (report["cases"], report["failed"], report["broken_files"], report["failures"]) == (12, 0, 0, [])
    assert run("test", "credit-request", "--case", "signature", "--json").data["cases"] == 4
    assert run("test", "credit-request", "--case", "no such case").code == 1, "no case at all is no success"


def test_test_shows_what_differs(run: Run, root: Path) -> None:
    replaced(root / "samples/credit-request/v4.cases.yaml", "reasons: [not-signed]", "reasons: [over-limit]")
    found = run("test", "credit-request")
    assert found.code == 1
    assert "v4.cases.yaml:" in found.out
    assert "without a signature a large one is refused" in found.out
    assert "reasons: expected ['over-limit'], got ['not-signed']" in found.out
    assert "11 of 12 cases passed" in found.out
    report = run("test", "credit-request", "--json")
    assert (report.code, report.data["failed"]) == (1, 1)
    (failure,) = report.data["failures"]
    assert failure["case"] == "without a signature a large one is refused"
    assert failure["line"] > 1


def test_test_with_a_broken_file_runs_the_others(run: Run, root: Path) -> None:
    replaced(root / "samples/credit-request/v4.yaml", "customer.level == gold", "customer.levle == gold")
    report = run("test", "--json")
    assert report.code == 1
    assert (report.data["broken_files"], report.data["failed"]) == (1, 0)
    assert report.data["cases"] > 9


# -- check and compute -----------------------------------------------------------------------------------------------------------------------


def test_check_says_what_the_service_says(run: Run, api: Caller, facts: str) -> None:
    for more, asked in (([], {}), (["--known-at", "2025-08-31"], {"known_at": "2025-08-31"}), (["--trace"], {"trace": True})):
        found = run("check", "credit-request", "--facts", facts, "--as-of", "2025-08-01", "--json", *more)
        assert (found.code, found.err) == (0, "")
        assert found.data == undated(api.check("credit-request", GOOD, **asked))
    pinned = run("check", "credit-request@4", "--facts", facts, "--as-of", "2025-08-01", "--json")
    assert pinned.data == undated(api.check("credit-request", GOOD, version=4))
    assert run("check", "credit-request@v1", "--facts", facts, "--as-of", "2025-08-01", "--json").data["version"] == 1


def test_compute_tells_the_open_events_of_a_machine(run: Run) -> None:
    found = run("compute", "door-lifecycle", "--fact", "state=closed", "--fact", "actor.role=owner", "--as-of", "2025-08-01", "--json")
    assert (found.code, found.data["outputs"]["open_events"]) == (0, ["lock", "open"])
    shown = run("compute", "door-lifecycle", "--fact", "state=closed", "--fact", "actor.role=owner", "--as-of", "2025-08-01")
    assert "lock" in shown.out


def test_a_refusal_is_an_answer(run: Run, facts: str) -> None:
    """The question was answered: exit code 0, with the reasons in both languages."""
    found = run("check", "credit-request", "--facts", facts, "--fact", "request.amount=2500.01", "--as-of", "2025-08-01")
    assert found.code == 0
    for text in ("denied", "over-limit", "2500.01 is above the limit of 2500.00.", "2500.01 超过上限 2500.00。", "Ask for less.", "请降低金额。"):
        assert text in found.out, text
    assert "sha256:" in found.out


def test_facts_of_yaml_standard_input_and_the_command(run: Run, facts: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = run("check", "credit-request", "--facts", facts, "--as-of", "2025-08-01", "--json").data
    file = tmp_path / "facts.yaml"
    file.write_text(yaml.safe_dump(GOOD), encoding="utf-8")
    assert run("check", "credit-request", "--facts", str(file), "--as-of", "2025-08-01", "--json").data == wanted
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps({"facts": GOOD}).encode())))
    assert run("check", "credit-request", "--facts", "-", "--as-of", "2025-08-01", "--json").data == wanted
    asked = run(
        "check", "credit-request", "--facts", facts, "--fact", "request.amount=1", "--fact", "customer.mobile=null", "--as-of", "2025-08-01", "--json"
    ).data
    assert asked["outputs"]["rest"] == "2499.00"
    assert [w["code"] for w in asked["warnings"]] == ["no-mobile"]


@pytest.mark.parametrize("amount", ["0.1", "9007199254740993.55", '"9007199254740993.55"'])
def test_money_is_exact(run: Run, amount: str) -> None:
    found = run("check", "credit-request", "--fact", f"request.amount={amount}", "--as-of", "2025-08-01", "--json").data
    assert found["outputs"]["rest"] == {"0.1": "2499.90"}.get(amount, "-9007199254738493.55")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["credit-requests"], "did you mean `credit-request`"), (["credit-request@9"], "1, 2, 3, 4"), (["credit-request@x"], "POLICY@VERSION"),
        (["credit-request", "--as-of", "2024-01-01"], "version 1 from 2025-01-01 until 2025-07-01"), (["credit-request", "--as-of", "soon"], "neither a date"),
        (["credit-request", "--known-at", "soon"], "neither a date"), (["credit-request", "--facts", "/no/such/file"], "/no/such/file"),
        (["credit-request", "--fact", "request.amount"], "NAME=VALUE"), (["credit-request", "--fact", "request.amonut=1"], "did you mean `request.amount`?"),
        (["credit-request", "--fact", "request.amount=x", "--fact", "customer.level=y"], "customer.level: `y` is not one of basic, gold"),
    ],
)  # fmt: skip
def test_a_question_that_cannot_be_read_is_told(run: Run, arguments: list[str], said: str) -> None:
    found = run("check", *arguments)
    assert (found.code, found.out) == (2, "")
    assert said in found.err


def test_all_wrong_facts_are_told(run: Run) -> None:
    found = run("check", "credit-request@1", "--fact", "request.amount=x", "--fact", "customer.level=y", "--fact", "customer.signed=1", "--json")
    assert found.code == 2
    assert [line.split(":")[0] for line in found.err.splitlines() if not line.startswith("  help")] == ["request.amount", "customer.level", "customer.signed"]


@pytest.mark.parametrize("text", ["{", "[]", "7", '{"request": {"amount": "1.00", "amount": "2.00"}}', "a: [", ""])
def test_a_facts_file_that_is_none(run: Run, tmp_path: Path, text: str) -> None:
    for name in ("facts.json", "facts.yaml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        found = run("check", "credit-request@1", "--facts", str(path))
        assert found.code in (1, 2), (name, found.out)
        assert found.err


def test_rules_without_a_value_are_a_no_with_place(run: Run) -> None:
    found = run("check", "level-table", "--fact", "count=10", "--as-of", "2025-08-01")
    assert found.code == 1
    assert "levels" in found.err
    assert "level-table/v1.yaml:" in found.err


# -- show, list, diff, schema ----------------------------------------------------------------------------------------------------------------


def test_show_one_version(run: Run, api: Caller) -> None:
    shown = run("show", "credit-request", "--as-of", "2025-08-01")
    assert shown.code == 0
    for text in ("Asking for credit", "申请额度", "credit-request v3", "2500.00", "over-limit", "customer.mobile", "per_head"):
        assert text in shown.out, text
    data = run("show", "credit-request@4", "--json").data
    assert (data["policy"], data["version"], data["status"]) == ("credit-request", 4, "draft")
    assert data["rules"] == api.get("/v1/policies/credit-request/versions/4").json()["rules"]
    schema = run("show", "credit-request@3", "--facts-schema").data
    assert schema == api.get("/v1/policies/credit-request/versions/3/schema").json()
    assert run("show", "door-lifecycle").code == 0
    assert run("show", "nothing").code == 2


def test_list_all_versions(run: Run) -> None:
    data = run("list", "--json").data
    assert [(d["policy"], d["version"]) for d in data][:4] == [("credit-request", n) for n in (1, 2, 3, 4)]
    assert [d["status"] for d in data][:4] == ["released", "released", "released", "draft"]
    assert data[0]["in_force"] == "from 2025-01-01 until 2025-07-01"
    assert data[2]["in_force"] == "from 2025-07-01"
    assert "once released" not in data[1]["in_force"], "v2 is released, and superseded by v3"
    assert data[0]["title"] == {"en": "Asking for credit", "zh": "申请额度"}
    shown = run("list")
    assert shown.code == 0
    assert "credit-request@3" in shown.out
    assert "申请额度" in shown.out


def test_list_of_an_empty_folder(run: Run, tmp_path: Path) -> None:
    assert run("list", "--json", at=tmp_path).data == []


def test_diff_of_two_versions(run: Run, root: Path, api: Caller) -> None:
    data = run("diff", "credit-request", "1", "2", "--json").data
    assert data == api.get("/v1/policies/credit-request/diff?from=1&to=2").json()
    shown = run("diff", "credit-request", "1", "2")
    assert shown.code == 0
    for text in ("limit", "1000.00", "2000.00", "2025-01-01", "2025-07-01"):
        assert text in shown.out, text
    replaced(root / "samples/credit-request/v4.yaml", "The contract is not signed.", "The contract is missing.")
    replaced(root / "samples/credit-request/v4.yaml", "    effect: review", "    effect: deny")
    replaced(root / "samples/credit-request/v4.cases.yaml", "a small amount is allowed", "a little amount is allowed")
    data = run("diff", "credit-request", "3", "4", "--json").data
    assert [(e["name"], e["change"]) for e in data["requirements"]] == [("basic-level", "changed")]
    assert "requirements.not-signed" in {t["name"] for t in data["texts"]}
    assert {(c["name"], c["change"]) for c in data["cases"]} == {("a small amount is allowed", "removed"), ("a little amount is allowed", "added")}
    assert run("diff", "credit-request", "1", "9").code == 2
    assert run("diff", "nothing", "1", "2").code == 2
    assert run("diff", "credit-request", "one", "2").code == 2


@pytest.mark.parametrize(("kind", "suffix"), [("policy", ".yaml"), ("cases", ".cases.yaml")])
def test_the_schema_of_rule_and_case_files(run: Run, root: Path, kind: str, suffix: str) -> None:
    schema = run("schema", kind).data
    jsonschema_rs.meta.validate(schema)
    judge = jsonschema_rs.validator_for(schema)
    for name in ("credit-request", "door-lifecycle", "level-table", "order-with-credit"):
        data = parse((root / f"samples/{name}/v1{suffix}").read_bytes(), name).data
        assert [e.message for e in judge.iter_errors(data)] == [], name
        assert not judge.is_valid({**data, "unknown_key": 1})
    assert run("schema", "facts").code == 2


# -- release -------------------------------------------------------------------------------------------------------------------------------


def drafts(root: Path) -> Path:
    """Two drafts of one policy, nothing released."""
    put(root, "credit-request", 1, *credit(1, "2025-01-01", "1000.00"))
    put(root, "credit-request", 2, *credit(2, "2025-07-01", "2000.00"))
    put(root, "door-lifecycle", 1, DOOR, DOOR_CASES)
    return root


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    return drafts(tmp_path / "desk")


def test_a_release_is_written_and_found_by_date(run: Run, desk: Path) -> None:
    found = run("release", "credit-request@1", "--by", "owner", "--at", "2024-12-01", "--note", "first", "--json", at=desk)
    assert (found.code, found.err) == (0, "")
    assert found.data["released"] is True
    assert (found.data["policy"], found.data["version"], found.data["released_by"], found.data["note"]) == ("credit-request", 1, "owner", "first")
    assert found.data["effective_from"] == "2025-01-01"
    assert found.data["released_at"] == "2024-12-01T00:00:00+08:00"
    (entry,) = read_ledger(desk)
    assert found.data["digest"] == entry.digest
    shown = run("release", "credit-request@v2", "--by", "owner", "--at", "2025-06-01", at=desk)
    assert shown.code == 0
    assert "credit-request v2 released by owner" in shown.out
    assert "in force from 2025-07-01" in shown.out
    assert [r.version for r in read_ledger(desk)] == [1, 2]
    assert run("check", "credit-request", "--as-of", "2025-06-30", "--json", at=desk).data["version"] == 1
    assert run("check", "credit-request", "--as-of", "2025-07-01", "--json", at=desk).data["version"] == 2
    assert run("check", "credit-request", "--as-of", "2025-07-01", "--known-at", "2025-05-31", "--json", at=desk).data["version"] == 1


def test_a_dry_run_writes_nothing(run: Run, desk: Path) -> None:
    found = run("release", "credit-request@1", "--by", "owner", "--dry-run", at=desk)
    assert found.code == 0
    assert "can be released" in found.out
    assert run("release", "credit-request@1", "--by", "owner", "--dry-run", "--json", at=desk).data["released"] is False
    assert not (desk / LEDGER).exists()
    assert run("release", "credit-request@1", "--by", "owner", at=desk).code == 0
    refused = run("release", "credit-request@1", "--by", "owner", "--dry-run", at=desk)
    assert refused.code == 1


def refuses(run: Run, desk: Path, said: str, *arguments: str, code: int = 1) -> None:
    """The release is refused with this reason and the ledger stays as it is."""
    ledger = desk / LEDGER
    before = ledger.read_bytes() if ledger.exists() else b""
    found = run("release", *arguments, "--by", "owner", at=desk)
    assert found.code == code, found.out + found.err
    assert said in found.err
    assert found.out == ""
    assert (ledger.read_bytes() if ledger.exists() else b"") == before


def test_failing_cases_are_no_release(run: Run, desk: Path) -> None:
    replaced(desk / "samples/credit-request/v1.cases.yaml", "[not-signed]", "[over-limit]")
    refuses(run, desk, "1 cases of credit-request v1 fail: without a signature a large one is refused", "credit-request@1")


def test_no_cases_are_no_release(run: Run, desk: Path) -> None:
    cases = desk / "samples/credit-request/v1.cases.yaml"
    cases.write_text(CREDIT_CASES.replace("VERSION", "1").replace("FROM", "2025-01-01").split("cases:")[0] + "cases: []\n", encoding="utf-8")
    found = run("release", "credit-request@1", "--by", "owner", at=desk)
    assert found.code == 1
    assert found.err
    cases.unlink()
    refuses(run, desk, "has no cases", "credit-request@1")


def test_a_broken_case_file_is_no_release(run: Run, desk: Path) -> None:
    replaced(desk / "samples/credit-request/v1.cases.yaml", "expect:", "expects:")
    refuses(run, desk, "v1.cases.yaml:", "credit-request@1")


def test_a_broken_rule_file_is_no_release(run: Run, desk: Path) -> None:
    replaced(desk / "samples/credit-request/v2.yaml", "customer.level == gold", "customer.levle == gold")
    found = run("release", "credit-request@2", "--by", "owner", at=desk)
    assert "did you mean `customer.level`" in found.err
    assert found.code == 1, "refused because of its faults, not because it does not exist"
    assert "no version 2" not in found.err


def test_a_second_release_of_a_version_is_refused(run: Run, desk: Path) -> None:
    assert run("release", "credit-request@1", "--by", "owner", "--at", "2024-12-01", at=desk).code == 0
    refuses(run, desk, "credit-request v1 was released at 2024-12-01", "credit-request@1")
    refuses(run, desk, "write the change as a new version", "credit-request@1", "--supersedes", "1")


def test_an_edited_released_file_is_refused(run: Run, desk: Path) -> None:
    assert run("release", "credit-request@1", "--by", "owner", "--at", "2024-12-01", at=desk).code == 0
    replaced(desk / "samples/credit-request/v1.yaml", "1000.00", "1001.00")
    refuses(run, desk, "edited after its release on 2024-12-01", "credit-request@1")


def test_an_overlapping_period_is_refused(run: Run, desk: Path) -> None:
    assert run("release", "credit-request@2", "--by", "owner", "--at", "2025-06-01", at=desk).code == 0
    put(desk, "credit-request", 3, *credit(3, "2025-07-01", "3000.00"))
    refuses(run, desk, "the period from 2025-07-01 overlaps version 2", "credit-request@3")
    refuses(run, desk, "`--supersedes 2`", "credit-request@3")


def test_a_version_before_all_others_ends_where_they_begin(run: Run, desk: Path) -> None:
    """v1 from January, without an end, after v2 from July was released: it fills a time that none covers."""
    assert run("release", "credit-request@2", "--by", "owner", "--at", "2025-06-01", at=desk).code == 0
    found = run("release", "credit-request@1", "--by", "owner", "--at", "2025-06-02", at=desk)
    assert found.code == 0, found.err
    assert run("check", "credit-request", "--as-of", "2025-03-01", "--json", at=desk).data["version"] == 1
    assert run("check", "credit-request", "--as-of", "2025-07-01", "--json", at=desk).data["version"] == 2


def test_a_correction_takes_the_place_of_a_version(run: Run, desk: Path) -> None:
    for version, at in (("1", "2024-12-01"), ("2", "2025-06-01")):
        assert run("release", f"credit-request@{version}", "--by", "owner", "--at", at, at=desk).code == 0
    put(desk, "credit-request", 3, *credit(3, "2025-07-01", "3000.00"))
    refuses(run, desk, "same first day", "credit-request@3", "--supersedes", "1")
    refuses(run, desk, "version 8 is not released", "credit-request@3", "--supersedes", "8")
    done = run("release", "credit-request@3", "--by", "owner", "--at", "2025-09-01", "--supersedes", "2", "--json", at=desk)
    assert (done.code, done.data["supersedes"]) == (0, 2)
    asked = ("check", "credit-request", "--as-of", "2025-08-01", "--json")
    assert run(*asked, at=desk).data["version"] == 3
    assert run(*asked, "--known-at", "2025-08-31", at=desk).data["version"] == 2
    put(desk, "credit-request", 4, *credit(4, "2025-07-01", "4000.00"))
    refuses(run, desk, "2", "credit-request@4", "--supersedes", "2", "--at", "2025-10-01")
    assert run("release", "credit-request@4", "--by", "owner", "--at", "2025-10-01", "--supersedes", "3", at=desk).code == 0


def test_the_ledger_goes_forward_in_time(run: Run, desk: Path) -> None:
    assert run("release", "credit-request@1", "--by", "owner", "--at", "2024-12-01", at=desk).code == 0
    refuses(run, desk, "append-only", "credit-request@2", "--at", "2024-11-30T23:59:59+08:00")
    assert run("release", "door-lifecycle@1", "--by", "owner", "--at", "2024-01-01", at=desk).code == 0, "each policy has its own time"
    assert run("release", "credit-request@2", "--by", "owner", "--at", "2024-12-02", at=desk).code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["credit-request"], "POLICY@VERSION"),
        (["nothing@1"], "unknown policy `nothing`"),
        (["credit-request@9"], "no version 9"),
        (["credit-request@1", "--at", "soon"], "neither a date"),
    ],
)
def test_a_release_that_cannot_be_read(run: Run, desk: Path, arguments: list[str], said: str) -> None:
    refuses(run, desk, said, *arguments, code=2)


def test_who_releases_must_be_said(run: Run, desk: Path) -> None:
    for arguments in ([], ["--by", ""], ["--by", " "]):
        assert run("release", "credit-request@1", *arguments, at=desk).code == 2
    assert not (desk / LEDGER).exists()


def test_nothing_is_released_behind_a_broken_ledger(run: Run, root: Path) -> None:
    lines = (root / LEDGER).read_text(encoding="utf-8").splitlines()
    (root / LEDGER).write_text("\n".join(lines[1:]) + "\n", encoding="utf-8")
    refuses(run, root, "append-only", "credit-request@4")


def test_a_note_of_any_text_leaves_the_ledger_readable(run: Run, desk: Path) -> None:
    note = 'line one\nline two\u2028"three" 第四'
    assert run("release", "credit-request@1", "--by", "业主", "--note", note, "--at", "2024-12-01", at=desk).code == 0
    assert run("release", "credit-request@2", "--by", "owner", "--at", "2025-06-01", at=desk).code == 0
    assert read_ledger(desk)[0].note == note
    assert read_ledger(desk)[0].released_by == "业主"


# -- the program as such ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command", ["new", "lint", "test", "check", "compute", "show", "list", "diff", "mutate", "cover", "prove", "remedy", "release", "schema", "serve"]
)
def test_every_command_has_a_help(run: Run, command: str) -> None:
    found = run(command, "--help")
    assert found.code == 0
    assert f"policy {command}" in found.out or f"{command} [-h]" in found.out


def test_the_help_names_every_command_and_the_exit_codes(run: Run) -> None:
    found = run("--help")
    assert found.code == 0
    for text in ("new", "lint", "test", "check", "compute", "show", "list", "diff", "release", "schema", "serve", "Exit codes"):
        assert text in found.out, text


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["check"], ["diff", "x"], ["lint", "--nothing"], ["serve", "--port", "x"]])
def test_a_command_that_was_called_wrongly(run: Run, arguments: list[str]) -> None:
    found = run(*arguments)
    assert found.code == 2
    assert "usage" in found.err


def test_serve_refuses_an_open_address_and_a_missing_folder(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POLICY_API_KEYS", raising=False)
    monkeypatch.setattr("api.serve.uvicorn.run", lambda *_, **__: pytest.fail("it was started"))
    found = run("serve", "--host", "0.0.0.0")
    assert found.code == 2
    assert "--keys" in found.err
    found = run("serve", at=tmp_path / "none")
    assert found.code == 2
    assert "--root" in found.err
    found = run("serve", "--keys", str(tmp_path / "none.yaml"))
    assert (found.code, "none.yaml" in found.err) == (2, True)


def test_serve_passes_its_settings_on(run: Run, root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    started: list[dict[str, Any]] = []
    monkeypatch.delenv("POLICY_API_KEYS", raising=False)
    monkeypatch.setattr("api.serve.uvicorn.run", lambda *_, **more: started.append(more))
    assert run("serve", "--port", "8123", "--workers", "2", "--log-decisions", str(tmp_path / "log"), "--no-reload").code == 0
    assert (started[0]["host"], started[0]["port"], started[0]["workers"]) == ("127.0.0.1", 8123, 2)


def test_serve_answers_over_a_socket_and_stops_when_told(root: Path, tmp_path: Path) -> None:
    """The whole program on 127.0.0.1: an answer, a body that comes in pieces, a reload by itself, and the decision log written at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path / "decisions.jsonl"
    command = [POLICY, "--root", str(root), "serve", "--port", str(port), "--log-decisions", str(log)]
    environment = {k: v for k, v in os.environ.items() if k != "POLICY_API_KEYS"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client:
                assert _until(lambda: client.get("/healthz").status_code == 200, httpx.TransportError)
                question = json.dumps({"facts": GOOD, "as_of": "2025-08-01"}).encode()
                answer = client.post("/v1/policies/credit-request/check", content=question)
                assert (answer.status_code, answer.json()["outcome"]) == (200, "allowed")
                in_pieces = client.post("/v1/policies/credit-request/check", content=(bytes([b]) for b in question))
                assert undated(in_pieces.json()) == undated(answer.json())
                problem(client.post("/v1/policies/credit-request/check", content=(b" " * 100_000 for _ in range(11))), 413)
                replaced(root / "samples/credit-request/v4.yaml", "4000.00", "4100.00")
                pinned = {"facts": {"request": {"amount": 100}}, "version": 4}
                assert _until(lambda: client.post("/v1/policies/credit-request/check", json=pinned).json()["outputs"]["rest"] == "4000.00")
        finally:
            process.terminate()
            _, err = process.communicate(timeout=30)
    assert b"Traceback" not in err
    assert all(json.loads(line)["level"] for line in err.splitlines()), "the log is JSON, one object a line"
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert lines[0]["receipt"] == lines[1]["receipt"] == answer.json()["receipt"]


def _until(holds: Callable[[], bool], *errors: type[Exception]) -> bool:
    """Look again until it holds."""
    for _ in range(600):
        with contextlib.suppress(*errors):
            if holds():
                return True
        time.sleep(0.05)
    return False


def test_the_program_itself(root: Path) -> None:
    done = subprocess.run([POLICY, "--root", str(root), "lint", "--no-proofs"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "7 rule files, 0 faults, 0 warnings\n"), done.stderr
    done = subprocess.run([POLICY, "--root", str(root), "check", "none"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")


def test_a_closed_pipe_is_no_fault(root: Path) -> None:
    command = f"{POLICY} --root {root} schema policy | head -c 10; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 0


def test_a_broken_file_does_not_stop_what_works(run: Run, root: Path) -> None:
    replaced(root / "samples/credit-request/v4.yaml", "customer.level == gold", "customer.levle == gold")
    found = run("check", "credit-request", "--fact", "request.amount=1", "--as-of", "2025-08-01", "--json")
    assert found.code == 0
    assert found.data["version"] == 3
    assert "v4.yaml:" in found.err


def test_an_empty_folder_has_nothing_to_test(run: Run, tmp_path: Path) -> None:
    assert run("test", at=tmp_path).code == 1
    assert run("lint", at=tmp_path).out == "0 rule files, 0 faults, 0 warnings; proofs: 0 findings\n"


def test_sample_facts_are_the_same_everywhere(tmp_path: Path) -> None:
    """The library of these tests is itself without faults."""
    assert len(read_ledger(samples(tmp_path / "again"))) == 6
    assert changed(GOOD, request__amount="1.00")["request"]["amount"] == "1.00"
