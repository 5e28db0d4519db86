"""The sketch: what it is off by, that hours add up, and that its intervals hold the truth."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.monitoring.intervals import percentile_ranks
from aiops_pipelines.monitoring.sketch import (
    GAMMA,
    QUANTILES,
    RELATIVE_ERROR,
    bucket_of,
    merged,
    percentiles,
    value_of,
)

times = st.lists(st.integers(0, 600_000), min_size=1, max_size=400)


def sketch_of(latencies: list[int], hour: int = 0) -> pl.DataFrame:
    buckets = pl.DataFrame(
        {"hour": hour, "bucket": bucket_of(latencies)}, schema_overrides={"hour": pl.Int64}
    )
    return buckets.group_by("hour", "bucket").agg(pl.len().cast(pl.Int64).alias("calls"))


def whole(sketch: pl.DataFrame) -> pl.DataFrame:
    return percentiles(merged(sketch.with_columns(all=0), ["all"]), ["all"])


def test_buckets_by_hand() -> None:
    assert bucket_of([0, 1, 100, 1000, 1005]).tolist() == [0, 0, 231, 346, 346]
    assert value_of(346) == pytest.approx(1002.43, abs=0.01)


@given(st.floats(1, 1e8))
def test_a_bucket_is_within_one_percent_of_all_it_holds(latency: float) -> None:
    bucket = int(bucket_of([latency])[0])
    assert abs(value_of(bucket) / latency - 1) <= RELATIVE_ERROR * (1 + 1e-9)
    assert GAMMA ** (bucket - 1) * (1 - 1e-9) <= latency <= GAMMA**bucket * (1 + 1e-9)


@given(st.lists(times, min_size=1, max_size=6))
def test_hours_merged_are_the_sketch_of_all_calls(hours: list[list[int]]) -> None:
    apart = pl.concat(sketch_of(latencies, hour) for hour, latencies in enumerate(hours))
    together = sketch_of([latency for latencies in hours for latency in latencies])
    assert merged(apart, []).sort("bucket").equals(merged(together, []).sort("bucket"))


@given(st.lists(times, min_size=1, max_size=6))
def test_merged_percentiles_are_within_one_percent_of_the_direct_ones(hours: list[list[int]]) -> None:
    found = whole(pl.concat(sketch_of(latencies, hour) for hour, latencies in enumerate(hours)))
    ordered = np.sort([latency for latencies in hours for latency in latencies])
    for row in found.iter_rows(named=True):
        (middle,), (low,), (high,) = percentile_ranks([len(ordered)], row["percentile"])
        if row["reason"] is None:
            exact = max(int(ordered[middle - 1]), 1)  # up to 1 ms is one bucket
            assert abs(row["value_ms"] / exact - 1) <= RELATIVE_ERROR * (1 + 1e-9)
            assert row["low_ms"] <= ordered[low - 1] * (1 + 1e-9)  # never narrower than the calls themselves
            assert row["high_ms"] >= ordered[high - 1] * (1 - 1e-9)
        else:
            assert (row["value_ms"], row["low_ms"], row["high_ms"]) == (None, None, None)


def test_too_few_calls_have_no_value_but_a_reason() -> None:
    rows = whole(sketch_of(list(range(100, 171)))).rows(named=True)  # 71 calls
    assert [row["value_ms"] is None for row in rows] == [False, True, True]
    assert rows[1]["reason"] == "the 95th percentile needs 72 calls to have an interval; 71 logged a time"
    assert whole(sketch_of(list(range(100, 172)))).rows(named=True)[1]["reason"] is None


def shapes(random: np.random.Generator, size: int) -> dict[str, tuple[np.ndarray, dict[float, float]]]:
    """Latencies of three distributions with their true percentiles: skewed, very skewed, and of two humps."""
    z = {0.5: 0.0, 0.95: 1.6448536, 0.99: 2.3263479}
    slow = random.random(size) < 0.2
    return {
        "lognormal": (
            np.exp(random.normal(7, 0.5, size)),
            {q: float(np.exp(7 + 0.5 * z[q])) for q in QUANTILES},
        ),
        "pareto": (
            500 * (1 - random.random(size)) ** (-1 / 1.5),
            {q: 500 * (1 - q) ** (-1 / 1.5) for q in QUANTILES},
        ),
        "two humps": (
            np.where(slow, random.uniform(4000, 8000, size), random.uniform(200, 1000, size)),
            {0.5: 200 + 800 * 0.625, 0.95: 4000 + 4000 * 0.75, 0.99: 4000 + 4000 * 0.95},
        ),
    }


def coverage(worlds: int, size: int) -> dict[tuple[str, float], float]:
    random = np.random.default_rng(20260601)
    hits: dict[tuple[str, float], list[bool]] = {}
    for _ in range(worlds):
        for name, (latencies, truth) in shapes(random, size).items():
            for row in whole(sketch_of(latencies)).iter_rows(named=True):
                if row["reason"] is None:
                    q = row["percentile"]
                    hits.setdefault((name, q), []).append(row["low_ms"] <= truth[q] <= row["high_ms"])
    return {key: float(np.mean(found)) for key, found in hits.items()}


def test_intervals_hold_the_true_percentile_in_95_of_100_worlds() -> None:
    """150 worlds: with a true coverage of 95 % no more than 89 % come once in 500 sweeps (binomial)."""
    found = coverage(150, 400)
    assert len(found) == 9
    assert min(found.values()) > 0.89


@pytest.mark.slow
@pytest.mark.parametrize("size", [72, 368, 1000, 5000])
def test_intervals_hold_the_true_percentile_at_every_size(size: int) -> None:
    assert min(coverage(4000, size).values()) > 0.94
