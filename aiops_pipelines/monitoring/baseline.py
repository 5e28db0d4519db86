"""The frozen baseline: what the first complete weeks scored, with a fingerprint that shows every later edit.

Comparing a week with it lives in `drift`. Replacing it is a decision that is logged elsewhere.
"""

import hashlib
from datetime import date, datetime, timedelta

import polars as pl

from aiops_pipelines.mendable import Mendable
from aiops_pipelines.periods import midnight
from aiops_pipelines.systems import Baseline

BASELINES = pl.Schema(
    {
        "system": pl.String(),
        "sample": pl.String(),
        "metric": pl.String(),
        "judge": pl.String(),
        "first_week": pl.Date(),
        "last_week": pl.Date(),
        "mean": pl.Float64(),
        "n": pl.Int64(),
        "unmeasured": pl.Int64(),
        "fingerprint": pl.String(),
        "frozen_at": pl.Datetime("us", "UTC"),
        "approved_by": pl.String(),
    }
)
BASELINE_SCORES = pl.Schema(
    {
        "system": pl.String(),
        "sample": pl.String(),
        "metric": pl.String(),
        "unit": pl.String(),
        "cluster": pl.String(),
        "value": pl.Float64(),
        "runs": pl.Int64(),
    }
)
KEY = ["system", "sample", "metric"]


class BaselineRefusedError(Mendable, ValueError):
    """The scores do not carry a baseline; the message says what is missing."""


def freeze(
    scores: pl.DataFrame, rule: Baseline, now: datetime, approved_by: str = "automatic"
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return monitoring.baselines and monitoring.baseline_scores from the first complete weeks.

    A known query is one observation: the mean of its runs over all baseline weeks, because one run would
    carry its luck into every later comparison. A production call is one observation of its user's cluster. A
    metric with fewer measured scores than `rule.minimum_rows` gets no baseline, and its verdicts will say so.

    Args:
        scores: monitoring.quality_scores of one system.
        rule: weeks and minimum_rows, from the system's file.
        now: UTC; weeks that are not over by then do not count.
        approved_by: who signs it off.

    Raises:
        BaselineRefusedError: too few complete weeks, too few scores for any metric, or several judges.
    """
    weeks = _first_weeks(scores, rule, now)
    inside = scores.filter(pl.col("week").is_in(weeks))
    measured = inside.filter(pl.col("value").is_not_null())
    _refuse_several_judges(measured)
    enough = measured.group_by(KEY).len().filter(pl.col("len") >= rule.minimum_rows)
    if enough.is_empty():
        most = max(measured.group_by(KEY).len()["len"], default=0)
        raise BaselineRefusedError(
            f"The best measured metric has {most} scores in the first {rule.weeks} weeks; a baseline needs "
            f"{rule.minimum_rows}. Score more calls, or lower baseline.minimum_rows."
        )
    observations = _observations(measured.join(enough, on=KEY, how="semi"))
    judged = measured.group_by(KEY).agg(pl.col("judge").first(), pl.len().cast(pl.Int64).alias("n"))
    missing = inside.group_by(KEY).agg(pl.col("value").null_count().cast(pl.Int64).alias("unmeasured"))
    baselines = (
        observations.group_by(KEY)
        .agg(pl.col("value").mean().alias("mean"), _fingerprint().alias("fingerprint"))
        .join(judged, on=KEY)
        .join(missing, on=KEY)
        .with_columns(
            first_week=pl.lit(weeks[0]),
            last_week=pl.lit(weeks[-1]),
            frozen_at=now,
            approved_by=pl.lit(approved_by),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in BASELINES.items())
        .sort(KEY)
    )
    return baselines, observations


def fingerprint(observations: pl.DataFrame) -> str:
    """Return the SHA-256 over the sorted scores of one metric's baseline, in hex."""
    return str(observations.select(_fingerprint()).item())


def _fingerprint() -> pl.Expr:
    return pl.struct("unit", "cluster", "value", "runs").map_batches(
        lambda rows: pl.Series([_digest(rows)]), return_dtype=pl.String, returns_scalar=True
    )


def _digest(rows: pl.Series) -> str:
    lines = sorted("\t".join((r["unit"], str(r["cluster"]), r["value"].hex(), str(r["runs"]))) for r in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def complete_weeks(scores: pl.DataFrame, now: datetime) -> list[date]:
    """Return the Mondays of the scored weeks that are over by now, in order."""
    return [week for week in sorted(scores["week"].unique()) if midnight(week + timedelta(days=7)) <= now]


def _first_weeks(scores: pl.DataFrame, rule: Baseline, now: datetime) -> list[date]:
    names = scores["system"].unique().to_list()
    if len(names) > 1:
        raise BaselineRefusedError(
            f"A baseline belongs to one system; these scores are of {', '.join(sorted(names))}."
        )
    weeks = complete_weeks(scores, now)
    if len(weeks) < rule.weeks:
        raise BaselineRefusedError(
            f"{len(weeks)} complete weeks are scored; a baseline needs {rule.weeks}. Wait, or "
            "lower baseline.weeks."
        )
    return weeks[: rule.weeks]


def _refuse_several_judges(measured: pl.DataFrame) -> None:
    judges = (
        measured.group_by(KEY).agg(pl.col("judge").unique().sort()).filter(pl.col("judge").list.len() > 1)
    )
    for _, sample, metric, names in judges.sort(KEY).iter_rows():
        raise BaselineRefusedError(
            f"{metric} of the {sample} sample was scored by several judges ({', '.join(names)}); "
            "score these weeks again with one of them."
        )


def _observations(measured: pl.DataFrame) -> pl.DataFrame:
    known = pl.col("sample") == "known"
    if measured.filter(known, pl.col("query_id").is_null()).height:
        raise BaselineRefusedError(
            "Scores of the known sample lack their query_id; without it nothing can be paired."
        )
    return (
        measured.with_columns(unit=pl.when(known).then("query_id").otherwise("event_id"))
        .sort("unit", "event_id")
        .group_by(*KEY, "unit", maintain_order=True)
        .agg(pl.col("cluster").first(), pl.col("value").mean(), pl.len().alias("runs"))
        .select(pl.col(name).cast(dtype) for name, dtype in BASELINE_SCORES.items())
        .sort(*KEY, "unit")
    )
