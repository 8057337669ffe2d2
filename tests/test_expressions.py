"""Expressions: how they are read, typed and placed, and what they give, with all facts known and with some unknown."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import syntax as s
from engine.check import check_text
from engine.clock import instant
from engine.decide import Program
from engine.errors import EvaluationError, RuleFileError
from engine.parsing import MAX_LENGTH, MAX_NESTING
from engine.types import EnumType, ListType, NumberType

HEAD = """\
policy: sample
version: 1
family: samples
form: [compute, check]
title: {en: Sample, zh: 样例}
question: {en: What?, zh: 什么？}
effective: {from: 2025-01-16}
source: {document: guide}
parameters:
  limit:   {type: money, value: "100.00"}
  start:   {type: date, value: 2025-03-01}
  chosen:  {type: set of enum, values: [red, blue], value: [red]}
  quota:   {type: map, keys: [red, green, blue], of: {type: integer}, value: {red: 1, green: 2, blue: 3}}
  later:   {type: integer, unset: true}
facts:
  amount:        {type: money, signed: true}
  fee:           {type: money, nullable: true}
  count:         {type: integer}
  rate:          {type: ratio}
  ok:            {type: bool}
  sure:          {type: bool}
  colour:        {type: enum, values: [red, green, blue]}
  level:         {type: enum, values: [low, middle, high], ordered: true}
  old_level:     {type: enum, values: [low, middle, high], ordered: true, nullable: true}
  colours:       {type: set of enum, values: [red, green, blue]}
  names:         {type: list of text}
  label:         {type: text}
  nickname:      {type: text, nullable: true}
  day:           {type: date}
  last_day:      {type: date, nullable: true}
  moment:        {type: datetime}
  discount.in:   {type: integer}
  discount.is:   {type: integer}
  discount.from: {type: integer}
  items:
    type: list of record
    fields:
      id:     {type: text}
      price:  {type: money}
      kind:   {type: enum, values: [red, green, blue]}
      since:  {type: date, nullable: true}
      flag:   {type: bool}
      parts:  {type: list of record, fields: {weight: {type: integer}}}
"""
FACTS: dict[str, Any] = {
    "amount": "12.50",
    "fee": None,
    "count": 3,
    "rate": "0.25",
    "ok": True,
    "sure": False,
    "colour": "green",
    "level": "middle",
    "old_level": None,
    "colours": ["blue", "red"],
    "names": ["ann", "bob"],
    "label": "a.in",
    "nickname": None,
    "day": "2025-06-02",
    "last_day": None,
    "moment": "2025-06-02T23:30:00+08:00",
    "discount": {"in": 1, "is": 2, "from": 3},
    "items": [
        {"id": "a", "price": "10.00", "kind": "red", "since": "2025-01-01", "flag": True, "parts": [{"weight": 1}, {"weight": 2}]},
        {"id": "b", "price": "5.50", "kind": "blue", "since": None, "flag": False, "parts": []},
        {"id": "c", "price": "0.00", "kind": "red", "since": "2024-01-01", "flag": True, "parts": [{"weight": 7}]},
    ],
}


def program_of(expression: str, type_: str | None = None) -> Program:
    """A policy with one formula, or one output, of this expression."""
    quoted = "'" + expression.replace("'", "''") + "'"
    if type_ is None:
        return Program(check_text(f"{HEAD}formulas:\n  found: {quoted}\n", "v1.yaml"))
    return Program(check_text(f"{HEAD}outputs:\n  found: {{{type_}, nullable: true, value: {quoted}}}\n", "v1.yaml"))


def refused(expression: str) -> str:
    with pytest.raises(RuleFileError) as caught:
        program_of(expression)
    (fault,) = caught.value.faults
    return fault.message


def truth(expression: str, facts: dict[str, Any] = FACTS) -> Any:
    """The value of a condition, the same with all facts known and in the reading for unknown facts."""
    program = program_of(expression, "type: bool")
    as_of = instant("2025-06-02T12:00:00+08:00")
    answer = program.check(facts, as_of)["outputs"]["found"]
    slots, known, _ = program.slots(facts, as_of, None)
    if known:
        _, _, values = program.open()(slots, as_of, as_of.date())
        assert values[program.value_index["found"]] == answer
    return answer


@pytest.mark.parametrize(
    "expression",
    [
        # precedence and logic
        "ok or sure and sure",
        "not sure and ok",
        "not (ok and sure)",
        "ok == true",
        "sure == false",
        "sure != ok",
        # numbers, exact
        "0.1 + 0.2 == 0.3",
        "2 + 3 * 4 == 14",
        "(2 + 3) * 4 == 20",
        "-2 * -3 == 6",
        "amount == 12.5",
        "12.50 == amount",
        "1 < count < 4",
        "not 1 < count < 3",
        "count <= 3 <= count",
        "1_000 == 1000",
        ".5 == 0.5",
        "rate * 4 == 1",
        "9007199254740993 - 9007199254740992 == 1",
        "amount - 12.50 == 0",
        "-amount < 0",
        "abs(-amount) == amount",
        "min(amount, 5, count) == 3",
        "max(amount, 20) == 20",
        "floor(amount) == 12",
        "ceil(amount) == 13",
        "divide(amount, 3, 2) == 4.17",
        "round_half_up(amount * 0.01, 1) == 0.1",
        # enums: bare, quoted, sets, orders
        "colour == green",
        'colour == "green"',
        "green == colour",
        "colour != red",
        "colour in [green, blue]",
        "colour not in [red]",
        'colour in ["green"]',
        "colour not in parameters.chosen",
        "red in parameters.chosen",
        "red in colours",
        "green not in colours",
        "colours == [red, blue]",
        "colours != [red]",
        "count(colours) == 2",
        "not empty(colours)",
        'subset(["red"], colours)',
        "not intersects(colours, [green])",
        "parameters.quota[colour] == 2",
        "parameters.quota[red] == 1",
        'parameters.quota["blue"] == 3',
        "level >= middle",
        "level > low",
        "low < level",
        "not level > middle",
        "level in [low, middle]",
        # null
        "fee is null",
        "last_day is null",
        "not (fee is not null)",
        "fee is null or fee > 1",
        "not (fee is not null and fee > 1)",
        "coalesce(fee, 5) == 5",
        "fee != 5",
        "not fee == 5",
        "nickname != label",
        "coalesce(nickname, label) == label",
        "(true if fee is null else fee > 1)",
        "old_level != low",
        "old_level not in [low, high]",
        # texts
        'label == "a.in"',
        'label != "a.i_"',
        "length(label) == 4",
        'upper(label) == "A.IN"',
        'matches(label, "[a-z].in")',
        'not matches(label, "a")',
        '"ann" in names',
        '"eve" not in names',
        "label not in names",
        'index_of(names, "bob") == 1',
        'index_of(names, "eve") is null',
        "count(names) == 2",
        'label in ["a.in", "b.is"]',
        # fields whose names are words of Python
        "discount.in == 1",
        "discount.is == 2",
        "discount.from == 3",
        "discount.in < discount.is < discount.from",
        # dates
        'day == "2025-06-02"',
        '"2025-06-01" < day',
        "day == date(as_of)",
        "date(moment) == day",
        "moment >= start_of_day(day)",
        "days_between(parameters.start, day) == 93",
        'days_between("2025-06-01", day) == 1',
        "add_months(day, -3) > parameters.start",
        "year(day) == 2025 and month(day) == 6 and day(day) == 2",
        "not is_working_day(day)",
        'moment == "2025-06-02T23:30:00+08:00"',
        'moment == "2025-06-02T15:30:00+00:00"',
        'moment < "2025-06-03T00:00:00"',
        "minutes_between(as_of, moment) == 690",
        "max(day, parameters.start) == day",
        'day in ["2025-06-02"]',
        # lists of records
        "count(items) == 3",
        "count(i for i in items if i.flag) == 2",
        "sum(i.price for i in items) == 15.5",
        "sum(i.price for i in items if i.kind == blue) == 5.5",
        "sum(i.price for i in items if i.price > 99) == 0",
        "any(i.kind == blue for i in items)",
        "not all(i.flag for i in items)",
        "all(i.price >= 0 for i in items if i.flag)",
        "max(i.price for i in items) == 10",
        "min(i.price for i in items if i.price > 99) is null",
        "any(i.since is null for i in items)",
        'any(i.since is not null and i.since < "2024-06-01" for i in items)',
        'all(i.since > "2023-01-01" for i in items if i.since is not null)',
        "sum(sum(p.weight for p in i.parts) for i in items) == 10",
        "any(any(p.weight > 6 for p in i.parts) for i in items)",
        "any(any(p.weight == 7 and i.flag for p in i.parts) for i in items)",
        "count(distinct([i.id for i in items])) == 3",
        "count(distinct([i.kind for i in items])) == 2",
        "count([i.kind for i in items if i.flag]) == 1",
        '"b" in [i.id for i in items if not i.flag]',
        'only([i.id for i in items if i.price == 5.5]) == "b"',
        "only([i.id for i in items]) is null",
        "empty([i for i in items if i.price < 0])",
        "all(i.price < 0 for i in [j for j in items if j.price < 0])",
        "count(c for c in colours if c == red) == 1",
    ],
)
def test_what_is_true(expression: str) -> None:
    assert truth(expression) is True


@pytest.mark.parametrize("expression", ["ok\n  and not sure", "  ok  ", "(\n ok\n)", "count(\n i for i in items\n if i.flag\n) == 2"])
def test_an_expression_may_run_over_several_lines(expression: str) -> None:
    block = "|-\n" + "".join(f"      {line}\n" for line in expression.split("\n"))
    program = Program(check_text(f"{HEAD}outputs:\n  found:\n    type: bool\n    value: {block}"))
    assert program.check(FACTS, instant("2025-06-02"))["outputs"]["found"] is True


@pytest.mark.parametrize(
    ("expression", "type_"),
    [
        ("amount", "money"),
        ("amount + 1", "money"),
        ("amount * 2", "money"),
        ("amount * 0.5", "decimal(3) in CNY"),
        ("amount + 0.125", "decimal(3) in CNY"),
        ("amount * rate", "decimal in CNY"),
        ("count + 1", "integer"),
        ("count * count", "integer"),
        ("0.10", "decimal(2)"),
        ("divide(amount, 3, 4)", "decimal(4) in CNY"),
        ("divide(amount, amount, 4)", "decimal(4)"),
        ("divide(count, count, 2)", "decimal(2)"),
        ("round_half_up(amount * rate, 2)", "decimal(2) in CNY"),
        ("floor(amount)", "integer in CNY"),
        ("min(amount, 1)", "money"),
        ("day", "date"),
        ("as_of", "datetime"),
        ("date(as_of)", "date"),
        ("colour", "enum of red, green, blue"),
        ("items", "list of record"),
        ("[i.id for i in items]", "list of text"),
        ("[i.kind for i in items]", "set of enum"),
        ("sum(i.price for i in items)", "money"),
        ("ok and sure", "bool"),
        ("coalesce(fee, 0)", "money"),
        ("only(names)", "text"),
        ("index_of(names, label)", "integer"),
        ("parameters.quota[red]", "integer"),
    ],
)
def test_the_type_of_an_expression(expression: str, type_: str) -> None:
    assert str(program_of(expression).policy.values["found"].type) == type_


@pytest.mark.parametrize(
    ("expression", "nullable"),
    [
        ("fee", True),
        ("amount", False),
        ("coalesce(fee, 0)", False),
        ("fee if fee is not null else 0", False),
        ("fee if ok else 0", True),
        ("max(i.price for i in items)", True),
        ("only(names)", True),
        ("index_of(names, label)", True),
        ("sum(i.price for i in items)", False),
        ("0 if fee is null else fee", False),
        ("null if ok else 1", True),
    ],
)
def test_what_may_be_null(expression: str, nullable: bool) -> None:
    assert program_of(expression).policy.values["found"].nullable is nullable


@pytest.mark.parametrize(
    "expression",
    [
        "fee is not null and fee > 1",
        "fee is null or fee > 1",
        "not (fee is null) and fee > 1",
        "not (fee is null or fee < 1)",
        "fee is not null and ok and fee > 1",
        "(fee > 1 if fee is not null else ok)",
        "(ok if fee is null else fee > 1)",
        "fee == 5 and fee + 1 > 5",
        "fee is not null and (ok or fee > 1)",
        "(fee is null or fee > 1) and (fee is null or fee < 9)",
        "fee is not null and last_day is not null and (fee > 1 or last_day > day)",
        "any(i.since is not null and i.since > day for i in items)",
        "all(i.since > day for i in items if i.since is not null)",
        "old_level in [low, middle] and old_level < high",
    ],
)
def test_a_test_for_null_is_seen(expression: str) -> None:
    program_of(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "fee > 1",
        "fee is not null or fee > 1",
        "fee is null and fee > 1",
        "ok and fee > 1",
        "(fee is not null or ok) and fee > 1",
        "not (fee is not null) and fee > 1",
        "(fee > 1 if fee is null else ok)",
        "last_day is not null and fee > 1",
        "fee != 5 and fee > 1",
        "not (fee is null and ok) and fee > 1",
        "any(i.since > day for i in items if i.flag)",
        "old_level < high",
        "fee == coalesce(fee, 1) + fee",
        "fee - 1 == 1",
        "-fee == 1",
        "any(i.since is not null for i in items) and all(i.since > day for i in items)",
        "sum(fee for i in items) > 1",
        "round_half_up(fee, 2) > 1",
        "max(i.price for i in items) > 1",
        "add_days(last_day, 1) > day",
        "length(nickname) > 1",
        "coalesce(fee, fee) > 1",
    ],
)
def test_a_value_that_may_be_null_is_refused_where_it_would_hurt(expression: str) -> None:
    assert "may be null here" in refused(expression)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("ok < sure", "needs numbers or dates"),
        ("label < label", "needs numbers or dates"),
        ("colour < red", "needs an order"),
        ("day + 1 == day", "expected a number"),
        ("ok + 1 == 2", "expected a number"),
        ("label + label == label", "expected a number"),
        ("amount and ok", "expected a condition"),
        ("not count", "expected a condition"),
        ("1 if count else 2", "expected a condition"),
        ("count in count", "expected a list or a set"),
        ("count in names", "cannot be in"),
        ("day == moment", "cannot be compared"),
        ("ok == count", "cannot be compared"),
        ("items == names", "cannot be compared"),
        ("1 if ok else label", "do not go together"),
        ("[1, label]", "cannot hold"),
        ("all(i.price for i in items)", "expected a condition"),
        ("sum(i for i in items)", "needs numbers"),
        ("colours[0]", "only a map parameter"),
        ("names.id", "no fields"),
        ("label.id", "no fields"),
        ("any(i.kind.x == 1 for i in items)", "unknown field `kind.x`"),
        ("length(names)", "expected a text"),
        ("amount * amount", "has no meaning"),
        ("empty(label)", "expected a list or a set"),
        ("x for x in names", "not part of the rule language"),
        ("any(x, y for x in items)", "this is no expression"),
        ("count(i for i, j in items)", "one plain name"),
        ("~count", "only `not` and `-`"),
        ("+count", "only `not` and `-`"),
        ("colour == 5", "cannot be compared"),
        ("parameters", "unknown name"),
        ("tables.x", "unknown name"),
        ("coalesce(fee)", "two values"),
        ("coalesce(fee, label)", "do not go together"),
        ("date(day)", "expected a date and time"),
        ("days_between(day, moment)", "expected a date"),
        ("parameters.quota[purple]", "unknown name"),
        ("fee is not 5", "only tests for null"),
        ("sum([1, 2]) == 3", "list expression"),
        ("any(ok)", "list expression"),
        ("preceding(count)", "`each`"),
        ("count()", "takes 1 argument"),
        ("items.count()", "unknown function"),
        ("count.real", "no fields"),
    ],
)
def test_what_does_not_go_together_is_refused(expression: str, message: str) -> None:
    assert message in refused(expression)


def test_a_key_that_a_map_does_not_hold_is_no_crash() -> None:
    with pytest.raises((RuleFileError, EvaluationError), match="quota"):
        truth("parameters.quota[label] == 1")


def test_a_backslash_in_a_text_is_read_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert truth(r'matches(label, "[a-z]\.in")')
        assert not truth(r'matches(label, "\d+")')


def test_the_limit_of_nesting() -> None:
    assert truth("(" * MAX_NESTING + "ok" + ")" * MAX_NESTING)
    assert f"deeper than {MAX_NESTING}" in refused("(" * (MAX_NESTING + 1) + "ok" + ")" * (MAX_NESTING + 1))


def test_parentheses_in_quotes_do_not_nest() -> None:
    assert truth('label != "' + "(" * 200 + '"')


def test_words_in_quotes_are_no_operators() -> None:
    assert truth('label != "' + "not " * 200 + '"')
    assert truth('label != "--- - - - ---"')


def test_the_limit_of_length() -> None:
    longest = 'label != "' + "x" * (MAX_LENGTH - 11) + '"'
    assert len(longest) == MAX_LENGTH
    assert truth(longest)
    assert f"the limit of {MAX_LENGTH}" in refused(longest + " ")


def test_the_place_of_each_part() -> None:
    policy = program_of("count > 1 and colour == green").policy
    line = HEAD.count("\n") + 2
    places = {type(n).__name__: (n.place.line, n.place.column) for n in s.walk(policy.values["found"].node) if isinstance(n, s.And)}
    assert places == {"And": (line, 11)}
    facts = {n.name: (n.place.line, n.place.column) for n in s.walk(policy.values["found"].node) if isinstance(n, s.Fact)}
    assert facts == {"count": (line, 11), "colour": (line, 25)}


def test_a_variable_hides_a_fact_of_its_name_only_inside() -> None:
    assert truth("any(count.price == 10 for count in items) and count == 3")


def test_the_same_variable_twice() -> None:
    assert truth("any(i.flag for i in items) and any(i.price == 0 for i in items) and any(any(i.weight == 7 for i in i.parts) for i in items)")


# -- unknown facts -------------------------------------------------------------------------------------------------------------------------


def without(*names: str, **changed: Any) -> dict[str, Any]:
    return {k: v for k, v in (FACTS | changed).items() if k not in names}


@pytest.mark.parametrize(
    ("expression", "facts", "value"),
    [
        ("ok and sure", without("ok"), False),
        ("ok or sure", without("sure"), True),
        ("ok and not sure", without("ok"), None),
        ("not ok", without("ok"), None),
        ("ok or not ok", without("ok"), None),
        ("ok == ok", without("ok"), None),
        ("fee is null", without("fee"), None),
        ("fee is null or ok", without("fee"), True),
        ("count >= 0", without("count"), True),
        ("count < 0", without("count"), False),
        ("count > 0", without("count"), None),
        ("amount >= 0", without("amount"), None),
        ("max(count, 5) >= 5", without("count"), True),
        ("min(count, 5) <= 5", without("count"), True),
        ("(count if ok else 5) >= 0", without("count", "ok"), True),
        ("(1 if ok else 1) == 1", without("ok"), True),
        ("count * 0 == 0", without("count"), True),
        ("count(items) >= 0", without("items"), True),
        ("colour in []", without("colour"), False),
        ("any(i.flag for i in items)", without(items=[{"id": "a", "flag": True}, {"id": "b"}]), True),
        ("any(i.flag for i in items)", without(items=[{"id": "a", "flag": False}, {"id": "b"}]), None),
        ("all(i.flag for i in items)", without(items=[{"flag": False}, {"id": "b"}]), False),
        ("count(i for i in items if i.flag) >= 1", without(items=[{"flag": True}, {}]), True),
        ("count(i for i in items if i.flag) >= 3", without(items=[{"flag": True}, {}]), False),
        ("sum(i.price for i in items) >= 10", without(items=[{"price": "10"}, {}]), True),
        ("sum(i.price for i in items) > 10", without(items=[{"price": "10"}, {}]), None),
        ("any(i.price > 5 for i in items if i.flag)", without(items=[{"price": "1"}, {"price": "9", "flag": False}]), False),
        ("parameters.later >= 0 and sure", FACTS, False),
        ("divide(count, count, 2) == 1", without("count"), None),
        ("sure and divide(1, 0, 2) == 1", FACTS, False),
    ],
)
def test_unknown_is_not_false(expression: str, facts: dict[str, Any], value: bool | None) -> None:
    assert truth(expression, facts) is value


BOOLS = ("ok", "sure")


def conditions() -> st.SearchStrategy[str]:
    """Conditions over two truths and three numbers, as text that Python understands as well."""
    numbers = st.recursive(
        st.sampled_from(["count", "amount", "0", "1", "2", "3", "0.5", "12.5"]),
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from([" + ", " - ", " * "]), inner).map(lambda t: f"({''.join(t)})"),
            inner.map(lambda x: f"(-{x})"),
            st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(lambda t: f"{t[0]}({t[1]}, {t[2]})"),
        ),
        max_leaves=4,
    )
    compared = st.tuples(numbers, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), numbers).map(" ".join)
    return st.recursive(
        st.one_of(st.sampled_from([*BOOLS, "true", "false"]), compared),
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from([" and ", " or "]), inner).map(lambda t: f"({''.join(t)})"),
            inner.map(lambda x: f"(not {x})"),
            st.tuples(inner, inner, inner).map(lambda t: f"({t[0]} if {t[1]} else {t[2]})"),
        ),
        max_leaves=6,
    ).filter(lambda text: text.count("amount * ") == 0 and "amount) * " not in text)


def reference(expression: str, facts: dict[str, Any]) -> bool:
    """What Python makes of it, with exact numbers."""
    from fractions import Fraction

    names = {"true": True, "false": False, "count": Fraction(facts["count"]), "amount": Fraction(facts["amount"]), "ok": facts["ok"], "sure": facts["sure"]}
    exact = expression.replace("12.5", "Fraction(25, 2)").replace("0.5", "Fraction(1, 2)")
    return bool(eval(exact, {"Fraction": Fraction, "min": min, "max": max}, names))


def reject_unless_units_differ(error: RuleFileError) -> None:
    """The only fault that such a condition can have: money times money, money plus a count."""
    assert all("has no meaning" in f.message or "between" in f.message for f in error.faults), error


@settings(max_examples=150, deadline=None)
@given(
    conditions(),
    st.tuples(st.booleans(), st.booleans()),
    st.integers(0, 4),
    st.sampled_from(["-1.00", "0.00", "0.50", "12.50"]),
    st.sets(st.sampled_from([*BOOLS, "count", "amount"])),
)
def test_random_conditions_agree_with_python(expression: str, truths: tuple[bool, bool], count: int, amount: str, absent: set[str]) -> None:
    facts = FACTS | dict(zip(BOOLS, truths, strict=True)) | {"count": count, "amount": amount}
    try:
        program = program_of(expression, "type: bool")
    except RuleFileError as error:
        reject_unless_units_differ(error)
        return
    expected = reference(expression, facts)
    as_of = instant("2025-06-02")
    assert program.check(facts, as_of)["outputs"]["found"] is expected
    # what is told though facts are missing is what every completion says
    told = program.check({k: v for k, v in facts.items() if k not in absent}, as_of)["outputs"]["found"]
    assert told is None or told is expected


def test_nodes_know_their_types() -> None:
    policy = program_of("[i.kind for i in items]").policy
    node = policy.values["found"].node
    assert isinstance(node, s.Select)
    assert isinstance(node.source.type, ListType)
    assert node.value.type == EnumType(("red", "green", "blue"))
    number = program_of("amount + 1").policy.values["found"].node
    assert number.type == NumberType("money", 2, "CNY", True)
