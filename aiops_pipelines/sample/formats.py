"""How a call is written down: the project's own JSON lines, or OTLP/JSON spans of the GenAI conventions."""

import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from aiops_pipelines.sample.traffic import Call

Count = Callable[[str, str], int]
CACHE_FROM, CACHE_STEP = 1024, 128
"""A provider serves a prompt prefix from its cache from 1,024 tokens on, in steps of 128."""


def token_parts(call: Call, system_prompt: str, count: Count) -> dict[str, int]:
    """Return the input tokens of a call by part, counted on the text that was sent."""
    model = call.model.requested
    return {
        "system_prompt": count(system_prompt, model),
        "context": sum(count(chunk.text, model) for chunk in call.answer.retrieved),
        "history": sum(count(text, model) for text in call.history),
        "user": count(call.query, model),
    }


def usage(call: Call, parts: dict[str, int], completion: int) -> dict[str, Any]:
    """Return the provider's usage object: OpenAI counts cached tokens in its input, Anthropic beside it."""
    prompt, prefix = sum(parts.values()), parts["system_prompt"] + parts["history"]
    cached = prefix // CACHE_STEP * CACHE_STEP if call.history and prefix >= CACHE_FROM else 0
    if call.model.provider == "anthropic":
        return {
            "input_tokens": prompt - cached,
            "cache_read_input_tokens": cached,
            "cache_creation_input_tokens": 0,
            "output_tokens": completion,
        }
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    }


def jsonl_line(call: Call, system_prompt: str, count: Count) -> str:
    """Write a call as one line of the project's own format."""
    served = call.answer.status in ("ok", "refused")
    record: dict[str, Any] = {
        "event_id": call.event_id,
        "occurred_at": _iso(call.occurred_at),
        "endpoint": call.endpoint,
        "provider": call.model.provider,
        "model_requested": call.model.requested,
        "model_served": call.model.served if served else None,
        "prompt_version": call.prompt_version,
        "index_version": call.index_version if served else None,
        "status": call.answer.status,
        "error_type": call.error_type,
        "session_id": call.session_id,
        "user_id": call.user_id,
        "user_group": call.user_group,
        "query": call.query,
        "known_query_id": call.known_query_id,
        "rating": call.rating,
        "guardrail_events": list(call.guardrail_events),
    }
    if served:
        parts = token_parts(call, system_prompt, count)
        record |= {
            "answer": call.answer.text,
            "retrieved": [
                {"chunk_id": chunk.chunk_id, "document": chunk.document, "score": chunk.score}
                for chunk in call.answer.retrieved
            ],
            "usage": usage(call, parts, count(call.answer.text, call.model.requested)),
            "token_parts": parts,
            "latency_ms": call.latency_ms,
            "time_to_first_token_ms": call.time_to_first_token_ms,
        }
    return json.dumps({key: value for key, value in record.items() if value not in (None, [])})


def otlp_line(call: Call, system_prompt: str, count: Count) -> str:
    """Write a call as one ExportTraceServiceRequest: a retrieval span and a chat span of one trace."""
    trace = hashlib.sha256(call.event_id.encode()).hexdigest()
    start = int(call.occurred_at.timestamp()) * 1_000_000_000
    end = start + call.latency_ms * 1_000_000
    chat: dict[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": call.model.provider,
        "gen_ai.request.model": call.model.requested,
        "gen_ai.conversation.id": call.session_id,
        "user.id": call.user_id,
        "aiops.endpoint": call.endpoint,
        "aiops.prompt.version": call.prompt_version,
        "aiops.index.version": call.index_version,
        "aiops.user.group": call.user_group,
        "gen_ai.input.messages": json.dumps([_message(role, text) for role, text in _turns(call)]),
    }
    if call.known_query_id:
        chat["aiops.known_query.id"] = call.known_query_id
    if call.rating:
        chat["aiops.rating"] = call.rating
    if call.error_type:
        chat["error.type"] = call.error_type
    else:
        parts = token_parts(call, system_prompt, count)
        chat |= {
            "gen_ai.response.model": call.model.served,
            "gen_ai.response.time_to_first_chunk": call.time_to_first_token_ms / 1000,
            "gen_ai.usage.input_tokens": sum(parts.values()),
            "gen_ai.usage.output_tokens": count(call.answer.text, call.model.requested),
            "gen_ai.system_instructions": json.dumps([{"type": "text", "content": system_prompt}]),
            "gen_ai.output.messages": json.dumps([_message("assistant", call.answer.text)]),
        }
    documents = [{"id": chunk.chunk_id, "score": chunk.score} for chunk in call.answer.retrieved]
    retrieval = {
        "gen_ai.operation.name": "retrieval",
        "gen_ai.retrieval.query.text": call.query,
        "gen_ai.retrieval.documents": json.dumps(documents),
    }
    spans = [
        _span(trace, trace[40:56], "", "chat", start, end, chat, bool(call.error_type)),
        _span(trace, trace[48:64], trace[40:56], "retrieval", start, start + 8_000_000, retrieval, False),
    ]
    resource = {"attributes": _attributes({"service.name": "handbook-assistant"})}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]})


def _turns(call: Call) -> list[tuple[str, str]]:
    roles = ("user", "assistant")
    return [*((roles[i % 2], text) for i, text in enumerate(call.history)), ("user", call.query)]


def _message(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": text}]}


def _span(
    trace: str,
    span: str,
    parent: str,
    name: str,
    start: int,
    end: int,
    attributes: dict[str, Any],
    failed: bool,
) -> dict[str, Any]:
    return {
        "traceId": trace[:32],
        "spanId": span,
        "parentSpanId": parent,
        "name": name,
        "kind": 3,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(end),
        "attributes": _attributes(attributes),
        "status": {"code": 2} if failed else {},
    }


def _attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    kinds = {str: "stringValue", int: "intValue", float: "doubleValue"}
    return [
        {"key": key, "value": {kinds[type(value)]: str(value) if isinstance(value, int) else value}}
        for key, value in values.items()
    ]


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
