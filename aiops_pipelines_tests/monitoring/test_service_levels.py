"""Rates and percentiles by hour, day and week: counts by hand, and hours that add up to their day."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from aiops_pipelines.monitoring.service_levels import call_rates, latency_percentiles
from aiops_pipelines.monitoring.sketch import bucket_of

FIRST, SECOND, NEXT_DAY = (datetime(2026, 6, *at, tzinfo=UTC) for at in ((1, 9), (1, 10), (2, 9)))
COLUMNS = ["system", "hour", "endpoint", "calls", "errors", "refusals", "blocked"]


def hours(*rows: tuple[object, ...]) -> pl.DataFrame:
    return pl.DataFrame([("s", *row) for row in rows], COLUMNS, orient="row")


def sketch_of(hour: datetime, latencies: np.ndarray) -> pl.DataFrame:
    buckets, counts = np.unique(bucket_of(latencies), return_counts=True)
    made = {"system": "s", "hour": hour, "endpoint": "chat", "metric": "latency"}
    return pl.DataFrame({"bucket": buckets, "calls": counts}).with_columns(
        pl.lit(value).alias(name) for name, value in made.items()
    )


def test_rates_add_up_over_hours_and_endpoints_and_have_exact_intervals() -> None:
    found = call_rates(hours((FIRST, "chat", 40, 2, 0, 1), (SECOND, "chat", 20, 1, 0, 0)))
    errors = found.filter(grain="day", endpoint="chat", outcome="error").row(0, named=True)
    assert (errors["calls"], errors["hits"], errors["share"]) == (60, 3, 0.05)
    assert (errors["low"], errors["high"]) == pytest.approx((0.0104, 0.1392), abs=1e-4)
    refused = found.filter(grain="week", endpoint="", outcome="refused").row(0, named=True)
    assert (refused["share"], refused["low"]) == (0, 0)
    assert refused["high"] == pytest.approx(1 - 0.025 ** (1 / 60))
    assert found.filter(grain="hour", endpoint="")["period_start"].unique().sort().to_list() == [
        FIRST,
        SECOND,
    ]


def test_a_period_without_calls_has_no_rate() -> None:
    found = call_rates(hours((FIRST, "chat", 40, 2, 0, 1), (NEXT_DAY, "search", 20, 1, 0, 0)))
    assert found.filter(grain="day", endpoint="chat")["period_start"].dt.day().unique().to_list() == [1]


def test_percentiles_of_a_day_are_those_of_all_its_calls_and_hours_with_too_few_say_so() -> None:
    random = np.random.default_rng(4)
    hourly = [random.lognormal(6.8, 0.4, n) for n in (300, 50)]
    sketch = pl.concat(sketch_of(hour, part) for hour, part in zip((FIRST, SECOND), hourly, strict=True))
    found = latency_percentiles(sketch).filter(endpoint="", percentile=0.95)
    day = found.filter(grain="day").row(0, named=True)
    truth = float(np.quantile(np.concatenate(hourly), 0.95, method="inverted_cdf"))
    assert day["calls"] == 350
    assert day["value_ms"] == pytest.approx(truth, rel=0.01)
    assert day["low_ms"] < truth < day["high_ms"]
    small = found.filter(grain="hour", period_start=SECOND).row(0, named=True)
    assert (small["value_ms"], small["calls"]) == (None, 50)
    assert "needs 72 calls" in small["reason"]
