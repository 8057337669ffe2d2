"""`policy simulate`, `sweep`, `seek`, `backtest`, `settle` and `population`, as a person calls them."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from cli.main import main
from engine.types import SHANGHAI
from tests.conftest import SHIPPED, samples

POLICY = "credit-request"
DAY = ["--as-of", "2025-08-01"]
SMALL = ["--rows", "400"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An own folder with the small library, where commands run."""
    samples(tmp_path / "policies")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def made(folder: Path) -> list[str]:
    """What a command left there."""
    return sorted(p.name for p in folder.iterdir() if p.name != "policies")


# -- simulate ----------------------------------------------------------------------------------------------------------------------------


def test_a_changed_parameter_is_enough(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On a fresh machine: a generated population, today, a folder that is named after what was asked."""
    assert main(["simulate", POLICY, "--set", "limit=3000", "--rows", "400"]) == 0
    said = capsys.readouterr()
    [folder] = made(here)
    assert folder.startswith(f"simulation-{POLICY}-")
    assert f"{folder}/report.html" in said.out
    assert "of 400 cases get a different outcome" in said.out
    assert "个案例" in said.out
    assert "parameter:limit" in said.out
    assert said.err == ""
    summary = json.loads((here / folder / "summary.json").read_bytes())
    assert summary["population"]["seed"] == 1
    assert summary["baseline"]["version"] == summary["candidate"]["version"] == 3
    changed = summary["flips"]["changed"]
    assert changed > 0
    assert f" {changed} of 400 cases" in said.out


def test_the_same_once_more_gets_a_folder_of_its_own(here: Path) -> None:
    for _ in range(2):
        assert main(["simulate", POLICY, "--set", "limit=3000", *SMALL, *DAY]) == 0
    first, second = made(here)
    assert second == f"{first}-2"
    assert (here / first / "manifest.json").read_bytes() == (here / second / "manifest.json").read_bytes()


def test_versions_against_each_other(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", POLICY, "--from", "1", "--to", "2", "--json", "--out", "x", *SMALL, *DAY]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["baseline"]["version"], found["candidate"]["version"]) == (1, 2)
    assert main(["simulate", f"{POLICY}@1", "--set", "rate=0.2", "--json", "--out", "y", *SMALL, *DAY]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["baseline"]["version"], found["candidate"]["version"], found["candidate"]["changed"]) == (1, 1, {"rate": "0.2"})
    assert next(m["name"] for m in found["measures"]) == "fee"
    assert made(here) == ["x", "y"]


def test_the_command_of_a_report_repeats_the_run(here: Path) -> None:
    options = ["--set", "limit=3000.50", "--set", "rate=0.25", "--segments", "customer.level,customer.signed", "--measures", "fee", "--seed", "5"]
    assert main(["simulate", POLICY, *options, "--out", "first", *SMALL, *DAY]) == 0
    command = json.loads((here / "first" / "summary.json").read_bytes())["made"]["command"]
    assert main([*shlex.split(command)[1:], "--out", "second"]) == 0
    assert (here / "first" / "report.html").read_bytes() == (here / "second" / "report.html").read_bytes()


def test_a_population_of_ones_own(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = "no,day,request.amount,customer.signed,customer.level\na,2025-08-01,900.00,true,gold\nb,2025-08-02,9000.00,true,gold\nc,2025-08-02,x,true,gold\n"
    Path("orders.csv").write_text(rows, encoding="utf-8")
    Path("m.yaml").write_text("id: no\nas_of: day\n", encoding="utf-8")
    assert main(["simulate", f"{POLICY}@1", "--set", "limit=500", "--population", "orders.csv", "--mapping", "m.yaml", "--out", "x"]) == 0
    said = capsys.readouterr().out
    assert "1 set aside" in said
    summary = json.loads(Path("x/summary.json").read_bytes())
    assert {(c["from"], c["to"]): c["rows"] for c in summary["flips"]["cells"]} == {("allowed", "denied"): 1, ("denied", "denied"): 1}


def test_the_report_is_opened(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url) or True)
    assert main(["simulate", POLICY, "--set", "limit=3000", "--open", "--out", "x", *SMALL, *DAY]) == 0
    assert opened == [(here / "x" / "report.html").as_uri()]


def test_every_run_has_a_page_that_is_opened(here: Path, log: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url) or True)
    name, made_up = f"{POLICY}@1", [*SMALL, *DAY]
    asked = {
        "sweep": [name, "--vary", "limit=1000..3000:1000", *made_up], "pair": [name, "--vary", "limit=1000,2000", "--vary", "rate=0.1,0.2", *made_up],
        "seek": [name, "--vary", "rate=0.00..0.50:0.01", "--goal", "denied <= 100%", *made_up],
        "backtest": [name, "--log", str(log), "--set", "limit=500"], "settle": [name, "--log", str(log), "--measure", "fee", "--set", "rate=0.05"],
    }  # fmt: skip
    for kind, arguments in asked.items():
        assert main(["sweep" if kind == "pair" else kind, *arguments, "--open", "--out", kind]) == 0
        assert f"report {kind}/report.html" in capsys.readouterr().out
    assert opened == [(here / kind / "report.html").as_uri() for kind in asked]
    monkeypatch.setattr("webbrowser.open", lambda url: False)
    assert main(["backtest", *asked["backtest"], "--json", "--open", "--out", "last"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["kind"] == "backtest"
    assert "no browser could be started; open " in said.err


WRONG: list[tuple[list[str], int, str]] = [
    ([POLICY], 2, "nothing is changed"),
    (["credit-requst", "--set", "limit=1"], 2, "did you mean `credit-request`"),
    ([f"{POLICY}@9", "--set", "limit=1"], 2, "no version 9"),
    ([f"{POLICY}@x", "--set", "limit=1"], 2, "POLICY@VERSION"),
    ([POLICY, "--to", "9"], 2, "no version 9"),
    ([POLICY, "--set", "limt=1"], 2, "did you mean `limit`"),
    ([POLICY, "--set", "limit"], 2, "NAME=VALUE"),
    ([POLICY, "--set", "limit=much"], 2, "expected money"),
    ([POLICY, "--set", "limit=1", "--as-of", "soon"], 2, "as_of"),
    ([POLICY, "--set", "limit=1", "--rows", "0"], 2, "rows"),
    ([POLICY, "--set", "limit=1", "--rows", "9999999999999"], 2, "rows"),
    ([POLICY, "--set", "limit=1", "--rows", "3"], 1, "boundary values"),
    ([POLICY, "--set", "limit=1", "--segments", "levle"], 1, "levle"),
    ([POLICY, "--set", "limit=1", "--measures", "profit"], 2, "no amount `profit`"),
    ([POLICY, "--set", "limit=1", "--population", "nothing.csv"], 2, "no such file"),
    ([POLICY, "--set", "limit=1", "--population", "empty.csv", *DAY], 2, "no rows"),
    ([POLICY, "--set", "limit=1", "--population", "one.csv"], 1, "as_of"),
    ([POLICY, "--set", "limit=1", "--population", "one.csv", "--mapping", "nothing.yaml", *DAY], 1, "no such mapping file"),
    ([POLICY, "--set", "limit=1", "--mapping", "m.yaml"], 2, "--mapping goes with --population"),
    ([POLICY, "--set", "limit=1", "--population", "one.csv", "--rows", "5"], 2, "--rows is for a generated population"),
    ([POLICY, "--set", "limit=1", "--out", "taken", *SMALL], 1, "not empty"),
    ([POLICY, "--set", "limit=1", "--memory", "lots", *SMALL], 1, "memory"),
    (["door-lifecycle", "--to", "1", "--set", "x=1"], 2, "unknown parameter"),
]


@pytest.mark.parametrize(("arguments", "code", "said"), WRONG, ids=lambda v: " ".join(v)[:60] if isinstance(v, list) else None)
def test_what_cannot_be_is_told_and_leaves_nothing(here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str) -> None:
    Path("empty.csv").write_text("case_id,request.amount\n")
    Path("one.csv").write_text("case_id,request.amount\na,1.00\n")
    Path("taken").mkdir()
    Path("taken/mine.txt").write_text("mine")
    before = made(here)
    assert main(["simulate", *arguments]) == code
    found = capsys.readouterr()
    assert said in found.err
    assert "Traceback" not in found.err
    assert found.out == ""
    assert made(here) == before


def test_a_candidate_that_does_not_type_check(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = here / "policies" / "samples" / POLICY / "v4.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("require: customer.signed", "require: customer.signed + 1"), encoding="utf-8")
    assert main(["simulate", POLICY, "--to", "4", *SMALL, *DAY]) == 1
    assert "v4.yaml:" in capsys.readouterr().err
    assert made(here) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_cancels(here: Path, number: int) -> None:
    arguments = ["simulate", POLICY, "--set", "limit=1", "--rows", "500000000", "--out", "x", *DAY]
    run = subprocess.Popen(
        [sys.executable, "-m", "cli.main", *arguments], stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
    )  # fmt: skip
    end = time.monotonic() + 60
    while not list(here.glob("x.partial/spill/*.partial")):
        assert time.monotonic() < end, "waited in vain"
        assert run.poll() is None
        time.sleep(0.05)
    run.send_signal(number)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 130
    assert said == "the run was cancelled; nothing of it is kept\n"
    assert made(here) == []


# -- the others --------------------------------------------------------------------------------------------------------------------------


def test_a_sweep(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", f"{POLICY}@1", "--vary", "limit=1000..3000:1000", "--out", "x", *SMALL, *DAY]) == 0
    said = capsys.readouterr().out
    assert "2000.00" in said
    assert main(["sweep", f"{POLICY}@1", "--vary", "limit=1000..3000:1000", "--json", "--out", "y", *SMALL, *DAY]) == 0
    found = json.loads(capsys.readouterr().out)
    allowed = [p["outcomes"]["allowed"] for p in found["points"]]
    assert allowed == sorted(allowed)
    assert found["points"][0]["outcomes"] == found["base"]["outcomes"]
    assert main(["sweep", POLICY, "--vary", "limt=1..3", *SMALL, *DAY]) != 0
    assert "limit" in capsys.readouterr().err


def test_a_goal(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ask = ["seek", f"{POLICY}@1", "--vary", "rate=0.00..0.50:0.01", *SMALL, *DAY]
    assert main([*ask, "--goal", "fee <= 50", "--json", "--out", "x"]) in (0, 1)
    first = json.loads(capsys.readouterr().out)
    top = max(int(p["quantity"].split(".")[0]) for p in first["points"])
    assert main([*ask, "--goal", f"fee <= {top // 2}", "--out", "y"]) == 0
    assert "meets the goal" in capsys.readouterr().out
    assert main([*ask, "--goal", "fee < -1", "--out", "z"]) == 1
    assert main([*ask, "--goal", "profit <= 1"]) != 0
    assert main(["seek", POLICY, "--vary", "rate", "--goal", "fee <= 1"]) == 2


@pytest.fixture
def log(here: Path) -> Path:
    """Two recorded decisions, made by the engine."""
    from engine import library

    version = library.load(here / "policies").version(POLICY, 1)
    path = here / "decisions.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for i, amount in enumerate(("900.00", "9000.00")):
            facts = {"request.amount": amount, "customer.level": "gold", "customer.signed": True, "customer.since": None, "customer.mobile": None,
                     "customer.staff": 2, "items": []}  # fmt: skip
            answer = version.program.check(facts, datetime(2025, 2, 1, tzinfo=SHANGHAI), None)
            kept = {k: answer[k] for k in ("policy", "version", "as_of", "outcome", "outputs", "receipt")}
            line = {"decision_id": f"d{i}", "ask": "check", "facts": facts, **kept}
            file.write(json.dumps(line) + "\n")
    return path


def test_a_backtest(here: Path, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backtest", f"{POLICY}@1", "--log", str(log), "--set", "limit=500", "--out", "x"]) == 0
    assert "2 recorded decisions, 1 would come out differently" in capsys.readouterr().out
    assert main(["backtest", POLICY, "--log", "nothing.jsonl"]) == 2
    assert "nothing.jsonl" in capsys.readouterr().err


def test_a_settlement(here: Path, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ask = ["settle", f"{POLICY}@1", "--log", str(log), "--partner", "customer.level", "--measure", "fee"]
    assert main([*ask, "--set", "rate=0.05", "--out", "x"]) == 0
    said = capsys.readouterr().out
    assert "paid too much in 1 cases (-45.00 CNY)" in said
    assert "gold" in said
    assert {"settlement.csv", "partners.csv", "settlement.json"} <= set(os.listdir("x"))
    assert main([*ask, "--rows", "5"]) == 2
    assert main(["settle", f"{POLICY}@1", "--to", "2", "--out", "y", *SMALL, *DAY]) == 0


def test_a_population_is_made(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["population", POLICY, *SMALL, *DAY, "--out", "p.parquet"]) == 0
    assert duckdb.sql("SELECT count(*), count(DISTINCT case_id) FROM 'p.parquet'").fetchall() == [(400, 400)]
    assert main(["simulate", POLICY, "--set", "limit=1", "--population", "p.parquet", *DAY, "--out", "x"]) == 0
    assert main(["population"]) == 2
    assert main(["population", POLICY, "--out", "none/p.parquet"]) == 2


def test_a_partner_centre_is_made(here: Path) -> None:
    ask = ["--root", str(SHIPPED), "population"]
    assert main([*ask, "relation-change", "--partner-centre", "centre", "--partners", "20", *DAY]) == 0
    assert Path("centre/partners.parquet").is_file()
    assert duckdb.sql("SELECT count(*) > 0 FROM 'relation-change.parquet'").fetchall() == [(True,)]
    assert main([*ask, POLICY, "--partner-centre", "centre"]) == 2
