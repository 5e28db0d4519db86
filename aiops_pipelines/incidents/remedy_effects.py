"""How much better a measure is after a remedy than before it, with a 95 % interval; positive is better.

Means, shares and percentiles have their intervals from `drift.comparison`, `rag.comparisons`,
`monitoring.intervals` and `monitoring.sketch`; here two of them become a difference.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from aiops_pipelines.drift.comparison import CONFIDENCE, Comparison, clustered
from aiops_pipelines.monitoring.intervals import clustered_share_interval
from aiops_pipelines.rag.comparisons import difference

Floats = NDArray[np.float64]
FEWEST_DAYS = 7
"""A week: fewer days say little of how days vary."""
TAIL = (1 + CONFIDENCE) / 2
Bounds = tuple[float, float, float]
"""Value, low and high."""


@dataclass(frozen=True)
class Effect:
    """An improvement with its interval; `freedom` are the degrees of freedom of its error."""

    value: float
    low: float
    high: float
    unit: str
    freedom: float = inf

    @property
    def error(self) -> float:
        """Standard error that the interval's lower half stands for: that half decides whether it is one."""
        return (self.value - self.low) / _quantile(TAIL, self.freedom)

    def chance(self, picked: float = -inf) -> float:
        """Return the one-sided p of no improvement; `picked` is as `picked_from` gives it.

        Where the period before was looked at because it broke a limit, an effect of at least `picked`
        standard errors was bound to be there if the period since is as usual. What counts is the chance of
        one as large as seen among these: P(T >= t) / P(T >= picked), the truncated distribution (Fithian, Sun
        and Taylor 2014, "Optimal inference after model selection").

        Worked example: 3 standard errors have p = 0.00135. If 2 were bound to be there, p is 0.00135 / 0.0228
        = 0.059: most likely it passed by itself.
        """
        if self.error <= 0:
            return 0.0 if self.value > 0 else 1.0
        t = self.value / self.error
        return 1.0 if t <= picked else _above(t, self.freedom) / max(_above(picked, self.freedom), 1e-300)

    def picked_from(
        self, before: float | None, after: float | None, limit: float | None, level: float
    ) -> float:
        """Return from how many standard errors on a single period before would have been picked.

        It had to lie beyond the limit, and beyond chance at the rule's own level: 0.5 for a rule that takes
        any excess. Figures of the rule, in whatever unit, say how much of the effect lies below the limit.

        Worked example: an effect of 6 errors while the rule's figure fell from 0.12 to 0.02 at a limit of
        0.07: half of it, 3, lies below the limit. A rule that tests at 5 % adds 1.645: 4.6.
        """
        below = 0.0
        if None not in (before, after, limit) and before != after:
            below = min(1.0, max(0.0, (limit - after) / (before - after)))  # type: ignore[operator]
        t = self.value / self.error if self.error > 0 else inf
        return below * t + float(ndtri(1 - level)) if isfinite(t) else -inf


def _quantile(probability: float, freedom: float) -> float:
    return float(stdtrit(freedom, probability) if isfinite(freedom) else ndtri(probability))


def _above(t: float, freedom: float) -> float:
    return float(stdtr(freedom, -t) if isfinite(freedom) else ndtr(-t))


def of_scores(compared: Comparison, unit: str) -> Effect:
    """Return how much higher the later mean is than the earlier; the interval is Student's t on its error."""
    gain, half = compared.week - compared.baseline, compared.standard_error(0)
    half *= _quantile(TAIL, compared.df)
    return Effect(gain, gain - half, gain + half, unit, compared.df)


def of_pairs(before: Floats, after: Floats, unit: str) -> Effect:
    """Return how much higher the same queries score, pair by pair: 0.5, 0.5 and 0.6, 0.8 make 0.2."""
    return Effect(*difference(after, before), unit, len(before) - 1)


def of_costs(before: Floats, after: Floats) -> Effect | str:
    """Return how much less a day costs; each day is one observation, whatever its weekday."""
    if min(len(before), len(after)) < FEWEST_DAYS:
        return (
            f"there are {len(before)} priced days before and {len(after)} since, and {FEWEST_DAYS} are needed"
        )
    names = [str(number) for number in range(len(before) + len(after))]
    compared = clustered(after, names[len(before) :], before, names[: len(before)])
    if compared.standard_error(0) == 0:
        return "every day costs the same, so nothing says how far chance goes"
    return of_scores(compared, "USD a day")


def of_shares(
    before: Sequence[bool], users_before: Sequence[str], after: Sequence[bool], users_after: Sequence[str]
) -> Effect | str:
    """Return by how much a share of calls fell; the calls of one user hang together."""
    found = []
    for hits, users in ((before, users_before), (after, users_after)):
        if len(set(users)) < 2:
            return "the calls are of fewer than two users, so nothing says how far chance goes"
        found.append((float(np.mean(hits)), *clustered_share_interval(hits, users)))
    return apart(found[0], found[1], "share of calls")


def of_percentiles(before: Mapping[str, Any], after: Mapping[str, Any]) -> Effect | str:
    """Return by how much a percentile fell, from two rows of `monitoring.sketch.percentiles`."""
    for row in (before, after):
        if row["value_ms"] is None:
            return str(row["reason"])
    was, now = ((row["value_ms"], row["low_ms"], row["high_ms"]) for row in (before, after))
    return apart(was, now, "ms")


def apart(before: Bounds, after: Bounds, unit: str) -> Effect:
    """Return the fall from one figure to another, each with its own interval (value, low, high).

    The halves that face each other are squared and added (MOVER: Zou and Donner, Statistics in Medicine 27,
    2008; for shares Newcombe 1998), which needs no symmetry and holds at a share of 0.

    Worked example: from 0.30 (0.21 to 0.40) to 0.10 (0.05 to 0.18) is 0.20, from 0.20 - sqrt(0.09^2 +
    0.08^2) = 0.080 to 0.20 + sqrt(0.10^2 + 0.05^2) = 0.312.
    """
    (was, was_low, was_high), (now, now_low, now_high) = before, after
    value = was - now
    low = value - sqrt((was - was_low) ** 2 + (now_high - now) ** 2)
    return Effect(value, low, value + sqrt((was_high - was) ** 2 + (now - now_low) ** 2), unit)
