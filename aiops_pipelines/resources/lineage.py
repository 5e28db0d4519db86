"""One answer traced back: to the chunks it was given, their documents, and the run that indexed them.

Only what is stored is told; what the log did not say, or what no index built here holds, is said to be
unknown.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from aiops_pipelines.mendable import Mendable
from aiops_pipelines.rag.freshness import CorpusHistory, retrieved_chunks
from aiops_pipelines.resources.warehouse import Warehouse

Row = dict[str, Any]


class LineageError(Mendable, ValueError):
    """There is nothing to trace; the message says what was looked for."""


@dataclass(frozen=True)
class Given:
    """A chunk that a call was given: what it said, where it stood, and whether its source had moved on.

    `place` is a row of `rag.index_chunks`, of the index the call names where that holds the chunk. `stale` is
    None where it cannot be judged.
    """

    chunk_id: str
    document: str | None
    score: float | None
    text: str | None
    place: Row | None
    index: Row | None
    stale: bool | None


@dataclass(frozen=True)
class Trace:
    """A call, what it was given, the index it names and its entry in the audit log, each None if unknown."""

    call: Row
    chunks: tuple[Given, ...]
    index: Row | None
    audit_entry: int | None

    def as_data(self) -> Row:
        """Return everything as plain data."""
        names = ("system", "event_id", "occurred_at", "endpoint", "model_served", "prompt_version", "answer")
        return {
            **{name: self.call[name] for name in names},
            "index": self.index,
            "audit_entry": self.audit_entry,
            "chunks": [vars(chunk) for chunk in self.chunks],
        }


def trace(warehouse: Warehouse, event_id: str, system: str | None = None) -> list[Trace]:
    """Trace a call of the log; several systems may know a call by the same id.

    Raises:
        LineageError: no system has a call of this id.
    """
    keys = {"event_id": event_id} | ({"system": system} if system else {})
    calls = warehouse.rows("inference_log.inferences", **keys)
    if calls.is_empty():
        where = f"in the log of {system}" if system else "in any log"
        raise LineageError(
            f"There is no call {event_id} {where}; give an event_id of inference_log.inferences."
        )
    return [_traced(warehouse, call) for call in calls.iter_rows(named=True)]


def _traced(warehouse: Warehouse, call: Row) -> Trace:
    of = {"system": call["system"]}
    given = call["retrieved"] or []
    ids = [chunk["chunk_id"] for chunk in given if chunk["chunk_id"] is not None]
    texts = dict(warehouse.rows("rag.chunks", **of, chunk_id=ids).select("chunk_id", "text").iter_rows())
    places = warehouse.rows("rag.index_chunks", **of, chunk_id=ids)
    versions = warehouse.rows("rag.index_versions", **of)
    stale = _stale(warehouse, call, versions) if ids else {}
    chunks = []
    for chunk in given:
        place = _place(places, chunk, call["index_version"], versions, call["occurred_at"])
        index = place and _index(versions, place["index_version"], call["occurred_at"])
        known = chunk["chunk_id"]
        text = (place and place["own_text"]) or texts.get(known)
        chunks.append(Given(known, chunk["document"], chunk["score"], text, place, index, stale.get(known)))
    entries = warehouse.rows("compliance.audit_log", **of, event_id=call["event_id"], kind="inference")
    entry = entries["entry_index"].min() if entries.height else None
    named = _index(versions, call["index_version"], call["occurred_at"])
    return Trace(call, tuple(chunks), named, None if entry is None else int(str(entry)))


def _place(
    places: pl.DataFrame, chunk: Row, index: str | None, versions: pl.DataFrame, at: datetime
) -> Row | None:
    """Return where the chunk stood: in the index and document of the call, else in the newest one before."""
    mine = places.filter(pl.col("chunk_id") == chunk["chunk_id"])
    since = versions.group_by("index_version").agg(pl.col("valid_from").max())
    ranked = mine.join(since, on="index_version", how="left").sort(
        pl.col("index_version").eq_missing(pl.lit(index, pl.String)),
        pl.col("document").eq_missing(pl.lit(chunk["document"], pl.String)),
        pl.col("valid_from") <= at,
        "valid_from",
        descending=True,
        nulls_last=True,
    )
    return next(ranked.drop("valid_from").iter_rows(named=True), None)


def _index(versions: pl.DataFrame, index: str | None, at: datetime) -> Row | None:
    """Return the row of an index version; one that several states share is taken at the call's time."""
    mine = versions.filter(pl.col("index_version").eq_missing(pl.lit(index, pl.String)))
    ranked = mine.sort(pl.col("valid_from") <= at, "valid_from", descending=True)
    return next(ranked.iter_rows(named=True), None)


def _stale(warehouse: Warehouse, call: Row, versions: pl.DataFrame) -> dict[str, bool | None]:
    of = {"system": call["system"]}
    names = ("corpus_revisions", "documents")
    revisions, documents = (warehouse.rows(f"rag.{name}", **of) for name in names)
    history = CorpusHistory(revisions, documents, versions, warehouse.rows("rag.index_chunks", **of))
    schema = warehouse.tables["inference_log.inferences"].schema
    judged = retrieved_chunks(pl.DataFrame([call], schema=schema), history)
    return dict(judged.select("chunk_id", "stale").iter_rows())
