"""The frozen baseline of the service: how often calls failed, how slow they were and how many came, before.

Frozen once from the first complete weeks with calls, like the baseline of quality, and never recomputed.
"""

from datetime import date, datetime, timedelta

import polars as pl

from aiops_pipelines.monitoring.baseline import BaselineRefusedError
from aiops_pipelines.monitoring.intervals import share_interval
from aiops_pipelines.monitoring.service_levels import ALL_ENDPOINTS
from aiops_pipelines.monitoring.sketch import merged, percentiles
from aiops_pipelines.periods import midnight
from aiops_pipelines.systems import Baseline
from aiops_pipelines.wording import some

SERVICE_BASELINES = pl.Schema(
    {
        "system": pl.String(),
        "measure": pl.String(),
        "first_week": pl.Date(),
        "last_week": pl.Date(),
        "calls": pl.Int64(),
        "hits": pl.Int64(),
        "value": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
        "frozen_at": pl.Datetime("us", "UTC"),
    }
)
WEEKDAYS = 7
LATE = timedelta(days=7)
"""So long a week waits for a call after its end, which tells that its last calls have arrived as well."""


def freeze_service(
    hourly: pl.DataFrame,
    sketch: pl.DataFrame,
    rule: Baseline,
    now: datetime,
    first_week: date = date.min,
) -> pl.DataFrame:
    """Return monitoring.service_baselines of one system.

    Measures are error_share and refusal_share, latency_p95_ms (left out where the log has too few times), the
    mean calls of each weekday without known queries (production_1, Monday, to production_7) and
    production_dispersion: by how much days of one weekday vary more than chance would have them vary,
    Pearson's chi square over its degrees of freedom (McCullagh and Nelder, Generalized Linear Models, 1989,
    section 4.5); 1 at least.

    Args:
        hourly: monitoring.hourly_traffic of one system.
        sketch: monitoring.latency_sketch of that system.
        rule: weeks and minimum_rows, from the system's file.
        now: UTC; weeks that are not over by then, or whose last calls may be on their way, do not count.
        first_week: Monday of the first week to be taken.

    Raises:
        BaselineRefusedError: too few complete weeks or too few calls in them.
    """
    in_weeks = hourly.with_columns(week=pl.col("hour").dt.truncate("1w").dt.date())
    begins = in_weeks.select(pl.col("hour").min().dt.date()).item()  # a week that lacks days has fewer calls
    seen = (week for week in sorted(in_weeks["week"].unique()) if week >= max(begins, first_week))
    last: datetime = hourly["hour"].max() or now  # type: ignore[assignment]
    arrived = min(now, max(last, now - LATE))
    over = [week for week in seen if midnight(week + timedelta(days=7)) <= arrived]
    if len(over) < rule.weeks:
        raise BaselineRefusedError(
            f"{some(len(over), 'complete week')} with calls so far; alerts relative to a baseline need "
            f"{rule.weeks}. Wait, or lower baseline.weeks."
        )
    weeks = over[: rule.weeks]
    inside = in_weeks.filter(pl.col("week").is_in(weeks))
    calls = int(inside["calls"].sum())
    if calls < rule.minimum_rows:
        raise BaselineRefusedError(
            f"The first {rule.weeks} weeks have {calls} calls; alerts relative to a baseline need "
            f"{rule.minimum_rows}. Lower baseline.minimum_rows if that is all there is."
        )
    timed = sketch.filter(pl.col("hour").dt.truncate("1w").dt.date().is_in(weeks))
    rows = [*_shares(inside, calls), *_latency(timed), *_volume(inside, len(weeks))]
    columns = ("measure", "calls", "hits", "value", "low", "high")
    measured = pl.DataFrame(rows, {name: SERVICE_BASELINES[name] for name in columns}, orient="row")
    return measured.with_columns(
        system=pl.lit(inside["system"][0]),
        first_week=pl.lit(weeks[0]),
        last_week=pl.lit(weeks[-1]),
        frozen_at=pl.lit(now),
    ).select(pl.col(name).cast(dtype) for name, dtype in SERVICE_BASELINES.items())


def _shares(inside: pl.DataFrame, calls: int) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for measure, column in (("error_share", "errors"), ("refusal_share", "refusals")):
        hits = int(inside[column].sum())
        low, high = share_interval([hits], [calls])
        rows.append((measure, calls, hits, hits / calls, float(low[0]), float(high[0])))
    return rows


def _latency(timed: pl.DataFrame) -> list[tuple[object, ...]]:
    whole = timed.filter(pl.col("metric") == "latency").with_columns(endpoint=pl.lit(ALL_ENDPOINTS))
    found = percentiles(merged(whole, ["endpoint"]), ["endpoint"]).filter(
        pl.col("percentile") == 0.95, pl.col("value_ms").is_not_null()
    )
    columns = found.select("calls", pl.lit(None), "value_ms", "low_ms", "high_ms")
    return [("latency_p95_ms", *row) for row in columns.iter_rows()]


def _volume(inside: pl.DataFrame, weeks: int) -> list[tuple[object, ...]]:
    asked = (pl.col("calls") - pl.col("probes")).sum()
    by_day = inside.group_by(pl.col("hour").dt.date().alias("day")).agg(asked)
    days = by_day.sort("day")  # a sum of fractions depends on their order
    by_weekday: dict[int, list[int]] = {weekday: [] for weekday in range(1, WEEKDAYS + 1)}
    for day, calls in days.iter_rows():
        by_weekday[day.isoweekday()].append(calls)
    means = {weekday: sum(calls) / weeks for weekday, calls in by_weekday.items()}
    squares = sum(
        (calls - means[weekday]) ** 2 / means[weekday]
        for weekday, found in by_weekday.items()
        for calls in [*found, *[0] * (weeks - len(found))]
        if means[weekday]
    )
    freedom = sum((weeks - 1) for mean in means.values() if mean)
    rows: list[tuple[object, ...]] = [
        (f"production_{weekday}", sum(by_weekday[weekday]), None, mean, None, None)
        for weekday, mean in means.items()
    ]
    dispersion = max(1.0, squares / freedom) if freedom else None
    return [*rows, ("production_dispersion", freedom, None, dispersion, None, None)]
