"""The ledger: which version is in force on a day, as known at an instant; what may be released; and the chain of digests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import library
from engine.clock import instant
from engine.errors import NotFound, ReleaseError
from engine.releases import LEDGER, Period, Release, append, known, line_digest, periods, read_ledger, refuse_overlap

FIRST = date(2025, 1, 1)


def entry(version: int, start: str, until: str | None = None, at: str = "2024-12-01", *, supersedes: int | None = None, note: str = "") -> Release:
    end = date.fromisoformat(until) if until else None
    return Release(
        "sample", version, f"sha256:{version:064x}", "sha256:" + "0" * 64, date.fromisoformat(start), end, instant(at), "owner", note, supersedes, ""
    )


def spans(releases: Sequence[Release], known_at: str | None = None) -> list[tuple[int, str, str | None]]:
    found = periods(known(releases, "sample", instant(known_at) if known_at else None))
    return [(p.version, p.start.isoformat(), p.end.isoformat() if p.end else None) for p in found]


def refused(existing: Sequence[Release], new: Release) -> str | None:
    """The reason why a release is refused, or None."""
    try:
        refuse_overlap(known(existing, new.policy, None), new.effective_from, new.effective_until, new.supersedes)
    except ReleaseError as error:
        return str(error)
    return None


# -- periods -------------------------------------------------------------------------------------------------------------------------------


def test_a_successor_ends_its_predecessor() -> None:
    releases = [entry(1, "2025-01-01"), entry(2, "2025-07-01"), entry(3, "2026-01-01")]
    assert spans(releases) == [(1, "2025-01-01", "2025-07-01"), (2, "2025-07-01", "2026-01-01"), (3, "2026-01-01", None)]


def test_a_policy_that_ends_leaves_a_gap() -> None:
    releases = [entry(1, "2025-01-01", "2025-03-01"), entry(2, "2025-07-01", "2025-08-01")]
    assert spans(releases) == [(1, "2025-01-01", "2025-03-01"), (2, "2025-07-01", "2025-08-01")]


def test_a_period_holds_its_first_day_and_not_its_last() -> None:
    period = Period(1, date(2025, 1, 1), date(2025, 7, 1))
    assert period.holds(date(2025, 1, 1))
    assert period.holds(date(2025, 6, 30))
    assert not period.holds(date(2025, 7, 1))
    assert not period.holds(date(2024, 12, 31))
    assert Period(1, date(2025, 1, 1), None).holds(date.max)
    assert period.as_json() == {"version": 1, "from": "2025-01-01", "until": "2025-07-01"}


def test_a_release_is_known_from_its_instant_on() -> None:
    releases = [entry(1, "2025-01-01"), entry(2, "2025-07-01", at="2025-06-01T12:00:00+08:00")]
    assert spans(releases, "2025-06-01T11:59:59+08:00") == [(1, "2025-01-01", None)]
    assert spans(releases, "2025-06-01T12:00:00+08:00") == [(1, "2025-01-01", "2025-07-01"), (2, "2025-07-01", None)]
    assert spans(releases, "2025-06-01T04:00:00Z") == spans(releases)
    assert spans(releases, "2024-11-30") == []


def test_a_correction_takes_the_place_of_what_it_corrects_from_its_release_on() -> None:
    releases = [entry(1, "2025-01-01"), entry(2, "2025-07-01"), entry(3, "2025-01-01", at="2025-09-01", supersedes=1)]
    assert spans(releases) == [(3, "2025-01-01", "2025-07-01"), (2, "2025-07-01", None)]
    assert spans(releases, "2025-08-31") == [(1, "2025-01-01", "2025-07-01"), (2, "2025-07-01", None)]


def test_a_correction_of_a_correction() -> None:
    releases = [entry(1, "2025-01-01"), entry(2, "2025-01-01", at="2025-02-01", supersedes=1), entry(3, "2025-01-01", at="2025-03-01", supersedes=2)]
    assert [spans(releases, at)[0][0] for at in ("2025-01-31", "2025-02-01", "2025-03-01")] == [1, 2, 3]
    assert len(spans(releases)) == 1


def test_releases_of_other_policies_do_not_count() -> None:
    other = Release("other", 1, "sha256:x", "sha256:y", FIRST, None, instant("2024-12-01"), "owner", "", None, "")
    assert spans([entry(1, "2025-01-01"), other]) == [(1, "2025-01-01", None)]


# -- what may be released ------------------------------------------------------------------------------------------------------------------

OPEN_ENDED = [entry(1, "2025-01-01"), entry(2, "2025-07-01")]
BOUNDED = [entry(1, "2025-01-01", "2025-03-01"), entry(2, "2025-07-01", "2025-09-01")]


@pytest.mark.parametrize(
    ("existing", "new"),
    [
        ([], entry(1, "2025-01-01")), (OPEN_ENDED, entry(3, "2025-07-02")), (OPEN_ENDED, entry(3, "2030-01-01", "2031-01-01")),
        (OPEN_ENDED, entry(3, "2024-01-01", "2025-01-01")), (BOUNDED, entry(3, "2025-03-01", "2025-07-01")), (BOUNDED, entry(3, "2025-04-01", "2025-05-01")),
        (BOUNDED, entry(3, "2025-09-01")), (BOUNDED, entry(3, "2025-12-01")), (OPEN_ENDED, entry(3, "2025-07-01", supersedes=2)),
        (OPEN_ENDED, entry(3, "2025-01-01", supersedes=1)), (BOUNDED, entry(3, "2025-01-01", "2025-03-01", supersedes=1)),
    ],
)  # fmt: skip
def test_a_version_after_all_others_or_in_a_gap_is_taken(existing: list[Release], new: Release) -> None:
    assert refused(existing, new) is None


@pytest.mark.parametrize(
    ("existing", "new", "version"),
    [
        (OPEN_ENDED, entry(3, "2025-07-01"), 2), (OPEN_ENDED, entry(3, "2025-01-01"), 1), (OPEN_ENDED, entry(3, "2025-03-01"), 1),
        (OPEN_ENDED, entry(3, "2025-06-30", "2025-07-01"), 1), (OPEN_ENDED, entry(3, "2024-06-01", "2025-01-02"), 1), (BOUNDED, entry(3, "2025-02-28"), 1),
        (BOUNDED, entry(3, "2025-02-28", "2025-03-01"), 1), (BOUNDED, entry(3, "2025-06-01", "2025-07-02"), 2), (BOUNDED, entry(3, "2025-08-31"), 2),
        (BOUNDED, entry(3, "2025-07-15", "2025-08-01"), 2), (OPEN_ENDED, entry(3, "2025-01-01", "2025-07-02", supersedes=1), 2),
    ],
)  # fmt: skip
def test_a_version_that_covers_what_is_covered_is_refused_and_told_which(existing: list[Release], new: Release, version: int) -> None:
    said = refused(existing, new)
    assert said is not None
    assert f"overlaps version {version} " in said
    assert f"`--supersedes {version}`" in said


def test_a_correction_needs_the_same_first_day_and_a_released_version() -> None:
    said = refused(OPEN_ENDED, entry(3, "2025-07-02", supersedes=2))
    assert said is not None
    assert "same first day" in said
    assert "2025-07-01" in said
    said = refused(OPEN_ENDED, entry(3, "2025-07-01", supersedes=9))
    assert said is not None
    assert "version 9 is not released" in said
    corrected = [*OPEN_ENDED, entry(3, "2025-07-01", at="2025-08-01", supersedes=2)]
    said = refused(corrected, entry(4, "2025-07-01", supersedes=2))
    assert said is not None
    assert "2" in said


class Model:
    """The rules in plain words, to hold the engine against: a list of days for every instant of knowledge."""

    def __init__(self) -> None:
        self.now: list[Release] = []

    def in_force(self, day: date) -> int | None:
        """The version of the latest start up to the day, if it has not ended."""
        started = [r for r in self.now if r.effective_from <= day]
        if not started:
            return None
        last = max(started, key=lambda r: r.effective_from)
        return last.version if last.effective_until is None or day < last.effective_until else None

    def may(self, new: Release, horizon: Sequence[date]) -> bool:
        """After every released one, or in a time that none covers; a correction: for the same first day, in the place of one."""
        others = [r for r in self.now if r.version != new.supersedes]
        if new.supersedes is not None:
            corrected = next((r for r in self.now if r.version == new.supersedes), None)
            if corrected is None or corrected.effective_from != new.effective_from:
                return False
        if any(r.effective_from == new.effective_from for r in others):
            return False
        following = min((r.effective_from for r in others if r.effective_from > new.effective_from), default=None)
        if new.effective_until is not None and following is not None and new.effective_until > following:
            return False
        before = max((r for r in others if r.effective_from < new.effective_from), key=lambda r: r.effective_from, default=None)
        if before is None or (before.effective_until is not None and before.effective_until <= new.effective_from):
            return True
        if before.effective_until is not None:
            return False
        return following is None or new.supersedes is not None

    def add(self, new: Release) -> None:
        self.now = [r for r in self.now if r.version != new.supersedes] + [new]


DAYS = [FIRST + timedelta(days=i) for i in range(14)]
KNOWN = [datetime(2024, 12, 1, tzinfo=instant("2024-12-01").tzinfo) + timedelta(hours=i) for i in range(10)]
#: Attempts to release: first day, length (0: without an end), the version that is corrected (0: none).
ATTEMPTS = st.lists(st.tuples(st.integers(0, 12), st.sampled_from([0, 0, 0, 1, 2, 5]), st.sampled_from([0, 0, 0, 0, 1, 2, 3])), min_size=1, max_size=9)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(ATTEMPTS)
def test_at_most_one_version_is_in_force_at_any_day_and_knowledge(attempts: list[tuple[int, int, int]]) -> None:
    """Any releases that are taken: one version at most on each day, as the plain model says; and what was once known never changes."""
    ledger: list[Release] = []
    model = Model()
    told: dict[tuple[datetime, date], int | None] = {}
    for i, (start, length, corrects) in enumerate(attempts, 1):
        end = DAYS[0] + timedelta(days=start + length) if length else None
        new = Release("sample", i, f"sha256:{i}", "", DAYS[start], end, KNOWN[i], "owner", "", corrects or None, "")
        taken = refused(ledger, new) is None
        assert taken == model.may(new, DAYS), f"{new} on {spans(ledger)}"
        if taken:
            ledger.append(new)
            model.add(new)
        for day in DAYS:
            told[KNOWN[i], day] = model.in_force(day)
    for (known_at, day), version in told.items():
        holding = [p.version for p in periods(known(ledger, "sample", known_at)) if p.holds(day)]
        assert holding == ([] if version is None else [version])


@settings(max_examples=200, deadline=None, derandomize=True)
@given(ATTEMPTS)
def test_a_release_without_supersedes_changes_no_day_that_another_version_covers(attempts: list[tuple[int, int, int]]) -> None:
    """Only days from the new first day on, at the open end, come under the new version."""
    ledger: list[Release] = []
    for i, (start, length, _) in enumerate(attempts, 1):
        end = DAYS[0] + timedelta(days=start + length) if length else None
        new = Release("sample", i, f"sha256:{i}", "", DAYS[start], end, KNOWN[i], "owner", "", None, "")
        if refused(ledger, new) is not None:
            continue
        before = periods(known(ledger, "sample", None))
        ledger.append(new)
        after = periods(known(ledger, "sample", None))
        for period in before:
            kept = next(p for p in after if p.version == period.version)
            assert kept == period or (period.end is None and kept.end == new.effective_from > period.start)


# -- the chain -----------------------------------------------------------------------------------------------------------------------------


def three(root: Path) -> list[str]:
    for new in (
        entry(1, "2025-01-01"),
        entry(2, "2025-07-01", at="2025-06-01"),
        entry(3, "2025-07-01", at="2025-08-01", supersedes=2, note="a digit; 一位数字"),
    ):
        append(root, new)
    return (root / LEDGER).read_text(encoding="utf-8").splitlines()


def test_a_ledger_reads_as_it_was_written(tmp_path: Path) -> None:
    assert read_ledger(tmp_path) == []
    lines = three(tmp_path)
    found = read_ledger(tmp_path)
    assert [r.version for r in found] == [1, 2, 3]
    assert [r.previous for r in found] == ["", line_digest(lines[0]), line_digest(lines[1])]
    assert found[2].note == "a digit; 一位数字"
    assert found[2].supersedes == 2
    assert found[1].released_at == instant("2025-06-01")
    assert [json.loads(line)["effective_from"] for line in lines] == ["2025-01-01", "2025-07-01", "2025-07-01"]


def test_a_new_line_leaves_the_lines_before_it(tmp_path: Path) -> None:
    before = three(tmp_path)
    written = append(tmp_path, entry(4, "2026-01-01", at="2025-12-01"))
    after = (tmp_path / LEDGER).read_text(encoding="utf-8").splitlines()
    assert after[:3] == before
    assert written.previous == line_digest(before[2])
    assert read_ledger(tmp_path)[-1] == written


@pytest.mark.parametrize("line", [0, 1])
@pytest.mark.parametrize("key", ["policy", "version", "digest", "cases_digest", "effective_from", "released_at", "released_by", "note", "previous"])
def test_any_changed_value_of_a_line_with_a_successor_is_found(tmp_path: Path, line: int, key: str) -> None:
    lines = three(tmp_path)
    data = json.loads(lines[line])
    data[key] = {"version": 7, "effective_from": "2025-01-02", "released_at": "2025-06-01T00:00:01+08:00"}.get(key, "something else")
    lines[line] = json.dumps(data, ensure_ascii=False)
    (tmp_path / LEDGER).write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(ReleaseError, match=rf"{LEDGER}:\d: .*append-only"):
        read_ledger(tmp_path)


def test_an_added_blank_in_a_line_is_found(tmp_path: Path) -> None:
    lines = three(tmp_path)
    lines[0] = lines[0].replace(": ", ":  ", 1)
    (tmp_path / LEDGER).write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(ReleaseError, match="append-only"):
        read_ledger(tmp_path)


@pytest.mark.parametrize("removed", [0, 1])
def test_a_removed_line_is_found(tmp_path: Path, removed: int) -> None:
    lines = three(tmp_path)
    del lines[removed]
    (tmp_path / LEDGER).write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(ReleaseError, match=rf"{LEDGER}:{removed + 1}: the line before it was changed or removed"):
        read_ledger(tmp_path)


@pytest.mark.parametrize("bad", ["{", "null", "[]", "1", '"x"', "{}", '{"policy": "x"}'])
def test_a_line_that_is_no_release_is_told_with_its_number(tmp_path: Path, bad: str) -> None:
    three(tmp_path)
    with (tmp_path / LEDGER).open("a", encoding="utf-8") as file:
        file.write(bad + "\n")
    with pytest.raises(ReleaseError, match=rf"{LEDGER}:4: this is no release"):
        read_ledger(tmp_path)


@pytest.mark.parametrize("key", ["version", "effective_from", "effective_until", "released_at"])
def test_a_value_of_the_wrong_kind_is_told_with_its_line(tmp_path: Path, key: str) -> None:
    lines = three(tmp_path)
    lines[2] = json.dumps(json.loads(lines[2]) | {key: "soon"})
    (tmp_path / LEDGER).write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(ReleaseError, match=rf"{LEDGER}:3: this is no release"):
        read_ledger(tmp_path)


@pytest.mark.parametrize(
    "note", ["one\u2028two", "one\u2029two", "one\x85two", "one\ntwo", "one\r\ntwo", "\x1c", "\x0b", "\x0c", '"quotes" and \\', "中文，注释", ""]
)
def test_any_note_is_one_line(tmp_path: Path, note: str) -> None:
    append(tmp_path, entry(1, "2025-01-01", note=note))
    append(tmp_path, entry(2, "2025-07-01", note=note))
    assert [r.note for r in read_ledger(tmp_path)] == [note, note]


def test_a_release_is_not_written_behind_a_half_line(tmp_path: Path) -> None:
    """A write that was cut off leaves no line end: the next release is refused rather than joined to it."""
    lines = three(tmp_path)
    (tmp_path / LEDGER).write_text("\n".join(lines[:2]) + "\n" + lines[2][:40], encoding="utf-8")
    before = (tmp_path / LEDGER).read_bytes()
    with pytest.raises(ReleaseError):
        append(tmp_path, entry(4, "2026-01-01", at="2025-12-01"))
    assert (tmp_path / LEDGER).read_bytes() == before


# -- the library -----------------------------------------------------------------------------------------------------------------------------


def test_the_library_finds_the_version_in_force(root: Path) -> None:
    found = library.load(root)

    def version(as_of: str, known_at: str | None = None) -> int:
        return found.in_force("credit-request", instant(as_of), instant(known_at) if known_at else None).policy.version

    assert [version(d) for d in ("2025-01-01", "2025-06-30", "2025-07-01", "2099-01-01")] == [1, 1, 3, 3]
    assert [version("2025-08-01", k) for k in ("2024-12-01", "2025-06-01", "2025-08-31", "2025-09-01", "2030-01-01")] == [1, 2, 2, 3, 3]
    assert version("2025-06-30T15:59:59Z") == 1
    assert version("2025-06-30T16:00:00Z") == 3, "the business day is that of Shanghai"
    with pytest.raises(NotFound) as caught:
        version("2024-12-31")
    assert "2024-12-31" in str(caught.value)
    assert [p["version"] for p in caught.value.exists] == [1, 3]
    with pytest.raises(NotFound) as caught:
        version("2025-08-01", "2024-11-01")
    assert caught.value.exists == []
    with pytest.raises(NotFound, match="did you mean `credit-request`"):
        found.in_force("credit-requests", instant("2025-08-01"), None)


# -- what a release may hold besides ---------------------------------------------------------------------------------------------------------


def test_a_line_without_score_and_difference_is_as_it_always_was(tmp_path: Path) -> None:
    append(tmp_path, entry(1, "2025-01-01"))
    data = json.loads((tmp_path / LEDGER).read_text(encoding="utf-8"))
    assert list(data)[-1] == "previous"
    assert not {"score", "without_score", "difference"} & set(data)
    [found] = read_ledger(tmp_path)
    assert (found.score, found.without_score, found.difference) == (None, None, None)


def test_score_and_difference_are_in_the_chain(tmp_path: Path) -> None:
    append(tmp_path, replace(entry(1, "2025-01-01"), score="97.5", difference="sha256:" + "1" * 64))
    append(tmp_path, replace(entry(2, "2025-07-01", at="2025-06-01"), without_score="示例"))
    first, second = read_ledger(tmp_path)
    assert (first.score, first.without_score, first.difference) == ("97.5", None, "sha256:" + "1" * 64)
    assert (second.score, second.without_score, second.difference) == (None, "示例", None)
    path = tmp_path / LEDGER
    path.write_text(path.read_text(encoding="utf-8").replace('"97.5"', '"99.5"'), encoding="utf-8")
    with pytest.raises(ReleaseError, match="append-only"):
        read_ledger(tmp_path)


@pytest.mark.parametrize("key", ["score", "without_score", "difference"])
def test_what_is_no_text_there_is_refused(tmp_path: Path, key: str) -> None:
    data = entry(1, "2025-01-01").as_json() | {key: 97}
    (tmp_path / LEDGER).write_text(json.dumps(data) + "\n", encoding="utf-8")
    with pytest.raises(ReleaseError, match=f"`{key}` is no text"):
        read_ledger(tmp_path)
