"""Savings proposals together: tested as one family, ordered, never added up, and silent where nothing is certain."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from aiops_pipelines.costs.lever import UNCHANGED, Bound, Group, Opportunity, loss_bound
from aiops_pipelines.costs.levers import LEVERS
from aiops_pipelines.costs.opportunities import PROPOSALS, savings_proposals
from aiops_pipelines.costs.proposal_queries import LEVERS as QUERIES
from aiops_pipelines.costs.proposal_queries import query
from aiops_pipelines.costs.proposal_words import abstained, proposal_sentence, proposals_table, together
from aiops_pipelines.costs.semantic_caching import semantic_caching, wrong_hits
from aiops_pipelines_tests.costs.made_calls import JUNE, PRICING, calls, found, group

PENNY = {"input_uncached": 10_000}
"""A call for a cent."""


def less(share: float = 0.5, lever: str = "prompt caching", bound: Bound | None = UNCHANGED):
    """A lever after which calls have that share of their input less."""

    def lever_of(group: Group) -> Opportunity:
        def apply(frame: pl.DataFrame) -> pl.DataFrame:
            kept = (pl.col("input_uncached") * (1 - share)).round(0).cast(pl.Int64)
            return frame.with_columns(kept.alias("input_uncached"))

        return Opportunity(lever, "Do it.", apply, bound, "Seen.", ["e1"])

    return lever_of


def test_the_interval_of_a_saving_is_worked_out_by_hand():
    """Twenty users on twenty days make 10 or 30 calls in turn at a cent, half of which is saved: 5 or 15 cents.

    The mean of twenty is 10 cents with a deviation of sqrt(20 x 25 / 19) = 5.130; their sum has an error of 20 x
    5.130 / sqrt(20) = 22.94. A user with 30 calls counts more: 400^2 / (10 x 100 + 10 x 900) = 16 users, 15
    degrees of freedom, t = 2.1314: two dollars less or more 48.9 cents.
    """
    frame = calls(400, **PENNY).with_columns(
        user=pl.Series([f"u{n}" for n in range(20) for _ in range(10 + n % 2 * 20)]),
        day=pl.Series([f"d{n % 20}" for n in range(400)]),
    )
    [row] = found(frame, less())
    ends = (float(row["low_usd"]), float(row["high_usd"]))
    assert ends == pytest.approx((2 - 0.4890, 2 + 0.4890), abs=1e-4)
    assert row["verdict"] == "propose" and float(row["saving_usd"]) == pytest.approx(2)
    assert float(row["spend_usd"]) == pytest.approx(4) and row["further_usd"] == row["saving_usd"]


def test_savings_that_overlap_are_not_added_up():
    """Half of the input and then half of what is left: a dollar and a half of two, not two."""
    rows = found(calls(200, **PENNY), less(0.5, "context pruning"), less(0.4, "history truncation"))
    assert [row["lever"] for row in rows] == ["context pruning", "history truncation"]
    assert [float(row["saving_usd"]) for row in rows] == pytest.approx([1.0, 0.8])
    assert [float(row["further_usd"]) for row in rows] == pytest.approx([1.0, 0.4])
    assert "Together $1.40 a month" in together(rows)
    assert "it is +$0.40" in proposal_sentence(rows[1]) and "in place" not in proposal_sentence(rows[0])


@pytest.mark.parametrize(
    ("frame", "lever", "verdict", "why"),
    [
        (calls(200, users=9, **PENNY), less(), "cannot tell", "9.0 independent users"),
        (calls(120, every=timedelta(hours=1), **PENNY), less(), "cannot tell", "5.0 independent days"),
        (calls(200, **PENNY), less(0.005), "nothing to save", "at most $0.0"),
        (calls(200, **PENNY), less(-0.1), "nothing to save", "it would cost more than it saves"),
        (
            calls(200, **PENNY),
            less(0.0),
            "nothing to save",
            "at the prices of the price book it saves nothing",
        ),
        (
            calls(200, **PENNY),
            less(0.5, bound=Bound(0.021, "of words")),
            "cannot tell",
            "answers may lose 2.1 %",
        ),
        (calls(200, **PENNY), less(0.5, bound=Bound(None, "too few")), "cannot tell", "too few"),
    ],
)
def test_what_is_not_certain_is_not_proposed(frame, lever, verdict, why):
    [row] = found(frame, lever)
    assert row["verdict"] == verdict and why in row["reason"].replace("\u00a0", " ")
    assert row["further_usd"] is None and row["rank"] == 1
    assert "None was proposed." in proposals_table([row]).empty and not proposals_table([row]).rows
    assert abstained([row])[0][2] == row["reason"]


def test_calls_without_a_price_have_no_figure():
    """Three of ten calls have no known price; those that failed without a usage are no calls to be priced."""
    frame = calls(200, **PENNY, model_served=lambda n: "unpriced" if n % 10 < 3 else "m")
    [row] = found(frame, less())
    assert row["verdict"] == "cannot tell" and row["saving_usd"] is None and "70.0" in row["reason"]
    failed = calls(
        200, input_uncached=lambda n: 10_000 if n % 2 else None, output_visible=None, status="error"
    )
    assert found(failed, less())[0]["verdict"] == "propose"
    few = calls(200, **PENNY, model_served=lambda n: "m" if n % 10 else "unpriced")
    assert float(found(few, less())[0]["saving_usd"]) == pytest.approx(180 * 0.005)


def test_every_lever_has_a_query_and_words():
    rows = [row for frame in (calls(50, **PENNY),) for row in found(frame, *LEVERS)]
    assert {row["lever"] for row in rows} == set(QUERIES)
    assert all(row["reason"] for row in rows) and {row["verdict"] for row in rows} <= {
        "nothing to save",
        "cannot tell",
    }
    assert savings_proposals("s", JUNE, [], LEVERS, PRICING).schema == PROPOSALS


def test_names_from_outside_stay_names_in_queries():
    text = query("tier routing", "s", JUNE, "o'clock", "m' or true --")
    assert "endpoint = 'o''clock'" in text and "= 'm'' or true --'" in text


def test_all_that_is_tested_in_a_month_is_one_family():
    """Nine of twenty users would save much and the others lose some: p is doubled beside two that are smaller."""
    some = pl.col("user").is_in([f"u{n}" for n in range(9)])
    kept = pl.when(some).then(7_000).otherwise(10_500).alias("input_uncached")

    def weak(group: Group) -> Opportunity:
        return Opportunity("unused tools", "Do it.", lambda f: f.with_columns(kept), UNCHANGED, "Seen.")

    frame = calls(210, **PENNY)
    [alone] = found(frame, weak)
    several = found(
        frame, weak, less(0.0), less(0.5, "output length"), less(0.5, "tier routing"), less(0.5), alpha=0.015
    )
    beside = next(row for row in several if row["lever"] == "unused tools")
    assert alone["p_adjusted"] < 0.015 and alone["verdict"] == "propose"
    assert beside["p_adjusted"] == pytest.approx(2 * alone["p_adjusted"])
    assert (beside["verdict"], beside["reason"]) == ("cannot tell", "the saving may be chance")


def test_the_loss_of_answers_is_bounded_by_users():
    """Forty users lose a tenth or nothing in turn: 5 % on average, with an error that the bound is above."""
    rows = [(f"u{n % 40}", 1.0, 0.9 if n % 2 else 1.0) for n in range(400)]
    bound = loss_bound(pl.DataFrame(rows, schema=["user", "before", "after"], orient="row"), "of words")
    assert bound.loss is not None and bound.judged == 400
    assert bound.loss == pytest.approx(0.05 + 2.0227 * 0.05 * np.sqrt(40 / 39) / np.sqrt(40), rel=1e-3)
    assert (
        loss_bound(pl.DataFrame(rows[:5], schema=["user", "before", "after"], orient="row"), "x").loss is None
    )


def test_the_bound_is_the_same_to_the_last_digit_in_whatever_order_the_rows_come():
    chance = np.random.default_rng(4)
    users = [f"u{n}" for n in chance.integers(0, 60, 900)]
    rows = pl.DataFrame({"user": users, "before": chance.random(900), "after": chance.random(900)})
    bounds = {loss_bound(rows.sample(fraction=1, shuffle=True, seed=n), "of words") for n in range(5)}
    assert len(bounds) == 1


def test_worlds_without_a_saving_have_no_proposal():
    """What users and days would save differs by chance around nothing, for four levers: one world in twenty may."""
    dice = np.random.default_rng(11)
    frame = calls(600, users=30, **PENNY)
    proposed = 0
    for _ in range(40):
        user, day = dice.normal(0, 0.2, 30), dice.normal(0, 0.2, 25)
        levers = []
        for name in ("prompt caching", "context pruning", "history truncation", "unused tools"):
            gain = user[np.arange(600) % 30] * dice.choice([-1, 1]) + day[np.arange(600) // 24 % 25]
            part = pl.Series(np.clip(gain + dice.normal(0, 0.3, 600), -1, 1))
            levers.append(_exactly(name, part))
        rows = savings_proposals("s", JUNE, [group(frame)], levers, PRICING)
        proposed += "propose" in rows["verdict"]
    assert proposed <= 4


def _exactly(name: str, part: pl.Series):
    def apply(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(
            (pl.col("input_uncached") * (1 - part)).round(0).cast(pl.Int64).alias("input_uncached")
        )

    return lambda group: Opportunity(name, "Do it.", apply, UNCHANGED, "Seen.")


def test_intervals_hold_what_a_planted_saving_is_worth():
    """Users make calls as they like, on days as they come; three tenths of each call's input are saved."""
    dice, held = np.random.default_rng(5), 0
    for _ in range(40):
        rates = dice.lognormal(2, 0.5, 40)
        users = np.repeat(np.arange(40), dice.poisson(rates))
        frame = calls(len(users), **PENNY).with_columns(
            user=pl.Series([f"u{n}" for n in users]),
            day=pl.Series([f"d{n}" for n in dice.integers(0, 28, len(users))]),
        )
        [row] = found(frame, less(0.3))
        expected = 40 * np.exp(2 + 0.5**2 / 2) * 0.01 * 0.3
        held += float(row["low_usd"]) <= expected <= float(row["high_usd"])
    assert held >= 35


def test_answers_that_are_wrong_too_often_are_kept_in_few_worlds():
    """Two in a hundred kept answers are wrong, as many as are tolerated, and the comparison finds nine of ten."""
    dice = np.random.default_rng(2)
    kept = 0
    for _ in range(200):
        wrong = dice.random(600) < 0.02 * 0.9
        rows = [("yes", "no" if bad else "yes") for bad in wrong]
        bound = wrong_hits(pl.DataFrame(rows, schema=["answer", "kept"], orient="row"))
        kept += bound.loss is not None and bound.loss <= 0.02
    assert kept <= 10
    assert semantic_caching(group(calls(20))).verdict == "cannot tell"
