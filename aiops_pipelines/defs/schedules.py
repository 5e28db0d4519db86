"""One job and one schedule a cadence, and a sensor for what lands in between."""

import hashlib
from collections.abc import Callable
from datetime import date, datetime

import dagster as dg

from aiops_pipelines.defs.cadences import (
    BOOKS,
    CONTINUOUS,
    MONTHLY,
    WEEKLY,
    period_range,
    range_tags,
    systems,
    utc_now,
)
from aiops_pipelines.defs.dead_runs import end_dead_runs
from aiops_pipelines.project import Project
from aiops_pipelines.resources import documents as corpora
from aiops_pipelines.resources.completion import due_months, due_weeks
from aiops_pipelines.resources.sources.folder import Folder
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System, load_systems

BOOK_ASSETS = dg.AssetSelection.assets(*BOOKS)
RUNNING = dg.DefaultScheduleStatus.RUNNING
Due = Callable[[Warehouse, System, datetime], list[date]]


def _job(cadence: str, description: str) -> dg.JobDefinition:
    job = dg.define_asset_job(
        cadence,
        selection=dg.AssetSelection.tag("cadence", cadence) | BOOK_ASSETS,
        executor_def=dg.in_process_executor,
        tags={"cadence": cadence},
        description=description,
    )
    return job  # type: ignore[return-value]


continuous_job = _job(
    CONTINUOUS, "Read new logs and documents, price calls, roll up, open incidents, log and publish."
)
weekly_job = _job(
    WEEKLY, "Score the week, judge it against the baseline, explain spend, write the weekly review."
)
monthly_job = _job(MONTHLY, "Propose improvements and write the compliance report.")


@dg.schedule(job=continuous_job, cron_schedule="*/15 * * * *", default_status=RUNNING)
def every_quarter_of_an_hour(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Run the continuous work for every registered system."""
    registered = context.instance.get_dynamic_partitions(systems.name or "")
    if not registered:
        return dg.SkipReason("No system is registered yet; put a file into data/systems.")
    return dg.RunRequest(tags=range_tags(registered[0], registered[-1]))


@dg.schedule(job=weekly_job, cron_schedule="0 6 * * 1", default_status=RUNNING)
def every_monday(
    context: dg.ScheduleEvaluationContext,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
) -> dg.RunRequest | dg.SkipReason:
    """Run the weekly work for every closed week that is due; a recorded story has none after its end."""
    return _due_run(context, project, warehouse, due_weeks)


@dg.schedule(job=monthly_job, cron_schedule="0 8 1 * *", default_status=RUNNING)
def every_first(
    context: dg.ScheduleEvaluationContext,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
) -> dg.RunRequest | dg.SkipReason:
    """Run the monthly work for every closed month that is due; a week that ends with it is judged by then."""
    return _due_run(context, project, warehouse, due_months)


def _due_run(
    context: dg.ScheduleEvaluationContext, project: Project, warehouse: Warehouse, due: Due
) -> dg.RunRequest | dg.SkipReason:
    registered = context.instance.get_dynamic_partitions(systems.name or "")
    usable, _ = load_systems(project.systems, project.data)
    periods = {
        period for name in registered if name in usable for period in due(warehouse, usable[name], utc_now())
    }
    if not periods:
        return dg.SkipReason("Every closed period of every system is done.")
    return dg.RunRequest(tags=period_range(periods, registered))


@dg.sensor(job=continuous_job, minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.RUNNING)
def landed(
    context: dg.SensorEvaluationContext, project: dg.ResourceParam[Project]
) -> dg.SensorResult | dg.SkipReason:
    """Notice new systems, log files, documents and known queries, and runs whose process is gone."""
    for run in end_dead_runs(context.instance, utc_now().timestamp()):
        context.log.warning(f"Run {run} is ended: its process was killed. The next run goes on from there.")
    usable, mistakes = load_systems(project.systems, project.data)
    for sentence in mistakes.values():
        context.log.warning(sentence)
    registered = context.instance.get_dynamic_partitions(systems.name or "")
    new = [name for name in usable if name not in registered]
    seen = hashlib.sha256("".join(_listing(system) for system in usable.values()).encode()).hexdigest()
    if not usable or (seen == context.cursor and not new):
        return dg.SkipReason("Nothing landed.")
    names = [*registered, *new]
    return dg.SensorResult(
        run_requests=[dg.RunRequest(run_key=seen, tags=range_tags(names[0], names[-1]))],
        dynamic_partitions_requests=[systems.build_add_request(new)] if new else [],
        cursor=seen,
    )


def _listing(system: System) -> str:
    logs = system.inference_log.folder
    found = [Folder(logs).state()] if logs.is_dir() else []
    try:
        states = corpora.snapshots(system.corpus) if system.corpus else []
        found += [corpora.fingerprint(state) for state in states]
    except corpora.CorpusError as error:  # the run says it too
        found.append(str(error))
    queries = system.known_queries
    stamp = str(queries.stat().st_mtime_ns) if queries and queries.exists() else ""
    return f"{system.model_dump_json()}{found}{stamp}"
