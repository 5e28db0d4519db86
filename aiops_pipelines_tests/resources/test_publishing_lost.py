"""What somebody else did to a store: what readers were given is gone, or its place is taken."""

import time
from datetime import timedelta
from typing import Any

import duckdb
import pytest

from aiops_pipelines.project import Project
from aiops_pipelines.resources.stores import lance
from aiops_pipelines.resources.vector_store import StoreError
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System
from aiops_pipelines_tests.resources.desk import NOW, index, write_corpus
from aiops_pipelines_tests.resources.published_desk import contents, opened, published_desk, publisher

pytestmark = pytest.mark.usefixtures("kept_open")


def published(project: Project, warehouse: Warehouse, store: str) -> System:
    system = published_desk(project, store)
    assert system.corpus and system.corpus.folder
    write_corpus(system.corpus.folder)
    index(warehouse, system)
    publisher(project, warehouse).publish(system, NOW, "first")
    return system


@pytest.mark.parametrize("lost", ["table", "version"])
def test_a_lance_table_or_version_that_is_gone_is_written_again(
    project: Project, warehouse: Warehouse, lost: str
) -> None:
    import lancedb  # 2 s, and every worker imports this file

    system = published(project, warehouse, "lancedb")
    held = contents(system, warehouse)
    assert system.publish
    connection = lancedb.connect(system.publish.arguments["uri"])
    (name,) = (one for one in connection.list_tables().tables if one != lance.ALIASES)
    if lost == "table":
        connection.drop_table(name)
    else:
        table = connection.open_table(name)
        table.delete(f"id = '{held[0][0]}'")
        with pytest.warns(UserWarning, match="cleanup_older_than=0"):
            table.optimize(cleanup_older_than=timedelta())
    mended = publisher(project, warehouse).publish(system, NOW, "second")
    assert mended.switched and mended.proof.findings == ()
    assert contents(system, warehouse) == held


def test_the_version_readers_are_given_stays_however_old_until_the_switch(
    project: Project, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lance, "KEPT", timedelta(seconds=1))
    system = published(project, warehouse, "lancedb")
    held = contents(system, warehouse)
    time.sleep(1.5)
    store: Any = opened(system, warehouse)
    draft = store.draft(store.shown().partition("@")[0], store.held())
    draft.remove([held[0][0]])
    draft.finish()
    store.close()
    assert contents(system, warehouse) == held


def test_a_duckdb_file_whose_alias_is_taken_is_a_sentence(project: Project, warehouse: Warehouse) -> None:
    system = published(project, warehouse, "duckdb")
    assert system.publish
    with duckdb.connect(system.publish.arguments["file"]) as connection:
        connection.execute("drop view desk")
        connection.execute("create table desk (own integer)")
    with pytest.raises(
        StoreError, match=r"holds a table desk of somebody else's, .*; drop it, or move the file away"
    ):
        publisher(project, warehouse).publish(system, NOW, "second")


def test_a_place_for_stores_that_is_a_file_is_a_sentence(project: Project, warehouse: Warehouse) -> None:
    (project.data / "vectors").write_text("taken")
    with pytest.raises(StoreError, match="did not take the index"):
        published(project, warehouse, "duckdb")
