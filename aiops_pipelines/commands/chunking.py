"""The command rag chunk-sweep: is another way of cutting documents better?"""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from aiops_pipelines import terminal
from aiops_pipelines.commands import given
from aiops_pipelines.commands.look import Json

if TYPE_CHECKING:
    from aiops_pipelines.document import Tone
    from aiops_pipelines.rag.chunking import Chunking
    from aiops_pipelines.resources.chunk_sweep import Swept

WRITE_SECONDS = 600
"""How long a sweep waits for a run that is writing; what is embedded stays either way."""
Candidates = Annotated[
    list[str] | None,
    typer.Option("--candidate", metavar="VERSION", help="Try this one only, as sentences-1-900; repeat it."),
]
Budget = Annotated[
    int, typer.Option(min=50, help="Tokens of retrieved text that every candidate is judged by.")
]
Pay = Annotated[bool, typer.Option("--pay", help="Embed although every text is paid.")]


def chunk_sweep(
    system: given.AnySystem = None,
    candidate: Candidates = None,
    context_tokens: Budget = 1_000,
    pay: Pay = False,
    as_json: Json = False,
) -> None:
    """Cut the corpus in several ways and ask each the known queries: keep, or change to which.

    Nothing that is served changes; a change is a migration: aiops migrate plan.
    """
    from aiops_pipelines.rag.sweep import CANDIDATES
    from aiops_pipelines.resources.chunk_sweep import ChunkSweep

    chosen = [_candidate(name) for name in candidate] if candidate else CANDIDATES
    owners, books = given.systems(system), given.warehouse(WRITE_SECONDS)
    found = []
    for owner in owners:
        swept = ChunkSweep(books).run(
            owner, given.clock(), chosen, context_tokens, pay, lambda said: typer.echo(said, err=True)
        )
        if as_json:
            found.append(_as_data(owner.name, swept, context_tokens))
        else:
            _show(owner.name, swept, context_tokens)
    if as_json:
        terminal.data(found[0] if system else found)


def _named(version: str) -> "Chunking":
    from aiops_pipelines.rag.chunking import Chunking

    try:
        return Chunking.named(version)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _candidate(version: str) -> "Chunking":
    """Return the rules of a version that an index can be migrated to."""
    from aiops_pipelines.rag.index_settings import LEAST_CHARACTERS, MOST_CHARACTERS

    chunking = _named(version)
    if chunking.gone:
        today = chunking.renewed.version
        raise typer.BadParameter(f"Nothing is cut by the rules {version} any more; try {today}.")
    if not LEAST_CHARACTERS <= chunking.characters <= MOST_CHARACTERS:
        raise typer.BadParameter(
            f"No index is cut into {chunking.characters} characters; give {LEAST_CHARACTERS} to "
            f"{MOST_CHARACTERS:,}."
        )
    return chunking


def _as_data(system: str, swept: "Swept", context_tokens: int) -> dict[str, Any]:
    judged = swept.judged
    measures: dict[str, dict[str, Any]] = {}
    for row in judged.rows:
        measures.setdefault(row.candidate, {})[row.measure] = {
            "mean": row.mean,
            "gain": row.gain and row.gain.mean,
            "low": row.gain and row.gain.low,
            "high": row.gain and row.gain.high,
            "p_value": row.gain and row.gain.p_value,
            "standing": row.standing,
        }
    return {
        "system": system,
        "verdict": judged.verdict,
        "reason": judged.reason,
        "in_force": swept.in_force,
        "context_tokens": context_tokens,
        "queries": swept.queries,
        "queries_with_passages": swept.with_passages,
        "candidates": [
            {"candidate": name, **vars(cost), "measures": measures.get(name, {})}
            for name, cost in swept.costs.items()
        ],
    }


def _show(system: str, swept: "Swept", context_tokens: int) -> None:
    from aiops_pipelines.wording import count, inert

    judged = swept.judged
    tones: dict[str, Tone] = {"keep": "good", "cannot tell": "unknown"}
    lines: list[terminal.Said] = [
        (tones.get(judged.verdict, "warn"), "Verdict", inert(judged.verdict)),
        ("plain", "", inert(judged.reason)),
        (
            "plain",
            "Judged by",
            f"{count(swept.queries)} known queries, {count(swept.with_passages)} with the passages of their "
            f"answer; {count(context_tokens)} tokens of retrieved text each",
        ),
    ]
    if judged.verdict.startswith("change to"):
        lines.append(("plain", "Next", f"aiops migrate plan {system} {_options(judged.verdict)}"))
    terminal.block(system, lines, f"in force: {swept.in_force}")
    cells: dict[str, dict[str, str]] = {}
    for row in judged.rows:
        gain = f" {row.gain.mean:+.3f} ({row.gain.low:+.3f} to {row.gain.high:+.3f})" if row.gain else ""
        mark = f" {row.standing}" if row.standing in ("better", "worse") else ""
        cells.setdefault(row.candidate, {})[row.measure] = f"{row.mean:.3f}{gain}{mark}"
    for measure in dict.fromkeys(row.measure for row in judged.rows):
        terminal.table(("candidate", measure), ((name, of_it[measure]) for name, of_it in cells.items()))
    costs = (
        (
            name,
            count(cost.chunks),
            f"{cost.index_bytes / 1e6:,.2f}",
            count(cost.embedding_tokens),
            count(cost.texts_embedded),
            "" if cost.cpu_s is None else f"{cost.cpu_s:,.1f}",
        )
        for name, cost in swept.costs.items()
    )
    terminal.table(("candidate", "chunks", "index MB", "tokens to embed", "embedded now", "CPU s"), costs)


def _options(verdict: str) -> str:
    chunking = _named(verdict.removeprefix("change to "))
    return f"--chunk-characters {chunking.characters} --chunk-strategy {chunking.strategy}"
