"""A restored older state: refused, or signed no further until the rest of its log is put back."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from aiops_pipelines.project import Project
from aiops_pipelines.resources import auditor
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.audit_keys import revoke_key, rotate_key
from aiops_pipelines.resources.audit_signing import LogForked
from aiops_pipelines.resources.backups import make
from aiops_pipelines.resources.log_rest import Completed, NotCompleted, complete
from aiops_pipelines.resources.published import known_tables
from aiops_pipelines.resources.restoring import Overtaken, restore
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System
from aiops_pipelines_tests.resources.test_erasing import erase, made
from aiops_pipelines_tests.resources.two_people import ADA, OF_ADA, in_rows, publish
from aiops_pipelines_tests.resources.two_people import NOW as LATER
from aiops_pipelines_tests.resources.two_people import shop as two_people
from aiops_pipelines_tests.resources.witnessed_shop import (
    NOW,
    book,
    entries,
    grow,
    in_folder,
    named,
    witness,
    witness_clock,
)

__all__ = ["made", "witness_clock"]


@pytest.fixture
def shop(project: Project, warehouse: Warehouse, tmp_path: Path, witness_clock: None) -> System:
    """A witnessed log of three entries."""
    kept = witness(tmp_path / "w1")
    system = named(project, [in_folder(kept)])
    log = book(project, warehouse)
    log.append("shop", entries(0, 1))
    kept.trust(log.signing("shop").vkeys()[0] if log.keys.has_signing("shop") else _first_key(log))
    grow(log, 1, 3)
    return system


def _first_key(log: AuditBook) -> str:
    log.keys.signing("shop")
    return log.signing("shop").vkeys()[0]


@pytest.fixture
def backup(project: Project, shop: System, warehouse: Warehouse, tmp_path: Path) -> Path:
    """A backup of three entries, after which two more were signed."""
    make(project, tmp_path / "backup", [shop], "Mira", NOW)
    grow(book(project, warehouse), 3, 5)
    return tmp_path / "backup"


@pytest.fixture
def older(project: Project, backup: Path, tmp_path: Path) -> tuple[Project, Warehouse, AuditBook]:
    """The backup restored all the same, with the keys of now."""
    new = Project(tmp_path / "new")
    restored = restore(new, backup, {}, older=True)
    assert list(restored.ahead) == ["shop"]
    shutil.copytree(project.keys, new.keys)
    warehouse = Warehouse(new.warehouse, known_tables(new.dbt))
    return new, warehouse, book(new, warehouse)


def rest(
    older: tuple[Project, Warehouse, AuditBook], shop: System, folder: Path | None, by: str = "Mira"
) -> Completed:
    new, warehouse, log = older
    return complete(new, warehouse, log, shop, folder, by, NOW, lambda: None)


def wrong(log: AuditBook) -> list[str]:
    found = [*log.verify("shop")[0], *log.signing("shop").witnessing().findings]
    return [finding.message for finding in found if finding.severity != "note"]


def test_a_backup_that_the_log_has_outgrown_is_refused_and_says_the_way_on(
    project: Project, backup: Path, tmp_path: Path
) -> None:
    with pytest.raises(
        Overtaken, match=r"w1 vouches for 5 entries of shop, and the backup holds 3\."
    ) as refused:
        restore(Project(tmp_path / "new"), backup, {})
    assert "--older" in str(refused.value) and "aiops audit complete" in str(refused.value)
    assert list((tmp_path / "new").iterdir()) == []
    shutil.rmtree(tmp_path / "w1")
    note = (project.audit / "shop" / "checkpoint").read_text()
    with pytest.raises(Overtaken, match=r"A checkpoint that was kept vouches for 5 entries of shop"):
        restore(Project(tmp_path / "new"), backup, {"shop": [note]})


def test_one_that_is_level_with_its_witness_and_what_was_kept_comes_back(
    project: Project, shop: System, warehouse: Warehouse, tmp_path: Path
) -> None:
    note = (project.audit / "shop" / "checkpoint").read_text()
    make(project, tmp_path / "level", [shop], "Mira", NOW)
    done = restore(Project(tmp_path / "new"), tmp_path / "level", {"shop": [note]})
    assert not done.ahead and not done.silent
    shutil.rmtree(tmp_path / "w1")
    done = restore(Project(tmp_path / "newer"), tmp_path / "level", {})
    assert not done.ahead and "There is no witness in" in done.silent[0]


def test_who_only_stands_in_for_the_witness_stops_no_restore(
    project: Project, backup: Path, tmp_path: Path
) -> None:
    (state,) = (tmp_path / "w1" / "state").iterdir()
    state.write_text(state.read_text().rpartition("\u2014 example.com/w1 ")[0])  # what the log alone signed
    done = restore(Project(tmp_path / "new"), backup, {})
    assert not done.ahead and done.silent == ["example.com/w1 showed a checkpoint that it did not cosign."]


def test_another_history_is_not_restored_whatever_is_said(
    project: Project, shop: System, warehouse: Warehouse, tmp_path: Path
) -> None:
    make(project, tmp_path / "b", [shop], "Mira", NOW)
    for name, why in (
        ("forged", "The first 2 entries of shop are not those"),
        ("strange", "under a key that this"),
    ):
        other = Project(tmp_path / name)
        other.warehouse.parent.mkdir(parents=True)
        if name == "forged":
            shutil.copytree(project.keys, other.keys)
        log = book(other, Warehouse(other.warehouse, warehouse.tables))
        grow(log, 7, 9)
        note = (other.audit / "shop" / "checkpoint").read_text()
        with pytest.raises(Overtaken, match=why):
            restore(Project(tmp_path / "new"), tmp_path / "b", {"shop": [note]}, older=True)


def test_nothing_signs_an_older_state_neither_entries_nor_another_key(
    older: tuple[Project, Warehouse, AuditBook], shop: System
) -> None:
    _, _, log = older
    for act in (
        lambda: grow(log, 5, 6, NOW + timedelta(days=1)),
        lambda: rotate_key(log, shop.model_copy(update={"as_of": NOW}), "mira", NOW),
        lambda: revoke_key(log, shop, None, None, "mira", "stolen", NOW),
        lambda: log.signing("shop").continued(),
    ):
        with pytest.raises(LogForked, match="aiops audit complete shop"):
            act()
    assert "1 entry lost: a checkpoint signs 5 and the log ends after 4." in wrong(log)


@pytest.mark.parametrize("source", ["data", "audit", "bundle", "files of its own"])
def test_the_rest_is_put_back_from_whatever_holds_it_and_the_witness_goes_along(
    project: Project,
    warehouse: Warehouse,
    older: tuple[Project, Warehouse, AuditBook],
    shop: System,
    tmp_path: Path,
    source: str,
) -> None:
    new, there, log = older
    folder = {"data": project.data, "audit": project.audit}.get(source)
    if source == "bundle":
        folder = tmp_path / "bundle"
        auditor.write(folder, auditor.Bundle(project, warehouse, "shop").whole())
    elif source == "files of its own":  # the warehouse alone is older
        shutil.rmtree(new.audit)
        shutil.copytree(project.audit, new.audit)
    log.append("shop", [*entries(4, 5), *entries(20, 22)])  # one that was signed before, two that are new
    done = rest(older, shop, folder)
    assert (done.size, done.put_back, done.moved) == (5, 2, 3)
    before = warehouse.rows("compliance.audit_log").sort("entry_index")
    after = there.rows("compliance.audit_log").sort("entry_index")
    assert after.head(5).equals(before) and after["summary"].to_list()[5:7] == ["Number 20.", "Number 21."]
    assert after["kind"].to_list()[7:] == ["decision.log_completed"] and after.height == 8
    assert wrong(log) == [] and log.signing("shop").witnessing().met and log.signed_size("shop") == 8
    again = rest(older, shop, folder)
    assert (again.put_back, again.moved, again.erased) == (0, 0, []) and log.signed_size("shop") == 8
    assert grow(log, 30, 31) == 9


def test_what_is_not_the_rest_of_this_log_is_refused_and_changes_nothing(
    project: Project,
    warehouse: Warehouse,
    older: tuple[Project, Warehouse, AuditBook],
    shop: System,
    tmp_path: Path,
) -> None:
    _, there, log = older
    before = there.rows("compliance.audit_log")

    def refused(folder: Path | None, why: str, by: str = "Mira") -> None:
        with pytest.raises(NotCompleted, match=why):
            rest(older, shop, folder, by)
        assert there.rows("compliance.audit_log").equals(before)

    refused(project.data, "by somebody", by=" ")
    refused(None, "2 of the 5 entries that it signs are missing")  # its own files are as old
    refused(tmp_path / "w1", "holds no checkpoint of shop")
    edited = Path(shutil.copytree(project.audit / "shop", tmp_path / "edited"))
    bundle = edited / "tile/entries/000.p/5"
    bundle.write_bytes(bundle.read_bytes().replace(b"Number 4.", b"Number 9."))
    refused(edited, "are not those that its checkpoint signs")
    (edited / "checkpoint").write_text((edited / "checkpoints/3.note").read_text())
    refused(edited, "5 entries of shop are vouched for, and the folder holds 3")
    shutil.copytree(project.audit / "shop", tmp_path / "forged")
    text = (tmp_path / "forged/checkpoint").read_text()
    (tmp_path / "forged/checkpoint").write_text(text.replace("\n5\n", "\n4\n"))
    refused(tmp_path / "forged", "does not hold the log of shop")
    log.append("shop", entries(20, 21))
    with there.writing() as writer:
        writer._connection.execute("update compliance.audit_log set leaf = 'x'::blob where entry_index = 3")
    before = there.rows("compliance.audit_log")
    refused(project.data, "Entry 3 of shop in the tables is none")
    with there.writing() as writer:
        writer.delete("compliance.audit_log", system="shop", entry_index=3)
    assert rest(older, shop, project.data).put_back == 2


def test_a_folder_of_another_history_than_a_checkpoint_here_signs_changes_nothing(
    project: Project,
    warehouse: Warehouse,
    older: tuple[Project, Warehouse, AuditBook],
    shop: System,
    tmp_path: Path,
) -> None:
    """The first one is vouched for by the witness, the second was signed with the same key in another place."""
    new, there, _ = older
    other = Project(tmp_path / "other")
    restore(other, tmp_path / "backup", {}, older=True)
    shutil.copytree(project.keys, other.keys)
    (other.audit / "shop" / "checkpoint").unlink()
    (other.systems / "shop.yaml").unlink()
    grow(book(other, Warehouse(other.warehouse, known_tables(other.dbt))), 30, 34)
    before = there.rows("compliance.audit_log")
    with pytest.raises(NotCompleted, match=r"not the one that a checkpoint here signs up to 5 entries"):
        rest(older, shop, other.data)
    assert there.rows("compliance.audit_log").equals(before)
    assert not (new.audit / "shop" / "checkpoints" / "7.note").exists()
    forged = new.audit / "shop" / "checkpoints" / "4.note"
    forged.write_text((other.audit / "shop/checkpoint").read_text().replace("\n7\n", "\n4\n"))
    assert rest(older, shop, project.data).put_back == 2  # what no key signed holds nobody up


def test_an_older_state_that_nothing_was_published_of_is_not_signed_either(
    project: Project, warehouse: Warehouse, shop: System, tmp_path: Path
) -> None:
    for file in ("checkpoint", "tile", "checkpoints", "keys.txt"):
        place = project.audit / "shop" / file
        shutil.rmtree(place) if place.is_dir() else place.rename(tmp_path / file)
    log = book(project, warehouse)
    with warehouse.writing() as writer:
        writer.delete("compliance.audit_checkpoints", system="shop")
    make(project, tmp_path / "unsigned", [shop], "Mira", NOW, with_keys=True)
    grow(log, 3, 5)
    new = Project(tmp_path / "new")
    assert restore(new, tmp_path / "unsigned", {}, older=True).ahead
    with pytest.raises(LogForked):
        grow(book(new, Warehouse(new.warehouse, known_tables(new.dbt))), 7, 8, NOW + timedelta(days=1))


def test_two_signed_histories_are_never_joined(
    project: Project, backup: Path, warehouse: Warehouse, shop: System, tmp_path: Path
) -> None:
    shutil.rmtree(tmp_path / "w1")
    new = Project(tmp_path / "new")
    restore(new, backup, {})  # nobody told of the newer one
    shutil.copytree(project.keys, new.keys)
    there = Warehouse(new.warehouse, known_tables(new.dbt))
    log = book(new, there)
    grow(log, 10, 11)
    with pytest.raises(NotCompleted, match=r"signed, this one up to 4 entries; they part after 3\."):
        rest((new, there, log), shop, project.data)
    assert log.signed_size("shop") == 4 and there.rows("compliance.audit_log").height == 4


def test_who_was_erased_since_is_erased_again_when_the_log_says_so(
    made: Path, project: Project, tmp_path: Path
) -> None:
    shutil.copytree(made, project.data)
    warehouse = Warehouse(project.warehouse, known_tables(project.dbt))
    log, system = AuditBook(project, warehouse, book(project, warehouse).keys), two_people(project)
    make(project, tmp_path / "backup", [system], "Mira", LATER)
    erase(project, warehouse, log)
    new = Project(tmp_path / "new")
    restore(new, tmp_path / "backup", {"shop": log.signing("shop").files.newest()}, older=True)
    shutil.copytree(project.keys, new.keys)
    there = Warehouse(new.warehouse, known_tables(new.dbt))
    assert {one for held in in_rows(there, OF_ADA).values() for one in held} == set(OF_ADA)  # she is back
    back = book(new, there)
    another, log_file = new.systems / "desk.yaml", new.data / "desk_logs" / "july.jsonl"
    another.parent.mkdir()
    another.write_text("{name: desk, title: Desk, inference_log: {folder: desk_logs}}")
    log_file.parent.mkdir()
    log_file.write_text(f'{{"user_id": "{ADA}"}}\n')
    done = complete(new, there, back, system, project.data, "Mira", LATER, lambda: publish(new, there))
    (outcome,) = done.erased
    assert outcome.rows["inference_log.inferences"] == 4 and in_rows(there, OF_ADA) == {}
    assert not [one for one in back.verify("shop")[0] if one.severity != "note"]
    assert ADA in log_file.read_text()  # the team's own
    told = there.rows("compliance.erasures").filter(status="erased")
    assert told["decided_by"].to_list() == ["Mira"] and ADA not in str(told.rows())
    assert complete(new, there, back, system, None, "Mira", LATER, lambda: None).erased == []


def test_who_was_erased_and_comes_back_with_a_log_file_is_erased_again(
    made: Path, project: Project, tmp_path: Path
) -> None:
    """A backup from before her calls knows neither them nor her mark, so the next run reads them as new."""
    shutil.copytree(made, project.data)
    warehouse = Warehouse(project.warehouse, known_tables(project.dbt))
    log, system = book(project, warehouse), two_people(project)
    make(project, tmp_path / "backup", [system], "Mira", LATER)
    erase(project, warehouse, log)
    new = Project(tmp_path / "new")
    restore(new, tmp_path / "backup", {"shop": log.signing("shop").files.newest()}, older=True)
    shutil.copytree(project.keys, new.keys)
    there = Warehouse(new.warehouse, known_tables(new.dbt))
    calls = there.rows("inference_log.inferences")
    for table in (*in_rows(there, OF_ADA), "inference_log.inferences"):
        with there.writing() as writer:
            writer.delete(table, system="shop")
    back = book(new, there)
    assert complete(new, there, back, system, project.data, "Mira", LATER, lambda: None).erased == []
    with there.writing() as writer:
        writer.append("inference_log.inferences", calls)
    (outcome,) = complete(new, there, back, system, None, "Mira", LATER, lambda: None).erased
    assert outcome.rows == {"inference_log.inferences": 4} and in_rows(there, OF_ADA) == {}
