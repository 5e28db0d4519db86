"""Response clocks, against times worked out on a calendar by hand."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.incidents.clocks import BusinessCalendar, ClockError, Pause, clocks, due_at

BERLIN = ZoneInfo("Europe/Berlin")
HERE = BusinessCalendar("Europe/Berlin")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


def dues(severity: str, start: datetime, calendar: BusinessCalendar = HERE, *pauses: Pause) -> list[datetime]:
    return [clock.due_at for clock in clocks(severity, start, calendar, pauses)]


def test_p1_runs_day_and_night():
    saturday = utc("2026-06-06T23:50")
    assert dues("P1", saturday) == [utc("2026-06-07T00:05"), utc("2026-06-07T00:50"), utc("2026-06-07T07:50")]


def test_p2_runs_in_business_hours():
    friday = berlin("2026-06-05T16:30")
    assert dues("P2", friday) == [
        berlin("2026-06-08T09:30"),  # half an hour on Friday, half on Monday
        berlin("2026-06-08T16:30"),
        berlin("2026-06-10T16:30"),
    ]


def test_p3_runs_in_business_days():
    wednesday = berlin("2026-06-03T10:00")
    assert dues("P3", wednesday) == [
        berlin("2026-06-04T10:00"),
        berlin("2026-06-10T10:00"),
        berlin("2026-06-17T10:00"),
    ]


def test_a_weekend_start_counts_from_monday_morning():
    assert dues("P2", berlin("2026-06-06T12:00"))[0] == berlin("2026-06-08T10:00")


def test_a_clock_that_ends_with_the_day_is_due_that_day():
    assert dues("P2", berlin("2026-06-01T09:00"))[1] == berlin("2026-06-01T17:00")


def test_business_hours_stay_local_when_summer_time_begins():
    """29 March 2026, 02:00 CET: Friday's hours are 08:00-16:00 UTC, Monday's 07:00-15:00 UTC."""
    friday = utc("2026-03-27T15:30")
    assert dues("P2", friday)[0] == utc("2026-03-30T07:30")


def test_business_hours_stay_local_when_summer_time_ends():
    """25 October 2026: Friday's hours are 07:00-15:00 UTC, Monday's 08:00-16:00 UTC."""
    assert dues("P2", utc("2026-10-23T14:30"))[0] == utc("2026-10-26T08:30")


def test_p1_counts_real_hours_in_the_short_night():
    assert dues("P1", berlin("2026-03-29T01:30"))[1] == berlin("2026-03-29T03:30")


def test_holidays_are_skipped():
    calendar = BusinessCalendar("Europe/Berlin", holidays=frozenset({date(2026, 12, 25)}))
    assert dues("P2", berlin("2026-12-24T16:30"), calendar)[0] == berlin("2026-12-28T09:30")


def test_a_pause_moves_what_is_due_by_its_working_time():
    pause = Pause(berlin("2026-06-01T10:00"), berlin("2026-06-02T11:00"), "waiting for the provider")
    start = berlin("2026-06-01T09:30")
    assert dues("P2", start, HERE, pause)[0] == berlin("2026-06-02T11:30")
    assert dues("P1", start, HERE, pause)[1] == berlin("2026-06-02T11:30")
    assert dues("P1", start, HERE, pause)[0] == berlin("2026-06-01T09:45")


def test_overlapping_pauses_count_once():
    pauses = [
        Pause(utc("2026-06-01T10:00"), utc("2026-06-01T12:00"), "a"),
        Pause(utc("2026-06-01T09:30"), utc("2026-06-01T11:00"), "b"),
    ]
    assert due_at(utc("2026-06-01T09:00"), timedelta(hours=1), None, pauses) == utc("2026-06-01T12:30")


def test_escalation_comes_at_80_percent():
    acknowledge, mitigate, _ = clocks("P1", utc("2026-06-01T12:00"))
    assert (acknowledge.escalate_at, mitigate.escalate_at) == (
        utc("2026-06-01T12:12"),
        utc("2026-06-01T12:48"),
    )
    friday = clocks("P2", berlin("2026-06-05T16:30"), HERE)[0]
    assert friday.escalate_at == berlin("2026-06-08T09:18")


def test_a_pause_needs_a_reason_and_an_order():
    with pytest.raises(ClockError, match="only with a reason"):
        Pause(utc("2026-06-01"), utc("2026-06-02"), "  ")
    with pytest.raises(ClockError, match="cannot end at"):
        Pause(utc("2026-06-02"), utc("2026-06-01"), "late")


def test_what_cannot_run_is_refused():
    with pytest.raises(ClockError, match="use P1, P2 or P3"):
        clocks("P4", utc("2026-06-01"))
    with pytest.raises(ClockError, match="no working time left"):
        dues("P2", utc("2026-06-01"), BusinessCalendar(weekdays=frozenset()))
    with pytest.raises(ClockError, match="no time zone 'Berlin'"):
        dues("P2", utc("2026-06-01"), BusinessCalendar("Berlin"))


moments = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)).map(lambda m: m.replace(tzinfo=UTC))
lengths = st.timedeltas(timedelta(minutes=1), timedelta(hours=40))


@given(moments, lengths, lengths)
def test_working_times_add_up(start, first, second):
    """Two stretches one after the other are due when their sum is."""
    assert due_at(due_at(start, first, HERE), second, HERE) == due_at(start, first + second, HERE)


@given(moments, lengths)
def test_what_is_due_lies_in_business_hours(start, allowed):
    due = due_at(start, allowed, HERE).astimezone(BERLIN)
    assert due.weekday() < 5
    assert due >= due.replace(hour=9, minute=0, second=0, microsecond=0)
    assert due <= due.replace(hour=17, minute=0, second=0, microsecond=0)
