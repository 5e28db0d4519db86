"""Dagster's storages on engines that are kept: one a file, and what is stored is read."""

import dagster as dg
import pytest
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage

from aiops_pipelines.defs.kept_engines import keep_engines


@dg.asset
def calls() -> None:
    """Do nothing."""


def test_a_run_is_stored_through_one_engine_a_file(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    for module in (sqlite_event_log, sqlite_run_storage):

        def counted(url, make=module.create_engine, **options):
            made.append(url)
            return make(url, **options)

        monkeypatch.setattr(module, "create_engine", counted)
    keep_engines()
    keep_engines()  # once is enough
    runs = [dg.materialize([calls], instance=instance) for _ in range(2)]
    assert len(made) == len(set(made)) == 4  # runs, the index of events, and each run's events
    assert [instance.get_run_by_id(run.run_id).status for run in runs] == [dg.DagsterRunStatus.SUCCESS] * 2
    assert len(instance.get_records_for_run(runs[0].run_id).records) > 5
