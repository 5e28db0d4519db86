"""One logical call, written down in every format that is imported, in each convention the format is found in."""

import json
from dataclasses import dataclass

from aiops_pipelines_tests.inference_log.test_otlp_json import attributes, export

START_NS = 1_780_315_200_000_000_000  # 2026-06-01T12:00:00Z
START, END = "2026-06-01T12:00:00.000Z", "2026-06-01T12:00:01.500Z"
TRACE, SPAN = "a" * 32, "b" * 16
SYSTEM, QUESTION, ANSWER = "Answer in one sentence.", "Where is my parcel?", "It is on its way."
TURNS = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]
SAID = [{"role": "assistant", "content": ANSWER}]


@dataclass(frozen=True)
class Call:
    """Five disjoint counts, and the model they were counted by; `hour` of the written tokens are kept that long."""

    provider: str
    model: str
    uncached: int
    read: int
    write: int
    visible: int
    reasoning: int
    hour: int | None = None

    @property
    def by_life(self):
        return {"ephemeral_5m_input_tokens": self.write - self.hour, "ephemeral_1h_input_tokens": self.hour}

    @property
    def given(self):
        return self.uncached + self.read + self.write

    @property
    def said(self):
        return self.visible + self.reasoning

    @property
    def total(self):
        return self.given + self.said

    @property
    def openai_usage(self):
        """With the lives of cache writes where LiteLLM states them."""
        lives = {} if self.hour is None else {"cache_creation_token_details": self.by_life}
        return {
            "prompt_tokens": self.given,
            "completion_tokens": self.said,
            "total_tokens": self.total,
            "prompt_tokens_details": {"cached_tokens": self.read, "cache_write_tokens": self.write, **lives},
            "completion_tokens_details": {"reasoning_tokens": self.reasoning},
        }

    @property
    def openai_response(self):
        choice = {"index": 0, "message": SAID[0], "finish_reason": "stop"}
        return {"id": "r1", "model": self.model, "choices": [choice], "usage": self.openai_usage}

    @property
    def anthropic_usage(self):
        return {
            "input_tokens": self.uncached,
            "cache_read_input_tokens": self.read,
            "cache_creation_input_tokens": self.write,
            "output_tokens": self.said,
            "output_tokens_details": {"thinking_tokens": self.reasoning},
            **({} if self.hour is None else {"cache_creation": self.by_life}),
        }


def line(value):
    return json.dumps(value).encode()


def aiops(call):
    return line({
        "event_id": "e1", "occurred_at": START, "provider": call.provider, "model_served": call.model,
        "usage": call.openai_usage, "query": QUESTION, "answer": ANSWER,
    })  # fmt: skip


def span(values):
    return {
        "traceId": TRACE, "spanId": SPAN, "startTimeUnixNano": str(START_NS), "endTimeUnixNano": str(START_NS + 10**9),
        "attributes": attributes(values),
    }  # fmt: skip


def genai(**names):
    def render(call):
        values = {
            "gen_ai.operation.name": "chat",
            names.get("provider", "gen_ai.provider.name"): call.provider,
            "gen_ai.request.model": call.model,
            "gen_ai.response.model": call.model,
            names.get("input", "gen_ai.usage.input_tokens"): call.given,
            names.get("output", "gen_ai.usage.output_tokens"): call.said,
            names.get("read", "gen_ai.usage.cache_read.input_tokens"): call.read,
            names.get("write", "gen_ai.usage.cache_creation.input_tokens"): call.write,
            "gen_ai.usage.reasoning.output_tokens": call.reasoning,
            "gen_ai.input.messages": json.dumps(TURNS),
            "gen_ai.output.messages": json.dumps(SAID),
        }
        if "total" in names:
            values[names["total"]] = call.total
        if call.hour is not None:
            values[names.get("hour", "gen_ai.usage.cache_creation.ephemeral_1h_input_tokens")] = call.hour
        return export(span(values))

    return render


def genai_details_event(call):
    """The call as a details event only, which no span carries."""
    values = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": call.provider,
        "gen_ai.request.model": call.model,
        "gen_ai.usage.input_tokens": call.given,
        "gen_ai.usage.output_tokens": call.said,
        "gen_ai.usage.cache_read.input_tokens": call.read,
        "gen_ai.usage.cache_write.input_tokens": call.write,
        "gen_ai.usage.reasoning.output_tokens": call.reasoning,
        "gen_ai.input.messages": json.dumps(TURNS),
        "gen_ai.output.messages": json.dumps(SAID),
        **({} if call.hour is None else {"gen_ai.usage.cache_creation_1h.input_tokens": call.hour}),
    }
    record = {
        "traceId": TRACE, "spanId": SPAN, "timeUnixNano": str(START_NS), "attributes": attributes(values),
        "eventName": "gen_ai.client.inference.operation.details",
    }  # fmt: skip
    return line({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]})


def _written(values):
    return {
        name: value if isinstance(value, str | int) else json.dumps(value) for name, value in values.items()
    }


def ai_sdk(call):
    """A request of Vercel's AI SDK, whose input holds what was cached."""
    hour = {} if call.hour is None else {"gen_ai.usage.cache_creation_1h.input_tokens": call.hour}
    return export(span(_written({
        "ai.operationId": "ai.streamText.doStream",
        "ai.model.provider": f"{call.provider}.messages", "ai.model.id": call.model,
        "ai.prompt.messages": [{"role": t["role"], "content": [{"type": "text", "text": t["content"]}]} for t in TURNS],
        "ai.response.text": ANSWER, "ai.response.model": call.model,
        "ai.usage.inputTokens": call.given, "ai.usage.outputTokens": call.said, "ai.usage.totalTokens": call.total,
        "ai.usage.inputTokenDetails.cacheReadTokens": call.read,
        "ai.usage.inputTokenDetails.cacheWriteTokens": call.write,
        "ai.usage.outputTokenDetails.reasoningTokens": call.reasoning, **hour,
    })))  # fmt: skip


def ai_sdk_older(version, sold):
    """A request of versions 4 and 5, whose input is without what Anthropic or Bedrock cached, and so is the total."""

    def render(call):
        usage = call.anthropic_usage | {"output_tokens": 1}  # of a stream's first event
        cached = {"cacheReadInputTokens": call.read, "cacheWriteInputTokens": call.write}
        counts = {
            4: {"promptTokens": call.uncached, "completionTokens": call.said},
            5: {"inputTokens": call.uncached, "outputTokens": call.said, "totalTokens": call.uncached + call.said,
                "cachedInputTokens": call.read},
        }[version]  # fmt: skip
        return export(span(_written({
            "ai.operationId": "ai.streamText.doStream", "ai.model.provider": f"{call.provider}.messages",
            "ai.model.id": call.model, "ai.response.model": call.model, "ai.prompt.messages": TURNS,
            "ai.response.text": ANSWER, **{f"ai.usage.{name}": count for name, count in counts.items()},
            "ai.response.providerMetadata": {sold: {"usage": usage if sold == "anthropic" else cached}},
        })))  # fmt: skip

    return render


def dotted(value, start=""):
    """Nested objects by dotted names, nothing as "null" and lists as JSON text, as LlamaIndex writes them."""
    flat = {}
    for name, inner in value.items():
        whole = isinstance(inner, str | int | float)
        if isinstance(inner, dict):
            flat |= dotted(inner, f"{start}{name}.")
        else:
            flat[f"{start}{name}"] = inner if whole else json.dumps(inner)
    return flat


def blocks(turn):
    return {
        "role": turn["role"],
        "additional_kwargs": {},
        "blocks": [{"block_type": "text", "text": turn["content"]}],
    }


def llamaindex(call):
    """A call of LlamaIndex: its span has no attributes, only events."""
    began = {"messages": [blocks(turn) for turn in TURNS], "class_name": "LLMChatStartEvent"}
    began |= {
        "model_dict": {"class_name": f"{call.provider}_LLM", "model_name": call.model, "num_output": None}
    }
    raw = {"id": "r1", "model": call.model, "usage": call.openai_usage, "service_tier": None}
    if call.provider == "anthropic":
        raw["usage"] = call.anthropic_usage
    ended = {
        "messages": began["messages"],
        "response": {"message": blocks(SAID[0]), "raw": raw, "delta": None},
    }
    events = [{"name": f"LLMChat{name}Event", "timeUnixNano": str(START_NS), "attributes": attributes(dotted(said))}
              for name, said in (("Start", began), ("End", ended))]  # fmt: skip
    scope = {"name": "llamaindex.opentelemetry.tracer"}
    one = {**span({}), "events": events}
    return line({"resourceSpans": [{"scopeSpans": [{"scope": scope, "spans": [one]}]}]})


def haystack(call):
    """A component of a pipeline: what it was given and gave, the provider's usage among it."""

    def dumped(turn, meta):
        return {"role": turn["role"], "meta": meta, "name": None, "content": [{"text": turn["content"]}]}

    meta = {"model": call.model, "index": 0, "finish_reason": "stop", "usage": call.openai_usage}
    given = {"messages": [dumped(turn, {}) for turn in TURNS], "generation_kwargs": None, "tools": None}
    return export(span(_written({
        "haystack.component.name": "llm", "haystack.component.type": "OpenAIChatGenerator",
        "haystack.component.input": given, "haystack.component.output": {"replies": [dumped(SAID[0], meta)]},
    })))  # fmt: skip


def langfuse_sdk(disjoint):
    def render(call):
        return export(span(_written({
            "langfuse.observation.type": "generation", "langfuse.observation.model.name": call.model,
            "langfuse.observation.input": TURNS, "langfuse.observation.output": SAID[0],
            "langfuse.observation.usage_details": langfuse_usage(call, disjoint),
        })))  # fmt: skip

    return render


def _dump(role, text):
    return {"lc": 1, "type": "constructor", "id": ["langchain"], "kwargs": {"content": text, "type": role}}


def langsmith(call):
    details = {"cache_read": call.read, "cache_creation": call.write}
    details |= {} if call.hour is None else call.by_life
    return export(span(_written({
        "langsmith.span.kind": "llm", "gen_ai.operation.name": "chat", "gen_ai.system": "langchain",
        "langsmith.metadata.ls_provider": call.provider, "gen_ai.request.model": call.model,
        "gen_ai.usage.input_tokens": call.given, "gen_ai.usage.output_tokens": call.said,
        "langsmith.metadata.usage_metadata": {
            "input_tokens": call.given, "output_tokens": call.said, "total_tokens": call.total,
            "input_token_details": details, "output_token_details": {"reasoning": call.reasoning},
        },
        "gen_ai.prompt": {"messages": [[_dump("system", SYSTEM), _dump("human", QUESTION)]]},
        "gen_ai.completion": {"generations": [[{"text": ANSWER, "message": _dump("ai", ANSWER)}]]},
    })))  # fmt: skip


def litellm_span(call):
    return export(span(_written({
        "gen_ai.operation.name": "acompletion", "gen_ai.system": call.provider, "gen_ai.request.model": call.model,
        "gen_ai.usage.input_tokens": call.given, "gen_ai.usage.output_tokens": call.said,
        "metadata.usage_object": repr(call.openai_usage), "litellm.cache_hit": "False",
        "gen_ai.input.messages": TURNS, "gen_ai.output.messages": SAID,
    })))  # fmt: skip


def openinference_values(call):
    return {
        "openinference.span.kind": "LLM",
        "llm.provider": call.provider,
        "llm.model_name": call.model,
        "llm.token_count.prompt": call.given,
        "llm.token_count.completion": call.said,
        "llm.token_count.total": call.total,
        "llm.token_count.prompt_details.cache_read": call.read,
        "llm.token_count.prompt_details.cache_write": call.write,
        "llm.token_count.completion_details.reasoning": call.reasoning,
        **({} if call.hour is None else {"llm.token_count.prompt_details.cache_write_1h": call.hour}),
        "llm.input_messages.0.message.role": "system",
        "llm.input_messages.0.message.content": SYSTEM,
        "llm.input_messages.1.message.role": "user",
        "llm.input_messages.1.message.content": QUESTION,
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.content": ANSWER,
    }


def openinference_otlp(call):
    return export(span(openinference_values(call)))


def phoenix_row(call, disjoint=False):
    """A row of a data frame: messages are a list of objects with dotted names."""
    values = {k: v for k, v in openinference_values(call).items() if "messages" not in k}
    if disjoint:
        values |= {"llm.token_count.prompt": call.uncached, "llm.token_count.completion": call.visible}
    row = {f"attributes.{name}": value for name, value in values.items()}
    turns = [{"message.role": turn["role"], "message.content": turn["content"]} for turn in TURNS]
    return line({
        **row, "context.trace_id": TRACE, "context.span_id": SPAN, "parent_id": None, "name": "llm",
        "span_kind": "LLM", "start_time": START, "end_time": END, "status_code": "OK",
        "attributes.llm.input_messages": turns,
        "attributes.llm.output_messages": [{"message.role": "assistant", "message.content": ANSWER}],
    })  # fmt: skip


def langfuse_usage(call, disjoint):
    written = {"input_cache_creation": call.write}
    if call.hour is not None:
        lives = {"5m": call.write - call.hour, "1h": call.hour}
        written = {f"input_cache_creation_{life}": count for life, count in lives.items()}
    return {
        "input": call.uncached if disjoint else call.given,
        "input_cached_tokens": call.read,
        **written,
        "output": call.visible if disjoint else call.said,
        "output_reasoning_tokens": call.reasoning,
        "total": call.total,
    }


def langfuse(disjoint, camel, texts=False):
    def render(call):
        usage = langfuse_usage(call, disjoint)
        row = {
            "id": SPAN, "trace_id": TRACE, "type": "GENERATION", "start_time": START, "end_time": END,
            "provided_model_name": call.model, "usage_details": json.dumps(usage) if texts else usage,
            "input": json.dumps(TURNS), "output": json.dumps(SAID[0]), "level": "DEFAULT",
        }  # fmt: skip
        if camel:
            names = ["".join(w.title() if i else w for i, w in enumerate(name.split("_"))) for name in row]
            row = dict(zip(names, row.values(), strict=True))
        return line(row)

    return render


def litellm(call):
    """The counts at the top know no cache, as in the payloads of its proxy."""
    return line({
        "id": "c1", "trace_id": TRACE, "call_type": "acompletion", "custom_llm_provider": call.provider,
        "model": call.model, "model_group": call.model, "startTime": 1780315200.0, "endTime": 1780315201.5,
        "status": "success", "prompt_tokens": call.given, "completion_tokens": call.said, "total_tokens": call.total,
        "messages": TURNS, "response": {"choices": [{"message": SAID[0], "finish_reason": "stop"}], "model": call.model},
        "metadata": {"usage_object": call.openai_usage},
    })  # fmt: skip


def mlflow_span(call, usage, outputs):
    values = {
        "mlflow.spanType": "CHAT_MODEL",
        "mlflow.spanInputs": {"model": call.model, "messages": TURNS},
        "mlflow.spanOutputs": outputs,
        "mlflow.chat.tokenUsage": usage,
        "mlflow.llm.provider": call.provider,
        "mlflow.llm.model": call.model,
    }
    return {name: json.dumps(value) for name, value in values.items() if value is not None}


def mlflow_usage(call, disjoint):
    """MLflow knows no reasoning in its own counts."""
    return {
        "input_tokens": call.uncached if disjoint else call.given,
        "output_tokens": call.said,
        "total_tokens": call.total,
        "cache_read_input_tokens": call.read,
        "cache_creation_input_tokens": call.write,
    }


def mlflow_v3(call):
    """With the provider's response, whose own usage tells of reasoning."""
    values = mlflow_span(call, mlflow_usage(call, disjoint=False), call.openai_response)
    one = {"trace_id": "x", "span_id": "bbbbbbbbbbb=", "start_time_unix_nano": START_NS, "attributes": values}
    info = {"trace_id": "tr-1", "request_time": START, "state": "OK", "trace_metadata": {}, "tags": {}}
    return line({"info": info, "data": {"spans": [one]}})


def mlflow_v2(disjoint):
    def render(call):
        outputs = {"choices": [{"message": SAID[0]}]}
        values = mlflow_span(call, mlflow_usage(call, disjoint), outputs)
        one = {"context": {"span_id": SPAN, "trace_id": TRACE}, "parent_id": None, "start_time": START_NS,
               "end_time": START_NS + 10**9, "status_code": "OK", "attributes": values}  # fmt: skip
        return line(
            {"info": {"request_id": "r-1", "timestamp_ms": START_NS // 10**6}, "data": {"spans": [one]}}
        )

    return render


def bodies(call):
    """What the provider was sent, and what it answered."""
    if call.provider == "anthropic":
        content = [{"type": "text", "text": ANSWER}]
        response = {"id": "m1", "model": call.model, "content": content, "usage": call.anthropic_usage}
        return {"model": call.model, "system": SYSTEM, "messages": TURNS[1:]}, response
    return {"model": call.model, "messages": TURNS}, call.openai_response


def http(call):
    host, path = ("anthropic", "messages") if call.provider == "anthropic" else ("openai", "chat/completions")
    return _exchange(f"api.{host}.com", f"/v1/{path}", *bodies(call))


def http_stream(call):
    if call.provider == "anthropic":
        first = {**call.anthropic_usage, "output_tokens": 1}
        events = [
            {
                "type": "message_start",
                "message": {"id": "m1", "model": call.model, "content": [], "usage": first},
            },
            {"type": "content_block_delta", "delta": {"type": "text_delta", "text": ANSWER[:5]}},
            {"type": "content_block_delta", "delta": {"type": "text_delta", "text": ANSWER[5:]}},
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn"},
                "usage": {"output_tokens": call.said},
            },
        ]
        request = {"model": call.model, "system": SYSTEM, "messages": TURNS[1:], "stream": True}
        return _exchange("api.anthropic.com", "/v1/messages", request, _stream(events))
    events = [
        {"id": "r1", "model": call.model, "choices": [{"delta": {"content": part}}], "usage": None}
        for part in (ANSWER[:5], ANSWER[5:])
    ]
    events.append({"id": "r1", "model": call.model, "choices": [], "usage": call.openai_usage})
    request = {"model": call.model, "messages": TURNS, "stream": True}
    return _exchange("api.openai.com", "/v1/chat/completions", request, _stream(events))


def _stream(events):
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"


def _exchange(host, path, request, response):
    return line({
        "id": "h1", "host": host, "path": path, "method": "POST", "status": 200,
        "date": "Mon, 01 Jun 2026 12:00:00 GMT", "processing_ms": "800", "request": request, "response": response,
    })  # fmt: skip


def opik(whole):
    """A span of Opik: the provider's own usage, flattened, beside counts that hold all of it."""

    def render(call):
        request, response = bodies(call)
        usage = {"prompt_tokens": call.given, "completion_tokens": call.said, "total_tokens": call.total}
        usage |= dotted(response.pop("usage"), "original_usage.")
        row = {
            "id": SPAN, "trace_id": TRACE, "parent_span_id": "p", "name": "chat", "type": "llm", "start_time": START,
            "end_time": END, "input": request, "output": response, "model": call.model, "provider": call.provider,
            "usage": usage, "error_info": None, "last_updated_at": END, "feedback_scores": None,
        }  # fmt: skip
        trace = {
            "id": TRACE,
            "name": "answer",
            "start_time": START,
            "last_updated_at": END,
            "thread_id": "s1",
        }
        return line({"trace": trace, "spans": [row], "downloaded_at": END} if whole else row)

    return render


def braintrust(call):
    """A row of Braintrust: its own counts, all of them inclusive; cache writes by how long they live, if known."""
    metrics = {
        "start": START_NS / 1e9, "end": START_NS / 1e9 + 1.5, "prompt_tokens": call.given, "tokens": call.total,
        "completion_tokens": call.said, "prompt_cached_tokens": call.read, "completion_reasoning_tokens": call.reasoning,
    }  # fmt: skip
    if call.hour is None:
        metrics["prompt_cache_creation_tokens"] = call.write
    else:
        metrics["prompt_cache_creation_5m_tokens"] = float(call.write - call.hour)
        metrics["prompt_cache_creation_1h_tokens"] = float(call.hour)
    return line({
        "id": "r1", "span_id": SPAN, "root_span_id": TRACE, "span_parents": ["p"], "created": START, "input": TURNS,
        "output": [{"index": 0, "finish_reason": "stop", "message": SAID[0]}], "error": None, "metrics": metrics,
        "metadata": {"model": call.model, "provider": call.provider},
        "span_attributes": {"name": "Chat Completion", "type": "llm"},
    })  # fmt: skip


def weave(call):
    request, response = bodies(call)
    return line({
        "id": SPAN, "trace_id": TRACE, "parent_id": "p", "op_name": "weave:///e/p/op/openai.chat.completions.create:d",
        "started_at": START, "ended_at": END, "inputs": {"self": "<C object at 0x1>", **request}, "output": response,
        "attributes": {"weave": {"kind": "llm"}}, "summary": {"usage": {call.model: response["usage"]}}, "exception": None,
    })  # fmt: skip


def helicone(call):
    """A request of Helicone with its bodies: its own counts leave open how they overlap."""
    request, response = bodies(call)
    return line({
        "request_id": "q1", "response_id": "r1", "request_created_at": "2026-06-01 12:00:00.000", "response_status": 200,
        "provider": call.provider.upper(), "model": call.model, "request_body": request, "response_body": response,
        "prompt_tokens": call.uncached, "completion_tokens": call.visible, "prompt_cache_read_tokens": call.read,
        "prompt_cache_write_tokens": call.write, "delay_ms": 1500, "time_to_first_token": 0,
    })  # fmt: skip


def run(call):
    """A run of LangSmith as its client sends one of LangChain: the provider's counts in LangChain's words."""
    asked = [
        {"lc": 1, "type": "constructor", "kwargs": {"content": turn["content"], "type": kind}}
        for turn, kind in zip(TURNS, ("system", "human"), strict=True)
    ]
    usage, told = langchain_usage(call), {"finish_reason": "stop", "model_name": call.model}
    said = {
        "lc": 1,
        "kwargs": {"content": ANSWER, "type": "ai", "response_metadata": told, "usage_metadata": usage},
    }
    return {
        "id": SPAN, "trace_id": TRACE, "parent_run_id": "p", "name": "Chat", "run_type": "llm", "start_time": START,
        "end_time": END, "extra": {"metadata": {"ls_provider": call.provider, "ls_model_name": call.model}}, "error": None,
        "inputs": {"messages": [asked]}, "outputs": {"generations": [[{"text": ANSWER, "message": said}]]},
    }  # fmt: skip


def langchain_usage(call):
    lives = {"cache_creation": call.write} if call.hour is None else {"cache_creation": 0, **call.by_life}
    return {
        "input_tokens": call.given,
        "output_tokens": call.said,
        "total_tokens": call.total,
        "input_token_details": {"cache_read": call.read, **lives},
        "output_token_details": {"reasoning": call.reasoning},
    }


def run_wrapped(call):
    """A run of one of its wrappers around a provider's client, as an answer of its API."""
    request, response = bodies(call)
    response["usage_metadata"] = langchain_usage(call)
    del response["usage"]
    return line({"runs": [run(call) | {"inputs": request, "outputs": response}], "cursors": {"next": None}})


MAPPING = {
    "event_id": "id", "occurred_at": "at", "provider": "who", "model_served": "model", "input_tokens": "n.in",
    "output_tokens": "n.out", "cache_read_tokens": "n.read", "cache_write_tokens": "n.write",
    "cache_write_1h_tokens": "n.hour", "reasoning_tokens": "n.thought", "total_tokens": "n.all", "messages": "asked", "answer": "said",
}  # fmt: skip


def mapped(disjoint):
    def render(call):
        given, said = (call.uncached, call.visible) if disjoint else (call.given, call.said)
        counts = {"in": given, "out": said, "read": call.read, "write": call.write}
        counts |= {"thought": call.reasoning, "all": call.total, "hour": call.hour}
        row = {"id": "e1", "at": 1780315200, "who": call.provider, "model": call.model, "n": counts}
        return line(row | {"asked": TURNS, "said": ANSWER})

    return render


ALIASES = {
    "cache_read_tokens": "cache_write_tokens",
    "cache_read_input_tokens": "cache_creation_input_tokens",
    "details.cache_read_tokens": "details.cache_write_tokens",
    "input_cached_tokens": "input_cache_creation",
}
HOURS = {
    "details.cache_write_tokens": "details.cache_write_1h_tokens",
    "cache_write_tokens": "cache_creation_1h_tokens",
}
RENDERINGS = {
    "aiops_jsonl": ("aiops_jsonl", aiops),
    "otlp up to 1.36": ("otlp_json", genai(provider="gen_ai.system", input="gen_ai.usage.prompt_tokens", output="gen_ai.usage.completion_tokens")),
    "otlp 1.37": ("otlp_json", genai()),
    "otlp of the genai repository": ("otlp_json", genai(write="gen_ai.usage.cache_write.input_tokens")),
    "otlp details event": ("otlp_json", genai_details_event),
    **{
        f"otlp alias {read}": ("otlp_json", genai(read=f"gen_ai.usage.{read}", write=f"gen_ai.usage.{write}", total="gen_ai.usage.total_tokens", hour=f"gen_ai.usage.{HOURS.get(write, 'cache_creation_1h_input_tokens')}"))
        for read, write in ALIASES.items()
    },
    "otlp of Vercel's AI SDK": ("otlp_json", ai_sdk),
    "otlp of Vercel's AI SDK 4, Anthropic": ("otlp_json", ai_sdk_older(4, "anthropic")),
    "otlp of Vercel's AI SDK 5, Anthropic": ("otlp_json", ai_sdk_older(5, "anthropic")),
    "otlp of Vercel's AI SDK 5, Bedrock": ("otlp_json", ai_sdk_older(5, "bedrock")),
    "otlp of LlamaIndex": ("otlp_json", llamaindex),
    "otlp of Haystack": ("otlp_json", haystack),
    "otlp of Langfuse's SDK, disjoint": ("otlp_json", langfuse_sdk(True)),
    "otlp of Langfuse's SDK, inclusive": ("otlp_json", langfuse_sdk(False)),
    "otlp of LangSmith": ("otlp_json", langsmith),
    "otlp of LiteLLM": ("otlp_json", litellm_span),
    "openinference otlp": ("openinference", openinference_otlp),
    "openinference data frame": ("openinference", phoenix_row),
    "openinference data frame, disjoint": ("openinference", lambda call: phoenix_row(call, disjoint=True)),
    "langfuse, disjoint": ("langfuse", langfuse(True, False)),
    "langfuse, inclusive": ("langfuse", langfuse(False, False, texts=True)),
    "langfuse api": ("langfuse", langfuse(True, True)),
    "litellm": ("litellm", litellm),
    "mlflow 3": ("mlflow", mlflow_v3),
    "mlflow 2, inclusive": ("mlflow", mlflow_v2(False)),
    "mlflow 2, disjoint": ("mlflow", mlflow_v2(True)),
    "opik": ("opik", opik(False)),
    "opik, a trace": ("opik", opik(True)),
    "braintrust": ("braintrust", braintrust),
    "weave": ("weave", weave),
    "helicone": ("helicone", helicone),
    "langsmith, LangChain": ("langsmith", lambda call: line(run(call))),
    "langsmith, a wrapper": ("langsmith", run_wrapped),
    "provider call": ("provider_http", http),
    "provider stream": ("provider_http", http_stream),
    "mapped, disjoint": ("mapped", mapped(True)),
    "mapped, inclusive": ("mapped", mapped(False)),
}  # fmt: skip
"""Name to the format and the function that writes a call in it."""
WITHOUT_REASONING = ("mlflow 2, inclusive", "mlflow 2, disjoint", "otlp of Vercel's AI SDK 5, Bedrock")
"""Renderings whose format has no place for reasoning: it stays in the visible output, at the same price. Nor has
it one for how long cache writes live."""
