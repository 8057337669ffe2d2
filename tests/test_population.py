"""Reading a population: the same rows are good as for the engine, and the same values come of them."""

from __future__ import annotations

import contextlib
import copy
import json
import re
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pytest

from engine.cases import case_file, load_cases
from engine.check import load_policy
from engine.decide import Program
from engine.errors import FactsError
from engine.policy import Policy
from simulations.population import population
from simulations.population.columns import Column, facts_of
from tests.generate import Generator
from tests.orders import GOOD, HEADER, ORDER, Reader, order_policy

POLICIES = Path(__file__).parents[1] / "policies"
SPOILT: tuple[Any, ...] = (
    None, "", " ", "　", True, False, 0, -1, 7, 1.5, "1.005", "-0.00", "-0.01", "0.1234567890123", "12345678901234567.89", 12345678901234567, "1e2", "+1",
    "007", "1" * 31, "1000000000000000001", "x", "allowed", [], {}, [None], ["x", "x"], [""], [1], [{}], [{"x": 1}], [[]], {"a": 1}, "a\\b\"c, 5",
    "长" * 10_001,
    "2025-02-29", "2024-02-29", "2024-2-9", "0000-01-01", "2025-01-16T09:00:00", "2025-01-16T09:00:00+08:00", "2025-01-16 09:00Z", "2025-01-16T24:00:00Z",
    "9999-12-31T23:00:00Z",
)  # fmt: skip


def shipped(name: str) -> tuple[Policy, Path]:
    path = max(p for p in POLICIES.glob(f"*/{name}/v*.yaml") if re.fullmatch(r"v[0-9]+\.yaml", p.name))
    return load_policy(path), path


def rows_of(policy: Policy, path: Path, count: int) -> list[dict[str, Any]]:
    """Facts near the rules, half of them with something spoilt."""
    cases = [c for c in load_cases(case_file(path)) if c.facts]
    generator, r = Generator(policy, cases, lambda at: [], 3), Random(policy.id)
    rows = []
    for i in range(count):
        facts = {n: v for n, v in generator.request().facts.items() if n in policy.facts}
        for _ in range(r.choice((0, 0, 1, 2))):
            spoil(facts, r, list(policy.facts))
        rows.append(nested(facts, r) | {"case_id": f"c{i}"})
    return rows


def spoil(facts: dict[str, Any], r: Random, names: list[str]) -> None:
    """A fact, or something inside of one, gets a value that may not fit."""
    name = r.choice(names)
    value = facts.get(name)
    if isinstance(value, list) and value and r.random() < 0.8:
        i = r.randrange(len(value))
        if isinstance(value[i], dict) and value[i] and r.random() < 0.9:
            key = r.choice(list(value[i]))
            if isinstance(value[i][key], list) and r.random() < 0.6:
                spoil(value[i], r, [key])
            else:
                value[i][key if r.random() < 0.9 else "other"] = copy.deepcopy(r.choice(SPOILT))
        else:
            value[i] = copy.deepcopy(r.choice(SPOILT))
    else:
        facts[name] = copy.deepcopy(r.choice(SPOILT))


def nested(facts: dict[str, Any], r: Random) -> dict[str, Any]:
    """Some of the dotted names as nested objects."""
    found: dict[str, Any] = {}
    for name, value in facts.items():
        head, _, rest = name.partition(".")
        if rest and r.random() < 0.8:
            found.setdefault(head, {})[rest] = value
        else:
            found[name] = value
    return found


def lines(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    return str(path)


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(order_policy(tmp_path), tmp_path)


@pytest.mark.parametrize(
    "name",
    ["withdrawable-amount", "rebate-calculation", "staff-certificate-count", "withdrawal-route", "relation-change", "voucher-issue", "voucher-recall",
     "account-adjustment", "invoiceable-amount", "shared-opportunity-lifecycle", "distributor-joining"],
)  # fmt: skip
def test_json_lines_are_read_as_the_engine_reads_requests(name: str, tmp_path: Path) -> None:
    policy, path = shipped(name)
    rows = rows_of(policy, path, 150)
    reader = Program(policy).reader
    expected = {}
    for row in rows:
        facts = json.loads(json.dumps({k: v for k, v in row.items() if k != "case_id"}), parse_float=Decimal)
        with contextlib.suppress(FactsError):
            expected[row["case_id"]] = reader.slots(facts)
    connection = duckdb.connect()
    found = population.read(lines(tmp_path / "rows.jsonl", rows), policy, None, connection, tmp_path / "out")
    columns = [c[0] for c in connection.execute("DESCRIBE population").fetchall()]
    got = {row[columns.index("case_id")]: dict(zip(columns, row, strict=True)) for row in connection.execute("SELECT * FROM population").fetchall()}
    aside = dict(connection.execute(f"SELECT case_id, list((\"column\", reason, value)) FROM '{found.listing}' GROUP BY 1").fetchall())
    for row in rows:
        case_id = row["case_id"]
        assert (case_id in got) == (case_id in expected), (row, aside.get(case_id))
        if case_id in got:
            assert repr(reader.slots(facts_of(got[case_id], policy))) == repr(expected[case_id]), row
    assert found.rows == len(rows)
    assert found.used == len(expected)
    assert 30 < found.used < 145, "both kinds of rows are needed"


# -- CSV ---------------------------------------------------------------------------------------------------------------------------------


def test_csv_is_read_exactly(reader: Reader) -> None:
    found = reader.read(reader.file("rows.csv", f"{HEADER}\n{GOOD}\n"))
    assert (found.rows, found.used, found.set_aside, found.reasons) == (1, 1, 0, ())
    assert reader.rows() == [{
        "case_id": "c1", "order.amount": Decimal("12.50"), "order.change": Decimal("-0.10"), "order.count": 3, "order.kind": "new", "order.paid": True,
        "order.on": date(2025, 1, 16), "order.at": datetime(2025, 1, 16, 17), "customer.phone": "138", "tags": ["b", "a"],
        "items": [{"name": "x", "price": Decimal("12345678901234567.89")}, {"name": None, "price": None}],
    }]  # fmt: skip
    assert reader.types()["order.amount"] == "DECIMAL(18,2)"
    assert reader.types()["items"] == 'STRUCT("name" VARCHAR, price DECIMAL(38,2))[]'
    items = {"name": Column(True, False, 0, 0), "price": Column(False, True, 17, 2)}
    assert found.profile.columns["items"] == Column(False, False, 0, 0, items)
    assert found.profile.columns["order.change"] == Column(False, False, 0, 2)
    assert facts_of(reader.rows()[0], reader.policy)["order.at"] == "2025-01-16T17:00:00+08:00"


def test_an_empty_cell_is_none_where_that_is_allowed_and_unknown_elsewhere(reader: Reader) -> None:
    found = reader.read(reader.file("rows.csv", f"{HEADER}\n{GOOD}\nc2,,,,,,,,,,\n"))
    facts = facts_of(reader.rows()[1], reader.policy)
    assert facts == {"order.change": None, "order.count": None, "order.on": None, "customer.phone": None}
    assert found.profile.columns["order.amount"].unknown
    assert found.profile.columns["order.on"] == Column(False, True, 0, 0)


def test_every_bad_cell_is_listed_with_its_reason(reader: Reader) -> None:
    bad = [
        "c2,1.005,,,,,,,,,", "c3,-1.00,,,,,,,,,", "c4,1e2,,,,,,,,,", "c5,,,1.5,,,,,,,", "c6,,,,other,,,,,,", "c7,,,,,yes,,,,,", "c8,,,,,,2025-02-30,,,,",
        "c9,,,,,,,2025-01-16T09:00:00,,,", 'd1,,,,,,,,,"[""a"",""a""]",', "d2,,,,,,,,,no list,", 'd3,,,,,,,,,,"[{""price"":0.001}]"', ",1.00,,,,,,,,,",
        "twice,1.00,,,,,,,,,", "twice,2.00,,,,,,,,,", "e1,1.00", "e2,1,2,3,4,5,6,7,8,9,10,11,12",
    ]  # fmt: skip
    long = "f1,,,,,,,," + "9" * 10_001 + ",,"
    found = reader.read(reader.file("rows.csv", "\n".join([HEADER, GOOD, *bad, long]) + "\n"))
    assert (found.rows, found.used, found.set_aside) == (18, 1, 17)
    told = {case_id: (row, column, reason, value) for case_id, row, column, reason, value in reader.aside(found) if case_id not in (None, "twice")}
    assert told == {
        "c2": (2, "order.amount", "more than 2 decimals; nothing is rounded in silence", "1.005"),
        "c3": (3, "order.amount", "below 0", "-1.00"),
        "c4": (4, "order.amount", "no amount of money without exponent, sign +, spaces or separators", "1e2"),
        "c5": (5, "order__count", "no whole number", "1.5"),
        "c6": (6, "order.kind", "not one of new, renewal", "other"),
        "c7": (7, "order.paid", "neither true nor false", "yes"),
        "c8": (8, "order.on", "no date; written as 2025-01-16", "2025-02-30"),
        "c9": (9, "order.at", "a date and time without zone; written as 2025-01-16T09:00:00+08:00", "2025-01-16T09:00:00"),
        "d1": (10, "tags", "a value stands twice in this set", '["a","a"]'),
        "d2": (11, "tags", 'no list; written as ["a", "b"]', "no list"),
        "d3": (12, "items[].price", "more than 2 decimals; nothing is rounded in silence", "0.001"),
        "f1": (16, "customer.phone", "more than 10000 characters", "***"),
    }
    rest = [(row, column, reason) for case_id, row, column, reason, _ in reader.aside(found) if case_id in (None, "twice")]
    twice = "the id stands twice"
    assert rest == [(17, "", "too few columns"), (18, "", "too many columns"), (13, "case_id", "no id"), (14, "case_id", twice), (15, "case_id", twice)]
    assert {(r.column, r.reason, r.zh, r.rows) for r in found.reasons} >= {("case_id", twice, "编号重复", 2), ("order.amount", "below 0", "小于 0", 1)}
    assert sum(r.rows for r in found.reasons) == 17


# -- Parquet -----------------------------------------------------------------------------------------------------------------------------

FITTING = "range::VARCHAR AS case_id, 12.50::DECIMAL(12,2) AS \"order.amount\", 3::INTEGER AS order__count, {'kind': 'new', 'paid': true} AS \"order\""


def test_parquet_that_fits_is_not_copied(reader: Reader) -> None:
    source = reader.parquet(f"SELECT {FITTING}, 'north' AS \"segment:region\", 'p' AS partner, DATE '2025-03-01' AS as_of, 1 AS more FROM range(3)")
    found = reader.read(source)
    assert not (reader.folder / "out" / "population.parquet").exists()
    assert reader.types() == {
        "case_id": "VARCHAR", "as_of": "TIMESTAMP", "partner": "VARCHAR", "segment:region": "VARCHAR", "order.amount": "DECIMAL(12,2)",
        "order.count": "BIGINT", "order.kind": "VARCHAR", "order.paid": "BOOLEAN",
    }  # fmt: skip
    assert (found.used, found.segments, found.has_partner, found.unused) == (3, ("region",), True, ("more",))
    assert found.profile.has_as_of
    assert found.profile.columns["order.amount"] == Column(False, False, 2, 2)
    assert reader.rows()[0]["as_of"] == datetime(2025, 3, 1)


def test_parquet_that_differs_in_a_row_is_copied(reader: Reader) -> None:
    values = "range::VARCHAR AS case_id, ['a', 'b'] AS tags, ' ' AS \"customer.phone\", TIMESTAMPTZ '1988-07-01 00:00:00+00' AS \"order.at\""
    found = reader.read(reader.parquet(f"SELECT {values} FROM range(2)"))
    assert (reader.folder / "out" / "population.parquet").exists()
    row = reader.rows()[0]
    assert row["tags"] == ["b", "a"], "in the declared order"
    assert row["customer.phone"] is None
    assert row["order.at"] == datetime(1988, 7, 1, 8), "no summer time"
    assert found.profile.columns["customer.phone"] == Column(False, True, 0, 0)


def test_a_companion_column_says_what_is_unknown(reader: Reader) -> None:
    values = "(1, NULL, true, [{'name': NULL, 'price': NULL, 'unknown:price': true}]), (2, NULL, false, []), (3, DATE '2025-01-01', true, NULL)"
    source = reader.parquet(f"SELECT i::VARCHAR AS case_id, d AS \"order.on\", u AS \"unknown:order.on\", x AS items FROM (VALUES {values}) t(i, d, u, x)")
    found = reader.read(source)
    assert reader.aside(found) == [("3", 3, "order.on", "a value, and yet said to be unknown", "2025-01-01")]
    assert found.profile.columns["order.on"] == Column(True, True, 0, 0)
    assert [facts_of(row, reader.policy) for row in reader.rows()] == [{"items": [{}]}, {"order.on": None, "items": []}]
    again = reader.parquet("SELECT * FROM population", "again.parquet")
    before = reader.rows()
    assert reader.read(again).used == 2
    assert reader.rows() == before, "a canonical table is read as what it is"


def test_the_source_is_never_overwritten(reader: Reader) -> None:
    (reader.folder / "out").mkdir()
    source = reader.parquet("SELECT 'c' AS case_id, '1.00' AS \"order.amount\"", "out/population.parquet")
    before = Path(source).read_bytes()
    assert "the source stands where its copy would be written" in reader.refusal(source)
    assert Path(source).read_bytes() == before


def test_several_files_are_one_population(reader: Reader) -> None:
    (reader.folder / "parts").mkdir()
    for i in range(3):
        reader.parquet(f"SELECT 'c{i}' AS case_id, {i}.00::DECIMAL(18,2) AS \"order.amount\"", f"parts/{i}.parquet")
    whole = reader.read(str(reader.folder / "parts"))
    assert (whole.rows, whole.used) == (3, 3)
    assert reader.read(str(reader.folder / "parts" / "*.parquet")).digest == whole.digest
    assert reader.read(str(reader.folder / "parts" / "0.parquet")).digest != whole.digest


def test_a_column_of_a_wrong_type_is_refused_as_a_whole(reader: Reader) -> None:
    source = reader.parquet("SELECT 'c' AS case_id, 1.5::DOUBLE AS \"order.amount\", 5 AS \"order.on\", [1.5::FLOAT] AS tags")
    assert reader.refusal(source) == (
        f"{source}: column `order.amount` is double, which is not exact; `order.amount` is money\n  help: store it as DECIMAL or as text\n"
        f"{source}: column `order.on` is INTEGER, `order.on` is date\n  help: store it as DATE, or as text\n"
        f"{source}: column `tags[]` is float, which is not exact; `tags` is enum of b, a, c\n  help: store it as DECIMAL or as text"
    )


@pytest.mark.parametrize("text", ["0.1234567890123456789012345678901234567890", "0." + "1" * 29, "-0.1234567890123"])
def test_a_ratio_of_too_many_places_keeps_only_its_row_out(reader: Reader, text: str) -> None:
    found = reader.read(reader.file("rows.csv", f"case_id,order.rate\n1,0.125\n2,{text}\n"))
    assert [line[0] for line in reader.aside(found)] == ["2"]
    assert reader.rows() == [{"case_id": "1", "order.rate": Decimal("0.125")}]
    assert found.profile.columns["order.rate"].places == 3
    lines = reader.file("rows.jsonl", f'{{"case_id": 1, "order.rate": 0.125}}\n{{"case_id": 2, "order.rate": {text}}}\n')
    assert (reader.read(lines).used, reader.rows()[0]["order.rate"]) == (1, Decimal("0.125"))


# -- lists in text -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "tags"), [('["a", "b"]', ["b", "a"]), ("[a, b]", ["b", "a"]), ("[c]", ["c"]), ("[b,c]", ["b", "c"]), ("[]", [])]
)
def test_a_list_in_a_text(reader: Reader, text: str, tags: list[str]) -> None:
    cell = '"' + text.replace('"', '""') + '"'
    reader.read(reader.file("rows.csv", f"case_id,tags\n1,{cell}\n"))
    assert reader.rows()[0]["tags"] == tags


def test_what_duckdb_writes_into_csv_is_read_back(reader: Reader) -> None:
    reader.connection.execute(f"COPY (SELECT 'c' AS case_id, ['a', 'b'] AS tags) TO '{reader.folder / 'rows.csv'}'")
    reader.read(str(reader.folder / "rows.csv"))
    assert reader.rows() == [{"case_id": "c", "tags": ["b", "a"]}]


@pytest.mark.parametrize("text", ["a", "a, b", "[a, NULL]", "[null, a]", "[a b]", "['a', b]", "[a,]", "[a, 5]", "[true, a]", "{a}", "[[a]]", '["a", b]'])
def test_a_list_that_may_mean_something_else_is_no_list(reader: Reader, text: str) -> None:
    cell = '"' + text.replace('"', '""') + '"'
    found = reader.read(reader.file("rows.csv", f'case_id,tags\n1,"[""a""]"\n2,{cell}\n'))
    assert [line[2:] for line in reader.aside(found)] == [("tags", 'no list; written as ["a", "b"]', text)]
    assert found.reasons[0].zh == '不是列表；应写作 ["a", "b"]'


def test_a_list_of_records_names_its_form(reader: Reader) -> None:
    found = reader.read(reader.file("rows.csv", 'case_id,items\n1,[]\n2,"[x, y]"\n'))
    assert [line[2:] for line in reader.aside(found)] == [("items", 'no list; written as [{"name": …}, …]', "[x, y]")]


# -- columns that are no fact, facts that have no column ---------------------------------------------------------------------------------

NAMES = (
    "order.amount", "order.change", "order.rate", "order.count", "order.kind", "order.paid", "order.on", "order.at", "customer.phone", "tags", "items",
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "unused", "given"),
    [
        ("a.csv", "case_id,order.amout,order__kind,unknown:order.on\n1,2,new,true\n", ("order.amout", "unknown:order.on"), {"order.kind"}),
        ("a.jsonl", '{"case_id": 1, "order": {"amout": 2, "kind": "new"}, "more": {"deep": 1}}\n', ("order.amout", "more"), {"order.kind"}),
        ("b.jsonl", '{"case_id": 1, "order.amout": 2, "items": [{"name": "x"}]}\n', ("order.amout",), {"items"}),
    ],
)
def test_columns_and_facts_that_do_not_meet(reader: Reader, name: str, text: str, unused: tuple[str, ...], given: set[str]) -> None:
    found = reader.read(reader.file(name, text))
    assert found.unused == unused
    assert found.absent == tuple(n for n in NAMES if n not in given)


def test_fields_of_a_struct_that_are_no_fact(reader: Reader) -> None:
    found = reader.read(reader.parquet("SELECT 'c' AS case_id, {'kind': 'new', 'amout': 2.00, 'deep': {'x': 1}} AS \"order\", {'phone': '1'} AS customer"))
    assert found.unused == ("order.amout", "order.deep")
    assert set(NAMES) - set(found.absent) == {"order.kind", "customer.phone"}


# -- JSON lines with an id beside the facts that begin with its name ---------------------------------------------------------------------


@pytest.fixture
def partners(tmp_path: Path) -> Reader:
    """Reads for a policy with facts of the partner."""
    path = tmp_path / "v1.yaml"
    path.write_text(ORDER.replace("customer.phone:", "partner.phone: "), encoding="utf-8")
    return Reader(load_policy(path), tmp_path)


def test_the_partner_may_stand_beside_facts_of_the_partner(partners: Reader) -> None:
    rows = [{"case_id": "1", "partner": "P1", "partner.phone": "5"}, {"case_id": "2", "partner": {"phone": "6"}}, {"case_id": "3", "partner": ["P1"]}]
    found = partners.read(lines(partners.folder / "rows.jsonl", rows))
    assert [line[:4] for line in partners.aside(found)] == [("3", 3, "partner", "no object")]
    assert [(row["partner"], row["partner.phone"]) for row in partners.rows()] == [("P1", "5"), (None, "6")]


def test_an_object_of_facts_is_no_partner(partners: Reader) -> None:
    found = partners.read(lines(partners.folder / "rows.jsonl", [{"case_id": "1", "partner": {"phone": "5"}}]))
    assert (found.has_partner, found.unused, partners.rows()) == (False, (), [{"case_id": "1", "partner.phone": "5"}])
