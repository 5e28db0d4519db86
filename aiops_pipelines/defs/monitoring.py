"""Monitoring: how good the answers are, what users signal, and the baseline everything is compared with."""

from collections.abc import Iterator
from datetime import date, timedelta

import dagster as dg
import polars as pl

from aiops_pipelines.defs.bodies import Work, labels, spec, table
from aiops_pipelines.defs.cadences import CONTINUOUS, WEEKLY, one_run, systems, weeks
from aiops_pipelines.inference_log.late import with_late_facts
from aiops_pipelines.monitoring.baseline import BaselineRefusedError, freeze
from aiops_pipelines.monitoring.quality import quality_scores as score_rows
from aiops_pipelines.monitoring.samples import judge_samples, named_documents
from aiops_pipelines.monitoring.sampling import known_probes, production_sample
from aiops_pipelines.monitoring.signals import user_signals as find_signals
from aiops_pipelines.periods import midnight
from aiops_pipelines.project import Project
from aiops_pipelines.resources.judge import OfflineJudge
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System

PRODUCTION_SAMPLE = 400


@dg.asset(
    deps=["inferences", "feedback", "traces"],
    partitions_def=systems,
    backfill_policy=one_run,
    pool="duckdb",
    **labels("monitoring", CONTINUOUS),
)
def user_signals(
    context: dg.AssetExecutionContext,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
) -> dg.MaterializeResult:
    """What users tell without being asked: rephrased questions, calls for a person, giving up, ratings."""
    work = Work(context, project, warehouse, "user signals")
    counts: list[pl.DataFrame] = []
    for system in work.operated():
        with work.guarding(system.name):
            tables = ("inferences", "feedback", "traces")
            logged = (warehouse.rows(f"inference_log.{name}", system=system.name) for name in tables)
            calls = with_late_facts(*logged)
            found = find_signals(calls, system.now(work.clock))
            warehouse.replace("monitoring.user_signals", found, system=system.name)
            counts.append(found.group_by("system", "signal").len("calls"))
    work.close()
    shown = pl.concat(counts).sort("system", "signal") if counts else pl.DataFrame()
    rows = int(shown["calls"].sum()) if counts else 0
    return dg.MaterializeResult(metadata={"dagster/row_count": rows, "signals": table(shown)})


@dg.asset(
    deps=["inferences", "chunks", "index_versions", "known_queries", "judgements"],
    partitions_def=weeks,
    backfill_policy=one_run,
    pool="duckdb",
    **labels("monitoring", WEEKLY, "ragas"),
)
def quality_scores(
    context: dg.AssetExecutionContext,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
    judge: dg.ResourceParam[OfflineJudge],
) -> dg.MaterializeResult:
    """Score the week's known-query probes and a sample of production answers, each score with its judge."""
    work = Work(context, project, warehouse, "quality")
    done: list[pl.DataFrame] = []
    for system in work.operated():
        with work.guarding(system.name):
            for week in work.weeks(system):
                scores = _score_week(warehouse, judge, system, week)
                warehouse.replace("monitoring.quality_scores", scores, system=system.name, week=week)
                done.append(scores)
    work.close()
    shown = pl.concat(done) if done else warehouse.tables["monitoring.quality_scores"].empty()
    means = shown.group_by("system", "week", "sample", "metric").agg(
        pl.col("value").mean().alias("mean"),
        pl.col("value").count().alias("scored"),
        pl.col("value").null_count().alias("unmeasured"),
    )
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": shown.height,
            "means": table(means.sort("system", "metric", "sample", "week"), 60),
        }
    )


def _score_week(warehouse: Warehouse, judge: OfflineJudge, system: System, week: date) -> pl.DataFrame:
    calls = _calls_of_week(warehouse, system.name, week)
    samples = [known_probes(calls, week), production_sample(calls, week, PRODUCTION_SAMPLE)]
    chosen = pl.concat(samples)
    tables = ("rag.chunks", "rag.known_queries", "rag.judgements")
    chunks, known, judgements = (warehouse.rows(name, system=system.name) for name in tables)
    places = warehouse.rows("rag.index_chunks", system=system.name)
    judged = judge.score(judge_samples(named_documents(chosen, places), chunks, known, judgements))
    return score_rows(judged, chosen, week)


def _calls_of_week(warehouse: Warehouse, system: str, week: date) -> pl.DataFrame:
    start, end = midnight(week), midnight(week + timedelta(days=7))
    return warehouse.read(
        "select * from inference_log.inferences where system = ? and occurred_at >= ? and occurred_at < ?",
        [system, start.replace(tzinfo=None), end.replace(tzinfo=None)],
    )


@dg.multi_asset(
    specs=[
        spec(
            "baselines",
            "The frozen first weeks: mean, size, fingerprint and who signed it off.",
            ["quality_scores"],
            labels("monitoring", WEEKLY),
        ),
        spec(
            "baseline_scores",
            "Every observation of a frozen baseline.",
            ["quality_scores"],
            labels("monitoring", WEEKLY),
        ),
    ],
    partitions_def=weeks,
    backfill_policy=one_run,
    pool="duckdb",
)
def baseline(
    context: dg.AssetExecutionContext,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
) -> Iterator[dg.MaterializeResult]:
    """Freeze the baseline once the first complete weeks are scored; it is never overwritten here."""
    work = Work(context, project, warehouse, "baseline")
    for system in work.operated():
        with work.guarding(system.name, BaselineRefusedError):
            if not work.weeks(system) or warehouse.rows("monitoring.baselines", system=system.name).height:
                continue
            scores = warehouse.rows("monitoring.quality_scores", system=system.name)
            baselines, observations = freeze(scores, system.baseline, system.now(work.clock))
            with warehouse.writing() as writer:
                writer.append("monitoring.baselines", baselines)
                writer.append("monitoring.baseline_scores", observations)
    work.close()
    frozen = warehouse.rows("monitoring.baselines").sort("system", "sample", "metric")
    for name in ("baselines", "baseline_scores"):
        yield dg.MaterializeResult(
            asset_key=name, metadata={"dagster/row_count": frozen.height, "baselines": table(frozen)}
        )
