"""The Java that Spark would take: refused with one message and a remedy, before Spark's scripts are run."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import PolicyError
from simulations.runs.cluster import need_java


def java(home: Path, script: str) -> Path:
    """A home of Java whose program is this script."""
    program = home / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    return home


def refused(monkeypatch: pytest.MonkeyPatch, home: Path | None) -> str:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    if home is not None:
        monkeypatch.setenv("JAVA_HOME", str(home))
    with pytest.raises(PolicyError) as caught:
        need_java()
    message, remedy = str(caught.value).split("\n  help: ")
    assert "or run without `--on spark`" in remedy
    assert "\n" not in message
    return message


def test_a_home_that_points_to_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said = refused(monkeypatch, tmp_path / "gone")
    assert f"JAVA_HOME is `{tmp_path / 'gone'}`" in said
    assert "No such file" in said


def test_a_home_goes_before_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As in Spark's own scripts: a Java on the path does not help where JAVA_HOME is wrong."""
    monkeypatch.setenv("PATH", str(java(tmp_path / "good", "echo 'openjdk version \"21.0.2\"' >&2") / "bin"))
    assert "gone" in refused(monkeypatch, tmp_path / "gone")
    monkeypatch.delenv("JAVA_HOME")
    need_java()


def test_one_that_does_not_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    said = refused(monkeypatch, java(tmp_path, "echo 'Error occurred during initialization of VM' >&2; echo more >&2; exit 1"))
    assert "does not start: Error occurred during initialization of VM" in said
    assert capfd.readouterr() == ("", "")


def test_one_that_is_too_old(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "too old" in refused(monkeypatch, java(tmp_path, "echo 'openjdk version \"1.8.0_392\"' >&2"))


def test_none_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "none was found" in refused(monkeypatch, None)
