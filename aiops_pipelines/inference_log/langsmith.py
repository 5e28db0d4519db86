"""Importer of LangSmith's runs: bulk exports, answers of its API, and what its client sends.

A run is a span. Where things stand was found in what the client sends for LangChain, `wrap_openai` and
`traceable`; the rest is by the documented schema.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from aiops_pipelines.inference_log.feedback import feedback_row, trace_row
from aiops_pipelines.inference_log.messages import decoded, first, listed, object_in
from aiops_pipelines.inference_log.objects import objects, unwrapped
from aiops_pipelines.inference_log.otlp_frameworks import OPERATION, asked_in, message
from aiops_pipelines.inference_log.otlp_spans import Span
from aiops_pipelines.inference_log.otlp_usage import PROVIDER_USAGE
from aiops_pipelines.inference_log.places import at
from aiops_pipelines.inference_log.provider_outcome import counted_tier
from aiops_pipelines.inference_log.provider_texts import answer_text, finish_reasons, request_tools
from aiops_pipelines.inference_log.record import Batch, CountTokens, RecordError, Rejection
from aiops_pipelines.inference_log.row_facts import error_kind
from aiops_pipelines.inference_log.span_calls import SpanCalls
from aiops_pipelines.inference_log.times import nanoseconds
from aiops_pipelines.inference_log.tokens import usage_json

LOOKED_FOR = "runs of LangSmith with run_type, trace_id and start_time"
OPERATIONS = {"llm": "chat", "embedding": "embeddings", "retriever": "retrieval"}
SAID = "outputs.generations.0.0.message.kwargs"
"""Where LangChain has its answer, with what the provider said of it in `response_metadata`."""
USAGE = (
    "outputs.usage_metadata",
    f"{SAID}.usage_metadata",
    "extra.metadata.usage_metadata",
    "outputs.llm_output.token_usage",
    "outputs.llm_output.usage",
)
COUNTS = {
    "input_tokens": "prompt_tokens",
    "output_tokens": "completion_tokens",
    "total_tokens": "total_tokens",
    "input_token_details": "prompt_token_details",
    "output_token_details": "completion_token_details",
}
"""LangChain's names of counts by those that LangSmith has beside a run."""
MODELS = (
    "extra.metadata.ls_model_name",
    "extra.invocation_params.model",
    "extra.invocation_params.model_name",
)
SERVED = ("outputs.model", f"{SAID}.response_metadata.model_name", "outputs.llm_output.model_name")
TIERS = ("outputs.service_tier", f"{SAID}.response_metadata.service_tier")
SESSIONS = ("session_id", "thread_id", "conversation_id")
"""How metadata names a session; beside a run, `session_id` is its project."""
RAISED = re.compile(r"([A-Za-z_][\w.]*)\(")
"""How the error of a run begins: as Python shows an exception, before its traceback."""

Row = Mapping[str, Any]


def recognises(value: Any) -> bool:
    """Return whether a JSON value is a run, or holds some."""
    return any(_is_run(row) for document in unwrapped(value)[:1] for row in _rows(document))


def read(raw: Iterable[tuple[int, bytes]], count_tokens: CountTokens | None = None) -> Batch:
    """Return one record for each run that asks a model, joined with the rest of its trace.

    Args:
        raw: line numbers and runs, or documents that hold some.
        count_tokens: counts text for the token parts; without it the parts stay null.
    """
    batch = Batch()
    calls = SpanCalls(batch, count_tokens, usage_of=lambda found: usage_json(found.get(PROVIDER_USAGE)))
    for line, document, content in objects(raw, batch):
        for row in _rows(document):
            try:
                if not _is_run(row):
                    raise RecordError(f"The object is none of these: {LOOKED_FOR}.")
                span = _span(row, line)
                calls.keep(span, content)
                batch.feedback.extend(_scores(row, span))
                if not span.parent_id and (trace := trace_row(_about(span), line)):
                    batch.traces.append(trace)
            except RecordError as error:
                batch.rejections.append(Rejection(line, str(error), content))
    return calls.land()


def _rows(document: Any) -> Iterable[Any]:
    runs = document.get("runs") if isinstance(document, Mapping) else None
    return runs if isinstance(runs, list) else [document]


def _is_run(row: Any) -> bool:
    return isinstance(row, Mapping) and {"run_type", "trace_id", "start_time"} <= row.keys()


def _span(row: Row, line: int) -> Span:
    if not (row.get("id") and row.get("trace_id")):
        raise RecordError("The run must have an id and a trace_id.")
    began = nanoseconds("start_time", row["start_time"])
    metadata = object_in(at(row, "extra.metadata"))
    parent = row.get("parent_run_id") or _around(row)
    attributes = _attributes(row, str(row["run_type"]), began) | {
        "session.id": first(metadata, *SESSIONS),
        "user.id": metadata.get("user_id"),
        "error.type": _error(row),
        "aiops.endpoint": None if parent or row["run_type"] == "llm" else row.get("name"),
    }
    return Span(
        line,
        str(row["trace_id"]),
        str(row["id"]),
        str(parent or ""),
        began,
        nanoseconds("end_time", row.get("end_time")),
        bool(row.get("error")),
        {name: found for name, found in attributes.items() if found is not None},
        {},
    )


def _around(row: Row) -> str | None:
    """Return the run around one, which a bulk export tells by its order alone."""
    above = str(row.get("dotted_order") or "").split(".")[:-1]
    return above[-1].partition("Z")[2] if above else None


def _attributes(row: Row, kind: str, began: int | None) -> dict[str, Any]:
    given, said = decoded(row.get("inputs")), decoded(row.get("outputs"))
    named: dict[str, Any] = {OPERATION: OPERATIONS.get(kind, kind)}
    if kind == "retriever":
        documents = first(said, "documents", "output") if isinstance(said, dict) else said
        query = first(given, "query", "input") if isinstance(given, dict) else None
        return named | {"gen_ai.retrieval.query.text": query, "gen_ai.retrieval.documents": documents}
    if kind not in OPERATIONS:
        return named
    usage = _usage(row)
    named |= {
        "gen_ai.provider.name": at(row, "extra.metadata.ls_provider"),
        "gen_ai.request.model": _first_at(row, *MODELS),
        "gen_ai.response.model": _first_at(row, *SERVED),
        "gen_ai.usage.cost.amount": row.get("total_cost"),
        PROVIDER_USAGE: usage,
    }
    if kind == "embedding":
        return named
    # an application's own run has a list of messages, the answer last
    messages = said.get("messages") if isinstance(said, dict) else None
    answer = messages[-1] if isinstance(messages, list) and messages else said
    finish = finish_reasons(answer) | finish_reasons(at(row, f"{SAID}.response_metadata"))
    return named | {
        "gen_ai.input.messages": asked_in(given),
        "gen_ai.output.messages": message(answer_text(answer)),
        "gen_ai.response.finish_reasons": sorted(finish) or None,
        "gen_ai.tool.definitions": request_tools(given)
        or request_tools(at(row, "extra.invocation_params"))
        or None,
        "gen_ai.response.time_to_first_chunk": _waited(row, began),
        "openai.response.service_tier": counted_tier(usage) or _first_at(row, *TIERS),
    }


def _first_at(row: Row, *places: str) -> Any:
    return next((found for place in places if (found := at(row, place)) is not None), None)


def _usage(row: Row) -> Mapping[str, Any] | None:
    """Return the counts of the answer, else those beside the run, of which zeros are nothing counted."""
    if usage := next((found for place in USAGE if (found := object_in(at(row, place)))), None):
        return usage
    counts = {name: found for name, place in COUNTS.items() if (found := decoded(row.get(place))) is not None}
    return counts if counts.get("total_tokens") else None


def _waited(row: Row, began: int | None) -> float | None:
    """Return seconds to the first token."""
    events = (one for one in listed(decoded(row.get("events"))) if isinstance(one, Mapping))
    told = (one.get("time") for one in events if one.get("name") == "new_token")
    came = nanoseconds("first_token_time", row.get("first_token_time") or next(told, None))
    return (came - began) / 1e9 if came is not None and began is not None and came >= began else None


def _error(row: Row) -> str | None:
    raised = RAISED.match(str(row.get("error") or ""))
    return raised[1] if raised else error_kind(row.get("error"))


def _scores(row: Row, span: Span) -> Iterator[dict[str, Any]]:
    """Yield the mean of what was thought of a run, or of the trace whose root it is, by each measure."""
    for name, told in object_in(row.get("feedback_stats")).items():
        if not isinstance(told, Mapping):
            continue
        value, words = told.get("avg"), object_in(told.get("values"))
        label = next(iter(words)) if len(words) == 1 else None
        if value is not None or label is not None:
            about = {"trace_id": span.trace_id, "call_id": span.span_id if span.parent_id else None}
            score = {"name": name, "value": value, "label": label, "given_at": span.started_at}
            yield feedback_row(about | score, span.line)


def _about(span: Span) -> dict[str, Any]:
    return {
        "trace_id": span.trace_id,
        "session_id": span.first("session.id"),
        "user_id": span.first("user.id"),
        "endpoint": span.first("aiops.endpoint"),
    }
