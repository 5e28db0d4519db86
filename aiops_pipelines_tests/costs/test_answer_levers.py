"""Levers on what is asked, given and answered: planted waste is found with its size, and nothing where there is none."""

from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from aiops_pipelines.costs.context_pruning import context_pruning
from aiops_pipelines.costs.history_truncation import history_truncation
from aiops_pipelines.costs.output_length import output_length
from aiops_pipelines.costs.semantic_caching import FINDS, alike, repeats, semantic_caching, wrong_hits
from aiops_pipelines.costs.tier_routing import tier_routing
from aiops_pipelines_tests.costs.made_calls import calls, found

ASKED = {"user_tokens": 1_000, "input_uncached": 1_000, "output_visible": 250, "answered": True}
"""A tenth of a cent to read and another to answer."""


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


def asked_again(number: int = 1_000, of: int = 5, **more: Any) -> pl.DataFrame:
    """A hundred calls a day, of which one in `of` asks what is asked each time, the others what nobody else asks."""
    every = timedelta(minutes=14, seconds=24)
    return calls(
        number, users=37, every=every, question=lambda n: 0 if n % of == 0 else n + 1, **{**ASKED, **more}
    )


def pairs(number: int, different: int = 0) -> pl.DataFrame:
    rows = [("It is 3 euros.", f"It is {4 if n < different else 3} euros.") for n in range(number)]
    return pl.DataFrame(rows, schema={"answer": pl.String, "kept": pl.String}, orient="row")


def test_the_first_answer_of_a_day_serves_those_who_ask_the_same():
    frame = calls(
        6,
        every=timedelta(hours=6),
        question=7,
        prompt_version=lambda n: "b" if n == 2 else "a",
        turn=lambda n: 2 if n == 1 else 1,
        status=lambda n: "error" if n == 4 else "ok",
    )
    assert repeats(frame).select("event_id", "served_by").rows() == [("e3", "e0")]


def test_repeated_questions_save_what_their_answers_cost():
    """20 of 100 calls a day ask the same: 19 of them are hits at 0.2 cents, on ten days."""
    [row] = found(asked_again(), semantic_caching, samples={"repeats": pairs(500)})
    assert row["verdict"] == "propose" and float(row["saving_usd"]) == pytest.approx(190 * 0.002)
    assert row["low_usd"] <= row["saving_usd"] <= row["high_usd"]
    assert (row["judged"], row["loss_high"]) == (500, pytest.approx((1 - 0.025 ** (1 / 500)) / FINDS))
    assert "19.0 % of 1,000 calls" in plain(row["evidence"])


@pytest.mark.parametrize(
    ("frame", "judged", "verdict", "why"),
    [
        (asked_again(of=10**6), pairs(500), "nothing to save", "no question was asked twice"),
        (asked_again(), pairs(500, 10), "cannot tell", "answers may lose"),
        (asked_again(), pairs(100), "cannot tell", "answers may lose 4.0 %"),
        (asked_again(), pairs(0), "cannot tell", "no two answers"),
        (asked_again(turn=2), pairs(500), "nothing to save", "no question was asked twice"),
        (asked_again(answered=False), pairs(500), "cannot tell", "keeps no answers"),
        (asked_again().with_columns(question=pl.lit(None, pl.UInt64)), pairs(500), "cannot tell", "keeps no questions"),
    ],
)  # fmt: skip
def test_answers_are_not_kept_where_they_may_be_wrong(frame, judged, verdict, why):
    [row] = found(frame, semantic_caching, samples={"repeats": judged})
    assert row["verdict"] == verdict and why in plain(row["reason"])


def test_wrong_hits_have_an_upper_bound():
    """Two of 100 hits had another answer: Clopper and Pearson's upper end is 7.04 %, over the share that is found."""
    assert wrong_hits(pairs(100, 2)).loss == pytest.approx(0.0704 / FINDS, rel=1e-3)
    assert wrong_hits(pairs(2, 2)).loss == 1


@pytest.mark.parametrize(
    ("other", "same"),
    [("The fee is 3 euros a month", True), ("the fee: is 3 euros, a month!", True), ("The fee is 4 euros a month", False),
     ("No fee 3", False), ("The fee is 3 euros a year or so", False),
     ("The fee is 3 euros a month [EMAIL]", False)],
)  # fmt: skip
def test_answers_with_other_numbers_or_words_are_not_alike(other, same):
    assert alike("The fee is 3 euros a month", other) == same


GIVEN = {"context_tokens": 1_000, "user_tokens": 100, "input_uncached": 1_100, "output_visible": 50}
CHUNKS = {"chunk_chars": [300, 300, 200, 200], **GIVEN}
USED, IDLE = "the fee is three euros a month for all", "cats sleep long"


def contexts(*ranks: str, number: int = 400) -> pl.DataFrame:
    rows = [(f"u{n % 40}", "The fee is three euros a month for all of us", [*ranks]) for n in range(number)]
    return pl.DataFrame(rows, schema=["user", "answer", "texts"], orient="row")


def test_ranks_that_no_answer_takes_a_word_from_are_cut():
    """Ranks 3 and 4 hold 400 of 1,000 characters: 400 of 1,000 tokens of 800 calls at a dollar a million."""
    judged = {"contexts": contexts(USED, "of us", IDLE, IDLE)}
    [row] = found(calls(800, **CHUNKS), context_pruning, samples=judged)
    assert row["verdict"] == "propose" and "first 2 chunks of up to 4" in row["change"]
    assert float(row["saving_usd"]) == pytest.approx(800 * 400 / 1e6)
    assert row["loss_high"] == 0 and row["judged"] == 400


def test_ranks_that_answers_take_words_from_stay():
    """The last rank holds one of nine pairs of words: at least a ninth would be lost."""
    judged = {"contexts": contexts(USED, IDLE, IDLE, "of us")}
    [row] = found(calls(800, **CHUNKS), context_pruning, samples=judged)
    assert row["verdict"] == "cannot tell" and "answers may lose 11.1 %" in plain(row["reason"])
    assert float(row["saving_usd"]) == pytest.approx(800 * 200 / 1e6)
    [row] = found(calls(800, **CHUNKS), context_pruning)
    assert row["verdict"] == "cannot tell" and "0 answers of 0 users could be judged" in row["reason"]
    assert "no retrieved chunks" in found(calls(800, **GIVEN), context_pruning)[0]["reason"]
    [row] = found(calls(800, **GIVEN, chunk_chars=[9]), context_pruning)
    assert row["verdict"] == "nothing to save"


def talks(number: int = 1_000, turns: int = 10, **more: Any) -> pl.DataFrame:
    """Conversations of ten turns, each of which adds 100 tokens to the history that the next one sends along."""

    def last(kept: int) -> Any:
        return lambda n: min(n % turns, kept) * 100

    values = {
        "session_id": lambda n: f"s{n // turns}",
        "turn": lambda n: n % turns + 1,
        "history_first": 0,
        "history_tokens": lambda n: n % turns * 100,
        "user_tokens": 50,
        "input_uncached": lambda n: 50 + n % turns * 100,
        "output_visible": 50,
        **{f"last_{kept}": last(kept) for kept in (10, 6, 4, 2)},
    }
    return calls(number, **{**values, **more})


def histories(*earlier: str, number: int = 300) -> pl.DataFrame:
    rows = [
        (f"u{n % 40}", "The fee is three euros a month for all of us", [USED], [*earlier])
        for n in range(number)
    ]
    return pl.DataFrame(rows, schema=["user", "answer", "own", "earlier"], orient="row")


def test_turns_that_answers_take_no_word_from_are_cut():
    """With two turns kept, a tenth turn loses 700 of 900 tokens; ten turns lose 2,800, a hundred times."""
    judged = {"histories": histories(IDLE, IDLE, IDLE, IDLE, IDLE, IDLE, IDLE, "of us", IDLE)}
    [row] = found(talks(), history_truncation, samples=judged)
    assert row["verdict"] == "propose" and "last 2 turns" in row["change"]
    assert float(row["saving_usd"]) == pytest.approx(100 * 2_800 / 1e6)


def test_turns_that_answers_take_words_from_stay():
    """The fifth turn from the end is needed: six turns are kept, which cuts 600 tokens of ten turns."""
    judged = {"histories": histories(*[IDLE] * 4, "of us", *[IDLE] * 4)}
    [row] = found(talks(), history_truncation, samples=judged)
    assert row["verdict"] == "propose" and "last 6 turns" in row["change"]
    assert float(row["saving_usd"]) == pytest.approx(100 * 600 / 1e6)
    judged = {"histories": histories("of us", *[IDLE] * 8)}
    [row] = found(talks(), history_truncation, samples=judged)
    assert row["verdict"] == "cannot tell" and "answers may lose 11.1 %" in plain(row["reason"])


def test_cutting_a_history_that_a_cache_serves_saves_nothing():
    """Of 900 tokens all are read for a dime; with two turns 200 are read for a dollar: 90 against 200."""
    cached = {"cache_read": lambda n: n % 10 * 100, "input_uncached": 50}
    judged = {"histories": histories(*[IDLE] * 9)}
    [row] = found(talks(**cached), history_truncation, samples=judged)
    assert (row["verdict"], row["reason"]) == ("nothing to save", "it would cost more than it saves")


@pytest.mark.parametrize(
    ("frame", "verdict", "why"),
    [
        (talks(turns=3), "nothing to save", "no history is longer than 2 turns"),
        (talks(history_first=lambda n: n % 10 * 100), "nothing to save", "no history is longer"),
        (talks(session_id=None), "cannot tell", "names no sessions"),
        (talks(history_tokens=None), "cannot tell", "how long histories are"),
    ],
)
def test_histories_that_are_short_or_not_known_are_not_cut(frame, verdict, why):
    [row] = found(frame, history_truncation, samples={"histories": histories(*[IDLE] * 9)})
    assert row["verdict"] == verdict and why in row["reason"]


def test_long_answers_are_told_of_and_nothing_is_claimed():
    tail = calls(1_000, input_uncached=10, output_visible=lambda n: 1_000 if n % 10 == 0 else 100)
    [row] = found(tail, output_length)
    assert row["verdict"] == "cannot tell" and row["saving_usd"] is None
    assert (
        "have more than 1,000 and hold"
        in found(tail.with_columns(output_visible=pl.lit(1_000)), output_length)[0]["evidence"]
    )
    [even] = found(calls(1_000, input_uncached=10, output_visible=100), output_length)
    assert even["verdict"] == "nothing to save"
    assert "does not say" in found(calls(1_000, input_uncached=10), output_length)[0]["reason"]


def probes(small: float, queries: int = 60, model: str = "small", usd: float = 0.001) -> pl.DataFrame:
    """Known queries asked of both models: 0.8 or 0.9 with `m` in turn, and so much more with the other."""
    rows = [
        (
            f"{name}{n}",
            f"q{n}",
            "reference_similarity",
            "j",
            0.8 + n % 2 / 10 + more,
            name,
            "openai",
            name,
            name,
            None,
            cost,
        )
        for name, more, cost in (("m", 0.0, 0.01), (model, small, usd))
        for n in range(queries)
    ]
    names = [
        "event_id",
        "query_id",
        "metric",
        "judge",
        "value",
        "model",
        "provider",
        "model_served",
        "model_requested",
        "service_tier",
        "cost_usd",
    ]
    return pl.DataFrame(rows, schema=names, orient="row")


def test_a_cheaper_model_that_answers_known_queries_no_worse_may_answer():
    """1,000 calls at 0.2 cents, nine tenths of which are saved."""
    [row] = found(calls(1_000, **ASKED), tier_routing, samples={"probes": probes(0.0)})
    assert row["verdict"] == "propose" and row["change"] == "Let small answer here." and row["judged"] == 60
    assert float(row["saving_usd"]) == pytest.approx(1_000 * 0.002 * 0.9)


@pytest.mark.parametrize(
    ("judged", "verdict", "why"),
    [
        (probes(-0.05), "cannot tell", "answers may lose 6.0 %"),
        (probes(0.0, queries=49), "cannot tell", "both models answered 49 known queries; 50 are needed"),
        (probes(0.0, usd=0.02), "nothing to save", "for less"),
        (probes(0.0, model="m"), "cannot tell", "no other model was asked"),
        (probes(0.0).clear(), "cannot tell", "no known query was asked"),
    ],
)
def test_models_are_not_exchanged_without_proof(judged, verdict, why):
    [row] = found(calls(1_000, **ASKED), tier_routing, samples={"probes": judged})
    assert row["verdict"] == verdict and why in plain(row["reason"])
