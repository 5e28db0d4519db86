"""Importer of any table or JSON lines, by the mapping in the system's file: column of the record to field.

A mapping names where each column stands (`query: request.question`, `answer: choices.0.text`), or what it is
(`provider: =openai`); of several places the first with a value counts. `only` says which rows are calls.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from aiops_pipelines.inference_log.call_record import NOTHING_SAID, call_record
from aiops_pipelines.inference_log.feedback import feedback_row
from aiops_pipelines.inference_log.messages import Conversation, decoded, messages, text_of
from aiops_pipelines.inference_log.objects import objects
from aiops_pipelines.inference_log.places import (
    LONGEST_MASKED,
    Mapped,
    Place,
    heads,
    left_out,
    shown,
    spoken_of,
    standing,
)
from aiops_pipelines.inference_log.provider_texts import exchange, request_tools
from aiops_pipelines.inference_log.provider_usage import body_usage, canonical_tokens, provider_tokens
from aiops_pipelines.inference_log.record import (
    CHAT,
    EMBEDDINGS,
    READERS,
    TOKEN_COLUMNS,
    Batch,
    CountTokens,
    RecordError,
    Rejection,
    operation,
)
from aiops_pipelines.inference_log.row_facts import outcome_of, scores_of, times_of
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

LOOKED_FOR = "rows of the fields that inference_log.mapping names"
COUNTS = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "total_tokens",
    "cache_write_1h_tokens",
)
TEXTS = ("system_prompt", "tools", "context", "messages", "request", "response")
TIMES = ("occurred_at", "ended_at")
FACTS = ("ended_at", "latency_s", "time_to_first_token_s", "http_status", "scores")
NUMBERS = {"latency_ms", "latency_s", "time_to_first_token_ms", "time_to_first_token_s", "http_status"}
NUMBERS |= {"rating", "source_seq", *TOKEN_COLUMNS, *COUNTS}
STRUCTURES = {"retrieved", "guardrail_events", "usage", "messages", "tools", "request", "response"}
STRUCTURES |= {"scores", "error_type"}
OBJECTS = {*STRUCTURES, *TEXTS}
"""What may be an object, and so what a table may have flattened."""
MEASURED = {*NUMBERS, "cost_reported_usd", *TIMES}
SAID = {"query", "answer", *TEXTS}
"""What may well be the text None."""
NOTHING = frozenset(("", "NULL", "null", "\\N", "NaN", "nan", "None", "<NA>", "NaT"))
NO_NUMBER = NOTHING | {"NA", "N/A"}
"""What databases, pandas and R write for a missing value; NA may also be the name of a region."""
LARGEST_WHOLE = 2**53 - 1
"""Up to here a float is one whole number and no other."""
TARGETS = (*READERS, *TOKEN_COLUMNS, "tokens_total", "usage", *COUNTS, *TEXTS, *FACTS)
"""What a mapping may name."""
ONLY = "only"
"""Beside them, the condition that makes a row a call."""
REQUIRED = ("event_id", "occurred_at")
BODIES = {"request", "response"}
NAMES = 1_000
"""Of so many fields at most it is kept whether the mapping names them, and how often it does not."""


def read(
    raw: Iterable[tuple[int, bytes]],
    count_tokens: CountTokens | None = None,
    mapping: Mapped | None = None,
) -> Batch:
    """Return one record for each object that is a call; other objects and unnamed fields are counted.

    Without `occurred_at` a row that carries a rating is feedback on the call of its `event_id`.

    Args:
        raw: line numbers and objects.
        count_tokens: counts text for the token parts; without it the parts stay null.
        mapping: column of the record to the field it stands in, dots going one object or list down, and under
            `only` what stands where in a row that is a call.
    """
    batch, given = Batch(), mapping or {name: name for name in TARGETS}
    named = {name: place for name, place in given.items() if not isinstance(place, Mapping)}
    only = place if isinstance(place := given.get(ONLY), Mapping) else {}
    starts = heads([*named.values(), *only])
    whole = heads([*(place for name, place in named.items() if name in OBJECTS), *only])
    unnamed = lru_cache(NAMES)(lambda name: not spoken_of(name, starts, whole))
    for line, row, content in objects(raw, batch):
        try:
            if (other := left_out(row, only)) is not None:
                _count(batch, [other])
                continue
            take(batch, fields_of(row, named), line, count_tokens)
            _count(batch, filter(unnamed, row))
        except RecordError as error:
            batch.rejections.append(Rejection(line, str(error), content))
    return batch


def fields_of(row: Mapping[str, Any], named: Mapping[str, Place]) -> dict[str, Any]:
    """Return what a row has at the places of a mapping, by column.

    Raises:
        RecordError: a value is not what its column holds; the column is named.
    """
    fields = {}
    for name, place in named.items():
        for one in (place,) if isinstance(place, str) else place:
            value = standing(row, one, whole=name in OBJECTS)
            if value is not None and (value := _cleaned(name, value)) is not None:
                fields[name] = value
                break
    return fields


def take(
    batch: Batch, fields: dict[str, Any], line: int, count_tokens: CountTokens | None
) -> dict[str, Any] | None:
    """Take a row into a batch, a call with its scores or a rating without a time; return the call's record.

    Raises:
        RecordError: a value is not what its column holds.
    """
    if fields.get("rating") is not None and "occurred_at" not in fields:
        batch.feedback.append(feedback_row({"name": "rating", **fields}, line))
        return None
    record, (scores, wordless) = _record(fields, count_tokens), scores_of(fields, line)
    batch.records.append(record | {"source_line": line})
    batch.feedback.extend(scores)
    batch.ignored.update(wordless)
    return record


def _count(batch: Batch, names: Iterable[str]) -> None:
    batch.ignored.update(name for name in names if name in batch.ignored or len(batch.ignored) < NAMES)


def _cleaned(name: str, value: Any) -> Any:
    if isinstance(value, str) and name not in SAID:
        value = value.strip()
        if value in (NO_NUMBER if name in MEASURED else NOTHING):
            return None
    if name in ("usage", "error_type"):
        found = _stated(decoded(value))
        return None if found == {} else found
    if name in STRUCTURES:
        return decoded(value)
    if name in TIMES:
        return clock_time(name, value)
    if name in NUMBERS:
        return _number(name, value) if isinstance(value, str) else value
    if isinstance(value, float) and name.endswith("_id"):
        return _whole(name, value)
    return None if value == "" else str(value) if name in READERS and isinstance(value, int) else value


def _whole(name: str, value: float) -> str:
    """Return an id that became a float because others of its column are missing."""
    if not value.is_integer() or abs(value) > LARGEST_WHOLE:
        raise RecordError(f"{name} is the number {value!r}, of which digits may be lost; export it as text.")
    return str(int(value))


def _stated(value: Any) -> Any:
    """Return an object without nulls: a Parquet column gives every row the fields of all of them.

    What a field is named tells whose usage it is, so one that is only padding must not be there; nor is an
    error one of which all is padding.
    """
    if not isinstance(value, dict):
        return value
    found = ((name, _stated(inner)) for name, inner in value.items())
    return {name: inner for name, inner in found if inner is not None and inner != {}}


def _number(name: str, text: str) -> int | float:
    try:
        return int(text) if text.lstrip("+-").isdigit() else float(text)
    except ValueError as error:
        said = shown(text[:LONGEST_MASKED])
        raise RecordError(f"{name} must be a number, not the text {said!r}.") from error


def _record(fields: dict[str, Any], count_tokens: CountTokens | None) -> dict[str, Any]:
    response = fields.get("response")
    asked = exchange(fields.get("request"), response) if BODIES & fields.keys() else NOTHING_SAID
    if fields.get("usage") is None and isinstance(response, Mapping) and (used := body_usage(response)):
        fields = {**fields, "usage": used}
    turns = [("system", text)] if (text := text_of(fields.get("system_prompt"))) else []
    turns += [*messages(fields.get("messages")), *(asked.turns or [])]
    context = text_of(fields.get("context"))
    if context:
        turns.append(("tool", context))
    if fields.get("query") and not any(role == "user" for role, _ in turns):
        turns.append(("user", fields["query"]))
    tools = text_of(fields.get("tools")) or request_tools(fields) or asked.tools
    said = Conversation(turns or None, asked.answer, tools, asked.finish)
    kept = {name: value for name, value in fields.items() if name in READERS}
    kept |= outcome_of(fields, asked.finish) | times_of(fields)
    texts = count_tokens if len(turns) > 1 or fields.get("messages") or fields.get("request") else None
    if operation("operation", fields.get("operation", CHAT)) == EMBEDDINGS:
        counts = of_embedding(fields)
        counts |= {"usage": of_embedding(usage)} if isinstance(usage := fields.get("usage"), Mapping) else {}
    else:
        counts = fields
    record = call_record(kept, _tokens(counts), said, [], texts)
    stated = {name: fields[name] for name in ("usage", *COUNTS) if name in fields}
    return record | {"usage_raw": usage_json(stated.get("usage", stated) or None)}


def _tokens(fields: Mapping[str, Any]) -> Tokens | None:
    if fields.get("usage") is not None:
        return provider_tokens(fields["usage"])
    if fields.get("input_uncached") is not None:
        return canonical_tokens(fields)
    counts = {name: first_count(fields, (name,)) for name in COUNTS}
    both = completed(counts["input_tokens"], counts["output_tokens"], counts["total_tokens"])
    if both is None:
        return None
    read_, write, reasoning = (counts[name] or 0 for name in COUNTS[2:5])
    return split(Usage(*both, read_, write, reasoning, counts["total_tokens"], None, None))
