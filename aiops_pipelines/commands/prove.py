"""Commands that prove what the audit log says: audit verify, bundle and checkpoint; `retain` adds to them."""

from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from aiops_pipelines import terminal
from aiops_pipelines.commands import given, key_change, retain
from aiops_pipelines.project import Project
from aiops_pipelines.wording import count

Kept = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        help="A checkpoint kept elsewhere: a note, or a monthly report (HTML, PDF or JSON) that prints it.",
        exists=True,
        dir_okay=False,
    ),
]
Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder.", file_okay=False)]
Entries = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ID", help="Only this entry, or the entry of this call, and the proof that it is there."
    ),
]
Opened = Annotated[
    bool, typer.Option("--open", help="With question and answer, and the secret that opens them.")
]
Rest = Annotated[
    Path | None,
    typer.Argument(
        metavar="[FOLDER]",
        help="A newer folder audit, a bundle or a newer backup; without it what is published here.",
        exists=True,
        file_okay=False,
    ),
]
audit = typer.Typer(
    no_args_is_help=True,
    help="Verify the audit log, hand it to an auditor, complete it, change its key; hold or delete texts.",
)
audit.add_typer(retain.hold, name="hold")
audit.command("expire")(retain.expire)
audit.command("rotate-key")(key_change.rotate)
audit.command("revoke-key")(key_change.revoke)


@audit.command("verify")
def verify(name: given.AnySystem = None, kept: Kept = None) -> None:
    """Recompute the whole log: every leaf, every column, every stored call, every signed root.

    Ends with 1 where something is wrong, with 3 where the witnesses that are to vouch for it do not.
    """
    from aiops_pipelines.resources.proofs import kept_notes, verified

    if kept and not name:
        raise typer.BadParameter("--kept is about one system: give its NAME.")
    proofs = []
    for system in given.systems(name):
        notes = [note for file in kept or () for note in kept_notes(file, system.name)]
        proofs.append(verified(Project.here(), system.name, notes))
    for proof in proofs:
        terminal.block(proof.system, ((tone, "", sentence) for tone, sentence in proof.lines()))
    if codes := {proof.exit_code for proof in proofs} - {0}:
        raise typer.Exit(min(codes))


@audit.command("bundle")
def bundle(
    name: given.OneSystem, folder: Folder, entry: Entries = None, opened: Opened = False, kept: Kept = None
) -> None:
    """Write what an auditor verifies without this project: the whole log, or single entries of it."""
    from aiops_pipelines.resources import auditor
    from aiops_pipelines.resources.keys import Keys
    from aiops_pipelines.resources.proofs import kept_notes
    from aiops_pipelines.resources.published import working

    (system,) = given.systems(name)
    project = Project.here()
    made = auditor.Bundle(project, working(project), system.name)
    notes = [note for file in kept or () for note in kept_notes(file, system.name)]
    files = [made.single(entry, opened, Keys(project.keys))] if entry else made.whole()
    auditor.write(folder, chain([made.since(notes)], files))
    what = f"entry {', '.join(entry)}" if entry else "the whole log"
    terminal.verbatim(
        f"{given.shown(folder)} holds {what} of {system.name}, as of the checkpoint of {count(made.size)} "
        "entries.\nWhoever gets it runs python3 verify.py there; VERIFY.md says what each file is."
    )


@audit.command("complete")
def complete(name: given.OneSystem, by: given.By, folder: Rest = None) -> None:
    """Put back entries that the tables lost and that published files hold; erase again whom they say was.

    For a warehouse that was restored to an older state than the log was signed for.
    """
    from aiops_pipelines.resources.log_rest import complete
    from aiops_pipelines.resources.published import publish_again

    (system,), books, project = given.systems(name), given.warehouse(), Project.here()
    done = complete(
        project,
        books,
        given.audit_book(books),
        system,
        folder,
        by,
        given.clock(),
        lambda: publish_again(project, books),
    )
    lines: list[terminal.Said] = [
        ("good", "Signed", f"{count(done.size)} entries were signed, and are there")
    ]
    if done.put_back:
        lines.append(("good", "Put back", f"{count(done.put_back)} of them"))
    if done.moved:
        lines.append(
            ("plain", "Unsigned", f"{count(done.moved)} that came since follow them, where they are new")
        )
    terminal.block(name, lines)
    for outcome in done.erased:
        retain.show(outcome, "went")
    if any(outcome.holds or outcome.left for outcome in done.erased):
        raise typer.Exit(1)


@audit.command("checkpoint")
def checkpoint(name: given.OneSystem) -> None:
    """Print the newest signed checkpoint and the key that verifies it, to be kept elsewhere."""
    from aiops_pipelines.resources.proofs import newest_checkpoint

    (system,) = given.systems(name)
    note, key = newest_checkpoint(Project.here(), system.name)
    terminal.verbatim(f"{note.rstrip()}\n\nVerifier key: {key.strip()}")
