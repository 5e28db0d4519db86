"""The monthly report as a PDF: typst typesets the page that `pages` has rendered, so both say the same.

The page is the only source of what the PDF says; `templates/report.typ` says how it looks on paper. The fonts
are the compiler's own and are embedded. The PDF is tagged (PDF/UA-1, PDF/A-3a) and carries the report's JSON.
The same report gives the same bytes.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from html import escape, unescape
from io import BytesIO
from typing import Any

from aiops_pipelines.resources.pages import TEMPLATES

TEMPLATE = TEMPLATES / "report.typ"
ATTACHMENT = "report.json"
TITLE, MAIN, CHART = (re.compile(f"<{tag}[^>]*>.*?</{tag}>", re.DOTALL) for tag in ("title", "main", "svg"))
LACKING = re.compile(r'(?:the text|the PDF contains the codepoint) `"(.+?)"`')
"""Letters that no font has, and private ones, which an archive must not hold."""
ESCAPED = re.compile(r"\\u\{([0-9a-f]+)\}")


class PdfError(RuntimeError):
    """A report cannot be typeset; the message says why."""


def report_pdf(report: Mapping[str, Any], page: str, data: str) -> bytes:
    """Typeset a monthly report.

    A character that the compiler's fonts lack is taken from a font of this machine, and one that none of them
    has is spelled out: <U+652F>.

    Args:
        report: as `compliance.report.compliance_report` gives it.
        page: the same report as `pages.report_page` renders it.
        data: the same report as JSON.

    Raises:
        PdfError: the page holds what the template does not know.
    """
    inputs = _inputs(report, page, data)
    made, lacking = _compiled(inputs, own_fonts=True)
    while lacking:
        made, lacking = _compiled(inputs, own_fonts=False)
        inputs = {name: _spelled(text, lacking, name) for name, text in inputs.items()}
    return made


def _inputs(report: Mapping[str, Any], page: str, data: str) -> dict[str, str]:
    """Return what the template reads: the page's main part as XML, its charts, what the file is called."""
    title, body = (found[0] for found in (TITLE.search(page), MAIN.search(page)) if found)
    charts = CHART.findall(body)
    places = iter(range(len(charts)))
    return {
        "page": CHART.sub(lambda _: f'<chart number="{next(places)}"/>', body),
        **{f"chart-{number}": chart for number, chart in enumerate(charts)},
        "title": unescape(re.sub("<.*?>", "", title)),
        "author": report["system"]["owner"],
        "description": report["headline"],
        "date": f"{datetime.fromisoformat(report['read_until']):%Y %-m %-d %-H %-M %-S}",
        "data": data,
    }


def _compiled(inputs: dict[str, str], own_fonts: bool) -> tuple[bytes, set[str]]:
    """Return the PDF, or the characters that no font has."""
    import typst

    try:
        made = typst.compile(
            TEMPLATE, sys_inputs=inputs, pdf_standards=["a-3a", "ua-1"], ignore_system_fonts=own_fonts
        )
    except typst.TypstError as error:
        texts = [
            ESCAPED.sub(lambda c: chr(int(c[1], 16)), text) for text in LACKING.findall(error.diagnostic)
        ]
        lacking = {character for text in texts for character in text if not character.isascii()}
        if not lacking:
            raise PdfError(f"The report cannot be made a PDF: {error.message}") from error
        return b"", lacking
    return made, set()


def _spelled(text: str, lacking: set[str], name: str) -> str:
    """Spell characters out; the page and its charts are XML."""
    plain = {ord(one): f"<U+{ord(one):04X}>" for one in lacking}
    markup = name == "page" or name.startswith("chart-")
    return text.translate({one: escape(said) for one, said in plain.items()} if markup else plain)


def attached(content: bytes) -> bytes:
    """Return the JSON that the PDF of a report carries; nothing of any other PDF, or of what is none.

    Letters of a PDF are numbers of glyphs, and compressed: this is how its words are found.
    """
    from pypdf import PdfReader

    try:
        return b"".join(PdfReader(BytesIO(content)).attachments.get(ATTACHMENT, []))
    except Exception:  # a damaged file makes pypdf raise anything
        return b""
