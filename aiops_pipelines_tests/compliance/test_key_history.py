"""Which key may sign which size: every order of rotations and revocations, here and in the auditor's script."""

from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.compliance import checkpoint, leaf, signed_note
from aiops_pipelines.compliance.key_history import (
    KINDS,
    NotInForce,
    Validity,
    key_history,
    revocation_entry,
    rotation_entry,
)
from aiops_pipelines_tests.handed_out import verifier

NOW = datetime(2026, 6, 8, tzinfo=UTC)
KEYS = [Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in range(6)]
A, B, C, *_ = VKEYS = [signed_note.vkey("log", key.public_key()) for key in KEYS]


def rotation(old: int, new: int) -> dict[str, Any]:
    return rotation_entry("log", (KEYS[old], KEYS[new]), "log", "mira", NOW)


def revocation(key: int, last: int, by: int) -> dict[str, Any]:
    return revocation_entry("log", VKEYS[key], last, KEYS[by], "mira", "It leaked.", NOW)


def told(entries: dict[int, dict[str, Any]], vkey: str) -> tuple[list[tuple[str, int, int | None]], int]:
    history, findings = key_history(((i, leaf.encode(one)) for i, one in entries.items()), vkey)
    return [(key.vkey, key.first, key.last) for key in history.keys], len(findings)


def honest(entries: dict[int, dict[str, Any]], vkey: str) -> list[int]:
    history, _ = key_history(((i, leaf.encode(one)) for i, one in entries.items()), vkey)
    return [key.honest for key in history.keys]


def test_a_log_without_changes_has_the_key_it_is_known_by():
    assert told({}, A) == ([(A, 0, None)], 0)


@pytest.mark.parametrize("known", [A, B, C])
def test_from_any_key_of_a_log_the_others_are_found(known):
    entries = {3: rotation(0, 1), 9: rotation(1, 2), 10: revocation(0, 2, 2)}
    assert told(entries, known) == ([(A, 0, 2), (B, 4, 10), (C, 10, None)], 0)


def test_at_each_size_one_key_counts_and_at_the_change_both():
    entries = {3: rotation(0, 1)}
    history, _ = key_history(((i, leaf.encode(one)) for i, one in entries.items()), B)
    counted = [[vkey for vkey in (A, B) if history.in_force(vkey, size)] for size in range(3, 7)]
    assert counted == [[A], [A, B], [B], [B]]
    for size in range(7):
        for key, vkey in ((KEYS[0], A), (KEYS[1], B)):
            note = checkpoint.sign("log", size, bytes(32), key)
            if history.in_force(vkey, size):
                assert history.verify(note).size == size
            else:
                with pytest.raises(NotInForce, match=f"signs {size} entries with log"):
                    history.verify(note)


@pytest.mark.parametrize(
    "entry",
    [
        rotation(2, 3),  # between strangers
        rotation(2, 0),  # from a stranger back to ours
        rotation(1, 1),  # to itself
        rotation(1, 0),  # back to one of before
        revocation(0, 1, by=0),  # by one that is out of force
        revocation(3, 1, by=1),  # of a stranger
        rotation(1, 2) | {"details": {"note": rotation(1, 2)["details"]["note"].replace(C, VKEYS[3])}},
        rotation(1, 2) | {"details": {}},
        rotation(1, 2) | {"details": {"note": 7}},
        rotation(1, 2) | {"kind": KINDS[1]},
        revocation(0, 1, by=1) | {"kind": KINDS[0]},
    ],
)
def test_what_the_key_in_force_did_not_sign_changes_nothing_and_is_found(entry):
    before = {3: rotation(0, 1)}
    control = told(before, B)
    assert control == ([(A, 0, 4), (B, 4, None)], 0)
    assert told(before | {5: entry}, B) == (control[0], 1)
    if isinstance(entry["details"].get("note"), str):
        with pytest.raises((verifier.Wrong, ValueError)):
            verifier.history(B, before | {5: entry})


def test_a_stranger_who_claims_to_be_followed_by_our_key_leads_nowhere():
    posing = rotation(2, 0)
    note = posing["details"]["note"].splitlines(keepends=True)
    posing["details"]["note"] = "".join(note[:-1])  # without the signature of our key
    assert told({1: posing, 3: rotation(0, 1)}, B) == ([(A, 0, 4), (B, 4, None)], 1)
    with pytest.raises(verifier.Wrong, match="entry 1 changes a key and is not signed by the one in force"):
        verifier.history(B, {1: posing, 3: rotation(0, 1)})


def test_a_rotation_of_another_log_counts_for_nothing_here():
    foreign = rotation_entry("log", (KEYS[1], KEYS[2]), "other", "mira", NOW)
    assert told({3: rotation(0, 1), 5: foreign}, B)[1] == 1


def test_a_rotation_is_no_checkpoint_and_a_checkpoint_no_rotation():
    with pytest.raises(signed_note.NoteInvalid):
        checkpoint.verify(rotation(0, 1)["details"]["note"], A)
    posing = rotation(0, 1) | {"details": {"note": checkpoint.sign("log", 3, bytes(32), *KEYS[:2])}}
    assert told({3: posing}, A) == ([(A, 0, None)], 1)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 40)), max_size=5), st.integers(0, 5))
def test_the_script_follows_keys_as_the_log_does(changes, known):
    entries: dict[int, dict[str, Any]] = {}
    current = 0
    for place, (rotates, last) in enumerate(changes):
        index = 3 + 4 * place
        entries[index] = (
            rotation(current, current + 1) if rotates else revocation(last % 3 % (current + 1), last, current)
        )
        current += rotates
    vkey = VKEYS[min(known, current)]
    keys, wrong = told(entries, vkey)
    assert wrong == 0
    assert verifier.history(vkey, entries) == [
        (key, first, 2**63 if last is None else last, size)
        for (key, first, last), size in zip(keys, honest(entries, vkey), strict=True)
    ]


def test_what_a_revoked_key_may_have_signed_honestly_ends_with_its_revocation_or_its_rotation():
    assert honest({3: rotation(0, 1)}, A) == [-1, -1]
    assert honest({3: rotation(0, 1), 4: revocation(0, 2, 1)}, A) == [4, -1]
    # A was followed by B at 4 entries: what it signs over 50 is a forgery, however late it is revoked
    assert honest({3: rotation(0, 1), 99: revocation(0, 2, 1)}, A) == [4, -1]
    assert honest({9: revocation(0, 2, 0), 20: revocation(0, 1, 0)}, A) == [9]


def test_a_validity_covers_both_its_ends():
    assert [Validity(A, 2, 4).covers(size) for size in range(1, 6)] == [False, True, True, True, False]
