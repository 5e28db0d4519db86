"""Which entry it was: a log held against its hash tiles and entry bundles, place by place.

Tiles are claims too. Where the tiles lead to a signed root they are right and the log is not; where the log
does, the tile is damaged; where neither does, the finding says that they differ and that nothing tells which
was changed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, groupby, takewhile

from aiops_pipelines.compliance.checkpoint import Checkpoint
from aiops_pipelines.compliance.finding import Finding, capped
from aiops_pipelines.compliance.merkle import leaf_hash, root_hash, roots_at
from aiops_pipelines.compliance.tiles import ENTRIES, WIDTH, TileInvalid, hashes, leaves, parse_path


@dataclass(frozen=True)
class Rows:
    """One row of the log for each place: the hash of its leaf and its id, by entry index."""

    hashes: Mapping[int, bytes]
    id_at: Callable[[int], str | None]
    end: int


@dataclass
class _Read:
    """Hashes as read: of leaves by place with the tile they are from, of upper tiles and bundles by path."""

    hashes: dict[int, bytes] = field(default_factory=dict)
    source: dict[int, str] = field(default_factory=dict)
    upper: dict[str, tuple[int, int, list[bytes]]] = field(default_factory=dict)
    bundles: dict[str, tuple[int, list[bytes]]] = field(default_factory=dict)


def confirmed_size(hash_at: Mapping[int, bytes], signed: Sequence[Checkpoint]) -> int:
    """The largest signed size at which these leaf hashes have the signed root; 0 where there is none."""
    roots = roots_at(hash_at, [checkpoint.size for checkpoint in signed])
    return max((each.size for each in signed if roots.get(each.size) == each.root), default=0)


def against_tiles(
    rows: Rows, signed: Sequence[Checkpoint], log_confirmed: int, tiles: Mapping[str, bytes]
) -> list[Finding]:
    """All places where the log and its tiles differ, and all tiles that are no tiles of one tree."""
    read, findings = _read(tiles)
    confirmed = confirmed_size(read.hashes, signed)
    findings += capped(_entries(rows, read, confirmed, log_confirmed), "entries that differ from their tile")
    findings += capped(_bundled(rows, read, confirmed), "entries that differ from their bundle")
    findings += capped(_upper(read), "tiles that do not follow from those below")
    known = max([rows.end, *(checkpoint.size for checkpoint in signed)])
    if (beyond := max(read.hashes, default=-1) + 1) > known:
        lost = f"{beyond - rows.end:,} entries lost"
        message = f"{lost}: the tiles hold {beyond:,} and the log ends after {rows.end:,}."
        findings.append(Finding("error", rows.end, None, None, message))
    return findings


def _read(tiles: Mapping[str, bytes]) -> tuple[_Read, list[Finding]]:
    read, findings = _Read(), []
    for name, content in tiles.items():
        try:
            level, number, width = parse_path(name)
            items = leaves(content) if level == ENTRIES else hashes(content)
            if len(items) != width:
                raise TileInvalid(f"It holds {len(items)} items and its path says {width}.")
        except TileInvalid as error:
            findings.append(Finding("error", None, None, None, f"Tile {name} cannot be read: {error}"))
            continue
        if level == ENTRIES:
            read.bundles[name] = number * WIDTH, list(map(leaf_hash, items))
        elif level != "0":
            read.upper[name] = int(level), number * WIDTH, items
        else:
            for index, hashed in enumerate(items, number * WIDTH):
                if read.hashes.setdefault(index, hashed) != hashed:
                    message = (
                        f"Tiles {read.source[index]} and {name} hold different hashes for entry {index}."
                    )
                    findings.append(Finding("error", index, None, None, message))
                read.source.setdefault(index, name)
    return read, findings


def _entries(rows: Rows, read: _Read, confirmed: int, log_confirmed: int) -> Iterator[Finding]:
    differing = sorted(
        index for index, hashed in read.hashes.items() if rows.hashes.get(index, hashed) != hashed
    )
    places = {hashed: index for index, hashed in read.hashes.items()} if differing else {}
    there = set(rows.hashes.values()) if differing else set()
    for index in differing:
        if index >= log_confirmed and rows.hashes[index] in places and read.hashes[index] not in there:
            yield Finding(
                "error", index, None, None, f"What was written as entry {index} is nowhere in the log."
            )
    was_at = [places.get(rows.hashes[index]) if index >= log_confirmed else None for index in differing]
    for first, last, was in _runs(list(zip(differing, was_at, strict=True))):
        entry_id, tile = rows.id_at(first), read.source[first]
        doubt = (
            "" if first < confirmed else " No checkpoint confirms the tile: either of the two may be changed."
        )
        if first < log_confirmed:
            message = f"Tile {tile} was changed: its hash for entry {first} is not that of the signed entry."
        elif last > first and was is not None:
            message = (
                f"Entries {first} to {last} are what was written as {was} to {was + last - first}.{doubt}"
            )
        else:
            moved = "" if was is None else f" It is what was written as entry {was}."
            message = f"Entry {first} ({entry_id}) is not the one in tile {tile}.{moved}{doubt}"
        yield Finding("error", first, entry_id, None if first < log_confirmed else "leaf", message)


def _runs(found: Sequence[tuple[int, int | None]]) -> Iterator[tuple[int, int, int | None]]:
    """Join neighbours that were moved by as much: first and last place, and where the first was written."""
    for _, run in groupby(enumerate(found), lambda item: (item[1][0] - item[0], _moved(*item[1]))):
        places = [place for _, place in run]
        whole = places[0][1] is not None
        for group in [places] if whole else [[place] for place in places]:
            yield group[0][0], group[-1][0], group[0][1]


def _moved(index: int, was: int | None) -> int | None:
    return None if was is None else was - index


def _bundled(rows: Rows, read: _Read, confirmed: int) -> Iterator[Finding]:
    differing = [
        (name, index, hashed)
        for name, (start, items) in read.bundles.items()
        for index, hashed in enumerate(items, start)
        if rows.hashes.get(index, hashed) != hashed
    ]
    written = set(read.hashes.values()) if differing else set()
    for name, index, hashed in differing:
        if read.hashes.get(index) == hashed and rows.hashes[index] in written:
            continue  # named already: it was moved
        signed = index < confirmed and hashed == read.hashes[index]
        verdict = "the bundle holds the signed bytes" if signed else "nothing shows that the bundle is right"
        entry_id = rows.id_at(index)
        message = f"Entry {index} ({entry_id}) differs from bundle {name}; {verdict}."
        yield Finding("error", index, entry_id, "leaf", message)


def _upper(read: _Read) -> Iterator[Finding]:
    whole = takewhile(read.hashes.__contains__, count())
    levels = [[read.hashes[index] for index in whole]]
    for name, (level, start, items) in sorted(read.upper.items(), key=lambda item: item[1][0]):
        while len(levels) <= level:
            below = levels[-1]
            levels.append(
                [root_hash(below[at : at + WIDTH]) for at in range(0, len(below) - WIDTH + 1, WIDTH)]
            )
        expected = levels[level][start : start + len(items)]
        if items[: len(expected)] != expected:
            yield Finding("error", None, None, None, f"Tile {name} does not follow from the tiles below it.")
        elif len(expected) < len(items):
            message = f"Tile {name} cannot be recomputed: tiles below it were not given."
            yield Finding("warning", None, None, None, message)
