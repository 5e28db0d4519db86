"""What commands are given: their options, the clock, the systems and the warehouse.

Heavy modules are imported by the commands that need them, so that help answers at once.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aiops_pipelines import terminal
from aiops_pipelines.project import Project

if TYPE_CHECKING:
    from aiops_pipelines.resources.audit_book import AuditBook
    from aiops_pipelines.resources.warehouse import Warehouse
    from aiops_pipelines.systems import System

WRITE_SECONDS = 20
"""How long a decision waits for a run that is writing."""

OneSystem = Annotated[str, typer.Argument(metavar="NAME", help="Name of the system.")]
AnySystem = Annotated[str | None, typer.Argument(metavar="[NAME]", help="Name of a system; all without it.")]
InSystem = Annotated[str | None, typer.Option("--system", metavar="NAME", help="Look in this system only.")]
Incident = Annotated[str, typer.Argument(metavar="ID", help="Number of the incident.")]
By = Annotated[str, typer.Option(metavar="NAME", help="Who decides; kept as it is given.")]
"""The one thing that is told and never masked: somebody answers for a decision, and the log says who."""
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why, in a sentence.")]


def clock() -> datetime:
    """Return the time, UTC."""
    return datetime.now(UTC)  # noqa: TID251 - the command line reads the clock


def systems(name: str | None = None) -> "list[System]":
    """Return the system of a name, or all usable ones; what is wrong with the others goes to stderr.

    Raises:
        SystemFileError: there is none, or its file cannot be used.
    """
    from aiops_pipelines.systems import SystemFileError, load_systems

    project = Project.here()
    usable, mistakes = load_systems(project.systems, project.data)
    if name in mistakes or not usable:
        raise SystemFileError(mistakes.get(name or "", "") or "\n".join(mistakes.values()) or no_system())
    if name and name not in usable:
        raise SystemFileError(f"There is no system {name}; the systems are {', '.join(usable)}.")
    if name:
        return [usable[name]]
    for mistake in mistakes.values():
        terminal.fail(mistake)
    return list(usable.values())


def moment(written: str, error: "type[ValueError]") -> datetime:
    """Read a time, which has to say its offset: an hour decides here.

    Raises:
        ValueError: of the type given; it is no time with an offset.
    """
    try:
        at = datetime.fromisoformat(written.strip())
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise error(f"{written!r} is no time with an offset; write 2026-08-02T10:00+02:00, or Z for UTC.")
    try:
        return at.astimezone(UTC)
    except OverflowError as overflow:
        raise error(f"{written} has no moment in UTC.") from overflow


def no_system() -> str:
    """Say that nothing is configured yet, and what to do."""
    return f"No system is configured in {shown(Project.here().systems)}; `aiops init` writes the first file."


def warehouse(wait_seconds: float = WRITE_SECONDS) -> "Warehouse":
    """Return the working file for a decision, which is about something that was run.

    Raises:
        WarehouseError: nothing was run yet.
    """
    from aiops_pipelines.resources.published import known_tables, working
    from aiops_pipelines.resources.warehouse import Warehouse

    project = Project.here()
    working(project).prepare()
    return Warehouse(project.warehouse, known_tables(project.dbt), wait_seconds)


def audit_book(books: "Warehouse") -> "AuditBook":
    """Return the audit logs over a warehouse."""
    from aiops_pipelines.resources.audit_book import AuditBook
    from aiops_pipelines.resources.keys import Keys

    project = Project.here()
    return AuditBook(project, books, Keys(project.keys))


def shown(path: Path) -> str:
    """Return a path as short as it can be typed from here."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
