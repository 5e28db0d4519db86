"""A corpus folder read into documents with LlamaIndex; a file that cannot be read is named with its reason.

Which folder belongs to which system is `systems`; how bytes of a format become text is `extraction`. Names
that start with a dot are not part of a corpus.
"""

import hashlib
import logging
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from aiops_pipelines.rag.chunking import title
from aiops_pipelines.resources.extraction import EXTRACTORS, UnreadableFile
from aiops_pipelines.systems import Corpus

if TYPE_CHECKING:
    from llama_index.core import SimpleDirectoryReader

PLAIN = "folder"
"""Label of a corpus that is a plain folder."""
MAX_BYTES = 20 * 1024 * 1024


class CorpusError(ValueError):
    """A corpus folder cannot be used; the message says what to change."""


@dataclass(frozen=True)
class Document:
    """A readable document: path under the corpus folder (with slashes), its text and its SHA-256."""

    document: str
    format: str
    title: str
    text: str
    document_hash: str


@dataclass(frozen=True)
class Skipped:
    """A file that was set aside, and why, in a sentence."""

    document: str
    reason: str


@dataclass(frozen=True)
class Snapshot:
    """One state of a corpus: the dated folder's name, or `folder` for a plain one, which has no date."""

    label: str
    valid_from: datetime | None
    folder: Path


def snapshots(corpus: Corpus) -> list[Snapshot]:
    """Return the states of a corpus, the oldest first: one per ISO-dated folder, or the folder itself.

    Raises:
        CorpusError: the folder is missing or empty, or a dated corpus holds a folder that is not a date.
    """
    if not corpus.folder.is_dir():
        raise CorpusError(
            f"The corpus folder {corpus.folder} does not exist; create it or change corpus.folder."
        )
    entries = [entry for entry in sorted(corpus.folder.iterdir()) if not entry.name.startswith(".")]
    if not entries:
        raise CorpusError(f"The corpus folder {corpus.folder} is empty; put documents into it.")
    if not corpus.dated:
        return [Snapshot(PLAIN, None, corpus.folder)]
    found = [Snapshot(entry.name, _midnight(entry), entry) for entry in entries]
    return sorted(found, key=lambda snapshot: snapshot.label)


def _midnight(entry: Path) -> datetime:
    if entry.is_dir() and re.fullmatch(r"\d{4}-\d\d-\d\d", entry.name):
        try:
            day = date.fromisoformat(entry.name)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        except ValueError:
            pass
    raise CorpusError(
        f"{entry.name} in {entry.parent} is not a folder named by a date such as 2026-06-01; rename it, "
        "or set corpus.dated to false."
    )


def fingerprint(folder: Path) -> str:
    """Return a hash of every file's path, size and modification time; equal hashes mean nothing moved."""
    listing = hashlib.sha256()
    for path in _files(folder):
        status = path.lstat()
        entry = f"{path.relative_to(folder).as_posix()}\0{status.st_size}\0{status.st_mtime_ns}\n"
        listing.update(entry.encode("utf-8", "surrogateescape"))
    return listing.hexdigest()


def read(folder: Path) -> tuple[list[Document], list[Skipped]]:
    """Return the documents under a folder and the files set aside, both sorted by path.

    Raises:
        CorpusError: the folder does not exist or holds no file.
    """
    if not folder.is_dir() or not (files := sorted(_files(folder), key=Path.as_posix)):
        raise CorpusError(f"The corpus folder {folder} is missing or empty; put documents into it.")
    documents: list[Document] = []
    skipped: list[Skipped] = []
    root = folder.resolve()
    reader = None
    for path in files:
        name = path.relative_to(folder).as_posix().encode("utf-8", "replace").decode()
        reason = _refusal(path, root)
        if reason is None:
            reader = reader or _reader(path)
            try:
                documents.append(_document(path, name, reader))
                continue
            except UnreadableFile as error:
                reason = str(error)
            except OSError as error:
                reason = f"It cannot be opened: {error.strerror}."
        skipped.append(Skipped(name, reason))
    return documents, skipped


def _files(folder: Path) -> Iterator[Path]:
    """Yield everything under a folder that is no folder, and folders that are links or cannot be listed."""
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError:
        yield folder
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path))
        else:
            yield Path(entry.path)


def _refusal(path: Path, root: Path) -> str | None:
    """Return why a file must not be opened, or nothing when it may."""
    try:
        str(path).encode("utf-8")
        target = path.resolve(strict=True)
        status = target.stat()
    except UnicodeEncodeError:
        return "Its name is not valid UTF-8; rename it."
    except (OSError, RuntimeError):
        return "It is a link that leads nowhere, or cannot be reached."
    if not target.is_relative_to(root):
        return "It is a link that leaves the corpus folder; put the document itself there."
    if not stat.S_ISREG(status.st_mode):
        return (
            "It is not a file but a link to a folder, a closed folder or a device; put the documents there."
        )
    if status.st_size == 0:
        return "It is empty."
    if status.st_size > MAX_BYTES:
        return f"It has {status.st_size / 2**20:.0f} MB, more than {MAX_BYTES // 2**20} MB; split it."
    if path.suffix.lower() not in EXTRACTORS:
        return f"Its format {path.suffix or '(no ending)'} is not read; use one of {', '.join(EXTRACTORS)}."
    return None


def _document(path: Path, name: str, reader: "SimpleDirectoryReader") -> Document:
    before = path.stat()
    document_hash = hashlib.sha256(path.read_bytes()).hexdigest()
    text = _extracted(path, reader)
    after = path.stat()
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise UnreadableFile("It changed while it was read; the next run reads it.")
    if not text.strip():
        raise UnreadableFile("It holds no text.")
    return Document(name, EXTRACTORS[path.suffix.lower()][0], title(text) or path.stem, text, document_hash)


def _extracted(path: Path, reader: "SimpleDirectoryReader") -> str:
    try:
        return "\n\n".join(part.text for part in reader.load_resource(str(path)))
    except Exception as error:  # a parser may raise anything on hostile bytes; the reader wraps it
        cause = error.__cause__ or error
        if isinstance(cause, UnreadableFile | OSError):
            raise cause from None
        if isinstance(cause, ImportError):
            raise
        kind = path.suffix.lower().lstrip(".").upper()
        raise UnreadableFile(f"It is damaged or not {kind} ({type(cause).__name__}).") from error


def _reader(path: Path) -> "SimpleDirectoryReader":
    """Return LlamaIndex's directory reader over our extractors; `path` is any one readable file."""
    from llama_index.core import SimpleDirectoryReader
    from llama_index.core.readers.base import BaseReader
    from llama_index.core.schema import Document as Text

    class Extractor(BaseReader):  # type: ignore[misc]
        """LlamaIndex's reader interface over one extraction function."""

        def load_data(self, file: Path, extra_info: dict[str, object] | None = None) -> list[Text]:
            extract = EXTRACTORS[file.suffix.lower()][1]
            return [Text(text=extract(file.read_bytes()), metadata=extra_info or {})]

    # It warns once a file that its optional formats are not installed; ours are all given.
    logging.getLogger("llama_index.core.readers.file.base").setLevel(logging.ERROR)
    extractors = {ending: Extractor() for ending in EXTRACTORS}
    return SimpleDirectoryReader(input_files=[path], file_extractor=extractors, raise_on_error=True)
