"""Documents made to take a reader down, each with a control that is read by the same process afterwards."""

import io
import os
import signal
import time
import zipfile
from collections.abc import Iterator

import pytest

from aiops_pipelines.resources import limited_process
from aiops_pipelines.resources.extraction import HARMLESS_RST, extract
from aiops_pipelines.resources.limited_process import LimitedReader, Limits
from aiops_pipelines.resources.unreadable import UnreadableFile
from aiops_pipelines_tests.resources.extractors.files import make_docx, make_pdf

LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
LAUGHS = f'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY l0 "lol">{LAUGHS}]>'


@pytest.fixture
def reader() -> Iterator[LimitedReader]:
    reader = LimitedReader(Limits(cpu_s=2, wall_s=20, memory_bytes=512 * 2**20, text_bytes=2**20))
    yield reader
    reader.close()


def works(reader: LimitedReader) -> bool:
    return reader.extract(".rst", b"Fees\n====\n\nTwo euros.") == "# Fees\n\nTwo euros."


def tree_bomb() -> bytes:
    """A PDF of 400 bytes a node whose page tree has ten million leaves, all the same few objects."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>"]
    for node in range(2, 10):
        kids = f"{node + 1} 0 R " * 10
        objects.append(f"<< /Type /Pages /Kids [{kids}] /Count {10 ** (10 - node)} >>")
    objects.append("<< /Type /Page /Parent 9 0 R /MediaBox [0 0 9 9] >>")
    out, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{content}\nendobj\n".encode()
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    head = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
    return (
        out
        + f"{head}trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF".encode()
    )


def with_document(xml: str) -> bytes:
    """A Word document whose main part is this XML."""
    source, target = zipfile.ZipFile(io.BytesIO(make_docx())), io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in source.namelist():
            archive.writestr(name, xml if name == "word/document.xml" else source.read(name))
    return target.getvalue()


def word_xml(text: str, head: str = "") -> str:
    space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    return f'{head}<w:document xmlns:w="{space}"><w:body><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:body></w:document>'


def test_one_process_reads_many_documents(reader: LimitedReader) -> None:
    assert works(reader)
    process = reader._process
    assert reader.extract(".pdf", make_pdf("Printed words")) == "Printed words"
    with pytest.raises(UnreadableFile, match="It is not a PDF"):
        reader.extract(".pdf", b"text")
    assert reader.extract(".docx", make_docx()).startswith("# Travel")
    assert works(reader) and reader._process is process


def test_a_page_of_lines_is_read_without_a_process_unless_it_is_very_long() -> None:
    limited_process.reader.cache_clear()
    try:
        assert extract(".rst", b"Fees\n====\n") == "# Fees"
        assert limited_process.reader()._process is None
        assert extract(".rst", b"Fees\n====\n" + b"\n" * HARMLESS_RST) == "# Fees"
        assert limited_process.reader()._process
    finally:
        limited_process.reader().close()
        limited_process.reader.cache_clear()


def test_a_pdf_that_never_ends_is_stopped_and_the_next_document_read(reader: LimitedReader) -> None:
    assert works(reader)
    began = time.monotonic()
    with pytest.raises(UnreadableFile, match=r"takes more than 2 s|LimitReachedError|5,000 pages"):
        reader.extract(".pdf", tree_bomb())
    assert time.monotonic() - began < 15
    assert works(reader)


def test_the_limit_of_time_is_each_documents_own() -> None:
    reader = LimitedReader(Limits(cpu_s=1))
    page = b"<p>words</p>" * 3_000
    for _ in range(9):
        assert reader.extract(".html", page).startswith("words")
    began = time.monotonic()
    with pytest.raises(UnreadableFile, match="takes more than 1 s"):
        reader.extract(".html", page * 30)
    assert time.monotonic() - began < 15
    assert works(reader)
    reader.close()


def test_a_parser_that_hangs_is_stopped_by_the_clock() -> None:
    reader = LimitedReader(Limits(cpu_s=60, wall_s=1.5))
    assert works(reader)
    assert reader._process
    os.kill(reader._process.pid, signal.SIGSTOP)  # uses no time of the processor at all
    with pytest.raises(UnreadableFile, match="takes more than"):
        reader.extract(".rst", b"words")
    assert works(reader)
    reader.close()


def test_a_document_that_fills_memory_is_refused() -> None:
    reader = LimitedReader(Limits(memory_bytes=300 * 2**20))
    data = b'{"cells": [' + b"[]," * 5_000_000 + b"[]]}"  # 15 MB that are 320 MB of lists
    with pytest.raises(UnreadableFile, match="too much memory"):
        reader.extract(".ipynb", data)
    assert works(reader)
    reader.close()


def test_billion_laughs_stay_three_letters(reader: LimitedReader) -> None:
    began = time.monotonic()
    for ending, data in (
        (".docx", with_document(word_xml("&l9;", LAUGHS))),
        (".html", f"{LAUGHS}<p>&l9; plain words</p>".encode()),
        (".rst", f"{LAUGHS}\n\n&l9; plain words".encode()),
    ):
        try:
            text = reader.extract(ending, data)
        except UnreadableFile:
            continue
        assert len(text) < 3_000 and "lollol" not in text
    assert time.monotonic() - began < 10
    assert reader.extract(".docx", with_document(word_xml("plain words"))) == "plain words"


def test_a_docx_does_not_fetch_a_file_into_its_text(reader: LimitedReader) -> None:
    head = '<!DOCTYPE d [<!ENTITY secret SYSTEM "file:///etc/passwd">]>'
    try:
        text = reader.extract(".docx", with_document(word_xml("&secret;", head)))
    except UnreadableFile:
        return
    assert "root" not in text


def test_more_text_than_a_document_may_hold_is_refused(reader: LimitedReader) -> None:
    with pytest.raises(UnreadableFile, match="more than 1 MB of text"):
        reader.extract(".rst", b"word " * 300_000)
    assert works(reader)


def test_the_process_knows_no_credentials(reader: LimitedReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted")
    assert works(reader)
    assert reader._process
    with open(f"/proc/{reader._process.pid}/environ", "rb") as file:
        assert b"planted" not in file.read()


def test_a_process_that_died_between_two_documents_is_replaced(reader: LimitedReader) -> None:
    assert works(reader)
    assert reader._process
    reader._process.kill()
    reader._process.wait()
    assert works(reader)
