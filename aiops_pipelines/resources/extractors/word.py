"""Word documents: headings, lists, paragraphs and tables in reading order."""

import io
import re
import zipfile
from typing import TYPE_CHECKING, Any

from aiops_pipelines.resources.extractors.plain import table
from aiops_pipelines.resources.unreadable import UnreadableFile

if TYPE_CHECKING:
    from docx.table import Table
    from docx.text.paragraph import Paragraph

MAX_UNPACKED_BYTES = 200 * 1024 * 1024
MAX_RATIO = 200
"""Text in XML packs to about a tenth; a bomb packs to a thousandth."""
SMALL_BYTES = 1024 * 1024
"""Below this a part may pack as well as it likes."""


def docx(data: bytes) -> str:
    """Return a Word document: headings by style, list items, paragraphs and tables in reading order."""
    from docx import Document
    from docx.table import Table

    if not zipfile.is_zipfile(io.BytesIO(data)):
        raise UnreadableFile("It is not a DOCX file.")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        _refuse_bomb(archive.infolist())
    blocks = Document(io.BytesIO(data)).iter_inner_content()
    texts = (_table(block) if isinstance(block, Table) else _paragraph(block) for block in blocks)
    return "\n\n".join(filter(None, texts))


def _refuse_bomb(members: list[zipfile.ZipInfo]) -> None:
    if sum(member.file_size for member in members) > MAX_UNPACKED_BYTES:
        raise UnreadableFile(f"It unpacks to more than {MAX_UNPACKED_BYTES // 2**20} MB.")
    for member in members:
        if member.file_size > max(SMALL_BYTES, MAX_RATIO * member.compress_size):
            raise UnreadableFile(f"A part of it unpacks to more than {MAX_RATIO} times its size.")


def _paragraph(paragraph: "Paragraph") -> str:
    text = paragraph.text.strip()
    style = (paragraph.style.name if paragraph.style else None) or ""
    if not text or style == "Title":
        return f"# {text}" if text else ""
    if match := re.fullmatch(r"Heading ([1-6])", style):
        return "#" * int(match[1]) + " " + text
    numbered: Any = paragraph._p.pPr.numPr if paragraph._p.pPr is not None else None
    if not style.startswith("List") and numbered is None:
        return text
    level = numbered.ilvl.val if numbered is not None and numbered.ilvl is not None else 0
    named = re.search(r" ([2-9])$", style)
    return "  " * (int(named[1]) - 1 if named else level) + f"- {text}"


def _table(block: "Table") -> str:
    """Return a table's rows; a cell that is merged over several columns stands once."""
    rows = []
    for row in block.rows:
        cells = dict.fromkeys(cell._tc for cell in row.cells)
        texts = {cell._tc: " ".join(cell.text.split()) for cell in row.cells}
        rows.append([texts[cell] for cell in cells])
    return table(rows)
