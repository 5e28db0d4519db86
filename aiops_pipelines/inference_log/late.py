"""What is known about calls only later, or was read before them: ratings, sessions and users of their traces.

Stored calls stay as they are. Where tables are read, these facts fill what a call itself leaves open.
"""

from collections.abc import Mapping
from typing import Any

import polars as pl

from aiops_pipelines.compliance.privacy import mask, pseudonymised
from aiops_pipelines.inference_log.feedback import FEEDBACK, TRACES
from aiops_pipelines.inference_log.forgotten import about_erased, is_erased
from aiops_pipelines.inference_log.reading import Reading
from aiops_pipelines.inference_log.record import IS_CHAT, Batch
from aiops_pipelines.inference_log.source import Source

NAMES = ("trace_id", "session_id", "user_id", "feedback_id")
TEXTS = ("event_id", "call_id", "name", "label", "given_by", "endpoint")
OF_A_PERSON = {"session_id", "user_id", "label", "given_by"}


def feedback_rows(batch: Batch, reading: Reading, source: Source) -> pl.DataFrame:
    """Return what a batch says about calls, each once, as rows of `inference_log.feedback`."""
    rows = {row["feedback_id"]: _protected(row, reading, source) for row in batch.feedback}
    return pl.DataFrame(list(rows.values()), schema=FEEDBACK, orient="row")


def trace_rows(batch: Batch, reading: Reading, source: Source) -> pl.DataFrame:
    """Return what a batch says about whole traces, the last word on each: `inference_log.traces`.

    Those of erased people stay as they were left.
    """
    rows = {row["trace_id"]: _protected(row, reading, source) for row in batch.traces}
    kept = [row for row in rows.values() if row["trace_id"] not in source.erased_traces]
    return pl.DataFrame(kept, schema=TRACES, orient="row")


def with_late_facts(calls: pl.DataFrame, feedback: pl.DataFrame, traces: pl.DataFrame) -> pl.DataFrame:
    """Return the calls with ratings, sessions, users and endpoints that other rows say of them.

    What a call says itself stays. Feedback on a call is found by its event id, or by the call's own part of
    it where no trace is named; feedback on a trace or a session belongs to its last call. Of several ratings
    the one given last counts.

    Args:
        calls: inference_log.inferences.
        feedback: inference_log.feedback of the same systems.
        traces: inference_log.traces of the same systems.
    """
    known = with_trace_facts(calls, traces)
    rated = _rated(known, feedback.filter(pl.col("rating").is_not_null()))
    known = known.join(rated, on=["system", "event_id"], how="left", maintain_order="left")
    return known.with_columns(pl.coalesce("rating", "rating_late").alias("rating")).drop("rating_late")


def with_trace_facts(calls: pl.DataFrame, traces: pl.DataFrame) -> pl.DataFrame:
    """Return the calls with the session, user and endpoint of their traces where they name none."""
    known = calls.join(
        traces.select("system", "trace_id", *TRACE_FACTS),
        on=["system", "trace_id"],
        how="left",
        suffix="_late",
        maintain_order="left",
    )
    filled = (pl.coalesce(name, f"{name}_late").alias(name) for name in TRACE_FACTS)
    return known.with_columns(filled).drop(f"{name}_late" for name in TRACE_FACTS)


TRACE_FACTS = ("session_id", "user_id", "endpoint")


def _rated(calls: pl.DataFrame, feedback: pl.DataFrame) -> pl.DataFrame:
    """Return system, event_id and the last rating of each call that has one."""
    own = pl.col("event_id").str.strip_prefix(pl.col("trace_id") + "-")
    keyed = calls.filter(IS_CHAT).select(
        "system", "event_id", "trace_id", "session_id", "occurred_at", call_id=own
    )
    alone = pl.col("event_id").is_null()
    whole = alone & pl.col("call_id").is_null()
    said = ["system", "rating", "given_at", "ingested_at", "feedback_id"]
    direct = feedback.filter(~alone).select("event_id", *said)
    by_part = feedback.filter(alone & pl.col("call_id").is_not_null()).join(
        keyed.select("system", "event_id", "call_id"), on=["system", "call_id"], suffix="_found"
    )
    found = [direct, by_part.select(pl.col("event_id_found").alias("event_id"), *said)]
    for key, rest in (("trace_id", whole), ("session_id", whole & pl.col("trace_id").is_null())):
        last = keyed.drop_nulls(key).sort("occurred_at", "event_id").unique(["system", key], keep="last")
        about = feedback.filter(rest).drop_nulls(key).join(last, on=["system", key], suffix="_found")
        found.append(about.select(pl.col("event_id_found").alias("event_id"), *said))
    ordered = pl.concat(found).sort("given_at", "ingested_at", "feedback_id", nulls_last=False)
    return ordered.group_by("system", "event_id").agg(pl.col("rating").last().alias("rating_late"))


def _protected(row: Mapping[str, Any], reading: Reading, source: Source) -> dict[str, Any]:
    """Return a row with its place and without personal data; identifiers become the pseudonyms calls have."""
    named = {name: pseudonymised(row[name], source.key, source.regions)[0] for name in NAMES if row.get(name)}
    masked = {name: mask(row[name], source.regions)[0] for name in TEXTS if row.get(name)}
    gone = OF_A_PERSON if is_erased(row, source) else {"label"} if about_erased(row, source) else set()
    return {
        **row,
        **named,
        **masked,
        **dict.fromkeys(gone & row.keys()),
        "system": source.system,
        "source_format": source.format,
        "source_file": reading.file.name,
        "ingested_at": source.now,
    }
