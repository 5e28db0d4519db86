"""PDFs, Word documents, notebooks and plain text."""

import io
import json
import zipfile

import docx as word
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from aiops_pipelines.resources.extraction import extracted
from aiops_pipelines.resources.extractors import pdf as pdf_module
from aiops_pipelines.resources.extractors import word as word_module
from aiops_pipelines.resources.extractors.notebook import notebook
from aiops_pipelines.resources.extractors.pdf import pdf
from aiops_pipelines.resources.extractors.plain import plain
from aiops_pipelines.resources.extractors.word import docx
from aiops_pipelines.resources.unreadable import UnreadableFile
from aiops_pipelines_tests.resources.extractors.files import make_docx, make_notebook, make_pdf


def test_plain_text_is_kept_without_mark_and_carriage_returns():
    assert plain(b"\xef\xbb\xbfa\r\nb\rc") == "a\nb\nc"
    with pytest.raises(UnreadableFile, match="Byte 2 is not valid UTF-8"):
        plain(b"ab\xff")
    with pytest.raises(UnreadableFile, match="binary"):
        plain(b"ab\0")
    with pytest.raises(UnreadableFile, match="UTF-16"):
        plain("ab".encode("utf-16"))


def test_pdf_pages_are_paragraphs(monkeypatch):
    assert pdf(make_pdf("Hello page one", "And two")) == "Hello page one\n\nAnd two"
    with pytest.raises(UnreadableFile, match="no text layer"):
        pdf(make_pdf(""))
    with pytest.raises(UnreadableFile, match="not a PDF"):
        pdf(b"hello")
    monkeypatch.setattr(pdf_module, "MAX_PAGES", 2)
    assert pdf(make_pdf("1", "2"))
    with pytest.raises(UnreadableFile, match="more than 2 pages"):
        pdf(make_pdf("1", "2", "3"))


def test_docx_keeps_headings_lists_and_tables():
    assert (
        docx(make_docx())
        == "# Travel\n\n# Trains\n\nBook early.\n\n- Second class\n\n| From | To |\n| Bern | Basel |"
    )
    with pytest.raises(UnreadableFile, match="not a DOCX"):
        docx(b"hello")


def test_docx_lists_nest_and_merged_cells_stand_once():
    document = word.Document()
    document.add_paragraph("one", style="List Bullet")
    document.add_paragraph("inner", style="List Bullet 2")
    by_hand = document.add_paragraph("by hand")
    level = f'<w:numPr {nsdecls("w")}><w:ilvl w:val="2"/><w:numId w:val="1"/></w:numPr>'
    by_hand._p.get_or_add_pPr().append(parse_xml(level))
    table = document.add_table(rows=1, cols=3)
    merged = table.cell(0, 0).merge(table.cell(0, 1))
    merged.text, table.cell(0, 2).text = "wide", "narrow"
    buffer = io.BytesIO()
    document.save(buffer)
    assert docx(buffer.getvalue()) == "- one\n\n  - inner\n\n    - by hand\n\n| wide | narrow |"


def test_a_notebooks_words_and_code_are_kept_and_only_short_outputs():
    assert notebook(make_notebook()) == (
        "# Fit\n\nA line.\n\n```python\nprint(2)\n```\n\n```\n2\n```\n\n"
        "```python\nshow()\n```\n\n```python\nfail()\n```"
    )
    old = {"worksheets": [{"cells": [{"cell_type": "heading", "level": 2, "source": "Old"}]}]}
    assert notebook(json.dumps(old).encode()) == "## Old"
    for content, why in (
        (b"{", "line 1 is not JSON"),
        (b"[]", "no list of cells"),
        (b'{"cells": 1}', "no list"),
    ):
        with pytest.raises(UnreadableFile, match=why):
            notebook(content)


def test_what_a_notebook_leaves_empty_is_no_damage():
    cells = [
        {"cell_type": "markdown", "source": None},
        {"cell_type": "code", "source": "x", "outputs": None},
        {"cell_type": "code", "source": "y", "outputs": [{"output_type": "display_data", "data": None}]},
    ]
    for about in (None, {"kernelspec": None}, {"language_info": None}):
        content = json.dumps({"cells": cells, "metadata": about}).encode()
        assert notebook(content) == "```\nx\n```\n\n```\ny\n```"


def test_no_text_holds_a_nul():
    content = {"cells": [{"cell_type": "markdown", "source": "a\0b"}], "metadata": {}}
    assert extracted(".ipynb", json.dumps(content).encode()) == "a\ufffdb"


def zipped(name, content):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def test_a_docx_that_unpacks_to_too_much_is_refused(monkeypatch):
    bomb = zipped("word/document.xml", b" " * (2 * 2**20))
    assert len(bomb) < 3_000
    with pytest.raises(UnreadableFile, match="more than 200 times its size"):
        docx(bomb)
    monkeypatch.setattr(word_module, "MAX_UNPACKED_BYTES", 2**20)
    with pytest.raises(UnreadableFile, match="unpacks to more than 1 MB"):
        docx(bomb)
    assert docx(make_docx()).startswith("# Travel")  # the control
