"""Days on which a system spent more than is usual for the hour, and what made them dear.

What is unusual is `unusual`, why is `growth`. An hour without calls costs 0 while the log is alive; a silent
stretch is missing, and so is an hour whose calls have no known price.
"""

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl

from aiops_pipelines.costs.cells import AMOUNTS, summed
from aiops_pipelines.costs.growth import split_change
from aiops_pipelines.costs.unusual import DAYS, WEEKS, judge

HISTORY_DAYS = 14
"""Days of spend before the first one is judged."""
BUSY = 0.5
"""Where fewer hours than this have calls, hours are too thin to judge and days are judged instead."""
DAYS_JUDGED = {
    "system": pl.String(),
    "day": pl.Date(),
    "step": pl.String(),
    "judged": pl.Int64(),
    "unusual": pl.Int64(),
    "cost_usd": pl.Float64(),
    "expected_usd": pl.Float64(),
    "score": pl.Float64(),
}
ANOMALIES = DAYS_JUDGED | {"endpoint": pl.String(), "cause": pl.String(), "cause_usd": pl.Float64()}


def hourly_series(hours: pl.DataFrame, silent_hours: int, now: datetime) -> pl.DataFrame:
    """Fill one system's hours up: hour and cost_usd (float), evenly spaced until the last one that is over.

    `hours` has hour, calls and cost_usd (null where no call is priced) of the hours with calls.
    """
    over = hours.filter(pl.col("hour") + timedelta(hours=1) <= now).sort("hour")
    if over.is_empty():
        return pl.DataFrame(
            schema={"hour": pl.Datetime("us", "UTC"), "calls": pl.Int64, "cost_usd": pl.Float64}
        )
    grid = pl.select(hour=pl.datetime_range(over["hour"][0], over["hour"][-1], "1h"))
    filled = grid.join(over.with_columns(heard=pl.col("hour")), on="hour", how="left").sort("hour")
    apart = pl.col("heard").backward_fill() - pl.col("heard").forward_fill()
    silent = (apart > timedelta(hours=silent_hours)) & pl.col("heard").is_null()
    cost = (
        pl.when(pl.col("heard").is_null() & ~silent).then(0.0).otherwise(pl.col("cost_usd").cast(pl.Float64))
    )
    calls = pl.when(silent).then(None).otherwise(pl.col("calls").fill_null(0))
    return filled.select("hour", calls=calls, cost_usd=cost)


def known_days(series: pl.DataFrame) -> pl.DataFrame:
    """Add the hours of `hourly_series` up to days: day and cost_usd, null where no call of it has a price.

    A day that was heard for some hours is known: whoever closes at six is silent from then on. So is a day
    off, at 0 USD: the same weekday was silent in four weeks whose other days mostly were not.
    """
    called = pl.col("calls") > 0
    days = series.group_by(pl.col("hour").dt.date().alias("day")).agg(
        heard=called.any(),
        missing=pl.col("calls").is_null().any(),
        priced=(called & pl.col("cost_usd").is_not_null()).any(),
        cost_usd=pl.col("cost_usd").sum(),
    )
    silent = pl.all_horizontal(~pl.col("heard").shift(DAYS * n) for n in range(WEEKS))
    mostly_heard = pl.col("heard").rolling_sum(DAYS * WEEKS) >= DAYS * WEEKS / 2
    off = (silent & mostly_heard).fill_null(value=False)
    cost = pl.when(pl.col("priced") | ~pl.col("heard") & (~pl.col("missing") | off)).then("cost_usd")
    return days.sort("day").select("day", cost_usd=cost)


def judged_days(system: str, series: pl.DataFrame) -> pl.DataFrame:
    """Judge a series of `hourly_series`: one row a day with DAYS_JUDGED; others have none.

    `cost_usd` and `expected_usd` are those of the unusual hours, 0 on a usual day.
    """
    busy = series.select((pl.col("calls") > 0).mean()).item() if series.height else None
    step, per_day = ("hour", 24) if busy is not None and busy >= BUSY else ("day", 1)
    steps = series.select(pl.col("hour").alias("at"), "cost_usd")
    if step == "day":
        midnight = pl.col("day").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        steps = known_days(series).select(midnight.alias("at"), "cost_usd")
    if steps.is_empty():
        return pl.DataFrame(schema=DAYS_JUDGED)
    found = judge(steps["cost_usd"].fill_null(np.nan).to_numpy(), per_day)
    start = steps["at"][0] + timedelta(days=HISTORY_DAYS)
    scored = steps.with_columns(
        expected=pl.Series(found.expected), score=pl.Series(found.score).fill_nan(None)
    ).filter(pl.col("score").is_not_null(), pl.col("at") >= start)
    high = pl.col("score") > 1
    days = scored.group_by(pl.col("at").dt.date().alias("day")).agg(
        judged=pl.len().cast(pl.Int64),
        unusual=high.sum().cast(pl.Int64),
        cost_usd=pl.col("cost_usd").filter(high).sum(),
        expected_usd=pl.col("expected").filter(high).sum(),
        score=pl.col("score").max(),
    )
    named = days.with_columns(system=pl.lit(system), step=pl.lit(step))
    return named.select(pl.col(name).cast(dtype) for name, dtype in DAYS_JUDGED.items()).sort("day")


def usual_days(day: date) -> list[date]:
    """Return the same weekday of the weeks before, which an unusual day is compared with."""
    return [day - timedelta(days=7 * n) for n in range(1, WEEKS + 1)]


def with_causes(days: pl.DataFrame, cells: pl.DataFrame) -> pl.DataFrame:
    """Add endpoint, cause and cause_usd: what made an unusual day dearer than the same weekday before.

    `cells` are daily ones of `spend_cells`; the cause is the largest of the split of the whole day against
    the mean of its usual days. A day without usual ones keeps nulls.
    """
    none = (None, None, None)
    found = [_cause(row["day"], cells) if row["unusual"] else none for row in days.iter_rows(named=True)]
    causes = pl.DataFrame(
        found, schema={name: ANOMALIES[name] for name in list(ANOMALIES)[-3:]}, orient="row"
    )
    return days.hstack(causes).select(list(ANOMALIES))


def _cause(day: date, cells: pl.DataFrame) -> tuple[str | None, str | None, float | None]:
    usual = cells.filter(pl.col("period").is_in(usual_days(day)))
    today = cells.filter(pl.col("period") == day)
    if usual.is_empty() or today.is_empty():
        return None, None, None
    mean = summed(usual).with_columns(pl.col("calls_of_model", *AMOUNTS) / usual["period"].n_unique())
    split = split_change(mean, summed(today)).sort("change_usd", descending=True)
    endpoint, cause, change = split.select("endpoint", "cause", "change_usd").row(0)
    return (endpoint, cause, change) if change > 0 else (None, None, None)
