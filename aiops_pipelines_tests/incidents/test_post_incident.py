"""The draft of a post-incident review, against times worked out by hand."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from aiops_pipelines.incidents.course import EVENTS
from aiops_pipelines.incidents.legal_clocks import legal_clocks
from aiops_pipelines.incidents.legal_events import LEGAL_EVENTS
from aiops_pipelines.incidents.lifecycle import incidents, signals_of
from aiops_pipelines.incidents.post_incident import Known, draft, plain, span
from aiops_pipelines.incidents.rules import SIGNALS

NOW = datetime(2026, 6, 10, 12, tzinfo=UTC)
EVIL = "![x](https://example.com/?q=1) <script> | \x1b[31m"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def known(signals: int = 1, acted: bool = True) -> Known:
    """An outage of Monday 8 June 2026, seen at 10:00, acknowledged at 10:20 and resolved at 12:05."""
    rows = [
        ("s", at("2026-06-08T00:00"), at("2026-06-08T10:00") + timedelta(minutes=n), "no_useful_outputs", "",
         "errors", "P1", 0.9, 0.5, EVIL)
        for n in range(signals)
    ]  # fmt: skip
    found = pl.DataFrame(rows, schema=SIGNALS, orient="row")
    number = incidents(found, pl.DataFrame(schema=EVENTS), NOW)["incident_id"].item()
    done = [
        ("s", number, at("2026-06-08T10:20"), "acknowledged", "mira", "On it."),
        ("s", number, at("2026-06-08T12:05"), "resolved", "mira", f"Key renewed. {EVIL}"),
    ]
    events = pl.DataFrame(done if acted else [], schema=EVENTS, orient="row")
    (row,) = incidents(found, events, NOW, {"errors": "errors"}).rows(named=True)
    told = {
        "change": "opened",
        "place": "slack-1a2b3c4d",
        "queued_at": at("2026-06-08T10:05"),
        "sent_at": NOW,
    }
    answer = json.dumps({"columns": ["error"], "rows": [[EVIL], [None]]})
    asked = {
        "asked_at": at("2026-06-08T10:05"),
        "position": 1,
        "question": "Which?",
        "answer": answer,
        "failure": None,
    }
    later = asked | {"asked_at": NOW, "question": "Asked again?"}
    return Known(row, signals_of(number, found), events, pl.DataFrame([told]), pl.DataFrame([asked, later]))


def test_times_and_clocks_are_those_of_the_record():
    """P1: 15 minutes, 1 hour and 8 hours from 10:00, so only the last was met."""
    text = draft(known(), "Desk", NOW)
    assert "detect: 10 h 5 min" in text
    assert "acknowledge: 20 min; its clock was due 8\xa0Jun\xa02026 10:15\xa0UTC: missed" in text
    assert "mitigate: 2 h 5 min; its clock was due 8\xa0Jun\xa02026 11:00\xa0UTC: missed" in text
    assert "resolve: 2 h 5 min; its clock was due 8\xa0Jun\xa02026 18:00\xa0UTC: met" in text


def test_what_was_not_done_is_not_yet():
    text = draft(known(acted=False), "Desk", NOW)
    assert "acknowledge: not yet" in text and "resolve: not yet" in text


def test_the_timeline_is_in_order_and_people_stand_in_it():
    text = draft(known(), "Desk", NOW)
    parts = (
        "10:00 signal",
        "10:05 announced: opened, sent to slack",
        "10:20 acknowledged by mira",
        "12:05 resolved",
    )
    assert [text.index(part) for part in parts] == sorted(text.index(part) for part in parts)


def test_many_signals_are_counted():
    assert "the last of 3 more signals" in draft(known(signals=13), "Desk", NOW)


def test_the_answers_are_those_that_were_there_when_it_opened():
    text = draft(known(), "Desk", NOW)
    assert "**Which?**\n\n| error |\n| --- |\n| " in text and "Asked again?" not in text


def test_nothing_from_outside_is_active():
    text = draft(known(), EVIL, NOW)
    assert not re.search(r"(?<!\\)[\]<|]\(?[hs]", text) and "\x1b" not in text
    assert plain("a | b") == r"a \| b"


@pytest.mark.parametrize(("minutes", "written"), [(0, "0 min"), (59, "59 min"), (1565, "26 h 5 min")])
def test_a_span_is_written_in_hours_and_minutes(minutes, written):
    assert span(timedelta(minutes=minutes)) == written


def test_signals_of_an_incident_that_moved_are_none():
    assert signals_of("INC-gone", known().signals).is_empty()


def test_what_the_law_asks_for_stands_in_the_review():
    row = known().incident
    when = at("2026-06-08T11:00")
    said = {name: row[name] for name in ("system", "incident_id")} | {"recorded_at": NOW, "regime": "gdpr"}
    said |= {"event": "aware", "at": when, "actor": "mira", "reason": EVIL}
    events = pl.DataFrame([said], schema=LEGAL_EVENTS)
    clocks = legal_clocks(pl.DataFrame([row]), events, ["gdpr"], ZoneInfo("UTC"), at("2026-06-08T12:30"))
    text = draft(replace(known(), legal_events=events, legal_clocks=clocks), "Desk", NOW)
    assert "## What the law asks for\n\n- GDPR 33(1) notification: by 11" in text
    assert "Not legal advice" in text and "11:00 aware under gdpr, recorded" in text and "\x1b" not in text
    assert "law" not in draft(known(), "Desk", NOW)
