"""Importer of MLflow traces, as `search_traces`, `Trace.to_json` and the files of both versions write them.

`mlflow.chat.tokenUsage` counts cached tokens beside or inside the input, by who wrote it: the total decides,
but of Anthropic's messages, where they are in no total. Where the provider's response was logged with its own
usage, that one does.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from aiops_pipelines.inference_log.feedback import feedback_row
from aiops_pipelines.inference_log.messages import decoded, first
from aiops_pipelines.inference_log.objects import objects, unwrapped
from aiops_pipelines.inference_log.otlp_spans import Event, Span, SpanError, attributes, items
from aiops_pipelines.inference_log.otlp_usage import span_tokens, usage_text
from aiops_pipelines.inference_log.provider_outcome import stated_tier
from aiops_pipelines.inference_log.provider_streams import streamed_body
from aiops_pipelines.inference_log.provider_texts import (
    answer_text,
    finish_reasons,
    request_tools,
    request_turns,
)
from aiops_pipelines.inference_log.provider_usage import provider_tokens
from aiops_pipelines.inference_log.record import Batch, CountTokens, RecordError, Rejection
from aiops_pipelines.inference_log.span_calls import TIER, SpanCalls
from aiops_pipelines.inference_log.times import clock_time, nanoseconds
from aiops_pipelines.inference_log.tokens import Tokens, Usage, completed, first_count, split, usage_json

LOOKED_FOR = "MLflow traces with trace_id or request_id, and spans"
OPERATIONS = {
    "CHAT_MODEL": "chat",
    "LLM": "chat",
    "RETRIEVER": "retrieval",
    "RERANKER": "reranking",
    "EMBEDDING": "embeddings",
    "GUARDRAIL": "run_guardrail",
}
USAGE, RESPONSE_USAGE = "mlflow.chat.tokenUsage", "mlflow.response.usage"
TOTALS = ("mlflow.trace.tokenUsage",)
FORMAT = "mlflow.message.format"
"""Whose messages a span has: MLflow's own of Anthropic's client, and of Claude Code."""
CHUNK, WAITED = "mlflow.chunk.value", "gen_ai.response.time_to_first_chunk"
READ = ("cache_read_input_tokens", "cached_tokens")
WRITE = ("cache_creation_input_tokens", "cache_write_input_tokens")


def recognises(value: Any) -> bool:
    """Return whether a JSON value is an MLflow trace, or a list of them."""
    try:
        return any(isinstance(row, dict) and _spans(row) is not None for row in unwrapped(value)[:1])
    except RecordError:  # spans of another format, or damaged ones
        return False


def read(raw: Iterable[tuple[int, bytes]], count_tokens: CountTokens | None = None) -> Batch:
    """Return one record for each LLM or chat model span, joined with the retrievals of its trace.

    Args:
        raw: line numbers and traces.
        count_tokens: counts text for the token parts; without it the parts stay null.
    """
    batch = Batch()
    calls = SpanCalls(batch, count_tokens, span_usage, _usage_text)
    for line, trace, content in objects(raw, batch):
        try:
            for span in _trace(trace, line):
                calls.keep(span, content)
            batch.feedback.extend(_assessments(trace, line))
        except RecordError as error:
            batch.rejections.append(Rejection(line, str(error), content))
    return calls.land()


def span_usage(found: Mapping[str, Any]) -> Tokens | None:
    """Return the disjoint tokens of a span's usage; None when it does not name input and output.

    Raises:
        RecordError: a count is no whole number from 0 on.
    """
    logged = (
        provider_tokens(found[RESPONSE_USAGE]) if isinstance(found.get(RESPONSE_USAGE), Mapping) else None
    )
    usage = found.get(USAGE)
    if logged is not None:
        return logged
    if not isinstance(usage, Mapping):
        return span_tokens(found)
    total = first_count(usage, ("total_tokens",))
    both = completed(first_count(usage, ("input_tokens",)), first_count(usage, ("output_tokens",)), total)
    if both is None:
        return None
    read_, write = first_count(usage, READ) or 0, first_count(usage, WRITE) or 0
    reasoning = first_count(usage, ("reasoning_tokens", "output_tokens_details.reasoning_tokens")) or 0
    if found.get(FORMAT) == "anthropic" and total in (None, sum(both)):
        return split(Usage(*both, read_, write, cached_inside=False))
    return split(Usage(*both, read_, write, reasoning, total, None, None))


def _usage_text(found: Mapping[str, Any]) -> str | None:
    stated = {name: found[name] for name in (USAGE, RESPONSE_USAGE) if found.get(name)}
    return usage_json(stated) or usage_text(found)


def _info(trace: Mapping[str, Any]) -> dict[str, Any]:
    inner = decoded(trace.get("info"))
    return {**trace, **inner} if isinstance(inner, dict) else dict(trace)


def _spans(trace: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    inner = decoded(trace.get("data"))
    found = decoded(inner.get("spans") if isinstance(inner, dict) else trace.get("spans"))
    named = first(_info(trace), "trace_id", "request_id")
    return items({"spans": found}, "spans") if named and isinstance(found, list) else None


def _trace(trace: Mapping[str, Any], line: int) -> Iterator[Span | SpanError]:
    info, found = _info(trace), _spans(trace)
    if found is None:
        raise RecordError("The line must be an MLflow trace with trace_id (or request_id) and spans.")
    name = str(first(info, "trace_id", "request_id"))
    context = _context(info)
    whole = _pairs(first(info, "trace_metadata", "request_metadata"))
    totals = next((decoded(whole[key]) for key in TOTALS if whole.get(key)), None)
    calls = 0
    read_: list[Span | SpanError] = []
    for raw in found:
        try:
            span = _span(raw, name, context, line)
            calls += span.attributes["gen_ai.operation.name"] == "chat"
            read_.append(span)
        except RecordError as error:
            read_.append(SpanError(line, f"A span of the line: {error}"))
    for one in read_:
        alone = isinstance(one, Span) and calls == 1 and one.attributes["gen_ai.operation.name"] == "chat"
        if alone and isinstance(one, Span) and not {USAGE, RESPONSE_USAGE} & one.attributes.keys() and totals:
            one = replace(one, attributes={**one.attributes, USAGE: totals})
        yield one


def _context(info: Mapping[str, Any]) -> dict[str, Any]:
    metadata, tags = _pairs(first(info, "trace_metadata", "request_metadata")), _pairs(info.get("tags"))
    prompts = decoded(tags.get("mlflow.linkedPrompts") or metadata.get("mlflow.linkedPrompts"))
    linked = [one for one in prompts if isinstance(one, dict)] if isinstance(prompts, list) else []
    return {
        "session.id": metadata.get("mlflow.trace.session"),
        "user.id": metadata.get("mlflow.trace.user"),
        "aiops.endpoint": tags.get("mlflow.traceName"),
        "aiops.prompt.version": ", ".join(f"{one.get('name')}@{one.get('version')}" for one in linked)
        or None,
    }


def _pairs(value: Any) -> dict[str, Any]:
    """Return metadata or tags as a dict; version 2 of the API lists them as key and value."""
    found = decoded(value)
    if isinstance(found, list):
        return {str(one.get("key")): one.get("value") for one in found if isinstance(one, dict)}
    return found if isinstance(found, dict) else {}


def _plain(value: Any) -> Any:
    """Return an attribute's value; MLflow writes each as JSON text, so text stands in quotes."""
    found = decoded(value)
    if isinstance(found, str) and len(found) > 1 and found[0] == found[-1] == '"':
        try:
            return json.loads(found)
        except ValueError:
            return found
    return found


def _hex(value: Any) -> str:
    """Return an id as it is shown elsewhere: the files of version 3 write its bytes in base64."""
    text = str(value or "").removeprefix("0x")
    if text.endswith("=") or len(text) not in (16, 32):
        try:
            return base64.b64decode(text, validate=True).hex() or text
        except (binascii.Error, ValueError):
            return text
    return text


def _span(raw: Mapping[str, Any], trace_id: str, context: Mapping[str, Any], line: int) -> Span:
    inner = raw.get("context") if isinstance(raw.get("context"), dict) else {}
    span_id = first(raw, "span_id") or first(inner or {}, "span_id")
    status = raw.get("status")
    code = status.get("code") if isinstance(status, dict) else first(raw, "status_code", "status")
    stored = raw.get("attributes")
    found = attributes(raw) if isinstance(stored, list) else stored if isinstance(stored, dict) else {}
    happened = [event for event in items(raw, "events") if isinstance(event.get("attributes"), dict)]
    began = nanoseconds("start_time", first(raw, "start_time_unix_nano", "start_time_ns", "start_time"))
    values = {name: _plain(value) for name, value in found.items()}
    return Span(
        line,
        trace_id,
        _hex(span_id),
        _hex(first(raw, "parent_span_id", "parent_id")),
        began,
        nanoseconds("end_time", first(raw, "end_time_unix_nano", "end_time_ns", "end_time")),
        str(code).upper().endswith("ERROR"),
        _named(values, [event for event in happened if _chunk(event)], began),
        context,
        [Event(str(event.get("name")), None, event["attributes"]) for event in happened],
    )


def _chunk(event: Mapping[str, Any]) -> str:
    """Return the part of a stream that an event holds, as JSON text: version 2 keeps usage nowhere else."""
    return str(event["attributes"].get(CHUNK) or "")


def _waited(parts: Sequence[Mapping[str, Any]], began: int | None) -> float | None:
    """Return the seconds until the first part of a stream came: of a long one only the last 128 are kept."""
    if not parts or not str(parts[0].get("name")).endswith(".0"):
        return None
    try:
        at = nanoseconds("timestamp", first(parts[0], "time_unix_nano", "timestamp"))
    except RecordError:
        return None
    return None if at is None or began is None or at < began else (at - began) / 1e9


def _named(found: Mapping[str, Any], parts: Sequence[Mapping[str, Any]], began: int | None) -> dict[str, Any]:
    kind_ = str(found.get("mlflow.spanType") or "").upper()
    given, said = found.get("mlflow.spanInputs"), found.get("mlflow.spanOutputs")
    named = {"gen_ai.operation.name": OPERATIONS.get(kind_, kind_.lower() or "other span")}
    if named["gen_ai.operation.name"] in ("retrieval", "reranking"):
        query = first(given, "query", "question", "input") if isinstance(given, dict) else given
        return {**found, **named, "gen_ai.retrieval.query.text": query, "gen_ai.retrieval.documents": said}
    if named["gen_ai.operation.name"] not in ("chat", "embeddings"):
        return {**found, **named}
    streamed = {} if isinstance(said, dict) else streamed_body("\n".join(map(_chunk, parts)))
    request, response = given if isinstance(given, dict) else {}, said if isinstance(said, dict) else streamed
    asked = first(request, "model", "model_name") or found.get("mlflow.llm.model")
    cost = found.get("mlflow.llm.cost")
    usage = None if response.get("cut") else first(response, "usage", "usageMetadata", "usage_metadata")
    called = {
        "gen_ai.request.model": asked,
        "gen_ai.response.model": first(response, "model", "modelVersion") or found.get("mlflow.llm.model"),
        "gen_ai.provider.name": found.get("mlflow.llm.provider"),
        "gen_ai.input.messages": [{"role": role, "content": text} for role, text in request_turns(given)],
        "gen_ai.output.messages": [
            {"role": "assistant", "content": answer_text(said) or answer_text(streamed)}
        ],
        "gen_ai.response.finish_reasons": sorted(finish_reasons(said) | finish_reasons(streamed)),
        WAITED: _waited(parts, began),
        "gen_ai.tool.definitions": found.get("mlflow.chat.tools") or request_tools(given) or None,
        "gen_ai.usage.cost.amount": cost.get("total_cost") if isinstance(cost, dict) else None,
        RESPONSE_USAGE: usage if isinstance(usage, dict) else None,
        TIER[0]: stated_tier(usage if isinstance(usage, dict) else None, response),
    }
    # A span of the GenAI conventions says the rest in its own attributes.
    return {**found, **named, **{name: value for name, value in called.items() if value not in (None, [])}}


def _assessments(trace: Mapping[str, Any], line: int) -> Iterator[dict[str, Any]]:
    info = _info(trace)
    listed = decoded(info.get("assessments"))
    for said in listed if isinstance(listed, list) else []:
        judged = said.get("feedback") if isinstance(said, dict) else None
        if not isinstance(judged, dict):
            continue  # an expectation is what the answer should have been, not what somebody thought of it
        source = said.get("source")
        span_id = said.get("span_id")
        yield feedback_row(
            {
                "feedback_id": said.get("assessment_id"),
                "trace_id": first(info, "trace_id", "request_id"),
                "call_id": _hex(span_id) if span_id else None,
                "name": first(said, "assessment_name", "name"),
                "value": judged.get("value")
                if isinstance(judged.get("value"), bool | int | float | str)
                else None,
                "given_by": source.get("source_type") if isinstance(source, dict) else None,
                "given_at": clock_time("create_time", first(said, "create_time", "last_update_time")),
            },
            line,
        )
