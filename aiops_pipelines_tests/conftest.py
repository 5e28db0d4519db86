"""A project of its own for each test; nothing here touches the folder the package is installed in."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from hypothesis import HealthCheck, settings

from aiops_pipelines.project import Project
from aiops_pipelines.resources.tables import Table, declared_tables
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines_tests.shared_data import shared

_NOT_THE_PROJECTS_OWN = tempfile.TemporaryDirectory(prefix="aiops-tests-")
os.environ["AIOPS_DATA"] = _NOT_THE_PROJECTS_OWN.name  # read when definitions are imported

settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")  # a busy machine is no failure


@pytest.fixture(scope="session")
def tables() -> dict[str, Table]:
    return declared_tables(Project(Path()).dbt)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, tables: dict[str, Table]) -> Path:
    """A file with every declared table and no row, made once."""
    file = tmp_path_factory.mktemp("prepared") / "aiops.duckdb"
    Warehouse(file, tables).prepare()
    return file


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "data")


@pytest.fixture
def warehouse(project: Project, prepared: Path, tables: dict[str, Table]) -> Warehouse:
    project.warehouse.parent.mkdir(parents=True)
    shutil.copyfile(prepared, project.warehouse)
    warehouse = Warehouse(project.warehouse, tables, wait_seconds=5)
    warehouse._ready = True  # as it is; looking again takes longer than most tests
    return warehouse


@pytest.fixture
def kept_open(request: pytest.FixtureRequest) -> Iterator[None]:
    """Keep the file open, where who opens it when is not looked at: 25 ms of CPU time, a hundred times a test."""
    if request.node.get_closest_marker("shares_the_file"):
        yield
        return
    with request.getfixturevalue("warehouse").held():
        yield


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """A Dagster instance with a home of its own, whose pools have one slot."""
    (tmp_path / "dagster.yaml").write_text("concurrency: {pools: {granularity: op, default_limit: 1}}\n")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with dg.DagsterInstance.get() as instance:
        yield instance


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data sets, outside the repository."""
    return shared(".")


LONGEST_FIRST = (
    "test_story",
    "test_bad_input",
    "test_decide",
    "test_amended_month",
    "test_publishing_killed",
    "test_migrations",
    "test_erasing_killed",
    "test_publishing",
    "test_erasing",
    "test_model_judge",
    "test_audit_keys",
    "test_dbt_project",
    "test_screening",
    "test_event_faults",
    "test_incidents_asset",
    "test_log_rest",
)
"""By CPU time; each of the rest takes less than a tenth of the first and fits beside them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the longest files first, so that two workers end together; give each sweep an hour."""
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.timeout(3600))
    order = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))
