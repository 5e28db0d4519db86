"""Materialise the cadences from the command line, in this process, on the same Dagster instance as the UI."""

import contextlib
import os
import re
import shutil
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiops_pipelines.mendable import Mendable
from aiops_pipelines.project import ROOT, Project
from aiops_pipelines.resources.completion import due_months, due_weeks
from aiops_pipelines.resources.tables import declared_tables
from aiops_pipelines.resources.warehouse import Warehouse, WarehouseBusy
from aiops_pipelines.systems import load_systems

Say = Callable[[str], None]
STEPS = {
    "STEP_START": "  {step} ...",
    "STEP_SUCCESS": "  {step} done in {seconds:.1f} s",
    "STEP_FAILURE": "  {step} FAILED",
}
OF_CLASS = re.compile(r"^[\w.]+: ")
WAITS = "blocked by limit for pool"
"""How Dagster says that a step waits until another run lets go."""
OF_SQLITE = {
    "locked": "another process holds it: wait for it or end it",
    "readonly": "let this user write there",
    "unable to open": "let this user read and write there",
    "full": "make room on the disk",
    "disk I/O": "make room on the disk, or look after it",
    "malformed": "move the folder history away, with which only the history of runs goes",
    "not a database": "move the folder history away, with which only the history of runs goes",
}
"""What to do, by what SQLite says."""
WAITING = "  run {run} is at work (see aiops ui); this one goes on when its step is done ..."


class RunFailed(Mendable, RuntimeError):
    """A cadence did not finish; the message says which step and where the log is."""


def prepare_home(project: Project) -> Path:
    """Make Dagster's home below the data folder, with the project's settings."""
    home = Path(os.environ.get("DAGSTER_HOME") or project.dagster_home)
    home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(ROOT / "dagster.yaml", home / "dagster.yaml")
    os.environ["DAGSTER_HOME"] = str(home)
    return home


@contextlib.contextmanager
def dagsters_storage(home: Path) -> Iterator[None]:
    """Say what is wrong with Dagster's own database, and what to do.

    Raises:
        RunFailed: another process keeps it locked, or it cannot be written or read.
    """
    from sqlalchemy.exc import DBAPIError

    try:
        yield
    except DBAPIError as error:
        said = str(error.orig or error)
        todo = next((sentence for sign, sentence in OF_SQLITE.items() if sign in said), "look at it")
        raise RunFailed(
            f"Dagster's own storage in {home} cannot be used: {said}; {todo}, then run again. What was "
            "finished stays."
        ) from error


def operate(project: Project, say: Say) -> None:
    """Run what is due now: the continuous work always, then the closed weeks and months that are not done.

    Raises:
        RunFailed: a step failed; what was finished stays, and the next run goes on from there.
    """
    home = prepare_home(project)
    say("Loading Dagster ...")
    import dagster as dg

    from aiops_pipelines.definitions import defs
    from aiops_pipelines.defs.cadences import period_range, range_tags, systems, utc_now
    from aiops_pipelines.defs.dead_runs import end_dead_runs

    definitions = defs() if callable(defs) else defs
    usable, _ = load_systems(project.systems, project.data)
    warehouse = Warehouse(project.warehouse, declared_tables(project.dbt))
    with dagsters_storage(home), dg.DagsterInstance.get() as instance:
        end_dead_runs(instance, utc_now().timestamp())
        known = instance.get_dynamic_partitions(systems.name or "")
        instance.add_dynamic_partitions(systems.name or "", [name for name in usable if name not in known])
        registered = list(instance.get_dynamic_partitions(systems.name or ""))
        if not registered:
            say(
                f"No system is configured: put a file into {project.systems}, or write one with `aiops init`."
            )
            return
        with contextlib.suppress(WarehouseBusy):  # then the steps wait for it
            Warehouse(project.warehouse, warehouse.tables, wait_seconds=0).prepare()
        run = _Runner(definitions, instance, home, say)
        run("continuous", range_tags(registered[0], registered[-1]))
        for cadence, due in (("weekly", due_weeks), ("monthly", due_months)):
            clock = datetime.now(UTC)
            periods = {
                p for name in registered if name in usable for p in due(warehouse, usable[name], clock)
            }
            if periods:
                run(cadence, period_range(periods, registered), f", {len(periods)} periods")
            else:
                say(f"{cadence}: nothing is due")


def _why(event: Any) -> str:
    """Return what a step that failed said last, in a line, without the name of the error's class."""
    error, said = event.step_failure_data.error, event.step_failure_data.user_failure_data
    raised = error and (error.cause or error)  # Dagster's own is about the step
    text = said.description if said and said.description else raised.message if raised else "it did not say"
    return " ".join(OF_CLASS.sub("", text).split())


class _Runner:
    def __init__(self, definitions: Any, instance: Any, home: Path, say: Say):
        self._definitions, self._instance, self._say = definitions, instance, say
        self._log = home / "run.log"

    def __call__(self, cadence: str, tags: dict[str, str], note: str = "") -> None:
        from aiops_pipelines.defs.dead_runs import HOST_TAG, PID_TAG, this_host

        self._say(f"{cadence}{note}:")
        run_id, begun = str(uuid.uuid4()), time.monotonic()
        self._tell_progress(run_id)
        with (
            self._log.open("a") as log,
            contextlib.chdir(Path.cwd()),  # dbt's column lineage moves to its project and stays there
            contextlib.redirect_stdout(log),
            contextlib.redirect_stderr(log),
        ):
            result = self._definitions.resolve_job_def(cadence).execute_in_process(
                instance=self._instance,
                run_id=run_id,
                tags={**tags, PID_TAG: str(os.getpid()), HOST_TAG: this_host()},
                raise_on_error=False,
            )
        if not result.success:
            failed = {e.step_key: _why(e) for e in result.all_events if e.is_step_failure and e.step_key}
            where = ", ".join(sorted(failed)) or "its start"
            why = "".join(f"\n  {step}: {failed[step]}" for step in sorted(failed))
            raise RunFailed(f"The {cadence} run failed in {where}; the log is {self._log}.{why}")
        self._say(f"{cadence} finished in {time.monotonic() - begun:.0f} s")

    def _tell_progress(self, run_id: str) -> None:
        """Say when a step starts and ends, as the run's events are stored in Dagster's log."""
        out, started = sys.stdout, dict[str, float]()

        def tell(entry: Any) -> None:
            if line := self._line(entry, started):
                with contextlib.suppress(OSError):  # a run goes on when nobody reads on
                    out.write(line + "\n")
                    out.flush()

        self._instance.add_event_listener(run_id, tell)

    def _line(self, entry: Any, started: dict[str, float]) -> str | None:
        """Say what an entry of Dagster's log means to who waits; `started` keeps when each step began."""
        kind = entry.dagster_event.event_type_value if entry.dagster_event else ""
        if kind == "STEP_START":
            started[entry.step_key] = entry.timestamp
        if kind in STEPS and kind != "STEP_START":
            took = entry.timestamp - started.get(entry.step_key, entry.timestamp)
            return STEPS[kind].format(step=entry.step_key, seconds=took)
        if kind == "ENGINE_EVENT" and WAITS in entry.dagster_event.message and WAITS not in started:
            started[WAITS] = entry.timestamp
            pool = entry.dagster_event.engine_event_data.metadata["pool"].value
            slots = self._instance.event_log_storage.get_concurrency_info(pool).claimed_slots
            return WAITING.format(run=" and ".join(slot.run_id[:8] for slot in slots) or "another")
        return None
