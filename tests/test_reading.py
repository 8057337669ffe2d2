"""The population reading in DuckDB against the engine, on every shipped version and on one with every part of the language."""

from __future__ import annotations

import os
from decimal import Decimal

import ibis
import pytest

from engine.check import load_policy
from engine.policy import Policy
from simulations.population.columns import Column, Profile, widest
from simulations.reading.lowered import TooWide
from simulations.reading.query import NotCovered, read
from simulations.reading.stages import sql_of
from tests.generate import Request
from tests.readings import Readings, by_duckdb, query_of, schema_of, uses
from tests.test_plain import every_version, generator, library, subject

#: So many generated requests a version; 10,000 when a release of this project is checked.
EXAMPLES = int(os.environ.get("POPULATION_EXAMPLES", "60"))


@every_version
def test_every_case_is_read_the_same(name: str) -> None:
    it = subject(name)
    readings = Readings(it, [Request(case.facts, case.as_of) for case in it.legal])
    assert readings.requests
    assert not readings.differences(by_duckdb)


@every_version
def test_generated_requests_are_read_the_same(name: str) -> None:
    it = subject(name)
    made = generator(name, 11)
    for begin in range(0, EXAMPLES, 2000):
        readings = Readings(it, [made.request() for _ in range(min(2000, EXAMPLES - begin))])
        assert not readings.differences(by_duckdb)


@every_version
def test_requests_with_every_fact_known_are_read_the_same(name: str) -> None:
    """Where nothing is unknown the queries are far shorter; they say the same."""
    it = subject(name)
    made = generator(name, 12)
    requests = [made.filled(request, made.absent(request)) for request in (made.request() for _ in range(max(30, EXAMPLES // 10)))]
    readings = Readings(it, requests)
    assert not readings.differences(by_duckdb)


def test_versions_share_what_they_have_in_common() -> None:
    """The same version twice is computed once: the query hardly grows."""
    it = subject("relations/relation-change/v1")
    readings = Readings(it, [Request(case.facts, case.as_of) for case in it.legal])
    population = ibis.table(schema_of(readings.table), name="population")
    once = sql_of(read(population, {"v": it.policy}, readings.profile, None, uses))
    twice = sql_of(read(population, {"v": it.policy, "w": it.policy}, readings.profile, None, uses))
    assert len(twice) < 1.4 * len(once)


def test_two_versions_answer_beside_each_other() -> None:
    before, after = (library().version("voucher-issue", n).policy for n in (4, 5))
    it = subject("vouchers/voucher-issue/v5")
    readings = Readings(it, [Request(case.facts, case.as_of) for case in it.legal])
    population = ibis.table(schema_of(readings.table), name="population")
    both = by_duckdb(read(population, {"a": before, "b": after}, readings.profile, None, uses), readings.table)
    alone = {prefix: by_duckdb(query_of(policy, readings.table, readings.profile), readings.table) for prefix, policy in (("a", before), ("b", after))}
    for prefix, rows in alone.items():
        by_id = {row["case_id"]: row for row in rows}
        for row in both:
            assert row[f"{prefix}:outcome"] == by_id[row["case_id"]]["v:outcome"]


def test_a_population_without_instants_needs_one() -> None:
    policy = library().version("relation-change", 1).policy
    profile = widest(policy)
    table = ibis.table({"case_id": "string"}, name="population")
    with pytest.raises(NotCovered, match="as_of"):
        read(table, {"v": policy}, profile, None)


def test_a_fact_without_a_column_is_unknown(tmp_path: object) -> None:
    policy = library().version("renewal-task-scope", 1).policy
    it = subject("opportunities/renewal-task-scope/v1")
    readings = Readings(it, [Request({}, it.legal[0].as_of)])
    assert not readings.profile.columns
    [row] = by_duckdb(readings.query(), readings.table)
    assert {row[f"v:rule:{r.code}"] for r in policy.requirements} <= {"unknown", "satisfied", "not-applicable"}
    assert not readings.differences(by_duckdb)


def test_a_policy_that_is_not_yet_in_force_gives_nothing() -> None:
    """`quota.max` comes from a policy whose first version is later than these instants."""
    from datetime import datetime

    from engine.types import SHANGHAI

    it = subject("benefits/mdf-use-application/v1")
    [first, *_] = uses("development-path-benefits")
    assert first[0] is not None
    before = datetime.combine(first[0], datetime.min.time(), SHANGHAI)
    requests = [Request({n: v for n, v in case.facts.items() if n != "quota.max"}, before.replace(year=before.year - 1)) for case in it.legal]
    readings = Readings(it, [*requests, *(Request(r.facts, before) for r in requests)])
    assert not readings.differences(by_duckdb)


def test_a_value_that_the_other_policy_does_not_know_is_not_replaced() -> None:
    """`path` is set from `partner.basis`; a basis without a path leaves it unknown, whatever the row has for it."""
    it = subject("benefits/mdf-use-application/v1")
    facts = {n: v for n, v in it.legal[0].facts.items() if n != "quota.max"} | {"path": "software", "stage": "role_certified"}
    requests = [Request(facts | {"partner.basis": basis}, it.legal[0].as_of) for basis in ("distribution_plan", "software", "si")]
    readings = Readings(it, requests)
    assert not readings.differences(by_duckdb)
    answers = {row["case_id"]: row["v:out:remaining"] for row in by_duckdb(readings.query(), readings.table)}
    assert answers["0"] is None
    assert answers["1"] is not None


MONEY = """
policy: wide-money
version: 1
family: test
title: {en: a, zh: 甲}
question: {en: How much?, zh: 多少？}
form: compute
effective: {from: 2025-01-01}
source: {document: d, section: "1"}
facts:
  sales: {type: money, unit: CNY}
  rate: {type: ratio, places: 8}
  share: {type: ratio, places: 8}
outputs:
  product: {type: money, value: "round_half_up(sales * rate * share, 2)"}
  part: {type: decimal, places: 6, value: "divide(sales, 3, 6)"}
"""


def money_policy(folder: object) -> Policy:
    from pathlib import Path

    path = Path(str(folder)) / "wide-money" / "v1.yaml"
    path.parent.mkdir()
    path.write_text(MONEY, encoding="utf-8")
    return load_policy(path)


def test_numbers_that_do_not_fit_are_refused_before_anything_runs(tmp_path: object) -> None:
    policy = money_policy(tmp_path)
    wide = Profile(1, {"sales": Column(False, False, 20, 2), "rate": Column(False, False, 8, 8), "share": Column(False, False, 1, 8)}, False)
    table = ibis.table({"case_id": "string", "sales": "decimal(22,2)", "rate": "decimal(16,8)", "share": "decimal(9,8)"}, name="population")
    as_of = subject("relations/relation-change/v1").legal[0].as_of
    with pytest.raises(TooWide, match="38"):
        read(table, {"v": policy}, wide, as_of)


def test_products_beyond_a_machine_word_are_exact(tmp_path: object) -> None:
    """DuckDB fails where the product of two 64 bit decimals does not fit one; it is told to use wider ones."""
    import duckdb

    policy = money_policy(tmp_path)
    profile = Profile(3, {"sales": Column(False, False, 14, 2), "rate": Column(False, False, 1, 8), "share": Column(False, False, 1, 8)}, False)
    table = ibis.table({"case_id": "string", "sales": "decimal(18,2)", "rate": "decimal(9,8)", "share": "decimal(9,8)"}, name="population")
    as_of = subject("relations/relation-change/v1").legal[0].as_of
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE population (case_id VARCHAR, sales DECIMAL(18,2), rate DECIMAL(9,8), share DECIMAL(9,8))")
        for row in (("1", "99999999999999.99", "0.99999999", "0.33333333"), ("2", "0.05", "0.5", "0.2"), ("3", "1.00", "1", "0.005")):
            connection.execute("INSERT INTO population VALUES (?, ?, ?, ?)", row)
        rows = connection.sql(sql_of(read(table, {"v": policy}, profile, as_of)) + " ORDER BY case_id").fetchall()
    outputs = [row[-2:] for row in rows]
    assert outputs[0] == (Decimal("33333332666666.67"), Decimal("33333333333333.330000"))
    assert outputs[1] == (Decimal("0.01"), Decimal("0.016667"))  # 0.005 is rounded up, half away from zero
    assert outputs[2] == (Decimal("0.01"), Decimal("0.333333"))
