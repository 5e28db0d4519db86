"""PDFs, Word documents, notebooks and plain text."""

import io
import json
import zipfile
from types import SimpleNamespace

import docx as word
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from aiops_pipelines.rag.blocks import title
from aiops_pipelines.rag.chunking import chunk
from aiops_pipelines.resources.extraction import extracted
from aiops_pipelines.resources.extractors import pdf as pdf_module
from aiops_pipelines.resources.extractors import word as word_module
from aiops_pipelines.resources.extractors.notebook import notebook
from aiops_pipelines.resources.extractors.pdf import pdf
from aiops_pipelines.resources.extractors.plain import markdown, plain
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
    levels = "".join(f'<w:lvl w:ilvl="{at}"><w:numFmt w:val="bullet"/></w:lvl>' for at in range(3))
    numbering = document.part.numbering_part.element
    numbering.append(
        parse_xml(f'<w:abstractNum {nsdecls("w")} w:abstractNumId="90">{levels}</w:abstractNum>')
    )
    numbering.append(parse_xml(f'<w:num {nsdecls("w")} w:numId="90"><w:abstractNumId w:val="90"/></w:num>'))
    by_hand = document.add_paragraph("by hand")
    level = f'<w:numPr {nsdecls("w")}><w:ilvl w:val="2"/><w:numId w:val="90"/></w:numPr>'
    by_hand._p.get_or_add_pPr().append(parse_xml(level))
    table = document.add_table(rows=1, cols=3)
    merged = table.cell(0, 0).merge(table.cell(0, 1))
    merged.text, table.cell(0, 2).text = "wide", "narrow"
    buffer = io.BytesIO()
    document.save(buffer)
    assert docx(buffer.getvalue()) == "- one\n\n  - inner\n\n    - by hand\n\n| wide | narrow |"


def test_docx_reads_as_with_all_changes_accepted():
    document = word.Document()
    document.add_heading("Leave", 7)

    def add(xml):
        document.element.body.insert(-1, parse_xml(xml.replace("<w:p>", f"<w:p {nsdecls('w')}>", 1)))

    add("<w:p><w:sdt><w:sdtContent><w:r><w:t>Days: 25</w:t></w:r></w:sdtContent></w:sdt></w:p>")
    add(
        '<w:p><w:ins w:id="1" w:author="x"><w:r><w:t>Four weeks</w:t></w:r></w:ins>'
        '<w:del w:id="2" w:author="x"><w:r><w:delText>Two weeks</w:delText></w:r></w:del></w:p>'
    )
    add(
        '<w:p><w:r><w:t>See </w:t></w:r><w:fldSimple w:instr=" IF 3 > 2 "><w:r><w:t>3</w:t></w:r></w:fldSimple></w:p>'
    )
    add("<w:p><w:r><w:t>c</w:t><w:cr/><w:t>d</w:t></w:r></w:p>")
    link = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships" r:id="lost"'
    add(f"<w:p><w:hyperlink {link}><w:r><w:t>A link</w:t></w:r></w:hyperlink></w:p>")
    document.add_paragraph("def f():\n    return 1")
    document.add_paragraph("f()", style=document.styles.add_style("Source Code", 1))
    outer = document.add_table(1, 1).cell(0, 0)
    outer.text = "outer"
    outer.add_table(1, 1).cell(0, 0).text = "inner"
    document.sections[0].header.paragraphs[0].text = "On every page"
    buffer = io.BytesIO()
    document.save(buffer)
    assert docx(buffer.getvalue()).split("\n\n") == [
        "###### Leave", "Days: 25", "Four weeks", "See 3", "c d", "A link", "```\ndef f():\n    return 1\nf()\n```", "outer", "| inner |"
    ]  # fmt: skip


def test_docx_words_that_are_set_hidden_are_not_read():
    def run(text, settings):
        return f'<w:r w:rsidR="0"><w:rPr>{settings}</w:rPr><w:t>{text}</w:t></w:r>'

    runs = [
        run("a", "<w:b/>"),
        run("gone", "<w:b/><w:vanish/><w:i/>"),
        run("b", '<w:vanish w:val="0"/>'),
        run("c", '<w:rPrChange w:id="1" w:author="x"><w:rPr><w:vanish/></w:rPr></w:rPrChange>'),
        run("gone", '<w:vanish w:val="true"/>'),
        run("d", "<w:webHidden/>"),
    ]
    document = word.Document()
    mark = "<w:pPr><w:rPr><w:vanish/></w:rPr></w:pPr>"  # of the paragraph, not of its words
    document.element.body.insert(-1, parse_xml(f"<w:p {nsdecls('w')}>{mark}{''.join(runs)}</w:p>"))
    buffer = io.BytesIO()
    document.save(buffer)
    assert docx(buffer.getvalue()) == "abcd"


def test_docx_notes_stand_at_the_end():
    document = make_docx()
    notes = (
        f'<w:footnotes {nsdecls("w")}><w:footnote w:id="2"><w:p><w:r><w:t>By rail only.</w:t></w:r></w:p>'
        "</w:footnote></w:footnotes>"
    )
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/footnotes"
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(document)) as old, zipfile.ZipFile(changed, "w") as new:
        for part in old.infolist():
            text = old.read(part)
            if part.filename == "word/_rels/document.xml.rels":
                link = f'<Relationship Id="n1" Type="{kind}" Target="footnotes.xml"/></Relationships>'
                text = text.replace(b"</Relationships>", link.encode())
            if part.filename == "word/document.xml":
                mark = b'Book early.</w:t></w:r><w:r><w:footnoteReference w:id="2"/></w:r>'
                text = text.replace(b"Book early.</w:t></w:r>", mark)
            new.writestr(part, text)
        new.writestr("word/footnotes.xml", notes)
    text = docx(changed.getvalue())
    assert "Book early.[1]" in text
    assert text.endswith("| Bern | Basel |\n\n- By rail only.")


def test_pdf_letters_and_lines_are_those_a_reader_sees(monkeypatch):
    class Page:
        def extract_text(self):
            return "De\ufb01ne o\ufb03ce\nx \x0ckxk\n=\n1\n# 3\n- item"

    monkeypatch.setattr("pypdf.PdfReader", lambda file: SimpleNamespace(is_encrypted=False, pages=[Page()]))
    text = pdf(b"%PDF-1.4")
    assert text == "Define office\nx \ufffdkxk\n =\n1\n # 3\n- item"
    assert title(text) is None
    assert title("x\n===\n1") == "x"  # the control


def test_a_notebooks_words_and_code_are_kept_and_only_short_outputs():
    assert notebook(make_notebook()) == (
        "# Fit\n\nA line.\n\n```python\nprint(2)\n```\n\n```\n2\n```\n\n"
        "```python\nshow()\n```\n\n```python\nfail()\n```"
    )
    old = {"worksheets": [{"cells": [{"cell_type": "heading", "level": 2, "source": "Old"}]}]}
    assert notebook(json.dumps(old).encode()) == "## Old"
    old["worksheets"] *= 2
    assert notebook(json.dumps(old).encode()) == "## Old\n\n## Old"
    for content, why in (
        (b"{", "line 1 is not JSON"),
        (b"[]", "no list of cells"),
        (b'{"cells": 1}', "no list"),
    ):
        with pytest.raises(UnreadableFile, match=why):
            notebook(content)


def test_names_of_objects_and_pictures_are_no_output():
    def cell(**output):
        return {"cell_type": "code", "source": "x", "outputs": [output]}

    cells = [
        cell(data={"text/plain": "[<lines.Line2D at 0x118cfe0f0>]"}),
        cell(data={"image/png": "iVBO", "text/plain": "<Figure size 640x480 with 1 Axes>"}),
        cell(text=["\x1b[31m<Response\x1b[0m [200]>"]),
    ]
    text = notebook(json.dumps({"cells": cells}).encode())
    assert text == "\n\n".join(["```\nx\n```"] * 3 + ["```\n<Response [200]>\n```"])


def test_markdown_without_what_no_reader_sees():
    text = (
        "# Fees\n\n<!-- internal -->\n\nNone <!-- yet --> now.\n\n<!-- refund\n# never\n-->\n\n"
        "```\n<!-- code -->\n```\n\nWrite `<!-- x -->`.\n\n![x](data:image/png;base64,"
        + "iVBOR"
        * 20
        + ")\n\n"
        "An open <!-- one."
    )
    kept = "1. ```html\n   <!-- a -->\n   ```\n\n> <!-- b -->\n\n    <!-- c -->"
    assert markdown(kept.encode()) == kept  # code and quotes
    assert markdown(text.encode()) == (
        "# Fees\n\n\n\nNone  now.\n\n\n\n```\n<!-- code -->\n```\n\nWrite `<!-- x -->`.\n\n"
        "![x](data:image/png;base64,)\n\nAn open <!-- one."
    )


def test_mdx_without_the_comments_of_its_expressions():
    text = "# Fees\n\n{/* truncate */}\n\nNone {/* yet */} now.\n\n{/* a\n# b\n*/}\n\n```jsx\n{/* code */}\n```\n\n{/* open"
    seen = "# Fees\n\n\n\nNone  now.\n\n\n\n```jsx\n{/* code */}\n```\n\n{/* open"
    assert extracted(".mdx", text.encode()) == seen
    assert extracted(".md", text.encode()) == text


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


@pytest.mark.parametrize(
    "text",
    [
        "- a\n" + " " * 300_000 + "x```",
        "<!--" * 75_000,
        "--><!--" * 40_000,
        "a<!--\n-->" * 30_000,
        "---\ntitle: a" + " " * 300_000 + "b\n---\n\nx",
        "# a " + "#" * 300_000 + "x",
        "# a\n" * 75_000,
    ],
    ids=["blanks", "open comments", "closed before", "comment after comment", "title", "anchor", "headings"],
)
def test_markdown_of_one_sign_over_and_over_is_read_in_time(text):
    """Each took minutes to hours where a pattern began anew at every sign."""
    read = extracted(".md", text.encode())
    letters = "".join(read.split())
    assert len(title(read) or "") <= len(text)
    assert "".join("".join(piece.text.split()) for piece in chunk(read)) == letters
