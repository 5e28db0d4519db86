"""The review's section on answer quality: did it get worse, how sure is that, and why."""

from collections.abc import Collection, Iterable, Sequence
from datetime import date

from aiops_pipelines.document import Action, Chart, Column, Figure, Section, Table, Tone
from aiops_pipelines.incidents.review_inputs import ReviewInputs, Row
from aiops_pipelines.monitoring.hallucinations import rate_of
from aiops_pipelines.monitoring.quality import ANOTHER_JUDGE
from aiops_pipelines.wording import day, inert, listed, percent, some

SAMPLES = {"known": "known queries", "production": "production calls"}
CAUSES = {
    "model_change": "the served model changed",
    "index_staleness": "the index is behind the corpus",
    "prompt_change": "the prompt changed",
    "query_mix": "users ask something else",
    "judge_change": "the judge changed",
}
REMEDIES = {
    "model_change": "Pin the model that answered in the baseline, or sign off a new baseline.",
    "index_staleness": "Re-index the corpus, then ask the known queries again.",
    "prompt_change": "Roll the prompt back, or prove the new one on the known queries.",
    "query_mix": "Add known queries for the new topics before changing the system.",
    "judge_change": "Put the old judge back, or replace the baseline: its weeks are scored with the new one.",
}
WORST_FIRST = ("DEGRADED", "CANNOT TELL", "OK")
DRIFT = "drift.drift_verdicts"


def metric_name(row: Row) -> str:
    """Name a verdict's metric and sample: context recall on known queries."""
    metric = row["metric"].removesuffix("_id").replace("_", " ")
    return f"{metric} on {SAMPLES.get(row['sample'], row['sample'])}"


def _means(row: Row) -> dict[str, float | None]:
    base, low, high = row["baseline_mean"], row["drop_low"], row["drop_high"]
    known = base is not None and low is not None and high is not None
    return {
        "mean": row["week_mean"],
        "low": base * (1 - high) if known else None,
        "high": base * (1 - low) if known else None,
        "baseline": base,
        "floor": None if base is None or row["margin"] is None else base * (1 - row["margin"]),
    }


def quality_charts(
    verdicts: Iterable[Row], weeks: Sequence[date], baseline: Collection[date]
) -> tuple[Chart, ...]:
    """Return a chart per sample and metric; a week without a verdict stays in it, as missing or as baseline.

    The interval of the week's mean is the interval of the drop turned round: baseline x (1 - drop).
    """
    series: dict[tuple[str, str], dict[date, Row]] = {}
    for row in verdicts:
        series.setdefault((row["sample"], row["metric"]), {})[row["week"]] = row
    charts = []
    for _, by_week in sorted(series.items()):
        rows = []
        for week in weeks:
            judged = by_week.get(week)
            state = judged["verdict"] if judged else "baseline" if week in baseline else "no data"
            rows.append({"week": week.isoformat(), "verdict": state, **(_means(judged) if judged else {})})
        missing = [day(week) for week, row in zip(weeks, rows, strict=True) if row["verdict"] == "no data"]
        sentence = "Mean score of the week with its 95 % interval, from 0 to 1."
        sentence += f" No verdict: {listed(missing)}." if missing else ""
        name = metric_name(next(iter(by_week.values())))
        charts.append(Chart("quality_by_week", name[0].upper() + name[1:], sentence, tuple(rows)))
    return tuple(charts)


def verdict_table(verdicts: Iterable[Row], title: str) -> Table:
    """Return verdicts with their intervals and the smallest drop that would have been seen."""
    columns = (
        Column("Week of", "day"),
        Column("Metric"),
        Column("Verdict", "verdict"),
        Column("Baseline", "score"),
        Column("Week", "score"),
        Column("Drop", "percent"),
        Column("95 % from", "percent"),
        Column("to", "percent"),
        Column("Smallest detectable", "percent"),
        Column("Scores", "count"),
        Column("In words"),
    )
    names = (
        "verdict",
        "baseline_mean",
        "week_mean",
        "drop",
        "drop_low",
        "drop_high",
        "smallest_detectable_drop",
        "n",
        "reason",
    )
    rows = tuple((row["week"], metric_name(row), *(row[name] for name in names)) for row in verdicts)
    return Table(title, columns, rows, DRIFT, "No verdict in this period.")


def _fell(worst: Row, causes: list[Row]) -> str:
    said = f"Quality fell: {metric_name(worst)}"
    said += (
        " is below the baseline"
        if worst["drop"] is None
        else f" is {percent(worst['drop'])} below the baseline"
    )
    if worst["drop_low"] is not None and worst["drop_high"] is not None:
        said += f" (95 % interval {percent(worst['drop_low'])} to {percent(worst['drop_high'])})"
    if not causes:
        return inert(f"{said}; no cause was found.")
    cause = causes[0]["cause"]
    return inert(f"{said}; most likely {CAUSES.get(cause, cause.replace('_', ' '))}.")


def _meaning(r: ReviewInputs, now: list[Row], causes: list[Row]) -> tuple[str, Tone]:
    bad = [row for row in now if row["verdict"] == "DEGRADED"]
    if bad:
        return _fell(max(bad, key=lambda row: row["drop"] or 0), causes), "bad"
    if not now and r.week in r.baseline_weeks():
        return "This week is part of the baseline; drift is judged from the first week after it.", "plain"
    if not now:
        return "Quality was not measured this week: there is no verdict, good or bad.", "unknown"
    unsure = [row for row in now if row["verdict"] != "OK"]
    if unsure:
        why = f"{metric_name(unsure[0])}: {unsure[0]['reason'] or 'no reason was given'}"
        said = f"Cannot tell whether quality held ({len(unsure)} of {some(len(now), 'verdict')}); {why}"
        return inert(said).removesuffix(".") + ".", "unknown"
    limit = r.system.limits.drop_that_matters
    excluded = all(row["drop_high"] is not None and row["drop_high"] < limit for row in now)
    how = "is ruled out" if excluded else "would have been found four times in five, and was not,"
    said = f"Quality held: a drop of {percent(limit)} or more {how} by {some(len(now), 'verdict')}, all OK."
    return said, "good"


def _actions(tone: Tone, now: list[Row], causes: list[Row]) -> tuple[Action, ...]:
    if tone == "bad" and causes and causes[0]["cause"] in REMEDIES:
        return (Action(REMEDIES[causes[0]["cause"]], causes[0]["evidence"], "bad"),)
    if tone == "bad":
        return (
            Action("Read the worst answers of the week by hand.", "No cause was found by itself.", "bad"),
        )
    if changed := [row for row in now if (row["reason"] or "").startswith(ANOTHER_JUDGE)]:
        return (Action(REMEDIES["judge_change"], changed[0]["reason"], "unknown"),)
    if tone == "unknown" and any(row["n"] for row in now):
        why = "A verdict that cannot tell is not a good one; more scores make it sharper."
        return (Action("Add known queries, or score more calls.", why, "unknown"),)
    if tone == "unknown":
        why = "A week without a verdict is not a good week."
        return (Action("Find out why no score arrived this week.", why, "unknown"),)
    return ()


def _cause_table(causes: list[Row]) -> Table:
    columns = (
        Column("Rank", "count"),
        Column("Cause"),
        Column("Strength, 0 to 1", "score"),
        Column("Evidence"),
    )
    rows = tuple(
        (row["rank"], row["cause"].replace("_", " "), row["strength"], row["evidence"]) for row in causes
    )
    nothing = "None: no cause was found, or there is nothing to explain."
    return Table("Likely causes, ranked", columns, rows, "drift.drift_causes", nothing)


def _hallucination_figure(r: ReviewInputs) -> Figure:
    """Return the week's hallucination rate with its interval, or why there is none."""
    rows = [row for row in r.rows("hallucinations") if row["grain"] == "week"]
    row = rate_of([row for row in rows if row["period_start"] == r.week])
    if row is None:
        return Figure("Hallucination rate", None, "percent", "No answer of this week was scored.")
    if row["rate"] is None:
        return Figure("Hallucination rate", None, "percent", row["reason"])
    span = f"95 % interval {percent(row['low'])} to {percent(row['high'])}"
    said = f"of {some(row['answers'], 'sampled answer')}; {span}, as the judge in use sees it"
    return Figure("Hallucination rate", row["rate"], "percent", said)


def quality(r: ReviewInputs) -> Section:
    """Say whether answers got worse against the frozen baseline, how sure that is, and why."""
    now = sorted(r.this_week("verdicts"), key=lambda row: (row["sample"], row["metric"]))
    causes = sorted(r.this_week("causes"), key=lambda row: row["rank"])
    meaning, tone = _meaning(r, now, causes)
    worst = min((row["verdict"] for row in now), key=WORST_FIRST.index, default=None)
    drops = [row["drop"] for row in now if row["drop"] is not None]
    seen = [row["smallest_detectable_drop"] for row in now if row["smallest_detectable_drop"] is not None]
    due = set(r.weeks()) - r.baseline_weeks()
    judged = {row["week"] for row in r.rows("verdicts")} & due
    figures = (
        Figure("Verdict of the week", worst, "verdict", some(len(now), "verdict")),
        Figure("Largest drop", max(drops, default=None), "percent", "below the baseline; negative is above"),
        Figure("Smallest detectable drop", max(seen, default=None), "percent", "80 % power, worst metric"),
        _hallucination_figure(r),
        Figure("Weeks judged", f"{len(judged)} of {len(due)}", "text", "since the baseline"),
    )
    charts = quality_charts(r.rows("verdicts"), r.weeks(), r.baseline_weeks())
    tables = (verdict_table(now, "Verdicts of the week"), _cause_table(causes))
    return Section(
        "quality", "Answer quality", meaning, tone, figures, charts, tables, _actions(tone, now, causes)
    )
