"""Percentiles out of counts by bucket, which add up over hours as latencies themselves never could.

The buckets are DDSketch's (Masson, Rim and Lee, PVLDB 12, 2019): bucket b holds the latencies above
gamma^(b-1) and up to gamma^b milliseconds, gamma = (1 + a) / (1 - a). Its value 2 gamma^b / (gamma + 1) is
off by at most the share a of any latency in it. Bucket 0 holds everything up to 1 ms. They are filled in
`dbt_project/models/monitoring/latency_sketch.sql` with the same constants.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from aiops_pipelines.monitoring.intervals import calls_needed, percentile_ranks

RELATIVE_ERROR = 0.01
GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
QUANTILES = (0.5, 0.95, 0.99)


def bucket_of(latency_ms: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return the bucket of each latency: 1 ms is in 0, 100 ms in 231, 1,000 ms in 346."""
    found = np.ceil(np.log(np.maximum(np.asarray(latency_ms, dtype=np.float64), 1)) / np.log(GAMMA))
    return np.asarray(found, dtype=np.int64)


def value_of(bucket: int) -> float:
    """Return the latency in ms that a bucket stands for, within 1 % of all it holds: 346 -> 1,002.4."""
    return float(2 * GAMMA**bucket / (GAMMA + 1))


def merged(sketch: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Return the sketch of larger groups: counts of the same bucket add up, exactly."""
    return sketch.group_by(*keys, "bucket").agg(pl.col("calls").sum())


def percentiles(sketch: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Return keys, percentile, calls, value_ms and its 95 % interval low_ms to high_ms, or a reason.

    The interval's ends are those of order statistics, moved out to the edges of their buckets, so that
    bucketing never narrows it. With fewer calls than an interval needs there is no value but a reason.

    Args:
        sketch: keys, bucket and calls (at least 1); rows of the same group and bucket add up.
        keys: what the groups are.
    """
    # grouping keeps the order of rows within a group, so the keys, which are texts, need no sorting
    groups = sketch.sort("bucket").group_by(keys).agg("bucket", "calls")
    last = groups["bucket"].list.len().to_numpy().astype(np.int64).cumsum() - 1
    buckets = groups["bucket"].explode().to_numpy()
    up_to = groups["calls"].explode().to_numpy().cumsum()
    before = np.concatenate([[0], up_to[last][:-1]]).astype(np.int64)[: len(last)]
    sizes, of_size = np.unique(up_to[last] - before, return_inverse=True)
    found = []
    for quantile in QUANTILES:
        ranks = (rank[of_size] for rank in percentile_ranks(sizes, quantile))
        places = (np.searchsorted(up_to, before + np.maximum(rank, 1)) for rank in ranks)
        at = dict(zip(("middle", "lowest", "highest"), (buckets[place] for place in places), strict=True))
        ranked = groups.select(keys).hstack(pl.DataFrame({"calls": sizes[of_size], **at}))
        found.append(_percentile(ranked, keys, quantile))
    return pl.concat(found).sort(*keys, "percentile")


def _percentile(ranked: pl.DataFrame, keys: Sequence[str], quantile: float) -> pl.DataFrame:
    """Return a percentile of groups, given the buckets of its rank and of its interval's ends."""
    needed = calls_needed(quantile)
    name = f"{quantile * 100:.0f}"
    enough = pl.col("calls") >= needed
    too_few = pl.format(
        f"the {name}th percentile needs {needed} calls to have an interval; {{}} logged a time", "calls"
    )
    return ranked.select(
        *keys,
        pl.lit(quantile).alias("percentile"),
        "calls",
        pl.when(enough).then(_upper_edge("middle") * 2 / (GAMMA + 1)).alias("value_ms"),
        pl.when(enough).then(_lower_edge("lowest")).alias("low_ms"),
        pl.when(enough).then(_upper_edge("highest")).alias("high_ms"),
        pl.when(~enough).then(too_few).alias("reason"),
    )


def _upper_edge(bucket: str) -> pl.Expr:
    return pl.lit(GAMMA).pow(pl.col(bucket))


def _lower_edge(bucket: str) -> pl.Expr:
    return pl.when(pl.col(bucket) > 0).then(_upper_edge(bucket) / GAMMA).otherwise(0.0)
