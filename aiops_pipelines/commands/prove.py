"""Commands that prove what the audit log says: audit verify and audit checkpoint."""

import typer

from aiops_pipelines import terminal
from aiops_pipelines.commands import given
from aiops_pipelines.project import Project

audit = typer.Typer(no_args_is_help=True, help="Verify the audit log, or print its signed checkpoint.")


@audit.command("verify")
def verify(name: given.AnySystem = None) -> None:
    """Recompute the whole log: every leaf, every column, every signed root."""
    from aiops_pipelines.resources.proofs import verified

    proofs = [verified(Project.here(), system.name) for system in given.systems(name)]
    for proof in proofs:
        terminal.block(proof.system, ((tone, "", sentence) for tone, sentence in proof.lines()))
    if not all(proof.intact for proof in proofs):
        raise typer.Exit(1)


@audit.command("checkpoint")
def checkpoint(name: given.OneSystem) -> None:
    """Print the newest signed checkpoint and the key that verifies it, to be kept elsewhere."""
    from aiops_pipelines.resources.proofs import newest_checkpoint

    (system,) = given.systems(name)
    note, key = newest_checkpoint(Project.here(), system.name)
    terminal.verbatim(f"{note.rstrip()}\n\nVerifier key: {key.strip()}")
