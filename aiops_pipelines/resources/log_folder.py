"""Log files on disk: which there are, and their lines in pieces of bounded size.

What to read of a file is decided by `inference_log.reading`, what the lines mean by the importers.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from aiops_pipelines.inference_log.lines import DOCUMENT_LIMIT, Block, Lines, is_document
from aiops_pipelines.inference_log.reading import HEAD_BYTES, LogFile, Reading, ReadPlan
from aiops_pipelines.mendable import Mendable
from aiops_pipelines.resources import packed, tabular

LINES = (".jsonl", ".ndjson")
SUFFIXES = (*packed.with_packed((*LINES, ".json")), *tabular.SUFFIXES)
PIECE_BYTES, JOINED_BYTES = 16_000_000, 64_000_000
"""Bytes of a piece: of lines that stand alone, and of lines that belong together, as spans of a trace do.

Each piece costs some 15 ms, however short it is.
"""


CLOSED = "it cannot be listed ({}); let this user list it"


class LogFolderError(Mendable, ValueError):
    """The log folder cannot be used; the message says what to change."""


@dataclass(frozen=True)
class Piece:
    """Some complete lines of a file, and how far it is read with them."""

    block: Block
    reading: Reading

    @property
    def lines(self) -> list[tuple[int, bytes]]:
        """The lines with their numbers, without blank ones."""
        return self.block.numbered()

    def after(self, reading: Reading) -> Reading:
        """Return how far the file is read with these lines, over the counts of the pieces before."""
        return replace(
            reading,
            file=self.reading.file,
            bytes_read=self.reading.bytes_read,
            waiting_bytes=self.reading.waiting_bytes,
            lines_read=self.reading.lines_read,
        )


@dataclass(frozen=True)
class LogFolder:
    """The folder a system's inference logs land in."""

    path: Path

    def files(self) -> tuple[list[LogFile], dict[str, str]]:
        """Return the log files by name, and why others that look like log files are left alone.

        A folder inside that cannot be listed is named with a / at its end.

        Raises:
            LogFolderError: there is no such folder, or it cannot be listed.
        """
        files: list[LogFile] = []
        refused: dict[str, str] = {}
        found, root = self._found(refused), self.path.resolve()
        for path in found:
            name = path.relative_to(self.path).as_posix()
            try:
                if not path.resolve(strict=True).is_relative_to(root):
                    refused[name] = "it is a link that leads out of the log folder"
                elif path.is_file():
                    files.append(_file(path, name))
            except (OSError, RuntimeError) as error:
                refused[name] = f"it cannot be read ({type(error).__name__})"
        return files, refused

    def _found(self, refused: dict[str, str]) -> list[Path]:
        def closed(error: OSError) -> None:
            if (folder := Path(error.filename)) != self.path:
                refused[f"{folder.relative_to(self.path).as_posix()}/"] = CLOSED.format(error.strerror)
            elif isinstance(error, FileNotFoundError | NotADirectoryError):
                raise LogFolderError(
                    f"There is no log folder {self.path.name}; create it or correct the path."
                ) from error
            else:
                said = f"The log folder {self.path.name} is not read: {CLOSED.format(error.strerror)}."
                raise LogFolderError(said) from error

        return sorted(
            Path(folder, name)
            for folder, folders, names in os.walk(self.path, onerror=closed)
            for name in (*folders, *names)
            if name.endswith(SUFFIXES)
        )

    def file(self, path: Path) -> LogFile:
        """Return a file that lies anywhere, named from the log folder or, outside of it, by its whole path.

        Raises:
            OSError: the file is not there or cannot be read.
        """
        whole, root = path.resolve(strict=True), self.path.resolve()
        return _file(whole, (whole.relative_to(root) if whole.is_relative_to(root) else whole).as_posix())

    def pieces(
        self,
        plan: ReadPlan,
        reading: Reading,
        piece_bytes: int = JOINED_BYTES,
        portion_lines: int | None = None,
    ) -> Iterator[Piece]:
        """Yield the lines the plan asks for, about `piece_bytes` of them at a time.

        With `portion_lines`, a piece also ends with each so many lines, where lines stand alone.
        The last piece may be without lines: it says where the file ends and how much of a torn line waits.
        A newline that came after a line was read ends that line and is none.
        What is appended while reading is left for the next time.

        Raises:
            OSError: the file cannot be read, or its compression is damaged; one that is cut short is not.
        """
        if plan.action == "skip":
            return
        file = reading.file
        if file.name.endswith(tabular.SUFFIXES):
            yield from _table(self.path / file.name, reading)
            return
        with packed.opened(self.path / file.name) as stream:
            start = _after_newline(stream, plan.offset)
            size = None if file.compressed else max(file.size_bytes - start, 0)
            chunks = _chunks(stream, size, piece_bytes)
            if not packed.unpacked_name(file.name).endswith(LINES):
                opening = _opening(chunks)
                if is_document(opening):
                    yield _document(chain([opening], chunks), reading)
                    return
                chunks = chain([opening], chunks)
            lines = Lines(chunks, plan.lines_read + 1, every=portion_lines)
            yield from _lines(lines, start, reading)


def _file(path: Path, name: str) -> LogFile:
    stat = path.stat()
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    grows, is_packed = name.endswith(LINES), name.endswith(packed.ENDINGS)
    return LogFile(name, stat.st_size, stat.st_mtime_ns, head, grows, is_packed)


def _after_newline(stream: packed.Stream, offset: int) -> int:
    """Go to where reading goes on, and return it: past the newline of a line that was read without one."""
    if not offset:
        return 0
    stream.seek(offset - 1)
    before, after = packed.part(stream, 1), packed.part(stream, 2)
    if before != b"\n":
        offset += 1 if after[:1] == b"\n" else 2 if after == b"\r\n" else 0
    return stream.seek(offset)


def _opening(chunks: Iterator[bytes]) -> bytes:
    """Return the start of a file up to the chunk in which its first line ends."""
    opening = bytearray()
    for chunk in chunks:
        opening += chunk
        if b"\n" in chunk or len(opening) > DOCUMENT_LIMIT:
            break
    return bytes(opening)


def _chunks(stream: packed.Stream, size: int | None, most: int) -> Iterator[bytes]:
    """Yield `size` bytes of the stream, `most` at a time; a compressed file that ends early ends here."""
    ended = False
    while not ended:
        parts: list[bytes] = []
        wanted = most if size is None else min(most, size)
        while wanted > 0 and not ended:
            part = packed.part(stream, wanted)
            ended = not part
            parts.append(part)
            wanted -= len(part)
        chunk = b"".join(parts)
        size = size and size - len(chunk)
        ended |= size == 0
        if chunk:
            yield chunk


def _lines(lines: Lines, start: int, reading: Reading) -> Iterator[Piece]:
    def so_far(waiting_bytes: int = 0) -> Reading:
        read = start + lines.bytes_read
        return replace(reading, bytes_read=read, lines_read=lines.number, waiting_bytes=waiting_bytes)

    held, reading_held = Block(b""), so_far()
    for block in lines.blocks():
        if held.content:
            yield Piece(held, _unfinished(reading_held))
        held, reading_held = block, so_far()
    yield Piece(held, so_far(lines.waiting_bytes))


def _unfinished(reading: Reading) -> Reading:
    """Describe the file as if it ended here, so that it counts as grown if reading goes no further."""
    return replace(reading, file=replace(reading.file, size_bytes=reading.bytes_read, modified_ns=0))


def _table(path: Path, reading: Reading) -> Iterator[Piece]:
    """Yield the rows of a table; it counts as read with its last row."""
    number = 0
    for rows in tabular.table_lines(path):
        block = Block.of(rows, number + 1)
        number += len(rows)
        yield Piece(block, _unfinished(replace(reading, lines_read=number)))
    yield Piece(Block(b""), replace(reading, bytes_read=reading.file.size_bytes, lines_read=number))


def _document(chunks: Iterator[bytes], reading: Reading) -> Piece:
    content, size = bytearray(), 0
    for chunk in chunks:
        size += len(chunk)
        content += chunk[: max(DOCUMENT_LIMIT + 1 - len(content), 0)]
    block = Block(bytes(content), document=True) if content.strip() else Block(b"")
    return Piece(block, replace(reading, bytes_read=size, lines_read=int(block.document)))
