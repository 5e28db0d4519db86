"""Giving a finished file its name, which several processes may be making, and keeping names durable."""

import os
import shutil
from pathlib import Path


def keep_first(fresh: Path, target: Path) -> None:
    """Move a finished file to its name, unless another process was faster: then that one's file stays."""
    try:
        os.link(fresh, target)  # unlike a rename, it fails where the name is taken
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        os.replace(fresh, target)
    fresh.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make durable which names a folder has."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
