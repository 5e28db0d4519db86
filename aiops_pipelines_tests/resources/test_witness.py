"""A witness over its own folder and over HTTP: two histories, kills, full disks, unreadable state."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aiops_pipelines.compliance import checkpoint, merkle, signed_note
from aiops_pipelines.compliance.cosignature import cosigned_at, witness_key
from aiops_pipelines.compliance.witness import Answer, Asked, state_name
from aiops_pipelines.resources.witness import Witness, WitnessError
from aiops_pipelines.resources.witness_server import server
from aiops_pipelines_tests.compliance.test_merkle import tree
from aiops_pipelines_tests.resources.witnessed_shop import WITNESSED_AT, witness, witness_clock

__all__ = ["witness_clock"]

LOG = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
VKEY = signed_note.vkey("log", LOG.public_key())
STATE = state_name("log")


@pytest.fixture
def kept(tmp_path: Path, witness_clock: None) -> Witness:
    made = witness(tmp_path / "w")
    made.trust(VKEY)
    return made


def note(leaves: list[bytes]) -> str:
    return checkpoint.sign("log", len(leaves), merkle.root_hash(leaves), LOG)


def request(old: int, leaves: list[bytes]) -> str:
    proof = merkle.consistency_proof(leaves, old, len(leaves)) if 0 < old < len(leaves) else []
    return Asked(old, tuple(proof), note(leaves)).body()


def state(kept: Witness) -> int:
    shown = kept.checkpoint(STATE)
    return checkpoint.verify(shown, VKEY).size if shown else 0


def test_what_is_cosigned_is_kept_with_both_signatures(kept: Witness) -> None:
    answer = kept.add_checkpoint(request(0, tree(5)))
    assert answer.status == 200
    assert kept.checkpoint(STATE) == note(tree(5)) + answer.body
    assert cosigned_at(kept.checkpoint(STATE) or "", witness_key(kept.vkey)) == WITNESSED_AT
    assert kept.add_checkpoint(request(5, tree(8))).status == 200
    assert (state(kept), kept.evidence()) == (8, [])
    assert kept.checkpoint("0" * 64) is None and kept.checkpoint("../witness.pem") is None


def test_its_key_is_its_own_and_is_not_made_twice(kept: Witness) -> None:
    assert oct((kept.folder / "witness.pem").stat().st_mode)[-3:] == "600"
    with pytest.raises(WitnessError, match="is a witness already"):
        kept.create("example.com/w1")
    with pytest.raises(WitnessError, match="There is no witness"):
        Witness(kept.folder / "elsewhere").add_checkpoint(request(0, tree(5)))
    (kept.folder / "witness.pem").unlink()
    with pytest.raises(WitnessError, match="is missing"):
        kept.add_checkpoint(request(0, tree(5)))
    assert not (kept.folder / "witness.pem").exists()


def test_of_two_histories_it_vouches_for_one_and_keeps_the_other_as_evidence(kept: Witness) -> None:
    """A12: the fork begins alike and is as long; a control is the log that it saw first."""
    fork = [*tree(6)[:5], merkle.leaf_hash(b"another")]
    assert kept.add_checkpoint(request(0, tree(6))).status == 200
    assert kept.add_checkpoint(request(6, fork)) == Answer(409, "6\n")
    longer = [*fork, merkle.leaf_hash(b"more")]
    assert kept.add_checkpoint(request(6, longer)).status == 422
    assert (state(kept), len(kept.evidence())) == (6, 2)
    assert kept.evidence()[0].read_text() in (note(fork), note(longer))
    assert kept.add_checkpoint(request(6, longer)).status == 422 and len(kept.evidence()) == 2  # once each
    assert kept.add_checkpoint(request(6, tree(7))).status == 200


def test_a_damaged_state_of_one_log_stops_no_other(kept: Witness) -> None:
    other = Ed25519PrivateKey.generate()
    kept.trust(signed_note.vkey("other", other.public_key()))
    assert kept.add_checkpoint(request(0, tree(5))).status == 200
    (kept.folder / "state" / STATE).write_text("")
    signed = checkpoint.sign("other", 3, merkle.root_hash(tree(3)), other)
    assert kept.add_checkpoint(Asked(0, (), signed).body()).status == 200
    with pytest.raises(signed_note.NoteInvalid):
        kept.add_checkpoint(request(0, tree(5)))


def test_a_key_that_is_trusted_no_more_signs_nothing_and_the_state_stays(kept: Witness) -> None:
    assert kept.add_checkpoint(request(0, tree(5))).status == 200
    kept.distrust(VKEY)
    assert kept.add_checkpoint(request(5, tree(6))).status == 404
    new = Ed25519PrivateKey.generate()
    kept.trust(signed_note.vkey("log", new.public_key()))
    assert kept.add_checkpoint(request(5, tree(6))).status == 403
    rewritten = checkpoint.sign("log", 3, merkle.root_hash(tree(3)), new)
    assert kept.add_checkpoint(Asked(0, (), rewritten).body()) == Answer(409, "5\n")


DIES = """
import os, sys
from pathlib import Path
from aiops_pipelines.resources.witness import Witness
at, seen = int(sys.argv[2]), 0
def die(event, arguments):
    global seen
    if event in ("os.rename", "open") and "state" in str(arguments[0]):
        seen += 1
        if seen == at:
            os.kill(os.getpid(), 9)
sys.addaudithook(die)
answer = Witness(Path(sys.argv[1])).add_checkpoint(sys.stdin.read())
print(answer.status)
"""


@pytest.mark.parametrize("at", range(1, 6))
def test_killed_anywhere_it_has_kept_what_it_answered(kept: Witness, at: int) -> None:
    """A cosignature that left the witness is in its state; one that did not may be."""
    assert kept.add_checkpoint(request(0, tree(5))).status == 200
    command = [sys.executable, "-c", DIES, str(kept.folder), str(at)]
    done = subprocess.run(command, input=request(5, tree(6)), capture_output=True, text=True, timeout=60)
    if done.returncode == 0:
        assert (done.stdout, state(kept)) == ("200\n", 6)
        return
    assert done.returncode == -9 and done.stdout == ""
    assert state(kept) in (5, 6)
    assert kept.add_checkpoint(request(state(kept), tree(7))).status == 200  # and it goes on


def test_the_kills_strike_and_one_run_ends(kept: Witness) -> None:
    command = [sys.executable, "-c", DIES, str(kept.folder), "3"]
    codes = set()
    for at in ("1", "99"):
        command[-1] = at
        codes.add(
            subprocess.run(
                command, input=request(0, tree(5)), text=True, stdout=subprocess.DEVNULL
            ).returncode
        )
    assert codes == {-9, 0}


def test_on_a_full_disk_nothing_is_cosigned(kept: Witness, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kept.add_checkpoint(request(0, tree(5))).status == 200

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        kept.add_checkpoint(request(5, tree(6)))
    assert state(kept) == 5
    monkeypatch.undo()
    assert kept.add_checkpoint(request(5, tree(6))).status == 200


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"log\n5\n"])
def test_an_unreadable_state_is_no_empty_state(kept: Witness, content: bytes) -> None:
    assert kept.add_checkpoint(request(0, tree(5))).status == 200
    (kept.folder / "state" / STATE).write_bytes(content)
    with pytest.raises(ValueError):
        kept.add_checkpoint(request(0, tree(3)))


def test_requests_at_once_do_not_roll_it_back(kept: Witness) -> None:
    """The race of the specification: of many growths from one size, one is cosigned and the others get 409."""
    assert kept.add_checkpoint(request(0, tree(5))).status == 200
    answers: list[Answer] = []
    bodies = [request(5, tree(size)) for size in range(6, 26)]
    threads = [
        threading.Thread(target=lambda body=body: answers.append(kept.add_checkpoint(body)))
        for body in bodies
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status for answer in answers) == [200, *[409] * 19]
    assert {answer.body for answer in answers if answer.status == 409} == {f"{state(kept)}\n"}


# --- over HTTP


@contextmanager
def serving(kept: Witness) -> Iterator[int]:
    with server(kept, "127.0.0.1", 0) as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield made.server_port
        made.shutdown()
        thread.join()


def asked(port: int, method: str, path: str, body: bytes | None = None) -> tuple[int, str, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, body)
    response = connection.getresponse()
    said = response.status, response.headers["Content-Type"], response.read().decode()
    connection.close()
    return said


def test_it_answers_over_http_as_the_protocol_says(kept: Witness, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(kept) as port:
        assert asked(port, "GET", f"/{STATE}/checkpoint")[0] == 404
        assert asked(port, "POST", "/add-checkpoint", request(0, tree(5)).encode())[0] == 200
        assert asked(port, "GET", f"/{STATE}/checkpoint")[::2] == (200, kept.checkpoint(STATE))
        stale = asked(port, "POST", "/a/prefix/add-checkpoint", request(0, tree(8)).encode())
        assert stale == (409, "text/x.tlog.size", "5\n")
        assert asked(port, "POST", "/add-checkpoint", request(5, tree(8)).encode())[0] == 200
        assert asked(port, "POST", "/add-checkpoint", b"\xff")[0] == 400
        assert asked(port, "POST", "/add-checkpoint", b"x" * 70_000)[0] == 400
        assert asked(port, "POST", "/add", request(8, tree(9)).encode())[0] == 404
        assert (
            asked(port, "GET", "/witness.pem")[0]
            == asked(port, "GET", "/../witness.pem/checkpoint")[0]
            == 404
        )

        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        assert asked(port, "POST", "/add-checkpoint", request(8, tree(9)).encode())[0] == 500
        monkeypatch.undo()
        assert asked(port, "POST", "/add-checkpoint", request(8, tree(9)).encode())[0] == 200
