"""The index in the warehouse: what is read, embedded and written as a corpus lives on. Real model, real files."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aiops_pipelines.rag.chunking import Chunking
from aiops_pipelines.resources.documents import CorpusError, snapshots
from aiops_pipelines.resources.embedder import embedder
from aiops_pipelines.resources.index_book import FIRST_SIGHT, IndexBook, Update
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import Corpus

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def book(warehouse: Warehouse) -> IndexBook:
    return IndexBook(warehouse)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "fees.md").write_text("# Fees\n\nA label costs two euros.\n", encoding="utf-8")
    (folder / "hours.md").write_text("# Hours\n\nThe desk opens at nine.\n", encoding="utf-8")
    return folder


def update(book: IndexBook, folder: Path, days: int = 0, dated: bool = False) -> Update:
    return [
        book.update("desk", s, NOW + timedelta(days=days), embedder())
        for s in snapshots(Corpus(folder=folder, dated=dated))
    ][-1]


def test_the_first_index_embeds_everything_and_has_no_changes(
    book: IndexBook, warehouse: Warehouse, folder: Path
) -> None:
    done = update(book, folder)
    assert done.index["texts_embedded"].to_list() == [2]
    assert done.index["valid_from"].to_list() == [FIRST_SIGHT]
    assert warehouse.rows("rag.corpus_changes").is_empty()


def test_nothing_moved_nothing_touched(book: IndexBook, warehouse: Warehouse, folder: Path) -> None:
    update(book, folder)
    before = warehouse.rows("rag.corpus_revisions")
    assert update(book, folder, days=1).index.is_empty()
    os.utime(folder / "fees.md", (1, 1))  # touched, same bytes
    assert update(book, folder, days=2).index.is_empty()
    after = warehouse.rows("rag.corpus_revisions")
    assert before.drop("listing").equals(after.drop("listing"))
    assert before["listing"][0] != after["listing"][0]


def test_a_rename_embeds_nothing_and_an_edit_what_it_changed(
    book: IndexBook, warehouse: Warehouse, folder: Path
) -> None:
    update(book, folder)
    (folder / "fees.md").rename(folder / "prices.md")
    renamed = update(book, folder, days=1)
    assert renamed.index["texts_embedded"].to_list() == [0]
    (folder / "prices.md").write_text("# Fees\n\nA label costs three euros.\n", encoding="utf-8")
    edited = update(book, folder, days=2)
    assert edited.index["texts_embedded"].to_list() == [1]
    changes = (
        warehouse.rows("rag.corpus_changes")
        .sort("valid_from")
        .select("change", "document", "previous_document")
    )
    assert changes.rows() == [("renamed", "prices.md", "fees.md"), ("edited", "prices.md", None)]


def test_a_state_that_comes_back_is_a_new_revision_in_time(
    book: IndexBook, warehouse: Warehouse, folder: Path
) -> None:
    first = (folder / "fees.md").read_text(encoding="utf-8")
    update(book, folder)
    (folder / "fees.md").write_text("# Fees\n\nA label is free.\n", encoding="utf-8")
    update(book, folder, days=1)
    (folder / "fees.md").write_text(first, encoding="utf-8")
    back = update(book, folder, days=2)
    assert back.index["texts_embedded"].to_list() == [0]
    revisions = warehouse.rows("rag.corpus_revisions").sort("valid_from")["revision"].to_list()
    assert len(revisions) == 3 and revisions[0] == revisions[2] != revisions[1]


def test_a_dated_snapshot_edited_in_place_keeps_one_state(
    book: IndexBook, warehouse: Warehouse, folder: Path, tmp_path: Path
) -> None:
    dated = tmp_path / "dated"
    dated.mkdir()
    folder.rename(dated / "2026-05-01")
    update(book, dated, dated=True)
    (dated / "2026-05-01" / "hours.md").write_text("# Hours\n\nThe desk opens at ten.\n", encoding="utf-8")
    update(book, dated, days=1, dated=True)
    rows = warehouse.rows("rag.corpus_revisions")
    assert rows["label"].to_list() == ["2026-05-01"]
    assert rows["valid_from"].to_list() == [datetime(2026, 5, 1, tzinfo=UTC)]


def test_a_file_set_aside_is_named_on_every_run_and_none_readable_keeps_the_index(
    book: IndexBook, warehouse: Warehouse, folder: Path
) -> None:
    (folder / "empty.md").write_bytes(b"")
    assert [file.document for file in update(book, folder).skipped] == ["empty.md"]
    assert [file.document for file in update(book, folder, days=1).skipped] == ["empty.md"]
    for name in ("fees.md", "hours.md"):
        (folder / name).write_bytes(b"")
    with pytest.raises(CorpusError, match="stays as it is"):
        update(book, folder, days=2)
    assert warehouse.rows("rag.index_versions").height == 1


def test_the_same_state_is_built_anew_for_other_rules_and_stays_one_state(
    book: IndexBook, warehouse: Warehouse, folder: Path
) -> None:
    (snapshot,) = snapshots(Corpus(folder=folder))
    book.update("desk", snapshot, NOW, embedder())
    small = Chunking(characters=20)
    again = book.update("desk", snapshot, NOW + timedelta(days=1), embedder(), small)
    assert again.index["chunker_version"].to_list() == [small.version]
    assert book.update("desk", snapshot, NOW + timedelta(days=2), embedder(), small).index.is_empty()
    assert book.update("desk", snapshot, NOW + timedelta(days=3), embedder()).index.is_empty()
    assert warehouse.rows("rag.corpus_revisions").height == 1
    assert warehouse.rows("rag.index_versions")["valid_from"].unique().to_list() == [FIRST_SIGHT]
