"""What frameworks log under names of their own, put under the names of the GenAI conventions.

One function a framework, found by how its attributes begin; what is then read is the business of
`otlp_usage`, `otlp_messages` and `span_calls`. What a span states in the conventions' names already is kept,
but where the framework's own is known to say more.
"""

import ast
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from aiops_pipelines.inference_log.langfuse_usage import OPERATIONS as LANGFUSE_OPERATIONS
from aiops_pipelines.inference_log.messages import by_names, decoded, first, listed
from aiops_pipelines.inference_log.otlp_spans import Span
from aiops_pipelines.inference_log.otlp_usage import FRAMEWORK_USAGE, PROVIDER_USAGE
from aiops_pipelines.inference_log.provider_texts import answer_text, finish_reasons, request_turns
from aiops_pipelines.inference_log.record import RecordError
from aiops_pipelines.inference_log.times import nanoseconds

OPERATION = "gen_ai.operation.name"
LONGEST_LITERAL = 20_000
LONGEST_WAIT_MS = 1e12
_AI_SDK = {"doGenerate": "chat", "doStream": "chat", "doEmbed": "embeddings"}
"""What the AI SDK's spans of single requests ask for."""
_STREAMED = "streaming response from"
_LANGFUSE = "langfuse.observation."
Facts = Mapping[str, Any]


def in_conventions(span: Span) -> Span:
    """Return a span with what its framework says under the conventions' names; most are as they are."""
    for read in _dialects(span.attributes):
        span = read(span)
    return span


def _saying(span: Span, under: Facts, over: Facts | None = None) -> Span:
    """Return a span that says `over` above all, and `under` where it says nothing itself; None is nothing."""
    beneath, above = ({k: v for k, v in said.items() if v is not None} for said in (under, over or {}))
    return replace(span, attributes={**beneath, **span.attributes, **above})


def _object(value: Any) -> dict[str, Any]:
    found = decoded(value)
    return found if isinstance(found, dict) else {}


def _asked(request: Any) -> list[dict[str, str]] | None:
    return [{"role": role, "content": text} for role, text in request_turns(request)] or None


def _answered(response: Any) -> list[dict[str, Any]] | None:
    return _message(answer_text(response))


def _message(text: Any) -> list[dict[str, Any]] | None:
    return [{"role": "assistant", "content": text}] if text else None


def ai_sdk(span: Span) -> Span:
    """Vercel's AI SDK: `ai.*`, one span for all steps of a generation and within it one for each request."""
    found = span.attributes
    asked = str(found.get("ai.operationId") or "").rpartition(".")[2]
    waited = found.get("ai.response.msToFirstChunk")
    waited = waited if isinstance(waited, int | float) and abs(waited) < LONGEST_WAIT_MS else None
    context = {
        "session.id": found.get("ai.telemetry.metadata.sessionId"),
        "user.id": found.get("ai.telemetry.metadata.userId"),
    }
    call = {
        OPERATION: _AI_SDK.get(asked),
        "gen_ai.request.model": found.get("ai.model.id"),
        "gen_ai.response.model": found.get("ai.response.model"),
        "gen_ai.provider.name": first(found, "gen_ai.system", "ai.model.provider"),
        "gen_ai.input.messages": decoded(found.get("ai.prompt.messages")),
        "gen_ai.output.messages": _message(first(found, "ai.response.text", "ai.response.object")),
        "gen_ai.tool.definitions": found.get("ai.prompt.tools"),
        "gen_ai.response.time_to_first_chunk": None if waited is None else waited / 1e3,
        "gen_ai.usage.input_tokens": first(
            found, "ai.usage.inputTokens", "ai.usage.promptTokens", "ai.usage.tokens"
        ),
        "gen_ai.usage.output_tokens": first(found, "ai.usage.outputTokens", "ai.usage.completionTokens"),
        "gen_ai.usage.cache_read.input_tokens": found.get("ai.usage.inputTokenDetails.cacheReadTokens"),
        "gen_ai.usage.cache_write.input_tokens": found.get("ai.usage.inputTokenDetails.cacheWriteTokens"),
        "gen_ai.usage.reasoning.output_tokens": found.get("ai.usage.outputTokenDetails.reasoningTokens"),
    }
    return _saying(span, context | call if asked in _AI_SDK else context)


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
        cost = _object(found.get(f"{_LANGFUSE}cost_details"))
        began = found.get(f"{_LANGFUSE}completion_start_time")
        under |= {
            "gen_ai.request.model": found.get(f"{_LANGFUSE}model.name"),
            "gen_ai.response.model": found.get(f"{_LANGFUSE}model.name"),
            "gen_ai.input.messages": _asked(given),
            "gen_ai.output.messages": _answered(said),
            "gen_ai.response.finish_reasons": sorted(finish_reasons(said)) or None,
            "gen_ai.response.time_to_first_chunk": _seconds(span, began),
            "gen_ai.usage.cost": cost.get("total"),
            "aiops.prompt.version": first(found, f"{_LANGFUSE}prompt.version"),
            FRAMEWORK_USAGE: _object(found.get(f"{_LANGFUSE}usage_details")) or None,
        }
    elif kind == "retriever":
        under |= {
            "gen_ai.retrieval.query.text": found.get(f"{_LANGFUSE}input"),
            "gen_ai.retrieval.documents": found.get(f"{_LANGFUSE}output"),
        }
    return _saying(span, under)


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
        return _saying(span, context, {OPERATION: kind or None})
    prompt, completion = _object(found.get("gen_ai.prompt")), _object(found.get("gen_ai.completion"))
    over = {
        OPERATION: "chat",
        "gen_ai.provider.name": found.get("langsmith.metadata.ls_provider"),
        PROVIDER_USAGE: _object(found.get("langsmith.metadata.usage_metadata")) or None,
        "gen_ai.input.messages": _asked(prompt),
        "gen_ai.output.messages": _answered(completion),
        "gen_ai.prompt": "" if prompt else None,
        "gen_ai.completion": "" if completion else None,
    }
    return _saying(span, context, over)


def adk(span: Span) -> Span:
    """Google's Agent Development Kit: request and response as JSON text, empty ones on spans of tools."""
    found = span.attributes
    request, response = (_object(found.get(f"gcp.vertex.agent.llm_{at}")) for at in ("request", "response"))
    under = {"session.id": found.get("gcp.vertex.agent.session_id")}
    if request:
        model = request.get("model")
        failed = first(response, "error_code")
        under |= {
            OPERATION: "chat",
            "gen_ai.request.model": model,
            "gen_ai.input.messages": _asked(request),
            "gen_ai.output.messages": _answered(response),
            "gen_ai.response.finish_reasons": sorted(finish_reasons(response)) or None,
            "error.type": None if failed is None else str(failed),
            PROVIDER_USAGE: _object(response.get("usage_metadata")) or None,
        }
    return _saying(span, under)


def litellm(span: Span) -> Span:
    """LiteLLM's callback: the provider's usage as Python text, the users of its keys."""
    found = span.attributes
    usage = _literal(found.get("metadata.usage_object"))
    if str(found.get("litellm.cache_hit")).lower() == "true":  # the provider was not asked
        usage = dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"), 0)
    user = first(found, "metadata.user_api_key_end_user_id", "llm.user", "metadata.user_api_key_user_id")
    under = {PROVIDER_USAGE: usage or None, "user.id": user}
    return _saying(span, under)


def _literal(written: Any) -> dict[str, Any]:
    """Return a dict that is written as Python writes it; nothing for anything else."""
    if isinstance(written, dict):
        return written
    if not isinstance(written, str) or not written.startswith("{") or len(written) > LONGEST_LITERAL:
        return {}
    try:
        found = json.loads(json.dumps(ast.literal_eval(written)))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return _object(written)
    return found if isinstance(found, dict) else {}


def logfire(span: Span) -> Span:
    """Logfire: messages as a list of events, and the end of a stream as a log of no duration."""
    found = span.attributes
    events = [_object(event) for event in listed(decoded(found.get("events")))]
    asked = [event for event in events if event.get("role") and "message" not in event]
    said = [event for event in events if "message" in event]
    reasons = [event["finish_reason"] for event in said if event.get("finish_reason")]
    under = {
        "gen_ai.input.messages": asked or None,
        "gen_ai.output.messages": [event["message"] for event in said] or None,
        "gen_ai.response.finish_reasons": reasons or None,
    }
    span = _saying(span, under)
    took = found.get("duration")
    streamed = str(found.get("logfire.msg_template") or "").startswith(_STREAMED)
    if streamed and span.end_ns is not None and isinstance(took, int | float) and 0 <= took < 1e6:
        return replace(span, start_ns=span.end_ns - int(took * 1e9))
    return span


def anthropic(span: Span) -> Span:
    """Anthropic's SDK: why the answer ended, in its own words."""
    reason = span.attributes.get("anthropic.message.stop_reason")
    return _saying(span, {"gen_ai.response.finish_reasons": reason})


DIALECTS: dict[str, Callable[[Span], Span]] = {
    "ai.": ai_sdk,
    "langfuse.": langfuse,
    "langsmith.": langsmith,
    "gcp.vertex.agent.": adk,
    "litellm.": litellm,
    "metadata.usage_object": litellm,
    "logfire.": logfire,
    "events": logfire,
    "anthropic.message.": anthropic,
}
"""Frameworks by how the names of their attributes begin."""


@by_names
def _dialects(names: tuple[str, ...]) -> list[Callable[[Span], Span]]:
    spoken = (read for start, read in DIALECTS.items() if any(name.startswith(start) for name in names))
    return list(dict.fromkeys(spoken))
