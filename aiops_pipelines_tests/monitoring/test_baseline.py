from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.monitoring.baseline import (
    BASELINE_SCORES,
    BASELINES,
    BaselineRefusedError,
    fingerprint,
    freeze,
)
from aiops_pipelines.monitoring.quality import QUALITY_SCORES
from aiops_pipelines.systems import Baseline

FIRST = date(2026, 6, 1)
NOW = datetime(2026, 6, 15, tzinfo=UTC)
RULE = Baseline(weeks=2, minimum_rows=3)


def score(
    week: int,
    unit: str,
    value: float | None,
    sample: str = "known",
    metric: str = "support",
    judge: str = "j",
    run: int = 0,
) -> dict[str, object]:
    known = sample == "known"
    return {
        "system": "support", "week": FIRST + timedelta(weeks=week), "event_id": f"{week}-{unit}-{run}", "sample": sample, "metric": metric, "value": value,
        "reason": None if value is not None else "no context", "judge": judge, "query_id": unit if known else None, "cluster": unit if known else "u1",
    }  # fmt: skip


def frame(*rows: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=QUALITY_SCORES)


KNOWN = (
    score(0, "q1", 0.8),
    score(1, "q1", 0.6),
    score(0, "q2", 0.5),
    score(1, "q2", None),
    score(1, "q3", 0.2),
    score(2, "q1", 0.0),
)


def test_known_queries_are_averaged_over_the_first_weeks() -> None:
    baselines, observations = freeze(frame(*KNOWN), RULE, NOW, "Ada")
    assert baselines.schema == BASELINES and observations.schema == BASELINE_SCORES
    assert observations.select("unit", "value", "runs").rows() == [
        ("q1", pytest.approx(0.7), 2),
        ("q2", 0.5, 1),
        ("q3", 0.2, 1),
    ]
    row = baselines.row(0, named=True)
    assert row["mean"] == pytest.approx((0.7 + 0.5 + 0.2) / 3)
    assert (row["n"], row["unmeasured"], row["judge"], row["approved_by"]) == (4, 1, "j", "Ada")
    assert (row["first_week"], row["last_week"], row["frozen_at"]) == (FIRST, FIRST + timedelta(weeks=1), NOW)


def test_production_calls_stay_single_and_keep_their_user() -> None:
    rows = [score(week, f"c{i}", 0.1 * i, "production") for week in (0, 1) for i in range(3)]
    _, observations = freeze(frame(*rows), RULE, NOW)
    assert observations.height == 6
    assert set(observations["cluster"]) == {"u1"} and set(observations["runs"]) == {1}


def test_metric_with_too_few_scores_gets_no_baseline() -> None:
    baselines, observations = freeze(frame(*KNOWN, score(0, "q1", 0.5, metric="recall")), RULE, NOW)
    assert baselines["metric"].to_list() == ["support"]
    assert observations["metric"].unique().to_list() == ["support"]


@pytest.mark.parametrize(
    ("rows", "now", "sentence"),
    [
        (KNOWN, NOW - timedelta(seconds=1), "1 complete weeks are scored; a baseline needs 2"),
        (KNOWN[:2], NOW, "has 2 scores in the first 2 weeks; a baseline needs 3"),
        ((*KNOWN, score(0, "q9", 0.4, judge="k")), NOW, r"several judges \(j, k\)"),
        (({**KNOWN[0], "query_id": None}, *KNOWN[1:]), NOW, "lack their query_id"),
        (({**KNOWN[0], "system": "other"}, *KNOWN[1:]), NOW, "belongs to one system"),
        ((score(0, "q1", None), score(1, "q1", None)), NOW, "has 0 scores"),
        ((), NOW, "0 complete weeks"),
    ],
)
def test_what_cannot_carry_a_baseline_is_refused(
    rows: tuple[dict[str, object], ...], now: datetime, sentence: str
) -> None:
    with pytest.raises(BaselineRefusedError, match=sentence):
        freeze(frame(*rows), RULE, now)


VALUES = st.lists(st.floats(0, 1), min_size=3, max_size=8)


@given(VALUES, st.randoms())
def test_fingerprint_ignores_the_order_and_nothing_else(values: list[float], random: object) -> None:
    rows = [score(week, f"q{i}", value) for i, value in enumerate(values) for week in (0, 1)]
    baselines, observations = freeze(frame(*rows), RULE, NOW)
    random.shuffle(rows)  # type: ignore[attr-defined]
    assert freeze(frame(*rows), RULE, NOW)[0].equals(baselines)
    assert fingerprint(observations.reverse()) == baselines["fingerprint"].item()
    for edited in (
        pl.col("value") + 1e-12,
        pl.col("runs") + 1,
        pl.col("unit") + "x",
        pl.col("cluster") + "x",
    ):
        assert fingerprint(observations.with_columns(edited)) != baselines["fingerprint"].item()
