"""Reading a file: plain data, the place of everything in it, and its digest."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import Fault, Place, RuleFileError
from engine.source import MAX_BYTES, MAX_DEPTH, digest_of, parse, read


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("0", 0),
        ("-7", -7),
        ("1000", 1000),
        # everything else is text, whatever YAML thinks of it
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("True", "True"),
        ("NULL", "NULL"),
        ("none", "none"),
        ("2025-01-16", "2025-01-16"),
        ("1.50", "1.50"),
        ("1e3", "1e3"),
        ("0x10", "0x10"),
        ("0o17", "0o17"),
        ("010", "010"),
        ("1_000", "1_000"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("10:30", "10:30"),
        ("+1", "+1"),
        ("-0", 0),
        ('"1"', "1"),
        ("'true'", "true"),
        ('""', ""),
        ("99999999999999999999999", "99999999999999999999999"),
        ("=", "="),
        ("经销商", "经销商"),
    ],
)
def test_scalars_are_what_they_look_like(written: str, value: object) -> None:
    found = parse(f"key: {written}\n".encode(), "x.yaml").data["key"]
    assert found == value
    assert type(found) is type(value)


def test_the_place_of_keys_and_values() -> None:
    source = parse(b'a: 1\nb:\n  - {c: x, "d": y}\n  - z\n', "x.yaml")
    assert source.data == {"a": 1, "b": [{"c": "x", "d": "y"}, "z"]}
    assert source.place(()) == Place("x.yaml", 1, 1)
    assert source.place(("a",)) == Place("x.yaml", 1, 4)
    assert source.place(("a",), key=True) == Place("x.yaml", 1, 1)
    assert source.place(("b",)) == Place("x.yaml", 3, 3)
    assert source.place(("b",), key=True) == Place("x.yaml", 2, 1)
    assert source.place(("b", 0, "d")) == Place("x.yaml", 3, 17)
    assert source.place(("b", 0, "d"), key=True) == Place("x.yaml", 3, 12)
    assert source.place(("b", 1)) == Place("x.yaml", 4, 5)


def test_the_place_of_what_is_not_there_is_that_of_the_nearest_part_around_it() -> None:
    source = parse(b"a:\n  b: 1\n", "x.yaml")
    assert source.place(("a", "c")) == Place("x.yaml", 2, 3)
    assert source.place(("a", "c", "d"), key=True) == Place("x.yaml", 2, 3)
    assert source.place(("z",)) == Place("x.yaml", 1, 1)


@pytest.mark.parametrize(
    ("written", "line", "column"),
    [
        ("x: one TWO\n", 1, 8),
        ("x: 'one TWO'\n", 1, 9),
        ('x: "one TWO"\n', 1, 9),
        ("x: one\n   TWO\n", 2, 4),
        ("x: |\n  one\n  TWO\n", 3, 3),
        ("x: >-\n  one\n\n    TWO\n", 4, 5),
        ("x: 'it''s TWO'\n", 1, 11),
        ('x: "\\"a\\" TWO"\n', 1, 11),
        ('x: "\\u7ecf TWO"\n', 1, 12),
        ("x: 经销商 TWO\n", 1, 8),
        ("{x: one   TWO}\n", 1, 11),
        ("x: >  # folded\n  one\n  TWO\n", 3, 3),
    ],
)
def test_the_place_inside_a_text(written: str, line: int, column: int) -> None:
    source = parse(written.encode(), "x.yaml")
    offset = source.data["x"].index("TWO")
    assert source.place_inside(("x",), offset) == Place("x.yaml", line, column)


@given(st.text(alphabet=st.sampled_from("abc 经,()=<.\n"), max_size=60).filter(lambda t: t.strip() and t == t.strip() and "\n\n" not in t and " \n" not in t))
def test_the_place_inside_a_block_is_where_the_character_stands(text: str) -> None:
    written = "x: |-\n" + "".join(f"  {line}\n" for line in text.split("\n"))
    source = parse(written.encode(), "x.yaml")
    lines = written.split("\n")
    for offset, char in enumerate(source.data["x"]):
        if not char.isspace():
            place = source.place_inside(("x",), offset)
            assert lines[place.line - 1][place.column - 1] == char


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_other_line_ends(end: str) -> None:
    source = parse(f"a: 1{end}b: {{c: x}}{end}".encode(), "x.yaml")
    assert source.data == {"a": 1, "b": {"c": "x"}}
    assert source.place(("b", "c")) == Place("x.yaml", 2, 8)


def test_a_byte_order_mark_is_no_part_of_the_first_key() -> None:
    source = parse("\ufeffpolicy: x\n".encode(), "x.yaml")
    assert source.data == {"policy": "x"}
    assert source.place(("policy",), key=True).line == 1


def test_keys_that_look_like_numbers_are_texts() -> None:
    assert parse(b"1: a\ntrue: b\n", "x.yaml").data == {"1": "a", "true": "b"}


def test_keys_that_look_alike_are_two_keys() -> None:
    assert parse(b"a: 1\nA: 2\n", "x.yaml").data == {"a": 1, "A": 2}


def test_a_key_that_stands_twice_names_the_line_of_the_first() -> None:
    with pytest.raises(RuleFileError) as caught:
        parse(b'a: 1\nb: 2\n"a": 3\n', "x.yaml")
    (fault,) = caught.value.faults
    assert fault.place == Place("x.yaml", 3, 1)
    assert fault.message == "the key `a` stands twice"
    assert fault.help == "the first one is on line 1; keep one of them"


def test_the_digest_names_the_exact_bytes() -> None:
    raw = "a: 1  # 注\r\n".encode()
    assert parse(raw, "x.yaml").digest == "sha256:" + hashlib.sha256(raw).hexdigest() == digest_of(raw)
    assert digest_of(raw) != digest_of(raw.replace(b"\r\n", b"\n"))


def nested(depth: int) -> bytes:
    return b"a: " + b"[" * depth + b"]" * depth + b"\n"


def test_the_limit_of_depth() -> None:
    parse(nested(MAX_DEPTH - 1), "x.yaml")
    with pytest.raises(RuleFileError, match=f"nested deeper than {MAX_DEPTH} levels"):
        parse(nested(MAX_DEPTH + 1), "x.yaml")


def test_the_limit_of_size(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    body = b"a: 1\n"
    path.write_bytes(body + b"#" * (MAX_BYTES - len(body)))
    assert read(path).data == {"a": 1}
    path.write_bytes(body + b"#" * (MAX_BYTES - len(body) + 1))
    with pytest.raises(RuleFileError, match="more than the limit"):
        read(path)


def test_a_name_of_its_own_stands_in_the_places(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"a: 1\n")
    assert read(path, "funds/x/v1.yaml").place(("a",)).file == "funds/x/v1.yaml"
    assert read(path).file == str(path)


def faults_of(raw: bytes) -> list[Fault]:
    """The faults of a file, none if it can be read; any other exception fails the test."""
    try:
        parse(raw, "x.yaml")
    except RuleFileError as error:
        return error.faults
    return []


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_reader(raw: bytes) -> None:
    assert all(f.place.line >= 1 and f.place.column >= 1 for f in faults_of(raw))


@given(st.text(alphabet=st.sampled_from("ab:-[]{},&*!|>'\"%@`#? \n\t\\0.~<"), max_size=60))
def test_no_text_of_yaml_signs_crashes_the_reader(text: str) -> None:
    if not faults_of(text.encode()):
        assert not holds_other(parse(text.encode(), "x.yaml").data)


def holds_other(data: object) -> bool:
    """Is there anything in it but plain data?"""
    if isinstance(data, dict):
        return any(type(k) is not str or holds_other(v) for k, v in data.items())
    if isinstance(data, list):
        return any(holds_other(v) for v in data)
    return data is not None and type(data) not in (str, int, bool)
