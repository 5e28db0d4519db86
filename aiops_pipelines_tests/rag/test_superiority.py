import numpy as np
import pytest

from aiops_pipelines.drift.comparison import unseen_change
from aiops_pipelines.rag.superiority import gains


def test_a_single_difference_by_hand():
    """All of 1, 1, 1: two of eight patterns of signs are as far from 0."""
    (gain,) = gains([np.ones(3)])
    assert gain.mean == 1 and gain.queries == 3
    assert gain.p_value == pytest.approx(2 / 8, abs=0.02)
    assert gain.high - gain.mean == pytest.approx(unseen_change(3, 0.05))


def test_no_difference_is_nothing_and_keeps_what_may_be_unseen():
    (gain,) = gains([np.zeros(100)])
    assert (gain.mean, gain.p_value) == (0, 1)
    assert (gain.low, gain.high) == pytest.approx((-0.0295, 0.0295), abs=1e-4)


def test_the_interval_of_one_difference_is_that_of_its_mean():
    values = np.random.default_rng(1).normal(0.1, 0.2, 400)
    (gain,) = gains([values])
    half = 1.96 * values.std(ddof=1) / 20
    assert gain.high - gain.mean == pytest.approx(half, rel=0.08)


def test_what_was_not_measured_is_left_out():
    values = np.array([1.0, np.nan, 0.5, np.nan, 0.0])
    alone, beside = gains([values, np.zeros(5)])
    assert (alone.mean, alone.queries, beside.queries) == (0.5, 3, 5)


def test_one_of_many_has_to_be_further_from_nothing_than_one_alone():
    rng = np.random.default_rng(3)
    ours = rng.normal(0.05, 0.2, 100)
    (alone,) = gains([ours])
    many = gains([ours, *rng.normal(0, 0.2, (19, 100))])
    assert many[0].p_value > 2 * alone.p_value
    assert many[0].high - many[0].low > 1.3 * (alone.high - alone.low)
    copies = gains([ours] * 20)  # the same way twenty times over costs nothing
    assert copies[0].p_value == pytest.approx(alone.p_value)


def test_without_any_difference_one_family_in_twenty_is_called():
    """100 families of eight ways that resemble each other, scores of 0 and 1."""
    rng, wrong = np.random.default_rng(5), 0
    for _ in range(100):
        base = rng.random(60)
        scores = (rng.random((8, 60)) < base).astype(float)
        now = (rng.random(60) < base).astype(float)
        found = gains(list(scores - now))
        wrong += any(one.p_value < 0.05 and not one.low <= 0 <= one.high for one in found)
    assert wrong <= 11  # 5 expected; more has a chance of 1 %
