"""Log files that are tables: Parquet and CSV, read by Polars in batches and handed on as lines of JSON.

So an importer sees the same lines, whatever file they were exported to. A missing value is null; a cell of a
CSV file is text, as it stands there.
"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

SUFFIXES = (".parquet", ".csv", ".csv.gz")
BATCH_ROWS = 20_000


def table_lines(path: Path, batch_rows: int = BATCH_ROWS) -> Iterator[list[bytes]]:
    """Yield the rows of a table as JSON lines, so many at a time.

    Raises:
        OSError: the file is no such table; what was yielded before stays valid.
    """
    import orjson
    import polars as pl

    if path.name.endswith(".parquet"):
        table = pl.scan_parquet(path)
    else:
        table = pl.scan_csv(path, infer_schema=False, truncate_ragged_lines=False)
    number = 0
    try:
        for batch in table.collect_batches(chunk_size=batch_rows, maintain_order=True):
            yield [orjson.dumps(row, default=_plain) for row in batch.iter_rows(named=True)]
            number += batch.height
    except (pl.exceptions.PolarsError, OSError) as error:
        said = str(error).splitlines()[0][:200]
        raise OSError(f"{path.name} cannot be read as a table after row {number:,}: {said}") from error


def _plain(value: Any) -> Any:
    """Return what JSON has no word for: amounts as text, durations in seconds, bytes as text."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
