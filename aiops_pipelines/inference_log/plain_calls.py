"""The project's own JSON lines by the column: calls that are plainly right are read many at a time.

What `aiops_jsonl` would make of a line is the measure. Only lines of which that is certain are taken here;
every other line is left to it.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from aiops_pipelines.inference_log.aiops_jsonl import FIELD_LIMIT, FIELDS
from aiops_pipelines.inference_log.makers import maker
from aiops_pipelines.inference_log.plain_tokens import plain_tokens
from aiops_pipelines.inference_log.record import (
    CALLS,
    CHAT,
    COUNT_LIMIT,
    FIRST_YEAR,
    GUARDRAIL_EVENTS,
    LARGEST_NUMBER,
    LAST_YEAR,
    READERS,
    RETRIEVED,
    STATUSES,
    TOKEN_COLUMNS,
    cost,
    label,
    provider,
    service_tier,
)
from aiops_pipelines.inference_log.tokens import PARTS

LINE = "the line itself"
"""Column of the raw line; no JSON key can be taken for it, for a key of this name is no field."""
PLAIN: dict[str, pl.DataType] = {
    **{name: pl.String() for name, read in READERS.items() if read is label},
    **dict.fromkeys(
        ("occurred_at", "operation", "provider", "service_tier", "status", "query", "answer"), pl.String()
    ),
    **dict.fromkeys(("latency_ms", "time_to_first_token_ms"), pl.Float64()),
    **dict.fromkeys(("rating", "source_seq", *TOKEN_COLUMNS, "tokens_total"), pl.Int64()),
    "retrieved": RETRIEVED,
    "guardrail_events": GUARDRAIL_EVENTS,
    "token_parts": pl.Struct(dict.fromkeys(PARTS, pl.Int64())),
}
"""Types of the fields in a plain line; `usage`, the reported cost and fields unknown are as they come."""
LEFT_TO_THE_READER = ("feedback_on",)
"""Fields that make a line something else than a call."""
LARGEST_SCORE = 1e15
COST_LIMIT_PLAIN = 1e9
_TIME = (
    r"^\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)?$"
)
_CONTROL = r"\\u00[01]"


@dataclass(frozen=True)
class PlainCalls:
    """Calls with the columns of `record.CALLS`, and the unknown fields they had."""

    calls: pl.DataFrame
    ignored: Counter[str]

    @classmethod
    def together(cls, parts: Sequence["PlainCalls"]) -> "PlainCalls":
        """Return the calls of several frames of lines as one."""
        calls = [pl.DataFrame(schema=CALLS), *(part.calls for part in parts)]
        return cls(pl.concat(calls), sum((part.ignored for part in parts), Counter[str]()))

    def beside(self, records: Sequence[Mapping[str, Any]]) -> "PlainCalls":
        """Return these calls with records that were read line by line, in the order of the lines."""
        if not records:
            return self
        both = pl.concat([self.calls, pl.DataFrame(records, schema=CALLS, orient="row")])
        return PlainCalls(both.sort("source_line", maintain_order=True), self.ignored)


def plain_calls(lines: pl.DataFrame) -> PlainCalls:
    """Return the calls that are plainly right among lines that were parsed with the types of PLAIN.

    Args:
        lines: LINE and `source_line`, and the parsed fields; no line holds a key twice, none is nested deep.
    """
    unknown = [name for name in lines.columns if name not in FIELDS | {LINE, "source_line"}]
    if len(unknown) + len(FIELDS) > FIELD_LIMIT:
        return PlainCalls(pl.DataFrame(schema=CALLS), Counter())
    frame, plain = _fields(lines)
    tokens, certain = plain_tokens(lines, LINE)
    taken = plain & pl.Series(certain) & _nested_plain(lines) & _unknown_plain(lines, unknown)
    calls = pl.concat([frame, tokens], how="horizontal").filter(taken)
    kept = lines.filter(taken)
    ignored = Counter({name: n for name in unknown if (n := kept.height - kept[name].null_count())})
    return PlainCalls(calls.select(pl.col(n).cast(t) for n, t in CALLS.items()), ignored)


def _fields(lines: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series]:
    """Return the record's own columns in their normal form, and which rows of them are right."""
    at = pl.col("occurred_at")
    base = at.str.slice(0, 19).str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="us", strict=False)
    fraction = at.str.extract(r"\.([0-9]+)").str.pad_end(6, "0").cast(pl.Int64, strict=False).fill_null(0)
    offset = at.str.extract(r"T.*([+-][0-9]{2}:[0-9]{2})$")
    minutes = offset.str.slice(1, 2).cast(pl.Int64) * 60 + offset.str.slice(4, 2).cast(pl.Int64)
    sold_by = _by_value(lines["provider"], provider)
    if sold_by.null_count():
        model = lines.select(pl.coalesce(_label(pl.col("model_served")), _label(pl.col("model_requested"))))
        sold_by = sold_by.fill_null(_by_value(model.to_series(), lambda _, name: maker(name)))
    signed = pl.when(offset.str.starts_with("-")).then(-minutes).otherwise(minutes).fill_null(0)
    moment = base + pl.duration(microseconds=fraction) - pl.duration(minutes=signed)
    costs, costs_plain = _costs(lines)
    labels = [name for name, read in READERS.items() if read is label]
    frame = lines.select(
        *(_label(pl.col(name)).alias(name) for name in labels),
        moment.dt.replace_time_zone("UTC").alias("occurred_at"),
        provider=sold_by,
        service_tier=_by_value(lines["service_tier"], service_tier),
        operation=pl.col("operation").fill_null(CHAT),
        status=pl.col("status").fill_null("ok"),
        query=pl.col("query"),
        answer=pl.col("answer"),
        latency_ms=_rounded("latency_ms"),
        time_to_first_token_ms=_rounded("time_to_first_token_ms"),
        rating=pl.when(pl.col("rating") != 0).then("rating"),
        retrieved=_entries(lines["retrieved"], RETRIEVED),
        guardrail_events=_entries(lines["guardrail_events"], GUARDRAIL_EVENTS),
        source_seq=pl.col("source_seq"),
        cost_reported_usd=costs,
        source_line=pl.col("source_line"),
    )
    plain = lines.select(
        pl.col("event_id").str.strip_chars().str.len_bytes().fill_null(0).gt(0)
        & at.str.contains(_TIME).fill_null(False)
        & base.is_not_null()
        & base.dt.year().is_between(FIRST_YEAR, LAST_YEAR).fill_null(False)
        & pl.col("operation").eq(CHAT).fill_null(True)
        & pl.col("status").is_in(STATUSES).fill_null(True)
        & _counted("latency_ms")
        & _counted("time_to_first_token_ms")
        & pl.col("rating").is_between(-1, 1).fill_null(True)
        & pl.col("source_seq").is_between(0, LARGEST_NUMBER).fill_null(True)
        & ~pl.col(LINE).str.contains(_CONTROL)
    ).to_series()
    return frame, plain & costs_plain


def _label(text: pl.Expr) -> pl.Expr:
    stripped = text.str.strip_chars()
    return pl.when(stripped != "").then(stripped)


def _rounded(name: str) -> pl.Expr:
    return pl.col(name).round(mode="half_to_even").cast(pl.Int64, strict=False)


def _counted(name: str) -> pl.Expr:
    return pl.col(name).is_between(0, COUNT_LIMIT - 1).fill_null(True) & pl.col(name).is_not_nan().fill_null(
        True
    )


def _by_value(values: pl.Series, read: Callable[[str, Any], Any]) -> pl.Series:
    """Apply a reader of `record` once to each different value; one with a NUL is of no plain line."""
    name = values.name
    different = values.drop_nulls().unique().to_list()
    found = {value: None if "\0" in value else read(name, value) for value in different}
    return values.replace_strict(list(found), list(found.values()), default=None, return_dtype=pl.String())


def _costs(lines: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    """Return the reported costs; those written as text are left to the reader."""
    if "cost_reported_usd" not in lines.columns:
        return pl.repeat(None, lines.height, dtype=pl.Decimal(38, 12), eager=True), _all(lines)
    given = lines["cost_reported_usd"]
    if not given.dtype.is_numeric():
        return pl.repeat(None, lines.height, dtype=pl.Decimal(38, 12), eager=True), given.is_null()
    plain = given.is_between(0, COST_LIMIT_PLAIN) & given.cast(pl.Float64).is_finite()
    wanted = given.filter(plain.fill_null(False)).unique().to_list()
    amounts = pl.Series([cost("cost_reported_usd", value) for value in wanted], dtype=pl.Decimal(38, 12))
    known = pl.DataFrame({"given": pl.Series(wanted, dtype=given.dtype), "amount": amounts})
    joined = given.to_frame("given").join(known, on="given", how="left", maintain_order="left")
    return joined["amount"], plain.fill_null(True)


def _entries(values: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Return a list of objects with the fields of its column alone."""
    if values.dtype == dtype:
        return values
    assert isinstance(dtype, pl.List) and isinstance(dtype.inner, pl.Struct)
    names = [field.name for field in dtype.inner.fields]
    inner = pl.element().struct
    return values.to_frame().select(
        pl.col(values.name).list.eval(pl.struct(inner.field(name) for name in names)).cast(dtype)
    )[values.name]


def _nested_plain(lines: pl.DataFrame) -> pl.Series:
    """Say where the chunks and verdicts stand in their normal form already."""
    plain = _all(lines)
    for name, key in (("retrieved", "chunk_id"), ("guardrail_events", "guardrail")):
        if lines[name].null_count() == lines.height:
            continue
        sizes = lines[name].list.len().fill_null(0)
        entries = lines.filter(sizes > 0)[name].explode()
        rules = []
        for field, dtype in entries.struct.schema.items():
            values = pl.col(field)
            if dtype == pl.String and field in ("chunk_id", "document", "guardrail", "category", "action"):
                rules.append(((values.str.strip_chars() == values) & (values != "")).fill_null(field != key))
            elif field == "score":
                rules += [
                    (values.abs() <= LARGEST_SCORE).fill_null(True),
                    values.is_not_nan().fill_null(True),
                ]
            elif dtype.is_nested():
                rules.append(values.is_null())
        right = entries.is_not_null() & entries.struct.unnest().select(pl.all_horizontal(rules)).to_series()
        if not right.all():
            rows = pl.int_range(lines.height, eager=True).filter(sizes > 0)
            owner = rows.gather(pl.Series(np.repeat(np.arange(len(rows)), sizes.filter(sizes > 0))))
            plain &= ~pl.int_range(lines.height, eager=True).is_in(owner.filter(~right).unique().implode())
    return plain


def _unknown_plain(lines: pl.DataFrame, unknown: list[str]) -> pl.Series:
    """Say where unknown fields can be counted: a nested one could hide a usage, null looks like absent."""
    plain = _all(lines)
    for name in unknown:
        values = lines[name]
        hidden = lines[LINE].str.contains(json.dumps(name), literal=True) | _escaped(lines)
        if values.dtype.is_nested() or name in LEFT_TO_THE_READER:
            plain &= values.is_null() & ~hidden
        elif values.null_count():
            plain &= ~(values.is_null() & hidden)
        if values.dtype.is_float():
            plain &= values.is_finite().fill_null(True)
    return plain


def _escaped(lines: pl.DataFrame) -> pl.Series:
    return lines[LINE].str.contains("\\u", literal=True)


def _all(lines: pl.DataFrame) -> pl.Series:
    return pl.repeat(True, lines.height, eager=True)
