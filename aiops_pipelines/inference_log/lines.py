"""Raw log bytes: cut into complete numbered lines, and one line turned into a JSON value without surprises.

Opening files is `resources.log_folder`'s business.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import orjson

from aiops_pipelines.inference_log.record import RecordError

LINE_LIMIT = 10_000_000
"""Bytes of one logged call."""
DOCUMENT_LIMIT = 64_000_000
"""Bytes of one export request, or of a file that is one JSON document; the most that is held in memory."""
DEPTH_LIMIT = 64
CACHED_BYTES = 1 << 18
_NEWLINE = ord("\n")
NO_ROW = b"not a row of the table: "
"""Begins what a table holds in place of a row; the reason follows."""


@dataclass(frozen=True)
class Block:
    """Some lines as they lie in a log, each with its newline, the first of them numbered `first`.

    A `document` is one value that may go over several lines; it counts as one.
    """

    content: bytes
    first: int = 1
    document: bool = False

    @cached_property
    def lines(self) -> int:
        """How many lines there are, blank ones too."""
        return 1 if self.document else len(self.ends)

    @cached_property
    def ends(self) -> npt.NDArray[np.int64]:
        """Where each line ends, behind its newline; parts that a cache holds are looked at."""
        data = np.frombuffer(self.content, np.uint8)
        starts = range(0, max(len(data), 1), CACHED_BYTES)
        parts = [np.flatnonzero(data[at : at + CACHED_BYTES] == _NEWLINE) + (at + 1) for at in starts]
        return np.concatenate(parts)

    def numbered(self) -> list[tuple[int, bytes]]:
        """Return the lines with their numbers, without newlines and blank lines."""
        if self.document:
            return [(self.first, self.content)]
        lines = enumerate(self.content.split(b"\n"), self.first)
        return [line for line in lines if line[1] and not line[1].isspace()]

    @classmethod
    def of(cls, lines: Sequence[bytes], first: int = 1) -> "Block":
        """Return a block of lines that hold no newline."""
        return cls(b"".join(part for line in lines for part in (line, b"\n")), first)


class Lines:
    """The complete lines of a stream of byte pieces, in blocks; what is left at the end is `torn`.

    A last line without its newline is complete if it is a whole JSON object: no part of one is. A line longer
    than `limit` is given as its first `limit` + 1 bytes, so that memory stays flat and the importer can say
    that it is too long. Blank lines are numbered. With `every`, a block also ends behind each so many lines.
    """

    def __init__(
        self, pieces: Iterable[bytes], first: int = 1, limit: int = DOCUMENT_LIMIT, every: int | None = None
    ):
        self._pieces, self._limit, self.number = pieces, limit, first - 1
        self._every, self._before = every, first - 1
        self._held = bytearray()
        self._waiting = 0
        self.bytes_read = 0

    def blocks(self) -> Iterator[Block]:
        """Yield the lines that end in each piece, and the last one."""
        for piece in self._pieces:
            end = piece.rfind(b"\n") + 1
            if end:
                size = self._waiting + end
                content = self._whole(memoryview(piece)[:end])
                self.bytes_read += size - len(content)  # what was cut off the first line
                for block in self._cut(Block(content, self.number + 1)):
                    self.bytes_read += len(block.content)
                    self.number += block.lines
                    yield block
                self._held.clear()
                self._waiting = 0
            self._hold(piece[end:])
        if is_object(self.torn):
            last = Block.of([self.torn], self.number + 1)
            self.bytes_read += self._waiting
            self.number += 1
            self._held.clear()
            self._waiting = 0
            yield last

    def _cut(self, block: Block) -> Iterator[Block]:
        """Yield the block, in parts where so many lines end."""
        every = self._every or block.lines
        start = line = 0
        for last in range(every - (self.number - self._before) % every, block.lines, every):
            end = int(block.ends[last - 1])
            yield Block(block.content[start:end], block.first + line)
            start, line = end, last
        yield Block(block.content[start:], block.first + line) if start else block

    def _whole(self, ended: memoryview) -> bytes:
        """Return lines that end, with what was held of the first, none of them longer than the limit."""
        if self._waiting + len(ended) <= self._limit:
            return b"".join((self._held, ended))
        lines = bytes(ended).split(b"\n")[:-1]
        self._hold(lines[0])
        return Block.of([bytes(self._held), *(line[: self._limit + 1] for line in lines[1:])]).content

    @property
    def torn(self) -> bytes:
        """The last line while it is incomplete, cut at the limit."""
        return bytes(self._held)

    @property
    def waiting_bytes(self) -> int:
        """Length of the last line while it is incomplete."""
        return self._waiting

    def _hold(self, part: bytes) -> None:
        self._waiting += len(part)
        self._held += part[: max(self._limit + 1 - len(self._held), 0)]


def is_document(opening: bytes) -> bool:
    """Return whether a .json file is one document, given its opening: its first line is no complete value.

    A file of a single line is a document too; one whose first line stands for itself holds a value a line.
    """
    first, newline, rest = opening.lstrip().partition(b"\n")
    try:
        parse(first, DOCUMENT_LIMIT)
    except RecordError:
        return True
    return not newline or not rest.strip()


def is_object(raw: bytes) -> bool:
    """Return whether a line is a JSON object or list from its first to its last byte."""
    try:
        return isinstance(parse(raw, DOCUMENT_LIMIT), dict | list)
    except RecordError:
        return False


def parse(raw: bytes, limit: int = LINE_LIMIT) -> Any:
    """Return the JSON value of a line.

    Raises:
        RecordError: too long, not UTF-8, not JSON, nested deeper than 64, a key twice, NaN or infinity.
    """
    if len(raw) > limit:
        raise RecordError(f"The line is longer than {limit // 1_000_000} MB.")
    try:
        value = orjson.loads(raw)
        written = orjson.dumps(value, option=orjson.OPT_INDENT_2)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return _strictly(raw)
    plain = _DEEP not in written and not isinstance(value, float) and _is_whole(raw, written)
    return value if plain else _strictly(raw)


def _is_whole(raw: bytes, written: bytes) -> bool:
    """Say whether nothing of a line was lost: it has as many colons again, so no key stood twice.

    An escaped colon could stand for a lost one. An integer of more than 64 bits would have become a float.
    """
    digits = raw.translate(_DIGITS)
    return (
        raw.count(b":") == written.count(b":")
        and b"\\u003a" not in raw
        and b"\\u003A" not in raw
        and b":" + _LONG not in digits
        and b"-" + _LONG[1:] not in digits
    )


def _strictly(raw: bytes) -> Any:
    """Return the value of a line that must be looked at more closely, which takes ten times as long."""
    try:
        value = _DECODER.decode(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise RecordError(f"The line is not UTF-8 (byte {error.start + 1}).") from error
    except json.JSONDecodeError as error:
        if raw.startswith(NO_ROW):
            reason = raw.removeprefix(NO_ROW).partition(b":")[0].decode()
            raise RecordError(f"The line is {NO_ROW.decode()}{reason}.") from error
        raise RecordError(f"The line is not JSON ({error.msg} at character {error.pos + 1}).") from error
    except RecursionError as error:
        raise RecordError(f"The line is nested deeper than {DEPTH_LIMIT} levels.") from error
    except RecordError:
        raise
    except ValueError as error:
        raise RecordError("The line holds a number of thousands of digits.") from error
    if depth(value) > DEPTH_LIMIT:
        raise RecordError(f"The line is nested deeper than {DEPTH_LIMIT} levels.")
    return value


def depth(value: Any) -> int:
    """Return how many lists and objects lie inside each other: `depth({"a": [1]})` is 2."""
    level, inner = 0, [value]
    while inner := [part for part in inner if isinstance(part, dict | list)]:
        level += 1
        inner = [child for part in inner for child in (part.values() if isinstance(part, dict) else part)]
    return level


def _not_a_number(constant: str) -> NoReturn:
    raise RecordError(f"The line holds {constant}, which is not JSON and not a number.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise RecordError("The line holds the same key twice, so its meaning depends on the reader.")
    return found


_DEEP = b"\n" + b"  " * DEPTH_LIMIT
"""Indentation of what lies within as many lists and objects as may be, or more."""
_LONG = b"0" * 20
_DIGITS = bytes.maketrans(b"123456789,[ \t\r\n", b"0" * 9 + b":" * 6)
"""Makes each digit a 0, and what may stand before a number a colon."""
_DECODER = json.JSONDecoder(parse_constant=_not_a_number, object_pairs_hook=_object)
