"""The restore drill: a backup restored to another place, recomputed and counted; that is kept as evidence.

It says whether the backup could be used today, by this version, with the keys that are here. What is compared
is `compliance.backup`.
"""

import base64
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from aiops_pipelines.compliance.backup import (
    BackupDamaged,
    LogState,
    Manifest,
    against,
    drill_entry,
    recounted,
    unknown_columns,
)
from aiops_pipelines.compliance.finding import Finding, intact
from aiops_pipelines.compliance.merkle import roots_at
from aiops_pipelines.project import Project
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.backups import (
    UNNOTED,
    BackupError,
    backup_id,
    fingerprint,
    note,
    row_counts,
)
from aiops_pipelines.resources.first_file import sweep
from aiops_pipelines.resources.keys import Keys
from aiops_pipelines.resources.proofs import edited
from aiops_pipelines.resources.published import known_tables, working
from aiops_pipelines.resources.report_book import FIGURES, REPORTS
from aiops_pipelines.resources.restoring import opened, staged
from aiops_pipelines.resources.warehouse import DRILL, Warehouse, WarehouseError
from aiops_pipelines.systems import System
from aiops_pipelines.wording import count, some

DRILLS = "compliance.restore_drills"
COLUMNS = """
    select table_schema || '.' || table_name as path, column_name, replace(data_type, chr(34), '') as type
    from information_schema.columns where table_catalog = current_database()
"""
NO_KEYS = "The backup holds no keys; those of this installation were used. They want a backup of their own."
OTHER_TABLES = "The backup has the tables of another version; the next run makes what they lack."
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Drilled:
    """What restoring one system's part of a backup found; `root` is empty where its log could not be read."""

    system: str
    entries: int
    root: str
    rows: int
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """True when nothing is wrong."""
        return intact(self.findings)


def drill(project: Project, folder: Path) -> tuple[Manifest, list[Drilled]]:
    """Restore a backup to a place that is removed afterwards; return what was found, by system.

    Raises:
        BackupDamaged: it has no manifest that can be trusted, so there is nothing to restore.
        BackupError: there is no room.
    """
    manifest = opened(folder)
    try:
        with _place(project) as place:
            return manifest, list(_drilled(project, folder, manifest, Project(place)))
    except OSError as error:
        raise BackupError(f"The backup cannot be restored: {error.strerror}.") from error


@contextmanager
def _place(project: Project) -> Iterator[Path]:
    """Yield a folder beside the warehouse, whose disk is made for such data."""
    room = project.warehouse.parent
    if not room.is_dir():
        with tempfile.TemporaryDirectory(prefix=DRILL) as name:
            yield Path(name)
        return
    sweep(room, DRILL)
    with tempfile.TemporaryDirectory(prefix=f"{DRILL}{os.getpid()}-", dir=room) as name:
        yield Path(name)


def _drilled(project: Project, folder: Path, manifest: Manifest, copy: Project) -> Iterator[Drilled]:
    broken: list[Finding] = []
    try:
        staged(folder, manifest, copy.data)
        books, rows = _opened(project, manifest, copy, broken)
    except (BackupDamaged, WarehouseError) as error:
        failed = Finding("error", None, None, None, str(error))
        yield from (Drilled(system, 0, "", 0, (failed,)) for system in manifest.logs)
        return
    book = AuditBook(copy, books, Keys(copy.keys if manifest.with_keys else project.keys))
    with books.held():
        for system, state in manifest.logs.items():
            findings, entries, root = book.verify(system)
            findings = [*broken, *against(state, entries, root), *findings]
            findings += edited(copy, books, system)
            findings += _said_otherwise(copy, books, system)
            findings += _another(project, system, state)
            if not manifest.with_keys:
                findings.append(Finding("note", None, None, None, NO_KEYS))
            yield Drilled(system, entries, root, rows, tuple(findings))


def _opened(
    project: Project, manifest: Manifest, copy: Project, broken: list[Finding]
) -> tuple[Warehouse, int]:
    """Open the restored warehouse as a run would, and count its rows."""
    tables = known_tables(project.dbt)
    restored = working(copy)
    stored: dict[str, dict[str, str]] = {}
    for path, column, type_ in restored.read(COLUMNS).iter_rows():
        stored.setdefault(path, {})[column] = type_
    declared = {path: {column.name: column.type for column in t.columns} for path, t in tables.items()}
    broken += (Finding("error", None, None, None, said) for said in unknown_columns(stored, declared))
    counts = row_counts(restored)
    broken += recounted(manifest.rows, counts)
    if manifest.versions.get("tables") != fingerprint(tables):
        broken.append(Finding("note", None, None, None, OTHER_TABLES))
    books = Warehouse(copy.warehouse, tables)
    books.prepare()  # what an older version did not have yet is made, as the next run would
    return books, sum(counts.values())


def _said_otherwise(copy: Project, books: Warehouse, system: str) -> Iterator[Finding]:
    """Yield the published reports whose figures are not those that the tables keep of them."""
    for report in books.rows(REPORTS, system=system).iter_rows(named=True):
        file = copy.data / (report["json_file"] or "")
        kept = books.rows(FIGURES, system=system, month=report["month"], edition=0)
        if not file.is_file() or kept.is_empty():
            continue  # a file that is gone is named already
        told = _figures(file)
        differ = sorted(
            key for key, value in kept.select("figure", "value").iter_rows() if told.get(key) != value
        )
        if differ:
            what = f"{report['json_file']} and {FIGURES} differ in {some(len(differ), 'figure')}"
            yield Finding("error", None, None, None, f"{what}, such as {differ[0]}.")


def _figures(file: Path) -> dict[str, str | None]:
    """Return the figures of a report's data, as the tables keep them; none of a file that is no report."""
    try:
        found = [
            figure for section in json.loads(file.read_bytes())["sections"] for figure in section["figures"]
        ]
        return {one["key"]: None if one["value"] is None else json.dumps(one["value"]) for one in found}
    except (ValueError, KeyError, TypeError):
        return {}


def _another(project: Project, system: str, state: LogState) -> Iterator[Finding]:
    """Yield that the log in use does not begin with the one that was backed up."""
    if not project.warehouse.exists() or not state.entries:
        return
    rows = working(project).read(
        "select entry_index, leaf_hash from compliance.audit_log where system = ? and entry_index < ?",
        [system, state.entries],
    )
    root = roots_at(dict(rows.iter_rows()), [state.entries]).get(state.entries)
    if root is None or base64.b64encode(root).decode() != state.root:
        what = f"The log in use does not begin with the {count(state.entries)} entries that were backed up"
        message = (
            f"{what}: one of the two was changed, and aiops audit verify says whether it is the one in use."
        )
        yield Finding("error", None, None, None, message)


def record(
    books: Warehouse,
    book: AuditBook,
    systems: Sequence[System],
    folder: Path,
    manifest: Manifest,
    drilled: Sequence[Drilled],
    by: str,
    clock: datetime,
) -> dict[str, str]:
    """Keep what a drill found, in a table and in the audit log; return what kept it from that, by system.

    Raises:
        BackupError: nobody made it.
    """
    if not by.strip():
        raise BackupError("A restore drill is made by somebody: --by NAME.")
    failed = note(books, book, systems, manifest, folder, clock)
    found = {one.system: one for one in drilled}
    for system in systems:
        if system.name not in found or system.name in failed:
            continue
        try:
            _record(books, book, system, manifest, found[system.name], by, clock)
        except UNNOTED as error:
            failed[system.name] = str(error)
    return failed


def _record(
    books: Warehouse,
    book: AuditBook,
    system: System,
    manifest: Manifest,
    one: Drilled,
    by: str,
    clock: datetime,
) -> None:
    now, schema = system.now(clock), books.tables[DRILLS].schema
    before = books.read(f"select count(*) as n from {DRILLS} where system = ?", [system.name])["n"][0]
    row = {
        "system": system.name,
        "number": before + 1,
        "drilled_at": now,
        "drilled_by": by.strip(),
        "backup_id": backup_id(manifest),
        "manifest_sha256": manifest.sha256,
        "backup_made_at": manifest.logs[system.name].at,
        "tree_size": one.entries,
        "root_hash": one.root or None,
        "row_count": one.rows,
        "passed": one.passed,
        "findings": [finding.message for finding in one.findings if finding.severity != "note"],
    }
    frame = pl.DataFrame([row], schema=schema)
    entry = drill_entry(system.name, row, clock)
    book.append(system.name, [entry], lambda writer: writer.append(DRILLS, frame))
    book.sign(system.name, now)
