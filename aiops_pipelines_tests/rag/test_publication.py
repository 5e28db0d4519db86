"""An index as nodes: names that stay, differences worked out by hand, and what a proof must see."""

import hashlib
import uuid

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.rag.publication import (
    HELD,
    collection,
    differences,
    moved_vectors,
    node_id,
    nodes,
    overlap,
    plan,
    sample,
)


def held(**fingerprints: str) -> pl.DataFrame:
    return pl.DataFrame(list(fingerprints.items()), schema=HELD, orient="row")


def places(*rows: tuple[str, str, str, int]) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema=["chunk_id", "document", "document_hash", "position"], orient="row")
    return frame.with_columns(heading=pl.lit("Fees"), own_text=pl.lit(None, pl.String))


TITLES = pl.DataFrame({"document": ["a.md", "b.md"], "title": ["A", None]})
TEXTS = pl.DataFrame({"chunk_id": ["c1"], "text_hash": ["t"]})


def test_a_chunk_is_one_node_a_document_at_its_first_place() -> None:
    found = nodes(
        places(("c1", "a.md", "h", 4), ("c1", "a.md", "h", 1), ("c1", "b.md", "i", 0)), TITLES, TEXTS
    )
    rows = found.sort("document").select("document", "position", "title", "node_id").rows()
    assert [row[:3] for row in rows] == [("a.md", 1, "A"), ("b.md", 0, "")]
    assert rows[0][3] == node_id("a.md", "c1") != rows[1][3]
    assert uuid.UUID(rows[0][3]).version == 5
    assert found["node_id"].is_sorted()


def test_names_do_not_run_into_each_other() -> None:
    assert node_id('a","b', "c") != node_id("a", 'b","c')


@pytest.mark.parametrize("column", ["document_hash", "position", "heading"])
def test_whatever_is_written_with_a_node_is_in_its_fingerprint_and_not_in_its_name(column: str) -> None:
    before = places(("c1", "a.md", "h", 0))
    other = pl.lit(1) if column == "position" else pl.lit("another")
    one, two = nodes(before, TITLES, TEXTS), nodes(before.with_columns(other.alias(column)), TITLES, TEXTS)
    assert one["node_id"][0] == two["node_id"][0]
    assert one["fingerprint"][0] != two["fingerprint"][0]
    renamed = nodes(before, TITLES.with_columns(title=pl.lit("New title")), TEXTS)
    rewrapped = nodes(before, TITLES, TEXTS.with_columns(text_hash=pl.lit("another")))
    own = nodes(before.with_columns(own_text=pl.lit("x")), TITLES, TEXTS)
    assert len({found["fingerprint"][0] for found in (one, renamed, rewrapped, own)}) == 4
    same = TEXTS.with_columns(text_hash=pl.lit(hashlib.md5(b"x").hexdigest()))
    assert own["fingerprint"][0] == nodes(before, TITLES, same)["fingerprint"][0]


def test_the_difference_worked_out_by_hand() -> None:
    found = plan(held(a="1", b="1", c="1"), held(a="1"), held(a="1", b="1", d="1"))
    assert (found.write, found.remove, found.upserts, found.deletes) == (("b", "c"), (), 1, 1)
    found = plan(held(a="2"), held(a="1", b="1"), held(a="1", b="1"))
    assert (found.write, found.remove, found.upserts, found.deletes) == (("a",), ("b",), 1, 1)


states = st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from("12"))


@given(states, states, states)
def test_carrying_out_a_plan_leaves_no_difference_and_a_second_one_is_empty(
    wanted: dict[str, str], draft: dict[str, str], shown: dict[str, str]
) -> None:
    found = plan(held(**wanted), held(**draft), held(**shown))
    after = {k: v for k, v in draft.items() if k not in found.remove} | {k: wanted[k] for k in found.write}
    assert after == wanted
    assert differences(held(**wanted), held(**after)) == []
    again = plan(held(**wanted), held(**after), held(**after))
    assert (again.write, again.remove, again.upserts, again.deletes) == ((), (), 0, 0)
    if draft != wanted:
        assert differences(held(**wanted), held(**draft))


def test_each_way_of_differing_is_said() -> None:
    twice = pl.concat([held(a="1", b="2", d="1"), held(a="1")])
    assert differences(held(a="1", b="1", c="1"), twice) == [
        "1 node not in the store: c.",
        "1 node in the store and not in the index: d.",
        "1 node in the store in another version: b.",
        "1 node in the store more than once: a.",
    ]


@given(st.sets(st.integers(0, 60)), st.sets(st.integers(0, 60)), st.integers(1, 20))
def test_a_sample_holds_fresh_ones_and_others_and_fits(have: set[int], new: set[int], size: int) -> None:
    ids = [f"n{one}" for one in have | new]
    fresh = [f"n{one}" for one in new]
    found = sample(ids, fresh, size)
    assert set(found) <= set(ids) and len(found) == len(set(found)) == min(size, len(ids))
    assert len(set(found) & set(fresh)) >= min(len(fresh), size // 2)
    assert found == sample(ids[::-1], fresh[::-1], size)


def test_a_vector_that_moved_or_is_gone_is_named() -> None:
    ours = np.array([[1, 0], [0, 1], [0, 1]], dtype=np.float32)
    assert moved_vectors(["a", "b", "c"], ours, [[1, 1e-7], [0, 1], [0, 1]]) == []
    assert moved_vectors(["a", "b", "c"], ours, [[1, 0.001], None, [0, 1, 0]]) == [
        "3 nodes with another vector than in the index: a, b, c."
    ]


def test_overlap_counts_what_is_as_near_as_our_own() -> None:
    scores = np.array([0.9, 0.5, 0.5, 0.1], dtype=np.float32)
    assert overlap(scores, [0, 2], 2) == 1.0  # 1 and 2 tie
    assert overlap(scores, [0, 3], 2) == 0.5
    assert overlap(scores, [0, 0], 2) == 0.5
    assert overlap(scores, [0, None], 2) == 0.5
    assert overlap(scores, [3, 2, 1, 0], 9) == 1.0  # fewer nodes than were asked for
    assert overlap(scores[:0], [], 3) == 1.0


def test_spaces_and_chunkings_have_collections_of_their_own() -> None:
    names = {collection("desk", e, c) for e in ("ev-1", "ev-2") for c in ("structure-2", "structure-2-300")}
    assert len(names) == 4 and all(name.startswith("desk_") for name in names)
