"""Runs of the continuous work are forgotten after a month: one every quarter of an hour leaves 120 MB a day.

What they made stays, and so do the runs of weeks and months, runs that failed and the newest of all.
"""

from datetime import timedelta
from pathlib import Path

import dagster as dg

from aiops_pipelines.defs.cadences import CONTINUOUS, utc_now

KEPT_FOR = timedelta(days=30)
ALWAYS_KEPT = 100
"""So many of the newest runs stay however old they are: the last state of each asset is read from them."""
AT_ONCE = 100


@dg.op
def forget_old_runs(context: dg.OpExecutionContext) -> int:
    """Forget the successful continuous runs that are older than a month; return how many."""
    instance, done = context.instance, [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.CANCELED]
    newest = instance.get_runs(dg.RunsFilter(job_name=CONTINUOUS, statuses=done), limit=ALWAYS_KEPT)
    kept = {run.run_id for run in newest}
    old = dg.RunsFilter(job_name=CONTINUOUS, statuses=done, created_before=utc_now() - KEPT_FOR)
    forgotten = 0
    while runs := [
        run for run in instance.get_runs(old, limit=AT_ONCE + ALWAYS_KEPT) if run.run_id not in kept
    ]:
        for run in runs:
            _forget(instance, run.run_id)
        forgotten += len(runs)
    context.log.info(f"{forgotten} runs are forgotten, with their logs and events.")
    return forgotten


def _forget(instance: dg.DagsterInstance, run_id: str) -> None:
    instance.delete_run(run_id)
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    # SQLite, Dagster's own default, has a file of events a run; it is emptied by then, but not made smaller
    for file in (Path(instance.root_directory) / "history" / "runs").glob(f"{run_id}.db*"):
        file.unlink()


@dg.job(
    executor_def=dg.in_process_executor, description="Forget continuous runs that are older than a month."
)
def old_runs() -> None:
    """Forget old runs."""
    forget_old_runs()


every_night = dg.ScheduleDefinition(
    name="every_night",
    job=old_runs,
    cron_schedule="20 3 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
