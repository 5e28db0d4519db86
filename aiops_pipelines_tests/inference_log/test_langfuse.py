"""Langfuse exports: spans joined in their trace, rows exported twice, scores, manifests, and odd usage."""

import json
from decimal import Decimal

import pytest

from aiops_pipelines.inference_log.langfuse import read
from aiops_pipelines.inference_log.langfuse_usage import langfuse_tokens
from aiops_pipelines.inference_log.record import TOKEN_COLUMNS
from aiops_pipelines_tests.inference_log.test_tokens import five

CALL = {
    "id": "g1", "trace_id": "t1", "type": "GENERATION", "start_time": "2026-06-01T12:00:01Z",
    "end_time": "2026-06-01T12:00:03Z", "completion_start_time": "2026-06-01T12:00:01.250Z", "name": "answer",
    "provided_model_name": "gpt-4o", "usage_details": {"input": 10, "output": 5, "total": 15},
    "cost_details": {"total": 0.25}, "input": "why?", "output": "because", "prompt_name": "help", "prompt_version": 7,
}  # fmt: skip
RETRIEVER = {
    "id": "r1", "trace_id": "t1", "type": "RETRIEVER", "start_time": "2026-06-01T12:00:00Z", "input": "why?",
    "output": [{"page_content": "it is so", "id": "c1", "metadata": {"source": "a.md"}}],
}  # fmt: skip
GUARDRAIL = {
    "id": "w1", "trace_id": "t1", "type": "GUARDRAIL", "start_time": "2026-06-01T12:00:00Z", "name": "shield",
    "output": {"action": "block", "category": "prompt_injection"},
}  # fmt: skip
TRACE = {
    "id": "t1", "timestamp": "2026-06-01T12:00:00Z", "name": "support", "user_id": "u1", "session_id": "s1",
    "tags": [], "public": False,
}  # fmt: skip


def batch_of(*rows):
    return read((number, json.dumps(row).encode()) for number, row in enumerate(rows, 1))


def test_a_trace_becomes_a_record_a_call_with_its_retrieval_guardrail_and_session():
    batch = batch_of(TRACE, RETRIEVER, GUARDRAIL, CALL)
    [record] = batch.records
    assert (record["event_id"], record["session_id"], record["user_id"]) == ("t1-g1", "s1", "u1")
    assert (record["endpoint"], record["prompt_version"], record["provider"]) == (
        "support",
        "help@7",
        "openai",
    )
    assert (record["latency_ms"], record["time_to_first_token_ms"]) == (2000, 250)
    assert record["retrieved"] == [{"chunk_id": "c1", "document": "a.md", "score": None}]
    assert record["guardrail_events"] == [
        {"guardrail": "shield", "category": "prompt_injection", "action": "block"}
    ]
    assert record["cost_reported_usd"] == Decimal("0.25")
    assert batch.ignored == {"retrieval": 1, "guardrail": 1}


def test_two_calls_of_a_trace_are_two_records():
    times = {"start_time": "2026-06-01T12:00:05Z", "end_time": "2026-06-01T12:00:06Z"}
    later = CALL | {"id": "g2", "completion_start_time": None, **times}
    between = RETRIEVER | {"id": "r2", "start_time": "2026-06-01T12:00:04Z", "output": [{"id": "c2"}]}
    records = batch_of(later, CALL, RETRIEVER, between).records
    assert [(r["event_id"], r["retrieved"][0]["chunk_id"]) for r in records] == [
        ("t1-g2", "c2"),
        ("t1-g1", "c1"),
    ]


def test_what_the_traces_file_says_is_kept_for_calls_of_other_files():
    [row] = batch_of(TRACE).traces
    assert row == {
        "trace_id": "t1",
        "session_id": "s1",
        "user_id": "u1",
        "endpoint": "support",
        "source_line": 1,
    }


def test_denormalised_observations_carry_their_trace():
    """The newer source of observations repeats the trace's fields on each row, in camelCase."""
    wide = {
        "id": "g1", "traceId": "t1", "type": "GENERATION", "startTime": "2026-06-01T12:00:01Z", "traceName": "support",
        "userId": "u1", "sessionId": "s1", "providedModelName": "gpt-4o", "usageDetails": {"input": 1, "output": 1},
    }  # fmt: skip
    [record] = batch_of(wide).records
    assert (record["endpoint"], record["session_id"], record["user_id"]) == ("support", "s1", "u1")
    assert record["tokens_total"] == 2


def test_a_row_of_two_windows_counts_once_as_it_was_updated_last():
    old, new = (
        CALL | {"updated_at": "2026-06-01T12:10"},
        CALL | {"updated_at": "2026-06-01T12:20", "output": "so"},
    )
    for rows in ((old, new, old), (new, old, new)):
        batch = batch_of(*rows)
        assert [record["answer"] for record in batch.records] == ["so"]
        assert (batch.ignored, batch.rejections) == ({"row exported again": 2}, [])


def test_cells_of_a_csv_file_are_text():
    text = {name: value if isinstance(value, str) else json.dumps(value) for name, value in CALL.items()}
    assert batch_of(text).records == batch_of(CALL).records


@pytest.mark.parametrize(
    ("score", "rating", "value"),
    [
        ({"name": "user-feedback", "value": 1, "source": "API"}, 1, 1.0),
        ({"name": "user-feedback", "value": 0, "source": "API"}, -1, 0.0),
        ({"name": "resolved", "value": 0, "data_type": "BOOLEAN", "source": "ANNOTATION"}, -1, 0.0),
        ({"name": "feedback", "string_value": "thumbs_down", "source": "API"}, -1, None),
        ({"name": "hallucination", "value": 1, "source": "EVAL"}, None, 1.0),
        ({"name": "stars rating", "value": 4, "source": "API"}, None, 4.0),
        ({"name": "latency", "value": 1, "source": "API"}, None, 1.0),
    ],
)
def test_only_what_a_person_said_is_a_rating(score, rating, value):
    row = {"id": "x", "trace_id": "t1", "observation_id": "g1", "timestamp": "2026-06-20T00:00:00Z", **score}
    [said] = batch_of(row).feedback
    assert (said["feedback_id"], said["event_id"], said["rating"], said["value"]) == (
        "x",
        "t1-g1",
        rating,
        value,
    )


def test_a_manifest_promises_rows():
    manifest = {"version": 1, "window": {}, "files": [{"key": "p/observations/1.jsonl.gz", "rowCount": 12}]}
    assert batch_of(manifest).promised == {"p/observations/1.jsonl.gz": 12}


def test_an_error_and_an_unknown_row():
    batch = batch_of(
        CALL | {"level": "ERROR", "status_message": "RateLimitError: slow down\nmore"}, {"id": 1}
    )
    assert [(r["status"], r["error_type"]) for r in batch.records] == [("error", "RateLimitError: slow down")]
    assert "none of these" in batch.rejections[0].reason


def test_audio_that_only_completes_the_total_is_input():
    assert five(langfuse_tokens({"input": 4, "input_audio": 6, "output": 2, "total": 12})) == (10, 0, 0, 2, 0)
    # An SDK that reports audio as a share of the input: the total decides.
    assert five(langfuse_tokens({"input": 10, "input_audio": 6, "output": 2, "total": 12})) == (
        10,
        0,
        0,
        2,
        0,
    )


def test_text_that_openinference_calls_cached_for_litellm_is_fresh():
    """Langfuse keeps the name and takes nothing off the input for it."""
    usage = {"input": 100, "output": 5, "total": 105, "prompt_details.cache_input": 100}
    [record] = batch_of(CALL | {"usage_details": usage}).records
    assert (record["input_uncached"], record["cache_read"]) == (100, 0)


@pytest.mark.parametrize("tier", ["flex", "priority"])
def test_a_tier_under_whose_name_langchain_counts(tier):
    """It takes each count off the input or the output that it hands to Langfuse."""
    counts = {
        f"input_{tier}_cache_read": 64,
        f"input_{tier}": 36,
        f"output_{tier}_reasoning": 15,
        f"output_{tier}": 5,
    }
    [record] = batch_of(CALL | {"usage_details": {"input": 0, "output": 0, "total": 120, **counts}}).records
    assert [record[name] for name in TOKEN_COLUMNS] == [36, 64, 0, 5, 15]
    assert record["service_tier"] == tier


def test_a_total_that_is_no_sum_is_flagged():
    assert langfuse_tokens({"input": 4, "output": 2, "total": 99}).convention == "ambiguous"
    assert langfuse_tokens({"output": 2}) is None


@pytest.mark.parametrize(
    "usage",
    [
        {"input": "600", "input_cached_tokens": "400", "output": "200", "total": "1200"},
        json.dumps({"input": "600", "input_cached_tokens": "400", "output": "200", "total": "1200"}),
        [{"key": "input", "value": 600}, {"key": "input_cached_tokens", "value": 400},
         {"key": "output", "value": 200}, {"key": "total", "value": 1200}],
    ],
    ids=["64-bit numbers as text", "in a cell", "a Parquet map"],
)  # fmt: skip
def test_usage_is_the_same_however_its_database_wrote_it(usage):
    batch = batch_of(CALL | {"usage_details": usage, "cost_details": [{"key": "total", "value": "0.25"}]})
    assert batch.rejections == []
    [record] = batch.records
    counts = ("input_uncached", "cache_read", "output_visible", "tokens_total", "token_convention")
    assert [record[name] for name in counts] == [600, 400, 200, 1200, "disjoint"]
    assert record["cost_reported_usd"] == Decimal("0.25")


def test_a_time_that_no_column_holds_sets_its_row_aside():
    batch = batch_of(
        CALL | {"completion_start_time": None, "time_to_first_token": 10**400}, CALL | {"id": "g2"}
    )
    assert (len(batch.records), len(batch.rejections)) == (1, 1)
