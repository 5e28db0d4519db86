"""Runs whose process is gone, on a real Dagster instance."""

import os
import signal
import subprocess
import sys
import time

import dagster as dg
import pytest

from aiops_pipelines.defs import dead_runs
from aiops_pipelines.defs.dead_runs import HOST_TAG, _alive, end_dead_runs

pytestmark = pytest.mark.filterwarnings("ignore:.*is currently in beta")
WORLD = """
import os, signal, sys, time
import dagster as dg

@dg.asset(pool="duckdb")
def calls():
    if sys.argv[1] == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    print("at work", flush=True)
    time.sleep(60)

with dg.DagsterInstance.get() as instance:
    job = dg.Definitions(assets=[calls], jobs=[dg.define_asset_job("continuous", [calls])])
    job.resolve_job_def("continuous").execute_in_process(instance=instance)
"""
Started = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])


def start(how: str) -> subprocess.Popen[str]:
    """Start a run in a process of its own, without the tag of the command line, as a schedule does."""
    command = [sys.executable, "-W", "ignore", "-c", WORLD, how]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def held(instance: dg.DagsterInstance) -> int:
    return len(instance.event_log_storage.get_concurrency_info("duckdb").claimed_slots)


def test_a_killed_run_is_ended_and_holds_no_slot_any_more(instance):
    assert start("dies").wait() == -signal.SIGKILL
    (run,) = instance.get_runs(Started)
    assert held(instance) == 1
    assert end_dead_runs(instance, time.time()) == [run.run_id]
    assert instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.FAILURE
    assert held(instance) == 0
    assert end_dead_runs(instance, time.time()) == []


def test_a_run_at_work_goes_on_until_its_process_dies_even_as_a_zombie(instance):
    with start("works") as process:
        assert process.stdout.readline() == "at work\n"
        assert end_dead_runs(instance, time.time()) == []
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, and not collected yet
        assert len(end_dead_runs(instance, time.time())) == 1


def test_another_process_with_the_same_number_is_not_the_run():
    now = time.time()
    assert _alive(os.getpid(), now)
    assert not _alive(os.getpid(), now - 24 * 3600)  # before this process began


def test_a_run_of_another_machine_is_ended_after_a_day_of_silence_alone(instance):
    """Its process has a number that is free here; before the run knew its machine, this ended it at once."""
    assert start("dies").wait() == -signal.SIGKILL
    (run,) = instance.get_runs(Started)
    instance.add_run_tags(run.run_id, {HOST_TAG: "elsewhere"})
    assert end_dead_runs(instance, time.time()) == end_dead_runs(instance, time.time() + 23 * 3600) == []
    assert held(instance) == 1
    assert end_dead_runs(instance, time.time() + 25 * 3600) == [run.run_id]
    assert held(instance) == 0


def test_a_run_that_does_not_say_where_it_is_is_here_only_if_nobody_else_ever_was(instance, monkeypatch):
    assert start("dies").wait() == -signal.SIGKILL
    (first,) = end_dead_runs(instance, time.time())
    instance.add_run_tags(first, {HOST_TAG: "elsewhere"})
    assert start("dies").wait() == -signal.SIGKILL
    assert end_dead_runs(instance, time.time()) == []
    monkeypatch.setattr(dead_runs, "this_host", lambda: "elsewhere")
    assert len(end_dead_runs(instance, time.time())) == 1
