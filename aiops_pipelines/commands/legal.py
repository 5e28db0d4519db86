"""Commands on what the law wants of an incident, part of `aiops incident`.

They record when people became aware, what it is, and which notice was given.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from aiops_pipelines import terminal
from aiops_pipelines.commands import given

if TYPE_CHECKING:
    import polars as pl

    from aiops_pipelines.resources.warehouse import Warehouse
    from aiops_pipelines.systems import System

Regime = Annotated[
    str, typer.Option(metavar="NAME", help="ai_act, gdpr or dora, as the system's file names them.")
]
At = Annotated[
    str, typer.Option("--at", metavar="TIME", help="When it was, as 2026-08-02T10:00+02:00; now without it.")
]
Kind = Annotated[
    str, typer.Option("--as", metavar="KIND", help="What it is under the regime, or not_reportable.")
]
Notice = Annotated[
    str,
    typer.Option(metavar="NAME", help="Which notice: report, notification, initial, intermediate, final."),
]
Reference = Annotated[str, typer.Option(metavar="TEXT", help="By which the notice is found again.")]
Withdraw = Annotated[
    bool,
    typer.Option("--withdraw", help="Take back one recorded by mistake: the last, or that of --reference."),
]


def aware(
    number: given.Incident,
    regime: Regime,
    by: given.By,
    at: At = "",
    reason: given.Reason = "",
    system: given.InSystem = None,
) -> None:
    """Record when people became aware of an incident that a law may want to be told of; starts its clocks."""
    _record(number, system, {"regime": regime, "event": "aware", "about": None}, by, at, reason)


def classify(
    number: given.Incident,
    regime: Regime,
    kind: Kind,
    by: given.By,
    at: At = "",
    reason: given.Reason = "",
    system: given.InSystem = None,
) -> None:
    """Record what an incident is under a law: death, breach, major ..., or not_reportable with a reason."""
    _record(number, system, {"regime": regime, "event": "classified", "about": kind}, by, at, reason)


def notified(
    number: given.Incident,
    regime: Regime,
    notice: Notice,
    by: given.By,
    reference: Reference = "",
    at: At = "",
    reason: given.Reason = "",
    withdraw: Withdraw = False,
    system: given.InSystem = None,
) -> None:
    """Record that a notice was given to an authority, which alone ends its clock; this sends nothing."""
    event = "withdrawn" if withdraw else "notified"
    _record(number, system, {"regime": regime, "event": event, "about": notice}, by, at, reason, reference)


def _record(
    number: str,
    name: str | None,
    event: dict[str, object],
    by: str,
    at: str,
    reason: str,
    reference: str = "",
) -> None:
    from aiops_pipelines.resources.legal_book import record_legal_event

    clock, books = given.clock(), given.warehouse()
    event |= {
        "at": _moment(at),
        "actor": by.strip(),
        "reason": reason.strip(),
        "reference": reference.strip(),
    }
    system, incident = record_legal_event(books, given.systems(name), number, event, clock)
    show_legal(books, system, incident, clock)
    terminal.verbatim("The next run announces what is due and enters this into the audit log.")


def show_legal(books: "Warehouse", system: "System", incident: str, clock: datetime) -> None:
    """Print the legal clocks of an incident; nothing where no regime asks."""
    from aiops_pipelines.compliance.deadlines import NOT_ADVICE
    from aiops_pipelines.incidents.legal_clocks import legal_lines
    from aiops_pipelines.incidents.legal_events import sentence
    from aiops_pipelines.wording import inert, moment

    recorded = books.rows("incidents.legal_events", system=system.name, incident_id=incident)
    lines: list[terminal.Said] = [
        (tone, "", said)
        for tone, said in legal_lines(clocks_of(books, system, incident, clock).rows(named=True))
    ]
    lines += [
        ("plain", "", inert(f"{moment(row['at'])} {sentence(row)}"))
        for row in recorded.sort("recorded_at", maintain_order=True).rows(named=True)
    ]
    if lines:
        terminal.block("Legal clocks", lines, incident)
        terminal.verbatim(NOT_ADVICE)


def clocks_of(books: "Warehouse", system: "System", incident: str, clock: datetime) -> "pl.DataFrame":
    """Return the legal clocks of an incident as they stand now."""
    from aiops_pipelines.resources.decisions import incidents_now
    from aiops_pipelines.resources.legal_book import legal_clocks_now

    rows = incidents_now(books, system, clock).filter(incident_id=incident)
    return legal_clocks_now(books, system, rows, system.now(clock))


def _moment(written: str) -> datetime | None:
    from aiops_pipelines.incidents.course import IncidentError

    return given.moment(written, IncidentError) if written.strip() else None
