"""Shares of failed, refused and blocked calls and percentiles of latency, by hour, day and week.

Each has its 95 % interval. Hours carry counts and sketches; longer periods are their sums.
"""

import polars as pl

from aiops_pipelines.monitoring.intervals import share_interval
from aiops_pipelines.monitoring.sketch import merged, percentiles

GRAINS = {"hour": "1h", "day": "1d", "week": "1w"}
OUTCOMES = {"errors": "error", "refusals": "refused", "blocked": "blocked"}
ALL_ENDPOINTS = ""

CALL_RATES = pl.Schema(
    {
        "system": pl.String(),
        "grain": pl.String(),
        "period_start": pl.Datetime("us", "UTC"),
        "endpoint": pl.String(),
        "outcome": pl.String(),
        "calls": pl.Int64(),
        "hits": pl.Int64(),
        "share": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
    }
)
LATENCY_PERCENTILES = pl.Schema(
    {
        "system": pl.String(),
        "grain": pl.String(),
        "period_start": pl.Datetime("us", "UTC"),
        "endpoint": pl.String(),
        "metric": pl.String(),
        "percentile": pl.Float64(),
        "calls": pl.Int64(),
        "value_ms": pl.Float64(),
        "low_ms": pl.Float64(),
        "high_ms": pl.Float64(),
        "reason": pl.String(),
    }
)


def call_rates(hourly: pl.DataFrame) -> pl.DataFrame:
    """Return monitoring.call_rates: how calls ended, each share with its exact 95 % interval.

    Failed, refused and blocked calls are three outcomes and no call has two of them. A period without calls
    has no row: there is nothing to have a share of.

    Args:
        hourly: monitoring.hourly_traffic, any systems.
    """
    keys = ["system", "grain", "period_start", "endpoint"]
    counts = pl.concat(part.group_by(keys).agg(pl.col("calls", *OUTCOMES).sum()) for part in _periods(hourly))
    long = counts.unpivot(list(OUTCOMES), index=[*keys, "calls"], variable_name="outcome", value_name="hits")
    low, high = share_interval(long["hits"].to_numpy(), long["calls"].to_numpy())
    return (
        long.with_columns(
            pl.col("outcome").replace_strict(OUTCOMES, return_dtype=pl.String),
            share=pl.col("hits") / pl.col("calls"),
            low=pl.Series(low),
            high=pl.Series(high),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in CALL_RATES.items())
        .sort(*keys, "outcome")
    )


def latency_percentiles(sketch: pl.DataFrame) -> pl.DataFrame:
    """Return monitoring.latency_percentiles: p50, p95 and p99 with intervals, or why there are none.

    Args:
        sketch: monitoring.latency_sketch, any systems.
    """
    keys = ["system", "period_start", "endpoint", "metric"]
    part, found = sketch.rename({"hour": "period_start"}), []
    for grain, every in GRAINS.items():
        if grain != "hour":  # days are put together from hours, weeks from days
            part = merged(part.with_columns(pl.col("period_start").dt.truncate(every)), keys)
        for rows in (part, part.with_columns(pl.lit(ALL_ENDPOINTS).alias("endpoint"))):
            found.append(percentiles(rows, keys).with_columns(pl.lit(grain).alias("grain")))
    return pl.concat(found).select(pl.col(name).cast(dtype) for name, dtype in LATENCY_PERCENTILES.items())


def _periods(hourly: pl.DataFrame) -> list[pl.DataFrame]:
    """Return the rows once per grain and again for all endpoints together."""
    parts = []
    for grain, every in GRAINS.items():
        part = hourly.with_columns(
            pl.lit(grain).alias("grain"), pl.col("hour").dt.truncate(every).alias("period_start")
        )
        parts += [part, part.with_columns(pl.lit(ALL_ENDPOINTS).alias("endpoint"))]
    return parts
