"""Commands on backups: backup (make, verify, list, destroyed) and restore."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from aiops_pipelines import terminal
from aiops_pipelines.commands import given
from aiops_pipelines.project import Project

if TYPE_CHECKING:
    from aiops_pipelines.resources.drills import Drilled

MAKE = "make"
BETWEEN = (
    "The log grows on. Copy the folder audit away more often: where a witness has seen more than a backup "
    "holds, a restored log goes on from such a copy alone (aiops audit complete)."
)
New = Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder, on another disk at best.")]
Made = Annotated[Path, typer.Argument(metavar="FOLDER", help="A backup.", exists=True, file_okay=False)]
WithKeys = Annotated[
    bool,
    typer.Option(
        "--with-keys",
        help="Signing keys and people's secrets too: who has the backup can sign as you and open entries.",
    ),
]
Kept = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        help="A checkpoint kept elsewhere, of the data folder that was lost say: a note or a monthly report.",
        exists=True,
        dir_okay=False,
    ),
]
Older = Annotated[
    bool,
    typer.Option("--older", help="Restore it also where more is known of a log, which is not signed then."),
]
Number = Annotated[str, typer.Argument(metavar="BACKUP", help="Its number, as aiops backup list has it.")]


class Backups(TyperGroup):
    """The commands of a backup; `aiops backup FOLDER` is short for `aiops backup make FOLDER`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take what is no command for the folder of a new backup."""
        if args and args[0] not in self.commands and "--help" not in args[:1]:
            args = [MAKE, *args]
        return super().parse_args(ctx, args)


backup = typer.Typer(
    cls=Backups,
    no_args_is_help=True,
    help="Back up what cannot be made again (aiops backup FOLDER), and try whether it can be restored.",
)


@backup.command(MAKE)
def make(folder: New, by: given.By, with_keys: WithKeys = False) -> None:
    """Write a consistent copy of everything that cannot be made again into a new folder."""
    from aiops_pipelines.resources import backups
    from aiops_pipelines.wording import count, some

    project, systems, clock = Project.here(), given.systems(), given.clock()
    with terminal.progress() as show:
        show("Copying ...")
        manifest = backups.make(project, folder, systems, by, clock, with_keys)
    books = given.warehouse(backups.WAIT_SECONDS)
    failed = backups.note(books, given.audit_book(books), systems, manifest, folder.resolve(), clock)
    size = f"{some(len(manifest.files), 'file')}, {manifest.size / 1e6:,.1f} MB"
    lines: list[terminal.Said] = [("good", "Backup", f"{backups.backup_id(manifest)}, {size}")]
    lines += [
        ("good", "Audit log", f"{name}: {count(log.entries)} entries, Merkle root {log.root}")
        for name, log in manifest.logs.items()
    ]
    lines += [("bad", "Not noted", f"{name}: {said}") for name, said in failed.items()]
    if with_keys:
        lines.append(
            ("warn", "Keys", "are in it: who has this backup can sign as you. Keep it as you keep them")
        )
    lines += [("plain", "Left out", f"{name}: {why}") for name, why in manifest.left_out.items()]
    terminal.block(given.shown(folder.resolve()), lines)
    command = shlex.join(["aiops", "backup", "verify", given.shown(folder), "--by", by])
    terminal.verbatim(f"Try it: {command}\n{BETWEEN}")
    if failed:
        raise typer.Exit(1)


@backup.command("verify")
def verify(folder: Made, by: given.By) -> None:
    """Restore a backup to another place, recompute everything there, and keep the result as evidence.

    Ends with 1 where something is wrong, or where it cannot be kept though there is a log for it.
    """
    from aiops_pipelines.resources import backups, drills
    from aiops_pipelines.wording import inert, moment

    project, clock = Project.here(), given.clock()
    with terminal.progress() as show:
        show("Restoring to another place ...")
        manifest, drilled = drills.drill(project, folder.resolve())
    failed, here = {}, project.warehouse.exists()
    if here:
        books, systems = given.warehouse(backups.WAIT_SECONDS), given.systems()
        book = given.audit_book(books)
        failed = drills.record(books, book, systems, folder.resolve(), manifest, drilled, by, clock)
    else:
        failed = {"": "Nothing was run in this data folder, so the drill is recorded nowhere."}
    for one in drilled:
        terminal.block(one.system, _found(one), f"backup of {moment(manifest.made_at)}")
    for name, said in failed.items():
        terminal.fail(inert(f"The drill is not recorded{f' for {name}' if name else ''}. {said}"))
    if not all(one.passed for one in drilled) or (here and failed):
        raise typer.Exit(1)


def _found(one: "Drilled") -> Iterator[terminal.Said]:
    from aiops_pipelines.resources.proofs import TONES
    from aiops_pipelines.wording import count, inert, some

    if one.passed:
        tree = f"{count(one.entries)} log entries with the root that was backed up, {one.root}"
        yield "good", "", f"Restored and verified: {tree}; {some(one.rows, 'row')} of all tables."
    else:
        yield "bad", "", "The restore drill FAILED."
    for finding in one.findings:
        yield TONES[finding.severity], "", inert(finding.message)


def restore(folder: Made, kept: Kept = None, older: Older = False) -> None:
    """Bring a backup back into an empty data folder; refuse a damaged one, or one that a log has outgrown."""
    from aiops_pipelines.resources import restoring
    from aiops_pipelines.resources.proofs import NothingKept, kept_notes
    from aiops_pipelines.wording import count, inert, moment

    project, source = Project.here(), folder.resolve()
    notes: dict[str, list[str]] = {}
    for file in kept or ():
        found = False
        for system in restoring.opened(source).logs:
            try:
                notes.setdefault(system, []).extend(kept_notes(file, system))
                found = True
            except NothingKept:
                continue
        if not found:
            raise NothingKept(f"{file.name} holds no checkpoint of a system in this backup.")
    private = not project.data.exists()
    with terminal.progress() as show:
        show("Restoring ...")
        done = restoring.restore(project, source, notes, older)
    lines: list[terminal.Said] = [
        ("good", "Restored", f"{name}: {count(log.entries)} log entries")
        for name, log in done.manifest.logs.items()
    ]
    lines += [("warn", "Older", said) for said in done.ahead.values()]
    lines += [("unknown", "Not asked", said) for said in done.silent]
    lines += [("plain", "Left out", f"{name}: {why}") for name, why in done.manifest.left_out.items()]
    if private:
        lines.append(("plain", "Private", "nobody else can read the new folder; chmod opens it to analysts"))
    made = moment(done.manifest.made_at)
    lines.append(("warn", "Since then", f"what was erased or deleted after {made} is in it again"))
    terminal.block(given.shown(project.data), ((tone, topic, inert(text)) for tone, topic, text in lines))
    terminal.verbatim(_next(project, done.ahead))


def _next(project: Project, ahead: dict[str, str]) -> str:
    steps = []
    if not project.keys.is_dir():
        steps.append(f"put the folder keys back into {given.shown(project.data)}: without it no log goes on")
    steps += [f"aiops audit complete {name} FOLDER --by YOU, with the newer log" for name in ahead]
    if not ahead:
        steps.append(
            "if a newer copy of the folder audit is left: aiops audit complete NAME FOLDER --by YOU before "
            "anything is run, for what a run signs cannot be joined with it any more"
        )
    steps += ["aiops audit verify", "aiops run, which makes what was left out"]
    steps += [
        f"aiops audit complete {name} --by YOU again: log files may have brought back who was erased"
        for name in ahead
    ]
    return "\n".join(["What is to be done now:", *(f"  {step}" for step in steps)])


@backup.command("list")
def list_backups(name: given.AnySystem = None) -> None:
    """List the backups that are known here, each by its number, and where it was written."""
    from aiops_pipelines.resources.known_backups import known_backups
    from aiops_pipelines.resources.published import latest
    from aiops_pipelines.wording import day, inert

    books = latest(Project.here())
    for system in given.systems(name):
        lines: list[terminal.Said] = [
            ("plain", row["backup_id"], inert(f"{day(row['made_at'])} by {row['made_by']}: {row['folder']}"))
            for row in known_backups(books, system.name)
        ]
        terminal.block(system.name, lines or [("unknown", "", "No backup is known.")])


@backup.command("destroyed")
def destroyed(name: given.OneSystem, number: Number, by: given.By) -> None:
    """Say that a backup is destroyed, with all its copies: nobody who was erased is in it any more."""
    from aiops_pipelines.resources import known_backups

    (system,), books = given.systems(name), given.warehouse()
    row = known_backups.destroyed(books, given.audit_book(books), system, number, by, given.clock())
    terminal.block(
        name, [("good", "Destroyed", f"{row['backup_id']}, as you say; it was written to {row['folder']}")]
    )
    terminal.verbatim("It is entered into the audit log.")
