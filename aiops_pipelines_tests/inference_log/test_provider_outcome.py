"""What a recorded call's body says beside its usage: how it ended, its time, its cost, its tier."""

import json
from decimal import Decimal

import pytest

from aiops_pipelines.inference_log.provider_hosts import model_in, provider_of
from aiops_pipelines.inference_log.provider_http import read
from aiops_pipelines_tests.inference_log.renderings import line

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


def record_of(response, path="/v1/chat/completions", **more):
    row = {
        "id": "r",
        "host": "h",
        "path": path,
        "timestamp": "2026-06-01T12:00:00Z",
        "request": {"model": "m"},
        **more,
    }
    [record] = read([(1, line(row | {"response": response}))]).records
    return record


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        ({"cost": 0.0160614, "is_byok": False}, "0.0160614"),
        ({"cost": 0.001, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.02}}, "0.021"),
        ({"cost": {"request_cost": 0.005, "total_cost": 0.00502}}, "0.00502"),
        ({"cost_in_usd_ticks": 160708500}, "0.01607085"),
        ({"cost": "free", "cost_in_usd_ticks": [1]}, None),
        ({}, None),
    ],
)
def test_the_cost_that_a_provider_states(usage, cost):
    found = record_of({"usage": USAGE | usage})["cost_reported_usd"]
    assert found == (None if cost is None else Decimal(cost))


@pytest.mark.parametrize(
    ("body", "latency", "first_token"),
    [
        ({"metrics": {"latencyMs": 988}}, 988, None),
        ({"total_duration": 3_699_126_583}, 3699, None),
        ({"total_duration": 10**400}, None, None),
        ({"total_duration": "²"}, None, None),
        ({"usage": USAGE | {"total_time": 0.125, "queue_time": 0.106}}, 231, None),
        ({"background": True, "created_at": 1784670683, "completed_at": 1784670685, "id": "resp"}, 2000, None),
        ({"amazon-bedrock-invocationMetrics": {"inputTokenCount": 5, "invocationLatency": 616, "firstByteLatency": 60}}, 616, 60),
        ("data: {\"metadata\": {\"metrics\": {\"latencyMs\": 2368}, \"usage\": {\"inputTokens\": 1, \"outputTokens\": 1}}}\n", 2368, None),
    ],
)  # fmt: skip
def test_the_time_that_a_body_states(body, latency, first_token):
    if isinstance(body, dict):
        body = {"usage": USAGE, **body}
    record = record_of(body)
    assert (record["latency_ms"], record["time_to_first_token_ms"]) == (latency, first_token)
    assert record_of(body, latency_ms=7)["latency_ms"] == 7


RESPONSE = {"object": "response", "id": "resp", "usage": {"input_tokens": 1, "output_tokens": 1}}
STREAM_ERROR = 'data: {"type": "response.output_text.delta", "delta": "Hel"}\n\ndata: {"type": "error", "code": "server_error"}\n'


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (RESPONSE | {"status": "completed"}, "ok", None),
        (RESPONSE | {"status": "cancelled", "usage": None}, "error", "cancelled"),
        (RESPONSE | {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "blocked", None),
        (RESPONSE | {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "ok", None),
        (STREAM_ERROR, "error", "server_error"),
        ({"promptFeedback": {"blockReason": "OTHER"}, "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 3}}, "blocked", None),
        ({"candidates": [{"finishReason": "MODEL_ARMOR"}]}, "blocked", None),
    ],
)  # fmt: skip
def test_how_a_call_ended(body, status, error):
    record = record_of(body, path="/v1/responses")
    assert (record["status"], record["error_type"]) == (status, error)


@pytest.mark.parametrize(
    ("body", "tier"),
    [
        ({"usage": USAGE, "service_tier": "default"}, None),
        ({"usage": USAGE, "service_tier": "flex"}, "flex"),
        ({"usage": {"input_tokens": 1, "output_tokens": 1, "service_tier": "batch"}}, "batch"),
        ({"usageMetadata": {"promptTokenCount": 1, "totalTokenCount": 1, "trafficType": "ON_DEMAND_PRIORITY"}}, "priority"),
        ({"usageMetadata": {"promptTokenCount": 1, "totalTokenCount": 1, "trafficType": "ON_DEMAND"}}, None),
        ({"usage": {"inputTokens": 1, "outputTokens": 1}, "serviceTier": {"type": "flex"}}, "flex"),
        ({"usageMetadata": {"promptTokenCount": 1, "totalTokenCount": 1, "trafficType": 1}}, None),
        ({"usage": {"input_tokens": 1, "output_tokens": 1, "service_tier": "standard", "speed": "fast"}}, "fast"),
        ({"usage": {"input_tokens": 1, "output_tokens": 1, "service_tier": "priority", "speed": "standard"}}, "priority"),
        ({"usage": USAGE | {"speed": 120.5}}, None),
    ],
)  # fmt: skip
def test_the_tier_that_served_a_call(body, tier):
    assert record_of(body)["service_tier"] == tier


def row(method, response, name, date="Wed, 01 Jul 2026 10:00:00 GMT"):
    path = "/v1/responses" if method == "POST" else "/v1/responses/resp"
    return line({"id": name, "host": "api.openai.com", "path": path, "method": method, "date": date,
                 "request": {"model": "o3", "background": True}, "response": response})  # fmt: skip


def test_a_response_in_the_background_is_the_one_call_whose_usage_was_asked_for():
    queued = RESPONSE | {"background": True, "status": "queued", "usage": None, "created_at": 1782900000}
    done = queued | {"status": "completed", "usage": RESPONSE["usage"], "completed_at": 1782900060}
    rows = [row("POST", queued, "a"), row("GET", queued | {"status": "in_progress"}, "b"), row("GET", done, "c"),
            row("GET", done, "d", "Wed, 01 Jul 2026 11:00:00 GMT")]  # fmt: skip
    batch = read(enumerate(rows, 1))
    once, again = ({**record, "source_line": 0} for record in batch.records)
    assert once == again and batch.ignored.total() == 2
    assert (once["event_id"], once["latency_ms"], once["tokens_total"]) == ("resp", 60_000, 2)
    assert once["occurred_at"].isoformat() == "2026-07-01T10:00:00+00:00"


def test_what_was_asked_beside_the_messages_is_a_call_of_its_own():
    """Anthropic's top counts are those of the messages; a compaction and another model's advice are billed too."""
    usage = {"input_tokens": 162, "output_tokens": 11, "iterations": [
        {"type": "compaction", "input_tokens": 99_195, "output_tokens": 81},
        {"type": "message", "input_tokens": 162, "output_tokens": 11},
        {"type": "advisor_message", "model": "claude-opus-4-8", "input_tokens": 2_518, "output_tokens": 22},
    ]}  # fmt: skip
    raw = line({"id": "r", "host": "api.anthropic.com", "path": "/v1/messages", "timestamp": "2026-06-01T12:00:00Z",
                "request": {"model": "claude-sonnet-4-6", "messages": [{"role": "user", "content": "hi"}]},
                "response": {"model": "claude-sonnet-4-6", "content": [{"type": "text", "text": "yes"}], "usage": usage}})  # fmt: skip
    found = [
        (r["event_id"], r["model_served"] or r["model_requested"], r["tokens_total"], r["answer"])
        for r in read([(1, raw)]).records
    ]
    assert found == [
        ("r", "claude-sonnet-4-6", 173, "yes"),
        ("r-compaction-1", "claude-sonnet-4-6", 99_276, None),
        ("r-advice-3", "claude-opus-4-8", 2_540, None),
    ]


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("shop-eastus2.cognitiveservices.azure.com", "azure"), ("bedrock-mantle.us-east-1.api.aws", "aws"),
        ("gateway.azure-api.net", "azure"), ("adb-1.11.azuredatabricks.net", "databricks"), ("open.bigmodel.cn", "zhipuai"),
        ("api.together.ai", "together"), ("localhost:11434", "ollama"), ("llm.internal:8000", "llm.internal"), ("", None),
    ],
)  # fmt: skip
def test_providers_by_host(host, provider):
    assert provider_of(host) == provider


PROFILE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/otnfa2ysixqd"


@pytest.mark.parametrize(
    ("path", "model"),
    [
        (
            "/model/arn:aws:bedrock:us-east-1::foundation-model/amazon.titan-tg1-large/invoke",
            "amazon.titan-tg1-large",
        ),
        (f"/model/{PROFILE}/converse", PROFILE),
        (
            "/model/arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova-micro-v1:0/converse",
            "us.amazon.nova-micro-v1:0",
        ),
        ("/model/anthropic.claude-3-haiku-20240307-v1:0/converse", "anthropic.claude-3-haiku-20240307-v1:0"),
        ("/v1beta/models/gemini-2.5-flash:generateContent", "gemini-2.5-flash"),
        ("/openai/deployments/gpt-4o/chat/completions", "gpt-4o"),
        ("/v1/chat/completions", None),
    ],
)
def test_models_by_path(path, model):
    assert model_in(path) == model


def test_failures_of_partners_models_on_vertex_are_calls():
    path = "/v1/projects/p/locations/us-east5/publishers/anthropic/models/claude-sonnet-4-5@20250929:streamRawPredict"
    record = record_of({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}, path=path, status=429)
    assert (record["status"], record["error_type"], record["model_requested"]) == ("error", "429", "m")


def test_usage_within_the_last_choice_of_a_stream():
    chunks = ['{"choices": [{"delta": {"content": "2"}}]}', '{"choices": [{"delta": {}, "finish_reason": "stop", '
              '"usage": {"prompt_tokens": 39, "completion_tokens": 211, "total_tokens": 250}}]}']  # fmt: skip
    record = record_of("".join(f"data: {chunk}\n\n" for chunk in chunks) + "data: [DONE]\n\n")
    assert (record["answer"], record["tokens_total"], record["token_convention"]) == ("2", 250, "inclusive")


def test_the_summary_of_a_compacted_context_is_no_part_of_a_streamed_answer():
    deltas = [
        {"type": "compaction_delta", "content": "They spoke of foxes."},
        {"type": "text_delta", "text": "Hello!"},
    ]
    parts = [{"type": "content_block_delta", "delta": delta} for delta in deltas]
    record = record_of("".join(f"data: {json.dumps(part)}\n\n" for part in parts))
    assert record["answer"] == "Hello!"
