import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiops_pipelines.resources.documents import CorpusError, Document, fingerprint, read, snapshots
from aiops_pipelines.systems import Corpus
from aiops_pipelines_tests.resources.test_extraction import make_docx, make_pdf


def write(folder, **files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def reasons(folder):
    return {skipped.document: skipped.reason for skipped in read(folder)[1]}


def test_every_format_is_read(tmp_path):
    files = {
        "a/guide.md": b"# Guide\n\nText.",
        "b.HTML": b"<h1>Page</h1><p>Text.</p>",
        "c.rst": b"Manual\n======\n\nText.",
        "d.txt": b"plain words",
        "e.pdf": make_pdf("Printed words"),
        "f.docx": make_docx(),
    }
    write(tmp_path, **files)
    documents, skipped = read(tmp_path)
    assert skipped == []
    assert [(d.document, d.format, d.title) for d in documents] == [
        ("a/guide.md", "markdown", "Guide"),
        ("b.HTML", "html", "Page"),
        ("c.rst", "rst", "Manual"),
        ("d.txt", "text", "d"),
        ("e.pdf", "pdf", "e"),
        ("f.docx", "docx", "Travel"),
    ]
    assert documents[0] == Document(
        "a/guide.md", "markdown", "Guide", "# Guide\n\nText.", hashlib.sha256(files["a/guide.md"]).hexdigest()
    )


def test_bad_files_are_set_aside_with_reasons_and_the_others_read(tmp_path):
    write(
        tmp_path,
        **{
            "good.md": "# Good",
            "empty.md": "",
            "blank.md": " \n",
            "binary.md": bytes(range(256)),
            "latin.txt": b"caf\xe9",
            "text.pdf": "not a pdf",
            "torn.pdf": make_pdf("words")[:60],
            "text.docx": "not a docx",
            "picture.png": b"\x89PNG",
            "README": "no ending",
            "deep.html": "<div>" * 5_000 + "x",
        },
    )
    with (tmp_path / "huge.md").open("wb") as file:
        file.truncate(21 * 1024 * 1024)
    found = reasons(tmp_path)
    assert found == {
        "README": "Its format (no ending) is not read; use one of .md, .markdown, .txt, .html, .htm, .rst, .pdf, .docx.",
        "binary.md": "It holds binary data, not text.",
        "blank.md": "It holds no text.",
        "deep.html": "It is damaged or not HTML (RecursionError).",
        "empty.md": "It is empty.",
        "huge.md": "It has 21 MB, more than 20 MB; split it.",
        "latin.txt": "Byte 3 is not valid UTF-8; save the file as UTF-8.",
        "picture.png": "Its format .png is not read; use one of .md, .markdown, .txt, .html, .htm, .rst, .pdf, .docx.",
        "text.docx": "It is not a DOCX file.",
        "text.pdf": "It is not a PDF.",
        "torn.pdf": "It is damaged or not PDF (PdfStreamError).",
    }
    assert "good.md" in [d.document for d in read(tmp_path)[0]]


def test_links_and_devices_never_lead_out_of_the_folder(tmp_path):
    corpus, secret = tmp_path / "corpus", tmp_path / "secret.md"
    write(tmp_path, **{"secret.md": "# Secret", "secrets/one.md": "# One", "corpus/in/real.md": "# Real"})
    (corpus / "out.md").symlink_to(secret)
    (corpus / "up.md").symlink_to("../secret.md")
    (corpus / "folder").symlink_to(tmp_path / "secrets")
    (corpus / "inner").symlink_to(corpus / "in")
    (corpus / "nowhere.md").symlink_to(corpus / "gone.md")
    (corpus / "loop.md").symlink_to(corpus / "loop.md")
    (corpus / "inside.md").symlink_to(corpus / "in/real.md")
    os.mkfifo(corpus / "pipe.md")
    documents, _ = read(corpus)
    assert [(d.document, d.title) for d in documents] == [("in/real.md", "Real"), ("inside.md", "Real")]
    found = reasons(corpus)
    assert {name for name, reason in found.items() if "leaves the corpus folder" in reason} == {
        "out.md",
        "up.md",
        "folder",
    }
    assert found["inner"].startswith("It is not a file but a link to a folder")
    assert found["pipe.md"].startswith("It is not a file")
    assert found["nowhere.md"] == found["loop.md"] == "It is a link that leads nowhere, or cannot be reached."


@pytest.mark.skipif(os.name != "posix", reason="file names are Unicode elsewhere")
def test_a_name_that_is_not_unicode_is_set_aside(tmp_path):
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.md")).write_text("# x")
    write(tmp_path, **{"ok.md": "# ok"})
    assert reasons(tmp_path) == {"caf?.md": "Its name is not valid UTF-8; rename it."}


def test_names_with_a_dot_are_not_part_of_the_corpus(tmp_path):
    write(tmp_path, **{".git/config": "x", ".hidden.md": "# x", "a.md": "# a"})
    documents, skipped = read(tmp_path)
    assert [d.document for d in documents] == ["a.md"] and skipped == []


def test_a_missing_or_empty_folder_is_an_error(tmp_path):
    with pytest.raises(CorpusError, match="missing or empty"):
        read(tmp_path)
    with pytest.raises(CorpusError, match="does not exist"):
        snapshots(Corpus(folder=tmp_path / "none"))
    with pytest.raises(CorpusError, match="is empty"):
        snapshots(Corpus(folder=tmp_path))


def test_a_plain_folder_is_one_undated_snapshot(tmp_path):
    write(tmp_path, **{"a.md": "# a"})
    (found,) = snapshots(Corpus(folder=tmp_path))
    assert (found.label, found.valid_from, found.folder) == ("folder", None, tmp_path)


def test_dated_snapshots_come_oldest_first(tmp_path):
    write(tmp_path, **{"2026-08-10/a.md": "# a", "2026-06-01/a.md": "# a", ".keep": ""})
    found = snapshots(Corpus(folder=tmp_path, dated=True))
    assert [(s.label, s.valid_from) for s in found] == [
        ("2026-06-01", datetime(2026, 6, 1, tzinfo=UTC)),
        ("2026-08-10", datetime(2026, 8, 10, tzinfo=UTC)),
    ]


@pytest.mark.parametrize("name", ["2026-02-30/a.md", "notes/a.md", "2026-6-1/a.md", "2026-06-01"])
def test_an_undated_entry_in_a_dated_corpus_is_an_error(tmp_path, name):
    write(tmp_path, **{name: "x"})
    with pytest.raises(CorpusError, match="is not a folder named by a date"):
        snapshots(Corpus(folder=tmp_path, dated=True))


def test_the_fingerprint_moves_with_content_names_and_times(tmp_path):
    write(tmp_path, **{"a.md": "one", "sub/b.md": "two"})
    first = fingerprint(tmp_path)
    assert fingerprint(tmp_path) == first
    os.utime(tmp_path / "a.md", ns=(0, 1))
    second = fingerprint(tmp_path)
    (tmp_path / "sub/b.md").rename(tmp_path / "sub/c.md")
    third = fingerprint(tmp_path)
    (tmp_path / "a.md").unlink()
    assert len({first, second, third, fingerprint(tmp_path)}) == 4


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200), ending=st.sampled_from([".md", ".html", ".rst", ".pdf", ".docx"]))
def test_any_bytes_are_read_or_set_aside(tmp_path, content, ending):
    (tmp_path / "only").with_suffix(ending).write_bytes(content)
    documents, skipped = read(tmp_path)
    assert len(documents) + len(skipped) == 1
    (tmp_path / "only").with_suffix(ending).unlink()
