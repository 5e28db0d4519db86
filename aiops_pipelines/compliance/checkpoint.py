"""The signed head of the log: a C2SP tlog-checkpoint inside a C2SP signed-note, Ed25519.

The origin is also the name of the signing key, so a verifier key alone says which log it vouches for. One
extension line is written and accepted, `time <unix seconds>`, because a log that is idle must still show that
it is alive; any other extension line is refused, since nobody audits what it says. Keys are given, not kept
here.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from aiops_pipelines.compliance.merkle import HASH_BYTES

ED25519 = b"\x01"
MAX_SIGNATURES = 100
_NUMBER = re.compile("0|[1-9][0-9]{0,18}")
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f]")


class CheckpointInvalid(ValueError):
    """A note that must not be trusted; the message says why."""


@dataclass(frozen=True)
class Checkpoint:
    """What a log vouches for: its origin, number of entries and their root, and when it said so if it did."""

    origin: str
    size: int
    root: bytes
    time_s: int | None = None

    def text(self) -> str:
        """The text that is signed, with its last newline."""
        lines = [self.origin, str(self.size), _base64(self.root)]
        return "\n".join(lines if self.time_s is None else [*lines, f"time {self.time_s}"]) + "\n"


def key_id(name: str, public_key: bytes) -> bytes:
    """The first 4 bytes of SHA-256(name || 0x0A || 0x01 || public key)."""
    return sha256(name.encode() + b"\n" + ED25519 + public_key).digest()[:4]


def vkey(name: str, public_key: Ed25519PublicKey) -> str:
    """The verifier key `<name>+<key id in hex>+<base64 of type and public key>`."""
    raw = public_key.public_bytes_raw()
    return f"{_checked_name(name)}+{key_id(name, raw).hex()}+{_base64(ED25519 + raw)}"


def sign(
    origin: str, size: int, root: bytes, private_key: Ed25519PrivateKey, time_s: int | None = None
) -> str:
    """The checkpoint of `size` entries under `root` as a note signed by the key named `origin`."""
    if size < 0 or len(root) != HASH_BYTES or (time_s is not None and time_s < 0):
        raise ValueError("A checkpoint has a size and a time of 0 or more and a root of 32 bytes.")
    text = Checkpoint(_checked_name(origin), size, root, time_s).text()
    identity = key_id(origin, private_key.public_key().public_bytes_raw())
    return f"{text}\n\u2014 {origin} {_base64(identity + private_key.sign(text.encode()))}\n"


def verify(note: str, vkey: str) -> Checkpoint:
    """The checkpoint in a note that this verifier key signed for its own log; raises CheckpointInvalid.

    Signatures of other keys (witnesses, a new key) are ignored, as the note format asks; one of this key that
    does not hold condemns the note.
    """
    name, identity, public_key = _parse_vkey(vkey)
    text, signatures = _split(note)
    ours = [raw for signer, raw in signatures if signer == name and raw[:4] == identity]
    if not ours:
        raise CheckpointInvalid(f"No signature of the note is by {name}+{identity.hex()}.")
    for raw in ours:
        try:
            public_key.verify(raw[4:], text.encode())
        except InvalidSignature:
            raise CheckpointInvalid(f"The signature of {name} does not belong to this text.") from None
    checkpoint = _parse_text(text)
    if checkpoint.origin != name:
        raise CheckpointInvalid(f'The note is of the log "{checkpoint.origin}" and not of "{name}".')
    return checkpoint


def _parse_text(text: str) -> Checkpoint:
    lines = text.removesuffix("\n").split("\n")
    if len(lines) < 3 or "" in lines:
        raise CheckpointInvalid("A checkpoint has an origin, a size and a root, and no empty line.")
    origin, size, root, *extensions = lines
    digest = _unbase64(root, "root")
    if len(digest) != HASH_BYTES:
        raise CheckpointInvalid(f"The root has {len(digest)} bytes, not {HASH_BYTES}.")
    time_s = None
    if extensions:
        keyword, _, seconds = extensions[0].partition(" ")
        if len(extensions) > 1 or keyword != "time":
            raise CheckpointInvalid(
                'The checkpoint has a line beyond the root that is not "time <unix seconds>".'
            )
        time_s = _number(seconds, "time")
    return Checkpoint(origin, _number(size, "size"), digest, time_s)


def _split(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    try:
        note.encode()
    except UnicodeError:
        raise CheckpointInvalid("The note is not valid UTF-8.") from None
    if _CONTROL.search(note):
        raise CheckpointInvalid("The note holds a control character other than a newline.")
    body, blank, tail = note.rpartition("\n\n")
    lines = tail.split("\n")
    if not blank or lines.pop() or not lines:
        raise CheckpointInvalid(
            "The note is not a text, an empty line and signature lines that end in a newline."
        )
    if len(lines) > MAX_SIGNATURES:
        raise CheckpointInvalid(f"The note has {len(lines)} signatures; at most {MAX_SIGNATURES} are read.")
    return body + "\n", [_signature(line) for line in lines]


def _signature(line: str) -> tuple[str, bytes]:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != "\u2014" or not _is_name(parts[1]):
        raise CheckpointInvalid("A signature line is an em dash, a key name and base64, one space between.")
    raw = _unbase64(parts[2], "signature")
    if len(raw) < 5:
        raise CheckpointInvalid("A signature is a 4-byte key id and at least one byte more.")
    return parts[1], raw


def _parse_vkey(vkey: str) -> tuple[str, bytes, Ed25519PublicKey]:
    name, _, rest = vkey.partition("+")
    identity, _, encoded = rest.partition("+")
    raw = _unbase64(encoded, "verifier key")
    if not _is_name(name) or raw[:1] != ED25519 or len(raw) != 33:
        raise CheckpointInvalid("A verifier key is <name>+<key id>+<base64> of an Ed25519 key.")
    if identity != key_id(name, raw[1:]).hex():
        raise CheckpointInvalid(f'The key id "{identity}" does not belong to this name and public key.')
    return name, bytes.fromhex(identity), Ed25519PublicKey.from_public_bytes(raw[1:])


def _number(digits: str, what: str) -> int:
    if not _NUMBER.fullmatch(digits):
        raise CheckpointInvalid(f'The {what} "{digits[:40]}" is not a decimal number without leading zeros.')
    return int(digits)


def _is_name(name: str) -> bool:
    return name != "" and "+" not in name and not any(character.isspace() for character in name)


def _checked_name(name: str) -> str:
    if not _is_name(name) or _CONTROL.search(name):
        raise ValueError(
            f'"{name}" cannot name a log: use text without spaces and plus, such as example.com/support.'
        )
    return name


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _unbase64(text: str, what: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    # Decoders drop stray bits of the last character: the same bytes must not have two spellings.
    if not data or _base64(data) != text:
        raise CheckpointInvalid(f"The {what} is not standard base64.")
    return data
