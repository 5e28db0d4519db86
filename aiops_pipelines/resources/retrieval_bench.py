"""The indexes of each system asked the known queries: read, ranked and scored.

How rankings are made and scored is decided in `rag`; here the stored index is read and the model is asked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aiops_pipelines.rag import evaluation, fusion, ranking
from aiops_pipelines.rag.comparisons import retrieval_comparisons
from aiops_pipelines.rag.known_queries import in_force
from aiops_pipelines.resources.bm25 import Bm25
from aiops_pipelines.resources.bm25 import rank as bm25
from aiops_pipelines.resources.recipes import Recipes
from aiops_pipelines.resources.warehouse import Warehouse

RANKING_DEPTH = 10
INSTANT = timedelta(microseconds=1)
Row = Mapping[str, object]


@dataclass(frozen=True)
class Found:
    """The tables of retrieval_scores, retrieval_quality and retrieval_comparisons, of one system."""

    scores: pl.DataFrame
    quality: pl.DataFrame
    comparisons: pl.DataFrame


class RetrievalBench:
    """The stored indexes of one installation under measurement."""

    def __init__(self, warehouse: Warehouse):
        self._warehouse, self._recipes = warehouse, Recipes(warehouse)
        self._tables = warehouse.tables

    def evaluate(self, system: str, now: datetime) -> Found:
        """Return how well each way of ranking works on every index served, with its time's queries.

        One that was served twice, before a migration and after its rollback, counts with its last time. An
        index is asked in its own space; where no model known here has it, only BM25 is measured.
        """
        scores = [self._tables["rag.retrieval_scores"].empty()]
        quality = [self._tables["rag.retrieval_quality"].empty()]
        compared = [self._tables["rag.retrieval_comparisons"].empty()]
        versions = self._recipes.served(system)
        starts = versions["valid_from"].unique().sort().to_list()
        ends = dict(zip(starts, [*starts[1:], now + INSTANT], strict=True)) if starts else {}
        asked = Asked(self._recipes, system)
        last = versions.unique("index_version", keep="last", maintain_order=True)
        for index in last.iter_rows(named=True):
            of_index = [scores[0]]
            for one, dead in self.scores(system, index, ends[index["valid_from"]] - INSTANT, asked):
                of_index.append(one)
                quality.append(evaluation.retrieval_quality(one, index["valid_from"], dead))
            scores += of_index
            compared.append(retrieval_comparisons(pl.concat(of_index), index["valid_from"]))
        return Found(pl.concat(scores), pl.concat(quality), pl.concat(compared))

    def scores(
        self, system: str, index: Row, at: datetime, asked: "Asked | None" = None
    ) -> list[tuple[pl.DataFrame, int]]:
        """Return the retrieval_scores of one index and its dead judgements, by ranker.

        Args:
            system: AI system.
            index: a row of `rag.index_versions`.
            at: the known queries in force at this moment are asked.
            asked: vectors of questions that were asked before.
        """
        rows = self._warehouse.rows
        known, judged = rows("rag.known_queries", system=system), rows("rag.judgements", system=system)
        questions, truth = in_force(known, judged, at)
        if questions.is_empty():
            return []
        found = self.rankings(system, index, questions["query"].to_list(), asked)
        indexed = self._places(system, index)["document"].unique().to_list()
        dead = evaluation.dead_judgements(truth, indexed)
        scored = []
        for ranker, rankings in found.items():
            named = {q: [d for d, _ in r] for q, r in zip(questions["query_id"], rankings, strict=True)}
            version = str(index["index_version"])
            one = evaluation.retrieval_scores(system, version, ranker, named, truth, indexed)
            scored.append((one, dead))
        return scored

    def rankings(
        self, system: str, index: Row, queries: Sequence[str], asked: "Asked | None" = None
    ) -> dict[str, list[ranking.Ranking]]:
        """Return by ranker the documents an index finds for each query, best first."""
        version, places = str(index["embedding_version"]), self._places(system, index)
        texts = self._warehouse.rows("rag.chunks", system=system).select("chunk_id", "text")
        corpus = places.select("document", "chunk_id").unique().sort("document", "chunk_id")
        corpus = corpus.join(texts, on="chunk_id", maintain_order="left")
        documents, keywords = corpus["document"].to_list(), Bm25(corpus["text"].to_list())
        floor = bm25(keywords, documents, queries, RANKING_DEPTH)
        vectors = (asked or Asked(self._recipes, system)).vectors(version, queries)
        if vectors is None:
            return {"bm25": floor}
        stored = self._warehouse.read(
            "select * from rag.embeddings where embedding_version = ? and chunk_id in (select unnest(?))",
            [version, places["chunk_id"].unique().to_list()],
        )
        owners, matrix = ranking.chunk_matrix(places, stored)

        def by_words(block: range) -> NDArray[np.float32]:
            return keywords.scores([queries[at] for at in block])

        return {
            "dense": ranking.dense(owners, matrix, vectors, RANKING_DEPTH),
            "bm25": floor,
            "fusion": fusion.rank(owners, matrix, vectors, by_words, RANKING_DEPTH),
        }

    def _places(self, system: str, index: Row) -> pl.DataFrame:
        return self._warehouse.rows(
            "rag.index_chunks", system=system, index_version=str(index["index_version"])
        )


class Asked:
    """Questions in every space they were asked in; none is embedded twice."""

    def __init__(self, recipes: Recipes, system: str):
        self._recipes, self._system = recipes, system
        self._known: dict[str, dict[str, NDArray[np.float32]]] = {}

    def vectors(self, embedding_version: str, queries: Sequence[str]) -> ranking.Vectors | None:
        """Return the vectors of questions in a space, or None where no model known here has it."""
        model = self._recipes.model_of(self._system, embedding_version)
        if model is None:
            return None
        known = self._known.setdefault(embedding_version, {})
        new = [query for query in dict.fromkeys(queries) if query not in known]
        if new:
            known.update(zip(new, model.embed_queries(new).matrix, strict=True))
        return ranking.Vectors(embedding_version, np.stack([known[query] for query in queries]))
