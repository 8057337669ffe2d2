"""The synthetic populations: legal, repeatable, with the boundaries of the rules in them, and distributed as declared."""

from __future__ import annotations

import json
import resource
from collections import Counter
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest

from engine.check import check_text
from engine.decide import Program
from engine.errors import PolicyError, RuleFileError
from engine.library import Library, load
from engine.policy import Policy
from engine.source import parse
from engine.types import ROUNDING, SHANGHAI
from simulations.population.columns import facts_of
from simulations.synthetic import declaration as declarations
from simulations.synthetic import synthetic
from simulations.synthetic.declaration import Declaration
from simulations.synthetic.draws import FULL, draw

ROOT = Path(__file__).parent.parent / "policies"
AS_OF = date(2026, 3, 16)
NOON = datetime(2026, 3, 16, 12, tzinfo=SHANGHAI)
LIBRARY = load(ROOT)
DECLARED = sorted(p.parent.name for p in ROOT.glob("*/*/population.yaml"))

RULES = """
policy: sample
version: 1
family: funds
form: check
title: {en: Sample, zh: 样例}
question: {en: May it?, zh: 可以吗？}
effective: {from: 2025-01-01}
source: {document: guide, section: "1"}
parameters:
  limit:    {type: money, value: "100.00"}
  cooldown: {type: integer, value: 3}
  seats:    {type: integer, value: 4}
  rate:     {type: ratio, value: "0.125"}
facts:
  amount:     {type: money, unit: CNY}
  other:      {type: money, unit: CNY, nullable: true}
  share:      {type: ratio}
  kind:       {type: enum, values: [a, b, c]}
  ready:      {type: bool}
  last_on:    {type: date, nullable: true}
  since:      {type: datetime}
  name:       {type: text, nullable: true}
  flags:      {type: set of enum, values: [x, y, z]}
  ids:        {type: list of text}
  count:      {type: integer}
  items:
    type: list of record
    fields:
      id:    {type: text}
      price: {type: money, unit: CNY}
      kept:  {type: bool}
      until: {type: date, nullable: true}
requirements:
  - code: small
    require: amount <= parameters.limit
    effect: deny
    reason: {en: Not this., zh: 不行。}
    remedy: {en: Mend it., zh: 请修正。}
    source: {section: "1"}
  - code: low
    require: share < parameters.rate
    effect: deny
    reason: {en: Not this., zh: 不行。}
    remedy: {en: Mend it., zh: 请修正。}
    source: {section: "1"}
  - code: ready
    require: ready
    effect: deny
    reason: {en: Not this., zh: 不行。}
    remedy: {en: Mend it., zh: 请修正。}
    source: {section: "1"}
  - code: seats
    require: count(items) <= parameters.seats
    effect: deny
    reason: {en: Not this., zh: 不行。}
    remedy: {en: Mend it., zh: 请修正。}
    source: {section: "1"}
  - code: price
    require: not any(i.price > 50 for i in items)
    effect: deny
    reason: {en: Not this., zh: 不行。}
    remedy: {en: Mend it., zh: 请修正。}
    source: {section: "1"}
  - code: cooldown
    when: last_on is not null
    require: date(as_of) >= add_months(last_on, parameters.cooldown)
    effect: deny
    reason: {en: Not this., zh: 不行。}
    remedy: {en: Mend it., zh: 请修正。}
    source: {section: "1"}
"""


def generated(tmp_path: Path, policy: Policy, declaration: Declaration | None, rows: int = 0, seed: int = 7) -> list[dict[str, Any]]:
    """The rows of a population; at least as many as it must have."""
    path, connection = tmp_path / "population.parquet", duckdb.connect()
    synthetic.generate(policy, max(rows, synthetic.least(policy, declaration, AS_OF)), seed, connection, path, declaration, AS_OF)
    found = connection.execute("SELECT * FROM read_parquet(?)", [str(path)])
    names = [column[0] for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def declared(text: str, policy: Policy | None = None) -> Declaration:
    source = parse(text.encode(), "population.yaml")
    found, _ = declarations.load_text(text)
    synthetic.check(found, policy or check_text(RULES), source)
    return found


def drawn(tmp_path: Path, text: str, rows: int = 6_000) -> list[dict[str, Any]]:
    """The drawn rows of a declaration of the sample, without its boundary rows."""
    return [r for r in generated(tmp_path, check_text(RULES), declared("policy: sample\n" + text), rows) if r["case_id"].startswith("case-")]


def near(part: int, whole: int, share: str) -> bool:
    """A drawn share lies within two hundredths of the declared one."""
    return abs(Fraction(part, whole) - Fraction(share)) < Fraction(1, 50)


def latest(policy: str) -> Policy:
    return LIBRARY.version(policy, max(LIBRARY.versions[policy])).policy


# -- every shipped policy --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LIBRARY.policies())
def test_every_row_is_a_legal_request_whether_declared_or_not(name: str, tmp_path: Path) -> None:
    policy = latest(name)
    program = Program(policy)
    for declaration in {name: None, "file": shipped(name)}.values():
        least = synthetic.least(policy, declaration, AS_OF)
        rows = generated(tmp_path, policy, declaration, least + 40)
        assert len(rows) == least + 40
        assert len({r["case_id"] for r in rows}) == len(rows)
        for row in rows:
            program.reader.slots(facts_of(row, policy))


def shipped(name: str) -> Declaration | None:
    path = declarations.beside(LIBRARY.version(name, max(LIBRARY.versions[name])).path)
    return synthetic.declared(latest(name), path) if path else None


@pytest.mark.parametrize("name", DECLARED)
def test_a_declared_population_is_mixed(name: str, tmp_path: Path) -> None:
    policy, declaration = latest(name), shipped(name)
    program = Program(policy)
    rows = [r for r in generated(tmp_path, policy, declaration, 700) if r["case_id"].startswith("case-")]
    answers = [program.check(facts_of(r, policy), NOON) for r in rows]
    outcomes = Counter(a["outcome"] for a in answers)
    open_answers = sum(a["outcome"] == "undetermined" or bool(a["missing"]) for a in answers)
    assert outcomes["allowed"] > len(rows) // 4
    assert 0 < open_answers < len(rows) // 8
    if "deny" in {r.effect for r in policy.requirements}:
        assert len(rows) // 500 < outcomes["denied"] < len(rows) // 2
    else:
        assert len({json.dumps(a["outputs"], default=str) for a in answers}) > 5


def test_at_least_ten_policies_are_declared() -> None:
    assert len(DECLARED) >= 10


@pytest.mark.parametrize("name", LIBRARY.policies())
def test_no_column_is_a_float(name: str, tmp_path: Path) -> None:
    policy, connection = latest(name), duckdb.connect()
    path = tmp_path / "p.parquet"
    synthetic.generate(policy, synthetic.least(policy, None, AS_OF), 1, connection, path, None, AS_OF)
    types = [row[1] for row in connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)]).fetchall()]
    assert not [t for t in types if "DOUBLE" in t or "FLOAT" in t or "HUGEINT" in t]


# -- the same bytes --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "count"), [("voucher-issue", 2_000), ("renewal-task-scope", 250_000)])
def test_the_same_seed_gives_the_same_bytes_on_any_number_of_threads(name: str, count: int, tmp_path: Path) -> None:
    policy, declaration, files = latest(name), shipped(name), []
    for i, (seed, threads, ordered) in enumerate([(7, 1, True), (7, 4, True), (7, 2, False), (8, 2, True)]):
        connection = duckdb.connect(config={"threads": threads, "preserve_insertion_order": ordered})
        path = tmp_path / f"{i}.parquet"
        synthetic.generate(policy, count, seed, connection, path, declaration, AS_OF)
        files.append(path.read_bytes())
        assert connection.execute("SELECT current_setting('preserve_insertion_order')").fetchall() == [(ordered,)]
        assert connection.execute("SELECT count(*) FROM duckdb_tables()").fetchall() == [(0,)]
    assert files[0] == files[1] == files[2] != files[3]


def test_the_file_says_what_it_was_made_from(tmp_path: Path) -> None:
    policy, path, connection = check_text(RULES), tmp_path / "p.parquet", duckdb.connect()
    synthetic.generate(policy, 500, 7, connection, path, None, AS_OF)
    found = connection.execute("SELECT value FROM parquet_kv_metadata(?) WHERE key = 'population'", [str(path)]).fetchall()
    about = json.loads(found[0][0])
    assert about["boundary_rows"] == synthetic.least(policy, None, AS_OF) + 3 * 2  # the values of kind and ready, combined
    assert (about["policy"], about["digest"], about["seed"], about["rows"], about["as_of"]) == ("sample", policy.digest, 7, 500, "2026-03-16")


def test_a_longer_population_begins_with_the_same_drawn_rows(tmp_path: Path) -> None:
    policy = check_text(RULES)
    short, long = generated(tmp_path, policy, None, 2_000), generated(tmp_path, policy, None, 4_000)
    by_id = {r["case_id"]: r for r in long}
    kept = [r for r in short if r["case_id"] in by_id]
    assert len(kept) > 1_000
    assert all(by_id[r["case_id"]] == r for r in kept)


# -- boundaries ------------------------------------------------------------------------------------------------------------------------


def test_the_boundaries_of_the_rules_come_first(tmp_path: Path) -> None:
    rows = generated(tmp_path, check_text(RULES), None, 1_000)
    first = [r for r in rows if r["case_id"].startswith("boundary-")]
    assert rows[: len(first)] == first
    assert {Decimal("99.99"), Decimal("100.00"), Decimal("100.01"), Decimal("0.00")} <= {r["amount"] for r in first}
    assert {Decimal("0.1249"), Decimal("0.1250"), Decimal("0.1251")} <= {r["share"] for r in first}
    assert {date(2025, 12, 15), date(2025, 12, 16), date(2025, 12, 17), AS_OF, None} <= {r["last_on"] for r in first}
    assert {3, 4, 5, 0} <= {len(r["items"]) for r in first if r["items"] is not None}
    assert {Decimal("49.99"), Decimal("50.00"), Decimal("50.01")} <= {r["items"][0]["price"] for r in first if r["items"]}
    assert {"a", "b", "c"} <= {r["kind"] for r in first}
    assert {(), ("x",), ("x", "y", "z")} <= {tuple(r["flags"]) for r in first if r["flags"] is not None}


def test_without_a_declaration_every_fact_and_field_is_unknown_once(tmp_path: Path) -> None:
    rows = [r for r in generated(tmp_path, check_text(RULES), None) if r["case_id"].startswith("boundary-")]
    for name in ("amount", "share", "kind", "ready", "since", "flags", "ids", "count", "items"):
        assert any(r[name] is None for r in rows), name
    for name in ("other", "last_on", "name"):
        assert any(r[f"unknown:{name}"] for r in rows), name
        assert any(r[name] is None and not r[f"unknown:{name}"] for r in rows), name
    items = [r["items"][0] for r in rows if r["items"]]
    assert any(i["price"] is None for i in items)
    assert any(i["unknown:until"] for i in items)
    assert all(i["unknown:until"] in (True, False) for i in items)


def test_with_a_declaration_only_what_it_says_is_unknown(tmp_path: Path) -> None:
    text = 'facts: {amount: {constant: "1.00", unknown: "0.1"}, other: {constant: "1.00", none: "0.2", unknown: "0.3"}}'
    rows = drawn(tmp_path, text)
    assert near(sum(r["amount"] is None for r in rows), len(rows), "0.1")
    assert near(sum(r["unknown:other"] for r in rows), len(rows), "0.3")
    assert near(sum(r["other"] is None and not r["unknown:other"] for r in rows), len(rows), "0.2")
    assert not any(name.startswith("unknown:") and name != "unknown:other" for name in rows[0])
    assert all(r["kind"] is not None and r["items"] is not None for r in rows)


def test_two_facts_are_combined_at_the_boundary(tmp_path: Path) -> None:
    rows = [r for r in generated(tmp_path, check_text(RULES), declared("policy: sample"), 1_000) if r["case_id"].startswith("boundary-")]
    assert {(k, b) for k in "abc" for b in (True, False)} <= {(r["kind"], r["ready"]) for r in rows}


def test_a_population_that_cannot_hold_the_boundaries_is_refused(tmp_path: Path) -> None:
    policy = check_text(RULES)
    least = synthetic.least(policy, None, AS_OF)
    with pytest.raises(PolicyError, match=f"cannot hold the {least} boundary values of `sample`; ask for at least {least}"):
        synthetic.generate(policy, least - 1, 7, duckdb.connect(), tmp_path / "p.parquet", None, AS_OF)
    assert list(tmp_path.iterdir()) == []


# -- distributions ---------------------------------------------------------------------------------------------------------------------


def test_weights_hold(tmp_path: Path) -> None:
    text = """
facts:
  kind: {choice: {a: 70, b: 25, c: 5}}
  ready: {choice: {true: 3, false: 1}}
  name: {zipf: [p, q, r]}
  count: {choice: {2: 1, 9: 4}}
"""
    rows = drawn(tmp_path, text)
    kinds, names = Counter(r["kind"] for r in rows), Counter(r["name"] for r in rows)
    assert near(kinds["a"], len(rows), "0.70")
    assert near(kinds["b"], len(rows), "0.25")
    assert near(kinds["c"], len(rows), "0.05")
    assert near(sum(r["ready"] for r in rows), len(rows), "0.75")
    assert near(names["p"], len(rows), "0.545")
    assert near(names["q"], len(rows), "0.273")
    assert near(sum(r["count"] == 9 for r in rows), len(rows), "0.8")


def test_numbers_lie_as_declared(tmp_path: Path) -> None:
    text = """
facts:
  amount: {quantiles: {"0": "10.00", "0.5": "20.00", "0.9": "100.00", "1": "500.00"}}
  other:  {lognormal: {median: "400.00", spread: "3"}}
  share:  {normal: {mean: "0.5", deviation: "0.1"}}
  count:  {uniform: {low: 10, high: 40, step: 10}}
"""
    rows = drawn(tmp_path, text)
    amounts, others, shares = (sorted(r[n] for r in rows) for n in ("amount", "other", "share"))
    assert amounts[0] >= Decimal("10.00")
    assert amounts[-1] < Decimal("500.00")
    assert near(sum(a < 20 for a in amounts), len(rows), "0.5")
    assert near(sum(a < 60 for a in amounts), len(rows), "0.7")
    assert near(sum(a < 400 for a in others), len(rows), "0.5")
    assert near(sum(Decimal("133.33") < a < 1200 for a in others), len(rows), "0.683")
    assert near(sum(Decimal("0.4") < s < Decimal("0.6") for s in shares), len(rows), "0.683")
    assert Counter(r["count"] for r in rows).keys() == {10, 20, 30, 40}
    assert near(sum(r["count"] == 40 for r in rows), len(rows), "0.25")
    assert min(shares) >= 0


def test_dates_lie_around_the_day_of_the_question(tmp_path: Path) -> None:
    text = """
facts:
  last_on: {days: {uniform: {low: -10, high: -1}}, none: "0.25"}
  since:   {days: {uniform: {low: 1, high: 5}}, after: last_on, at: "09:30:00"}
  items:
    length: {constant: 1}
    fields: {until: {days: {constant: 7}, after: since}}
"""
    with pytest.raises(RuleFileError, match=r"that is datetime, this is date"):
        declared("policy: sample\n" + text)
    rows = drawn(tmp_path, text.replace("after: since", "after: last_on"))
    days = {r["last_on"] for r in rows} - {None}
    assert (min(days), max(days)) == (AS_OF - timedelta(days=10), AS_OF - timedelta(days=1))
    assert near(sum(r["last_on"] is None for r in rows), len(rows), "0.25")
    for r in rows:
        base = r["last_on"] or AS_OF
        assert timedelta(days=1) <= r["since"].date() - base <= timedelta(days=5)
        assert r["since"].time().isoformat() == "09:30:00"
        assert r["items"][0]["until"] == base + timedelta(days=7)


def test_conditions_and_mixes(tmp_path: Path) -> None:
    text = """
facts:
  kind: {choice: {a: 1, b: 1, c: 1}}
  ready:
    constant: true
    when:
      - {if: {kind: [a, b]}, choice: {true: 1, false: 4}}
  amount:
    mix: [{weight: 9, constant: "0.00"}, {weight: 1, uniform: {low: "5.00", high: "6.00"}}]
    when: [{if: {kind: c, ready: true}, constant: "7.77"}]
  other: {share: {constant: "0.125"}, of: amount}
  name: {same: kind}
"""
    rows = drawn(tmp_path, text)
    free = [r for r in rows if r["kind"] != "c"]
    assert all(r["ready"] and r["amount"] == Decimal("7.77") for r in rows if r["kind"] == "c")
    assert near(sum(r["ready"] for r in free), len(free), "0.2")
    assert near(sum(r["amount"] == 0 for r in free), len(free), "0.9")
    assert all(r["name"] == r["kind"] for r in rows)
    assert all(r["other"] == (r["amount"] * Decimal("0.125")).quantize(Decimal("0.01"), "ROUND_HALF_UP", ROUNDING) for r in rows)


def test_lists_and_sets(tmp_path: Path) -> None:
    text = """
facts:
  kind: {choice: {a: 1, b: 1}}
  flags: {set: {z: "0.5", x: "0.1"}}
  ids: {taken: items.id, length: {choice: {0: 1, 2: 1}}}
  items:
    length: {choice: {1: 1, 3: 1}}
    fields:
      id: {id: {prefix: I}}
      kept: {choice: {true: 1}, when: [{if: {kind: b}, constant: false}]}
      price: {constant: "1.00", when: [{if: {kept: false}, constant: "2.00"}]}
"""
    rows = drawn(tmp_path, text)
    assert {tuple(r["flags"]) for r in rows} == {(), ("x",), ("z",), ("x", "z")}
    assert near(sum("x" in r["flags"] for r in rows), len(rows), "0.1")
    assert near(sum("z" in r["flags"] for r in rows), len(rows), "0.5")
    assert near(sum(len(r["items"]) == 3 for r in rows), len(rows), "0.5")
    ids = [i["id"] for r in rows for i in r["items"]]
    assert len(set(ids)) == len(ids)
    for r in rows:
        assert r["ids"] in ([], [i["id"] for i in r["items"]][:2])
        assert {(i["kept"], i["price"]) for i in r["items"]} == {(r["kind"] == "a", Decimal("1.00" if r["kind"] == "a" else "2.00"))}


def test_a_partner_keeps_what_is_its_own(tmp_path: Path) -> None:
    text = """
partner: {cases: 20}
segments: {region: {choice: {north: 1, south: 1}, per: partner}}
facts:
  kind: {choice: {a: 1, b: 1, c: 1}, per: partner}
  name: {same: partner}
  amount: {constant: "1.00", when: [{if: {segments.region: south}, constant: "2.00"}]}
"""
    rows = drawn(tmp_path, text)
    partners: dict[str, set[tuple[str, str]]] = {}
    for r in rows:
        partners.setdefault(r["partner"], set()).add((r["kind"], r["segment:region"]))
        assert r["amount"] == Decimal("1.00" if r["segment:region"] == "north" else "2.00")
    assert all(len(found) == 1 for found in partners.values())
    assert 15 < len(rows) / len(partners) < 30
    sizes = Counter(r["partner"] for r in rows).most_common()
    assert sizes[0][1] > 5 * sizes[-1][1]
    assert sum(r["name"] == r["partner"] for r in rows) == len(rows)


@pytest.mark.parametrize(("rank", "low", "high"), [("0.7", 0.65, 0.75), ("-0.4", -0.45, -0.35), ("0", -0.05, 0.05)])
def test_correlated_facts_rise_together_and_keep_their_own_distributions(rank: str, low: float, high: float, tmp_path: Path) -> None:
    text = f"""
facts:
  amount: {{lognormal: {{median: "100.00", spread: "3"}}}}
  count: {{uniform: {{low: 0, high: 999}}}}
correlations: [{{between: [amount, count], rank: "{rank}"}}]
"""
    rows = drawn(tmp_path, text)
    connection = duckdb.connect()
    ranked = "SELECT rank() OVER (ORDER BY amount) AS x, rank() OVER (ORDER BY count) AS y FROM read_parquet(?) WHERE case_id LIKE 'case-%'"
    found = connection.execute(f"SELECT corr(x, y) FROM ({ranked})", [str(tmp_path / "population.parquet")]).fetchall()[0][0]
    assert low < found < high
    assert near(sum(r["amount"] < 100 for r in rows), len(rows), "0.5")
    assert near(sum(r["count"] < 300 for r in rows), len(rows), "0.3")


def test_facts_of_no_declaration_are_independent(tmp_path: Path) -> None:
    rows = drawn(tmp_path, "facts: {ready: {choice: {true: 1, false: 1}}, kind: {choice: {a: 1, b: 1}}}", 8_000)
    counts = Counter((r["ready"], r["kind"]) for r in rows)
    assert all(near(n, len(rows), "0.25") for n in counts.values())
    following = Counter((a["ready"], b["ready"]) for a, b in pairwise(rows))
    assert all(near(n, len(rows), "0.25") for n in following.values())


@pytest.mark.parametrize("bit", [0, 1, 4, 8])
def test_rows_whose_numbers_are_alike_draw_as_differently_as_any(bit: int) -> None:
    """Of many labels, so many pairs of rows that differ in one bit draw within a 1024th of each other as would by chance."""
    pairs, labels = 65_536, 30
    source = f"SELECT range::UBIGINT AS i FROM range({2 * pairs}) WHERE range & {1 << bit} = 0"
    each = []
    for n in range(labels):
        one, other = (draw(7, f"label {n}", row) for row in ("i", f"xor(i, {1 << bit}::UBIGINT)"))
        each.append(f"SELECT count(*) FILTER (abs(({one})::BIGINT - ({other})::BIGINT) < {FULL >> 10}) FROM ({source})")
    counts = [row[0] for row in duckdb.connect().execute(" UNION ALL ".join(each)).fetchall()]
    expected = pairs // 512  # its standard deviation is the root, about 11
    assert all(abs(n - expected) < 5 * 12 for n in counts), counts
    assert sum((n - expected) ** 2 for n in counts) < 2 * labels * expected, counts


# -- misfits ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("policy: simple", 1, "this file is about `simple`, the policy is `sample`"),
        ("policy: sample\nfacts: {amont: {constant: 1}}", 2, "unknown fact `amont`\n  help: did you mean `amount`?"),
        ("policy: sample\nfacts: {amount: {constnt: 1}}", 2, "unknown key `constnt`\n  help: did you mean `constant`?"),
        ("policy: sample\nfacts:\n  kind: {choice: {a: 1, d: 2}}", 3, "`d` is not among the values a, b, c"),
        ("policy: sample\nfacts:\n  amount: {constant: \"1.005\"}", 3, "`1.005` has 3 decimals, money has 2"),
        ("policy: sample\nfacts:\n  amount: {uniform: {low: 9, high: 1}}", 3, "`1` is below `9`"),
        ("policy: sample\nfacts:\n  amount: {quantiles: {\"0\": 1, \"0.5\": 9}}", 3, "quantiles rise from share 0 to share 1, their values too"),
        ("policy: sample\nfacts:\n  amount: {constant: 1, none: \"0.5\"}", 3, "this may not be none"),
        ("policy: sample\nfacts:\n  other: {constant: 1, none: \"1.5\"}", 3, "`none: 1.5` is no share"),
        ("policy: sample\nfacts:\n  amount: {constant: 1, choice: {1: 1}}", 3, "only one of `constant`, `choice` can stand here"),
        ("policy: sample\nfacts:\n  amount: {unknown: \"0.5\"}", 3, "no distribution stands here"),
        ("policy: sample\nfacts:\n  amount: {days: {constant: 1}}", 3, "days make a date, this is money"),
        ("policy: sample\nfacts:\n  amount: {constant: 1, when: [{if: {knd: a}, constant: 2}]}", 3, "unknown fact `knd`\n  help: did you mean `kind`?"),
        ("policy: sample\nfacts:\n  amount: {constant: 1, when: [{if: {kind: d}, constant: 2}]}", 3, "`d` is not among the values a, b, c"),
        ("policy: sample\nfacts:\n  amount: {constant: 1, when: [{if: {share: 1}, constant: 2}]}", 3, "`share` is ratio"),
        ("policy: sample\nfacts:\n  amount: {constant: 1, per: partner}", 3, "`per: partner` needs a partner"),
        ("policy: sample\nfacts:\n  amount: {same: other}\n  other: {same: amount}", 3, "`amount` hangs on itself, by way of `other`"),
        ("policy: sample\nfacts:\n  items:\n    length: {constant: 1}\n    fields: {prize: {constant: 1}}", 5,
         "unknown field `prize`\n  help: did you mean `price`?"),
        ("policy: sample\nfacts:\n  items:\n    fields: {price: {constant: 1}}", 4, "`length` is missing"),
        ("policy: sample\nfacts:\n  since: {days: {constant: 1}, at: 9h}", 3, "`9h` is no time of the day"),
        ("policy: sample\nfacts:\n  ids: {taken: items.idd, length: {constant: 1}}", 3, "`items.idd` is no field of a list of record"),
        ("policy: sample\ncorrelations:\n  - {between: [amount, kind], rank: \"0.5\"}", 3,
         "`kind` is enum of a, b, c\n  help: only numbers and dates are correlated"),
        ("policy: sample\ncorrelations:\n  - {between: [amount, count], rank: \"2\"}", 3, "`2` is no rank correlation"),
        ("policy: sample\ncorrelations:\n  - {between: [amount, count], rank: 1}\n  - {between: [count, amount], rank: 1}", 4,
         "`amount` already stands in a correlation"),
        ("policy: sample\nfacts:\n  amount: {constant: \"99999999999999999\"}", 3, "`99999999999999999` is too large for a synthetic population"),
    ],
)  # fmt: skip
def test_a_declaration_that_does_not_fit_is_refused_with_its_place(text: str, line: int, message: str) -> None:
    with pytest.raises(RuleFileError) as error:
        declared(text)
    assert any(str(f).split(": ", 1)[1].startswith(message) and f.place.line == line for f in error.value.faults), str(error.value)


def test_all_misfits_are_told_at_once() -> None:
    with pytest.raises(RuleFileError) as error:
        declared('policy: sample\nfacts:\n  amount: {constant: "1.005"}\n  kind: {constant: d}\n  nothing: {constant: 1}')
    assert [f.place.line for f in error.value.faults] == [3, 4, 5]


def test_a_value_that_grows_too_large_leaves_no_file(tmp_path: Path) -> None:
    declaration = declared('policy: sample\nfacts: {amount: {constant: "9000000000000.00"}, other: {share: {constant: 9000}, of: amount}}')
    with pytest.raises(PolicyError, match="more digits than its column holds"):
        generated(tmp_path, check_text(RULES), declaration, 500)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="cannot be written"):
        synthetic.generate(check_text(RULES), 500, 7, duckdb.connect(), tmp_path / "none" / "p.parquet", None, AS_OF)


def test_the_library_ignores_declarations() -> None:
    assert isinstance(LIBRARY, Library)
    assert not LIBRARY.faults


def test_a_file_that_may_not_grow_is_told_plainly(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(PolicyError) as error:
            synthetic.generate(check_text(RULES), 20_000, 7, duckdb.connect(), tmp_path / "p.parquet", None, AS_OF)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    said = "the disk is full, or the file may not grow any more; free some space, or give another folder; nothing half-written was left"
    assert str(error.value) == said
    assert list(tmp_path.iterdir()) == []


def test_a_file_for_later_has_the_instant_in_every_row(tmp_path: Path) -> None:
    policy, connection, path = check_text(RULES), duckdb.connect(), tmp_path / "p.parquet"
    synthetic.generate(policy, 500, 7, connection, path, None, AS_OF)
    plain = connection.execute(f"SELECT * FROM '{path}'").fetchall()
    synthetic.generate(policy, 500, 7, connection, path, None, AS_OF, dated=True)
    assert connection.execute(f"SELECT DISTINCT as_of FROM '{path}'").fetchall() == [(AS_OF,)]
    assert connection.execute(f"SELECT * EXCLUDE (as_of) FROM '{path}'").fetchall() == plain
