"""The warehouse in use and under faults; each fault is real: another process, a kill, a full disk, a flipped bit."""

import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from aiops_pipelines.resources.published import ReadOnlyWarehouse
from aiops_pipelines.resources.warehouse import (
    BLOCK_BYTES,
    FRUGAL,
    SMALL_BYTES,
    Warehouse,
    WarehouseBusy,
    WarehouseError,
)
from aiops_pipelines.resources.warehouse_errors import RESTORE
from aiops_pipelines_tests.resources.events_store import EVENTS, TABLES, events, ids, store_at


@pytest.fixture
def store(tmp_path: Path) -> Warehouse:
    return store_at(tmp_path)


# --- kept open for a stretch of work


def test_a_stretch_of_work_reads_what_it_writes_and_undoes_what_fails(store: Warehouse) -> None:
    with store.held():
        store.replace(EVENTS, events("c", "c1"), system="c")
        assert ids(store) == ["a1", "a2", "b1", "c1"]
        with store.held():
            assert len(ids(store)) == 4
        assert len(ids(store)) == 4  # the inner stretch did not end the outer one
        with pytest.raises(ZeroDivisionError), store.writing() as writer:
            writer.delete(EVENTS, system="a")
            _ = 1 / 0
        assert len(ids(store)) == 4
    assert ids(store) == ["a1", "a2", "b1", "c1"]


def test_the_file_is_free_again_after_a_stretch_however_it_ends(store: Warehouse) -> None:
    with pytest.raises(ZeroDivisionError), store.held():
        store.replace(EVENTS, events("c", "c1"), system="c")
        with pytest.raises(AssertionError), held(store.file):  # kept from other processes
            pass
        _ = 1 / 0
    with held(store.file):
        pass
    assert ids(store) == ["a1", "a2", "b1", "c1"]


READ = "import duckdb, sys; print(duckdb.connect(sys.argv[1], read_only=True).sql('select 7').fetchone()[0])"


@pytest.mark.parametrize("kind", [Warehouse, ReadOnlyWarehouse])
def test_a_stretch_of_looking_lets_other_processes_look(store: Warehouse, kind: type[Warehouse]) -> None:
    looking = kind(store.file, TABLES)
    with looking.held():
        assert ids(looking) == ["a1", "a2", "b1"]
        other = subprocess.run([sys.executable, "-c", READ, store.file], capture_output=True, text=True)
    assert other.stdout == ("7\n" if kind is ReadOnlyWarehouse else ""), other.stderr


# --- several processes

HOLD = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held(file: Path, script: str = HOLD) -> Iterator[subprocess.Popen[str]]:
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline().strip() == "held"
        yield holder
    finally:
        holder.kill()
        holder.communicate()


def test_a_frugal_stretch_leaves_the_settings_as_they_were(tmp_path: Path) -> None:
    store = Warehouse(tmp_path / "w.duckdb", TABLES)
    names = list(FRUGAL)
    sql = "select name, value from duckdb_settings() where name in (select unnest(?))"

    def settings() -> dict[str, str]:
        return dict(store.read(sql, [names]).rows())

    with store.held():
        before = settings()
        with store.held(frugal=True):
            assert settings()["threads"] == "1" and all(
                settings()[name] != before[name] for name in names[1:]
            )
        assert settings() == before
        with pytest.raises(ZeroDivisionError), store.held(frugal=True):
            _ = 1 / 0
        assert settings() == before
    with pytest.raises(ZeroDivisionError), store.held(frugal=True):
        store._held.close()  # type: ignore[union-attr] # as after an error that ends the database
        _ = 1 / 0


@pytest.mark.parametrize(("limit", "how"), [(SMALL_BYTES, "Uncompressed"), (0, "FSST")])
def test_texts_of_a_small_file_are_not_compressed(
    store: Warehouse, monkeypatch: pytest.MonkeyPatch, limit: int, how: str
) -> None:
    monkeypatch.setattr("aiops_pipelines.resources.warehouse.SMALL_BYTES", limit)
    texts = [f"the same words about one more event, of which this is number {n}" for n in range(2_000)]
    with store.held(frugal=True):
        store.replace(EVENTS, events("c", *texts), system="c")
    stored = store.read(f"from pragma_storage_info('{EVENTS}') where column_name = 'event_id'")
    assert how in stored["compression"].to_list()


def test_blocks_are_small_in_a_new_file_and_in_one_written_anew(store: Warehouse) -> None:
    asked = "select block_size from pragma_database_size()"
    assert store.read(asked)["block_size"].to_list() == [BLOCK_BYTES]
    store.rewrite()
    assert store.read(asked)["block_size"].to_list() == [BLOCK_BYTES]


def test_one_thread_works_on_a_small_file_and_all_of_them_on_a_large_one(
    store: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = "select current_setting('threads') as n"

    def threads() -> int:
        return int(store.read(asked)["n"][0])

    with duckdb.connect() as any_other:
        ((all_of_them,),) = any_other.execute(asked).fetchall()
    assert threads() == 1
    monkeypatch.setattr("aiops_pipelines.resources.warehouse.SMALL_BYTES", 0)
    assert threads() == all_of_them
    with store.held():
        with store.writing(threads=1) as writer:
            assert writer.read(asked)["n"].to_list() == [1]
        assert threads() == all_of_them


def test_a_second_process_is_named_and_waited_for(store: Warehouse) -> None:
    with held(store.file) as holder:
        for use in (lambda: store.rows(EVENTS), lambda: store.replace(EVENTS, events("c", "c1"), system="c")):
            with pytest.raises(WarehouseBusy, match=rf"being written; try again later.*PID {holder.pid}\b"):
                use()
        patient = Warehouse(store.file, TABLES, wait_seconds=30)
        patient._ready = True
        found: list[str] = []
        waiting = threading.Thread(target=lambda: found.extend(ids(patient)))
        waiting.start()
        time.sleep(0.3)  # so that it meets the held file
        assert found == []
        holder.communicate("")  # lets go
        waiting.join()
        assert found == ["a1", "a2", "b1"]
    store.replace(EVENTS, events("c", "c1"), system="c")
    assert ids(store) == ["a1", "a2", "b1", "c1"]


def test_threads_of_one_process_wait_for_each_other(store: Warehouse) -> None:
    patient = Warehouse(store.file, TABLES, wait_seconds=30)
    found: list[int] = []
    reading = threading.Thread(target=lambda: found.append(patient.rows(EVENTS).height))
    with store.writing() as writer:
        writer.append(EVENTS, events("c", "c1"))
        reading.start()
        time.sleep(0.1)  # so that it meets the open file
    reading.join()
    assert found == [4]


SETUP = """
import os, sys, time
from pathlib import Path
import polars as pl
from aiops_pipelines.resources.tables import Column, Table
from aiops_pipelines.resources.warehouse import Warehouse
names = (("system", "VARCHAR"), ("event_id", "VARCHAR"), ("at", "TIMESTAMP"), ("n", "BIGINT"))
table = Table("costs", "events", "", tuple(Column(name, type, "") for name, type in names))
store = Warehouse(Path(sys.argv[1]), {table.path: table}, wait_seconds=30)
def events(*ids):
    size = len(ids)
    frame = pl.DataFrame({"system": ["c"] * size, "event_id": ids, "n": [1] * size})
    return frame.with_columns(at=pl.lit(None, pl.Datetime("us", "UTC")))
"""
DIE_BEFORE = """
def die(event, arguments):
    if event == "{event}":
        os.kill(os.getpid(), 9)
sys.addaudithook(die)
"""


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SETUP + script, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_processes_that_create_the_file_at_once_all_find_their_rows_in_it(tmp_path: Path) -> None:
    file, go = tmp_path / "warehouse" / "x.duckdb", tmp_path / "go"
    # The file is linked to its name only when all are about to do so: the worst moment.
    script = f"""
def wait(event, arguments):
    if event == "os.link":
        Path(sys.argv[2] + sys.argv[3]).touch()
        while not all(Path(sys.argv[2] + str(i)).exists() for i in range(2)):
            time.sleep(0.01)
sys.addaudithook(wait)
with store.writing() as writer:
    writer.append({EVENTS!r}, events(sys.argv[3]))
"""
    command = [sys.executable, "-c", SETUP + script, str(file), str(go)]
    for process in [subprocess.Popen([*command, str(i)]) for i in range(2)]:
        assert process.wait(60) == 0
    assert ids(Warehouse(file, TABLES)) == ["0", "1"]
    assert [path.name for path in file.parent.iterdir()] == ["x.duckdb"]


# --- kills


@pytest.mark.parametrize("event", ["os.mkdir", "duckdb", "os.link", "os.remove"])
def test_a_kill_while_the_file_is_created_does_not_stop_the_next_start(tmp_path: Path, event: str) -> None:
    file = tmp_path / "warehouse" / "x.duckdb"
    if event == "duckdb":  # in the middle of writing the file: half of it is there
        file.parent.mkdir()
        (file.parent / f"x.new-{os.getpid()}").write_bytes(b"half a database")
    else:
        killed = run(DIE_BEFORE.format(event=event) + "store.prepare()", file)
        assert killed.returncode == -signal.SIGKILL
        assert file.exists() == (event == "os.remove")
    store = Warehouse(file, TABLES)
    store.replace(EVENTS, events("c", "c1"), system="c")
    assert ids(store) == ["c1"]


def test_what_a_killed_process_left_is_removed_after_an_hour(store: Warehouse, tmp_path: Path) -> None:
    left = [tmp_path / name for name in ("pub.new-99999", "pub.new-99999.wal", "pub.new-88888", "pub.newer")]
    for file in left:
        file.write_bytes(b"half a database")
    for file in left[:2]:
        os.utime(file, (0, time.time() - 3700))
    store.publish(tmp_path / "pub.duckdb", {})
    assert [file.exists() for file in left] == [False, False, True, True]


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("writer.append({events!r}, events('c1')); os.kill(os.getpid(), 9)", ["a1", "a2", "b1"]),
        ("writer.append({events!r}, events('c1'))\nos.kill(os.getpid(), 9)", ["b1", "c1"]),
    ],
    ids=["in the middle", "after the end"],
)
def test_a_kill_leaves_the_state_before_a_transaction_or_the_one_after(
    store: Warehouse, moment: str, expected: list[str]
) -> None:
    body = "with store.writing() as writer:\n    writer.delete('costs.events', system='a')\n    "
    killed = run(body + moment.format(events=EVENTS), store.file)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert ids(store) == expected


# --- disks

FULL = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write past the limit fails, as on a full disk
def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
many = [os.urandom(32).hex() for _ in range(20_000)]
store.rows("costs.events")
limit(store.file.stat().st_size + 50_000)
try:
    store.replace("costs.events", events(*many), system="c")
except Exception as error:
    print(type(error).__name__, error)
print(store.rows("costs.events").height)
limit(resource.RLIM_INFINITY)
print(store.replace("costs.events", events(*many), system="c"))
limit(100_000)
try:
    store.publish(Path(sys.argv[2]), {})
except Exception as error:
    print(type(error).__name__, error)
print(Path(sys.argv[2]).read_text())
limit(resource.RLIM_INFINITY)
print(store.publish(Path(sys.argv[2]), {}))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX")
def test_a_full_disk_is_told_loses_nothing_and_is_over_when_there_is_room(
    store: Warehouse, tmp_path: Path
) -> None:
    target = tmp_path / "pub.duckdb"
    target.write_text("the copy of yesterday")
    finished = run(FULL, store.file, target)
    told, kept, written, refused, old, published = finished.stdout.splitlines()
    assert told.startswith("WarehouseError Nothing of this step was written to x.duckdb: ")
    assert "Make room on the disk" in told
    assert (kept, written) == ("3", "20000")
    assert refused.startswith("WarehouseError pub.duckdb stays as it was: ")
    assert old == "the copy of yesterday"
    assert published == "{'costs.events': 20003}"
    assert [path.name for path in tmp_path.glob("pub*")] == ["pub.duckdb"]
    assert len(ids(store)) == 20_003


FULL_AT_REST = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store.rows("costs.events")
size = store.file.stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
try:
    with store.held():
        with store.held(frugal=True):
            store.replace("costs.events", events(*[os.urandom(32).hex() for _ in range(500)]), system="c")
        store.rows("costs.events")
except Exception as error:
    print(type(error).__name__, repr(str(error)))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(store.rows("costs.events").height)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX")
def test_a_disk_that_is_full_at_a_checkpoint_is_told_and_what_was_stored_stays(store: Warehouse) -> None:
    told, kept = run(FULL_AT_REST, store.file).stdout.splitlines()
    assert told.startswith("WarehouseError ") and "x.duckdb cannot be read; what was stored stays" in told
    assert "Make room on the disk" in told and kept == "503"


@pytest.mark.parametrize("place", [20, 4100, 8200])
def test_a_damaged_header_is_no_busy_warehouse(store: Warehouse, place: int) -> None:
    content = bytearray(store.file.read_bytes())
    content[place] ^= 1
    store.file.write_bytes(content)
    with pytest.raises(WarehouseError, match=r"^x\.duckdb cannot be opened: .*Corrupt database.* backup"):
        store.rows(EVENTS)


def test_a_damaged_block_is_no_full_disk(store: Warehouse) -> None:
    with store.writing() as writer:
        writer._connection.execute(
            f"insert into {EVENTS} select 'a', md5(i::text), now(), hash(i) >> 2 from range(90000) t(i)"
        )
    assert len(ids(store)) == 90_003
    whole, said = store.file.read_bytes(), []
    for block in range(3 * 4_096, len(whole), BLOCK_BYTES):
        content = bytearray(whole)
        content[block + 100] ^= 1
        store.file.write_bytes(content)
        try:
            store.rows(EVENTS)
        except WarehouseError as error:
            said.append(str(error))
    read = [sentence for sentence in said if "cannot be read" in sentence]
    assert len(read) > 3
    assert all(sentence.endswith(RESTORE) and "Make room" not in sentence for sentence in said)


def in_storage_version(file: Path, number: int) -> None:
    """Say in the header that another DuckDB wrote the file: magic DUCK at 8, version at 12, checksum at 0."""
    content = bytearray(file.read_bytes())
    content[12:20] = struct.pack("<Q", number)
    checksum = 5381
    for (word,) in struct.iter_unpack("<Q", content[8:4096]):
        checksum ^= word * 0xBF58476D1CE4E5B9 & (2**64 - 1)
    content[:8] = struct.pack("<Q", checksum)
    file.write_bytes(content)


@pytest.mark.parametrize("number", [63, 999], ids=["older", "newer"])
def test_a_file_of_another_duckdb_is_refused_and_left_as_it_is(store: Warehouse, number: int) -> None:
    (known,) = struct.unpack("<Q", store.file.read_bytes()[12:20])
    in_storage_version(store.file, known)
    assert ids(store) == ["a1", "a2", "b1"]
    in_storage_version(store.file, number)
    before = store.file.read_bytes()
    said = (
        f"x.duckdb cannot be opened: another DuckDB wrote it, in storage version {number}, which duckdb "
        f"{duckdb.__version__} does not read. Install the one it was written with, as requirements.lock names "
        "it (make install); the file is left as it is."
    )
    for use in (lambda: ids(store), lambda: store.replace(EVENTS, events("c", "c1"), system="c")):
        with pytest.raises(WarehouseError) as told:
            use()
        assert str(told.value) == said
    assert store.file.read_bytes() == before
    in_storage_version(store.file, known)
    assert ids(store) == ["a1", "a2", "b1"]


@pytest.mark.parametrize(
    ("version", "refused"), [("1.4.4", True), ("0.10.2", True), ("1.5.0", False), ("2.0.0a1", False)]
)
def test_a_duckdb_that_can_lose_rows_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, refused: bool
) -> None:
    monkeypatch.setattr(duckdb, "__version__", version)
    store = Warehouse(tmp_path / "warehouse" / "x.duckdb", TABLES)
    if refused:
        with pytest.raises(WarehouseError, match=f"^duckdb {version} can lose rows .* install 1.5 or newer"):
            store.prepare()
    else:
        store.prepare()
    assert store.file.exists() is not refused


def test_a_file_of_another_kind_is_refused(store: Warehouse) -> None:
    store.file.write_bytes(b"not a database" * 1000)
    with pytest.raises(WarehouseError, match=r"^x\.duckdb cannot be opened: .*not a valid DuckDB") as told:
        store.rows(EVENTS)
    assert str(told.value).endswith(f"file. {RESTORE}") and "\n" not in str(told.value)


def test_a_file_that_may_not_be_opened_is_no_damaged_one(store: Warehouse) -> None:
    store.file.unlink()
    store.file.mkdir()
    with pytest.raises(WarehouseError, match=r"^x\.duckdb cannot be opened: ") as told:
        store.rows(EVENTS)
    assert "backup" not in str(told.value)


# --- the analysts' copy


def test_the_copy_has_rows_descriptions_and_a_format_that_old_clients_read(
    store: Warehouse, tmp_path: Path
) -> None:
    with store.writing() as writer:
        # as dbt writes views, by the file's own name
        events = f'"{store.file.stem}"."costs"."events"'
        writer._connection.execute(f'create view costs.daily as select "at"::date as day, n from {events}')
        writer._connection.execute("create schema staging")
        writer._connection.execute("create table staging.inner_work as select 1 as x")
        writer._connection.execute("create table costs.events__dbt_tmp as select 1 as x")
    target = tmp_path / "pub.duckdb"
    described = {
        EVENTS: (
            "What 'happened'; it's all.",
            {"n": 'A "number".', "at": "When, UTC.", "new": "Not built yet."},
        )
    }
    assert store.publish(target, described) == {"costs.daily": 3, EVENTS: 3}
    with duckdb.connect(str(target), read_only=True) as reader:
        tables = reader.execute("select schema_name, table_name, comment from duckdb_tables() order by all")
        assert tables.fetchall() == [
            ("costs", "daily", ""),
            ("costs", "events", "What 'happened'; it's all."),
        ]
        columns = reader.execute(
            "select column_name, comment from duckdb_columns() where table_name = 'events' and not internal"
        )
        assert dict(columns.fetchall()) == {
            "system": None,
            "event_id": None,
            "at": "When, UTC.",
            "n": 'A "number".',
        }
        assert reader.execute("select count(*), sum(n) from costs.daily").fetchall() == [(3, 3)]
        tags = reader.execute("select tags from duckdb_databases() where not internal").fetchall()
        assert tags == [({"storage_version": "v1.0.0+"},)]
    assert [path.name for path in tmp_path.glob("pub*")] == ["pub.duckdb"]


def test_a_copy_that_fails_leaves_the_old_one(store: Warehouse, tmp_path: Path) -> None:
    target = tmp_path / "pub.duckdb"
    store.publish(target, {})
    before = target.read_bytes()
    with store.writing() as writer:
        writer._connection.execute("create table costs.gone as select 1 as nowhere")
        writer._connection.execute("create view costs.orphan as select nowhere from costs.gone")
        writer._connection.execute("drop table costs.gone")
    with pytest.raises(duckdb.Error, match="gone"):
        store.publish(target, {})
    assert target.read_bytes() == before
    assert [path.name for path in tmp_path.glob("pub*")] == ["pub.duckdb"]


READ_ON = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1], read_only=True)
print("held", flush=True)
for line in sys.stdin:
    print(connection.execute("select count(*) from costs.events").fetchall()[0][0], flush=True)
"""


def test_a_reader_reads_on_while_the_copy_is_swapped(store: Warehouse, tmp_path: Path) -> None:
    target = tmp_path / "pub.duckdb"
    store.publish(target, {})
    with held(target, READ_ON) as reader:

        def count() -> str:
            assert reader.stdin is not None and reader.stdout is not None
            reader.stdin.write("\n")
            reader.stdin.flush()
            return reader.stdout.readline().strip()

        assert count() == "3"
        store.replace(EVENTS, events("c", "c1"), system="c")  # a reader of the copy stops no writer
        assert store.publish(target, {}) == {EVENTS: 4}
        assert count() == "3"
        with duckdb.connect(str(target), read_only=True) as fresh:
            assert fresh.execute(f"select count(*) from {EVENTS}").fetchall() == [(4,)]
        assert count() == "3"


def test_a_kill_while_the_copy_is_made_leaves_the_old_one(store: Warehouse, tmp_path: Path) -> None:
    target = tmp_path / "pub.duckdb"
    target.write_text("the copy of yesterday")
    killed = run(
        DIE_BEFORE.format(event="os.rename") + "store.publish(Path(sys.argv[2]), {})", store.file, target
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert target.read_text() == "the copy of yesterday"
    assert store.publish(target, {}) == {EVENTS: 3}
