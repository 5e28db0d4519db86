"""A judge that judges frozen answers differently drifted, and then nothing is said of the product."""

import math
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from aiops_pipelines.drift.judge_drift import JUDGE_DRIFT, drifted, judge_drift
from aiops_pipelines.drift.verdict import verdicts
from aiops_pipelines.monitoring.baseline import BASELINES
from aiops_pipelines.systems import Limits

FIRST = date(2026, 6, 1)
FROZEN = {
    "system": pl.String,
    "week": pl.Date,
    "item": pl.String,
    "metric": pl.String,
    "judge": pl.String,
    "value": pl.Float64,
}
NONE = pl.DataFrame(schema=BASELINES)


def frozen(*weeks: list[float | None] | None, judge: str = "j") -> pl.DataFrame:
    """Return the frozen answers' scores week by week; None is a week without any."""
    rows = [
        ("s", FIRST + timedelta(weeks=week), f"i{n}", "faithfulness", judge, value)
        for week, values in enumerate(weeks)
        for n, value in enumerate(values or [])
    ]
    return pl.DataFrame(rows, schema=FROZEN, orient="row")


def found(scores: pl.DataFrame, week: int, baselines: pl.DataFrame = NONE) -> dict[str, Any] | None:
    rows = judge_drift(scores, baselines, FIRST + timedelta(weeks=week))
    assert rows.schema == JUDGE_DRIFT
    return rows.row(0, named=True) if rows.height else None


USUAL: list[float | None] = [1.0] * 14 + [0.0] * 18


def moved(fell: int, rose: int) -> list[float | None]:
    return [0.0] * fell + [1.0] * (14 - fell) + [1.0] * rose + [0.0] * (18 - rose)


@pytest.mark.parametrize(
    ("fell", "rose", "verdict"),
    [
        (0, 0, "STEADY"),
        (2, 0, "STEADY"),
        (3, 0, "DRIFTED"),
        (0, 3, "DRIFTED"),
        (1, 1, "STEADY"),
        (2, 1, "DRIFTED"),
    ],
)
def test_three_of_32_are_more_than_chance_moves(fell: int, rose: int, verdict: str) -> None:
    """P(X >= 3) of 32 at 2 % is 1 - 0.98^32 (1 + 32 r + 496 r^2) with r = 0.02 / 0.98: 0.026."""
    row = found(frozen(USUAL, moved(fell, rose)), 1)
    assert row is not None and (row["fell"], row["rose"], row["verdict"]) == (fell, rose, verdict)
    assert row["compared"] == 32 and str(fell) in row["reason"]
    r = 0.02 / 0.98
    if fell + rose == 3:
        assert row["p_value"] == pytest.approx(1 - 0.98**32 * (1 + 32 * r + 496 * r**2))


def test_a_judge_that_wavers_raises_few_alarms() -> None:
    """In each week a frozen answer comes out the other way once in twenty times; four weeks show that it does."""
    rng = np.random.default_rng(3)

    def wavering() -> list[float | None]:
        return [abs(one - float(rng.random() < 0.05)) for one in USUAL]  # type: ignore[operator]

    base = {"system": "s", "judge": "j", "first_week": FIRST, "last_week": FIRST + timedelta(weeks=3)}
    baselines = pl.DataFrame([base], schema=BASELINES)
    worlds = (frozen(*(wavering() for _ in range(5))) for _ in range(300))
    alarms = sum(found(world, 4, baselines)["verdict"] == "DRIFTED" for world in worlds)  # type: ignore[index]
    assert alarms <= 24
    fallen = (frozen(*(wavering() for _ in range(4)), moved(12, 0)) for _ in range(50))
    assert all(found(world, 4, baselines)["verdict"] == "DRIFTED" for world in fallen)  # type: ignore[index]


def test_it_is_held_against_the_baselines_weeks_else_against_its_first() -> None:
    slow = frozen(USUAL, moved(2, 0), moved(7, 0), moved(7, 0), moved(7, 0))
    assert [row and row["verdict"] for row in (found(slow, week) for week in range(5))] == [
        None,
        "STEADY",
        "DRIFTED",
        "DRIFTED",
        "DRIFTED",
    ]
    base = {"system": "s", "sample": "production", "metric": "faithfulness", "judge": "j"}
    spans = {"first_week": FIRST + timedelta(weeks=2), "last_week": FIRST + timedelta(weeks=3)}
    replaced = pl.DataFrame([base | spans], schema=BASELINES)
    assert [row and row["verdict"] for row in (found(slow, week, replaced) for week in range(2, 5))] == [
        None,
        None,
        "STEADY",
    ]


def test_what_was_not_judged_says_nothing() -> None:
    row = found(frozen(USUAL, [0.0] * 15 + [None] * 17), 1)
    assert row is not None and row["verdict"] == "CANNOT TELL" and "15 frozen answers" in row["reason"]
    assert found(frozen(None, None), 1) is None
    assert judge_drift(frozen(USUAL, USUAL), NONE, FIRST + timedelta(weeks=7)).is_empty()
    assert (
        found(pl.concat([frozen(USUAL, judge="old"), frozen(None, moved(14, 0))]), 1) is None
    )  # another judge has its own first week


def test_a_fall_by_a_judge_that_drifted_is_no_fall_of_the_product(
    scores: Callable[..., pl.DataFrame], baseline: Callable[..., Any]
) -> None:
    rng = np.random.default_rng(1)
    values = [float(value) for value in rng.uniform(0.8, 1, 60)]
    before = scores(0, values, metric="faithfulness", judge="j")
    fallen = scores(1, [value - 0.3 for value in values], metric="faithfulness", judge="j")
    baselines, observations = baseline(before)
    week = FIRST + timedelta(weeks=1)
    [alone] = verdicts(fallen, baselines, observations, Limits(), week).rows(named=True)
    assert alone["verdict"] == "DEGRADED"
    drift = judge_drift(frozen(USUAL, moved(10, 0)), NONE, week)
    [row] = verdicts(fallen, baselines, observations, Limits(), week, (), drifted(drift)).rows(named=True)
    assert row["verdict"] == "CANNOT TELL" and row["reason"].startswith(
        "The judge drifted: of 32 frozen answers 10 are judged lower"
    )
    assert math.isclose(row["week_mean"], float(np.mean(values)) - 0.3)
    other = {"k": "The judge drifted: so."}
    assert verdicts(fallen, baselines, observations, Limits(), week, (), other)["verdict"].to_list() == [
        "DEGRADED"
    ]
