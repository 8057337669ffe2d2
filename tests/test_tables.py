"""Decision tables: cells, hit policies, errors with row numbers; the index answers as reading every row does."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.check import check_text
from engine.clock import instant
from engine.decide import Program
from engine.errors import EvaluationError, Place
from engine.literals import LiteralFault, cell
from engine.policy import Cell, ScaleDef, TableDef, TableRow
from engine.tables import TableIndex, resolve, scale_amount
from engine.types import BOOL, COUNT, DATE, RATIO, EnumType, Field, ListType, RecordType, decimal, money

COLOUR = EnumType(("red", "green", "blue"))
WITH_NONE = EnumType(("red", "none"))


def accepted(raw: Any, kind: Any, values: list[Any]) -> list[Any]:
    found = cell(raw, kind)
    return [v for v in values if found.accepts(v)]


NUMBERS = [None, Decimal("-1"), Decimal("0"), Decimal("0.01"), Decimal("9.99"), Decimal("10"), Decimal("10.01"), Decimal("20"), Decimal("20.01")]


@pytest.mark.parametrize(
    ("raw", "texts"),
    [
        ("[0..10]", ["0", "0.01", "9.99", "10"]),
        ("[0..10)", ["0", "0.01", "9.99"]),
        ("(0..10]", ["0.01", "9.99", "10"]),
        ("(0..10)", ["0.01", "9.99"]),
        ("[ 0.00 .. 10.00 )", ["0", "0.01", "9.99"]),
        ("[10..10]", ["10"]),
        (">= 10", ["10", "10.01", "20", "20.01"]),
        ("> 10", ["10.01", "20", "20.01"]),
        ("<= 0.01", ["-1", "0", "0.01"]),
        ("< 0.01", ["-1", "0"]),
        (">=20.01", ["20.01"]),
        ("10", ["10"]),
        ("10.00", ["10"]),
        (10, ["10"]),
        (["0", 20], ["0", "20"]),
        ("[-1..0]", ["-1", "0"]),
    ],
)
def test_cells_of_numbers(raw: Any, texts: list[str]) -> None:
    assert accepted(raw, money(signed=True), NUMBERS) == [Decimal(t) for t in texts]


def test_any_and_none() -> None:
    assert accepted("any", money(), NUMBERS) == NUMBERS
    assert accepted("none", money(), NUMBERS) == [None]
    assert accepted(None, money(), NUMBERS) == [None]
    assert accepted(["10", None], money(), NUMBERS) == [None, Decimal("10")]
    assert accepted(">= 0", money(), [None]) == []


def test_a_value_called_none_is_that_value() -> None:
    assert accepted("none", WITH_NONE, [None, "red", "none"]) == ["none"]
    assert accepted(None, WITH_NONE, [None, "red", "none"]) == [None]
    assert accepted("none", COLOUR, [None, "red"]) == [None]
    assert accepted(["red", "none"], WITH_NONE, [None, "red", "none"]) == ["red", "none"]


def test_cells_of_other_types() -> None:
    assert accepted("red", COLOUR, ["red", "green"]) == ["red"]
    assert accepted(["red", "blue"], COLOUR, ["red", "green", "blue"]) == ["red", "blue"]
    assert accepted(True, BOOL, [None, True, False]) == [True]
    assert accepted("[2025-01-01..2025-02-01)", DATE, [date(2024, 12, 31), date(2025, 1, 1), date(2025, 1, 31), date(2025, 2, 1)]) == [
        date(2025, 1, 1),
        date(2025, 1, 31),
    ]
    assert accepted("2025-01-01", DATE, [date(2025, 1, 1), date(2025, 1, 2)]) == [date(2025, 1, 1)]
    assert accepted(3, COUNT, [2, 3]) == [3]


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        ("[5..1]", COUNT),
        ("[5..5)", COUNT),
        ("(5..5]", COUNT),
        ("(5..5)", COUNT),
        ("[1..2", COUNT),
        ("1..2", COUNT),
        (">= ", COUNT),
        ("=> 5", COUNT),
        ("pink", COLOUR),
        (["pink"], COLOUR),
        ("yes", BOOL),
        ("[a..b]", COUNT),
        ("0.001", money()),
        ("-1", money()),
        ("1e3", COUNT),
        ("2025-02-30", DATE),
        ([], COLOUR),
    ],
)
def test_cells_that_no_value_fits_are_refused(raw: Any, kind: Any) -> None:
    with pytest.raises(LiteralFault):
        cell(raw, kind)


# -- hit policies --------------------------------------------------------------------------------------------------------------------------


def table(hit: str, rows: list[tuple[Any, ...]], default: tuple[Any, ...] | None = None, priority: tuple[str, tuple[str, ...]] | None = None) -> TableIndex:
    """A table of a colour and a number, with two outputs: a level and a count."""
    inputs = (("colour", COLOUR), ("amount", money()))
    outputs = (("level", EnumType(("low", "high"))), ("points", COUNT))
    made = tuple(TableRow(i + 1, (cell(c, COLOUR), cell(a, money())), (level, points)) for i, (c, a, level, points) in enumerate(rows))
    record = RecordType(tuple(Field(n, k) for n, k in outputs))
    result: Any = COUNT if hit == "count" else ListType(record) if hit == "collect" else record
    return TableIndex(TableDef("t", hit, inputs, outputs, made, default, priority, result, Place("x.yaml", 7, 5)))


OVERLAPPING = [("red", "any", "low", 1), ("any", "[0..10]", "high", 2), (["red", "blue"], ">= 5", "low", 4)]


@pytest.mark.parametrize(
    ("hit", "values", "result"),
    [
        ("unique", ("green", Decimal(3)), ("high", 2)),
        ("first", ("red", Decimal(7)), ("low", 1)),
        ("first", ("blue", Decimal(7)), ("high", 2)),
        ("first", ("blue", Decimal(70)), ("low", 4)),
        ("collect", ("red", Decimal(7)), (("low", 1), ("high", 2), ("low", 4))),
        ("collect", ("green", Decimal(70)), ()),
        ("count", ("red", Decimal(7)), 3),
        ("count", ("green", Decimal(70)), 0),
    ],
)
def test_hit_policies(hit: str, values: tuple[Any, ...], result: Any) -> None:
    assert table(hit, OVERLAPPING).look_up(values) == result


@pytest.mark.parametrize(("order", "result"), [(("low", "high"), ("low", 1)), (("high", "low"), ("high", 2))])
def test_priority_takes_the_best_value_and_of_equals_the_first_row(order: tuple[str, ...], result: Any) -> None:
    assert table("priority", OVERLAPPING, priority=("level", order)).look_up(("red", Decimal(7))) == result


def test_any_takes_rows_that_agree_and_refuses_those_that_do_not() -> None:
    agreeing = [("red", "any", "low", 1), ("any", ">= 5", "low", 1), ("any", "[50..60]", "high", 1)]
    assert table("any", agreeing).look_up(("red", Decimal(7))) == ("low", 1)
    with pytest.raises(EvaluationError, match="rows 1 and 2 and 3 match under `hit: any`") as caught:
        table("any", agreeing).look_up(("red", Decimal(55)))
    assert caught.value.kind == "rows-disagree"
    assert caught.value.place == Place("x.yaml", 7, 5)


def number_table(hit: str, rows: list[tuple[Any, ...]], default: Any = None) -> TableIndex:
    outputs = (("points", COUNT), ("fee", money()))
    made = tuple(TableRow(i + 1, (cell(c, COLOUR),), (points, fee)) for i, (c, points, fee) in enumerate(rows))
    record = RecordType(tuple(Field(n, k, True) for n, k in outputs))
    return TableIndex(TableDef("t", hit, (("colour", COLOUR),), outputs, made, default, None, record, Place("x.yaml", 1, 1)))


ADDED = [("red", 1, Decimal("0.10")), ("any", 2, Decimal("0.20")), (["red", "blue"], 4, None)]


@pytest.mark.parametrize(
    ("hit", "colour", "result"),
    [
        ("sum", "red", (7, Decimal("0.30"))),
        ("sum", "green", (2, Decimal("0.20"))),
        ("min", "red", (1, Decimal("0.10"))),
        ("max", "red", (4, Decimal("0.20"))),
        ("max", "blue", (4, Decimal("0.20"))),
    ],
)
def test_sum_min_and_max(hit: str, colour: str, result: Any) -> None:
    assert number_table(hit, ADDED).look_up((colour,)) == result


def test_no_row_sums_up_to_nothing() -> None:
    assert number_table("sum", ADDED[:1]).look_up(("green",)) == (0, Decimal(0))


@pytest.mark.parametrize("hit", ["min", "max"])
def test_the_least_of_nulls_is_null(hit: str) -> None:
    assert number_table(hit, [("red", 1, None)]).look_up(("red",)) == (1, None)


def test_two_rows_of_a_unique_table_are_an_error_with_their_numbers() -> None:
    with pytest.raises(EvaluationError, match="table `t`: rows 1 and 3 match under `hit: unique`") as caught:
        table("unique", OVERLAPPING).look_up(("red", Decimal(70)))
    assert caught.value.kind == "several-rows-matched"


@pytest.mark.parametrize("hit", ["unique", "first", "any", "min", "max", "priority"])
def test_no_row_is_an_error_that_names_the_values(hit: str) -> None:
    made = (
        number_table(hit, ADDED[:1])
        if hit in ("min", "max")
        else table(hit, OVERLAPPING[:1], priority=("level", ("low", "high")) if hit == "priority" else None)
    )
    with pytest.raises(EvaluationError, match="table `t`: no row matches colour=green") as caught:
        made.look_up(("green", Decimal("70.50"))[: len(made.table.inputs)])
    assert caught.value.kind == "no-row-matched"
    if len(made.table.inputs) > 1:
        assert "amount=70.50" in str(caught.value)


@pytest.mark.parametrize("hit", ["unique", "first", "any"])
def test_the_default_stands_in_for_no_row_only(hit: str) -> None:
    made = table(hit, OVERLAPPING[:1], default=("high", 9))
    assert made.look_up(("green", Decimal(1))) == ("high", 9)
    assert made.look_up(("red", Decimal(1))) == ("low", 1)


def test_null_matches_none_and_any_only() -> None:
    made = table("collect", [("none", "any", "low", 1), ("any", "none", "low", 2), ("red", "any", "low", 3), ("any", ">= 0", "low", 4)])
    assert [r[1] for r in made.look_up((None, Decimal(5)))] == [1, 4]
    assert [r[1] for r in made.look_up(("red", None))] == [2, 3]
    assert [r[1] for r in made.look_up((None, None))] == [1, 2]


# -- the index -----------------------------------------------------------------------------------------------------------------------------

CELLS = {
    "colour": st.one_of(
        st.just("any"), st.just("none"), st.sampled_from(COLOUR.values), st.lists(st.sampled_from(COLOUR.values), min_size=1, max_size=3, unique=True)
    ),
    "amount": st.one_of(
        st.just("any"),
        st.just("none"),
        st.integers(0, 12).map(str),
        st.tuples(st.sampled_from(["<", "<=", ">", ">="]), st.integers(0, 12)).map(lambda t: f"{t[0]} {t[1]}"),
        st.tuples(st.sampled_from("[("), st.integers(0, 12), st.integers(1, 6), st.sampled_from(")]")).map(lambda t: f"{t[0]}{t[1]}..{t[1] + t[2]}{t[3]}"),
    ),
}
ROWS = st.lists(st.tuples(CELLS["colour"], CELLS["amount"], CELLS["amount"], st.integers(0, 3)), min_size=1, max_size=60)
HALVES = [None, *(Decimal(n) / 2 for n in range(-1, 40))]


def random_table(hit: str, rows: list[tuple[Any, ...]], default: bool) -> TableDef:
    number = decimal(1)
    made = tuple(TableRow(i + 1, (cell(c, COLOUR), cell(a, number), cell(b, number)), (points,)) for i, (c, a, b, points) in enumerate(rows))
    record = RecordType((Field("points", COUNT),))
    inputs = (("colour", COLOUR), ("a", number), ("b", number))
    return TableDef(
        "t",
        hit,
        inputs,
        (("points", COUNT),),
        made,
        (99,) if default else None,
        ("points", (2, 0, 1, 3)) if hit == "priority" else None,
        record,
        Place("x", 1, 1),
    )  # type: ignore[arg-type]


def outcome(work: Any) -> Any:
    try:
        return work()
    except EvaluationError as error:
        return error.kind, str(error)


@settings(max_examples=200, deadline=None)
@given(
    ROWS,
    st.sampled_from(["unique", "first", "priority", "any", "collect", "sum", "min", "max", "count"]),
    st.booleans(),
    st.lists(st.tuples(st.sampled_from([None, *COLOUR.values]), st.sampled_from(HALVES), st.sampled_from(HALVES)), min_size=1, max_size=20),
)
def test_the_index_answers_as_reading_every_row_does(rows: list[tuple[Any, ...]], hit: str, default: bool, asked: list[tuple[Any, ...]]) -> None:
    made = random_table(hit, rows, default)
    index = TableIndex(made)
    for values in asked:
        matching = [r for r in made.rows if all(c.accepts(v) for c, v in zip(r.cells, values, strict=True))]
        if hit == "first":
            matching = matching[:1]
        assert index.rows(values) == matching
        assert outcome(lambda v=values: index.look_up(v)) == outcome(lambda m=matching, v=values: resolve(made, m, v))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 6), st.booleans(), st.booleans()), min_size=20, max_size=80), st.booleans())
def test_the_index_over_ranges_alone(bounds: list[tuple[int, int, bool, bool]], open_ended: bool) -> None:
    """Enough ranges of one column that the index is cut into segments."""
    cells = [Cell("range", low=Decimal(low), high=Decimal(low + width), low_open=a and width > 0, high_open=b and width > 0) for low, width, a, b in bounds]
    if open_ended:
        cells += [Cell("range", low=Decimal(30), low_open=True), Cell("range", high=Decimal(3)), Cell("any")]
    rows = tuple(TableRow(i + 1, (c,), (i,)) for i, c in enumerate(cells))
    index = TableIndex(TableDef("t", "collect", (("a", decimal(1)),), (("points", COUNT),), rows, None, None, COUNT, Place("x", 1, 1)))
    for value in HALVES + [Decimal(n) / 2 for n in range(40, 100)]:
        assert index.rows((value,)) == [r for r in rows if r.cells[0].accepts(value)]


def test_a_large_table_is_looked_up_without_reading_it(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = tuple(TableRow(i + 1, (Cell("range", low=Decimal(i), high=Decimal(i + 1), high_open=True),), (i,)) for i in range(5000))
    index = TableIndex(TableDef("t", "unique", (("a", decimal(1)),), (("points", COUNT),), rows, None, None, COUNT, Place("x", 1, 1)))
    monkeypatch.setattr(Cell, "accepts", lambda self, value: pytest.fail("a cell was read"))
    for v in range(0, 9990, 7):
        assert index.look_up((Decimal(v) / 2,)) == (v // 2,)


# -- in a rule file ------------------------------------------------------------------------------------------------------------------------

TEXT = """\
policy: sample
version: 1
family: samples
form: compute
title: {en: Sample, zh: 样例}
question: {en: How much?, zh: 多少？}
effective: {from: 2025-01-16}
source: {document: guide}
facts:
  colour: {type: enum, values: [red, green, blue], nullable: true}
  amount: {type: money}
tables:
  fees:
    hit: HIT
    inputs: {colour: {type: enum, values: [red, green, blue]}, amount: {type: money}}
    outputs: {fee: {type: money}, points: {type: integer}}
    rows:
      - {colour: red, amount: "[0..10)", fee: "1.00", points: 1}
      - {colour: red, amount: "[10..20)", fee: "2.00", points: 2}
      - {colour: [green, blue], fee: "3.00", points: 3}
      - {colour: none, amount: any, fee: "4.00", points: 4}
outputs:
  fee: {type: money, nullable: true, value: "tables.fees(colour=colour, amount=amount).fee"}
"""


def ask(facts: dict[str, Any], text: str = TEXT.replace("HIT", "unique")) -> dict[str, Any]:
    return Program(check_text(text)).check(facts, instant("2025-06-01"))


@pytest.mark.parametrize(
    ("facts", "fee"),
    [
        ({"colour": "red", "amount": "9.99"}, "1.00"),
        ({"colour": "red", "amount": "10"}, "2.00"),
        ({"colour": "blue", "amount": "999"}, "3.00"),
        ({"colour": None, "amount": "0"}, "4.00"),
        # unknown inputs: what every row that may match agrees on
        ({"colour": "green"}, "3.00"),
        ({"colour": None}, "4.00"),
        ({"colour": "red"}, None),
        ({"amount": "5"}, None),
        ({}, None),
    ],
)
def test_a_look_up_in_a_policy(facts: dict[str, Any], fee: str | None) -> None:
    assert ask(facts)["outputs"]["fee"] == fee


def test_a_look_up_without_a_row_is_an_error() -> None:
    with pytest.raises(EvaluationError, match=r"table `fees`: no row matches colour=red, amount=20\.00"):
        ask({"colour": "red", "amount": "20"})


# -- scales --------------------------------------------------------------------------------------------------------------------------------

BRACKETS = ((Decimal(0), Decimal("0.01")), (Decimal(10000), Decimal("0.02")), (Decimal(50000), Decimal("0.05")))


@pytest.mark.parametrize(
    ("mode", "amount", "result"),
    [
        ("marginal", "0", "0"),
        ("marginal", "10000", "100"),
        ("marginal", "10000.01", "100.0002"),
        ("marginal", "50000", "900"),
        ("marginal", "60000", "1400"),
        ("whole", "0", "0"),
        ("whole", "9999.99", "99.9999"),
        ("whole", "10000", "200"),
        ("whole", "49999.99", "999.9998"),
        ("whole", "50000", "2500"),
    ],
)
def test_scales(mode: str, amount: str, result: str) -> None:
    assert scale_amount(ScaleDef("s", mode, BRACKETS), Decimal(amount)) == Decimal(result)


@given(st.decimals(min_value=0, max_value=100000, places=2), st.decimals(min_value=0, max_value=100000, places=2))
def test_a_marginal_scale_never_falls(a: Decimal, b: Decimal) -> None:
    scale = ScaleDef("s", "marginal", BRACKETS)
    low, high = sorted((a, b))
    assert scale_amount(scale, low) <= scale_amount(scale, high)


def test_below_the_first_bracket_nothing_is_due() -> None:
    scale = ScaleDef("s", "marginal", ((Decimal(100), Decimal("0.1")),))
    assert scale_amount(scale, Decimal(50)) == 0
    assert scale_amount(scale, Decimal(150)) == 5
    assert RATIO.places is None
