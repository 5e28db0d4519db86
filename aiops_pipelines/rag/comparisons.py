"""Which way of ranking is better on the known queries of one index, with an interval and a verdict.

The scores come from `evaluation`; the tests are those of the weekly verdicts (`drift.comparison`).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import stdtrit

from aiops_pipelines.drift.comparison import CONFIDENCE, holm, paired, paired_p_value, unseen_change

PAIRS = (("dense", "bm25"), ("fusion", "bm25"), ("fusion", "dense"))
METRIC = "ndcg_at_10"
ALPHA = 1 - CONFIDENCE
NAMES = {"dense": "the embeddings", "bm25": "keyword search (BM25)", "fusion": "both together"}
COMPARISONS = pl.Schema(
    {
        "system": pl.String(),
        "index_version": pl.String(),
        "valid_from": pl.Datetime("us", "UTC"),
        "ranker": pl.String(),
        "against": pl.String(),
        "metric": pl.String(),
        "difference": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
        "p_value": pl.Float64(),
        "queries": pl.Int64(),
        "verdict": pl.String(),
        "reason": pl.String(),
    }
)


def retrieval_comparisons(scores: pl.DataFrame, valid_from: object) -> pl.DataFrame:
    """Return one row per pair of rankers that both ranked an index: their difference in nDCG@10, by query.

    p values are Holm's over the pairs of the index, so that a verdict of better or worse is false in at most
    5 % of indexes; each interval is a 95 % interval of its own pair.

    Args:
        scores: rows of `evaluation.SCORES` of one index version.
        valid_from: when the index's corpus revision took effect.
    """
    by_ranker = {
        str(ranker): rows.sort("query_id")[METRIC].to_numpy() for (ranker,), rows in scores.group_by("ranker")
    }
    pairs = [pair for pair in PAIRS if set(pair) <= by_ranker.keys() and len(by_ranker[pair[0]]) > 1]
    values = [(by_ranker[ranker], by_ranker[against]) for ranker, against in pairs]
    p_values = holm([two_sided_p(ours, theirs) for ours, theirs in values])
    rows = [
        {**row, "system": scores["system"][0], "index_version": scores["index_version"][0]}
        for row in _judged(pairs, values, p_values)
    ]
    return pl.DataFrame(rows, schema=COMPARISONS).with_columns(
        valid_from=pl.lit(valid_from, COMPARISONS["valid_from"])
    )


def two_sided_p(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    """Return the p of H0: no difference, twice the smaller one-sided p of `drift.comparison`."""
    return min(1.0, 2 * min(paired_p_value(ours, theirs, 0), paired_p_value(theirs, ours, 0)))


def difference(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return the mean difference of scores between 0 and 1 over the same queries, with its 95 % interval.

    Student's t on the differences: 0.5, 0.1, 0.3 against 0 give 0.3 and 0.3 -+ 4.303 * 0.2 / sqrt(3), that is
    -0.197 to 0.797. Where all differences are equal nothing is left to estimate an error from; then it is the
    share of queries that may differ unseen (`unseen_change`).
    """
    compared = paired(theirs, ours)
    mean, error = compared.week - compared.baseline, compared.standard_error(0)
    if np.ptp(ours - theirs) < 1e-12:
        half = unseen_change(len(ours), ALPHA)
    else:
        half = float(stdtrit(compared.df, 1 - ALPHA / 2)) * error
    return mean, max(-1.0, mean - half), min(1.0, mean + half)


def _judged(
    pairs: list[tuple[str, str]],
    values: list[tuple[NDArray[np.float64], NDArray[np.float64]]],
    p_values: list[float],
) -> Iterator[dict[str, Any]]:
    for (ranker, against), (ours, theirs), p in zip(pairs, values, p_values, strict=True):
        mean, low, high = difference(ours, theirs)
        verdict = "undecided" if p >= ALPHA else "better" if mean > 0 else "worse"
        row = {"ranker": ranker, "against": against, "metric": METRIC, "verdict": verdict, "p_value": p}
        row |= {"difference": mean, "low": low, "high": high, "queries": len(ours)}
        yield row | {"reason": _sentence(row)}


def _sentence(row: dict[str, Any]) -> str:
    ours, theirs = NAMES[row["ranker"]], NAMES[row["against"]]
    found = {
        "better": f"{ours} find more than {theirs}",
        "worse": f"{ours} find less than {theirs}",
        "undecided": f"no difference between {ours} and {theirs} is proven",
    }[row["verdict"]]
    interval = f"95 % interval {row['low']:+.3f} to {row['high']:+.3f}"
    return (
        f"{found[0].upper()}{found[1:]}: nDCG@10 {row['difference']:+.3f} ({interval}) on "
        f"{row['queries']} known queries."
    )
