"""A state of a corpus in the terms of an index: each document's version, and the texts that are needed.

A file of the size and modification time it had is not opened, and one of the bytes it had is not parsed.
"""

import hashlib
import time
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import polars as pl

from aiops_pipelines.rag.versions import revision_id
from aiops_pipelines.resources import documents as corpora
from aiops_pipelines.resources import extraction
from aiops_pipelines.resources.pace import Pace, Tell
from aiops_pipelines.resources.tables import Table

SETTLED_NS = 2_000_000_000
"""A file changed less than this before it was listed could change once more at the same time of its clock."""
PARSERS = ("beautifulsoup4", "pypdf", "python-docx")


@cache
def reader_version() -> str:
    """Return the identity of the code and parsers that turn bytes into text: `rd-` and 12 hex digits."""
    seen = hashlib.sha256()
    for module in (corpora, extraction):
        seen.update(Path(str(module.__file__)).read_bytes())
    seen.update(repr([(name, version(name)) for name in PARSERS]).encode())
    return f"rd-{seen.hexdigest()[:12]}"


class _Row(NamedTuple):
    """What `rag.source_files` knows of one file; a file that was set aside has a reason and no hash."""

    document: str
    size_bytes: int
    modified_ns: int | None
    document_hash: str | None
    title: str | None
    format: str | None
    characters: int | None
    reason: str | None
    reader_version: str


_FIELDS = list(_Row._fields)


class CorpusState:
    """What a snapshot holds now.

    Args:
        system: AI system.
        snapshot: the state to read.
        stored: rows of `rag.source_files` of the system, of any label.
        table: that table.
        tell: is told how far reading has come.

    Raises:
        CorpusError: there is no file, or none that can be read.
    """

    def __init__(
        self, system: str, snapshot: corpora.Snapshot, stored: pl.DataFrame, table: Table, tell: Tell
    ):
        self._root = snapshot.folder.resolve()
        self._parsed: dict[str, str] = {}
        listed_ns = time.time_ns()
        self._listed = {file.document: file for file in corpora.listing(snapshot.folder)}
        readable = stored.filter(reader_version=reader_version())
        here = {row.document: row for row in _rows_of(readable.filter(label=snapshot.label))}
        rows = dict(self._rows(here, readable, listed_ns, tell))
        self.moved = rows != here
        self.files = stored.filter(label=snapshot.label)
        if self.moved:
            labels = {"system": pl.lit(system), "label": pl.lit(snapshot.label)}
            schema = {name: table.schema[name] for name in _FIELDS}
            found = pl.DataFrame(list(rows.values()), schema=schema, orient="row")
            self.files = found.with_columns(**labels)
        if self.files["document_hash"].null_count() == self.files.height:
            raise corpora.CorpusError(
                f"No document of {snapshot.label} can be read; the index stays as it is."
            )

    @cached_property
    def documents(self) -> pl.DataFrame:
        """Document, document_hash, title, format and characters of each readable document, sorted by path."""
        columns = ["document", "document_hash", "title", "format", "characters"]
        return self.files.filter(pl.col("document_hash").is_not_null()).select(columns).sort("document")

    @cached_property
    def skipped(self) -> tuple[corpora.Skipped, ...]:
        """The files set aside, sorted by path."""
        aside = self.files.filter(pl.col("document_hash").is_null()).select("document", "reason")
        return tuple(corpora.Skipped(*row) for row in aside.sort("document").iter_rows())

    @cached_property
    def revision(self) -> str:
        """The identity of this state."""
        return revision_id(self.documents)

    def text(self, document: str) -> str:
        """Return the text of one of the documents.

        Raises:
            CorpusError: the file is no longer the one that was listed.
        """
        if document not in self._parsed:
            file = self._listed[document]
            try:
                self._parsed[document] = corpora.document(file, corpora.content(file, self._root)).text
            except extraction.UnreadableFile as error:
                raise corpora.CorpusError(
                    f"{document} cannot be read again; run once more. {error}"
                ) from error
        return self._parsed[document]

    def _rows(
        self, here: dict[str, _Row], readable: pl.DataFrame, listed_ns: int, tell: Tell
    ) -> Iterator[tuple[str, _Row]]:
        moved = []
        for file in self._listed.values():
            row = here.get(file.document)
            if row and (row.size_bytes, row.modified_ns) == (file.size_bytes, file.modified_ns):
                yield file.document, row
            else:
                moved.append(file)
        contents = {(row.document, row.document_hash): row for row in _rows_of(readable)} if moved else {}
        pace = Pace("read", "files that moved", len(moved), sum(file.size_bytes for file in moved), tell)
        for file in moved:
            settled = file.modified_ns if file.modified_ns < listed_ns - SETTLED_NS else None
            yield file.document, self._row(file, settled, here.get(file.document), contents)
            pace.step(1, file.size_bytes)

    def _row(
        self,
        file: corpora.File,
        settled: int | None,
        row: _Row | None,
        contents: Mapping[tuple[str, str | None], _Row],
    ) -> _Row:
        try:
            data = corpora.content(file, self._root)
            content_hash = hashlib.sha256(data).hexdigest()
            if row and row.document_hash == content_hash:
                return row._replace(size_bytes=file.size_bytes, modified_ns=settled)
            if same := contents.get((file.document, content_hash)):
                return same._replace(size_bytes=file.size_bytes, modified_ns=settled)
            found = corpora.document(file, data)
        except extraction.UnreadableFile as error:
            passing = isinstance(error, corpora.NotNow)
            seen = (file.document, file.size_bytes, None if passing else settled)
            return _Row(*seen, None, None, None, None, str(error), reader_version())
        self._parsed[file.document] = found.text
        known = (found.document_hash, found.title, found.format, len(found.text), None, reader_version())
        return _Row(file.document, file.size_bytes, settled, *known)


def _rows_of(files: pl.DataFrame) -> Iterator[_Row]:
    return map(_Row._make, files.select(_FIELDS).iter_rows())
