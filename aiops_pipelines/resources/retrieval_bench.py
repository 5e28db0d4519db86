"""The indexes of each system asked the known queries: read, ranked and scored.

How rankings are made and scored is decided in `rag`; here the stored index is read and the model is asked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aiops_pipelines.rag import evaluation, ranking
from aiops_pipelines.rag.comparisons import retrieval_comparisons
from aiops_pipelines.rag.index_changes import asked_the_same, retrieval_changes
from aiops_pipelines.rag.known_queries import in_force
from aiops_pipelines.rag.passages import reference_contexts
from aiops_pipelines.rag.slices import drafts_slice, retrieval_slices
from aiops_pipelines.resources.judge import context_scores, text_context_scores
from aiops_pipelines.resources.recipes import Recipes
from aiops_pipelines.resources.searched_index import SearchedIndex
from aiops_pipelines.resources.warehouse import Warehouse

RANKING_DEPTH = 10
CONTEXTS = 5
INSTANT = timedelta(microseconds=1)
Row = Mapping[str, object]
_VECTORS = "select * from rag.embeddings where embedding_version = ? and chunk_id in (select unnest(?))"


@dataclass(frozen=True)
class Found:
    """The tables of retrieval_scores, _quality, _comparisons, _changes and _slices, of one system."""

    scores: pl.DataFrame
    quality: pl.DataFrame
    comparisons: pl.DataFrame
    changes: pl.DataFrame
    slices: pl.DataFrame


class RetrievalBench:
    """The stored indexes of one installation under measurement."""

    def __init__(self, warehouse: Warehouse):
        self._warehouse, self._recipes = warehouse, Recipes(warehouse)
        self._tables = warehouse.tables

    def evaluate(self, system: str, now: datetime) -> Found:
        """Return how well each way of ranking works on every index served, with its time's queries.

        One that was served twice, before a migration and after its rollback, counts with its last time; but
        each time it is held against the index before it, or a rollback would undo what it is the remedy of.
        An index is asked in its own space; where no model known here has it, only BM25 is measured.
        """
        scores = [self._tables["rag.retrieval_scores"].empty()]
        quality = [self._tables["rag.retrieval_quality"].empty()]
        compared = [self._tables["rag.retrieval_comparisons"].empty()]
        changes = [self._tables["rag.retrieval_changes"].empty()]
        slices = [self._tables["rag.retrieval_slices"].empty()]
        before: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame] | None = None
        versions = self._recipes.served(system)
        starts = versions["valid_from"].unique().sort().to_list()
        ends = dict(zip(starts, [*starts[1:], now + INSTANT], strict=True)) if starts else {}
        asked = Asked(self._recipes, system)
        last = versions.unique("index_version", keep="last", maintain_order=True)
        newest = dict(last.select("index_version", "valid_from").iter_rows())
        for index in versions.iter_rows(named=True):
            of_index, since = [scores[0]], index["valid_from"]
            counts = since == newest[index["index_version"]]
            questions, truth = self._in_force(system, ends[since] - INSTANT)
            searched = self._searched(system, index, questions["query"].to_list(), asked)
            contexts = Contexts.of(searched, questions, truth) if counts else None
            for one, dead, documents in _scored(system, index, questions, truth, searched):
                of_index.append(one)
                if contexts is not None:
                    beside = contexts.beside(with_context_scores(one, documents, truth))
                    quality.append(evaluation.retrieval_quality(beside, since, dead))
                    slices.append(retrieval_slices(one, questions, since))
            found = pl.concat(of_index)
            if counts:
                scores += of_index
                compared.append(retrieval_comparisons(found, since))
            if before is not None:
                same = asked_the_same(questions, truth, *before[1:])
                changes.append(retrieval_changes(before[0], found, same, since))
            before = found, questions, truth
        for index in last.tail(1).iter_rows(named=True):
            drafts = self._warehouse.rows("rag.drafted_queries", system=system)
            questions = drafts.unique("query_id")
            searched = self._searched(system, index, questions["query"].to_list(), asked)
            for one, _, _ in _scored(system, index, questions, drafts, searched):
                slices.append(drafts_slice(one, index["valid_from"]))
        return Found(*map(pl.concat, (scores, quality, compared, changes, slices)))

    def scores(
        self, system: str, index: Row, at: datetime, asked: "Asked | None" = None
    ) -> list[pl.DataFrame]:
        """Return the retrieval_scores of one index by ranker.

        Args:
            system: AI system.
            index: a row of `rag.index_versions`.
            at: the known queries in force at this moment are asked.
            asked: vectors of questions that were asked before.
        """
        questions, truth = self._in_force(system, at)
        searched = self._searched(system, index, questions["query"].to_list(), asked)
        return [one for one, _, _ in _scored(system, index, questions, truth, searched)]

    def _in_force(self, system: str, at: datetime) -> tuple[pl.DataFrame, pl.DataFrame]:
        rows = self._warehouse.rows
        known, judged = rows("rag.known_queries", system=system), rows("rag.judgements", system=system)
        return in_force(known, judged, at)

    def rankings(
        self, system: str, index: Row, queries: Sequence[str], asked: "Asked | None" = None
    ) -> dict[str, list[ranking.Ranking]]:
        """Return by ranker the documents an index finds for each query, best first."""
        return self._searched(system, index, queries, asked).rankings("document", RANKING_DEPTH)

    def _searched(
        self, system: str, index: Row, queries: Sequence[str], asked: "Asked | None"
    ) -> SearchedIndex:
        version, rows = str(index["embedding_version"]), self._warehouse.rows
        places = rows("rag.index_chunks", system=system, index_version=str(index["index_version"]))
        texts = rows("rag.chunks", system=system).select("chunk_id", "text")
        corpus = places.select("document", "chunk_id").unique().sort("document", "chunk_id")
        corpus = corpus.join(texts, on="chunk_id", maintain_order="left")
        vectors = (asked or Asked(self._recipes, system)).vectors(version, queries) if queries else None
        needed = [] if vectors is None else corpus["chunk_id"].unique().to_list()
        stored = self._warehouse.read(_VECTORS, [version, needed])
        return SearchedIndex(corpus, stored, queries, vectors)


def _scored(
    system: str, index: Row, questions: pl.DataFrame, truth: pl.DataFrame, searched: SearchedIndex
) -> list[tuple[pl.DataFrame, int, dict[str, list[str]]]]:
    """Return by ranker the scores, the dead judgements and the documents found for each query."""
    if questions.is_empty():
        return []
    indexed = searched.corpus["document"].unique().to_list()
    dead = evaluation.dead_judgements(truth, indexed)
    scored = []
    for ranker, rankings in searched.rankings("document", RANKING_DEPTH).items():
        named = {q: [d for d, _ in r] for q, r in zip(questions["query_id"], rankings, strict=True)}
        version = str(index["index_version"])
        one = evaluation.retrieval_scores(system, version, ranker, named, truth, indexed)
        scored.append((one, dead, named))
    return scored


@dataclass(frozen=True)
class Contexts:
    """The texts found for the queries of an index, by ranker and query, and those that hold the answer."""

    found: Mapping[str, Mapping[str, list[str]]]
    reference: Mapping[str, list[str]]

    @classmethod
    def of(cls, searched: SearchedIndex, questions: pl.DataFrame, truth: pl.DataFrame) -> "Contexts":
        """Return the contexts of an index; nothing is searched where no chunk holds an answer."""
        reference = reference_contexts(questions, truth, searched.corpus)
        texts = searched.contexts(CONTEXTS) if reference else {}
        ids = questions["query_id"].to_list()
        return cls({ranker: dict(zip(ids, found, strict=True)) for ranker, found in texts.items()}, reference)

    def beside(self, scores: pl.DataFrame) -> pl.DataFrame:
        """Return the scores of one ranker with ragas's text-based context metrics of the first 5 chunks."""
        if scores.is_empty() or not self.reference:
            return scores
        asked = {q: self.reference[q] for q in scores["query_id"] if q in self.reference}
        return _with(scores, text_context_scores(self.found[scores["ranker"][0]], asked))


def with_context_scores(
    scores: pl.DataFrame, found: Mapping[str, Sequence[str]], judgements: pl.DataFrame
) -> pl.DataFrame:
    """Return scores with ragas's ID-based context metrics of the first 5 documents beside them.

    Ragas divides precision by what was found and not by 5, and counts documents that are gone as missed.
    """
    right = judgements.filter(pl.col("grade") > 0).group_by("query_id").agg("document")
    truth = dict(right.filter(pl.col("query_id").is_in(scores["query_id"].to_list())).sort("query_id").rows())
    first = {query: list(found[query][:CONTEXTS]) for query in truth}
    return _with(scores, context_scores(first, truth))


def _with(scores: pl.DataFrame, found: Mapping[str, Mapping[str, float]]) -> pl.DataFrame:
    return scores.with_columns(
        pl.col("query_id")
        .replace_strict(values, default=None, return_dtype=pl.Float64)
        .alias(f"ragas_{metric}")
        for metric, values in found.items()
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
