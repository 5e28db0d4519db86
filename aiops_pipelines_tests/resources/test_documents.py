import hashlib
import os
import pickle
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiops_pipelines.rag.index_settings import Corpus
from aiops_pipelines.resources import documents as corpora
from aiops_pipelines.resources import limited_process
from aiops_pipelines.resources.documents import (
    CorpusError,
    Document,
    Skipped,
    fingerprint,
    listing,
    snapshots,
)
from aiops_pipelines.resources.sources.folder import Folder
from aiops_pipelines.resources.unreadable import NotNow
from aiops_pipelines_tests.resources.extractors.files import make_docx, make_notebook, make_pdf

LFS = "version https://git-lfs.github.com/spec/v1"


def write(folder, **files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def read(folder, **settings):
    (snapshot,) = snapshots(Corpus(folder=folder, **settings))
    return corpora.read(snapshot)


def reasons(folder, **settings):
    return {skipped.document: skipped.reason for skipped in read(folder, **settings)[1]}


def test_every_format_is_read(tmp_path):
    files = {
        "a/guide.md": b"# Guide\n\nText.",
        "b.HTML": b"<h1>Page</h1><p>Text.</p>",
        "c.rst": b"Manual\n======\n\nText.",
        "d.txt": b"plain words",
        "e.pdf": make_pdf("Printed words"),
        "f.docx": make_docx(),
        "g.ipynb": make_notebook(),
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
        ("g.ipynb", "notebook", "Fit"),
    ]
    guide = Document(
        "a/guide.md", "markdown", "Guide", "# Guide\n\nText.", hashlib.sha256(files["a/guide.md"]).hexdigest()
    )
    assert documents[0] == guide


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
            "large.md": f"{LFS}\noid sha256:4d7a\nsize 12345\n",
            "about lfs.md": f"{LFS}\n" + "is how a pointer begins. " * 50,
        },
    )
    with (tmp_path / "huge.md").open("wb") as file:
        file.truncate(21 * 1024 * 1024)
    found = reasons(tmp_path)
    assert found == {
        "README": "Its format (no ending) is not read; use one of .md, .markdown, .mdx, .txt, .html, .htm, .rst, .pdf, .docx, .ipynb.",
        "binary.md": "It holds binary data, not text.",
        "blank.md": "It holds no text.",
        "deep.html": "It is damaged or not HTML (RecursionError).",
        "empty.md": "It is empty.",
        "huge.md": "It has 21 MB, more than 20 MB; split it.",
        "large.md": "It is a Git LFS pointer and not the document; read it where git lfs pull was run.",
        "latin.txt": "Byte 3 is not valid UTF-8; save the file as UTF-8.",
        "picture.png": "Its format .png is not read; use one of .md, .markdown, .mdx, .txt, .html, .htm, .rst, .pdf, .docx, .ipynb.",
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
    (tmp_path / ".keep").write_text("")
    with pytest.raises(CorpusError, match="does not exist"):
        snapshots(Corpus(folder=tmp_path / "none"))
    with pytest.raises(CorpusError, match=r"\.keep is a file and no folder; change corpus\.folder"):
        snapshots(Corpus(folder=tmp_path / ".keep"))
    with pytest.raises(CorpusError, match=r"cannot be listed: File name too long; .* change corpus\.folder"):
        snapshots(Corpus(folder=tmp_path / ("x" * 300)))
    with pytest.raises(CorpusError, match="is empty"):
        snapshots(Corpus(folder=tmp_path))
    (tmp_path / "folder").mkdir()
    with pytest.raises(CorpusError, match="missing or holds no document"):
        read(tmp_path)


def test_a_plain_folder_is_one_undated_snapshot(tmp_path):
    write(tmp_path, **{"a.md": "# a"})
    (found,) = snapshots(Corpus(folder=tmp_path))
    assert (found.label, found.valid_from, found.source) == ("folder", None, Folder(tmp_path))


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


def test_the_fingerprint_moves_with_files_and_with_what_is_kept_out(tmp_path):
    write(tmp_path, **{"a.md": "one"})
    (plain,) = snapshots(Corpus(folder=tmp_path))
    (kept,) = snapshots(Corpus(folder=tmp_path, quarantine=["b.md"]))
    first = fingerprint(plain)
    assert fingerprint(plain) == first != fingerprint(kept)
    os.utime(tmp_path / "a.md", ns=(0, 1))
    assert fingerprint(plain) != first


def test_only_the_listing_is_needed_to_see_what_moved(tmp_path, monkeypatch):
    write(tmp_path, **{"a.md": "one", "b.md": "two"})
    (snapshot,) = snapshots(Corpus(folder=tmp_path))
    monkeypatch.setattr(Folder, "content", lambda *_: pytest.fail("a listing opens nothing"))
    before = listing(snapshot)
    (tmp_path / "b.md").write_text("other")
    assert [new != old for new, old in zip(listing(snapshot), before, strict=True)] == [False, True]


def test_a_document_in_quarantine_is_kept_out_by_name(tmp_path):
    write(tmp_path, **{"good.md": "# Good", "imported/bad.md": "# Bad", "imported/deep/worse.md": "# Worse"})
    documents, skipped = read(tmp_path, quarantine=["imported/*"])
    assert [d.document for d in documents] == ["good.md"]
    assert [s.document for s in skipped] == ["imported/bad.md", "imported/deep/worse.md"]
    assert skipped[0].reason == "It is in quarantine, by imported/* of corpus.quarantine."


def test_names_that_clash_or_mislead_are_set_aside(tmp_path):
    long = "n" * 250 + ".md"
    write(
        tmp_path,
        **{
            "Fees.md": "# Fees",
            "fees.md": "# Other fees",
            "red\x1b[31m.md": "# x",
            "a\\b.md": "# x",
            long: "# Long",
        },
    )
    documents, skipped = read(tmp_path)
    assert [d.document for d in documents] == ["Fees.md", long]
    assert {s.document: s.reason.split(";")[0] for s in skipped} == {
        "a\\b.md": "Its name leads out of the corpus",
        "fees.md": "Its name differs from Fees.md in case or Unicode form alone",
        "red\x1b[31m.md": "Its name holds control characters",
    }


class Shelf:
    """A source that lists whatever it is told to, as an object store may."""

    place = "the shelf"

    def __init__(self, *names):
        self.names = names

    def files(self):
        return [corpora.File(name, 3) for name in self.names]

    def content(self, file):
        if file.document == "busy.md":
            raise NotNow("It changed while it was read; the next run reads it.")
        return corpora.Content(b"# x")


def test_names_no_folder_could_hold_are_set_aside_from_any_source():
    names = ["../out.md", "/etc/out.md", "a//b.md", "a/./b.md", "a/../b.md", "n" * 256 + ".md", "ok.md"]
    documents, skipped = corpora.read(corpora.Snapshot("folder", None, Shelf(*names)))
    assert [d.document for d in documents] == ["ok.md"]
    assert sorted(s.document for s in skipped) == sorted(names[:-1])


def test_a_file_that_is_busy_is_told_from_one_that_is_bad():
    snapshot = corpora.Snapshot("folder", None, Shelf("busy.md", "ok.md", "x.png"))
    busy, _, bad = listing(snapshot)
    with pytest.raises(NotNow):
        corpora.content(snapshot, busy)
    with pytest.raises(corpora.UnreadableFile) as error:
        corpora.content(snapshot, bad)
    assert not isinstance(error.value, NotNow)
    assert corpora.read(snapshot)[1][0] == Skipped(
        "busy.md", "It changed while it was read; the next run reads it."
    )


def test_a_name_is_only_ever_a_name(tmp_path, warehouse):
    names = sorted(["'; drop table rag.documents; --.md", 'a"b.md', "{x.__class__}.md", "%s.md", "$1 ?.md"])
    write(tmp_path, **{name: f"# Text\n\n{name}" for name in names})
    found, _ = read(tmp_path)
    table = warehouse.tables["rag.documents"]
    kept = {name: [None] * len(found) for name in table.schema}
    kept |= {"system": ["desk"] * len(found), "document": [d.document for d in found]}
    warehouse.replace("rag.documents", pl.DataFrame(kept, schema=table.schema), system="desk")
    for name in names:
        assert warehouse.rows("rag.documents", document=name)["document"].to_list() == [name]
    assert warehouse.rows("rag.documents").height == len(names)


class Bomb:
    """Unpickling this writes a file."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (Path.touch, (self.target,))


def test_files_that_hold_code_are_never_loaded(tmp_path):
    target = tmp_path / "ran"
    bomb = pickle.dumps(Bomb(target))
    yaml = f"!!python/object/apply:os.system ['touch {target}']"
    names = [
        "a.pkl",
        "b.joblib",
        "c.pt",
        "d.bin",
        "e.npy",
        "f.yaml",
        "g.py",
        "h.md",
        "i.ipynb",
        "j.docx",
        "k.pdf",
    ]
    write(tmp_path / "corpus", **{name: yaml if name == "f.yaml" else bomb for name in names})
    write(tmp_path / "corpus", **{"docx.py": f"open({str(target)!r}, 'w')", "ok.rst": "Fine\n====\n\nWords."})
    here = os.getcwd()
    os.chdir(tmp_path / "corpus")  # a module of the corpus must not be imported by the reading process either
    try:
        limited_process.reader().close()
        documents, skipped = read(tmp_path / "corpus")
    finally:
        os.chdir(here)
    assert [d.document for d in documents] == ["ok.rst"]
    assert len(skipped) == len(names) + 1
    assert not target.exists()
    pickle.loads(bomb)
    assert target.exists()  # the control: it is a bomb


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=200),
    ending=st.sampled_from([".md", ".html", ".rst", ".pdf", ".docx", ".ipynb"]),
)
def test_any_bytes_are_read_or_set_aside(tmp_path, content, ending):
    (tmp_path / "only").with_suffix(ending).write_bytes(content)
    documents, skipped = read(tmp_path)
    assert len(documents) + len(skipped) == 1
    (tmp_path / "only").with_suffix(ending).unlink()
