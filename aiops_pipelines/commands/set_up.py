"""Commands that set a system up: init and check."""

from typing import Annotated

import typer

from aiops_pipelines import terminal
from aiops_pipelines.commands import given
from aiops_pipelines.project import Project

NewName = Annotated[str, typer.Argument(metavar="[NAME]", help="Name of the new system.")]


def init(name: NewName = "assistant") -> None:
    """Write a commented file for a new system."""
    from aiops_pipelines.resources.system_file import write_system_file

    project = Project.here()
    file, system = write_system_file(project, name)
    places = {
        "its documents": system.corpus.folder if system.corpus else None,
        "its inference logs": system.inference_log.folder,
        "its known queries": system.known_queries,
    }
    terminal.verbatim(f"Wrote {given.shown(file)}. Every key is explained there; change what differs.\nPut")
    for what, where in places.items():
        if where:
            terminal.verbatim(f"  {what:<20}{'into' if where.suffix else 'below'} {given.shown(where)}")
    terminal.verbatim(f"then see whether anything is missing: aiops check {name}")


def check(name: given.AnySystem = None) -> None:
    """Say what is wrong with each system before anything is run."""
    from aiops_pipelines.resources.checks import Check
    from aiops_pipelines.resources.published import latest
    from aiops_pipelines.resources.recipes import file_differs
    from aiops_pipelines.resources.system_check import check_system
    from aiops_pipelines.systems import SystemFileError, load_systems

    project = Project.here()
    usable, mistakes = load_systems(project.systems, project.data)
    names = sorted(usable | mistakes)
    if not names or (name and name not in names):
        raise SystemFileError(
            f"There is no system {name}; there is {', '.join(names)}." if names else given.no_system()
        )
    broken = False
    for one in [name] if name else names:
        found = (
            [Check("bad", mistakes[one])]
            if one in mistakes
            else list(check_system(usable[one], given.clock()))
        )
        if one in usable and project.warehouse.exists():
            differs = file_differs(latest(project), usable[one])
            found += [Check("warn", differs)] if differs else []
        title = usable[one].title if one in usable else ""
        terminal.block(one, ((line.tone, "", line.sentence) for line in found), title)
        broken |= any(line.tone == "bad" for line in found)
    if broken:
        raise typer.Exit(1)
