"""How a document becomes chunks: along its own structure, or filled with sentences up to a size.

Only text comes in and only chunks go out; reading files and embedding texts live in the resources. What the
structure is stands in `blocks`, which chunking is best on known queries in `sweep`.
"""

import hashlib
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from aiops_pipelines.rag.blocks import lines_with_whole_code, sections
from aiops_pipelines.rag.letters import Span, letters

STRUCTURE, SENTENCES, OVERLAPPING = "structure", "sentences", "overlapping"
VERSIONS = {STRUCTURE: "structure-2", SENTENCES: "sentences-1", OVERLAPPING: "overlapping-1"}
"""Strategy to version, which changes whenever the same text could be cut differently, so that old and new
chunk ids never meet.

structure: along headings, code, tables and lists. sentences: as many as fit, whatever the structure.
overlapping: the same, each chunk beginning with up to a fifth of the one before it.
"""
GONE = {"structure-1": STRUCTURE}
"""Versions of before: indexes that were cut by them are still named and served, and nothing more is cut."""
OVERLAP = 5

CHUNK_CHARACTERS = 600
"""About 90 words of prose, the size that did best where it was measured, with the default embedding model.

Share of marked passages found in 6,000 characters of retrieved context, 342 questions over four long
documents: 0.895 at 450 characters, 0.899 at 600, 0.903 at 750, 0.880 at 900, 0.861 at 1,200. On
documentation full of code, 0.1 % of the tokens lie past the 256 the model reads at 600 characters, 4 % at
750 and 9 % at 900: what lies past cannot be found.
"""

_LINES = re.compile(r"(?<=\n)")
# Ends of sentences, in Chinese and Japanese punctuation too.
_SENTENCES = re.compile(r"(?<=[.!?]\s)|(?<=[\u3002\uff01\uff1f])")
_WORDS = re.compile(r"(?<=\s)")
_Cut = Callable[[str], list[str]]
_BY_LINES: list[_Cut] = [_LINES.split, _SENTENCES.split, _WORDS.split]
_BOUNDARIES: dict[str, list[_Cut]] = {
    "text": [_SENTENCES.split, _LINES.split, _WORDS.split],
    "list": [lines_with_whole_code, *_BY_LINES],
}
"""Where a block is split, the first choice first; of other kinds by lines."""
_TERM = re.compile(r"\*\*[^\n*]+\*\*:?")
"""A line that names what stands below it."""
_NAME = re.compile(rf"({'|'.join([*VERSIONS.values(), *GONE])})(?:-(\d+))?")


@dataclass(frozen=True)
class Chunking:
    """How documents are cut; two of them never give the same chunk id. `gone` is a version of GONE."""

    characters: int = CHUNK_CHARACTERS
    strategy: str = STRUCTURE
    gone: str = ""

    @property
    def renewed(self) -> "Chunking":
        """The rules of today for the same strategy and size."""
        return Chunking(self.characters, self.strategy)

    @property
    def version(self) -> str:
        """The name of these rules, in every chunk id and index version; the size shows when it is not 600."""
        size = "" if self.characters == CHUNK_CHARACTERS else f"-{self.characters}"
        return f"{self.gone or VERSIONS[self.strategy]}{size}"

    @property
    def described(self) -> str:
        """These rules in words."""
        size = f"of {self.characters} characters"
        words = {STRUCTURE: f"chunks {size}", SENTENCES: f"chunks of sentences {size}"}
        return words.get(self.strategy, f"overlapping chunks of sentences {size}")

    @classmethod
    def named(cls, version: str) -> "Chunking":
        """Return the rules of a version: `sentences-1-900` cuts sentences into 900 characters.

        Raises:
            ValueError: no rules of this project have that name.
        """
        if not (match := _NAME.fullmatch(version)):
            known = ", ".join(VERSIONS.values())
            raise ValueError(
                f"No chunking is called {version!r}; give one of {known}, followed by - and its size for "
                f"another one than {CHUNK_CHARACTERS} characters."
            )
        strategies = {**{of_it: name for name, of_it in VERSIONS.items()}, **GONE}
        gone = match[1] if match[1] in GONE else ""
        return cls(int(match[2] or CHUNK_CHARACTERS), strategies[match[1]], gone)


BY_STRUCTURE = Chunking()


class Chunk(NamedTuple):
    """A piece of a document: its text, the headings above it, its order from 0 and the letters it holds."""

    chunk_id: str
    text: str
    heading: str
    position: int
    span: Span


def chunk_id(text: str, chunking: Chunking = BY_STRUCTURE) -> str:
    """Return the identity of a chunk's text: equal for texts that differ in white space or Unicode form only.

    Embedding models see no difference between such texts, so a re-wrapped paragraph is not embedded again.
    """
    return _identity(text.split(), chunking.version)


def chunk(text: str, chunking: Chunking = BY_STRUCTURE) -> list[Chunk]:
    """Cut Markdown-like text into chunks of at most `chunking.characters` characters, in reading order.

    By structure, headings start sections and no chunk crosses a section, so boundaries depend on the
    section's own text only; code blocks, tables and lists stay whole where they fit; paragraphs are packed
    together. No character other than white space is lost: but for overlaps, the chunks put together are the
    document.
    """
    by_structure = chunking.strategy == STRUCTURE
    pieces = _by_structure(text, chunking.characters) if by_structure else _by_sentences(text, chunking)
    version = chunking.version
    chunks: list[Chunk] = []
    end = 0
    for position, (heading, repeated, piece) in enumerate(pieces):
        words = piece.split()
        start = end - repeated
        end = start + sum(map(len, words))
        chunks.append(Chunk(_identity(words, version), piece, heading, position, (start, end)))
    return chunks


def _identity(words: list[str], version: str) -> str:
    text = " ".join(words)
    normalised = text if text.isascii() else unicodedata.normalize("NFC", text)
    return "c" + hashlib.sha256(f"{version}\n{normalised}".encode()).hexdigest()[:20]


def sentences(text: str, most: int) -> Iterator[str]:
    """Yield sentences with the white space after them, those longer than `most` in pieces."""
    for sentence in _SENTENCES.split(text):
        if len(sentence.rstrip()) <= most:
            yield sentence
        else:
            yield from (f"{piece} " for piece in _split(sentence, [_LINES.split, _WORDS.split], most))


def _by_structure(text: str, most: int) -> Iterator[tuple[str, int, str]]:
    """Yield (path of headings, letters repeated from the piece before, text); nothing is repeated."""
    for heading, blocks in sections(text):
        for piece in _pack(blocks, most):
            yield heading, 0, piece


def _by_sentences(text: str, chunking: Chunking) -> Iterator[tuple[str, int, str]]:
    """Yield (path of headings, letters repeated from the piece before, text)."""
    overlap = chunking.characters // OVERLAP if chunking.strategy == OVERLAPPING else 0
    starts, headings = [0], [""]
    for heading, blocks in sections(text):
        headings.append(heading)
        starts.append(starts[-1] + sum(len(letters(block)) for _, block in blocks))
    parts = sentences(text, chunking.characters)
    end = 0
    for repeated, piece in _filled(parts, chunking.characters, overlap):
        yield headings[bisect_right(starts[:-1], end - repeated)], repeated, piece
        end += len(letters(piece)) - repeated


def _filled(parts: Iterable[str], most: int, overlap: int) -> Iterator[tuple[int, str]]:
    """Yield (letters repeated, as many parts together as fit, the last ones of the piece before first)."""
    window: list[str] = []
    repeated, fresh = 0, False
    for part in parts:
        if fresh and len("".join([*window, part]).strip()) > most:
            yield repeated, "".join(window).strip()
            window = _last(window, overlap)
            while window and len("".join([*window, part]).strip()) > most:
                del window[0]
            repeated = len(letters("".join(window)))
        window.append(part)
        fresh = bool("".join(window).strip())
    if "".join(window).strip():
        yield repeated, "".join(window).strip()


def _last(parts: list[str], most: int) -> list[str]:
    """Return the last parts that fit into `most` characters together, never all of them."""
    kept = len(parts)
    while kept > 1 and sum(map(len, parts[kept - 1 :])) <= most:
        kept -= 1
    return parts[kept:]


def _pack(blocks: Iterable[tuple[str, str]], most: int) -> Iterator[str]:
    """Yield as many blocks together as fit; headings and terms at the end go with what stands below them."""
    packed, body = "", 0
    for kind, block in blocks:
        leads = kind == "heading" or (kind == "text" and _TERM.fullmatch(block))
        for piece in [block] if len(block) <= most else _split(block, _BOUNDARIES.get(kind, _BY_LINES), most):
            if packed and len(packed) + 2 + len(piece) > most:
                alone = not body or len(packed) - body + len(piece) > most
                yield packed if alone else packed[:body]
                packed, body = "" if alone else packed[body + 2 :], 0
            packed = f"{packed}\n\n{piece}" if packed else piece
            body = body if leads else len(packed)
    if packed:
        yield packed


def _split(text: str, boundaries: Sequence[_Cut], most: int) -> Iterator[str]:
    """Yield pieces of a block too long for one chunk, at the first kind of boundary that makes them fit."""
    if len(text) <= most:
        yield text
        return
    if not boundaries:
        yield from (text[at : at + most] for at in range(0, len(text), most))
        return
    piece = ""
    for part in boundaries[0](text):
        if piece and len(piece) + len(part.rstrip()) > most:
            yield from _split(piece.rstrip(), boundaries[1:], most)
            piece = ""
        piece += part
    if piece.strip():
        yield from _split(piece.rstrip(), boundaries[1:], most)
