"""A backup holds all that cannot be made again, comes back whole or is refused, and is noted and drilled."""

import json
import os
import shutil
import stat
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from aiops_pipelines.compliance.backup import MANIFEST, BackupDamaged, Copied, read_manifest
from aiops_pipelines.project import Project
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.backups import BACKUPS, BackupError, copied, hashed, make, note
from aiops_pipelines.resources.drills import DRILLS, OTHER_TABLES, Drilled, drill, record
from aiops_pipelines.resources.keys import Keys
from aiops_pipelines.resources.known_backups import destroyed, known_backups
from aiops_pipelines.resources.restoring import restore
from aiops_pipelines.resources.tables import Table
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System, load_system
from aiops_pipelines_tests.bound_root import aiops
from aiops_pipelines_tests.resources.audited_shop import NOW, audited, rows, tamper
from aiops_pipelines_tests.resources.witnessed_shop import named

OPEN = "import duckdb, sys; duckdb.connect(sys.argv[1]).execute('create table main.t as select 1')"
HOLD = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print(1, flush=True); sys.stdin.read()"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, prepared: Path, tables: dict[str, Table]) -> Path:
    """A shop with three logged calls, a weekly page, a message, known queries and a corpus; and its backup."""
    project = Project(tmp_path_factory.mktemp("shop") / "data")
    project.warehouse.parent.mkdir(parents=True)
    shutil.copyfile(prepared, project.warehouse)
    system = named(project, [])
    audited(project, Warehouse(project.warehouse, tables))
    for name, text in (
        ("reports/shop/weekly/2026-06-01.html", "<p>A week.</p>"),
        ("notifications/shop.jsonl", "{}\n"),
        ("queries/shop.jsonl", '{"query_id": "q1"}\n'),
        ("corpus/returns.md", "30 days."),
        ("dagster/run.log", "started"),
    ):
        file = project.data / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (project.audit / "shop" / "half.new").write_text("being written")
    make(project, project.data.with_name("backup"), [system], "Mira", NOW)
    return project.data.parent


@pytest.fixture
def warehouse(project: Project, made: Path, tables: dict[str, Table]) -> Warehouse:
    shutil.copytree(made / "data", project.data)
    return Warehouse(project.warehouse, tables)


@pytest.fixture
def shop(project: Project, warehouse: Warehouse) -> System:
    return load_system(project.systems / "shop.yaml", project.data)


@pytest.fixture
def book(project: Project, warehouse: Warehouse) -> AuditBook:
    return AuditBook(project, warehouse, Keys(project.keys))


@pytest.fixture
def backup(shop: System, made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "backup", tmp_path / "backup"))


def only(drilled: list[Drilled]) -> Drilled:
    (one,) = drilled
    return one


def said(one: Drilled) -> list[str]:
    return [finding.message for finding in one.findings if finding.severity != "note"]


def names(folder: Path) -> set[str]:
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}


def test_it_comes_back_with_every_row_file_and_the_same_root(
    project: Project,
    warehouse: Warehouse,
    book: AuditBook,
    backup: Path,
    tmp_path: Path,
    tables: dict[str, Table],
) -> None:
    new = Project(tmp_path / "new")
    restored = restore(new, backup, {})
    for name in ("reports", "notifications", "systems", "queries"):
        assert names(new.data / name) == names(project.data / name)
        for file in names(new.data / name):
            assert (new.data / name / file).read_bytes() == (project.data / name / file).read_bytes()
    assert names(new.audit) == names(project.audit) - {"shop/half.new"}
    assert not {"keys", "corpus", "dagster"} & {file.name for file in new.data.iterdir()}
    assert set(restored.manifest.left_out) == {"keys", "corpus", "dagster"}
    shutil.copytree(project.keys, new.keys)
    there = Warehouse(new.warehouse, tables)
    findings, entries, root = AuditBook(new, there, Keys(new.keys)).verify("shop")
    assert not [one for one in findings if one.severity != "note"]
    assert (entries, root) == book.verify("shop")[1:] and entries == 3
    for table in ("inference_log.inferences", "costs.call_costs", "compliance.audit_checkpoints"):
        assert there.rows(table).equals(warehouse.rows(table))
    assert there.rows("inference_log.inferences").height == 3


def test_keys_go_along_only_when_they_are_asked_for_and_for_nobody_else_to_read(
    project: Project, shop: System, backup: Path, tmp_path: Path
) -> None:
    assert not [name for name in names(backup) if name.startswith("keys")]
    (project.keys / "shop" / "pepper.key").chmod(0o644)
    old = os.umask(0)
    try:
        manifest = make(project, tmp_path / "keyed", [shop], "Mira", NOW, with_keys=True)
        restore(Project(tmp_path / "new"), tmp_path / "keyed", {})
    finally:
        os.umask(old)
    assert manifest.with_keys and names(tmp_path / "keyed" / "keys") == names(project.keys)
    for root in (tmp_path / "keyed" / "keys", tmp_path / "new" / "keys"):
        for file in (root, *root.rglob("*")):
            assert stat.S_IMODE(file.stat().st_mode) == (0o700 if file.is_dir() else 0o600), file
    assert stat.S_IMODE((tmp_path / "keyed").stat().st_mode) == 0o700


@pytest.mark.parametrize("damage", ["bit", "swapped", "gone", "more", "link", "short", "manifest", "unsaid"])
def test_a_damaged_one_is_refused_by_name_and_nothing_comes_back(
    project: Project, backup: Path, tmp_path: Path, damage: str
) -> None:
    page, queries = "reports/shop/weekly/2026-06-01.html", "queries/shop.jsonl"
    where, why = backup / "warehouse" / "aiops.duckdb", "warehouse/aiops.duckdb holds other bytes"
    if damage == "bit":
        content = bytearray(where.read_bytes())
        content[len(content) // 2] ^= 4
        where.write_bytes(content)
    elif damage == "swapped":
        first, second = (backup / name for name in (page, queries))
        one, two = first.read_bytes(), second.read_bytes()
        first.write_bytes(two)
        second.write_bytes(one)
        why = f"{queries} has 14 bytes instead of 19; {page} has 19 bytes instead of 14"
    elif damage == "gone":
        (backup / page).unlink()
        why = f"{page} is gone"
    elif damage == "more":
        (backup / "systems" / "eve.yaml").write_text("name: eve")
        why = "systems/eve.yaml is not in the manifest"
    elif damage == "link":
        (tmp_path / "elsewhere").write_bytes((backup / page).read_bytes())
        (backup / page).unlink()
        (backup / page).symlink_to(tmp_path / "elsewhere")
        why = f"{page} is gone, or no file"
    elif damage == "short":
        os.truncate(where, where.stat().st_size - 1)
        why = "warehouse/aiops.duckdb has"
    elif damage == "manifest":
        (backup / MANIFEST).unlink()
        why = "has no manifest.json, which is written last"
    else:
        content = (backup / MANIFEST).read_text().replace('"Mira"', '"Eve"')
        (backup / MANIFEST).write_text(content)
        why = "does not say what it said"
    target = tmp_path / "new"
    with pytest.raises(BackupDamaged) as refused:
        restore(Project(target), backup, {})
    assert why in str(refused.value) and not (target.exists() and any(target.iterdir()))


def test_it_is_restored_over_nothing(project: Project, shop: System, backup: Path, tmp_path: Path) -> None:
    before = {name: (project.data / name).read_bytes() for name in names(project.data)}
    with pytest.raises(BackupError, match=r"holds audit, dagster, .* and warehouse already"):
        restore(project, backup, {})
    assert {name: (project.data / name).read_bytes() for name in names(project.data)} == before
    make(project, tmp_path / "keyed", [shop], "Mira", NOW, with_keys=True)
    new = Project(tmp_path / "new")
    shutil.copytree(project.keys, new.keys)
    shutil.copytree(project.data / "corpus", new.data / "corpus")
    with pytest.raises(BackupError, match="holds keys already"):
        restore(new, tmp_path / "keyed", {})
    restore(new, backup, {})
    assert (new.data / "corpus" / "returns.md").exists() and new.warehouse.exists()


def test_known_queries_are_backed_up_wherever_the_data_folder_has_them_and_named_where_it_has_not(
    project: Project, shop: System, tmp_path: Path
) -> None:
    beside, elsewhere = project.data / "corpus" / "asked.jsonl", tmp_path / "asked.jsonl"
    for file in (beside, elsewhere):
        file.write_text("{}\n")
        shop = shop.model_copy(update={"known_queries": file})
        manifest = make(project, tmp_path / f"of {file.parent.name}", [shop], "Mira", NOW)
        assert ("corpus/asked.jsonl" in manifest.files) == (file == beside)
        assert (str(elsewhere) in manifest.left_out) == (file == elsewhere)
    new = Project(tmp_path / "new")
    shutil.copytree(project.data / "corpus", new.data / "corpus")
    with pytest.raises(BackupError, match="holds corpus already"):
        restore(new, tmp_path / "of corpus", {})
    shutil.rmtree(new.data)
    restore(new, tmp_path / "of corpus", {})
    assert (new.data / "corpus" / "asked.jsonl").read_text() == "{}\n"


def test_what_links_lead_to_goes_along_and_a_folder_that_cannot_be_listed_is_told(
    project: Project, shop: System, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "disk" / "weekly"
    shutil.move(project.reports / "shop" / "weekly", elsewhere)
    (project.reports / "shop" / "weekly").symlink_to(elsewhere)
    (elsewhere / "round").symlink_to(project.reports)
    manifest = make(project, tmp_path / "linked", [shop], "Mira", NOW)
    assert [name for name in manifest.files if name.startswith("reports/")] == [
        "reports/shop/weekly/2026-06-01.html"
    ]
    (project.audit / "shop" / "tile").chmod(0)
    told = aiops(project.data, "backup", tmp_path / "closed", "--by", "Mira")
    (project.audit / "shop" / "tile").chmod(0o755)
    assert told.returncode == 1 and not (tmp_path / "closed").exists()
    assert f"{project.audit}/shop/tile: Permission denied" in " ".join(told.stderr.split())


def test_a_table_of_any_name_is_counted_and_comes_back(
    project: Project, shop: System, warehouse: Warehouse, tmp_path: Path
) -> None:
    odd = """it's "my" table"""
    tamper(warehouse, f"""create table main."{odd.replace('"', '""')}" as select unnest([1, 2])""")
    manifest = make(project, tmp_path / "odd", [shop], "Mira", NOW)
    assert manifest.rows[f"main.{odd}"] == 2 and only(drill(project, tmp_path / "odd")[1]).passed


def test_a_backup_of_other_tables_passes_and_says_so(project: Project, backup: Path) -> None:
    manifest = read_manifest((backup / MANIFEST).read_bytes())
    older = manifest.model_copy(update={"versions": manifest.versions | {"tables": "0"}})
    notes = [[one.message for one in only(drill(project, backup)[1]).findings]]
    (backup / MANIFEST).write_bytes(older.written())
    one = only(drill(project, backup)[1])
    assert one.passed and set(notes[0]) ^ {finding.message for finding in one.findings} == {OTHER_TABLES}


def test_none_is_made_over_another_or_inside_of_what_it_saves(
    project: Project, shop: System, backup: Path, tmp_path: Path
) -> None:
    before = (backup / MANIFEST).read_bytes()
    for target, why in ((backup, "is there already"), (project.data / "b", "lies in the data folder")):
        with pytest.raises(BackupError, match=why):
            make(project, target, [shop], "Mira", NOW)
    with pytest.raises(BackupError, match="by somebody"):
        make(project, tmp_path / "b", [shop], " ", NOW)
    assert (backup / MANIFEST).read_bytes() == before and not (tmp_path / "b").exists()


def test_nobody_writes_while_it_is_made(
    project: Project, shop: System, warehouse: Warehouse, tmp_path: Path
) -> None:
    def writes() -> int:
        run = [sys.executable, "-c", OPEN, str(project.warehouse)]
        return subprocess.run(run, capture_output=True, check=False).returncode

    with warehouse.snapshot(tmp_path / "copy.duckdb"):
        copied(project.systems / "shop.yaml", tmp_path, "beside/shop.yaml")
        assert warehouse.read("select count(*) as n from inference_log.inferences")["n"][0] == 3
        assert writes()
    assert not writes()


def test_it_is_noted_once_in_the_log_and_in_the_table(
    shop: System, warehouse: Warehouse, book: AuditBook, backup: Path
) -> None:
    manifest = read_manifest((backup / MANIFEST).read_bytes())
    for _ in range(2):
        assert note(warehouse, book, [shop], manifest, backup, NOW) == {}
    (row,) = warehouse.rows(BACKUPS).rows(named=True)
    assert (row["made_by"], row["tree_size"], row["folder"], row["with_keys"]) == (
        "Mira",
        3,
        str(backup),
        False,
    )
    assert row["root_hash"] == manifest.logs["shop"].root and row["bytes"] == manifest.size
    log = warehouse.rows("compliance.audit_log").filter(kind="decision.backup_made")
    assert log["actor"].to_list() == ["Mira"] and manifest.sha256.encode() in log["leaf"][0]
    assert book.signed_size("shop") == 4 and not [f for f in book.verify("shop")[0] if f.severity != "note"]
    assert [known["backup_id"] for known in known_backups(warehouse, "shop")] == [row["backup_id"]]


def test_it_is_known_until_somebody_says_that_it_is_destroyed(
    shop: System, warehouse: Warehouse, book: AuditBook, backup: Path
) -> None:
    manifest = read_manifest((backup / MANIFEST).read_bytes())
    note(warehouse, book, [shop], manifest, backup, NOW)
    (row,) = known_backups(warehouse, "shop")
    number = row["backup_id"]
    for wanted, by, why in ((number, " ", "by somebody"), ("BAK-0", "Mira", f"those that are: {number}")):
        with pytest.raises(BackupError, match=why):
            destroyed(warehouse, book, shop, wanted, by, NOW)
    destroyed(warehouse, book, shop, number.upper().removeprefix("BAK-"), "Omar", NOW)
    assert known_backups(warehouse, "shop") == []
    (kept,) = warehouse.rows(BACKUPS).rows(named=True)
    assert kept == row | {"destroyed_at": NOW, "destroyed_by": "Omar"}
    entry = warehouse.rows("compliance.audit_log").filter(kind="decision.backup_destroyed")
    assert entry["actor"].to_list() == ["Omar"] and book.signed_size("shop") == 5
    with pytest.raises(BackupError, match="those that are: none"):
        destroyed(warehouse, book, shop, number, "Omar", NOW)


def test_a_log_that_cannot_be_signed_is_backed_up_and_not_noted(
    project: Project, shop: System, warehouse: Warehouse, book: AuditBook, tmp_path: Path
) -> None:
    tamper(warehouse, "delete from compliance.audit_log where entry_index = 2")
    manifest = make(project, tmp_path / "b", [shop], "Mira", NOW)
    failed = note(warehouse, book, [shop], manifest, tmp_path / "b", NOW)
    assert "does not begin with what its published checkpoint" in failed["shop"]
    assert manifest.logs["shop"].entries == 2 and warehouse.rows(BACKUPS).is_empty()


def test_a_backup_that_cannot_be_noted_while_somebody_writes_is_said_to_be_there(
    project: Project, shop: System, book: AuditBook, backup: Path, tables: dict[str, Table]
) -> None:
    manifest = read_manifest((backup / MANIFEST).read_bytes())
    impatient = Warehouse(project.warehouse, tables, wait_seconds=0)
    log = AuditBook(project, impatient, book.keys)
    run = [sys.executable, "-c", HOLD, str(project.warehouse)]
    with subprocess.Popen(run, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writing:
        assert writing.stdout and writing.stdin and writing.stdout.readline() == "1\n"
        failed = note(impatient, log, [shop], manifest, backup, NOW)
        writing.stdin.close()
    assert "is being written" in failed["shop"]
    assert note(impatient, log, [shop], manifest, backup, NOW) == {}


def test_a_drill_passes_and_is_kept_with_its_number(
    project: Project, shop: System, warehouse: Warehouse, book: AuditBook, backup: Path
) -> None:
    room = sorted(project.warehouse.parent.iterdir())
    for number in (1, 2):
        manifest, drilled = drill(project, backup)
        one = only(drilled)
        assert one.passed and said(one) == [] and one.root == manifest.logs["shop"].root and one.rows >= 9
        later = NOW + timedelta(days=number)
        assert record(warehouse, book, [shop], backup, manifest, drilled, "Omar", later) == {}
    with pytest.raises(BackupError, match="by somebody"):
        record(warehouse, book, [shop], backup, manifest, drilled, " ", NOW)
    assert sorted(project.warehouse.parent.iterdir()) == room  # nothing of it stays
    kept = warehouse.rows(DRILLS).sort("number")
    assert kept.select("number", "passed", "drilled_by", "tree_size").rows() == [
        (1, True, "Omar", 3),
        (2, True, "Omar", 3),
    ]
    assert kept["drilled_at"].to_list() == [NOW + timedelta(days=n) for n in (1, 2)]
    assert kept["backup_made_at"].to_list() == [NOW, NOW]
    kinds = warehouse.rows("compliance.audit_log").sort("entry_index")["kind"].to_list()
    assert kinds[3:] == ["decision.backup_made", *["decision.restore_drilled"] * 2]


def test_a_backup_that_is_damaged_fails_the_drill_and_that_is_kept(
    project: Project, shop: System, warehouse: Warehouse, book: AuditBook, backup: Path
) -> None:
    (backup / "notifications" / "shop.jsonl").write_text("[]\n")
    manifest, drilled = drill(project, backup)
    one = only(drilled)
    assert not one.passed and "notifications/shop.jsonl holds other bytes" in said(one)[0]
    record(warehouse, book, [shop], backup, manifest, drilled, "Omar", NOW)
    (row,) = warehouse.rows(DRILLS).rows(named=True)
    assert (row["passed"], row["findings"], row["root_hash"]) == (False, said(one), None)
    entry = warehouse.rows("compliance.audit_log").filter(kind="decision.restore_drilled")
    assert "FAILED" in entry["summary"][0]


def again(backup: Path, name: str) -> None:
    """Give the backup a manifest that fits its changed file: who edits a backup can do so too."""
    manifest = read_manifest((backup / MANIFEST).read_bytes())
    files = manifest.files | {name: hashed(backup / name)}
    (backup / MANIFEST).write_bytes(manifest.model_copy(update={"files": files}).written())


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("update inference_log.inferences set answer = 'No.' where event_id = 'e0'", "answer of the call"),
        ("delete from compliance.audit_log where entry_index = 2", "1 entry lost"),
        ("delete from compliance.audit_log where entry_index = 2", "was backed up as 3 entries"),
        ("delete from costs.call_costs where event_id = 'e0'", "costs.call_costs has 2 rows, not 3."),
        ("alter table rag.chunks add column later bigint", "rag.chunks.later is not known to this version"),
    ],
)
def test_a_backup_that_was_edited_with_its_manifest_fails_the_drill(
    project: Project, backup: Path, tables: dict[str, Table], sql: str, why: str
) -> None:
    assert only(drill(project, backup)[1]).passed
    tamper(Warehouse(backup / "warehouse" / "aiops.duckdb", tables), sql)
    again(backup, "warehouse/aiops.duckdb")
    one = only(drill(project, backup)[1])
    assert not one.passed and any(why in sentence for sentence in said(one))


def test_a_report_that_says_other_than_its_figures_fails_the_drill(
    project: Project, shop: System, warehouse: Warehouse, tmp_path: Path
) -> None:
    figure = {"key": "record.inferences", "value": 3}
    file = project.data / "reports/shop/monthly/2026-05.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"sections": [{"figures": [figure]}]}))
    of = {"system": "shop", "month": NOW.date().replace(month=5, day=1)}
    report = of | {"json_file": "reports/shop/monthly/2026-05.json", "json_sha256": hashed(file).sha256}
    kept = of | {"edition": 0, "figure": "record.inferences", "value": "3"}
    for table, row in (("compliance_reports", report), ("report_figures", kept)):
        with warehouse.writing() as writer:
            writer.append(f"compliance.{table}", rows(warehouse, f"compliance.{table}", row))
    make(project, tmp_path / "b1", [shop], "Mira", NOW)
    assert only(drill(project, tmp_path / "b1")[1]).passed
    tamper(warehouse, "update compliance.report_figures set value = '4'")
    make(project, tmp_path / "b2", [shop], "Mira", NOW)
    assert (
        "differ in 1 figure, such as record.inferences" in said(only(drill(project, tmp_path / "b2")[1]))[0]
    )
    file.unlink()
    make(project, tmp_path / "b3", [shop], "Mira", NOW)
    assert "2026-05.json is gone" in said(only(drill(project, tmp_path / "b3")[1]))[0]


def test_a_backup_of_another_history_fails_the_drill(
    project: Project, shop: System, warehouse: Warehouse, book: AuditBook, backup: Path
) -> None:
    tamper(warehouse, "update compliance.audit_log set leaf_hash = sha256('x')::blob where entry_index = 0")
    one = only(drill(project, backup)[1])
    assert not one.passed and "The log in use does not begin with the 3 entries" in said(one)[0]


def test_without_any_key_the_drill_fails_for_nothing_could_go_on(project: Project, backup: Path) -> None:
    shutil.rmtree(project.keys)
    assert "The key that signed the log of shop is missing" in said(only(drill(project, backup)[1]))[0]


def test_who_could_not_look_into_a_folder_cannot_in_the_backup_nor_after_it(
    project: Project, shop: System, tmp_path: Path
) -> None:
    closed = ("warehouse", "reports", "reports/shop")
    for name in closed:
        (project.data / name).chmod(0o700)
    make(project, tmp_path / "private", [shop], "Mira", NOW)
    restore(Project(tmp_path / "new"), tmp_path / "private", {})
    for root in (tmp_path / "private", tmp_path / "new"):
        assert {name: oct((root / name).stat().st_mode & 0o777) for name in closed} == dict.fromkeys(
            closed, "0o700"
        )
        assert (root / "systems").stat().st_mode & 0o777 == (project.systems).stat().st_mode & 0o777


def test_a_file_is_copied_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "a").chmod(0o640)
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert copied(tmp_path / "a", tmp_path, "b/c") == Copied(sha256=abc, bytes=3) == hashed(tmp_path / "b/c")
    assert stat.S_IMODE((tmp_path / "b/c").stat().st_mode) == 0o640
    with pytest.raises(FileExistsError):
        copied(tmp_path / "a", tmp_path, "b/c")
