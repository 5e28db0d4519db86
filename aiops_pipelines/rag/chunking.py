"""How a document becomes chunks: along its own structure, so that an edit stays local.

Only text comes in and only chunks go out; reading files and embedding texts live in the resources.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

STRUCTURE = "structure-1"
"""Changes whenever the same text could be cut differently, so that old and new chunk ids never meet."""

CHUNK_CHARACTERS = 600
"""About 90 words of prose, the size that did best where it was measured, with the default embedding model.

Share of marked passages found in 6,000 characters of retrieved context, 342 questions over four long
documents: 0.895 at 450 characters, 0.899 at 600, 0.903 at 750, 0.880 at 900, 0.861 at 1,200. On
documentation full of code, 0.1 % of the tokens lie past the 256 the model reads at 600 characters, 4 % at
750 and 9 % at 900: what lies past cannot be found.
"""

_FENCE = re.compile(r"\s*(`{3,}(?=[^`]*$)|~{3,})")
_HEADING = re.compile(r"(#{1,6})(?![^ \t])(.*)")
_UNDERLINE = re.compile(r"(=+|-{3,})\s*$")
_ITEM = re.compile(r"\s*([-*+]|\d{1,9}[.)])\s+\S")
_ANCHOR = re.compile(r" ?(\{ ?#[^{}]*\}|#+)$")
_FIRST_LINE = 500
_LINES = re.compile(r"(?<=\n)")
# Ends of sentences, in Chinese and Japanese punctuation too.
_SENTENCES = re.compile(r"(?<=[.!?]\s)|(?<=[\u3002\uff01\uff1f])")
_WORDS = re.compile(r"(?<=\s)")
_BOUNDARIES = [_LINES, _SENTENCES, _WORDS], [_SENTENCES, _LINES, _WORDS]
"""Where a block is split, the first choice first: one of another kind, and one of text."""


@dataclass(frozen=True)
class Chunking:
    """How documents are cut; two of them never give the same chunk id."""

    characters: int = CHUNK_CHARACTERS

    @property
    def version(self) -> str:
        """The name of these rules, in every chunk id and index version; the size shows when it is not 600."""
        size = "" if self.characters == CHUNK_CHARACTERS else f"-{self.characters}"
        return f"{STRUCTURE}{size}"


BY_STRUCTURE = Chunking()


@dataclass(frozen=True)
class Chunk:
    """A piece of a document: its text, the headings above it and its order in the document, from 0."""

    chunk_id: str
    text: str
    heading: str
    position: int


def chunk_id(text: str, chunking: Chunking = BY_STRUCTURE) -> str:
    """Return the identity of a chunk's text: equal for texts that differ in white space or Unicode form only.

    Embedding models see no difference between such texts, so a re-wrapped paragraph is not embedded again.
    """
    return _identity(text, chunking.version)


def chunk(text: str, chunking: Chunking = BY_STRUCTURE) -> list[Chunk]:
    """Cut Markdown-like text into chunks of at most `chunking.characters` characters, in reading order.

    Headings start sections and no chunk crosses a section, so boundaries depend on the section's own text
    only. Code blocks, tables and lists stay whole where they fit; paragraphs are packed together. No
    character other than white space is lost: the chunks put together are the document.
    """
    version = chunking.version
    return [
        Chunk(_identity(piece, version), piece, heading, position)
        for position, (heading, piece) in enumerate(
            (heading, piece)
            for heading, blocks in _sections(text)
            for piece in _pack(blocks, chunking.characters)
        )
    ]


def _identity(text: str, version: str) -> str:
    normalised = " ".join((text if text.isascii() else unicodedata.normalize("NFC", text)).split())
    return "c" + hashlib.sha256(f"{version}\n{normalised}".encode()).hexdigest()[:20]


def title(text: str) -> str | None:
    """Return the words of the first heading, or nothing where there is none."""
    first = _lines(text[:_FIRST_LINE])[0]
    if len(first) < _FIRST_LINE and _HEADING.match(first):  # as most do, so the rest need not be cut
        return _title(first)[1]
    return next((_title(block)[1] for kind, block in _blocks(_lines(text)) if kind == "heading"), None)


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _sections(text: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield (path of headings, blocks); headings without a body open the section that follows them."""
    path: dict[int, str] = {}
    section: list[tuple[str, str]] = []
    for kind, block in _blocks(_lines(text)):
        if kind == "heading":
            if any(earlier != "heading" for earlier, _ in section):
                yield " > ".join(filter(None, path.values())), section
                section = []
            level, title = _title(block)
            path = {above: name for above, name in path.items() if above < level} | {level: title}
        section.append((kind, block))
    if section:
        yield " > ".join(filter(None, path.values())), section


def _title(block: str) -> tuple[int, str]:
    """Return level and words of a heading: `## Setup {#setup}` is (2, "Setup")."""
    if match := _HEADING.match(block):
        return len(match[1]), _ANCHOR.sub("", " ".join(match[2].split()))
    words, line = block.split("\n")
    return 1 if line.startswith("=") else 2, words.strip()


def _blocks(lines: list[str]) -> Iterator[tuple[str, str]]:
    start, last = 0, len(lines)
    while start < last:
        if not lines[start].strip():
            start += 1
            continue
        kind = _kind(lines, start)
        end = _end(kind, lines, start)
        yield kind, "\n".join(lines[start:end]).rstrip()
        start = end


def _kind(lines: list[str], at: int) -> str:
    """Return the kind of block a line starts; a pattern is tried only where the first character fits."""
    line = lines[at]
    first = line.lstrip()[:1]
    if first == "#" and _HEADING.match(line):
        return "heading"
    if (first in ("`", "~") and _FENCE.match(line)) or (at == 0 and line == "---" and "---" in lines[1:]):
        return "code"
    if first == "|":
        return "table"
    if (first in ("-", "*", "+") or first.isdecimal()) and _ITEM.match(line):
        return "list"
    below = lines[at + 1] if at + 1 < len(lines) else ""
    underlined = below[:1] in ("=", "-") and _UNDERLINE.match(below) and not line.startswith((" ", "---"))
    return "heading" if underlined else "text"


def _end(kind: str, lines: list[str], start: int) -> int:
    """Return the index of the first line after the block that begins at `start`."""
    if kind == "heading":
        return start + (1 if _HEADING.match(lines[start]) else 2)
    if kind == "code":
        return _end_of_code(lines, start)
    end = start + 1
    while end < len(lines) and _continues(kind, lines, end):
        end += 1
    return end


def _end_of_code(lines: list[str], start: int) -> int:
    match = _FENCE.match(lines[start])
    fence = match[1] if match else "---"
    for at in range(start + 1, len(lines)):
        line = lines[at].strip()
        if len(line) >= len(fence) and not line.strip(fence[0]):
            return at + 1
    return len(lines)


def _continues(kind: str, lines: list[str], at: int) -> bool:
    if kind == "list":
        if not lines[at].strip():
            following = next((line for line in lines[at + 1 : at + 3] if line.strip()), "")
            return following.startswith((" ", "\t")) or bool(_ITEM.match(following))
        return lines[at].startswith((" ", "\t")) or _kind(lines, at) in ("list", "text")
    return bool(lines[at].strip()) and _kind(lines, at) == kind


def _pack(blocks: Iterable[tuple[str, str]], most: int) -> Iterator[str]:
    packed = ""
    for kind, block in blocks:
        for piece in [block] if len(block) <= most else _split(block, _BOUNDARIES[kind == "text"], most):
            if packed and len(packed) + 2 + len(piece) > most:
                yield packed
                packed = ""
            packed = f"{packed}\n\n{piece}" if packed else piece
    if packed:
        yield packed


def _split(text: str, boundaries: list[re.Pattern[str]], most: int) -> Iterator[str]:
    """Yield pieces of a block too long for one chunk, at the first kind of boundary that makes them fit."""
    if len(text) <= most:
        yield text
        return
    if not boundaries:
        yield from (text[at : at + most] for at in range(0, len(text), most))
        return
    piece = ""
    for part in boundaries[0].split(text):
        if piece and len(piece) + len(part.rstrip()) > most:
            yield from _split(piece.rstrip(), boundaries[1:], most)
            piece = ""
        piece += part
    if piece.strip():
        yield from _split(piece.rstrip(), boundaries[1:], most)
