"""The hallucination rate: the share of sampled production answers that say something their context does not.

It takes a judge with a model. Without one there is none: bigram support compares words and not statements.
"""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

from aiops_pipelines.monitoring.intervals import clustered_share_interval
from aiops_pipelines.monitoring.judging import NOT_MISSED
from aiops_pipelines.monitoring.quality import FAITHFULNESS
from aiops_pipelines.wording import percent, some

FEWEST_ANSWERS, FEWEST_USERS = 30, 10
MOST_UNMEASURED = 0.2
"""Of the answers that the judge was given; above that the rate could be that of the easy ones."""
PROXY = (
    "NOT MEASURED: bigram support is a proxy that compares words, and no hallucination rate; a judge with a "
    "model (the key judge of the system file) measures one."
)
HALLUCINATION_RATES = pl.Schema(
    {
        "system": pl.String(),
        "grain": pl.String(),
        "period_start": pl.Date(),
        "judge": pl.String(),
        "answers": pl.Int64(),
        "with_unsupported": pl.Int64(),
        "rate": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
        "users": pl.Float64(),
        "unmeasured": pl.Int64(),
        "reason": pl.String(),
    }
)
Row = dict[str, Any]


def hallucination_rates(system: str, scores: pl.DataFrame, drift: pl.DataFrame) -> pl.DataFrame:
    """Return monitoring.hallucination_rates of a system: a row by scored week and month, and by judge.

    A month takes the weeks that ended in it. A week in which the judge itself drifted has no rate and enters
    no month.

    Args:
        system: its name.
        scores: monitoring.quality_scores of the system.
        drift: drift.judge_drift of the system.
    """
    weeks = sorted(scores["week"].unique())
    asked = scores.filter(pl.col("sample") == "production", pl.col("metric") == FAITHFULNESS)
    drifted = drift.filter(pl.col("verdict") == "DRIFTED", pl.col("metric") == FAITHFULNESS)
    reasons = {
        (week, judge): why for week, judge, why in drifted.select("week", "judge", "reason").iter_rows()
    }
    rows = [row for week in weeks for row in _period("week", week, asked.filter(week=week), reasons)]
    steady = asked.join(drifted, on=["week", "judge"], how="anti")
    for month in sorted({_month(week) for week in weeks}):
        ended = [week for week in weeks if _month(week) == month]
        rows += _period("month", month, steady.filter(pl.col("week").is_in(ended)), {})
    return pl.DataFrame([{"system": system, **row} for row in rows], schema=HALLUCINATION_RATES)


def _month(week: date) -> date:
    """Return the month in which a week ended; one that ends with the month is of that month."""
    return (week + timedelta(days=6)).replace(day=1)


def _period(grain: str, start: date, asked: pl.DataFrame, drifted: dict[Any, str]) -> Iterator[Row]:
    keys = {"grain": grain, "period_start": start}
    if asked.is_empty():
        yield {**keys, "answers": 0, "with_unsupported": 0, "unmeasured": 0, "reason": PROXY}
    for (judge,), rows in sorted(asked.group_by("judge"), key=lambda group: str(group[0])):
        yield {**keys, "judge": judge, **_rate(rows, drifted.get((start, judge), ""))}


def _rate(rows: pl.DataFrame, drifted: str) -> Row:
    measured = rows.drop_nulls("value")
    own = rows.filter(pl.col("value").is_null(), ~_starts(rows["reason"]))
    hits = (measured["value"] < 1).to_numpy()
    clusters = measured.select(pl.coalesce("cluster", "event_id")).to_series().to_list()
    sizes = np.unique(clusters, return_counts=True)[1].astype(np.float64)
    users = float(sizes.sum() ** 2 / (sizes @ sizes)) if len(sizes) else 0.0
    found: Row = {"answers": measured.height, "with_unsupported": int(hits.sum()), "users": users}
    found |= {"unmeasured": own.height}
    why = drifted or _too_little(measured.height, users, own.height)
    if why:
        return found | {"reason": f"NOT MEASURED: {why[0].lower()}{why[1:]}"}
    low, high = clustered_share_interval(hits, clusters)
    return found | {"rate": float(hits.mean()), "low": low, "high": high}


def _starts(reasons: pl.Series) -> pl.Series:
    return pl.Series([str(reason).startswith(NOT_MISSED) for reason in reasons], dtype=pl.Boolean)


def _too_little(answers: int, users: float, unmeasured: int) -> str:
    if answers + unmeasured and unmeasured / (answers + unmeasured) > MOST_UNMEASURED:
        share = percent(unmeasured / (answers + unmeasured))
        return f"the judge left {share} of the answers that it was given without a score."
    if answers < FEWEST_ANSWERS:
        return f"{some(answers, 'answer')} could be judged; a rate takes {FEWEST_ANSWERS}."
    if users < FEWEST_USERS:
        return f"the answers count as those of {users:.1f} users; a rate takes {FEWEST_USERS}."
    return ""


def rate_of(rows: Iterable[Row]) -> Row | None:
    """Return the one row of a period that has a rate, or one that says why there is none."""
    found = list(rows)
    rated = [row for row in found if row["rate"] is not None]
    if len(rated) > 1:
        return {**rated[0], "rate": None, "reason": "NOT MEASURED: several judges scored the period."}
    return rated[0] if rated else found[0] if found else None
