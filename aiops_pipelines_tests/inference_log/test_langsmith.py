"""Runs as LangSmith's client sent them, and as its API and its bulk export are documented."""

import json
from decimal import Decimal

import pytest

from aiops_pipelines.inference_log.formats import detected
from aiops_pipelines.inference_log.langsmith import read

TURNS = [
    {"role": "system", "content": "Answer in one sentence."},
    {"role": "user", "content": "Where is my parcel?"},
]
MESSAGE = {"role": "assistant", "content": "It is on its way."}
USAGE = {
    "input_tokens": 2_000, "output_tokens": 40, "total_tokens": 2_040, "input_token_details": {"cache_read": 1_536},
    "output_token_details": {"reasoning": 12},
}  # fmt: skip
CALL = {
    "id": "s2", "trace_id": "t1", "parent_run_id": "s1", "dotted_order": "20260601T120000000000Zs1.20260601T120000100000Zs2",
    "name": "ChatOpenAI", "run_type": "llm", "session_id": "of the project", "session_name": "p", "error": None,
    "start_time": "2026-06-01T12:00:00.100000", "end_time": "2026-06-01T12:00:01.600000", "first_token_time": "2026-06-01T12:00:00.310000",
    "extra": {"metadata": {"ls_provider": "openai", "ls_model_name": "gpt-5", "thread_id": "thread-1", "user_id": "u-1"}},
    "inputs": {"messages": TURNS, "model": "gpt-5"}, "total_cost": "0.0012", "outputs": {
        "id": "chatcmpl-1", "choices": [{"index": 0, "finish_reason": "stop", "message": MESSAGE}],
        "model": "gpt-5-2025-08-07", "usage_metadata": USAGE,
    },
    "feedback_stats": {"right": {"n": 2, "avg": 0.5, "values": {}}, "tone": {"n": 1, "avg": None, "values": {"kind": 1}}},
}  # fmt: skip
FAILED = CALL | {
    "id": "s3", "outputs": {"output": None}, "first_token_time": None, "prompt_tokens": 0, "total_tokens": 0, "total_cost": None,
    "error": "BadRequestError('Error code: 400')\n\nTraceback (most recent call last):\n  File a\nopenai.BadRequestError: 400",
}  # fmt: skip
ROOT = CALL | {
    "id": "s1", "parent_run_id": None, "dotted_order": "20260601T120000000000Zs1", "name": "answer", "run_type": "chain",
    "start_time": "2026-06-01T12:00:00", "inputs": {"question": "Where is my parcel?"}, "outputs": {"output": "..."},
}  # fmt: skip
FOUND = ROOT | {
    "id": "s0", "parent_run_id": "s1", "name": "Retriever", "run_type": "retriever", "start_time": "2026-06-01T12:00:00.010000",
    "inputs": {"query": "Where is my parcel?"}, "feedback_stats": None, "outputs": {"documents": [
        {"type": "Document", "id": "c7", "page_content": "Parcels take two days.", "metadata": {"source": "shipping.md"}},
    ]},
}  # fmt: skip
TOKENS = ("input_uncached", "cache_read", "cache_write", "output_visible", "reasoning", "tokens_total")


def batch_of(*rows):
    raw = ((number, json.dumps(row).encode()) for number, row in enumerate(rows, 1))
    return read(raw, lambda text, model: (len(text.split()), True))


def as_text(row):
    return {k: json.dumps(v) if isinstance(v, dict | list) else v for k, v in row.items()}


@pytest.mark.parametrize("row", [CALL, as_text(CALL)])
def test_a_call_and_a_failed_one(row):
    assert detected([row]) == "langsmith"
    call, failed = batch_of(row, FAILED).records
    assert call["occurred_at"].isoformat() == "2026-06-01T12:00:00.100000+00:00"
    assert (call["event_id"], call["latency_ms"], call["time_to_first_token_ms"]) == ("t1-s2", 1_500, 210)
    assert [call[column] for column in TOKENS] == [464, 1_536, 0, 28, 12, 2_040]
    assert (call["query"], call["answer"]) == ("Where is my parcel?", MESSAGE["content"])
    assert (call["provider"], call["model_requested"]) == ("openai", "gpt-5")
    assert (call["model_served"], call["cost_reported_usd"]) == ("gpt-5-2025-08-07", Decimal("0.0012"))
    assert (call["session_id"], call["user_id"], call["status"]) == ("thread-1", "u-1", "ok")
    assert call["system_prompt_tokens"] > 0 == call["tools_tokens"]
    assert (failed["status"], failed["error_type"], failed["tokens_total"]) == (
        "error",
        "BadRequestError",
        None,
    )


def test_a_call_is_joined_with_what_was_retrieved_for_it_and_with_its_root():
    for document in ({"runs": [ROOT, FOUND, CALL], "cursors": {"next": None}}, [CALL, FOUND, ROOT]):
        assert detected([document]) == "langsmith"
        batch = batch_of(document)
        [record] = batch.records
        assert record["retrieved"] == [{"chunk_id": "c7", "document": "shipping.md", "score": None}]
        assert (record["endpoint"], record["session_id"]) == ("answer", "thread-1")
        assert batch.ignored == {"chain": 1, "retrieval": 1}
        assert batch.traces == [
            {"trace_id": "t1", "session_id": "thread-1", "user_id": "u-1", "endpoint": "answer", "source_line": 1}
        ]  # fmt: skip
        said = {(one["event_id"], one["name"], one["value"], one["label"]) for one in batch.feedback}
        assert said == {
            (of, *score) for of in (None, "t1-s2") for score in (("right", 0.5, None), ("tone", None, "kind"))
        }


def test_damaged_runs_are_set_aside_with_their_reason():
    batch = batch_of(FAILED, CALL | {"start_time": "soon"}, {"odd": 1}, [7], CALL | {"id": None}, CALL)
    assert [record["event_id"] for record in batch.records] == ["t1-s3", "t1-s2"]
    said = [(one.line, one.reason.split(" ", 2)[:2]) for one in batch.rejections]
    assert said == [
        (2, ["start_time", "is"]),
        (3, ["The", "object"]),
        (4, ["The", "line"]),
        (5, ["The", "run"]),
    ]


def test_counts_beside_a_run_count_where_its_answer_has_none_and_zeros_are_nothing():
    beside = {
        "prompt_tokens": 2_000, "completion_tokens": 40, "total_tokens": 2_040, "prompt_token_details": {"cache_read": 1_536},
        "completion_token_details": '{"reasoning": 12}', "outputs": '{"messages": [{"role": "assistant", "content": "Yes."}]}',
    }  # fmt: skip
    nothing = dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"), 0)
    nothing |= {"id": "s4", "outputs": {"output": "Yes."}}
    stated = {"id": "s5", "prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    records = batch_of(*(CALL | more for more in (beside, nothing, stated))).records
    five = [464, 1_536, 0, 28, 12, 2_040]
    assert [[record[name] for name in TOKENS] for record in records] == [five, [None] * 6, five]
    assert [record["answer"] for record in records] == ["Yes.", "Yes.", MESSAGE["content"]]


def test_calls_within_one_another_are_one_by_their_order_alone():
    """A wrapped client within LangChain's model; a bulk export names no parent. A tier counts under its name."""
    details = {"flex_cache_read": 1_536, "flex": 464}
    inner = CALL | {
        "id": "s9", "parent_run_id": None, "dotted_order": "1Zs1.2Zs2.3Zs9", "start_time": "2026-06-01T12:00:00.200000",
        "extra": {"metadata": {"usage_metadata": USAGE | {"input_token_details": details}}}, "outputs": {},
    }  # fmt: skip
    batch = batch_of(CALL, inner)
    [record] = batch.records
    assert batch.ignored == {"model call logged again": 1}
    assert (record["service_tier"], record["cache_read"], record["tokens_total"]) == ("flex", 1_536, 2_040)


def test_an_embedding_that_says_what_it_used_is_a_call_and_another_is_counted():
    used = {
        "run_type": "embedding",
        "outputs": {},
        "prompt_tokens": 8,
        "total_tokens": 8,
        "parent_run_id": None,
    }
    batch = batch_of(CALL | used | {"id": "v1"}, CALL | used | {"id": "v2", "total_tokens": 0})
    [record] = batch.records
    assert (record["operation"], record["tokens_total"], record["input_uncached"]) == ("embeddings", 8, 8)
    assert batch.ignored == {"embedding without usage": 1}


def test_the_first_token_of_a_stream_is_an_event_where_nothing_else_says_it():
    events = [
        {"name": "start", "time": CALL["start_time"]},
        {"name": "new_token", "time": "2026-06-01T12:00:00.4"},
    ]
    [record] = batch_of(CALL | {"first_token_time": None, "events": events}).records
    assert record["time_to_first_token_ms"] == 300
