import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.rag.migration import (
    CANNOT_TELL,
    INFERIOR,
    NOT_INFERIOR,
    advice,
    agreement,
    decision,
    gate,
    non_inferiority,
)


def alternating(mean: float, half: float, n: int) -> np.ndarray:
    """n values mean +- half: their standard deviation is half * sqrt(n / (n - 1))."""
    return mean + half * np.where(np.arange(n) % 2, 1.0, -1.0)


def test_the_worked_example():
    before = np.full(100, 0.8)
    found = non_inferiority("ndcg_at_10", before, alternating(0.8, 0.05, 100), 0.02)
    half = 1.98422 * 0.05 * math.sqrt(100 / 99) / 10 / 0.8  # t(0.975, 99) times error, relative
    assert (found.low, found.high) == pytest.approx((-half, half), abs=1e-5)
    assert half == pytest.approx(0.01246, abs=1e-5) and found.verdict == NOT_INFERIOR


@pytest.mark.parametrize(
    ("after", "half", "verdict"),
    [
        (0.80, 0.05, NOT_INFERIOR),
        (0.80, 0.30, CANNOT_TELL),
        (0.78, 0.05, CANNOT_TELL),
        (0.70, 0.05, INFERIOR),
    ],
)
def test_not_inferior_inferior_or_nobody_can_tell(after, half, verdict):
    found = non_inferiority("recall_at_5", np.full(100, 0.8), alternating(after, half, 100), 0.02)
    assert found.verdict == verdict and f"{found.drop:.3f}" == f"{1 - after / 0.8:.3f}"


def test_no_difference_at_all_needs_enough_queries_to_say_so():
    few, many = (np.tile([1.0, 0.5], n // 2) for n in (100, 200))
    assert non_inferiority("m", few, few, 0.02).verdict == CANNOT_TELL  # 1 - 0.025^(1/100) = 3.6 %
    found = non_inferiority("m", many, many, 0.02)
    assert found.verdict == NOT_INFERIOR and found.high == pytest.approx(1 - 0.025 ** (1 / 200))


def test_few_queries_and_a_mean_of_zero_tell_nothing():
    assert "20 queries" in non_inferiority("m", np.ones(19), np.zeros(19), 0.02).reason
    assert non_inferiority("m", np.zeros(30), np.ones(30), 0.02).verdict == CANNOT_TELL
    assert non_inferiority("m", np.empty(0), np.empty(0), 0.02).before is None


def test_the_gate_pairs_by_query_and_leaves_out_what_one_index_was_not_asked():
    before = pl.DataFrame(
        {"query_id": ["a", "b", "c"], "ndcg_at_10": [1.0, 0, 1], "recall_at_5": [1.0, 0, 1]}
    )
    after = before.reverse().filter(pl.col("query_id") != "c")
    ndcg, recall = gate(before, after, 0.02)
    assert (ndcg.queries, ndcg.before, ndcg.after) == (2, 0.5, 0.5) and recall.measure == "recall_at_5"


def test_one_inferior_measure_decides_and_not_inferior_takes_all():
    said = lambda *verdicts: decision([{"verdict": verdict} for verdict in verdicts])  # noqa: E731
    assert said(NOT_INFERIOR, NOT_INFERIOR) == NOT_INFERIOR
    assert said(NOT_INFERIOR, CANNOT_TELL) == CANNOT_TELL == said()
    assert said(NOT_INFERIOR, INFERIOR) == INFERIOR


def test_what_to_do_next_follows_from_status_and_verdict():
    good, unsure = [{"verdict": NOT_INFERIOR}, {"verdict": "informs"}], [{"verdict": CANNOT_TELL}]
    assert "promote desk --by" in advice("built", good, "desk")
    assert "--force --reason" in advice("built", unsure, "desk")
    assert "start desk goes on" in advice("building", [], "desk")
    assert "rollback desk" in advice("promoted", good, "desk") and "plan desk" in advice(
        "abandoned", [], "desk"
    )


def test_agreement_is_counted_and_called_no_quality():
    same, first = agreement([["a", "b", "c"], ["x"]], [["a", "c", "d"], ["y"]])
    assert (same.after, first.after) == (pytest.approx(1 / 3), 0.5)
    assert same.verdict == "informs" and "not which is better" in same.reason and same.before is None
    assert agreement([], [])[0].queries == 0
    assert agreement([["a", "b"]], [["b", "a"]])[0].after == 1.0 == agreement([[]], [[]])[0].after


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=20, max_size=60), st.floats(0, 0.3))
def test_verdict_and_interval_never_contradict_each_other(scores, margin):
    before = np.array(scores)
    after = np.roll(before, 1)
    found = non_inferiority("m", before, after, margin)
    if found.verdict == NOT_INFERIOR:
        assert found.high < margin
    if found.verdict == INFERIOR:
        assert found.low > margin


@pytest.mark.slow
@pytest.mark.parametrize("n", [30, 60, 200])
def test_a_worse_index_seldom_passes_and_an_equal_one_is_seldom_called_worse(n):
    random, passed, condemned, repeats = np.random.default_rng(n), 0, 0, 1000
    for _ in range(repeats):
        before = random.choice([0.0, 0.43, 0.63, 1.0], n, p=[0.1, 0.1, 0.2, 0.6])
        lost = np.where(random.random(n) < 0.1 / before.mean() * 0.8, 0.0, before)  # well beyond the margin
        passed += non_inferiority("m", before, lost, 0.02).verdict == NOT_INFERIOR
        moved = np.where(random.random(n) < 0.3, random.permutation(before), before)
        condemned += non_inferiority("m", before, moved, 0.02).verdict == INFERIOR
    assert passed / repeats <= 0.025 and condemned / repeats <= 0.04
