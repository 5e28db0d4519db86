"""Exact dense ranking: the product of query and chunk vectors, carried over from chunks to documents.

Vectors come from the embedder; the BM25 floor is a resource. No approximation, so the evaluation measures the
embedding and the chunks and nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

Ranking = list[tuple[str, float]]
"""Documents with their scores, best first."""

_DECIMALS = 6
"""float32 carries about seven digits; rounding makes equal texts tie on every machine."""


class MixedSpaces(ValueError):
    """Vectors that cannot be compared met in one search."""


@dataclass(frozen=True)
class Vectors:
    """Vectors with the embedding version they live in: two spaces of one dimension look alike otherwise.

    `matrix` has shape (texts, dimension).
    """

    space: str
    matrix: NDArray[np.float32]

    def rows(self, which: Sequence[int]) -> "Vectors":
        """Return some of the vectors, in the given order."""
        return Vectors(self.space, self.matrix[list(which)])


def chunk_matrix(index_chunks: pl.DataFrame, embeddings: pl.DataFrame) -> tuple[list[str], Vectors]:
    """Return the documents and the vectors, one row per distinct (document, chunk) of an index version.

    Args:
        index_chunks: rows of one index version, columns document and chunk_id.
        embeddings: columns chunk_id, embedding_version and vector, of one embedding version.

    Raises:
        MixedSpaces: several embedding versions or lengths of vector, or a chunk has no vector.
    """
    spaces = embeddings["embedding_version"].unique().sort().to_list()
    if len(spaces) > 1:
        raise MixedSpaces(
            f"Vectors of {', '.join(spaces)} cannot be searched together; pick one embedding version."
        )
    places = index_chunks.select("document", "chunk_id").unique().sort("document", "chunk_id")
    rows = places.join(embeddings.unique("chunk_id"), on="chunk_id", how="left", maintain_order="left")
    missing = rows["vector"].null_count()
    if missing:
        raise MixedSpaces(
            f"{missing} chunks have no vector in this embedding version; materialize the index first."
        )
    if rows["vector"].list.len().n_unique() > 1:
        raise MixedSpaces("Vectors of one embedding version have different lengths; embed the chunks again.")
    matrix = np.array(rows["vector"].to_list(), dtype=np.float32)
    return rows["document"].to_list(), Vectors(spaces[0] if spaces else "", matrix)


def dense(documents: Sequence[str], vectors: Vectors, queries: Vectors, k: int) -> list[Ranking]:
    """Return the k best documents per query by inner product (the cosine, for normalised vectors).

    Args:
        documents: the document of each row of `vectors`.
        vectors: of the chunks.
        queries: of the queries.
        k: length of a ranking.

    Raises:
        MixedSpaces: queries and chunks were embedded in different spaces, of one dimension or not.
    """
    if vectors.space != queries.space and documents:
        raise MixedSpaces(
            f"Queries of {queries.space} cannot be asked of chunks of {vectors.space}: two embedding models."
        )
    if not documents:
        return [[] for _ in queries.matrix]
    return best_documents(documents, queries.matrix @ vectors.matrix.T, k)


def best_documents(documents: Sequence[str], scores: NDArray[np.floating], k: int) -> list[Ranking]:
    """Return the k best documents per row of chunk scores, scored by their best chunk; ties go by name.

    `best_documents(["a", "b", "a"], [[0.1, 0.5, 0.9]], 2)` is `[[("a", 0.9), ("b", 0.5)]]`.
    """
    if not documents:
        return [[] for _ in scores]
    names, owner = np.unique(np.asarray(documents, dtype=object), return_inverse=True)
    order = np.argsort(owner, kind="stable")
    starts = np.searchsorted(owner[order], np.arange(len(names)))
    best = np.maximum.reduceat(np.asarray(scores, dtype=np.float64)[:, order], starts, axis=1).round(
        _DECIMALS
    )
    top = np.argsort(-best, axis=1, kind="stable")[:, :k]
    return [
        [(str(names[at]), float(row[at])) for at in columns] for row, columns in zip(best, top, strict=True)
    ]
