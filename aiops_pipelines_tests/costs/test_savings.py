"""Savings: a planted one comes back, and what is none, as less traffic or another mix, is never claimed."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest

from aiops_pipelines.costs.compared import SpendError
from aiops_pipelines.costs.savings import SPENT, Saved, saved
from aiops_pipelines.incidents.review_spend import saving_sentence

JUNE = date(2026, 6, 1), date(2026, 6, 28)
JULY = date(2026, 6, 29), date(2026, 7, 26)
WEEKS = [JULY[0] + timedelta(days=7 * n) for n in range(4)]
HELD = pl.DataFrame({"week": WEEKS, "verdict": ["OK"] * 4})
PENNY = Decimal("0.01")


def calls(
    number: int, usd: Decimal | None, users: int = 20, days: int = 10, **more: Any
) -> list[dict[str, Any]]:
    """Calls in turn by each user and on each day of a period."""
    blank = {"endpoint": "chat", "operation": "chat", "status": "ok", "user_tokens": 9, "cost_usd": usd}
    return [
        {"event_id": f"{more}{usd}{n}", "user_id": f"u{n % users}", "day": n % days, **blank, **more}
        for n in range(number)
    ]


def frame(rows: list[dict[str, Any]], first: date) -> pl.DataFrame:
    start = datetime(first.year, first.month, first.day, tzinfo=UTC)
    made = [
        {name: row.get(name) for name in SPENT}
        | {"occurred_at": start + timedelta(days=row["day"], seconds=n)}
        for n, row in enumerate(rows)
    ]
    return pl.DataFrame(made, schema=SPENT)


def found(before: list[dict[str, Any]], after: list[dict[str, Any]], verdicts: pl.DataFrame = HELD) -> Saved:
    return saved("s", JUNE, JULY, (frame(before, JUNE[0]), frame(after, JULY[0])), verdicts)


def test_a_saving_is_that_of_the_answers_given():
    """100 at 3 cents, then 50 at 2: a cent for each of the 50, though spend fell by $2."""
    told = found(calls(100, 3 * PENNY), calls(50, 2 * PENNY))
    assert told.interval == pytest.approx((0.5, 0.5))
    assert (told.verdict, told.proven, told.covered) == ("saved", True, 1)
    assert (told.saved_usd, told.expected_usd, told.spent_usd) == pytest.approx((0.5, 1.5, 1.0))
    assert saving_sentence(told).startswith("Saved +$0.50, between +$0.50 and +$0.50. Proven")
    dearer = found(calls(100, 2 * PENNY), calls(50, 3 * PENNY))
    assert dearer.verdict == "dearer" and "answers cost $0.50 more" in saving_sentence(dearer)


def test_the_error_of_a_saving_is_worked_out_by_hand():
    """Ten users with two answers each on ten days, half of them at 2 cents and half at 4; then all at 2.

    The mean of 3 cents has by user residuals of 2 x 1 cent / 20; their variance 10/9 x 10 x 0.1^2 = 1/9 square
    cents. Nothing varies afterwards, so 20 answers would have cost 60 cents with an error of 20 / 3 cents, and
    t with 9 degrees of freedom is 2.262.
    """
    before = [row for n in range(10) for row in calls(2, (2 + n % 2 * 2) * PENNY, user_id=f"u{n}", day=n)]
    told = found(before, calls(20, 2 * PENNY, users=10))
    reach = 2.2621572 * 0.2 / 3
    assert told.interval == pytest.approx((0.2 - reach, 0.2 + reach))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"endpoint": "a"}, {"endpoint": "b"}),
        ({"operation": "embeddings"}, {"operation": "chat"}),
        ({"user_tokens": 5}, {"user_tokens": 500}),
    ],
)
def test_another_mix_is_no_saving(one, other):
    """Calls at a cent and calls at 9 cents, first 300 of the dear ones, then 60."""
    before = calls(100, PENNY, **one) + calls(300, 9 * PENNY, **other)
    told = found(before, calls(300, PENNY, **one) + calls(60, 9 * PENNY, **other))
    assert told.saved_usd == pytest.approx(0) and told.verdict == "cannot tell"
    assert told.spent_usd == pytest.approx(8.4)


def test_shorter_conversations_are_no_saving():
    """A first turn costs a cent and a second one 3; then few ask twice."""

    def asked(first: int, second: int) -> list[dict[str, Any]]:
        turns = [calls(n, usd) for n, usd in ((first, PENNY), (second, 3 * PENNY))]
        return [row | {"session_id": f"c{n}"} for turn in turns for n, row in enumerate(turn)]

    told = found(asked(200, 200), asked(200, 40))
    assert told.saved_usd == pytest.approx(0) and told.verdict == "cannot tell"


def test_answers_bear_what_failures_cost():
    """Ten of 60 calls fail and cost 2 cents all the same; those without a usage cost nothing."""
    failed = calls(10, 2 * PENNY, status="error") + calls(40, None, status="error")
    told = found(calls(50, 2 * PENNY), calls(50, 2 * PENNY) + failed)
    assert told.saved_usd == pytest.approx(-0.2) and told.unpriced == (0, 0)


@pytest.mark.parametrize("endpoint", ["chat", "route"])
def test_a_step_before_each_answer_is_part_of_its_cost(endpoint):
    """Answers at 3 cents; then a router for a cent sends them to a model that costs 2."""
    after = [row | {"trace_id": f"t{n}"} for n, row in enumerate(calls(50, 2 * PENNY))]
    steps = [
        row | {"trace_id": f"t{n}"}
        for n, row in enumerate(calls(50, PENNY, endpoint=endpoint, user_tokens=None))
    ]
    told = found(calls(100, 3 * PENNY), steps + after)
    assert told.saved_usd == pytest.approx(0) and told.verdict == "cannot tell"
    assert told.kinds["answers_after"].sum() == 50


def test_a_second_try_is_part_of_the_cost_of_an_answer():
    """Ten of 50 answers took a try that failed and cost a cent; a failure without a usage cost nothing."""
    after = [row | {"trace_id": f"t{n}"} for n, row in enumerate(calls(50, 2 * PENNY))]
    tries = [
        row | {"trace_id": f"t{n}", "event_id": f"{usd}{n}", "cost_usd": usd}
        for usd in (PENNY, None)
        for n, row in enumerate(calls(10, PENNY, status="error"))
    ]
    told = found(calls(100, 2 * PENNY), tries + after)
    assert told.saved_usd == pytest.approx(-0.1)
    assert told.kinds["answers_after"].sum() == 50 and told.unpriced == (0, 0)


def test_cost_that_moves_to_a_new_endpoint_is_not_saved():
    """50 answers save a cent each, and a new step without a trace costs 20 cents, or 60, in all."""
    before, after = calls(100, 3 * PENNY), calls(50, 2 * PENNY)
    assert found(before, after + calls(20, PENNY, endpoint="new")).verdict == "saved"
    few = found(calls(100, 9 * PENNY), calls(50, 8 * PENNY) + calls(60, PENNY, endpoint="new"))
    assert few.verdict == "cannot tell" and "$0.60 more than before" in saving_sentence(few)


@pytest.mark.parametrize(
    ("verdicts", "quality"),
    [
        (HELD, "held"),
        (HELD.head(3), "not measured"),
        (HELD.clear(), "not measured"),
        (HELD.with_columns(verdict=pl.lit("CANNOT TELL")), "not measured"),
        (pl.concat([HELD, pl.DataFrame({"week": WEEKS[1:2], "verdict": ["DEGRADED"]})]), "degraded"),
        (pl.concat([HELD, pl.DataFrame({"week": [JUNE[0]], "verdict": ["DEGRADED"]})]), "held"),
    ],
)
def test_money_saved_at_the_price_of_the_answers_is_not_proven(verdicts, quality):
    told = found(calls(100, 3 * PENNY), calls(50, 2 * PENNY), verdicts)
    assert (told.verdict, told.quality, told.proven) == ("saved", quality, quality == "held")
    assert ("Not proven" in saving_sentence(told)) == (quality != "held")


@pytest.mark.parametrize(
    ("after", "why"),
    [
        (calls(50, PENNY, users=5), "5.0 independent users"),
        (calls(50, PENNY, days=6), "6.0 independent days"),
        (calls(9, PENNY), "only 0.0 % of the cost"),
        (calls(50, PENNY, endpoint="new"), "only 0.0 % of the cost"),
        (calls(50, PENNY) + calls(20, None), "only 71.4 % of the answers"),
        (calls(50, PENNY, status="error"), "only 0.0 % of the cost"),
    ],
)
def test_what_cannot_be_told_is_not_told(after, why):
    told = found(calls(100, 3 * PENNY), after)
    assert (told.verdict, told.interval, told.proven) == ("cannot tell", None, False)
    assert told.as_data()["saved_usd"] is None
    assert why in saving_sentence(told).replace("\N{NARROW NO-BREAK SPACE}", " ").replace("\xa0", " ")


def test_calls_for_nothing_save_nothing():
    told = found(calls(100, Decimal(0)), calls(50, Decimal(0)))
    assert (told.interval, told.verdict) == ((0, 0), "cannot tell")


def test_periods_must_follow_one_another_and_have_calls():
    one = frame(calls(9, PENNY), JUNE[0])
    with pytest.raises(SpendError, match="after the last day"):
        saved("s", JULY, JUNE, (one, one), HELD)
    with pytest.raises(SpendError, match="no call"):
        saved("s", JUNE, JULY, (one, one.clear()), HELD)


def random_calls(dice: np.random.Generator, number: int, habits: Any, level: float) -> list[dict[str, Any]]:
    """Calls whose users differ, on days that differ, with questions of lengths that cost."""
    days, users = dice.integers(0, 28, number), dice.integers(0, len(habits), number)
    events, tokens = np.exp(dice.normal(0, 0.2, 28)), dice.lognormal(2.5, 0.6, number).astype(int)
    usd = 1e-6 * level * (500 + 10 * tokens) * habits[users] * events[days] * dice.lognormal(0, 0.8, number)
    return [
        calls(
            1, Decimal(f"{usd[n]:.12f}"), user_id=f"u{users[n]}", day=int(days[n]), user_tokens=int(tokens[n])
        )[0]
        for n in range(number)
    ]


def test_intervals_hold_the_saving_of_worlds_with_users_and_days():
    """Traffic falls to a third in 60 worlds, in which a saving is claimed once or twice; then by 30 % less each."""
    dice = np.random.default_rng(7)
    claimed = held = shown = 0
    for _ in range(60):
        habits = np.exp(dice.normal(0, 0.5, 60))
        before = random_calls(dice, 900, habits, 1)
        claimed += found(before, random_calls(dice, 300, habits, 1)).verdict == "saved"
        less = found(before, random_calls(dice, 300, habits, 0.7))
        shown += less.verdict == "saved"
        low, high = less.interval or (0, 0)
        held += low <= less.spent_usd * less.covered * (1 / 0.7 - 1) <= high
    assert claimed <= 4
    assert shown >= 50 and held >= 53
