"""Commands that change the key which signs an audit log: audit rotate-key and revoke-key."""

from typing import Annotated

import typer

from aiops_pipelines import terminal
from aiops_pipelines.commands import given

Key = Annotated[
    str | None,
    typer.Option(metavar="KEY", help="A key of the log, or its id in hex; without it the one in force."),
]
From = Annotated[
    int | None,
    typer.Option(
        "--from", metavar="SIZE", help="Tree size up to which its signatures count; now without it.", min=0
    ),
]
TELL = (
    "It is entered into the audit log. Back up the folder keys, hand the key out, and have every keeper of a "
    "witness run: aiops witness trust FOLDER {}"
)


def rotate(name: given.OneSystem, by: given.By) -> None:
    """Sign with a new key from now on; old signatures keep counting for what they signed."""
    from aiops_pipelines.resources.audit_keys import rotate_key

    (system,), book = given.systems(name), given.audit_book(given.warehouse())
    key = rotate_key(book, system, by, given.clock())
    terminal.block(name, [("good", "Key", f"{key} is in force")])
    terminal.verbatim(TELL.format(key))


def revoke(
    name: given.OneSystem, by: given.By, reason: given.Reason, key: Key = None, since: From = None
) -> None:
    """Let a stolen key's signatures count no further; the key in force is followed by a new one."""
    from aiops_pipelines.resources.audit_keys import revoke_key

    (system,), book = given.systems(name), given.audit_book(given.warehouse())
    in_force = revoke_key(book, system, key, since, by, reason, given.clock())
    terminal.block(name, [("good", "Revoked", key or "the key that was in force"), ("good", "Key", in_force)])
    terminal.verbatim(TELL.format(in_force) + "\nThey take the old one away with --remove.")
