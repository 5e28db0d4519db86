"""Legal holds: what they cover, that the log has them, and that they name nobody."""

from datetime import datetime, timedelta

import pytest

from aiops_pipelines.compliance import leaf
from aiops_pipelines.incidents import lifecycle
from aiops_pipelines.incidents.course import IncidentError
from aiops_pipelines.project import Project
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.decisions import open_incident
from aiops_pipelines.resources.holds import Covered, HoldError, active, held_calls, place, release
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines_tests.resources.audited_shop import NOW, audited, rows
from aiops_pipelines_tests.resources.test_text_deletion import SHOP

pytestmark = pytest.mark.usefixtures("kept_open")

MINUTE = timedelta(minutes=1)


@pytest.fixture
def book(project: Project, warehouse: Warehouse) -> AuditBook:
    return audited(project, warehouse)


def held(warehouse: Warehouse, book: AuditBook) -> list[str]:
    return sorted(held_calls(warehouse, book, "shop")["event_id"])


@pytest.mark.parametrize(
    ("covered", "calls"),
    [
        (Covered(), ["e0", "e1", "e2"]),
        (Covered(user_id="u1"), ["e1"]),
        (Covered(user_id="nobody yet"), []),
        (Covered(since=NOW + MINUTE), ["e1", "e2"]),
        (Covered(until=NOW + MINUTE), ["e0"]),
        (Covered(since=NOW + MINUTE, until=NOW + 2 * MINUTE), ["e1"]),
        (Covered(user_id="u1", until=NOW + MINUTE), []),
    ],
)
def test_a_hold_covers_user_and_period_until_it_is_released(
    book: AuditBook, warehouse: Warehouse, covered: Covered, calls: list[str]
) -> None:
    number = place(warehouse, book, SHOP, covered, "Ada", "Lawsuit 4", NOW)["hold_id"]
    assert held(warehouse, book) == calls
    release(warehouse, book, SHOP, number.lower(), "Ada", "Over", NOW + MINUTE)
    assert held(warehouse, book) == [] and active(warehouse, "shop").is_empty()
    (row,) = warehouse.rows("compliance.legal_holds").rows(named=True)
    assert (row["released_by"], row["released_at"], row["released_because"]) == ("Ada", NOW + MINUTE, "Over")


def test_personal_data_in_the_reasons_of_a_hold_is_masked(book: AuditBook, warehouse: Warehouse) -> None:
    number = place(warehouse, book, SHOP, Covered(), "ada@example.com", "Suit of bob@example.com", NOW)[
        "hold_id"
    ]
    release(warehouse, book, SHOP, number, "ada@example.com", "bob@example.com gave up", NOW + MINUTE)
    (row,) = warehouse.rows("compliance.legal_holds").rows(named=True)
    assert (row["reason"], row["released_because"]) == ("Suit of [EMAIL]", "[EMAIL] gave up")
    assert row["placed_by"] == row["released_by"] == "ada@example.com"  # somebody answers for it
    assert b"bob@" not in b"".join(warehouse.rows("compliance.audit_log")["leaf"])


def test_a_hold_covers_the_period_of_an_incident(book: AuditBook, warehouse: Warehouse) -> None:
    ends = [(NOW - MINUTE, NOW + MINUTE), (NOW + MINUTE, NOW + 2 * MINUTE)]
    said = {
        "system": "shop",
        "signal": "errors",
        "subject": "",
        "cause": "errors",
        "severity": "P1",
        "value": 1.0,
    }
    signals = rows(
        warehouse,
        "incidents.signals",
        *(said | {"limit_value": 0.5, "evidence": "!", "period_start": a, "period_end": b} for a, b in ends),
    )
    opened = lifecycle.incidents(signals, warehouse.tables["incidents.incident_events"].empty(), NOW, {})
    incidents = warehouse.tables["incidents.incidents"]
    with warehouse.writing() as writer:
        writer.append("incidents.signals", signals)
        writer.append("incidents.incidents", rows(warehouse, incidents.path, *opened.rows(named=True)))
    number = opened["incident_id"][0]
    row = place(warehouse, book, SHOP, Covered(incident=number), "Ada", "AI Act 73", NOW)
    assert (row["incident_id"], row["since"], row["until"]) == (number, NOW - MINUTE, NOW + 2 * MINUTE)
    assert held(warehouse, book) == ["e0", "e1"]
    with pytest.raises(IncidentError):
        place(warehouse, book, SHOP, Covered(incident="INC-0"), "Ada", "AI Act 73", NOW)


@pytest.mark.parametrize(
    ("ended_at", "until", "calls"),
    [(None, None, ["e0", "e1", "e2"]), (NOW, NOW + MINUTE, ["e0"])],
)
def test_a_hold_on_what_a_person_opened_goes_on_as_long_as_that_does(
    book: AuditBook, warehouse: Warehouse, ended_at: datetime | None, until: datetime | None, calls: list[str]
) -> None:
    told = {"severity": "P1", "title": "Refunds", "seen": "Promised.", "reporter": "Mira", "calls": []}
    told |= {"began_at": NOW, "ended_at": ended_at}
    incident, _ = open_incident(warehouse, SHOP, told, NOW + MINUTE)
    covered = Covered(incident=incident["incident_id"])
    row = place(warehouse, book, SHOP, covered, "Ada", "AI Act 73", NOW + MINUTE)
    assert (row["since"], row["until"]) == (NOW, until)
    assert held(warehouse, book) == calls


def test_a_hold_can_be_placed_on_what_began_only_now(book: AuditBook, warehouse: Warehouse) -> None:
    told = {"severity": "P1", "title": "Refunds", "seen": "Promised.", "reporter": "Mira", "calls": []}
    incident, _ = open_incident(warehouse, SHOP, told | {"began_at": NOW, "ended_at": None}, NOW)
    place(warehouse, book, SHOP, Covered(incident=incident["incident_id"]), "Ada", "AI Act 73", NOW)
    assert held(warehouse, book) == ["e0", "e1", "e2"]


def test_both_are_in_the_log_by_the_name_that_his_calls_have_there(
    book: AuditBook, warehouse: Warehouse
) -> None:
    number = place(warehouse, book, SHOP, Covered(user_id="u1"), "Ada", "Lawsuit 4", NOW)["hold_id"]
    release(warehouse, book, SHOP, number, "Ben", "Over", NOW)
    log = warehouse.rows("compliance.audit_log").sort("entry_index")
    placed, released = (leaf.decode(data) for data in log["leaf"][-2:])
    assert (placed["kind"], placed["actor"]) == ("decision.hold_placed", "Ada")
    assert placed["details"]["person"] == log["actor"][1] and log["event_id"][1] == "e1"
    assert (released["kind"], released["details"]) == (
        "decision.hold_released",
        {"hold_id": number, "reason": "Over"},
    )
    assert '"u1"' not in repr(log["leaf"][-2]) + repr(warehouse.rows("compliance.legal_holds").rows())


def test_the_same_hold_placed_twice_at_once_is_one(book: AuditBook, warehouse: Warehouse) -> None:
    for _ in range(2):
        place(warehouse, book, SHOP, Covered(), "Ada", "Lawsuit 4", NOW)
    assert active(warehouse, "shop").height == 1


@pytest.mark.parametrize(
    ("covered", "by", "reason", "why"),
    [
        (Covered(), " ", "Lawsuit", "by somebody and for a reason"),
        (Covered(), "Ada", "", "by somebody and for a reason"),
        (Covered(user_id="u1"), "Ada", "u1 sues us", "names the person"),
        (Covered(since=NOW, until=NOW), "Ada", "Lawsuit", "ends before it begins"),
    ],
)
def test_what_is_no_hold_is_refused(
    book: AuditBook, warehouse: Warehouse, covered: Covered, by: str, reason: str, why: str
) -> None:
    with pytest.raises(HoldError, match=why):
        place(warehouse, book, SHOP, covered, by, reason, NOW)
    assert active(warehouse, "shop").is_empty()


def test_what_does_not_hold_cannot_be_released(book: AuditBook, warehouse: Warehouse) -> None:
    at: datetime = NOW
    number = place(warehouse, book, SHOP, Covered(), "Ada", "Lawsuit", at)["hold_id"]
    with pytest.raises(HoldError, match=f"No hold HOLD-1 of shop is in force; those in force: {number}"):
        release(warehouse, book, SHOP, "1", "Ada", "Over", at)
    with pytest.raises(HoldError, match="by somebody and for a reason"):
        release(warehouse, book, SHOP, number, "", "Over", at)
