"""The warehouse for looking only: nothing is prepared or written here.

The published copy holds the state after the last run, and no run makes its readers wait; the working file is
ahead of it by what people decided since.
"""

from functools import cache, cached_property
from pathlib import Path
from typing import Any

import polars as pl

from aiops_pipelines.project import Project
from aiops_pipelines.resources.tables import declared_tables
from aiops_pipelines.resources.warehouse import Warehouse, WarehouseBusy, WarehouseError

LOOK_SECONDS = 10
known_tables = cache(declared_tables)
"""The declared tables, read once a process."""


class ReadOnlyWarehouse(Warehouse):
    """A DuckDB file as it lies there; tables it lacks are empty."""

    only_looked_at = True

    def prepare(self) -> None:
        """Leave the file as it is.

        Raises:
            WarehouseError: there is no such file.
        """
        if not self.file.exists():
            raise WarehouseError("Nothing was run yet: aiops run")

    def built(self, table: str) -> bool:
        """Say whether a table is there; the file is asked once."""
        return table in self._names

    @cached_property
    def _names(self) -> frozenset[str]:
        sql = "select table_schema || '.' || table_name as name from information_schema.tables"
        return frozenset(self.read(sql)["name"])

    def rows(self, table: str, **keys: Any) -> pl.DataFrame:
        """Return the rows with these keys; a table that was not built yet has none."""
        if self.built(table):
            return super().rows(table, **keys)
        return self.tables[table].empty() if table in self.tables else pl.DataFrame()


def _opened(project: Project, file: Path, wait_seconds: float) -> ReadOnlyWarehouse:
    return ReadOnlyWarehouse(file, known_tables(project.dbt), wait_seconds)


def published(project: Project) -> ReadOnlyWarehouse:
    """Return the published copy, or the working file while nothing was published yet."""
    file = project.published if project.published.exists() else project.warehouse
    return _opened(project, file, LOOK_SECONDS)


def working(project: Project, wait_seconds: float = LOOK_SECONDS) -> ReadOnlyWarehouse:
    """Return the working file, the one that proofs are about."""
    return _opened(project, project.warehouse, wait_seconds)


def latest(project: Project) -> ReadOnlyWarehouse:
    """Return the working file, or the published copy while a run is writing."""
    free = working(project, wait_seconds=0)
    try:
        free.read("select 1")
    except WarehouseBusy:
        return published(project)
    return free


def publish_again(project: Project, warehouse: Warehouse) -> None:
    """Make the copy for analysts anew, described as it was; without one, the next run makes the first."""
    if not project.published.exists():
        return
    copy = published(project)
    tables = copy.read("select schema_name || '.' || table_name as path, comment from duckdb_tables()")
    columns = copy.read(
        "select schema_name || '.' || table_name as path, column_name, comment from duckdb_columns() "
        "where comment is not null"
    )
    said: dict[str, tuple[str, dict[str, str]]] = {
        path: (comment or "", {}) for path, comment in tables.iter_rows()
    }
    for path, column, comment in columns.iter_rows():
        if path in said:
            said[path][1][column] = comment
    warehouse.publish(project.published, said)
