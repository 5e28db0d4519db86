"""The rest of a log: entries that an older warehouse lacks, put back from files that were published of it.

Tile files, an auditor's bundle and a newer backup hold every entry that was signed, byte for byte. Only what
a key of this log signed is taken, and an entry that the log got in the meantime and nobody signed comes
after it. People whom the entries say were erased are erased again.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
from pathlib import Path

import polars as pl

from aiops_pipelines.compliance import audit_log as log
from aiops_pipelines.compliance import checkpoint, leaf
from aiops_pipelines.compliance.audit_entry import decision_entry
from aiops_pipelines.compliance.checkpoint import Checkpoint
from aiops_pipelines.compliance.decided import COMPLETED
from aiops_pipelines.compliance.erasure import ERASED as ERASED_KEY
from aiops_pipelines.compliance.key_history import KeyHistory, NotInForce, key_history
from aiops_pipelines.compliance.merkle import leaf_hash, root_hash, roots_at
from aiops_pipelines.compliance.retention import ERASED, Deletions
from aiops_pipelines.compliance.signed_note import NoteInvalid, split
from aiops_pipelines.compliance.tiles import ENTRIES, WIDTH, TileInvalid, leaves, parse_path
from aiops_pipelines.mendable import Mendable
from aiops_pipelines.project import Project
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.audit_files import AuditFiles
from aiops_pipelines.resources.audit_signing import CHECKPOINTS
from aiops_pipelines.resources.erasing import Eraser, Outcome, Request
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System, load_systems
from aiops_pipelines.wording import count

LOG = "compliance.audit_log"
AGAIN = "Erased before, as the log says, and back with an older state of the tables."
BACK = f"""
    select distinct coalesce(calls.user_id, traces.user_id) as user_id
    from {LOG} as log inner join inference_log.inferences as calls using (system, event_id)
    left join inference_log.traces as traces using (system, trace_id)
    where system = $1 and entry_index in (select unnest($2))
    and not starts_with(coalesce(calls.user_id, traces.user_id), '{ERASED_KEY}') order by user_id
"""


class NotCompleted(Mendable, RuntimeError):
    """A log that cannot be completed from a folder; the message says why."""


@dataclass
class Completed:
    """What was put back: entries, unsigned ones that follow them now, and people erased again."""

    size: int
    put_back: int = 0
    moved: int = 0
    erased: list[Outcome] = field(default_factory=list)


def complete(
    project: Project,
    warehouse: Warehouse,
    book: AuditBook,
    system: System,
    folder: Path | None,
    by: str,
    clock: datetime,
    publish: Callable[[], object],
) -> Completed:
    """Put the entries back that a log lacks, sign it, and erase again whom they say was erased.

    Args:
        project: where the log is.
        warehouse: its tables.
        book: the audit logs.
        system: whose log.
        folder: data/audit or its folder of the system, a bundle or a backup; else what is published here.
        by: who decides.
        clock: the time, UTC.
        publish: makes the copy for analysts anew.

    Raises:
        NotCompleted: nobody decides, or what is in the folder is not the rest of this log.
        SigningKeyMissing, LogForked: the log cannot be signed all the same.
    """
    if not by.strip():
        raise NotCompleted("A log is completed by somebody: --by NAME.")
    name = system.name
    book.whole_keys(name)
    signing = book.signing(name)
    source = _source(project, name, folder)
    signed, said, note, history = _signed(source, signing.known_key(), name)
    done = Completed(signed.size)
    stored = warehouse.read(
        f"select entry_index, entry_id, leaf, leaf_hash from {LOG} where system = ? order by 1", [name]
    )
    mine = stored["leaf"].to_list()
    common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(mine, said, strict=False)))
    notes = [*signing.files.checkpoints().values(), *signing.files.newest()]
    notes += warehouse.rows(CHECKPOINTS, system=name)["note"].to_list()
    _one_history(name, common, mine, said, notes, history)
    if common < signed.size:
        done.put_back, done.moved = signed.size - common, stored.height - common
        _put_back(warehouse, book, system, stored, said, common, by.strip(), clock, done)
        signing.files.write({f"checkpoints/{signed.size}.note": note.encode()})
        book.sign(name, system.now(clock))
    done.erased = _erase_again(project, warehouse, book, system, by.strip(), clock, publish)
    return done


def _source(project: Project, system: str, folder: Path | None) -> AuditFiles:
    if folder is None:
        return AuditFiles(project.audit / system)
    inside = (folder / "audit" / system, folder / system)  # of a backup or a data folder, or of its audit
    return AuditFiles(next((place for place in inside if place.is_dir()), folder))


def _signed(source: AuditFiles, vkey: str, system: str) -> tuple[Checkpoint, list[bytes], str, KeyHistory]:
    """Return the checkpoint of published files, the entries under it, its note, and the keys they name.

    Raises:
        NotCompleted: there is none, entries are missing or changed, or it is another log's.
    """
    note = next(iter(source.newest()), "")
    if not note:
        raise NotCompleted(f"{source.folder} holds no checkpoint of {system}.")
    try:
        claimed = checkpoint.parse(split(note)[0])
        said = _entries(source, claimed.size)
        history = key_history(enumerate(said), vkey)[0]
        signed = history.verify(note)
    except (NoteInvalid, TileInvalid) as error:
        raise NotCompleted(f"{source.folder} does not hold the log of {system}: {error}") from None
    if root_hash([leaf_hash(each) for each in said]) != signed.root:
        raise NotCompleted(f"Entries in {source.folder} are not those that its checkpoint signs.")
    return signed, said, note, history


def _entries(source: AuditFiles, size: int) -> list[bytes]:
    """Return the first entries of a log from its bundles; of two of one place the longer one is read."""
    found: dict[int, bytes] = {}
    for name, content in source.tiles().items():
        level, number, _ = parse_path(name)
        if level == ENTRIES:
            found |= {index: one for index, one in enumerate(leaves(content), number * WIDTH) if index < size}
    if missing := size - len(found):
        raise TileInvalid(f"{count(missing)} of the {count(size)} entries that it signs are missing.")
    return [found[index] for index in range(size)]


def _one_history(
    system: str,
    common: int,
    mine: Sequence[bytes],
    said: Sequence[bytes],
    notes: Sequence[str],
    history: KeyHistory,
) -> None:
    """Make sure that only one of the two was signed beyond what both begin with, and no third one was.

    Raises:
        NotCompleted: more than one was, or more is vouched for than the folder holds.
    """
    known: dict[str, Checkpoint] = {}
    for note in notes:
        with suppress(NoteInvalid):  # `aiops audit verify` reports it
            known[note] = checkpoint.parse(split(note)[0])
    sizes = [one.size for one in known.values()]
    ours, theirs = (
        roots_at({index: leaf_hash(each) for index, each in enumerate(leaves_of)}, sizes)
        for leaves_of in (mine, said)
    )
    lacking = common < len(said)
    for note, one in known.items():
        own = ours.get(one.size) == one.root
        if lacking and own and one.size > common:
            raise NotCompleted(
                f"Both histories of {system} were signed, this one up to {count(one.size)} entries; they "
                f"part after {count(common)}. Keep both and find out who had the key: nothing can join them."
            )
        if one.size > len(said) and not own:
            raise NotCompleted(
                f"{count(one.size)} entries of {system} are vouched for, and the folder holds "
                f"{count(len(said))}; give a newer one."
            )
        if lacking and not own and theirs[one.size] != one.root and _holds(history, note):
            raise NotCompleted(
                f"The folder's history of {system} is not the one that a checkpoint here signs up to "
                f"{count(one.size)} entries. Keep both and find out who had the key: nothing can join them."
            )


def _holds(history: KeyHistory, note: str) -> bool:
    try:
        history.verify(note)
    except NoteInvalid as error:
        return isinstance(error, NotInForce)
    return True


def _put_back(
    warehouse: Warehouse,
    book: AuditBook,
    system: System,
    stored: pl.DataFrame,
    said: Sequence[bytes],
    common: int,
    by: str,
    clock: datetime,
    done: Completed,
) -> None:
    """Replace what follows the common beginning by the signed entries, and put unsigned ones after them."""
    kept, rest = stored.head(common), stored.slice(common)
    known = dict(kept.select("entry_id", "leaf_hash").iter_rows())
    entries: list[Mapping[str, object]] = [leaf.decode(each) for each in said[common:]]
    for index, each in rest.select("entry_index", "leaf").iter_rows():
        try:
            entries.append(leaf.decode(each))
        except leaf.LeafInvalid as error:
            said_of_it = f"Entry {index:,} of {system.name} in the tables is none: {error}"
            raise NotCompleted(f"{said_of_it} Keep a copy of the warehouse, and delete that row.") from None
    details = {"from": common, "to": len(said), "unsigned": done.moved, "at": clock.isoformat()}
    summary = f"{count(done.put_back)} of the signed entries were lost and put back from published files."
    entries.append(decision_entry(system.name, COMPLETED, system.now(clock), by, summary, details))
    appended = log.append(known, common, entries).rows
    if appended["leaf"].to_list()[: done.put_back] != list(said[common:]):
        raise NotCompleted(f"The signed entries of {system.name} cannot be written again byte for byte.")
    gone = rest.select("entry_index").with_columns(system=pl.lit(system.name))

    with warehouse.writing() as writer:
        if gone.height:
            writer.delete_matching(LOG, gone, ["system", "entry_index"])
        writer.append(LOG, appended)


def _erase_again(
    project: Project,
    warehouse: Warehouse,
    book: AuditBook,
    system: System,
    by: str,
    clock: datetime,
    publish: Callable[[], object],
) -> list[Outcome]:
    """Erase the people who are named by calls that the log says were of somebody erased."""
    found = warehouse.read(
        f"select leaf from {LOG} where system = ? and kind = ? order by entry_index",
        [system.name, f"decision.{ERASED}"],
    )
    spans = Deletions.of(found["leaf"]).people
    indexes = [index for first, last, _ in spans for index in range(first, last + 1)]
    if not indexes:
        return []
    all_of_them = load_systems(project.systems, project.data)[0] | {system.name: system}
    eraser = Eraser(project, warehouse, book, list(all_of_them.values()))
    outcomes: list[Outcome] = []
    for user in warehouse.read(BACK, [system.name, indexes])["user_id"]:
        outcomes += eraser.erase([system], Request(user, by, AGAIN), lambda: clock, publish)
    return outcomes
