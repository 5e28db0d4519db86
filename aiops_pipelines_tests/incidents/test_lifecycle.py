"""Incidents out of signals and events."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.incidents.course import EVENTS
from aiops_pipelines.incidents.lifecycle import changes, incidents, unmatched_events
from aiops_pipelines.incidents.rules import CALM, SIGNALS
from aiops_pipelines.incidents.settings import BusinessHours
from aiops_pipelines.resources.tables import declared_tables

NOW = datetime(2026, 9, 7, 6, tzinfo=UTC)
NO_EVENTS = pl.DataFrame(schema=EVENTS)
WEEK = timedelta(days=7)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def signal(
    start: str, cause: str = "model_change", severity: str = "P2", **columns: object
) -> dict[str, object]:
    base = {
        "system": "s",
        "period_start": utc(start),
        "period_end": utc(start) + WEEK,
        "signal": "quality_degraded",
        "subject": "correctness",
        "cause": cause,
        "severity": severity,
        "value": 0.1,
        "limit_value": 0.02,
        "evidence": f"It fell in the week of {start}.",
    }
    return base | columns


def signals(*rows: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SIGNALS)


def opened(
    *rows: dict[str, object], events: pl.DataFrame = NO_EVENTS, now: datetime = NOW, **more: object
) -> list[dict]:
    return incidents(signals(*rows), events, now, **more).rows(named=True)


def events_of(row: dict, *events: tuple[str, str] | tuple[str, str, str]) -> pl.DataFrame:
    rows = [
        ("s", row["incident_id"], utc(at), kind, "kim", *(reason or ["why"])) for kind, at, *reason in events
    ]
    return pl.DataFrame(rows, schema=EVENTS, orient="row")


def test_many_signals_of_one_cause_are_one_incident():
    rows = opened(
        signal("2026-06-08", subject="groundedness", evidence="Groundedness fell."),
        signal("2026-06-01"),
        signal("2026-06-01", subject="groundedness", severity="P3"),
        signal("2026-06-01", cause="index_staleness", signal="index_stale"),
    )
    counted = {(row["cause"], row["signals"], row["severity"]) for row in rows}
    assert counted == {("index_staleness", 1, "P2"), ("model_change", 3, "P2")}
    row = next(r for r in rows if r["cause"] == "model_change")
    assert (row["opened_at"], row["last_signal_at"]) == (utc("2026-06-08"), utc("2026-06-15"))
    assert row["title"] == "Answers got worse after the served model changed"
    assert "Groundedness fell." in row["evidence"]
    assert "It fell in the week of 2026-06-01." in row["evidence"]


def test_the_evidence_counts_the_signals_and_shows_the_worst():
    one = opened(signal("2026-06-01", evidence="Only this."))[0]
    assert one["evidence"] == "Only this."
    rows = [
        signal(week, value=value, evidence=f"It fell by {value}.")
        for week, value in (("2026-06-01", 0.1), ("2026-06-08", 0.4), ("2026-06-15", 0.2))
    ]
    grave = signal("2026-06-08", severity="P1", subject="groundedness", value=0.1, evidence="Worse still.")
    assert opened(*rows, grave)[0]["evidence"] == (
        "4 signals from 2026-06-01 to 2026-06-22, at worst: Worse still. It fell by 0.4."
    )
    many = [signal("2026-06-01", subject=str(n), evidence=f"Number {n}.") for n in range(5)]
    assert opened(*many)[0]["evidence"].endswith("Number 0. Number 1. Number 2. And 2 more.")


def test_the_identifier_is_that_of_the_first_period():
    """The first 8 hex digits of SHA-256 of 's|model_change|2026-06-01T00:00:00+00:00'."""
    first, again = opened(signal("2026-06-01"))[0], opened(signal("2026-06-01"), signal("2026-06-08"))[0]
    assert first["incident_id"] == again["incident_id"] == "INC-1cbf1bc9"


def test_fourteen_days_apart_are_two_incidents():
    assert len(opened(signal("2026-06-01"), signal("2026-06-21T23:59"))) == 1
    assert len(opened(signal("2026-06-01"), signal("2026-06-22"))) == 2


def test_a_long_first_period_holds_later_ones_together():
    long = signal("2026-06-01", period_end=utc("2026-07-01"))
    assert len(opened(long, signal("2026-06-02", period_end=utc("2026-06-03")), signal("2026-07-10"))) == 1


def test_the_highest_severity_counts_from_the_original_start():
    row = opened(signal("2026-06-01", severity="P3"), signal("2026-06-08", severity="P1"))[0]
    assert (row["severity"], row["acknowledge_due_at"]) == ("P1", utc("2026-06-08T00:15"))


def test_clocks_and_runbook_are_on_the_row():
    row = opened(signal("2026-06-01"), runbooks={"model_change": "model-change"})[0]
    assert row["runbook"] == "model-change"
    assert [row[f"{step}_due_at"] for step in ("acknowledge", "mitigate", "resolve")] == [
        utc("2026-06-08T10:00"),
        utc("2026-06-08T17:00"),
        utc("2026-06-10T17:00"),
    ]
    assert row["escalate_at"] == utc("2026-06-08T09:48")


def test_status_follows_the_events_up_to_now():
    row = opened(signal("2026-06-01"))[0]
    events = events_of(
        row,
        ("acknowledged", "2026-06-08T09:30"),
        ("mitigated", "2026-06-08T12:00"),
        ("resolved", "2026-06-09T10:00"),
    )
    statuses = [
        opened(signal("2026-06-01"), events=events, now=utc(now))[0]["status"]
        for now in ("2026-06-08T09:29", "2026-06-08T09:30", "2026-06-08T12:00", "2026-06-09T10:00")
    ]
    assert statuses == ["open", "acknowledged", "mitigated", "resolved"]
    done = opened(signal("2026-06-01"), events=events)[0]
    assert (done["acknowledged_at"], done["resolved_at"]) == (
        utc("2026-06-08T09:30"),
        utc("2026-06-09T10:00"),
    )
    assert done["escalate_at"] is None


def test_a_signal_from_after_the_resolution_reopens_and_restarts_the_clocks():
    row = opened(signal("2026-06-01"))[0]
    events = events_of(row, ("resolved", "2026-06-10T10:00"))
    during = opened(signal("2026-06-01"), signal("2026-06-08"), events=events)[0]
    assert (during["status"], during["reopened"]) == ("resolved", 0)  # that week began before it was resolved
    after = opened(signal("2026-06-01"), signal("2026-06-15"), events=events)[0]
    assert (after["status"], after["resolved_at"], after["reopened"]) == ("open", None, 1)
    assert after["opened_at"] == utc("2026-06-08")
    assert after["acknowledge_due_at"] == utc("2026-06-22T10:00")


def test_an_impossible_event_is_set_aside_and_shown():
    row = opened(signal("2026-06-01"))[0]
    events = events_of(
        row,
        ("reopened", "2026-06-08T10:00"),
        ("resolved", "2026-06-08T11:00", ""),
        ("acknowledged", "2026-06-08T12:00"),
    )
    after = opened(signal("2026-06-01"), events=events)[0]
    assert (after["status"], after["reopened"]) == ("acknowledged", 0)
    assert "set aside" in after["evidence"]
    assert "is open, so it cannot be reopened" in after["evidence"]
    assert "cannot be resolved without a reason" in after["evidence"]


def test_a_pause_moves_the_clocks_and_acting_ends_it():
    row = opened(signal("2026-06-01"))[0]
    pause = ("paused", "2026-06-08T09:30")
    running = opened(signal("2026-06-01"), events=events_of(row, pause), now=utc("2026-06-08T11:30"))[0]
    assert running["acknowledge_due_at"] == utc("2026-06-08T12:00")
    ended = events_of(row, pause, ("resumed", "2026-06-08T10:30"))
    assert opened(signal("2026-06-01"), events=ended)[0]["acknowledge_due_at"] == utc("2026-06-08T11:00")
    acted = events_of(row, pause, ("acknowledged", "2026-06-08T10:30"))
    assert opened(signal("2026-06-01"), events=acted)[0]["acknowledge_due_at"] == utc("2026-06-08T11:00")


def calm(
    subject: str = "correctness", start: str = "2026-06-08", name: str = "quality_degraded"
) -> pl.DataFrame:
    return pl.DataFrame([("s", name, subject, utc(start), utc(start) + WEEK)], schema=CALM, orient="row")


def test_a_whole_calm_period_is_evidence_and_resolves_nothing():
    row = opened(signal("2026-06-01"), calm=calm())[0]
    assert row["status"] == "open"
    assert row["evidence"].endswith(
        "Every limit it broke has held since 2026-06-08, with data up to 2026-06-15 00:00 UTC."
    )


@pytest.mark.parametrize("calm", [calm("other"), calm(name="index_stale"), calm(start="2026-06-07"), None])
def test_missing_data_calms_nothing(calm):
    assert "has held" not in opened(signal("2026-06-01"), calm=calm)[0]["evidence"]


def test_all_limits_have_to_hold():
    both = signal("2026-06-01"), signal("2026-06-01", subject="groundedness")
    assert "has held" not in opened(*both, calm=calm())[0]["evidence"]
    assert "has held" in opened(*both, calm=pl.concat([calm(), calm("groundedness")]))[0]["evidence"]


def test_an_incident_seen_during_its_first_period_keeps_its_time():
    early = signal("2026-06-01", period_end=utc("2026-06-01T09:00"))
    known = incidents(signals(early), NO_EVENTS, utc("2026-06-01T09:00"))
    row = opened(signal("2026-06-01"), known=known)[0]
    assert (row["opened_at"], row["last_signal_at"]) == (utc("2026-06-01T09:00"), utc("2026-06-08"))


def test_systems_do_not_mix():
    rows = opened(signal("2026-06-01"), signal("2026-06-01", system="t"))
    assert len({row["incident_id"] for row in rows}) == 2
    events = events_of(rows[0], ("acknowledged", "2026-06-08T10:00"))
    statuses = {
        r["system"]: r["status"]
        for r in opened(signal("2026-06-01"), signal("2026-06-01", system="t"), events=events)
    }
    assert statuses == {"s": "acknowledged", "t": "open"}


def test_events_of_no_incident_are_found():
    frame = incidents(signals(signal("2026-06-01")), NO_EVENTS, NOW)
    events = pl.concat(
        [
            events_of(frame.row(0, named=True), ("acknowledged", "2026-06-08")),
            events_of({"incident_id": "INC-gone"}, ("acknowledged", "2026-06-08")),
        ]
    )
    assert unmatched_events(frame, events)["incident_id"].to_list() == ["INC-gone"]


def test_no_signals_are_no_incidents():
    assert opened() == []


def news(before: pl.DataFrame, after: pl.DataFrame, since: str, now: str) -> list[str]:
    return changes(before, after, utc(since), utc(now))["change"].to_list()


def test_changes_are_announced_once():
    first = incidents(signals(signal("2026-06-01")), NO_EVENTS, utc("2026-06-08T01:00"))
    assert news(first.clear(), first, "2026-06-08T00:00", "2026-06-08T01:00") == ["opened"]
    assert news(first, first, "2026-06-08T01:00", "2026-06-08T09:47") == []
    assert news(first, first, "2026-06-08T09:47", "2026-06-08T09:48") == ["escalate"]
    assert news(first, first, "2026-06-08T09:48", "2026-06-08T10:30") == []
    worse = incidents(signals(signal("2026-06-01"), signal("2026-06-01", severity="P1")), NO_EVENTS, NOW)
    assert "raised to P1" in news(first, worse, "2026-06-08T09:48", "2026-06-08T10:30")
    events = events_of(
        first.row(0, named=True), ("resolved", "2026-06-08T11:00"), ("reopened", "2026-06-09T11:00")
    )
    closed, again = (
        incidents(signals(signal("2026-06-01")), events, utc(now))
        for now in ("2026-06-08T12:00", "2026-06-10T09:00")
    )
    assert news(first, closed, "2026-06-08T10:30", "2026-06-08T12:00") == ["resolved"]
    assert news(closed, again, "2026-06-09T10:30", "2026-06-09T11:30") == ["reopened"]


def test_an_incident_that_was_told_is_not_opened_again():
    one, two = signal("2026-06-01"), signal("2026-06-20")
    old = incidents(signals(one), NO_EVENTS, utc("2026-06-25"))
    new = incidents(signals(one, two), NO_EVENTS, utc("2026-06-28"))
    at = (utc("2026-06-25"), utc("2026-06-28"))
    assert changes(old, new, *at)["change"].to_list() == []
    untold = old["incident_id"].to_list()
    assert changes(old, new, *at, untold=untold)["change"].to_list() == ["opened", "escalate"]
    assert changes(old, old, *at, untold=untold)["change"].to_list() == []


def test_history_calls_nobody_when_it_is_first_seen():
    """A signal that ended on 8 June is news until 22 June."""
    found = incidents(signals(signal("2026-06-01")), NO_EVENTS, NOW)
    assert news(found.clear(), found, "2026-06-21T23:00", "2026-06-21T23:59") == ["opened", "escalate"]
    assert news(found.clear(), found, "2026-06-21T23:00", "2026-06-22T00:00") == []
    assert news(found, found, "2026-06-22T00:00", "2026-06-22T00:15") == []


def test_a_clock_that_ran_before_anybody_looked_is_escalated_once():
    """A P1 of a week that ended at midnight, seen at 06:00: 80 % of its 15 minutes had passed at 00:12."""
    grave = incidents(signals(signal("2026-06-01", severity="P1")), NO_EVENTS, utc("2026-06-08T06:00"))
    assert news(grave.clear(), grave, "2026-06-08T05:45", "2026-06-08T06:00") == ["opened", "escalate"]
    assert news(grave, grave, "2026-06-08T06:00", "2026-06-08T06:15") == []


def test_a_raised_severity_is_escalated_though_its_clock_began_long_ago():
    mild = incidents(signals(signal("2026-06-01", severity="P3")), NO_EVENTS, utc("2026-06-08T12:00"))
    grave = incidents(signals(signal("2026-06-01", severity="P1")), NO_EVENTS, utc("2026-06-08T12:15"))
    assert news(mild, grave, "2026-06-08T12:00", "2026-06-08T12:15") == ["raised to P1", "escalate"]


def test_the_next_clock_may_be_past_when_a_step_is_taken():
    """Acknowledged at 16:00 on Monday: 80 % of the 8 hours to mitigate had passed at 15:24."""
    before = incidents(signals(signal("2026-06-01")), NO_EVENTS, utc("2026-06-08T15:45"))
    events = events_of(before.row(0, named=True), ("acknowledged", "2026-06-08T16:00"))
    after = incidents(signals(signal("2026-06-01")), events, utc("2026-06-08T16:00"))
    assert news(before, after, "2026-06-08T15:45", "2026-06-08T16:00") == ["acknowledged", "escalate"]


def test_clocks_run_in_the_hours_and_days_that_people_work():
    """Friday 5 June 2026, 16:30 in Berlin; Monday is a holiday, so one hour ends on Tuesday at 09:30, 07:30 UTC."""
    hours = BusinessHours(time_zone="Europe/Berlin", holidays=[date(2026, 6, 8)])
    late = signal("2026-06-01", period_end=utc("2026-06-05T14:30"))
    assert opened(late, calendar=hours.calendar)[0]["acknowledge_due_at"] == utc("2026-06-09T07:30")


starts = st.lists(st.integers(0, 120), min_size=1, max_size=12)


@given(starts)
def test_every_signal_is_in_one_incident_and_incidents_are_far_apart(days):
    rows = [signal((utc("2026-01-01") + timedelta(days=d)).isoformat()[:10]) for d in days]
    found = opened(*rows)
    assert sum(row["signals"] for row in found) == len(rows)
    for earlier, later in pairwise(found):
        first_period_start = later["opened_at"] - WEEK
        assert first_period_start - earlier["last_signal_at"] >= timedelta(days=14)


def test_incidents_and_events_are_rows_of_the_declared_tables():
    """When the incidents were looked at, and their runbook as it was then, is added by who looks."""
    tables = declared_tables(Path(__file__).parents[2] / "dbt_project")
    frame = incidents(signals(signal("2026-06-01")), NO_EVENTS, NOW).with_columns(
        looked_at=pl.lit(NOW), runbook_digest=pl.lit(None, pl.String)
    )
    assert dict(frame.schema) == dict(tables["incidents.incidents"].schema)
    assert tables["incidents.incident_events"].schema == EVENTS
