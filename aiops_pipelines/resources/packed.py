"""Files as they lie there or packed by gzip or Zstandard, which their names end with."""

import gzip
import io
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import zstandard

ENDINGS = (".gz", ".zst")
PACKED_BYTES = 2_048
"""Taken of a Zstandard file at a time: hostile ones unpack 32,000 times as many."""
DAMAGED = (zlib.error, gzip.BadGzipFile, zstandard.ZstdError)
Stream = gzip.GzipFile | io.BufferedReader


def with_packed(endings: Iterable[str]) -> tuple[str, ...]:
    """Return the endings of file names, each also as a packed file has it."""
    return tuple(ending + packed for ending in endings for packed in ("", *ENDINGS))


def unpacked_name(name: str) -> str:
    """Return the name that a file has when it is unpacked."""
    return name.removesuffix(".gz").removesuffix(".zst")


def opened(path: Path) -> Stream:
    """Return the unpacked bytes of a file; reading one that is cut short ends with an EOFError.

    Raises:
        OSError: it is not there or cannot be read, then or later.
    """
    if path.name.endswith(".gz"):
        return gzip.open(path, "rb")
    stream = path.open("rb")
    return io.BufferedReader(_Zstandard(stream)) if path.name.endswith(".zst") else stream


def part(stream: Stream, most: int) -> bytes:
    """Return some of the next bytes, none at the end; a packed file that is cut short ends where it is cut.

    Raises:
        OSError: the file cannot be read, or is packed and damaged.
    """
    try:
        return stream.read1(most)
    except EOFError:
        return b""
    except DAMAGED as error:
        raise OSError("the compressed file is damaged; replace it by a whole one") from error


class _Zstandard(io.RawIOBase):
    """Frames one after the other; zstandard's own reader does not tell a file that is cut short."""

    def __init__(self, file: io.BufferedReader):
        self._file = file
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._rest, self._ready = b"", b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            if not (taken := self._rest or self._file.read(PACKED_BYTES)):
                if self._frame:
                    raise EOFError("the file ends within a frame")
                return 0
            self._frame = self._frame or zstandard.ZstdDecompressor().decompressobj()
            self._ready, self._rest = self._frame.decompress(taken), b""
            if self._frame.eof:
                self._rest, self._frame = self._frame.unused_data, None
        given = self._ready[: len(buffer)]
        buffer[: len(given)] = given
        self._ready = self._ready[len(given) :]
        return len(given)

    def close(self) -> None:
        self._file.close()
        super().close()
