"""What every source of documents does: list its files cheaply, and hand over the bytes of one of them.

What a file's bytes mean is `extraction`; which files are refused wherever they lie is `documents`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from aiops_pipelines.mendable import Mendable

MAX_BYTES = 20 * 1024 * 1024
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_NS = 2**63 - 1
"""The last time that 64 bits hold, of the year 2262; a file can say a later one, which no date can."""
TOO_BIG = f"It has more than {MAX_BYTES // 2**20} MB; split it."


class CorpusError(Mendable, ValueError):
    """A corpus cannot be used; the message says what to change."""


@dataclass(frozen=True, slots=True)
class File:
    """One file as its source lists it, nothing of it read: its name, with slashes, and what shows it moved.

    `etag` is what the source itself calls this content: a git blob, an object's etag; empty in a folder.
    `refusal` is the sentence that says why it is not read; empty for a file that may be. A `closed` one is a
    folder or file that could not be looked at: what was known of it stands.
    """

    document: str
    size_bytes: int = 0
    modified_ns: int = 0
    etag: str = ""
    refusal: str = ""
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a file, when the source last changed it and what the source calls that version."""

    data: bytes
    modified_at: datetime | None = None
    version: str | None = None


class Source(Protocol):
    """A place documents come from."""

    @property
    def place(self) -> str:
        """Where that is, in words for a sentence; never with credentials."""

    def state(self) -> str:
        """Return what is equal as long as nothing moved, as cheaply as the source allows.

        Raises:
            CorpusError: the source cannot be reached.
        """

    def files(self) -> list[File]:
        """Return every file, without opening one; those whose name starts with a dot are left out.

        Raises:
            CorpusError: the source cannot be reached.
        """

    def content(self, file: File) -> Content:
        """Return the bytes of a file that was listed: whole, of one moment, and no more than `MAX_BYTES`.

        Raises:
            UnreadableFile: they cannot be had; `NotNow` when the next run may have them.
            CorpusError: the source cannot be reached.
        """

    def author(self, document: str) -> str | None:
        """Return the name of whoever brought a document to its present content, where the source keeps it."""


def moment(ns: int) -> datetime | None:
    """Return a time in ns since 1970, or None for one that is beyond what can be stored."""
    return EPOCH + timedelta(microseconds=ns // 1000) if abs(ns) <= LAST_NS else None


def hidden(name: str) -> bool:
    """Return whether any part of a name starts with a dot."""
    return name.startswith(".") or "/." in name
