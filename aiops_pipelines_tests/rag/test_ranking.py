import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from aiops_pipelines.rag.ranking import (
    MixedSpaces,
    Vectors,
    best_documents,
    blocks,
    chunk_matrix,
    dense,
    dense_of_each,
)


def test_a_document_scores_as_its_best_chunk():
    assert best_documents(["a", "b", "a"], np.array([[0.1, 0.5, 0.9]]), 2) == [[("a", 0.9), ("b", 0.5)]]


def test_ties_go_by_name():
    assert best_documents(["c", "a", "b"], np.array([[0.5, 0.5, 0.50000001]]), 3) == [
        [("a", 0.5), ("b", 0.5), ("c", 0.5)]
    ]


def test_nothing_indexed_gives_empty_rankings():
    assert best_documents([], np.zeros((2, 0)), 5) == [[], []]


def test_dense_is_the_inner_product():
    vectors = np.array([[1, 0], [0, 1], [0.6, 0.8]], dtype=np.float32)
    queries = np.array([[1, 0], [0, 1]], dtype=np.float32)
    found = dense(["x", "y", "z"], Vectors("e", vectors), Vectors("e", queries), 2)
    assert found == [[("x", 1.0), ("z", 0.6)], [("y", 1.0), ("z", 0.8)]]


@pytest.mark.parametrize("dimension", [2, 3])
def test_two_models_never_meet_in_one_search_not_even_at_one_dimension(dimension):
    chunks, queries = np.zeros((1, 3), np.float32), np.zeros((1, dimension), np.float32)
    with pytest.raises(
        MixedSpaces, match="Queries of f cannot be asked of chunks of e: two embedding models"
    ):
        dense(["x"], Vectors("e", chunks), Vectors("f", queries), 1)


def test_an_empty_index_finds_nothing_in_any_space():
    documents, vectors = chunk_matrix(INDEX.clear(), EMBEDDINGS.clear())
    assert dense(documents, vectors, Vectors("e", np.zeros((2, 2), np.float32)), 1) == [[], []]


INDEX = pl.DataFrame({"document": ["b", "a", "a"], "chunk_id": ["c1", "c1", "c2"]})
EMBEDDINGS = pl.DataFrame(
    {"chunk_id": ["c1", "c2"], "embedding_version": ["e", "e"], "vector": [[1.0, 0.0], [0.0, 1.0]]}
)


def test_chunk_matrix_has_a_row_per_place():
    documents, vectors = chunk_matrix(INDEX, EMBEDDINGS)
    assert documents == ["a", "a", "b"]
    assert vectors.space == "e" and vectors.matrix.dtype == np.float32
    assert vectors.matrix.tolist() == [[1, 0], [0, 1], [1, 0]]
    assert vectors.rows([1]).matrix.tolist() == [[0, 1]] and vectors.rows([1]).space == "e"


def test_chunk_matrix_refuses_mixed_and_missing_vectors():
    with pytest.raises(MixedSpaces, match="e, f cannot be searched together"):
        chunk_matrix(INDEX, EMBEDDINGS.with_columns(embedding_version=pl.Series(["e", "f"])))
    with pytest.raises(MixedSpaces, match="1 chunks have no vector"):
        chunk_matrix(INDEX, EMBEDDINGS.head(1))
    with pytest.raises(MixedSpaces, match="different lengths"):
        chunk_matrix(INDEX, EMBEDDINGS.with_columns(vector=pl.Series([[1.0], [0.0, 1.0]])))


@given(st.data())
def test_rankings_equal_a_plain_sort(data):
    documents = data.draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=8))
    scores = data.draw(arrays(float, (2, len(documents)), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])))
    for row, ranking in zip(scores, best_documents(documents, scores, 3), strict=True):
        best = {name: max(s for d, s in zip(documents, row, strict=True) if d == name) for name in documents}
        assert ranking == sorted(best.items(), key=lambda item: (-item[1], item[0]))[:3]


@settings(max_examples=20)
@given(st.data())
def test_many_documents_in_groups_rank_as_a_plain_sort(data):
    """More documents than groups: the bound of a group's maximum must let nothing of the best k slip."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    owners = [f"d{at // 2:05}" for at in range(6_000)]
    rng.shuffle(owners)
    scores = rng.integers(0, data.draw(st.sampled_from([3, 50, 10**6])), (2, 6_000)) / 10
    for row, ranking in zip(scores, best_documents(owners, scores, 7), strict=True):
        best: dict[str, float] = {}
        for name, score in zip(owners, row, strict=True):
            best[name] = max(score, best.get(name, -1))
        assert ranking == sorted(best.items(), key=lambda item: (-item[1], item[0]))[:7]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 5), st.integers(0, 2)), max_size=12))
def test_indexes_that_share_chunks_rank_as_each_does_alone(places):
    """The third number says which index holds a place: the first, the second or both."""
    vectors = np.random.default_rng(1).random((6, 3), dtype=np.float32)
    queries, chunks = Vectors("e", vectors[:4]), [f"c{at}" for at in range(6)]
    held = [[(d, c) for d, c, where in places if where in (index, 2)] for index in (0, 1)]
    schema = {"document": pl.String, "chunk_id": pl.String}
    frames = [pl.DataFrame([(d, f"c{c}") for d, c in one], schema=schema, orient="row") for one in held]
    alone = [
        dense([d for d, _ in one], Vectors("e", vectors[[c for _, c in one]]), queries, 3) for one in held
    ]
    assert dense_of_each(frames, chunks, Vectors("e", vectors), queries, 3) == alone


def test_the_queries_of_a_large_index_are_asked_in_blocks():
    assert [len(block) for block in blocks(5, 4_000_000)] == [2, 2, 1]
    assert [len(block) for block in blocks(2, 50_000_000)] == [1, 1]
    assert blocks(0, 10) == []
