"""A log with witnesses: what an attacker with every key of the log can do, and what is said when one is away."""

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from aiops_pipelines.compliance import checkpoint
from aiops_pipelines.compliance.merkle import consistency_proof, root_hash
from aiops_pipelines.compliance.quorum import NO_WITNESS
from aiops_pipelines.compliance.witness import Answer, Asked
from aiops_pipelines.project import Project
from aiops_pipelines.resources import witnesses
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.audit_signing import CHECKPOINTS
from aiops_pipelines.resources.proofs import verified
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.resources.witness import Witness
from aiops_pipelines_tests.resources.test_witness import serving
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
    witness_clock,
)

pytestmark = pytest.mark.usefixtures("kept_open")

__all__ = ["witness_clock"]

LATER = timedelta(hours=1)


@pytest.fixture
def kept(tmp_path: Path, witness_clock: None) -> Witness:
    return witness(tmp_path / "w1")


@pytest.fixture
def log(project: Project, warehouse: Warehouse, kept: Witness) -> Iterator[AuditBook]:
    """Five entries, witnessed at three and at five."""
    log = book(project, warehouse)
    named(project, [in_folder(kept)])
    with warehouse.held():
        grow(log, 0, 3)
        kept.trust(log.verifier_key("shop"))
        log.sign("shop", NOW)
        grow(log, 3, 5)
        yield log


def said(log: AuditBook) -> tuple[bool, str]:
    state = log.signing("shop").witnessing()
    return state.met, state.sentence.replace("\xa0", " ")


def contradictions(log: AuditBook) -> list[str]:
    return [finding.message for finding in log.signing("shop").witnessing().findings]


def wipe(project: Project, warehouse: Warehouse) -> None:
    """Take away all that is here of the log, its keys included."""
    for table in ("audit_log", "audit_checkpoints"):
        with warehouse.writing() as writer:
            writer._connection.execute(f"delete from compliance.{table}")
    shutil.rmtree(project.audit)
    shutil.rmtree(project.keys)


def test_a_log_that_grew_is_witnessed(log: AuditBook, project: Project, warehouse: Warehouse) -> None:
    assert said(log) == (True, "Witnessed up to 5 entries by example.com/w1 (1 of 1, 1 needed).")
    assert (found(log), contradictions(log), log.signing("shop").unwitnessed()) == ([], [], [])
    rows = warehouse.rows(CHECKPOINTS).sort("tree_size", "cosigned_by").to_dicts()
    assert [(row["tree_size"], row["quorum"], row["cosigned_by"]) for row in rows] == [
        (3, 1, []),
        (3, 1, ["example.com/w1"]),
        (5, 1, ["example.com/w1"]),
    ]
    assert "example.com/w1" in (project.audit / "shop/checkpoint").read_text()


def test_a09_a_tail_dropped_with_its_newest_checkpoints_is_refused(
    log: AuditBook, project: Project, warehouse: Warehouse
) -> None:
    drop_tail(project, warehouse, 3)
    assert found(log) == []  # by itself the log cannot tell
    assert contradictions(log) == ["2 entries lost: example.com/w1 cosigned 5 and the log ends after 3."]
    assert said(log)[0] is False
    log.sign("shop", NOW + LATER)
    (refusal,) = log.signing("shop").unwitnessed()
    assert refusal.startswith("example.com/w1 refuses (409): it has cosigned 5 entries and the log has 3")


def test_a11_the_same_with_the_witness_off_is_unwitnessed_since(
    log: AuditBook, project: Project, warehouse: Warehouse, kept: Witness
) -> None:
    kept.folder.rename(kept.folder.with_name("away"))
    met, sentence = said(log)  # the control: nothing was dropped, and nobody can say so
    assert not met
    assert sentence.startswith(
        "Unwitnessed since 8 Jun 2026 06:26 UTC (tree size 5). example.com/w1 cannot be asked"
    )
    drop_tail(project, warehouse, 3)
    assert said(log)[1].startswith("Unwitnessed since 8 Jun 2026 06:26 UTC (tree size 3). ")
    assert (found(log), contradictions(log)) == ([], [])
    named(project, [])
    assert said(log) == (
        False,
        "Unwitnessed since 8 Jun 2026 06:26 UTC (tree size 3). The system's file names no witness any more.",
    )


def test_a10_another_history_of_the_same_length_is_refused(
    log: AuditBook, project: Project, warehouse: Warehouse
) -> None:
    drop_tail(project, warehouse, 3)
    log.append("shop", entries(10, 12))
    log.sign("shop", NOW)
    assert found(log) == []
    assert contradictions(log) == [
        "The first 5 entries are not those that example.com/w1 cosigned: the history was rewritten."
    ]
    (refusal,) = log.signing("shop").unwitnessed()
    assert refusal.endswith(
        "refuses (409): It has cosigned other entries than these, so the history was rewritten."
    )


@pytest.mark.parametrize("body", ["", "5\n", "conflict"])
def test_a_refusal_of_other_entries_is_understood_whatever_it_says_beside_its_status(
    log: AuditBook, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    """The protocol gives that answer a status alone."""
    monkeypatch.setattr(Witness, "add_checkpoint", lambda *_: Answer(409, body))
    log.sign("shop", NOW + LATER)
    assert "It has cosigned other entries than these" in log.signing("shop").unwitnessed()[0]


def test_everything_rewritten_under_a_new_key_is_refused(
    log: AuditBook, project: Project, warehouse: Warehouse
) -> None:
    wipe(project, warehouse)
    grow(log, 0, 5)
    assert found(log) == []
    assert contradictions(log) == [
        "example.com/w1 cosigned a checkpoint that no key of this log signed: it was replaced."
    ]


def test_a_log_that_never_had_a_witness_says_so(project: Project, warehouse: Warehouse) -> None:
    log = book(project, warehouse)
    grow(log, 0, 3)  # there is no file of the system at all
    assert said(log) == (False, NO_WITNESS)
    assert not log.signing("shop").witnessing().unmet
    assert warehouse.rows(CHECKPOINTS)["quorum"].to_list() == [None]


@pytest.mark.shares_the_file
def test_a_log_without_an_entry_is_new_if_its_witnesses_say_so(
    project: Project, warehouse: Warehouse, kept: Witness
) -> None:
    named(project, [in_folder(kept)])
    empty = verified(project, "shop")
    assert (empty.exit_code, [text for _, text in empty.lines()][1:]) == (
        0,
        ["Its witnesses have seen nothing of this log either."],
    )
    kept.folder.rename(kept.folder.with_name("away"))
    assert verified(project, "shop").exit_code == 3  # it may be one that was wiped


@pytest.mark.shares_the_file
def test_a_log_that_was_wiped_is_not_new_while_one_witness_remembers_it(
    project: Project, warehouse: Warehouse, kept: Witness, tmp_path: Path
) -> None:
    """One is enough to vouch; that another saw nothing does not outvote the one that saw entries."""
    log = book(project, warehouse)
    log.keys.signing("shop")
    kept.trust(log.verifier_key("shop"))
    named(project, [in_folder(kept), in_folder(witness(tmp_path / "idle", "example.com/idle"))])
    grow(log, 0, 5)
    with warehouse.writing() as writer:
        for table in ("audit_log", "audit_checkpoints"):
            writer._connection.execute(f"delete from compliance.{table}")
    shutil.rmtree(project.audit)
    shutil.rmtree(project.keys)
    wiped = verified(project, "shop")
    assert wiped.exit_code == 1
    assert any("it was replaced" in text for _, text in wiped.lines())


def test_a_log_that_was_wiped_with_its_keys_is_not_new(
    log: AuditBook, project: Project, warehouse: Warehouse
) -> None:
    wipe(project, warehouse)
    assert contradictions(log) == [
        "example.com/w1 cosigned a checkpoint that no key of this log signed: it was replaced."
    ]


# --- witnesses that are away


def test_an_unreachable_witness_stops_nothing_and_is_caught_up_with(log: AuditBook, kept: Witness) -> None:
    kept.folder.rename(kept.folder.with_name("away"))
    for last in (7, 9):
        assert grow(log, last - 2, last) == last
    (why,) = log.signing("shop").unwitnessed()
    assert why.startswith("example.com/w1 cannot be asked: There is no witness in ")
    kept.folder.with_name("away").rename(kept.folder)
    assert said(log) == (
        False,
        "Unwitnessed since 8 Jun 2026 06:26 UTC (tree size 5). example.com/w1 has cosigned 5 of 9 entries.",
    )
    assert log.sign("shop", NOW) == 9  # nothing is new and it is not idle, but a witness is back
    assert said(log)[0] and log.signing("shop").unwitnessed() == []


def test_while_no_witness_cosigns_a_log_in_which_nothing_happens_is_signed_hourly(
    log: AuditBook, kept: Witness, warehouse: Warehouse
) -> None:
    kept.folder.rename(kept.folder.with_name("away"))
    grow(log, 5, 6)
    rows = warehouse.rows(CHECKPOINTS).height
    log.sign("shop", NOW + timedelta(minutes=59))
    assert warehouse.rows(CHECKPOINTS).height == rows
    log.sign("shop", NOW + timedelta(minutes=60))
    assert warehouse.rows(CHECKPOINTS).height == rows + 1


def test_a_witness_that_hangs_is_left_behind(
    log: AuditBook, project: Project, kept: Witness, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    slow = witness(tmp_path / "w2", "example.com/w2")
    slow.trust(log.verifier_key("shop"))
    named(project, [in_folder(kept), in_folder(slow)], quorum=2)
    answer, free = Witness.add_checkpoint, threading.Event()

    def hangs(self: Witness, body: str) -> object:
        if self.folder == slow.folder:
            free.wait(30)
        return answer(self, body)

    monkeypatch.setattr(Witness, "add_checkpoint", hangs)
    monkeypatch.setattr(witnesses.cosign_all, "__defaults__", (1.0,))
    began = time.monotonic()
    assert grow(log, 5, 6) == 6
    assert time.monotonic() - began < 10
    assert log.signing("shop").unwitnessed() == ["example.com/w2 did not answer within 1 seconds."]
    assert said(log)[0] is False
    free.set()
    monkeypatch.setattr(Witness, "add_checkpoint", answer)
    time.sleep(0.2)  # the late answer is the witness's state; the log goes on from there
    log.sign("shop", NOW)
    assert said(log) == (
        True,
        "Witnessed up to 6 entries by example.com/w1 and example.com/w2 (2 of 2, 2 needed).",
    )


def test_of_three_two_are_enough(log: AuditBook, project: Project, kept: Witness, tmp_path: Path) -> None:
    others = [witness(tmp_path / name, f"example.com/{name}") for name in ("w2", "w3")]
    for other in others:
        other.trust(log.verifier_key("shop"))
    named(project, [in_folder(one) for one in (kept, *others)], quorum=2)
    log.sign("shop", NOW)
    assert said(log)[0]
    shutil.rmtree(others[0].folder)
    met, sentence = said(log)
    assert met and "(2 of 3, 2 needed). example.com/w2 cannot be asked" in sentence
    shutil.rmtree(others[1].folder)
    assert said(log)[0] is False


def test_a_witness_over_http_is_one_in_a_folder(log: AuditBook, project: Project, kept: Witness) -> None:
    with serving(kept) as port:
        url = f"http://127.0.0.1:{port}"
        named(project, [{"vkey": kept.vkey, "url": url}])
        assert grow(log, 5, 300) == 300
        assert said(log)[0] and log.signing("shop").unwitnessed() == []
    assert grow(log, 300, 301) == 301
    assert log.signing("shop").unwitnessed() == ["example.com/w1 cannot be asked: Connection refused."]
    assert said(log)[1].startswith("Unwitnessed since 8 Jun 2026 06:26 UTC (tree size 300).")


# --- witnesses that lie


def test_a_cosignature_of_another_key_is_none(
    log: AuditBook, project: Project, kept: Witness, tmp_path: Path
) -> None:
    stranger = witness(tmp_path / "w2")  # of the same name
    stranger.trust(log.verifier_key("shop"))
    named(project, [{"vkey": kept.vkey, "folder": str(stranger.folder)}])
    grow(log, 5, 6)
    assert log.signing("shop").unwitnessed() == ["example.com/w1 sent no signature of its own."]
    assert "showed a checkpoint that it did not cosign" in said(log)[1]


def test_a_cosignature_put_under_another_checkpoint_counts_for_nothing(
    log: AuditBook, project: Project, kept: Witness
) -> None:
    kept.folder.rename(kept.folder.with_name("away"))
    old = (project.audit / "shop/checkpoint").read_text()
    grow(log, 5, 6)
    file = project.audit / "shop/checkpoints/6.note"
    file.write_text(file.read_text() + old.splitlines()[-1] + "\n")
    assert "(tree size 5)" in said(log)[1]


# --- crashes


def test_killed_between_cosigning_and_writing_the_next_run_goes_on(
    log: AuditBook, kept: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The witness is ahead of what is published; the rows stand, so nothing contradicts anything."""
    log.append("shop", entries(5, 8))

    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    monkeypatch.setattr("aiops_pipelines.resources.audit_files.AuditFiles.publish", die)
    with pytest.raises(Killed):
        log.sign("shop", NOW)
    monkeypatch.undo()
    assert (log.signed_size("shop"), found(log), contradictions(log)) == (5, [], [])
    assert said(log)[0]  # up to what is published, the witness vouches
    assert log.sign("shop", NOW) == 8
    assert (said(log)[0], found(log)) == (True, [])


def test_killed_so_and_then_cut_is_found(
    log: AuditBook, kept: Witness, project: Project, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.append("shop", entries(5, 8))
    leaves = warehouse.rows("compliance.audit_log").sort("entry_index")["leaf_hash"].to_list()
    note = checkpoint.sign("aiops_pipelines/shop", 8, root_hash(leaves), log.keys.signing("shop"))
    assert kept.add_checkpoint(Asked(5, tuple(consistency_proof(leaves, 5, 8)), note).body()).status == 200
    with warehouse.writing() as writer:
        writer._connection.execute("delete from compliance.audit_log where entry_index >= 5")
    assert found(log) == []
    assert contradictions(log) == ["3 entries lost: example.com/w1 cosigned 8 and the log ends after 5."]


DIES = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from aiops_pipelines.project import Project, ROOT
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.keys import Keys
from aiops_pipelines.resources.tables import declared_tables
from aiops_pipelines.resources.warehouse import Warehouse
at, project, seen = sys.argv[2], Project(Path(sys.argv[1])), []
warehouse = Warehouse(project.warehouse, declared_tables(ROOT / "dbt_project"))
warehouse._ready = True
def die(event, arguments):
    if event == "os.rename":
        seen.append("/".join(str(arguments[1]).split("/")[-2:-1]))
        if at in seen:
            os.kill(os.getpid(), 9)
sys.addaudithook(die)
AuditBook(project, warehouse, Keys(project.keys)).sign("shop", datetime(2026, 6, 9, tzinfo=UTC))
"""


@pytest.mark.parametrize(
    ("at", "witnessed"),
    [("state", 3), ("checkpoints", 8), ("nowhere", 8)],
    ids=["before the witness keeps it", "after it cosigned, before the log publishes", "not at all"],
)
@pytest.mark.shares_the_file
def test_a_killed_process_leaves_log_and_witness_able_to_go_on(
    project: Project, warehouse: Warehouse, kept: Witness, at: str, witnessed: int
) -> None:
    log = book(project, warehouse)
    named(project, [in_folder(kept)])
    grow(log, 0, 3)
    kept.trust(log.verifier_key("shop"))
    log.sign("shop", NOW)
    log.append("shop", entries(3, 8))
    command = [sys.executable, "-c", DIES, str(project.data), at]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == (0 if at == "nowhere" else -9), done.stderr
    (shown,) = kept.checkpoints()
    assert checkpoint.verify(shown, log.verifier_key("shop")).size == witnessed
    assert (found(log), contradictions(log)) == ([], [])
    assert log.sign("shop", NOW + LATER * 48) == 8
    assert (said(log)[0], found(log), log.signing("shop").unwitnessed()) == (True, [], [])
