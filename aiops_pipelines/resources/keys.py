"""Keys of the audit logs, one file each, outside the warehouse: freed database blocks keep old bytes.

A subject's key is random and stored nowhere else, so destroying its file makes that person's commitments
unreadable for good.
"""

import hashlib
import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from aiops_pipelines.resources.first_file import keep_first, make_folder, sync_folder, write_durably

KEY_BYTES = 32
SIGNING, NEXT = "checkpoint.pem", "checkpoint.next.pem"


class Keys:
    """The keys of one installation, made when first asked for."""

    def __init__(self, folder: Path):
        self._folder = folder

    def signing(self, system: str) -> Ed25519PrivateKey:
        """Return the Ed25519 key that signs a system's checkpoints."""
        return private_key(self._folder / system / SIGNING)

    def next_signing(self, system: str) -> Ed25519PrivateKey:
        """Return the key that is to follow, made when first asked for."""
        return private_key(self._folder / system / NEXT)

    def has_next(self, system: str) -> bool:
        """Say whether a key waits to follow."""
        return (self._folder / system / NEXT).exists()

    def promote(self, system: str) -> None:
        """Put the next key in the place of the signing key, which is gone by that for good."""
        folder = self._folder / system
        os.replace(folder / NEXT, folder / SIGNING)
        sync_folder(folder)

    def has_signing(self, system: str) -> bool:
        """Say whether a system's signing key is there."""
        return (self._folder / system / SIGNING).exists()

    def lost_pepper(self, system: str) -> bool:
        """Say whether people have keys that nothing leads to, since the system's own secret is gone."""
        folder = self._folder / system
        return not (folder / "pepper.key").exists() and (folder / "subjects").exists()

    def subject(self, system: str, subject: str) -> bytes:
        """Return the secret of one person, 32 bytes; the file's name does not tell who it is."""
        return self._secret(self._subject_file(system, subject))

    def kept_subject(self, system: str, subject: str) -> bytes | None:
        """Return the secret of one person if it is still there; none is made."""
        if self.lost_pepper(system) or not (self._folder / system / "subjects").exists():
            return None
        file = self._subject_file(system, subject)
        return file.read_bytes() if file.exists() else None

    def destroy(self, system: str, subject: str) -> None:
        """Destroy the secret of one person, if there is one: what it committed to is closed for good."""
        if self.kept_subject(system, subject) is not None:
            file = self._subject_file(system, subject)
            file.unlink()
            sync_folder(file.parent)

    def pepper(self, system: str) -> bytes:
        """Return the system's own secret, for pseudonyms and file names."""
        return self._secret(self._folder / system / "pepper.key")

    def _subject_file(self, system: str, subject: str) -> Path:
        name = hashlib.sha256(self.pepper(system) + subject.encode()).hexdigest()[:32]
        return self._folder / system / "subjects" / f"{name}.key"

    def _secret(self, file: Path) -> bytes:
        if not file.exists():
            _write_once(file, secrets.token_bytes(KEY_BYTES))
        return file.read_bytes()


def private_key(file: Path) -> Ed25519PrivateKey:
    """Return the Ed25519 key in a file, made if there is none.

    Raises:
        ValueError: it holds another kind of key.
    """
    if not file.exists():
        pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _write_once(file, pem)
    key = load_pem_private_key(file.read_bytes(), None)
    if not isinstance(key, Ed25519PrivateKey):
        what = f"{file.name} of {file.parent.name}"
        raise ValueError(f"{what} is not an Ed25519 key; restore it from its backup.")
    return key


def _write_once(file: Path, content: bytes) -> None:
    make_folder(file.parent, mode=0o700)
    fresh = file.with_suffix(f".new-{os.getpid()}")
    write_durably(fresh, content, mode=0o600)
    keep_first(fresh, file)
