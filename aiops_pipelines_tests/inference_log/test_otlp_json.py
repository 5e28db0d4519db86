"""OTLP/JSON: the dialects of the conventions, what is joined within a trace, and files found in the wild."""

import json
from datetime import UTC, datetime

import pytest

from aiops_pipelines.inference_log.otlp_json import read
from aiops_pipelines_tests.shared_data import shared

START = 1_780_315_200_000_000_000  # 2026-06-01T12:00:00Z
TRACE = "a" * 32


def any_value(value):
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [any_value(part) for part in value]}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": attributes(value)}}
    return {
        {str: "stringValue", int: "intValue", float: "doubleValue"}[type(value)]: str(value)
        if type(value) is int
        else value
    }


def attributes(values):
    return [{"key": key, "value": any_value(value)} for key, value in values.items()]


def span(span_id, values, start=0, parent="", trace=TRACE, events=(), **more):
    return {
        "traceId": trace,
        "spanId": span_id,
        "parentSpanId": parent,
        "startTimeUnixNano": str(START + start * 1_000_000),
        "endTimeUnixNano": str(START + (start + 250) * 1_000_000),
        "attributes": attributes(values),
        "events": [
            {"name": name, "timeUnixNano": str(START), "attributes": attributes(v)} for name, v in events
        ],
        **more,
    }


def export(*spans, resource=None):
    scope = {"scopeSpans": [{"spans": list(spans)}], "resource": {"attributes": attributes(resource or {})}}
    return json.dumps({"resourceSpans": [scope]}).encode()


def one(*spans, count_tokens=None, resource=None):
    batch = read([(1, export(*spans, resource=resource))], count_tokens)
    assert batch.rejections == []
    [record] = batch.records
    return record


def words(text, model):
    return len(text.split()), True


CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}
USAGE = {"gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 3}
TURNS = [
    {"role": "system", "parts": [{"type": "text", "content": "be brief"}]},
    {"role": "user", "parts": [{"type": "text", "content": "one two three"}]},
    {"role": "assistant", "parts": [{"type": "text", "content": "four"}, {"type": "tool_call", "name": "f"}]},
    {"role": "tool", "parts": [{"type": "tool_call_response", "response": "five six"}]},
    {"role": "user", "parts": [{"type": "text", "content": "last question"}]},
]
ANSWER = [
    {"role": "assistant", "parts": [{"type": "text", "content": "the answer"}], "finish_reason": "stop"}
]

DIALECTS = {
    "messages as attributes": span(
        "s1",
        CHAT
        | USAGE
        | {"gen_ai.input.messages": json.dumps(TURNS), "gen_ai.output.messages": json.dumps(ANSWER)},
    ),
    "messages as structures": span(
        "s1", CHAT | USAGE | {"gen_ai.input.messages": TURNS, "gen_ai.output.messages": ANSWER}
    ),
    "messages on an event": span(
        "s1",
        CHAT | USAGE,
        events=[
            (
                "gen_ai.client.inference.operation.details",
                {
                    "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "be brief"}]),
                    "gen_ai.input.messages": [json.dumps(turn) for turn in TURNS[1:]],
                    "gen_ai.output.messages": [json.dumps(ANSWER[0])],
                },
            )
        ],
    ),
    "one event a message": span(
        "s1",
        CHAT | USAGE,
        events=[
            ("gen_ai.system.message", {"content": "be brief"}),
            ("gen_ai.user.message", {"content": "one two three"}),
            ("gen_ai.assistant.message", {"content": "four"}),
            ("gen_ai.tool.message", {"content": "five six"}),
            ("gen_ai.user.message", {"content": "last question"}),
            (
                "gen_ai.choice",
                {"index": 0, "finish_reason": "stop", "message": json.dumps({"content": "the answer"})},
            ),
        ],
    ),
    "indexed attributes": span(
        "s1",
        {
            "llm.request.type": "chat",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.usage.prompt_tokens": 10,
            "gen_ai.usage.completion_tokens": 3,
            **{
                f"gen_ai.prompt.{i}.{key}": value
                for i, (role, content) in enumerate(
                    [
                        ("system", "be brief"),
                        ("user", "one two three"),
                        ("assistant", "four"),
                        ("tool", "five six"),
                        ("user", "last question"),
                    ]
                )
                for key, value in (("role", role), ("content", content))
            },
            "gen_ai.completion.0.role": "assistant",
            "gen_ai.completion.0.content": "the answer",
        },
    ),
    "OpenInference": span(
        "s1",
        {
            "openinference.span.kind": "LLM",
            "llm.model_name": "gpt-4o",
            "llm.token_count.prompt": 10,
            "llm.token_count.completion": 3,
            "llm.token_count.total": 13,
            "llm.input_messages.0.message.role": "system",
            "llm.input_messages.0.message.content": "be brief",
            "llm.input_messages.1.message.role": "user",
            "llm.input_messages.1.message.contents.0.message_content.text": "one two three",
            "llm.input_messages.2.message.role": "assistant",
            "llm.input_messages.2.message.content": "four",
            "llm.input_messages.3.message.role": "tool",
            "llm.input_messages.3.message.content": "five six",
            "llm.input_messages.4.message.role": "user",
            "llm.input_messages.4.message.content": "last question",
            "llm.output_messages.0.message.content": "the answer",
        },
    ),
    "one JSON string": span(
        "s1",
        CHAT
        | USAGE
        | {
            "gen_ai.prompt": json.dumps(TURNS),
            "gen_ai.completion": '{"text": "the answer", "finish_reason": "stop"}',
        },
    ),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_gives_the_same_record(dialect):
    record = one(DIALECTS[dialect], count_tokens=words)
    assert record["event_id"] == f"{TRACE}-s1"
    assert record["occurred_at"] == datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert (record["query"], record["answer"]) == ("last question", "the answer")
    assert (record["input_uncached"], record["output_visible"], record["latency_ms"]) == (10, 3, 250)
    parts = ("system_prompt_tokens", "tools_tokens", "context_tokens", "history_tokens", "user_tokens")
    assert [record[part] for part in parts] == [2, 0, 2, 4, 2]
    assert record["part_method"] == "counted"


def test_log_records_carry_the_texts_of_their_span():
    record = {
        "eventName": "gen_ai.user.message",
        "traceId": TRACE,
        "spanId": "s1",
        "body": any_value({"content": "from a log record"}),
    }
    logs = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record, record | {"spanId": "other"}]}]}]}
    batch = read([(1, json.dumps(logs).encode()), (2, export(span("s1", CHAT)))])
    assert batch.records[0]["query"] == "from a log record"
    assert batch.ignored == {"log record without its span": 1}


def test_attributes_of_the_project_and_its_ancestors():
    own = {"aiops.prompt.version": "v7", "aiops.known_query.id": "q1", "aiops.rating": 1, "enduser.id": 42}
    root = {
        "aiops.endpoint": "/help",
        "aiops.user.group": "beta",
        "session.id": "s-9",
        "aiops.prompt.version": "v1",
    }
    spans = span("s1", CHAT | own, parent="root"), span("root", root)
    record = one(*spans, resource={"aiops.index.version": "ix1"})
    assert {k: record[k] for k in ("prompt_version", "known_query_id", "rating", "user_id", "endpoint", "user_group", "session_id", "index_version")} == {
        "prompt_version": "v7", "known_query_id": "q1", "rating": 1, "user_id": "42", "endpoint": "/help",
        "user_group": "beta", "session_id": "s-9", "index_version": "ix1",
    }  # fmt: skip


def test_retrieval_is_joined_to_the_next_model_call():
    documents = [
        {"id": "c1", "score": 0.9},
        {"id": "c2", "score": 0.5},
        {"id": "c1", "score": 0.1},
        {"score": 0.1},
    ]
    retrieval = {
        "gen_ai.operation.name": "retrieval",
        "gen_ai.retrieval.query.text": "asked",
        "gen_ai.retrieval.documents": json.dumps(documents),
    }
    rewrite, answer = span("s1", CHAT, start=0), span("s3", CHAT, start=600)
    batch = read([(1, export(rewrite, answer)), (2, export(span("s2", retrieval, start=300)))])
    assert [record["retrieved"] for record in batch.records] == [
        None,
        [
            {"chunk_id": "c1", "document": None, "score": 0.9},
            {"chunk_id": "c2", "document": None, "score": 0.5},
        ],
    ]
    assert [record["query"] for record in batch.records] == [None, "asked"]
    assert batch.ignored == {"retrieval": 1, "retrieved chunk without id": 1}


def test_retrieval_below_a_model_call_belongs_to_it():
    retrieval = {"gen_ai.operation.name": "retrieval", "gen_ai.retrieval.documents": '[{"id": "c1"}]'}
    calls = span("s1", CHAT), span("s3", CHAT, start=600)
    batch = read([(1, export(*calls, span("s2", retrieval, start=300, parent="s1")))])
    assert [record["retrieved"] is None for record in batch.records] == [False, True]


def test_retrieved_texts_in_the_prompt_are_context():
    retriever = {
        "openinference.span.kind": "RETRIEVER",
        "input.value": "what is it",
        "retrieval.documents.0.document.id": "c1",
        "retrieval.documents.0.document.content": "it is a locker",
        "retrieval.documents.0.document.score": 0.7,
        "retrieval.documents.0.document.metadata": '{"source": "lockers.md"}',
    }
    prompt = [{"role": "user", "content": "Context: it is a locker Question: what is it"}]
    chat = CHAT | USAGE | {"gen_ai.input.messages": json.dumps(prompt)}
    record = one(span("r", retriever), span("s1", chat, start=10), count_tokens=words)
    assert record["query"] == "what is it"
    assert record["retrieved"] == [{"chunk_id": "c1", "document": "lockers.md", "score": 0.7}]
    assert (record["context_tokens"], record["user_tokens"], record["part_method"]) == (4, 6, "counted")


def test_retrieved_texts_that_were_not_logged_are_what_the_others_leave_over():
    retrieval = {"gen_ai.operation.name": "retrieval", "gen_ai.retrieval.documents": '[{"id": "c1"}]'}
    prompt = json.dumps([{"role": "user", "content": "two words"}])
    chat = CHAT | {
        "gen_ai.usage.input_tokens": 50,
        "gen_ai.usage.output_tokens": 1,
        "gen_ai.input.messages": prompt,
    }
    record = one(span("s1", chat), span("r", retrieval, parent="s1"), count_tokens=words)
    assert (record["context_tokens"], record["user_tokens"], record["part_method"]) == (48, 2, "estimated")


def test_reranked_documents_replace_the_retrieved_ones():
    retriever = {"openinference.span.kind": "RETRIEVER", "retrieval.documents.0.document.id": "c1"}
    reranker = {"openinference.span.kind": "RERANKER", "reranker.output_documents.0.document.id": "c2"}
    record = one(span("r", retriever), span("k", reranker, start=5), span("s1", CHAT, start=10))
    assert [chunk["chunk_id"] for chunk in record["retrieved"]] == ["c2"]


def test_guardrail_spans_become_events():
    verdict = {
        "gen_ai.operation.name": "run_guardrail",
        "gen_ai.guardrail.component.name": "shield",
        "gen_ai.guardrail.security.risk.category": "prompt_injection",
        "gen_ai.guardrail.action.type": "block",
    }
    record = one(span("g", verdict), span("s1", CHAT, start=5))
    assert record["guardrail_events"] == [
        {"guardrail": "shield", "category": "prompt_injection", "action": "block"}
    ]


@pytest.mark.parametrize(
    ("values", "more", "outcome"),
    [
        ({}, {}, ("ok", None)),
        ({}, {"status": {"code": 2}}, ("error", None)),
        ({"error.type": "timeout"}, {"status": {"code": "STATUS_CODE_ERROR"}}, ("error", "timeout")),
        (
            {},
            {"status": {"code": 2}, "events": [("exception", {"exception.type": "RateLimit"})]},
            ("error", "RateLimit"),
        ),
        ({"gen_ai.response.finish_reasons": ["content_filter"]}, {}, ("blocked", None)),
        ({"gen_ai.response.finish_reasons": ["refusal"]}, {}, ("refused", None)),
    ],
)
def test_outcomes(values, more, outcome):
    record = one(span("s1", CHAT | values, **more))
    assert (record["status"], record["error_type"]) == outcome


def test_time_to_first_token_is_given_in_seconds():
    assert (
        one(span("s1", CHAT | {"gen_ai.response.time_to_first_chunk": 0.234}))["time_to_first_token_ms"]
        == 234
    )


def test_redelivered_spans_are_read_once():
    """C01 within a batch: the same span a thousand times; another content under its ids is set aside."""
    other = span("s1", CHAT | {"gen_ai.usage.input_tokens": 1})
    batch = read([*((i, export(span("s1", CHAT))) for i in range(1, 1001)), (1001, export(other))])
    assert [record["source_line"] for record in batch.records] == [1]
    assert batch.ignored == {"span delivered again": 999}
    assert [(r.line, r.reason) for r in batch.rejections] == [
        (1001, "A span has the same ids as another, and other content.")
    ]


def test_broken_spans_do_not_take_the_line_with_them():
    spans = [
        span("s1", CHAT),
        span("s2", CHAT | {"gen_ai.usage.input_tokens": -1, "gen_ai.usage.output_tokens": 1}),
        span("s3", CHAT) | {"startTimeUnixNano": "soon"},
        span("", CHAT),
        span("s5", CHAT) | {"startTimeUnixNano": None},
        span("s6", CHAT) | {"attributes": {"a": 1}},
        span("s7", CHAT) | {"startTimeUnixNano": "1000"},
    ]
    batch = read([(1, export(*spans))])
    assert [record["event_id"][-2:] for record in batch.records] == ["s1"]
    assert len(batch.rejections) == 6
    said = " ".join(rejection.reason for rejection in batch.rejections)
    for part in (
        "input_tokens is -1",
        "startTimeUnixNano is not",
        "spanId is missing",
        "occurred_at is missing",
        "attributes must be a list",
        "year 1970",
    ):
        assert part in said


@pytest.mark.parametrize(
    "raw", [b"[]", b"{}", b"7", b'{"resourceSpans": 1}', b'{"resourceSpans": [1]}', b'[{"a": 1}]', b"\xff"]
)
def test_what_is_no_export_is_set_aside(raw):
    batch = read([(1, raw), (2, export(span("s1", CHAT)))])
    assert [rejection.line for rejection in batch.rejections] == [1]
    assert len(batch.records) == 1


def test_a_document_may_hold_several_requests():
    requests = [json.loads(export(span(f"s{i}", CHAT))) for i in range(3)]
    assert len(read([(1, json.dumps(requests).encode())]).records) == 3


def test_deep_message_json_is_text():
    deep = "[" * 5_000 + "]" * 5_000
    assert one(span("s1", CHAT | {"gen_ai.prompt": deep}))["query"] == deep


def test_cycles_and_long_chains_of_parents_end():
    chain = [span(f"s{i}", {}, parent=f"s{i + 1}") for i in range(2_000)]
    cycle = [span("a", CHAT, parent="b"), span("b", {"aiops.endpoint": "/x"}, parent="a")]
    batch = read([(1, export(span("call", CHAT, parent="s0"), *chain, *cycle))])
    assert {record["endpoint"] for record in batch.records} == {None, "/x"}


def test_exports_found_in_the_wild():
    folder = shared("traces/otlp")
    batches = {path.name: read([(1, path.read_bytes())], words) for path in sorted(folder.glob("*.json"))}
    assert all(batch.rejections == [] for batch in batches.values())
    chat = batches["aitrace_otel_chat_trace.json"].records
    assert [(r["model_served"], r["input_uncached"], r["output_visible"]) for r in chat] == [
        ("gpt-4o-2024-08-06", 150, 200),
        ("gpt-4o-2024-08-06", 350, 180),
    ]
    assert chat[0]["query"] == "Explain quantum computing"
    assert [r["tokens_total"] for r in batches["aitrace_mcp_server_chain_trace.json"].records] == [4500, None]
    assert sum(len(batch.records) for batch in batches.values()) == 4


def test_attribute_sets_found_in_the_wild():
    folder = shared("traces/openinference_genai")
    for path in sorted(folder.glob("*.json")):
        raw = path.read_bytes()
        assert len(read([(1, raw)]).rejections) == 1  # attributes alone are no export
        batch = read([(1, export(span("s1", json.loads(raw))))], words)
        if "tool_execution" in path.name:
            assert (batch.records, batch.ignored) == ([], {"execute_tool": 1})
            continue
        [record] = batch.records
        assert (record["input_uncached"], record["output_visible"], record["tokens_total"]) == (97, 52, 149)
        assert (record["query"], record["model_served"]) == ("Weather in Paris?", "gpt-4-0613")
        assert record["answer"].startswith("The weather in Paris is currently rainy")


def test_names_of_the_ai_sdk_are_read():
    sdk = {
        "ai.operationId": "ai.streamText.doStream",
        "gen_ai.system": "openai.responses",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 200,
        "ai.usage.cachedInputTokens": 400,
        "ai.usage.reasoningTokens": 50,
        "ai.usage.totalTokens": 1200,
    }
    record = one(span("s1", sdk))
    assert record["provider"] == "openai"
    five = ("input_uncached", "cache_read", "output_visible", "reasoning", "tokens_total")
    assert [record[name] for name in five] == [600, 400, 150, 50, 1200]


def test_a_completion_is_a_model_call():
    older = {"gen_ai.operation.name": "completion", "gen_ai.request.model": "davinci-002"}
    assert (
        one(span("s1", older | {"gen_ai.usage.input_tokens": 3, "gen_ai.usage.output_tokens": 2}))[
            "tokens_total"
        ]
        == 5
    )


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("openai/gpt-4o", "openai"),
        ("eu.anthropic.claude-3-haiku-20240307-v1:0", "aws"),
        ("claude-3-haiku", "anthropic"),
        ("our-model", None),
    ],
)
def test_a_provider_that_is_not_named_is_read_off_the_model(model, provider):
    assert (
        one(span("s1", {"gen_ai.operation.name": "chat", "gen_ai.request.model": model}))["provider"]
        == provider
    )


@pytest.mark.parametrize(
    ("where", "model", "provider"),
    [
        ({"server.address": "api.openai.com"}, "gpt-4o", "openai"),
        ({"server.address": "api.groq.com", "server.port": 443}, "openai/gpt-oss-120b", "groq"),
        ({"server.address": "ours.openai.azure.com"}, "gpt-4o", "azure"),
        ({"gen_ai.openai.api_base": "https://openrouter.ai/api/v1/"}, "openai/gpt-4o", "openrouter"),
        ({"server.address": "localhost", "server.port": 11434}, "gpt-oss:20b", "ollama"),
        ({"openai.api_base": "http://localhost:11434/v1"}, "gpt-oss:20b", "ollama"),
        ({"server.address": "localhost", "server.port": 8000}, "openai/gpt-oss-20b", None),
        ({"server.address": "gateway.example.com"}, "gpt-4o", "openai"),
        ({"server.address": 7}, "openai/gpt-oss-20b", "openai"),
        ({"server.address": "api.groq.com", "gen_ai.provider.name": "aws.bedrock"}, "claude-3", "aws"),
    ],
)
def test_the_address_says_whom_a_client_of_openai_asked(where, model, provider):
    named = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": model}
    assert one(span("s1", named | where))["provider"] == provider


def test_a_clock_that_was_set_back_costs_the_latency_and_not_the_call():
    """C03."""
    batch = read([(1, export(span("s1", CHAT) | {"endTimeUnixNano": str(START - 1)}))])
    assert [record["latency_ms"] for record in batch.records] == [None]
    assert batch.ignored["latency of a call that ends before it starts"] == 1
