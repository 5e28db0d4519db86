"""Which key may sign how much of a log: rotation and revocation are entries of the log itself.

A rotation is a note signed by the old key and by the new one, a revocation a note signed by the key in force.
Who can only write rows makes neither. A key is in force by tree size and not by time, for a clock can be set
back and a log only grows.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aiops_pipelines.compliance import checkpoint, leaf, signed_note
from aiops_pipelines.compliance.audit_entry import decision_entry
from aiops_pipelines.compliance.checkpoint import Checkpoint
from aiops_pipelines.compliance.finding import Finding
from aiops_pipelines.compliance.signed_note import NoteInvalid, parse_vkey, signed_text
from aiops_pipelines.wording import inert

ROTATED, REVOKED = "key_rotated", "key_revoked"
KINDS = (f"decision.{ROTATED}", f"decision.{REVOKED}")
ROTATION, REVOCATION = "aiops_pipelines/key-rotation/1", "aiops_pipelines/key-revocation/1"
_MALFORMED = (NoteInvalid, KeyError, IndexError, TypeError, ValueError, AttributeError)
_MARK = b'"kind":"decision.key_'


class NotInForce(NoteInvalid):
    """A checkpoint whose signature holds, by a key that may not sign a tree of its size."""

    def __init__(self, message: str, signed: Checkpoint, honest: int):
        super().__init__(message)
        self.signed, self.honest = signed, honest
        """What it says, and the largest size that its key may have signed before it was revoked."""


@dataclass(frozen=True)
class Validity:
    """A key and the tree sizes it may sign, both ends included; `last` is None while it is in force."""

    vkey: str
    first: int = 0
    last: int | None = None
    why: str = ""
    """Why it ended."""
    honest: int = -1
    """The largest size it may have signed before anybody knew that it was to be revoked."""

    def covers(self, size: int) -> bool:
        """Say whether it may sign a tree of this size."""
        return self.first <= size and (self.last is None or size <= self.last)


@dataclass(frozen=True)
class KeyHistory:
    """The keys of one log, the first one first."""

    keys: tuple[Validity, ...]

    @property
    def current(self) -> str:
        """The verifier key that signs from now on."""
        return self.keys[-1].vkey

    def in_force(self, vkey: str, size: int) -> bool:
        """Say whether a key may sign a tree of this size."""
        return any(key.vkey == vkey and key.covers(size) for key in self.keys)

    def verify(self, note: str) -> Checkpoint:
        """The checkpoint in a note, if a key that was in force at its size signed it.

        Raises:
            NotInForce: only keys that were not did.
            NoteInvalid: none of the log's keys signed it, or a signature does not hold.
        """
        _, signatures = signed_note.split(note)
        ours = [key for key in self.keys if parse_vkey(key.vkey).signatures(signatures)]
        if not ours:
            return checkpoint.verify(note, self.current)  # which says that it is not there
        signed = [checkpoint.verify(note, key.vkey) for key in ours][-1]  # each must hold
        if any(key.covers(signed.size) for key in ours):
            return signed
        key = ours[-1]
        ended = key.why if key.last is not None and signed.size > key.last else "was not in force yet"
        what = f"It signs {signed.size:,} entries with {parse_vkey(key.vkey)}, which {ended}."
        raise NotInForce(what, signed, key.honest)


def rotation_entry(
    system: str, keys: tuple[Ed25519PrivateKey, Ed25519PrivateKey], origin: str, by: str, now: datetime
) -> dict[str, Any]:
    """The entry that puts a new key in force; `keys` are the old and the new one, and both sign it."""
    old, new = (signed_note.vkey(origin, key.public_key()) for key in keys)
    note = signed_note.sign(f"{ROTATION}\n{origin}\n{old}\n{new}\n", origin, *keys)
    summary = f"The signing key was rotated from {parse_vkey(old)} to {parse_vkey(new)}."
    return decision_entry(system, ROTATED, now, by, summary, {"note": note})


def revocation_entry(
    system: str, vkey: str, last: int, key: Ed25519PrivateKey, by: str, reason: str, now: datetime
) -> dict[str, Any]:
    """The entry that voids what a key signs over more than `last` entries, signed by the key in force."""
    revoked = parse_vkey(vkey)
    reason = inert(" ".join(reason.split()))  # a note with a control character is none
    note = signed_note.sign(f"{REVOCATION}\n{revoked.name}\n{vkey}\n{last}\n{reason}\n", revoked.name, key)
    summary = f"The signing key {revoked} was revoked from {last:,} entries on: {reason}"
    return decision_entry(system, REVOKED, now, by, summary, {"note": note})


def key_history(leaves: Iterable[tuple[int, bytes]], vkey: str) -> tuple[KeyHistory, list[Finding]]:
    """The keys that a log says were in force, and what is wrong with what it says of them.

    Args:
        leaves: entries by index, in order; those that are not about keys are passed over.
        vkey: a key of the log that is known from elsewhere, the first, the last or one in between.
    """
    about, findings = list(_about_keys(leaves)), []
    keys = [Validity(_first_key(about, vkey))]
    for index, said in about:
        try:
            note = said["details"]["note"]
            changed = _rotated if said["kind"] == KINDS[0] else _revoked
            keys = changed(keys, index, note, note.split("\n"))
        except _MALFORMED as error:
            message = f"Entry {index} ({said.get('entry_id')}) changes no key: {error}"
            findings.append(Finding("error", index, said.get("entry_id"), "leaf", message))
    return KeyHistory(tuple(keys)), findings


def _first_key(about: Iterable[tuple[int, Mapping[str, Any]]], vkey: str) -> str:
    """The key from which rotations lead to this one: rotations between strangers lead nowhere."""
    first = vkey
    for _, said in reversed(list(about)):
        try:
            old, new = said["details"]["note"].split("\n")[2:4]
            if said["kind"] == KINDS[0] and new == first:
                for vkey_of in (old, new):
                    signed_text(said["details"]["note"], parse_vkey(vkey_of))
                first = old
        except _MALFORMED:
            continue  # told by who follows the keys
    return first


def may_change_keys(data: bytes) -> bool:
    """Say whether a leaf can be about keys; `key_history` passes over all others."""
    return _MARK in data


def _about_keys(leaves: Iterable[tuple[int, bytes]]) -> Iterable[tuple[int, Mapping[str, Any]]]:
    for index, data in leaves:
        if not may_change_keys(data):
            continue
        try:
            said = leaf.decode(data)
        except leaf.LeafInvalid:
            continue  # found by who compares columns with leaves
        if said.get("kind") in KINDS:
            yield index, said


def _rotated(keys: list[Validity], index: int, note: str, lines: list[str]) -> list[Validity]:
    kind, origin, old, new = lines[:4]
    signers = [parse_vkey(old), parse_vkey(new)]
    for signer in signers:
        signed_text(note, signer)
    if kind != ROTATION or any(signer.name != origin for signer in signers):
        raise NoteInvalid("its note is no rotation of this log's key.")
    if keys[-1].vkey != old or any(key.vkey == new for key in keys):
        raise NoteInvalid(f"{signers[0]} is not the key in force, or {signers[1]} is no new one.")
    ended = f"was followed by another from {index + 1:,} entries on"
    before = replace(keys[-1], last=_earlier(keys[-1].last, index + 1), why=ended)
    return [*keys[:-1], before, Validity(new, index + 1)]


def _revoked(keys: list[Validity], index: int, note: str, lines: list[str]) -> list[Validity]:
    kind, origin, vkey, size, reason = lines[:5]
    in_force = parse_vkey(keys[-1].vkey)
    signed_text(note, in_force)
    last = checkpoint.number(size, "size")
    if kind != REVOCATION or origin != in_force.name or not any(key.vkey == vkey for key in keys):
        raise NoteInvalid("its note revokes no key of this log.")
    why = f"was revoked from {last:,} entries on: {reason}"

    def ended(key: Validity) -> Validity:
        honest = max(key.honest, _earlier(key.last, index))
        return replace(key, last=_earlier(key.last, last), why=why, honest=honest)

    return [ended(key) if key.vkey == vkey else key for key in keys]


def _earlier(one: int | None, other: int) -> int:
    return other if one is None else min(one, other)
