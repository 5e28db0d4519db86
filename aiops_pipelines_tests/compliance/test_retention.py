"""When a term is over, and what the log says of a deletion: worked out by hand."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.compliance import leaf
from aiops_pipelines.compliance.audit_entry import decision_entry
from aiops_pipelines.compliance.retention import (
    SPANS_AN_ENTRY,
    Deletions,
    deletion_entries,
    erasure_entries,
    kept_from,
    spans,
)

MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))
COUNTS = {"calls": 3, "others": 1, "held": 0}
DAY = timedelta(days=1)


def test_a_term_ends_with_the_day_in_which_it_is_over() -> None:
    text = datetime(2026, 1, 1, 10, tzinfo=UTC)
    assert not text < kept_from(datetime(2026, 6, 30, 23, 59, tzinfo=UTC), 180)
    assert text < kept_from(datetime(2026, 7, 1, tzinfo=UTC), 180)
    assert kept_from(datetime(2026, 7, 1, 5, tzinfo=UTC), 10**9) < datetime(1950, 1, 1, tzinfo=UTC)


@given(MOMENTS, MOMENTS, st.integers(1, 400))
def test_no_text_goes_before_its_term_and_none_later_than_a_day_after(
    text: datetime, now: datetime, days: int
) -> None:
    over = now - text
    gone = text < kept_from(now, days)
    assert not gone or over > days * DAY
    assert gone or over < (days + 1) * DAY


def test_spans_are_broken_by_what_is_kept() -> None:
    places = [(0, True), (2, True), (3, False), (7, True), (9, False), (10, True), (11, True)]
    assert spans(places) == ["0-2", "7", "10-11"]
    assert spans([]) == []


@given(st.lists(st.booleans(), max_size=60))
def test_spans_hold_what_is_gone_and_nothing_else(gone: list[bool]) -> None:
    named = spans(enumerate(gone))
    (entry,) = erasure_entries("shop", datetime(2026, 6, 1, tzinfo=UTC), "Ada", "Asked", named, {"calls": 1})
    said = Deletions.of([leaf.encode(entry)])
    at = datetime(2026, 5, 1, tzinfo=UTC)
    assert [said.gone(index, at) == "person" for index in range(len(gone))] == gone


NOW = datetime(2026, 6, 1, tzinfo=UTC)


def noted(days: int) -> bytes:
    details = {"settings": {"retention.text_days": str(days)}}
    return leaf.encode(decision_entry("shop", "settings_noted", NOW, "us", "The settings.", details))


def deleted(days: int, gone: list[str]) -> bytes:
    (entry,) = deletion_entries("shop", NOW, days, gone, COUNTS)
    return leaf.encode(entry)


OLD, YOUNG = NOW - 31 * DAY, NOW - 30 * DAY


@pytest.mark.parametrize(
    ("entries", "at", "expected"),
    [
        ([noted(30), deleted(30, ["4-6"])], OLD, "texts"),
        ([noted(30), deleted(30, ["4-6"])], YOUNG, ""),
        ([noted(30), deleted(29, ["4-6"])], OLD, ""),
        ([noted(30), noted(29), deleted(29, ["4-6"])], OLD, "texts"),
        ([deleted(30, ["4-6"]), noted(30)], OLD, ""),
        ([noted(30), b"{}", b"no leaf", deleted(30, ["4", "6-9"])], OLD, ""),
    ],
)
def test_a_deletion_excuses_only_by_the_term_that_was_noted_before_it(
    entries: list[bytes], at: datetime, expected: str
) -> None:
    assert Deletions.of(entries).gone(5, at) == expected


def test_ten_thousand_spans_are_several_entries_that_are_leaves() -> None:
    named = [f"{n * 10**9}-{n * 10**9 + 5}" for n in range(5 * SPANS_AN_ENTRY + 1)]
    entries = list(deletion_entries("shop", NOW, 30, named, COUNTS))
    assert len(entries) == 6 and len({entry["entry_id"] for entry in entries}) == 6
    said = Deletions.of([noted(30), *(leaf.encode(entry) for entry in entries)])
    assert said.gone(9_000 * 10**9 + 5, OLD) == "texts" and not said.gone(9_000 * 10**9 + 6, OLD)
