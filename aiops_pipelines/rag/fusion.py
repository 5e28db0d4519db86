"""Embeddings and keywords together: one score out of two that are on different scales.

Where the scores come from is `ranking` and a resource; whether fusing is worth it is measured, see
`comparisons`.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from aiops_pipelines.rag.ranking import Owners, Ranking, Vectors, blocks, similarities

DENSE_WEIGHT = 0.5
"""Weight of the embeddings: stated, not fitted to any set."""


def fused(
    dense: NDArray[np.floating], keywords: NDArray[np.floating], weight: float = DENSE_WEIGHT
) -> NDArray[np.float64]:
    """Return weight * z(dense) + (1 - weight) * z(keywords) for scores of shape (queries, chunks).

    z scores per query (J. H. Lee, "Analyses of multiple evidence combination", SIGIR 1997, on why scores are
    normalised first). Dense 0.9, 0.1 and keywords 0, 4 at weight 0.5: (1, -1) / 2 + (-1, 1) / 2 = (0, 0).
    """
    return weight * z_scores(dense) + (1 - weight) * z_scores(keywords)


def z_scores(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return scores per row with mean 0 and standard deviation 1; a row of equal scores is all 0."""
    centred = scores - scores.mean(axis=1, keepdims=True, dtype=np.float64)
    spread = np.sqrt((centred**2).mean(axis=1, keepdims=True))
    level = spread > 1e-9 * np.abs(scores).max(axis=1, keepdims=True, initial=0)
    scores_z: NDArray[np.float64] = np.divide(centred, spread, out=np.zeros_like(centred), where=level)
    return scores_z


def rank(
    documents: Sequence[str],
    vectors: Vectors,
    queries: Vectors,
    keywords: Callable[[range], NDArray[np.floating]],
    k: int,
) -> list[Ranking]:
    """Return the k best documents per query by the fused score of their best chunk.

    Args:
        documents: the document of each row of `vectors`.
        vectors: of the chunks.
        queries: of the queries.
        keywords: gives the keyword scores of some queries for every chunk, shape (queries, chunks).
        k: length of a ranking.

    Raises:
        MixedSpaces: queries and chunks were embedded in different spaces.
    """
    owners = Owners.of(documents)
    return [
        ranking
        for block in blocks(len(queries.matrix), len(documents))
        for ranking in owners.best(
            fused(similarities(vectors, queries.rows(block)), keywords(block))[:, owners.order], k
        )
    ]
