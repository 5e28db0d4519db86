"""Word documents: headings, lists, paragraphs, tables and notes in reading order."""

import io
import re
import zipfile
from typing import Any

from aiops_pipelines.resources.extractors.page import content
from aiops_pipelines.resources.unreadable import UnreadableFile

MAX_UNPACKED_BYTES = 200 * 1024 * 1024
MAX_RATIO = 200
"""Text in XML packs to about a tenth; a bomb packs to a thousandth."""
SMALL_BYTES = 1024 * 1024
"""Below this a part may pack as well as it likes."""
_STYLES = "\n".join(
    ["p[style-name='Title'] => h1:fresh", "p[style-name='Subtitle'] => p:fresh"]
    + [f"p[style-name='heading {level}'] => h6:fresh" for level in (7, 8, 9)]
    + [
        f"p[style-name='{name}'] => pre:separator('\\n')"
        for name in ("Code", "Source Code", "HTML Preformatted")
    ]
    + [
        f"p[style-name='List {kind} {level}'] => {'ul|ol > li > ' * (level - 1)}{tag} > li:fresh"
        for kind, tag in (("Bullet", "ul"), ("Number", "ol"))
        for level in (2, 3, 4, 5)
    ]
)
"""What the library has no rule for: it nests lists that are numbered, not those of a style."""
_WRAPPING = re.compile(rb"""</?w:(?:fldSimple|hyperlink)\b(?:[^>"']|"[^"]*"|'[^']*')*>""")
"""Dropped with its words, or refused where the link it names is missing."""
_INDENTED = re.compile(r"\n(?: {2}|\t)")
_HIDDEN = re.compile(
    rb"""<w:r(?:\s[^>]*)?>\s*<w:rPr>(?:(?!</w:rPr>|<w:rPrChange).)*?"""
    rb"""<w:vanish(?:\s+w:val=["'](?:1|true|on)["'])?\s*/>(?:(?!<w:r[\s>]|</w:r>).)*</w:r>""",
    re.DOTALL,
)
"""Words that are set not to be seen."""
_RETURN = re.compile(rb"<w:cr\s*/>")


def docx(data: bytes) -> str:
    """Return a Word document as it reads with all changes accepted: no comments, page heads or pictures."""
    from mammoth import convert_to_html
    from mammoth.images import img_element
    from mammoth.transforms import paragraph

    if not zipfile.is_zipfile(io.BytesIO(data)):
        raise UnreadableFile("It is not a DOCX file.")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        _refuse_bomb(archive.infolist())
        whole = _mended(archive)
    page = convert_to_html(
        whole,
        style_map=_STYLES,
        convert_image=img_element(lambda image: {}),
        transform_document=paragraph(_as_code),
    )
    return content(page.value)


def _as_code(one: Any) -> Any:
    """Return a paragraph whose later lines are indented as code: there blanks mean something."""
    from mammoth.documents import Break, Text
    from mammoth.transforms import get_descendants

    parts = (
        part.value if isinstance(part, Text) else "\n"
        for part in get_descendants(one)
        if isinstance(part, Text | Break)
    )
    return one.copy(style_id="Code", style_name="Code") if _INDENTED.search("".join(parts)) else one


def _mended(archive: zipfile.ZipFile) -> io.BytesIO:
    """Return the archive with words of fields and links in the text and without hidden ones."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as copy:
        for part in archive.infolist():
            found = archive.read(part)
            if part.filename.endswith(".xml"):
                found = _RETURN.sub(b"<w:br/>", _WRAPPING.sub(b"", found))
                found = _HIDDEN.sub(b"", found) if b"<w:vanish" in found else found
            copy.writestr(part.filename, found)
    whole.seek(0)
    return whole


def _refuse_bomb(members: list[zipfile.ZipInfo]) -> None:
    if sum(member.file_size for member in members) > MAX_UNPACKED_BYTES:
        raise UnreadableFile(f"It unpacks to more than {MAX_UNPACKED_BYTES // 2**20} MB.")
    for member in members:
        if member.file_size > max(SMALL_BYTES, MAX_RATIO * member.compress_size):
            raise UnreadableFile(f"A part of it unpacks to more than {MAX_RATIO} times its size.")
