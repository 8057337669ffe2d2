"""The words of a report: both languages, the same placeholders, and none without use."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from markupsafe import Markup

from simulations.report import words
from simulations.report.figures import Both
from simulations.report.terms import TERMS
from simulations.report.words import EFFECTS, KINDS, OUTCOMES, STATES, WORDS, cases, cut, filled, listed, named, say, spans

ROOT = Path(words.__file__).parent
CHINESE = re.compile(r"[一-鿿（）]")


@pytest.mark.parametrize("key", WORDS)
def test_both_languages_say_it_with_the_same_placeholders(key: str) -> None:
    text = WORDS[key]
    assert text.en
    assert CHINESE.search(text.zh), "no Chinese"
    assert not CHINESE.search(text.en)
    assert sorted(re.findall(r"{(\w+)}", text.en)) == sorted(re.findall(r"{(\w+)}", text.zh))


def test_every_word_is_used() -> None:
    sources = [*ROOT.glob("*.py"), *(ROOT / "templates").glob("*.html")]
    text = "\n".join(p.read_text(encoding="utf-8") for p in sources)
    unused = [k for k in WORDS if len(re.findall(rf'"{k}"', text)) < 2 and f"words.{k}" not in text and f"'{k}'" not in text]
    assert unused == []


def test_no_word_stands_twice() -> None:
    own = re.findall(r'^    "([^"]+)": ', (ROOT / "words.py").read_text(encoding="utf-8").partition("\nWORDS = {")[2], re.MULTILINE)
    assert len(own) == len(set(own)) == len(WORDS) - len(TERMS)


def test_every_outcome_state_effect_and_kind_has_words_in_both_languages() -> None:
    for names in (OUTCOMES, STATES, EFFECTS, KINDS):
        assert all(CHINESE.search(text.zh) and not CHINESE.search(text.en) for text in names.values())


def test_values_are_escaped_and_markup_is_kept() -> None:
    found = filled(Both("a {x} {y}", "甲 {y} {x}"), x="<b>", y=Markup("<i>"))
    assert found == Both("a &lt;b&gt; <i>", "甲 <i> &lt;b&gt;")


def test_a_value_may_itself_be_in_both_languages() -> None:
    assert filled(Both("{x}!", "{x}！"), x=Both("yes", "是")) == Both("yes!", "是！")


def test_spans_mark_the_language_and_escape() -> None:
    assert spans(Both("<a>", "甲")) == '<span lang="en">&lt;a&gt;</span><span lang="zh">甲</span>'
    assert spans(Both("x<", "x<")) == "x&lt;"
    assert spans("<") == "&lt;"


def test_numbers_of_cases_read_well() -> None:
    assert [cases(n).en for n in (0, 1, 1234)] == ["0 cases", "1 case", "1,234 cases"]
    assert cases(1234).zh == "1,234 个案例"


def test_small_parts() -> None:
    assert listed([Both("a", "甲"), Both("<", "<")]) == Both("a, &lt;.", "甲，&lt;。")
    assert named(OUTCOMES, "new-one") == Both("new-one", "new-one")
    assert cut("abcdef", 4) == "abc…"
    assert cut("abcd", 4) == "abcd"
    assert say("total") is WORDS["total"]
