"""People who were erased and stand in a log that is read again: they come back without texts and person.

They are recognised by marks, keyed hashes of their identifiers (`compliance.erasure`); which marks there are
is the source's to say.
"""

import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from aiops_pipelines.compliance.erasure import mark
from aiops_pipelines.compliance.privacy import pseudonymised
from aiops_pipelines.inference_log.source import Source

_TIME = pl.Datetime("us", "UTC")
_QUOTED, _WORD = re.compile(r'"([^"\\]{1,200})"'), re.compile(r"[^\s\"',:;{}\[\]()<>=\\]{1,200}")
"""Where an identifier can stand in a line that was not understood: a whole value in quotes, or a word."""


def forgotten(
    calls: pl.DataFrame, traces: Sequence[Mapping[str, Any]], source: Source
) -> tuple[pl.DataFrame, int]:
    """Return the calls with `texts_deleted_at`, those of erased people emptied, and how many those are.

    Args:
        calls: with identifiers as they are stored.
        traces: what the same lines say of traces, as it is logged: a user may be named there alone.
        source: whose marks they are.
    """
    calls = calls.with_columns(texts_deleted_at=pl.lit(None, _TIME))
    if not source.erased:
        return calls, 0
    of_traces = [trace["trace_id"] for trace in traces if is_erased(trace, source)]
    names = {name for column in ("user_id", "session_id") for name in calls[column].drop_nulls().unique()}
    erased = [name for name in names if mark(source.key, name) in source.erased]
    around = {"session_id": erased, "trace_id": [*of_traces, *source.erased_traces]}
    unnamed = pl.any_horizontal(pl.col(name).is_in(values) for name, values in around.items())
    theirs = pl.when(pl.col("user_id").is_null()).then(unnamed).otherwise(pl.col("user_id").is_in(erased))
    theirs = theirs.fill_null(value=False)
    empty = {name: pl.lit(None, pl.String) for name in ("user_id", "session_id", "query", "answer")}
    empty["texts_deleted_at"] = pl.lit(source.now, _TIME)
    columns = [pl.when(theirs).then(value).otherwise(name).alias(name) for name, value in empty.items()]
    return calls.with_columns(columns), calls.filter(theirs).height


def is_erased(row: Mapping[str, Any], source: Source) -> bool:
    """Say whether a row, as it is logged, names a user or session of somebody who was erased."""
    if not source.erased:
        return False
    named = [row[name] for name in ("user_id", "session_id", "given_by") if row.get(name)]
    stored = [pseudonymised(one, source.key, source.regions)[0] for one in named]
    return any(mark(source.key, one) in source.erased for one in (*named, *stored))


def about_erased(row: Mapping[str, Any], source: Source) -> bool:
    """Say whether a row is said of a call or trace of somebody who was erased, whoever says it."""
    calls = {row.get("event_id"), row.get("call_id")}
    return row.get("trace_id") in source.erased_traces or not calls.isdisjoint(source.erased_calls)


def names_erased(raw: bytes, source: Source) -> bool:
    """Say whether a line that was not understood names somebody who was erased."""
    if not source.erased:
        return False
    text = raw.decode(errors="replace")
    return any(
        mark(source.key, one) in source.erased for one in {*_QUOTED.findall(text), *_WORD.findall(text)}
    )


def keyed_line(key: bytes, line_hash: str) -> str:
    """Return the hash of such a line under the system's key: without it, no guess can be tried."""
    return hmac.digest(key, line_hash.encode(), "sha256").hex()
