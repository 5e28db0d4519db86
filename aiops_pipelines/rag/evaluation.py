"""Retrieval quality on known queries: rows per query, means with intervals, slices by tag.

Rankings come from `ranking` or a resource, judgements from `known_queries`, the formulas are `metrics`, and
comparing versions and rankers is `comparisons`.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aiops_pipelines.rag.metrics import QRELS, judged, measures, ranked

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
    truth = live_judgements(judgements, indexed)
    if missing := sorted(truth.keys() - rankings.keys()):
        raise ValueError(
            f"Known query {missing[0]} was not asked; rank every query that has live judgements."
        )
    grades = [(query, name, grade) for query, row in truth.items() for name, grade in row.items()]
    qrels = pl.DataFrame(grades, schema=QRELS, orient="row")
    asked = pl.DataFrame({"query_id": list(truth)}, schema={"query_id": pl.String})
    found = measures(judged(ranked({query: rankings[query] for query in truth}), qrels))
    values = asked.join(found, on="query_id", how="left").fill_null(0.0)  # a ranking may be empty
    key = [pl.lit(system).alias("system"), pl.lit(index_version).alias("index_version")]
    return values.select(*key, pl.lit(ranker).alias("ranker"), "query_id", *METRICS).sort("query_id")


def live_judgements(judgements: pl.DataFrame, indexed: Collection[str]) -> dict[str, dict[str, int]]:
    """Return grades by document by query: indexed documents, queries with a grade above 0 among them."""
    alive: dict[str, dict[str, int]] = {}
    for query_id, document, grade in (
        judgements.select("query_id", "document", "grade").sort("query_id").iter_rows()
    ):
        if document in indexed:
            alive.setdefault(query_id, {})[document] = grade
    return {query_id: grades for query_id, grades in alive.items() if max(grades.values()) > 0}


def dead_judgements(judgements: pl.DataFrame, indexed: Collection[str]) -> int:
    """Return how many judgements name a document that is not in the index."""
    return sum(document not in indexed for document in judgements["document"])


def retrieval_quality(scores: pl.DataFrame, valid_from: datetime, dead: int) -> pl.DataFrame:
    """Return one row per measure: its mean over queries and a 95 % interval.

    Args:
        scores: rows of `retrieval_scores` of one index version and ranker, with a column for each further
            measure; no rows give no means.
        valid_from: when the index's corpus revision took effect.
        dead: judgements whose document is not in the index.
    """
    if scores.is_empty():
        return pl.DataFrame(schema=QUALITY)
    key, rows = scores.row(0)[:3], []
    for metric in (name for name in scores.columns if name not in SCORES or name in METRICS):
        values = scores[metric].drop_nulls().to_numpy()
        if not len(values):
            continue
        low, high = interval(values)
        rows.append(
            (*key[:2], valid_from, key[2], metric, float(values.mean()), low, high, len(values), dead)
        )
    return pl.DataFrame(rows, schema=QUALITY, orient="row")


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % interval of the mean of values between 0 and 1.

    Percentile bootstrap over queries with a fixed seed. Queries that all score the same leave nothing to
    resample; then it is Wilson's interval (JASA 22, 1927), which holds for any values between 0 and 1 since
    their variance is at most mean * (1 - mean). Forty hits of forty give (0.912, 1). Beyond 2,000 values it
    is the normal interval, which by then is the same.
    """
    if len(values) > _RESAMPLES and values.min() < values.max():
        mean, half = float(values.mean()), 1.959964 * float(values.std(ddof=1)) / math.sqrt(len(values))
        return max(0.0, mean - half), min(1.0, mean + half)
    if values.min() == values.max():
        return _wilson(float(values[0]), len(values))
    draws = np.random.default_rng(_SEED).integers(0, len(values), size=(_RESAMPLES, len(values)))
    low, high = np.quantile(values[draws].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def _wilson(mean: float, n: int, z: float = 1.959964) -> tuple[float, float]:
    centre = (mean + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * math.sqrt(mean * (1 - mean) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return max(0.0, centre - half), min(1.0, centre + half)
