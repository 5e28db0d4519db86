"""Is any of several ways better than the one in force? One test of them all, query by query.

Which ways and which measures is the caller's business; pairs of rankers are `comparisons`, and whether an
index may be replaced by a given other one is `migration`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aiops_pipelines.drift.comparison import SIGN_FLIPS, unseen_change

Floats = NDArray[np.float64]
ALPHA = 0.05
RESAMPLES = 2_000
_SEED = 20_260_601


@dataclass(frozen=True)
class Gain:
    """A mean difference over queries with its simultaneous 95 % interval and adjusted two-sided p."""

    mean: float
    low: float
    high: float
    p_value: float
    queries: int


def gains(differences: Sequence[Floats]) -> list[Gain]:
    """Return each mean difference with an interval and a p that hold for all of them together.

    p is that of the largest |t| under random signs of the queries, the same signs for all (P. Westfall and
    S. Young, "Resampling-Based Multiple Testing", 1993): in at most 5 % of families without any difference is
    one p below 5 %. Ways that resemble each other cost little, where Bonferroni would count each in full. The
    interval is mean -+ c * error, c the 95 % quantile over 2,000 paired resamples of the queries of the
    largest |resampled mean - mean| / error. Where no query differs it is the share that may differ unseen.

    Worked example: one difference, 1 in each of three queries: two of the eight patterns of signs reach
    |t|, so p is about 0.25.

    Args:
        differences: one array a comparison, position i being query i; NaN where it was not measured.
    """
    if not differences:
        return []
    table = np.array(differences, dtype=np.float64)
    known = np.isfinite(table)
    counts = known.sum(axis=1)
    values = np.where(known, table, 0.0)
    means = values.sum(axis=1) / np.maximum(counts, 1)
    errors = _error(means, (values**2).sum(axis=1), counts)
    reach = _reach(values, known, means, errors)
    p_values = _p_values(values, counts, means)
    found = []
    for mean, error, n, p in zip(means, errors, counts, p_values, strict=True):
        half = reach * error if error > 0 else unseen_change(max(int(n), 1), ALPHA)
        found.append(Gain(float(mean), float(mean - half), float(mean + half), float(p), int(n)))
    return found


def _error(means: Floats, squares: Floats, counts: NDArray[np.int64]) -> Floats:
    """Return the standard error of means, from sums of squares."""
    freedom = np.maximum(counts - 1, 1)
    spread: Floats = np.sqrt(np.maximum(squares - counts * means**2, 0) / freedom / np.maximum(counts, 1))
    spread[spread < 1e-12] = 0.0
    return spread


def _reach(values: Floats, known: NDArray[np.bool_], means: Floats, errors: Floats) -> float:
    queries = values.shape[1]
    even = np.full(queries, 1 / queries)
    weights = np.random.default_rng(_SEED).multinomial(queries, even, RESAMPLES).astype(np.float64)
    drawn = weights @ known.T.astype(np.float64)
    again = np.divide(weights @ values.T, drawn, out=np.tile(means, (RESAMPLES, 1)), where=drawn > 0)
    level = np.where(errors > 0, errors, np.inf)
    return float(np.quantile((np.abs(again - means) / level).max(axis=1), 1 - ALPHA))


def _p_values(values: Floats, counts: NDArray[np.int64], means: Floats) -> Floats:
    signs = np.random.default_rng(_SEED).integers(0, 2, (SIGN_FLIPS, values.shape[1]), dtype=np.int8) * 2 - 1
    flipped = signs.astype(np.float64) @ values.T / np.maximum(counts, 1)
    squares = (values**2).sum(axis=1)
    largest = _t(flipped, squares, counts).max(axis=1)
    seen = _t(means, squares, counts)
    reached = (largest[:, None] >= seen - 1e-9).sum(axis=0)
    p_values: Floats = (1 + reached) / (1 + SIGN_FLIPS)
    return p_values


def _t(means: Floats, squares: Floats, counts: NDArray[np.int64]) -> Floats:
    """Return |t|, which flips of signs change through the mean alone; 0 where every difference is 0.

    Compared through mean^2 / mean square, which grows with it and stays finite where all queries agree.
    """
    level = np.divide(squares, np.maximum(counts, 1))
    share: Floats = np.divide(
        means**2 * np.ones_like(means), level, out=np.zeros_like(means), where=level > 0
    )
    return share * np.maximum(counts, 1)
