"""A request for vectors is a call in every format: priced, counted apart from chats, without its texts."""

import json
from decimal import Decimal

import polars as pl
import pytest

from aiops_pipelines.costs.prices import call_costs
from aiops_pipelines.inference_log.formats import importer
from aiops_pipelines.inference_log.priced_apart import with_priced_apart
from aiops_pipelines.inference_log.record import CALLS
from aiops_pipelines.resources.prices import PriceBook
from aiops_pipelines_tests.inference_log.renderings import END, QUESTION, SPAN, START, TRACE, line, span
from aiops_pipelines_tests.inference_log.test_otlp_json import export

MODEL = "text-embedding-3-small"
USAGE = {"prompt_tokens": 1_000, "total_tokens": 1_000}
MLFLOW = {
    "mlflow.spanType": "EMBEDDING",
    "mlflow.spanInputs": {"model": MODEL, "input": QUESTION},
    "mlflow.llm.provider": "openai",
    "mlflow.llm.model": MODEL,
    "mlflow.chat.tokenUsage": {"input_tokens": 1_000, "total_tokens": 1_000},
}
GENAI = {"gen_ai.provider.name": "openai", "gen_ai.request.model": MODEL, "gen_ai.usage.input_tokens": 1_000}
EMBEDDINGS = {
    "aiops_jsonl": ("aiops_jsonl", line({
        "event_id": "e1", "occurred_at": START, "operation": "embeddings", "provider": "openai", "model_served": MODEL,
        "usage": {"input_tokens": 1_000}, "query": QUESTION,
    })),
    "aiops_jsonl, canonical": ("aiops_jsonl", line({
        "event_id": "e1", "occurred_at": START, "operation": "embedding", "provider": "openai", "model_served": MODEL,
        "input_uncached": 1_000,
    })),
    "otlp": ("otlp_json", export(span(GENAI | {"gen_ai.operation.name": "embeddings"}))),
    "otlp of OpenLLMetry": ("otlp_json", export(span(GENAI | {"llm.request.type": "embedding"}))),
    "otlp of LiteLLM": ("otlp_json", export(span(GENAI | {"gen_ai.operation.name": "aembedding"}))),
    "otlp of Vercel's AI SDK": ("otlp_json", export(span({
        "ai.operationId": "ai.embedMany.doEmbed", "ai.model.id": MODEL, "ai.model.provider": "openai.embedding",
        "ai.values": json.dumps([QUESTION]), "ai.usage.tokens": 1_000,
    }))),
    "otlp of Langfuse's SDK": ("otlp_json", export(span({
        "langfuse.observation.type": "embedding", "langfuse.observation.model.name": MODEL,
        "langfuse.observation.usage_details": json.dumps({"input": 1_000}), "langfuse.observation.input": QUESTION,
    }))),
    "openinference": ("openinference", export(span({
        "openinference.span.kind": "EMBEDDING", "embedding.model_name": MODEL, "llm.provider": "openai",
        "llm.token_count.prompt": 1_000, "llm.token_count.total": 1_000, "input.value": QUESTION,
        "embedding.embeddings.0.embedding.text": QUESTION,
    }))),
    "langfuse": ("langfuse", line({
        "id": SPAN, "trace_id": TRACE, "type": "EMBEDDING", "start_time": START, "end_time": END,
        "provided_model_name": MODEL, "usage_details": {"input": 1_000}, "input": QUESTION,
    })),
    "litellm": ("litellm", line({
        "id": "c1", "call_type": "aembedding", "custom_llm_provider": "openai", "model": MODEL, "model_group": MODEL,
        "startTime": 1780315200.0, "endTime": 1780315201.5, "status": "success", "prompt_tokens": 1_000,
        "completion_tokens": 0, "total_tokens": 1_000, "messages": QUESTION, "response": {"data": []},
    })),
    "mlflow": ("mlflow", line({
        "info": {"request_id": "r-1", "timestamp_ms": 1780315200000},
        "data": {"spans": [{
            "context": {"span_id": SPAN, "trace_id": TRACE}, "start_time": 1780315200000000000,
            "end_time": 1780315201500000000, "status_code": "OK",
            "attributes": {name: json.dumps(value) for name, value in MLFLOW.items()},
        }]},
    })),
    "provider call": ("provider_http", line({
        "id": "h1", "host": "api.openai.com", "path": "/v1/embeddings", "method": "POST", "status": 200,
        "date": "Mon, 01 Jun 2026 12:00:00 GMT", "request": {"model": MODEL, "input": QUESTION},
        "response": {"object": "list", "model": MODEL, "data": [{"embedding": [0.5]}], "usage": USAGE},
    })),
    "mapped": ("mapped", line({"id": "e1", "at": START, "what": "embedding", "who": "openai", "model": MODEL, "in": 1_000, "text": QUESTION})),
}  # fmt: skip
MAPPING = {
    "event_id": "id", "occurred_at": "at", "operation": "what", "provider": "who", "model_served": "model",
    "input_tokens": "in", "query": "text",
}  # fmt: skip


def batch_of(kind, *raw):
    return importer(kind, MAPPING)(list(enumerate(raw, 1)), lambda text, model: (len(text.split()), True))


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_an_embedding_is_a_priced_call_in_every_format(name):
    kind, raw = EMBEDDINGS[name]
    batch = batch_of(kind, raw)
    assert batch.rejections == []
    [record] = batch.records
    assert (record["operation"], record["provider"], record["model_requested"] or record["model_served"]) == (
        "embeddings", "openai", MODEL,
    )  # fmt: skip
    assert (record["input_uncached"], record["output_visible"], record["tokens_total"]) == (1_000, 0, 1_000)
    assert (record["query"], record["answer"], record["user_tokens"], record["status"]) == (
        None,
        None,
        None,
        "ok",
    )
    calls = with_priced_apart(pl.DataFrame([record], schema=CALLS)).with_columns(system=pl.lit("s"))
    [cost] = call_costs(calls, PriceBook().price_of)["cost_usd"]
    assert cost == Decimal("0.00002")  # 0.02 USD a million


def embedding(name="b" * 16, parent="", start=0, seconds=1.0, **more):
    values = {"gen_ai.operation.name": "embeddings", **GENAI, **more}
    made = span({key: value for key, value in values.items() if value is not None})
    begin = int(made["startTimeUnixNano"]) + start * 10**9
    times = {"startTimeUnixNano": str(begin), "endTimeUnixNano": str(begin + int(seconds * 10**9))}
    return made | {"spanId": name, "parentSpanId": parent} | times


def chat(name="c" * 16, parent=""):
    usage = {"gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 5}
    values = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-5", **usage}
    return span(values) | {"spanId": name, "parentSpanId": parent}


def test_an_embedding_that_a_framework_logs_around_its_client_is_one_call():
    outer = embedding("a" * 16, seconds=2, **{"gen_ai.usage.input_tokens": None})
    batch = batch_of("otlp_json", export(outer, embedding(parent="a" * 16)))
    assert [r["event_id"] for r in batch.records] == [f"{TRACE}-{'b' * 16}"]
    assert batch.ignored == {"embedding call logged again": 1}


def test_an_embedding_within_a_chat_is_no_repetition_of_it():
    batch = batch_of("otlp_json", export(chat(), embedding(parent="c" * 16)))
    assert sorted((r["operation"], r["tokens_total"]) for r in batch.records) == [
        ("chat", 15),
        ("embeddings", 1_000),
    ]


def test_one_that_says_nothing_of_its_tokens_is_counted_and_left_out_and_a_failure_is_kept():
    silent = embedding(**{"gen_ai.usage.input_tokens": None})
    batch = batch_of("otlp_json", export(silent))
    assert (batch.records, batch.ignored) == ([], {"embedding without usage": 1})
    [failed] = batch_of("otlp_json", export(silent | {"status": {"code": 2}})).records
    assert (failed["operation"], failed["status"], failed["tokens_total"]) == ("embeddings", "error", None)


def test_a_refused_request_for_vectors_is_a_failed_call():
    raw = {
        "id": "h1", "host": "api.openai.com", "path": "/v1/embeddings", "method": "POST", "status": 401,
        "date": "Mon, 01 Jun 2026 12:00:00 GMT", "request": {"model": MODEL, "input": "x"}, "response": {"error": {"type": "auth"}},
    }  # fmt: skip
    [record] = batch_of("provider_http", line(raw)).records
    assert (record["operation"], record["status"], record["error_type"]) == ("embeddings", "error", "auth")


@pytest.mark.parametrize(
    ("path", "body", "operation"),
    [
        ("/v1/rerank", {"usage": {"total_tokens": 43}}, "other"),
        ("/model/amazon.titan-embed-text-v1/invoke", {"embedding": [0.5], "inputTextTokenCount": 8}, "embeddings"),
        ("/v1beta/models/gemini-embedding-001:batchEmbedContents", {"embeddings": []}, "embeddings"),
        ("/v1/chat/completions", {"usage": USAGE | {"completion_tokens": 0}}, "chat"),
    ],
)  # fmt: skip
def test_what_a_recorded_request_asked_for(path, body, operation):
    raw = {"id": "h1", "host": "h", "path": path, "timestamp": START, "request": {}, "response": body}
    assert [r["operation"] for r in batch_of("provider_http", line(raw)).records] == [operation]


def test_an_operation_that_is_none_is_refused():
    raw = {"event_id": "e1", "occurred_at": START, "operation": "dance"}
    [rejection] = batch_of("aiops_jsonl", line(raw)).rejections
    assert rejection.reason == "operation must be one of chat, embeddings, other."
