"""A witness: a folder of its own, with its key, the logs it knows and what it cosigned last of each.

It belongs to another party than the log: another mount, another user of the machine, another machine. What
it decides is `compliance.witness`; here its state is kept, under a lock, durably before it answers.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aiops_pipelines.compliance.checkpoint import Checkpoint, parse
from aiops_pipelines.compliance.cosignature import cosign
from aiops_pipelines.compliance.signed_note import (
    COSIGNATURE_V1,
    NoteInvalid,
    VerifierKey,
    checked_name,
    parse_vkey,
    split,
    vkey,
)
from aiops_pipelines.compliance.witness import Answer, Refused, judged, parse_asked, state_name
from aiops_pipelines.mendable import Mendable
from aiops_pipelines.resources.first_file import UNFINISHED, write_whole
from aiops_pipelines.resources.keys import private_key

MAX_EVIDENCE = 100
"""Conflicting notes kept of one log: who floods a witness does not fill its disk."""


class WitnessError(Mendable, RuntimeError):
    """A witness that cannot be used as it is; the message says what to do."""


def unix_now() -> int:
    """Return the time of the witness's own clock, Unix seconds."""
    return int(time.time())


class Witness:
    """The witness in a folder."""

    def __init__(self, folder: Path):
        self.folder = folder

    def create(self, name: str) -> str:
        """Make a new witness of this name; return its verifier key.

        Raises:
            WitnessError: there is one already, or the name cannot be one.
        """
        try:
            checked_name(name)
        except ValueError as error:
            raise WitnessError(str(error)) from None
        if (self.folder / "vkey").exists():
            raise WitnessError(f"{self.folder} is a witness already; its key is not made anew.")
        key = private_key(self.folder / "witness.pem")
        made = vkey(name, key.public_key(), COSIGNATURE_V1)
        write_whole(self.folder / "vkey", f"{made}\n".encode())
        return made

    @property
    def vkey(self) -> str:
        """Its verifier key.

        Raises:
            WitnessError: there is no witness here.
        """
        try:
            return (self.folder / "vkey").read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            raise WitnessError(f"There is no witness in {self.folder}.") from None

    def trust(self, log_vkey: str) -> str:
        """Cosign from now on what this key signs for its log; return the log's origin.

        Raises:
            WitnessError: it is no key of a log.
        """
        try:
            origin = parse_vkey(log_vkey.strip()).name
        except NoteInvalid as error:
            raise WitnessError(str(error)) from None
        with self._alone():
            known = self.trusted()
            if log_vkey.strip() not in known:
                lines = [*known, log_vkey.strip()]
                write_whole(self.folder / "logs.txt", "".join(f"{line}\n" for line in lines).encode())
        return origin

    def distrust(self, log_vkey: str) -> None:
        """Cosign no more what this key signs; what was cosigned stays the state of its log."""
        with self._alone():
            lines = [line for line in self.trusted() if line != log_vkey.strip()]
            write_whole(self.folder / "logs.txt", "".join(f"{line}\n" for line in lines).encode())

    def add_checkpoint(self, body: str) -> Answer:
        """Cosign the checkpoint of a request, or refuse it as C2SP tlog-witness says.

        Raises:
            OSError: its state cannot be read or kept; then nothing is cosigned.
        """
        with self._alone():
            logs: dict[str, list[VerifierKey]] = {}
            for line in self.trusted():
                trusted = parse_vkey(line)
                logs.setdefault(trusted.name, []).append(trusted)
            try:
                about = body.partition("\n\n")[2].partition("\n")[0]  # damage to one log's state is its own
                new = judged(body, logs, self._last(about) if about in logs else {})
            except Refused as refused:
                if refused.evidence:
                    self._keep_evidence(parse_asked(body).note)
                return refused.answer
            note = parse_asked(body).note
            text, _ = split(note)
            name = parse_vkey(self.vkey, COSIGNATURE_V1).name
            line = cosign(text, name, self._key(), unix_now())
            write_whole(self._state(new.origin), f"{_without(note, name)}{line}".encode())
            return Answer(200, line)

    def checkpoint(self, origin_hash: str) -> str | None:
        """Return the checkpoint cosigned last of the log whose origin hashes so; None if there is none.

        Raises:
            WitnessError: there is no witness here.
        """
        self.vkey  # noqa: B018 - a folder that is not mounted has cosigned nothing, but is no witness
        file = self.folder / "state" / origin_hash
        if not all(each in "0123456789abcdef" for each in origin_hash) or not file.is_file():
            return None
        return file.read_text(encoding="utf-8")

    def checkpoints(self) -> list[str]:
        """Return the last checkpoint of every log that it cosigned."""
        files = sorted((self.folder / "state").glob("[0-9a-f]*"))
        return [file.read_text(encoding="utf-8") for file in files if file.suffix != UNFINISHED]

    def evidence(self) -> list[Path]:
        """Return the files of notes that contradict what was cosigned."""
        return sorted((self.folder / "evidence").glob("*/*.note"))

    def trusted(self) -> list[str]:
        """Return the verifier keys of the logs that it knows."""
        file = self.folder / "logs.txt"
        return file.read_text(encoding="utf-8").split() if file.exists() else []

    def _key(self) -> Ed25519PrivateKey:
        if not (self.folder / "witness.pem").exists():
            raise WitnessError(f"The key of the witness in {self.folder} is missing; restore it.")
        return private_key(self.folder / "witness.pem")

    def _state(self, origin: str) -> Path:
        return self.folder / "state" / state_name(origin)

    def _last(self, origin: str) -> dict[str, Checkpoint]:
        note = self.checkpoint(state_name(origin))
        return {} if note is None else {origin: parse(split(note)[0])}  # an emptied file is no empty log

    def _keep_evidence(self, note: str) -> None:
        """Keep a note that its log signed and that contradicts what was cosigned, once."""
        origin = note.split("\n")[0]
        folder = self.folder / "evidence" / state_name(origin)
        file = folder / f"{state_name(split(note)[0])}.note"
        if not file.exists() and (not folder.exists() or len(os.listdir(folder)) < MAX_EVIDENCE):
            write_whole(file, note.encode())

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Check and keep in one: two requests at once must not roll the state back."""
        self.vkey  # noqa: B018 - there is a witness
        with (self.folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _without(note: str, name: str) -> str:
    """Leave out what earlier cosignatures of this witness the note carries."""
    text, _, lines = note.rpartition("\n\n")
    kept = [line for line in lines.splitlines() if not line.startswith(f"\u2014 {name} ")]
    return f"{text}\n\n" + "".join(f"{line}\n" for line in kept)
