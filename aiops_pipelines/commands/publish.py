"""The command publish: the index in force goes to the system's vector store."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from aiops_pipelines import terminal
from aiops_pipelines.commands import given
from aiops_pipelines.commands.look import Json

if TYPE_CHECKING:
    from aiops_pipelines.resources.publishing import Publisher
    from aiops_pipelines.resources.warehouse import Warehouse
    from aiops_pipelines.systems import System

Anew = Annotated[bool, typer.Option("--anew", help="Write every node again, whatever the store holds.")]


def publish(name: given.OneSystem, anew: Anew = False, as_json: Json = False) -> None:
    """Give the index in force to the readers of the system's vector store, and verify it.

    Only nodes that differ are written, to a state that no reader sees; it is compared with the index, and
    then switched to in one step. Upserts and deletes are what changed for readers. What the store does not
    hold as it was written is said, and readers keep what they had. It is safe to stop it at any moment.
    """
    (system,), books = given.systems(name), given.warehouse()
    tell = partial(typer.echo, err=True)
    done = publisher(books).publish(system, given.clock(), "aiops publish", anew=anew, tell=tell)
    if as_json:
        terminal.data(done.as_data())
    else:
        proof = done.proof
        changed = f"{done.upserts} upserts and {done.deletes} deletes" if done.switched else "nothing changed"
        looked = f"{proof.nodes} nodes, {proof.vectors} vectors and texts, {proof.probes} probes"
        said: list[terminal.Said] = [
            ("plain", "Index", f"{done.index_version}, vectors {done.embedding_version}"),
            ("plain", "Store", f"{done.store} at {done.place}"),
            ("plain", "Readers", f"{done.alias} names {done.collection}: {changed}"),
        ]
        equal = f"{looked} and {proof.deleted_probes} for deleted documents: it equals the index."
        said += [("bad", "", one) for one in done.refusal()] or [("good", "Verified", equal)]
        terminal.block(name, said)
    if done.proof.findings:
        raise typer.Exit(1)


def follow(system: "System", books: "Warehouse") -> None:
    """Give readers the index that was just switched to; what stands in the way is said and undoes nothing."""
    from aiops_pipelines.resources.vector_store import StoreError

    if system.publish is None:
        return
    try:
        done = publisher(books).publish(system, given.clock(), "aiops migrate")
    except StoreError as error:
        terminal.fail(f"{error} Until then readers of the store have the index of before.")
        return
    for sentence in done.refusal():
        terminal.fail(sentence)
    if not done.proof.findings:
        terminal.verbatim(
            f"Readers of {done.store} have {done.collection}; {done.written} nodes were written."
        )


def publisher(books: "Warehouse") -> "Publisher":
    """Return the publications over a warehouse."""
    from aiops_pipelines.resources.publishing import Publisher
    from aiops_pipelines.resources.recipes import Recipes

    return Publisher(books, Recipes(books), given.audit_book(books))
