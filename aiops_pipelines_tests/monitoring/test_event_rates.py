"""Rates of rare events: worked examples, the exact tests they become with certain dispersion, and what must not matter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from aiops_pipelines.monitoring.event_rates import chance_of_so_few, dispersion, trend

COUNTS = st.lists(st.integers(0, 60), min_size=4, max_size=13)


def test_dispersion_by_hand() -> None:
    assert dispersion([4, 6, 5, 13], [1, 1, 1, 1]) == pytest.approx(50 / 21)
    assert dispersion([10, 10, 20], [1, 1, 2]) == 1  # never below Poisson's
    assert dispersion([0, 0], [1, 1]) == 1


def test_none_after_forty_by_hand() -> None:
    assert chance_of_so_few(0, 1, [10] * 4, [1] * 4) == pytest.approx(0.0178, abs=5e-5)


def test_bursts_of_ten_are_worth_one() -> None:
    single, bursts = (
        [1, 9, 4, 6, 5, 5, 2, 8],
        [10, 90, 40, 60, 50, 50, 20, 80],
    )  # dispersions 52 / 35, 520 / 35
    alone, together = (chance_of_so_few(0, 1, found, [1] * 8) for found in (single, bursts))
    assert alone == pytest.approx(together)


@given(COUNTS, st.integers(0, 60))
def test_a_chance_is_one_and_grows_with_the_events(before: list[int], now: int) -> None:
    at = [100.0] * len(before)
    chance, more = chance_of_so_few(now, 100, before, at), chance_of_so_few(now + 1, 100, before, at)
    assert 0 <= chance <= 1 and (more >= chance or more == pytest.approx(chance))


def test_with_many_calm_weeks_it_is_the_exact_binomial_test() -> None:
    before = [5, 6, 4, 5] * 100
    exact = binom.cdf(1, 1 + sum(before), 1 / (len(before) + 1))
    assert chance_of_so_few(1, 1, before, [1.0] * len(before)) == pytest.approx(exact, rel=0.05)


def test_a_planted_decline_is_estimated() -> None:
    found = trend([round(1000 * 0.9**week) for week in range(12)], [50] * 12)
    assert found and found.change == pytest.approx(-0.1, abs=0.002) and found.chance < 1e-6
    assert found.low and found.high and found.low < -0.1 < found.high < -0.08


def test_fewer_calls_are_no_decline() -> None:
    calls = [1000 * 0.9**week for week in range(12)]
    found = trend([round(n / 10) for n in calls], calls)
    assert found and abs(found.change) < 0.005 and found.chance > 0.3


def test_the_interval_is_where_the_deviance_says_so() -> None:
    """The profile of a two-week-like split: all of 30 events in the first half leaves no steepest fall."""
    found = trend([30, 0, 0], [1, 1, 1])
    assert found and found.low is None and found.chance < 0.1
    assert trend([0, 0, 0, 0], [1] * 4) is None and trend([3, 4], [1, 1]) is None


@given(COUNTS.filter(any))
def test_time_reversed_the_trend_is_the_opposite(events: list[int]) -> None:
    there, back = trend(events, [7.0] * len(events)), trend(events[::-1], [7.0] * len(events))
    assert there and back
    assert (1 + there.change) * (1 + back.change) == pytest.approx(1, rel=1e-6)
    assert there.chance + back.chance == pytest.approx(1, abs=1e-4)
