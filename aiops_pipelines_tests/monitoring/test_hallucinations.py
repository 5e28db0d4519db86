"""The hallucination rate by hand, what keeps it from being given, and that the offline judge never has one."""

from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest

from aiops_pipelines.drift.judge_drift import JUDGE_DRIFT
from aiops_pipelines.monitoring.hallucinations import HALLUCINATION_RATES, PROXY, hallucination_rates, rate_of
from aiops_pipelines.monitoring.intervals import clustered_share_interval, share_interval
from aiops_pipelines.monitoring.quality import QUALITY_SCORES

JULY_27 = date(2026, 7, 27)
STEADY = pl.DataFrame(schema=JUDGE_DRIFT)


def scores(
    *values: float | None,
    week: date = JULY_27,
    judge: str = "faithfulness/1/j",
    users: int = 1000,
    **changes: Any,
) -> pl.DataFrame:
    rows = [
        {
            "system": "s",
            "week": week,
            "event_id": f"{week}-{judge}-{n}",
            "sample": "production",
            "metric": "faithfulness",
            "value": value,
            "judge": judge,
            "cluster": f"u{n % users}",
            "reason": None if value is not None else "the judge said nothing",
        }
        | changes
        for n, value in enumerate(values)
    ]
    return pl.DataFrame(rows, schema=QUALITY_SCORES)


def rates(
    *frames: pl.DataFrame, drift: pl.DataFrame = STEADY
) -> dict[tuple[str, date, str | None], dict[str, Any]]:
    found = hallucination_rates("s", pl.concat(frames), drift)
    assert found.schema == HALLUCINATION_RATES
    return {(row["grain"], row["period_start"], row["judge"]): row for row in found.rows(named=True)}


def test_answers_with_one_unsupported_statement_are_counted() -> None:
    """Of 40 answers of 40 users 10 hold a statement that is not supported, whatever else they say."""
    found = rates(
        scores(*[0.5, 0.0] * 5, *[1.0] * 30),
        scores(0.0, sample="known"),
        scores(0.1, metric="answer_bigram_support"),
    )
    week = found["week", JULY_27, "faithfulness/1/j"]
    assert (week["answers"], week["with_unsupported"], week["rate"], week["reason"]) == (40, 10, 0.25, None)
    low, high = share_interval(10, 40)
    assert (week["low"], week["high"]) == pytest.approx((float(low), float(high)), abs=3e-3)
    month = found["month", date(2026, 8, 1), "faithfulness/1/j"]  # the week ended on 3 August
    assert month["rate"] == 0.25


def test_without_a_judge_with_a_model_there_is_no_rate_and_it_says_why() -> None:
    offline = scores(*[0.4] * 100, metric="answer_bigram_support", judge="answer_bigram_support/1/x")
    found = rates(offline)
    assert {(row["rate"], row["judge"], row["reason"]) for row in found.values()} == {(None, None, PROXY)}
    assert "proxy" in PROXY and PROXY.startswith("NOT MEASURED")


@pytest.mark.parametrize(
    ("values", "users", "why"),
    [
        ([1.0] * 29, 1000, "NOT MEASURED: 29 answers could be judged; a rate takes 30."),
        ([1.0] * 60, 9, "NOT MEASURED: the answers count as those of 9.0 users; a rate takes 10."),
        ([1.0] * 60 + [None] * 16, 1000, "NOT MEASURED: the judge left 21.1 % of the answers that it was given without a score."),
    ],
)  # fmt: skip
def test_too_little_is_not_measured(values: list[float | None], users: int, why: str) -> None:
    found = rates(scores(*values, users=users))
    assert {(row["rate"], row["low"], row["reason"].replace("\u00a0", " ")) for row in found.values()} == {
        (None, None, why)
    }


def test_answers_that_no_judge_could_judge_are_not_missing() -> None:
    refused = scores(*[None] * 50, reason="the call ended as refused: there is no answer to judge", judge="j")
    silent = scores(*[None] * 9, reason="the judge found no statement in the answer", judge="j")
    spent = scores(*[None] * 60, reason="the judge's monthly_budget_usd is spent", judge="j")
    found = rates(scores(*[1.0] * 40, judge="j"), refused, silent, spent)["week", JULY_27, "j"]
    assert (found["rate"], found["unmeasured"], found["answers"]) == (0.0, 0, 40)
    assert 0.05 < found["high"] < 0.1


def test_a_month_takes_the_weeks_that_ended_in_it_and_judges_are_not_mixed() -> None:
    later = JULY_27 + timedelta(weeks=4)  # of 24 August, the last that ended in it
    found = rates(
        scores(*[0.0] * 40), scores(*[1.0] * 120, week=later), scores(*[0.0] * 50, week=later + timedelta(weeks=1)),
        scores(*[0.0] * 40, week=later, judge="other"),
    )  # fmt: skip
    august = {
        judge: row["rate"]
        for (grain, start, judge), row in found.items()
        if (grain, start) == ("month", date(2026, 8, 1))
    }
    assert august == {"faithfulness/1/j": 0.25, "other": 1.0}
    both = rate_of(row for key, row in found.items() if key[:2] == ("month", date(2026, 8, 1)))
    assert both and both["rate"] is None and "several judges" in both["reason"]
    assert found["month", date(2026, 9, 1), "faithfulness/1/j"]["rate"] == 1.0


def test_a_week_whose_judge_drifted_has_no_rate_and_enters_no_month() -> None:
    later = JULY_27 + timedelta(weeks=1)
    row = {
        "system": "s",
        "week": later,
        "metric": "faithfulness",
        "judge": "faithfulness/1/j",
        "verdict": "DRIFTED",
        "reason": "The judge drifted: so.",
    }
    drift = pl.DataFrame([row], schema=JUDGE_DRIFT)
    found = rates(scores(*[1.0] * 40), scores(*[0.0] * 40, week=later), drift=drift)
    assert found["week", later, "faithfulness/1/j"]["reason"] == "NOT MEASURED: the judge drifted: so."
    assert found["week", later, "faithfulness/1/j"]["rate"] is None
    assert found["month", date(2026, 8, 1), "faithfulness/1/j"]["rate"] == 0.0


def test_no_scores_no_rows() -> None:
    assert hallucination_rates("s", scores(), STEADY).is_empty()


def test_the_interval_of_clusters_by_hand() -> None:
    assert clustered_share_interval([0] * 100, [f"u{n % 4}" for n in range(100)]) == (
        0.0,
        pytest.approx(0.9067, abs=5e-4),
    )
    alone = clustered_share_interval([1] * 10 + [0] * 30, [str(n) for n in range(40)])
    assert alone == pytest.approx([float(end) for end in share_interval(10, 40)], abs=3e-3)


def test_it_covers_the_truth_where_users_differ() -> None:
    """Forty users with 1 to 9 answers and a rate of their own, 0.15 on average; taken as independent it covers less."""
    import numpy as np

    rng = np.random.default_rng(7)
    covered = alone = 0
    for _ in range(600):
        counts = rng.integers(1, 10, 40)
        own = rng.beta(0.3, 1.7, 40)
        users = np.repeat(np.arange(40), counts)
        hits = rng.random(len(users)) < own[users]
        low, high = clustered_share_interval(hits, [str(one) for one in users])
        covered += low <= 0.15 <= high
        low, high = share_interval(int(hits.sum()), len(hits))
        alone += bool(low <= 0.15 <= high)
    assert covered / 600 >= 0.92 > alone / 600
