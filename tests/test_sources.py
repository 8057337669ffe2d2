"""Where populations come from: tables of DuckDB and PostgreSQL, mappings, and sources that cannot be used."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cli.main import main
from simulations.population import population
from simulations.population.columns import facts_of
from simulations.runs.order import source_name
from simulations.runs.summary import of_columns
from tests.orders import GOOD, HEADER, RULES, Reader, order_policy

SHIPPED = Path(__file__).parents[1] / "policies"


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(order_policy(tmp_path), tmp_path)


# -- tables ------------------------------------------------------------------------------------------------------------------------------


def test_a_table_of_duckdb(reader: Reader) -> None:
    file = reader.folder / "shop.duckdb"
    with duckdb.connect(str(file)) as shop:
        shop.execute("CREATE TABLE orders AS SELECT 'c' || range AS case_id, (range / 4)::DECIMAL(18,4) AS \"order.amount\" FROM range(8)")
    found = reader.read(f"duckdb:{file}#orders")
    assert (found.rows, found.used) == (8, 8)
    assert reader.rows()[7]["order.amount"] == Decimal("1.75")
    with duckdb.connect(str(file)) as shop:
        shop.execute("CREATE TABLE other AS SELECT * FROM orders ORDER BY case_id DESC")
    assert reader.read(f"duckdb:{file}#other").digest == found.digest, "the order of a table says nothing"
    assert "did you mean `orders`?" in reader.refusal(f"duckdb:{file}#order")
    assert "no table is named" in reader.refusal(f"duckdb:{file}")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A PostgreSQL of our own on a socket; skipped where there is none."""
    folder = next((str(p.parent) for p in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)), None) or shutil.which("initdb")
    if folder is None:
        pytest.skip("no PostgreSQL server is installed (initdb is missing)")
    binaries, data, socket = Path(folder) if Path(folder).is_dir() else Path(folder).parent, tmp_path / "pg", tmp_path
    as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    if as_user:
        for path in (tmp_path, *tmp_path.parents):
            if path.owner() == "root" and path != Path("/") and path.is_relative_to(tmp_path.parents[2]):
                path.chmod(0o755)
        tmp_path.chmod(0o777)
    try:
        subprocess.run([*as_user, str(binaries / "initdb"), "-D", str(data), "-A", "trust", "-U", "owner", "-E", "UTF8"], check=True, capture_output=True)
        start = [*as_user, str(binaries / "pg_ctl"), "-D", str(data), "-w", "-l", str(data / "log"), "-o", f"-k {socket} -c listen_addresses=", "start"]
        subprocess.run(start, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except (subprocess.CalledProcessError, OSError) as error:
        pytest.skip(f"the PostgreSQL server does not start here: {error}")
    yield str(socket)
    subprocess.run([*as_user, str(binaries / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop"], check=True, capture_output=True)


def test_a_table_of_postgresql(reader: Reader, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    psycopg = pytest.importorskip("psycopg", reason="the package psycopg is not installed")
    monkeypatch.setenv("PGHOST", server)
    with psycopg.connect(host=server, user="owner", dbname="postgres") as connection:
        connection.execute(
            "CREATE TABLE orders (case_id int, \"order.amount\" numeric, \"order.at\" timestamptz, \"order.on\" date, tags text[], items jsonb, "
            "\"customer.phone\" text, \"order.rate\" float8)"
        )
        connection.execute(
            "INSERT INTO orders VALUES (1, 12345678901234567.89, '2025-01-16 09:00+00', '2025-01-16', '{a,b}', "
            "'[{\"name\": \"a\\nb\", \"price\": 0.10}]', 'x\n\"y\", z', 1), "
            "(2, 0.125, NULL, NULL, NULL, NULL, '', 1), (3, 7, NULL, NULL, '{}', '[]', NULL, 1)"
        )
    url = "postgresql://owner:secret@/postgres#orders"
    assert "`order.rate` is double, which is not exact" in reader.refusal(url)
    with psycopg.connect(host=server, user="owner", dbname="postgres") as connection:
        connection.execute("ALTER TABLE orders DROP COLUMN \"order.rate\"")
    found = reader.read(url)
    assert "secret" not in repr(found)
    assert [line[2:] for line in reader.aside(found)] == [("order.amount", "more than 2 decimals; nothing is rounded in silence", "0.125")]
    facts = [facts_of(row, reader.policy) for row in reader.rows()]
    assert facts == [
        {"order.amount": "12345678901234567.89", "order.at": "2025-01-16T17:00:00+08:00", "order.on": "2025-01-16", "tags": ["b", "a"],
         "items": [{"name": "a\nb", "price": "0.10"}], "customer.phone": 'x\n"y", z'},
        {"order.amount": "7.00", "order.on": None, "customer.phone": None, "tags": [], "items": []},
    ]  # fmt: skip
    assert reader.read(url).digest == found.digest
    said = reader.refusal("postgresql://owner:secret@/postgres#order")
    assert "did you mean `orders`?" in said
    assert "secret" not in said
    assert "PostgreSQL says" in reader.refusal("postgresql://owner:secret@/nowhere#orders")


# -- what cannot be used -----------------------------------------------------------------------------------------------------------------


def test_sources_that_cannot_be_used(reader: Reader) -> None:
    reader.file("orders.csv", "case_id,order.amont\n1,2\n")
    assert "did you mean `orders.csv`?" in reader.refusal(str(reader.folder / "order.csv"))
    said = reader.refusal(str(reader.folder / "orders.csv"))
    assert "no column is a fact of `order-check`" in said
    assert "did you mean `order.amount`?" in said
    assert "the file is empty" in reader.refusal(reader.file("empty.csv", ""))
    assert "there are no rows" in reader.refusal(reader.file("header.csv", "case_id,order.amount\n"))
    assert "there are no rows" in reader.refusal(reader.file("blank.jsonl", "\n\n"))
    assert "stands twice in the header" in reader.refusal(reader.file("twice.csv", "case_id,order.amount,Order.Amount\n1,2,3\n"))
    assert "there is no column `case_id`" in reader.refusal(reader.file("no-id.csv", "id,order.amount\n1,2\n"))
    assert "none of the 2 rows fits; most often column `order.amount`: below 0" in reader.refusal(reader.file("bad.csv", "case_id,order.amount\n1,-2\n2,-3\n"))
    assert "cannot be read" in reader.refusal(reader.file("broken.parquet", "PAR1 but not really"))
    assert "is no kind of file" in reader.refusal(reader.file("orders.xlsx", "x"))
    assert "there is no such file" in reader.refusal(str(reader.folder / "nowhere" / "*.parquet"))
    (reader.folder / "none").mkdir()
    assert "no file that can be read" in reader.refusal(str(reader.folder / "none"))
    assert "no row" not in reader.refusal(reader.file("other.jsonl", '{"case_id": 1, "amount": 2}\n'))


def test_lines_that_are_no_json(reader: Reader) -> None:
    good, two_ways = '{"case_id": 1, "order": {"amount": 2}}', '{"case_id": 5, "order.paid": true, "order": {"paid": true}}'
    text = [good, "not json", "[1]", '{"case_id": 2, "case_id": 3}', '{"case_id": 4, "order": 5}', two_ways]
    found = reader.read(reader.file("rows.jsonl", "\n".join(text)))
    assert (found.rows, found.used) == (6, 1)
    assert [line[1:4] for line in reader.aside(found) if line[3] != "no id"] == [
        (2, "", "no JSON object"), (3, "", "no JSON object"), (4, "", "a key stands twice"), (5, "order", "no object"),
        (6, "order.paid", "given twice, once dotted and once nested"),
    ]  # fmt: skip


def test_a_full_disk_leaves_nothing_half_written(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    source = reader.file("rows.csv", f"{HEADER}\n{GOOD}\n")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("simulations.population.staging.os.replace", full)
    assert "the disk is full" in reader.refusal(source)


def test_a_reading_can_be_stopped(reader: Reader) -> None:
    source = reader.parquet("SELECT range::VARCHAR AS case_id, (range % 100)::VARCHAR AS \"order.amount\" FROM range(3000000)")
    started = threading.Event()
    stopper = threading.Thread(target=lambda: (started.wait(), threading.Event().wait(0.05), reader.connection.interrupt()))
    stopper.start()
    with pytest.raises(duckdb.InterruptException):
        population.read(source, reader.policy, None, reader.connection, reader.folder / "out", step=lambda _: started.set())
    stopper.join()
    assert not [p for p in (reader.folder / "out").iterdir() if p.name.endswith(".partial")]
    assert reader.connection.execute("SELECT count(*) FROM duckdb_tables()").fetchone() == (0,)


# -- a mapping -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_mapping_translates(reader: Reader, kind: str) -> None:
    row: dict[str, Any] = {"no": "1", "day": "2025-03-01", "who": "p1", "area": "北", "fen": 1250, "art": "新购"}
    row |= {"since": "16.01.2025", "moment": "2025-01-16 09:30", "paid": "Y"}
    if kind == "jsonl":
        source = reader.file("rows.jsonl", json.dumps({**row, "marks": ["甲", "b"]}) + "\n" + json.dumps({**row, "no": "2", "fen": 12.5}))
    elif kind == "csv":
        both = [{**row, "marks": '"[""甲"", ""b""]"'}, {**row, "no": "2", "fen": "12.5", "marks": ""}]
        source = reader.file("rows.csv", "\n".join(",".join(str(v) for v in r) for r in [both[0].keys(), *(r.values() for r in both)]))
    else:
        columns = ", ".join(f"{v!r} AS {k}" for k, v in row.items() if k not in ("fen", "no"))
        source = reader.parquet(f"SELECT no::VARCHAR AS no, fen, {columns}, ['甲', 'b'] AS marks FROM (VALUES (1, 1250.0), (2, 12.5)) t(no, fen)")
    found = reader.read(source, RULES)
    assert [line[:4] for line in reader.aside(found)] == [("2", 2, "fen", "no whole number")]
    assert reader.rows() == [{
        "case_id": "1", "as_of": datetime(2025, 3, 1), "partner": "p1", "segment:region": "北", "order.amount": Decimal("12.50"), "order.kind": "new",
        "order.paid": True, "order.on": date(2025, 1, 16), "order.at": datetime(2025, 1, 16, 9, 30), "tags": ["b", "a"],
    }]  # fmt: skip


def test_columns_that_the_mapping_names_must_be_there(reader: Reader) -> None:
    source = reader.file("rows.csv", "case_id,order.amount,regoin\n1,2,3\n")
    said = reader.refusal(source, "segments: {region: region}\nfacts: {order.kind: kind}\n")
    assert "map.yaml:1:20: " in said
    assert "has no column `region`\n  help: did you mean `regoin`?" in said
    assert "map.yaml:2:21: " in said
    lines = reader.file("rows.jsonl", '{"case_id": 1, "order": {"amount": 2}}\n')
    assert "no row of" in reader.refusal(lines, "facts: {order.kind: kind}\n")


# -- what is told of a source ------------------------------------------------------------------------------------------------------------


def test_where_no_row_fits_the_reasons_are_told(reader: Reader) -> None:
    rows = [f"{i},-2,x" for i in range(2, 5)]
    said = reader.refusal(reader.file("bad.csv", "\n".join(["case_id,order.amount,order.kind", "1,1e2,new", *rows])))
    assert said.splitlines()[1:] == [
        "  help: what keeps them out:", "    3 × column `order.amount`: below 0 (first: `-2` in row 2)",
        "    3 × column `order.kind`: not one of new, renewal (first: `x` in row 2)",
        "    1 × column `order.amount`: no amount of money without exponent, sign +, spaces or separators (first: `1e2` in row 1)",
    ]  # fmt: skip
    names = [f"order.{n}" for n in ("amount", "change", "rate", "count", "kind", "paid", "on", "at")]
    cells = ["-x", "x", "x", "x", "x", "x", "x", "x", "x", "x"]
    many = [",".join([str(i), *cells[:8], "no", "no"]) for i in range(2)] + [",".join(["9", "-1", *cells[1:8], "no", "no"])]
    said = reader.refusal(reader.file("worse.csv", "\n".join([",".join(["case_id", *names, "tags", "items"]), *many])))
    assert len(said.splitlines()) == 13, "ten reasons, and that there are more"
    assert said.endswith("…")
    assert "parquet" not in said


POLICY = "performance-credit"
HEADED = "case_id,partner.id,transaction.cash_amout,transaction.kind,erp_no\n"


def ask(*more: str) -> int:
    return main(["--root", str(SHIPPED), *more])


@pytest.mark.parametrize(
    ("command", "file"),
    [(["simulate", "--set", "ratio_joint_operation=0.6"], "summary"), (["sweep", "--vary", "ratio_joint_operation=0.5,0.6"], "sweep"),
     (["settle", "--set", "ratio_joint_operation=0.6"], "settlement")],
)  # fmt: skip
def test_a_misspelt_column_is_told_everywhere(
    command: list[str], file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("typo.csv").write_text(HEADED + "1,P1,2.00,partner_paid_order,7\n", encoding="utf-8")
    assert ask(command[0], f"{POLICY}@1", *command[1:], "--population", "typo.csv", "--as-of", "2025-06-16", "--out", "x") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "were not used: transaction.cash_amout (did you mean transaction.cash_amount?), erp_no." in said
    assert "No column for: partner.kind," in said
    found = json.loads(Path(f"x/{file}.json").read_text(encoding="utf-8"))
    kinds = [w["kind"] for w in found["warnings"]]
    assert (kinds.count("unused-column"), kinds.count("no-column")) == (1, 1)
    near = [{"column": "transaction.cash_amout", "near": "transaction.cash_amount"}, {"column": "erp_no", "near": None}]
    assert found["population"]["unused_columns"] == near
    assert "transaction.cash_amount" in found["population"]["facts_without_column"]
    page = Path("x/report.html").read_text(encoding="utf-8")
    assert "did you mean transaction.cash_amount?" in page
    assert "是否应为 transaction.cash_amount？" in page


def test_a_population_of_our_own_has_just_the_columns_that_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert ask("population", f"{POLICY}@1", "--rows", "300", "--as-of", "2025-06-16", "--out", "p.parquet") == 0
    assert ask("population", f"{POLICY}@1", "--rows", "300", "--as-of", "2025-06-16", "--out", "again.parquet") == 0
    assert Path("p.parquet").read_bytes() == Path("again.parquet").read_bytes()
    duckdb.connect().execute("COPY (FROM 'p.parquet') TO 'p.csv'")
    changed = []
    for i, source in enumerate((["p.parquet"], ["p.csv"], ["p.parquet", "--as-of", "2025-06-16"])):
        assert ask("simulate", f"{POLICY}@1", "--set", "ratio_joint_operation=0.6", "--population", *source, "--out", f"x{i}") == 0
        found = json.loads(Path(f"x{i}/summary.json").read_text(encoding="utf-8"))
        assert not {"unused-column", "no-column"} & {w["kind"] for w in found["warnings"]}
        changed.append((found["measures"], found["flips"]))
    assert changed[0] == changed[1] == changed[2]
    assert changed[0][0][0]["gain"]["rows"] > 0


def test_the_instant_of_a_run_stands_instead_of_that_of_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ["simulate", "relation-change@1", "--set", "cooldown_months=6", "--population", "p.parquet", "--as-of", "2025-09-16"]
    assert ask("population", "relation-change@1", "--rows", "1500", "--as-of", "2025-06-16", "--out", "p.parquet") == 0
    assert ask(*asked, "--out", "dated") == 0
    duckdb.connect().execute("COPY (SELECT * EXCLUDE (as_of) FROM 'p.parquet') TO 'plain.parquet'")
    Path("plain.parquet").replace("p.parquet")
    assert ask(*asked, "--out", "plain") == 0
    dated, plain = (json.loads(Path(name, "summary.json").read_text(encoding="utf-8")) for name in ("dated", "plain"))
    assert dated["flips"]["changed"] > 0
    assert {e["as_of"] for e in dated["examples"]} == {"2025-09-16T00:00:00+08:00"}
    for part in ("flips", "examples", "segments"):
        assert dated[part] == plain[part]


def test_a_warning_does_not_name_a_hundred_columns() -> None:
    population = {"unused_columns": [{"column": f"c{i}", "near": "fact" if i == 9 else None} for i in range(20)], "facts_without_column": ["a", "b"]}
    (_, unused, _), (_, absent, _) = of_columns(population)
    assert unused == "Columns that are no fact of this policy were not used: c9 (did you mean fact?), c0, c1, c2, c3, c4, c5, c6 … (20)."
    assert absent == "No column for: a, b. Unknown in every case."
    assert list(of_columns({"unused_columns": [], "facts_without_column": []})) == []


def test_a_source_is_named_so_that_it_is_found_again() -> None:
    named = {
        "/srv/data/a.parquet": "a.parquet", "orders/*.parquet": "orders/*.parquet", "/srv/data/2025-*/a.parquet": "data/2025-*/a.parquet",
        "*.csv": "*.csv", "/*.csv": "*.csv", "orders/": "orders", "postgresql://me:secret@h/shop#t": "postgresql://me@h/shop#t",
    }  # fmt: skip
    assert {source: source_name(source) for source in named} == named
