"""Monitoring: how good the answers are, what users signal, and the baseline everything is compared with."""

from collections.abc import Iterator

import dagster as dg
import polars as pl

from aiops_pipelines.defs.bodies import Work, labels, spec, table
from aiops_pipelines.defs.cadences import CONTINUOUS, WEEKLY, one_run, systems, weeks
from aiops_pipelines.inference_log.late import with_late_facts
from aiops_pipelines.monitoring.alerts import alert_readings, alerts, baselines_of, days_of
from aiops_pipelines.monitoring.baseline import BaselineRefusedError, freeze
from aiops_pipelines.monitoring.hallucinations import hallucination_rates as rates
from aiops_pipelines.monitoring.service_baseline import freeze_service
from aiops_pipelines.monitoring.service_levels import call_rates, latency_percentiles
from aiops_pipelines.monitoring.signals import NEEDED, kept_signals
from aiops_pipelines.monitoring.signals import user_signals as find_signals
from aiops_pipelines.project import Project
from aiops_pipelines.resources.judge import OfflineJudge
from aiops_pipelines.resources.model_judge import model_judge
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.resources.week_scores import score_week
from aiops_pipelines.systems import System


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
            tables = {"inferences": ", ".join(NEEDED), "feedback": "*", "traces": "*"}
            logged = (
                warehouse.read(f"select {columns} from inference_log.{name} where system = ?", [system.name])
                for name, columns in tables.items()
            )
            calls = with_late_facts(*logged)
            stored = warehouse.rows("monitoring.user_signals", system=system.name)
            found = kept_signals(find_signals(calls, system.now(work.clock)), stored, calls)
            warehouse.replace("monitoring.user_signals", found, system=system.name)
            counts.append(found.group_by("system", "signal").len("calls"))
    work.close()
    shown = pl.concat(counts).sort("system", "signal") if counts else pl.DataFrame()
    rows = int(shown["calls"].sum()) if counts else 0
    return dg.MaterializeResult(metadata={"dagster/row_count": rows, "signals": table(shown)})


@dg.multi_asset(
    specs=[
        spec(
            "call_rates",
            "Shares of failed, refused and blocked calls by hour, day and week, with exact intervals.",
            ["hourly_traffic"],
            labels("monitoring", CONTINUOUS),
        ),
        spec(
            "latency_percentiles",
            "Percentiles of latency by hour, day and week, with intervals, or the reason there are none.",
            ["latency_sketch"],
            labels("monitoring", CONTINUOUS),
        ),
    ],
    partitions_def=systems,
    backfill_policy=one_run,
    pool="duckdb",
)
def service_levels(
    context: dg.AssetExecutionContext,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
) -> Iterator[dg.MaterializeResult]:
    """How calls ended and how long they took, each figure with what chance may have done to it."""
    work = Work(context, project, warehouse, "service levels")
    for system in work.operated():
        with work.guarding(system.name):
            hourly, sketch = _service(warehouse, system.name)
            warehouse.replace("monitoring.call_rates", call_rates(hourly), system=system.name)
            found = latency_percentiles(sketch)
            warehouse.replace("monitoring.latency_percentiles", found, system=system.name)
    work.close()
    for name in ("call_rates", "latency_percentiles"):
        weekly = warehouse.rows(f"monitoring.{name}", grain="week", endpoint="")
        shown = weekly.sort("period_start", descending=True)
        yield dg.MaterializeResult(
            asset_key=name, metadata={"dagster/row_count": shown.height, "latest weeks": table(shown)}
        )


@dg.multi_asset(
    specs=[
        spec(
            "service_baselines",
            "The frozen first weeks of the service: failures, refusals, latency and volume.",
            ["hourly_traffic", "latency_sketch"],
            labels("monitoring", CONTINUOUS),
        ),
        spec(
            "alert_readings",
            "How each alert rule read each day, and the state of its alert after it.",
            ["hourly_traffic", "latency_sketch", "inferences"],
            labels("monitoring", CONTINUOUS),
        ),
        spec(
            "alerts",
            "Every state of every alert: ok, firing, recovering or no_data; one alert, however it flaps.",
            ["hourly_traffic", "latency_sketch", "inferences"],
            labels("monitoring", CONTINUOUS),
        ),
    ],
    partitions_def=systems,
    backfill_policy=one_run,
    pool="duckdb",
)
def service_alerts(
    context: dg.AssetExecutionContext,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
) -> Iterator[dg.MaterializeResult]:
    """Hold each day against the limits and the frozen baseline; alerts open, recover and close."""
    work = Work(context, project, warehouse, "alerts")
    for system in work.operated():
        with work.guarding(system.name):
            _alert(work, system)
    work.close()
    now_in = warehouse.read("select * from monitoring.alerts where until is null order by system, rule")
    for name in ("service_baselines", "alert_readings", "alerts"):
        rows = warehouse.read(f"select count(*) as n from monitoring.{name}")["n"][0]
        yield dg.MaterializeResult(
            asset_key=name, metadata={"dagster/row_count": rows, "present states": table(now_in, 30)}
        )


def _alert(work: Work, system: System) -> None:
    warehouse, now = work.warehouse, system.now(work.clock)
    hourly, sketch = _service(warehouse, system.name)
    frozen = warehouse.rows("monitoring.service_baselines", system=system.name)
    if frozen.is_empty():
        try:
            frozen = freeze_service(hourly, sketch, system.baseline, now)
            warehouse.replace("monitoring.service_baselines", frozen, system=system.name)
        except BaselineRefusedError as error:
            work.context.log.info(f"{system.name}: alerts rest on limits alone. {error}")
    bins = warehouse.read(
        "select time_bucket(interval 5 minutes, occurred_at) as start, count(*) as calls, "
        "count(*) filter (where status = 'error') as errors from inference_log.inferences where system = ? "
        "and coalesce(operation, 'chat') = 'chat' group by start order by start",
        [system.name],
    )
    days = days_of(hourly, sketch)
    base, told = baselines_of(frozen), warehouse.rows("monitoring.alert_readings", system=system.name)
    readings = alert_readings(system.name, days, bins, base, system.limits, now, told)
    with warehouse.writing() as writer:
        writer.replace("monitoring.alert_readings", readings, system=system.name)
        writer.replace("monitoring.alerts", alerts(readings), system=system.name)


def _service(warehouse: Warehouse, system: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    names = ("monitoring.hourly_traffic", "monitoring.latency_sketch")
    hourly, sketch = (warehouse.rows(name, system=system) for name in names)
    return hourly, sketch


SCORED = ["inferences", "traces", "chunks", "index_versions", "known_queries", "judgements"]


@dg.multi_asset(
    specs=[
        spec(
            "quality_scores",
            "Scores of the week's known-query probes and of a sample of production, each with its judge.",
            SCORED,
            labels("monitoring", WEEKLY, "ragas"),
        ),
        spec(
            "judged_answers",
            "What a system's own judge said of each answer, and how often it was asked.",
            SCORED,
            labels("monitoring", WEEKLY, "ragas"),
        ),
        spec(
            "frozen_scores",
            "How a system's own judge scored the frozen answers each week.",
            SCORED,
            labels("monitoring", WEEKLY, "ragas"),
        ),
        spec(
            "judge_batches",
            "What a system's own judge was asked in each batch, its canaries and its cost.",
            SCORED,
            labels("monitoring", WEEKLY, "ragas"),
        ),
    ],
    partitions_def=weeks,
    backfill_policy=one_run,
    pool="duckdb",
)
def quality_scores(
    context: dg.AssetExecutionContext,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
    judge: dg.ResourceParam[OfflineJudge],
) -> Iterator[dg.MaterializeResult]:
    """Score the week's known-query probes and a sample of production answers, each score with its judge."""
    work = Work(context, project, warehouse, "quality")
    done: list[pl.DataFrame] = []
    for system in work.operated():
        with work.guarding(system.name):
            model = model_judge(system, warehouse, work.clock)
            for week in work.weeks(system):
                scores = score_week(warehouse, judge, system.name, week, model)
                warehouse.replace("monitoring.quality_scores", scores, system=system.name, week=week)
                done.append(scores)
            for problem in model.problems() if model else []:
                work.problem(system.name, problem)
    work.close()
    shown = pl.concat(done) if done else warehouse.tables["monitoring.quality_scores"].empty()
    means = shown.group_by("system", "week", "sample", "metric").agg(
        pl.col("value").mean().alias("mean"),
        pl.col("value").count().alias("scored"),
        pl.col("value").null_count().alias("unmeasured"),
    )
    yield dg.MaterializeResult(
        asset_key="quality_scores",
        metadata={
            "dagster/row_count": shown.height,
            "means": table(means.sort("system", "metric", "sample", "week"), 60),
        },
    )
    for name in ("judged_answers", "frozen_scores", "judge_batches"):
        rows = warehouse.read(f"select count(*) as n from monitoring.{name}")["n"][0]
        yield dg.MaterializeResult(asset_key=name, metadata={"dagster/row_count": rows})


@dg.asset(
    deps=["quality_scores", "judge_drift"],
    partitions_def=weeks,
    backfill_policy=one_run,
    pool="duckdb",
    **labels("monitoring", WEEKLY),
)
def hallucination_rates(
    context: dg.AssetExecutionContext,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
) -> dg.MaterializeResult:
    """Share of sampled answers with a statement that their context does not support, where a model judges."""
    work = Work(context, project, warehouse, "hallucinations")
    for system in work.operated():
        with work.guarding(system.name):
            scores = warehouse.rows("monitoring.quality_scores", system=system.name)
            drift = warehouse.rows("drift.judge_drift", system=system.name)
            found = rates(system.name, scores, drift)
            warehouse.replace("monitoring.hallucination_rates", found, system=system.name)
    work.close()
    shown = warehouse.rows("monitoring.hallucination_rates", grain="week")
    shown = shown.sort("period_start", descending=True)
    return dg.MaterializeResult(metadata={"dagster/row_count": shown.height, "latest weeks": table(shown)})


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
