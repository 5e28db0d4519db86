"""Made-up streams of a service: days with counts and latencies, stable or with something that goes wrong."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl

from aiops_pipelines.monitoring.alerts import alert_readings, alerts, baselines_of
from aiops_pipelines.monitoring.daily_alerts import Day
from aiops_pipelines.monitoring.service_baseline import freeze_service
from aiops_pipelines.monitoring.sketch import bucket_of
from aiops_pipelines.periods import midnight
from aiops_pipelines.systems import Baseline, Limits

MONDAY = date(2026, 6, 1)
NO_BINS = pl.DataFrame(schema={"start": pl.Datetime("us", "UTC"), "calls": pl.Int64, "errors": pl.Int64})
WEEKEND = 0.4
"""Calls of a weekend day over those of a working day."""
Change = Callable[[Day, np.random.Generator], Day]


def day_of(
    number: int,
    random: np.random.Generator,
    calls: float,
    errors: float = 0.006,
    refusals: float = 0.003,
    slow: float = 1,
    blank: float = 0,
) -> Day:
    """Return one day: Poisson calls around a level that varies by 15 %, log-normal latency with a median of 0.9 s."""
    day = MONDAY + timedelta(number)
    level = calls * (WEEKEND if day.weekday() > 4 else 1) * random.lognormal(0, 0.15)
    n = int(random.poisson(level))
    latencies = slow * np.exp(random.normal(6.8, 0.4, n))
    buckets, counts = np.unique(bucket_of(latencies), return_counts=True)
    failed = int(random.binomial(n, errors))
    refused = int(random.binomial(n - failed, refusals))
    silent = int(random.binomial(n - failed - refused, blank)) if blank else 0
    return Day(day, n, failed, refused, buckets, counts, silent)


def stream(
    days: int, calls: float, seed: int, changed: dict[int, dict[str, float]] | None = None
) -> dict[date, Day]:
    """Return a stream of days; `changed` gives some days other parameters, and a day of no calls is left out."""
    random = np.random.default_rng(seed)
    made = [day_of(n, random, **{"calls": calls, **(changed or {}).get(n, {})}) for n in range(days)]
    return {day.day: day for day in made if day.calls}


def frames(days: dict[date, Day]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return hourly_traffic and latency_sketch of a stream, all of a day in its first hour."""
    counts = [
        ("s", midnight(d.day), "chat", d.calls, d.errors, d.refusals, 0, d.calls - d.errors - d.refusals - d.blank, d.blank, d.probes)
        for d in days.values()
    ]  # fmt: skip
    names = [
        "system",
        "hour",
        "endpoint",
        "calls",
        "errors",
        "refusals",
        "blocked",
        "answered",
        "unanswered",
        "probes",
    ]
    cells = [
        ("s", midnight(d.day), "chat", "latency", int(b), int(c))
        for d in days.values()
        for b, c in zip(d.buckets, d.in_bucket, strict=True)
    ]
    keys = {"system": pl.String, "hour": pl.Datetime("us", "UTC"), "endpoint": pl.String, "metric": pl.String}
    sketch = pl.DataFrame(cells, keys | {"bucket": pl.Int64, "calls": pl.Int64}, orient="row")
    return pl.DataFrame(counts, names, orient="row"), sketch


def read(days: dict[date, Day], last: int, limits: Limits | None = None) -> pl.DataFrame:
    """Return alert_readings up to the end of day `last`, against the baseline of the first four weeks."""
    now = datetime(2026, 6, 1, tzinfo=UTC) + timedelta(days=last + 1)
    base = baselines_of(freeze_service(*frames(days), Baseline(minimum_rows=1), now))
    return alert_readings("s", days, NO_BINS, base, limits or Limits(), now)


def opened(readings: pl.DataFrame) -> list[tuple[str, date]]:
    """Return rule and first day of each alert."""
    found = alerts(readings).filter(pl.col("opened_at").is_not_null()).unique(["rule", "opened_at"])
    pairs = found.sort("opened_at", "rule").select("rule", "opened_at").iter_rows()
    return [(rule, (at - timedelta(days=1)).date()) for rule, at in pairs]
