"""Holds, the deletion of old texts and the erasure of a person, from the command line."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from aiops_pipelines.project import Project
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.audit_calls import new_entries
from aiops_pipelines.resources.completion import due_weeks, enter
from aiops_pipelines.resources.keys import Keys
from aiops_pipelines.resources.tables import declared_tables
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import load_systems
from aiops_pipelines_tests.commands.small_run import AS_OF, refused, stored, write_system

ADA = "ada-lovelace-17"
CONFIRMED = ("--by", "Mary", "--reason", "She asked for it", "--confirm")


@pytest.fixture
def used(data: Path, aiops) -> Path:
    """The data folder, and the log of one call of Ada's and one of Bob's."""
    calls = [
        {
            "event_id": f"x{number}",
            "occurred_at": datetime(2026, 6, 20, number, tzinfo=UTC).isoformat(),
            "user_id": user,
            "query": f"Where is what {user} has ordered?",
            "answer": "On its way.",
        }
        for number, user in enumerate((ADA, "bob-babbage-42"))
    ]
    (data / "log" / "june.jsonl").write_text("".join(json.dumps(call) + "\n" for call in calls))
    assert aiops(data, "import", str(data / "log" / "june.jsonl"), "--system", "support").code == 0
    return data


def queries(data: Path) -> list[str | None]:
    return stored(data).rows("inference_log.inferences").sort("event_id")["query"].to_list()


def test_a_person_is_shown_held_released_and_erased(used: Path, aiops) -> None:
    before = queries(used)
    look = aiops(used, "erase", "--user", ADA)
    assert look.code == 0 and "Would go inference_log.inferences: 1 row" in look.text
    assert "Your file june.jsonl, lines 1: erase it there yourself" in look.text
    assert "Nothing was changed" in look.text and queries(used) == before

    placed = aiops(
        used, "audit", "hold", "place", "support", "--user", ADA, "--by", "Legal", "--reason", "Lawsuit"
    )
    assert placed.code == 0 and "Held HOLD-" in placed.text
    number = placed.text.split("Held ")[1].split()[0].rstrip(",")
    assert f"{number}, 1 call so far" in placed.text
    held = aiops(used, "audit", "hold", "list")
    assert f"{number} one user; by Legal, 6 Jul 2026: Lawsuit" in held.text and ADA not in held.text
    no = aiops(used, "erase", "--user", ADA, *CONFIRMED)
    assert no.code == 1 and f"Refused held by {number}" in no.text and queries(used) == before
    done = aiops(used, "audit", "hold", "release", "support", number, "--by", "Legal", "--reason", "Settled")
    assert done.code == 0 and "No hold is in force" in aiops(used, "audit", "hold", "list", "support").text

    gone = aiops(used, "erase", "--user", ADA, *CONFIRMED)
    assert gone.code == 0 and "Went inference_log.inferences: 1 row" in gone.text
    assert "nothing that is produced here names the person any more" in gone.text
    assert queries(used) == [None, before[1]] and before[1] is not None
    produced = [file for file in used.rglob("*") if file.is_file() and file.parent.name != "log"]
    assert not [file for file in produced if ADA.encode() in file.read_bytes()]
    verified = aiops(used, "audit", "verify", "support")
    assert verified.code == 0 and "1 call was of a person who was erased, as the log says" in verified.text

    assert "No backup from before is known here" in gone.text
    again = aiops(used, "erase", "--user", ADA, *CONFIRMED)
    assert again.code == 0 and "Went" not in again.text and "Your file june.jsonl" in again.text
    assert stored(used).rows("compliance.erasures")["status"].to_list().count("erased") == 1


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("erase", "--user", "nobody-1", *CONFIRMED), "is it spelled so"),
        (("erase", "--user", ADA, "--confirm"), "by somebody and for a reason"),
        (("audit", "hold", "release", "support", "HOLD-1", "--by", "A", "--reason", "B"), "No hold hold-1"),
        (("audit", "hold", "place", "support", "--by", "A", "--reason", " "), "by somebody and for a reason"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(used: Path, aiops, arguments: tuple[str, ...], why: str) -> None:
    refused(aiops(used, *arguments), why.replace("hold-1", "HOLD-1"))


def test_the_backups_that_hold_an_erased_person_are_named_until_they_are_destroyed(
    used: Path, aiops, tmp_path: Path
) -> None:
    for number in "12":
        assert aiops(used, "backup", str(tmp_path / number), "--by", "Mary").code == 0
    gone = aiops(used, "erase", "--user", ADA, *CONFIRMED)
    assert gone.code == 0 and "In these backups the person is yet" in gone.text
    first, second = re.findall(r"BAK-\w+", gone.text)
    assert all(f", {tmp_path / number}" in gone.text for number in "12")
    assert "aiops audit complete" in gone.text
    done = aiops(used, "backup", "destroyed", "support", first, "--by", "Mary")
    assert done.code == 0 and f"it was written to {tmp_path / '1'}" in done.text
    again = aiops(used, "erase", "--user", ADA, *CONFIRMED)
    assert second in again.text and first not in again.text
    project = Project(used)
    with Warehouse(project.warehouse, declared_tables(project.dbt)).writing() as writer:
        writer._connection.execute("update compliance.backups set made_at = made_at + interval 1 second")
    assert "No backup from before is known" in aiops(used, "erase", "--user", ADA, *CONFIRMED).text


def test_old_texts_are_deleted_when_their_weeks_are_judged(used: Path, aiops) -> None:
    assert "No text is over its term" in aiops(used, "audit", "expire").text
    write_system(used, retention={"text_days": 10})
    assert "No text is over its term" in aiops(used, "audit", "expire", "support").text  # the week is due
    project = Project(used)
    system = load_systems(project.systems, used)[0]["support"]
    warehouse = Warehouse(project.warehouse, declared_tables(project.dbt))
    enter(warehouse, system, "weekly", due_weeks(warehouse, system, AS_OF), AS_OF)
    assert "No text is over its term" in aiops(used, "audit", "expire").text  # no run has logged the calls
    book = AuditBook(project, warehouse, Keys(project.keys))
    book.append("support", list(new_entries(warehouse, "support", book.keys)))
    gone = aiops(used, "audit", "expire")
    assert gone.code == 0 and "Deleted texts of 2 calls before 26 Jun 2026, and 0 other texts" in gone.text
    assert queries(used) == [None, None] and aiops(used, "audit", "verify", "support").code == 0
    with duckdb.connect(str(project.published), read_only=True) as copy:
        assert copy.execute("select count(query) from inference_log.inferences").fetchall() == [(0,)]


def test_a_hold_that_covers_nothing_is_told(used: Path, aiops) -> None:
    done = aiops(
        used,
        "audit",
        "hold",
        "place",
        "support",
        "--user",
        "ada-lovelase",
        "--by",
        "Legal",
        "--reason",
        "Lawsuit",
    )
    assert done.code == 0 and "0 calls so far" in done.text and "is the user spelled so" in done.text
