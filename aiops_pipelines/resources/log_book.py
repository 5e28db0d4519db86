"""Log files read into the warehouse: each call once, what cannot be understood set aside, both counted.

How a file is cut is `log_folder`'s business, what a line means the importer's, what a batch holds that is new
is `inference_log.ingestion`'s. Lines are understood in a thread of their own, while those before are stored.
"""

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import polars as pl

from aiops_pipelines.inference_log.formats import importer
from aiops_pipelines.inference_log.ingestion import Landing, land
from aiops_pipelines.inference_log.late import feedback_rows, trace_rows
from aiops_pipelines.inference_log.lines import Block
from aiops_pipelines.inference_log.plain_calls import LINE, PLAIN, PlainCalls, plain_calls
from aiops_pipelines.inference_log.reading import LogFile, Reading, begin, plan
from aiops_pipelines.inference_log.record import Batch
from aiops_pipelines.inference_log.source import Source
from aiops_pipelines.resources.json_lines import parsed_lines
from aiops_pipelines.resources.log_folder import JOINED_BYTES, PIECE_BYTES, LogFolder, Piece
from aiops_pipelines.resources.people import knowing_erased
from aiops_pipelines.resources.portions import PORTION_LINES, Portions, Understood, ahead
from aiops_pipelines.resources.tokenizer import count_tokens
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.resources.writer import Writer

INFERENCES, QUARANTINE, LOG_FILES = (
    "inference_log.inferences",
    "inference_log.quarantine",
    "inference_log.log_files",
)
FEEDBACK, TRACES = "inference_log.feedback", "inference_log.traces"
JOINED_LINES = 250_000
"""Lines that are understood together at most: of a span's length they are more than `JOINED_BYTES`, and a
file of lines like {} takes 2 KB of memory for each."""
ROWS_AT_ONCE = 61_440
"""Rows handed to DuckDB at a time: they are copied on the way."""


class LogBook:
    """The stored log of one system.

    A folder's files are listed with `listed`, files that lie anywhere with `given`; then each is read with
    `read`, which yields a landing for every piece that is stored. Counts of the run are a `Tally` of them.
    """

    def __init__(self, warehouse: Warehouse, folder: LogFolder, source: Source):
        self._warehouse, self._folder = warehouse, folder
        self._source = knowing_erased(warehouse, source)
        self._seen = {
            row["source_file"]: row
            for row in warehouse.rows(LOG_FILES, system=source.system).rows(named=True)
        }

    def listed(self) -> tuple[list[LogFile], list[str]]:
        """Return the folder's log files and what is wrong with the folder, in sentences.

        Raises:
            LogFolderError: there is no such folder, or it cannot be listed.
        """
        files, refused = self._folder.files()
        closed = tuple(name for name in refused if name.endswith("/"))
        problems = [f"{name} is not read: {reason}." for name, reason in refused.items()]
        if not files and not closed:
            name = self._folder.path.name
            problems.append(f"The log folder {name} holds no log file yet; let the application write there.")
        within = {name for name in self._seen if not Path(name).is_absolute()}
        problems += (
            f"{missing} was read before and is gone; its calls stay stored. Restore it if it is needed."
            for missing in sorted(within - {file.name for file in files} - refused.keys())
            if not missing.startswith(closed)
        )
        return files, problems

    def given(self, paths: Iterable[Path]) -> list[LogFile]:
        """Return files that lie anywhere; one outside the log folder is named by its whole path.

        Raises:
            OSError: a file is not there or cannot be read.
        """
        return [self._folder.file(path) for path in paths]

    def place(self, file: LogFile) -> Path:
        """Return where a file lies."""
        return self._folder.path / file.name

    def unchanged(self, file: LogFile) -> int:
        """Return how many stored calls came of a file that has not changed since it was read, else 0."""
        seen = self._seen.get(file.name)
        return seen["rows_stored"] + seen["rows_known"] if seen and plan(file, seen).action == "skip" else 0

    def read(self, file: LogFile) -> Iterator[Landing]:
        """Store what is new in a file; yield what came of each portion, when it is stored.

        Raises:
            OSError: the file cannot be read; what was yielded before stays stored.
        """
        seen = self._seen.get(file.name)
        read_plan = plan(file, seen)
        if read_plan.action == "skip":
            return
        reading = begin(file, read_plan, seen)
        stored = self._warehouse.rows(QUARANTINE, system=self._source.system, source_file=file.name)
        aside = set(stored["line_hash"])
        alone = self._source.format == "aiops_jsonl"
        cut = (PIECE_BYTES, PORTION_LINES) if alone else (JOINED_BYTES, JOINED_LINES)
        with closing(ahead(self._understood(self._folder.pieces(read_plan, reading, *cut)))) as pieces:
            for portion in Portions(pieces):
                landing = self._store(portion, portion.piece.after(reading), aside)
                [self._seen[file.name]] = landing.log_file.rows(named=True)
                reading = landing.reading
                del portion  # hundreds of megabytes of rows, while the next ones come in
                yield landing
                del landing

    def _understood(self, pieces: Iterator[Piece]) -> Iterator[Understood]:
        read = importer(self._source.format, self._source.mapping)
        seen: set[str] = set()
        for piece in pieces:
            by_line = self._source.format != "aiops_jsonl" or piece.block.document
            plain, rest = (PlainCalls.together([]), piece.lines) if by_line else by_column(piece.block, seen)
            batch = read(rest, count_tokens)
            calls = plain.beside(batch.records)
            yield Understood.of(piece, replace(batch, records=[]), calls)

    def _store(self, portion: Understood, reading: Reading, aside: set[str]) -> Landing:
        system, calls = self._source.system, portion.calls
        ids = calls.calls.select("event_id", system=pl.lit(system))
        with self._warehouse.writing(threads=1) as writer:  # rows and how far is read, together or not at all
            stored = writer.stored(INFERENCES, ids)
            known = set(stored["event_id"])
            landing = land(portion.batch, reading, self._source, known, aside, calls, stored)
            for rows in landing.inferences.iter_slices(ROWS_AT_ONCE):
                writer.append(INFERENCES, rows)
            writer.append(QUARANTINE, landing.quarantine)
            keys = {"system": system, "source_file": landing.reading.file.name}
            writer.replace(LOG_FILES, landing.log_file, **keys)
            self._store_late(writer, portion.batch, reading)
        return landing

    def _store_late(self, writer: Writer, batch: Batch, reading: Reading) -> None:
        """Store what is said about calls and traces; a later word on the same replaces the earlier one."""
        for table, key, rows in (
            (FEEDBACK, "feedback_id", feedback_rows(batch, reading, self._source)),
            (TRACES, "trace_id", trace_rows(batch, reading, self._source)),
        ):
            if rows.height:
                writer.replace(table, rows, system=self._source.system, **{key: rows[key].to_list()})


def by_column(block: Block, seen: set[str]) -> tuple[PlainCalls, list[tuple[int, bytes]]]:
    """Read what is plainly right by the column; return it and the lines that are left to the importer.

    Args:
        block: the lines.
        seen: fields that lines before these had; those of these are added.
    """
    frames = parsed_lines(block, PLAIN, LINE, seen)
    together = PlainCalls.together([plain_calls(frame) for frame in frames])
    if together.calls.height == block.lines:
        return together, []
    taken = set(together.calls["source_line"])
    return together, [line for line in block.numbered() if line[0] not in taken]
