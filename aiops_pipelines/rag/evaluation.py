"""Retrieval quality on known queries: the classic measures of ranked retrieval, as trec_eval defines them.

Rankings come from `ranking` or a resource, judgements from `known_queries`; comparing versions is drift's
work. Definitions: C. Buckley, trec_eval (P_5, recall_5, success_5, recip_rank, ndcg_cut_10); gain and
discount after K. Järvelin and J. Kekäläinen, "Cumulated gain-based evaluation of IR techniques", ACM TOIS
20(4), 2002.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

METRICS = ("precision_at_5", "recall_at_5", "hit_at_5", "reciprocal_rank", "ndcg_at_10")
SCORES = pl.Schema(
    {
        "system": pl.String(),
        "index_version": pl.String(),
        "ranker": pl.String(),
        "query_id": pl.String(),
        **dict.fromkeys(METRICS, pl.Float64()),
    }
)
QUALITY = pl.Schema(
    {
        "system": pl.String(),
        "index_version": pl.String(),
        "valid_from": pl.Datetime("us", "UTC"),
        "ranker": pl.String(),
        "metric": pl.String(),
        "mean": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
        "queries": pl.Int64(),
        "dead_judgements": pl.Int64(),
    }
)
_RESAMPLES = 2_000
_SEED = 20_260_601


def precision(ranking: Sequence[str], grades: Mapping[str, int], k: int = 5) -> float:
    """Return the share of the first k places held by relevant documents.

    Three of five give 0.6. Relevant means a grade of 1 or more; a place left empty counts as irrelevant.
    """
    return _found(ranking, grades, k) / k


def recall(ranking: Sequence[str], grades: Mapping[str, int], k: int = 5) -> float:
    """Return the share of all relevant documents that stand in the first k places: 1 of 2 gives 0.5.

    0 when no document is relevant, as in trec_eval.
    """
    return _found(ranking, grades, k) / max(1, sum(grade > 0 for grade in grades.values()))


def hit(ranking: Sequence[str], grades: Mapping[str, int], k: int = 5) -> float:
    """Return 1 when a relevant document stands in the first k places, else 0."""
    return float(_found(ranking, grades, k) > 0)


def reciprocal_rank(ranking: Sequence[str], grades: Mapping[str, int], k: int = 10) -> float:
    """Return 1 / rank of the first relevant document; third place gives 1/3.

    0 when there is none in the first k.
    """
    return next(
        (1 / rank for rank, document in enumerate(ranking[:k], start=1) if grades.get(document, 0) > 0), 0.0
    )


def ndcg(ranking: Sequence[str], grades: Mapping[str, int], k: int = 10) -> float:
    """Return the discounted cumulative gain of the first k over that of the ideal order.

    The gain is the grade itself (linear, as in trec_eval), the discount log2(rank + 1). Grades a=2, b=1
    ranked b, x, a: (1/1 + 2/2) / (2/1 + 1/log2(3)) = 2 / 2.6309 = 0.7602. A grade below 0 gains nothing, and
    without a relevant document it is 0, as in trec_eval.
    """
    ideal = _gain(sorted(grades.values(), reverse=True)[:k])
    return _gain([grades.get(document, 0) for document in ranking[:k]]) / ideal if ideal else 0.0


def retrieval_scores(
    system: str,
    index_version: str,
    ranker: str,
    rankings: Mapping[str, Sequence[str]],
    judgements: pl.DataFrame,
    indexed: Collection[str],
) -> pl.DataFrame:
    """Return one row of measures per known query that has a relevant document in the index.

    Queries without one are left out, never scored 0: the index cannot answer them, whatever the ranker does.

    Args:
        system: AI system.
        index_version: index that was searched.
        ranker: dense or bm25.
        rankings: documents per query id, best first, each document once.
        judgements: columns query_id, document and grade, in force for this index.
        indexed: the documents of the index.

    Raises:
        ValueError: a query with live judgements has no ranking.
    """
    rows = []
    for query_id, grades in live_judgements(judgements, indexed).items():
        if query_id not in rankings:
            raise ValueError(
                f"Known query {query_id} was not asked; rank every query that has live judgements."
            )
        ranking = rankings[query_id]
        values = [measure(ranking, grades) for measure in (precision, recall, hit, reciprocal_rank, ndcg)]
        rows.append((system, index_version, ranker, query_id, *values))
    return pl.DataFrame(rows, schema=SCORES, orient="row")


def live_judgements(judgements: pl.DataFrame, indexed: Collection[str]) -> dict[str, dict[str, int]]:
    """Return grades by document by query: indexed documents, queries with a grade above 0 among them."""
    alive: dict[str, dict[str, int]] = {}
    for query_id, document, grade in (
        judgements.select("query_id", "document", "grade").sort("query_id").iter_rows()
    ):
        if document in indexed:
            alive.setdefault(query_id, {})[document] = grade
    return {query_id: grades for query_id, grades in alive.items() if any(grades.values())}


def unanswerable(known: pl.DataFrame, judgements: pl.DataFrame, indexed: Collection[str]) -> list[str]:
    """Return the ids of known queries that no indexed document answers: the ones left out of every mean."""
    return sorted(set(known["query_id"]) - live_judgements(judgements, indexed).keys())


def dead_judgements(judgements: pl.DataFrame, indexed: Collection[str]) -> int:
    """Return how many judgements name a document that is not in the index."""
    return sum(document not in indexed for document in judgements["document"])


def retrieval_quality(scores: pl.DataFrame, valid_from: datetime, dead: int) -> pl.DataFrame:
    """Return one row per measure: its mean over queries and a 95 % interval.

    Args:
        scores: rows of `retrieval_scores` of one index version and ranker; no rows give no means.
        valid_from: when the index's corpus revision took effect.
        dead: judgements whose document is not in the index.
    """
    if scores.is_empty():
        return pl.DataFrame(schema=QUALITY)
    key = scores.row(0)[:3]
    rows = []
    for metric in METRICS:
        values = scores[metric].to_numpy()
        low, high = interval(values)
        rows.append(
            (*key[:2], valid_from, key[2], metric, float(values.mean()), low, high, len(values), dead)
        )
    return pl.DataFrame(rows, schema=QUALITY, orient="row")


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % interval of the mean of values between 0 and 1.

    Percentile bootstrap over queries with a fixed seed. Queries that all score the same leave nothing to
    resample; then it is Wilson's interval (JASA 22, 1927), which holds for any values between 0 and 1 since
    their variance is at most mean * (1 - mean). Forty hits of forty give (0.912, 1).
    """
    if values.min() == values.max():
        return _wilson(float(values[0]), len(values))
    draws = np.random.default_rng(_SEED).integers(0, len(values), size=(_RESAMPLES, len(values)))
    low, high = np.quantile(values[draws].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def _wilson(mean: float, n: int, z: float = 1.959964) -> tuple[float, float]:
    centre = (mean + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * math.sqrt(mean * (1 - mean) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def _found(ranking: Sequence[str], grades: Mapping[str, int], k: int) -> int:
    return sum(grades.get(document, 0) > 0 for document in ranking[:k])


def _gain(grades: Sequence[int]) -> float:
    return sum(max(grade, 0) / math.log2(rank + 1) for rank, grade in enumerate(grades, start=1))
