"""Backups from the command line: made, drilled, listed, restored, and what is said about each."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from aiops_pipelines.project import Project
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines_tests.commands.small_run import AS_OF, TABLES, refused, stored
from aiops_pipelines_tests.resources.witnessed_shop import book

BY = ("--by", "Mira")


@pytest.fixture
def backup(aiops, data: Path, tmp_path: Path) -> Path:
    """Made and noted."""
    answer = aiops(data, "backup", str(tmp_path / "backup"), *BY)
    assert answer.code == 0
    assert "Backup BAK-" in answer.text and "support: 2 entries, Merkle root" in answer.text
    for left in ("aiops.duckdb: the copy for analysts", "corpus: your own files", "keys: keys, which want"):
        assert left in answer.text
    return tmp_path / "backup"


def test_it_is_made_drilled_listed_and_restored(aiops, data: Path, backup: Path, tmp_path: Path) -> None:
    drilled = aiops(data, "backup", "verify", str(backup), "--by", "Omar")
    assert drilled.code == 0 and "Restored and verified: 2 log entries with the root" in drilled.text
    assert "The backup holds no keys" in drilled.text
    (row,) = stored(data).rows("compliance.restore_drills").rows(named=True)
    assert (row["passed"], row["drilled_by"], row["drilled_at"]) == (True, "Omar", AS_OF)
    listed = aiops(data, "backup", "list")
    assert listed.code == 0 and f"6 Jul 2026 by Mira: {backup}" in listed.text
    assert aiops(data, "audit", "verify").code == 0

    new = tmp_path / "new"
    restored = aiops(new, "restore", str(backup))
    assert restored.code == 0 and "Restored support: 2 log entries" in restored.text
    assert (new.stat().st_mode & 0o777, "nobody else can read" in restored.text) == (0o700, True)
    assert "put the folder keys back" in restored.text and "is in it again" in restored.text
    assert "aiops audit complete NAME FOLDER --by YOU before anything is run" in restored.text
    assert (new / "queries.jsonl").read_bytes() == (data / "queries.jsonl").read_bytes()
    assert aiops(new, "audit", "verify").code == 1  # no key, as was said
    shutil.copytree(data / "keys", new / "keys")
    assert aiops(new, "audit", "verify").code == 0
    refused(aiops(new, "restore", str(backup)), "already, and a backup is restored over nothing")


def test_one_with_keys_says_what_that_means_and_needs_no_others(aiops, data: Path, tmp_path: Path) -> None:
    made = aiops(data, "backup", "--with-keys", str(tmp_path / "b"), *BY)
    assert made.code == 0 and "who has this backup can sign as you" in made.text
    restored = aiops(tmp_path / "new", "restore", str(tmp_path / "b"))
    assert restored.code == 0 and "put the folder keys back" not in restored.text
    assert aiops(tmp_path / "new", "audit", "verify").code == 0


def test_a_damaged_one_fails_its_drill_and_is_not_restored(
    aiops, data: Path, backup: Path, tmp_path: Path
) -> None:
    with (backup / "queries.jsonl").open("a") as file:
        file.write("\n")
    drilled = aiops(data, "backup", "verify", str(backup), *BY)
    assert (
        drilled.code == 1
        and "The restore drill FAILED" in drilled.text
        and "queries.jsonl has" in drilled.text
    )
    refused(aiops(tmp_path / "new", "restore", str(backup)), "The backup is not whole: queries.jsonl has")
    assert stored(data).rows("compliance.restore_drills")["passed"].to_list() == [False]


def test_an_older_state_is_refused_restored_by_name_and_completed(
    aiops, data: Path, backup: Path, tmp_path: Path
) -> None:
    kept, new = data / "audit/support/checkpoint", tmp_path / "new"
    refused(
        aiops(new, "restore", str(backup), "--kept", str(kept)),
        "A checkpoint that was kept vouches for 3 entries of support, and the backup holds 2",
    )
    (tmp_path / "none").write_text("nothing")
    refused(aiops(new, "restore", str(backup), "--kept", str(tmp_path / "none")), "holds no checkpoint")
    done = aiops(new, "restore", str(backup), "--kept", str(kept), "--older")
    assert done.code == 0 and "aiops audit complete support FOLDER" in done.text
    assert "before anything is run" not in done.text and "may have brought back who was erased" in done.text
    shutil.copytree(data / "keys", new / "keys")
    assert "1 entry lost" in aiops(new, "audit", "verify").text
    refused(aiops(new, "audit", "rotate-key", "support", *BY), "aiops audit complete support")
    completed = aiops(new, "audit", "complete", "support", str(data), *BY)
    assert completed.code == 0 and "3 entries were signed, and are there" in completed.text
    assert "Put back 1 of them" in completed.text
    verified = aiops(new, "audit", "verify", "support", "--kept", str(kept))
    assert verified.code == 0 and "Intact: 4 entries" in verified.text


def test_a_drill_where_nothing_was_run_is_made_and_says_that_it_is_not_recorded(
    aiops, data: Path, backup: Path, tmp_path: Path
) -> None:
    shutil.copytree(data / "keys", tmp_path / "bare" / "keys")
    drilled = aiops(tmp_path / "bare", "backup", "verify", str(backup), *BY)
    assert drilled.code == 0 and "The drill is not recorded" in drilled.error
    assert [file.name for file in (tmp_path / "bare").iterdir()] == ["keys"]


def test_a_log_that_cannot_be_signed_is_told_and_backed_up(aiops, data: Path, tmp_path: Path) -> None:
    log = book(Project(data), Warehouse(Project(data).warehouse, TABLES))
    with log._warehouse.writing() as writer:
        writer._connection.execute("delete from compliance.audit_log where entry_index = 1")
    made = aiops(data, "backup", str(tmp_path / "b"), "--by", "Mira K.")
    assert made.code == 1 and "Not noted support: The log of support has 1 entries" in made.text
    assert f"aiops backup verify {tmp_path / 'b'} --by 'Mira K.'" in made.text
    drilled = aiops(data, "backup", "verify", str(tmp_path / "b"), *BY)
    assert drilled.code == 1 and "The drill is not recorded for support" in drilled.error
    assert (tmp_path / "b" / "manifest.json").exists()


def test_what_cannot_be_done_is_a_sentence(aiops, data: Path, backup: Path, tmp_path: Path) -> None:
    refused(aiops(data, "backup", str(backup), *BY), "is there already")
    refused(aiops(tmp_path / "empty", "backup", str(tmp_path / "b"), *BY), "configured")
    refused(aiops(data, "backup", "verify", str(data), *BY), "is no backup: it has no manifest.json")
    no_name = aiops(data, "backup", str(tmp_path / "b"))
    assert no_name.code == 2 and "--by" in no_name.error
    helped = aiops(data, "backup", "--help")
    assert helped.code == 0 and "verify" in helped.text and "list" in helped.text


def test_a_run_that_writes_for_too_long_is_waited_for_and_then_named(
    aiops, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiops_pipelines.resources.backups.WAIT_SECONDS", 0.3)
    script = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(Project(data).warehouse)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writing:
        assert writing.stdout and writing.stdin and writing.stdout.readline() == "open\n"
        refused(aiops(data, "backup", str(tmp_path / "b"), *BY), "The warehouse is being written")
        writing.stdin.close()
    assert not (tmp_path / "b").exists()
    assert aiops(data, "backup", str(tmp_path / "b"), *BY).code == 0
