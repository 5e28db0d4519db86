"""What is forgotten of old runs, on a real Dagster instance."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

pytestmark = pytest.mark.filterwarnings("ignore:.*is currently in beta")


class Flag(dg.Config):
    breaks: bool = False


@dg.asset
def calls(config: Flag) -> dg.MaterializeResult:
    if config.breaks:
        raise ValueError("broken")
    print("a line of a log")
    return dg.MaterializeResult(metadata={"rows": 1})


JOBS = dg.Definitions(
    assets=[calls], jobs=[dg.define_asset_job(name, [calls]) for name in ("continuous", "weekly")]
)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield instance


@pytest.fixture
def module() -> Any:
    from aiops_pipelines.defs import old_runs

    return old_runs


def run(instance: dg.DagsterInstance, job: str, breaks: bool = False) -> str:
    config = {"ops": {"calls": {"config": {"breaks": breaks}}}}
    done = JOBS.resolve_job_def(job).execute_in_process(
        run_config=config, instance=instance, raise_on_error=False
    )
    assert done.success is not breaks
    return done.run_id


def forgotten(module: Any, instance: dg.DagsterInstance) -> int:
    done = module.old_runs.execute_in_process(instance=instance)
    return int(done.output_for_node("forget_old_runs"))


def files_of(instance: dg.DagsterInstance, run_id: str) -> list[Path]:
    return [path for path in Path(instance.root_directory).rglob("*") if run_id in str(path)]


def test_old_continuous_runs_are_forgotten_and_what_is_needed_stays(
    module: Any, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = [run(instance, "continuous") for _ in range(5)]
    kept = [run(instance, "continuous", breaks=True), run(instance, "weekly"), run(instance, "continuous")]
    monkeypatch.setattr(module, "ALWAYS_KEPT", 1)
    monkeypatch.setattr(module, "AT_ONCE", 2)
    assert all(files_of(instance, run_id) for run_id in old + kept)

    assert forgotten(module, instance) == 0  # none is a month old

    later = module.utc_now() + module.KEPT_FOR + timedelta(minutes=1)
    monkeypatch.setattr(module, "utc_now", lambda: later)
    assert forgotten(module, instance) == len(old)
    assert not any(files_of(instance, run_id) for run_id in old)
    assert all(files_of(instance, run_id) for run_id in kept)
    assert {run.run_id for run in instance.get_runs()} >= set(kept)
    latest = instance.get_latest_materialization_event(dg.AssetKey("calls"))
    assert latest is not None
    assert latest.run_id == kept[-1]
