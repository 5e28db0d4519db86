"""Importer of OTLP/JSON traces: one record for each model call's span, joined with its trace.

A line is one export request, or a file is one JSON document. Retrieval and guardrail spans are joined to the
model call of their trace; they are found when they stand in the same batch.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from aiops_pipelines.inference_log.lines import DOCUMENT_LIMIT, parse
from aiops_pipelines.inference_log.otlp_messages import Conversation, conversation, retrieved
from aiops_pipelines.inference_log.otlp_spans import (
    Event,
    Span,
    SpanError,
    first,
    log_events,
    requests,
    spans,
)
from aiops_pipelines.inference_log.otlp_traces import Trace, operation
from aiops_pipelines.inference_log.otlp_usage import reported_cost, span_tokens, usage_text
from aiops_pipelines.inference_log.record import Batch, CountTokens, RecordError, Rejection, normal_form
from aiops_pipelines.inference_log.tokens import part_method, token_columns


def read(raw: Iterable[tuple[int, bytes]], count_tokens: CountTokens | None = None) -> Batch:
    """Return one record for each model call's span; other spans are counted by what they are.

    Args:
        raw: line numbers and export requests.
        count_tokens: counts text for the token parts; without it the parts stay null.
    """
    batch, lines = Batch(), dict(raw)
    traces: dict[str, dict[str, Span]] = defaultdict(dict)
    logged: dict[tuple[str, str], list[Event]] = defaultdict(list)
    for line, content in lines.items():
        try:
            for request in requests(parse(content, DOCUMENT_LIMIT)):
                for key, event in log_events(request):
                    logged[key].append(event)
                for span in spans(request, line):
                    _keep(span, traces, batch, content)
        except RecordError as error:
            batch.rejections.append(Rejection(line, str(error), content))
    for members in traces.values():
        for span in members.values():
            span.events.extend(logged.pop((span.trace_id, span.span_id), ()))
        _land(Trace(members.values()), count_tokens, batch, lines)
    batch.ignored.update({"log record without its span": sum(map(len, logged.values()))} if logged else {})
    batch.records.sort(key=lambda record: record["source_line"])
    return batch


def _keep(span: Span | SpanError, traces: dict[str, dict[str, Span]], batch: Batch, content: bytes) -> None:
    if isinstance(span, SpanError):
        batch.rejections.append(Rejection(span.line, span.reason, content))
        return
    kept = traces[span.trace_id].setdefault(span.span_id, span)
    if kept is span:
        return
    if replace(kept, line=span.line) == span:
        batch.ignored["span delivered again"] += 1
    else:
        batch.rejections.append(
            Rejection(span.line, "A span has the same ids as another, and other content.", content)
        )


def _land(trace: Trace, count_tokens: CountTokens | None, batch: Batch, lines: Mapping[int, bytes]) -> None:
    batch.ignored.update(name for span in trace.spans if (name := operation(span)) != "model call")
    for call in trace.calls:
        try:
            batch.records.append(_record(call, trace, count_tokens, batch.ignored))
        except RecordError as error:
            batch.rejections.append(
                Rejection(call.line, f"A model call of the line: {error}", lines[call.line])
            )


def _record(
    call: Span, trace: Trace, count_tokens: CountTokens | None, ignored: Counter[str]
) -> dict[str, Any]:
    said, retrievals = conversation(call), trace.joined(call, "reranking") or trace.joined(call, "retrieval")
    chunks = [chunk for span in retrievals for chunk in retrieved(span.attributes)]
    named: dict[str, dict[str, Any]] = {}
    for chunk, _ in chunks:
        if chunk["chunk_id"] is not None:
            named.setdefault(chunk["chunk_id"], chunk)
    if anonymous := sum(chunk["chunk_id"] is None for chunk, _ in chunks):
        ignored["retrieved chunk without id"] += anonymous
    fields = {
        **_identity(call, trace.inherited(call), retrievals),
        **_outcome(call, said),
        "query": _query(said, trace.joined(call, "retrieval", "reranking")),
        "answer": said.answer,
        "retrieved": list(named.values()) if retrievals else None,
        "guardrail_events": [_verdict(span) for span in trace.joined(call, "guardrail")] or None,
        "cost_reported_usd": reported_cost(call.attributes),
    }
    record, tokens = normal_form(fields), span_tokens(call.attributes)
    model = record["model_served"] or record["model_requested"] or ""
    parts, exact = _parts(said, [text for _, text in chunks if text], model, count_tokens)
    method = part_method(parts, tokens, exact) if parts else None
    if parts and tokens and record["retrieved"] and "context" not in parts:
        # Chunks were given to the model, their texts not logged: what the other texts leave over is theirs.
        parts["context"], method = max(tokens.input - sum(parts.values()), 0), "estimated"
    return {
        **record,
        **token_columns(tokens, parts, method),
        "usage_raw": usage_text(call.attributes),
        "source_line": call.line,
    }


def _identity(call: Span, context: Mapping[str, Any], retrievals: list[Span]) -> dict[str, Any]:
    if not call.trace_id or not call.span_id:
        raise RecordError("traceId or spanId is missing, so the call has no identifier.")
    index = [v for span in retrievals if (v := span.first("aiops.index.version"))]
    requested = call.first("gen_ai.request.model", "llm.request.model_name")
    served = call.first("gen_ai.response.model", "llm.response.model_name", "llm.model_name")
    labels = {
        "endpoint": first(context, "aiops.endpoint", "http.route"),
        "provider": call.first("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system"),
        "model_requested": requested or served,
        "model_served": served,
        "prompt_version": first(context, "aiops.prompt.version", "llm.prompt_template.version"),
        "index_version": first(context, "aiops.index.version") or next(iter(index), None),
        "session_id": first(context, "session.id", "gen_ai.conversation.id"),
        "user_id": first(context, "user.id", "enduser.id"),
        "user_group": first(context, "aiops.user.group"),
        "known_query_id": first(context, "aiops.known_query.id"),
    }
    return {
        **{name: str(value) if type(value) is int else value for name, value in labels.items()},
        "event_id": f"{call.trace_id}-{call.span_id}",
        "trace_id": call.trace_id,
        "occurred_at": call.started_at,
        "rating": first(context, "aiops.rating"),
    }


def _outcome(call: Span, said: Conversation) -> dict[str, Any]:
    latency = None
    if call.start_ns is not None and call.end_ns is not None:
        latency = (call.end_ns - call.start_ns) / 1e6
    seconds = call.first("gen_ai.response.time_to_first_chunk", "gen_ai.server.time_to_first_token")
    status = "error" if call.failed or call.first("error.type") else "ok"
    if status == "ok" and said.finish & {
        "content_filter",
        "content_filtered",
        "guardrail_intervened",
        "safety",
    }:
        status = "blocked"
    if status == "ok" and "refusal" in said.finish:
        status = "refused"
    raised = (e.attributes.get("exception.type") for e in call.events if e.name == "exception")
    return {
        "latency_ms": latency,
        "time_to_first_token_ms": seconds * 1000 if isinstance(seconds, int | float) else seconds,
        "status": status,
        "error_type": (call.first("error.type") or next(raised, None)) if status == "error" else None,
    }


def _query(said: Conversation, retrievals: list[Span]) -> str | None:
    """Return what retrieval was asked, if the prompt holds it or is not logged, else the last message."""
    asked = [
        text for span in retrievals if (text := span.first("gen_ai.retrieval.query.text", "input.value"))
    ]
    within = [text for text in asked if said.query is None or str(text) in said.query]
    return within[0] if within else said.query


def _verdict(span: Span) -> dict[str, Any]:
    return {
        "guardrail": span.first("gen_ai.guardrail.component.name", "guardrail.name") or "guardrail",
        "category": span.first("gen_ai.guardrail.security.risk.category"),
        "action": span.first("gen_ai.guardrail.action.type", "gen_ai.guardrail.verdict.type"),
    }


def _parts(
    said: Conversation, contexts: list[str], model: str, count_tokens: CountTokens | None
) -> tuple[dict[str, int] | None, bool]:
    """Count the prompt by part: retrieved texts are found word for word, tool results are context too."""
    if not said.turns or count_tokens is None:
        return None, False
    texts: dict[str, list[str]] = defaultdict(list, {"tools": [said.tools]} if said.tools else {})
    for part, text in _by_part(said):
        for context in contexts:
            if part != "context" and context in text:
                text = text.replace(context, "", 1)
                texts["context"].append(context)
        texts[part].append(text)
    counted = {part: [count_tokens(text, model) for text in found] for part, found in texts.items()}
    parts = {part: sum(tokens for tokens, _ in found) for part, found in counted.items()}
    return parts, all(exact for found in counted.values() for _, exact in found)


def _by_part(said: Conversation) -> Iterator[tuple[str, str]]:
    turns = said.turns or []
    users = [position for position, (role, _) in enumerate(turns) if role in ("user", "human")]
    for position, (role, text) in enumerate(turns):
        if role in ("system", "developer"):
            yield "system_prompt", text
        elif role in ("tool", "function"):
            yield "context", text
        else:
            yield "user" if users[-1:] == [position] else "history", text
