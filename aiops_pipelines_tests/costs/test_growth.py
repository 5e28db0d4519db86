"""Causes of growth: planted causes come back alone, and every split adds up."""

from datetime import UTC, date, datetime
from decimal import Decimal
from math import log10
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops_pipelines.costs.growth import (
    spend_cells,
    spend_growth,
    spend_growth_since_baseline,
    split_change,
)
from aiops_pipelines.resources.tables import declared_tables

JUNE_1, JUNE_8, JUNE_15 = date(2026, 6, 1), date(2026, 6, 8), date(2026, 6, 15)
Cells = dict[tuple[str, str], tuple[float, dict[str, tuple[float, float]]]]
"""(endpoint, model) -> calls, part -> (tokens per call, USD per token)."""


def cells(content: Cells, week: date = JUNE_1, system: str = "s") -> pl.DataFrame:
    rows = [
        (system, week, endpoint, model, part, float(calls), calls * float(tokens), calls * tokens * price)
        for (endpoint, model), (calls, parts) in content.items()
        for part, (tokens, price) in parts.items()
    ]
    names = ["system", "week", "endpoint", "model", "part", "calls_of_model", "tokens", "cost_usd"]
    return pl.DataFrame(
        rows, schema=names, orient="row", schema_overrides={"cost_usd": pl.Float64, "tokens": pl.Float64}
    )


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


def test_endpoints_are_split_on_their_own():
    before: Cells = {SMALL: (100, PARTS), ("search", "small"): (100, PARTS)}
    after: Cells = {SMALL: (200, PARTS), ("search", "small"): (100, DEAR)}
    assert blamed(before, after, "chat").keys() == {"volume"}
    assert blamed(before, after, "search").keys() == {"price"}


amount = st.floats(1e-3, 1e6)
part_use = st.tuples(st.one_of(st.just(0.0), amount), st.floats(1e-9, 1e-2))
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


def call(event: str, cost: tuple[str, str] | None = ("0.5", "0.25"), **columns: object) -> dict[str, object]:
    base = {
        "system": "s",
        "event_id": event,
        "endpoint": "chat",
        "model_served": "m",
        "model_requested": "x",
        "occurred_at": datetime(2026, 6, 14, 23, 59, tzinfo=UTC),
        "input_uncached": 60,
        "cache_read": 40,
        "cache_write": None,
        "output_visible": 7,
        "reasoning": 3,
    }
    parts = dict.fromkeys([f"{p}_tokens" for p in ("system_prompt", "tools", "context", "history", "user")])
    prices = {"cost_usd": cost and Decimal(cost[0]), "output_usd": cost and Decimal(cost[1])}
    return base | parts | prices | columns


def cells_of(*calls: dict[str, object]) -> dict[str, tuple[float, float, float]]:
    usd = pl.Decimal(38, 12)
    frame = pl.DataFrame(
        calls, infer_schema_length=None, schema_overrides={"cost_usd": usd, "output_usd": usd}
    )
    costs = frame.select("system", "event_id", "cost_usd", "output_usd")
    result = spend_cells(frame.drop("cost_usd", "output_usd"), costs)
    assert result["week"].unique().to_list() in ([JUNE_8], [])
    return {row["part"]: (row["calls_of_model"], row["tokens"], row["cost_usd"]) for row in result.to_dicts()}


def test_parts_bear_their_share_of_the_input():
    found = cells_of(call("1", system_prompt_tokens=20, context_tokens=70))
    assert found == {
        "system_prompt": (1, 20, pytest.approx(0.05)),
        "context": (1, 70, pytest.approx(0.175)),
        "input": (1, 10, pytest.approx(0.025)),
        "completion": (1, 10, 0.25),
    }


def test_a_call_without_parts_is_input_as_a_whole():
    assert cells_of(call("1"), call("2")) == {"input": (2, 200, 0.5), "completion": (2, 20, 0.5)}


def test_calls_without_a_price_are_in_no_cell():
    assert cells_of(call("1"), call("2", None)) == {"input": (1, 100, 0.25), "completion": (1, 10, 0.25)}
    assert cells_of(call("2", None)) == {}


def test_growth_is_rows_of_the_declared_tables_also_without_any():
    tables = declared_tables(Path(__file__).parents[2] / "dbt_project")
    some = pl.concat([cells({SMALL: (100, PARTS)}, JUNE_1), cells({SMALL: (200, PARTS)}, JUNE_8)])
    for frame in (some, some.clear()):
        assert spend_growth(frame, JUNE_8).schema == tables["costs.spend_growth"].schema
        since = spend_growth_since_baseline(frame, JUNE_8, [JUNE_1])
        assert since.schema == tables["costs.spend_growth_since_baseline"].schema
