"""Effects of remedies against figures worked out by hand."""

from math import inf, sqrt

import numpy as np
import polars as pl
import pytest
from scipy.stats import norm, t

from aiops_pipelines.drift.comparison import clustered
from aiops_pipelines.incidents.remedy_effects import (
    Effect,
    apart,
    of_costs,
    of_pairs,
    of_percentiles,
    of_scores,
    of_shares,
)
from aiops_pipelines.monitoring.sketch import bucket_of, percentiles


def test_two_shares_are_compared_by_the_halves_that_face_each_other() -> None:
    """From 0.30 (0.21 to 0.40) to 0.10 (0.05 to 0.18), by hand: 0.2 - sqrt(0.0145), 0.2 + sqrt(0.0125)."""
    found = apart((0.3, 0.21, 0.4), (0.1, 0.05, 0.18), "share of calls")
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.079584, 0.311803), abs=1e-6)


def test_two_proportions_of_users_with_a_call_each() -> None:
    """30 of 100 and 10 of 100 calls, each of a user of its own: exact intervals, as Clopper and Pearson have them."""
    hits = [True] * 30 + [False] * 70, [True] * 10 + [False] * 90
    users = [f"u{n}" for n in range(100)]
    found = of_shares(hits[0], users, hits[1], users)
    assert isinstance(found, Effect)
    # 30 of 100: 0.2124 to 0.3998; 10 of 100: 0.0490 to 0.1762
    low = 0.2 - sqrt((0.3 - 0.2124) ** 2 + (0.1762 - 0.1) ** 2)
    high = 0.2 + sqrt((0.3998 - 0.3) ** 2 + (0.1 - 0.0490) ** 2)
    assert (found.value, found.low, found.high) == pytest.approx((0.2, low, high), abs=2e-3)
    assert found.unit == "share of calls" and found.chance() < 0.001


def test_calls_of_few_users_say_less() -> None:
    hits = [True] * 30 + [False] * 70, [True] * 10 + [False] * 90
    many = of_shares(hits[0], [f"u{n}" for n in range(100)], hits[1], [f"u{n}" for n in range(100)])
    few = of_shares(
        hits[0], [f"u{n // 10}" for n in range(100)], hits[1], [f"u{n // 10}" for n in range(100)]
    )
    assert isinstance(many, Effect) and isinstance(few, Effect)
    assert few.value == pytest.approx(many.value) and few.low < many.low
    one = of_shares(hits[0], ["u"] * 100, hits[1], ["u"] * 100)
    assert one == "the calls are of fewer than two users, so nothing says how far chance goes"


def test_a_paired_difference() -> None:
    """Gains of 0.1, 0.2 and 0.3: 0.2 -+ 4.303 * 0.1 / sqrt(3), that is -0.0484 to 0.4484."""
    before, after = np.array([0.5, 0.4, 0.3]), np.array([0.6, 0.6, 0.6])
    found = of_pairs(before, after, "score")
    assert (found.value, found.low, found.high) == pytest.approx((0.2, -0.0484, 0.4484), abs=1e-4)
    assert found.error == pytest.approx(0.1 / sqrt(3), abs=1e-6)
    assert found.chance() == pytest.approx(t.sf(0.2 / (0.1 / sqrt(3)), 2))


def test_scores_that_rose_are_better() -> None:
    before, after = np.array([0.4, 0.6, 0.5, 0.5]), np.array([0.8, 0.6, 0.7, 0.7])
    users = list("abcd")
    compared = clustered(before, users, after, users)
    found = of_scores(compared, "score")
    assert found.value == pytest.approx(0.2)
    half = t.ppf(0.975, compared.df) * compared.standard_error(0)
    assert (found.low, found.high) == pytest.approx((0.2 - half, 0.2 + half))
    assert of_scores(clustered(after, users, before, users), "score").value == pytest.approx(-0.2)


def test_costs_of_days_are_better_when_they_fall_and_take_a_week_on_each_side() -> None:
    dear, cheap = np.array([4.0, 5, 6, 4, 5, 6, 5]), np.array([1.0, 2, 3, 1, 2, 3, 2])
    found = of_costs(dear, cheap)
    assert isinstance(found, Effect)
    assert found.value == pytest.approx(3) and found.low > 0 and found.unit == "USD a day"
    # each side: 4 squares of 1 over 6, over 7 days, is 0.0952; together an error of 0.436 on 12 degrees
    assert found.error == pytest.approx(sqrt(2 * 4 / 6 / 7), abs=1e-6)
    assert of_costs(dear[:6], cheap) == "there are 6 priced days before and 7 since, and 7 are needed"
    assert str(of_costs(np.full(7, 2.0), np.full(7, 1.0))).startswith("every day costs the same")


def test_a_percentile_falls_with_its_interval_or_says_what_it_lacks() -> None:
    def row(latencies: list[int]) -> dict[str, object]:
        sketch = pl.DataFrame({"side": "", "bucket": bucket_of(latencies), "calls": 1})
        return percentiles(sketch, ["side"]).filter(percentile=0.95).row(0, named=True)

    slow, fast = row(list(range(1000, 3000, 10))), row(list(range(100, 300)))
    found = of_percentiles(slow, fast)
    assert isinstance(found, Effect)
    assert found.value == pytest.approx(2890 - 289, rel=0.02) and 0 < found.low < found.value < found.high
    assert "needs 72 calls" in str(of_percentiles(slow, row([100] * 71)))


def test_what_was_picked_for_being_bad_has_to_be_better_than_that() -> None:
    """3 standard errors have p = 0.00135; among those of at least 2, which have 0.0228, 0.0593."""
    found = Effect(3, 3 - norm.ppf(0.975), 3 + norm.ppf(0.975), "score")
    assert found.chance() == pytest.approx(0.00135, abs=1e-5)
    assert found.chance(2) == pytest.approx(0.0593, abs=1e-4)
    assert found.chance(3) == found.chance(4) == 1.0


@pytest.mark.parametrize(
    ("figures", "level", "expected"),
    [
        ((0.12, 0.02, 0.07), 0.05, 3 + 1.645),  # half of 6 errors lies below the limit
        ((0.12, 0.02, 0.07), 0.5, 3.0),
        ((0.12, 0.02, 0.01), 0.5, 0.0),  # all of it lies above
        ((0.12, None, 0.07), 0.05, 1.645),
        ((0.12, 0.12, 0.07), 0.05, 1.645),
    ],
)
def test_from_where_on_a_period_is_picked(
    figures: tuple[float, float | None, float], level: float, expected: float
) -> None:
    found = Effect(6, 6 - norm.ppf(0.975), 9, "score")
    assert found.picked_from(*figures, level) == pytest.approx(expected, abs=1e-3)


def test_without_an_error_there_is_no_chance() -> None:
    assert Effect(1, 1, 1, "x").chance() == 0.0 and Effect(-1, -1, -1, "x").chance() == 1.0
    assert Effect(1, 1, 1, "x").picked_from(3, 1, 2, 0.05) == -inf
