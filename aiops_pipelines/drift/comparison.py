"""Two means compared: paired over known queries, or by clusters of users in production.

Tests, intervals and the smallest drop that would be found live here; what they mean for a week lives in
`verdict`. Throughout, the drop is relative, 1 - week / baseline, and a stable system may drop by up to a
tolerated margin.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]

POWER = 0.8
CONFIDENCE = 0.95
SIGN_FLIPS = 9_999
SIGN_FLIPS_BELOW = 50
"""Pairs from which on the t distribution is good enough for scores that are often 0 or 1."""


@dataclass(frozen=True)
class Comparison:
    """A baseline mean and a week's mean with the variances and the covariance of their errors.

    `units` is the number of independent observations (queries, or the smaller number of user clusters) and
    `df` the degrees of freedom of the variance.
    """

    baseline: float
    week: float
    variance_baseline: float
    variance_week: float
    covariance: float
    df: float
    units: int

    @property
    def drop(self) -> float:
        """Relative drop: a baseline of 0.80 and a week of 0.72 make 0.10."""
        return 1 - self.week / self.baseline

    def standard_error(self, margin: float) -> float:
        """Return the standard error of (1 - margin) * baseline - week, in the unit of the scores."""
        kept = 1 - margin
        variance = kept**2 * self.variance_baseline - 2 * kept * self.covariance + self.variance_week
        return math.sqrt(max(0.0, variance))

    def p_value(self, margin: float) -> float:
        """Return the one-sided p of H0: the relative drop is at most `margin`.

        The drop exceeds the margin exactly when (1 - margin) * baseline - week > 0, a linear contrast, so its
        t test needs no approximation for the ratio (Fieller 1954), and the noise of the frozen baseline
        counts. p never goes below 2^-units, the sign test's p when every unit falls.

        Worked example: baseline 0.80, week 0.72, margin 0.02, both variances 0.0002, no covariance, df 200.
        The contrast is 0.98 * 0.80 - 0.72 = 0.064, its error sqrt(0.9604 * 0.0002 + 0.0002) = 0.0198, t =
        3.23, p = 0.0007.
        """
        contrast, error = (1 - margin) * self.baseline - self.week, self.standard_error(margin)
        if error == 0:
            return 1.0 if contrast <= 0 else 0.5**self.units
        return max(float(stdtr(self.df, -contrast / error)), 0.5**self.units)

    def interval(self, confidence: float = CONFIDENCE) -> tuple[float, float] | None:
        """Return the two-sided interval of the relative drop, or None when the baseline mean may be zero.

        Every ratio q = week / baseline that the t test does not reject is inside (Fieller 1954): the q
        between the roots of (q b - w)^2 = t^2 (q^2 Vb - 2 q C + Vw). Scores are never negative: 1 is most.

        Worked example: as in `p_value`; t = 1.972, the roots are q = 0.8542 and 0.9480, the drop 5.2 to 14.6
        %.
        """
        t2 = float(stdtrit(self.df, (1 + confidence) / 2)) ** 2
        a = self.baseline**2 - t2 * self.variance_baseline
        b = self.baseline * self.week - t2 * self.covariance
        c = self.week**2 - t2 * self.variance_week
        if a <= 0:
            return None
        root = math.sqrt(max(0.0, b * b - a * c))
        return 1 - (b + root) / a, min(1.0, 1 - (b - root) / a)

    def smallest_detectable_drop(self, margin: float, alpha: float, power: float = POWER) -> float:
        """Return the relative drop that a test at level `alpha` finds with the given power.

        It is margin + (t[1 - alpha] + t[power]) * error / baseline, the power formula of Miller (2024,
        arXiv:2411.00640, section 5) around a margin.

        Worked example: as in `p_value` at alpha 0.05: 0.02 + (1.653 + 0.843) * 0.0198 / 0.80 = 0.082.
        """
        quantiles = float(stdtrit(self.df, 1 - alpha) + stdtrit(self.df, power))
        return margin + quantiles * self.standard_error(margin) / self.baseline


def paired(baseline: Floats, week: Floats) -> Comparison:
    """Compare the same queries before and now; position i of both arrays is query i.

    Pairing takes the difficulty of the queries out of the noise (Miller 2024, section 4.2). The query is the
    unit: runs of one query are averaged before they come here.
    """
    n = len(baseline)
    (vb, cov), (_, vw) = np.cov(baseline, week) / n
    return Comparison(float(baseline.mean()), float(week.mean()), float(vb), float(vw), float(cov), n - 1, n)


def clustered(
    baseline: Floats, baseline_clusters: Sequence[str], week: Floats, week_clusters: Sequence[str]
) -> Comparison:
    """Compare two sets of production calls whose scores hang together by user.

    The variance of each mean sums over users how far it moves without them (the jackknife by clusters, CV3 of
    MacKinnon, Nielsen & Webb 2023; Miller 2024, section 2.2, for clusters of one size); users seen in both
    periods give the covariance. Degrees of freedom follow Welch (1947) and Satterthwaite (1946) on the
    effective number of clusters (`effective_clusters`).

    Worked example, one period: scores 1, 0 of user a and 1, 1 of user b. The mean is 0.75, without a 1 and
    without b 0.5. Variance: 1/2 * (0.25^2 + 0.25^2) = 0.0625.
    """
    alike = [""] * max(len(baseline), len(week))
    strata = alike[: len(baseline)], alike[: len(week)]
    return post_stratified(baseline, baseline_clusters, strata[0], week, week_clusters, strata[1])


def post_stratified(
    baseline: Floats,
    baseline_clusters: Sequence[str],
    baseline_strata: Sequence[str],
    week: Floats,
    week_clusters: Sequence[str],
    week_strata: Sequence[str],
) -> Comparison:
    """Compare a week with what the baseline scored on the week's own mix of strata, by clusters of users.

    The baseline mean is that of its strata, each with its share of the week (Holt & Smith 1979, direct
    standardisation), so another mix alone is no drop. Its error is the noise of the strata's means and that
    of the week's mix, which the week's own mean shares.

    Worked example: stratum a scored 0.9 and b 0.5. A week of 5 calls of each is held against 0.7, whatever
    the baseline's mix was.

    Raises:
        ValueError: the week has a stratum that the baseline lacks.
    """
    users, (of_baseline, of_week) = _codes(baseline_clusters, week_clusters)
    strata, (known, now) = _codes(baseline_strata, week_strata)
    means, noise, weights = _standardised(baseline, known, of_baseline, now, strata, users)
    mix, moved = (_errors(values, of_week, users) for values in (means[now], week))
    calls = np.bincount(of_week, minlength=users)
    errors, own = noise + mix, moved - mix
    df = _degrees(float(noise @ noise), weights, float(own @ own), calls)
    units = int(min((weights > 0).sum(), (calls > 0).sum()))
    return _compared(means[now], week, errors, moved, df, units)


def mix_alone(
    baseline: Floats,
    baseline_clusters: Sequence[str],
    baseline_strata: Sequence[str],
    week_clusters: Sequence[str],
    week_strata: Sequence[str],
) -> Comparison:
    """Compare what the baseline scored on its own mix of strata and on the week's (Kitagawa 1955).

    Answers of the week do not matter. The noise of the strata's means counts, as far as the mix moved, beside
    that of both mixes: ten users who were lucky in the baseline make no endpoint an easy one.

    Worked example: a scored 0.9 and b 0.5; from 80:20 to 50:50 the mean falls from 0.82 to 0.70, by 15 %.
    """
    users, (of_baseline, of_week) = _codes(baseline_clusters, week_clusters)
    strata, (known, now) = _codes(baseline_strata, week_strata)
    means, noise, weights = _standardised(baseline, known, of_baseline, now, strata, users)
    mix, calls = _errors(means[now], of_week, users), np.bincount(of_week, minlength=users)
    before = _standardised(baseline, known, of_baseline, known, strata, users)[1]
    before += _errors(means[known], of_baseline, users)
    own = before - noise
    df = _degrees(float(own @ own), weights, float(mix @ mix), calls)
    units = int(min((weights > 0).sum(), (calls > 0).sum()))
    return _compared(means[known], means[now], before, noise + mix, df, units)


def _codes(baseline: Sequence[str], week: Sequence[str]) -> tuple[int, tuple[Codes, Codes]]:
    """Return how many different names there are, and a number for each name of both periods."""
    names, codes = np.unique([*baseline, *week], return_inverse=True)
    return len(names), (codes[: len(baseline)], codes[len(baseline) :])


def _standardised(
    values: Floats, known: Codes, of: Codes, now: Codes, strata: int, users: int
) -> tuple[Floats, Floats, Floats]:
    """Return the means of the strata, the noise of their mean on the mix of `now`, and what each user weighs.

    The noise is by user and its squares add up to the variance: how far each stratum's mean moves without the
    user. By residuals alone, who makes most of a stratum's calls draws its mean along and has hardly any.
    """
    sizes = np.bincount(known, minlength=strata)
    shares = np.bincount(now, minlength=strata) / len(now)
    if (sizes[shares > 0] == 0).any():
        raise ValueError("The week has a stratum that the baseline lacks.")
    means = np.bincount(known, weights=values, minlength=strata) / np.maximum(sizes, 1)
    pairs, pair = np.unique(known * users + of, return_inverse=True)
    stratum, user = np.divmod(pairs, users)
    share, others = shares[stratum] / sizes[stratum], 1 - np.bincount(pair) / sizes[stratum]
    groups = np.bincount(stratum, minlength=strata)[stratum]
    scale = np.sqrt(1 - 1 / groups) / np.where(groups > 1, others, 1)
    sums = np.bincount(pair, weights=values - means[known])
    noise = np.bincount(user, weights=share * scale * sums, minlength=users)
    weights = np.bincount(of, weights=(shares / np.maximum(sizes, 1))[known], minlength=users)
    return means, noise.astype(np.float64), weights.astype(np.float64)


def _errors(values: Floats, of: Codes, users: int) -> Floats:
    """Return the noise of a mean by user, whose squares add up to the variance."""
    alike = np.zeros(len(values), dtype=np.intp)
    return _standardised(values, alike, of, alike, 1, users)[1]


def _degrees(vb: float, weights: Floats, vw: float, calls: Codes) -> float:
    """Return the degrees of freedom of two variances together, by what each user weighs in both periods."""
    free_b, free_w = effective_clusters(weights) - 1, effective_clusters(calls) - 1
    return (vb + vw) ** 2 / (vb**2 / free_b + vw**2 / free_w) if vb + vw > 0 else min(free_b, free_w)


def _compared(
    before: Floats, now: Floats, errors: Floats, moved: Floats, df: float, units: int
) -> Comparison:
    means = float(before.mean()), float(now.mean())
    return Comparison(*means, float(errors @ errors), float(moved @ moved), float(errors @ moved), df, units)


def effective_clusters(sizes: Floats | Codes) -> float:
    """Return n^2 / sum of squared cluster sizes: the number of clusters, fewer when some are much larger.

    A user with most of the calls leaves few independent observations (Carter, Schnepel & Steigerwald 2017).
    Worked example: sizes 8, 1, 1 count as 100 / 66 = 1.5 clusters, sizes 5, 5 as 2.
    """
    return float(sizes.sum() ** 2 / (sizes**2).sum())


def sign_flip_p(contrasts: Floats, seed: int = 0) -> float:
    """Return the one-sided p of H0: the contrasts lie symmetrically around zero or below it.

    Every sign pattern is as likely as the one seen (Fisher 1935); p = (1 + patterns with a mean at least as
    high) / (1 + patterns drawn) (Phipson & Smyth 2010), over 9,999 seeded patterns.

    Worked example: the contrasts 1, 1, 1 are matched only by themselves among 8 patterns: p is about 1/8.
    """
    signs = np.random.default_rng(seed).integers(0, 2, (SIGN_FLIPS, len(contrasts)), dtype=np.int8) * 2 - 1
    reached = int((signs @ contrasts >= contrasts.sum() - 1e-12).sum())
    return (1 + reached) / (1 + SIGN_FLIPS)


def paired_p_value(baseline: Floats, week: Floats, margin: float, seed: int = 0) -> float:
    """Return the one-sided p of H0: the drop is at most `margin`; by sign flips below 50 pairs, else by t."""
    if len(baseline) < SIGN_FLIPS_BELOW:
        return sign_flip_p((1 - margin) * baseline - week, seed)
    return paired(baseline, week).p_value(margin)


def unseen_change(n: int, alpha: float) -> float:
    """Return the largest share of changed queries that n queries without any change leave possible.

    A share s stays unseen with chance (1 - s)^n, which is alpha at s = 1 - alpha^(1/n), about 3 / n at 5 %
    (Hanley & Lippman-Hand 1983). Worked example: 150 unchanged queries at 5 %: 0.0198.
    """
    return 1 - float(alpha ** (1 / n))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p values in the given order.

    Comparing them with alpha keeps the chance of any false alarm below alpha, however the metrics hang
    together (Holm 1979).

    Worked example: 0.01, 0.04, 0.03 sorted are 0.01, 0.03, 0.04; times 3, 2, 1: 0.03, 0.06, 0.04; made
    non-decreasing: 0.03, 0.06, 0.06; in the given order: 0.03, 0.06, 0.06.
    """
    order = np.argsort(p_values, kind="stable")
    steps = np.asarray(p_values, dtype=np.float64)[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return [float(p) for p in adjusted]
