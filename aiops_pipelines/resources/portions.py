"""Pieces of a log that are understood already, put together to portions that are worth a transaction."""

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from aiops_pipelines.inference_log.lines import Block
from aiops_pipelines.inference_log.plain_calls import PlainCalls
from aiops_pipelines.inference_log.record import Batch
from aiops_pipelines.resources.log_folder import Piece

PORTION_LINES, PORTION_BYTES = 122_880, 300_000_000
"""Lines, and bytes of them, of a portion at most. So many rows are a row group of DuckDB: one of exactly
so many is moved into the table, one of fewer is written twice, for 1.25 times the CPU time."""
PIECES_AHEAD = 4
T = TypeVar("T")


@dataclass(frozen=True)
class Understood:
    """What the lines of a piece hold; of the piece itself only how far the file is read with it is kept."""

    piece: Piece
    batch: Batch
    calls: PlainCalls
    lines: int
    bytes: int

    @classmethod
    def of(cls, piece: Piece, batch: Batch, calls: PlainCalls) -> "Understood":
        """Return what a piece holds, without its bytes."""
        return cls(
            Piece(Block(b""), piece.reading), batch, calls, piece.block.lines, len(piece.block.content)
        )

    @classmethod
    def together(cls, parts: list["Understood"]) -> "Understood":
        """Return pieces that follow one another as one."""
        return cls(
            parts[-1].piece,
            Batch.together([part.batch for part in parts]),
            PlainCalls.together([part.calls for part in parts]),
            sum(part.lines for part in parts),
            sum(part.bytes for part in parts),
        )


class Portions:
    """Portions of at least a piece; what stands before an error of reading is a portion too."""

    def __init__(self, pieces: Iterator[Understood]):
        self._pieces = pieces

    def __iter__(self) -> Iterator[Understood]:
        held: list[Understood] = []
        try:
            for part in self._pieces:
                if held and not _fits([*held, part]):
                    together, held = Understood.together(held), []
                    yield together
                    del together
                held.append(part)
        except OSError:
            if held:
                yield Understood.together(held)
            raise
        if held:
            yield Understood.together(held)


def _fits(parts: list[Understood]) -> bool:
    lines, size = sum(part.lines for part in parts), sum(part.bytes for part in parts)
    return lines <= PORTION_LINES and size <= PORTION_BYTES


def ahead(items: Iterator[T], most: int = PIECES_AHEAD) -> Generator[T, None, None]:
    """Yield the items, while the next ones are made in a thread."""
    with ThreadPoolExecutor(1) as pool:
        waiting = deque(pool.submit(next, items, None) for _ in range(most))
        try:
            while (item := waiting.popleft().result()) is not None:
                waiting.append(pool.submit(next, items, None))
                yield item
        finally:
            pool.shutdown(cancel_futures=True)
