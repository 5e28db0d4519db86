"""HKDF against RFC 5869, and commitments that open one by one."""

import hmac
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.compliance import commitment

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))


@pytest.mark.parametrize(
    ("key", "salt", "info", "expected"),
    [
        (
            b"\x0b" * 22,
            bytes(range(0x00, 0x0D)),
            bytes(range(0xF0, 0xFA)),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ),
        (
            bytes(range(0x00, 0x50)),
            bytes(range(0x60, 0xB0)),
            bytes(range(0xB0, 0x100)),
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
            "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
        ),
        (
            b"\x0b" * 22,
            b"",
            b"",
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        ),
    ],
)
def test_hkdf_of_rfc_5869(key, salt, info, expected):
    assert commitment.hkdf_sha256(key, info, len(expected) // 2, salt).hex() == expected


def test_hkdf_has_an_end():
    assert len(commitment.hkdf_sha256(KEY, b"", 8160)) == 8160
    for length in (0, 8161):
        with pytest.raises(ValueError, match="1 to 8,160"):
            commitment.hkdf_sha256(KEY, b"", length)


def test_a_commitment_is_an_hmac_under_its_nonce():
    info = b"aiops audit-log nonce 1" + b"\x00\x00\x00\x02" + b"e1" + b"answer"
    nonce = commitment.hkdf_sha256(KEY, info)
    assert commitment.nonce(KEY, "e1", "answer") == nonce
    assert commitment.commit(KEY, "e1", "answer", b"yes") == hmac.new(nonce, b"yes", sha256).digest()


def test_one_entry_opens_without_the_others():
    nonce = commitment.nonce(KEY, "e1", "answer")
    first, second = (commitment.commit(KEY, entry, "answer", b"yes") for entry in ("e1", "e2"))
    assert commitment.opens(nonce, b"yes", first)
    assert not commitment.opens(nonce, b"yes", second)
    assert first != second, "equal texts must not show"


def test_edited_content_does_not_open_its_commitment():
    """A04."""
    made = commitment.commit(KEY, "e1", "query", b"the original")
    nonce = commitment.nonce(KEY, "e1", "query")
    assert commitment.opens(nonce, b"the original", made)
    assert not commitment.opens(nonce, b"the originaL", made)


def test_a_dictionary_finds_nothing_without_the_key():
    made = commitment.commit(KEY, "e1", "answer", b"yes")
    assert made != sha256(b"yes").digest()
    assert not any(
        commitment.opens(commitment.nonce(bytes([k]) * 32, "e1", "answer"), b"yes", made) for k in range(256)
    )


@given(st.text(max_size=6), st.text(max_size=6), st.text(max_size=6), st.text(max_size=6))
def test_each_field_of_each_entry_has_a_nonce_of_its_own(entry, field, other_entry, other_field):
    same = (entry, field) == (other_entry, other_field)
    assert (commitment.nonce(KEY, entry, field) == commitment.nonce(KEY, other_entry, other_field)) == same
    assert commitment.nonce(OTHER, entry, field) != commitment.nonce(KEY, entry, field)


def test_where_an_id_ends_and_a_field_begins_counts():
    assert commitment.nonce(KEY, "a", "bc") != commitment.nonce(KEY, "ab", "c")


def test_a_pseudonym_is_the_same_in_all_entries_and_under_one_key_only():
    assert commitment.pseudonym(KEY, "ann") == commitment.pseudonym(KEY, "ann")
    assert len({commitment.pseudonym(key, user) for key in (KEY, OTHER) for user in ("ann", "bob")}) == 4


def test_a_short_key_is_refused():
    with pytest.raises(ValueError, match="use 32 random bytes"):
        commitment.commit(b"short", "e1", "answer", b"yes")
    with pytest.raises(ValueError, match="use 32 random bytes"):
        commitment.pseudonym(KEY[:31], "ann")
