"""Changing the key that signs a log: rotation, and revocation of one that was stolen.

A new key is made first, then the log says so, then a checkpoint is signed, then the old key is dropped.
Killed in between, the next run or the same command again goes on from there. What entries say of keys is
`compliance.key_history`.
"""

from datetime import datetime
from typing import Any

from aiops_pipelines.compliance.key_history import KeyHistory, revocation_entry, rotation_entry
from aiops_pipelines.compliance.privacy import mask
from aiops_pipelines.compliance.signed_note import parse_vkey
from aiops_pipelines.mendable import Mendable
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.audit_signing import origin
from aiops_pipelines.systems import System


class KeyChangeRefused(Mendable, RuntimeError):
    """A key that cannot be rotated or revoked; the message says why."""


def rotate_key(book: AuditBook, system: System, by: str, clock: datetime) -> str:
    """Put a new key in force and drop the old one; return the new verifier key.

    Raises:
        KeyChangeRefused: nobody decides, nothing was signed yet, or the log is not whole.
        LogForked: more was published of the log than it has, or something else.
    """
    if not by.strip():
        raise KeyChangeRefused("A key is rotated by somebody: --by NAME.")
    begun = _begun(book, system.name)
    _whole(book, system, clock)  # which finishes what was begun
    if not begun:
        book.append(system.name, [_rotation(book, system.name, by, clock)])
        book.sign(system.name, system.now(clock))
    return book.verifier_key(system.name)


def revoke_key(
    book: AuditBook,
    system: System,
    key: str | None,
    last: int | None,
    by: str,
    reason: str,
    clock: datetime,
) -> str:
    """Void what a key signs over more than `last` entries; return the verifier key in force.

    Args:
        book: the audit logs.
        system: whose log.
        key: a verifier key of the log or its id in hex; without it the one in force, which a new one follows.
        last: the largest tree size whose signature still counts; without it all that is signed now does.
        by: who decides.
        reason: why.
        clock: the time, UTC.

    Raises:
        KeyChangeRefused: nobody decides or for no reason, the log has no such key, it counts no further
            already, or the log is not whole.
    """
    if not (by.strip() and reason.strip()):
        raise KeyChangeRefused("A key is revoked by somebody and for a reason: --by NAME --reason TEXT.")
    name, begun, reason = system.name, _begun(book, system.name), mask(reason)[0]
    history, size = _whole(book, system, clock)
    if begun and key is None and history.keys[-2].honest >= 0:  # this command was killed, and is done now
        return book.verifier_key(name)
    wanted = _named(history, key) if key else history.current
    last = size if last is None else last
    counts = next(one.last for one in history.keys if one.vkey == wanted)
    if not 0 <= last <= size:
        raise KeyChangeRefused(f"--from is a tree size of 0 to {size:,}, which is what is signed.")
    if counts is not None and counts <= last:
        raise KeyChangeRefused(f"{parse_vkey(wanted)} counts up to {counts:,} entries already.")
    stolen = wanted == history.current
    signer = book.keys.next_signing(name) if stolen else book.keys.signing(name)
    entries = [_rotation(book, name, by, clock)] if stolen else []
    book.append(name, [*entries, revocation_entry(name, wanted, last, signer, by, reason, clock)])
    book.sign(name, system.now(clock))
    return book.verifier_key(name)


def _begun(book: AuditBook, system: str) -> bool:
    """Say whether the log names a key that waits to be put in the place of the old one."""
    signing = book.signing(system)
    return book.keys.has_next(system) and signing.history()[0].current == signing.vkeys()[-1]


def _whole(book: AuditBook, system: System, clock: datetime) -> tuple[KeyHistory, int]:
    """Sign all there is with the key in force, so that a change is about nothing else."""
    signing = book.signing(system.name)
    if not signing.size():
        raise KeyChangeRefused(f"No checkpoint of {system.name} is signed yet, so there is no key to change.")
    book.whole_keys(system.name)
    size = signing.sign(system.now(clock))
    if size != signing.size():
        raise KeyChangeRefused(f"The log of {system.name} is not whole: aiops audit verify {system.name}")
    signing.continued()  # where nothing was due to be signed, nobody has looked
    return signing.history()[0], size  # an entry that changes no key, a thief's say, must not save that key


def _rotation(book: AuditBook, system: str, by: str, clock: datetime) -> dict[str, Any]:
    keys = book.keys.signing(system), book.keys.next_signing(system)
    return rotation_entry(system, keys, origin(system), by, clock)


def _named(history: KeyHistory, key: str) -> str:
    """Return the verifier key that is meant: by itself, by its name and id, or by its id alone."""
    for one in history.keys:
        known = parse_vkey(one.vkey)
        if key.strip() in (one.vkey, str(known), known.key_id.hex()):
            return one.vkey
    said = ", ".join(str(parse_vkey(one.vkey)) for one in history.keys)
    raise KeyChangeRefused(f"The log has no key {key}; its keys are {said}.")
