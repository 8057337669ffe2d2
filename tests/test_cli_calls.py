"""How a command ends that cannot begin or is cancelled: no folder of rule files, files with faults, Ctrl-C at any moment."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from cli.main import main
from engine import library
from tests.conftest import samples

POLICY = "credit-request"
DAY = ["--as-of", "2025-08-01"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An own folder with the small library, where commands run."""
    samples(tmp_path / "policies")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def replaced(here: Path, old: str, new: str, number: int = 4, to: Path | None = None) -> Path:
    """A draft with some of its text changed, there or elsewhere."""
    file = here / "policies" / "samples" / POLICY / f"v{number}.yaml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    (to or file).write_text(text.replace(old, new), encoding="utf-8")
    return to or file


# -- no folder ---------------------------------------------------------------------------------------------------------------------------

COMMANDS = {
    "list": ["list"], "show": ["show", POLICY], "check": ["check", POLICY], "test": ["test"], "test-one": ["test", POLICY], "lint": ["lint"],
    "diff": ["diff", POLICY, "1", "2"], "sql": ["sql", POLICY], "simulate": ["simulate", POLICY, "--set", "limit=1"], "prove": ["prove", POLICY],
    "release": ["release", f"{POLICY}@4", "--by", "somebody"], "population": ["population", POLICY],
}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_no_folder_of_rule_files(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(COMMANDS[command]) == 2
    assert capsys.readouterr() == ("", "there is no folder `policies`; name it with --root\n")
    assert main(["--root", "elsewhere", *COMMANDS[command]]) == 2
    assert "there is no folder `elsewhere`" in capsys.readouterr().err


# -- files with faults -------------------------------------------------------------------------------------------------------------------


def test_faults_of_a_draft_are_told_once(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    replaced(here, "require: customer.signed", "require: customer.signd")
    assert main(["simulate", POLICY, "--to", "4", *DAY]) == 1
    assert capsys.readouterr().err.count("unknown name `customer.signd`") == 1


@pytest.mark.parametrize("ask", [["simulate", POLICY, "--to", "5", *DAY], ["show", f"{POLICY}@4"]], ids=lambda v: v[0])
def test_a_version_that_there_is_not_beside_one_that_cannot_be_read(here: Path, ask: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    replaced(here, "require: customer.signed", "require: customer.signd")
    assert main(ask) == 2
    said = capsys.readouterr().err
    assert "exists: 1, 2, 3\n" in said
    assert f"cannot be read: samples/{POLICY}/v4.yaml" in said


# -- a rule file as a version ------------------------------------------------------------------------------------------------------------


def test_a_file_as_the_candidate(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It answers as the same file does beside the others, over the same cases; the report's command names it."""
    options = ["--rows", "400", "--population-seed", "2", "--json", *DAY]
    assert main(["simulate", POLICY, "--to", "4", *options, "--out", "a"]) == 0
    inside = capsys.readouterr().out
    replaced(here, "version: 4", "version: 5", to=here / "next.yaml")
    assert main(["simulate", POLICY, "--to", "next.yaml", *options, "--out", "b"]) == 0
    outside = capsys.readouterr().out
    flips = [json.loads(text)["flips"] for text in (inside, outside)]
    assert flips[0] == flips[1]
    assert "--candidate next.yaml" in outside
    assert main(["simulate", POLICY, "--from", "next.yaml", "--to", "1", *options, "--out", "c"]) == 0


def test_files_that_are_no_candidate(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    replaced(here, "Ask for less.", "Ask for much less.", to=here / "again.yaml")
    replaced(here, "require: customer.signed", "require: customer.signd", to=here / "broken.yaml")
    door = next((here / "policies").glob("*/door-lifecycle/v1.yaml"))
    for file, code, said in (
        ("gone.yaml", 2, "neither a version nor a rule file"), ("again.yaml", 2, "another version 4"), ("broken.yaml", 1, "unknown name `customer.signd`"),
        (str(door), 2, "a rule file of `door-lifecycle`"),
    ):  # fmt: skip
        assert main(["simulate", POLICY, "--to", file, *DAY]) == code
        assert said in capsys.readouterr().err
    assert [p.name for p in here.iterdir() if p.is_dir()] == ["policies"]


# -- Ctrl-C ------------------------------------------------------------------------------------------------------------------------------


def test_ctrl_c_while_rule_files_are_read(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(library, "rule_files", lambda root: signal.raise_signal(signal.SIGINT))
    before = signal.getsignal(signal.SIGINT)
    assert main(["simulate", POLICY, "--set", "limit=1", *DAY]) == 130
    assert capsys.readouterr() == ("", "cancelled\n")
    assert signal.getsignal(signal.SIGINT) is before
    assert [p.name for p in here.iterdir()] == ["policies"]


def test_ctrl_c_that_a_library_makes_an_error_of(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A query in the main thread ends with an error of the database's own."""

    def load(root: Path) -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise RuntimeError("Query interrupted") from None

    monkeypatch.setattr(library, "load", load)
    assert main(["list"]) == 130
    assert capsys.readouterr() == ("", "cancelled\n")


def test_ctrl_c_in_a_destructor_is_not_lost(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Held:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    def load(root: Path) -> None:
        held = Held()
        del held
        time.sleep(60)

    monkeypatch.setattr(library, "load", load)
    assert main(["list"]) == 130
    assert capsys.readouterr() == ("", "cancelled\n")


def test_a_fault_of_this_program_is_still_one(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(root: Path) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(library, "load", load)
    with pytest.raises(RuntimeError, match="a bug"):
        main(["list"])
