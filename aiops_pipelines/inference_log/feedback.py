"""What people and judges say about calls after they were made: ratings and scores, joined by id.

A score names a call, a trace or a session. It may be read weeks after the call, or before it; the join
is made where tables are read, never by changing a stored call.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from aiops_pipelines.inference_log.messages import first
from aiops_pipelines.inference_log.otlp_spans import Event, Span, moment_of
from aiops_pipelines.inference_log.record import RecordError, label, number

FEEDBACK = pl.Schema(
    {
        **dict.fromkeys(
            ("system", "feedback_id", "event_id", "trace_id", "call_id", "session_id"), pl.String()
        ),
        "name": pl.String(),
        "value": pl.Float64(),
        "label": pl.String(),
        "rating": pl.Int8(),
        "given_by": pl.String(),
        "given_at": pl.Datetime("us", "UTC"),
        **dict.fromkeys(("source_format", "source_file"), pl.String()),
        "source_line": pl.Int64(),
        "ingested_at": pl.Datetime("us", "UTC"),
    }
)
"""Columns of `inference_log.feedback`, in order."""
TRACES = pl.Schema(
    {
        **dict.fromkeys(("system", "trace_id", "session_id", "user_id", "endpoint"), pl.String()),
        **dict.fromkeys(("source_format", "source_file"), pl.String()),
        "source_line": pl.Int64(),
        "ingested_at": pl.Datetime("us", "UTC"),
    }
)
"""Columns of `inference_log.traces`, in order."""
EVALUATION = "gen_ai.evaluation.result"
_JUDGES = ("llm", "llm_judge", "eval", "ai_judge", "model", "judge", "code", "heuristic",
           "online_scoring")  # fmt: skip
_RATINGS = ("feedback", "thumb", "rating", "like", "vote", "user_score", "user-score", "helpful")
_UP = (
    "up",
    "thumbs_up",
    "thumbs up",
    "👍",
    "positive",
    "good",
    "like",
    "liked",
    "yes",
    "true",
    "helpful",
    "correct",
)
_DOWN = (
    "down", "thumbs_down", "thumbs down", "👎", "negative", "bad", "dislike", "disliked", "no", "false",
    "unhelpful", "incorrect",
)  # fmt: skip


def feedback_row(fields: Mapping[str, Any], line: int) -> dict[str, Any]:
    """Return a row of feedback without its system and file.

    Args:
        fields: name, value (number, true/false or text), label, rating, given_by, given_at and feedback_id,
            and what it is about: trace_id and call_id, event_id, or session_id.
        line: where it was read.

    Raises:
        RecordError: it names nothing it is about, or a field is of the wrong kind.
    """
    text = {
        name: None if fields.get(name) is None else label(name, str(fields[name]))
        for name in ("event_id", "trace_id", "call_id", "session_id", "name", "given_by", "label")
    }
    if not any(text[name] for name in ("event_id", "trace_id", "call_id", "session_id")):
        raise RecordError("The score names no call, trace or session that it is about.")
    value = fields.get("value")
    if isinstance(value, str):
        text["label"], value = text["label"] or label("value", value), None
    if text["event_id"] is None and text["trace_id"] and text["call_id"]:
        text["event_id"] = f"{text['trace_id']}-{text['call_id']}"
    row = {
        **text,
        "value": None
        if value is None
        else float(value if isinstance(value, bool) else number("value", value)),
        "rating": _rating(fields.get("rating"), value, text),
        "given_at": fields.get("given_at"),
    }
    content = json.dumps(row, default=str, sort_keys=True).encode()
    named = (
        label("feedback_id", str(fields.get("feedback_id") or "")) or hashlib.sha256(content).hexdigest()[:32]
    )
    return row | {"feedback_id": named, "source_line": line}


def trace_row(fields: Mapping[str, Any], line: int) -> dict[str, Any] | None:
    """Return a row of traces without its system and file; None if nothing is said of the trace.

    Raises:
        RecordError: a field is neither text nor a number.
    """
    stated = {name: fields.get(name) for name in ("trace_id", "session_id", "user_id", "endpoint")}
    row = {
        name: None if value is None else label(name, str(value) if isinstance(value, int | float) else value)
        for name, value in stated.items()
    }
    said = row["trace_id"] and any(row[name] for name in row if name != "trace_id")
    return {**row, "source_line": line} if said else None


def _rating(given: Any, value: Any, text: Mapping[str, str | None]) -> int | None:
    """Return 1 or -1 where a person said so: true/false, -1 and 1, a label, 0 and 1 under a rating's name."""
    if given is not None:
        return int(number("rating", given)) or None if given in (-1, 0, 1) else None
    if (text["given_by"] or "").lower() in _JUDGES:
        return None
    if isinstance(value, bool):
        return 1 if value else -1
    if not any(word in (text["name"] or "").lower() for word in _RATINGS):
        return None
    said = (text["label"] or "").lower()
    if value in (-1, 0, 1):
        return 1 if value == 1 else -1
    return 1 if said in _UP else -1 if said in _DOWN else None


def evaluation_of(event: Event, trace_id: str, span_id: str, line: int = 1) -> dict[str, Any] | None:
    """Return the score of an evaluation event of the GenAI conventions; None for any other event."""
    if event.name != EVALUATION:
        return None
    said = event.attributes
    return feedback_row(
        {
            "trace_id": trace_id,
            "call_id": span_id,
            "name": said.get("gen_ai.evaluation.name"),
            "value": said.get("gen_ai.evaluation.score.value"),
            "label": said.get("gen_ai.evaluation.score.label"),
            "given_at": moment_of(event.at_ns),
        },
        line,
    )


def evaluations(span: Span) -> Iterator[dict[str, Any]]:
    """Yield the scores that stand on a span: evaluation events, OpenInference evaluations."""
    for event in span.events:
        if row := evaluation_of(event, span.trace_id, span.span_id, span.line):
            yield row
    for said in span.scores:
        found = {part.removeprefix("evaluation.").removeprefix("annotation."): v for part, v in said.items()}
        yield feedback_row(
            {
                "trace_id": span.trace_id,
                "call_id": span.span_id,
                "name": found.get("name"),
                "value": found.get("score"),
                "label": found.get("label"),
                "given_by": first(found, "annotator_kind", "source"),
                "given_at": span.started_at,
            },
            span.line,
        )
