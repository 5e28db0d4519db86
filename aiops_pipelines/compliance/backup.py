"""A backup's manifest: which files it holds, what its audit logs come to, and what differs from it.

A manifest is written last, so a folder without one is no backup. It carries its own hash, and so does the
entry of the audit log that says the backup was made. Copying is done in `resources`.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, Literal

from pydantic import Field, ValidationError

from aiops_pipelines.compliance.audit_entry import decision_entry
from aiops_pipelines.compliance.finding import Finding
from aiops_pipelines.mendable import Mendable
from aiops_pipelines.part import Part
from aiops_pipelines.wording import count, some

MANIFEST = "manifest.json"
MADE, DRILLED, DESTROYED = "backup_made", "restore_drilled", "backup_destroyed"
NAMED_AT_MOST = 20
Columns = Mapping[str, Mapping[str, str]]
"""Type by column by table, "schema.table"."""


class BackupDamaged(Mendable, ValueError):
    """A folder that is no whole backup; the message names what differs."""


class Copied(Part):
    """One file of a backup."""

    sha256: str
    bytes: int


class LogState(Part):
    """A system's audit log as it was backed up: entries and their root, base64, and its newest checkpoint.

    `at` is the system's present then.
    """

    entries: int
    root: str
    checkpoint: str
    at: datetime


class Manifest(Part):
    """What a backup holds. Names of files are relative to it and lead nowhere else."""

    form: Literal["aiops_pipelines.backup/1"] = "aiops_pipelines.backup/1"
    made_at: datetime
    made_by: str
    versions: dict[str, str]
    """Of the program, of the declared tables (a fingerprint) and of DuckDB."""
    with_keys: bool
    logs: dict[str, LogState]
    rows: dict[str, int]
    left_out: dict[str, str]
    """What lies in the data folder and is not in the backup, and why."""
    files: dict[str, Copied] = Field(min_length=1)

    @property
    def sha256(self) -> str:
        """The hash of what it says."""
        return hashlib.sha256(_canonical(self.model_dump(mode="json"))).hexdigest()

    @property
    def size(self) -> int:
        """How many bytes its files hold."""
        return sum(file.bytes for file in self.files.values())

    def written(self) -> bytes:
        """Return its file."""
        content = self.model_dump(mode="json") | {"sha256": self.sha256}
        return json.dumps(content, indent=1, sort_keys=True).encode() + b"\n"


def _canonical(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def read_manifest(data: bytes) -> Manifest:
    """Read a manifest's file.

    Raises:
        BackupDamaged: it is none, says something else than it said, or names a file outside of the backup.
    """
    try:
        content = json.loads(data)
        digest = content.pop("sha256")
        manifest = Manifest.model_validate(content)
    except (ValueError, TypeError, AttributeError, KeyError, ValidationError, RecursionError):
        raise BackupDamaged(f"{MANIFEST} is no manifest of a backup: it was edited or damaged.") from None
    if manifest.sha256 != digest:
        raise BackupDamaged(f"{MANIFEST} does not say what it said when it was written.")
    for name in manifest.files:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or str(path) != name or name == MANIFEST or "\0" in name:
            raise BackupDamaged(f"{MANIFEST} names {name!r}, which is no file of a backup.")
    return manifest


def differing(manifest: Manifest, found: Mapping[str, Copied]) -> list[str]:
    """Say of each file what differs from the manifest; nothing differs in a whole backup.

    Args:
        manifest: what should be there.
        found: the regular files that are there, but for the manifest.
    """
    said = []
    for name in sorted(manifest.files.keys() | found.keys()):
        wanted, there = manifest.files.get(name), found.get(name)
        if wanted is None:
            said.append(f"{name} is not in the manifest")
        elif there is None:
            said.append(f"{name} is gone, or no file")
        elif there.bytes != wanted.bytes:
            said.append(f"{name} has {count(there.bytes)} bytes instead of {count(wanted.bytes)}")
        elif there != wanted:
            said.append(f"{name} holds other bytes than were backed up")
    return said


def whole(manifest: Manifest, found: Mapping[str, Copied]) -> None:
    """Make sure that nothing differs.

    Raises:
        BackupDamaged: something does.
    """
    if said := differing(manifest, found):
        more = [f"{some(len(said) - NAMED_AT_MOST, 'more file')}"] if len(said) > NAMED_AT_MOST else []
        raise BackupDamaged(f"The backup is not whole: {'; '.join([*said[:NAMED_AT_MOST], *more])}.")


def unknown_columns(stored: Columns, declared: Columns) -> Iterator[str]:
    """Say which declared tables this program cannot take as they are: a newer one wrote them.

    Tables and columns that are missing are no problem: the next run makes them.
    """
    for table, known in declared.items():
        for column, type_ in stored.get(table, {}).items():
            if column not in known:
                yield f"{table}.{column} is not known to this version: a newer one made the backup."
            elif known[column] != type_:
                yield f"{table}.{column} is {type_} in the backup and {known[column]} in this version."


def against(state: LogState, entries: int, root: str) -> list[Finding]:
    """Hold a restored log against what it was when it was backed up."""
    if (entries, root) == (state.entries, state.root):
        return []
    was = f"{count(state.entries)} entries with root {state.root}"
    message = f"The restored log has {count(entries)} entries with root {root}, and was backed up as {was}."
    return [Finding("error", None, None, None, message)]


def recounted(wanted: Mapping[str, int], counted: Mapping[str, int]) -> list[Finding]:
    """Hold the rows of the restored tables against those that were backed up."""
    return [
        Finding("error", None, None, None, f"{table} has {counted.get(table, 0):,} rows, not {n:,}.")
        for table, n in wanted.items()
        if counted.get(table) != n
    ]


def backup_entry(system: str, manifest: Manifest, now: datetime) -> dict[str, Any]:
    """Return the entry that says a backup was made: who, when, how much of the log, the manifest's hash."""
    state = manifest.logs[system]
    summary = f"A backup was made of {count(state.entries)} log entries."
    details = {
        "manifest_sha256": manifest.sha256,
        "made_at": manifest.made_at.isoformat(),
        "tree_size": state.entries,
        "root": state.root,
        "with_keys": manifest.with_keys,
    }
    return decision_entry(system, MADE, now, manifest.made_by, summary, details)


def destroyed_entry(system: str, backup: Mapping[str, Any], now: datetime, by: str) -> dict[str, Any]:
    """Return the entry by which somebody says that a backup, a row of compliance.backups, is destroyed."""
    summary = f"{backup['backup_id']} is destroyed, as {by} says."
    details = {"manifest_sha256": backup["manifest_sha256"], "tree_size": backup["tree_size"]}
    return decision_entry(system, DESTROYED, now, by, summary, details)


def drill_entry(system: str, drill: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    """Return the entry of a restore drill by its row in compliance.restore_drills; `at` is the real time."""
    result = "passed" if drill["passed"] else "FAILED"
    summary = f"A restore drill {result}: {count(drill['tree_size'])} entries of the log were restored."
    details = {
        "at": at.isoformat(),
        "manifest_sha256": drill["manifest_sha256"],
        "tree_size": drill["tree_size"],
        "root": drill["root_hash"],
        "passed": drill["passed"],
    }
    return decision_entry(system, DRILLED, drill["drilled_at"], drill["drilled_by"], summary, details)
