"""95 % intervals of shares and percentiles that hold for any number of calls and any shape of latency.

All but `clustered_share_interval` take calls as independent. Calls of one outage or one user hang together,
so true intervals are wider.
"""

from collections.abc import Sequence
from math import ceil, log

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr, bdtrc, bdtrik, betaincinv, gammaln, stdtrit

CONFIDENCE = 0.95

Whole = npt.NDArray[np.int64]
Real = npt.NDArray[np.float64]


def share_interval(
    hits: npt.ArrayLike, calls: npt.ArrayLike, confidence: float = CONFIDENCE
) -> tuple[Real, Real]:
    """Return the exact interval of a share (Clopper and Pearson, Biometrika 26, 1934), NaN without calls.

    It covers the truth at least as often as it says, also at 0 hits. Worked example: 0 of 70 calls gives
    0 to 1 - 0.025^(1/70) = 0.0513.

    Args:
        hits: how many, from 0 to calls.
        calls: of how many.
        confidence: from 0 to 1.
    """
    x, n = np.asarray(hits, dtype=np.float64), np.asarray(calls, dtype=np.float64)
    tail = (1 - confidence) / 2
    with np.errstate(invalid="ignore"):
        low = np.where(x > 0, betaincinv(np.maximum(x, 1), n - x + 1, tail), 0.0)
        high = np.where(x < n, betaincinv(x + 1, np.maximum(n - x, 1), 1 - tail), 1.0)
    return np.where(n > 0, low, np.nan), np.where(n > 0, high, np.nan)


def clustered_share_interval(
    hits: npt.ArrayLike, clusters: Sequence[str], confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Return the interval of a share whose observations hang together by cluster, NaN below two clusters.

    It is the exact interval on the effective sample size of Korn and Graubard (Survey Methodology 24, 1998):
    n divided by the design effect, which is the cluster-robust variance (Liang and Zeger 1986) over that of
    independent observations and never below 1, and by the squared ratio of the t quantiles on clusters - 1
    and n - 1. Where all observations are alike the variance says nothing; then the size is
    n^2 / sum of squared cluster sizes, the number of clusters where they are of one size.

    Worked example: no hit among 4 clusters of 25. 4 count, t is 3.182 on 3 and 1.984 on 99, so 4 * 0.389 =
    1.555 observations: 0 to 1 - 0.025^(1/1.555) = 0.907.

    Args:
        hits: 0 or 1 of each observation.
        clusters: the cluster of each.
        confidence: from 0 to 1.
    """
    x = np.asarray(hits, dtype=np.float64)
    codes = np.unique(clusters, return_inverse=True)[1]
    sizes = np.bincount(codes).astype(np.float64)
    n, groups, share = len(x), len(sizes), float(x.mean()) if len(x) else np.nan
    if groups < 2:
        return np.nan, np.nan
    if 0 < share < 1:
        sums = np.bincount(codes, weights=x - share) / n
        robust = float(sums @ sums) * groups / (groups - 1)
        size = n / max(1.0, robust / (share * (1 - share) / n))
    else:
        size = n**2 / float(sizes @ sizes)
    tail = (1 - confidence) / 2
    size *= float(stdtrit(n - 1, 1 - tail) / stdtrit(groups - 1, 1 - tail)) ** 2
    k = share * size
    low = float(betaincinv(k, size - k + 1, tail)) if share > 0 else 0.0
    return low, float(betaincinv(k + 1, size - k, 1 - tail)) if share < 1 else 1.0


def calls_needed(quantile: float, confidence: float = CONFIDENCE) -> int:
    """Return the fewest calls that give a percentile an interval: 6 for the median, 72 for p95, 368 for p99.

    With n calls no interval reaches beyond the slowest one, and that lies below the true percentile with
    probability q^n; the other tail is (1 - q)^n. Both have to be within the interval's error, 2.5 % each:
    0.95^72 = 0.0249.
    """
    return ceil(log((1 - confidence) / 2) / log(max(quantile, 1 - quantile)))


def percentile_ranks(
    calls: npt.ArrayLike, quantile: float, confidence: float = CONFIDENCE
) -> tuple[Whole, Whole, Whole]:
    """Return the ranks (1 is the fastest) of a percentile and of the ends of its interval.

    The number of calls below the true percentile is binomial(n, q), whatever the latencies' distribution, so
    the calls of these ranks hold it between them with the confidence or more (David and Nagaraja, Order
    Statistics, 2003, section 7.1). The percentile has rank ceil(q n), type 1 of Hyndman and Fan (1996).
    Worked example: the median of 10 calls has rank 5 and its interval reaches from rank 2 to rank 9, because
    P(B <= 1) = 11/1024 = 0.011 and P(B <= 2) = 0.055. An end that does not exist has rank 0.
    """
    n, tail = np.asarray(calls, dtype=np.int64), (1 - confidence) / 2
    low, high = _most_below(tail, n, quantile), _most_below(1 - tail, n, quantile) + 1
    middle = np.ceil(np.round(quantile * n, 9)).astype(np.int64)
    return np.maximum(middle, 1), low, np.where(high > n, 0, high)


def _most_below(probability: float, calls: Whole, quantile: float) -> Whole:
    """Return the least k with P(B <= k) at the probability or above, for B binomial(calls, quantile)."""
    k = np.ceil(bdtrik(probability, calls, quantile))
    before = np.maximum(k - 1, 0)
    found = np.where(bdtr(before, calls, quantile) >= probability, before, k)
    return np.asarray(found, dtype=np.int64)


def chance_of_more(hits: int, calls: int, share: float) -> float:
    """Return P(X >= hits) for X binomial(calls, share): how easily chance alone gives so many.

    Worked example: 3 of 57 calls at a share of 5 %: 0.55.
    """
    return 1.0 if hits <= 0 else float(bdtrc(hits - 1, calls, share))


def chance_of_more_than_before(hits: int, calls: int, hits_before: int, calls_before: int) -> float:
    """Return the one-sided p value of Fisher's exact test (1935) that a share has grown since.

    Both periods may be small, and the luck of the earlier one is taken into account: given the hits of both
    together, those of the later one are hypergeometric. Worked example: 4 of 10 after 0 of 10 gives
    C(10,4) / C(20,4) = 210/4845 = 0.043.
    """
    total, marked = calls + calls_before, hits + hits_before
    k = np.arange(hits, min(calls, marked) + 1)
    ways = _log_choose(marked, k) + _log_choose(total - marked, calls - k) - _log_choose(total, calls)
    return min(1.0, float(np.exp(ways).sum()))


def _log_choose(n: npt.ArrayLike, k: npt.ArrayLike) -> Real:
    n, k = np.asarray(n), np.asarray(k)
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))
