"""What a period saved: what its answers cost, beside what they would have cost as an earlier one made them.

Both periods are at the same prices, and answers are compared with their like, so fewer calls, cheaper prices
or another mix of endpoints are no saving. A saving is that of all changes together; which of them made it is
`growth`'s to say.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
from scipy.special import stdtrit

from aiops_pipelines.costs.compared import Period, SpendError
from aiops_pipelines.drift.comparison import CONFIDENCE, Comparison, Floats, clustered, effective_clusters
from aiops_pipelines.inference_log.record import CHAT
from aiops_pipelines.wording import percent, usd

LIKE = ["endpoint", "operation", "later_turn", "question_length"]
"""Answers that are compared with one another. Longer conversations and longer questions are no waste.

Questions are of one length up to its double: 7 to 14 tokens, 15 to 30, 31 to 62.
"""
SAME = 1e-9
"""Share of a cost that is rounding."""
ANSWERED = pl.col("status").fill_null("ok") == "ok"
FEWEST_ANSWERS = 10
"""Of one kind in either period; fewer do not say what such an answer costs."""
FEWEST_UNITS = {"user": 10, "day": 7}
"""Independent users (or calls without one) and days in either period."""
COVERED = 0.8
"""Share of the later period's cost, and of either period's answers, that a figure must rest on."""
SPENT = pl.Schema(
    {
        "event_id": pl.String(),
        "trace_id": pl.String(),
        "occurred_at": pl.Datetime("us", "UTC"),
        "endpoint": pl.String(),
        "operation": pl.String(),
        "status": pl.String(),
        "session_id": pl.String(),
        "user_id": pl.String(),
        "user_tokens": pl.Int64(),
        "cost_usd": pl.Decimal(38, 12),
    }
)
"""A call of production at the prices of the later period; `cost_usd` is null where they are not known."""


@dataclass(frozen=True)
class Saved:
    """What the answers of `after` cost and would have cost as those of `before` were made.

    `kinds` has LIKE, answers_before and answers_after, usd_before and usd_after (of one answer) and
    saved_usd, for the kinds that could be compared. `interval` is the 95 % interval of what they saved
    together, USD, None where `obstacle` says why. `spent_usd` and `covered` are the later period's cost and
    the share of it that was compared, `unpriced` the answers of either period without a cost.
    """

    system: str
    before: Period
    after: Period
    kinds: pl.DataFrame
    spent_usd: float
    covered: float
    unpriced: tuple[int, int]
    interval: tuple[float, float] | None
    obstacle: str | None
    quality: str
    """Of the later period's answers: held, degraded or not measured."""

    @property
    def by_endpoint(self) -> pl.DataFrame:
        """Return endpoint, answers, expected_usd and saved_usd of the compared answers."""
        expected = (pl.col("usd_before") * pl.col("answers_after")).sum().alias("expected_usd")
        sums = pl.col("answers_after").sum().alias("answers"), expected, pl.col("saved_usd").sum()
        return self.kinds.group_by("endpoint").agg(*sums).sort("endpoint")

    @property
    def expected_usd(self) -> float:
        """What the compared answers would have cost."""
        return float(self.by_endpoint["expected_usd"].sum())

    @property
    def saved_usd(self) -> float:
        """Saving of the compared answers; below 0 they cost more."""
        return float(self.kinds["saved_usd"].sum())

    @property
    def verdict(self) -> str:
        """Return saved, dearer or cannot tell: whether the interval is above 0, below it or holds it."""
        low, high = self.interval or (0.0, 0.0)
        rounding = SAME * self.expected_usd
        return "saved" if low > rounding else "dearer" if high < -rounding else "cannot tell"

    @property
    def proven(self) -> bool:
        """Say whether money was saved and answers held: a saving at the price of the answers is none."""
        return self.verdict == "saved" and self.quality == "held"

    def as_data(self) -> dict[str, Any]:
        """Return everything as plain values."""
        told = self.interval is not None
        low, high = self.interval or (None, None)
        return {
            "system": self.system,
            "from": [day.isoformat() for day in self.before],
            "to": [day.isoformat() for day in self.after],
            "verdict": self.verdict,
            "quality": self.quality,
            "proven": self.proven,
            "saved_usd": self.saved_usd if told else None,
            "low_usd": low,
            "high_usd": high,
            "reason": self.obstacle,
            "expected_usd": self.expected_usd if told else None,
            "spent_usd": self.spent_usd,
            "share_compared": self.covered,
            "calls_unpriced": list(self.unpriced),
            "kinds": self.kinds.to_dicts(),
        }


def saved(
    system: str,
    before: Period,
    after: Period,
    spent: tuple[pl.DataFrame, pl.DataFrame],
    verdicts: pl.DataFrame,
) -> Saved:
    """Compare the cost of the answers of two periods (SPENT), kind by kind.

    An answer is all calls of its trace, and bears the cost of those of its kind that failed or were blocked.
    The saving of a kind is (cost of an answer before - after) x answers after; their sum has an interval by
    clusters of users and one by days, of which the wider one is given: users have habits, and days have
    events. `verdicts` has week and verdict, as `drift.drift_verdicts`.

    Worked example: 100 answers at $0.03, then 50 of the same kind at $0.02: 50 x $0.01 = $0.50, not the $2.00
    by which spend fell.

    Raises:
        SpendError: a period has no call, or the later one begins before the earlier one is over.
    """
    if after[0] <= before[1]:
        raise SpendError("The later period has to begin after the last day of the earlier one.")
    for (first, last), calls in zip((before, after), spent, strict=True):
        if calls.is_empty():
            raise SpendError(f"{system} has no call of its users from {first} to {last}.")
    given = [_answers(calls) for calls in spent]
    calls = _told_apart(*(part.filter(pl.col("cost_usd").is_not_null()) for part in given))
    kinds = _kinds(calls)
    compared = calls.join(kinds, on=LIKE, nulls_equal=True)
    total, part = (float(rows.filter("later")["usd"].sum()) for rows in (calls, compared))
    covered = part / total if total else float(kinds.height > 0)
    unpriced = given[0]["cost_usd"].null_count(), given[1]["cost_usd"].null_count()
    priced = min(1 - n / max(part.height, 1) for n, part in zip(unpriced, given, strict=True))
    obstacle = next(_obstacles(compared, covered, priced), None)
    interval = None if obstacle else _interval(compared, kinds)
    if interval and 0 < interval[0] <= (moved := _moved(calls, compared)):
        obstacle = f"{usd(moved)} more than before went to answers without enough of their like"
        interval = None
    quality = _quality(verdicts, after)
    return Saved(system, before, after, kinds, total, covered, unpriced, interval, obstacle, quality)


def _quality(verdicts: pl.DataFrame, period: Period) -> str:
    """Say whether answers held: every week was judged OK by some metric and DEGRADED by none."""
    first, last = (day - timedelta(days=day.weekday()) for day in period)
    told = verdicts.filter(pl.col("week").is_between(first, last))
    if "DEGRADED" in told["verdict"]:
        return "degraded"
    judged = told.filter(pl.col("verdict") == "OK")["week"].n_unique()
    return "held" if judged == (last - first).days // 7 + 1 else "not measured"


def _answers(calls: pl.DataFrame) -> pl.DataFrame:
    """Join the calls of a trace, a call without one standing alone: all it took to give an answer.

    A router, an embedding or a second try is part of the answer's cost. That is null where a call that was
    answered has none; a failure without a usage cost nothing.
    """
    chat = pl.col("operation").fill_null(CHAT) == CHAT
    lost = pl.col("cost_usd").is_null() & ANSWERED
    return (
        calls.sort("occurred_at")
        .group_by(pl.coalesce("trace_id", "event_id").alias("event_id"), maintain_order=True)
        .agg(
            pl.col("occurred_at").first(),
            pl.col("endpoint").drop_nulls().last(),
            operation=pl.when(chat.any()).then(pl.lit(CHAT)).otherwise(pl.col("operation").last()),
            status=pl.when((ANSWERED & (chat | ~chat.any())).any())
            .then(pl.lit("ok"))
            .otherwise(pl.lit("error")),
            session_id=pl.col("session_id").drop_nulls().first(),
            user_id=pl.col("user_id").drop_nulls().first(),
            user_tokens=pl.col("user_tokens").drop_nulls().first(),
            cost_usd=pl.when(~lost.any()).then(pl.col("cost_usd").sum()),
        )
    )


def _moved(calls: pl.DataFrame, compared: pl.DataFrame) -> float:
    """Return the later cost in no figure beyond what its share was before: a new step at a new endpoint."""
    (then, kept), (now, held) = (
        [float(rows.filter(pl.col("later") == later)["usd"].sum()) for rows in (calls, compared)]
        for later in (False, True)
    )
    return now - held - (then - kept) / then * now if then else 0.0


def _told_apart(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Give every call its kind (LIKE), clusters and cost; `later` says of which period it is."""
    both = pl.concat([part.with_columns(later=later) for part, later in ((before, False), (after, True))])
    turn = pl.col("occurred_at").rank("ordinal").over("later", "session_id", "operation")
    user = pl.coalesce("user_id", "session_id", "event_id")
    return both.select(
        "later",
        pl.col("endpoint").fill_null("unknown"),
        pl.col("operation").fill_null(CHAT),
        later_turn=pl.col("session_id").is_not_null() & (turn > 1),
        question_length=(pl.col("user_tokens") + 1).log(2).floor().cast(pl.Int64),
        answered=ANSWERED,
        user=user,
        day=pl.col("occurred_at").dt.date().cast(pl.String),
        usd=pl.col("cost_usd").cast(pl.Float64),
    )


def _kinds(calls: pl.DataFrame) -> pl.DataFrame:
    """Return the kinds that both periods answered often enough, and what an answer of them cost."""
    periods = {"before": ~pl.col("later"), "after": pl.col("later")}
    answers = [pl.col("answered").filter(of).sum().alias(f"answers_{name}") for name, of in periods.items()]
    usd = [pl.col("usd").filter(of).sum().alias(f"usd_{name}") for name, of in periods.items()]
    enough = pl.min_horizontal("answers_before", "answers_after") >= FEWEST_ANSWERS
    kinds = calls.group_by(LIKE).agg(*answers, *usd).filter(enough).sort(LIKE)
    each = [pl.col(f"usd_{name}") / pl.col(f"answers_{name}") for name in periods]
    saving = (pl.col("usd_before") - pl.col("usd_after")) * pl.col("answers_after")
    return kinds.with_columns(each).with_columns(saved_usd=saving)


def _obstacles(compared: pl.DataFrame, covered: float, priced: float) -> Iterator[str]:
    if priced < COVERED:
        yield f"only {percent(priced)} of the answers of a period have a cost at the later prices"
    if covered < COVERED:
        like = f"answers with {FEWEST_ANSWERS} of their like in both periods"
        yield f"only {percent(covered)} of the cost is that of {like}"
    for unit, fewest in FEWEST_UNITS.items():
        sizes = [side[unit].value_counts()["count"].to_numpy() for side in compared.partition_by("later")]
        units = min(effective_clusters(size.astype(np.float64)) for size in sizes)
        if units < fewest:
            yield f"the calls count as {units:.1f} independent {unit}s in a period; {fewest} are needed"


def _interval(compared: pl.DataFrame, kinds: pl.DataFrame) -> tuple[float, float]:
    """Return the wider of the intervals of the saving by users and by days."""
    found = [_between(_comparison(compared, kinds, unit)) for unit in FEWEST_UNITS]
    return max(found, key=lambda ends: ends[1] - ends[0])


def _between(c: Comparison) -> tuple[float, float]:
    """Return the interval of baseline - week, where what the week would have cost varies as it does."""
    kept = c.week / c.baseline if c.week > 0 and c.baseline > 0 else 1.0
    reach = float(stdtrit(c.df, (1 + CONFIDENCE) / 2)) * c.standard_error(1 - kept) / kept
    return c.baseline - c.week - reach, c.baseline - c.week + reach


def _comparison(compared: pl.DataFrame, kinds: pl.DataFrame, unit: str) -> Comparison:
    """Compare what the later answers would have cost with what they cost, by clusters of calls.

    The cost of an answer is a ratio of sums. Each call stands for its part in the ratio's error, (cost -
    ratio x answered) / answers (W. G. Cochran, Sampling Techniques, 1977, section 6.4), so that the sums of
    clusters give the variance as they do for a mean.
    """

    def side(period: str) -> tuple[Floats, list[str]]:
        calls, ratio = compared.filter(pl.col("later") == (period == "after")), pl.col(f"usd_{period}")
        error = (pl.col("usd") - ratio * pl.col("answered")) / pl.col(f"answers_{period}")
        total = float(kinds.select((ratio * pl.col("answers_after")).sum()).item())
        parts = calls.select(total + error * pl.col("answers_after") * pl.len()).to_series()
        return parts.to_numpy(), calls[unit].to_list()

    return clustered(*side("before"), *side("after"))
