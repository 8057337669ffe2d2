"""The facts of a request: every misfit is told, all at once, each with its dotted path and its JSON pointer; the quick reader agrees with the judge."""

from __future__ import annotations

import contextlib
import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api import decision_log, requests
from engine.check import check_text
from engine.clock import instant
from engine.decide import Program
from engine.errors import BadFact, FactsError, pointer
from engine.facts import MAX_ITEMS, MAX_TEXT
from engine.library import load
from engine.types import SHANGHAI
from engine.unknown import Unknown
from simulations.population import population
from simulations.runs.decisions import Log

TEXT = """\
policy: sample
version: 1
family: samples
form: [compute, check]
title: {en: Sample, zh: 样例}
question: {en: What?, zh: 什么？}
effective: {from: 2025-01-16}
source: {document: guide}
facts:
  ok:              {type: bool}
  count:           {type: integer}
  balance:         {type: integer, signed: true}
  amount:          {type: money}
  credit:          {type: money, signed: true, nullable: true}
  length:          {type: decimal, places: 3, nullable: true}
  rate:            {type: ratio, nullable: true}
  label:           {type: text}
  nickname:        {type: text, nullable: true}
  colour:          {type: enum, values: [red, green, blue]}
  shade:           {type: enum, values: [light, dark], nullable: true}
  product:         {type: enum, values: open}
  colours:         {type: set of enum, values: [red, green, blue]}
  products:        {type: set of enum, values: open}
  names:           {type: list of text}
  day:             {type: date}
  end:             {type: date, nullable: true}
  moment:          {type: datetime}
  partner.id:      {type: text}
  partner.address.city: {type: text}
  items:
    type: list of record
    fields:
      id:      {type: text}
      price:   {type: money}
      kind:    {type: enum, values: [a, b], nullable: true}
      parts:   {type: list of record, fields: {weight: {type: integer}, since: {type: date}}}
  staff:
    type: list of record
    fields:
      person.id:   {type: text}
      person.name: {type: text}
outputs:
  seen: {type: bool, value: ok}
"""
PROGRAM = Program(check_text(TEXT))
NAMES = list(PROGRAM.policy.facts)
GOOD: dict[str, Any] = {
    "ok": True,
    "count": 3,
    "balance": -3,
    "amount": "12.50",
    "credit": None,
    "length": "0.125",
    "rate": "0.3333333333",
    "label": "x",
    "nickname": None,
    "colour": "red",
    "shade": "dark",
    "product": "ecs",
    "colours": ["blue", "red"],
    "products": ["obs", "ecs"],
    "names": ["b", "a", "b"],
    "day": "2025-06-01",
    "end": None,
    "moment": "2025-06-01T09:00:00+08:00",
    "partner": {"id": "p", "address": {"city": "Guiyang"}},
    "items": [{"id": "a", "price": "1.00", "kind": None, "parts": [{"weight": 1, "since": "2025-01-01"}]}],
    "staff": [{"person": {"id": "1", "name": "Li"}}],
}


def read(facts: Any) -> dict[str, Any]:
    return dict(zip(NAMES, PROGRAM.reader.slots(facts), strict=True))


def bad(facts: Any) -> list[BadFact]:
    with pytest.raises(FactsError) as caught:
        PROGRAM.reader.slots(facts)
    # a request in which anything is wrong is refused in the same words, however it is asked
    with pytest.raises(FactsError) as asked:
        PROGRAM.check(facts, instant("2025-06-01"))
    assert asked.value.bad == caught.value.bad
    return caught.value.bad


def test_good_facts_become_typed_values() -> None:
    assert read(GOOD) == {
        "ok": True,
        "count": 3,
        "balance": -3,
        "amount": Decimal("12.50"),
        "credit": None,
        "length": Decimal("0.125"),
        "rate": Decimal("0.3333333333"),
        "label": "x",
        "nickname": None,
        "colour": "red",
        "shade": "dark",
        "product": "ecs",
        "colours": ("red", "blue"),
        "products": ("obs", "ecs"),
        "names": ("b", "a", "b"),
        "day": date(2025, 6, 1),
        "end": None,
        "moment": datetime(2025, 6, 1, 9, tzinfo=SHANGHAI),
        "partner.id": "p",
        "partner.address.city": "Guiyang",
        "items": (("a", Decimal("1.00"), None, ((1, date(2025, 1, 1)),)),),
        "staff": (("1", "Li"),),
    }


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("amount", "0", "0.00"),
        ("amount", 7, "7.00"),
        ("amount", "7.5", "7.50"),
        ("amount", Decimal("7.50"), "7.50"),
        ("amount", "007.50", "7.50"),
        ("amount", "-0", "0.00"),
        ("amount", Decimal("-0.00"), "0.00"),
        ("amount", "99999999999999999999999999.99", "99999999999999999999999999.99"),
        ("amount", 9007199254740993, "9007199254740993.00"),
        ("credit", "-1.01", "-1.01"),
        ("rate", "0.10", "0.1"),
        ("rate", 0, "0"),
        ("count", "3", "3"),
        ("count", Decimal("3"), "3"),
        ("rate", "100", "100"),
    ],
)
def test_a_number_is_taken_as_its_decimal_text(name: str, raw: Any, value: str) -> None:
    found = read({name: raw})[name]
    assert str(found) == value
    assert type(found) is (int if name == "count" else Decimal)


@pytest.mark.parametrize(
    ("name", "raw", "message", "help"),
    [
        ("ok", "true", "expected true or false, got `true`", None),
        ("ok", 1, "expected true or false, got `1`", None),
        ("ok", None, "null is not allowed here", "leave the fact out if it is unknown"),
        ("count", "3.5", "expected a whole number, got `3.5`", None),
        ("count", True, "expected integer, got true", "number"),
        ("count", -1, "`-1` is below 0", "0 or more"),
        ("count", [], "expected integer, got a list", "number"),
        ("count", "three", "expected integer, got `three`", "without exponent"),
        ("count", None, "null is not allowed here", "leave the fact out"),
        ("count", {}, "expected integer, got an object", "number"),
        ("amount", "1.005", "`1.005` has 3 decimals, at most 2 are allowed", "nothing is rounded in silence"),
        ("amount", Decimal("1.005"), "`1.005` has 3 decimals, at most 2 are allowed", "rounded"),
        ("amount", "1.000", "`1.000` has 3 decimals, at most 2 are allowed", "rounded"),
        ("amount", "-0.01", "`-0.01` is below 0", "0 or more"),
        ("amount", "NaN", "expected money, got `NaN`", "without exponent"),
        ("amount", Decimal("NaN"), "expected money, got `NaN`", "without exponent"),
        ("amount", Decimal("Infinity"), "expected money, got `Infinity`", "without exponent"),
        ("amount", "inf", "expected money, got `inf`", "without exponent"),
        ("amount", "1e999", "expected money, got `1e999`", "without exponent"),
        ("amount", Decimal("1E+999"), "expected money, got `1E+999`", "without exponent"),
        ("amount", Decimal("0.0000001"), "`0.0000001` has 7 decimals, at most 2 are allowed", "rounded"),
        ("amount", Decimal("1E-999"), "a number of more than 30 digits", None),
        ("amount", Decimal("1E-99999999999"), "a number of more than 30 digits", None),
        ("amount", "1,000.00", "expected money, got `1,000.00`", "separators"),
        ("amount", "+1", "expected money, got `+1`", "sign +"),
        ("amount", " 1", "expected money, got ` 1`", "spaces"),
        ("amount", "1.", "expected money, got `1.`", "exponent"),
        ("amount", "１２", "expected money, got `１２`", "exponent"),
        ("amount", "1\n", "expected money, got `1\n`", "exponent"),
        ("amount", "9" * 40, "a number of more than 30 digits", None),
        ("amount", 10**40, "a number of more than 30 digits", None),
        ("amount", "1_000", "expected money, got `1_000`", "separators"),
        ("amount", "", "expected money, got ``", "exponent"),
        ("amount", "0x10", "expected money, got `0x10`", "exponent"),
        ("amount", None, "null is not allowed here", "leave the fact out"),
        ("length", "0.1255", "`0.1255` has 4 decimals, at most 3 are allowed", "rounded"),
        ("rate", "-0.1", "`-0.1` is below 0", "0 or more"),
        ("rate", "1/3", "expected ratio, got `1/3`", "exponent"),
        ("label", 5, "expected text, got `5`", None),
        ("label", Decimal("0.0000001"), "expected text, got `0.0000001`", None),
        ("label", None, "null is not allowed here", "leave the fact out"),
        ("label", "", "blank text, which counts as null, is not allowed here", "leave the fact out"),
        ("label", " \t\n", "blank text, which counts as null, is not allowed here", "leave the fact out"),
        ("label", "\u3000", "blank text, which counts as null, is not allowed here", "leave"),
        ("label", "x" * (MAX_TEXT + 1), "more than 10000 characters", None),
        ("label", ["x"], "expected text, got a list", None),
        ("colour", "gren", "`gren` is not one of red, green, blue", "did you mean `green`?"),
        ("colour", "RED", "`RED` is not one of red, green, blue", "did you mean `red`?"),
        ("colour", "violet", "`violet` is not one of red, green, blue", None),
        ("colour", 1, "`1` is not one of red, green, blue", None),
        ("colour", None, "null is not allowed here", "leave"),
        ("shade", "grey", "`grey` is not one of light, dark", None),
        ("product", 1, "expected text, got `1`", None),
        ("colours", "red", "expected a list, got `red`", None),
        ("colours", ["red", "red"], "a value stands twice in this set", None),
        ("colours", None, "null is not allowed here", "leave"),
        ("products", ["a", "b", "a"], "a value stands twice in this set", None),
        ("day", "2025-02-30", "`2025-02-30` is no date", "write it as 2025-01-16"),
        ("day", "20250601", "`20250601` is no date", "write it as"),
        ("day", "2025-06-01T00:00:00", "is no date", "write it as"),
        ("day", "2025-W01-1", "`2025-W01-1` is no date", "write it as"),
        ("day", 20250601, "expected a date as text, got `20250601`", None),
        ("day", None, "null is not allowed here", "leave"),
        ("day", "0000-01-01", "is no date", "write it as"),
        ("moment", "2025-06-01", "has no time zone", "add it"),
        ("moment", "2025-06-01T09:00:00", "has no time zone", "add it: 2025-01-16T09:00:00+08:00"),
        ("moment", "yesterday", "`yesterday` is no date and time", "write it as"),
        ("moment", "9999-12-31T23:00:00-08:00", "is out of range", None),
        ("moment", "0001-01-01T00:00:00+14:00", "is out of range", None),
        ("moment", 1748739600, "expected a datetime as text, got `1748739600`", None),
        ("items", {}, "expected a list, got an object", None),
        ("partner.id", 5, "expected text, got `5`", None),
    ],
)
def test_a_misfit_is_told(name: str, raw: Any, message: str, help: str | None) -> None:
    facts: Any = {name: raw}
    (told,) = bad(facts)
    assert told.path == name
    assert message in told.message
    if help is None:
        assert told.help is None
    else:
        assert help in (told.help or "")


@pytest.mark.parametrize(
    ("facts", "path", "message", "help"),
    [
        ({"amuont": 1}, "amuont", "unknown fact", "did you mean `amount`?"),
        ({"zzz": 1}, "zzz", "unknown fact", "schema"),
        ({"partner": {"idd": "x"}}, "partner.idd", "unknown fact", "did you mean `partner.id`?"),
        ({"partner": 5}, "partner", "expected an object, got `5`", "partner.id"),
        ({"partner": None}, "partner", "expected an object, got null", "partner.id"),
        ({"partner": {"address": []}}, "partner.address", "expected an object, got a list", "partner.address.city"),
        ({"partner.id": "a", "partner": {"id": "b"}}, "partner.id", "given twice, once dotted and once nested", None),
        ({"Amount": 1}, "Amount", "unknown fact", "did you mean `amount`?"),
        ({"": 1}, "", "unknown fact", "schema"),
        ({"items": [{"id": "a"}, 5]}, "items[1]", "expected an object, got `5`", None),
        ({"items": [{"idd": "a"}]}, "items[0].idd", "unknown field", "did you mean `id`?"),
        ({"items": [{"price": "1.001"}]}, "items[0].price", "`1.001` has 3 decimals", "rounded"),
        ({"items": [{}, {"parts": [{}, {"weight": "x"}]}]}, "items[1].parts[1].weight", "expected integer, got `x`", "exponent"),
        ({"items": [{"id": None}]}, "items[0].id", "null is not allowed here", "leave the fact out"),
        ({"names": ["a", 5]}, "names[1]", "expected text, got `5`", None),
        ({"names": ["a", None]}, "names[1]", "null is not allowed here", "leave"),
        ({"names": ["a", " "]}, "names[1]", "blank text", "leave"),
        ({"colours": ["red", "blu"]}, "colours[1]", "`blu` is not one of", "did you mean `blue`?"),
        ({"products": [1]}, "products[0]", "expected text, got `1`", None),
        ({"staff": [{"person": {"nam": "Li"}}]}, "staff[0].person.nam", "unknown field", "did you mean `person.name`?"),
        ({"staff": [{"person": 5}]}, "staff[0].person", "", None),
        ({"names": ["a"] * (MAX_ITEMS + 1)}, "names", "10001 items, more than the limit of 10000", None),
        ({"items": [{}] * (MAX_ITEMS + 1)}, "items", "10001 items", None),
        ({"products": [str(i) for i in range(MAX_ITEMS + 1)]}, "products", "10001 items", None),
        ([], "", "facts must be an object, got a list", None),
        (None, "", "facts must be an object, got null", None),
        ("x", "", "facts must be an object, got `x`", None),
    ],
)
def test_a_misplaced_fact_is_told(facts: Any, path: str, message: str, help: str | None) -> None:
    (told,) = bad(facts)
    assert (told.path, told.message[: len(message)]) == (path, message) or message in told.message
    assert told.path == path
    if help is not None:
        assert help in (told.help or "")


def test_all_misfits_are_told_at_once_with_their_pointers() -> None:
    told = bad(
        {
            "ok": 1,
            "count": -1,
            "amuont": 1,
            "items": [{"id": 5, "price": "x"}, {"kind": "c"}],
            "partner": {"id": None},
            "names": ["a", 5],
            "colour": "gren",
            "amount": "1.00",
        }
    )
    assert {(b.path, b.as_json()["pointer"]) for b in told} == {
        ("ok", "/facts/ok"),
        ("count", "/facts/count"),
        ("amuont", "/facts/amuont"),
        ("items[0].id", "/facts/items/0/id"),
        ("items[0].price", "/facts/items/0/price"),
        ("items[1].kind", "/facts/items/1/kind"),
        ("partner.id", "/facts/partner/id"),
        ("names[1]", "/facts/names/1"),
        ("colour", "/facts/colour"),
    }
    assert all(set(b.as_json()) == {"fact", "pointer", "message", "help"} for b in told)


@pytest.mark.parametrize(
    ("path", "expected"),
    [("a", "/facts/a"), ("a.b", "/facts/a/b"), ("a[0].b[12].c", "/facts/a/0/b/12/c"), ("a/b", "/facts/a~1b"), ("a~b", "/facts/a~0b"), ("", "/facts")],
)
def test_pointers(path: str, expected: str) -> None:
    assert pointer(path) == expected


def test_the_pointer_leads_to_the_fact_in_the_body_that_was_sent() -> None:
    body = {"facts": {"items": [{"id": "a"}, {"parts": [{"weight": "heavy"}]}], "partner": {"address": {"city": 7}}}}
    for told in bad(body["facts"]):
        at: Any = body
        for part in told.as_json()["pointer"].split("/")[1:]:
            at = at[int(part)] if isinstance(at, list) else at[part]
        assert at in ("heavy", 7)


# -- null, absent, blank -------------------------------------------------------------------------------------------------------------------


def test_an_absent_fact_is_unknown_and_knows_its_name() -> None:
    values = read({})
    assert all(type(v) is Unknown and v.paths == {n} for n, v in values.items())


def test_null_is_known_to_be_none_and_an_absent_fact_is_not() -> None:
    assert read({"credit": None})["credit"] is None
    assert type(read({})["credit"]) is Unknown


@pytest.mark.parametrize("blank", ["", " ", "\t\n", "\u3000"])
def test_blank_text_counts_as_null(blank: str) -> None:
    assert read({"nickname": blank})["nickname"] is None
    assert read({"shade": blank})["shade"] is None
    assert PROGRAM.slots({"nickname": blank}, instant("2025-06-01"), None)[0][NAMES.index("nickname")] is None


def test_text_is_kept_as_it_is() -> None:
    assert read({"label": "  x  "})["label"] == "  x  "


def test_an_absent_field_is_unknown_and_named_by_its_place() -> None:
    ((first, second),) = [read({"items": [{"id": "a", "price": "1"}, {"parts": [{"weight": 1}, {}]}]})["items"]]
    assert first[2].paths == {"items[0].kind"}
    assert second[0].paths == {"items[1].id"}
    assert second[3][1][1].paths == {"items[1].parts[1].since"}


def test_sets_keep_the_order_of_the_declaration_and_open_sets_that_of_the_request() -> None:
    assert read({"colours": ["blue", "green"]})["colours"] == ("green", "blue")
    assert read({"products": ["b", "a"]})["products"] == ("b", "a")
    assert read({"colours": []})["colours"] == ()


def test_the_limit_of_a_list_is_allowed() -> None:
    assert len(read({"names": ["a"] * MAX_ITEMS})["names"]) == MAX_ITEMS


def test_a_moment_is_moved_to_shanghai() -> None:
    found = read({"moment": "2025-06-01T00:00:00Z"})["moment"]
    assert found == datetime(2025, 6, 1, 8, tzinfo=SHANGHAI)
    assert found.utcoffset() == SHANGHAI.utcoffset(None)


def test_dotted_and_nested_names_are_one() -> None:
    assert read({"partner.id": "p"})["partner.id"] == "p"
    assert read({"partner": {"id": "p", "address.city": "x"}})["partner.address.city"] == "x"
    assert read({"staff": [{"person.id": "1"}]})["staff"][0][0] == "1"


# -- as they come over the wire ------------------------------------------------------------------------------------------------------------

DECODER = msgspec.json.Decoder(float_hook=Decimal)


@pytest.mark.parametrize("text", ["0.1", "12.50", "7", "0.30", "1234567890123.45", "0", "-0.0"])
def test_a_json_number_is_exact(text: str) -> None:
    found = read(DECODER.decode(f'{{"amount": {text}}}'.encode()))["amount"]
    assert found == Decimal(text)
    assert format(found, "f") == format(abs(Decimal(text)).quantize(Decimal("0.01")), "f")


@pytest.mark.parametrize(
    "text", ["1.005", "0.1000", "1e3", "1E400", "1e999", "1e-7", "-1", "-0.01", "123456789012345678901234567890123.00", "true", '"1e2"', "[]", '"NaN"']
)
def test_a_json_number_that_does_not_fit_is_refused(text: str) -> None:
    (told,) = bad(DECODER.decode(f'{{"amount": {text}}}'.encode()))
    assert told.path == "amount"


def test_a_number_with_an_exponent_is_no_text_either() -> None:
    """It keeps its text until the fact's type refuses it; no type may take that text for a text."""
    body = b"""{"facts": {"label": 1e5, "nickname": 1E5, "product": 1e5, "colour": 1e5, "day": 1e5, "names": ["a", 1e5], "products": [1e5],
        "partner": {"id": 1e5}, "items": [{"id": 1e5}]}}"""
    told = bad(requests.read(body, requests.Ask).facts)
    places = ["colour", "day", "items[0].id", "label", "names[1]", "nickname", "partner.id", "product", "products[0]"]
    assert sorted(t.path for t in told) == places
    assert all("1e5" in t.message.lower() for t in told)


SMALL = """\
policy: sample
version: 1
family: samples
form: compute
title: {en: Sample, zh: 样例}
question: {en: What?, zh: 什么？}
effective: {from: 2025-01-16}
source: {document: guide}
parameters:
  least: {type: decimal, places: 7, value: "0.5"}
  shares: {type: map, keys: [a], of: {type: decimal, places: 7}, value: {a: "0.5"}}
facts:
  share: {type: decimal, places: 7}
  rate:  {type: ratio}
outputs:
  seen:  {type: decimal, places: 7, value: share}
  exact: {type: ratio, value: rate}
  over:  {type: bool, value: share >= parameters.least}
"""


@pytest.mark.parametrize(
    "text", ["0.0000001", "0.0000000", "0.00000010", "0.00000012", "-0.0000001", "1e-7", "1E-400", "0." + "0" * 40 + "1", "0." + "0" * 400]
)
def test_a_small_number_is_what_its_text_says(text: str) -> None:
    program = Program(check_text(SMALL))

    def told(share: Any) -> Any:
        try:
            return program.check({"share": share, "rate": "0"}, instant("2025-06-01"))["outputs"]
        except FactsError as error:
            return [(e.path, e.message, e.help) for e in error.bad]

    number = requests.read(f'{{"facts": {{"share": {text}}}}}'.encode(), requests.Ask).facts["share"]
    assert told(number) == told(text)
    assert isinstance(told(number), dict) == (text in ("0.0000001", "0.0000000"))


def test_a_population_and_the_engine_read_the_same_small_numbers(tmp_path: Path) -> None:
    texts = ["0.0000001", "0.0000000", "0.00000010", "-0.0000001", "1e-7", "1E-400", "0.5", "5"]
    rows = [f'{{"case_id": "{i}", "share": {text}, "rate": {text}}}' for i, text in enumerate(texts)]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows), encoding="utf-8")
    policy, connection = check_text(SMALL), duckdb.connect()
    program, found = Program(policy), {}
    for i, text in enumerate(texts):
        facts = requests.read(f'{{"facts": {{"share": {text}, "rate": {text}}}}}'.encode(), requests.Ask).facts
        with contextlib.suppress(FactsError):
            found[str(i)] = tuple(program.reader.slots(facts))
    population.read(str(tmp_path / "rows.jsonl"), policy, None, connection, tmp_path / "out")
    assert {case: (share, rate) for case, share, rate in connection.execute("SELECT case_id, share, rate FROM population").fetchall()} == found
    assert set(found) == {"0", "1", "6", "7"}


def test_a_small_number_in_the_decision_log_can_be_asked_again(tmp_path: Path) -> None:
    rule_file = tmp_path / "samples" / "sample" / "v1.yaml"
    rule_file.parent.mkdir(parents=True)
    rule_file.write_text(SMALL, encoding="utf-8")
    loaded, moment = load(tmp_path), instant("2025-06-01")
    program = loaded.version("sample", 1).program
    ask = requests.read(b'{"facts": {"share": 0.0000001, "rate": 0.25}}', requests.Ask)
    answer = {"decision_id": "1", **program.check(ask.facts, moment)}
    (tmp_path / "decisions.jsonl").write_bytes(decision_log.line(loaded, "check", ask, answer))
    (found,) = Log(tmp_path / "decisions.jsonl", "sample").decisions()
    assert found.facts == {"share": "0.0000001", "rate": "0.25"}
    assert program.check(found.facts, moment)["receipt"] == answer["receipt"]


def test_a_small_number_is_exact_wherever_it_comes_from() -> None:
    policy, small = check_text(SMALL), Decimal("0.0000001")
    assert str(small) == "1E-7"
    program = Program(policy, {"least": small})
    answer = program.check({"share": small, "rate": small}, instant("2025-06-01"))
    assert answer["outputs"] == {"seen": "0.0000001", "exact": "0.0000001", "over": True}
    assert answer["parameters"] == {"least": "0.0000001"}
    assert program.check({"share": "0.0000001", "rate": "0.0000001"}, instant("2025-06-01")) == answer
    assert Program(policy, {"shares": {"a": small}}).policy.parameters["shares"].value == {"a": small}
    with pytest.raises(FactsError, match=r"parameters\.least"):
        Program(policy, {"least": Decimal("1E-8")})


def test_floats_of_a_careless_reader_are_refused() -> None:
    (told,) = bad({"amount": 0.1})
    assert "expected money" in told.message


# -- the generated reader and the judge ----------------------------------------------------------------------------------------------------

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 10**20),
    st.sampled_from(
        ["", " ", "red", "gren", "dark", "a", "1", "1.5", "1.50", "1.505", "-1", "NaN", "1e3", "2025-06-01", "2025-13-01", "2025-06-01T00:00:00Z", "01", "１"]
    ),
    st.decimals(allow_nan=True, allow_infinity=True),
    st.just([]),
    st.just({}),
    st.just(["red"]),
    st.just(["red", "red"]),
    st.just([["red"]]),
    st.just([None]),
    st.just([{}]),
    st.just({"id": "x"}),
    st.text(max_size=5),
)


def _sane(name: str) -> st.SearchStrategy[Any]:
    parts = st.lists(st.fixed_dictionaries({}, optional={"weight": st.integers(0, 3), "since": st.just("2025-01-01")}), max_size=2)
    items = st.fixed_dictionaries(
        {}, optional={"id": st.just("a"), "price": st.sampled_from(["1", 2, "3.50"]), "kind": st.sampled_from(["a", "b", None]), "parts": parts}
    )
    whole = st.fixed_dictionaries({"id": st.just("a"), "price": st.sampled_from(["1", 2]), "kind": st.sampled_from(["a", None]), "parts": st.just([])})
    table: dict[str, st.SearchStrategy[Any]] = {
        "ok": st.booleans(),
        "count": st.integers(0, 5),
        "balance": st.integers(-5, 5),
        "amount": st.sampled_from(["1", "1.5", "1.50", 7, Decimal("1.25"), "-0"]),
        "credit": st.sampled_from([None, "-1", 2]),
        "length": st.sampled_from([None, "0.125"]),
        "rate": st.sampled_from([None, "0.10", 1]),
        "label": st.sampled_from(["x", " y "]),
        "nickname": st.sampled_from([None, "", "z"]),
        "colour": st.sampled_from(["red", "blue"]),
        "shade": st.sampled_from([None, "dark", ""]),
        "product": st.just("ecs"),
        "colours": st.lists(st.sampled_from(["red", "green", "blue"]), unique=True),
        "products": st.lists(st.sampled_from(["c", "b", "a"]), unique=True),
        "names": st.lists(st.sampled_from(["a", "b"]), max_size=3),
        "day": st.just("2025-06-01"),
        "end": st.sampled_from([None, "2025-06-01"]),
        "moment": st.just("2025-06-01T00:00:00Z"),
        "partner": st.fixed_dictionaries({}, optional={"id": st.just("p"), "address": st.fixed_dictionaries({}, optional={"city": st.just("x")})}),
        "partner.id": st.just("q"),
        "items": st.one_of(st.lists(items, max_size=3), st.lists(whole, max_size=3)),
        "staff": st.lists(st.fixed_dictionaries({"person": st.just({"id": "1", "name": "n"})}), max_size=2),
    }
    return table[name]


KEYS = [
    "ok",
    "count",
    "balance",
    "amount",
    "credit",
    "length",
    "rate",
    "label",
    "nickname",
    "colour",
    "shade",
    "product",
    "colours",
    "products",
    "names",
    "day",
    "end",
    "moment",
    "partner",
    "partner.id",
    "items",
    "staff",
]
REQUESTS = st.fixed_dictionaries({}, optional={k: _sane(k) for k in KEYS})


def shown(value: Any) -> Any:
    """A value that can be compared: unknown by its names, decimals with their places, truths apart from numbers."""
    if type(value) is Unknown:
        return ("unknown", value.paths, value.low)
    if isinstance(value, tuple):
        return tuple(shown(v) for v in value)
    return type(value).__name__, str(value)


def judged(facts: Any) -> Any:
    try:
        return [shown(v) for v in PROGRAM.reader.slots(facts)]
    except FactsError as error:
        return "refused", [b.path for b in error.bad]


def quickly(facts: Any) -> Any:
    """What the generated reader makes of it; None where it leaves the request to the judge."""
    try:
        slots, known = PROGRAM.read(facts)
    except Exception:
        return None
    assert known == (not any(_open(v) for v in slots)), "it says of itself whether all is known"
    return [shown(v) for v in slots]


def _open(value: Any) -> bool:
    return type(value) is Unknown or (isinstance(value, tuple) and any(_open(v) for v in value))


@settings(max_examples=300, deadline=None)
@given(REQUESTS)
def test_the_generated_reader_agrees_with_the_judge(facts: dict[str, Any]) -> None:
    found = quickly(facts)
    assert found is None or found == judged(facts)


@settings(max_examples=300, deadline=None)
@given(REQUESTS, st.dictionaries(st.sampled_from([*KEYS, "amuont", "partner.address", "x"]), ODD, min_size=1, max_size=3))
def test_the_generated_reader_takes_nothing_that_the_judge_refuses(facts: dict[str, Any], odd: dict[str, Any]) -> None:
    found = quickly(facts | odd)
    assert found is None or found == judged(facts | odd)


@pytest.mark.parametrize("name", [k for k in KEYS if "." not in k])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_one_odd_value_at_a_time(name: str, data: Any) -> None:
    facts = {name: data.draw(ODD)}
    found = quickly(facts)
    assert found is None or found == judged(facts)


def test_the_generated_reader_takes_the_common_request_itself() -> None:
    assert quickly({**GOOD, "staff": []}) == judged({**GOOD, "staff": []})
    assert quickly({k: v for k, v in GOOD.items() if k not in ("staff", "amount")}) is not None


@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=3)),
        lambda x: st.one_of(st.lists(x, max_size=3), st.dictionaries(st.sampled_from([*KEYS, "id", "city"]), x, max_size=3)),
        max_leaves=8,
    )
)
def test_no_body_crashes_the_judge(facts: Any) -> None:
    judged(facts)


def test_a_body_of_great_depth_is_refused() -> None:
    deep: Any = "x"
    for _ in range(5000):
        deep = {"partner": deep}
    assert judged(deep)[0] == "refused"
    deep = []
    for _ in range(5000):
        deep = [deep]
    assert judged({"items": deep})[0] == "refused"


def test_the_message_of_all_misfits_together_is_json() -> None:
    with pytest.raises(FactsError) as caught:
        read({"amount": "x", "count": "y"})
    assert json.loads(json.dumps([b.as_json() for b in caught.value.bad]))[0]["fact"] in ("amount", "count")
    assert "amount" in str(caught.value)
    assert "count" in str(caught.value)
