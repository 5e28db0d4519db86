"""Results of batch jobs are calls of the tier batch, one for each answer, however often they are fetched."""

import json

import pytest

from aiops_pipelines.inference_log.formats import detected
from aiops_pipelines.inference_log.provider_http import read
from aiops_pipelines_tests.inference_log.renderings import line

MESSAGE = {
    "id": "msg_1", "type": "message", "model": "claude-haiku-4-5-20251001", "content": [{"type": "text", "text": "4"}],
    "stop_reason": "end_turn", "usage": {"input_tokens": 20, "output_tokens": 5, "service_tier": "batch"},
}  # fmt: skip
COMPLETION = {
    "id": "chat_1", "object": "chat.completion", "created": 1787150442, "model": "gpt-5-nano-2025-08-07",
    "choices": [{"message": {"role": "assistant", "content": "4"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}, "service_tier": "default",
}  # fmt: skip
GEMINI = {
    "candidates": [{"content": {"parts": [{"text": "4"}]}, "finishReason": "STOP"}], "responseId": "g_1",
    "usageMetadata": {"promptTokenCount": 20, "candidatesTokenCount": 5, "totalTokenCount": 25, "serviceTier": "standard"},
    "modelVersion": "gemini-2.5-flash",
}  # fmt: skip
INLINED = {"inlinedResponses": {"inlinedResponses": [{"response": GEMINI, "metadata": {"custom_id": "0"}}]}}


def file_line(body, **more):
    return {
        "id": "req_1",
        "custom_id": "0",
        "response": {"status_code": 200, "body": body},
        "error": None,
        **more,
    }


def fetched(host, path, response, **more):
    date = {"date": "Wed, 19 Aug 2026 14:47:10 GMT"}
    return line({"id": "row", "host": host, "path": path, "method": "GET", "status": 200, "request": "",
                 "response": response, **date, **more})  # fmt: skip


BATCHES = {
    "Anthropic": ("api.anthropic.com", "/v1/messages/batches/b1/results", json.dumps({"custom_id": "0", "result": {"type": "succeeded", "message": MESSAGE}})),
    "OpenAI": ("api.openai.com", "/v1/files/f1/content", json.dumps(file_line(COMPLETION))),
    "Mistral": ("api.mistral.ai", "/v1/batch/jobs/j1", {"id": "j1", "model": "m", "outputs": [file_line(COMPLETION)]}),
    "xAI": ("api.x.ai", "/v1/batches/b1/results", {"results": [{"batch_request_id": "0", "batch_result": {"response": {"chat_get_completion": COMPLETION}}}]}),
    "Gemini": ("generativelanguage.googleapis.com", "/v1beta/batches/b1", {"name": "batches/b1", "done": True, "response": INLINED}),
}  # fmt: skip


@pytest.mark.parametrize("name", BATCHES)
def test_each_result_is_a_call_of_the_batch_tier(name):
    host, path, response = BATCHES[name]
    if isinstance(response, str):
        response = response + "\n" + response.replace("_1", "_2")
    batch = read([(1, fetched(host, path, response))])
    assert (batch.rejections, batch.ignored) == ([], {})
    first, *rest = batch.records
    assert (first["service_tier"], first["status"], first["answer"], first["operation"]) == (
        "batch",
        "ok",
        "4",
        "chat",
    )
    assert (first["input_uncached"], first["output_visible"], first["tokens_total"]) == (20, 5, 25)
    assert first["event_id"] in ("msg_1", "chat_1", "g_1")
    assert len(rest) == isinstance(response, str)


def test_results_that_are_fetched_again_are_the_same_calls():
    host, path, response = BATCHES["OpenAI"]
    [once, again] = read([
        (1, fetched(host, path, response)),
        (2, fetched(host, path, response, id="other", date="Thu, 20 Aug 2026 09:00:00 GMT")),
    ]).records  # fmt: skip
    assert once | {"source_line": 0} == again | {"source_line": 0}


def test_results_without_a_time_are_of_the_time_that_their_batch_began():
    host, path, response = BATCHES["Gemini"]
    response = response | {"metadata": {"createTime": "2026-08-19T14:34:12.267870162Z"}}
    [record] = read([(1, fetched(host, path, response))]).records
    assert record["occurred_at"].isoformat() == "2026-08-19T14:34:12.267870+00:00"


def test_a_batch_that_still_runs_is_no_call():
    running = {
        "id": "b1",
        "status": "in_progress",
        "usage": {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0},
    }
    for method in ("GET", "POST"):
        batch = read([(1, fetched("api.openai.com", "/v1/batches/b1", running, method=method))])
        assert (batch.records, batch.ignored.total()) == ([], 1)


def test_failed_results_are_failed_calls():
    failed = {"custom_id": "7", "result": {"type": "errored", "error": {"type": "invalid_request_error"}}}
    expired = {"custom_id": "8", "result": {"type": "expired"}}
    text = "\n".join(map(json.dumps, (failed, expired)))
    records = read([(1, fetched("api.anthropic.com", "/v1/messages/batches/b1/results", text))]).records
    assert [(r["event_id"], r["status"], r["error_type"]) for r in records] == [
        ("7", "error", "invalid_request_error"), ("8", "error", "expired"),
    ]  # fmt: skip


def test_a_broken_result_takes_no_other_with_it():
    broken = MESSAGE | {"id": "msg_0", "usage": {"input_tokens": -1, "output_tokens": 5}}
    ones = [
        {"custom_id": str(n), "result": {"type": "succeeded", "message": m}}
        for n, m in enumerate((broken, MESSAGE))
    ]
    raw = fetched("api.anthropic.com", "/v1/messages/batches/b1/results", "\n".join(map(json.dumps, ones)))
    batch = read([(1, raw)])
    assert [r["event_id"] for r in batch.records] == ["msg_1"] and batch.ignored == {}
    assert [rejection.reason for rejection in batch.rejections] == [
        "usage.input_tokens is -1; it must be from 0 to below 1,000,000,000."
    ]


def test_a_results_file_is_read_as_it_is_downloaded():
    rows = [file_line(COMPLETION), file_line(COMPLETION | {"id": "chat_2"}, custom_id="1")]
    assert detected(rows) == "provider_http"
    records = read(enumerate(map(line, rows), 1)).records
    assert [(r["event_id"], r["provider"], r["service_tier"]) for r in records] == [
        ("chat_1", "openai", "batch"), ("chat_2", "openai", "batch"),
    ]  # fmt: skip
    assert records[0]["occurred_at"].isoformat() == "2026-08-19T14:40:42+00:00"


def test_a_results_file_without_times_is_set_aside_with_what_to_do():
    batch = read([(1, line({"custom_id": "0", "result": {"type": "succeeded", "message": MESSAGE}}))])
    assert batch.records == []
    assert "Log the request that fetched the results" in batch.rejections[0].reason


def test_embeddings_of_a_batch_are_embeddings():
    body = {"object": "list", "model": "text-embedding-3-small", "data": [{"object": "embedding", "embedding": [0.5]}],
            "usage": {"prompt_tokens": 8, "total_tokens": 8}}  # fmt: skip
    raw = fetched("api.openai.com", "/v1/files/f1/content", json.dumps(file_line(body)))
    [record] = read([(1, raw)]).records
    assert (record["operation"], record["tokens_total"], record["event_id"]) == ("embeddings", 8, "req_1")
