"""Text and Markdown, and the decoding all text formats share."""

import re
from collections.abc import Iterable, Iterator

from aiops_pipelines.rag.blocks import end_of_fence
from aiops_pipelines.resources.unreadable import UnreadableFile

_ITEM = re.compile(r" *(?:-|\(?\w{1,4}[.)]) ")
_LITERAL = ("    ", "\t", ">")
"""How lines of indented code and of quotes begin."""
_TICKS = re.compile(r"`{3,}")
_EMBEDDED = re.compile(r"(data:[\w.+/-]{0,100};base64,)[\w+/=-]{40,}")


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


def markdown(data: bytes) -> str:
    """Return Markdown without what no reader of it sees: comments, and the bytes of pictures inside it."""
    return without_unseen(plain(data))


def mdx(data: bytes) -> str:
    """Return MDX without what no reader of it sees: the comments of its expressions too."""
    return _without(markdown(data), "{/*", "*/}")


def without_unseen(text: str) -> str:
    """Return Markdown without comments outside code, and with embedded data cut after its media type."""
    if ";base64," in text:
        text = _EMBEDDED.sub(r"\1", text)
    return _without(text, "<!--", "-->")


def _without(text: str, opens: str, closes: str) -> str:
    return "".join(_uncommented(text.split("\n"), opens, closes))[:-1] if opens in text else text


def _uncommented(lines: list[str], opens: str, closes: str) -> Iterator[str]:
    """Yield the text without comments; one that opens and never closes is text, as is one beside code."""
    last = max((at for at, line in enumerate(lines) if closes in line), default=-1)
    at, inside = 0, False
    while at < len(lines):
        if not inside and (end := end_of_fence(lines, at)):
            yield from (f"{line}\n" for line in lines[at:end])
            at = end
            continue
        line = lines[at]
        at += 1
        if inside:
            _, closed, line = line.partition(closes)
            if not closed:
                continue
        literal = "`" in line or line.startswith(_LITERAL)
        said = line if literal else _without_comments(line, opens, closes)
        text, opened, _ = said.partition(opens)
        inside = bool(opened) and not literal and at <= last
        yield text if inside else f"{said}\n"


def _without_comments(line: str, opens: str, closes: str) -> str:
    kept, at = "", 0
    while (start := line.find(opens, at)) >= 0 and (end := line.find(closes, start + len(opens))) >= 0:
        kept += line[at:start]
        at = end + len(closes)
    return kept + line[at:]


def together(blocks: Iterable[str]) -> str:
    """Return blocks as a text: the items of a list line after line, all others a line apart."""
    text, item = "", False
    for block in filter(None, blocks):
        was, item = item, bool(_ITEM.match(block))
        text += ("" if not text else "\n" if was and item else "\n\n") + block
    return text


def fence(code: str, language: str = "") -> str:
    """Return code as a Markdown block, or nothing where there is none."""
    marks = "`" * max(3, 1 + max(map(len, _TICKS.findall(code)), default=0))
    return f"{marks}{language}\n{code.rstrip()}\n{marks}" if code.strip() else ""


def indented(marker: str, text: str) -> str:
    """Return a list item whose later lines stand below its first word."""
    return f"{marker} " + re.sub(r"\n(?=[^\n])", "\n" + " " * (len(marker) + 1), text)


def table(rows: list[list[str]]) -> str:
    """Return rows of cells as a Markdown table; one without a word is nothing."""
    return "\n".join(f"| {' | '.join(row)} |" for row in rows if any(row))
