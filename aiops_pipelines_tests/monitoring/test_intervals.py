"""Intervals against hand-worked figures, against scipy's own tests, and against simulated truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, fisher_exact

from aiops_pipelines.monitoring.intervals import (
    calls_needed,
    chance_of_more,
    chance_of_more_than_before,
    percentile_ranks,
    share_interval,
)


def test_exact_share_interval_of_nothing_everything_and_no_calls() -> None:
    low, high = share_interval([0, 70, 0, 5], [70, 70, 0, 10])
    assert (low[0], high[0]) == (0, pytest.approx(1 - 0.025 ** (1 / 70)))
    assert (low[1], high[1]) == (pytest.approx(0.025 ** (1 / 70)), 1)
    assert np.isnan([low[2], high[2]]).all()
    assert (low[3], high[3]) == pytest.approx((0.187086, 0.812914), abs=1e-6)  # Clopper and Pearson, 5 of 10


@given(st.integers(1, 300), st.floats(0.001, 0.999))
def test_exact_share_interval_covers_the_truth_as_often_as_it_says(calls: int, share: float) -> None:
    low, high = share_interval(np.arange(calls + 1), np.full(calls + 1, calls))
    inside = (low <= share) & (share <= high)
    assert binom.pmf(np.arange(calls + 1), calls, share)[inside].sum() >= 0.95


@pytest.mark.parametrize(("quantile", "needed"), [(0.5, 6), (0.95, 72), (0.99, 368)])
def test_fewest_calls_of_a_percentile_are_the_fewest_with_both_ends(quantile: float, needed: int) -> None:
    assert calls_needed(quantile) == needed
    _, low, high = percentile_ranks([needed, needed - 1], quantile)
    assert low[0] >= 1 and high[0] == needed
    assert low[1] == 0 or high[1] == 0


def test_ranks_of_the_median_of_ten() -> None:
    middle, low, high = percentile_ranks([10], 0.5)
    assert (middle[0], low[0], high[0]) == (5, 2, 9)


@given(st.integers(6, 5000), st.sampled_from([0.5, 0.95, 0.99]))
def test_order_statistics_hold_the_percentile_with_95_percent_or_more(calls: int, quantile: float) -> None:
    """P(rank low <= B and B < rank high), exactly, for the binomial number B of calls below the percentile."""
    _, (low,), (high,) = percentile_ranks([calls], quantile)
    if high:
        assert binom.cdf(high - 1, calls, quantile) - binom.cdf(low - 1, calls, quantile) >= 0.95 - 1e-12
        assert (
            binom.cdf(low - 1, calls, quantile) <= 0.025 < binom.cdf(low, calls, quantile) + 1e-12
        )  # no wider


@given(st.integers(1, 60), st.integers(0, 60), st.integers(1, 3000), st.integers(0, 100))
def test_more_than_before_is_fishers_test(calls: int, hits: int, before: int, hits_before: int) -> None:
    hits, hits_before = min(hits, calls), min(hits_before, before)
    table = [[hits, calls - hits], [hits_before, before - hits_before]]
    expected = fisher_exact(table, alternative="greater")[1]
    assert chance_of_more_than_before(hits, calls, hits_before, before) == pytest.approx(expected, abs=1e-9)


def test_chance_by_hand() -> None:
    assert chance_of_more(3, 57, 0.05) == pytest.approx(0.5475, abs=1e-4)
    assert chance_of_more(0, 57, 0.05) == 1
    assert chance_of_more_than_before(4, 10, 0, 10) == pytest.approx(210 / 4845)
