import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from aiops_pipelines.rag.fusion import fused, rank, z_scores
from aiops_pipelines.rag.ranking import MixedSpaces, Vectors


def test_two_that_disagree_cancel_and_two_that_agree_add_up():
    dense, keywords = np.array([[0.9, 0.1]]), np.array([[0.0, 4.0]])
    assert fused(dense, keywords).tolist() == [[0, 0]]
    assert fused(dense, -keywords).tolist() == [[1, -1]]
    assert fused(dense, keywords, weight=0.75).tolist() == [[0.5, -0.5]]


def test_equal_scores_say_nothing():
    assert fused(np.array([[0.3, 0.3, 0.3]]), np.array([[0.0, 1.0, 2.0]]))[0, 2] == pytest.approx(
        0.5 * 1.5**0.5
    )


rows = arrays(np.float64, (2, 5), elements=st.floats(-100, 100))


@given(rows, st.floats(0.5, 10), st.floats(-50, 50))
def test_the_scale_of_a_ranker_does_not_matter(scores, factor, shift):
    moved = z_scores(scores * factor + shift)
    level = scores.std(axis=1) < 1e-6
    assert moved[~level] == pytest.approx(z_scores(scores)[~level], abs=1e-4)


def test_documents_are_ranked_by_their_best_fused_chunk():
    vectors = Vectors("e", np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], dtype=np.float32))
    queries = Vectors("e", np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32))
    words = np.array([[0.0, 3.0, 0.0], [0.0, 0.0, 0.0]])
    found = rank(["b", "a", "b"], vectors, queries, lambda block: words[list(block)], 5)
    # dense 1, 0, .6: mean .5333, deviation .4110; words 0, 3, 0: mean 1, deviation 1.4142
    assert found[0] == [
        ("b", pytest.approx((0.4667 / 0.4110 - 0.7071) / 2, abs=1e-3)),
        ("a", pytest.approx((-0.5333 / 0.4110 + 1.4142) / 2, abs=1e-3)),
    ]
    assert [name for name, _ in found[1]] == ["a", "b"]  # no word is known: the embeddings decide
    with pytest.raises(MixedSpaces):
        rank(["b", "a", "b"], vectors, Vectors("other", queries.matrix), lambda block: words[list(block)], 5)
