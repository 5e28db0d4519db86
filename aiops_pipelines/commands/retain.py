"""Commands on what is kept and for how long: audit hold, audit expire, and erase."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from aiops_pipelines import terminal
from aiops_pipelines.commands import given
from aiops_pipelines.project import Project

if TYPE_CHECKING:
    from aiops_pipelines.resources.erasing import Outcome
    from aiops_pipelines.resources.warehouse import Warehouse

LINES_NAMED = 20
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
    from aiops_pipelines.wording import some

    if incident and (since or until):
        raise typer.BadParameter("--incident has a period of its own: leave out --from and --to")
    (system,), books = given.systems(name), given.warehouse()
    ends = [at and at.replace(tzinfo=UTC) for at in (since, until)]
    covered = holds.Covered(user, incident, *ends)
    book = given.audit_book(books)
    row = holds.place(books, book, system, covered, by, reason, given.clock())
    calls = holds.held_calls(books, book, system.name).filter(hold_id=row["hold_id"]).height
    lines: list[terminal.Said] = [("good", "Held", f"{row['hold_id']}, {some(calls, 'call')} so far")]
    if not calls:
        lines.append(("warn", "", "No stored call is covered: is the user spelled so, and the period right?"))
    terminal.block(name, lines)
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
    from aiops_pipelines.resources.published import publish_again
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
        publish_again(Project.here(), books)


Whom = Annotated[str, typer.Option("--user", metavar="ID", help="The person, as the logs name the user.")]
By = Annotated[str, typer.Option(metavar="NAME", help="Who decides.")]
Reason = Annotated[
    str, typer.Option(metavar="TEXT", help="Why, in a sentence that does not name the person.")
]
Asked = Annotated[
    datetime | None,
    typer.Option("--asked", formats=["%Y-%m-%d"], metavar="DATE", help="The day the person asked."),
]
Confirmed = Annotated[bool, typer.Option("--confirm", help="Do it; without this, only say what would go.")]


def erase(
    user: Whom,
    system: given.InSystem = None,
    by: By = "",
    reason: Reason = "",
    asked: Asked = None,
    confirm: Confirmed = False,
) -> None:
    """Erase one person from everything that is produced here; without --confirm, say what would go."""
    from aiops_pipelines.resources.erasing import Eraser, Request
    from aiops_pipelines.resources.published import publish_again

    project = Project.here()
    books, systems = given.warehouse(), given.systems(system)
    eraser = Eraser(project, books, given.audit_book(books), given.systems())
    request = Request(user, by, reason, asked.date() if asked else None)
    if not confirm:
        for one in systems:
            show(eraser.look(one, request, given.clock()), "would go")
        terminal.verbatim("Nothing was changed; --confirm with --by and --reason erases the person for good.")
        return
    outcomes = eraser.erase(systems, request, given.clock, lambda: publish_again(project, books))
    for outcome in outcomes:
        show(outcome, "went")
    _older_backups(books, outcomes)
    if any(outcome.holds or outcome.left for outcome in outcomes):
        raise typer.Exit(1)


def _older_backups(books: "Warehouse", outcomes: "list[Outcome]") -> None:
    """Say which backups hold the person yet; of one that was made in the same moment nobody can tell."""
    from aiops_pipelines.resources.known_backups import known_backups
    from aiops_pipelines.wording import day, inert

    erased = [(one.system, one.erased_at) for one in outcomes if one.erased_at]
    known = ((row, at) for name, at in erased for row in known_backups(books, name))
    found = {row["backup_id"]: row for row, at in known if row["made_at"] <= at}
    if not found:
        terminal.verbatim(
            "No backup from before is known here; one that was made otherwise holds the person yet."
        )
        return
    lines: list[terminal.Said] = [
        ("warn", number, inert(f"{day(row['made_at'])}, {row['folder']}")) for number, row in found.items()
    ]
    terminal.block("In these backups the person is yet", lines)
    terminal.verbatim(
        "Destroy them when newer ones have passed their drill, and say so: aiops backup destroyed NAME "
        "BACKUP. Who restores one before runs aiops audit complete with the log of now, which erases again."
    )


def show(outcome: "Outcome", went: str) -> None:
    """Print what would go or went of a person in one system, and what is left."""
    from aiops_pipelines.wording import listed, some

    lines: list[terminal.Said] = []
    if outcome.holds:
        lines.append(("bad", "Refused", f"held by {listed(list(outcome.holds))}; aiops audit hold list"))
        went = "would go"
    lines += [("plain", went.capitalize(), f"{table}: {some(n, 'row')}") for table, n in outcome.rows.items()]
    if went == "went":
        lines += [("bad", "Left", f"{place}: {some(n, 'time')}") for place, n in outcome.left.items()]
        if not outcome.left:
            lines.append(("good", "Searched", "nothing that is produced here names the person any more"))
    for file, numbers in outcome.sources.items():
        if not numbers:
            lines.append(("warn", "Your file", f"{file} cannot be read: search it for the person yourself"))
            continue
        shown = ", ".join(str(number) for number in numbers[:LINES_NAMED])
        more = f" and {len(numbers) - LINES_NAMED:,} more" if len(numbers) > LINES_NAMED else ""
        lines.append(("warn", "Your file", f"{file}, lines {shown}{more}: erase it there yourself"))
    terminal.block(outcome.system, lines or [("plain", "", "Nothing names this person.")])
