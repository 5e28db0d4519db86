"""What a shadow index would take, and its vectors: nothing is switched and no index is written here.

The warehouse is open only while a batch of vectors is written, so runs go on beside a build of hours.
"""

import time
from datetime import datetime
from decimal import Decimal

import polars as pl

from aiops_pipelines.rag.chunking import Chunking
from aiops_pipelines.rag.migration import Estimate
from aiops_pipelines.resources.corpus_state import CorpusState
from aiops_pipelines.resources.documents import CorpusError, Snapshot, snapshots
from aiops_pipelines.resources.embedder import Embedder
from aiops_pipelines.resources.index_build import Build
from aiops_pipelines.resources.pace import Tell, quiet
from aiops_pipelines.resources.prices import PriceBook
from aiops_pipelines.resources.vectors import embed_missing
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System

SAMPLE_TEXTS = 12
BYTES_A_NUMBER = 4
SHADOW_SECONDS = 600
"""How long a shadow build waits for a run that is writing; what is embedded stays either way."""


def newest_snapshot(system: System, clock: datetime) -> Snapshot:
    """Return the newest state of a system's corpus that has begun.

    Raises:
        CorpusError: no corpus is configured, or it cannot be listed.
    """
    if system.corpus is None:
        raise CorpusError(f"{system.name} has no corpus; add corpus.folder to its file.")
    return snapshots(system.corpus, system.now(clock))[-1]


def embed_shadow(
    warehouse: Warehouse, system: System, model: Embedder, chunking: Chunking, clock: datetime, tell: Tell
) -> int:
    """Embed the texts that an index of this model and chunking lacks, batch by batch; return how many."""
    _, missing = _needed(warehouse, system, model, chunking, clock, tell)
    return embed_missing(warehouse, model, missing, tell)


def estimate(
    warehouse: Warehouse, system: System, model: Embedder, chunking: Chunking, clock: datetime
) -> Estimate:
    """Return what a migration would take; a few texts are embedded to measure, unless every text is paid."""
    wanted, missing = _needed(warehouse, system, model, chunking, clock, quiet)
    texts = missing["text"].to_list()
    tokens = model.count_tokens(texts)
    known = _known_texts(warehouse, system, missing["chunk_id"])
    size = sum(len(text.encode()) for chunk_id, text in missing.iter_rows() if chunk_id not in known)
    chunks = wanted["chunk_id"].n_unique()
    return Estimate(
        documents=wanted["document"].n_unique(),
        chunks=chunks,
        present=chunks - len(texts),
        texts=len(texts),
        tokens=tokens,
        seconds=None if model.paid else _seconds(model, texts),
        sample=0 if model.paid else min(len(texts), SAMPLE_TEXTS),
        usd=_usd(system, model, tokens, clock) if model.paid else Decimal(0),
        paid=model.paid,
        disk_bytes=size + len(texts) * model.space.dimension * BYTES_A_NUMBER,
    )


def _needed(
    warehouse: Warehouse, system: System, model: Embedder, chunking: Chunking, clock: datetime, tell: Tell
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return every place of the index, and (chunk_id, text) of the chunks without a vector."""
    table = warehouse.tables["rag.source_files"]
    with warehouse.held():
        files = warehouse.rows("rag.source_files", system=system.name)
        state = CorpusState(system.name, newest_snapshot(system, clock), files, table, tell)
        build = Build(warehouse, system.name, state, model, chunking, tell, None, None)
        return build.wanted, build.missing()


def _known_texts(warehouse: Warehouse, system: System, chunk_ids: pl.Series) -> set[str]:
    sql = "select chunk_id from rag.chunks where system = ? and chunk_id in (select unnest(?))"
    return set(warehouse.read(sql, [system.name, chunk_ids.to_list()])["chunk_id"])


def _seconds(model: Embedder, texts: list[str]) -> float:
    """Extrapolate by characters from texts of every length, the model being loaded before."""
    if not texts:
        return 0.0
    by_length = sorted(texts, key=len)
    step = max(len(texts) / SAMPLE_TEXTS, 1.0)
    sample = [by_length[int((at + 0.5) * step)] for at in range(min(len(texts), SAMPLE_TEXTS))]
    model.embed(sample[:1])
    start = time.monotonic()
    model.embed(sample)
    return (time.monotonic() - start) * sum(map(len, texts)) / max(sum(map(len, sample)), 1)


def _usd(system: System, model: Embedder, tokens: int, clock: datetime) -> Decimal | None:
    space = model.space
    price = PriceBook(system.prices).price_of(space.provider, space.model, clock)
    return None if price is None else price.rates[0].input * tokens / 1_000_000
