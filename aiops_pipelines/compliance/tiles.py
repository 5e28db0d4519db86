"""The static files of a tiled log (C2SP tlog-tiles): paths and contents, as bytes and never as files.

A hash tile holds 256 hashes of one level; at level 0 these are leaf hashes, above it the root of a full tile
one level below. An entry bundle holds the leaves of a level-0 tile. A tile not yet full is partial and its
path says how wide it is.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from aiops_pipelines.compliance.merkle import HASH_BYTES, root_hash

WIDTH = 256
ENTRIES = "entries"
_PATH = re.compile(r"tile/(entries|[0-9]|[1-5][0-9]|6[0-3])/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([0-9]{1,3}))?")


class TileInvalid(ValueError):
    """A path or a content that no tiled log writes; the message says why."""


def path(level: int | str, number: int, width: int = WIDTH) -> str:
    """Where a tile lives; level "entries" means its entry bundle.

    Example: `path(0, 1067, 12) == "tile/0/x001/067.p/12"`.
    """
    groups = [f"{number % 1000:03d}"]
    while number := number // 1000:
        groups.append(f"x{number % 1000:03d}")
    partial = f".p/{width}" if width < WIDTH else ""
    return f"tile/{level}/{'/'.join(reversed(groups))}{partial}"


def parse_path(name: str) -> tuple[str, int, int]:
    """Level (or "entries"), number and width of the tile at this path; raises TileInvalid."""
    if found := _PATH.fullmatch(name):
        level, groups, width = found.groups(default=WIDTH)
        parsed = str(level), int(str(groups).replace("x", "").replace("/", "")), int(width)
        # Written back, a superfluous zero and a width of 0 or of 256 and more do not give the same path.
        if parsed[2] and path(*parsed) == name:
            return parsed
    raise TileInvalid(f'"{name}" is not the path of a tile.')


def tail(size: int) -> list[str]:
    """The partial tiles and the partial bundle of a tree of `size`: all that must be read to grow it.

    Example: `tail(257) == ["tile/entries/001.p/1", "tile/0/001.p/1", "tile/1/000.p/1"]`.
    """
    names = [path(ENTRIES, size // WIDTH, size % WIDTH)] if size % WIDTH else []
    level = 0
    while size:
        if size % WIDTH:
            names.append(path(level, size // WIDTH, size % WIDTH))
        level, size = level + 1, size // WIDTH
    return names


def grow(stored: Mapping[str, bytes], old_size: int, leaf_hashes: Sequence[bytes]) -> dict[str, bytes]:
    """The hash tiles to write when these leaf hashes follow the first `old_size`.

    `stored` holds at least the tiles of `tail(old_size)`; raises TileInvalid where one is missing.
    """
    files: dict[str, bytes] = {}
    row, start, level = list(leaf_hashes), old_size, 0
    while row:
        if width := start % WIDTH:
            row = hashes(_stored(stored, path(level, start // WIDTH, width))) + row
        chunks = [row[at : at + WIDTH] for at in range(0, len(row), WIDTH)]
        for number, chunk in enumerate(chunks, start // WIDTH):
            files[path(level, number, len(chunk))] = b"".join(chunk)
        row = [root_hash(chunk) for chunk in chunks if len(chunk) == WIDTH]
        level, start = level + 1, start // WIDTH
    return files


def grow_entries(stored: Mapping[str, bytes], old_size: int, leaves: Iterable[bytes]) -> dict[str, bytes]:
    """The entry bundles to write when these leaves follow the first `old_size`.

    `stored` holds at least the bundle of `tail(old_size)`; raises TileInvalid where it is missing.
    """
    framed = [len(leaf).to_bytes(2, "big") + leaf for leaf in leaves]
    if not framed:
        return {}
    if width := old_size % WIDTH:
        # The partial bundle is kept whole as one item, with empty ones in the places of its other entries.
        framed = [_stored(stored, path(ENTRIES, old_size // WIDTH, width)), *[b""] * (width - 1), *framed]
    chunks = [framed[at : at + WIDTH] for at in range(0, len(framed), WIDTH)]
    return {
        path(ENTRIES, number, len(chunk)): b"".join(chunk)
        for number, chunk in enumerate(chunks, old_size // WIDTH)
    }


def tiles(leaf_hashes: Sequence[bytes], old_size: int, size: int) -> dict[str, bytes]:
    """The hash tiles to write for growth from `old_size` to `size`, made from all leaf hashes."""
    if not 0 <= old_size <= size <= len(leaf_hashes):
        raise ValueError(f"A log of {len(leaf_hashes)} leaves does not grow from {old_size} to {size}.")
    return grow(grow({}, 0, leaf_hashes[:old_size]), old_size, leaf_hashes[old_size:size])


def hashes(content: bytes) -> list[bytes]:
    """The hashes in a hash tile; raises TileInvalid."""
    if len(content) % HASH_BYTES:
        raise TileInvalid(f"A hash tile of {len(content)} bytes does not hold whole hashes.")
    return [content[at : at + HASH_BYTES] for at in range(0, len(content), HASH_BYTES)]


def leaves(content: bytes) -> list[bytes]:
    """The leaves in an entry bundle; raises TileInvalid."""
    found: list[bytes] = []
    at = 0
    while at < len(content):
        end = at + 2 + int.from_bytes(content[at : at + 2], "big")
        if at + 2 > len(content) or end > len(content):
            raise TileInvalid(f"The entry bundle ends inside its entry number {len(found)}.")
        found.append(content[at + 2 : end])
        at = end
    return found


def _stored(stored: Mapping[str, bytes], name: str) -> bytes:
    content = stored.get(name)
    if content is None:
        raise TileInvalid(
            f'To grow the log its last partial tile "{name}" is needed: read it or rebuild all tiles.'
        )
    return content
