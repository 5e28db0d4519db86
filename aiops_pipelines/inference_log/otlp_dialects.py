"""What frameworks log under names of their own, put under the names of the GenAI conventions.

One function a framework, found by how its attributes begin, or its library's name; those of frameworks that
ask models themselves are in `otlp_frameworks` and `otlp_agents`, those of tracers here. What is then read is
the business of `otlp_usage`, `otlp_messages` and `span_calls`. What a span states in the conventions' names
already is kept, but where the framework's own is known to say more.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from aiops_pipelines.inference_log.langfuse_usage import OPERATIONS as LANGFUSE_OPERATIONS
from aiops_pipelines.inference_log.messages import SHAPES, by_names, decoded, first, listed, object_in
from aiops_pipelines.inference_log.otlp_agents import (
    counted,
    dumped,
    haystack,
    openai_agents,
    pydantic_ai,
    semantic_kernel,
)
from aiops_pipelines.inference_log.otlp_frameworks import (
    OPERATION,
    adk,
    adk_counts,
    ai_sdk,
    answered_in,
    anthropic,
    asked_in,
    litellm,
    llamaindex,
)
from aiops_pipelines.inference_log.otlp_spans import Span
from aiops_pipelines.inference_log.otlp_traces import MODEL_CALLS
from aiops_pipelines.inference_log.otlp_usage import (
    CACHE_READ,
    CACHE_WRITE,
    FRAMEWORK_USAGE,
    INPUT,
    OUTPUT,
    PROVIDER_USAGE,
    READ_ALIASES,
    WRITE_ALIASES,
)
from aiops_pipelines.inference_log.provider_outcome import counted_tier
from aiops_pipelines.inference_log.provider_texts import finish_reasons
from aiops_pipelines.inference_log.record import RecordError
from aiops_pipelines.inference_log.times import nanoseconds

_STREAMED = "streaming response from"
_LANGFUSE = "langfuse.observation."
_ASKED = (*MODEL_CALLS, "embeddings")
_PROVIDERS = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system")
_NOTHING = {
    **dict.fromkeys(("gen_ai.request.model", "gen_ai.response.model"), ("none",)),
    "gen_ai.response.id": ("N/A", "__fake_id__"),
}
"""What is written for a name that is not known: by Spring AI, Semantic Kernel, OpenAI's Agents SDK."""
_OF_LITELLM, _CACHED = "openinference.instrumentation.litellm", "llm.token_count.prompt_details.cache_input"
_BESIDE = {
    "inputTokens": INPUT,
    "outputTokens": OUTPUT,
    "cacheReadInputTokens": CACHE_READ + READ_ALIASES,
    "cacheWriteInputTokens": CACHE_WRITE + WRITE_ALIASES,
}
"""Bedrock's own names of what others write under those of the conventions."""


def in_conventions(span: Span) -> Span:
    """Return a span with what its framework says under the conventions' names; most are as they are."""
    if read := _library(span.scope):
        span = read(span)
    for read in _dialects(span.attributes):
        span = read(span)
    found = span.attributes
    unknown = [name for name, words in _NOTHING.items() if found.get(name) in words]
    if unknown:
        known = {name: value for name, value in found.items() if name not in unknown}
        return replace(span, attributes=known)
    return span


def langfuse(span: Span) -> Span:
    """Langfuse's SDK: `langfuse.observation.*`, its values as JSON text."""
    found = span.attributes
    kind = str(found.get(f"{_LANGFUSE}type") or "").lower()
    under = {
        OPERATION: LANGFUSE_OPERATIONS.get(kind, kind) or None,
        "session.id": first(found, "langfuse.session.id", "langfuse.trace.session_id"),
        "user.id": first(found, "langfuse.user.id", "langfuse.trace.user_id"),
    }
    failed = str(found.get(f"{_LANGFUSE}level") or "").upper() == "ERROR"
    if failed:
        told = str(found.get(f"{_LANGFUSE}status_message") or "").splitlines()
        under["error.type"] = told[0][:200] if told else "error"
    if kind in ("generation", "embedding"):
        given, said = (decoded(found.get(f"{_LANGFUSE}{name}")) for name in ("input", "output"))
        cost, usage = (object_in(found.get(f"{_LANGFUSE}{name}_details")) for name in ("cost", "usage"))
        began = found.get(f"{_LANGFUSE}completion_start_time")
        under |= {
            "gen_ai.request.model": found.get(f"{_LANGFUSE}model.name"),
            "gen_ai.response.model": found.get(f"{_LANGFUSE}model.name"),
            "gen_ai.input.messages": asked_in(given),
            "gen_ai.output.messages": answered_in(said),
            "gen_ai.response.finish_reasons": sorted(finish_reasons(said)) or None,
            "gen_ai.response.time_to_first_chunk": _seconds(span, began),
            "gen_ai.usage.cost": cost.get("total"),
            "aiops.prompt.version": first(found, f"{_LANGFUSE}prompt.version"),
            "openai.response.service_tier": counted_tier(usage),
            FRAMEWORK_USAGE: usage or None,
        }
    elif kind == "retriever":
        under |= {
            "gen_ai.retrieval.query.text": found.get(f"{_LANGFUSE}input"),
            "gen_ai.retrieval.documents": found.get(f"{_LANGFUSE}output"),
        }
    return span.saying(under)


def _seconds(span: Span, written: Any) -> float | None:
    """Return the seconds from a span's start to a time, which may be JSON text."""
    try:
        at = nanoseconds("completion_start_time", str(written).strip('"')) if written else None
    except RecordError:
        return None
    return None if at is None or span.start_ns is None or at < span.start_ns else (at - span.start_ns) / 1e9


def langsmith(span: Span) -> Span:
    """LangSmith's export: it calls prompt templates "chat", and keeps the cache's share apart."""
    found = span.attributes
    kind = str(found.get("langsmith.span.kind") or "").lower()
    sessions = (f"langsmith.metadata.{name}" for name in ("session_id", "thread_id", "conversation_id"))
    context = {"session.id": first(found, *sessions), "user.id": found.get("langsmith.metadata.user_id")}
    if kind != "llm":
        return span.saying(context, {OPERATION: kind or None})
    prompt, completion = object_in(found.get("gen_ai.prompt")), object_in(found.get("gen_ai.completion"))
    usage = object_in(found.get("langsmith.metadata.usage_metadata")) or _langchain_usage(completion)
    over = {
        OPERATION: "chat",
        "gen_ai.provider.name": found.get("langsmith.metadata.ls_provider"),
        PROVIDER_USAGE: usage or None,
        "openai.response.service_tier": counted_tier(usage),
        "gen_ai.input.messages": asked_in(prompt),
        "gen_ai.output.messages": answered_in(completion),
        "gen_ai.prompt": "" if prompt else None,
        "gen_ai.completion": "" if completion else None,
    }
    return span.saying(context, over)


def _langchain_usage(completion: Mapping[str, Any]) -> dict[str, Any]:
    """Return the usage with details of an answer, of LangSmith's wrappers or a message of LangChain."""
    said = completion.get("generations")
    while isinstance(said, list):
        said = next(iter(said), None)
    message = object_in(object_in(said).get("message"))
    usage = first(completion, "usage_metadata") or object_in(message.get("kwargs")).get("usage_metadata")
    return usage if isinstance(usage, dict) and "input_tokens" in usage else {}


def logfire(span: Span) -> Span:
    """Logfire: messages as a list of events, and the end of a stream as a log of no duration."""
    found = span.attributes
    events = [object_in(event) for event in listed(decoded(found.get("events")))]
    asked = [event for event in events if event.get("role") and "message" not in event]
    said = [event for event in events if "message" in event]
    reasons = [event["finish_reason"] for event in said if event.get("finish_reason")]
    under = {
        "gen_ai.input.messages": asked or None,
        "gen_ai.output.messages": [event["message"] for event in said] or None,
        "gen_ai.response.finish_reasons": reasons or None,
    }
    span = span.saying(under)
    took = found.get("duration")
    streamed = str(found.get("logfire.msg_template") or "").startswith(_STREAMED)
    if streamed and span.end_ns is not None and isinstance(took, int | float) and 0 <= took < 1e6:
        return replace(span, start_ns=span.end_ns - int(took * 1e9))
    return span


def named(span: Span) -> Span:
    """OpenLIT and Quarkus: a failure says by the span's name alone what was asked for, as `chat gpt-4o`."""
    asked, _, model = span.name.partition(" ")
    stated = span.first("gen_ai.request.model")
    if not span.failed or asked not in _ASKED or not model or (stated != model and span.attributes):
        return span
    return span.saying({OPERATION: asked, "gen_ai.request.model": model})


def text_tokens(span: Span) -> Span:
    """OpenInference's of LiteLLM: the text of a prompt under the name of what was cached of it.

    A row of a data frame does not name its library; a prompt is never cached to its end.
    """
    found = span.attributes
    if span.scope.startswith(_OF_LITELLM) or found[_CACHED] == found.get("llm.token_count.prompt"):
        return replace(span, attributes={name: value for name, value in found.items() if name != _CACHED})
    return span


def beside(span: Span) -> Span:
    """OpenLLMetry's of Bedrock and others: what was cached stands beside the input, in no total of theirs."""
    counts = {name: span.first(*names) for name, names in _BESIDE.items()}
    cached = counts["cacheReadInputTokens"] or counts["cacheWriteInputTokens"]
    return span.saying({PROVIDER_USAGE: counts}) if cached else span


def openlit(span: Span) -> Span:
    """OpenLIT: failures as `named` reads them, and counts of Anthropic and Bedrock as these state them."""
    return beside(named(span)) if span.scope.endswith(("anthropic", "bedrock")) else named(span)


def verbatim(span: Span) -> Span:
    """Spring AI, OpenInference's of Agno, OpenLLMetry's of LlamaIndex: Anthropic's counts as it has them."""
    return beside(span) if str(span.first(*_PROVIDERS)).lower() == "anthropic" else span


DIALECTS: dict[str, Callable[[Span], Span]] = {
    "ai.": ai_sdk,
    "langfuse.": langfuse,
    "langsmith.": langsmith,
    "gcp.vertex.agent.": adk,
    "gen_ai.usage.experimental.": adk_counts,
    "litellm.": litellm,
    "metadata.usage_object": litellm,
    "logfire.": logfire,
    "events": logfire,
    "anthropic.message.": anthropic,
    "haystack.": haystack,
    _CACHED: text_tokens,
}
"""Frameworks by how the names of their attributes begin."""
LIBRARIES: dict[str, Callable[[Span], Span]] = {
    "openlit.": openlit,
    "@openlit/": openlit,
    "org.springframework.": verbatim,
    "openinference.instrumentation.agno": verbatim,
    "opentelemetry.instrumentation.llamaindex": verbatim,
    "io.quarkus.": named,
    "llamaindex.": llamaindex,
    "semantic_kernel.": semantic_kernel,
    "pydantic-ai": pydantic_ai,
    "logfire.openai_agents": openai_agents,
    "openinference.instrumentation.autogen_agentchat": counted,
    "openinference.instrumentation.haystack": dumped,
    "openinference.instrumentation.smolagents": dumped,
    "opentelemetry.instrumentation.bedrock": beside,
}
"""Libraries, by how their own names begin, whose spans may have no attributes to be known by."""


@by_names
def _dialects(names: tuple[str, ...]) -> list[Callable[[Span], Span]]:
    spoken = (read for start, read in DIALECTS.items() if any(name.startswith(start) for name in names))
    return list(dict.fromkeys(spoken))


@lru_cache(maxsize=SHAPES)
def _library(scope: str) -> Callable[[Span], Span] | None:
    return next((read for start, read in LIBRARIES.items() if scope.startswith(start)), None)
