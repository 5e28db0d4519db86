"""A run of the command line that has to wait for another one says so."""

import threading
import time
from typing import Any

import dagster as dg

from aiops_pipelines.defs.runs import _Runner


@dg.asset(pool="duckdb")
def calls() -> None:
    """Do nothing."""


def free_when(said: str, capsys: Any, instance: dg.DagsterInstance, other: str, seen: list[str]) -> None:
    """Give the slot back as soon as this was said, or after 20 seconds."""
    for _ in range(200):
        seen.append(capsys.readouterr().out)
        if said in "".join(seen):
            break
        time.sleep(0.1)
    instance.event_log_storage.free_concurrency_slots_for_run(other)


def test_it_names_the_run_it_waits_for_once_and_then_goes_on(instance, tmp_path, capsys):
    definitions = dg.Definitions(assets=[calls], jobs=[dg.define_asset_job("continuous", [calls])])
    other = instance.create_run_for_job(dg.GraphDefinition("other").to_job()).run_id
    storage = instance.event_log_storage
    storage.initialize_concurrency_limit_to_default("duckdb")
    assert storage.claim_concurrency_slot("duckdb", other, "step").is_claimed
    seen: list[str] = []
    said = f"run {other[:8]} is at work"
    freeing = threading.Thread(target=free_when, args=(said, capsys, instance, other, seen))
    freeing.start()
    _Runner(definitions, instance, tmp_path, print)("continuous", {})
    freeing.join()
    text = "".join([*seen, capsys.readouterr().out])
    assert text.count(said) == 1 and "calls done in" in text and "continuous finished" in text
