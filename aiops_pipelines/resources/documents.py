"""A corpus listed and read into documents; a file that cannot be read is named with its reason.

Where files come from is `sources`, how bytes of a format become text is `extraction`; what is refused
wherever it lies is decided here. Names that start with a dot are not part of a corpus.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from aiops_pipelines.rag.blocks import title
from aiops_pipelines.rag.garbled import garbled_characters
from aiops_pipelines.rag.index_settings import Corpus
from aiops_pipelines.resources.extraction import FORMATS, extract
from aiops_pipelines.resources.languages import language
from aiops_pipelines.resources.sources.base import MAX_BYTES, Content, CorpusError, File, Source
from aiops_pipelines.resources.sources.folder import Folder
from aiops_pipelines.resources.sources.git import GitRevision
from aiops_pipelines.resources.sources.objects import Objects
from aiops_pipelines.resources.unreadable import NotNow, UnreadableFile

__all__ = ["Content", "CorpusError", "File", "NotNow", "UnreadableFile"]

PLAIN = "folder"
"""Label of a corpus without dates."""
MAX_NAME_BYTES = 255


@dataclass(frozen=True)
class Document:
    """A readable document: its name in the source (with slashes), its text and the SHA-256 of its bytes.

    `language` is an ISO 639-1 code, or none where too little is said to tell; `garbled` is how many
    characters look like text that was decoded wrongly.
    """

    document: str
    format: str
    title: str
    text: str
    document_hash: str
    language: str | None = None
    garbled: int = 0


@dataclass(frozen=True)
class Skipped:
    """A file that was not read, and why, in a sentence; `standing` when an older version of it stays."""

    document: str
    reason: str
    standing: bool = False


@dataclass(frozen=True)
class Snapshot:
    """One state of a corpus: the dated folder's name, or `folder` for one without dates, and its source."""

    label: str
    valid_from: datetime | None
    source: Source
    quarantine: tuple[str, ...] = ()


def snapshots(corpus: Corpus, now: datetime | None = None) -> list[Snapshot]:
    """Return the states of a corpus, the oldest first: one per ISO-dated folder, or the source itself.

    With `now` those that are still to come are left out; without any other they are all there is.

    Raises:
        CorpusError: the folder is missing or empty, or a dated corpus holds a folder that is not a date.
    """
    aside = corpus.quarantine
    if corpus.git:
        inside = corpus.folder.as_posix() if corpus.folder else ""
        return [Snapshot(PLAIN, None, GitRevision(corpus.git, corpus.revision, inside, corpus.copies), aside)]
    if corpus.url:
        return [Snapshot(PLAIN, None, Objects(corpus.url, corpus.options), aside)]
    assert corpus.folder  # one of the three is given
    entries = _entries(corpus.folder)
    if not corpus.dated:
        return [Snapshot(PLAIN, None, Folder(corpus.folder), aside)]
    found = [Snapshot(entry.name, _midnight(entry), Folder(entry), aside) for entry in entries]
    begun = [one for one in found if not (now and one.valid_from and one.valid_from > now)]
    return sorted(begun or found, key=lambda snapshot: snapshot.label)


def _entries(folder: Path) -> list[Path]:
    """Return what lies in a corpus folder, names that start with a dot left out."""
    try:
        if folder.exists() and not folder.is_dir():
            raise CorpusError(
                f"{folder} is a file and no folder; change corpus.folder to the folder it is in."
            )
        if not folder.is_dir():
            raise CorpusError(
                f"The corpus folder {folder} does not exist; create it or change corpus.folder."
            )
        entries = [entry for entry in sorted(folder.iterdir()) if not entry.name.startswith(".")]
    except OSError as error:
        said = f"The corpus folder {folder} cannot be listed: {error.strerror}"
        raise CorpusError(f"{said}; let it be read, or change corpus.folder.") from error
    if not entries:
        raise CorpusError(f"The corpus folder {folder} is empty; put documents into it.")
    return entries


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


def fingerprint(snapshot: Snapshot) -> str:
    """Return what is equal between two looks at a state when nothing moved and nothing else is kept out.

    Raises:
        CorpusError: the source cannot be reached.
    """
    return hashlib.sha256(repr((snapshot.source.state(), snapshot.quarantine)).encode()).hexdigest()


def listing(snapshot: Snapshot) -> list[File]:
    """Return every file of a state, sorted by name and nothing of it read; those not to be read say why.

    Raises:
        CorpusError: the source cannot be reached or holds no file.
    """
    files = sorted(snapshot.source.files(), key=lambda file: file.document)
    if not files:
        place = snapshot.source.place
        raise CorpusError(
            f"{place[0].upper()}{place[1:]} is missing or holds no document; put documents there."
        )
    return list(_refused(files, snapshot.quarantine))


def content(snapshot: Snapshot, file: File) -> Content:
    """Return the bytes of a listed file.

    Raises:
        UnreadableFile: it must not be read, or cannot be; `NotNow` when the next run may.
    """
    if file.refusal:
        raise UnreadableFile(file.refusal)
    return snapshot.source.content(file)


def document(file: File, data: bytes) -> Document:
    """Return the document that a file's bytes hold.

    Raises:
        UnreadableFile: they hold none.
    """
    name = PurePosixPath(file.document)
    text = extract(name.suffix.lower(), data)
    if not text.strip():
        raise UnreadableFile("It holds no text.")
    return Document(
        file.document,
        FORMATS[name.suffix.lower()].name,
        title(text) or name.stem,
        text,
        hashlib.sha256(data).hexdigest(),
        language(text),
        garbled_characters(text),
    )


def read(snapshot: Snapshot) -> tuple[list[Document], list[Skipped]]:
    """Return the documents of a state and the files set aside, both sorted by name.

    Raises:
        CorpusError: the source cannot be reached or holds no file.
    """
    documents: list[Document] = []
    skipped: list[Skipped] = []
    for file in listing(snapshot):
        try:
            documents.append(document(file, content(snapshot, file).data))
        except UnreadableFile as error:
            skipped.append(Skipped(file.document, str(error)))
    return documents, skipped


def _refused(files: list[File], quarantine: tuple[str, ...]) -> Iterator[File]:
    names: dict[str, str] = {}
    for file in files:
        one = names.setdefault(unicodedata.normalize("NFC", file.document).casefold(), file.document)
        alike = f"Its name differs from {one} in case or Unicode form alone; rename one."
        clash = "" if one == file.document else alike
        reason = file.refusal or clash or _refusal(file, quarantine)
        yield replace(file, refusal=reason) if reason else file


def quarantined(name: str, patterns: tuple[str, ...]) -> str:
    """Return the sentence that keeps a document out by a pattern of the system's file, or nothing."""
    pattern = next((one for one in patterns if fnmatchcase(name, one)), None)
    return f"It is in quarantine, by {pattern} of corpus.quarantine." if pattern else ""


def _refusal(file: File, quarantine: tuple[str, ...]) -> str:
    """Return why a file is not read wherever it lies, or nothing when it may be."""
    name, ending = file.document, PurePosixPath(file.document).suffix.lower()
    if kept_out := quarantined(name, quarantine):
        return kept_out
    if not name.isprintable() and any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
        return "Its name holds control characters; rename it."
    if name.startswith("/") or "\\" in name or {"", ".", ".."} & set(name.split("/")):
        return "Its name leads out of the corpus; rename it."
    if any(len(part.encode()) > MAX_NAME_BYTES for part in name.split("/")):
        return f"Its name is longer than {MAX_NAME_BYTES} bytes; shorten it."
    if ending not in FORMATS:
        return f"Its format {ending or '(no ending)'} is not read; use one of {', '.join(FORMATS)}."
    if not file.size_bytes:
        return "It is empty."
    if file.size_bytes > MAX_BYTES:
        return f"It has {file.size_bytes / 2**20:.0f} MB, more than {MAX_BYTES // 2**20} MB; split it."
    return ""
