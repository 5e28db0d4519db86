"""Which values of an evenly spaced series are unusual for their hour of the week.

A value has to stand out twice: from the same time in earlier weeks, and, measured from there, from the day
before it. The first alone calls a new level unusual for weeks, the second alone calls a slow recovery so.
Limits are multiples of the median absolute deviation (F. R. Hampel, "The influence curve and its role in
robust estimation", JASA 69, 1974), and no less than the largest moves of the last weeks. Only earlier values
are looked at. The constants were chosen on one half of labelled series and reported on the other:
docs/adr/0011.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats = NDArray[np.float64]
WEEKS, DAYS = 4, 7
"""Expected is the median of this time in four weeks; before three weeks are known, in seven days."""
NEIGHBOURS = 1
LEAST_WEEKS = 2
"""Weeks after which exactly this time of the week is an expectation too, whichever is nearer."""
MEMORY_DAYS = 28
DEVIATIONS = 3.0
FLOOR = 0.1
"""A deviation is at least this share of the usual level: a series that hardly moves is no alarm clock."""
LARGEST = 0.995
"""Quantile of the moves of the last weeks that a move must pass: a series with bursts has bursts."""
SIGMAS_PER_MAD = 1.4826


@dataclass(frozen=True)
class Judged:
    """A series judged: what was expected, and how often its limit a value is away from that.

    A value is unusual beyond 1 or -1; where there is too little to judge by, `score` is nan.
    """

    expected: Floats
    score: Floats


def judge(values: Floats, per_day: int) -> Judged:
    """Judge each value of a series by the values before it; nan is a value that is missing.

    `per_day` is how many values there are a day: 24 for hours. With one a day, the days before are a week.
    """
    near = per_day if per_day > 1 else DAYS
    memory, least = MEMORY_DAYS * per_day, max(near // 4, 2)
    before = _rolling(values, near, max(near // 12, 2))
    expected = _same_time(values, per_day)
    expected = _nearer(values, np.where(np.isnan(expected), before, expected), _same_hour(values, per_day))
    level = np.abs(_rolling(values, memory, least)) * FLOOR
    away = values - expected
    moved = away - _rolling(away, near, max(near // 12, 2))
    far = _over(away, np.maximum(_limit(away, memory, least, level), _largest(away, memory, least)))
    new = _over(moved, _limit(moved, memory, least, level))
    score = np.where(np.sign(far) == np.sign(new), np.where(np.abs(far) < np.abs(new), far, new), 0.0)
    return Judged(expected, np.where(np.isnan(far) | np.isnan(new), np.nan, score))


def _limit(moves: Floats, memory: int, least: int, level: Floats) -> Floats:
    deviation = SIGMAS_PER_MAD * _rolling(np.abs(moves), memory, least)
    limit: Floats = DEVIATIONS * np.maximum(deviation, level)
    return limit


def _largest(moves: Floats, memory: int, least: int) -> Floats:
    return _rolling(np.abs(moves), memory, least, LARGEST)


def _same_time(values: Floats, per_day: int) -> Floats:
    """Return the median of the same time of the week in earlier weeks, or of the day in earlier days."""
    around = range(-NEIGHBOURS, NEIGHBOURS + 1) if per_day > 1 else range(1)
    week = DAYS * per_day
    weekly = np.stack([_lagged(values, week * n) for n in range(1, WEEKS + 1)])
    weeks = _median(np.stack([_lagged(values, week * n + a) for n in range(1, WEEKS + 1) for a in around]))
    if per_day == 1:
        return np.where((~np.isnan(weekly)).sum(axis=0) >= WEEKS - 1, weeks, np.nan)
    days = _median(np.stack([_lagged(values, per_day * n + a) for n in range(1, DAYS + 1) for a in around]))
    return np.where((~np.isnan(weekly)).sum(axis=0) >= WEEKS - 1, weeks, days)


def _same_hour(values: Floats, per_day: int) -> Floats:
    """Return the median of exactly this time in earlier weeks, so that a weekly job is no surprise."""
    weeks = np.stack([_lagged(values, DAYS * per_day * n) for n in range(1, WEEKS + 1)])
    return np.where((~np.isnan(weeks)).sum(axis=0) >= LEAST_WEEKS, _median(weeks), np.nan)


def _nearer(values: Floats, one: Floats, other: Floats) -> Floats:
    """Return for each value the expectation that it is nearer to, where both are known."""
    return np.where(np.abs(values - other) < np.abs(values - one), other, one)


def _lagged(values: Floats, lag: int) -> Floats:
    back = np.full_like(values, np.nan)
    if lag < len(values):
        back[lag:] = values[:-lag]
    return back


def _median(rows: Floats) -> Floats:
    found = pl.DataFrame(rows.T).select(
        pl.concat_list(pl.all().fill_nan(None)).list.drop_nulls().list.median()
    )
    return found.to_series().fill_null(np.nan).to_numpy()


def _rolling(values: Floats, window: int, least: int, quantile: float = 0.5) -> Floats:
    """Return a quantile of the `window` values before each one, nan with fewer than `least` of them."""
    known = pl.Series(values).fill_nan(None)
    if quantile == 0.5:
        rolled = known.rolling_median(window, min_samples=least)
    else:
        rolled = known.rolling_quantile(quantile, window_size=window, min_samples=least)
    found: Floats = rolled.shift(1).fill_null(np.nan).to_numpy()
    return found


def _over(moves: Floats, limit: Floats) -> Floats:
    """Divide; a move beyond a limit of 0 is infinitely far, no move is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((moves == 0) & ~np.isnan(limit), 0.0, moves / limit)
