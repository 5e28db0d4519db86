"""What DuckDB says when a file cannot be used, in sentences that say what to do."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from aiops_pipelines.mendable import Mendable

DAMAGED = ("not a valid DuckDB database", "Corrupt database", "replaying WAL")
OTHER_VERSION = re.compile(r"database file with version number (\d+)")
OTHER_DUCKDB = (
    "another DuckDB wrote it, in storage version {}, which duckdb {} does not read. Install the one it was "
    "written with, as requirements.lock names it (make install); the file is left as it is."
)
RESTORE = (
    "Restore a backup (aiops restore), or move it away and run again: what corpus and log folders still hold "
    "is read anew; decisions, the audit log and calls that no log file holds any more are lost. If it is the "
    "copy for analysts, a run makes it anew and nothing is lost."
)
ROOM = ". Make room on the disk if it is full."
DISK_OR_MEMORY = (
    duckdb.IOException,
    duckdb.TransactionException,
    duckdb.FatalException,
    duckdb.OutOfMemoryException,
)
MEMORY = ". Give this machine or container more memory, or end what else runs on it, then run again."


class WarehouseBusy(Mendable, RuntimeError):
    """Another process is writing; the message names it."""


class WarehouseError(Mendable, RuntimeError):
    """The warehouse file cannot be used; the message says what to do."""


@contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Say what could not be done, why, and what to do.

    Raises:
        WarehouseError: it failed on the disk, or for memory.
    """
    try:
        yield
    except DISK_OR_MEMORY as error:
        if isinstance(error, duckdb.OutOfMemoryException) or "memory_limit" in str(error):
            raise WarehouseError(f"{what}: {str(error).splitlines()[0]}{MEMORY}") from error
        todo = ". The disk fails: look after it, then run again." if "fsync failed" in str(error) else ROOM
        raise WarehouseError(f"{what}: {said(error)}{'' if _damaged(error) else todo}") from error


def said(error: duckdb.Error) -> str:
    """Return what DuckDB says, for a damaged file or another version's with what to do about it."""
    if version := OTHER_VERSION.search(str(error)):
        return OTHER_DUCKDB.format(version[1], duckdb.__version__)
    return f"{str(error).rstrip('.! ')}. {RESTORE}" if _damaged(error) else str(error)


def _damaged(error: duckdb.Error) -> bool:
    return any(sign in str(error) for sign in DAMAGED)
