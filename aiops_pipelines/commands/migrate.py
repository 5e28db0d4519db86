"""Commands that change what an index is made with: migrate plan, start, status, promote and rollback."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from aiops_pipelines import terminal
from aiops_pipelines.commands import given
from aiops_pipelines.commands.look import Json
from aiops_pipelines.commands.publish import follow
from aiops_pipelines.project import Project

if TYPE_CHECKING:
    from aiops_pipelines.document import Tone
    from aiops_pipelines.resources.migrations import Migrations
    from aiops_pipelines.resources.warehouse import Warehouse

migrate = typer.Typer(
    no_args_is_help=True,
    help="Change the embedding model or chunk size: shadow build, comparison, switch, rollback.",
)
Embedding = Annotated[
    str | None, typer.Option(metavar="MODEL", help="Embedding model [the one of the system's file].")
]
Characters = Annotated[
    int | None, typer.Option(min=100, max=10_000, help="Most characters of a chunk [those of the file].")
]
Strategy = Annotated[
    Literal["structure", "sentences", "overlapping"] | None,
    typer.Option(help="How documents are cut [as the file says]."),
]
Force = Annotated[bool, typer.Option("--force", help="Against the comparison; takes a reason.")]


@migrate.command("plan")
def plan(
    name: given.OneSystem,
    embedding: Embedding = None,
    chunk_characters: Characters = None,
    chunk_strategy: Strategy = None,
    as_json: Json = False,
) -> None:
    """Say what a migration would take, in texts, time, money and disk, before anything is spent."""
    from aiops_pipelines.resources.migrations import described
    from aiops_pipelines.resources.shadow import estimate
    from aiops_pipelines.wording import count, some, usd

    (system,), books = given.systems(name), given.warehouse()
    moves = _migrations(books)
    target = moves.target(system, embedding, chunk_characters, chunk_strategy)
    active, model = moves.recipes.first(system), moves.recipes.model(target)
    found = estimate(books, system, model, target.chunking, given.clock())
    old, new = described(active), described(target)
    if as_json:
        figures = {key: value for key, value in vars(found).items() if key != "usd"}
        cost = None if found.usd is None else str(found.usd)
        return terminal.data({"system": name, "from": old, "to": new, **figures, "usd": cost})
    time = "not measured, since every text is paid"
    if found.seconds is not None:
        time = f"{_lasting(found.seconds)}, from {some(found.sample, 'text')} embedded now"
    money = "unknown: there is no price; add one to prices" if found.usd is None else usd(found.usd)
    lines: list[terminal.Said] = [
        ("plain", "From", old),
        ("plain", "To", new),
        ("plain", "Index", f"{some(found.documents, 'document')}, {some(found.chunks, 'chunk')}"),
        ("plain", "To embed", f"{some(found.texts, 'text')}, {count(found.tokens)} tokens"),
        ("plain", "Time", time),
        ("plain", "Cost", money),
        ("plain", "Disk", f"{found.disk_bytes / 1e6:,.1f} MB more"),
    ]
    terminal.block(name, lines, "nothing is changed yet")


@migrate.command("start")
def start(
    name: given.OneSystem,
    embedding: Embedding = None,
    chunk_characters: Characters = None,
    chunk_strategy: Strategy = None,
) -> None:
    """Build the new index in the shadow and compare it with the one in force; what is served stays.

    The same command goes on with a build that was stopped; nothing is embedded twice.
    """
    from aiops_pipelines.resources.shadow import SHADOW_SECONDS

    (system,), books = given.systems(name), given.warehouse(SHADOW_SECONDS)
    moves = _migrations(books)
    target = moves.target(system, embedding, chunk_characters, chunk_strategy)
    moves.start(system, target, given.clock(), lambda sentence: typer.echo(sentence, err=True))
    _show(name, books)


@migrate.command("status")
def status(name: given.OneSystem, as_json: Json = False) -> None:
    """Show the recipe in force, the migration that is open or was last, and what the comparison found."""
    from aiops_pipelines.document import plain_data
    from aiops_pipelines.resources.published import latest

    given.systems(name)
    books = latest(Project.here())
    if not as_json:
        return _show(name, books)
    moves = _migrations(books)
    row, switches = moves.latest(name), moves.switches(name)
    verdicts = moves.verdicts(name, row["migration_id"]) if row else []
    found = {"system": name, "active": switches[-1] if switches else None, "migration": row}
    terminal.data(plain_data(found | {"verdicts": list(verdicts), "switches": list(switches)}))


@migrate.command("promote")
def promote(name: given.OneSystem, by: given.By, reason: given.Reason = "", force: Force = False) -> None:
    """Serve the new index from now on, if it is shown to be not inferior; rollback undoes it."""
    (system,), books = given.systems(name), given.warehouse()
    _migrations(books).promote(system, by, reason, force, given.clock())
    _show(name, books)
    terminal.verbatim("It is entered into the audit log. The index before is kept level for two weeks.")
    follow(system, books)


@migrate.command("rollback")
def rollback(name: given.OneSystem, by: given.By, reason: given.Reason = "") -> None:
    """Serve the index from before the last promotion again, at once; nothing is built."""
    (system,), books = given.systems(name), given.warehouse()
    _migrations(books).rollback(system, by, reason, given.clock())
    _show(name, books)
    terminal.verbatim("It is entered into the audit log.")
    follow(system, books)


def _migrations(books: "Warehouse") -> "Migrations":
    from aiops_pipelines.resources.migrations import Migrations
    from aiops_pipelines.resources.recipes import Recipes

    return Migrations(books, Recipes(books), given.audit_book(books))


def _show(system: str, books: "Warehouse") -> None:
    from aiops_pipelines.periods import EPOCH
    from aiops_pipelines.rag.migration import advice
    from aiops_pipelines.wording import inert, moment

    moves = _migrations(books)
    row, switches = moves.latest(system), moves.switches(system)
    lines: list[terminal.Said] = [("unknown", "In force", "Nothing is indexed yet.")]
    if switches:
        last = switches[-1]
        since = "the start" if last["since"].date() == EPOCH else moment(last["since"])
        by = f", decided by {last['decided_by']}" if last["migration_id"] else ""
        lines = [("plain", "In force", inert(f"{_made_with(last)}, since {since}{by}"))]
    if row:
        verdicts = moves.verdicts(system, row["migration_id"])
        lines.append(("plain", row["migration_id"], inert(f"to {_made_with(row)}: {row['status']}")))
        said: list[terminal.Said] = [(_tone(one["verdict"]), "", one["reason"]) for one in verdicts]
        lines += dict.fromkeys(said)  # two measures may lack the same
        lines.append(("plain", "Next", advice(row["status"], verdicts, system)))
    terminal.block(system, lines)


def _made_with(row: Any) -> str:
    from aiops_pipelines.rag.chunking import Chunking

    return f"{row['model']}, {Chunking.named(row['chunker_version']).described}"


def _tone(verdict: str) -> "Tone":
    tones: dict[str, Tone] = {"not inferior": "good", "inferior": "bad", "cannot tell": "unknown"}
    return tones.get(verdict, "plain")


def _lasting(seconds: float) -> str:
    if seconds < 120:
        return f"about {seconds:.0f} s"
    return f"about {seconds / 60:.0f} min" if seconds < 7200 else f"about {seconds / 3600:.1f} h"
