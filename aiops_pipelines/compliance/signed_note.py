"""A text and who signed it: C2SP signed-note, with Ed25519 keys.

What a text says is `checkpoint` and `key_history`; a witness signs in its own way, `cosignature`. Keys are
given, not kept here.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519, COSIGNATURE_V1 = b"\x01", b"\x04"
"""Signature types: of a log, and of a witness with its time."""
MAX_SIGNATURES = 100
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f]")


class NoteInvalid(ValueError):
    """A note that must not be trusted; the message says why."""


@dataclass(frozen=True)
class VerifierKey:
    """A name, the 4 bytes by which its signatures are found, and the key that verifies them."""

    name: str
    key_id: bytes
    public_key: Ed25519PublicKey

    def __str__(self) -> str:
        """Return the name and the id in hex, as it is spoken of."""
        return f"{self.name}+{self.key_id.hex()}"

    def signatures(self, signed: list[tuple[str, bytes]]) -> list[bytes]:
        """Return what this key is said to have signed, without the key id."""
        return [raw[4:] for name, raw in signed if name == self.name and raw[:4] == self.key_id]

    def check(self, signature: bytes, message: bytes) -> None:
        """Raise NoteInvalid if the signature is not this key's over the message."""
        try:
            self.public_key.verify(signature, message)
        except InvalidSignature:
            raise NoteInvalid(f"The signature of {self.name} does not belong to this text.") from None


def key_id(name: str, public_key: bytes, kind: bytes = ED25519) -> bytes:
    """The first 4 bytes of SHA-256(name || 0x0A || signature type || public key)."""
    return sha256(name.encode() + b"\n" + kind + public_key).digest()[:4]


def vkey(name: str, public_key: Ed25519PublicKey, kind: bytes = ED25519) -> str:
    """The verifier key `<name>+<key id in hex>+<base64 of type and public key>`."""
    raw = public_key.public_bytes_raw()
    return f"{checked_name(name)}+{key_id(name, raw, kind).hex()}+{to_base64(kind + raw)}"


def parse_vkey(text: str, kind: bytes = ED25519) -> VerifierKey:
    """The parts of a verifier key of one signature type; raises NoteInvalid."""
    name, _, rest = text.partition("+")
    identity, _, encoded = rest.partition("+")
    raw = from_base64(encoded, "verifier key")
    if not _is_name(name) or _CONTROL.search(name) or raw[:1] != kind or len(raw) != 33:
        what = "an Ed25519 key" if kind == ED25519 else "a witness's key (Ed25519 cosignature/v1)"
        raise NoteInvalid(f"A verifier key is <name>+<key id>+<base64> of {what}.")
    if identity != key_id(name, raw[1:], kind).hex():
        raise NoteInvalid(f'The key id "{identity}" does not belong to this name and public key.')
    return VerifierKey(name, bytes.fromhex(identity), Ed25519PublicKey.from_public_bytes(raw[1:]))


def sign(text: str, name: str, *keys: Ed25519PrivateKey) -> str:
    """The note of a text, signed by each of these keys under one name."""
    lines = []
    for key in keys:
        identity = key_id(name, key.public_key().public_bytes_raw())
        lines.append(signature_line(name, identity + key.sign(text.encode())))
    return f"{text}\n{''.join(lines)}"


def signature_line(name: str, raw: bytes) -> str:
    """The line of a signature: em dash, name, base64 of key id and signature."""
    return f"\u2014 {name} {to_base64(raw)}\n"


def signed_text(note: str, key: VerifierKey) -> str:
    """The text of a note that this key signed, with its last newline; raises NoteInvalid.

    Signatures of other keys (witnesses, a new key) are ignored, as the note format asks; one of this key that
    does not hold condemns the note.
    """
    text, signatures = split(note)
    if not (ours := key.signatures(signatures)):
        raise NoteInvalid(f"No signature of the note is by {key}.")
    for signature in ours:
        key.check(signature, text.encode())
    return text


def split(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    """The text of a note, and of each signature line the name and the bytes; raises NoteInvalid."""
    try:
        note.encode()
    except UnicodeError:
        raise NoteInvalid("The note is not valid UTF-8.") from None
    if _CONTROL.search(note):
        raise NoteInvalid("The note holds a control character other than a newline.")
    body, blank, tail = note.rpartition("\n\n")
    lines = tail.split("\n")
    if not blank or lines.pop() or not lines:
        raise NoteInvalid("The note is not a text, an empty line and signature lines that end in a newline.")
    if len(lines) > MAX_SIGNATURES:
        raise NoteInvalid(f"The note has {len(lines)} signatures; at most {MAX_SIGNATURES} are read.")
    return body + "\n", [_signature(line) for line in lines]


def _signature(line: str) -> tuple[str, bytes]:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != "\u2014" or not _is_name(parts[1]):
        raise NoteInvalid("A signature line is an em dash, a key name and base64, one space between.")
    raw = from_base64(parts[2], "signature")
    if len(raw) < 5:
        raise NoteInvalid("A signature is a 4-byte key id and at least one byte more.")
    return parts[1], raw


def _is_name(name: str) -> bool:
    return name != "" and "+" not in name and not any(character.isspace() for character in name)


def checked_name(name: str) -> str:
    """The name, if a key may be called so; raises ValueError otherwise."""
    if not _is_name(name) or _CONTROL.search(name):
        raise ValueError(
            f'"{name}" cannot name a key: use text without spaces and plus, such as example.com/support.'
        )
    return name


def to_base64(data: bytes) -> str:
    """Standard base64."""
    return base64.b64encode(data).decode()


def from_base64(text: str, what: str) -> bytes:
    """The bytes of standard base64 in its only spelling; raises NoteInvalid, which names what it was."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    # Decoders drop stray bits of the last character: the same bytes must not have two spellings.
    if not data or to_base64(data) != text:
        raise NoteInvalid(f"The {what} is not standard base64.")
    return data
