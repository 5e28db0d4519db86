import io
import zipfile

import docx as word
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.resources import extraction
from aiops_pipelines.resources.extraction import UnreadableFile, docx, html, pdf, plain, rst


def make_pdf(*pages):
    """Write a PDF with a text layer, one line a page."""
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for n, text in enumerate(pages):
        drawn = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET" if text else ""
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {5 + 2 * n} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(drawn)} >>\nstream\n{drawn}\nendstream")
    out, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{content}\nendobj\n".encode()
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    size = len(objects) + 1
    trailer = f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF"
    return out + trailer.encode()


def make_docx():
    document = word.Document()
    document.add_heading("Travel", 0)
    document.add_heading("Trains", 1)
    document.add_paragraph("Book early.")
    document.add_paragraph("Second class", style="List Bullet")
    table = document.add_table(rows=2, cols=2)
    for cell, text in zip(
        (c for row in table.rows for c in row.cells), ["From", "To", "Bern", "Basel"], strict=True
    ):
        cell.text = text
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def test_plain_text_is_kept_without_mark_and_carriage_returns():
    assert plain(b"\xef\xbb\xbfa\r\nb\rc") == "a\nb\nc"
    with pytest.raises(UnreadableFile, match="Byte 2 is not valid UTF-8"):
        plain(b"ab\xff")
    with pytest.raises(UnreadableFile, match="binary"):
        plain(b"ab\0")


def test_html_keeps_structure_and_drops_what_is_not_content():
    page = b"""<html><head><title>Site</title><style>p {}</style></head><body><nav>Home</nav>
    <main><h1>Refunds &amp; <em>returns</em></h1><!-- note --><p>Paid <b>within</b> five<br>days, see <code>pay()</code>.</p>
    <script>alert(1)</script><ul><li>one</li><li>two<ul><li>inner</li></ul></li></ul>
    <pre><code class="x"># run
  it</code></pre><table><tr><th>Plan</th><th>Days</th></tr><tr><td>Pro</td><td>5</td></tr></table></main>
    <footer>Imprint</footer></body></html>"""
    assert html(page) == "\n\n".join(
        [
            "# Refunds & returns",
            "Paid within five days, see `pay()`.",
            "- one",
            "- two\n  - inner",
            "```\n# run\n  it\n```",
            "| Plan | Days |\n| Pro | 5 |",
        ]
    )


def test_html_without_a_heading_takes_its_title():
    assert html(b"<title>Fees</title><p>None.</p>") == "# Fees\n\nNone."
    assert html(b"just words") == "just words"


def test_rst_headings_by_order_of_appearance():
    text = b"=====\nGuide\n=====\n\nSetup\n-----\n\nSee :ref:`Use <use>` and ``pip``.\n\nUse\n---\n\nDeep\n~~~~\n\nEnd."
    assert rst(text).split("\n\n") == [
        "# Guide",
        "## Setup",
        "See Use and `pip`.",
        "## Use",
        "### Deep",
        "End.",
    ]


def test_rst_code_becomes_fences_and_directives_are_not_executed():
    text = b"Run it::\n\n    make\n\n    test\n\nThen\n\n.. code-block:: python\n\n    # no heading\n    x = 1\n\n.. include:: /etc/hosts\n"
    assert rst(text) == (
        "Run it:\n\n```\nmake\n\ntest\n```\n\nThen\n\n```python\n# no heading\nx = 1\n```\n\n.. include:: /etc/hosts"
    )


@given(
    st.lists(
        st.sampled_from(["Title", "=====", "-----", "", "  code", "Text::", ".. code:: x", "words here"]),
        max_size=12,
    )
)
def test_rst_loses_no_words(lines):
    text = rst("\n".join(lines).encode())
    assert [word for word in text.split() if word in ("Title", "code", "words", "here")] == [
        word for word in " ".join(lines).split() if word in ("Title", "code", "words", "here")
    ]


def test_pdf_pages_are_paragraphs():
    assert pdf(make_pdf("Hello page one", "And two")) == "Hello page one\n\nAnd two"
    with pytest.raises(UnreadableFile, match="no text layer"):
        pdf(make_pdf(""))
    with pytest.raises(UnreadableFile, match="not a PDF"):
        pdf(b"hello")


def test_docx_keeps_headings_lists_and_tables():
    assert (
        docx(make_docx())
        == "# Travel\n\n# Trains\n\nBook early.\n\n- Second class\n\n| From | To |\n| Bern | Basel |"
    )
    with pytest.raises(UnreadableFile, match="not a DOCX"):
        docx(b"hello")


def test_a_docx_that_unpacks_to_too_much_is_refused(monkeypatch):
    monkeypatch.setattr(extraction, "MAX_UNPACKED_BYTES", 1_000)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b" " * 2_000)
    with pytest.raises(UnreadableFile, match="unpacks to more"):
        docx(buffer.getvalue())
