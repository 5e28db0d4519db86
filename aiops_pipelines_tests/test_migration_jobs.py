"""The migration jobs on a real Dagster instance: plan, a killed start that goes on, promote and rollback."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from aiops_pipelines.project import ROOT, Project
from aiops_pipelines.rag.chunking import Chunking
from aiops_pipelines.resources import pace
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.keys import Keys
from aiops_pipelines.resources.recipes import Recipes
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines_tests.resources.desk import TOPICS, ask, desk, index, write_corpus

pytestmark = pytest.mark.filterwarnings("ignore:.*is currently in beta")
SYSTEM = """
name: desk
title: Desk
corpus: {folder: corpus/desk}
inference_log: {folder: inference_log/desk}
limits: {margin: 0.05}
"""
TARGET = {"system": "desk", "chunk_characters": 300}
KILLED = """
import sys
from pathlib import Path
import dagster as dg
from aiops_pipelines.defs.migrations import migrate_start
from aiops_pipelines.project import Project
from aiops_pipelines.resources import vectors
from aiops_pipelines_tests.resources.test_migrations import kill_at
from aiops_pipelines_tests.test_migration_jobs import TARGET, configured, parts

vectors.FIRST_BATCH, vectors.BATCH_SECONDS = 2, 0.0
kill_at(10)  # in the second batch of two texts
with dg.DagsterInstance.local_temp(sys.argv[2]) as instance:
    migrate_start.execute_in_process(
        run_config=configured("build_shadow", TARGET), resources=parts(Project(Path(sys.argv[1]))), instance=instance
    )
"""


def configured(op: str, config: dict[str, Any]) -> dict[str, Any]:
    return {"ops": {op: {"config": config}}}


def parts(project: Project) -> dict[str, Any]:
    from aiops_pipelines.resources.tables import declared_tables

    warehouse = Warehouse(project.warehouse, declared_tables(project.dbt))
    return {
        "project": project,
        "warehouse": warehouse,
        "audit_book": AuditBook(project, warehouse, Keys(project.keys)),
    }


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    (tmp_path / "dagster").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "dagster")) as instance:
        yield instance


@pytest.fixture
def indexed(project: Project, warehouse: Warehouse) -> Project:
    project.systems.mkdir(parents=True)
    (project.systems / "desk.yaml").write_text(SYSTEM)
    write_corpus(project.data / "corpus" / "desk", {name: f"{text} " * 16 for name, text in TOPICS.items()})
    index(warehouse, desk(project))
    ask(warehouse, 84)
    return project


class Jobs:
    def __init__(self, project: Project, instance: dg.DagsterInstance):
        self.project, self.instance = project, instance

    def run(self, job: str, op: str, config: dict[str, Any], fails: bool = False) -> Any:
        from aiops_pipelines.defs import migrations

        done = getattr(migrations, job).execute_in_process(
            run_config=configured(op, config),
            resources=parts(self.project),
            instance=self.instance,
            raise_on_error=False,
        )
        assert done.success is not fails
        return done

    def told(self, done: Any, kind: str) -> dict[str, Any]:
        events = [e for e in done.all_events if e.event_type_value == kind]
        found = events[-1].event_specific_data
        seen = found.materialization if kind == "ASSET_MATERIALIZATION" else found.asset_observation
        return {name: value.value for name, value in seen.metadata.items()}

    def refused(self, done: Any) -> str:
        (failed,) = [e for e in done.all_events if e.is_step_failure]
        return str(failed.event_specific_data.user_failure_data.description)


def test_plan_start_promote_and_rollback_are_jobs(
    indexed: Project, warehouse: Warehouse, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "EVERY_SECONDS", 0.0)
    jobs = Jobs(indexed, instance)
    planned = jobs.told(jobs.run("migrate_plan", "plan_migration", TARGET), "ASSET_OBSERVATION")
    assert (planned["documents"], planned["texts"], planned["usd"]) == ("6", "15", "0")
    assert planned["to"] == "all-MiniLM-L6-v2 and chunks of 300 characters"
    assert warehouse.rows("rag.migrations").is_empty()
    early = jobs.run("migrate_promote", "promote_shadow", {"system": "desk", "by": "Ada"}, fails=True)
    assert "No migration of desk is open" in jobs.refused(early)

    (indexed.data / "killed").mkdir()
    child = [sys.executable, "-W", "ignore", "-c", KILLED, str(indexed.data), str(indexed.data / "killed")]
    assert subprocess.run(child, cwd=ROOT, capture_output=True).returncode == -9
    left = warehouse.rows("rag.embeddings").height
    done = jobs.run("migrate_start", "build_shadow", TARGET)
    # 15 texts are new; two chunks hold a text that is embedded already, so its vector is copied.
    assert warehouse.rows("rag.embeddings").height == 6 + 15 + 2 > left > 6
    built = jobs.told(done, "ASSET_MATERIALIZATION")
    assert (built["migration"], built["status"]) == ("mg-1", "built")
    assert "chunks of 600 characters" in built["in force"] and "not inferior" in built["comparison"]
    shadow = warehouse.rows("rag.index_versions", chunker_version=Chunking(300).version)
    assert shadow["built_by"].to_list() == [done.run_id]
    logged = [record.user_message for record in instance.all_logs(done.run_id)]
    assert any("embedded" in said and "texts" in said for said in logged)

    nobody = jobs.run("migrate_promote", "promote_shadow", {"system": "desk", "by": " "}, fails=True)
    assert "decided by somebody" in jobs.refused(nobody)
    done = jobs.run("migrate_promote", "promote_shadow", {"system": "desk", "by": "Ada"})
    assert "chunks of 300 characters" in jobs.told(done, "ASSET_MATERIALIZATION")["in force"]
    done = jobs.run("migrate_rollback", "roll_back", {"system": "desk", "by": "Ada", "reason": "Too small"})
    assert jobs.told(done, "ASSET_MATERIALIZATION")["status"] == "rolled back"
    assert Recipes(warehouse).served("desk")["chunker_version"].n_unique() == 2
    log = warehouse.rows("compliance.audit_log", system="desk").sort("entry_index")
    assert log["kind"].to_list() == ["decision.migration_promoted", "decision.migration_rolled_back"]


def test_an_unknown_system_and_a_broken_file_are_one_sentence(
    indexed: Project, instance: dg.DagsterInstance
) -> None:
    jobs = Jobs(indexed, instance)
    (indexed.systems / "shop.yaml").write_text("name: shop\nprofile: enormous\n")
    for name, said in (("tower", "the systems are desk"), ("shop", "shop.yaml")):
        assert said in jobs.refused(jobs.run("migrate_plan", "plan_migration", {"system": name}, fails=True))
