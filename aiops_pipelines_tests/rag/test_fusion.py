import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from aiops_pipelines.rag.fusion import fused, z_scores


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
