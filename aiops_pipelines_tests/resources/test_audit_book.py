"""The audit log of a system over real rows, files and keys; what verification finds is `compliance`'s to say."""

import base64
import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aiops_pipelines.compliance import audit_log as log
from aiops_pipelines.compliance import checkpoint, signed_note, tiles
from aiops_pipelines.compliance.audit_entry import FACTS
from aiops_pipelines.compliance.merkle import leaf_hash, node_hash, root_hash
from aiops_pipelines.project import Project
from aiops_pipelines.resources import audit_book, audit_signing
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.audit_files import AuditFiles
from aiops_pipelines.resources.audit_signing import LogForked, SigningKeyMissing, origin
from aiops_pipelines.resources.keys import Keys
from aiops_pipelines.resources.tables import Table
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.resources.writer import Writer

START = datetime(2026, 6, 1, 8, tzinfo=UTC)
NOW = datetime(2026, 6, 8, tzinfo=UTC)
OK: list[str] = []


def entry(number: int, system: str = "shop", **changes: Any) -> dict[str, Any]:
    record = dict.fromkeys(FACTS) | {
        "system": system,
        "event_id": f"e{number}",
        "occurred_at": START + timedelta(minutes=number),
        "model_served": "m-1",
        "model_requested": "m",
        "prompt_version": "v1",
        "index_version": None,
        "endpoint": "ask",
        "latency_ms": 800,
        "status": "ok",
        "tokens_total": 500,
        "cost_usd": Decimal("0.00125"),
        "price_status": "priced",
        "query": "How long?",
        "answer": "30 days.",
        "user_id": "u1",
        "pii_counts": {},
    }
    return log.inference_entry(record | changes, bytes(32))


def entries(start: int, end: int, system: str = "shop") -> list[dict[str, Any]]:
    return [entry(number, system) for number in range(start, end)]


@pytest.fixture
def warehouse(project: Project, tables: dict[str, Table]) -> Warehouse:
    ours = {name: table for name, table in tables.items() if table.pillar == "compliance"}
    return Warehouse(project.warehouse, ours, wait_seconds=5)


@pytest.fixture
def book(project: Project, warehouse: Warehouse) -> AuditBook:
    """Five entries, of which three were signed first and the others later."""
    book = AuditBook(project, warehouse, Keys(project.keys))
    with warehouse.held():
        book.append("shop", entries(0, 3))
        book.sign("shop", NOW)
        book.append("shop", entries(3, 5))
        assert book.sign("shop", NOW) == 5
    return book


def findings(book: AuditBook, system: str = "shop") -> list[str]:
    return [finding.message for finding in book.verify(system)[0]]


def tamper(warehouse: Warehouse, sql: str, *values: Any) -> None:
    with warehouse.writing() as writer:
        writer._connection.execute(sql, values)


def published(project: Project) -> Path:
    return project.audit / "shop"


# --- intact


def test_what_is_appended_and_signed_is_intact(
    book: AuditBook, project: Project, warehouse: Warehouse
) -> None:
    found, size, root = book.verify("shop")
    assert (found, size) == ([], 5)
    a, b, c, d, e = warehouse.rows("compliance.audit_log").sort("entry_index")["leaf_hash"].to_list()
    assert base64.b64decode(root) == node_hash(node_hash(node_hash(a, b), node_hash(c, d)), e)
    stored = warehouse.rows("compliance.audit_checkpoints").sort("tree_size")
    assert stored["tree_size"].to_list() == [3, 5]
    assert stored["root_hash"][-1] == root
    assert stored["signed_at"].to_list() == [NOW, NOW]


def test_anybody_can_check_the_published_log_without_the_warehouse(book: AuditBook, project: Project) -> None:
    folder = published(project)
    note, vkey = (folder / "checkpoint").read_text(), (folder / "keys.txt").read_text().strip()
    signed = checkpoint.verify(note, vkey)
    assert (signed.origin, signed.size, signed.time_s) == ("aiops_pipelines/shop", 5, int(NOW.timestamp()))
    tile = (folder / "tile" / "0" / "000.p" / "5").read_bytes()
    assert signed.root == root_hash([tile[i : i + 32] for i in range(0, 160, 32)])
    assert [file.name for file in sorted((folder / "checkpoints").iterdir())] == ["3.note", "5.note"]
    assert (folder / "checkpoints" / "5.note").read_text() == note


def test_the_same_entries_again_add_nothing(book: AuditBook, warehouse: Warehouse) -> None:
    again = book.append("shop", entries(0, 5))
    assert (again.entries, again.conflicts) == (0, ())
    assert book.sign("shop", NOW) == 5
    assert book.append("shop", entries(4, 6)).entries == 1
    assert warehouse.rows("compliance.audit_log", entry_index=5)["entry_id"].to_list() == ["inference:e5"]


def test_an_idle_log_is_signed_again_after_an_hour(
    book: AuditBook, project: Project, warehouse: Warehouse
) -> None:
    assert book.sign("shop", NOW + timedelta(minutes=59)) == 5
    assert warehouse.rows("compliance.audit_checkpoints").height == 2
    assert book.sign("shop", NOW + timedelta(hours=1)) == 5
    assert warehouse.rows("compliance.audit_checkpoints")["tree_size"].to_list() == [3, 5, 5]
    note = (published(project) / "checkpoint").read_text()
    assert f"time {int(NOW.timestamp()) + 3600}\n" in note
    assert findings(book) == OK
    assert book.sign("desk", NOW) == 0  # nothing was ever signed


def test_a_log_that_lost_its_tail_is_not_signed_however_long_it_is_idle(
    book: AuditBook, warehouse: Warehouse
) -> None:
    tamper(warehouse, "delete from compliance.audit_log where entry_index = 4")
    assert book.sign("shop", NOW + timedelta(days=1)) == 4
    assert warehouse.rows("compliance.audit_checkpoints").height == 2


def test_the_same_id_with_other_content_is_recorded_and_not_stored(
    book: AuditBook, warehouse: Warehouse
) -> None:
    clash = book.append("shop", [entry(2, latency_ms=1)])
    assert [conflict.entry["entry_id"] for conflict in clash.conflicts] == ["inference:e2"]
    assert clash.entries == 1
    assert warehouse.rows("compliance.audit_log", entry_index=5)["kind"].to_list() == ["conflict"]
    assert book.append("shop", [entry(2, latency_ms=1)]).entries == 0
    assert book.sign("shop", NOW) == 6
    assert findings(book) == OK


def test_each_system_has_a_log_of_its_own(book: AuditBook) -> None:
    book.append("desk", entries(0, 2, "desk"))
    assert book.sign("desk", NOW) == 2
    assert book.verify("desk")[:2] == ([], 2)
    assert book.verify("shop")[:2] == ([], 5)


def test_an_empty_log_is_signed_by_nobody(book: AuditBook, project: Project) -> None:
    assert book.sign("desk", NOW) == 0
    assert book.verify("desk")[:2] == ([], 0)
    assert not (project.audit / "desk").exists()


# --- edits


def test_an_edited_column_is_named(book: AuditBook, warehouse: Warehouse) -> None:
    tamper(warehouse, "update compliance.audit_log set model_served = 'm-2' where entry_index = 3")
    assert findings(book) == ["model_served of entry 3 (inference:e3) is 'm-2' and its leaf says 'm-1'."]


def test_an_edited_leaf_is_named(book: AuditBook, warehouse: Warehouse) -> None:
    rows = warehouse.rows("compliance.audit_log", entry_index=1)
    leaf = rows["leaf"][0].replace(b'"latency_ms":800', b'"latency_ms":100')
    assert leaf != rows["leaf"][0]
    tamper(warehouse, "update compliance.audit_log set leaf = ? where entry_index = 1", leaf)
    found = findings(book)
    assert "Entry 1 (inference:e1): the leaf does not hash to its leaf_hash; one of them was edited." in found
    assert any("root of the first 3 entries is not the signed one" in message for message in found)


def test_a_leaf_edited_with_its_hash_and_columns_breaks_the_root(
    book: AuditBook, warehouse: Warehouse
) -> None:
    rows = warehouse.rows("compliance.audit_log", entry_index=4)
    leaf = rows["leaf"][0].replace(b'"latency_ms":800', b'"latency_ms":100')
    sql = "update compliance.audit_log set leaf = ?, leaf_hash = ?, latency_ms = 100 where entry_index = 4"
    tamper(warehouse, sql, leaf, leaf_hash(leaf))
    found = findings(book)
    assert any(
        "root of the first 5 entries is not the signed one: an entry from 3 to 4" in text for text in found
    )
    assert any("4" in text and "inference:e4" in text for text in found)  # its tile tells which one
    book.append("shop", entries(5, 6))
    with pytest.raises(LogForked):  # a later signature would be a second history
        book.sign("shop", NOW)
    assert any("root of the first 5 entries is not the signed one" in text for text in findings(book))


def test_a_deleted_row_leaves_a_gap(book: AuditBook, warehouse: Warehouse) -> None:
    tamper(warehouse, "delete from compliance.audit_log where entry_index = 2")
    assert "Entry 2 is missing." in findings(book)


def test_a_deleted_tail_is_lost(book: AuditBook, warehouse: Warehouse) -> None:
    tamper(warehouse, "delete from compliance.audit_log where entry_index >= 3")
    lost = "2 entries lost: a checkpoint signs 5 and the log ends after 3."
    assert lost in findings(book)
    assert book.sign("shop", NOW) == 3  # and is not signed away
    assert lost in findings(book)


def test_a_tail_deleted_with_its_checkpoint_rows_is_still_lost(book: AuditBook, warehouse: Warehouse) -> None:
    tamper(warehouse, "delete from compliance.audit_log where entry_index >= 3")
    tamper(warehouse, "delete from compliance.audit_checkpoints where tree_size = 5")
    assert "2 entries lost: a checkpoint signs 5 and the log ends after 3." in findings(book)


@pytest.mark.parametrize("more", [0, 1, 4])
def test_an_older_file_that_is_restored_is_not_signed_on(
    project: Project, warehouse: Warehouse, tmp_path: Path, more: int
) -> None:
    book = AuditBook(project, warehouse, Keys(project.keys))
    book.append("shop", entries(0, 3))
    book.sign("shop", NOW)
    backup = shutil.copyfile(warehouse.file, tmp_path / "backup")
    book.append("shop", entries(3, 5))
    book.sign("shop", NOW)
    before = {file: file.read_bytes() for file in published(project).rglob("*") if file.is_file()}
    shutil.copyfile(backup, warehouse.file)
    book.append("shop", entries(10, 10 + more))
    with pytest.raises(
        LogForked, match=rf"has {3 + more} entries and does not begin with .* of 5 signs: an older"
    ):
        book.sign("shop", NOW + timedelta(hours=2))
    assert {file: file.read_bytes() for file in published(project).rglob("*") if file.is_file()} == before


def test_the_newest_file_that_is_restored_is_signed_on(
    project: Project, warehouse: Warehouse, tmp_path: Path, book: AuditBook
) -> None:
    backup = shutil.copyfile(warehouse.file, tmp_path / "backup")
    shutil.copyfile(backup, warehouse.file)
    book.append("shop", entries(5, 7))
    assert book.sign("shop", NOW + timedelta(hours=2)) == 7
    assert findings(book) == OK


def test_a_damaged_tile_is_named(book: AuditBook, project: Project) -> None:
    tile = published(project) / "tile" / "0" / "000.p" / "5"
    tile.write_bytes(bytes(32) + tile.read_bytes()[32:])
    assert any("tile/0/000.p/5" in message for message in findings(book))


def test_deleted_files_are_no_finding_while_the_rows_stand(book: AuditBook, project: Project) -> None:
    shutil.rmtree(published(project))
    (found,) = book.verify("shop")[0]  # the notes are in the warehouse too
    assert found.severity == "note" and found.message.startswith("No tile file is left")


def test_a_log_that_is_gone_whole_was_there(book: AuditBook, project: Project, warehouse: Warehouse) -> None:
    for table in ("audit_log", "audit_checkpoints"):
        tamper(warehouse, f"delete from compliance.{table}")
    shutil.rmtree(published(project))
    assert findings(book) == [
        "The log of shop was signed before, and neither an entry nor a checkpoint is left."
    ]


@pytest.mark.parametrize("edit", ["tree_size = 4", "root_hash = 'AAAA'"])
def test_a_checkpoint_row_that_says_other_than_its_note_is_named(
    book: AuditBook, warehouse: Warehouse, edit: str
) -> None:
    tamper(warehouse, f"update compliance.audit_checkpoints set {edit} where tree_size = 5")
    (found,) = findings(book)
    assert found.startswith("Size or root of the checkpoint of ") and "signs (5 entries)" in found


def test_what_is_handed_out_is_checked(book: AuditBook, project: Project) -> None:
    newest, keys = published(project) / "checkpoint", published(project) / "keys.txt"
    newest.write_text(newest.read_text().replace("\n5\n", "\n6\n"))
    (found,) = findings(book)
    assert found.startswith("Checkpoint 2 cannot be trusted: ")
    newest.unlink()
    thief = Keys(project.data / "thief").signing("shop").public_key()
    keys.write_text(signed_note.vkey(origin("shop"), thief))
    assert findings(book) == ["keys.txt does not hold the key that signs this log."]


# --- keys


def test_a_checkpoint_of_another_key_is_refused(
    book: AuditBook, project: Project, warehouse: Warehouse
) -> None:
    thief = Keys(project.data / "thief").signing("shop")
    root = root_hash(warehouse.rows("compliance.audit_log").sort("entry_index")["leaf_hash"].to_list())
    forged = checkpoint.sign(origin("shop"), 5, root, thief)
    (published(project) / "checkpoints" / "5.note").write_text(forged)
    (found,) = findings(book)
    assert found.startswith(
        "Checkpoint 1 cannot be trusted: No signature of the note is by aiops_pipelines/shop+"
    )


def test_a_lost_key_is_told_and_the_rows_can_still_be_read(book: AuditBook, project: Project) -> None:
    (project.keys / "shop" / "checkpoint.pem").unlink()
    (found,) = findings(book)  # verified with the key in keys.txt
    assert found.startswith("The key that signed the log of shop is missing")
    (published(project) / "keys.txt").unlink()
    assert sum("cannot be trusted" in message for message in findings(book)) == 2
    assert not book.keys.has_signing("shop")


@pytest.mark.parametrize("lost", ["checkpoint.pem", "pepper.key"])
def test_lost_keys_are_not_made_anew_for_a_log_that_was_signed(
    book: AuditBook, project: Project, lost: str
) -> None:
    assert book.whole_keys("desk").pepper("desk")  # a new system
    book.keys.subject("shop", "u1")
    assert book.whole_keys("shop") is book.keys
    (project.keys / "shop" / lost).unlink()
    with pytest.raises(SigningKeyMissing, match="Keys of shop are missing"):
        book.whole_keys("shop")
    assert not (project.keys / "shop" / lost).exists()


# --- a portion at a time


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Portions of two entries, and of the 256 leaves of a tile."""
    monkeypatch.setattr(audit_book, "ENTRIES_AT_ONCE", 2)
    monkeypatch.setattr(audit_signing, "LEAVES_AT_ONCE", tiles.WIDTH)


@pytest.mark.usefixtures("small")
def test_portions_make_the_same_log_and_what_goes_along_goes_with_the_last(
    warehouse: Warehouse, project: Project
) -> None:
    book = AuditBook(project, warehouse, Keys(project.keys))
    there: list[int] = []
    with warehouse.held():
        book.append("shop", [entry(3, latency_ms=1)])
        mixed = [*entries(0, 5), entry(0), decision()]
        done = book.append("shop", iter(mixed), lambda writer: there.append(size(writer)))
        stored = warehouse.rows("compliance.audit_log").sort("entry_index")
        assert stored.equals(log.append({}, 0, [entry(3, latency_ms=1), *mixed]).rows.select(stored.columns))
        assert (done.entries, [one.entry["entry_id"] for one in done.conflicts]) == (6, ["inference:e3"])
        assert there == [7]

        def fails(_: Writer) -> None:
            raise RuntimeError("what goes along")

        with pytest.raises(RuntimeError, match="goes along"):
            book.append("shop", entries(5, 10), fails)
        assert size(warehouse) == 11  # e5 to e8 came in before, e9 would have gone with it
        assert book.append("shop", entries(5, 10)).entries == 1


def decision() -> dict[str, Any]:
    return log.decision_entry("shop", "noted", NOW, "us", "It was noted.", {})


def size(rows: Warehouse | Writer) -> int:
    return int(rows.read("select count(*) as n from compliance.audit_log")["n"][0])


@pytest.mark.usefixtures("small")
def test_bundles_that_are_written_in_portions_are_those_of_the_whole(
    warehouse: Warehouse, project: Project
) -> None:
    book = AuditBook(project, warehouse, Keys(project.keys))
    with warehouse.held():
        for end in (300, 300, 700):
            book.append("shop", entries(0, end))
            assert book.sign("shop", NOW) == end
        stored = warehouse.rows("compliance.audit_log").sort("entry_index")
        hashes, leaves = (stored[name].to_list() for name in ("leaf_hash", "leaf"))
        whole = dict[str, bytes]()
        for end in (300, 700):
            whole |= tiles.tiles(hashes, 0, end) | tiles.grow_entries({}, 0, leaves[:end])
        assert dict(AuditFiles(published(project)).tiles()) == whole
        assert findings(book) == OK


@pytest.mark.parametrize(
    "edit",
    [
        "update compliance.audit_log set entry_index = null where entry_index = 1",
        "update compliance.audit_log set entry_index = 1 where entry_index in (2, 3)",
        "update compliance.audit_log set entry_index = -4 where entry_index = 0",
        "update compliance.audit_log set entry_index = 1000000000000 where entry_index = 4",
        "update compliance.audit_log set entry_id = 'inference:e0' where entry_index = 4",
        "update compliance.audit_log set leaf = null where entry_index = 2",
        "delete from compliance.audit_log",
    ],
)
def test_a_log_that_is_read_in_portions_is_found_the_same(
    book: AuditBook, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, edit: str
) -> None:
    tamper(warehouse, edit)
    whole = book.verify("shop")
    assert whole[0]
    read, heights = log.verify, list[int]()

    def seen(portions: Any, *rest: Any) -> list[log.Finding]:
        return read((heights.append(one.height) or one for one in portions), *rest)

    monkeypatch.setattr(audit_book, "ENTRIES_AT_ONCE", 2)
    monkeypatch.setattr(audit_book.log, "verify", seen)
    assert book.verify("shop") == whole
    assert sum(heights) == whole[1] and max(heights, default=0) <= (3 if "in (2, 3)" in edit else 2)


# --- crashes


def test_a_crash_between_rows_and_signature_is_healed_by_the_next_run(
    book: AuditBook, project: Project, warehouse: Warehouse
) -> None:
    book.append("shop", entries(5, 9))  # and nothing more
    restarted = AuditBook(project, warehouse, Keys(project.keys))
    assert restarted.signed_size("shop") == 5
    assert restarted.verify("shop")[0] == []
    assert restarted.append("shop", entries(5, 9)).entries == 0
    assert restarted.sign("shop", NOW) == 9
    assert restarted.verify("shop")[:2] == ([], 9)


def test_half_written_files_of_a_killed_process_are_passed_over(book: AuditBook, project: Project) -> None:
    for name in ("tile/0/000.p/9.new", "tile/entries/000.new", "checkpoint.new", "checkpoints/9.note.new"):
        (published(project) / name).write_bytes(b"half")
    assert findings(book) == OK


def test_a_strange_file_among_the_checkpoints_is_a_finding_and_no_crash(
    book: AuditBook, project: Project
) -> None:
    (published(project) / "checkpoints" / "copy of 5.note").write_bytes(b"\xff\xfe")
    (found,) = findings(book)
    assert found.startswith("Checkpoint 2 cannot be trusted: ")


KILLS = """
import json, os, shutil, sys
from datetime import UTC, datetime
from pathlib import Path
import pandas, pyarrow  # DuckDB does so later; before the forks it is once
from aiops_pipelines.project import Project, ROOT
from aiops_pipelines.resources import audit_book, audit_signing
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.audit_files import AuditFiles
from aiops_pipelines.resources.keys import Keys
from aiops_pipelines.resources.tables import declared_tables
from aiops_pipelines.resources.warehouse import Warehouse

template, work = Path(sys.argv[1]), Path(sys.argv[2])
tables = {name: table for name, table in declared_tables(ROOT / "dbt_project").items() if table.pillar == "compliance"}

def book(folder):
    project = Project(folder)
    warehouse = Warehouse(project.warehouse, tables)
    warehouse._ready = True  # saves time: its tables are there
    return AuditBook(project, warehouse, Keys(project.keys))

def die_at(number):
    seen = 0
    def count(event, arguments):
        nonlocal seen
        if event == "os.rename":
            seen += 1
            if seen == number:
                os.kill(os.getpid(), 9)
    sys.addaudithook(count)

def child(work_of_child):
    process = os.fork()
    if process == 0:
        work_of_child()
        os._exit(0)
    return os.waitpid(process, 0)[1]

def sign(folder, number):
    die_at(number)
    book(folder).sign("shop", datetime(2026, 6, 9, tzinfo=UTC))

def check(folder):
    before = [finding.message for finding in book(folder).verify("shop")[0]]
    size = book(folder).sign("shop", datetime(2026, 6, 10, tzinfo=UTC))
    found, entries, root = book(folder).verify("shop")
    after = [finding.message for finding in found]
    print(json.dumps([before, after, size, entries, root]), flush=True)

for number in map(int, sys.argv[3:]):
    folder = work / str(number)
    shutil.copytree(template, folder)
    killed = child(lambda: sign(folder, number)) == 9
    print(json.dumps(killed), flush=True)
    assert child(lambda: check(folder)) == 0
"""


RENAMES = 8  # 3 hash tiles, 2 bundles, 3 files of the checkpoint


@pytest.mark.parametrize(
    "numbers",
    [
        pytest.param([2, RENAMES, RENAMES + 1], id="three moments"),
        pytest.param([1, *range(3, RENAMES)], id="every other one", marks=pytest.mark.slow),
    ],
)
def test_a_kill_while_signing_is_healed_by_the_next_run(
    book: AuditBook, project: Project, tmp_path: Path, numbers: list[int]
) -> None:
    book.append("shop", entries(5, 300))  # a full tile, a partial one and one level more
    command = [sys.executable, "-c", KILLS, project.data, tmp_path / "work", *numbers]
    finished = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished.stderr
    lines = [json.loads(line) for line in finished.stdout.splitlines()]
    assert lines[::2] == [number <= RENAMES for number in numbers]  # killed
    root = book.verify("shop")[2]
    assert lines[1::2] == [[[], [], 300, 300, root]] * len(numbers)
