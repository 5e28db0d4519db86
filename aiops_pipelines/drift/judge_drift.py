"""Did the judge itself change: the frozen answers as it judges them now, beside how it judged them before.

What drifted silently is not the product, so the week's scores of this judge are compared with nothing.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any

import polars as pl

from aiops_pipelines.monitoring.intervals import chance_of_more
from aiops_pipelines.monitoring.quality import JUDGE_DRIFTED
from aiops_pipelines.wording import some

JUDGE_DRIFT = pl.Schema(
    {
        "system": pl.String(),
        "week": pl.Date(),
        "metric": pl.String(),
        "judge": pl.String(),
        "compared": pl.Int64(),
        "fell": pl.Int64(),
        "rose": pl.Int64(),
        "mean_before": pl.Float64(),
        "mean_now": pl.Float64(),
        "p_value": pl.Float64(),
        "verdict": pl.String(),
        "reason": pl.String(),
    }
)
STEADY, DRIFTED, CANNOT_TELL = "STEADY", "DRIFTED", "CANNOT TELL"
FEWEST = 16
"""Frozen answers without which nothing is said."""
MOVED = 0.5
"""A frozen answer moves when its score is half of the scale or more from where it was."""
WAVERS = 0.02
"""Share of frozen answers that move by themselves in a week, of a judge not seen to waver more."""
ALPHA = 0.05


def judge_drift(frozen: pl.DataFrame, baselines: pl.DataFrame, week: date) -> pl.DataFrame:
    """Return drift.judge_drift of one system and week, a row by metric and judge that scored frozen answers.

    They are held against those of the weeks of the baseline by the same judge, else against its first week.
    Weeks that are themselves held against have no row. The judge drifted when more answers moved, either way,
    than chance moves of a judge that wavers as this one did from week to week before, or in 2 % of answers:
    of 32, three (2.6 %).

    Args:
        frozen: monitoring.frozen_scores of the system.
        baselines: monitoring.baselines of the system.
        week: Monday of the week.
    """
    measured = frozen.drop_nulls("value")
    keys = frozen.filter(pl.col("week") == week).select("system", "metric", "judge").unique()
    rows = []
    for system, metric, judge in keys.sort("metric", "judge").iter_rows():
        mine = measured.filter(pl.col("judge") == judge)
        base = baselines.filter(pl.col("judge") == judge)
        weeks = (base["first_week"].min(), base["last_week"].max())
        before = mine.filter(pl.col("week").is_between(*weeks)) if base.height else mine.clear()
        if before.is_empty():
            before = mine.filter(pl.col("week") == pl.col("week").min())
        if before.is_empty() or week <= before["week"].max():  # type: ignore[operator]
            continue
        then = before.group_by("item").agg(pl.col("value").mean())
        pairs = mine.filter(pl.col("week") == week).join(then, on="item", suffix="_before")
        rows.append(
            {"system": system, "week": week, "metric": metric, "judge": judge, **_compared(pairs, before)}
        )
    return pl.DataFrame(rows, schema=JUDGE_DRIFT)


def _compared(pairs: pl.DataFrame, before: pl.DataFrame) -> dict[str, Any]:
    moved = (pairs["value"] - pairs["value_before"]).to_list()
    fell, rose = sum(d <= -MOVED for d in moved), sum(d >= MOVED for d in moved)
    p = chance_of_more(fell + rose, pairs.height, max(WAVERS, wavered(before)))
    found = {"compared": pairs.height, "fell": fell, "rose": rose, "p_value": p}
    found |= {"mean_before": pairs["value_before"].mean(), "mean_now": pairs["value"].mean()}
    if pairs.height < FEWEST:
        why = f"{some(pairs.height, 'frozen answer')} could be judged; {FEWEST} are needed."
        return found | {"verdict": CANNOT_TELL, "reason": why}
    said = f"of {pairs.height} frozen answers {fell} are judged lower and {rose} higher than before"
    if p < ALPHA:
        remedy = "find out what the provider changed, and give the new weights their own judge.dated_name"
        return found | {"verdict": DRIFTED, "reason": f"{JUDGE_DRIFTED}: {said}; {remedy}."}
    return found | {"verdict": STEADY, "reason": f"{said[0].upper()}{said[1:]}."}


def wavered(before: pl.DataFrame) -> float:
    """Return the share of frozen answers that moved from one week to the next; 0 of a single week."""
    steps = before.sort("week").select(step=pl.col("value").diff().over("item").abs())["step"].drop_nulls()
    return float((steps.to_numpy() >= MOVED).mean()) if len(steps) else 0.0


def drifted(drift: pl.DataFrame) -> Mapping[str, str]:
    """Return why scores of a judge say nothing in a week, by the judge."""
    rows = drift.filter(pl.col("verdict") == DRIFTED)
    return dict(rows.select("judge", "reason").iter_rows())
