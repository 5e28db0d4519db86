"""Text out of HTML, reStructuredText, PDF and DOCX bytes, as Markdown-like text with its headings.

Each function takes a file's bytes and returns text; which files are read, and what is refused, is
`documents`.
"""

import io
import re
import zipfile
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bs4 import Tag

MAX_UNPACKED_BYTES = 200 * 1024 * 1024
"""A DOCX is a zip; one that unpacks to more than this is refused before it is unpacked."""

_NOT_CONTENT = ["title", "nav", "script", "style", "noscript", "template", "svg", "form", "button", "iframe"]
_BLOCKS = {
    "p",
    "div",
    "section",
    "article",
    "main",
    "header",
    "footer",
    "aside",
    "blockquote",
    "dl",
    "dt",
    "dd",
}
_BLOCKS |= {"ul", "ol", "figure", "figcaption", "details", "summary", "body", "html", "address", "fieldset"}
_RULE = re.compile(r"([=\-`:.'\"~^_*+#])\1{2,}\s*$")
_DIRECTIVE = re.compile(r"\s*\.\.\s+([\w:-]+)::\s*(.*)")
_CODE = {"code-block", "code", "sourcecode", "highlight", "literalinclude", "parsed-literal"}
_ROLE = re.compile(r":[\w:+-]{1,40}:`~?([^`<]{1,300}?)(?: ?<[^`>]{0,300}>)?`")


class UnreadableFile(ValueError):
    """A file's bytes are not what its name says; the message is the reason in a sentence."""


def plain(data: bytes) -> str:
    """Return text as it is: UTF-8, without byte order mark, with Unix line ends."""
    if b"\0" in data:
        raise UnreadableFile("It holds binary data, not text.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"Byte {error.start} is not valid UTF-8; save the file as UTF-8.") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def html(data: bytes) -> str:
    """Return the content of a page, without its navigation, scripts and forms."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(plain(data), "html.parser")
    title = soup.title.get_text(" ", strip=True) if soup.title else ""
    for tag in soup(_NOT_CONTENT):
        tag.decompose()
    text = "\n\n".join(_html_blocks(soup.find("main") or soup.body or soup))
    return text if not title or re.search(r"^# ", text, re.MULTILINE) else f"# {title}\n\n{text}"


def _html_blocks(node: "Tag") -> Iterator[str]:
    from bs4 import Tag
    from bs4.element import PreformattedString

    words: list[str] = []
    for child in node.children:
        if not isinstance(child, Tag):
            words += [] if isinstance(child, PreformattedString) else [str(child)]
        elif child.name in _BLOCKS or (block := _html_block(child)):
            yield from _paragraph(words)
            words = []
            yield from _html_blocks(child) if child.name in _BLOCKS else [block]
        else:
            words.append(" " if child.name == "br" else _inline(child))
    yield from _paragraph(words)


def _html_block(tag: "Tag") -> str:
    """Return the Markdown of a heading, code block, list item or table, or nothing for any other tag."""
    if re.fullmatch("h[1-6]", tag.name):
        return f"{'#' * int(tag.name[1])} {_flat(tag)}" if _flat(tag) else ""
    if tag.name == "pre":
        return f"```\n{tag.get_text().strip()}\n```"
    if tag.name == "li":
        return "- " + "\n".join(_html_blocks(tag)).replace("\n", "\n  ")
    if tag.name == "table":
        rows = [[_flat(cell) for cell in row(["th", "td"])] for row in tag("tr")]
        return _table(rows)
    return ""


def _inline(tag: "Tag") -> str:
    return f"`{_flat(tag)}`" if tag.name == "code" and _flat(tag) else tag.get_text()


def _flat(tag: "Tag") -> str:
    return " ".join(tag.get_text(" ").split())


def _paragraph(words: list[str]) -> Iterator[str]:
    if text := " ".join("".join(words).split()):
        yield text


def _table(rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows if any(row))


def rst(data: bytes) -> str:
    """Return reStructuredText with Markdown headings and fences; directives are never executed."""
    lines = plain(data).expandtabs(4).split("\n")
    levels: list[str] = []
    out: list[str] = []
    at = 0
    while at < len(lines):
        over = _RULE.match(lines[at]) and at + 2 < len(lines) and lines[at + 2].rstrip() == lines[at].rstrip()
        title = at + 1 if over else at
        if _is_title(lines, title):
            style = f"{bool(over)}{lines[title + 1][0]}"
            levels += [] if style in levels else [style]
            out += ["", f"{'#' * min(levels.index(style) + 1, 6)} {_roles(lines[title].strip())}", ""]
            at = title + 2
        elif ((match := _DIRECTIVE.match(lines[at])) and match[1] in _CODE) or lines[at].rstrip().endswith(
            "::"
        ):
            before = "" if match else lines[at].rstrip().removesuffix("::").rstrip() + ":"
            at, code = _indented(lines, at + 1, len(lines[at]) - len(lines[at].lstrip()))
            out += [_roles(before)] if before.strip(" :") else []
            out += ["", f"```{match[2].strip() if match else ''}", *code, "```", ""] if code else []
        else:
            out.append(_roles(lines[at]))
            at += 1
    return re.sub(r"\n{3,}", "\n\n", "\n".join(out)).strip()


def _is_title(lines: list[str], at: int) -> bool:
    if at + 1 >= len(lines) or not lines[at].strip() or _RULE.match(lines[at]):
        return False
    return bool(_RULE.match(lines[at + 1])) and len(lines[at + 1].rstrip()) >= len(lines[at].strip())


def _roles(line: str) -> str:
    return _ROLE.sub(r"\1", line).replace("``", "`")


def _indented(lines: list[str], start: int, margin: int) -> tuple[int, list[str]]:
    """Return where the block indented deeper than `margin` ends, and its lines without the indent."""
    end = start
    while end < len(lines) and (
        not lines[end].strip() or len(lines[end]) - len(lines[end].lstrip()) > margin
    ):
        end += 1
    block = lines[start:end]
    indent = min((len(line) - len(line.lstrip()) for line in block if line.strip()), default=0)
    return end, "\n".join(line[indent:].rstrip() for line in block).strip("\n").split("\n") if any(
        block
    ) else []


def pdf(data: bytes) -> str:
    """Return the text layer of a PDF, page after page; a PDF keeps no headings."""
    from pypdf import PdfReader

    if b"%PDF-" not in data[:1024]:
        raise UnreadableFile("It is not a PDF.")
    reader = PdfReader(io.BytesIO(data))
    if reader.is_encrypted and not reader.decrypt(""):
        raise UnreadableFile("The PDF is encrypted; store it without a password.")
    text = "\n\n".join(page.extract_text().strip() for page in reader.pages)
    if not text.strip():
        raise UnreadableFile("The PDF has no text layer; run text recognition (OCR) on it first.")
    return text


def docx(data: bytes) -> str:
    """Return a Word document: headings by style, list items, paragraphs and tables in reading order."""
    from docx import Document
    from docx.table import Table

    if not zipfile.is_zipfile(io.BytesIO(data)):
        raise UnreadableFile("It is not a DOCX file.")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(member.file_size for member in archive.infolist()) > MAX_UNPACKED_BYTES:
            raise UnreadableFile("It unpacks to more than 200 MB.")
    blocks = []
    for block in Document(io.BytesIO(data)).iter_inner_content():
        if isinstance(block, Table):
            blocks.append(_table([[" ".join(cell.text.split()) for cell in row.cells] for row in block.rows]))
        elif block.text.strip():
            style = (block.style.name if block.style else None) or ""
            blocks.append(_docx_prefix(style) + block.text.strip())
    return "\n\n".join(blocks)


def _docx_prefix(style: str) -> str:
    if style == "Title":
        return "# "
    if match := re.fullmatch(r"Heading ([1-6])", style):
        return "#" * int(match[1]) + " "
    return "- " if style.startswith("List") else ""


EXTRACTORS: dict[str, tuple[str, Callable[[bytes], str]]] = {
    ".md": ("markdown", plain),
    ".markdown": ("markdown", plain),
    ".txt": ("text", plain),
    ".html": ("html", html),
    ".htm": ("html", html),
    ".rst": ("rst", rst),
    ".pdf": ("pdf", pdf),
    ".docx": ("docx", docx),
}
"""Format and text extraction by file name ending, lower case."""
