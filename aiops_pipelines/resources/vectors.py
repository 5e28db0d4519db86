"""Texts become vectors in the warehouse, batch by batch: what a killed run embedded is not embedded again."""

import time

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aiops_pipelines.resources.embedder import Embedder
from aiops_pipelines.resources.pace import Pace, Tell
from aiops_pipelines.resources.warehouse import Warehouse

FIRST_BATCH, LARGEST_BATCH = 64, 4096
BATCH_SECONDS = 5.0
"""What a killed run loses at most; a batch is a transaction, which costs milliseconds."""


def embed_missing(warehouse: Warehouse, model: Embedder, texts: pl.DataFrame, tell: Tell) -> int:
    """Embed texts, (chunk_id, text) rows without a vector in the model's space, and return how many.

    The shortest come first: texts of one length go together, and a model that fails does so early.
    """
    queue = texts.with_columns(size=pl.col("text").str.len_chars()).sort("size", "chunk_id")
    pace = Pace("embedded", "texts", queue.height, float(queue["size"].sum()), tell)
    done, take = 0, FIRST_BATCH
    while done < queue.height:
        batch, start = queue.slice(done, take), time.monotonic()
        vectors = np.ascontiguousarray(model.embed(batch["text"].to_list()), dtype=np.float32)
        column, space = column_of(vectors), model.space.version
        rows = batch.select("chunk_id", embedding_version=pl.lit(space), vector=column)
        with warehouse.writing() as writer:
            if not warehouse.is_held:  # a shadow build and a run may embed the same text at once
                stored = writer.matching("rag.embeddings", rows, ["chunk_id", "embedding_version"])
                rows = rows.join(stored, on="chunk_id", how="anti")
            writer.append("rag.embeddings", rows)
        done += batch.height
        pace.step(batch.height, float(batch["size"].sum()))
        seconds = max(time.monotonic() - start, 1e-3)
        take = int(min(max(batch.height / seconds * BATCH_SECONDS, 1), LARGEST_BATCH))
    return done


def column_of(matrix: NDArray[np.float32]) -> pl.Series:
    """Return the rows of a matrix as a column of vectors."""
    return pl.Series(matrix, dtype=pl.Array(pl.Float32, matrix.shape[1])).arr.to_list()
