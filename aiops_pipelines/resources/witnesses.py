"""A system's witnesses as its log reaches them: in a folder, or over HTTP as C2SP tlog-witness says.

All are asked at once, each on a thread of its own: one that hangs is left behind and stops nothing. What
they decide is `resources.witness`, what follows from it `compliance.quorum`.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from threading import Thread
from typing import Protocol, TypeVar
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from aiops_pipelines.compliance.cosignature import cosigned_at, witness_key
from aiops_pipelines.compliance.merkle import consistency_proof
from aiops_pipelines.compliance.quorum import Heard
from aiops_pipelines.compliance.signed_note import NoteInvalid, VerifierKey, signature_line, split
from aiops_pipelines.compliance.witness import (
    CONFLICT,
    FORBIDDEN,
    MAX_BYTES,
    NOT_FOUND,
    OK,
    Answer,
    Asked,
    state_name,
)
from aiops_pipelines.compliance.witness_settings import Witnesses, WitnessPlace
from aiops_pipelines.mendable import Mendable
from aiops_pipelines.resources.witness import Witness

WAIT_S = 10
"""How long all witnesses together are waited for."""
ATTEMPTS = 3
"""Each 409 says the size to prove from; another writer may have been faster once or twice."""
UNREACHABLE = (OSError, HTTPException, Mendable, ValueError)


@dataclass(frozen=True)
class Cosigned:
    """What asking one witness brought: its signature line, or why there is none."""

    name: str
    line: str = ""
    failure: str = ""


Said = TypeVar("Said", Cosigned, Heard)


class Place(Protocol):
    """Where a witness is: what it can be asked."""

    def add_checkpoint(self, body: str) -> Answer:
        """Ask for a cosignature."""

    def checkpoint(self, origin_hash: str) -> str | None:
        """Return the checkpoint cosigned last."""


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Follow nobody: the address of a witness is part of who it is."""


class HttpWitness:
    """A witness behind an address."""

    def __init__(self, url: str, monitoring_url: str, timeout_s: float = WAIT_S):
        self._url, self._monitoring, self._timeout_s = url.rstrip("/"), monitoring_url.rstrip("/"), timeout_s

    def add_checkpoint(self, body: str) -> Answer:
        """Ask for a cosignature."""
        return self._answer(Request(f"{self._url}/add-checkpoint", body.encode(), method="POST"))

    def checkpoint(self, origin_hash: str) -> str | None:
        """Return the checkpoint cosigned last."""
        answer = self._answer(Request(f"{self._monitoring}/{origin_hash}/checkpoint"))
        if answer.status == NOT_FOUND:
            return None
        if answer.status != OK:
            raise ValueError(f"it answered {answer.status}")
        return answer.body

    def _answer(self, request: Request) -> Answer:
        request.add_header("Content-Type", "text/plain; charset=utf-8")
        try:
            with build_opener(_NoRedirect).open(request, timeout=self._timeout_s) as response:
                return Answer(response.status, response.read(MAX_BYTES).decode())
        except HTTPError as error:
            with error:
                return Answer(error.code, error.read(MAX_BYTES).decode(errors="replace"))


def reached(place: WitnessPlace) -> Place:
    """Return where a witness is to be asked."""
    if place.url:
        return HttpWitness(place.url, place.monitoring_url or place.url)
    return Witness(place.folder or Path())


def cosign_all(
    policy: Witnesses, note: str, hashes: Sequence[bytes], guess: int, wait_s: float = WAIT_S
) -> list[Cosigned]:
    """Ask every witness to cosign a checkpoint of all these leaves, in the order of the settings.

    Args:
        policy: the witnesses.
        note: the signed checkpoint.
        hashes: the leaf hashes under it.
        guess: the size that they have cosigned, as far as is known; a witness says so where it is another.
        wait_s: how long they are waited for, all together.
    """

    def asking(place: WitnessPlace) -> Callable[[], Cosigned]:
        return lambda: _cosigned(reached(place), witness_key(place.vkey), note, hashes, guess)

    return _all({place.name: asking(place) for place in policy.places}, Cosigned, wait_s)


def hear_all(policy: Witnesses, origin: str, wait_s: float = WAIT_S) -> list[Heard]:
    """Ask every witness for the last checkpoint of a log that it cosigned, in the order of the settings."""

    def asking(place: WitnessPlace) -> Callable[[], Heard]:
        return lambda: Heard(place.name, reached(place).checkpoint(state_name(origin)))

    return _all({place.name: asking(place) for place in policy.places}, Heard, wait_s)


def _all(askings: Mapping[str, Callable[[], Said]], kind: type[Said], wait_s: float) -> list[Said]:
    said: dict[str, Said] = {}

    def ask(name: str, asking: Callable[[], Said]) -> None:
        try:
            said[name] = asking()
        except UNREACHABLE as error:
            said[name] = kind(name, failure=f"{name} cannot be asked: {_reason(error)}.")
        except Exception as error:
            said[name] = kind(name, failure=f"{name} failed with {type(error).__name__}: {error}.")

    threads = [Thread(target=ask, args=asking, daemon=True) for asking in askings.items()]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + wait_s
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    late = "{} did not answer within {:.0f} seconds."
    return [said.get(name) or kind(name, failure=late.format(name, wait_s)) for name in askings]


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error  # URLError wraps what happened
    return str(getattr(reason, "strerror", None) or reason).rstrip(".") or type(error).__name__


def _cosigned(place: Place, key: VerifierKey, note: str, hashes: Sequence[bytes], guess: int) -> Cosigned:
    name, size = key.name, len(hashes)
    for _ in range(ATTEMPTS):
        proof = consistency_proof(hashes, guess, size) if 0 < guess < size else []
        answer = place.add_checkpoint(Asked(guess, tuple(proof), note).body())
        seen = answer.body.strip()
        if answer.status != CONFLICT or not seen.isdecimal() or int(seen) == guess:
            break
        guess = int(seen)
        if guess > size:
            what = f"{name} refuses (409): it has cosigned {guess:,} entries and the log has {size:,}"
            return Cosigned(name, failure=f"{what}, so entries were taken away.")
    else:
        return Cosigned(name, failure=f"{name} has cosigned another size each time it was asked.")
    if answer.status == OK:
        line = _own_line(answer.body, key, note)
        return (
            Cosigned(name, line) if line else Cosigned(name, failure=f"{name} sent no signature of its own.")
        )
    hint = {
        CONFLICT: "It has cosigned other entries than these, so the history was rewritten."
        if guess == size
        else "It does not say how many entries it has cosigned.",
        FORBIDDEN: "It does not trust the key that signs now; its keeper adds it: aiops witness trust.",
        NOT_FOUND: "It does not know this log; its keeper adds its key: aiops witness trust.",
    }.get(answer.status, answer.body.strip()[:200])
    return Cosigned(name, failure=f"{name} refuses ({answer.status}): {hint}")


def _own_line(body: str, key: VerifierKey, note: str) -> str:
    """Return the line of an answer that is the witness's cosignature of this note; others are ignored."""
    text, _ = split(note)
    try:
        _, lines = split(f"{text}\n{body}")
        own = [signature_line(name, raw) for name, raw in lines if (name, raw[:4]) == (key.name, key.key_id)]
        return next((line for line in own if cosigned_at(f"{text}\n{line}", key)), "")
    except NoteInvalid:
        return ""
