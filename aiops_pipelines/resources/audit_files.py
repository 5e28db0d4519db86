"""The audit log's files in C2SP tlog-tiles layout: tiles and entry bundles, checkpoints, verifier key.

Every file is written durably and as a whole, so a crash leaves the old file or the new one.
What is written in them is `compliance.tiles` and `compliance.checkpoint`.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from aiops_pipelines.resources.first_file import UNFINISHED, write_all


class _Files(Mapping[str, bytes]):
    """Contents of files below a folder: the bundles of a log are as large as the log."""

    def __init__(self, folder: Path, names: Sequence[str]):
        self._folder, self._names = folder, dict.fromkeys(names)

    def __getitem__(self, name: str) -> bytes:
        if name not in self._names:
            raise KeyError(name)
        return (self._folder / name).read_bytes()

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class AuditFiles:
    """One system's published log below a folder."""

    def __init__(self, folder: Path):
        self.folder = folder

    def tiles(self) -> Mapping[str, bytes]:
        """Return all tile files by path, such as `tile/0/000`; one is read when it is asked for."""
        found = (f for f in self.folder.glob("tile/**/*") if f.is_file() and f.suffix != UNFINISHED)
        return _Files(self.folder, [f.relative_to(self.folder).as_posix() for f in found])

    def checkpoints(self) -> dict[str, str]:
        """Return every signed checkpoint kept by its path, the smallest first."""
        files = (self.folder / "checkpoints").glob("*.note")
        by_size = sorted(files, key=lambda file: (len(file.stem), file.stem))
        return {
            f"checkpoints/{file.name}": file.read_text(encoding="utf-8", errors="replace") for file in by_size
        }

    def newest(self) -> list[str]:
        """Return the newest checkpoint as it is handed out, if there is one."""
        file = self.folder / "checkpoint"
        return [file.read_text(encoding="utf-8", errors="replace")] if file.is_file() else []

    def key(self) -> str:
        """Return the verifier key as it is handed out; empty if it is not there."""
        file = self.folder / "keys.txt"
        return file.read_text(encoding="utf-8", errors="replace").strip() if file.is_file() else ""

    def write(self, files: Mapping[str, bytes]) -> None:
        """Write files by path below the folder, each durably and as a whole."""
        write_all(self.folder, files)

    def publish(self, size: int, note: str, vkey: str) -> None:
        """Keep a signed checkpoint and make it the newest one."""
        text = note.encode()
        self.write({f"checkpoints/{size}.note": text, "keys.txt": f"{vkey}\n".encode(), "checkpoint": text})
