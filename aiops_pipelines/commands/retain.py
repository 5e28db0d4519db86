"""Commands on what is kept and for how long: audit hold and audit expire."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from aiops_pipelines import terminal
from aiops_pipelines.commands import given
from aiops_pipelines.project import Project

if TYPE_CHECKING:
    from aiops_pipelines.resources.warehouse import Warehouse

User = Annotated[str | None, typer.Option("--user", metavar="ID", help="Calls of this user only.")]
OfIncident = Annotated[
    str | None, typer.Option("--incident", metavar="ID", help="Calls of the incident's period.")
]
From = Annotated[
    datetime | None,
    typer.Option("--from", formats=["%Y-%m-%d"], metavar="DATE", help="First day of the calls, UTC."),
]
To = Annotated[
    datetime | None,
    typer.Option("--to", formats=["%Y-%m-%d"], metavar="DATE", help="The day after the last one."),
]
HoldId = Annotated[str, typer.Argument(metavar="HOLD", help="Its number, as place printed it.")]
hold = typer.Typer(
    no_args_is_help=True, help="Keep texts from being deleted or erased, for a lawsuit or an inquiry."
)


@hold.command("place")
def place(
    name: given.OneSystem,
    by: given.By,
    reason: given.Reason,
    user: User = None,
    incident: OfIncident = None,
    since: From = None,
    until: To = None,
) -> None:
    """Hold a system's calls, or those of a user, an incident or a period, until the hold is released."""
    from aiops_pipelines.resources import holds

    if incident and (since or until):
        raise typer.BadParameter("--incident has a period of its own: leave out --from and --to")
    (system,), books = given.systems(name), given.warehouse()
    ends = [at and at.replace(tzinfo=UTC) for at in (since, until)]
    covered = holds.Covered(user, incident, *ends)
    row = holds.place(books, given.audit_book(books), system, covered, by, reason, given.clock())
    terminal.block(name, [("good", "Held", row["hold_id"])])
    terminal.verbatim("It is entered into the audit log. Nothing that it covers is deleted or erased.")


@hold.command("release")
def release(name: given.OneSystem, number: HoldId, by: given.By, reason: given.Reason) -> None:
    """Release a hold: what it kept beyond its term goes with the next run."""
    from aiops_pipelines.resources import holds

    (system,), books = given.systems(name), given.warehouse()
    holds.release(books, given.audit_book(books), system, number, by, reason, given.clock())
    terminal.block(name, [("good", "Released", number)])
    terminal.verbatim("It is entered into the audit log.")


@hold.command("list")
def list_holds(name: given.AnySystem = None) -> None:
    """List the holds in force; whose calls one covers cannot be read from it."""
    from aiops_pipelines.resources.holds import active
    from aiops_pipelines.resources.published import latest
    from aiops_pipelines.wording import day, inert

    books = latest(Project.here())
    for system in given.systems(name):
        lines: list[terminal.Said] = []
        for row in active(books, system.name).iter_rows(named=True):
            whose = "one user" if row["person"] else row["incident_id"] or "every call"
            span = f" from {day(row['since'])}" if row["since"] else ""
            span += f" until {day(row['until'])}" if row["until"] else ""
            said = f"{whose}{span}; by {row['placed_by']}, {day(row['placed_at'])}: {row['reason']}"
            lines.append(("warn", row["hold_id"], inert(said)))
        terminal.block(system.name, lines or [("plain", "", "No hold is in force.")])


def expire(name: given.AnySystem = None) -> None:
    """Delete the texts whose term is over now; each run does the same, once a day."""
    from aiops_pipelines.resources.text_deletion import delete_texts, rewrite
    from aiops_pipelines.wording import day, some

    books = given.warehouse()
    book, clock = given.audit_book(books), given.clock()
    for system in given.systems(name):
        row = delete_texts(books, book, system, clock)
        if row is None:
            terminal.block(system.name, [("good", "", "No text is over its term, or what is stays held.")])
            continue
        gone = f"texts of {some(row['calls'], 'call')} before {day(row['before'])}"
        lines: list[terminal.Said] = [("good", "Deleted", f"{gone}, and {some(row['others'], 'other text')}")]
        if row["held"]:
            lines.append(("warn", "Held", f"{some(row['held'], 'call')}, by {', '.join(row['holds'])}"))
        terminal.block(system.name, lines)
    if rewrite(books, clock):
        _publish(books)


def _publish(books: "Warehouse") -> None:
    from aiops_pipelines.defs.warehouse import descriptions

    books.publish(Project.here().published, descriptions())
