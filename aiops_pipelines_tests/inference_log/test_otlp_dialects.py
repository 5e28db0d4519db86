"""Frameworks that log under names of their own: calls, failures, texts, context and times, each as it writes them."""

import json

import pytest

from aiops_pipelines.inference_log.cache_lives import hour_writes
from aiops_pipelines.inference_log.otlp_json import read
from aiops_pipelines.inference_log.record import TOKEN_COLUMNS
from aiops_pipelines_tests.inference_log.test_otlp_json import START, export, one, span

USAGE = {
    "gen_ai.operation.name": "chat",
    "gen_ai.usage.input_tokens": 2000,
    "gen_ai.usage.output_tokens": 500,
}
ASKED = {
    "ai.operationId": "ai.generateText.doGenerate",
    "gen_ai.system": "openai.responses",
    "gen_ai.request.model": "gpt-4o-mini",
    "ai.prompt.messages": json.dumps([{"role": "user", "content": [{"type": "text", "text": "A haiku?"}]}]),
    "ai.telemetry.metadata.userId": "u1",
    "ai.telemetry.metadata.sessionId": "s1",
}


def calls_of(*spans):
    return read([(1, export(*spans))])


def calls(*spans):
    batch = calls_of(*spans)
    assert batch.rejections == []
    return batch


def test_a_failed_request_of_the_ai_sdk_is_a_call():
    raised = [("exception", {"exception.type": "AI_APICallError"})]
    record = one(span("1" * 16, ASKED, events=raised, status={"code": 2}))
    assert (record["status"], record["error_type"]) == ("error", "AI_APICallError")
    assert (record["provider"], record["model_requested"], record["query"]) == (
        "openai",
        "gpt-4o-mini",
        "A haiku?",
    )
    assert (record["user_id"], record["session_id"]) == ("u1", "s1")


def test_the_span_around_the_steps_of_the_ai_sdk_is_no_call_and_its_session_holds_for_them():
    counts = {"ai.usage.inputTokens": 9, "ai.usage.outputTokens": 4, "ai.response.msToFirstChunk": 120.5}
    inner = {**ASKED, **counts, "ai.response.object": '{"city": "Bern"}'}
    del inner["ai.telemetry.metadata.sessionId"]
    outer = span("1" * 16, {**ASKED, **counts, "ai.operationId": "ai.generateText"})
    record = one(outer, span("2" * 16, inner, start=1, parent="1" * 16))
    assert (record["tokens_total"], record["session_id"]) == (13, "s1")
    assert (record["time_to_first_token_ms"], record["answer"]) == (120, '{"city": "Bern"}')


OLDER = {
    "ai.operationId": "ai.generateText.doGenerate",
    "ai.model.id": "m",
    "ai.usage.promptTokens": 5_000,
    "ai.usage.completionTokens": 200,
}


@pytest.mark.parametrize(
    ("metadata", "changes", "counts"),
    [
        ({"anthropic": {"cacheCreationInputTokens": 3_000, "cacheReadInputTokens": 1_500}}, {}, (5_000, 1_500, 3_000, 200, 0)),
        ({"bedrock": {"usage": {"cacheReadInputTokens": None, "cacheWriteInputTokens": 3_000}}}, {}, (5_000, 0, 3_000, 200, 0)),
        ({}, {"ai.model.provider": "amazon-bedrock", "ai.usage.cachedInputTokens": 1_500, "ai.usage.totalTokens": 5_200}, (5_000, 1_500, 0, 200, 0)),
        ({"bedrock": {"usage": {"cacheWriteInputTokens": 3_000}}}, {"ai.usage.cachedInputTokens": 1_500}, (5_000, 1_500, 3_000, 200, 0)),
        ({"bedrock": {"usage": {"cacheWriteInputTokens": 3_000}}}, {"ai.usage.inputTokenDetails.noCacheTokens": 5_000}, (5_000, 0, 0, 200, 0)),
        ({}, {"ai.model.provider": "openai.chat", "ai.usage.cachedInputTokens": 1_500, "ai.usage.totalTokens": 5_200}, (3_500, 1_500, 0, 200, 0)),
        ({"openai": {"cachedPromptTokens": 1_500, "reasoningTokens": 50}}, {}, (3_500, 1_500, 0, 150, 50)),
        ({"deepseek": {"promptCacheHitTokens": 1_500}}, {}, (3_500, 1_500, 0, 200, 0)),
        ({"anthropic": {"usage": None, "cacheCreationInputTokens": None}, "openai": "x"}, {}, (5_000, 0, 0, 200, 0)),
    ],
)  # fmt: skip
def test_what_older_versions_of_the_ai_sdk_say_of_caches_by_who_sold_the_call(metadata, changes, counts):
    record = one(span("1" * 16, {**OLDER, **changes, "ai.response.providerMetadata": json.dumps(metadata)}))
    assert tuple(record[name] for name in TOKEN_COLUMNS) == counts


def test_cache_writes_for_an_hour_are_known_of_the_newest_ai_sdk_too():
    usage = {"input_tokens": 1, "cache_creation": {"ephemeral_1h_input_tokens": 60}}
    newest = {
        "ai.operationId": "ai.generateText.doGenerate",
        "ai.usage.inputTokens": 101,
        "ai.usage.outputTokens": 4,
        "ai.usage.inputTokenDetails.cacheReadTokens": 0,
        "ai.usage.inputTokenDetails.cacheWriteTokens": 100,
        "ai.response.providerMetadata": json.dumps({"anthropic": {"usage": usage}}),
    }
    record = one(span("1" * 16, newest))
    assert (record["input_uncached"], record["cache_write"], record["output_visible"]) == (1, 100, 4)
    assert hour_writes(json.loads(record["usage_raw"])) == {"cache_write_1h": 60}


LANGFUSE = {
    "langfuse.observation.type": "generation",
    "langfuse.observation.model.name": "gpt-4o",
    "langfuse.observation.usage_details": json.dumps({"input": 9, "output": 4, "total": 13}),
    "langfuse.observation.cost_details": json.dumps({"input": 0.25, "total": 0.5}),
    "langfuse.observation.completion_start_time": '"2026-06-01T12:00:00.100Z"',
    "langfuse.observation.prompt.version": 3,
    "langfuse.trace.user_id": "u1",
    "langfuse.session.id": "s1",
}


def test_observations_of_langfuses_sdk_are_what_they_call_themselves():
    retrieval = {
        "langfuse.observation.type": "retriever",
        "langfuse.observation.input": "a parcel",
        "langfuse.observation.output": json.dumps([{"id": "c1", "content": "In the depot.", "score": 0.5}]),
    }
    batch = calls(
        span("1" * 16, {"langfuse.observation.type": "agent"}),
        span("2" * 16, retrieval, start=1),
        span("3" * 16, LANGFUSE, start=2),
    )
    [record] = batch.records
    assert (record["tokens_total"], record["cost_reported_usd"]) == (13, 0.5)
    assert (record["time_to_first_token_ms"], record["prompt_version"]) == (98.0, "3")
    assert (record["user_id"], record["session_id"]) == ("u1", "s1")
    assert [chunk["chunk_id"] for chunk in record["retrieved"]] == ["c1"]
    assert batch.ignored == {"agent": 1, "retrieval": 1}


def test_a_failed_observation_of_langfuses_sdk_and_a_first_token_that_is_no_time():
    told = {"langfuse.observation.level": "ERROR", "langfuse.observation.completion_start_time": "soon"}
    record = one(span("1" * 16, {**LANGFUSE, **told}))
    assert (record["status"], record["error_type"]) == ("error", "error")
    assert record["time_to_first_token_ms"] is None
    told["langfuse.observation.status_message"] = "Too many requests\nretry"
    assert one(span("1" * 16, {**LANGFUSE, **told}))["error_type"] == "Too many requests"


def test_counts_of_a_framework_that_are_none_are_set_aside():
    broken = {**LANGFUSE, "langfuse.observation.usage_details": json.dumps({"input": -1, "output": 4})}
    batch = read([(1, export(span("1" * 16, broken)))])
    assert batch.records == []
    assert "input" in batch.rejections[0].reason


@pytest.mark.parametrize(
    "beside",
    [
        {"metadata.usage_object": "{'total_tokens': 2500}"},
        {"langfuse.observation.type": "generation", "langfuse.observation.usage_details": '{"total": 2500}'},
        {"gcp.vertex.agent.llm_request": '{"model": "m"}', "gcp.vertex.agent.llm_response": '{"usage_metadata": {"traffic_type": "x"}}'},
        {"langsmith.span.kind": "llm", "langsmith.metadata.usage_metadata": '{"input_token_details": {"audio": 0}}'},
    ],
)  # fmt: skip
def test_a_usage_that_names_no_counts_leaves_those_of_the_span(beside):
    assert one(span("1" * 16, {**USAGE, **beside}))["tokens_total"] == 2500


@pytest.mark.parametrize("tier", ["flex", "priority"])
def test_a_tier_under_whose_name_langchain_counts(tier):
    usage = {
        "input_tokens": 100,
        "output_tokens": 20,
        "total_tokens": 120,
        "input_token_details": {f"{tier}_cache_read": 64, tier: 36},
        "output_token_details": {f"{tier}_reasoning": 15, tier: 5},
    }
    record = one(
        span(
            "1" * 16,
            {
                "langsmith.span.kind": "llm",
                "langsmith.metadata.usage_metadata": json.dumps(usage),
            },
        )
    )
    assert [record[name] for name in TOKEN_COLUMNS] == [36, 64, 0, 5, 15]
    assert record["service_tier"] == tier


@pytest.mark.parametrize("around", ["wrapper", "langchain", "none"])
def test_details_that_langsmith_hands_on_in_the_answer_alone(around):
    usage = {
        **{"input_tokens": 100, "output_tokens": 20, "total_tokens": 120},
        "input_token_details": {"cache_read": 64},
        "output_token_details": {"reasoning": 15},
    }
    completion = {
        "wrapper": {"choices": [{"message": {"content": "Yes."}}], "usage_metadata": usage},
        "langchain": {"generations": [[{"message": {"lc": 1, "kwargs": {"usage_metadata": usage}}}]]},
        "none": {"generations": [[]]},
    }
    record = one(
        span(
            "1" * 16,
            {
                "langsmith.span.kind": "llm",
                "gen_ai.completion": json.dumps(completion[around]),
                "gen_ai.usage.input_tokens": 100,
                "gen_ai.usage.output_tokens": 20,
                "gen_ai.usage.total_tokens": 120,
                "gen_ai.usage.input_token_details": str(usage["input_token_details"]),
                "gen_ai.response.service_tier": "flex",
            },
        )
    )
    counts = [100, 0, 0, 20, 0] if around == "none" else [36, 64, 0, 5, 15]
    assert [record[name] for name in TOKEN_COLUMNS] == counts
    assert record["service_tier"] == "flex"


def test_a_prompt_template_of_langsmith_is_no_call():
    template = {
        "gen_ai.operation.name": "chat",
        "langsmith.span.kind": "prompt",
        "gen_ai.system": "langchain",
    }
    model = {
        "gen_ai.operation.name": "chat",
        "langsmith.span.kind": "llm",
        "gen_ai.request.model": "gpt-4o",
        "langsmith.metadata.thread_id": "t1",
    }
    batch = calls(span("1" * 16, template), span("2" * 16, model, start=1))
    assert [(r["provider"], r["session_id"]) for r in batch.records] == [("openai", "t1")]
    assert batch.ignored == {"prompt": 1}


ADK = {
    "gen_ai.system": "gcp.vertex.agent",
    "gen_ai.request.model": "gemini-2.5-pro",
    "gcp.vertex.agent.session_id": "s1",
    "gcp.vertex.agent.llm_request": json.dumps({
        "model": "gemini-2.5-pro",
        "config": {"system_instruction": "Be brief."},
        "contents": [{"role": "user", "parts": [{"text": "Rain?"}]}],
    }),
    "gcp.vertex.agent.llm_response": json.dumps({
        "content": {"role": "model", "parts": [{"text": "So it is.", "thought": True}, {"text": "Yes."}]},
        "usage_metadata": {
            "prompt_token_count": 2500, "cached_content_token_count": 2100, "candidates_token_count": 60,
            "thoughts_token_count": 40, "total_token_count": 2600,
        },
    }),
}  # fmt: skip


def test_a_call_of_googles_adk_by_hand():
    """400 fresh of 2,500, 2,100 cached, 60 said and 40 thought: 2,600."""
    record = one(span("1" * 16, ADK))
    counts = ("input_uncached", "cache_read", "output_visible", "reasoning", "tokens_total")
    assert [record[name] for name in counts] == [400, 2100, 60, 40, 2600]
    assert (record["provider"], record["session_id"], record["query"]) == ("google", "s1", "Rain?")
    assert record["answer"] == "Yes."


def test_thoughts_of_googles_adk_where_no_texts_are_logged():
    values = {
        **ADK,
        "gcp.vertex.agent.llm_request": "{}",
        "gcp.vertex.agent.llm_response": "{}",
        "gen_ai.usage.input_tokens": 2500,
        "gen_ai.usage.output_tokens": 60,
        "gen_ai.usage.experimental.reasoning_tokens": 40,
        "gen_ai.usage.experimental.cached_tokens": 2100,
        "gen_ai.usage.experimental.reasoning_tokens_limit": 1024,
    }
    assert [one(span("1" * 16, values))[name] for name in TOKEN_COLUMNS] == [400, 2100, 0, 60, 40]
    newer = {**values, "gen_ai.usage.output_tokens": 100, "gen_ai.usage.reasoning.output_tokens": 40}
    del newer["gen_ai.usage.experimental.reasoning_tokens"], newer["gen_ai.usage.experimental.cached_tokens"]
    assert [one(span("1" * 16, newer))[name] for name in TOKEN_COLUMNS] == [2500, 0, 0, 60, 40]


def test_a_tool_of_googles_adk_says_empty_requests_and_is_no_call():
    empty = {"gcp.vertex.agent.llm_request": "{}", "gcp.vertex.agent.llm_response": "{}"}
    assert calls(span("1" * 16, empty)).records == []


def test_an_answer_out_of_litellms_cache_costs_nothing():
    hit = {
        "gen_ai.operation.name": "acompletion",
        "gen_ai.request.model": "gpt-4o",
        "metadata.usage_object": "{'prompt_tokens': 9, 'completion_tokens': 4, 'total_tokens': 13}",
        "metadata.user_api_key_end_user_id": "u1",
    }
    assert one(span("1" * 16, {**hit, "litellm.cache_hit": "False"}))["tokens_total"] == 13
    record = one(span("1" * 16, {**hit, "litellm.cache_hit": "True"}))
    assert (record["tokens_total"], record["user_id"]) == (0, "u1")


@pytest.mark.parametrize(
    "written", ["{'a': __import__('os')}", "{" * 500, "{'prompt_tokens': 9", "{1, 2}", "12"]
)
def test_text_that_is_no_usage_is_not_run(written):
    found = {
        "gen_ai.operation.name": "chat",
        "metadata.usage_object": written,
        "gen_ai.usage.input_tokens": 9,
    }
    assert one(span("1" * 16, {**found, "gen_ai.usage.output_tokens": 4}))["tokens_total"] == 13


@pytest.mark.parametrize(
    "odd",
    [
        {"gen_ai.response.id": ["a", "b"]},
        {"ai.operationId": "ai.doGenerate", "ai.response.msToFirstChunk": 10**400},
        {"metadata.usage_object": "{[1]: 2}"},
        {"metadata.usage_object": "{1: {2, 3}, 'a': b'c'}"},
        {"langfuse.observation.type": "generation", "langfuse.observation.completion_start_time": "9" * 5000},
        {"langfuse.observation.type": ["x"], "langfuse.observation.usage_details": "[1]"},
        {"langsmith.span.kind": 7, "gen_ai.prompt": "[[]]"},
        {"gcp.vertex.agent.llm_request": '{"contents": [1, null], "config": 3}'},
        {"events": [1, "x", "[2]"], "duration": "long"},
        {"request_data": {"a": [1]}, "logfire.span_type": "log"},
        {"haystack.component.type": ["xGenerator"], "haystack.component.output": "[1]"},
        {"haystack.component.type": "xGenerator", "haystack.component.output": '{"replies": 3, "meta": [1]}'},
        {"haystack.component.type": "xGenerator", "haystack.component.input": '{"messages": {"a": [null]}}'},
    ],
)
def test_odd_values_are_no_end_of_the_file(odd):
    batch = calls_of(span("1" * 16, {**USAGE, **odd}, trace="b" * 32), span("2" * 16, USAGE, start=9))
    assert "2" * 16 in {record["event_id"][-16:] for record in batch.records}
    assert len(batch.records) + len(batch.rejections) + batch.ignored.total() == 2


def test_logfires_stream_is_one_call_of_the_time_it_took():
    asked = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-4o",
        "request_data": '{"stream": true}',
        "logfire.span_type": "span",
        "logfire.msg_template": "Chat Completion with {request_data[model]!r}",
    }
    end = {
        **asked,
        "logfire.span_type": "log",
        "logfire.msg_template": "streaming response from {request_data[model]!r} took {duration:.2f}s",
        "duration": 1.5,
        "gen_ai.usage.input_tokens": 9,
        "gen_ai.usage.output_tokens": 4,
    }
    spans = [span("1" * 16, asked, parent="9" * 16), span("2" * 16, asked, start=3000, parent="9" * 16)]
    ends = [span(f"{n}" * 16, end, start=1000 * n, parent="9" * 16) for n in (5, 6)]
    batch = calls(*spans, *ends)
    assert [(r["tokens_total"], r["latency_ms"]) for r in batch.records] == [(13, 1500), (13, 1500)]
    assert batch.ignored == {"model call logged again": 2}


def test_messages_as_a_list_of_events():
    events = [
        json.dumps({"role": "user", "content": "Rain?"}),
        json.dumps(
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": ["Yes."]}}
        ),
    ]
    record = one(span("1" * 16, {"gen_ai.operation.name": "chat", "logfire.msg": "x", "events": events}))
    assert (record["query"], record["answer"]) == ("Rain?", "Yes.")


def test_anthropics_sdk_says_a_refusal_in_its_own_words():
    found = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "claude-sonnet-4-5"}
    assert one(span("1" * 16, {**found, "anthropic.message.stop_reason": "refusal"}))["status"] == "refused"
    assert one(span("1" * 16, {**found, "anthropic.message.stop_reason": "end_turn"}))["status"] == "ok"


@pytest.mark.parametrize(
    ("named", "model", "sold_by"),
    [
        ("strands-agents", "us.anthropic.claude-sonnet-4-20250514-v1:0", "aws"),
        ("gcp.vertex.agent", "gemini-2.5-pro", "google"),
        ("langchain", "gpt-4o", "openai"),
        ("microsoft.agent_framework", "my-own", None),
        ("gcp.vertex_ai", "gemini-2.5-pro", "google"),
    ],
)
def test_a_framework_sells_no_model(named, model, sold_by):
    found = {"gen_ai.operation.name": "chat", "gen_ai.request.model": model, "gen_ai.system": named}
    assert one(span("1" * 16, found))["provider"] == sold_by


def test_what_openinference_says_beside_the_messages():
    """The requested model stands in the parameters, a text in whole and in parts is one, a dump is no answer."""
    found = {
        "openinference.span.kind": "LLM",
        "llm.model_name": "gpt-4o-2024-08-06",
        "llm.invocation_parameters": json.dumps({"model": "gpt-4o"}),
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.contents.0.message_content.text": "Rain?",
        "llm.output_messages.0.message.content": "Yes.",
        "llm.output_messages.0.message.contents.0.message_content.text": "Yes.",
    }
    record = one(span("1" * 16, found))
    assert (record["model_requested"], record["model_served"]) == ("gpt-4o", "gpt-4o-2024-08-06")
    assert (record["query"], record["answer"]) == ("Rain?", "Yes.")
    dumped = {
        "openinference.span.kind": "LLM",
        "output.value": json.dumps({"choices": [{"message": {"tool_calls": [{"name": "f"}]}}], "usage": {}}),
    }
    assert one(span("1" * 16, dumped))["answer"] is None
    plain = {"openinference.span.kind": "LLM", "output.value": '{"city": "Bern"}'}
    assert one(span("1" * 16, plain))["answer"] == '{"city": "Bern"}'  # the control


def test_strands_writes_blocks_as_text_and_milliseconds_as_seconds():
    found = {"gen_ai.operation.name": "chat", "gen_ai.server.time_to_first_token": 112}
    said = [("gen_ai.user.message", {"content": '[{"text": "Rain?"}]'})]
    record = one(span("1" * 16, found, events=said))  # 250 ms long
    assert (record["query"], record["time_to_first_token_ms"]) == ("Rain?", 112)
    found["gen_ai.server.time_to_first_token"] = 0.112
    assert one(span("1" * 16, found))["time_to_first_token_ms"] == 112


USAGE = {
    "gen_ai.operation.name": "chat",
    "gen_ai.usage.input_tokens": 2000,
    "gen_ai.usage.output_tokens": 500,
}


@pytest.mark.parametrize(
    ("alias", "column"),
    [
        ("gen_ai.usage.details.cached_tokens", "cache_read"),
        ("gen_ai.usage.prompt_tokens_details.cached_tokens", "cache_read"),
        ("gen_ai.usage.input_tokens.cache_read", "cache_read"),
        ("gen_ai.usage.cache_write_input_tokens", "cache_write"),
        ("gen_ai.usage.input_tokens.cache_write", "cache_write"),
        ("llm.usage.reasoning_tokens", "reasoning"),
        ("gen_ai.usage.completion_tokens_details.reasoning_tokens", "reasoning"),
        ("gen_ai.usage.output_tokens.reasoning", "reasoning"),
    ],
)
def test_further_names_of_counts(alias, column):
    record = one(span("1" * 16, {**USAGE, alias: 300, "gen_ai.usage.total_tokens": 2500}))
    assert (record[column], record["tokens_total"]) == (300, 2500)


@pytest.mark.parametrize("name", ["gen_ai.cost.total_cost", "operation.cost"])
def test_further_names_of_a_cost(name):
    assert one(span("1" * 16, {**USAGE, name: 0.5}))["cost_reported_usd"] == 0.5


@pytest.mark.parametrize(
    "name",
    ["acompletion", "aresponses", "llm_call", "text_completions", "chat.completions", "text.completions"],
)
def test_further_names_of_a_call(name):
    assert one(span("1" * 16, {**USAGE, "gen_ai.operation.name": name}))["tokens_total"] == 2500


@pytest.mark.parametrize(
    ("written", "status"),
    [
        (["content-filter"], "blocked"),
        ('["content-filter"]', "blocked"),
        (["FinishReason.SAFETY"], "blocked"),
        (["ContentFilter"], "blocked"),
        (["FinishReason.STOP", "stop_sequence"], "ok"),
        (["Refusal"], "refused"),
    ],
)
def test_an_answer_that_was_held_back_however_its_library_spells_it(written, status):
    assert one(span("1" * 16, {**USAGE, "gen_ai.response.finish_reasons": written}))["status"] == status


@pytest.mark.parametrize(
    ("library", "name", "values", "model"),
    [
        ("openlit.instrumentation.anthropic", "chat claude-sonnet-4-5", {}, "claude-sonnet-4-5"),
        ("io.quarkus.opentelemetry", "completion gpt-4o", {"gen_ai.request.model": "gpt-4o"}, "gpt-4o"),
        ("io.quarkus.opentelemetry", "chat with users", {"code.function": "chat"}, None),
        ("io.quarkus.opentelemetry", "POST /chat", {}, None),
        ("app", "chat with users", {}, None),
    ],
)
def test_a_failure_that_only_its_spans_name_tells_of(library, name, values, model):
    failed = span("1" * 16, values, name=name, status={"code": 2})
    scope = {"scope": {"name": library}, "spans": [failed]}
    batch = read([(1, json.dumps({"resourceSpans": [{"scopeSpans": [scope]}]}).encode())])
    found = [(record["status"], record["model_requested"]) for record in batch.records]
    assert found == ([("error", model)] if model else [])


@pytest.mark.parametrize(("given", "generated"), [("input", "output"), ("prompt", "completion")])
def test_older_names_of_dotnet_and_the_user_of_openlit(given, generated):
    values = {
        "gen_ai.operation.name": "chat",
        f"gen_ai.response.{given}_tokens": 10,
        f"gen_ai.response.{generated}_tokens": 3,
        "gen_ai.request.user": "u7",
    }
    record = one(span("1" * 16, values))
    assert (record["tokens_total"], record["user_id"]) == (13, "u7")
    assert json.loads(record["usage_raw"])[f"gen_ai.response.{given}_tokens"] == 10


MODEL = {"model_dict.class_name": "openai_llm", "model_dict.model_name": "gpt-4o"}
COMPLETED = ("LLMCompletionStartEvent", MODEL | {"prompt": "Why?"})
NODE = {
    "node": {"id_": "c1", "metadata": {"file_path": "a.md"}, "text": "It is so."},
    "score": 0.5,
}


def llama(span_id, name, events, **more):
    """A span of LlamaIndex, as an export request."""
    scope = {"name": "llamaindex.opentelemetry.tracer"}
    spans = [span(span_id, {}, events=events, name=name, **more)]
    return {"scope": scope, "spans": spans}


def read_scopes(*scopes):
    batch = read([(1, json.dumps({"resourceSpans": [{"scopeSpans": list(scopes)}]}).encode())])
    assert batch.rejections == []
    return batch


def test_a_completion_of_llamaindex_with_what_was_retrieved():
    nodes = {"nodes": json.dumps([NODE]), "str_or_query_bundle.query_str": "Why?"}
    counts = {
        f"response.additional_kwargs.{name}_tokens": count
        for name, count in (("prompt", 9), ("completion", 4))
    }
    ended = {"response.text": "So.", "response.raw": "null", **counts}
    batch = read_scopes(
        llama("1" * 16, "RetrieverQueryEngine.query", [("QueryStartEvent", {"query": "Why?"})]),
        llama("2" * 16, "VectorIndexRetriever.retrieve", [("RetrievalEndEvent", nodes)], start=1),
        llama("3" * 16, "OpenAI.predict", [("LLMPredictStartEvent", {})], start=2),
        llama(
            "4" * 16,
            "OpenAI.complete",
            [COMPLETED, ("LLMCompletionEndEvent", ended)],
            start=3,
            parent="3" * 16,
        ),
    )
    [record] = batch.records
    assert (record["query"], record["answer"], record["tokens_total"]) == ("Why?", "So.", 13)
    assert (record["model_requested"], record["provider"]) == ("gpt-4o", "openai")
    assert record["retrieved"] == [{"chunk_id": "c1", "document": "a.md", "score": 0.5}]
    assert batch.ignored == {"other span": 2, "retrieval": 1}


def test_failures_of_llamaindex_before_and_after_a_model_was_asked():
    failed = {"status": {"code": 2}}
    raised = ("exception", {"exception.type": "RateLimitError"})
    batch = read_scopes(
        llama("1" * 16, "OpenAI.chat", [("SpanDropEvent", {}), raised], **failed),
        llama("2" * 16, "OpenAI.complete", [COMPLETED, raised], **failed),
        llama("3" * 16, "OpenAIEmbedding.get_query_embedding", [("EmbeddingStartEvent", {"model_dict.model_name": "text-embedding-3-small"}), raised], **failed),
        llama("4" * 16, "HuggingFaceEmbedding.get_query_embedding", [("EmbeddingStartEvent", {"model_dict.model_name": "m"})]),
    )  # fmt: skip
    told = [
        (one["operation"], one["status"], one["error_type"], one["model_requested"]) for one in batch.records
    ]
    assert told == [
        ("chat", "error", "RateLimitError", "gpt-4o"),
        ("embeddings", "error", "RateLimitError", "text-embedding-3-small"),
    ]
    assert batch.ignored == {"other span": 1, "embedding without usage": 1}


def test_a_stream_of_llamaindex_has_no_known_end_and_is_the_call_that_its_client_made_later():
    stream = llama("1" * 16, "OpenAI.stream_complete", [COMPLETED])
    [alone] = read_scopes(stream).records
    assert (alone["query"], alone["tokens_total"], alone["latency_ms"]) == ("Why?", None, None)
    values = {**USAGE, "gen_ai.request.model": "gpt-4o"}
    client = {"scope": {"name": "openai"}, "spans": [span("2" * 16, values, start=300)]}
    [record] = read_scopes(stream, client).records
    assert (record["query"], record["tokens_total"], record["latency_ms"]) == ("Why?", 2500, 250)
    other = {
        "scope": {"name": "openai"},
        "spans": [span("2" * 16, {**values, "gen_ai.request.model": "o1"}, start=300)],
    }
    assert len(read_scopes(stream, other).records) == 2


def test_spans_start_where_these_tests_think():
    assert one(span("1" * 16, USAGE))["occurred_at"].timestamp() == START / 1e9
