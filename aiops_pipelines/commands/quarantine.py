"""The commands quarantine show and release: documents that are held out of an index for review."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aiops_pipelines import terminal
from aiops_pipelines.commands import given
from aiops_pipelines.commands.look import Json
from aiops_pipelines.project import Project

if TYPE_CHECKING:
    from aiops_pipelines.document import Tone

quarantine = typer.Typer(
    no_args_is_help=True, help="Show documents that look made against retrieval; release one."
)
Document = Annotated[str, typer.Argument(metavar="DOCUMENT", help="Its path in the corpus.")]


@quarantine.command("show")
def show(name: given.OneSystem, as_json: Json = False) -> None:
    """Show what is held and what was noted, where it comes from and what became of it."""
    from aiops_pipelines.document import plain_data
    from aiops_pipelines.resources.published import latest
    from aiops_pipelines.resources.quarantine import findings

    given.systems(name)
    rows = list(findings(latest(Project.here()), name).iter_rows(named=True))
    if as_json:
        return terminal.data({"system": name, "documents": plain_data(rows)})
    lines = [line for row in rows for line in _told(row)]
    terminal.block(name, lines or [("good", "", "No document is held or was noted.")])


@quarantine.command("release")
def release(name: given.OneSystem, document: Document, by: given.By, reason: given.Reason) -> None:
    """Serve a held document as it is, from the next run on."""
    from aiops_pipelines.resources import quarantine as kept

    (system,), books = given.systems(name), given.warehouse()
    kept.release(books, given.audit_book(books), system, document, by, reason, given.clock())
    terminal.block(name, [("good", "Released", document)])
    terminal.verbatim("It is entered into the audit log. The next run indexes it.")


def _told(row: dict[str, Any]) -> Iterator[terminal.Said]:
    from aiops_pipelines.wording import inert, moment

    tones: dict[str, Tone] = {"held": "bad", "noted": "warn"}
    tone = tones.get(row["status"], "plain")
    yield (tone, row["status"].capitalize(), inert(f"{row['document']}, {row['change']}: {row['evidence']}"))
    by = f" by {row['author']}" if row["author"] else ""
    at = f" at {moment(row['modified_at'])}" if row["modified_at"] else ""
    version = f"; the source calls it {row['source_version'][:12]}" if row["source_version"] else ""
    found = f"found {moment(row['found_at'])} by {row['found_by'] or 'a run that was not noted'}"
    yield (tone, "", inert(f"Changed{by}{at}{version}; {found}."))
    if row["decided_by"]:
        yield (
            tone,
            "",
            inert(f"By {row['decided_by']}, {moment(row['decided_at'])}: {row['decision_reason']}"),
        )
