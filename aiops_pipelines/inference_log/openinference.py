"""Importer of OpenInference traces: OTLP export requests, or rows of a Phoenix data frame.

A row of a data frame is a span: `context.trace_id`, `span_kind`, `attributes.llm.model_name` and so
on, nested or dotted. Spans of the GenAI conventions among them are read as well.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from aiops_pipelines.inference_log.feedback import feedback_row
from aiops_pipelines.inference_log.messages import decoded, first
from aiops_pipelines.inference_log.objects import objects, unwrapped
from aiops_pipelines.inference_log.otlp_json import Requests
from aiops_pipelines.inference_log.otlp_json import recognises as is_otlp
from aiops_pipelines.inference_log.otlp_spans import KIND, Event, Span, scores
from aiops_pipelines.inference_log.record import Batch, CountTokens, RecordError, Rejection
from aiops_pipelines.inference_log.span_calls import SpanCalls
from aiops_pipelines.inference_log.times import clock_time, nanoseconds

LOOKED_FOR = "OTLP spans with openinference.span.kind, or rows with context.span_id and span_kind"
_WHOLE = ("metadata", "variables", "json_schema", "vector", "arguments")
"""Last names of attributes that are kept as they are, however deep."""
_SPELLED = re.compile(r"attributes(\.\w+)?|events").fullmatch
"""Columns that may hold JSON text: Parquet takes no column in which lists and single values are mixed."""


def recognises(value: Any) -> bool:
    """Return whether a JSON value holds OpenInference spans."""
    if is_otlp(value) or (isinstance(value, dict) and KIND in value):
        return KIND in str(value)
    rows = unwrapped(value)[:1]
    return any(isinstance(row, dict) and (_is_span(flat(row)) or _is_annotation(row)) for row in rows)


def read(raw: Iterable[tuple[int, bytes]], count_tokens: CountTokens | None = None) -> Batch:
    """Return one record for each LLM span, joined with the retrievals and guardrails of its trace.

    Args:
        raw: line numbers and export requests or rows.
        count_tokens: counts text for the token parts; without it the parts stay null.
    """
    batch = Batch()
    requests = Requests(SpanCalls(batch, count_tokens))
    for line, row, content in objects(raw, batch):
        try:
            if is_otlp(row) or KIND in row:
                requests.take(row, line, content)
            elif _is_annotation(row):
                batch.feedback.append(_annotation(row, line))
            else:
                requests.calls.keep(_span(flat(row), line), content)
        except RecordError as error:
            batch.rejections.append(Rejection(line, str(error), content))
    return requests.land()


def flat(values: Mapping[str, Any], start: str = "") -> dict[str, Any]:
    """Return nested objects, and lists of them, as dotted names: `{"a": [{"b": 1}]}` is `{"a.0.b": 1}`."""
    return dict(_flat(values, start))


def _flat(values: Mapping[str, Any], start: str) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        name, inner = f"{start}{key}", decoded(value) if not start and _SPELLED(str(key)) else value
        if str(key).rsplit(".", 1)[-1] in _WHOLE:
            yield name, value
        elif isinstance(inner, dict):
            yield from _flat(inner, f"{name}.")
        elif isinstance(inner, list) and inner and all(isinstance(part, dict) for part in inner):
            yield from _flat({str(place): part for place, part in enumerate(inner)}, f"{name}.")
        elif value is not None:
            yield name, value


def _is_span(row: Mapping[str, Any]) -> bool:
    return bool(first(row, "context.span_id", "span_id")) and any(
        name in row for name in ("span_kind", f"attributes.{KIND}")
    )


def _is_annotation(row: Mapping[str, Any]) -> bool:
    named = first(row, "annotation_name", "name")
    judged = any(name in row for name in ("annotator_kind", "result", "result.score", "score"))
    return bool(row.get("span_id") and named and judged and "start_time" not in row)


def _span(row: Mapping[str, Any], line: int) -> Span:
    trace_id, span_id = first(row, "context.trace_id", "trace_id"), first(row, "context.span_id", "span_id")
    if not (trace_id and span_id):
        raise RecordError("The row must be a span with context.trace_id and context.span_id.")
    found = {
        name.removeprefix("attributes."): value
        for name, value in row.items()
        if name.startswith("attributes.")
    }
    if row.get("span_kind"):
        found.setdefault(KIND, row["span_kind"])
    raised = [
        {"exception.type": v}
        for n, v in row.items()
        if n.startswith("events.") and n.endswith("exception.type")
    ]
    return Span(
        line,
        str(trace_id),
        str(span_id),
        str(row.get("parent_id") or ""),
        nanoseconds("start_time", row.get("start_time")),
        nanoseconds("end_time", row.get("end_time")),
        str(row.get("status_code")).upper() == "ERROR",
        found,
        {},
        [Event("exception", None, one) for one in raised],
        scores(found),
    )


def _annotation(row: Mapping[str, Any], line: int) -> dict[str, Any]:
    said = flat(row)
    return feedback_row(
        {
            "feedback_id": said.get("id"),
            "trace_id": said.get("trace_id"),
            "call_id": said["span_id"],
            "name": first(said, "annotation_name", "name"),
            "value": first(said, "result.score", "score"),
            "label": first(said, "result.label", "label"),
            "given_by": first(said, "annotator_kind", "source"),
            "given_at": clock_time("created_at", first(said, "created_at", "updated_at")),
        },
        line,
    )
