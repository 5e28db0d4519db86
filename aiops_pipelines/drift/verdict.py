"""The weekly verdict per metric: OK, DEGRADED or CANNOT TELL, in a sentence and with its figures.

A verdict says what happened and how surely; why lives in `causes`, what to do in `proposals`.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from aiops_pipelines.drift.comparison import CONFIDENCE, Comparison, holm, paired_p_value, unseen_change
from aiops_pipelines.drift.evidence import SAME, Evidence, gather
from aiops_pipelines.monitoring.quality import UNSEEN
from aiops_pipelines.systems import Limits

DRIFT_VERDICTS = pl.Schema(
    {
        "system": pl.String(),
        "week": pl.Date(),
        "sample": pl.String(),
        "metric": pl.String(),
        "verdict": pl.String(),
        "baseline_mean": pl.Float64(),
        "week_mean": pl.Float64(),
        "drop": pl.Float64(),
        "drop_low": pl.Float64(),
        "drop_high": pl.Float64(),
        "p_value": pl.Float64(),
        "p_adjusted": pl.Float64(),
        "smallest_detectable_drop": pl.Float64(),
        "margin": pl.Float64(),
        "mix_drop": pl.Float64(),
        "mix_p_adjusted": pl.Float64(),
        "n": pl.Int64(),
        "clusters": pl.Int64(),
        "judge": pl.String(),
        "reason": pl.String(),
    }
)
OK, DEGRADED, CANNOT_TELL = "OK", "DEGRADED", "CANNOT TELL"

RISE_IN_UNMEASURED = 0.1
"""A week that lost a tenth more of its scores than the baseline is not OK: the drop may be among them."""


@dataclass(frozen=True)
class Measurement:
    """The figures of one metric before the correction for several metrics."""

    baseline_mean: float
    week_mean: float
    drop: float
    low: float
    high: float
    p_value: float
    smallest_detectable_drop: float
    clusters: int
    unchanged: bool = False
    mix: Comparison | None = None
    """What the baseline scored on its own mix of endpoints and on the week's, where there are several."""


def weeks_to_judge(baselines: pl.DataFrame, weeks: Iterable[date]) -> list[date]:
    """Return the weeks after the baseline's last one: earlier ones are what is compared with, or older.

    What was said of a week before the baseline was replaced by later weeks stays said.
    """
    last = baselines["last_week"].max()
    return [week for week in weeks if last is not None and week > last]  # type: ignore[operator]


def verdicts(
    week_scores: pl.DataFrame,
    baselines: pl.DataFrame,
    baseline_scores: pl.DataFrame,
    limits: Limits,
    week: date,
    retired: Collection[str] = (),
    drifted: Mapping[str, str] | None = None,
    endpoints: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return drift.drift_verdicts of one system and week, one row per sample and metric.

    DEGRADED: the drop is larger than the margin, with a p value that stays below alpha after Holm's
    correction over all metrics of the week. OK: a drop that matters is excluded, by the 95 % interval or
    because a test that found nothing would have found it with 80 % power. Otherwise CANNOT TELL: silence of a
    weak test is not health.

    Production is held against what the baseline scored on the week's own mix of endpoints. What another mix
    does by itself is told apart, as `mix_drop`: users who ask where answers were always worse make none of
    them worse.

    Args:
        week_scores: monitoring.quality_scores; rows of other weeks are left aside.
        baselines: monitoring.baselines.
        baseline_scores: monitoring.baseline_scores.
        limits: margin, drop_that_matters and alpha, from the system's file.
        week: Monday of the week.
        retired: known queries that were retired on purpose by the end of the week; nothing is asked of them.
        drifted: judge to why its scores of the week say nothing, as `judge_drift.drifted` gives it.
        endpoints: event_id and endpoint of the scored production calls; without it all are of one endpoint.

    Raises:
        ValueError: rows of several systems, or a score that is NaN.
    """
    system = _system(week_scores, baselines)
    evidence = gather(week_scores, baselines, baseline_scores, week, retired, drifted, endpoints)
    obstacles = [found.obstacle() for found in evidence]
    tests = obstacles.count(None)
    measured = [
        None if obstacle else measure(found, limits, tests)
        for found, obstacle in zip(evidence, obstacles, strict=True)
    ]
    adjusted = iter(holm([m.p_value for m in measured if m]))
    mixes = iter(holm([m.mix.p_value(limits.margin) for m in measured if m and m.mix]))
    rows = []
    for found, obstacle, m in zip(evidence, obstacles, measured, strict=True):
        p_adjusted = next(adjusted) if m else None
        row = _row(found, m) | {
            "system": system,
            "week": week,
            "margin": limits.margin,
            "p_adjusted": p_adjusted,
            "mix_p_adjusted": next(mixes) if m and m.mix else None,
        }
        if m is None or p_adjusted is None:
            row |= {"verdict": CANNOT_TELL, "reason": obstacle}
        else:
            row |= _decide(m, p_adjusted, found, limits, tests)
            if mix_moved(row, limits):
                row["reason"] += (
                    f" {_percent(found.moved())} % of the calls moved to other endpoints than in the "
                    f"baseline; at its scores that alone lowers the mean by {_percent(row['mix_drop'])} %."
                )
        rows.append(row)
    return pl.DataFrame(rows, schema=DRIFT_VERDICTS)


def _system(*frames: pl.DataFrame) -> str | None:
    names = sorted({name for frame in frames for name in frame["system"].unique()})
    if len(names) > 1:
        raise ValueError(f"Verdicts are given for one system at a time, not for {', '.join(names)}.")
    if frames[0]["value"].is_nan().any():
        raise ValueError("A score is NaN; an unmeasured score has a null value and a reason.")
    return names[0] if names else None


def measure(found: Evidence, limits: Limits, tests: int) -> Measurement:
    """Return the figures of one metric; what is detectable is taken at alpha / tests, Holm's hardest step."""
    baseline, week = found.values()
    compared = found.comparison()
    alpha = limits.alpha / tests
    if found.sample == "known" and np.allclose(baseline, week, rtol=0, atol=SAME):
        worst = float(
            baseline.max() / baseline.mean()
        )  # a changed query loses at most the whole of its score
        seen = min(1.0, worst * unseen_change(len(week), 1 - CONFIDENCE))
        least = min(1.0, worst * unseen_change(len(week), alpha))
        return Measurement(
            compared.baseline, compared.week, 0.0, -seen, seen, 1.0, least, len(week), unchanged=True
        )
    p = (
        paired_p_value(baseline, week, limits.margin)
        if found.sample == "known"
        else compared.p_value(limits.margin)
    )
    bounds = compared.interval()
    assert bounds is not None, "unbounded drops are an obstacle"
    least = compared.smallest_detectable_drop(limits.margin, alpha)
    figures = (compared.baseline, compared.week, compared.drop, *bounds, p, least, compared.units)
    return Measurement(*figures, mix=found.mix())


def mix_moved(row: Mapping[str, Any], limits: Limits) -> bool:
    """Say whether another mix of endpoints alone lowers a metric beyond chance and margin."""
    p, drop = row["mix_p_adjusted"], row["mix_drop"]
    return p is not None and p < limits.alpha and drop > limits.margin


def _row(found: Evidence, m: Measurement | None) -> dict[str, Any]:
    weeks_own = found.measured["value"].mean()
    frozen = found.frozen["mean"].item() if found.frozen.height else None
    return {
        "sample": found.sample,
        "metric": found.metric,
        "baseline_mean": m.baseline_mean if m else frozen,
        "week_mean": m.week_mean if m else weeks_own,
        "drop": m and m.drop,
        "drop_low": m and m.low,
        "drop_high": m and m.high,
        "p_value": m and m.p_value,
        "smallest_detectable_drop": m and m.smallest_detectable_drop,
        "n": found.measured.height,
        "clusters": m and m.clusters,
        "mix_drop": m and m.mix and m.mix.drop,
        "judge": ", ".join(found.judges) or None,
    }


def _decide(m: Measurement, p_adjusted: float, found: Evidence, limits: Limits, tests: int) -> dict[str, str]:
    seen = _seen(m) + found.scope()
    if p_adjusted < limits.alpha and m.drop > limits.margin:
        several = f" after Holm's correction for {tests} metrics" if tests > 1 else ""
        return {
            "verdict": DEGRADED,
            "reason": f"{seen}; that is more than the tolerated {_percent(limits.margin)} %, "
            f"{_chance(p_adjusted)}{several}.",
        }
    matters = f"a drop of {_percent(limits.drop_that_matters)} %"
    if found.rise_in_unmeasured() > RISE_IN_UNMEASURED:
        return {
            "verdict": CANNOT_TELL,
            "reason": f"{seen}, but {found.missing()}, {UNSEEN}",
        }
    if unknown := found.unknown():
        return {"verdict": CANNOT_TELL, "reason": f"{seen}, but {unknown}; replace it by weeks with them."}
    if m.high < limits.drop_that_matters:
        return {"verdict": OK, "reason": f"{seen}; {matters} is excluded."}
    if m.smallest_detectable_drop <= limits.drop_that_matters:
        return {
            "verdict": OK,
            "reason": f"{seen}; {matters} would have been found with 80 % power, and was not.",
        }
    least = f"the smallest drop found with 80 % power is {_percent(m.smallest_detectable_drop)} %"
    if m.smallest_detectable_drop > 1:
        least = "no drop is found with 80 % power, not even one to 0"
    return {
        "verdict": CANNOT_TELL,
        "reason": f"{seen}; {matters} is neither shown nor excluded. With {m.clusters} independent "
        f"observations {least}.",
    }


def _seen(m: Measurement) -> str:
    if m.unchanged:
        least = f"a loss of up to {_percent(m.high)} % could stay unseen"
        return f"None of {m.clusters} known queries changed its score ({least})"
    moved = "fell" if m.drop > 0 else "rose"
    low, high = sorted((m.low, m.high)) if m.drop > 0 else sorted((-m.low, -m.high))
    interval = f"{_percent(low)} to {_percent(high)} %"
    return f"Scores {moved} {_percent(abs(m.drop))} % (95 % interval {interval}) against the baseline"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _chance(p: float) -> str:
    return "p < 0.0001" if p < 0.0001 else f"p = {p:.4f}"
