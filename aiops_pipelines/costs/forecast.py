"""What a month will have cost: the days that are over, and the rest at the pace of the last four weeks.

The forecast of a day is the mean of its weekday in the last 28 days. Its interval is the union of two, for
each of which something is missing: a bootstrap of the days' deviations in blocks of a week (H. R. Künsch,
"The jackknife and the bootstrap for general stationary observations", Annals of Statistics 17, 1989), which
knows no trend, and the errors that the same forecast would have made in the past (Y. S. Lee and S. Scholtes,
"Empirical prediction intervals revisited", International Journal of Forecasting 30, 2014), which are few.
"""

from datetime import date, datetime, timedelta
from math import ceil

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aiops_pipelines.periods import midnight, next_month

Floats = NDArray[np.float64]
METHOD = "weekday means of 28 days; union of a weekly block bootstrap and past errors"
PACE_DAYS, SPREAD_DAYS, WEEK = 28, 56, 7
LEVEL = 0.9
"""Level of each of the two intervals; docs/adr/0011 has what their union was measured to cover."""
ORIGINS = 8
"""Past forecasts of the same length before their errors count."""
DRAWS = 1000
FORECAST = {
    "system": pl.String(),
    "month": pl.Date(),
    "through": pl.Date(),
    "spent_usd": pl.Float64(),
    "days_known": pl.Int64(),
    "days_left": pl.Int64(),
    "forecast_usd": pl.Float64(),
    "low_usd": pl.Float64(),
    "high_usd": pl.Float64(),
    "method": pl.String(),
}


def month_forecast(system: str, days: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Forecast the calendar month of the last day that is over: one row of `costs.month_forecast`, or none.

    `days` has day and cost_usd, null for a day that was not heard or not priced; it is left out of every mean
    and is no day at 0 USD. With fewer than 28 known days, or none of the last 28, the forecast is null, and
    so is its interval.
    """
    through = (now - timedelta(days=1)).date()
    known = days.filter(pl.col("day") <= through, pl.col("cost_usd").is_not_null()).sort("day")
    if known.is_empty():
        return pl.DataFrame(schema=FORECAST)
    month = through.replace(day=1)
    spent = known.filter(pl.col("day") >= month)
    left = (midnight(next_month(month)) - midnight(through)).days - 1
    ahead = _ahead(known, through, left)
    total = float(sum(spent["cost_usd"].cast(pl.Float64)))
    figures = [None if part is None else total + part for part in ahead]
    row = (system, month, through, total, spent.height, left, *figures, METHOD)
    return pl.DataFrame([row], schema=FORECAST, orient="row")


def _ahead(known: pl.DataFrame, through: date, left: int) -> tuple[float | None, float | None, float | None]:
    """Return forecast, low and high of the days that are left."""
    if left == 0:
        return 0.0, 0.0, 0.0
    first = known["day"][0]
    values = np.full((through - first).days + 1, np.nan)
    values[[(day - first).days for day in known["day"]]] = known["cost_usd"].cast(pl.Float64).to_numpy()
    recent = values[-PACE_DAYS:]
    if np.isfinite(values).sum() < PACE_DAYS or np.isnan(recent).all():
        return None, None, None
    if not np.nansum(recent) > 0:
        return 0.0, 0.0, 0.0
    return rest_of_period(values, left)


def rest_of_period(values: Floats, ahead: int) -> tuple[float, float, float]:
    """Return forecast, low and high of the sum of the next `ahead` days; nan is a day that is missing.

    Where the past has enough forecasts of this length, their median error is taken off: a spend that grows
    steadily is forecast to go on.
    """
    plain = _pace(values, ahead)
    low, high = _bootstrap(values, plain)
    ratios = past_ratios(values, ahead)
    middle = float(plain.sum())
    if len(ratios) >= ORIGINS:
        edges = np.quantile(ratios, [(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2])
        past_low, middle, past_high = (float(edge) * middle for edge in edges)
        low, high = min(low, past_low), max(high, past_high)
    return middle, min(low, middle), max(high, middle)


def past_ratios(values: Floats, ahead: int) -> Floats:
    """Return actual over forecast for every day from which the past `ahead` days were all known."""
    ratios = []
    for origin in range(PACE_DAYS, len(values) - ahead + 1):
        actual, past = values[origin : origin + ahead], values[:origin]
        if np.isfinite(actual).all() and np.nansum(past[-PACE_DAYS:]) > 0:
            ratios.append(actual.sum() / _pace(past, ahead).sum())
    return np.array(ratios)


def _pace(values: Floats, ahead: int) -> Floats:
    """Return the mean of the last four of each weekday, for the days to come."""
    last = _weekdays(values[-PACE_DAYS:])
    days: Floats = last[np.arange(ahead) % WEEK]
    return days


def _weekdays(values: Floats) -> Floats:
    """Return the mean of each weekday, the weekday after the last value first."""
    weeks = np.full(ceil(len(values) / WEEK) * WEEK, np.nan)
    weeks[-len(values) :] = values
    rows = weeks.reshape(-1, WEEK)
    counts = np.isfinite(rows).sum(axis=0)
    sums = np.nansum(rows, axis=0)
    overall = sums.sum() / max(counts.sum(), 1)
    means: Floats = np.where(counts > 0, sums / np.maximum(counts, 1), overall)
    return means


def _bootstrap(values: Floats, plain: Floats) -> tuple[float, float]:
    """Draw the days to come, and the four weeks that their pace is known from, in blocks of a week."""
    recent = values[-SPREAD_DAYS:]
    usual = _weekdays(recent)[(np.arange(len(recent)) - len(recent)) % WEEK]
    ratios = recent[np.isfinite(recent) & (usual > 0)] / usual[np.isfinite(recent) & (usual > 0)]
    draw = np.random.default_rng(0)

    def drawn(length: int) -> Floats:
        starts = draw.integers(0, len(ratios), (DRAWS, ceil(length / WEEK), 1))
        blocks = ratios[(starts + np.arange(WEEK)) % len(ratios)]
        days: Floats = blocks.reshape(DRAWS, -1)[:, :length]
        return days

    level = np.maximum(drawn(PACE_DAYS).mean(axis=1), 1e-9)
    totals = (drawn(len(plain)) * plain).sum(axis=1) / level
    low, high = np.quantile(totals, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
