"""From days of calls to an incident, the one way there is: readings, signals, one incident; and the control."""

from datetime import UTC, datetime

import polars as pl

from aiops_pipelines.incidents.facts import Facts
from aiops_pipelines.incidents.lifecycle import incidents
from aiops_pipelines.incidents.rules import calm_periods, signals
from aiops_pipelines.monitoring.alerts import alert_readings
from aiops_pipelines.monitoring.daily_alerts import Day
from aiops_pipelines.systems import Limits
from aiops_pipelines_tests.monitoring.service_worlds import MONDAY, NO_BINS, read, stream

LAST, NOW = 55, datetime(2026, 7, 27, tzinfo=UTC)
NO_EVENTS = pl.DataFrame(
    schema={
        "system": pl.String,
        "incident_id": pl.String,
        "action": pl.String,
        "at": pl.Datetime("us", "UTC"),
    }
)


def opened(changed: dict[int, dict[str, float]]) -> pl.DataFrame:
    facts = Facts("s", NOW, alert_readings=read(stream(LAST + 1, 200, 1, changed), LAST))
    found, calm = signals(facts, Limits()), calm_periods(facts, Limits())
    return incidents(found, NO_EVENTS, NOW, calm=calm).select("cause", "severity", "opened_at", "signals")


def test_a_flapping_fault_is_one_incident_and_a_stable_service_is_none() -> None:
    every_second = {n: {"errors": 0.15} for n in range(35, 48, 2)}
    assert opened(every_second).rows() == [("errors", "P2", datetime(2026, 7, 7, tzinfo=UTC), 7)]
    assert opened({}).is_empty()


def test_an_outage_is_one_incident_of_the_first_severity() -> None:
    outage = {n: {"errors": 0.8} for n in range(35, 38)}
    assert opened(outage).rows() == [("errors", "P1", datetime(2026, 7, 7, tzinfo=UTC), 3)]


def test_a_day_of_blank_answers_is_an_outage_and_some_of_them_are_none() -> None:
    blank = {35: {"blank": 0.9}, 36: {"blank": 1.0}}
    assert opened(blank).rows() == [("errors", "P1", datetime(2026, 7, 7, tzinfo=UTC), 2)]
    assert opened({n: {"blank": 0.3} for n in range(28, LAST)}).is_empty()


def test_an_outage_that_begins_and_ends_within_a_day_is_still_one_incident() -> None:
    creeping = {35: {"errors": 0.2}, 36: {"errors": 1.0}, 37: {"errors": 0.9}, 38: {"errors": 0.2}}
    assert opened(creeping).rows() == [("errors", "P1", datetime(2026, 7, 7, tzinfo=UTC), 4)]


def test_an_incident_of_the_morning_is_still_there_in_the_evening() -> None:
    """Who was called at one in the morning finds the incident when most calls of the day went well."""
    outage, day = {MONDAY: Day(MONDAY, 12, 12)}, {MONDAY: Day(MONDAY, 2_000, 12)}
    stored, known = None, None
    for calls, now in (
        (outage, datetime(2026, 6, 1, 1, tzinfo=UTC)),
        (day, datetime(2026, 6, 1, 18, tzinfo=UTC)),
        (day, datetime(2026, 6, 2, 9, tzinfo=UTC)),
    ):
        stored = alert_readings("s", calls, NO_BINS, {}, Limits(), now, stored)
        facts = Facts("s", now, alert_readings=stored)
        found, calm = signals(facts, Limits()), calm_periods(facts, Limits())
        known = incidents(found, NO_EVENTS, now, calm=calm, known=known)
        at = datetime(2026, 6, 1, 1, tzinfo=UTC)
        assert known.select("cause", "severity", "opened_at", "signals").rows() == [("errors", "P1", at, 1)]
