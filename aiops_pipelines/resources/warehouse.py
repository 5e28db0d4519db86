"""DuckDB is met here, and where an index is published to a DuckDB file (`stores`).

The working file belongs to one writing process at a time; analysts read a published copy that is swapped
in as a whole. Times are stored as TIMESTAMP in UTC, so that no client needs a time zone setting.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from aiops_pipelines.resources.first_file import keep_first, make_folder, sweep, sync_folder
from aiops_pipelines.resources.tables import Table
from aiops_pipelines.resources.warehouse_errors import WarehouseBusy, WarehouseError, disk_errors, said
from aiops_pipelines.resources.writer import Writer, having, key_values, read_rows

__all__ = ["Warehouse", "WarehouseBusy", "WarehouseError"]

OLDEST_DUCKDB = (1, 5)
"""Before 1.5 a full disk during a checkpoint loses committed rows."""

HELD = ("Could not set lock", "different configuration")
"""How DuckDB says that another process, or another thread of this one, has the file open for writing."""
ABANDONED_SECONDS = 3600
FRUGAL = {
    "threads": "1",
    "checkpoint_threshold": "'256MB'",
    "memory_limit": "'512MB'",
    "disabled_compression_methods": "'alp,alprd'",
}
"""One thread takes half the CPU time of two that wait for each other. Writing 200,000 vectors in batches
takes 6.4 s with few checkpoints and 10.7 s with one every 16 MB, for each writes the table's end anew.
Compressing the numbers of vectors takes half of a checkpoint's time and saves an eighth of the file."""
FRUGAL_WHILE_SMALL = {"disabled_compression_methods": "'alp,alprd,fsst'"}
"""Looking for what to compress texts by takes a third of a checkpoint; of a large file it saves a tenth."""

SMALL_BYTES = 32_000_000
"""A file below this is worked on by one thread: a query of a few rows takes three fifths of the CPU time
that two threads take, which wait for each other."""

BLOCK_BYTES = 65_536
"""A quarter of DuckDB's choice: the first row that a step adds to a table takes a block a column, filled with
zeros. With the smaller ones a run that adds few rows to many tables commits in two fifths of the CPU time and
checkpoints in two thirds."""

DRILL, PRACTICE = "drill-", "practice-"
"""How folders beside the file begin in which a restored backup, or a copy for a game day, is tried."""

FREE: Mapping[str, str] = {}
LOCKED = {"enable_external_access": "false", "lock_configuration": "true"}
"""For SQL that is not ours: no file and no network besides the tables, and no way to change that."""


class Warehouse:
    """The working DuckDB file and its declared tables."""

    only_looked_at = False
    """Whether `held` opens the file for reading alone."""

    def __init__(self, file: Path, tables: Mapping[str, Table], wait_seconds: float = 120):
        self.file = file
        self.tables = tables
        self.wait_seconds = wait_seconds
        self._ready = False
        self._held: duckdb.DuckDBPyConnection | None = None

    def prepare(self) -> None:
        """Create what is missing: the file (built under another name), schemas, tables, columns."""
        version = tuple(int(part) for part in duckdb.__version__.split(".")[:2])
        if version < OLDEST_DUCKDB:
            raise WarehouseError(
                f"duckdb {duckdb.__version__} can lose rows on a full disk; install 1.5 or newer."
            )
        if not self.file.exists():
            make_folder(self.file.parent)
            with _fresh(self.file) as fresh:
                duckdb.connect(str(fresh), config={"default_block_size": BLOCK_BYTES}).close()
                keep_first(fresh, self.file)
        with self._open(self.file) as connection:
            # imports pandas and pyarrow.dataset, 1.4 CPU s once, before any step is timed
            read_rows(
                connection, "select * from wanted_rows where one = ?", [""], pl.DataFrame({"one": [""]})
            )
            self._declare(connection)
        self._ready = True

    def _declare(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Create missing schemas, tables and columns in one transaction; asking first takes a twentieth."""
        there = (
            "select schema_name || '.' || table_name, column_name from duckdb_columns() where not internal"
        )
        known = set(connection.execute(there).fetchall())
        connection.execute("begin")
        for table in self.tables.values():
            missing = [column for column in table.columns if (table.path, column.name) not in known]
            if len(missing) == len(table.columns):
                columns = ", ".join(f'"{column.name}" {column.type}' for column in missing)
                connection.execute(f"create schema if not exists {table.pillar}")
                connection.execute(f"create table {table.path} ({columns})")
                continue
            for column in missing:
                connection.execute(f'alter table {table.path} add column "{column.name}" {column.type}')
        connection.execute("commit")

    @property
    def is_held(self) -> bool:
        """Whether the file is kept open, so that no other process writes what is missing when it is read."""
        return self._held is not None

    @contextmanager
    def held(self, frugal: bool = False) -> Iterator[None]:
        """Keep the file open for a stretch of work: opening it takes 18 ms, a hundred times a query.

        A frugal stretch is for many small statements that write much (`FRUGAL`).
        """
        if not self._ready:
            self.prepare()
        with self._open(self.file, self.only_looked_at) as connection:
            outer, self._held = self._held, connection
            try:
                for setting, value in FRUGAL.items() if frugal else ():
                    connection.execute(f"set {setting} = {value}")
                yield
            finally:
                self._held = outer
                if frugal:
                    self._finish(connection)

    def _finish(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Write what a frugal stretch left in the log to the file, and take its settings back."""
        small = self._bytes() < SMALL_BYTES
        statements = [f"set {name} = {value}" for name, value in FRUGAL_WHILE_SMALL.items() if small]
        statements += ["checkpoint", *(f"reset {name}" for name in FRUGAL if name != "threads")]
        for statement in statements:
            with suppress(duckdb.Error):  # who closes the file last checkpoints what this could not
                connection.execute(statement)
        with suppress(duckdb.Error):  # what went wrong before is what is told
            self._share(connection)

    @contextmanager
    def _open(
        self, file: Path | str, read_only: bool = False, config: Mapping[str, str] = FREE
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        if self._held is not None and file == self.file:
            with self._held.cursor() as cursor:
                yield cursor
            return
        deadline = time.monotonic() + self.wait_seconds
        while True:
            try:
                connection = duckdb.connect(str(file), read_only=read_only, config=dict(config))
                break
            except (duckdb.IOException, duckdb.ConnectionException) as error:
                if not any(sign in str(error) for sign in HELD):
                    raise WarehouseError(f"{self.file.name} cannot be opened: {said(error)}") from error
                if time.monotonic() > deadline:
                    raise WarehouseBusy(
                        f"The warehouse is being written; try again later. {error}"
                    ) from error
                time.sleep(0.2)
        try:
            if not config:
                self._share(connection)
            yield connection
        finally:
            connection.close()

    def _share(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Share the work among all threads, or leave it to one while the file is small."""
        connection.execute("set threads = 1" if self._bytes() < SMALL_BYTES else "reset threads")

    def _bytes(self) -> int:
        """Return how large the file is, with what its log holds."""
        both = (self.file, self.file.with_name(f"{self.file.name}.wal"))
        return sum(path.stat().st_size for path in both if path.exists())

    @contextmanager
    def writing(self, threads: int | None = None) -> Iterator[Writer]:
        """Open one transaction; it is committed as a whole or not at all.

        With one thread, storing many rows takes half the CPU time that two take.
        """
        if not self._ready:
            self.prepare()
        told = disk_errors(f"Nothing of this step was written to {self.file.name}")
        with told, self._open(self.file) as connection:
            if threads:
                connection.execute(f"set threads = {threads}")
            connection.execute("begin")
            try:
                yield Writer(connection, self.tables)
                connection.execute("commit")
            except BaseException:
                with suppress(duckdb.Error):  # a failed commit has rolled back already
                    connection.execute("rollback")
                raise
            finally:
                if threads:  # the file may stay open for others
                    self._share(connection)

    def read(
        self, sql: str, parameters: Sequence[Any] = (), wanted: pl.DataFrame | None = None
    ) -> pl.DataFrame:
        """Return the rows of a query; times are UTC-aware.

        A frame is `wanted_rows` in it: 13,000 values take 50 ms less than in a list of parameters.
        """
        if not self._ready:
            self.prepare()
        told = disk_errors(f"{self.file.name} cannot be read; what was stored stays")
        with told, self._open(self.file, read_only=True) as connection:
            return read_rows(connection, sql, parameters, wanted)

    @contextmanager
    def locked(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a connection that only reads, for SQL that is not ours; the file must not be held."""
        if not self._ready:
            self.prepare()
        if self._held is not None:
            raise RuntimeError("A file that is held for writing cannot be locked.")
        with self._open(self.file, read_only=True, config=LOCKED) as connection:
            yield connection

    def rows(self, table: str, **keys: Any) -> pl.DataFrame:
        """Return the rows of a table whose key columns have these values; a list means any of them."""
        return self.read(f"select * from {table} where {having(keys) or 'true'}", key_values(keys))

    def replace(self, table: str, frame: pl.DataFrame, **keys: Any) -> int:
        """Replace the rows with these keys in a transaction of its own."""
        with self.writing() as writer:
            return writer.replace(table, frame, **keys)

    def built(self, table: str) -> bool:
        """Say whether a table (of dbt's, say) exists yet."""
        schema, name = table.split(".")
        sql = "select 1 from information_schema.tables where table_schema = ? and table_name = ?"
        return self.read(sql, [schema, name]).height > 0

    def rewrite(self) -> None:
        """Write the file anew from the rows it holds: blocks that were freed keep what stood in them.

        What a killed process left of a copy of it goes as well. The file must not be held.
        """
        if self._held is not None:
            raise RuntimeError("A file that is held cannot be written anew.")
        log = self.file.with_name(f"{self.file.name}.wal")
        while True:
            with self._open(self.file) as connection:  # nobody builds a copy now: that takes a reader's lock
                connection.execute("set enable_progress_bar = false")
                connection.execute("checkpoint")
                for left in self.file.parent.glob(f"{self.file.stem}.new-*"):
                    left.unlink()
                for prefix in (DRILL, PRACTICE):
                    sweep(self.file.parent, prefix)
            with (
                disk_errors(f"{self.file.name} stays as it was"),
                _fresh(self.file) as fresh,
                self._open(":memory:") as connection,
                self._open(self.file, read_only=True),
            ):
                if log.exists():
                    continue  # somebody wrote in between; a log without its file must not stay behind
                self._copy(connection, fresh)
                fresh.chmod(self.file.stat().st_mode)  # who could not read it before cannot now
                os.replace(fresh, self.file)
                sync_folder(self.file.parent)
                return

    def _spilling(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Let a copy put what does not fit into memory beside the file; DuckDB's choice is where one stands.

        In a folder of its own: two processes that spill into one folder write over each other, and crash.
        """
        prefix = f"{self.file.name}.copy-"
        sweep(self.file.parent, prefix)
        folder = self.file.with_name(f"{prefix}{os.getpid()}")
        connection.execute(f"set temp_directory = {_literal(str(folder))}")

    @contextmanager
    def snapshot(self, target: Path) -> Iterator[None]:
        """Copy every row to a new file; until the block ends nobody writes, so other files can go along.

        DuckDB copies what it reads, since a process that closes the file once gives up its lock on it.
        """
        if not self._ready:
            self.prepare()
        with (
            disk_errors(f"{target.name} was not copied"),
            self._open(":memory:") as connection,
            self._open(self.file, read_only=True),
        ):
            self._copy(connection, target)
            target.chmod(self.file.stat().st_mode)
            yield

    def _copy(self, connection: duckdb.DuckDBPyConnection, target: Path) -> None:
        """Write the rows of the file, which is kept open, to another one, which is whole and closed then."""
        connection.execute("set enable_progress_bar = false")
        self._spilling(connection)
        connection.execute(f"attach {_literal(str(self.file))} as source (read_only)")
        connection.execute(f"attach {_literal(str(target))} as copy (block_size {BLOCK_BYTES})")
        connection.execute("copy from database source to copy")
        connection.execute("detach copy")

    def publish(
        self, target: Path, descriptions: Mapping[str, tuple[str, Mapping[str, str]]]
    ) -> dict[str, int]:
        """Write every table and view to a new file and swap it in for readers; return rows per table.

        Views become tables, so that the copy needs nothing but itself; descriptions (table -> text, columns)
        become comments. Readers with the old file open keep reading it.
        """
        counts: dict[str, int] = {}
        with (
            disk_errors(f"{target.name} stays as it was"),
            _fresh(target) as fresh,
            self._open(":memory:") as connection,
            self._open(self.file, read_only=True),
        ):
            own = self.file.stem  # views name their tables by it
            self._spilling(connection)
            connection.execute(f'attach {_literal(str(self.file))} as "{own}" (read_only)')
            connection.execute(f"attach {_literal(str(fresh))} as copy (storage_version 'v1.0.0')")
            connection.execute("begin")
            found = connection.execute(
                "select table_schema, table_name from information_schema.tables "
                "where table_catalog = ? and table_schema not in ('main', 'staging') "
                "and table_name not like '%\\_\\_dbt\\_%' escape '\\' order by all",
                [own],
            ).fetchall()
            for schema, name in found:
                path = f"{schema}.{name}"
                connection.execute(f"create schema if not exists copy.{schema}")
                connection.execute(f'create table copy.{path} as from "{own}".{path}')
                counts[path] = connection.execute(f"select count(*) from copy.{path}").fetchall()[0][0]
                text, columns = descriptions.get(path, ("", {}))
                connection.execute(f"comment on table copy.{path} is {_literal(text)}")
                # a monthly model has its new columns only once it is built again
                there = [row[0] for row in connection.execute(f"describe copy.{path}").fetchall()]
                for column in (name for name in columns if name in there):
                    meaning = _literal(columns[column])
                    connection.execute(f'comment on column copy.{path}."{column}" is {meaning}')
            connection.execute("commit")
            connection.execute("detach copy")  # checkpoints: the file is whole before readers see its name
            os.replace(fresh, target)
            sync_folder(target.parent)
        return counts


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@contextmanager
def _fresh(target: Path) -> Iterator[Path]:
    """Yield a name to build a file under; what a failed build leaves goes, a killed one's after an hour."""
    own = target.with_suffix(f".new-{os.getpid()}")
    names = {own.name, f"{own.name}.wal"}
    for left in target.parent.glob(f"{target.stem}.new-*"):
        if left.name in names or left.stat().st_mtime < time.time() - ABANDONED_SECONDS:
            left.unlink()
    try:
        yield own
    finally:
        for name in names:
            own.with_name(name).unlink(missing_ok=True)
