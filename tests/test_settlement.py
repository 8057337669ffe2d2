"""Settlement: who was paid too much or too little, with sums that add up and the receipts of both decisions."""

from __future__ import annotations

import csv
import json
from collections import Counter, defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from engine.clock import instant
from engine.decide import Program, with_parameters
from engine.errors import PolicyError
from engine.library import load
from simulations.runs.database import Cancelled
from simulations.runs.examples import Asker
from simulations.runs.settlement import SettlementOrder, settle
from tests.conftest import GOOD, Caller
from tests.conftest import changed as with_facts
from tests.simulated import AS_OF, changed, files, panel_of, rows_of, shipped

RATIO = {"ratio_joint_operation": "0.4"}


def settling(**more: Any) -> SettlementOrder:
    asked = {
        "policy": "performance-credit", "wrong": {"version": 1}, "corrected": {"version": 1, "parameters": RATIO},
        "population": {"generate": {"rows": 1500, "seed": 7}}, "as_of": AS_OF,
    }  # fmt: skip
    return SettlementOrder.model_validate(asked | more)


def lines(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_list_is_what_single_decisions_say(tmp_path: Path) -> None:
    told = settle(settling(), shipped(), tmp_path / "run")
    with panel_of(changed("performance-credit", 1500, **RATIO), tmp_path) as panel:
        sides = Asker(panel, panel.task.before), Asker(panel, panel.task.after)
        expected = {}
        for row in rows_of(panel):
            a, b = (side.ask(row) for side in sides)
            paid = [Decimal(x["outputs"]["performance"]) if x["outcome"] == "allowed" and x["outputs"]["performance"] else None for x in (a, b)]
            if paid[0] != paid[1]:
                assert None not in paid
                expected[row["case_id"]] = (row["partner"], *paid, a["receipt"], b["receipt"])
    listed = {
        x["case_id"]: (x["partner"], Decimal(x["before"]), Decimal(x["after"]), x["receipt_before"], x["receipt_after"])
        for x in lines(tmp_path / "run", "settlement.csv")
    }
    assert listed == expected
    assert len(listed) > 20
    assert told["total"]["over_paid"]["cases"] == len(listed)


def test_sums_of_partners_add_up_to_the_total(tmp_path: Path) -> None:
    told = settle(settling(corrected={"version": 1, "parameters": {**RATIO, "ratio_self_service": "1.1"}}), shipped(), tmp_path / "run")
    cases, partners = lines(tmp_path / "run", "settlement.csv"), lines(tmp_path / "run", "partners.csv")
    total = told["total"]
    assert total["over_paid"]["cases"] > 0
    assert total["under_paid"]["cases"] > 0
    assert Decimal(total["over_paid"]["amount"]) < 0 < Decimal(total["under_paid"]["amount"])
    assert Decimal(total["net"]) == Decimal(total["over_paid"]["amount"]) + Decimal(total["under_paid"]["amount"])
    assert Decimal(total["net"]) == sum(Decimal(c["difference"]) for c in cases) == sum(Decimal(p["net"]) for p in partners)
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for case in cases:
        assert Decimal(case["after"]) - Decimal(case["before"]) == Decimal(case["difference"])
        assert case["kind"] == ("over-paid" if Decimal(case["difference"]) < 0 else "under-paid")
        sums[case["partner"]] += Decimal(case["difference"])
    assert {p["partner"]: Decimal(p["net"]) for p in partners} == sums
    assert [Decimal(p["net"]) for p in told["most_over_paid"]] == sorted(n for n in sums.values() if n < 0)[:10]
    assert [Decimal(p["net"]) for p in told["most_under_paid"]] == sorted((n for n in sums.values() if n > 0), reverse=True)[:10]
    differences = sorted(Decimal(c["difference"]) for c in cases)
    assert [Decimal(x["change"]) for x in told["largest"]["losers"]] == [n for n in differences if n < 0][:10]
    assert [Decimal(x["change"]) for x in told["largest"]["gainers"]] == [n for n in differences[::-1] if n > 0][:10]
    assert {p["partner"]: Decimal(p["net"]) for p in told["by_partner"]}.items() <= sums.items()
    assert [int(p["over-paid:cases"]) + int(p["under-paid:cases"]) for p in partners] == [sum(c["partner"] == p["partner"] for c in cases) for p in partners]


def test_a_settlement_gives_the_same_bytes_again(tmp_path: Path) -> None:
    for name in ("a", "b"):
        settle(settling(), shipped(), tmp_path / name)
    found = files(tmp_path / "a")
    assert found == files(tmp_path / "b")
    assert set(found) == {
        "manifest.json", "report.html", "settlement.json", "settlement.csv", "settlement.parquet", "partners.csv", "partners.parquet", "set-aside.parquet",
    }  # fmt: skip
    assert json.loads(found["manifest.json"])["policies"]["corrected"]["parameters"]["ratio_joint_operation"] == "0.4"


def test_what_is_not_paid_counts_as_nothing(tmp_path: Path) -> None:
    """A denied case pays 0, one without an answer is open."""
    asked = {"policy": "mdf-redeemable-amount", "measure": "invoice_amount", "corrected": {"version": 1, "parameters": {"ordinary_invoice_factor": "1.03"}}}
    told = settle(settling(**asked), shipped(), tmp_path / "run")
    found = lines(tmp_path / "run", "settlement.csv")
    assert {c["from"] for c in found} | {c["to"] for c in found} >= {"allowed"}
    for case in found:
        for outcome, paid in ((case["from"], case["before"]), (case["to"], case["after"])):
            assert (paid == "") == (outcome in ("undetermined", "error")) or outcome == "allowed"
            assert outcome in ("allowed", "undetermined", "error") or Decimal(paid) == 0
    assert told["total"]["open"] == sum(c["kind"] == "open" for c in found)
    assert {(c["from"], c["to"]): c["rows"] for c in told["differing"]} == Counter((c["from"], c["to"]) for c in found)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"policy": "relation-change", "corrected": {"version": 1}}, "puts out no money; there is nothing to settle"),
        ({"measure": "performanc"}, "puts out no amount `performanc`; did you mean `performance`?"),
        ({"corrected": {"version": 7}}, "has no version 7"),
        ({"population": None, "log": "nowhere.jsonl"}, "`nowhere.jsonl` cannot be read"),
        ({"population": None, "log": "nowhere.jsonl", "partner": "partner.idd"}, "has no fact `partner.idd`; did you mean `partner.id`?"),
        ({"population": None, "log": "nowhere.jsonl", "wrong": {"version": 1, "parameters": RATIO}}, "a decision log holds what was answered"),
    ],
)
def test_a_settlement_that_does_not_fit(more: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(PolicyError) as caught:
        settle(settling(**more), shipped(), tmp_path / "run")
    assert said in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_either_a_population_or_a_log() -> None:
    with pytest.raises(ValidationError, match="name a population or a decision log; one of the two"):
        settling(log="decisions.jsonl")


def test_a_cancelled_settlement_leaves_nothing(tmp_path: Path) -> None:
    seen: list[str] = []
    with pytest.raises(Cancelled):
        settle(settling(), shipped(), tmp_path / "run", lambda what, _: seen.append(what), lambda: "asking them one by one" in seen)
    assert list(tmp_path.iterdir()) == []


# -- from a decision log -----------------------------------------------------------------------------------------------------------------


def test_recorded_decisions_are_settled(logged: tuple[Caller, Path], root: Path, tmp_path: Path) -> None:
    """The service decided by v3; the corrected version takes a fee of 20 in 100 instead of 10, and a lower limit."""
    caller, path = logged
    asked = [("10.00", "gold"), ("30.05", "gold"), ("99.99", "basic"), ("2400.00", "gold"), ("60.00", "gold")]
    recorded = [caller.check("credit-request", with_facts(GOOD, request__amount=a, customer__level=lv), "2025-10-01") for a, lv in asked]
    caller.app.log.close()  # type: ignore[union-attr]
    before = path.read_bytes()
    corrected = {"version": 3, "parameters": {"rate": "0.2", "limit": "1000.00"}}
    order = SettlementOrder(policy="credit-request", wrong={"version": 3}, corrected=corrected, measure="fee", log=str(path), partner="customer.level")
    told = settle(order, load(root), tmp_path / "run")
    listed = {c["case_id"]: c for c in lines(tmp_path / "run", "settlement.csv")}
    fixed = Program(with_parameters(load(root).version("credit-request", 3).policy, corrected["parameters"]))
    assert len(listed) == 4
    for answer, (amount, level) in zip(recorded, asked, strict=True):
        if level == "basic":  # a review pays nothing, before and after
            assert answer["decision_id"] not in listed
            continue
        line = listed[answer["decision_id"]]
        again = fixed.check({n: v for n, v in facts_of(amount, level).items() if n != "customer.mobile"}, instant("2025-10-01"))
        paid = Decimal(again["outputs"]["fee"]) if again["outcome"] == "allowed" else Decimal(0)
        assert (Decimal(line["before"]), Decimal(line["after"])) == (Decimal(answer["outputs"]["fee"]), paid)
        assert (line["receipt_before"], line["receipt_after"]) == (answer["receipt"], again["receipt"])
        assert line["partner"] == "gold"
    assert told["log"]["masked"] == 5
    assert told["cases_asked"] == 5
    assert Decimal(told["total"]["net"]) == sum(Decimal(c["difference"]) for c in listed.values())
    assert path.read_bytes() == before


def facts_of(amount: str, level: str) -> dict[str, Any]:
    from engine.cases import flat

    return flat(with_facts(GOOD, request__amount=amount, customer__level=level))
