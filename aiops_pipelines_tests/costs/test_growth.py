"""Causes of growth: planted causes come back alone, and every split adds up."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import log, log10
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops_pipelines.costs.cells import AMOUNTS, spend_cells, summed
from aiops_pipelines.costs.growth import first_weeks, spend_growth, spend_growth_since_baseline, split_change
from aiops_pipelines.resources.tables import declared_tables

JUNE_1, JUNE_8, JUNE_15 = date(2026, 6, 1), date(2026, 6, 8), date(2026, 6, 15)
JULY_1 = date(2026, 7, 1)
Use = tuple[float, ...]
Cells = dict[tuple[str, str], tuple[float, dict[str, Use]]]
"""(endpoint, model) -> calls, part -> (tokens per call, USD per token, share read from a cache, its discount)."""


def cell(
    calls: float, tokens: float, price: float, read: float = 0, discount: float = 0
) -> tuple[float, ...]:
    used, cached = calls * tokens, calls * tokens * read
    paid = cached * price * (1 - discount)
    return used, (used - cached) * price + paid, cached, 0.0, paid, 0.0


def cells(content: Cells, period: date = JUNE_1, system: str = "s") -> pl.DataFrame:
    rows = [
        (system, period, endpoint, "chat", model, part, float(calls), *cell(float(calls), *use))
        for (endpoint, model), (calls, parts) in content.items()
        for part, use in parts.items()
    ]
    names = ["system", "period", "endpoint", "operation", "model", "part", "calls_of_model", *AMOUNTS]
    return pl.DataFrame(rows, schema=names, orient="row", schema_overrides=dict.fromkeys(AMOUNTS, pl.Float64))


def blamed(before: Cells, after: Cells, endpoint: str = "chat") -> dict[str, float]:
    """Causes with more than a rounding error of the change."""
    split = split_change(cells(before), cells(after)).filter(endpoint=endpoint)
    return {
        row["cause"]: row["change_usd"]
        for row in split.iter_rows(named=True)
        if abs(row["change_usd"]) > 1e-9
    }


SMALL, LARGE = ("chat", "small"), ("chat", "large")
PARTS = {"system_prompt": (400, 1e-6), "context": (600, 1e-6), "completion": (100, 4e-6)}
DEAR = {part: (tokens, price * 10) for part, (tokens, price) in PARTS.items()}


def test_more_calls_are_volume_alone():
    assert blamed({SMALL: (100, PARTS)}, {SMALL: (250, PARTS)}) == pytest.approx({"volume": 150 * 0.0014})


def test_a_dearer_price_is_price_alone():
    assert blamed({SMALL: (100, PARTS)}, {SMALL: (100, DEAR)}) == pytest.approx({"price": 100 * 0.0014 * 9})


def test_a_longer_prompt_is_that_part_alone():
    longer = PARTS | {"system_prompt": (1000, 1e-6)}
    assert blamed({SMALL: (100, PARTS)}, {SMALL: (100, longer)}) == pytest.approx(
        {"tokens:system_prompt": 0.06}
    )


def test_a_part_that_appears_is_that_part_alone():
    with_tools = PARTS | {"tools": (300, 1e-6)}
    assert blamed({SMALL: (100, PARTS)}, {SMALL: (100, with_tools)}) == pytest.approx({"tokens:tools": 0.03})


def test_a_shift_between_models_is_model_mix_alone():
    change = 60 * 0.014 - 60 * 0.0014
    shifted = blamed({SMALL: (90, PARTS), LARGE: (10, DEAR)}, {SMALL: (30, PARTS), LARGE: (70, DEAR)})
    assert shifted == pytest.approx({"model_mix": change})


def test_a_model_swap_is_model_mix_alone():
    assert blamed({SMALL: (100, PARTS)}, {LARGE: (100, DEAR)}) == pytest.approx(
        {"model_mix": 100 * 0.0014 * 9}
    )


def test_a_model_that_joins_is_model_mix_alone():
    joined = blamed({SMALL: (100, PARTS)}, {SMALL: (90, PARTS), LARGE: (10, DEAR)})
    assert joined == pytest.approx({"model_mix": 10 * 0.014 - 10 * 0.0014})


def test_calls_that_double_while_a_model_joins_are_volume_too():
    """At the old mix the second hundred calls cost 0.14 USD, at the new one 1.022: volume lies between.

    The model that stays goes from 0.14 to 0.084, L = 0.056 / ln(5/3); the newcomer costs 1.96, half of it for
    the second hundred calls, and volume has the mean of that and of nothing: 0.49.
    """
    joined = blamed({SMALL: (100, PARTS)}, {SMALL: (60, PARTS), LARGE: (140, DEAR)})
    volume = 0.056 / log(5 / 3) * log(2) + 0.49
    assert 0.14 < volume < 1.022
    assert joined == pytest.approx({"volume": volume, "model_mix": 1.904 - volume})


def test_a_model_that_joins_while_calls_fall_is_model_mix_alone():
    """Of 10,000 calls 100 are left: at 10,000 the newcomer would have cost 70 USD, of which nobody spent any."""
    joined = blamed({SMALL: (10_000, PARTS)}, {SMALL: (50, PARTS), LARGE: (50, DEAR)})
    mean = 13.93 / log(200)
    assert joined == pytest.approx({"volume": -mean * log(100), "model_mix": 0.7 - mean * log(2)})


def test_growth_of_calls_during_a_swap_is_volume():
    """Spend goes from 0.14 to 2.8, 20-fold: calls double and the price is 10-fold, so L = 2.66 / ln 20."""
    swap = blamed({SMALL: (100, PARTS)}, {LARGE: (200, DEAR)})
    assert swap == pytest.approx({"volume": 2.66 * log10(2) / log10(20), "model_mix": 2.66 / log10(20)})


def test_a_new_endpoint_is_volume_and_one_that_stops_too():
    assert blamed(
        {("other", "m"): (1, PARTS)}, {SMALL: (100, PARTS), ("other", "m"): (1, PARTS)}
    ) == pytest.approx({"volume": 0.14})
    assert blamed({SMALL: (100, PARTS)}, {("other", "m"): (1, PARTS)}) == pytest.approx({"volume": -0.14})


def test_the_creep_from_800_to_8000_is_recovered():
    before = {SMALL: (1000, {"context": (8000, 1e-4)})}
    after = {SMALL: (2000, {"context": (20_000, 2e-4)})}
    assert blamed(before, after) == pytest.approx(
        {"volume": 7200 * log10(2), "price": 7200 * log10(2), "tokens:context": 7200 * log10(2.5)}
    )


def test_a_creep_of_many_causes_ranks_them_as_planted():
    """Context grows four-fold, calls double, the shorter prompt grows 2.5-fold, a few calls move to the dear model."""
    small = {"system_prompt": (2000, 1e-4), "context": (4000, 1e-4), "completion": (500, 4e-4)}
    large = {part: (tokens, price * 4) for part, (tokens, price) in small.items()}
    grown = {"system_prompt": (5000, 1e-4), "context": (16_000, 1e-4), "completion": (500, 4e-4)}
    dear = {part: (tokens, price * 4) for part, (tokens, price) in grown.items()}
    before: Cells = {SMALL: (900, small), LARGE: (100, large)}
    after: Cells = {SMALL: (1750, grown), LARGE: (250, dear)}
    causes = blamed(before, after)
    ranked = sorted(causes, key=causes.__getitem__, reverse=True)
    assert ranked == ["tokens:context", "volume", "tokens:system_prompt", "model_mix"]


CACHED = {"context": (1000, 1e-6, 0.2, 0.9), "completion": (100, 4e-6)}


def test_less_cached_input_is_cache_alone():
    """1,000 tokens of which 20 % cost a tenth: 820 units; with 70 % it is 370. 100 calls, 1e-6 USD a unit."""
    more = CACHED | {"context": (1000, 1e-6, 0.7, 0.9)}
    assert blamed({SMALL: (100, CACHED)}, {SMALL: (100, more)}) == pytest.approx({"cache": -450 * 1e-4})
    assert blamed({SMALL: (100, more)}, {SMALL: (100, CACHED)}) == pytest.approx({"cache": 450 * 1e-4})


def test_a_cache_that_is_first_used_is_cache_alone():
    none = CACHED | {"context": (1000, 1e-6)}
    assert blamed({SMALL: (100, none)}, {SMALL: (100, CACHED)}) == pytest.approx({"cache": -180 * 1e-4})


def test_a_dearer_cache_read_is_price_alone():
    dearer = CACHED | {"context": (1000, 1e-6, 0.2, 0.5)}
    assert blamed({SMALL: (100, CACHED)}, {SMALL: (100, dearer)}) == pytest.approx({"price": 80 * 1e-4})


def test_a_dearer_price_of_partly_cached_input_is_price_alone():
    dearer = {part: (use[0], use[1] * 3, *use[2:]) for part, use in CACHED.items()}
    assert blamed({SMALL: (100, CACHED)}, {SMALL: (100, dearer)}).keys() == {"price"}


def test_a_swap_to_a_model_with_another_cache_discount_is_model_mix_alone():
    other = {
        part: (use[0], use[1] * 3, *use[2:3], *((0.5,) if use[3:] else ())) for part, use in CACHED.items()
    }
    assert blamed({SMALL: (100, CACHED)}, {LARGE: (100, other)}).keys() == {"model_mix"}


def test_input_that_is_cached_as_a_whole_does_not_say_its_price():
    whole = {"context": (1000, 1e-6, 1.0, 0.9)}
    assert blamed({SMALL: (100, whole)}, {SMALL: (100, CACHED | whole)}).keys() == {"tokens:completion"}
    dearer = {"context": (1000, 2e-6, 1.0, 0.9)}
    assert blamed({SMALL: (100, whole)}, {SMALL: (100, dearer)}).keys() == {"price"}


def test_input_that_comes_to_be_cached_as_a_whole_is_cache_alone():
    """The price of uncached tokens is then that of the other period."""
    uncached, whole = ({SMALL: (100, {"context": (600, 1e-6, read, 0.9)})} for read in (0.0, 1.0))
    assert blamed(uncached, whole) == pytest.approx({"cache": -0.054})
    assert blamed(whole, uncached) == pytest.approx({"cache": 0.054})


def test_input_that_was_free_and_is_not_any_more_is_price_alone():
    free, paid = ({SMALL: (100, {"context": (600, price)})} for price in (0.0, 1e-6))
    assert blamed(free, paid) == pytest.approx({"price": 0.06})


def test_a_creep_of_every_cause_is_recovered_within_two_per_cent():
    """Each factor of one endpoint's cells is multiplied, so each cause has ln(its ratio) / ln(total) of a cell's
    change, worked out here without the code under test; prompt and history grow in cells of their own.

    Calls 1.6-fold, price 1.25-fold everywhere; system prompt 3-fold, history 6-fold, context as it was.
    """
    before = {"system_prompt": (1000, 1e-4), "history": (2500, 1e-4), "context": (2000, 1e-4)}
    grown = {"system_prompt": (3000, 1.25e-4), "history": (15_000, 1.25e-4), "context": (2000, 1.25e-4)}
    found = blamed({SMALL: (1000, before)}, {SMALL: (1600, grown)})
    expected = dict.fromkeys(["volume", "price", "tokens:system_prompt", "tokens:history"], 0.0)
    for part, ratio in (("system_prompt", 3.0), ("history", 6.0), ("context", 1.0)):
        old = 1000 * before[part][0] * 1e-4
        mean = old * (2 * ratio - 1) / log(2 * ratio)
        expected["volume"] += mean * log(1.6)
        expected["price"] += mean * log(1.25)
        if ratio > 1:
            expected[f"tokens:{part}"] += mean * log(ratio)
    assert found == pytest.approx(expected, rel=0.02)
    assert sum(found.values()) == pytest.approx(1600 * 20_000 * 1.25e-4 - 550)


@pytest.mark.parametrize("seed", range(3))
def test_planted_changes_of_single_calls_are_recovered(seed):
    """800 USD a month become 8,000 in calls drawn one by one: 4-fold calls, 2.5-fold tokens of the history.

    With cells of one part L is 7,200 / ln 10 for the pair; calls vary in length by a third.
    """
    dice = np.random.default_rng(seed)

    def month(first: date, calls: int, tokens: float, price: float) -> pl.DataFrame:
        drawn = dice.gamma(9, tokens / 9, calls)
        days = dice.integers(0, 28, calls)
        rows = [(t, t * price, first + timedelta(days=int(d))) for t, d in zip(drawn, days, strict=True)]
        frame = pl.DataFrame(rows, schema=["tokens", "cost_usd", "period"], orient="row")
        daily = frame.group_by("period").agg(
            pl.col("tokens", "cost_usd").sum(), calls_of_model=pl.len().cast(float)
        )
        cell = {"system": "s", "endpoint": "chat", "operation": "chat", "model": "m", "part": "history"}
        zero = dict.fromkeys(AMOUNTS[2:], 0.0)
        return daily.with_columns(**{k: pl.lit(v) for k, v in (cell | zero).items()})

    june, july = month(JUNE_1, 4000, 2000, 1e-4), month(JULY_1, 16_000, 5000, 1e-4)
    split = split_change(summed(june), summed(july))
    found = dict(split.select("cause", "change_usd").iter_rows())
    assert found["volume"] == pytest.approx(7200 * log10(4), rel=0.02)
    assert found["tokens:history"] == pytest.approx(7200 * log10(2.5), rel=0.02)
    assert abs(found["price"]) + abs(found["model_mix"]) + abs(found["cache"]) < 1e-6
    old, new = split.row(0)[-2:]
    assert sum(found.values()) == pytest.approx(new - old, abs=1e-9 * new)


def test_endpoints_are_split_on_their_own():
    before: Cells = {SMALL: (100, PARTS), ("search", "small"): (100, PARTS)}
    after: Cells = {SMALL: (200, PARTS), ("search", "small"): (100, DEAR)}
    assert blamed(before, after, "chat").keys() == {"volume"}
    assert blamed(before, after, "search").keys() == {"price"}


amount = st.floats(1e-3, 1e6)
cached = st.one_of(st.just(0.0), st.floats(0.01, 1))
part_use = st.tuples(st.one_of(st.just(0.0), amount), st.floats(1e-9, 1e-2), cached, st.floats(0, 0.95))
model_use = st.tuples(
    st.floats(1, 1e5), st.dictionaries(st.sampled_from(["context", "tools", "completion"]), part_use)
)
period = st.dictionaries(
    st.tuples(st.sampled_from(["chat", "search"]), st.sampled_from(["a", "b", "c"])), model_use, max_size=5
)


@settings(max_examples=60, deadline=None)
@given(period, period)
def test_causes_add_up_to_the_change_and_reverse_with_time(before, after):
    there, back = (split_change(cells(x), cells(y)) for x, y in ((before, after), (after, before)))
    for endpoint in there["endpoint"].unique():
        rows = there.filter(endpoint=endpoint)
        old, new = rows.row(0)[-2:]
        assert rows["change_usd"].sum() == pytest.approx(new - old, abs=1e-9 * max(old, new))
        reversed_rows = back.filter(endpoint=endpoint)
        assert rows["cause"].to_list() == reversed_rows["cause"].to_list()
        scale = 1e-9 * max(old, new)
        assert (rows["change_usd"] + reversed_rows["change_usd"]).abs().max() <= scale


@settings(max_examples=40, deadline=None)
@given(period, period, st.floats(1e-3, 1e3))
def test_causes_scale_with_the_currency(before, after, factor):
    def dearer(content):
        return {
            key: (calls, {part: (use[0], use[1] * factor, *use[2:]) for part, use in parts.items()})
            for key, (calls, parts) in content.items()
        }

    plain = split_change(cells(before), cells(after))
    scaled = split_change(cells(dearer(before)), cells(dearer(after)))
    largest = plain.select(pl.max_horizontal("spend_before_usd", "spend_after_usd").max()).item() or 0
    difference = (scaled["change_usd"] - plain["change_usd"] * factor).abs().max() or 0
    assert difference <= 1e-8 * largest * factor


def test_growth_against_the_week_before():
    frame = pl.concat([cells({SMALL: (100, PARTS)}, JUNE_1), cells({SMALL: (200, PARTS)}, JUNE_8)])
    growth = spend_growth(frame, JUNE_8)
    assert growth["week"].unique().to_list() == [JUNE_8]
    assert growth.select("spend_before_usd", "spend_after_usd").row(0) == pytest.approx((0.14, 0.28))
    assert growth.filter(cause="volume")["change_usd"].item() == pytest.approx(0.14)


def test_a_week_without_data_is_no_change():
    frame = cells({SMALL: (100, PARTS)}, JUNE_1)
    assert spend_growth(frame, JUNE_1).height == 0
    assert spend_growth(frame, JUNE_8).height == 0
    other = pl.concat([frame, cells({SMALL: (9, PARTS)}, JUNE_8, "t")])
    assert spend_growth(other, JUNE_8).height == 0


def test_growth_against_the_mean_baseline_week():
    frame = pl.concat(
        [
            cells({SMALL: (100, PARTS)}, JUNE_1),
            cells({SMALL: (300, PARTS)}, JUNE_8),
            cells({SMALL: (500, PARTS)}, JUNE_15),
        ]
    )
    growth = spend_growth_since_baseline(frame, JUNE_15, [JUNE_1, JUNE_8])
    assert growth.filter(cause="volume").row(0)[-3:] == pytest.approx((0.42, 0.28, 0.7))
    assert spend_growth_since_baseline(frame, JUNE_8, [JUNE_1, JUNE_8]).height == 0


def test_a_week_in_which_the_log_began_midway_is_in_no_mean():
    """From Friday 5 June on at the same pace: 20 calls, then 100 a week."""
    weeks = {JUNE_1: 20, JUNE_8: 100, JUNE_15: 100, JUNE_15 + timedelta(days=7): 100}
    frame = pl.concat([cells({SMALL: (calls, PARTS)}, week) for week, calls in weeks.items()])
    first = first_weeks(frame, date(2026, 6, 5), 2)
    assert first == [JUNE_8, JUNE_15] and first_weeks(frame, JUNE_1, 2) == [JUNE_1, JUNE_8]
    last = spend_growth_since_baseline(frame, JUNE_15 + timedelta(days=7), first)
    assert last["change_usd"].abs().max() == pytest.approx(0, abs=1e-12)
    assert spend_growth_since_baseline(frame, JUNE_1, first).height == 0


def call(event: str, cost: tuple[str, str] | None = ("0.5", "0.25"), **columns: object) -> dict[str, object]:
    base = {
        "system": "s",
        "event_id": event,
        "endpoint": "chat",
        "model_served": "m",
        "model_requested": "x",
        "operation": None,
        "service_tier": None,
        "occurred_at": datetime(2026, 6, 14, 23, 59, tzinfo=UTC),
        "input_uncached": 60,
        "cache_read": 40,
        "cache_write": None,
        "output_visible": 7,
        "reasoning": 3,
    }
    parts = dict.fromkeys([f"{p}_tokens" for p in ("system_prompt", "tools", "context", "history", "user")])
    prices = {"cost_usd": cost and Decimal(cost[0]), "output_usd": cost and Decimal(cost[1])}
    prices |= {"cache_read_usd": cost and Decimal("0.01"), "cache_write_usd": None}
    return base | parts | prices | columns


def cells_of(*calls: dict[str, object]) -> dict[str, tuple[float, float, float]]:
    result = spend_cells(*frames(calls))
    assert result["period"].unique().to_list() in ([JUNE_8], [])
    return {row["part"]: (row["calls_of_model"], row["tokens"], row["cost_usd"]) for row in result.to_dicts()}


def test_parts_bear_their_share_of_the_input():
    """40 of 100 tokens were cached for 0.01 USD: the 20 in front, and 20 of the 80 behind them."""
    found = cells_of(call("1", system_prompt_tokens=20, context_tokens=70))
    assert found == {
        "system_prompt": (1, 20, pytest.approx(0.005)),
        "context": (1, 70, pytest.approx(0.245 * 7 / 8)),
        "input": (1, 10, pytest.approx(0.245 / 8)),
        "completion": (1, 7, 0.175),
        "reasoning": (1, 3, 0.075),
    }


def test_a_longer_cached_prompt_costs_what_cached_tokens_do():
    """40 cached tokens for 0.01 USD before 60 of context for 0.24: 40 more are 0.01 more, and no other cause."""
    before = call("1", system_prompt_tokens=40, context_tokens=60)
    longer = {"system_prompt_tokens": 80, "cache_read": 80, "cache_read_usd": Decimal("0.02")}
    after = call("1", ("0.51", "0.25"), context_tokens=60, **longer)
    assert cells_of(before)["system_prompt"] == (1, 40, pytest.approx(0.01))
    assert cells_of(before)["context"] == (1, 60, pytest.approx(0.24))
    assert causes_of([before], [after]) == pytest.approx({"tokens:system_prompt": 0.01})


def test_a_call_without_parts_is_input_as_a_whole():
    silent = {"output_visible": 10, "reasoning": None}
    assert cells_of(call("1", **silent), call("2", **silent)) == {
        "input": (2, 200, pytest.approx(0.5)),
        "completion": (2, 20, 0.5),
    }


def test_calls_without_a_price_are_in_no_cell():
    assert cells_of(call("1", reasoning=0), call("2", None)) == {
        "input": (1, 100, pytest.approx(0.25)),
        "completion": (1, 7, 0.25),
    }
    assert cells_of(call("2", None)) == {}


def frames(calls: Sequence[dict[str, object]]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows of inferences, and of their costs."""
    money = ["cost_usd", "output_usd", "cache_read_usd", "cache_write_usd"]
    usd = dict.fromkeys(money, pl.Decimal(38, 12)) | dict.fromkeys(["operation", "service_tier"], pl.String)
    frame = pl.DataFrame(calls, infer_schema_length=None, schema_overrides=usd)
    return frame.drop(money), frame.select("system", "event_id", *money)


def causes_of(before: Sequence[dict[str, object]], after: Sequence[dict[str, object]]) -> dict[str, float]:
    """Causes with more than a rounding error of the change, from calls and not from cells."""
    split = split_change(*(summed(spend_cells(*frames(calls))) for calls in (before, after)))
    found = split.group_by("cause").agg(pl.col("change_usd").sum()).iter_rows()
    return {cause: change for cause, change in found if abs(change) > 1e-9}


CHATS = [call(str(n)) for n in range(10)]
"""Ten calls at half a dollar, of which 0.25 are the output's; 3 of its 10 tokens are reasoning."""


def test_embeddings_beside_chats_are_volume_of_their_own():
    """Twice as many calls at the endpoint, of which the new ones cost 0.1 USD together."""
    vectors = [
        call(f"e{n}", ("0.01", "0"), operation="embeddings", model_served="e", output_visible=0, reasoning=0)
        for n in range(10)
    ]
    assert causes_of(CHATS, CHATS + vectors) == pytest.approx({"volume": 0.1})
    assert causes_of(CHATS + vectors, CHATS) == pytest.approx({"volume": -0.1})


def test_more_reasoning_is_not_longer_answers():
    """10 tokens more at the price of the output's 10, a fortieth of a dollar each: 0.25 a call."""
    thinking = [call(str(n), ("0.75", "0.5"), reasoning=13) for n in range(10)]
    assert causes_of(CHATS, thinking) == pytest.approx({"tokens:reasoning": 2.5})


@pytest.mark.parametrize("moved", [4, 10])
def test_calls_that_move_to_batches_are_another_mix_and_no_change_of_prices(moved):
    batch = [
        row | {"service_tier": "batch", "cost_usd": Decimal("0.25"), "output_usd": Decimal("0.125")}
        | {"cache_read_usd": Decimal("0.005")}
        for row in CHATS[:moved]
    ]  # fmt: skip
    assert causes_of(CHATS, batch + CHATS[moved:]) == pytest.approx({"model_mix": -0.25 * moved})


def test_a_failure_that_used_no_token_is_no_call():
    nothing = dict.fromkeys(("input_uncached", "cache_read", "output_visible", "reasoning"), 0)
    failed = [call(f"f{n}", ("0", "0"), **nothing) for n in range(5)]
    assert causes_of(CHATS, CHATS + failed) == {}


def test_growth_is_rows_of_the_declared_tables_also_without_any():
    tables = declared_tables(Path(__file__).parents[2] / "dbt_project")
    some = pl.concat([cells({SMALL: (100, PARTS)}, JUNE_1), cells({SMALL: (200, PARTS)}, JUNE_8)])
    for frame in (some, some.clear()):
        assert spend_growth(frame, JUNE_8).schema == tables["costs.spend_growth"].schema
        since = spend_growth_since_baseline(frame, JUNE_8, [JUNE_1])
        assert since.schema == tables["costs.spend_growth_since_baseline"].schema
