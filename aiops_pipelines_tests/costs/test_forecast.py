"""The month's forecast: by hand, by properties, and what its interval was measured to cover."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from aiops_pipelines.costs.forecast import month_forecast, past_ratios, rest_of_period
from aiops_pipelines.resources.tables import declared_tables

WEEK = [10.0, 10, 10, 10, 10, 4, 2]


def days(values: list[float | None], last: date) -> pl.DataFrame:
    first = last - timedelta(days=len(values) - 1)
    return pl.DataFrame(
        {"day": [first + timedelta(days=n) for n in range(len(values))], "cost_usd": values},
        schema={"day": pl.Date, "cost_usd": pl.Float64},
    )


def test_a_week_that_repeats_is_forecast_exactly():
    """Through Sunday 14 June 2026: 112 so far; two weeks of 56 and a Monday and Tuesday of 10 are left."""
    row = month_forecast("s", days(WEEK * 8, date(2026, 6, 14)), datetime(2026, 6, 15, 6, tzinfo=UTC)).row(
        0, named=True
    )
    assert (row["month"], row["through"]) == (date(2026, 6, 1), date(2026, 6, 14))
    assert (row["spent_usd"], row["days_known"], row["days_left"]) == (112, 14, 16)
    assert (row["forecast_usd"], row["low_usd"], row["high_usd"]) == pytest.approx((244, 244, 244))


def test_a_month_that_is_over_is_known():
    row = month_forecast("s", days(WEEK * 8, date(2026, 6, 30)), datetime(2026, 7, 1, tzinfo=UTC)).row(
        0, named=True
    )
    assert row["days_left"] == 0
    assert row["forecast_usd"] == row["low_usd"] == row["high_usd"] == row["spent_usd"]


def test_december_ends_with_the_year():
    row = month_forecast("s", days(WEEK * 8, date(2026, 12, 30)), datetime(2026, 12, 31, tzinfo=UTC)).row(
        0, named=True
    )
    assert row["days_left"] == 1


def test_a_day_without_data_is_no_day_at_zero():
    gappy: list[float | None] = [*WEEK * 8]
    for n in (-2, -9, 20, 30):
        gappy[n] = None
    row = month_forecast("s", days(gappy, date(2026, 6, 14)), datetime(2026, 6, 15, 6, tzinfo=UTC)).row(
        0, named=True
    )
    assert row["days_known"] == 12
    assert row["spent_usd"] == 112 - 8
    assert row["forecast_usd"] - row["spent_usd"] == pytest.approx(132)


@pytest.mark.parametrize("history", [1, 27])
def test_too_short_a_history_has_no_forecast(history):
    frame = days(([*WEEK * 4])[:history], date(2026, 6, 14))
    row = month_forecast("s", frame, datetime(2026, 6, 15, tzinfo=UTC)).row(0, named=True)
    assert row["forecast_usd"] is None and row["low_usd"] is None and row["high_usd"] is None


@pytest.mark.parametrize(("recent", "rest"), [(0.0, 0), (None, None)])
def test_four_weeks_that_cost_nothing_go_on_and_four_silent_ones_are_unknown(recent, rest):
    frame = days([*WEEK * 4, *[recent] * 28], date(2026, 6, 14))
    row = month_forecast("s", frame, datetime(2026, 6, 15, tzinfo=UTC)).row(0, named=True)
    assert [row[name] for name in ("forecast_usd", "low_usd", "high_usd")] == [rest] * 3


def test_no_known_day_is_no_row_and_the_row_is_of_the_declared_table():
    table = declared_tables(Path(__file__).parents[2] / "dbt_project")["costs.month_forecast"]
    assert month_forecast("s", days([None], date(2026, 6, 1)), datetime(2026, 7, 1, tzinfo=UTC)).is_empty()
    frame = month_forecast("s", days(WEEK * 8, date(2026, 6, 14)), datetime(2026, 6, 15, tzinfo=UTC))
    assert frame.schema == table.schema


def test_a_spend_that_grows_steadily_is_forecast_to_go_on():
    """2 % a week: four weeks back the pace is old by 2.5 weeks in the mean, which past errors make good."""
    grown = np.array([cost * 1.02 ** (n / 7) for n, cost in enumerate(WEEK * 26)])
    forecast, low, high = rest_of_period(grown[:-14], 14)
    actual = grown[-14:].sum()
    assert forecast == pytest.approx(actual, rel=0.01)
    assert low <= forecast <= high


def synthetic(kind: str, draw: np.random.Generator, length: int) -> np.ndarray:
    season = np.array([1, 1.1, 1.1, 1.05, 1, 0.5, 0.4])[np.arange(length) % 7]
    noise = draw.normal(0, 0.2, length)
    if kind == "correlated":
        for n in range(1, length):
            noise[n] = 0.7 * noise[n - 1] + noise[n] * np.sqrt(0.51)
    if kind == "growing":
        noise += np.arange(length) * 0.02 / 7
    return season * np.exp(noise)


@pytest.mark.parametrize("kind", ["independent", "correlated", "growing"])
def test_the_interval_covers_most_of_seasonal_series(kind):
    """Thirteen weeks of history, 15 days ahead; docs/adr/0011 has the whole table."""
    draw = np.random.default_rng(11)
    covered = 0
    for _ in range(60):
        series = synthetic(kind, draw, 91 + 15)
        _, low, high = rest_of_period(series[:91], 15)
        covered += low <= series[91:].sum() <= high
    assert covered >= 0.7 * 60


def test_the_interval_covers_most_of_a_real_series(shared_data: Path):
    """Taxi rides in New York by day: 166 overlapping stretches of 15 days, holidays and a snowstorm among them."""
    frame = pl.read_parquet(shared_data / "anomaly" / "nab.parquet")
    taxi = frame.filter(series="realKnownCause/nyc_taxi").group_by_dynamic("timestamp", every="1d")
    rides = taxi.agg(pl.col("value").sum())["value"].to_numpy()
    found = [(rest_of_period(rides[:n], 15), rides[n : n + 15].sum()) for n in range(35, len(rides) - 14)]
    assert len(found) == 166
    assert np.mean([low <= actual <= high for (_, low, high), actual in found]) > 0.7
    assert np.mean([abs(forecast / actual - 1) for (forecast, _, _), actual in found]) < 0.07


def test_past_errors_are_those_of_the_same_length():
    values = np.array(WEEK * 6)
    assert past_ratios(values, 7) == pytest.approx(np.ones(42 - 28 - 6))
    values[35] = np.nan
    assert len(past_ratios(values, 7)) == 1 + 0
