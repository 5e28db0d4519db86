"""Exact dense ranking: the product of query and chunk vectors, carried over from chunks to documents.

Vectors come from the embedder; the BM25 floor is a resource. No approximation, so the evaluation measures the
embedding and the chunks and nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

Ranking = list[tuple[str, float]]
"""Documents with their scores, best first."""

_DECIMALS = 6
"""float32 carries about seven digits; rounding makes equal texts tie on every machine."""
_GROUPS = 1_024
"""Groups of documents whose maxima are compared first; below twice as many documents each is its own."""
_BLOCK_SCORES = 8_000_000


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
    once = embeddings["chunk_id"].n_unique() == embeddings.height  # else a pass over all numbers drops some
    vectors = embeddings if once else embeddings.unique("chunk_id")
    row = vectors.select("chunk_id").with_row_index("row")  # numpy takes rows in a third of the time
    rows = places.join(row, on="chunk_id", how="left", maintain_order="left")
    missing = rows["row"].null_count()
    if missing:
        raise MixedSpaces(
            f"{missing} chunks have no vector in this embedding version; materialize the index first."
        )
    if vectors["vector"].list.len().n_unique() > 1:
        raise MixedSpaces("Vectors of one embedding version have different lengths; embed the chunks again.")
    matrix = matrix_of(vectors["vector"])[rows["row"].to_numpy()]
    return rows["document"].to_list(), Vectors(spaces[0] if spaces else "", matrix)


def matrix_of(vectors: pl.Series) -> NDArray[np.float32]:
    """Return a column of vectors of one length as a matrix, a row each."""
    numbers = vectors.explode().to_numpy() if len(vectors) else np.empty(0)
    return np.asarray(numbers, np.float32).reshape(len(vectors), -1 if len(vectors) else 0)


@dataclass(frozen=True)
class Owners:
    """Whose chunks the columns of a score matrix are: documents by name, and groups of whole documents.

    `order` puts the columns in the order of their documents, `owner` is the document of each column then, and
    `starts` where each group begins.
    """

    names: list[str]
    order: NDArray[np.int64]
    owner: NDArray[np.int64]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, documents: Sequence[str]) -> "Owners":
        """Return the owners of columns, given the document of each."""
        names = sorted(set(documents))
        code = {name: at for at, name in enumerate(names)}
        codes = np.fromiter(map(code.__getitem__, documents), np.int64, len(documents))
        order = np.argsort(codes, kind="stable")
        step = max(1, len(names) // _GROUPS)
        starts = np.searchsorted(codes[order], np.arange(0, len(names), step))
        return cls(names, order, codes[order], starts)

    def best(self, scores: NDArray[np.floating], k: int) -> list[Ranking]:
        """Return the k best documents per row, columns in the order of the documents.

        The k-th best maximum of a group is reached by k documents, so nothing below it can be among the best
        k: one pass leaves a few candidates of a row, and only they are sorted.
        """
        owner, maxima = self.owner, np.maximum.reduceat(scores, self.starts, axis=1)
        if len(self.starts) == len(self.names):
            owner, scores = np.arange(len(self.names)), maxima
        kept = min(k, maxima.shape[1])
        bound = np.partition(maxima, -kept, axis=1)[:, -kept]
        rows, columns = np.nonzero(scores >= (bound - 2 * 10.0**-_DECIMALS).astype(scores.dtype)[:, None])
        values = scores[rows, columns].astype(np.float64).round(_DECIMALS)
        return self._first(rows, owner[columns], values, len(scores), k)

    def _first(
        self, rows: NDArray[np.int64], owner: NDArray[np.int64], values: NDArray[np.float64], n: int, k: int
    ) -> list[Ranking]:
        """Return per row the k best documents of some candidates, each with its best value; ties by name."""
        order = np.lexsort((-values, owner, rows))
        rows, owner, values = rows[order], owner[order], values[order]
        once = np.append(True, (rows[1:] != rows[:-1]) | (owner[1:] != owner[:-1]))
        rows, owner, values = rows[once], owner[once], values[once]
        order = np.lexsort((owner, -values, rows))
        starts = np.searchsorted(rows, np.arange(n + 1))
        return [
            [(self.names[owner[at]], float(values[at])) for at in order[start : min(end, start + k)]]
            for start, end in pairwise(starts)
        ]


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
    if not documents:
        return [[] for _ in queries.matrix]
    owners = Owners.of(documents)
    sorted_already = (owners.order == np.arange(len(documents))).all()  # as `chunk_matrix` has them
    by_document = vectors if sorted_already else Vectors(vectors.space, vectors.matrix[owners.order])
    return [
        ranking
        for block in blocks(len(queries.matrix), len(documents))
        for ranking in owners.best(similarities(by_document, queries.rows(block)), k)
    ]


def dense_of_each(
    indexes: Sequence[pl.DataFrame], chunks: Sequence[str], vectors: Vectors, queries: Vectors, k: int
) -> list[list[Ranking]]:
    """Return what `dense` does for each of several indexes; a chunk that many hold is compared once.

    Args:
        indexes: columns document and chunk_id.
        chunks: the chunk of each row of `vectors`.
        vectors: of the chunks of all indexes.
        queries: of the queries.
        k: length of a ranking.
    """
    column = pl.DataFrame({"chunk_id": chunks}, schema={"chunk_id": pl.String}).with_row_index("column")
    places = [
        index.select("document", "chunk_id").unique().join(column, on="chunk_id").sort("document", "column")
        for index in indexes
    ]
    owned = [(Owners.of(rows["document"].to_list()), rows["column"].to_numpy()) for rows in places]
    rankings: list[list[Ranking]] = [[] for _ in indexes]
    for block in blocks(len(queries.matrix), len(chunks)):
        scores = similarities(vectors, queries.rows(block))
        for found, (owners, columns) in zip(rankings, owned, strict=True):
            found += owners.best(scores[:, columns], k) if len(columns) else [[] for _ in block]
    return rankings


def similarities(vectors: Vectors, queries: Vectors) -> NDArray[np.float32]:
    """Return the inner products of queries and chunks, shape (queries, chunks).

    Raises:
        MixedSpaces: queries and chunks were embedded in different spaces, of one dimension or not.
    """
    if vectors.space != queries.space:
        raise MixedSpaces(
            f"Queries of {queries.space} cannot be asked of chunks of {vectors.space}: two embedding models."
        )
    return queries.matrix @ vectors.matrix.T


def blocks(queries: int, chunks: int) -> list[range]:
    """Return the queries in runs whose scores fit into 32 MB of single precision, however many chunks."""
    size = max(1, _BLOCK_SCORES // max(1, chunks))
    return [range(start, min(queries, start + size)) for start in range(0, queries, size)]


def best_documents(documents: Sequence[str], scores: NDArray[np.floating], k: int) -> list[Ranking]:
    """Return the k best documents per row of chunk scores, scored by their best chunk; ties go by name.

    `best_documents(["a", "b", "a"], [[0.1, 0.5, 0.9]], 2)` is `[[("a", 0.9), ("b", 0.5)]]`.
    """
    if not documents or not len(scores):
        return [[] for _ in scores]
    owners = Owners.of(documents)
    return owners.best(scores[:, owners.order], k)
