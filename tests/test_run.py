"""Runs: exact against the engine, the same bytes twice, and nothing left where something fails."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from engine import library
from engine.errors import NotFound, PolicyError
from engine.types import money
from simulations.runs.database import Cancelled
from simulations.runs.examples import mask
from simulations.runs.hybrid import Mixture
from simulations.runs.manifest import digest_of
from simulations.runs.measures import Measure
from simulations.runs.order import read_order
from simulations.runs.replay import payable
from simulations.runs.run import simulate
from simulations.runs.tally import EDGES, Tally, bars
from simulations.runs.task import task
from simulations.runs.units import reached
from tests.conftest import samples
from tests.simulated import AS_OF, SHIPPED, answers, changed, files, order, panel_of, rows_of, shipped


def violated(answer: dict[str, Any]) -> set[str]:
    return {r["code"] for r in [*answer.get("reasons", []), *answer.get("warnings", [])]}


@pytest.mark.parametrize(
    ("policy", "parameters"),
    [("relation-change", {"cooldown_months": 6, "window_months": 4}), ("performance-credit", {"ratio_joint_operation": "0.4", "ratio_general": "0.37"})],
)
def test_totals_are_the_sums_over_single_decisions(policy: str, parameters: dict[str, Any], tmp_path: Path) -> None:
    wanted = changed(policy, 10_000, **parameters)
    found = simulate(wanted, shipped(), tmp_path / "run", threads=2)
    with panel_of(wanted, tmp_path) as panel:
        rows = rows_of(panel)
        before, after = (answers(panel, p, rows) for p in (panel.task.before, panel.task.after))
        measures = panel.task.measures
    assert len(rows) == 10_000
    flips = Counter((a["outcome"], b["outcome"]) for a, b in zip(before, after, strict=True))
    assert {(c["from"], c["to"]): c["rows"] for c in found["flips"]["cells"]} == flips
    assert found["flips"]["changed"] == sum(n for (a, b), n in flips.items() if a != b)
    for m, told in zip(measures, found["measures"], strict=True):
        pairs = [(payable(a, m, wanted.paid), payable(b, m, wanted.paid)) for a, b in zip(before, after, strict=True)]
        sums = [sum((p[i] or Decimal(0) for p in pairs), Decimal(0)) for i in (0, 1)]
        assert [Decimal(told["before"]), Decimal(told["after"])] == sums
        assert Decimal(told["change"]) == sums[1] - sums[0] != 0
        moved = [b - a for a, b in pairs if a is not None and b is not None]
        assert told["gain"] == {"rows": sum(x > 0 for x in moved), "amount": f"{sum((x for x in moved if x > 0), Decimal('0.00')):f}"}
        assert told["loss"] == {"rows": sum(x < 0 for x in moved), "amount": f"{sum((x for x in moved if x < 0), Decimal('0.00')):f}"}
        assert sum(b["rows"] for b in told["histogram"]["change"]) == sum(x != 0 for x in moved)
        assert sum(b["rows"] for b in told["histogram"]["before"]) == sum(a is not None for a, _ in pairs)
        best = sorted((b - a, row["case_id"]) for (a, b), row in zip(pairs, rows, strict=True) if a is not None and b is not None and b < a)[:3]
        assert [(Decimal(x["change"]), x["case_id"]) for x in told["losers"][:3]] == best
    for rule in found["rules"]:
        counted = Counter((rule["code"] in violated(a), rule["code"] in violated(b)) for a, b in zip(before, after, strict=True))
        assert (rule["before"], rule["after"]) == (counted[True, True] + counted[True, False], counted[True, True] + counted[False, True]), rule["code"]
        assert (rule["newly"], rule["no_longer"]) == (counted[False, True], counted[True, False]), rule["code"]
    for segment in found["segments"]:
        expected = Counter(row[f"segment:{segment['by']}"] for row in rows)
        assert {g["value"]: g["rows"] for g in segment["groups"]} == dict(expected)
        assert sum(g["changed"] for g in segment["groups"]) == found["flips"]["changed"]
        if measures:
            assert sum(Decimal(g["change"]) for g in segment["groups"]) == Decimal(found["measures"][0]["change"])
    waiting = [Counter(n for x in side if x["outcome"] == "undetermined" for n in x["missing"]) for side in (before, after)]
    assert found["missing_sampled"] is None
    assert {m["fact"]: (m["before"], m["after"]) for m in found["missing"]} == {n: (waiting[0][n], waiting[1][n]) for n in waiting[0] | waiting[1]}


def test_a_machine_is_asked_for_its_events(tmp_path: Path) -> None:
    wanted = order("invoice-request-lifecycle", 1500, baseline={"version": 1}, candidate={"version": 2})
    found = simulate(wanted, shipped(), tmp_path / "run")
    with panel_of(wanted, tmp_path) as panel:
        rows = rows_of(panel)
        pairs = zip(*(answers(panel, p, rows) for p in (panel.task.before, panel.task.after)), strict=True)
    flips = Counter((a["outcome"], b["outcome"]) for a, b in pairs)
    assert {(c["from"], c["to"]): c["rows"] for c in found["flips"]["cells"]} == flips
    assert [u["unit"] for u in found["attribution"]["units"]] == ["requirement:draft-not-editable", "machine:transitions"]


def test_a_transition_that_asks_for_a_review_is_a_rule_like_others(tmp_path: Path) -> None:
    """It is counted, told by its reason, and listed in the cases whose answer changes."""
    root, text = Path(shutil.copytree(SHIPPED, tmp_path / "policies")), "when: path in [service, si, learning]"
    rules = (own := root / "development-paths" / "development-path-stage" / "v3.yaml").read_text(encoding="utf-8")
    assert rules.count(text) == 1
    own.with_name("v4.yaml").write_text(rules.replace("version: 3", "version: 4").replace(text, text.replace(", learning", "")), encoding="utf-8")
    wanted, found = order("development-path-stage", 1500, baseline={"version": 3}, candidate={"version": 4}), library.load(root)
    told = simulate(wanted, found, tmp_path / "run")
    with panel_of(wanted, tmp_path, found) as panel:
        rows = rows_of(panel)
        before, after = (answers(panel, p, rows) for p in (panel.task.before, panel.task.after))
    fired = [{row["case_id"] for row, a in zip(rows, side, strict=True) if "skip-role-not-stated" in violated(a)} for side in (before, after)]
    [rule] = [r for r in told["rules"] if r["code"] == "skip-role-not-stated"]
    assert (rule["effect"], rule["before"], rule["after"]) == ("review", len(fired[0]), len(fired[1]))
    assert (rule["newly"], rule["no_longer"]) == (0, len(fired[0] - fired[1]))
    assert rule["reason"]["en"].startswith("It is not stated whether this path")
    listed = duckdb.execute("SELECT case_id, no_longer_violated FROM read_parquet(?)", [str(tmp_path / "run" / "changed.parquet")]).fetchall()
    assert {case for case, codes in listed if "skip-role-not-stated" in codes} == fired[0] - fired[1] != set()
    states = {row["case_id"]: (a, b) for row, a, b in zip(rows, before, after, strict=True) if violated(a) != violated(b)}
    assert {case for case, _ in listed} == set(states)


def test_what_a_machine_says_of_an_event_rests_on_what_denies_it() -> None:
    """An event that nothing denies any more is not open in its state; a changed machine reaches its reviews and the next state."""
    policy = shipped().version("development-path-stage", 3).policy
    first = next(r for r in policy.requirements if r.effect == "deny" and r.require is not None)
    eased = replace(policy, requirements=tuple(replace(r, when=r.require) if r is first else r for r in policy.requirements))
    assert {("requirement", first.code), ("requirement", "not-open-in-state")} <= reached(policy, eased)
    assert policy.machine is not None
    shorter = replace(policy, machine=replace(policy.machine, transitions=policy.machine.transitions[1:]))
    assert {("requirement", "skip-role-not-stated"), ("requirement", "wrong-actor"), ("value", "next_state")} <= reached(policy, shorter)


def test_a_requirement_that_becomes_a_transition_is_taken_with_the_machine() -> None:
    """No mixture has the code twice."""
    after = shipped().version("development-path-stage", 3).policy
    assert after.machine is not None
    code, kept = "skip-role-not-stated", tuple(t for t in after.machine.transitions if t.code != "skip-role-not-stated")
    rule = replace(after.requirements[0], code=code, effect="review")
    before = replace(after, machine=replace(after.machine, transitions=kept), requirements=(*after.requirements, rule))
    assert [u.keys for u in Mixture(before, after).units] == [{("requirement", code), ("machine", "transitions")}]


def test_a_run_gives_the_same_bytes_again(tmp_path: Path) -> None:
    wanted = changed("performance-credit", 3000, ratio_joint_operation="0.4", ratio_self_service="0.9")
    simulate(wanted, shipped(), tmp_path / "one", threads=1)
    simulate(wanted, shipped(), tmp_path / "elsewhere" / "two", threads=4, memory="1GB")
    one, two = files(tmp_path / "one"), files(tmp_path / "elsewhere" / "two")
    assert one == two
    assert set(one) == {"manifest.json", "summary.json", "report.html", "changed.parquet", "set-aside.parquet"}
    assert str(tmp_path).encode() not in b"".join(one.values())
    manifest = json.loads(one["manifest.json"])
    assert {n: f["digest"] for n, f in manifest["files"].items()} == {n: digest_of(tmp_path / "one" / n) for n in one if n != "manifest.json"}
    assert manifest["population"]["digest"].startswith("sha256:")


def test_every_case_that_changed_is_listed(tmp_path: Path) -> None:
    found = simulate(changed("relation-change", 2000, cooldown_months=12), shipped(), tmp_path / "run")
    listed = duckdb.execute("SELECT * FROM read_parquet(?)", [str(tmp_path / "run" / "changed.parquet")])
    names = [d[0] for d in listed.description]
    rows = [dict(zip(names, r, strict=True)) for r in listed.fetchall()]
    assert [r["case_id"] for r in rows] == sorted(r["case_id"] for r in rows)
    assert sum(r["from"] != r["to"] for r in rows) == found["flips"]["changed"] > 0
    [rule] = [r for r in found["rules"] if r["newly"]]
    assert sum(rule["code"] in r["newly_violated"] for r in rows) == rule["newly"]
    assert all(r["from"] != r["to"] or r["newly_violated"] or r["no_longer_violated"] for r in rows)


def test_examples_are_chosen_by_the_seed_and_hold_both_traces(tmp_path: Path) -> None:
    base = {"candidate": {"parameters": {"cooldown_months": 12}}, "examples": 2}
    first = simulate(order("relation-change", 2000, **base, seed=1), shipped(), tmp_path / "a")["examples"]
    other = simulate(order("relation-change", 2000, **base, seed=2), shipped(), tmp_path / "b")["examples"]
    assert {e["case_id"] for e in first} != {e["case_id"] for e in other}
    assert max(Counter((e["from"], e["to"]) for e in first).values()) == 2
    for e in first:
        assert (e["baseline"]["outcome"], e["candidate"]["outcome"]) == (e["from"], e["to"])
        assert e["baseline"]["trace"]["rules"]
        assert e["candidate"]["receipt"].startswith("sha256:")


def test_rows_set_aside_are_counted_listed_and_warned_about(tmp_path: Path) -> None:
    found = library.load(samples(tmp_path / "policies"))
    good = "".join(f"c{i:03},{i}.00,{'gold' if i % 2 else 'basic'},true,1\n" for i in range(40))
    source = tmp_path / "requests.csv"
    source.write_text(f"case_id,request.amount,customer.level,customer.signed,customer.staff\n{good}bad-1,1.005,gold,true,1\nbad-2,9.00,silver,true,1\n")
    asked = {"policy": "credit-request", "baseline": {"version": 1}, "candidate": {"version": 1, "parameters": {"limit": "20.00"}}, "as_of": AS_OF}
    told = simulate(read_order(asked | {"population": {"source": str(source)}, "segments": ["customer.level"]}), found, tmp_path / "run")
    assert {k: told["population"][k] for k in ("rows", "used", "set_aside")} == {"rows": 42, "used": 40, "set_aside": 2}
    assert {r["column"]: r["rows"] for r in told["population"]["reasons"]} == {"request.amount": 1, "customer.level": 1}
    assert {w["kind"] for w in told["warnings"]} >= {"set-aside", "small-sample", "small-segment"}
    listed = duckdb.execute("SELECT case_id FROM read_parquet(?) ORDER BY ALL", [str(tmp_path / "run" / "set-aside.parquet")]).fetchall()
    assert listed == [("bad-1",), ("bad-2",)]
    assert [(s["by"], {g["value"]: g["rows"] for g in s["groups"]}) for s in told["segments"]] == [("customer.level", {"basic": 20, "gold": 20})]
    assert told["measures"][0]["name"] == "rest"
    assert str(tmp_path).encode() not in b"".join(files(tmp_path / "run").values())
    assert told["made"]["command"].startswith("policy simulate credit-request@1 --candidate 1 --set limit=20.00 --population requests.csv --as-of 2025-06-16")
    # the basic level is sent to review, so only gold is paid; above the limit a request is denied
    rest = [sum(limit - i for i in range(1, 40, 2) if i <= limit) for limit in (1000, 20)]
    assert Decimal(told["measures"][0]["change"]) == rest[1] - rest[0] < 0


# -- another library: errors of rules, sensitive facts, drafts that do not load --------------------------------------------------------


def test_errors_of_the_rules_are_counted_and_sensitive_facts_masked(tmp_path: Path) -> None:
    found_library = library.load(samples(tmp_path / "policies"))
    wanted = order("credit-request", 400, baseline={"version": 1}, candidate={"version": 2})
    found = simulate(wanted, found_library, tmp_path / "run")
    with panel_of(wanted, tmp_path, found_library) as panel:
        rows = rows_of(panel)
        before = answers(panel, panel.task.before, rows)
    failed = Counter(a["error"]["kind"] for a in before if a["outcome"] == "error")
    assert failed["division-by-zero"] > 0
    assert {e["kind"]: e["before"] for e in found["errors"]} == failed
    assert "errors" in {w["kind"] for w in found["warnings"]}
    told = [e for e in found["examples"] if e["facts"].get("customer.mobile")]
    assert told
    assert {e["facts"]["customer.mobile"] for e in told} == {"***"}
    assert mask({"a": "call 13800000000", "m": "13800000000"}, {"m"}, {"m": "13800000000"}) == {"a": "call ***", "m": "***"}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"policy": "relation-chance"}, "did you mean `relation-change`?"),
        ({"candidate": {"parameters": {"cooldown_month": 6}}}, "candidate.parameters.cooldown_month: unknown parameter; did you mean `cooldown_months`?"),
        ({"candidate": {"parameters": {"cooldown_months": "soon"}}}, "candidate.parameters.cooldown_months: "),
        ({"baseline": {"version": 9}}, "has no version 9"),
        ({"segments": ["regoin"]}, "did you mean `region`?"),
        ({"measures": ["total"]}, "puts out no amount `total`"),
        ({"as_of": "soon"}, "as_of: `soon` is neither a date"),
        ({"as_of": None}, "baseline: no version is named and no instant given"),
        ({"candidat": {}}, "candidat: unknown field; did you mean `candidate`?"),
        ({"population": {}}, "name a source, or ask for a generated population"),
        ({"population": {"generate": {"rows": 0}}}, "population.generate.rows: input should be greater than or equal to 1"),
        ({"population": {"source": "nowhere.csv"}}, "nowhere.csv"),
        ({"population": {"generate": {"rows": 3}}}, "3 rows cannot hold"),
    ],
)
def test_an_order_that_does_not_fit(data: dict[str, Any], said: str, tmp_path: Path) -> None:
    asked = {"policy": "relation-change", "population": {"generate": {"rows": 600}}, "as_of": AS_OF} | data
    with pytest.raises(PolicyError) as caught:
        simulate(read_order(asked), shipped(), tmp_path / "run")
    assert said in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_candidate_that_does_not_type_check_is_told_with_its_faults(tmp_path: Path) -> None:
    root = samples(tmp_path / "policies")
    file = root / "samples" / "credit-request" / "v4.yaml"
    file.write_text(file.read_text().replace("request.amount <= parameters.limit", "request.amont <= parameters.limit"))
    with pytest.raises(PolicyError, match=r"unknown name `request\.amont`"):
        task(order("credit-request", baseline={"version": 1}, candidate={"version": 4}), library.load(root))
    with pytest.raises(NotFound, match="no version 8"):
        task(order("credit-request", baseline={"version": 1}, candidate={"version": 8}), library.load(root))


# -- what is left ----------------------------------------------------------------------------------------------------------------------


def test_a_directory_that_is_in_use_is_refused(tmp_path: Path) -> None:
    wanted = changed("relation-change", cooldown_months=6)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine").write_text("keep")
    with pytest.raises(PolicyError, match="is there already and not empty"):
        simulate(wanted, shipped(), tmp_path / "run")
    (tmp_path / "other.partial").mkdir()
    with pytest.raises(PolicyError, match="another run writes there"):
        simulate(wanted, shipped(), tmp_path / "other")
    assert files(tmp_path) == {"run/mine": b"keep"}
    (tmp_path / "empty").mkdir()
    simulate(wanted, shipped(), tmp_path / "empty")
    assert (tmp_path / "empty" / "report.html").is_file()


def test_settings_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="write memory as 4GB"):
        simulate(changed("relation-change", cooldown_months=6), shipped(), tmp_path / "run", memory="plenty")
    assert list(tmp_path.iterdir()) == []


def test_a_cancelled_run_leaves_nothing(tmp_path: Path) -> None:
    wanted, phases = changed("relation-change", 3000, cooldown_months=6), list[str]()
    for stop in ("reading the population", "writing the cases that changed", "asking single cases"):
        seen: list[str] = []
        with pytest.raises(Cancelled):
            simulate(wanted, shipped(), tmp_path / "run", lambda what, _, seen=seen: seen.append(what), lambda seen=seen, stop=stop: stop in seen)
        assert stop in seen
        assert list(tmp_path.iterdir()) == []
        phases += seen
    assert "writing the report" not in phases
    assert not [t for t in threading.enumerate() if t.name == "run-progress"]


def test_progress_only_goes_forward(tmp_path: Path) -> None:
    told: list[float] = []
    simulate(changed("relation-change", 1000, cooldown_months=6), shipped(), tmp_path / "run", lambda _, share: told.append(share))
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0.0, 1.0)


FULL = """
import resource, sys
from pathlib import Path
from engine.errors import PolicyError
from simulations.runs.run import simulate
from tests.simulated import changed, shipped
wanted, found = changed("relation-change", 3000, cooldown_months=6), shipped()
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    simulate(wanted, found, Path(sys.argv[1]) / "run")
except PolicyError as error:
    print(f"told: {error}")
"""


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        (20_000, "the disk is full, or the file may not grow any more; free some space"),
        (250_000, "the disk is full (File too large); free some space, or choose another folder"),
    ],
)
def test_a_full_disk_is_told_and_leaves_nothing(limit: int, said: str, tmp_path: Path) -> None:
    """A limit on the size of files, which fails as a full disk does: first while the population is made, then while results are written."""
    found = subprocess.run([sys.executable, "-c", FULL, str(tmp_path), str(limit)], capture_output=True, text=True, cwd=Path(__file__).parents[1], check=False)
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith("told: "), found.stdout
    assert said in found.stdout
    assert list(tmp_path.iterdir()) == []


class Counted:
    """A database that keeps the queries it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def dicts(self, query: str) -> list[dict[str, Any]]:
        self.asked.append(query)
        found = duckdb.execute(query)
        return [dict(zip([d[0] for d in found.description], row, strict=True)) for row in found.fetchall()]


@pytest.mark.parametrize(("signed", "lowest", "passes"), [(False, "0.00", 1), (False, "-3.00", 2), (True, "-3.00", 1)])
def test_edges_below_0_are_counted_where_an_amount_can_be_below_0(signed: bool, lowest: str, passes: int) -> None:
    """By its type, or because there is one: the type of an output does not keep its value from being below 0."""
    amounts = [Decimal(v) for v in (lowest, "0.00", "7.00", "40.00")]
    policy = SimpleNamespace(values={"total": SimpleNamespace(type=money(signed))})
    database = Counted()
    panel = SimpleNamespace(database=database, task=SimpleNamespace(before=policy, after=policy, measures=(Measure("total", "total", None, 2),)))
    rows = ", ".join(f"(0, 0, {v}, {v + 1})" for v in amounts)
    found = Tally(panel, f"SELECT * FROM (VALUES {rows}) AS t(f, t, b0, a0)", (), frozenset()).totals()  # type: ignore[arg-type]
    assert [found[f"b0<{e}"] for e in EDGES] == [sum(v < e for v in amounts) for e in EDGES]
    assert [found[f"a0<{e}"] for e in EDGES] == [sum(v + 1 < e for v in amounts) for e in EDGES]
    assert (len(database.asked), "b0 < -1.00" in database.asked[0]) == (passes, signed)


def test_bars_have_common_edges_and_lose_nothing() -> None:
    values = [[Decimal(v) for v in some] for some in (["-3000", "-1.5", "0", "0.99", "7", "40", "900000"], ["3", "3.01", "250000"])]
    columns = [([sum(v < e for v in some) for e in EDGES], len(some)) for some in values]
    first, second = bars(columns)
    assert [(b["low"], b["high"]) for b in first] == [(b["low"], b["high"]) for b in second]
    assert sum(b["rows"] for b in second) == 3
    assert {b["low"] for b in first} >= {"0"}
    assert all(a["high"] == b["low"] for a, b in itertools.pairwise(first))
    assert bars([([0] * len(EDGES), 0)]) == [[]]
