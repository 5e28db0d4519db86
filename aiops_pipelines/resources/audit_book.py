"""The audit log of each system, kept in three places at once: warehouse rows, tile files, signing keys.

Rows are written first, then tiles, then the signed checkpoint: after a crash the database may be ahead of the
files, never behind, and the next run signs what is missing. What an entry says is `compliance.audit_entry`,
how a log is signed `audit_signing`.
"""

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice, pairwise
from typing import Any

import polars as pl

from aiops_pipelines.compliance import audit_log as log
from aiops_pipelines.compliance import checkpoint, leaf
from aiops_pipelines.compliance.decided import APPENDED, COMPLETED, OPENED, RECORDED, against_rows
from aiops_pipelines.compliance.key_history import KeyHistory
from aiops_pipelines.compliance.merkle import root_hash
from aiops_pipelines.compliance.retention import KINDS, Deletions
from aiops_pipelines.compliance.settings import CHANGED, NOTED, settings_entry
from aiops_pipelines.compliance.signed_note import NoteInvalid
from aiops_pipelines.incidents.runbooks import digests
from aiops_pipelines.project import Project
from aiops_pipelines.resources.audit_calls import altered
from aiops_pipelines.resources.audit_files import AuditFiles
from aiops_pipelines.resources.audit_signing import KEY_GONE, Signing, SigningKeyMissing
from aiops_pipelines.resources.keys import Keys
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.resources.writer import Writer
from aiops_pipelines.systems import System

LOG = "compliance.audit_log"
ENTRIES_AT_ONCE = 20_000
"""Written in one transaction, and read at a time to be verified."""
KNOWN, ATTACKS = ("rag.known_queries", "rag.judgements"), ("rag.adversarial_queries",)
ALL_GONE = "The log of {} was signed before, and neither an entry nor a checkpoint is left."
TILES_GONE = "No tile file is left, so only a range can be named where an entry was edited; the rows stand."


@dataclass(frozen=True)
class Entered:
    """How many entries came into a log, and those that were refused."""

    entries: int
    conflicts: tuple[log.Conflict, ...]


class AuditBook:
    """The audit logs of one installation."""

    def __init__(self, project: Project, warehouse: Warehouse, keys: Keys):
        self._project, self._warehouse, self.keys = project, warehouse, keys

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
        entries: Iterable[Mapping[str, Any]],
        along: Callable[[Writer], object] | None = None,
    ) -> Entered:
        """Write the entries that are not there yet, so many a transaction; what they are about can go along.

        It goes with the last of them, and a decision is one.
        """
        rest, written, conflicts = iter(entries), 0, list[log.Conflict]()
        portion = list(islice(rest, ENTRIES_AT_ONCE))
        while True:
            following = list(islice(rest, ENTRIES_AT_ONCE))
            appended = self._append(system, portion, None if following else along)
            written += appended.rows.height
            conflicts += appended.conflicts
            if not following:
                return Entered(written, tuple(conflicts))
            portion = following

    def _append(
        self,
        system: str,
        entries: Sequence[Mapping[str, Any]],
        along: Callable[[Writer], object] | None,
    ) -> log.Appended:
        known = self._hashes(system, [str(entry["entry_id"]) for entry in entries])
        again = [entry for entry in entries if entry["entry_id"] in known]
        known |= self._hashes(system, log.candidate_ids(again))
        appended = log.append(known, self._size(system), entries)
        if appended.rows.height or along:
            with self._warehouse.writing() as writer:
                writer.append(LOG, appended.rows)
                if along:
                    along(writer)
        return appended

    def _hashes(self, system: str, ids: Sequence[str]) -> dict[str, bytes]:
        """Return the leaf hashes of those of these entries that are there."""
        sql = f"select entry_id, leaf_hash from {LOG} semi join wanted_rows using (entry_id) where system = ?"
        wanted = pl.DataFrame({"entry_id": ids}, schema={"entry_id": pl.String})
        return dict(self._warehouse.read(sql, [system], wanted).iter_rows()) if ids else {}

    def _size(self, system: str) -> int:
        size: int = self._warehouse.read(f"select count(*) as n from {LOG} where system = ?", [system])["n"][
            0
        ]
        return size

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

    def noted_settings(self, system: System, now: datetime) -> dict[str, Any] | None:
        """Return the entry that notes a system's settings or says what changed; None if nothing did."""

        def told(tables: Sequence[str]) -> list[list[str]]:
            found = (self._warehouse.rows(table, system=system.name).drop("system") for table in tables)
            return [sorted(map(str, rows.rows())) for rows in found]

        beside = {
            "known_queries": told(KNOWN),
            "adversarial_queries": told(ATTACKS),
            "runbooks": dict(digests(self._project.runbooks)),
        }
        return settings_entry(system, self.last_settings(system.name), now, beside)

    def signing(self, system: str) -> Signing:
        """Return the checkpoints of a system's log."""
        return Signing(self._project, self._warehouse, self.keys, system)

    def sign(self, system: str, now: datetime) -> int:
        """Publish a signed checkpoint for what is not signed yet; return the size of the log."""
        return self.signing(system).sign(now)

    def signed_size(self, system: str) -> int:
        """Return how many entries the newest checkpoint covers."""
        return self.signing(system).size()

    def verifier_key(self, system: str) -> str:
        """Return the key that checkpoints are verified with; empty where nothing was signed."""
        return next(iter(self.signing(system).vkeys()), "")

    def verify(self, system: str, kept: Sequence[str] = ()) -> tuple[list[log.Finding], int, str]:
        """Recompute a whole log; return what is wrong, how many entries were read and their root, base64.

        `kept` are signed notes that somebody kept elsewhere: they must sign what this log begins with.
        """
        signing = self.signing(system)
        files, vkey, (keys, _) = signing.files, signing.known_key(), signing.history()
        stored = self._warehouse.rows("compliance.audit_checkpoints", system=system)
        notes = [*files.checkpoints().values(), *files.newest(), *stored["note"].to_list(), *kept]
        places = self._warehouse.read(
            f"select entry_index, leaf_hash from {LOG} where system = ? order by entry_index nulls last",
            [system],
        )
        portions = self._portions(system, places["entry_index"])
        findings = log.verify(portions, list(dict.fromkeys(notes)), vkey, files.tiles())
        findings += [*_said_of_checkpoints(stored, keys), *_handed_out(files, keys, signing.vkeys())]
        if notes and not self.keys.has_signing(system):
            findings.insert(0, log.Finding("error", None, None, None, KEY_GONE.format(system)))
        if not notes and not places.height and self.keys.has_signing(system):
            findings.insert(0, log.Finding("error", None, None, None, ALL_GONE.format(system)))
        if notes and not files.tiles():
            findings.append(log.Finding("note", None, None, None, TILES_GONE))
        findings += altered(self._warehouse, system, self.keys, self._deletions(system, notes, keys))
        findings += self._decided(system, notes, keys)
        root = root_hash(places["leaf_hash"].to_list())
        return findings, places.height, base64.b64encode(root).decode()

    def _portions(self, system: str, places: pl.Series) -> Iterator[pl.DataFrame]:
        """Yield a log by its places, which are in order, those without one last."""
        columns, known = ", ".join(log.SCHEMA), places.drop_nulls()
        sql = f"select {columns} from {LOG} where system = ? and"
        starts = known.gather_every(ENTRIES_AT_ONCE).unique(maintain_order=True).to_list()
        for start, end in pairwise([*starts, None]):
            below = "entry_index >= ? and (entry_index < ? or ? is null) order by entry_index, rowid"
            yield self._warehouse.read(f"{sql} {below}", [system, start, end, end])
        if places.null_count():
            yield self._warehouse.read(f"{sql} entry_index is null order by rowid", [system])

    def _deletions(self, system: str, notes: Sequence[str], keys: KeyHistory) -> Deletions:
        """Return what the log says was deleted; an entry that is not signed excuses nothing."""
        return Deletions.of(self._signed_leaves(system, list(KINDS), notes, keys))

    def _decided(self, system: str, notes: Sequence[str], keys: KeyHistory) -> list[log.Finding]:
        """Return the entries of decisions on incidents that the tables do not have as they are."""
        logged = self._warehouse.read(
            f"select entry_index, entry_id, leaf from {LOG} where system = ? and starts_with(kind, ?) "
            "and kind <> ? order by entry_index",
            [system, RECORDED, OPENED],
        )
        if logged.is_empty():
            return []
        rows = chain.from_iterable(
            self._warehouse.rows(table, system=system).iter_rows(named=True) for table in APPENDED
        )
        put_back = self._signed_leaves(system, [f"decision.{COMPLETED}"], notes, keys)
        said = [leaf.decode(each)["details"] for each in put_back]
        return against_rows(logged.iter_rows(), rows, [range(one["from"], one["to"]) for one in said])

    def _signed_leaves(
        self, system: str, kinds: list[str], notes: Sequence[str], keys: KeyHistory
    ) -> pl.Series:
        size = max((one.size for note in notes if (one := _signed(note, keys))), default=0)
        found = self._warehouse.read(
            f"select leaf from {LOG} where system = ? and kind in (select unnest(?)) "
            "and entry_index < ? order by entry_index",
            [system, kinds, size],
        )
        return found["leaf"]


def _signed(note: str, keys: KeyHistory) -> checkpoint.Checkpoint | None:
    try:
        return keys.verify(note)
    except NoteInvalid:
        return None  # found already


def _said_of_checkpoints(stored: pl.DataFrame, keys: KeyHistory) -> Iterator[log.Finding]:
    """Compare size and root that the table states with those that were signed: reports print them."""
    for row in stored.iter_rows(named=True):
        if (signed := _signed(row["note"], keys)) is None:
            continue
        if (row["tree_size"], row["root_hash"]) != (signed.size, base64.b64encode(signed.root).decode()):
            what = f"{row['tree_size']:,} entries in compliance.audit_checkpoints"
            message = (
                f"Size or root of the checkpoint of {what} is not what it signs ({signed.size:,} entries)."
            )
            yield log.Finding("error", None, None, None, message)


def _handed_out(files: AuditFiles, keys: KeyHistory, here: Sequence[str]) -> Iterator[log.Finding]:
    """Compare the key that is handed out, and those that are here, with the one that is in force."""
    if (key := files.key()) and key not in here and key != keys.current:
        yield log.Finding("error", None, None, None, "keys.txt does not hold the key that signs this log.")
    if here and keys.current not in here:
        message = f"The key that is here, {here[0]}, is not the one that the log says is in force."
        yield log.Finding("error", None, None, None, message)
