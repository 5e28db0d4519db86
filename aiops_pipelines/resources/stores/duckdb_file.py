"""Publishing into a DuckDB file: a copy is written and swapped in as a whole, so readers never wait.

A table for each collection, and a view with the alias's name over the one in force, for LlamaIndex and SQL.
"""

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl

from aiops_pipelines.resources.first_file import sync_folder
from aiops_pipelines.resources.stores.base import Draft, StoreError, held_frame
from aiops_pipelines.resources.stores.duckdb_filters import quoted

if TYPE_CHECKING:
    from aiops_pipelines.resources.stores.duckdb_vectors import DuckDBVectorStore

_HELD = "select node_id, json_extract_string(metadata, '/fingerprint') from "


class DuckDBDraft(Draft):
    """One table of a copy of the file."""

    def __init__(self, collection: str, index: "DuckDBVectorStore", target: Path, alias: str):
        super().__init__(collection, index)
        self._target, self._alias = target, alias

    def held(self) -> pl.DataFrame:
        """Return what is in the table."""
        if self.index.dimension is None:
            return held_frame([])
        return held_frame(self.index.rows(_HELD + quoted(self.index.table)))

    def switch(self) -> None:
        """Point the view at the table, then give the copy the file's name."""
        connection, view = self.index.client, quoted(self._alias)
        connection.execute("begin")
        try:
            connection.execute(f"create or replace view {view} as from {quoted(self.collection)}")
        except duckdb.CatalogException as error:
            raise StoreError(
                f"{self._target.name} holds a table {self._alias} of somebody else's, where readers look; "
                "drop it, or move the file away to publish anew."
            ) from error
        connection.execute(f"comment on view {view} is '{self.collection.replace(chr(39), chr(39) * 2)}'")
        connection.execute("commit")
        connection.execute("checkpoint")
        self.index.close()
        os.replace(self.index.file, self._target)
        sync_folder(self._target.parent)


class DuckDBFile:
    """A DuckDB file with published indexes."""

    name = "duckdb"

    def __init__(self, alias: str, file: str):
        self.place, self.alias = file, alias
        self._file = Path(file)
        self._copy = self._file.with_name(f"{self._file.name}.new-{os.getpid()}")
        self._draft: DuckDBDraft | None = None

    def shown(self) -> str | None:
        """Return the table the view looks at."""
        sql = "select comment from duckdb_views() where view_name = ?"
        rows = self._read(sql, [self.alias]) if self._file.exists() else []
        return str(rows[0][0]) if rows else None

    def held(self) -> pl.DataFrame:
        """Return what the view holds."""
        return held_frame(self._read(_HELD + quoted(self.alias)) if self.shown() else [])

    def draft(self, family: str, wanted: pl.DataFrame) -> DuckDBDraft:
        """Copy the file, without what a killed run left beside it."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        for left in self._file.parent.glob(f"{self._file.name}.new-*"):
            left.unlink()
        if self._file.exists():
            shutil.copyfile(self._file, self._copy)
        from aiops_pipelines.resources.stores.duckdb_vectors import DuckDBVectorStore

        index = DuckDBVectorStore(file=str(self._copy), table=family)
        self._draft = DuckDBDraft(family, index, self._file, self.alias)
        return self._draft

    def view(self) -> DuckDBDraft:
        """Return the view; its index follows later publications."""
        from aiops_pipelines.resources.stores.duckdb_vectors import DuckDBVectorStore

        index = DuckDBVectorStore(file=str(self._file), table=self.alias, read_only=True)
        return DuckDBDraft(self.shown() or "", index, self._file, self.alias)

    def close(self) -> None:
        """Throw the copy away if it was not switched to."""
        if self._draft:
            self._draft.index.close()
        for left in (self._copy, self._copy.with_name(f"{self._copy.name}.wal")):
            with suppress(OSError):  # it was never made, or the next draft takes it away
                left.unlink()

    def _read(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        try:
            with duckdb.connect(str(self._file), read_only=True) as connection:
                return connection.execute(sql, list(values)).fetchall()
        except duckdb.Error as error:
            raise StoreError(
                f"{self._file.name} cannot be read: {error} Move it away to publish anew."
            ) from error
