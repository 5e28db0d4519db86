"""Runs whose process is gone: they are ended, or each later run would wait for the pool slot they hold.

A machine that restarts, or kills for memory, leaves its run STARTED, whoever launched it: a schedule, the UI
or the command line. The number of a process says something on its own machine alone, so runs are tagged with
theirs; of another machine's run only silence can be judged.
"""

import os
import platform
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg

PID_TAG = "aiops/pid"
"""Tag of runs of the command line; of the others Dagster logs the process."""
HOST_TAG = "aiops/host"
"""Tag of the machine a run is at work on; of a run that no step has begun of it may be missing."""
SILENT_FOR = timedelta(days=1)
"""After this long without a word the run of another machine, or of a container that is gone, is dead."""
UNFINISHED = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
SAID = "The process was killed; the next run goes on from here."
CLOCKS_AGREE_S = 5


def this_host() -> str:
    """Return the name of this machine, or of this container."""
    return platform.node()


def end_dead_runs(instance: dg.DagsterInstance, now: float) -> list[str]:
    """End the runs whose process is gone and give back the pool slots they hold; return their ids.

    `now` is in seconds since 1970.
    """
    ended, host = [], this_host()
    hosts = dict(instance.get_run_tags([HOST_TAG])).get(HOST_TAG, set())
    for record in instance.get_run_records(dg.RunsFilter(statuses=UNFINISHED)):
        untagged = host if hosts <= {host} else None  # nobody else ever worked here
        here = record.dagster_run.tags.get(HOST_TAG, untagged) == host
        if _died(instance, record) if here else _silent(instance, record, now):
            instance.report_run_failed(record.dagster_run, SAID)
            instance.event_log_storage.free_concurrency_slots_for_run(record.dagster_run.run_id)
            ended.append(record.dagster_run.run_id)
    return ended


def _died(instance: dg.DagsterInstance, record: dg.RunRecord) -> bool:
    known = list(_processes(instance, record))
    return bool(known) and not any(_alive(pid, at) for pid, at in known)


def _silent(instance: dg.DagsterInstance, record: dg.RunRecord, now: float) -> bool:
    last = instance.get_records_for_run(record.dagster_run.run_id, limit=1, ascending=False).records
    spoke = last[0].timestamp if last else record.create_timestamp.timestamp()
    return now - spoke > SILENT_FOR.total_seconds()


def _processes(instance: dg.DagsterInstance, record: dg.RunRecord) -> Iterator[tuple[int, float]]:
    """Yield the processes that are known to work on a run, each with a moment at which it did."""
    run = record.dagster_run
    if pid := run.tags.get(PID_TAG):
        yield int(pid), record.create_timestamp.timestamp()
    logged = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
    for entry in (one.event_log_entry for one in logged.records):
        said = entry.get_dagster_event().engine_event_data.metadata
        if "pid" in said:
            yield int(str(said["pid"].value)), entry.timestamp


def _alive(pid: int, at: float) -> bool:
    """Say whether the process of a moment still runs; after a restart, another one may have its number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # of another user
        pass
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks = int(rest[18])  # starttime, field 22 of proc(5)
        boot = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime"))
    except OSError:  # no /proc here
        return True
    started = int(boot.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")
    return state != "Z" and started <= at + CLOCKS_AGREE_S
