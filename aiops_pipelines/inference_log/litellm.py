"""Importer of LiteLLM's StandardLoggingPayload: one object a call, as its callbacks and buckets write it.

The counts at its top know no cache: tokens are read from the provider's usage object, wherever it stands.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from aiops_pipelines.inference_log.call_record import call_record, outcome
from aiops_pipelines.inference_log.messages import (
    Conversation,
    chunk_of,
    decoded,
    first,
    listed,
    object_in,
    text_of,
)
from aiops_pipelines.inference_log.objects import objects, unwrapped
from aiops_pipelines.inference_log.provider_hosts import asked_at
from aiops_pipelines.inference_log.provider_outcome import stated_tier
from aiops_pipelines.inference_log.provider_texts import exchange
from aiops_pipelines.inference_log.provider_usage import provider_tokens
from aiops_pipelines.inference_log.record import (
    CHAT,
    EMBEDDINGS,
    OTHER,
    Batch,
    CountTokens,
    RecordError,
    Rejection,
)
from aiops_pipelines.inference_log.times import clock_time
from aiops_pipelines.inference_log.tokens import (
    Tokens,
    Usage,
    completed,
    first_count,
    of_embedding,
    split,
    usage_json,
)

LOOKED_FOR = "LiteLLM payloads with call_type, custom_llm_provider and startTime"
CALLS = ("completion", "acompletion", "text_completion", "atext_completion", "responses", "aresponses",
         "anthropic_messages", "aanthropic_messages", "generate_content", "agenerate_content",
         "generate_content_stream", "agenerate_content_stream", "pass_through_endpoint",
         "llm_passthrough_route", "allm_passthrough_route")  # fmt: skip
EMBEDDING_CALLS = ("embedding", "aembedding")
BATCHES = ("retrieve_batch", "aretrieve_batch")
"""The state of a batch, asked for again and again, with the sum of what its requests used."""
SERVED_FROM_CACHE = Tokens(0, 0, 0, 0, 0, 0, "disjoint")
"""Tokens of an answer out of the gateway's own cache: the provider was not asked."""


def recognises(value: Any) -> bool:
    """Return whether a JSON value is a payload, or a list of them."""
    return any(isinstance(row, dict) and _is_payload(row) for row in unwrapped(value)[:1])


def _is_payload(row: Mapping[str, Any]) -> bool:
    return (
        "call_type" in row and "startTime" in row and ("custom_llm_provider" in row or "model_group" in row)
    )


def read(raw: Iterable[tuple[int, bytes]], count_tokens: CountTokens | None = None) -> Batch:
    """Return one record for each payload of a model call, and of what else has a usage object, as pictures.

    Others are counted by their call type.

    Args:
        raw: line numbers and payloads.
        count_tokens: counts text for the token parts; without it the parts stay null.
    """
    batch = Batch()
    for line, payload, content in objects(raw, batch):
        try:
            if not _is_payload(payload):
                raise RecordError(f"The object is none of these: {LOOKED_FOR}.")
            if _operation(payload["call_type"]) == OTHER and not _used(payload):
                batch.ignored[str(payload["call_type"])[:40]] += 1
                continue
            batch.records.append(_record(payload, count_tokens) | {"source_line": line})
        except RecordError as error:
            batch.rejections.append(Rejection(line, str(error), content))
    return batch


def _record(payload: Mapping[str, Any], count_tokens: CountTokens | None) -> dict[str, Any]:
    metadata = object_in(payload.get("metadata"))
    searches = [object_in(one) for one in listed(decoded(metadata.get("vector_store_request_metadata")))]
    chunks = [chunk for search in searches for chunk in _chunks(search)]
    asked = {"messages": decoded(payload.get("messages")), **_tools(payload)}
    said = exchange(asked, decoded(payload.get("response")))
    usage = _usage(payload, metadata)
    operation = _operation(payload["call_type"])
    embedding = operation == EMBEDDINGS
    fields = {
        "operation": operation,
        **_identity(payload, metadata),
        **_outcome(payload, said),
        "retrieved": [chunk for chunk, _ in chunks if chunk["chunk_id"]] if searches else None,
        "guardrail_events": [_verdict(object_in(one)) for one in _guardrails(payload, metadata)] or None,
        "service_tier": stated_tier(usage, object_in(payload.get("response"))),
        "cost_reported_usd": first(payload, "response_cost", "spend"),
    }
    counts = of_embedding(usage) if usage and embedding else usage
    tokens = SERVED_FROM_CACHE if payload.get("cache_hit") in (True, "True") else _tokens(payload, counts)
    record = call_record(fields, tokens, said, [text for _, text in chunks if text], count_tokens)
    return record | {"usage_raw": usage_json(usage)}


def _operation(called: Any) -> str:
    if called in EMBEDDING_CALLS:
        return EMBEDDINGS
    return CHAT if not called or called in CALLS else OTHER


def _used(payload: Mapping[str, Any]) -> bool:
    """Return whether a call of another type states tokens; of a ranking LiteLLM makes up a usage of zeros."""
    usage = _usage(payload, object_in(payload.get("metadata")))
    tokens = provider_tokens(usage) if usage and payload["call_type"] not in BATCHES else None
    return tokens is not None and tokens.total > 0


def _tools(payload: Mapping[str, Any]) -> dict[str, Any]:
    return {"tools": object_in(payload.get("model_parameters")).get("tools")}


def _usage(payload: Mapping[str, Any], metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    places = (
        metadata.get("usage_object"),
        object_in(payload.get("hidden_params")).get("usage_object"),
        object_in(payload.get("response")).get("usage"),
    )
    return next((found for place in places if (found := object_in(place))), {})


def _tokens(payload: Mapping[str, Any], usage: Mapping[str, Any]) -> Tokens | None:
    if usage and (tokens := provider_tokens(usage)):
        return tokens
    counts = {
        name: payload.get(name) or None for name in ("prompt_tokens", "completion_tokens", "total_tokens")
    }
    total = first_count(counts, ("total_tokens",))
    both = completed(
        first_count(counts, ("prompt_tokens",)), first_count(counts, ("completion_tokens",)), total
    )
    return split(Usage(*both, total=total)) if both else None


def _identity(payload: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, Any]:
    hidden, response = object_in(payload.get("hidden_params")), object_in(payload.get("response"))
    prompt = object_in(metadata.get("prompt_management_metadata"))
    requester = object_in(metadata.get("requester_metadata"))
    asked = first(payload, "model_group", "model")
    served = first(response, "model") or first(hidden, "litellm_model_name") or payload.get("model")
    return {
        "event_id": first(payload, "id", "litellm_call_id", "request_id"),
        "trace_id": payload.get("trace_id"),
        "occurred_at": clock_time("startTime", payload.get("startTime")),
        "endpoint": first(requester, "endpoint", "feature"),
        "provider": asked_at(first(payload, "custom_llm_provider"), first(payload, "api_base")),
        "model_requested": asked,
        "model_served": served,
        "prompt_version": first(prompt, "prompt_version", "prompt_id"),
        "session_id": first(payload, "session_id", "litellm_session_id") or first(requester, "session_id"),
        "user_id": first(payload, "end_user")
        or first(metadata, "user_api_key_end_user_id", "user_api_key_user_id"),
        "user_group": first(metadata, "user_api_key_team_alias", "user_api_key_team_id", "team_id"),
    }


def _outcome(payload: Mapping[str, Any], said: Conversation) -> dict[str, Any]:
    begun = clock_time("startTime", payload.get("startTime"))
    ended = clock_time("endTime", payload.get("endTime"))
    first_token = clock_time("completionStartTime", payload.get("completionStartTime"))
    told = object_in(payload.get("error_information"))
    status = outcome(payload.get("status") == "failure", said.finish)
    guarded = object_in(payload.get("status_fields")).get("guardrail_status")
    if status != "ok" and guarded == "guardrail_intervened":
        status = "blocked"
    return {
        "latency_ms": _between(begun, ended),
        "time_to_first_token_ms": _between(begun, first_token) if payload.get("stream") else None,
        "status": status,
        "error_type": (first(told, "error_class", "error_code") or None) if status == "error" else None,
    }


def _between(begun: datetime | None, ended: datetime | None) -> float | None:
    return (ended - begun) / timedelta(milliseconds=1) if begun and ended else None


def _chunks(search: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    found = object_in(search.get("vector_store_search_response")).get("data")
    for place, one in enumerate(listed(found)):
        result = object_in(one)
        chunk, text = chunk_of(result)
        named = chunk["chunk_id"] or first(result, "file_id") or f"{search.get('vector_store_id')}:{place}"
        document = chunk["document"] or first(result, "filename", "file_id")
        yield {**chunk, "chunk_id": str(named), "document": document}, text or text_of(result.get("content"))


def _guardrails(payload: Mapping[str, Any], metadata: Mapping[str, Any]) -> list[Any]:
    stated = payload.get("guardrail_information") or metadata.get("guardrail_information")
    return list(listed(decoded(stated)))


def _verdict(one: Mapping[str, Any]) -> dict[str, Any]:
    categories = listed(one.get("violation_categories"))
    return {
        "guardrail": first(one, "guardrail_name", "guardrail_provider") or "guardrail",
        "category": ", ".join(map(str, categories)) or None,
        "action": first(one, "guardrail_status"),
    }
