"""Rotating and revoking the key that signs a log (A16), with the thief's signatures and with kills in between."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aiops_pipelines.compliance import checkpoint, signed_note
from aiops_pipelines.compliance.key_history import KINDS, revocation_entry, rotation_entry
from aiops_pipelines.compliance.merkle import leaf_hash, root_hash
from aiops_pipelines.project import Project
from aiops_pipelines.resources import auditor
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.audit_keys import KeyChangeRefused, revoke_key, rotate_key
from aiops_pipelines.resources.audit_signing import LogForked, SigningKeyMissing, origin
from aiops_pipelines.resources.keys import Keys
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.resources.witness import Witness
from aiops_pipelines.systems import System
from aiops_pipelines_tests.resources.test_auditor import failed, ran
from aiops_pipelines_tests.resources.witnessed_shop import (
    NOW,
    book,
    drop_tail,
    entries,
    found,
    grow,
    in_folder,
    named,
    witness,
)

pytestmark = pytest.mark.usefixtures("kept_open")

ORIGIN = origin("shop")


@pytest.fixture
def shop(project: Project) -> System:
    return named(project, [])


@pytest.fixture
def log(project: Project, warehouse: Warehouse, shop: System) -> Iterator[AuditBook]:
    """Three entries, signed."""
    log = book(project, warehouse)
    with warehouse.held():
        grow(log, 0, 3)
        yield log


def stolen(log: AuditBook) -> Ed25519PrivateKey:
    return log.keys.signing("shop")


def leaves(warehouse: Warehouse) -> list[bytes]:
    return warehouse.rows("compliance.audit_log").sort("entry_index")["leaf_hash"].to_list()


def signs(
    project: Project, warehouse: Warehouse, key: Ed25519PrivateKey, size: int, root: bytes = b""
) -> Path:
    """Let a thief put a checkpoint among those of the log."""
    note = checkpoint.sign(ORIGIN, size, root or root_hash(leaves(warehouse)[:size]), key)
    file = project.audit / "shop/checkpoints" / f"{size:07d}.note"
    file.write_text(note)
    return file


def bundle(project: Project, warehouse: Warehouse, folder: Path) -> Path:
    auditor.write(folder, auditor.Bundle(project, warehouse, "shop").whole())
    return folder


# --- rotation


def test_after_a_rotation_old_and_new_signatures_hold_for_their_sizes(
    log: AuditBook, shop: System, project: Project, warehouse: Warehouse, tmp_path: Path
) -> None:
    old = log.verifier_key("shop")
    before = bundle(project, warehouse, tmp_path / "before")
    new = rotate_key(log, shop, "mira", NOW)
    assert (
        new != old
        and new == log.verifier_key("shop") == (project.audit / "shop/keys.txt").read_text().strip()
    )
    assert grow(log, 3, 6) == 7
    assert found(log) == []
    both = (project.audit / "shop/checkpoints/4.note").read_text()
    assert checkpoint.verify(both, old).size == checkpoint.verify(both, new).size == 4  # signed by either
    after = bundle(project, warehouse, tmp_path / "after")
    for folder, key in ((before, old), (after, old), (after, new)):
        assert failed(folder, "--key", key) == []
    (line, *_) = failed(before, "--key", new)
    assert "is not signed by" in line  # the new key vouches for nothing from before it, without the log


def test_the_old_private_key_is_gone_and_the_entry_names_nobody_elses(
    log: AuditBook, shop: System, project: Project
) -> None:
    old = (project.keys / "shop/checkpoint.pem").read_bytes()
    rotate_key(log, shop, "mira", NOW)
    files = list((project.keys / "shop").iterdir())
    assert [file.name for file in files] == ["checkpoint.pem"] and files[0].read_bytes() != old


def test_the_old_key_signs_nothing_after_its_rotation(
    log: AuditBook, shop: System, project: Project, warehouse: Warehouse, tmp_path: Path
) -> None:
    thief = stolen(log)
    rotate_key(log, shop, "mira", NOW)
    grow(log, 3, 6)
    assert (found(log), failed(bundle(project, warehouse, tmp_path / "control"))) == ([], [])
    signs(project, warehouse, thief, 6)  # the very entries, by a key that may not
    (said,) = found(log)
    assert "It signs 6 entries with aiops_pipelines/shop+" in said and "was followed by another" in said
    (line,) = failed(bundle(project, warehouse, tmp_path / "b"))
    assert "its key was not in force at 6 entries" in line


def test_a_rotation_that_the_old_key_did_not_sign_changes_nothing(
    log: AuditBook, shop: System, project: Project, warehouse: Warehouse
) -> None:
    """Who can write rows, and let the next run sign them, still gets no key in force."""
    strangers = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    log.append("shop", [rotation_entry("shop", strangers, ORIGIN, "mallory", NOW)])
    log.append("shop", [revocation_entry("shop", log.verifier_key("shop"), 1, strangers[0], "m", "x", NOW)])
    log.sign("shop", NOW)
    assert len(found(log)) == 2 and all("changes no key" in message for message in found(log))
    new = (project.audit / "shop/checkpoint").read_text()
    assert checkpoint.verify(new, log.verifier_key("shop")).size == 5


def test_a_strangers_rotation_keeps_nobody_from_revoking_the_key(log: AuditBook, shop: System) -> None:
    strangers = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    log.append("shop", [rotation_entry("shop", strangers, ORIGIN, "mallory", NOW)])
    log.sign("shop", NOW)
    old = log.verifier_key("shop")
    new = revoke_key(log, shop, None, 3, "mira", "Somebody was in the database.", NOW)
    keys = log.signing("shop").history()[0].keys
    assert [(key.vkey, key.last) for key in keys] == [(old, 3), (new, None)]
    (said,) = found(log)
    assert "Entry 3 " in said and "changes no key" in said


def test_an_edited_rotation_is_found(log: AuditBook, shop: System, warehouse: Warehouse) -> None:
    rotate_key(log, shop, "mira", NOW)
    row = warehouse.rows("compliance.audit_log", kind=KINDS[0]).row(0, named=True)
    thief = signed_note.vkey(ORIGIN, Ed25519PrivateKey.generate().public_key())
    edited = row["leaf"].replace(log.verifier_key("shop").encode(), thief.encode())
    assert edited != row["leaf"]
    with warehouse.writing() as writer:
        writer._connection.execute(
            "update compliance.audit_log set leaf = ?, leaf_hash = ? where entry_index = 3",
            [edited, leaf_hash(edited)],
        )
    assert any("Entry 3" in message and "changes no key" in message for message in found(log))


def test_a_restored_old_key_signs_nothing(log: AuditBook, shop: System, project: Project) -> None:
    backup = (project.keys / "shop/checkpoint.pem").read_bytes()
    rotate_key(log, shop, "mira", NOW)
    (project.keys / "shop/checkpoint.pem").write_bytes(backup)
    log.append("shop", entries(3, 5))
    with pytest.raises(SigningKeyMissing, match="may not sign the log any more"):
        log.sign("shop", NOW)
    assert any("is not the one that the log says is in force" in message for message in found(log))


def test_a_witness_goes_along_with_a_rotation_and_then_wants_the_new_key(
    log: AuditBook, project: Project, tmp_path: Path
) -> None:
    kept = witness(tmp_path / "w")
    kept.trust(log.verifier_key("shop"))
    shop = named(project, [in_folder(kept)])
    rotate_key(log, shop, "mira", NOW)
    assert log.signing("shop").witnessing().met  # both keys signed that checkpoint
    grow(log, 3, 5)
    assert "refuses (403)" in log.signing("shop").unwitnessed()[0]
    kept.trust(log.verifier_key("shop"))
    log.sign("shop", NOW)
    assert log.signing("shop").witnessing().met and found(log) == []


# --- revocation


def test_a16_signatures_of_a_stolen_key_after_its_revocation_are_rejected(
    log: AuditBook, shop: System, project: Project, warehouse: Warehouse, tmp_path: Path
) -> None:
    thief = stolen(log)
    new = revoke_key(log, shop, None, None, "mira", "The laptop of eve@example.com was stolen.", NOW)
    grow(log, 3, 8)
    assert found(log) == []  # what it signed before still counts
    assert failed(bundle(project, warehouse, tmp_path / "control"), "--key", new) == []
    for size in (5, 9):
        file = signs(project, warehouse, thief, size)
        (said,) = found(log)
        assert (
            f"It signs {size} entries" in said
            and "was revoked from 3 entries on: The laptop of [EMAIL] was stolen." in said
        )
        (line,) = failed(bundle(project, warehouse, tmp_path / f"b{size}"))
        assert f"its key was not in force at {size} entries" in line
        file.unlink()
    forged = signs(project, warehouse, thief, 9, bytes(32))  # another history
    assert any("Whoever has that key signed it" in message for message in found(log))
    shutil.copyfile(forged, project.audit / "shop/checkpoint")
    forged.unlink()
    assert len(found(log)) == 1  # as the newest one too


def test_before_the_revocation_the_thief_could(
    log: AuditBook, project: Project, warehouse: Warehouse
) -> None:
    """The control: without the revocation the same signature is one of the log's."""
    grow(log, 3, 8)
    signs(project, warehouse, stolen(log), 6)
    assert found(log) == []


def test_from_an_earlier_size_on_what_was_signed_since_counts_for_nothing_and_is_no_forgery(
    log: AuditBook, shop: System, project: Project, warehouse: Warehouse, tmp_path: Path
) -> None:
    grow(log, 3, 6)
    revoke_key(log, shop, None, 3, "mira", "It leaked.", NOW)
    assert found(log) == []
    notes = [f.message for f in log.verify("shop")[0]]
    assert len(notes) == 1 and "signs 6 entries" in notes[0] and "It proves nothing any more" in notes[0]
    assert failed(bundle(project, warehouse, tmp_path / "b")) == []
    signs(project, warehouse, log.keys.signing("shop"), 8)  # the new key may
    assert found(log) == []


def test_whatever_is_written_into_a_reason_the_key_is_revoked(log: AuditBook, shop: System) -> None:
    revoke_key(log, shop, None, None, "mira", "It\x00 leaked,\x1b[31m\nall of \u202eit. ", NOW)
    revoked, current = log.signing("shop").history()[0].keys
    assert (revoked.last, current.last) == (3, None)
    assert revoked.why == "was revoked from 3 entries on: It<U+0000> leaked,<U+001B>[31m all of <U+202E>it."
    assert found(log) == []


def test_a_key_is_changed_by_somebody_and_revoked_for_a_reason(log: AuditBook, shop: System) -> None:
    with pytest.raises(KeyChangeRefused, match="by somebody: --by NAME"):
        rotate_key(log, shop, " ", NOW)
    for by, reason in ((" ", "It leaked."), ("mira", " \n")):
        with pytest.raises(KeyChangeRefused, match="by somebody and for a reason"):
            revoke_key(log, shop, None, None, by, reason, NOW)
    assert log.signing("shop").size() == 3


def test_a_key_of_before_can_be_revoked_and_only_further_back(log: AuditBook, shop: System) -> None:
    first = log.verifier_key("shop")
    second = rotate_key(log, shop, "mira", NOW)
    identity = first.split("+")[1]
    assert revoke_key(log, shop, identity, 2, "mira", "Found in a backup.", NOW) == second
    with pytest.raises(KeyChangeRefused, match="counts up to 2 entries already"):
        revoke_key(log, shop, first, 3, "mira", "Again.", NOW)
    with pytest.raises(KeyChangeRefused, match="has no key abcdef01"):
        revoke_key(log, shop, "abcdef01", None, "mira", "Typo.", NOW)
    with pytest.raises(KeyChangeRefused, match="tree size of 0 to 5"):
        revoke_key(log, shop, None, 6, "mira", "Later.", NOW)
    assert found(log) == []


def test_a_log_that_is_not_whole_or_not_signed_keeps_its_key(
    log: AuditBook, shop: System, warehouse: Warehouse, project: Project
) -> None:
    key = log.verifier_key("shop")
    with warehouse.writing() as writer:
        writer._connection.execute("delete from compliance.audit_log where entry_index = 2")
    with pytest.raises(KeyChangeRefused, match="is not whole"):
        rotate_key(log, shop, "mira", NOW)
    with pytest.raises(KeyChangeRefused, match="No checkpoint of desk is signed yet"):
        rotate_key(log, shop.model_copy(update={"name": "desk"}), "mira", NOW)
    assert log.verifier_key("shop") == key and not log.keys.has_signing("desk")


def test_a_log_that_is_older_than_what_was_published_of_it_keeps_its_key(
    log: AuditBook, shop: System, warehouse: Warehouse, project: Project
) -> None:
    """An older warehouse beside newer files: a rotation would be signed as a second history."""
    key, newest = log.verifier_key("shop"), project.audit / "shop" / "checkpoint"
    grow(log, 3, 5)
    note = newest.read_text()
    drop_tail(project, warehouse, 3)
    newest.write_text(note)
    with pytest.raises(LogForked):
        rotate_key(log, shop, "mira", NOW)
    with pytest.raises(LogForked):
        revoke_key(log, shop, None, None, "mira", "It leaked.", NOW)
    assert log.verifier_key("shop") == key and log.verify("shop")[1] == 3


# --- single entries, and kills


def test_a_single_entry_brings_the_changes_of_keys_along(
    log: AuditBook, shop: System, project: Project, warehouse: Warehouse, tmp_path: Path
) -> None:
    first = log.verifier_key("shop")
    rotate_key(log, shop, "mira", NOW)
    grow(log, 3, 5)
    made = auditor.Bundle(project, warehouse, "shop")
    entry = warehouse.rows("compliance.audit_log", entry_index=1)["entry_id"][0]
    auditor.write(tmp_path / "b", [made.single([entry], False, Keys(project.keys))])
    code, said = ran(tmp_path / "b", "--key", first)  # the key that the auditor was given years ago
    assert code == 0 and "The change of keys 3 is in the log" in said and "Entry 1 is in the log" in said
    shutil.rmtree(tmp_path / "b/keys")
    assert "is not signed by" in failed(tmp_path / "b", "--key", first)[0]


DIES = """
import os, sys
from datetime import UTC, datetime
from aiops_pipelines.project import Project, ROOT
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.audit_keys import rotate_key
from aiops_pipelines.resources.keys import Keys
from aiops_pipelines.resources.tables import declared_tables
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import load_system
from pathlib import Path
at, seen, project = int(sys.argv[2]), 0, Project(Path(sys.argv[1]))
warehouse = Warehouse(project.warehouse, declared_tables(ROOT / "dbt_project"))
warehouse._ready = True
shop = load_system(project.systems / "shop.yaml", project.data)
def die(event, arguments):
    global seen
    if event in ("os.rename", "os.link"):
        seen += 1
        if seen == at:
            os.kill(os.getpid(), 9)
sys.addaudithook(die)
rotate_key(AuditBook(project, warehouse, Keys(project.keys)), shop, "mira", datetime(2026, 6, 9, tzinfo=UTC))
print(seen)
"""


@pytest.mark.parametrize("at", [2, 7, 99, *(pytest.param(at, marks=pytest.mark.slow) for at in (1, 4, 6))])
@pytest.mark.shares_the_file
def test_killed_while_it_rotates_the_next_run_goes_on(
    project: Project, warehouse: Warehouse, shop: System, at: int
) -> None:
    log = book(project, warehouse)
    grow(log, 0, 3)
    old = log.verifier_key("shop")
    command = [sys.executable, "-c", DIES, str(project.data), str(at)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ)
    assert done.returncode == (0 if at == 99 else -9), done.stderr
    assert found(log) == []
    grow(log, 3, 5)
    assert found(log) == []
    rotate_key(log, shop, "mira", NOW)
    assert log.verifier_key("shop") != old and not log.keys.has_next("shop")
    assert found(log) == []


def stopped(*_: object) -> None:
    raise KeyboardInterrupt


def test_stopped_before_the_old_key_is_dropped_it_is_dropped_later(
    log: AuditBook, shop: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = log.verifier_key("shop")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Keys, "promote", stopped)
        rotate_key(log, shop, "mira", NOW)
    assert log.keys.has_next("shop")
    second = rotate_key(log, shop, "mira", NOW)
    assert second != old and not log.keys.has_next("shop")
    assert revoke_key(log, shop, None, None, "mira", "It leaked.", NOW) not in (old, second)
    grow(log, 3, 5)
    assert found(log) == []


def test_a_key_that_waits_does_not_take_the_place_of_one_that_was_lost(
    log: AuditBook, shop: System, project: Project
) -> None:
    log.keys.next_signing("shop")  # made for a rotation that went no further
    (project.keys / "shop/checkpoint.pem").unlink()
    log.sign("shop", NOW)
    assert not log.keys.has_signing("shop")
    with pytest.raises(SigningKeyMissing, match="is missing"):
        grow(log, 3, 5)
    assert not log.keys.has_signing("shop")


def test_a_revocation_that_was_stopped_and_is_asked_for_again_revokes_no_second_key(
    log: AuditBook, shop: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(log, "sign", stopped)
        revoke_key(log, shop, None, None, "mira", "It leaked.", NOW)
    revoke_key(log, shop, None, None, "mira", "It leaked.", NOW)
    keys = log.signing("shop").history()[0].keys
    assert [key.honest >= 0 for key in keys] == [True, False]
    assert found(log) == []


def test_witnesses_and_logs_do_not_take_each_others_keys(log: AuditBook, tmp_path: Path) -> None:
    kept = Witness(tmp_path / "w")
    vkey = kept.create("example.com/w1")
    with pytest.raises(Exception, match="A verifier key is"):
        kept.trust(vkey)
