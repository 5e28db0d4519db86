"""Cosignatures of witnesses, against published ones and against an implementation that shares no code."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.compliance import checkpoint, signed_note
from aiops_pipelines.compliance.cosignature import claimed_times, cosign, cosigned_at, witness_key
from aiops_pipelines.compliance.signed_note import COSIGNATURE_V1, NoteInvalid
from aiops_pipelines_tests.handed_out import verifier

LOG = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
NAME = "witness.example.com/w1"
VKEY = signed_note.vkey(NAME, KEY.public_key(), COSIGNATURE_V1)
NOTE = checkpoint.sign("example.com/log", 7, bytes(32), LOG)
TEXT, _ = signed_note.split(NOTE)
# Published: a witness's verifier key (transparency-dev/formats), and the example of tlog-cosignature.
PUBLISHED_VKEY = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2"
EXAMPLE = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "\u2014 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "\u2014 witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
)


def test_the_published_key_and_the_published_time_are_read():
    assert witness_key(PUBLISHED_VKEY).key_id.hex() == "da77ade7"
    assert claimed_times(EXAMPLE) == [1679315147]  # as the specification says in words


def test_a_cosignature_byte_by_byte():
    line = cosign(TEXT, NAME, KEY, 1679315147)
    dash, name, encoded = line.removesuffix("\n").split(" ")
    raw = base64.b64decode(encoded)
    assert (dash, name, len(raw)) == ("\u2014", NAME, 4 + 8 + 64)
    assert raw[:4].hex() == VKEY.split("+")[1]
    assert raw[4:12] == (1679315147).to_bytes(8, "big")
    message = (
        b"cosignature/v1\ntime 1679315147\nexample.com/log\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
    )
    assert verifier.signed_by(KEY.public_key().public_bytes_raw(), message, raw[12:])


@given(st.integers(1, 2**63 - 1))
def test_what_is_cosigned_is_read_here_and_by_auditors(time_s):
    note = NOTE + cosign(TEXT, NAME, KEY, time_s)
    assert cosigned_at(note, witness_key(VKEY)) == time_s
    assert verifier.cosigned(note, {"w": VKEY}) == {"w": time_s}
    assert checkpoint.verify(note, signed_note.vkey("example.com/log", LOG.public_key())).size == 7


@given(st.integers(32, 76 * 8 - 1))
def test_no_bit_of_time_or_signature_can_change(bit):
    raw = bytearray(base64.b64decode(cosign(TEXT, NAME, KEY, 1679315147).split(" ")[2]))
    raw[bit // 8] ^= 1 << bit % 8
    note = NOTE + signed_note.signature_line(NAME, bytes(raw))
    with pytest.raises(NoteInvalid):
        cosigned_at(note, witness_key(VKEY))
    with pytest.raises(verifier.Wrong):
        verifier.cosigned(note, {"w": VKEY})


def test_a_cosignature_of_another_text_or_another_witness_is_none_of_this_one():
    line = cosign(TEXT.replace("\n7\n", "\n8\n"), NAME, KEY, 5)
    with pytest.raises(NoteInvalid, match="does not belong to this text"):
        cosigned_at(NOTE + line, witness_key(VKEY))
    assert cosigned_at(NOTE + cosign(TEXT, "example.com/w2", KEY, 5), witness_key(VKEY)) is None
    assert cosigned_at(NOTE, witness_key(VKEY)) is None


def test_a_plain_signature_of_the_same_key_is_no_cosignature():
    plain = signed_note.sign(TEXT, NAME, KEY)
    assert cosigned_at(plain, witness_key(VKEY)) is None
    with pytest.raises(NoteInvalid, match="of a witness's key"):
        witness_key(signed_note.vkey(NAME, KEY.public_key()))
    short = signed_note.signature_line(NAME, witness_key(VKEY).key_id + bytes(64))
    with pytest.raises(NoteInvalid, match="has no time or no signature"):
        cosigned_at(NOTE + short, witness_key(VKEY))


def test_a_cosignature_at_no_time_is_refused():
    with pytest.raises(NoteInvalid, match="has no time"):
        cosigned_at(NOTE + cosign(TEXT, NAME, KEY, 0), witness_key(VKEY))
