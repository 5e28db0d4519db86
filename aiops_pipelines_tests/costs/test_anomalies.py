"""Unusual days: planted token stories are found with their cause, silence and thin traffic are no spend of 0."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from aiops_pipelines.costs.anomalies import hourly_series, judged_days, known_days, with_causes
from aiops_pipelines.costs.cells import AMOUNTS
from aiops_pipelines.resources.tables import declared_tables

START = datetime(2026, 6, 1, tzinfo=UTC)
DAYS = 42
NOW = START + timedelta(days=DAYS)
STORY = 38
"""The day of the story, a Thursday."""
PRICE = 2.5e-6


def hours_of(calls: np.ndarray, tokens: np.ndarray, price: np.ndarray) -> pl.DataFrame:
    at = [START + timedelta(hours=n) for n in range(len(calls))]
    cost = calls * tokens * price
    return pl.DataFrame({"hour": at, "calls": calls.astype(int), "cost_usd": cost}).filter(
        pl.col("calls") > 0
    )


def usual(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Calls, tokens of the history per call and price of each hour of six weeks."""
    dice, at = np.random.default_rng(seed), np.arange(DAYS * 24)
    rate = 60 * (1 + 0.8 * np.sin(2 * np.pi * (at % 24 - 9) / 24)) * np.where((at // 24) % 7 >= 5, 0.4, 1.0)
    return dice.poisson(rate).astype(float), 4000 * dice.lognormal(0, 0.05, len(at)), np.full(len(at), PRICE)


def daily_cells(calls: np.ndarray, tokens: np.ndarray, price: np.ndarray) -> pl.DataFrame:
    rows = []
    for day in range(DAYS):
        part = slice(day * 24, day * 24 + 24)
        used = float((calls[part] * tokens[part]).sum())
        cost = float((calls[part] * tokens[part] * price[part]).sum())
        key = ("s", (START + timedelta(days=day)).date(), "chat", "chat", "m", "history")
        rows.append((*key, float(calls[part].sum()), used, cost, 0.0, 0.0, 0.0, 0.0))
    names = ["system", "period", "endpoint", "operation", "model", "part", "calls_of_model", *AMOUNTS]
    return pl.DataFrame(rows, schema=names, orient="row")


def found(calls: np.ndarray, tokens: np.ndarray, price: np.ndarray) -> pl.DataFrame:
    days = judged_days("s", hourly_series(hours_of(calls, tokens, price), 24, NOW))
    return with_causes(days, daily_cells(calls, tokens, price)).filter(pl.col("unusual") > 0)


@pytest.mark.parametrize("cause", ["volume", "tokens:history", "price"])
@pytest.mark.parametrize("seed", range(3))
def test_a_planted_story_is_found_with_its_cause(cause, seed):
    """For five hours of one day there are four times the calls, the tokens, or the price."""
    series = dict(zip(["volume", "tokens:history", "price"], usual(seed), strict=True))
    series[cause][STORY * 24 + 9 : STORY * 24 + 14] *= 4
    days = found(*series.values())
    (row,) = days.filter(day=date(2026, 7, 9)).to_dicts()
    assert row["step"] == "hour" and row["unusual"] >= 3 and row["cost_usd"] > 2 * row["expected_usd"]
    assert (row["endpoint"], row["cause"]) == ("chat", cause)
    assert row["cause_usd"] > 0


def test_six_usual_weeks_have_hardly_an_unusual_day():
    """28 days of each of 10 systems are judged; an alarm that cries every week is no alarm."""
    assert sum(found(*usual(seed)).height for seed in range(10)) <= 6


def test_thin_traffic_is_judged_by_days():
    calls, tokens, price = usual(1)
    calls = np.where(np.arange(len(calls)) % 24 < 8, np.minimum(calls, 2), 0.0)
    days = judged_days("s", hourly_series(hours_of(calls, tokens, price), 24, NOW))
    assert days["step"].unique().to_list() == ["day"] and days["judged"].unique().to_list() == [1]


def test_hours_without_calls_cost_nothing_and_a_silent_stretch_is_missing():
    hours = pl.DataFrame({"hour": [START, START + timedelta(hours=3), START + timedelta(hours=60)]})
    hours = hours.with_columns(calls=1, cost_usd=1.0)
    series = hourly_series(hours, 24, NOW)
    assert series["cost_usd"].to_list() == [1, 0, 0, 1, *[None] * 56, 1]
    assert known_days(series)["cost_usd"].to_list() == [2, None, 1]


def test_an_hour_without_a_price_leaves_the_rest_of_its_day():
    """A failed call alone in its hour has no cost; the day is what its other calls cost."""
    hours = pl.DataFrame({"hour": [START + timedelta(hours=n) for n in (0, 3, 30)]})
    hours = hours.with_columns(calls=1, cost_usd=pl.Series([1.0, None, None]))
    assert known_days(hourly_series(hours, 24, NOW))["cost_usd"].to_list() == [1, None]


def test_a_system_that_closes_at_the_weekend_is_known_every_day():
    """From eight to six on weekdays: Fridays and Mondays have silent hours, and weekends are days off."""
    at = np.arange(8 * 7 * 24)
    open_ = (at % 24 >= 8) & (at % 24 < 18) & (at // 24 % 7 < 5)
    hours = hours_of(open_.astype(float), np.ones(len(at)), np.ones(len(at)))
    days = known_days(hourly_series(hours, 24, START + timedelta(weeks=8)))["cost_usd"].to_list()
    assert days[:7] == [10, 10, 10, 10, 10, None, None]
    assert days[28:35] == [10, 10, 10, 10, 10, 0, 0]
    lost = hours.filter(~pl.col("hour").is_between(START + timedelta(days=7), START + timedelta(days=35)))
    assert known_days(hourly_series(lost, 24, START + timedelta(weeks=8)))["cost_usd"].to_list()[5:35] == (
        [None] * 30
    )


def test_an_hour_that_is_not_over_or_has_no_price_is_not_known():
    hours = pl.DataFrame(
        {"hour": [START, START + timedelta(hours=1)], "calls": [1, 1], "cost_usd": [None, 2.0]}
    )
    assert hourly_series(hours, 24, START + timedelta(minutes=90))["cost_usd"].to_list() == [None]


def test_nothing_heard_is_nothing_judged():
    empty = hours_of(*(series[:24] for series in usual(0))).clear()
    days = judged_days("s", hourly_series(empty, 24, NOW))
    frame = with_causes(days, daily_cells(*usual(0)))
    table = declared_tables(Path(__file__).parents[2] / "dbt_project")["costs.spend_anomalies"]
    assert frame.height == 0 and frame.schema == table.schema


def test_a_day_without_usual_ones_has_no_cause():
    calls, tokens, price = usual(0)
    calls[STORY * 24 + 9 : STORY * 24 + 14] *= 6
    days = judged_days("s", hourly_series(hours_of(calls, tokens, price), 24, NOW))
    late = daily_cells(calls, tokens, price).filter(pl.col("period") == date(2026, 7, 9))
    row = with_causes(days, late).filter(day=date(2026, 7, 9)).row(0, named=True)
    assert row["unusual"] and row["cause"] is None
