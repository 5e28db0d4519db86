"""Answers traced through a small index that is built, edited and built again."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from aiops_pipelines.inference_log.record import SCHEMA
from aiops_pipelines.resources.documents import Snapshot
from aiops_pipelines.resources.index_book import IndexBook
from aiops_pipelines.resources.lineage import LineageError, trace
from aiops_pipelines.resources.sources.folder import Folder
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines_tests.resources.hashed_words import HashedWords

pytestmark = pytest.mark.usefixtures("kept_open")

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def versions(warehouse: Warehouse, tmp_path: Path) -> list[str]:
    """Two index versions: fees.md is edited a week after the first, and built a day after that."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "hours.md").write_text("# Hours\n\nThe desk opens at nine.\n")
    built = []
    for day, price in ((0, "two"), (7, "three")):
        (folder / "fees.md").write_text(f"# Fees\n\nA label costs {price} euros.\n")
        os.utime(folder / "fees.md", (day, day))
        done = IndexBook(warehouse).update(
            "desk",
            Snapshot("folder", None, Folder(folder)),
            NOW + timedelta(days=day),
            HashedWords(),
            run=f"run-{day}",
        )
        built.append(done.index["index_version"][0])
    return built


def answer(warehouse: Warehouse, event_id: str, day: int, index: str | None, *chunks: str) -> None:
    given = [{"chunk_id": chunk, "document": "fees.md", "score": 0.5} for chunk in chunks]
    row = dict.fromkeys(SCHEMA) | {"system": "desk", "event_id": event_id, "retrieved": given}
    row |= {"occurred_at": NOW + timedelta(days=day, hours=1), "index_version": index, "answer": "Two euros."}
    with warehouse.writing() as writer:
        writer.append("inference_log.inferences", pl.DataFrame([row], schema=SCHEMA))


def chunk_of(warehouse: Warehouse, index: str) -> str:
    return warehouse.rows("rag.index_chunks", index_version=index, document="fees.md")["chunk_id"][0]


def test_an_answer_leads_to_its_chunk_document_and_run(warehouse: Warehouse, versions: list[str]) -> None:
    answer(warehouse, "e1", 1, versions[0], chunk_of(warehouse, versions[0]))
    (found,) = trace(warehouse, "e1", "desk")
    (chunk,) = found.chunks
    assert chunk.text == "# Fees\n\nA label costs two euros."
    assert (chunk.place["document"], chunk.place["index_version"], chunk.stale) == (
        "fees.md",
        versions[0],
        False,
    )
    assert (found.index["built_by"], chunk.index, found.audit_entry) == ("run-0", found.index, None)


def test_an_answer_from_a_chunk_whose_source_had_changed_is_stale(
    warehouse: Warehouse, versions: list[str]
) -> None:
    old, new = (chunk_of(warehouse, version) for version in versions)
    answer(warehouse, "late", 8, versions[0], old, new)
    (found,) = trace(warehouse, "late")
    assert [chunk.stale for chunk in found.chunks] == [True, False]
    # The index that the call names does not hold the new chunk; the one that does was built by the second run.
    assert [chunk.index["built_by"] for chunk in found.chunks] == ["run-0", "run-7"]


def test_what_is_not_known_is_said_to_be_unknown(warehouse: Warehouse, versions: list[str]) -> None:
    answer(warehouse, "elsewhere", 8, "ix-elsewhere", "c-elsewhere")
    (found,) = trace(warehouse, "elsewhere")
    (chunk,) = found.chunks
    assert (found.index, chunk.text, chunk.place, chunk.index, chunk.stale) == (None,) * 5
    answer(warehouse, "nothing", 8, None)
    assert trace(warehouse, "nothing")[0].chunks == ()
    with pytest.raises(LineageError, match="There is no call e0 in the log of desk"):
        trace(warehouse, "e0", "desk")
