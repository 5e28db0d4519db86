"""Giving a finished file its name when several processes may be making it at once."""

import os
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
