"""What one transaction on the warehouse may do, and how frames and keys become SQL.

Opening the file, and who may, is `warehouse`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import polars as pl

from aiops_pipelines.resources.tables import Table

_SEVERAL = (list, tuple, set)


def _plain_times(frame: pl.DataFrame) -> pl.DataFrame:
    return _with_times(frame, None)


def _utc_times(frame: pl.DataFrame) -> pl.DataFrame:
    return _with_times(frame, "UTC")


def _with_times(frame: pl.DataFrame, zone: str | None) -> pl.DataFrame:
    """Return the frame with its times in UTC, and no other, which a time without a zone is in."""
    times = {
        name: pl.Datetime(dtype.time_unit, zone)
        for name, dtype in frame.schema.items()
        if isinstance(dtype, pl.Datetime) and dtype.time_zone != zone
    }
    return frame.cast(times) if times else frame  # type: ignore[arg-type]


def read_rows(
    connection: duckdb.DuckDBPyConnection,
    sql: str,
    parameters: Sequence[Any],
    wanted_rows: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return the rows of a query, which finds the frame by its name here: half the time of registering it."""
    return _utc_times(connection.execute(sql, parameters).pl())


class Writer:
    """One open transaction on the warehouse; a statement finds a frame by the name it has beside it."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, tables: Mapping[str, Table]):
        self._connection = connection
        self._tables = tables

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> pl.DataFrame:
        """Return the rows of a query; times are UTC-aware."""
        return read_rows(self._connection, sql, parameters)

    def matching(self, table: str, frame: pl.DataFrame, on: Sequence[str]) -> pl.DataFrame:
        """Return the `on` columns of those rows of the frame that the table holds."""
        columns = ", ".join(f'"{name}"' for name in on)
        return read_rows(
            self._connection,
            f"select {columns} from wanted_rows semi join {table} using ({columns})",
            (),
            frame.select(on),
        )

    def stored(self, table: str, keys: pl.DataFrame) -> pl.DataFrame:
        """Return the rows of the table whose columns equal those of any row of the frame.

        Of the others only these columns are read: with a million rows that takes a seventh of the time.
        """
        columns = ", ".join(f'"{name}"' for name in keys.columns)
        found = f"select {table}.rowid from {table} semi join wanted_rows using ({columns})"
        return read_rows(self._connection, f"select * from {table} where rowid in ({found})", (), keys)

    def delete(self, table: str, **keys: Any) -> None:
        """Delete the rows whose key columns have these values; a list means any of them."""
        if not keys:
            raise ValueError(f"Deleting from {table} needs at least one key.")
        self._connection.execute(f"delete from {table} where {having(keys)}", key_values(keys))

    def delete_matching(self, table: str, frame: pl.DataFrame, on: Sequence[str]) -> None:
        """Delete the rows whose `on` columns equal those of any row of the frame."""
        outgoing_rows = frame.select(on)
        same = " and ".join(f'{table}."{name}" = outgoing_rows."{name}"' for name in outgoing_rows.columns)
        self._connection.execute(f"delete from {table} using outgoing_rows where {same}")

    def update(self, table: str, frame: pl.DataFrame, on: Sequence[str]) -> None:
        """Set the other columns of a frame in the rows whose `on` columns are those of its rows."""
        changed_rows = _plain_times(frame)
        others = ", ".join(f'"{name}" = changed_rows."{name}"' for name in frame.columns if name not in on)
        same = " and ".join(f'{table}."{name}" = changed_rows."{name}"' for name in on)
        if changed_rows.height:
            self._connection.execute(f"update {table} set {others} from changed_rows where {same}")

    def append(self, table: str, frame: pl.DataFrame) -> int:
        """Insert all rows of a frame with the table's columns; return how many."""
        incoming_rows = _plain_times(self._tables[table].conform(frame))
        if incoming_rows.height:
            self._connection.execute(f"insert into {table} by name select * from incoming_rows")
        return incoming_rows.height

    def replace(self, table: str, frame: pl.DataFrame, **keys: Any) -> int:
        """Delete the rows with these keys and insert the frame; return how many rows came in."""
        self.delete(table, **keys)
        return self.append(table, frame)

    def append_new(self, table: str, frame: pl.DataFrame, on: Sequence[str]) -> int:
        """Insert the rows whose `on` columns are not in the table yet; return how many."""
        incoming_rows = _plain_times(self._tables[table].conform(frame.unique(subset=on, keep="first")))
        if incoming_rows.is_empty():
            return 0
        same = " and ".join(f'stored."{name}" = incoming_rows."{name}"' for name in on)
        counted = self._connection.execute(
            f"insert into {table} by name select * from incoming_rows "
            f"where not exists (select 1 from {table} as stored where {same})"
        ).fetchall()
        return int(counted[0][0])


def having(keys: Mapping[str, Any]) -> str:
    """Return the condition that key columns have these values; a list means any of them."""
    return " and ".join(
        f'"{name}" in (select unnest(?))' if isinstance(value, _SEVERAL) else f'"{name}" = ?'
        for name, value in keys.items()
    )


def key_values(keys: Mapping[str, Any]) -> list[Any]:
    """Return the parameters of `having`."""
    return [list(value) if isinstance(value, _SEVERAL) else value for value in keys.values()]
