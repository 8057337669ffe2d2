"""What is measured beside each other must answer the same question: the reading, the SQL by hand, the engine and OpenFisca on a few cases."""

from __future__ import annotations

import importlib.util
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from benchmarks import rebate, simulation
from engine.decide import Program
from simulations.population.columns import facts_of

ROWS = 3000


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small population, checked, so that its profile lies beside it."""
    path = tmp_path_factory.mktemp("cases") / "cases.parquet"
    rebate.write(ROWS, path)
    simulation.asked(simulation.CHECKED, path)
    return path


def rows_of(path: Path) -> list[dict[str, Any]]:
    con = rebate.connection()
    rebate.open_population(path, con)
    found = con.execute("SELECT * FROM population ORDER BY case_id")
    names = [d[0] for d in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def by_engine(path: Path) -> dict[str, Any]:
    """Every case decided alone, added up as rebate.told has it."""
    programs = [(policy, Program(policy)) for policy in rebate.versions()]
    flips: dict[str, int] = {}
    before = after = gains = losses = Decimal(0)
    gaining = losing = 0
    for row in rows_of(path):
        answers = [program.check(facts_of(row, policy), rebate.AS_OF) for policy, program in programs]
        b, a = (Decimal(answer["outputs"]["rebate"]) for answer in answers)
        flip = " ".join(answer["outcome"] for answer in answers)
        flips[flip] = flips.get(flip, 0) + 1
        before, after = before + b, after + a
        gaining, gains = gaining + (a > b), gains + max(a - b, Decimal(0))
        losing, losses = losing + (a < b), losses + min(a - b, Decimal(0))
    return {"flips": flips, "before": before, "after": after, "gain": [gaining, gains], "loss": [losing, losses]}


def exact(found: dict[str, Any]) -> dict[str, Any]:
    return {key: value if key == "flips" else [v if isinstance(v, int) else Decimal(v) for v in value] if isinstance(value, list) else Decimal(value)
            for key, value in found.items()}  # fmt: skip


@pytest.mark.parametrize("kind", [simulation.READING, simulation.MEMORY, simulation.SQL, simulation.CHECKED])
def test_the_same_as_single_decisions(cases: Path, kind: str) -> None:
    found = exact(simulation.asked(kind, cases)["found"])
    assert found == by_engine(cases)
    assert sum(found["flips"].values()) == ROWS
    assert len(found["flips"]) >= 4


def test_the_versions_differ_by_a_threshold_a_ratio_and_a_condition() -> None:
    before, after = rebate.versions()
    changed = {n: (before.parameters[n].value, after.parameters[n].value) for n in before.parameters if before.parameters[n].value != after.parameters[n].value}
    assert set(changed) == {"step", "high_ratio"}
    assert set(after.facts) - set(before.facts) == {"sales.renewals"}
    numbers = {Decimal(n) for n in re.findall(r"\d+\.?\d*", rebate.BY_HAND)}
    for policy in (before, after):
        assert {Decimal(p.value) for p in policy.parameters.values()} <= numbers


def test_openfisca_answers_the_same_within_its_floats(cases: Path) -> None:
    if importlib.util.find_spec("openfisca_core") is None:
        pytest.skip("OpenFisca-core is not installed (benchmarks/requirements.txt)")
    seen = simulation.asked(simulation.OPENFISCA, cases)
    wanted = exact(simulation.asked(simulation.SQL, cases)["found"])
    assert sum(seen["found"]["flips"].values()) == ROWS
    for side in ("before", "after"):
        assert seen["found"][side] == pytest.approx(float(wanted[side]), rel=1e-6)
    for flip, count in wanted["flips"].items():
        assert abs(seen["found"]["flips"][flip] - count) <= 3
    assert 0 <= seen["wrong"] < ROWS


def test_a_process_prints_what_it_measured(cases: Path) -> None:
    found = simulation._apart(simulation.SQL, cases, ROWS)
    assert json.loads(json.dumps(found)) == found
    assert len(found["clock"]) == len(found["core"]) == simulation.AGAIN
    assert found["peak"][0] > 0


def test_a_process_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"^sql, 5 cases: .*No files found"):
        simulation._apart(simulation.SQL, tmp_path / "no.parquet", 5)
