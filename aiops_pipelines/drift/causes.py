"""Likely causes of a degraded week, ranked by the share of the drop each explains; none where nothing does.

The evidence is observational: it ranks what to look at first. Confirming a cause is part of the incident.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aiops_pipelines.drift.query_mix import SURE, between_questions, with_strata

DRIFT_CAUSES = pl.Schema(
    {
        "system": pl.String(),
        "week": pl.Date(),
        "rank": pl.Int64(),
        "cause": pl.String(),
        "strength": pl.Float64(),
        "evidence": pl.String(),
    }
)
CAUSES = ("model_change", "index_staleness", "prompt_change", "query_mix", "judge_change")
"""In the order in which equally strong causes are listed."""

WEAKEST = 0.1
"""A cause that explains less than a tenth of the drop is not worth a look."""
GROWN_BY = 0.1
"""A model or prompt that the baseline knows counts as a change once it serves a tenth more of the calls."""
RIDGE = 2.0
"""Pseudo-calls of no effect for every factor. When two factors cannot be told apart, because all calls of the
week have both, they share the drop instead of one taking it all."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Explanation:
    """What one cause explains of one metric's drop."""

    cause: str
    strength: float
    evidence: str


def causes(
    verdicts: pl.DataFrame,
    scores: pl.DataFrame,
    calls: pl.DataFrame,
    stale_answers: pl.DataFrame,
    freshness: pl.DataFrame,
    baselines: pl.DataFrame,
    vectors: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return drift.drift_causes of one system and week, strongest first; empty when the week is not DEGRADED.

    A cause's strength is its share of the drop, averaged over the degraded metrics. Changes of model and
    prompt and stale chunks are estimated together, by a ridge regression of every call's loss on them over
    all scored weeks: a prompt that was already in use in a healthy week cannot be blamed for this one, and a
    new model is compared with the other calls of the same week. One that the baseline knows counts as changed
    where it serves more of the calls than there. Whatever else happened in the week
    competes as a factor of its own: a change that hit all calls at once explains about half of the drop.
    Effects that noise explains count as nothing.

    Args:
        verdicts: drift.drift_verdicts of the week.
        scores: monitoring.quality_scores of the baseline weeks, the week and, better, all weeks between.
        calls: inference_log.inferences of the same weeks: event_id, endpoint, model_served, prompt_version.
        stale_answers: rag.stale_answers of the same weeks; may be empty.
        freshness: rag.index_freshness of the week; may be empty.
        baselines: monitoring.baselines.
        vectors: event_id and vector of the questions of production, where they are to be looked at.
    """
    bad = verdicts.filter(pl.col("verdict") == "DEGRADED")
    if bad.is_empty():
        return pl.DataFrame(schema=DRIFT_CAUSES)
    week, system = bad["week"][0], bad["system"][0]
    scored = _scored_calls(scores, calls, stale_answers, week)
    found = []
    for sample, metric, judge in bad.select("sample", "metric", "judge").iter_rows():
        frozen = baselines.filter(pl.col("sample") == sample, pl.col("metric") == metric)
        rows = scored.filter(pl.col("sample") == sample, pl.col("metric") == metric, pl.col("judge") == judge)
        first, last = frozen.select("first_week", "last_week").row(0)
        rows = rows.filter(pl.col("week") >= first)  # before a baseline that was replaced lies another one
        rows = rows.with_columns(frozen=pl.col("week") <= last, now=pl.col("week") == week)
        found += _explain(rows, freshness, vectors)
    found += _judge_change(verdicts, baselines, bad.height) if found else []
    return _ranked(found, bad.height, system, week)


def _ranked(found: Sequence[Explanation], metrics: int, system: str, week: date) -> pl.DataFrame:
    rows = []
    for cause in CAUSES:
        own = [e for e in found if e.cause == cause]
        strength = sum(e.strength for e in own) / metrics
        if strength >= WEAKEST:
            rows.append((system, week, 0, cause, strength, max(own, key=lambda e: e.strength).evidence))
    rows.sort(key=lambda row: -round(row[4], 6))  # equal but for rounding: in the order of CAUSES
    ranked = [(system, week, rank, *row[3:]) for rank, row in enumerate(rows, start=1)]
    return pl.DataFrame(ranked, schema=DRIFT_CAUSES, orient="row")


def _scored_calls(
    scores: pl.DataFrame, calls: pl.DataFrame, stale_answers: pl.DataFrame, week: date
) -> pl.DataFrame:
    """Return the measured scores up to the week with what served each call."""
    facts = calls.select("event_id", "endpoint", "model_served", "prompt_version").unique("event_id")
    stale = pl.col("event_id").is_in(stale_answers["event_id"].unique().to_list())
    return (
        scores.filter(pl.col("value").is_not_null(), pl.col("week") <= week)
        .join(facts, on="event_id", how="left")
        .with_columns(stale=stale, cluster=pl.coalesce("cluster", "event_id"))
        .sort("week", "event_id")
    )


def _explain(rows: pl.DataFrame, freshness: pl.DataFrame, vectors: pl.DataFrame | None) -> list[Explanation]:
    """Return what explains the drop of one metric, whose baseline is `frozen` and whose week is `now`."""
    if rows.is_empty():
        return []
    rows = _with_loss(rows)
    if not rows["frozen"].any() or not rows["now"].any():
        return []
    mix, mix_evidence = 0.0, ""
    if vectors is not None and rows["sample"][0] != "known":
        rows, mix, mix_evidence = between_questions(rows, vectors)
    total = float(rows.filter("now")["loss"].mean()) + mix  # type: ignore[arg-type]
    if total <= 0:
        return []
    found = [Explanation("query_mix", min(1.0, mix / total), mix_evidence)] if mix > 0 else []
    return found + _served_differently(rows, total, freshness)


def _with_loss(rows: pl.DataFrame) -> pl.DataFrame:
    """Add how much each call lost against the baseline mean of its query, or of its stratum in production.

    Known queries and strata without a baseline are left out, as they are of the verdict.
    """
    if rows["sample"][0] == "known":
        rows = rows.with_columns(unit="query_id")
    else:
        rows = rows.with_columns(pl.col("endpoint").fill_null("unnamed"))
        before = rows.filter("frozen")
        placed = [with_strata(before, week)[1] for week in rows.partition_by("week", maintain_order=True)]
        rows = pl.concat(placed).rename({"stratum": "unit"})
    expected = rows.filter("frozen").group_by("unit").agg(pl.col("value").mean().alias("expected"))
    return (
        rows.join(expected, on="unit", how="left", maintain_order="left")
        .with_columns(loss=pl.col("expected") - pl.col("value"))
        .filter(pl.col("loss").is_not_null())
    )


def _served_differently(rows: pl.DataFrame, total: float, freshness: pl.DataFrame) -> list[Explanation]:
    """Return what new models, new prompts and stale chunks explain of the week's loss."""
    columns: dict[str, list[str]] = {"model_change": [], "prompt_change": [], "index_staleness": ["stale"]}
    factors = [pl.col("stale")]
    for cause, column in (("model_change", "model_served"), ("prompt_change", "prompt_version")):
        for value in _more_than_before(rows, column):
            columns[cause].append(f"{column} {value}")
            factors.append((pl.col(column) == value).fill_null(False).alias(f"{column} {value}"))
    table = rows.select("frozen", "now", "loss", "value", "metric", *factors)
    names = [name for group in columns.values() for name in group]
    effects, covariance = ridge_effects(
        table.select("now", *names).to_numpy().astype(np.float64),
        rows["loss"].to_numpy(),
        rows["cluster"].to_list(),
    )
    now, frozen = table.filter("now"), table.filter("frozen")
    found = []
    for cause, group in columns.items():
        weights = np.zeros(len(effects))
        for name in group:
            weights[2 + names.index(name)] = float(now[name].mean()) - float(frozen[name].mean())  # type: ignore[arg-type]
        explained, error = float(weights @ effects), math.sqrt(float(weights @ covariance @ weights))
        if explained > SURE * error and explained / total > 0:
            sentence = _contrast(frozen, now, cause, group, freshness)
            found.append(Explanation(cause, min(1.0, explained / total), sentence))
    return found


def _more_than_before(rows: pl.DataFrame, column: str) -> list[str]:
    """Return the values that the baseline does not have, and those that serve clearly more calls now."""
    before, now = (
        dict(rows.filter(period)[column].drop_nulls().value_counts(normalize=True).iter_rows())
        for period in ("frozen", "now")
    )
    grown = {value for value, share in now.items() if share - before.get(value, 0.0) >= GROWN_BY}
    return sorted(grown | (set(rows[column].drop_nulls()) - set(before)))


def ridge_effects(factors: Floats, loss: Floats, units: Sequence[str]) -> tuple[Floats, Floats]:
    """Return the effect of an intercept and every factor on the loss, and their covariance, robust by unit.

    effects = (X'X + ridge)^-1 X'loss (Hoerl & Kennard 1970), without a penalty on the intercept; the
    covariance sums the residuals of a unit before squaring (Liang & Zeger 1986).

    Worked example: 100 calls without a factor lose nothing, 100 calls with two always joint factors lose 0.2.
    Alone each factor would take all; together each takes about 0.1.

    Args:
        factors: calls x factors, 0 or 1.
        loss: loss of each call.
        units: query or user of each call, within which losses hang together.
    """
    design = np.column_stack([np.ones(len(loss)), factors])
    penalty = np.diag([0.0, *[RIDGE] * factors.shape[1]])
    solver = np.linalg.solve(design.T @ design + penalty, design.T)
    effects = solver @ loss
    codes = np.unique(units, return_inverse=True)[1]
    residuals = solver * (loss - design @ effects)
    sums = np.zeros((codes.max() + 1, len(effects)))
    np.add.at(sums, codes, residuals.T)
    return effects, sums.T @ sums


def _contrast(
    frozen: pl.DataFrame, now: pl.DataFrame, cause: str, group: Sequence[str], freshness: pl.DataFrame
) -> str:
    """Return the numbers behind a cause: who was affected, and their scores beside the others'."""
    touched = now.filter(pl.any_horizontal(group))
    others = now.filter(~pl.any_horizontal(group))
    seen = [name for name in group if now[name].any()]
    what = {
        "model_change": f"by models that {_unlike_before(frozen, seen)}",
        "prompt_change": f"with prompts that {_unlike_before(frozen, seen)}",
        "index_staleness": "from at least one chunk that was no longer in the corpus",
    }[cause]
    share = f"{100 * touched.height / now.height:.0f} % of the scored calls were answered {what}"
    scored = f"their {now['metric'][0]} is {_mean(touched):.3f}"
    if others.is_empty():
        rest = "no other call of the week can be compared, earlier weeks are"
    else:
        rest = f"that of the other {others.height} calls of the week {_mean(others):.3f}"
    lag = ""
    if cause == "index_staleness" and freshness.height and freshness["lag_days"][0]:
        lag = f" The served index was {freshness['lag_days'][0]:.0f} days behind its corpus."
    return f"{share}; {scored}, {rest}.{lag}"


def _unlike_before(frozen: pl.DataFrame, seen: Sequence[str]) -> str:
    """Return how factors differ from the baseline: "are not in the baseline (m2)"."""
    shares = {name.partition(" ")[2]: float(frozen[name].mean()) for name in seen}  # type: ignore[arg-type]
    if not any(shares.values()):
        return f"are not in the baseline ({', '.join(shares)})"
    served = ", ".join(f"{name}: {100 * share:.0f} %" for name, share in shares.items())
    return f"served fewer of the calls in the baseline ({served})"


def _mean(rows: pl.DataFrame) -> float:
    return float(rows["value"].to_numpy().mean())


def _judge_change(verdicts: pl.DataFrame, baselines: pl.DataFrame, degraded: int) -> list[Explanation]:
    """Return a changed judge as the weakest cause, beside others only.

    It explains no drop that the baseline's judge measured; that it changed is a signal of its own.
    """
    before = baselines.select("sample", "metric", pl.col("judge").alias("before"))
    changed = verdicts.join(before, on=["sample", "metric"]).filter(pl.col("judge") != pl.col("before"))
    if changed.is_empty():
        return []
    names = ", ".join(sorted(changed["metric"].unique()))
    sentence = f"The judge of {names} is not the baseline's; those scores say nothing until it is re-scored."
    return [Explanation("judge_change", WEAKEST * degraded, sentence)]
