"""The backups that are known here: which there are, and that somebody says one is destroyed."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import polars as pl

from aiops_pipelines.compliance.backup import destroyed_entry
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.backups import BACKUPS, BackupError
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System

Row = Mapping[str, Any]


def known_backups(books: Warehouse, system: str) -> list[Row]:
    """Return the backups of a system that nobody said are destroyed, the oldest first."""
    rows = books.rows(BACKUPS, system=system).filter(pl.col("destroyed_at").is_null())
    return list(rows.sort("tree_size", "made_at").iter_rows(named=True))


def destroyed(
    books: Warehouse, book: AuditBook, system: System, number: str, by: str, clock: datetime
) -> Row:
    """Keep that a backup is destroyed, as somebody says, in the table and in the audit log; return its row.

    Raises:
        BackupError: nobody says it, or no such backup is known here.
        SigningKeyMissing, LogForked: the audit log cannot be continued.
    """
    if not by.strip():
        raise BackupError("A backup is said to be destroyed by somebody: --by NAME.")
    wanted = f"BAK-{number.strip().lower().removeprefix('bak-')}"
    there = {row["backup_id"]: row for row in known_backups(books, system.name)}
    if wanted not in there:
        known = ", ".join(there) or "none"
        raise BackupError(f"No backup {wanted} of {system.name} is known; those that are: {known}.")
    book.whole_keys(system.name)
    book.signing(system.name).continued()
    now, row = system.now(clock), there[wanted]
    said = {"destroyed_at": now, "destroyed_by": by.strip()}
    frame = pl.DataFrame([{"system": system.name, "backup_id": wanted} | said])
    entry = destroyed_entry(system.name, row, now, by.strip())
    book.append(system.name, [entry], lambda writer: writer.update(BACKUPS, frame, ["system", "backup_id"]))
    book.sign(system.name, now)
    return row
