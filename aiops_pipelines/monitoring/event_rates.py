"""Whether rare events come less often than they did: a period against those before it, and a trend.

Counts of periods are compared by rate, for periods are not equally long or busy. They vary more than
Poisson's where events come in bursts, so both tests are scaled by Pearson's dispersion and judged by
Student's t with its degrees of freedom (quasi-likelihood; McCullagh and Nelder, Generalized Linear Models,
1989, chapter 9).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import betainc, ndtri, stdtr, stdtrit

Real = npt.NDArray[np.float64]
CONFIDENCE = 0.95
STEEPEST = 5.0
"""Slopes are looked for up to exp(5), 148 times as many events from one period to the next."""


def dispersion(events: Sequence[int], exposures: Sequence[float]) -> float:
    """Return Pearson's chi square around one common rate over its degrees of freedom, at least 1.

    Worked example: 4, 6, 5 and 13 events of equal exposure have the mean 7; (9 + 1 + 4 + 36) / 7 / 3 = 2.38.
    """
    x, e = np.asarray(events, dtype=np.float64), np.asarray(exposures, dtype=np.float64)
    expected = e * x.sum() / e.sum()
    return max(1.0, float(((x - expected) ** 2 / expected).sum()) / (len(x) - 1)) if x.sum() else 1.0


def chance_of_so_few(now: int, exposure: float, before: Sequence[int], exposures: Sequence[float]) -> float:
    """Return the one-sided p value of as few events as now, at the rate of the periods before.

    Given the events of both together, those of now are binomial with their share of the exposure
    (Przyborowski and Wilenski, Biometrika 31, 1940). Counts are divided by the dispersion phi: bursts of phi
    events are phi times fewer independent ones. The p value's normal deviate is then read on Student's t,
    for phi is estimated.

    Worked example: 0 after 10, 10, 10 and 10 of equal exposure: (4/5)^40 = 0.000133, a deviate of -3.65,
    which is 0.0178 on t with 3 degrees of freedom.

    Args:
        now: events of the period.
        exposure: of the period, above 0; for instance calls.
        before: events of earlier periods, two of them at least.
        exposures: of those.
    """
    total = float(sum(before))
    if not total:
        return 1.0
    phi = dispersion(before, exposures)
    share = exposure / (exposure + sum(exposures))
    p = float(betainc(total / phi, now / phi + 1, 1 - share))
    return float(stdtr(len(before) - 1, ndtri(p)))


@dataclass(frozen=True)
class Trend:
    """Relative change of a rate from one period to the next with its interval, and the chance of such a fall.

    An end of the interval is None where no slope is too steep. `independent` is how many independent events
    the counts are worth: events over the dispersion.
    """

    change: float
    low: float | None
    high: float | None
    chance: float
    independent: float


def trend(events: Sequence[int], exposures: Sequence[float]) -> Trend | None:
    """Return the log-linear trend of a rate, or None where nothing can be fitted.

    log rate = a + b t by quasi-Poisson regression with the exposure as offset. For each b the best a is
    known, l(b) = b sum(t x) - N log(sum(e exp(b t))), so the slope, its interval (profile likelihood) and
    the test of b = 0 (signed root of the likelihood ratio, over the dispersion at the fit) need one
    dimension only (McCullagh and Nelder, 1989, chapters 6 and 9).

    Args:
        events: of each period, in order.
        exposures: of each, above 0.
    """
    x, e = np.asarray(events, dtype=np.float64), np.asarray(exposures, dtype=np.float64)
    n, freedom = float(x.sum()), len(x) - 2
    if not n or freedom < 1:
        return None
    t = np.arange(len(x), dtype=np.float64) - np.float64((len(x) - 1) / 2)
    slope = _slope(x, e, t)
    fitted = n * _weights(slope, e, t)
    phi = max(1.0, float(((x - fitted) ** 2 / np.maximum(fitted, 1e-9)).sum()) / freedom)
    best = _likelihood(slope, x, e, t)

    def deviate(b: float) -> float:
        return sqrt(max(0.0, 2 * (best - _likelihood(b, x, e, t)) / phi))

    widest = float(stdtrit(freedom, (1 + CONFIDENCE) / 2))
    ends: list[float | None] = []
    for bound in (-STEEPEST, STEEPEST):
        inside = deviate(bound) <= widest
        ends.append(None if inside else float(brentq(lambda b: deviate(b) - widest, bound, slope)))
    falls = deviate(0.0) if slope < 0 else -deviate(0.0)
    low, high = (None if end is None else float(np.expm1(end)) for end in ends)
    return Trend(float(np.expm1(slope)), low, high, float(stdtr(freedom, -falls)), n / phi)


def _weights(b: float, e: Real, t: Real) -> Real:
    """Return each period's share of all events under a slope."""
    raw = e * np.exp(b * t - np.max(b * t))
    return np.asarray(raw / raw.sum(), dtype=np.float64)


def _likelihood(b: float, x: Real, e: Real, t: Real) -> float:
    top = float(np.max(b * t))
    return b * float(t @ x) - float(x.sum()) * (top + log(float((e * np.exp(b * t - top)).sum())))


def _slope(x: Real, e: Real, t: Real) -> float:
    """Return the slope at which the mean time of events is as observed, within the steepest."""
    mean = float(t @ x) / float(x.sum())

    def off(b: float) -> float:
        return float(t @ _weights(b, e, t)) - mean

    if off(-STEEPEST) >= 0:
        return -STEEPEST
    return STEEPEST if off(STEEPEST) <= 0 else float(brentq(off, -STEEPEST, STEEPEST))
