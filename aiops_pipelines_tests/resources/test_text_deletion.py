"""Texts go when their term is over, never before, and the log says which; holds and weeks to be judged keep them."""

import json
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from aiops_pipelines.compliance import leaf
from aiops_pipelines.inference_log.log_settings import Logs
from aiops_pipelines.project import Project
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.audit_calls import new_entries
from aiops_pipelines.resources.audit_signing import SigningKeyMissing
from aiops_pipelines.resources.completion import due_weeks, enter
from aiops_pipelines.resources.holds import Covered, place, release
from aiops_pipelines.resources.text_deletion import DELETIONS, delete_texts, overdue, rewrite
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import Retention, System
from aiops_pipelines_tests.resources.audited_shop import NOW, audited, rows

pytestmark = pytest.mark.usefixtures("kept_open")

SHOP = System(
    name="shop", title="Shop", inference_log=Logs(folder=Path("log")), retention=Retention(text_days=30)
)
DAY = timedelta(days=1)
LAST_MOMENT, OVER = NOW + 30 * DAY + timedelta(hours=23, minutes=59), NOW + 31 * DAY
"""The three calls are of 8 June, 00:00 to 00:02: their term of 30 days ends with 8 July."""
QUESTION = "How long?"


@pytest.fixture
def book(project: Project, warehouse: Warehouse) -> AuditBook:
    book = audited(project, warehouse)
    judged(warehouse)
    return book


def judged(warehouse: Warehouse, clock: datetime = OVER + 40 * DAY) -> None:
    enter(warehouse, SHOP, "weekly", due_weeks(warehouse, SHOP, clock), NOW)


def texts(warehouse: Warehouse) -> list[str | None]:
    return warehouse.read("select query from inference_log.inferences order by event_id")["query"].to_list()


def insert(warehouse: Warehouse, table: str, *made: dict[str, Any]) -> None:
    with warehouse.writing() as writer:
        writer.append(table, rows(warehouse, table, *({"system": "shop"} | row for row in made)))


def kinds(warehouse: Warehouse) -> list[str]:
    log = warehouse.rows("compliance.audit_log").sort("entry_index")
    return [kind for kind in log["kind"] if kind != "inference"]


def messages(book: AuditBook) -> list[tuple[str, str]]:
    return [(one.severity, one.message[:40]) for one in book.verify("shop")[0]]


def test_nothing_goes_before_its_term(book: AuditBook, warehouse: Warehouse) -> None:
    """Fault E03, too early."""
    assert delete_texts(warehouse, book, SHOP, LAST_MOMENT) is None
    assert texts(warehouse) == [QUESTION] * 3 and kinds(warehouse) == []


def test_all_of_it_goes_when_the_term_is_over_and_the_log_vouches_for_the_rest(
    book: AuditBook, warehouse: Warehouse
) -> None:
    row = delete_texts(warehouse, book, SHOP, OVER)
    assert row and (row["calls"], row["others"], row["held"]) == (3, 0, 0)
    assert row["before"] == NOW + DAY and row["newest"] == NOW + timedelta(minutes=2)
    calls = warehouse.rows("inference_log.inferences")
    assert calls.select("query", "answer").null_count().row(0) == (3, 3)
    assert calls["texts_deleted_at"].to_list() == [OVER] * 3
    assert calls["user_id"].to_list() == ["u0", "u1", None] and calls["latency_ms"].to_list() == [800] * 3
    log = warehouse.rows("compliance.audit_log").sort("entry_index")
    said = leaf.decode(log["leaf"][-1])
    assert (said["kind"], said["details"]["entries"], said["details"]["calls"]) == (
        "decision.texts_deleted",
        ["0-2"],
        3,
    )
    assert messages(book) == [("note", "The texts of 3 calls were deleted after ")]
    assert delete_texts(warehouse, book, SHOP, OVER + DAY) is None  # once


def test_a_text_that_came_back_and_was_deleted_again_excuses_the_others_still(
    book: AuditBook, warehouse: Warehouse
) -> None:
    assert delete_texts(warehouse, book, SHOP, OVER)
    with warehouse.writing() as writer:
        writer._connection.execute(
            f"update inference_log.inferences set query = '{QUESTION}', answer = '30 days.' where event_id = "
            "(select event_id from compliance.audit_log where entry_index = 1)"
        )
    assert delete_texts(warehouse, book, SHOP, OVER + DAY)
    assert messages(book) == [("note", "The texts of 3 calls were deleted after ")]


def test_a_call_that_is_not_in_the_log_yet_waits_for_its_entry(book: AuditBook, warehouse: Warehouse) -> None:
    call = {"event_id": "e9", "occurred_at": NOW, "query": QUESTION, "answer": "30 days.", "status": "ok"}
    insert(warehouse, "inference_log.inferences", call)
    judged(warehouse)
    assert delete_texts(warehouse, book, SHOP, OVER)
    assert texts(warehouse) == [None, None, None, QUESTION]


def test_what_is_not_judged_yet_stays_for_its_week(project: Project, warehouse: Warehouse) -> None:
    book = audited(project, warehouse)
    assert due_weeks(warehouse, SHOP, OVER)[0].isoformat() == "2026-06-08"
    assert delete_texts(warehouse, book, SHOP, OVER) is None
    assert overdue(warehouse, book, SHOP, OVER) == 3 and overdue(warehouse, book, SHOP, LAST_MOMENT) == 0
    judged(warehouse)
    assert delete_texts(warehouse, book, SHOP, OVER)
    assert overdue(warehouse, book, SHOP, OVER) == 0


def test_other_words_of_users_go_too(book: AuditBook, warehouse: Warehouse) -> None:
    long = "Where is the parcel that was due on Monday?"
    answers = [["x", QUESTION], ["y", long], ["z", long[:30]]]
    old, young = NOW, NOW + DAY
    insert(
        warehouse,
        "inference_log.feedback",
        {"feedback_id": "old", "label": "It never came.", "given_at": old, "rating": -1},
        {"feedback_id": "young", "label": "It never came.", "given_at": young},
        {"feedback_id": "undated", "label": "It never came.", "ingested_at": old},
    )
    insert(
        warehouse,
        "inference_log.quarantine",
        {
            "source_file": "a",
            "source_line": 1,
            "line_hash": "h",
            "raw_masked": "{query: ",
            "quarantined_at": old,
        },
        {
            "source_file": "a",
            "source_line": 2,
            "line_hash": "i",
            "raw_masked": "{query: ",
            "quarantined_at": young,
        },
    )
    asked = {"incident_id": "INC-1", "runbook": "r", "question": "Who?", "has_more": False}
    answer = json.dumps({"columns": ["user", "said"], "rows": answers})
    insert(warehouse, "incidents.diagnoses", asked | {"asked_at": young, "position": 1, "answer": answer})
    row = delete_texts(warehouse, book, SHOP, OVER)
    assert row and (row["calls"], row["others"]) == (3, 4)
    feedback = warehouse.rows("inference_log.feedback").sort("feedback_id")
    assert feedback["label"].to_list() == [None, None, "It never came."] and feedback["rating"][0] == -1
    lines = warehouse.rows("inference_log.quarantine").sort("source_line")
    assert lines["raw_masked"].to_list() == [None, "{query: "] and lines["line_hash"].to_list() == ["h", "i"]
    kept = json.loads(warehouse.rows("incidents.diagnoses")["answer"][0])["rows"]
    assert kept == [
        ["x", "[erased]"],
        ["y", long],
        ["z", long[:30]],
    ]  # that one was asked by no call that is due


def test_a_hold_keeps_texts_and_says_so_once(book: AuditBook, warehouse: Warehouse) -> None:
    u1 = place(warehouse, book, SHOP, Covered(user_id="u1"), "Ada", "Lawsuit 4", NOW)["hold_id"]
    row = delete_texts(warehouse, book, SHOP, OVER)
    assert row and (row["calls"], row["held"], row["holds"]) == (2, 1, [u1])
    assert texts(warehouse) == [None, QUESTION, None]
    assert kinds(warehouse)[-2:] == ["decision.texts_deleted", "decision.texts_held"]
    assert messages(book) == [("note", "The texts of 2 calls were deleted after ")]
    assert delete_texts(warehouse, book, SHOP, OVER + DAY) is None
    release(warehouse, book, SHOP, u1, "Ada", "The lawsuit is over", OVER + DAY)
    row = delete_texts(warehouse, book, SHOP, OVER + DAY)
    assert row and (row["calls"], row["held"], row["holds"]) == (1, 0, [])
    assert texts(warehouse) == [None] * 3
    assert messages(book) == [("note", "The texts of 3 calls were deleted after ")]


def test_a_hold_on_everything_holds_everything(book: AuditBook, warehouse: Warehouse) -> None:
    insert(warehouse, "inference_log.feedback", {"feedback_id": "f", "label": "Bad.", "given_at": NOW})
    place(warehouse, book, SHOP, Covered(), "Ada", "Inquiry", NOW)
    row = delete_texts(warehouse, book, SHOP, OVER)
    assert row and (row["calls"], row["others"], row["held"]) == (0, 0, 3)
    assert overdue(warehouse, book, SHOP, OVER) == 0
    assert texts(warehouse) == [QUESTION] * 3
    assert warehouse.rows("inference_log.feedback")["label"].to_list() == ["Bad."]
    assert kinds(warehouse)[-1] == "decision.texts_held"


def test_a_shorter_term_is_noted_before_it_is_used(book: AuditBook, warehouse: Warehouse) -> None:
    assert delete_texts(warehouse, book, SHOP, OVER)
    assert kinds(warehouse)[:2] == ["decision.settings_noted", "decision.texts_deleted"]


def test_without_the_keys_nothing_is_deleted(book: AuditBook, project: Project, warehouse: Warehouse) -> None:
    """Fault E05: the log could not say it."""
    (project.keys / "shop" / "checkpoint.pem").unlink()
    with pytest.raises(SigningKeyMissing, match="restore the folder keys"):
        delete_texts(warehouse, book, SHOP, OVER)
    assert texts(warehouse) == [QUESTION] * 3


@pytest.mark.shares_the_file
def test_a_failure_in_the_transaction_leaves_text_and_log_as_they_were(
    project: Project, book: AuditBook, warehouse: Warehouse
) -> None:
    class Failing:
        schema = warehouse.tables[DELETIONS].schema

        def conform(self, frame: pl.DataFrame) -> pl.DataFrame:
            raise ZeroDivisionError

    broken = Warehouse(warehouse.file, {**warehouse.tables, DELETIONS: Failing()})  # type: ignore[dict-item]
    broken._ready = True
    before = warehouse.rows("compliance.audit_log").height
    with pytest.raises(ZeroDivisionError):
        delete_texts(broken, AuditBook(project, broken, book.keys), SHOP, OVER)
    assert texts(warehouse) == [QUESTION] * 3
    assert warehouse.rows("compliance.audit_log").height == before


@pytest.mark.shares_the_file
def test_the_file_is_written_anew_once_so_that_no_block_keeps_a_text(
    book: AuditBook, warehouse: Warehouse
) -> None:
    words = [f"nobody-knows-{n:04d}-the-parcel-{n * 7919:09d}" for n in range(3_000)]
    calls = (
        {"event_id": f"x{n}", "occurred_at": NOW, "query": word, "status": "ok"}
        for n, word in enumerate(words)
    )
    insert(warehouse, "inference_log.inferences", *calls)
    book.append("shop", list(new_entries(warehouse, "shop", book.keys)))
    judged(warehouse)
    with duckdb.connect(
        str(warehouse.file)
    ) as connection:  # stored as they are, to be seen by a search of bytes
        connection.execute("set disabled_compression_methods = 'dictionary,fsst,dict_fsst,zstd'")
        connection.execute("create table kept as from inference_log.inferences")
        connection.execute("checkpoint")
        connection.execute("drop table kept")
        connection.execute("checkpoint")
    any_word = re.compile(rb"nobody-knows-\d{4}-the-parcel-\d{9}")
    left = set(any_word.findall(warehouse.file.read_bytes()))
    assert {word.encode() for word in words} <= left  # a table that is gone leaves its bytes
    assert delete_texts(warehouse, book, SHOP, OVER)
    warehouse.file.chmod(0o600)
    stamped = warehouse.file.stat()
    assert rewrite(warehouse, OVER) and warehouse.file.stat().st_ino != stamped.st_ino
    assert warehouse.file.stat().st_mode == stamped.st_mode
    assert not any_word.findall(warehouse.file.read_bytes())
    assert warehouse.rows(DELETIONS)["rewritten_at"].to_list() == [OVER]
    assert not rewrite(warehouse, OVER)
    assert messages(book) == [("note", "The texts of 3,003 calls were deleted af")]
