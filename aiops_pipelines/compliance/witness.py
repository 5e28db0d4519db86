"""What a witness decides about a checkpoint: `add-checkpoint` of C2SP tlog-witness, without files or network.

A witness cosigns a checkpoint of a log that it knows if it begins with the tree it cosigned last, and no
other. So one that has seen five entries never vouches for a log of three, nor for two logs of one name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from aiops_pipelines.compliance.checkpoint import Checkpoint, number, parse
from aiops_pipelines.compliance.merkle import EMPTY_ROOT, consistent
from aiops_pipelines.compliance.signed_note import (
    NoteInvalid,
    VerifierKey,
    from_base64,
    split,
    to_base64,
)

OK, BAD_REQUEST, FORBIDDEN, NOT_FOUND, CONFLICT, UNPROCESSABLE = 200, 400, 403, 404, 409, 422
MAX_PROOF, MAX_BYTES = 63, 65_536
SIZE_TYPE, TEXT_TYPE = "text/x.tlog.size", "text/plain; charset=utf-8"


@dataclass(frozen=True)
class Answer:
    """What a witness answers: an HTTP status, and signature lines, a tree size or the reason of a refusal."""

    status: int
    body: str

    @property
    def content_type(self) -> str:
        """The media type of the body."""
        return SIZE_TYPE if self.status == CONFLICT else TEXT_TYPE


class Refused(Exception):
    """A checkpoint that is not cosigned, and the answer; `evidence` is true of one that its log did sign."""

    def __init__(self, status: int, body: str, evidence: bool = False):
        super().__init__(body)
        self.answer, self.evidence = Answer(status, body), evidence


@dataclass(frozen=True)
class Asked:
    """A request to cosign: the size cosigned last, the proof from there on, and the signed note."""

    old_size: int
    proof: tuple[bytes, ...]
    note: str

    def body(self) -> str:
        """Return the body of the request."""
        lines = [f"old {self.old_size}", *(to_base64(each) for each in self.proof)]
        return "\n".join([*lines, "", self.note])


def parse_asked(body: str) -> Asked:
    """The request in a body; raises NoteInvalid."""
    head, _, note = body.partition("\n\n")
    first, *lines = head.split("\n")
    keyword, _, size = first.partition(" ")
    if keyword != "old" or len(lines) > MAX_PROOF:
        raise NoteInvalid(f'A request is "old <size>", at most {MAX_PROOF} hashes, an empty line and a note.')
    return Asked(number(size, "old size"), tuple(from_base64(line, "proof") for line in lines), note)


def judged(
    body: str, logs: Mapping[str, Sequence[VerifierKey]], last: Mapping[str, Checkpoint]
) -> Checkpoint:
    """The checkpoint to cosign.

    Args:
        body: of the request.
        logs: the keys that are trusted, by origin.
        last: the checkpoint that was cosigned last, by origin.

    Raises:
        Refused: it must not be cosigned.
    """
    try:
        asked = parse_asked(body)
        text, signatures = split(asked.note)
        origin = text.split("\n")[0]
    except NoteInvalid as error:
        raise Refused(BAD_REQUEST, str(error)) from None
    if origin not in logs:
        raise Refused(NOT_FOUND, f"The log {origin[:100]} is not known here.")
    _authentic(text, signatures, logs[origin])
    try:
        new = parse(text)
    except NoteInvalid as error:
        raise Refused(BAD_REQUEST, str(error)) from None
    _follows(asked, new, last.get(origin, Checkpoint(origin, 0, EMPTY_ROOT)))
    return new


def _authentic(text: str, signatures: list[tuple[str, bytes]], keys: Sequence[VerifierKey]) -> None:
    ours = [(key, signature) for key in keys for signature in key.signatures(signatures)]
    if not ours:
        raise Refused(FORBIDDEN, "No signature is by a key that is trusted for this log.")
    for key, signature in ours:
        try:
            key.check(signature, text.encode())
        except NoteInvalid as error:
            raise Refused(FORBIDDEN, str(error)) from None


def _follows(asked: Asked, new: Checkpoint, old: Checkpoint) -> None:
    if asked.old_size > new.size:
        raise Refused(BAD_REQUEST, f"The old size {asked.old_size} is above the size {new.size}.")
    if asked.old_size != old.size:
        raise Refused(CONFLICT, f"{old.size}\n")
    if new.size == 0 and new.root != EMPTY_ROOT:
        raise Refused(UNPROCESSABLE, "An empty log has the root of the empty tree.", evidence=True)
    if old.size == new.size and old.root != new.root:
        raise Refused(CONFLICT, f"{old.size}\n", evidence=True)
    if not consistent(old.size, old.root, new.size, new.root, asked.proof):
        # A wrong proof is no proof of misbehaviour, two roots of one size are; both are worth keeping.
        what = f"It is not shown to begin with the {old.size} entries that were cosigned."
        raise Refused(UNPROCESSABLE, what, evidence=True)


def state_name(origin: str) -> str:
    """The SHA-256 of a log's origin in hex, under which a witness keeps and serves its state."""
    return sha256(origin.encode()).hexdigest()
