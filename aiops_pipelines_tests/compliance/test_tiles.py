"""Tiles: the paths and counts that the specification prints, and growth in any steps."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops_pipelines.compliance import tiles
from aiops_pipelines.compliance.merkle import leaf_hash, root_hash
from aiops_pipelines.compliance.tiles import TileInvalid

LEAVES = [f"entry {index}".encode() for index in range(1200)]
HASHES = [leaf_hash(leaf) for leaf in LEAVES]


@pytest.mark.parametrize(
    ("level", "number", "width", "expected"),
    [
        (0, 0, 256, "tile/0/000"),
        (0, 1067, 12, "tile/0/x001/067.p/12"),
        (2, 1_234_067, 256, "tile/2/x001/x234/067"),
        ("entries", 999, 1, "tile/entries/999.p/1"),
        (63, 1000, 255, "tile/63/x001/000.p/255"),
    ],
)
def test_paths_of_the_specification(level, number, width, expected):
    assert tiles.path(level, number, width) == expected
    assert tiles.parse_path(expected) == (str(level), number, width)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "tile/0/0",
        "tile/00/000",
        "tile/64/000",
        "tile/0/000.p/0",
        "tile/0/000.p/00",
        "tile/0/000.p/05",
        "tile/0/000.p/256",
        "tile/0/000.p/300",
        "tile/0/x000/001",
        "tile/0/001/001",
        "tile/0/x001/x002",
        "tile/0/000/",
        "/tile/0/000",
        "tile/0/\u0660\u0660\u0660",
        "checkpoint",
    ],
)
def test_what_is_no_path_is_refused(name):
    with pytest.raises(TileInvalid, match="not the path of a tile"):
        tiles.parse_path(name)


@given(st.integers(0, 63), st.integers(0, 10**12), st.integers(1, 256))
def test_every_path_reads_back(level, number, width):
    assert tiles.parse_path(tiles.path(level, number, width)) == (str(level), number, width)


def test_a_log_of_70000_has_the_tiles_that_the_specification_counts():
    hashes = [bytes([index % 251]) * 32 for index in range(70_000)]
    widths: dict[tuple[str, int], int] = {}
    for name in tiles.tiles(hashes, 0, 70_000):
        level, _, width = tiles.parse_path(name)
        widths[level, width] = widths.get((level, width), 0) + 1
    assert widths == {("0", 256): 273, ("0", 112): 1, ("1", 256): 1, ("1", 17): 1, ("2", 1): 1}


def test_256_leaves_are_a_full_tile_and_a_partial_one_above():
    files = tiles.tiles(HASHES, 0, 256)
    assert files == {"tile/0/000": b"".join(HASHES[:256]), "tile/1/000.p/1": root_hash(HASHES[:256])}


def test_growth_by_one_writes_one_tile():
    assert tiles.tiles(HASHES, 5, 6) == {"tile/0/000.p/6": b"".join(HASHES[:6])}
    assert set(tiles.tiles(HASHES, 511, 512)) == {"tile/0/001", "tile/1/000.p/2"}
    assert tiles.tiles(HASHES, 600, 600) == {}
    assert tiles.grow_entries({}, 512, []) == {}


def test_a_tile_holds_the_roots_of_the_tiles_below():
    upper = tiles.hashes(tiles.tiles(HASHES, 0, 1200)["tile/1/000.p/4"])
    assert upper == [root_hash(HASHES[at : at + 256]) for at in (0, 256, 512, 768)]
    assert root_hash([*upper, root_hash(HASHES[1024:])]) == root_hash(HASHES)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 400), max_size=3))
def test_growth_in_steps_from_the_tail_alone_writes_what_a_rebuild_writes(steps):
    disk: dict[str, bytes] = {}
    size = 0
    for step in steps:
        tail = {name: disk[name] for name in tiles.tail(size)}
        new = tiles.grow(tail, size, HASHES[size : size + step])
        bundles = tiles.grow_entries(tail, size, LEAVES[size : size + step])
        assert new == tiles.tiles(HASHES, size, size + step)
        first = size - size % tiles.WIDTH
        assert bundles == (tiles.grow_entries({}, first, LEAVES[first : size + step]) if step else {})
        disk |= new | bundles
        size += step
    whole = tiles.tiles(HASHES, 0, size) | tiles.grow_entries({}, 0, LEAVES[:size])
    assert {name: disk[name] for name in whole} == whole
    # What is there besides are narrower tiles of earlier sizes.
    for name in disk.keys() - whole.keys():
        assert ".p/" in name
    stored = [leaf for number in range(-(-size // 256)) for leaf in widest(disk, number)]
    assert stored == LEAVES[:size]


def widest(disk: dict[str, bytes], number: int) -> list[bytes]:
    names = [name for name in disk if tiles.parse_path(name)[:2] == ("entries", number)]
    return tiles.leaves(disk[max(names, key=lambda name: tiles.parse_path(name)[2])])


def test_a_bundle_frames_each_leaf_with_its_length():
    bundle = tiles.grow_entries({}, 0, [b"ab", b"", b"x" * 300])["tile/entries/000.p/3"]
    assert bundle == b"\x00\x02ab" + b"\x00\x00" + b"\x01\x2c" + b"x" * 300
    assert tiles.leaves(bundle) == [b"ab", b"", b"x" * 300]


@pytest.mark.parametrize("content", [b"\x00", b"\x00\x02a", b"\x00\x01a\x00"])
def test_a_torn_bundle_is_refused(content):
    with pytest.raises(TileInvalid, match="ends inside its entry"):
        tiles.leaves(content)


def test_a_torn_hash_tile_is_refused():
    with pytest.raises(TileInvalid, match="whole hashes"):
        tiles.hashes(bytes(33))


def test_growing_without_the_tail_is_refused():
    with pytest.raises(TileInvalid, match=r'last partial tile "tile/0/000.p/5" is needed'):
        tiles.grow({}, 5, HASHES[5:9])
    with pytest.raises(TileInvalid, match=r'"tile/entries/000.p/5" is needed'):
        tiles.grow_entries({}, 5, LEAVES[5:9])


def test_a_log_does_not_shrink():
    for old_size, size in ((5, 4), (0, 1201), (-1, 3)):
        with pytest.raises(ValueError, match="does not grow"):
            tiles.tiles(HASHES, old_size, size)


def test_the_tail_of_a_tree():
    assert tiles.tail(0) == []
    assert tiles.tail(256) == ["tile/1/000.p/1"]
    assert tiles.tail(257) == ["tile/entries/001.p/1", "tile/0/001.p/1", "tile/1/000.p/1"]
