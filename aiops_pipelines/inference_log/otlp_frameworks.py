"""What frameworks and clients that ask models log under names of their own, put under the conventions' names.

Tracers and the table of all dialects are in `otlp_dialects`.
"""

import ast
import json
from collections.abc import Mapping
from typing import Any

from aiops_pipelines.inference_log.messages import decoded, first
from aiops_pipelines.inference_log.otlp_spans import Span
from aiops_pipelines.inference_log.otlp_usage import PROVIDER_USAGE
from aiops_pipelines.inference_log.provider_texts import answer_text, finish_reasons, request_turns

OPERATION = "gen_ai.operation.name"
LONGEST_LITERAL = 20_000
LONGEST_WAIT_MS = 1e12
_AI_SDK = {"doGenerate": "chat", "doStream": "chat", "doEmbed": "embeddings"}
"""What the AI SDK's spans of single requests ask for."""
_INSIDE = ("cachedPromptTokens", "promptCacheHitTokens")
"""Cached tokens of the input in version 4 of the AI SDK: OpenAI and those compatible, DeepSeek."""


def object_in(value: Any) -> dict[str, Any]:
    """Return an object, or that of its JSON text; an empty one for anything else."""
    found = decoded(value)
    return found if isinstance(found, dict) else {}


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
    details = "ai.usage.inputTokenDetails.cacheReadTokens" in found
    metadata = object_in(found.get("ai.response.providerMetadata"))
    apart = [object_in(told) for told in metadata.values()]
    stated = object_in(object_in(metadata.get("anthropic")).get("usage"))
    return {
        "gen_ai.usage.input_tokens": given,
        "gen_ai.usage.output_tokens": said,
        "gen_ai.usage.cache_read.input_tokens": found.get("ai.usage.inputTokenDetails.cacheReadTokens")
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
    sold = str(found.get("ai.model.provider")).startswith("amazon-bedrock")
    read = first(cached, "cacheReadInputTokens") or (
        found.get("ai.usage.cachedInputTokens") if sold else None
    )
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
