import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from aiops_pipelines.drift.comparison import (
    Comparison,
    clustered,
    effective_clusters,
    holm,
    mix_alone,
    paired,
    paired_p_value,
    post_stratified,
    sign_flip_p,
    unseen_change,
)

PROBABILITIES = st.lists(st.floats(0, 1), min_size=1, max_size=12)
SCORES = st.lists(st.tuples(st.floats(0.3, 1), st.floats(0, 1)), min_size=50, max_size=80)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@given(PROBABILITIES)
def test_holm_lies_between_the_raw_p_and_bonferroni_and_keeps_the_order(p: list[float]) -> None:
    adjusted = holm(p)
    assert all(raw <= a <= min(1, raw * len(p)) + 1e-12 for raw, a in zip(p, adjusted, strict=True))
    assert all(adjusted[i] <= adjusted[j] for i in range(len(p)) for j in range(len(p)) if p[i] < p[j])


def test_paired_test_and_interval_agree_with_scipy(rng: np.random.Generator) -> None:
    before = rng.uniform(0.4, 1, 60)
    after = before - 0.03 + rng.normal(0, 0.1, 60)
    expected = stats.ttest_rel(0.98 * before, after, alternative="greater").pvalue
    assert paired(before, after).p_value(0.02) == pytest.approx(expected)
    assert paired_p_value(before, after, 0.02) == pytest.approx(expected)
    low, high = paired(before, after).interval()  # type: ignore[misc]
    for bound in (low, high):  # each end is the ratio that the two-sided test at 5 % just does not reject
        assert stats.ttest_rel((1 - bound) * before, after).pvalue == pytest.approx(0.05)


@given(SCORES, st.floats(0, 0.2))
def test_margin_is_rejected_exactly_when_it_lies_below_the_interval(
    pairs: list[tuple[float, float]], margin: float
) -> None:
    before, after = np.array(pairs).T
    compared = paired(before, after)
    bounds = compared.interval(0.9)
    p = compared.p_value(margin)
    if bounds and abs(p - 0.05) > 1e-6 and compared.standard_error(margin) > 1e-6:
        assert (p < 0.05) == (margin < bounds[0])


def test_worked_example_of_the_docstrings() -> None:
    compared = Comparison(0.80, 0.72, 0.0002, 0.0002, 0, 200, 100)
    assert compared.drop == pytest.approx(0.10)
    assert compared.standard_error(0.02) == pytest.approx(math.sqrt(0.9604 * 0.0002 + 0.0002))
    assert compared.p_value(0.02) == pytest.approx(0.0007, abs=5e-5)
    assert compared.interval() == pytest.approx((0.052, 0.146), abs=5e-4)
    assert compared.smallest_detectable_drop(0.02, 0.05) == pytest.approx(0.082, abs=5e-4)


def test_interval_is_unbounded_when_the_baseline_may_be_zero() -> None:
    assert Comparison(0.01, 0.0, 0.01, 0.0, 0, 30, 31).interval() is None


def test_equal_shift_of_every_pair_is_as_sure_as_the_sign_test() -> None:
    assert Comparison(1.0, 0.5, 0, 0, 0, 59, 60).p_value(0.02) == 0.5**60
    assert Comparison(0.5, 0.5, 0, 0, 0, 59, 60).p_value(0.02) == 1.0


def test_cluster_robust_variance_by_hand() -> None:
    before = clustered(
        np.array([1.0, 0, 1, 1]), ["a", "a", "b", "b"], np.array([1.0, 0, 1, 1]), ["c", "c", "d", "d"]
    )
    assert before.variance_baseline == pytest.approx(0.0625)
    assert before.variance_week == pytest.approx(0.0625)
    assert before.covariance == 0
    assert before.df == pytest.approx(2)  # (2v)^2 / (v^2 / 1 + v^2 / 1)


def test_users_seen_in_both_periods_give_a_covariance() -> None:
    values, users = np.array([1.0, 0, 1, 1]), ["a", "a", "b", "b"]
    assert clustered(values, users, values, users).covariance == pytest.approx(0.0625)
    assert clustered(values, users, values, users).standard_error(0) == 0


def test_own_clusters_reduce_to_welch(rng: np.random.Generator) -> None:
    before, after = rng.normal(0.8, 0.1, 40), rng.normal(0.7, 0.2, 30)
    compared = clustered(before, [f"b{i}" for i in range(40)], after, [f"w{i}" for i in range(30)])
    welch = stats.ttest_ind(before, after, equal_var=False, alternative="greater")
    assert compared.p_value(0) == pytest.approx(welch.pvalue)
    assert compared.df == pytest.approx(welch.df)


def test_a_week_is_held_against_its_own_mix_by_hand() -> None:
    users = [f"u{i}" for i in range(14)]
    baseline = np.array([0.9] * 8 + [0.4, 0.6] * 3)
    week = np.array([0.9, 0.5])
    compared = post_stratified(baseline, users, ["a"] * 8 + ["b"] * 6, week, ["v", "w"], ["a", "b"])
    assert (compared.baseline, compared.week, compared.drop) == pytest.approx((0.7, 0.7, 0))
    # noise of b's mean: half of the week, 6 scores 0.1 from 0.5, so 6/5 * 6 * (0.5 / 6 * 0.1)^2
    noise = 6 / 5 * 6 * (0.5 / 6 * 0.1) ** 2
    # the mix itself: two users 0.2 from 0.7, 2/1 * 2 * (0.2 / 2)^2, which the week's own mean shares
    assert compared.variance_baseline == pytest.approx(noise + 0.04)
    assert (compared.variance_week, compared.covariance) == pytest.approx((0.04, 0.04))
    assert compared.standard_error(0) == pytest.approx(noise**0.5)
    assert compared.units == 2


def test_who_makes_most_calls_of_a_stratum_counts_by_what_it_scores_without_them() -> None:
    baseline, users = np.array([0.8, 0.8, 0.8, 0.4]), ["x", "x", "x", "y"]
    compared = post_stratified(baseline, users, ["a"] * 4, np.array([0.7, 0.7]), ["v", "w"], ["a", "a"])
    # the mean is 0.7, without x 0.4 and without y 0.8
    assert compared.variance_baseline == pytest.approx((0.3**2 + 0.1**2) / 2)


def test_luck_of_a_thin_stratum_is_no_mix_by_hand() -> None:
    baseline, strata = np.array([0.5] * 6 + [0.9, 0.7]), ["a"] * 6 + ["b"] * 2
    mix = mix_alone(baseline, [f"u{i}" for i in range(8)], strata, ["v", "w"], ["b", "b"])
    assert (mix.baseline, mix.week) == pytest.approx((0.575, 0.8))
    # b's mean: two users 0.1 from it, 2/1 * 2 * (0.1 / 2)^2; there is no mix within the week
    assert mix.variance_week == pytest.approx(0.01)
    # its own mix: 6 calls 0.075 below and 2 calls 0.225 above, beside a quarter of that noise
    own = np.array([-0.075] * 6 + [0.225] * 2) / 8 * (8 / 7) ** 0.5
    noise = np.array([0.0] * 6 + [0.1, -0.1]) / 2 * 2**0.5
    assert mix.variance_baseline == pytest.approx(((own + noise / 4) ** 2).sum())
    assert mix.standard_error(0) == pytest.approx(((own - 0.75 * noise) ** 2).sum() ** 0.5)


def thin_weeks(rng: np.random.Generator, weeks: int) -> tuple[float, float]:
    """Shares of weeks with p below 5 %, of the drop and of the mix alone; no endpoint is harder, nothing fell.

    60 users of the baseline ask five times at one endpoint, 10 ask at a thin one, once each; 60 others make half
    of their five calls to each in the week.
    """
    alarms = np.zeros(2)
    old_users = np.concatenate([np.repeat(np.arange(60), 5), np.arange(60, 70)])
    new_users, kinds = np.repeat(np.arange(70, 130), 5), np.where(old_users < 60, "wide", "thin").tolist()
    for _ in range(weeks):
        effects = rng.normal(0, 0.1, 130)
        old, new = (
            0.65 + effects[users] + rng.normal(0, 0.3, len(users)) for users in (old_users, new_users)
        )
        asked, now = old_users.astype(str).tolist(), new_users.astype(str).tolist()
        shifted = rng.choice(["wide", "thin"], len(new)).tolist()
        alarms[0] += post_stratified(old, asked, kinds, new, now, shifted).p_value(0) < 0.05
        alarms[1] += mix_alone(old, asked, kinds, now, shifted).p_value(0) < 0.05
    return tuple(alarms / weeks)


def test_a_thin_endpoint_raises_few_false_alarms(rng: np.random.Generator) -> None:
    # a true rate of 5 % passes 8.5 % less than once in a hundred runs of 300
    assert max(thin_weeks(rng, 300)) <= 0.085


def test_a_stratum_that_the_baseline_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks"):
        post_stratified(np.ones(2), ["u", "v"], ["a", "a"], np.ones(2), ["u", "v"], ["a", "b"])


@given(st.lists(st.integers(1, 50), min_size=2, max_size=30))
def test_effective_clusters_are_at_most_the_clusters(sizes: list[int]) -> None:
    effective = effective_clusters(np.array(sizes, dtype=float))
    assert 1 <= effective <= len(sizes) + 1e-9
    assert effective_clusters(np.full(len(sizes), 7.0)) == pytest.approx(len(sizes))


def test_sign_flips_by_hand_and_beside_the_exact_enumeration() -> None:
    assert sign_flip_p(np.ones(3)) == pytest.approx(1 / 8, abs=0.02)
    contrasts = np.array([0.3, -0.1, 0.2, 0.4, 0.05, -0.02, 0.1, 0.25])
    signs = np.array(np.meshgrid(*[[-1, 1]] * 8)).reshape(8, -1).T
    exact = (signs @ contrasts >= contrasts.sum() - 1e-12).mean()
    assert sign_flip_p(contrasts) == pytest.approx(exact, abs=0.01)
    assert sign_flip_p(contrasts) == sign_flip_p(contrasts)


def test_small_sets_use_sign_flips() -> None:
    before, after = np.full(20, 0.9), np.full(20, 0.5)
    assert paired_p_value(before, after, 0.02) == pytest.approx(1e-4)


@given(st.integers(1, 2000), st.floats(0.001, 0.2))
def test_unseen_change_is_where_seeing_nothing_has_chance_alpha(n: int, alpha: float) -> None:
    assert (1 - unseen_change(n, alpha)) ** n == pytest.approx(alpha)


def test_rule_of_three() -> None:
    assert unseen_change(150, 0.05) == pytest.approx(0.0198, abs=1e-4)


def weekly_production(rng: np.random.Generator, users: np.ndarray, effects: np.ndarray) -> np.ndarray:
    return np.clip(0.8 + effects[users] + rng.normal(0, 0.15, len(users)), 0, 1)


def false_alarms(rng: np.random.Generator, weeks: int, metrics: int, margin: float) -> float:
    """Share of stable weeks with any alarm: 150 users with effects of their own, 300 calls, 4 weeks of baseline."""
    alarms = 0
    for _ in range(weeks):
        effects = rng.normal(0, 0.1, (metrics, 150))
        before, after = rng.integers(0, 150, 1200), rng.integers(0, 150, 300)
        p = []
        for metric in range(metrics):
            old, new = (
                weekly_production(rng, before, effects[metric]),
                weekly_production(rng, after, effects[metric]),
            )
            p.append(
                clustered(old, before.astype(str).tolist(), new, after.astype(str).tolist()).p_value(margin)
            )
        alarms += min(holm(p)) < 0.05
    return alarms / weeks


def test_stable_weeks_raise_few_false_alarms(rng: np.random.Generator) -> None:
    # 400 weeks without any margin: a true rate of 5 % passes 7.5 % once in a hundred runs
    assert false_alarms(rng, 400, 2, margin=0.0) <= 0.075


def test_ignoring_the_users_would_raise_many(rng: np.random.Generator) -> None:
    # the same weeks when only one user in thirty is active: calls are far from independent
    alarms = robust = 0
    for _ in range(200):
        effects = rng.normal(0, 0.1, 200)
        before, after = np.repeat(np.arange(160), 5), np.repeat(np.arange(160, 200), 5)
        old, new = weekly_production(rng, before, effects), weekly_production(rng, after, effects)
        alarms += stats.ttest_ind(old, new, alternative="greater").pvalue < 0.05
        robust += (
            clustered(old, before.astype(str).tolist(), new, after.astype(str).tolist()).p_value(0) < 0.05
        )
    assert robust / 200 <= 0.09 < alarms / 200


def mixed_weeks(rng: np.random.Generator, weeks: int, shift: float, lost: float = 0.0) -> tuple[float, float]:
    """Shares of weeks with p below 5 %, held against the same mix and as they come; no margin.

    80 users with effects of their own, 240 calls a week, four weeks of baseline. An easy endpoint scores 0.85
    and a hard one 0.55; users have a liking for one of them, and the hard one's share is 0.3, then `shift`
    more. `lost` is taken from every score of the week.
    """
    alarms = np.zeros(2)
    for _ in range(weeks):
        effects, liking = rng.normal(0, 0.1, 80), rng.uniform(-0.2, 0.2, 80)
        sides = []
        for calls, share, less in ((960, 0.3, 0.0), (240, 0.3 + shift, lost)):
            users = rng.integers(0, 80, calls)
            hard = rng.random(calls) < share + liking[users]
            values = np.where(hard, 0.55, 0.85) + effects[users] + rng.normal(0, 0.15, calls) - less
            names = users.astype(str).tolist()
            sides.append((values, names, np.where(hard, "hard", "easy").tolist()))
        (old, asked, kinds), (new, now, shifted) = sides
        alarms[0] += post_stratified(old, asked, kinds, new, now, shifted).p_value(0) < 0.05
        alarms[1] += clustered(old, asked, new, now).p_value(0) < 0.05
    return tuple(alarms / weeks)


def test_another_mix_is_no_drop(rng: np.random.Generator) -> None:
    # a true rate of 5 % passes 8.5 % less than once in a hundred runs of 300
    same_mix, as_it_comes = mixed_weeks(rng, 300, shift=0.3)
    assert same_mix <= 0.085 and as_it_comes > 0.9


def test_a_drop_is_seen_behind_an_easier_mix(rng: np.random.Generator) -> None:
    same_mix, as_it_comes = mixed_weeks(rng, 100, shift=-0.2, lost=0.06)
    assert same_mix > 0.8 and as_it_comes < 0.3


@pytest.mark.slow
@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_false_alarms_over_many_weeks_of_a_mix(rng: np.random.Generator, shift: float) -> None:
    assert mixed_weeks(rng, 4000, shift)[0] <= 0.06


@pytest.mark.slow
@pytest.mark.parametrize("margin", [0.0, 0.02])
def test_false_alarms_over_many_stable_weeks(rng: np.random.Generator, margin: float) -> None:
    rate = false_alarms(rng, 2000, 10, margin)
    assert rate <= (0.06 if margin == 0 else 0.01)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "drop", "expected"),
    [(100, 0.05, 0.27), (100, 0.10, 0.84), (200, 0.05, 0.69), (300, 0.05, 0.91), (300, 0.10, 1.0)],
)
def test_power_on_known_queries(rng: np.random.Generator, n: int, drop: float, expected: float) -> None:
    """Power at Holm's worst alpha of 0.005 where a share of the answers goes wrong; baseline of five runs."""
    found = 0
    for _ in range(2000):
        quality = rng.beta(8, 2, n)
        before = np.clip(quality + rng.normal(0, 0.08, (5, n)), 0, 1).mean(axis=0)
        after = np.clip(quality + rng.normal(0, 0.08, n), 0, 1) * (rng.uniform(size=n) >= drop)
        found += paired(before, after).p_value(0) < 0.005
    assert found / 2000 == pytest.approx(expected, abs=0.12)
