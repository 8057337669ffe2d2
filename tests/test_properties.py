"""Declared properties and cliffs: held against brute force over small domains, refuted with requests of the engine, and all those shipped are proved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import pytest

from engine import library
from engine.check import load_policy
from engine.clock import instant
from engine.decide import Program
from engine.errors import RuleFileError
from engine.policy import Policy
from engine.source import parse
from engine.version import Version
from proofs.cliffs import cliffs, version_cliffs
from proofs.declared import Declared, declared, properties_file, typed
from proofs.properties import PROVED, REFUTED, UNDECIDED, Statement, proved, statements
from tests.conftest import SHIPPED

TIERS = Path(__file__).parent / "proofs" / "tiers.yaml"
SAYS = "says: {en: so it is, zh: 如此}"
DAY = instant("2025-06-02")


@pytest.fixture(scope="module")
def tiers() -> Policy:
    return load_policy(TIERS)


def stated(policy: Policy, *entries: str, cliff: str = "") -> Declared:
    lines = "".join(f"  - {{name: p{i}, {SAYS}, {e}}}\n" for i, e in enumerate(entries))
    text = f"policy: {policy.id}\nversion: {policy.version}\n" + (f"properties:\n{lines}" if entries else "") + cliff
    return typed(policy, parse(text.encode(), "tiers.properties.yaml"))


def judged(policy: Policy, *entries: str, seconds: float = 5.0) -> list[Statement]:
    return statements(policy, stated(policy, *entries), seconds)


def answers(program: Program) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Every case of a small domain, around all boundaries."""
    amounts = ["0.00", "0.01", "50.00", "99.99", "100.00", "100.01", "299.99", "300.00", "400.00"]
    for sales, staff, certified in product(amounts, range(7), (False, True)):
        facts = {"sales": sales, "staff": staff, "certified": certified, "since": None}
        yield facts, program.check(facts, DAY)


# -- properties ----------------------------------------------------------------------------------------------------------------------------

BOUNDS: list[tuple[str, Callable[[dict[str, Any], dict[str, Decimal]], bool]]] = [
    ("rebate <= 0.3 * sales + 0.005", lambda f, o: o["rebate"] <= Decimal("0.3") * f["sales"] + Decimal("0.005")),
    ("share <= 0.2 * sales + 0.005", lambda f, o: o["share"] <= Decimal("0.2") * f["sales"] + Decimal("0.005")),
    ("rebate <= 0.2 * sales + 0.005", lambda f, o: o["rebate"] <= Decimal("0.2") * f["sales"] + Decimal("0.005")),
    ("capped <= share", lambda f, o: o["capped"] <= o["share"]),
    ("bonus >= 7.5", lambda f, o: o["bonus"] >= Decimal("7.5")),
    ("bonus >= 10", lambda f, o: o["bonus"] >= 10),
]


@pytest.mark.parametrize("i", range(len(BOUNDS)))
def test_bounds_are_what_brute_force_says(tiers: Policy, i: int) -> None:
    text, holds = BOUNDS[i]
    wrong = [
        f for f, a in answers(Program(tiers))
        if not holds({"sales": Decimal(f["sales"]), "staff": f["staff"]}, {n: Decimal(v) for n, v in a["outputs"].items()})
    ]  # fmt: skip
    (found,) = judged(tiers, f'always: "{text}"')
    assert (found.status == REFUTED) == bool(wrong)
    for shown in found.shown:  # the engine's own answer, asked without the property
        answer = Program(tiers).check(shown.witness.facts, shown.witness.as_of)
        assert answer["outcome"] == shown.said.outcome


MONOTONE = [
    ("sales", "never_lowers", "rebate"), ("sales", "never_lowers", "share"), ("sales", "never_raises", "even"), ("staff", "never_lowers", "bonus"),
    ("sales", "never_lowers", "capped"), ("certified", "never", "deny"), ("certified", "never", "allow"), ("sales", "never", "deny"),
    ("staff", "never", "deny"),
]  # fmt: skip


@pytest.mark.parametrize(("more", "key", "value"), MONOTONE)
def test_monotone_properties_are_what_brute_force_says(tiers: Policy, more: str, key: str, value: str) -> None:
    """Two requests that differ in one fact, all pairs of the small domain."""
    known = [({n: Decimal(str(v)) if n == "sales" else v for n, v in f.items()}, a) for f, a in answers(Program(tiers))]
    broken = False
    for (f, a), (g, b) in product(known, known):
        if any(f[n] != g[n] for n in f if n != more) or not g[more] >= f[more]:
            continue
        if key == "never":
            turns = ("allowed", "denied") if value == "deny" else ("denied", "allowed")
            broken |= (a["outcome"], b["outcome"]) == turns
        else:
            low, high = Decimal(a["outputs"][value]), Decimal(b["outputs"][value])
            broken |= high < low if key == "never_lowers" else high > low
    (found,) = judged(tiers, f"more: {more}, {key}: {value}")
    assert found.status == (REFUTED if broken else PROVED)
    if broken:
        first, second = (s.witness.facts for s in found.shown)
        assert [n for n in first if first[n] != second[n]] == [more]


def test_exclusive_properties_take_codes_and_conditions(tiers: Policy) -> None:
    pairs = ("[not-certified, too-few-staff]", '[not-certified, "sales < 100"]', '["staff >= 5", "bonus < 20"]')
    found = judged(tiers, *(f"never_both: {pair}" for pair in pairs))
    assert [s.status for s in found] == [REFUTED, PROVED, PROVED]
    assert found[0].shown[0].said.reasons == ("not-certified", "too-few-staff")


def test_a_guard_narrows_a_property(tiers: Policy) -> None:
    narrowed = ('when: "sales > 0 and sales < 100", always: "rebate >= share"', 'when: "sales >= 300", more: sales, never_lowers: rebate')
    found = judged(tiers, 'always: "rebate > share"', *narrowed)
    assert [s.status for s in found] == [REFUTED, PROVED, PROVED]


def test_time_is_a_fact_too(tiers: Policy) -> None:
    (found,) = judged(tiers, "more: as_of, never: deny")
    assert found.status == PROVED
    (found,) = judged(tiers, "more: since, never: deny")
    assert found.status == PROVED


def test_what_is_not_decided_in_time_is_said(tiers: Policy) -> None:
    (found,) = judged(tiers, "more: sales, never_lowers: rebate", seconds=0.0)
    assert found.status == UNDECIDED
    assert found.reason == "undecided within 0 s"


FAULTS = [
    ("always: rebat <= sales", "unknown name `rebat`", "did you mean `rebate`?"),
    ("always: rebate", "expected a condition, got money in CNY", None),
    ("more: sale, never_lowers: rebate", "unknown fact `sale`", "did you mean `sales`?"),
    ("more: sales, never_lowers: rebat", "unknown output or formula `rebat`", "did you mean `rebate`?"),
    ("more: sales", "`more` needs exactly one of `never_lowers`, `never_raises`, `never`", None),
    ("always: sales > 0, never_both: [a, b]", "a property states exactly one of `always`, `more`, `never_both`", None),
    ("always: sales > 0, never: deny", "`never` needs `more`", None),
]


@pytest.mark.parametrize(("entry", "message", "help"), FAULTS)
def test_faults_name_their_place_and_the_nearest_name(tiers: Policy, entry: str, message: str, help: str | None) -> None:
    with pytest.raises(RuleFileError) as caught:
        stated(tiers, entry)
    (fault,) = caught.value.faults
    assert fault.message.startswith(message.partition(" in CNY")[0])
    assert fault.place.line == 4
    assert help is None or fault.help == help


def test_a_file_belongs_to_its_version(tiers: Policy) -> None:
    with pytest.raises(RuleFileError, match="this stands beside tiers v2"):
        typed(replace(tiers, version=2), parse(b"policy: tiers\nversion: 1\n", "tiers.properties.yaml"))


# -- cliffs --------------------------------------------------------------------------------------------------------------------------------


def test_seeded_cliffs_are_found_with_place_and_size(tiers: Policy) -> None:
    """Those of the scale and of the table; amounts that fall evenly, marginal scales and caps have none."""
    found = cliffs(tiers)
    assert [(c.output, c.fact, c.before, c.after, c.size, c.exact, c.fixed) for c in found.found] == [
        ("rebate", "sales", Decimal("99.99"), Decimal("100"), Decimal("10"), True, True),
        ("bonus", "staff", Decimal("2"), Decimal("3"), Decimal("2.5"), True, True),
    ]
    assert found.undecided == ()
    assert found.found[0].says.en == "Rebate falls by 10.00 CNY (from 20.00 CNY to 10.00 CNY) when sales grows from 99.99 CNY to 100.00 CNY."
    assert found.found[0].says.zh == "销售额从 99.99 元 增加到 100.00 元 时，「rebate」减少 10.00 元（从 20.00 元 变为 10.00 元）。"


def test_cliffs_are_all_that_brute_force_finds(tiers: Policy) -> None:
    program = Program(tiers)

    def rebate(fen: int) -> Decimal:
        facts = {"sales": str(Decimal(fen).scaleb(-2)), "staff": 2, "certified": True, "since": None}
        return Decimal(program.check(facts, DAY)["outputs"]["rebate"])

    drops = [(a, b) for a, b in pairwise(range(0, 40_001)) if rebate(b) < rebate(a)]
    assert [(Decimal(a).scaleb(-2), Decimal(b).scaleb(-2)) for a, b in drops] == [(c.before, c.after) for c in cliffs(tiers).found if c.output == "rebate"]


def test_a_jump_against_the_declared_direction_is_a_cliff(tiers: Policy) -> None:
    found = cliffs(tiers, stated=stated(tiers, "more: staff, never_raises: bonus"))
    (jump,) = [c for c in found.found if c.output == "bonus"]
    assert (jump.before, jump.after, jump.size, jump.rises) == (Decimal(4), Decimal(5), Decimal("12.5"), True)


def test_explained_cliffs_carry_their_reason_and_unused_reasons_are_told(tiers: Policy) -> None:
    meant = "cliffs:\n  - {output: bonus, fact: staff, because: {en: meant, zh: 有意}}\n  - {output: even, fact: sales, because: {en: meant, zh: 有意}}\n"
    found = cliffs(tiers, stated=stated(tiers, cliff=meant))
    assert {c.output: c.because.en if c.because else None for c in found.found} == {"rebate": None, "bonus": "meant"}
    assert [(o, f) for o, f, _ in found.unused] == [("even", "sales")]


def test_witnesses_of_cliffs_are_those_of_the_engine(tiers: Policy) -> None:
    for cliff in cliffs(tiers).found:
        a, b = (Program(tiers).check(s.witness.facts, s.witness.as_of)["outputs"][cliff.output] for s in cliff.shown)
        assert Decimal(a) - Decimal(b) == cliff.size


# -- what is shipped -----------------------------------------------------------------------------------------------------------------------

VERSIONS = list(library.load(SHIPPED).all())
WITH = [v for v in VERSIONS if properties_file(v.path).exists()]


@pytest.mark.parametrize("version", WITH, ids=[v.policy.name for v in WITH])
def test_every_shipped_property_is_proved(version: Version) -> None:
    assert [(s.property.name, s.status, s.reason) for s in proved(version.policy, version.path) if s.status != PROVED] == []


@pytest.mark.parametrize("version", WITH, ids=[v.policy.name for v in WITH])
def test_shipped_cliffs_are_explained(version: Version) -> None:
    found = version_cliffs(version.policy, version.path)
    assert [(c.output, c.fact) for c in found.found if c.because is None] == []
    assert found.unused == ()


def test_enough_is_declared() -> None:
    assert len({v.policy.id for v in WITH}) >= 10
    assert sum(len(declared(v.policy, v.path).properties) for v in WITH) >= 15
