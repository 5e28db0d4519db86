"""The logarithmic mean Divisia index, LMDI-I: a change of products split into the effects of their factors.

B. W. Ang, "The LMDI approach to decomposition analysis: a practical guide", Energy Policy 33, 2005; the
limits at zero are those of B. W. Ang and N. Liu, "Handling zero values in the logarithmic mean Divisia index
decomposition approach", Energy Policy 35, 2007. What the factors are is `growth`.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def logarithmic_mean(after: Floats, before: Floats) -> Floats:
    """Return (after - before) / ln(after / before) of positive numbers: 800 and 8,000 give 7,200 / ln 10."""
    log_change = np.log(after / before)
    steep = np.where(log_change == 0, 1.0, log_change)
    mean: Floats = before * np.where(log_change == 0, 1.0, np.expm1(log_change) / steep)
    return mean


def divisia_effects(cost: Floats, factors: Floats) -> Floats:
    """Effect of each factor on each cell, which add up to the cell's change.

    `cost`, shape (2, cells), is before and after; `factors`, (factors, 2, cells), multiply to it. Returns
    (factors, cells). Where a cell is 0 in one period, the first factor that is 0 there takes it all.
    """
    before, after = cost
    old, new = factors[:, 0], factors[:, 1]
    live = (cost > 0).all(axis=0)
    mean = logarithmic_mean(np.where(live, after, 1), np.where(live, before, 1))
    effects = mean * np.log(np.where(live, new, 1) / np.where(live, old, 1))
    first_zero = ((old == 0) | (new == 0)).argmax(axis=0)
    limit = np.where(np.arange(len(factors))[:, None] == first_zero, after - before, 0.0)
    return np.where(live, effects, limit)


def share_of_effect(shares: Floats, rates: Floats) -> Floats:
    """Say which part of the effect of a factor c = sum(share x rate) is due to its shares; the rest is rates.

    Both have the shape (kinds, 2, cells). The change of c is the sum of mean rate x change of share and of
    mean share x change of rate, exactly and alike in both directions of time; each over L(c1, c0) is its part
    of ln(c1 / c0). Returns the change of ln c that the shares make, shape (cells,).
    """
    before, after = (shares * rates).sum(axis=0)
    moved = (rates.mean(axis=1) * (shares[:, 1] - shares[:, 0])).sum(axis=0)
    live = (before > 0) & (after > 0)
    mean = logarithmic_mean(np.where(live, after, 1), np.where(live, before, 1))
    made: Floats = np.where(live, moved / mean, 0.0)
    return made
