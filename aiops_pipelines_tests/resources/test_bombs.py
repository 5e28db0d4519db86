"""Log files that are small on the disk and huge in memory: read to their end in memory that stays flat."""

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from aiops_pipelines.project import ROOT, Project
from aiops_pipelines.resources.tabular import BATCH_BYTES, table_lines

MB = 1_000_000
PEAK = """
import resource, sys
def told(*said):
    print(*said, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""
READ = """
from pathlib import Path
from aiops_pipelines.resources.log_import import pieces
lines = longest = 0
for piece in pieces(Path(sys.argv[1])):
    lines += piece.block.lines
    longest = max([longest, *(len(line) for _, line in piece.lines)])
told(lines, longest)
"""
STORED = """
from datetime import UTC, datetime
from pathlib import Path
from aiops_pipelines.inference_log.source import Source
from aiops_pipelines.resources.log_book import LogBook
from aiops_pipelines.resources.log_folder import LogFolder
from aiops_pipelines.resources.tables import declared_tables
from aiops_pipelines.resources.warehouse import Warehouse
folder, dbt = map(Path, sys.argv[1:])
source = Source("s", "otlp_json", datetime(2026, 6, 8, tzinfo=UTC), bytes(32))
book = LogBook(Warehouse(folder / "x.duckdb", declared_tables(dbt)), LogFolder(folder), source)
[file] = book.listed()[0]
told(sum(landing.quarantine.height for landing in book.read(file)))
"""


def ran(code: str, *arguments: object) -> list[int]:
    command = [sys.executable, "-W", "ignore", "-c", PEAK + code, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [int(word) for word in done.stdout.split()]


def packed(opening: bytes, block: bytes, blocks: int) -> Callable[[Path], None]:
    def write(file: Path) -> None:
        with gzip.open(file, "wb", 1) if file.suffix == ".gz" else zstandard.open(file, "wb") as stream:
            stream.write(opening)
            for _ in range(blocks):
                stream.write(block)

    return write


BOMBS = {
    "line.jsonl.gz": (packed(b'{"a": "', b"x" * MB, 600), packed(b'{"a": "', b"x\n", 6), (0, 0)),
    "line.jsonl.zst": (packed(b'{"a": "', b"x" * MB, 600), packed(b'{"a": "', b"x\n", 6), (0, 0)),
    "document.json.gz": (packed(b"[", b" " * MB, 600), packed(b"[", b" ", 6), (1, 64 * MB + 1)),
    "cell.csv.gz": (packed(b'a,b\n1,"', b"x" * MB, 400), packed(b'a,b\n1,"', b"x", 400), (1, 10 * MB + 35)),
    "rows.csv.gz": (
        packed(b"a,b\n", b"1," * (MB // 2), 400),
        packed(b"a,b\n", b"1,2\n", 4),
        (1, 10 * MB + 35),
    ),
}
"""A bomb, a harmless file of the same kind, and lines and bytes of the longest one that are handed on."""


@pytest.mark.skipif(sys.platform == "win32", reason="asks POSIX for the peak of memory")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * name.endswith("zst")) for name in BOMBS]
)
def test_a_bomb_is_read_to_its_end_in_little_memory(name: str, tmp_path: Path) -> None:
    bomb, harmless, (lines, longest) = BOMBS[name]
    for folder, write in (("harmless", harmless), ("bomb", bomb)):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / name)
    file = tmp_path / "bomb" / name
    assert file.stat().st_size < 3 * MB
    *_, usual = ran(READ, tmp_path / "harmless" / name)
    *found, peak = ran(READ, file)
    assert found == [lines, longest]
    assert peak - usual < 320  # MiB, of 400 to 600 MB unpacked


def test_long_rows_of_a_table_are_handed_on_few_at_a_time(tmp_path: Path) -> None:
    """4 KB on the disk, in which 200 MB stand: one value that 10,000 rows point to."""
    same = pa.DictionaryArray.from_arrays(pa.array([0] * 10_000, pa.int32()), pa.array(["x" * 20_000]))
    pq.write_table(pa.table({"id": same}), tmp_path / "same.parquet")
    assert (tmp_path / "same.parquet").stat().st_size < 4_000
    sizes = [(len(rows), sum(map(len, rows))) for rows in table_lines(tmp_path / "same.parquet")]
    assert sum(rows for rows, _ in sizes) == 10_000
    assert max(size for _, size in sizes) < BATCH_BYTES + 21_000 < 200 * MB


@pytest.mark.slow
def test_lines_that_hold_nothing_are_set_aside_in_memory_that_does_not_grow(tmp_path: Path) -> None:
    """Together they are as many bytes as spans that are understood together, and thirty times as many lines."""
    peaks = []
    for lines in (500_000, 3_000_000):
        folder = tmp_path / str(lines)
        folder.mkdir()
        packed(b"", json.dumps({}).encode() + b"\n", lines)(folder / "a.jsonl.gz")
        aside, peak = ran(STORED, folder, Project(tmp_path).dbt)
        assert aside == lines
        peaks.append(peak)
    assert peaks[1] < 2 * peaks[0]  # MiB; understood all at once, 3,000,000 lines take five times as much
