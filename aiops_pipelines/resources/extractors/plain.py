"""Text and Markdown, and the decoding all text formats share."""

import re
from collections.abc import Iterable

from aiops_pipelines.resources.unreadable import UnreadableFile

_ITEM = re.compile(r" *(?:-|\(?\w{1,4}[.)]) ")


def plain(data: bytes) -> str:
    """Return text as it is: UTF-8, without byte order mark, with Unix line ends."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UnreadableFile("It is UTF-16 text; save the file as UTF-8.")
    if b"\0" in data:
        raise UnreadableFile("It holds binary data, not text.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"Byte {error.start} is not valid UTF-8; save the file as UTF-8.") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def together(blocks: Iterable[str]) -> str:
    """Return blocks as a text: the items of a list line after line, all others a line apart."""
    text, item = "", False
    for block in filter(None, blocks):
        was, item = item, bool(_ITEM.match(block))
        text += ("" if not text else "\n" if was and item else "\n\n") + block
    return text


def fence(code: str, language: str = "") -> str:
    """Return code as a Markdown block, or nothing where there is none."""
    marks = "````" if "```" in code else "```"
    return f"{marks}{language}\n{code.rstrip()}\n{marks}" if code.strip() else ""


def indented(marker: str, text: str) -> str:
    """Return a list item whose later lines stand below its first word."""
    return f"{marker} " + re.sub(r"\n(?=[^\n])", "\n" + " " * (len(marker) + 1), text)


def table(rows: list[list[str]]) -> str:
    """Return rows of cells as a Markdown table; one without a word is nothing."""
    return "\n".join(f"| {' | '.join(row)} |" for row in rows if any(row))
