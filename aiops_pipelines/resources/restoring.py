"""A backup brought back into an empty data folder, or refused: damaged, over other data, or overtaken.

A log that is shorter than what others know of it must not be signed on: that would be a second history. Who
wants the older state all the same gets it with the newer checkpoint beside it, so that nothing is signed
until the missing entries are put back (`log_rest`).
"""

import errno
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aiops_pipelines.compliance.backup import MANIFEST, BackupDamaged, Copied, Manifest, read_manifest, whole
from aiops_pipelines.compliance.checkpoint import Checkpoint
from aiops_pipelines.compliance.key_history import KeyHistory, NotInForce
from aiops_pipelines.compliance.merkle import roots_at
from aiops_pipelines.compliance.quorum import Heard, cosigners
from aiops_pipelines.compliance.signed_note import NoteInvalid
from aiops_pipelines.project import Project
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.audit_signing import origin
from aiops_pipelines.resources.backups import KEYS, BackupError, copied
from aiops_pipelines.resources.first_file import sweep, sync_folder, write_whole
from aiops_pipelines.resources.keys import Keys
from aiops_pipelines.resources.published import working
from aiops_pipelines.resources.witnesses import hear_all
from aiops_pipelines.systems import SystemFileError, load_system
from aiops_pipelines.wording import count, listed

RESTORING = "restoring-"
YOURS = ("corpus", "inference_log", "stories")
"""Folders that no backup holds, and that may be there when one is restored; so may keys that it lacks."""
WAY_ON = (
    "A log that is restored to an older state is not signed: that would be a second history. Restore a newer "
    "backup if there is one. With --older this one is restored all the same, and nothing of such a log is "
    "signed, deleted or erased until `aiops audit complete` has put back what is missing, from the folder "
    "audit of the data folder that was lost, a newer backup or an auditor's bundle."
)


class Overtaken(BackupError):
    """A backup whose log is shorter than what others know of it."""


@dataclass
class Restored:
    """What a restore did: what others know beyond it, by system, and witnesses that did not answer."""

    manifest: Manifest
    ahead: dict[str, str] = field(default_factory=dict)
    silent: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Ahead:
    system: str
    sentence: str
    signed: Checkpoint | None
    note: str


def opened(folder: Path) -> Manifest:
    """Return the manifest of a backup.

    Raises:
        BackupDamaged: there is none, or it cannot be trusted.
    """
    try:
        return read_manifest((folder / MANIFEST).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise BackupDamaged(f"{folder} is no backup: it has no {MANIFEST}, which is written last.") from None


def staged(folder: Path, manifest: Manifest, target: Path) -> None:
    """Copy a backup's files into a folder, each held against the manifest on the way.

    Raises:
        BackupDamaged: files differ; each is named.
        OSError: there is no room for them.
    """
    there = {name for name in _regular(folder) if name != MANIFEST}
    found: dict[str, Copied] = {name: Copied(sha256="", bytes=0) for name in there - manifest.files.keys()}
    for name in sorted(there & manifest.files.keys()):
        try:
            found[name] = copied(folder / name, target, name)
        except OSError as error:
            if error.errno not in (errno.EIO, errno.EACCES):
                raise
            found[name] = Copied(sha256=f"unreadable: {error.strerror}", bytes=manifest.files[name].bytes)
    whole(manifest, found)


def _regular(folder: Path) -> Iterator[str]:
    for root, _, names in os.walk(folder):
        for name in names:
            file = Path(root) / name
            if file.is_file() and not file.is_symlink():
                yield file.relative_to(folder).as_posix()


def restore(
    project: Project, folder: Path, kept: Mapping[str, Sequence[str]], older: bool = False
) -> Restored:
    """Bring a backup back into an empty data folder.

    Args:
        project: where to.
        folder: the backup.
        kept: signed notes that somebody kept elsewhere, by system.
        older: take it also where others know more of a log.

    Raises:
        BackupDamaged: files differ from the manifest.
        Overtaken: witnesses or kept notes know more of a log, or another one.
        BackupError: there is data already, or no room.
    """
    manifest = opened(folder)
    pieces = sorted({name.partition("/")[0] for name in manifest.files})
    _empty(project.data, pieces)
    restored = Restored(manifest)
    try:
        project.data.mkdir(mode=0o700, parents=True, exist_ok=True)  # whose data they are is not known here
        sweep(project.data, RESTORING)
        stage = project.data / f"{RESTORING}{os.getpid()}"
        stage.mkdir(mode=0o700)
        try:
            staged(folder, manifest, stage)
            ahead = list(_ahead(project, stage, manifest, kept, restored.silent))
            if ahead:
                _overtaken(ahead, older)
                restored.ahead = _remembered(stage, ahead)
            last = project.warehouse.parent.name  # nothing was restored until the warehouse is there
            for piece in sorted(os.listdir(stage), key=lambda name: name == last):
                os.rename(stage / piece, project.data / piece)
            sync_folder(project.data)
        finally:
            shutil.rmtree(stage, ignore_errors=True)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise BackupError(
            f"Nothing was restored: {where}{error.strerror}. Make room on the disk if it is full."
        ) from error
    return restored


def _empty(data: Path, pieces: Sequence[str]) -> None:
    """Make sure that nothing is written over.

    Raises:
        BackupError: something is there.
    """
    if not data.exists():
        return
    allowed = {*YOURS, KEYS} - {*pieces}
    there = [file.name for file in sorted(data.iterdir()) if not file.name.startswith(RESTORING)]
    if taken := [name for name in there if name not in allowed]:
        raise BackupError(
            f"{data} holds {listed(taken)} already, and a backup is restored over nothing. Move the folder "
            "away and keep it: its audit log may be newer than the backup."
        )


def _ahead(
    project: Project, stage: Path, manifest: Manifest, kept: Mapping[str, Sequence[str]], silent: list[str]
) -> Iterator[_Ahead]:
    """Yield what witnesses and kept notes know of a log beyond the backup, or against it."""
    copy = Project(stage)
    books = working(copy)
    keys = Keys(copy.keys if manifest.with_keys else project.keys)
    for system in manifest.logs:
        rows = books.read(
            "select entry_index, leaf_hash from compliance.audit_log where system = ?", [system]
        )
        hash_at = dict(rows.iter_rows())
        signing = AuditBook(copy, books, keys).signing(system)
        history = signing.history()[0] if hash_at or signing.known_key() else None
        notes = [("A checkpoint that was kept", note) for note in kept.get(system, ())]
        for heard in _heard(project, stage, system):
            if heard.failure:
                silent.append(heard.failure)
            elif heard.note:
                notes.append((heard.name, heard.note))
        for who, note in notes:
            if found := _beyond(system, who, note, hash_at, history):
                yield found


def _heard(project: Project, stage: Path, system: str) -> Iterator[Heard]:
    """Yield what the witnesses of a system say; a checkpoint that one did not cosign is none of its own."""
    try:
        policy = load_system(stage / "systems" / f"{system}.yaml", project.data).witnesses
    except (SystemFileError, FileNotFoundError):
        return
    for heard in hear_all(policy, origin(system)):
        if heard.note and heard.name not in cosigners(heard.note, policy):
            heard = Heard(heard.name, failure=f"{heard.name} showed a checkpoint that it did not cosign.")
        yield heard


def _beyond(
    system: str, who: str, note: str, hash_at: Mapping[int, bytes], history: KeyHistory | None
) -> _Ahead | None:
    size = len(hash_at)
    try:
        if history is None:
            raise NoteInvalid("the log is empty, and no key of it is here")
        signed = history.verify(note)
    except NotInForce as error:
        signed = error.signed
    except NoteInvalid:
        said = f"{who} vouches for entries of {system} under a key that this backup does not know."
        return _Ahead(system, said, None, note)
    if signed.size > size:
        said = (
            f"{who} vouches for {count(signed.size)} entries of {system}, and the backup holds {count(size)}."
        )
        return _Ahead(system, said, signed, note)
    if signed.size and roots_at(hash_at, [signed.size]).get(signed.size) != signed.root:
        said = f"The first {count(signed.size)} entries of {system} are not those that {who} vouches for."
        return _Ahead(system, said, None, note)
    return None


def _overtaken(ahead: Sequence[_Ahead], older: bool) -> None:
    said = " ".join(one.sentence for one in ahead)
    if any(one.signed is None for one in ahead):
        raise Overtaken(
            f"{said} It is not restored, for nothing would keep another history from being signed."
        )
    if not older:
        raise Overtaken(f"{said} {WAY_ON}")


def _remembered(stage: Path, ahead: Sequence[_Ahead]) -> dict[str, str]:
    """Put the newest checkpoint that is known beside each overtaken log: signing is refused until it fits."""
    newest: dict[str, _Ahead] = {}
    for one in ahead:
        before = newest.get(one.system)
        if one.signed and (before is None or before.signed is None or before.signed.size < one.signed.size):
            newest[one.system] = one
    for system, one in newest.items():
        write_whole(stage / "audit" / system / "checkpoint", one.note.encode())
    return {system: one.sentence for system, one in newest.items()}
