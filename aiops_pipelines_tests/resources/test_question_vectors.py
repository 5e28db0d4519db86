from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from aiops_pipelines.drift.verdict import DRIFT_VERDICTS
from aiops_pipelines.resources.question_vectors import question_vectors
from aiops_pipelines_tests.drift.conftest import FIRST, frozen, scored
from aiops_pipelines_tests.resources.hashed_words import HashedWords

NOW = FIRST + timedelta(weeks=5)
ASKED = ["Where is my parcel?", "Where is my parcel?", "How much is it?", " ", None]


def verdicts(**fallen: str) -> pl.DataFrame:
    rows = [
        {"week": NOW, "sample": name, "metric": "support", "verdict": said} for name, said in fallen.items()
    ]
    return pl.DataFrame(rows, schema=DRIFT_VERDICTS)


@pytest.fixture
def logged() -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Scores, calls and baselines: five calls in each of three weeks, the first of them frozen."""
    weeks = [scored(week, [0.5, 0.6, 0.7, 0.8, 0.9], "production") for week in (0, 3, 5)]
    scores = pl.concat(weeks)
    calls = scores.select("event_id", query=pl.Series(ASKED * 3))
    return scores, calls, frozen(weeks[0])[0]


def test_questions_of_baseline_and_week_get_vectors(
    logged: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame],
) -> None:
    found = question_vectors(verdicts(production="DEGRADED", known="OK"), *logged, HashedWords())
    assert found is not None
    events = [f"production-support-{week}-q{call}" for week in (0, 5) for call in range(3)]
    assert found["event_id"].to_list() == events
    vectors = np.stack(found["vector"].to_list())
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    assert np.array_equal(vectors[0], vectors[1]) and not np.allclose(vectors[0], vectors[2])


def test_nothing_is_embedded_where_known_queries_fell_too_or_nothing_was_asked(
    logged: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame],
) -> None:
    scores, calls, baselines = logged
    assert question_vectors(verdicts(production="DEGRADED", known="DEGRADED"), *logged) is None
    assert question_vectors(verdicts(production="OK", known="DEGRADED"), *logged) is None
    silent = calls.with_columns(query=pl.lit(None, pl.String))
    assert question_vectors(verdicts(production="DEGRADED"), scores, silent, baselines) is None
