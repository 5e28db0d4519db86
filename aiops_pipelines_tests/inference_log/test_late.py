"""Ratings and traces that are read before or after their calls find them; the last word counts."""

import json
from datetime import UTC, datetime

import polars as pl
import pytest

from aiops_pipelines.inference_log import aiops_jsonl, langfuse
from aiops_pipelines.inference_log.feedback import FEEDBACK, TRACES, feedback_row
from aiops_pipelines.inference_log.ingestion import land
from aiops_pipelines.inference_log.late import feedback_rows, trace_rows, with_late_facts
from aiops_pipelines.inference_log.reading import LogFile, Reading
from aiops_pipelines.inference_log.record import Batch, RecordError
from aiops_pipelines.inference_log.source import Source

NOW = datetime(2026, 7, 1, tzinfo=UTC)
SOURCE = Source("s", "langfuse", NOW, b"k" * 32)
READING = Reading(LogFile("scores.jsonl", 1, 1, b""))
CALLS = [("t1-a", "t1", "c1", 1), ("t1-b", "t1", "c1", 2), ("t2-a", "t2", "c2", 3), ("t3-x", "t3", None, 4)]


def calls(extra=()):
    rows = [
        {
            "event_id": event,
            "trace_id": trace,
            "session_id": session,
            "occurred_at": f"2026-06-0{day}T00:00:00Z",
        }
        for event, trace, session, day in CALLS
    ]
    batch = aiops_jsonl.read((n, json.dumps(row | dict(extra)).encode()) for n, row in enumerate(rows, 1))
    return land(batch, READING, SOURCE).inferences


def feedback(*rows):
    return feedback_rows(Batch(feedback=[feedback_row(row, 1) for row in rows]), READING, SOURCE)


def ratings(said):
    joined = with_late_facts(calls(), said, pl.DataFrame(schema=TRACES))
    assert joined.columns == calls().columns
    return dict(joined.select("event_id", "rating").drop_nulls().iter_rows())


@pytest.mark.parametrize(
    ("about", "event"),
    [
        ({"event_id": "t1-a"}, "t1-a"),
        ({"trace_id": "t1", "call_id": "a"}, "t1-a"),
        ({"call_id": "x"}, "t3-x"),
        ({"trace_id": "t1"}, "t1-b"),
        ({"session_id": "c1"}, "t1-b"),
    ],
)
def test_feedback_finds_its_call(about, event):
    assert ratings(feedback({"name": "rating", "rating": -1, **about})) == {event: -1}


def test_the_rating_given_last_counts_and_scores_without_rating_do_not():
    said = [
        {"event_id": "t1-a", "rating": 1, "given_at": datetime(2026, 6, 9, tzinfo=UTC), "feedback_id": "1"},
        {"event_id": "t1-a", "rating": -1, "given_at": datetime(2026, 6, 8, tzinfo=UTC), "feedback_id": "2"},
        {"event_id": "t1-a", "name": "toxicity", "value": 1.0, "given_at": NOW},
        {"event_id": "gone", "rating": 1},
    ]
    assert ratings(feedback(*said)) == {"t1-a": 1}
    assert ratings(feedback(*said[::-1])) == {"t1-a": 1}


def test_a_call_keeps_the_rating_it_was_logged_with():
    joined = with_late_facts(
        calls({"rating": 1}), feedback({"event_id": "t1-a", "rating": -1}), pl.DataFrame(schema=TRACES)
    )
    assert joined["rating"].to_list() == [1] * 4


def test_what_is_said_of_a_trace_is_about_its_last_answer_not_about_an_embedding():
    said = feedback({"name": "rating", "rating": -1, "trace_id": "t1"})
    [last] = calls().filter(event_id="t1-b").with_columns(operation=pl.lit("embeddings")).rows(named=True)
    log = pl.concat(
        [calls().filter(pl.col("event_id") != "t1-b"), pl.DataFrame([last], schema=calls().schema)]
    )
    joined = with_late_facts(log, said, pl.DataFrame(schema=TRACES)).drop_nulls("rating")
    assert joined["event_id"].to_list() == ["t1-a"]


def test_traces_fill_what_calls_leave_open():
    row = {
        "id": "t3",
        "timestamp": "2026-06-04T00:00:00Z",
        "name": "help",
        "session_id": "c9",
        "user_id": "u9",
        "tags": [],
    }
    batch = langfuse.read([(1, json.dumps(row).encode())])
    joined = with_late_facts(calls(), pl.DataFrame(schema=FEEDBACK), trace_rows(batch, READING, SOURCE))
    found = joined.select("event_id", "session_id", "user_id", "endpoint").rows()
    assert found == [
        ("t1-a", "c1", None, None),
        ("t1-b", "c1", None, None),
        ("t2-a", "c2", None, None),
        ("t3-x", "c9", "u9", "help"),
    ]


def test_personal_data_of_feedback_never_leaves_and_still_joins():
    """The session of call and score is an address: both get the same pseudonym."""
    said = feedback(
        {"session_id": "jane@example.com", "name": "rating", "rating": 1, "label": "jane@example.com"}
    )
    assert "jane" not in str(said.rows())
    rows = calls({"session_id": "jane@example.com"})
    joined = with_late_facts(rows, said, pl.DataFrame(schema=TRACES))
    assert dict(joined.select("event_id", "rating").drop_nulls().iter_rows()) == {"t3-x": 1}


def test_the_name_of_a_score_holds_nobody():
    said = [{"event_id": "t1-a", "value": n, "feedback_id": f"{n}-jane@example.com"} for n in (1, 2)]
    found = feedback(*said)["feedback_id"]
    assert found.n_unique() == 2 and not found.str.contains("jane").any()


@pytest.mark.parametrize("named", ["\ud800", "a\0b"])
def test_a_score_whose_name_cannot_be_stored_is_refused(named):
    with pytest.raises(RecordError, match="feedback_id"):
        feedback({"event_id": "t1-a", "value": 1, "feedback_id": named})


@pytest.mark.parametrize("odd", [["s"], {"a": 1}, "s\ud800"])
def test_a_trace_whose_session_cannot_be_stored_is_set_aside(odd):
    batch = langfuse.read(
        [(1, json.dumps({"trace": {"id": "t1", "session_id": odd}, "observations": []}).encode())]
    )
    assert (batch.traces, len(batch.rejections)) == ([], 1)


def test_feedback_on_nothing_is_refused():
    with pytest.raises(RecordError, match="names no call"):
        feedback_row({"name": "rating", "rating": 1}, 1)


def test_the_projects_own_lines_carry_feedback():
    lines = [
        {"feedback_on": "e1", "rating": -1, "given_at": "2026-06-20T00:00:00Z"},
        {"feedback_on": "e1", "colour": 1},
    ]
    batch = aiops_jsonl.read((n, json.dumps(one).encode()) for n, one in enumerate(lines, 1))
    assert [(row["event_id"], row["rating"]) for row in batch.feedback] == [("e1", -1)]
    assert batch.rejections[0].reason == "Feedback has unknown fields: colour."
