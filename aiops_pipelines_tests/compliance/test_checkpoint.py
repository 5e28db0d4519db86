"""Signed checkpoints: the published example of the note format, and every malformed note (A17)."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.compliance import checkpoint, signed_note
from aiops_pipelines.compliance.checkpoint import Checkpoint
from aiops_pipelines.compliance.signed_note import NoteInvalid

ORIGIN = "example.com/support"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
VKEY = signed_note.vkey(ORIGIN, KEY.public_key())
ROOT = bytes(range(32))
ROOT_TEXT = base64.b64encode(ROOT).decode()
NOTE = checkpoint.sign(ORIGIN, 7, ROOT, KEY)

# The verifier key and the note that the signed-note specification prints as its example.
EXAMPLE_VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
EXAMPLE_NOTE = (
    "This is an example message.\n\n"
    "\u2014 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)


def signed(text: str, name: str = ORIGIN, key: Ed25519PrivateKey = KEY) -> str:
    """A note over any text at all, so that only the text can be what is wrong."""
    identity = signed_note.key_id(name, key.public_key().public_bytes_raw())
    signature = base64.b64encode(identity + key.sign(text.encode())).decode()
    return f"{text}\n\u2014 {name} {signature}\n"


def test_the_example_of_the_specification():
    public_key = base64.b64decode(EXAMPLE_VKEY.split("+", 2)[2])[1:]
    assert signed_note.key_id("example.com/foo", public_key).hex() == "530d903a"
    # Its signature holds; it is only no checkpoint.
    with pytest.raises(NoteInvalid, match="has an origin, a size and a root"):
        checkpoint.verify(EXAMPLE_NOTE, EXAMPLE_VKEY)
    with pytest.raises(NoteInvalid, match="does not belong to this text"):
        checkpoint.verify(EXAMPLE_NOTE.replace("example message", "exemplary message"), EXAMPLE_VKEY)


def test_a_note_line_by_line():
    lines = NOTE.split("\n")
    assert lines[:4] == [ORIGIN, "7", ROOT_TEXT, ""]
    assert lines[4].startswith(f"\u2014 {ORIGIN} ")
    assert lines[5:] == [""]
    assert checkpoint.verify(NOTE, VKEY) == Checkpoint(ORIGIN, 7, ROOT)
    assert signed(f"{ORIGIN}\n7\n{ROOT_TEXT}\n") == NOTE


@given(st.integers(0, 2**60), st.binary(min_size=32, max_size=32), st.none() | st.integers(0, 2**40))
def test_what_is_signed_is_what_is_read(size, root, time_s):
    note = checkpoint.sign(ORIGIN, size, root, KEY, time_s=time_s)
    assert checkpoint.verify(note, VKEY) == Checkpoint(ORIGIN, size, root, time_s)


@given(st.integers(0, len(NOTE) - 1), st.characters(exclude_categories=["Cs"]))
def test_no_single_character_can_change(at, character):
    changed = NOTE[:at] + character + NOTE[at + 1 :]
    if changed != NOTE:
        with pytest.raises(NoteInvalid, match=r"\.$"):
            checkpoint.verify(changed, VKEY)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"example.com/other\n7\n{ROOT_TEXT}\n", 'of the log "example.com/other"'),
        (f"{ORIGIN}\n07\n{ROOT_TEXT}\n", '"07" is not a decimal number without leading zeros'),
        (f"{ORIGIN}\n+7\n{ROOT_TEXT}\n", "not a decimal number"),
        (f"{ORIGIN}\n-7\n{ROOT_TEXT}\n", "not a decimal number"),
        (f"{ORIGIN}\n\u0667\n{ROOT_TEXT}\n", "not a decimal number"),
        (f"{ORIGIN}\n7 \n{ROOT_TEXT}\n", "not a decimal number"),
        (f"{ORIGIN}\n{'9' * 5000}\n{ROOT_TEXT}\n", "not a decimal number"),
        (f"{ORIGIN}\n7\n{ROOT_TEXT}\nanything\n", "a line beyond the root"),
        (f"{ORIGIN}\n7\n{ROOT_TEXT}\ntime 5\nanything\n", "a line beyond the root"),
        (f"{ORIGIN}\n7\n{ROOT_TEXT}\ntime 05\n", 'time "05"'),
        (f"{ORIGIN}\n7\n{ROOT_TEXT}\ntime\n", 'time ""'),
        (f"{ORIGIN}\n7\n{ROOT_TEXT}\n\n", "no empty line"),
        (f"\n7\n{ROOT_TEXT}\n", "no empty line"),
        (f"{ORIGIN}\n7\n", "an origin, a size and a root"),
        (f"{ORIGIN}\n7\n{ROOT_TEXT[:-1]}\n", "root is not standard base64"),
        (f"{ORIGIN}\n7\n{ROOT_TEXT[:-2]}9=\n", "root is not standard base64"),
        (f"{ORIGIN}\n7\n{ROOT_TEXT[:-1].replace('A', '*', 1)}=\n", "root is not standard base64"),
        (f"{ORIGIN}\n7\n{base64.b64encode(ROOT[:31]).decode()}\n", "root has 31 bytes"),
        (f"{ORIGIN}\r\n7\n{ROOT_TEXT}\n", "control character"),
    ],
)
def test_a_signed_text_that_is_no_checkpoint_is_refused(text, reason):
    assert checkpoint.verify(signed(f"{ORIGIN}\n7\n{ROOT_TEXT}\n"), VKEY).size == 7
    with pytest.raises(NoteInvalid, match=reason):
        checkpoint.verify(signed(text), VKEY)


@pytest.mark.parametrize(
    ("note", "reason"),
    [
        ("", "signature lines"),
        (NOTE[:-1], "signature lines"),
        (NOTE + "\n", "signature lines"),
        (NOTE.replace("\n\n", "\n"), "signature lines"),
        (NOTE.replace("\u2014", "-"), "an em dash"),
        (NOTE.replace("\u2014 ", "\u2014  "), "an em dash"),
        (NOTE[:-3] + "\n", "not standard base64"),
        (NOTE + "\u2014 example.com/w AAAA\n", "4-byte key id"),
        (NOTE + "\u2014 example.com/w AAAAAAA=\n" * 100, "at most 100"),
        (NOTE.replace("support", "supp\x00rt"), "control character"),
        (NOTE.replace("support", "supp\ud800rt"), "UTF-8"),
    ],
)
def test_a_malformed_note_is_refused(note, reason):
    with pytest.raises(NoteInvalid, match=reason):
        checkpoint.verify(note, VKEY)


def test_wrong_key_wrong_key_id_and_wrong_name_are_refused():
    text = f"{ORIGIN}\n7\n{ROOT_TEXT}\n"
    stranger = Ed25519PrivateKey.from_private_bytes(bytes(32))
    with pytest.raises(NoteInvalid, match="No signature of the note is by"):
        checkpoint.verify(signed(text, key=stranger), VKEY)
    with pytest.raises(NoteInvalid, match="No signature of the note is by"):
        checkpoint.verify(signed(text, name="example.com/other"), VKEY)
    identity = signed_note.key_id(ORIGIN, KEY.public_key().public_bytes_raw())
    forged = base64.b64encode(identity + stranger.sign(text.encode())).decode()
    with pytest.raises(NoteInvalid, match="does not belong to this text"):
        checkpoint.verify(f"{text}\n\u2014 {ORIGIN} {forged}\n", VKEY)


def test_signatures_of_others_are_ignored_and_a_bad_one_of_ours_is_not():
    witness = signed(NOTE.split("\n\n")[0] + "\n", "example.com/witness").split("\n\n")[1]
    assert checkpoint.verify(NOTE + witness * 16, VKEY).size == 7
    identity = signed_note.key_id(ORIGIN, KEY.public_key().public_bytes_raw())
    bad = f"\u2014 {ORIGIN} {base64.b64encode(identity + bytes(64)).decode()}\n"
    with pytest.raises(NoteInvalid, match="does not belong to this text"):
        checkpoint.verify(NOTE + bad, VKEY)


def test_an_idle_log_signs_again_with_another_time():
    earlier, later = (
        checkpoint.sign(ORIGIN, 7, ROOT, KEY, time_s=time_s) for time_s in (1_780_000_000, 1_780_003_600)
    )
    assert earlier.split("\n")[3] == "time 1780000000"
    assert earlier != later
    assert checkpoint.verify(later, VKEY).time_s == 1_780_003_600


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        ORIGIN,
        VKEY.replace("+", " ", 1),
        "+" + VKEY.split("+", 1)[1],
        VKEY.replace("support", "other"),
        VKEY.split("+")[0] + "+00000000+" + VKEY.split("+", 2)[2],
        VKEY[:-1],
        VKEY.upper(),
    ],
)
def test_a_malformed_verifier_key_is_refused(vkey):
    with pytest.raises(NoteInvalid):
        checkpoint.verify(NOTE, vkey)


@pytest.mark.parametrize("origin", ["", "a b", "a+b", "a\u00a0b", "a\nb", "a\x00b"])
def test_a_log_is_named_without_spaces_and_plus(origin):
    with pytest.raises(ValueError, match="cannot name a key"):
        checkpoint.sign(origin, 0, ROOT, KEY)
    with pytest.raises(ValueError, match="cannot name a key"):
        signed_note.vkey(origin, KEY.public_key())


def test_nonsense_is_not_signed():
    for size, root, time_s in ((-1, ROOT, None), (0, b"", None), (0, ROOT, -1)):
        with pytest.raises(ValueError, match="0 or more"):
            checkpoint.sign(ORIGIN, size, root, KEY, time_s=time_s)
