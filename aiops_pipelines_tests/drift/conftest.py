"""Scores and baselines for the drift tests, built through the real freeze."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from aiops_pipelines.monitoring.baseline import freeze
from aiops_pipelines.monitoring.quality import QUALITY_SCORES
from aiops_pipelines.systems import Baseline

FIRST = date(2026, 6, 1)


def scored(
    week: int,
    values: Sequence[float | None],
    sample: str = "known",
    metric: str = "support",
    judge: str = "j/1",
    users: Sequence[str] | None = None,
) -> pl.DataFrame:
    """One score per known query q0, q1, ... or per production call of the given users."""
    units = [f"q{i}" for i in range(len(values))]
    known = sample == "known"
    return pl.DataFrame(
        {
            "system": "support",
            "week": FIRST + timedelta(weeks=week),
            "event_id": [f"{sample}-{metric}-{week}-{unit}" for unit in units],
            "sample": sample,
            "metric": metric,
            "value": list(values),
            "reason": [None if v is not None else "no retrieved context was logged" for v in values],
            "judge": judge,
            "query_id": units if known else None,
            "cluster": units if known else list(users or units),
        },
        schema=QUALITY_SCORES,
    )


def frozen(*frames: pl.DataFrame, weeks: int = 1, minimum_rows: int = 1) -> tuple[pl.DataFrame, pl.DataFrame]:
    rule = Baseline(weeks=weeks, minimum_rows=minimum_rows)
    return freeze(pl.concat(frames), rule, datetime(2026, 12, 1, tzinfo=UTC))


@pytest.fixture
def scores() -> Callable[..., pl.DataFrame]:
    return scored


@pytest.fixture
def baseline() -> Callable[..., tuple[pl.DataFrame, pl.DataFrame]]:
    return frozen


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20260601)
