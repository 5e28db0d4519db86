"""What a run cannot look at stays as it was indexed: a folder or a file that cannot be listed for once."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from aiops_pipelines.rag.index_settings import Corpus
from aiops_pipelines.resources.documents import snapshots
from aiops_pipelines.resources.index_book import IndexBook, Update
from aiops_pipelines.resources.index_proof import prove
from aiops_pipelines.resources.sources.folder import CLOSED
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines_tests.resources.hashed_words import HashedWords

pytestmark = pytest.mark.usefixtures("kept_open")

NOW = datetime(2026, 6, 1, tzinfo=UTC)
TEXTS = {"in/fees.md": "Two euros.", "in/deep/claims.md": "With photographs.", "inside.md": "From nine."}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in TEXTS.items():
        path = tmp_path / "corpus" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {path.stem}\n\n{text}\n", encoding="utf-8")
    return tmp_path / "corpus"


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch, folder: Path) -> pytest.MonkeyPatch:
    """The folder `in` cannot be listed, whoever asks, until this is undone."""
    listed = os.scandir

    def scandir(path: Any) -> Any:
        if os.fspath(path) == str(folder / "in"):
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    return monkeypatch


def run(warehouse: Warehouse, corpus: Corpus) -> Update:
    (snapshot,) = snapshots(corpus)
    return IndexBook(warehouse).update("desk", snapshot, NOW, HashedWords())


def counts(done: Update) -> dict[str, int]:
    return {kind: number for kind, number in done.report.documents.items() if number}


@pytest.mark.parametrize("kind", ["folder", "store"])
def test_documents_of_a_folder_that_cannot_be_listed_stay(
    warehouse: Warehouse, folder: Path, request: pytest.FixtureRequest, kind: str
) -> None:
    corpus = Corpus(folder=folder) if kind == "folder" else Corpus(url=folder.as_uri())
    before = run(warehouse, corpus)
    monkeypatch = request.getfixturevalue("closed")
    during = run(warehouse, corpus)
    assert counts(during) == {"unchanged": 3} and during.index.is_empty()
    assert [(s.document, s.reason, s.standing) for s in during.skipped] == [
        ("in", CLOSED, False),
        ("in/deep/claims.md", CLOSED, True),
        ("in/fees.md", CLOSED, True),
    ]
    (folder / "inside.md").write_text("# inside\n\nFrom ten.\n", encoding="utf-8")
    assert counts(run(warehouse, corpus)) == {"edited": 1, "unchanged": 2}
    assert prove(warehouse, "desk").findings == ()
    monkeypatch.undo()
    (folder / "in/fees.md").unlink()
    after = run(warehouse, corpus)
    assert counts(after) == {"deleted": 1, "unchanged": 2} and after.skipped == ()
    assert before.index.height == 1 and prove(warehouse, "desk").findings == ()


def test_a_document_in_quarantine_does_not_stay_in_a_folder_that_cannot_be_listed(
    warehouse: Warehouse, folder: Path, request: pytest.FixtureRequest
) -> None:
    run(warehouse, Corpus(folder=folder))
    request.getfixturevalue("closed")
    done = run(warehouse, Corpus(folder=folder, quarantine=("in/fees*",)))
    assert counts(done) == {"deleted": 1, "unchanged": 2}


def test_a_time_after_the_last_that_can_be_stored_stops_no_run(warehouse: Warehouse, folder: Path) -> None:
    for corpus in (Corpus(folder=folder), Corpus(url=folder.as_uri())):
        os.utime(folder / "inside.md", (0, 10_413_792_000))  # in the year 2300
        assert run(warehouse, corpus).skipped == ()
        rows = warehouse.rows("rag.documents", document="inside.md")
        assert rows["modified_at"].to_list() == [None]
