"""The canonical inference record: its columns, and what a value must be to stand in one.

Which keys a format uses for these columns is the importer's business; masking and storing are `ingestion`'s.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol

import polars as pl

from aiops_pipelines.inference_log.makers import maker, seller

RETRIEVED = pl.List(pl.Struct({"chunk_id": pl.String, "document": pl.String, "score": pl.Float64}))
GUARDRAIL_EVENTS = pl.List(pl.Struct({"guardrail": pl.String, "category": pl.String, "action": pl.String}))
TOKEN_COLUMNS = ("input_uncached", "cache_read", "cache_write", "output_visible", "reasoning")
PART_COLUMNS = ("system_prompt_tokens", "tools_tokens", "context_tokens", "history_tokens", "user_tokens")
MODALITIES = ("audio", "image")
APART_COLUMNS = {
    **{f"{whole}_{m}": whole for whole in ("input_uncached", "cache_read", "output") for m in MODALITIES},
    "cache_write_1h": "cache_write",
}
"""Tokens that some models price apart, and the tokens they are part of."""
STATUSES = ("ok", "error", "refused", "blocked")
CHAT, EMBEDDINGS, OTHER = OPERATIONS = ("chat", "embeddings", "other")
"""What a model is asked for: to write an answer, for vectors, or for what else is billed, as a ranking."""
IS_CHAT = pl.col("operation").fill_null(CHAT) == CHAT
"""Calls stored before the column was there have null in it."""
HAS_WORDS = pl.col("answer").fill_null("").str.strip_chars().str.len_chars() > 0
HARDLY_A_WORD = 2
"""Output tokens of an answer without a word: the end of the text alone is counted as one or two."""
SILENT = ~HAS_WORDS & (pl.col("answer").is_not_null() | (pl.col("output_visible") <= HARDLY_A_WORD))
"""Where an answer is blank, or none is logged and hardly a token was written. A call of a tool has no text
and many tokens, as has any call of a log that keeps no texts."""
ANSWERED = pl.when(IS_CHAT & HAS_WORDS).then(statement=True).when(IS_CHAT & SILENT).then(statement=False)
"""Whether a chat said something; null where nobody can tell. Stored, so that no text is read for it again."""
COUNT_LIMIT = 1_000_000_000
LARGEST_NUMBER = 10**18
COST_LIMIT_USD = Decimal(10) ** 12
FIRST_YEAR, LAST_YEAR = 2000, 2100

_TEXT, _COUNT, _TIME = pl.String(), pl.Int64(), pl.Datetime("us", "UTC")
SCHEMA = pl.Schema(
    {
        **dict.fromkeys(("system", "event_id", "trace_id"), _TEXT),
        "occurred_at": _TIME,
        **dict.fromkeys(("operation", "endpoint", "provider", "model_requested", "model_served"), _TEXT),
        "service_tier": _TEXT,
        **dict.fromkeys(("prompt_version", "index_version"), _TEXT),
        **dict.fromkeys(("latency_ms", "time_to_first_token_ms", *TOKEN_COLUMNS, "tokens_total"), _COUNT),
        **dict.fromkeys(("token_convention", "usage_raw"), _TEXT),
        **dict.fromkeys(APART_COLUMNS, _COUNT),
        **dict.fromkeys((*PART_COLUMNS, "completion_tokens"), _COUNT),
        **dict.fromkeys(("part_method", "status", "error_type", "session_id", "user_id"), _TEXT),
        **dict.fromkeys(("user_group", "query", "answer"), _TEXT),
        "answered": pl.Boolean(),
        "retrieved": RETRIEVED,
        "known_query_id": _TEXT,
        "rating": pl.Int8(),
        "guardrail_events": GUARDRAIL_EVENTS,
        "source_id": _TEXT,
        "source_seq": _COUNT,
        "pii_counts": _TEXT,
        "cost_reported_usd": pl.Decimal(38, 12),
        **dict.fromkeys(("source_format", "source_file"), _TEXT),
        "source_line": _COUNT,
        "ingested_at": _TIME,
        "texts_deleted_at": _TIME,
    }
)
"""Columns of `inference_log.inferences`, in order."""
STORING = ("system", *APART_COLUMNS, "answered", "pii_counts", "source_format", "source_file")
STORING += ("ingested_at", "texts_deleted_at")
CALLS = pl.Schema({name: dtype for name, dtype in SCHEMA.items() if name not in STORING})
"""What is known of a call before it is stored."""

_OPERATIONS = {
    **dict.fromkeys(("text_completion", "completion", "generate_content", "generation"), CHAT),
    "embedding": EMBEDDINGS,
}
_STANDARD = frozenset({"", "default", "standard", "standard_only", "auto", "on_demand"})
"""What providers call the tier of their list prices."""
_KINDS = {
    str: "text",
    bool: "true/false",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
}


class RecordError(ValueError):
    """A logged call cannot become a record; the message is the sentence for the quarantine."""


@dataclass(frozen=True)
class Rejection:
    """One line that was set aside: its number from 1, why, and its bytes."""

    line: int
    reason: str
    raw: bytes = b""


@dataclass(frozen=True)
class Batch:
    """What an importer made of some lines.

    `feedback` and `traces` hold what is said about calls that may stand elsewhere, `promised` how many rows
    an export says its files hold. `ignored` counts what was read and is no record: unknown fields, spans
    that are no model calls.
    """

    records: list[dict[str, Any]] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    feedback: list[dict[str, Any]] = field(default_factory=list)
    traces: list[dict[str, Any]] = field(default_factory=list)
    promised: dict[str, int] = field(default_factory=dict)

    @classmethod
    def together(cls, parts: Sequence["Batch"]) -> "Batch":
        """Return what was made of lines that follow one another as one."""
        return cls(
            [record for part in parts for record in part.records],
            [rejection for part in parts for rejection in part.rejections],
            sum((part.ignored for part in parts), Counter[str]()),
            [said for part in parts for said in part.feedback],
            [said for part in parts for said in part.traces],
            {key: rows for part in parts for key, rows in part.promised.items()},
        )


CountTokens = Callable[[str, str], tuple[int, bool]]
"""Text and model name in, token count and whether it is exact out."""


class Importer(Protocol):
    """Reads numbered lines of one format; a line that is no record becomes a rejection, not an exception."""

    def __call__(self, raw: Iterable[tuple[int, bytes]], count_tokens: CountTokens | None = None) -> Batch:
        """Return the records of the lines."""


def kind(value: Any) -> str:
    """Name the JSON type of a value, for sentences: `kind([])` is "a list"."""
    return _KINDS.get(type(value), "empty")


def text(name: str, value: Any) -> str:
    """Return text that can be stored: no NUL character, no half of a surrogate pair."""
    if not isinstance(value, str):
        raise RecordError(f"{name} must be text, not {kind(value)}.")
    if "\0" in value:
        raise RecordError(f"{name} holds a NUL character; remove it at the source.")
    try:
        return value if value.isascii() else value.encode().decode()
    except UnicodeEncodeError as error:
        raise RecordError(f"{name} holds half of a surrogate pair, which is no character.") from error


def label(name: str, value: Any) -> str | None:
    """Return text without outer spaces; blank is null."""
    return text(name, value).strip() or None


def number(name: str, value: Any) -> int | float:
    """Return a finite number; whole ones have at most 18 digits."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RecordError(f"{name} must be a number, not {kind(value)}.")
    if isinstance(value, int) and abs(value) > LARGEST_NUMBER:
        raise RecordError(f"{name} has {value.bit_length() * 3 // 10} digits, which no column holds.")
    if not math.isfinite(value):
        raise RecordError(f"{name} is not a finite number.")
    given: int | float = value
    return given


def real(name: str, value: Any) -> float:
    """Return a finite number as a float; a column of floats takes no 0 beside 0.5."""
    return float(number(name, value))


def count(name: str, value: Any) -> int:
    """Return a whole number from 0 to below a billion; 12.0 counts as 12."""
    given = number(name, value)
    if given != int(given):
        raise RecordError(f"{name} is {given:g}; it must be a whole number.")
    if not 0 <= given < COUNT_LIMIT:
        raise RecordError(f"{name} is {given:.6g}; it must be from 0 to below {COUNT_LIMIT:,}.")
    return int(given)


def whole(name: str, value: Any) -> int:
    """Return a whole number from 0 to 10^18, such as the number that a source gave a call."""
    given = number(name, value)
    if given != int(given) or not 0 <= given <= LARGEST_NUMBER:
        raise RecordError(f"{name} is {given:.6g}; it must be a whole number from 0 to 10^18.")
    return int(given)


def milliseconds(name: str, value: Any) -> int:
    """Return a duration rounded to whole milliseconds."""
    given = number(name, value)
    return count(name, round(given) if abs(given) < COUNT_LIMIT else given)


def moment(name: str, value: Any) -> datetime:
    """Return a UTC time between 2000 and 2100 from ISO 8601 text; without an offset it is taken as UTC.

    Worked example: "2026-03-29T02:30:00+02:00" is 2026-03-29 00:30 UTC.
    """
    try:
        given = value if isinstance(value, datetime) else datetime.fromisoformat(text(name, value).strip())
    except RecordError:
        raise
    except ValueError as error:
        raise RecordError(f"{name} is not an ISO 8601 time such as 2026-06-01T12:00:00Z.") from error
    if isinstance(value, str) and ":" not in value:
        raise RecordError(f"{name} has no time of day; write it as 2026-06-01T12:00:00Z.")
    if not FIRST_YEAR <= given.year <= LAST_YEAR:
        raise RecordError(f"{name} lies in the year {given.year}; the clock of the source is wrong.")
    return given.replace(tzinfo=UTC) if given.tzinfo is None else given.astimezone(UTC)


def cost(name: str, value: Any) -> Decimal:
    """Return an amount in USD from a number or numeric text, to 12 decimals."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise RecordError(f"{name} must be an amount, not {kind(value)}.")
    try:
        amount = Decimal(str(value))
    except InvalidOperation as error:
        raise RecordError(f"{name} is not an amount such as 0.0042.") from error
    if not amount.is_finite() or not 0 <= amount < COST_LIMIT_USD:
        raise RecordError(f"{name} must be a finite amount from 0 on.")
    return amount.quantize(Decimal("1e-12"))


def rating(name: str, value: Any) -> int | None:
    """Return 1 (up), -1 (down) or null for 0."""
    given = number(name, value)
    if given not in (-1, 0, 1):
        raise RecordError(f"{name} is {given:g}; it must be -1, 0 or 1.")
    return int(given) or None


def status(name: str, value: Any) -> str:
    """Return one of the four outcomes of a call."""
    if value not in STATUSES:
        raise RecordError(f"{name} must be one of {', '.join(STATUSES)}.")
    return str(value)


def operation(name: str, value: Any) -> str:
    """Return what a model was asked for, also by the names of the GenAI conventions."""
    given = (label(name, value) or CHAT).lower()
    found = _OPERATIONS.get(given, given)
    if found not in OPERATIONS:
        raise RecordError(f"{name} must be one of {', '.join(OPERATIONS)}.")
    return found


def service_tier(name: str, value: Any) -> str | None:
    """Return the tier that a call was served in: batch, flex, priority or another; standard is null."""
    named = (label(name, value) or "").lower().removeprefix("on_demand_")
    return None if named in _STANDARD else named or None


def provider(name: str, value: Any) -> str | None:
    """Return the provider's name as price books write it: gcp.vertex_ai is google, openai.chat is openai."""
    return seller(label(name, value) or "")


def rows(readers: Mapping[str, Callable[[str, Any], Any]]) -> Callable[[str, Any], list[dict[str, Any]]]:
    """Return a reader of a list of objects with these fields; the first field is required."""
    key = next(iter(readers))

    def read(name: str, value: Any) -> list[dict[str, Any]]:
        if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
            raise RecordError(f"{name} must be a list of objects.")
        found = [
            {
                part: None if row.get(part) is None else reader(f"{name}.{part}", row[part])
                for part, reader in readers.items()
            }
            for row in value
        ]
        if any(row[key] is None for row in found):
            raise RecordError(f"{name} has an entry without {key}.")
        return found

    return read


READERS: dict[str, Callable[[str, Any], Any]] = {
    **dict.fromkeys(("event_id", "trace_id"), label),
    "occurred_at": moment,
    "operation": operation,
    "endpoint": label,
    "provider": provider,
    **dict.fromkeys(("model_requested", "model_served", "prompt_version", "index_version"), label),
    **dict.fromkeys(("latency_ms", "time_to_first_token_ms"), milliseconds),
    "service_tier": service_tier,
    "status": status,
    **dict.fromkeys(("error_type", "session_id", "user_id", "user_group"), label),
    **dict.fromkeys(("query", "answer"), text),
    "retrieved": rows({"chunk_id": label, "document": label, "score": real}),
    "known_query_id": label,
    "rating": rating,
    "guardrail_events": rows({"guardrail": label, "category": label, "action": label}),
    "source_id": label,
    "source_seq": whole,
    "cost_reported_usd": cost,
}


def normal_form(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record's own columns in their normal form; absent is null, status ok, operation chat.

    Only a chat has texts: what is embedded is a question that its chat has too, or a piece of the corpus.

    A provider that the log does not name is the one that sells a model of that name.

    Raises:
        RecordError: a required field is missing or a value is not what its column holds; the field is named.
    """
    record: dict[str, Any] = dict.fromkeys(READERS)
    for name, read in READERS.items():
        if (value := fields.get(name)) is not None:
            record[name] = read(name, value)
    for name in ("event_id", "occurred_at"):
        if record[name] is None:
            raise RecordError(f"{name} is missing; a call without it cannot be stored.")
    record["status"] = record["status"] or "ok"
    record["operation"] = record["operation"] or CHAT
    if record["operation"] != CHAT:
        record["query"] = record["answer"] = None
    record["provider"] = record["provider"] or maker(record["model_served"] or record["model_requested"])
    return record
