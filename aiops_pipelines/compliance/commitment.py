"""Keyed commitments that stand in the audit log in place of what people wrote, and of who they are.

A plain hash of "yes" or of an e-mail address is guessed in no time. These are HMACs under keys that HKDF
derives from a secret of the person concerned: one entry is opened to an auditor with its nonce alone, and all
of one person's are closed for good by destroying that person's key. Keys are neither made nor stored here.
"""

import hmac

MIN_KEY_BYTES = 32
_NONCE = b"aiops audit-log nonce 1"
_PSEUDONYM = b"aiops audit-log pseudonym 1"


def hkdf_sha256(key: bytes, info: bytes, length: int = 32, salt: bytes = b"") -> bytes:
    """HKDF with SHA-256 (RFC 5869): `length` bytes of key material, at most 8,160."""
    if not 0 < length <= 255 * 32:
        raise ValueError(f"HKDF-SHA-256 gives 1 to 8,160 bytes, not {length}.")
    secret = hmac.digest(salt or bytes(32), key, "sha256")
    material = block = b""
    for counter in range(1, -(-length // 32) + 1):
        block = hmac.digest(secret, block + info + bytes([counter]), "sha256")
        material += block
    return material[:length]


def nonce(subject_key: bytes, entry_id: str, field: str) -> bytes:
    """The 32-byte secret that opens one field of one entry, and nothing else.

    It is HKDF-SHA-256(subject_key) with info = tag || length of the entry id (4 bytes, big-endian) || entry
    id || field.
    """
    identity = entry_id.encode()
    return hkdf_sha256(
        _checked(subject_key), _NONCE + len(identity).to_bytes(4, "big") + identity + field.encode()
    )


def commit(subject_key: bytes, entry_id: str, field: str, content: bytes) -> bytes:
    """The commitment to a field's content: HMAC-SHA-256(nonce, content), 32 bytes."""
    return hmac.digest(nonce(subject_key, entry_id, field), content, "sha256")


def opens(nonce: bytes, content: bytes, commitment: bytes) -> bool:
    """Whether this content is what the commitment was made to; needs the field's nonce and no key."""
    return hmac.compare_digest(hmac.digest(nonce, content, "sha256"), commitment)


def pseudonym(subject_key: bytes, user_id: str) -> bytes:
    """A 32-byte name for a person that is the same in all entries and tells nothing without the key."""
    return hmac.digest(hkdf_sha256(_checked(subject_key), _PSEUDONYM), user_id.encode(), "sha256")


def _checked(subject_key: bytes) -> bytes:
    if len(subject_key) < MIN_KEY_BYTES:
        raise ValueError(
            f"A subject key of {len(subject_key)} bytes can be guessed: use {MIN_KEY_BYTES} random bytes."
        )
    return subject_key
