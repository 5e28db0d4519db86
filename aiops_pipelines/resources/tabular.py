"""Log files that are tables: Parquet, read by Polars in batches, and CSV, both handed on as lines of JSON.

So an importer sees the same lines, whatever file they were exported to. A missing value is null; a cell of a
CSV file is text, as it stands there. What is no row of a CSV file is handed on for the quarantine.
"""

import csv
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from aiops_pipelines.inference_log.lines import LINE_LIMIT, NO_ROW
from aiops_pipelines.resources import packed

SUFFIXES = (".parquet", *packed.with_packed([".csv"]))
BATCH_ROWS, BATCH_BYTES = 20_000, 64_000_000
SEPARATORS = (",", ";", "\t", "|")
HEADER_LIMIT = 1_000_000
UNCLOSED = ("unexpected end of data", "field larger than field limit")


def table_lines(path: Path, batch_rows: int = BATCH_ROWS) -> Iterator[list[bytes]]:
    """Yield the rows of a table as JSON lines, so many at a time, or fewer that are long.

    Raises:
        OSError: the file is no such table; what was yielded before stays valid.
    """
    rows = _parquet_rows(path, batch_rows) if path.name.endswith(".parquet") else _csv_rows(path)
    some: list[bytes] = []
    size = 0
    try:
        for row in rows:
            some.append(row)
            size += len(row)
            if len(some) == batch_rows or size > BATCH_BYTES:
                yield some
                some, size = [], 0
    except OSError:
        if some:
            yield some
        raise
    if some:
        yield some


def _parquet_rows(path: Path, batch_rows: int) -> Iterator[bytes]:
    import orjson
    import polars as pl

    number = 0
    try:
        for batch in pl.scan_parquet(path).collect_batches(chunk_size=batch_rows, maintain_order=True):
            yield from (orjson.dumps(row, default=_plain) for row in batch.iter_rows(named=True))
            number += batch.height
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _broken(path, number, str(error).splitlines()[0][:200]) from error


def _csv_rows(path: Path) -> Iterator[bytes]:
    import orjson

    csv.field_size_limit(LINE_LIMIT)
    number, raw = 0, list[str]()
    try:
        with _opened(path) as stream:
            opening = stream.readline(HEADER_LIMIT)
            separator = max(SEPARATORS, key=re.sub(r'"[^"]*"', "", opening).count)
            [names] = csv.reader([opening], delimiter=separator) if opening.strip() else [[]]
            reader = csv.reader(_noted(stream, raw), delimiter=separator, strict=True)
            while (cells := _next(reader, raw)) is not None:
                if len(raw[0]) > LINE_LIMIT:
                    yield _no_row("too long", raw)
                elif isinstance(cells, str):
                    yield _no_row(cells, raw)
                elif cells and len(cells) != len(names):
                    yield _no_row(f"{len(cells)} cells under {len(names)} names", raw)
                elif cells:
                    row = {name: cell or None for name, cell in zip(names, cells, strict=True)}
                    try:
                        yield _no_row(said, raw) if (said := _clash(names, cells, row)) else orjson.dumps(row)
                    except TypeError:  # bytes that are not UTF-8
                        yield _no_row("not UTF-8", raw)
                number += 1
    except (OSError, EOFError, *packed.DAMAGED, csv.Error) as error:
        raise _broken(path, number, str(error)) from error


def _next(reader: Any, raw: list[str]) -> list[str] | str | None:
    """Return the cells of the next row, why it is none, or None at the end.

    Raises:
        csv.Error: a quote is not closed, so the rest of the file is one cell.
    """
    raw.clear()
    try:
        found: list[str] | None = next(reader, None)
        return found
    except csv.Error as error:
        if len(raw) > 1 and str(error).startswith(UNCLOSED):
            raise csv.Error(f"a quote that opens in the next row is not closed ({error})") from error
        return str(error)


def _noted(stream: io.TextIOWrapper, raw: list[str]) -> Iterator[str]:
    """Yield the lines and keep them in `raw`; of one that is too long no more than shows that it is."""
    while line := stream.readline(LINE_LIMIT + 1):
        raw.append(line)
        rest = line
        while len(rest) > LINE_LIMIT and not rest.endswith("\n"):
            rest = stream.readline(LINE_LIMIT + 1)
        yield line


def _clash(names: list[str], cells: list[str], row: dict[str, str | None]) -> str:
    """Say which name of the header stands for two different cells of a row; "" if none does."""
    if len(row) == len(names):
        return ""
    both = (name for name, cell in zip(names, cells, strict=True) if name and row[name] != (cell or None))
    name = next(both, None)
    return f"the header names two columns {name!r}, which differ here; name them apart" if name else ""


def _no_row(reason: str, raw: list[str]) -> bytes:
    return NO_ROW + f"{reason}: {' '.join(''.join(raw).splitlines())}".encode(errors="surrogateescape")


@contextmanager
def _opened(path: Path) -> Iterator[io.TextIOWrapper]:
    with packed.opened(path) as stream:
        yield io.TextIOWrapper(stream, "utf-8-sig", "surrogateescape", newline="")


def _broken(path: Path, rows: int, said: str) -> OSError:
    return OSError(f"{path.name} cannot be read as a table after row {rows:,}: {said}")


def _plain(value: Any) -> Any:
    """Return what JSON has no word for: durations in milliseconds, as ours are, amounts and bytes as text."""
    if isinstance(value, timedelta):
        return value / timedelta(milliseconds=1)
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
