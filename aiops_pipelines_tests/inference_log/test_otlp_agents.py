"""Agent frameworks as they log their calls: trimmed spans of a call, a stream, a tool's use and a failure."""

import json

import pytest

from aiops_pipelines.inference_log.openinference import read as read_openinference
from aiops_pipelines.inference_log.otlp_json import read
from aiops_pipelines.inference_log.record import TOKEN_COLUMNS
from aiops_pipelines_tests.inference_log.test_otlp_json import TRACE, any_value, export, one, span

ONE, TWO, THREE = (digit * 16 for digit in "123")
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.system": "openai"}
FAILED = {"status": {"code": 2}}
USAGE = {
    "completion_tokens": 101, "prompt_tokens": 1001, "total_tokens": 1102,
    "completion_tokens_details": {"audio_tokens": 0, "reasoning_tokens": 31, "text_tokens": None},
    "prompt_tokens_details": {"audio_tokens": 0, "cache_write_tokens": None, "cached_tokens": 201, "text_tokens": None},
}  # fmt: skip
"""1,001 in with 201 cached, 101 out with 31 thought: (800, 201, 0, 70, 31)."""
SPLIT = (800, 201, 0, 70, 31)
META = {"model": "gpt-4o-2024-08-06", "index": 0, "finish_reason": "stop", "usage": USAGE}


def of(library, *spans, reader=read):
    scope = {"scope": {"name": library}, "spans": list(spans)}
    batch = reader([(1, json.dumps({"resourceSpans": [{"scopeSpans": [scope]}]}).encode())])
    assert batch.rejections == []
    return batch


def counts(record):
    return tuple(record[name] for name in TOKEN_COLUMNS)


def test_semantic_kernel_logs_its_messages_as_json_text():
    """Python's logging gives a body no other type."""

    def logged(name, body):
        said = [{"key": "event.name", "value": {"stringValue": name}}]
        return {"traceId": TRACE, "spanId": ONE, "attributes": said, "body": any_value(json.dumps(body))}

    messages = [
        logged("gen_ai.system.message", {"role": "system", "content": "Be brief."}),
        logged("gen_ai.user.message", {"role": "user", "content": "Rain?"}),
        logged(
            "gen_ai.choice", {"message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}
        ),
    ]
    logs = {"resourceLogs": [{"scopeLogs": [{"logRecords": messages}]}]}
    [record] = read([(1, json.dumps(logs).encode()), (2, export(span(ONE, CHAT)))]).records
    assert (record["query"], record["answer"]) == ("Rain?", "Yes.")


def test_semantic_kernel_gives_one_reason_and_the_class_of_an_error():
    filtered = {**CHAT, "gen_ai.response.finish_reason": "FinishReason.CONTENT_FILTER"}
    assert one(span(ONE, filtered))["status"] == "blocked"
    raised = "semantic_kernel.exceptions.service_exceptions.ServiceResponseException"
    failed = span(ONE, {**CHAT, "error.type": f"<class '{raised}'>"}, **FAILED)
    [record] = of("semantic_kernel.utils.telemetry.model_diagnostics.decorators", failed).records
    assert (record["status"], record["error_type"]) == ("error", raised)


@pytest.mark.parametrize(
    "turn",
    [
        {"parts": [{"type": "tool_call_response", "id": "c1", "name": "weather", "result": "sunny"}]},
        {"content": [{"type": "tool_result", "tool_use_id": "c1", "content": "sunny"}]},
    ],
)
def test_what_a_tool_returned_to_the_user_is_no_question(turn):
    """Pydantic AI writes it in a message of the user's, as Anthropic wants it."""
    (key, [returned]) = next(iter(turn.items()))
    asked = {"role": "user", "parts": [{"type": "text", "content": "Weather?"}]}
    called = {"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "name": "weather"}]}
    messages = [asked, called, {"role": "user", **turn}]
    assert one(span(ONE, {**CHAT, "gen_ai.input.messages": json.dumps(messages)}))["query"] == "Weather?"
    messages[2] = {
        "role": "user",
        key: [returned, {"type": "text", "content": "And Basel?", "text": "And Basel?"}],
    }
    assert one(span(ONE, {**CHAT, "gen_ai.input.messages": json.dumps(messages)}))["query"] == "And Basel?"


@pytest.mark.parametrize(
    ("parts", "more", "status"),
    [
        ([], {}, "error"),
        ([{"type": "text", "content": "Yes"}], {}, "ok"),
        ([], {"gen_ai.response.id": "chatcmpl-1"}, "ok"),
        ([], {"gen_ai.usage.output_tokens": 0}, "ok"),
    ],
)
def test_a_stream_of_pydantic_ai_that_broke_before_anything_came(parts, more, status):
    said = {"gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": parts}])}
    [record] = of(
        "pydantic-ai", span(ONE, {**CHAT, "gen_ai.response.model": "gpt-4o", **said, **more})
    ).records
    assert record["status"] == status


@pytest.mark.parametrize(("named", "session"), [("resp_68a1", None), ("conv_68a1", "conv_68a1")])
def test_the_response_before_is_no_session(named, session):
    assert one(span(ONE, {**CHAT, "gen_ai.conversation.id": named}))["session_id"] == session


def component(span_id, made, given, gave, **more):
    told = {"haystack.component.name": "it", "haystack.component.type": made}
    told |= {
        f"haystack.component.{at}": json.dumps(value)
        for at, value in (("input", given), ("output", gave))
        if value
    }
    return span(span_id, told, name="haystack.component.run", **more)


ASKED = {
    "messages": [
        {"role": "system", "meta": {}, "name": None, "content": [{"text": "Be brief."}]},
        {"role": "user", "meta": {}, "name": None, "content": [{"text": "Where?"}]},
    ],
    "tools": None,
}
REPLIED = {"replies": [{"role": "assistant", "meta": META, "name": None, "content": [{"text": "There."}]}]}


def test_a_pipeline_of_haystack_with_what_was_retrieved():
    found = {"documents": [{"file_path": "a.md", "id": "d1", "content": "It is there.", "score": 1.5}]}
    prompt = {"prompt": ASKED["messages"]}
    batch = of(
        "my_application",
        component(ONE, "InMemoryBM25Retriever", {"query": "Where?"}, found),
        component(TWO, "ChatPromptBuilder", {"q": "Where?"}, prompt, start=1),
        component(THREE, "OpenAIChatGenerator", ASKED, REPLIED, start=2),
    )
    [record] = batch.records
    assert (counts(record), record["tokens_total"]) == (SPLIT, 1102)
    assert (record["model_served"], record["provider"]) == ("gpt-4o-2024-08-06", "openai")
    assert (record["query"], record["answer"]) == ("Where?", "There.")
    assert record["retrieved"] == [{"chunk_id": "d1", "document": "a.md", "score": 1.5}]
    assert batch.ignored == {"retrieval": 1, "other span": 1}


def test_steps_failures_and_embeddings_of_haystack():
    tool = {
        "replies": [{"role": "assistant", "meta": META, "content": [{"tool_call": {"tool_name": "weather"}}]}]
    }
    step = {
        f"haystack.agent.step.llm.{at}": json.dumps(value)
        for at, value in (("input", ASKED), ("output", tool))
    }
    embedded = {
        "embedding": [0.5],
        "meta": {"model": "text-embedding-3-small", "usage": {"prompt_tokens": 17, "total_tokens": 17}},
    }
    batch = of(
        "my_application",
        span(ONE, step, name="haystack.agent.step.llm"),
        component(TWO, "AzureOpenAIChatGenerator", ASKED, None, start=1, **FAILED),
        component(THREE, "OpenAITextEmbedder", {"text": "a"}, embedded, start=2),
        component("4" * 16, "SentenceTransformersTextEmbedder", {"text": "a"}, {"embedding": [0.5]}, start=3),
        component("5" * 16, "DALLEImageGenerator", {"prompt": "a cat"}, {"images": ["x"]}, start=4),
    )  # fmt: skip
    told = [
        (r["operation"], r["status"], r["provider"], r["answer"], r["tokens_total"]) for r in batch.records
    ]
    assert told == [
        ("chat", "ok", "openai", None, 1102),
        ("chat", "error", "azure", None, None),
        ("embeddings", "ok", "openai", None, 17),
    ]
    assert batch.ignored == {"embedding without usage": 1, "other span": 1}


def test_a_generator_of_haystack_that_takes_one_prompt():
    gave = {"replies": ["There."], "meta": [META]}
    [record] = of("app", component(ONE, "OpenAIGenerator", {"prompt": "Where?"}, gave)).records
    assert (record["query"], record["answer"], counts(record)) == ("Where?", "There.", SPLIT)


LLM = {
    "openinference.span.kind": "LLM",
    "llm.model_name": "gpt-4o",
    "llm.token_count.prompt": 1001,
    "llm.token_count.completion": 101,
    "llm.token_count.total": 1102,
}
DUMPS = {
    "haystack": json.dumps({"replies": [f"ChatMessage(_content=[TextContent(text='Yes.')], _meta={META!r})"]}),
    "smolagents": json.dumps({
        "content": "Yes.",
        "raw": "ChatCompletion(id='c1', usage=CompletionUsage(completion_tokens=101, prompt_tokens=1001, "
        "total_tokens=1102, completion_tokens_details=CompletionTokensDetails(reasoning_tokens=31), "
        "prompt_tokens_details=PromptTokensDetails(audio_tokens=0, cached_tokens=201)))",
        "token_usage": {"input_tokens": 1001, "output_tokens": 101, "total_tokens": 1102},
    }),
}  # fmt: skip


@pytest.mark.parametrize("framework", DUMPS)
def test_cached_tokens_that_only_a_dump_of_the_answer_holds(framework):
    library = f"openinference.instrumentation.{framework}"

    def read_with(**more):
        values = {**LLM, "output.value": DUMPS[framework], **more}
        [record] = of(library, span(ONE, values), reader=read_openinference).records
        return counts(record)

    assert read_with() == SPLIT
    assert read_with(**{"llm.token_count.prompt": 1002, "llm.token_count.total": 1103}) == (
        1002,
        0,
        0,
        101,
        0,
    )
    assert read_with(**{"output.value": "usage='much'"}) == (1001, 0, 0, 101, 0)


@pytest.mark.parametrize(
    ("library", "stated", "read"),
    [
        ("openinference.instrumentation.litellm", {"cache_input": 1001}, 0),
        ("openinference.instrumentation.litellm", {"cache_input": 901, "audio": 100}, 0),
        ("openinference.instrumentation.litellm", {"cache_input": 800, "cache_read": 201}, 201),
        ("", {"cache_input": 1001}, 0),
        ("app", {"cache_input": 201}, 201),
    ],
)
def test_text_that_openinference_calls_cached_for_litellm_is_fresh(library, stated, read):
    details = {f"llm.token_count.prompt_details.{name}": count for name, count in stated.items()}
    [record] = of(library, span(ONE, LLM | details), reader=read_openinference).records
    assert counts(record) == (1001 - read, read, 0, 101, 0)


@pytest.mark.parametrize(
    ("library", "sold_by", "beside"),
    [
        ("opentelemetry.instrumentation.bedrock", "AWS", True),
        ("opentelemetry.instrumentation.openai.v1", "openai", False),
        ("openlit.instrumentation.anthropic", "anthropic", True),
        ("openlit.instrumentation.bedrock", "aws.bedrock", True),
        ("openlit.instrumentation.openai", "openai", False),
        ("@openlit/instrumentation-anthropic", "anthropic", True),
        ("org.springframework.boot", "anthropic", True),
        ("org.springframework.boot", "openai", False),
        ("openinference.instrumentation.agno", "Anthropic", True),
        ("openinference.instrumentation.agno", "OpenAI", False),
        ("opentelemetry.instrumentation.llamaindex", "anthropic", True),
    ],
)
@pytest.mark.parametrize("read", ["cache_read.input_tokens", "cache_read_input_tokens"])
def test_libraries_that_count_what_was_cached_beside_the_input_and_in_no_total(
    library, sold_by, beside, read
):
    values = {
        **CHAT,
        "gen_ai.system": sold_by,
        "gen_ai.usage.input_tokens": "900",
        "gen_ai.usage.output_tokens": "100",
        "gen_ai.usage.total_tokens": "1000",
        f"gen_ai.usage.{read}": "500",
        "gen_ai.usage.cache_creation.input_tokens": "300",
    }
    [record] = of(library, span(ONE, values)).records
    assert counts(record) == (900 if beside else 100, 500, 300, 100, 0)
    assert record["token_convention"] == ("disjoint" if beside else "inclusive")


@pytest.mark.parametrize("usage", [{}, {"gen_ai.usage.input_tokens": 9, "gen_ai.usage.output_tokens": 2}])
@pytest.mark.parametrize(("named", "made"), [("N/A", 2), ("__fake_id__", 2), ("chatcmpl-1", 1)])
def test_calls_without_a_response_id_are_as_many_as_they_are(named, made, usage):
    """Semantic Kernel writes N/A where a connector gives none. The control: an id that is one."""
    values = {**CHAT, **usage, "gen_ai.response.id": named}
    batch = of("Microsoft.SemanticKernel.Diagnostics", span(ONE, values), span(TWO, values, start=2))
    assert len(batch.records) == made


def test_a_model_that_spring_ai_does_not_know_is_none():
    known = one(span(ONE, {**CHAT, "gen_ai.response.model": "none", "gen_ai.usage.input_tokens": "9"}))
    assert (known["model_requested"], known["model_served"]) == ("gpt-4o", None)
    unknown = {**CHAT, "gen_ai.request.model": "none", "gen_ai.response.model": "gpt-4o"}
    assert one(span(ONE, unknown))["model_requested"] == "gpt-4o"


def test_an_embedding_of_haystack_by_openinference_says_its_usage_in_its_dump():
    values = {
        "openinference.span.kind": "EMBEDDING",
        "embedding.model_name": "text-embedding-3-small",
        "output.value": json.dumps({"meta": {"usage": {"prompt_tokens": 17, "total_tokens": 17}}}),
    }
    [record] = of(
        "openinference.instrumentation.haystack", span(ONE, values), reader=read_openinference
    ).records
    assert (record["operation"], record["tokens_total"]) == ("embeddings", 17)


def test_an_answer_of_tool_calls_alone_is_not_its_dump():
    values = {
        **LLM,
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "weather",
        "output.value": json.dumps({"replies": ["ChatMessage(_content=[ToolCall(tool_name='weather')])"]}),
    }
    assert one(span(ONE, values))["answer"] is None


def test_a_stream_of_openais_agents_dumps_its_response_in_a_list():
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Yes."}]}
    response = {"id": "__fake_id__", "object": "response", "output": [said], "usage": None}
    values = {
        "openinference.span.kind": "LLM",
        "llm.model_name": "gpt-4o",
        "output.value": json.dumps([response]),
    }
    assert one(span(ONE, values))["answer"] == "Yes."


def test_counts_of_nothing_that_autogen_writes_of_a_stream_are_none():
    """The control: an answer that was counted keeps its zeros."""
    library = "openinference.instrumentation.autogen_agentchat"
    stream = {**LLM, **{name: 0 for name in LLM if "token_count" in name}}
    [record] = of(library, span(ONE, stream), reader=read_openinference).records
    assert record["tokens_total"] is None
    [record] = of(
        library,
        span(ONE, {**LLM, "llm.token_count.completion": 0, "llm.token_count.total": 1001}),
        reader=read_openinference,
    ).records
    assert record["tokens_total"] == 1001


def logfire(span_id, name, values, **more):
    told = {
        key: value if isinstance(value, str | int) else json.dumps(value) for key, value in values.items()
    }
    return span(span_id, {"gen_ai.system": "openai", **told}, name=name, **more)


def test_calls_of_openais_agents_by_logfire():
    """A group of traces is a session; none is written as null."""
    usage = {"requests": 1, "input_tokens": 1001, "output_tokens": 101, "total_tokens": 1102}
    details = {
        "input_tokens_details": {"cached_tokens": 201},
        "output_tokens_details": {"reasoning_tokens": 31},
    }
    asked = {"gen_ai.request.model": "gpt-4o", "input": [{"role": "user", "content": "Rain?"}]}
    said = {
        "output": [{"role": "assistant", "content": "Yes.", "tool_calls": None}],
        "usage": usage | details,
    }
    batch = of(
        "logfire.openai_agents",
        logfire(ONE, "OpenAI Agents trace: {name}", {"group_id": "g1"}),
        logfire(TWO, "Chat completion with {gen_ai.request.model!r}", asked | said, parent=ONE, start=1),
        logfire(
            THREE, "Text → Speech with {gen_ai.request.model!r}", {"gen_ai.request.model": "tts-1"}, start=2
        ),
    )
    [record] = batch.records
    assert (counts(record), record["query"], record["answer"]) == (SPLIT, "Rain?", "Yes.")
    assert (record["session_id"], batch.ignored) == ("g1", {"other span": 2})


def test_failures_and_streams_of_openais_agents_by_logfire():
    name, model = "Responses API with {gen_ai.request.model!r}", {"gen_ai.request.model": "gpt-4o"}
    response = {
        "instructions": "Be brief.",
        "output": [{"type": "message", "content": [{"type": "output_text", "text": "Yes."}]}],
    }
    nothing = {"requests": 1, "input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    batch = of(
        "logfire.openai_agents",
        logfire(ONE, "OpenAI Agents trace: {name}", {"group_id": None}),
        logfire(TWO, name, model | {"usage": "null", "output": "null"}, parent=ONE, start=1, **FAILED),
        logfire(THREE, name, model | {"raw_input": [{"role": "user", "content": "Rain?"}], "response": response, "usage": nothing, "gen_ai.usage.input_tokens": 0, "gen_ai.usage.output_tokens": 0}, parent=ONE, start=2),
    )  # fmt: skip
    told = [(r["status"], r["query"], r["answer"], r["tokens_total"], r["session_id"]) for r in batch.records]
    assert told == [("error", None, None, None, None), ("ok", "Rain?", "Yes.", None, None)]
