import numpy as np
import polars as pl

from aiops_pipelines.drift.query_mix import (
    OTHERS,
    between_questions,
    between_strata,
    moved_share,
    with_strata,
)


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


def of_endpoints(scores: float | dict[str, float] = 0.5, **calls: int) -> pl.DataFrame:
    """So many calls of each endpoint, each by a user of its own."""
    names = [name for name, n in calls.items() for _ in range(n)]
    values = [scores[name] if isinstance(scores, dict) else scores for name in names]
    users = [f"{name}{i}" for i, name in enumerate(names)]
    return pl.DataFrame({"endpoint": names, "cluster": users, "value": values})


def strata(week: pl.DataFrame | None = None, **calls: int) -> dict[str, str]:
    rows = week if week is not None else of_endpoints(**calls)
    _, placed = with_strata(of_endpoints(**calls), rows)
    return dict(placed.select("endpoint", "stratum").unique().iter_rows())


def test_endpoints_of_few_users_are_one_stratum():
    assert strata(a=10, b=30) == {"a": "a", "b": "b"}
    assert strata(a=4, b=7, c=10) == {"a": OTHERS, "b": OTHERS, "c": "c"}
    assert strata(a=4, b=10, c=20) == {"a": OTHERS, "b": OTHERS, "c": "c"}
    assert strata(a=4) == {"a": OTHERS}


def test_users_and_not_calls_make_a_stratum():
    frozen = of_endpoints(a=30, b=30).with_columns(
        cluster=pl.when(pl.col("endpoint") == "a").then(pl.lit("one")).otherwise("cluster")
    )
    assert set(with_strata(frozen, frozen)[1]["stratum"]) == {OTHERS}


def test_an_endpoint_that_the_baseline_lacks_has_no_stratum():
    assert strata(of_endpoints(a=1, new=1), a=10, b=10) == {"a": "a", "new": None}
    assert strata(of_endpoints(a=1, new=10), a=10, b=2, c=9) == {"a": "a", "new": None}


def test_endpoints_with_an_id_in_them_are_others_in_every_week():
    paths = {f"/orders/{n}": 1 for n in range(40)}
    week = of_endpoints(**{f"/orders/{n}": 1 for n in range(30, 60)}, ask=20)
    assert set(strata(week, **paths, ask=50).values()) == {OTHERS, "ask"}


def test_a_mix_alone_by_hand():
    scores = {"a": 0.9, "b": 0.5}
    frozen, now = with_strata(of_endpoints(scores, a=80, b=20), of_endpoints(0.1, a=50, b=50))
    mix = between_strata(frozen, now)
    assert mix is not None and np.isclose(mix.drop, 1 - 0.70 / 0.82)
    assert np.isclose(moved_share(frozen, now), 0.3)
    assert mix.p_value(0.02) < 0.001 and between_strata(frozen, frozen).p_value(0.02) > 0.5
    assert between_strata(*with_strata(of_endpoints(a=20), of_endpoints(a=20))) is None
