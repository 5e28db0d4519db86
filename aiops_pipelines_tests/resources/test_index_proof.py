"""The proof finds what was put there to be found, and nothing in an index that is whole."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from aiops_pipelines.resources.documents import Snapshot
from aiops_pipelines.resources.index_book import IndexBook
from aiops_pipelines.resources.index_proof import prove
from aiops_pipelines.resources.sources.folder import Folder
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines_tests.resources.hashed_words import HashedWords

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def version(warehouse: Warehouse, tmp_path: Path) -> str:
    """An index of two documents, a third of the state before deleted."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name in ("fees", "hours", "gone"):
        (folder / f"{name}.md").write_text(f"# {name}\n\nAbout {name}.", encoding="utf-8")
    book = IndexBook(warehouse)
    book.update("desk", Snapshot("folder", None, Folder(folder)), NOW, HashedWords())
    (folder / "gone.md").unlink()
    later = book.update(
        "desk", Snapshot("folder", None, Folder(folder)), NOW + timedelta(days=1), HashedWords()
    )
    return later.index["index_version"][0]


def test_a_whole_index_is_proved_and_its_deleted_document_probed(warehouse: Warehouse, version: str) -> None:
    proof = prove(warehouse, "desk")
    assert (proof.index_versions, proof.probes, proof.findings) == (1, 1, ())


def test_a_deleted_document_that_stayed_is_an_orphan_and_is_found(warehouse: Warehouse, version: str) -> None:
    places = warehouse.rows("rag.index_chunks", system="desk", document="gone.md")
    chunk = places["chunk_id"][0]
    with warehouse.writing() as writer:
        writer.append("rag.index_chunks", places.with_columns(index_version=pl.lit(version)))
    assert prove(warehouse, "desk").findings == (
        f"desk {version}: 1 document in the index but no longer in the source: gone.md.",
    )
    moved = places.with_columns(index_version=pl.lit(version), document=pl.lit("fees.md"), position=pl.lit(1))
    with warehouse.writing() as writer:
        writer.delete("rag.index_chunks", index_version=version, document="gone.md")
        writer.append("rag.index_chunks", moved)
    assert chunk in warehouse.rows("rag.index_chunks", index_version=version)["chunk_id"].to_list()
    # held by another document, so it may be found: the probe is for what only the deleted one held
    assert prove(warehouse, "desk").probes == 0


def test_a_lost_vector_is_named(warehouse: Warehouse, version: str) -> None:
    chunk = warehouse.rows("rag.index_chunks", index_version=version, document="fees.md")["chunk_id"][0]
    with warehouse.writing() as writer:
        writer.delete("rag.embeddings", chunk_id=chunk)
    assert prove(warehouse, "desk").findings == (f"desk {version}: 1 chunk without an embedding: {chunk}.",)
