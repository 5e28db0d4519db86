"""The command `aiops incident remedy`: record what was done against an incident, or run and record it."""

from typing import TYPE_CHECKING, Annotated

import typer

from aiops_pipelines import terminal
from aiops_pipelines.commands import given
from aiops_pipelines.commands.publish import follow
from aiops_pipelines.project import Project

if TYPE_CHECKING:
    from aiops_pipelines.incidents.remedy_words import Remedied
    from aiops_pipelines.resources.remedy_book import Recorded
    from aiops_pipelines.resources.warehouse import Warehouse

Did = Annotated[str, typer.Option(metavar="TEXT", help="What was done, where and to what.")]
Kind = Annotated[
    str,
    typer.Option(metavar="KIND", help="prompt, model, index, retrieval, guardrail, configuration or other."),
]
At = Annotated[
    str, typer.Option("--at", metavar="TIME", help="When, as 2026-08-02T10:00+02:00; now without it.")
]
Run = Annotated[bool, typer.Option("--run", help="Run what the incident's runbook names, and record it.")]


def remedy(
    number: given.Incident,
    by: given.By,
    did: Did = "",
    kind: Kind = "",
    at: At = "",
    run: Run = False,
    system: given.InSystem = None,
) -> None:
    """Record what was done against an incident, or run what its runbook names; runs prove whether it held.

    The status stays: acknowledging, mitigating and resolving have commands of their own. Several remedies may
    stand on one incident; each is judged up to the next one.
    """
    from aiops_pipelines.incidents.course import IncidentError
    from aiops_pipelines.resources.remedy_book import record_remedy

    if run and (did or kind or at):
        raise IncidentError("--run says itself what was done and when: leave --did, --kind and --at out.")
    books = given.warehouse()
    if run:
        recorded = _run(books, number, by, system)
    else:
        moment = given.moment(at, IncidentError) if at.strip() else None
        told = {"kind": kind.strip().lower(), "did": did, "at": moment, "actor": by}
        recorded = record_remedy(books, given.systems(system), number, told, given.clock())
    _told(recorded)


def show_remedies(books: "Warehouse", key: dict[str, str]) -> None:
    """Print the remedies of an incident, each with its verdict; nothing where there is none."""
    from aiops_pipelines.incidents.remedy_words import told

    for row, proofs in _remedies(books, key):
        lines: list[terminal.Said] = [(tone, "", sentence) for tone, sentence in told(row, proofs)]
        terminal.block("Remedy", lines)


def warn_of_last(books: "Warehouse", key: dict[str, str]) -> None:
    """Say so where the last remedy of an incident did not hold; a person decides all the same."""
    from aiops_pipelines.incidents.remedy_words import NOT_HELD, worst

    for row, proofs in _remedies(books, key)[-1:]:
        if worst(proofs) == NOT_HELD:
            number = key["incident_id"]
            terminal.fail(
                f"{number} is resolved although its last remedy, {row['remedy_id']}, did not hold by the "
                f"last run: aiops incident show {number}. If it is not over: aiops incident reopen {number}."
            )


def _remedies(books: "Warehouse", key: dict[str, str]) -> "list[Remedied]":
    from aiops_pipelines.incidents.remedy_words import with_proofs
    from aiops_pipelines.resources.remedy_book import PROOFS, REMEDIES

    return with_proofs(books.rows(REMEDIES, **key), books.rows(PROOFS, **key))


def _run(books: "Warehouse", number: str, by: str, name: str | None) -> "Recorded":
    from aiops_pipelines.incidents.runbooks import by_cause, load_runbooks
    from aiops_pipelines.resources.decisions import find_incident
    from aiops_pipelines.resources.migrations import Migrations
    from aiops_pipelines.resources.recipes import Recipes
    from aiops_pipelines.resources.remedy_book import reindexed, rolled_back, runnable

    clock = given.clock()
    system, incident = find_incident(books, given.systems(name), number, clock)
    runbooks, _ = load_runbooks(Project.here().runbooks)
    runbook = incident["runbook"] or by_cause(runbooks).get(incident["cause"], "")
    if runnable(incident, runbooks.get(runbook)) == "reindex":
        return reindexed(books, system, incident, by, clock, lambda said: typer.echo(said, err=True))
    moves = Migrations(books, Recipes(books), given.audit_book(books))
    recorded = rolled_back(books, moves, system, incident, by, clock)
    follow(system, books)
    return recorded


def _told(recorded: "Recorded") -> None:
    from aiops_pipelines.wording import inert, moment

    row = recorded.remedy
    done = f"{moment(row['at'])}, by {row['actor']}: {row['did']} {row['outcome'] or ''}"
    terminal.block(
        row["remedy_id"], [("plain", row["kind"].capitalize(), inert(done.strip()))], row["incident_id"]
    )
    if not recorded.new:
        terminal.verbatim("It was recorded before, with the same words; nothing was added.")
    terminal.verbatim("Runs judge whether it held, and the next one enters it into the audit log.")
