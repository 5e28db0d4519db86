"""Alerts and latency in the weekly review: what held at the end of the week, and what nobody can tell."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import polars as pl

from aiops_pipelines.incidents.review import weekly_review
from aiops_pipelines.incidents.review_alerts import present_alerts
from aiops_pipelines.incidents.review_inputs import ReviewInputs
from aiops_pipelines.incidents.review_service import service
from aiops_pipelines.resources.pages import review_page
from aiops_pipelines_tests.incidents.fourteen_weeks import NAME, WEEKS, at, inputs, table

WEEK = WEEKS[11]
DAILY = ("errors", "no_useful_outputs", "refusals", "latency_p95", "volume")


def state(rule: str, word: str, since: int, until: int | None = None) -> dict[str, Any]:
    """An alert's state from so many days after the week's Monday to so many."""
    ends = None if until is None else at(WEEK) + timedelta(days=until)
    return {
        "system": NAME,
        "rule": rule,
        "state": word,
        "since": at(WEEK) + timedelta(days=since),
        "until": ends,
        "evidence": f"{rule} is {word}.",
    }


def reviewed(*rows: dict[str, Any], percentiles: list[dict[str, Any]] | None = None) -> ReviewInputs:
    return replace(
        inputs(WEEK),
        alerts=table("monitoring.alerts", list(rows)),
        percentiles=table("monitoring.latency_percentiles", percentiles or []),
    )


def cells(r: ReviewInputs, title: str) -> list[tuple[Any, ...]]:
    [found] = [t for t in service(r).tables if t.title.startswith(title)]
    return list(found.rows)


def figure(r: ReviewInputs) -> Any:
    return next(one for one in service(r).figures if one.label == "Alerts open")


def test_the_state_at_the_end_of_the_week_counts_and_not_the_one_after_it() -> None:
    r = reviewed(state("errors", "ok", -20, 3), state("errors", "firing", 3, 9), state("errors", "ok", 9))
    assert service(r).tone == "bad"
    assert service(r).meaning.endswith("Firing at the end of the week: failures.")
    assert (figure(r).value, [row[:2] for row in cells(r, "Alerts")]) == (1, [("failures", "firing")])
    assert service(r).actions[0].tone == "bad"


def test_an_alert_that_opened_and_closed_within_the_week_is_still_told() -> None:
    r = reviewed(
        state("errors", "ok", -9, 1),
        state("errors", "firing", 1, 2),
        state("errors", "recovering", 2, 4),
        state("errors", "ok", 4),
    )
    assert [row[1] for row in cells(r, "Alerts")] == ["firing", "recovering", "ok"]
    assert figure(r).value == 0 and service(r).tone == service(inputs(WEEK)).tone


def test_the_reading_of_the_last_midnight_belongs_to_the_week_it_ends() -> None:
    r = reviewed(state("volume", "ok", -9, 7), state("volume", "firing", 7))
    assert [row[1] for row in cells(r, "Alerts")] == ["firing"]


def test_a_week_whose_weekend_was_free_is_read_by_its_working_days() -> None:
    of_week = [
        (state(rule, "no_data", -1, 1), state(rule, "ok", 1, 6), state(rule, "no_data", 6)) for rule in DAILY
    ]
    r = reviewed(*(row for rows in of_week for row in rows))
    assert "Too few calls" not in service(r).meaning and figure(r).value == 0
    assert figure(r).note.startswith("no data: failures")
    gone = [(state(rule, "ok", -6, 1), state(rule, "no_data", 1)) for rule in DAILY]
    silent = reviewed(
        *(row for rows in gone for row in rows)
    )  # what was read last is no reading of this week
    assert "Too few calls" in service(silent).meaning and figure(silent).value is None


def test_a_week_in_which_no_alert_had_data_is_not_well() -> None:
    unread = reviewed(*(state(rule, "no_data", -9) for rule in (*DAILY, "burn_rate_1h")))
    assert service(unread).tone == "unknown" and figure(unread).value is None
    assert "Too few calls for any alert to be judged." in service(unread).meaning
    one_read = reviewed(state("errors", "ok", -9), *(state(rule, "no_data", -9) for rule in DAILY[1:]))
    assert service(one_read).tone == "good" and figure(one_read).value == 0
    assert figure(one_read).note == "no data: no useful outputs, refusals, latency and missing calls"


def test_percentiles_have_intervals_or_a_reason() -> None:
    rows: list[dict[str, Any]] = [
        {"percentile": 0.95, "calls": 500, "value_ms": 3_100.0, "low_ms": 2_900.0, "high_ms": 3_400.0},
        {"percentile": 0.99, "calls": 500, "reason": "the 99th percentile needs 368 calls"},
        {"percentile": 0.5, "calls": 9, "period_start": at(WEEKS[10])},
        {"percentile": 0.5, "calls": 9, "endpoint": "chat"},
    ]
    base = {"system": NAME, "grain": "week", "period_start": at(WEEK), "endpoint": "", "metric": "latency"}
    shown = cells(reviewed(percentiles=[base | row for row in rows]), "How long")
    assert [(row[1].replace("\u00a0", ""), *row[2:]) for row in shown] == [
        ("95%", 500, 3_100.0, 2_900.0, 3_400.0, ""),
        ("99%", 500, None, None, None, "the 99th percentile needs 368 calls"),
    ]
    assert "3,400" in review_page(weekly_review(reviewed(percentiles=[base | row for row in rows])))


def test_the_present_is_told_in_sentences() -> None:
    rows = [state("errors", "ok", -9, 1), state("errors", "firing", 1), state("latency_p95", "recovering", 2),
            state("volume", "no_data", -9), state("burn_rate_1h", "no_data", -9), state("refusals", "ok", -9)]  # fmt: skip
    told = present_alerts(pl.DataFrame(rows).rows(named=True))
    assert [tone for tone, _ in told] == ["bad", "warn", "unknown"]
    assert (
        told[0][1]
        .replace("\u00a0", " ")
        .startswith("Alert on failures is firing since 18 Aug 2026 00:00 UTC: errors is")
    )
    assert told[2][1] == "No data for the alerts on missing calls: too few calls, or none."
    assert present_alerts([]) == []
