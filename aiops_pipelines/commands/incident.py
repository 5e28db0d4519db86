"""Commands on one incident: show it, and say what was done with it."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aiops_pipelines import terminal
from aiops_pipelines.commands import given, legal
from aiops_pipelines.commands.remedy import remedy, show_remedies, warn_of_last
from aiops_pipelines.project import Project

if TYPE_CHECKING:
    import polars as pl

    from aiops_pipelines.systems import System

incident = typer.Typer(
    no_args_is_help=True,
    help="Open or show an incident; acknowledge, remedy, mitigate or resolve it; notify it.",
)
ROWS_SHOWN, CELL = 8, 40
EVENTS = {
    "ack": ("acknowledged", "Say that somebody has taken an incident on."),
    "mitigate": ("mitigated", "Say that an incident does no more harm."),
    "reopen": ("reopened", "Say that an incident is back; takes a reason."),
    "pause": ("paused", "Stop the clocks while others are waited for; takes a reason."),
    "resume": ("resumed", "Let the clocks run again."),
}
RunbookChange = Annotated[str, typer.Option(metavar="TEXT", help="What is new in its runbook's file.")]
Severity = Annotated[
    str, typer.Option(metavar="P1|P2|P3", help="P1 no useful outputs, P2 quality worse, P3 cost or speed.")
]
Title = Annotated[str, typer.Option(metavar="TEXT", help="What happened, in a line.")]
Seen = Annotated[str, typer.Option(metavar="TEXT", help="What was seen, and where.")]
Began = Annotated[str, typer.Option(metavar="TIME", help="When it began, as 2026-08-02T10:00+02:00.")]
Reporter = Annotated[str, typer.Option(metavar="NAME", help="Who reports it.")]
Until = Annotated[str, typer.Option(metavar="TIME", help="Until when it was seen, if it is over.")]
Calls = Annotated[
    list[str] | None, typer.Option(metavar="ID", help="An inference it is about; as often as needed.")
]
Waiver = Annotated[str, typer.Option(metavar="TEXT", help="Why its runbook stays as it is.")]


@incident.command("open")
def open_incident(
    name: given.OneSystem,
    severity: Severity,
    title: Title,
    seen: Seen,
    began: Began,
    by: Reporter,
    until: Until = "",
    call: Calls = None,
) -> None:
    """Open an incident that no rule found: what was seen, since when, how grave; its clocks start now."""
    from aiops_pipelines.incidents.course import IncidentError
    from aiops_pipelines.resources import decisions

    (system,), clock, books = given.systems(name), given.clock(), given.warehouse()
    told: dict[str, Any] = {
        "severity": severity.strip().upper(),
        "title": title,
        "seen": seen,
        "reporter": by,
    }
    told |= {"began_at": given.moment(began, IncidentError), "calls": call or []}
    told |= {"ended_at": given.moment(until, IncidentError) if until.strip() else None}
    row, new = decisions.open_incident(books, system, told, clock)
    if not new:
        terminal.verbatim("It was opened before, with the same words; nothing was added.")
    _told(system, row, clock)
    terminal.verbatim(f"What to do: aiops incident show {row['incident_id']} --system {system.name}")


@incident.command("show")
def show_incident(number: given.Incident, system: given.InSystem = None) -> None:
    """Show an incident with its evidence, what was done, its runbook and the answers to its queries."""
    from aiops_pipelines.resources.decisions import find_incident
    from aiops_pipelines.resources.published import latest
    from aiops_pipelines.status import incident_line
    from aiops_pipelines.wording import inert, moment

    project = Project.here()
    books = latest(project)
    owner, row = find_incident(books, given.systems(system), number, given.clock())
    tone, sentence = incident_line(row, owner.now(given.clock()))
    lines: list[terminal.Said] = [(tone, "Incident", sentence), ("plain", "Opened", moment(row["opened_at"]))]
    lines.append(("plain", "Evidence", inert(row["evidence"] or "none")))
    key = {"system": owner.name, "incident_id": row["incident_id"]}
    for event in (
        books.rows("incidents.incident_events", **key).sort("at", maintain_order=True).rows(named=True)
    ):
        done = f"{moment(event['at'])}, by {event['actor']}: {event['reason'] or 'no reason given'}"
        lines.append(("plain", event["event"].capitalize(), inert(done)))
    terminal.block(row["incident_id"], lines, owner.name)
    show_remedies(books, key)
    legal.show_legal(books, owner, row["incident_id"], given.clock())
    runbook = row["runbook"] or _runbook_of(project, row["cause"])
    _show_runbook(project, runbook, books.rows("incidents.game_days", system=owner.name))
    _show_diagnosis(books.rows("incidents.diagnoses", **key))


@incident.command("review")
def review_incident(number: given.Incident, system: given.InSystem = None) -> None:
    """Draft the post-incident review, as Markdown: times, timeline, evidence, and what people have to add."""
    from aiops_pipelines.incidents.post_incident import draft
    from aiops_pipelines.resources.decisions import find_incident, known_of
    from aiops_pipelines.resources.published import latest

    books, clock = latest(Project.here()), given.clock()
    owner, row = find_incident(books, given.systems(system), number, clock)
    known = known_of(books, row, legal.clocks_of(books, owner, row["incident_id"], clock))
    terminal.verbatim(draft(known, owner.title, owner.now(clock)))


def _runbook_of(project: Project, cause: str) -> str | None:
    """Return the runbook of an incident that no run has seen yet."""
    from aiops_pipelines.incidents.runbooks import by_cause, load_runbooks

    return by_cause(load_runbooks(project.runbooks)[0]).get(cause)


def _show_runbook(project: Project, name: str | None, game_days: "pl.DataFrame") -> None:
    """Print what a runbook says, besides its queries, and when its causes were rehearsed."""
    from aiops_pipelines.incidents.game_day import last_rehearsal
    from aiops_pipelines.incidents.runbooks import load_runbook
    from aiops_pipelines.wording import inert

    if name is None:
        return terminal.block("Runbook", [("plain", "", "There is none for its cause.")])
    file = project.runbooks / f"{name}.yaml"
    book = load_runbook(file)
    lines: list[terminal.Said] = [("plain", "Meaning", inert(book.meaning.strip()))]
    lines += [("plain", "Decide" if at == 0 else "", inert(text)) for at, text in enumerate(book.decide)]
    lines += [
        ("plain", "Remedy", inert(book.remedy.strip())),
        ("plain", "Verify", inert(book.verify.question)),
    ]
    lines.append(("plain", "Rollback", inert(book.rollback.strip())))
    lines.append(("plain", "Rehearsed", last_rehearsal(game_days, book.causes)))
    return terminal.block("Runbook", lines, given.shown(file))


def _show_diagnosis(answers: "pl.DataFrame") -> None:
    """Print the newest answers to the runbook's queries."""
    from aiops_pipelines.wording import inert, moment

    newest = answers.sort("asked_at", "position", descending=[True, False]).rows(named=True)
    for answer in (row for row in newest if row["asked_at"] == newest[0]["asked_at"]):
        terminal.verbatim(f"{inert(answer['question'])} Asked {moment(answer['asked_at'])}.")
        if answer["failure"]:
            terminal.verbatim(f"No answer: {inert(answer['failure'])}\n")
            continue
        found = json.loads(answer["answer"])
        shown = [[_cell(value) for value in row] for row in found["rows"][:ROWS_SHOWN]]
        terminal.table([inert(name) for name in found["columns"]], shown)
        if answer["has_more"] or len(found["rows"]) > ROWS_SHOWN:
            terminal.verbatim("More rows are in incidents.diagnoses, and the query is in the runbook.")


def _cell(value: object) -> str:
    from aiops_pipelines.wording import inert

    text = "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
    return inert(text if len(text) <= CELL else f"{text[: CELL - 1]}…")


def _command(event: str) -> Callable[..., None]:
    def record(
        number: given.Incident, by: given.By, reason: given.Reason = "", system: given.InSystem = None
    ) -> None:
        from aiops_pipelines.resources.decisions import record_event

        clock, books = given.clock(), given.warehouse()
        _told(*record_event(books, given.systems(system), number, event, by, reason, clock), clock)

    return record


for _verb, (_event, _help) in EVENTS.items():
    incident.command(_verb, help=_help)(_command(_event))
for _function in (remedy, legal.aware, legal.classify, legal.notified):
    incident.command()(_function)


@incident.command("resolve")
def resolve(
    number: given.Incident,
    by: given.By,
    reason: given.Reason = "",
    runbook_change: RunbookChange = "",
    waiver: Waiver = "",
    system: given.InSystem = None,
) -> None:
    """Say that the cause of an incident is gone, and what it taught; takes a reason."""
    from aiops_pipelines.incidents.runbooks import digests
    from aiops_pipelines.resources.decisions import find_incident, lesson, record_event

    clock, books, systems = given.clock(), given.warehouse(), given.systems(system)
    owner, row = find_incident(books, systems, number, clock)
    learned = ""
    if row["status"] != "resolved" and reason.strip():  # what else is wrong is told first
        learned = lesson(row, digests(Project.here().runbooks), runbook_change, waiver)
    _told(*record_event(books, [owner], number, "resolved", by, reason, clock, learned), clock)
    warn_of_last(books, {"system": owner.name, "incident_id": row["incident_id"]})


def _told(owner: "System", row: "Mapping[str, Any]", clock: datetime) -> None:
    from aiops_pipelines.status import incident_line

    tone, sentence = incident_line(row, owner.now(clock))
    terminal.block(owner.name, [(tone, row["incident_id"], sentence)])
    terminal.verbatim("The next run announces it and enters it into the audit log.")
