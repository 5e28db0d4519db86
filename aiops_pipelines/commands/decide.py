"""Commands for what people decide: what is done with incidents, and which baseline holds."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from aiops_pipelines import terminal
from aiops_pipelines.commands import given
from aiops_pipelines.project import Project

if TYPE_CHECKING:
    import polars as pl

incident = typer.Typer(no_args_is_help=True, help="Show an incident; acknowledge, mitigate or resolve it.")
baseline = typer.Typer(
    no_args_is_help=True, help="Show, approve or replace what every week is compared with."
)
EVENTS = {
    "ack": ("acknowledged", "Say that somebody has taken an incident on."),
    "mitigate": ("mitigated", "Say that an incident does no more harm."),
    "resolve": ("resolved", "Say that the cause of an incident is gone; takes a reason."),
    "reopen": ("reopened", "Say that an incident is back; takes a reason."),
    "pause": ("paused", "Stop the clocks while others are waited for; takes a reason."),
    "resume": ("resumed", "Let the clocks run again."),
}
FirstWeek = Annotated[
    datetime, typer.Option(formats=["%Y-%m-%d"], metavar="DATE", help="Monday of its first week.")
]

Service = Annotated[
    bool, typer.Option("--service", help="That of the service (failures, latency, volume), not of quality.")
]


@incident.command("show")
def show_incident(number: given.Incident, system: given.InSystem = None) -> None:
    """Show an incident with its evidence, its runbook and what was done."""
    from aiops_pipelines.resources.decisions import find_incident
    from aiops_pipelines.resources.published import latest
    from aiops_pipelines.status import incident_line
    from aiops_pipelines.wording import inert, moment

    project = Project.here()
    books = latest(project)
    owner, row = find_incident(books, given.systems(system), number, given.clock())
    tone, sentence = incident_line(row, owner.now(given.clock()))
    runbook = given.shown(project.runbooks / f"{row['runbook']}.yaml") if row["runbook"] else "none"
    lines: list[terminal.Said] = [(tone, "Incident", sentence), ("plain", "Opened", moment(row["opened_at"]))]
    lines += [("plain", "Evidence", inert(row["evidence"] or "none")), ("plain", "Runbook", runbook)]
    key = {"system": owner.name, "incident_id": row["incident_id"]}
    for event in (
        books.rows("incidents.incident_events", **key).sort("at", maintain_order=True).rows(named=True)
    ):
        done = f"{moment(event['at'])}, by {event['actor']}: {event['reason'] or 'no reason given'}"
        lines.append(("plain", event["event"].capitalize(), inert(done)))
    terminal.block(row["incident_id"], lines, owner.name)


def _command(event: str) -> Callable[..., None]:
    def record(
        number: given.Incident, by: given.By, reason: given.Reason = "", system: given.InSystem = None
    ) -> None:
        from aiops_pipelines.resources.decisions import record_event
        from aiops_pipelines.status import incident_line

        clock, books = given.clock(), given.warehouse()
        owner, row = record_event(books, given.systems(system), number, event, by, reason, clock)
        tone, sentence = incident_line(row, owner.now(clock))
        terminal.block(owner.name, [(tone, row["incident_id"], sentence)])
        terminal.verbatim("The next run announces it and enters it into the audit log.")

    return record


for _verb, (_event, _help) in EVENTS.items():
    incident.command(_verb, help=_help)(_command(_event))


@baseline.command("show")
def show_baseline(name: given.AnySystem = None) -> None:
    """Show the frozen baselines: weeks, means, sizes and who approved them."""
    from aiops_pipelines.resources.published import latest

    books = latest(Project.here())
    for system in given.systems(name):
        _show(system.name, books.rows("monitoring.baselines", system=system.name))


@baseline.command("approve")
def approve_baseline(name: given.OneSystem, by: given.By) -> None:
    """Sign the frozen baseline of a system."""
    from aiops_pipelines.resources import decisions

    (system,) = given.systems(name)
    _show(name, decisions.approve_baseline(given.warehouse(), system, by))
    terminal.verbatim("The next run enters it into the audit log.")


@baseline.command("replace")
def replace_baseline(
    name: given.OneSystem,
    by: given.By,
    reason: given.Reason,
    first_week: FirstWeek,
    service: Service = False,
) -> None:
    """Freeze a new baseline from a week on, because the system has changed for good."""
    from aiops_pipelines.resources import decisions

    (system,), books = given.systems(name), given.warehouse()
    book, week = given.audit_book(books), first_week.date()
    if service:
        new = decisions.replace_service_baseline(books, book, system, by, reason, week, given.clock())
        _show_service(name, new)
        terminal.verbatim("It is entered into the audit log. The next run reads every day against it.")
        return
    _show(name, decisions.replace_baseline(books, book, system, by, reason, week, given.clock()))
    terminal.verbatim("It is entered into the audit log. The next run judges the weeks after it anew.")


def _show(system: str, baselines: "pl.DataFrame") -> None:
    from aiops_pipelines.wording import count, day, inert

    if baselines.is_empty():
        terminal.block(system, [("unknown", "", "No baseline is frozen yet, so no week can be judged.")])
        return
    head = baselines.row(0, named=True)
    span = f"weeks of {day(head['first_week'])} to {day(head['last_week'])}, frozen {day(head['frozen_at'])}"
    terminal.block(system, [], span)
    rows = (
        (
            r["sample"],
            r["metric"],
            f"{r['mean']:.3f}",
            count(r["n"]),
            count(r["unmeasured"]),
            inert(r["approved_by"]),
        )
        for r in baselines.sort("sample", "metric").rows(named=True)
    )
    terminal.table(("sample", "metric", "mean", "scores", "unmeasured", "approved by"), rows)


def _show_service(system: str, frozen: "pl.DataFrame") -> None:
    from aiops_pipelines.wording import count, day

    head = frozen.row(0, named=True)
    terminal.block(system, [], f"weeks of {day(head['first_week'])} to {day(head['last_week'])}")
    rows = ((r["measure"], f"{r['value']:,.4g}", count(r["calls"])) for r in frozen.rows(named=True))
    terminal.table(("measure", "value", "calls"), rows)
