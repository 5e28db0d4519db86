"""The signed head of the log: a C2SP tlog-checkpoint inside a C2SP signed-note, Ed25519.

The origin is also the name of the signing key, so a verifier key alone says which log it vouches for. One
extension line is written and accepted, `time <unix seconds>`, because a log that is idle must still show that
it is alive; any other extension line is refused, since nobody audits what it says. Notes and keys are
`signed_note`.
"""

import re
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aiops_pipelines.compliance import signed_note
from aiops_pipelines.compliance.merkle import HASH_BYTES
from aiops_pipelines.compliance.signed_note import NoteInvalid, from_base64, to_base64

_NUMBER = re.compile("0|[1-9][0-9]{0,18}")


@dataclass(frozen=True)
class Checkpoint:
    """What a log vouches for: its origin, number of entries and their root, and when it said so if it did."""

    origin: str
    size: int
    root: bytes
    time_s: int | None = None

    def text(self) -> str:
        """The text that is signed, with its last newline."""
        lines = [self.origin, str(self.size), to_base64(self.root)]
        return "\n".join(lines if self.time_s is None else [*lines, f"time {self.time_s}"]) + "\n"


def sign(origin: str, size: int, root: bytes, *keys: Ed25519PrivateKey, time_s: int | None = None) -> str:
    """The checkpoint of `size` entries under `root` as a note signed by the keys named `origin`."""
    if size < 0 or len(root) != HASH_BYTES or (time_s is not None and time_s < 0):
        raise ValueError("A checkpoint has a size and a time of 0 or more and a root of 32 bytes.")
    return signed_note.sign(
        Checkpoint(signed_note.checked_name(origin), size, root, time_s).text(), origin, *keys
    )


def verify(note: str, vkey: str) -> Checkpoint:
    """The checkpoint in a note that this verifier key signed for its own log; raises NoteInvalid."""
    key = signed_note.parse_vkey(vkey)
    checkpoint = parse(signed_note.signed_text(note, key))
    if checkpoint.origin != key.name:
        raise NoteInvalid(f'The note is of the log "{checkpoint.origin}" and not of "{key.name}".')
    return checkpoint


def parse(text: str) -> Checkpoint:
    """The checkpoint in the text of a note, whoever signed it; raises NoteInvalid."""
    lines = text.removesuffix("\n").split("\n")
    if len(lines) < 3 or "" in lines:
        raise NoteInvalid("A checkpoint has an origin, a size and a root, and no empty line.")
    origin, size, root, *extensions = lines
    digest = from_base64(root, "root")
    if len(digest) != HASH_BYTES:
        raise NoteInvalid(f"The root has {len(digest)} bytes, not {HASH_BYTES}.")
    time_s = None
    if extensions:
        keyword, _, seconds = extensions[0].partition(" ")
        if len(extensions) > 1 or keyword != "time":
            raise NoteInvalid('The checkpoint has a line beyond the root that is not "time <unix seconds>".')
        time_s = number(seconds, "time")
    return Checkpoint(origin, number(size, "size"), digest, time_s)


def number(digits: str, what: str) -> int:
    """The number that ASCII digits without leading zeros say; raises NoteInvalid, which names what it was."""
    if not _NUMBER.fullmatch(digits):
        raise NoteInvalid(f'The {what} "{digits[:40]}" is not a decimal number without leading zeros.')
    return int(digits)
