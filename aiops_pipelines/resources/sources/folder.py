"""A folder as a source; nothing outside it is ever opened, whatever its links say and whenever."""

import errno
import hashlib
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from aiops_pipelines.resources.sources.base import LAST_NS, MAX_BYTES, TOO_BIG, Content, File, moment
from aiops_pipelines.resources.unreadable import CHANGED, VANISHED, NotNow, UnreadableFile

ATTEMPTS = 3
PAUSE_S = 0.02
BAD_NAME = "Its name is not valid UTF-8; rename it."
LEAVES = "It is a link that leaves the corpus folder; put the document itself there."
NOWHERE = "It is a link that leads nowhere, or cannot be reached."
CLOSED = "It cannot be listed now; let it be read."
NO_FILE = "It is not a file but a link to a folder or a device; put the documents there."


@dataclass(frozen=True)
class Folder:
    """A folder with everything below it."""

    path: Path

    @property
    def place(self) -> str:
        """The folder's path."""
        return f"the corpus folder {self.path}"

    def state(self) -> str:
        """Return a hash of the listing."""
        found = sorted((f.document, f.size_bytes, f.modified_ns, f.refusal) for f in self.files())
        return hashlib.sha256(repr(found).encode()).hexdigest()

    def files(self) -> list[File]:
        """Return every file below the folder, with size and modification time; a link with its target's."""
        return list(_walk(str(self.path), self._root))

    def author(self, document: str) -> None:
        """Nobody is named here."""

    def content(self, file: File) -> Content:
        """Return the bytes of a file; one that changes while it is read is tried again."""
        for attempt in range(ATTEMPTS):
            try:
                return self._read(file.document)
            except FileNotFoundError as error:
                failure = NotNow(VANISHED)
                failure.__cause__ = error
            except NotNow as error:
                failure = error
            except OSError as error:
                if error.errno in (errno.ELOOP, errno.ENOTDIR):  # a link took its place after it was listed
                    raise UnreadableFile(LEAVES) from error
                raise NotNow(f"It cannot be opened: {error.strerror}.") from error
            if attempt < ATTEMPTS - 1:
                time.sleep(PAUSE_S)
        raise failure

    @cached_property
    def _root(self) -> str:
        return os.path.realpath(self.path)

    def _read(self, name: str) -> Content:
        with os.fdopen(_open(self._root, name), "rb") as stream:
            before = os.fstat(stream.fileno())
            if not stat.S_ISREG(before.st_mode):
                raise UnreadableFile(NO_FILE)
            data = stream.read(min(before.st_size, MAX_BYTES) + 1)  # one more shows a file that grew
            after = os.fstat(stream.fileno())
        if len(data) > MAX_BYTES:
            raise UnreadableFile(TOO_BIG)
        if (before.st_size, before.st_mtime_ns) != (len(data), after.st_mtime_ns):
            raise NotNow(CHANGED)
        return Content(data, moment(after.st_mtime_ns))


def _walk(top: str, root: str) -> Iterator[File]:
    folders, skip = [top], len(top.rstrip(os.sep)) + 1
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as listed:
                entries = list(listed)
        except OSError:
            if folder != top:
                yield File(_name(folder[skip:]), refusal=CLOSED, closed=True)
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
            else:
                yield _file(entry, entry.path[skip:], root)


def _file(entry: "os.DirEntry[str]", path: str, root: str) -> File:
    name = _name(path)
    if name != path:
        return File(name, refusal=BAD_NAME)
    try:
        status = entry.stat()  # of what a link leads to, for that is what would be read
    except OSError:
        return File(name, refusal=NOWHERE)
    if entry.is_symlink() and not os.path.realpath(entry.path).startswith(root + os.sep):
        return File(name, refusal=LEAVES)
    if not stat.S_ISREG(status.st_mode):
        return File(name, refusal=NO_FILE)
    known = abs(status.st_mtime_ns) <= LAST_NS  # else it is opened every time
    return File(name, status.st_size, status.st_mtime_ns if known else 0)


def _name(path: str) -> str:
    return path.encode("utf-8", "replace").decode()


def _open(root: str, name: str) -> int:
    """Open a file of a folder; only a name with a link in it has to be looked up first."""
    parts = name.split("/")
    if not {"", ".", ".."} & set(parts):
        try:
            return _open_below(root, parts)
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                raise
    real = os.path.realpath(os.path.join(root, name))
    if not real.startswith(root + os.sep):
        raise UnreadableFile(LEAVES)
    return _open_below(root, real[len(root) + 1 :].split(os.sep))


def _open_below(root: str, parts: list[str]) -> int:
    """Open a file below a folder, following no link on the way and waiting for no pipe."""
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parts[:-1]:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        return os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    finally:
        os.close(folder)
