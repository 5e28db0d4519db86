"""Incidents that people open: what can be reported, under which number, and that no signal meddles with it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from aiops_pipelines.incidents.course import EVENTS, IncidentError
from aiops_pipelines.incidents.lifecycle import changes, incidents
from aiops_pipelines.incidents.reported import LONGEST, PERSON, REPORTED, REPORTS, RULE, new_report
from aiops_pipelines.incidents.rules import SIGNALS

NOW = datetime(2026, 9, 7, 10, tzinfo=UTC)  # a Monday
BEGAN = NOW - timedelta(hours=30)
TOLD = {
    "system": "desk",
    "severity": "P2",
    "title": "Refunds are promised",
    "seen": "Two customers were promised a full refund.",
    "began_at": BEGAN,
    "ended_at": None,
    "calls": ["e2", "e1", "e2"],
    "reporter": "Mira",
}
NONE = pl.DataFrame(schema=REPORTS)


def report(**told: Any) -> pl.DataFrame:
    return new_report(TOLD | told, NONE, NOW)[1]


def event(number: str, what: str, at: datetime, reason: str = "") -> dict[str, Any]:
    return {
        "system": "desk",
        "incident_id": number,
        "at": at,
        "event": what,
        "actor": "Ken",
        "reason": reason,
    }


def seen(
    reports: pl.DataFrame,
    *events: dict[str, Any],
    signals: pl.DataFrame | None = None,
    at: datetime = NOW,
    **known: Any,
) -> pl.DataFrame:
    nothing = pl.DataFrame(schema=SIGNALS)
    happened = pl.DataFrame(list(events), schema=EVENTS)
    return incidents(
        nothing if signals is None else signals,
        happened,
        at,
        {REPORTED: "reported", "latency": "latency"},
        reports=reports,
        **known,
    )


def signal(start: datetime, cause: str) -> dict[str, Any]:
    said = {
        "signal": "slow",
        "subject": "",
        "cause": cause,
        "severity": "P1",
        "value": 2.0,
        "limit_value": 1.0,
    }
    return {
        "system": "desk",
        "period_start": start,
        "period_end": start + timedelta(days=1),
        "evidence": "Slow.",
    } | said


def test_a_report_is_an_incident_with_clocks_and_a_runbook_from_the_moment_it_is_made() -> None:
    [row] = seen(report()).rows(named=True)
    assert (row["source"], row["severity"], row["status"], row["runbook"]) == (
        PERSON,
        "P2",
        "open",
        "reported",
    )
    assert (row["opened_at"], row["began_at"], row["reported_by"]) == (NOW, BEGAN, "Mira")
    assert row["acknowledge_due_at"] == NOW + timedelta(hours=1)  # P2, in business hours
    assert row["evidence"] == (
        "Two customers were promised a full refund. It began 6\u00a0Sep\u00a02026 04:00\u00a0UTC. "
        "Reported by Mira, of 2 inferences: e1, e2."
    )
    assert seen(report(), at=NOW - timedelta(minutes=1)).is_empty()  # it has not happened yet
    news = changes(seen(NONE), seen(report()), NOW - timedelta(hours=1), NOW)
    assert news["change"].to_list() == ["opened"]


def test_the_same_report_again_adds_nothing_and_another_under_its_number_is_refused() -> None:
    number, first = new_report(TOLD, NONE, NOW)
    again = TOLD | {"title": "  Refunds   are promised ", "calls": ["e1", "e2"]}
    later = NOW + timedelta(days=1)
    assert new_report(again, first, later)[0] == number and new_report(again, first, later)[1].is_empty()
    for changed in ({"severity": "P1"}, {"seen": "Three."}, {"calls": []}, {"reporter": "Ken"}):
        with pytest.raises(IncidentError, match=r"but with another \w+\. The first report stands"):
            new_report(TOLD | changed, first, later)
    for other in ({"title": "Others"}, {"began_at": BEGAN - timedelta(hours=1)}, {"system": "shop"}):
        assert new_report(TOLD | other, first, later)[0] != number


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"severity": "P4"}, r"'P4' is no severity; there are P1 \(no useful outputs\), P2"),
        ({"title": " \n "}, "opened with a title; give --title"),
        ({"seen": ""}, "opened with what was seen; give --seen"),
        ({"reporter": " "}, "opened with who reports it; give --by"),
        ({"title": "x" * (LONGEST["title"] + 1)}, "--title has 121 characters; say it in 120"),
        ({"seen": "x" * (LONGEST["seen"] + 1)}, "--seen has 2,001 characters; say it in 2,000"),
        ({"began_at": NOW + timedelta(seconds=1)}, "--began .* is not over yet; it is 7.Sep.2026 10:00"),
        ({"ended_at": NOW + timedelta(seconds=1)}, "--until .* is not over yet"),
        ({"ended_at": BEGAN - timedelta(seconds=1)}, "--until lies before --began"),
        ({"calls": [f"{n:036}" for n in range(2_000)]}, "--call names 2,000 inferences; name those that"),
    ],
)
def test_a_report_that_cannot_be_says_what_to_do(told: dict[str, Any], said: str) -> None:
    with pytest.raises(IncidentError, match=said):
        report(**told)


def test_no_signal_joins_reopens_or_calms_what_a_person_opened() -> None:
    number, reports = new_report(TOLD, NONE, NOW)
    done = event(number, "resolved", NOW + timedelta(hours=1), "Mended.")
    after = NOW + timedelta(days=3)
    signals = pl.DataFrame(
        [signal(BEGAN, "latency"), signal(NOW + timedelta(hours=2), REPORTED)], schema=SIGNALS
    )
    calm = pl.DataFrame(
        {
            "system": ["desk"],
            "signal": ["slow"],
            "subject": [""],
            "period_start": [NOW],
            "period_end": [after],
        }
    )
    rows = {
        row["incident_id"]: row
        for row in seen(reports, done, signals=signals, at=after, calm=calm).rows(named=True)
    }
    assert len(rows) == 3
    mine = rows.pop(number)
    assert (mine["status"], mine["severity"], mine["signals"]) == ("resolved", "P2", 0)
    assert "held since" not in mine["evidence"] and "Slow." not in mine["evidence"]
    assert {row["source"] for row in rows.values()} == {RULE}
    [slow] = [row for row in rows.values() if row["cause"] == "latency"]
    assert slow["began_at"] == BEGAN and slow["reported_by"] is None


def test_its_course_is_that_of_any_incident() -> None:
    number, reports = new_report(TOLD, NONE, NOW)
    acknowledged = event(number, "acknowledged", NOW + timedelta(minutes=10))
    reopened = event(number, "reopened", NOW + timedelta(hours=5), "It is back.")
    [row] = seen(
        reports,
        acknowledged,
        event(number, "mitigated", NOW + timedelta(hours=1)),
        reopened,
        at=NOW + timedelta(hours=5),
    ).rows(named=True)
    assert (row["status"], row["acknowledged_at"], row["reopened"]) == ("open", None, 1)
    assert row["acknowledge_due_at"] == NOW + timedelta(hours=6)
    [refused] = seen(reports, event(number, "resumed", NOW)).rows(named=True)
    assert refused["evidence"].endswith(
        f"An event was set aside: {number} is open, so it cannot be resumed; it can be acknowledged or mitigated or resolved or paused."
    )
