"""Every kind of fault that an author can make: told as one fault, at its place, with its message and its remedy.

A file of tests/faults/ opens with what it expects: `# expect: LINE:COLUMN MESSAGE-FRAGMENT | HELP-FRAGMENT`; without ` | ` no help is expected.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from engine.check import check_text, load_policy
from engine.clock import instant
from engine.decide import Program
from engine.errors import Fault, Place, RuleFileError
from engine.library import load
from engine.source import MAX_BYTES, parse

FIXTURES = sorted((Path(__file__).parent / "faults").glob("*.yaml"))
EXPECT = re.compile(r"# expect: (\d+):(\d+) (.+?)(?: \| (.+))?$")

VALID = """\
policy: sample
version: 1
family: samples
form: check
title: {en: Sample, zh: 样例}
question: {en: May this be done?, zh: 能否这样做？}
effective: {from: 2025-01-16}
source: {document: guide, section: "1"}
facts:
  amount: {type: money}
  kind:   {type: enum, values: [reseller, distributor]}
requirements:
  - code: amount-too-high
    require: amount <= 100
    effect: deny
    reason: {en: Too much., zh: 金额过高。}
    remedy: {en: Ask for less., zh: 请减少金额。}
    source: {section: "1"}
"""


def faults_of(raw: bytes, path: Path) -> list[Fault]:
    """The faults that loading a file tells; any other exception fails the test."""
    path.write_bytes(raw)
    with pytest.raises(RuleFileError) as caught:
        load_policy(path, "v1.yaml")
    return caught.value.faults


def expected(path: Path) -> tuple[int, int, str, str | None]:
    found = EXPECT.match(path.read_text(encoding="utf-8").splitlines()[0])
    assert found, f"{path.name} does not say what it expects"
    return int(found[1]), int(found[2]), found[3], found[4]


def test_the_valid_file_is_valid() -> None:
    assert len(FIXTURES) >= 200
    program = Program(check_text(VALID))
    assert program.policy.id == "sample"


@pytest.mark.parametrize("path", FIXTURES, ids=lambda p: p.stem)
def test_a_fault_is_told_once_at_its_place_with_its_remedy(path: Path) -> None:
    line, column, message, help = expected(path)
    with pytest.raises(RuleFileError) as caught:
        load_policy(path, path.name)
    told = [str(f) for f in caught.value.faults]
    assert len(told) == 1, told
    fault = caught.value.faults[0]
    assert fault.place == Place(path.name, line, column), told
    assert message in fault.message, told
    if help is None:
        assert fault.help is None, told
    else:
        assert help in (fault.help or ""), told


IMPLEMENTATION = re.compile(
    r"pydantic|durable|dictionary|instance|\bNone\b|NoneType|\bstr\b|\bint\b|dict\b|Texts|Model\b|string|regex|traceback|Maybe you meant|\bast\b|:="
)


@pytest.mark.parametrize("path", FIXTURES, ids=lambda p: p.stem)
def test_a_fault_is_worded_as_docs_error_style_says(path: Path) -> None:
    with pytest.raises(RuleFileError) as caught:
        load_policy(path, path.name)
    for fault in caught.value.faults:
        for text in (fault.message, fault.help):
            if text is None:
                continue
            plain = re.sub(r"`[^`]*`", "`…`", text)
            assert not text.endswith("."), text
            assert "\n" not in text, text
            assert len(text) <= 400, text
            assert not plain[0].isupper(), text
            assert not IMPLEMENTATION.search(plain), text


def test_all_faults_are_told_at_once() -> None:
    text = VALID.replace("amount <= 100", "amont <= 100").replace("kind:   {type: enum, values: [reseller, distributor]}", "kind: {type: enum}")
    text = text.replace("from: 2025-01-16", "from: 2025-13-01") + "outputs:\n  fee: {type: money, value: amount * 0.125}\n"
    with pytest.raises(RuleFileError) as caught:
        check_text(text, "v1.yaml")
    places = [(f.place.line, f.place.column) for f in caught.value.faults]
    assert [line for line, _ in places] == [7, 11, 14, 20], [str(f) for f in caught.value.faults]


def test_faults_are_told_in_the_order_of_the_file_and_each_once() -> None:
    fault = Fault(Place("b.yaml", 2, 1), "x")
    error = RuleFileError([Fault(Place("b.yaml", 10, 1), "x"), fault, fault, Fault(Place("a.yaml", 99, 1), "x")])
    assert [str(f.place) for f in error.faults] == ["a.yaml:99:1", "b.yaml:2:1", "b.yaml:10:1"]


def test_a_fault_shows_its_place_and_its_help_on_a_line_of_its_own() -> None:
    fault = Fault(Place("funds/x/v1.yaml", 3, 7), "unknown name `amont`", "did you mean `amount`?")
    assert str(fault) == "funds/x/v1.yaml:3:7: unknown name `amont`\n  help: did you mean `amount`?"
    assert fault.as_json() == {
        "file": "funds/x/v1.yaml",
        "line": 3,
        "column": 7,
        "kind": "rule-file",
        "message": "unknown name `amont`",
        "help": "did you mean `amount`?",
    }


def test_policies_that_use_each_other_in_a_circle_are_refused(tmp_path: Path) -> None:
    for name, other in (("one", "two"), ("two", "three"), ("three", "one")):
        folder = tmp_path / "samples" / name
        folder.mkdir(parents=True)
        text = VALID.replace("policy: sample", f"policy: {name}").replace(
            "  amount: {type: money}\n", f"  amount: {{type: money}}\n  given: {{type: bool, from: {{policy: {other}, output: outcome}}, note: x}}\n"
        )
        (folder / "v1.yaml").write_text(text, encoding="utf-8")
    library = load(tmp_path)
    # of policies that nobody uses yet, the last by name closes the circle
    assert library.policies() == ["one", "three"]
    assert [n for n, found in library.faults.items() if any(f.kind != "warning" for f in found)] == ["samples/two/v1.yaml"]
    (fault,) = library.faults["samples/two/v1.yaml"]
    assert "policies use each other in a circle: two → three → one → two" in fault.message
    assert (fault.place.line, fault.place.column) == (11, 3)
    assert fault.help


def test_a_file_that_says_another_name_than_its_path_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "samples" / "other"
    folder.mkdir(parents=True)
    (folder / "v1.yaml").write_text(VALID, encoding="utf-8")
    (fault,) = load(tmp_path).faults["samples/other/v1.yaml"]
    assert fault.place == Place("samples/other/v1.yaml", 1, 9)
    assert fault.message == "the file says samples/sample/v1, its path samples/other/v1"


# -- files that nobody writes by hand ------------------------------------------------------------------------------------------------------


def test_a_file_of_ten_megabytes(tmp_path: Path) -> None:
    (fault,) = faults_of(b"# " + b"x" * 10_000_000 + b"\n" + VALID.encode(), tmp_path / "v1.yaml")
    assert str(MAX_BYTES) in fault.message
    assert fault.place == Place("v1.yaml", 1, 1)
    with pytest.raises(RuleFileError):
        parse(b"x" * 10_000_000, "v1.yaml")


@pytest.mark.parametrize(
    "nest",
    [lambda n: "[" * n + "]" * n, lambda n: "{a: " * n + "1" + "}" * n, lambda n: "- " * n + "1", lambda n: "".join("  " * i + "a:\n" for i in range(n // 10))],
    ids=["brackets", "braces", "dashes", "indented"],
)
def test_yaml_nested_five_thousand_deep(tmp_path: Path, nest: object) -> None:
    (fault,) = faults_of((VALID + "note:\n  " + nest(5000).replace("\n", "\n  ") + "\n").encode(), tmp_path / "v1.yaml")  # type: ignore[operator]
    assert "nested" in fault.message
    assert "deep" in fault.message


def test_a_million_laughs(tmp_path: Path) -> None:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
    faults = faults_of("\n".join(lines).encode(), tmp_path / "v1.yaml")
    assert len(faults) < 200
    assert all("an alias repeats another part of the file" in f.message for f in faults)


@pytest.mark.parametrize("text", ["(" * 100_000 + "amount" + ")" * 100_000, "(" * 100_000, ")" * 100_000, "not " * 20_000 + "true"])
def test_an_expression_of_a_hundred_thousand_parentheses(tmp_path: Path, text: str) -> None:
    (fault,) = faults_of(VALID.replace("amount <= 100", text).encode(), tmp_path / "v1.yaml")
    assert "more than the limit of 4000" in fault.message
    assert (fault.place.line, fault.place.column) == (14, 14)


@pytest.mark.parametrize(
    "deep",
    [
        "(" * 300 + "amount" + ")" * 300 + " > 1",
        "[" * 300 + "]" * 300 + " == 1",
        "not " * 900 + "true",
        "-" * 900 + "1 < amount",
        "- " * 900 + "1 < amount",
        "-  " * 900 + "1 < amount",
        "~" * 900 + "1 < amount",
        "+" * 900 + "1 < amount",
        "1" + "+1" * 1900 + " < amount",
        "1" + "*1" * 1900 + " < amount",
        "1 if true else " * 260 + "1 < amount",
        "amount" + ".a" * 1900 + " > 1",
        "amount" + "[1]" * 1300 + " > 1",
        "floor" + "()" * 1900 + " > 1",
        "1 < " * 900 + "amount",
        "amount > 1 or " * 280 + "true",
        "lambda:" * 500 + "1",
        "floor(" * 59 + "amount" + ")" * 59 + "+1" * 1700 + " > 1",
        "[x for x in " * 59 + "kind" + "]" * 59 + " == []",
        "not(" * 59 + "not " * 99 + "true" + ")" * 59,
    ],
    ids=lambda t: t[:12],
)
def test_no_expression_however_deep_crashes(deep: str) -> None:
    """Refused with faults, or taken and decided."""
    told: list[Fault] = []
    try:
        program = Program(check_text(VALID.replace("amount <= 100", "'" + deep.replace("'", "''") + "'"), "v1.yaml"))
        program.known()
        program.open()
    except RuleFileError as error:
        told = error.faults
    assert {f.place.line for f in told} <= {14}
    assert len(told) <= 1


def test_invalid_utf8(tmp_path: Path) -> None:
    raw = VALID.encode().replace("样例".encode(), b"\xff\xfe")
    (fault,) = faults_of(raw, tmp_path / "v1.yaml")
    assert fault.place == Place("v1.yaml", 5, 25)
    assert fault.message == "the file is not UTF-8"
    assert fault.help == "save it as UTF-8"


@pytest.mark.parametrize(("encoding", "line"), [("utf-16", 1), ("gb18030", 5)])
def test_other_encodings_are_refused(tmp_path: Path, encoding: str, line: int) -> None:
    (fault,) = faults_of(VALID.encode(encoding), tmp_path / "v1.yaml")
    assert fault.place.line == line
    assert fault.message == "the file is not UTF-8"
    assert fault.help == "save it as UTF-8"


@pytest.mark.parametrize("char", ["\x00", "\x07", "\x1b"])
def test_control_characters(tmp_path: Path, char: str) -> None:
    (fault,) = faults_of(VALID.replace("Too much.", f"Too {char} much.").encode(), tmp_path / "v1.yaml")
    assert fault.place == Place("v1.yaml", 16, 22)
    assert "control character" in fault.message
    assert f"U+{ord(char):04X}" in fault.message
    assert fault.help


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n", "null\n", "~"])
def test_an_empty_file(tmp_path: Path, text: str) -> None:
    (fault,) = faults_of(text.encode(), tmp_path / "v1.yaml")
    assert fault.place == Place("v1.yaml", 1, 1)
    assert fault.message == "the file is empty"
    assert "`policy new`" in (fault.help or "")


@pytest.mark.parametrize(
    ("text", "got"), [("- policy: sample\n- version: 1\n", "a list"), ("[]", "a list"), ("sample\n", "`sample`"), ("42\n", "`42`"), ("true", "`true`")]
)
def test_a_file_that_is_no_mapping(tmp_path: Path, text: str, got: str) -> None:
    (fault,) = faults_of(text.encode(), tmp_path / "v1.yaml")
    assert fault.place == Place("v1.yaml", 1, 1)
    assert fault.message == f"expected keys and values, got {got}"
    assert fault.help


def test_a_binary_file(tmp_path: Path) -> None:
    faults_of(bytes(range(256)) * 10, tmp_path / "v1.yaml")


def test_a_million_keys_of_one_name_are_told_once_each_at_most(tmp_path: Path) -> None:
    faults = faults_of((VALID + "readings: []\n" * 1000).encode(), tmp_path / "v1.yaml")
    assert len(faults) == 999


# -- large, and legal ----------------------------------------------------------------------------------------------------------------------


def test_many_lines_and_many_transitions_are_legal() -> None:
    lines = "".join(f"        - {{when: amount == {i}, then: '{i}'}}\n" for i in range(300))
    text = (
        VALID.replace("form: check", "form: [compute, check]")
        + "outputs:\n  step:\n    type: integer\n    value:\n      first:\n"
        + lines
        + "        - {else: 999}\n"
    )
    program = Program(check_text(text))
    assert program.known()
    assert program.open()


def test_a_machine_of_many_transitions_is_legal() -> None:
    states = [f"s{i}" for i in range(220)]
    arrows = "".join(f"    - {{code: t{i}, event: go, from: s{i}, to: s{i + 1}, source: {{section: '1'}}}}\n" for i in range(219))
    rules = "".join(
        f"  - {{code: {code}, effect: deny, reason: {{en: No., zh: 否。}}, remedy: {{en: Wait., zh: 等。}}, source: {{section: '1'}}}}\n"
        for code in ("wrong-actor", "not-open-in-state")
    )
    text = VALID[: VALID.index("facts:")].replace("form: check", "form: machine")
    text += f"facts:\n  state: {{type: enum, values: [{', '.join(states)}]}}\n  event: {{type: enum, values: [go]}}\n"
    text += f"machine:\n  state: state\n  event: event\n  transitions:\n{arrows}requirements:\n{rules}"
    program = Program(check_text(text))
    answer = program.check({"state": "s100", "event": "go"}, instant("2025-06-01"))
    assert (answer["outcome"], answer["outputs"]["next_state"]) == ("allowed", "s101")


@pytest.mark.parametrize("numbers", [range(1, 301), range(300, 0, -1)], ids=["bottom-up", "top-down"])
def test_a_long_chain_of_formulas_is_legal(numbers: range) -> None:
    chain = "formulas:\n  f0: amount\n" + "".join(f"  f{i}: f{i - 1} + 1\n" for i in numbers)
    program = Program(check_text(VALID.replace("requirements:", chain + "requirements:").replace("amount <= 100", "f300 <= 400")))
    assert program.check({"amount": "100", "kind": "reseller"}, instant("2025-06-01"))["outcome"] == "allowed"
    assert program.check({"amount": "100.01", "kind": "reseller"}, instant("2025-06-01"))["outcome"] == "denied"


def test_passing_over_shared_formulas_does_not_grow_without_bounds() -> None:
    """Each formula uses the one before it twice: written out, the last one would hold two to the power of 60 parts."""
    script = f"""
from engine.check import check_text
from engine.decide import Program
from engine.errors import RuleFileError
chain = "formulas:\\n  f0: 1 if kind == reseller else 2\\n" + "".join(f"  f{{i}}: f{{i - 1}} + f{{i - 1}}\\n" for i in range(1, 61))
chain += "outputs:\\n  kinds: {{type: set of enum, values: [reseller, distributor], value: {{passing: kind}}}}\\n"
text = {VALID!r}.replace("form: check", "form: [compute, check]").replace("requirements:", chain + "requirements:").replace("amount <= 100", "amount <= f60")
try:
    Program(check_text(text)).open()
except RuleFileError:
    pass
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[1], timeout=20, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-500:]
