"""Which calls of a week are scored: fair samples of production, and every probe with a known query.

Scoring them lives in `quality`.
"""

import hashlib
from datetime import date, timedelta
from math import ceil

import polars as pl

from aiops_pipelines.inference_log.record import HAS_WORDS, IS_CHAT, SILENT
from aiops_pipelines.periods import midnight


def calls_of_week(inferences: pl.DataFrame, week: date) -> pl.DataFrame:
    """Return the calls that started in the week of Monday `week`, 00:00 UTC to the next Monday 00:00 UTC."""
    if week.weekday():
        raise ValueError(f"{week} is not a Monday; weeks are named by their Monday.")
    start, end = midnight(week), midnight(week + timedelta(days=7))
    return inferences.filter(pl.col("occurred_at").is_between(start, end, closed="left"))


def known_probes(inferences: pl.DataFrame, week: date) -> pl.DataFrame:
    """Return every call of the week that asked a known query, answered or not, ordered by event."""
    asked = calls_of_week(inferences, week).filter(IS_CHAT, pl.col("known_query_id").is_not_null())
    return asked.sort("event_id")


def production_sample(inferences: pl.DataFrame, week: date, size: int, seed: int = 0) -> pl.DataFrame:
    """Return a stratified random sample of the week's answered production calls, at most `size` rows.

    Endpoints get seats in proportion to their calls (largest remainders), so that the plain mean of the
    sample estimates the week's mean. Within an endpoint calls are taken in the order of SHA-256(seed, event
    id): the same log gives the same sample on any machine, in any row order, and no call can be picked for
    its looks.

    Args:
        inferences: inference_log.inferences of one system.
        week: Monday of the week.
        size: calls wanted; a week with fewer answered calls is taken whole.
        seed: changes the draw.
    """
    if size < 1:
        raise ValueError(f"A sample needs at least one call, not {size}.")
    answered = _production(inferences, week).filter(HAS_WORDS)
    seats = largest_remainders(dict(answered.group_by("endpoint").len().iter_rows()), size)
    strata = [
        calls.head(seats[endpoint]) for (endpoint,), calls in drawn(answered, seed).group_by("endpoint")
    ]
    return pl.concat([answered.clear(), *strata]).sort("event_id")


def unanswered_sample(inferences: pl.DataFrame, week: date, size: int, seed: int = 0) -> pl.DataFrame:
    """Return as great a share of the production calls that ended well and answered nothing, `size` at most.

    They cannot be scored, and count as that: a week is not as good as before because what was said was.

    Args:
        inferences: inference_log.inferences of one system.
        week: Monday of the week.
        size: answered calls wanted, as in `production_sample`.
        seed: changes the draw.
    """
    calls = _production(inferences, week)
    answered, silent = calls.filter(HAS_WORDS), calls.filter(IS_CHAT, SILENT, pl.col("status") == "ok")
    seats = min(size, ceil(silent.height * min(1, size / max(1, answered.height))))
    return drawn(silent, seed).head(seats).sort("event_id")


def _production(inferences: pl.DataFrame, week: date) -> pl.DataFrame:
    return calls_of_week(inferences, week).filter(pl.col("known_query_id").is_null())


def drawn(calls: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Return the calls in the order in which they are drawn."""
    draw = [hashlib.sha256(f"{seed}:{event}".encode()).hexdigest() for event in calls["event_id"]]
    return calls.with_columns(draw=pl.Series(draw, dtype=pl.String)).sort("draw", "event_id").drop("draw")


def largest_remainders(sizes: dict[str | None, int], seats: int) -> dict[str | None, int]:
    """Return how many of `seats` each stratum gets in proportion to its size (Hamilton's method).

    Worked example: sizes 60, 30 and 10 for 7 seats have the quotas 4.2, 2.1 and 0.7; whole parts give 4, 2
    and 0, and the seat that is left goes to the largest remainder: 4, 2, 1.
    """
    total = sum(sizes.values())
    if total <= seats:
        return dict(sizes)
    shares = {name: divmod(size * seats, total) for name, size in sizes.items()}
    left = seats - sum(whole for whole, _ in shares.values())
    lucky = sorted(shares, key=lambda name: (-shares[name][1], str(name)))[:left]
    return {name: whole + (name in lucky) for name, (whole, _) in shares.items()}
