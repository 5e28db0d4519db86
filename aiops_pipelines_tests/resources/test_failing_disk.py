"""Disks that do not keep what is written: nothing counts as written, and the next run ends the same."""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from aiops_pipelines.mendable import about
from aiops_pipelines.project import ROOT, Project
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.keys import Keys
from aiops_pipelines.resources.report_book import ReportBook
from aiops_pipelines.resources.tables import Table
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import load_system
from aiops_pipelines_tests.commands.small_run import write_inputs
from aiops_pipelines_tests.resources.events_store import events, ids, store_at
from aiops_pipelines_tests.resources.test_audit_book import NOW, entries

FSYNC = os.fsync


def failing_at(monkeypatch: pytest.MonkeyPatch, number: int) -> list[str]:
    """Let the fsync of this number, from 1, fail; return the list that those of all are added to."""
    seen: list[str] = []

    def fsync(descriptor: int) -> None:
        seen.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        if len(seen) == number:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        FSYNC(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return seen


def signed(book: AuditBook, first: int, last: int) -> int:
    book.append("shop", entries(first, last))
    return book.sign("shop", NOW)


@pytest.fixture
def ours(tables: dict[str, Table]) -> dict[str, Table]:
    return {name: table for name, table in tables.items() if table.pillar == "compliance"}


def made(folder: Path, tables: dict[str, Table]) -> AuditBook:
    project = Project(folder)
    return AuditBook(project, Warehouse(project.warehouse, tables, wait_seconds=5), Keys(project.keys))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="asks /proc which file a descriptor is of")
def test_a_checkpoint_that_the_disk_does_not_keep_is_signed_by_the_next_run(
    tmp_path: Path, ours: dict[str, Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The k-th fsync fails, for every k: of keys, tiles, notes and the folders they are in."""
    begun = made(tmp_path / "begun", ours)
    assert signed(begun, 0, 3) == 3
    shutil.copytree(tmp_path / "begun", tmp_path / "control")
    control = made(tmp_path / "control", ours)
    seen = failing_at(monkeypatch, 0)
    assert signed(control, 3, 40) == 40
    monkeypatch.undo()
    root = control.verify("shop")[2]
    assert {Path(path).name for path in seen} >= {"40.new", "40.note.new", "checkpoint.new", "shop", "000.p"}
    for number in range(1, len(seen) + 1):
        folder = tmp_path / f"fails_{number}"
        shutil.copytree(tmp_path / "begun", folder)
        book = made(folder, ours)
        there = failing_at(monkeypatch, number)
        with pytest.raises(OSError, match="Input/output error") as told:
            signed(book, 3, 40)
        monkeypatch.undo()
        assert told.value.filename == there[-1] and len(there) == number
        assert book.signed_size("shop") == 3  # it was not said to be signed
        assert not list(folder.rglob("*.new"))
        assert signed(book, 3, 40) == 40
        assert (book.verify("shop"), book.signed_size("shop")) == (([], 40, root), 40)


FULL = Path("/dev/full")
"""What is written to it does not fit: the kernel says that there is no space left."""


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_a_disk_that_is_full_at_a_tile_a_note_or_the_checkpoint_is_told_and_the_next_run_goes_on(
    tmp_path: Path, ours: dict[str, Table]
) -> None:
    begun = made(tmp_path / "begun", ours)
    assert signed(begun, 0, 3) == 3
    before = (tmp_path / "begun" / "audit" / "shop" / "checkpoint").read_bytes()
    for name in ("tile/0/000.p/40", "tile/entries/000.p/40", "checkpoints/40.note", "checkpoint"):
        data = tmp_path / name.replace("/", "_")
        shutil.copytree(tmp_path / "begun", data)
        book, file = made(data, ours), data / "audit" / "shop" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.with_name(f"{file.name}.new").symlink_to(FULL)
        with pytest.raises(OSError, match="No space left on device") as told:
            signed(book, 3, 40)
        assert about(told.value) == (
            f"{file}.new cannot be used: No space left on device; make room, and start again."
        )
        assert (data / "audit" / "shop" / "checkpoint").read_bytes() == before
        assert book.signed_size("shop") == 3 and not [f for f in data.rglob("*.new") if f.is_symlink()]
        assert [finding.message for finding in book.verify("shop")[0]] == []
        assert signed(book, 3, 40) == 40 and book.verify("shop")[0] == []


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_a_report_that_does_not_fit_leaves_the_one_before(tmp_path: Path, ours: dict[str, Table]) -> None:
    write_inputs(tmp_path)
    system = load_system(tmp_path / "systems" / "support.yaml", tmp_path)
    book = made(tmp_path, ours)
    reports, folder = ReportBook(Project(tmp_path), book._warehouse, book, system), tmp_path / "reports"
    first = reports._write("2026-06", {"html": b"<p>1", "json": b"{}"})
    assert list(first) == ["html_file", "html_sha256", "json_file", "json_sha256"]
    page = folder / "support" / "monthly" / "2026-06.html"
    page.with_name("2026-06.html.new").symlink_to(FULL)
    with pytest.raises(OSError, match="No space left on device"):
        reports._write("2026-06", {"html": b"<p>2", "json": b"[]"})
    assert (tmp_path / first["html_file"]).read_bytes() == b"<p>1"
    assert sorted(file.name for file in page.parent.iterdir()) == ["2026-06.html", "2026-06.json"]
    reports._write("2026-06", {"html": b"<p>2", "json": b"[]"})
    assert page.read_bytes() == b"<p>2"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="asks /proc which file a descriptor is of")
def test_a_key_that_the_disk_does_not_keep_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = failing_at(monkeypatch, 0)
    Keys(tmp_path / "control").subject("shop", "kim")
    monkeypatch.undo()
    assert len(seen) == 7  # three folders, and two keys, each with the folder that its name is in
    for number in range(1, len(seen) + 1):
        folder = tmp_path / f"fails_{number}"
        there = failing_at(monkeypatch, number)
        with pytest.raises(OSError, match="Input/output error"):
            Keys(folder).subject("shop", "kim")
        monkeypatch.undo()
        assert ".new-" not in there[-1] or not list(Path(there[-1]).parent.glob("*.*"))
        kept = Keys(folder).subject("shop", "kim")
        assert Keys(folder).kept_subject("shop", "kim") == kept
        assert {path.stat().st_mode & 0o777 for path in folder.rglob("*.key")} == {0o600}


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="asks /proc which file a descriptor is of")
def test_a_file_is_durable_before_it_has_its_name_and_the_name_is_after_it(
    tmp_path: Path, tables: dict[str, Table], ours: dict[str, Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a loss of power a name leads to the whole file, or to the one before."""
    done: list[tuple[str, str, str]] = []
    real = {name: getattr(os, name) for name in ("fsync", "replace", "link")}

    def fsync(descriptor: int) -> None:
        real["fsync"](descriptor)
        done.append(("sync", os.readlink(f"/proc/self/fd/{descriptor}"), ""))

    def naming(how: str) -> Callable[[object, object], None]:
        def named(source: object, target: object) -> None:
            real[how](source, target)
            done.append(("name", str(source), str(target)))

        return named

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", naming("replace"))
    monkeypatch.setattr(os, "link", naming("link"))
    book = made(tmp_path / "data", ours)
    signed(book, 0, 3)
    book.keys.subject("shop", "kim")
    write_inputs(tmp_path / "data")
    system = load_system(tmp_path / "data" / "systems" / "support.yaml", tmp_path / "data")
    project = Project(tmp_path / "data")
    ReportBook(project, book._warehouse, book, system)._write("2026-06", {"html": b"<p>", "json": b"{}"})
    book._warehouse.publish(project.published, {})
    names = [(at, *pair) for at, (kind, *pair) in enumerate(done) if kind == "name"]
    found = {Path(target).name for _, _, target in names}
    assert found >= {"checkpoint", "3.note", "pepper.key", "2026-06.html", "aiops.duckdb"}
    for at, source, target in names:
        if ".duckdb" not in target:  # DuckDB syncs its own
            assert ("sync", source, "") in done[:at], target
        assert ("sync", str(Path(target).parent), "") in done[at:], target


# --- what DuckDB writes

STRACE = shutil.which("strace")
WRITE = """
import sys
from pathlib import Path
from aiops_pipelines_tests.resources.events_store import *
store = Warehouse(Path(sys.argv[1]), TABLES)
store._ready = True
try:
    store.replace(EVENTS, events("c", "c1"), system="c") if sys.argv[2] == "write" else store.publish(Path(sys.argv[2]), {})
    print("done")
except Exception as error:
    print(type(error).__name__, " ".join(str(error).split()))
"""


def under_failing_fsync(*arguments: object) -> str:
    """Run the code while the kernel answers every fsync with an error; skip where it may not be asked to."""
    inject = ["-f", "-qq", "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO"]
    quiet = [str(STRACE), "-o", os.devnull, *inject]
    if subprocess.run([*quiet, "true"], capture_output=True).returncode:
        pytest.skip("strace may not trace here")
    command = [*quiet, sys.executable, "-W", "ignore", "-c", WRITE, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.skipif(STRACE is None, reason="needs strace to let fsync fail")
def test_rows_and_a_copy_that_the_disk_does_not_keep_are_not_said_to_be_there(tmp_path: Path) -> None:
    store, target = store_at(tmp_path), tmp_path / "pub.duckdb"
    target.write_text("the copy of yesterday")
    written = under_failing_fsync(store.file, "write")
    assert written.startswith("WarehouseError Nothing of this step was written to x.duckdb: ")
    assert written.endswith("The disk fails: look after it, then run again.")
    assert ids(store) == ["a1", "a2", "b1"]
    copied = under_failing_fsync(store.file, target)
    assert copied.startswith("WarehouseError pub.duckdb stays as it was: ")
    assert target.read_text() == "the copy of yesterday"
    assert [path.name for path in tmp_path.glob("pub*")] == ["pub.duckdb"]
    assert store.replace("costs.events", events("c", "c1"), system="c") == 1
    assert store.publish(target, {}) == {"costs.events": 4}
