"""What the server loads, and what its schedules and its sensor decide."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import polars as pl
import pytest
import yaml

from aiops_pipelines import PILLARS
from aiops_pipelines.project import ROOT, Project
from aiops_pipelines.resources.completion import due_months, due_weeks, enter
from aiops_pipelines.resources.report_book import EVIDENCE
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import load_systems

pytestmark = pytest.mark.filterwarnings("ignore:.*is currently in beta", "ignore:Function `load_defs`")

SAMPLES = ROOT / "data" / "systems"
CADENCES = {"continuous", "weekly", "monthly"}
MIGRATIONS = {"migrate_plan", "migrate_start", "migrate_promote", "migrate_rollback"}
BOOKS = {"signals", "incidents", "remedy_proofs", "audit_log", "text_deletions", "analyst_copy"}
SYSTEM = """
name: {name}
title: Shop assistant
inference_log: {{folder: inference_log/{name}}}
as_of: 2026-06-16
"""


@pytest.fixture(scope="module")
def definitions() -> Iterator[dg.Definitions]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIOPS_WAREHOUSE", "")  # loading sets these two; they are put back
        patch.setenv("PATH", os.environ["PATH"])
        from aiops_pipelines.definitions import defs

        yield defs()


@pytest.fixture(scope="module")
def repository(definitions: dg.Definitions) -> dg.RepositoryDefinition:
    return definitions.get_repository_def()


@pytest.fixture(scope="module")
def specs(definitions: dg.Definitions) -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}


@pytest.fixture(scope="module")
def materialisable(definitions: dg.Definitions, specs: dict[str, dg.AssetSpec]) -> dict[str, dg.AssetSpec]:
    graph = definitions.resolve_asset_graph()
    return {key.to_user_string(): specs[key.to_user_string()] for key in graph.materializable_asset_keys}


# --- loading

LOADED = """
import json, sys
from aiops_pipelines.definitions import defs
defs().get_repository_def()
tops = {name.partition(".")[0] for name in sys.modules}
print(json.dumps([sys.argv[1], sorted(tops | {"scipy.stats"} & set(sys.modules))]))
"""


def test_loading_imports_none_of_the_heavy_libraries(tmp_path: Path) -> None:
    environment = {**os.environ, "AIOPS_DATA": str(tmp_path)}
    command = [sys.executable, "-W", "ignore", "-c", LOADED, "loaded"]
    loaded = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert loaded.returncode == 0, loaded.stderr
    said, modules = json.loads(loaded.stdout.splitlines()[-1])
    assert said == "loaded"
    assert {"dagster", "dagster_dbt", "polars", "duckdb"} <= set(modules)
    heavy = {"ragas", "great_expectations", "llama_index", "onnxruntime", "tiktoken", "altair", "vl_convert"}
    assert (heavy | {"scipy.stats"}) & set(modules) == set()
    assert list(tmp_path.iterdir()) == []  # loading writes nothing into the data folder


def test_everything_that_is_defined_can_be_resolved(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)


def test_the_months_report_comes_after_the_work_of_its_weeks(
    definitions: dg.Definitions, materialisable: dict[str, dg.AssetSpec]
) -> None:
    graph = definitions.resolve_asset_graph()
    report = dg.AssetSelection.assets("compliance_reports")
    before = {key.to_user_string() for key in report.upstream().resolve(graph)}
    read = {table.partition(".")[2] for table in EVIDENCE.values()} & materialisable.keys()
    weekly = {name for name in read if materialisable[name].tags["cadence"] == "weekly"}
    assert weekly <= before


@pytest.mark.slow
def test_the_server_finds_the_code_location(tmp_path: Path) -> None:
    environment = {**os.environ, "AIOPS_DATA": str(tmp_path / "data"), "DAGSTER_HOME": str(tmp_path)}
    (tmp_path / "dagster.yaml").write_bytes((ROOT / "dagster.yaml").read_bytes())
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "-w", "workspace.yaml"]
    checked = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "Validation successful for code location aiops_pipelines" in checked.stdout + checked.stderr


def test_dbt_is_not_asked_for_a_newer_one_in_the_network(
    definitions: dg.Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dagster_dbt.core.resource.check_output", pytest.fail)
    dbt: Any = (definitions.resources or {})["dbt"]
    assert str(dbt._cli_version) == version("dbt-core")


def test_dbt_parses_its_macros_to_trace_columns_and_not_before_each_build(
    definitions: dg.Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dagster_dbt.DbtCliResource._initialize_dbt_core_adapter", lambda dbt, args: "parsed")
    dbt: Any = (definitions.resources or {})["dbt"]
    assert dbt._initialize_dbt_core_adapter(()) is None
    dbt.trace_with_adapter(build := SimpleNamespace(adapter=None))
    assert build.adapter == "parsed"


def test_the_instance_keeps_to_itself_and_writes_one_at_a_time() -> None:
    settings = yaml.safe_load((ROOT / "dagster.yaml").read_text())
    assert settings["telemetry"] == {"enabled": False}
    assert settings["concurrency"]["pools"] == {"granularity": "op", "default_limit": 1}
    assert settings["freshness"] == {"enabled": True}


# --- assets


def test_every_asset_is_labelled(materialisable: dict[str, dg.AssetSpec]) -> None:
    groups = {*PILLARS, "warehouse", "staging"}
    wanting = {
        name: missing
        for name, spec in materialisable.items()
        if (
            missing := [
                label
                for label, there in {
                    "group": spec.group_name in groups,
                    "cadence": spec.tags.get("cadence") in CADENCES,
                    "kinds": "duckdb" in spec.kinds and len(spec.kinds) > 1,
                    "owner": bool(spec.owners),
                    "description": bool(spec.description),
                    "freshness": spec.freshness_policy is not None,
                }.items()
                if not there
            ]
        )
    }
    assert wanting == {}
    assert len(materialisable) > 45
    assert {spec.group_name for spec in materialisable.values()} >= {*PILLARS, "warehouse"}


def test_every_pillar_works_at_every_pace_it_needs(materialisable: dict[str, dg.AssetSpec]) -> None:
    grid = {(spec.group_name, spec.tags["cadence"]) for spec in materialisable.values()}
    assert {group for group, cadence in grid if cadence == "continuous"} >= {*PILLARS}
    assert len([cell for cell in grid if cell[1] != "continuous"]) >= 8


def test_nothing_stands_outside_the_groups(specs: dict[str, dg.AssetSpec]) -> None:
    assert [
        name for name, spec in specs.items() if spec.group_name == "default" or not spec.description
    ] == []


def test_tables_show_their_columns_with_types_and_meaning(materialisable: dict[str, dg.AssetSpec]) -> None:
    """A table that Python writes as it is declared, one that dbt builds as its model describes it."""
    shown = {
        name: {column.name: column for column in spec.metadata["dagster/column_schema"].columns}
        for name, spec in materialisable.items()
        if "dagster/column_schema" in spec.metadata
    }
    assert {"incidents", "signals", "inferences", "drift_verdicts", "weekly_traffic"} <= shown.keys()
    severity = shown["incidents"]["severity"]
    assert (severity.type, severity.description) == (
        "VARCHAR",
        "Highest severity of its signals, or the one it was opened with.",
    )
    assert materialisable["incidents"].metadata["dagster/table_name"] == "incidents.incidents"


def test_checks_say_what_they_ask_in_words(repository: dg.RepositoryDefinition) -> None:
    graph = repository.asset_graph
    said = [
        graph.get(key).description or ""
        for key in graph.asset_check_keys
        if key.asset_key.path == ["inferences"]
    ]
    assert len(said) == 13 and all(text.endswith(".") and "{" not in text for text in said), said


def test_freshness_follows_the_cadence(materialisable: dict[str, dg.AssetSpec]) -> None:
    policies: dict[str, set[Any]] = {}
    for spec in materialisable.values():
        policies.setdefault(spec.tags["cadence"], set()).add(spec.freshness_policy)
    assert {cadence: len(found) for cadence, found in policies.items()} == dict.fromkeys(CADENCES, 1)
    assert policies["weekly"].pop().deadline_cron == "0 10 * * 1"
    assert policies["monthly"].pop().deadline_cron == "0 10 1 * *"


def test_every_asset_that_opens_the_warehouse_waits_in_its_pool(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    pools = {key.to_user_string(): graph.get(key).pools for key in graph.materializable_asset_keys}
    assert {name: pool for name, pool in pools.items() if pool != {"duckdb"}} == {}


# --- jobs


@pytest.mark.parametrize("cadence", sorted(CADENCES))
def test_a_job_is_its_cadence_and_the_books(
    cadence: str, repository: dg.RepositoryDefinition, materialisable: dict[str, dg.AssetSpec]
) -> None:
    job = repository.get_job(cadence)
    chosen = {key.to_user_string() for key in job.asset_layer.selected_asset_keys}
    tagged = {name for name, spec in materialisable.items() if spec.tags["cadence"] == cadence}
    assert chosen == tagged | BOOKS
    assert job.executor_def.name == "in_process"


def test_jobs_schedules_and_the_sensor_are_there_and_run(repository: dg.RepositoryDefinition) -> None:
    jobs = {job.name for job in repository.get_all_jobs() if not job.name.startswith("__")}
    assert jobs == CADENCES | MIGRATIONS | {"old_runs"}
    schedules = {s.name: (s.job_name, s.cron_schedule, s.default_status) for s in repository.schedule_defs}
    running = dg.DefaultScheduleStatus.RUNNING
    assert schedules == {
        "every_quarter_of_an_hour": ("continuous", "*/15 * * * *", running),
        "every_monday": ("weekly", "0 6 * * 1", running),
        "every_first": ("monthly", "0 8 1 * *", running),
        "every_night": ("old_runs", "20 3 * * *", running),
    }
    (sensor,) = repository.sensor_defs
    assert (sensor.name, sensor.job_name) == ("landed", "continuous")
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING


# --- schedules and the sensor


class House:
    """A data folder, its warehouse and a Dagster instance, as the daemon sees them."""

    def __init__(
        self,
        project: Project,
        warehouse: Warehouse,
        instance: dg.DagsterInstance,
        repository: dg.RepositoryDefinition,
    ):
        self.project, self.warehouse, self.instance, self.repository = (
            project,
            warehouse,
            instance,
            repository,
        )
        self.resources = {"project": project, "warehouse": warehouse}
        self.cursor: str | None = None
        project.systems.mkdir(parents=True)

    def tick(self, schedule: str) -> Any:
        context = dg.build_schedule_context(
            instance=self.instance, repository_def=self.repository, resources=self.resources
        )
        return self.repository.get_schedule_def(schedule).evaluate_tick(context)

    def sense(self) -> Any:
        """Evaluate the sensor, and do with its answer what the daemon does."""
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            repository_def=self.repository,
            resources=self.resources,
        ) as context:
            found = self.repository.get_sensor_def("landed").evaluate_tick(context)
        self.cursor = found.cursor
        for request in found.dynamic_partitions_requests or []:
            self.instance.add_dynamic_partitions(request.partitions_def_name, request.partition_keys)
        return found

    def register(self, *names: str) -> None:
        self.instance.add_dynamic_partitions("systems", list(names))

    def configure(self, name: str, content: str = SYSTEM) -> None:
        (self.project.systems / f"{name}.yaml").write_text(content.format(name=name))

    def called(self, *names: str, at: datetime = datetime(2026, 6, 2, tzinfo=UTC)) -> None:
        rows = [{"system": name, "event_id": "e1", "occurred_at": at} for name in names]
        frame = pl.DataFrame(rows, schema=self.warehouse.tables["inference_log.inferences"].schema)
        with self.warehouse.writing() as writer:
            writer.append("inference_log.inferences", frame)

    def covered(self, request: dg.RunRequest, job: str) -> list[tuple[str, str]]:
        """The (period, system) partitions the run would have."""
        tags = request.tags
        first, last = (tags[f"dagster/asset_partition_range_{end}"] for end in ("start", "end"))
        layer = self.repository.get_job(job).asset_layer
        (partitions,) = {
            node.partitions_def
            for key in layer.selected_asset_keys
            if isinstance((node := layer.asset_graph.get(key)).partitions_def, dg.MultiPartitionsDefinition)
        }
        keys = partitions.get_partition_keys_in_range(
            dg.PartitionKeyRange(first, last), dynamic_partitions_store=self.instance
        )
        return [tuple(key.split("|")) for key in keys]


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("dagster"))) as instance:
        yield instance


@pytest.fixture
def house(
    project: Project,
    warehouse: Warehouse,
    instance: dg.DagsterInstance,
    repository: dg.RepositoryDefinition,
) -> House:
    for name in instance.get_dynamic_partitions("systems"):
        instance.delete_dynamic_partition("systems", name)
    return House(project, warehouse, instance, repository)


@pytest.mark.parametrize("schedule", ["every_quarter_of_an_hour", "every_monday", "every_first"])
def test_without_a_system_a_tick_is_skipped_and_says_why(house: House, schedule: str) -> None:
    found = house.tick(schedule)
    assert not found.run_requests
    assert found.skip_message.endswith(".")


def test_a_quarter_of_an_hour_covers_every_registered_system(house: House) -> None:
    house.register("desk", "shop", "tower")
    (request,) = house.tick("every_quarter_of_an_hour").run_requests
    assert request.tags["dagster/asset_partition_range_start"] == "desk"
    assert request.tags["dagster/asset_partition_range_end"] == "tower"


@pytest.fixture
def sampled(house: House) -> House:
    """The sample systems, each with one call on 2 June."""
    for file in SAMPLES.glob("*.yaml"):
        (house.project.systems / file.name).write_bytes(file.read_bytes())
    house.register("handbook", "support")
    house.called("handbook", "support")
    return house


def test_monday_asks_for_every_closed_week_of_every_system_in_one_run(sampled: House) -> None:
    (request,) = sampled.tick("every_monday").run_requests
    covered = sampled.covered(request, "weekly")
    weeks = [f"2026-{month:02d}-{day:02d}" for month, day in _MONDAYS]
    assert sorted(covered) == sorted((week, name) for week in weeks for name in ("handbook", "support"))


_MONDAYS = [(6, d) for d in (1, 8, 15, 22, 29)] + [(7, d) for d in (6, 13, 20, 27)]
_MONDAYS += [(8, d) for d in (3, 10, 17, 24, 31)]


def test_the_first_asks_for_every_closed_month(sampled: House) -> None:
    (request,) = sampled.tick("every_first").run_requests
    months = ("2026-06-01", "2026-07-01", "2026-08-01")
    assert sorted(sampled.covered(request, "monthly")) == sorted(
        (month, name) for month in months for name in ("handbook", "support")
    )


def test_what_is_entered_is_not_asked_for_again_until_a_late_call(sampled: House) -> None:
    systems, _ = load_systems(sampled.project.systems, sampled.project.data)
    clock = datetime(2026, 12, 1, tzinfo=UTC)
    with sampled.warehouse.held():
        for system in systems.values():
            for cadence, due in (("weekly", due_weeks), ("monthly", due_months)):
                enter(sampled.warehouse, system, cadence, due(sampled.warehouse, system, clock), clock)
    for schedule in ("every_monday", "every_first"):
        found = sampled.tick(schedule)
        assert (found.run_requests or [], found.skip_message) == (
            [],
            "Every closed period of every system is done.",
        )
    frame = pl.DataFrame(
        [{"system": "support", "event_id": "late", "occurred_at": datetime(2026, 7, 8, tzinfo=UTC)}],
        schema=sampled.warehouse.tables["inference_log.inferences"].schema,
    )
    with sampled.warehouse.writing() as writer:
        writer.append("inference_log.inferences", frame)
    (request,) = sampled.tick("every_monday").run_requests
    assert set(sampled.covered(request, "weekly")) == {("2026-07-06", "handbook"), ("2026-07-06", "support")}


def test_a_system_whose_file_is_broken_or_gone_stops_no_tick(sampled: House) -> None:
    (sampled.project.systems / "handbook.yaml").write_text("name: [")
    sampled.register("vanished")
    (request,) = sampled.tick("every_monday").run_requests
    assert {name for _, name in sampled.covered(request, "weekly")} >= {"support"}


def test_the_sensor_registers_a_system_when_its_file_appears_and_is_then_quiet(house: House) -> None:
    assert house.sense().skip_message == "Nothing landed."
    house.configure("shop")
    found = house.sense()
    assert house.instance.get_dynamic_partitions("systems") == ["shop"]
    (request,) = found.run_requests
    assert request.tags["dagster/asset_partition_range_start"] == "shop"
    assert request.tags["dagster/asset_partition_range_end"] == "shop"
    again = house.sense()
    assert (again.run_requests or [], again.dynamic_partitions_requests or []) == ([], [])
    assert again.skip_message == "Nothing landed."

    house.configure("desk")
    found = house.sense()
    assert list(house.instance.get_dynamic_partitions("systems")) == ["shop", "desk"]
    (request,) = found.run_requests
    assert request.tags["dagster/asset_partition_range_end"] == "desk"


def test_the_sensor_notices_what_lands_in_a_folder(house: House) -> None:
    house.configure("shop")
    first = house.sense().run_requests[0].run_key
    log = house.project.data / "inference_log" / "shop"
    log.mkdir(parents=True)
    assert house.sense().run_requests
    (log / "2026-06-01.jsonl").write_text("{}\n")
    (landed,) = house.sense().run_requests
    assert landed.run_key != first
    assert house.sense().skip_message == "Nothing landed."
    with (log / "2026-06-01.jsonl").open("a") as file:
        file.write("{}\n")
    assert house.sense().run_requests
    house.configure("shop", SYSTEM + "limits: {{margin: 0.03}}\n")
    assert house.sense().run_requests
    assert house.sense().skip_message == "Nothing landed."


def test_a_broken_file_is_not_registered_and_does_not_hide_the_others(house: House) -> None:
    house.configure("bad", "name: bad\nprofile: enormous\n")
    house.configure("shop")
    assert house.sense().run_requests
    assert house.instance.get_dynamic_partitions("systems") == ["shop"]
    house.configure("bad")
    house.sense()
    assert list(house.instance.get_dynamic_partitions("systems")) == ["shop", "bad"]


# --- the wall


def ruff(*arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ruff", "check", "--select", "TID251", "--no-cache", *arguments]
    return subprocess.run(command, cwd=ROOT, input=text, capture_output=True, text=True)


def test_pillars_import_no_orchestration_no_database_and_read_no_clock() -> None:
    checked = ruff("aiops_pipelines")
    assert checked.returncode == 0, checked.stdout
    pillars = [file for pillar in PILLARS for file in (ROOT / "aiops_pipelines" / pillar).rglob("*.py")]
    assert len(pillars) > 40
    assert [file.name for file in pillars if "noqa: TID251" in file.read_text()] == []


@pytest.mark.parametrize(
    "text",
    [
        "import dagster as dg\n",
        "from duckdb import connect\n",
        "def f():\n    import llama_index.core\n",
        "import ragas\n",
        "import great_expectations\n",
        "import onnxruntime\n",
        "import genai_prices\n",
        "from datetime import datetime\n\nNOW = datetime.now()\n",
    ],
)
@pytest.mark.parametrize("pillar", PILLARS)
def test_the_wall_holds(pillar: str, text: str) -> None:
    checked = ruff("--stdin-filename", f"aiops_pipelines/{pillar}/new_module.py", "-", text=text)
    assert checked.returncode == 1, checked.stderr
    assert "TID251" in checked.stdout
