"""User signals on recorded dialogues whose users' satisfaction people have rated; the phrases were chosen on others."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from aiops_pipelines.monitoring.signals import user_signals

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def turns(shared_data: Path) -> pl.DataFrame:
    """The users' turns as calls a minute apart; `unhappy` is how the answer to the call was rated afterwards."""
    read = pl.read_parquet(shared_data / "feedback" / "uss_sgd.parquet")
    users = read.filter(pl.col("speaker") == "user", ~pl.col("is_overall")).sort("dialogue_id", "turn")
    place = pl.int_range(pl.len()).over("dialogue_id")
    return users.select(
        system=pl.lit("desk"),
        event_id=pl.format("{}/{}", "dialogue_id", "turn"),
        operation=pl.lit("chat"),
        session_id="dialogue_id",
        user_id=pl.lit(None, pl.String),
        trace_id=pl.lit(None, pl.String),
        occurred_at=START + place * timedelta(minutes=1),
        query="text",
        status=pl.lit("ok"),
        known_query_id=pl.lit(None, pl.String),
        rating=pl.lit(None, pl.Int8),
        unhappy=pl.col("rating").shift(-1).over("dialogue_id") < 2.5,
    )


def test_a_contradicted_answer_is_six_times_as_often_a_bad_one(turns: pl.DataFrame) -> None:
    found = user_signals(turns, START + timedelta(days=9)).filter(pl.col("signal") == "contradicted")
    judged = turns.drop_nulls("unhappy")
    given = judged.join(found, on="event_id", how="semi")["unhappy"]
    precision, usual = given.sum() / given.len(), judged["unhappy"].sum() / judged.height
    assert (given.len(), round(usual, 3)) == (393, 0.043)
    assert precision > 0.25 and precision > 5 * usual
    assert given.sum() / judged["unhappy"].sum() > 0.20
