"""A corpus folder listed and read into documents; a file that cannot be read is named with its reason.

Which folder belongs to which system is `systems`; how bytes of a format become text is `extraction`. Names
that start with a dot are not part of a corpus.
"""

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from aiops_pipelines.rag.chunking import title
from aiops_pipelines.resources.extraction import EXTRACTORS, UnreadableFile
from aiops_pipelines.systems import Corpus

PLAIN = "folder"
"""Label of a corpus that is a plain folder."""
MAX_BYTES = 20 * 1024 * 1024


class CorpusError(ValueError):
    """A corpus folder cannot be used; the message says what to change."""


class NotNow(UnreadableFile):
    """A file cannot be read at this moment; the same bytes may be readable at the next."""


@dataclass(frozen=True)
class File:
    """A file as its folder lists it, nothing of it read: path under the corpus folder and on the disk."""

    document: str
    path: str
    size_bytes: int
    modified_ns: int


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
    found = sorted((file.path, file.size_bytes, file.modified_ns) for file in _files(folder, ""))
    return hashlib.sha256(repr(found).encode()).hexdigest()


def listing(folder: Path) -> list[File]:
    """Return every file under a folder, sorted by path, at the price of one look at its entry.

    Raises:
        CorpusError: the folder does not exist or holds no file.
    """
    if not folder.is_dir() or not (files := list(_files(folder, ""))):
        raise CorpusError(f"The corpus folder {folder} is missing or empty; put documents into it.")
    return sorted(files, key=lambda file: file.path)


def read(folder: Path) -> tuple[list[Document], list[Skipped]]:
    """Return the documents under a folder and the files set aside, both sorted by path.

    Raises:
        CorpusError: the folder does not exist or holds no file.
    """
    documents: list[Document] = []
    skipped: list[Skipped] = []
    root = folder.resolve()
    for file in listing(folder):
        try:
            documents.append(document(file, content(file, root)))
        except UnreadableFile as error:
            skipped.append(Skipped(file.document, str(error)))
    return documents, skipped


def content(file: File, root: Path) -> bytes:
    """Return the bytes of a file of the corpus folder `root` (resolved).

    Raises:
        UnreadableFile: it must not be opened, or cannot be.
    """
    path = Path(file.path)
    if reason := _refusal(path, root):
        raise UnreadableFile(reason)
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotNow(f"It cannot be opened: {error.strerror}.") from error


def document(file: File, data: bytes) -> Document:
    """Return the document that a file's bytes hold.

    Raises:
        UnreadableFile: they hold none, or the file changed since it was listed.
    """
    path = Path(file.path)
    kind, extract = EXTRACTORS[path.suffix.lower()]
    text = _extracted(path, data, extract)
    try:
        now = path.stat()
    except OSError as error:
        raise NotNow(f"It cannot be opened: {error.strerror}.") from error
    if (file.size_bytes, file.modified_ns) != (now.st_size, now.st_mtime_ns):
        raise NotNow("It changed while it was read; the next run reads it.")
    if not text.strip():
        raise UnreadableFile("It holds no text.")
    return Document(file.document, kind, title(text) or path.stem, text, hashlib.sha256(data).hexdigest())


def _extracted(path: Path, data: bytes, extract: Callable[[bytes], str]) -> str:
    try:
        return extract(data)
    except (UnreadableFile, ImportError):
        raise
    except Exception as error:  # a parser may raise anything on hostile bytes
        kind = path.suffix.lower().lstrip(".").upper()
        raise UnreadableFile(f"It is damaged or not {kind} ({type(error).__name__}).") from error


def _files(folder: Path | str, prefix: str) -> Iterator[File]:
    """Yield everything under a folder that is no folder, and folders that are links or cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    yield from _files(entry.path, f"{prefix}{entry.name}/")
                else:
                    yield _file(entry, prefix)
    except OSError:
        yield File(_name(prefix.rstrip("/")), str(folder), 0, 0)


def _file(entry: os.DirEntry[str], prefix: str) -> File:
    try:
        status = entry.stat()  # of what a link leads to, for that is what is read
        size_bytes, modified_ns = status.st_size, status.st_mtime_ns
    except OSError:
        size_bytes, modified_ns = 0, 0  # a link to nowhere, or gone since; reading it says so
    return File(_name(prefix + entry.name), entry.path, size_bytes, modified_ns)


def _name(path: str) -> str:
    return path.encode("utf-8", "replace").decode()


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
