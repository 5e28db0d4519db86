"""Burn rates: the workbook's table, real outages, and no storm where there is little traffic."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops_pipelines.monitoring.alerts import alert_readings, alerts
from aiops_pipelines.monitoring.burn_rate import BIN, WINDOWS, burn
from aiops_pipelines.monitoring.daily_alerts import Day
from aiops_pipelines.systems import Limits

START = datetime(2026, 6, 1, tzinfo=UTC)
PAGE, SLOW_PAGE, TICKET = WINDOWS
SLO = 0.99


def bins(calls: list[int], errors: list[int]) -> pl.DataFrame:
    rows = [(START + n * BIN, c, e) for n, (c, e) in enumerate(zip(calls, errors, strict=True)) if c]
    schema = {"start": pl.Datetime("us", "UTC"), "calls": pl.Int64, "errors": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def traffic(
    days: float, a_minute: float, share: float, seed: int, outage: tuple[float, float, float] | None = None
) -> pl.DataFrame:
    """Return five minutes of Poisson calls; an outage is (start, end) in hours and its share of failures."""
    random, length = np.random.default_rng(seed), int(days * 288)
    calls, shares = random.poisson(5 * a_minute, length), np.full(length, share)
    if outage:
        shares[int(outage[0] * 12) : int(outage[1] * 12)] = outage[2]
    return bins(calls.tolist(), random.binomial(calls, shares).tolist())


def read(found: pl.DataFrame, days: float) -> pl.DataFrame:
    now, day = START + timedelta(days=days), Day(START.date(), 1)
    readings = alert_readings("s", {day.day: day}, found, {}, Limits(availability_slo=SLO), now)
    return readings.filter(pl.col("rule").str.starts_with("burn_rate"))


def changes(found: pl.DataFrame, days: float) -> pl.DataFrame:
    return alerts(read(found, days))


def test_the_workbooks_table() -> None:
    """Table 5-8: severity, long window, short window, burn rate, budget consumed."""
    assert [(w.long / timedelta(hours=1), w.short / timedelta(minutes=1), w.rate) for w in WINDOWS] == [
        (1, 5, 14.4),
        (6, 30, 6),
        (72, 360, 1),
    ]
    month = timedelta(days=30)
    assert [w.rate * (w.long / month) for w in WINDOWS] == pytest.approx([0.02, 0.05, 0.10])
    assert [w.severity for w in WINDOWS] == ["P2", "P2", "P3"]


def test_calls_needed_by_hand() -> None:
    """5 failures at 14.4 %, 6 % and 1 % of failures; 14.4 times a budget of 10 % is more than all calls."""
    assert [w.calls_needed(SLO) for w in WINDOWS] == [35, 84, 500]
    assert PAGE.calls_needed(0.9) is None


@given(st.integers(12, 60), st.integers(0, 100))
@settings(max_examples=30)
def test_rates_are_those_of_the_windows_computed_plainly(length: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    calls = random.integers(40, 90, length)
    errors = random.binomial(calls, 0.2)
    days = 8 * 288
    steady = [60] * days + calls.tolist(), [0] * days + errors.tolist()
    found = burn(bins(*steady), PAGE, SLO, START + (days + length) * BIN)
    assert found is not None
    for place in range(days, days + length):
        short = steady[1][place] / steady[0][place] / (1 - SLO)
        window = slice(place - 11, place + 1)
        long = sum(steady[1][window]) / sum(steady[0][window]) / (1 - SLO)
        assert found.rates[place] == pytest.approx(long)
        assert (found.levels[place] == "breach") == (min(short, long) >= 14.4)


def test_a_total_outage_pages_within_minutes_and_closes_after_it() -> None:
    """From 0 to 100 % at a rate of 100: the long window passes 14.4 after 14.4 % of an hour, 8.64 minutes."""
    found = changes(traffic(10, 20, 0.001, 1, (200, 201, 1.0)), 10).filter(rule="burn_rate_1h")
    fired = found.filter(state="firing")
    assert fired.height == 1
    assert (fired["since"][0] - START) / timedelta(minutes=1) - 200 * 60 == 10
    assert found["state"].to_list()[-1] == "ok"
    assert found["opened_at"].drop_nulls().n_unique() == 1


@pytest.mark.parametrize(
    ("share", "rule"), [(0.03, "burn_rate_3d"), (0.09, "burn_rate_6h"), (0.3, "burn_rate_1h")]
)
def test_slower_burns_are_found_by_longer_windows(share: float, rule: str) -> None:
    found = changes(traffic(14, 20, 0.001, 2, (200, 330, share)), 14)
    fired = found.filter(state="firing")["rule"].unique().to_list()
    order = ["burn_rate_3d", "burn_rate_6h", "burn_rate_1h"]
    assert set(fired) == set(order[: order.index(rule) + 1])


def test_a_service_within_its_objective_never_fires() -> None:
    for seed in range(5):
        assert "firing" not in changes(traffic(21, 20, 0.004, seed), 21)["state"].to_list()


@given(st.integers(0, 10_000), st.floats(0.01, 0.3), st.floats(0, 0.2))
@settings(max_examples=25)
def test_little_traffic_never_makes_a_storm(seed: int, a_minute: float, share: float) -> None:
    """Up to 1.5 calls in five minutes, with up to 20 % of failures: one failure would be a rate of 100."""
    found = changes(traffic(30, a_minute, share, seed), 30)
    assert found["state"].to_list() == ["no_data"] * 3
    assert found["evidence"].str.contains("Not enough traffic for burn rates").all()
    assert found["evidence"].str.contains("the exact test of each day is used instead").all()


def test_without_the_minimum_the_same_traffic_would_be_a_storm(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: what the rule alone would do to 0.1 calls a minute with 2 % of failures."""
    quiet = traffic(30, 0.1, 0.02, 3)
    assert "firing" not in changes(quiet, 30)["state"].to_list()
    monkeypatch.setattr("aiops_pipelines.monitoring.burn_rate.FAILURES_EXPECTED", 1e-9)
    monkeypatch.setattr("aiops_pipelines.monitoring.burn_rate.USUAL_OVER", timedelta(minutes=5))
    assert changes(quiet, 30).filter(rule="burn_rate_1h", state="firing").height > 20


def test_a_log_that_stops_during_an_outage_leaves_the_alert_open() -> None:
    broken = traffic(10, 20, 0.001, 4, (200, 300, 1.0)).filter(pl.col("start") < START + timedelta(hours=201))
    assert changes(broken, 10).filter(rule="burn_rate_1h")["state"].to_list()[-1] == "firing"


def test_a_burn_rate_is_said_with_its_objective_to_the_last_digit() -> None:
    steady = bins([20_000] * 8 * 288, [0] * 8 * 288)
    burnt = burn(steady, WINDOWS[0], 0.99995, START + 8 * 288 * BIN)
    assert burnt is not None
    assert (
        "objective (99.995%) at 0.0 times the sustainable rate over 1 hour (limit"
        in burnt.reading(-1).evidence
    )
    assert burnt.reading(0).evidence == (
        "Up to 2026-06-01 00:05 UTC 20,000 calls in 5 minutes, or the mean of a week, are too few for a burn "
        "rate; 6945 are needed."
    )


def test_a_rate_that_goes_on_firing_is_kept_every_hour_and_at_the_present() -> None:
    found = traffic(10, 20, 0.001, 1, (200, 240, 0.9))
    fired = read(found, 10).filter(rule="burn_rate_1h", state="firing")
    ends = [(end - START) / timedelta(hours=1) - 200 for end in fired["period_end"]]
    assert ends[0] == pytest.approx(1 / 6, abs=0.09) and ends[-1] == 40
    assert np.diff(ends)[:-1] == pytest.approx(1)
    assert fired["value"].tail(30).min() > 80 > fired["value"][0]  # 0.9 of failures is a rate of 90
    [state] = changes(found, 10).filter(rule="burn_rate_1h", state="firing").rows(named=True)
    assert state["readings"] == len(ends) and state["until"] is None
    over = read(traffic(10, 20, 0.001, 1, (200, 201, 0.9)), 10).filter(rule="burn_rate_1h")
    assert over["state"].to_list()[-1] == "ok" and over.filter(state="firing").height == 1
