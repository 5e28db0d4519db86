"""Drift: did a week get worse than the frozen baseline, how sure is that, why, and what to do."""

import dagster as dg
import polars as pl

from aiops_pipelines.defs.bodies import Work, labels, table
from aiops_pipelines.defs.cadences import MONTHLY, WEEKLY, months, one_run, weeks, weeks_of_month
from aiops_pipelines.drift.causes import causes
from aiops_pipelines.drift.judge_drift import drifted as drifted_judges
from aiops_pipelines.drift.judge_drift import judge_drift as compare_judge
from aiops_pipelines.drift.proposals import proposals
from aiops_pipelines.drift.verdict import verdicts, weeks_to_judge
from aiops_pipelines.inference_log.late import with_trace_facts
from aiops_pipelines.project import Project
from aiops_pipelines.rag.known_queries import retired
from aiops_pipelines.resources.question_vectors import question_vectors
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.resources.week_scores import end_of_week, endpoints_of_scored

CALLS = """
    select system, event_id, trace_id, session_id, user_id, endpoint, model_served, prompt_version, query
    from inference_log.inferences where system = ?
"""
"""What causes are told by; answers and chunks are most of a call."""
SHOWN = ("system", "week", "sample", "metric", "drop", "drop_low", "drop_high", "p_adjusted")


@dg.asset(
    deps=["frozen_scores", "baselines"],
    partitions_def=weeks,
    backfill_policy=one_run,
    pool="duckdb",
    **labels("drift", WEEKLY),
)
def judge_drift(
    context: dg.AssetExecutionContext,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
) -> dg.MaterializeResult:
    """Whether a judge of one's own still judges frozen answers as it did; its fall is not that of answers."""
    work = Work(context, project, warehouse, "judge drift")
    compared: list[pl.DataFrame] = []
    for system in work.operated():
        with work.guarding(system.name):
            frozen = warehouse.rows("monitoring.frozen_scores", system=system.name)
            baselines = warehouse.rows("monitoring.baselines", system=system.name)
            for week in work.weeks(system):
                found = compare_judge(frozen, baselines, week)
                warehouse.replace("drift.judge_drift", found, system=system.name, week=week)
                compared.append(found)
    work.close()
    shown = pl.concat(compared) if compared else warehouse.tables["drift.judge_drift"].empty()
    return dg.MaterializeResult(metadata={"dagster/row_count": shown.height, "judges": table(shown, 40)})


@dg.asset(
    deps=["quality_scores", "baselines", "baseline_scores", "judge_drift", "inferences", "traces"],
    partitions_def=weeks,
    backfill_policy=one_run,
    pool="duckdb",
    **labels("drift", WEEKLY),
)
def drift_verdicts(
    context: dg.AssetExecutionContext,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
) -> dg.MaterializeResult:
    """OK, DEGRADED or CANNOT TELL per metric, with interval; weeks after the baseline are judged."""
    work = Work(context, project, warehouse, "drift")
    judged: list[pl.DataFrame] = []
    for system in work.operated():
        with work.guarding(system.name):
            baselines = warehouse.rows("monitoring.baselines", system=system.name)
            frozen = warehouse.rows("monitoring.baseline_scores", system=system.name)
            if baselines.is_empty() and work.weeks(system):
                work.problem(system.name, "No baseline is frozen yet, so no week can be judged.")
            places = endpoints_of_scored(warehouse, system.name)
            for week in weeks_to_judge(baselines, work.weeks(system)):
                scores = warehouse.rows("monitoring.quality_scores", system=system.name, week=week)
                gone = retired(warehouse.rows("rag.known_queries", system=system.name), end_of_week(week))
                judges = warehouse.rows("drift.judge_drift", system=system.name, week=week)
                judged_by = drifted_judges(judges)
                found = verdicts(scores, baselines, frozen, system.limits, week, gone, judged_by, places)
                warehouse.replace("drift.drift_verdicts", found, system=system.name, week=week)
                judged.append(found)
    work.close()
    shown = pl.concat(judged) if judged else warehouse.tables["drift.drift_verdicts"].empty()
    counts = shown.group_by("verdict").len()
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": shown.height,
            **{f"{verdict} verdicts": n for verdict, n in counts.iter_rows()},
            "degraded": table(shown.filter(pl.col("verdict") == "DEGRADED").select(SHOWN), 40),
        }
    )


@dg.asset(
    deps=["drift_verdicts", "quality_scores", "inferences", "traces", "index_freshness", "stale_answers"],
    partitions_def=weeks,
    backfill_policy=one_run,
    pool="duckdb",
    **labels("drift", WEEKLY),
)
def drift_causes(
    context: dg.AssetExecutionContext,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
) -> dg.MaterializeResult:
    """Likely causes of a degraded week, ranked by the share of the drop each explains."""
    work = Work(context, project, warehouse, "drift causes")
    ranked: list[pl.DataFrame] = []
    for system in work.operated():
        with work.guarding(system.name):
            name = system.name
            scores = warehouse.rows("monitoring.quality_scores", system=name)
            calls = warehouse.read(CALLS, [name])
            calls = with_trace_facts(calls, warehouse.rows("inference_log.traces", system=name))
            stale, baselines = (
                warehouse.rows("rag.stale_answers", system=name),
                warehouse.rows("monitoring.baselines", system=name),
            )
            for week in weeks_to_judge(baselines, work.weeks(system)):
                judged = warehouse.rows("drift.drift_verdicts", system=name, week=week)
                fresh = warehouse.rows("rag.index_freshness", system=name, week=week)
                asked = question_vectors(judged, scores, calls, baselines)
                found = causes(judged, scores, calls, stale, fresh, baselines, asked)
                warehouse.replace("drift.drift_causes", found, system=name, week=week)
                ranked.append(found)
    work.close()
    shown = pl.concat(ranked) if ranked else warehouse.tables["drift.drift_causes"].empty()
    return dg.MaterializeResult(metadata={"dagster/row_count": shown.height, "causes": table(shown, 40)})


@dg.asset(
    deps=[
        dg.AssetDep(name, partition_mapping=weeks_of_month)
        for name in ("drift_verdicts", "drift_causes", "index_freshness", "retrieval_quality")
    ],
    partitions_def=months,
    backfill_policy=one_run,
    pool="duckdb",
    **labels("drift", MONTHLY),
)
def improvement_proposals(
    context: dg.AssetExecutionContext,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
) -> dg.MaterializeResult:
    """What to change next, from the month's verdicts, causes, freshness and retrieval quality."""
    work = Work(context, project, warehouse, "proposals")
    made: list[pl.DataFrame] = []
    for system in work.operated():
        with work.guarding(system.name):
            name = system.name
            judged, blamed = (
                warehouse.rows(f"drift.{t}", system=name) for t in ("drift_verdicts", "drift_causes")
            )
            fresh, found_by = (
                warehouse.rows(f"rag.{t}", system=name) for t in ("index_freshness", "retrieval_quality")
            )
            for month in work.months(system):
                found = proposals(name, month, judged, blamed, fresh, found_by, system.limits)
                warehouse.replace("drift.improvement_proposals", found, system=name, month=month)
                made.append(found)
    work.close()
    shown = pl.concat(made) if made else warehouse.tables["drift.improvement_proposals"].empty()
    return dg.MaterializeResult(metadata={"dagster/row_count": shown.height, "proposals": table(shown)})
