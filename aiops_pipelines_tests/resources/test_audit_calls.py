"""The stored calls held against the log: each edit is named, and an untouched one is not."""

from datetime import timedelta
from typing import Any

import pytest

from aiops_pipelines.compliance.audit_entry import decision_entry
from aiops_pipelines.compliance.retention import deletion_entries
from aiops_pipelines.project import Project
from aiops_pipelines.resources import audit_calls
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.audit_calls import new_entries
from aiops_pipelines.resources.keys import Keys
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines_tests.resources.audited_shop import NOW, audited, call, rows, tamper

pytestmark = pytest.mark.usefixtures("kept_open")


@pytest.fixture
def keys(project: Project) -> Keys:
    return Keys(project.keys)


@pytest.fixture
def book(project: Project, warehouse: Warehouse) -> AuditBook:
    return audited(project, warehouse)


def found(book: AuditBook) -> list[tuple[str, int | None, str | None]]:
    return [(one.severity, one.entry_index, one.column) for one in book.verify("shop")[0]]


def test_calls_as_they_were_logged_are_no_finding(book: AuditBook, warehouse: Warehouse, keys: Keys) -> None:
    assert found(book) == []
    assert list(new_entries(warehouse, "shop", keys)) == []


def test_calls_that_are_read_in_portions_have_the_same_entries_in_the_same_order(
    project: Project, warehouse: Warehouse, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    with warehouse.writing() as writer:
        calls = [call(number) | {"occurred_at": NOW - timedelta(days=number % 3)} for number in range(7)]
        writer.append("inference_log.inferences", rows(warehouse, "inference_log.inferences", *calls))
        other = call(0) | {"system": "desk"}  # of the same id
        writer.append("inference_log.inferences", rows(warehouse, "inference_log.inferences", other))
    whole = list(new_entries(warehouse, "shop", keys))
    assert [one["event_id"] for one in whole] == ["e2", "e5", "e1", "e4", "e0", "e3", "e6"]
    monkeypatch.setattr(audit_calls, "ROWS_AT_ONCE", 2)
    assert list(new_entries(warehouse, "shop", keys)) == whole


@pytest.mark.parametrize(
    ("edit", "column"),
    [
        ("answer = 'No refund.'", "answer"),
        ("answer = null", "answer"),
        ("query = 'How much?'", "query"),
        ("model_served = 'm-2'", "model_served"),
        ("latency_ms = 1", "latency_ms"),
        ("status = 'error'", "status"),
        ("tokens_total = 7", "tokens_total"),
        ("occurred_at = occurred_at + interval 1 month", "occurred_at"),
        ("pii_counts = '{}'", "pii_counts"),
        ("guardrail_events = []", "facts_sha256"),
        ("input_uncached = 1, cache_read = 499", "facts_sha256"),
        ("rating = 1", "facts_sha256"),
        ("error_type = 'Timeout'", "facts_sha256"),
        ("cost_reported_usd = 0.0000001", "facts_sha256"),
        ("retrieved = []", "facts_sha256"),
        ("source_seq = 1", "facts_sha256"),
    ],
)
def test_an_edited_call_is_named_with_its_column(
    book: AuditBook, warehouse: Warehouse, edit: str, column: str
) -> None:
    tamper(warehouse, f"update inference_log.inferences set {edit} where event_id = 'e1'")
    assert found(book) == [("error", 1, column)]


def test_an_entry_from_before_facts_were_hashed_still_holds(
    book: AuditBook, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    with warehouse.writing() as writer:
        writer.append("inference_log.inferences", rows(warehouse, "inference_log.inferences", call(3)))
    (entry,) = new_entries(warehouse, "shop", book.keys)
    book.append("shop", [{name: value for name, value in entry.items() if name != "facts_sha256"}])
    assert found(book) == []
    tamper(warehouse, "update inference_log.inferences set status = 'error' where event_id = 'e3'")
    assert found(book) == [("error", 3, "status")]


def test_edits_in_every_portion_of_the_calls_are_named(
    book: AuditBook, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_calls, "ROWS_AT_ONCE", 2)
    tamper(warehouse, "update inference_log.inferences set status = 'error'")
    assert found(book) == [("error", index, "status") for index in range(3)]


def test_a_second_version_of_a_call_is_named_also_where_a_portion_ends(
    book: AuditBook, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_calls, "ROWS_AT_ONCE", 1)
    other = rows(warehouse, "inference_log.inferences", call(0) | {"status": "error"})
    with warehouse.writing() as writer:
        writer.append("inference_log.inferences", other)
    assert found(book) == [("error", 0, "status")]


def test_a_call_given_to_another_user_is_named(book: AuditBook, warehouse: Warehouse) -> None:
    tamper(warehouse, "update inference_log.inferences set user_id = 'u0' where event_id = 'e1'")
    assert {column for _, _, column in found(book)} == {"user_id", "query", "answer"}


def test_a_deleted_call_is_named(book: AuditBook, warehouse: Warehouse) -> None:
    tamper(warehouse, "delete from inference_log.inferences where event_id = 'e1'")
    (finding,) = book.verify("shop")[0]
    assert finding.message == "The call of entry 1 (inference:e1) is gone from inference_log.inferences."


def test_a_price_that_became_known_later_is_no_edit(book: AuditBook, warehouse: Warehouse) -> None:
    tamper(warehouse, "update costs.call_costs set cost_usd = 0.2, price_status = 'ambiguous'")
    assert found(book) == []


EMPTIED = "update inference_log.inferences set query = null, answer = null"


def logged(book: AuditBook, gone: list[str], days: int = 30, after: int = 32, signed: bool = True) -> None:
    """Note a term of 30 days, and a deletion so many days after the calls, of the entries named."""
    details = {"settings": {"retention.text_days": "30"}}
    noted = decision_entry("shop", "settings_noted", NOW, "aiops_pipelines", "The settings.", details)
    at, counts = NOW + timedelta(days=after), {"calls": len(gone), "others": 0, "held": 0}
    book.append("shop", [noted, *deletion_entries("shop", at, days, gone, counts)])
    if signed:
        book.sign("shop", at)


def test_texts_whose_deletion_is_logged_are_noted_and_nothing_else_of_the_call(
    book: AuditBook, warehouse: Warehouse
) -> None:
    logged(book, ["0-2"])
    tamper(warehouse, EMPTIED)
    (note,) = book.verify("shop")[0]
    assert (note.severity, note.message[:40]) == ("note", "The texts of 3 calls were deleted after ")
    tamper(warehouse, "update inference_log.inferences set status = 'error' where event_id = 'e1'")
    assert found(book) == [("error", 1, "status"), ("note", None, None)]
    tamper(warehouse, "update inference_log.inferences set user_id = 'u9' where event_id = 'e0'")
    assert ("warning", None, None) in found(book)  # whose text is gone is still checked


TEXTS_OF_1 = [("error", 1, "answer"), ("error", 1, "query")]


@pytest.mark.parametrize(
    ("of_the_log", "missing"),
    [
        pytest.param({"gone": ["0", "2"]}, EMPTIED, id="of another call"),
        pytest.param({"gone": ["0-2"], "after": 30}, EMPTIED, id="before the term is over"),
        pytest.param({"gone": ["0-2"], "days": 3, "after": 5}, EMPTIED, id="by a term that was not noted"),
        pytest.param({"gone": ["0-2"], "signed": False}, EMPTIED, id="by an entry that is not signed"),
    ],
)
def test_a_missing_text_is_named_unless_the_log_says_that_it_was_deleted(
    book: AuditBook, warehouse: Warehouse, of_the_log: dict[str, Any], missing: str
) -> None:
    logged(book, **of_the_log)
    tamper(warehouse, f"{missing} where event_id = 'e1'")
    assert [one for one in sorted(found(book), key=str) if one[0] == "error"] == TEXTS_OF_1


def test_a_text_that_is_deleted_by_half_is_named(book: AuditBook, warehouse: Warehouse) -> None:
    logged(book, ["0-2"])
    tamper(warehouse, EMPTIED)
    tamper(warehouse, "update inference_log.inferences set query = 'Who?' where event_id = 'e1'")
    assert set(TEXTS_OF_1) < set(found(book))


def test_texts_that_come_back_with_an_old_backup_are_warned_of(book: AuditBook) -> None:
    logged(book, ["0-2"])
    (warning,) = book.verify("shop")[0]
    assert warning.severity == "warning" and "was a backup restored?" in warning.message


def test_a_call_without_a_key_is_not_vouched_for_and_no_key_is_made(
    book: AuditBook, project: Project
) -> None:
    folder = project.keys / "shop" / "subjects"
    for file in folder.iterdir():
        file.unlink()
    (finding,) = book.verify("shop")[0]
    assert finding.severity == "warning" and "The keys of 3 calls are gone" in finding.message
    assert list(folder.iterdir()) == []


def test_without_its_key_the_rest_of_a_call_is_still_compared(
    book: AuditBook, project: Project, warehouse: Warehouse
) -> None:
    (project.keys / "shop" / "pepper.key").unlink()
    tamper(warehouse, "update inference_log.inferences set status = 'error' where event_id = 'e0'")
    assert found(book) == [("error", 0, "status"), ("warning", None, None)]


def test_a_call_that_waits_for_its_entry_is_noted(book: AuditBook, warehouse: Warehouse) -> None:
    with warehouse.writing() as writer:
        writer.append("inference_log.inferences", rows(warehouse, "inference_log.inferences", call(3)))
    (finding,) = book.verify("shop")[0]
    assert finding.severity == "note" and finding.message.startswith("1 stored call not in the log yet")
