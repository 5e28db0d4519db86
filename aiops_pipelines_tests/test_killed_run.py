"""A run that is killed half-way and started again ends in the state of a run that was not."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from aiops_pipelines.project import ROOT, Project
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.keys import Keys
from aiops_pipelines.resources.tables import declared_tables
from aiops_pipelines.resources.warehouse import Warehouse

pytestmark = pytest.mark.slow
RUN = "from aiops_pipelines.project import Project; from aiops_pipelines.defs.runs import operate; operate(Project.here(), print)"
OF_THE_RUN = {
    "ingested_at",
    "quarantined_at",
    "read_at",
    "built_at",
    "built_by",
    "checked_at",
    "registered_at",
    "noticed_at",
    "asked_at",
    "completed_at",
    "modified_ns",
    "listing",
}
MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}")
"""When something was stored, in an answer to a query of a runbook; logged times are whole seconds here."""
KEYED = "compliance"  # commitments and signatures depend on keys, which are made anew for each installation


def sources(data: Path) -> Path:
    """Lay out the handbook system with six weeks of its log."""
    for name in ("systems/handbook.yaml", "queries/handbook.jsonl", "corpus/handbook"):
        target = data / name
        target.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / "data" / name).is_dir() else shutil.copyfile
        copy(ROOT / "data" / name, target)
    logs = data / "inference_log" / "handbook"
    logs.mkdir(parents=True)
    for file in sorted((ROOT / "data" / "inference_log" / "handbook").iterdir())[:6]:
        shutil.copyfile(file, logs / file.name)
    return data


def start(data: Path) -> subprocess.Popen[str]:
    environment = {key: value for key, value in os.environ.items() if key != "DAGSTER_HOME"} | {
        "AIOPS_DATA": str(data)
    }
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-u", "-c", RUN],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


def finish(data: Path) -> None:
    output, _ = (process := start(data)).communicate(timeout=600)
    assert process.returncode == 0, output[-2000:]


def contents(data: Path) -> dict[str, list[tuple]]:
    found = {}
    with duckdb.connect(str(Project(data).published), read_only=True) as connection:
        tables = connection.execute(
            "select table_schema, table_name from information_schema.tables order by all"
        ).fetchall()
        for schema, name in tables:
            described = connection.execute(f"describe {schema}.{name}").fetchall()
            columns = ", ".join(f'"{column}"' for column, *_ in described if column not in OF_THE_RUN)
            if schema != KEYED:
                rows = connection.execute(f"select {columns} from {schema}.{name} order by all").fetchall()
                found[f"{schema}.{name}"] = [
                    tuple(MOMENT.sub("then", v) if isinstance(v, str) else v for v in row) for row in rows
                ]
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple]]:
    data = sources(tmp_path_factory.mktemp("whole") / "data")
    finish(data)
    return contents(data)


@pytest.mark.parametrize(
    "moment", ["ingestion done", "search_index done", "quality_scores done", "drift_verdicts done"]
)
def test_a_killed_run_started_again_ends_the_same(
    moment: str, whole: dict[str, list[tuple]], tmp_path: Path
) -> None:
    data = sources(tmp_path / "data")
    process = start(data)
    assert process.stdout
    seen = False
    for line in process.stdout:
        if moment in line:
            os.killpg(process.pid, signal.SIGKILL)
            seen = True
            break
    process.wait()
    assert seen and process.returncode == -signal.SIGKILL
    finish(data)
    again = contents(data)
    assert {name for name in whole if whole[name] != again[name]} == set()
    project = Project(data)
    book = AuditBook(project, Warehouse(project.warehouse, declared_tables(project.dbt)), Keys(project.keys))
    assert book.verify("handbook")[0] == []
