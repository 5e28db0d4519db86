"""Scores answers without a language model: ragas metrics that compare strings and ids, and bigram support.

A model that judges besides is `model_judge`. What the scores mean for a week lives in `monitoring` and
`drift`.
"""

import asyncio
import math
import os
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from functools import partial
from importlib import import_module
from importlib.metadata import version
from typing import Any

import polars as pl

from aiops_pipelines.monitoring.quality import (
    BIGRAM_SUPPORT_JUDGE,
    JUDGED,
    Score,
    answer_bigram_support,
    judge_fingerprint,
)

METRICS = ("answer_bigram_support", "reference_similarity", "context_recall_id", "context_precision_id")
SAMPLES = pl.Schema(
    {
        "event_id": pl.String(),
        "answer": pl.String(),
        "contexts": pl.List(pl.String),
        "retrieved_documents": pl.List(pl.String),
        "reference_answer": pl.String(),
        "relevant_documents": pl.List(pl.String),
        "status": pl.String(),
    }
)
"""What the judge reads, one row per call; lists are null where nothing was logged or judged."""


class OfflineJudge:
    """Judge without a model: 400 calls take a tenth of a second, after about 5 s for importing ragas."""

    def score(self, samples: pl.DataFrame) -> pl.DataFrame:
        """Return event_id, metric, value, reason and judge, one row per sample and metric.

        - answer_bigram_support: see `monitoring.quality`.
        - reference_similarity: 1 - normalised Levenshtein distance of answer and reference answer (ragas).
        - context_recall_id, context_precision_id: share of the relevant documents that were retrieved, and of
          the retrieved documents that are relevant (ragas); each document counts once.
        """
        missing = [name for name in SAMPLES if name not in samples.columns]
        if missing:
            raise ValueError(f"The judge needs the columns {', '.join(missing)}.")
        if samples.is_empty():
            return pl.DataFrame(schema=JUDGED)
        rows = samples.select(pl.col(name).cast(dtype) for name, dtype in SAMPLES.items()).to_dicts()
        ragas = _Ragas()
        measured: list[list[Score]] = [
            [answer_bigram_support(row["answer"], _texts(row["contexts"]), row["status"]) for row in rows],
            *asyncio.run(ragas.score(rows)),
        ]
        judges = (BIGRAM_SUPPORT_JUDGE, *(ragas.fingerprint(metric) for metric in METRICS[1:]))
        return pl.DataFrame(
            [
                (row["event_id"], metric, *score, judge)
                for metric, judge, scores in zip(METRICS, judges, measured, strict=True)
                for row, score in zip(rows, scores, strict=True)
            ],
            schema=JUDGED,
            orient="row",
        ).sort("event_id", "metric", maintain_order=True)


def judge() -> OfflineJudge:
    """Return the judge without a model, for assets and commands alike."""
    return OfflineJudge()


def context_scores(
    retrieved: Mapping[str, Sequence[str]], relevant: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, float]]:
    """Return ragas's context_precision_id and context_recall_id by query, of lists of documents.

    Queries that ragas cannot score, such as an empty list for precision, are left out.
    """
    rows = [
        {"retrieved_documents": list(retrieved[query]), "relevant_documents": list(documents)}
        for query, documents in relevant.items()
    ]
    found = asyncio.run(_Ragas().score_contexts(rows)) if rows else [[], []]
    named = zip(("context_recall_id", "context_precision_id"), found, strict=True)
    return {metric: _by_query(list(relevant), scores) for metric, scores in named}


def text_context_scores(
    retrieved: Mapping[str, Sequence[str]], reference: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, float]]:
    """Return ragas's context_recall_text and context_precision_text by query, of texts, best first.

    Two texts are the same to ragas where their Levenshtein similarity is a half. Recall is the share of the
    reference texts that were retrieved, precision the average precision of the retrieved ones. Where nothing
    was retrieved recall is 0 and precision is left out.
    """
    asked = [query for query in reference if retrieved[query]]
    pairs = [(retrieved[query], reference[query]) for query in asked]
    recall, precision = asyncio.run(_Ragas().score_texts(pairs)) if pairs else ([], [])
    nothing = {query: 0.0 for query in reference if not retrieved[query]}
    return {
        "context_recall_text": nothing | _by_query(asked, recall),
        "context_precision_text": _by_query(asked, precision),
    }


def _by_query(asked: Sequence[str], scores: Sequence[Score]) -> dict[str, float]:
    return {query: value for query, (value, _) in zip(asked, scores, strict=True) if value is not None}


def _texts(contexts: Iterable[str | None] | None) -> list[str]:
    return [text for text in contexts or () if text is not None]


class _Ragas:
    """The ragas metrics, imported when the first sample is scored."""

    def __init__(self) -> None:
        os.environ["RAGAS_DO_NOT_TRACK"] = "true"  # read once, at the first event: before the import
        collections: Any = import_module("ragas.metrics.collections")
        recall: Any = import_module("ragas.metrics._context_recall")
        precision: Any = import_module("ragas.metrics._context_precision")
        self._sample: Any = import_module("ragas.dataset_schema").SingleTurnSample
        self._distance = collections.DistanceMeasure.LEVENSHTEIN
        self._similarity = collections.NonLLMStringSimilarity(distance_measure=self._distance)
        self._recall = recall.IDBasedContextRecall()
        self._precision = precision.IDBasedContextPrecision()
        same = _Alike(import_module("ragas.metrics._string").NonLLMStringSimilarity())
        self._recall_of_texts = recall.NonLLMContextRecall(_distance_measure=same)
        self._precision_of_texts = precision.NonLLMContextPrecisionWithReference(distance_measure=same)

    def fingerprint(self, metric: str) -> str:
        """Return the judge of one metric, with the versions of the libraries that compute it."""
        settings = (
            {"distance": self._distance.value} if metric == "reference_similarity" else {"ids": "document"}
        )
        return judge_fingerprint(
            metric, "1", settings, f"ragas {version('ragas')} rapidfuzz {version('rapidfuzz')}"
        )

    async def score(self, rows: list[dict[str, Any]]) -> list[list[Score]]:
        """Return the scores of every row, one list per metric, in one event loop."""
        return [list(await asyncio.gather(*map(self._similar, rows))), *await self.score_contexts(rows)]

    async def score_contexts(self, rows: list[dict[str, Any]]) -> list[list[Score]]:
        """Return the recall and the precision of the documents of every row."""
        recall, precision = partial(self._by_id, self._recall), partial(self._by_id, self._precision)
        return [list(await asyncio.gather(*map(f, rows))) for f in (recall, precision)]

    async def score_texts(
        self, pairs: Sequence[tuple[Sequence[str], Sequence[str]]]
    ) -> tuple[list[Score], list[Score]]:
        """Return recall and precision of each pair of retrieved and reference texts."""
        samples = [
            self._sample(retrieved_contexts=list(retrieved), reference_contexts=list(reference))
            for retrieved, reference in pairs
        ]
        metrics = (self._recall_of_texts, self._precision_of_texts)
        recall, precision = [
            [await _guarded(metric._single_turn_ascore(sample, callbacks=[])) for sample in samples]
            for metric in metrics
        ]
        return recall, precision

    async def _similar(self, row: dict[str, Any]) -> Score:
        if row["status"] not in ("ok", "refused"):
            return None, f"the call ended as {row['status']}: there is no answer to compare"
        if not (row["answer"] or "").strip():
            return None, "no answer was logged"
        if not (row["reference_answer"] or "").strip():
            return None, "there is no reference answer"
        return await _guarded(
            self._similarity.ascore(reference=row["reference_answer"], response=row["answer"])
        )

    async def _by_id(self, metric: Any, row: dict[str, Any]) -> Score:
        if row["retrieved_documents"] is None:
            return None, "retrieval was not logged"
        if None in row["retrieved_documents"]:
            return None, "the document of a retrieved chunk is not known"
        if not row["relevant_documents"]:
            return None, "no document is judged relevant"
        if not row["retrieved_documents"] and metric is self._precision:
            return None, "nothing was retrieved"
        sample = self._sample(
            retrieved_context_ids=row["retrieved_documents"], reference_context_ids=row["relevant_documents"]
        )
        # The public wrapper books a usage event, which leaves an id in the home folder even untracked.
        return await _guarded(metric._single_turn_ascore(sample, callbacks=[]))


class _Alike:
    """A measure of ragas without its public wrapper (see `_by_id`); each pair of texts is compared once."""

    def __init__(self, measure: Any):
        self._measure = measure
        self._known: dict[tuple[str, str], float] = {}

    async def single_turn_ascore(self, sample: Any, callbacks: Any) -> float:
        one, other = sorted((sample.reference, sample.response))
        if (one, other) not in self._known:
            self._known[one, other] = await self._measure._single_turn_ascore(sample, callbacks)
        return self._known[one, other]


async def _guarded(call: Awaitable[Any]) -> Score:
    """Return the metric's score, or why it has none: what ragas raises is a reason, not the week's end."""
    try:
        result = await call
    except Exception as error:
        return None, f"ragas raised {type(error).__name__}: {error}"
    value = float(getattr(result, "value", result))
    return (value, None) if math.isfinite(value) else (None, "ragas returned no number")
