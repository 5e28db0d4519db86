"""The frozen baseline of the service: by hand on weeks of known counts, and when it is refused."""

from datetime import UTC, datetime

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from aiops_pipelines.monitoring.baseline import BaselineRefusedError
from aiops_pipelines.monitoring.daily_alerts import Day
from aiops_pipelines.monitoring.service_baseline import freeze_service
from aiops_pipelines.systems import Baseline
from aiops_pipelines_tests.monitoring.service_worlds import MONDAY, frames, stream

TWO_WEEKS = Baseline(weeks=2, minimum_rows=30)
LATER = datetime(2026, 7, 6, tzinfo=UTC)


def days(*calls_by_number: tuple[int, int]) -> dict:
    made = [Day(MONDAY.replace(day=1 + number), calls, 1, 0) for number, calls in calls_by_number]
    return {day.day: day for day in made}


def test_measures_by_hand() -> None:
    """Mondays with 10 and 30 calls: chi square (10² + 10²) / 20 = 10 with one degree of freedom."""
    frozen = freeze_service(*frames(days((0, 10), (7, 30))), TWO_WEEKS, LATER)
    measured = {row["measure"]: row for row in frozen.iter_rows(named=True)}
    assert (measured["error_share"]["hits"], measured["error_share"]["value"]) == (2, 0.05)
    assert (measured["refusal_share"]["value"], measured["refusal_share"]["low"]) == (0, 0)
    assert (measured["production_1"]["value"], measured["production_2"]["value"]) == (20, 0)
    assert (measured["production_dispersion"]["value"], measured["production_dispersion"]["calls"]) == (10, 1)
    assert "latency_p95_ms" not in measured


def test_known_queries_are_no_calls_that_come() -> None:
    made = [Day(MONDAY.replace(day=1 + n), 40, probes=30) for n in (0, 7)]
    frozen = freeze_service(*frames({day.day: day for day in made}), TWO_WEEKS, LATER)
    assert frozen.filter(measure="production_1")["value"].to_list() == [10]


def test_later_weeks_do_not_move_a_baseline() -> None:
    short, long = (freeze_service(*frames(stream(n, 90, 1)), Baseline(), LATER) for n in (28, 30))
    assert_frame_equal(short, long, check_row_order=False)


def test_a_week_in_which_the_log_began_midway_is_no_baseline() -> None:
    """The Friday alone would halve the mean of the days of its week."""
    friday = days((4, 10), *((7 + n, 10) for n in range(14)))
    frozen = freeze_service(*frames(friday), TWO_WEEKS, LATER)
    means = frozen.filter(pl.col("measure").str.contains(r"production_\d"))["value"].to_list()
    assert means == [10] * 7


def test_a_week_whose_last_day_is_on_its_way_waits_for_it() -> None:
    """A log that is exported at night lacks the Sunday when the week is over, and no baseline is taken again."""
    monday = datetime(2026, 6, 15, 0, 15, tzinfo=UTC)
    until_saturday = days(*((n, 10) for n in range(13)))
    with pytest.raises(BaselineRefusedError, match="1 complete week"):
        freeze_service(*frames(until_saturday), TWO_WEEKS, monday)
    arrived = days(*((n, 10) for n in range(15)))
    frozen = freeze_service(*frames(arrived), TWO_WEEKS, monday.replace(day=16))
    assert frozen.filter(measure="production_7")["value"].to_list() == [10]
    for n in (21, 22):  # a Sunday that nobody works is no reason to wait for ever
        assert freeze_service(*frames(until_saturday), TWO_WEEKS, monday.replace(day=n + 1)).height


def test_a_baseline_begins_with_the_week_that_is_named_also_where_nobody_asks_on_mondays() -> None:
    tuesdays = days(*((7 * n + 1, 30) for n in range(4)))
    frozen = freeze_service(*frames(tuesdays), TWO_WEEKS, LATER, MONDAY.replace(day=15))
    assert frozen["first_week"][0] == MONDAY.replace(day=15)


def test_the_order_of_hours_does_not_move_a_baseline_by_a_bit() -> None:
    traffic, sketch = frames(stream(28, 90, 1))
    seen = {
        freeze_service(traffic.sample(fraction=1, shuffle=True, seed=seed), sketch, Baseline(), LATER)
        .filter(measure="production_dispersion")["value"][0]
        .hex()
        for seed in range(30)
    }
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("now", "calls", "sentence"),
    [
        (datetime(2026, 6, 14, tzinfo=UTC), 30, "1 complete week with calls so far"),
        (LATER, 5, "15 calls"),
    ],
)
def test_too_little_is_refused_in_a_sentence(now: datetime, calls: int, sentence: str) -> None:
    with pytest.raises(BaselineRefusedError, match=sentence):
        freeze_service(*frames(days((0, 10), (7, calls))), TWO_WEEKS, now)
