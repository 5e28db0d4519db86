"""Word documents: headings, lists, paragraphs, tables and notes in reading order."""

import io
import re
import zipfile

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
        f"p[style-name='List {kind} {level}'] => {'ul|ol > li > ' * (level - 1)}{tag} > li:fresh"
        for kind, tag in (("Bullet", "ul"), ("Number", "ol"))
        for level in (2, 3, 4, 5)
    ]
)
"""What the library has no rule for: it nests lists that are numbered, not those of a style."""
_FIELD = re.compile(rb"</?w:fldSimple\b[^>]*>")


def docx(data: bytes) -> str:
    """Return a Word document as it reads with all changes accepted: no comments, page heads or pictures."""
    from mammoth import convert_to_html
    from mammoth.images import img_element

    if not zipfile.is_zipfile(io.BytesIO(data)):
        raise UnreadableFile("It is not a DOCX file.")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        _refuse_bomb(archive.infolist())
        whole = _without_fields(archive)
    page = convert_to_html(whole, style_map=_STYLES, convert_image=img_element(lambda image: {}))
    return content(page.value)


def _without_fields(archive: zipfile.ZipFile) -> io.BytesIO:
    """Return the archive with the words of simple fields in the text, where the library looks for them."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as copy:
        for part in archive.infolist():
            found = archive.read(part)
            copy.writestr(part, _FIELD.sub(b"", found) if part.filename.endswith(".xml") else found)
    whole.seek(0)
    return whole


def _refuse_bomb(members: list[zipfile.ZipInfo]) -> None:
    if sum(member.file_size for member in members) > MAX_UNPACKED_BYTES:
        raise UnreadableFile(f"It unpacks to more than {MAX_UNPACKED_BYTES // 2**20} MB.")
    for member in members:
        if member.file_size > max(SMALL_BYTES, MAX_RATIO * member.compress_size):
            raise UnreadableFile(f"A part of it unpacks to more than {MAX_RATIO} times its size.")
