"""What the assets are handed: the project's paths, the warehouse, models, keys, notifiers and dbt."""

import os
import sys
from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliInvocation, DbtCliResource, DbtProject
from packaging.version import Version

from aiops_pipelines.project import Project
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.index_book import IndexBook
from aiops_pipelines.resources.judge import judge
from aiops_pipelines.resources.keys import Keys
from aiops_pipelines.resources.publishing import Publisher
from aiops_pipelines.resources.recipes import Recipes
from aiops_pipelines.resources.retrieval_bench import RetrievalBench
from aiops_pipelines.resources.tables import declared_tables
from aiops_pipelines.resources.warehouse import Warehouse

project = Project.here()
os.environ["AIOPS_WAREHOUSE"] = str(project.warehouse)  # dbt is a child process and reads it from there
os.environ["PATH"] = (
    f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"  # dbt is installed there
)
dbt_project = DbtProject(project_dir=project.dbt, profiles_dir=project.dbt)


def _manifest_is_current(manifest: Path) -> bool:
    sources = [
        *project.dbt.glob("*.yml"),
        *(f for d in ("models", "macros", "tests") for f in (project.dbt / d).rglob("*.*")),
    ]
    return manifest.exists() and manifest.stat().st_mtime >= max(file.stat().st_mtime for file in sources)


if not _manifest_is_current(dbt_project.manifest_path):
    dbt_project.preparer.prepare(dbt_project)


class Dbt(DbtCliResource):
    """The installed dbt. `dbt --version` would ask PyPI for a newer one before each run, which takes 3 s.

    dagster-dbt would also parse every macro before each run, 3 CPU s, for an adapter only tracing needs.
    """

    @cached_property
    def _cli_version(self) -> Version:
        return Version(version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> Any:
        return None

    def trace_with_adapter(self, build: DbtCliInvocation) -> None:
        """Give a build that is done the adapter that `fetch_column_metadata` reads columns with."""
        build.adapter = super()._initialize_dbt_core_adapter(())


@dg.definitions
def resources() -> dg.Definitions:
    """Return the resources by the name assets ask for them."""
    warehouse = Warehouse(project.warehouse, declared_tables(project.dbt))
    audit_book = AuditBook(project, warehouse, Keys(project.keys))
    return dg.Definitions(
        resources={
            "project": project,
            "warehouse": warehouse,
            "index_book": IndexBook(warehouse),
            "retrieval_bench": RetrievalBench(warehouse),
            "judge": judge(),
            "audit_book": audit_book,
            "publisher": Publisher(warehouse, Recipes(warehouse), audit_book),
            "dbt": Dbt(project_dir=dbt_project),  # type: ignore[arg-type]  # a subclass loses its signature
        }
    )
