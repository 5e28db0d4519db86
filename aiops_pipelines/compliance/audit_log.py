"""The audit log as a table: its schema and how entries become rows, as pure functions over frames.

What entries say is `audit_entry`, how a log is checked is `integrity`; their public names are repeated here,
so that writing, signing and checking a log needs this module, `tiles` and `checkpoint`. Storing rows, files
and keys happens elsewhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from aiops_pipelines.compliance import leaf
from aiops_pipelines.compliance.audit_entry import (
    PROJECTED,
    conflict_entry,
    conflict_id,
    decision_entry,
    inference_entry,
    projection,
)
from aiops_pipelines.compliance.finding import Finding
from aiops_pipelines.compliance.integrity import SCHEMA, TIME_FORMAT, verify
from aiops_pipelines.compliance.merkle import leaf_hash

__all__ = [
    "SCHEMA",
    "Appended",
    "Conflict",
    "Finding",
    "append",
    "candidate_ids",
    "decision_entry",
    "inference_entry",
    "verify",
]


@dataclass(frozen=True)
class Conflict:
    """An entry that was refused because its id is taken by other content, and the hash of what stands."""

    entry: Mapping[str, Any]
    refused_leaf_hash: bytes
    kept_leaf_hash: bytes


@dataclass(frozen=True)
class Appended:
    """The rows to write (schema SCHEMA), and the conflicts, each of which is also one of the rows."""

    rows: pl.DataFrame
    conflicts: tuple[Conflict, ...]


def candidate_ids(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """The ids to look up in the log before these entries are appended, with those of possible conflicts."""
    ids = [leaf.well_formed(entry["entry_id"]) for entry in entries]
    return [*ids, *(conflict_id(leaf_hash(leaf.encode(entry))) for entry in entries)]


def append(existing: Mapping[str, bytes], next_index: int, entries: Sequence[Mapping[str, Any]]) -> Appended:
    """The rows that these entries add to one system's log.

    `existing` maps entry ids already in the log to their leaf hashes; the ids of `candidate_ids` are enough.
    An entry that is there already adds nothing. One with a known id and other content is refused, returned,
    and recorded by an entry of kind "conflict". Raises ValueError (LeafInvalid) for an entry that cannot be
    written, and then the whole batch is not.
    """
    if len(systems := sorted({str(entry["system"]) for entry in entries})) > 1:
        raise ValueError(f"These entries are of {', '.join(systems)}: each system has a log of its own.")
    known = dict(existing)
    rows: list[tuple[Any, ...]] = []
    conflicts: list[Conflict] = []

    def add(data: bytes, hashed: bytes) -> None:
        decoded = leaf.decode(data)
        known[decoded["entry_id"]] = hashed
        rows.append((next_index + len(rows), data, hashed, *projection(decoded)))

    for entry in entries:
        data = leaf.encode(entry)
        hashed = leaf_hash(data)
        kept = known.get(leaf.well_formed(entry["entry_id"]))
        if kept is None:
            add(data, hashed)
        elif kept != hashed and conflict_id(hashed) not in known:
            conflicts.append(Conflict(entry, hashed, kept))
            recorded = leaf.encode(conflict_entry(entry, hashed, kept))
            add(recorded, leaf_hash(recorded))
    return Appended(_frame(rows), tuple(conflicts))


def _frame(rows: Sequence[tuple[Any, ...]]) -> pl.DataFrame:
    read = {"entry_index": pl.Int64, "leaf": pl.Binary, "leaf_hash": pl.Binary} | {
        column: pl.String if column == "occurred_at" else SCHEMA[column] for column in PROJECTED
    }
    times = pl.col("occurred_at").str.to_datetime(TIME_FORMAT, time_unit="us", time_zone="UTC")
    return pl.DataFrame(rows, schema=read, orient="row").with_columns(times).select(*SCHEMA)
