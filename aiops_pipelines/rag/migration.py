"""May an index be replaced? The gate of a migration: a non-inferiority test of two indexes, query by query.

A migration is decided on known queries. Production queries have no known answer; for them only how far the
two indexes agree is told, which is no quality and no gate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aiops_pipelines.drift.comparison import (
    SIGN_FLIPS_BELOW,
    paired,
    sign_flip_p,
    unseen_change,
)

KNOWN, PRODUCTION = "known queries", "production"
GATES = ("ndcg_at_10", "recall_at_5")
NOT_INFERIOR, INFERIOR, CANNOT_TELL, INFORMS = "not inferior", "inferior", "cannot tell", "informs"
ALPHA = 0.025
"""One-sided, so that verdict and 95 % interval say the same.

"Not inferior" takes every measure, which needs no correction (Berger 1982, intersection-union); "inferior"
takes one of two, so an index without any loss is called inferior in at most 5 % of migrations.
"""
FEWEST_QUERIES = 20


@dataclass(frozen=True)
class Compared:
    """One measure of two indexes on the same queries: means, relative drop with interval, verdict."""

    measure: str
    before: float | None
    after: float | None
    drop: float | None
    low: float | None
    high: float | None
    queries: int
    verdict: str
    reason: str


def non_inferiority(
    measure: str, before: NDArray[np.float64], after: NDArray[np.float64], margin: float
) -> Compared:
    """Compare one measure, position i of both arrays being query i; the drop is relative, 1 - after / before.

    Not inferior: the drop is surely below the margin; inferior: surely above it; else nobody can tell. Sure
    means a one-sided p of at most 2.5 %, by t on the linear contrast after - (1 - margin) * before (Fieller
    1954; Miller 2024, arXiv:2411.00640), and below 50 queries by sign flips too. Where no query differs, n
    queries leave a changed share of 1 - alpha^(1/n) unseen, and that has to be below the margin.

    Worked example: 100 queries at 0.80 before, 0.80 after on the mean, differences with a standard deviation
    of 0.05: the error is 0.005, the interval of the drop about -1.2 to 1.2 %, within a margin of 2 %: not
    inferior.
    """
    n = len(before)
    if n < FEWEST_QUERIES or before.mean() == 0:
        why = f"{n} queries" if n < FEWEST_QUERIES else "a mean of 0 before"
        old, new = (float(before.mean()), float(after.mean())) if n else (None, None)
        needed = f"Nothing can be told from {why}; {FEWEST_QUERIES} queries with a known answer are needed."
        return Compared(measure, old, new, None, None, None, n, CANNOT_TELL, needed)
    comparison = paired(before, after)
    drop, interval = comparison.drop, comparison.interval()
    if np.array_equal(before, after):
        interval = (-unseen_change(n, ALPHA), unseen_change(n, ALPHA))
    means = (comparison.baseline, comparison.week)
    if interval is None:
        unsure = "The mean before cannot be told from 0, so no relative drop can be given."
        return Compared(measure, *means, drop, None, None, n, CANNOT_TELL, unsure)
    verdict = _verdict(interval, margin)
    if n < SIGN_FLIPS_BELOW and verdict != CANNOT_TELL and not np.array_equal(before, after):
        contrast = after - (1 - margin) * before
        if sign_flip_p(contrast if verdict == NOT_INFERIOR else -contrast) > ALPHA:
            verdict = CANNOT_TELL
    reason = _reason(measure, means, drop, interval, margin, n, verdict)
    return Compared(measure, *means, drop, *interval, n, verdict, reason)


def gate(before: pl.DataFrame, after: pl.DataFrame, margin: float) -> list[Compared]:
    """Compare two indexes by their rows of `rag.retrieval_scores`, on the queries both were asked."""
    pairs = before.join(after, on="query_id", suffix="_after").sort("query_id")
    return [
        non_inferiority(
            measure,
            pairs[measure].to_numpy().astype(np.float64),
            pairs[f"{measure}_after"].to_numpy().astype(np.float64),
            margin,
        )
        for measure in GATES
    ]


def decision(compared: Sequence[Mapping[str, object]]) -> str:
    """Return the verdict over all gates: inferior if any is, not inferior if all are, else cannot tell."""
    verdicts = {row["verdict"] for row in compared if row["verdict"] != INFORMS}
    if INFERIOR in verdicts:
        return INFERIOR
    return NOT_INFERIOR if verdicts == {NOT_INFERIOR} else CANNOT_TELL


def advice(status: str, compared: Sequence[Mapping[str, object]], system: str) -> str:
    """Return what to do next with a migration in a status."""
    if status == "building":
        return f"aiops migrate start {system} goes on with the build."
    if status == "promoted":
        return f"aiops migrate rollback {system} --by NAME undoes it."
    if status != "built":
        return f"aiops migrate plan {system} says what another one would take."
    if decision(compared) == NOT_INFERIOR:
        return f"aiops migrate promote {system} --by NAME serves the new index."
    return (
        "It is not shown to be as good. Add known queries and start again, or promote with --force --reason."
    )


def agreement(before: Sequence[Sequence[str]], after: Sequence[Sequence[str]]) -> list[Compared]:
    """Return how far two indexes find the same documents for the same production queries, best first in each.

    same_documents_at_5 is the share of the first 5 of the one that the other finds too (by the longer list),
    same_first_document the share of queries with one first document. Agreement is no quality: a better index
    disagrees as well. Worked example: a, b, c against a, c, d share 2 of 3, and the first.
    """
    shares = [_shared(one[:5], other[:5]) for one, other in zip(before, after, strict=True)]
    firsts = [float(one[:1] == other[:1]) for one, other in zip(before, after, strict=True)]
    return [
        _agreed("same_documents_at_5", shares, "share {} of the first five documents"),
        _agreed("same_first_document", firsts, "put the same document first in {} of them"),
    ]


def _agreed(measure: str, shares: list[float], said: str) -> Compared:
    n = len(shares)
    if not n:
        none = "No production query could be asked of both, so agreement is not measured."
        return Compared(measure, None, None, None, None, None, 0, INFORMS, none)
    values = np.array(shares)
    half = 1.96 * float(values.std(ddof=1)) / n**0.5 if n > 1 else 1.0
    mean = float(values.mean())
    alike = said.format(f"{mean:.1%}")
    reason = f"Asked {n} production queries, the two {alike}: how alike they are, not which is better."
    return Compared(
        measure, None, mean, None, max(0.0, mean - half), min(1.0, mean + half), n, INFORMS, reason
    )


def _shared(one: Sequence[str], other: Sequence[str]) -> float:
    longer = max(len(one), len(other))
    return len(set(one) & set(other)) / longer if longer else 1.0


def _verdict(interval: tuple[float, float], margin: float) -> str:
    if interval[1] < margin:
        return NOT_INFERIOR
    return INFERIOR if interval[0] > margin else CANNOT_TELL


def _reason(
    measure: str,
    means: tuple[float, float],
    drop: float,
    interval: tuple[float, float],
    margin: float,
    n: int,
    verdict: str,
) -> str:
    moved = f"{'falls' if drop > 0 else 'rises'} by {abs(drop):.1%}" if drop else "stays the same"
    said = f"{measure} {moved}, from {means[0]:.3f} to {means[1]:.3f} on {n} queries"
    bounds = f"the drop lies between {interval[0]:+.1%} and {interval[1]:+.1%}, {margin:.1%} is tolerated"
    advice = {
        NOT_INFERIOR: "not inferior",
        INFERIOR: "inferior",
        CANNOT_TELL: "nobody can tell: more known queries would narrow it",
    }
    return f"{said}; {bounds}: {advice[verdict]}."


@dataclass(frozen=True)
class Estimate:
    """What a migration would take, before anything is spent.

    `texts` have no vector yet, `present` do. `seconds` comes from `sample` texts that were embedded to
    measure; a paid model is not asked, so its time is None. `usd` is None where no price is known.
    """

    documents: int
    chunks: int
    present: int
    texts: int
    tokens: int
    seconds: float | None
    sample: int
    usd: Decimal | None
    paid: bool
    disk_bytes: int
