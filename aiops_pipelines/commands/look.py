"""Commands that only look: status, incidents and problems."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from aiops_pipelines import terminal
from aiops_pipelines.commands import given
from aiops_pipelines.project import Project

if TYPE_CHECKING:
    from aiops_pipelines.systems import System

Json = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]
All = Annotated[bool, typer.Option("--all", help="List resolved ones as well.")]


def status(name: given.AnySystem = None, as_json: Json = False) -> None:
    """Say how each system is doing, topic by topic."""
    if not as_json:
        return show_status(given.systems(name))
    from aiops_pipelines.document import plain_data
    from aiops_pipelines.resources.status_tables import statuses

    found = statuses(Project.here(), given.systems(name), given.clock())
    terminal.data(plain_data([asdict(one) for one in found]))


def show_status(systems: "list[System]") -> None:
    """Print the status of some systems."""
    from aiops_pipelines.resources.status_tables import statuses
    from aiops_pipelines.wording import moment

    for one in statuses(Project.here(), systems, given.clock()):
        lines: list[terminal.Said] = []
        for line in one.lines:
            lines.append((line.tone, line.topic, line.sentence))
            lines += [(tone, "", sentence) for tone, sentence in line.details]
        terminal.block(one.system, lines, f"{one.title}, as of {moment(one.now)}")


def incidents(name: given.AnySystem = None, everything: All = False) -> None:
    """List the incidents, the gravest first, with what is due."""
    from aiops_pipelines.resources.decisions import incidents_now
    from aiops_pipelines.resources.published import latest
    from aiops_pipelines.status import incident_line, open_incidents

    books, clock = latest(Project.here()), given.clock()
    for system in given.systems(name):
        rows = incidents_now(books, system, clock).rows(named=True)
        resolved = [row for row in rows if row["status"] == "resolved"]
        shown = [*open_incidents(rows), *(resolved if everything else [])]
        lines: list[terminal.Said] = []
        for row in shown:
            tone, sentence = incident_line(row, system.now(clock))
            lines.append((tone, row["incident_id"], sentence))
        note = f"{len(resolved)} resolved, listed by --all" if resolved and not everything else ""
        terminal.block(system.name, lines or [("good", "", "No incident is open.")], note)


def problems(name: given.AnySystem = None) -> None:
    """List what runs found to keep a system from being fully operated."""
    from aiops_pipelines.resources.published import published
    from aiops_pipelines.wording import inert

    copy = published(Project.here())
    for system in given.systems(name):
        rows = copy.rows("operations.problems", system=system.name).rows(named=True)
        lines: list[terminal.Said] = [("warn", inert(row["area"]), inert(row["problem"])) for row in rows]
        none = f"No run reported a problem; aiops check {system.name} looks at what lies there now."
        terminal.block(system.name, lines or [("good", "", none)])
