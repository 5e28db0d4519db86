import numpy as np
import polars as pl

from aiops_pipelines.drift.query_mix import between_questions


def calls(users: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """200 calls of the baseline, half of them hard, and 100 of the week, all of them hard."""
    hard = np.array([n % 2 for n in range(200)] + [1] * 100)
    rows = pl.DataFrame(
        {
            "event_id": [f"e{n}" for n in range(300)],
            "metric": "support",
            "frozen": [n < 200 for n in range(300)],
            "now": [n >= 200 for n in range(300)],
            "cluster": [f"u{n % users}" for n in range(300)],
            "value": 0.8 - 0.2 * hard,
        }
    ).with_columns(expected=pl.lit(0.7), loss=0.7 - pl.col("value"))
    vectors = pl.DataFrame({"event_id": rows["event_id"], "vector": np.eye(2)[hard].tolist()})
    return rows, vectors


def test_what_alike_questions_scored_is_expected_of_a_question() -> None:
    rows, vectors = calls(50)
    held, drop, sentence = between_questions(rows, vectors)
    assert np.isclose(drop, 0.1)  # the baseline's mean is 0.7, that of its hard questions 0.6
    assert np.allclose(held["expected"], held["value"]) and np.allclose(held["loss"], 0)
    assert "support would have fallen by 0.100" in sentence


def test_questions_of_one_user_or_of_half_of_the_week_tell_nothing() -> None:
    rows, vectors = calls(1)
    assert between_questions(rows, vectors)[1:] == (0.0, "")
    rows, vectors = calls(50)
    assert between_questions(rows, vectors.head(249))[1:] == (0.0, "")
    assert between_questions(rows, vectors.tail(199))[1:] == (0.0, "")
