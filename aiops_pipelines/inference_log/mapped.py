"""Importer of any table or JSON lines, by the mapping in the system's file: column of the record to field.

A mapping names where each column stands (`query: request.question`, `answer: choices.0.text`), or what it is
(`provider: =openai`).
"""

from collections.abc import Iterable, Mapping
from typing import Any

from aiops_pipelines.inference_log.call_record import call_record
from aiops_pipelines.inference_log.feedback import feedback_row
from aiops_pipelines.inference_log.messages import Conversation, decoded, messages, text_of
from aiops_pipelines.inference_log.objects import objects
from aiops_pipelines.inference_log.provider_usage import canonical_tokens, provider_tokens
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
from aiops_pipelines.inference_log.times import clock_time
from aiops_pipelines.inference_log.tokens import (
    Tokens,
    Usage,
    completed,
    first_count,
    of_embedding,
    spelt,
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
TEXTS = ("system_prompt", "tools", "context", "messages")
NUMBERS = {"latency_ms", "time_to_first_token_ms", "rating", "source_seq", *TOKEN_COLUMNS, *COUNTS}
STRUCTURES = {"retrieved", "guardrail_events", "usage", "messages", "tools"}
MEASURED = {*NUMBERS, "cost_reported_usd", "occurred_at"}
SAID = {"query", "answer", *TEXTS}
"""What may well be the text None."""
NOTHING = frozenset(("", "NULL", "null", "\\N", "NaN", "nan", "None", "<NA>", "NaT"))
NO_NUMBER = NOTHING | {"NA", "N/A"}
"""What databases, pandas and R write for a missing value; NA may also be the name of a region."""
LARGEST_WHOLE = 2**53 - 1
"""Up to here a float is one whole number and no other."""
TARGETS = (*READERS, *TOKEN_COLUMNS, "tokens_total", "usage", *COUNTS, *TEXTS)
"""What a mapping may name."""
REQUIRED = ("event_id", "occurred_at")


def read(
    raw: Iterable[tuple[int, bytes]],
    count_tokens: CountTokens | None = None,
    mapping: Mapping[str, str] | None = None,
) -> Batch:
    """Return one record for each object; fields that the mapping does not name are counted and left out.

    Without `occurred_at` a row that carries a rating is feedback on the call of its `event_id`.

    Args:
        raw: line numbers and objects.
        count_tokens: counts text for the token parts; without it the parts stay null.
        mapping: column of the record to the field it stands in, dots going one object or list down.
    """
    batch, named = Batch(), mapping or {name: name for name in TARGETS}
    heads = {place.split(".")[0] for place in named.values()} | set(named.values())
    for line, row, content in objects(raw, batch):
        try:
            fields = {
                name: value
                for name, place in named.items()
                if (value := _value(row, name, place)) is not None
            }
            if fields.get("rating") is not None and "occurred_at" not in fields:
                batch.feedback.append(feedback_row({"name": "rating", **fields}, line))
                continue
            batch.records.append(_record(fields, count_tokens) | {"source_line": line})
            batch.ignored.update(name for name in row.keys() - heads if len(batch.ignored) < 1_000)
        except RecordError as error:
            batch.rejections.append(Rejection(line, str(error), content))
    return batch


def _value(row: Mapping[str, Any], name: str, place: str) -> Any:
    if place.startswith("="):
        return place[1:]
    value = _at(row, place)
    if isinstance(value, str) and name not in SAID:
        value = value.strip()
        if value in (NO_NUMBER if name in MEASURED else NOTHING):
            return None
    if name == "usage":
        return _stated(decoded(value))
    if name in STRUCTURES:
        return decoded(value)
    if name == "occurred_at":
        return clock_time(name, value)
    if name in NUMBERS:
        return _number(name, value) if isinstance(value, str) else value
    if isinstance(value, float) and name.endswith("_id"):
        return _whole(name, value)
    return None if value == "" else str(value) if name in READERS and isinstance(value, int) else value


def _at(value: Any, place: str) -> Any:
    """Return what stands at a place; names of fields may have dots themselves, as `usage.cached.tokens`."""
    if isinstance(value, dict) and place in value:
        return value[place]
    step, dot, rest = place.partition(".")
    inner = _inner(value, step)
    return _at(decoded(inner), rest) if dot else inner


def _inner(value: Any, step: str) -> Any:
    if isinstance(value, dict):
        return value.get(step)
    found = isinstance(value, list) and spelt(step) and int(step) < len(value)
    return value[int(step)] if found else None


def _whole(name: str, value: float) -> str:
    """Return an id that became a float because others of its column are missing."""
    if not value.is_integer() or abs(value) > LARGEST_WHOLE:
        raise RecordError(f"{name} is the number {value!r}, of which digits may be lost; export it as text.")
    return str(int(value))


def _stated(value: Any) -> Any:
    """Return a usage object without nulls: a Parquet column gives every row the fields of all of them.

    What a field is named tells whose usage it is, so one that is only padding must not be there.
    """
    if not isinstance(value, dict):
        return value
    found = ((name, _stated(inner)) for name, inner in value.items())
    return {name: inner for name, inner in found if inner is not None and inner != {}}


def _number(name: str, text: str) -> int | float:
    try:
        return int(text) if text.lstrip("+-").isdigit() else float(text)
    except ValueError as error:
        raise RecordError(f"{name} must be a number, not the text {text[:40]!r}.") from error


def _record(fields: dict[str, Any], count_tokens: CountTokens | None) -> dict[str, Any]:
    turns = [("system", text)] if (text := text_of(fields.get("system_prompt"))) else []
    turns += messages(fields.get("messages"))
    context = text_of(fields.get("context"))
    if context:
        turns.append(("tool", context))
    if fields.get("query") and not any(role == "user" for role, _ in turns):
        turns.append(("user", fields["query"]))
    said = Conversation(turns or None, None, text_of(fields.get("tools")), frozenset())
    kept = {name: value for name, value in fields.items() if name in READERS}
    if kept.get("error_type"):
        kept.setdefault("status", "error")
    texts = count_tokens if len(turns) > 1 or fields.get("messages") else None
    if operation("operation", fields.get("operation", CHAT)) == EMBEDDINGS:
        counts = of_embedding(fields)
        counts |= {"usage": of_embedding(usage)} if isinstance(usage := fields.get("usage"), Mapping) else {}
    else:
        counts = fields
    record = call_record({"answer": None, **kept}, _tokens(counts), said, [], texts)
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
