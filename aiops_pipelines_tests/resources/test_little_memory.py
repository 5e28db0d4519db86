"""A warehouse that is larger than the memory it is given: it spills beside itself, or says what it lacks."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aiops_pipelines.resources import warehouse
from aiops_pipelines.resources.warehouse import Warehouse, WarehouseError
from aiops_pipelines_tests.resources.events_store import EVENTS, TABLES, events

ROWS = 400_000
SORT = "select count(*) as n, max(place) as last from costs.sorted"
COPIED = {"costs.sorted": ROWS, EVENTS: ROWS}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Texts of 40 MB, and a view that sorts them."""
    made = Warehouse(tmp_path_factory.mktemp("little") / "warehouse" / "x.duckdb", TABLES, wait_seconds=1)
    long = "md5(i::text) || md5((i + 1)::text) || md5((i + 2)::text)"
    with made.writing() as writer:
        writer._connection.execute(
            f"insert into {EVENTS} select 'a', {long}, now(), i from range({ROWS}) t(i)"
        )
        writer._connection.execute(
            f"create view costs.sorted as select *, row_number() over (order by event_id) as place from {EVENTS}"
        )
    return made


def given(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    """Give each connection so much memory, and one thread: each needs some of its own."""
    monkeypatch.setitem(warehouse.FREE, "memory_limit", limit)  # type: ignore[arg-type]
    monkeypatch.setitem(warehouse.FREE, "threads", "1")  # type: ignore[arg-type]


@contextmanager
def spilling(*folders: Path) -> Iterator[set[Path]]:
    """Watch which files to spill into are made below some folders."""
    seen, over = set[Path](), threading.Event()

    def watch() -> None:
        while not over.wait(0.002):
            for folder in folders:
                seen.update(path.parent for path in folder.rglob("duckdb_temp_storage*"))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield seen
    finally:
        over.set()
        watching.join()


def test_what_does_not_fit_into_memory_is_spilled_beside_the_warehouse(
    store: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never into the folder that somebody stands in, for texts of persons are in it, nor into another's."""
    monkeypatch.chdir(tmp_path)
    killed = store.file.with_name("x.duckdb.copy-0x")
    killed.mkdir()
    given(monkeypatch, "60MB")
    with spilling(store.file.parent, tmp_path) as seen:
        assert store.read(SORT).row(0) == (ROWS, ROWS)
        assert store.publish(tmp_path / "pub.duckdb", {}) == COPIED
    beside = store.file.parent
    assert seen == {beside / "x.duckdb.tmp", beside / f"x.duckdb.copy-{os.getpid()}"}
    assert [path.name for path in tmp_path.iterdir()] == ["pub.duckdb"]
    assert [path.name for path in beside.iterdir()] == ["x.duckdb"]


def test_too_little_memory_is_told_and_nothing_is_lost(
    store: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "pub.duckdb"
    target.write_text("the copy of yesterday")
    with monkeypatch.context() as little:
        given(little, "1MB")
        said = []
        for work in (
            lambda: store.read(SORT),
            lambda: store.publish(target, {}),
            lambda: store.replace(EVENTS, events("c", *map(str, range(100_000))), system="c"),
        ):
            with pytest.raises(
                WarehouseError, match=r" used\)\. Give this machine or container more"
            ) as told:
                work()
            said.append(str(told.value))
    assert [sentence.split(":")[0] for sentence in said] == [
        "x.duckdb cannot be read; what was stored stays",
        "pub.duckdb stays as it was",
        "Nothing of this step was written to x.duckdb",
    ]
    assert not [sentence for sentence in said if "\n" in sentence]
    assert target.read_text() == "the copy of yesterday" and len(list(tmp_path.iterdir())) == 1
    assert store.read(SORT).row(0) == (ROWS, ROWS)
    assert store.publish(target, {}) == COPIED
