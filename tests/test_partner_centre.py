"""The made-up partner centre: its tables fit each other, its populations are legal and mixed, and the same seed gives the same bytes."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cli.main import main
from engine.decide import Program
from engine.errors import PolicyError
from engine.library import load
from engine.policy import Policy
from engine.types import SHANGHAI
from simulations.population.columns import facts_of
from simulations.synthetic import partner_centre
from simulations.synthetic.centre.tables import tables

LIBRARY = load(Path(__file__).parent.parent / "policies")
AS_OF = date(2026, 3, 16)
NOON = datetime(2026, 3, 16, 12, tzinfo=SHANGHAI)
PARTNERS = 150


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("centre")
    partner_centre.generate(7, PARTNERS, duckdb.connect(), found, AS_OF)
    return found


def latest(policy: str) -> Policy:
    return LIBRARY.version(policy, max(LIBRARY.versions[policy])).policy


def ask(folder: Path, query: str) -> list[tuple[Any, ...]]:
    """The rows of a query over the tables of a folder, each named like its file."""
    connection = duckdb.connect()
    for path in sorted(folder.glob("*.parquet")):
        connection.execute(f"CREATE VIEW {path.stem} AS SELECT * FROM read_parquet('{path}')")
    return connection.execute(query).fetchall()


def test_there_are_a_few_related_tables(folder: Path) -> None:
    assert {p.stem for p in folder.glob("*.parquet")} == set(tables(AS_OF))
    assert ask(folder, "SELECT count(*), count(DISTINCT partner_id) FROM partners") == [(PARTNERS, PARTNERS)]


@pytest.mark.parametrize("name", [n for n, spec in tables(AS_OF).items() if spec.of])
def test_every_row_has_a_key_of_its_own_and_a_parent(name: str, folder: Path) -> None:
    specs = tables(AS_OF)
    spec = specs[name]
    assert spec.of is not None
    parent = specs[spec.of]
    assert ask(folder, f"SELECT count(*) - count(DISTINCT {spec.key}) FROM {name}") == [(0,)]
    assert ask(folder, f"SELECT count(*) FROM {name} ANTI JOIN {spec.of} USING ({parent.key})") == [(0,)]
    wrong = f"SELECT count(*) FROM (SELECT {parent.key}, count(*) AS n FROM {name} GROUP BY ALL) JOIN {spec.of} USING ({parent.key}) WHERE n <> {spec.count}"
    assert ask(folder, wrong) == [(0,)]
    expected = ask(folder, f"SELECT sum({spec.count}) FROM {spec.of}")
    assert ask(folder, f"SELECT count(*) FROM {name}") == expected
    assert expected[0][0] > PARTNERS // 2


def test_keys_are_believable(folder: Path) -> None:
    assert ask(folder, "SELECT partner_id FROM partners ORDER BY number LIMIT 2") == [("P000001",), ("P000002",)]
    of_resellers = ask(folder, "SELECT count(*) FROM partners r JOIN partners d ON r.distributor_id = d.partner_id WHERE d.kind = 'distributor'")
    assert of_resellers == ask(folder, "SELECT count(*) FROM partners WHERE kind = 'cloud_reseller'")
    sizes = dict(ask(folder, "SELECT tier, avg(customer_count) FROM partners GROUP BY tier"))
    assert sizes["registered"] < sizes["advanced"] < sizes["premier"]


@pytest.mark.parametrize("name", partner_centre.policies())
def test_a_population_is_legal_and_mixed(name: str, folder: Path, tmp_path: Path) -> None:
    policy, connection, path = latest(name), duckdb.connect(), tmp_path / "p.parquet"
    partner_centre.population(folder, policy, connection, path)
    found = connection.execute("SELECT * FROM read_parquet(?)", [str(path)])
    columns = found.description or []
    assert not [c for c in columns if "DOUBLE" in str(c[1]) or "FLOAT" in str(c[1])]
    rows = [dict(zip([c[0] for c in columns], row, strict=True)) for row in found.fetchall()]
    assert len({r["case_id"] for r in rows}) == len(rows) > PARTNERS // 2
    assert set(policy.facts) <= set(rows[0])
    program = Program(policy)
    answers = [program.check(facts_of(r, policy), NOON) for r in rows[:500]]
    outcomes = Counter(a["outcome"] for a in answers)
    assert outcomes["allowed"] > len(answers) // 5
    assert outcomes["denied"] + outcomes["review"] > len(answers) // 200


def test_one_partner_runs_through_all_populations(folder: Path, tmp_path: Path) -> None:
    about = {p: (region, tier) for p, region, tier in ask(folder, "SELECT partner_id, region, tier FROM partners")}
    seen: Counter[str] = Counter()
    for name in partner_centre.policies():
        path, connection = tmp_path / f"{name}.parquet", duckdb.connect()
        partner_centre.population(folder, latest(name), connection, path)
        query = 'SELECT DISTINCT partner, "segment:region", "segment:tier" FROM read_parquet(?) WHERE partner IS NOT NULL'
        for partner, region, tier in connection.execute(query, [str(path)]).fetchall():
            seen[partner] += 1
            assert about[partner][1] == tier
            assert name == "reseller-programme-joining" or about[partner][0] == region
    assert max(seen.values()) >= len(partner_centre.policies())


def test_lists_are_the_rows_of_other_tables(folder: Path, tmp_path: Path) -> None:
    path, connection = tmp_path / "p.parquet", duckdb.connect()
    partner_centre.population(folder, latest("rebate-calculation"), connection, path)
    listed = connection.execute("SELECT sum(len(items)), count(DISTINCT period) FROM read_parquet(?)", [str(path)]).fetchall()
    counted = ask(folder, "SELECT count(*), 3 FROM performances JOIN partners USING (partner_id) WHERE partners.kind <> 'cloud_reseller'")
    assert listed == counted
    partner_centre.population(folder, latest("staff-certificate-count"), connection, path)
    people = connection.execute("SELECT sum(len(staff)), sum(list_sum(list_transform(staff, lambda s: len(s.certificates)))) FROM read_parquet(?)", [str(path)])
    assert people.fetchall() == ask(folder, "SELECT (SELECT count(*) FROM staff), (SELECT count(*) FROM certificates)")


def test_the_same_seed_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    again, other = tmp_path / "again", tmp_path / "other"
    partner_centre.generate(7, PARTNERS, duckdb.connect(config={"threads": 1}), again, AS_OF)
    partner_centre.generate(8, PARTNERS, duckdb.connect(), other, AS_OF)
    for path in folder.glob("*.parquet"):
        assert path.read_bytes() == (again / path.name).read_bytes()
        assert path.read_bytes() != (other / path.name).read_bytes()
    files = []
    for i, (source, threads) in enumerate([(folder, 1), (again, 4), (other, 2)]):
        path = tmp_path / f"{i}.parquet"
        partner_centre.population(source, latest("voucher-issue"), duckdb.connect(config={"threads": threads}), path)
        files.append(path.read_bytes())
    assert files[0] == files[1] != files[2]


def test_what_is_not_there_is_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"holds no cases of `voucher-recall`; did you mean `voucher-issue`\?"):
        partner_centre.population(folder, latest("voucher-recall"), duckdb.connect(), tmp_path / "p.parquet")
    with pytest.raises(PolicyError, match=r"is no partner centre: partners\.parquet, .* missing; generate it first"):
        partner_centre.population(tmp_path, latest("voucher-issue"), duckdb.connect(), tmp_path / "p.parquet")
    with pytest.raises(PolicyError, match="has 10 to 1000000 partners, not 9"):
        partner_centre.generate(7, 9, duckdb.connect(), tmp_path, AS_OF)
    assert list(tmp_path.iterdir()) == []


def test_cases_have_the_day_of_their_tables(folder: Path, tmp_path: Path) -> None:
    path, connection = tmp_path / "p.parquet", duckdb.connect()
    partner_centre.population(folder, latest("relation-change"), connection, path)
    assert connection.execute("SELECT DISTINCT as_of FROM read_parquet(?)", [str(path)]).fetchall() == [(AS_OF,)]
    assert partner_centre.about(folder, connection) == {"seed": 7, "partners": PARTNERS, "as_of": AS_OF.isoformat()}
    connection.execute(f"COPY (SELECT 1 AS x) TO '{tmp_path / 'partners.parquet'}'")
    with pytest.raises(PolicyError, match="is no table of a made-up partner centre"):
        partner_centre.about(tmp_path, connection)


# -- on the command line -----------------------------------------------------------------------------------------------------------------


def made(*more: str) -> int:
    return main(["--root", str(LIBRARY.root), "population", *more])


def test_tables_that_are_there_are_used_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert made("--partner-centre", "c", "--partners", "30", "--seed", "3", "--as-of", "2025-06-16") == 0
    assert capsys.readouterr().out == "tables of 30 partners in c\n"
    assert made("relation-change", "--partner-centre", "c", "--out", "a.parquet") == 0
    said = "uses the tables in c: 30 partners, seed 3, 2025-06-16\n"
    assert capsys.readouterr().out.startswith(said)
    assert made("relation-change", "--partner-centre", "c", "--partners", "30", "--seed", "3", "--as-of", "2025-06-16", "--out", "b.parquet") == 0
    assert Path("a.parquet").read_bytes() == Path("b.parquet").read_bytes()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--partner-centre", "c", "--partners", "50"], "--partners 50: the tables that are in `c` have 30"),
        (["--partner-centre", "c", "--seed", "9"], "--seed 9: the tables that are in `c` have 1"),
        (["--partner-centre", "c", "--as-of", "2025-06-17"], "--as-of 2025-06-17: the tables that are in `c` have 2025-06-16"),
        (["--partner-centre", "c", "--rows", "50"], "--rows: how many cases there are follows from the tables"),
        (["--partners", "50"], "--partners goes with --partner-centre"),
    ],
)
def test_other_tables_than_those_that_are_there_are_refused(
    more: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert made("--partner-centre", "c", "--partners", "30", "--as-of", "2025-06-16") == 0
    assert made("relation-change", *more, "--out", "a.parquet") == 2
    assert said in capsys.readouterr().err
    assert not Path("a.parquet").exists()


def test_no_tables_are_made_for_a_policy_without_cases_in_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert made("invoice-request-lifecycle", "--partner-centre", "c") == 1
    assert list(tmp_path.iterdir()) == []
