"""Backups: one consistent copy of everything that cannot be made again, in a folder with a manifest.

The warehouse is copied by what it holds while nobody writes, and the other files within the same time. The
manifest comes last and the folder gets its name after it, so what is killed or runs out of disk leaves no
backup. What a manifest says is `compliance.backup`, bringing one back `restoring`.
"""

import base64
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import polars as pl

from aiops_pipelines.compliance.backup import MANIFEST, Copied, LogState, Manifest, backup_entry
from aiops_pipelines.compliance.merkle import root_hash
from aiops_pipelines.mendable import Mendable
from aiops_pipelines.project import Project
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.audit_files import AuditFiles
from aiops_pipelines.resources.audit_signing import LogForked, SigningKeyMissing
from aiops_pipelines.resources.first_file import UNFINISHED, sweep, sync_folder
from aiops_pipelines.resources.leftovers import walked
from aiops_pipelines.resources.published import known_tables, working
from aiops_pipelines.resources.tables import Table
from aiops_pipelines.resources.warehouse import Warehouse, WarehouseBusy, WarehouseError
from aiops_pipelines.systems import System

BACKUPS = "compliance.backups"
COPIED = ("audit", "reports", "notifications", "systems", "queries", "runbooks")
"""Folders of the data folder that cannot be made again."""
KEYS = "keys"
MADE_AGAIN = {
    "aiops.duckdb": "the copy for analysts; a run makes it anew",
    "dagster": "Dagster's history of runs; which periods are done stands in the warehouse",
    "docs": "made anew with make docs",
    "vectors": "published indexes; aiops publish writes them anew",
    KEYS: "keys, which want a backup of their own; --with-keys takes them in",
}
YOURS = "your own files; back them up where they come from"
BLOCK = 1 << 20
WAIT_SECONDS = 120
"""How long a backup waits for a step of a run that writes."""
UNNOTED = (SigningKeyMissing, LogForked, WarehouseBusy, WarehouseError)
"""What keeps a backup or a drill from being noted, but not from having been made."""
TABLES = """
    select schema_name || '.' || table_name as path,
        format('"{}"."{}"', replace(schema_name, '"', '""'), replace(table_name, '"', '""')) as quoted
    from duckdb_tables() where not internal order by path
"""
LOGS = "select system, leaf_hash from compliance.audit_log order by system, entry_index"


class BackupError(Mendable, RuntimeError):
    """A backup cannot be made or used; the message says why."""


def make(
    project: Project,
    target: Path,
    systems: Sequence[System],
    by: str,
    clock: datetime,
    with_keys: bool = False,
) -> Manifest:
    """Write a backup into a new folder; return its manifest.

    Raises:
        BackupError: nobody makes it, something is there already, or a file cannot be copied.
        WarehouseError: nothing was run yet, the warehouse is damaged or the disk is full.
        WarehouseBusy: a run is writing for too long.
    """
    if not by.strip():
        raise BackupError("A backup is made by somebody: --by NAME.")
    target = target.resolve()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise BackupError(f"{target} is there already; a backup takes a new folder and overwrites none.")
    if target.is_relative_to(project.data):
        raise BackupError(f"{target} lies in the data folder, which it is to outlive; take another place.")
    books = working(project, WAIT_SECONDS)
    books.prepare()
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = f".{target.name}.unfinished-"
    sweep(target.parent, unfinished)
    fresh = target.with_name(f"{unfinished}{os.getpid()}")
    fresh.mkdir(mode=0o700)
    try:
        manifest = _filled(project, fresh, books, systems, by.strip(), clock, with_keys)
        (fresh / MANIFEST).write_bytes(manifest.written())
        _synced(fresh)
        os.rename(fresh, target)  # which fails where another backup was faster
        sync_folder(target.parent)
    except OSError as error:
        raise BackupError(f"No backup was made: {_said(error)}") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return manifest


def _said(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}. Make room on the disk if it is full."


def _filled(
    project: Project,
    fresh: Path,
    books: Warehouse,
    systems: Sequence[System],
    by: str,
    clock: datetime,
    with_keys: bool,
) -> Manifest:
    copy = Project(fresh)
    copy.warehouse.parent.mkdir(mode=_mode(project.warehouse.parent))
    with books.snapshot(copy.warehouse):
        wanted = dict(_wanted(project, systems, with_keys))
        files = {name: copied(source, fresh, name) for name, source in sorted(wanted.items())}
    name = copy.warehouse.relative_to(fresh).as_posix()
    files[name] = hashed(copy.warehouse)
    tables = known_tables(project.dbt)
    held, present = working(copy), {system.name: system.now(clock) for system in systems}
    versions = {"program": version("aiops_pipelines"), "tables": fingerprint(tables)}
    versions["duckdb"] = held.read("select version() as v")["v"][0]
    return Manifest(
        made_at=clock,
        made_by=by,
        versions=versions,
        with_keys=with_keys,
        logs=_logs(copy, held, present, clock),
        rows=row_counts(held),
        left_out=_left_out(project, wanted, systems),
        files=files,
    )


def _wanted(project: Project, systems: Sequence[System], with_keys: bool) -> Iterator[tuple[str, Path]]:
    """Yield the files to copy, by their name in the backup."""
    for folder in (*COPIED, *([KEYS] if with_keys else [])):
        for file in _files(project.data / folder):
            yield file.relative_to(project.data).as_posix(), file
    for system in systems:
        queries = system.known_queries
        if queries and queries.is_file() and queries.is_relative_to(project.data):
            yield queries.relative_to(project.data).as_posix(), queries


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, what links lead to too; those that are being written are none yet.

    Raises:
        OSError: a folder cannot be listed.
    """
    for root, _, names in walked(folder, links=True):
        yield from (file for name in names if (file := root / name).is_file() and file.suffix != UNFINISHED)


def _left_out(project: Project, wanted: Mapping[str, Path], systems: Sequence[System]) -> dict[str, str]:
    """Say what lies in the data folder, or known queries elsewhere, and is not copied, and why."""
    elsewhere = [s.known_queries for s in systems if s.known_queries]
    outside = {str(file): YOURS for file in elsewhere if not file.is_relative_to(project.data)}
    copied = {name.partition("/")[0] for name in wanted} | {project.warehouse.parent.name, *COPIED}
    names = sorted({file.name for file in project.data.iterdir()} - copied)
    here = {name: MADE_AGAIN.get(name, YOURS) for name in names if not name.startswith("aiops.new-")}
    return here | outside


def _logs(
    copy: Project, held: Warehouse, present: Mapping[str, datetime], clock: datetime
) -> dict[str, LogState]:
    """Return the state of each system's log; one that has no entry yet is as long as it is."""
    hashes = held.read(LOGS)
    states = {}
    for system in sorted({*present, *hashes["system"]}):
        leaves = hashes.filter(pl.col("system") == system)["leaf_hash"].to_list()
        root = base64.b64encode(root_hash(leaves)).decode()
        note = next(iter(AuditFiles(copy.audit / system).newest()), "")
        at = present.get(system, clock)
        states[system] = LogState(entries=len(leaves), root=root, checkpoint=note, at=at)
    return states


def row_counts(books: Warehouse) -> dict[str, int]:
    """Return the rows of every table."""
    tables = books.read(TABLES)
    named = ((path.replace("'", "''"), quoted) for path, quoted in tables.iter_rows())
    counts = books.read(
        " union all ".join(f"select '{path}', count(*) from {quoted}" for path, quoted in named)
    )
    return dict(counts.iter_rows())


def fingerprint(tables: Mapping[str, Table]) -> str:
    """Return the version of the declared tables: it changes with every column."""
    lines = sorted(
        f"{path} {column.name} {column.type}\n" for path, t in tables.items() for column in t.columns
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]


def copied(source: Path, root: Path, name: str) -> Copied:
    """Copy a file durably to its name below a folder; return what was copied.

    It keeps its mode, and so do its folders; keys are for nobody else to read, whatever theirs was.

    Raises:
        OSError: it cannot be read or written.
    """
    private = name.startswith(f"{KEYS}/")
    for parent, its in reversed([*zip(PurePosixPath(name).parents, source.parents, strict=False)][:-1]):
        (root / parent).mkdir(mode=0o700 if private else _mode(its), exist_ok=True)
    with source.open("rb") as reading:
        mode = 0o600 if private else os.fstat(reading.fileno()).st_mode & 0o777
        descriptor = os.open(root / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as writing:
            found = _blocks(reading, writing)
            writing.flush()
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
    return found


def _mode(folder: Path) -> int:
    """Return who may look into a folder; the owner may always."""
    return folder.stat().st_mode & 0o777 | 0o700


def hashed(file: Path) -> Copied:
    """Return what a file holds."""
    with file.open("rb") as reading:
        return _blocks(reading, None)


def _blocks(reading: BinaryIO, writing: BinaryIO | None) -> Copied:
    digest, size = hashlib.sha256(), 0
    while block := reading.read(BLOCK):
        digest.update(block)
        size += len(block)
        if writing:
            writing.write(block)
    return Copied(sha256=digest.hexdigest(), bytes=size)


def _synced(folder: Path) -> None:
    """Make the manifest and the names of all files durable."""
    descriptor = os.open(folder / MANIFEST, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    for root, _, _ in os.walk(folder, topdown=False):
        sync_folder(Path(root))


def note(
    books: Warehouse,
    book: AuditBook,
    systems: Sequence[System],
    manifest: Manifest,
    folder: Path,
    clock: datetime,
) -> dict[str, str]:
    """Enter a backup into the audit log of each system; return what kept one from it, by system.

    A log that cannot be signed, or is being written, is backed up as it is, and noted with its next drill.
    """
    failed = {}
    for system in systems:
        if system.name not in manifest.logs:
            continue
        try:
            book.whole_keys(system.name)
            book.signing(system.name).continued()
            _note(books, book, system, manifest, folder, clock)
        except UNNOTED as error:
            failed[system.name] = str(error)
    return failed


def _note(
    books: Warehouse, book: AuditBook, system: System, manifest: Manifest, folder: Path, clock: datetime
) -> None:
    now, digest = system.now(clock), manifest.sha256
    if books.rows(BACKUPS, system=system.name, manifest_sha256=digest).height:
        return
    state = manifest.logs[system.name]
    row = dict.fromkeys(books.tables[BACKUPS].schema) | {
        "system": system.name,
        "backup_id": backup_id(manifest),
        "manifest_sha256": digest,
        "made_at": state.at,
        "made_by": manifest.made_by,
        "tree_size": state.entries,
        "root_hash": state.root,
        "with_keys": manifest.with_keys,
        "bytes": manifest.size,
        "folder": str(folder),
    }
    frame = pl.DataFrame([row], schema=books.tables[BACKUPS].schema)
    entry = backup_entry(system.name, manifest, now)
    book.append(system.name, [entry], lambda writer: writer.append(BACKUPS, frame))
    book.sign(system.name, now)


def backup_id(manifest: Manifest) -> str:
    """Return the name that a backup is known by here."""
    return f"BAK-{manifest.sha256[:8]}"
