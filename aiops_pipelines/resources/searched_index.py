"""A stored index with questions put to it: ranked by embeddings, by keywords and by both together.

How scores become rankings is decided in `rag`; what the rankings are worth is `retrieval_bench`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aiops_pipelines.rag import fusion, ranking
from aiops_pipelines.resources.bm25 import Bm25
from aiops_pipelines.resources.bm25 import rank as bm25


@dataclass(frozen=True)
class SearchedIndex:
    """Places and texts of one index version, its vectors, and the questions with theirs.

    `corpus` has a row (document, chunk_id, text) per chunk of a document, sorted by both; `stored` are rows
    of `rag.embeddings` for it. Where no model here has its space, `asked` is None and only BM25 ranks.
    """

    corpus: pl.DataFrame
    stored: pl.DataFrame
    queries: Sequence[str]
    asked: ranking.Vectors | None

    def rankings(self, of: str, depth: int) -> dict[str, list[ranking.Ranking]]:
        """Return by ranker what is found for each query, best first: `of` is document or chunk_id."""
        names = self.corpus[of].to_list()
        floor = bm25(self._keywords, names, self.queries, depth)
        if self.asked is None:
            return {"bm25": floor}
        return {
            "dense": ranking.dense(names, self._vectors, self.asked, depth),
            "bm25": floor,
            "fusion": fusion.rank(names, self._vectors, self.asked, self._by_words, depth),
        }

    def contexts(self, depth: int) -> dict[str, list[list[str]]]:
        """Return by ranker the texts of the first chunks found for each query."""
        texts = dict(self.corpus.select("chunk_id", "text").iter_rows())
        return {
            ranker: [[texts[chunk] for chunk, _ in found] for found in rankings]
            for ranker, rankings in self.rankings("chunk_id", depth).items()
        }

    @cached_property
    def _keywords(self) -> Bm25:
        return Bm25(self.corpus["text"].to_list())

    @cached_property
    def _vectors(self) -> ranking.Vectors:
        return ranking.chunk_matrix(self.corpus, self.stored)[1]

    def _by_words(self, block: range) -> NDArray[np.float32]:
        return self._keywords.scores([self.queries[at] for at in block])
