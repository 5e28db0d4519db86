"""A run of the command line that fails says which step did, and why."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from aiops_pipelines.defs.runs import RunFailed, _Runner, dagsters_storage
from aiops_pipelines.project import ROOT
from aiops_pipelines.resources.warehouse import WarehouseError
from aiops_pipelines_tests.commands.small_run import write_inputs
from aiops_pipelines_tests.resources.test_warehouse import in_storage_version

pytestmark = pytest.mark.filterwarnings("ignore:.*is currently in beta")
REPORT = "/srv/data/reports/support/monthly/2026-06.html"
RAISED = {
    "mendable": (WarehouseError("aiops.duckdb cannot be opened: IO Error"), "aiops.duckdb cannot be opened: IO Error"),
    "full": (OSError(errno.ENOSPC, "No space left on device", REPORT), f"{REPORT} cannot be used: No space left on device; make room, and start again."),
    "failing": (OSError(errno.EIO, "Input/output error"), "The disk cannot be used: Input/output error; what was not kept is done again by the next run, but look after the disk first."),
    "ours": (KeyError("week"), "calls stopped with an unexpected KeyError: 'week'"),
    "a call": (ConnectionError("reset"), "calls stopped with an unexpected ConnectionError: reset"),
}  # fmt: skip


def failed(instance: dg.DagsterInstance, home: Path, asset: dg.AssetsDefinition) -> str:
    definitions = dg.Definitions(assets=[asset], jobs=[dg.define_asset_job("continuous", [asset])])
    with pytest.raises(RunFailed) as told:
        _Runner(definitions, instance, home, print)("continuous", {})
    return str(told.value)


def test_an_error_that_was_raised_is_told_without_its_class(instance, tmp_path):
    @dg.asset
    def calls() -> None:
        try:
            raise OSError("from below")
        except OSError as error:
            raise WarehouseError("x.duckdb cannot be opened.\nMake room.") from error

    said = failed(instance, tmp_path, calls)
    assert said.splitlines() == [
        f"The continuous run failed in calls; the log is {tmp_path / 'run.log'}.",
        "  calls: x.duckdb cannot be opened. Make room.",
    ]


@pytest.mark.parametrize("kind", RAISED)
def test_what_stopped_a_system_is_told_and_stored(instance, tmp_path, project, warehouse, kind):
    from aiops_pipelines.defs.bodies import Work

    write_inputs(project.data)
    raised, sentence = RAISED[kind]

    @dg.asset
    def calls(context: dg.AssetExecutionContext) -> None:
        work = Work(context, project, warehouse, "calls")
        for system in work.operated():
            with work.guarding(system.name):
                raise raised
        work.close()

    said = failed(instance, tmp_path, calls)
    assert re.fullmatch(
        r"  calls: calls stopped for support; .* are done. support: (.*)", said.splitlines()[1]
    )
    assert said.endswith(sentence)
    stored = warehouse.rows("operations.problems")
    assert stored.select("system", "area", "problem").rows() == [("support", "calls", sentence)]


def test_a_warehouse_of_another_duckdb_is_told_before_the_first_step(project, warehouse):
    write_inputs(project.data)
    in_storage_version(project.warehouse, 999)
    command = [sys.executable, "-W", "ignore", "-c", "from aiops_pipelines.cli import app; app()", "run"]
    environment = {key: value for key, value in os.environ.items() if key != "DAGSTER_HOME"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment | {"AIOPS_DATA": str(project.data)}, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.split()) == (1, ["Loading", "Dagster", "..."])
    assert done.stderr.startswith(
        "aiops.duckdb cannot be opened: another DuckDB wrote it, in storage version 999"
    )
    assert len(done.stderr.splitlines()) == 1


HOLDS = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("begin exclusive")
print("held", flush=True)
sys.stdin.read()
"""


def test_dagsters_storage_that_another_process_holds_is_told_and_the_next_run_goes_on(instance, tmp_path):
    done = []

    @dg.asset
    def calls() -> None:
        done.append(1)

    definitions = dg.Definitions(assets=[calls], jobs=[dg.define_asset_job("continuous", [calls])])
    run = _Runner(definitions, instance, tmp_path, print)
    instance.get_runs_count()
    command = [sys.executable, "-c", HOLDS, str(tmp_path / "history" / "runs.db")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holding:
        assert holding.stdout.readline() == "held\n"
        with pytest.raises(RunFailed) as told, dagsters_storage(tmp_path):
            run("continuous", {})
        holding.stdin.close()
    assert str(told.value) == (
        f"Dagster's own storage in {tmp_path} cannot be used: database is locked; another process holds it: wait "
        "for it or end it, then run again. What was finished stays."
    )
    assert done == []
    with dagsters_storage(tmp_path):
        run("continuous", {})
    assert done == [1]


@pytest.mark.parametrize(
    ("damage", "todo"), [(b"x" * 4096, "is not a database; move the folder history away")]
)
def test_dagsters_storage_that_is_damaged_is_told(tmp_path, monkeypatch, damage, todo):
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    (tmp_path / "history").mkdir()
    (tmp_path / "history" / "runs.db").write_bytes(damage)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with (
        pytest.raises(RunFailed, match=todo),
        dagsters_storage(tmp_path),
        dg.DagsterInstance.get() as instance,
    ):
        instance.get_runs_count()
    (tmp_path / "history" / "runs.db").unlink()
    with dagsters_storage(tmp_path), dg.DagsterInstance.get() as instance:
        assert instance.get_runs_count() == 0
