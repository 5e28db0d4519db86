"""What a witness says of a checkpoint: C2SP tlog-cosignature v1, an Ed25519 signature with its time.

By it the witness states that, as of that time, this was the largest tree of the log that it had seen, and
that it holds all trees it had seen before.
"""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aiops_pipelines.compliance.signed_note import (
    COSIGNATURE_V1,
    NoteInvalid,
    VerifierKey,
    key_id,
    parse_vkey,
    signature_line,
    split,
)

TIME_BYTES, SIGNATURE_BYTES = 8, 64


def cosign(text: str, name: str, key: Ed25519PrivateKey, time_s: int) -> str:
    """The signature line of a witness under the text of a checkpoint, `time_s` in Unix seconds."""
    identity = key_id(name, key.public_key().public_bytes_raw(), COSIGNATURE_V1)
    signature = key.sign(_message(text, time_s))
    return signature_line(name, identity + time_s.to_bytes(TIME_BYTES, "big") + signature)


def cosigned_at(note: str, witness: VerifierKey) -> int | None:
    """When the witness cosigned a note last, Unix seconds; None if it did not.

    Raises NoteInvalid where a signature is said to be the witness's and is not.
    """
    text, signatures = split(note)
    times = []
    for raw in witness.signatures(signatures):
        time_s = int.from_bytes(raw[:TIME_BYTES], "big")
        if len(raw) != TIME_BYTES + SIGNATURE_BYTES or not 0 < time_s < 2**63:
            raise NoteInvalid(f"The cosignature of {witness.name} has no time or no signature.")
        witness.check(raw[TIME_BYTES:], _message(text, time_s))
        times.append(time_s)
    return max(times, default=None)


def claimed_times(note: str) -> list[int]:
    """The times in all that looks like a cosignature, whoever made it and whether or not it holds."""
    long = 4 + TIME_BYTES + SIGNATURE_BYTES
    return [int.from_bytes(raw[4:12], "big") for _, raw in split(note)[1] if len(raw) == long]


def witness_key(vkey: str) -> VerifierKey:
    """The parts of a witness's verifier key; raises NoteInvalid."""
    return parse_vkey(vkey, COSIGNATURE_V1)


def _message(text: str, time_s: int) -> bytes:
    return f"cosignature/v1\ntime {time_s}\n{text}".encode()
