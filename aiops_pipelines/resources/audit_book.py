"""The audit log of each system, kept in three places at once: warehouse rows, tile files, signing keys.

Rows are written first, then tiles, then the signed checkpoint: after a crash the database may be ahead of the
files, never behind, and the next run signs what is missing. What an entry says is `compliance.audit_entry`.
"""

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from aiops_pipelines.compliance import audit_log as log
from aiops_pipelines.compliance import checkpoint, leaf, tiles
from aiops_pipelines.compliance.merkle import root_hash
from aiops_pipelines.compliance.retention import KINDS, Deletions
from aiops_pipelines.compliance.settings import CHANGED, NOTED
from aiops_pipelines.mendable import Mendable
from aiops_pipelines.project import Project
from aiops_pipelines.resources.audit_calls import altered
from aiops_pipelines.resources.audit_files import AuditFiles
from aiops_pipelines.resources.keys import Keys
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.resources.writer import Writer

IDLE = timedelta(hours=1)
ALL_GONE = "The log of {} was signed before, and neither an entry nor a checkpoint is left."
TILES_GONE = "No tile file is left, so only a range can be named where an entry was edited; the rows stand."
KEY_GONE = "The key that signed the log of {} is missing; restore the folder keys from its backup."


class SigningKeyMissing(Mendable, RuntimeError):
    """A log was signed before and its key is gone; a new key would not continue it."""


class AuditBook:
    """The audit logs of one installation."""

    def __init__(self, project: Project, warehouse: Warehouse, keys: Keys):
        self._folder, self._warehouse, self.keys = project.audit, warehouse, keys

    def whole_keys(self, system: str) -> Keys:
        """Return the keys that a system's calls are stored and logged with.

        Raises:
            SigningKeyMissing: they were lost; new ones would give known people new names.
        """
        lost = not self.keys.has_signing(system) or self.keys.lost_pepper(system)
        if lost and self.signed_size(system):
            raise SigningKeyMissing(
                f"Keys of {system} are missing, so nothing is read or logged for it; restore the folder keys "
                "from its backup."
            )
        return self.keys

    def append(
        self,
        system: str,
        entries: Sequence[Mapping[str, Any]],
        along: Callable[[Writer], object] | None = None,
    ) -> log.Appended:
        """Write the entries that are not there yet, in one transaction; what they are about can go along."""
        stored = self._warehouse.read(
            "select entry_id, leaf_hash from compliance.audit_log where system = ?", [system]
        )
        appended = log.append(dict(stored.iter_rows()), stored.height, entries)
        if appended.rows.height or along:
            with self._warehouse.writing() as writer:
                writer.append("compliance.audit_log", appended.rows)
                if along:
                    along(writer)
        return appended

    def last_settings(self, system: str) -> dict[str, str] | None:
        """Return the settings that the log noted last, if it did."""
        found = self._warehouse.read(
            "select leaf from compliance.audit_log where system = ? and kind in (?, ?) "
            "order by entry_index desc limit 1",
            [system, f"decision.{NOTED}", f"decision.{CHANGED}"],
        )
        if found.is_empty():
            return None
        settings: dict[str, str] = leaf.decode(found["leaf"][0])["details"]["settings"]
        return settings

    def sign(self, system: str, now: datetime) -> int:
        """Publish tiles and a signed checkpoint for what is not signed yet; return the size of the log.

        A log in which nothing happens is signed again after an hour: one that nobody writes any more is not.
        """
        leaves = self._warehouse.read(
            "select leaf, leaf_hash from compliance.audit_log where system = ? order by entry_index", [system]
        )
        size, signed = leaves.height, self.signed_size(system)
        if size < signed or (size == signed and not self._idle(system, now)):
            return size  # a log that is shorter than its checkpoint is for `verify` to report
        if signed and not self.keys.has_signing(system):
            raise SigningKeyMissing(KEY_GONE.format(system))
        files, key, hashes = (
            AuditFiles(self._folder / system),
            self.keys.signing(system),
            leaves["leaf_hash"].to_list(),
        )
        files.write(
            tiles.tiles(hashes, signed, size) | tiles.entry_bundles(leaves["leaf"].to_list(), signed, size)
        )
        root = root_hash(hashes)
        note = checkpoint.sign(origin(system), size, root, key, int(now.timestamp()))
        files.publish(size, note, checkpoint.vkey(origin(system), key.public_key()))
        row = pl.DataFrame(
            [(system, size, base64.b64encode(root).decode(), note, now)],
            schema=self._warehouse.tables["compliance.audit_checkpoints"].schema,
            orient="row",
        )
        with self._warehouse.writing() as writer:
            writer.append("compliance.audit_checkpoints", row)
        return size

    def signed_size(self, system: str) -> int:
        """Return how many entries the newest checkpoint covers."""
        found = self._warehouse.read(
            "select max(tree_size) as size from compliance.audit_checkpoints where system = ?", [system]
        )
        return found["size"][0] or 0

    def _idle(self, system: str, now: datetime) -> bool:
        sql = "select max(signed_at) as last from compliance.audit_checkpoints where system = ?"
        last = self._warehouse.read(sql, [system])["last"][0]
        return last is not None and now - last >= IDLE

    def verifier_key(self, system: str) -> str:
        """Return the key that checkpoints are verified with; empty where nothing was signed."""
        if not self.keys.has_signing(system):
            return ""
        return checkpoint.vkey(origin(system), self.keys.signing(system).public_key())

    def verify(self, system: str, kept: Sequence[str] = ()) -> tuple[list[log.Finding], int, str]:
        """Recompute a whole log; return what is wrong, how many entries were read and their root, base64.

        `kept` are signed notes that somebody kept elsewhere: they must sign what this log begins with.
        """
        entries = self._warehouse.rows("compliance.audit_log", system=system).select(list(log.SCHEMA))
        files = AuditFiles(self._folder / system)
        vkey = self.verifier_key(system) or files.key()  # none is made, it would go on under another name
        stored = self._warehouse.rows("compliance.audit_checkpoints", system=system)
        notes = [*files.checkpoints().values(), *files.newest(), *stored["note"].to_list(), *kept]
        findings = log.verify(entries, list(dict.fromkeys(notes)), vkey, files.tiles())
        findings += [*_said_of_checkpoints(stored, vkey), *_handed_out(files, vkey)]
        if notes and not self.keys.has_signing(system):
            findings.insert(0, log.Finding("error", None, None, None, KEY_GONE.format(system)))
        if not notes and not entries.height and self.keys.has_signing(system):
            findings.insert(0, log.Finding("error", None, None, None, ALL_GONE.format(system)))
        if notes and not files.tiles():
            findings.append(log.Finding("note", None, None, None, TILES_GONE))
        findings += altered(self._warehouse, system, self.keys, self._deletions(system, notes, vkey))
        root = root_hash(entries.sort("entry_index")["leaf_hash"].to_list())
        return findings, entries.height, base64.b64encode(root).decode()

    def _deletions(self, system: str, notes: Sequence[str], vkey: str) -> Deletions:
        """Return what the log says was deleted; an entry that is not signed excuses nothing."""
        size = max((one.size for note in notes if (one := _signed(note, vkey))), default=0)
        found = self._warehouse.read(
            "select leaf from compliance.audit_log where system = ? and kind in (select unnest(?)) "
            "and entry_index < ? order by entry_index",
            [system, list(KINDS), size],
        )
        return Deletions.of(found["leaf"])


def _signed(note: str, vkey: str) -> checkpoint.Checkpoint | None:
    try:
        return checkpoint.verify(note, vkey)
    except checkpoint.CheckpointInvalid:
        return None  # found already


def _said_of_checkpoints(stored: pl.DataFrame, vkey: str) -> Iterator[log.Finding]:
    """Compare size and root that the table states with those that were signed: reports print them."""
    for row in stored.iter_rows(named=True):
        if (signed := _signed(row["note"], vkey)) is None:
            continue
        if (row["tree_size"], row["root_hash"]) != (signed.size, base64.b64encode(signed.root).decode()):
            what = f"{row['tree_size']:,} entries in compliance.audit_checkpoints"
            message = (
                f"Size or root of the checkpoint of {what} is not what it signs ({signed.size:,} entries)."
            )
            yield log.Finding("error", None, None, None, message)


def _handed_out(files: AuditFiles, vkey: str) -> Iterator[log.Finding]:
    """Compare the key that is handed out with the one that signs."""
    if (key := files.key()) and key != vkey:
        yield log.Finding("error", None, None, None, "keys.txt does not hold the key that signs this log.")


def origin(system: str) -> str:
    """Return the name of a system's log, which is also the name of its signing key."""
    return f"aiops_pipelines/{system}"
