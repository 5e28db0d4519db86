"""Giving a finished file its name, so that a crash or a full disk leaves the old one or the new one.

A name is durable once its folder is synced, the bytes of a file once the file is.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

UNFINISHED = ".new"


def keep_first(fresh: Path, target: Path) -> None:
    """Move a finished file to its name, unless another process was faster: then that one's file stays."""
    try:
        os.link(fresh, target)  # unlike a rename, it fails where the name is taken
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        os.replace(fresh, target)
    fresh.unlink(missing_ok=True)
    sync_folder(target.parent)


def write_whole(target: Path, content: bytes) -> None:
    """Write a file as a whole, durably.

    Raises:
        OSError: it could not be kept; the old one stays, or this one is there, but perhaps not for good.
    """
    write_all(target.parent, {target.name: content})


def write_all(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files by path below a folder, each under another name first; their names are synced at the end.

    Raises:
        OSError: one could not be kept; it is named.
    """
    targets = {folder / name: content for name, content in files.items()}
    for target, content in targets.items():
        fresh = target.with_name(f"{target.name}{UNFINISHED}")
        make_folder(target.parent)
        write_durably(fresh, content)
        os.replace(fresh, target)
    for parent in dict.fromkeys(target.parent for target in targets):
        sync_folder(parent)


def write_durably(file: Path, content: bytes, mode: int = 0o666) -> None:
    """Write bytes to a file and to the disk; what could not be written whole is taken away."""
    try:
        with _named(file), os.fdopen(os.open(file, _ANEW, mode), "wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
    except OSError:
        file.unlink(missing_ok=True)
        raise


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Make a folder and those it lies in, durably."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True, mode=mode)
    for one in missing:
        sync_folder(one.parent)


def sync_folder(folder: Path) -> None:
    """Make durable which names a folder has."""
    with _named(folder):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


_ANEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


@contextmanager
def _named(file: Path) -> Iterator[None]:
    """Say which file it was: what fails after a file was opened does not."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(file)) from error


def sweep(room: Path, prefix: str) -> None:
    """Remove the folders that killed processes left; after the prefix their names begin with its number."""
    for folder in room.iterdir():
        name = folder.name
        if name.startswith(prefix) and _ended(name.removeprefix(prefix).partition("-")[0]):
            shutil.rmtree(folder, ignore_errors=True)


def _ended(number: str) -> bool:
    try:
        os.kill(int(number), 0)
    except (ValueError, OverflowError, ProcessLookupError):
        return True
    except PermissionError:  # of another user
        return False
    return False
