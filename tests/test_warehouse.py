"""`policy sql`: the printed queries, run as a data team runs them, against the engine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlglot

from cli.main import main
from engine.decide import Program, with_parameters
from engine.errors import EvaluationError
from engine.library import Library
from engine.policy import Policy
from engine.types import SHANGHAI
from simulations import warehouse
from simulations.population import columns
from simulations.reading.dates import calendar_arrays
from simulations.runs.declared import declared
from simulations.synthetic import synthetic
from simulations.warehouse import assumed, profiled, statement
from tests.conftest import SHIPPED, samples
from tests.simulated import shipped

POLICY = "credit-request"


#: The columns of a small population.
CREDIT = {
    "case_id": "VARCHAR", "as_of": "TIMESTAMP", "request.amount": "DECIMAL(18, 2)", "customer.signed": "BOOLEAN", "customer.since": "DATE",
}  # fmt: skip


def newest(library: Library) -> Iterator[Policy]:
    for name in sorted(library.versions):
        yield library.versions[name][max(library.versions[name])].policy


POLICIES = {p.id: p for p in newest(shipped())}
AS_OF = datetime(2025, 6, 16, tzinfo=SHANGHAI)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An own folder with the small library, where commands run."""
    samples(tmp_path / "policies")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database as a data team has one, with the table of working days."""
    with duckdb.connect(":memory:") as found:
        found.execute("SET TimeZone = 'Asia/Shanghai'")
        found.execute(warehouse.calendar("duckdb"))
        yield found


def generated(policy: Policy, database: duckdb.DuckDBPyConnection, folder: Path) -> Path:
    """A few cases out of a file as `policy population` writes it."""
    source, whole, few = declared(shipped(), policy), folder / "whole.parquet", folder / "few.parquet"
    rows = max(120, synthetic.least(policy, source, AS_OF.date()))
    synthetic.generate(policy, rows, 3, database, whole, source, AS_OF.date(), dated=True)
    database.execute(f"COPY (FROM (FROM '{whole}' ORDER BY case_id) USING SAMPLE reservoir(60 ROWS) REPEATABLE (7)) TO '{few}'")
    return few


def asked(text: str, database: duckdb.DuckDBPyConnection) -> dict[str, dict[str, Any]]:
    """The rows of a printed query by case."""
    found = database.execute(text)
    names = [d[0] for d in found.description or ()]
    return {row["case_id"]: row for row in (dict(zip(names, r, strict=True)) for r in found.fetchall())}


def make(text: str, database: duckdb.DuckDBPyConnection, file: Path) -> None:
    """Make the table by the two lines that stand above a printed query."""
    create, insert = (line.removeprefix("-- ") for line in text.splitlines() if line.startswith(("-- CREATE TABLE", "-- INSERT INTO")))
    database.execute("DROP TABLE IF EXISTS population")
    database.execute(create)
    assert asked(text, database) == {}
    database.execute(insert.replace("cases.parquet", str(file)))


def by_engine(policy: Policy, rows: list[dict[str, Any]]) -> dict[str, tuple[str, set[str]]]:
    """Outcome and named rules of each case; of an error nothing is named."""
    program, found = Program(policy), {}
    for row in rows:
        try:
            answer = program.check(columns.facts_of(row, policy), AS_OF, None)
            found[row["case_id"]] = (answer["outcome"], {r["code"] for r in [*answer["reasons"], *answer["warnings"]]})
        except EvaluationError:
            found[row["case_id"]] = ("error", set())
    return found


@pytest.mark.parametrize("name", POLICIES)
def test_a_population_of_this_program_is_answered_as_by_the_engine(database: duckdb.DuckDBPyConnection, tmp_path: Path, name: str) -> None:
    """By the query for any table, over one that its own two lines make; and by the query for the file, which makes its own."""
    policy = POLICIES[name]
    file = generated(policy, database, tmp_path)
    silent = {f"rule:{r.code}" for r in policy.requirements if r.effect == "undetermined"}
    cursor = database.execute(f"FROM '{file}'")
    names = [d[0] for d in cursor.description or ()]
    expected = by_engine(policy, [dict(zip(names, r, strict=True)) for r in cursor.fetchall()])
    assert len(expected) == 60
    general = statement(policy, "duckdb", assumed(policy, False, True), None)
    make(general, database, file)
    own = statement(policy, "duckdb", profiled(policy, str(file), True), None)
    for text in (general, own):
        rows = asked(text, database)
        told = {
            case: (row["outcome"], {n.removeprefix("rule:") for n, v in row.items() if n.startswith("rule:") and v == "violated" and n not in silent})
            for case, row in rows.items()
        }
        assert {case: said if said[0] != "error" else ("error", set()) for case, said in told.items()} == expected
    database.execute("DROP VIEW temp.population")


def test_null_in_what_says_unknown_counts_as_false(database: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """Of facts and of fields in lists: a column that was added to a table is NULL in all its rows."""
    policy = POLICIES["voucher-issue"]
    file = generated(policy, database, tmp_path)
    text = statement(policy, "duckdb", assumed(policy, False, True), None)
    make(text, database, file)
    unknown = [n for n in (row[0] for row in database.execute("DESCRIBE population").fetchall()) if n.startswith(columns.UNKNOWN)]
    assert unknown
    first = asked(text, database)
    database.execute(f"UPDATE population SET {', '.join(f'{columns.quoted(n)} = NULL' for n in unknown)}")
    kinds = {row[0]: row[1] for row in database.execute("DESCRIBE population").fetchall()}
    assert "unknown:customer.partner_id" in kinds["recipients"]
    assert database.execute(
        'SELECT count(*) > 0 FROM (SELECT unnest(recipients) AS r FROM population) WHERE r."unknown:customer.partner_id" IS NULL'
    ).fetchone() == (True,)
    assert asked(text, database) == first


def test_a_transition_that_asks_for_a_review_has_its_column(database: duckdb.DuckDBPyConnection) -> None:
    policy = POLICIES["development-path-stage"]
    text = statement(policy, "duckdb", assumed(policy, True, False), AS_OF)
    assert 'AS "rule:skip-role-not-stated"' in text


@pytest.mark.parametrize("dialect", [d for d in warehouse.DIALECTS if d != "duckdb"])
def test_other_dialects_are_written(dialect: str) -> None:
    """What is written can be read again; what a dialect has no words for is refused with the reason."""
    refused = {"postgres": {"staff-certificate-count"}, "bigquery": {"shared-opportunity-lifecycle"}}
    for name in ("relation-change", "withdrawable-amount", "rebate-calculation", "staff-certificate-count", "shared-opportunity-lifecycle"):
        policy = POLICIES[name]
        if name in refused.get(dialect, ()):
            with pytest.raises(warehouse.NotCovered, match=f"cannot be written in the SQL of {dialect}"):
                statement(policy, dialect, assumed(policy, True, True), None)
        else:
            text = statement(policy, dialect, assumed(policy, True, True), None)
            assert sqlglot.parse_one(text, read=dialect).named_selects[:3] == ["case_id", "outcome", "error"]
            told = re.findall(r"\bv(\d+)[\"`]?,? -- ", text)
            assert told
            assert len(told) == len(set(told))


def test_each_step_says_what_it_computes() -> None:
    policy = POLICIES["relation-change"]
    text = statement(policy, "duckdb", assumed(policy, True, True), None)
    steps = [line for line in text.splitlines() if ' AS "v' in line and line.rpartition(' AS "v')[2].split('"')[0].isdigit()]
    assert len(steps) > 30
    assert all(" -- " in line for line in steps)
    for told in (
        "rule customer-request-cooldown",
        "formula free_after_request",
        "formula free_after_request: is it unknown?",
        "for formula free_after_request",
    ):
        assert any(line.endswith(f" -- {told}") for line in steps), told
    tabled = POLICIES["development-path-benefits"]
    assert " -- table " in statement(tabled, "duckdb", assumed(tabled, True, True), None)


def test_a_candidate_is_printed(here: Path, database: duckdb.DuckDBPyConnection, capsys: pytest.CaptureFixture[str]) -> None:
    ask = ["--root", str(SHIPPED), "sql", "relation-change@1", "--set", "cooldown_months=6", "--as-of", "2025-06-16"]
    policy = with_parameters(POLICIES["relation-change"], {"cooldown_months": 6})
    file = generated(policy, database, here)
    assert main([*ask, "--population", str(file)]) == 0
    text = capsys.readouterr().out
    assert "--   cooldown_months = 6  (changed; not that of the rule file)\n" in text
    assert "--   window_months = 3\n" in text
    cursor = database.execute(f"FROM '{file}'")
    names = [d[0] for d in cursor.description or ()]
    expected = by_engine(policy, [dict(zip(names, r, strict=True)) for r in cursor.fetchall()])
    assert {case: row["outcome"] for case, row in asked(text, database).items()} == {case: outcome for case, (outcome, _) in expected.items()}
    database.execute("DROP VIEW temp.population")
    assert main([*ask, "--set", "cooldown=6"]) == 2
    assert "did you mean `cooldown_months`" in capsys.readouterr().err


def test_what_is_printed_runs(here: Path, database: duckdb.DuckDBPyConnection, capsys: pytest.CaptureFixture[str]) -> None:
    """Over a table that a data team has made of other rows."""
    assert main(["sql", f"{POLICY}@1", "--complete"]) == 0
    text = capsys.readouterr().out
    assert "--   request.amount  DECIMAL(18, 2)  money\n" in text
    assert columns.UNKNOWN not in text
    (here / "cases.csv").write_text(
        "case_id,as_of,request.amount,customer.signed,customer.level,customer.staff\na,2025-02-01,1000.01,true,gold,0\n", encoding="utf-8"
    )
    database.execute("COPY (SELECT *, [] AS items, 'north' AS \"segment:region\" FROM 'cases.csv') TO 'cases.parquet'")
    make(text, database, here / "cases.parquet")
    assert asked(text, database)["a"]["rule:over-limit"] == "violated"


def test_the_query_for_a_population(here: Path, database: duckdb.DuckDBPyConnection, capsys: pytest.CaptureFixture[str]) -> None:
    """It has its columns alone; what it is no table of is said."""
    rows = "case_id,as_of,request.amount,customer.signed,customer.since\na,2025-02-01,1000.01,true,2024-01-01\nb,2025-02-01,7.00,,\nc,2025-02-01,x,true,\n"
    (here / "cases.csv").write_text(rows, encoding="utf-8")
    assert main(["sql", f"{POLICY}@1", "--population", "cases.csv"]) == 0
    text = capsys.readouterr().out
    for said in (
        "request.amount  DECIMAL(18, 2)  money; known in every row", "customer.signed  BOOLEAN  bool", "1 of its rows do not fit",
        "Not in it, so unknown in every row: customer.level, customer.mobile, customer.staff, items.", "make the table from it first",
    ):  # fmt: skip
        assert said in text
    assert "CREATE" not in text
    assert main(["sql", f"{POLICY}@1"]) == 0
    assert len(text) < len(capsys.readouterr().out)
    parts = [f"CAST({columns.quoted(n)} AS {kind}) AS {columns.quoted(n)}" for n, kind in CREDIT.items()]
    database.execute(f"CREATE TEMP TABLE population AS SELECT {', '.join(parts)} FROM 'cases.csv' WHERE case_id <> 'c'")
    found = asked(text, database)
    assert {case: row["rule:over-limit"] for case, row in found.items()} == {"a": "violated", "b": "satisfied"}
    database.execute("DROP TABLE temp.population")
    for wrong, said in ((["--population", "nothing.csv"], "nothing.csv"), (["--set", "limit"], "NAME=VALUE")):
        assert main(["sql", f"{POLICY}@1", *wrong]) == 2
        assert said in capsys.readouterr().err
    (here / "day.csv").write_text("case_id,request.amount\na,1.00\n", encoding="utf-8")
    assert main(["sql", f"{POLICY}@1", "--population", "day.csv"]) == 1
    assert "as_of" in capsys.readouterr().err
    assert main(["sql", f"{POLICY}@1", "--population", "day.csv", "--as-of", "2025-02-01", "--dialect", "trino"]) == 0


def test_sql_without_a_dialect_or_policy(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sql", POLICY, "--dialect", "cobol"]) == 2
    assert "there are bigquery" in capsys.readouterr().err
    assert main(["sql"]) == 2
    assert main(["sql", "nothing"]) == 2


def test_the_table_of_working_days(database: duckdb.DuckDBPyConnection, capsys: pytest.CaptureFixture[str]) -> None:
    assert database.execute("SELECT working_counts, working_days FROM working_calendar").fetchall() == [calendar_arrays()]
    assert main(["sql", "--calendar", "--dialect", "trino"]) == 0
    assert sqlglot.parse_one(capsys.readouterr().out, read="trino").find(sqlglot.exp.Create) is not None
