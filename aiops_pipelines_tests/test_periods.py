from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.inference_log.log_settings import Logs
from aiops_pipelines.periods import (
    EPOCH,
    closed_months,
    closed_weeks,
    judged_months,
    judged_weeks,
    midnight,
    next_month,
)
from aiops_pipelines.systems import System

WEEK = timedelta(days=7)
TICK = timedelta(microseconds=1)
FIRST = datetime(2026, 6, 3, 9, 30, tzinfo=UTC)  # a Wednesday


def at(year: int, month: int, day: int, hour: int = 0) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


def system(profile: str = "standard", as_of: datetime | None = None) -> System:
    log = Logs.model_validate({"folder": "logs"})
    return System.model_validate(
        {"name": "shop", "title": "t", "inference_log": log, "profile": profile, "as_of": as_of}
    )


def test_weeks_and_months_both_start_at_the_epoch() -> None:
    assert (EPOCH.isoweekday(), EPOCH.day) == (1, 1)


@pytest.mark.parametrize(
    ("month", "following"),
    [
        (date(2026, 1, 1), date(2026, 2, 1)),
        (date(2026, 11, 1), date(2026, 12, 1)),
        (date(2026, 12, 1), date(2027, 1, 1)),
    ],
)
def test_next_month(month: date, following: date) -> None:
    assert next_month(month) == following


@pytest.mark.parametrize(
    ("now", "weeks"),
    [
        (FIRST, []),
        (at(2026, 6, 8) - TICK, []),
        (at(2026, 6, 8), [date(2026, 6, 1)]),
        (at(2026, 6, 15) - TICK, [date(2026, 6, 1)]),
        (at(2026, 6, 15), [date(2026, 6, 1), date(2026, 6, 8)]),
        (at(2026, 1, 1), []),
    ],
)
def test_a_week_is_closed_at_the_midnight_that_ends_it(now: datetime, weeks: list[date]) -> None:
    assert closed_weeks(FIRST, now) == weeks


@pytest.mark.parametrize(
    ("now", "months"),
    [
        (at(2026, 7, 1) - TICK, []),
        (at(2026, 7, 1), [date(2026, 6, 1)]),
        (at(2026, 8, 1) - TICK, [date(2026, 6, 1)]),
        (at(2027, 1, 1), [date(2026, month, 1) for month in range(6, 13)]),
        (at(2026, 5, 1), []),
    ],
)
def test_a_month_is_closed_at_the_midnight_that_ends_it(now: datetime, months: list[date]) -> None:
    assert closed_months(FIRST, now) == months


def test_a_system_that_started_on_sunday_night_has_that_week() -> None:
    assert closed_weeks(at(2026, 6, 8) - TICK, at(2026, 6, 8)) == [date(2026, 6, 1)]


def test_the_weeks_of_a_standard_system_do_not_wait() -> None:
    # 29 June to 5 July ends in July
    assert judged_weeks(system(), FIRST, at(2026, 7, 6)) == [date(2026, 6, 1) + i * WEEK for i in range(5)]
    assert judged_weeks(system("regulated"), FIRST, at(2026, 7, 6))[-1] == date(2026, 6, 29)


@pytest.mark.parametrize(
    ("clock", "last"),
    [
        (at(2026, 7, 1) - TICK, None),
        (at(2026, 7, 1), date(2026, 6, 22)),
        (at(2026, 7, 6), date(2026, 6, 22)),  # the week of 29 June is over, and waits for July
        (at(2026, 8, 1) - TICK, date(2026, 6, 22)),
        (at(2026, 8, 1), date(2026, 7, 20)),
        (at(2026, 9, 1), date(2026, 8, 24)),  # which ends on 31 August at midnight
    ],
)
def test_the_weeks_of_a_light_system_wait_for_the_month_they_end_in(
    clock: datetime, last: date | None
) -> None:
    weeks = judged_weeks(system("light"), FIRST, clock)
    assert (weeks[-1] if weeks else None) == last
    assert weeks == [date(2026, 6, 1) + i * WEEK for i in range(len(weeks))]


def test_nothing_is_due_after_the_end_of_a_recorded_story() -> None:
    story = system(as_of=at(2026, 6, 15))
    assert judged_weeks(story, FIRST, at(2030, 1, 1)) == [date(2026, 6, 1), date(2026, 6, 8)]
    assert judged_months(story, FIRST, at(2030, 1, 1)) == []
    assert judged_months(system(as_of=at(2026, 7, 1)), FIRST, at(2030, 1, 1)) == [date(2026, 6, 1)]


def test_a_live_system_is_judged_by_the_clock() -> None:
    assert judged_months(system("light"), FIRST, at(2026, 8, 15)) == [date(2026, 6, 1), date(2026, 7, 1)]


MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2032, 1, 1), timezones=st.just(UTC))


@given(MOMENTS, MOMENTS)
def test_weeks_are_contiguous_mondays_and_none_is_open(first: datetime, now: datetime) -> None:
    weeks = closed_weeks(first, now)
    assert all(week.isoweekday() == 1 for week in weeks)
    assert weeks == [weeks[0] + i * WEEK for i in range(len(weeks))] if weeks else True
    assert all(midnight(week) + WEEK <= now for week in weeks)
    if weeks:
        assert midnight(weeks[0]) <= first < midnight(weeks[0]) + WEEK
        assert midnight(weeks[-1]) + 2 * WEEK > now  # the next one is open
    else:
        assert now < midnight(first.date() - timedelta(days=first.weekday())) + WEEK


@given(MOMENTS, MOMENTS)
def test_months_are_contiguous_and_none_is_open(first: datetime, now: datetime) -> None:
    months = closed_months(first, now)
    assert all(month.day == 1 for month in months)
    assert all(next_month(a) == b for a, b in pairwise(months))
    assert all(midnight(next_month(month)) <= now for month in months)
    assert midnight(next_month(next_month(months[-1]) if months else first.date().replace(day=1))) > now


@given(MOMENTS, MOMENTS, st.integers(0, 100), st.sampled_from(["light", "standard"]))
def test_time_only_ever_adds_periods(first: datetime, now: datetime, days: int, profile: str) -> None:
    later = now + timedelta(days=days)
    for judged in (judged_weeks, judged_months):
        before = judged(system(profile), first, now)
        assert judged(system(profile), first, later)[: len(before)] == before


@given(MOMENTS, MOMENTS)
def test_a_light_system_has_a_subset_of_the_weeks_and_at_month_ends_all_of_them(
    first: datetime, now: datetime
) -> None:
    light, standard = judged_weeks(system("light"), first, now), judged_weeks(system(), first, now)
    assert standard[: len(light)] == light
    assert len(standard) - len(light) <= 5
    end = midnight(now.date().replace(day=1))
    if end >= midnight(next_month(first.date().replace(day=1))):
        assert judged_weeks(system("light"), first, end) == judged_weeks(system(), first, end)
