"""The index in the warehouse: what is read, embedded and written as a corpus lives on. Real model, real files."""

import os
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aiops_pipelines.rag.chunking import Chunking
from aiops_pipelines.rag.index_settings import Corpus
from aiops_pipelines.rag.reindex import document_texts
from aiops_pipelines.resources import corpus_state, index_book, index_build
from aiops_pipelines.resources.documents import Content, CorpusError, Document, File, NotNow, snapshots
from aiops_pipelines.resources.embedder import embedder
from aiops_pipelines.resources.index_book import FIRST_SIGHT, IndexBook, Update
from aiops_pipelines.resources.index_proof import prove
from aiops_pipelines.resources.limited_process import reader
from aiops_pipelines.resources.sources.folder import Folder
from aiops_pipelines.resources.sources.objects import Objects
from aiops_pipelines.resources.unreadable import CHANGED
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines_tests.resources.hashed_words import HashedWords

pytestmark = pytest.mark.usefixtures("kept_open")

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


def update(book: IndexBook, folder: Path, days: int = 0, dated: bool = False, anew: bool = False) -> Update:
    return [
        book.update("desk", s, NOW + timedelta(days=days), embedder(), anew=anew)
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
    for file in folder.iterdir():
        os.utime(file, (9, 9))
    update(book, folder)
    before, files = warehouse.rows("rag.corpus_revisions"), warehouse.rows("rag.source_files")
    assert update(book, folder, days=1).index.is_empty()
    assert warehouse.rows("rag.source_files").equals(files)
    os.utime(folder / "fees.md", (1, 1))  # touched, same bytes
    assert update(book, folder, days=2).report.as_data()["documents"]["unchanged"] == 2
    assert warehouse.rows("rag.corpus_revisions").equals(before)
    times = dict(warehouse.rows("rag.source_files").select("document", "modified_ns").rows())
    assert times == {"fees.md": 10**9, "hours.md": 9 * 10**9}


def test_a_file_that_could_change_unseen_is_read_again(
    book: IndexBook, warehouse: Warehouse, folder: Path
) -> None:
    update(book, folder)  # its files are this second's
    assert warehouse.rows("rag.source_files")["modified_ns"].null_count() == 2
    now = (folder / "fees.md").stat().st_mtime_ns
    (folder / "fees.md").write_text("# Fees\n\nA label costs six euros.\n", encoding="utf-8")
    os.utime(folder / "fees.md", ns=(now, now))
    assert update(book, folder, days=1).report.as_data()["documents"]["edited"] == 1


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
    (folder / "more.adoc").write_bytes(b"= More")
    with pytest.raises(CorpusError, match=r"the index stays as it is\. 3 files: It is empty\.$"):
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


def test_a_chunk_that_two_documents_share_outlives_one_of_them(
    book: IndexBook, warehouse: Warehouse, folder: Path
) -> None:
    (folder / "copy.md").write_bytes((folder / "fees.md").read_bytes())
    assert update(book, folder).report.chunks["wanted"] == 2
    (folder / "fees.md").unlink()
    deleted = update(book, folder, days=1)
    assert deleted.report.as_data()["documents"]["deleted"] == 1
    assert (deleted.report.chunks["wanted"], deleted.report.chunks["dropped"]) == (2, 0)
    version = deleted.index["index_version"][0]
    assert set(warehouse.rows("rag.index_chunks", index_version=version)["document"]) == {
        "copy.md",
        "hours.md",
    }
    assert prove(warehouse, "desk").findings == ()


def test_vectors_are_shared_by_systems_and_not_by_spaces(warehouse: Warehouse, folder: Path) -> None:
    model, other = HashedWords(), HashedWords(prefix="passage: ")
    book, (snapshot,) = IndexBook(warehouse), snapshots(Corpus(folder=folder))
    assert book.update("desk", snapshot, NOW, model).report.chunks["embedded"] == 2
    assert book.update("office", snapshot, NOW, model).report.chunks["embedded"] == 0
    again = book.update("desk", snapshot, NOW, other)
    assert (again.report.chunks["embedded"], len(model.embedded), len(other.embedded)) == (2, 2, 2)


def test_a_change_of_the_reading_code_reads_everything_and_embeds_what_it_reads_otherwise(
    book: IndexBook, warehouse: Warehouse, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in folder.iterdir():
        os.utime(file, (9, 9))
    update(book, folder)
    read: list[str] = []
    original = corpus_state.corpora.document

    def otherwise(file: File, data: bytes) -> Document:
        read.append(file.document)
        return original(file, data.replace(b"two", b"2"))

    monkeypatch.setattr(corpus_state.corpora, "document", otherwise)
    assert update(book, folder, days=1).index.is_empty() and read == []
    for module in (corpus_state, index_book, index_build):
        monkeypatch.setattr(module, "reader_version", lambda: "rd-other")
    report = update(book, folder, days=2).report
    assert (report.chunks["embedded"], report.chunks["dropped"]) == (1, 1)
    assert sorted(read) == ["fees.md", "hours.md"]
    assert "A label costs 2 euros." in "".join(warehouse.rows("rag.chunks")["text"])
    assert update(book, folder, days=3).index.is_empty() and len(read) == 2


def test_renamed_documents_count_once_edited_or_not(book: IndexBook, folder: Path) -> None:
    long = "# Guide\n\n" + "\n".join(f"Line {n} of the guide." for n in range(20))
    (folder / "guide.md").write_text(long, encoding="utf-8")
    update(book, folder)
    (folder / "guide.md").unlink()
    (folder / "manual.md").write_text(long.replace("Line 3 ", "Line three "), encoding="utf-8")
    (folder / "fees.md").rename(folder / "prices.md")
    found = update(book, folder, days=1).report.as_data()
    assert found["documents"] == {"added": 0, "edited": 0, "renamed": 2, "deleted": 0, "unchanged": 1}
    assert found["renamed_edited"] == 1
    assert list(found)[:3] == ["documents", "chunks", "cpu_s"]
    assert list(found["chunks"]) == ["wanted", "new_texts", "embedded", "dropped"]
    assert list(found["cpu_s"]) == ["reading", "chunking", "embedding", "writing"]


@pytest.mark.parametrize(
    ("lost", "finding"),
    [
        ("rag.embeddings", "1 chunk without an embedding"),
        ("rag.chunks", "1 chunk without a text"),
        ("rag.index_chunks", "1 document missing from the index"),
    ],
)
def test_what_was_lost_in_the_store_is_found_and_built_anew(
    book: IndexBook, warehouse: Warehouse, folder: Path, lost: str, finding: str
) -> None:
    update(book, folder)
    whole = warehouse.rows("rag.index_chunks").sort("document")
    with warehouse.writing() as writer:
        writer.delete(lost, chunk_id=whole["chunk_id"][0])
    assert update(book, folder, days=1).index.is_empty()
    assert finding in prove(warehouse, "desk").findings[0]
    done = update(book, folder, days=2, anew=True)
    assert done.report.documents["unchanged"] == 2
    assert done.report.chunks["embedded"] == (lost == "rag.embeddings")
    assert prove(warehouse, "desk").findings == ()
    assert warehouse.rows("rag.index_chunks").sort("document").equals(whole)


def test_a_file_that_changed_behind_its_time_is_found_by_reading_anew(book: IndexBook, folder: Path) -> None:
    os.utime(folder / "fees.md", (9, 9))
    update(book, folder)
    (folder / "fees.md").write_text("# Fees\n\nA label costs six euros.\n", encoding="utf-8")
    os.utime(folder / "fees.md", (9, 9))
    assert update(book, folder, days=1).index.is_empty()
    done = update(book, folder, days=2, anew=True)
    chunks = done.report.chunks
    assert (done.report.documents["edited"], chunks["embedded"], chunks["dropped"]) == (1, 1, 1)


def test_a_document_of_long_lines_is_renamed_when_it_was_edited_on_the_way(
    book: IndexBook, folder: Path
) -> None:
    lines = [" ".join(f"Word{line}{n} follows here." for n in range(60)) for line in range(4)]
    (folder / "guide.md").write_text("# Guide\n\n" + "\n\n".join(lines), encoding="utf-8")
    update(book, folder)
    (folder / "guide.md").unlink()
    (folder / "manual.md").write_text("# Guide\n\n" + "\n\n".join([*lines, "The end."]), encoding="utf-8")
    found = update(book, folder, days=1).report.as_data()
    assert (found["documents"]["renamed"], found["renamed_edited"]) == (1, 1)


def test_an_edit_of_white_space_alone_is_served_and_embeds_nothing(
    book: IndexBook, warehouse: Warehouse, folder: Path
) -> None:
    code = "# Code\n\n```python\nif late:\n    warn()\n{}refund()\n```\n"
    for name in ("code", "same"):
        (folder / f"{name}.md").write_text(code.format("    "), encoding="utf-8")
    first = update(book, folder).index["index_version"][0]
    (folder / "code.md").write_text(code.format(""), encoding="utf-8")
    done = update(book, folder, days=1)
    assert (done.report.documents["edited"], done.report.chunks["embedded"]) == (1, 0)

    def texts(version: str) -> dict[str, bool]:
        places = warehouse.rows("rag.index_chunks", index_version=version)
        whole = document_texts(places, warehouse.rows("rag.chunks"))
        return {name: "\nrefund()" in text for name, _, text in whole.iter_rows() if "refund()" in text}

    assert texts(done.index["index_version"][0]) == {"code.md": True, "same.md": False}
    assert texts(first) == {"code.md": False, "same.md": False}  # an old answer leads to what it was given
    anew = update(book, folder, days=2, anew=True).index["index_version"][0]
    assert texts(anew) == {"code.md": True, "same.md": False}


@pytest.mark.parametrize("anew", [False, True])
def test_a_file_that_cannot_be_read_now_stays_what_it_was_and_is_read_by_the_next_run(
    book: IndexBook, warehouse: Warehouse, folder: Path, monkeypatch: pytest.MonkeyPatch, anew: bool
) -> None:
    before = update(book, folder).index["index_version"][0]
    original = Folder.content

    def busy(source: Folder, file: File) -> Content:
        if file.document == "fees.md":
            raise NotNow(CHANGED)
        return original(source, file)

    monkeypatch.setattr(Folder, "content", busy)
    (folder / "fees.md").write_text("# Fees\n\nA label costs nine euros.\n", encoding="utf-8")
    (folder / "new.md").write_text("# New\n\nThe desk has a door.\n", encoding="utf-8")
    during = update(book, folder, days=1, anew=anew)
    assert [(s.document, s.standing) for s in during.skipped] == [("fees.md", True)]
    assert during.report.as_data()["documents"]["unchanged"] == 2
    assert during.index["index_version"][0] != before
    assert prove(warehouse, "desk").findings == ()
    monkeypatch.setattr(Folder, "content", original)
    after = update(book, folder, days=2)
    assert after.skipped == () and after.report.as_data()["documents"]["edited"] == 1


def test_a_document_leaves_the_index_with_its_quarantine_and_comes_back_after_it(
    book: IndexBook, warehouse: Warehouse, folder: Path
) -> None:
    for file in folder.iterdir():
        os.utime(file, (9, 9))
    (free,) = snapshots(Corpus(folder=folder))
    (kept,) = snapshots(Corpus(folder=folder, quarantine=("fees*",)))
    first = book.update("desk", free, NOW, embedder())
    out = book.update("desk", kept, NOW + timedelta(days=1), embedder())
    assert [s.document for s in out.skipped] == ["fees.md"]
    assert out.report.as_data()["documents"]["deleted"] == 1
    back = book.update("desk", free, NOW + timedelta(days=2), embedder())
    assert back.index["index_version"].to_list() == first.index["index_version"].to_list()
    assert back.skipped == () and prove(warehouse, "desk").findings == ()


def test_documents_of_a_store_keep_its_versions_and_only_moved_ones_are_read(
    book: IndexBook, warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "docs.zip"

    def pack(hours: str) -> None:
        with zipfile.ZipFile(archive, "w") as file:
            for name, text in (("fees.rst", "Fees\n====\n\nTwo euros."), ("hours.md", f"# Hours\n\n{hours}")):
                file.writestr(zipfile.ZipInfo(name, (2026, 5, 1, 8, 0, 0)), text)

    def run(days: int) -> Update:
        (snapshot,) = snapshots(Corpus(url=f"zip://::{archive.as_uri()}"))
        return book.update("desk", snapshot, NOW + timedelta(days=days), HashedWords())

    pack("Nine.")
    run(0)
    opened: list[str] = []
    original = Objects.content
    monkeypatch.setattr(Objects, "content", lambda s, f: opened.append(f.document) or original(s, f))
    assert run(1).index.is_empty() and opened == []
    pack("Five.")  # of the same size and time, and another checksum
    assert run(2).report.as_data()["documents"]["edited"] == 1 and opened == ["hours.md"]
    rows = warehouse.rows("rag.documents").unique(["document", "source_version"])
    assert rows.height == 3 and rows["source_version"].null_count() == 0
    assert set(rows["modified_at"]) == {datetime(2026, 5, 1, 8, tzinfo=UTC)}


def test_documents_in_a_language_the_model_does_not_know_are_told_on_each_run(
    book: IndexBook, warehouse: Warehouse, folder: Path
) -> None:
    chinese = "退货须在三十天内提出、并附上原始收据。运费由买方承担、除非商品有缺陷。" * 2
    (folder / "zh.md").write_text(f"# 退货\n\n{chinese}\n", encoding="utf-8")
    for day in (0, 1):
        (said,) = update(book, folder, days=day).warnings
        assert "all-MiniLM-L6-v2 was not trained on (zh)" in said and "zh.md" in said
    assert dict(warehouse.rows("rag.documents").select("document", "language").rows())["zh.md"] == "zh"


def test_the_time_of_the_reading_process_counts_as_reading(book: IndexBook, folder: Path) -> None:
    (folder / "long.html").write_text("<p>words</p>" * 20_000, encoding="utf-8")
    spent = reader().cpu_s
    seconds = update(book, folder).report.cpu_s["reading"]
    assert seconds > reader().cpu_s - spent > 0.05
