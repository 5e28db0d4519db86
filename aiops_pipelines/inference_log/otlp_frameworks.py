"""What frameworks and clients that ask models log under names of their own, put under the conventions' names.

Tracers and the table of all dialects are in `otlp_dialects`.
"""

import ast
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aiops_pipelines.inference_log.messages import decoded, first, listed, object_in
from aiops_pipelines.inference_log.otlp_spans import Span
from aiops_pipelines.inference_log.otlp_usage import PROVIDER_USAGE
from aiops_pipelines.inference_log.provider_outcome import stated_tier
from aiops_pipelines.inference_log.provider_texts import answer_text, finish_reasons, request_turns
from aiops_pipelines.inference_log.provider_usage import body_usage

OPERATION = "gen_ai.operation.name"
LONGEST_LITERAL = 20_000
LONGEST_WAIT_MS = 1e12
_AI_SDK = {"doGenerate": "chat", "doStream": "chat", "doEmbed": "embeddings"}
"""What the AI SDK's spans of single requests ask for."""
OPENED = "aiops.stream.opened"
"""On a span that ended when its stream was handed over, before the model was asked: LlamaIndex's."""
_FOUND = {"retrieval": "RetrievalEndEvent", "reranking": "ReRankEndEvent"}
_DETAILS = ("ai.usage.inputTokenDetails.cacheReadTokens", "ai.usage.inputTokenDetails.noCacheTokens")
"""Where version 6 of the AI SDK says what its input holds."""
_INSIDE = ("cachedPromptTokens", "promptCacheHitTokens")
"""Cached tokens of the input in version 4 of the AI SDK: OpenAI and those compatible, DeepSeek."""


def asked_in(request: Any) -> list[dict[str, str]] | None:
    """Return the messages of a request's body."""
    return [{"role": role, "content": text} for role, text in request_turns(request)] or None


def answered_in(response: Any) -> list[dict[str, Any]] | None:
    """Return the answer of a response's body as messages."""
    return message(answer_text(response))


def message(text: Any) -> list[dict[str, Any]] | None:
    """Return an answer as messages."""
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
        "gen_ai.output.messages": message(first(found, "ai.response.text", "ai.response.object")),
        "gen_ai.tool.definitions": found.get("ai.prompt.tools"),
        "gen_ai.response.time_to_first_chunk": None if waited is None else waited / 1e3,
    }
    return span.saying(context | call | _ai_sdk_counts(found) if asked in _AI_SDK else context)


def _ai_sdk_counts(found: Mapping[str, Any]) -> dict[str, Any]:
    given = first(found, "ai.usage.inputTokens", "ai.usage.promptTokens", "ai.usage.tokens")
    said = first(found, "ai.usage.outputTokens", "ai.usage.completionTokens")
    details = first(found, *_DETAILS) is not None
    metadata = object_in(found.get("ai.response.providerMetadata"))
    apart = [object_in(told) for told in metadata.values()]
    stated = object_in(object_in(metadata.get("anthropic")).get("usage"))
    return {
        "gen_ai.usage.input_tokens": given,
        "gen_ai.usage.output_tokens": said,
        "gen_ai.usage.cache_read.input_tokens": found.get(_DETAILS[0])
        if details
        else next((count for told in apart if (count := first(told, *_INSIDE))), None),
        "gen_ai.usage.cache_write.input_tokens": found.get("ai.usage.inputTokenDetails.cacheWriteTokens"),
        "gen_ai.usage.cache_creation": stated.get("cache_creation"),
        "gen_ai.usage.reasoning.output_tokens": found.get("ai.usage.outputTokenDetails.reasoningTokens")
        or next((count for told in apart if (count := told.get("reasoningTokens"))), None),
        PROVIDER_USAGE: None if details else _beside(found, metadata, given, said),
    }


def _beside(
    found: Mapping[str, Any], metadata: Mapping[str, Any], given: Any, said: Any
) -> dict[str, Any] | None:
    """Return the usage of Anthropic or Bedrock as versions 4 and 5 of the AI SDK log it.

    Its input is without what was cached, and its total is the SDK's own sum of input and output.
    """
    anthropic_, bedrock = (object_in(metadata.get(name)) for name in ("anthropic", "bedrock"))
    stated = object_in(anthropic_.get("usage"))
    if "input_tokens" in stated:
        return {**stated, "output_tokens": said}  # that of a stream's first event may be there
    cached = object_in(bedrock.get("usage")) or anthropic_
    if not (cached or str(found.get("ai.model.provider")).startswith("amazon-bedrock")):
        return None
    read = first(cached, "cacheReadInputTokens") or found.get("ai.usage.cachedInputTokens")
    write = first(cached, "cacheWriteInputTokens", "cacheCreationInputTokens")
    if not (read or write):
        return None
    counts = {"inputTokens": given, "outputTokens": said}
    return {**counts, "cacheReadInputTokens": read, "cacheWriteInputTokens": write}


def adk(span: Span) -> Span:
    """Google's Agent Development Kit: request and response as JSON text, empty ones on spans of tools."""
    found = span.attributes
    request, response = (object_in(found.get(f"gcp.vertex.agent.llm_{at}")) for at in ("request", "response"))
    under = {"session.id": found.get("gcp.vertex.agent.session_id")}
    if request:
        model = request.get("model")
        failed = first(response, "error_code")
        under |= {
            OPERATION: "chat",
            "gen_ai.request.model": model,
            "gen_ai.input.messages": asked_in(request),
            "gen_ai.output.messages": answered_in(response),
            "gen_ai.response.finish_reasons": sorted(finish_reasons(response)) or None,
            "error.type": None if failed is None else str(failed),
            PROVIDER_USAGE: object_in(response.get("usage_metadata")) or None,
        }
    return span.saying(under)


def adk_counts(span: Span) -> Span:
    """Google's ADK before 2.3: thoughts stand beside the output, also where no texts are logged."""
    found = span.attributes
    thought, cached = (
        found.get(f"gen_ai.usage.experimental.{name}_tokens") for name in ("reasoning", "cached")
    )
    counts = {
        "promptTokenCount": found.get("gen_ai.usage.input_tokens"),
        "candidatesTokenCount": found.get("gen_ai.usage.output_tokens"),
        "thoughtsTokenCount": thought,
        "cachedContentTokenCount": cached,
    }
    return span.saying({PROVIDER_USAGE: counts}) if thought or cached else span


def litellm(span: Span) -> Span:
    """LiteLLM's callback: the provider's usage as Python text, the users of its keys."""
    found = span.attributes
    usage = _literal(found.get("metadata.usage_object"))
    if str(found.get("litellm.cache_hit")).lower() == "true":  # the provider was not asked
        usage = dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"), 0)
    user = first(found, "metadata.user_api_key_end_user_id", "llm.user", "metadata.user_api_key_user_id")
    under = {PROVIDER_USAGE: usage or None, "user.id": user}
    return span.saying(under)


def _literal(written: Any) -> dict[str, Any]:
    """Return a dict that is written as Python writes it; nothing for anything else."""
    if isinstance(written, dict):
        return written
    if not isinstance(written, str) or not written.startswith("{") or len(written) > LONGEST_LITERAL:
        return {}
    try:
        found = json.loads(json.dumps(ast.literal_eval(written)))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return object_in(written)
    return found if isinstance(found, dict) else {}


def anthropic(span: Span) -> Span:
    """Anthropic's SDK: why the answer ended, in its own words."""
    reason = span.attributes.get("anthropic.message.stop_reason")
    return span.saying({"gen_ai.response.finish_reasons": reason})


def llamaindex(span: Span) -> Span:
    """LlamaIndex: a span without attributes, whose events say what was asked for and what came back."""
    told = {event.name: event.attributes for event in span.events}
    if begun := first(told, "LLMChatStartEvent", "LLMCompletionStartEvent"):
        ended = first(told, "LLMChatEndEvent", "LLMCompletionEndEvent")
        span = span.saying(_llama_asked(begun) | _llama_answered(ended or {}))
        if ended or span.failed:
            return span
        return replace(span, end_ns=None, attributes={**span.attributes, OPENED: True})
    if begun := told.get("EmbeddingStartEvent"):
        return span.saying(
            {OPERATION: "embeddings", "gen_ai.request.model": begun.get("model_dict.model_name")}
        )
    for kind, name in _FOUND.items():
        if ended := told.get(name):
            return span.saying({OPERATION: kind, **_llama_found(ended)})
    return span


def _llama_found(ended: Mapping[str, Any]) -> dict[str, Any]:
    nodes = [node for node in listed(decoded(ended.get("nodes"))) if isinstance(node, dict)]
    return {
        "gen_ai.retrieval.query.text": first(ended, "str_or_query_bundle.query_str", "str_or_query_bundle"),
        "gen_ai.retrieval.documents": [_llama_document(node) for node in nodes],
    }


def _llama_asked(begun: Mapping[str, Any]) -> dict[str, Any]:
    maker, named, _ = str(begun.get("model_dict.class_name")).lower().rpartition("_llm")
    prompt = begun.get("prompt")
    return {
        OPERATION: "chat",
        "gen_ai.request.model": first(begun, "model_dict.model_name", "model_dict.model"),
        "gen_ai.provider.name": maker if named else None,
        "gen_ai.input.messages": [{"role": "user", "content": prompt}]
        if prompt
        else _llama_said(begun.get("messages")),
    }


def _llama_answered(ended: Mapping[str, Any]) -> dict[str, Any]:
    raw, beside = (_within(ended, f"response.{part}.") for part in ("raw", "additional_kwargs"))
    answer = {"role": "assistant", **_within(ended, "response.message.")}
    return {
        "gen_ai.response.id": raw.get("id"),
        "gen_ai.response.model": first(raw, "model", "modelVersion", "model_version"),
        "gen_ai.output.messages": message(ended.get("response.text")) or _llama_said([answer]),
        "gen_ai.response.finish_reasons": sorted(finish_reasons(raw)) or None,
        "openai.response.service_tier": stated_tier(raw),
        PROVIDER_USAGE: body_usage(raw) or body_usage({"usage": beside}),
    }


def _within(told: Mapping[str, Any], start: str) -> dict[str, Any]:
    """Return the object whose parts have such a start: its lists are JSON text, "null" is nothing."""
    whole: dict[str, Any] = {}
    for name, value in told.items():
        if name.startswith(start) and value != "null":
            *path, last = name.removeprefix(start).split(".")
            at = whole
            for step in path:
                at = at[step] if isinstance(at.get(step), dict) else at.setdefault(step, {})
            at[last] = decoded(value)
    return whole


def _llama_said(written: Any) -> list[dict[str, Any]] | None:
    """Return LlamaIndex's messages with the text of their blocks alone, so without reasoning."""
    told = [one for one in listed(decoded(written)) if isinstance(one, dict)]
    blocks = (
        [
            block
            for block in listed(one.get("blocks"))
            if isinstance(block, dict) and block.get("block_type") == "text"
        ]
        for one in told
    )
    said = [
        {"role": one.get("role"), "content": texts or one.get("content")}
        for one, texts in zip(told, blocks, strict=True)
    ]
    return [one for one in said if one["content"]] or None


def _llama_document(found: Mapping[str, Any]) -> dict[str, Any]:
    node = object_in(found.get("node"))
    return {**node, "id": first(node, "id_", "id"), "score": found.get("score")}
