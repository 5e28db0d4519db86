"""LiteLLM payloads: cache counts of the usage object, cache hits, guardrails, searches and failures."""

import json
from decimal import Decimal

import pytest

from aiops_pipelines.inference_log.litellm import read

CALL = {
    "id": "c1", "call_type": "acompletion", "custom_llm_provider": "anthropic", "model": "claude-sonnet-4-5",
    "model_group": "fast", "startTime": 1780315200.5, "endTime": 1780315202.0, "completionStartTime": 1780315200.9,
    "stream": True, "status": "success", "prompt_tokens": 900, "completion_tokens": 30, "total_tokens": 930,
    "response_cost": 0.001, "messages": [{"role": "user", "content": "why?"}],
    "response": {"choices": [{"message": {"content": "because"}, "finish_reason": "stop"}]}, "end_user": "u1",
    "metadata": {"user_api_key_team_alias": "search"},
}  # fmt: skip
CACHED = {
    "prompt_tokens": 900, "completion_tokens": 30, "total_tokens": 930,
    "prompt_tokens_details": {"cached_tokens": 800}, "cache_creation_input_tokens": 60,
}  # fmt: skip


def batch_of(*payloads):
    return read((number, json.dumps(one).encode()) for number, one in enumerate(payloads, 1))


@pytest.mark.parametrize(
    "place",
    [
        {"metadata": {"usage_object": CACHED}},
        {"hidden_params": {"usage_object": CACHED}},
        {"response": {"usage": CACHED, "choices": []}},
        {"metadata": json.dumps({"usage_object": CACHED})},
    ],
)
def test_cache_counts_are_those_of_the_usage_object(place):
    [record] = batch_of(CALL | place).records
    assert [record[name] for name in ("input_uncached", "cache_read", "cache_write")] == [40, 800, 60]
    assert record["tokens_total"] == 930


@pytest.mark.parametrize(
    ("api_base", "model", "provider"),
    [
        ("https://api.openai.com/v1/", "gpt-4o", "openai"),
        ("http://vllm:8000/v1", "gpt-oss-20b", None),
        ("http://vllm:8000/v1", "gpt-4o", "openai"),
        ("https://api.groq.com/openai/v1", "openai/gpt-oss-20b", "groq"),
        ("", "gpt-oss-20b", "openai"),
    ],
)
def test_the_address_says_whom_a_client_of_openai_asked(api_base, model, provider):
    named = {"custom_llm_provider": "openai", "model": model, "model_group": model, "api_base": api_base}
    assert batch_of(CALL | named).records[0]["provider"] == provider


def test_a_whole_call():
    [record] = batch_of(CALL).records
    assert (record["latency_ms"], record["time_to_first_token_ms"]) == (1500, 400)
    assert (record["model_requested"], record["model_served"]) == ("fast", "claude-sonnet-4-5")
    assert (record["user_id"], record["user_group"], record["query"]) == ("u1", "search", "why?")
    assert record["cost_reported_usd"] == Decimal("0.001")
    assert record["occurred_at"].isoformat() == "2026-06-01T12:00:00.500000+00:00"


def test_an_answer_out_of_the_gateways_cache_used_no_tokens():
    [record] = batch_of(CALL | {"cache_hit": True}).records
    assert (record["tokens_total"], record["input_uncached"]) == (0, 0)


def test_failures_guardrails_and_searches():
    failed = CALL | {
        "id": "c2", "status": "failure", "prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "response": None,
        "error_information": {"error_class": "RateLimitError", "error_code": "429"},
    }  # fmt: skip
    verdict = {
        "guardrail_name": "pii",
        "guardrail_status": "guardrail_intervened",
        "violation_categories": ["EMAIL"],
    }
    blocked = failed | {
        "id": "c3", "guardrail_information": [verdict], "status_fields": {"guardrail_status": "guardrail_intervened"},
    }  # fmt: skip
    hit = {
        "file_id": "f1",
        "filename": "a.md",
        "score": 0.5,
        "content": [{"type": "text", "text": "it is so"}],
    }
    found = {"vector_store_id": "v", "query": "why?", "vector_store_search_response": {"data": [hit]}}
    searched = CALL | {"metadata": {"vector_store_request_metadata": [found]}}
    records = batch_of(failed, blocked, searched, CALL | {"call_type": "arerank"}).records
    assert [(r["status"], r["error_type"]) for r in records] == [
        ("error", "RateLimitError"), ("blocked", None), ("ok", None),
    ]  # fmt: skip
    assert records[0]["tokens_total"] is None
    assert records[1]["guardrail_events"] == [
        {"guardrail": "pii", "category": "EMAIL", "action": "guardrail_intervened"}
    ]
    assert records[2]["retrieved"] == [{"chunk_id": "f1", "document": "a.md", "score": 0.5}]


def test_other_objects_are_set_aside():
    assert "LiteLLM payloads" in batch_of({"id": 1}).rejections[0].reason
    assert batch_of(CALL | {"call_type": "arerank"}).ignored == {"arerank": 1}


PICTURE = {"input_tokens": 50, "output_tokens": 4160, "total_tokens": 4210}


@pytest.mark.parametrize(
    ("called", "usage", "operation"),
    [
        ("agenerate_content_stream", CACHED, "chat"),
        ("aanthropic_messages", CACHED, "chat"),
        ("allm_passthrough_route", CACHED, "chat"),
        ("aimage_generation", PICTURE, "other"),
        ("aimage_generation", None, None),
        ("arerank", {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, None),
        ("aretrieve_batch", CACHED, None),
    ],
)
def test_what_asks_a_model_by_its_type_or_by_its_usage(called, usage, operation):
    """The state of a batch sums up requests each time that it is asked for."""
    batch = batch_of(CALL | {"call_type": called, "metadata": {"usage_object": usage}})
    assert [(r["operation"], r["tokens_total"]) for r in batch.records] == (
        [(operation, usage["total_tokens"])] if operation else []
    )
    assert batch.ignored == ({} if operation else {called: 1})


@pytest.mark.parametrize(
    "hidden", ["redacted-by-litellm", "redacted by litellm. 'litellm.turn_off_message_logging=True'"]
)
def test_what_stands_in_place_of_texts_is_none(hidden):
    response = {"choices": [{"message": {"content": hidden}, "finish_reason": "stop"}] * 2}
    messages = [{"role": "user", "content": hidden}]
    [record] = batch_of(CALL | {"messages": messages, "response": response}).records
    assert (record["query"], record["answer"], record["tokens_total"]) == (None, None, 930)
