"""The indexes of each system asked the known queries: read, ranked and scored.

How rankings are made and scored is decided in `rag`; here the stored index is read and the model is asked.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import polars as pl

from aiops_pipelines.rag import evaluation, ranking
from aiops_pipelines.rag.known_queries import in_force
from aiops_pipelines.resources.bm25 import rank as bm25
from aiops_pipelines.resources.embedder import MODELS, Embedder, embedder
from aiops_pipelines.resources.warehouse import Warehouse

RANKING_DEPTH = 10
INSTANT = timedelta(microseconds=1)


class RetrievalBench:
    """The stored indexes of one installation under measurement."""

    def __init__(self, warehouse: Warehouse):
        self._warehouse = warehouse
        self._tables = warehouse.tables

    def evaluate(self, system: str, now: datetime, model: Embedder) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return retrieval_scores and retrieval_quality of every index, with the queries of its time.

        An index is asked in its own space. Where that is neither `model`'s nor a known model's, nobody can
        ask it any more, and only BM25 is measured.
        """
        rows = self._warehouse.rows
        scores = [self._tables["rag.retrieval_scores"].empty()]
        quality = [self._tables["rag.retrieval_quality"].empty()]
        known, judged = rows("rag.known_queries", system=system), rows("rag.judgements", system=system)
        versions = rows("rag.index_versions", system=system).sort("valid_from", "built_at")
        if versions.is_empty() or known.is_empty():
            return scores[0], quality[0]
        texts = rows("rag.chunks", system=system).select("chunk_id", "text")
        queries = known["query"].unique(maintain_order=True).to_list()
        place = {query: at for at, query in enumerate(queries)}
        models = {one.space.version: one for one in (*map(embedder, MODELS), model)}
        spaces = versions["embedding_version"].unique().to_list()
        vectors = {space: models[space].embed_queries(queries) for space in spaces if space in models}
        starts = versions["valid_from"].unique().sort().to_list()
        ends = dict(zip(starts, [*starts[1:], now + INSTANT], strict=True))
        for index in versions.iter_rows(named=True):
            asked, truth = in_force(known, judged, ends[index["valid_from"]] - INSTANT)
            places = rows("rag.index_chunks", system=system, index_version=index["index_version"])
            indexed = places["document"].unique().to_list()
            dead = evaluation.dead_judgements(truth, indexed)
            wordings = asked["query"].to_list()
            space = vectors.get(index["embedding_version"])
            asked_vectors = space and space.rows([place[query] for query in wordings])
            found = self._rankings(index, places, texts, wordings, asked_vectors)
            for ranker, rankings in found.items():
                named = {q: [d for d, _ in r] for q, r in zip(asked["query_id"], rankings, strict=True)}
                one = evaluation.retrieval_scores(
                    system, index["index_version"], ranker, named, truth, indexed
                )
                scores.append(one)
                quality.append(evaluation.retrieval_quality(one, index["valid_from"], dead))
        return pl.concat(scores), pl.concat(quality)

    def _rankings(
        self,
        index: Mapping[str, object],
        places: pl.DataFrame,
        texts: pl.DataFrame,
        queries: Sequence[str],
        vectors: ranking.Vectors | None,
    ) -> dict[str, list[ranking.Ranking]]:
        if not queries:
            return {}
        corpus = places.join(texts, on="chunk_id").sort("document", "position")
        floor = bm25(corpus["text"].to_list(), corpus["document"].to_list(), queries, RANKING_DEPTH)
        if vectors is None:
            return {"bm25": floor}
        stored = self._warehouse.read(
            "select * from rag.embeddings where embedding_version = ? and chunk_id in (select unnest(?))",
            [index["embedding_version"], places["chunk_id"].unique().to_list()],
        )
        owners, matrix = ranking.chunk_matrix(places, stored)
        return {"dense": ranking.dense(owners, matrix, vectors, RANKING_DEPTH), "bm25": floor}
