"""One person erased: gone from every byte, and everything that is not about them as it was."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aiops_pipelines.compliance import leaf
from aiops_pipelines.compliance.audit_log import decision_entry
from aiops_pipelines.drift.evidence import fingerprint
from aiops_pipelines.project import Project
from aiops_pipelines.resources import auditor
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.audit_signing import LogForked, SigningKeyMissing
from aiops_pipelines.resources.completion import due_months, due_weeks
from aiops_pipelines.resources.erasing import Eraser, ErasureError, Outcome, Request
from aiops_pipelines.resources.holds import Covered, place, release
from aiops_pipelines.resources.keys import Keys
from aiops_pipelines.resources.published import ReadOnlyWarehouse
from aiops_pipelines.resources.tables import Table
from aiops_pipelines.resources.warehouse import Warehouse, WarehouseBusy
from aiops_pipelines_tests.resources.audited_shop import rows
from aiops_pipelines_tests.resources.two_people import (
    ADA,
    BOB,
    NOW,
    OF_ADA,
    OF_BOB,
    SESSION,
    calls,
    derive,
    files,
    fill,
    frame,
    in_rows,
    lines,
    named,
    publish,
    read_log,
    shop,
    write_log,
)

ASKED = Request(ADA, "Mary", "She asked for it", date(2026, 7, 30))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tables: dict[str, Table]) -> Path:
    """The data folder of the shop, made once."""
    project = Project(tmp_path_factory.mktemp("two_people") / "data")
    warehouse = Warehouse(project.warehouse, tables)
    warehouse.prepare()
    with warehouse.held():
        fill(project, warehouse)
    derive(project, warehouse)
    return project.data


@pytest.fixture
def warehouse(made: Path, project: Project, tables: dict[str, Table]) -> Warehouse:
    shutil.copytree(made, project.data)
    return Warehouse(project.warehouse, tables)


@pytest.fixture
def book(project: Project, warehouse: Warehouse) -> AuditBook:
    return AuditBook(project, warehouse, Keys(project.keys))


def erase(project: Project, warehouse: Warehouse, book: AuditBook, request: Request = ASKED) -> Outcome:
    system = shop(project)
    eraser = Eraser(project, warehouse, book, [system])
    (outcome,) = eraser.erase([system], request, lambda: NOW, lambda: publish(project, warehouse))
    return outcome


@dataclass(frozen=True)
class Erased:
    """What a test is given in whose data folder she is erased already; `before` is the folder as it was."""

    outcome: Outcome
    before: Warehouse


@pytest.fixture(scope="module")
def done(
    made: Path, tmp_path_factory: pytest.TempPathFactory, tables: dict[str, Table]
) -> tuple[Path, Outcome]:
    """The data folder after she was erased, made once."""
    data = tmp_path_factory.mktemp("erased") / "data"
    shutil.copytree(made, data)
    project = Project(data)
    warehouse = Warehouse(project.warehouse, tables)
    return data, erase(project, warehouse, AuditBook(project, warehouse, Keys(project.keys)))


@pytest.fixture
def erased(
    done: tuple[Path, Outcome], made: Path, project: Project, warehouse: Warehouse, tables: dict[str, Table]
) -> Erased:
    """Put the data folder after the erasure in the place of the one before."""
    data, outcome = done
    shutil.rmtree(project.data)
    shutil.copytree(data, project.data)
    return Erased(outcome, Warehouse(Project(made).warehouse, tables))


def test_before_the_erasure_she_is_everywhere(
    project: Project, warehouse: Warehouse, book: AuditBook
) -> None:
    """The control: a search that finds nothing here would prove nothing afterwards."""
    found = named(project, OF_ADA)
    assert {name.partition("/")[0] for name in found} >= {
        "dagster",
        "notifications",
        "reports",
        "aiops.new-123",
        "warehouse",
    }
    assert ADA in found["dagster/run.log"] and any(name.endswith(".db") for name in found)
    assert {one for held in in_rows(warehouse, OF_ADA).values() for one in held} == set(OF_ADA)


def test_she_is_gone_from_every_byte_and_every_row(
    project: Project, warehouse: Warehouse, erased: Erased
) -> None:
    """Fault E01."""
    outcome = erased.outcome
    assert named(project, OF_ADA) == {} and in_rows(warehouse, OF_ADA) == {}
    assert outcome.left == {} and outcome.rows == {
        "inference_log.inferences": 4,
        "inference_log.feedback": 2,
        "inference_log.quarantine": 2,
        "monitoring.quality_scores": 3,
        "monitoring.baseline_scores": 3,
        "incidents.diagnoses": 1,
    }
    assert outcome.sources == {"july.jsonl": [1, 2, 4, 8, 9]} and outcome.erased_at == NOW
    assert not [name for name in files(project.data) if "new-" in name or name.endswith(".wal")]
    assert not (project.warehouse.parent / "drill-0x").exists()


def test_he_and_what_was_spent_are_as_before(project: Project, warehouse: Warehouse, erased: Erased) -> None:
    before = frame(erased.before, "inference_log.inferences", "event_id")
    scores = frame(erased.before, "monitoring.quality_scores", "event_id")
    after = frame(warehouse, "inference_log.inferences", "event_id")
    about_people = ["user_id", "session_id", "query", "answer", "texts_deleted_at"]
    assert after.drop(about_people).equals(before.drop(about_people))
    others = pl.col("event_id").is_in(["e5", "e6", "e7"])
    assert after.filter(others).equals(before.filter(others))
    keys, sessions = (dict(after.select("event_id", name).iter_rows()) for name in ("user_id", "session_id"))
    assert keys["e1"] == keys["e2"] == keys["e4"] != keys["e5"] and keys["e3"] is None
    assert keys["e1"].startswith("erased-") and sessions["e1"] == sessions["e3"] != sessions["e4"]
    new = frame(warehouse, "monitoring.quality_scores", "event_id")
    assert new.drop("cluster").equals(scores.drop("cluster"))
    assert new["cluster"].to_list() == [keys["e1"], keys["e2"], sessions["e3"], BOB, BOB]
    feedback = frame(warehouse, "inference_log.feedback", "feedback_id")
    assert feedback["label"].to_list() == [None, None, "Good"] and feedback["rating"].to_list() == [-1] * 3
    assert feedback["session_id"][1] == sessions["e1"]
    rows = json.loads(warehouse.rows("incidents.diagnoses")["answer"][0])["rows"]
    assert rows == [[keys["e1"], "[erased]", 2], [BOB, calls()[4]["query"], 1]]
    page = (project.reports / "shop" / "weekly" / "2026-07-06.html").read_text()
    assert page == f"<p>[erased] asked 2 times, {BOB} once.</p>"
    assert set(OF_BOB) <= {one for held in in_rows(warehouse, OF_BOB).values() for one in held}


def test_nothing_is_due_again_and_the_baseline_holds(
    project: Project, warehouse: Warehouse, erased: Erased
) -> None:
    """Her key stands in what periods and baselines are fingerprinted by."""
    system = shop(project)
    old = erased.before.rows("monitoring.baselines")["fingerprint"].to_list()
    for books in (erased.before, warehouse):
        assert due_weeks(books, system, NOW) == due_months(books, system, NOW) == []
    (new,) = warehouse.rows("monitoring.baselines")["fingerprint"].to_list()
    assert new == fingerprint(warehouse.rows("monitoring.baseline_scores")) != old[0]


def test_a_baseline_that_was_edited_before_is_still_one_that_was_edited(
    project: Project, warehouse: Warehouse, book: AuditBook
) -> None:
    with warehouse.writing() as writer:
        writer._connection.execute("update monitoring.baseline_scores set value = 0.1 where unit = 'e5'")
    erase(project, warehouse, book)
    (kept,) = warehouse.rows("monitoring.baselines")["fingerprint"].to_list()
    assert kept != fingerprint(warehouse.rows("monitoring.baseline_scores"))


def test_the_log_verifies_and_names_nobody(
    project: Project, warehouse: Warehouse, book: AuditBook, erased: Erased
) -> None:
    findings = book.verify("shop")[0]
    assert [(one.severity, one.message[:40]) for one in findings] == [
        ("note", "4 calls were of people who were erased, ")
    ]
    log = warehouse.rows("compliance.audit_log").sort("entry_index")
    said = leaf.decode(log["leaf"][-1])
    assert (said["kind"], said["actor"], said["details"]["entries"]) == (
        "decision.person_erased",
        "Mary",
        ["0-3"],
    )
    kept = [book.keys.kept_subject("shop", one) is not None for one in (ADA, SESSION, BOB)]
    assert kept == [False, False, True]  # what her key closed is closed for good
    (row,) = warehouse.rows("compliance.erasures").rows(named=True)
    assert (row["status"], row["calls"], row["left_over"], row["in_sources"]) == ("erased", 4, 0, 5)
    assert row["rewritten_at"] == row["scanned_at"] == NOW
    bundle = project.data.parent / "bundle"
    auditor.write(bundle, auditor.Bundle(project, warehouse, "shop").whole())
    done = subprocess.run(["python3", "verify.py"], cwd=bundle, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert not [file for file in bundle.rglob("*") if file.is_file() and ADA.encode() in file.read_bytes()]


@pytest.mark.parametrize(
    "edit",
    ["status = 'error'", "latency_ms = 9", "query = 'A text of somebody'"],
)
def test_an_erased_call_can_still_not_be_edited(
    warehouse: Warehouse, book: AuditBook, erased: Erased, edit: str
) -> None:
    with warehouse.writing() as writer:
        writer._connection.execute(f"update inference_log.inferences set {edit} where event_id = 'e1'")
    assert {one.severity for one in book.verify("shop")[0]} & {"error", "warning"}


def test_a_call_that_is_not_in_the_log_yet_is_entered_before(
    project: Project, warehouse: Warehouse, book: AuditBook
) -> None:
    write_log(project, "late.jsonl", [calls()[0] | {"event_id": "e9"}])
    read_log(project, warehouse)
    erase(project, warehouse, book)
    assert "e9" in warehouse.rows("compliance.audit_log")["event_id"].to_list()
    assert [one.severity for one in book.verify("shop")[0]] == ["note"]


def test_read_again_she_does_not_come_back(project: Project, warehouse: Warehouse, erased: Erased) -> None:
    aside = warehouse.rows("inference_log.quarantine").height
    again = [line | {"event_id": f"again-{line['event_id']}"} for line in lines()]
    write_log(project, "august.jsonl", again)
    write_log(project, "july.jsonl", [calls()[4] | {"event_id": "e10"}, *lines()])
    tally = read_log(project, warehouse)
    assert tally.known == len(calls()) and not [one for one in tally.refused if "stored already" in one]
    assert tally.forgotten == 4 and "4 of erased people without texts" in str(tally)
    assert in_rows(warehouse, OF_ADA) == {}
    back = warehouse.rows("inference_log.inferences", event_id=["again-e1", "again-e3", "again-e4"])
    assert back.select("user_id", "session_id", "query", "answer").null_count().row(0) == (3, 3, 3, 3)
    assert back["answered"].to_list() == [True] * 3  # which is counted and not quoted
    assert back["tokens_total"].to_list() == [110] * 3 and back["texts_deleted_at"].null_count() == 0
    bob = warehouse.rows("inference_log.inferences", event_id="again-e5")
    assert bob["user_id"].to_list() == [BOB] and bob["texts_deleted_at"].null_count() == 1
    assert warehouse.rows("inference_log.quarantine").height == aside + 3  # none of July's twice


def test_what_names_only_her_calls_or_traces_does_not_bring_her_words_back(
    project: Project, warehouse: Warehouse, book: AuditBook
) -> None:
    """A score names the call alone, and in an export the trace alone names the user."""
    write_log(
        project, "scores.jsonl", [{"feedback_on": "e1", "label": "It never came, says Ada", "rating": -1}]
    )
    traced = logged_as(BOB, event_id="t1-a") | {"trace_id": "t1", "user_id": None}
    write_log(project, "traced.jsonl", [traced])
    read_log(project, warehouse)
    trace = {"system": "shop", "trace_id": "t1", "user_id": ADA, "session_id": SESSION}
    with warehouse.writing() as writer:
        writer.append("inference_log.traces", rows(warehouse, "inference_log.traces", trace))
    erase(project, warehouse, book)
    assert in_rows(warehouse, OF_ADA) == {}
    (left,) = warehouse.rows("inference_log.traces").rows(named=True)
    more = [{"feedback_on": name, "label": "It never came, says Ada", "rating": -1} for name in ("e1", "a")]
    write_log(project, "scores.jsonl", [{"feedback_on": "e5", "label": "Good of Bob", "rating": 1}, *more])
    write_log(project, "traced.jsonl", [traced, traced | {"event_id": "t1-b"}])
    assert read_log(project, warehouse).forgotten == 1
    said = warehouse.rows("inference_log.feedback")
    assert set(said["label"].drop_nulls()) == {"Good", "Good of Bob"} and in_rows(warehouse, OF_ADA) == {}
    assert warehouse.rows("inference_log.inferences", event_id="t1-b")["query"].to_list() == [None]
    assert warehouse.rows("inference_log.traces").rows(named=True) == [left]


def test_a_user_whose_key_holds_an_address_is_found_by_it(
    project: Project, warehouse: Warehouse, book: AuditBook
) -> None:
    mail = "grace.hopper@navy.example"
    write_log(project, "mail.jsonl", [logged_as(mail)])
    read_log(project, warehouse)
    assert mail not in repr(warehouse.rows("inference_log.inferences").rows())
    outcome = erase(project, warehouse, book, Request(mail, "Mary", "She asked"))
    assert outcome.rows == {"inference_log.inferences": 1} and outcome.sources == {"mail.jsonl": [1]}
    write_log(
        project, "more.jsonl", [logged_as(mail, event_id="g2"), logged_as(mail, event_id="g3", latency_ms=-1)]
    )
    assert read_log(project, warehouse).forgotten == 1
    assert warehouse.rows("inference_log.quarantine", source_file="more.jsonl")["raw_masked"].to_list() == [
        None
    ]


def logged_as(user: str, **more: Any) -> dict[str, Any]:
    asked = {"event_id": "g1", "query": "Why so heavy?", "user_id": user, "session_id": None}
    return calls()[4] | asked | more


def test_a_hold_refuses_it_and_the_refusal_is_logged_and_counted(
    project: Project, warehouse: Warehouse, book: AuditBook
) -> None:
    """Fault E02."""
    system = shop(project)
    hold = place(warehouse, book, system, Covered(user_id=ADA), "Legal", "Lawsuit 4", NOW)["hold_id"]
    before = frame(warehouse, "inference_log.inferences", "event_id")
    outcome = erase(project, warehouse, book)
    assert outcome.holds == (hold,)
    assert frame(warehouse, "inference_log.inferences", "event_id").equals(before)
    said = leaf.decode(warehouse.rows("compliance.audit_log").sort("entry_index")["leaf"][-1])
    assert (said["kind"], said["details"]["holds"]) == ("decision.erasure_refused", [hold])
    assert ADA not in repr(warehouse.rows("compliance.audit_log").rows())
    (row,) = warehouse.rows("compliance.erasures").rows(named=True)
    assert (row["status"], row["marks"], row["holds"]) == ("refused", None, [hold])
    assert book.verify("shop")[0] == []
    release(warehouse, book, system, hold, "Legal", "Over", NOW)
    assert erase(project, warehouse, book).holds == () and named(project, OF_ADA) == {}
    assert warehouse.rows("compliance.legal_holds")["person"].to_list() == [None]
    assert sorted(warehouse.rows("compliance.erasures")["status"]) == ["erased", "refused"]


@pytest.mark.parametrize(
    ("covered", "refuses"),
    [
        (Covered(), True),
        (Covered(user_id=BOB), False),
        (Covered(since=NOW), False),
        (Covered(until=NOW), True),
    ],
)
def test_a_hold_refuses_only_what_it_covers(
    project: Project, warehouse: Warehouse, book: AuditBook, covered: Covered, refuses: bool
) -> None:
    place(warehouse, book, shop(project), covered, "Legal", "Lawsuit 4", NOW)
    assert bool(erase(project, warehouse, book).holds) == refuses


def test_a_hold_on_everything_refuses_who_left_only_a_rating(
    project: Project, warehouse: Warehouse, book: AuditBook
) -> None:
    place(warehouse, book, shop(project), Covered(), "Legal", "Inquiry", NOW)
    rated = {"feedback_on": "e5", "label": "Wrong", "rating": -1, "given_by": "grace-hopper-99"}
    write_log(project, "scores.jsonl", [rated])
    read_log(project, warehouse)
    outcome = erase(
        project, warehouse, book, Request("grace-hopper-99", "Mary", "She asked by eve@example.com")
    )
    assert len(outcome.holds) == 1
    assert warehouse.rows("compliance.erasures")["reason"].to_list() == ["She asked by [EMAIL]"]
    assert "grace-hopper-99" in warehouse.rows("inference_log.feedback")["given_by"].to_list()


def test_a_log_file_that_is_damaged_keeps_nobody_from_being_erased(
    project: Project, warehouse: Warehouse, book: AuditBook
) -> None:
    (shop(project).inference_log.folder / "torn.jsonl.gz").write_bytes(b"\x1f\x8b\x08" + bytes(40))
    with pytest.raises(ErasureError, match="names nobody-at-all"):
        erase(project, warehouse, book, Request("nobody-at-all", "Mary", "Somebody asked"))
    outcome = erase(project, warehouse, book)
    assert outcome.sources == {"july.jsonl": [1, 2, 4, 8, 9], "torn.jsonl.gz": []}
    assert in_rows(warehouse, OF_ADA) == {}


def test_looking_changes_nothing(project: Project, warehouse: Warehouse, book: AuditBook) -> None:
    before = warehouse.file.read_bytes()
    outcome = Eraser(project, warehouse, book, []).look(shop(project), Request(ADA), NOW)
    assert outcome.rows["inference_log.inferences"] == 4 and outcome.sources
    assert warehouse.file.read_bytes() == before


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (Request(ADA), "by somebody and for a reason"),
        (Request(ADA, "Mary", f"{ADA} asked"), "names the person"),
        (Request(" ", "Mary", "Asked"), "Say who is to be erased"),
        (Request("ada-lovelace-18", "Mary", "Asked"), "is it spelled so"),
        (Request(ADA, "Mary", "Asked", date(2027, 1, 1)), "which is to come"),
    ],
)
def test_what_cannot_be_done_is_said(
    project: Project, warehouse: Warehouse, book: AuditBook, request_: Request, why: str
) -> None:
    with pytest.raises(ErasureError, match=why):
        erase(project, warehouse, book, request_)
    assert warehouse.rows("compliance.erasures").is_empty()


def test_without_the_keys_it_refuses_and_the_log_still_verifies_as_far_as_it_can(
    project: Project, warehouse: Warehouse, book: AuditBook
) -> None:
    """Fault E05."""
    (project.keys / "shop" / "pepper.key").unlink()
    with pytest.raises(SigningKeyMissing, match="restore the folder keys from its backup"):
        erase(project, warehouse, book)
    assert in_rows(warehouse, [SESSION])
    (finding,) = book.verify("shop")[0]
    assert finding.severity == "warning" and "The keys of 7 calls are gone" in finding.message


@pytest.mark.shares_the_file
def test_an_erasure_is_of_a_time_when_no_backup_can_be_made(
    project: Project, warehouse: Warehouse, book: AuditBook, tables: dict[str, Table]
) -> None:
    """Or a backup that was made while it waited would hold her and be later than it."""
    others, free = ReadOnlyWarehouse(project.warehouse, tables, wait_seconds=0), []

    def now() -> datetime:
        try:
            others.read("select 1")
            free.append(True)
        except WarehouseBusy:
            free.append(False)
        return NOW

    Eraser(project, warehouse, book, [shop(project)]).erase([shop(project)], ASKED, now, lambda: None)
    assert free == [True, False]


@pytest.mark.parametrize("rated", [True, False])
def test_a_log_that_cannot_be_continued_stops_the_erasure_before_it_begins_if_she_is_in_it(
    project: Project, warehouse: Warehouse, book: AuditBook, rated: bool
) -> None:
    """A second system, whose warehouse lost an entry that is published; she rated something there, or not."""
    ours = shop(project)
    logs = ours.inference_log.model_copy(update={"folder": project.data / "inference_log" / "desk"})
    theirs = ours.model_copy(update={"name": "desk", "inference_log": logs})
    book.append("desk", [decision_entry("desk", "noted", NOW, "us", "It was noted.", {})])
    book.sign("desk", NOW)
    rating = {"system": "desk", "feedback_id": "f1", "rating": 1.0, "given_by": ADA}
    with warehouse.writing() as writer:
        writer._connection.execute("delete from compliance.audit_log where system = 'desk'")
        if rated:
            writer.append("inference_log.feedback", rows(warehouse, "inference_log.feedback", rating))
    eraser = Eraser(project, warehouse, book, [ours, theirs])
    before = in_rows(warehouse, OF_ADA)
    if rated:
        with pytest.raises(LogForked):
            eraser.erase([ours, theirs], ASKED, lambda: NOW, lambda: publish(project, warehouse))
        assert in_rows(warehouse, OF_ADA) == before
        return
    (outcome,) = eraser.erase([ours, theirs], ASKED, lambda: NOW, lambda: publish(project, warehouse))
    assert (outcome.system, outcome.left, in_rows(warehouse, OF_ADA)) == ("shop", {}, {})
