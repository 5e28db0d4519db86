"""Everything that is produced, searched for a person byte by byte, and text files freed of one.

DuckDB compresses what it stores, so its tables are searched by their values too. What the team itself put
into the data folder (logs, corpora, queries, settings) is not touched: `in_sources` says where it names one.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import polars as pl

from aiops_pipelines.compliance.erasure import GONE, LOOKED_FOR, SHORTEST_ID, stands_alone
from aiops_pipelines.inference_log.reading import LogFile, begin, plan
from aiops_pipelines.project import Project
from aiops_pipelines.resources.first_file import sync_folder, write_durably
from aiops_pipelines.resources.log_folder import LogFolder, LogFolderError
from aiops_pipelines.resources.report_pdf import attached
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System

SOURCES = ("systems", "corpus", "queries", "inference_log", "runbooks", "stories")
"""Folders of the data folder that a team fills; a system's file may name others."""
BLOCK = 8_000_000
SQLITE = b"SQLite format 3\0"
LOGS_OF_SQLITE = ("-wal", "-journal", "-shm")
TEXT_COLUMNS = """
    select table_schema || '."' || table_name || '"' as path, column_name from information_schema.columns
    where data_type like '%VARCHAR%' and table_schema <> 'staging' order by all
"""
NAMING = f"""
    count(*) filter (where {{0}} in (select unnest($1))
        or left(trim({{0}}), {LOOKED_FOR}) in (select unnest($2))
        or list_bool_or(list_transform($3::varchar[], one -> contains({{0}}, one)))) as "{{1}}"
"""
Sought = Mapping[bytes, bool]
"""What is looked for, and whether it is an identifier, as `compliance.erasure.sought` gives it."""


def produced(project: Project, systems: Iterable[System]) -> Iterator[Path]:
    """Yield every file below the data folder, and in Dagster's home, that is not the team's own.

    Raises:
        OSError: a folder cannot be listed.
    """
    own = {(project.data / name).resolve() for name in SOURCES}
    for system in systems:
        folders = [system.inference_log.folder, system.known_queries, system.corpus and system.corpus.folder]
        own |= {folder.resolve() for folder in folders if folder}
    home = Path(os.environ.get("DAGSTER_HOME") or project.dagster_home)
    seen: set[Path] = set()
    for root in (project.data, home):
        for folder, names, files in walked(root):
            names[:] = [name for name in names if (folder / name).resolve() not in own]
            found = {folder / name for name in files if not (folder / name).is_symlink()}
            yield from sorted(found - seen)
            seen |= found


def walked(root: Path, links: bool = False) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Yield folders with the names in them, as `os.walk` does, and those that links lead to if asked.

    Raises:
        OSError: one cannot be listed; what is in it must not be passed over in silence.
    """

    def closed(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error

    for place, names, files in os.walk(root, onerror=closed, followlinks=links):
        folder = Path(place)
        if links:  # not those that lead back up: there is no end to them
            above = {up.resolve() for up in (folder, *folder.parents)}
            names[:] = [name for name in names if (folder / name).resolve() not in above]
        yield folder, names, files


def hits(file: Path, wanted: Sought) -> int:
    """Return how often a file holds what is looked for, a report's PDF its data; 0 for one that is gone."""
    longest = max(map(len, wanted), default=0)
    if not longest:
        return 0
    patterns, count = [one.decode("latin-1") for one in wanted], 0
    try:
        with _searchable(file) as stream:
            before = b""
            while block := stream.read(BLOCK):
                content = before + block
                if pl.Series([content.decode("latin-1")]).str.contains_any(patterns)[0]:
                    count += sum(end > len(before) for _, end in _found(content, wanted))
                before = content[-longest - 1 :]
    except FileNotFoundError:
        pass
    return count


def _searchable(file: Path) -> BinaryIO:
    """Return a file's bytes; the words of a PDF are not found among its own."""
    data = attached(file.read_bytes()) if file.suffix == ".pdf" else b""
    return BytesIO(data) if data else file.open("rb")


def _found(content: bytes, wanted: Sought) -> Iterator[tuple[int, int]]:
    for one, identifier in wanted.items():
        start = content.find(one)
        while start >= 0:
            end = start + len(one)
            if not identifier or stands_alone(content, start, end):
                yield start, end
            start = content.find(one, start + 1)


def freed(content: bytes, wanted: Sought) -> bytes:
    """Return the content with something neutral in the place of what is looked for."""
    kept, at = [], 0
    for start, end in sorted(_found(content, wanted)):
        if end > at:
            kept += [content[at : max(start, at)], GONE.encode() if start >= at else b""]
            at = end
    return b"".join([*kept, content[at:]])


def free_file(file: Path, wanted: Sought) -> None:
    """Put something neutral in the place of what is looked for, in a text file or an SQLite database.

    Raises:
        OSError: the file cannot be written.
        UnicodeDecodeError: it is no text.
        sqlite3.Error: the database is in use, or damaged.
    """
    for ending in LOGS_OF_SQLITE:
        if file.name.endswith(ending):
            file = file.with_name(file.name.removesuffix(ending))
    with file.open("rb") as stream:
        database = stream.read(len(SQLITE)) == SQLITE
    if database:
        _free_sqlite(file, wanted)
        return
    content = file.read_bytes()
    content.decode()
    fresh = file.with_name(f"{file.name}.freed")
    write_durably(fresh, freed(content, wanted), mode=0o600)
    fresh.chmod(file.stat().st_mode)
    os.replace(fresh, file)
    sync_folder(file.parent)


def _free_sqlite(file: Path, wanted: Sought) -> None:
    """Change every text of a database; vacuum it, for freed pages keep their bytes."""
    with closing(sqlite3.connect(file, timeout=20)) as connection:
        names = connection.execute("select name from sqlite_master where type = 'table'").fetchall()
        for (table,) in names:
            columns = [row[1] for row in connection.execute(f'pragma table_info("{table}")')]
            for column in columns:
                texts = f"typeof(\"{column}\") in ('text', 'blob')"
                rows = connection.execute(f'select rowid, "{column}" from "{table}" where {texts}')
                for rowid, value in rows.fetchall():
                    raw = value.encode(errors="surrogateescape") if isinstance(value, str) else value
                    if (clean := freed(raw, wanted)) != raw:
                        new = clean.decode(errors="surrogateescape") if isinstance(value, str) else clean
                        connection.execute(
                            f'update "{table}" set "{column}" = ? where rowid = ?', (new, rowid)
                        )
        connection.commit()
        connection.execute("vacuum")
        connection.execute("pragma wal_checkpoint(truncate)").fetchall()


def in_tables(
    warehouse: Warehouse, names: Sequence[str], starts: Sequence[str], inside: Sequence[str]
) -> dict[str, int]:
    """Return how many values of each column, "schema.table.column", hold an identifier or begin with a text.

    Args:
        warehouse: the file; its tables and views, declared or not.
        names: identifiers.
        starts: the first `LOOKED_FOR` characters of texts.
        inside: identifiers of which those of `SHORTEST_ID` characters and more are looked for inside of texts
            and lists too.
    """
    given = [list(names), list(starts), [name for name in inside if len(name) >= SHORTEST_ID]]
    found: dict[str, int] = {}
    with warehouse.held():
        columns = warehouse.read(TEXT_COLUMNS)
        for (table,), those in columns.partition_by("path", as_dict=True).items():
            if warehouse.read(f"select 1 from {table} limit 1").is_empty():
                continue  # a fiftieth of the time that planning the search takes
            counted = ", ".join(
                NAMING.format(f'"{column}"::varchar', column) for column in those["column_name"]
            )
            row = warehouse.read(f"select {counted} from {table}", given).row(0, named=True)
            found |= {f"{table}.{column}".replace('"', ""): count for column, count in row.items() if count}
    return found


def in_sources(system: System, known: Iterable[str], names: Sequence[str]) -> dict[str, list[int]]:
    """Return the lines of a system's log files that name a person, by file; none of one that cannot be read.

    Args:
        system: whose logs.
        known: names of files that were read, of which some may lie elsewhere.
        names: identifiers; short ones count as whole values only.
    """
    folder = LogFolder(system.inference_log.folder)
    try:
        files = {file.name: file for file in folder.files()[0]}
    except LogFolderError:
        files = {}
    for name in set(known) - files.keys():
        if (folder.path / name).is_file():
            files[name] = folder.file(folder.path / name)
    wanted = {
        (one if len(one) >= SHORTEST_ID else f'"{one}"').encode(): len(one) >= SHORTEST_ID for one in names
    }
    found: dict[str, list[int]] = {}
    for name, file in sorted(files.items()):
        try:
            if lines := list(_naming(folder, file, wanted)):
                found[name] = lines
        except OSError:  # damaged or gone: nobody is kept from being erased by it
            found[name] = []
    return found


def _naming(folder: LogFolder, file: LogFile, wanted: Sought) -> Iterator[int]:
    whole = plan(file, None)
    for piece in folder.pieces(whole, begin(file, whole, None)):
        if any(one in piece.block.content for one in wanted):
            yield from (number for number, line in piece.lines if any(_found(line, wanted)))
