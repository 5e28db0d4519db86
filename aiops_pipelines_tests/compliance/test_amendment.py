"""What arrived after a report, which of it moved a figure, and the amendment that says so."""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from aiops_pipelines.compliance.amendment import Amended, amendment
from aiops_pipelines.compliance.arrivals import DERIVED, UNEXPLAINED, Stored, arrivals, why
from aiops_pipelines.compliance.editions import changed, edition_rows, said
from aiops_pipelines.compliance.figures import Figure, figures
from aiops_pipelines.compliance.report import canonical_json
from aiops_pipelines_tests.compliance.august import MONTH, NAME, audit_log, day, evidence, inferences
from aiops_pipelines_tests.incidents.fourteen_weeks import table

SINCE = datetime(2026, 9, 1, 8, tzinfo=UTC)
KNOWN = figures(evidence())
BEFORE = said(edition_rows(NAME, MONTH, 0, KNOWN), 0)


def call(
    event_id: str, occurred_at: datetime, ingested_at: datetime, file: str = "a.jsonl"
) -> dict[str, Any]:
    return {"system": NAME, "event_id": event_id, "trace_id": f"t-{event_id}", "occurred_at": occurred_at,
            "ingested_at": ingested_at, "source_file": file}  # fmt: skip


PUNCTUAL = [call(f"call-{n}", day(3 + n), day(3 + n)) for n in range(10)]
LATE = [
    call("late-1", day(4), SINCE + timedelta(days=2), "b.jsonl"),
    call("late-2", day(24), SINCE + timedelta(days=12, hours=1), "c.jsonl"),
]
NEIGHBOUR = call("september", datetime(2026, 9, 2, tzinfo=UTC), SINCE + timedelta(days=2))


def stored(calls: list[dict[str, Any]], **frames: list[dict[str, Any]]) -> Stored:
    names = {"feedback": "inference_log.feedback", "prices": "costs.price_edits",
             "weeks": "operations.completed_periods", "events": "incidents.incident_events"}  # fmt: skip
    others = {name: table(path, frames.get(name, [])) for name, path in names.items()}
    return Stored(table("inference_log.inferences", calls), **others)


def found(calls: list[dict[str, Any]], **frames: list[dict[str, Any]]) -> dict[str, str]:
    return arrivals(evidence(), stored(calls, **frames), SINCE, BEFORE)


def test_nothing_late_is_nothing_to_say() -> None:
    before = [{"system": NAME, "feedback_id": "f", "event_id": "call-1", "ingested_at": SINCE}]
    assert found([*PUNCTUAL, NEIGHBOUR], feedback=before) == {}


def test_late_calls_are_counted_with_their_time_delay_and_file() -> None:
    assert found([*PUNCTUAL, *LATE, NEIGHBOUR])["calls"].replace("\u00a0", " ") == (
        "2 calls of the month arrived between 3 Sep 2026 08:00 UTC and 13 Sep 2026 09:00 UTC, "
        "up to 29 days after they were made; from b.jsonl and c.jsonl."
    )


def test_calls_that_are_gone_are_missed() -> None:
    assert found(PUNCTUAL[:7]) == {"gone": "3 calls that the last edition counted can no longer be found."}


@pytest.mark.parametrize("about", [{"event_id": "call-3"}, {"trace_id": "t-call-3"}], ids=["event", "trace"])
def test_late_feedback_on_a_call_of_the_month_is_found_and_on_others_not(about: dict[str, str]) -> None:
    late = {"system": NAME, "feedback_id": "f", "ingested_at": SINCE + timedelta(hours=2)}
    assert found(PUNCTUAL, feedback=[late | about])["feedback"].startswith("1 rating or score of calls")
    assert found([*PUNCTUAL, NEIGHBOUR], feedback=[late | {"event_id": "september"}]) == {}


def test_prices_weeks_incidents_and_decisions_are_named() -> None:
    later = SINCE + timedelta(days=1)
    frames = {
        "prices": [{"system": NAME, "entry": "gpt-x from 2026-08-01", "noticed_at": later},
                   {"system": NAME, "entry": "old", "noticed_at": SINCE}],
        "weeks": [{"system": NAME, "period": date(2026, 8, 3), "completed_at": later},
                  {"system": NAME, "period": date(2026, 8, 31), "completed_at": later}],
        "events": [{"system": NAME, "incident_id": "INC-1", "at": later}],
    }  # fmt: skip
    told = found(PUNCTUAL, **frames)
    assert told["prices"] == "The prices changed: gpt-x from 2026-08-01."
    assert told["weeks"].replace("\u00a0", " ") == "Worked through again: the week of 3 Aug 2026."
    assert told["incidents"] == "People recorded what they did with INC-1."
    log = pl.concat(
        [
            audit_log(),
            audit_log().filter(pl.col("entry_index") == 7).with_columns(entry_index=pl.lit(9, pl.Int64)),
        ]
    )
    late = arrivals(evidence(audit_log=log), stored(PUNCTUAL), SINCE, BEFORE)
    assert late == {"decisions": "1 decision of the month came into the audit log late."}


def figure(key: str) -> Figure:
    return KNOWN[key]


def test_a_figure_is_blamed_on_what_can_move_it_alone() -> None:
    both = {"calls": "...", "prices": "...", "feedback": "..."}
    assert why(figure("record.inferences"), both) == "late calls"
    assert why(figure("record.cost_usd"), both) == "late calls and price edits"
    assert why(figure("quality.rated_down"), both) == "late calls and late feedback"
    assert why(figure("quality.degraded"), both) == UNEXPLAINED


def test_every_figure_of_the_month_has_tables_whose_rows_have_a_source() -> None:
    for key, known in KNOWN.items():
        assert known.to_date or any(name in known.sql for name in DERIVED), key


def document(number: int = 1) -> dict[str, Any]:
    late = pl.concat(
        [
            inferences(),
            inferences().tail(1).with_columns(event_id=pl.lit("late-1"), occurred_at=pl.lit(day(4))),
        ]
    )
    e = evidence(inferences=late.cast(inferences().schema))
    now = figures(e)
    before = BEFORE | ({"record.inferences": 9} if number > 1 else {})
    report = {"json_file": "r.json", "json_sha256": "ab", "published_at": SINCE}
    of = Amended(report, BEFORE, before, number)
    told = arrivals(e, stored([*PUNCTUAL, LATE[0]]), SINCE, BEFORE)
    return amendment(e, of, changed(before, now), now, told, SINCE + timedelta(days=3))


def test_an_amendment_says_what_changed_from_what_to_what_and_why() -> None:
    made = document()
    changes = {row["key"]: (row["published"], row["value"], row["why"]) for row in made["changes"]}
    assert changes["record.inferences"] == (10, 11, "late calls")
    assert changes["record.unpriced"] == (2, 3, "late calls")
    assert changes["record.audited"][:2] == (0.6, pytest.approx(6 / 11))
    assert "record.cost_usd" not in changes and "integrity.tree_size" not in changes
    assert made["headline"].startswith("Amendment 1 to the report of August")
    assert made["unchanged"] + len(changes) == sum(not known.to_date for known in KNOWN.values())
    assert made["amends"]["published_at"] == "2026-09-01T08:00:00+00:00"
    assert json.loads(canonical_json(made)) == made


def test_a_second_amendment_says_what_the_first_said_as_well() -> None:
    [row] = [row for row in document(2)["changes"] if row["key"] == "record.inferences"]
    assert (row["published"], row["before"], row["value"]) == (10, 9, 11)


def test_a_control_whose_evidence_came_late_changes_its_status() -> None:
    silent = {
        key: None if key.startswith(("guardrails.", "adversarial.")) else value
        for key, value in BEFORE.items()
    }
    report = {"json_file": "r.json", "json_sha256": "ab", "published_at": SINCE}
    of = Amended(report, silent, silent, 1)
    made = amendment(evidence(), of, changed(silent, KNOWN), KNOWN, {}, SINCE)
    assert [(row["id"], row["before"], row["now"]) for row in made["controls"]] == [
        ("R19", "NOT EVIDENCED", "EVIDENCED")
    ]
    assert made["why"] == ["Nothing that was stored since explains the change."]
    assert {row["why"] for row in made["changes"]} == {UNEXPLAINED}


def test_the_status_of_no_control_moves_when_only_values_do() -> None:
    assert document()["changes"] and document()["controls"] == []
