import hashlib
import json

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.rag.versions import EmbeddingSpace, index_version_id, revision_id

SPACE = {"provider": "onnxruntime", "model": "m", "weights_hash": "w", "dimension": 384, "prefix": ""}
PLACES = pl.DataFrame(
    {"document": ["a", "a", "b"], "document_hash": ["1", "1", "2"], "chunk_id": ["x", "y", "x"]}
)


@pytest.mark.parametrize(
    "change",
    [
        {"provider": "p"},
        {"model": "n"},
        {"weights_hash": "v"},
        {"dimension": 2},
        {"normalised": False},
        {"prefix": "q: "},
        {"query_prefix": "q: "},
    ],
)
def test_every_property_of_a_space_is_in_its_version(change):
    assert EmbeddingSpace(**SPACE).version != EmbeddingSpace(**{**SPACE, **change}).version


def test_identities_say_what_they_are():
    assert revision_id(PLACES).startswith("rv-") and len(revision_id(PLACES)) == 15
    assert index_version_id(PLACES, "s-1", "ev-1").startswith("ix-")
    assert EmbeddingSpace(**SPACE).version.startswith("ev-")


def test_an_index_version_depends_on_content_chunker_and_space():
    ids = {
        index_version_id(PLACES, "s-1", "ev-1"),
        index_version_id(PLACES, "s-2", "ev-1"),
        index_version_id(PLACES, "s-1", "ev-2"),
        index_version_id(PLACES.head(2), "s-1", "ev-1"),
        index_version_id(PLACES.with_columns(document_hash=pl.lit("9")), "s-1", "ev-1"),
    }
    assert len(ids) == 5


@given(st.permutations(range(3)))
def test_order_and_repetition_do_not_matter(order):
    shuffled = pl.concat([PLACES[order], PLACES.head(1)])
    assert revision_id(shuffled) == revision_id(PLACES)
    assert index_version_id(shuffled, "s", "e") == index_version_id(PLACES, "s", "e")


@given(st.lists(st.tuples(st.text(max_size=4), st.text(max_size=4)), max_size=4, unique=True), st.data())
def test_different_revisions_have_different_identities(rows, data):
    other = data.draw(st.lists(st.tuples(st.text(max_size=4), st.text(max_size=4)), max_size=4, unique=True))
    schema = {"document": pl.String, "document_hash": pl.String}
    one, two = (pl.DataFrame(found, schema=schema, orient="row") for found in (rows, other))
    assert (revision_id(one) == revision_id(two)) == (set(rows) == set(other))


@given(st.lists(st.tuples(st.text(max_size=4), st.text(max_size=4)), max_size=4, unique=True))
def test_an_identity_is_that_of_the_json_of_its_rows(rows):
    frame = pl.DataFrame(rows, schema={"document": pl.String, "document_hash": pl.String}, orient="row")
    content = json.dumps(sorted(rows), separators=(",", ":")).encode()
    assert revision_id(frame) == "rv-" + hashlib.sha256(content).hexdigest()[:12]


def test_identities_never_change():
    assert revision_id(PLACES) == "rv-" + hashlib.sha256(b'[["a","1"],["b","2"]]').hexdigest()[:12]
    content = b'[[["a","1","x"],["a","1","y"],["b","2","x"]],"s","e"]'
    assert index_version_id(PLACES, "s", "e") == "ix-" + hashlib.sha256(content).hexdigest()[:12]
