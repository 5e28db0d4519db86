"""Commands about what a system can find: reindex and trace."""

from functools import partial

import typer

from aiops_pipelines import terminal
from aiops_pipelines.commands import given
from aiops_pipelines.commands.look import Json
from aiops_pipelines.project import Project


def reindex(name: given.OneSystem, as_json: Json = False) -> None:
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

    (system,), project = given.systems(name), Project.here()
    warehouse = Warehouse(project.warehouse, known_tables(project.dbt), given.WRITE_SECONDS)
    with warehouse.held():
        tell = partial(typer.echo, err=True)
        done = IndexBook(warehouse).reindex(system, given.clock(), tell)
        proof = prove(warehouse, name)
    if as_json:
        findings = {"skipped": done.problems(), "findings": list(proof.findings)}
        terminal.data({"system": name, **done.report.as_data(), **findings})
    else:
        said: list[terminal.Said] = [("plain", "", sentence) for sentence in done.report.sentences()]
        said += [("warn", "", sentence) for sentence in done.problems()]
        equal = f"The index equals its source; {proof.probes} probes for deleted documents found nothing."
        said += [("bad", "", sentence) for sentence in proof.findings] or [("good", "", equal)]
        terminal.block(name, said, ", ".join(done.report.built))
    if proof.findings:
        raise typer.Exit(1)
