"""Which state of a corpus is in force: one that comes back, one that is still to come, one that was taken away."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aiops_pipelines.project import Project
from aiops_pipelines.resources.index_book import IndexBook
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System
from aiops_pipelines_tests.resources.desk import desk, write_corpus

pytestmark = pytest.mark.usefixtures("kept_open")

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def dated(project: Project) -> System:
    """Two dated folders that have begun and one that is still to come."""
    for day, text in (
        ("2026-05-01", "One euro."),
        ("2026-05-20", "Two euros."),
        ("2026-07-01", "Nine euros."),
    ):
        write_corpus(project.data / "corpus" / day, {"fees": text})
    return desk(project, corpus={"folder": project.data / "corpus", "dated": True})


def reindex(warehouse: Warehouse, system: System, days: int = 0) -> dict[str, int]:
    done = IndexBook(warehouse).reindex(system, NOW + timedelta(days=days))
    return {kind: number for kind, number in done.report.documents.items() if number}


def told(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    """The text of each index in the order in which they were in force, and from when."""
    rows = warehouse.read(
        "select valid_from, text from rag.index_versions join rag.index_chunks using (system, index_version) "
        "join rag.chunks using (system, chunk_id) order by valid_from, built_at"
    )
    return rows.with_columns(pl.col("text").str.split("\n").list.last()).rows()


def test_an_index_that_comes_back_was_in_force_before_too(project: Project, warehouse: Warehouse) -> None:
    system = desk(project)
    assert system.corpus and system.corpus.folder
    for day, text in enumerate(("One euro.", "Two euros.", "One euro.", "Two euros.")):
        write_corpus(system.corpus.folder, {"fees": text})
        reindex(warehouse, system, day)
    assert [text for _, text in told(warehouse)] == ["One euro.", "Two euros."] * 2
    assert len({since for since, _ in told(warehouse)}) == 4
    assert warehouse.rows("rag.corpus_changes")["change"].to_list() == ["edited"] * 3


def test_a_dated_folder_still_to_come_is_in_force_from_its_day_on(
    warehouse: Warehouse, dated: System
) -> None:
    reindex(warehouse, dated)
    assert [text for _, text in told(warehouse)] == ["One euro.", "Two euros."]
    assert reindex(warehouse, dated, 29) == {"unchanged": 1}
    assert reindex(warehouse, dated, 30) == {"edited": 1}
    assert told(warehouse)[-1] == (datetime(2026, 7, 1, tzinfo=UTC), "Nine euros.")


def test_a_folder_that_is_taken_away_leaves_the_one_before_in_force_from_now_on(
    project: Project, warehouse: Warehouse, dated: System
) -> None:
    reindex(warehouse, dated, 40)
    shutil.rmtree(project.data / "corpus" / "2026-07-01")
    assert reindex(warehouse, dated, 41) == {"edited": 1}
    since = NOW + timedelta(days=41)
    assert [text for _, text in told(warehouse)] == ["One euro.", "Two euros.", "Nine euros.", "Two euros."]
    assert told(warehouse)[-1][0] == since
    assert reindex(warehouse, dated, 42) == {"unchanged": 1} and told(warehouse)[-1][0] == since
    write_corpus(project.data / "corpus" / "2026-05-20", {"fees": "Three euros."})
    assert reindex(warehouse, dated, 43) == {"edited": 1}
    assert told(warehouse)[-1] == (since, "Three euros.")
    revisions = warehouse.rows("rag.corpus_revisions").sort("valid_from")
    assert revisions["label"].to_list() == ["2026-05-01", "2026-05-20", "2026-07-01", "2026-05-20"]


def test_a_corpus_becomes_dated_and_its_newest_folder_is_in_force(
    project: Project, warehouse: Warehouse, dated: System, tmp_path: Path
) -> None:
    write_corpus(tmp_path / "plain", {"fees": "Free."})
    plain = desk(project, corpus={"folder": tmp_path / "plain"})
    reindex(warehouse, plain)
    write_corpus(tmp_path / "plain", {"fees": "Still free."})
    reindex(warehouse, plain, 1)
    reindex(warehouse, dated, 2)
    assert told(warehouse)[-1] == (NOW + timedelta(days=2), "Two euros.")
    assert reindex(warehouse, dated, 3) == {"unchanged": 1}
