"""The command that reads log files by hand: `aiops import`."""

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aiops_pipelines import terminal
from aiops_pipelines.commands import given
from aiops_pipelines.project import Project

if TYPE_CHECKING:
    from aiops_pipelines.resources.log_import import Look
    from aiops_pipelines.systems import System

SHOWN = 12
"""Lines shown of what was set aside or not understood."""
Files = Annotated[
    list[Path], typer.Argument(metavar="FILE...", help="Log files: JSON lines, JSON, CSV or Parquet.")
]
Into = Annotated[str | None, typer.Option("--system", metavar="NAME", help="The system whose log they are.")]
Format = Annotated[
    str | None,
    typer.Option("--format", metavar="NAME", help="Their format; found out from the file without it."),
]
Dry = Annotated[
    bool, typer.Option("--dry-run", help="Store nothing; say what the files hold. Needs no system.")
]
Json = Annotated[
    bool, typer.Option("--json", help="With --dry-run: print the calls, one JSON object a line.")
]


def import_files(
    files: Files, system: Into = None, name: Format = None, dry_run: Dry = False, as_json: Json = False
) -> None:
    """Read log files into a system, each call once."""
    from aiops_pipelines.inference_log.formats import IMPORTERS

    if name and name not in IMPORTERS:
        raise typer.BadParameter(f"there is no format {name}; the formats are {', '.join(IMPORTERS)}")
    if as_json and not dry_run:
        raise typer.BadParameter("--json prints the calls instead of storing them; add --dry-run")
    if not (system or dry_run):
        raise typer.BadParameter("name the system they belong to with --system, or add --dry-run")
    owner = given.systems(system)[0] if system else None
    if name == "mapped" and not (owner and owner.inference_log.mapping):
        raise typer.BadParameter("mapped needs the mapping of a system; name it with --system")
    if dry_run:
        done = _look(files, owner, name, as_json)
    else:
        assert owner
        done = _store(files, owner, name)
    if not done:
        raise typer.Exit(1)


def _store(files: list[Path], system: "System", name: str | None) -> bool:
    """Store the files; say whether all of them could be read."""
    from aiops_pipelines.inference_log.formats import UnknownFormat
    from aiops_pipelines.inference_log.ingestion import Tally
    from aiops_pipelines.inference_log.source import Source
    from aiops_pipelines.resources.log_book import LogBook
    from aiops_pipelines.resources.log_folder import LogFolder
    from aiops_pipelines.resources.log_import import format_of, shortfalls
    from aiops_pipelines.resources.people import erased_marks
    from aiops_pipelines.resources.published import known_tables
    from aiops_pipelines.resources.warehouse import Warehouse
    from aiops_pipelines.wording import some

    project = Project.here()
    books = Warehouse(project.warehouse, known_tables(project.dbt), given.WRITE_SECONDS)
    key = given.audit_book(books).whole_keys(system.name).pepper(system.name)
    tally, waiting, whole = Tally(), Counter[str](), True
    with terminal.progress() as say:
        for path in files:
            try:
                kind = name or format_of(path, system)
                say(f"{path.name}: {kind}")
                source = Source(
                    system.name,
                    kind,
                    given.clock(),
                    key,
                    mapping=system.inference_log.mapping,
                    erased=erased_marks(books, system.name),
                    story_ends=system.as_of,
                )
                book = LogBook(books, LogFolder(system.inference_log.folder), source)
                [file] = book.given([path])
                tally.known += book.unchanged(file)
                for landing in book.read(file):
                    tally.add(landing)
                    waiting[path.name] = landing.reading.waiting_bytes
                    say(f"{path.name}: {tally}")
                    for sentence in shortfalls(path, landing.promised):
                        terminal.fail(sentence)
                        whole = False
            except (OSError, UnknownFormat) as error:
                terminal.fail(f"{path.name}: {_sentence(error)}")
                whole = False
    lines: list[terminal.Said] = [
        ("good" if tally.stored else "plain", "Stored", some(tally.stored, "call")),
        ("plain", "Already there", some(tally.known, "call")),
        ("warn" if tally.refused else "plain", "Quarantined", f"{tally.refused.total():,} calls or lines"),
        *(("warn", "", f"{n:,}: {reason}") for reason, n in tally.refused.most_common(SHOWN)),
        *(line for name_, torn in waiting.items() for line in _waiting(torn, f" of {name_}")),
    ]
    if tally.forgotten:
        said = f"{some(tally.forgotten, 'call')} of people who were erased: stored without texts and person"
        lines.append(("plain", "Erased", said))
    if tally.said:
        lines.append(("plain", "Scores", f"{tally.said:,} on calls, joined by id whenever the call comes"))
    lines += _not_understood(tally.ignored)
    terminal.block(system.name, lines, f"{len(files)} file{'s' * (len(files) > 1)}")
    terminal.verbatim("The next run prices and judges them and enters them into the audit log: aiops run")
    return whole


def _look(files: list[Path], system: "System | None", name: str | None, as_json: bool) -> bool:
    """Say what the files hold, or print their calls; say whether all of them could be read."""
    from aiops_pipelines.inference_log.formats import UnknownFormat
    from aiops_pipelines.resources.log_import import Look, format_of, looked_at, shortfalls

    seen: set[str] = set()
    whole = True
    for path in files:
        try:
            look = Look(name or format_of(path, system))
            with terminal.progress() as say:
                for calls in looked_at(path, look.format, system, given.clock(), seen, look):
                    say(f"{path.name}: {look.calls:,} calls")
                    if as_json:
                        for row in calls.iter_rows(named=True):
                            terminal.line(json.dumps(row, default=_plain, ensure_ascii=False))
            for sentence in shortfalls(path, look.promised):
                terminal.fail(sentence)
                whole = False
        except (OSError, UnknownFormat) as error:
            terminal.fail(f"{path.name}: {_sentence(error)}")
            whole = False
            continue
        if not as_json:
            terminal.block(path.name, _found(look), f"{look.format}; nothing is stored")
    return whole


def _found(look: "Look") -> list[terminal.Said]:
    from aiops_pipelines.wording import inert, moment, some

    span = f", {moment(look.first)} to {moment(look.last)}" if look.first and look.last else ""
    models = ", ".join(f"{inert(model)} ({n:,})" for model, n in look.models.most_common(5))
    lines: list[terminal.Said] = [
        ("good" if look.calls else "unknown", "Would store", some(look.calls, "call") + span),
        ("plain", "Models", models or "none named"),
        ("plain", "Tokens", f"{look.tokens:,}; counted {_counts(look.conventions)}"),
        ("plain", "Prices", _counts(look.prices)),
    ]
    if set(look.operations) - {"chat"}:
        lines.insert(1, ("plain", "Asked for", _counts(look.operations)))
    if look.again:
        lines.append(("plain", "Again", f"{look.again:,} calls that stand in these files twice"))
    if look.said:
        lines.append(("plain", "Scores", f"{look.said:,} on calls"))
    if look.refused:
        lines.append(("warn", "Quarantine", f"{look.refused.total():,} calls or lines"))
        for reason, n in look.refused.most_common(SHOWN):
            place = f" (first: line {look.examples[reason]})" if reason in look.examples else ""
            lines.append(("warn", "", inert(f"{n:,}: {reason}{place}")))
    return [*lines, *_waiting(look.waiting), *_not_understood(look.ignored)]


def _waiting(torn: int, where: str = "") -> "list[terminal.Said]":
    said = f"the last line{where}, {torn:,} bytes without an end: it is read when the file has grown"
    return [("warn", "Waiting", said)] if torn else []


def _not_understood(ignored: "Counter[str]") -> list[terminal.Said]:
    from aiops_pipelines.wording import inert

    if not ignored:
        return []
    named = ", ".join(f"{inert(what)} ({n:,})" for what, n in ignored.most_common(SHOWN))
    return [("plain", "No calls", f"{named}: read, counted and left out")]


def _counts(counted: "Counter[str]") -> str:
    return ", ".join(f"{name} {n:,}" for name, n in counted.most_common()) or "none"


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"it cannot be used: {error.strerror}."
    return str(error)


def _plain(value: Any) -> Any:
    """Return times as ISO 8601 and amounts as numbers."""
    return value.isoformat() if hasattr(value, "isoformat") else float(value)
