from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.monitoring.sampling import (
    calls_of_week,
    known_probes,
    largest_remainders,
    production_sample,
    unanswered_sample,
)

WEEK = date(2026, 6, 1)
START = datetime(2026, 6, 1, tzinfo=UTC)
SCHEMA = pl.Schema(
    {
        "event_id": pl.String(),
        "operation": pl.String(),
        "occurred_at": pl.Datetime("us", "UTC"),
        "endpoint": pl.String(),
        "answer": pl.String(),
        "output_visible": pl.Int64(),
        "status": pl.String(),
        "known_query_id": pl.String(),
    }
)


def calls(
    endpoints: dict[str | None, int],
    answer: str | None = "Yes.",
    known: str | None = None,
    prefix: str = "c",
    operation: str = "chat",
    status: str = "ok",
    written: int | None = None,
) -> pl.DataFrame:
    names = [endpoint for endpoint, count in endpoints.items() for _ in range(count)]
    rows = [
        (f"{prefix}{i}", operation, START + timedelta(minutes=i), name, answer, written, status, known)
        for i, name in enumerate(names)
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def test_week_runs_from_monday_to_monday() -> None:
    moments = [
        START - timedelta(microseconds=1),
        START,
        START + timedelta(days=7, microseconds=-1),
        START + timedelta(days=7),
    ]
    log = calls({"ask": 4}).with_columns(occurred_at=pl.Series(moments, dtype=pl.Datetime("us", "UTC")))
    assert calls_of_week(log, WEEK)["event_id"].to_list() == ["c1", "c2"]
    with pytest.raises(ValueError, match="not a Monday"):
        calls_of_week(log, date(2026, 6, 2))


def test_endpoints_get_seats_in_proportion() -> None:
    sample = production_sample(calls({"ask": 60, "search": 30, None: 10}), WEEK, 7)
    assert dict(sample.group_by("endpoint").len().iter_rows()) == {"ask": 4, "search": 2, None: 1}


def test_draw_does_not_depend_on_the_order_but_on_the_seed() -> None:
    log = calls({"ask": 200})
    sample = production_sample(log, WEEK, 20, seed=1)
    assert sample.equals(production_sample(log.sample(fraction=1, shuffle=True, seed=3), WEEK, 20, seed=1))
    assert sample["event_id"].to_list() != production_sample(log, WEEK, 20, seed=2)["event_id"].to_list()
    assert sample.columns == log.columns


def test_probes_and_calls_without_an_answer_stay_out() -> None:
    log = pl.concat(
        [
            calls({"ask": 3}),
            calls({"ask": 3}, answer=None, prefix="n"),
            calls({"ask": 3}, answer=" ", prefix="b"),
            calls({"ask": 2}, known="q1", prefix="k"),
            calls({"ask": 2}, answer=None, known="q1", prefix="e", operation="embeddings"),
        ]
    )
    assert production_sample(log, WEEK, 50)["event_id"].to_list() == ["c0", "c1", "c2"]
    assert known_probes(log, WEEK)["event_id"].to_list() == ["k0", "k1"]
    assert production_sample(log.clear(), WEEK, 5).is_empty()
    with pytest.raises(ValueError, match="at least one call"):
        production_sample(log, WEEK, 0)


def test_as_great_a_share_of_the_calls_without_an_answer_is_taken() -> None:
    log = pl.concat(
        [
            calls({"ask": 100}),
            calls({"ask": 20, None: 10}, answer=" ", prefix="b"),
            calls({"ask": 10}, answer=None, prefix="n", written=1),
            calls({"ask": 50}, answer=None, prefix="t", written=40),  # calls of tools
            calls({"ask": 50}, answer=None, prefix="u"),  # nothing is known of what they wrote
            calls({"ask": 50}, answer=None, prefix="e", status="error"),
            calls({"ask": 50}, answer=None, prefix="v", operation="embeddings"),
            calls({"ask": 5}, answer=None, known="q1", prefix="k"),
        ]
    )
    assert unanswered_sample(log, WEEK, 25).height == 10
    assert set(unanswered_sample(log, WEEK, 200)["event_id"].str.head(1)) == {"b", "n"}
    assert unanswered_sample(log, WEEK, 200).height == 40
    assert unanswered_sample(log.filter(pl.col("answer").is_null()), WEEK, 4).height == 4
    assert unanswered_sample(log.clear(), WEEK, 5).is_empty()


def test_adding_calls_changes_only_what_it_must() -> None:
    log = calls({"ask": 100})
    small, large = (set(production_sample(log, WEEK, size)["event_id"]) for size in (10, 20))
    assert small < large


@given(st.dictionaries(st.text(max_size=3), st.integers(1, 500), min_size=1, max_size=8), st.integers(1, 300))
def test_seats_add_up_and_stay_within_one_of_the_quota(sizes: dict[str | None, int], seats: int) -> None:
    given_seats, total = largest_remainders(sizes, seats), sum(sizes.values())
    assert sum(given_seats.values()) == min(seats, total)
    assert all(abs(given_seats[name] - size * min(seats, total) / total) < 1 for name, size in sizes.items())
    assert all(given_seats[name] <= size for name, size in sizes.items())
