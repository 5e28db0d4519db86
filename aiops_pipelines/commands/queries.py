"""The commands rag draft-queries, sign-off-queries and retire-queries: known queries that come and go."""

from typing import Annotated

import typer

from aiops_pipelines import terminal
from aiops_pipelines.commands import given
from aiops_pipelines.commands.look import Json

Count = Annotated[int, typer.Option(min=1, max=10_000, help="How many to draft, at most.")]
Drafts = Annotated[
    list[str] | None, typer.Argument(metavar="[DRAFT]...", help="Ids of the drafts to sign off.")
]
Queries = Annotated[list[str], typer.Argument(metavar="QUERY...", help="Ids of the known queries.")]
Every = Annotated[bool, typer.Option("--all", help="Sign off every draft that waits.")]


def draft_queries(system: given.OneSystem, count: Count = 50, as_json: Json = False) -> None:
    """Draft questions from the corpus into the file of known queries; they count once they are signed off.

    Read them first: they repeat the words of headings, so keyword search does better on them than on what
    people ask.
    """
    from aiops_pipelines.resources.corpus_texts import corpus_texts
    from aiops_pipelines.resources.query_file import draft
    from aiops_pipelines.wording import inert, some

    (owner,) = given.systems(system)
    clock = given.clock()
    found = draft(owner, corpus_texts(owner, clock), count, owner.now(clock))
    mean = sum(one.in_document for one in found) / len(found) if found else None
    file = given.shown(owner.known_queries) if owner.known_queries else ""
    if as_json:
        drafts = [vars(one) for one in found]
        return terminal.data({"system": system, "file": file, "mean_lexical_overlap": mean, "drafts": drafts})
    lines: list[terminal.Said] = [("unknown", one.query_id, inert(one.query)) for one in found]
    if mean is None:
        lines = [
            ("plain", "", "Nothing more can be drafted: sections with headings and sentences are needed.")
        ]
    terminal.block(system, lines, f"{some(len(found), 'draft')} in {file}")
    if mean is not None:
        terminal.verbatim(f"{mean:.0%} of their words stand in their document. Mend them in the file, then:")
        terminal.verbatim(f"  aiops rag sign-off-queries {system} --by NAME --all")


def sign_off_queries(
    system: given.OneSystem, by: given.By, draft: Drafts = None, everything: Every = False
) -> None:
    """Take drafts for known queries from now on; the verdicts before stay as they are."""
    from aiops_pipelines.resources.query_file import sign_off

    if bool(draft) == everything:
        raise typer.BadParameter("Name the drafts, or give --all.")
    (owner,), books = given.systems(system), given.warehouse()
    now = owner.now(given.clock())
    signed = sign_off(owner, given.audit_book(books), draft or [], by, now)
    terminal.block(system, [("good", "Signed", f"{len(signed)} of the drafts, by {by.strip()}.")])
    terminal.verbatim("It is entered into the audit log. The next run asks them.")


def retire_queries(system: given.OneSystem, query: Queries, by: given.By, reason: given.Reason = "") -> None:
    """Ask known queries no more from now on, on purpose: a score that they lack is no missing one."""
    from aiops_pipelines.resources.query_file import retire

    (owner,), books = given.systems(system), given.warehouse()
    now = owner.now(given.clock())
    gone = retire(owner, given.audit_book(books), query, by, reason, now)
    terminal.block(system, [("good", "Retired", f"{len(gone)} known queries, by {by.strip()}.")])
    terminal.verbatim("It is entered into the audit log. Verdicts leave them out from this week on.")
