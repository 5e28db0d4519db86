"""Commands of a witness, which is another party than the log: witness create, trust, show and serve."""

from pathlib import Path
from typing import Annotated

import typer

from aiops_pipelines import terminal
from aiops_pipelines.commands import given

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The witness's own folder.", file_okay=False)]
Name = Annotated[str, typer.Option(metavar="NAME", help="What it is called, such as example.com/w1.")]
LogKey = Annotated[str, typer.Argument(metavar="KEY", help="Verifier key of a log: aiops audit checkpoint.")]
Remove = Annotated[bool, typer.Option("--remove", help="Trust this key no more.")]
Host = Annotated[str, typer.Option(metavar="HOST", help="Address to listen on.")]
Port = Annotated[int, typer.Option(metavar="PORT", help="Port to listen on.", min=0, max=65_535)]

witness = typer.Typer(
    no_args_is_help=True, help="Keep a witness of audit logs: a party of its own, with its own key and state."
)


@witness.command("create")
def create(folder: Folder, name: Name) -> None:
    """Make a witness in a new folder, and print the key that the systems it is for name."""
    from aiops_pipelines.resources.witness import Witness

    made = Witness(folder).create(name)
    terminal.verbatim(f"Verifier key: {made}\nIts private key is {given.shown(folder / 'witness.pem')}.")


@witness.command("trust")
def trust(folder: Folder, key: LogKey, remove: Remove = False) -> None:
    """Cosign the log of this key from now on; take only a key that reached you on a way you trust."""
    from aiops_pipelines.resources.witness import Witness

    kept = Witness(folder)
    if remove:
        kept.distrust(key)
        terminal.verbatim("What this key signs is cosigned no more.")
        return
    terminal.verbatim(f"What this key signs of {kept.trust(key)} is cosigned from now on.")


@witness.command("show")
def show(folder: Folder) -> None:
    """Print its key, the keys it trusts, and the last checkpoint of each log that it cosigned."""
    from aiops_pipelines.resources.witness import Witness

    kept = Witness(folder)
    terminal.verbatim(f"Verifier key: {kept.vkey}")
    for line in kept.trusted():
        terminal.verbatim(f"Trusted: {line}")
    for note in kept.checkpoints():
        terminal.verbatim(f"\n{note.rstrip()}")
    if kept.evidence():
        terminal.fail(f"Logs contradicted themselves; their signed notes are in {folder / 'evidence'}.")


@witness.command("serve")
def serve(folder: Folder, host: Host = "127.0.0.1", port: Port = 8089) -> None:
    """Answer over HTTP (C2SP tlog-witness) until it is stopped."""
    from aiops_pipelines.resources.witness import Witness
    from aiops_pipelines.resources.witness_server import server

    kept = Witness(folder)
    kept.vkey  # noqa: B018 - there is a witness
    with server(kept, host, port) as serving:
        terminal.verbatim(f"http://{host}:{serving.server_port}/add-checkpoint is answered; Ctrl-C stops it.")
        try:
            serving.serve_forever()
        except KeyboardInterrupt:
            terminal.verbatim("Stopped.")
