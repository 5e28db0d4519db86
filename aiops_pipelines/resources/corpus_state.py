"""A state of a corpus in the terms of an index: each document's version, and the texts that are needed.

A file of the size, modification time and etag it had is not opened, one of the bytes it had is not parsed,
and one that cannot be read at this moment stays what it was.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from copy import copy
from datetime import datetime
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import polars as pl

from aiops_pipelines.rag import garbled
from aiops_pipelines.rag.versions import revision_id
from aiops_pipelines.resources import documents as corpora
from aiops_pipelines.resources import extraction, extractors, languages
from aiops_pipelines.resources.pace import Pace, Tell
from aiops_pipelines.resources.tables import Table
from aiops_pipelines.wording import some

SETTLED_NS = 2_000_000_000
"""A file changed less than this before it was listed could change once more at the same time of its clock."""
PARSERS = ("beautifulsoup4", "pypdf", "mammoth", "py3langid")


@cache
def reader_version() -> str:
    """Return the identity of the code and parsers that turn bytes into text: `rd-` and 12 hex digits."""
    seen = hashlib.sha256()
    own = [Path(str(module.__file__)) for module in (corpora, extraction, languages, garbled)]
    for file in [*own, *sorted(Path(str(extractors.__file__)).parent.glob("*.py"))]:
        seen.update(file.read_bytes())
    seen.update(repr([(name, version(name)) for name in PARSERS]).encode())
    return f"rd-{seen.hexdigest()[:12]}"


class _Row(NamedTuple):
    """What `rag.source_files` knows of one file.

    A file that was set aside has a reason and no hash; one whose older version stands has both.
    """

    document: str
    size_bytes: int
    modified_ns: int | None
    etag: str
    reader_version: str
    reason: str | None = None
    document_hash: str | None = None
    title: str | None = None
    format: str | None = None
    characters: int | None = None
    language: str | None = None
    garbled: int | None = None
    modified_at: datetime | None = None
    source_version: str | None = None


_FIELDS = list(_Row._fields)
_OF_DOCUMENTS = ["document", "document_hash", "title", "format", "characters"]
_OF_DOCUMENTS += ["language", "garbled", "modified_at", "source_version"]


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
        self._snapshot = snapshot
        self._parsed: dict[str, str] = {}
        listed_ns = time.time_ns()
        self._listed = {file.document: file for file in corpora.listing(snapshot)}
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
            [(reason, number)] = Counter(self.files["reason"]).most_common(1)
            raise corpora.CorpusError(
                f"No document of {snapshot.label} can be read; the index stays as it is. "
                f"{some(number, 'file')}: {reason}"
            )

    @cached_property
    def documents(self) -> pl.DataFrame:
        """What `rag.documents` says of each readable document, sorted by path."""
        return self.files.filter(pl.col("document_hash").is_not_null()).select(_OF_DOCUMENTS).sort("document")

    @cached_property
    def skipped(self) -> tuple[corpora.Skipped, ...]:
        """The files that were not read, sorted by path."""
        unread = self.files.filter(pl.col("reason").is_not_null()).sort("document")
        rows = unread.select("document", "reason", pl.col("document_hash").is_not_null())
        return tuple(corpora.Skipped(*row) for row in rows.iter_rows())

    @property
    def aside(self) -> list[corpora.Skipped]:
        """The files of which nothing is indexed."""
        return [file for file in self.skipped if not file.standing]

    @cached_property
    def standing(self) -> set[str]:
        """The documents of which an older version than the source's stands."""
        return {file.document for file in self.skipped if file.standing}

    def author(self, document: str) -> str | None:
        """Return who brought a document to its present content, where the source says."""
        return self._snapshot.source.author(document)

    def holding(self, reasons: Mapping[str, str], before: pl.DataFrame) -> "CorpusState":
        """Return this state with some documents held: their older version stands, or nothing of them.

        Args:
            reasons: why, by document.
            before: the `rag.documents` rows of the state before.
        """
        held = copy(self)
        for name in ("documents", "skipped", "revision", "standing", "_hashes"):
            vars(held).pop(name, None)
        older = {row["document"]: row for row in before.select(_OF_DOCUMENTS).iter_rows(named=True)}
        none = dict.fromkeys(_OF_DOCUMENTS[1:])
        rows = [
            row | (older.get(row["document"]) or none) | {"reason": reasons[row["document"]]}
            if row["document"] in reasons
            else row
            for row in self.files.iter_rows(named=True)
        ]
        held.files = pl.DataFrame(rows, schema=self.files.schema, infer_schema_length=None)
        return held

    @cached_property
    def revision(self) -> str:
        """The identity of this state."""
        return revision_id(self.documents)

    def text(self, document: str) -> str:
        """Return the text of one of the documents.

        Raises:
            CorpusError: the file is no longer the one that was listed.
        """
        if document not in self._parsed or document in self.standing:
            file = self._listed.get(document)
            try:
                if file is None:
                    raise corpora.UnreadableFile("It is not listed.")
                found = corpora.document(file, self._content(file).data)
                if found.document_hash != self._hashes[document]:
                    raise corpora.UnreadableFile("It is no longer what it was when it was listed.")
                self._parsed[document] = found.text
            except corpora.UnreadableFile as error:
                raise corpora.CorpusError(
                    f"{document} cannot be read again; run once more. {error}"
                ) from error
        return self._parsed[document]

    @cached_property
    def _hashes(self) -> dict[str, str]:
        return dict(self.files.select("document", "document_hash").iter_rows())

    def _content(self, file: corpora.File) -> corpora.Content:
        return corpora.content(self._snapshot, file)

    def _rows(
        self, here: dict[str, _Row], readable: pl.DataFrame, listed_ns: int, tell: Tell
    ) -> Iterator[tuple[str, _Row]]:
        moved = []
        for file in self._listed.values():
            row = here.get(file.document)
            if file.refusal:  # without a time, so that it is looked at again when it is refused no more
                yield file.document, _row(file, None, file.refusal)
                if file.closed:
                    yield from self._unseen(here, file)
            elif row and _stamp(row) == _stamp(file):
                yield file.document, row
            else:
                moved.append(file)
        contents = {(row.document, row.document_hash): row for row in _rows_of(readable)} if moved else {}
        pace = Pace("read", "files that moved", len(moved), sum(file.size_bytes for file in moved), tell)
        for file in moved:
            sure = file.etag or 0 < file.modified_ns < listed_ns - SETTLED_NS
            settled = file.modified_ns if sure else None
            yield file.document, self._read(file, settled, here.get(file.document), contents)
            pace.step(1, file.size_bytes)

    def _unseen(self, here: dict[str, _Row], closed: corpora.File) -> Iterator[tuple[str, _Row]]:
        """Yield what is known of a document, or of those in a folder, that cannot be looked at now."""
        for name, row in here.items():
            within = name == closed.document or name.startswith(f"{closed.document}/")
            if within and row.document_hash and not corpora.quarantined(name, self._snapshot.quarantine):
                yield name, row._replace(modified_ns=None, reason=closed.refusal)

    def _read(
        self,
        file: corpora.File,
        settled: int | None,
        before: _Row | None,
        contents: Mapping[tuple[str, str | None], _Row],
    ) -> _Row:
        try:
            found = self._content(file)
            known = contents.get((file.document, hashlib.sha256(found.data).hexdigest()))
            row = known or self._parsed_row(file, corpora.document(file, found.data))
        except corpora.NotNow as error:
            if before and before.document_hash:
                return before._replace(modified_ns=None, reason=str(error))
            return _row(file, None, str(error))
        except corpora.UnreadableFile as error:
            return _row(file, settled, str(error))
        return row._replace(
            size_bytes=file.size_bytes,
            modified_ns=settled,
            etag=file.etag,
            reason=None,
            modified_at=found.modified_at,
            source_version=found.version,
        )

    def _parsed_row(self, file: corpora.File, found: corpora.Document) -> _Row:
        self._parsed[file.document] = found.text
        return _row(file, None, None)._replace(
            document_hash=found.document_hash,
            title=found.title,
            format=found.format,
            characters=len(found.text),
            language=found.language,
            garbled=found.garbled,
        )


def _row(file: corpora.File, modified_ns: int | None, reason: str | None) -> _Row:
    return _Row(file.document, file.size_bytes, modified_ns, file.etag, reader_version(), reason)


def _stamp(one: _Row | corpora.File) -> tuple[int, int | None, str]:
    return one.size_bytes, one.modified_ns, one.etag


def _rows_of(files: pl.DataFrame) -> Iterator[_Row]:
    return map(_Row._make, files.select(_FIELDS).iter_rows())
