"""Commands about what a system can find: reindex and trace."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aiops_pipelines import terminal
from aiops_pipelines.commands import given
from aiops_pipelines.commands.look import Json
from aiops_pipelines.document import Tone
from aiops_pipelines.project import Project

if TYPE_CHECKING:
    from aiops_pipelines.resources.lineage import Trace

AGAIN = "aiops reindex {} --anew reads, cuts and embeds again what is missing."
Anew = Annotated[
    bool, typer.Option("--anew", help="Read and cut everything again; vectors that are there are kept.")
]
SHOWN = 240
"""Characters shown of a text."""


def reindex(name: given.OneSystem, anew: Anew = False, as_json: Json = False) -> None:
    """Bring a system's index up to date with its corpus and say what that took.

    Only files that moved are read, only changed documents are cut, only new texts are embedded. Each document
    counts once: as added, edited, renamed (also when it was edited on the way), deleted or unchanged. Chunks:
    wanted are the distinct ones of the index, new texts those that no index held before in this embedding
    space, embedded those embedded now (fewer after a run that was stopped), dropped those of the index before
    that are gone. A corpus of dated folders is brought up to date folder by folder and summed up.

    It is safe to stop it at any moment: the index of before stands until the new one is whole. The copy for
    analysts and the reviews follow with the next `aiops run`.
    """
    from aiops_pipelines.resources.index_book import IndexBook
    from aiops_pipelines.resources.index_proof import prove
    from aiops_pipelines.resources.published import known_tables
    from aiops_pipelines.resources.warehouse import Warehouse
    from aiops_pipelines.wording import inert

    (system,), project = given.systems(name), Project.here()
    warehouse = Warehouse(project.warehouse, known_tables(project.dbt), given.WRITE_SECONDS)
    with warehouse.held():
        tell = partial(typer.echo, err=True)
        done = IndexBook(warehouse).reindex(system, given.clock(), tell, "aiops reindex", anew)
        proof = prove(warehouse, name)
    if as_json:
        findings = {"skipped": done.problems(), "findings": list(proof.findings)}
        terminal.data({"system": name, **done.report.as_data(), **findings})
    else:
        said: list[terminal.Said] = [("plain", "", sentence) for sentence in done.report.sentences()]
        said += [("warn", "", inert(sentence)) for sentence in done.problems()]
        equal = f"The index equals its source; {proof.probes} probes for deleted documents found nothing."
        said += [("bad", "", inert(sentence)) for sentence in proof.findings] or [("good", "", equal)]
        said += [("plain", "Next", AGAIN.format(name))] if proof.findings else []
        terminal.block(name, said, ", ".join(done.report.built))
    if proof.findings:
        raise typer.Exit(1)


def trace(
    inference_id: Annotated[str, typer.Argument(metavar="INFERENCE_ID", help="The call's event_id.")],
    system: given.InSystem = None,
    as_json: Json = False,
) -> None:
    """Trace an answer back to its chunks, their documents and the run that indexed them."""
    from aiops_pipelines.document import plain_data
    from aiops_pipelines.resources.lineage import trace as traced
    from aiops_pipelines.resources.published import latest

    found = traced(latest(Project.here()), inference_id, system)
    if as_json:
        terminal.data([plain_data(one.as_data()) for one in found])
        return
    for one in found:
        terminal.block(one.call["system"], _told(one), one.call["event_id"])


def _told(found: "Trace") -> Iterator[terminal.Said]:
    from aiops_pipelines.wording import inert, moment, some

    call = found.call
    yield ("plain", "Answer", inert(_start(call["answer"] or "The log has no answer.")))
    yield ("plain", "Call", f"{moment(call['occurred_at'])} by {inert(call['model_served'] or 'unknown')}")
    if found.index:
        yield ("plain", "Index", _index_sentence(found.index))
    else:
        named = (
            f"{inert(call['index_version'])} was not built here" if call["index_version"] else "not logged"
        )
        yield ("unknown", "Index", f"{named}.")
    entry = found.audit_entry
    yield (
        ("unknown", "Audit log", "no entry") if entry is None else ("plain", "Audit log", f"entry {entry:,}")
    )
    if not found.chunks:
        yield ("unknown", "Chunks", "The log does not say what this call was given.")
    for number, chunk in enumerate(found.chunks, start=1):
        tone: Tone = "warn" if chunk.stale else "unknown" if chunk.stale is None else "plain"
        yield (tone, f"Chunk {number}", inert(f"{chunk.chunk_id}: {_start(chunk.text or 'unknown here')}"))
        if chunk.place:
            place, where = chunk.place, chunk.index
            version = place["document_hash"][:12]
            yield (tone, "", inert(f"in {place['document']}, version {version}, place {place['position']}"))
            if where and where != found.index:
                yield (tone, "", _index_sentence(where))
        said: dict[bool | None, str] = {True: "Its source had changed by then.", False: "It was up to date."}
        yield (tone, "", said.get(chunk.stale, "Whether its source had changed by then cannot be told."))
    yield ("plain", "Given", some(len(found.chunks), "chunk"))


def _index_sentence(index: dict[str, Any]) -> str:
    from aiops_pipelines.wording import moment

    by = index["built_by"] or "a run that was not noted"
    made = f"chunks {index['chunker_version']}, vectors {index['embedding_version']}"
    built = f"built {moment(index['built_at'])} by {by}"
    return f"{index['index_version']} of revision {index['revision']} ({made}), {built}"


def _start(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= SHOWN else f"{flat[:SHOWN]} ..."
