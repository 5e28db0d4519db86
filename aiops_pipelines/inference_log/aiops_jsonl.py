"""Importer of the project's own JSON lines: one object a call, fields named as the record's columns.

`usage` is the provider's object as it came; `token_parts` is what the application counted itself. A line with
`feedback_on` instead of a call says what was thought of the call of that event id.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import polars as pl

from aiops_pipelines.inference_log.feedback import feedback_row
from aiops_pipelines.inference_log.lines import parse
from aiops_pipelines.inference_log.provider_usage import canonical_tokens, provider_tokens
from aiops_pipelines.inference_log.record import (
    EMBEDDINGS,
    READERS,
    TOKEN_COLUMNS,
    Batch,
    CountTokens,
    RecordError,
    Rejection,
    count,
    kind,
    moment,
    normal_form,
)
from aiops_pipelines.inference_log.tokens import PARTS, Tokens, of_embedding, token_columns

FIELDS = {*READERS, *TOKEN_COLUMNS, "tokens_total", "usage", "token_parts"}
FEEDBACK_FIELDS = ("feedback_on", "feedback_id", "name", "value", "label", "rating", "given_by", "given_at")
LOOKED_FOR = "objects with event_id and occurred_at, or with feedback_on"
FIELD_LIMIT = 256
NAME_LIMIT = 1_000


def recognises(value: Any) -> bool:
    """Return whether a JSON value is a call, or feedback on one, in the project's own fields."""
    return isinstance(value, dict) and ({"event_id", "occurred_at"} <= value.keys() or "feedback_on" in value)


def read(raw: Iterable[tuple[int, bytes]], count_tokens: CountTokens | None = None) -> Batch:
    """Return one record a line; unknown fields are counted by name and left out.

    Args:
        raw: line numbers and lines.
        count_tokens: not needed here, the format carries no prompt texts to count.
    """
    batch = Batch()
    for line, content in raw:
        try:
            fields = parse(content)
            if isinstance(fields, dict) and "feedback_on" in fields:
                batch.feedback.append(_feedback(fields, line))
            else:
                batch.records.append(_record(fields, batch.ignored) | {"source_line": line})
        except RecordError as error:
            batch.rejections.append(Rejection(line, str(error), content))
    return batch


def lines(calls: pl.DataFrame) -> Iterator[str]:
    """Yield rows of `inference_log.inferences` as lines that are read as the same calls, tokens disjoint."""
    for row in calls.iter_rows(named=True):
        fields = {name: row[name] for name in READERS if row[name] is not None}
        if row["input_uncached"] is not None and row["output_visible"] is not None:
            fields |= {name: row[name] or 0 for name in TOKEN_COLUMNS}
        parts = {part: row[f"{part}_tokens"] for part in PARTS if row[f"{part}_tokens"] is not None}
        yield json.dumps(fields | ({"token_parts": parts} if parts else {}), default=str, ensure_ascii=False)


def _record(fields: Any, ignored: Counter[str]) -> dict[str, Any]:
    if not isinstance(fields, dict):
        raise RecordError(f"The line must be an object, not {kind(fields)}.")
    if len(fields) > FIELD_LIMIT:
        raise RecordError(f"The line has {len(fields):,} fields; a call has at most {FIELD_LIMIT}.")
    record = normal_form(fields)
    tokens = _tokens(fields, record["operation"] == EMBEDDINGS)
    parts = _parts(fields.get("token_parts"))
    unknown = fields.keys() - FIELDS
    ignored.update(name if name in ignored or len(ignored) < NAME_LIMIT else "other" for name in unknown)
    usage = fields.get("usage")
    return {
        **record,
        **token_columns(tokens, parts, "reported"),
        "usage_raw": None if usage is None else json.dumps(usage),
    }


def _feedback(fields: Mapping[str, Any], line: int) -> dict[str, Any]:
    """Return what a line says about the call of another line, which may come later."""
    if unknown := sorted(fields.keys() - set(FEEDBACK_FIELDS)):
        raise RecordError(f"Feedback has unknown fields: {', '.join(unknown)[:100]}.")
    at = fields.get("given_at")
    said = {
        "name": "rating",
        **fields,
        "event_id": fields["feedback_on"],
        "given_at": at and moment("given_at", at),
    }
    return feedback_row(said, line)


def _tokens(fields: Mapping[str, Any], embedding: bool) -> Tokens | None:
    if (usage := fields.get("usage")) is not None:
        return provider_tokens(of_embedding(usage) if embedding and isinstance(usage, Mapping) else usage)
    counted = any(fields.get(name) is not None for name in TOKEN_COLUMNS)
    return canonical_tokens(of_embedding(fields) if embedding else fields) if counted else None


def _parts(reported: Any) -> dict[str, int] | None:
    if reported is None:
        return None
    if not isinstance(reported, dict):
        raise RecordError(f"token_parts must be an object, not {kind(reported)}.")
    if unknown := sorted(reported.keys() - set(PARTS)):
        raise RecordError(
            f"token_parts has {len(unknown)} unknown part(s); the parts are {', '.join(PARTS)}."
        )
    return {
        part: count(f"token_parts.{part}", value) for part, value in reported.items() if value is not None
    }
