"""The policy k of n, from which checkpoint on a log is unwitnessed, and the policy as others read it."""

from itertools import combinations
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aiops_pipelines.compliance import checkpoint, signed_note
from aiops_pipelines.compliance.cosignature import cosign
from aiops_pipelines.compliance.key_history import KeyHistory, Validity
from aiops_pipelines.compliance.merkle import root_hash
from aiops_pipelines.compliance.quorum import (
    Heard,
    Since,
    cosigners,
    last_witnessed,
    tlog_policy,
    witnessing,
)
from aiops_pipelines.compliance.signed_note import COSIGNATURE_V1
from aiops_pipelines.compliance.witness_settings import Witnesses, WitnessPlace
from aiops_pipelines_tests.compliance.test_merkle import tree
from aiops_pipelines_tests.handed_out import verifier

LOG, *KEYS = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in range(1, 5))
NAMES = ("a", "b", "c")
VKEYS = [
    signed_note.vkey(name, key.public_key(), COSIGNATURE_V1) for name, key in zip(NAMES, KEYS, strict=True)
]
HISTORY = KeyHistory((Validity(signed_note.vkey("log", LOG.public_key())),))


def policy(quorum: int) -> Witnesses:
    return Witnesses(quorum=quorum, places=tuple(WitnessPlace(vkey=vkey, folder=Path("w")) for vkey in VKEYS))


def note(size: int, **times: int) -> str:
    """A checkpoint cosigned by these witnesses at these times."""
    plain = checkpoint.sign("log", size, root_hash(tree(size)), LOG)
    text, _ = signed_note.split(plain)
    return plain + "".join(
        cosign(text, name, KEYS[NAMES.index(name)], time_s) for name, time_s in times.items()
    )


@pytest.mark.parametrize(("quorum", "since"), [(1, 10), (2, 20), (3, 30)])
def test_a_quorum_is_reached_when_the_last_one_needed_cosigned(quorum: int, since: int) -> None:
    notes = [note(3, a=1, b=1, c=1), note(5, c=30, a=10, b=20), note(9)]
    assert last_witnessed(notes, policy(quorum), HISTORY) == Since(5, since)


@pytest.mark.parametrize("quorum", [1, 2, 3])
def test_any_k_of_n_are_enough_and_fewer_are_not(quorum: int) -> None:
    hash_at = dict(enumerate(tree(5)))
    for number in range(4):
        for by in combinations(NAMES, number):
            plain = note(5, **dict.fromkeys(by, 7))
            heard = [
                Heard(name, plain) if name in by else Heard(name, None, f"{name} is away.") for name in NAMES
            ]
            state = witnessing(policy(quorum), [plain], heard, hash_at, HISTORY)
            assert (state.met, state.unmet) == (number >= quorum, number < quorum)
            witnesses, met = verifier.policy(tlog_policy(HISTORY.current, policy(quorum)))
            assert met(verifier.cosigned(plain, witnesses)) == (number >= quorum)


def test_one_that_contradicts_the_log_outweighs_those_that_vouch() -> None:
    hash_at = dict(enumerate(tree(5)))
    here, ahead = note(5, a=7, b=7), note(6, c=8)
    heard = [Heard("a", here), Heard("b", here), Heard("c", ahead)]
    state = witnessing(policy(2), [here], heard, hash_at, HISTORY)
    assert not state.met
    assert [finding.message for finding in state.findings] == [
        "1 entry lost: c cosigned 6 and the log ends after 5."
    ]


def test_a_signature_twice_or_by_a_stranger_counts_once_or_not_at_all() -> None:
    once, again = note(5, a=7), note(5, a=9)
    both = once + again.splitlines(keepends=True)[-1]
    assert cosigners(both, policy(2)) == {"a": 9}
    text, _ = signed_note.split(once)
    assert cosigners(once + cosign(text, "d", LOG, 5), policy(2)) == {"a": 7}


def test_a_time_beyond_the_calendar_is_written_nevertheless() -> None:
    assert "9999" in str(Since(5, 2**63 - 1))
