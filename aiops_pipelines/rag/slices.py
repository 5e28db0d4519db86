"""Retrieval quality by tag, with what it takes to say that a tag is found worse; and drafts, apart from all.

The scores come from `evaluation`; whole index versions are compared there and in `comparisons`.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aiops_pipelines.drift.comparison import CONFIDENCE, holm
from aiops_pipelines.rag.evaluation import METRICS, interval

TESTED = "ndcg_at_10"
FEWEST_QUERIES = 10
TAG, DRAFTS = "tag", "drafts"
WORSE, AS_THE_REST, TOO_FEW, INFORMS = "worse", "as the rest", "too few", "informs"
PERMUTATIONS = 9_999
_SEED = 20_260_601
SLICES = pl.Schema(
    {
        "system": pl.String(),
        "index_version": pl.String(),
        "valid_from": pl.Datetime("us", "UTC"),
        "ranker": pl.String(),
        "kind": pl.String(),
        "slice": pl.String(),
        "metric": pl.String(),
        "mean": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
        "queries": pl.Int64(),
        "rest": pl.Float64(),
        "p_value": pl.Float64(),
        "verdict": pl.String(),
    }
)


def retrieval_slices(scores: pl.DataFrame, tags: pl.DataFrame, valid_from: datetime) -> pl.DataFrame:
    """Return one row per tag and measure: mean with 95 % interval, mean of the other queries, verdict.

    A tag is worse when its nDCG@10 is below that of the other queries beyond chance, p being Holm's over the
    tags that were tested: those of at least 10 queries, with 10 others.

    Args:
        scores: rows of `evaluation.SCORES` of one index version and ranker.
        tags: columns query_id and tags.
        valid_from: when the index's corpus revision took effect.
    """
    if scores.is_empty():
        return pl.DataFrame(schema=SLICES)
    rows = scores.join(tags.select("query_id", "tags"), on="query_id", how="left", maintain_order="left")
    names = sorted(rows["tags"].explode().drop_nulls().unique())
    members = np.array([rows["tags"].list.contains(name).fill_null(False).to_numpy() for name in names])
    p_values = _p_values(rows[TESTED].to_numpy(), members) if names else {}
    found = [row for at, name in enumerate(names) for row in _rows(rows, name, members[at], p_values.get(at))]
    return _frame(scores, found, TAG, valid_from)


def drafts_slice(scores: pl.DataFrame, valid_from: datetime) -> pl.DataFrame:
    """Return one row per measure over queries that were drafted and not signed off; it decides nothing."""
    if scores.is_empty():
        return pl.DataFrame(schema=SLICES)
    everything = np.ones(scores.height, dtype=np.bool_)
    rows = [row | {"verdict": INFORMS} for row in _rows(scores, "not signed off", everything, None)]
    return _frame(scores, rows, DRAFTS, valid_from)


def _rows(
    scores: pl.DataFrame, name: str, inside: NDArray[np.bool_], p_value: float | None
) -> Iterator[dict[str, Any]]:
    for metric in METRICS:
        values = scores[metric].to_numpy()
        low, high = interval(values[inside])
        row = {"slice": name, "metric": metric, "mean": float(values[inside].mean()), "low": low}
        row |= {"high": high, "queries": int(inside.sum()), "p_value": None, "verdict": INFORMS}
        row["rest"] = None if inside.all() else float(values[~inside].mean())
        if metric == TESTED:
            row |= {"p_value": p_value, "verdict": _verdict(p_value)}
        yield row


def _verdict(p_value: float | None) -> str:
    if p_value is None:
        return TOO_FEW
    return WORSE if p_value < 1 - CONFIDENCE else AS_THE_REST


def _p_values(values: NDArray[np.float64], members: NDArray[np.bool_]) -> dict[int, float]:
    """Return the adjusted one-sided p of each tag that can be tested: how often chance gives it less.

    Scores are dealt anew to the queries (Fisher 1935); p = (1 + deals with a mean at most as high) /
    (1 + deals). Scores 0, 0, 1, 1 and the first two tagged: one of six ways to deal reaches 0, p is about
    1/6.
    """
    sizes = members.sum(axis=1)
    tested = [at for at, n in enumerate(sizes) if min(n, len(values) - n) >= FEWEST_QUERIES]
    if not tested:
        return {}
    return dict(zip(tested, holm(list(dealt_p(values, members[tested]))), strict=True))


def dealt_p(values: NDArray[np.float64], members: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the one-sided p of each row of members, unadjusted."""
    deals = np.random.default_rng(_SEED).permuted(np.tile(values, (PERMUTATIONS, 1)), axis=1)
    sums = deals @ members.T.astype(np.float64)
    seen = members.astype(np.float64) @ values
    p_values: NDArray[np.float64] = (1 + (sums <= seen + 1e-9).sum(axis=0)) / (1 + PERMUTATIONS)
    return p_values


def _frame(scores: pl.DataFrame, rows: list[dict[str, Any]], kind: str, valid_from: datetime) -> pl.DataFrame:
    system, version, ranker = scores.row(0)[:3]
    key = {"system": system, "index_version": version, "ranker": ranker, "kind": kind}
    return pl.DataFrame([key | {"valid_from": valid_from} | row for row in rows], schema=SLICES)
