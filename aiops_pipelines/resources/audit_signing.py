"""Signing a log: tiles, checkpoint, cosignatures, in this order, with the keys that are in force at its size.

The witnesses are asked before a checkpoint is published. Killed in between, the log has not published what a
witness has seen; its rows stand, and the next run proves to the witness that they begin with it.
"""

import base64
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import polars as pl
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aiops_pipelines.compliance import checkpoint, tiles
from aiops_pipelines.compliance.finding import Finding
from aiops_pipelines.compliance.key_history import KINDS, KeyHistory, key_history
from aiops_pipelines.compliance.merkle import roots_at
from aiops_pipelines.compliance.quorum import Witnessing, witnessing
from aiops_pipelines.compliance.signed_note import NoteInvalid, vkey
from aiops_pipelines.compliance.witness_settings import Witnesses
from aiops_pipelines.mendable import Mendable
from aiops_pipelines.project import Project
from aiops_pipelines.resources.audit_files import AuditFiles
from aiops_pipelines.resources.keys import Keys
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.resources.witnesses import Cosigned, cosign_all, hear_all
from aiops_pipelines.systems import load_system

IDLE = timedelta(hours=1)
LEAVES_AT_ONCE = 100 * tiles.WIDTH
"""Held at a time to be published: 1 kB each, so those of a million calls would be a gigabyte."""
CHECKPOINTS = "compliance.audit_checkpoints"
KEY_GONE = "The key that signed the log of {} is missing; restore the folder keys from its backup."
KEY_OLD = (
    "The key of {} that is here may not sign the log any more; restore the newest backup of the folder keys."
)


FORKED = (
    "The log of {} has {:,} entries and does not begin with what its published checkpoint of {:,} signs: "
    "an older warehouse file was restored, or entries were changed. Nothing more is signed, deleted or "
    "erased, for that would be a second history. Restore the newest backup, or put back what published files "
    "hold (`aiops audit complete {}`); `aiops audit verify` says what differs."
)


class SigningKeyMissing(Mendable, RuntimeError):
    """A log was signed before and its key is gone; a new key would not continue it."""


class LogForked(Mendable, RuntimeError):
    """A log does not begin with what was published of it; a signature would make two histories."""


def origin(system: str) -> str:
    """Return the name of a system's log, which is also the name of its signing key."""
    return f"aiops_pipelines/{system}"


class Signing:
    """The checkpoints of one system's log: those that were signed, and the next one."""

    def __init__(self, project: Project, warehouse: Warehouse, keys: Keys, system: str):
        self._project, self._warehouse, self._keys, self._system = project, warehouse, keys, system
        self.files = AuditFiles(project.audit / system)

    @property
    def policy(self) -> Witnesses:
        """The witnesses that the system's file names.

        Raises:
            SystemFileError: the file cannot be used.
        """
        file = self._project.systems / f"{self._system}.yaml"
        return load_system(file, self._project.data).witnesses if file.is_file() else Witnesses()

    def vkeys(self) -> list[str]:
        """Return the verifier keys of the signing key and of the one that is to follow, if they are there."""
        here = [self._keys.signing] if self._keys.has_signing(self._system) else []
        here += [self._keys.next_signing] if self._keys.has_next(self._system) else []
        return [vkey(origin(self._system), key(self._system).public_key()) for key in here]

    def known_key(self) -> str:
        """Return the verifier key that the log is known by; empty where nothing was signed."""
        return (
            next(iter(self.vkeys()[:1]), "") or self.files.key()
        )  # none is made, it would go by another name

    def history(self) -> tuple[KeyHistory, list[Finding]]:
        """Return the keys that the log says were in force, and what is wrong with what it says."""
        said = self._warehouse.read(
            "select entry_index, leaf from compliance.audit_log where system = ? "
            "and kind in (select unnest(?)) order by entry_index",
            [self._system, list(KINDS)],
        )
        return key_history(said.iter_rows(), self.known_key())

    def size(self) -> int:
        """Return how many entries the newest checkpoint covers."""
        return self._newest().get("tree_size") or 0

    def sign(self, now: datetime) -> int:
        """Publish tiles and a signed checkpoint for what is not signed yet; return the size of the log.

        A log in which nothing happens is signed again after an hour: one that nobody writes any more is not.
        One that is not witnessed is, as soon as a witness cosigns it.

        Raises:
            SigningKeyMissing: the key that is in force is not here.
            LogForked: the log does not begin with what was published of it.
        """
        stored = self._warehouse.read(
            "select entry_index, leaf_hash from compliance.audit_log where system = ? order by entry_index",
            [self._system],
        )
        size, last, policy = stored.height, self._newest(), self.policy
        signed = last.get("tree_size") or 0
        due = size > signed or (bool(last) and now - last["signed_at"] >= IDLE)
        wanting = bool(last and policy.places) and len(last["cosigned_by"] or []) < policy.quorum
        if size == signed and self._keys.has_signing(self._system):
            self._follow(size)  # killed before it could
        if size < signed or not (due or wanting):
            return size  # a log that is shorter than its checkpoint is for `verify` to report
        keys, hashes = self._signers(size, bool(signed)), stored["leaf_hash"].to_list()
        root = self._root(hashes)
        self.files.write(tiles.tiles(hashes, signed, size))
        for bundles in self.bundles(stored["entry_index"], signed):
            self.files.write(bundles)
        note = checkpoint.sign(origin(self._system), size, root, *keys, time_s=int(now.timestamp()))
        asked = cosign_all(policy, note, hashes, signed)
        if due or any(one.line for one in asked):
            note += "".join(one.line for one in asked)
            self.files.publish(size, note, vkey(origin(self._system), keys[-1].public_key()))
            self._store(size, root, note, now, policy, asked)
            self._follow(size)
        return size

    def bundles(self, places: pl.Series, signed: int) -> Iterator[dict[str, bytes]]:
        """Yield the entry bundles to write after so many signed entries, of so many leaves at a time.

        Args:
            places: index of each entry, in order.
            signed: how many are published.
        """
        first = signed - signed % tiles.WIDTH if len(places) > signed else signed
        for start in range(first, len(places), LEAVES_AT_ONCE):
            portion = places[start : start + LEAVES_AT_ONCE]
            leaves = self._warehouse.read(
                "select leaf from compliance.audit_log where system = ? and entry_index between ? and ? "
                "order by entry_index",
                [self._system, portion[0], portion[-1]],
            )
            yield tiles.grow_entries({}, start, leaves["leaf"])

    def _root(self, hashes: Sequence[bytes]) -> bytes:
        """Return the root over all leaves, which begin with those that were published."""
        size, history = len(hashes), self.history()[0]
        published = []
        for note in self.files.newest():
            with suppress(NoteInvalid):  # `verify` reports it
                published.append(history.verify(note))
        roots = roots_at(
            dict(enumerate(hashes)), [size, *(one.size for one in published if one.size <= size)]
        )
        for one in published:
            if roots.get(one.size) != one.root:
                raise LogForked(FORKED.format(self._system, size, one.size, self._system))
        return roots[size]

    def continued(self) -> None:
        """Make sure that the log can be signed, before something is done that only its entries excuse.

        Raises:
            LogForked: it does not begin with what was published of it.
        """
        found = self._warehouse.read(
            "select leaf_hash from compliance.audit_log where system = ? order by entry_index", [self._system]
        )
        self._root(found["leaf_hash"].to_list())

    def unwitnessed(self) -> list[str]:
        """Say what kept witnesses from cosigning the newest checkpoint, a sentence each."""
        return list(self._newest().get("not_cosigned") or [])

    def witnessing(self) -> Witnessing:
        """Ask the witnesses now, and hold what they say against the log and the policy."""
        policy = self.policy
        stored = self._warehouse.rows(CHECKPOINTS, system=self._system)
        notes = [*self.files.checkpoints().values(), *self.files.newest(), *stored["note"].to_list()]
        rows = self._warehouse.read(
            "select entry_index, leaf_hash from compliance.audit_log where system = ? order by entry_index",
            [self._system],
        )
        heard = hear_all(policy, origin(self._system))
        return witnessing(
            policy, list(dict.fromkeys(notes)), heard, dict(rows.iter_rows()), self.history()[0]
        )

    def _newest(self) -> dict[str, Any]:
        rows = self._warehouse.read(
            f"select * from {CHECKPOINTS} where system = ? "
            "order by tree_size desc, signed_at desc, coalesce(len(cosigned_by), 0) desc, rowid desc limit 1",
            [self._system],
        )
        return rows.row(0, named=True) if rows.height else {}

    def _signers(self, size: int, continued: bool) -> list[Ed25519PrivateKey]:
        """Return the keys that may sign a tree of this size; both of them where one follows the other."""
        if continued and not self._keys.has_signing(self._system):
            raise SigningKeyMissing(KEY_GONE.format(self._system))
        keys = [self._keys.signing(self._system)]
        keys += [self._keys.next_signing(self._system)] if self._keys.has_next(self._system) else []
        history, _ = self.history()
        name = origin(self._system)
        in_force = [key for key in keys if history.in_force(vkey(name, key.public_key()), size)]
        if not in_force:
            raise SigningKeyMissing(KEY_OLD.format(self._system))
        return in_force

    def _follow(self, size: int) -> None:
        """Drop the old signing key once a checkpoint of the one that follows it is published."""
        if self._keys.has_next(self._system) and self.history()[0].in_force(self.vkeys()[-1], size):
            self._keys.promote(self._system)

    def _store(
        self, size: int, root: bytes, note: str, now: datetime, policy: Witnesses, asked: Sequence[Cosigned]
    ) -> None:
        by, failures = [one.name for one in asked if one.line], [one.failure for one in asked if one.failure]
        quorum = policy.quorum if policy.places else None
        row = (self._system, size, base64.b64encode(root).decode(), note, now, quorum, by, failures)
        schema = self._warehouse.tables[CHECKPOINTS].schema
        with self._warehouse.writing() as writer:
            writer.append(CHECKPOINTS, pl.DataFrame([row], schema=schema, orient="row"))
