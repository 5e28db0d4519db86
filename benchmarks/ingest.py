"""Calls from a log file into the warehouse, beside DuckDB alone reading the same file into a table.

DuckDB parses the lines and stores the fields as they come; ours checks every field, splits tokens, scales the
parts, drops doubles, masks personal data and notes how far the file is read. Each measurement is a process of
its own, the two by turns; the figures are the least of the rounds. Masking is timed where it happens.

    python benchmarks/ingest.py [--rows 10000 100000 1000000 5000000] [--rounds 3]
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from made_log import canonical, repeated

NOW = datetime(2026, 9, 10, tzinfo=UTC)
REPEATED = 1_000_000


def bare(log: Path, database: Path) -> dict[str, float]:
    """DuckDB's read_json into a table of a file."""
    import duckdb

    with duckdb.connect(str(database)) as connection:
        connection.execute(
            "create table calls as select * from read_json(?, format = 'newline_delimited')", [str(log)]
        )
        [(rows,)] = connection.execute("select count(*) from calls").fetchall()
    return {"stored": rows, "masking_wall": 0.0, "masking_cpu": 0.0}


def ours(log: Path, database: Path) -> dict[str, float]:
    """LogBook, as the ingestion and `aiops import` use it."""
    from aiops_pipelines.inference_log import ingestion
    from aiops_pipelines.inference_log.source import Source
    from aiops_pipelines.project import Project
    from aiops_pipelines.resources.log_book import LogBook
    from aiops_pipelines.resources.log_folder import LogFolder
    from aiops_pipelines.resources.tables import declared_tables
    from aiops_pipelines.resources.warehouse import Warehouse

    spent = {"masking_wall": 0.0, "masking_cpu": 0.0}
    protected = ingestion.protected

    def timed(*arguments):
        # of this thread alone: another one parses at the same time
        wall, cpu = time.perf_counter(), time.thread_time()
        found = protected(*arguments)
        spent["masking_wall"] += time.perf_counter() - wall
        spent["masking_cpu"] += time.thread_time() - cpu
        return found

    ingestion.protected = timed
    warehouse = Warehouse(database, declared_tables(Project.here().dbt))
    source = Source("benchmark", "aiops_jsonl", NOW, b"k" * 32)
    book = LogBook(warehouse, LogFolder(log.parent), source)
    [file] = book.given([log])
    return spent | {"stored": sum(landing.inferences.height for landing in book.read(file))}


def measured(way: str, log: Path, folder: Path) -> dict[str, float]:
    """Run one way in a process of its own, on a new database."""
    database = folder / f"{way}.duckdb"
    for old in folder.glob(f"{way}.duckdb*"):
        old.unlink()
    if way == "ours":
        from aiops_pipelines.project import Project
        from aiops_pipelines.resources.tables import declared_tables
        from aiops_pipelines.resources.warehouse import Warehouse

        Warehouse(database, declared_tables(Project.here().dbt)).prepare()
    command = [sys.executable, "-W", "ignore", __file__, "--way", way, str(log), str(database)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def one(way: str, log: Path, database: Path) -> None:
    """Do it once and print what it took, without the time of starting Python and loading modules."""
    import pandas  # noqa: F401  # loaded before the clock starts, as everything else is, for both
    import pyarrow.dataset
    import pyarrow.json  # noqa: F401

    import aiops_pipelines.resources.log_book  # noqa: F401

    wall, cpu = time.perf_counter(), time.process_time()
    found = (bare if way == "bare" else ours)(log, database)
    found |= {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    found["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(found))


def made(folder: Path, rows: int) -> Path:
    """Write a log of so many calls; one longer than a million is a million again and again."""
    if rows <= REPEATED:
        return canonical(folder / "log.jsonl", rows)
    million = canonical(folder / "million.jsonl", REPEATED)
    return repeated(million, folder / "log.jsonl", rows // REPEATED)


def compared(rows: int, rounds: int) -> str:
    """Return a table row for a log of so many calls."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = made(folder, rows)
        taken: dict[str, list[dict[str, float]]] = {"bare": [], "ours": []}
        for _ in range(rounds):
            for way, results in taken.items():
                results.append(measured(way, log, folder))
                assert results[-1]["stored"] == rows, (way, results[-1])
        size_mb = log.stat().st_size / 1e6

    def least(way: str, clock: str, masked: bool = True) -> float:
        return min(t[clock] - (0 if masked else t[f"masking_{clock}"]) for t in taken[way])

    cells = [f"{rows:,}", f"{size_mb:,.0f}"]
    for clock in ("wall", "cpu"):
        base = least("bare", clock)
        cells += [f"{least('ours', clock, masked) / base:.2f}" for masked in (False, True)]
    cells.append(f"{rows / least('ours', 'wall'):,.0f}")
    cells += [f"{min(t['peak_mb'] for t in taken[way]):,.0f}" for way in taken]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Measure one way, or compare both for each size."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000, 5_000_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--way", nargs=3, metavar=("WAY", "LOG", "DATABASE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        way, log, database = options.way
        one(way, Path(log), Path(database))
        return
    print(
        "| rows | file, MB | wall, without masking | wall, with | CPU, without | CPU, with "
        "| ours, rows/s | peak MB, bare | peak MB, ours |"
    )
    print("| ---: " * 9 + "|")
    for rows in options.rows:
        print(compared(rows, options.rounds), flush=True)


if __name__ == "__main__":
    main()
