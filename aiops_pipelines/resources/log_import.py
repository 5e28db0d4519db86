"""Files that are brought in by hand: their format found out, their calls priced without storing anything.

Storing is `log_book`'s business, for these files as for those of a log folder.
"""

import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from aiops_pipelines.costs.prices import call_costs
from aiops_pipelines.inference_log.formats import UnknownFormat, detected, importer
from aiops_pipelines.inference_log.ingestion import land
from aiops_pipelines.inference_log.lines import DOCUMENT_LIMIT, parse
from aiops_pipelines.inference_log.objects import unwrapped
from aiops_pipelines.inference_log.reading import begin, plan
from aiops_pipelines.inference_log.record import SCHEMA, RecordError
from aiops_pipelines.inference_log.source import Source
from aiops_pipelines.resources.log_folder import LogFolder, Piece
from aiops_pipelines.resources.prices import PriceBook
from aiops_pipelines.resources.tokenizer import count_tokens
from aiops_pipelines.systems import System

PIECE_BYTES = 4_000_000
LINES_LOOKED_AT = 50
COMPRESSED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04", b"BZh", b"\xfd7zXZ")
"""How files begin that gzip and zstd without their names, zip, bzip2 and xz made."""
COSTS = ("cost_usd", "cost_low_usd", "cost_high_usd", "price_status", "price_source")
COLUMNS = [
    column
    for name in SCHEMA
    for column in ((name, *COSTS) if name == "token_convention" else (name,))
    if column != "usage_raw"
] + ["usage_raw"]
"""Columns of a call that is only looked at: those of the record, and what it costs."""


@dataclass
class Look:
    """What a file holds, found without storing it; `examples` has a line of each reason.

    `promised` is how many rows an export says its files hold, `waiting` the bytes of an unfinished last line.
    """

    format: str
    calls: int = 0
    again: int = 0
    said: int = 0
    tokens: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    examples: dict[str, int] = field(default_factory=dict)
    ignored: Counter[str] = field(default_factory=Counter)
    prices: Counter[str] = field(default_factory=Counter)
    conventions: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)
    first: datetime | None = None
    last: datetime | None = None
    promised: dict[str, int] = field(default_factory=dict)
    waiting: int = 0


def pieces(path: Path, piece_bytes: int = PIECE_BYTES) -> Iterator[Piece]:
    """Yield the lines of a whole file.

    Raises:
        OSError: it is not there or cannot be read.
    """
    folder = LogFolder(path.resolve().parent)
    file = folder.file(path)
    whole = plan(file, None)
    yield from folder.pieces(whole, begin(file, whole, None), piece_bytes)


def format_of(path: Path, system: System | None = None) -> str:
    """Return the format of a file by what its first lines hold, or the system's own where that is `mapped`.

    Raises:
        OSError: it is not there or cannot be read.
        UnknownFormat: it is none that can be told; the message lists what was looked for.
    """
    values, lines = [], next(pieces(path)).lines
    if not lines:
        raise UnknownFormat("The file holds no complete line.")
    if lines[0][1].startswith(COMPRESSED):
        raise UnknownFormat(
            "The file is compressed; unpack it, or compress it with gzip or zstd and name it .gz or .zst."
        )
    for _, line in lines[:LINES_LOOKED_AT]:
        try:
            values.append(parse(line, DOCUMENT_LIMIT))
        except RecordError:
            continue
    mapped = system is not None and system.inference_log.format == "mapped"
    return "mapped" if mapped else detected(values)


def looked_at(
    path: Path, name: str, system: System | None, now: datetime, seen: set[str], look: Look
) -> Iterator[pl.DataFrame]:
    """Yield the calls of a file as they would be stored, each once, with their costs; count them in `look`.

    Without a system the key of its pseudonyms is a passing one.

    Args:
        path: the file.
        name: its format.
        system: whose prices and mapping hold.
        now: the time, UTC.
        seen: event ids of files before it, added to.
        look: what is counted.

    Raises:
        OSError: it is not there or cannot be read.
    """
    mapping = system.inference_log.mapping if system else None
    source = Source(
        system.name if system else "",
        name,
        now,
        secrets.token_bytes(32),
        mapping=mapping,
        story_ends=system.as_of if system else None,
    )
    price_of = PriceBook(system.prices if system else ()).price_of
    read = importer(name, mapping)
    for piece in pieces(path):
        batch = read(piece.lines, count_tokens)
        landing = land(batch, piece.reading, source, seen)
        calls = landing.inferences
        look.promised.update(batch.promised)
        look.waiting = piece.reading.waiting_bytes
        seen.update(calls["event_id"])
        for rejection in batch.rejections:
            look.examples.setdefault(rejection.reason, rejection.line)
        priced = call_costs(calls, price_of).select(COSTS)
        _count(look, landing.known, landing.refused, landing.ignored, len(batch.feedback))
        _sum(look, calls, priced)
        yield calls.hstack(priced).select(COLUMNS)


def _count(look: Look, known: int, refused: Counter[str], ignored: Counter[str], said: int) -> None:
    look.again += known
    look.said += said
    look.refused.update(refused)
    look.ignored.update(ignored)


def _sum(look: Look, calls: pl.DataFrame, priced: pl.DataFrame) -> None:
    look.calls += calls.height
    look.tokens += int(calls["tokens_total"].sum() or 0)
    look.prices.update(priced["price_status"])
    look.conventions.update(calls["token_convention"].drop_nulls())
    look.operations.update(calls["operation"])
    look.models.update(
        calls.select(pl.coalesce("model_served", "model_requested"))["model_served"].drop_nulls()
    )
    times = calls["occurred_at"]
    if calls.height:
        first, last = times.min(), times.max()
        assert isinstance(first, datetime) and isinstance(last, datetime)
        look.first, look.last = min(look.first or first, first), max(look.last or last, last)


def shortfalls(manifest: Path, promised: Mapping[str, int]) -> Iterator[str]:
    """Yield what is missing of the files that an export's manifest lists, in sentences.

    A file is looked for beside the manifest and in the folders above it.
    """
    for key, rows in sorted(promised.items()):
        path = _listed(manifest, key)
        if path is None:
            yield f"{Path(key).name} is listed in {manifest.name} and is not there; fetch it from the export."
        elif (found := _rows(path)) != rows:
            yield (
                f"{path.name} holds {found:,} rows, {manifest.name} says {rows:,}; "
                "fetch it from the export again."
            )


def _listed(manifest: Path, key: str) -> Path | None:
    parts = Path(key).parts
    tails = [Path(*parts[start:]) for start in range(len(parts))]
    around = list(manifest.resolve().parents)[:4]
    found: Iterable[Path] = (folder / tail for tail in tails for folder in around)
    return next((path for path in found if path.is_file()), None)


def _rows(path: Path) -> int:
    try:
        return sum(sum(map(_values, piece.lines)) for piece in pieces(path))
    except OSError:
        return 0


def _values(numbered: tuple[int, bytes]) -> int:
    line = numbered[1]
    if not line.lstrip().startswith(b"["):
        return 1
    try:
        found: Any = parse(line, DOCUMENT_LIMIT)
    except RecordError:
        return 1
    return len(unwrapped(found))
