"""The canonical columns of a population: types, the widest profile, and the way back to facts."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from engine.check import load_policy
from engine.decide import Program
from engine.library import rule_files
from engine.policy import Policy
from simulations.population.columns import Column, facts_of, has_companion, sql_type, widest
from tests.orders import ORDER

POLICIES = Path(__file__).parents[1] / "policies"


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    path = tmp_path / "v1.yaml"
    path.write_text(ORDER, encoding="utf-8")
    return load_policy(path)


def test_the_types_of_facts(policy: Policy) -> None:
    columns = {name: Column(False, False, 5, 2) for name in policy.facts}
    columns["items"] = Column(False, False, 0, 0, {"name": Column(True, False, 0, 0), "price": Column(True, True, 20, 2)})
    assert {name: sql_type(fact.type, columns[name]) for name, fact in policy.facts.items()} == {
        "order.amount": "DECIMAL(18,2)", "order.change": "DECIMAL(18,2)", "order.rate": "DECIMAL(18,2)", "order.count": "BIGINT", "order.kind": "VARCHAR",
        "order.paid": "BOOLEAN", "order.on": "DATE", "order.at": "TIMESTAMP", "customer.phone": "VARCHAR", "tags": "VARCHAR[]",
        "items": 'STRUCT("name" VARCHAR, "price" DECIMAL(38,2), "unknown:price" BOOLEAN)[]',
    }  # fmt: skip
    assert not has_companion(policy.facts["order.amount"], Column(True, False, 0, 0))
    assert not has_companion(policy.facts["order.on"], Column(False, True, 0, 0))
    assert has_companion(policy.facts["order.on"], Column(True, True, 0, 0))


def test_the_widest_profile_has_a_legal_type_for_every_shipped_fact() -> None:
    connection = duckdb.connect()
    for path in rule_files(POLICIES):
        policy = load_policy(path)
        profile = widest(policy)
        assert set(profile.columns) == set(policy.facts)
        for name, fact in policy.facts.items():
            column = profile.columns[name]
            assert column.unknown
            assert column.null == fact.nullable
            assert column.digits + column.places <= 38
            connection.execute(f"SELECT NULL::{sql_type(fact.type, column)}")


def test_a_row_becomes_facts_again(policy: Policy) -> None:
    row: dict[str, Any] = {
        "case_id": "1", "order.amount": Decimal("12.50"), "order.change": None, "unknown:order.change": True, "order.rate": Decimal("0.2000"),
        "order.count": None, "unknown:order.count": False, "order.kind": None, "order.on": date(2025, 1, 16), "order.at": datetime(2025, 1, 16, 9, 30),
        "customer.phone": None, "tags": ["b", "a"],
        "items": [{"name": "x", "price": None, "unknown:price": True}, {"name": None, "price": None, "unknown:price": False}],
    }  # fmt: skip
    facts = facts_of(row, policy)
    assert facts == {
        "order.amount": "12.50", "order.rate": "0.2", "order.count": None, "order.on": "2025-01-16", "order.at": "2025-01-16T09:30:00+08:00",
        "customer.phone": None, "tags": ["b", "a"], "items": [{"name": "x"}, {"price": None}],
    }  # fmt: skip
    assert Program(policy).reader.slots(facts)
