"""The text layer of PDFs."""

import io
import re

from aiops_pipelines.resources.unreadable import UnreadableFile

MAX_PAGES = 5_000
_SOFT_BREAK = re.compile(r"(?<=[a-z])-\n(?=[a-z])")
_LIGATURES = {0xFB00 + at: letters for at, letters in enumerate(["ff", "fi", "fl", "ffi", "ffl", "st", "st"])}
_UNMAPPED = re.compile(r"[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
"""What a font that does not say its letters comes out as."""
_MARKDOWN = re.compile(r"^(?=#|=+\s*$|-+\s*$)", re.MULTILINE)


def pdf(data: bytes) -> str:
    """Return the text layer of a PDF, page after page; a PDF keeps no headings.

    A line that Markdown would take for a heading, or for a line under one, begins with a blank.
    """
    from pypdf import PdfReader

    if b"%PDF-" not in data[:1024]:
        raise UnreadableFile("It is not a PDF.")
    reader = PdfReader(io.BytesIO(data))
    if reader.is_encrypted and not reader.decrypt(""):
        raise UnreadableFile("The PDF is encrypted; store it without a password.")
    pages: list[str] = []
    for page in reader.pages:
        if len(pages) == MAX_PAGES:
            raise UnreadableFile(f"It has more than {MAX_PAGES:,} pages; split it.")
        pages.append(_SOFT_BREAK.sub("", page.extract_text().translate(_LIGATURES)).strip())
    text = _MARKDOWN.sub(" ", _UNMAPPED.sub("\ufffd", "\n\n".join(pages)))
    if not text.strip():
        raise UnreadableFile("The PDF has no text layer; run text recognition (OCR) on it first.")
    return text
