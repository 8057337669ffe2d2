"""Backtests: recorded decisions asked again under a candidate."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from engine.errors import PolicyError
from engine.library import load
from simulations.runs.backtest import BacktestOrder, backtest
from simulations.runs.decisions import Log
from tests.conftest import GOOD, Caller
from tests.conftest import changed as with_facts
from tests.simulated import files

AMOUNTS = ["10.00", "900.00", "1500.00", "2200.00", "2600.00"]


def log_of(logged: tuple[Caller, Path]) -> tuple[list[dict[str, Any]], Path]:
    """Some decisions of v2 and v3, one of another policy, and their log."""
    caller, path = logged
    found = [caller.check("credit-request", with_facts(GOOD, request__amount=a), day) for day in ("2025-08-01", "2025-10-01") for a in AMOUNTS]
    caller.check("level-table", {"count": 3}, "2025-08-01")
    caller.app.log.close()  # type: ignore[union-attr]
    return found, path


def test_a_candidate_over_recorded_decisions(logged: tuple[Caller, Path], root: Path, tmp_path: Path) -> None:
    recorded, path = log_of(logged)
    candidate = {"version": 3, "parameters": {"limit": "2000.00", "rate": "0.15"}}
    told = backtest(BacktestOrder(policy="credit-request", log=str(path), candidate=candidate), load(root), tmp_path / "run")
    assert told["log"]["decisions"] == 10
    assert told["log"]["other_lines"] == 1
    assert told["log"]["versions"] == {str(v): sum(r["version"] == v for r in recorded) for v in {r["version"] for r in recorded}}
    cells = {(c["from"], c["to"]): c["rows"] for c in told["flips"]["cells"]}
    after = ["allowed" if Decimal(a) <= 2000 else "denied" for a in AMOUNTS * 2]
    expected = [(r["outcome"], b) for r, b in zip(recorded, after, strict=True)]
    assert cells == {pair: expected.count(pair) for pair in expected}
    assert told["flips"]["changed"] == sum(a != b for a, b in expected) == 2
    [fee] = [m for m in told["measures"] if m["name"] == "fee"]
    was = [Decimal(r["outputs"]["fee"]) if r["outcome"] == "allowed" else Decimal(0) for r in recorded]
    now = [Decimal(a) * Decimal("0.15") if b == "allowed" else Decimal(0) for a, b in zip(AMOUNTS * 2, after, strict=True)]
    moved = [y - x for x, y in zip(was, now, strict=True)]
    assert [Decimal(fee[k]) for k in ("before", "after")] == [sum(was), sum(now)]
    assert Decimal(fee["change"]) == Decimal(fee["after"]) - Decimal(fee["before"])
    assert fee["gain"]["rows"] == sum(x > 0 for x in moved) > 0
    assert [Decimal(x["change"]) for x in fee["gainers"]] == sorted((x for x in moved if x > 0), reverse=True)
    assert [Decimal(x["change"]) for x in fee["losers"]] == sorted(x for x in moved if x < 0)
    listed = duckdb.execute('SELECT decision_id, "from", "to" FROM read_parquet(?)', [str(tmp_path / "run" / "changed.parquet")]).fetchall()
    changed = [(r["decision_id"], *pair) for r, pair, x in zip(recorded, expected, moved, strict=True) if pair[0] != pair[1] or x]
    assert sorted((i, a, b) for i, a, b in listed) == sorted(changed)


def test_without_a_version_the_one_in_force_is_asked(logged: tuple[Caller, Path], root: Path, tmp_path: Path) -> None:
    """v3 corrects v2 from the first day of v2 on; what v2 refused in August would be allowed as is known today."""
    caller, path = logged
    caller.check("credit-request", with_facts(GOOD, request__amount="2200.00"), "2025-08-01", known_at="2025-08-01")
    caller.app.log.close()  # type: ignore[union-attr]
    told = backtest(BacktestOrder(policy="credit-request", log=str(path)), load(root), tmp_path / "run")
    assert told["log"]["versions"] == {"2": 1}
    assert [c["version"] for c in told["candidate"]] == [3]
    assert told["flips"]["cells"] == [{"from": "denied", "to": "allowed", "rows": 1}]


def test_a_backtest_gives_the_same_bytes_again(logged: tuple[Caller, Path], root: Path, tmp_path: Path) -> None:
    _, path = log_of(logged)
    for name in ("a", "b"):
        backtest(BacktestOrder(policy="credit-request", log=str(path), candidate={"version": 1}), load(root), tmp_path / name)
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert set(files(tmp_path / "a")) == {"manifest.json", "report.html", "backtest.json", "changed.parquet"}


def test_lines_that_cannot_be_used_are_told(logged: tuple[Caller, Path], root: Path, tmp_path: Path) -> None:
    _, path = log_of(logged)
    lines = path.read_bytes().splitlines()
    no_facts = json.dumps({**json.loads(lines[0]), "decision_id": "x", "facts": None}).encode()
    broken = [b'{"policy": "credit-re', b"[]", no_facts, lines[0], json.dumps({"policy": "credit-request", "facts": {}}).encode()]
    odd = json.dumps({**json.loads(lines[1]), "decision_id": "y", "facts": {"request": {"amount": "a lot"}}}).encode()
    path.write_bytes(b"\n".join([*lines, *broken, odd]) + b"\n")
    told = backtest(BacktestOrder(policy="credit-request", log=str(path), candidate={"version": 1}), load(root), tmp_path / "run")
    said = {b["line"]: b["reason"] for b in told["log"]["bad"]}
    assert {n: said[n][:30] for n in said} == {
        12: "no JSON; the line may have bee", 13: "no decision: it names no polic", 14: "it holds no facts; only a deci",
        15: f"the decision `{json.loads(lines[0])['decision_id']}"[:30], 16: "no decision: `decision_id`, `v",
    }  # fmt: skip
    assert told["log"]["not_asked"] == 1
    assert "request.amount" in told["log"]["refused"][0]["reason"]
    assert told["log"]["decisions"] == 11
    assert [w["kind"] for w in told["warnings"]] == ["set-aside", "not-asked", "masked"]
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    for english, chinese in (
        ("no JSON; the line may have been cut off", "不是 JSON，该行可能被截断"), ("no decision: it names no policy", "不是决定：未写明政策"),
        ("it holds no facts;", "不含事实；"), ("stands in the log twice", "在日志中重复"), ("is missing or of a wrong kind", "或其类型不对"),
    ):  # fmt: skip
        assert english in page
        assert chinese in page


def test_a_log_without_decisions_of_the_policy(logged: tuple[Caller, Path], root: Path, tmp_path: Path) -> None:
    _, path = log_of(logged)
    with pytest.raises(PolicyError, match="holds no decision of `door-lifecycle`; start the service with a decision log"):
        backtest(BacktestOrder(policy="door-lifecycle", log=str(path)), load(root), tmp_path / "run")
    only = load(root)
    only._released.clear()
    with pytest.raises(PolicyError, match=r"none of the 10 decisions .* can be asked again; the first, on line 1: no version of `credit-request`"):
        backtest(BacktestOrder(policy="credit-request", log=str(path)), only, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "run.partial").exists()


def test_masked_facts_are_left_out(logged: tuple[Caller, Path]) -> None:
    _, path = log_of(logged)
    log = Log(path, "credit-request")
    found = list(log.decisions())
    assert {d.masked for d in found} == {("customer.mobile",)}
    assert all("customer.mobile" not in d.facts for d in found)
    assert log.masked == 10
